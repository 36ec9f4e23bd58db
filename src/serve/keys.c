/*
 * API keys and rates. Keys are kept and compared as SHA-256 digests, all of them, every time: how
 * long a comparison takes says nothing of a key. Rates are buckets that fill evenly over a minute.
 */
#include "serve/internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static void digest_of(const char *text, size_t length, unsigned char out[32], char hex[65])
{
    struct base_digest *digest = base_digest_create();
    BASE_ASSERT(digest);
    base_digest_update(digest, text, length);
    base_digest_hex(digest, hex);
    base_digest_destroy(digest);
    for (size_t i = 0; i < 32; i++) {
        unsigned byte = 0;
        sscanf(hex + 2 * i, "%2x", &byte);
        out[i] = (unsigned char)byte;
    }
}

/* One key a line; blank lines and lines that begin with # are left out. */
static enum takt_status read_keys(struct serve_keys *keys, const char *path,
                                  struct takt_error *error)
{
    struct base_file file;
    const enum takt_status status = base_file_map(&file, path, error);
    if (status != TAKT_OK) {
        return status;
    }
    const char *at = (const char *)file.data, *end = at + file.size_bytes;
    while (at < end) {
        const char *line = memchr(at, '\n', (size_t)(end - at));
        const char *stop = line ? line : end;
        const char *first = at;
        at = line ? line + 1 : end;
        while (stop > first && (stop[-1] == '\r' || stop[-1] == ' ' || stop[-1] == '\t')) {
            stop--;
        }
        if (stop == first || *first == '#') {
            continue;
        }
        char hex[65];
        keys->digests = realloc(keys->digests, (keys->count + 1) * sizeof *keys->digests);
        BASE_ASSERT(keys->digests);
        digest_of(first, (size_t)(stop - first), keys->digests[keys->count++], hex);
    }
    base_file_unmap(&file);
    if (keys->count == 0) {
        return base_fail(error, TAKT_FORMAT, "%s: no key in it; write one key a line", path);
    }
    return TAKT_OK;
}

enum takt_status serve_keys_open(struct serve_keys *keys, const struct serve_options *options,
                                 struct takt_error *error)
{
    *keys = (struct serve_keys){.requests_per_minute = options->requests_per_minute,
                                .tokens_per_minute = options->tokens_per_minute};
    pthread_mutex_init(&keys->lock, NULL);
    return options->keys_path ? read_keys(keys, options->keys_path, error) : TAKT_OK;
}

void serve_keys_close(struct serve_keys *keys)
{
    free(keys->digests);
    free(keys->buckets);
    pthread_mutex_destroy(&keys->lock);
    *keys = (struct serve_keys){0};
}

bool serve_key_known(const struct serve_keys *keys, const char *authorization, char name[64])
{
    static const char bearer[] = "Bearer ";
    if (!authorization || strncmp(authorization, bearer, strlen(bearer)) != 0) {
        return false;
    }
    unsigned char digest[32];
    char hex[65];
    const char *key = authorization + strlen(bearer);
    digest_of(key, strlen(key), digest, hex);
    unsigned found = 0;
    for (size_t i = 0; i < keys->count; i++) {
        unsigned difference = 0;
        for (size_t j = 0; j < sizeof digest; j++) {
            difference |= (unsigned)(digest[j] ^ keys->digests[i][j]);
        }
        found |= (unsigned)(difference == 0);
    }
    snprintf(name, 64, "key %.32s", hex);
    return found != 0;
}

/* ---- rates ----------------------------------------------------------------------------------- */

#define BUCKETS_MAX 65536u

static void refill(const struct serve_keys *keys, struct serve_bucket *bucket, double now)
{
    const double minutes = (now - bucket->at) / 60.0;
    const double requests = keys->requests_per_minute, tokens = keys->tokens_per_minute;
    bucket->requests = fmin(requests, bucket->requests + requests * minutes);
    bucket->tokens = fmin(tokens, bucket->tokens + tokens * minutes);
    bucket->at = now;
}

/* The name's bucket; a full one is as good as none, so full ones make room when there are many. */
static struct serve_bucket *find_bucket(struct serve_keys *keys, const char *name, double now)
{
    for (size_t i = 0; i < keys->bucket_count; i++) {
        if (strcmp(keys->buckets[i].name, name) == 0) {
            refill(keys, &keys->buckets[i], now);
            return &keys->buckets[i];
        }
    }
    size_t at = keys->bucket_count;
    if (keys->bucket_count == BUCKETS_MAX) {
        at = 0;
        for (size_t i = 1; i < keys->bucket_count; i++) {
            at = keys->buckets[i].at < keys->buckets[at].at ? i : at;
        }
    } else if (keys->bucket_count++ == keys->bucket_capacity) {
        keys->bucket_capacity = keys->bucket_capacity ? keys->bucket_capacity * 2 : 16;
        keys->buckets = realloc(keys->buckets, keys->bucket_capacity * sizeof *keys->buckets);
        BASE_ASSERT(keys->buckets);
    }
    struct serve_bucket *bucket = &keys->buckets[at];
    *bucket = (struct serve_bucket){
        .requests = keys->requests_per_minute, .tokens = keys->tokens_per_minute, .at = now};
    snprintf(bucket->name, sizeof bucket->name, "%s", name);
    return bucket;
}

static double seconds_until(double left, double wanted, double per_minute)
{
    return left >= wanted ? 0.0 : (wanted - left) * 60.0 / per_minute;
}

static void describe(const struct serve_keys *keys, const struct serve_bucket *bucket,
                     struct serve_rate *rate)
{
    const double requests = keys->requests_per_minute, tokens = keys->tokens_per_minute;
    *rate = (struct serve_rate){
        .limited = true,
        .requests_limit = keys->requests_per_minute,
        .tokens_limit = keys->tokens_per_minute,
        .requests_left = (uint32_t)fmax(bucket->requests, 0.0),
        .tokens_left = (uint32_t)fmax(bucket->tokens, 0.0),
        .requests_reset = requests > 0 ? seconds_until(bucket->requests, requests, requests) : 0,
        .tokens_reset = tokens > 0 ? seconds_until(bucket->tokens, tokens, tokens) : 0,
    };
}

static bool too_much(const struct serve_keys *keys, struct serve_bucket *bucket, uint32_t tokens,
                     struct serve_failure *failure)
{
    double wait = 0.0;
    const char *what = "requests";
    uint32_t limit = keys->requests_per_minute;
    if (limit > 0) {
        wait = seconds_until(bucket->requests, 1.0, limit);
    }
    if (wait <= 0.0 && keys->tokens_per_minute > 0) {
        /* A prompt above a whole minute's share may pass when the bucket is full. */
        const double wanted = fmin(tokens, keys->tokens_per_minute);
        what = "tokens";
        limit = keys->tokens_per_minute;
        wait = seconds_until(bucket->tokens, wanted, limit);
    }
    if (wait <= 0.0) {
        return false;
    }
    serve_fail(failure, 429, "rate_limit_exceeded", NULL,
               "Rate limit reached: %u %s per minute. Please try again in %.3fs.", limit, what,
               wait);
    failure->retry_after = (unsigned)ceil(wait);
    return true;
}

bool serve_rate_take(struct serve_keys *keys, const char *name, uint32_t tokens,
                     struct serve_rate *rate, struct serve_failure *failure)
{
    *rate = (struct serve_rate){0};
    if (keys->requests_per_minute == 0 && keys->tokens_per_minute == 0) {
        return true;
    }
    pthread_mutex_lock(&keys->lock);
    struct serve_bucket *bucket = find_bucket(keys, name, base_seconds());
    const bool refused = too_much(keys, bucket, tokens, failure);
    if (!refused) {
        bucket->requests -= 1.0;
        bucket->tokens -= tokens;
    }
    describe(keys, bucket, rate);
    pthread_mutex_unlock(&keys->lock);
    return !refused;
}

void serve_rate_spend(struct serve_keys *keys, const char *name, uint32_t tokens)
{
    if (keys->tokens_per_minute > 0) {
        pthread_mutex_lock(&keys->lock);
        find_bucket(keys, name, base_seconds())->tokens -= tokens;
        pthread_mutex_unlock(&keys->lock);
    }
}

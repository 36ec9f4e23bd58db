/* HTTP: listings page by page, and files by the piece. */
#include "hub/hub.h"

#include <curl/curl.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define LISTING_BYTES_MAX ((size_t)64 << 20)
#define PAGES_MAX 200u
#define TRIES_MAX 5u
#define STALL_SECONDS 60L

struct transfer {
    const struct hub_options *options;
    const struct hub_file *file; /* NULL: a listing */
    CURL *curl;
    struct base_text body, next; /* of a listing: the page, and the address of the next one */
    int descriptor;
    uint64_t done_bytes; /* in the part, before and now */
    bool too_long, write_failed, stopped;
    char problem[CURL_ERROR_SIZE];
};

/* ---- what curl calls ------------------------------------------------------------------------- */

static size_t on_body(char *bytes, size_t size, size_t count, void *user)
{
    struct transfer *transfer = user;
    size_t length = size * count;
    transfer->too_long = transfer->body.length + length > LISTING_BYTES_MAX;
    if (transfer->too_long)
        return 0;
    base_text_append(&transfer->body, bytes, length);
    return length;
}

static size_t on_bytes(char *bytes, size_t size, size_t count, void *user)
{
    struct transfer *transfer = user;
    size_t length = size * count;
    transfer->too_long = transfer->done_bytes + length > transfer->file->size_bytes;
    if (transfer->too_long)
        return 0;
    for (size_t done = 0; done < length;) {
        ssize_t written = write(transfer->descriptor, bytes + done, length - done);
        if (written < 0 && errno == EINTR)
            continue;
        if (written <= 0) {
            transfer->write_failed = true;
            return 0;
        }
        done += (size_t)written;
    }
    transfer->done_bytes += length;
    return length;
}

/* Link: <https://...>; rel="next" */
static size_t on_header(char *bytes, size_t size, size_t count, void *user)
{
    struct transfer *transfer = user;
    size_t length = size * count;
    const char *begin =
        length > 5 && strncasecmp(bytes, "link:", 5) == 0 ? memchr(bytes, '<', length) : NULL;
    const char *end = begin == NULL ? NULL : memchr(begin, '>', length - (size_t)(begin - bytes));
    if (end != NULL && memmem(end, length - (size_t)(end - bytes), "rel=\"next\"", 10) != NULL) {
        transfer->next.length = 0;
        base_text_append(&transfer->next, begin + 1, (size_t)(end - begin) - 1);
    }
    return length;
}

static int on_progress(void *user, curl_off_t total, curl_off_t now, curl_off_t up_total,
                       curl_off_t up_now)
{
    struct transfer *transfer = user;
    const struct hub_options *options = transfer->options;
    const struct hub_file *file = transfer->file;
    (void)total, (void)now, (void)up_total, (void)up_now;
    if (options->on_progress != NULL &&
        !options->on_progress(options->user, file == NULL ? "" : file->path, transfer->done_bytes,
                              file == NULL ? 0 : file->size_bytes))
        transfer->stopped = true;
    return transfer->stopped ? 1 : 0;
}

/* ---- requests -------------------------------------------------------------------------------- */

static struct curl_slist *authorisation(const struct hub_options *options)
{
    struct base_text line = {0};
    if (options->token == NULL || options->token[0] == '\0' ||
        strpbrk(options->token, "\r\n") != NULL)
        return NULL;
    base_text_format(&line, "Authorization: Bearer %s", options->token);
    struct curl_slist *headers = curl_slist_append(NULL, line.data);
    base_text_free(&line);
    return headers;
}

static void set_up(struct transfer *transfer, const char *address, struct curl_slist *headers)
{
    CURL *curl = transfer->curl;
    curl_easy_reset(curl);
    curl_easy_setopt(curl, CURLOPT_URL, address);
#if LIBCURL_VERSION_NUM >= 0x075500
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(curl, CURLOPT_REDIR_PROTOCOLS_STR, "http,https");
#endif
    curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 1L);
    curl_easy_setopt(curl, CURLOPT_MAXREDIRS, 10L);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_FAILONERROR, 1L);
    curl_easy_setopt(curl, CURLOPT_USERAGENT, "takt");
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, 30L);
    curl_easy_setopt(curl, CURLOPT_LOW_SPEED_LIMIT, 1L);
    curl_easy_setopt(curl, CURLOPT_LOW_SPEED_TIME, STALL_SECONDS);
    curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, transfer->problem);
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers); /* curl keeps it from other hosts */
    curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, on_progress);
    curl_easy_setopt(curl, CURLOPT_XFERINFODATA, transfer);
    curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, transfer->file == NULL ? on_body : on_bytes);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, transfer);
    curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(curl, CURLOPT_HEADERDATA, transfer);
    transfer->problem[0] = '\0';
}

static enum takt_status explain(const struct transfer *transfer, const char *address, CURLcode code,
                                struct takt_error *error)
{
    long answer = 0;
    curl_easy_getinfo(transfer->curl, CURLINFO_RESPONSE_CODE, &answer);
    if (transfer->stopped)
        return base_fail(error, TAKT_INTERRUPTED,
                         "%s: interrupted; what came is kept, the same command continues", address);
    if (transfer->write_failed)
        return base_fail(error, TAKT_IO, "%s: writing it failed: %s", address, strerror(errno));
    if (transfer->too_long)
        return base_fail(error, TAKT_FORMAT, "%s: the answer is longer than was announced",
                         address);
    if (answer == 401 || answer == 403)
        return base_fail(error, TAKT_IO,
                         "%s: HTTP %ld: not allowed; set HF_TOKEN to a token that may read it",
                         address, answer);
    if (answer == 404)
        return base_fail(error, TAKT_IO, "%s: HTTP 404: there is no such repository or file",
                         address);
    if (answer >= 400)
        return base_fail(error, TAKT_IO, "%s: HTTP %ld", address, answer);
    return base_fail(error, TAKT_IO, "%s: %s", address,
                     transfer->problem[0] != '\0' ? transfer->problem : curl_easy_strerror(code));
}

/* Path of a file or repository in an address: all but a few characters as %XX. */
static void append_escaped(struct base_text *out, const char *text)
{
    for (; *text != '\0'; text++) {
        unsigned char byte = (unsigned char)*text;
        bool plain = (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') ||
                     (byte >= '0' && byte <= '9') || strchr("-._~/", byte) != NULL;
        base_text_format(out, plain ? "%c" : "%%%02X", byte);
    }
}

static const char *revision_of(const struct hub_options *options)
{
    return options->revision != NULL ? options->revision : "main";
}

enum takt_status hub_list(const char *repository, const struct hub_options *options,
                          struct hub_listing *listing, struct takt_error *error)
{
    struct transfer transfer = {.options = options, .descriptor = -1};
    struct curl_slist *headers = authorisation(options);
    struct base_text address = {0};
    *listing = (struct hub_listing){NULL, 0};
    enum takt_status status = TAKT_OK;
    transfer.curl = curl_easy_init();
    if (transfer.curl == NULL)
        status =
            base_fail(error, TAKT_MEMORY, "%s: no memory for a request; free some", repository);
    base_text_format(&address, "%s/api/models/", options->endpoint);
    append_escaped(&address, repository);
    base_text_append(&address, "/tree/", 6);
    append_escaped(&address, revision_of(options));
    base_text_append(&address, "?recursive=true", 15);
    for (size_t page = 0; status == TAKT_OK && address.length != 0; page++) {
        transfer.body.length = transfer.next.length = 0;
        base_text_append(&transfer.body, "", 0);
        set_up(&transfer, address.data, headers);
        CURLcode code = curl_easy_perform(transfer.curl);
        if (code != CURLE_OK)
            status = explain(&transfer, address.data, code, error);
        else
            status = hub_read_listing(listing, address.data, transfer.body.data,
                                      transfer.body.length, error);
        if (status == TAKT_OK && page == PAGES_MAX)
            status = base_fail(error, TAKT_LIMIT, "%s: a listing of more than %u pages", repository,
                               PAGES_MAX);
        address.length = 0;
        if (transfer.next.length != 0)
            base_text_append(&address, transfer.next.data, transfer.next.length);
    }
    curl_easy_cleanup(transfer.curl);
    curl_slist_free_all(headers);
    base_text_free(&transfer.body);
    base_text_free(&transfer.next);
    base_text_free(&address);
    if (status != TAKT_OK)
        hub_listing_free(listing);
    return status;
}

/* ---- digests --------------------------------------------------------------------------------- */

/* Is the digest of the bytes what the listing says? Small files have git's: over a head and them.
 */
static bool digest_fits(const struct hub_file *file, const struct base_file *content)
{
    char hex[65] = "", head[64];
    if (content->size_bytes != file->size_bytes)
        return false;
    if (file->sha256[0] != '\0') {
        struct base_digest *digest = base_digest_create();
        if (digest == NULL)
            return false;
        base_digest_update(digest, content->data, content->size_bytes);
        base_digest_hex(digest, hex);
        base_digest_destroy(digest);
        return strcasecmp(hex, file->sha256) == 0;
    }
    if (file->sha1[0] == '\0')
        return true; /* the hub gives none */
    unsigned char bytes[EVP_MAX_MD_SIZE];
    unsigned count = 0;
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    int length = snprintf(head, sizeof(head), "blob %zu", content->size_bytes);
    bool good = context != NULL && EVP_DigestInit_ex(context, EVP_sha1(), NULL) == 1 &&
                EVP_DigestUpdate(context, head, (size_t)length + 1) == 1 &&
                (content->size_bytes == 0 ||
                 EVP_DigestUpdate(context, content->data, content->size_bytes) == 1) &&
                EVP_DigestFinal_ex(context, bytes, &count) == 1;
    EVP_MD_CTX_free(context);
    for (unsigned i = 0; good && i < count && 2 * i + 2 < sizeof(hex); i++)
        snprintf(hex + 2 * i, 3, "%02x", bytes[i]);
    return good && strcasecmp(hex, file->sha1) == 0;
}

static bool file_fits(const struct hub_file *file, const char *path)
{
    struct base_file content;
    struct stat status;
    if (stat(path, &status) != 0 || (uint64_t)status.st_size != file->size_bytes)
        return false;
    if (file->size_bytes == 0)
        return true;
    if (base_file_map(&content, path, NULL) != TAKT_OK)
        return false;
    bool fits = digest_fits(file, &content);
    base_file_unmap(&content);
    return fits;
}

/* ---- files ----------------------------------------------------------------------------------- */

/* One request for what is missing of the part. *again: trying once more may help. */
static enum takt_status request_rest(struct transfer *transfer, const char *address,
                                     struct curl_slist *headers, bool *again,
                                     struct takt_error *error)
{
    long answer = 0;
    off_t there = lseek(transfer->descriptor, 0, SEEK_END);
    transfer->done_bytes = there < 0 ? 0 : (uint64_t)there;
    if (transfer->done_bytes > transfer->file->size_bytes) { /* of another file */
        transfer->done_bytes = 0;
        if (ftruncate(transfer->descriptor, 0) != 0 ||
            lseek(transfer->descriptor, 0, SEEK_SET) != 0)
            return base_fail(error, TAKT_IO, "%s: its part cannot be emptied: %s", address,
                             strerror(errno));
    }
    *again = false;
    if (transfer->done_bytes == transfer->file->size_bytes)
        return TAKT_OK;
    set_up(transfer, address, headers);
    if (transfer->done_bytes != 0)
        curl_easy_setopt(transfer->curl, CURLOPT_RESUME_FROM_LARGE,
                         (curl_off_t)transfer->done_bytes);
    CURLcode code = curl_easy_perform(transfer->curl);
    curl_easy_getinfo(transfer->curl, CURLINFO_RESPONSE_CODE, &answer);
    if (code == CURLE_RANGE_ERROR) { /* the server has no ranges: from the beginning */
        *again = ftruncate(transfer->descriptor, 0) == 0;
        transfer->done_bytes = 0;
    } else if (code != CURLE_OK) {
        *again = !transfer->stopped && !transfer->write_failed && !transfer->too_long &&
                 (answer < 400 || answer == 408 || answer == 429 || answer >= 500);
    }
    if (code != CURLE_OK)
        return explain(transfer, address, code, error);
    if (transfer->done_bytes == transfer->file->size_bytes)
        return TAKT_OK;
    *again = true;
    return base_fail(error, TAKT_IO, "%s: %llu of %llu bytes came", address,
                     (unsigned long long)transfer->done_bytes,
                     (unsigned long long)transfer->file->size_bytes);
}

static enum takt_status download(struct transfer *transfer, const char *address, const char *part,
                                 struct takt_error *error)
{
    struct curl_slist *headers = authorisation(transfer->options);
    enum takt_status status = TAKT_OK;
    transfer->curl = curl_easy_init();
    transfer->descriptor = open(part, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    if (transfer->curl == NULL || transfer->descriptor < 0)
        status = base_fail(error, TAKT_IO, "%s: it cannot be written: %s", part, strerror(errno));
    bool again = status == TAKT_OK;
    uint64_t before = 0;
    for (unsigned tries = 0; again && tries < TRIES_MAX; tries++) {
        if (tries != 0) { /* one, two, four seconds, but at once where the last try got on */
            struct timespec wait = {(time_t)1 << BASE_MIN(tries - 1, 3u), 0};
            if (transfer->done_bytes > before)
                tries = 0;
            else
                nanosleep(&wait, NULL);
        }
        before = transfer->done_bytes;
        status = request_rest(transfer, address, headers, &again, error);
    }
    if (status == TAKT_OK && fsync(transfer->descriptor) != 0)
        status = base_fail(error, TAKT_IO, "%s: writing it failed: %s", part, strerror(errno));
    if (transfer->descriptor >= 0)
        close(transfer->descriptor);
    curl_easy_cleanup(transfer->curl);
    curl_slist_free_all(headers);
    return status;
}

enum takt_status hub_fetch(const char *repository, const struct hub_file *file, const char *folder,
                           const struct hub_options *options, struct takt_error *error)
{
    const char *slash = strrchr(file->path, '/');
    struct transfer transfer = {.options = options, .file = file, .descriptor = -1};
    struct base_text address = {0}, path = {0}, part = {0};
    base_text_format(&path, "%s/%s", folder, slash == NULL ? file->path : slash + 1);
    base_text_format(&part, "%s.part", path.data);
    base_text_format(&address, "%s/", options->endpoint);
    append_escaped(&address, repository);
    base_text_append(&address, "/resolve/", 9);
    append_escaped(&address, revision_of(options));
    base_text_append(&address, "/", 1);
    append_escaped(&address, file->path);
    enum takt_status status = TAKT_OK;
    if (!file_fits(file, path.data)) {
        status = download(&transfer, address.data, part.data, error);
        if (status == TAKT_OK && !file_fits(file, part.data)) {
            (void)unlink(part.data);
            status = base_fail(error, TAKT_FORMAT,
                               "%s: what came has another digest than the hub says; it is removed, "
                               "try again",
                               address.data);
        }
        if (status == TAKT_OK && rename(part.data, path.data) != 0)
            status = base_fail(error, TAKT_IO, "%s: it cannot be renamed: %s", part.data,
                               strerror(errno));
    }
    base_text_free(&address);
    base_text_free(&path);
    base_text_free(&part);
    return status;
}

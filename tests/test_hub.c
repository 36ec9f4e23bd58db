/* Downloads from a hub on this machine: listing, choosing, resuming, digests, refusals. */
#include "tests.h"

#include <arpa/inet.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "hub/hub.h"

/* ---- the hub --------------------------------------------------------------------------------- */

enum { BIG_BYTES = 300000 };
static const char small[] = "{\"model_type\": \"llama\"}\n";

static struct hub {
    struct MHD_Daemon *daemon;
    char endpoint[64], folder[64];
    char big[BIG_BYTES], big_sha256[65];
    size_t cut_at; /* the connection breaks off here, once; 0 = never */
    bool no_ranges, wrong_byte, wants_token;
    unsigned requests, ranges, with_token;
} hub;

static enum MHD_Result answer(struct MHD_Connection *connection, unsigned code, const char *text,
                              const char *header, const char *value)
{
    struct MHD_Response *response = MHD_create_response_from_buffer(
        strlen(text), (void *)(uintptr_t)text, MHD_RESPMEM_MUST_COPY);
    if (header != NULL)
        MHD_add_response_header(response, header, value);
    const enum MHD_Result result = MHD_queue_response(connection, code, response);
    MHD_destroy_response(response);
    return result;
}

static enum MHD_Result answer_listing(struct MHD_Connection *connection)
{
    char text[2048], link[256];
    if (MHD_lookup_connection_value(connection, MHD_GET_ARGUMENT_KIND, "cursor") == NULL) {
        snprintf(link, sizeof link,
                 "<%s/api/models/o/m/tree/main?recursive=true&cursor=2>; "
                 "rel=\"next\"",
                 hub.endpoint);
        return answer(connection, 200,
                      "[{\"type\":\"directory\",\"path\":\"sub\"},"
                      "{\"type\":\"file\",\"path\":\"../../etc/passwd\",\"size\":1},"
                      "{\"type\":\"file\",\"path\":\"README.md\",\"size\":10}]",
                      "Link", link);
    }
    snprintf(text, sizeof text,
             "[{\"type\":\"file\",\"path\":\"sub/m-Q8_0.gguf\",\"size\":130,\"oid\":\"x\","
             "\"lfs\":{\"oid\":\"%s\",\"size\":%d}},"
             "{\"type\":\"file\",\"path\":\"config.json\",\"size\":%zu,"
             "\"oid\":\"%s\"}]",
             hub.big_sha256, BIG_BYTES, strlen(small), "c1b9cc0ac7ae05c20a0fb8b0a3b0a9b84f0d4a8f");
    return answer(connection, 200, text, NULL, NULL);
}

struct reading {
    size_t start, length;
    bool cut;
};

static ssize_t read_big(void *user, uint64_t position, char *buffer, size_t most)
{
    struct reading *reading = user;
    size_t at = reading->start + (size_t)position;
    if (reading->cut && at >= hub.cut_at) {
        hub.cut_at = 0;
        return MHD_CONTENT_READER_END_WITH_ERROR;
    }
    size_t size = BASE_MIN(BASE_MIN(most, (size_t)8192), (size_t)BIG_BYTES - at);
    memcpy(buffer, hub.big + at, size);
    if (hub.wrong_byte && at <= 1000 && at + size > 1000)
        buffer[1000 - at] ^= 1;
    return (ssize_t)size;
}

static enum MHD_Result answer_big(struct MHD_Connection *connection)
{
    const char *range = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, "Range");
    struct reading *reading = calloc(1, sizeof *reading);
    unsigned code = 200;
    char header[128];
    reading->cut = hub.cut_at != 0;
    if (range != NULL && !hub.no_ranges && sscanf(range, "bytes=%zu-", &reading->start) == 1) {
        hub.ranges++;
        code = 206;
    }
    struct MHD_Response *response = MHD_create_response_from_callback(
        BIG_BYTES - reading->start, 8192, read_big, reading, free);
    if (code == 206) {
        snprintf(header, sizeof header, "bytes %zu-%d/%d", reading->start, BIG_BYTES - 1,
                 BIG_BYTES);
        MHD_add_response_header(response, "Content-Range", header);
    }
    const enum MHD_Result result = MHD_queue_response(connection, code, response);
    MHD_destroy_response(response);
    return result;
}

static enum MHD_Result on_request(void *user, struct MHD_Connection *connection, const char *url,
                                  const char *method, const char *version, const char *upload,
                                  size_t *upload_size, void **state)
{
    (void)user, (void)method, (void)version, (void)upload, (void)upload_size, (void)state;
    const char *token = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, "Authorization");
    const bool known = token != NULL && strcmp(token, "Bearer secret") == 0;
    hub.requests++;
    hub.with_token += known ? 1 : 0;
    if (hub.wants_token && !known)
        return answer(connection, 401, "no", NULL, NULL);
    if (strcmp(url, "/api/models/o/m/tree/main") == 0)
        return answer_listing(connection);
    if (strcmp(url, "/o/m/resolve/main/sub/m-Q8_0.gguf") == 0)
        return answer(connection, 302, "", "Location", "/blob/1");
    if (strcmp(url, "/blob/1") == 0)
        return answer_big(connection);
    if (strcmp(url, "/o/m/resolve/main/config.json") == 0)
        return answer(connection, 200, small, NULL, NULL);
    return answer(connection, 404, "no", NULL, NULL);
}

static int open_hub(void **state)
{
    (void)state;
    memset(&hub, 0, sizeof hub);
    for (size_t i = 0; i < BIG_BYTES; i++)
        hub.big[i] = (char)base_random_u64(7, 0, i);
    struct base_digest *digest = base_digest_create();
    base_digest_update(digest, hub.big, BIG_BYTES);
    base_digest_hex(digest, hub.big_sha256);
    base_digest_destroy(digest);
    strcpy(hub.folder, "/tmp/takt-hub-XXXXXX");
    if (mkdtemp(hub.folder) == NULL)
        return -1;
    struct sockaddr_in loopback = {.sin_family = AF_INET};
    loopback.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    hub.daemon =
        MHD_start_daemon(MHD_USE_INTERNAL_POLLING_THREAD, 0, NULL, NULL, on_request, NULL,
                         MHD_OPTION_SOCK_ADDR, (struct sockaddr *)&loopback, MHD_OPTION_END);
    const union MHD_DaemonInfo *info =
        hub.daemon == NULL ? NULL : MHD_get_daemon_info(hub.daemon, MHD_DAEMON_INFO_BIND_PORT);
    if (info == NULL)
        return -1;
    snprintf(hub.endpoint, sizeof hub.endpoint, "http://127.0.0.1:%u", info->port);
    return 0;
}

static int close_hub(void **state)
{
    (void)state;
    char command[128];
    MHD_stop_daemon(hub.daemon);
    snprintf(command, sizeof command, "rm -r %s", hub.folder);
    return system(command);
}

static struct hub_options options_of(void)
{
    return (struct hub_options){.endpoint = hub.endpoint};
}

static void list(struct hub_listing *listing)
{
    struct takt_error error = {TAKT_OK, ""};
    const struct hub_options options = options_of();
    if (hub_list("o/m", &options, listing, &error) != TAKT_OK)
        fail_msg("%s", error.message);
}

static struct hub_file *find(struct hub_listing *listing, const char *path)
{
    for (size_t i = 0; i < listing->count; i++)
        if (strcmp(listing->files[i].path, path) == 0)
            return &listing->files[i];
    fail_msg("%s is not listed", path);
    return NULL;
}

static bool is_there(const char *name, size_t bytes)
{
    char path[256];
    struct stat status;
    snprintf(path, sizeof path, "%s/%s", hub.folder, name);
    return stat(path, &status) == 0 && (size_t)status.st_size == bytes;
}

/* ---- tests ----------------------------------------------------------------------------------- */

static void test_listing(void **state)
{
    (void)state;
    struct hub_listing listing;
    list(&listing);
    assert_int_equal(listing.count, 3); /* two pages; what climbs out of its folder is left out */
    assert_int_equal(find(&listing, "sub/m-Q8_0.gguf")->size_bytes, BIG_BYTES);
    assert_string_equal(find(&listing, "sub/m-Q8_0.gguf")->sha256, hub.big_sha256);
    hub_listing_free(&listing);
    struct takt_error error = {TAKT_OK, ""};
    const struct hub_options options = options_of();
    assert_int_equal(hub_list("o/none", &options, &listing, &error), TAKT_IO);
    assert_non_null(strstr(error.message, "404"));
}

static void test_download(void **state)
{
    (void)state;
    struct hub_listing listing;
    const struct hub_options options = options_of();
    list(&listing);
    const struct hub_file *file = find(&listing, "sub/m-Q8_0.gguf");
    assert_int_equal(hub_fetch("o/m", file, hub.folder, &options, NULL), TAKT_OK);
    assert_true(is_there("m-Q8_0.gguf", BIG_BYTES));
    assert_false(is_there("m-Q8_0.gguf.part", BIG_BYTES));
    const unsigned requests = hub.requests;
    assert_int_equal(hub_fetch("o/m", file, hub.folder, &options, NULL), TAKT_OK);
    assert_int_equal(hub.requests, requests); /* it is there: nobody is asked */
    hub_listing_free(&listing);
}

static void test_broken_off(void **state)
{
    (void)state;
    struct hub_listing listing;
    const struct hub_options options = options_of();
    list(&listing);
    hub.cut_at = 100000;
    assert_int_equal(
        hub_fetch("o/m", find(&listing, "sub/m-Q8_0.gguf"), hub.folder, &options, NULL), TAKT_OK);
    assert_int_equal(hub.ranges, 1); /* and went on from there */
    assert_true(is_there("m-Q8_0.gguf", BIG_BYTES));
    hub_listing_free(&listing);
}

static bool stop_after(void *user, const char *file, uint64_t done, uint64_t total)
{
    (void)user, (void)file, (void)total;
    return done < 50000;
}

static void test_interrupted(void **state)
{
    (void)state;
    struct hub_listing listing;
    struct hub_options options = options_of();
    list(&listing);
    const struct hub_file *file = find(&listing, "sub/m-Q8_0.gguf");
    hub.cut_at = 120000; /* so that it cannot be done before it is asked */
    options.on_progress = stop_after;
    assert_int_equal(hub_fetch("o/m", file, hub.folder, &options, NULL), TAKT_INTERRUPTED);
    assert_false(is_there("m-Q8_0.gguf", BIG_BYTES));
    hub.cut_at = 0;
    hub.ranges = 0;
    options.on_progress = NULL;
    assert_int_equal(hub_fetch("o/m", file, hub.folder, &options, NULL), TAKT_OK);
    assert_int_equal(hub.ranges, 1);
    assert_true(is_there("m-Q8_0.gguf", BIG_BYTES));
    hub_listing_free(&listing);
}

/* A server without ranges sends all of it again. */
static void test_no_ranges(void **state)
{
    (void)state;
    struct hub_listing listing;
    const struct hub_options options = options_of();
    list(&listing);
    hub.cut_at = 100000;
    hub.no_ranges = true;
    assert_int_equal(
        hub_fetch("o/m", find(&listing, "sub/m-Q8_0.gguf"), hub.folder, &options, NULL), TAKT_OK);
    assert_true(is_there("m-Q8_0.gguf", BIG_BYTES));
    hub_listing_free(&listing);
}

static void test_wrong_bytes(void **state)
{
    (void)state;
    struct hub_listing listing;
    struct takt_error error = {TAKT_OK, ""};
    const struct hub_options options = options_of();
    list(&listing);
    hub.wrong_byte = true;
    assert_int_equal(
        hub_fetch("o/m", find(&listing, "sub/m-Q8_0.gguf"), hub.folder, &options, &error),
        TAKT_FORMAT);
    assert_non_null(strstr(error.message, "digest"));
    assert_false(is_there("m-Q8_0.gguf", BIG_BYTES));
    assert_false(is_there("m-Q8_0.gguf.part", BIG_BYTES));
    /* git's digest of small files: the listing's is of other bytes */
    assert_int_equal(hub_fetch("o/m", find(&listing, "config.json"), hub.folder, &options, &error),
                     TAKT_FORMAT);
    struct hub_file *config = find(&listing, "config.json");
    strcpy(config->sha1, "9eddb62b076f586b2186445e7872e5a05f0dfe06");
    assert_int_equal(hub_fetch("o/m", config, hub.folder, &options, &error), TAKT_OK);
    hub_listing_free(&listing);
}

static void test_token(void **state)
{
    (void)state;
    struct hub_listing listing;
    struct takt_error error = {TAKT_OK, ""};
    struct hub_options options = options_of();
    hub.wants_token = true;
    assert_int_equal(hub_list("o/m", &options, &listing, &error), TAKT_IO);
    assert_non_null(strstr(error.message, "HF_TOKEN"));
    options.token = "secret";
    assert_int_equal(hub_list("o/m", &options, &listing, &error), TAKT_OK);
    assert_int_equal(hub.with_token, 2);
    hub_listing_free(&listing);
}

/* ---- choosing -------------------------------------------------------------------------------- */

static void expect_choice(const char *json, const char *wanted, const char *chosen)
{
    struct hub_listing listing = {NULL, 0};
    struct base_text names = {0};
    struct takt_error error = {TAKT_OK, ""};
    bool folder;
    base_text_append(&names, "", 0);
    assert_int_equal(hub_read_listing(&listing, "test", json, strlen(json), &error), TAKT_OK);
    const enum takt_status status = hub_choose(&listing, "o/m", wanted, &folder, &error);
    for (size_t i = 0; status == TAKT_OK && i < listing.count; i++)
        if (listing.files[i].chosen)
            base_text_format(&names, "%s ", listing.files[i].path);
    if (folder)
        base_text_append(&names, "in a folder", 11);
    assert_string_equal(status == TAKT_OK ? names.data : error.message, chosen);
    base_text_free(&names);
    hub_listing_free(&listing);
}

#define FILE_JSON(name) "{\"type\":\"file\",\"path\":\"" name "\",\"size\":1}"

static void test_choosing(void **state)
{
    (void)state;
    static const char kinds[] = "[" FILE_JSON("m-Q4_K_M.gguf") "," FILE_JSON(
        "m-Q8_0.gguf") "," FILE_JSON("mmproj-Q8_0.gguf") "," FILE_JSON("m.f16.gguf") "]";
    static const char shards[] = "[" FILE_JSON("q/m-Q6_K-00002-of-00002.gguf") "," FILE_JSON(
        "q/m-Q6_K-00001-of-00002.gguf") "," FILE_JSON("q/m-Q2_K-00001-of-00002.gguf") "]";
    static const char folder[] = "[" FILE_JSON("config.json") "," FILE_JSON(
        "model.safetensors") "," FILE_JSON("pytorch_model.bin") "," FILE_JSON("x/y.json") "]";
    expect_choice(kinds, NULL, "m-Q8_0.gguf ");
    expect_choice(kinds, "q4_k_m", "m-Q4_K_M.gguf ");
    expect_choice(kinds, "F16", "m.f16.gguf ");
    expect_choice(kinds, "M-Q4_K_M.GGUF", "m-Q4_K_M.gguf ");
    expect_choice(kinds, "Q4_K",
                  "o/m: it has no file \"Q4_K\"; takt pull o/m --list shows its 4 files");
    expect_choice(shards, NULL, "q/m-Q6_K-00002-of-00002.gguf q/m-Q6_K-00001-of-00002.gguf ");
    expect_choice(folder, NULL, "config.json model.safetensors in a folder");
    expect_choice("[" FILE_JSON("a.txt") "]", NULL,
                  "o/m: it has neither GGUF nor safetensors files, of 1 files in all");
}

static void test_command(void **state)
{
    (void)state;
    char command[512], line[512] = "", wanted[128];
    snprintf(command, sizeof command, "TAKT_HUB=%s/ %s pull o/m:Q8_0 -o %s/new 2>&1", hub.endpoint,
             TESTS_TAKT, hub.folder);
    FILE *pipe = popen(command, "r");
    assert_non_null(pipe);
    assert_non_null(fgets(line, sizeof line, pipe));
    assert_int_equal(pclose(pipe), 0);
    snprintf(wanted, sizeof wanted, "%s/new/m-Q8_0.gguf\n", hub.folder);
    assert_string_equal(line, wanted);
    assert_true(is_there("new/m-Q8_0.gguf", BIG_BYTES));
}

#define WITH_HUB(test) cmocka_unit_test_setup_teardown(test, open_hub, close_hub)

TEST_GROUP(hub, WITH_HUB(test_listing), WITH_HUB(test_download), WITH_HUB(test_broken_off),
           WITH_HUB(test_interrupted), WITH_HUB(test_no_ranges), WITH_HUB(test_wrong_bytes),
           WITH_HUB(test_token), cmocka_unit_test(test_choosing), WITH_HUB(test_command));

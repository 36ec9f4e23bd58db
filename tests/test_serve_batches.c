/* Files and batches. */
#include "serve_client.h"

#include "tests.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- files and batches ----------------------------------------------------------------------- */

static void stored(struct serve_options *options)
{
    options->data_path = client_folder;
}

static char *text_at(const json_t *json, const char *key)
{
    const char *text = json_string_value(json_object_get(json, key));
    return text ? strdup(text) : NULL;
}

static json_t *upload(const char *content, size_t length, bool chunked)
{
    struct base_text form = {0}, request = {0};
    base_text_format(
        &form,
        "--xx42\r\nContent-Disposition: form-data; name=\"purpose\"\r\n\r\nbatch\r\n--xx42\r\n"
        "Content-Disposition: form-data; name=\"file\"; filename=\"in.jsonl\"\r\n"
        "Content-Type: application/octet-stream\r\n\r\n");
    base_text_append(&form, content, length);
    base_text_format(&form, "\r\n--xx42--\r\n");
    base_text_format(&request, "POST /v1/files HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
                               "Content-Type: multipart/form-data; boundary=xx42\r\n");
    if (chunked) {
        base_text_format(&request, "Transfer-Encoding: chunked\r\n\r\n");
        for (size_t at = 0; at < form.length; at += 100) {
            const size_t part = BASE_MIN(form.length - at, 100);
            base_text_format(&request, "%zx\r\n", part);
            base_text_append(&request, form.data + at, part);
            base_text_format(&request, "\r\n");
        }
        base_text_format(&request, "0\r\n\r\n");
    } else {
        base_text_format(&request, "Content-Length: %zu\r\n\r\n", form.length);
        base_text_append(&request, form.data, form.length);
    }
    json_t *file = client_json(client_exchange(request.data, request.length));
    base_text_free(&form);
    base_text_free(&request);
    return file;
}

static char *start_batch(const char *file)
{
    char body[300];
    snprintf(
        body, sizeof body,
        "{\"input_file_id\":\"%s\",\"endpoint\":\"/v1/chat/completions\",\"completion_window\":"
        "\"24h\",\"metadata\":{\"a\":\"b\"}}",
        file);
    json_t *batch = client_json(client_post("/v1/batches", body));
    char *id = text_at(batch, "id");
    json_decref(batch);
    return id;
}

static json_t *batch_of(const char *id)
{
    char path[100];
    snprintf(path, sizeof path, "/v1/batches/%s", id);
    return client_json(client_ask("GET", path, "", NULL, 0));
}

static json_t *wait_batch(const char *id, const char *status)
{
    for (int i = 0;; i++) {
        json_t *batch = batch_of(id);
        const char *here = json_string_value(json_object_get(batch, "status"));
        if (strcmp(here, status) == 0) {
            return batch;
        }
        if (i == 4000) {
            fail_msg("the batch is %s, not %s", here, status);
        }
        json_decref(batch);
        poll(NULL, 0, 5);
    }
}

static char *content_at(const json_t *batch, const char *key)
{
    char path[120];
    snprintf(path, sizeof path, "/v1/files/%s/content",
             json_string_value(json_object_get(batch, key)));
    return client_ask("GET", path, "", NULL, 0);
}

enum { LINES = 24 };

static void write_lines(struct base_text *text)
{
    for (int i = 0; i < LINES; i++) {
        base_text_format(
            text,
            "{\"custom_id\":\"c%d\",\"method\":\"POST\",\"url\":\"/v1/chat/completions\","
            "\"body\":{\"model\":\"%s\",\"messages\":[{\"role\":\"user\",\"content\":\"Tell "
            "me story %d.\"}],\"max_tokens\":%d}}\n%s",
            i, i == 7 ? "none" : "fable-q8_0", i, 10 + i, i == 3 ? "\n" : "");
    }
}

/* Every line once, in order; the server is stopped in between and takes up where it was. */
static void batches(void **state)
{
    client_make_folder();
    client_start(stored);
    struct base_text lines = {0};
    write_lines(&lines);
    json_t *file = upload(lines.data, lines.length, true);
    assert_int_equal(json_integer_value(json_object_get(file, "bytes")), lines.length);
    char *id = start_batch(json_string_value(json_object_get(file, "id")));
    json_decref(file);
    client_teardown(state); /* at once: few lines are done, some were with the model */
    client_start(stored);
    json_t *batch = wait_batch(id, "completed");
    const json_t *counts = json_object_get(batch, "request_counts");
    assert_int_equal(json_integer_value(json_object_get(counts, "completed")), LINES - 1);
    assert_int_equal(json_integer_value(json_object_get(counts, "failed")), 1);
    char *output = content_at(batch, "output_file_id");
    const char *at = client_body(output);
    for (int i = 0; i < LINES; i++) {
        char part[32];
        snprintf(part, sizeof part, "\"custom_id\":\"c%d\"", i);
        const char *newline = strchr(at, '\n');
        if (i == 7) {
            continue;
        }
        assert_non_null(newline);
        const char *found = strstr(at, part);
        assert_true(found && found < newline);
        at = newline + 1;
    }
    assert_int_equal(*at, '\0');
    free(output);
    client_expect(content_at(batch, "error_file_id"), 200, "model_not_found", "error file");
    json_decref(batch);
    free(id);
    base_text_free(&lines);
    client_teardown(state);
    client_drop_folder();
}

static void batch_faults(void **state)
{
    client_make_folder();
    client_start(stored);
    static const char bad[] =
        "{\"custom_id\":\"a\",\"method\":\"POST\",\"url\":\"/v1/chat/completions\","
        "\"body\":{}}\nnot json\n{\"custom_id\":\"a\",\"method\":\"GET\"}\n";
    json_t *file = upload(bad, strlen(bad), false);
    char *id = start_batch(json_string_value(json_object_get(file, "id")));
    json_t *batch = wait_batch(id, "failed");
    const json_t *errors = json_object_get(json_object_get(batch, "errors"), "data");
    assert_int_equal(json_array_size(errors), 2);
    assert_int_equal(json_integer_value(json_object_get(json_array_get(errors, 0), "line")), 2);
    json_decref(batch);
    free(id);
    char path[100];
    snprintf(path, sizeof path, "/v1/files/%s", json_string_value(json_object_get(file, "id")));
    client_expect(client_ask("GET", path, "", NULL, 0), 200, "in.jsonl", "file");
    client_expect(client_ask("DELETE", path, "", NULL, 0), 200, "\"deleted\":true", "delete");
    client_expect(client_ask("GET", path, "", NULL, 0), 404, "file_not_found", "gone");
    client_expect(client_ask("GET", "/v1/files/../takt.db/content", "", NULL, 0), 404, "not_found",
                  "a path");
    client_expect(client_post("/v1/batches", "{\"endpoint\":\"/v1/x\"}"), 400, "'endpoint'",
                  "endpoint");
    client_expect(client_post("/v1/batches",
                              "{\"endpoint\":\"/v1/completions\",\"completion_window\":\"24h\","
                              "\"input_file_id\":\"file-none\"}"),
                  400, "'input_file_id'", "input");
    client_expect(client_post("/v1/batches/none/cancel", "{}"), 404, "batch_not_found", "cancel");
    client_expect(client_post("/v1/files", "{}"), 400, "multipart/form-data", "no form");
    client_expect(client_ask("GET", "/v1/batches?limit=0", "", NULL, 0), 400, "'limit'", "limit");
    client_expect(client_ask("GET", "/v1/batches?limit=1", "", NULL, 0), 200, "\"has_more\":false",
                  "list");
    json_decref(file);
    client_teardown(state);
    client_drop_folder();
}

/* Forms that are none, break off, or have parts that nobody asked for. */
static void odd_forms(void **state)
{
    static const struct {
        const char *form;
        int status;
        const char *part;
    } cases[] = {
        {"", 400, "breaks off"},
        {"hello", 400, "'file'"},
        {"--xx42--\r\n", 400, "'file'"},
        {"--xx42\r\n\r\nno name\r\n--xx42--\r\n", 400, "'file'"},
        {"--xx42\r\nContent-Disposition: form-data\r\n\r\nno name\r\n--xx42--\r\n", 400, "'file'"},
        {"--xx42\r\nContent-Disposition: form-data; name=\"purpose\"\r\n\r\nbatch\r\n--xx42\r\n"
         "Content-Disposition: form-data; name=\"file\"; filename=\"a\"\r\n\r\n{\"broken\":",
         400, "breaks off"},
        {"--xx42\r\nContent-Disposition: form-data; name=\"purpose\"\r\n\r\nfine-tune\r\n--xx42\r\n"
         "Content-Disposition: form-data; name=\"file\"; filename=\"a\"\r\n\r\n{}\r\n--xx42--\r\n",
         400, "'purpose'"},
        {"--xx42\r\nContent-Disposition: form-data; name=\"purpose\"\r\n\r\nbatch\r\n--xx42\r\n"
         "Content-Disposition: form-data; name=\"file\"; filename=\"\"\r\n\r\n\r\n--xx42--\r\n",
         400, "it is empty"},
    };
    client_make_folder();
    client_start(stored);
    for (size_t i = 0; i < BASE_COUNT(cases); i++) {
        struct base_text request = {0};
        base_text_format(&request,
                         "POST /v1/files HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: "
                         "multipart/form-data; boundary=xx42\r\nContent-Length: %zu\r\n\r\n%s",
                         strlen(cases[i].form), cases[i].form);
        client_expect(client_exchange(request.data, request.length), cases[i].status, cases[i].part,
                      cases[i].form);
        base_text_free(&request);
    }
    client_teardown(state);
    client_drop_folder();
}

TEST_GROUP(serve_batches, cmocka_unit_test(batches), cmocka_unit_test(batch_faults),
           cmocka_unit_test(odd_forms));

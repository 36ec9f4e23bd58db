/*
 * Packed weights in files: the same bits with and without, at every level and number of threads;
 * whatever is wrong with the file, it is not used, one notice says why, and the bits are the same
 * again.
 */
#include "tests.h"

#include "base/base.h"
#include "gguf_writer.h"
#include "run/run.h"
#include "takt.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

enum { VOCAB = 300, TOKENS = 5 };

static const struct gguf_random shape = {.seed = 11,
                                         .layers = 2,
                                         .width = 64,
                                         .heads = 4,
                                         .kv_heads = 2,
                                         .ffn = 96,
                                         .vocab = VOCAB,
                                         .type = MODEL_Q8_0};

static void require(enum takt_status status, const struct takt_error *error)
{
    if (status != TAKT_OK)
        fail_msg("%s", error->message);
}

/* A folder with a model, its packed weights, and the logits that the model gives without them. */
struct place {
    char folder[64], model[96], pack[128];
    struct base_text bytes; /* of the packed weights */
    float logits[VOCAB];
};

/* Notices of one opening. */
struct notices {
    uint32_t count;
    char last[2048];
};

static void on_notice(void *user, const char *text)
{
    struct notices *notices = user;
    notices->count++;
    snprintf(notices->last, sizeof notices->last, "%s", text);
}

static struct takt_engine *open_with(const struct place *place, const char *pack, const char *cpu,
                                     uint32_t threads, struct notices *notices)
{
    struct takt_engine *engine;
    struct takt_error error;
    *notices = (struct notices){0};
    const struct takt_engine_options options = {.model_path = place->model,
                                                .target = TAKT_TARGET_NATIVE,
                                                .context = 16,
                                                .sessions = 1,
                                                .batch = 16,
                                                .threads = threads,
                                                .cpu = cpu,
                                                .pack_path = pack,
                                                .on_notice = on_notice,
                                                .user = notices};
    require(takt_engine_open(&engine, &options, &error), &error);
    return engine;
}

static void run_logits(struct takt_engine *engine, float logits[VOCAB])
{
    static const uint32_t tokens[TOKENS] = {5, 200, 17, 99, 258};
    struct takt_session *session;
    struct takt_error error;
    require(takt_session_open(&session, engine, &error), &error);
    require(takt_session_extend(session, tokens, TOKENS, logits, NULL, &error), &error);
    takt_session_close(session);
}

static bool uses_pack(const struct takt_engine *engine)
{
    struct takt_native_info info;
    takt_native_info(engine, &info);
    return info.pack_path != NULL;
}

static void read_bytes(const char *path, struct base_text *out)
{
    struct base_file file;
    struct takt_error error;
    require(base_file_map(&file, path, &error), &error);
    out->length = 0;
    base_text_append(out, (const char *)file.data, file.size_bytes);
    base_file_unmap(&file);
}

static void write_bytes(const char *path, const char *bytes, size_t length)
{
    struct takt_error error;
    require(base_file_write(path, bytes, length, &error), &error);
}

static int open_place(void **state)
{
    struct place *place = calloc(1, sizeof *place);
    struct notices notices;
    struct takt_error error;
    strcpy(place->folder, "/tmp/takt-packed-XXXXXX");
    if (place == NULL || mkdtemp(place->folder) == NULL)
        return -1;
    snprintf(place->model, sizeof place->model, "%s/m.gguf", place->folder);
    snprintf(place->pack, sizeof place->pack, "%s.takt-pack", place->model);
    if (!gguf_write_random(place->model, &shape))
        return -1;
    struct takt_engine *engine = open_with(place, NULL, NULL, 2, &notices);
    assert_int_equal(notices.count, 0);
    assert_false(uses_pack(engine));
    assert_string_equal(takt_pack_path(engine), place->pack);
    run_logits(engine, place->logits);
    require(takt_pack(engine, NULL, &error), &error);
    takt_engine_close(engine);
    read_bytes(place->pack, &place->bytes);
    *state = place;
    return 0;
}

static int close_place(void **state)
{
    struct place *place = *state;
    unlink(place->pack);
    unlink(place->model);
    rmdir(place->folder);
    base_text_free(&place->bytes);
    free(place);
    return 0;
}

/* The packed weights as they are now are refused with `why` in the notice, or used (why NULL). */
static void expect(const struct place *place, const char *why)
{
    struct notices notices;
    float logits[VOCAB];
    struct takt_engine *engine = open_with(place, NULL, NULL, 2, &notices);
    if (why == NULL && (notices.count != 0 || !uses_pack(engine)))
        fail_msg("not used: %s", notices.last);
    if (why != NULL && (notices.count != 1 || uses_pack(engine) ||
                        strstr(notices.last, why) == NULL || strchr(notices.last, '\n') != NULL))
        fail_msg("%u notices, not one with \"%s\": %s", notices.count, why, notices.last);
    run_logits(engine, logits);
    assert_memory_equal(logits, place->logits, sizeof logits);
    takt_engine_close(engine);
}

/* ---- the same bits --------------------------------------------------------------------------- */

static void same_bits(void **state)
{
    const struct place *place = *state;
    const char *level;
    bool usable;
    for (size_t i = 0; (level = takt_cpu_level(i, &usable)) != NULL; i++)
        for (uint32_t threads = 1; usable && threads <= 3; threads++) {
            struct notices notices;
            float logits[VOCAB];
            struct takt_engine *engine = open_with(place, NULL, level, threads, &notices);
            struct takt_error error;
            assert_true(uses_pack(engine));
            run_logits(engine, logits);
            assert_memory_equal(logits, place->logits, sizeof logits);
            assert_int_equal(takt_pack(engine, NULL, &error), TAKT_USAGE);
            takt_engine_close(engine);
        }
    struct notices notices;
    struct takt_engine *engine = open_with(place, "", NULL, 2, &notices);
    assert_false(uses_pack(engine));
    takt_engine_close(engine);
}

/* What is written does not depend on who writes it. */
static void same_file(void **state)
{
    const struct place *place = *state;
    const char *level;
    bool usable;
    struct base_text bytes = {0};
    char path[160];
    snprintf(path, sizeof path, "%s/other", place->folder);
    for (size_t i = 0; (level = takt_cpu_level(i, &usable)) != NULL; i++) {
        struct notices notices;
        struct takt_error error;
        if (!usable)
            continue;
        struct takt_engine *engine = open_with(place, "", level, 1 + (uint32_t)i, &notices);
        require(takt_pack(engine, path, &error), &error);
        takt_engine_close(engine);
        read_bytes(path, &bytes);
        assert_int_equal(bytes.length, place->bytes.length);
        /* From the weights on; the header says which file the model was. */
        assert_memory_equal(bytes.data + 4096, place->bytes.data + 4096, bytes.length - 4096);
    }
    unlink(path);
    base_text_free(&bytes);
}

/* ---- damage ---------------------------------------------------------------------------------- */

static void cut(void **state)
{
    struct place *place = *state;
    const size_t whole = place->bytes.length;
    const size_t lengths[] = {0, 1, 8, 4095, 4096, 4097, whole / 2, whole - 64, whole - 1};
    for (size_t i = 0; i < BASE_COUNT(lengths); i++) {
        write_bytes(place->pack, place->bytes.data, lengths[i]);
        expect(place, lengths[i] < 4096 ? "is no file of packed weights" : "is cut short");
    }
    base_text_append(&place->bytes, "more", 4);
    write_bytes(place->pack, place->bytes.data, place->bytes.length);
    expect(place, "is cut short");
}

/* A bit of each byte of the header; bits of everything else. */
static void flipped(void **state)
{
    struct place *place = *state;
    for (size_t at = 0; at < 4096; at++) {
        struct native_packed *packed;
        struct takt_error error;
        place->bytes.data[at] = (char)(place->bytes.data[at] ^ 1 << at % 8);
        write_bytes(place->pack, place->bytes.data, place->bytes.length);
        place->bytes.data[at] = (char)(place->bytes.data[at] ^ 1 << at % 8);
        if (native_packed_open(&packed, place->pack, &error) != TAKT_FORMAT)
            fail_msg("a bit of byte %zu was not noticed", at);
    }
    for (uint32_t i = 0; i < 150; i++) {
        const uint64_t random = base_random_u64(3, 0, i);
        const size_t at = 4096 + (size_t)(random % (place->bytes.length - 4096));
        place->bytes.data[at] = (char)(place->bytes.data[at] ^ 1 << (random >> 60) % 8);
        write_bytes(place->pack, place->bytes.data, place->bytes.length);
        place->bytes.data[at] = (char)(place->bytes.data[at] ^ 1 << (random >> 60) % 8);
        expect(place, "is damaged");
    }
}

static void other_versions(void **state)
{
    struct place *place = *state;
    place->bytes.data[16]++; /* after the magic and the byte order */
    write_bytes(place->pack, place->bytes.data, place->bytes.length);
    expect(place, "was written by another version of takt");
    place->bytes.data[16]--;
    place->bytes.data[8]++;
    write_bytes(place->pack, place->bytes.data, place->bytes.length);
    expect(place, "was written by another version of takt");
}

/* ---- whose weights they are ------------------------------------------------------------------ */

static void other_models(void **state)
{
    struct place *place = *state;
    struct base_text bytes = {0};
    struct notices notices;
    read_bytes(place->model, &bytes);
    write_bytes(place->model, bytes.data, bytes.length); /* another file, the same bytes */
    expect(place, NULL);
    struct gguf_random other = shape;
    other.seed++;
    assert_true(gguf_write_random(place->model, &other));
    struct takt_engine *engine = open_with(place, "", NULL, 2, &notices);
    run_logits(engine, place->logits);
    takt_engine_close(engine);
    expect(place, "is not of the bytes of ");
    other.ffn = 128; /* other sizes too */
    assert_true(gguf_write_random(place->model, &other));
    engine = open_with(place, "", NULL, 2, &notices);
    run_logits(engine, place->logits);
    takt_engine_close(engine);
    expect(place, "is not of the bytes of ");
    base_text_free(&bytes);
}

/* The model's files are what they were: the digest is taken from the packed weights. Its place is
 * given a word that no file has. */
static void stamps(void **state)
{
    struct place *place = *state;
    static const char claimed[] =
        "0123456789012345678901234567890123456789012345678901234567890123";
    struct notices notices;
    struct takt_error error;
    struct takt_model_info info;
    struct takt_engine *engine = open_with(place, "", NULL, 2, &notices);
    struct native_packed_source source = {.stamp_count = 1};
    source.stamps[0] = engine->model->files.file[0].stamp;
    memcpy(source.sha256, claimed, sizeof claimed);
    require(native_packed_write(engine->native, &source, place->pack, &error), &error);
    struct takt_engine *quick = open_with(place, NULL, NULL, 2, &notices);
    takt_engine_info(quick, &info);
    assert_string_equal(info.sha256, claimed);
    takt_engine_close(quick);
    for (int field = 0; field < 5; field++) {
        struct base_stamp *stamp = &source.stamps[0];
        uint64_t *const fields[] = {&stamp->device, &stamp->inode, &stamp->size_bytes,
                                    &stamp->written_ns, &stamp->changed_ns};
        ++*fields[field];
        require(native_packed_write(engine->native, &source, place->pack, &error), &error);
        expect(place, "is not of the bytes of ");
        --*fields[field];
    }
    takt_engine_close(engine);
}

/* ---- writing --------------------------------------------------------------------------------- */

/* Packs with files limited to some bytes; with `killed` the limit ends the process. */
static int pack_limited(const struct place *place, size_t most, bool killed)
{
    const pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        const struct rlimit limit = {most, most};
        struct notices notices;
        struct takt_error error;
        struct takt_engine *engine = open_with(place, "", NULL, 2, &notices);
        signal(SIGXFSZ, killed ? SIG_DFL : SIG_IGN);
        setrlimit(RLIMIT_FSIZE, &limit);
        _exit(takt_pack(engine, NULL, &error) == TAKT_IO ? 3 : 4);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    char temporary[192];
    snprintf(temporary, sizeof temporary, "%s.%ld.0", place->pack, (long)child);
    assert_int_equal(unlink(temporary) == 0, killed); /* a process that was killed leaves it */
    return status;
}

static void half_written(void **state)
{
    struct place *place = *state;
    for (int there = 1; there >= 0; there--) {
        for (size_t i = 0; i < 4; i++) {
            const size_t most = i * place->bytes.length / 4 + 100;
            int status = pack_limited(place, most, true);
            assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGXFSZ);
            status = pack_limited(place, most, false);
            assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 3);
            if (there)
                expect(place, NULL); /* what was there before */
            else
                assert_int_equal(access(place->pack, F_OK), -1);
        }
        unlink(place->pack);
    }
}

static void not_there(void **state)
{
    struct place *place = *state;
    struct notices notices;
    unlink(place->pack);
    struct takt_engine *engine = open_with(place, NULL, NULL, 1, &notices);
    assert_int_equal(notices.count, 0);
    takt_engine_close(engine);
    engine = open_with(place, place->pack, NULL, 1, &notices); /* it was asked for */
    assert_int_equal(notices.count, 1);
    takt_engine_close(engine);
    struct takt_error error;
    engine = open_with(place, "", NULL, 1, &notices);
    assert_int_equal(takt_pack(engine, "/nowhere/pack", &error), TAKT_IO);
    takt_engine_close(engine);
}

/* ---- the command ----------------------------------------------------------------------------- */

/* What a command line prints; standard error with it. */
static void run_command(const char *words, char *out, size_t room)
{
    char line[512];
    snprintf(line, sizeof line, TESTS_TAKT " %s 2>&1", words);
    FILE *pipe = popen(line, "r");
    assert_non_null(pipe);
    const size_t length = fread(out, 1, room - 1, pipe);
    out[length] = '\0';
    assert_int_equal(pclose(pipe), 0);
}

static void commands(void **state)
{
    struct place *place = *state;
    char words[400], plain[4096], out[4096];
    snprintf(words, sizeof words, "pack %s --threads 1", place->model);
    unlink(place->pack);
    run_command(words, out, sizeof out);
    assert_int_equal(strncmp(out, place->pack, strlen(place->pack)), 0);
    assert_non_null(strstr(out, " bytes, in "));
    const char *bench = "bench %s --prompt 8 --tokens 0 --batches 0 --repeat 1%s";
    snprintf(words, sizeof words, bench, place->model, "");
    run_command(words, plain, sizeof plain);
    assert_null(strstr(plain, "takt bench:"));
    write_bytes(place->pack, place->bytes.data, place->bytes.length / 2);
    run_command(words, out, sizeof out);
    char *line = strstr(out, "takt bench: ");
    assert_non_null(line);
    assert_non_null(strstr(line, "is cut short; the weights are packed anew"));
    assert_null(strstr(line + 1, "takt bench: "));
    snprintf(words, sizeof words, bench, place->model, " --pack none");
    run_command(words, out, sizeof out);
    assert_null(strstr(out, "takt bench:"));
}

#define WITH_PLACE(test) cmocka_unit_test_setup_teardown(test, open_place, close_place)

TEST_GROUP(packed, WITH_PLACE(same_bits), WITH_PLACE(same_file), WITH_PLACE(cut),
           WITH_PLACE(flipped), WITH_PLACE(other_versions), WITH_PLACE(other_models),
           WITH_PLACE(stamps), WITH_PLACE(half_written), WITH_PLACE(not_there),
           WITH_PLACE(commands));

/* See runs.h. */
#include "runs.h"

#include "base/base.h"
#include "tests.h"

#include <string.h>

static enum takt_status open_engine(const struct run_case *run, struct takt_engine **engine,
                                    struct takt_error *error)
{
    const struct takt_engine_options options = {.model_path = run->model,
                                                .machine_path = run->machine,
                                                .target = run->target,
                                                .context = run->context,
                                                .chunk = run->chunk,
                                                .threads = run->threads,
                                                .cpu = run->cpu,
                                                .users = run->users};
    return takt_engine_open(engine, &options, error);
}

struct takt_engine *runs_open(const struct run_case *run)
{
    struct takt_engine *engine;
    struct takt_error error = {0};
    if (open_engine(run, &engine, &error) != TAKT_OK) {
        fail_msg("%s", error.message);
    }
    return engine;
}

enum takt_status runs_try(const struct run_case *run, struct takt_result *result, bool *opened,
                          struct takt_error *error)
{
    struct takt_engine *engine;
    *result = (struct takt_result){0};
    enum takt_status status = open_engine(run, &engine, error);
    *opened = status == TAKT_OK;
    if (!*opened) {
        return status;
    }
    const struct takt_request request = {.prompt = run->prompt,
                                         .chat = run->chat,
                                         .max_tokens = run->tokens,
                                         .sampling = {.top_p = 1.0f},
                                         .all_logits = true};
    status = takt_generate(engine, &request, result, error);
    takt_engine_close(engine);
    return status;
}

const char *runs_check_steps(const struct takt_result *result, enum takt_target target)
{
    size_t prefilled = 0, decoded = 0;
    for (size_t i = 0; i < result->step_count; i++) {
        const struct takt_step *step = &result->steps[i];
        if (step->cycles_executed != step->cycles_compiled) {
            return "a step took other cycles than it was compiled for";
        }
        if ((step->cycles_executed > 0) != (target == TAKT_TARGET_CHIP)) {
            return "a step on the chip took no cycles, or one on the reference some";
        }
        *(step->prefill ? &prefilled : &decoded) += step->tokens;
    }
    if (prefilled != result->prompt_count) {
        return "the prefill steps do not hold the prompt";
    }
    if (decoded != (result->token_count > 0 ? result->token_count - 1 : 0)) {
        return "the decode steps do not hold the tokens but the last";
    }
    const size_t hash = strlen(result->program_hash);
    return hash == (target == TAKT_TARGET_CHIP ? 64u : 0u) ? NULL : "the program hash is cut";
}

void runs_generate(const struct run_case *run, struct takt_result *result)
{
    struct takt_error error = {0};
    bool opened;
    if (runs_try(run, result, &opened, &error) != TAKT_OK) {
        fail_msg("%s", error.message);
    }
    const char *wrong = runs_check_steps(result, run->target);
    if (wrong != NULL) {
        fail_msg("%s: %s", run->model, wrong);
    }
}

void runs_digest(const struct run_case *run, char digest[65])
{
    struct takt_result result;
    runs_generate(run, &result);
    memcpy(digest, result.logits_digest, 65);
    takt_result_free(&result);
}

static void expect_native(const struct run_case *run, const char *expected)
{
    char digest[65];
    runs_digest(run, digest);
    if (strcmp(digest, expected) != 0) {
        fail_msg("%s, native: level %s, %u threads, chunk %u: other bits", run->model, run->cpu,
                 run->threads, run->chunk);
    }
}

void runs_expect_native(struct run_case run, const char *digest)
{
    static const uint32_t chunks[] = {1, 7, 64, 512}, threads[] = {1, 2, 4, 2};
    bool usable;
    const char *best = NULL, *level;
    run.target = TAKT_TARGET_NATIVE;
    run.machine = NULL;
    run.chunk = 64;
    run.threads = 2;
    for (size_t i = 0; (level = takt_cpu_level(i, &usable)) != NULL; i++) {
        if (usable) {
            run.cpu = best = level;
            expect_native(&run, digest);
        }
    }
    run.cpu = best;
    for (size_t i = 0; i < BASE_COUNT(chunks); i++) {
        run.chunk = chunks[i];
        run.threads = threads[i];
        expect_native(&run, digest);
    }
}

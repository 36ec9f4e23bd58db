/* One generation on one target, as `takt run --all-logits` makes it, for tests that compare two. */
#ifndef TESTS_RUNS_H
#define TESTS_RUNS_H

#include "takt.h"

struct run_case {
    const char *model, *machine; /* machine: a file; NULL = tsp1 */
    enum takt_target target;
    uint32_t context, chunk, users; /* as in struct takt_engine_options */
    const char *prompt;
    bool chat;
    uint32_t tokens;  /* most tokens to generate */
    uint32_t threads; /* native */
    const char *cpu;
};

/* Opens an engine; the test fails with the message when it cannot. */
struct takt_engine *runs_open(const struct run_case *run);
/* Opens, generates, closes. *opened says whether an error came after the engine was open. */
enum takt_status runs_try(const struct run_case *run, struct takt_result *result, bool *opened,
                          struct takt_error *error);
/* The same; the test fails when that fails or the steps are not what they must be. */
void runs_generate(const struct run_case *run, struct takt_result *result);
/* Every step took the cycles it was compiled for (none on the reference), and the steps hold all
 * tokens but the last one drawn. NULL, or what does not hold. */
const char *runs_check_steps(const struct takt_result *result, enum takt_target target);
/* runs_generate for the digest alone. */
void runs_digest(const struct run_case *run, char digest[65]);
/* The test fails unless the native target gives that digest: at every level this CPU has, with 1, 2
 * and 4 threads, and chunks of 1, 7, 64 and 512. */
void runs_expect_native(struct run_case run, const char *digest);

#endif

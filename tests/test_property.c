/*
 * Random small models on random machines: whatever the sizes, the chip gives the bits of the
 * reference in the cycles that were compiled, or the model is refused when the engine opens.
 *
 * A case is a pure function of its seed. TAKT_PROPERTY_CASES says how many run, TAKT_PROPERTY_SEED
 * which seed is the first. A case that fails is made smaller while it still fails; its files stay
 * and the command that repeats it is printed. Each case runs in a process of its own, so that an
 * assertion of ours costs one case, not the suite.
 */
#include "tests.h"

#include "gguf_writer.h"
#include "machine/machine.h"
#include "runs.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define CASES 25
#define CASE_SECONDS 300
#define SHRUNK_MAX 3 /* failures made smaller; the others are only printed */
#define SHRINK_SECONDS 60.0
#define VOCAB_MIN 30 /* three control tokens, then the bytes from ' ' to at least '9' */

struct property {
    uint64_t seed;
    struct gguf_random shape;
    struct machine machine;
    uint32_t context, chunk, tokens, prompt_length;
};

/* ---- drawing a case -------------------------------------------------------------------------- */

struct draw {
    uint64_t seed, counter;
};

static uint32_t draw(struct draw *d, uint32_t low, uint32_t high)
{
    const uint64_t random = base_random_u64(d->seed, 77, d->counter++);
    return low + (uint32_t)(random % (high - low + 1));
}

static bool one_in(struct draw *d, uint32_t n)
{
    return draw(d, 1, n) == 1;
}

static struct gguf_random draw_shape(struct draw *d)
{
    struct gguf_random shape = {.seed = d->seed, .context = 1024};
    shape.layers = one_in(d, 2) ? 1 : draw(d, 2, 3);
    shape.kv_heads = one_in(d, 2) ? 1 : draw(d, 2, 5);
    shape.heads = shape.kv_heads * draw(d, 1, 4);
    shape.head_dim = 2 * draw(d, 1, 20);
    shape.width = draw(d, 7, one_in(d, 2) ? 60 : 400);
    shape.ffn = draw(d, 5, one_in(d, 2) ? 90 : 500);
    shape.vocab = draw(d, VOCAB_MIN, one_in(d, 2) ? 100 : 700);
    shape.tied = one_in(d, 2);
    shape.spm = one_in(d, 3);
    shape.type = (enum model_type)draw(d, 0, GGUF_RANDOM_TYPES - 1);
    if (shape.type == MODEL_Q8_0 && !one_in(d, 4)) { /* blocks of 32 */
        shape.width = (shape.width + 31) / 32 * 32;
        shape.ffn = one_in(d, 2) ? (shape.ffn + 31) / 32 * 32 : shape.ffn;
    }
    return shape;
}

/* Every parameter anywhere in its bounds, but those that would make every model too large, or the
 * machine too slow to test. */
static struct machine draw_random_machine(struct draw *d)
{
    static const struct {
        const char *name;
        uint32_t low, high, step;
    } narrowed[] = {
        {"superlanes", 5, 24, 1},         {"mem_slices", 20, 60, 4},
        {"mem_words", 512, 8192, 2},      {"io_positions", 0, 6, 1},
        {"mxm_accumulators", 64, 512, 1}, {"notify_cycles", 3, 100, 1},
        {"icu_buffer_blocks", 0, 8, 4},
    };
    struct machine machine;
    do {
        machine_tsp1(&machine);
        snprintf(machine.name, sizeof machine.name, "random");
        for (uint32_t i = 0; i < machine_parameter_count(); i++) {
            const struct machine_parameter *p = machine_parameter(i);
            machine_parameter_put(&machine, i, draw(d, p->minimum, p->maximum));
        }
        for (size_t i = 0; i < BASE_COUNT(narrowed); i++) {
            uint32_t index;
            const uint32_t steps = (narrowed[i].high - narrowed[i].low) / narrowed[i].step;
            assert_true(machine_parameter_find(narrowed[i].name, &index));
            machine_parameter_put(&machine, index,
                                  narrowed[i].low + narrowed[i].step * draw(d, 0, steps));
        }
    } while (machine_check(&machine, NULL) != TAKT_OK); /* too many positions */
    return machine;
}

static struct machine draw_machine(struct draw *d)
{
    static const char *const files[] = {"machines/half.machine", "machines/slow.machine"};
    struct machine machine;
    machine_tsp1(&machine);
    const uint32_t which = draw(d, 0, 7);
    if (which < BASE_COUNT(files)) {
        assert_int_equal(machine_read(&machine, files[which], NULL), TAKT_OK);
    } else if (which > 2) {
        machine = draw_random_machine(d);
    }
    return machine;
}

static struct property draw_property(uint64_t seed)
{
    struct draw d = {seed, 0};
    struct property p = {.seed = seed, .shape = draw_shape(&d), .machine = draw_machine(&d)};
    p.chunk = one_in(&d, 3) ? 1 : draw(&d, 2, p.shape.layers == 1 && one_in(&d, 4) ? 40 : 12);
    if (p.chunk > 1 && seed % 3 == 0) { /* whole blocks of the cache: another way through it */
        p.chunk = 16 * (1 + (uint32_t)(seed / 3 % 4));
    }
    p.chunk = BASE_MIN(p.chunk, p.machine.mxm_accumulators);
    /* A third of the prompts pass a bucket of a narrow machine. */
    p.prompt_length = draw(&d, 1, one_in(&d, 3) ? 200 : 30);
    p.tokens = draw(&d, 0, 6);
    p.context = p.prompt_length + p.tokens + 8 + (one_in(&d, 2) ? 0 : draw(&d, 0, 400));
    if (one_in(&d, 8)) { /* hardly any memory: many of these are refused */
        p.machine.mem_words = 2 * draw(&d, 32, 400);
    }
    return p;
}

/* Letters and digits that the vocabulary has: neither a shell nor a tokenizer minds them. */
static void prompt_of(const struct property *p, char prompt[256])
{
    static const char all[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    size_t count = 0;
    while (all[count] != '\0' && (uint32_t)all[count] < ' ' + p->shape.vocab - 3) {
        count++;
    }
    assert_true(count > 0 && p->prompt_length < 256);
    for (uint32_t i = 0; i < p->prompt_length; i++) {
        prompt[i] = all[base_random_u64(p->seed, 78, i) % count];
    }
    prompt[p->prompt_length] = '\0';
}

/* ---- running it ------------------------------------------------------------------------------ */

struct files {
    char folder[64], model[96], machine[96];
};

static struct files files_of(uint64_t seed)
{
    struct files files;
    snprintf(files.folder, sizeof files.folder, "/tmp/takt-property-%d-%llu", (int)getpid(),
             (unsigned long long)seed);
    snprintf(files.model, sizeof files.model, "%s/model.gguf", files.folder);
    snprintf(files.machine, sizeof files.machine, "%s/test.machine", files.folder);
    return files;
}

static void write_files(const struct property *p, const struct files *files)
{
    struct base_text text = {0};
    mkdir(files->folder, 0700);
    assert_true(gguf_write_random(files->model, &p->shape));
    machine_write(&p->machine, &text);
    assert_int_equal(base_file_write(files->machine, text.data, text.length, NULL), TAKT_OK);
    base_text_free(&text);
}

static void remove_files(const struct files *files)
{
    unlink(files->model);
    unlink(files->machine);
    rmdir(files->folder);
}

enum verdict { FAILED, REFUSED, AGREED };

/* What a case's process tells the test. */
struct outcome {
    enum verdict verdict;
    bool timed_out;
    char text[1200];
};

static bool is_refusal(enum takt_status status)
{
    return status == TAKT_CAPACITY || status == TAKT_UNSUPPORTED || status == TAKT_LIMIT;
}

static struct outcome run_here(const struct property *p, const struct files *files)
{
    char prompt[256];
    prompt_of(p, prompt);
    struct run_case run = {.model = files->model,
                           .machine = files->machine,
                           .target = TAKT_TARGET_CHIP,
                           .context = p->context,
                           .chunk = p->chunk,
                           .prompt = prompt,
                           .tokens = p->tokens};
    struct outcome outcome = {.verdict = FAILED};
    struct takt_result chip, reference, native;
    struct takt_error error = {0};
    bool opened;
    const enum takt_status status = runs_try(&run, &chip, &opened, &error);
    if (status != TAKT_OK) { /* refused at once and with a reason, or it is a failure */
        const bool refused = is_refusal(status) && !opened && strlen(error.message) > 0;
        outcome.verdict = refused ? REFUSED : FAILED;
        snprintf(outcome.text, sizeof outcome.text, "%s%s", opened ? "while running: " : "",
                 error.message);
        return outcome;
    }
    run.target = TAKT_TARGET_REFERENCE;
    run.chunk = 1;
    if (runs_try(&run, &reference, &opened, &error) != TAKT_OK) {
        snprintf(outcome.text, sizeof outcome.text, "the reference: %s", error.message);
        return outcome;
    }
    /* The native target: any chunk, number of threads and level, chosen by the tokens to make. */
    bool usable;
    run.target = TAKT_TARGET_NATIVE;
    run.machine = NULL;
    run.chunk = p->chunk;
    run.threads = 1 + p->tokens % 3;
    run.cpu = takt_cpu_level(p->tokens % 4, &usable);
    run.cpu = run.cpu != NULL && usable ? run.cpu : NULL;
    if (runs_try(&run, &native, &opened, &error) != TAKT_OK) {
        snprintf(outcome.text, sizeof outcome.text, "native: %s", error.message);
        return outcome;
    }
    const char *wrong = runs_check_steps(&chip, TAKT_TARGET_CHIP);
    if (wrong != NULL) {
        snprintf(outcome.text, sizeof outcome.text, "%s", wrong);
    } else if (strcmp(chip.logits_digest, reference.logits_digest) != 0) {
        snprintf(outcome.text, sizeof outcome.text, "other bits: chip %.16s, reference %.16s",
                 chip.logits_digest, reference.logits_digest);
    } else if (strcmp(native.logits_digest, reference.logits_digest) != 0) {
        snprintf(outcome.text, sizeof outcome.text,
                 "other bits: native (%s, %u threads) %.16s, reference %.16s",
                 run.cpu ? run.cpu : "best", run.threads, native.logits_digest,
                 reference.logits_digest);
    } else {
        outcome.verdict = AGREED;
    }
    takt_result_free(&native);
    takt_result_free(&chip);
    takt_result_free(&reference);
    return outcome;
}

static struct outcome run_property(const struct property *p, const struct files *files)
{
    int ends[2], status;
    struct outcome outcome = {.verdict = FAILED};
    write_files(p, files);
    assert_int_equal(pipe(ends), 0);
    fflush(NULL);
    const pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        signal(SIGABRT, SIG_DFL);
        signal(SIGSEGV, SIG_DFL);
        alarm(CASE_SECONDS);
        outcome = run_here(p, files);
        _exit(write(ends[1], &outcome, sizeof outcome) == sizeof outcome ? 0 : 1);
    }
    close(ends[1]);
    const bool told = read(ends[0], &outcome, sizeof outcome) == sizeof outcome;
    close(ends[0]);
    assert_int_equal(waitpid(child, &status, 0), child);
    if (!told) {
        outcome = (struct outcome){.verdict = FAILED};
        outcome.timed_out = WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM;
        snprintf(outcome.text, sizeof outcome.text, "the process ended: signal %d, exit code %d%s",
                 WIFSIGNALED(status) ? WTERMSIG(status) : 0,
                 WIFEXITED(status) ? WEXITSTATUS(status) : 0,
                 outcome.timed_out ? "; it took too long" : "");
    }
    return outcome;
}

/* ---- making it smaller ----------------------------------------------------------------------- */

static bool halve(uint32_t *value, uint32_t least)
{
    const uint32_t before = *value;
    *value = BASE_MAX(*value / 2, least);
    return *value != before;
}

static bool halve_heads(struct gguf_random *shape)
{
    const uint32_t groups = shape->heads / shape->kv_heads;
    const bool changed = halve(&shape->kv_heads, 1);
    shape->heads = shape->kv_heads * groups;
    return changed;
}

static bool halve_head_dim(struct gguf_random *shape)
{
    const uint32_t before = shape->head_dim;
    shape->head_dim = BASE_MAX(shape->head_dim / 4 * 2, 2);
    return shape->head_dim != before;
}

static bool set(bool changes, void *to, const void *from, size_t bytes)
{
    memcpy(to, from, bytes);
    return changes;
}

enum { REDUCTIONS = 14 }; /* then one for each machine parameter */

/* Makes one thing of the case smaller; false when it is as small as it gets. */
static bool reduce(struct property *p, uint32_t which)
{
    struct machine tsp1;
    const enum model_type plain = MODEL_F32;
    struct gguf_random *shape = &p->shape;
    machine_tsp1(&tsp1);
    switch (which) {
    case 0:
        return set(memcmp(&p->machine, &tsp1, sizeof tsp1) != 0, &p->machine, &tsp1, sizeof tsp1);
    case 1: return halve(&shape->layers, 1);
    case 2: return halve(&p->chunk, 1);
    case 3: return halve(&p->prompt_length, 1);
    case 4: return halve(&p->tokens, 0);
    case 5: return halve(&shape->width, 7);
    case 6: return halve(&shape->ffn, 5);
    case 7: return halve(&shape->vocab, VOCAB_MIN);
    case 8: return halve_heads(shape);
    case 9: return set(shape->heads != shape->kv_heads, &shape->heads, &shape->kv_heads, 4);
    case 10: return halve_head_dim(shape);
    case 11: return halve(&p->context, p->prompt_length + p->tokens + 8);
    case 12: return set(shape->type != plain, &shape->type, &plain, sizeof plain);
    case 13: return shape->spm ? !(shape->spm = false) : false;
    default: break;
    }
    const uint32_t index = which - REDUCTIONS;
    const uint32_t standard = machine_parameter(index)->standard;
    const bool changed = machine_parameter_get(&p->machine, index) != standard;
    machine_parameter_put(&p->machine, index, standard);
    return changed;
}

/* Takes every reduction after which the case still fails, until none or no time is left. */
static struct outcome shrink(struct property *p, const struct files *files, struct outcome outcome)
{
    const double end = base_seconds() + SHRINK_SECONDS;
    bool smaller = !outcome.timed_out;
    while (smaller) {
        smaller = false;
        for (uint32_t i = 0; i < REDUCTIONS + machine_parameter_count(); i++) {
            struct property candidate = *p;
            while (base_seconds() < end && reduce(&candidate, i) &&
                   machine_check(&candidate.machine, NULL) == TAKT_OK) {
                const struct outcome now = run_property(&candidate, files);
                if (now.verdict != FAILED) {
                    break;
                }
                *p = candidate;
                outcome = now;
                smaller = true;
            }
        }
    }
    write_files(p, files);
    return outcome;
}

/* ---- telling ------------------------------------------------------------------------------------
 */

static void print_case(const char *what, const struct property *p, const struct outcome *outcome)
{
    static const char *const types[GGUF_RANDOM_TYPES] = {"F32", "F16", "BF16", "Q8_0"};
    const struct gguf_random *s = &p->shape;
    print_error("%s, seed %llu: %s\n", what, (unsigned long long)p->seed, outcome->text);
    print_error("    layers %u, width %u, heads %u/%u of %u, ffn %u, vocab %u, %s, %s, %s; "
                "machine \"%s\"",
                s->layers, s->width, s->heads, s->kv_heads, s->head_dim, s->ffn, s->vocab,
                types[s->type], s->tied ? "tied" : "not tied", s->spm ? "spm" : "bpe",
                p->machine.name);
    for (uint32_t i = 0; i < machine_parameter_count(); i++) {
        const struct machine_parameter *parameter = machine_parameter(i);
        if (machine_parameter_get(&p->machine, i) != parameter->standard) {
            print_error(" %s=%u", parameter->name, machine_parameter_get(&p->machine, i));
        }
    }
    print_error("\n");
}

static void print_command(const struct property *p, const struct files *files)
{
    char prompt[256];
    prompt_of(p, prompt);
    print_error("    takt run %s -p %s -n %u --ctx %u --chunk %u --machine %s --all-logits --json\n"
                "    the reference: the same with --target reference\n",
                files->model, prompt, p->tokens, p->context, p->chunk, files->machine);
}

static uint64_t environment(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);
    int64_t value = (int64_t)otherwise;
    if (text != NULL && !base_parse_i64(text, 0, INT32_MAX, &value)) {
        fail_msg("%s=%s is not a number", name, text);
    }
    return (uint64_t)value;
}

static void random_models_on_random_machines(void **state)
{
    (void)state;
    const uint64_t first = environment("TAKT_PROPERTY_SEED", 1);
    const uint64_t cases = environment("TAKT_PROPERTY_CASES", CASES);
    uint64_t counts[3] = {0};
    for (uint64_t seed = first; seed < first + cases; seed++) {
        struct property p = draw_property(seed);
        const struct files files = files_of(seed);
        struct outcome outcome = run_property(&p, &files);
        counts[outcome.verdict]++;
        if (outcome.verdict != FAILED) {
            remove_files(&files);
            continue;
        }
        print_case("FAILED", &p, &outcome);
        if (counts[FAILED] <= SHRUNK_MAX) {
            outcome = shrink(&p, &files, outcome);
            print_case("smallest that still fails", &p, &outcome);
        }
        print_command(&p, &files);
    }
    print_message("%llu cases from seed %llu: %llu agree, %llu refused, %llu failed\n",
                  (unsigned long long)cases, (unsigned long long)first,
                  (unsigned long long)counts[AGREED], (unsigned long long)counts[REFUSED],
                  (unsigned long long)counts[FAILED]);
    assert_int_equal(counts[FAILED], 0);
    assert_true(counts[AGREED] * 2 > cases);
}

/* Seeds that once failed, each with what was wrong. */
static void seeds_that_failed(void **state)
{
    static const uint64_t seeds[] = {
        51058, /* the first block of a queue was used up before the second could be there */
        90022, /* small slices, whose room for text is in more than one gap */
        90193, /* a queue that never rested could not fetch, and gaps left a kernel no place */
    };
    (void)state;
    for (uint32_t i = 0; i < BASE_COUNT(seeds); i++) {
        const struct property p = draw_property(seeds[i]);
        const struct files files = files_of(seeds[i]);
        const struct outcome outcome = run_property(&p, &files);
        if (outcome.verdict != AGREED) {
            print_case("FAILED again", &p, &outcome);
        }
        assert_int_equal(outcome.verdict, AGREED);
        remove_files(&files);
    }
}

/* A case is a function of its seed, whatever ran before. */
static void cases_are_functions_of_their_seed(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed < 50; seed++) {
        const struct property a = draw_property(seed), b = draw_property(seed);
        char a_hash[17], b_hash[17];
        machine_hash(&a.machine, a_hash);
        machine_hash(&b.machine, b_hash);
        assert_string_equal(a_hash, b_hash);
        assert_true(a.shape.width == b.shape.width && a.context == b.context);
        assert_int_equal(machine_check(&a.machine, NULL), TAKT_OK);
    }
}

TEST_GROUP(property, cmocka_unit_test(cases_are_functions_of_their_seed),
           cmocka_unit_test(seeds_that_failed), cmocka_unit_test(random_models_on_random_machines));

/* takt run's account on standard error: what each step cost the machine, and what the run cost
 * here. */
#include "cli/cli.h"

#include <stdlib.h>
#include <string.h>

static bool on_chip(const struct takt_result *result)
{
    return result->step_count > 0 && result->steps[0].cycles_executed > 0;
}

/* ---- a line a step --------------------------------------------------------------------------- */

/* A token's text between quotes, with what would disturb a line escaped. */
static void print_token(const struct takt_engine *engine, uint32_t token)
{
    char *text = NULL;
    size_t length = 0;
    if (takt_detokenize(engine, &token, 1, true, &text, &length, NULL) != TAKT_OK) {
        return;
    }
    const bool whole = base_utf8_valid(text, length);
    fputc('"', stderr);
    for (size_t i = 0; i < length; i++) {
        const unsigned char byte = (unsigned char)text[i];
        if (byte == '\n') {
            fputs("\\n", stderr);
        } else if (byte < 32 || byte == 127 || (byte > 127 && !whole)) {
            fprintf(stderr, "\\x%02x", byte);
        } else {
            fputc(byte, stderr);
        }
    }
    fputc('"', stderr);
    free(text);
}

/* The step after which generated token i was drawn: the last of the prompt, then one a token. */
static size_t first_drawing_step(const struct takt_result *result)
{
    size_t prefills = 0;
    while (prefills < result->step_count && result->steps[prefills].prefill) {
        prefills++;
    }
    return prefills > 0 ? prefills - 1 : 0;
}

void cli_print_steps(const struct takt_engine *engine, const struct takt_result *result)
{
    const size_t drawing = first_drawing_step(result);
    size_t position = 0;
    fprintf(stderr, "  step  kind    positions  context       cycles     compiled  next token\n");
    for (size_t i = 0; i < result->step_count; i++) {
        const struct takt_step *step = &result->steps[i];
        char positions[48] = "", executed[32] = "-", compiled[32] = "-";
        if (step->tokens > 1) {
            snprintf(positions, sizeof positions, "%zu-%zu", position, position + step->tokens - 1);
        } else {
            snprintf(positions, sizeof positions, "%zu", position);
        }
        if (on_chip(result)) {
            cli_grouped(step->cycles_executed, executed);
            cli_grouped(step->cycles_compiled, compiled);
        }
        fprintf(stderr, "%6zu  %-7s %9s %8u %12s %12s  ", i + 1,
                step->prefill ? "prefill" : "decode", positions, step->context, executed, compiled);
        if (i >= drawing && i - drawing < result->token_count) {
            print_token(engine, result->tokens[i - drawing]);
        }
        fputc('\n', stderr);
        position += step->tokens;
    }
}

/* ---- the summary ----------------------------------------------------------------------------- */

/* A prefill step that is not full runs the same program as a full one. */
static bool same_program(const struct takt_step *a, const struct takt_step *b)
{
    return a->prefill == b->prefill && a->context == b->context &&
           a->cycles_executed == b->cycles_executed && a->cycles_compiled == b->cycles_compiled;
}

/* One line for each run of steps of one program: the cycles of every token. */
static void print_programs(const struct takt_result *result)
{
    char digits[32];
    for (size_t i = 0, next; i < result->step_count; i = next) {
        const struct takt_step *step = &result->steps[i];
        size_t tokens = step->tokens;
        for (next = i + 1; next < result->step_count && same_program(step, &result->steps[next]);) {
            tokens += result->steps[next++].tokens;
        }
        const size_t count = next - i;
        fprintf(stderr, "  %-7s %5zu token%s, %zu step%s over %u positions: %s cycles%s\n",
                step->prefill ? "prefill" : "decode", tokens, tokens == 1 ? "" : "s", count,
                count == 1 ? "" : "s", step->context, cli_grouped(step->cycles_executed, digits),
                count == 1 ? "" : " each");
    }
}

static int by_value(const void *a, const void *b)
{
    uint64_t x, y;
    memcpy(&x, a, sizeof x);
    memcpy(&y, b, sizeof y);
    return x < y ? -1 : x > y;
}

struct cycles {
    uint64_t prefill, decode;     /* sums */
    uint64_t least, median, most; /* of a decode step */
    size_t prefills, decodes;     /* steps */
    bool as_compiled;
};

static struct cycles count_cycles(const struct takt_result *result)
{
    struct cycles sum = {.as_compiled = true};
    uint64_t *sorted = calloc(result->step_count + 1, sizeof *sorted);
    for (size_t i = 0; i < result->step_count; i++) {
        const struct takt_step *step = &result->steps[i];
        sum.as_compiled = sum.as_compiled && step->cycles_executed == step->cycles_compiled;
        if (step->prefill) {
            sum.prefill += step->cycles_executed;
            sum.prefills++;
        } else {
            sum.decode += step->cycles_executed;
            if (sorted) {
                sorted[sum.decodes] = step->cycles_executed;
            }
            sum.decodes++;
        }
    }
    if (sorted && sum.decodes > 0) {
        qsort(sorted, sum.decodes, sizeof *sorted, by_value);
        sum.least = sorted[0];
        sum.median = sorted[sum.decodes / 2];
        sum.most = sorted[sum.decodes - 1];
    }
    free(sorted);
    return sum;
}

/* Tokens, wall time, the machine's own time: the last line. */
static void print_total(const struct takt_model_info *info, const struct takt_result *result,
                        const struct cycles *cycles)
{
    const size_t tokens = result->prompt_count + result->token_count;
    char digits[32];
    fprintf(stderr, "takt: %zu prompt + %zu new tokens (%s) in %.2f s, %.1f tokens/s here",
            result->prompt_count, result->token_count, result->finish, result->host_seconds,
            result->host_seconds > 0 ? (double)tokens / result->host_seconds : 0.0);
    if (!on_chip(result)) {
        fprintf(stderr, "; the reference has no cycles\n");
        return;
    }
    fprintf(stderr, "; %s at %.0f MHz: prompt %s cycles", info->machine, info->clock_hz / 1e6,
            cli_grouped(cycles->prefill, digits));
    if (cycles->decodes > 0) {
        const double mean = (double)cycles->decode / (double)cycles->decodes;
        fprintf(stderr, ", then %s cycles a token = ", cli_grouped((uint64_t)mean, digits));
        fprintf(stderr, "%s tokens/s", cli_grouped((uint64_t)(info->clock_hz / mean), digits));
    }
    fputc('\n', stderr);
}

void cli_print_account(const struct takt_model_info *info, const struct takt_result *result)
{
    const struct cycles cycles = count_cycles(result);
    char least[32], median[32], most[32];
    if (on_chip(result)) {
        print_programs(result);
        fprintf(stderr, "  executed %s compiled in every step",
                cycles.as_compiled ? "=" : "is not what was");
        if (cycles.decodes > 0) {
            fprintf(stderr, "; a new token: least %s, median %s, most %s",
                    cli_grouped(cycles.least, least), cli_grouped(cycles.median, median),
                    cli_grouped(cycles.most, most));
        }
        if (result->host_seconds > 0) {
            fprintf(stderr, "; simulated at %.1f million cycles/s",
                    (double)(cycles.prefill + cycles.decode) / result->host_seconds / 1e6);
        }
        fputc('\n', stderr);
    }
    print_total(info, result, &cycles);
}

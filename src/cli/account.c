/* takt run's account on standard error: what each step cost the machine, and what the run cost
 * here. */
#include "cli/cli.h"

#include <stdlib.h>
#include <string.h>

/* Executed by the chip, or at least known. */
static bool on_chip(const struct takt_result *result)
{
    return result->step_count > 0 && result->steps[0].cycles_executed > 0;
}

static bool cycles_known(const struct takt_result *result)
{
    return result->step_count > 0 && result->steps[0].cycles_compiled > 0;
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
        }
        if (cycles_known(result)) {
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
                count == 1 ? "" : "s", step->context, cli_grouped(step->cycles_compiled, digits),
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
            sum.prefill += step->cycles_compiled;
            sum.prefills++;
        } else {
            sum.decode += step->cycles_compiled;
            if (sorted) {
                sorted[sum.decodes] = step->cycles_compiled;
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

/* "23 prompt + 302 new tokens (stop) in 0.10 s: prompt 12,345 tokens/s, then 3,456 tokens/s here"
 */
static void print_host(const struct takt_result *result)
{
    char prompt[32], decode[32];
    const size_t tokens = result->prompt_count + result->token_count;
    const double prompt_seconds = result->prompt_seconds;
    const double decode_seconds = result->host_seconds - prompt_seconds;
    fprintf(stderr, "takt: %zu prompt + %zu new tokens (%s) in %.2f s", result->prompt_count,
            result->token_count, result->finish, result->host_seconds);
    if (result->token_count > 1 && prompt_seconds > 0 && decode_seconds > 0) {
        const double prompt_rate = (double)result->prompt_count / prompt_seconds;
        /* The first token is drawn from the prompt's logits. */
        const double rate = (double)(result->token_count - 1) / decode_seconds;
        fprintf(stderr, ": prompt %s tokens/s, then %s tokens/s here",
                cli_grouped((uint64_t)prompt_rate, prompt), cli_grouped((uint64_t)rate, decode));
    } else if (result->host_seconds > 0) {
        fprintf(stderr, ", %s tokens/s here",
                cli_grouped((uint64_t)((double)tokens / result->host_seconds), decode));
    }
}

/* Tokens, wall time, the machine's own time: the last line. */
static void print_total(const struct takt_model_info *info, const struct takt_result *result,
                        const struct cycles *cycles)
{
    char digits[32];
    print_host(result);
    if (!cycles_known(result)) {
        fprintf(stderr, "%s%s\n", result->no_cycles[0] ? "; no cycles: " : "", result->no_cycles);
        return;
    }
    fprintf(stderr, "; %s at %.0f MHz%s: prompt %s cycles", info->machine, info->clock_hz / 1e6,
            on_chip(result) ? "" : ", as compiled", cli_grouped(cycles->prefill, digits));
    if (cycles->decodes > 0) {
        const double mean = (double)cycles->decode / (double)cycles->decodes;
        fprintf(stderr, ", then %s cycles a token = ", cli_grouped((uint64_t)mean, digits));
        fprintf(stderr, "%s tokens/s", cli_grouped((uint64_t)(info->clock_hz / mean), digits));
    }
    fputc('\n', stderr);
}

static void print_machine(const struct takt_result *result, const struct cycles *cycles)
{
    char least[32], median[32], most[32];
    print_programs(result);
    if (on_chip(result)) {
        fprintf(stderr, "  executed %s compiled in every step",
                cycles->as_compiled ? "=" : "is not what was");
    } else {
        fprintf(stderr,
                "  as compiled for the chip; --target chip executes it, with the same bits");
    }
    if (cycles->decodes > 0) {
        fprintf(stderr, "; a new token: least %s, median %s, most %s",
                cli_grouped(cycles->least, least), cli_grouped(cycles->median, median),
                cli_grouped(cycles->most, most));
    }
    if (on_chip(result) && result->host_seconds > 0) {
        fprintf(stderr, "; simulated at %.1f million cycles/s",
                (double)(cycles->prefill + cycles->decode) / result->host_seconds / 1e6);
    }
    fputc('\n', stderr);
}

void cli_print_account(const struct takt_model_info *info, const struct takt_result *result)
{
    const struct cycles cycles = count_cycles(result);
    if (cycles_known(result)) {
        print_machine(result, &cycles);
    }
    print_total(info, result, &cycles);
}

/*
 * Pre-tokenizers: text is cut into pieces by patterns over Unicode classes (PCRE2), one pattern
 * after the other, each within the pieces of the one before. Patterns by name: llama.cpp,
 * llama-vocab.cpp.
 */
#include "model/tokenizer_parts.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <stdlib.h>

#define PATTERNS_MAX 4u
/* Enough for a run of some tens of MiB of white space, which costs a step a byte. */
#define MATCH_LIMIT 100000000u
#define HEAP_LIMIT_KIB (512u * 1024u)

/* A single space before a word, and a run of spaces but for its last one, as GPT-2 cut them. The
 * last alternative is what earlier ones leave over. */
#define GPT2 "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+"
#define CONTRACTIONS "(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])"
#define LLAMA3(digits)                                                                             \
    CONTRACTIONS "|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|" digits                                          \
                 "| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"

struct family {
    const char *names[8];
    const char *patterns[PATTERNS_MAX + 1];
    bool adds_bos, whole_pieces;
};

static const struct family families[] = {
    {{"default"}, {"[\\p{P}\\$\\+<=>\\^~\\|]+", GPT2, "\\p{N}+", "[0-9][0-9][0-9]"}, false, false},
    {{"gpt-2", "phi-2", "mpt", "olmo"}, {GPT2}, false, false},
    {{"llama-bpe", "llama3", "llama-v3", "falcon3"}, {LLAMA3("\\p{N}{1,3}")}, true, true},
    {{"qwen2", "deepseek-r1-qwen"}, {LLAMA3("\\p{N}")}, false, false},
    {{"smollm", "starcoder", "refact"}, {"\\p{N}", GPT2}, false, false},
};

struct tokenizer_split {
    const struct family *family;
    pcre2_code *codes[PATTERNS_MAX];
    size_t count;
    pcre2_match_context *context;
};

static const struct family *find_family(struct gguf_string pre)
{
    for (size_t i = 0; i < BASE_COUNT(families); i++)
        for (size_t j = 0; j < BASE_COUNT(families[i].names); j++)
            if (families[i].names[j] != NULL && model_gguf_string_is(pre, families[i].names[j]))
                return &families[i];
    return NULL;
}

static pcre2_code *compile(const char *pattern)
{
    int problem;
    PCRE2_SIZE offset;
    pcre2_code *code = pcre2_compile((PCRE2_SPTR)pattern, PCRE2_ZERO_TERMINATED,
                                     PCRE2_UTF | PCRE2_UCP, &problem, &offset, NULL);
    /* The patterns are ours: what fails is memory, or a library without Unicode. Where there is no
     * machine code for this processor, the interpreter runs the same pattern. */
    if (code != NULL)
        (void)pcre2_jit_compile(code, PCRE2_JIT_COMPLETE);
    return code;
}

enum takt_status tokenizer_split_create(struct tokenizer_split **out, const char *path,
                                        struct gguf_string pre, struct takt_error *error)
{
    *out = NULL;
    const struct family *family = find_family(pre);
    if (family == NULL)
        return base_fail(error, TAKT_UNSUPPORTED,
                         "%s: tokenizer.ggml.pre is \"%.*s\"; this version has default, gpt-2, "
                         "llama-bpe, qwen2, smollm",
                         path, (int)BASE_MIN(pre.length, (size_t)64), pre.text);
    struct tokenizer_split *split = calloc(1, sizeof(*split));
    if (split == NULL)
        return base_fail(error, TAKT_MEMORY, "%s: no memory for the pre-tokenizer; free some",
                         path);
    split->family = family;
    split->context = pcre2_match_context_create(NULL);
    bool good = split->context != NULL;
    for (; good && family->patterns[split->count] != NULL; split->count++) {
        split->codes[split->count] = compile(family->patterns[split->count]);
        good = split->codes[split->count] != NULL;
    }
    if (!good) {
        tokenizer_split_destroy(split);
        return base_fail(error, TAKT_MEMORY,
                         "%s: the pre-tokenizer's patterns do not compile: PCRE2 needs memory, and "
                         "Unicode support",
                         path);
    }
    pcre2_set_match_limit(split->context, MATCH_LIMIT);
    pcre2_set_heap_limit(split->context, HEAP_LIMIT_KIB);
    *out = split;
    return TAKT_OK;
}

void tokenizer_split_destroy(struct tokenizer_split *split)
{
    if (split == NULL)
        return;
    for (size_t i = 0; i < PATTERNS_MAX; i++)
        pcre2_code_free(split->codes[i]);
    pcre2_match_context_free(split->context);
    free(split);
}

bool tokenizer_split_adds_bos(const struct tokenizer_split *split)
{
    return split->family->adds_bos;
}

bool tokenizer_split_whole_pieces(const struct tokenizer_split *split)
{
    return split->family->whole_pieces;
}

/* ---- running --------------------------------------------------------------------------------- */

struct run {
    const struct tokenizer_split *split;
    pcre2_match_data *matches[PATTERNS_MAX];
    tokenizer_piece piece;
    void *user;
    struct takt_error *error;
};

/* The next match at or after `from`. Returns PCRE2's code: >= 0 matched, PCRE2_ERROR_NOMATCH,
 * others. */
static int next_match(struct run *run, size_t level, const char *text, size_t length, size_t from,
                      size_t *start, size_t *end)
{
    const pcre2_code *code = run->split->codes[level];
    pcre2_match_data *match = run->matches[level];
    int result = pcre2_match(code, (PCRE2_SPTR)text, length, from, PCRE2_NO_UTF_CHECK, match,
                             run->split->context);
    if (result == PCRE2_ERROR_JIT_STACKLIMIT) /* the interpreter's stack is the heap */
        result = pcre2_match(code, (PCRE2_SPTR)text, length, from,
                             PCRE2_NO_UTF_CHECK | PCRE2_NO_JIT, match, run->split->context);
    if (result < 0)
        return result;
    const PCRE2_SIZE *bounds = pcre2_get_ovector_pointer(match);
    *start = bounds[0];
    *end = bounds[1];
    return result;
}

/* Cuts valid UTF-8 by the patterns from `level` on. What no pattern matches is a piece too. */
static enum takt_status cut(struct run *run, size_t level, const char *text, size_t length)
{
    if (length == 0)
        return TAKT_OK;
    if (level >= PATTERNS_MAX || level == run->split->count)
        return run->piece(run->user, text, length);
    size_t done = 0;
    while (done < length) {
        size_t start = length, end = length;
        int result = next_match(run, level, text, length, done, &start, &end);
        if (result < 0 && result != PCRE2_ERROR_NOMATCH)
            return base_fail(
                run->error, TAKT_LIMIT,
                "tokenizer: byte %zu of %zu: the pre-tokenizer gives up (PCRE2 code %d); "
                "encode the text in parts",
                done, length, result);
        BASE_ASSERT(result < 0 || (start >= done && end > start));
        enum takt_status status = cut(run, level + 1, text + done, start - done);
        if (status == TAKT_OK)
            status = cut(run, level + 1, text + start, end - start);
        if (status != TAKT_OK)
            return status;
        done = end;
    }
    return TAKT_OK;
}

/* Stretches of valid UTF-8 go to the patterns; a stretch of invalid bytes is a piece as it is. */
static enum takt_status cut_bytes(struct run *run, const char *text, size_t length)
{
    size_t start = 0;
    enum takt_status status = TAKT_OK;
    while (status == TAKT_OK && start < length) {
        size_t at = start, size;
        while (at < length && (size = base_utf8_size(text + at, length - at)) != 0)
            at += size;
        status = cut(run, 0, text + start, at - start);
        start = at;
        while (at < length && base_utf8_size(text + at, length - at) == 0)
            at++;
        if (status == TAKT_OK && at != start)
            status = run->piece(run->user, text + start, at - start);
        start = at;
    }
    return status;
}

enum takt_status tokenizer_split_run(const struct tokenizer_split *split, const char *text,
                                     size_t length, tokenizer_piece piece, void *user,
                                     struct takt_error *error)
{
    struct run run = {.split = split, .piece = piece, .user = user, .error = error};
    enum takt_status status = TAKT_OK;
    for (size_t i = 0; i < split->count && status == TAKT_OK; i++) {
        run.matches[i] = pcre2_match_data_create(1, NULL);
        if (run.matches[i] == NULL)
            status = base_fail(error, TAKT_MEMORY, "tokenizer: no memory to split text; free some");
    }
    if (status == TAKT_OK)
        status = cut_bytes(&run, text, length);
    for (size_t i = 0; i < split->count; i++)
        pcre2_match_data_free(run.matches[i]);
    return status;
}

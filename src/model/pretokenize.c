/* Running the stages: every piece of one goes through the next, and out of the last. */
#include "model/pretokenize.h"

#include "model/unicode.h"

#include <stdlib.h>
#include <string.h>

/* Characters that patterns may read for each of the text's: those of today read two or three. */
#define STEPS_PER_BYTE 2000u

struct stage {
    enum split_kind kind;
    struct pattern *pattern;
    enum split_behaviour behaviour;
    bool inverted;
};

struct tokenizer_split {
    struct stage stages[SPLIT_STAGES_MAX];
    size_t count;
};

struct tokenizer_split *tokenizer_split_new(void)
{
    return calloc(1, sizeof(struct tokenizer_split));
}

void tokenizer_split_destroy(struct tokenizer_split *split)
{
    if (split == NULL)
        return;
    for (size_t i = 0; i < split->count; i++)
        pattern_destroy(split->stages[i].pattern);
    free(split);
}

enum takt_status tokenizer_split_add(struct tokenizer_split *split, const char *where,
                                     enum split_kind kind, struct takt_error *error)
{
    if (split->count == SPLIT_STAGES_MAX)
        return base_fail(error, TAKT_LIMIT, "%s: more than %u pre-tokenizers after one another",
                         where, SPLIT_STAGES_MAX);
    split->stages[split->count++] = (struct stage){.kind = kind};
    return TAKT_OK;
}

enum takt_status tokenizer_split_add_pattern(struct tokenizer_split *split, const char *where,
                                             const char *source, size_t length,
                                             enum split_behaviour behaviour, bool inverted,
                                             struct takt_error *error)
{
    struct pattern *pattern;
    enum takt_status status = pattern_compile(&pattern, where, source, length, error);
    if (status == TAKT_OK)
        status = tokenizer_split_add(split, where, SPLIT_PATTERN, error);
    if (status != TAKT_OK) {
        if (split->count == SPLIT_STAGES_MAX)
            pattern_destroy(pattern);
        return status;
    }
    split->stages[split->count - 1] = (struct stage){SPLIT_PATTERN, pattern, behaviour, inverted};
    return TAKT_OK;
}

/* ---- running --------------------------------------------------------------------------------- */

struct run {
    const struct tokenizer_split *split;
    tokenizer_piece piece;
    void *user;
    struct takt_error *error;
    uint64_t steps;
    size_t length; /* of the whole text */
    bool first;    /* nothing has come out yet, and the text began */
    bool invalid;  /* the bytes are no UTF-8: patterns leave them alone */
};

static enum takt_status cut(struct run *run, size_t level, const char *text, size_t length);

/* What is not matched, in one piece, and what is. */
struct joiner {
    struct run *run;
    size_t level;
    const char *text;
    enum split_behaviour behaviour;
    size_t start, end; /* a piece that may still grow; start == end: none */
    bool matched;      /* it is, or ends with, a match */
};

static enum takt_status flush(struct joiner *joiner)
{
    size_t start = joiner->start, length = joiner->end - start;
    joiner->start = joiner->end;
    return length == 0 ? TAKT_OK
                       : cut(joiner->run, joiner->level + 1, joiner->text + start, length);
}

/* The next stretch of the text, a match or not. */
static enum takt_status join(struct joiner *joiner, size_t start, size_t end, bool matched)
{
    enum takt_status status = TAKT_OK;
    if (start == end)
        return TAKT_OK;
    bool pending = joiner->start != joiner->end, grows = false;
    switch (joiner->behaviour) {
    case SPLIT_ISOLATED: break;
    case SPLIT_REMOVED:
        if (matched) {
            status = flush(joiner);
            joiner->start = joiner->end = end;
            return status;
        }
        break;
    case SPLIT_WITH_PREVIOUS: grows = pending && matched && !joiner->matched; break;
    case SPLIT_WITH_NEXT: grows = pending && joiner->matched && !matched; break;
    case SPLIT_CONTIGUOUS: grows = pending && joiner->matched == matched; break;
    }
    if (!grows) {
        status = flush(joiner);
        joiner->start = start;
    }
    joiner->end = end;
    joiner->matched = matched;
    return status;
}

static enum takt_status cut_pattern(struct run *run, size_t level, const char *text, size_t length)
{
    const struct stage *stage = &run->split->stages[level];
    struct joiner joiner = {run, level, text, stage->behaviour, 0, 0, false};
    size_t done = 0, start, end;
    enum takt_status status = TAKT_OK;
    while (status == TAKT_OK && done < length &&
           pattern_find(stage->pattern, text, length, done, &start, &end, &run->steps)) {
        status = join(&joiner, done, start, stage->inverted);
        if (status == TAKT_OK)
            status = join(&joiner, start, end, !stage->inverted);
        done = end;
    }
    if (status == TAKT_OK && run->steps == 0)
        return base_fail(
            run->error, TAKT_LIMIT,
            "tokenizer: the pre-tokenizer's pattern reads a text of %zu bytes more than "
            "%u times; encode it in parts",
            run->length, STEPS_PER_BYTE);
    if (status == TAKT_OK)
        status = join(&joiner, done, length, stage->inverted);
    return status == TAKT_OK ? flush(&joiner) : status;
}

static bool is_digit(uint32_t code) /* as \d */
{
    enum unicode_category category = unicode_category(code);
    return category == UNICODE_ND;
}

static bool is_word(uint32_t code)
{
    enum unicode_category category = unicode_category(code);
    return (category >= UNICODE_LU && category <= UNICODE_NL) || category == UNICODE_PC;
}

/* The end of the run of digits at `start`, and how many there are. */
static size_t digits_end(const char *text, size_t length, size_t start, size_t *count)
{
    size_t at = start, size;
    for (*count = 0; at < length; at += size, ++*count)
        if (!is_digit(unicode_decode(text + at, length - at, &size)))
            break;
    return at;
}

static enum takt_status cut_threes(struct run *run, size_t level, const char *text, size_t length,
                                   bool bounded)
{
    enum takt_status status = TAKT_OK;
    size_t plain = 0, size;
    for (size_t at = 0; status == TAKT_OK && at < length;) {
        size_t count, end = digits_end(text, length, at, &count);
        bool cuts = count != 0 && !(bounded && end < length &&
                                    is_word(unicode_decode(text + end, length - end, &size)));
        if (!cuts) {
            if (count == 0) {
                (void)unicode_decode(text + at, length - at, &size);
                end = at + size;
            }
            at = end;
            continue;
        }
        if (plain != at)
            status = cut(run, level + 1, text + plain, at - plain);
        while (status == TAKT_OK && count != 0) {
            size_t take = count % 3 == 0 ? 3 : count % 3, stop = at;
            for (size_t i = 0; i < take; i++, stop += size)
                (void)unicode_decode(text + stop, length - stop, &size);
            status = cut(run, level + 1, text + at, stop - at);
            at = stop;
            count -= take;
        }
        plain = at;
    }
    if (status == TAKT_OK && plain != length)
        status = cut(run, level + 1, text + plain, length - plain);
    return status;
}

static enum takt_status cut_space_at_end(struct run *run, size_t level, const char *text,
                                         size_t length)
{
    size_t end = length, size;
    while (end != 0) {
        size_t at = end - 1;
        while (at != 0 && ((unsigned char)text[at] & 0xC0) == 0x80)
            at--;
        if (!unicode_is_space(unicode_decode(text + at, end - at, &size)))
            break;
        end = at;
    }
    enum takt_status status = end == 0 ? TAKT_OK : cut(run, level + 1, text, end);
    if (status == TAKT_OK && end != length)
        status = cut(run, level + 1, text + end, length - end);
    return status;
}

static enum takt_status cut_leading_space(struct run *run, size_t level, const char *text,
                                          size_t length)
{
    if (text[0] == ' ')
        return cut(run, level + 1, text, length);
    char *copy = malloc(length + 1);
    if (copy == NULL)
        return base_fail(run->error, TAKT_MEMORY, "tokenizer: no memory for %zu bytes; encode less",
                         length);
    copy[0] = ' ';
    memcpy(copy + 1, text, length);
    enum takt_status status = cut(run, level + 1, copy, length + 1);
    free(copy);
    return status;
}

#define MARK "\xE2\x96\x81"

static enum takt_status cut_metaspace(struct run *run, size_t level, const char *text,
                                      size_t length, enum split_kind kind)
{
    bool whole = kind == SPLIT_METASPACE_WHOLE || kind == SPLIT_METASPACE_PLAIN_WHOLE ||
                 kind == SPLIT_METASPACE_FIRST_WHOLE;
    bool front = kind == SPLIT_METASPACE || kind == SPLIT_METASPACE_WHOLE;
    if (kind == SPLIT_METASPACE_FIRST || kind == SPLIT_METASPACE_FIRST_WHOLE)
        front = run->first;
    char *marked = malloc(3 * (length + 1));
    if (marked == NULL)
        return base_fail(run->error, TAKT_MEMORY, "tokenizer: no memory for %zu bytes; encode less",
                         length);
    size_t used = 0;
    bool has = text[0] == ' ' || (length >= 3 && memcmp(text, MARK, 3) == 0);
    for (size_t i = 0; i < length + (front && !has ? 1 : 0); i++) {
        size_t from = front && !has ? i - 1 : i;
        if ((front && !has && i == 0) || text[from] == ' ') {
            memcpy(marked + used, MARK, 3);
            used += 3;
        } else {
            marked[used++] = text[from];
        }
    }
    enum takt_status status = TAKT_OK;
    size_t start = 0;
    for (size_t at = 3; !whole && status == TAKT_OK && at + 3 <= used; at++)
        if (memcmp(marked + at, MARK, 3) == 0) {
            status = cut(run, level + 1, marked + start, at - start);
            start = at;
            at += 2;
        }
    if (status == TAKT_OK)
        status = cut(run, level + 1, marked + start, used - start);
    free(marked);
    return status;
}

static enum takt_status cut(struct run *run, size_t level, const char *text, size_t length)
{
    if (level == run->split->count) {
        run->first = false;
        return run->piece(run->user, text, length);
    }
    const struct stage *stage = &run->split->stages[level];
    switch (stage->kind) {
    case SPLIT_PATTERN:
        return run->invalid ? cut(run, level + 1, text, length)
                            : cut_pattern(run, level, text, length);
    case SPLIT_THREES:
    case SPLIT_THREES_BOUNDED:
        return cut_threes(run, level, text, length, stage->kind == SPLIT_THREES_BOUNDED);
    case SPLIT_SPACE_AT_END: return cut_space_at_end(run, level, text, length);
    case SPLIT_LEADING_SPACE: return cut_leading_space(run, level, text, length);
    default: return cut_metaspace(run, level, text, length, stage->kind);
    }
}

/* Stretches of valid UTF-8 go through the stages; a stretch of invalid bytes is left whole. */
enum takt_status tokenizer_split_run(const struct tokenizer_split *split, const char *text,
                                     size_t length, bool first, tokenizer_piece piece, void *user,
                                     struct takt_error *error)
{
    struct run run = {.split = split,
                      .piece = piece,
                      .user = user,
                      .error = error,
                      .steps = 100000 + (uint64_t)STEPS_PER_BYTE * length,
                      .length = length,
                      .first = first};
    size_t start = 0;
    enum takt_status status = TAKT_OK;
    while (status == TAKT_OK && start < length) {
        size_t at = start, size;
        while (at < length && ((unsigned char)text[at] < 0x80
                                   ? (size = 1)
                                   : (size = base_utf8_size(text + at, length - at))) != 0)
            at += size;
        if (at != start)
            status = cut(&run, 0, text + start, at - start);
        start = at;
        while (at < length && base_utf8_size(text + at, length - at) == 0)
            at++;
        if (status == TAKT_OK && at != start) {
            run.invalid = true;
            status = cut(&run, 0, text + start, at - start);
            run.invalid = false;
        }
        start = at;
    }
    return status;
}

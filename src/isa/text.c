/*
 * Between instructions and lines of assembly: mnemonic, then the operands in the order of the row's
 * fields, separated by commas; streams as e0..e31 and w0..w31 (the first of the group), addresses
 * and counts in decimal, immediates of 32 bits in hex. A comment runs from ';' to the end.
 */
#include "isa/isa.h"
#include "isa/table.h"

#include <float.h>
#include <string.h>

#define TOKEN_MAX 48u /* with its terminator; the longest token that can be right is a float */

static bool is_float_op(const struct isa_op_info *op)
{
    size_t length = strlen(op->mnemonic);
    return length > 4 && strcmp(op->mnemonic + length - 4, ".f32") == 0;
}

const char *isa_quote(const char *token, size_t length, char quoted[ISA_QUOTE_SIZE])
{
    size_t shown = BASE_MIN(length, (size_t)ISA_QUOTE_SIZE - 6);
    size_t end = 0;
    quoted[end++] = '"';
    for (size_t i = 0; i < shown; i++) {
        quoted[end++] = token[i] >= 0x20 && token[i] < 0x7f ? token[i] : '?';
    }
    if (shown < length) {
        memcpy(quoted + end, "...", 3);
        end += 3;
    }
    quoted[end++] = '"';
    quoted[end] = '\0';
    return quoted;
}

/* ---- print ----------------------------------------------------------------------------------- */

static float float_of_bits(uint32_t bits)
{
    float value = 0;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static void print_operand(enum isa_field field, uint32_t value, char text[24])
{
    const struct isa_field_info *info = isa_field_info(field);
    switch (info->kind) {
    case ISA_KIND_STREAM_IN:
    case ISA_KIND_STREAM_OUT:
        (void)snprintf(text, 24, "%c%u", ISA_STREAM_WEST(value) ? 'w' : 'e',
                       ISA_STREAM_INDEX(value));
        return;
    case ISA_KIND_IMMEDIATE: (void)snprintf(text, 24, "0x%08x", value); return;
    case ISA_KIND_SIGNED:
        (void)snprintf(text, 24, "%lld",
                       (long long)value -
                           ((long long)(value >> (info->bits - 1) & 1u) << info->bits));
        return;
    default: (void)snprintf(text, 24, "%u", value); return;
    }
}

void isa_print(const struct isa_instruction *instruction, char *line, size_t size)
{
    const struct isa_op_info *op = isa_op_info((enum isa_op)instruction->op);
    char whole[128];
    int length = snprintf(whole, sizeof whole, "%s", op->mnemonic);
    for (size_t i = 0; i < ISA_FIELDS_MAX && op->fields[i] != ISA_FIELD_NONE; i++) {
        char operand[24];
        print_operand(op->fields[i], isa_field_get(instruction, op->fields[i]), operand);
        length += snprintf(whole + length, sizeof whole - (size_t)length, "%s%s",
                           i == 0 ? " " : ", ", operand);
        if (isa_field_info(op->fields[i])->kind == ISA_KIND_IMMEDIATE && is_float_op(op)) {
            length += snprintf(whole + length, sizeof whole - (size_t)length, "  ; = %.9g",
                               (double)float_of_bits(instruction->imm));
        }
    }
    BASE_ASSERT((size_t)length < sizeof whole);
    if (size > 0) {
        (void)snprintf(line, size, "%s", whole);
    }
}

/* ---- parse ----------------------------------------------------------------------------------- */

/* A piece of the line being parsed. */
struct token {
    const char *start;
    size_t length;
};

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

static bool ends_line(char c)
{
    return c == '\0' || c == ';' || c == '\n';
}

/* The text up to a comma or the end of the statement, without the spaces around it. */
static struct token next_operand(const char **cursor)
{
    while (is_space(**cursor)) {
        (*cursor)++;
    }
    struct token token = {*cursor, 0};
    while (**cursor != ',' && !ends_line(**cursor)) {
        (*cursor)++;
    }
    token.length = (size_t)(*cursor - token.start);
    while (token.length > 0 && is_space(token.start[token.length - 1])) {
        token.length--;
    }
    return token;
}

static bool find_mnemonic(struct token token, enum isa_op *op)
{
    for (unsigned i = 0; i < ISA_OP_COUNT; i++) {
        const char *mnemonic = isa_op_info((enum isa_op)i)->mnemonic;
        if (strlen(mnemonic) == token.length && memcmp(mnemonic, token.start, token.length) == 0) {
            *op = (enum isa_op)i;
            return true;
        }
    }
    return false;
}

static bool parse_stream(const char *text, uint32_t *value)
{
    int64_t stream = 0;
    if ((text[0] != 'e' && text[0] != 'w') || text[1] < '0' || text[1] > '9' ||
        !base_parse_i64(text + 1, 0, ISA_STREAMS - 1, &stream)) {
        return false;
    }
    *value = ISA_STREAM(text[0] == 'w', (uint32_t)stream);
    return true;
}

static bool parse_immediate(const char *text, bool as_float, uint32_t *value)
{
    int64_t bits = 0;
    bool hex = text[0] == '0' && (text[1] == 'x' || text[1] == 'X');
    if (hex || !as_float) {
        if (!base_parse_i64(text, INT32_MIN, UINT32_MAX, &bits)) {
            return false;
        }
        *value = (uint32_t)((uint64_t)bits & UINT32_MAX);
        return true;
    }
    double number = 0;
    if (!base_parse_f64(text, -(double)FLT_MAX, (double)FLT_MAX, &number)) {
        return false;
    }
    float single = (float)number;
    memcpy(value, &single, sizeof single);
    return true;
}

static bool parse_number(const char *text, const struct isa_field_info *info, uint32_t *value)
{
    int64_t span = INT64_C(1) << info->bits;
    bool is_signed = info->kind == ISA_KIND_SIGNED;
    int64_t number = 0;
    if (!base_parse_i64(text, is_signed ? -span / 2 : 0, is_signed ? span / 2 - 1 : span - 1,
                        &number)) {
        return false;
    }
    *value = (uint32_t)((uint64_t)number & (uint64_t)(span - 1));
    return true;
}

static void expected(const struct isa_field_info *info, bool as_float, char text[80])
{
    unsigned top = (1u << (info->bits - 1)) - 1u; /* of a signed field; half the span, less one */
    switch (info->kind) {
    case ISA_KIND_STREAM_IN:
    case ISA_KIND_STREAM_OUT:
        if (info->width > 1) {
            (void)snprintf(text, 80, "a stream e0..e31 or w0..w31, a multiple of %u", info->width);
        } else {
            (void)snprintf(text, 80, "a stream e0..e31 or w0..w31");
        }
        return;
    case ISA_KIND_IMMEDIATE:
        (void)snprintf(text, 80, "%s",
                       as_float ? "a finite number, or 0x with 32 bits"
                                : "an integer of 32 bits, decimal or 0x");
        return;
    case ISA_KIND_SIGNED:
        (void)snprintf(text, 80, "a number %lld..%u", -(long long)top - 1, top);
        return;
    default:
        (void)snprintf(text, 80, "a number %u..%u", info->kind == ISA_KIND_POSITIVE, 2 * top + 1);
        return;
    }
}

static bool parse_operand(struct token token, enum isa_field field, bool as_float, uint32_t *value)
{
    const struct isa_field_info *info = isa_field_info(field);
    char text[TOKEN_MAX];
    bool parsed = false;
    if (token.length == 0 || token.length >= sizeof text) {
        return false;
    }
    memcpy(text, token.start, token.length);
    text[token.length] = '\0';
    switch (info->kind) {
    case ISA_KIND_STREAM_IN:
    case ISA_KIND_STREAM_OUT: parsed = parse_stream(text, value); break;
    case ISA_KIND_IMMEDIATE: parsed = parse_immediate(text, as_float, value); break;
    default: parsed = parse_number(text, info, value); break;
    }
    return parsed && isa_field_flaw(field, *value) == NULL;
}

/* The operands of the instruction's row, from *cursor on; *token is the one at fault. */
static enum takt_status parse_operands(const char **cursor, struct isa_instruction *instruction,
                                       struct token *token, struct takt_error *error)
{
    const struct isa_op_info *op = isa_op_info((enum isa_op)instruction->op);
    char quoted[ISA_QUOTE_SIZE];
    char wanted[80];
    for (size_t i = 0; i < ISA_FIELDS_MAX && op->fields[i] != ISA_FIELD_NONE; i++) {
        uint32_t value = 0;
        if (i > 0 && **cursor == ',') {
            (*cursor)++;
        }
        *token = next_operand(cursor);
        if (!parse_operand(*token, op->fields[i], is_float_op(op), &value)) {
            const struct isa_field_info *info = isa_field_info(op->fields[i]);
            expected(info, is_float_op(op), wanted);
            return base_fail(error, TAKT_FORMAT, "%s: expected %s (operand %s of %s)",
                             isa_quote(token->start, token->length, quoted), wanted, info->name,
                             op->mnemonic);
        }
        isa_field_put(instruction, op->fields[i], value);
    }
    *token = next_operand(cursor);
    if (token->length > 0 || **cursor == ',') {
        token->length = BASE_MAX(token->length, 1u);
        return base_fail(error, TAKT_FORMAT, "%s: expected the end of the line after %s",
                         isa_quote(token->start, token->length, quoted), op->mnemonic);
    }
    return TAKT_OK;
}

enum takt_status isa_parse_at(const char *line, struct isa_instruction *instruction,
                              unsigned *column, struct takt_error *error)
{
    char quoted[ISA_QUOTE_SIZE];
    const char *cursor = line;
    while (is_space(*cursor)) {
        cursor++;
    }
    struct token token = {cursor, 0};
    while (!is_space(*cursor) && !ends_line(*cursor)) {
        cursor++;
    }
    token.length = (size_t)(cursor - token.start);
    enum isa_op code = ISA_NOP;
    memset(instruction, 0, sizeof *instruction);
    *column = (unsigned)(token.start - line) + 1;
    if (!find_mnemonic(token, &code)) {
        return base_fail(error, TAKT_FORMAT, "%s: expected an instruction",
                         isa_quote(token.start, token.length, quoted));
    }
    instruction->op = (uint8_t)code;
    enum takt_status status = parse_operands(&cursor, instruction, &token, error);
    *column = (unsigned)(token.start - line) + 1;
    return status;
}

enum takt_status isa_parse(const char *line, struct isa_instruction *instruction,
                           struct takt_error *error)
{
    unsigned column = 0;
    struct takt_error inner = {TAKT_OK, ""};
    enum takt_status status = isa_parse_at(line, instruction, &column, &inner);
    return status == TAKT_OK ? TAKT_OK
                             : base_fail(error, status, "column %u: %s", column, inner.message);
}

/*
 * VXM: sixteen ALUs, each one operation a lane a cycle. An operation sees its operands as 32-bit
 * numbers: narrower ones zero-extended, and only the result's low bytes leave.
 */
#include "chip/internal.h"

#include "num/num.h"

#include <math.h>
#include <string.h>

/* Inlined so that the lane loops vectorise; the same as num_bits and num_float. */
static inline float as_float(uint32_t bits)
{
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static inline uint32_t as_bits(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static inline uint32_t as_unsigned(int32_t value)
{
    return (uint32_t)value;
}

static inline int32_t as_signed(uint32_t bits)
{
    int32_t value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/*
 * num_f32_to_i32, _i16 and _i8 in a form that vectorises without binary64. Adding and taking away
 * 2^23 rounds a magnitude below it to the nearest even integer; from there on every binary32 is
 * one.
 */
static inline float round_even(float x)
{
    float magnitude = x < 0.0f ? -x : x;
    float rounded = (magnitude + 8388608.0f) - 8388608.0f;
    rounded = magnitude < 8388608.0f ? rounded : magnitude;
    return x < 0.0f ? -rounded : rounded;
}

static inline int32_t clamp_to_i32(float x, float low, float high)
{
    float value = x == x ? x : 0.0f;
    value = value > low ? value : low;
    value = value < high ? value : high;
    return (int32_t)round_even(value);
}

static inline int32_t f32_to_i32(float x)
{
    int32_t value = clamp_to_i32(x, -2147483648.0f, 2147483520.0f);
    return x >= 2147483648.0f ? INT32_MAX : value;
}

static inline uint32_t i32_to_u8(int32_t x)
{
    return x < 0 ? 0u : x > 255 ? 255u : (uint32_t)x;
}

static inline uint32_t mul_i16(uint32_t a, uint32_t b)
{
    int32_t left = (int32_t)(a & 0x7FFFu) - (int32_t)(a & 0x8000u);
    int32_t right = (int32_t)(b & 0x7FFFu) - (int32_t)(b & 0x8000u);
    return as_unsigned(left * right);
}

static inline uint32_t clamp_to(int32_t x, int32_t low, int32_t high)
{
    return as_unsigned(x < low ? low : x > high ? high : x);
}

static inline uint32_t clamp_i32(int64_t x)
{
    return as_unsigned((int32_t)(x < INT32_MIN ? INT32_MIN : x > INT32_MAX ? INT32_MAX : x));
}

static inline uint32_t shift_arithmetic(uint32_t x, uint32_t bits)
{
    return x >> bits | ~(~(x >> 31 ? UINT32_MAX : 0u) | UINT32_MAX >> bits);
}

static inline uint32_t f32_to_u32(float x)
{
    if (!(x > 0.0f))
        return 0;
    return x >= 4294967296.0f ? UINT32_MAX : (uint32_t)(x < 8388608.0f ? round_even(x) : x);
}

/* One rounding: sums and differences of binary16 in binary32 round innocuously (24 >= 2 x 11 + 2
 * digits), products are exact. */
static inline uint32_t half_of(float x)
{
    return x != x ? 0x7E00u : num_f32_to_f16(x); /* the sign of a made NaN is the processor's */
}

/* clang-format off */
#define EACH(expression)                                                                           \
    for (uint32_t i = 0; i < lanes; i++)                                                           \
        d[i] = (expression);                                                                       \
    break
#define A as_float(a[i])
#define B as_float(b[i])
#define S8(operand) ((int32_t)(int8_t)(uint8_t)operand[i])
#define S16(operand) ((int32_t)(int16_t)(uint16_t)operand[i])
#define H(operand) num_f16_to_f32((uint16_t)operand[i])

static void operate(enum isa_op op, uint32_t imm, const uint32_t *restrict a,
                    const uint32_t *restrict b, uint32_t *restrict d, uint32_t lanes) {
    const float constant = as_float(imm);
    switch (op) {
    case ISA_COPY_B8:
    case ISA_COPY_B32:       EACH(a[i]);
    case ISA_ADD_F32:        EACH(as_bits(A + B));
    case ISA_SUB_F32:        EACH(as_bits(A - B));
    case ISA_MUL_F32:        EACH(as_bits(A * B));
    case ISA_MAX_F32:        EACH(A > B ? a[i] : b[i]);
    case ISA_DIV_F32:        EACH(as_bits(A / B));
    case ISA_ADD_F32_IMM:    EACH(as_bits(A + constant));
    case ISA_MUL_F32_IMM:    EACH(as_bits(A * constant));
    case ISA_RDIV_F32_IMM:   EACH(as_bits(constant / A));
    case ISA_EXP_F32:        EACH(as_bits(num_exp(A)));
    case ISA_RSQRT_F32:      EACH(as_bits(num_rsqrt(A)));
    case ISA_SELECT_F32_IMM: EACH(a[i] != 0 ? b[i] : imm);
    case ISA_CVT_I32_F32:    EACH(as_bits((float)as_signed(a[i])));
    case ISA_CVT_F32_I32:    EACH(as_unsigned(f32_to_i32(A)));
    case ISA_CVT_F32_I16:    EACH(as_unsigned(clamp_to_i32(A, -32768.0f, 32767.0f)));
    case ISA_CVT_F32_I8:     EACH(as_unsigned(clamp_to_i32(A, -128.0f, 127.0f)));
    case ISA_CVT_I32_U8:     EACH(i32_to_u8(as_signed(a[i])));
    case ISA_CVT_U8_I32:     EACH(a[i]);
    case ISA_MAX_U8:         EACH(a[i] > b[i] ? a[i] : b[i]);
    case ISA_MAX_U8_IMM:     EACH(a[i] > imm ? a[i] : imm);
    case ISA_ADD_I32:        EACH(a[i] + b[i]);
    case ISA_ADD_I32_IMM:    EACH(a[i] + imm);
    case ISA_RSUB_I32_IMM:   EACH(imm - a[i]);
    case ISA_SHL_B32_IMM:    EACH(a[i] << (imm & 31u));
    case ISA_SHR_B32_IMM:    EACH(a[i] >> (imm & 31u));
    case ISA_AND_B32:        EACH(a[i] & b[i]);
    case ISA_AND_B32_IMM:    EACH(a[i] & imm);
    case ISA_OR_B32:         EACH(a[i] | b[i]);
    case ISA_MUL_I16:        EACH(mul_i16(a[i], b[i]));
    case ISA_MIN_F32:        EACH(A < B ? a[i] : b[i]);
    case ISA_NEG_F32:        EACH(a[i] ^ 0x80000000u);
    case ISA_ABS_F32:        EACH(a[i] & 0x7FFFFFFFu);
    case ISA_RELU_F32:       EACH(A > 0.0f ? a[i] : 0u);
    case ISA_TANH_F32:       EACH(as_bits(num_tanh(A)));
    case ISA_SQRT_F32:       EACH(as_bits(num_sqrt(A)));
    case ISA_EQ_F32:         EACH(A == B);
    case ISA_LT_F32:         EACH(A < B);
    case ISA_LE_F32:         EACH(A <= B);
    case ISA_MAX_F32_IMM:    EACH(A > constant ? a[i] : imm);
    case ISA_MIN_F32_IMM:    EACH(A < constant ? a[i] : imm);
    case ISA_RSUB_F32_IMM:   EACH(as_bits(constant - A));
    case ISA_SUB_I32:        EACH(a[i] - b[i]);
    case ISA_ADDS_I32:       EACH(clamp_i32((int64_t)as_signed(a[i]) + as_signed(b[i])));
    case ISA_SUBS_I32:       EACH(clamp_i32((int64_t)as_signed(a[i]) - as_signed(b[i])));
    case ISA_MUL_I32:        EACH(a[i] * b[i]);
    case ISA_MULS_I32:       EACH(clamp_i32((int64_t)as_signed(a[i]) * as_signed(b[i])));
    case ISA_MIN_I32:        EACH(as_signed(a[i]) < as_signed(b[i]) ? a[i] : b[i]);
    case ISA_MAX_I32:        EACH(as_signed(a[i]) > as_signed(b[i]) ? a[i] : b[i]);
    case ISA_NEG_I32:        EACH(0u - a[i]);
    case ISA_RELU_I32:       EACH(as_signed(a[i]) > 0 ? a[i] : 0u);
    case ISA_LT_I32:         EACH(as_signed(a[i]) < as_signed(b[i]));
    case ISA_ADDS_U32:       EACH(a[i] > UINT32_MAX - b[i] ? UINT32_MAX : a[i] + b[i]);
    case ISA_SUBS_U32:       EACH(a[i] > b[i] ? a[i] - b[i] : 0u);
    case ISA_MIN_U32:        EACH(a[i] < b[i] ? a[i] : b[i]);
    case ISA_MAX_U32:        EACH(a[i] > b[i] ? a[i] : b[i]);
    case ISA_LT_U32:         EACH(a[i] < b[i]);
    case ISA_EQ_B32:         EACH(a[i] == b[i]);
    case ISA_XOR_B32:        EACH(a[i] ^ b[i]);
    case ISA_XOR_B32_IMM:    EACH(a[i] ^ imm);
    case ISA_OR_B32_IMM:     EACH(a[i] | imm);
    case ISA_NOT_B32:        EACH(~a[i]);
    case ISA_SHL_B32:        EACH(a[i] << (b[i] & 31u));
    case ISA_SHR_B32:        EACH(a[i] >> (b[i] & 31u));
    case ISA_SRA_I32:        EACH(shift_arithmetic(a[i], b[i] & 31u));
    case ISA_SRA_I32_IMM:    EACH(shift_arithmetic(a[i], imm & 31u));
    case ISA_COPY_B16:       EACH(a[i]);
    case ISA_SELECT_B16_IMM: EACH(a[i] != 0 ? b[i] : imm);
    case ISA_EQ_B16:         EACH(a[i] == b[i]);
    case ISA_ADD_I16:        EACH(a[i] + b[i]);
    case ISA_SUB_I16:        EACH(a[i] - b[i]);
    case ISA_ADDS_I16:       EACH(clamp_to(S16(a) + S16(b), -32768, 32767));
    case ISA_SUBS_I16:       EACH(clamp_to(S16(a) - S16(b), -32768, 32767));
    case ISA_MIN_I16:        EACH(S16(a) < S16(b) ? a[i] : b[i]);
    case ISA_MAX_I16:        EACH(S16(a) > S16(b) ? a[i] : b[i]);
    case ISA_NEG_I16:        EACH(0u - a[i]);
    case ISA_RELU_I16:       EACH(S16(a) > 0 ? a[i] : 0u);
    case ISA_LT_I16:         EACH(S16(a) < S16(b));
    case ISA_ADDS_U16:       EACH(a[i] + b[i] > 0xFFFFu ? 0xFFFFu : a[i] + b[i]);
    case ISA_SUBS_U16:       EACH(a[i] > b[i] ? a[i] - b[i] : 0u);
    case ISA_MIN_U16:        EACH(a[i] < b[i] ? a[i] : b[i]);
    case ISA_MAX_U16:        EACH(a[i] > b[i] ? a[i] : b[i]);
    case ISA_MUL_U16:        EACH(a[i] * b[i]);
    case ISA_LT_U16:         EACH(a[i] < b[i]);
    case ISA_SELECT_B8_IMM:  EACH(a[i] != 0 ? b[i] : imm);
    case ISA_EQ_B8:          EACH(a[i] == b[i]);
    case ISA_AND_B8:         EACH(a[i] & b[i]);
    case ISA_OR_B8:          EACH(a[i] | b[i]);
    case ISA_XOR_B8:         EACH(a[i] ^ b[i]);
    case ISA_NOT_B8:         EACH(~a[i]);
    case ISA_ADD_I8:         EACH(a[i] + b[i]);
    case ISA_SUB_I8:         EACH(a[i] - b[i]);
    case ISA_ADDS_I8:        EACH(clamp_to(S8(a) + S8(b), -128, 127));
    case ISA_SUBS_I8:        EACH(clamp_to(S8(a) - S8(b), -128, 127));
    case ISA_MUL_I8:         EACH(as_unsigned(S8(a) * S8(b)));
    case ISA_MIN_I8:         EACH(S8(a) < S8(b) ? a[i] : b[i]);
    case ISA_MAX_I8:         EACH(S8(a) > S8(b) ? a[i] : b[i]);
    case ISA_NEG_I8:         EACH(0u - a[i]);
    case ISA_RELU_I8:        EACH(S8(a) > 0 ? a[i] : 0u);
    case ISA_LT_I8:          EACH(S8(a) < S8(b));
    case ISA_ADDS_U8:        EACH(a[i] + b[i] > 0xFFu ? 0xFFu : a[i] + b[i]);
    case ISA_SUBS_U8:        EACH(a[i] > b[i] ? a[i] - b[i] : 0u);
    case ISA_MUL_U8:         EACH(a[i] * b[i]);
    case ISA_MIN_U8:         EACH(a[i] < b[i] ? a[i] : b[i]);
    case ISA_LT_U8:          EACH(a[i] < b[i]);
    case ISA_ADD_F16:        EACH(half_of(H(a) + H(b)));
    case ISA_SUB_F16:        EACH(half_of(H(a) - H(b)));
    case ISA_MUL_F16:        EACH(half_of(H(a) * H(b)));
    case ISA_MIN_F16:        EACH(H(a) < H(b) ? a[i] : b[i]);
    case ISA_MAX_F16:        EACH(H(a) > H(b) ? a[i] : b[i]);
    case ISA_NEG_F16:        EACH(a[i] ^ 0x8000u);
    case ISA_RELU_F16:       EACH(H(a) > 0.0f ? a[i] : 0u);
    case ISA_EQ_F16:         EACH(H(a) == H(b));
    case ISA_LT_F16:         EACH(H(a) < H(b));
    case ISA_CVT_F16_F32:    EACH(as_bits(H(a)));
    case ISA_CVT_F32_F16:    EACH(half_of(A));
    case ISA_CVT_I8_I32:     EACH(as_unsigned(S8(a)));
    case ISA_CVT_I16_I32:    EACH(as_unsigned(S16(a)));
    case ISA_CVT_U16_I32:    EACH(a[i]);
    case ISA_CVT_I32_I8:     EACH(clamp_to(as_signed(a[i]), -128, 127));
    case ISA_CVT_I32_I16:    EACH(clamp_to(as_signed(a[i]), -32768, 32767));
    case ISA_CVT_I32_U16:    EACH(clamp_to(as_signed(a[i]), 0, 65535));
    case ISA_CVT_I8_F32:     EACH(as_bits((float)S8(a)));
    case ISA_CVT_U8_F32:     EACH(as_bits((float)a[i]));
    case ISA_CVT_I16_F32:    EACH(as_bits((float)S16(a)));
    case ISA_CVT_U16_F32:    EACH(as_bits((float)a[i]));
    case ISA_CVT_U32_F32:    EACH(as_bits((float)a[i]));
    case ISA_CVT_F32_U8:     EACH(as_unsigned(clamp_to_i32(A, 0.0f, 255.0f)));
    case ISA_CVT_F32_U16:    EACH(as_unsigned(clamp_to_i32(A, 0.0f, 65535.0f)));
    case ISA_CVT_F32_U32:    EACH(f32_to_u32(A));
    default:
        base_assert_failed("a VXM instruction", __FILE__, __LINE__);
    }
}
#undef A
#undef B
#undef S8
#undef S16
#undef H
#undef EACH
/* clang-format on */

/* Planes of 1, 2 or 4 bytes as one number a lane, from the range's first lane on. */
static void join(const struct chip *chip, const uint32_t *operands, uint32_t width,
                 const struct chip_range *range, uint32_t *restrict out)
{
    const uint8_t *planes[4] = {NULL, NULL, NULL, NULL};
    const uint32_t lanes = range->end - range->first;
    for (uint32_t i = 0; i < width; i++)
        planes[i] = chip_operand_at(chip, operands[i]) + range->first;
    const uint8_t *restrict low = planes[0];
    const uint8_t *restrict high = planes[1];
    if (width == 4)
        chip_lanes_join4(planes, lanes, out);
    else if (width == 2)
        for (uint32_t lane = 0; lane < lanes; lane++)
            out[lane] = (uint32_t)low[lane] | (uint32_t)high[lane] << 8;
    else
        for (uint32_t lane = 0; lane < lanes; lane++)
            out[lane] = low[lane];
}

static void split(const struct chip *chip, const uint32_t *operands, uint32_t width,
                  const struct chip_range *range, const uint32_t *restrict in)
{
    uint8_t *planes[4] = {NULL, NULL, NULL, NULL};
    const uint32_t lanes = range->end - range->first;
    for (uint32_t i = 0; i < width; i++)
        planes[i] = chip_operand_at(chip, operands[i]) + range->first;
    if (width == 4) {
        chip_lanes_split4(in, lanes, planes);
        return;
    }
    for (uint32_t i = 0; i < width; i++) {
        uint8_t *restrict plane = planes[i];
        for (uint32_t lane = 0; lane < lanes; lane++)
            plane[lane] = (uint8_t)(in[lane] >> (8u * i));
    }
}

/* Operands: the planes of a, of b, of the result. */
bool chip_vxm_value(struct chip *chip, const struct chip_op *op, const uint32_t *operands,
                    const struct chip_range *range)
{
    const struct chip_word *word = op->word;
    enum isa_op code = (enum isa_op)word->instruction.op;
    const uint32_t imm = word->instruction.imm, lanes = range->end - range->first;
    join(chip, operands, word->a_width, range, range->a);
    if (word->b_width)
        join(chip, operands + word->a_width, word->b_width, range, range->b);
    if (code == ISA_FMA_F32_IMM)
        chip->kernel->fma(range->a, imm, range->b, lanes, range->d);
    else
        operate(code, imm, range->a, range->b, range->d, lanes);
    split(chip, operands + word->a_width + word->b_width, word->d_width, range, range->d);
    return true;
}

bool chip_vxm_issue(struct chip *chip, struct chip_queue *queue, const struct chip_word *word)
{
    const struct isa_instruction *instruction = &word->instruction;
    uint32_t operands[CHIP_OPERANDS], count = 0;
    for (uint32_t i = 0; i < (uint32_t)word->a_width + word->b_width; i++) {
        uint32_t stream =
            i < word->a_width ? instruction->a + i : instruction->b + i - word->a_width;
        const uint8_t *value = chip_read(chip, queue, word, stream);
        if (!value)
            return false;
        operands[count++] = chip_operand(chip, value);
    }
    for (uint32_t i = 0; i < word->d_width; i++)
        operands[count++] = chip_operand(
            chip, chip_emit(chip, queue, word, instruction->d + i, chip->machine.vxm_cycles));
    if (chip->check_only)
        return true;
    const struct chip_op op = chip_op_of(chip, queue, word);
    return chip_compute(chip, &op, operands, count, chip->lanes);
}

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

/* clang-format off */
#define EACH(expression)                                                                           \
    for (uint32_t i = 0; i < lanes; i++)                                                           \
        d[i] = (expression);                                                                       \
    break
#define A as_float(a[i])
#define B as_float(b[i])

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
    default:
        base_assert_failed("a VXM instruction", __FILE__, __LINE__);
    }
}
#undef A
#undef B
#undef EACH
/* clang-format on */

/* Reads a group of 1, 2 or 4 streams as one number a lane. */
static bool read_group(struct chip *chip, struct chip_queue *queue, const struct chip_word *word,
                       uint32_t stream, uint32_t width, uint32_t *restrict out)
{
    const uint8_t *planes[4] = {NULL, NULL, NULL, NULL};
    for (uint32_t i = 0; i < width; i++) {
        planes[i] = chip_read(chip, queue, word, stream + i);
        if (!planes[i])
            return false;
    }
    if (chip->check_only)
        return true;
    const uint8_t *restrict low = planes[0];
    const uint8_t *restrict high = planes[1];
    if (width == 4)
        chip_lanes_join4(planes, chip->lanes, out);
    else if (width == 2)
        for (uint32_t lane = 0; lane < chip->lanes; lane++)
            out[lane] = (uint32_t)low[lane] | (uint32_t)high[lane] << 8;
    else
        for (uint32_t lane = 0; lane < chip->lanes; lane++)
            out[lane] = low[lane];
    return true;
}

static void write_group(struct chip *chip, struct chip_queue *queue, const struct chip_word *word,
                        const uint32_t *restrict in)
{
    uint8_t *planes[4] = {NULL, NULL, NULL, NULL};
    for (uint32_t i = 0; i < word->d_width; i++)
        planes[i] = chip_emit(chip, queue, word, word->instruction.d + i, chip->machine.vxm_cycles);
    if (chip->check_only)
        return;
    if (word->d_width == 4) {
        chip_lanes_split4(in, chip->lanes, planes);
        return;
    }
    for (uint32_t i = 0; i < word->d_width; i++) {
        uint8_t *restrict plane = planes[i];
        for (uint32_t lane = 0; lane < chip->lanes; lane++)
            plane[lane] = (uint8_t)(in[lane] >> (8u * i));
    }
}

static void compute(struct chip *chip, enum isa_op op, uint32_t imm)
{
    if (op == ISA_FMA_F32_IMM)
        chip->kernel->fma(chip->work_a, imm, chip->work_b, chip->lanes, chip->work_d);
    else
        operate(op, imm, chip->work_a, chip->work_b, chip->work_d, chip->lanes);
}

bool chip_vxm_issue(struct chip *chip, struct chip_queue *queue, const struct chip_word *word)
{
    const struct isa_instruction *instruction = &word->instruction;
    if (!read_group(chip, queue, word, instruction->a, word->a_width, chip->work_a))
        return false;
    if (word->b_width &&
        !read_group(chip, queue, word, instruction->b, word->b_width, chip->work_b))
        return false;
    if (!chip->check_only)
        compute(chip, (enum isa_op)instruction->op, instruction->imm);
    write_group(chip, queue, word, chip->work_d);
    return true;
}

/*
 * num: every rounding in takt.
 *
 * Owns: conversions, the quantisation rules of the w8a16 profile, exp, rsqrt, sine and cosine.
 * Reference, chip and CPU kernels all call these (or, in a kernel, compute the same bits).
 * Refuses to: sum across lanes in floating point. What crosses lanes is an integer sum or a
 * maximum; everything here is elementwise, binary32, round to nearest even (docs/NUMERICS.md).
 * Compiled with -ffp-contract=off; a fused multiply-add is written fmaf.
 */
#ifndef NUM_NUM_H
#define NUM_NUM_H

#include <stdint.h>

/* ---- bits ------------------------------------------------------------------------------------ */

uint32_t num_bits(float x);
float num_float(uint32_t bits);
float num_f16_to_f32(uint16_t half);  /* exact */
float num_bf16_to_f32(uint16_t half); /* exact */
/* Nearest even, as IEEE-754 has it: subnormal results are kept, beyond the range is infinity, NaN
 * is the quiet one. For writing files: no logits depend on these. */
uint16_t num_f32_to_f16(float x);
uint16_t num_f32_to_bf16(float x);

/* (high * 2^32 + low) * 2^-48, rounded once, to the nearest even; zero is +0. */
float num_fixed96_to_f32(int64_t high, uint32_t low);

/* ---- conversions: nearest even, saturating, NaN gives 0 -------------------------------------- */

int8_t num_f32_to_i8(float x);
int16_t num_f32_to_i16(float x);
int32_t num_f32_to_i32(float x);
uint8_t num_i32_to_u8(int32_t x); /* saturating to 0..255 */

/* ---- elementary functions, defined by their own fixed sequence of operations ----------------- */

/* A sequence in binary64 (no fused operation), rounded once to binary32: num_exp(0) = 1, never
 * above 1 for x <= 0, monotone. x < -87.33654 gives +0; x > 88.72283 gives +inf; NaN gives NaN
 * 0x7FC00000. */
float num_exp(float x);
float num_rsqrt(
    float x);            /* 1.0f / sqrtf(x), both correctly rounded; NaN or x < 0: NaN 0x7FC00000 */
float num_sqrt(float x); /* correctly rounded; NaN or x < 0: NaN 0x7FC00000 */
/* ln(x) in binary64 by a fixed sequence, x > 0 and normal; within 2^-50 of the true value. */
double num_log(double x);
/* Odd, monotone, -1..1: 1 - 2 / (exp(2 |x|) + 1) or, below 2^-6, a series; in binary64, rounded
 * once. NaN gives NaN 0x7FC00000. */
float num_tanh(float x);
/* Rotary angle: cosine and sine of position * (base^(-2 pair / rotary) / divisor), each times
 * magnitude, computed in binary64 by fixed sequences and rounded once to binary32.
 * 0 <= pair < rotary / 2. A divisor and a magnitude of 1 change nothing. */
void num_rope_scaled(double base, uint32_t rotary, uint32_t pair, double divisor, double magnitude,
                     uint32_t position, float *cosine, float *sine);
/* The same with both 1. */
void num_rope(double base, uint32_t rotary, uint32_t pair, uint32_t position, float *cosine,
              float *sine);
double num_rope_frequency(double base, uint32_t rotary,
                          uint32_t pair); /* base^(-2 pair / rotary) */

/* GELU by its tanh form, x / (1 + exp(x (c1 + c3 x^2))): c1 and c3 are -2 sqrt(2 / pi) times 1 and
 * 0.044715, rounded to binary32. */
#define NUM_GELU_C1 (-0x1.988454p+0f)
#define NUM_GELU_C3 (-0x1.2444f2p-4f)
float num_gelu(float x);
/* cap * tanh(x / cap), as cap - 2 cap / (1 + exp(x (2 / cap))); monotone. */
float num_softcap(float x, float cap);

/* ---- activations: 16 bits and a power of two per token and product input --------------------- */

#define NUM_EXPONENT_MIN                                                                           \
    15u /* smaller groups are treated as if their largest exponent were this                       \
         */

/* The biased exponent of x: bits 30..23. A group's exponent E is the maximum over its elements and
 * NUM_EXPONENT_MIN. */
uint8_t num_exponent(float x);
/* 2^(141-E) and 2^(E-141): bit patterns (268-E)<<23 and (E-14)<<23; E in 15..255. */
float num_scale_up(uint8_t exponent);
float num_scale_down(uint8_t exponent);
/* a16 = f32_to_i16(x * scale_up(E)); the bytes are hi = a16 >> 8 (signed), lo = a16 & 255. */
int16_t num_quantise_i16(float x, uint8_t exponent);
/* The smallest k with x <= 2^k, for 0 < x < infinity; NUM_GROWTH_MIN for 0. */
#define NUM_GROWTH_MIN (-512)
int32_t num_growth(double x);
/* An exponent for x + y, where `previous` is the largest exponent of x's group and y a product of
 * activations with exponent `activations`, whose outputs are at most 2^growth times these:
 * max(NUM_EXPONENT_MIN, previous, clamp(activations + growth, 0, 255)) + 1, at most 255. */
uint8_t num_exponent_grown(uint8_t previous, uint8_t activations, int32_t growth);
/* The smallest E >= NUM_EXPONENT_MIN with bound <= 2^(E-126); at most 255. */
uint8_t num_exponent_of_bound(double bound);

/* ---- KV cache: int8 and an 8-bit scale code per position and head ---------------------------- */

#define NUM_CODE_BASE                                                                              \
    856u /* (127 - 20) * 8: code 0 is 2^-20, eight codes an octave, 32 octaves                     \
          */

/* clamp(((bits >> 20) & 0x7FF) - NUM_CODE_BASE, 0, 255): the top of |x| on a grid of 8 an octave.
 * A group's code is the maximum over its elements. */
uint8_t num_code(float x);
/* U = float bits ((code + NUM_CODE_BASE + 1) << 20), the smallest grid value above the group. */
float num_code_bound(uint8_t code);
/* f32_to_i8(x * (127.0f / U)) */
int8_t num_code_quantise(float x, uint8_t code);
/* U * (1.0f / 127.0f) (the constant 1/127 rounded to binary32 first) */
float num_code_scale(uint8_t code);

/* ---- weights: int8, one scale per output channel --------------------------------------------- */

/* Quantises one channel of n finite values: out[n], and its scale. A channel of zeros gets scale 0.
 * The rule is documented in docs/NUMERICS.md; deterministic, order fixed. */
void num_quantise_channel(const float *weights, uint32_t n, int8_t *out, float *scale);

#endif

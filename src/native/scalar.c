/* The plainest level: the contract's expressions in loops, by the functions of num. */
#include "native/kernels.h"

#include <math.h>
#include <string.h>

#include "num/num.h"

static bool supported(void)
{
    return true;
}

/* ---- products -------------------------------------------------------------------------------- */

static void product(const int8_t *panel, const int32_t *start, uint32_t quads, const uint8_t *tile,
                    uint32_t tokens, const int8_t *next, uint32_t ahead, float *acc)
{
    (void)next;
    (void)ahead;
    for (uint32_t m = 0; m < tokens; m++) {
        int32_t high[NATIVE_PANEL] = {0}, low[NATIVE_PANEL] = {0};
        if (start != NULL)
            memcpy(high, start, sizeof high);
        for (uint32_t q = 0; q < quads; q++) {
            const int8_t *weights = panel + (size_t)q * NATIVE_PANEL_QUAD_BYTES;
            const uint8_t *a = tile + ((size_t)q * tokens + m) * NATIVE_TOKEN_QUAD_BYTES;
            for (uint32_t i = 0; i < NATIVE_PANEL; i++)
                for (uint32_t j = 0; j < 4; j++) {
                    high[i] += a[j] * weights[4 * i + j];
                    low[i] += a[4 + j] * weights[4 * i + j];
                }
        }
        for (uint32_t i = 0; i < NATIVE_PANEL; i++)
            acc[m * NATIVE_PANEL + i] = fmaf(256.0f, (float)high[i], (float)low[i]);
    }
}

static void scale(const float *acc, const float *scales, float factor, const float *bias,
                  const float *add, uint32_t n, float *out)
{
    for (uint32_t i = 0; i < n; i++) {
        float y = acc[i] * scales[i];
        y = y * factor;
        if (bias != NULL)
            y = y + bias[i];
        out[i] = add != NULL ? add[i] + y : y;
    }
}

/* ---- quantising ------------------------------------------------------------------------------ */

static float gained(const float *x, const float *gain, uint32_t i)
{
    return gain != NULL ? x[i] * gain[i] : x[i];
}

static uint8_t exponent(const float *x, const float *gain, uint32_t n)
{
    uint8_t largest = NUM_EXPONENT_MIN;
    for (uint32_t i = 0; i < n; i++) {
        uint8_t own = num_exponent(gained(x, gain, i));
        largest = own > largest ? own : largest;
    }
    return largest;
}

/* Element i of a token: bytes of an unsigned 16-bit number. */
static void put(uint8_t *out, size_t stride, uint32_t i, uint32_t value)
{
    uint8_t *quad = out + i / 4 * stride;
    quad[i % 4] = (uint8_t)(value >> 8);
    quad[4 + i % 4] = (uint8_t)value;
}

static void quantise(const float *x, const float *gain, uint32_t n, uint8_t e, uint8_t *out,
                     size_t stride)
{
    for (uint32_t i = 0; i < n; i++)
        put(out, stride, i, (uint32_t)(num_quantise_i16(gained(x, gain, i), e) + 32768));
    for (uint32_t i = n; i % 4 != 0; i++)
        put(out, stride, i, 32768);
}

static void squares(const float *x, uint32_t n, uint8_t e, int32_t sums[4])
{
    memset(sums, 0, 4 * sizeof *sums);
    for (uint32_t i = 0; i < n; i++) {
        int32_t x16 = num_quantise_i16(x[i], e);
        uint32_t square = (uint32_t)(x16 * x16);
        for (uint32_t b = 0; b < 4; b++)
            sums[b] += (int32_t)(square >> 8 * b & 255u);
    }
}

/* ---- elementwise ----------------------------------------------------------------------------- */

static void add(const float *x, const float *y, uint32_t n, float *out)
{
    for (uint32_t i = 0; i < n; i++)
        out[i] = x[i] + y[i];
}

static void swiglu(const float *gate, const float *up, uint32_t n, float *out)
{
    for (uint32_t i = 0; i < n; i++) {
        float t = num_exp(gate[i] * -1.0f);
        t = t + 1.0f;
        float hidden = gate[i] / t;
        out[i] = hidden * up[i];
    }
}

static void geglu(const float *gate, const float *up, uint32_t n, float *out)
{
    for (uint32_t i = 0; i < n; i++) {
        float hidden = num_gelu(gate[i]);
        out[i] = hidden * up[i];
    }
}

static void softcap(const float *x, float cap, uint32_t n, float *out)
{
    for (uint32_t i = 0; i < n; i++)
        out[i] = num_softcap(x[i], cap);
}

static void norm(const float *x, float factor, const float *gain, uint32_t n, float *out)
{
    for (uint32_t i = 0; i < n; i++) {
        float normed = x[i] * factor;
        out[i] = normed * gain[i];
    }
}

static void rope(const float *x, const float *cosines, const float *sines, uint32_t n, float *out)
{
    for (uint32_t i = 0; i < n; i++) {
        float t1 = x[i] * cosines[i];
        float t2 = x[i ^ 1] * sines[i];
        out[i] = t1 + t2;
    }
}

/* ---- attention ------------------------------------------------------------------------------- */

static uint8_t code(const float *x, uint32_t n)
{
    uint8_t largest = 0;
    for (uint32_t i = 0; i < n; i++) {
        uint8_t own = num_code(x[i]);
        largest = own > largest ? own : largest;
    }
    return largest;
}

static void code_quantise(const float *x, uint32_t n, uint8_t of_group, int8_t *out)
{
    for (uint32_t i = 0; i < n; i++)
        out[i] = num_code_quantise(x[i], of_group);
}

static void scores(const float *acc, float down, const float *scales, uint32_t n, float *out)
{
    for (uint32_t i = 0; i < n; i++) {
        float t = acc[i] * down;
        out[i] = t * scales[i];
    }
}

static float softmax(float *score, const float *v_scales, uint32_t first, uint32_t n, uint8_t e,
                     uint32_t quads, uint8_t *out, size_t stride)
{
    float largest = score[first];
    for (uint32_t p = first + 1; p < n; p++)
        largest = largest > score[p] ? largest : score[p];
    int32_t sums[3] = {0, 0, 0};
    for (uint32_t p = first; p < n; p++) {
        float x = num_exp(score[p] - largest);
        uint32_t fixed = (uint32_t)num_f32_to_i32(x * 8388608.0f);
        for (uint32_t b = 0; b < 3; b++)
            sums[b] += (int32_t)(fixed >> 8 * b & 255u);
        put(out, stride, p, (uint32_t)num_quantise_i16(x * v_scales[p], e));
    }
    for (uint32_t p = 0; p < 4 * quads; p++)
        if (p < first || p >= n)
            put(out, stride, p, 0);
    float t = fmaf(256.0f, (float)sums[2], (float)sums[1]);
    t = fmaf(256.0f, t, (float)sums[0]);
    return t * 0x1p-23f;
}

/* ---- weights --------------------------------------------------------------------------------- */

enum { BLOCK = 32, BLOCK_BYTES = 34 };

static float block_weight(const unsigned char *data, uint32_t k)
{
    const unsigned char *block = data + (size_t)(k / BLOCK) * BLOCK_BYTES;
    const float factor = num_f16_to_f32((uint16_t)(block[0] | block[1] << 8));
    return factor * (float)(int8_t)block[2 + k % BLOCK];
}

static void blocks(const unsigned char *data, uint32_t n, int8_t *out, float *step)
{
    uint32_t largest = 0;
    for (uint32_t k = 0; k < n; k++) {
        const uint32_t own = num_bits(block_weight(data, k)) & 0x7FFFFFFFu;
        largest = own > largest ? own : largest;
    }
    *step = num_float(largest) / 127.0f;
    for (uint32_t k = 0; k < n; k++) {
        const int8_t nearest =
            *step > 0.0f ? num_f32_to_i8(block_weight(data, k) / *step) : (int8_t)0;
        out[k] = nearest < -127 ? -127 : nearest;
    }
}

static void panel(const int8_t *channels, size_t stride, uint32_t quads, int8_t *out, int32_t *sums)
{
    for (uint32_t lane = 0; lane < NATIVE_PANEL; lane++) {
        sums[lane] = 0;
        for (uint32_t k = 0; k < 4 * quads; k++) {
            const int8_t weight = channels[lane * stride + k];
            out[(size_t)(k / 4) * NATIVE_PANEL_QUAD_BYTES + 4 * lane + k % 4] = weight;
            sums[lane] += weight;
        }
    }
}

/* ---- measuring ------------------------------------------------------------------------------- */

static uint64_t read_all(const void *data, size_t bytes)
{
    uint64_t sum = 0, word;
    for (size_t i = 0; i < bytes; i += sizeof word) {
        memcpy(&word, (const unsigned char *)data + i, sizeof word);
        sum += word;
    }
    return sum;
}

static uint64_t peak(uint32_t rounds)
{
    static const int8_t panel[NATIVE_PANEL_QUAD_BYTES];
    static const uint8_t tile[NATIVE_TOKEN_QUAD_BYTES];
    float acc[NATIVE_PANEL];
    for (uint32_t i = 0; i < rounds; i++)
        product(panel, NULL, 1, tile, 1, NULL, 0, acc);
    return (uint64_t)acc[0];
}

const struct native_kernels native_kernels_scalar = {
    .name = "scalar",
    .supported = supported,
    .product = product,
    .scale = scale,
    .exponent = exponent,
    .quantise = quantise,
    .squares = squares,
    .add = add,
    .swiglu = swiglu,
    .geglu = geglu,
    .softcap = softcap,
    .norm = norm,
    .rope = rope,
    .code = code,
    .code_quantise = code_quantise,
    .scores = scores,
    .softmax = softmax,
    .read = read_all,
    .peak = peak,
    .peak_ops = 2 * 2 * NATIVE_PANEL_QUAD_BYTES,
    .channel = num_quantise_channel,
    .blocks = blocks,
    .panel = panel,
};

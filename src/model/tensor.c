/* Tensor formats and exact dequantisation. Numbers and names: ggml.h, enum ggml_type. */
#include "model/tensor.h"

#include "num/num.h"

#include <string.h>

#define Q8_BLOCK 32u /* elements of a Q8_0 block: one binary16 scale, then 32 signed bytes */

static const struct model_format formats[MODEL_TYPE_COUNT] = {
    [MODEL_F32] = {"F32", 1, 4},
    [MODEL_F16] = {"F16", 1, 2},
    [MODEL_BF16] = {"BF16", 1, 2},
    [MODEL_Q8_0] = {"Q8_0", Q8_BLOCK, 2 + Q8_BLOCK},
};

const struct model_format *model_tensor_format(enum model_type type)
{
    BASE_ASSERT((unsigned)type < MODEL_TYPE_COUNT);
    return &formats[type];
}

bool model_tensor_type(uint32_t number, enum model_type *type)
{
    switch (number) {
    case 0: *type = MODEL_F32; return true;
    case 1: *type = MODEL_F16; return true;
    case 8: *type = MODEL_Q8_0; return true;
    case 30: *type = MODEL_BF16; return true;
    default: return false;
    }
}

const char *model_tensor_type_name(uint32_t number)
{
    static const char *const names[] = {
        "F32",   "F16",        "Q4_0",       "Q4_1",       "Q4_2",     "Q4_3",     "Q5_0",
        "Q5_1",  "Q8_0",       "Q8_1",       "Q2_K",       "Q3_K",     "Q4_K",     "Q5_K",
        "Q6_K",  "Q8_K",       "IQ2_XXS",    "IQ2_XS",     "IQ3_XXS",  "IQ1_S",    "IQ4_NL",
        "IQ3_S", "IQ2_S",      "IQ4_XS",     "I8",         "I16",      "I32",      "I64",
        "F64",   "IQ1_M",      "BF16",       "Q4_0_4_4",   "Q4_0_4_8", "Q4_0_8_8", "TQ1_0",
        "TQ2_0", "IQ4_NL_4_4", "IQ4_NL_4_8", "IQ4_NL_8_8", "MXFP4",
    };
    return number < BASE_COUNT(names) ? names[number] : "unknown";
}

static uint16_t read_u16(const unsigned char *data)
{
    return (uint16_t)(data[0] | data[1] << 8);
}

static uint32_t read_u32(const unsigned char *data)
{
    return (uint32_t)read_u16(data) | (uint32_t)read_u16(data + 2) << 16;
}

static void row_q8_0(const unsigned char *data, uint32_t columns, float *out)
{
    for (uint32_t i = 0; i < columns; i += Q8_BLOCK, data += 2 + Q8_BLOCK) {
        float scale = num_f16_to_f32(read_u16(data));
        for (uint32_t j = 0; j < Q8_BLOCK; j++) {
            int8_t weight;
            memcpy(&weight, data + 2 + j, 1);
            /* 11 bits times 8 bits: exact in binary32. */
            out[i + j] = scale * (float)weight;
        }
    }
}

void model_row(const struct model_tensor *tensor, uint32_t row, float *out)
{
    BASE_ASSERT(row < tensor->rows);
    const struct model_format *format = model_tensor_format(tensor->type);
    size_t row_bytes = (size_t)(tensor->columns / format->block) * format->block_bytes;
    const unsigned char *data = tensor->data + (size_t)row * row_bytes;
    switch (tensor->type) {
    case MODEL_F32:
        for (uint32_t i = 0; i < tensor->columns; i++)
            out[i] = num_float(read_u32(data + 4 * (size_t)i));
        break;
    case MODEL_F16:
        for (uint32_t i = 0; i < tensor->columns; i++)
            out[i] = num_f16_to_f32(read_u16(data + 2 * (size_t)i));
        break;
    case MODEL_BF16:
        for (uint32_t i = 0; i < tensor->columns; i++)
            out[i] = num_bf16_to_f32(read_u16(data + 2 * (size_t)i));
        break;
    case MODEL_Q8_0: row_q8_0(data, tensor->columns, out); break;
    case MODEL_TYPE_COUNT: BASE_ASSERT(false);
    }
}

/* Tensor formats, one row each: model_formats. Numbers and names: ggml.h, enum ggml_type. */
#include "model/tensor.h"

#include "model/dequantise.h"

#include <stdlib.h>
#include <string.h>

static const struct {
    struct model_format format;
    dequantise_row row;
} formats[MODEL_TYPE_COUNT] = {
    [MODEL_F32] = {{"F32", 0, 1, 4}, dequantise_f32},
    [MODEL_F16] = {{"F16", 1, 1, 2}, dequantise_f16},
    [MODEL_BF16] = {{"BF16", 30, 1, 2}, dequantise_bf16},
    [MODEL_Q8_0] = {{"Q8_0", 8, 32, 34}, dequantise_q8_0},
    [MODEL_Q4_0] = {{"Q4_0", 2, 32, 18}, dequantise_q4_0},
    [MODEL_Q4_1] = {{"Q4_1", 3, 32, 20}, dequantise_q4_1},
    [MODEL_Q5_0] = {{"Q5_0", 6, 32, 22}, dequantise_q5_0},
    [MODEL_Q5_1] = {{"Q5_1", 7, 32, 24}, dequantise_q5_1},
    [MODEL_Q2_K] = {{"Q2_K", 10, 256, 84}, dequantise_q2_k},
    [MODEL_Q3_K] = {{"Q3_K", 11, 256, 110}, dequantise_q3_k},
    [MODEL_Q4_K] = {{"Q4_K", 12, 256, 144}, dequantise_q4_k},
    [MODEL_Q5_K] = {{"Q5_K", 13, 256, 176}, dequantise_q5_k},
    [MODEL_Q6_K] = {{"Q6_K", 14, 256, 210}, dequantise_q6_k},
    [MODEL_IQ4_NL] = {{"IQ4_NL", 20, 32, 18}, dequantise_iq4_nl},
    [MODEL_IQ4_XS] = {{"IQ4_XS", 23, 256, 136}, dequantise_iq4_xs},
    [MODEL_MXFP4] = {{"MXFP4", 39, 32, 17}, dequantise_mxfp4},
};

const struct model_format *model_tensor_format(enum model_type type)
{
    BASE_ASSERT((unsigned)type < MODEL_TYPE_COUNT);
    return &formats[type].format;
}

bool model_tensor_type(uint32_t number, enum model_type *type)
{
    for (unsigned i = 0; i < MODEL_TYPE_COUNT; i++)
        if (formats[i].format.number == number) {
            *type = (enum model_type)i;
            return true;
        }
    return false;
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

uint64_t model_row_bytes(const struct model_tensor *tensor)
{
    const struct model_format *format = model_tensor_format(tensor->type);
    return (uint64_t)(tensor->columns / format->block) * format->block_bytes;
}

const unsigned char *model_row_data(const struct model_tensor *tensor, uint32_t row)
{
    BASE_ASSERT(row < tensor->rows && tensor->type < MODEL_TYPE_COUNT);
    return tensor->data + (size_t)row * (size_t)model_row_bytes(tensor);
}

void model_row(const struct model_tensor *tensor, uint32_t row, float *out)
{
    formats[tensor->type].row(model_row_data(tensor, row), tensor->columns, out);
}

void model_release(const struct model *model, const struct model_tensor *tensor, uint32_t first,
                   uint32_t end)
{
    const size_t row_bytes = (size_t)model_row_bytes(tensor);
    const unsigned char *begin = tensor->data + first * row_bytes;
    for (uint32_t i = 0; i < model->files.count; i++)
        base_file_release(&model->files.file[i], begin, (end - first) * row_bytes);
}

/* ---- records --------------------------------------------------------------------------------- */

static int compare_records(const void *a, const void *b)
{
    const struct gguf_string *x = &((const struct tensor_record *)a)->name;
    const struct gguf_string *y = &((const struct tensor_record *)b)->name;
    int order = memcmp(x->text, y->text, BASE_MIN(x->length, y->length));
    return order != 0 ? order : (x->length > y->length) - (x->length < y->length);
}

bool tensor_records_sort(struct tensor_record *records, size_t count, struct gguf_string *twice)
{
    if (count > 0)
        qsort(records, count, sizeof(*records), compare_records);
    for (size_t i = 1; i < count; i++)
        if (compare_records(&records[i - 1], &records[i]) == 0) {
            *twice = records[i].name;
            return false;
        }
    return true;
}

struct tensor_record *tensor_records_find(struct tensor_record *records, size_t count,
                                          const char *name)
{
    struct tensor_record wanted = {.name = {name, strlen(name)}};
    return count == 0 ? NULL : bsearch(&wanted, records, count, sizeof(*records), compare_records);
}

/* What is in a model's files, whether takt could run them or not. */
#ifndef MODEL_DESCRIBE_H
#define MODEL_DESCRIBE_H

#include "base/base.h"

#include <jansson.h>

/*
 * One object: path, kind ("gguf" or "huggingface"), files and bytes, metadata (keys of the
 * GGUF header, or of config.json; long values shortened), tokenizer (its kind as the files name
 * it), parameters, tensor_bytes, tensor_types [{type, tensors, parameters, bytes}], tensors [{name,
 * type, shape, bytes}]. The statuses of model_open that concern the containers.
 */
enum takt_status model_describe(const char *path, json_t **out, struct takt_error *error);

#endif

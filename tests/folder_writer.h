/* Hugging Face folders made by tests: a model opened from a GGUF file, written the other way. */
#ifndef TESTS_FOLDER_WRITER_H
#define TESTS_FOLDER_WRITER_H

#include "model/model.h"

/*
 * Writes config.json and, in F32, model.safetensors or (files > 1) so many parts with their index:
 * rows of q and k in halves, gemma's gains less 1, the names of the transformers library. more:
 * text put into config.json's object, beginning with a comma, or "". The folder must exist.
 */
bool folder_write(const char *folder, const struct model *model, uint32_t files, const char *more);
/* The same with other words than "model." before the tensors' names. */
bool folder_write_as(const char *folder, const char *prefix, const struct model *model,
                     uint32_t files, const char *more);
/* Removes what folder_write wrote, and the folder. */
void folder_remove(const char *folder);

#endif

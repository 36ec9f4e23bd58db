/* tokenizer.json is not read yet; the tokenizer that reads it takes this file's place. */
#include "model/tokenizer.h"

enum takt_status tokenizer_open_folder(struct tokenizer **tokenizer, const char *folder,
                                       struct takt_error *error)
{
    *tokenizer = NULL;
    return base_fail(error, TAKT_UNSUPPORTED,
                     "%s: takt does not read tokenizer.json yet; give the model as GGUF", folder);
}

/* Any bytes as the body of a request: read without harm, or refused with a status and a message.
 * The first byte chooses chat/completions or completions. */
#include "fuzz.h"

#include <stdlib.h>
#include <string.h>

#include "serve/internal.h"

static struct serve_model *open_model(void)
{
    struct serve_options options;
    struct serve_model *model = calloc(1, sizeof *model);
    serve_defaults(&options);
    options.engine.target = TAKT_TARGET_REFERENCE;
    options.slots = 1;
    if (!model ||
        serve_model_open(model, &options, "models/fable/fable-q8_0.gguf", NULL) != TAKT_OK) {
        abort();
    }
    return model;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct serve_model *models[1]; /* opened once, for all inputs */
    if (!models[0]) {
        models[0] = open_model();
    }
    if (size < 1) {
        return 0;
    }
    struct serve_request request;
    struct serve_failure failure = {0};
    struct base_text text = {0};
    if (!serve_request_read(&request, data[0] & 1, (const char *)data + 1, size - 1, models, 1,
                            &failure)) {
        serve_failure_json(&failure, &text);
        json_t *json = json_loadb(text.data, text.length, 0, NULL);
        BASE_ASSERT(failure.status >= 400 && failure.message[0] && json);
        json_decref(json);
    } else {
        BASE_ASSERT(request.prompt_count > 0 &&
                    request.prompt_count + request.max_tokens <= models[0]->info.context);
    }
    base_text_free(&text);
    serve_request_free(&request);
    return 0;
}

/* Any bytes as a chat template, and what follows a zero byte as the JSON of its variables: it is
 * refused or rendered within its limits, and every byte of the output is marked. */
#include "fuzz.h"

#include <stdlib.h>
#include <string.h>

#include "model/jinja.h"

static const char variables[] =
    "{\"messages\":[{\"role\":\"system\",\"content\":\"Be kind.\"},{\"role\":\"user\",\"content\":"
    "\"Hi "
    "\\u00e4\"},{\"role\":\"assistant\",\"content\":null,\"tool_calls\":[{\"id\":\"123456789\","
    "\"type\":\"function\",\"function\":{\"name\":\"f\",\"arguments\":{\"a\":[1,2.5,true,null]}}}]}"
    ","
    "{\"role\":\"tool\",\"content\":\"21\",\"tool_call_id\":\"123456789\"}],\"tools\":[{\"type\":"
    "\"function\",\"function\":{\"name\":\"f\",\"description\":\"d\",\"parameters\":{\"type\":"
    "\"object\",\"properties\":{\"a\":{\"type\":\"array\"}},\"required\":[\"a\"]}}}],\"bos_token\":"
    "\"<s>\",\"eos_token\":\"</s>\",\"add_generation_prompt\":true}";

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *end = size == 0 ? NULL : memchr(data, 0, size);
    const size_t length = end == NULL ? size : (size_t)(end - data);
    struct jinja *template;
    struct takt_error error;
    if (size > 1 << 16 ||
        jinja_compile(&template, "fuzz", (const char *)data, length, &error) != TAKT_OK)
        return 0;
    json_t *root =
        end == NULL ? NULL : json_loadb((const char *)end + 1, size - length - 1, 0, NULL);
    if (!json_is_object(root)) {
        json_decref(root);
        root = json_loads(variables, 0, NULL);
    }
    struct jinja_variable given[32];
    size_t count = 0;
    const char *name;
    json_t *value;
    json_object_foreach(root, name, value)
    {
        if (count < BASE_COUNT(given))
            given[count++] = (struct jinja_variable){name, value, true};
    }
    struct base_text text = {0}, marks = {0};
    if (jinja_render(template, given, count, 1721981106, &text, &marks, &error) == TAKT_OK)
        BASE_ASSERT(text.length == marks.length);
    else
        BASE_ASSERT(strchr(error.message, '\n') == NULL);
    base_text_free(&text);
    base_text_free(&marks);
    json_decref(root);
    jinja_destroy(template);
    return 0;
}

/* Templates from outside: compiling, rendering, memory, limits, messages. */
#include "model/jinja_parts.h"

#include <stdlib.h>
#include <string.h>

#define SOURCE_BYTES_MAX (1u << 20) /* templates of today have under 50 KB */
#define COMPILE_BYTES_MAX ((size_t)256 << 20)
#define RENDER_BYTES_MIN ((size_t)64 << 20)
#define RENDER_BYTES_MAX ((size_t)1 << 30)
#define RENDER_BYTES_PER_INPUT 64u /* a byte of messages may be copied by many steps */
#define RENDER_STEPS 20000000u
#define RENDER_STEPS_PER_INPUT 200u

struct jinja {
    char *name, *source;
    size_t length;
    struct jinja_context compiled; /* the tree's memory */
    const struct jinja_node *tree;
};

/* ---- memory ---------------------------------------------------------------------------------- */

struct jinja_block {
    struct jinja_block *next;
    size_t used_bytes, size_bytes;
    _Alignas(16) unsigned char data[];
};

void *jinja_allocate(struct jinja_context *context, size_t count, size_t size_bytes)
{
    size_t room = context->limit_bytes - BASE_MIN(context->allocated_bytes, context->limit_bytes);
    if (size_bytes != 0 && count > room / size_bytes)
        JINJA_FAIL(context, TAKT_LIMIT,
                   "the template needs more than %zu MiB of memory; render less",
                   context->limit_bytes >> 20);
    size_t bytes = (count * size_bytes + 15) / 16 * 16;
    struct jinja_block *block = context->blocks;
    if (block == NULL || block->size_bytes - block->used_bytes < bytes) {
        /* Blocks grow with the whole, so that their number stays small. */
        size_t size = BASE_MAX(bytes, BASE_MAX((size_t)16384, context->allocated_bytes / 4));
        block = calloc(1, sizeof(*block) + size);
        if (block == NULL)
            JINJA_FAIL(context, TAKT_MEMORY, "no memory for %zu bytes; free some", size);
        block->size_bytes = size;
        block->next = context->blocks;
        context->blocks = block;
    }
    unsigned char *memory = block->data + block->used_bytes;
    block->used_bytes += bytes;
    context->allocated_bytes += bytes;
    return memory;
}

void jinja_release(struct jinja_context *context)
{
    while (context->blocks != NULL) {
        struct jinja_block *next = context->blocks->next;
        free(context->blocks);
        context->blocks = next;
    }
}

void jinja_charge(struct jinja_context *context, uint64_t steps)
{
    context->steps += steps;
    if (context->steps > context->step_limit)
        JINJA_FAIL(context, TAKT_LIMIT, "the template takes more than %llu steps; render less",
                   (unsigned long long)context->step_limit);
}

void jinja_enter(struct jinja_context *context)
{
    if (++context->depth > JINJA_DEPTH_MAX)
        JINJA_FAIL(context, TAKT_LIMIT, "nested deeper than %u levels", JINJA_DEPTH_MAX);
}

/* ---- messages -------------------------------------------------------------------------------- */

/* The source at a position up to the end of its line, as far as it is good to read. */
static void quote(const struct jinja_context *context, uint32_t position, char out[72])
{
    size_t used = 0, limit = 60;
    const char *source = context->source;
    for (size_t i = position; i < context->source_length && used < limit; i++) {
        unsigned char byte = (unsigned char)source[i];
        if (byte == '\n' || byte == '\r')
            break;
        out[used++] = byte < 0x20 || byte == 0x7F ? ' ' : (char)byte;
        if ((byte == '}' && i > position && (source[i - 1] == '}' || source[i - 1] == '%')))
            break;
    }
    used = base_utf8_whole_prefix(out, used);
    if (used == limit) {
        memcpy(out + used, "...", 3);
        used += 3;
    }
    out[used] = '\0';
}

void jinja_fail(struct jinja_context *context, enum takt_status status, uint32_t position,
                const char *format, ...)
{
    size_t line = 1, column = 1;
    size_t end = BASE_MIN((size_t)position, context->source_length);
    for (size_t i = 0; i < end; i++) {
        column = context->source[i] == '\n' ? 1 : column + 1;
        line += context->source[i] == '\n' ? 1 : 0;
    }
    char source[72], message[400];
    quote(context, position, source);
    va_list list;
    va_start(list, format);
    vsnprintf(message, sizeof(message), format, list);
    va_end(list);
    message[base_utf8_whole_prefix(message, strlen(message))] = '\0';
    base_fail(context->error, status, "%s: line %zu, column %zu: %s%s%s%s", context->name, line,
              column, source[0] == '\0' ? "" : "\"", source,
              source[0] == '\0' ? "" : "\": ", message);
    longjmp(*context->jump, (int)status);
}

/* ---- from outside ---------------------------------------------------------------------------- */

/* The only places that failures come back to. What they need afterwards lies in the context. */
static enum takt_status guarded_parse(struct jinja_context *context, const struct jinja_node **tree)
{
    jmp_buf jump;
    context->jump = &jump;
    if (setjmp(jump) != 0)
        return context->error->status;
    *tree = jinja_parse(context);
    return TAKT_OK;
}

static enum takt_status guarded_run(struct jinja_context *context, const struct jinja_node *tree,
                                    const struct jinja_variable *variables, size_t count,
                                    struct jinja_builder *text)
{
    jmp_buf jump;
    context->jump = &jump;
    if (setjmp(jump) != 0)
        return context->error->status;
    jinja_run(context, tree, variables, count, text);
    return TAKT_OK;
}

static enum takt_status parse(struct jinja *template, struct takt_error *error)
{
    struct takt_error kept = {TAKT_OK, ""};
    struct jinja_context *context = &template->compiled;
    *context = (struct jinja_context){.error = &kept,
                                      .name = template->name,
                                      .source = template->source,
                                      .source_length = template->length,
                                      .limit_bytes = COMPILE_BYTES_MAX,
                                      .step_limit = UINT64_MAX};
    enum takt_status status = guarded_parse(context, &template->tree);
    if (status != TAKT_OK && error != NULL)
        *error = kept;
    context->jump = NULL;
    context->error = NULL;
    return status;
}

enum takt_status jinja_compile(struct jinja **out, const char *name, const char *source,
                               size_t length, struct takt_error *error)
{
    *out = NULL;
    if (length > SOURCE_BYTES_MAX)
        return base_fail(error, TAKT_LIMIT, "%s: a template of %zu bytes; takt takes at most %u",
                         name, length, SOURCE_BYTES_MAX);
    struct jinja *template = calloc(1, sizeof(*template));
    if (template == NULL)
        return base_fail(error, TAKT_MEMORY, "%s: no memory for a template; free some", name);
    template->name = strdup(name);
    template->source = malloc(length + 1);
    template->length = length;
    if (template->name == NULL || template->source == NULL) {
        jinja_destroy(template);
        return base_fail(error, TAKT_MEMORY, "%s: no memory for a template; free some", name);
    }
    memcpy(template->source, source, length);
    template->source[length] = '\0';
    enum takt_status status = parse(template, error);
    if (status != TAKT_OK) {
        jinja_destroy(template);
        return status;
    }
    *out = template;
    return TAKT_OK;
}

void jinja_destroy(struct jinja *template)
{
    if (template == NULL)
        return;
    jinja_release(&template->compiled);
    free(template->name);
    free(template->source);
    free(template);
}

static size_t json_bytes(const json_t *json, unsigned depth)
{
    size_t bytes = 16, index;
    const char *key;
    json_t *item;
    if (depth > JINJA_DEPTH_MAX)
        return bytes;
    if (json_is_string(json))
        return bytes + json_string_length(json);
    if (json_is_array(json))
        json_array_foreach(json, index, item) bytes += json_bytes(item, depth + 1);
    if (json_is_object(json))
        json_object_foreach((json_t *)(uintptr_t)json, key, item) bytes +=
            strlen(key) + json_bytes(item, depth + 1);
    return bytes;
}

enum takt_status jinja_render(const struct jinja *template, const struct jinja_variable *variables,
                              size_t count, int64_t now, struct base_text *out,
                              struct base_text *marks, struct takt_error *error)
{
    size_t input = template->length;
    for (size_t i = 0; i < count; i++)
        input += json_bytes(variables[i].value, 0);
    struct takt_error kept = {TAKT_OK, ""};
    size_t limit = RENDER_BYTES_MIN + RENDER_BYTES_PER_INPUT * input;
    struct jinja_context context = {.error = &kept,
                                    .name = template->name,
                                    .source = template->source,
                                    .source_length = template->length,
                                    .limit_bytes = BASE_MIN(limit, RENDER_BYTES_MAX),
                                    .step_limit =
                                        RENDER_STEPS + RENDER_STEPS_PER_INPUT * (uint64_t)input,
                                    .now = now};
    struct jinja_builder text = {NULL, NULL, 0, 0};
    enum takt_status status = guarded_run(&context, template->tree, variables, count, &text);
    if (status == TAKT_OK) {
        base_text_append(out, text.bytes, text.length);
        for (size_t i = 0; marks != NULL && i < text.length; i++)
            base_text_append(marks, text.marks != NULL && text.marks[i] != 0 ? "\1" : "\0", 1);
    } else if (error != NULL) {
        *error = kept;
    }
    jinja_release(&context);
    return status;
}

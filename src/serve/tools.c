/*
 * Forms of answers: response_format and tools become a grammar, and calls of tools are taken out
 * of the text as it comes. The grammar keeps the text in the one spelling that is parsed here.
 */
#include "serve/internal.h"

#include <stdlib.h>
#include <string.h>

/* ---- what is asked for ----------------------------------------------------------------------- */

static bool bad(struct serve_failure *failure, const char *param, const char *what)
{
    return serve_fail(failure, 400, "invalid_value", param, "Invalid '%s': %s.", param, what);
}

static bool read_format(struct serve_request *request, struct serve_failure *failure)
{
    const json_t *format = json_object_get(request->root, "response_format");
    if (!format || json_is_null(format)) {
        return true;
    }
    const char *type = json_string_value(json_object_get(format, "type"));
    if (!type) {
        return bad(failure, "response_format", "an object with a 'type' is expected");
    }
    if (strcmp(type, "text") == 0) {
        return true;
    }
    if (strcmp(type, "json_object") == 0) {
        request->format = SERVE_FORMAT_OBJECT;
        return true;
    }
    if (strcmp(type, "json_schema") != 0) {
        return bad(failure, "response_format.type",
                   "'text', 'json_object' or 'json_schema' is expected");
    }
    const json_t *described = json_object_get(format, "json_schema");
    if (!json_is_string(json_object_get(described, "name"))) {
        return serve_fail(failure, 400, "missing_required_parameter",
                          "response_format.json_schema.name",
                          "Missing required parameter: 'response_format.json_schema.name'.");
    }
    request->schema = json_object_get(described, "schema");
    if (!json_is_object(request->schema)) {
        return serve_fail(failure, 400, "missing_required_parameter",
                          "response_format.json_schema.schema",
                          "Missing required parameter: 'response_format.json_schema.schema', an "
                          "object.");
    }
    request->format = SERVE_FORMAT_SCHEMA;
    return true;
}

static bool good_name(const char *name)
{
    const size_t length = name ? strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                              "0123456789_-.")
                               : 0;
    return length > 0 && length <= 64 && name[length] == '\0';
}

static bool check_tools(const struct serve_request *request, struct serve_failure *failure)
{
    for (size_t i = 0; i < json_array_size(request->tools); i++) {
        const json_t *tool = json_array_get(request->tools, i);
        const json_t *function = json_object_get(tool, "function");
        const char *type = json_string_value(json_object_get(tool, "type"));
        const json_t *parameters = json_object_get(function, "parameters");
        char param[64];
        snprintf(param, sizeof param, "tools[%zu]", i);
        if (!type || strcmp(type, "function") != 0) {
            return bad(failure, param, "only tools of type 'function' are supported");
        }
        if (!good_name(json_string_value(json_object_get(function, "name")))) {
            return bad(failure, param,
                       "'function.name' must be 1 to 64 letters, digits, '_', '-' or '.'");
        }
        if (parameters && !json_is_object(parameters) && !json_is_null(parameters)) {
            return bad(failure, param, "'function.parameters' must be a JSON Schema object");
        }
    }
    return true;
}

static const json_t *find_tool(const struct serve_request *request, const char *name)
{
    for (size_t i = 0; i < json_array_size(request->tools); i++) {
        const json_t *function = json_object_get(json_array_get(request->tools, i), "function");
        if (strcmp(json_string_value(json_object_get(function, "name")), name) == 0) {
            return function;
        }
    }
    return NULL;
}

static bool read_choice(struct serve_request *request, struct serve_failure *failure)
{
    const json_t *choice = json_object_get(request->root, "tool_choice");
    request->tool_choice = request->tools ? SERVE_TOOLS_AUTO : SERVE_TOOLS_NONE;
    if (!choice || json_is_null(choice)) {
        return true;
    }
    const char *word = json_string_value(choice);
    if (word && (strcmp(word, "none") == 0 || (strcmp(word, "auto") == 0))) {
        if (word[0] == 'n') {
            request->tool_choice = SERVE_TOOLS_NONE;
        }
        return true;
    }
    if (!request->tools) {
        return bad(failure, "tool_choice", "it needs 'tools'");
    }
    request->tool_choice = SERVE_TOOLS_REQUIRED;
    if (word && strcmp(word, "required") == 0) {
        return true;
    }
    const char *name =
        json_string_value(json_object_get(json_object_get(choice, "function"), "name"));
    if (!name) {
        return bad(failure, "tool_choice",
                   "'none', 'auto', 'required' or {\"type\": \"function\", \"function\": "
                   "{\"name\": ...}} is expected");
    }
    if (!find_tool(request, name)) {
        return bad(failure, "tool_choice", "the function that it names is not among 'tools'");
    }
    request->tool_name = name;
    return true;
}

bool serve_read_forms(struct serve_request *request, struct serve_failure *failure)
{
    const json_t *tools = json_object_get(request->root, "tools");
    if (!request->chat || !read_format(request, failure)) {
        return !request->chat;
    }
    if (tools && !json_is_null(tools)) {
        if (!json_is_array(tools) || json_array_size(tools) > SERVE_TOOLS_MAX) {
            return bad(failure, "tools", "an array of at most 128 tools is expected");
        }
        request->tools = json_array_size(tools) > 0 ? tools : NULL;
    }
    if (!check_tools(request, failure) || !read_choice(request, failure)) {
        return false;
    }
    if (request->tool_choice != SERVE_TOOLS_NONE && request->format != SERVE_FORMAT_TEXT) {
        return bad(failure, "response_format",
                   "JSON cannot be asked for together with tools; set 'tool_choice' to 'none'");
    }
    return true;
}

/* ---- the grammar ----------------------------------------------------------------------------- */

/* Names and parameters of the tools that may be called. */
static char *tools_text(const struct serve_request *request)
{
    json_t *list = json_array();
    for (size_t i = 0; i < json_array_size(request->tools); i++) {
        const json_t *function = json_object_get(json_array_get(request->tools, i), "function");
        json_t *name = json_object_get(function, "name");
        json_t *parameters = json_object_get(function, "parameters");
        if (request->tool_name && strcmp(request->tool_name, json_string_value(name)) != 0) {
            continue;
        }
        json_t *item = json_object();
        json_object_set(item, "name", name);
        if (json_object_size(parameters) > 0) {
            json_object_set(item, "parameters", parameters);
        }
        json_array_append_new(list, item);
    }
    char *text = json_dumps(list, JSON_COMPACT);
    json_decref(list);
    return text;
}

bool serve_make_grammar(struct serve_request *request, struct serve_failure *failure)
{
    const bool tools = request->tool_choice != SERVE_TOOLS_NONE;
    if (!tools && request->format == SERVE_FORMAT_TEXT) {
        return true;
    }
    const json_t *parallel = json_object_get(request->root, "parallel_tool_calls");
    char *text = NULL;
    struct takt_grammar_options options = {.kind = TAKT_GRAMMAR_OBJECT};
    if (tools) {
        options.kind = TAKT_GRAMMAR_TOOLS;
        options.must_call = request->tool_choice == SERVE_TOOLS_REQUIRED;
        options.parallel = !json_is_false(parallel);
        text = tools_text(request);
    } else if (request->format == SERVE_FORMAT_SCHEMA) {
        options.kind = TAKT_GRAMMAR_SCHEMA;
        text = json_dumps(request->schema, JSON_COMPACT);
    }
    options.json = text;
    options.length = text ? strlen(text) : 0;
    struct takt_error error;
    const enum takt_status status =
        takt_grammar_open(&request->grammar, request->model->engine, &options, &error);
    free(text);
    if (status != TAKT_OK) {
        return serve_fail(failure, status == TAKT_MEMORY ? 500 : 400, "invalid_schema",
                          tools ? "tools" : "response_format", "Invalid %s: %s.",
                          tools ? "tools" : "schema for response_format", error.message);
    }
    const uint32_t least = takt_grammar_least_tokens(request->grammar);
    const uint32_t left = request->model->info.context - (uint32_t)request->prompt_count;
    const uint32_t most = request->max_tokens > 0 ? request->max_tokens : left;
    if (least > most) {
        return serve_fail(failure, 400, "invalid_value",
                          request->max_tokens > 0 ? "max_completion_tokens" : "messages",
                          "An answer of the form asked for takes up to %u tokens, and %u are left "
                          "for it.",
                          least, most);
    }
    return true;
}

/* ---- taking calls out of the text ------------------------------------------------------------ */

static const char word[] = "<tool_call>";
#define WORD_LENGTH (sizeof word - 1)

enum phase { IN_TEXT, IN_BEGIN, IN_NAME, IN_MIDDLE, IN_ARGUMENTS, IN_END, AFTER };

struct serve_tool_parser {
    enum phase phase;
    size_t matched; /* bytes of the literal of this phase */
    unsigned depth;
    bool in_string, escaped;
};

struct serve_tool_parser *serve_tool_parser_create(void)
{
    struct serve_tool_parser *parser = calloc(1, sizeof *parser);
    BASE_ASSERT(parser);
    return parser;
}

static struct serve_tool_call *current(struct serve_answer *answer)
{
    return &answer->calls[answer->call_count - 1];
}

static void begin_call(struct serve_answer *answer)
{
    answer->calls = realloc(answer->calls, (answer->call_count + 1) * sizeof *answer->calls);
    BASE_ASSERT(answer->calls);
    struct serve_tool_call *call = &answer->calls[answer->call_count++];
    *call = (struct serve_tool_call){0};
    serve_make_id("call_", 24, call->id);
    base_text_append(&call->name, "", 0);
    base_text_append(&call->arguments, "", 0);
}

static void take_text_byte(struct serve_answer *answer, char byte, struct base_text *content)
{
    struct serve_tool_parser *parser = answer->tool_parser;
    if (byte == word[parser->matched]) {
        if (++parser->matched == WORD_LENGTH) {
            begin_call(answer);
            parser->phase = IN_BEGIN;
        }
        return;
    }
    base_text_append(content, word, parser->matched);
    parser->matched = byte == '<' ? 1 : 0;
    if (byte != '<') {
        base_text_append(content, &byte, 1);
    }
}

/* A literal's next byte; at its end the next phase begins. */
static void take_literal(struct serve_tool_parser *parser, const char *literal, enum phase next)
{
    if (++parser->matched == strlen(literal)) {
        parser->phase = next;
        parser->matched = 0;
    }
}

static void take_argument(struct serve_tool_parser *parser, char byte)
{
    if (parser->in_string) {
        parser->in_string = parser->escaped || byte != '"';
        parser->escaped = !parser->escaped && byte == '\\';
    } else if (byte == '"') {
        parser->in_string = true;
    } else if (byte == '{' || byte == '[') {
        parser->depth++;
    } else if ((byte == '}' || byte == ']') && --parser->depth == 0) {
        parser->phase = IN_END;
    }
}

static void take_byte(struct serve_answer *answer, char byte, struct base_text *content)
{
    struct serve_tool_parser *parser = answer->tool_parser;
    switch (parser->phase) {
    case IN_TEXT: take_text_byte(answer, byte, content); break;
    case IN_BEGIN: take_literal(parser, TAKT_TOOL_BEGIN, IN_NAME); break;
    case IN_NAME:
        if (byte == '"') {
            parser->phase = IN_MIDDLE;
            parser->matched = 1; /* the middle begins with this quote */
        } else {
            base_text_append(&current(answer)->name, &byte, 1);
        }
        break;
    case IN_MIDDLE: take_literal(parser, TAKT_TOOL_MIDDLE, IN_ARGUMENTS); break;
    case IN_ARGUMENTS:
        base_text_append(&current(answer)->arguments, &byte, 1);
        take_argument(parser, byte);
        break;
    case IN_END: take_literal(parser, TAKT_TOOL_END, AFTER); break;
    case AFTER:
        if (byte == '<') {
            begin_call(answer);
            parser->phase = IN_BEGIN;
            parser->matched = 1;
        }
        break;
    }
}

void serve_tool_text(struct serve_answer *answer, const char *bytes, size_t length,
                     struct base_text *content)
{
    for (size_t i = 0; i < length; i++) {
        take_byte(answer, bytes[i], content);
    }
}

void serve_tool_end(struct serve_answer *answer, struct base_text *content)
{
    struct serve_tool_parser *parser = answer->tool_parser;
    if (parser->phase == IN_TEXT) {
        base_text_append(content, word, parser->matched);
    }
}

/* Has the call's name been read whole? */
bool serve_tool_named(const struct serve_answer *answer, size_t index)
{
    return index + 1 < answer->call_count || answer->tool_parser->phase > IN_MIDDLE;
}

/* What a client is told when it cannot have what it asked for. */
#include "serve/internal.h"

#include <string.h>

static const char *type_of(unsigned status)
{
    switch (status) {
    case 401: return "invalid_request_error";
    case 429: return "rate_limit_error";
    case 499:
    case 500: return "server_error";
    case 503: return "service_unavailable_error";
    default: return "invalid_request_error";
    }
}

bool serve_fail(struct serve_failure *failure, unsigned status, const char *code, const char *param,
                const char *format, ...)
{
    *failure = (struct serve_failure){.status = status, .type = type_of(status), .code = code};
    if (param) {
        snprintf(failure->param, sizeof failure->param, "%s", param);
    }
    va_list list;
    va_start(list, format);
    vsnprintf(failure->message, sizeof failure->message, format, list);
    va_end(list);
    return false;
}

void serve_failure_json(const struct serve_failure *failure, struct base_text *out)
{
    base_text_format(out, "{\"error\":{\"message\":");
    serve_json_text(out, failure->message);
    base_text_format(out, ",\"type\":");
    serve_json_text(out, failure->type);
    base_text_format(out, ",\"param\":");
    serve_json_text(out, failure->param[0] ? failure->param : NULL);
    base_text_format(out, ",\"code\":");
    serve_json_text(out, failure->code);
    base_text_format(out, "}}");
}

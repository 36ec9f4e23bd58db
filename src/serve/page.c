/* The page: built by web/, embedded. */
#include "serve/internal.h"

#include <string.h>

bool serve_page(struct serve_call *call, const char *id)
{
    static const char text[] = "<!doctype html><title>takt</title><p>takt serves here.";
    (void)id;
    return serve_reply_static(call, "text/html; charset=utf-8", NULL, text, strlen(text));
}

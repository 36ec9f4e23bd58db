/* The page: web/ builds it to one file, page.html, which becomes part of the program. */
#include "serve/internal.h"

extern const char serve_page_begin[], serve_page_end[];

/* C11 has no other way to have a file's bytes without a copy of them as source text. */
__asm__(".section .rodata\n"
        ".global serve_page_begin\n"
        ".hidden serve_page_begin\n"
        "serve_page_begin:\n"
        ".incbin \"src/serve/page.html\"\n"
        ".global serve_page_end\n"
        ".hidden serve_page_end\n"
        "serve_page_end:\n"
        ".byte 0\n"
        ".previous\n");

bool serve_page(struct serve_call *call, const char *id)
{
    (void)id;
    return serve_reply_static(call, "text/html; charset=utf-8", NULL, serve_page_begin,
                              (size_t)(serve_page_end - serve_page_begin));
}

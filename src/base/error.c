/* Failures of the world (base_fail) and bugs of ours (base_assert_failed). */
#include "base/base.h"

#include <stdlib.h>
#include <string.h>

/* Messages carry names out of files; control bytes must not reach a terminal or break the line. */
static void make_one_line(char *text)
{
    for (; *text != '\0'; text++) {
        unsigned char byte = (unsigned char)*text;
        if (byte < 0x20 || byte == 0x7F)
            *text = ' ';
    }
}

enum takt_status base_fail(struct takt_error *error, enum takt_status status, const char *format,
                           ...)
{
    BASE_ASSERT(format != NULL);
    if (error == NULL)
        return status;
    char message[sizeof(error->message)]; /* arguments may point into *error */
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(message, sizeof(message), format, arguments);
    va_end(arguments);
    if (length < 0)
        message[0] = '\0';
    make_one_line(message);
    error->status = status;
    memcpy(error->message, message, sizeof(message));
    return status;
}

_Noreturn void base_assert_failed(const char *condition, const char *file, int line)
{
    fprintf(stderr, "takt: bug: %s:%d: %s\n", file, line, condition);
    abort();
}

/* Status codes' words, expanded from takt_status.def. */
#include "takt_status.h"

#include <stddef.h>

const char *takt_status_text(enum takt_status status)
{
    static const char *const texts[TAKT_STATUS_COUNT] = {
#define TAKT_STATUS(name, text) [TAKT_##name] = text,
#include "takt_status.def"
#undef TAKT_STATUS
    };
    size_t index = (size_t)status;
    return index < TAKT_STATUS_COUNT ? texts[index] : "unknown status";
}

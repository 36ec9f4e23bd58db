/* Status codes and the error record that carries the message for a person. */
#ifndef TAKT_STATUS_H
#define TAKT_STATUS_H

enum takt_status {
#define TAKT_STATUS(name, text) TAKT_##name,
#include "takt_status.def"
#undef TAKT_STATUS
    TAKT_STATUS_COUNT
};

/* One failure. `message` is one line: the place, the value, the remedy; always terminated. */
struct takt_error {
    enum takt_status status;
    char message[1000];
};

/* Two or three words for a status; never NULL. */
const char *takt_status_text(enum takt_status status);

#endif

/* A server of the bundled model, on a port of its own, and a client of it over real sockets. */
#ifndef TESTS_SERVE_CLIENT_H
#define TESTS_SERVE_CLIENT_H

#include "base/base.h"
#include "serve/serve.h"

#include <jansson.h>

#define FABLE "models/fable/fable-q8_0.gguf"
#define CHAT "/v1/chat/completions"
#define HELLO "\"model\":\"fable-q8_0\",\"messages\":[{\"role\":\"user\",\"content\":\"Hello.\"}]"
#define STORY                                                                                      \
    "\"model\":\"fable-q8_0\",\"messages\":[{\"role\":\"user\",\"content\":\"Tell me a "           \
    "story.\"}],"                                                                                  \
    "\"temperature\":0.8,\"seed\":11,\"max_tokens\":60"

/* One server at a time. change: what is other than three slots, one thread, bodies of 64 KiB; NULL
 * is fine. */
void client_start(void (*change)(struct serve_options *));
int client_setup(void **state); /* the same as a fixture */
int client_teardown(void **state);

extern char client_folder[64]; /* where the server may write */
void client_make_folder(void);
void client_drop_folder(void);

/* Sockets. Texts that are returned are the caller's to free. */
int client_dial(void);
void client_put(int handle, const char *bytes, size_t length);
char *client_get(int handle, const char *until); /* until that came, or the end; NULL: the end */
char *client_exchange(const char *bytes, size_t length);
char *client_ask(const char *method, const char *path, const char *headers, const char *body,
                 size_t length);
char *client_post(const char *path, const char *body);

/* Answers. */
int client_status(const char *answer);
const char *client_body(const char *answer);
/* Takes the answer; fails the test where its status is another or the part is not in it. */
void client_expect(char *answer, int status, const char *part, const char *what);
json_t *client_json(char *answer); /* takes the answer */

/* What /metrics says; waits until it says that. */
long client_metric(const char *name);
void client_wait_metric(const char *name, long value);

#endif

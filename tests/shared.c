/* Data beside the checkout. */
#include "shared.h"

#include "tests.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

const char *tests_shared(char path[1024], const char *name)
{
    const char *folder = getenv("TAKT_SHARED");
    snprintf(path, 1024, "%s/%s", folder != NULL ? folder : "../shared", name);
    if (access(path, R_OK) != 0) {
        print_message("[  SKIPPED ] no %s (set TAKT_SHARED)\n", path);
        skip();
    }
    return path;
}

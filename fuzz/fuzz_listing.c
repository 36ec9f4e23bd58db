/* Any bytes as a hub's listing: paths that come through stay within their folder. */
#include "fuzz.h"

#include <string.h>

#include "hub/hub.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct hub_listing listing = {NULL, 0};
    struct takt_error error;
    bool folder;
    if (hub_read_listing(&listing, "fuzz", (const char *)data, size, &error) == TAKT_OK) {
        for (size_t i = 0; i < listing.count; i++) {
            const char *path = listing.files[i].path;
            BASE_ASSERT(path[0] != '/' && path[0] != '\0' && strstr(path, "/../") == NULL &&
                        strncmp(path, "../", 3) != 0 && strcmp(path, "..") != 0);
        }
        (void)hub_choose(&listing, "o/m", NULL, &folder, &error);
        (void)hub_choose(&listing, "o/m", "Q4_K_M", &folder, &error);
    }
    hub_listing_free(&listing);
    return 0;
}

/* architectures FOLDER: writes the seeded small model of each architecture as FOLDER/NAME.gguf. */
#include <stdio.h>

#include "architectures.h"

int main(int argc, char **argv)
{
    if (argc != 2) {
        fprintf(stderr, "usage: architectures FOLDER\n");
        return 2;
    }
    const struct architecture_shape *found;
    for (size_t i = 0; (found = architecture_shape(i)) != NULL; i++) {
        char path[1024];
        snprintf(path, sizeof path, "%s/%s.gguf", argv[1], found->name);
        if (!gguf_write_random(path, &found->shape)) {
            fprintf(stderr, "architectures: %s: cannot write\n", path);
            return 1;
        }
        printf("%s\n", path);
    }
    return 0;
}

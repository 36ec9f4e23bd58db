/* random_model PATH SEED: writes the small generated model that `make check` compares builds with.
 */
#include <stdio.h>

#include "gguf_writer.h"

int main(int argc, char **argv)
{
    int64_t seed;
    if (argc != 3 || !base_parse_i64(argv[2], 0, INT64_MAX, &seed)) {
        fprintf(stderr, "usage: random_model PATH SEED\n");
        return 2;
    }
    const struct gguf_random shape = {.seed = (uint64_t)seed,
                                      .layers = 2,
                                      .width = 72,
                                      .heads = 6,
                                      .kv_heads = 2,
                                      .head_dim = 14,
                                      .ffn = 101,
                                      .vocab = 300,
                                      .context = 512};
    if (!gguf_write_random(argv[1], &shape)) {
        fprintf(stderr, "random_model: %s: cannot be written\n", argv[1]);
        return 1;
    }
    return 0;
}

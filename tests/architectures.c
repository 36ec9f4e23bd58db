#include "architectures.h"

static const struct architecture_shape shapes[] = {
#define ARCHITECTURE(id, ...)                                                                      \
    {.name = #id, .shape = {.seed = 21, .layers = 7, .vocab = 320, .context = 128, __VA_ARGS__}},
#include "architectures.def"
#undef ARCHITECTURE
};

const struct architecture_shape *architecture_shape(size_t index)
{
    return index < BASE_COUNT(shapes) ? &shapes[index] : NULL;
}

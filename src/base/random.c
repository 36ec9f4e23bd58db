/* Counter-based pseudo-random numbers: splitmix64's finaliser (Steele, Lea, Flood 2014), once for
 * each of seed, stream and counter, so that no two streams are shifts of each other. */
#include "base/base.h"

static uint64_t mix(uint64_t x)
{
    x += UINT64_C(0x9E3779B97F4A7C15);
    x = (x ^ (x >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94D049BB133111EB);
    return x ^ (x >> 31);
}

uint64_t base_random_u64(uint64_t seed, uint64_t stream, uint64_t counter)
{
    return mix(mix(mix(seed) ^ stream) ^ counter);
}

void base_random_fill(uint64_t seed, uint64_t stream, uint64_t first, uint64_t *out, size_t count)
{
    uint64_t key = mix(mix(seed) ^ stream);
    for (size_t i = 0; i < count; i++)
        out[i] = mix(key ^ (first + i));
}

float base_random_f32(uint64_t seed, uint64_t stream, uint64_t counter)
{
    return (float)(base_random_u64(seed, stream, counter) >> 40) * 0x1p-24f;
}

/* The table of levels. */
#include "native/kernels.h"

#include "native/native.h"

static const struct native_kernels *const levels[] = {
    &native_kernels_scalar,
#ifdef __x86_64__
    &native_kernels_avx2,   &native_kernels_avx_vnni, &native_kernels_avx512,
#endif
#ifdef __aarch64__
    &native_kernels_neon,
#endif
};

const struct native_kernels *native_kernels_at(size_t index)
{
    return index < BASE_COUNT(levels) ? levels[index] : NULL;
}

const char *native_level(size_t index, bool *usable)
{
    const struct native_kernels *kernels = native_kernels_at(index);
    *usable = kernels != NULL && kernels->supported();
    return kernels != NULL ? kernels->name : NULL;
}

/* Bump allocation over one reserved, lazily backed range of addresses. */
#include "base/base.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define ARENA_ALIGN_BYTES ((size_t)64)
#define ARENA_PAGE_BYTES ((size_t)4096)

enum takt_status base_arena_create(struct base_arena *arena, size_t capacity_bytes,
                                   struct takt_error *error)
{
    *arena = (struct base_arena){0};
    if (capacity_bytes > SIZE_MAX - ARENA_PAGE_BYTES)
        return base_fail(error, TAKT_MEMORY,
                         "memory: cannot reserve %zu bytes; use a smaller model", capacity_bytes);
    size_t bytes = (capacity_bytes + ARENA_PAGE_BYTES - 1) / ARENA_PAGE_BYTES * ARENA_PAGE_BYTES;
    if (bytes == 0)
        bytes = ARENA_PAGE_BYTES;
    /* NORESERVE: a generous capacity costs addresses only, until it is touched. */
    void *base = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (base == MAP_FAILED)
        return base_fail(error, TAKT_MEMORY,
                         "memory: cannot reserve %zu bytes: %s; free memory or raise the limit",
                         bytes, strerror(errno));
    arena->base = base;
    arena->capacity_bytes = bytes;
    return TAKT_OK;
}

void *base_arena_alloc(struct base_arena *arena, size_t count, size_t size_bytes)
{
    BASE_ASSERT(arena->base != NULL);
    BASE_ASSERT(size_bytes == 0 || count <= SIZE_MAX / size_bytes);
    size_t bytes = count * size_bytes;
    BASE_ASSERT(bytes <= arena->capacity_bytes - arena->used_bytes);
    void *memory = arena->base + arena->used_bytes;
    size_t rounded = bytes + (ARENA_ALIGN_BYTES - bytes % ARENA_ALIGN_BYTES) % ARENA_ALIGN_BYTES;
    /* The capacity is a whole number of pages, so rounding up cannot pass it. */
    arena->used_bytes += rounded;
    return memory;
}

char *base_arena_text(struct base_arena *arena, const char *text, size_t length)
{
    BASE_ASSERT(length < SIZE_MAX);
    char *copy = base_arena_alloc(arena, length + 1, 1);
    if (length != 0)
        memcpy(copy, text, length);
    return copy;
}

void base_memory_is_large(void *memory, size_t bytes)
{
#ifdef MADV_HUGEPAGE
    uintptr_t begin =
        ((uintptr_t)memory + ARENA_PAGE_BYTES - 1) & ~(uintptr_t)(ARENA_PAGE_BYTES - 1);
    uintptr_t end = ((uintptr_t)memory + bytes) & ~(uintptr_t)(ARENA_PAGE_BYTES - 1);
    if (end > begin)
        (void)madvise((void *)begin, end - begin, MADV_HUGEPAGE); /* a wish */
#else
    (void)memory;
    (void)bytes;
#endif
}

size_t base_arena_resident_bytes(const struct base_arena *arena)
{
    unsigned char flags[4096]; /* one a page */
    size_t page = (size_t)sysconf(_SC_PAGESIZE), window = sizeof flags * page, resident = 0;
    for (size_t first = 0; first < arena->used_bytes; first += window) {
        size_t left = arena->capacity_bytes - first, bytes = BASE_MIN(left, window);
        if (mincore(arena->base + first, bytes, flags) != 0)
            return arena->used_bytes; /* an upper bound */
        for (size_t i = 0; i < (bytes + page - 1) / page; i++)
            resident += (flags[i] & 1u) != 0 ? page : 0;
    }
    return resident;
}

void base_arena_rewind(struct base_arena *arena, size_t used_bytes)
{
    BASE_ASSERT(used_bytes <= arena->used_bytes);
    const size_t page = (used_bytes + ARENA_PAGE_BYTES - 1) / ARENA_PAGE_BYTES * ARENA_PAGE_BYTES;
    const size_t end = BASE_MIN(page, arena->used_bytes);
    memset(arena->base + used_bytes, 0, end - used_bytes);
    if (arena->used_bytes > page &&
        madvise(arena->base + page, arena->used_bytes - page, MADV_DONTNEED) != 0) {
        memset(arena->base + page, 0, arena->used_bytes - page);
    }
    arena->used_bytes = used_bytes;
}

void base_arena_destroy(struct base_arena *arena)
{
    if (arena->base != NULL)
        munmap(arena->base, arena->capacity_bytes);
    *arena = (struct base_arena){0};
}

/* Whole files: mapped for reading, replaced atomically for writing. */
#include "base/base.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static uint64_t nanoseconds(struct timespec time)
{
    return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

static struct base_stamp stamp_of(const struct stat *about)
{
    return (struct base_stamp){(uint64_t)about->st_dev, (uint64_t)about->st_ino,
                               (uint64_t)about->st_size, nanoseconds(about->st_mtim),
                               nanoseconds(about->st_ctim)};
}

enum takt_status base_file_map(struct base_file *file, const char *path, struct takt_error *error)
{
    *file = (struct base_file){0};
    enum takt_status status;
    int descriptor = open(path, O_RDONLY | O_CLOEXEC);
    if (descriptor < 0)
        return base_fail(error, TAKT_IO, "%s: cannot open: %s; check the path", path,
                         strerror(errno));
    struct stat about;
    if (fstat(descriptor, &about) != 0) {
        status = base_fail(error, TAKT_IO, "%s: cannot read its size: %s", path, strerror(errno));
        goto done;
    }
    if (!S_ISREG(about.st_mode)) {
        status = base_fail(error, TAKT_IO, "%s: not a regular file; give the path of a file", path);
        goto done;
    }
    status = TAKT_OK;
    file->stamp = stamp_of(&about);
    if (about.st_size == 0) { /* a mapping of nothing is refused by the system; data stays NULL */
        goto done;
    }
    size_t bytes = (size_t)about.st_size;
    void *data = mmap(NULL, bytes, PROT_READ, MAP_PRIVATE, descriptor, 0);
    if (data == MAP_FAILED) {
        status =
            base_fail(error, TAKT_IO, "%s: cannot map %zu bytes: %s", path, bytes, strerror(errno));
        goto done;
    }
    file->data = data;
    file->size_bytes = bytes;
done:
    close(descriptor);
    return status;
}

void base_file_unmap(struct base_file *file)
{
    if (file->data != NULL)
        munmap((void *)(uintptr_t)file->data, file->size_bytes);
    *file = (struct base_file){0};
}

/* The pages of the bytes, if they are the file's: `whole`, none that reaches beyond them. */
static bool find_pages(const struct base_file *file, const unsigned char *data, size_t size_bytes,
                       bool whole, uintptr_t *begin, uintptr_t *end)
{
    const uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    const uintptr_t first = (uintptr_t)file->data, from = (uintptr_t)data;
    if (file->data == NULL || from < first || from + size_bytes > first + file->size_bytes)
        return false;
    *begin = (from + (whole ? page - 1 : 0)) / page * page;
    *end = (from + size_bytes + (whole ? 0 : page - 1)) / page * page;
    return *end > *begin;
}

void base_file_release(const struct base_file *file, const unsigned char *data, size_t size_bytes)
{
    uintptr_t begin, end;
    if (find_pages(file, data, size_bytes, true, &begin, &end))
        (void)madvise((void *)begin, end - begin, MADV_DONTNEED); /* a wish */
}

void base_file_expect(const struct base_file *file, const unsigned char *data, size_t size_bytes)
{
    uintptr_t begin, end;
    if (find_pages(file, data, size_bytes, false, &begin, &end))
        (void)madvise((void *)begin, end - begin, MADV_WILLNEED);
}

static bool write_all(int descriptor, const unsigned char *data, size_t size_bytes)
{
    while (size_bytes != 0) {
        ssize_t written = write(descriptor, data, size_bytes);
        if (written < 0) {
            if (errno == EINTR)
                continue;
            return false;
        }
        data += written;
        size_bytes -= (size_t)written;
    }
    return true;
}

/* A new file beside path, with the permissions any new file gets. -1 and errno on failure. */
static int create_beside(const char *path, struct base_text *name)
{
    for (unsigned attempt = 0; attempt < 100; attempt++) {
        name->length = 0;
        base_text_format(name, "%s.%ld.%u", path, (long)getpid(), attempt);
        int descriptor = open(name->data, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (descriptor >= 0 || errno != EEXIST)
            return descriptor;
    }
    return -1;
}

enum takt_status base_output_open(struct base_output *output, const char *path,
                                  struct takt_error *error)
{
    *output = (struct base_output){.path = path, .descriptor = -1};
    struct stat about;
    /* A rename would put a plain file in the place of a device, and fail on a folder in the end. */
    if (stat(path, &about) == 0 && !S_ISREG(about.st_mode))
        return base_fail(error, TAKT_IO, "%s: not a regular file; give the path of a file", path);
    output->descriptor = create_beside(path, &output->temporary);
    if (output->descriptor >= 0)
        return TAKT_OK;
    int cause = errno;
    base_text_free(&output->temporary);
    return base_fail(error, TAKT_IO, "%s: cannot create a file beside it: %s; check the folder",
                     path, strerror(cause));
}

void base_output_discard(struct base_output *output)
{
    if (output->descriptor >= 0)
        close(output->descriptor);
    if (output->temporary.data != NULL)
        unlink(output->temporary.data);
    base_text_free(&output->temporary);
    *output = (struct base_output){.descriptor = -1};
}

static enum takt_status fail_output(struct base_output *output, int cause, struct takt_error *error)
{
    enum takt_status status =
        base_fail(error, TAKT_IO, "%s: cannot write after %llu bytes: %s; nothing is left of it",
                  output->path, (unsigned long long)output->written_bytes, strerror(cause));
    base_output_discard(output);
    return status;
}

enum takt_status base_output_write(struct base_output *output, const void *data, size_t size_bytes,
                                   struct takt_error *error)
{
    BASE_ASSERT(output->descriptor >= 0);
    if (!write_all(output->descriptor, data, size_bytes))
        return fail_output(output, errno, error);
    output->written_bytes += size_bytes;
    return TAKT_OK;
}

enum takt_status base_output_commit(struct base_output *output, struct takt_error *error)
{
    BASE_ASSERT(output->descriptor >= 0);
    if (fsync(output->descriptor) != 0)
        return fail_output(output, errno, error);
    int closed = close(output->descriptor);
    output->descriptor = -1;
    if (closed != 0 || rename(output->temporary.data, output->path) != 0)
        return fail_output(output, errno, error);
    base_text_free(&output->temporary); /* its name is the file's now */
    *output = (struct base_output){.descriptor = -1};
    return TAKT_OK;
}

enum takt_status base_file_write(const char *path, const void *data, size_t size_bytes,
                                 struct takt_error *error)
{
    struct base_output output;
    enum takt_status status = base_output_open(&output, path, error);
    if (status == TAKT_OK)
        status = base_output_write(&output, data, size_bytes, error);
    return status == TAKT_OK ? base_output_commit(&output, error) : status;
}

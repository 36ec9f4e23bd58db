/* Whole files: mapped for reading, replaced atomically for writing. */
#include "base/base.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

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

enum takt_status base_file_write(const char *path, const void *data, size_t size_bytes,
                                 struct takt_error *error)
{
    struct base_text temporary = {0};
    int descriptor = create_beside(path, &temporary);
    if (descriptor < 0) {
        enum takt_status status =
            base_fail(error, TAKT_IO, "%s: cannot create a file beside it: %s; check the folder",
                      path, strerror(errno));
        base_text_free(&temporary);
        return status;
    }
    bool good = write_all(descriptor, data, size_bytes) && fsync(descriptor) == 0;
    int cause = errno;
    if (close(descriptor) != 0 && good) {
        good = false;
        cause = errno;
    }
    if (good && rename(temporary.data, path) != 0) {
        good = false;
        cause = errno;
    }
    if (!good)
        unlink(temporary.data);
    base_text_free(&temporary);
    if (!good)
        return base_fail(error, TAKT_IO, "%s: cannot write %zu bytes: %s", path, size_bytes,
                         strerror(cause));
    return TAKT_OK;
}

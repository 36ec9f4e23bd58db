/* replay FILE_OR_FOLDER...: a fuzz target fed with files, without a fuzzer. */
#include "fuzz.h"

#include <dirent.h>
#include <stdio.h>
#include <string.h>

#include "base/base.h"

static int replay_file(const char *path)
{
    struct base_file file;
    struct takt_error error;
    if (base_file_map(&file, path, &error) != TAKT_OK) {
        fprintf(stderr, "replay: %s\n", error.message);
        return 1;
    }
    LLVMFuzzerTestOneInput(file.data, file.size_bytes);
    base_file_unmap(&file);
    return 0;
}

static int replay_folder(DIR *folder, const char *path)
{
    int status = 0;
    for (const struct dirent *entry = readdir(folder); entry; entry = readdir(folder)) {
        char full[1024];
        if (entry->d_name[0] == '.') {
            continue;
        }
        snprintf(full, sizeof full, "%s/%s", path, entry->d_name);
        status |= replay_file(full);
    }
    return status;
}

int main(int argc, char **argv)
{
    int status = 0;
    for (int i = 1; i < argc; i++) {
        DIR *folder = opendir(argv[i]);
        if (folder) {
            status |= replay_folder(folder, argv[i]);
            closedir(folder);
        } else {
            status |= replay_file(argv[i]);
        }
    }
    return status;
}

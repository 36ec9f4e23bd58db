/*
 * hub: files of models from a model hub, over HTTP.
 *
 * Owns: listing a repository, choosing what of it makes a model, downloading with resume, checking
 * what came. Refuses to: read the environment or a terminal (addresses, tokens and progress are the
 * caller's), write outside the folder it is given, leave a file under its name before its digest
 * is right.
 */
#ifndef HUB_HUB_H
#define HUB_HUB_H

#include "base/base.h"

struct hub_options {
    const char *endpoint; /* "https://..." without a slash at the end */
    const char *token;    /* NULL: none; it goes to the endpoint's host alone */
    const char *revision; /* branch, tag or commit; NULL = main */
    /* Hears of every file while it comes; false stops, with INTERRUPTED, and what came stays for
     * the next try. May be NULL. */
    bool (*on_progress)(void *user, const char *file, uint64_t done_bytes, uint64_t total_bytes);
    void *user;
};

struct hub_file {
    char *path; /* within the repository; checked: relative, no "..", printable */
    uint64_t size_bytes;
    char sha256[65]; /* of large files, "" otherwise */
    char sha1[41];   /* of small ones: git's blob id */
    bool chosen;
};

struct hub_listing {
    struct hub_file *files;
    size_t count;
};

/* The repository's files ("owner/name"). IO for the network and its answers, FORMAT for an answer
 * that is no listing, LIMIT. */
enum takt_status hub_list(const char *repository, const struct hub_options *options,
                          struct hub_listing *listing, struct takt_error *error);
void hub_listing_free(struct hub_listing *listing); /* safe on a zeroed struct and twice */
/* hub_list's reading of an answer, added to the listing. */
enum takt_status hub_read_listing(struct hub_listing *listing, const char *where, const char *json,
                                  size_t length, struct takt_error *error);

/*
 * Marks what to download. wanted: a file's path, or a part of the name such as Q4_K_M; NULL = the
 * GGUF file of the kind that suits takt best, or without one the files of a safetensors folder.
 * A sharded file means all its shards. *folder: the files are a folder. USAGE when nothing fits.
 */
enum takt_status hub_choose(struct hub_listing *listing, const char *repository, const char *wanted,
                            bool *folder, struct takt_error *error);

/* Downloads a file into the folder, under the last part of its path, unless it is there with the
 * right digest. What came of it before is kept as NAME.part and continued. */
enum takt_status hub_fetch(const char *repository, const struct hub_file *file, const char *folder,
                           const struct hub_options *options, struct takt_error *error);

#endif

/* SHA-256 by libcrypto. */
#include "base/base.h"

#include <stdlib.h>

#include <openssl/evp.h>

struct base_digest {
    EVP_MD_CTX *context;
    EVP_MD_CTX *copy; /* finishing ends a context, so a hex is taken of a copy */
};

struct base_digest *base_digest_create(void)
{
    struct base_digest *digest = calloc(1, sizeof(*digest));
    if (digest == NULL)
        return NULL;
    digest->context = EVP_MD_CTX_new();
    digest->copy = EVP_MD_CTX_new();
    if (digest->context == NULL || digest->copy == NULL ||
        EVP_DigestInit_ex(digest->context, EVP_sha256(), NULL) != 1 ||
        EVP_MD_CTX_copy_ex(digest->copy, digest->context) != 1) {
        base_digest_destroy(digest);
        return NULL;
    }
    return digest;
}

void base_digest_update(struct base_digest *digest, const void *data, size_t size_bytes)
{
    if (size_bytes == 0)
        return;
    int done = EVP_DigestUpdate(digest->context, data, size_bytes);
    BASE_ASSERT(done == 1);
}

void base_digest_hex(const struct base_digest *digest, char hex[65])
{
    unsigned char bytes[EVP_MAX_MD_SIZE];
    unsigned length = 0;
    int done = EVP_MD_CTX_copy_ex(digest->copy, digest->context);
    BASE_ASSERT(done == 1);
    done = EVP_DigestFinal_ex(digest->copy, bytes, &length);
    BASE_ASSERT(done == 1 && length == 32);
    for (unsigned i = 0; i < 32; i++) {
        hex[2 * i] = "0123456789abcdef"[bytes[i] >> 4];
        hex[2 * i + 1] = "0123456789abcdef"[bytes[i] & 15];
    }
    hex[64] = '\0';
}

void base_digest_destroy(struct base_digest *digest)
{
    if (digest == NULL)
        return;
    EVP_MD_CTX_free(digest->context);
    EVP_MD_CTX_free(digest->copy);
    free(digest);
}

/* hash.c: identities (SHA-256) and bulk content (XXH3-128). */
#include "radcohort/base.h"

#include <openssl/evp.h>
#include <xxhash.h>

static void to_hex(const unsigned char *p, size_t n, char *out) {
    static const char digit[] = "0123456789abcdef";
    for (size_t i = 0; i < n; i++) {
        out[2 * i] = digit[p[i] >> 4];
        out[2 * i + 1] = digit[p[i] & 15];
    }
    out[2 * n] = '\0';
}

rad_status rad_sha256(const void *data, size_t size, char ret_hex[RAD_SHA256_HEX], rad_error *err) {
    unsigned char md[EVP_MAX_MD_SIZE];
    unsigned int n = 0;
    if (EVP_Digest(data, size, md, &n, EVP_sha256(), NULL) != 1 || n != 32)
        return rad_error_set(err, RAD_E_INTERNAL, "libcrypto cannot compute SHA-256");
    to_hex(md, n, ret_hex);
    return RAD_OK;
}

void rad_xxh128(const void *data, size_t size, char ret_hex[RAD_XXH128_HEX]) {
    XXH128_canonical_t c;
    XXH128_canonicalFromHash(&c, XXH3_128bits(data, size));
    to_hex(c.digest, sizeof c.digest, ret_hex);
}

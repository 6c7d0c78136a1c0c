/* hash.c: identities (SHA-256) and bulk content (XXH3-128). */
#include "radcohort/base.h"

#include <limits.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>
#include <string.h>
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

#define HASH_CHUNK ((size_t)16 << 20)
#define CACHED_CHUNK ((size_t)256 << 10)

/* Either may be NULL. Both over the same small part, while it is in the processor's cache. */
static bool update(EVP_MD_CTX *sha, XXH3_state_t *xxh, const rad_map *m) {
    bool ok = true;
    for (size_t at = 0; ok && at < m->size; at += CACHED_CHUNK) {
        const size_t n = m->size - at < CACHED_CHUNK ? m->size - at : CACHED_CHUNK;
        ok = (!sha || EVP_DigestUpdate(sha, m->data + at, n) == 1) && (!xxh || XXH3_128bits_update(xxh, m->data + at, n) == XXH_OK);
    }
    return ok;
}

static bool update_all(EVP_MD_CTX *sha, XXH3_state_t *xxh, const rad_map *m, bool drop) {
    bool ok = true;
    for (size_t at = 0; ok && at < m->size; at += HASH_CHUNK) {
        const rad_map part = {.data = m->data + at, .size = m->size - at < HASH_CHUNK ? m->size - at : HASH_CHUNK};
        ok = update(sha, xxh, &part);
        if (drop)
            rad_map_drop_pages(&part);
    }
    return ok;
}

static bool finish_sha256(EVP_MD_CTX *c, char ret_hex[RAD_SHA256_HEX]) {
    unsigned char md[EVP_MAX_MD_SIZE];
    unsigned int n = 0;
    if (EVP_DigestFinal_ex(c, md, &n) != 1 || n != 32)
        return false;
    to_hex(md, n, ret_hex);
    return true;
}

rad_status rad_map_sha256(const rad_map *m, bool drop, char ret_hex[RAD_SHA256_HEX], rad_error *err) {
    EVP_MD_CTX *c = EVP_MD_CTX_new();
    const bool ok = c && EVP_DigestInit_ex(c, EVP_sha256(), NULL) == 1 && update_all(c, NULL, m, drop) && finish_sha256(c, ret_hex);
    EVP_MD_CTX_free(c);
    return ok ? RAD_OK : rad_error_set(err, RAD_E_INTERNAL, "libcrypto cannot compute SHA-256");
}

rad_status rad_map_xxh128(const rad_map *m, bool drop, uint64_t seed, char ret_hex[RAD_XXH128_HEX], char *ret_sha256, rad_error *err) {
    rad_status st = RAD_OK;
    XXH128_canonical_t canonical;
    XXH3_state_t *x = XXH3_createState();
    EVP_MD_CTX *c = ret_sha256 ? EVP_MD_CTX_new() : NULL;
    if (!x || (ret_sha256 && !c))
        st = rad_error_set(err, RAD_E_NOMEM, "no memory to hash a file");
    else if (XXH3_128bits_reset_withSeed(x, seed) != XXH_OK || (c && EVP_DigestInit_ex(c, EVP_sha256(), NULL) != 1) ||
             !update_all(c, x, m, drop) || (c && !finish_sha256(c, ret_sha256)))
        st = rad_error_set(err, RAD_E_INTERNAL, "libcrypto or libxxhash cannot hash a file");
    if (st == RAD_OK) {
        XXH128_canonicalFromHash(&canonical, XXH3_128bits_digest(x));
        to_hex(canonical.digest, sizeof canonical.digest, ret_hex);
    }
    EVP_MD_CTX_free(c);
    (void)XXH3_freeState(x);
    return st;
}

rad_status rad_hmac_sha256(const void *key, size_t key_size, const void *data, size_t size, uint8_t ret[RAD_SHA256_BYTES], rad_error *err) {
    unsigned char md[EVP_MAX_MD_SIZE];
    unsigned int n = 0;
    if (key_size > INT_MAX || !HMAC(EVP_sha256(), key, (int)key_size, data, size, md, &n) || n != RAD_SHA256_BYTES)
        return rad_error_set(err, RAD_E_INTERNAL, "libcrypto cannot compute HMAC-SHA256");
    memcpy(ret, md, RAD_SHA256_BYTES);
    return RAD_OK;
}

rad_status rad_random_bytes(void *ret, size_t n, rad_error *err) {
    if (n > INT_MAX || RAND_bytes(ret, (int)n) != 1)
        return rad_error_set(err, RAD_E_INTERNAL, "libcrypto has no random bytes");
    return RAD_OK;
}

static int digit_value(char c) {
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool rad_sha256_bytes(const char *hex, uint8_t ret[RAD_SHA256_BYTES]) {
    for (size_t i = 0; i < RAD_SHA256_BYTES; i++) {
        int high = digit_value(hex[2 * i]), low = high < 0 ? -1 : digit_value(hex[2 * i + 1]);
        if (low < 0)
            return false;
        ret[i] = (uint8_t)(high << 4 | low);
    }
    return hex[RAD_SHA256_HEX - 1] == '\0';
}

void rad_xxh128(const void *data, size_t size, char ret_hex[RAD_XXH128_HEX]) {
    XXH128_canonical_t c;
    XXH128_canonicalFromHash(&c, XXH3_128bits(data, size));
    to_hex(c.digest, sizeof c.digest, ret_hex);
}

rad_status rad_xxh128_two(const rad_map *a, const rad_map *b, char ret_hex[RAD_XXH128_HEX], rad_error *err) {
    XXH3_state_t *state = XXH3_createState();
    XXH128_canonical_t c;
    if (!state || XXH3_128bits_reset(state) != XXH_OK || XXH3_128bits_update(state, a->data, a->size) != XXH_OK ||
        XXH3_128bits_update(state, b->data, b->size) != XXH_OK) {
        (void)XXH3_freeState(state);
        return rad_error_set(err, RAD_E_NOMEM, "no memory to hash a pair of files");
    }
    XXH128_canonicalFromHash(&c, XXH3_128bits_digest(state));
    (void)XXH3_freeState(state);
    to_hex(c.digest, sizeof c.digest, ret_hex);
    return RAD_OK;
}

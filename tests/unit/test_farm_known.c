/* The set of stored keys: found when they are there, refused when a message brings them out of order. */
#include "unit.h"

#include "farm/known.h"

#include <stdlib.h>
#include <string.h>

/* Key `i`, ascending in i, told apart by its last bytes only. */
static void make(int64_t i, uint8_t key[RAD_SHA256_BYTES], char hex[RAD_SHA256_HEX]) {
    memset(key, 0xab, RAD_SHA256_BYTES);
    for (int b = 0; b < 4; b++)
        key[RAD_SHA256_BYTES - 1 - b] = (uint8_t)(i >> (8 * b));
    for (int b = 0; b < RAD_SHA256_BYTES; b++)
        snprintf(hex + 2 * b, 3, "%02x", key[b]);
}

static void membership(void **state) {
    (void)state;
    enum { N = 1000, CHUNK = 64 };
    rad_error err = {0};
    rad_known k = {0};
    uint8_t(*key)[RAD_SHA256_BYTES] = calloc(N, sizeof *key), other[RAD_SHA256_BYTES];
    char hex[RAD_SHA256_HEX];
    assert_non_null(key);
    make(0, other, hex);
    assert_false(rad_known_has(NULL, hex) || rad_known_has(&k, hex));
    for (int64_t i = 0; i < N; i++)
        make(2 * i, key[i], hex);
    for (int64_t at = 0; at < N; at += CHUNK)
        assert_ok(rad_known_append(&k, key[at], N - at < CHUNK ? N - at : CHUNK, &err));
    assert_int_equal(k.n, N);
    for (int64_t i = 0; i < 2 * N; i++) {
        make(i, other, hex);
        assert_true(rad_known_has(&k, hex) == (i % 2 == 0));
    }
    hex[5] = 'A'; /* keys are lower case, and nothing but hex */
    assert_false(rad_known_has(&k, hex) || rad_known_has(&k, "") || rad_known_has(&k, "ab"));
    rad_known_release(&k);
    free(key);
}

static void refusals(void **state) {
    (void)state;
    rad_error err = {0};
    rad_known k = {0};
    uint8_t key[3][RAD_SHA256_BYTES];
    char hex[RAD_SHA256_HEX];
    make(5, key[0], hex);
    make(5, key[1], hex);
    make(4, key[2], hex);
    assert_fails(rad_known_append(&k, key[0], 2, &err), RAD_E_COMM, "not in order");
    assert_ok(rad_known_append(&k, key[0], 1, &err));
    assert_ok(rad_known_append(&k, key[0], 0, &err));
    assert_fails(rad_known_append(&k, key[2], 1, &err), RAD_E_COMM, "not in order");
    assert_fails(rad_known_append(&k, key[0], RAD_MAX_KNOWN_KEYS, &err), RAD_E_LIMIT, "more than");
    make(6, key[1], hex);
    rad_mem_fail_after(1);
    assert_fails(rad_known_append(&k, key[1], 1, &err), RAD_E_NOMEM, "out of memory");
    rad_mem_fail_after(0);
    assert_int_equal(k.n, 1);
    rad_known_release(&k);
}

int main(void) {
    const struct CMUnitTest t[] = {cmocka_unit_test(membership), cmocka_unit_test(refusals)};
    return cmocka_run_group_tests(t, NULL, NULL);
}

#include "rank.h"

#include <stdlib.h>

/* A scatter into more streams than the processor keeps page translations for costs ten times what one within its cache does. So one pass
 * over everything by the highest bits that differ, until a bucket fits into the cache; there least significant byte first. Both are stable.
 */
enum { DIGIT_BITS = 11, BUCKETS = 1 << DIGIT_BITS, BYTE_BITS = 8, BYTES = 1 << BYTE_BITS, SMALL = 48, CACHED = 8192 };

static void insertion_sort(uint64_t *key, int64_t *index, int64_t n) {
    for (int64_t i = 1; i < n; i++) {
        const uint64_t k = key[i];
        const int64_t v = index ? index[i] : 0;
        int64_t j = i;
        for (; j > 0 && key[j - 1] > k; j--) {
            key[j] = key[j - 1];
            if (index)
                index[j] = index[j - 1];
        }
        key[j] = k;
        if (index)
            index[j] = v;
    }
}

typedef struct sorting { /* keys with what travels with them (NULL: nothing), and room for as many */
    uint64_t *key, *key2;
    int64_t *index, *index2;
} sorting;

static unsigned digit_of(uint64_t k, int shift, unsigned n) {
    return (unsigned)(k >> shift) & (n - 1);
}

/* From `from` to `to`, by one digit; count[d]: how many have it, then where they go. */
static void scatter(const sorting *s, int64_t n, int shift, unsigned n_digit, int64_t *count) {
    int64_t at = 0;
    for (unsigned d = 0; d < n_digit; d++) {
        const int64_t m = count[d];
        count[d] = at;
        at += m;
    }
    for (int64_t i = 0; i < n; i++) {
        const int64_t p = count[digit_of(s->key[i], shift, n_digit)]++;
        s->key2[p] = s->key[i];
        if (s->index)
            s->index2[p] = s->index[i];
    }
}

static void copy_back(const sorting *s, int64_t n) {
    memcpy(s->key, s->key2, (size_t)n * sizeof *s->key);
    if (s->index)
        memcpy(s->index, s->index2, (size_t)n * sizeof *s->index);
}

static void sort_bytes(sorting s, int64_t n, uint64_t differing) {
    bool away = false;
    for (int shift = 0; shift < 64; shift += BYTE_BITS) {
        int64_t count[BYTES] = {0};
        if (digit_of(differing, shift, BYTES) == 0)
            continue;
        for (int64_t i = 0; i < n; i++)
            count[digit_of(s.key[i], shift, BYTES)]++;
        scatter(&s, n, shift, BYTES, count);
        s = (sorting){s.key2, s.key, s.index2, s.index};
        away = !away;
    }
    if (away) {
        const sorting back = {s.key2, s.key, s.index2, s.index};
        copy_back(&back, n);
    }
}

static void sort_part(const sorting *s, int64_t n) {
    uint64_t differing = 0;
    if (n <= SMALL) {
        insertion_sort(s->key, s->index, n);
        return;
    }
    for (int64_t i = 1; i < n; i++)
        differing |= s->key[i] ^ s->key[0];
    if (differing == 0)
        return;
    if (n <= CACHED) {
        sort_bytes(*s, n, differing);
        return;
    }
    int64_t end[BUCKETS] = {0};
    int shift = 64 - DIGIT_BITS;
    while (shift > 0 && differing >> (shift + DIGIT_BITS - 1) == 0)
        shift--;
    for (int64_t i = 0; i < n; i++)
        end[digit_of(s->key[i], shift, BUCKETS)]++;
    scatter(s, n, shift, BUCKETS, end);
    copy_back(s, n);
    for (int64_t d = 0, at = 0; d < BUCKETS; at = end[d++]) {
        const sorting part = {s->key + at, s->key2 + at, s->index ? s->index + at : NULL, s->index ? s->index2 + at : NULL};
        if (shift > 0 && end[d] - at > 1) /* each level takes 11 bits more: at most six of them */
            sort_part(&part, end[d] - at);
    }
}

static rad_status radix_sort(uint64_t *key, int64_t *index, int64_t n, rad_error *err) {
    if (n <= SMALL) {
        insertion_sort(key, index, n);
        return RAD_OK;
    }
    size_t bytes;
    if (!rad_mul_size((size_t)n, sizeof *key, &bytes))
        return rad_error_set(err, RAD_E_LIMIT, "%lld scores are more than memory can address", (long long)n);
    sorting s = {key, rad_malloc(bytes), index, index ? rad_malloc(bytes) : NULL};
    rad_status st = RAD_OK;
    if (!s.key2 || (index && !s.index2))
        st = rad_error_set(err, RAD_E_NOMEM, "no memory to sort %lld scores", (long long)n);
    else
        sort_part(&s, n);
    free(s.key2);
    free(s.index2);
    return st;
}

rad_status rad_key_sort(uint64_t *key, int64_t n, rad_error *err) {
    return radix_sort(key, NULL, n, err);
}

rad_status rad_key_sort_index(uint64_t *key, int64_t *index, int64_t n, rad_error *err) {
    return radix_sort(key, index, n, err);
}

rad_status rad_order(const double *x, int64_t n, int64_t *ret_order, rad_error *err) {
    uint64_t *key = rad_malloc((size_t)(n > 0 ? n : 1) * sizeof *key);
    if (!key)
        return rad_error_set(err, RAD_E_NOMEM, "no memory to order %lld values", (long long)n);
    for (int64_t i = 0; i < n; i++) {
        key[i] = rad_key_of(x[i]);
        ret_order[i] = i;
    }
    const rad_status st = radix_sort(key, ret_order, n, err);
    free(key);
    return st;
}

rad_status rad_midranks(const double *x, int64_t n, double *ret_rank, double *ret_ties, rad_error *err) {
    int64_t *order = rad_malloc((size_t)(n > 0 ? n : 1) * sizeof *order);
    if (!order)
        return rad_error_set(err, RAD_E_NOMEM, "no memory to rank %lld values", (long long)n);
    const rad_status st = rad_order(x, n, order, err);
    if (st == RAD_OK) {
        double ties = 0;
        for (int64_t i = 0, j; i < n; i = j) {
            for (j = i + 1; j < n && x[order[j]] == x[order[i]]; j++)
                ;
            const double rank = 0.5 * (double)(i + 1 + j), t = (double)(j - i);
            for (int64_t q = i; q < j; q++)
                ret_rank[order[q]] = rank;
            ties += t * t * t - t;
        }
        if (ret_ties)
            *ret_ties = ties;
    }
    free(order);
    return st;
}

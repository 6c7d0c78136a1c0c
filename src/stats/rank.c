#include "rank.h"

#include <stdlib.h>

enum { DIGIT_BITS = 11, DIGITS = 6, BUCKETS = 1 << DIGIT_BITS, SMALL = 48 };

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

static unsigned digit_of(uint64_t k, int d) {
    return (unsigned)(k >> (d * DIGIT_BITS)) & (BUCKETS - 1);
}

static rad_status radix_sort(uint64_t *key, int64_t *index, int64_t n, rad_error *err) {
    if (n <= SMALL) {
        insertion_sort(key, index, n);
        return RAD_OK;
    }
    size_t bytes;
    if (!rad_mul_size((size_t)n, sizeof *key, &bytes))
        return rad_error_set(err, RAD_E_LIMIT, "%lld scores are more than memory can address", (long long)n);
    uint64_t *key2 = rad_malloc(bytes);
    int64_t *index2 = index ? rad_malloc(bytes) : NULL;
    int64_t *count = rad_calloc((size_t)DIGITS * BUCKETS, sizeof *count);
    if (!key2 || (index && !index2) || !count) {
        free(key2);
        free(index2);
        free(count);
        return rad_error_set(err, RAD_E_NOMEM, "no memory to sort %lld scores", (long long)n);
    }
    for (int64_t i = 0; i < n; i++)
        for (int d = 0; d < DIGITS; d++)
            count[d * BUCKETS + (int)digit_of(key[i], d)]++;
    uint64_t *from = key, *to = key2;
    int64_t *ifrom = index, *ito = index2;
    for (int d = 0; d < DIGITS; d++) {
        int64_t *c = count + d * BUCKETS;
        if (c[digit_of(from[0], d)] == n)
            continue; /* one digit for all: this pass would only copy */
        int64_t at = 0;
        for (int b = 0; b < BUCKETS; b++) {
            const int64_t m = c[b];
            c[b] = at;
            at += m;
        }
        for (int64_t i = 0; i < n; i++) {
            const int64_t p = c[digit_of(from[i], d)]++;
            to[p] = from[i];
            if (index)
                ito[p] = ifrom[i];
        }
        uint64_t *t = from;
        from = to;
        to = t;
        int64_t *s = ifrom;
        ifrom = ito;
        ito = s;
    }
    if (from != key) {
        memcpy(key, from, bytes);
        if (index)
            memcpy(index, ifrom, bytes);
    }
    free(key2);
    free(index2);
    free(count);
    return RAD_OK;
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

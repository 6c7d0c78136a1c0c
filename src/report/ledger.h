/* ledger.h (private to src/report): the counts of a public report and the sums that connect them. */
#ifndef RAD_REPORT_LEDGER_H
#define RAD_REPORT_LEDGER_H

#include "parts.h"

struct rp_count {
    char *key;
    double value;
    bool hidden, primary; /* primary: from 1 to k - 1 itself */
    bool given_up;
    double low, high; /* what a reader can tell */
};
struct rp_sum {
    int64_t *part; /* part[0] is the whole */
    int64_t n;
};
struct rp_ledger {
    struct rp_count *item;
    int64_t n, cap;
    struct rp_sum *sum;
    int64_t n_sum, cap_sum;
};

int64_t rp_ledger_find(const struct rp_ledger *l, const char *key); /* -1: none */
void rp_ledger_add(rp_page *p, const char *key, double value);      /* the first value of a key stays */
void rp_ledger_sum(rp_page *p, const int64_t *part, int64_t n);
void rp_ledger_solve(rp_page *p);

#endif

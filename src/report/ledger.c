/* ledger.c: disclosure control of a public report.
 *
 * Rule. (1) A count from 1 to k - 1 is suppressed. (2) So is whatever would give it away: all counts that the report shows stand in one
 * ledger together with the sums that connect them (classes make up a center, centers a cohort, cohorts the whole, true and false calls a
 * class, reasons the excluded), and the ledger is attacked as a reader could: bounds are propagated through the sums, and the system is
 * solved by elimination. While a suppressed count of (1) is known to within less than k, or exactly, one more count of a sum that it
 * stands in is suppressed, the smallest first. (3) A statistic falls with any count it is made of. Zeros are shown. Thresholds tuned on
 * data, quantiles, maps, decision curves and examples are single patients' values and are left out; curves keep only points between
 * which 0 or at least k cases of each class lie. (Hundepool et al., Statistical Disclosure Control, 2012, chapter 4.) */
#include "ledger.h"

#define MAX_COUNTS 200000
enum { MAX_ROUNDS = 10000, MAX_SWEEPS = 200 };

static const double UNBOUNDED = 1e9;

static bool grow(rp_page *p, void **items, int64_t *cap, int64_t n, size_t size) {
    if (n < *cap)
        return true;
    const int64_t more = *cap ? 2 * *cap : 256;
    void *m = more > MAX_COUNTS * 4 ? NULL : rad_realloc(*items, (size_t)more, size);
    if (!m) {
        rp_fail(p, RAD_E_NOMEM, "out of memory for the counts of a public report");
        return false;
    }
    *items = m;
    *cap = more;
    return true;
}

int64_t rp_ledger_find(const struct rp_ledger *l, const char *key) {
    for (int64_t i = 0; l && i < l->n; i++)
        if (strcmp(l->item[i].key, key) == 0)
            return i;
    return -1;
}

void rp_ledger_add(rp_page *p, const char *key, double value) {
    struct rp_ledger *l = p->ledger;
    if (p->st != RAD_OK || isnan(value) || rp_ledger_find(l, key) >= 0 || !grow(p, (void **)&l->item, &l->cap, l->n, sizeof *l->item))
        return;
    char *own = rad_strdup(key);
    if (!own) {
        rp_fail(p, RAD_E_NOMEM, "out of memory for the counts of a public report");
        return;
    }
    const bool small = value >= 1 && value < p->o->k;
    l->item[l->n++] = (struct rp_count){own, value, small, small, false, 0, 0};
}

/* part[0] = sum of the others; kept when the numbers say so: a sum with missing values connects nothing. */
void rp_ledger_sum(rp_page *p, const int64_t *part, int64_t n) {
    struct rp_ledger *l = p->ledger;
    double sum = 0;
    if (p->st != RAD_OK || n < 2 || part[0] < 0)
        return;
    for (int64_t i = 1; i < n; i++) {
        if (part[i] < 0)
            return;
        sum += l->item[part[i]].value;
    }
    if (sum != l->item[part[0]].value || !grow(p, (void **)&l->sum, &l->cap_sum, l->n_sum, sizeof *l->sum))
        return;
    int64_t *own = rp_alloc(p, n, sizeof *own);
    if (!own)
        return;
    memcpy(own, part, (size_t)n * sizeof *own);
    l->sum[l->n_sum++] = (struct rp_sum){own, n};
}

/* ---------------------------------------------------------------- the attack */

static bool narrow(struct rp_ledger *l, const struct rp_sum *s) {
    bool changed = false;
    for (int64_t m = 0; m < s->n; m++) {
        struct rp_count *c = &l->item[s->part[m]];
        if (!c->hidden)
            continue;
        double low = 0, high = 0; /* of c, from the others: the whole is the sum of parts */
        for (int64_t i = 0; i < s->n; i++) {
            const struct rp_count *o = &l->item[s->part[i]];
            if (i == m)
                continue;
            const bool plus = m == 0 || i == 0;
            low += plus ? o->low : -o->high;
            high += plus ? o->high : -o->low;
        }
        if (low > c->low) {
            c->low = low;
            changed = true;
        }
        if (high < c->high) {
            c->high = high;
            changed = true;
        }
    }
    return changed;
}

static void propagate(struct rp_ledger *l) {
    for (int64_t i = 0; i < l->n; i++) {
        struct rp_count *c = &l->item[i];
        c->low = c->hidden ? 0 : c->value;
        c->high = c->hidden ? UNBOUNDED : c->value;
    }
    bool changed = true;
    for (int sweep = 0; changed && sweep < MAX_SWEEPS; sweep++) {
        changed = false;
        for (int64_t s = 0; s < l->n_sum; s++)
            changed |= narrow(l, &l->sum[s]);
    }
}

/* Counts that elimination determines get high = low = value. Columns: hidden counts. */
static void eliminate(rp_page *p) {
    struct rp_ledger *l = p->ledger;
    int64_t n_column = 0, n_row = 0, rank = 0;
    int64_t *column = rp_alloc(p, l->n, sizeof *column), *back = rp_alloc(p, l->n, sizeof *back);
    for (int64_t i = 0; p->st == RAD_OK && i < l->n; i++) {
        column[i] = l->item[i].hidden ? n_column : -1;
        if (l->item[i].hidden)
            back[n_column++] = i;
    }
    double *a = rp_alloc(p, l->n_sum * (n_column + 1), sizeof *a);
    for (int64_t s = 0; p->st == RAD_OK && s < l->n_sum; s++) {
        double *row = a + n_row * n_column;
        bool any = false;
        memset(row, 0, (size_t)n_column * sizeof *row);
        for (int64_t i = 0; i < l->sum[s].n; i++)
            if (column[l->sum[s].part[i]] >= 0) {
                row[column[l->sum[s].part[i]]] += i == 0 ? 1 : -1;
                any = true;
            }
        n_row += any;
    }
    for (int64_t c = 0; p->st == RAD_OK && c < n_column && rank < n_row; c++) {
        int64_t best = rank;
        for (int64_t r = rank; r < n_row; r++)
            best = fabs(a[r * n_column + c]) > fabs(a[best * n_column + c]) ? r : best;
        if (fabs(a[best * n_column + c]) < 1e-9)
            continue;
        for (int64_t j = 0; j < n_column; j++) {
            const double t = a[best * n_column + j];
            a[best * n_column + j] = a[rank * n_column + j];
            a[rank * n_column + j] = t;
        }
        for (int64_t r = 0; r < n_row; r++) {
            const double f = a[r * n_column + c] / a[rank * n_column + c];
            for (int64_t j = c; r != rank && f != 0 && j < n_column; j++)
                a[r * n_column + j] -= f * a[rank * n_column + j];
        }
        rank++;
    }
    for (int64_t r = 0; p->st == RAD_OK && r < rank; r++) {
        int64_t only = -1, count = 0;
        for (int64_t j = 0; j < n_column; j++)
            if (fabs(a[r * n_column + j]) > 1e-9) {
                only = j;
                count++;
            }
        if (count == 1)
            l->item[back[only]].low = l->item[back[only]].high = l->item[back[only]].value;
    }
    free(a);
    free(back);
    free(column);
}

/* The best count to suppress beside the suppressed ones marked with `ring`: the smallest, of the sum with the fewest suppressed; one above
 * 0 before a zero, which cannot make room downward. -1: there is none. */
static int64_t partner(const struct rp_ledger *l, const int *ring, int depth) {
    int64_t best = -1, best_hidden = 0;
    for (int64_t s = 0; s < l->n_sum; s++) {
        const struct rp_sum *u = &l->sum[s];
        bool in = false;
        int64_t hidden = 0;
        for (int64_t i = 0; i < u->n; i++) {
            in |= ring[u->part[i]] == depth;
            hidden += l->item[u->part[i]].hidden;
        }
        for (int64_t i = 0; in && i < u->n; i++) {
            const struct rp_count *c = &l->item[u->part[i]], *old = best < 0 ? NULL : &l->item[best];
            if (c->hidden)
                continue;
            const bool zero = c->value == 0, old_zero = old && old->value == 0;
            const bool better = !old || (zero != old_zero ? !zero : hidden != best_hidden ? hidden < best_hidden : c->value < old->value);
            if (better) {
                best = u->part[i];
                best_hidden = hidden;
            }
        }
    }
    return best;
}

/* Marks the suppressed counts that share a sum with those at `depth`; false when there is no new one. */
static bool widen(const struct rp_ledger *l, int *ring, int depth) {
    bool any = false;
    for (int64_t s = 0; s < l->n_sum; s++) {
        const struct rp_sum *u = &l->sum[s];
        bool in = false;
        for (int64_t i = 0; i < u->n; i++)
            in |= ring[u->part[i]] == depth;
        for (int64_t i = 0; in && i < u->n; i++)
            if (ring[u->part[i]] == 0 && l->item[u->part[i]].hidden) {
                ring[u->part[i]] = depth + 1;
                any = true;
            }
    }
    return any;
}

/* One more count near each that is told too well; false when nothing is, or nothing is left to suppress. */
static bool hide_more(rp_page *p) {
    struct rp_ledger *l = p->ledger;
    bool more = false;
    for (int64_t i = 0; i < l->n && !more && p->st == RAD_OK; i++) {
        struct rp_count *c = &l->item[i];
        if (!c->primary || c->given_up || c->high - c->low >= p->o->k)
            continue;
        int *ring = rp_alloc(p, l->n, sizeof *ring), depth = 1;
        int64_t also = -1;
        if (ring) {
            ring[i] = 1;
            do
                also = partner(l, ring, depth);
            while (also < 0 && widen(l, ring, depth) && ++depth > 0);
        }
        free(ring);
        if (also >= 0)
            l->item[also].hidden = more = true; /* what is hidden now may do for others, too */
        else
            c->given_up = true; /* all that it is connected with is suppressed: nothing shown bounds it */
    }
    return more;
}

void rp_ledger_solve(rp_page *p) {
    for (int round = 0; p->st == RAD_OK && round < MAX_ROUNDS; round++) {
        propagate(p->ledger);
        if (hide_more(p))
            continue;
        eliminate(p);
        if (p->st == RAD_OK && !hide_more(p))
            return;
    }
    rp_fail(p, RAD_E_LIMIT, "the counts of this run need too many suppressions for a public report; a larger k or fewer strata may do");
}

/* ---------------------------------------------------------------- asking */

void rp_ledger_destroy(struct rp_ledger **l) {
    for (int64_t i = 0; *l && i < (*l)->n; i++)
        free((*l)->item[i].key);
    for (int64_t i = 0; *l && i < (*l)->n_sum; i++)
        free((*l)->sum[i].part);
    if (*l) {
        free((*l)->item);
        free((*l)->sum);
    }
    free(*l);
    *l = NULL;
}

const char *rp_key(char *to, size_t cap, const char *family, const char *stratum, const char *what) {
    (void)snprintf(to, cap, "%s|%s|%s", family, stratum, what);
    return to;
}

/* In a public report a count that the ledger does not know is not shown. */
bool rp_is_hidden(const rp_page *p, const char *key) {
    const int64_t i = rp_ledger_find(p->ledger, key);
    return p->o->is_public && (i < 0 || p->ledger->item[i].hidden);
}

int64_t rp_ledger_hidden(const rp_page *p) {
    int64_t n = 0;
    for (int64_t i = 0; p->ledger && i < p->ledger->n; i++)
        n += p->ledger->item[i].hidden;
    return n;
}

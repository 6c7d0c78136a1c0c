#include "placement.h"

#include "impl.h"

void rad_placement_release(rad_placement *p) {
    free(p->auc);
    free(p->a);
    free(p->b);
    free(p->plain);
    *p = (rad_placement){0};
}

/* Twice the number of pairs won, per case: for a positive 2 #{neg < x} + #{neg == x}, for a negative 2 #{pos > x} + #{pos == x}. Behind
 * it `key` has the counts and `order` the cases in the order of their scores, a case as twice its place plus its label. */
static rad_status placement_counts(const double *score, const int64_t *keep, const int8_t *label, int64_t n, int64_t n_pos, uint64_t *key,
                                   int64_t *order, int64_t *count, rad_error *err) {
    for (int64_t i = 0; i < n; i++) {
        key[i] = rad_key_of(score[keep[i]]);
        order[i] = 2 * i + label[i];
    }
    const rad_status st = rad_key_sort_index(key, order, n, err);
    if (st != RAD_OK)
        return st;
    int64_t neg_below = 0, pos_below = 0;
    for (int64_t i = 0, j; i < n; i = j) {
        const uint64_t k = key[i];
        int64_t p = 0;
        for (j = i; j < n && key[j] == k; j++)
            p += order[j] & 1;
        const int64_t q = j - i - p, of[2] = {2 * (n_pos - pos_below - p) + p, 2 * neg_below + q};
        for (int64_t t = i; t < j; t++) {
            const int64_t c = of[order[t] & 1];
            count[order[t] >> 1] = c;
            key[t] = (uint64_t)c;
        }
        neg_below += q;
        pos_below += p;
    }
    return RAD_OK;
}

/* DeLong's variance with every case by itself, added up in the order of scores. */
static double plain_variance(const rad_placement *p, const uint64_t *count, const int64_t *order, int64_t sum, double whole) {
    double squares[2] = {0, 0};
    const int64_t own[2] = {p->n_neg, p->n_pos};
    if (p->n_pos < 2 || p->n_neg < 2)
        return NAN;
    for (int64_t t = 0; t < p->n; t++) {
        const int l = (int)(order[t] & 1);
        const double d = (double)(own[l] * (int64_t)count[t] - sum);
        squares[l] += d * d;
    }
    const double n1 = (double)p->n_pos, n0 = (double)p->n_neg;
    return squares[1] / whole / whole / (n1 - 1) / n1 + squares[0] / whole / whole / (n0 - 1) / n0;
}

/* Deviations of whole clusters, without rounding before the end, so that the order of rows moves nothing: own * (sum of the counts of its
 * cases) - cases * sum, over own * whole. Where that does not fit into 64 bits each product is rounded by itself. */
static void add_clusters(const rad_placement *p, int64_t m, const int8_t *label, const int64_t *group, const int64_t *count, int64_t sum,
                         double whole, int64_t *total) {
    for (int l = 0; l < 2; l++) {
        const int64_t own = l ? p->n_pos : p->n_neg;
        int64_t *cases = total + p->n_cluster, most = 0;
        double *to = (l ? p->a : p->b) + m * p->n_cluster;
        memset(total, 0, 2 * (size_t)p->n_cluster * sizeof *total);
        for (int64_t i = 0; i < p->n; i++)
            if (label[i] == l) {
                total[group[i]] += count[i];
                cases[group[i]]++;
            }
        for (int64_t c = 0; c < p->n_cluster; c++)
            most = cases[c] > most ? cases[c] : most;
        const bool fits = (double)most * whole < 9e18; /* whole = 2 n_pos n_neg bounds own * count and sum */
        for (int64_t c = 0; c < p->n_cluster; c++)
            to[c] = (fits ? (double)(own * total[c] - cases[c] * sum) : (double)own * (double)total[c] - (double)cases[c] * (double)sum) /
                    (whole * (double)own);
    }
}

static void count_clusters(rad_placement *p, const int8_t *label, const int64_t *group, int64_t *has) {
    for (int64_t i = 0; i < p->n; i++)
        has[group[i]] |= label[i] == 1 ? 1 : 2;
    for (int64_t c = 0; c < p->n_cluster; c++) {
        p->n_cluster_pos += has[c] & 1;
        p->n_cluster_neg += (has[c] >> 1) & 1;
    }
}

rad_status rad_placement_init(const rad_frame *f, int64_t first_score, int64_t k, int64_t cluster, rad_placement *ret, rad_error *err) {
    rad_placement p = {.k = k};
    rad_status st = RAD_OK;
    const int64_t n = f->n;
    int64_t *keep = rad_new_ints(n), *group = rad_new_ints(n), *order = rad_new_ints(n), *count = rad_new_ints(n), *has = NULL,
            *number = NULL, *total = NULL;
    uint64_t *key = rad_calloc((size_t)n + 1, sizeof *key);
    int8_t *label = rad_malloc((size_t)n + 1);
    if (!keep || !group || !order || !count || !label || !key) {
        st = rad_no_memory(err);
        goto out;
    }
    for (int64_t i = 0; i < n; i++) {
        const double y = f->column[0].value[i];
        bool ok = y == 0 || y == 1;
        for (int64_t m = 0; m < k && ok; m++)
            ok = !isnan(f->column[first_score + m].value[i]);
        if (ok && cluster >= 0)
            ok = !isnan(f->column[cluster].value[i]);
        if (!ok)
            continue;
        label[p.n] = (int8_t)y;
        keep[p.n++] = i;
    }
    p.n_missing = n - p.n;
    for (int64_t i = 0; i < p.n; i++)
        p.n_pos += label[i];
    p.n_neg = p.n - p.n_pos;
    if (cluster >= 0) { /* levels without a complete case are no clusters */
        number = rad_new_ints(f->column[cluster].n_level);
        if (!number) {
            st = rad_no_memory(err);
            goto out;
        }
        for (int64_t i = 0; i < p.n; i++)
            number[(int64_t)f->column[cluster].value[keep[i]]] = 1;
        for (int64_t c = 0; c < f->column[cluster].n_level; c++) /* in the order of levels, not of rows */
            number[c] = number[c] ? p.n_cluster++ : -1;
        for (int64_t i = 0; i < p.n; i++)
            group[i] = number[(int64_t)f->column[cluster].value[keep[i]]];
    } else {
        p.n_cluster = p.n;
        for (int64_t i = 0; i < p.n; i++)
            group[i] = i;
    }
    p.auc = rad_new_doubles(k);
    p.a = rad_new_doubles(k * p.n_cluster);
    p.b = rad_new_doubles(k * p.n_cluster);
    p.plain = rad_new_doubles(k);
    has = rad_new_ints(p.n_cluster);
    total = cluster >= 0 ? rad_new_ints(2 * p.n_cluster) : NULL;
    if (!p.auc || !p.a || !p.b || !p.plain || !has || (cluster >= 0 && !total)) {
        rad_placement_release(&p);
        st = rad_no_memory(err);
        goto out;
    }
    count_clusters(&p, label, group, has);
    const double whole = 2 * (double)p.n_pos * (double)p.n_neg;
    for (int64_t m = 0; m < k; m++) {
        st = placement_counts(f->column[first_score + m].value, keep, label, p.n, p.n_pos, key, order, count, err);
        if (st != RAD_OK) {
            rad_placement_release(&p);
            goto out;
        }
        int64_t sum = 0;
        for (int64_t i = 0; i < p.n; i++)
            sum += label[i] == 1 ? count[i] : 0;
        p.auc[m] = whole > 0 ? (double)sum / whole : NAN;
        p.plain[m] = plain_variance(&p, key, order, sum, whole);
        if (cluster >= 0 && whole > 0)
            add_clusters(&p, m, label, group, count, sum, whole, total);
        for (int64_t i = 0; i < p.n && whole > 0 && cluster < 0; i++) {
            const int64_t own = label[i] == 1 ? p.n_pos : p.n_neg;
            (label[i] == 1 ? p.a : p.b)[m * p.n + i] = (double)(own * count[i] - sum) / (whole * (double)own);
        }
    }
    *ret = p;
out:
    free(keep);
    free(group);
    free(order);
    free(count);
    free(has);
    free(number);
    free(total);
    free(key);
    free(label);
    return st;
}

static double combine(const rad_placement *p, double saa, double sbb, double sab) {
    const double i10 = (double)p->n_cluster_pos, i01 = (double)p->n_cluster_neg, i = (double)p->n_cluster;
    if (p->n_cluster_pos < 2 || p->n_cluster_neg < 2)
        return NAN;
    return i10 / (i10 - 1) * saa + i01 / (i01 - 1) * sbb + i / (i - 1) * sab;
}

double rad_placement_cov(const rad_placement *p, int64_t i, int64_t j) {
    double saa = 0, sbb = 0, sab = 0;
    const double *ai = p->a + i * p->n_cluster, *aj = p->a + j * p->n_cluster, *bi = p->b + i * p->n_cluster, *bj = p->b + j * p->n_cluster;
    for (int64_t c = 0; c < p->n_cluster; c++) {
        saa += ai[c] * aj[c];
        sbb += bi[c] * bj[c];
        sab += ai[c] * bj[c] + aj[c] * bi[c];
    }
    return combine(p, saa, sbb, sab);
}

double rad_placement_var_difference(const rad_placement *p, int64_t i, int64_t j) {
    double saa = 0, sbb = 0, sab = 0;
    const double *ai = p->a + i * p->n_cluster, *aj = p->a + j * p->n_cluster, *bi = p->b + i * p->n_cluster, *bj = p->b + j * p->n_cluster;
    for (int64_t c = 0; c < p->n_cluster; c++) {
        const double a = ai[c] - aj[c], b = bi[c] - bj[c];
        saa += a * a;
        sbb += b * b;
        sab += 2 * a * b;
    }
    return combine(p, saa, sbb, sab);
}

bool rad_placement_explain(const rad_placement *p, rad_doc *doc) {
    if (p->n_pos == 0 || p->n_neg == 0) {
        rad_doc_reason(doc, p->n == 0 ? "no scored case" : p->n_pos == 0 ? "no positive case" : "no negative case");
        return false;
    }
    if (p->n_cluster_pos < 2 || p->n_cluster_neg < 2)
        rad_doc_reason(doc, "fewer than two independent %s: no variance", p->n_cluster_pos < 2 ? "positives" : "negatives");
    return true;
}

#include "placement.h"

#include "impl.h"

void rad_placement_release(rad_placement *p) {
    free(p->auc);
    free(p->a);
    free(p->b);
    *p = (rad_placement){0};
}

/* Twice the number of pairs won, per case: for a positive 2 #{neg < x} + #{neg == x}, for a negative 2 #{pos > x} + #{pos == x}. */
static rad_status placement_counts(const double *score, const int8_t *label, int64_t n, int64_t *order, int64_t *count, rad_error *err) {
    const rad_status st = rad_order(score, n, order, err);
    if (st != RAD_OK)
        return st;
    int64_t n_pos = 0, neg_below = 0, pos_below = 0;
    for (int64_t i = 0; i < n; i++)
        n_pos += label[i] == 1;
    for (int64_t i = 0, j; i < n; i = j) {
        int64_t p = 0, q = 0;
        for (j = i; j < n && score[order[j]] == score[order[i]]; j++) {
            p += label[order[j]] == 1;
            q += label[order[j]] == 0;
        }
        for (int64_t t = i; t < j; t++)
            count[order[t]] = label[order[t]] == 1 ? 2 * neg_below + q : 2 * (n_pos - pos_below - p) + p;
        neg_below += q;
        pos_below += p;
    }
    return RAD_OK;
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
            *number = NULL;
    double *score = rad_new_doubles(n);
    int8_t *label = rad_malloc((size_t)n + 1);
    if (!keep || !group || !order || !count || !score || !label) {
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
        for (int64_t i = 0; i < p.n; i++) {
            int64_t *c = &number[(int64_t)f->column[cluster].value[keep[i]]];
            if (*c == 0)
                *c = ++p.n_cluster;
            group[i] = *c - 1;
        }
    } else {
        p.n_cluster = p.n;
        for (int64_t i = 0; i < p.n; i++)
            group[i] = i;
    }
    p.auc = rad_new_doubles(k);
    p.a = rad_new_doubles(k * p.n_cluster);
    p.b = rad_new_doubles(k * p.n_cluster);
    has = rad_new_ints(p.n_cluster);
    if (!p.auc || !p.a || !p.b || !has) {
        rad_placement_release(&p);
        st = rad_no_memory(err);
        goto out;
    }
    count_clusters(&p, label, group, has);
    const double whole = 2 * (double)p.n_pos * (double)p.n_neg;
    for (int64_t m = 0; m < k; m++) {
        for (int64_t i = 0; i < p.n; i++)
            score[i] = f->column[first_score + m].value[keep[i]];
        st = placement_counts(score, label, p.n, order, count, err);
        if (st != RAD_OK) {
            rad_placement_release(&p);
            goto out;
        }
        int64_t sum = 0;
        for (int64_t i = 0; i < p.n; i++)
            sum += label[i] == 1 ? count[i] : 0;
        p.auc[m] = whole > 0 ? (double)sum / whole : NAN;
        /* deviation of one case in whole numbers, n_own * count - sum, over n_own * whole */
        for (int64_t i = 0; i < p.n && whole > 0; i++) {
            const int64_t own = label[i] == 1 ? p.n_pos : p.n_neg;
            double *to = (label[i] == 1 ? p.a : p.b) + m * p.n_cluster + group[i];
            *to += (double)(own * count[i] - sum) / (whole * (double)own);
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
    free(score);
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

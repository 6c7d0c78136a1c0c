/* describe: Table 1: every variable by group, with a test and the largest standardised difference. The numbers are those of the single
 * functions; this only puts them into rows. */
#include "impl.h"

static rad_status sub_call(const char *name, const rad_column *a, const rad_column *b, int64_t n, const rad_arg *arg, int n_arg,
                           rad_doc **ret, rad_error *err) {
    const rad_column pair[2] = {*a, *b};
    const rad_frame f = {.n = n, .n_column = 2, .column = pair};
    rad_status st = rad_doc_create(ret, err);
    if (st == RAD_OK)
        st = rad_stat_call(rad_stat_function_find(name), &f, arg, n_arg, *ret, err);
    return st;
}

/* Largest absolute standardised difference over all pairs of groups. */
static rad_status largest_smd(const rad_column *v, const rad_column *g, int64_t n, double *ret, rad_error *err) {
    rad_status st = RAD_OK;
    *ret = NAN;
    for (int64_t a = 0; a < g->n_level && st == RAD_OK; a++)
        for (int64_t b = a + 1; b < g->n_level && st == RAD_OK; b++) {
            rad_doc *doc = NULL;
            const rad_arg arg[2] = {{.num = NAN, .text = g->level[a]}, {.num = NAN, .text = g->level[b]}};
            st = sub_call(v->level ? "smd_categorical_json" : "two_groups_json", v, g, n, arg, 2, &doc, err);
            if (st == RAD_OK) {
                const double x = fabs(rad_doc_get(doc, "smd"));
                if (!isnan(x) && !(x <= *ret))
                    *ret = x;
            }
            rad_doc_destroy(&doc);
        }
    return st;
}

static void put_head(rad_doc *doc, const char *variable, const char *level, const char *group) {
    rad_doc_open(doc, NULL);
    rad_doc_text(doc, "variable", variable);
    if (level)
        rad_doc_text(doc, "level", level);
    rad_doc_text(doc, "group", group);
}

static void put_tail(rad_doc *doc, bool first, const char *test, double p, double smd) {
    if (first) { /* once per variable */
        rad_doc_text(doc, "test", test);
        rad_doc_num(doc, "p", p);
        rad_doc_num(doc, "smd", smd);
    }
    rad_doc_close(doc);
}

static rad_status put_numbers(const rad_column *v, const rad_column *g, int64_t n, double smd, rad_doc *doc, rad_error *err) {
    rad_doc *test = NULL, *one = NULL;
    double *x = rad_new_doubles(n);
    rad_status st = x ? RAD_OK : rad_no_memory(err);
    if (st == RAD_OK)
        st = sub_call("groups_json", v, g, n, NULL, 0, &test, err);
    for (int64_t k = 0; k < g->n_level && st == RAD_OK; k++) {
        int64_t members = 0;
        for (int64_t i = 0; i < n; i++)
            if (g->value[i] == (double)k)
                x[members++] = v->value[i];
        const rad_column mine = {.value = x};
        const rad_frame f = {.n = members, .n_column = 1, .column = &mine};
        st = rad_doc_create(&one, err);
        if (st == RAD_OK)
            st = rad_stat_call(rad_stat_function_find("describe_json"), &f, NULL, 0, one, err);
        if (st == RAD_OK) {
            static const char *const names[] = {"mean", "sd", "median", "q1", "q3"};
            put_head(doc, v->name ? v->name : "x", NULL, g->level[k]);
            rad_doc_int(doc, "n", (int64_t)rad_doc_get(one, "n"));
            rad_doc_int(doc, "n_missing", (int64_t)rad_doc_get(one, "n_missing"));
            for (size_t i = 0; i < sizeof names / sizeof *names; i++)
                rad_doc_num(doc, names[i], rad_doc_get(one, names[i]));
            put_tail(doc, k == 0, "Kruskal-Wallis", rad_doc_get(test, "kruskal_wallis.p"), smd);
        }
        rad_doc_destroy(&one);
    }
    rad_doc_destroy(&test);
    free(x);
    return st;
}

static rad_status put_categories(const rad_column *v, const rad_column *g, int64_t n, double smd, rad_doc *doc, rad_error *err) {
    rad_doc *test = NULL;
    rad_status st = sub_call("contingency_json", g, v, n, NULL, 0, &test, err);
    if (st != RAD_OK) {
        rad_doc_destroy(&test);
        return st;
    }
    /* Cochran's rule: chi-square where expected counts carry it, Fisher where it can be computed */
    const double fisher = rad_doc_get(test, "p_fisher");
    const bool sparse = rad_doc_get(test, "n_expected_lt5") > 0 && !isnan(fisher);
    for (int64_t c = 0; c < v->n_level; c++)
        for (int64_t k = 0; k < g->n_level; k++) {
            double count = 0, all = 0, missing = 0;
            for (int64_t i = 0; i < n; i++) {
                if (g->value[i] != (double)k)
                    continue;
                count += v->value[i] == (double)c;
                all += !isnan(v->value[i]);
                missing += isnan(v->value[i]);
            }
            put_head(doc, v->name ? v->name : "x", v->level[c], g->level[k]);
            rad_doc_int(doc, "n", (int64_t)all);
            rad_doc_int(doc, "n_missing", (int64_t)missing);
            rad_doc_int(doc, "count", (int64_t)count);
            rad_doc_num(doc, "percent", all > 0 ? 100 * count / all : NAN);
            put_tail(doc, c == 0 && k == 0, sparse ? "Fisher" : "chi-square", sparse ? fisher : rad_doc_get(test, "p"), smd);
        }
    rad_doc_destroy(&test);
    return RAD_OK;
}

static rad_status table_doc(const rad_frame *f, const rad_arg *arg, int n_arg, rad_doc *doc, rad_error *err) {
    (void)arg;
    (void)n_arg;
    const rad_column *g = &f->column[0];
    rad_status st = RAD_OK;
    if (g->n_level > 100)
        return rad_error_set(err, RAD_E_LIMIT, "the first column has %lld groups: at most 100", (long long)g->n_level);
    if (g->n_level < 2)
        rad_doc_reason(doc, "fewer than two groups: nothing to compare");
    rad_doc_open_list(doc, "rows");
    for (int64_t c = 1; c < f->n_column && st == RAD_OK; c++) {
        const rad_column *v = &f->column[c];
        double smd;
        st = largest_smd(v, g, f->n, &smd, err);
        if (st == RAD_OK)
            st = (v->level ? put_categories : put_numbers)(v, g, f->n, smd, doc, err);
    }
    rad_doc_close(doc);
    return st;
}

static const rad_stat_function functions[] = {
    {"table_one", "'SELECT group, x1, x2, ...'",
     "Table 1: numbers as mean, sd and quartiles with Kruskal-Wallis, text as counts with chi-square (Fisher where expected counts are "
     "below 5 and "
     "it can be computed), and the largest standardised difference between two groups; one row per variable, level and group",
     "variable,level,group,n,n_missing,mean,sd,median,q1,q3,count,percent,test,p,smd", "ca+", "", 1, 0, RAD_STAT_TABLE, table_doc},
};
RAD_STAT_TOPIC(rad_topic_describe, functions);

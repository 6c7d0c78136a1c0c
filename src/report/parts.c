/* parts.c: what several sections share. */
#include "parts.h"

const char *rp_cohort_kind(const rp_page *p) {
    return p->has_internal || p->has_external ? "cohort" : "all";
}

const char *rp_stratum_word(const char *stratum) {
    return strcmp(stratum, "all") == 0 ? "all patients" : stratum;
}

const char *rp_per_unit(const rp_page *p, const char *unit) {
    return !p->several ? "" : strcmp(unit, "lesion") == 0 ? ", per lesion" : ", per patient";
}

const char *rp_units(const rp_page *p) {
    return p->several ? "'lesion', 'patient'" : "'patient'";
}

void rp_combos(rp_page *p, rp_rows *ret) {
    rp_query(p,
             sqlite3_mprintf("SELECT DISTINCT s.unit, s.model, s.class FROM v_statistic s"
                             " JOIN run_model m ON m.run_id = s.run_id AND m.model = s.model"
                             " JOIN run_class k ON k.run_id = s.run_id AND k.class = s.class"
                             " WHERE s.run_id = %lld AND s.name = 'auc' AND s.unit IN (%s) ORDER BY s.unit DESC, k.class_index, m.position",
                             (long long)p->run, rp_units(p)),
             ret);
}

void rp_cohorts(rp_page *p, rp_rows *ret) {
    rp_query(p,
             sqlite3_mprintf("SELECT DISTINCT stratum, cohort FROM v_statistic WHERE run_id = %lld AND name = 'auc' AND stratum_kind = %Q"
                             " ORDER BY stratum = 'external'",
                             (long long)p->run, rp_cohort_kind(p)),
             ret);
}

char *rp_where(rp_page *p, const char *unit, const char *model, const char *class_name, const char *stratum) {
    const bool all = strcmp(stratum, "all") == 0;
    char *w = all ? sqlite3_mprintf("run_id = %lld AND model = %Q AND unit = %Q AND class = %Q", (long long)p->run, model, unit, class_name)
                  : sqlite3_mprintf("run_id = %lld AND model = %Q AND unit = %Q AND class = %Q AND cohort = %Q", (long long)p->run, model,
                                    unit, class_name, stratum);
    if (!w)
        rp_fail(p, RAD_E_NOMEM, "out of memory for the report");
    return w;
}

bool rp_statistic(rp_page *p, const char *unit, const char *model, const char *class_name, const char *kind, const char *stratum,
                  const char *name, double ret[3], int64_t *ret_n) {
    rp_rows r;
    rp_query(p,
             sqlite3_mprintf(
                 "SELECT model, unit, class, stratum_kind, stratum, point, name, versus, n, n_pos, est, lower, upper FROM v_statistic"
                 " WHERE run_id = %lld AND unit = %Q AND model = %Q AND class IS %Q AND stratum_kind = %Q AND stratum = %Q"
                 " AND name = %Q AND point IS NULL AND versus IS NULL",
                 (long long)p->run, unit, model, class_name, kind, stratum, name),
             &r);
    rp_protect_statistics(p, &r);
    ret[0] = rp_num(&r, 0, "est");
    ret[1] = rp_num(&r, 0, "lower");
    ret[2] = rp_num(&r, 0, "upper");
    const double n = rp_num(&r, 0, "n");
    *ret_n = isnan(n) ? 0 : (int64_t)n;
    rp_rows_release(&r);
    return !isnan(ret[0]);
}

void rp_hit(rp_page *p, double x, double y, const char *tip) {
    rp_printf(p, "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"7\" fill=\"transparent\" data-tip=\"", x, y);
    rp_put(p, "{}\"/>\n", tip);
}

int64_t rp_group_end(const rp_rows *r, int64_t from, const char *column) {
    int64_t end = from;
    while (end < r->n && strcmp(rp_text_at(r, end, column), rp_text_at(r, from, column)) == 0)
        end++;
    return end;
}

double *rp_doubles(rp_page *p, const rp_rows *r, int64_t from, int64_t end, const char *name) {
    double *x = rp_alloc(p, end - from, sizeof *x);
    const int c = rp_column(r, name);
    for (int64_t i = from; x && i < end; i++)
        x[i - from] = c < 0 ? NAN : r->cell[i * r->n_col + c].num;
    return x;
}

bool rp_has_table(rp_page *p, const char *name) {
    return rp_one(p, sqlite3_mprintf("SELECT count(*) FROM sqlite_schema WHERE name = %Q", name)) > 0;
}

int64_t rp_filled(const rp_rows *r, const char *a, const char *b) {
    int64_t n = 0;
    for (int64_t i = 0; i < r->n; i++)
        n += rp_at(r, i, a)->hidden || !isnan(rp_num(r, i, a)) || (b && (rp_at(r, i, b)->hidden || !isnan(rp_num(r, i, b))));
    return n;
}

const char *rp_why_empty(rp_page *p, char to[200], const char *unit, const char *model, const char *class_name, const char *stratum,
                         int64_t before) {
    char *why = before > 0 ? NULL
                           : rp_one_text(p, sqlite3_mprintf("SELECT max(reason) FROM v_statistic WHERE run_id = %lld AND unit = %Q AND"
                                                            " coalesce(model = %Q, 1) AND class = %Q AND stratum = %Q AND name = 'auc'"
                                                            " AND point IS NULL AND versus IS NULL",
                                                            (long long)p->run, unit, model, class_name, stratum));
    (void)snprintf(to, 200, "%.198s", before > 0 ? "too few cases for a public report" : why && why[0] ? why : "no scored case");
    free(why);
    to[0] = (char)(to[0] >= 'a' && to[0] <= 'z' ? to[0] - 'a' + 'A' : to[0]);
    return to;
}

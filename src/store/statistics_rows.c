/* statistics_rows.c: the units of a stratum, and a row of the statistic table with its query. */
#include "statistics.h"

#include <math.h>
#include <string.h>

static const char SQL_INSERT[] =
    "INSERT INTO statistic (run_id, run_model_id, unit, class_index, stratum_kind, stratum, cohort, point, name, versus, method, n, n_pos,"
    " n_missing, n_cluster, est, se, lower, upper, level, p, p_adjusted, reason, query)"
    " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22, ?23, ?24)";

#define NO_SLICE_INTERVAL "slices of one patient are not independent: see the clustered row for an interval"

bool rad_statistics_holds(const rad_stratum *g, const rad_observation *o) {
    return (g->center < 0 || o->center == g->center) && (g->external < 0 || o->external == (g->external > 0)) &&
           (g->fold == 0 || (g->fold < 0 ? o->fold >= 0 : o->fold == g->fold - 1));
}

int64_t rad_statistics_select(rad_computation *c, const rad_stratum *g) {
    int64_t last = -1, used = 0, last_used = -1;
    rad_sample *m = &c->sample;
    m->n = m->n_cluster = 0;
    for (int64_t i = 0; i < c->n_obs; i++) {
        const rad_observation *o = &c->obs[i];
        if (!rad_statistics_holds(g, o))
            continue;
        if (o->patient != last)
            m->n_cluster++;
        last = o->patient;
        m->label[m->n] = o->label;
        m->score[m->n] = o->score;
        m->cluster[m->n] = (double)(m->n_cluster - 1);
        c->source[m->n] = i;
        m->n++;
        if (o->label >= 0 && !isnan(o->score) && o->patient != last_used) {
            last_used = o->patient;
            used++;
        }
    }
    return used;
}

char *rad_statistics_place(const rad_stratum *g, const char *center_column, const char *cohort_column) {
    return g->center >= 0 ? sqlite3_mprintf(" AND %s = %Q", center_column, g->name)
           : g->fold > 0  ? sqlite3_mprintf(" AND fold = %lld", (long long)g->fold - 1)
           : g->fold < 0  ? sqlite3_mprintf(" AND fold IS NOT NULL")
           : g->cohort    ? sqlite3_mprintf(" AND %s = %Q", cohort_column, g->cohort)
                          : sqlite3_mprintf("");
}

/* The SQL behind a row; NULL when memory is out. Released with sqlite3_free. */
static char *row_query(const rad_computation *c, const rad_stratum *g, const char *end) {
    const char *unit = c->unit == RAD_UNIT_SLICE ? "" : c->unit == RAD_UNIT_LESION ? " AND unit = 'lesion'" : " AND unit = 'patient'";
    char *place = rad_statistics_place(g, "center", "cohort");
    char *of_class = c->class_index < 0 ? sqlite3_mprintf("") : sqlite3_mprintf(" AND class = %Q", c->class_name[c->class_index]);
    char *query =
        place && of_class
            ? sqlite3_mprintf("SELECT cohort, patient, %slabel, score FROM %s WHERE run_id = %lld AND model = %Q%s%s%s%s",
                              c->class_index < 0 ? "lesion, class, " : "", c->unit == RAD_UNIT_SLICE ? "v_slice_score" : "v_case_score",
                              (long long)c->run, c->model[c->at_model].name, unit, of_class, place, end)
            : NULL;
    sqlite3_free(place);
    sqlite3_free(of_class);
    return query;
}

rad_status rad_statistics_put(rad_computation *c, const rad_stratum *g, const rad_row_text *t, const rad_measure *v, rad_error *err) {
    /* a contrast with a center is about the internal units and that center's */
    const bool against = strcmp(g->kind, "contrast") == 0 && t->versus && !t->query;
    char *where =
        against ? sqlite3_mprintf(" AND (cohort = 'internal' OR center = %Q)", t->versus) : sqlite3_mprintf("%s", t->where ? t->where : "");
    char *query = !where ? NULL : t->query ? sqlite3_mprintf("%s", t->query) : row_query(c, g, where);
    sqlite3_free(where);
    if (!query)
        return rad_statistics_no_memory(c, err);
    const bool interval = t->kind == RAD_ROW_INTERVAL;
    rad_query q = rad_query_start(c->st, SQL_INSERT);
    rad_bind_int(&q, c->run);
    rad_bind_int(&q, c->model[c->at_model].id);
    rad_bind_text(&q, rad_unit_name(c->unit));
    rad_bind_index(&q, c->class_index);
    rad_bind_text(&q, g->kind);
    rad_bind_text(&q, g->name);
    rad_bind_text(&q, g->cohort);
    rad_bind_text(&q, t->point);
    rad_bind_text(&q, t->name);
    rad_bind_text(&q, t->versus);
    rad_bind_text(&q, t->method);
    rad_bind_int(&q, v->e.n);
    rad_bind_int(&q, v->e.n_pos);
    rad_bind_int(&q, v->e.n_missing);
    rad_bind_int(&q, t->n_cluster);
    rad_bind_real(&q, v->e.est);
    rad_bind_real(&q, interval ? v->e.se : (double)NAN);
    rad_bind_real(&q, interval ? v->e.lower : (double)NAN);
    rad_bind_real(&q, interval ? v->e.upper : (double)NAN);
    rad_bind_real(&q, interval ? RAD_STORE_LEVEL : (double)NAN);
    rad_bind_real(&q, t->kind == RAD_ROW_DEPENDENT ? (double)NAN : v->e.p);
    rad_bind_real(&q, t->adjusted ? t->p_adjusted : (double)NAN);
    rad_bind_text(&q, v->reason[0]                   ? v->reason
                      : t->kind == RAD_ROW_DEPENDENT ? NO_SLICE_INTERVAL
                      : isnan(v->e.est)              ? "not defined for these units"
                                                     : NULL);
    rad_bind_text(&q, query);
    rad_status s = rad_query_exec(&q, err);
    sqlite3_free(query);
    return s;
}

rad_status rad_statistics_put_pair(rad_computation *c, const rad_stratum *g, const char *const name[2], const char *const method[3],
                                   const char *versus, const double p_adjusted[2], const rad_auc_pair *v, rad_error *err) {
    const bool slices = c->unit == RAD_UNIT_SLICE;
    rad_row_text t = {.name = name[0],
                      .method = method[slices && v->shared ? 0 : 1],
                      .versus = versus,
                      .n_cluster = v->n_cluster,
                      .adjusted = p_adjusted != NULL,
                      .p_adjusted = p_adjusted ? p_adjusted[0] : 0,
                      .kind = slices && v->shared ? RAD_ROW_DEPENDENT : RAD_ROW_INTERVAL};
    char marked[160];
    if (v->shared && !slices) {
        snprintf(marked, sizeof marked, "%s" RAD_STATISTICS_INDEPENDENT, method[1]);
        t.method = marked;
    }
    if (slices && v->shared)
        t.adjusted = false;
    rad_status s = rad_statistics_put(c, g, &t, &v->naive, err);
    if (s == RAD_OK && v->shared) {
        t.name = name[1];
        t.method = method[2];
        t.kind = RAD_ROW_INTERVAL;
        t.adjusted = p_adjusted != NULL;
        t.p_adjusted = p_adjusted ? p_adjusted[1] : 0;
        s = rad_statistics_put(c, g, &t, &v->clustered, err);
    }
    return s;
}

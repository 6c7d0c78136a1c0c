/* statistics_reading.c: readers among themselves, their ratings, and the model against the mean of the readers, on the units that the model
 * has scored and whose truth is known. Calls and ratings are those of a reader's first reading; his second gives his agreement with
 * himself. Each row is about everyone or a cohort; centers are too small for most of it. */
#include "statistics_reading.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char SQL_READERS[] = "SELECT rd.reader, max(rd.experience_years), max(rd.rating IS NOT NULL) FROM reading rd"
                                  " JOIN run_patient rp ON rp.run_id = ?1 AND rp.patient_id = rd.patient_id"
                                  " WHERE rd.repeat = 0 AND (rd.lesion_id IS NOT NULL) = ?2 GROUP BY rd.reader ORDER BY rd.reader";
#define CALLS "SELECT k.class_index, rd.rating, k2.class_index, r2.rating FROM "
#define SECOND                                                                                                                             \
    " LEFT JOIN run_class k ON k.run_id = ?1 AND k.class = rd.call"                                                                        \
    " LEFT JOIN reading r2 ON r2.patient_id = rd.patient_id AND r2.lesion_id IS rd.lesion_id AND r2.reader = rd.reader AND r2.repeat = 1"  \
    " LEFT JOIN run_class k2 ON k2.run_id = ?1 AND k2.class = r2.call"
static const char SQL_LESIONS[] =
    CALLS "manifest m JOIN patient p ON p.patient_id = m.patient_id LEFT JOIN lesion l ON l.lesion_id = m.lesion_id"
          " LEFT JOIN reading rd ON rd.patient_id = m.patient_id AND rd.lesion_id = m.lesion_id AND rd.reader = ?2 AND rd.repeat = 0" SECOND
          " WHERE m.run_id = ?1 ORDER BY p.patient, l.lesion, m.study";
static const char SQL_PATIENTS[] =
    CALLS "run_patient rp JOIN patient p ON p.patient_id = rp.patient_id"
          " LEFT JOIN reading rd ON rd.patient_id = rp.patient_id AND rd.lesion_id IS NULL AND rd.reader = ?2 AND rd.repeat = 0" SECOND
          " WHERE rp.run_id = ?1 ORDER BY p.patient";

void rad_reading_set_release(rad_reading_set *s) {
    for (int i = 0; i < s->n_reader; i++) {
        free(s->reader[i].name);
        free(s->reader[i].call);
        free(s->reader[i].again);
        free(s->reader[i].rating);
        free(s->reader[i].rating_again);
    }
    free(s->reader);
    *s = (rad_reading_set){0};
}

/* A class or endpoint that a reader named, as rad_reader_row.call has it. */
static int as_call(const rad_computation *c, int64_t named) {
    if (named < 0)
        return -1;
    if (c->class_index < c->n_class)
        return named < c->n_class ? (int)named : -1;
    if (named >= c->n_class)
        return named == c->class_index ? 1 : -1;
    return c->scheme.endpoint[c->class_index - c->n_class].of >> named & 1 ? 1 : 0;
}

static rad_status read_one(rad_computation *c, rad_reader_row *r, rad_error *err) {
    bool row = false;
    int64_t n = 0;
    rad_status s;
    rad_query q = rad_query_start(c->st, c->unit == RAD_UNIT_LESION ? SQL_LESIONS : SQL_PATIENTS);
    rad_bind_int(&q, c->run);
    rad_bind_text(&q, r->name);
    while ((s = rad_query_row(&q, &row, err)) == RAD_OK && row && n < c->n_obs) {
        r->call[n] = as_call(c, rad_column_index(&q, 0));
        r->calls = r->calls || r->call[n] >= 0;
        r->rating[n] = rad_column_real(&q, 1);
        r->rating_again[n] = rad_column_real(&q, 3);
        r->again[n++] = as_call(c, rad_column_index(&q, 2));
    }
    rad_query_end(&q);
    if (s == RAD_OK && n != c->n_obs)
        s = rad_error_set(err, RAD_E_INTERNAL, "reader '%s' has %lld units, the model %lld", r->name, (long long)n, (long long)c->n_obs);
    return s;
}

rad_status rad_reading_set_read(rad_computation *c, rad_reading_set *ret, rad_error *err) {
    rad_reading_set set = {0};
    const size_t n = (size_t)c->n_obs + 1;
    bool row = false;
    rad_status s;
    rad_query q = rad_query_start(c->st, SQL_READERS);
    rad_bind_int(&q, c->run);
    rad_bind_int(&q, c->unit == RAD_UNIT_LESION);
    while ((s = rad_query_row(&q, &row, err)) == RAD_OK && row) {
        rad_reader_row *p = rad_realloc(set.reader, (size_t)set.n_reader + 1, sizeof *p);
        if (p) {
            set.reader = p;
            p += set.n_reader++;
            *p = (rad_reader_row){.name = rad_strdup(rad_column_text(&q, 0)),
                                  .call = rad_calloc(n, sizeof *p->call),
                                  .again = rad_calloc(n, sizeof *p->again),
                                  .rating = rad_calloc(n, sizeof *p->rating),
                                  .rating_again = rad_calloc(n, sizeof *p->rating_again),
                                  .experience = rad_column_real(&q, 1),
                                  .rates = sqlite3_column_int(q.stmt, 2) != 0};
        }
        if (!p || !p->name || !p->call || !p->again || !p->rating || !p->rating_again) {
            s = rad_statistics_no_memory(c, err);
            break;
        }
    }
    rad_query_end(&q);
    for (int i = 0; i < set.n_reader && s == RAD_OK; i++)
        s = read_one(c, &set.reader[i], err);
    if (s == RAD_OK)
        *ret = set;
    else
        rad_reading_set_release(&set);
    return s;
}

#define A_CALL "r.call IN (SELECT k.class FROM run_class k WHERE k.run_id = r.run_id)"
#define OF_UNIT " FROM v_reading r WHERE r.run_id = s.run_id AND r.unit = s.unit AND r.patient = s.patient AND r.lesion IS s.lesion AND "
#define BY_READER " ORDER BY r.reader, r.session, r.repeat"

char *rad_reading_query(const rad_computation *c, const rad_stratum *g, int label, int count, const char *said) {
    char *place = rad_statistics_place(g, "s.center", "s.cohort"), how_many[24];
    snprintf(how_many, sizeof how_many, count < 0 ? ">= 1" : "= %d", count);
    char *query =
        place ? sqlite3_mprintf("SELECT s.cohort, s.patient, s.lesion, s.label, s.score, (SELECT group_concat(said, '; ') FROM (SELECT"
                                " r.reader || ': ' || coalesce(r.call, r.rating, '') AS said" OF_UNIT "%s" BY_READER
                                ")) AS readings FROM v_case_score s WHERE s.run_id = %lld"
                                " AND s.model = %Q AND s.unit = '%s' AND s.class = %Q%s%s AND (SELECT count(*)" OF_UNIT "%s) %s",
                                said, (long long)c->run, c->model[c->at_model].name, rad_unit_name(c->unit), c->class_name[c->class_index],
                                label < 0   ? " AND s.label IS NOT NULL"
                                : label > 0 ? " AND s.label = 1"
                                            : " AND s.label = 0",
                                place, said, how_many)
              : NULL;
    sqlite3_free(place);
    return query;
}

/* ---------------------------------------------------------------- one stratum */

typedef struct group { /* what the parts share */
    rad_computation *c;
    const rad_stratum *g;
    const rad_reading_set *s;
    double *a, *b; /* room for n_obs values each */
    const char **level;
    int order[RAD_MAX_CLASSES]; /* place of a call's level among the sorted names */
    int n_level;                /* classes, or an endpoint and the rest */
} group;

/* `count` readings of a unit are as `said`, which is taken over. */
static rad_status put(group *k, const char *name, const char *method, const char *versus, int label, int count, char *said,
                      int64_t n_cluster, rad_row_kind kind, const rad_measure *v, rad_error *err) {
    char *query = said ? rad_reading_query(k->c, k->g, label, count, said) : NULL;
    sqlite3_free(said);
    if (!query)
        return rad_statistics_no_memory(k->c, err);
    const rad_row_text t = {.name = name, .method = method, .versus = versus, .query = query, .n_cluster = n_cluster, .kind = kind};
    rad_status st = rad_statistics_put(k->c, k->g, &t, v, err);
    sqlite3_free(query);
    return st;
}

static void set_reason(rad_measure *v, const rad_doc *doc, const char *none) {
    const char *why = rad_doc_get_reason(doc);
    snprintf(v->reason, sizeof v->reason, "%s", v->e.n == 0 ? none : isnan(v->e.est) ? (why ? why : "not defined for these units") : "");
}

/* Patients among the units for which take(i) holds, which are counted in *ret_n; patients stand together in c->obs. */
typedef bool take_fn(const group *k, const void *what, int64_t i);
static int64_t count_patients(const group *k, take_fn *take, const void *what, int64_t *ret_n, int64_t *ret_missing) {
    int64_t n = 0, last = -1;
    *ret_n = *ret_missing = 0;
    for (int64_t i = 0; i < k->c->n_obs; i++) {
        if (!rad_statistics_holds(k->g, &k->c->obs[i]))
            continue;
        if (!rad_reading_counts(k->c, k->g, i) || !take(k, what, i)) {
            ++*ret_missing;
            continue;
        }
        ++*ret_n;
        n += k->c->obs[i].patient != last;
        last = k->c->obs[i].patient;
    }
    return n;
}

static bool has_rating(const group *k, const void *what, int64_t i) {
    (void)k;
    return !isnan(((const rad_reader_row *)what)->rating[i]);
}

static rad_status put_auc(group *k, const rad_reader_row *r, rad_error *err) {
    rad_computation *c = k->c;
    int64_t n, missing, last = -1, n_cluster = count_patients(k, has_rating, r, &n, &missing);
    rad_sample *m = &c->sample;
    rad_measure v;
    rad_status st;
    m->n = m->n_cluster = 0;
    for (int64_t i = 0; i < c->n_obs; i++) {
        if (!rad_reading_counts(c, k->g, i) || isnan(r->rating[i]))
            continue;
        m->n_cluster += c->obs[i].patient != last;
        last = c->obs[i].patient;
        m->label[m->n] = c->obs[i].label;
        m->score[m->n] = r->rating[i];
        m->cluster[m->n++] = (double)(m->n_cluster - 1);
    }
    if (n == 0)
        return RAD_OK;
    RAD_TRY(rad_measure_auc(m, &v, err));
    v.e.n_missing = missing;
    RAD_TRY(put(k, "reader_auc", n_cluster < n ? "rating, DeLong" RAD_STATISTICS_INDEPENDENT : "rating, DeLong", r->name, -1, 1,
                sqlite3_mprintf("r.repeat = 0 AND r.rating IS NOT NULL AND r.reader = %Q", r->name), n_cluster, RAD_ROW_INTERVAL, &v, err));
    if (n_cluster < n) {
        RAD_TRY(rad_measure_auc_clustered(m, &v, err));
        v.e.n_missing = missing;
        RAD_TRY(put(k, "reader_auc_clustered", "rating, Obuchowski 1997, patients as clusters", r->name, -1, 1,
                    sqlite3_mprintf("r.repeat = 0 AND r.rating IS NOT NULL AND r.reader = %Q", r->name), n_cluster, RAD_ROW_INTERVAL, &v,
                    err));
    }
out:
    return st;
}

/* ---------------------------------------------------------------- two readings of the same units */

typedef struct pair {
    const int *a, *b;
} pair;

static bool both_called(const group *k, const void *what, int64_t i) {
    (void)k;
    const pair *p = what;
    return p->a[i] >= 0 && p->b[i] >= 0;
}

static rad_status put_kappa(group *k, const pair *p, const char *name, const char *versus, char *said, rad_error *err) {
    rad_computation *c = k->c;
    rad_measure v;
    int64_t n = 0, of_pair, missing;
    const int64_t n_cluster = count_patients(k, both_called, p, &of_pair, &missing);
    if (of_pair == 0) {
        sqlite3_free(said);
        return RAD_OK;
    }
    for (int64_t i = 0; i < c->n_obs; i++)
        if (rad_reading_counts(c, k->g, i) && both_called(k, p, i)) {
            k->a[n] = k->order[p->a[i]];
            k->b[n++] = k->order[p->b[i]];
        }
    const rad_status st = rad_measure_kappa(k->a, k->b, n, k->level, k->n_level, NULL, NULL, &v, err);
    if (st != RAD_OK) {
        sqlite3_free(said);
        return st;
    }
    v.e.n_missing = missing;
    return put(k, name, n_cluster < n ? "Cohen's kappa of the calls" RAD_STATISTICS_INDEPENDENT : "Cohen's kappa of the calls", versus, -1,
               2, said, n_cluster, RAD_ROW_INTERVAL, &v, err);
}

/* Do two readers differ? McNemar's test of their being right, among the diseased, the others, and all. */
static rad_status put_mcnemar(group *k, const rad_reader_row *x, const rad_reader_row *y, const char *versus, rad_error *err) {
    static const struct {
        const char *name;
        int label;
    } SHARE[] = {{"sensitivity_between_readers", 1}, {"specificity_between_readers", 0}, {"accuracy_between_readers", -1}};
    rad_computation *c = k->c;
    const rad_arg level = {RAD_STORE_LEVEL, NULL};
    rad_status st = RAD_OK;
    for (size_t s = 0; s < sizeof SHARE / sizeof *SHARE && st == RAD_OK; s++) {
        int64_t n = 0, missing = 0, n_cluster = 0, last = -1, n_pos = 0;
        rad_doc *doc = NULL;
        for (int64_t i = 0; i < c->n_obs; i++) {
            const rad_observation *o = &c->obs[i];
            if (!rad_statistics_holds(k->g, o) || (SHARE[s].label >= 0 && o->label != SHARE[s].label))
                continue;
            if (!rad_reading_counts(c, k->g, i) || x->call[i] < 0 || y->call[i] < 0) {
                missing++;
                continue;
            }
            n_cluster += o->patient != last;
            last = o->patient;
            k->a[n] = (x->call[i] == rad_reading_positive(c)) == (o->label == 1);
            k->b[n] = (y->call[i] == rad_reading_positive(c)) == (o->label == 1);
            n_pos += k->a[n++] > 0;
        }
        if (n == 0)
            continue;
        const rad_column column[] = {{"first", k->a, NULL, 0}, {"second", k->b, NULL, 0}};
        st = rad_measure_call("mcnemar_json", &(rad_frame){n, 2, column}, &level, 1, &doc, err);
        if (st != RAD_OK)
            break;
        rad_measure v = {.e = {.est = rad_doc_get(doc, "diff"),
                               .se = NAN,
                               .lower = rad_doc_get(doc, "newcombe10_lower"),
                               .upper = rad_doc_get(doc, "newcombe10_upper"),
                               .p = rad_doc_get(doc, "p_exact"),
                               .n = n,
                               .n_pos = n_pos,
                               .n_missing = missing}};
        char method[160];
        snprintf(method, sizeof method, "first minus second, Newcombe 1998 method 10; exact McNemar test%s",
                 n_cluster < n ? RAD_STATISTICS_INDEPENDENT : "");
        st = put(k, SHARE[s].name, method, versus, SHARE[s].label, 2,
                 sqlite3_mprintf("r.repeat = 0 AND " A_CALL " AND r.reader IN (%Q, %Q)", x->name, y->name), n_cluster, RAD_ROW_INTERVAL, &v,
                 err);
        for (int side = 0; side < 2 && st == RAD_OK; side++) { /* the discordant pairs themselves */
            char name[64];
            snprintf(name, sizeof name, "%s_%s", SHARE[s].name, side ? "n01" : "n10");
            v.e.est = rad_doc_get(doc, side ? "c" : "b");
            v.e.p = NAN;
            v.reason[0] = '\0';
            st = put(k, name,
                     side ? "units that the second has right and the first wrong" : "units that the first has right and the second wrong",
                     versus, SHARE[s].label, 2, sqlite3_mprintf("r.repeat = 0 AND " A_CALL " AND r.reader IN (%Q, %Q)", x->name, y->name),
                     n_cluster, RAD_ROW_BARE, &v, err);
        }
        rad_doc_destroy(&doc);
    }
    return st;
}

static rad_status put_pairs(group *k, rad_error *err) {
    const rad_reading_set *s = k->s;
    rad_status st = RAD_OK;
    for (int i = 0; i < s->n_reader; i++) {
        const rad_reader_row *x = &s->reader[i];
        RAD_TRY(put_kappa(k, &(pair){x->call, x->again}, "kappa_intra_reader", x->name,
                          sqlite3_mprintf("r.repeat < 2 AND " A_CALL " AND r.reader = %Q", x->name), err));
        for (int j = i + 1; j < s->n_reader; j++) {
            const rad_reader_row *y = &s->reader[j];
            char *versus = rad_asprintf("%s and %s", x->name, y->name);
            if (!versus)
                return rad_statistics_no_memory(k->c, err);
            st = put_kappa(k, &(pair){x->call, y->call}, "kappa_between_readers", versus,
                           sqlite3_mprintf("r.repeat = 0 AND " A_CALL " AND r.reader IN (%Q, %Q)", x->name, y->name), err);
            if (st == RAD_OK)
                st = put_mcnemar(k, x, y, versus, err);
            free(versus);
            if (st != RAD_OK)
                goto out;
        }
    }
out:
    return st;
}

/* ---------------------------------------------------------------- all readers */

static bool all_called(const group *k, const void *what, int64_t i) {
    const rad_reading_set *s = what;
    (void)k;
    for (int r = 0; r < s->n_reader; r++)
        if (s->reader[r].calls && s->reader[r].call[i] < 0)
            return false;
    return true;
}

/* Cochran's Q of their being right, and Fleiss' kappa of their calls, on the units that all of them called. */
static rad_status put_all(group *k, rad_error *err) {
    rad_computation *c = k->c;
    const rad_reading_set *s = k->s;
    int n_reader = 0;
    for (int r = 0; r < s->n_reader; r++)
        n_reader += s->reader[r].calls;
    rad_measure v = {.e = {.p = NAN}};
    rad_doc *doc = NULL;
    rad_status st = RAD_OK;
    double *value = NULL;
    rad_column *column = NULL;
    const int64_t n_cluster = count_patients(k, all_called, s, &v.e.n, &v.e.n_missing), n = v.e.n;
    static const rad_arg NO_CATEGORIES = {NAN, NULL};
    if (n_reader < 2 || n == 0)
        return RAD_OK;
    column = rad_calloc((size_t)n_reader, sizeof *column);
    value = rad_calloc((size_t)n_reader * (size_t)n, sizeof *value);
    if (!column || !value) {
        st = rad_statistics_no_memory(c, err);
        goto out;
    }
    for (int what = 0; what < 2; what++) {
        for (int r = 0, place = 0; r < s->n_reader; r++) {
            int64_t at = 0;
            double *x = value + place * n;
            if (!s->reader[r].calls)
                continue;
            for (int64_t i = 0; i < c->n_obs; i++)
                if (rad_reading_counts(c, k->g, i) && all_called(k, s, i)) {
                    const int call = s->reader[r].call[i];
                    x[at++] = what ? k->order[call] : (call == rad_reading_positive(c)) == (c->obs[i].label == 1);
                }
            column[place++] = (rad_column){s->reader[r].name, x, what ? k->level : NULL, what ? k->n_level : 0};
        }
        RAD_TRY(what ? rad_measure_call("fleiss_kappa_json", &(rad_frame){n, n_reader, column}, &NO_CATEGORIES, 1, &doc, err)
                     : rad_measure_call("cochran_q_json", &(rad_frame){n, n_reader, column}, NULL, 0, &doc, err));
        v.e.est = rad_doc_get(doc, what ? "kappa" : "q");
        v.e.p = rad_doc_get(doc, "p");
        set_reason(&v, doc, "");
        RAD_TRY(put(k, what ? "kappa_fleiss_readers" : "cochran_q_readers",
                    what ? "Fleiss' kappa of the calls of all readers" : "Cochran's Q of the readers' being right, chi-square", NULL, -1,
                    n_reader, sqlite3_mprintf("r.repeat = 0 AND " A_CALL), n_cluster, RAD_ROW_BARE, &v, err));
        rad_doc_destroy(&doc);
    }
out:
    rad_doc_destroy(&doc);
    free(column);
    free(value);
    return st;
}

/* Odds of being right per year of experience; readings of one unit belong together. */
static rad_status put_experience(group *k, rad_error *err) {
    rad_computation *c = k->c;
    const rad_reading_set *s = k->s;
    const size_t room = (size_t)c->n_obs * (size_t)s->n_reader + 1;
    double *right = rad_calloc(room, sizeof *right), *years = rad_calloc(room, sizeof *years), *unit = rad_calloc(room, sizeof *unit);
    const char **names = rad_calloc((size_t)c->n_obs + 1, sizeof *names);
    rad_measure v = {.e = {.p = NAN}};
    rad_doc *doc = NULL;
    rad_status st = RAD_OK;
    int64_t n = 0, n_unit = 0;
    int distinct = 0;
    if (!right || !years || !unit || !names) {
        st = rad_statistics_no_memory(c, err);
        goto out;
    }
    for (int r = 0; r < s->n_reader; r++) {
        bool fresh = !isnan(s->reader[r].experience);
        for (int o = 0; o < r && fresh; o++)
            fresh = s->reader[o].experience != s->reader[r].experience;
        distinct += fresh;
    }
    for (int64_t i = 0; i < c->n_obs && distinct > 1; i++) {
        const int64_t before = n;
        v.e.n_missing += rad_statistics_holds(k->g, &c->obs[i]);
        for (int r = 0; r < s->n_reader; r++) {
            if (!rad_reading_counts(c, k->g, i) || s->reader[r].call[i] < 0 || isnan(s->reader[r].experience))
                continue;
            right[n] = (s->reader[r].call[i] == rad_reading_positive(c)) == (c->obs[i].label == 1);
            years[n] = s->reader[r].experience;
            unit[n++] = (double)n_unit;
        }
        if (n == before)
            continue;
        names[n_unit++] = "";
        v.e.n_pos += c->obs[i].label == 1;
        v.e.n_missing--;
    }
    if (n == 0)
        goto out;
    const rad_column column[] = {{"correct", right, NULL, 0}, {"experience", years, NULL, 0}, {"unit", unit, names, n_unit}};
    const rad_arg arg = {NAN, "correct ~ experience + cluster(unit)"};
    RAD_TRY(rad_measure_call("logistic", &(rad_frame){n, 3, column}, &arg, 1, &doc, err));
    rad_doc_row row;
    v.e.n = n_unit;
    v.e.est = NAN;
    for (bool more = rad_doc_row_first(doc, "rows", &row); more; more = rad_doc_row_next(doc, &row)) {
        const char *term = rad_doc_row_get_text(doc, &row, "term");
        if (!term || strcmp(term, "experience") != 0)
            continue;
        const double b = rad_doc_row_get(doc, &row, "estimate"), se = rad_doc_row_get(doc, &row, "robust_se");
        v.e.est = exp(b);
        v.e.se = NAN;
        v.e.lower = exp(b - 1.959963984540054 * se);
        v.e.upper = exp(b + 1.959963984540054 * se);
        v.e.p = rad_doc_row_get(doc, &row, "robust_p");
    }
    set_reason(&v, doc, "");
    st = put(k, "experience_odds_ratio", "odds of a right call per year of experience, logistic, all readings, units as clusters", NULL, -1,
             -1, sqlite3_mprintf("r.repeat = 0 AND " A_CALL " AND r.experience_years IS NOT NULL"), n_unit, RAD_ROW_INTERVAL, &v, err);
out:
    rad_doc_destroy(&doc);
    free(right);
    free(years);
    free(unit);
    free(names);
    return st;
}

static bool all_rated(const group *k, const void *what, int64_t i) {
    const rad_reading_set *s = what;
    (void)k;
    for (int r = 0; r < s->n_reader; r++)
        if (s->reader[r].rates && isnan(s->reader[r].rating[i]))
            return false;
    return true;
}

/* The model's AUC minus the mean of the readers': Obuchowski-Rockette, random readers and cases, on the units that all have rated. */
static rad_status put_mrmc(group *k, rad_error *err) {
    rad_computation *c = k->c;
    const rad_reading_set *s = k->s;
    rad_measure v = {.e = {.p = NAN}};
    rad_doc *doc = NULL;
    rad_status st = RAD_OK;
    int raters = 0;
    for (int r = 0; r < s->n_reader; r++)
        raters += s->reader[r].rates;
    const int64_t n_cluster = count_patients(k, all_rated, s, &v.e.n, &v.e.n_missing), n = v.e.n;
    if (raters < 2 || n == 0)
        return RAD_OK;
    const size_t room = (size_t)n * (size_t)(raters + 1);
    double *x = rad_calloc(4 * room, sizeof *x), *reader = x, *unit = x ? x + room : NULL, *truth = x ? x + 2 * room : NULL,
           *rating = x ? x + 3 * room : NULL;
    const char **who = rad_calloc((size_t)raters + 1, sizeof *who), **names = rad_calloc((size_t)n, sizeof *names);
    if (!x || !who || !names) {
        st = rad_statistics_no_memory(c, err);
        goto out;
    }
    int64_t at = 0, u = 0;
    for (int64_t i = 0; i < c->n_obs; i++) {
        if (!rad_reading_counts(c, k->g, i) || !all_rated(k, s, i))
            continue;
        v.e.n_pos += c->obs[i].label == 1;
        int place = 0;
        who[0] = "\x01model"; /* before any reader's name */
        for (int r = -1; r < s->n_reader; r++) {
            if (r >= 0 && !s->reader[r].rates)
                continue;
            if (r >= 0)
                who[place] = s->reader[r].name;
            reader[at] = place++;
            unit[at] = (double)u;
            truth[at] = c->obs[i].label;
            rating[at++] = r < 0 ? c->obs[i].score : s->reader[r].rating[i];
        }
        names[u++] = "";
    }
    const rad_column column[] = {
        {"reader", reader, who, raters + 1}, {"case", unit, names, n}, {"truth", truth, NULL, 0}, {"rating", rating, NULL, 0}};
    const rad_arg arg = {NAN, "\x01model"};
    RAD_TRY(rad_measure_call("mrmc_model_json", &(rad_frame){at, 4, column}, &arg, 1, &doc, err));
    v.e.est = rad_doc_get(doc, "estimate");
    v.e.se = rad_doc_get(doc, "se");
    v.e.lower = rad_doc_get(doc, "lower");
    v.e.upper = rad_doc_get(doc, "upper");
    v.e.p = rad_doc_get(doc, "p");
    set_reason(&v, doc, "");
    st = put(k, "auc_vs_readers_mrmc", "model minus mean of the readers' ratings; Obuchowski-Rockette, random readers and cases, jackknife",
             NULL, -1, raters, sqlite3_mprintf("r.repeat = 0 AND r.rating IS NOT NULL"), n_cluster, RAD_ROW_INTERVAL, &v, err);
out:
    rad_doc_destroy(&doc);
    free(x);
    free(who);
    free(names);
    return st;
}

static rad_status put_stratum(rad_computation *c, const rad_stratum *g, void *payload, rad_error *err) {
    group *k = payload;
    rad_status st = RAD_OK;
    k->g = g;
    for (int r = 0; r < k->s->n_reader; r++)
        if (k->s->reader[r].rates)
            RAD_TRY(put_auc(k, &k->s->reader[r], err));
    if (g->center >= 0)
        return RAD_OK;
    RAD_TRY(put_pairs(k, err));
    RAD_TRY(put_all(k, err));
    RAD_TRY(put_experience(k, err));
    RAD_TRY(put_mrmc(k, err));
out:
    (void)c;
    return st;
}

rad_status rad_statistics_readings(rad_computation *c, rad_error *err) {
    rad_reading_set s = {0};
    const size_t n = (size_t)c->n_obs + 1;
    rad_status st = rad_reading_set_read(c, &s, err);
    if (st != RAD_OK || s.n_reader == 0)
        return st;
    group k = {.c = c, .s = &s, .a = rad_calloc(n, sizeof *k.a), .b = rad_calloc(n, sizeof *k.b)};
    k.level = rad_calloc((size_t)c->n_class + 1, sizeof *k.level);
    if (!k.a || !k.b || !k.level) {
        st = rad_statistics_no_memory(c, err);
        goto out;
    }
    const bool endpoint = c->class_index >= c->n_class;
    k.n_level = endpoint ? 2 : c->n_class;
    for (int i = 0; i < 2 && endpoint; i++) {
        k.order[i] = i;
        k.level[i] = i ? "endpoint" : "another";
    }
    for (int i = 0; i < c->n_class && !endpoint; i++) {
        for (int j = 0; j < c->n_class; j++)
            k.order[i] += strcmp(c->class_name[j], c->class_name[i]) < 0;
        k.level[k.order[i]] = c->class_name[i];
    }
    RAD_TRY(rad_statistics_each_stratum(c, put_stratum, &k, err));
    RAD_TRY(rad_statistics_ratings(c, &s, err));
    RAD_TRY(rad_statistics_features(c, &s, err));
out:
    free(k.a);
    free(k.b);
    free(k.level);
    rad_reading_set_release(&s);
    return st;
}

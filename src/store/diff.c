/* diff.c: see compare.h. Both runs are read in one order of names and merged; nothing is kept in memory but the two rows at hand. All kinds
 * of rows have one layout of columns, so that one loop serves all. */
#include "db.h"

#include "radcohort/compare.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

enum {
    N_NAME = 11, /* model .. versus, then the slice */
    COL_SLICE = N_NAME,
    COL_CENTER,
    COL_LABEL,
    COL_THRESHOLD,
    COL_DETAIL, /* from here on compared to the bit when exact */
    COL_VALUE,
    COL_LOWER,
    COL_UPPER,
    COL_N,
    COL_MORE, /* se, p, adjusted p, counts, region */
    N_COLUMN = COL_MORE + 7
};

#define ORDER " ORDER BY 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12"
#define NO4 "NULL, NULL, NULL, NULL"
#define NO7 "NULL, NULL, NULL, NULL, NULL, NULL, NULL"
#define WHO                                                                                                                                \
    " JOIN run_patient rp ON rp.run_id = r.run_id AND rp.patient_id = s.patient_id JOIN patient p ON p.patient_id = s.patient_id"          \
    " JOIN center ce ON ce.center_id = rp.center_id LEFT JOIN manifest m ON m.case_id = s.case_id"                                         \
    " LEFT JOIN lesion l ON l.lesion_id = m.lesion_id"
#define LABEL(CLASS)                                                                                                                       \
    "CASE WHEN iif(s.unit = 'lesion', m.class_index, rp.class_index) IS NOT NULL THEN EXISTS (SELECT 1 FROM run_class_part cp"             \
    " WHERE cp.run_id = r.run_id AND cp.class_index = " CLASS                                                                              \
    " AND cp.part_index = iif(s.unit = 'lesion', m.class_index, rp.class_index)) END"
#define PLACE "rm.model, s.unit, p.patient, coalesce(l.lesion, ''), coalesce(m.study, '')"
#define SHOWN "(r.positive_class IS NULL OR r.positive_class = s.class_index)"

/* ?1: the run, ?2: exact */
static const char *const SQL[RAD_COMPARE_KINDS] = {
    [RAD_COMPARE_SLICE] =
        "SELECT rm.model, 'slice', p.patient, coalesce(l.lesion, ''), m.study, k.class, '', '', '', '', '', s.slice, ce.center,"
        " m.class_index = k.class_index, NULL, NULL, ss.score, NULL, NULL, NULL, s.stored_slice, s.x0, s.y0, s.x1, s.y1, s.mismatch_mm,"
        " NULL FROM manifest m JOIN run_result rr ON rr.case_id = m.case_id JOIN run_model rm ON rm.run_model_id = rr.run_model_id"
        " JOIN slice s ON s.result_id = rr.result_id JOIN slice_score ss ON ss.result_id = s.result_id AND ss.slice = s.slice"
        " JOIN run_class k ON k.run_id = m.run_id AND k.class_index = ss.class_index"
        " JOIN run_patient rp ON rp.run_id = m.run_id AND rp.patient_id = m.patient_id JOIN center ce ON ce.center_id = rp.center_id"
        " JOIN patient p ON p.patient_id = m.patient_id LEFT JOIN lesion l ON l.lesion_id = m.lesion_id"
        " WHERE m.run_id = ?1 AND ?2 IS NOT NULL" ORDER,
    [RAD_COMPARE_MAP] =
        "SELECT rm.model, 'slice', p.patient, coalesce(l.lesion, ''), m.study, k.class, '', '', '', '', '', s.slice, ce.center,"
        " m.class_index = k.class_index, NULL, c.rule || '; ' || c.deciding_slice, s.energy, s.peak_value, s.low_value, NULL, s.peak_i,"
        " s.peak_j, s.peak_k, s.energy_inside, s.peak_inside, s.iou, c.scale FROM manifest m JOIN run_cam rc ON rc.case_id = m.case_id"
        " JOIN run_model rm ON rm.run_model_id = rc.run_model_id JOIN cam c ON c.cam_id = rc.cam_id"
        " JOIN cam_slice s ON s.cam_id = c.cam_id JOIN run_class k ON k.run_id = m.run_id AND k.class_index = c.class_index"
        " JOIN run_patient rp ON rp.run_id = m.run_id AND rp.patient_id = m.patient_id JOIN center ce ON ce.center_id = rp.center_id"
        " JOIN patient p ON p.patient_id = m.patient_id LEFT JOIN lesion l ON l.lesion_id = m.lesion_id"
        " WHERE m.run_id = ?1 AND ?2 IS NOT NULL" ORDER,
    [RAD_COMPARE_SCORE] = "SELECT " PLACE ", k.class, '', '', '', '', '', NULL, ce.center, " LABEL(
        "s.class_index") ", NULL, NULL, s.score, NULL, NULL, NULL, s.n_part, s.n_missing, NULL, NULL, NULL, NULL, NULL"
                         " FROM run r JOIN run_model rm ON rm.run_id = r.run_id JOIN case_score s ON s.run_model_id = rm.run_model_id"
                         " JOIN run_class k ON k.run_id = r.run_id AND k.class_index = s.class_index" WHO
                         " WHERE r.run_id = ?1 AND (?2 OR " SHOWN ")" ORDER,
    [RAD_COMPARE_CALL] = "SELECT " PLACE ", k.class, o.point, '', '', '', '', NULL, ce.center, " LABEL(
        "s.class_index") ", coalesce(o.threshold,"
                         " t.threshold), iif(s.score >= coalesce(o.threshold, t.threshold), 'positive', 'negative'), s.score, NULL, NULL, "
                         "NULL, " NO7
                         " FROM run r JOIN run_model rm ON rm.run_id = r.run_id JOIN case_score s ON s.run_model_id = rm.run_model_id"
                         " JOIN run_class k ON k.run_id = r.run_id AND k.class_index = s.class_index AND (r.positive_class IS NOT NULL OR "
                         "k.rule IS NOT"
                         " NULL) JOIN operating_point o ON o.run_id = r.run_id LEFT JOIN tuned_threshold t ON t.run_id = r.run_id AND "
                         "t.point = o.point"
                         " AND t.run_model_id = rm.run_model_id AND t.unit = s.unit AND t.class_index = s.class_index" WHO
                         " WHERE r.run_id = ?1 AND ?2 IS NOT NULL AND " SHOWN " AND coalesce(o.threshold, t.threshold) IS NOT NULL"
                         " UNION ALL SELECT " PLACE ", '', 'grade', '', '', '', '', NULL, ce.center, iif(s.unit = 'lesion', m.class_index,"
                         " rp.class_index) = s.call, NULL, k.class, s.grade, NULL, NULL, NULL, " NO7
                         " FROM run r JOIN run_model rm ON rm.run_id = r.run_id JOIN case_grade s ON s.run_model_id = rm.run_model_id"
                         " JOIN run_class k ON k.run_id = r.run_id AND k.class_index = s.call" WHO " WHERE r.run_id = ?1"
                         " UNION ALL SELECT " PLACE
                         ", '', 'largest score', '', '', '', '', NULL, ce.center, iif(s.unit = 'lesion', m.class_index,"
                         " rp.class_index) = s.class_index, NULL, k.class, s.score, NULL, NULL, NULL, " NO7
                         " FROM run r JOIN run_model rm ON rm.run_id = r.run_id JOIN (SELECT c.*, row_number() OVER (PARTITION BY "
                         "c.run_model_id, c.unit,"
                         " c.patient_id, c.case_id ORDER BY c.score DESC, c.class_index) AS place FROM case_score c JOIN run_model cm"
                         " ON cm.run_model_id = c.run_model_id JOIN run_class ck ON ck.run_id = cm.run_id AND ck.class_index = "
                         "c.class_index"
                         " WHERE cm.run_id = ?1 AND ck.rule IS NULL) s ON s.run_model_id = rm.run_model_id AND s.place = 1"
                         " JOIN run_class k ON k.run_id = r.run_id AND k.class_index = s.class_index" WHO
                         " WHERE r.run_id = ?1 AND r.positive_class IS NULL AND k.grade IS NULL" ORDER,
    [RAD_COMPARE_EXCLUSION] =
        "SELECT coalesce(model, ''), unit, patient, coalesce(lesion, ''), coalesce(study, ''), '', '', '', '', '', '',"
        " NULL, center, NULL, NULL, stage || ': ' || reason, " NO4 ", " NO7 " FROM v_exclusion WHERE run_id = ?1 AND ?2 IS NOT NULL" ORDER,
    [RAD_COMPARE_STATISTIC] =
        "SELECT model, unit, '', '', '', coalesce(class, ''), coalesce(point, ''), stratum_kind, stratum, name, coalesce(versus, ''), NULL,"
        " iif(stratum_kind = 'center', stratum, NULL), NULL, NULL, method || coalesce('; ' || reason, ''), est, lower, upper, n, se, p,"
        " p_adjusted, n_pos, n_missing, n_cluster, level FROM v_statistic WHERE run_id = ?1 AND ?2 IS NOT NULL" ORDER,
};

static const char SQL_BEFORE[] = "SELECT max(b.run_id) FROM run r JOIN run b ON b.job = r.job AND b.run_id < r.run_id"
                                 " AND b.state = 'finished' WHERE r.run_id = ?1";

rad_status rad_store_run_before(rad_store *st, int64_t run, int64_t *ret, rad_error *err) {
    int64_t before = 0;
    rad_query q = rad_query_start(st, SQL_BEFORE);
    rad_bind_int(&q, run);
    rad_status s = rad_query_int(&q, &before, err);
    if (s == RAD_OK && before == 0)
        return rad_error_set(err, RAD_E_NOTFOUND, "'%s' has no finished run of the same job before run %" PRId64 "; name two runs",
                             st->path, run);
    if (s == RAD_OK)
        *ret = before;
    return s;
}

const char *rad_compare_kind_name(rad_compare_kind k) {
    static const char *const name[RAD_COMPARE_KINDS] = {"slice score", "map", "score", "call", "exclusion", "statistic"};
    return name[k];
}

typedef struct cursor {
    struct rad_store *store;
    sqlite3_stmt *q;
    bool row;
} cursor;

static rad_status step(cursor *c, rad_error *err) {
    const int rc = sqlite3_step(c->q);
    c->row = rc == SQLITE_ROW;
    return rc == SQLITE_ROW || rc == SQLITE_DONE ? RAD_OK : rad_sql_fail(c->store, rc, "comparing two runs", err);
}

static rad_status open_cursor(cursor *c, struct rad_store *st, rad_compare_kind kind, int64_t run, bool exact, rad_error *err) {
    c->store = st;
    int rc = sqlite3_prepare_v2(st->db, SQL[kind], -1, &c->q, NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_bind_int64(c->q, 1, run);
    if (rc == SQLITE_OK)
        rc = sqlite3_bind_int(c->q, 2, exact);
    return rc == SQLITE_OK ? step(c, err) : rad_sql_fail(st, rc, "comparing two runs", err);
}

static const char *text(const cursor *c, int i) {
    const char *t = (const char *)sqlite3_column_text(c->q, i);
    return t ? t : "";
}

static int64_t slice_of(const cursor *c) {
    return sqlite3_column_type(c->q, COL_SLICE) == SQLITE_NULL ? -1 : sqlite3_column_int64(c->q, COL_SLICE);
}

/* Negative: the row at `a` comes first, and `b` has none like it. */
static int order(const cursor *a, const cursor *b) {
    if (!a->row || !b->row)
        return a->row ? -1 : 1;
    for (int i = 0; i < N_NAME; i++) {
        const int d = strcmp(text(a, i), text(b, i));
        if (d != 0)
            return d;
    }
    return slice_of(a) < slice_of(b) ? -1 : slice_of(a) > slice_of(b);
}

static bool same_cell(const cursor *a, const cursor *b, int i) {
    const int type = sqlite3_column_type(a->q, i);
    if (type != sqlite3_column_type(b->q, i))
        return false;
    if (type == SQLITE_TEXT)
        return strcmp(text(a, i), text(b, i)) == 0;
    if (type == SQLITE_INTEGER)
        return sqlite3_column_int64(a->q, i) == sqlite3_column_int64(b->q, i);
    const double x = type == SQLITE_FLOAT ? sqlite3_column_double(a->q, i) : 0,
                 y = type == SQLITE_FLOAT ? sqlite3_column_double(b->q, i) : 0;
    return memcmp(&x, &y, sizeof x) == 0;
}

static bool differs(const cursor *a, const cursor *b, rad_compare_kind kind, bool exact) {
    if (exact) {
        for (int i = COL_LABEL; i < N_COLUMN; i++)
            if (!same_cell(a, b, i))
                return true;
        return false;
    }
    if (kind == RAD_COMPARE_CALL || kind == RAD_COMPARE_EXCLUSION)
        return !same_cell(a, b, COL_DETAIL);
    return !same_cell(a, b, COL_VALUE) || (kind == RAD_COMPARE_STATISTIC && !same_cell(a, b, COL_N));
}

static double real(const cursor *c, int i) {
    return sqlite3_column_type(c->q, i) == SQLITE_NULL ? (double)NAN : sqlite3_column_double(c->q, i);
}

static int64_t integer(const cursor *c, int i) {
    return sqlite3_column_type(c->q, i) == SQLITE_NULL ? -1 : sqlite3_column_int64(c->q, i);
}

static rad_compare_side side_of(const cursor *c) {
    return (rad_compare_side){.center = (const char *)sqlite3_column_text(c->q, COL_CENTER),
                              .detail = (const char *)sqlite3_column_text(c->q, COL_DETAIL),
                              .value = real(c, COL_VALUE),
                              .lower = real(c, COL_LOWER),
                              .upper = real(c, COL_UPPER),
                              .threshold = real(c, COL_THRESHOLD),
                              .n = integer(c, COL_N),
                              .label = (int)integer(c, COL_LABEL)};
}

static const rad_compare_side NO_SIDE = {
    .value = (double)NAN, .lower = (double)NAN, .upper = (double)NAN, .threshold = (double)NAN, .n = -1, .label = -1};

static int tell(const cursor *a, const cursor *b, rad_compare_kind kind, int (*row)(const rad_compare_row *r, void *payload),
                void *payload) {
    const cursor *n = a ? a : b;
    const rad_compare_row r = {.kind = kind,
                               .model = text(n, 0),
                               .unit = text(n, 1),
                               .patient = text(n, 2),
                               .lesion = text(n, 3),
                               .study = text(n, 4),
                               .class_name = text(n, 5),
                               .point = text(n, 6),
                               .stratum_kind = text(n, 7),
                               .stratum = text(n, 8),
                               .name = text(n, 9),
                               .versus = text(n, 10),
                               .slice = slice_of(n),
                               .has_before = a != NULL,
                               .has_after = b != NULL,
                               .before = a ? side_of(a) : NO_SIDE,
                               .after = b ? side_of(b) : NO_SIDE};
    return row(&r, payload);
}

static rad_status compare_kind(cursor *a, cursor *b, rad_compare_kind kind, bool exact, int (*row)(const rad_compare_row *r, void *payload),
                               void *payload, rad_compare_count *n, bool *stop, rad_error *err) {
    rad_status st = RAD_OK;
    while ((a->row || b->row) && !*stop && st == RAD_OK) {
        const int o = order(a, b);
        if (o == 0) {
            const double move = fabs(real(a, COL_VALUE) - real(b, COL_VALUE));
            n->n_both++;
            n->largest = move > n->largest ? move : n->largest;
            if (differs(a, b, kind, exact)) {
                n->n_changed++;
                *stop = tell(a, b, kind, row, payload) != 0;
            }
        } else {
            n->n_before += o < 0;
            n->n_after += o > 0;
            *stop = tell(o < 0 ? a : NULL, o < 0 ? NULL : b, kind, row, payload) != 0;
        }
        if (o <= 0)
            st = step(a, err);
        if (o >= 0 && st == RAD_OK)
            st = step(b, err);
    }
    return st;
}

rad_status rad_store_compare(rad_store *a, int64_t run_a, rad_store *b, int64_t run_b, unsigned kinds, bool exact,
                             int (*row)(const rad_compare_row *r, void *payload), void *payload, rad_compare_count ret[RAD_COMPARE_KINDS],
                             rad_error *err) {
    rad_compare_count n[RAD_COMPARE_KINDS] = {{0}};
    rad_run_status known;
    bool stop = false;
    rad_status st = rad_store_run_status(a, run_a, &known, err);
    if (st == RAD_OK)
        st = rad_store_run_status(b, run_b, &known, err);
    for (int k = 0; k < RAD_COMPARE_KINDS && st == RAD_OK && !stop; k++) {
        cursor x = {0}, y = {0};
        if (!(kinds >> k & 1u))
            continue;
        st = open_cursor(&x, a, (rad_compare_kind)k, run_a, exact, err);
        if (st == RAD_OK)
            st = open_cursor(&y, b, (rad_compare_kind)k, run_b, exact, err);
        if (st == RAD_OK)
            st = compare_kind(&x, &y, (rad_compare_kind)k, exact, row, payload, &n[k], &stop, err);
        (void)sqlite3_finalize(x.q);
        (void)sqlite3_finalize(y.q);
    }
    if (st == RAD_OK)
        memcpy(ret, n, sizeof n);
    return st;
}

static void put(char *to, const char *what, const char *v) {
    const size_t at = strlen(to);
    if (v[0])
        snprintf(to + at, RAD_COMPARE_PLACE - at, "%s%s", what, v);
}

void rad_compare_place(const rad_compare_row *r, char ret[RAD_COMPARE_PLACE]) {
    ret[0] = '\0';
    put(ret, "", r->kind == RAD_COMPARE_STATISTIC ? r->name : rad_compare_kind_name(r->kind));
    put(ret, " of model ", r->model);
    put(ret, r->kind == RAD_COMPARE_STATISTIC ? ", unit " : ", ", r->kind == RAD_COMPARE_STATISTIC ? r->unit : "");
    put(ret, ", patient ", r->patient);
    put(ret, ", lesion ", r->lesion);
    put(ret, ", study ", r->study);
    put(ret, ", class ", r->class_name);
    put(ret, ", point ", r->point);
    put(ret, ", ", r->stratum_kind);
    put(ret, " ", strcmp(r->stratum, r->stratum_kind) == 0 ? "" : r->stratum);
    put(ret, " versus ", r->versus);
    if (r->slice >= 0) {
        char slice[32];
        snprintf(slice, sizeof slice, "%" PRId64, r->slice);
        put(ret, ", slice ", slice);
    }
}

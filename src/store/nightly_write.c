/* nightly_write.c: a night in the tables, and the lock that keeps two nights apart. */
#include "nightly_impl.h"
#include "seal.h"

#include <stdlib.h>

static const char SQL_NIGHT[] =
    "INSERT INTO nightly (run_id, versus_run_id, finished, n_file, n_moved, n_read, n_run, n_keep, n_excluded, n_gone, n_change, n_flip,"
    " n_alarm, headline, summary, json) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16)"
    " RETURNING nightly_id";
static const char SQL_CASE[] = "INSERT INTO nightly_case (nightly_id, position, what, patient, lesion, study, reasons, detail)"
                               " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
static const char SQL_DRIFT[] =
    "INSERT INTO drift (nightly_id, center, variable, unit, test, n_base, n_recent, psi, statistic, p, p_adjusted, base, recent, alarm,"
    " reason) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)";

struct rad_night_lock {
    struct rad_lock *lock;
};

rad_status rad_night_lock_take(const char *database, rad_night_lock **ret, rad_error *err) {
    rad_status st = RAD_OK;
    rad_night_lock *l = rad_calloc(1, sizeof *l);
    char *name = rad_asprintf("%s.night", database), *dir = rad_path_dir(database);
    if (!l || !name || !dir) {
        st = rad_error_set(err, RAD_E_NOMEM, "out of memory for the lock of '%s'", database);
        goto out;
    }
    RAD_TRY(rad_mkdirs(dir, err));
    st = rad_lock_take(name, &l->lock, err);
    if (st != RAD_OK)
        st = rad_error_prefix(err, st, "another night is at work, or its lock cannot be had: ");
out:
    free(name);
    free(dir);
    if (st == RAD_OK)
        *ret = l;
    else
        free(l);
    return st;
}

void rad_night_lock_release(rad_night_lock **lock) {
    if (!*lock)
        return;
    rad_lock_release(&(*lock)->lock);
    free(*lock);
    *lock = NULL;
}

static rad_status put_case(rad_store *st, int64_t nightly, int64_t position, const char *what, const char *patient, const char *lesion,
                           const char *study, const char *reasons, const char *detail, rad_error *err) {
    rad_query q = rad_query_start(st, SQL_CASE);
    rad_bind_int(&q, nightly);
    rad_bind_int(&q, position);
    rad_bind_text(&q, what);
    rad_bind_text(&q, patient);
    rad_bind_text(&q, lesion);
    rad_bind_text(&q, study);
    rad_bind_text(&q, reasons);
    rad_bind_text(&q, detail && detail[0] ? detail : NULL);
    return rad_query_exec(&q, err);
}

static rad_status put_cases(rad_store *st, const rad_night *n, int64_t nightly, rad_error *err) {
    static const char *const GONE[] = {"file", "lesion", "patient"};
    char reasons[RAD_NIGHT_REASONS_TEXT];
    rad_status s = RAD_OK;
    int64_t at = 0;
    for (int64_t i = 0; i < n->n_case && s == RAD_OK; i++) {
        const rad_night_case *c = &n->item[i];
        if (c->action == RAD_NIGHT_KEEP && !(c->reasons & RAD_NIGHT_FAILED))
            continue;
        rad_night_reasons_text(c->reasons, reasons);
        s = put_case(st, nightly, at++,
                     c->action == RAD_NIGHT_RUN    ? "run"
                     : c->action == RAD_NIGHT_KEEP ? "failed"
                                                   : "excluded",
                     c->patient, c->lesion, c->study, reasons, c->detail, err);
    }
    for (int64_t i = 0; i < n->n_gone && s == RAD_OK; i++)
        s = put_case(st, nightly, at++, "gone", n->gone[i].patient, n->gone[i].lesion, NULL, GONE[n->gone[i].kind], n->gone[i].path, err);
    return s;
}

static rad_status put_drift(rad_store *st, int64_t nightly, const rad_night_drift *d, rad_error *err) {
    rad_query q = rad_query_start(st, SQL_DRIFT);
    rad_bind_int(&q, nightly);
    rad_bind_text(&q, d->center);
    rad_bind_text(&q, d->variable);
    rad_bind_text(&q, d->unit);
    rad_bind_text(&q, d->test);
    rad_bind_int(&q, d->n_base);
    rad_bind_int(&q, d->n_recent);
    rad_bind_real(&q, d->psi);
    rad_bind_real(&q, d->statistic);
    rad_bind_real(&q, d->p);
    rad_bind_real(&q, d->p_adjusted);
    rad_bind_text(&q, d->base[0] ? d->base : NULL);
    rad_bind_text(&q, d->recent[0] ? d->recent : NULL);
    rad_bind_int(&q, d->alarm);
    rad_bind_text(&q, d->reason[0] ? d->reason : NULL);
    return rad_query_exec(&q, err);
}

rad_status rad_night_write(rad_store *st, const rad_night *n, const rad_night_report *r, const char *headline, const char *summary,
                           const char *json, int64_t *ret_nightly, rad_error *err) {
    char now[RAD_TIME_TEXT];
    int64_t nightly = 0;
    rad_clock_utc(now);
    rad_status s = rad_tx_begin(st, err);
    if (s != RAD_OK)
        return s;
    const int64_t count[] = {n->n_walked,   n->n_moved, n->n_read,   n->n_run,  n->n_keep,
                             n->n_excluded, n->n_gone,  r->n_change, r->n_flip, r->n_alarm};
    rad_query q = rad_query_start(st, SQL_NIGHT);
    rad_bind_int(&q, r->run);
    rad_bind_index(&q, r->versus > 0 ? r->versus : -1);
    rad_bind_text(&q, now);
    for (size_t i = 0; i < sizeof count / sizeof *count; i++)
        rad_bind_int(&q, count[i]);
    rad_bind_text(&q, headline);
    rad_bind_text(&q, summary);
    rad_bind_text(&q, json);
    s = rad_query_int(&q, &nightly, err);
    if (s == RAD_OK)
        s = put_cases(st, n, nightly, err);
    for (int64_t i = 0; i < r->n_drift && s == RAD_OK; i++)
        s = put_drift(st, nightly, &r->drift[i], err);
    if (s == RAD_OK)
        s = rad_seal_nights(st, r->run, err);
    if (s == RAD_OK)
        s = rad_tx_commit(st, err);
    if (s == RAD_OK)
        *ret_nightly = nightly;
    return rad_tx_end(st, s);
}

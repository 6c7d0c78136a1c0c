/* estimate.c: what a run will take, from the tables, the files' sizes, and a few cases that are computed here. */
#include "plan.h"
#include "signals.h"
#include "solo.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define WAIT_SECONDS 0.2
#define PROBE_SECONDS 600.0 /* then what is done must do */
#define END_PATIENCE 10.0

struct cost {
    double cost;
    int64_t at;
};

static int by_cost(const void *x, const void *y) {
    const struct cost *a = x, *b = y;
    if (a->cost != b->cost)
        return a->cost < b->cost ? -1 : 1;
    return (a->at > b->at) - (a->at < b->at);
}

/* How many cases of the run the database still lacks; all that are not excluded at intake when it does not know the run. */
static rad_status count_left(const rad_plan *p, rad_farm_estimate *e, rad_error *err) {
    struct stat s;
    rad_store *db = NULL;
    bool known = false;
    int64_t left = 0;
    rad_status st = RAD_OK;
    if (stat(p->database, &s) == 0) {
        RAD_TRY(rad_store_open(p->database, RAD_STORE_READ, &db, err));
        RAD_TRY(rad_store_count_left(db, p->identity, &known, &left, err));
    }
    if (known)
        e->n_left = left;
out:
    rad_store_close(&db);
    return st;
}

/* Cases from small to large that intake lets through; *ret is the caller's. */
static rad_status order(const rad_plan *p, rad_farm_estimate *e, struct cost **ret, rad_error *err) {
    struct cost *c = rad_calloc((size_t)p->manifest->n_case + 1, sizeof *c);
    if (!c)
        return rad_error_set(err, RAD_E_NOMEM, "out of memory for %lld cases", (long long)p->manifest->n_case);
    int64_t n = 0;
    for (int64_t i = 0; i < p->manifest->n_case; i++) {
        if (!rad_plan_wants(p, i))
            continue;
        c[n++] = (struct cost){p->cost[i], i};
        e->bytes += p->cost[i];
    }
    e->n_left = n;
    qsort(c, (size_t)n, sizeof *c, by_cost);
    *ret = c;
    return RAD_OK;
}

/* Computes pending[0 .. n - 1]; the seconds it took per case. */
static rad_status probe(const rad_farm_opts *o, const rad_plan *p, const rad_pending_case *pending, int n, rad_farm_estimate *e,
                        rad_error *err) {
    rad_worker *w = NULL;
    rad_status st = RAD_OK;
    RAD_TRY(rad_solo_start(o, p, pending, n, &w, err));
    const double begin = rad_clock_seconds();
    int done = 0;
    while (st == RAD_OK && done < n && rad_clock_seconds() - begin < PROBE_SECONDS && rad_signals_asked() == 0) {
        rad_buf b;
        int64_t guilty[RAD_MAX_LEASE_CASES], n_guilty = 0;
        if (rad_worker_take(w, WAIT_SECONDS, &b)) {
            rad_buf_release(&b);
            done++;
        } else {
            st = rad_worker_fault(w, RAD_MAX_LEASE_CASES, guilty, &n_guilty, err);
        }
    }
    e->n_probe = done;
    if (done > 0)
        e->seconds = (rad_clock_seconds() - begin) / done;
out:
    rad_worker_destroy(&w, END_PATIENCE);
    return st;
}

/* The middles of n equal parts. */
static rad_status probe_some(const rad_farm_opts *o, const rad_plan *p, const struct cost *c, int64_t n_cost, int n, rad_farm_estimate *e,
                             rad_error *err) {
    rad_pending_case pending[RAD_MAX_LEASE_CASES] = {{0}};
    if (n > n_cost)
        n = (int)n_cost;
    for (int i = 0; i < n; i++) {
        const int64_t at = c[(2 * (int64_t)i + 1) * n_cost / (2 * n)].at;
        pending[i] = (rad_pending_case){.case_id = at, .manifest_index = at};
    }
    return n > 0 ? probe(o, p, pending, n, e, err) : RAD_OK;
}

rad_status rad_farm_estimate_run(const rad_farm_opts *opts, int n_probe, rad_farm_estimate *ret, rad_error *err) {
    rad_plan plan = {0};
    rad_farm_estimate e = {.seconds = (double)NAN};
    struct cost *c = NULL;
    rad_status st = RAD_OK;
    rad_signals_install();
    RAD_TRY(rad_plan_read_job(opts, true, &plan, err));
    RAD_TRY(rad_plan_complete(opts, &plan, err));
    e.n_case = plan.manifest->n_case;
    snprintf(e.job, sizeof e.job, "%s", plan.job->name);
    snprintf(e.backend, sizeof e.backend, "%s", plan.backend_version);
    snprintf(e.database, sizeof e.database, "%s", plan.database);
    RAD_TRY(order(&plan, &e, &c, err));
    const int64_t wanted = e.n_left;
    RAD_TRY(count_left(&plan, &e, err));
    if (wanted > 0)
        e.bytes *= (double)e.n_left / (double)wanted;
    if (e.n_left > 0)
        RAD_TRY(probe_some(opts, &plan, c, wanted, n_probe < RAD_MAX_LEASE_CASES ? n_probe : RAD_MAX_LEASE_CASES, &e, err));
    *ret = e;
out:
    free(c);
    rad_signals_restore();
    rad_plan_release(&plan);
    return st;
}

rad_status rad_farm_case_bytes(const rad_farm_opts *opts, double **ret, int64_t *ret_n, rad_error *err) {
    rad_plan plan = {0};
    int64_t n = 0;
    rad_status st = rad_plan_read_job(opts, true, &plan, err);
    if (st == RAD_OK)
        st = rad_plan_complete(opts, &plan, err);
    double *cost = st == RAD_OK ? rad_calloc((size_t)plan.manifest->n_case + 1, sizeof *cost) : NULL;
    if (st == RAD_OK && !cost)
        st = rad_error_set(err, RAD_E_NOMEM, "out of memory for %lld cases", (long long)plan.manifest->n_case);
    for (int64_t i = 0; st == RAD_OK && i < plan.manifest->n_case; i++)
        if (rad_plan_wants(&plan, i))
            cost[n++] = plan.cost[i];
    rad_plan_release(&plan);
    if (st == RAD_OK) {
        *ret = cost;
        *ret_n = n;
    }
    return st;
}

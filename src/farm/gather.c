/* gather.c: see gather.h. */
#include "gather.h"

#include "maps.h"

#include <stdlib.h>
#include <string.h>

struct gather {
    rad_store *store;
    int64_t run;
    const rad_plan *plan;
    const rad_pending_case *pending; /* ascending in both numbers: the manifest's order is the order of making */
    int64_t n_pending, n_new, n_odd, n_mapless;
    bool positions;
    char *maps; /* of shards; NULL: they lie where the database has its own */
    bool *done; /* [n_pending] */
};

static int64_t find(const struct gather *g, int64_t number) {
    int64_t low = 0, high = g->n_pending;
    while (low < high) {
        int64_t mid = (low + high) / 2;
        int64_t at = g->positions ? g->pending[mid].manifest_index : g->pending[mid].case_id;
        if (at < number)
            low = mid + 1;
        else
            high = mid;
    }
    if (low == g->n_pending || (g->positions ? g->pending[low].manifest_index : g->pending[low].case_id) != number)
        return -1;
    return low;
}

static rad_status take(void *state, const rad_spool_head *head, const void *message, size_t size, rad_error *err) {
    struct gather *g = state;
    rad_wire_arena a = {0};
    rad_wire_result r;
    rad_error why = {0};
    rad_status st = rad_wire_get_result(message, size, &a, &r, &why);
    if (st == RAD_OK && (r.n_class != g->plan->job->n_class || r.result.n_model != g->plan->job->n_model))
        st = RAD_E_COMM;
    int64_t i = st == RAD_OK ? find(g, r.result.case_id) : -1;
    if (st == RAD_E_COMM) { /* sound by its checksum, but of another version of the format */
        g->n_odd++;
        st = RAD_OK;
    } else if (st != RAD_OK) {
        st = rad_error_set(err, st, "%s", why.text);
    } else if (i >= 0 && !g->done[i] && !r.moved) {
        bool whole = true;
        st = rad_maps_adopt(g->maps, g->plan->cam_dir, &r.result, &whole, err);
        g->n_mapless += st == RAD_OK && !whole;
        if (st != RAD_OK || !whole) /* then it is computed again */
            goto out;
        r.result.case_id = g->pending[i].case_id;
        r.result.rank = (int)head->rank;
        r.result.host = head->host;
        r.result.device = head->device;
        st = rad_store_put_result(g->store, g->run, &r.result, err);
        g->done[i] = st == RAD_OK;
        g->n_new += st == RAD_OK;
    }
out:
    rad_wire_arena_release(&a);
    return st;
}

rad_status rad_gather(rad_store *store, int64_t run, const char *dir, const char *space, const rad_plan *plan, rad_pending_case *pending,
                      int64_t *n_pending, int64_t *ret_new, rad_spool_report *ret, rad_error *err) {
    struct gather g = {.store = store,
                       .run = run,
                       .plan = plan,
                       .pending = pending,
                       .n_pending = *n_pending,
                       .positions = strcmp(space, RAD_SPOOL_POSITIONS) == 0,
                       .done = rad_calloc((size_t)*n_pending + 1, sizeof *g.done)};
    if (g.positions)
        g.maps = rad_maps_shard_dir(dir);
    if (!g.done || (g.positions && !g.maps)) {
        free(g.done);
        free(g.maps);
        return rad_error_set(err, RAD_E_NOMEM, "out of memory for %lld cases", (long long)*n_pending);
    }
    rad_status st = rad_spool_read(dir, plan->identity, space, take, &g, ret, err);
    if (st == RAD_OK && g.n_new > 0)
        st = rad_store_flush(store, err);
    if (g.n_odd > 0)
        rad_log(RAD_LOG_WARN, "'%s': %lld results were written by another version of radcohort: left out", dir, (long long)g.n_odd);
    if (g.n_mapless > 0)
        rad_log(RAD_LOG_WARN, "'%s': %lld results are left out, because their class activation maps are lost", dir, (long long)g.n_mapless);
    int64_t k = 0;
    for (int64_t i = 0; st == RAD_OK && i < *n_pending; i++)
        if (!g.done[i])
            pending[k++] = pending[i];
    if (st == RAD_OK) {
        *n_pending = k;
        *ret_new = g.n_new;
    }
    free(g.done);
    free(g.maps);
    return st;
}

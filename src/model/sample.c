/* sample.c: does what a job prepares fit what a file declares? The one place that says so, for `check` and for the run. */
#include "radcohort/model.h"

#include <stdio.h>

#define MAX_SAMPLE_RANK (RAD_MAX_RANK - 1) /* a batch besides */

/* "[1, ?, 64, 64]"; a side that is not known is '?'. */
static void dims_text(const int64_t *dim, int rank, char *buf, size_t cap) {
    size_t used = (size_t)snprintf(buf, cap, "[");
    for (int i = 0; i < rank && used < cap; i++) {
        const char *sep = i ? ", " : "";
        used += (size_t)(dim[i] > 0 ? snprintf(buf + used, cap - used, "%s%lld", sep, (long long)dim[i])
                                    : snprintf(buf + used, cap - used, "%s?", sep));
    }
    if (used < cap)
        snprintf(buf + used, cap - used, "]");
}

static bool differ(int64_t a, int64_t b) {
    return a > 0 && b > 0 && a != b;
}

static long long side(int64_t own, int64_t wanted) {
    return (long long)(own > 0 ? own : wanted);
}

rad_status rad_model_check_sample(const rad_model *m, const int64_t *dim, rad_error *err) {
    const char *name = NULL;
    rad_dtype type = RAD_DT_NONE;
    rad_shape s = {0};
    int rank = 0;
    char have[160], wanted[160], way_out[160] = "";
    if (rad_model_input_count(m) != 1)
        return rad_error_set(err, RAD_E_MODEL, "the network has %d inputs, expected 1", rad_model_input_count(m));
    while (rank < MAX_SAMPLE_RANK && dim[rank] != 0)
        rank++;
    rad_model_get_input(m, 0, &name, &type, &s);
    if (s.rank < 0)
        return RAD_OK;
    if (s.rank != rank + 1)
        return rad_error_set(err, RAD_E_MODEL, "input '%.100s' of the network is %s, expected %s%s", name,
                             rad_shape_text(&s, have, sizeof have), rank == 4 ? "[N, C, D, H, W]" : "[N, C, H, W]",
                             rank == 3 && s.rank == 5   ? ": a network for volumes needs an input with 'volume'"
                             : rank == 4 && s.rank == 4 ? ": a network for slices needs an input without 'volume'"
                                                        : "");
    const int64_t *own = &s.dim[1];
    bool planes = differ(own[0], dim[0]), size = false;
    for (int i = 1; i < rank; i++)
        size = size || differ(own[i], dim[i]);
    if (!planes && !size)
        return RAD_OK;
    dims_text(own, rank, have, sizeof have);
    dims_text(dim, rank, wanted, sizeof wanted);
    if (planes)
        snprintf(way_out, sizeof way_out, rank == 4 ? "list as many channels" : "list as many planes (channels times offsets)");
    else if (rank == 4)
        snprintf(way_out, sizeof way_out, "set volume.size: [%lld, %lld, %lld]", side(own[1], dim[1]), side(own[2], dim[2]),
                 side(own[3], dim[3]));
    else if (own[1] > 0 && own[1] == own[2])
        snprintf(way_out, sizeof way_out, "set resize: {size: %lld}", (long long)own[1]);
    else
        snprintf(way_out, sizeof way_out, "set resize: {height: %lld, width: %lld}", side(own[1], dim[1]), side(own[2], dim[2]));
    return rad_error_set(err, RAD_E_MODEL, "input '%.100s' of the network is %s, the job prepares %s: %s", name, have, wanted, way_out);
}

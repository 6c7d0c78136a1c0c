/* sample.c: does what a job prepares fit what a file declares? The one place that says so, for `check` and for the run. */
#include "radcohort/model.h"

#include <stdio.h>

static void side_text(int64_t v, char *buf, size_t cap) {
    if (v > 0)
        snprintf(buf, cap, "%lld", (long long)v);
    else
        snprintf(buf, cap, "?");
}

static void chw_text(const int64_t chw[3], char *buf, size_t cap) {
    char c[24], h[24], w[24];
    side_text(chw[0], c, sizeof c);
    side_text(chw[1], h, sizeof h);
    side_text(chw[2], w, sizeof w);
    snprintf(buf, cap, "[%s, %s, %s]", c, h, w);
}

static bool differ(int64_t a, int64_t b) {
    return a > 0 && b > 0 && a != b;
}

rad_status rad_model_check_sample(const rad_model *m, const int64_t chw[3], rad_error *err) {
    const char *name = NULL;
    rad_dtype type = RAD_DT_NONE;
    rad_shape s = {0};
    char have[80], wanted[80], way_out[120] = "";
    if (rad_model_input_count(m) != 1)
        return rad_error_set(err, RAD_E_MODEL, "the network has %d inputs, expected 1", rad_model_input_count(m));
    rad_model_get_input(m, 0, &name, &type, &s);
    if (s.rank < 0)
        return RAD_OK;
    if (s.rank != 4) {
        char text[160];
        return rad_error_set(err, RAD_E_MODEL, "input '%.100s' of the network is %s, expected [N, C, H, W]", name,
                             rad_shape_text(&s, text, sizeof text));
    }
    const int64_t *own = &s.dim[1];
    bool planes = differ(own[0], chw[0]), size = differ(own[1], chw[1]) || differ(own[2], chw[2]);
    if (!planes && !size)
        return RAD_OK;
    chw_text(own, have, sizeof have);
    chw_text(chw, wanted, sizeof wanted);
    if (planes)
        snprintf(way_out, sizeof way_out, "list as many planes (channels times offsets)");
    else if (own[1] > 0 && own[1] == own[2])
        snprintf(way_out, sizeof way_out, "set resize: {size: %lld}", (long long)own[1]);
    else
        snprintf(way_out, sizeof way_out, "set resize: {height: %lld, width: %lld}", (long long)(own[1] > 0 ? own[1] : chw[1]),
                 (long long)(own[2] > 0 ? own[2] : chw[2]));
    return rad_error_set(err, RAD_E_MODEL, "input '%.100s' of the network is %s, the job prepares %s: %s", name, have, wanted, way_out);
}

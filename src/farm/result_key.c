/* result_key.c: see result_key.h. */
#include "result_key.h"

#include "worker.h"

static const char *activation_name(rad_activation a) {
    return a == RAD_ACT_SOFTMAX ? "softmax" : a == RAD_ACT_SIGMOID ? "sigmoid" : "none";
}

rad_status rad_result_key(const rad_key_parts *p, char ret[RAD_SHA256_HEX], rad_error *err) {
    const rad_model_spec *m = &p->job->model[p->model];
    const rad_input_spec *in = &p->job->input[m->input];
    const int64_t *x = p->box;
    rad_status st = RAD_OK;
    rad_buf b;
    rad_buf_init(&b, RAD_MAX_KEY_TEXT);
    RAD_TRY(rad_buf_printf(&b, err, "radcohort result key, rules %d\ninput %s\n", RAD_RULES_REVISION, in->canonical));
    for (int i = 0; i < in->n_channel; i++) {
        RAD_TRY(rad_buf_printf(&b, err, "channel %d image %s\n", i, p->channel_content[i]));
        if (p->channel_volumes[i][0])
            RAD_TRY(rad_buf_printf(&b, err, "channel %d volumes %s\n", i, p->channel_volumes[i]));
    }
    RAD_TRY(rad_buf_printf(&b, err, "mask %s\n", p->mask_content));
    if (p->has_box)
        RAD_TRY(rad_buf_printf(&b, err, "box %lld %lld %lld %lld %lld %lld\n", (long long)x[0], (long long)x[1], (long long)x[2],
                               (long long)x[3], (long long)x[4], (long long)x[5]));
    if (p->has_point)
        RAD_TRY(rad_buf_printf(&b, err, "point %a %a %a\n", p->point[0], p->point[1], p->point[2]));
    for (int64_t i = 0; i < p->n_listed; i++)
        RAD_TRY(rad_buf_printf(&b, err, "%s%lld%s", i ? "," : "slices ", (long long)p->listed[i], i + 1 < p->n_listed ? "" : "\n"));
    RAD_TRY(rad_buf_printf(&b, err, "graph %s output %s activation %s classes %d\nprecision %s\nengine %s\n", p->graph_hash,
                           m->output ? m->output : "-", activation_name(m->activation), p->job->n_class, p->precision, p->backend_version));
    RAD_TRY(rad_sha256(b.data, b.size, ret, err));
out:
    rad_buf_release(&b);
    return st;
}

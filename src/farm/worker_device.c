/* worker_device.c: what is different when the backend is a device: it may make the samples itself, and its results wait until it has
 * answered a known question after them. A device that begins to compute wrongly is found by the next question; what it gave since the last
 * one has not left this rank then, and is done again by others when the leases go back. */
#include "worker_impl.h"

#include <math.h>
#include <stdlib.h>

/* Cases that may wait for the question; it costs less than one of them. */
#define RAD_UNCONFIRMED_CASES 256

/* Independent sums: the additions of one need not wait for those of another, and several fit into one instruction. */
#define LANES 8

/* Mean and standard deviation of what the networks will see, in double and in one order: nights are compared by them. */
static void describe_samples(struct work_input *in) {
    const rad_prepared *p = &in->prepared;
    const int64_t n = p->n_slice * p->n_plane * (p->depth > 0 ? p->depth : 1) * p->height * p->width;
    if (n == 0)
        return;
    const double origin = (double)p->data[0];
    double sum[LANES] = {0}, square[LANES] = {0}, all = 0, squares = 0;
    int64_t i = 0;
    for (; i + LANES <= n; i += LANES)
        for (int k = 0; k < LANES; k++) {
            const double d = (double)p->data[i + k] - origin;
            sum[k] += d;
            square[k] += d * d;
        }
    for (; i < n; i++) {
        const double d = (double)p->data[i] - origin;
        sum[i % LANES] += d;
        square[i % LANES] += d * d;
    }
    for (int k = 0; k < LANES; k++) {
        all += sum[k];
        squares += square[k];
    }
    const double mean = all / (double)n;
    in->mean = origin + mean;
    in->sd = sqrt(fmax(0, squares / (double)n - mean * mean));
}

rad_status rad_worker_prepare(rad_worker *w, int input, const rad_volume *const *volume, const rad_roi *roi, struct work_input *in,
                              rad_error *err) {
    const rad_input_spec *spec = &w->job->input[input];
    in->mean = in->sd = (double)NAN;
    if (w->on_device[input])
        return rad_backend_prepare(w->backend, spec, volume, roi, &in->prepared, &in->samples, err);
    rad_status st = rad_prepare_case(spec, volume, roi, &in->prepared, err);
    if (st == RAD_OK)
        describe_samples(in);
    return st;
}

void rad_worker_drop_samples(rad_worker *w, struct work_input *in) {
    free(in->prepared.data); /* the slice lists are still needed */
    in->prepared.data = NULL;
    rad_samples_destroy(w->backend, &in->samples);
}

/* Into the journal and out, in one order. Lock held. */
static void pass_on(rad_worker *w, struct message *m) {
    rad_journal_put(w->journal, &m->b);
    m->next = NULL;
    *w->out_end = m;
    w->out_end = &m->next;
}

void rad_worker_hand_out(rad_worker *w, struct message *m, bool computed) {
    pthread_mutex_lock(&w->lock);
    if (computed && rad_backend_can_verify(w->backend)) {
        *w->unconfirmed_end = m;
        w->unconfirmed_end = &m->next;
        w->n_unconfirmed++;
    } else {
        pass_on(w, m);
    }
    pthread_cond_broadcast(&w->done);
    pthread_mutex_unlock(&w->lock);
}

bool rad_worker_should_confirm(const rad_worker *w, bool idle) {
    return w->n_unconfirmed >= RAD_UNCONFIRMED_CASES || (idle && w->n_unconfirmed > 0);
}

rad_status rad_worker_confirm(rad_worker *w, rad_error *err) {
    rad_status st = rad_backend_verify(w->backend, err);
    if (st != RAD_OK)
        return st;
    pthread_mutex_lock(&w->lock);
    for (struct message *m = w->unconfirmed, *next; m; m = next) {
        next = m->next;
        pass_on(w, m);
    }
    w->unconfirmed = NULL;
    w->unconfirmed_end = &w->unconfirmed;
    w->n_unconfirmed = 0;
    pthread_cond_broadcast(&w->done);
    pthread_mutex_unlock(&w->lock);
    return RAD_OK;
}

/* convert_slices.c: which DICOM instance a slice of a volume came from, by position along the normal of the slices. dcm2niix flips rows and
 * reorders slices, so numbers alone say nothing. No UIDs: the instance number is enough to find the image again in the archive. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "convert_impl.h"

typedef struct origin {            /* one slice of the source */
    double along;                  /* mm */
    int64_t file, instance, frame; /* index into c->file; instance number; DICOM frame, 1-based, 0 = the only one */
    double position[3];
    bool used;
} origin;

static int by_place(const void *a, const void *b) {
    const origin *x = a, *y = b;
    if (x->along != y->along)
        return x->along < y->along ? -1 : 1;
    if (x->file != y->file)
        return x->file < y->file ? -1 : 1;
    return x->frame < y->frame ? -1 : x->frame > y->frame;
}

static int by_time(const void *a, const void *b) {
    const origin *const *x = a, *const *y = b;
    if ((*x)->instance != (*y)->instance)
        return (*x)->instance < (*y)->instance ? -1 : 1;
    if ((*x)->file != (*y)->file)
        return (*x)->file < (*y)->file ? -1 : 1;
    return (*x)->frame < (*y)->frame ? -1 : (*x)->frame > (*y)->frame;
}

/* Unit normal of the slices, RAS+; false when the affine has none. */
static bool normal_of(const double m[3][4], double n[3]) {
    double u[3] = {m[0][0], m[1][0], m[2][0]}, v[3] = {m[0][1], m[1][1], m[2][1]};
    n[0] = u[1] * v[2] - u[2] * v[1];
    n[1] = u[2] * v[0] - u[0] * v[2];
    n[2] = u[0] * v[1] - u[1] * v[0];
    double length = sqrt(n[0] * n[0] + n[1] * n[1] + n[2] * n[2]);
    if (!(length > 0))
        return false;
    for (int i = 0; i < 3; i++)
        n[i] /= length;
    return true;
}

/* The instances' places; LPS to RAS+ turns the first two. */
static int64_t list_origins(const convert *c, const convert_series *s, const convert_output *o, const double n[3], origin *out) {
    int64_t k = 0;
    for (int64_t i = 0; i < s->n_file; i++) {
        const dicom_instance *d = &c->file[s->file[i]].i;
        /* of a series that was split by echo: only this one's */
        double te = o->rule.low[RULE_ECHO_TIME];
        if (!isnan(d->echo_time) && !isnan(te) && s->head.low[DICOM_ECHO_TIME] < s->head.high[DICOM_ECHO_TIME] &&
            fabs(d->echo_time - te) > 1e-3 * te)
            continue;
        int64_t n_frame = d->n_frame ? d->n_frame : 1;
        for (int64_t f = 0; f < n_frame; f++) {
            const double *p = d->n_frame ? d->frame[f] : d->position;
            out[k] = (origin){.file = s->file[i], .instance = d->instance, .frame = d->n_frame ? f + 1 : 0};
            memcpy(out[k].position, p, sizeof out[k].position);
            out[k].along = -n[0] * p[0] - n[1] * p[1] + n[2] * p[2];
            k += !isnan(out[k].along);
        }
    }
    if (k)
        qsort(out, (size_t)k, sizeof *out, by_place);
    return k;
}

static int64_t first_from(const origin *o, int64_t n, double along) {
    int64_t low = 0, high = n;
    while (low < high) {
        int64_t mid = low + (high - low) / 2;
        if (o[mid].along < along)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

static rad_status put_row(rad_buf *b, int64_t slice, int64_t frame, const convert *c, const origin *o, double offset, const char *source,
                          rad_error *err) {
    rad_status st = rad_buf_printf(b, err, "%lld\t%lld\t", (long long)slice, (long long)frame);
    if (st != RAD_OK)
        return st;
    if (!o)
        return rad_buf_printf(b, err, "n/a\tn/a\tn/a\tn/a\tn/a\tn/a\tn/a\t%s\n", source);
    st = o->instance >= 0 ? rad_buf_printf(b, err, "%lld\t", (long long)o->instance) : rad_buf_printf(b, err, "n/a\t");
    if (st == RAD_OK)
        st = o->frame ? rad_buf_printf(b, err, "%lld", (long long)o->frame) : rad_buf_printf(b, err, "n/a");
    if (st == RAD_OK)
        st = isnan(o->position[0]) ? rad_buf_printf(b, err, "\tn/a\tn/a\tn/a")
                                   : rad_buf_printf(b, err, "\t%.9g\t%.9g\t%.9g", o->position[0], o->position[1], o->position[2]);
    double location = c->file[o->file].i.location;
    if (st == RAD_OK)
        st = isnan(location) ? rad_buf_printf(b, err, "\tn/a") : rad_buf_printf(b, err, "\t%.9g", location);
    if (st == RAD_OK)
        st = isnan(offset) ? rad_buf_printf(b, err, "\tn/a\t%s\n", source) : rad_buf_printf(b, err, "\t%.4g\t%s\n", offset, source);
    return st;
}

/* Slices of one instance per volume (a mosaic), or a volume without positions: by order of the instances, where there are as many. */
static rad_status by_number(const convert *c, const convert_series *s, const convert_output *o, rad_buf *b, int64_t *ret_lost,
                            rad_error *err) {
    int64_t nz = o->dim[2], nt = o->dim[3];
    bool mosaic = s->n_file > 0 && c->file[s->file[0]].i.mosaic && s->n_file == nt, single = s->n_file == 1 && nz * nt == 1;
    rad_status st = RAD_OK;
    for (int64_t t = 0; t < nt && st == RAD_OK; t++)
        for (int64_t z = 0; z < nz && st == RAD_OK; z++) {
            origin one = {.position = {NAN, NAN, NAN}};
            if (mosaic || single) {
                one.file = s->file[mosaic ? t : 0];
                one.instance = c->file[one.file].i.instance;
                st = put_row(b, z, t, c, &one, NAN, mosaic ? "mosaic" : "only", err);
            } else {
                st = put_row(b, z, t, c, NULL, NAN, "unknown", err);
            }
        }
    *ret_lost = mosaic || single ? 0 : s->n_file;
    return st;
}

rad_status convert_slices(const convert *c, const convert_series *s, const convert_output *o, const double affine[3][4], rad_buf *b,
                          int64_t *ret_lost, rad_error *err) {
    double n[3];
    int64_t cap = 0, nz = o->dim[2], nt = o->dim[3];
    rad_status st = rad_buf_printf(b, err,
                                   "slice\tframe\tinstance_number\tdicom_frame\tposition_x_mm\tposition_y_mm\tposition_z_mm\t"
                                   "slice_location_mm\toffset_mm\tsource\n");
    if (st != RAD_OK)
        return st;
    for (int64_t i = 0; i < s->n_file; i++)
        cap += c->file[s->file[i]].i.n_frame ? c->file[s->file[i]].i.n_frame : 1;
    origin *at = rad_calloc((size_t)cap, sizeof *at);
    origin **here = rad_calloc((size_t)cap, sizeof *here);
    if (!at || !here) {
        st = rad_error_set(err, RAD_E_NOMEM, "no memory for the slices of a series");
        goto out;
    }
    bool mosaic = s->n_file > 0 && c->file[s->file[0]].i.mosaic;
    int64_t k = mosaic || !normal_of(affine, n) ? 0 : list_origins(c, s, o, n, at);
    if (k == 0) {
        st = by_number(c, s, o, b, ret_lost, err);
        goto out;
    }
    double step = fabs(n[0] * affine[0][2] + n[1] * affine[1][2] + n[2] * affine[2][2]);
    double near = nz > 1 && step > 0 ? 0.1 * step : 0.1;
    bool resampled = o->variant[0] && (strncmp(o->variant, "Eq", 2) == 0 || strncmp(o->variant, "Tilt", 4) == 0);
    for (int64_t z = 0; z < nz && st == RAD_OK; z++) {
        double along = 0;
        for (int i = 0; i < 3; i++)
            along += n[i] * (affine[i][2] * (double)z + affine[i][3]);
        double reach = resampled ? 0.5 * step + 1e-9 : near;
        int64_t m = 0;
        for (int64_t i = first_from(at, k, along - reach); i < k && at[i].along <= along + reach; i++)
            here[m++] = &at[i];
        if (resampled && m > 1) { /* the nearest alone */
            for (int64_t i = 1; i < m; i++)
                if (fabs(here[i]->along - along) < fabs(here[0]->along - along))
                    here[0] = here[i];
            m = 1;
        }
        if (m > 1)
            qsort(here, (size_t)m, sizeof *here, by_time);
        for (int64_t t = 0; t < nt && st == RAD_OK; t++) {
            const origin *from = m == nt || (resampled && m == 1) ? here[m == nt ? t : 0] : NULL;
            st = put_row(b, z, t, c, from, from ? fabs(from->along - along) : NAN,
                         !from       ? m ? "ambiguous" : "unknown"
                         : resampled ? "resampled"
                                     : "position",
                         err);
        }
        for (int64_t i = 0; i < m; i++)
            here[i]->used = true;
    }
    *ret_lost = 0;
    for (int64_t i = 0; i < k; i++)
        *ret_lost += !at[i].used;
    if (resampled)
        *ret_lost = 0; /* slices in between are no loss */
out:
    free(at);
    free(here);
    return st;
}

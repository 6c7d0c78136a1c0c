/* dump_job JOB DIR: prepares every input of every case of a job as a worker does, for comparison with an independent implementation. Each
 * gives a line: case input patient lesion study, then status|text, or ok, the sample's dims joined by x, and per sample
 * slice,stored_slice,x0,y0,x1,y1,mismatch_mm; the floats go to DIR/CASE-INPUT.f32. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "radcohort/cohort.h"
#include "radcohort/prepare.h"

static rad_status load(const rad_cohort *c, const char *path, rad_volume **ret, rad_error *err) {
    char *full = rad_path_join(c->dir, path);
    rad_status st = full ? rad_volume_load(full, ret, err) : RAD_E_NOMEM;
    free(full);
    return st;
}

static rad_status prepare(const rad_cohort *c, const rad_job *job, const rad_case *k, int input, rad_prepared *ret, rad_error *err) {
    const rad_input_spec *spec = &job->input[input];
    const rad_case_input *in = &k->input[input];
    rad_volume *volume[RAD_MAX_CHANNELS] = {0}, *mask = NULL;
    const rad_volume *list[RAD_MAX_CHANNELS];
    rad_roi roi = {0};
    rad_status st = in->status;
    if (st != RAD_OK)
        return rad_error_set(err, st, "%s", in->why);
    for (int ch = 0; ch < spec->n_channel && st == RAD_OK; ch++)
        st = in->image[ch] < 0 ? RAD_OK : load(c, c->image[in->image[ch]].path, &volume[ch], err);
    if (st == RAD_OK && k->lesion >= 0) {
        const rad_lesion *l = &c->lesion[k->lesion];
        roi.has_box = l->has_box;
        roi.has_point = l->has_point;
        memcpy(roi.box, l->box, sizeof roi.box);
        memcpy(roi.point, l->point, sizeof roi.point);
        if (l->has_mask && rad_prepare_wants_mask(spec))
            st = load(c, l->mask, &mask, err);
        roi.mask = mask;
    }
    roi.n_listed = rad_case_listed(c, job, k, input, &roi.listed);
    for (int ch = 0; ch < spec->n_channel; ch++)
        list[ch] = volume[ch];
    if (st == RAD_OK)
        st = rad_prepare_case(spec, list, &roi, ret, err);
    for (int ch = 0; ch < spec->n_channel; ch++)
        rad_volume_destroy(&volume[ch]);
    rad_volume_destroy(&mask);
    return st;
}

static bool put(const rad_prepared *p, const char *dir, int64_t index, int input) {
    int64_t dim[RAD_SAMPLE_DIMS];
    size_t n = (size_t)p->n_slice;
    rad_prepared_sample_shape(p, dim);
    printf("ok\t%" PRId64, p->n_slice);
    for (int d = 0; d < RAD_SAMPLE_DIMS && dim[d] > 0; d++) {
        n *= (size_t)dim[d];
        printf("x%" PRId64, dim[d]);
    }
    for (int64_t i = 0; i < p->n_slice; i++)
        printf("\t%" PRId64 ",%" PRId64 ",%" PRId64 ",%" PRId64 ",%" PRId64 ",%" PRId64 ",%.17g", p->slice[i], p->stored_slice[i],
               p->box[i][0], p->box[i][1], p->box[i][2], p->box[i][3], p->mismatch_mm[i]);
    printf("\n");
    char path[4096];
    snprintf(path, sizeof path, "%s/%" PRId64 "-%d.f32", dir, index, input);
    FILE *f = fopen(path, "wb");
    bool ok = f && fwrite(p->data, sizeof *p->data, n, f) == n;
    return f && fclose(f) == 0 && ok;
}

int main(int argc, char **argv) {
    rad_job *job = NULL;
    rad_cohort *c = NULL;
    rad_manifest *m = NULL;
    rad_issues issues = {0};
    rad_error err = {0};
    bool ok = true;
    if (argc != 3)
        return 2;
    rad_status st = rad_job_read(argv[1], &job, &issues, &err);
    if (st == RAD_OK)
        st = rad_cohort_read(job->cohort_dir, &(rad_cohort_opts){0}, &c, &issues, &err);
    if (st == RAD_OK)
        st = rad_manifest_build(c, job, &m, &issues, &err);
    rad_issues_print(&issues, stderr);
    rad_issues_release(&issues);
    for (int64_t i = 0; st == RAD_OK && i < m->n_case; i++)
        for (int input = 0; input < job->n_input; input++) {
            const rad_case *k = &m->item[i];
            rad_prepared p = {0};
            rad_status one = prepare(c, job, k, input, &p, &err);
            printf("%" PRId64 "\t%d\t%s\t%s\t%s\t", i, input, c->patient[k->patient].id, k->lesion >= 0 ? c->lesion[k->lesion].id : "",
                   k->study);
            if (one != RAD_OK)
                printf("%s|%s\n", rad_status_reason(one), err.text);
            else
                ok = put(&p, argv[2], i, input) && ok;
            rad_prepared_release(&p);
        }
    if (st != RAD_OK)
        (void)fprintf(stderr, "%s\n", err.text);
    rad_manifest_destroy(&m);
    rad_cohort_destroy(&c);
    rad_job_destroy(&job);
    return st == RAD_OK && ok ? 0 : 1;
}

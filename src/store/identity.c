/* identity.c: what makes two runs the same one. Everything that decides a result is in it and nothing else: a comment or another batch in
 * the job goes on with what is there, another image makes a new run. */
#include "db.h"

#include "radcohort/folds.h"

#include <string.h>

/* A text with its length before it, so that no two lists of texts look alike. */
static rad_status put_text(rad_buf *b, const char *key, const char *s, rad_error *err) {
    return s ? rad_buf_printf(b, err, "%s %zu:%s\n", key, strlen(s), s) : rad_buf_printf(b, err, "%s none\n", key);
}

static rad_status put_job(rad_buf *b, const rad_job *job, rad_error *err) {
    rad_status st = RAD_OK;
    RAD_TRY(put_text(b, "job", job->name, err));
    RAD_TRY(rad_buf_printf(b, err, "unit %s positive %d\n", rad_unit_name(job->case_unit), job->n_class == 2 ? job->positive : -1));
    for (int i = 0; i < job->n_regression; i++) {
        RAD_TRY(put_text(b, "regression", job->regression[i].name, err));
        for (int k = 0; k < job->regression[i].n_predictor; k++)
            RAD_TRY(put_text(b, "predictor", job->regression[i].predictor[k], err));
    }
    for (int i = 0; i < job->n_select; i++) {
        RAD_TRY(put_text(b, "select", job->select[i].column, err));
        for (int k = 0; k < job->select[i].n_value; k++)
            RAD_TRY(put_text(b, "value", job->select[i].value[k], err));
    }
    for (int i = 0; i < job->n_class; i++)
        RAD_TRY(put_text(b, "class", job->class_name[i], err));
    if (job->ordinal)
        RAD_TRY(rad_buf_printf(b, err, "grades from %lld\n", (long long)job->first_grade));
    for (int i = 0; i < job->n_input; i++) {
        RAD_TRY(put_text(b, "input", job->input[i].name, err));
        RAD_TRY(put_text(b, "rules", job->input[i].canonical, err));
    }
    RAD_TRY(rad_buf_printf(b, err, "aggregate %s %s vote %a split %d\n", job->lesion_rule, job->patient_rule, job->vote_threshold,
                           (int)job->split));
    for (int i = 0; i < job->n_endpoint; i++) {
        RAD_TRY(put_text(b, "endpoint", job->endpoint[i].name, err));
        RAD_TRY(rad_buf_printf(b, err, "of %llx argmax %d\n", (unsigned long long)job->endpoint[i].of, job->endpoint[i].argmax));
    }
    for (int i = 0; i < job->n_point; i++) {
        RAD_TRY(put_text(b, "point", job->point[i].name, err));
        RAD_TRY(rad_buf_printf(b, err, "threshold %a tune %d %a %d %d\n", job->point[i].threshold, (int)job->point[i].tune,
                               job->point[i].target, job->point[i].tuned_external, job->point[i].tuned_model));
    }
    if (job->verify_files) /* a damaged file is an exclusion then */
        RAD_TRY(rad_buf_printf(b, err, "files verified\n"));
    RAD_TRY(rad_buf_printf(b, err, "strata %d%d%d\n", job->by_all, job->by_cohort, job->by_center));
out:
    return st;
}

rad_status rad_store_identify(const rad_run_info *info, char ret_hex[RAD_SHA256_HEX], rad_error *err) {
    const rad_job *job = info->job;
    rad_status st = RAD_OK;
    rad_buf b;
    rad_buf_init(&b, (size_t)16 << 20);
    RAD_TRY(rad_buf_printf(&b, err, "radcohort run 2, rules %d\n", info->rules));
    RAD_TRY(put_job(&b, job, err));
    for (int i = 0; i < job->n_model; i++) {
        RAD_TRY(put_text(&b, "model", job->model[i].name, err));
        for (int k = 0, first = rad_job_first_file(job, i); k < rad_model_count_files(&job->model[i]); k++)
            RAD_TRY(put_text(&b, "file", info->model[first + k].sha256, err));
        RAD_TRY(put_text(&b, "output", job->model[i].output, err));
        if (job->model[i].cam)
            RAD_TRY(put_text(&b, "cam", job->cam_rule, err));
        RAD_TRY(rad_buf_printf(&b, err, "input %d activation %d when_missing %d\n", job->model[i].input, (int)job->model[i].activation,
                               job->model[i].when_missing));
    }
    if (job->split_table) /* what the warning says is kept with the run */
        RAD_TRY(put_text(&b, "split", info->manifest->split_warning, err));
    RAD_TRY(put_text(&b, "tables", info->cohort->sha256, err));
    RAD_TRY(put_text(&b, "files", info->files_sha256, err));
    RAD_TRY(put_text(&b, "backend", info->backend, err));
    RAD_TRY(put_text(&b, "version", info->backend_version, err));
    RAD_TRY(put_text(&b, "precision", info->precision, err));
    RAD_TRY(rad_sha256(b.data, b.size, ret_hex, err));
out:
    rad_buf_release(&b);
    return st;
}

/* rows_run.c: a new run with everything that is known before the first score: models, classes, operating points, patients with the
 * labels that count, the manifest, the cases that intake excludes, and the images nobody needs. */
#include "db.h"

#include "radcohort/folds.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char SQL_RUN[] =
    "INSERT INTO run (identity, state, job, job_sha256, job_text, job_path, cohort_sha256, cohort_dir, case_unit, lesion_rule, "
    "patient_rule, "
    "vote_threshold,"
    " positive_class, strata, backend, backend_version, precision, radcohort_version, versions, host, launch_mode, command_line, n_rank,"
    " threads, started, session_started, session_done, sessions) VALUES (?1, 'running', ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13,"
    " ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22, ?23, ?24, ?24, 0, 1) RETURNING run_id";
static const char SQL_CLASS[] = "INSERT INTO run_class (run_id, class_index, class, grade, rule) VALUES (?1, ?2, ?3, ?4, ?5)";
static const char SQL_CLASS_PART[] = "INSERT INTO run_class_part (run_id, class_index, part_index) VALUES (?1, ?2, ?3)";
static const char SQL_MODEL[] =
    "INSERT INTO model (sha256, graph_hash, opset, parameters, input_shape, output_shape, summary) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)"
    " ON CONFLICT (sha256) DO UPDATE SET graph_hash = excluded.graph_hash RETURNING model_id";
static const char SQL_RUN_MODEL[] =
    "INSERT INTO run_model (run_id, position, model, file, input, input_text, output, activation, folds, trained_on, cam_rule)"
    " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11) RETURNING run_model_id";
static const char SQL_MODEL_FILE[] =
    "INSERT INTO run_model_file (run_model_id, position, model_id, file, fold) VALUES (?1, ?2, ?3, ?4, ?5)";
static const char SQL_POINT[] =
    "INSERT INTO operating_point (run_id, position, point, threshold, origin, tune, target, tuned_on, tuned_model)"
    " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)";
static const char SQL_REGRESSION[] = "INSERT INTO regression (run_id, position, regression, place, predictor) VALUES (?1, ?2, ?3, ?4, ?5)";
static const char SQL_RUN_PATIENT[] =
    "INSERT INTO run_patient (run_id, patient_id, center_id, cohort, class_index, fold) VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
static const char SQL_UNSELECTED[] = "INSERT INTO unselected_patient (run_id, patient_id, reason) VALUES (?1, ?2, ?3)";
static const char SQL_CASE[] =
    "INSERT INTO manifest (run_id, position, patient_id, lesion_id, study, class_index) VALUES (?1, ?2, ?3, ?4, ?5, ?6) RETURNING case_id";
static const char SQL_WORK[] = "INSERT INTO work (case_id, state, attempts, lost, interrupted) VALUES (?1, ?2, 0, 0, 0)";
static const char SQL_IMAGE_USE[] = "INSERT INTO image_use (case_id, input, channel, image_id, volumes) VALUES (?1, ?2, ?3, ?4, ?5)";
static const char SQL_WARNING[] = "INSERT INTO warning (run_id, case_id, stage, text) VALUES (?1, ?2, 'intake', ?3) ON CONFLICT DO NOTHING";
static const char SQL_UNUSED[] =
    "INSERT INTO unused_image (run_id, image_id, reason) VALUES (?1, ?2, ?3) ON CONFLICT (run_id, image_id) DO NOTHING";
static const char SQL_EXCLUSION[] = "INSERT INTO exclusion (run_id, unit, patient_id, case_id, run_model_id, stage, reason, text)"
                                    " VALUES (?1, ?2, ?3, ?4, ?5, 'intake', ?6, ?7)";
static const char SQL_NO_CASE[] =
    "INSERT INTO exclusion (run_id, unit, patient_id, stage, reason, text)"
    " SELECT rp.run_id, 'patient', rp.patient_id, 'intake', ?2, 'the cohort tables hold no ' || ?3 || ' to score for this patient'"
    "   FROM run_patient rp WHERE rp.run_id = ?1"
    "    AND NOT EXISTS (SELECT 1 FROM manifest m WHERE m.run_id = rp.run_id AND m.patient_id = rp.patient_id)";

static const char *activation_name(rad_activation a) {
    static const char *const NAME[] = {[RAD_ACT_NONE] = "none", [RAD_ACT_SOFTMAX] = "softmax", [RAD_ACT_SIGMOID] = "sigmoid"};
    return NAME[a];
}

static rad_status put_run(struct rad_store *st, const rad_run_info *info, const char *identity, int64_t *ret_run, rad_error *err) {
    const rad_job *job = info->job;
    char now[RAD_TIME_TEXT], strata[64];
    rad_clock_utc(now);
    snprintf(strata, sizeof strata, "[%s%s%s%s%s]", job->by_all ? "\"all\"" : "", job->by_all && job->by_cohort ? "," : "",
             job->by_cohort ? "\"cohort\"" : "", (job->by_all || job->by_cohort) && job->by_center ? "," : "",
             job->by_center ? "\"center\"" : "");
    char *path = rad_path_absolute(job->path);
    rad_query q = rad_query_start(st, SQL_RUN);
    rad_bind_text(&q, identity);
    rad_bind_text(&q, job->name);
    rad_bind_text(&q, job->sha256);
    rad_bind_text(&q, job->text);
    rad_bind_text(&q, path);
    rad_bind_text(&q, info->cohort->sha256);
    rad_bind_text(&q, job->cohort_dir);
    rad_bind_text(&q, rad_unit_name(job->case_unit));
    rad_bind_text(&q, job->lesion_rule);
    rad_bind_text(&q, job->patient_rule);
    rad_bind_real(&q, job->vote_threshold);
    rad_bind_index(&q, job->n_class == 2 ? job->positive : -1);
    rad_bind_text(&q, strata);
    rad_bind_text(&q, info->backend);
    rad_bind_text(&q, info->backend_version);
    rad_bind_text(&q, info->precision);
    rad_bind_text(&q, rad_version());
    rad_bind_text(&q, info->versions_json && info->versions_json[0] ? info->versions_json : NULL);
    rad_bind_text(&q, info->host);
    rad_bind_text(&q, info->launch_mode);
    rad_bind_text(&q, info->command_line);
    rad_bind_int(&q, info->n_rank);
    rad_bind_int(&q, info->threads);
    rad_bind_text(&q, now);
    const rad_status s = rad_query_int(&q, ret_run, err);
    free(path);
    return s;
}

/* One file of a model; `fold` -1: it scores everybody, or stands for the mean of the others. */
static rad_status put_file(struct rad_store *st, const rad_run_info *info, int model, int at, int64_t fold, rad_error *err) {
    const int file = rad_job_first_file(info->job, model) + at;
    const rad_run_model *m = &info->model[file];
    rad_query q = rad_query_start(st, SQL_MODEL);
    rad_bind_text(&q, m->sha256);
    rad_bind_text(&q, m->graph_hash);
    rad_bind_int(&q, m->opset);
    rad_bind_int(&q, m->parameters);
    rad_bind_text(&q, m->input_shape);
    rad_bind_text(&q, m->output_shape);
    rad_bind_text(&q, m->summary);
    rad_status s = rad_query_int(&q, &st->file_model_id[file], err);
    if (s != RAD_OK)
        return s;
    char *name = fold < 0 ? rad_strdup(info->job->model[model].file) : rad_model_fold_text(info->job->model[model].file, fold);
    if (!name)
        return rad_error_set(err, RAD_E_NOMEM, "out of memory for a path");
    q = rad_query_start(st, SQL_MODEL_FILE);
    rad_bind_int(&q, st->run_model_id[model]);
    rad_bind_int(&q, at);
    rad_bind_int(&q, st->file_model_id[file]);
    rad_bind_text(&q, name);
    rad_bind_index(&q, fold);
    s = rad_query_exec(&q, err);
    free(name);
    return s;
}

static rad_status put_model(struct rad_store *st, const rad_run_info *info, int64_t run, int i, rad_error *err) {
    const rad_model_spec *spec = &info->job->model[i];
    const rad_input_spec *in = &info->job->input[spec->input];
    rad_query q = rad_query_start(st, SQL_RUN_MODEL);
    rad_bind_int(&q, run);
    rad_bind_int(&q, i);
    rad_bind_text(&q, spec->name);
    rad_bind_text(&q, spec->file);
    rad_bind_text(&q, in->name);
    rad_bind_text(&q, in->canonical);
    rad_bind_text(&q, spec->output);
    rad_bind_text(&q, activation_name(spec->activation));
    rad_bind_index(&q, spec->folds > 0 ? spec->folds : -1);
    rad_bind_text(&q, spec->trained_on);
    rad_bind_text(&q, spec->cam ? info->job->cam_rule : NULL);
    rad_status s = rad_query_int(&q, &st->run_model_id[i], err);
    for (int k = 0; k < rad_model_count_files(spec) && s == RAD_OK; k++)
        s = put_file(st, info, i, k, spec->folds > 0 && k < spec->folds ? info->manifest->first_fold[i] + k : -1, err);
    return s;
}

/* A class, or an endpoint with its rule. */
static rad_status put_class(struct rad_store *st, const rad_job *job, int64_t run, int index, const char *name, const char *rule,
                            uint64_t of, rad_error *err) {
    rad_query q = rad_query_start(st, SQL_CLASS);
    rad_bind_int(&q, run);
    rad_bind_int(&q, index);
    rad_bind_text(&q, name);
    if (job->ordinal && !rule)
        rad_bind_int(&q, job->first_grade + index);
    else
        rad_bind_null(&q);
    rad_bind_text(&q, rule);
    rad_status s = rad_query_exec(&q, err);
    for (int i = 0; i < RAD_MAX_CLASSES && s == RAD_OK; i++) {
        if (!(of >> i & 1))
            continue;
        q = rad_query_start(st, SQL_CLASS_PART);
        rad_bind_int(&q, run);
        rad_bind_int(&q, index);
        rad_bind_int(&q, i);
        s = rad_query_exec(&q, err);
    }
    return s;
}

static rad_status put_declarations(struct rad_store *st, const rad_run_info *info, int64_t run, rad_error *err) {
    const rad_job *job = info->job;
    rad_status s = RAD_OK;
    for (int i = 0; i < job->n_class && s == RAD_OK; i++)
        s = put_class(st, job, run, i, job->class_name[i], NULL, (uint64_t)1 << i, err);
    for (int i = 0; i < job->n_endpoint && s == RAD_OK; i++)
        s = put_class(st, job, run, job->n_class + i, job->endpoint[i].name, job->endpoint[i].argmax ? "argmax" : "sum",
                      job->endpoint[i].of, err);
    for (int i = 0; i < job->n_model && s == RAD_OK; i++)
        s = put_model(st, info, run, i, err);
    for (int i = 0; i < job->n_regression && s == RAD_OK; i++)
        for (int k = 0; k < job->regression[i].n_predictor && s == RAD_OK; k++) {
            rad_query q = rad_query_start(st, SQL_REGRESSION);
            rad_bind_int(&q, run);
            rad_bind_int(&q, i);
            rad_bind_text(&q, job->regression[i].name);
            rad_bind_int(&q, k);
            rad_bind_text(&q, job->regression[i].predictor[k]);
            s = rad_query_exec(&q, err);
        }
    for (int i = 0; i < job->n_point && s == RAD_OK; i++) {
        rad_query q = rad_query_start(st, SQL_POINT);
        rad_bind_int(&q, run);
        rad_bind_int(&q, i);
        const rad_operating_point *p = &job->point[i];
        rad_bind_text(&q, p->name);
        rad_bind_real(&q, p->threshold);
        rad_bind_text(&q, p->tune ? "tuned" : "fixed");
        rad_bind_text(&q, rad_tune_name(p->tune));
        rad_bind_real(&q, p->tune == RAD_TUNE_SENSITIVITY || p->tune == RAD_TUNE_SPECIFICITY ? p->target : (double)NAN);
        rad_bind_text(&q, !p->tune ? NULL : p->tuned_external ? "external" : "internal");
        rad_bind_text(&q, p->tuned_model ? job->model[p->tuned_model - 1].name : NULL);
        s = rad_query_exec(&q, err);
    }
    return s;
}

static int class_of(const rad_job *job, const char *label) {
    for (int i = 0; label && i < job->n_class; i++)
        if (strcmp(job->class_name[i], label) == 0)
            return i;
    return -1;
}

/* label[p]: the patient's own, else that of its cases when they agree, else positive when one of them is. Two cases that disagree
 * without a positive class leave it unknown (-1). */
static rad_status patient_labels(const rad_run_info *info, int **ret, rad_error *err) {
    enum { NOT_SEEN = -2 };
    const rad_cohort *c = info->cohort;
    int *label = rad_calloc((size_t)c->n_patient + 1, sizeof *label);
    if (!label)
        return rad_error_set(err, RAD_E_NOMEM, "out of memory for the labels of %lld patients", (long long)c->n_patient);
    for (int64_t i = 0; i < c->n_patient; i++)
        label[i] = c->patient[i].label ? class_of(info->job, c->patient[i].label) : NOT_SEEN;
    bool two = info->job->n_class == 2 && info->job->positive >= 0;
    for (int64_t i = 0; i < info->manifest->n_case; i++) {
        const rad_case *k = &info->manifest->item[i];
        int *l = &label[k->patient];
        if (c->patient[k->patient].label)
            continue;
        if (*l == NOT_SEEN || *l == k->label)
            *l = k->label;
        else
            *l = two && (*l == info->job->positive || k->label == info->job->positive) ? info->job->positive : -1;
    }
    for (int64_t i = 0; i < c->n_patient; i++)
        if (label[i] == NOT_SEEN)
            label[i] = -1;
    *ret = label;
    return RAD_OK;
}

static rad_status put_unselected(struct rad_store *st, int64_t run, int64_t patient, const char *why, rad_error *err) {
    rad_query q = rad_query_start(st, SQL_UNSELECTED);
    rad_bind_int(&q, run);
    rad_bind_int(&q, patient);
    rad_bind_text(&q, why);
    return rad_query_exec(&q, err);
}

static rad_status put_patients(struct rad_store *st, const rad_run_info *info, int64_t run, const rad_row_ids *ids, rad_error *err) {
    const rad_cohort *c = info->cohort;
    int *label = NULL;
    rad_status s = patient_labels(info, &label, err);
    for (int64_t i = 0; i < c->n_patient && s == RAD_OK; i++) {
        const rad_patient *p = &c->patient[i];
        if (info->manifest->unselected && info->manifest->unselected[i]) {
            s = put_unselected(st, run, ids->patient[i], info->manifest->unselected[i], err);
            continue;
        }
        rad_query q = rad_query_start(st, SQL_RUN_PATIENT);
        rad_bind_int(&q, run);
        rad_bind_int(&q, ids->patient[i]);
        rad_bind_int(&q, ids->center[p->center]);
        rad_bind_text(&q, c->center[p->center].external ? "external" : "internal");
        rad_bind_index(&q, label[i]);
        rad_bind_index(&q, p->fold);
        s = rad_query_exec(&q, err);
    }
    free(label);
    return s;
}

/* One exclusion of a case before the run: `model` -1 = all models. */
static rad_status put_intake(struct rad_store *st, const rad_run_info *info, int64_t run, int64_t patient, int64_t case_id, int model,
                             const rad_case_input *in, rad_error *err) {
    rad_query q = rad_query_start(st, SQL_EXCLUSION);
    rad_bind_int(&q, run);
    rad_bind_text(&q, rad_unit_name(info->job->case_unit));
    rad_bind_int(&q, patient);
    rad_bind_int(&q, case_id);
    rad_bind_index(&q, model < 0 ? -1 : st->run_model_id[model]);
    rad_bind_text(&q, rad_status_reason(in->status));
    rad_bind_text(&q, in->why ? in->why : "");
    return rad_query_exec(&q, err);
}

/* A case that is scored without one of its images says so. */
static rad_status put_missing(struct rad_store *st, int64_t run, int64_t case_id, const rad_input_spec *input, int channel,
                              rad_error *err) {
    char text[300];
    snprintf(text, sizeof text, "input '%.64s': no image of sequence '%.120s', zeros stand for its planes", input->name,
             input->channel[channel].sequence);
    rad_query q = rad_query_start(st, SQL_WARNING);
    rad_bind_int(&q, run);
    rad_bind_int(&q, case_id);
    rad_bind_text(&q, text);
    return rad_query_exec(&q, err);
}

static rad_status put_case_inputs(struct rad_store *st, const rad_run_info *info, int64_t run, const rad_case *k, int64_t case_id,
                                  const rad_row_ids *ids, rad_error *err) {
    const rad_job *job = info->job;
    rad_status s = RAD_OK;
    for (int i = 0; i < job->n_input; i++)
        for (int c = 0; k->input[i].status == RAD_OK && c < job->input[i].n_channel && s == RAD_OK; c++) {
            if (k->input[i].image[c] < 0) {
                s = put_missing(st, run, case_id, &job->input[i], c, err);
                continue;
            }
            rad_query q = rad_query_start(st, SQL_IMAGE_USE);
            rad_bind_int(&q, case_id);
            rad_bind_text(&q, job->input[i].name);
            rad_bind_int(&q, c);
            rad_bind_int(&q, ids->image[k->input[i].image[c]]);
            rad_bind_text(&q, k->input[i].pick && k->input[i].pick[c] ? k->input[i].pick[c]->text : "");
            s = rad_query_exec(&q, err);
        }
    return s;
}

/* A case that another model scores says so. */
static rad_status put_stand_in(struct rad_store *st, int64_t run, int64_t case_id, const rad_job *job, int model, int other,
                               rad_error *err) {
    char text[300];
    snprintf(text, sizeof text, "model '%.64s' is without images: model '%.64s' scores in its place", job->model[model].name,
             job->model[other].name);
    rad_query q = rad_query_start(st, SQL_WARNING);
    rad_bind_int(&q, run);
    rad_bind_int(&q, case_id);
    rad_bind_text(&q, text);
    return rad_query_exec(&q, err);
}

static rad_status put_case(struct rad_store *st, const rad_run_info *info, int64_t run, int64_t position, const rad_row_ids *ids,
                           rad_error *err) {
    const rad_job *job = info->job;
    const rad_case *k = &info->manifest->item[position];
    int64_t case_id, patient = ids->patient[k->patient];
    rad_query q = rad_query_start(st, SQL_CASE);
    rad_bind_int(&q, run);
    rad_bind_int(&q, position);
    rad_bind_int(&q, patient);
    rad_bind_index(&q, k->lesion < 0 ? -1 : ids->lesion[k->lesion]);
    rad_bind_text(&q, k->study ? k->study : "");
    rad_bind_index(&q, k->label);
    rad_status s = rad_query_int(&q, &case_id, err);
    if (s == RAD_OK)
        s = put_case_inputs(st, info, run, k, case_id, ids, err);
    int n_bad = 0;
    bool same = true;
    const rad_case_input *first = rad_case_verdict(job, info->cohort, info->manifest, k, 0);
    for (int m = 0; m < job->n_model; m++) {
        const rad_case_input *in = rad_case_verdict(job, info->cohort, info->manifest, k, m);
        n_bad += in->status != RAD_OK;
        same = same && in->status == first->status && strcmp(in->why ? in->why : "", first->why ? first->why : "") == 0;
    }
    if (n_bad == job->n_model && same && s == RAD_OK)
        s = put_intake(st, info, run, patient, case_id, -1, first, err);
    else
        for (int m = 0; m < job->n_model && s == RAD_OK; m++)
            if (rad_case_verdict(job, info->cohort, info->manifest, k, m)->status != RAD_OK)
                s = put_intake(st, info, run, patient, case_id, m, rad_case_verdict(job, info->cohort, info->manifest, k, m), err);
            else if (rad_case_scorer(job, k, m) != m)
                s = put_stand_in(st, run, case_id, job, m, rad_case_scorer(job, k, m), err);
    if (s != RAD_OK)
        return s;
    q = rad_query_start(st, SQL_WORK);
    rad_bind_int(&q, case_id);
    rad_bind_text(&q, n_bad == job->n_model ? "done" : "pending");
    return rad_query_exec(&q, err);
}

rad_status rad_rows_insert_run(struct rad_store *st, const rad_run_info *info, const char *identity, const rad_row_ids *ids,
                               int64_t *ret_run, rad_error *err) {
    int64_t run = 0;
    rad_status s = put_run(st, info, identity, &run, err);
    if (s == RAD_OK)
        s = put_declarations(st, info, run, err);
    if (s == RAD_OK)
        s = put_patients(st, info, run, ids, err);
    if (s == RAD_OK && info->manifest->split_warning) {
        rad_query q = rad_query_start(st, SQL_WARNING);
        rad_bind_int(&q, run);
        rad_bind_null(&q);
        rad_bind_text(&q, info->manifest->split_warning);
        s = rad_query_exec(&q, err);
    }
    for (int64_t i = 0; i < info->manifest->n_case && s == RAD_OK; i++)
        s = put_case(st, info, run, i, ids, err);
    for (int64_t i = 0; i < info->manifest->n_unused && s == RAD_OK; i++) {
        rad_query q = rad_query_start(st, SQL_UNUSED);
        rad_bind_int(&q, run);
        rad_bind_int(&q, ids->image[info->manifest->unused[i].image]);
        rad_bind_text(&q, info->manifest->unused[i].why ? info->manifest->unused[i].why : "");
        s = rad_query_exec(&q, err);
    }
    if (s == RAD_OK) {
        rad_query q = rad_query_start(st, SQL_NO_CASE);
        rad_bind_int(&q, run);
        rad_bind_text(&q, rad_status_reason(RAD_E_NOTFOUND));
        rad_bind_text(&q, info->job->case_unit == RAD_UNIT_LESION ? "lesion" : "image");
        s = rad_query_exec(&q, err);
    }
    if (s == RAD_OK)
        *ret_run = run;
    return s;
}

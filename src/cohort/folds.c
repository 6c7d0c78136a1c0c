/* folds.c: see folds.h. */
#include "radcohort/folds.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "arena.h"
#include "strmap.h"
#include "table.h"

static rad_status no_memory(rad_error *err) {
    return rad_error_set(err, RAD_E_NOMEM, "no memory for the folds of the job");
}

/* ---------------------------------------------------------------- numbering */

int rad_model_count_files(const rad_model_spec *m) {
    return m->folds > 0 ? m->folds + (m->mean_without_fold ? 1 : 0) : 1;
}

int rad_job_first_file(const rad_job *job, int model) {
    int n = 0;
    for (int i = 0; i < model; i++)
        n += rad_model_count_files(&job->model[i]);
    return n;
}

int rad_job_count_files(const rad_job *job) {
    return rad_job_first_file(job, job->n_model);
}

bool rad_job_file_is_mean(const rad_job *job, int file, int *ret_model) {
    int m = 0;
    while (m < job->n_model && file >= rad_model_count_files(&job->model[m]))
        file -= rad_model_count_files(&job->model[m++]);
    *ret_model = m;
    return m < job->n_model && job->model[m].folds > 0 && file == job->model[m].folds;
}

int rad_job_find_file(const rad_job *job, int model, int64_t first_fold, int64_t fold) {
    const rad_model_spec *m = &job->model[model];
    int first = rad_job_first_file(job, model);
    if (m->folds == 0)
        return first;
    if (fold >= first_fold && fold < first_fold + m->folds)
        return first + (int)(fold - first_fold);
    return fold < 0 && m->mean_without_fold ? first + m->folds : -1;
}

void rad_files_destroy(rad_files **fp) {
    rad_files *f = *fp;
    if (!f)
        return;
    for (int i = 0; f->text && i < 2 * f->job.n_model; i++)
        free(f->text[i]);
    free(f->text);
    free(f->job.model);
    free(f);
    *fp = NULL;
}

rad_status rad_files_create(const rad_job *job, const int64_t *first_fold, rad_files **ret, rad_error *err) {
    const int n = rad_job_count_files(job);
    rad_status st = RAD_OK;
    rad_files *f = rad_calloc(1, sizeof *f);
    if (!f)
        return no_memory(err);
    f->job = *job;
    f->job.n_model = n;
    f->job.model = rad_calloc((size_t)n, sizeof *f->job.model);
    f->text = rad_calloc(2 * (size_t)n, sizeof *f->text);
    if (!f->job.model || !f->text) {
        st = no_memory(err);
        goto out;
    }
    int at = 0;
    for (int m = 0; m < job->n_model; m++)
        for (int k = 0; k < rad_model_count_files(&job->model[m]); k++, at++) {
            const rad_model_spec *s = &job->model[m];
            rad_model_spec *d = &f->job.model[at];
            const bool mean = s->folds > 0 && k == s->folds;
            *d = *s;
            d->when_missing = 0;
            d->declared = m;
            d->folds = mean ? s->folds : 0;
            if (s->folds > 0) {
                f->text[2 * at] =
                    mean ? rad_asprintf("%s (mean of folds)", s->name) : rad_asprintf("%s (fold %" PRId64 ")", s->name, first_fold[m] + k);
                f->text[2 * at + 1] = mean ? rad_strdup(s->path) : rad_model_fold_text(s->path, first_fold[m] + k);
                d->name = f->text[2 * at];
                d->path = f->text[2 * at + 1];
                if (!d->name || !d->path) {
                    st = no_memory(err);
                    goto out;
                }
            }
        }
    *ret = f;
    f = NULL;
out:
    rad_files_destroy(&f);
    return st;
}

/* ---------------------------------------------------------------- patients */

static const char *patients_path(const rad_cohort *c) {
    return c->file[RAD_TABLE_PATIENTS] ? c->file[RAD_TABLE_PATIENTS] : c->dir;
}

/* Number of the first file when the patients leave it open: the file that is there. */
static rad_status first_by_file(const rad_model_spec *m, int64_t *ret, rad_error *err) {
    struct stat s;
    char *zero = rad_model_fold_text(m->path, 0);
    if (!zero)
        return no_memory(err);
    *ret = stat(zero, &s) == 0 ? 0 : 1;
    free(zero);
    return RAD_OK;
}

static rad_status bind_folds(const rad_cohort *c, const rad_job *job, int64_t *first_fold, rad_issues *issues, rad_error *err) {
    for (int m = 0; m < job->n_model; m++) {
        const rad_model_spec *s = &job->model[m];
        int64_t zero = -1, last = -1, n = 0, named = 0;
        first_fold[m] = 0;
        if (s->folds == 0)
            continue;
        for (int64_t p = 0; p < c->n_patient; p++) {
            const int64_t fold = c->patient[p].fold;
            n += fold >= 0;
            zero = fold == 0 && zero < 0 ? p : zero;
            last = fold == s->folds && last < 0 ? p : last;
            if (fold > s->folds && ++named <= RAD_FOLD_TROUBLE)
                rad_issues_add(issues, RAD_SEVERITY_ERROR, patients_path(c), c->patient[p].line, "fold",
                               "patient '%s' is in fold %" PRId64 ", but model '%s' has %d: folds are numbered 0 to %d or 1 to %d",
                               c->patient[p].id, fold, s->name, s->folds, s->folds - 1, s->folds);
        }
        if (named > RAD_FOLD_TROUBLE)
            rad_issues_add(issues, RAD_SEVERITY_ERROR, patients_path(c), 0, "fold", "and %" PRId64 " further patients in such folds",
                           named - RAD_FOLD_TROUBLE);
        if (zero >= 0 && last >= 0)
            rad_issues_add(issues, RAD_SEVERITY_ERROR, patients_path(c), c->patient[last].line, "fold",
                           "patient '%s' is in fold %d and patient '%s' in fold 0, but model '%s' has %d: folds are numbered 0 to %d or 1 "
                           "to %d",
                           c->patient[last].id, s->folds, c->patient[zero].id, s->name, s->folds, s->folds - 1, s->folds);
        else if (last >= 0)
            first_fold[m] = 1;
        else if (zero < 0) {
            rad_status st = first_by_file(s, &first_fold[m], err);
            if (st != RAD_OK)
                return st;
        }
        if (n == 0 && !s->mean_without_fold)
            rad_issues_add(issues, RAD_SEVERITY_ERROR, patients_path(c), 0, "fold",
                           "model '%s' has 'folds', but no patient has a fold: add the column (radcohort folds makes one), or write "
                           "'without_fold: mean'",
                           s->name);
    }
    return RAD_OK;
}

static const char *fold_text(const rad_covariate *v, int64_t n) {
    for (int64_t i = 0; i < n; i++)
        if (strcmp(v[i].name, "fold") == 0)
            return v[i].value;
    return NULL;
}

/* One row's fold against its patient's, which it sets when the patient has none. */
static void check_row(const rad_cohort *c, int which, int64_t line, int64_t patient, const char *text, rad_issues *issues) {
    rad_patient *p = &c->patient[patient];
    int64_t fold = -1;
    if (!text)
        return;
    if (!rad_parse_int(text, &fold) || fold < 0)
        rad_issues_add(issues, RAD_SEVERITY_ERROR, c->file[which], line, "fold", "'%.60s' is not a fold: expected a whole number, or n/a",
                       text);
    else if (p->fold < 0)
        p->fold = fold;
    else if (p->fold != fold)
        rad_issues_add(issues, RAD_SEVERITY_ERROR, c->file[which], line, "fold",
                       "patient '%s' is in fold %" PRId64 " and in fold %" PRId64
                       ": a patient who straddles folds is scored by a file that has seen him; folds are made of whole patients",
                       p->id, p->fold, fold);
}

void rad_folds_check_straddling(const rad_cohort *c, rad_issues *issues) {
    for (int64_t i = 0; i < c->n_lesion; i++)
        check_row(c, RAD_TABLE_LESIONS, c->lesion[i].line, c->lesion[i].patient,
                  fold_text(c->lesion[i].covariate, c->lesion[i].n_covariate), issues);
    for (int64_t i = 0; i < c->n_image; i++)
        check_row(c, RAD_TABLE_IMAGES, c->image[i].line, c->image[i].patient, fold_text(c->image[i].covariate, c->image[i].n_covariate),
                  issues);
}

/* ---------------------------------------------------------------- who was trained on */

enum { TRAINED_PATIENT, TRAINED_FOLD, TRAINED_FILE };
static const table_column trained_column[] = {
    {"patient", COLUMN_ID}, {"fold", COLUMN_OPTIONAL}, {"file", COLUMN_OPTIONAL}, {NULL, COLUMN_OPTIONAL}};
static const table_def trained_table = {"trained_on", trained_column, true, true};

/* seen [n_patient * n_place]: places are the model's files; one row of a table marks one of them or all. */
struct training {
    const rad_cohort *c;
    const rad_model_spec *m;
    const strmap *patient;
    int64_t first_fold;
    int n_place;
    bool *seen;
};

/* Is `file` the one with this number, as written or by its last part? */
static bool names_file(const rad_model_spec *m, int64_t number, const char *file, bool *ok) {
    char *text = rad_model_fold_text(m->file, number);
    *ok = *ok && text;
    const char *slash = text ? strrchr(text, '/') : NULL;
    bool same = text && (strcmp(text, file) == 0 || strcmp(slash ? slash + 1 : text, file) == 0);
    free(text);
    return same;
}

static rad_status trained_row(table *t, const table_row *row, rad_error *err) {
    struct training *k = t->payload;
    const char *fold = row->known[TRAINED_FOLD], *file = row->known[TRAINED_FILE];
    int64_t number = -1, which = -1;
    bool ok = true;
    if (!row->known[TRAINED_PATIENT])
        return RAD_OK;
    if (fold && (!rad_parse_int(fold, &number) || number < k->first_fold || number >= k->first_fold + k->n_place || k->m->folds == 0)) {
        table_mistake(t, RAD_SEVERITY_ERROR, row->line, "fold", "'%.60s' is no number of a file of model '%s'%s", fold, k->m->name,
                      k->m->folds ? "" : ", which has no folds");
        return RAD_OK;
    }
    if (fold)
        which = number - k->first_fold;
    if (file) {
        int at = 0;
        while (at < k->n_place && !names_file(k->m, k->first_fold + at, file, &ok))
            at++;
        if (!ok)
            return no_memory(err);
        if (at == k->n_place || (which >= 0 && which != at)) {
            table_mistake(t, RAD_SEVERITY_ERROR, row->line, "file", "'%.200s' is not the file of model '%s'%s", file, k->m->name,
                          which >= 0 ? " with that fold" : " with any fold");
            return RAD_OK;
        }
        which = at;
    }
    int64_t p = strmap_get(k->patient, &(strmap_key){.text = {row->known[TRAINED_PATIENT]}});
    for (int i = 0; p >= 0 && i < k->n_place; i++)
        if (which < 0 || which == i)
            k->seen[p * k->n_place + i] = true;
    return RAD_OK;
}

static rad_status read_training(struct training *k, rad_issues *issues, rad_error *err) {
    char *text = NULL;
    size_t size = 0;
    bool has[3] = {false};
    rad_error why = {0};
    rad_status st = rad_file_read(k->m->trained_on_path, RAD_MAX_TRAINED_BYTES, &text, &size, &why);
    if (st == RAD_E_NOMEM)
        return rad_error_set(err, st, "%s", why.text);
    if (st != RAD_OK) {
        rad_issues_add(issues, RAD_SEVERITY_ERROR, k->m->trained_on_path, 0, NULL, "model '%s': trained_on: %s", k->m->name, why.text);
        return RAD_OK;
    }
    table t = {.def = &trained_table, .file = k->m->trained_on_path, .issues = issues, .has = has, .payload = k, .row = trained_row};
    size_t n = strlen(k->m->trained_on_path);
    st = table_read(&t, text, size, n > 4 && strcmp(k->m->trained_on_path + n - 4, ".csv") == 0, err);
    free(text);
    return st;
}

/* Would a file that has seen him score a case of this patient for `wanted`? *ret_number: its number. */
static bool is_seen(const struct training *k, const rad_job *job, const rad_case *c, int model, int64_t *ret_number) {
    int first = rad_job_first_file(job, model);
    int file = rad_job_find_file(job, model, k->first_fold, k->c->patient[c->patient].fold);
    const bool *seen = &k->seen[c->patient * k->n_place];
    for (int i = 0; file >= 0 && i < k->n_place; i++)
        if (seen[i] && (file == first + i || file == first + k->n_place)) { /* the place after the last file is their mean */
            *ret_number = k->first_fold + i;
            return true;
        }
    return false;
}

static bool scores(const rad_job *job, const rad_case *c, int model) {
    if (c->input[job->model[model].input].status != RAD_OK)
        return false;
    for (int m = 0; m < job->n_model; m++)
        if (rad_case_scorer(job, c, m) == model)
            return true;
    return false;
}

static rad_status check_model(struct training *k, const rad_job *job, int model, const rad_manifest *m, rad_issues *issues,
                              rad_error *err) {
    const rad_cohort *c = k->c;
    /* a study that says openly that it divided less than patients is scored, and warned */
    const rad_severity severity = job->split == RAD_SPLIT_PATIENT ? RAD_SEVERITY_ERROR : RAD_SEVERITY_WARNING;
    int64_t named = 0, last = -1, number = 0;
    k->n_place = k->m->folds ? k->m->folds : 1;
    size_t n;
    if (!rad_mul_size((size_t)c->n_patient + 1, (size_t)k->n_place, &n) || !(k->seen = rad_calloc(n, sizeof *k->seen)))
        return no_memory(err);
    rad_status st = read_training(k, issues, err);
    for (int64_t i = 0; i < m->n_case && st == RAD_OK; i++) {
        const rad_case *item = &m->item[i];
        if (item->patient == last || !scores(job, item, model) || !is_seen(k, job, item, model, &number))
            continue;
        last = item->patient;
        if (++named > RAD_FOLD_TROUBLE)
            continue;
        char *file = rad_model_fold_text(k->m->file, number);
        if (!file)
            st = no_memory(err);
        else
            rad_issues_add(issues, severity, patients_path(c), c->patient[last].line, "patient",
                           "leakage: patient '%s' would be scored by '%s' (model '%s'), which was trained on him according to '%s'",
                           c->patient[last].id, file, k->m->name, k->m->trained_on);
        free(file);
    }
    if (named > RAD_FOLD_TROUBLE)
        rad_issues_add(issues, severity, patients_path(c), 0, "patient",
                       "leakage: %" PRId64 " further patients of model '%s' were trained on", named - RAD_FOLD_TROUBLE, k->m->name);
    free(k->seen);
    return st;
}

static rad_status check_training(const rad_cohort *c, const rad_job *job, const rad_manifest *m, rad_issues *issues, rad_error *err) {
    strmap patient = {0};
    rad_status st = RAD_OK;
    int64_t old;
    bool any = false;
    for (int i = 0; i < job->n_model; i++)
        any = any || job->model[i].trained_on_path;
    for (int64_t i = 0; any && i < c->n_patient; i++)
        RAD_TRY(strmap_put(&patient, &(strmap_key){.text = {c->patient[i].id}}, i, &old, err));
    for (int i = 0; i < job->n_model; i++) {
        struct training k = {.c = c, .m = &job->model[i], .patient = &patient, .first_fold = m->first_fold[i]};
        if (job->model[i].trained_on_path)
            RAD_TRY(check_model(&k, job, i, m, issues, err));
    }
out:
    strmap_release(&patient);
    return st;
}

/* ---------------------------------------------------------------- one case */

int rad_case_scorer(const rad_job *job, const rad_case *c, int model) {
    int other = job->model[model].when_missing - 1;
    if (other < 0 || c->input[job->model[model].input].status != RAD_E_CHANNEL || c->input[job->model[other].input].status != RAD_OK)
        return model;
    return other;
}

int rad_case_file(const rad_job *job, const rad_cohort *c, const rad_manifest *m, const rad_case *k, int model) {
    int scorer = rad_case_scorer(job, k, model);
    return rad_job_find_file(job, scorer, m->first_fold[scorer], c->patient[k->patient].fold);
}

const rad_case_input *rad_case_verdict(const rad_job *job, const rad_cohort *c, const rad_manifest *m, const rad_case *k, int model) {
    const rad_case_input *in = &k->input[job->model[rad_case_scorer(job, k, model)].input];
    return in->status == RAD_OK && rad_case_file(job, c, m, k, model) < 0 ? &m->no_fold : in;
}

rad_status rad_folds_check(const rad_cohort *c, const rad_job *job, rad_manifest *m, rad_issues *issues, rad_error *err) {
    m->no_fold.status = RAD_E_FOLD;
    m->no_fold.why = arena_strdup(m->arena, "the patient has no fold, and each file of the model may score one fold only");
    if (!m->no_fold.why)
        return no_memory(err);
    rad_status st = bind_folds(c, job, m->first_fold, issues, err);
    if (st == RAD_OK)
        st = check_training(c, job, m, issues, err);
    if (st == RAD_OK)
        st = rad_split_check(c, job, m, issues, err);
    return st;
}

/* split.c: what was divided at random when the data were split, and the warning that belongs to it. See folds.h. */
#include "radcohort/folds.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "arena.h"
#include "strmap.h"
#include "table.h"

enum { SPLIT_PATIENT, SPLIT_LESION, SPLIT_PART };
static const table_column split_column[] = {
    {"patient", COLUMN_ID}, {"lesion", COLUMN_OPTIONAL}, {"part", COLUMN_ID}, {NULL, COLUMN_OPTIONAL}};
static const table_def split_table = {"split", split_column, true, true};

enum { TRAINING = 1, TEST = 2 };

/* A patient or a lesion: in which parts it is (bits), and how many rows of the test part are its. */
typedef struct member {
    int parts;
    int64_t test;
    int64_t line; /* where it first was in a second part */
    const char *patient, *lesion;
} member;

typedef struct members {
    strmap at;
    member *item;
    int64_t n, cap;
} members;

typedef struct division {
    arena *texts;
    members patient, lesion;
    int64_t n, n_test, n_lesion_given;
} division;

static rad_status add(members *m, arena *texts, const char *patient, const char *lesion, int part, int64_t line, rad_error *err) {
    int64_t at = strmap_get(&m->at, &(strmap_key){.text = {patient, lesion}}), old;
    if (at < 0) {
        if (m->n == m->cap) {
            const int64_t cap = m->cap ? 2 * m->cap : 256;
            member *more = rad_realloc(m->item, (size_t)cap, sizeof *more);
            if (!more)
                return rad_error_set(err, RAD_E_NOMEM, "no memory for the split of the job");
            m->item = more;
            m->cap = cap;
        }
        char *p = arena_strdup(texts, patient), *l = lesion ? arena_strdup(texts, lesion) : NULL;
        if (!p || (lesion && !l))
            return rad_error_set(err, RAD_E_NOMEM, "no memory for the split of the job");
        m->item[m->n] = (member){.patient = p, .lesion = l};
        at = m->n++;
        rad_status st = strmap_put(&m->at, &(strmap_key){.text = {p, l}}, at, &old, err);
        if (st != RAD_OK)
            return st;
    }
    member *k = &m->item[at];
    if (k->parts && !(k->parts & part))
        k->line = line;
    k->parts |= part;
    k->test += part == TEST;
    return RAD_OK;
}

static rad_status split_row(table *t, const table_row *row, rad_error *err) {
    division *d = t->payload;
    const char *patient = row->known[SPLIT_PATIENT], *lesion = row->known[SPLIT_LESION], *part = row->known[SPLIT_PART];
    if (!patient || !part)
        return RAD_OK;
    int which = strcmp(part, "training") == 0 ? TRAINING : strcmp(part, "test") == 0 ? TEST : 0;
    if (!which) {
        table_mistake(t, RAD_SEVERITY_ERROR, row->line, "part", "'%.60s' is no part of a split: training or test", part);
        return RAD_OK;
    }
    d->n++;
    d->n_test += which == TEST;
    d->n_lesion_given += lesion != NULL;
    rad_status st = add(&d->patient, d->texts, patient, NULL, which, row->line, err);
    if (st == RAD_OK && lesion)
        st = add(&d->lesion, d->texts, patient, lesion, which, row->line, err);
    return st;
}

/* Rows of the test part whose patient (lesion) is in training, too. */
static int64_t count_leaked(const members *m) {
    int64_t n = 0;
    for (int64_t i = 0; i < m->n; i++)
        if (m->item[i].parts == (TRAINING | TEST))
            n += m->item[i].test;
    return n;
}

/* What was declared to be whole is not: the first few by name. */
static void check_whole(const rad_job *job, const members *m, const char *what, rad_issues *issues) {
    int64_t named = 0;
    for (int64_t i = 0; i < m->n; i++) {
        const member *k = &m->item[i];
        if (k->parts != (TRAINING | TEST) || ++named > RAD_FOLD_TROUBLE)
            continue;
        rad_issues_add(issues, RAD_SEVERITY_ERROR, job->split_table_path, k->line, "part",
                       "%s%s%s%s' is in training and in test, but the job says that %ss were divided: one of them is wrong",
                       k->lesion ? "lesion '" : "patient '", k->lesion ? k->lesion : k->patient, k->lesion ? "' of patient '" : "",
                       k->lesion ? k->patient : "", what);
    }
    if (named > RAD_FOLD_TROUBLE)
        rad_issues_add(issues, RAD_SEVERITY_ERROR, job->split_table_path, 0, "part", "%" PRId64 " further %ss are in training and in test",
                       named - RAD_FOLD_TROUBLE, what);
}

static const char *const UNIT[] = {"patients", "lesions", "images"};

static rad_status tell_table(const rad_job *job, const division *d, rad_manifest *m, rad_issues *issues, rad_error *err) {
    if (d->n_test == 0 || d->n_test == d->n) {
        rad_issues_add(issues, RAD_SEVERITY_ERROR, job->split_table_path, 0, "part",
                       "all %" PRId64 " rows are of one part: a split has two", d->n);
        return RAD_OK;
    }
    if (d->n_lesion_given < d->n && (d->n_lesion_given > 0 || job->split == RAD_SPLIT_LESION)) {
        rad_issues_add(issues, RAD_SEVERITY_ERROR, job->split_table_path, 0, "lesion", "%" PRId64 " of %" PRId64 " rows name no lesion",
                       d->n - d->n_lesion_given, d->n);
        return RAD_OK;
    }
    if (job->split == RAD_SPLIT_PATIENT) {
        check_whole(job, &d->patient, "patient", issues);
        return RAD_OK;
    }
    if (job->split == RAD_SPLIT_LESION)
        check_whole(job, &d->lesion, "lesion", issues);
    char of[160] = "", leaked[160];
    if (d->lesion.n > 0 && job->split == RAD_SPLIT_IMAGE)
        snprintf(of, sizeof of, " of %" PRId64 " lesions (%.1f each)", d->lesion.n, (double)d->n / (double)d->lesion.n);
    if (d->lesion.n > 0 && job->split == RAD_SPLIT_IMAGE)
        snprintf(leaked, sizeof leaked, "%" PRId64 " are of lesions, and %" PRId64 " of patients,", count_leaked(&d->lesion),
                 count_leaked(&d->patient));
    else
        snprintf(leaked, sizeof leaked, "%" PRId64 " are of patients", count_leaked(&d->patient));
    m->split_warning =
        arena_printf(m->arena,
                     "leakage: the split was made over %s: %" PRId64 "%s in %" PRId64 " patients (%.1f each); of %" PRId64
                     " in the test part %s that are in training, too, and every number of this run may be too good; split by patient",
                     UNIT[job->split], d->n, of, d->patient.n, (double)d->n / (double)d->patient.n, d->n_test, leaked);
    return m->split_warning ? RAD_OK : rad_error_set(err, RAD_E_NOMEM, "no memory for the split of the job");
}

static rad_status read_table(const rad_job *job, rad_manifest *m, rad_issues *issues, rad_error *err) {
    const char *path = job->split_table_path;
    char *text = NULL;
    size_t size = 0, n = strlen(path);
    bool has[3] = {false};
    const int64_t before = issues->n_error;
    rad_error why = {0};
    rad_status st = rad_file_read(path, RAD_MAX_TRAINED_BYTES, &text, &size, &why);
    if (st == RAD_E_NOMEM)
        return rad_error_set(err, st, "%s", why.text);
    if (st != RAD_OK) {
        rad_issues_add(issues, RAD_SEVERITY_ERROR, path, 0, NULL, "split: table: %s", why.text);
        return RAD_OK;
    }
    division d = {.texts = m->arena};
    table t = {.def = &split_table, .file = path, .issues = issues, .has = has, .payload = &d, .row = split_row};
    st = table_read(&t, text, size, n > 4 && strcmp(path + n - 4, ".csv") == 0, err);
    free(text);
    if (st == RAD_OK && issues->n_error == before)
        st = tell_table(job, &d, m, issues, err);
    strmap_release(&d.patient.at);
    strmap_release(&d.lesion.at);
    free(d.patient.item);
    free(d.lesion.item);
    return st;
}

rad_status rad_split_check(const rad_cohort *c, const rad_job *job, rad_manifest *m, rad_issues *issues, rad_error *err) {
    rad_status st = RAD_OK;
    if (job->split_table_path) {
        st = read_table(job, m, issues, err);
    } else if (job->split != RAD_SPLIT_PATIENT) {
        const int64_t n = job->split == RAD_SPLIT_IMAGE ? c->n_image : c->n_lesion;
        m->split_warning =
            arena_printf(m->arena,
                         "leakage: the split was made over %s, %" PRId64 " of %" PRId64
                         " patients (%.1f each): %s of one patient lie in training and in "
                         "test, and every number of this run may be too good; split by patient",
                         UNIT[job->split], n, c->n_patient, c->n_patient > 0 ? (double)n / (double)c->n_patient : 0, UNIT[job->split]);
        if (!m->split_warning)
            st = rad_error_set(err, RAD_E_NOMEM, "no memory for the split of the job");
    }
    if (st == RAD_OK && m->split_warning)
        rad_issues_add(issues, RAD_SEVERITY_WARNING, job->path, 0, "split", "%s", m->split_warning);
    return st;
}

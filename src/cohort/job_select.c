/* job_select.c: which patients a job is about: the rule as the job states it, and who falls under it. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "arena.h"
#include "job_input.h"
#include "select.h"

void job_read_select(yaml_reader *r, const yaml_node_t *node, const yaml_where *root, rad_job *job) {
    const key_def *key = &job_group.key[JOB_SELECT], *k = key->group->key;
    const yaml_node_t *item[RAD_MAX_SELECTS], *text[RAD_MAX_SELECT_VALUES];
    yaml_where where = yaml_where_key(root, key->name);
    int n = yaml_get_items(r, node, key, &where, item);
    for (int i = 0; i < n; i++) {
        const yaml_node_t *v[JOB_MAX_KEYS] = {NULL};
        yaml_where w = yaml_where_item(&where, i), wc = yaml_where_key(&w, "column"), wv = yaml_where_key(&w, "values");
        rad_select *s = &job->select[job->n_select];
        if (!yaml_get_map(r, item[i], key, key->group, &w, v) || !yaml_get_text(r, v[SELECT_COLUMN], &k[SELECT_COLUMN], &wc, &s->column))
            continue;
        for (int j = 0; j < job->n_select; j++)
            if (strcmp(job->select[j].column, s->column) == 0)
                yaml_mistake(r, RAD_SEVERITY_ERROR, v[SELECT_COLUMN], "column '%s' is listed twice in '%s': one list of values per column",
                             s->column, key->name);
        int n_value = yaml_get_items(r, v[SELECT_VALUES], &k[SELECT_VALUES], &wv, text);
        for (int j = 0; j < n_value; j++) {
            yaml_where wi = yaml_where_item(&wv, j);
            s->n_value += yaml_get_text(r, text[j], &k[SELECT_VALUES], &wi, &s->value[s->n_value]);
        }
        job->n_select++;
    }
}

/* ---------------------------------------------------------------- the cohort */

/* A patient's value of a column of patients.tsv; NULL: it has none. `number`: room for one that is kept as a number. */
static const char *value_of(const rad_cohort *c, const rad_patient *p, const char *column, char number[24]) {
    if (strcmp(column, "patient") == 0)
        return p->id;
    if (strcmp(column, "center") == 0)
        return c->center[p->center].id;
    if (strcmp(column, "label") == 0)
        return p->label;
    if (strcmp(column, "sex") == 0)
        return p->sex;
    if (strcmp(column, "fold") == 0) {
        snprintf(number, 24, "%" PRId64, p->fold);
        return p->fold < 0 ? NULL : number;
    }
    for (int64_t i = 0; i < p->n_covariate; i++)
        if (strcmp(p->covariate[i].name, column) == 0)
            return p->covariate[i].value;
    return NULL;
}

static bool among(const rad_select *s, const char *value, bool *used) {
    for (int i = 0; value && i < s->n_value; i++)
        if (strcmp(s->value[i], value) == 0) {
            used[i] = true;
            return true;
        }
    return false;
}

static const char *reason(arena *a, const rad_select *s, const char *value) {
    return value ? arena_printf(a, "not selected: column '%.60s' is '%.60s'", s->column, value)
                 : arena_printf(a, "not selected: column '%.60s' is empty", s->column);
}

/* A column that no patient has, and a value that none has, are slips of the pen. */
static void tell_unused(const rad_cohort *c, const rad_select *s, bool any, const bool *used, rad_issues *issues) {
    const char *file = c->file[RAD_TABLE_PATIENTS] ? c->file[RAD_TABLE_PATIENTS] : c->dir;
    if (!any)
        rad_issues_add(issues, RAD_SEVERITY_ERROR, file, 0, s->column,
                       "the job selects patients by column '%.60s', which no patient has a value of (age cannot select)", s->column);
    for (int i = 0; any && i < s->n_value; i++)
        if (!used[i])
            rad_issues_add(issues, RAD_SEVERITY_WARNING, file, 0, s->column, "the job selects '%.60s', which no patient has", s->value[i]);
}

rad_status rad_select_patients(const rad_cohort *c, const rad_job *job, arena *a, rad_manifest *m, rad_issues *issues, rad_error *err) {
    const char **why = arena_alloc(a, (size_t)c->n_patient + 1, sizeof *why);
    if (!why)
        return rad_error_set(err, RAD_E_NOMEM, "no memory for the selection of patients");
    for (int s = 0; s < job->n_select; s++) {
        bool used[RAD_MAX_SELECT_VALUES] = {false}, any = false;
        for (int64_t i = 0; i < c->n_patient; i++) {
            char number[24];
            const char *value = value_of(c, &c->patient[i], job->select[s].column, number);
            any = any || value;
            if (among(&job->select[s], value, used) || why[i])
                continue;
            why[i] = reason(a, &job->select[s], value);
            if (!why[i])
                return rad_error_set(err, RAD_E_NOMEM, "no memory for the selection of patients");
        }
        tell_unused(c, &job->select[s], any, used, issues);
    }
    for (int64_t i = 0; i < c->n_patient; i++)
        m->n_unselected += why[i] != NULL;
    m->unselected = why;
    return RAD_OK;
}

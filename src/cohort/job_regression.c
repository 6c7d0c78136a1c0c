/* job_regression.c: the logistic regressions that a job wants, and whether the cohort has their predictors. */
#include <string.h>

#include "job_input.h"
#include "select.h"

/* "score:NAME" names a model. */
static void check_model(yaml_reader *r, const yaml_node_t *node, const yaml_where *where, const char *predictor, const rad_job *job) {
    const char *known[RAD_MAX_MODELS + 1], *wanted = predictor + strlen(RAD_SCORE_OF);
    int n = 0;
    for (int i = 0; i < job->n_model; i++) {
        if (!job->model[i].name) /* told already */
            continue;
        if (strcmp(job->model[i].name, wanted) == 0)
            return;
        known[n++] = job->model[i].name;
    }
    known[n] = NULL;
    const char *near = rad_nearest_word(wanted, known);
    yaml_mistake(r, RAD_SEVERITY_ERROR, node, "'%s' is the score of model '%.64s', but there is no such model%s%s%s", where->text, wanted,
                 near ? ": did you mean '" : "", near ? near : "", near ? "'?" : "");
}

void job_read_regressions(yaml_reader *r, const yaml_node_t *node, const yaml_where *root, rad_job *job) {
    const key_def *key = &job_group.key[JOB_REGRESSIONS], *k = key->group->key;
    const yaml_node_t *item[RAD_MAX_REGRESSIONS], *text[RAD_MAX_PREDICTORS];
    yaml_where where = yaml_where_key(root, key->name);
    int n = yaml_get_items(r, node, key, &where, item);
    for (int i = 0; i < n; i++) {
        const yaml_node_t *v[JOB_MAX_KEYS] = {NULL};
        yaml_where w = yaml_where_item(&where, i), wn = yaml_where_key(&w, "name"), wp = yaml_where_key(&w, "predictors");
        rad_regression *g = &job->regression[job->n_regression];
        if (!yaml_get_map(r, item[i], key, key->group, &w, v) || !yaml_get_text(r, v[REGRESSION_NAME], &k[REGRESSION_NAME], &wn, &g->name))
            continue;
        for (int j = 0; j < job->n_regression; j++)
            if (strcmp(job->regression[j].name, g->name) == 0)
                yaml_mistake(r, RAD_SEVERITY_ERROR, v[REGRESSION_NAME], "regression '%s' is listed twice", g->name);
        int n_text = yaml_get_items(r, v[REGRESSION_PREDICTORS], &k[REGRESSION_PREDICTORS], &wp, text);
        for (int j = 0; j < n_text; j++) {
            yaml_where wi = yaml_where_item(&wp, j);
            char **p = &g->predictor[g->n_predictor];
            if (!yaml_get_text(r, text[j], &k[REGRESSION_PREDICTORS], &wi, p))
                continue;
            if (strncmp(*p, RAD_SCORE_OF, strlen(RAD_SCORE_OF)) == 0)
                check_model(r, text[j], &wi, *p, job);
            for (int o = 0; o < g->n_predictor; o++)
                if (strcmp(g->predictor[o], *p) == 0)
                    yaml_mistake(r, RAD_SEVERITY_ERROR, text[j], "predictor '%s' is listed twice in regression '%s'", *p, g->name);
            g->n_predictor++;
        }
        job->n_regression++;
    }
}

/* ---------------------------------------------------------------- the cohort */

static bool among(const rad_covariate *c, int64_t n, const char *name) {
    for (int64_t i = 0; i < n; i++)
        if (strcmp(c[i].name, name) == 0)
            return true;
    return false;
}

static bool has_predictor(const rad_cohort *c, bool lesions, const char *name) {
    if (strcmp(name, "score") == 0 || strncmp(name, RAD_SCORE_OF, strlen(RAD_SCORE_OF)) == 0 || strcmp(name, "age") == 0 ||
        strcmp(name, "sex") == 0 || (lesions && strcmp(name, "size_mm") == 0))
        return true;
    for (int64_t i = 0; i < c->n_patient; i++)
        if (among(c->patient[i].covariate, c->patient[i].n_covariate, name))
            return true;
    for (int64_t i = 0; lesions && i < c->n_lesion; i++)
        if (among(c->lesion[i].covariate, c->lesion[i].n_covariate, name))
            return true;
    return false;
}

void rad_regressions_check(const rad_cohort *c, const rad_job *job, rad_issues *issues) {
    const bool lesions = job->case_unit == RAD_UNIT_LESION;
    for (int i = 0; i < job->n_regression; i++)
        for (int k = 0; k < job->regression[i].n_predictor; k++)
            if (!has_predictor(c, lesions, job->regression[i].predictor[k]))
                rad_issues_add(issues, RAD_SEVERITY_ERROR, c->dir, 0, job->regression[i].predictor[k],
                               "regression '%s' wants '%.60s', which is no column of %s with a value (predictors: score, score:MODEL, age, "
                               "sex%s, further columns)",
                               job->regression[i].name, job->regression[i].predictor[k],
                               lesions ? "lesions.tsv or patients.tsv" : "patients.tsv", lesions ? ", size_mm" : "");
}

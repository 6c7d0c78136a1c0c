/* job_ordinal.c: the key `ordinal`: classes that are grades. */
#include "job_input.h"

#include <string.h>

/* Are the names whole numbers that follow each other? Then *ret is the first. */
static bool numbered(const rad_job *job, int64_t *ret) {
    for (int i = 0; i < job->n_class; i++) {
        int64_t v;
        if (!rad_parse_int(job->class_name[i], &v) || (i > 0 && v != *ret + i) || v < -RAD_MAX_GRADE || v > RAD_MAX_GRADE)
            return false;
        if (i == 0)
            *ret = v;
    }
    return job->n_class > 0;
}

void job_read_ordinal(yaml_reader *r, const yaml_node_t *node, const key_def *key, const yaml_where *root, rad_job *job) {
    int64_t first = 1;
    yaml_where w = yaml_where_key(root, key->name);
    if (!node || !yaml_get_bool(r, node, key, &w, &job->ordinal) || !job->ordinal)
        return;
    job->first_grade = numbered(job, &first) ? first : 1;
    if (job->n_class == 2)
        yaml_mistake(r, RAD_SEVERITY_ERROR, node, "'%s' is for three grades and more: two classes are in order anyway", key->name);
    for (int i = 0; i < job->n_model; i++)
        if (job->model[i].activation == RAD_ACT_SIGMOID)
            yaml_mistake(
                r, RAD_SEVERITY_ERROR, node,
                "'%s' needs probabilities of the classes that sum to 1, for the expected grade; model '%s' ends in a sigmoid per class",
                key->name, job->model[i].name ? job->model[i].name : "");
    const char *const rule[] = {job->lesion_rule, job->patient_rule};
    for (int i = 0; i < 2; i++)
        if (strcmp(rule[i], "noisy-or") == 0 || strcmp(rule[i], "majority") == 0)
            yaml_mistake(r, RAD_SEVERITY_ERROR, node,
                         "'%s' gives an expected grade, which 'aggregate' cannot bring together by %s: take max, mean, median or top-K",
                         key->name, rule[i]);
}

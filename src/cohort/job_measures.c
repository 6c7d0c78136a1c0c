/* job_measures.c: the keys that say what is counted and who may score whom: folds, aggregation, collapse of classes, operating points,
 * split. */
#include "job_input.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---------------------------------------------------------------- folds */

static int count_marks(const char *file) {
    int n = 0;
    for (const char *at = strstr(file, RAD_FOLD_MARK); at; at = strstr(at + 1, RAD_FOLD_MARK))
        n++;
    return n;
}

static char *resolve(yaml_reader *r, const char *dir, const char *file) {
    char *path = rad_path_join(dir, file), *kept = path ? arena_strdup(r->arena, path) : NULL;
    free(path);
    if (!kept)
        r->st = RAD_E_NOMEM;
    return kept;
}

void job_read_folds(yaml_reader *r, const yaml_node_t *const *v, const key_def *k, const yaml_where *w, const char *dir,
                    rad_model_spec *m) {
    int64_t folds = 0;
    int without = 0;
    bool given = yaml_get_int(r, v[MODEL_FOLDS], &k[MODEL_FOLDS], &w[MODEL_FOLDS], &folds);
    if (yaml_get_word(r, v[MODEL_WITHOUT_FOLD], &k[MODEL_WITHOUT_FOLD], &w[MODEL_WITHOUT_FOLD], &without))
        m->mean_without_fold = without == 1;
    if (yaml_get_text(r, v[MODEL_TRAINED_ON], &k[MODEL_TRAINED_ON], &w[MODEL_TRAINED_ON], &m->trained_on))
        m->trained_on_path = resolve(r, dir, m->trained_on);
    m->folds = given ? (int)folds : 0;
    int marks = m->file ? count_marks(m->file) : 0;
    if (given && m->file && marks != 1)
        yaml_mistake(r, RAD_SEVERITY_ERROR, v[MODEL_FILE],
                     "'%s' is '%.100s', but with 'folds' it names %lld files: write '" RAD_FOLD_MARK
                     "' once where their number stands; for example: models/fold" RAD_FOLD_MARK ".onnx",
                     w[MODEL_FILE].text, m->file, (long long)folds);
    if (!v[MODEL_FOLDS] && marks > 0)
        yaml_mistake(r, RAD_SEVERITY_ERROR, v[MODEL_FILE],
                     "'%s' has '" RAD_FOLD_MARK "', but the model has no 'folds': say how many files there are; for example: folds: 10",
                     w[MODEL_FILE].text);
    if (!v[MODEL_FOLDS] && v[MODEL_WITHOUT_FOLD])
        yaml_mistake(r, RAD_SEVERITY_ERROR, v[MODEL_WITHOUT_FOLD], "'%s' is for models with 'folds'", w[MODEL_WITHOUT_FOLD].text);
    if (given && v[MODEL_SHA256])
        yaml_mistake(r, RAD_SEVERITY_ERROR, v[MODEL_SHA256],
                     "'%s' pins one file, and with 'folds' there are %lld: leave it out; the hash of every file is recorded with the run",
                     w[MODEL_SHA256].text, (long long)folds);
}

/* ---------------------------------------------------------------- aggregation */

/* The rules of rad_rule_parse (src/stats), which a job file is read without. */
static bool is_rule(const char *s) {
    static const char *const NAME[] = {"max", "mean", "median", "noisy-or", "majority"};
    int64_t k;
    for (size_t i = 0; i < sizeof NAME / sizeof *NAME; i++)
        if (strcmp(s, NAME[i]) == 0)
            return true;
    return strncmp(s, "top-", 4) == 0 && s[4] >= '1' && s[4] <= '9' && rad_parse_int(s + 4, &k) && k <= RAD_MAX_TOP;
}

static void read_rule(yaml_reader *r, const yaml_node_t *node, const key_def *key, const yaml_where *where, const rad_job *job,
                      char ret[RAD_MAX_RULE]) {
    char *rule = NULL;
    if (!yaml_get_text(r, node, key, where, &rule))
        return;
    if (!is_rule(rule)) {
        yaml_mistake(r, RAD_SEVERITY_ERROR, node,
                     "'%s' is '%.60s', expected max, mean, median, noisy-or, majority or top-K (the mean of the K highest, 1 to %d; "
                     "for example: top-3)",
                     where->text, rule, RAD_MAX_TOP);
        return;
    }
    snprintf(ret, RAD_MAX_RULE, "%s", rule);
    for (int i = 0; strcmp(rule, "noisy-or") == 0 && i < job->n_model; i++)
        if (job->model[i].activation == RAD_ACT_NONE)
            yaml_mistake(r, RAD_SEVERITY_ERROR, node,
                         "'%s' is noisy-or, which is for probabilities, but model '%s' has activation none: use softmax or sigmoid, or "
                         "another rule",
                         where->text, job->model[i].name ? job->model[i].name : "?");
}

/* A threshold beyond all scores makes one call of everybody: a slip of the pen, or a threshold of logits. */
static void check_reached(yaml_reader *r, const yaml_node_t *node, const yaml_where *where, const rad_job *job, double threshold) {
    bool logits = job->n_model == 0;
    for (int i = 0; i < job->n_model; i++)
        logits = logits || job->model[i].activation == RAD_ACT_NONE;
    if (!logits && (threshold < 0 || threshold > 1))
        yaml_mistake(r, RAD_SEVERITY_ERROR, node,
                     "'%s' is %.6g, but softmax and sigmoid make scores from 0 to 1: give a share such as 0.5; a threshold of what the "
                     "network itself puts out needs 'activation: none' at its model",
                     where->text, threshold);
}

static void read_aggregate(yaml_reader *r, const yaml_node_t *node, const yaml_where *root, rad_job *job) {
    const key_def *key = &job_group.key[JOB_AGGREGATE], *k = key->group->key;
    const yaml_node_t *v[JOB_MAX_KEYS] = {NULL};
    yaml_where where = yaml_where_key(root, key->name);
    if (node && !yaml_get_map(r, node, key, key->group, &where, v))
        return;
    yaml_where wl = yaml_where_key(&where, "lesion"), wp = yaml_where_key(&where, "patient"), wv = yaml_where_key(&where, "vote_threshold");
    read_rule(r, v[AGGREGATE_LESION], &k[AGGREGATE_LESION], &wl, job, job->lesion_rule);
    read_rule(r, v[AGGREGATE_PATIENT], &k[AGGREGATE_PATIENT], &wp, job, job->patient_rule);
    yaml_get_number(r, v[AGGREGATE_VOTE], &k[AGGREGATE_VOTE], &wv, &job->vote_threshold);
    if (v[AGGREGATE_VOTE])
        check_reached(r, v[AGGREGATE_VOTE], &wv, job, job->vote_threshold);
}

/* ---------------------------------------------------------------- collapse */

static void read_members(yaml_reader *r, const yaml_node_t *node, const key_def *key, const yaml_where *where, const rad_job *job,
                         rad_endpoint *e) {
    const yaml_node_t *item[RAD_MAX_CLASSES];
    const char *known[RAD_MAX_CLASSES + 1];
    int n = yaml_get_items(r, node, key, where, item);
    for (int i = 0; i < job->n_class; i++)
        known[i] = job->class_name[i];
    known[job->n_class] = NULL;
    for (int i = 0; i < n; i++) {
        yaml_where w = yaml_where_item(where, i);
        char *name = NULL;
        int c = 0;
        if (!yaml_get_text(r, item[i], key, &w, &name))
            continue;
        while (known[c] && strcmp(known[c], name) != 0)
            c++;
        const char *near = known[c] ? NULL : rad_nearest_word(name, known);
        if (!known[c])
            yaml_mistake(r, RAD_SEVERITY_ERROR, item[i], "'%s' is '%s', which is no class%s%s%s", w.text, name,
                         near ? ": did you mean '" : "", near ? near : "", near ? "'?" : "");
        else if (e->of & (uint64_t)1 << c)
            yaml_mistake(r, RAD_SEVERITY_ERROR, item[i], "class '%s' is listed twice in '%s'", name, where->text);
        else
            e->of |= (uint64_t)1 << c;
    }
    if (n > 0 && n == job->n_class)
        yaml_mistake(r, RAD_SEVERITY_ERROR, node, "'%s' has all classes: there would be nothing to tell apart", where->text);
}

static void read_collapse(yaml_reader *r, const yaml_node_t *node, const yaml_where *root, rad_job *job) {
    const key_def *key = &job_group.key[JOB_COLLAPSE], *k = key->group->key;
    const yaml_node_t *item[RAD_MAX_ENDPOINTS];
    yaml_where where = yaml_where_key(root, key->name);
    int n = yaml_get_items(r, node, key, &where, item);
    if (n > 0 && job->n_class > 0 && job->n_class < 3)
        yaml_mistake(r, RAD_SEVERITY_ERROR, node, "'%s' makes two classes out of more, this job has two: leave it out", key->name);
    for (int i = 0; i < n; i++) {
        const yaml_node_t *v[JOB_MAX_KEYS] = {NULL};
        yaml_where w = yaml_where_item(&where, i), wn = yaml_where_key(&w, "name"), wo = yaml_where_key(&w, "of");
        yaml_where wr = yaml_where_key(&w, "rule");
        rad_endpoint e = {0};
        int rule = 0;
        if (!yaml_get_map(r, item[i], key, key->group, &w, v))
            continue;
        yaml_get_text(r, v[COLLAPSE_NAME], &k[COLLAPSE_NAME], &wn, &e.name);
        read_members(r, v[COLLAPSE_OF], &k[COLLAPSE_OF], &wo, job, &e);
        if (yaml_get_word(r, v[COLLAPSE_RULE], &k[COLLAPSE_RULE], &wr, &rule))
            e.argmax = rule == 1;
        bool taken = false;
        for (int c = 0; e.name && c < job->n_class; c++)
            taken = taken || strcmp(job->class_name[c], e.name) == 0;
        for (int j = 0; e.name && j < job->n_endpoint; j++)
            taken = taken || strcmp(job->endpoint[j].name, e.name) == 0;
        if (taken)
            yaml_mistake(r, RAD_SEVERITY_ERROR, v[COLLAPSE_NAME], "'%s' is '%s', a name that a class or another endpoint has already",
                         wn.text, e.name);
        else if (e.name)
            job->endpoint[job->n_endpoint++] = e;
    }
}

/* ---------------------------------------------------------------- operating points */

const char *rad_tune_name(rad_tune t) {
    static const char *const NAME[] = {NULL, "youden", "sensitivity", "specificity"};
    return NAME[t];
}

static void read_tuning(yaml_reader *r, const yaml_node_t *node, const yaml_node_t *const *v, const key_def *k, const yaml_where *w,
                        const rad_job *job, rad_operating_point *p) {
    int word = 0, n = 0;
    char *model = NULL;
    for (int i = POINT_THRESHOLD; i <= POINT_SPECIFICITY; i++)
        n += v[i] != NULL;
    if (n != 1)
        yaml_mistake(r, RAD_SEVERITY_ERROR, node,
                     "'%s' needs one of 'threshold', 'tune', 'sensitivity' and 'specificity'; for example: {name: half, threshold: 0.5}",
                     w->text);
    yaml_where at[POINT_COUNT];
    for (int i = 0; i < POINT_COUNT; i++)
        at[i] = yaml_where_key(w, k[i].name);
    p->threshold = NAN;
    if (v[POINT_THRESHOLD]) {
        yaml_get_number(r, v[POINT_THRESHOLD], &k[POINT_THRESHOLD], &at[POINT_THRESHOLD], &p->threshold);
        check_reached(r, v[POINT_THRESHOLD], &at[POINT_THRESHOLD], job, p->threshold);
    } else if (v[POINT_TUNE] && yaml_get_word(r, v[POINT_TUNE], &k[POINT_TUNE], &at[POINT_TUNE], &word))
        p->tune = RAD_TUNE_YOUDEN;
    else if (v[POINT_SENSITIVITY] && yaml_get_number(r, v[POINT_SENSITIVITY], &k[POINT_SENSITIVITY], &at[POINT_SENSITIVITY], &p->target))
        p->tune = RAD_TUNE_SENSITIVITY;
    else if (v[POINT_SPECIFICITY] && yaml_get_number(r, v[POINT_SPECIFICITY], &k[POINT_SPECIFICITY], &at[POINT_SPECIFICITY], &p->target))
        p->tune = RAD_TUNE_SPECIFICITY;
    for (int i = POINT_TUNED_ON; i <= POINT_MODEL; i++)
        if (v[POINT_THRESHOLD] && v[i])
            yaml_mistake(r, RAD_SEVERITY_ERROR, v[i], "'%s' is for thresholds that are tuned, this one is given", at[i].text);
    if (yaml_get_word(r, v[POINT_TUNED_ON], &k[POINT_TUNED_ON], &at[POINT_TUNED_ON], &word))
        p->tuned_external = word == 1;
    if (!v[POINT_MODEL] || !yaml_get_text(r, v[POINT_MODEL], &k[POINT_MODEL], &at[POINT_MODEL], &model))
        return;
    for (int i = 0; i < job->n_model; i++)
        if (job->model[i].name && strcmp(job->model[i].name, model) == 0)
            p->tuned_model = i + 1;
    const char *known[RAD_MAX_MODELS + 1];
    for (int i = 0; i < job->n_model; i++)
        known[i] = job->model[i].name ? job->model[i].name : "";
    known[job->n_model] = NULL;
    const char *near = rad_nearest_word(model, known);
    if (p->tuned_model == 0)
        yaml_mistake(r, RAD_SEVERITY_ERROR, v[POINT_MODEL], "'%s' is '%s', but there is no such model%s%s%s", at[POINT_MODEL].text, model,
                     near ? ": did you mean '" : ": name one of 'models', or leave it out", near ? near : "", near ? "'?" : "");
}

static void read_points(yaml_reader *r, const yaml_node_t *node, const yaml_where *root, rad_job *job) {
    const key_def *key = &job_group.key[JOB_POINTS], *k = key->group->key;
    const yaml_node_t *item[RAD_MAX_POINTS];
    yaml_where where = yaml_where_key(root, key->name);
    int n = yaml_get_items(r, node, key, &where, item);
    if (n > 0 && job->n_class > 2 && job->n_endpoint == 0)
        yaml_mistake(r, RAD_SEVERITY_ERROR, node,
                     "'%s' are thresholds of one score, this job has %d classes: leave them out, or make two classes with 'collapse'",
                     key->name, job->n_class);
    for (int i = 0; i < n; i++) {
        const yaml_node_t *v[JOB_MAX_KEYS] = {NULL};
        yaml_where w = yaml_where_item(&where, i), wn = yaml_where_key(&w, "name");
        if (!yaml_get_map(r, item[i], key, key->group, &w, v))
            continue;
        rad_operating_point p = {0};
        bool named = yaml_get_text(r, v[POINT_NAME], &k[POINT_NAME], &wn, &p.name);
        read_tuning(r, item[i], v, k, &w, job, &p);
        if (!named)
            continue;
        for (int j = 0; j < job->n_point; j++)
            if (strcmp(job->point[j].name, p.name) == 0)
                yaml_mistake(r, RAD_SEVERITY_ERROR, v[POINT_NAME], "operating point '%s' is listed twice", p.name);
        job->point[job->n_point++] = p;
    }
}

/* ---------------------------------------------------------------- split */

static void read_split(yaml_reader *r, const yaml_node_t *node, const yaml_where *root, const char *dir, rad_job *job) {
    const key_def *key = &job_group.key[JOB_SPLIT], *k = key->group->key;
    const yaml_node_t *v[JOB_MAX_KEYS] = {NULL};
    yaml_where where = yaml_where_key(root, key->name), wu = yaml_where_key(&where, "unit"), wt = yaml_where_key(&where, "table");
    int unit = 0;
    if (!node || !yaml_get_map(r, node, key, key->group, &where, v))
        return;
    if (yaml_get_word(r, v[SPLIT_UNIT], &k[SPLIT_UNIT], &wu, &unit))
        job->split = (rad_split)unit;
    if (yaml_get_text(r, v[SPLIT_TABLE], &k[SPLIT_TABLE], &wt, &job->split_table))
        job->split_table_path = resolve(r, dir, job->split_table);
}

void job_read_measures(yaml_reader *r, const yaml_node_t *const *v, const yaml_where *root, const char *dir, rad_job *job) {
    read_aggregate(r, v[JOB_AGGREGATE], root, job);
    read_collapse(r, v[JOB_COLLAPSE], root, job);
    read_points(r, v[JOB_POINTS], root, job);
    read_split(r, v[JOB_SPLIT], root, dir, job);
    const key_def *key = &job_group.key[JOB_NEAR_COPIES];
    yaml_where w = yaml_where_key(root, key->name);
    int word = 0;
    if (yaml_get_word(r, v[JOB_NEAR_COPIES], key, &w, &word))
        job->near_copies = (rad_near_copies)word;
}

char *rad_model_fold_text(const char *pattern, int64_t number) {
    const char *at = NULL;
    for (const char *next = strstr(pattern, RAD_FOLD_MARK); next; next = strstr(next + 1, RAD_FOLD_MARK))
        at = next; /* the last one: a folder above the job may have braces in its name */
    if (!at)
        return rad_strdup(pattern);
    return rad_asprintf("%.*s%lld%s", (int)(at - pattern), pattern, (long long)number, at + strlen(RAD_FOLD_MARK));
}

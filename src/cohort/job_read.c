/* job_read.c: a job file from YAML to rad_job; what must hold between keys is checked here. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "job_input.h"
#include "radcohort/folds.h"

const char *rad_unit_name(rad_unit u) {
    static const char *const name[] = {"slice", "lesion", "patient"};
    return name[u];
}

void rad_job_destroy(rad_job **job) {
    if (!job || !*job)
        return;
    arena *a = (*job)->arena; /* owns the struct itself too */
    *job = NULL;
    arena_destroy(a);
}

/* ---------------------------------------------------------------- parts */

static void read_classes(yaml_reader *r, const yaml_node_t *const *v, const yaml_where *root, rad_job *job) {
    const key_def *k = &job_group.key[JOB_CLASSES];
    const yaml_node_t *item[RAD_MAX_CLASSES];
    yaml_where where = yaml_where_key(root, k->name);
    int n = yaml_get_items(r, v[JOB_CLASSES], k, &where, item);
    bool complete = n > 0;
    for (int i = 0; i < n; i++) {
        yaml_where w = yaml_where_item(&where, i);
        char *name = NULL;
        if (!yaml_get_text(r, item[i], k, &w, &name)) {
            complete = false;
            continue;
        }
        for (int j = 0; j < job->n_class; j++)
            if (strcmp(job->class_name[j], name) == 0)
                yaml_mistake(r, RAD_SEVERITY_ERROR, item[i], "class '%s' is listed twice", name);
        job->class_name[job->n_class++] = name;
    }
    job->positive = -1;
    char *positive = NULL;
    yaml_where wp = yaml_where_key(root, "positive");
    bool given = yaml_get_text(r, v[JOB_POSITIVE], &job_group.key[JOB_POSITIVE], &wp, &positive);
    if (!complete)
        return;
    if (n == 2 && !v[JOB_POSITIVE])
        yaml_mistake(r, RAD_SEVERITY_ERROR, v[JOB_CLASSES],
                     "two classes need 'positive', the one whose score counts; for example: positive: %s", job->class_name[1]);
    if (n > 2 && v[JOB_POSITIVE])
        yaml_mistake(r, RAD_SEVERITY_ERROR, v[JOB_POSITIVE],
                     "'positive' is for two classes, this job has %d: every class is rated "
                     "against the others",
                     n);
    if (n != 2 || !given)
        return;
    for (int i = 0; i < n; i++)
        if (strcmp(job->class_name[i], positive) == 0)
            job->positive = i;
    if (job->positive < 0)
        yaml_mistake(r, RAD_SEVERITY_ERROR, v[JOB_POSITIVE], "'positive' is '%s', which is not one of the classes '%s' and '%s'", positive,
                     job->class_name[0], job->class_name[1]);
}

static void read_inputs(yaml_reader *r, const yaml_node_t *node, const yaml_where *root, rad_job *job) {
    const key_def *k = &job_group.key[JOB_INPUTS];
    const char *name[RAD_MAX_INPUTS];
    const yaml_node_t *key_node[RAD_MAX_INPUTS], *item[RAD_MAX_INPUTS];
    yaml_where where = yaml_where_key(root, k->name);
    int n = yaml_get_named(r, node, k, &where, name, key_node, item);
    if (n <= 0)
        return;
    job->input = arena_alloc(r->arena, (size_t)n, sizeof *job->input);
    if (!job->input) {
        r->st = RAD_E_NOMEM;
        return;
    }
    for (int i = 0; i < n; i++) {
        yaml_where w = yaml_where_key(&where, name[i]);
        job->input[i].name = arena_strdup(r->arena, name[i]);
        if (!job->input[i].name)
            r->st = RAD_E_NOMEM;
        job_read_input(r, item[i], k, &w, job->case_unit, &job->input[i]);
    }
    job->n_input = r->st == RAD_OK ? n : 0;
}

/* The input a model takes, or -1 after a mistake. */
static int find_input(yaml_reader *r, const yaml_node_t *node, const yaml_node_t *model, const char *wanted, const yaml_where *where,
                      const rad_job *job) {
    const char *known[RAD_MAX_INPUTS + 1];
    for (int i = 0; i < job->n_input; i++) {
        known[i] = job->input[i].name;
        if (wanted && strcmp(known[i], wanted) == 0)
            return i;
    }
    known[job->n_input] = NULL;
    if (!node && job->n_input == 1)
        return 0;
    if (job->n_input == 0)
        return -1; /* reported where the inputs stand */
    const char *near = wanted ? rad_nearest_word(wanted, known) : NULL;
    if (!node)
        yaml_mistake(r, RAD_SEVERITY_ERROR, model, "key 'input' in %s is missing: the job has %d inputs, say which; for example: input: %s",
                     where->text, job->n_input, known[0]);
    else if (wanted)
        yaml_mistake(r, RAD_SEVERITY_ERROR, node, "'%s.input' is '%s', but 'inputs' has no such name: did you mean '%s'?", where->text,
                     wanted, near ? near : known[0]);
    return -1;
}

/* The model that stands in for another, by name until all are read. */
typedef struct stand_in {
    char *name;
    const yaml_node_t *node;
    yaml_where where;
} stand_in;

static void find_stand_ins(yaml_reader *r, rad_job *job, const stand_in *other) {
    const char *known[RAD_MAX_MODELS + 1];
    for (int i = 0; i < job->n_model; i++)
        known[i] = job->model[i].name ? job->model[i].name : "";
    known[job->n_model] = NULL;
    for (int i = 0; i < job->n_model; i++) {
        const stand_in *o = &other[i];
        int at = 0;
        if (!o->name)
            continue;
        while (known[at] && strcmp(known[at], o->name) != 0)
            at++;
        const char *near = known[at] ? NULL : rad_nearest_word(o->name, known);
        if (!known[at])
            yaml_mistake(r, RAD_SEVERITY_ERROR, o->node, "'%s' is '%s', but there is no such model%s%s%s", o->where.text, o->name,
                         near ? ": did you mean '" : "", near ? near : "", near ? "'?" : "");
        else if (at == i || job->model[at].input == job->model[i].input)
            yaml_mistake(r, RAD_SEVERITY_ERROR, o->node, "'%s' is '%s', which takes the same input and lacks the same images",
                         o->where.text, o->name);
        else if (other[at].name)
            yaml_mistake(r, RAD_SEVERITY_ERROR, o->node, "'%s' is '%s', which has a 'when_missing' itself: one step is the limit",
                         o->where.text, o->name);
        else
            job->model[i].when_missing = at + 1;
    }
}

static void read_model(yaml_reader *r, const yaml_node_t *node, const yaml_where *where, const char *dir, const rad_job *job,
                       rad_model_spec *m, stand_in *other) {
    const key_def *key = &job_group.key[JOB_MODELS], *k = key->group->key;
    const yaml_node_t *v[JOB_MAX_KEYS] = {NULL};
    char *input = NULL;
    int activation = 0;
    if (!yaml_get_map(r, node, key, key->group, where, v))
        return;
    yaml_where w[MODEL_COUNT];
    for (int i = 0; i < MODEL_COUNT; i++)
        w[i] = yaml_where_key(where, k[i].name);
    yaml_get_text(r, v[MODEL_NAME], &k[MODEL_NAME], &w[MODEL_NAME], &m->name);
    yaml_get_text(r, v[MODEL_FILE], &k[MODEL_FILE], &w[MODEL_FILE], &m->file);
    yaml_get_text(r, v[MODEL_SHA256], &k[MODEL_SHA256], &w[MODEL_SHA256], &m->sha256);
    yaml_get_text(r, v[MODEL_INPUT], &k[MODEL_INPUT], &w[MODEL_INPUT], &input);
    yaml_get_text(r, v[MODEL_OUTPUT], &k[MODEL_OUTPUT], &w[MODEL_OUTPUT], &m->output);
    if (v[MODEL_ACTIVATION] && yaml_get_word(r, v[MODEL_ACTIVATION], &k[MODEL_ACTIVATION], &w[MODEL_ACTIVATION], &activation))
        m->activation = (rad_activation)activation;
    other->node = v[MODEL_WHEN_MISSING];
    other->where = w[MODEL_WHEN_MISSING];
    yaml_get_text(r, v[MODEL_WHEN_MISSING], &k[MODEL_WHEN_MISSING], &w[MODEL_WHEN_MISSING], &other->name);
    m->input = find_input(r, v[MODEL_INPUT], node, input, where, job);
    job_read_folds(r, v, k, w, dir, m);
    for (const rad_model_spec *o = job->model; m->name && o < m; o++)
        if (o->name && strcmp(o->name, m->name) == 0)
            yaml_mistake(r, RAD_SEVERITY_ERROR, v[MODEL_NAME], "model name '%s' is used twice", m->name);
    if (!m->file)
        return;
    char *path = rad_path_join(dir, m->file);
    m->path = path ? arena_strdup(r->arena, path) : NULL;
    if (!m->path)
        r->st = RAD_E_NOMEM;
    free(path);
}

static void read_models(yaml_reader *r, const yaml_node_t *node, const yaml_where *root, const char *dir, rad_job *job) {
    const key_def *k = &job_group.key[JOB_MODELS];
    const yaml_node_t *item[RAD_MAX_MODELS];
    yaml_where where = yaml_where_key(root, k->name);
    int n = yaml_get_items(r, node, k, &where, item);
    if (n <= 0)
        return;
    job->model = arena_alloc(r->arena, (size_t)n, sizeof *job->model);
    if (!job->model) {
        r->st = RAD_E_NOMEM;
        return;
    }
    stand_in *other = arena_alloc(r->arena, (size_t)n, sizeof *other);
    if (!other) {
        r->st = RAD_E_NOMEM;
        return;
    }
    bool used[RAD_MAX_INPUTS] = {false}, unclear = false;
    for (int i = 0; i < n; i++) {
        yaml_where w = yaml_where_item(&where, i);
        read_model(r, item[i], &w, dir, job, &job->model[i], &other[i]);
        if (job->model[i].input >= 0)
            used[job->model[i].input] = true;
        else
            unclear = true;
    }
    job->n_model = n;
    find_stand_ins(r, job, other);
    if (rad_job_count_files(job) > RAD_MAX_MODEL_FILES)
        yaml_mistake(r, RAD_SEVERITY_ERROR, node, "the models have %d files together, the limit is %d", rad_job_count_files(job),
                     RAD_MAX_MODEL_FILES);
    for (int i = 0; i < job->n_input && !unclear; i++)
        if (!used[i])
            yaml_mistake(r, RAD_SEVERITY_WARNING, node, "no model takes input '%s'", job->input[i].name);
}

static void read_strata(yaml_reader *r, const yaml_node_t *node, const yaml_where *root, rad_job *job) {
    const key_def *key = &job_group.key[JOB_STRATA];
    const yaml_node_t *item[3];
    bool *flag[3] = {&job->by_all, &job->by_cohort, &job->by_center};
    yaml_where where = yaml_where_key(root, key->name);
    int n = yaml_get_items(r, node, key, &where, item);
    if (!node)
        job->by_all = job->by_cohort = job->by_center = true;
    for (int i = 0; i < n; i++) {
        int word = 0;
        yaml_where w = yaml_where_item(&where, i);
        if (!yaml_get_word(r, item[i], key, &w, &word))
            continue;
        if (*flag[word])
            yaml_mistake(r, RAD_SEVERITY_ERROR, item[i], "'%s' is listed twice in 'strata'", key->words[word]);
        *flag[word] = true;
    }
}

/* ---------------------------------------------------------------- the whole */

static void read_path(yaml_reader *r, const yaml_node_t *node, const key_def *k, const yaml_where *root, const char *dir, char **ret) {
    char *text = NULL;
    yaml_where w = yaml_where_key(root, k->name);
    if (!node || !yaml_get_text(r, node, k, &w, &text))
        return;
    char *path = rad_path_join(dir, text);
    *ret = path ? arena_strdup(r->arena, path) : NULL;
    if (!*ret)
        r->st = RAD_E_NOMEM;
    free(path);
}

static void read_word_text(yaml_reader *r, const yaml_node_t *node, const key_def *k, const yaml_where *root, char **ret) {
    int word = 0;
    yaml_where w = yaml_where_key(root, k->name);
    if (yaml_get_word(r, node, k, &w, &word) && !(*ret = arena_strdup(r->arena, k->words[word])))
        r->st = RAD_E_NOMEM;
}

static void read_root(yaml_reader *r, const yaml_node_t *node, const char *dir, rad_job *job) {
    const key_def *k = job_group.key;
    const yaml_node_t *v[JOB_MAX_KEYS] = {NULL};
    yaml_where root = {""};
    int unit = 0;
    int64_t batch = 0;
    if (!yaml_get_map(r, node, NULL, &job_group, &root, v))
        return;
    yaml_where wn = yaml_where_key(&root, "job"), wu = yaml_where_key(&root, "unit"), wb = yaml_where_key(&root, "batch");
    yaml_where wv = yaml_where_key(&root, "verify_files"), wr = yaml_where_key(&root, "remember_files");
    yaml_get_text(r, v[JOB_NAME], &k[JOB_NAME], &wn, &job->name);
    read_path(r, v[JOB_COHORT], &k[JOB_COHORT], &root, dir, &job->cohort_dir);
    read_path(r, v[JOB_DATABASE], &k[JOB_DATABASE], &root, dir, &job->database);
    read_path(r, v[JOB_GOLDEN], &k[JOB_GOLDEN], &root, dir, &job->golden);
    job_read_select(r, v[JOB_SELECT], &root, job);
    job->case_unit = RAD_UNIT_LESION;
    if (v[JOB_UNIT] && yaml_get_word(r, v[JOB_UNIT], &k[JOB_UNIT], &wu, &unit))
        job->case_unit = unit == 0 ? RAD_UNIT_LESION : RAD_UNIT_PATIENT;
    read_classes(r, v, &root, job);
    read_inputs(r, v[JOB_INPUTS], &root, job);
    read_models(r, v[JOB_MODELS], &root, dir, job);
    job_read_measures(r, v, &root, dir, job);
    job_read_ordinal(r, v[JOB_ORDINAL], &k[JOB_ORDINAL], &root, job);
    read_strata(r, v[JOB_STRATA], &root, job);
    job_read_cam(r, v[JOB_CAM], &root, job);
    for (int i = 0; i < job->n_model; i++)
        if (job->model[i].cam && job->model[i].mean_without_fold)
            yaml_mistake(
                r, RAD_SEVERITY_ERROR, v[JOB_CAM],
                "'cam' is wanted of model '%s', whose patients without a fold get the mean of several networks: there is no map of "
                "that; name other models in 'cam.models', or leave 'without_fold' out",
                job->model[i].name ? job->model[i].name : "?");
    job_read_regressions(r, v[JOB_REGRESSIONS], &root, job);
    job_read_bids(r, v[JOB_BIDS], &root, &job->bids);
    yaml_get_bool(r, v[JOB_VERIFY], &k[JOB_VERIFY], &wv, &job->verify_files);
    yaml_get_bool(r, v[JOB_REMEMBER], &k[JOB_REMEMBER], &wr, &job->remember_files);
    if (yaml_get_int(r, v[JOB_BATCH], &k[JOB_BATCH], &wb, &batch))
        job->batch = (int)batch;
    read_word_text(r, v[JOB_BACKEND], &k[JOB_BACKEND], &root, &job->backend);
    read_word_text(r, v[JOB_PRECISION], &k[JOB_PRECISION], &root, &job->precision);
}

/* libyaml's own complaint with its place; `text` finds the line of a byte offset when libyaml gives nothing else. */
static rad_status syntax_mistake(const yaml_parser_t *p, const char *file, const char *text, size_t size, rad_issues *issues,
                                 rad_error *err) {
    if (p->error == YAML_MEMORY_ERROR)
        return rad_error_set(err, RAD_E_NOMEM, "no memory to read '%s'", file);
    size_t line = p->problem_mark.line, column = p->problem_mark.column, offset = p->problem_mark.index;
    const char *hint = "";
    if (p->error == YAML_READER_ERROR) {
        line = column = 0;
        offset = p->problem_offset;
        for (size_t i = 0; i < offset && i < size; i++) {
            column = text[i] == '\n' ? 0 : column + 1;
            line += text[i] == '\n';
        }
        hint = " (a job file is UTF-8 text)";
    } else if (offset < size && text[offset] == '\t') {
        hint = " (a tab: YAML is indented with spaces)";
    } else if (p->context && strstr(p->context, "flow")) {
        hint = " (a '[' or '{' further up is not closed, or a comma is missing)";
    } else if (p->problem && strstr(p->problem, "undefined alias")) {
        hint = " (a '*name' needs an '&name' further up; a text that begins with '*' needs quotes)";
    }
    char place[24];
    snprintf(place, sizeof place, "%zu", column + 1);
    rad_issues_add(issues, RAD_SEVERITY_ERROR, file, (int64_t)line + 1, place, "not readable as YAML: %s%s%s%s",
                   p->context ? p->context : "", p->context ? ", " : "", p->problem ? p->problem : "syntax", hint);
    return RAD_OK;
}

#define RAD_MAX_JOB_NESTING 200 /* open [ and {; a job needs five */

/* libyaml's time grows with the square of open brackets: a megabyte of them would take it an hour. Counted without regard to quotes and
 * comments, which is why the limit is generous. Returns the 1-based line where it is passed, or 0. */
static int64_t too_deep(const char *text, size_t size) {
    int64_t depth = 0, line = 1;
    for (size_t i = 0; i < size; i++) {
        line += text[i] == '\n';
        depth += text[i] == '[' || text[i] == '{';
        depth -= (text[i] == ']' || text[i] == '}') && depth > 0;
        if (depth > RAD_MAX_JOB_NESTING)
            return line;
    }
    return 0;
}

rad_status yaml_load_only(yaml_parser_t *p, yaml_document_t *doc, const char *file, const char *text, size_t size, rad_issues *issues,
                          bool *ret_ok, rad_error *err) {
    *ret_ok = false;
    int64_t deep = too_deep(text, size);
    if (deep > 0) {
        rad_issues_add(issues, RAD_SEVERITY_ERROR, file, deep, NULL, "more than %d open brackets: a job is not nested like that",
                       RAD_MAX_JOB_NESTING);
        return RAD_OK;
    }
    yaml_parser_set_input_string(p, (const unsigned char *)text, size);
    if (!yaml_parser_load(p, doc))
        return syntax_mistake(p, file, text, size, issues, err);
    if (!yaml_document_get_root_node(doc)) {
        yaml_document_delete(doc);
        rad_issues_add(issues, RAD_SEVERITY_ERROR, file, 0, NULL, "the file is empty; jobs/README.md has an example");
        return RAD_OK;
    }
    yaml_document_t more;
    if (!yaml_parser_load(p, &more)) {
        yaml_document_delete(doc);
        return syntax_mistake(p, file, text, size, issues, err);
    }
    const yaml_node_t *second = yaml_document_get_root_node(&more);
    if (second)
        rad_issues_add(issues, RAD_SEVERITY_ERROR, file, (int64_t)second->start_mark.line + 1, NULL,
                       "a second YAML document ('---'): one job per file");
    yaml_document_delete(&more);
    *ret_ok = true;
    return RAD_OK;
}

static rad_status fill_canonical(rad_job *job, rad_error *err) {
    for (int i = 0; i < job->n_input; i++) {
        rad_status st = job_canonical_text(job->arena, &job->input[i], &job->input[i].canonical, err);
        if (st != RAD_OK)
            return st;
    }
    return RAD_OK;
}

static rad_status judge(const char *path, int64_t n_error, rad_error *err) {
    return rad_error_set(err, RAD_E_CONFIG, "job file '%s' has %lld mistake%s", path, (long long)n_error, n_error == 1 ? "" : "s");
}

rad_status rad_job_read_text(const char *text, size_t size, const char *path, rad_job **ret, rad_issues *issues, rad_error *err) {
    rad_status st = RAD_OK;
    yaml_parser_t parser;
    yaml_document_t doc;
    rad_job *job = NULL;
    char *dir = NULL;
    bool have_parser = false, have_doc = false;
    int64_t before = issues->n_error;
    arena *a = arena_create();
    dir = strchr(path, '/') ? rad_path_dir(path) : rad_strdup(""); /* "cohort", not "./cohort" */
    if (!a || !dir || !(job = arena_alloc(a, 1, sizeof *job))) {
        st = rad_error_set(err, RAD_E_NOMEM, "no memory to read '%s'", path);
        goto out;
    }
    job->arena = a;
    if (!yaml_parser_initialize(&parser)) {
        st = rad_error_set(err, RAD_E_NOMEM, "no memory to read '%s'", path);
        goto out;
    }
    have_parser = true;
    RAD_TRY(yaml_load_only(&parser, &doc, path, text, size, issues, &have_doc, err));
    if (have_doc) {
        yaml_reader r = {.doc = &doc, .file = path, .issues = issues, .arena = a, .st = RAD_OK};
        read_root(&r, yaml_document_get_root_node(&doc), dir, job);
        job->path = arena_strdup(a, path);
        job->text = arena_strndup(a, text, size);
        if (r.st != RAD_OK || !job->path || !job->text) {
            st = rad_error_set(err, RAD_E_NOMEM, "no memory to read '%s'", path);
            goto out;
        }
        RAD_TRY(rad_sha256(text, size, job->sha256, err));
    }
    st = issues->n_error > before ? judge(path, issues->n_error - before, err) : fill_canonical(job, err);
out:
    if (have_doc)
        yaml_document_delete(&doc);
    if (have_parser)
        yaml_parser_delete(&parser);
    free(dir);
    if (st == RAD_OK)
        *ret = job;
    else
        arena_destroy(a);
    return st;
}

/* The slip of every newcomer: the database in place of the job. */
static bool is_database(const char *path) {
    static const char MAGIC[] = "SQLite format 3";
    char head[sizeof MAGIC] = "";
    FILE *f = fopen(path, "rb");
    const bool is = f && fread(head, 1, sizeof head, f) == sizeof head && memcmp(head, MAGIC, sizeof MAGIC) == 0;
    if (f)
        (void)fclose(f);
    return is;
}

rad_status rad_job_read(const char *path, rad_job **ret, rad_issues *issues, rad_error *err) {
    char *text = NULL;
    size_t size = 0;
    rad_error why = {0};
    rad_status st = rad_file_read(path, RAD_MAX_JOB_BYTES, &text, &size, &why);
    if (is_database(path)) {
        free(text);
        rad_issues_add(
            issues, RAD_SEVERITY_ERROR, path, 0, NULL,
            "this is a result file (SQLite); a job file (YAML) was expected here: 'radcohort status' and 'stats' take result files");
        return judge(path, 1, err);
    }
    if (st == RAD_E_NOMEM)
        return rad_error_set(err, st, "%s", why.text);
    if (st != RAD_OK) {
        rad_issues_add(issues, RAD_SEVERITY_ERROR, path, 0, NULL, "%s", why.text);
        return judge(path, 1, err);
    }
    st = rad_job_read_text(text, size, path, ret, issues, err);
    free(text);
    return st;
}

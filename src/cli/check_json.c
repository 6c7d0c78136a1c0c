/* check_json.c: the findings of `radcohort check` for programs. */
#include <jansson.h>
#include <stdlib.h>

#include "check.h"

/* JSON is UTF-8; a file name or a message cut short may not be: then its bytes above ASCII become '?'. NULL when memory is out. */
static json_t *text(const char *s) {
    json_t *j = json_string(s);
    char *copy = j ? NULL : rad_strdup(s);
    for (char *p = copy; p && *p; p++)
        if ((unsigned char)*p >= 0x80)
            *p = '?';
    if (copy)
        j = json_string(copy);
    free(copy);
    return j;
}

static json_t *text_or_null(const char *s) {
    return s ? text(s) : json_null();
}

/* jansson's steal functions accept NULL values and report it: one failed piece fails the whole, checked by `ok`. */
static void set(json_t *object, const char *key, json_t *value, bool *ok) {
    if (json_object_set_new(object, key, value) != 0)
        *ok = false;
}

static void push(json_t *array, json_t *value, bool *ok) {
    if (json_array_append_new(array, value) != 0)
        *ok = false;
}

static json_t *issues_json(const check *k, bool *ok) {
    json_t *list = json_array();
    for (size_t i = 0; i < k->issues.n; i++) {
        const rad_issue *it = &k->issues.item[i];
        json_t *o = json_object();
        set(o, "severity", text(it->severity == RAD_SEVERITY_ERROR ? "error" : "warning"), ok);
        set(o, "file", text(it->file), ok);
        set(o, "line", it->line > 0 ? json_integer(it->line) : json_null(), ok);
        set(o, "column", text_or_null(it->column), ok);
        set(o, "text", text(it->text), ok);
        push(list, o, ok);
    }
    return list;
}

static json_t *groups_json(const check *k, const check_groups *g, bool *ok) {
    json_t *list = json_array();
    for (int64_t i = 0; i < g->n; i++) {
        const check_group *c = &g->item[i];
        json_t *o = json_object(), *examples = json_array();
        if (c->input >= 0) {
            set(o, "input", text(k->job->input[c->input].name), ok);
            set(o, "stage", text(c->stage), ok);
            set(o, "reason", text(rad_status_reason(c->status)), ok);
        }
        set(o, "why", text(c->why), ok);
        set(o, "n", json_integer(c->n), ok);
        for (int e = 0; e < CHECK_EXAMPLES && c->example[e]; e++)
            push(examples, text(c->example[e]), ok);
        set(o, "examples", examples, ok);
        push(list, o, ok);
    }
    return list;
}

static json_t *models_json(const check *k, bool *ok) {
    json_t *list = json_array();
    for (int i = 0; k->model && i < k->job->n_model; i++) {
        const check_model *m = &k->model[i];
        json_t *o = json_object();
        set(o, "name", text(k->job->model[i].name), ok);
        set(o, "file", text(k->job->model[i].path), ok);
        set(o, "input", text(k->job->input[k->job->model[i].input].name), ok);
        set(o, "usable", json_boolean(m->ok), ok);
        set(o, "input_shape", text_or_null(m->input_shape), ok);
        set(o, "output_shape", text_or_null(m->output_shape), ok);
        set(o, "parameters", json_integer(m->parameters), ok);
        set(o, "opset", json_integer(m->opset), ok);
        push(list, o, ok);
    }
    return list;
}

static json_t *centers_json(const check *k, bool *ok) {
    json_t *list = json_array();
    for (int64_t i = 0; i < k->cohort->n_center; i++) {
        const int64_t *row = k->count + i * (k->job->n_class + 1);
        json_t *o = json_object(), *labels = json_object();
        set(o, "center", text(k->cohort->center[i].id), ok);
        set(o, "cohort", text(k->cohort->center[i].external ? "external" : "internal"), ok);
        for (int j = 0; j < k->job->n_class; j++)
            set(labels, k->job->class_name[j], json_integer(row[j]), ok);
        set(o, "cases_by_label", labels, ok);
        set(o, "label_not_known", json_integer(row[k->job->n_class]), ok);
        push(list, o, ok);
    }
    return list;
}

static json_t *inputs_json(const check *k, bool *ok) {
    json_t *list = json_array();
    for (int i = 0; i < k->job->n_input; i++) {
        const rad_input_spec *in = &k->job->input[i];
        json_t *o = json_object(), *channels = json_array();
        set(o, "name", text(in->name), ok);
        set(o, "canonical", text(in->canonical), ok);
        set(o, "cases_ready", json_integer(k->input_ok[i]), ok);
        for (int ch = 0; ch < in->n_channel; ch++) {
            json_t *c = json_object();
            set(c, "sequence", text(in->channel[ch].sequence), ok);
            set(c, "matched", json_integer(k->matched[i][ch]), ok);
            set(c, "not_matched", json_integer(k->manifest->n_case - k->matched[i][ch]), ok);
            push(channels, c, ok);
        }
        set(o, "channels", channels, ok);
        push(list, o, ok);
    }
    return list;
}

static void cohort_json(json_t *root, const check *k, bool *ok) {
    json_t *o = json_object();
    set(o, "folder", text(k->cohort->dir), ok);
    set(o, "sha256", text(k->cohort->sha256), ok);
    set(o, "centers", json_integer(k->cohort->n_center), ok);
    set(o, "patients", json_integer(k->cohort->n_patient), ok);
    set(o, "images", json_integer(k->cohort->n_image), ok);
    set(o, "lesions", json_integer(k->cohort->n_lesion), ok);
    set(o, "readings", json_integer(k->cohort->n_reading), ok);
    set(o, "unselected_patients", json_integer(k->manifest ? k->manifest->n_unselected : 0), ok);
    set(root, "cohort", o, ok);
}

rad_status check_print_json(const check *k, int exit_code, rad_error *err) {
    bool ok = true;
    json_t *root = json_object();
    set(root, "job_file", text(k->job_path), &ok);
    set(root, "exit_code", json_integer(exit_code), &ok);
    set(root, "errors", json_integer(k->issues.n_error), &ok);
    set(root, "warnings", json_integer(k->issues.n_warning), &ok);
    set(root, "issues", issues_json(k, &ok), &ok);
    if (k->job) {
        set(root, "job", text(k->job->name), &ok);
        set(root, "unit", text(rad_unit_name(k->job->case_unit)), &ok);
        set(root, "backend", text(k->job->backend), &ok);
        set(root, "backend_version", text_or_null(k->backend), &ok);
        set(root, "models", models_json(k, &ok), &ok);
    }
    if (k->cohort)
        cohort_json(root, k, &ok);
    if (k->manifest) {
        set(root, "cases", json_integer(k->manifest->n_case), &ok);
        set(root, "cases_excluded", json_integer(k->n_excluded), &ok);
        set(root, "patients_without_case", json_integer(k->n_no_case), &ok);
        set(root, "centers", centers_json(k, &ok), &ok);
        set(root, "inputs", inputs_json(k, &ok), &ok);
        set(root, "exclusions", groups_json(k, &k->excluded, &ok), &ok);
        set(root, "unused_images", groups_json(k, &k->unused, &ok), &ok);
    }
    char *dump = ok ? json_dumps(root, JSON_INDENT(2) | JSON_ENSURE_ASCII) : NULL;
    if (dump)
        (void)printf("%s\n", dump);
    free(dump);
    json_decref(root);
    return dump ? RAD_OK : rad_error_set(err, RAD_E_NOMEM, "no memory for the JSON output");
}

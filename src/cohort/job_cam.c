/* job_cam.c: the class activation maps that a job wants. */
#include <string.h>

#include "job_input.h"

static void read_models(yaml_reader *r, const yaml_node_t *node, const key_def *k, const yaml_where *where, rad_job *job) {
    const yaml_node_t *item[RAD_MAX_MODELS];
    for (int i = 0; !node && i < job->n_model; i++)
        job->model[i].cam = true;
    int n = yaml_get_items(r, node, k, where, item);
    for (int i = 0; i < n; i++) {
        char *name = NULL;
        const char *known[RAD_MAX_MODELS + 1];
        int at = -1, n_known = 0;
        yaml_where w = yaml_where_item(where, i);
        if (!yaml_get_text(r, item[i], k, &w, &name))
            continue;
        for (int m = 0; m < job->n_model; m++) {
            if (!job->model[m].name) /* told already */
                continue;
            known[n_known++] = job->model[m].name;
            if (strcmp(job->model[m].name, name) == 0)
                at = m;
        }
        known[n_known] = NULL;
        const char *near = rad_nearest_word(name, known);
        if (at < 0)
            yaml_mistake(r, RAD_SEVERITY_ERROR, item[i], "'%s' is '%s', but there is no such model%s%s%s", w.text, name,
                         near ? ": did you mean '" : "", near ? near : "", near ? "'?" : "");
        else if (job->model[at].cam)
            yaml_mistake(r, RAD_SEVERITY_ERROR, item[i], "model '%s' is listed twice in '%s'", name, where->text);
        else
            job->model[at].cam = true;
    }
}

/* A class of the job; `positive` and `predicted` where no class has that name. */
static void read_class(yaml_reader *r, const yaml_node_t *node, const char *name, const yaml_where *where, rad_job *job) {
    job->cam_class = job->positive >= 0 ? job->positive : RAD_CAM_PREDICTED;
    if (!name)
        return;
    for (int i = 0; i < job->n_class; i++)
        if (strcmp(job->class_name[i], name) == 0) {
            job->cam_class = i;
            return;
        }
    if (strcmp(name, "predicted") == 0) {
        job->cam_class = RAD_CAM_PREDICTED;
        return;
    }
    if (strcmp(name, "positive") == 0 && job->n_class == 2)
        return;
    const char *known[RAD_MAX_CLASSES + 3];
    int n = 0;
    for (int i = 0; i < job->n_class; i++)
        known[n++] = job->class_name[i];
    known[n++] = "predicted";
    if (job->n_class == 2)
        known[n++] = "positive";
    known[n] = NULL;
    const char *near = rad_nearest_word(name, known);
    yaml_mistake(r, RAD_SEVERITY_ERROR, node, "'%s' is '%s': expected a class of the job, %s'predicted'%s%s%s", where->text, name,
                 job->n_class == 2 ? "'positive' or " : "or ", near ? " (did you mean '" : "", near ? near : "", near ? "'?)" : "");
}

void job_read_cam(yaml_reader *r, const yaml_node_t *node, const yaml_where *root, rad_job *job) {
    const key_def *key = &job_group.key[JOB_CAM], *k = key->group->key;
    const yaml_node_t *v[JOB_MAX_KEYS] = {NULL};
    yaml_where where = yaml_where_key(root, key->name);
    char *name = NULL;
    int write = RAD_CAM_CASE;
    if (!node || !yaml_get_map(r, node, key, key->group, &where, v))
        return;
    job->has_cam = true;
    yaml_where wm = yaml_where_key(&where, "models"), ww = yaml_where_key(&where, "write"), wc = yaml_where_key(&where, "class");
    read_models(r, v[CAM_MODELS], &k[CAM_MODELS], &wm, job);
    for (int i = 0; i < job->n_model; i++)
        if (job->model[i].cam) {
            job->model[i].cam_made = true;
            if (job->model[i].when_missing > 0)
                job->model[job->model[i].when_missing - 1].cam_made = true;
        }
    yaml_get_word(r, v[CAM_WRITE], &k[CAM_WRITE], &ww, &write);
    job->cam_write = (rad_cam_write)write;
    if (yaml_get_text(r, v[CAM_CLASS], &k[CAM_CLASS], &wc, &name) || !v[CAM_CLASS])
        read_class(r, v[CAM_CLASS], name, &wc, job);
    char text[64], cls[16] = "predicted";
    if (job->cam_class != RAD_CAM_PREDICTED)
        snprintf(cls, sizeof cls, "%d", job->cam_class);
    snprintf(text, sizeof text, "class %s slices %s file %s", cls, write == RAD_CAM_SLICE ? "all" : "deciding",
             write == RAD_CAM_NONE ? "no" : "yes");
    job->cam_rule = arena_strdup(r->arena, text);
    if (!job->cam_rule)
        r->st = RAD_E_NOMEM;
}

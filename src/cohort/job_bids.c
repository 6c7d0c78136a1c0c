/* job_bids.c: the mapping under `bids`: which columns and names of a BIDS folder mean what. */
#include <string.h>

#include "job_input.h"

/* Texts of a list; how many. */
static int read_texts(yaml_reader *r, const yaml_node_t *node, const key_def *k, const yaml_where *parent, char **ret) {
    const yaml_node_t *item[RAD_MAX_BIDS_ITEMS];
    yaml_where where = yaml_where_key(parent, k->name);
    int n = node ? yaml_get_items(r, node, k, &where, item) : 0, m = 0;
    for (int i = 0; i < n; i++)
        if (yaml_get_text(r, item[i], k, &where, &ret[m]))
            m++;
    return m;
}

void job_read_bids(yaml_reader *r, const yaml_node_t *node, const yaml_where *root, rad_bids_spec *ret) {
    const yaml_node_t *v[JOB_MAX_KEYS] = {NULL}, *item[RAD_MAX_BIDS_ITEMS];
    const key_def *k = bids_group.key;
    yaml_where where = yaml_where_key(root, "bids");
    char **text[] = {
        [BIDS_LABEL] = &ret->label, [BIDS_CENTER] = &ret->center, [BIDS_FOLD] = &ret->fold, [BIDS_AGE] = &ret->age, [BIDS_SEX] = &ret->sex};
    if (!node || !yaml_get_map(r, node, &job_group.key[JOB_BIDS], &bids_group, &where, v))
        return;
    for (int i = BIDS_LABEL; i <= BIDS_SEX; i++)
        if (v[i]) {
            yaml_where w = yaml_where_key(&where, k[i].name);
            yaml_get_text(r, v[i], &k[i], &w, text[i]);
        }
    yaml_where wm = yaml_where_key(&where, "masks"), we = yaml_where_key(&where, "entities");
    if (v[BIDS_MASKS] && yaml_get_text(r, v[BIDS_MASKS], &k[BIDS_MASKS], &wm, &ret->masks) && !rad_path_is_inside(ret->masks))
        yaml_mistake(r, RAD_SEVERITY_ERROR, v[BIDS_MASKS], "'bids.masks' is the name of a folder below derivatives/");
    ret->n_covariate = read_texts(r, v[BIDS_COVARIATES], &k[BIDS_COVARIATES], &where, ret->covariate);
    ret->n_mask_label = read_texts(r, v[BIDS_MASK_LABELS], &k[BIDS_MASK_LABELS], &where, ret->mask_label);
    int n = v[BIDS_ENTITIES] ? yaml_get_items(r, v[BIDS_ENTITIES], &k[BIDS_ENTITIES], &we, item) : 0;
    for (int i = 0; i < n; i++) {
        int word = 0;
        if (yaml_get_word(r, item[i], &k[BIDS_ENTITIES], &we, &word))
            ret->entity[ret->n_entity++] = k[BIDS_ENTITIES].words[word];
    }
}

/* job_yaml.h (private to src/cohort): YAML values against key definitions; every mistake with line and column. */
#ifndef RAD_COHORT_JOB_YAML_H
#define RAD_COHORT_JOB_YAML_H

#include <yaml.h>

#include "arena.h"
#include "job_keys.h"
#include "radcohort/issue.h"

typedef struct yaml_reader {
    yaml_document_t *doc;
    const char *file;
    rad_issues *issues;
    arena *arena;
    rad_status st; /* RAD_OK or RAD_E_NOMEM: memory ran out somewhere */
    int n_merge;   /* mappings merged in so far */
} yaml_reader;

/* Where the value stands, for messages: "inputs.mri.channels[2]". */
#define YAML_WHERE 256
typedef struct yaml_where {
    char text[YAML_WHERE];
} yaml_where;
yaml_where yaml_where_key(const yaml_where *parent, const char *key);
yaml_where yaml_where_item(const yaml_where *parent, int64_t index);

/* Loads the only document of a file. *ret_ok says whether there is one (the caller deletes it); on RAD_OK with false an issue was added. */
rad_status yaml_load_only(yaml_parser_t *p, yaml_document_t *doc, const char *file, const char *text, size_t size, rad_issues *issues,
                          bool *ret_ok, rad_error *err) RAD_MUST_CHECK;

void yaml_mistake(yaml_reader *r, rad_severity sev, const yaml_node_t *at, const char *fmt, ...) RAD_PRINTF(4, 5);

/* Fills value[i] for key i of the group (NULL = absent) from a mapping, merge keys (<<) included; reports unknown, repeated and missing
 * keys. False when `node` is no mapping. */
bool yaml_get_map(yaml_reader *r, const yaml_node_t *node, const key_def *key, const key_group *group, const yaml_where *where,
                  const yaml_node_t *value[JOB_MAX_KEYS]);
/* Items of a list (or, for KEY_INTS and KEY_NUMBERS, the single value); the count, or -1 after a mistake. At most key->max_items. */
int yaml_get_items(yaml_reader *r, const yaml_node_t *node, const key_def *key, const yaml_where *where, const yaml_node_t **item);
/* Entries of a mapping whose keys are names (KEY_NAMED); the count, or -1. */
int yaml_get_named(yaml_reader *r, const yaml_node_t *node, const key_def *key, const yaml_where *where, const char **name,
                   const yaml_node_t **key_node, const yaml_node_t **item);

/* One value. An absent one (node NULL) gives the key's default, or leaves *ret alone when it has none; so does a mistake. True when *ret
 * was set. */
bool yaml_get_text(yaml_reader *r, const yaml_node_t *node, const key_def *key, const yaml_where *where, char **ret);
bool yaml_get_word(yaml_reader *r, const yaml_node_t *node, const key_def *key, const yaml_where *where, int *ret);
/* KEY_EITHER: *ret_word is the word's index, or -1 for a number in *ret. */
bool yaml_get_either(yaml_reader *r, const yaml_node_t *node, const key_def *key, const yaml_where *where, int *ret_word, double *ret);
bool yaml_get_bool(yaml_reader *r, const yaml_node_t *node, const key_def *key, const yaml_where *where, bool *ret);
bool yaml_get_int(yaml_reader *r, const yaml_node_t *node, const key_def *key, const yaml_where *where, int64_t *ret);
bool yaml_get_number(yaml_reader *r, const yaml_node_t *node, const key_def *key, const yaml_where *where, double *ret);

#endif

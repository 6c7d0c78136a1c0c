/* cmd_audit.c: `radcohort audit`: can the reported numbers all be true? Reads a YAML list of claims; the arithmetic is rad_audit(). */
#include "cli.h"

#include "radcohort/stats.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <yaml.h>

/* A claims file is a page of text. */
#define RAD_MAX_CLAIMS_BYTES ((size_t)1 << 20)

typedef struct key {
    const char *name;
    size_t offset;
    bool text;
} key;

static const key keys[] = {
    {"name", offsetof(rad_claims, name), true},
    {"unit", offsetof(rad_claims, unit), true},
    {"n", offsetof(rad_claims, n), false},
    {"n_positive", offsetof(rad_claims, n_pos), false},
    {"n_negative", offsetof(rad_claims, n_neg), false},
    {"cases", offsetof(rad_claims, cases), false},
    {"positive_fraction", offsetof(rad_claims, positive_fraction), false},
    {"sensitivity", offsetof(rad_claims, sensitivity), true},
    {"specificity", offsetof(rad_claims, specificity), true},
    {"accuracy", offsetof(rad_claims, accuracy), true},
    {"auc", offsetof(rad_claims, auc), true},
    {"auc_lower", offsetof(rad_claims, auc_lower), true},
    {"auc_upper", offsetof(rad_claims, auc_upper), true},
    {"paired_n", offsetof(rad_claims, paired_n), false},
    {"correct_first", offsetof(rad_claims, paired_first), false},
    {"correct_second", offsetof(rad_claims, paired_second), false},
    {"p", offsetof(rad_claims, p), true},
};
enum { N_KEY = sizeof keys / sizeof *keys };

static rad_status set_key(rad_claims *c, const char *file, const yaml_node_t *k, const yaml_node_t *v, rad_error *err) {
    const char *known[N_KEY + 1] = {0};
    if (k->type != YAML_SCALAR_NODE || v->type != YAML_SCALAR_NODE)
        return rad_error_set(err, RAD_E_CONFIG, "'%s' line %zu: expected 'key: value'", file, k->start_mark.line + 1);
    const char *name = (const char *)k->data.scalar.value, *text = (const char *)v->data.scalar.value;
    for (size_t i = 0; i < N_KEY; i++) {
        known[i] = keys[i].name;
        if (strcmp(keys[i].name, name) != 0)
            continue;
        char *field = (char *)c + keys[i].offset;
        double x;
        if (keys[i].text) {
            memcpy(field, &text, sizeof text); /* lives as long as the document */
        } else if (!rad_parse_double(text, &x) || !(x >= 0)) {
            return rad_error_set(err, RAD_E_CONFIG, "'%s' line %zu: %s is '%s': expected a number of at least 0", file,
                                 v->start_mark.line + 1, name, text);
        } else {
            memcpy(field, &x, sizeof x);
        }
        return RAD_OK;
    }
    const char *near = rad_nearest_word(name, known);
    return rad_error_set(err, RAD_E_CONFIG, "'%s' line %zu: unknown key '%s'%s%s%s", file, k->start_mark.line + 1, name,
                         near ? ": did you mean '" : "", near ? near : "", near ? "'?" : "");
}

static void print_text(const rad_doc *doc, const rad_claims *c, int index) {
    rad_doc_row row;
    printf("%s\n", c->name ? c->name : "claim");
    if (!c->name)
        printf("  (number %d)\n", index + 1);
    for (bool more = rad_doc_row_first(doc, "findings", &row); more; more = rad_doc_row_next(doc, &row))
        rad_cli_say(6, "  %s  %s", rad_doc_row_get(doc, &row, "ok") != 0 ? "ok " : "NO ", rad_doc_row_get_text(doc, &row, "text"));
    if (rad_doc_count(doc, "findings") == 0)
        printf("  nothing to check: give rates, a pair or an interval\n");
}

static rad_status audit_one(yaml_document_t *y, const yaml_node_t *item, const char *file, int index, bool json, bool *all,
                            rad_error *err) {
    rad_claims c;
    rad_doc *doc = NULL;
    rad_buf out;
    rad_status st = RAD_OK;
    rad_claims_init(&c);
    rad_buf_init(&out, RAD_MAX_CLAIMS_BYTES);
    if (!item || item->type != YAML_MAPPING_NODE)
        return rad_error_set(err, RAD_E_CONFIG, "'%s': claim %d is not a list of 'key: value'", file, index + 1);
    for (const yaml_node_pair_t *p = item->data.mapping.pairs.start; p < item->data.mapping.pairs.top && st == RAD_OK; p++)
        st = set_key(&c, file, yaml_document_get_node(y, p->key), yaml_document_get_node(y, p->value), err);
    if (st == RAD_OK)
        st = rad_doc_create(&doc, err);
    if (st == RAD_OK) {
        st = rad_audit(&c, doc, err);
        if (st != RAD_OK)
            st = rad_error_prefix(err, st, "'%s' claim '%s': ", file, c.name ? c.name : "?");
    }
    if (st == RAD_OK && json) {
        st = rad_doc_json(doc, &out, err);
        if (st == RAD_OK)
            printf("%s%s", index ? ",\n" : "", out.data);
    } else if (st == RAD_OK) {
        print_text(doc, &c, index);
    }
    if (st == RAD_OK && rad_doc_get(doc, "feasible") == 0)
        *all = false;
    rad_doc_destroy(&doc);
    rad_buf_release(&out);
    return st;
}

static rad_status audit_file(const char *file, bool json, bool *all, rad_error *err) {
    char *text = NULL;
    size_t size = 0;
    yaml_parser_t parser;
    yaml_document_t y;
    rad_status st = rad_file_read(file, RAD_MAX_CLAIMS_BYTES, &text, &size, err);
    if (st != RAD_OK)
        return st;
    if (!yaml_parser_initialize(&parser)) {
        free(text);
        return rad_error_set(err, RAD_E_NOMEM, "out of memory for '%s'", file);
    }
    yaml_parser_set_input_string(&parser, (const unsigned char *)text, size);
    if (!yaml_parser_load(&parser, &y)) {
        st = rad_error_set(err, RAD_E_CONFIG, "'%s' line %zu: %s", file, parser.problem_mark.line + 1,
                           parser.problem ? parser.problem : "not YAML");
    } else {
        const yaml_node_t *root = yaml_document_get_root_node(&y), *list = root;
        if (root && root->type == YAML_MAPPING_NODE)
            for (const yaml_node_pair_t *p = root->data.mapping.pairs.start; p < root->data.mapping.pairs.top; p++) {
                const yaml_node_t *k = yaml_document_get_node(&y, p->key);
                if (k->type == YAML_SCALAR_NODE && strcmp((const char *)k->data.scalar.value, "claims") == 0)
                    list = yaml_document_get_node(&y, p->value);
            }
        if (!list || list->type != YAML_SEQUENCE_NODE)
            st = rad_error_set(err, RAD_E_CONFIG, "'%s': expected 'claims:' with a list under it", file);
        if (json && st == RAD_OK)
            printf("[");
        int index = 0;
        if (st == RAD_OK)
            for (const yaml_node_item_t *i = list->data.sequence.items.start; i < list->data.sequence.items.top && st == RAD_OK; i++)
                st = audit_one(&y, yaml_document_get_node(&y, *i), file, index++, json, all, err);
        if (json && st == RAD_OK)
            printf("]\n");
        yaml_document_delete(&y);
    }
    yaml_parser_delete(&parser);
    free(text);
    return st;
}

static int run(int argc, char **argv) {
    bool json = false, all = true;
    const char *file[1];
    int n = 0;
    rad_error err = {0};
    const rad_target target[] = {{"--json", NULL, &json}, {NULL, NULL, NULL}};
    rad_status st = rad_cli_parse(&rad_command_audit, argc, argv, target, file, 1, &n);
    if (st == RAD_E_STOPPED)
        return RAD_EXIT_OK;
    if (st != RAD_OK)
        return RAD_EXIT_USAGE;
    if (n != 1) {
        st = rad_error_set(&err, RAD_E_USAGE, "expected one file of claims");
        return rad_cli_fail(&rad_command_audit, st, &err);
    }
    st = audit_file(file[0], json, &all, &err);
    if (st != RAD_OK)
        return rad_cli_fail(&rad_command_audit, st, &err);
    return all ? RAD_EXIT_OK : RAD_EXIT_FAILED;
}

static const rad_option options[] = {
    {"--json", NULL, NULL, "the findings as JSON on standard output"},
    RAD_OPTION_END,
};

const rad_command rad_command_audit = {
    .name = "audit",
    .group = RAD_GROUP_TRUST,
    .usage = {"CLAIMS.yaml [--json]"},
    .summary = "can these reported numbers all be true?",
    .about = "CLAIMS.yaml is a list, numbers with the digits that were printed:\n"
             "  claims:\n"
             "    - name: spine CT, per patient\n"
             "      n_positive: 296\n"
             "      n_negative: 137\n"
             "      sensitivity: 0.95\n"
             "      specificity: 0.80\n"
             "      accuracy: 88 %\n"
             "    - name: reader with and without the model\n"
             "      paired_n: 50\n"
             "      correct_first: 39\n"
             "      correct_second: 47\n"
             "      p: <0.001\n\n"
             "Further keys: n, cases (independent units the study has), unit, auc, auc_lower, auc_upper, positive_fraction.",
    .fill = {RAD_FILL_JOB},
    .option = options,
    .exits = "0 all claims are possible, 1 at least one is not, 2 invalid input",
    .example = {{"radcohort audit claims.yaml", "a table of a paper, before it is believed"},
                {"radcohort audit claims.yaml --json", "the findings for a program"}},
    .run = run,
};

/* cmd_diff.c: `radcohort diff`: what moved between two runs: scores, calls, exclusions, and the numbers of every center. */
#include "cli.h"
#include "table.h"

#include "radcohort/compare.h"

#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { DEFAULT_LIMIT = 10, MAX_LIMIT = 1000000 };
static const char *const PART[RAD_COMPARE_KINDS] = {NULL, NULL, "scores", "calls", "exclusions", "statistics"};

/* ---------------------------------------------------------------- collecting */

static void put_text(json_t *o, const char *key, const char *v) {
    if (v && v[0])
        json_object_set_new(o, key, json_string(v));
}

static json_t *number(double v) {
    return isfinite(v) ? json_real(v) : json_null();
}

static json_t *side_json(const rad_compare_row *r, const rad_compare_side *s, bool there) {
    json_t *o = there ? json_object() : NULL;
    if (!there)
        return json_null();
    if (r->kind != RAD_COMPARE_EXCLUSION)
        json_object_set_new(o, r->kind == RAD_COMPARE_STATISTIC ? "est" : "score", number(s->value));
    if (r->kind == RAD_COMPARE_CALL)
        put_text(o, "call", s->detail);
    if (r->kind == RAD_COMPARE_EXCLUSION)
        put_text(o, "reason", s->detail);
    if (isfinite(s->threshold))
        json_object_set_new(o, "threshold", json_real(s->threshold));
    if (r->kind == RAD_COMPARE_STATISTIC) {
        json_object_set_new(o, "lower", number(s->lower));
        json_object_set_new(o, "upper", number(s->upper));
        json_object_set_new(o, "n", json_integer((json_int_t)s->n));
    }
    return o;
}

static int collect(const rad_compare_row *r, void *payload) {
    json_t *list = json_object_get(payload, PART[r->kind]), *o = json_object();
    const rad_compare_side *any = r->has_after ? &r->after : &r->before;
    put_text(o, "name", r->name);
    put_text(o, "model", r->model);
    put_text(o, "unit", r->unit);
    put_text(o, "center", any->center);
    put_text(o, "patient", r->patient);
    put_text(o, "lesion", r->lesion);
    put_text(o, "study", r->study);
    put_text(o, "class", r->class_name);
    put_text(o, "point", r->point);
    put_text(o, "stratum_kind", r->stratum_kind);
    put_text(o, "stratum", r->stratum);
    put_text(o, "versus", r->versus);
    if (any->label >= 0 && r->kind != RAD_COMPARE_EXCLUSION)
        json_object_set_new(o, "label", json_integer(any->label));
    json_object_set_new(o, "before", side_json(r, &r->before, r->has_before));
    json_object_set_new(o, "after", side_json(r, &r->after, r->has_after));
    if (r->has_before && r->has_after && isfinite(r->after.value - r->before.value))
        json_object_set_new(o, "change", json_real(r->after.value - r->before.value));
    return json_array_append_new(list, o);
}

/* ---------------------------------------------------------------- text */

static const char *text_of(const json_t *o, const char *key) {
    const char *t = json_string_value(json_object_get(o, key));
    return t ? t : "";
}

/* What has moved furthest comes first; what only one run has comes last. */
static double weight(const json_t *o) {
    const json_t *c = json_object_get(o, "change");
    return c ? fabs(json_real_value(c)) : -1;
}

typedef struct ranked {
    json_t *o;
    size_t at;
    double weight;
} ranked;

static int by_weight(const void *x, const void *y) {
    const ranked *a = x, *b = y;
    if (a->weight != b->weight)
        return a->weight > b->weight ? -1 : 1;
    return a->at < b->at ? -1 : a->at > b->at;
}

/* What the mail of a morning is about; everything else is in the JSON. */
static bool headline(const json_t *o) {
    static const char *const NAME[] = {"auc",       "sensitivity",    "specificity",  "accuracy",
                                       "auc_macro", "auc_difference", "kappa_linear", "kappa_quadratic"};
    const char *name = text_of(o, "name");
    if (text_of(o, "versus")[0] || strcmp(text_of(o, "unit"), "slice") == 0)
        return false;
    for (size_t i = 0; i < sizeof NAME / sizeof *NAME; i++)
        if (strcmp(name, NAME[i]) == 0)
            return true;
    return false;
}

static char *show_side(const json_t *side, const char *kind) {
    if (json_is_null(side))
        return rad_strdup("-");
    const json_t *v = json_object_get(side, strcmp(kind, "statistics") == 0 ? "est" : "score");
    if (strcmp(kind, "exclusions") == 0)
        return rad_strdup(text_of(side, "reason"));
    char *value = json_is_real(v) ? rad_asprintf("%.4f", json_real_value(v)) : rad_strdup("undefined"), *all = NULL;
    if (strcmp(kind, "calls") == 0)
        all = rad_asprintf("%s (%s)", text_of(side, "call"), value ? value : "");
    else if (strcmp(kind, "statistics") == 0)
        all = rad_asprintf("%s (n %" JSON_INTEGER_FORMAT ")", value ? value : "", json_integer_value(json_object_get(side, "n")));
    else
        return value;
    free(value);
    return all;
}

static char *show_place(const json_t *o, const char *kind) {
    if (strcmp(kind, "statistics") == 0)
        return rad_asprintf("%s%s%s%s%s", text_of(o, "stratum_kind"), strcmp(text_of(o, "stratum_kind"), "all") == 0 ? "" : " ",
                            strcmp(text_of(o, "stratum_kind"), "all") == 0 ? "" : text_of(o, "stratum"), text_of(o, "class")[0] ? ", " : "",
                            text_of(o, "class"));
    return rad_asprintf("%s%s%s%s%s", text_of(o, "patient"), text_of(o, "lesion")[0] ? "/" : "", text_of(o, "lesion"),
                        text_of(o, "class")[0] ? ", " : "", text_of(o, "class"));
}

static rad_status print_part(const char *kind, const char *title, const json_t *list, size_t limit, bool only_headline, rad_error *err) {
    table t = {.n_column = 8};
    size_t n = 0, shown = 0;
    ranked *row = json_array_size(list) ? rad_calloc(json_array_size(list), sizeof *row) : NULL;
    if (json_array_size(list) && !row)
        return rad_error_set(err, RAD_E_NOMEM, "out of memory to show %zu differences", json_array_size(list));
    for (size_t i = 0; i < json_array_size(list); i++) {
        json_t *o = json_array_get(list, i);
        if (!only_headline || headline(o))
            row[n++] = (ranked){o, i, weight(o)};
    }
    if (n > 1)
        qsort(row, n, sizeof *row, by_weight);
    static const char *const HEAD[] = {"", "model", "unit", "center", "", "before", "after", "change"};
    table_row(&t);
    for (int c = 0; c < t.n_column; c++)
        table_put(&t, c, rad_strdup(HEAD[c]));
    t.right[7] = true;
    for (; shown < n && shown < limit; shown++) {
        const json_t *o = row[shown].o, *change = json_object_get(o, "change");
        table_row(&t);
        table_put(&t, 0,
                  rad_asprintf("  %s%s%s", text_of(o, "name"), text_of(o, "name")[0] && text_of(o, "point")[0] ? " at " : "",
                               text_of(o, "point")));
        table_put(&t, 1, rad_strdup(text_of(o, "model")));
        table_put(&t, 2, rad_strdup(text_of(o, "unit")));
        table_put(&t, 3, rad_strdup(strcmp(kind, "statistics") == 0 ? "" : text_of(o, "center")));
        table_put(&t, 4, show_place(o, kind));
        table_put(&t, 5, show_side(json_object_get(o, "before"), kind));
        table_put(&t, 6, show_side(json_object_get(o, "after"), kind));
        if (change)
            table_put(&t, 7, rad_asprintf("%+.4g", json_real_value(change)));
    }
    if (n > 0) {
        printf("%s\n", title);
        table_print(&t, stdout);
        if (shown < n)
            printf("  ... and %zu more (--limit %zu shows them, --json has all)\n", n - shown, n);
        printf("\n");
    }
    const bool failed = t.failed;
    table_release(&t);
    free(row);
    return failed ? rad_error_set(err, RAD_E_NOMEM, "out of memory to show the differences") : RAD_OK;
}

static rad_status print_text(const json_t *root, const rad_compare_count *n, size_t limit, rad_error *err) {
    rad_status st = print_part("scores", "scores that moved, largest first", json_object_get(root, "scores"), limit, false, err);
    if (st == RAD_OK)
        st = print_part("exclusions", "exclusions that came (before -) or went (after -)", json_object_get(root, "exclusions"), limit,
                        false, err);
    if (st == RAD_OK)
        st = print_part("calls", "calls that flipped, or that only one run has", json_object_get(root, "calls"), limit, false, err);
    if (st == RAD_OK)
        st = print_part("statistics", "numbers that moved", json_object_get(root, "statistics"), limit, true, err);
    if (st != RAD_OK)
        return st;
    const rad_compare_count *s = &n[RAD_COMPARE_SCORE], *c = &n[RAD_COMPARE_CALL], *e = &n[RAD_COMPARE_EXCLUSION],
                            *t = &n[RAD_COMPARE_STATISTIC];
    rad_cli_say(2,
                "run %" JSON_INTEGER_FORMAT " -> run %" JSON_INTEGER_FORMAT ": %" PRId64 " of %" PRId64
                " common scores moved (largest %.3g), %" PRId64 " came, %" PRId64 " went; %" PRId64 " calls flipped; %" PRId64
                " exclusions came, %" PRId64 " went, %" PRId64 " for another reason; %" PRId64 " of %" PRId64 " statistics moved",
                json_integer_value(json_object_get(root, "before")), json_integer_value(json_object_get(root, "after")), s->n_changed,
                s->n_both, s->largest, s->n_after, s->n_before, c->n_changed, e->n_after, e->n_before, e->n_changed, t->n_changed,
                t->n_both);
    return RAD_OK;
}

/* ---------------------------------------------------------------- the command */

static rad_status parse_run(const char *text, int64_t *ret, rad_error *err) {
    return rad_parse_int(text, ret) && *ret > 0
               ? RAD_OK
               : rad_error_set(err, RAD_E_USAGE, "run '%s': a number from 1 was expected; 'radcohort status DB' names the newest", text);
}

static rad_status compare(rad_store *a, rad_store *b, int64_t before, int64_t after, size_t limit, bool as_json, rad_error *err) {
    rad_compare_count n[RAD_COMPARE_KINDS] = {{0}};
    rad_status st = RAD_OK;
    json_t *root = json_pack("{s:I, s:I, s:{}, s:[], s:[], s:[], s:[]}", "before", (json_int_t)before, "after", (json_int_t)after,
                             "summary", PART[2], PART[3], PART[4], PART[5]);
    if (!root)
        return rad_error_set(err, RAD_E_NOMEM, "out of memory to compare two runs");
    const unsigned kinds = 1u << RAD_COMPARE_SCORE | 1u << RAD_COMPARE_CALL | 1u << RAD_COMPARE_EXCLUSION | 1u << RAD_COMPARE_STATISTIC;
    RAD_TRY(rad_store_compare(a, before, b, after, kinds, false, collect, root, n, err));
    for (int k = 0; k < RAD_COMPARE_KINDS; k++)
        if (PART[k])
            json_object_set_new(json_object_get(root, "summary"), PART[k],
                                json_pack("{s:I, s:I, s:I, s:I, s:f}", "both", (json_int_t)n[k].n_both, "changed",
                                          (json_int_t)n[k].n_changed, "only_before", (json_int_t)n[k].n_before, "only_after",
                                          (json_int_t)n[k].n_after, "largest", n[k].largest));
    if (!as_json)
        RAD_TRY(print_text(root, n, limit, err));
    else if (json_dumpf(root, stdout, JSON_INDENT(2)) != 0)
        RAD_TRY(rad_error_set(err, RAD_E_IO, "cannot write the differences as JSON"));
    else
        printf("\n");
out:
    json_decref(root);
    return st;
}

static int run(int argc, char **argv) {
    const rad_command *self = &rad_command_diff;
    const char *word[3] = {NULL, NULL, NULL}, *other = NULL, *limit_text = NULL;
    bool as_json = false;
    const rad_target target[] = {{"--with", &other, NULL}, {"--limit", &limit_text, NULL}, {"--json", NULL, &as_json}, {NULL, NULL, NULL}};
    int n = 0;
    int64_t before = 0, after = 0, limit = DEFAULT_LIMIT;
    rad_error err = {0};
    rad_store *a = NULL, *b = NULL;
    rad_status st = rad_cli_parse(self, argc, argv, target, word, 3, &n);
    if (st != RAD_OK)
        return st == RAD_E_STOPPED ? RAD_EXIT_OK : RAD_EXIT_USAGE;
    if (n < 1)
        RAD_TRY(rad_error_set(&err, RAD_E_USAGE, "one result file is needed: radcohort diff %s", self->usage[0]));
    if (limit_text && (!rad_parse_int(limit_text, &limit) || limit < 1 || limit > MAX_LIMIT))
        RAD_TRY(rad_error_set(&err, RAD_E_USAGE, "--limit '%s': a number from 1 to %d was expected", limit_text, MAX_LIMIT));
    if (n > 1)
        RAD_TRY(parse_run(word[1], &before, &err));
    if (n > 2)
        RAD_TRY(parse_run(word[2], &after, &err));
    RAD_TRY(rad_store_open(word[0], RAD_STORE_READ, &a, &err));
    if (other)
        RAD_TRY(rad_store_open(other, RAD_STORE_READ, &b, &err));
    if (n < 3)
        RAD_TRY(rad_store_last_run(b ? b : a, &after, &err));
    if (n < 2 && other)
        RAD_TRY(rad_store_last_run(a, &before, &err));
    if (n < 2 && !other)
        RAD_TRY(rad_store_run_before(a, after, &before, &err));
    st = compare(a, b ? b : a, before, after, (size_t)limit, as_json, &err);
out:
    rad_store_close(&a);
    rad_store_close(&b);
    return st == RAD_OK ? RAD_EXIT_OK : rad_cli_fail(self, st, &err);
}

static const rad_option options[] = {
    {"--with", "FILE", RAD_FILL_DB, "B is a run of this result file (without a number: its newest; A without a number: the newest of DB)"},
    {"--limit", "N", NULL, "lines per table (default 10), what moved furthest first"},
    {"--json", NULL, NULL, "everything, as JSON on standard output"},
    RAD_OPTION_END,
};

const rad_command rad_command_diff = {
    .name = "diff",
    .group = RAD_GROUP_TRUST,
    .usage = {"DB [A [B]] [options]"},
    .summary = "what moved between two runs: scores, calls, exclusions, numbers",
    .about = "A and B are runs of the result file DB; without them the newest run and the finished one of the same job before it. Rows "
             "are matched by the names of model, patient, lesion, study and class. The summary is the last line.",
    .fill = {RAD_FILL_DB},
    .option = options,
    .exits = "0 compared, whether or not anything moved; 1 failed; 2 no such file or run",
    .example = {{"radcohort diff results/demo.sqlite", "the newest run against the one before"},
                {"radcohort diff results/demo.sqlite 1 2 --json", "two runs, for a program"},
                {"radcohort diff results/demo.sqlite 1 --with results/demo-gpu.sqlite", "two result files"}},
    .run = run,
};

/* cmd_folds.c: `radcohort folds`: random folds of patients for those who have none. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "json.h"
#include "radcohort/cohort.h"
#include "radcohort/folds.h"
#include "radcohort/stats.h"
#include "table.h"

enum { MAX_KEYS = 8 };

typedef struct draw {
    const rad_cohort *c;
    const char *key[MAX_KEYS];
    int n_key;
    int64_t n; /* patients that get a fold */
    int64_t *who;
    char **text; /* [n] their stratum as text */
    int64_t *stratum, *of, *fold;
} draw;

static const char *value_of(const rad_cohort *c, const rad_patient *p, const char *key, bool *known) {
    *known = true;
    if (strcmp(key, "label") == 0)
        return p->label;
    if (strcmp(key, "center") == 0)
        return c->center[p->center].id;
    if (strcmp(key, "sex") == 0)
        return p->sex;
    for (int64_t i = 0; i < p->n_covariate; i++)
        if (strcmp(p->covariate[i].name, key) == 0)
            return p->covariate[i].value;
    *known = false;
    return NULL;
}

/* Values with their lengths, so that no two strata look alike; a missing value is one of its own. */
static rad_status stratum_text(const draw *d, const rad_patient *p, char **ret, rad_error *err) {
    rad_buf b;
    rad_buf_init(&b, 1 << 20);
    rad_status st = rad_buf_put(&b, "", 0, err);
    for (int i = 0; i < d->n_key && st == RAD_OK; i++) {
        bool known;
        const char *v = value_of(d->c, p, d->key[i], &known);
        st = v ? rad_buf_printf(&b, err, "%zu:%s;", strlen(v), v) : rad_buf_printf(&b, err, "-;");
    }
    if (st == RAD_OK && !(*ret = rad_asprintf("%.*s", (int)b.size, b.size ? (const char *)b.data : "")))
        st = rad_error_set(err, RAD_E_NOMEM, "out of memory for the strata");
    rad_buf_release(&b);
    return st;
}

typedef struct named {
    const char *text;
    int64_t at;
} named;

static int by_text(const void *x, const void *y) {
    const named *a = x, *b = y;
    int order = strcmp(a->text, b->text);
    return order ? order : (a->at > b->at) - (a->at < b->at);
}

/* Patients in the order of their names, so that the order of the table has no say; their strata as numbers. */
static rad_status arrange(draw *d, rad_error *err) {
    named *list = rad_calloc((size_t)d->n + 1, sizeof *list);
    int64_t *who = rad_calloc((size_t)d->n + 1, sizeof *who);
    rad_status st = RAD_OK;
    if (!list || !who) {
        st = rad_error_set(err, RAD_E_NOMEM, "out of memory for %" PRId64 " patients", d->n);
        goto out;
    }
    for (int64_t i = 0; i < d->n; i++)
        list[i] = (named){d->c->patient[d->who[i]].id, d->who[i]};
    qsort(list, (size_t)d->n, sizeof *list, by_text);
    for (int64_t i = 0; i < d->n; i++)
        who[i] = list[i].at;
    memcpy(d->who, who, (size_t)d->n * sizeof *who);
    for (int64_t i = 0; i < d->n; i++)
        RAD_TRY(stratum_text(d, &d->c->patient[d->who[i]], &d->text[i], err));
    for (int64_t i = 0; i < d->n; i++)
        list[i] = (named){d->text[i], i};
    qsort(list, (size_t)d->n, sizeof *list, by_text);
    for (int64_t i = 0, k = 0; i < d->n; i++) {
        k += i > 0 && strcmp(list[i].text, list[i - 1].text) != 0;
        d->stratum[list[i].at] = k;
    }
out:
    free(list);
    free(who);
    return st;
}

/* Patients per label and fold, to stderr; warns of labels with fewer patients than folds, there and in the array `warnings`. */
static rad_status show(const draw *d, int64_t k, int64_t first, json_t *warnings, rad_error *err) {
    const rad_cohort *c = d->c;
    const char *label[64];
    int n_label = 0;
    int64_t *count = NULL;
    rad_status st = RAD_OK;
    for (int64_t i = 0; i < d->n; i++) {
        const char *l = c->patient[d->who[i]].label ? c->patient[d->who[i]].label : "n/a";
        int j = 0;
        while (j < n_label && strcmp(label[j], l) != 0)
            j++;
        if (j == n_label && n_label < (int)(sizeof label / sizeof *label))
            label[n_label++] = l;
    }
    count = rad_calloc((size_t)(k + 1) * (size_t)(n_label + 1), sizeof *count);
    if (!count)
        return rad_error_set(err, RAD_E_NOMEM, "out of memory for the table");
    for (int64_t i = 0; i < d->n; i++) {
        const char *l = c->patient[d->who[i]].label ? c->patient[d->who[i]].label : "n/a";
        int j = 0;
        while (j < n_label && strcmp(label[j], l) != 0)
            j++;
        count[d->of[i] * (n_label + 1) + j]++;
        count[k * (n_label + 1) + j]++;
    }
    const int shown = n_label < TABLE_MAX_COLUMNS - 2 ? n_label : TABLE_MAX_COLUMNS - 2;
    table t = {.n_column = shown + 2};
    table_row(&t);
    table_put(&t, 0, rad_strdup("fold"));
    table_put(&t, 1, rad_strdup("patients"));
    for (int j = 0; j < shown + 1; j++)
        t.right[j + 1] = true;
    for (int j = 0; j < shown; j++)
        table_put(&t, j + 2, rad_strdup(label[j]));
    for (int64_t f = 0; f <= k; f++) {
        int64_t all = 0;
        table_row(&t);
        table_put(&t, 0, f < k ? rad_asprintf("%" PRId64, f + first) : rad_strdup("all"));
        for (int j = 0; j <= n_label; j++)
            all += count[f * (n_label + 1) + j];
        table_put(&t, 1, rad_asprintf("%" PRId64, all));
        for (int j = 0; j < shown; j++)
            table_put(&t, j + 2, rad_asprintf("%" PRId64, count[f * (n_label + 1) + j]));
    }
    if (t.failed)
        st = rad_error_set(err, RAD_E_NOMEM, "out of memory for the table");
    else
        table_print(&t, stderr);
    for (int j = 0; j < n_label && st == RAD_OK; j++) {
        if (count[k * (n_label + 1) + j] >= k)
            continue;
        char *text =
            rad_asprintf("label '%s' has %" PRId64 " patients, fewer than folds: some folds have none of it, and their AUC is not defined",
                         label[j], count[k * (n_label + 1) + j]);
        if (!text || json_array_append_new(warnings, cli_json_text(text)) != 0)
            st = rad_error_set(err, RAD_E_NOMEM, "out of memory for a warning");
        else
            (void)fprintf(stderr, "radcohort folds: warning: %s\n", text);
        free(text);
    }
    table_release(&t);
    free(count);
    return st;
}

/* What a stratum is, by the columns that make it, and its patients in each fold. */
static json_t *stratum_json(const draw *d, int64_t example, const int64_t *count, int64_t k) {
    json_t *values = json_object(), *by_fold = json_array();
    int64_t all = 0;
    bool ok = values && by_fold;
    for (int i = 0; i < d->n_key && ok; i++) {
        bool known;
        ok = json_object_set_new(values, d->key[i], cli_json_text(value_of(d->c, &d->c->patient[d->who[example]], d->key[i], &known))) == 0;
    }
    for (int64_t f = 0; f < k && ok; f++) {
        all += count[f];
        ok = json_array_append_new(by_fold, json_integer(count[f])) == 0;
    }
    if (ok)
        return json_pack("{s:o, s:I, s:o}", "stratum", values, "patients", (json_int_t)all, "by_fold", by_fold);
    json_decref(values);
    json_decref(by_fold);
    return NULL;
}

/* Patients per fold, and per stratum and fold, in the order of the folds. */
static rad_status print_json(const draw *d, const char *path, int64_t seed, int64_t k, int64_t first, json_t *warnings, rad_error *err) {
    int64_t n_stratum = 0;
    rad_status st = RAD_OK;
    for (int64_t i = 0; i < d->n; i++)
        n_stratum = d->stratum[i] >= n_stratum ? d->stratum[i] + 1 : n_stratum;
    int64_t *count = rad_calloc((size_t)n_stratum, (size_t)k * sizeof *count), *example = rad_calloc((size_t)n_stratum, sizeof *example),
            *size = rad_calloc((size_t)k, sizeof *size);
    json_t *folds = json_array(), *strata = json_array(), *keys = json_array();
    bool ok = count && example && size && folds && strata && keys;
    for (int64_t i = 0; i < d->n && ok; i++) {
        count[d->stratum[i] * k + d->of[i]]++;
        example[d->stratum[i]] = i;
        size[d->of[i]]++;
    }
    for (int64_t f = 0; f < k && ok; f++)
        ok = json_array_append_new(folds, json_pack("{s:I, s:I}", "fold", (json_int_t)(f + first), "patients", (json_int_t)size[f])) == 0;
    for (int64_t s = 0; s < n_stratum && ok; s++)
        ok = json_array_append_new(strata, stratum_json(d, example[s], count + s * k, k)) == 0;
    for (int i = 0; i < d->n_key && ok; i++)
        ok = json_array_append_new(keys, json_string(d->key[i])) == 0;
    if (ok) {
        st = cli_json_print(json_pack("{s:s, s:I, s:I, s:I, s:o, s:o, s:o, s:O}", "path", path, "seed", (json_int_t)seed, "patients",
                                      (json_int_t)d->n, "patients_without_fold", (json_int_t)(d->c->n_patient - d->n), "stratify", keys,
                                      "folds", folds, "strata", strata, "warnings", warnings),
                            err);
    } else {
        st = rad_error_set(err, RAD_E_NOMEM, "no memory for the outcome as JSON, or a value that is not UTF-8");
        json_decref(folds);
        json_decref(strata);
        json_decref(keys);
    }
    free(count);
    free(example);
    free(size);
    return st;
}

static rad_status split_keys(draw *d, char *list, rad_error *err) {
    for (char *at = list, *next; at; at = next) {
        next = strchr(at, ',');
        if (next)
            *next++ = '\0';
        if (*at == '\0' || d->n_key == MAX_KEYS)
            return rad_error_set(err, RAD_E_USAGE, "--stratify: 1 to %d columns of the patients table were expected, separated by commas",
                                 MAX_KEYS);
        bool any = false, known = false;
        for (int64_t i = 0; i < d->c->n_patient && !any; i++) {
            (void)value_of(d->c, &d->c->patient[i], at, &known);
            any = known;
        }
        if (!any)
            return rad_error_set(err, RAD_E_USAGE, "--stratify: the patients table has no column '%s' with values", at);
        d->key[d->n_key++] = at;
    }
    return RAD_OK;
}

static void release(draw *d) {
    for (int64_t i = 0; d->text && i < d->n; i++)
        free(d->text[i]);
    free(d->text);
    free(d->who);
    free(d->stratum);
    free(d->of);
    free(d->fold);
}

/* Which patients get a fold. */
static rad_status choose(draw *d, const char *which, rad_error *err) {
    const size_t n = (size_t)d->c->n_patient + 1;
    if (strcmp(which, "all") != 0 && strcmp(which, "internal") != 0 && strcmp(which, "external") != 0)
        return rad_error_set(err, RAD_E_USAGE, "--cohort '%s': internal, external or all was expected", which);
    d->who = rad_calloc(n, sizeof *d->who);
    d->text = rad_calloc(n, sizeof *d->text);
    d->stratum = rad_calloc(n, sizeof *d->stratum);
    d->of = rad_calloc(n, sizeof *d->of);
    d->fold = rad_calloc(n, sizeof *d->fold);
    if (!d->who || !d->text || !d->stratum || !d->of || !d->fold)
        return rad_error_set(err, RAD_E_NOMEM, "out of memory for %" PRId64 " patients", d->c->n_patient);
    for (int64_t i = 0; i < d->c->n_patient; i++) {
        const bool external = d->c->center[d->c->patient[i].center].external;
        d->fold[i] = -1;
        if (strcmp(which, "all") == 0 || external == (strcmp(which, "external") == 0))
            d->who[d->n++] = i;
    }
    return RAD_OK;
}

static rad_status number(const char *option, const char *text, int64_t low, int64_t high, int64_t *ret, rad_error *err) {
    if (text && rad_parse_int(text, ret) && *ret >= low && *ret <= high)
        return RAD_OK;
    return rad_error_set(err, RAD_E_USAGE, "%s '%s': a whole number from %" PRId64 " to %" PRId64 " was expected", option, text ? text : "",
                         low, high);
}

static int run(int argc, char **argv) {
    const rad_command *self = &rad_command_folds;
    const char *dir = NULL, *folds = NULL, *seed_text = NULL, *stratify = "label", *out = NULL, *first_text = "0", *which = "all";
    bool in_place = false, as_json = false;
    json_t *warnings = NULL;
    const rad_target target[] = {
        {"--folds", &folds, NULL},  {"--seed", &seed_text, NULL},    {"--stratify", &stratify, NULL},
        {"-o", &out, NULL},         {"--in-place", NULL, &in_place}, {"--first", &first_text, NULL},
        {"--cohort", &which, NULL}, {"--json", NULL, &as_json},      {NULL, NULL, NULL},
    };
    int n = 0;
    int64_t k = 0, seed = 0, first = 0;
    rad_error err = {0};
    rad_cohort *cohort = NULL;
    rad_issues issues = {0};
    draw d = {.n = 0};
    char *keys = NULL;
    rad_buf text;
    rad_buf_init(&text, RAD_MAX_TABLE_BYTES);
    rad_status st = rad_cli_parse(self, argc, argv, target, &dir, 1, &n);
    if (st != RAD_OK)
        return st == RAD_E_STOPPED ? RAD_EXIT_OK : RAD_EXIT_USAGE;
    warnings = json_array();
    if (n != 1)
        RAD_TRY(rad_error_set(&err, RAD_E_USAGE, "one cohort folder is needed: radcohort folds %s", self->usage[0]));
    RAD_TRY(number("--folds", folds, 2, RAD_MAX_FOLDS, &k, &err));
    RAD_TRY(number("--seed", seed_text, 0, UINT32_MAX, &seed, &err));
    RAD_TRY(number("--first", first_text, 0, 1, &first, &err));
    if (out && in_place)
        RAD_TRY(rad_error_set(&err, RAD_E_USAGE, "-o and --in-place exclude each other"));
    if (as_json && !out && !in_place)
        RAD_TRY(rad_error_set(&err, RAD_E_USAGE, "--json takes the standard output: -o FILE or --in-place says where the table goes"));
    rad_cohort_opts co = {.skip_file_check = true, .allow_outside = true};
    st = rad_cohort_read(dir, &co, &cohort, &issues, &err);
    if (issues.n_error > 0)
        rad_issues_print(&issues, stderr);
    if (st != RAD_OK)
        goto out;
    d.c = cohort;
    keys = rad_strdup(stratify);
    if (!keys)
        RAD_TRY(rad_error_set(&err, RAD_E_NOMEM, "out of memory"));
    if (*stratify)
        RAD_TRY(split_keys(&d, keys, &err));
    RAD_TRY(choose(&d, which, &err));
    if (d.n < k)
        RAD_TRY(rad_error_set(&err, RAD_E_USAGE, "%" PRId64 " folds of %" PRId64 " patients: there must be at least one patient in each", k,
                              d.n));
    RAD_TRY(arrange(&d, &err));
    RAD_TRY(rad_assign_folds(d.stratum, d.n, k, (uint64_t)seed, d.of, &err));
    for (int64_t i = 0; i < d.n; i++)
        d.fold[d.who[i]] = d.of[i] + first;
    RAD_TRY(rad_folds_write(cohort, d.fold, seed_text, &text, &err));
    if (!warnings)
        RAD_TRY(rad_error_set(&err, RAD_E_NOMEM, "out of memory for the folds"));
    RAD_TRY(show(&d, k, first, warnings, &err));
    if (in_place)
        out = cohort->file[RAD_TABLE_PATIENTS];
    if (in_place && strstr(out, ".csv"))
        RAD_TRY(rad_error_set(&err, RAD_E_USAGE, "'%s' is CSV and would become TSV: write to another file with -o", out));
    if (out)
        RAD_TRY(rad_file_write_atomic(out, text.data, text.size, &err));
    else if (fwrite(text.data, 1, text.size, stdout) != text.size || fflush(stdout) != 0)
        RAD_TRY(rad_error_set(&err, RAD_E_IO, "the table could not be written to stdout"));
    if (as_json)
        RAD_TRY(print_json(&d, out, seed, k, first, warnings, &err));
out:
    json_decref(warnings);
    release(&d);
    free(keys);
    rad_buf_release(&text);
    rad_issues_release(&issues);
    rad_cohort_destroy(&cohort);
    return st == RAD_OK ? RAD_EXIT_OK : rad_cli_fail(self, st, &err);
}

static const rad_option options[] = {
    {"--folds", "K", NULL, "2 to 100"},
    {"--seed", "S", NULL, "0 to 4294967295"},
    {"--stratify", "COLUMNS", "label label,center label,center,sex",
     "columns of the patients table, separated by commas: label, center, sex or covariates; missing values are a stratum of their own "
     "(default: label; '' for none)"},
    {"--cohort", "WHICH", "all internal external", "all (default), or only internal or external patients; the others get n/a"},
    {"--first", "N", "0 1", "number of the first fold, 0 (default) or 1"},
    {"-o", "FILE", RAD_FILL_TSV, "where to write (default: standard output)"},
    {"--in-place", NULL, NULL, "replace the patients table of the cohort"},
    {"--json", NULL, NULL,
     "what was made, as JSON on standard output: patients per fold, and per stratum and fold, and warnings (with -o or --in-place)"},
    RAD_OPTION_END,
};

const rad_command rad_command_folds = {
    .name = "folds",
    .group = RAD_GROUP_DATA,
    .usage = {"COHORT --folds K --seed S [options]"},
    .summary = "makes random folds of patients: patients.tsv with a column fold",
    .about = "Whole patients are dealt to folds at random, stratum by stratum: their numbers in the folds differ by one at most, in all "
             "and within each stratum. The same patients, strata, folds and seed give the same folds on every machine, whatever the order "
             "of the table. The seed is written beside the fold (column fold_seed) and so reaches SQL.\n\n"
             "A table of folds and labels goes to standard error. A label with fewer patients than folds is a warning.",
    .fill = {RAD_FILL_DIR},
    .option = options,
    .exits = "0 written, 1 failed, 2 invalid input",
    .example = {{"radcohort folds cohort --folds 10 --seed 7 --stratify label,center -o patients.tsv", "ten folds into a new table"},
                {"radcohort folds cohort --folds 5 --seed 7 --cohort internal --in-place",
                 "five, of the internal patients, in their place"}},
    .run = run,
};

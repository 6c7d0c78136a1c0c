/* convert_rules.c: rules from YAML, and whether an image's facts meet them. */
#include "convert_rules.h"

#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "job_yaml.h"

static const char *const text_key[RULE_TEXT_COUNT] = {
    [RULE_MODALITY] = "modality",
    [RULE_DESCRIPTION] = "description",
    [RULE_PROTOCOL] = "protocol",
    [RULE_AGENT] = "agent",
    [RULE_IMAGE_TYPE] = "image_type",
    [RULE_SCANNING_SEQUENCE] = "scanning_sequence",
    [RULE_SEQUENCE_NAME] = "sequence_name",
    [RULE_MANUFACTURER] = "manufacturer",
    [RULE_MODEL] = "model",
    [RULE_BODY_PART] = "body_part",
    [RULE_KERNEL] = "kernel",
    [RULE_ORIENTATION] = "orientation",
    [RULE_VARIANT] = "variant",
};
static const char *const number_key[RULE_NUMBER_COUNT] = {
    [RULE_B_VALUE] = "b_value",
    [RULE_ECHO_TIME] = "echo_time_ms",
    [RULE_REPETITION_TIME] = "repetition_time_ms",
    [RULE_INVERSION_TIME] = "inversion_time_ms",
    [RULE_FLIP_ANGLE] = "flip_angle_deg",
    [RULE_SLICE_THICKNESS] = "slice_thickness_mm",
    [RULE_FIELD_STRENGTH] = "field_strength_t",
    [RULE_KVP] = "kvp",
    [RULE_SLICES] = "slices",
    [RULE_ECHO] = "echo",
    [RULE_AFTER_INJECTION] = "seconds_after_injection",
};

const char *rules_text_key(rule_text t) {
    return text_key[t];
}

const char *rules_number_key(rule_number n) {
    return number_key[n];
}

/* ---------------------------------------------------------------- matching */

bool rules_glob(const char *pattern, const char *text) {
    const char *star = NULL, *again = NULL;
    while (*text) {
        if (*pattern == '*') {
            star = ++pattern;
            again = text;
        } else if (*pattern == '?' || (*pattern && tolower((unsigned char)*pattern) == tolower((unsigned char)*text))) {
            pattern++;
            text++;
        } else if (star) {
            pattern = star;
            text = ++again;
        } else {
            return false;
        }
    }
    while (*pattern == '*')
        pattern++;
    return *pattern == '\0';
}

bool rules_any(const rule_patterns *p, const char *values) {
    for (const char *v = values;;) {
        size_t n = strcspn(v, "\\");
        char one[512];
        snprintf(one, sizeof one, "%.*s", (int)(n < sizeof one ? n : sizeof one - 1), v);
        for (int i = 0; i < p->n; i++)
            if (rules_glob(p->item[i], one))
                return true;
        if (!v[n])
            return false;
        v += n + 1;
    }
}

typedef struct judge {
    const rule_facts *f;
    bool possible;
    int failing, asked;
    char *why;
    size_t cap;
} judge;

static void fail(judge *j, const char *fmt, ...) RAD_PRINTF(2, 3);
static void fail(judge *j, const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    if (j->failing++ == 0 && j->why)
        vsnprintf(j->why, j->cap, fmt, ap);
    va_end(ap);
}

static bool is_free_text(rule_text t) {
    return t == RULE_DESCRIPTION || t == RULE_PROTOCOL || t == RULE_AGENT || t == RULE_SEQUENCE_NAME || t == RULE_BODY_PART;
}

static void judge_text(judge *j, const rule *r, rule_text t) {
    const char *v = j->f->text[t];
    j->asked += (r->want[t].n > 0) + (r->refuse[t].n > 0);
    /* the sidecar never has less than the header, but may have what the header lacks */
    bool open = j->possible && (!v || t == RULE_VARIANT || t == RULE_IMAGE_TYPE || t == RULE_ORIENTATION);
    if (open)
        return;
    if (r->want[t].n && !v)
        fail(j, "%s is not stated, the rule asks for '%.60s'%s", text_key[t], r->want[t].item[0], r->want[t].n > 1 ? " or others" : "");
    else if (r->want[t].n && !rules_any(&r->want[t], v))
        fail(j, "%s%s%.60s%s does not fit '%.60s'%s", text_key[t], is_free_text(t) ? "" : " '", is_free_text(t) ? "" : v,
             is_free_text(t) ? "" : "'", r->want[t].item[0], r->want[t].n > 1 ? " or the others" : "");
    if (r->refuse[t].n && v && rules_any(&r->refuse[t], v))
        fail(j, "%s fits not_%s", text_key[t], text_key[t]);
}

static void judge_number(judge *j, const rule *r, rule_number n) {
    double low = j->f->low[n], high = j->f->high[n];
    if (!r->has_number[n])
        return;
    j->asked++;
    if (isnan(low)) {
        if (!j->possible)
            fail(j, "%s is not stated, the rule asks for %.10g to %.10g", number_key[n], r->low[n], r->high[n]);
        return;
    }
    bool inside = low >= r->low[n] && high <= r->high[n], touches = high >= r->low[n] && low <= r->high[n];
    if (n == RULE_B_VALUE) /* an image of several b-values is what its highest one is */
        inside = high >= r->low[n] && high <= r->high[n];
    if (j->possible ? touches : inside)
        return;
    if (low == high)
        fail(j, "%s is %.10g, the rule asks for %.10g to %.10g", number_key[n], low, r->low[n], r->high[n]);
    else
        fail(j, "%s is %.10g to %.10g, the rule asks for %.10g to %.10g", number_key[n], low, high, r->low[n], r->high[n]);
}

/* *ret_met: how many conditions hold. */
static int judge_rule(const rule *r, const rule_facts *f, bool possible, int *ret_met, char *why, size_t cap) {
    judge j = {.f = f, .possible = possible && f->from_headers, .asked = r->contrast >= 0, .why = why, .cap = cap};
    for (int t = 0; t < RULE_TEXT_COUNT; t++)
        judge_text(&j, r, (rule_text)t);
    if (r->contrast == 1 && !f->text[RULE_AGENT] && !j.possible)
        fail(&j, "no contrast agent is stated, the rule asks for one");
    if (r->contrast == 0 && f->text[RULE_AGENT])
        fail(&j, "a contrast agent is stated, the rule asks for none");
    for (int n = 0; n < RULE_NUMBER_COUNT; n++)
        judge_number(&j, r, (rule_number)n);
    if (ret_met)
        *ret_met = j.asked - j.failing;
    return j.failing;
}

bool rules_meets(const rule *r, const rule_facts *f, bool possible) {
    return judge_rule(r, f, possible, NULL, NULL, 0) == 0;
}

void rules_match(const rule_set *s, const rule_facts *f, bool possible, const bool *order_ok, rule_verdict *ret) {
    int least = 0, most = 0;
    *ret = (rule_verdict){.rule = -1, .nearest = -1};
    for (int i = 0; i < s->n_rule; i++) {
        char why[sizeof ret->why] = "";
        int met = 0, failing = judge_rule(&s->rule[i], f, possible, &met, why, sizeof why);
        bool fits = failing == 0;
        if (fits && order_ok && !order_ok[i]) {
            fits = false;
            failing = 1;
            snprintf(why, sizeof why, "its place by time of acquisition among those that fit is not %lld to %lld",
                     (long long)s->rule[i].order_low, (long long)s->rule[i].order_high);
        }
        if (fits) {
            ret->rule = i;
            return;
        }
        /* a rule that only leaves things out is no help to those who look for a sequence */
        if (!s->rule[i].ignore && (ret->nearest < 0 || failing < least || (failing == least && met > most))) {
            ret->nearest = i;
            least = failing;
            most = met;
            memcpy(ret->why, why, sizeof ret->why);
        }
    }
}

/* ---------------------------------------------------------------- reading */

/* Columns of a table are read, not reflowed. */
// clang-format off
static const char *const prefer_words[] = {"corrected", "original", "most-slices", "thinnest", "latest", "earliest", NULL};
static const char *const keep_words[] = {"description", "protocol", "agent", "sequence_name", NULL};
static const rule_text keep_text[] = {RULE_DESCRIPTION, RULE_PROTOCOL, RULE_AGENT, RULE_SEQUENCE_NAME};
static const char *const cohort_words[] = {"internal", "external", NULL};
static const char *const patient_words[] = {"global", "per-center", NULL};

enum { R_NAME, R_SEQUENCE, R_IGNORE, R_CONTRAST, R_ORDER, R_KEEP, R_PREFER, R_TEXT,
       R_NOT = R_TEXT + RULE_TEXT_COUNT, R_NUMBER = R_NOT + RULE_TEXT_COUNT, R_COUNT = R_NUMBER + RULE_NUMBER_COUNT };
_Static_assert(R_COUNT <= JOB_MAX_KEYS, "a rule has more keys than the reader takes");

#define PATTERNS(N) {.name = N, .kind = KEY_TEXTS, .min_items = 1, .max_items = RULE_MAX_PATTERNS, .example = "[\"*t2*\"]"}
#define RANGE(N) {.name = N, .kind = KEY_NUMBERS, .min = 0, .max = 1e9, .min_items = 1, .max_items = 2, .example = "[800, 1000]"}
static const key_def rule_keys[] = {
    [R_NAME] = {.name = "name", .kind = KEY_NAME, .example = "t2-axial"},
    [R_SEQUENCE] = {.name = "sequence", .kind = KEY_TEXT, .example = "T2"},
    [R_IGNORE] = {.name = "ignore", .kind = KEY_BOOL, .preset = "false", .example = "true"},
    [R_CONTRAST] = {.name = "contrast", .kind = KEY_BOOL, .example = "true"},
    [R_ORDER] = {.name = "order", .kind = KEY_INTS, .min = 1, .max = 10000, .min_items = 1, .max_items = 2, .example = "1"},
    [R_KEEP] = {.name = "keep", .kind = KEY_WORDS, .words = keep_words, .min_items = 1, .max_items = 4, .example = "[protocol]"},
    [R_PREFER] = {.name = "prefer", .kind = KEY_WORDS, .words = prefer_words, .min_items = 1, .max_items = PREFER_COUNT,
                  .example = "[most-slices, latest]"},
    [R_TEXT + RULE_MODALITY] = PATTERNS("modality"), [R_TEXT + RULE_DESCRIPTION] = PATTERNS("description"),
    [R_TEXT + RULE_PROTOCOL] = PATTERNS("protocol"), [R_TEXT + RULE_AGENT] = PATTERNS("agent"),
    [R_TEXT + RULE_IMAGE_TYPE] = PATTERNS("image_type"), [R_TEXT + RULE_SCANNING_SEQUENCE] = PATTERNS("scanning_sequence"),
    [R_TEXT + RULE_SEQUENCE_NAME] = PATTERNS("sequence_name"), [R_TEXT + RULE_MANUFACTURER] = PATTERNS("manufacturer"),
    [R_TEXT + RULE_MODEL] = PATTERNS("model"), [R_TEXT + RULE_BODY_PART] = PATTERNS("body_part"),
    [R_TEXT + RULE_KERNEL] = PATTERNS("kernel"), [R_TEXT + RULE_ORIENTATION] = PATTERNS("orientation"),
    [R_TEXT + RULE_VARIANT] = PATTERNS("variant"),
    [R_NOT + RULE_MODALITY] = PATTERNS("not_modality"), [R_NOT + RULE_DESCRIPTION] = PATTERNS("not_description"),
    [R_NOT + RULE_PROTOCOL] = PATTERNS("not_protocol"), [R_NOT + RULE_AGENT] = PATTERNS("not_agent"),
    [R_NOT + RULE_IMAGE_TYPE] = PATTERNS("not_image_type"), [R_NOT + RULE_SCANNING_SEQUENCE] = PATTERNS("not_scanning_sequence"),
    [R_NOT + RULE_SEQUENCE_NAME] = PATTERNS("not_sequence_name"), [R_NOT + RULE_MANUFACTURER] = PATTERNS("not_manufacturer"),
    [R_NOT + RULE_MODEL] = PATTERNS("not_model"), [R_NOT + RULE_BODY_PART] = PATTERNS("not_body_part"),
    [R_NOT + RULE_KERNEL] = PATTERNS("not_kernel"), [R_NOT + RULE_ORIENTATION] = PATTERNS("not_orientation"),
    [R_NOT + RULE_VARIANT] = PATTERNS("not_variant"),
    [R_NUMBER + RULE_B_VALUE] = RANGE("b_value"), [R_NUMBER + RULE_ECHO_TIME] = RANGE("echo_time_ms"),
    [R_NUMBER + RULE_REPETITION_TIME] = RANGE("repetition_time_ms"), [R_NUMBER + RULE_INVERSION_TIME] = RANGE("inversion_time_ms"),
    [R_NUMBER + RULE_FLIP_ANGLE] = RANGE("flip_angle_deg"), [R_NUMBER + RULE_SLICE_THICKNESS] = RANGE("slice_thickness_mm"),
    [R_NUMBER + RULE_FIELD_STRENGTH] = RANGE("field_strength_t"), [R_NUMBER + RULE_KVP] = RANGE("kvp"),
    [R_NUMBER + RULE_SLICES] = RANGE("slices"), [R_NUMBER + RULE_ECHO] = RANGE("echo"),
    [R_NUMBER + RULE_AFTER_INJECTION] = RANGE("seconds_after_injection"),
    {.name = NULL}};
static const key_group rule_group = {"rule", rule_keys};

enum { C_CENTER, C_COHORT, C_NAME, C_COUNTRY, C_INSTITUTION, C_STATION, C_FOLDER, C_MANUFACTURER };
static const key_def center_keys[] = {
    [C_CENTER] = {.name = "center", .kind = KEY_TEXT, .required = true, .example = "north"},
    [C_COHORT] = {.name = "cohort", .kind = KEY_WORD, .required = true, .words = cohort_words, .example = "external"},
    [C_NAME] = {.name = "name", .kind = KEY_TEXT, .example = "North Hospital"},
    [C_COUNTRY] = {.name = "country", .kind = KEY_TEXT, .example = "CH"},
    [C_INSTITUTION] = PATTERNS("institution"), [C_STATION] = PATTERNS("station"), [C_FOLDER] = PATTERNS("folder"),
    [C_MANUFACTURER] = PATTERNS("manufacturer"),
    {.name = NULL}};
static const key_group center_group = {"center", center_keys};

enum { S_RULES, S_CENTERS, S_PATIENT_ID, S_PREFER };
static const key_def set_keys[] = {
    [S_RULES] = {.name = "rules", .kind = KEY_MAPS, .required = true, .min_items = 1, .max_items = RULE_MAX_RULES,
                 .example = "[{sequence: T2, description: [\"*t2*\"]}]", .group = &rule_group},
    [S_CENTERS] = {.name = "centers", .kind = KEY_MAPS, .min_items = 1, .max_items = RULE_MAX_CENTERS,
                   .example = "[{center: north, cohort: internal, institution: [\"North*\"]}]", .group = &center_group},
    [S_PATIENT_ID] = {.name = "patient_id", .kind = KEY_WORD, .words = patient_words, .preset = "global", .example = "per-center"},
    [S_PREFER] = {.name = "prefer", .kind = KEY_WORDS, .words = prefer_words, .min_items = 1, .max_items = PREFER_COUNT,
                  .example = "[corrected, most-slices, latest]"},
    {.name = NULL}};
static const key_group set_group = {"rules", set_keys};
// clang-format on

static void read_patterns(yaml_reader *r, const yaml_node_t *node, const key_def *k, const yaml_where *parent, rule_patterns *ret) {
    const yaml_node_t *item[RULE_MAX_PATTERNS];
    yaml_where where = yaml_where_key(parent, k->name);
    if (!node)
        return;
    int n = 1;
    if (node->type == YAML_SCALAR_NODE) /* one pattern needs no brackets */
        item[0] = node;
    else
        n = yaml_get_items(r, node, k, &where, item);
    if (n <= 0)
        return;
    ret->item = arena_alloc(r->arena, (size_t)n, sizeof *ret->item);
    if (!ret->item) {
        r->st = RAD_E_NOMEM;
        return;
    }
    for (int i = 0; i < n; i++)
        if (yaml_get_text(r, item[i], k, &where, &ret->item[ret->n]))
            ret->n++;
}

static bool read_range(yaml_reader *r, const yaml_node_t *node, const key_def *k, const yaml_where *parent, double *low, double *high) {
    const yaml_node_t *item[2];
    yaml_where where = yaml_where_key(parent, k->name);
    int n = node ? yaml_get_items(r, node, k, &where, item) : 0;
    if (n <= 0)
        return false;
    bool ok = yaml_get_number(r, item[0], k, &where, low);
    *high = *low;
    if (n == 2)
        ok = yaml_get_number(r, item[1], k, &where, high) && ok;
    if (ok && *high < *low)
        yaml_mistake(r, RAD_SEVERITY_ERROR, item[1], "'%s' runs from %.10g down to %.10g: the lower end comes first", k->name, *low, *high);
    return ok;
}

static int read_words(yaml_reader *r, const yaml_node_t *node, const key_def *k, const yaml_where *parent, int *out) {
    const yaml_node_t *item[8];
    yaml_where where = yaml_where_key(parent, k->name);
    int n = node ? yaml_get_items(r, node, k, &where, item) : 0, m = 0;
    for (int i = 0; i < n; i++)
        if (yaml_get_word(r, item[i], k, &where, &out[m]))
            m++;
    return m;
}

static void read_prefer(yaml_reader *r, const yaml_node_t *node, const key_def *k, const yaml_where *parent, int *n, rule_prefer *out) {
    int word[8];
    *n = read_words(r, node, k, parent, word);
    for (int i = 0; i < *n; i++)
        out[i] = (rule_prefer)word[i];
}

static void read_rule(yaml_reader *r, const yaml_node_t *node, const key_def *k, const yaml_where *where, rule *ret) {
    const yaml_node_t *v[JOB_MAX_KEYS];
    ret->contrast = -1;
    if (!yaml_get_map(r, node, k, &rule_group, where, v))
        return;
    yaml_get_text(r, v[R_NAME], &rule_keys[R_NAME], where, &ret->name);
    yaml_get_text(r, v[R_SEQUENCE], &rule_keys[R_SEQUENCE], where, &ret->sequence);
    yaml_get_bool(r, v[R_IGNORE], &rule_keys[R_IGNORE], where, &ret->ignore);
    if (ret->ignore == (v[R_SEQUENCE] != NULL))
        yaml_mistake(r, RAD_SEVERITY_ERROR, node, "%s has %s: a rule has one of 'sequence: NAME' and 'ignore: true'", where->text,
                     ret->ignore ? "both" : "neither");
    bool contrast = false;
    if (v[R_CONTRAST] && yaml_get_bool(r, v[R_CONTRAST], &rule_keys[R_CONTRAST], where, &contrast))
        ret->contrast = contrast;
    double low = 0, high = 0;
    if (v[R_ORDER] && read_range(r, v[R_ORDER], &rule_keys[R_ORDER], where, &low, &high)) {
        ret->has_order = true;
        ret->order_low = (int64_t)low;
        ret->order_high = (int64_t)high;
    }
    int word[8], n = read_words(r, v[R_KEEP], &rule_keys[R_KEEP], where, word);
    for (int i = 0; i < n; i++)
        ret->keep[keep_text[word[i]]] = true;
    read_prefer(r, v[R_PREFER], &rule_keys[R_PREFER], where, &ret->n_prefer, ret->prefer);
    for (int t = 0; t < RULE_TEXT_COUNT; t++) {
        read_patterns(r, v[R_TEXT + t], &rule_keys[R_TEXT + t], where, &ret->want[t]);
        read_patterns(r, v[R_NOT + t], &rule_keys[R_NOT + t], where, &ret->refuse[t]);
    }
    for (int i = 0; i < RULE_NUMBER_COUNT; i++)
        ret->has_number[i] = read_range(r, v[R_NUMBER + i], &rule_keys[R_NUMBER + i], where, &ret->low[i], &ret->high[i]);
    if (!ret->name && r->st == RAD_OK && !(ret->name = arena_printf(r->arena, "%s", where->text)))
        r->st = RAD_E_NOMEM;
}

static void read_center(yaml_reader *r, const yaml_node_t *node, const key_def *k, const yaml_where *where, rule_center *ret) {
    const yaml_node_t *v[JOB_MAX_KEYS];
    int word = 0;
    if (!yaml_get_map(r, node, k, &center_group, where, v))
        return;
    yaml_get_text(r, v[C_CENTER], &center_keys[C_CENTER], where, &ret->center);
    yaml_get_text(r, v[C_NAME], &center_keys[C_NAME], where, &ret->name);
    yaml_get_text(r, v[C_COUNTRY], &center_keys[C_COUNTRY], where, &ret->country);
    if (v[C_COHORT] && yaml_get_word(r, v[C_COHORT], &center_keys[C_COHORT], where, &word))
        ret->external = word == 1;
    read_patterns(r, v[C_INSTITUTION], &center_keys[C_INSTITUTION], where, &ret->institution);
    read_patterns(r, v[C_STATION], &center_keys[C_STATION], where, &ret->station);
    read_patterns(r, v[C_FOLDER], &center_keys[C_FOLDER], where, &ret->folder);
    read_patterns(r, v[C_MANUFACTURER], &center_keys[C_MANUFACTURER], where, &ret->manufacturer);
}

static void read_root(yaml_reader *r, const yaml_node_t *root, rule_set *ret) {
    static const rule_prefer standard[] = {PREFER_CORRECTED, PREFER_MOST_SLICES, PREFER_LATEST};
    const yaml_node_t *v[JOB_MAX_KEYS];
    const yaml_node_t **item = arena_alloc(r->arena, RULE_MAX_CENTERS, sizeof *item);
    yaml_where top = {""}, where;
    int word = 0;
    if (!item) {
        r->st = RAD_E_NOMEM;
        return;
    }
    if (root->type != YAML_MAPPING_NODE) {
        yaml_mistake(r, RAD_SEVERITY_ERROR, root,
                     "a file of rules has a key 'rules:' with a list; 'radcohort convert --print-rules' is one");
        return;
    }
    yaml_get_map(r, root, NULL, &set_group, &top, v);
    yaml_get_word(r, v[S_PATIENT_ID], &set_keys[S_PATIENT_ID], &top, &word);
    ret->patient_per_center = word == 1;
    read_prefer(r, v[S_PREFER], &set_keys[S_PREFER], &top, &ret->n_prefer, ret->prefer);
    if (!v[S_PREFER])
        for (size_t i = 0; i < sizeof standard / sizeof *standard; i++)
            ret->prefer[ret->n_prefer++] = standard[i];
    where = yaml_where_key(&top, "rules");
    int n = v[S_RULES] ? yaml_get_items(r, v[S_RULES], &set_keys[S_RULES], &where, item) : 0;
    ret->rule = arena_alloc(r->arena, (size_t)(n > 0 ? n : 0), sizeof *ret->rule);
    for (int i = 0; ret->rule && i < n; i++) {
        yaml_where w = yaml_where_item(&where, i);
        read_rule(r, item[i], &set_keys[S_RULES], &w, &ret->rule[ret->n_rule++]);
    }
    where = yaml_where_key(&top, "centers");
    n = v[S_CENTERS] ? yaml_get_items(r, v[S_CENTERS], &set_keys[S_CENTERS], &where, item) : 0;
    ret->center = arena_alloc(r->arena, (size_t)(n > 0 ? n : 0), sizeof *ret->center);
    for (int i = 0; ret->center && i < n; i++) {
        yaml_where w = yaml_where_item(&where, i);
        read_center(r, item[i], &set_keys[S_CENTERS], &w, &ret->center[ret->n_center++]);
    }
    if (!ret->rule || !ret->center)
        r->st = RAD_E_NOMEM;
}

rad_status rules_read(const char *file, const char *text, size_t size, arena *a, rule_set *ret, rad_issues *issues, rad_error *err) {
    yaml_parser_t parser;
    yaml_document_t doc;
    bool have_doc = false;
    int64_t before = issues->n_error;
    *ret = (rule_set){0};
    if (!yaml_parser_initialize(&parser))
        return rad_error_set(err, RAD_E_NOMEM, "no memory to read '%s'", file);
    rad_status st = yaml_load_only(&parser, &doc, file, text, size, issues, &have_doc, err);
    if (st == RAD_OK && have_doc) {
        yaml_reader r = {.doc = &doc, .file = file, .issues = issues, .arena = a};
        read_root(&r, yaml_document_get_root_node(&doc), ret);
        if (r.st != RAD_OK)
            st = rad_error_set(err, RAD_E_NOMEM, "no memory to read '%s'", file);
    }
    if (have_doc)
        yaml_document_delete(&doc);
    yaml_parser_delete(&parser);
    if (st == RAD_OK)
        st = rad_sha256(text, size, ret->sha256, err);
    if (st == RAD_OK && issues->n_error > before)
        st = rad_error_set(err, RAD_E_CONFIG, "the rules in '%.200s' have %lld mistake%s", file, (long long)(issues->n_error - before),
                           issues->n_error - before == 1 ? "" : "s");
    return st;
}

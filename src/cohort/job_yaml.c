/* job_yaml.c: YAML values against key definitions.
 *
 * Scalars follow the YAML 1.2 core schema. A plain scalar that YAML 1.1 readers (PyYAML, R's yaml) take for something else (yes, 010,
 * 1:30, 2020-01-31) is refused where text is expected, so that a job means the same to every reader. */
#include "job_yaml.h"
#include "utf8.h"

#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    MAX_MERGE_DEPTH = 8,
    MAX_MERGES = 10000, /* of a whole file */
    MAX_PAIRS = 64,     /* of a mapping with known keys: with the limits above it keeps a hostile file from costing more than its size */
    MAX_TEXT = 4096,
    MAX_NAME = 64,
    SHOWN = 40
};

typedef enum scalar_kind { SCALAR_TEXT, SCALAR_NULL, SCALAR_BOOL, SCALAR_NUMBER, SCALAR_UNCLEAR } scalar_kind;

yaml_where yaml_where_key(const yaml_where *parent, const char *key) {
    yaml_where w;
    int n = snprintf(w.text, sizeof w.text, "%s%s%s", parent->text, parent->text[0] ? "." : "", key);
    if (n < 0)
        w.text[0] = '\0';
    return w;
}

yaml_where yaml_where_item(const yaml_where *parent, int64_t index) {
    yaml_where w;
    int n = snprintf(w.text, sizeof w.text, "%.200s[%lld]", parent->text, (long long)index + 1);
    if (n < 0)
        w.text[0] = '\0';
    return w;
}

void yaml_mistake(yaml_reader *r, rad_severity sev, const yaml_node_t *at, const char *fmt, ...) {
    char text[1024], column[24];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    utf8_scrub(text);
    snprintf(column, sizeof column, "%zu", at->start_mark.column + 1);
    rad_issues_add(r->issues, sev, r->file, (int64_t)at->start_mark.line + 1, column, "%s", text);
}

static const char *text_of(const yaml_node_t *n) {
    return (const char *)n->data.scalar.value;
}

static bool in_list(const char *s, const char *const *list) {
    for (; *list; list++)
        if (strcmp(s, *list) == 0)
            return true;
    return false;
}

/* Digits, a fraction and an exponent as YAML 1.2 has them, or one of the other spellings of YAML 1.1. `s` stands behind the sign. */
static scalar_kind number_kind(const char *s) {
    size_t n = strspn(s, "0123456789_");
    bool underscore = memchr(s, '_', n) != NULL;
    if (s[0] == '_')
        return SCALAR_TEXT;
    if (n == 1 && s[0] == '0' && s[1] && strchr("xXbBoO", s[1]) && s[2] && s[2 + strspn(s + 2, "0123456789abcdefABCDEF_")] == '\0')
        return SCALAR_UNCLEAR;
    if (n && !s[n])
        return underscore || (n > 1 && s[0] == '0') ? SCALAR_UNCLEAR : SCALAR_NUMBER;
    if (n && s[n] == ':' && s[n + strspn(s + n, "0123456789:._")] == '\0')
        return SCALAR_UNCLEAR;
    if (n == 4 && s[4] == '-' && isdigit((unsigned char)s[5]))
        return SCALAR_UNCLEAR;
    size_t digits = n;
    s += n;
    if (*s == '.') {
        size_t m = strspn(s + 1, "0123456789_");
        underscore = underscore || memchr(s + 1, '_', m) != NULL;
        digits += m;
        s += 1 + m;
    }
    if (!digits)
        return SCALAR_TEXT;
    if (*s == 'e' || *s == 'E') {
        s += 1 + (s[1] == '-' || s[1] == '+');
        size_t m = strspn(s, "0123456789");
        if (!m)
            return SCALAR_TEXT;
        s += m;
    }
    return *s ? SCALAR_TEXT : underscore ? SCALAR_UNCLEAR : SCALAR_NUMBER;
}

static scalar_kind kind_of(const yaml_node_t *node) {
    static const char *const nulls[] = {"", "~", "null", "Null", "NULL", NULL};
    static const char *const bools[] = {"true", "True", "TRUE", "false", "False", "FALSE", NULL};
    static const char *const unclear[] = {"yes", "Yes", "YES",  "no",   "No",   "NO",   "on",   "On",   "ON",    "off",   "Off",
                                          "OFF", "=",   ".inf", ".Inf", ".INF", ".nan", ".NaN", ".NAN", "+.inf", "-.inf", NULL};
    if (node->data.scalar.style != YAML_PLAIN_SCALAR_STYLE)
        return SCALAR_TEXT;
    const char *s = text_of(node);
    if (in_list(s, nulls))
        return SCALAR_NULL;
    if (in_list(s, bools))
        return SCALAR_BOOL;
    if (in_list(s, unclear))
        return SCALAR_UNCLEAR;
    return number_kind(s + (s[0] == '-' || s[0] == '+'));
}

/* A value as shown in a message: short, without control characters. */
static void show(const char *s, char out[SHOWN + 4]) {
    size_t n = strlen(s), keep = n > SHOWN ? SHOWN : n;
    while (keep < n && keep > 0 && ((unsigned char)s[keep] & 0xC0) == 0x80)
        keep--; /* not inside a UTF-8 sequence */
    for (size_t i = 0; i < keep; i++)
        out[i] = iscntrl((unsigned char)s[i]) ? '?' : s[i];
    memcpy(out + keep, n > keep ? "..." : "", n > keep ? 4 : 1);
}

static void describe_words(const key_def *key, char *buf, size_t cap) {
    size_t at = 0;
    for (size_t i = 0; key->words[i] && at < cap; i++) {
        int n = snprintf(buf + at, cap - at, "%s%s", i ? ", " : "", key->words[i]);
        at += n > 0 ? (size_t)n : 0;
    }
}

static void describe_range(const key_def *key, const char *what, char *buf, size_t cap) {
    if (key->above_min)
        snprintf(buf, cap, "%s above %.10g and at most %.10g", what, key->min, key->max);
    else
        snprintf(buf, cap, "%s from %.10g to %.10g", what, key->min, key->max);
}

/* `item`: one entry of a list is meant, not the list. */
static void describe_expected(const key_def *key, bool item, char *buf, size_t cap) {
    char words[160] = "";
    if (key->words)
        describe_words(key, words, sizeof words);
    switch (key->kind) {
    case KEY_TEXT:
        snprintf(buf, cap, "text");
        break;
    case KEY_NAME:
        snprintf(buf, cap, "a name of at most %d letters, digits, '.', '_' and '-'", MAX_NAME);
        break;
    case KEY_AXES:
        snprintf(buf, cap, "three letters, one of each pair L/R, A/P, S/I");
        break;
    case KEY_SHA256:
        snprintf(buf, cap, "64 lower-case hexadecimal digits");
        break;
    case KEY_WORD:
        snprintf(buf, cap, "one of %s", words);
        break;
    case KEY_EITHER: {
        char range[120];
        describe_range(key, "a number", range, sizeof range);
        snprintf(buf, cap, "%s, or %s", words, range);
        break;
    }
    case KEY_BOOL:
        snprintf(buf, cap, "true or false");
        break;
    case KEY_INT:
        describe_range(key, "a whole number", buf, cap);
        break;
    case KEY_NUMBER:
        describe_range(key, "a number", buf, cap);
        break;
    case KEY_INTS:
        describe_range(key, item ? "a whole number" : "a whole number or a list of them, each", buf, cap);
        break;
    case KEY_NUMBERS:
        describe_range(key, item ? "a number" : "a number or a list of them, each", buf, cap);
        break;
    case KEY_TEXTS:
        snprintf(buf, cap, item ? "text" : "a list of texts");
        break;
    case KEY_WORDS:
        snprintf(buf, cap, "%s %s", item ? "one of" : "a list of words out of", words);
        break;
    case KEY_MAP:
        snprintf(buf, cap, "keys with values (a mapping)");
        break;
    case KEY_MAPS:
        snprintf(buf, cap, item ? "keys with values (a mapping)" : "a list of mappings");
        break;
    case KEY_NAMED:
        snprintf(buf, cap, item ? "keys with values (a mapping)" : "a mapping from names to mappings");
        break;
    }
}

/* "'batch' must be a whole number from 1 to 4096, got text 'abc'; for example: batch: 16" */
static void wrong_value(yaml_reader *r, const yaml_node_t *node, const key_def *key, const yaml_where *where) {
    char expected[320], value[SHOWN + 4] = "", got[SHOWN + 120];
    size_t end = strlen(where->text);
    bool item = end > 0 && where->text[end - 1] == ']';
    if (key->kind == KEY_NAMED)
        item = strcmp(where->text, key->name) != 0; /* inputs.mri */
    describe_expected(key, item, expected, sizeof expected);
    if (node->type == YAML_SCALAR_NODE)
        show(text_of(node), value);
    const char *what = node->type == YAML_SEQUENCE_NODE ? "a list" : node->type == YAML_MAPPING_NODE ? "a mapping" : NULL;
    if (what) {
        snprintf(got, sizeof got, "got %s", what);
    } else {
        switch (kind_of(node)) {
        case SCALAR_NULL:
            snprintf(got, sizeof got, "got nothing");
            break;
        case SCALAR_BOOL:
            snprintf(got, sizeof got, "got the truth value %s (quotes would make it text)", value);
            break;
        case SCALAR_NUMBER:
            snprintf(got, sizeof got, "got the number %s%s", value,
                     key->kind == KEY_TEXT || key->kind == KEY_TEXTS || key->kind == KEY_NAME ? " (quotes would make it text)" : "");
            break;
        case SCALAR_UNCLEAR:
            snprintf(got, sizeof got, "got %s, which YAML readers understand differently (quotes would make it text)", value);
            break;
        case SCALAR_TEXT:
            snprintf(got, sizeof got, "got text '%s'", value);
            break;
        }
    }
    const char *near = NULL;
    if (key->words && node->type == YAML_SCALAR_NODE)
        near = rad_nearest_word(text_of(node), key->words);
    if (near)
        yaml_mistake(r, RAD_SEVERITY_ERROR, node, "'%s' must be %s, %s: did you mean '%s'?", where->text, expected, got, near);
    else
        yaml_mistake(r, RAD_SEVERITY_ERROR, node, "'%s' must be %s, %s; for example: %s: %s", where->text, expected, got, key->name,
                     key->example);
}

/* ---------------------------------------------------------------- mappings and lists */

static const yaml_node_t *node_at(const yaml_reader *r, int index) {
    return yaml_document_get_node(r->doc, index);
}

static void unknown_key(yaml_reader *r, const yaml_node_t *k, const key_group *group, const yaml_where *where) {
    const char *known[JOB_MAX_KEYS + 1];
    char list[400] = "", shown[SHOWN + 4];
    size_t n = 0, at = 0;
    for (; group->key[n].name && n < JOB_MAX_KEYS; n++) {
        known[n] = group->key[n].name;
        int c = at < sizeof list ? snprintf(list + at, sizeof list - at, "%s%s", n ? ", " : "", known[n]) : 0;
        at += c > 0 ? (size_t)c : 0;
    }
    known[n] = NULL;
    const char *near = rad_nearest_word(text_of(k), known);
    show(text_of(k), shown);
    const char *in = where->text[0] ? " in " : "";
    if (near)
        yaml_mistake(r, RAD_SEVERITY_ERROR, k, "unknown key '%s'%s%s: did you mean '%s'?", shown, in, where->text, near);
    else
        yaml_mistake(r, RAD_SEVERITY_ERROR, k, "unknown key '%s'%s%s: known here: %s", shown, in, where->text, list);
}

static bool is_merge(const yaml_node_t *k) {
    return k->data.scalar.style == YAML_PLAIN_SCALAR_STYLE && strcmp(text_of(k), "<<") == 0;
}

static bool plain_key(yaml_reader *r, const yaml_node_t *k, const yaml_where *where) {
    if (k->type == YAML_SCALAR_NODE)
        return true;
    yaml_mistake(r, RAD_SEVERITY_ERROR, k, "a key%s%s must be a word", where->text[0] ? " in " : "", where->text);
    return false;
}

static void collect(yaml_reader *r, const yaml_node_t *node, const key_group *group, const yaml_where *where, int depth,
                    const yaml_node_t *value[JOB_MAX_KEYS]);

/* One mapping behind `<<`. Aliases could make few lines into billions of merges: depth and total are limited. */
static void collect_merged(yaml_reader *r, const yaml_node_t *node, const key_group *group, const yaml_where *where, int depth,
                           const yaml_node_t *value[JOB_MAX_KEYS]) {
    r->n_merge++;
    if (r->n_merge > MAX_MERGES + 1)
        return; /* told already */
    if (r->n_merge > MAX_MERGES)
        yaml_mistake(r, RAD_SEVERITY_ERROR, node, "more than %d merges ('<<') in one file", MAX_MERGES);
    else if (depth > MAX_MERGE_DEPTH || node->type != YAML_MAPPING_NODE)
        yaml_mistake(r, RAD_SEVERITY_ERROR, node, "'<<' must name a mapping (<<: *anchor, or <<: [*a, *b]), not itself");
    else
        collect(r, node, group, where, depth, value);
}

/* Own keys first, then what is merged in: the nearer one wins. */
static void collect(yaml_reader *r, const yaml_node_t *node, const key_group *group, const yaml_where *where, int depth,
                    const yaml_node_t *value[JOB_MAX_KEYS]) {
    const yaml_node_t *own[JOB_MAX_KEYS] = {NULL}, *merge = NULL;
    if (node->data.mapping.pairs.top - node->data.mapping.pairs.start > MAX_PAIRS) {
        yaml_mistake(r, RAD_SEVERITY_ERROR, node, "more than %d keys%s%s", MAX_PAIRS, where->text[0] ? " in " : "", where->text);
        return;
    }
    for (const yaml_node_pair_t *p = node->data.mapping.pairs.start; p < node->data.mapping.pairs.top; p++) {
        const yaml_node_t *k = node_at(r, p->key), *v = node_at(r, p->value);
        if (!plain_key(r, k, where))
            continue;
        bool repeated = false;
        if (is_merge(k)) {
            repeated = merge != NULL;
            merge = v;
        } else {
            int i = 0;
            while (group->key[i].name && strcmp(group->key[i].name, text_of(k)) != 0)
                i++;
            if (!group->key[i].name) {
                unknown_key(r, k, group, where);
                continue;
            }
            repeated = own[i] != NULL;
            own[i] = v;
            if (!value[i])
                value[i] = v;
        }
        if (repeated)
            yaml_mistake(r, RAD_SEVERITY_ERROR, k, "key '%s'%s%s appears twice: keep one", text_of(k), where->text[0] ? " in " : "",
                         where->text);
    }
    if (!merge)
        return;
    if (merge->type != YAML_SEQUENCE_NODE) {
        collect_merged(r, merge, group, where, depth + 1, value);
        return;
    }
    for (const yaml_node_item_t *it = merge->data.sequence.items.start; it < merge->data.sequence.items.top && r->n_merge <= MAX_MERGES;
         it++)
        collect_merged(r, node_at(r, *it), group, where, depth + 1, value);
}

bool yaml_get_map(yaml_reader *r, const yaml_node_t *node, const key_def *key, const key_group *group, const yaml_where *where,
                  const yaml_node_t *value[JOB_MAX_KEYS]) {
    for (int i = 0; i < JOB_MAX_KEYS; i++)
        value[i] = NULL;
    if (node->type != YAML_MAPPING_NODE) {
        if (key)
            wrong_value(r, node, key, where);
        else
            yaml_mistake(r, RAD_SEVERITY_ERROR, node, "a job file is a list of 'key: value' lines; see jobs/README.md");
        return false;
    }
    collect(r, node, group, where, 0, value);
    for (int i = 0; group->key[i].name; i++)
        if (group->key[i].required && !value[i])
            yaml_mistake(r, RAD_SEVERITY_ERROR, node, "key '%s'%s%s is missing; for example: %s: %s", group->key[i].name,
                         where->text[0] ? " in " : "", where->text, group->key[i].name, group->key[i].example);
    return true;
}

static bool count_fits(yaml_reader *r, const yaml_node_t *node, const key_def *key, const yaml_where *where, int64_t n) {
    if (n >= key->min_items && n <= key->max_items)
        return true;
    yaml_mistake(r, RAD_SEVERITY_ERROR, node, "'%s' has %lld entr%s, expected %d to %d", where->text, (long long)n, n == 1 ? "y" : "ies",
                 key->min_items, key->max_items);
    return false;
}

int yaml_get_items(yaml_reader *r, const yaml_node_t *node, const key_def *key, const yaml_where *where, const yaml_node_t **item) {
    if (!node)
        return 0;
    bool single = key->kind == KEY_INTS || key->kind == KEY_NUMBERS;
    if (single && node->type == YAML_SCALAR_NODE) {
        item[0] = node;
        return 1;
    }
    if (node->type != YAML_SEQUENCE_NODE) {
        wrong_value(r, node, key, where);
        return -1;
    }
    int64_t n = node->data.sequence.items.top - node->data.sequence.items.start;
    if (!count_fits(r, node, key, where, n))
        return -1;
    for (int64_t i = 0; i < n; i++)
        item[i] = node_at(r, node->data.sequence.items.start[i]);
    return (int)n;
}

static bool is_name(const char *s) {
    size_t n = strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-");
    return n > 0 && n <= MAX_NAME && s[n] == '\0' && isalnum((unsigned char)s[0]);
}

int yaml_get_named(yaml_reader *r, const yaml_node_t *node, const key_def *key, const yaml_where *where, const char **name,
                   const yaml_node_t **key_node, const yaml_node_t **item) {
    if (!node)
        return -1; /* required: reported already */
    if (node->type != YAML_MAPPING_NODE) {
        wrong_value(r, node, key, where);
        return -1;
    }
    if (!count_fits(r, node, key, where, node->data.mapping.pairs.top - node->data.mapping.pairs.start))
        return -1;
    int n = 0;
    for (const yaml_node_pair_t *p = node->data.mapping.pairs.start; p < node->data.mapping.pairs.top; p++) {
        const yaml_node_t *k = node_at(r, p->key);
        if (!plain_key(r, k, where))
            continue;
        char shown[SHOWN + 4];
        show(text_of(k), shown);
        if (kind_of(k) != SCALAR_TEXT || !is_name(text_of(k))) {
            yaml_mistake(r, RAD_SEVERITY_ERROR, k, "'%s' in %s must be a name of at most %d letters, digits, '.', '_' and '-'", shown,
                         where->text, MAX_NAME);
            continue;
        }
        bool repeated = false;
        for (int i = 0; i < n; i++)
            repeated = repeated || strcmp(name[i], text_of(k)) == 0;
        if (repeated) {
            yaml_mistake(r, RAD_SEVERITY_ERROR, k, "'%s' in %s appears twice: keep one", shown, where->text);
            continue;
        }
        name[n] = text_of(k);
        key_node[n] = k;
        item[n++] = node_at(r, p->value);
    }
    return n;
}

/* ---------------------------------------------------------------- scalars */

static bool is_axes(const char *s) {
    if (strlen(s) != 3)
        return false;
    static const char letters[] = "LRAPSI";
    int pair[3] = {0};
    for (int i = 0; i < 3; i++) {
        const char *at = strchr(letters, s[i]);
        if (!at)
            return false;
        pair[(at - letters) / 2]++;
    }
    return pair[0] == 1 && pair[1] == 1 && pair[2] == 1;
}

static bool text_fits(const char *s, key_kind kind) {
    size_t n = strlen(s);
    if (kind == KEY_NAME)
        return is_name(s);
    if (kind == KEY_AXES)
        return is_axes(s);
    if (kind == KEY_SHA256)
        return n == 64 && strspn(s, "0123456789abcdef") == 64;
    for (size_t i = 0; i < n; i++)
        if ((unsigned char)s[i] < 0x20 || s[i] == 0x7F)
            return false;
    return n > 0 && n <= MAX_TEXT;
}

bool yaml_get_text(yaml_reader *r, const yaml_node_t *node, const key_def *key, const yaml_where *where, char **ret) {
    const char *s = key->preset;
    if (node) {
        /* libyaml gives the length beside the text: a "\0" escape would cut it unseen */
        if (node->type != YAML_SCALAR_NODE || kind_of(node) != SCALAR_TEXT || node->data.scalar.length != strlen(text_of(node)) ||
            !text_fits(text_of(node), key->kind)) {
            wrong_value(r, node, key, where);
            return false;
        }
        s = text_of(node);
    }
    if (!s)
        return false;
    char *copy = arena_strdup(r->arena, s);
    if (!copy) {
        r->st = RAD_E_NOMEM;
        return false;
    }
    *ret = copy;
    return true;
}

bool yaml_get_word(yaml_reader *r, const yaml_node_t *node, const key_def *key, const yaml_where *where, int *ret) {
    const char *s = key->preset;
    if (node)
        s = node->type == YAML_SCALAR_NODE && kind_of(node) == SCALAR_TEXT ? text_of(node) : "";
    if (!s)
        return false;
    for (int i = 0; key->words[i]; i++)
        if (strcmp(s, key->words[i]) == 0) {
            *ret = i;
            return true;
        }
    wrong_value(r, node, key, where);
    return false;
}

bool yaml_get_bool(yaml_reader *r, const yaml_node_t *node, const key_def *key, const yaml_where *where, bool *ret) {
    const char *s = key->preset;
    if (node) {
        if (node->type != YAML_SCALAR_NODE || kind_of(node) != SCALAR_BOOL) {
            wrong_value(r, node, key, where);
            return false;
        }
        s = text_of(node);
    }
    if (!s)
        return false;
    *ret = s[0] == 't' || s[0] == 'T';
    return true;
}

static bool number_fits(const key_def *key, double v) {
    return isfinite(v) && v <= key->max && (key->above_min ? v > key->min : v >= key->min);
}

bool yaml_get_number(yaml_reader *r, const yaml_node_t *node, const key_def *key, const yaml_where *where, double *ret) {
    double v = 0;
    if (!node && !key->preset)
        return false;
    bool fits = node ? node->type == YAML_SCALAR_NODE && kind_of(node) == SCALAR_NUMBER && rad_parse_double(text_of(node), &v)
                     : rad_parse_double(key->preset, &v);
    bool whole = key->kind == KEY_INT || key->kind == KEY_INTS;
    if (!fits || !number_fits(key, v) || (whole && v != floor(v))) {
        wrong_value(r, node, key, where);
        return false;
    }
    *ret = v;
    return true;
}

bool yaml_get_int(yaml_reader *r, const yaml_node_t *node, const key_def *key, const yaml_where *where, int64_t *ret) {
    double v = 0;
    if (!yaml_get_number(r, node, key, where, &v))
        return false;
    *ret = (int64_t)v; /* the ranges of whole numbers lie far below 2^53 */
    return true;
}

bool yaml_get_either(yaml_reader *r, const yaml_node_t *node, const key_def *key, const yaml_where *where, int *ret_word, double *ret) {
    if (!node)
        return false;
    for (int i = 0; node->type == YAML_SCALAR_NODE && key->words[i]; i++)
        if (kind_of(node) == SCALAR_TEXT && strcmp(text_of(node), key->words[i]) == 0) {
            *ret_word = i;
            return true;
        }
    *ret_word = -1;
    return yaml_get_number(r, node, key, where, ret);
}

/* convert_rules.h (private to src/cohort): which sequence an image is, by declared rules. Pure but for reading the file. */
#ifndef RAD_COHORT_CONVERT_RULES_H
#define RAD_COHORT_CONVERT_RULES_H

#include "arena.h"
#include "radcohort/issue.h"

typedef enum rule_text {
    RULE_MODALITY,
    RULE_DESCRIPTION,
    RULE_PROTOCOL,
    RULE_AGENT,
    RULE_IMAGE_TYPE,
    RULE_SCANNING_SEQUENCE,
    RULE_SEQUENCE_NAME,
    RULE_MANUFACTURER,
    RULE_MODEL,
    RULE_BODY_PART,
    RULE_KERNEL,
    RULE_ORIENTATION,
    RULE_VARIANT,
    RULE_TEXT_COUNT
} rule_text;

typedef enum rule_number {
    RULE_B_VALUE,
    RULE_ECHO_TIME,
    RULE_REPETITION_TIME,
    RULE_INVERSION_TIME,
    RULE_FLIP_ANGLE,
    RULE_SLICE_THICKNESS,
    RULE_FIELD_STRENGTH,
    RULE_KVP,
    RULE_SLICES,
    RULE_ECHO,
    RULE_AFTER_INJECTION,
    RULE_NUMBER_COUNT
} rule_number;

typedef struct rule_facts {
    const char *text[RULE_TEXT_COUNT]; /* '\\' between values; NULL: not known */
    double low[RULE_NUMBER_COUNT], high[RULE_NUMBER_COUNT];
    bool from_headers; /* what is not known may still come from the sidecar, and ranges may be split */
    double acquired;   /* seconds of the day, or NaN */
    int64_t voxels, slices;
} rule_facts;

enum { RULE_MAX_RULES = 200, RULE_MAX_PATTERNS = 64, RULE_MAX_CENTERS = 500 };

typedef enum rule_prefer {
    PREFER_CORRECTED,
    PREFER_ORIGINAL,
    PREFER_MOST_SLICES,
    PREFER_THINNEST,
    PREFER_LATEST,
    PREFER_EARLIEST,
    PREFER_COUNT
} rule_prefer;

typedef struct rule_patterns {
    int n;
    char **item;
} rule_patterns;

typedef struct rule {
    char *name, *sequence; /* sequence NULL: ignored */
    bool ignore;
    rule_patterns want[RULE_TEXT_COUNT], refuse[RULE_TEXT_COUNT];
    bool has_number[RULE_NUMBER_COUNT];
    double low[RULE_NUMBER_COUNT], high[RULE_NUMBER_COUNT];
    int contrast; /* -1 not asked, else 0 or 1 */
    bool has_order;
    int64_t order_low, order_high;
    bool keep[RULE_TEXT_COUNT]; /* free texts that this rule lets into images.tsv */
    int n_prefer;
    rule_prefer prefer[PREFER_COUNT];
} rule;

typedef struct rule_center {
    char *center, *name, *country;
    bool external;
    rule_patterns institution, station, folder, manufacturer;
} rule_center;

typedef struct rule_set {
    bool patient_per_center;
    int n_rule;
    rule *rule;
    int n_center;
    rule_center *center;
    int n_prefer;
    rule_prefer prefer[PREFER_COUNT];
    char sha256[RAD_SHA256_HEX];
} rule_set;

/* `file` names the text in messages. Mistakes become issues; CONFIG when there is an error. Strings live in the arena. */
rad_status rules_read(const char *file, const char *text, size_t size, arena *a, rule_set *ret, rad_issues *issues,
                      rad_error *err) RAD_MUST_CHECK;

/* '*' any text, '?' one character; letters in any case. Time: product of the lengths. */
bool rules_glob(const char *pattern, const char *text);
bool rules_any(const rule_patterns *p, const char *values);

typedef struct rule_verdict {
    int rule;      /* -1: none */
    int nearest;   /* the rule with the fewest failing conditions, of those the one with the most that hold, the first of them */
    char why[240]; /* its first failing condition; holds no free text of the header */
} rule_verdict;

/* All conditions of the rule but `order`. `possible`: what is not known counts as met. */
bool rules_meets(const rule *r, const rule_facts *f, bool possible);
/* First rule that fits among those whose `order` condition holds (order_ok[i]; NULL: all). */
void rules_match(const rule_set *s, const rule_facts *f, bool possible, const bool *order_ok, rule_verdict *ret);
const char *rules_text_key(rule_text t);
const char *rules_number_key(rule_number n);

#endif

/* stats: pure statistics. No files, no SQL, no clock. GSL for distributions, linear algebra and minimisation.
 *
 * Conventions: label 1 = positive, 0 = negative; higher score = more positive; ties count one half (mid-ranks); a missing score is NaN and
 * is counted, not used. An undefined result is NaN with a reason (static text), never 0 and never an error. Every docstring states the
 * formula's source.
 */
#ifndef RADCOHORT_STATS_H
#define RADCOHORT_STATS_H

#include "radcohort/base.h"

#ifdef __cplusplus
extern "C" {
#endif

/* One estimate with its interval. NaN = undefined; `reason` then says why (static storage), else NULL. */
typedef struct rad_estimate {
    double est, se, lower, upper, p;
    int64_t n, n_pos, n_missing;
    const char *reason;
} rad_estimate;

/* Area under the ROC curve with DeLong variance (DeLong, DeLong, Clarke-Pearson 1988; O(n log n) by Sun & Xu 2014) and a two-sided
 * interval at `level` (0.95), truncated to [0, 1]. label[i] is 0 or 1 (other values count as missing). p is for AUC = 0.5. */
rad_status rad_auc(const int8_t *label, const double *score, int64_t n, double level, rad_estimate *ret, rad_error *err) RAD_MUST_CHECK;
/* AUC of group 1 minus group 2, independent groups; z test with variance V1 + V2. n, n_pos are sums. */
rad_status rad_auc_difference(const rad_estimate *a, const rad_estimate *b, double level, rad_estimate *ret, rad_error *err) RAD_MUST_CHECK;

/* ---------------------------------------------------------------- result document
 *
 * Most statistics have ten numbers, not one. They are written once, as a small tree of named values, and every consumer (SQL function,
 * report, test) reads the same tree. Writers are void: the first failure (memory) is kept and told by rad_doc_status().
 */
typedef struct rad_doc rad_doc;
rad_status rad_doc_create(rad_doc **ret, rad_error *err) RAD_MUST_CHECK;
void rad_doc_destroy(rad_doc **doc);
/* `name` is ignored inside a list. NaN is written as null, infinities as 9e999. */
void rad_doc_num(rad_doc *doc, const char *name, double x);
void rad_doc_int(rad_doc *doc, const char *name, int64_t x);
void rad_doc_bool(rad_doc *doc, const char *name, bool x);
void rad_doc_text(rad_doc *doc, const char *name, const char *text);
void rad_doc_open(rad_doc *doc, const char *name);
void rad_doc_open_list(rad_doc *doc, const char *name);
void rad_doc_close(rad_doc *doc);
/* Says why something in this document is undefined or doubtful. Several reasons are joined by "; ". printf format. */
void rad_doc_reason(rad_doc *doc, const char *fmt, ...) RAD_PRINTF(2, 3);
/* NULL when there is none. Valid until the document changes. */
const char *rad_doc_get_reason(const rad_doc *doc);
rad_status rad_doc_status(const rad_doc *doc, rad_error *err) RAD_MUST_CHECK;
/* Value at a path ("auc", "folds[2].auc"). Number: NaN when absent, null or not a number. Text: NULL when absent. */
double rad_doc_get(const rad_doc *doc, const char *path);
const char *rad_doc_get_text(const rad_doc *doc, const char *path);
/* Number of members of the list or object at a path; -1 when absent. */
int64_t rad_doc_count(const rad_doc *doc, const char *path);
/* Walks the objects of a list: first, then next until false. A member by name as above. */
typedef struct rad_doc_row {
    int64_t at, end;
} rad_doc_row;
bool rad_doc_row_first(const rad_doc *doc, const char *path, rad_doc_row *ret);
bool rad_doc_row_next(const rad_doc *doc, rad_doc_row *row);
double rad_doc_row_get(const rad_doc *doc, const rad_doc_row *row, const char *name);
const char *rad_doc_row_get_text(const rad_doc *doc, const rad_doc_row *row, const char *name);
/* True for what rad_doc_int() and rad_doc_bool() wrote. */
bool rad_doc_row_is_integer(const rad_doc *doc, const rad_doc_row *row, const char *name);
/* The document as JSON, 17 significant digits; "reason" is a member of the root when there is one. Appended to `out`. */
rad_status rad_doc_json(const rad_doc *doc, rad_buf *out, rad_error *err) RAD_MUST_CHECK;

/* ---------------------------------------------------------------- data and the table of functions */

/* One column of n values; NaN = missing. A category column holds level numbers 0.. and the levels' names, sorted (by number when all
 * levels are numbers, else by bytes). */
typedef struct rad_column {
    const char *name;
    const double *value;
    const char *const *level; /* NULL: plain numbers */
    int64_t n_level;
} rad_column;
/* Borrowed rows: n rows, n_column columns. */
typedef struct rad_frame {
    int64_t n;
    int64_t n_column;
    const rad_column *column;
} rad_frame;
/* A constant argument: a number, or a text (then num is NaN unless the text is a number). Absent: text NULL and num NaN. */
typedef struct rad_arg {
    double num;
    const char *text;
} rad_arg;

typedef enum rad_stat_kind {
    RAD_STAT_SCALAR,    /* constants in, no rows */
    RAD_STAT_AGGREGATE, /* rows in, order of rows without influence */
    RAD_STAT_TABLE      /* rows in, rows out: members of the list "rows"; order of rows kept */
} rad_stat_kind;

enum { RAD_STAT_ORDER_FREE = 1 }; /* flags: the function itself is exact under any order of rows; no need to sort first */

/* Writes its results into `doc`. A degenerate input is a null with a reason, not an error; errors are RAD_E_USAGE (an argument that no
 * data could make right), NOMEM, LIMIT. Thread-safe. */
typedef rad_status rad_stat_fn(const rad_frame *f, const rad_arg *arg, int n_arg, rad_doc *doc, rad_error *err);

/* columns: one letter per data column, n = number, c = category, a = either (number when all values are); a '+' behind the last letter
 * repeats it. args: one letter per constant, n or t; constants follow the columns, but precede them when the columns repeat. Arguments
 * beyond `required` may be left out; it counts columns and constants together, for a TABLE the query (1) and constants. */
typedef struct rad_stat_function {
    const char *name;
    const char *signature;
    const char *doc;   /* purpose, formula, source, assumptions */
    const char *field; /* path of the number (or text) returned; NULL: the whole document as JSON. TABLE: "col,col,..." of the rows */
    const char *columns, *args;
    int required;
    int flags;
    rad_stat_kind kind;
    rad_stat_fn *fn;
} rad_stat_function;

/* All functions, sorted by topic. */
int64_t rad_stat_function_count(void);
const rad_stat_function *rad_stat_function_at(int64_t i);
const rad_stat_function *rad_stat_function_find(const char *name);
/* Sorts the rows of `f` into an order that depends on their values only (all columns, left to right; missing last) and calls fn, unless
 * the function is order-free or a TABLE. This is what SQL aggregates do. */
rad_status rad_stat_call(const rad_stat_function *s, const rad_frame *f, const rad_arg *arg, int n_arg, rad_doc *doc,
                         rad_error *err) RAD_MUST_CHECK;
/* Type 'n' and 'c' columns out of text cells (NULL = missing), as SQL and CSV give them; '' , NA and nan are missing. `kind` as above.
 * Errors: RAD_E_FORMAT (text in a number column), NOMEM. */
typedef struct rad_column_builder rad_column_builder;
rad_status rad_column_builder_create(char kind, rad_column_builder **ret, rad_error *err) RAD_MUST_CHECK;
void rad_column_builder_destroy(rad_column_builder **b);
rad_status rad_column_builder_put_number(rad_column_builder *b, double x, rad_error *err) RAD_MUST_CHECK;
rad_status rad_column_builder_put_text(rad_column_builder *b, const char *text, rad_error *err) RAD_MUST_CHECK;
rad_status rad_column_builder_put_missing(rad_column_builder *b, rad_error *err) RAD_MUST_CHECK;
/* Drops the first row (a window moves on). */
void rad_column_builder_drop_first(rad_column_builder *b);
int64_t rad_column_builder_count(const rad_column_builder *b);
/* Borrowed view of what was put so far; valid until the next change. */
rad_status rad_column_builder_view(rad_column_builder *b, rad_column *ret, rad_error *err) RAD_MUST_CHECK;

/* ---------------------------------------------------------------- aggregation: slices to lesions, lesions to patients */

#define RAD_MAX_TOP_RULE 999 /* K of "top-K" */
/* True for the rules of the job file: "max", "mean", "median", "noisy-or", "majority", "top-K" (K from 1 to 999). */
bool rad_aggregate_is_rule(const char *rule);
/* One score out of `score` [n], all finite. `score` is put into ascending order, so that the result does not depend on the order in
 * which the parts are given: the mean adds in that order, in double. The median of an even number is the mean of the two middle ones
 * (as numpy.median). top-K: mean of the K highest, of all when there are fewer. noisy-or: 1 - product of 1 - p (Pearl 1988), factors in
 * that order. majority: the share of votes, `score` being 1 for a part that votes for the class and 0 for one that does not. NaN when n is
 * 0 or the rule is unknown. Thread-safe for distinct `score`. */
double rad_aggregate_scores(const char *rule, double *score, int64_t n);

/* ---------------------------------------------------------------- folds */

/* Random folds 0 .. n_fold - 1 of n units into ret [n]: within each stratum (any numbers) the units, in the order they come in, are
 * shuffled (MT19937 of the GSL, its own bits on every machine), and dealt out, from stratum to stratum without a break: sizes differ by one
 * at most, in all and within each stratum. Errors: USAGE (more folds than units, a seed of 2^32 or more), NOMEM. */
rad_status rad_assign_folds(const int64_t *stratum, int64_t n, int64_t n_fold, uint64_t seed, int64_t *ret, rad_error *err) RAD_MUST_CHECK;

/* ---------------------------------------------------------------- claim audit */

/* Numbers as a paper prints them; the digits count, so they stay text ("0.95", "74.8 %", "<0.001"). NULL or NaN = not reported. */
typedef struct rad_claims {
    const char *name, *unit;
    double n, n_pos, n_neg;   /* what the rates are of */
    double cases;             /* independent units the study has at all */
    double positive_fraction; /* for intervals without n_pos */
    const char *sensitivity, *specificity, *accuracy;
    const char *auc, *auc_lower, *auc_upper;
    double paired_n, paired_first, paired_second; /* correct calls of two readings of the same paired_n cases */
    const char *p;                                /* the p value reported for that pair */
} rad_claims;
/* All fields empty. */
void rad_claims_init(rad_claims *c);
/* Whether whole numbers exist that give the rates, the smallest p that the pair can give, and the independent units the AUC's interval
 * implies (Hanley & McNeil 1982). Writes "name", "feasible", and "findings": objects with check, ok and text. Errors: USAGE (text that is
 * no number), NOMEM. */
rad_status rad_audit(const rad_claims *c, rad_doc *doc, rad_error *err) RAD_MUST_CHECK;

#ifdef __cplusplus
}
#endif
#endif

/* issue: a list of mistakes found in input files, each with its place, so that all are shown at once.
 * Part of src/base; plain data. */
#ifndef RADCOHORT_ISSUE_H
#define RADCOHORT_ISSUE_H

#include "radcohort/base.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum rad_severity { RAD_SEVERITY_WARNING, RAD_SEVERITY_ERROR } rad_severity;

typedef struct rad_issue {
    rad_severity severity;
    char *file;   /* as the user would write it */
    int64_t line; /* 1-based; 0 = the file as a whole */
    char *column; /* column name or number, or NULL */
    char *text;   /* what is wrong, what was expected, the way out */
} rad_issue;

#define RAD_MAX_ISSUES 1000 /* kept; further ones are only counted */
typedef struct rad_issues {
    rad_issue *item;
    size_t n, cap;
    int64_t n_error, n_warning; /* all, also those not kept */
} rad_issues;

/* Zero-initialise before use. */
void rad_issues_release(rad_issues *is);
/* Adds one; when memory is out it is still counted. `column` may be NULL. */
void rad_issues_add(rad_issues *is, rad_severity sev, const char *file, int64_t line, const char *column, const char *fmt, ...)
    RAD_PRINTF(6, 7);
/* "file:line: column 'x': error: text" (of a table) or "file:line: column 5: error: text" (a place in the line), one line each, in file and
 * line order; then a count. Of more than fifty the first are shown, errors before warnings: the rest would only scroll them away. */
void rad_issues_print(const rad_issues *is, FILE *to);

#ifdef __cplusplus
}
#endif
#endif

/* parts.h (private to src/report): what several sections share. */
#ifndef RAD_REPORT_PARTS_H
#define RAD_REPORT_PARTS_H

#include "page.h"

/* The strata that stand for "internal against external": 'cohort' when the job computed them, else 'all'. */
const char *rp_cohort_kind(const rp_page *p);
/* "internal", "external", or "all" for people. */
const char *rp_stratum_word(const char *stratum);
/* Rows unit, model, class for which figures are drawn, in the page's order. */
void rp_combos(rp_page *p, rp_rows *ret);
/* Rows stratum, cohort of rp_cohort_kind, internal first. */
void rp_cohorts(rp_page *p, rp_rows *ret);
/* SQL condition (sqlite3_mprintf, caller frees) that selects the rows of v_case_score of a stratum. */
char *rp_where(rp_page *p, const char *unit, const char *model, const char *class_name, const char *stratum);
/* One statistic: estimate and limits as text "0.912 (0.880 to 0.940)"; false when it is not there or hidden. */
bool rp_statistic(rp_page *p, const char *unit, const char *model, const char *class_name, const char *kind, const char *stratum,
                  const char *name, double ret[3], int64_t *ret_n);
/* An invisible target with a value for the pointer. */
void rp_hit(rp_page *p, double x, double y, const char *tip);
/* Indices of the first and one past the last of the rows from `from` on whose column is equal. */
int64_t rp_group_end(const rp_rows *r, int64_t from, const char *column);
/* Doubles of a column, rows [from, end). */
double *rp_doubles(rp_page *p, const rp_rows *r, int64_t from, int64_t end, const char *name);
bool rp_has_table(rp_page *p, const char *name);

#endif

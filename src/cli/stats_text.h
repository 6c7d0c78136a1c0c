/* stats_text.h (private to src/cli): the statistics of a run as text for a person. */
#ifndef RAD_CLI_STATS_TEXT_H
#define RAD_CLI_STATS_TEXT_H

#include "radcohort/store.h"

/* The answer on one screen: for each unit and class AUC by stratum (rows) and model (columns), internal minus external below. The interval
 * is the one that takes patients as clusters where units share a patient, DeLong's otherwise. */
rad_status rad_stats_print_headline(rad_store *db, const rad_run_status *run, rad_error *err) RAD_MUST_CHECK;
/* Everything, block by block: naive and clustered intervals, missing scores, operating points. */
rad_status rad_stats_print_details(rad_store *db, const rad_run_status *run, rad_error *err) RAD_MUST_CHECK;

/* Above the headline, where there are some: models compared, readers. At most a screen: the rest is counted. */
rad_status rad_stats_print_compared(rad_store *db, const rad_run_status *run, rad_error *err) RAD_MUST_CHECK;
/* Above these: the job's logistic regressions; nothing without. */
rad_status rad_stats_print_regressions(rad_store *db, const rad_run_status *run, rad_error *err) RAD_MUST_CHECK;
/* Above the headline of a job whose classes are grades; nothing for others. */
rad_status rad_stats_print_grades(rad_store *db, const rad_run_status *run, rad_error *err) RAD_MUST_CHECK;
/* Above them: pooled and fold-averaged numbers of cross-validated models, and the headline under every aggregation rule. */
rad_status rad_stats_print_folds(rad_store *db, const rad_run_status *run, rad_error *err) RAD_MUST_CHECK;
rad_status rad_stats_print_rules(rad_store *db, const rad_run_status *run, rad_error *err) RAD_MUST_CHECK;
/* Below the details: every row that they have no column for. */
rad_status rad_stats_print_further(rad_store *db, const rad_run_status *run, rad_error *err) RAD_MUST_CHECK;
/* "0.012", "< 0.001"; NULL when memory is out. */
char *rad_stats_p_text(double p);
/* What headline and details have columns for: AUCs of strata and their cohorts' difference; sensitivity, specificity, accuracy. */
bool rad_stats_is_auc(const rad_statistic_row *r);
bool rad_stats_is_share(const rad_statistic_row *r);

#endif

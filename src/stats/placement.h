/* placement: DeLong placement values of k models on the same cases, summed by cluster. Private to src/stats.
 *
 * With every case its own cluster the variance is DeLong's (1988); with clusters it is Obuchowski's (1997):
 *   var = I10/(I10-1) sum A_c^2 + I01/(I01-1) sum B_c^2 + 2 I/(I-1) sum A_c B_c
 * where A_c = (sum of V10 over the cluster's positives - m_c AUC) / M and B_c likewise for negatives; I10 (I01) = clusters that have a
 * positive (negative), I = all clusters.
 */
#ifndef RADCOHORT_STATS_PLACEMENT_H
#define RADCOHORT_STATS_PLACEMENT_H

#include "radcohort/stats.h"

typedef struct rad_placement {
    int64_t k, n, n_pos, n_neg, n_missing, n_cluster, n_cluster_pos, n_cluster_neg;
    double *auc;   /* k */
    double *plain; /* k: the variance with every case its own cluster */
    double *a, *b; /* k x n_cluster; clusters in the order of their levels, whatever the order of the cases */
} rad_placement;

/* Cases complete in label (column 0 of f), the k score columns that start at `first_score`, and the cluster column when cluster >= 0. */
rad_status rad_placement_init(const rad_frame *f, int64_t first_score, int64_t k, int64_t cluster, rad_placement *ret,
                              rad_error *err) RAD_MUST_CHECK;
void rad_placement_release(rad_placement *p);
/* Covariance of AUC i and j. NaN when a class has fewer than two clusters. */
double rad_placement_cov(const rad_placement *p, int64_t i, int64_t j);
/* Variance of AUC i - AUC j, from the differences themselves: exactly 0 for identical scores. */
double rad_placement_var_difference(const rad_placement *p, int64_t i, int64_t j);
/* Says into doc why there is no AUC or no variance. True when AUCs exist. */
bool rad_placement_explain(const rad_placement *p, rad_doc *doc);

#endif

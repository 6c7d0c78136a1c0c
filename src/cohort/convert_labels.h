/* convert_labels.h (private to src/cohort): labels, folds and lesions that the user has under the original patient IDs. */
#ifndef RAD_COHORT_CONVERT_LABELS_H
#define RAD_COHORT_CONVERT_LABELS_H

#include "convert_impl.h"

/* All accept NULL: no labels. */
const char *convert_labels_label(const struct convert_labels *l, int64_t patient);
int64_t convert_labels_columns(const struct convert_labels *l);
rad_status convert_labels_put_header(const struct convert_labels *l, rad_buf *b, rad_error *err) RAD_MUST_CHECK;
rad_status convert_labels_put_row(const struct convert_labels *l, int64_t patient, rad_buf *b, rad_error *err) RAD_MUST_CHECK;
/* Nothing is put when the labels have no lesions. */
rad_status convert_labels_put_lesions(const convert *c, rad_buf *b, rad_error *err) RAD_MUST_CHECK;
void convert_labels_destroy(struct convert_labels *l);

#endif

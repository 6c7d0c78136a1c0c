/* grades.h (private to src/store): expected grades of ordinal jobs. */
#ifndef RAD_STORE_GRADES_H
#define RAD_STORE_GRADES_H

#include "db.h"

/* Fills case_grade of the run from its slice scores, after case_score; nothing for a run without grades. */
rad_status rad_finish_grades(struct rad_store *st, int64_t run, rad_error *err) RAD_MUST_CHECK;

#endif

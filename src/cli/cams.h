/* cams.h (private to src/cli): contact sheets of class activation maps. */
#ifndef RAD_CLI_CAMS_H
#define RAD_CLI_CAMS_H

#include "radcohort/store.h"

#define CAMS_TILE 192 /* pixels of a panel's side; a tile has two: the slice, and the slice with the map */

/* Draws one map into `rgb`, `width` pixels a row, at (left, top): the region with half its size around it, the lesion in green, the region
 * in white, the map from transparent to red and yellow. Errors: those of the image and of the overlay. */
rad_status cams_draw(const rad_cam_row *r, const char *cam_dir, uint8_t *rgb, int64_t width, int64_t left, int64_t top,
                     rad_error *err) RAD_MUST_CHECK;

typedef struct cams_list {
    rad_cam_row *item; /* strings owned; in the order of rad_store_each_cam */
    int64_t n, cap;
    const char *model; /* only this one, or NULL */
    bool failed;
} cams_list;
/* The maps of a run. Errors: STORE, NOMEM. Release also after a failure. */
rad_status cams_collect(rad_store *db, int64_t run, cams_list *c, rad_error *err) RAD_MUST_CHECK;
void cams_release(cams_list *c);
/* Contact sheets DIR/MODEL-strongest.png, -weakest.png, -wrong.png of the one model whose maps are items [first, end), at most `count`
 * cases each, those that there are; appends to `table` (sheet, row, column, number, missing) what lies where. */
rad_status cams_write_sheets(const cams_list *c, int64_t first, int64_t end, int64_t count, const char *cam_dir, const char *dir,
                             rad_buf *table, rad_error *err) RAD_MUST_CHECK;

#endif

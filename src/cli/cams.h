/* cams.h (private to src/cli): contact sheets of class activation maps. */
#ifndef RAD_CLI_CAMS_H
#define RAD_CLI_CAMS_H

#include "radcohort/store.h"

#define CAMS_TILE 192 /* pixels of a panel's side; a tile has two: the slice, and the slice with the map */

/* Draws one map into `rgb`, `width` pixels a row, at (left, top): the region with half its size around it, the lesion in green, the region
 * in white, the map from transparent to red and yellow. Errors: those of the image and of the overlay. */
rad_status cams_draw(const rad_cam_row *r, const char *cam_dir, uint8_t *rgb, int64_t width, int64_t left, int64_t top,
                     rad_error *err) RAD_MUST_CHECK;

#endif

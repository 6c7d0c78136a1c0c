/* cam.h: what the two halves of the class activation maps share. */
#ifndef RAD_INFER_CAM_H
#define RAD_INFER_CAM_H

#include "radcohort/infer.h"

struct rad_cam {
    char *tap;
    rad_shape shape; /* of one map */
    bool channels_last;
    int64_t n_class, n_channel, n_position;
    double *weight, *bias; /* [n_class, n_channel], [n_class] */
};

/* Fills the zeroed *c from the head that ends in value v, an output of g. Errors as rad_cam_create_from_graph; what was put into *c stays
 * there. */
rad_status rad_cam_find_head(const rad_graph *g, int v, rad_cam *c, rad_error *err) RAD_MUST_CHECK;

#endif

/* worker_cam.h (private to src/farm): class activation maps of the cases that a worker scores. */
#ifndef RAD_FARM_WORKER_CAM_H
#define RAD_FARM_WORKER_CAM_H

#include "worker_impl.h"

/* Revision of the rules by which maps become numbers and files; part of their keys. */
#define RAD_CAM_REVISION 1

/* Maps of this file's model are wanted, for itself or where it stands in for another. */
static inline bool rad_work_wants_cam(const rad_job *job, int file) {
    return job->model[file].cam_made;
}
/* Maps are wanted of what a file scores for this model of the job: a file that may stand in for such a model has none of its own. */
static inline bool rad_work_wants_cam_for(const rad_job *files, int64_t model) {
    for (int i = 0; i < files->n_model; i++)
        if (files->model[i].declared == model)
            return files->model[i].cam;
    return false;
}
/* Below the folder of maps, from the key. Caller frees; NULL when memory is out. */
char *rad_work_cam_file(const char *key);
/* Key of the maps of a result: what the result does not depend on is the wish and the lesion's outline. */
rad_status rad_cam_key(const char *result_key, const char *mask_content, const char *rule, char ret[RAD_SHA256_HEX], rad_error *err);
rad_status rad_work_cam_key(const rad_worker *w, const struct work_model *m, const char *mask_content, char ret[RAD_SHA256_HEX],
                            rad_error *err);
/* The file is there, or none is wanted. */
bool rad_work_has_cam_file(const rad_worker *w, const char *key);
/* Room for the maps of all slices; then those of `n` samples from their tapped tensors. Inference thread. */
rad_status rad_work_make_maps(const rad_worker *w, const struct shape_engine *e, struct work_model *m, int64_t n_slice, rad_error *err);
rad_status rad_work_take_maps(const rad_worker *w, const struct shape_engine *e, struct work_model *m, int64_t first, int64_t n,
                              const float *tap, rad_error *err);
/* Numbers and file of a finished model, from its maps and scores; *ret borrows from `m`. Errors: STORE (a file cannot be written), NOMEM.
 */
rad_status rad_work_finish_cam(const rad_worker *w, const struct work *k, struct work_model *m, const rad_model_result *r,
                               rad_cam_result *ret, rad_error *err);

#endif

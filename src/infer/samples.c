/* samples.c: samples that a device makes and keeps. What is wrong with a study is told by the CPU's preparation: one text for one mistake,
 * wherever it was found. */
#include "backend.h"

bool rad_backend_makes_samples(const rad_backend *be, const rad_input_spec *spec, const char **ret_why) {
    void *state = NULL;
    if (rad_backend_get_ops(be, &state)->samples != NULL)
        return rad_prepare_plan_takes(spec, ret_why);
    if (ret_why != NULL)
        *ret_why = "the backend has no device that does";
    return false;
}

/* The reason that rad_prepare_case gives; a device that refuses what the CPU takes is not to be trusted. */
static rad_status cpu_says(const rad_input_spec *spec, const rad_volume *const *volume, const rad_roi *roi, rad_status told,
                           const char *text, rad_error *err) {
    rad_prepared p = {0};
    const rad_status st = rad_prepare_case(spec, volume, roi, &p, err);
    if (st != RAD_OK)
        return st;
    rad_prepared_release(&p);
    return rad_error_set(err, RAD_E_DEVICE, "the device prepares a case otherwise than the CPU (%s: %.200s): do not use it",
                         rad_status_reason(told), text);
}

rad_status rad_backend_prepare(rad_backend *be, const rad_input_spec *spec, const rad_volume *const *volume, const rad_roi *roi,
                               rad_prepared *ret, rad_samples **ret_samples, rad_error *err) {
    void *state = NULL;
    const rad_sample_ops *ops = rad_backend_get_ops(be, &state)->samples;
    rad_prepare_plan *plan = NULL;
    rad_error why = {0};
    if (ops == NULL)
        return rad_error_set(err, RAD_E_INTERNAL, "backend '%s' makes no samples", rad_backend_name(be));
    rad_status st = rad_prepare_plan_make(spec, volume, roi, &plan, &why);
    if (st == RAD_OK)
        st = ops->prepare(state, plan, ret_samples, &why);
    if (st == RAD_OK) {
        *ret = plan->result;
        plan->result = (rad_prepared){0};
    }
    rad_prepare_plan_destroy(&plan);
    if (st == RAD_OK)
        return RAD_OK;
    if (rad_status_scope(st) == RAD_SCOPE_STUDY)
        return cpu_says(spec, volume, roi, st, why.text, err);
    return rad_error_set(err, st, "%s", why.text);
}

void rad_samples_destroy(rad_backend *be, rad_samples **s) {
    void *state = NULL;
    if (s == NULL || *s == NULL)
        return;
    rad_backend_get_ops(be, &state)->samples->release(state, *s);
    *s = NULL;
}

/* look.c: what a run would be made of, without running it. */
#include "plan.h"

#include <string.h>

rad_status rad_farm_look(const rad_farm_opts *opts, rad_farm_parts *ret, int (*file)(const rad_farm_file *f, void *payload), void *payload,
                         rad_error *err) {
    rad_plan plan = {0};
    rad_farm_parts parts = {0};
    rad_status st = RAD_OK;
    RAD_TRY(rad_plan_read_job(opts, true, &plan, err));
    RAD_TRY(rad_plan_complete(opts, &plan, err));
    snprintf(parts.backend_version, sizeof parts.backend_version, "%s", plan.backend_version);
    memcpy(parts.cohort_sha256, plan.cohort->sha256, sizeof parts.cohort_sha256);
    memcpy(parts.job_sha256, plan.job->sha256, sizeof parts.job_sha256);
    parts.n_case = plan.manifest->n_case;
    for (int i = 0; file && i < plan.files->job.n_model; i++) {
        const rad_model_spec *m = &plan.files->job.model[i];
        rad_farm_file f = {.model = m->name, .file = m->file, .path = m->path, .position = i};
        memcpy(f.sha256, plan.model[i].sha256, sizeof f.sha256);
        if (file(&f, payload) != 0)
            break;
    }
    *ret = parts;
out:
    rad_plan_release(&plan);
    return st;
}

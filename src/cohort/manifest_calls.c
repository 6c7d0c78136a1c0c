/* manifest_calls.c: calls of readers that are no class of the job. One that is an endpoint counts there and nowhere else. */
#include "select.h"

#include <inttypes.h>
#include <string.h>

static bool is_class(const rad_job *job, const char *call) {
    for (int i = 0; i < job->n_class; i++)
        if (strcmp(job->class_name[i], call) == 0)
            return true;
    return false;
}

static bool is_endpoint(const rad_job *job, const char *call) {
    for (int i = 0; i < job->n_endpoint; i++)
        if (strcmp(job->endpoint[i].name, call) == 0)
            return true;
    return false;
}

void rad_calls_check(const rad_cohort *c, const rad_job *job, const rad_manifest *m, rad_issues *issues) {
    const char *file = c->file[RAD_TABLE_READINGS] ? c->file[RAD_TABLE_READINGS] : c->dir, *example = NULL;
    int64_t n_other = 0, n_endpoint = 0;
    for (int64_t i = 0; i < c->n_reading; i++) {
        const char *call = c->reading[i].call;
        if (m->unselected[c->reading[i].patient] || !call || is_class(job, call))
            continue;
        const bool endpoint = is_endpoint(job, call);
        n_other += !endpoint;
        n_endpoint += endpoint;
        example = endpoint && !example ? call : example;
    }
    if (n_other > 0)
        rad_issues_add(issues, RAD_SEVERITY_WARNING, file, 0, "call",
                       "%" PRId64 " reading%s a call that is no class of the job: left out of the statistics of readers", n_other,
                       n_other == 1 ? " has" : "s have");
    if (n_endpoint > 0)
        rad_issues_add(issues, RAD_SEVERITY_WARNING, file, 0, "call",
                       "%" PRId64 " reading%s a call that names an endpoint ('%.60s') and no class: left out of the statistics by class; "
                       "at the endpoint they count",
                       n_endpoint, n_endpoint == 1 ? " has" : "s have", example);
}

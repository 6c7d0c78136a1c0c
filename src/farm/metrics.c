/* metrics.c: see metrics.h. Exposition format 0.0.4: every metric has its HELP and TYPE once, before its samples. */
#include "metrics.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

/* In a label's value only backslash, quote and line break are escaped. */
static rad_status put_label(rad_buf *b, const char *name, const char *v, rad_error *err) {
    rad_status st = rad_buf_printf(b, err, "%s=\"", name);
    for (; st == RAD_OK && *v; v++)
        st = *v == '\n'                ? rad_buf_put(b, "\\n", 2, err)
             : *v == '"' || *v == '\\' ? rad_buf_printf(b, err, "\\%c", *v)
                                       : rad_buf_put(b, v, 1, err);
    return st == RAD_OK ? rad_buf_put(b, "\"", 1, err) : st;
}

static rad_status head(rad_buf *b, const char *name, const char *type, const char *help, rad_error *err) {
    return rad_buf_printf(b, err, "# HELP radcohort_%s %s\n# TYPE radcohort_%s %s\n", name, help, name, type);
}

/* One sample; `label` NULL: of the job alone. */
static rad_status sample(rad_buf *b, const char *name, const char *job, const char *label, const char *word, double v, rad_error *err) {
    rad_status st = rad_buf_printf(b, err, "radcohort_%s{", name);
    if (st == RAD_OK)
        st = put_label(b, "job", job, err);
    if (st == RAD_OK && label)
        st = rad_buf_put(b, ",", 1, err);
    if (st == RAD_OK && label)
        st = put_label(b, label, word, err);
    if (st != RAD_OK)
        return st;
    return isnan(v) ? rad_buf_printf(b, err, "} NaN\n") : rad_buf_printf(b, err, "} %.17g\n", v);
}

rad_status rad_metrics_put(rad_buf *b, const rad_session_figures *f, const char *state, rad_error *err) {
    static const char *const STATE[] = {"running", "finished", "stopped", "failed"};
    const rad_farm_outcome *o = &f->outcome;
    const struct {
        const char *name, *type, *help;
        double value;
    } plain[] = {
        {"cases", "gauge", "Cases of the run.", (double)f->cases},
        {"cases_done", "gauge", "Cases with a result or an exclusion.", (double)f->done},
        {"cases_excluded", "gauge", "Cases that lack at least one score.", (double)f->excluded},
        {"ranks", "gauge", "Ranks in service.", f->ranks},
        {"session_cases_total", "counter", "Cases that this session brought to their end.", (double)o->n_done},
        {"read_bytes_total", "counter", "Bytes of image files read in this session.", (double)o->read_bytes},
        {"session_seconds", "gauge", "Age of this session.", f->seconds},
        {"cases_per_second", "gauge", "Rate of this session.", f->rate},
        {"eta_seconds", "gauge", "Seconds to the end at this rate, by the size of what is left; NaN: not known.", f->eta},
        {"updated_timestamp_seconds", "gauge", "When this file was written.", f->unix_time},
    };
    const struct {
        const char *stage;
        double seconds;
    } stage[] = {{"read", o->read_s},   {"inflate", o->inflate_s}, {"prepare", o->prepare_s}, {"wait", o->wait_s},
                 {"infer", o->infer_s}, {"map", o->map_s},         {"write", o->write_s}};
    rad_status st = RAD_OK;
    for (size_t i = 0; i < sizeof plain / sizeof plain[0]; i++) {
        RAD_TRY(head(b, plain[i].name, plain[i].type, plain[i].help, err));
        RAD_TRY(sample(b, plain[i].name, f->job, NULL, NULL, plain[i].value, err));
    }
    RAD_TRY(head(b, "state", "gauge", "1 for the state that the run is in.", err));
    for (size_t i = 0; i < sizeof STATE / sizeof STATE[0]; i++)
        RAD_TRY(sample(b, "state", f->job, "state", STATE[i], strcmp(STATE[i], state) == 0, err));
    RAD_TRY(head(b, "stage_seconds_total", "counter", "Where the time of this session went, summed over ranks and threads.", err));
    for (size_t i = 0; i < sizeof stage / sizeof stage[0]; i++)
        RAD_TRY(sample(b, "stage_seconds_total", f->job, "stage", stage[i].stage, stage[i].seconds, err));
    RAD_TRY(head(b, "session_exclusions_total", "counter", "Cases of this session that lack a score, by reason.", err));
    for (int i = 0; i < o->n_reason; i++)
        RAD_TRY(sample(b, "session_exclusions_total", f->job, "reason", o->reason[i].reason, (double)o->reason[i].n, err));
out:
    return st;
}

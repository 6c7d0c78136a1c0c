/* session.c: see session.h. */
#include "session.h"

#include "metrics.h"
#include "signals.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define MAX_STATUS ((size_t)1 << 20)

struct rad_session {
    char *path, *database, *stop, *prometheus;
    char host[256], started[RAD_TIME_TEXT];
    char *bad[RAD_MAX_BAD_HOSTS];
    int n_bad;
    rad_session_figures now;
    double start, last, looked;
    bool stopped, told, told_metrics;
};

char *rad_session_default_path(const char *database) {
    return rad_asprintf("%s.status.json", database);
}

rad_status rad_session_open(const char *path, const char *database, rad_session **ret, rad_error *err) {
    rad_session *s = rad_calloc(1, sizeof *s);
    if (s)
        s->path = rad_strdup(path);
    if (!s || !s->path) {
        free(s);
        return rad_error_set(err, RAD_E_NOMEM, "out of memory at start");
    }
    (void)gethostname(s->host, sizeof s->host - 1);
    rad_clock_utc(s->started);
    s->last = s->looked = -RAD_SESSION_SECONDS;
    s->start = rad_clock_seconds();
    s->now.eta = (double)NAN;
    if (database)
        rad_session_set_database(s, database);
    *ret = s;
    return RAD_OK;
}

void rad_session_set_database(rad_session *s, const char *database) {
    free(s->database);
    free(s->stop);
    s->database = rad_strdup(database);
    s->stop = rad_asprintf("%s.stop", database);
}

void rad_session_set_prometheus(rad_session *s, const char *path, const char *job) {
    if (!s || !path)
        return;
    free(s->prometheus);
    s->prometheus = rad_strdup(path);
    snprintf(s->now.job, sizeof s->now.job, "%s", job);
}

void rad_session_close(rad_session **sp) {
    rad_session *s = *sp;
    *sp = NULL;
    if (!s)
        return;
    for (int i = 0; i < s->n_bad; i++)
        free(s->bad[i]);
    free(s->path);
    free(s->database);
    free(s->stop);
    free(s->prometheus);
    free(s);
}

void rad_session_bad_host(rad_session *s, const char *host) {
    if (!s || !host || s->n_bad == RAD_MAX_BAD_HOSTS)
        return;
    for (int i = 0; i < s->n_bad; i++)
        if (strcmp(s->bad[i], host) == 0)
            return;
    if ((s->bad[s->n_bad] = rad_strdup(host)))
        s->n_bad++;
}

bool rad_session_stop_asked(rad_session *s, double now) {
    if (!s || !s->stop || s->stopped || now - s->looked < RAD_STOP_SECONDS)
        return s && s->stopped;
    s->looked = now;
    s->stopped = access(s->stop, F_OK) == 0;
    return s->stopped;
}

/* ---------------------------------------------------------------- the file */

static rad_status put_string(rad_buf *b, const char *key, const char *v) {
    rad_status st = rad_buf_printf(b, NULL, ",\n  \"%s\": \"", key);
    for (; st == RAD_OK && v && *v; v++) {
        unsigned char c = (unsigned char)*v;
        st = c == '"' || c == '\\' ? rad_buf_printf(b, NULL, "\\%c", c)
             : c < 0x20            ? rad_buf_printf(b, NULL, "\\u%04x", c)
                                   : rad_buf_put(b, v, 1, NULL);
    }
    return st == RAD_OK ? rad_buf_put(b, "\"", 1, NULL) : st;
}

static rad_status put_int(rad_buf *b, const char *key, int64_t v) {
    return rad_buf_printf(b, NULL, ",\n  \"%s\": %" PRId64, key, v);
}

/* null when it is not known. */
static rad_status put_real(rad_buf *b, const char *key, double v) {
    return isfinite(v) ? rad_buf_printf(b, NULL, ",\n  \"%s\": %.9g", key, v) : rad_buf_printf(b, NULL, ",\n  \"%s\": null", key);
}

static rad_status put_figures(rad_buf *b, const rad_session *s, const char *exit_code) {
    const rad_farm_outcome *o = &s->now.outcome;
    double busy[RAD_N_LIMIT];
    rad_status st = put_real(b, "interval_s", RAD_SESSION_SECONDS);
    if (st == RAD_OK)
        st = put_real(b, "cases_per_s", s->now.rate);
    if (st == RAD_OK)
        st = put_real(b, "eta_s", s->now.eta);
    if (st == RAD_OK)
        st = rad_buf_printf(b, NULL,
                            ",\n  \"session\": {\"seconds\": %.3f, \"cases\": %" PRId64
                            ", \"read_s\": %.3f, \"inflate_s\": %.3f, \"prepare_s\": %.3f, \"wait_s\": %.3f, \"infer_s\": %.3f, \"map_s\": "
                            "%.3f, \"write_s\": %.3f, \"read_bytes\": %" PRId64 "}",
                            s->now.seconds, o->n_done, o->read_s, o->inflate_s, o->prepare_s, o->wait_s, o->infer_s, o->map_s, o->write_s,
                            o->read_bytes);
    const bool ended = strcmp(exit_code, "null") != 0 && o->n_done > 0;
    return st != RAD_OK ? st
           : ended      ? put_string(b, "limit", rad_limit_name(rad_farm_limit(o, busy)))
                        : rad_buf_printf(b, NULL, ",\n  \"limit\": null");
}

static void write_metrics(rad_session *s, const char *state) {
    rad_error err = {0};
    rad_buf b;
    if (!s->prometheus)
        return;
    rad_buf_init(&b, MAX_STATUS);
    s->now.unix_time = (double)time(NULL);
    rad_status st = rad_metrics_put(&b, &s->now, state, &err);
    if (st == RAD_OK)
        st = rad_file_write_atomic_mode(s->prometheus, 0644, b.data, b.size, &err);
    if (st != RAD_OK && !s->told_metrics)
        rad_log(RAD_LOG_WARN, "no metrics for Prometheus: %s", err.text[0] ? err.text : rad_status_reason(st));
    s->told_metrics = s->told_metrics || st != RAD_OK;
    rad_buf_release(&b);
}

static void write_file(rad_session *s, const char *state, const char *exit_code, const char *reason) {
    char now[RAD_TIME_TEXT];
    rad_error err = {0};
    rad_status st = RAD_OK;
    rad_buf b;
    rad_buf_init(&b, MAX_STATUS);
    rad_clock_utc(now);
    RAD_TRY(rad_buf_printf(&b, &err, "{\n  \"format\": 1,\n  \"radcohort\": \"%s\"", rad_version()));
    RAD_TRY(put_string(&b, "state", state));
    RAD_TRY(rad_buf_printf(&b, &err, ",\n  \"exit_code\": %s", exit_code));
    RAD_TRY(put_string(&b, "reason", reason));
    RAD_TRY(put_string(&b, "database", s->database));
    RAD_TRY(put_string(&b, "host", s->host));
    RAD_TRY(put_int(&b, "pid", (int64_t)getpid()));
    RAD_TRY(put_string(&b, "started", s->started));
    RAD_TRY(put_string(&b, "updated", now));
    RAD_TRY(put_int(&b, "run", s->now.run));
    RAD_TRY(put_int(&b, "cases", s->now.cases));
    RAD_TRY(put_int(&b, "done", s->now.done));
    RAD_TRY(put_int(&b, "excluded", s->now.excluded));
    RAD_TRY(put_int(&b, "ranks", s->now.ranks));
    RAD_TRY(put_figures(&b, s, exit_code));
    RAD_TRY(rad_buf_printf(&b, &err, ",\n  \"bad_hosts\": ["));
    for (int i = 0; i < s->n_bad; i++) /* host names need no escapes; what does is left out */
        if (strcspn(s->bad[i], "\"\\") == strlen(s->bad[i]))
            RAD_TRY(rad_buf_printf(&b, &err, "%s\"%s\"", i ? ", " : "", s->bad[i]));
    RAD_TRY(rad_buf_printf(&b, &err, "]\n}\n"));
    st = rad_file_write_atomic_mode(s->path, 0600, b.data, b.size, &err);
out:
    if (st != RAD_OK && !s->told)
        rad_log(RAD_LOG_WARN, "no status file: %s", err.text[0] ? err.text : rad_status_reason(st));
    s->told = s->told || st != RAD_OK;
    rad_buf_release(&b);
    write_metrics(s, state);
}

static void take_figures(rad_session *s, const rad_farm_outcome *o, double now) {
    s->now.outcome = *o;
    s->now.seconds = now - s->start;
    s->now.rate = s->now.seconds > 0 ? (double)o->n_done / s->now.seconds : 0;
}

void rad_session_progress(rad_session *s, int64_t run, const rad_progress_now *p, double now) {
    if (!s || now - s->last < RAD_SESSION_SECONDS)
        return;
    s->last = now;
    take_figures(s, p->outcome, now);
    s->now.run = run;
    s->now.cases = p->total;
    s->now.done = p->done;
    s->now.excluded = p->excluded;
    s->now.ranks = p->ranks;
    /* by cost, since large cases come first */
    s->now.eta = p->cost_done > 0  ? (p->cost_total - p->cost_done) * s->now.seconds / p->cost_done
                 : s->now.rate > 0 ? (double)(p->total - p->done) / s->now.rate
                                   : (double)NAN;
    write_file(s, "running", "null", "");
}

void rad_session_end(rad_session *s, const rad_farm_outcome *o, int exit_code, const char *why) {
    char code[16], reason[RAD_ERROR_TEXT];
    if (!s)
        return;
    snprintf(code, sizeof code, "%d", exit_code);
    snprintf(reason, sizeof reason, "%s", why);
    if (!why[0] && exit_code == RAD_EXIT_STOPPED) {
        if (s->stopped)
            snprintf(reason, sizeof reason, "stop file");
        else if (rad_signals_asked() != 0)
            snprintf(reason, sizeof reason, "signal %d", rad_signals_asked());
        else if (o->n_moved > 0)
            snprintf(reason, sizeof reason, "files changed while the run went on");
        else
            snprintf(reason, sizeof reason, "no rank is left in service");
    }
    take_figures(s, o, rad_clock_seconds());
    s->now.run = o->run;
    s->now.cases = o->n_case;
    s->now.done = o->n_case - o->n_left;
    s->now.excluded = o->n_excluded;
    s->now.ranks = 0;
    s->now.eta = o->n_left > 0 ? (double)NAN : 0;
    bool finished = exit_code == RAD_EXIT_OK || exit_code == RAD_EXIT_EXCLUSIONS;
    write_file(s, finished ? "finished" : exit_code == RAD_EXIT_STOPPED ? "stopped" : "failed", code, reason);
    if (s->stop && (s->stopped || finished)) /* one that came too late must not stop the next run */
        (void)unlink(s->stop);
}

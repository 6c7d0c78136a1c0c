/* session.c: see session.h. */
#include "session.h"

#include "signals.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MAX_STATUS ((size_t)1 << 20)

struct rad_session {
    char *path, *database, *stop;
    char host[256], started[RAD_TIME_TEXT];
    char *bad[RAD_MAX_BAD_HOSTS];
    int n_bad, ranks;
    int64_t run, cases, done, excluded;
    double last, looked;
    bool stopped, told;
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
    RAD_TRY(put_int(&b, "run", s->run));
    RAD_TRY(put_int(&b, "cases", s->cases));
    RAD_TRY(put_int(&b, "done", s->done));
    RAD_TRY(put_int(&b, "excluded", s->excluded));
    RAD_TRY(put_int(&b, "ranks", s->ranks));
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
}

void rad_session_progress(rad_session *s, int64_t run, int64_t cases, int64_t done, int64_t excluded, int ranks, double now) {
    if (!s || now - s->last < RAD_SESSION_SECONDS)
        return;
    s->last = now;
    s->run = run;
    s->cases = cases;
    s->done = done;
    s->excluded = excluded;
    s->ranks = ranks;
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
    s->run = o->run;
    s->cases = o->n_case;
    s->done = o->n_case - o->n_left;
    s->excluded = o->n_excluded;
    bool finished = exit_code == RAD_EXIT_OK || exit_code == RAD_EXIT_EXCLUSIONS;
    write_file(s, finished ? "finished" : exit_code == RAD_EXIT_STOPPED ? "stopped" : "failed", code, reason);
    if (s->stop && (s->stopped || finished)) /* one that came too late must not stop the next run */
        (void)unlink(s->stop);
}

/* convert_run.c: dcm2niix as a child process per series, N at a time. A series that fails, crashes its child or takes too long is a line of
 * the report; the others go on.
 *
 * A child sees a folder of links with neutral names, because dcm2niix reads folders; it lies in the temporary folder, never in the
 * cohort's: the links' targets may hold names. */
#define _XOPEN_SOURCE 700 /* nftw */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "convert_impl.h"
#include "utf8.h"

enum { MAX_LOG = 1 << 16 };

extern char **environ;

int convert_child(char *const argv[], const char *log, double limit_s) {
    posix_spawn_file_actions_t fa;
    pid_t pid = 0;
    int status = 0;
    if (posix_spawn_file_actions_init(&fa) != 0)
        return -1;
    bool ok = posix_spawn_file_actions_addopen(&fa, 0, "/dev/null", O_RDONLY, 0) == 0 &&
              posix_spawn_file_actions_addopen(&fa, 1, log, O_WRONLY | O_CREAT | O_TRUNC, 0600) == 0 &&
              posix_spawn_file_actions_adddup2(&fa, 1, 2) == 0 && posix_spawnp(&pid, argv[0], &fa, NULL, argv, environ) == 0;
    posix_spawn_file_actions_destroy(&fa);
    if (!ok)
        return -1;
    double end = rad_clock_seconds() + limit_s;
    struct timespec pause = {0, 2000000};
    for (;;) {
        pid_t got = waitpid(pid, &status, WNOHANG);
        if (got == pid)
            return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + (WIFSIGNALED(status) ? WTERMSIG(status) : 0);
        if (got < 0 && errno != EINTR)
            return -1;
        if (rad_clock_seconds() > end) {
            kill(pid, SIGKILL);
            while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
                continue;
            return -2;
        }
        nanosleep(&pause, NULL);
        if (pause.tv_nsec < 64000000)
            pause.tv_nsec *= 2;
    }
}

static int remove_entry(const char *path, const struct stat *s, int kind, struct FTW *f) {
    (void)s;
    (void)kind;
    (void)f;
    (void)remove(path);
    return 0;
}

static void remove_tree(const char *path) {
    (void)nftw(path, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

typedef struct pool {
    convert *c;
    _Atomic int64_t next;
    _Atomic bool stop;
    char *stage; /* folder of links, 0700 */
    pthread_mutex_t lock;
    rad_status st;
    rad_error err;
} pool;

static rad_status stage_files(const convert *c, const convert_series *s, const char *dir, rad_error *err) {
    if (mkdir(dir, 0700) != 0)
        return rad_error_set(err, RAD_E_IO, "no folder for the series can be made in the temporary folder");
    for (int64_t i = 0; i < s->n_file; i++) {
        char *to = rad_asprintf("%s/%06lld.dcm", dir, (long long)i);
        if (!to)
            return rad_error_set(err, RAD_E_NOMEM, "no memory for a series");
        int bad = symlink(c->file[s->file[i]].path, to);
        free(to);
        if (bad)
            return rad_error_set(err, RAD_E_IO, "the files of the series cannot be linked in the temporary folder (full?)");
    }
    return RAD_OK;
}

/* Every occurrence of a text becomes '*'. */
static void blank_out(char *log, const char *what) {
    size_t n = strlen(what);
    for (char *s = log; n >= 3 && (s = strstr(s, what)) != NULL; s += n)
        memset(s, '*', n);
}

/* What the child said, without what identifies the patient; kept beside the journal. *ret_last gets its last line. */
static void keep_log(const convert *c, const convert_series *s, const char *log, const char *stage, char last[200]) {
    char *text = NULL, *to = rad_asprintf("%s/.radcohort/convert/%s.log", c->cohort, s->token);
    size_t n = 0;
    last[0] = '\0';
    if (to && rad_file_read(log, (size_t)64 << 20, &text, &n, NULL) == RAD_OK) {
        for (size_t i = 0; i < n; i++)
            if (text[i] != '\n' && ((unsigned char)text[i] < 0x20 || text[i] == 0x7F))
                text[i] = ' ';
        for (int k = 0; k < DICOM_TEXT_COUNT; k++)
            if (k != DICOM_MODALITY && k != DICOM_MANUFACTURER && k != DICOM_MODEL && k != DICOM_IMAGE_TYPE && k != DICOM_CHARSET &&
                k != DICOM_SERIES_NUMBER && k != DICOM_SEX)
                blank_out(text, s->head.text[k]);
        char part[DICOM_TEXT];
        for (const char *p = s->head.text[DICOM_PATIENT_NAME]; *p;) {
            size_t m = strcspn(p, "^ ,=");
            snprintf(part, sizeof part, "%.*s", (int)m, p);
            blank_out(text, part);
            p += m + (p[m] != '\0');
        }
        blank_out(text, stage);
        utf8_scrub(text);
        size_t from = n > MAX_LOG ? n - MAX_LOG : 0;
        if (rad_file_write_atomic(to, text + from, n - from, NULL) != RAD_OK)
            text[0] = '\0'; /* the disk is full or worse: the series has failed anyway */
        for (char *p = text; *p;) {
            size_t m = strcspn(p, "\n");
            if (m > 0 && strncmp(p, "Conversion required", 19) != 0 && strncmp(p, "Chris Rorden", 12) != 0)
                snprintf(last, 200, "%.*s", (int)(m > 180 ? 180 : m), p);
            p += m + (p[m] != '\0');
        }
        utf8_scrub(last);
    }
    free(text);
    free(to);
}

static rad_status convert_one(pool *p, convert_series *s, rad_error *err) {
    convert *c = p->c;
    rad_status st = RAD_OK;
    char last[200] = "";
    char *in = rad_asprintf("%s/%s", p->stage, s->token), *work = rad_asprintf("%s/.radcohort/convert/work/%s", c->cohort, s->token),
         *log = rad_asprintf("%s/.radcohort/convert/work/%s/log", c->cohort, s->token);
    if (!in || !work || !log) {
        st = rad_error_set(err, RAD_E_NOMEM, "no memory for a series");
        goto out;
    }
    RAD_TRY(stage_files(c, s, in, err));
    RAD_TRY(rad_mkdirs(work, err));
    char *argv[] = {c->dcm2niix,   (char[]){"-b"},           (char[]){"y"},   (char[]){"-ba"}, (char[]){"y"}, (char[]){"-z"},
                    (char[]){"n"}, (char[]){"-f"},           (char[]){"out"}, (char[]){"-w"},  (char[]){"2"}, (char[]){"-g"},
                    (char[]){"i"}, (char[]){"--big-endian"}, (char[]){"n"},   (char[]){"-o"},  work,          in,
                    NULL};
    int code = convert_child(argv, log, c->opts->time_limit_s);
    if (code != 0)
        keep_log(c, s, log, in, last);
    if (code == -2)
        st = rad_error_set(err, RAD_E_IO, "dcm2niix took longer than %.10g s (--timeout)", c->opts->time_limit_s);
    else if (code == -1)
        st = rad_error_set(err, RAD_E_IO, "dcm2niix could not be started");
    else if (code > 128)
        st = rad_error_set(err, RAD_E_FORMAT, "dcm2niix ended by signal %d", code - 128);
    else if (code != 0)
        st = rad_error_set(err, RAD_E_FORMAT, "dcm2niix: exit status %d%s%s", code, last[0] ? ": " : "", last);
    else
        st = convert_take(c, s, work, err);
    if (code == 0 && st != RAD_OK)
        keep_log(c, s, log, in, last);
out:
    if (in)
        remove_tree(in);
    if (work)
        remove_tree(work);
    free(in);
    free(work);
    free(log);
    return st;
}

static void *convert_some(void *payload) {
    pool *p = payload;
    convert *c = p->c;
    while (!atomic_load(&p->stop)) {
        int64_t i = atomic_fetch_add(&p->next, 1);
        rad_error err = {0};
        if (i >= c->n_series)
            break;
        convert_series *s = &c->series[i];
        if (s->skip || s->n_output > 0)
            continue;
        rad_status st = convert_one(p, s, &err);
        if (st == RAD_OK) {
            s->fresh = true;
            st = convert_store(c, s, &err);
        }
        if (st == RAD_OK)
            continue;
        pthread_mutex_lock(&p->lock);
        s->status = RAD_CONVERT_FAILED;
        s->reason = arena_strdup(c->arena, err.text);
        if (!s->reason || st == RAD_E_NOMEM) { /* not the series' fault */
            p->st = RAD_E_NOMEM;
            p->err = err;
            atomic_store(&p->stop, true);
        }
        pthread_mutex_unlock(&p->lock);
        convert_outputs_release(s);
    }
    return NULL;
}

rad_status convert_run(convert *c, rad_error *err) {
    pool p = {.c = c};
    pthread_t thread[RAD_MAX_CONVERT_JOBS];
    int n = 0;
    char *work = rad_path_join(c->cohort, ".radcohort/convert/work");
    p.stage = convert_stage_template(c);
    if (p.stage)
        convert_remove_stages(p.stage);
    if (!work || !p.stage || !mkdtemp(p.stage)) {
        rad_status st = rad_error_set(err, work && p.stage ? RAD_E_IO : RAD_E_NOMEM,
                                      "no temporary folder can be made: set TMPDIR to one that is writable");
        free(work);
        free(p.stage);
        return st;
    }
    remove_tree(work); /* of a conversion that was killed */
    rad_status st = rad_mkdirs(work, err);
    pthread_mutex_init(&p.lock, NULL);
    while (st == RAD_OK && n < c->opts->jobs && n < RAD_MAX_CONVERT_JOBS && pthread_create(&thread[n], NULL, convert_some, &p) == 0)
        n++;
    if (st == RAD_OK && n == 0)
        convert_some(&p);
    for (int i = 0; i < n; i++)
        pthread_join(thread[i], NULL);
    pthread_mutex_destroy(&p.lock);
    remove_tree(p.stage);
    remove_tree(work);
    free(p.stage);
    free(work);
    if (st == RAD_OK && p.st != RAD_OK) {
        st = p.st;
        if (err)
            *err = p.err;
    }
    return st;
}

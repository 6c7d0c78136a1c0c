/* crash.c: see crash.h. The handler uses nothing but open, write and what it finds in static storage. */
#include "crash.h"

#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PATH_CAP 4096
#define MAX_NOTES ((size_t)16 << 20)

struct slot {
    _Atomic int64_t n, id[RAD_CRASH_CASES];
};

#define NOBODY RAD_CRASH_SLOTS
static struct slot slots[RAD_CRASH_SLOTS + 1];         /* the last one stays empty: the main thread works on no case */
static _Thread_local int mine = 0;                     /* threads that never said anything work for the inference thread */
static char note[PATH_CAP], prefix[RAD_CRASH_TAG + 1]; /* the tag and a space */
static const int fatal[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT};
enum { N_FATAL = sizeof fatal / sizeof *fatal };
static struct sigaction before[N_FATAL];
static bool installed;
/* A sanitizer reports fatal signals itself, and must keep them. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { SANITIZED = true };
#else
enum { SANITIZED = false };
#endif

static size_t put_number(char *buf, int64_t v) {
    char digit[20];
    size_t n = 0, k = 0;
    do
        digit[n++] = (char)('0' + v % 10);
    while ((v /= 10) > 0);
    while (n > 0)
        buf[k++] = digit[--n];
    buf[k++] = '\n';
    return k;
}

static void on_fatal(int number) {
    struct slot *s = &slots[mine];
    int fd = s->n > 0 ? open(note, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600) : -1;
    for (int64_t i = 0; fd >= 0 && i < s->n; i++) {
        char line[RAD_CRASH_TAG + 32];
        size_t n = 0;
        for (; prefix[n]; n++)
            line[n] = prefix[n];
        n += put_number(line + n, s->id[i]);
        if (write(fd, line, n) < 0)
            break;
    }
    if (fd >= 0)
        close(fd);
    /* SA_RESETHAND: the default action is back */
    raise(number);
}

rad_status rad_crash_install(const char *database, const char *tag, rad_error *err) {
    int n = snprintf(prefix, sizeof prefix, "%s ", tag);
    if (n < 0 || (size_t)n >= sizeof prefix)
        return rad_error_set(err, RAD_E_LIMIT, "the tag of crash notes is longer than %d bytes", RAD_CRASH_TAG);
    n = snprintf(note, sizeof note, "%s.crash", database);
    if (n < 0 || (size_t)n >= sizeof note)
        return rad_error_set(err, RAD_E_LIMIT, "the path of the database is longer than %d bytes", PATH_CAP);
    struct sigaction a;
    memset(&a, 0, sizeof a);
    a.sa_handler = on_fatal;
    a.sa_flags = (int)SA_RESETHAND;
    sigemptyset(&a.sa_mask);
    for (int i = 0; i < N_FATAL && !SANITIZED; i++)
        sigaction(fatal[i], &a, &before[i]);
    installed = !SANITIZED;
    mine = NOBODY;
    return RAD_OK;
}

void rad_crash_restore(void) {
    for (int i = 0; installed && i < N_FATAL; i++)
        sigaction(fatal[i], &before[i], NULL);
    installed = false;
}

void rad_crash_at(int slot, const int64_t *case_id, int64_t n) {
    struct slot *s = &slots[slot];
    mine = slot;
    s->n = 0;
    for (int64_t i = 0; i < n && i < RAD_CRASH_CASES; i++)
        s->id[i] = case_id[i];
    s->n = n < RAD_CRASH_CASES ? n : RAD_CRASH_CASES;
}

static int by_id(const void *a, const void *b) {
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return x < y ? -1 : x > y;
}

/* "TAG NUMBER", nothing before or behind. */
static bool parse_note(const char *line, const char *tag, int64_t *ret) {
    size_t n = strlen(tag);
    return strncmp(line, tag, n) == 0 && line[n] == ' ' && rad_parse_int(line + n + 1, ret);
}

rad_status rad_crash_read(const char *database, const char *tag, const int64_t *case_id, int64_t n, int *ret_count, rad_error *err) {
    char *text = NULL, *path = rad_asprintf("%s.crash", database);
    int64_t *seen = NULL, n_seen = 0;
    size_t size;
    rad_status st = path ? rad_file_read(path, MAX_NOTES, &text, &size, NULL) : RAD_E_NOMEM;
    memset(ret_count, 0, (size_t)n * sizeof *ret_count);
    if (st == RAD_OK && !(seen = rad_calloc(size / 2 + 1, sizeof *seen)))
        st = RAD_E_NOMEM;
    if (st == RAD_E_NOMEM)
        st = rad_error_set(err, st, "out of memory for the notes of crashes");
    else if (st != RAD_OK) {
        st = RAD_OK; /* none */
        goto out;
    }
    if (st != RAD_OK)
        goto out;
    for (char *line = text, *end; (end = strchr(line, '\n')); line = end + 1) { /* a line without its end was cut by the crash */
        *end = 0;
        n_seen += parse_note(line, tag, &seen[n_seen]);
    }
    qsort(seen, (size_t)n_seen, sizeof *seen, by_id);
    for (int64_t i = 0; i < n; i++) {
        int64_t low = 0, high = n_seen;
        while (low < high) {
            int64_t mid = (low + high) / 2;
            if (seen[mid] < case_id[i])
                low = mid + 1;
            else
                high = mid;
        }
        for (; low < n_seen && seen[low] == case_id[i]; low++)
            ret_count[i]++;
    }
out:
    free(seen);
    free(text);
    free(path);
    return st;
}

void rad_crash_forget(const char *database, const char *tag) {
    char *text = NULL, *path = rad_asprintf("%s.crash", database);
    size_t size = 0, kept = 0;
    int64_t ignored;
    if (path && tag && rad_file_read(path, MAX_NOTES, &text, &size, NULL) == RAD_OK)
        for (char *line = text, *end; (end = strchr(line, '\n')); line = end + 1) {
            *end = 0;
            bool own = parse_note(line, tag, &ignored);
            *end = '\n';
            if (!own) {
                memmove(text + kept, line, (size_t)(end + 1 - line));
                kept += (size_t)(end + 1 - line);
            }
        }
    if (path && (kept == 0 || rad_file_write_atomic(path, text, kept, NULL) != RAD_OK))
        (void)unlink(path);
    free(text);
    free(path);
}

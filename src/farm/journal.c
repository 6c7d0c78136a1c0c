/* journal.c: see journal.h. */
#include "journal.h"

#include <pthread.h>
#include <stdlib.h>

struct half {
    rad_spool *spool;
    int64_t last; /* number of the last message in it; 0: empty */
};

struct rad_journal {
    pthread_mutex_t lock;
    struct half half[2];
    int at;
    int64_t n_put, n_committed;
    bool broken;
};

char *rad_journal_dir(const char *database) {
    return rad_asprintf("%s.spool", database);
}

rad_status rad_journal_open(const char *database, const rad_spool_head *head, rad_journal **ret, rad_error *err) {
    rad_status st = RAD_OK;
    char *dir = rad_journal_dir(database), name[32];
    rad_journal *j = rad_calloc(1, sizeof *j);
    if (!j || !dir) {
        free(j);
        free(dir);
        return rad_error_set(err, RAD_E_NOMEM, "out of memory for a journal");
    }
    pthread_mutex_init(&j->lock, NULL);
    snprintf(name, sizeof name, "rank-%05lld", (long long)head->rank);
    for (int i = 0; i < 2; i++)
        RAD_TRY(rad_spool_create(dir, name, head, &j->half[i].spool, err));
    *ret = j;
    j = NULL;
out:
    rad_journal_close(&j);
    free(dir);
    return st;
}

static void give_up(rad_journal *j, const char *why) {
    j->broken = true;
    rad_log(RAD_LOG_WARN, "no journal of finished cases from here on (%s): after a kill the last of them are computed again", why);
}

void rad_journal_put(rad_journal *j, const rad_buf *message) {
    rad_error err = {0};
    if (!j)
        return;
    pthread_mutex_lock(&j->lock);
    j->n_put++;
    if (!j->broken) {
        struct half *h = &j->half[j->at], *other = &j->half[1 - j->at];
        if (rad_spool_size(h->spool) > RAD_JOURNAL_BYTES && other->last == 0) {
            j->at = 1 - j->at;
            h = other;
        }
        if (rad_spool_put(h->spool, message->data, message->size, &err) == RAD_OK)
            h->last = j->n_put;
        else
            give_up(j, err.text);
    }
    pthread_mutex_unlock(&j->lock);
}

void rad_journal_committed(rad_journal *j, int64_t n) {
    rad_error err = {0};
    if (!j)
        return;
    pthread_mutex_lock(&j->lock);
    j->n_committed = n;
    for (int i = 0; i < 2; i++) {
        struct half *h = &j->half[i];
        if (h->last == 0 || h->last > n)
            continue;
        if (rad_spool_clear(h->spool, &err) != RAD_OK && !j->broken)
            give_up(j, err.text);
        h->last = 0;
    }
    pthread_mutex_unlock(&j->lock);
}

void rad_journal_close(rad_journal **jp) {
    rad_journal *j = *jp;
    *jp = NULL;
    if (!j)
        return;
    for (int i = 0; i < 2; i++)
        rad_spool_close(&j->half[i].spool, j->half[i].last == 0);
    pthread_mutex_destroy(&j->lock);
    free(j);
}

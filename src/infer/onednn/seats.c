#define _GNU_SOURCE /* affinity of threads */
#include "seats.h"

#include <omp.h>
#include <sched.h>

#include "radcohort/base.h"

struct dn_seats {
    cpu_set_t before; /* the leader's processors */
    bool is_taken;
};

struct dn_seats *dn_seats_create(void) {
    return rad_calloc(1, sizeof(struct dn_seats));
}

void dn_seats_take(struct dn_seats *s, int threads) {
    const int here = sched_getcpu();
    if (here < 0 || here >= CPU_SETSIZE || sched_getaffinity(0, sizeof s->before, &s->before) != 0 || CPU_COUNT(&s->before) < threads)
        return;
    cpu_set_t mine, others = s->before;
    CPU_ZERO(&mine);
    CPU_SET((size_t)here, &mine);
    CPU_CLR((size_t)here, &others);
#ifdef __SANITIZE_THREAD__ /* see dn_own_run */
    threads = 1;
#endif
    /* Threads that the team still lacks are made as the leader may run: it sits down inside. What fails costs only time. */
#pragma omp parallel num_threads(threads) shared(mine, others)
    (void)sched_setaffinity(0, sizeof mine, omp_get_thread_num() == 0 ? &mine : &others);
    s->is_taken = true;
}

void dn_seats_leave(struct dn_seats *s) {
    if (s->is_taken)
        (void)sched_setaffinity(0, sizeof s->before, &s->before);
    s->is_taken = false;
}

/* progress.c: see progress.h. Rate and estimate count from the first result on, so that start-up does not spoil them. */
#include "progress.h"

#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#define TERMINAL_EVERY 0.2
#define LOG_EVERY 5.0
#define BAR 24

void rad_progress_start(rad_progress *p, bool on, double now) {
    *p = (rad_progress){.on = on, .terminal = isatty(STDERR_FILENO) == 1, .start = now, .last = now, .first_done = -1};
}

static void duration_text(double s, char *buf, size_t cap) {
    int64_t t = s < 0 ? 0 : s > 1e9 ? 1000000000 : (int64_t)(s + 0.5);
    if (t >= 3600)
        snprintf(buf, cap, "%" PRId64 ":%02d:%02d", t / 3600, (int)(t / 60 % 60), (int)(t % 60));
    else
        snprintf(buf, cap, "%d:%02d", (int)(t / 60), (int)(t % 60));
}

static void reasons_text(const rad_progress_now *n, char *buf, size_t cap) {
    size_t used = 0;
    buf[0] = 0;
    for (int i = 0; i < n->outcome->n_reason && used + 48 < cap; i++)
        used += (size_t)snprintf(buf + used, cap - used, "%s%s %" PRId64, i ? ", " : " (", n->outcome->reason[i].reason,
                                 n->outcome->reason[i].n);
    if (used > 0)
        snprintf(buf + used, cap - used, ")");
}

void rad_progress_clear(rad_progress *p) {
    if (p->on && p->terminal)
        (void)fputs("\r\033[K", stderr);
}

void rad_progress_show(rad_progress *p, const rad_progress_now *n, double now, bool force) {
    if (!p->on)
        return;
    if (p->first_done < 0 && n->outcome->n_done > 0) {
        p->first_done = n->outcome->n_done;
        p->first_cost = n->cost_done;
        p->start = now;
    }
    if (!force && now - p->last < (p->terminal ? TERMINAL_EVERY : LOG_EVERY))
        return;
    p->last = now;
    char eta[32] = "?", elapsed[32], why[256];
    double s = now - p->start, cost = n->cost_done - p->first_cost;
    double rate = p->first_done >= 0 && s > 0 ? (double)(n->outcome->n_done - p->first_done) / s : 0;
    if (cost > 0 && s > 0)
        duration_text((n->cost_total - n->cost_done) * s / cost, eta, sizeof eta);
    duration_text(s, elapsed, sizeof elapsed);
    reasons_text(n, why, sizeof why);
    int percent = n->total > 0 ? (int)(100 * n->done / n->total) : 100;
    if (p->terminal) {
        char bar[BAR + 1];
        int full = n->total > 0 ? (int)(BAR * n->done / n->total) : BAR;
        memset(bar, '-', BAR);
        memset(bar, '#', (size_t)full);
        bar[BAR] = 0;
        (void)fprintf(stderr, "\r\033[K[%s] %3d %%  %" PRId64 "/%" PRId64 "  %.1f/s  ETA %s  excluded %" PRId64 "%.60s", bar, percent,
                      n->done, n->total, rate, eta, n->excluded, why);
        (void)fflush(stderr);
    } else {
        (void)fprintf(stderr, "progress: %" PRId64 " of %" PRId64 " cases (%d %%), %.1f/s, ETA %s, excluded %" PRId64 "%s, %d rank%s\n",
                      n->done, n->total, percent, rate, eta, n->excluded, why, n->ranks, n->ranks == 1 ? "" : "s");
    }
}

/* signals.c: the one place with process-wide state in src/farm: a signal handler has no other way to say something. */
#include "signals.h"

#include <signal.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static volatile sig_atomic_t asked;
static struct sigaction before[3];
static const int handled[3] = {SIGINT, SIGTERM, SIGUSR1};

/* Launchers and shells may deliver one request twice (to the process and to its group): what comes within this time is the same one. */
#define SAME_REQUEST_NS 100000000

static struct timespec first;

static void on_signal(int number) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now); /* async-signal-safe by POSIX */
    if (!asked) {
        first = now;
        asked = number;
    } else if ((now.tv_sec - first.tv_sec) * 1000000000LL + (now.tv_nsec - first.tv_nsec) > SAME_REQUEST_NS) {
        _exit(RAD_EXIT_STOPPED);
    }
}

void rad_signals_install(void) {
    struct sigaction a;
    memset(&a, 0, sizeof a);
    a.sa_handler = on_signal;
    sigfillset(&a.sa_mask); /* one after the other: `first` is not written and read at once */
    asked = 0;
    for (int i = 0; i < 3; i++)
        sigaction(handled[i], &a, &before[i]);
}

void rad_signals_restore(void) {
    for (int i = 0; i < 3; i++)
        sigaction(handled[i], &before[i], NULL);
}

int rad_signals_asked(void) {
    return asked;
}

/* signals.c: the one place with process-wide state in src/farm: a signal handler has no other way to say something. */
#include "signals.h"

#include <signal.h>
#include <string.h>
#include <unistd.h>

static volatile sig_atomic_t asked;
static struct sigaction before[3];
static const int handled[3] = {SIGINT, SIGTERM, SIGUSR1};

static void on_signal(int number) {
    if (asked)
        _exit(RAD_EXIT_STOPPED);
    asked = number;
}

void rad_signals_install(void) {
    struct sigaction a;
    memset(&a, 0, sizeof a);
    a.sa_handler = on_signal;
    sigemptyset(&a.sa_mask);
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

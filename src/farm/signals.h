/* signals.h (private to src/farm): requests to stop. SIGINT, SIGTERM and SIGUSR1 (what batch systems send before the time limit) ask once
 * for an orderly end; the second one leaves at once. */
#ifndef RAD_FARM_SIGNALS_H
#define RAD_FARM_SIGNALS_H

#include "radcohort/base.h"

/* Installs the handlers; the old ones come back with rad_signals_restore. */
void rad_signals_install(void);
void rad_signals_restore(void);
/* 0, or the number of the signal that asked. */
int rad_signals_asked(void);

#endif

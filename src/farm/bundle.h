/* bundle.h (private to src/farm): MPI inside the relocatable bundle (`cmake --build ... --target bundle`). */
#ifndef RAD_FARM_BUNDLE_H
#define RAD_FARM_BUNDLE_H

#include "radcohort/base.h"

/* To be called before MPI_Init. A bundle has its own Open MPI in lib/openmpi beside bin, whose compiled-in folders are those of the machine
 * that built it: the environment tells the library where its plugins are now. Overrides what a launcher has set, since plugins of another
 * build cannot be loaded. Does nothing where there is no lib/openmpi/plugins: in an ordinary installation, or where the site's MPI is to be
 * taken. */
void rad_farm_enter_bundle(void);
/* The same for the folder `top`, which holds bin and lib; false when it is no bundle. */
bool rad_farm_enter_bundle_at(const char *top);

#endif

/* bundle.c: tells Open MPI where its parts are when the program runs from a relocatable bundle. */
#include "bundle.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MAX_PATH 4096

bool rad_farm_enter_bundle_at(const char *top) {
    /* Variable and folder below lib/openmpi; the first is the one that makes it a bundle. OPAL_*: Open MPI; PMIX_*: the library through
     * which it talks to its launcher. */
    static const char *const place[][2] = {
        {"OPAL_PKGLIBDIR", "/plugins"}, {"OPAL_PREFIX", ""},           {"OPAL_LIBDIR", ""},
        {"OPAL_BINDIR", "/bin"},        {"OPAL_DATADIR", "/share"},    {"OPAL_PKGDATADIR", "/share"},
        {"OPAL_SYSCONFDIR", "/etc"},    {"PMIX_PREFIX", ""},           {"PMIX_LIBDIR", ""},
        {"PMIX_PKGLIBDIR", "/pmix"},    {"PMIX_PKGDATADIR", "/share"},
    };
    for (size_t i = 0; i < sizeof place / sizeof place[0]; i++) {
        char path[MAX_PATH];
        const int n = snprintf(path, sizeof path, "%s/lib/openmpi%s", top, place[i][1]);
        if (n < 0 || (size_t)n >= sizeof path || (i == 0 && access(path, X_OK) != 0))
            return false;
        if (setenv(place[i][0], path, 1) != 0)
            return false;
    }
    return true;
}

void rad_farm_enter_bundle(void) {
    char self[MAX_PATH];
    const ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    if (n <= 0)
        return;
    self[n] = '\0';
    for (int up = 0; up < 2; up++) { /* the program's name, then bin */
        char *slash = strrchr(self, '/');
        if (slash == NULL)
            return;
        *slash = '\0';
    }
    (void)rad_farm_enter_bundle_at(self);
}

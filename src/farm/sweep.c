/* sweep.c: see sweep.h. */
#include "sweep.h"

#include "radcohort/base.h"

#include <dirent.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TEMPORARY ".tmp"

static bool ends_with(const char *name, const char *end) {
    const size_t n = strlen(name), k = strlen(end);
    return n > k && strcmp(name + n - k, end) == 0;
}

/* Files of `dir` whose names begin with `start`; `depth` levels of folders below it as well. */
static void sweep(const char *dir, const char *start, int depth) {
    DIR *d = opendir(dir);
    if (!d)
        return;
    for (struct dirent *e; (e = readdir(d));) {
        if (e->d_name[0] == '.')
            continue;
        const bool temporary = ends_with(e->d_name, TEMPORARY) && strncmp(e->d_name, start, strlen(start)) == 0;
        char *path = temporary || depth > 0 ? rad_path_join(dir, e->d_name) : NULL;
        if (path && temporary)
            (void)unlink(path);
        else if (path && !strchr(e->d_name, '.')) /* a folder, of maps */
            sweep(path, start, depth - 1);
        free(path);
    }
    (void)closedir(d);
}

void rad_sweep(const char *database, const char *cam_dir) {
    const char *slash = strrchr(database, '/');
    char *dir = rad_path_dir(database), *beside = rad_asprintf("%s.", slash ? slash + 1 : database);
    char *restarts = rad_asprintf("%s.restart", database);
    if (dir && beside)
        sweep(dir, beside, 0);
    if (cam_dir)
        sweep(cam_dir, "", 1);
    if (restarts)
        sweep(restarts, "", 1);
    free(dir);
    free(beside);
    free(restarts);
}

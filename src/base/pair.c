/* pair.c: names of images that lie in two files, .hdr and .img. */
#include "radcohort/base.h"

#include <string.h>
#include <strings.h>

/* Length without ".gz". */
static size_t stem(const char *path, bool *ret_gz) {
    const size_t n = strlen(path);
    *ret_gz = n >= 3 && strcasecmp(path + n - 3, ".gz") == 0;
    return *ret_gz ? n - 3 : n;
}

bool rad_pair_named(const char *path) {
    bool gz;
    const size_t n = stem(path, &gz);
    return n >= 4 && (strncasecmp(path + n - 4, ".hdr", 4) == 0 || strncasecmp(path + n - 4, ".img", 4) == 0);
}

char *rad_pair_half(const char *path, const char *ext, bool other) {
    bool gz;
    const size_t n = stem(path, &gz);
    const bool upper = path[n - 1] >= 'A' && path[n - 1] <= 'Z';
    char name[5] = "";
    for (int i = 0; i < 4; i++)
        name[i] = (char)(upper && i > 0 ? ext[i] - 'a' + 'A' : ext[i]);
    return rad_asprintf("%.*s%s%s", (int)(n - 4), path, name, gz != other ? ".gz" : "");
}

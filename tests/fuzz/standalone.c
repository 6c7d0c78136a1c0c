/* standalone.c: a main for a fuzz target built without libFuzzer: replays the files and folders named on the command line. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "fuzz.h"

static int replay(const char *path) {
    FILE *f = fopen(path, "rb");
    if (!f) {
        perror(path);
        return -1;
    }
    enum { MAX = 16 << 20 };
    uint8_t *data = malloc(MAX);
    size_t n = data ? fread(data, 1, MAX, f) : 0;
    fclose(f);
    LLVMFuzzerTestOneInput(data, n);
    free(data);
    return 1;
}

int main(int argc, char **argv) {
    int n = 0;
    for (int a = 1; a < argc; a++) {
        struct stat s;
        if (stat(argv[a], &s) != 0) {
            perror(argv[a]);
            return 1;
        }
        if (!S_ISDIR(s.st_mode)) {
            if (replay(argv[a]) < 0)
                return 1;
            n++;
            continue;
        }
        DIR *d = opendir(argv[a]);
        for (struct dirent *e = d ? readdir(d) : NULL; e; e = readdir(d)) {
            char path[4096];
            snprintf(path, sizeof path, "%s/%s", argv[a], e->d_name);
            if (e->d_name[0] == '.')
                continue;
            if (replay(path) < 0)
                return 1;
            n++;
        }
        if (d)
            closedir(d);
    }
    printf("%d inputs replayed\n", n);
    return n > 0 ? 0 : 1;
}

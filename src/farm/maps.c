/* maps.c: see maps.h. */
#include "maps.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAX_MAP ((size_t)1 << 32)

char *rad_maps_shard_dir(const char *spool_dir) {
    return rad_path_join(spool_dir, "cams");
}

static bool is_whole(const char *path, const rad_cam_result *c) {
    struct stat info;
    return path && stat(path, &info) == 0 && S_ISREG(info.st_mode) && info.st_size == c->file_bytes;
}

/* A name below the folder: a spool is read from a file. */
static bool is_tame(const char *name) {
    return name[0] != '/' && !strstr(name, "..");
}

static const rad_cam_result *map_of(const rad_case_result *r, int model) {
    const rad_model_result *m = &r->model[model];
    return m->status == RAD_OK && m->has_cam && !m->cam.stored && m->cam.file ? &m->cam : NULL;
}

static rad_status copy_file(const char *from, const char *to, rad_error *err) {
    char *data = NULL;
    size_t size = 0;
    rad_status st = rad_file_read(from, MAX_MAP, &data, &size, err);
    if (st == RAD_OK)
        st = rad_file_write_atomic_mode(to, 0600, data, size, err);
    free(data);
    return st;
}

static rad_status adopt(const char *from, const char *to, rad_error *err) {
    char *dir = rad_path_dir(to);
    rad_status st = dir ? rad_mkdirs(dir, err) : rad_error_set(err, RAD_E_NOMEM, "out of memory for a path");
    free(dir);
    if (st != RAD_OK)
        return st;
    (void)unlink(to); /* of another size */
    return link(from, to) == 0 ? RAD_OK : copy_file(from, to, err);
}

rad_status rad_maps_adopt(const char *from, const char *to, const rad_case_result *r, bool *ret_whole, rad_error *err) {
    rad_status st = RAD_OK;
    *ret_whole = true;
    for (int i = 0; i < r->n_model && st == RAD_OK && *ret_whole; i++) {
        const rad_cam_result *c = map_of(r, i);
        if (!c)
            continue;
        char *there = rad_path_join(to, c->file), *here = from ? rad_path_join(from, c->file) : NULL;
        if (!there || (from && !here))
            st = rad_error_set(err, RAD_E_NOMEM, "out of memory for a path");
        else if (!is_tame(c->file))
            *ret_whole = false;
        else if (!is_whole(there, c)) {
            *ret_whole = is_whole(here, c);
            if (*ret_whole)
                st = adopt(here, there, err);
        }
        free(there);
        free(here);
    }
    return st;
}

bool rad_maps_are_whole(const char *dir, const rad_case_result *r) {
    bool whole = false;
    return rad_maps_adopt(NULL, dir, r, &whole, NULL) == RAD_OK && whole;
}

/* cache.c: engine choices on disk, one file per (network, shapes, precision, device, cuDNN, driver). What is read back is the choice that
 * would be made again, so a lost or damaged file only costs time. Text: a header line, then per convolution a line "n bytes" and the plan
 * as cuDNN writes it (0 bytes: our own kernel). */
#include <stdlib.h>
#include <string.h>

#include "device.h"

#define HEADER "radcohort cuDNN engines 1\n"
#define MAX_CACHE_BYTES ((size_t)64 << 20)

char *cu_cache_folder(void) {
    const char *xdg = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
    if (xdg != NULL && xdg[0] == '/')
        return rad_path_join(xdg, "radcohort/cudnn");
    return home != NULL && home[0] == '/' ? rad_path_join(home, ".cache/radcohort/cudnn") : NULL;
}

static char *file_name(const struct cu_plan *p) {
    const struct cu_state *s = p->state;
    char key[RAD_SHA256_HEX], list[RAD_SHA256_HEX], file[RAD_SHA256_HEX + 8];
    char *text = NULL, *path = NULL;
    if (s->cache == NULL || rad_sha256(p->conv, (size_t)p->n_engine * sizeof *p->conv, list, NULL) != RAD_OK)
        return NULL;
    text = rad_asprintf("%zu|%s|%d|%s|%s|%d|%lld|%d", s->cudnn, s->name, s->driver, p->plan->graph->hash, list, (int)p->plan->precision,
                        (long long)RAD_CUDNN_WORKSPACE, RAD_CUDNN_REVISION);
    if (text != NULL && rad_sha256(text, strlen(text), key, NULL) == RAD_OK) {
        (void)snprintf(file, sizeof file, "%.40s.txt", key);
        path = rad_path_join(s->cache, file);
    }
    free(text);
    return path;
}

static bool parse(struct cu_plan *p, char *at) {
    const cu_target target = {.handle = p->handle};
    if (strncmp(at, HEADER, strlen(HEADER)) != 0)
        return false;
    at += strlen(HEADER);
    for (int k = 0; k < p->n_engine; k++) {
        char *end = NULL;
        const size_t left = strlen(at);
        const unsigned long n = strtoul(at, &end, 10);
        if (end == at || *end != '\n' || n > left - (size_t)(end - at))
            return false;
        at = end + 1;
        if (n == 0) {
            p->own++;
            continue;
        }
        const char behind = at[n];
        at[n] = '\0';
        const bool ok = cu_engine_from_json(&target, at, &p->engine[k]);
        at[n] = behind;
        if (!ok || p->engine[k].workspace > RAD_CUDNN_WORKSPACE)
            return false;
        at += n;
        if (*at++ != '\n')
            return false;
    }
    return *at == '\0';
}

bool cu_cache_read(struct cu_plan *p) {
    char *path = file_name(p), *text = NULL;
    size_t size = 0;
    const bool ok =
        path != NULL && rad_file_read(path, MAX_CACHE_BYTES, &text, &size, NULL) == RAD_OK && strlen(text) == size && parse(p, text);
    if (!ok) {
        for (int k = 0; k < p->n_engine; k++)
            cu_engine_release(&p->engine[k]);
        p->own = 0;
    }
    free(text);
    free(path);
    return ok;
}

void cu_cache_write(const struct cu_plan *p) {
    rad_buf b;
    char *path = file_name(p);
    rad_buf_init(&b, MAX_CACHE_BYTES);
    bool ok = path != NULL && rad_mkdirs(p->state->cache, NULL) == RAD_OK && rad_buf_printf(&b, NULL, HEADER) == RAD_OK;
    for (int k = 0; ok && k < p->n_engine; k++) {
        char *json = p->engine[k].plan != NULL ? cu_engine_to_json(&p->engine[k]) : NULL;
        if (p->engine[k].plan != NULL && json == NULL)
            ok = false; /* this cuDNN writes no text for it: nothing is stored */
        else
            ok = rad_buf_printf(&b, NULL, "%zu\n", json != NULL ? strlen(json) : 0) == RAD_OK &&
                 (json == NULL || (rad_buf_put(&b, json, strlen(json), NULL) == RAD_OK && rad_buf_put(&b, "\n", 1, NULL) == RAD_OK));
        free(json);
    }
    if (ok && rad_file_write_atomic(path, b.data, b.size, NULL) != RAD_OK)
        rad_log(RAD_LOG_DEBUG, "cannot store engine choices in '%s'", path);
    rad_buf_release(&b);
    free(path);
}

/* backend.c: the list of backends, and what all of them share: opening, precision words, refusals, running a graph once. */
#include "backend.h"

#include <stdlib.h>
#include <string.h>

struct rad_backend {
    const rad_backend_ops *ops;
    void *state;
    char version[160];
};

/* In order of preference. An entry without a table was not compiled in: `absent` says how to get it. */
static const struct entry {
    const char *name;
    const rad_backend_ops *ops;
    const char *absent;
} entries[] = {
#if defined(RAD_HAVE_CUDNN)
    {"cudnn", &rad_backend_cudnn, NULL},
#else
    {"cudnn", NULL, "not built: it needs the CUDA Toolkit 12 and cuDNN 9.8, or newer, when radcohort is configured; use 'onednn'"},
#endif
#if defined(RAD_HAVE_ONEDNN)
    {"onednn", &rad_backend_onednn, NULL},
#else
    {"onednn", NULL, "not built: install oneDNN 2 (Debian: libdnnl-dev) and configure again"},
#endif
    {"ref", &rad_backend_ref, NULL},
    {"checked", &rad_backend_checked, NULL},
};
enum { N_ENTRY = sizeof entries / sizeof entries[0] };

static const char *const names[] = {"cudnn", "onednn", "ref", "checked", NULL};

const char *const *rad_backend_names(void) {
    return names;
}

static const struct entry *find(const char *name) {
    for (int i = 0; i < N_ENTRY; i++)
        if (strcmp(entries[i].name, name) == 0)
            return &entries[i];
    return NULL;
}

rad_status rad_backend_open(const char *name, rad_backend **ret, rad_error *err) {
    const struct entry *e = find(name);
    if (e == NULL) {
        const char *near = rad_nearest_word(name, names);
        return rad_error_set(err, RAD_E_USAGE, "unknown backend '%s': %s%s%s", name,
                             near != NULL ? "did you mean '" : "known are cudnn, onednn", near != NULL ? near : ", ref, checked",
                             near != NULL ? "'?" : "");
    }
    if (e->ops == NULL)
        return rad_error_set(err, RAD_E_DEVICE, "backend '%s' is %s", name, e->absent);
    rad_backend *be = rad_calloc(1, sizeof *be);
    if (be == NULL)
        return rad_error_set(err, RAD_E_NOMEM, "no memory for backend '%s'", name);
    be->ops = e->ops;
    rad_status st = e->ops->open(&be->state, be->version, sizeof be->version, err);
    if (st != RAD_OK) {
        free(be);
        return rad_error_prefix(err, st, "backend '%s': ", name);
    }
    *ret = be;
    return RAD_OK;
}

void rad_backend_close(rad_backend **be) {
    if (be == NULL || *be == NULL)
        return;
    (*be)->ops->close((*be)->state);
    free(*be);
    *be = NULL;
}

bool rad_backend_probe(const char *name, char *buf, size_t cap) {
    rad_backend *be = NULL;
    rad_error err = {0};
    if (rad_backend_open(name, &be, &err) != RAD_OK) {
        (void)snprintf(buf, cap, "not usable: %s", err.text);
        return false;
    }
    int n = snprintf(buf, cap, "usable: %s", be->version);
    if (strcmp(name, "cudnn") == 0 && n > 0 && (size_t)n + 1 < cap) {
        buf[n++] = '\n';
        (void)rad_cudnn_describe_devices(be->state, buf + n, cap - (size_t)n);
    }
    rad_backend_close(&be);
    return true;
}

const char *rad_backend_name(const rad_backend *be) {
    return be->ops->name;
}

const char *rad_backend_version(const rad_backend *be) {
    return be->version;
}

const rad_backend_ops *rad_backend_get_ops(const rad_backend *be, void **ret_state) {
    *ret_state = be->state;
    return be->ops;
}

static const char *const precision_words[] = {"fp32", "tf32", "fp16", "bf16", NULL};

const char *rad_precision_name(rad_precision p) {
    return precision_words[p];
}

rad_status rad_precision_parse(const char *word, rad_precision *ret, rad_error *err) {
    for (int i = 0; precision_words[i] != NULL; i++)
        if (strcmp(word, precision_words[i]) == 0) {
            *ret = (rad_precision)i;
            return RAD_OK;
        }
    return rad_error_set(err, RAD_E_USAGE, "unknown precision '%s': known are fp32, tf32, fp16, bf16", word);
}

rad_status rad_backend_check_precision(rad_backend *be, rad_precision p, rad_error *err) {
    return be->ops->precision(be->state, p, err);
}

bool rad_backend_can_verify(const rad_backend *be) {
    return be->ops->verify != NULL;
}

rad_status rad_backend_verify(rad_backend *be, rad_error *err) {
    return be->ops->verify != NULL ? be->ops->verify(be->state, err) : RAD_OK;
}

int rad_backend_refusals(rad_backend *be, const rad_graph *g, rad_precision p, rad_buf *why) {
    rad_error err = {0};
    if (rad_backend_check_precision(be, p, &err) != RAD_OK) {
        if (why != NULL && rad_buf_printf(why, NULL, "%s%s", why->size > 0 ? "\n" : "", err.text) != RAD_OK)
            why = NULL;
        return g->n_node > 0 ? g->n_node : 1;
    }
    int n = 0;
    for (int i = 0; i < g->n_node; i++) {
        char reason[256] = "";
        if (be->ops->supports(be->state, g, &g->node[i], p, reason, sizeof reason))
            continue;
        n++;
        /* A full buffer only shortens the list; the count stays right. */
        if (why != NULL &&
            rad_buf_printf(why, NULL, "%s%s '%s': %s", why->size > 0 ? "\n" : "", g->node[i].op->name, g->node[i].name, reason) != RAD_OK)
            why = NULL;
    }
    return n;
}

rad_status rad_backend_refuse(rad_backend *be, const rad_graph *g, rad_precision p, rad_error *err) {
    rad_status st = rad_backend_check_precision(be, p, err);
    if (st != RAD_OK)
        return st;
    rad_buf why;
    rad_buf_init(&why, 64 * 1024);
    int n = rad_backend_refusals(be, g, p, &why);
    if (n > 0)
        st = rad_error_set(err, RAD_E_MODEL, "backend '%s' cannot run %d node%s of the network: %s", be->ops->name, n, n == 1 ? "" : "s",
                           why.size > 0 ? why.data : "");
    rad_buf_release(&why);
    return st;
}

rad_status rad_backend_run_graph(rad_backend *be, const rad_graph *g, rad_precision p, const rad_tensor *in, rad_tensor *out,
                                 rad_error *err) {
    rad_plan *plan = NULL;
    rad_exec *exec = NULL;
    rad_status st = RAD_OK;
    RAD_TRY(rad_backend_refuse(be, g, p, err));
    RAD_TRY(be->ops->plan_create(be->state, g, p, &plan, err));
    RAD_TRY(be->ops->exec_create(plan, &exec, err));
    RAD_TRY(be->ops->exec_run(exec, in, out, err));
out:
    if (exec != NULL)
        be->ops->exec_destroy(exec);
    if (plan != NULL)
        be->ops->plan_destroy(plan);
    return st;
}

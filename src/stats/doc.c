/* doc: the result document, a flat list of nodes in writing order. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "radcohort/stats.h"

typedef enum node_kind { NODE_NUM, NODE_INT, NODE_BOOL, NODE_TEXT, NODE_OBJECT, NODE_LIST } node_kind;

typedef struct node {
    node_kind kind;
    char *name; /* NULL inside a list */
    char *text;
    double num;
    int64_t count; /* members of an object or list */
    int64_t end;   /* index behind the last node of the subtree */
} node;

/* 32 levels: the deepest document here has 4. */
enum { DOC_DEPTH = 32 };
#define DOC_MAX_NODES ((int64_t)1 << 26)

struct rad_doc {
    node *nodes;
    int64_t n, cap;
    int64_t open[DOC_DEPTH];
    int depth;
    char *reason;
    rad_status st;
};

rad_status rad_doc_create(rad_doc **ret, rad_error *err) {
    rad_doc *d = rad_calloc(1, sizeof *d);
    if (!d)
        return rad_error_set(err, RAD_E_NOMEM, "no memory for a result document");
    *ret = d;
    return RAD_OK;
}

void rad_doc_destroy(rad_doc **doc) {
    if (!doc || !*doc)
        return;
    rad_doc *d = *doc;
    for (int64_t i = 0; i < d->n; i++) {
        free(d->nodes[i].name);
        free(d->nodes[i].text);
    }
    free(d->nodes);
    free(d->reason);
    free(d);
    *doc = NULL;
}

static node *add(rad_doc *d, const char *name, node_kind kind) {
    if (d->st != RAD_OK)
        return NULL;
    if (d->n == d->cap) {
        const int64_t cap = d->cap ? 2 * d->cap : 64;
        node *p = cap > DOC_MAX_NODES ? NULL : rad_realloc(d->nodes, (size_t)cap, sizeof *p);
        if (!p) {
            d->st = RAD_E_NOMEM;
            return NULL;
        }
        d->nodes = p;
        d->cap = cap;
    }
    const bool in_list = d->depth > 0 && d->nodes[d->open[d->depth - 1]].kind == NODE_LIST;
    char *copy = NULL;
    if (!in_list) {
        copy = rad_strdup(name ? name : "");
        if (!copy) {
            d->st = RAD_E_NOMEM;
            return NULL;
        }
    }
    if (d->depth > 0)
        d->nodes[d->open[d->depth - 1]].count++;
    node *x = &d->nodes[d->n++];
    *x = (node){.kind = kind, .name = copy, .end = d->n};
    return x;
}

void rad_doc_num(rad_doc *doc, const char *name, double x) {
    node *p = add(doc, name, NODE_NUM);
    if (p)
        p->num = x;
}

void rad_doc_int(rad_doc *doc, const char *name, int64_t x) {
    node *p = add(doc, name, NODE_INT);
    if (p)
        p->num = (double)x;
}

void rad_doc_bool(rad_doc *doc, const char *name, bool x) {
    node *p = add(doc, name, NODE_BOOL);
    if (p)
        p->num = x;
}

void rad_doc_text(rad_doc *doc, const char *name, const char *text) {
    node *p = add(doc, name, NODE_TEXT);
    if (p && !(p->text = rad_strdup(text ? text : "")))
        doc->st = RAD_E_NOMEM;
}

static void open_node(rad_doc *d, const char *name, node_kind kind) {
    if (d->st == RAD_OK && d->depth == DOC_DEPTH)
        d->st = RAD_E_INTERNAL;
    if (add(d, name, kind))
        d->open[d->depth++] = d->n - 1;
}

void rad_doc_open(rad_doc *doc, const char *name) {
    open_node(doc, name, NODE_OBJECT);
}

void rad_doc_open_list(rad_doc *doc, const char *name) {
    open_node(doc, name, NODE_LIST);
}

void rad_doc_close(rad_doc *doc) {
    if (doc->st != RAD_OK)
        return;
    if (doc->depth == 0) {
        doc->st = RAD_E_INTERNAL;
        return;
    }
    doc->nodes[doc->open[--doc->depth]].end = doc->n;
}

void rad_doc_reason(rad_doc *doc, const char *fmt, ...) {
    char text[RAD_ERROR_TEXT];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    if (doc->reason && strstr(doc->reason, text))
        return;
    char *joined = doc->reason ? rad_asprintf("%s; %s", doc->reason, text) : rad_strdup(text);
    if (!joined) {
        doc->st = RAD_E_NOMEM;
        return;
    }
    free(doc->reason);
    doc->reason = joined;
}

const char *rad_doc_get_reason(const rad_doc *doc) {
    return doc->reason;
}

rad_status rad_doc_status(const rad_doc *doc, rad_error *err) {
    if (doc->st == RAD_E_NOMEM)
        return rad_error_set(err, RAD_E_NOMEM, "no memory for a result document of %lld values", (long long)doc->n);
    if (doc->st != RAD_OK || doc->depth != 0)
        return rad_error_set(err, RAD_E_INTERNAL, "result document: open and close do not match");
    return RAD_OK;
}

/* Index of the member of the range [at, end) that `path` starts with; *rest is what follows. -1 when absent. */
static int64_t member(const rad_doc *d, int64_t at, int64_t end, const char *path, const char **rest) {
    if (*path == '[') {
        char *stop;
        const long long want = strtoll(path + 1, &stop, 10);
        if (*stop != ']')
            return -1;
        *rest = stop + 1;
        for (long long i = 0; at < end; at = d->nodes[at].end, i++)
            if (i == want)
                return at;
        return -1;
    }
    const size_t len = strcspn(path, ".[");
    *rest = path + len;
    for (; at < end; at = d->nodes[at].end)
        if (d->nodes[at].name && strlen(d->nodes[at].name) == len && memcmp(d->nodes[at].name, path, len) == 0)
            return at;
    return -1;
}

static const node *find(const rad_doc *d, const char *path) {
    int64_t at = 0, end = d->n;
    for (;;) {
        const char *rest;
        const int64_t i = member(d, at, end, path, &rest);
        if (i < 0)
            return NULL;
        if (*rest == 0)
            return &d->nodes[i];
        path = *rest == '.' ? rest + 1 : rest;
        at = i + 1;
        end = d->nodes[i].end;
    }
}

double rad_doc_get(const rad_doc *doc, const char *path) {
    const node *p = find(doc, path);
    return p && (p->kind == NODE_NUM || p->kind == NODE_INT || p->kind == NODE_BOOL) ? p->num : NAN;
}

const char *rad_doc_get_text(const rad_doc *doc, const char *path) {
    if (strcmp(path, "reason") == 0)
        return doc->reason;
    const node *p = find(doc, path);
    return p && p->kind == NODE_TEXT ? p->text : NULL;
}

int64_t rad_doc_count(const rad_doc *doc, const char *path) {
    const node *p = find(doc, path);
    return p && (p->kind == NODE_LIST || p->kind == NODE_OBJECT) ? p->count : -1;
}

bool rad_doc_row_first(const rad_doc *doc, const char *path, rad_doc_row *ret) {
    const node *p = find(doc, path);
    if (!p || p->kind != NODE_LIST || p->count == 0)
        return false;
    *ret = (rad_doc_row){.at = (p - doc->nodes) + 1, .end = p->end};
    return true;
}

bool rad_doc_row_next(const rad_doc *doc, rad_doc_row *row) {
    row->at = doc->nodes[row->at].end;
    return row->at < row->end;
}

static const node *row_member(const rad_doc *d, const rad_doc_row *row, const char *name) {
    const char *rest;
    const int64_t i = member(d, row->at + 1, d->nodes[row->at].end, name, &rest);
    return i < 0 || *rest ? NULL : &d->nodes[i];
}

double rad_doc_row_get(const rad_doc *doc, const rad_doc_row *row, const char *name) {
    const node *p = row_member(doc, row, name);
    return p && (p->kind == NODE_NUM || p->kind == NODE_INT || p->kind == NODE_BOOL) ? p->num : NAN;
}

const char *rad_doc_row_get_text(const rad_doc *doc, const rad_doc_row *row, const char *name) {
    const node *p = row_member(doc, row, name);
    return p && p->kind == NODE_TEXT ? p->text : NULL;
}

bool rad_doc_row_is_integer(const rad_doc *doc, const rad_doc_row *row, const char *name) {
    const node *p = row_member(doc, row, name);
    return p && (p->kind == NODE_INT || p->kind == NODE_BOOL);
}

static rad_status put_string(rad_buf *out, const char *s, rad_error *err) {
    rad_status st = rad_buf_put(out, "\"", 1, err);
    for (; st == RAD_OK && *s; s++) {
        const unsigned char c = (unsigned char)*s;
        if (c == '"' || c == '\\')
            st = rad_buf_printf(out, err, "\\%c", c);
        else if (c < 0x20)
            st = rad_buf_printf(out, err, "\\u%04x", c);
        else
            st = rad_buf_put(out, s, 1, err);
    }
    return st == RAD_OK ? rad_buf_put(out, "\"", 1, err) : st;
}

static rad_status put_value(const node *p, rad_buf *out, rad_error *err) {
    switch (p->kind) {
    case NODE_NUM:
        if (isnan(p->num))
            return rad_buf_put(out, "null", 4, err);
        if (isinf(p->num)) /* JSON has no infinity; every reader takes this as one */
            return p->num > 0 ? rad_buf_put(out, "9e999", 5, err) : rad_buf_put(out, "-9e999", 6, err);
        return rad_buf_printf(out, err, "%.17g", p->num);
    case NODE_INT:
        return rad_buf_printf(out, err, "%.0f", p->num);
    case NODE_BOOL:
        return p->num != 0 ? rad_buf_put(out, "true", 4, err) : rad_buf_put(out, "false", 5, err);
    case NODE_TEXT:
        return put_string(out, p->text ? p->text : "", err);
    case NODE_OBJECT:
    case NODE_LIST:
        break;
    }
    return RAD_OK;
}

static rad_status put_members(const rad_doc *d, int64_t at, int64_t end, bool list, bool root, rad_buf *out, rad_error *err) {
    rad_status st;
    bool first = true;
    RAD_TRY(rad_buf_put(out, list ? "[" : "{", 1, err));
    for (; at < end; at = d->nodes[at].end) {
        const node *p = &d->nodes[at];
        if (!first)
            RAD_TRY(rad_buf_put(out, ",", 1, err));
        first = false;
        if (!list) {
            RAD_TRY(put_string(out, p->name ? p->name : "", err));
            RAD_TRY(rad_buf_put(out, ":", 1, err));
        }
        if (p->kind == NODE_OBJECT || p->kind == NODE_LIST)
            RAD_TRY(put_members(d, at + 1, p->end, p->kind == NODE_LIST, false, out, err));
        else
            RAD_TRY(put_value(p, out, err));
    }
    if (root && d->reason) {
        RAD_TRY(rad_buf_printf(out, err, "%s\"reason\":", first ? "" : ","));
        RAD_TRY(put_string(out, d->reason, err));
    }
    RAD_TRY(rad_buf_put(out, list ? "]" : "}", 1, err));
out:
    return st;
}

rad_status rad_doc_json(const rad_doc *doc, rad_buf *out, rad_error *err) {
    const rad_status st = rad_doc_status(doc, err);
    return st == RAD_OK ? put_members(doc, 0, doc->n, false, true, out, err) : st;
}

/* onnx_writer.h: builds small ONNX files in memory, for tests of the reader, the passes, operators and backends.
 *
 *   onnx_writer w = {0};
 *   onnx_begin(&w, 17);
 *   onnx_input(&w, "x", 1, (int64_t[]){2, 3, 8, 8}, 4);
 *   onnx_init_f32(&w, "w", (int64_t[]){4, 3, 3, 3}, 4, weights);
 *   onnx_node_begin(&w, "Conv", "conv1");
 *   onnx_node_in(&w, "x"); onnx_node_in(&w, "w"); onnx_node_out(&w, "y");
 *   onnx_attr_ints(&w, "pads", (int64_t[]){1, 1, 1, 1}, 4);
 *   onnx_node_end(&w);
 *   onnx_output(&w, "y");
 *   onnx_end(&w);                  -> w.model.p, w.model.n
 *   ...
 *   onnx_release(&w);
 *
 * Switches for odd but legal files: `unpacked` (repeated scalars one by one), `typed` (float_data, int64_data in place of raw_data).
 * Raw pieces for hostile files: onnx_put_* on w.graph, w.node, w.model. */
#ifndef RAD_ONNX_WRITER_H
#define RAD_ONNX_WRITER_H

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

typedef struct onnx_bytes {
    uint8_t *p;
    size_t n, cap;
} onnx_bytes;

typedef struct onnx_writer {
    onnx_bytes model, graph, node, scratch, inner;
    int opset;
    bool unpacked, typed;
} onnx_writer;

static inline void onnx_put(onnx_bytes *b, const void *p, size_t n) {
    if (b->n + n + 1 > b->cap) {
        b->cap = (b->n + n + 1) * 2;
        b->p = realloc(b->p, b->cap);
        if (!b->p)
            exit(99);
    }
    if (n)
        memcpy(b->p + b->n, p, n);
    b->n += n;
}

static inline void onnx_put_varint(onnx_bytes *b, uint64_t v) {
    uint8_t out[10];
    size_t n = 0;
    do {
        out[n] = (uint8_t)(v & 0x7f);
        v >>= 7;
        if (v)
            out[n] |= 0x80;
        n++;
    } while (v);
    onnx_put(b, out, n);
}

static inline void onnx_put_key(onnx_bytes *b, unsigned field, unsigned wire) {
    onnx_put_varint(b, (uint64_t)field << 3 | wire);
}

static inline void onnx_put_int(onnx_bytes *b, unsigned field, int64_t v) {
    onnx_put_key(b, field, 0);
    onnx_put_varint(b, (uint64_t)v);
}

static inline void onnx_put_bytes(onnx_bytes *b, unsigned field, const void *p, size_t n) {
    onnx_put_key(b, field, 2);
    onnx_put_varint(b, n);
    onnx_put(b, p, n);
}

static inline void onnx_put_text(onnx_bytes *b, unsigned field, const char *s) {
    onnx_put_bytes(b, field, s, strlen(s));
}

static inline void onnx_put_float(onnx_bytes *b, unsigned field, float v) {
    onnx_put_key(b, field, 5);
    onnx_put(b, &v, sizeof v);
}

static inline void onnx_put_ints(onnx_writer *w, onnx_bytes *b, unsigned field, const int64_t *v, size_t n) {
    if (w->unpacked) {
        for (size_t i = 0; i < n; i++)
            onnx_put_int(b, field, v[i]);
        return;
    }
    w->inner.n = 0;
    for (size_t i = 0; i < n; i++)
        onnx_put_varint(&w->inner, (uint64_t)v[i]);
    onnx_put_bytes(b, field, w->inner.p, w->inner.n);
}

static inline void onnx_put_floats(onnx_writer *w, onnx_bytes *b, unsigned field, const float *v, size_t n) {
    if (!w->unpacked) {
        onnx_put_bytes(b, field, v, n * sizeof *v);
        return;
    }
    for (size_t i = 0; i < n; i++)
        onnx_put_float(b, field, v[i]);
}

/* Contents of a TensorProto into `b`; dtype by ONNX number, `width` its bytes per element. */
static inline void onnx_put_tensor(onnx_writer *w, onnx_bytes *b, const char *name, int dtype, size_t width, const int64_t *dims,
                                   size_t n_dim, const void *data) {
    size_t count = 1;
    for (size_t i = 0; i < n_dim; i++)
        count *= (size_t)dims[i];
    if (n_dim)
        onnx_put_ints(w, b, 1, dims, n_dim);
    onnx_put_int(b, 2, dtype);
    if (name)
        onnx_put_text(b, 8, name);
    if (w->typed && dtype == 1)
        onnx_put_floats(w, b, 4, data, count);
    else if (w->typed && dtype == 7)
        onnx_put_ints(w, b, 7, data, count);
    else
        onnx_put_bytes(b, 9, data, count * width);
}

static inline void onnx_begin(onnx_writer *w, int opset) {
    w->opset = opset;
    w->model.n = w->graph.n = w->node.n = 0;
}

static inline void onnx_init(onnx_writer *w, const char *name, int dtype, size_t width, const int64_t *dims, size_t n_dim,
                             const void *data) {
    w->scratch.n = 0;
    onnx_put_tensor(w, &w->scratch, name, dtype, width, dims, n_dim, data);
    onnx_put_bytes(&w->graph, 5, w->scratch.p, w->scratch.n);
}

static inline void onnx_init_f32(onnx_writer *w, const char *name, const int64_t *dims, size_t n_dim, const float *data) {
    onnx_init(w, name, 1, 4, dims, n_dim, data);
}

static inline void onnx_init_i64(onnx_writer *w, const char *name, const int64_t *dims, size_t n_dim, const int64_t *data) {
    onnx_init(w, name, 7, 8, dims, n_dim, data);
}

/* ValueInfoProto as field 11 (input), 12 (output) or 13; a negative dim becomes the symbol "N". n_dim < 0: no type at all. */
static inline void onnx_value(onnx_writer *w, unsigned field, const char *name, int dtype, const int64_t *dims, int n_dim) {
    onnx_bytes shape = {0}, dim = {0}, type = {0}, value = {0};
    for (int i = 0; i < n_dim; i++) {
        dim.n = 0;
        if (dims[i] < 0)
            onnx_put_text(&dim, 2, "N");
        else
            onnx_put_int(&dim, 1, dims[i]);
        onnx_put_bytes(&shape, 1, dim.p, dim.n);
    }
    onnx_put_text(&value, 1, name);
    if (n_dim >= 0) {
        onnx_bytes tensor = {0};
        onnx_put_int(&tensor, 1, dtype);
        onnx_put_bytes(&tensor, 2, shape.p, shape.n);
        onnx_put_bytes(&type, 1, tensor.p, tensor.n);
        onnx_put_bytes(&value, 2, type.p, type.n);
        free(tensor.p);
    }
    onnx_put_bytes(&w->graph, field, value.p, value.n);
    free(shape.p);
    free(dim.p);
    free(type.p);
    free(value.p);
}

static inline void onnx_input(onnx_writer *w, const char *name, int dtype, const int64_t *dims, int n_dim) {
    onnx_value(w, 11, name, dtype, dims, n_dim);
}

static inline void onnx_output(onnx_writer *w, const char *name) {
    onnx_value(w, 12, name, 0, NULL, -1);
}

static inline void onnx_node_begin(onnx_writer *w, const char *op, const char *name) {
    w->node.n = 0;
    if (name)
        onnx_put_text(&w->node, 3, name);
    onnx_put_text(&w->node, 4, op);
}

static inline void onnx_node_in(onnx_writer *w, const char *name) {
    onnx_put_text(&w->node, 1, name);
}

static inline void onnx_node_out(onnx_writer *w, const char *name) {
    onnx_put_text(&w->node, 2, name);
}

static inline void onnx_attr_begin(onnx_writer *w, const char *name, int type) {
    w->scratch.n = 0;
    onnx_put_text(&w->scratch, 1, name);
    onnx_put_int(&w->scratch, 20, type);
}

static inline void onnx_attr_end(onnx_writer *w) {
    onnx_put_bytes(&w->node, 5, w->scratch.p, w->scratch.n);
}

static inline void onnx_attr_int(onnx_writer *w, const char *name, int64_t v) {
    onnx_attr_begin(w, name, 2);
    onnx_put_int(&w->scratch, 3, v);
    onnx_attr_end(w);
}

static inline void onnx_attr_float(onnx_writer *w, const char *name, float v) {
    onnx_attr_begin(w, name, 1);
    onnx_put_float(&w->scratch, 2, v);
    onnx_attr_end(w);
}

static inline void onnx_attr_text(onnx_writer *w, const char *name, const char *v) {
    onnx_attr_begin(w, name, 3);
    onnx_put_text(&w->scratch, 4, v);
    onnx_attr_end(w);
}

static inline void onnx_attr_ints(onnx_writer *w, const char *name, const int64_t *v, size_t n) {
    onnx_attr_begin(w, name, 7);
    onnx_put_ints(w, &w->scratch, 8, v, n);
    onnx_attr_end(w);
}

static inline void onnx_attr_floats(onnx_writer *w, const char *name, const float *v, size_t n) {
    onnx_attr_begin(w, name, 6);
    onnx_put_floats(w, &w->scratch, 7, v, n);
    onnx_attr_end(w);
}

static inline void onnx_attr_tensor(onnx_writer *w, const char *name, int dtype, size_t width, const int64_t *dims, size_t n_dim,
                                    const void *data) {
    onnx_bytes t = {0};
    onnx_put_tensor(w, &t, NULL, dtype, width, dims, n_dim, data);
    onnx_attr_begin(w, name, 4);
    onnx_put_bytes(&w->scratch, 5, t.p, t.n);
    onnx_attr_end(w);
    free(t.p);
}

static inline void onnx_node_end(onnx_writer *w) {
    onnx_put_bytes(&w->graph, 1, w->node.p, w->node.n);
}

/* A node of up to four inputs ("" = omitted, NULL = no more) and one output, without attributes. */
static inline void onnx_simple(onnx_writer *w, const char *op, const char *a, const char *b, const char *c, const char *d,
                               const char *out) {
    const char *in[4] = {a, b, c, d};
    onnx_node_begin(w, op, out);
    for (int i = 0; i < 4 && in[i]; i++)
        onnx_node_in(w, in[i]);
    onnx_node_out(w, out);
    onnx_node_end(w);
}

/* Closes the model: IR version, graph, opset import. */
static inline void onnx_end(onnx_writer *w) {
    onnx_bytes opset = {0};
    onnx_put_text(&opset, 1, "");
    onnx_put_int(&opset, 2, w->opset);
    onnx_put_int(&w->model, 1, 8);
    onnx_put_bytes(&w->model, 7, w->graph.p, w->graph.n);
    onnx_put_bytes(&w->model, 8, opset.p, opset.n);
    free(opset.p);
}

static inline void onnx_release(onnx_writer *w) {
    free(w->model.p);
    free(w->graph.p);
    free(w->node.p);
    free(w->scratch.p);
    free(w->inner.p);
    memset(w, 0, sizeof *w);
}

#endif

/* voxel.c: voxel types and their conversion to scaled float32. */
#include "internal.h"

size_t rad_voxel_size(rad_voxel_type t) {
    switch (t) {
    case RAD_VOX_U8:
    case RAD_VOX_I8:
        return 1;
    case RAD_VOX_U16:
    case RAD_VOX_I16:
        return 2;
    case RAD_VOX_RGB24:
        return 3;
    case RAD_VOX_U32:
    case RAD_VOX_I32:
    case RAD_VOX_F32:
        return 4;
    case RAD_VOX_U64:
    case RAD_VOX_I64:
    case RAD_VOX_F64:
        return 8;
    }
    return 0;
}

const char *rad_voxel_type_name(rad_voxel_type t) {
    switch (t) {
    case RAD_VOX_U8:
        return "uint8";
    case RAD_VOX_I8:
        return "int8";
    case RAD_VOX_U16:
        return "uint16";
    case RAD_VOX_I16:
        return "int16";
    case RAD_VOX_U32:
        return "uint32";
    case RAD_VOX_I32:
        return "int32";
    case RAD_VOX_U64:
        return "uint64";
    case RAD_VOX_I64:
        return "int64";
    case RAD_VOX_F32:
        return "float32";
    case RAD_VOX_F64:
        return "float64";
    case RAD_VOX_RGB24:
        return "rgb24";
    }
    return "unknown";
}

/* One loop per type, and one where voxels lie side by side, so that each is vectorised on its own; arithmetic in double, rounded once. */
#define GET_AS(type)                                                                                                                       \
    do {                                                                                                                                   \
        const type *p = (const type *)v->voxel + first;                                                                                    \
        if (stride == 1)                                                                                                                   \
            for (int64_t i = 0; i < n; i++)                                                                                                \
                out[i] = (float)(slope * (double)p[i] + inter);                                                                            \
        else                                                                                                                               \
            for (int64_t i = 0; i < n; i++)                                                                                                \
                out[i] = (float)(slope * (double)p[i * stride] + inter);                                                                   \
    } while (0)

RAD_CLONES void rad_volume_get(const rad_volume *v, int64_t first, int64_t stride, int64_t n, float *out) {
    const double slope = v->info.slope, inter = v->info.inter;
    first -= v->first;
    switch (v->info.type) {
    case RAD_VOX_U8:
        GET_AS(uint8_t);
        break;
    case RAD_VOX_I8:
        GET_AS(int8_t);
        break;
    case RAD_VOX_U16:
        GET_AS(uint16_t);
        break;
    case RAD_VOX_I16:
        GET_AS(int16_t);
        break;
    case RAD_VOX_U32:
        GET_AS(uint32_t);
        break;
    case RAD_VOX_I32:
        GET_AS(int32_t);
        break;
    case RAD_VOX_U64:
        GET_AS(uint64_t);
        break;
    case RAD_VOX_I64:
        GET_AS(int64_t);
        break;
    case RAD_VOX_F32:
        GET_AS(float);
        break;
    case RAD_VOX_F64:
        GET_AS(double);
        break;
    case RAD_VOX_RGB24: {
        const uint8_t *p = v->voxel;
        for (int64_t i = 0; i < n; i++) {
            const uint8_t *rgb = p + 3 * (first + i * stride);
            out[i] = (float)(0.299 * rgb[0] + 0.587 * rgb[1] + 0.114 * rgb[2]);
        }
        break;
    }
    }
}

void rad_volume_get_component(const rad_volume *v, int component, int64_t first, int64_t stride, int64_t n, float *out) {
    if (v->info.type != RAD_VOX_RGB24) {
        rad_volume_get(v, first, stride, n, out);
        return;
    }
    const uint8_t *p = v->voxel;
    for (int64_t i = 0; i < n; i++)
        out[i] = (float)p[3 * (first - v->first + i * stride) + component];
}

#define ADD_AS(T)                                                                                                                          \
    for (size_t i = 0; i < n; i++)                                                                                                         \
    sum[i] += (double)((const T *)voxel)[i]

void rad_voxel_add(const void *voxel, rad_voxel_type type, size_t n, double *sum) {
    switch (type) {
    case RAD_VOX_U8:
        ADD_AS(uint8_t);
        break;
    case RAD_VOX_I8:
        ADD_AS(int8_t);
        break;
    case RAD_VOX_U16:
        ADD_AS(uint16_t);
        break;
    case RAD_VOX_I16:
        ADD_AS(int16_t);
        break;
    case RAD_VOX_U32:
        ADD_AS(uint32_t);
        break;
    case RAD_VOX_I32:
        ADD_AS(int32_t);
        break;
    case RAD_VOX_U64:
        ADD_AS(uint64_t);
        break;
    case RAD_VOX_I64:
        ADD_AS(int64_t);
        break;
    case RAD_VOX_F32:
        ADD_AS(float);
        break;
    case RAD_VOX_F64:
        ADD_AS(double);
        break;
    case RAD_VOX_RGB24:
        break;
    }
}

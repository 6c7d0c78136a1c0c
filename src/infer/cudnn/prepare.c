/* prepare.c: a case's volumes to the device, one kernel over all pixels of its planes, the result back. */
#include <stdlib.h>
#include <string.h>

#include "device.h"

enum { MAX_VOLUMES = 64 };

struct job {
    cudaStream_t stream;
    char *volume[MAX_VOLUMES]; /* on the device */
    struct prep_plane *host_plane, *plane;
    double *mean_std;
    float *out;
};

static void job_release(struct job *j) {
    for (int i = 0; i < MAX_VOLUMES; i++)
        (void)cudaFree(j->volume[i]);
    (void)cudaFree(j->plane);
    (void)cudaFree(j->mean_std);
    (void)cudaFree(j->out);
    free(j->host_plane);
    if (j->stream != NULL)
        (void)cudaStreamDestroy(j->stream);
}

/* A plane points into a host volume; on the device the volume lies elsewhere. */
static rad_status move_planes(struct job *j, const struct prep_args *p, const void *const *volume, int n, rad_error *err) {
    const size_t planes = (size_t)(p->n_slice * p->n_plane);
    j->host_plane = rad_calloc(planes + 1, sizeof *j->host_plane);
    if (j->host_plane == NULL)
        return rad_error_set(err, RAD_E_NOMEM, "no memory for %zu planes", planes);
    for (size_t i = 0; i < planes; i++) {
        int k = 0;
        j->host_plane[i] = p->plane[i];
        while (k < n && volume[k] != p->plane[i].voxel)
            k++;
        if (k == n && !p->plane[i].outside)
            return rad_error_set(err, RAD_E_INTERNAL, "plane %zu is not of any volume", i);
        j->host_plane[i].voxel = k < n ? j->volume[k] : NULL;
    }
    rad_status st = cu_check(cudaMalloc((void **)&j->plane, (planes + 1) * sizeof *j->plane), "device memory for preparation", err);
    return st == RAD_OK ? cu_check(cudaMemcpyAsync(j->plane, j->host_plane, planes * sizeof *j->plane, cudaMemcpyHostToDevice, j->stream),
                                   "copying a case", err)
                        : st;
}

rad_status cu_prepare(const struct cu_state *s, const struct prep_args *p, const void *const *volume, const size_t *volume_bytes, int n,
                      rad_error *err) {
    struct job j = {0};
    struct prep_args on_device = *p;
    const size_t size = (size_t)(p->n_slice * p->n_plane * p->height * p->width) * sizeof(float), pairs = (size_t)p->n_normalise;
    rad_status st = RAD_OK;
    if (n > MAX_VOLUMES)
        return rad_error_set(err, RAD_E_LIMIT, "%d volumes in one input; at most %d", n, MAX_VOLUMES);
    RAD_TRY(cu_check(cudaSetDevice(s->device), "selecting the device", err));
    RAD_TRY(cu_check(cudaStreamCreateWithFlags(&j.stream, cudaStreamNonBlocking), "making a stream", err));
    for (int k = 0; k < n; k++) {
        RAD_TRY(cu_check(cudaMalloc((void **)&j.volume[k], volume_bytes[k] + 1), "device memory for a volume", err));
        RAD_TRY(
            cu_check(cudaMemcpyAsync(j.volume[k], volume[k], volume_bytes[k], cudaMemcpyHostToDevice, j.stream), "copying a volume", err));
    }
    RAD_TRY(move_planes(&j, p, volume, n, err));
    RAD_TRY(cu_check(cudaMalloc((void **)&j.mean_std, (2 * pairs + 1) * sizeof(double)), "device memory for preparation", err));
    RAD_TRY(cu_check(cudaMalloc((void **)&j.out, size + 1), "device memory for a prepared case", err));
    if (pairs > 0) {
        RAD_TRY(cu_check(cudaMemcpyAsync(j.mean_std, p->mean, pairs * sizeof(double), cudaMemcpyHostToDevice, j.stream), "copying a case",
                         err));
        RAD_TRY(cu_check(cudaMemcpyAsync(j.mean_std + pairs, p->std, pairs * sizeof(double), cudaMemcpyHostToDevice, j.stream),
                         "copying a case", err));
    }
    on_device.plane = j.plane;
    on_device.mean = j.mean_std;
    on_device.std = j.mean_std + pairs;
    on_device.out = j.out;
    RAD_TRY(cu_check(k_launch_prepare(&on_device, j.stream), "launching the preparation", err));
    RAD_TRY(cu_check(cudaMemcpyAsync(p->out, j.out, size, cudaMemcpyDeviceToHost, j.stream), "copying a prepared case", err));
    st = cu_check(cudaStreamSynchronize(j.stream), "the preparation", err);
out:
    job_release(&j);
    return st;
}

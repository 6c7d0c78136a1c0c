/* resources.h (private to src/farm): what a rank may use of its node, and how that is divided.
 *
 * Cores: those of the affinity mask, shared by the ranks that may use the same ones, and no more than the rank's part of the control
 * group's quota and of what Slurm gave (SLURM_CPUS_ON_NODE, SLURM_CPUS_PER_TASK). Each core gets one inference thread and one thread that
 * reads and prepares: the latter wait when the networks cannot keep up, the former when they have nothing to do.
 *
 * Memory: the smallest of the machine's, the control group's limit and what Slurm gave (SLURM_MEM_PER_NODE, SLURM_MEM_PER_CPU), divided by
 * the ranks of the node. A rank's processes beside the networks' own weights and scratch stay below work + 2 idle + batch + one case
 * however large the archive is: `work` bounds the volumes of the cases that are being read and the samples that wait for a network, and a
 * case that is larger than it by itself goes alone. */
#ifndef RAD_FARM_RESOURCES_H
#define RAD_FARM_RESOURCES_H

#include "radcohort/base.h"

#define RAD_MAX_LOADERS 64
#define RAD_MAX_THREADS_A_RANK 1024

typedef struct rad_host {                    /* what is known of it; 0: nothing */
    int cores;                               /* this rank's share of the affinity mask */
    int mates;                               /* ranks that compute on this node, this one among them */
    double quota;                            /* processors by the control group */
    int64_t slurm_node, slurm_task;          /* processors by Slurm */
    uint64_t ram, cgroup;                    /* bytes */
    uint64_t slurm_memory, slurm_memory_cpu; /* bytes per node; per processor of `slurm_node` */
} rad_host;

typedef struct rad_resources {
    int threads, loaders;
    const char *cores_from; /* static text */
    uint64_t memory;        /* bytes, this rank's; 0: not known */
    const char *memory_from;
    size_t work, idle, batch; /* bounds in bytes; idle: volumes kept for the next lesion; batch: samples of one call of a network */
} rad_resources;

/* Reads environment, /proc and /sys, all below `root` ("" for the real ones). What cannot be read is not known. */
void rad_host_look(const char *root, rad_host *ret);
/* `threads` > 0: asked for. Pure. */
rad_resources rad_resources_choose(const rad_host *n, int threads);
/* Both, for a rank whose share of the mask is `cores` among `mates` ranks. */
rad_resources rad_resources_find(int cores, int mates, int threads);
/* "2 threads and 2 loaders (affinity), 512 MB of 11.7 GB (machine) for volumes and samples"; snprintf's contract. */
size_t rad_resources_text(const rad_resources *r, char *buf, size_t cap);

#endif

/* transport.h (private to src/farm): how messages get from rank to rank.
 *
 * Two kinds behind one table: `mpi` when a launcher started us, `local` when none did (one rank, no MPI_Init). A message to the own rank
 * never leaves the process. Nothing here blocks without sleeping: many ranks may share few cores. All calls from the thread that opened it.
 */
#ifndef RAD_FARM_TRANSPORT_H
#define RAD_FARM_TRANSPORT_H

#include "radcohort/base.h"

typedef struct rad_transport rad_transport;

/* What the kinds implement. `state` is theirs. */
typedef struct rad_transport_ops {
    const char *name; /* launch mode as recorded with the run */
    /* Takes over `b` (released when sent). */
    rad_status (*send)(void *state, int to, rad_buf *b, rad_error *err);
    /* One message if there is one. */
    rad_status (*poll)(void *state, int *ret_from, rad_buf *ret, bool *ret_got, rad_error *err);
    rad_status (*broadcast)(void *state, rad_buf *b, rad_error *err);
    bool (*flush)(void *state, double seconds);
    void (*close)(void *state, bool abandon);
} rad_transport_ops;

/* Errors: COMM. */
rad_status rad_transport_open(rad_transport **ret, rad_error *err) RAD_MUST_CHECK;
/* One of another kind (`ops` NULL: local); takes over `state`, also on failure. Errors: NOMEM. */
rad_status rad_transport_create(const rad_transport_ops *ops, void *state, int rank, int size, int cores, rad_transport **ret,
                                rad_error *err) RAD_MUST_CHECK;
/* Collective, unless `abandon`: then nobody is waited for (a rank is lost or hangs). */
void rad_transport_close(rad_transport **t, bool abandon);
const char *rad_transport_name(const rad_transport *t);
int rad_transport_rank(const rad_transport *t);
int rad_transport_size(const rad_transport *t);
/* Cores that this rank may use for computing: those it is bound to, shared evenly among the ranks of this node that may use the same ones.
 * Rank 0 does not count where there are others, since it only coordinates. */
int rad_transport_cores(const rad_transport *t);
/* Ranks of this node that compute; at least 1. */
int rad_transport_mates(const rad_transport *t);

/* Starts to send one message; takes over `b` also on failure. Errors: COMM, LIMIT (above RAD_MAX_MESSAGE), NOMEM. */
rad_status rad_transport_send(rad_transport *t, int to, rad_buf *b, rad_error *err) RAD_MUST_CHECK;
/* A message if one is there: *ret_got, *ret_from and *ret (the caller releases it). Messages of one sender come in the order of sending. */
rad_status rad_transport_poll(rad_transport *t, int *ret_from, rad_buf *ret, bool *ret_got, rad_error *err) RAD_MUST_CHECK;
/* Collective: the bytes of rank 0 to all; elsewhere `b` is filled. */
rad_status rad_transport_broadcast(rad_transport *t, rad_buf *b, rad_error *err) RAD_MUST_CHECK;
/* Waits at most `seconds` until all that was sent has left; false when not. */
bool rad_transport_flush(rad_transport *t, double seconds);

/* True when the environment shows an MPI launcher (mpirun, mpiexec, srun with a process manager). */
bool rad_transport_has_launcher(void);
/* Sleeps that long. */
void rad_transport_nap(double seconds);

/* transport_mpi.c */
rad_status rad_transport_mpi_open(void **ret_state, int *ret_rank, int *ret_size, int *ret_cores, int *ret_mates,
                                  rad_error *err) RAD_MUST_CHECK;
extern const rad_transport_ops rad_transport_mpi_ops;
/* Cores of this process's affinity mask as bits; returns how many. Up to 64 * `n` cores. */
int rad_transport_affinity(uint64_t *mask, size_t n);

#endif

/* worker.h (private to src/farm): one rank's pipeline: lease -> loader threads (read, prepare) -> inference -> results.
 *
 * Memory: volumes of cases that are being read and samples that wait for inference are bounded together, before they are read, by the
 * bytes that a case will take (resources.h); beside them lie what is kept
 * for the next lesion of the same patient, and as many bytes in blocks for the next volumes.
 * Inference: two threads that take turns to hand batches to one engine, so that it always has the next (a device: one).
 * No MPI and no database in here: messages go in and out as bytes. All calls from one thread.
 */
#ifndef RAD_FARM_WORKER_H
#define RAD_FARM_WORKER_H

#include "radcohort/infer.h"
#include "radcohort/job.h"
#include "journal.h"
#include "ready.h"
#include "resources.h"
#include "wire.h"

/* Revision of what this program does to voxels and outputs beyond the declared rules. To be raised with every change that moves a score, so
 * that no stored result is taken for one of the new kind. */
#define RAD_RULES_REVISION 1
#define RAD_MAX_SHAPES 8 /* engines kept per model when the size of the samples depends on the image */

typedef struct rad_worker rad_worker;

typedef struct rad_worker_opts {
    const rad_job *job;                    /* one model per file (rad_files.job); outlives the worker */
    const char *backend, *backend_version; /* the version that the coordinator recorded; another one here is refused */
    const char *const *model_sha256, *const
                                         *graph_hash; /* [job->n_model], as the coordinator found them; the hashes of graphs outlive it */
    rad_ready *ready; /* [job->n_model] what the plan has opened and built is taken from here; NULL: nothing */
    rad_precision precision;
    const rad_known *known;            /* results that are stored and need not be computed, or NULL; outlives the worker */
    const rad_restart_cache *restarts; /* of large gzip files, or NULL; outlives the worker */
    rad_journal *journal;              /* keeps every result before it is handed out, or NULL; outlives the worker */
    const char *cam_dir;               /* folder of class activation maps; outlives the worker */
    int batch;                         /* >= 1 */
    rad_resources room;
} rad_worker_opts;

/* Opens the backend and starts the threads; models are opened, and the engines built whose sample shape the job decides, while cases are
 * already being read: what is wrong with one of them is a fault of the worker (rad_worker_fault): MODEL (another file than the
 * coordinator's, wrong number of outputs, what rad_engine_create says), DEVICE, NOMEM. On a device, whose plans may take minutes, this is
 * done before it returns. Errors: DEVICE, NOMEM; on a device those of models, too. */
rad_status rad_worker_create(const rad_worker_opts *o, rad_worker **ret, rad_error *err) RAD_MUST_CHECK;
/* Lets the cases in work come to their end, for at most `patience` seconds. Threads that work on (a read that hangs, say) are then left
 * behind together with what they use: the process is about to end. */
void rad_worker_destroy(rad_worker **w, double patience);

/* Cases it wants to hold: those at the network, a batch that is ready and one that the loaders are at. */
int64_t rad_worker_window(const rad_worker *w);
/* A LEASE message. Errors: COMM, NOMEM. */
rad_status rad_worker_submit(rad_worker *w, const void *data, size_t size, rad_error *err) RAD_MUST_CHECK;
/* Begins no further case and takes back those of which no sample has been given to a network, at most `max`. Cases that are being read are
 * among them once they have been: to be called again until nothing is held. */
int64_t rad_worker_drain(rad_worker *w, int64_t max, int64_t *ret_index);
/* A finished RESULT message, waiting for one at most `seconds`; false when there is none. */
bool rad_worker_take(rad_worker *w, double seconds, rad_buf *ret);
/* Cases submitted and neither taken nor drained. */
int64_t rad_worker_held(rad_worker *w);
/* RAD_OK, or what put the worker out of service (nothing more is begun then); the cases in work at that moment in ret_guilty. */
rad_status rad_worker_fault(rad_worker *w, int64_t max, int64_t *ret_guilty, int64_t *ret_n, rad_error *err);

/* No engine is built of this file before its first case: it is a further fold of the model before it, or stands for a mean of files. */
bool rad_worker_waits_for_case(const rad_job *job, int model);
/* Class activation maps of model `model`, of a graph built for it: there must be some, one per class, with rows and columns. Errors: MODEL.
 */
rad_status rad_worker_check_cam(const rad_job *job, int model, const rad_graph *g, rad_error *err) RAD_MUST_CHECK;
/* The check of class counts that the coordinator makes, too: `n_out` outputs per sample for this model. Errors: MODEL. */
rad_status rad_worker_check_outputs(const rad_job *job, int model, int64_t n_out, rad_error *err) RAD_MUST_CHECK;

#endif

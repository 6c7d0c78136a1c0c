/* worker_impl.h (private to worker*.c): the structs of the pipeline. */
#ifndef RAD_FARM_WORKER_IMPL_H
#define RAD_FARM_WORKER_IMPL_H

#include "radcohort/prepare.h"
#include "volumes.h"
#include "worker.h"

#include <pthread.h>

#define RAD_INFER_LANES 2  /* threads that hand batches to an engine: the next is there before the last one's slowest thread is done */
#define RAD_MAX_BUILDERS 8 /* each may hold a network's weights twice */

struct hold { /* one lease message; its cases borrow from it */
    rad_wire_arena arena;
    rad_wire_lease lease;
    int64_t refs; /* guarded by the worker's lock */
};

struct work;
struct batch;

struct work_input {
    rad_status status;
    const char *stage; /* "intake", "load", "prepare" */
    char *why;         /* owned, or NULL */
    rad_prepared prepared;
    rad_samples *samples; /* on the device, then prepared.data is NULL */
    size_t bytes;         /* of the samples */
    double mean, sd;      /* of their numbers; NaN: they are on the device */
    rad_site site;        /* when class activation maps are wanted */
    int users;            /* models that still need the samples */
};

struct work_model {
    struct work *work;
    struct work_model *next; /* in the model's line */
    int model;
    rad_status status;
    bool wanted;       /* the case is to be scored by this file, or by a mean that it is part of */
    bool stored;       /* the database has its result under `key`: nothing is computed */
    const char *stage; /* "infer" when inference failed; else that of the input */
    char *why;
    int64_t given, away; /* samples handed out; of these, not back */
    float *out;          /* [n_slice, n_out] */
    int64_t n_out;
    char key[RAD_SHA256_HEX];
    /* class activation maps (worker_cam.c) */
    bool cam;   /* wanted */
    float *map; /* [n_slice, n_map, n_position] */
    int n_map;  /* 1, or one per class while it is open which one is the predicted */
    int64_t n_position;
    rad_shape map_shape;
    char cam_key[RAD_SHA256_HEX];
    char *cam_file;
    rad_cam_slice *cam_slice;
};

struct work { /* one case */
    struct work *next;
    struct hold *hold;
    const rad_wire_case *c;
    int64_t n_record;
    rad_image_record *record;
    struct work_input *input; /* [job->n_input] */
    struct work_model *model; /* [job->n_model] */
    int models_left;
    size_t reserved; /* bytes of its volumes and samples, */
    bool passed;     /* while it is read */
    double arrived;  /* rad_clock_seconds when its lease came */
    double read_s, inflate_s, prepare_s, infer_s;
    int64_t read_bytes;
};

struct shape_engine {
    int64_t dim[RAD_SAMPLE_DIMS];
    rad_engine *engine;
    int64_t n_out;
    rad_cam *cam; /* NULL: no maps are wanted */
    rad_shape map_shape;
    int64_t n_tap; /* floats of one sample's tapped tensor */
    uint64_t used;
    int users; /* threads that are at it: not thrown out meanwhile; w->shapes */
};

struct model_line {
    rad_model *model;
    rad_graph *graph;            /* of the plan, until the first engine takes it; or NULL */
    char sha256[RAD_SHA256_HEX]; /* that the file must have */
    bool ready;                  /* opened, and built where that does not wait for a case; the worker's lock */
    uint64_t clock;              /* of engine use; one thread at a time */
    struct shape_engine shape[RAD_MAX_SHAPES];
    int n_shape;
    struct work_model *first, **end; /* stands in the line until all of its samples are back */
    int64_t n_ready;                 /* samples in the line not yet handed out */
};

struct message {
    struct message *next;
    rad_buf b;
};

struct rad_worker {
    const rad_job *job;
    const char *const *graph_hash;
    const rad_known *known;
    rad_journal *journal;
    const char *cam_dir;
    rad_precision precision;
    int batch, enough; /* samples: a call's at most; those that need not wait for more */
    rad_resources room;
    rad_backend *backend;
    bool on_device[RAD_MAX_INPUTS]; /* the backend makes the samples of this input */
    rad_volumes *volumes;
    struct model_line *line; /* [job->n_model] */

    pthread_mutex_t lock;
    pthread_cond_t to_load, to_infer, done;
    struct work *first, **end; /* leased, not begun */
    struct work *through;      /* scored, with class activation maps to be drawn: by a loader thread */
    struct work *back;         /* read while the worker was draining: to be given back */
    bool draining;
    struct message *out_first, **out_end;
    struct message *unconfirmed, **unconfirmed_end; /* worker_device.c */
    int64_t n_unconfirmed;
    int64_t held;
    size_t prepared_bytes;                 /* of samples in the lines */
    size_t reserved;                       /* by cases that are being read */
    int n_passed, n_gated;                 /* loader threads with a reservation; those that wait for one */
    int n_lane;                            /* inference threads so far */
    int n_slot;                            /* loader threads so far: their places in crash.h */
    int n_loading;                         /* loader threads at work on a case */
    int n_inferring;                       /* inference threads at work on a batch, */
    struct batch *flying[RAD_INFER_LANES]; /* which, */
    double inferred;                       /* and until when inference is booked */
    bool quit;
    rad_status fault;
    rad_error fault_error;
    int64_t guilty[RAD_MAX_LEASE_CASES], n_guilty;

    pthread_t loader[RAD_MAX_LOADERS], infer[RAD_INFER_LANES];
    int n_started, n_infer;
    pthread_mutex_t shapes; /* of engines, and the outputs of cases: found or made by one inference thread at a time */
    pthread_t builder[RAD_MAX_BUILDERS];
    int n_builder;
    int n_begun, n_building; /* models that somebody has taken to make ready; threads that are at one */
};

/* worker_load.c: reads and prepares one case; fills input, record, keys. Only worker- and run-scope failures are returned. */
rad_status rad_work_load(rad_worker *w, struct work *k, rad_error *err);
/* The file stands for the mean of the files before it (folds.h). */
static inline int rad_mean_of(const rad_worker *w, int file) {
    return w->job->model[file].folds;
}
/* The file is to be run on its samples. */
static inline bool rad_work_runs(const rad_worker *w, const struct work_model *m) {
    return m->wanted && m->status == RAD_OK && !m->stored && rad_mean_of(w, m->model) == 0;
}
/* worker_infer.c */
/* Takes the cases that no network has seen a sample of out of their lines, linked by `next`; at most `max`. Lock held. */
struct work *rad_worker_unline(rad_worker *w, int64_t max);
void *rad_worker_infer_main(void *worker);
/* worker_models.c */
/* Starts opening and building; `ready` of each line tells. On a device it is done on return. Errors: NOMEM; on a device also MODEL, DEVICE.
 */
rad_status rad_worker_start_models(rad_worker *w, rad_error *err);
/* The engine of `model` for samples of these dims, 0-terminated. For one thread per model at a time. */
rad_status rad_worker_engine(rad_worker *w, int model, const int64_t dim[RAD_SAMPLE_DIMS], struct shape_engine **ret, rad_error *err);
void rad_worker_release_engine(struct shape_engine *e);
/* worker_device.c */
/* As rad_prepare_case, on the device where the input is prepared there. */
rad_status rad_worker_prepare(rad_worker *w, int input, const rad_volume *const *volume, const rad_roi *roi, struct work_input *in,
                              rad_error *err);
void rad_worker_drop_samples(rad_worker *w, struct work_input *in);
/* A result; `computed`: by a network, now. Lock not held. */
void rad_worker_hand_out(rad_worker *w, struct message *m, bool computed);
/* Lock held. `idle`: nothing more to compute for the moment. */
bool rad_worker_should_confirm(const rad_worker *w, bool idle);
/* Results that waited for it are handed out. Lock not held. Errors: DEVICE (they stay). */
rad_status rad_worker_confirm(rad_worker *w, rad_error *err);
/* worker_result.c: the finished case as a RESULT message. */
rad_status rad_work_encode(const rad_worker *w, struct work *k, rad_buf *ret, rad_error *err);
rad_status rad_work_key(const rad_worker *w, const struct work *k, int model, const char *mask_content, const char *const *channel_content,
                        char ret[RAD_SHA256_HEX], rad_error *err);
/* worker.c */
/* Waits until the case's volumes and samples have room beside those of others. Called once, before the first of them is read; it is given
 * back when the case has been. Lock not held. */
void rad_worker_reserve(rad_worker *w, struct work *k, size_t bytes);
void rad_work_destroy(rad_worker *w, struct work *k); /* lock not held */
/* Puts the worker out of service; the first fault counts. `k` may be NULL. Lock not held. */
void rad_worker_fail(rad_worker *w, rad_status st, const rad_error *err, const struct work *const *k, int64_t n);
/* Encodes a case all of whose models are done, hands it out and destroys it. Lock not held. */
void rad_work_finish(rad_worker *w, struct work *k);

#endif

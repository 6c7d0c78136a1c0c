/* farm: coordinator and workers. The only module that knows MPI; without a launcher the same code runs in one process.
 */
#ifndef RADCOHORT_FARM_H
#define RADCOHORT_FARM_H

#include "radcohort/base.h"

#ifdef __cplusplus
extern "C" {
#endif

struct rad_night; /* nightly.h */

typedef struct rad_farm_opts {
    const char *job_path;
    const char *database;  /* NULL: the job's */
    const char *backend;   /* NULL: the job's */
    const char *precision; /* NULL: the job's */
    int batch;             /* 0: the job's */
    int threads;           /* per rank; 0: cores of the node / ranks of the node */
    bool allow_outside;
    bool quiet; /* no progress */
    const char *command_line;
    const char *status;     /* status file, JSON: state, exit_code, bad_hosts, ...; NULL: DATABASE.status.json */
    const char *prometheus; /* the same figures for Prometheus' textfile collector, or NULL */
    const char *scratch;    /* see rad_store_opts */
    unsigned file_mode;     /* of a new database; 0: 0600 */
    double case_deadline;   /* seconds after which a case counts as hung, plus one for each megabyte of its files; 0: 1800 */
    double silence;         /* seconds after which a rank that says nothing counts as lost; 0: RAD_SILENCE_SECONDS */
    const char *merge_dir;  /* results of shards to be taken in first, or NULL */
    bool merge_only;        /* and nothing is computed */
    const char *spool_dir;  /* a shard: no database, results into files of this folder; NULL: a run */
    int shard, n_shard;     /* 0 <= shard < n_shard */
    /* a night: rank 0 fills it (empty, outlives the call), and cases whose results are stored are not leased; NULL: none */
    struct rad_night *night;
    bool plan_only;       /* of a night: the plan and nothing else; nothing is written */
    const char *job_text; /* NULL, or the job itself: job_path then only says where its relative paths start */
    const char *cohort;   /* folder of the cohort; NULL: the job's */
} rad_farm_opts;

#define RAD_SILENCE_SECONDS 60.0
#define RAD_MIN_SILENCE 6.0 /* a rank that has nothing to say gives a sign of life every five seconds */
#define RAD_MAX_SHARDS 100000

typedef struct rad_farm_merge { /* what rad_farm_opts.merge_dir held */
    int64_t files, complete;    /* of this run; those whose shard came to its end */
    int64_t damaged, foreign;   /* cut off or no spool; of another run */
    int64_t records, cases;     /* results in them; cases that got theirs from them */
} rad_farm_merge;

#define RAD_FARM_REASONS 16
typedef struct rad_farm_reason {
    char reason[24]; /* rad_status_reason() */
    int64_t n;       /* cases with at least one model excluded for it, in this session */
} rad_farm_reason;

typedef struct rad_farm_outcome {
    int exit_code; /* RAD_EXIT_* on rank 0; on the others RAD_EXIT_OK: a launcher takes rank 0's word, and may kill who is late */
    bool is_root;  /* rank 0: the one that prints */
    int64_t run, n_case, n_scored, n_excluded, n_left; /* n_case = n_scored + n_excluded + n_left */
    int64_t n_no_case;                                 /* patients without a case */
    int64_t n_result, n_reused, n_case_reused;         /* as in rad_run_status */
    int64_t n_moved;                                   /* cases left because their files changed while the run went on */
    int64_t n_copy, n_leak;                            /* the same */
    int64_t n_recovered;                               /* cases that an interrupted session had computed, but not committed */
    rad_farm_merge merge;
    bool resumed, nothing_to_do;
    double seconds;
    /* this session: cases whose result came, why some were excluded, and where the time went, summed over ranks and threads */
    int64_t n_done;
    rad_farm_reason reason[RAD_FARM_REASONS];
    int n_reason;
    double read_s, inflate_s, prepare_s, wait_s, infer_s, map_s,
        write_s; /* map: drawing and writing them; write: rank 0 and the database */
    int64_t read_bytes;
    int n_rank, n_loader; /* ranks that came into service, and their threads that read and prepare, summed */
    char room[256];       /* threads and memory of the first rank in service, for people */
    char database[4096];
} rad_farm_outcome;

typedef enum rad_limit {
    RAD_LIMIT_READ,
    RAD_LIMIT_INFLATE,
    RAD_LIMIT_PREPARE,
    RAD_LIMIT_INFER,
    RAD_LIMIT_MAPS,
    RAD_LIMIT_DATABASE,
    RAD_LIMIT_WAIT,
    RAD_N_LIMIT
} rad_limit;
/* The resource that kept the session from being faster, and how busy each was, 0 to 1. WAIT: none was busy for half of the time. */
rad_limit rad_farm_limit(const rad_farm_outcome *o, double ret_busy[RAD_N_LIMIT]);
/* reading, inflating, preparing, inference, maps, database, waiting. */
const char *rad_limit_name(rad_limit l);

/* Collective over all ranks of the job (initialises MPI when a launcher is there). SIGINT/SIGTERM once: finish what is in flight, write,
 * RAD_EXIT_STOPPED; twice: leave at once (what was committed stays). */
/* A shard (spool_dir): cases of this part of the manifest into a file of the folder, by this process alone and without the database; what
 * the folder holds already is not computed again. n_case counts the shard's cases. Collective over nothing. */
rad_status rad_farm_run(const rad_farm_opts *opts, rad_farm_outcome *ret, rad_error *err) RAD_MUST_CHECK;

/* ---------------------------------------------------------------- what a run will take */

/* Scores `n_case` cases of the job, evenly chosen, on this machine and writes them to the file that the job's key `golden` names. Errors:
 * as rad_farm_run, CONFIG (no such key), IO. Not collective. */
rad_status rad_farm_make_golden(const rad_farm_opts *opts, int n_case, rad_error *err) RAD_MUST_CHECK;
/* True on rank 0, as far as the environment tells before rad_farm_run. */
bool rad_farm_is_root(void);

typedef struct rad_farm_estimate {
    int64_t n_case, n_left; /* cases; those that are still to be computed, by the database if there is one */
    double bytes;           /* of the files of the cases that are left, as they lie on disk */
    int n_probe;            /* cases that were computed here to find out */
    double seconds;         /* that one rank of this kind takes for a case; NaN: not known */
    char job[128], backend[256], database[4096];
} rad_farm_estimate;

/* Reads job, tables and models, looks at every file's size, and computes at most `n_probe` of the cases that are left (evenly chosen from
 * small to large; 0: none) on this machine, keeping nothing. Errors: as rad_farm_run. Not collective. */
rad_status rad_farm_estimate_run(const rad_farm_opts *opts, int n_probe, rad_farm_estimate *ret, rad_error *err) RAD_MUST_CHECK;

/* The bytes of the files of every case of the job that a network wants, as the scheduler costs them, manifest order: *ret [*ret_n] is the
 * caller's to free. Reads job, tables, models and the sizes of the files. Errors: as rad_farm_run. Not collective. */
rad_status rad_farm_case_bytes(const rad_farm_opts *opts, double **ret, int64_t *ret_n, rad_error *err) RAD_MUST_CHECK;

/* ---------------------------------------------------------------- what a run would be made of */

typedef struct rad_farm_file { /* of a model; strings live for the call */
    const char *model, *file, *path;
    int position; /* among the files of the job */
    char sha256[RAD_SHA256_HEX];
} rad_farm_file;
typedef struct rad_farm_parts {
    char backend_version[256], cohort_sha256[RAD_SHA256_HEX], job_sha256[RAD_SHA256_HEX];
    int64_t n_case;
} rad_farm_parts;
/* Reads job, tables and models and checks the models against the backend, as a run does before it begins; calls `file` (or not, NULL) for
 * each model file. Nothing is written. Errors: as rad_farm_run. Not collective. */
rad_status rad_farm_look(const rad_farm_opts *opts, rad_farm_parts *ret, int (*file)(const rad_farm_file *f, void *payload), void *payload,
                         rad_error *err) RAD_MUST_CHECK;

#ifdef __cplusplus
}
#endif
#endif

/* db.h (private to src/store): the open database, cached statements and transactions.
 *
 * Statements are named constants at the top of each file and are prepared once: the cache is keyed by the constant's address.
 * A write function either completes or rolls the open transaction back and marks the store as failed: what was not committed is
 * gone, and the run is taken up again from the last commit (promise 4).
 */
#ifndef RAD_STORE_DB_H
#define RAD_STORE_DB_H

#include "radcohort/store.h"

#include <sqlite3.h>

#define RAD_STORE_APPLICATION_ID 1380009027 /* 'RADC' */
#define RAD_STORE_SCHEMA_VERSION 1
/* Results are committed together: a commit costs several fsyncs (tens of milliseconds on a network file system), so a thousand of them
 * per second would not hold; losing a second of work is cheap. */
#define RAD_STORE_BATCH_CASES 5000
#define RAD_STORE_BATCH_SECONDS 1.0
#define RAD_STORE_BUSY_MS 60000 /* how long a read, or the begin of a transaction, waits for others */
#define RAD_STORE_TRY_MS 100    /* how long a commit waits for readers before it is put off */
#define RAD_STORE_MAX_STATEMENTS 224
/* A case that was on lease when the coordinator died is condemned only when nothing else can have been the reason: the session finished
 * nothing and held nothing but this case, this many times. It is then handed out as having no attempt left, which the scheduler
 * quarantines. A cluster that kills a job again and again condemns nobody. */
#define RAD_STORE_MAX_FRUITLESS 3
#define RAD_STORE_ATTEMPTS_SPENT 1000

/* A database on scratch is published that often, and never takes more than this share of the time. */
#define RAD_STORE_PUBLISH_SECONDS 30.0
#define RAD_STORE_PUBLISH_SHARE 20.0

struct rad_lock;

struct rad_store {
    sqlite3 *db;
    char *path;         /* as named by the user */
    char *file;         /* on scratch, where it is really built, or NULL */
    unsigned mode_bits; /* of the published file */
    bool behind;        /* something was committed to scratch since the last publication */
    double published, publish_cost;
    rad_store_mode mode;
    struct rad_lock *lock; /* writer only */
    struct {
        const char *sql;
        sqlite3_stmt *stmt;
    } cache[RAD_STORE_MAX_STATEMENTS];
    int n_cache;
    bool failed;         /* a write failed and was rolled back: no further writes through this handle */
    bool held;           /* a commit was put off, or a call failed, because another program holds the file */
    int64_t batch_cases; /* in the open transaction */
    double batch_since;
    /* the run that this handle began (0 = none): ids of the cohort's and the job's positions */
    int64_t run;
    int64_t n_image, *image_id;
    int n_model, n_file, n_class;
    int64_t *run_model_id;  /* [n_model] */
    int64_t *file_model_id; /* [n_file] */
};

/* ---- statements */

/* A statement being bound and stepped. Binding errors stick and come out of rad_query_row/exec. */
typedef struct rad_query {
    struct rad_store *store;
    sqlite3_stmt *stmt;
    const char *sql;
    int next;
    int rc;
} rad_query;

/* `sql` must be a constant: its address is the key. Not for nested use of one constant. */
rad_query rad_query_start(struct rad_store *st, const char *sql);
void rad_bind_int(rad_query *q, int64_t v);
void rad_bind_index(rad_query *q, int64_t v);       /* negative = NULL */
void rad_bind_text(rad_query *q, const char *v);    /* NULL = NULL; must live until the query ends */
void rad_bind_blob(rad_query *q, const rad_buf *v); /* must live until the query ends */
void rad_bind_real(rad_query *q, double v);         /* NaN = NULL */
void rad_bind_null(rad_query *q);
/* Steps once; *ret_row false (and the statement reset) at the end. */
rad_status rad_query_row(rad_query *q, bool *ret_row, rad_error *err) RAD_MUST_CHECK;
/* Runs a statement that returns no row (a single row is passed over). */
rad_status rad_query_exec(rad_query *q, rad_error *err) RAD_MUST_CHECK;
/* Runs a statement that must return a row with an integer first column. */
rad_status rad_query_int(rad_query *q, int64_t *ret, rad_error *err) RAD_MUST_CHECK;
/* Ends early. */
void rad_query_end(rad_query *q);
/* NaN for NULL. */
double rad_column_real(rad_query *q, int i);
/* -1 for NULL. */
int64_t rad_column_index(rad_query *q, int i);
/* Borrowed until the next step; NULL for NULL. */
const char *rad_column_text(rad_query *q, int i);

/* ---- transactions */

/* Opens a write transaction when none is open. Errors: STORE (also: opened for reading, failed before). */
rad_status rad_tx_begin(struct rad_store *st, rad_error *err) RAD_MUST_CHECK;
rad_status rad_tx_commit(struct rad_store *st, rad_error *err) RAD_MUST_CHECK;
/* Commits, or puts it off (RAD_OK, st->held) when readers are in the way: SQLite keeps the transaction open, and more may be written to it.
 * While one is put off only `again` tries. */
rad_status rad_tx_offer(struct rad_store *st, bool again, rad_error *err) RAD_MUST_CHECK;
/* Ends a write function: on failure `status` is kept, the transaction rolled back, the store marked failed. */
rad_status rad_tx_end(struct rad_store *st, rad_status status);

/* The one place where SQLite's codes become ours: RAD_E_NOMEM or RAD_E_STORE with the cause and the way out. */
rad_status rad_sql_fail(struct rad_store *st, int rc, const char *doing, rad_error *err);
/* Several statements without results. */
rad_status rad_sql_script(struct rad_store *st, const char *sql, const char *doing, rad_error *err) RAD_MUST_CHECK;

/* ---- writer lock: PATH.lock, held by the process, gone with it */

/* Errors: STORE naming the holder. */
rad_status rad_lock_take(const char *path, struct rad_lock **ret, rad_error *err) RAD_MUST_CHECK;
void rad_lock_release(struct rad_lock **lock);
/* True when another process holds it. */
bool rad_lock_is_held(const char *path);

/* ---- scratch.c: see rad_store_opts */

/* Makes st->file, a copy of st->path when that is there. Errors: STORE, USAGE, NOMEM. */
rad_status rad_scratch_begin(struct rad_store *st, const char *folder, unsigned mode, rad_error *err) RAD_MUST_CHECK;
/* Publishes what is not, and removes st->file; when that fails it stays as FILE.unpublished. Before the database is closed. */
void rad_scratch_end(struct rad_store *st);
/* Copies what is committed over st->path; nothing without scratch, or while a transaction is open. Errors: STORE. */
rad_status rad_scratch_publish(struct rad_store *st, rad_error *err) RAD_MUST_CHECK;
/* The same when something is new and it is time. */
rad_status rad_scratch_publish_due(struct rad_store *st, rad_error *err) RAD_MUST_CHECK;

/* ---- parts of rad_store_begin_run and rad_store_finish_run, in files of their own */

typedef struct rad_row_ids { /* database ids by position in the cohort's arrays */
    int64_t *center, *patient, *lesion, *image;
} rad_row_ids;
rad_status rad_rows_upsert_cohort(struct rad_store *st, const rad_cohort *c, rad_row_ids *ret, rad_error *err) RAD_MUST_CHECK;
void rad_row_ids_release(rad_row_ids *ids);
/* New run with its models, classes, points, patients, manifest, intake exclusions and unused images; *ret_run. */
rad_status rad_rows_insert_run(struct rad_store *st, const rad_run_info *info, const char *identity, const rad_row_ids *ids,
                               int64_t *ret_run, rad_error *err) RAD_MUST_CHECK;
/* After the result itself. Errors: STORE (said to be stored, but not there). */
rad_status rad_store_put_cam(struct rad_store *st, int64_t case_id, int64_t run_model, const rad_cam_result *c,
                             rad_error *err) RAD_MUST_CHECK;
rad_status rad_finish_aggregate(struct rad_store *st, int64_t run, rad_error *err) RAD_MUST_CHECK;
rad_status rad_finish_check(struct rad_store *st, int64_t run, rad_error *err) RAD_MUST_CHECK;
rad_status rad_finish_statistics(struct rad_store *st, int64_t run, rad_error *err) RAD_MUST_CHECK;

#endif

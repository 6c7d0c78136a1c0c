/* spool.h (private to src/farm): results as files. A spool is written by one process, record by record, and read by whoever gathers: a rank
 * keeps what it has computed there until the coordinator has committed it, and a shard that runs without a coordinator leaves all of its
 * results there (shard.c).
 *
 * A file describes itself: a header says of which run the results are and what their case numbers mean; each record carries its length and
 * a checksum. What was cut off by a crash is told and left out; nothing behind a damaged record is believed. The order of files and records
 * does not matter, and reading one twice changes nothing.
 *
 *   "RADSPL1\n"  length (8 bytes, little-endian)  header text  XXH3-128 of it (32 hex digits)
 *   then records: "REC1"  length (8 bytes)  XXH3-128 of the payload (32 hex digits)  payload (a RESULT message of wire.h)
 *   then, when all of a shard is done: "END1"  number of records (8 bytes)
 *
 * Files are made with mode 0600, folders with 0700: scores of patients. Names hold no identifier.
 */
#ifndef RAD_FARM_SPOOL_H
#define RAD_FARM_SPOOL_H

#include "wire.h"

#define RAD_MAX_SPOOL_HEAD 4096
#define RAD_MAX_SPOOL_FILE ((size_t)1 << 40)
#define RAD_SPOOL_SUFFIX ".rfs"
/* What the case numbers of a spool are: positions in the manifest. Any other space is a tag of crash.h: numbers of one database and run. */
#define RAD_SPOOL_POSITIONS "positions"

typedef struct rad_spool_head {
    char identity[RAD_SHA256_HEX]; /* of the run: rad_store_identify */
    char space[96];
    char host[256], device[512];
    int64_t rank; /* or number of the shard */
} rad_spool_head;

typedef struct rad_spool rad_spool;

/* Makes `dir` and a new file "NAME-<random>.rfs" in it. Errors: IO. */
rad_status rad_spool_create(const char *dir, const char *name, const rad_spool_head *head, rad_spool **ret, rad_error *err) RAD_MUST_CHECK;
/* Appends one record. After a failure the file ends with the record before, and further calls fail, too. Errors: IO (full disk, say). */
rad_status rad_spool_put(rad_spool *s, const void *message, size_t size, rad_error *err) RAD_MUST_CHECK;
/* All that was put reaches the disk. Errors: IO. */
rad_status rad_spool_sync(rad_spool *s, rad_error *err) RAD_MUST_CHECK;
/* Says that this is all, and syncs. Errors: IO. */
rad_status rad_spool_finish(rad_spool *s, rad_error *err) RAD_MUST_CHECK;
/* Forgets all records. Errors: IO. */
rad_status rad_spool_clear(rad_spool *s, rad_error *err) RAD_MUST_CHECK;
/* Bytes of records in the file. */
size_t rad_spool_size(const rad_spool *s);
/* `remove`: the file goes, too. */
void rad_spool_close(rad_spool **s, bool remove);

typedef struct rad_spool_report {
    int64_t files;    /* of this run */
    int64_t complete; /* among them: end with an END */
    int64_t foreign;  /* files of another run, or of another database */
    int64_t damaged;  /* files that end in something that is no record, or are no spool */
    int64_t records;
    char example[160]; /* what is wrong with the first damaged one */
} rad_spool_report;

/* Calls `take` for every sound record of all files in `dir` of run `identity` whose space is `space` (NULL: any), files in order of their
 * names. A missing folder holds none. Errors: IO (the folder), NOMEM, and what `take` returns, which ends it. */
typedef rad_status (*rad_spool_take)(void *state, const rad_spool_head *head, const void *message, size_t size, rad_error *err);
rad_status rad_spool_read(const char *dir, const char *identity, const char *space, rad_spool_take take, void *state, rad_spool_report *ret,
                          rad_error *err) RAD_MUST_CHECK;
/* Removes the files of `dir` that belong to run `identity` (NULL: all spool files), and the folder when it is empty then. */
void rad_spool_remove(const char *dir, const char *identity);

#endif

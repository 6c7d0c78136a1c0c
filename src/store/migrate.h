/* migrate.h (private to src/store): how a file gets today's schema. A new file is made by schemas/schema.sql as it is; an older one goes
 * through schemas/migrations/NNN.sql, each from version NNN - 1 to NNN, all in one transaction after a copy was put beside it. */
#ifndef RAD_STORE_MIGRATE_H
#define RAD_STORE_MIGRATE_H

#include "db.h"

typedef struct rad_migration {
    int64_t version;         /* that a file has afterwards */
    const char *schema;      /* makes a new file */
    const char *dictionary;  /* fills data_dictionary, of a new file and again of a migrated one */
    const char *const *step; /* [version - 1]: step[i] brings version i + 1 to i + 2 */
} rad_migration;

/* Today's. */
const rad_migration *rad_migration_current(void);
/* `from`: the file's version, 0: it is new. Nothing is done when it is m->version. The copy is PATH.vN.backup, with the file's permissions;
 * an earlier copy of that name is replaced. On failure the file is as it was. Errors: STORE. */
rad_status rad_migrate(struct rad_store *st, const rad_migration *m, int64_t from, rad_error *err) RAD_MUST_CHECK;

#endif

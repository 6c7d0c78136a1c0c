/* entry: the loadable extension. The file is radstats.so, so SQLite looks for sqlite3_radstats_init. */
#include <sqlite3ext.h>
SQLITE_EXTENSION_INIT1

#include "radcohort/sqlext.h"

__attribute__((visibility("default"))) int sqlite3_radstats_init(sqlite3 *db, char **ret_text, const sqlite3_api_routines *api);

int sqlite3_radstats_init(sqlite3 *db, char **ret_text, const sqlite3_api_routines *api) {
    SQLITE_EXTENSION_INIT2(api);
    rad_error err = {0};
    if (rad_sqlext_register(db, &err) != RAD_OK) {
        *ret_text = sqlite3_mprintf("radstats: %s", err.text);
        return SQLITE_ERROR;
    }
    return SQLITE_OK;
}

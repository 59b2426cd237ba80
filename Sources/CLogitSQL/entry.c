#include "logitsql.h"

SQLITE_EXTENSION_INIT1

int logitsql_auto_init(sqlite3 *db, char **message, const sqlite3_api_routines *api) {
    SQLITE_EXTENSION_INIT2(api);
    const int status = logitsql_register(db);
    if (status != SQLITE_OK && message) *message = sqlite3_mprintf("logitsql cannot be added: %s", sqlite3_errmsg(db));
    return status;
}

int sqlite3_logitsql_init(sqlite3 *db, char **message, const sqlite3_api_routines *api) {
    const int status = logitsql_auto_init(db, message, api);
    if (status == SQLITE_OK) logitsql_shadow(db);
    return status;
}

/* SQLite as a loaded extension sees it: every call goes through the table of functions that the host hands over, so nothing
 * here links a library of SQLite. Swift cannot import the header's macros: one function each. */
#pragma once
#include <sqlite3ext.h>
#include <stdint.h>

SQLITE_EXTENSION_INIT3

/* The entry point for hosts that load the library. */
int sqlite3_logitsql_init(sqlite3 *db, char **message, const sqlite3_api_routines *api);
/* The same for sqlite3_auto_extension: nothing is read of a database that is only being opened. */
int logitsql_auto_init(sqlite3 *db, char **message, const sqlite3_api_routines *api);

/* In Swift: adds functions and tables to a connection; lets `snapshots()` be called where a view has that name. */
int logitsql_register(sqlite3 *db);
void logitsql_shadow(sqlite3 *db);

/* What functions of z may ask of the rows that a scan has before it: vectors that lie one behind the other, and what the
 * scan's threads have computed of each of them. */
enum { LS_KNOWN = 6 };

typedef struct ls_block {
    const uint8_t *first, *end;
    int64_t row_bytes;
    /* Whether they stay where they are as long as the connection is open. */
    int is_mapped;
    const double *known[LS_KNOWN];
    int64_t calls[LS_KNOWN];
    const void *owner;
} ls_block;

/* A cursor of the table `logits`. */
typedef struct ls_cursor {
    sqlite3_vtab_cursor base;
    struct ls_cursor *next;
    /* Of the block: the row before the cursor and the end. */
    int64_t row, end;
    ls_block block;
    void *object;
} ls_cursor;

/* What all functions of one connection share. */
typedef struct ls_session {
    ls_cursor *cursors;
    void *object;
} ls_session;

/* A virtual table. */
typedef struct ls_table {
    sqlite3_vtab base;
    void *object;
} ls_table;

/* The cursor whose block holds a vector of so many bytes there; its row through `row`. */
static inline ls_cursor *ls_find(const ls_session *session, const void *vector, int64_t bytes, int64_t *row) {
    const uint8_t *place = (const uint8_t *)vector;
    for (ls_cursor *cursor = session->cursors; cursor; cursor = cursor->next) {
        const ls_block *block = &cursor->block;
        if (place < block->first || place >= block->end || bytes != block->row_bytes) continue;
        const int64_t offset = place - block->first;
        if (place == block->first + cursor->row * bytes) {
            *row = cursor->row;
            return cursor;
        }
        if (offset % bytes == 0) {
            *row = offset / bytes;
            return cursor;
        }
    }
    return 0;
}

/* Counts that function `which` is asked of a vector; whether its value is known already, and then the value. */
static inline int ls_known(const ls_session *session, const void *vector, int64_t bytes, int which, double *value) {
    int64_t row;
    ls_cursor *cursor = ls_find(session, vector, bytes, &row);
    if (!cursor) return 0;
    cursor->block.calls[which]++;
    if (!cursor->block.known[which]) return 0;
    *value = cursor->block.known[which][row];
    /* Rows that the scan passes over have none, and nor have those whose value is no number. */
    return *value == *value;
}

static inline void ls_enter(ls_session *session, ls_cursor *cursor) {
    cursor->next = session->cursors;
    session->cursors = cursor;
}
static inline void ls_leave(ls_session *session, ls_cursor *cursor) {
    ls_cursor **link = &session->cursors;
    while (*link && *link != cursor) link = &(*link)->next;
    if (*link) *link = cursor->next;
}
static inline int64_t ls_calls(const ls_cursor *cursor, int which) { return cursor->block.calls[which]; }
static inline void ls_set_known(ls_cursor *cursor, int which, const double *values) {
    cursor->block.known[which] = values;
}

static inline const uint8_t *ls_row(const ls_cursor *cursor) {
    return cursor->block.first + cursor->row * cursor->block.row_bytes;
}

static inline int ls_create_function(
    sqlite3 *db, const char *name, int count, int flags, void *data, void (*function)(sqlite3_context *, int, sqlite3_value **),
    void (*step)(sqlite3_context *, int, sqlite3_value **), void (*final)(sqlite3_context *), void (*destroy)(void *)) {
    return sqlite3_create_function_v2(db, name, count, flags | SQLITE_UTF8, data, function, step, final, destroy);
}
static inline int ls_create_module(
    sqlite3 *db, const char *name, const sqlite3_module *module, void *data, void (*destroy)(void *)) {
    return sqlite3_create_module_v2(db, name, module, data, destroy);
}
static inline int ls_declare(sqlite3 *db, const char *sql) { return sqlite3_declare_vtab(db, sql); }
static inline int ls_innocuous(sqlite3 *db) {
    return sqlite3_libversion_number() < 3031000 ? SQLITE_OK : sqlite3_vtab_config(db, SQLITE_VTAB_INNOCUOUS);
}
/* The collation of an offered constraint; null where the host does not tell. */
static inline const char *ls_collation(sqlite3_index_info *info, int place) {
    return sqlite3_libversion_number() < 3022000 ? 0 : sqlite3_vtab_collation(info, place);
}
static inline char *ls_text(const char *text) { return sqlite3_mprintf("%s", text); }
static inline void ls_free(void *memory) { sqlite3_free(memory); }
static inline const char *ls_file(sqlite3 *db) { return sqlite3_db_filename(db, "main"); }
static inline const char *ls_message(sqlite3 *db) { return sqlite3_errmsg(db); }

static inline int ls_prepare(sqlite3 *db, const char *sql, sqlite3_stmt **statement) {
    return sqlite3_prepare_v3(db, sql, -1, SQLITE_PREPARE_PERSISTENT, statement, 0);
}
static inline int ls_exec(sqlite3 *db, const char *sql) { return sqlite3_exec(db, sql, 0, 0, 0); }
static inline int ls_step(sqlite3_stmt *s) { return sqlite3_step(s); }
static inline int ls_reset(sqlite3_stmt *s) { return sqlite3_reset(s); }
static inline int ls_finalize(sqlite3_stmt *s) { return sqlite3_finalize(s); }
static inline int ls_bind_value(sqlite3_stmt *s, int place, const sqlite3_value *v) { return sqlite3_bind_value(s, place, v); }
static inline int ls_bind_text(sqlite3_stmt *s, int place, const char *text) {
    return sqlite3_bind_text(s, place, text, -1, SQLITE_TRANSIENT);
}
static inline int ls_column_type(sqlite3_stmt *s, int column) { return sqlite3_column_type(s, column); }
static inline int64_t ls_column_int(sqlite3_stmt *s, int column) { return sqlite3_column_int64(s, column); }
static inline const unsigned char *ls_column_text(sqlite3_stmt *s, int column) { return sqlite3_column_text(s, column); }
static inline sqlite3_value *ls_column_value(sqlite3_stmt *s, int column) { return sqlite3_column_value(s, column); }

static inline void *ls_user_data(sqlite3_context *c) { return sqlite3_user_data(c); }
static inline void *ls_aggregate(sqlite3_context *c, int bytes) { return sqlite3_aggregate_context(c, bytes); }
static inline int ls_type(sqlite3_value *v) { return sqlite3_value_type(v); }
static inline int ls_numeric_type(sqlite3_value *v) { return sqlite3_value_numeric_type(v); }
static inline int64_t ls_int(sqlite3_value *v) { return sqlite3_value_int64(v); }
static inline double ls_double(sqlite3_value *v) { return sqlite3_value_double(v); }
static inline const void *ls_blob(sqlite3_value *v) { return sqlite3_value_blob(v); }
static inline const unsigned char *ls_value_text(sqlite3_value *v) { return sqlite3_value_text(v); }
static inline int ls_bytes(sqlite3_value *v) { return sqlite3_value_bytes(v); }

static inline void ls_result_null(sqlite3_context *c) { sqlite3_result_null(c); }
static inline void ls_result_int(sqlite3_context *c, int64_t v) { sqlite3_result_int64(c, v); }
static inline void ls_result_double(sqlite3_context *c, double v) { sqlite3_result_double(c, v); }
static inline void ls_result_text(sqlite3_context *c, const char *text, int64_t bytes) {
    sqlite3_result_text64(c, text, (sqlite3_uint64)bytes, SQLITE_TRANSIENT, SQLITE_UTF8);
}
/* Text that stays where it is as long as the connection is open. */
static inline void ls_result_constant(sqlite3_context *c, const char *text) {
    sqlite3_result_text(c, text, -1, SQLITE_STATIC);
}
/* Text that SQLite's JSON functions take as JSON. */
static inline void ls_result_json(sqlite3_context *c, const char *text, int64_t bytes) {
    ls_result_text(c, text, bytes);
    sqlite3_result_subtype(c, 'J');
}
/* Bytes that SQLite copies. */
static inline void ls_result_copy(sqlite3_context *c, const void *bytes, int64_t count) {
    sqlite3_result_blob64(c, bytes, (sqlite3_uint64)count, SQLITE_TRANSIENT);
}
/* Bytes that stay where they are: for ever, or until SQLite gives them back. */
static inline void ls_result_bytes(sqlite3_context *c, const void *bytes, int64_t count, void (*release)(void *)) {
    sqlite3_result_blob64(c, bytes, (sqlite3_uint64)count, release ? release : SQLITE_STATIC);
}
static inline void ls_result_value(sqlite3_context *c, sqlite3_value *v) { sqlite3_result_value(c, v); }
static inline void ls_result_error(sqlite3_context *c, const char *text) { sqlite3_result_error(c, text, -1); }

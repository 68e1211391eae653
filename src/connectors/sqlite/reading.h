/* One statement of the source, and its rows as messages. Private to the source. */
#ifndef DF_CONNECTORS_SQLITE_READING_H
#define DF_CONNECTORS_SQLITE_READING_H

#include "connectors/sqlite/db.h"
#include "table/cursor.h"

/* A column of the result. */
struct df_sqlite_field {
	char *name;
	enum df_sqlite_kind kind;
	struct df_str key; /* the name in the arena of the batch that is being filled */
};

#define DF_SQLITE_NO_FIELD -1

struct df_sqlite_reading {
	sqlite3_stmt *stmt;
	const char *table; /* metadata `table`; NULL: none */
	struct df_sqlite_field *fields;
	int count;
	int t, t_fallback, k;	    /* fields of the cursor, or DF_SQLITE_NO_FIELD */
	int created_at, updated_at; /* likewise, for metadata `operation` */
};

/* Prepares a SELECT and looks at its columns. DF_ERR_CONFIG: it writes, has parameters, or two columns have one name.
 */
int df_sqlite_reading_open(struct df_sqlite_reading *r, struct df_sqlite *db, struct df_str sql,
			   struct df_error *err) df_must_check;
void df_sqlite_reading_done(struct df_sqlite_reading *r);

/* The field of that name, or DF_SQLITE_NO_FIELD. */
int df_sqlite_reading_find(const struct df_sqlite_reading *r, const char *name);

/* The values that the cursor looks at, of the current row. */
struct df_sqlite_row_key {
	struct df_cursor_value t, k; /* good until the next step */
	char t_digits[DF_NUMBER_MAX], k_digits[DF_NUMBER_MAX];
};
/* DF_ERR_UNKNOWN: a text that is no UTF-8 cannot be a position. */
int df_sqlite_row_key(const struct df_sqlite_reading *r, struct df_sqlite_row_key *ret,
		      struct df_error *err) df_must_check;

/* Binds what df_cursor_select asked for. */
int df_sqlite_bind_cursor(struct df_sqlite_reading *r, const struct df_cursor_params *params,
			  struct df_error *err) df_must_check;

/* A new batch is filled: its messages share the keys. */
int df_sqlite_reading_begin(struct df_sqlite_reading *r, struct df_arena *arena) df_must_check;

/* The current row as a document, with metadata. Adds its size to *bytes. DF_ERR_NO_MEMORY. */
int df_sqlite_row_message(const struct df_sqlite_reading *r, struct df_message *m, struct df_arena *arena,
			  size_t *bytes) df_must_check;

#endif

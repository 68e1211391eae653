/* Names in SQL text: quoting, `schema.table`, lists of key columns. A name from outside never enters SQL unquoted. */
#ifndef DF_TABLE_IDENTIFIER_H
#define DF_TABLE_IDENTIFIER_H

#include "base/cleanup.h"
#include "base/error.h"
#include "base/str.h"
#include "spec/field.h"

#pragma GCC visibility push(default) /* an installed header: src/dataflow/meson.build */

enum df_quote {
	DF_QUOTE_DOUBLE,   /* "a""b": standard SQL; PostgreSQL, SQLite, Trino */
	DF_QUOTE_BACKTICK, /* `a\`b`, with backslash escapes: ClickHouse */
};

/* Can it be a name at all? Not empty, valid UTF-8, no NUL. DF_ERR_INVALID_DATA says which; `what` begins the text
 * ("column name"). */
int df_name_check(struct df_str name, const char *what, struct df_error *err) df_must_check;

/* Can a column of a result be a member of a document? A database may hold a name in any encoding, a key is UTF-8.
 * DF_ERR_CONFIG says what to do. */
int df_name_check_key(struct df_str name, struct df_error *err) df_must_check;

/* Appends the quoted name. The name must have passed df_name_check. */
void df_name_quote(struct df_buf *sql, enum df_quote quote, struct df_str name);

/* Appends `"qualifier"."name"`; without the qualifier when it is empty. */
void df_name_quote_in(struct df_buf *sql, enum df_quote quote, struct df_str qualifier, struct df_str name);

/* A table as the manifest names it, taken apart. Heap texts; zero-initialised is valid and empty. */
struct df_table_name {
	char *qualifier; /* schema (PostgreSQL) or database (ClickHouse); NULL: not written */
	char *name;
};

/*
 * Splits `name` or `qualifier.name` at its one dot. A part in double quotes (`"my.schema".t`) is taken literally, with
 * "" for a quote in it; case is kept in both forms. DF_ERR_CONFIG for an empty part or more dots; DF_ERR_NO_MEMORY.
 */
int df_table_name_split(struct df_str text, struct df_table_name *ret, struct df_error *err) df_must_check;
void df_table_name_done(struct df_table_name *name);

/* Appends it quoted. */
void df_table_name_quote(struct df_buf *sql, enum df_quote quote, const struct df_table_name *name);

/*
 * `a, b` as its parts, blanks around them trimmed (conflictKey). An empty or NULL text gives an empty list.
 * DF_ERR_CONFIG for an empty part or one that stands twice; DF_ERR_NO_MEMORY. The caller gives the list to
 * df_names_done.
 */
int df_names_parse(const char *text, struct df_strings *ret, struct df_error *err) df_must_check;
/* Appends a copy; DF_ERR_NO_MEMORY. */
int df_names_add(struct df_strings *names, struct df_str name) df_must_check;
void df_names_done(struct df_strings *names);

/* Appends the names quoted, with ", " between them. */
void df_names_quote(struct df_buf *sql, enum df_quote quote, const struct df_strings *names);

#pragma GCC visibility pop

#endif

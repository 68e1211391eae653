/* A document value as the SQL literal of a column's type (connectors reference, sections 4 and 8). */
#ifndef DF_CONNECTORS_TRINO_LITERAL_H
#define DF_CONNECTORS_TRINO_LITERAL_H

#include "connectors/trino/types.h"

/*
 * Appends the literal. Nothing is rounded or guessed, and text reaches SQL only escaped. v may be decoded in place.
 * DF_ERR_INVALID_DATA completes "column "c": ..." and never contains the value; the buffer then ends with a part of the
 * literal, which the caller cuts off. DF_ERR_NO_MEMORY.
 */
int df_trino_literal(const struct df_trino_type *type, struct df_value *v, struct df_arena *arena, struct df_buf *sql,
		     struct df_error *err) df_must_check;

/* Appends text as a string literal: quotes doubled, control characters as escapes. UTF-8. */
void df_trino_quote_text(struct df_buf *sql, struct df_str text);

/* Can values of this type be written at all? DF_ERR_CONFIG that names the type. */
int df_trino_writable(const struct df_trino_type *type, struct df_error *err) df_must_check;

#endif

/*
 * A document value as text that Trino casts to a column's type (connectors reference, sections 4 and 8). Nothing is
 * rounded or guessed: what the type does not hold exactly is refused here, before it is sent.
 */
#ifndef DF_CONNECTORS_TRINO_TEXT_H
#define DF_CONNECTORS_TRINO_TEXT_H

#include "connectors/trino/types.h"

/* Appends a scalar's text. DF_ERR_INVALID_DATA completes "column "c": ..." and never contains the value;
 * DF_ERR_NO_MEMORY. v may be decoded in place. */
int df_trino_scalar(const struct df_trino_type *type, struct df_value *v, struct df_arena *arena, struct df_buf *out,
		    struct df_error *err) df_must_check;

/* The function that makes a value of the type out of its text, where a cast does not; NULL: a cast does. */
const char *df_trino_function(const struct df_trino_type *type);

/* Appends a scalar as a typed literal. Errors as above, also for a container. */
int df_trino_literal(const struct df_trino_type *type, struct df_value *v, struct df_arena *arena, struct df_buf *sql,
		     struct df_error *err) df_must_check;

/* Appends text as a string literal: quotes doubled, control characters as escapes. UTF-8. */
void df_trino_quote_text(struct df_buf *sql, struct df_str text);

/* Can values of this type be written at all? DF_ERR_CONFIG that names the type. */
int df_trino_writable(const struct df_trino_type *type, struct df_error *err) df_must_check;

#endif

/* Values as JSON that the server casts to their types: how rows travel. */
#ifndef DF_CONNECTORS_TRINO_CELL_H
#define DF_CONNECTORS_TRINO_CELL_H

#include "connectors/trino/types.h"

/*
 * Appends the value as JSON of the type's *shape*: the type with every scalar replaced by its text (varchar). A scalar
 * is a JSON string, arrays are arrays, maps objects, rows arrays of their fields, null is null. v may be decoded in
 * place. DF_ERR_INVALID_DATA completes "column "c": ..." and never contains the value; the buffer then ends with a part
 * of it, which the caller cuts off. DF_ERR_NO_MEMORY.
 */
int df_trino_cell(const struct df_trino_type *type, struct df_value *v, struct df_arena *arena, struct df_buf *json,
		  struct df_error *err) df_must_check;

/* Appends the shape as SQL: `varchar`, `array(varchar)`, `row("a" varchar)`. */
void df_trino_shape(const struct df_trino_type *type, struct df_buf *sql);

/* Appends the expression that makes a value of the type out of `expression`, which has its shape. */
void df_trino_from_shape(const struct df_trino_type *type, struct df_str expression, struct df_buf *sql);

#endif

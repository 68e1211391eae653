/*
 * Raw mode: the whole message in the columns `data` and `_metadata`, or `data` and one column a metadata key
 * (connectors reference, section 4).
 *
 * A message becomes an object with those members, and from there on it is a row like any other (table/rows.h): `data`
 * is a string that holds exactly what is to be stored, with logical type JSON when that is JSON text.
 */
#ifndef DF_TABLE_RAW_H
#define DF_TABLE_RAW_H

#include "message/message.h"
#include "table/columns.h"

#pragma GCC visibility push(default) /* an installed header: src/dataflow/meson.build */

struct df_raw;

/* What the column `data` takes. */
enum df_raw_data {
	DF_RAW_JSON, /* only JSON: a text becomes a JSON string */
	DF_RAW_TEXT, /* any text */
};

/* flatten: a column per metadata key, named prefix + key (prefix NULL is ""). NULL when out of memory. One thread at a
 * time. */
struct df_raw *df_raw_new(enum df_raw_data data, bool flatten, const char *prefix);
void df_raw_free(struct df_raw *raw);
DF_DEFINE_CLEANUP(struct df_raw *, df_raw_free)

/*
 * The row of a message, in the arena. A wrapped body {value[, _metadata]} is taken apart. Bytes that are no UTF-8
 * become base64, and metadata `data_encoding` says so. Column names live as long as raw. DF_ERR_INVALID_DATA (a payload
 * too deep to tell), DF_ERR_NO_MEMORY.
 */
int df_raw_row(struct df_raw *raw, struct df_message *m, struct df_arena *arena, struct df_value **ret,
	       struct df_error *err) df_must_check;

/*
 * The type of a flattened metadata column, from what the first batch showed: BOOL, INT32, INT64, FLOAT64, TIMESTAMPTZ
 * or TEXT (objects as JSON text). `offset`, `id` and every integer but `partition` are INT64 at once, `timestamp` is
 * TIMESTAMPTZ. column is one of an inference over rows of df_raw_row.
 */
enum df_class df_raw_class(const struct df_raw *raw, const struct df_inferred *column);

#pragma GCC visibility pop

#endif

/* The table that a sink writes to: its columns and their types, its key, its creation. */
#ifndef DF_CONNECTORS_TRINO_TARGET_H
#define DF_CONNECTORS_TRINO_TARGET_H

#include "connectors/trino/connection.h"
#include "table/raw.h"
#include "table/rows.h"

struct df_trino_target {
	const struct df_trino_sink_settings *settings;
	const struct df_logger *logger;
	struct df_trino_client *client; /* borrowed */
	struct df_raw *raw;		/* NULL: one column a key */
	struct df_buf name;		/* quoted, for SQL */

	/* as it was loaded */
	struct df_columns columns; /* count 0: it does not exist. kind: an index into types */
	struct df_trino_type **types;
	struct df_arena arena; /* of the types */
	struct df_strings key; /* of upserts */
	size_t *key_columns;   /* where they are */
	const char *raw_data;  /* the column of raw mode that holds the payload: data or value */
	bool raw_wrapped;      /* and the metadata with it, as there is no column for it */
};

int df_trino_target_init(struct df_trino_target *target, const struct df_trino_sink_settings *settings,
			 struct df_trino_client *client, const struct df_logger *logger,
			 struct df_error *err) df_must_check;
void df_trino_target_done(struct df_trino_target *target);

/* Reads the columns again. A missing table is an error unless it may be created. */
int df_trino_target_load(struct df_trino_target *target, struct df_context *ctx, struct df_error *err) df_must_check;

/* Creates the table: raw mode's without rows, else from those of the first batch. */
int df_trino_target_create(struct df_trino_target *target, struct df_context *ctx, const struct df_inference *rows,
			   struct df_error *err) df_must_check;

/* The object that is the message's row. */
int df_trino_target_row(struct df_trino_target *target, struct df_message *m, struct df_arena *arena,
			struct df_value **ret, struct df_error *err) df_must_check;

static inline const struct df_trino_type *df_trino_target_type(const struct df_trino_target *target, size_t column)
{
	return target->types[target->columns.items[column].kind];
}

#endif

/*
 * What the sink writes to: the table as the catalog describes it, its key, and what may be done with it. Read once per
 * table definition; private to the sink.
 */
#ifndef DF_CONNECTORS_POSTGRESQL_TARGET_H
#define DF_CONNECTORS_POSTGRESQL_TARGET_H

#include "connectors/postgresql/connection.h"
#include "connectors/postgresql/encode.h"
#include "connectors/postgresql/settings.h"
#include "table/identifier.h"
#include "table/raw.h"
#include "table/rows.h"

/* What is known of a column beside the struct df_column at the same index. */
struct df_pg_column {
	struct df_pg_field field;
	uint32_t oid;  /* what its field's bytes are: the type of a parameter */
	char *carrier; /* that type's name: of the column in a staging table */
	char *cast;    /* the type that the carrier is cast to; NULL: it is the column's own (or a domain's base) */
	enum df_pg_equality equality; /* of its values as bytes */
	bool always; /* GENERATED ALWAYS AS IDENTITY: a value is written with OVERRIDING, and never updated */
};

struct df_pg_target {
	const struct df_postgresql_sink_settings *settings;
	struct df_pg *pg;
	struct df_table_name name; /* the qualifier is always there */
	char *quoted;		   /* "schema"."table" */
	struct df_strings key;	   /* of upserts and deletes: conflictKey, else the primary key; may be empty */
	struct df_columns columns; /* empty while the table does not exist */
	struct df_pg_column *details;
	struct df_raw *raw; /* NULL: column mode */

	/* Of the table. */
	bool whole_payload; /* an old table, whose column `data` takes the payload (connectors reference, section 6) */
	bool conflicts;	    /* a row can collide with another: a unique index or an exclusion constraint */
	bool copies;	    /* COPY may write to it: no view, no rules, no row security that applies */
	bool resolves;	    /* INSERT ... ON CONFLICT is possible: no rules */
	bool fills;	    /* a trigger may fill in what a row lacks */
};

/* For create and free. DF_ERR_CONFIG, DF_ERR_NO_MEMORY. */
int df_pg_target_init(struct df_pg_target *target, const struct df_postgresql_sink_settings *settings, struct df_pg *pg,
		      struct df_error *err) df_must_check;
void df_pg_target_done(struct df_pg_target *target);

/*
 * Reads the catalog, and checks what can be checked before a row comes: that the table is there (unless it is to be
 * created), raw mode's columns, the key of an upsert, the version and soft delete columns. DF_ERR_CONFIG with the fix.
 */
int df_pg_target_load(struct df_pg_target *target, struct df_context *ctx, struct df_error *err) df_must_check;

/* Creates the table for these rows; with NULL, raw mode's fixed one. Call df_pg_target_load afterwards. */
int df_pg_target_create(struct df_pg_target *target, struct df_context *ctx, struct df_inference *rows,
			struct df_error *err) df_must_check;
/* Adds the columns that the rows have and the table has not (unknownFields: addColumn). Load afterwards. */
int df_pg_target_add_columns(struct df_pg_target *target, struct df_context *ctx, const struct df_inference *rows,
			     struct df_error *err) df_must_check;

/* The object that is the message's row. */
int df_pg_target_row(struct df_pg_target *target, struct df_message *m, struct df_arena *arena, struct df_value **ret,
		     struct df_error *err) df_must_check;

/* Are rows upserted? Raw rows have a key only among flattened metadata. */
static inline bool df_pg_upserts(const struct df_postgresql_sink_settings *settings)
{
	const struct df_table_sink_settings *t = &settings->table_sink;

	return t->upsert_mode && (!t->raw_mode || (t->flatten_metadata.columns && t->conflict_key));
}

/* Does a message with `operation: delete` remove (or mark) a row, or is it written like any other? */
static inline bool df_pg_removes(const struct df_postgresql_sink_settings *settings)
{
	return df_pg_upserts(settings) || (settings->soft_delete_column && !settings->table_sink.raw_mode);
}

static inline bool df_pg_if_newer(const struct df_postgresql_sink_settings *settings)
{
	return df_pg_upserts(settings) && strcmp(settings->upsert_strategy, "ifNewer") == 0;
}

#endif

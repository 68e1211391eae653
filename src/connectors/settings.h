/* Settings blocks that several connectors share: the manifest reference, section 7, "Shared blocks". */
#ifndef DF_CONNECTORS_SETTINGS_H
#define DF_CONNECTORS_SETTINGS_H

#include "connectors/interface.h"

#pragma GCC visibility push(default) /* an installed header: src/dataflow/meson.build */

/* ---- batch fields ---------------------------------------------------------------------------------------- */

struct df_batch_settings {
	struct df_opt_int size;
	int32_t interval_seconds;
};

/* Two rows for a struct S with a member `struct df_batch_settings at`. default_size: what an absent batchSize means, as
 * text for people, or NULL. */
#define DF_BATCH_FIELDS_AT(S, at, default_size)                                                                     \
	DF_FIELD(S, at.size, "batchSize", 0, .min = 0, .max = INT32_MAX, .def_doc = default_size, .example = "500", \
		 .doc = "Rows a flush waits for. Absent: the type's default, and rows that already wait travel "    \
			"together. "                                                                                \
			"0: only the timer and the limits flush."),                                                 \
		DF_FIELD(S, at.interval_seconds, "batchFlushIntervalSeconds", 0, .def = "10", .min = 0,             \
			 .max = INT32_MAX,                                                                          \
			 .doc = "Seconds after the first waiting row when a flush happens even if `batchSize` was " \
				"not reached. "                                                                     \
				"0: no timer.")

/* The same with the member `batch`. */
#define DF_BATCH_FIELDS(S) DF_BATCH_FIELDS_AT(S, batch, NULL)

/* ---- flatten metadata ------------------------------------------------------------------------------------ */

struct df_flatten_metadata_settings {
	bool columns;
	char *prefix;
};

/* Two rows for a struct S with a member `struct df_flatten_metadata_settings at`. */
#define DF_FLATTEN_METADATA_FIELDS_AT(S, at)                                                                       \
	DF_FIELD(S, at.columns, "flattenMetadataColumns", 0,                                                       \
		 .doc = "With `rawMode`: one column per metadata key instead of one `_metadata` column."),         \
		DF_FIELD(S, at.prefix, "flattenMetadataColumnsPrefix", 0, .def = "", .check = df_check_identifier, \
			 .example = "meta_", .doc = "Prefix of those columns.")

#define DF_FLATTEN_METADATA_FIELDS(S) DF_FLATTEN_METADATA_FIELDS_AT(S, flatten_metadata)

/* Rules that belong to those rows. */
#define DF_FLATTEN_METADATA_RULES                                                \
	{ DF_RULE_REQUIRES, { "flattenMetadataColumns", "rawMode" } },           \
	{                                                                        \
		DF_RULE_POINTLESS,                                               \
		{                                                                \
			"flattenMetadataColumnsPrefix", "flattenMetadataColumns" \
		}                                                                \
	}

/* ---- polling sources of row-shaped stores ---------------------------------------------------------------- */

/* Connectors reference, section 3. */
struct df_polling_settings {
	struct df_secret table;
	char *query;		      /* NULL: the table is read. As written: see df_query_trim */
	int32_t poll_interval;	      /* seconds */
	int32_t read_batch_size;      /* rows; 0: no limit */
	char *change_tracking_column; /* NULL: not written (the default applies; with `query`: no incremental reading)
				       */
	char *order_by_column;
	int32_t tracking_overlap_seconds;
};

/* Rows for a struct S with a member `struct df_polling_settings polling`. default_change_column: text for people
 * ("updated_at"; the driver applies it); table_check: a df_field_check or NULL. */
#define DF_POLLING_FIELDS(S, default_change_column, table_check)                                                       \
	DF_FIELD(S, polling.table, "table", DF_NO_BLANK, .check = table_check, .example = "orders",                    \
		 .doc = "The table to read. Required unless `query` is set."),                                         \
		DF_FIELD(S, polling.query, "query", DF_NO_BLANK, .check = df_check_query,                              \
			 .example = "SELECT id, name, updated_at FROM orders WHERE active",                            \
			 .doc = "One SELECT, used instead of the table; the table's name then only labels messages. "  \
				"With an "                                                                             \
				"explicit `changeTrackingColumn` it is read incrementally, else it runs whole at "     \
				"every poll."),                                                                        \
		DF_FIELD(S, polling.poll_interval, "pollInterval", 0, .def = "5", .min = 1, .max = INT32_MAX,          \
			 .doc = "Seconds from the start of one poll to the start of the next."),                       \
		DF_FIELD(S, polling.read_batch_size, "readBatchSize", 0, .def = "0", .min = 0, .max = INT32_MAX,       \
			 .example = "1000",                                                                            \
			 .doc = "Rows one statement reads at most. 0: no limit, rows are streamed."),                  \
		DF_FIELD(S, polling.change_tracking_column, "changeTrackingColumn", DF_CRD_NO_DEFAULT,                 \
			 .def_doc = default_change_column, .check = df_check_identifier,                               \
			 .doc = "The column that grows with every change, of any type that can be ordered. Written "   \
				"out beside "                                                                          \
				"`query`, it makes the query incremental."),                                           \
		DF_FIELD(S, polling.order_by_column, "orderByColumn", 0, .def = "id", .check = df_check_identifier,    \
			 .doc = "The column that orders rows of the same change time; best the primary key."),         \
		DF_FIELD(S, polling.tracking_overlap_seconds, "trackingOverlapSeconds", DF_OURS, .def = "0", .min = 0, \
			 .max = INT32_MAX,                                                                             \
			 .doc = "Seconds that every poll reads again before its position, for transactions that "      \
				"commit late; "                                                                        \
				"rows seen within them are dropped.")

#define DF_POLLING_RULES                 \
	{                                \
		DF_RULE_ONE_OF,          \
		{                        \
			"table", "query" \
		}                        \
	}

/* A row for a struct S with a member `bool ignored_raw_mode`: sources had rawMode for a short time. */
#define DF_SOURCE_RAW_MODE_FIELD(S) \
	DF_FIELD(S, ignored_raw_mode, "rawMode", DF_IGNORED, .doc = "`rawMode` belongs to the sink.")

/* One SELECT statement: not blank, nothing but blanks and comments behind a `;`. Quotes, comments and dollar quotes are
 * respected. */
int df_check_query(struct df_str text, struct df_error *err);
/* The query without blanks at both ends, and without a trailing `;` and what follows it. */
struct df_str df_query_trim(struct df_str query);
/* `name` or `qualifier.name`, no part empty. */
int df_check_table_name(struct df_str text, struct df_error *err);

/* ---- sinks of row-shaped stores
 * --------------------------------------------------------------------------------------- */

struct df_table_sink_settings {
	struct df_secret table;
	struct df_batch_settings batch;
	bool auto_create_table, raw_mode, upsert_mode;
	char *conflict_key;   /* identifiers separated by commas; NULL: not written */
	char *unknown_fields; /* "error" or "ignore" */
	struct df_flatten_metadata_settings flatten_metadata;
};

extern const char *const df_unknown_fields_values[];

/* Rows for a struct S with a member `struct df_table_sink_settings table_sink`. default_size, default_conflict_key:
 * text for people; default_unknown: "error" or "ignore"; table_check: a df_field_check or NULL. */
#define DF_TABLE_SINK_FIELDS(S, default_size, default_conflict_key, default_unknown, table_check)                \
	DF_TABLE_SINK_FIELDS_TO_KEY(S, default_size, default_conflict_key, table_check),                         \
		DF_FIELD(S, table_sink.unknown_fields, "unknownFields", DF_OURS, .def = default_unknown,         \
			 .values = df_unknown_fields_values,                                                     \
			 .doc = "What a key without a column means: `error` refuses the message (error sink or " \
				"stop), `ignore` leaves the key out."),                                          \
		DF_FLATTEN_METADATA_FIELDS_AT(S, table_sink.flatten_metadata)

/* The first of these, for a sink that has more values for `unknownFields`. */
#define DF_TABLE_SINK_FIELDS_TO_KEY(S, default_size, default_conflict_key, table_check)                                \
	DF_FIELD(S, table_sink.table, "table", DF_REQUIRED | DF_NO_BLANK, .check = table_check, .example = "orders",   \
		 .doc = "The table to write."),                                                                        \
		DF_BATCH_FIELDS_AT(S, table_sink.batch, default_size),                                                 \
		DF_FIELD(S, table_sink.auto_create_table, "autoCreateTable", 0,                                        \
			 .doc = "Create the table when it is missing, with columns inferred from the first batch."),   \
		DF_FIELD(S, table_sink.raw_mode, "rawMode", 0,                                                         \
			 .doc = "Store the whole message in the columns `data` and `_metadata` instead of one column " \
				"per key."),                                                                           \
		DF_FIELD(S, table_sink.upsert_mode, "upsertMode", 0,                                                   \
			 .doc = "A row whose key exists replaces the old one instead of being added."),                \
		DF_FIELD(S, table_sink.conflict_key, "conflictKey", 0, .def_doc = default_conflict_key,                \
			 .check = df_check_identifier_list, .example = "id",                                           \
			 .doc = "The column, or columns separated by commas, that tell whether two rows are the "      \
				"same.")

/* A row for a sink's struct S with a member `bool member`: its transactional(settings) asks for it. */
#define DF_EXACTLY_ONCE_FIELD(S, member)                                                                               \
	DF_FIELD(S, member, "exactlyOnce", DF_OURS, .def = "false",                                                    \
		 .doc = "Store the source's position in the transaction of the rows, and go on from there: no row is " \
			"written twice, whenever the process is killed. The source must have an exact position, and "  \
			"there may be no `router`.")

/* What the `batching` of such a sink answers. default_size and together: struct df_batching. */
static inline struct df_batching df_table_sink_batching(const struct df_table_sink_settings *settings,
							int32_t default_size, int32_t together)
{
	return (struct df_batching){ .size = settings->batch.size,
				     .interval_seconds = settings->batch.interval_seconds,
				     .default_size = default_size,
				     .default_together = together };
}

/* ---- tls, sasl, basic auth ------------------------------------------------------------------------------- */

/* Of each: text that begins with -----BEGIN is PEM, else the path of a file that exists, else PEM. From caFile, or from
 * the Secret of caSecretRef. */
struct df_tls_settings {
	bool insecure_skip_verify;
	struct df_secret ca, cert, key;
};
extern const struct df_table df_tls_table;

struct df_sasl_settings {
	char *mechanism;
	struct df_secret username, password; /* oauthbearer: client id and secret */
	char *token_endpoint, *scope;	     /* oauthbearer */
};
extern const struct df_table df_sasl_table;

struct df_basic_auth_settings {
	struct df_secret username, password;
};
extern const struct df_table df_basic_auth_table;

/* ---- helpers for rules */

/* Is there a direct text or a reference? */
static inline bool df_secret_given(const struct df_secret *secret)
{
	return secret->value || secret->ref;
}

/* Warns about batch settings with which rows can wait for ever, and about a batchSize that is set below `advised`. */
void df_batch_check(const struct df_batch_settings *batch, int32_t advised, const struct df_place *place,
		    struct df_diags *diags);

#pragma GCC visibility pop

#endif

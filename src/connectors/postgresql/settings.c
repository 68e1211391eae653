#include "connectors/postgresql/settings.h"

#include "table/identifier.h"

/* Two names that are cut alike would be one table. */
static int check_table(struct df_str text, struct df_error *err)
{
	df_cleanup(df_table_name_done) struct df_table_name name = { 0 };
	int code = df_check_table_name(text, err);

	if (code == 0)
		code = df_table_name_split(text, &name, err);
	if (code == 0 && (strlen(name.name) > DF_POSTGRESQL_NAME_BYTES ||
			  (name.qualifier && strlen(name.qualifier) > DF_POSTGRESQL_NAME_BYTES)))
		return df_error_set(err, DF_ERR_CONFIG, "a name has at most %d bytes: PostgreSQL cuts longer ones",
				    DF_POSTGRESQL_NAME_BYTES);
	return code;
}

/* Rows that source and sink share. */
#define CONNECTION_FIELDS(S)                                                                                         \
	DF_FIELD(S, connection_string, "connectionString", DF_REQUIRED | DF_SENSITIVE | DF_NO_BLANK,                 \
		 .example = "postgres://dataflow@db.example:5432/shop?sslmode=verify-full",                          \
		 .doc = "Where the database is and who logs in: a URL, or `key=value` pairs, as libpq reads them."), \
		DF_FIELD(S, connection_timeout, "connectionTimeout", 0, .def = "30", .min = 1, .max = INT32_MAX,     \
			 .doc = "Seconds that opening a connection may take.")

/* ---- source ---------------------------------------------------------------------------------------------- */

#define S struct df_postgresql_source_settings

static const struct df_field source_fields[] = {
	CONNECTION_FIELDS(S),
	DF_POLLING_FIELDS(S, "updated_at", check_table),
	DF_FIELD(S, auto_create_table, "autoCreateTable", 0,
		 .doc = "Create an empty table (`id`, `created_at`, `updated_at`) when it is missing."),
	DF_SOURCE_RAW_MODE_FIELD(S),
};

#undef S

static const struct df_rule source_rules[] = {
	DF_POLLING_RULES,
	{ DF_RULE_REQUIRES, { "autoCreateTable", "table" } },
};

static const struct df_table source_table =
	DF_TABLE_RULES(struct df_postgresql_source_settings, source_fields, source_rules);

static bool source_keeps_position(const void *settings)
{
	const struct df_postgresql_source_settings *s = settings;

	return !s->polling.query || s->polling.change_tracking_column;
}

static const struct df_type source_type = {
	.name = "postgresql",
	.title = "Reads a PostgreSQL table or query, again and again, from where it stood.",
	.doc = "Rows come in the order of `changeTrackingColumn` and `orderByColumn`; the position is a pair of both "
	       "and is kept in the checkpoint. When `changeTrackingColumn` is not written and the table has "
	       "`updated_at` and `created_at`, a row without the first is ordered by the second; a table without "
	       "`updated_at` is read by `orderByColumn` alone. An index on both columns serves every poll. Deleted rows "
	       "are not seen: use `postgresql-cdc` for them. A transaction that commits after a later change time was "
	       "read is missed unless `trackingOverlapSeconds` reaches back far enough.\n\n"
	       "Every message carries the metadata `table`, `operation` (`insert`; `update` when `updated_at` is later "
	       "than `created_at`) and `id`.\n\n"
	       "Values keep what they are: numbers all digits, `timestamp` and `timestamptz` RFC 3339 (expanded years "
	       "and `infinity` where need be), `interval` ISO 8601, `bytea` base64, `json` and `jsonb` the document, "
	       "arrays nested arrays, enums their label; types without such a form (ranges, rows, hstore, money, "
	       "geometry, text search and what extensions bring) come as the text that PostgreSQL prints. When the "
	       "columns of the table change, reading goes on with the new ones.\n\n"
	       "Reading is read-only: a query that writes is an error. The session's time zone is UTC. In a URL, "
	       "parameters that libpq does not know are run-time settings (`?search_path=shop&statement_timeout=5min`); "
	       "those of Go's pools are ignored. With several hosts (`host1:5432,host2:5432`) each has `connectionTimeout` "
	       "seconds, and `target_session_attrs` chooses among them. A password in a URL may stand as it is typed.",
	.settings = &source_table,
	.example = "type: postgresql\n"
		   "config:\n"
		   "  connectionStringSecretRef:\n"
		   "    name: shop-db\n"
		   "    key: url\n"
		   "  table: public.orders\n"
		   "  pollInterval: 10\n"
		   "  readBatchSize: 5000\n",
	.keeps_position = source_keeps_position,
};

/* ---- sink ------------------------------------------------------------------------------------------------ */

static const char *const strategies[] = { "always", "ifNewer", NULL };
static const char *const unknown_values[] = { "error", "ignore", "addColumn", NULL };

#define S struct df_postgresql_sink_settings

static const struct df_field sink_fields[] = {
	CONNECTION_FIELDS(S),
	DF_TABLE_SINK_FIELDS_TO_KEY(S, "1", "the primary key", check_table),
	DF_FIELD(S, table_sink.unknown_fields, "unknownFields", DF_OURS, .def = "error", .values = unknown_values,
		 .doc = "What a key without a column means: `error` refuses the message (error sink or stop), `ignore` "
			"leaves the key out, `addColumn` adds the column to the table, of the type that the batch's "
			"values have."),
	DF_FLATTEN_METADATA_FIELDS_AT(S, table_sink.flatten_metadata),
	DF_FIELD(S, upsert_strategy, "upsertStrategy", 0, .def = "always", .values = strategies,
		 .doc = "With `upsertMode`: replace the old row always, or only by one with a greater "
			"`upsertVersionColumn`."),
	DF_FIELD(S, upsert_version_column, "upsertVersionColumn", 0, .check = df_check_identifier,
		 .example = "updated_at", .doc = "The column that tells which of two rows is newer."),
	DF_FIELD(S, soft_delete_column, "softDeleteColumn", 0, .check = df_check_identifier, .example = "deleted_at",
		 .doc = "A message with the operation `delete` sets this column to the time instead of removing the "
			"row."),
	DF_EXACTLY_ONCE_FIELD(S, exactly_once),
};

#undef S

static void check_sink(const void *settings, const struct df_place *place, struct df_diags *diags)
{
	const struct df_postgresql_sink_settings *s = settings;
	const struct df_table_sink_settings *t = &s->table_sink;

	df_batch_check(&t->batch, 100, place, diags);
	if (t->raw_mode && t->upsert_mode && !(t->flatten_metadata.columns && t->conflict_key))
		df_diag_warning(
			diags, place, "upsertMode",
			"has no key to find old rows by in rawMode; flattenMetadataColumns with a conflictKey would "
			"give one");
	if (t->upsert_mode)
		return;
	if (df_str_equal_c(df_str_c(s->upsert_strategy), "ifNewer"))
		df_diag_warning(diags, place, "upsertStrategy", "has no effect without upsertMode");
	if (s->upsert_version_column)
		df_diag_warning(diags, place, "upsertVersionColumn", "has no effect without upsertMode");
}

static const struct df_rule sink_rules[] = {
	DF_FLATTEN_METADATA_RULES,
	{ DF_RULE_REQUIRES, { "upsertStrategy", "upsertVersionColumn" }, .value = "ifNewer" },
	{ DF_RULE_CHECK, .fn = check_sink,
	  .text = "`upsertStrategy` and `upsertVersionColumn` have no effect without `upsertMode`." },
};

static const struct df_table sink_table = DF_TABLE_RULES(struct df_postgresql_sink_settings, sink_fields, sink_rules);

/* The primary key counts: conflictKey need not be written. */
static bool sink_repeatable(const void *settings)
{
	const struct df_postgresql_sink_settings *s = settings;

	return s->table_sink.upsert_mode || s->exactly_once;
}

static const struct df_type sink_type = {
	.name = "postgresql",
	.title = "Writes rows to a PostgreSQL table.",
	.doc = "One transaction a flush. Without `upsertMode` a row whose key exists is skipped and counted; with it "
	       "the row is replaced, and a message with the operation `delete` removes it (or sets "
	       "`softDeleteColumn`). A row that PostgreSQL refuses goes to the error sink alone; the rest of its "
	       "batch is written.",
	.settings = &sink_table,
	.example = "type: postgresql\n"
		   "config:\n"
		   "  connectionStringSecretRef:\n"
		   "    name: warehouse-db\n"
		   "    key: url\n"
		   "  table: orders\n"
		   "  batchSize: 500\n"
		   "  upsertMode: true\n"
		   "  conflictKey: id\n"
		   "  upsertStrategy: ifNewer\n"
		   "  upsertVersionColumn: updated_at\n",
	.repeatable = sink_repeatable,
};

const struct df_connector df_connector_postgresql = {
	.source = &source_type,
	.sink = &sink_type,
	.source_ops = DF_WITH_POSTGRESQL ? &df_postgresql_source_ops : NULL,
	.sink_ops = DF_WITH_POSTGRESQL ? &df_postgresql_sink_ops : NULL,
};

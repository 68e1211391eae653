#include "connectors/sqlite/settings.h"

/* ---- source ---------------------------------------------------------------------------------------------- */

#define SOURCE struct df_sqlite_source_settings

static const struct df_field source_fields[] = {
	DF_FIELD(SOURCE, path, "path", DF_REQUIRED | DF_NO_BLANK, .example = "/data/shop.db",
		 .doc = "The database file. It is never written to."),
	DF_POLLING_FIELDS(SOURCE, "updated_at", NULL),
	DF_FIELD(SOURCE, auto_create_table, "autoCreateTable", 0,
		 .doc = "Create the table (id, created_at, updated_at), and the file, when they are missing."),
};

static const struct df_rule source_rules[] = {
	DF_POLLING_RULES,
	{ DF_RULE_REQUIRES, { "autoCreateTable", "table" } },
};

static const struct df_table source_table = DF_TABLE_RULES(SOURCE, source_fields, source_rules);

static bool source_keeps_position(const void *settings)
{
	const SOURCE *s = settings;

	return !s->polling.query || s->polling.change_tracking_column;
}

static const struct df_type source_type = {
	.name = "sqlite",
	.title = "Rows of an SQLite table or query",
	.doc = "Polls a table, or a query, for rows that are new or changed since the last poll, in the order of "
	       "`changeTrackingColumn` and `orderByColumn`. An index on both makes a poll cheap.\n\n"
	       "Values keep SQLite's storage class: INTEGER, REAL, TEXT, BLOB (bytes), NULL. The declared type says "
	       "more where it can: BOOLEAN, DATE, TIMESTAMP or DATETIME, TIMESTAMPTZ, JSON. A text that is not valid "
	       "UTF-8 becomes bytes, and metadata `base64_fields` names its column.\n\n"
	       "A statement that is being read holds a read transaction. In WAL mode that hinders nobody; otherwise "
	       "`readBatchSize` keeps it short.",
	.settings = &source_table,
	.example = "type: sqlite\n"
		   "config:\n"
		   "  path: shop.db\n"
		   "  table: orders\n"
		   "  pollInterval: 10\n",
	.keeps_position = source_keeps_position,
};

/* ---- sink ------------------------------------------------------------------------------------------------ */

#define SINK struct df_sqlite_sink_settings

static const char *const strategies[] = { "always", "ifNewer", NULL };
static const char *const journal_modes[] = { "wal", "keep", NULL };
static const char *const synchronous_values[] = { "full", "normal", NULL };

static const struct df_field sink_fields[] = {
	DF_FIELD(SINK, path, "path", DF_REQUIRED | DF_NO_BLANK, .example = "/data/warehouse.db",
		 .doc = "The database file. `autoCreateTable` creates it when it is missing."),
	DF_TABLE_SINK_FIELDS(SINK, "1", "the table's primary key", "error", NULL),
	DF_FIELD(SINK, upsert_strategy, "upsertStrategy", 0, .def = "always", .values = strategies,
		 .doc = "`ifNewer` replaces a row only when `upsertVersionColumn` is greater than the stored one."),
	DF_FIELD(SINK, upsert_version_column, "upsertVersionColumn", 0, .check = df_check_identifier,
		 .example = "version", .doc = "The column that `ifNewer` compares."),
	DF_FIELD(SINK, soft_delete_column, "softDeleteColumn", 0, .check = df_check_identifier, .example = "deleted_at",
		 .doc = "A message with `operation: delete` sets this column to the current time instead of removing "
			"the row."),
	DF_FIELD(SINK, journal_mode, "journalMode", DF_OURS, .def = "wal", .values = journal_modes,
		 .doc = "`wal` puts the database into write-ahead mode: readers and the writer do not wait for each "
			"other. `keep` leaves the mode as it is."),
	DF_FIELD(SINK, synchronous, "synchronous", DF_OURS, .def = "full", .values = synchronous_values,
		 .doc = "`full`: before the source's position moves past a row, the row is on the disk. `normal`: a "
			"killed process loses nothing either, but after a power failure the last transactions may be "
			"missing."),
	DF_EXACTLY_ONCE_FIELD(SINK, exactly_once),
};

static void check_sink(const void *settings, const struct df_place *place, struct df_diags *diags)
{
	const SINK *s = settings;
	const struct df_table_sink_settings *t = &s->table_sink;

	df_batch_check(&t->batch, 100, place, diags);
	if (t->raw_mode && t->upsert_mode && !df_sqlite_upserts(s))
		df_diag_warning(
			diags, place, "upsertMode",
			"has no effect in rawMode, whose rows have no key; flattenMetadataColumns with a conflictKey "
			"among its columns would give one");
	if (t->raw_mode && s->soft_delete_column)
		df_diag_warning(diags, place, "softDeleteColumn", "has no effect in rawMode, whose rows have no key");
	if (t->upsert_mode)
		return;
	if (strcmp(s->upsert_strategy, "ifNewer") == 0)
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

static const struct df_table sink_table = DF_TABLE_RULES(SINK, sink_fields, sink_rules);

static bool sink_repeatable(const void *settings)
{
	const SINK *s = settings;

	return df_sqlite_upserts(s) || s->exactly_once;
}

static const struct df_type sink_type = {
	.name = "sqlite",
	.title = "A table of an SQLite database",
	.doc = "Writes each batch in one transaction. Without `upsertMode` a row that conflicts with an existing one "
	       "is skipped and counted; with it the row is updated, and rows that would not change are counted as "
	       "unchanged.\n\n"
	       "Values go into a column by its declared type, and nothing is rounded or cut: a fraction does not fit "
	       "an INTEGER column, a number with more digits than a double holds needs a TEXT column. TIMESTAMP and "
	       "DATETIME columns take RFC 3339 and hold SQLite's own form, `YYYY-MM-DD HH:MM:SS` in UTC.\n\n"
	       "With `exactlyOnce` the table `dataflow_positions` (flow, checkpoint) holds the source's position; it is "
	       "made when it is missing.\n\n"
	       "`autoCreateTable` gives bare JSON numbers NUMERIC columns, so that a later fraction fits, and makes "
	       "`conflictKey`, or else `id` when every row has it, the primary key.",
	.settings = &sink_table,
	.example = "type: sqlite\n"
		   "config:\n"
		   "  path: warehouse.db\n"
		   "  table: quakes\n"
		   "  autoCreateTable: true\n"
		   "  upsertMode: true\n"
		   "  conflictKey: id\n",
	.repeatable = sink_repeatable,
};

const struct df_connector df_connector_sqlite = {
	.source = &source_type,
	.sink = &sink_type,
	.source_ops = DF_WITH_SQLITE ? &df_sqlite_source_ops : NULL,
	.sink_ops = DF_WITH_SQLITE ? &df_sqlite_sink_ops : NULL,
};

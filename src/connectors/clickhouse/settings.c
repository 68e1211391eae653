#include "connectors/clickhouse/settings.h"

#include "connectors/clickhouse/dsn.h"

#define CONNECTION_FIELD(S)                                                                                             \
	DF_FIELD(                                                                                                       \
		S, connection_string, "connectionString", DF_REQUIRED | DF_SENSITIVE | DF_NO_BLANK,                     \
		.check = df_ch_dsn_check, .example = "clickhouse://dataflow@ch.example:9440/shop?secure=true",          \
		.doc = "Where the server is and who logs in: `clickhouse://` or `tcp://` (native protocol, port 9000, " \
		       "9440 with `secure=true`), `http://` or `https://` (8123, 8443). Several hosts, separated by "   \
		       "commas, are tried in turn.")

#define CONNECTION_DOC                                                                                           \
	"Parameters of `connectionString` (names and values as the Go client has them):\n\n"                     \
	"| parameter | meaning |\n|-|-|\n"                                                                       \
	"| `username`, `password`, `database` | instead of user, password and path of the URL |\n"               \
	"| `secure`, `skip_verify` | TLS; without checking the certificate |\n"                                  \
	"| `dial_timeout` (30s), `read_timeout` (5m), `conn_max_lifetime` (1h) | of the connection |\n"          \
	"| `compress` | `lz4`, `zstd` or `none` (the default): blocks in compressed, checked frames. Over HTTP " \
	"also `gzip`, `deflate`, `br` for answers |\n"                                                           \
	"| `compress_level` | of zstd |\n"                                                                       \
	"| `connection_open_strategy` | `in_order`, `round_robin` or `random`: which host comes first |\n"       \
	"| `http_path`, `client_info_product` | a path before the query; what the server's logs call us |\n"     \
	"| any other | a setting of the server, sent with every statement (`max_execution_time=60`, "            \
	"`async_insert=1`). One that the server does not know is left out, with a warning |\n\n"                 \
	"Servers from 18.16 on are spoken to; both transports carry the same blocks."

/* ---- source ---------------------------------------------------------------------------------------------- */

#define S struct df_clickhouse_source_settings

static const struct df_field source_fields[] = {
	CONNECTION_FIELD(S),
	DF_POLLING_FIELDS(S, "created_at", df_check_table_name),
	DF_SOURCE_RAW_MODE_FIELD(S),
};

#undef S

static const struct df_rule source_rules[] = {
	DF_POLLING_RULES,
};

static const struct df_table source_table =
	DF_TABLE_RULES(struct df_clickhouse_source_settings, source_fields, source_rules);

static bool source_keeps_position(const void *settings)
{
	const struct df_clickhouse_source_settings *s = settings;

	return !s->polling.query || s->polling.change_tracking_column;
}

static const struct df_type source_type = {
	.name = "clickhouse",
	.title = "Reads a ClickHouse table or query, again and again, from where it stood.",
	.doc = "Rows come in the order of `changeTrackingColumn` and `orderByColumn`; the position is a pair of both "
	       "and is kept in the checkpoint. Rows of a ReplacingMergeTree are emitted as stored, without FINAL. Where "
	       "the server has `LIMIT ... WITH TIES` (20.1), `readBatchSize` uses it.\n\n"
	       "Every type is read: wide integers and decimals with all digits, times in UTC, arrays, tuples, maps and "
	       "variants as what they hold. `JSON` and `Dynamic` are asked for as JSON text. States of "
	       "AggregateFunction mean nothing outside the server: use a `query` with `finalizeAggregation`.\n\n"
	       "Every message carries the metadata `table` and `id`.\n\n" CONNECTION_DOC,
	.settings = &source_table,
	.example = "type: clickhouse\n"
		   "config:\n"
		   "  connectionStringSecretRef:\n"
		   "    name: clickhouse\n"
		   "    key: url\n"
		   "  table: shop.events\n"
		   "  readBatchSize: 50000\n",
	.keeps_position = source_keeps_position,
};

/* ---- sink ------------------------------------------------------------------------------------------------ */

static const char *const engines[] = { "MergeTree", "ReplacingMergeTree", NULL };

#define S struct df_clickhouse_sink_settings

static const struct df_field sink_fields[] = {
	CONNECTION_FIELD(S),
	DF_TABLE_SINK_FIELDS(S, "100", "`id` when there is one", "error", df_check_table_name),
	DF_FIELD(S, table_engine, "tableEngine", 0, .values = engines,
		 .def_doc = "MergeTree, or ReplacingMergeTree with `upsertMode`",
		 .doc = "The engine of a table that `autoCreateTable` makes."),
	DF_FIELD(S, replacing_version_column, "replacingVersionColumn", 0, .check = df_check_identifier,
		 .example = "updated_at",
		 .doc = "Of a ReplacingMergeTree: the row with the greatest value stays. An integer, date or time "
			"column."),
};

#undef S

bool df_clickhouse_replacing(const struct df_clickhouse_sink_settings *settings)
{
	if (!settings->table_engine)
		return settings->table_sink.upsert_mode;
	return df_str_equal_c(df_str_c(settings->table_engine), "ReplacingMergeTree");
}

static void check_sink(const void *settings, const struct df_place *place, struct df_diags *diags)
{
	const struct df_clickhouse_sink_settings *s = settings;

	df_batch_check(&s->table_sink.batch, 500, place, diags);
	if (s->table_sink.upsert_mode && !df_clickhouse_replacing(s))
		df_diag_warning(diags, place, "tableEngine", "MergeTree never replaces rows: upsertMode has no effect");
	if (s->replacing_version_column && !df_clickhouse_replacing(s))
		df_diag_warning(diags, place, "replacingVersionColumn",
				"has no effect without tableEngine ReplacingMergeTree");
}

static const struct df_rule sink_rules[] = {
	DF_FLATTEN_METADATA_RULES,
	{ DF_RULE_CHECK, .fn = check_sink,
	  .text = "`upsertMode` and `replacingVersionColumn` have no effect with `tableEngine: MergeTree`." },
};

static const struct df_table sink_table = DF_TABLE_RULES(struct df_clickhouse_sink_settings, sink_fields, sink_rules);

static bool sink_repeatable(const void *settings)
{
	const struct df_clickhouse_sink_settings *s = settings;

	return s->table_sink.upsert_mode && s->table_sink.conflict_key && df_clickhouse_replacing(s);
}

static const struct df_type sink_type = {
	.name = "clickhouse",
	.title = "Writes rows to a ClickHouse table.",
	.doc = "One INSERT a flush and set of columns, in Native blocks. Every flush makes a part, and parts are dear: "
	       "set `batchSize` to 10000 and more. How many parts were made is in the log when the sink closes (newer "
	       "servers say).\n\n"
	       "A flush whose confirmation was lost is sent again, with the same `insert_deduplication_token`, a hash of "
	       "the rows and of where they came from. Replicated engines, and tables with the setting "
	       "`non_replicated_deduplication_window`, then drop it; so do older servers without the token when the "
	       "block is the same. Other tables keep both: a line in the log says so at connect.\n\n"
	       "A value goes into its column exactly or not at all: what does not fit is an error of that message, "
	       "with the column's name. A time outside the column's range is refused, though the server would take and "
	       "change it. `null` in a column that is not Nullable means the column's DEFAULT when it has one.\n\n"
	       "ClickHouse has no update: `upsertMode` uses a ReplacingMergeTree, which keeps one row per key once its "
	       "parts are merged. A message with the operation `delete` is a row with 1 in the engine's `is_deleted` "
	       "column; without such a column it is written like any other.\n\n" CONNECTION_DOC,
	.settings = &sink_table,
	.example = "type: clickhouse\n"
		   "config:\n"
		   "  connectionStringSecretRef:\n"
		   "    name: clickhouse\n"
		   "    key: url\n"
		   "  table: shop.orders\n"
		   "  batchSize: 10000\n"
		   "  autoCreateTable: true\n"
		   "  upsertMode: true\n"
		   "  conflictKey: id\n"
		   "  replacingVersionColumn: updated_at\n",
	.repeatable = sink_repeatable,
};

const struct df_connector df_connector_clickhouse = {
	.source = &source_type,
	.sink = &sink_type,
	.source_ops = DF_WITH_CLICKHOUSE ? &df_clickhouse_source_ops : NULL,
	.sink_ops = DF_WITH_CLICKHOUSE ? &df_clickhouse_sink_ops : NULL,
};

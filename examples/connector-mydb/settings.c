#include "settings.h"

#include "client.h"

/* ---- source ---------------------------------------------------------------------------------------------- */

#define CONNECTION_STRING(S)                                                                                      \
	DF_FIELD(S, connection_string, "connectionString", DF_REQUIRED | DF_SENSITIVE | DF_NO_BLANK,              \
		 .check = mydb_address_check, .example = "redis://app@redis.example:6379/0",                      \
		 .doc = "`redis://[user[:password]@]host[:port][/database]`. Percent-encode what a URL does not " \
			"take: `%40` for an @ in the password.")

#define SOURCE struct mydb_source_settings

static const struct df_field source_fields[] = {
	CONNECTION_STRING(SOURCE),
	DF_FIELD(SOURCE, stream, "stream", DF_REQUIRED, .example = "orders", .doc = "The stream to read."),
	DF_FIELD(SOURCE, start_id, "startId", 0, .def = "0-0", .check = mydb_id_check, .example = "1700000000000-0",
		 .doc = "Read what comes behind this entry. It counts until there is a position to go on from."),
	DF_FIELD(SOURCE, read_batch_size, "readBatchSize", 0, .def = "500", .min = 1, .max = INT32_MAX,
		 .doc = "Entries that are asked for at once. They are held in memory."),
	DF_FIELD(SOURCE, poll_interval, "pollInterval", 0, .def = "5", .min = 1, .max = 3600,
		 .doc = "Seconds that the server waits for new entries before it answers that there are none."),
};

static const struct df_table source_table = DF_TABLE(SOURCE, source_fields);

static bool keeps_position(const void *settings)
{
	(void)settings;
	return true;
}

static const struct df_type source_type = {
	.name = "mydb",
	.title = "Entries of a Redis stream",
	.doc = "Reads a stream entry by entry, and then waits for more. An entry with a field `data`, as the sink "
	       "writes it, is a message with that payload, and its field `_metadata`, if any, is the metadata. Any other "
	       "entry becomes an object of its fields, all texts; a text that is not valid UTF-8 becomes bytes.\n\n"
	       "Metadata: `stream`, and `id`, the entry's.",
	.settings = &source_table,
	.example = "type: mydb\n"
		   "config:\n"
		   "  connectionString: redis://redis.example:6379\n"
		   "  stream: orders\n",
	.keeps_position = keeps_position,
};

/* ---- sink ------------------------------------------------------------------------------------------------ */

#define SINK struct mydb_sink_settings

static const struct df_field sink_fields[] = {
	CONNECTION_STRING(SINK),
	DF_FIELD(SINK, stream, "stream", 0, .example = "orders",
		 .doc = "Each message becomes an entry of this stream, with its payload in the field `data`."),
	DF_FIELD(
		SINK, hash, "hash", 0, .example = "orders",
		.doc = "Each message becomes a field of this hash: `conflictKey` names it, the row as JSON is its value."),
	DF_FIELD(SINK, conflict_key, "conflictKey", 0, .example = "id",
		 .doc = "The key of the payload that tells whether two rows are the same. With `hash`."),
	DF_FIELD(
		SINK, upsert_mode, "upsertMode", 0,
		.doc = "A row whose key exists replaces the old one, and `operation: delete` removes it. Without it such "
		       "a row is skipped and counted. With `hash`."),
	DF_FIELD(SINK, raw_mode, "rawMode", 0,
		 .doc = "Store the metadata, too, in the field `_metadata`. With `stream`."),
	DF_BATCH_FIELDS_AT(SINK, batch, "1"),
};

static const struct df_rule sink_rules[] = {
	{ DF_RULE_ONE_OF, { "stream", "hash" } },	 { DF_RULE_EXCLUSIVE, { "stream", "hash" } },
	{ DF_RULE_TOGETHER, { "hash", "conflictKey" } }, { DF_RULE_REQUIRES, { "upsertMode", "hash" } },
	{ DF_RULE_REQUIRES, { "rawMode", "stream" } },
};

static const struct df_table sink_table = DF_TABLE_RULES(SINK, sink_fields, sink_rules);

/* A row of a hash stands there once, however often it is written. */
static bool repeatable(const void *settings)
{
	return ((const SINK *)settings)->hash != NULL;
}

static const struct df_type sink_type = {
	.name = "mydb",
	.title = "A Redis stream or hash",
	.doc = "Writes to a stream, which takes every message, or to a hash, whose rows have a key. A write is one "
	       "transaction (MULTI, EXEC): a lost connection leaves all of it or nothing.\n\n"
	       "What the server confirmed is as durable as its own settings make it (`appendfsync`).",
	.settings = &sink_table,
	.example = "type: mydb\n"
		   "config:\n"
		   "  connectionString: redis://redis.example:6379\n"
		   "  hash: orders\n"
		   "  conflictKey: id\n"
		   "  upsertMode: true\n",
	.repeatable = repeatable,
};

const struct df_connector df_connector_mydb = {
	.source = &source_type,
	.sink = &sink_type,
	.source_ops = &mydb_source_ops,
	.sink_ops = &mydb_sink_ops,
};

/*
 * @title@: the settings, and the descriptor by which DataFlow knows the connector. Parsing, defaults, error texts, the
 * `tokenSecretRef` twin, redaction, the schema and the reference page all come from these tables.
 */
#include "@dir@settings.h"

/* FILL IN: one row a setting. The type follows from the member; .doc is the sentence that people read. */
#define CONNECTION_FIELDS(S)                                                                                          \
	DF_FIELD(S, connection.path, "path", DF_REQUIRED | DF_NO_BLANK, .example = "/var/lib/@name@",                   \
		 .doc = "The directory that holds the store. It must exist."),                                        \
		DF_FIELD(S, connection.token, "token", DF_SENSITIVE,                                                  \
			 .doc = "What the store asks for when its directory holds a file `@name@.token`: its "          \
				"content."),                                                                          \
		DF_FIELD(S, connection.collection, "collection", DF_REQUIRED | DF_NO_BLANK, .example = "orders",      \
			 .doc = "The collection. One that does not exist is empty, and is made."),                    \
		DF_FIELD(S, connection.connect_timeout, "connectTimeout", 0, .def = "10", .min = 1, .max = INT32_MAX, \
			 .doc = "Seconds that connecting may take.")

//@if source
/* ---- source ---------------------------------------------------------------------------------------------- */

#define SOURCE struct df_@name@_source_settings

static const struct df_field source_fields[] = {
	CONNECTION_FIELDS(SOURCE),
	DF_FIELD(SOURCE, poll_interval, "pollInterval", 0, .def = "1", .min = 1, .max = INT32_MAX,
		 .doc = "Seconds until the store is asked again when it had nothing new."),
};

static const struct df_table source_table = DF_TABLE(SOURCE, source_fields);

/* FILL IN: does the checkpoint hold a position with these settings? */
static bool source_keeps_position(const void *settings)
{
	(void)settings;
	return true;
}

static const struct df_type source_type = {
	.name = "@name@",
	.title = "Records of a collection of @title@",
	.doc = "FILL IN: what a message is made of, in which order messages come, and what the position is.\n\n"
	       "Reads the records of a collection in the order in which they were stored, and then waits for more. A "
	       "message is one record's JSON text. The position is the record's number, which grows and is never used "
	       "twice; a record that was replaced is read once, as it is now.",
	.settings = &source_table,
	.example = "type: @name@\n"
		   "config:\n"
		   "  path: /var/lib/@name@\n"
		   "  collection: orders\n",
	.keeps_position = source_keeps_position,
};

//@end
//@if sink
/* ---- sink ------------------------------------------------------------------------------------------------ */

#define SINK struct df_@name@_sink_settings

static const struct df_field sink_fields[] = {
	CONNECTION_FIELDS(SINK),
	DF_BATCH_FIELDS(SINK),
	DF_FIELD(SINK, upsert_mode, "upsertMode", 0,
		 .doc = "A record replaces the one with the same key, instead of being added."),
	DF_FIELD(SINK, conflict_key, "conflictKey", 0, .def = "id", .example = "order_id",
		 .doc = "With `upsertMode`: the member of the record that is its key."),
};

/* FILL IN: rules across fields; a CHECK row (src/spec/field.h) for what no rule says. */
static const struct df_rule sink_rules[] = {
	{ .kind = DF_RULE_POINTLESS, .fields = { "conflictKey", "upsertMode" } },
};

static const struct df_table sink_table = DF_TABLE_RULES(SINK, sink_fields, sink_rules);

/* FILL IN: does a row that is written twice stand there once, with these settings? */
static bool sink_repeatable(const void *settings)
{
	const SINK *s = settings;

	return s->upsert_mode;
}

static const struct df_type sink_type = {
	.name = "@name@",
	.title = "A collection of @title@",
	.doc = "FILL IN: what becomes of a message, what is refused, and what holds when a batch fails.\n\n"
	       "A message, which must be a JSON object, becomes one record. The records of one batch are stored "
	       "together or not at all.",
	.settings = &sink_table,
	.example = "type: @name@\n"
		   "config:\n"
		   "  path: /var/lib/@name@\n"
		   "  collection: orders\n"
		   "  upsertMode: true\n",
	.repeatable = sink_repeatable,
};

//@end
/* ---- descriptor ------------------------------------------------------------------------------------------ */

//@if tree
const struct df_connector df_connector_@name@ = {
//@else
static const struct df_connector connector = {
//@end
//@if source
	.source = &source_type,
//@if tree
	.source_ops = DF_WITH_@NAME@ ? &df_@name@_source_ops : NULL,
//@else
	.source_ops = &df_@name@_source_ops,
//@end
//@end
//@if sink
	.sink = &sink_type,
//@if tree
	.sink_ops = DF_WITH_@NAME@ ? &df_@name@_sink_ops : NULL,
//@else
	.sink_ops = &df_@name@_sink_ops,
//@end
//@end
};
//@if plugin

DF_PLUGIN("@name@", VERSION, &connector);
//@end

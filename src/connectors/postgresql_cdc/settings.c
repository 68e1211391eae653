#include "connectors/postgresql_cdc/settings.h"

static const char *const snapshot_modes[] = { "initial", "never", "always", NULL };
static const char *const plugins[] = { "pgoutput", NULL };
static const char *const envelopes[] = { "row", "debezium", NULL };

static int check_slot(struct df_str text, struct df_error *err)
{
	bool good = text.len >= 1 && text.len <= 63;

	for (size_t i = 0; good && i < text.len; i++)
		good = (text.ptr[i] >= 'a' && text.ptr[i] <= 'z') || (text.ptr[i] >= '0' && text.ptr[i] <= '9') ||
		       text.ptr[i] == '_';
	if (!good)
		return df_error_set(err, DF_ERR_CONFIG,
				    "a slot's name is 1 to 63 of a-z, 0-9 and _, not `" DF_STR_FMT "`",
				    DF_STR_ARG(text));
	return 0;
}

static int check_table(struct df_str text, struct df_error *err)
{
	const char *dot = text.len ? memchr(text.ptr, '.', text.len) : NULL;
	size_t first = dot ? (size_t)(dot - text.ptr) : text.len;
	int r = df_check_identifier(df_str(text.ptr, first), err);

	if (r == 0 && dot)
		r = df_check_identifier(df_str(dot + 1, text.len - first - 1), err);
	if (r)
		return df_error_set(err, DF_ERR_CONFIG, "must be `table` or `schema.table`, not `" DF_STR_FMT "`",
				    DF_STR_ARG(text));
	return 0;
}

#define S struct df_postgresql_cdc_settings

static const struct df_field fields[] = {
	DF_FIELD(S, connection_string, "connectionString", DF_REQUIRED | DF_SENSITIVE | DF_NO_BLANK,
		 .example = "postgres://replicator@db.example:5432/shop",
		 .doc = "Where the database is and who logs in. The user needs the REPLICATION attribute."),
	DF_FIELD(S, slot_name, "slotName", DF_REQUIRED, .check = check_slot, .example = "dataflow_orders",
		 .doc = "The replication slot, which keeps the position on the server."),
	DF_FIELD(S, publication_name, "publicationName", DF_REQUIRED | DF_NO_BLANK, .example = "dataflow_orders",
		 .doc = "The publication that names the tables."),
	DF_FIELD(S, tables, "tables", DF_REQUIRED, .check = check_table, .example = "[public.orders, public.customers]",
		 .doc = "The tables to follow, each `table` or `schema.table`."),
	DF_FIELD(S, snapshot_mode, "snapshotMode", 0, .def = "initial", .values = snapshot_modes,
		 .doc = "Read what is in the tables before following changes: once, never, or at every start."),
	DF_FIELD(S, create_slot, "createSlotIfNotExists", 0, .def = "true", .doc = "Create a missing slot."),
	DF_FIELD(S, create_publication, "createPublicationIfNotExists", 0, .def = "true",
		 .doc = "Create a missing publication."),
	DF_FIELD(S, plugin, "plugin", 0, .def = "pgoutput", .values = plugins, .doc = "The output plugin."),
	DF_FIELD(S, heartbeat_interval_seconds, "heartbeatIntervalSeconds", 0, .def = "10", .min = 0, .max = INT32_MAX,
		 .doc = "Seconds between two status messages to the server. 0: only when something was acknowledged."),
	DF_FIELD(S, primary_key_column, "primaryKeyColumn", 0, .def = "id", .check = df_check_identifier,
		 .doc = "The column whose value becomes the metadata `id`."),
	DF_FIELD(S, include_columns, "includeColumns", 0, .check = df_check_identifier, .example = "[id, status]",
		 .doc = "Only these columns."),
	DF_FIELD(S, exclude_columns, "excludeColumns", 0, .check = df_check_identifier, .example = "[photo]",
		 .doc = "Not these columns, also when `includeColumns` names them."),
	DF_FIELD(S, envelope_format, "envelopeFormat", 0, .def = "row", .values = envelopes,
		 .doc = "`row`: the row alone. `debezium`: before and after in Debezium's envelope."),
};

#undef S

static const struct df_table table = DF_TABLE(struct df_postgresql_cdc_settings, fields);

static bool keeps_position(const void *settings)
{
	(void)settings;
	return true;
}

static const struct df_type source_type = {
	.name = "postgresql-cdc",
	.title = "Follows the changes of PostgreSQL tables through logical replication.",
	.doc = "First a snapshot of the tables, then every insert, update and delete in commit order. The slot's "
	       "position moves only below changes that are completely done.\n\n"
	       "Every message carries the metadata `operation`, `table`, `lsn` and `id`.",
	.settings = &table,
	.later = true,
	.example = "type: postgresql-cdc\n"
		   "config:\n"
		   "  connectionStringSecretRef:\n"
		   "    name: shop-db\n"
		   "    key: replication-url\n"
		   "  slotName: dataflow_orders\n"
		   "  publicationName: dataflow_orders\n"
		   "  tables:\n"
		   "    - public.orders\n",
	.keeps_position = keeps_position,
};

const struct df_connector df_connector_postgresql_cdc = {
	.source = &source_type,
};

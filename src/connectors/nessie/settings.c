#include "connectors/nessie/settings.h"

/* Rows of a struct S with a member `struct df_nessie_connection connection`. */
#define CONNECTION_FIELDS(S)                                                                 \
	DF_FIELD(S, connection.base_url, "baseURL", DF_REQUIRED, .check = df_check_http_url, \
		 .example = "https://nessie.example:19120", .doc = "Where Nessie answers."), \
		DF_FIELD(S, connection.branch, "branch", 0, .def = "main", .doc = "The branch.")

/* ---- source ---------------------------------------------------------------------------------------------- */

#define S struct df_nessie_source_settings

static const struct df_field source_fields[] = {
	CONNECTION_FIELDS(S),
	DF_CATALOG_FIELDS(S),
	DF_CATALOG_SOURCE_FIELDS(S),
};

#undef S

static void check_source(const void *settings, const struct df_place *place, struct df_diags *diags)
{
	const struct df_nessie_source_settings *s = settings;

	df_catalog_check(&s->catalog, place, diags);
}

static const struct df_rule source_rules[] = {
	DF_CATALOG_SOURCE_RULES,
	{ DF_RULE_CHECK, .fn = check_source,
	  .text = "`BEARER` needs `bearerToken` or `tokenSecretRef`, `BASIC` needs a complete `basicAuth`." },
};

static const struct df_table source_table =
	DF_TABLE_RULES(struct df_nessie_source_settings, source_fields, source_rules);

static bool source_keeps_position(const void *settings)
{
	const struct df_nessie_source_settings *s = settings;

	return s->source.incremental_by_snapshot;
}

static const struct df_type source_type = {
	.name = "nessie",
	.title = "Reads an Iceberg table from a Nessie catalog.",
	.doc = "Either the whole table at every poll, or with `incrementalBySnapshot` what each snapshot added.",
	.settings = &source_table,
	.later = true,
	.example = "type: nessie\n"
		   "config:\n"
		   "  baseURL: https://nessie.example:19120\n"
		   "  branch: main\n"
		   "  namespace: sales\n"
		   "  table: orders\n"
		   "  incrementalBySnapshot: true\n",
	.keeps_position = source_keeps_position,
};

/* ---- sink ------------------------------------------------------------------------------------------------ */

#define S struct df_nessie_sink_settings

static const struct df_field sink_fields[] = {
	CONNECTION_FIELDS(S),
	DF_CATALOG_FIELDS(S),
	DF_CATALOG_SINK_FIELDS(S),
};

#undef S

static void check_sink(const void *settings, const struct df_place *place, struct df_diags *diags)
{
	const struct df_nessie_sink_settings *s = settings;

	df_catalog_check(&s->catalog, place, diags);
	df_batch_check(&s->sink.batch, 500, place, diags);
}

static const struct df_rule sink_rules[] = {
	DF_CATALOG_SINK_RULES,
	{ DF_RULE_CHECK, .fn = check_sink,
	  .text = "`BEARER` needs `bearerToken` or `tokenSecretRef`, `BASIC` needs a complete `basicAuth`." },
};

static const struct df_table sink_table = DF_TABLE_RULES(struct df_nessie_sink_settings, sink_fields, sink_rules);

static const struct df_type sink_type = {
	.name = "nessie",
	.title = "Appends rows to an Iceberg table of a Nessie catalog.",
	.doc = "One snapshot a flush, so large batches pay.",
	.settings = &sink_table,
	.later = true,
	.example = "type: nessie\n"
		   "config:\n"
		   "  baseURL: https://nessie.example:19120\n"
		   "  branch: main\n"
		   "  namespace: sales\n"
		   "  table: orders\n"
		   "  batchSize: 5000\n"
		   "  autoCreateTable: true\n",
};

const struct df_connector df_connector_nessie = {
	.source = &source_type,
	.sink = &sink_type,
};

#include "connectors/trino/settings.h"

#include <strings.h>

/* ---- authentication -------------------------------------------------------------------------------------- */

#define S struct df_trino_keycloak_settings

static const struct df_field keycloak_fields[] = {
	DF_FIELD(S, token, "token", DF_SENSITIVE, .doc = "A fixed token. It is never refreshed."),
	DF_FIELD(S, server_url, "serverURL", 0, .check = df_check_http_url, .example = "https://login.example",
		 .doc = "Where Keycloak answers."),
	DF_FIELD(S, realm, "realm", 0, .example = "data", .doc = "The realm."),
	DF_FIELD(S, client_id, "clientID", 0, .example = "dataflow", .doc = "The client."),
	DF_FIELD(S, username, "username", 0, .example = "dataflow", .doc = "The user of a password grant."),
	DF_FIELD(S, password, "password", DF_SENSITIVE, .doc = "The password of a password grant."),
	DF_FIELD(S, client_secret, "clientSecret", DF_SENSITIVE,
		 .doc = "The client's secret: alone for a client-credentials grant, beside a user when the client is "
			"confidential."),
};

#undef S

static void check_keycloak(const void *settings, const struct df_place *place, struct df_diags *diags)
{
	const struct df_trino_keycloak_settings *k = settings;
	bool realm = df_secret_given(&k->server_url) && df_secret_given(&k->realm) && df_secret_given(&k->client_id);
	bool user = df_secret_given(&k->username) && df_secret_given(&k->password);
	bool other = df_secret_given(&k->server_url) || df_secret_given(&k->realm) || df_secret_given(&k->client_id) ||
		     df_secret_given(&k->username) || df_secret_given(&k->password) ||
		     df_secret_given(&k->client_secret);

	if (df_secret_given(&k->token)) {
		if (other)
			df_diag_warning(diags, place, "token", "is used; the other fields beside it have no effect");
		return;
	}
	if (!realm)
		df_diag_error(diags, place, NULL,
			      "needs token, or serverURL, realm and clientID (each directly or by its SecretRef)");
	else if (!user && !df_secret_given(&k->client_secret))
		df_diag_error(diags, place, NULL, "needs username and password, or clientSecret, or both");
}

static const struct df_rule keycloak_rules[] = {
	{ DF_RULE_TOGETHER, { "username", "password" } },
	{ DF_RULE_CHECK, .fn = check_keycloak,
	  .text = "Either `token`, or `serverURL`, `realm` and `clientID` with `username` and `password`, with "
		  "`clientSecret`, or with both." },
};

static const struct df_table keycloak_table =
	DF_TABLE_RULES(struct df_trino_keycloak_settings, keycloak_fields, keycloak_rules);

static const char *const auth_types[] = { "oauth2", NULL };

static const struct df_field auth_fields[] = {
	DF_FIELD(struct df_trino_auth_settings, type, "type", DF_REQUIRED, .values = auth_types,
		 .doc = "Always `oauth2`."),
	DF_FIELD(struct df_trino_auth_settings, token_url, "tokenUrl", DF_REQUIRED, .check = df_check_http_url,
		 .example = "https://login.example/token", .doc = "Where tokens are asked for."),
	DF_FIELD(struct df_trino_auth_settings, client_id, "clientId", DF_REQUIRED | DF_NO_BLANK, .example = "dataflow",
		 .doc = "The client."),
	DF_FIELD(struct df_trino_auth_settings, client_secret, "clientSecret", DF_REQUIRED | DF_SENSITIVE,
		 .ref = "clientSecretRef", .doc = "The client's secret."),
};

static const struct df_table auth_table = DF_TABLE(struct df_trino_auth_settings, auth_fields);

/* Rows of a struct S with a member `struct df_trino_connection connection`. */
#define CONNECTION_FIELDS(S)                                                                                        \
	DF_FIELD(S, connection.server_url, "serverURL", DF_REQUIRED, .check = df_check_http_url,                    \
		 .example = "https://trino.example:8443", .doc = "Where the coordinator answers."),                 \
		DF_FIELD(S, connection.catalog, "catalog", DF_REQUIRED | DF_NO_BLANK, .example = "iceberg",         \
			 .doc = "The catalog."),                                                                    \
		DF_FIELD(S, connection.schema, "schema", DF_REQUIRED | DF_NO_BLANK, .example = "sales",             \
			 .doc = "The schema."),                                                                     \
		DF_FIELD(S, connection.user, "user", DF_OURS | DF_NO_BLANK, .def = "dataflow-operator",             \
			 .doc = "The user that queries run as (`X-Trino-User`)."),                                  \
		DF_FIELD(S, connection.password, "password", DF_OURS | DF_SENSITIVE,                                \
			 .doc = "The password of `user`. Only over https."),                                        \
		DF_FIELD(S, connection.tls, "tls", DF_OURS, .table = &df_tls_table,                                 \
			 .doc = "CA and client certificate for https, of the coordinator and of the token server. " \
				"Absent: verified with the system's CAs."),                                         \
		DF_FIELD(S, connection.client_tags, "clientTags", DF_OURS, .example = "[etl, orders]",              \
			 .doc = "Tags of the queries, for the server's resource groups."),                          \
		DF_FIELD(S, connection.query_timeout_seconds, "queryTimeoutSeconds", 0, .def = "600",               \
			 .min = INT32_MIN, .max = INT32_MAX,                                                        \
			 .doc = "Seconds one query may run. 0 or less: the default."),                              \
		DF_FIELD(S, connection.compression, "compression", DF_OURS,                                         \
			 .doc = "Ask for gzip: a quarter of the bytes, but the server takes three times as long "   \
				"for a page. For slow networks. The segments of the spooled protocol are "          \
				"compressed in any case."),                                                         \
		DF_FIELD(S, connection.keycloak, "keycloak", 0, .table = &keycloak_table,                           \
			 .doc = "Log in with a token, or with one that Keycloak issues."),                          \
		DF_FIELD(S, connection.auth, "auth", DF_DEPRECATED, .table = &auth_table,                           \
			 .doc = "A client-credentials grant at `tokenUrl`. Use `keycloak`.")

static void check_connection(const struct df_trino_connection *c, const struct df_place *place, struct df_diags *diags)
{
	if (df_secret_given(&c->password) && c->server_url.value && !c->server_url.ref &&
	    strncasecmp(c->server_url.value, "https:", strlen("https:")) != 0)
		df_diag_error(diags, place, "password", "is sent over https only, and serverURL is not https");
}

#define CONNECTION_RULES                                                                                  \
	{ DF_RULE_EXCLUSIVE, { "keycloak", "auth" } }, { DF_RULE_EXCLUSIVE, { "keycloak", "password" } }, \
	{                                                                                                 \
		DF_RULE_EXCLUSIVE,                                                                        \
		{                                                                                         \
			"auth", "password"                                                                \
		}                                                                                         \
	}

/* ---- source ---------------------------------------------------------------------------------------------- */

#define S struct df_trino_source_settings

static const struct df_field source_fields[] = {
	CONNECTION_FIELDS(S),
	DF_POLLING_FIELDS(S, "updated_at", NULL),
	DF_SOURCE_RAW_MODE_FIELD(S),
};

#undef S

static void check_source(const void *settings, const struct df_place *place, struct df_diags *diags)
{
	const struct df_trino_source_settings *s = settings;

	check_connection(&s->connection, place, diags);
}

static const struct df_rule source_rules[] = {
	DF_POLLING_RULES,
	CONNECTION_RULES,
	{ DF_RULE_CHECK, .fn = check_source, .text = "`password` needs an https `serverURL`." },
};

static const struct df_table source_table =
	DF_TABLE_RULES(struct df_trino_source_settings, source_fields, source_rules);

static bool source_keeps_position(const void *settings)
{
	const struct df_trino_source_settings *s = settings;

	return !s->polling.query || s->polling.change_tracking_column;
}

static const struct df_type source_type = {
	.name = "trino",
	.title = "Reads a table or query through Trino, again and again, from where it stood.",
	.doc = "Rows come in the order of `changeTrackingColumn` and `orderByColumn`; the position is a pair of both "
	       "and is kept in the checkpoint. Rows are emitted as Trino answers, a large result is never collected "
	       "first.\n\n"
	       "Every message carries the metadata `catalog`, `schema`, `table` and `id`.",
	.settings = &source_table,
	.example = "type: trino\n"
		   "config:\n"
		   "  serverURL: https://trino.example:8443\n"
		   "  catalog: hive\n"
		   "  schema: sales\n"
		   "  table: orders\n"
		   "  keycloak:\n"
		   "    serverURL: https://login.example\n"
		   "    realm: data\n"
		   "    clientID: dataflow\n"
		   "    clientSecretSecretRef:\n"
		   "      name: trino\n"
		   "      key: client-secret\n",
	.keeps_position = source_keeps_position,
};

/* ---- sink ------------------------------------------------------------------------------------------------ */

#define S struct df_trino_sink_settings

static const struct df_field sink_fields[] = {
	CONNECTION_FIELDS(S),
	DF_TABLE_SINK_FIELDS(S, "1", NULL, "ignore", NULL),
	DF_FIELD(S, supports_merge, "supportsMerge", DF_OURS,
		 .doc = "`upsertMode` on a catalog whose name does not contain `iceberg`: its connector has MERGE."),
};

#undef S

static void check_sink(const void *settings, const struct df_place *place, struct df_diags *diags)
{
	const struct df_trino_sink_settings *s = settings;
	const struct df_secret *catalog = &s->connection.catalog;

	check_connection(&s->connection, place, diags);
	df_batch_check(&s->table_sink.batch, 10, place, diags);
	/* From a Secret it is checked at start, when the value is there. */
	if (s->table_sink.upsert_mode && !s->supports_merge && catalog->value && !strcasestr(catalog->value, "iceberg"))
		df_diag_error(
			diags, place, "upsertMode",
			"needs a catalog with MERGE: one whose name contains `iceberg`, not `%s`; if it has MERGE, set "
			"supportsMerge: true",
			catalog->ref ? "(from a Secret)" : catalog->value);
}

static const struct df_rule sink_rules[] = {
	DF_FLATTEN_METADATA_RULES,
	CONNECTION_RULES,
	{ DF_RULE_REQUIRES, { "upsertMode", "conflictKey" } },
	{ DF_RULE_CHECK, .fn = check_sink, .text = "`upsertMode` needs a catalog whose name contains `iceberg`." },
};

static const struct df_table sink_table = DF_TABLE_RULES(struct df_trino_sink_settings, sink_fields, sink_rules);

static bool sink_repeatable(const void *settings)
{
	const struct df_trino_sink_settings *s = settings;

	return s->table_sink.upsert_mode && s->table_sink.conflict_key;
}

static const struct df_type sink_type = {
	.name = "trino",
	.title = "Writes rows to a table through Trino.",
	.doc = "One INSERT (with `upsertMode` one MERGE) a flush; every statement costs a query, so large batches pay. "
	       "With `upsertMode` a message with the operation `delete` removes its row. Keys without a column are "
	       "left out unless `unknownFields` says `error`.",
	.settings = &sink_table,
	.example = "type: trino\n"
		   "config:\n"
		   "  serverURL: https://trino.example:8443\n"
		   "  catalog: iceberg\n"
		   "  schema: sales\n"
		   "  table: orders\n"
		   "  batchSize: 1000\n"
		   "  upsertMode: true\n"
		   "  conflictKey: id\n",
	.repeatable = sink_repeatable,
};

extern const struct df_source_ops df_trino_source_ops;
extern const struct df_sink_ops df_trino_sink_ops;

const struct df_connector df_connector_trino = {
	.source = &source_type,
	.sink = &sink_type,
	.source_ops = DF_WITH_TRINO ? &df_trino_source_ops : NULL,
	.sink_ops = DF_WITH_TRINO ? &df_trino_sink_ops : NULL,
};

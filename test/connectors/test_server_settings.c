/* The settings of the server connectors: examples, rules across fields, the checks that they share. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "connectors/clickhouse/settings.h"
#include "connectors/kafka/settings.h"
#include "connectors/trino/settings.h"
#include "spec/yaml.h"

#define DF_CONNECTOR(name) extern const struct df_connector df_connector_##name;
DF_CONNECTOR(kafka)
DF_CONNECTOR(postgresql)
DF_CONNECTOR(postgresql_cdc)
DF_CONNECTOR(clickhouse)
DF_CONNECTOR(trino)
DF_CONNECTOR(nessie)
DF_CONNECTOR(iceberg)
#undef DF_CONNECTOR

static const struct df_type *sources[8], *sinks[8];
static struct df_registry registry = { { sources, sinks, NULL }, { 0 } };

static int setup(void **state)
{
	const struct df_connector *all[] = { &df_connector_kafka,	   &df_connector_postgresql,
					     &df_connector_postgresql_cdc, &df_connector_clickhouse,
					     &df_connector_trino,	   &df_connector_nessie,
					     &df_connector_iceberg };

	(void)state;
	for (size_t i = 0; i < DF_ARRAY_SIZE(all); i++) {
		if (all[i]->source)
			sources[registry.count[DF_SOURCE]++] = all[i]->source;
		if (all[i]->sink)
			sinks[registry.count[DF_SINK]++] = all[i]->sink;
	}
	return 0;
}

struct parsed {
	struct df_component component;
	struct df_diags diags;
	struct df_buf text;
};

static void parse(struct parsed *p, enum df_component_kind kind, const char *yaml)
{
	const struct df_parse_options options = { .path = "c", .registry = &registry };
	struct df_yaml_documents documents;
	struct df_arena arena;

	*p = (struct parsed){ 0 };
	df_arena_init(&arena, NULL);
	df_yaml_parse(df_str_c(yaml), NULL, &arena, &documents, &p->diags);
	assert_int_equal(documents.count, 1);
	df_component_parse(kind, documents.items[0], NULL, &options, &p->component, &p->diags);
	df_diags_print(&p->diags, &p->text);
	df_arena_done(&arena);
}

static void parsed_done(struct parsed *p)
{
	df_component_done(&p->component);
	df_diags_done(&p->diags);
	df_buf_done(&p->text);
}

static void expect(enum df_component_kind kind, const char *yaml, size_t errors, size_t warnings, const char *part)
{
	struct parsed p;

	parse(&p, kind, yaml);
	if (p.diags.errors != errors || p.diags.count - p.diags.errors != warnings ||
	    (part && !strstr(df_buf_c(&p.text), part)))
		fail_msg("expected %zu errors, %zu warnings, \"%s\" for\n%s\nfound:\n%s", errors, warnings,
			 part ? part : "", yaml, df_buf_c(&p.text));
	parsed_done(&p);
}

#define GOOD(kind, yaml) expect(kind, yaml, 0, 0, NULL)
#define BAD(kind, yaml, part) expect(kind, yaml, 1, 0, part)
#define WARNS(kind, yaml, part) expect(kind, yaml, 0, 1, part)

static void test_examples(void **state)
{
	(void)state;
	for (int k = DF_SOURCE; k <= DF_SINK; k++)
		for (size_t i = 0; i < registry.count[k]; i++) {
			const struct df_type *type = registry.types[k][i];

			assert_non_null(type->title);
			assert_non_null(type->doc);
			assert_non_null(type->example);
			expect((enum df_component_kind)k, type->example, 0, 0, NULL);
		}
	assert_int_equal(registry.count[DF_SOURCE], 7);
	assert_int_equal(registry.count[DF_SINK], 6);
}

/* ---- shared checks --------------------------------------------------------------------------------------- */

static void test_query(void **state)
{
	static const char *const right[] = {
		"SELECT 1",
		"SELECT 1;",
		" SELECT 1 ; \n",
		"SELECT ';' FROM t",
		"SELECT \"a;b\", `c;d` FROM t",
		"SELECT 1 -- a; b",
		"SELECT 1; -- end",
		"SELECT 1 /* a; */ + 2",
		"SELECT $$a;b$$",
		"SELECT $q$;$q$, a$b FROM t",
		"SELECT 'it''s; fine'",
		"SELECT 1; /* end */",
		"SELECT 'open",
	};
	static const char *const wrong[] = { "SELECT 1; SELECT 2", "SELECT 1;;x", "SELECT '' ; x", ";", " ", "-- only",
					     "SELECT $1; x" };

	(void)state;
	for (size_t i = 0; i < DF_ARRAY_SIZE(right); i++)
		if (df_check_query(df_str_c(right[i]), NULL))
			fail_msg("refused: %s", right[i]);
	for (size_t i = 0; i < DF_ARRAY_SIZE(wrong); i++)
		if (!df_check_query(df_str_c(wrong[i]), NULL))
			fail_msg("accepted: %s", wrong[i]);
	assert_true(df_str_equal(df_query_trim(DF_STR(" a ;; ")), DF_STR("a")));
	assert_true(df_str_equal(df_query_trim(DF_STR(";")), DF_STR("")));
}

static void test_table_name(void **state)
{
	static const char *const right[] = { "t", "s.t", "Order Lines", "s.Order Lines" };
	static const char *const wrong[] = { "", ".t", "s.", "a.b.c", ".", " .t" };

	(void)state;
	for (size_t i = 0; i < DF_ARRAY_SIZE(right); i++)
		assert_int_equal(df_check_table_name(df_str_c(right[i]), NULL), 0);
	for (size_t i = 0; i < DF_ARRAY_SIZE(wrong); i++)
		assert_int_equal(df_check_table_name(df_str_c(wrong[i]), NULL), DF_ERR_CONFIG);
}

/* ---- kafka ----------------------------------------------------------------------------------------------- */

#define KAFKA(more) "type: kafka\nconfig:\n  brokers: [b:9092]\n  topic: t\n  consumerGroup: g\n" more
#define SASL "  sasl: {username: u, password: p}\n"

static void assert_security(const char *yaml, enum df_kafka_security want)
{
	struct parsed p;

	parse(&p, DF_SOURCE, yaml);
	assert_int_equal(p.diags.errors, 0);
	assert_int_equal(df_kafka_security(&((struct df_kafka_source_settings *)p.component.settings)->connection),
			 want);
	parsed_done(&p);
}

static void test_kafka_security(void **state)
{
	(void)state;
	assert_security(KAFKA(""), DF_KAFKA_PLAINTEXT);
	assert_security(KAFKA("  tls: {}\n"), DF_KAFKA_SSL);
	assert_security(KAFKA(SASL), DF_KAFKA_SASL_PLAINTEXT);
	assert_security(KAFKA("  tls: {}\n" SASL), DF_KAFKA_SASL_SSL);
	assert_security(KAFKA("  securityProtocol: sasl-ssl\n  tls: {}\n" SASL), DF_KAFKA_SASL_SSL);
	assert_security(KAFKA("  securityProtocol: Sasl plaintext\n" SASL), DF_KAFKA_SASL_PLAINTEXT);
	assert_security(KAFKA("  securityProtocol: plaintext\n"), DF_KAFKA_PLAINTEXT);
	BAD(DF_SOURCE, KAFKA("  securityProtocol: TLS\n"), "must be PLAINTEXT, SSL");
	BAD(DF_SOURCE, KAFKA("  securityProtocol: SSL_\n  tls: {}\n"), "must be PLAINTEXT, SSL");
	BAD(DF_SOURCE, KAFKA("  securityProtocol: SSL\n"), "SSL needs the block `tls`");
	BAD(DF_SOURCE, KAFKA("  securityProtocol: SSL\n  tls: {}\n" SASL),
	    "c.config.sasl: must be absent with securityProtocol SSL");
	BAD(DF_SOURCE, KAFKA("  securityProtocol: PLAINTEXT\n  tls: {}\n"), "c.config.tls: must be absent");
	BAD(DF_SOURCE, KAFKA("  securityProtocol: SASL_SSL\n  tls: {}\n"), "SASL_SSL needs the block `sasl`");
	BAD(DF_SINK, "type: kafka\nconfig: {brokers: [b:1], topic: t, securityProtocol: SASL_PLAINTEXT}\n",
	    "needs the block `sasl`");
	BAD(DF_SOURCE, KAFKA("  sasl: {username: u}\n"), "password");
	GOOD(DF_SOURCE,
	     KAFKA("  sasl: {mechanism: SCRAM-SHA-256, username: u, passwordSecretRef: {name: a, key: b}}\n"));
}

static void test_kafka_source(void **state)
{
	(void)state;
	WARNS(DF_SOURCE, "type: kafka\nconfig: {brokers: [b:9092], topic: t}\n",
	      "consumerGroup: warning: the default group");
	GOOD(DF_SOURCE, "type: kafka\nconfig: {brokersSecretRef: {name: a, key: b}, topicSecretRef: {name: a, key: c}, "
			"consumerGroupSecretRef: {name: a, key: d}}\n");
	BAD(DF_SOURCE, "type: kafka\nconfig: {brokers: [], topic: t, consumerGroup: g}\n", "brokers");
	BAD(DF_SOURCE, "type: kafka\nconfig: {brokers: ['b:x'], topic: t, consumerGroup: g}\n", "c.config.brokers[0]");
	BAD(DF_SOURCE, KAFKA("  format: avro\n"), "avro needs avroSchema");
	GOOD(DF_SOURCE, KAFKA("  format: avro\n  avroSchema: '{\"type\": \"string\"}'\n"));
	BAD(DF_SOURCE, KAFKA("  format: avro\n  avroSchema: '{'\n"), "must be an Avro schema as JSON text");
	GOOD(DF_SOURCE, KAFKA("  format: avro\n  avroSchemaSecretRef: {name: a, key: b}\n"));
	BAD(DF_SOURCE, KAFKA("  format: avro\n  avroSchema: '{}'\n  avroSchemaFile: /x\n"), "avroSchemaFile");
	GOOD(DF_SOURCE, KAFKA("  format: avro\n  schemaRegistry: {urlSecretRef: {name: a, key: b}, basicAuth: {}}\n"));
	BAD(DF_SOURCE, KAFKA("  format: avro\n  schemaRegistry: {url: http://r, basicAuth: {username: u}}\n"),
	    "password");
	BAD(DF_SOURCE, KAFKA("  format: avro\n  schemaRegistry: {url: r}\n"), "c.config.schemaRegistry.url");
	WARNS(DF_SOURCE, KAFKA("  schemaRegistry: {url: http://r}\n"), "schemaRegistry");
	BAD(DF_SOURCE, KAFKA("  consumerMaxWait: 1s\n  netReadTimeout: 1s\n"), "netReadTimeout: must be greater");
	GOOD(DF_SOURCE, KAFKA("  consumerMaxWait: 1s\n  netReadTimeout: 1001ms\n"));
	BAD(DF_SOURCE, KAFKA("  consumerMaxWait: 0s\n"), "consumerMaxWait");
	GOOD(DF_SOURCE, KAFKA("  heartbeatIntervalSeconds: 15\n"));
	BAD(DF_SOURCE, KAFKA("  heartbeatIntervalSeconds: 16\n"),
	    "16 is more than a third of sessionTimeoutSeconds (45)");
	WARNS(DF_SOURCE, KAFKA("  tls: {insecureSkipVerify: true, caFile: x}\n"), "has no effect beside a CA");
	GOOD(DF_SOURCE, KAFKA("  tls: {certFile: x, keySecretRef: {name: a, key: b}}\n"));
	BAD(DF_SOURCE, KAFKA("  tls: {certFile: x}\n"), "keyFile");
}

static void test_kafka_sink(void **state)
{
#define SINK(more) "type: kafka\nconfig:\n  brokers: [b:9092]\n  topic: t\n" more
	(void)state;
	GOOD(DF_SINK, SINK("  async: false\n  flushFrequency: 0s\n  maxOpenRequests: 1\n"));
	BAD(DF_SINK, SINK("  requiredAcks: local\n"), "`local` needs `idempotent: false`");
	GOOD(DF_SINK, SINK("  requiredAcks: local\n  idempotent: false\n"));
	WARNS(DF_SINK, SINK("  requiredAcks: none\n  idempotent: false\n"), "messages can be lost");
	BAD(DF_SINK, SINK("  maxOpenRequests: 6\n"), "6 is more than 5");
	GOOD(DF_SINK, SINK("  maxOpenRequests: 6\n  idempotent: false\n"));
	BAD(DF_SINK, SINK("  compression: brotli\n"), "compression");
	BAD(DF_SINK, SINK("  partitioner: murmur2\n"), "murmur2_random");
	BAD(DF_SINK, SINK("  format: avro\n"), "avro needs avroSchema");
#undef SINK
}

/* ---- SQL stores ------------------------------------------------------------------------------------------ */

#define PG(more) "type: postgresql\nconfig:\n  connectionString: postgres://h/d\n" more
#define CH(more) \
	"type: clickhouse\nconfig:\n  connectionString: clickhouse://h/d\n  table: d.t\n  batchSize: 500\n" more
#define TRINO(more) "type: trino\nconfig:\n  serverURL: http://t\n  catalog: iceberg\n  schema: s\n  table: t\n" more

static bool keeps(const char *yaml)
{
	struct parsed p;
	bool keeps_position;

	parse(&p, DF_SOURCE, yaml);
	assert_int_equal(p.diags.errors, 0);
	keeps_position = p.component.type->keeps_position(p.component.settings);
	parsed_done(&p);
	return keeps_position;
}

#define NAME_63 "a23456789b23456789c23456789d23456789e23456789f23456789g23456789"

static bool repeatable(const char *yaml)
{
	struct parsed p;
	bool is_repeatable;

	parse(&p, DF_SINK, yaml);
	assert_int_equal(p.diags.errors, 0);
	is_repeatable = p.component.type->repeatable(p.component.settings);
	parsed_done(&p);
	return is_repeatable;
}

static void test_postgresql(void **state)
{
	(void)state;
	BAD(DF_SOURCE, PG(""), "`table` or `query`");
	GOOD(DF_SOURCE, PG("  tableSecretRef: {name: a, key: b}\n"));
	GOOD(DF_SOURCE, PG("  table: t\n  query: SELECT 1;\n"));
	BAD(DF_SOURCE, PG("  query: SELECT 1; DROP TABLE t\n"), "must be one statement");
	BAD(DF_SOURCE, PG("  table: a.b.c\n"), "must be `name` or `schema.name`");
	GOOD(DF_SOURCE, PG("  table: " NAME_63 "." NAME_63 "\n"));
	BAD(DF_SOURCE, PG("  table: " NAME_63 "x\n"), "at most 63 bytes");
	BAD(DF_SINK, PG("  table: " NAME_63 "x.t\n"), "at most 63 bytes");
	BAD(DF_SOURCE, PG("  table: t\n  pollInterval: 0\n"), "pollInterval");
	BAD(DF_SOURCE, PG("  table: t\n  changeTrackingColumn: a-b\n"), "changeTrackingColumn");
	BAD(DF_SOURCE, PG("  query: SELECT 1\n  autoCreateTable: true\n"), "table");
	WARNS(DF_SOURCE, PG("  table: t\n  rawMode: true\n"), "belongs to the sink");
	assert_true(keeps(PG("  table: t\n")));
	assert_false(keeps(PG("  query: SELECT 1\n")));
	assert_true(keeps(PG("  query: SELECT 1\n  changeTrackingColumn: v\n")));

	GOOD(DF_SINK, PG("  table: t\n"));
	BAD(DF_SINK, PG(""), "table");
	WARNS(DF_SINK, PG("  table: t\n  batchSize: 99\n"), "batchSize: warning: 99 is small");
	GOOD(DF_SINK, PG("  table: t\n  batchSize: 100\n"));
	GOOD(DF_SINK, PG("  table: t\n  batchSize: 0\n"));
	WARNS(DF_SINK, PG("  table: t\n  batchSize: 0\n  batchFlushIntervalSeconds: 0\n"), "rows can wait for ever");
	WARNS(DF_SINK, PG("  table: t\n  batchSize: 100\n  batchFlushIntervalSeconds: 0\n"), "rows can wait for ever");
	WARNS(DF_SINK, PG("  table: t\n  rawMode: true\n  upsertMode: true\n"), "has no key to find old rows by");
	GOOD(DF_SINK, PG("  table: t\n  rawMode: true\n  upsertMode: true\n  flattenMetadataColumns: true\n  "
			 "conflictKey: id\n"));
	BAD(DF_SINK, PG("  table: t\n  flattenMetadataColumns: true\n"), "rawMode");
	BAD(DF_SINK, PG("  table: t\n  upsertMode: true\n  upsertStrategy: ifNewer\n"), "upsertVersionColumn");
	GOOD(DF_SINK, PG("  table: t\n  upsertMode: true\n  upsertStrategy: ifNewer\n  upsertVersionColumn: v\n"));
	WARNS(DF_SINK, PG("  table: t\n  upsertVersionColumn: v\n"),
	      "upsertVersionColumn: warning: has no effect without upsertMode");
	GOOD(DF_SINK, PG("  table: t\n  upsertMode: true\n  conflictKey: a, b\n"));
	BAD(DF_SINK, PG("  table: t\n  upsertMode: true\n  conflictKey: a b\n"), "conflictKey");
	BAD(DF_SINK, PG("  table: t\n  unknownFields: drop\n"), "unknownFields");
	assert_false(repeatable(PG("  table: t\n")));
	assert_true(repeatable(PG("  table: t\n  upsertMode: true\n")));
}

static void test_clickhouse(void **state)
{
	(void)state;
	GOOD(DF_SINK, CH(""));
	WARNS(DF_SINK, CH("  upsertMode: true\n  tableEngine: MergeTree\n"), "upsertMode has no effect");
	WARNS(DF_SINK, CH("  replacingVersionColumn: v\n"), "replacingVersionColumn: warning: has no effect");
	GOOD(DF_SINK, CH("  upsertMode: true\n  replacingVersionColumn: v\n"));
	GOOD(DF_SINK, CH("  tableEngine: ReplacingMergeTree\n  replacingVersionColumn: v\n"));
	assert_false(repeatable(CH("  upsertMode: true\n")));
	assert_true(repeatable(CH("  upsertMode: true\n  conflictKey: id\n")));
	assert_false(repeatable(CH("  upsertMode: true\n  conflictKey: id\n  tableEngine: MergeTree\n")));
}

#define KEYCLOAK(text) TRINO("  keycloak: {" text "}\n")

static void test_trino(void **state)
{
	(void)state;
	GOOD(DF_SINK, TRINO(""));
	GOOD(DF_SINK, TRINO("  queryTimeoutSeconds: -1\n"));
	BAD(DF_SINK, TRINO("  upsertMode: true\n"), "conflictKey");
	GOOD(DF_SINK, TRINO("  upsertMode: true\n  conflictKey: id\n"));
	BAD(DF_SINK,
	    "type: trino\nconfig: {serverURL: http://t, catalog: hive, schema: s, table: t, upsertMode: true, "
	    "conflictKey: id}\n",
	    "needs a catalog with MERGE");
	GOOD(DF_SINK,
	     "type: trino\nconfig: {serverURL: http://t, catalog: my_ICEBERG, schema: s, table: t, upsertMode: true, "
	     "conflictKey: id}\n");
	GOOD(DF_SINK,
	     "type: trino\nconfig: {serverURL: http://t, catalogSecretRef: {name: a, key: b}, schema: s, table: t, "
	     "upsertMode: true, conflictKey: id}\n");
	BAD(DF_SOURCE, "type: trino\nconfig: {serverURL: t, catalog: c, schema: s, table: t}\n", "serverURL");
	GOOD(DF_SOURCE, KEYCLOAK("token: x"));
	WARNS(DF_SOURCE, KEYCLOAK("token: x, realm: y"), "token: warning: is used");
	BAD(DF_SOURCE, KEYCLOAK(""), "needs token, or serverURL, realm and clientID");
	BAD(DF_SOURCE, KEYCLOAK("serverURL: http://k, realm: r, username: u, password: p"), "needs token, or");
	BAD(DF_SOURCE, KEYCLOAK("serverURL: http://k, realm: r, clientID: c"),
	    "needs username and password, or clientSecret");
	GOOD(DF_SOURCE,
	     KEYCLOAK("serverURL: http://k, realm: r, clientID: c, username: u, passwordSecretRef: {name: a, key: b}"));
	GOOD(DF_SOURCE,
	     KEYCLOAK("serverURL: http://k, realm: r, clientID: c, clientSecretSecretRef: {name: a, key: b}"));
	WARNS(DF_SOURCE,
	      TRINO("  auth: {type: oauth2, tokenUrl: http://k, clientId: c, clientSecretRef: {name: a, key: b}}\n"),
	      "deprecated");
}

/* ---- later ----------------------------------------------------------------------------------------------- */

#define CDC(more) "type: postgresql-cdc\nconfig:\n  connectionString: c\n  publicationName: p\n" more
#define NESSIE(more) "type: nessie\nconfig:\n  baseURL: http://n\n  namespace: n\n  table: t\n" more
#define ICEBERG(more) "type: iceberg\nconfig:\n  catalogURI: http://n\n  namespace: n\n  table: t\n" more

static void test_later(void **state)
{
	(void)state;
	GOOD(DF_SOURCE, CDC("  slotName: s\n  tables: [a, b.c]\n  excludeColumns: [x]\n"));
	BAD(DF_SOURCE, CDC("  slotName: S\n  tables: [a]\n"), "a slot's name is");
	BAD(DF_SOURCE, CDC("  slotName: s\n  tables: [a.b.c]\n"),
	    "c.config.tables[0]: must be `table` or `schema.table`");
	BAD(DF_SOURCE, CDC("  slotName: s\n  tables: []\n"), "tables");
	BAD(DF_SOURCE, CDC("  slotName: s\n  tables: [a]\n  plugin: wal2json\n"), "plugin");

	GOOD(DF_SOURCE, NESSIE("  query: a > 1\n  startSnapshotID: '9223372036854775807'\n"));
	BAD(DF_SOURCE, NESSIE("  startSnapshotID: '9223372036854775808'\n"), "must be a snapshot id");
	BAD(DF_SOURCE, NESSIE("  startSnapshotID: '-1'\n"), "must be a snapshot id");
	BAD(DF_SOURCE, NESSIE("  incrementalBySnapshot: true\n  query: a\n"), "query");
	BAD(DF_SOURCE, NESSIE("  authenticationType: bearer\n"), "BEARER needs bearerToken");
	GOOD(DF_SOURCE, NESSIE("  authenticationType: bearer\n  tokenSecretRef: {name: a, key: b}\n"));
	BAD(DF_SINK, NESSIE("  authenticationType: BASIC\n  basicAuth: {}\n"), "BASIC needs basicAuth");
	BAD(DF_SINK, NESSIE("  accessKeySecretRef: {name: a, key: b}\n"), "secretAccessKeySecretRef");
	WARNS(DF_SINK, NESSIE("  batchSize: 499\n"), "499 is small");
	assert_false(keeps(NESSIE("")));
	assert_true(keeps(NESSIE("  incrementalBySnapshot: true\n")));

	GOOD(DF_SOURCE, ICEBERG("  oauth2ClientID: a\n  oauth2ClientSecret: b\n"));
	BAD(DF_SOURCE, ICEBERG("  oauth2ClientID: a\n"), "oauth2ClientSecret");
	BAD(DF_SINK, ICEBERG("  oauth2ClientID: a\n  oauth2ClientSecret: b\n  bearerToken: c\n"), "bearerToken");
	WARNS(DF_SOURCE, "type: iceberg\nconfig: {catalogURL: http://n, namespace: n, table: t}\n", "catalogURI");
	BAD(DF_SOURCE, "type: iceberg\nconfig: {namespace: n, table: t}\n", "catalogURI");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_examples),     cmocka_unit_test(test_query),
		cmocka_unit_test(test_table_name),   cmocka_unit_test(test_kafka_security),
		cmocka_unit_test(test_kafka_source), cmocka_unit_test(test_kafka_sink),
		cmocka_unit_test(test_postgresql),   cmocka_unit_test(test_clickhouse),
		cmocka_unit_test(test_trino),	     cmocka_unit_test(test_later),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}

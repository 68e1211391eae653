/* The SQLite sink: what becomes of a row. test_sqlite_trouble.c has the failures. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>

#include "sqlite_kit.h"

/* ---- columns and values ---------------------------------------------------------------------------------- */

static void creates_a_table(void **state)
{
	struct kit *kit = *state;
	struct kit_sink s;

	OPEN(kit, &s, "{\"table\":\"t\",\"autoCreateTable\":true}");
	WRITTEN(kit_write(kit, &s,
			  "{\"id\":1,\"name\":\"a\",\"mag\":5,\"ok\":true,\"place\":{\"x\":[1,2]},\"none\":null}\n"
			  "{\"id\":2,\"name\":\"b\",\"mag\":4.5,\"ok\":false,\"extra\":\"e\"}"));
	kit_sink_close(&s);
	assert_string_equal(kit_query(kit, "SELECT name, type, pk FROM pragma_table_info('t')"),
			    "id|INTEGER|1\nname|TEXT|0\nmag|NUMERIC|0\nok|BOOLEAN|0\nplace|JSON TEXT|0\nnone|TEXT|0\n"
			    "extra|TEXT|0\ncreated_at|TIMESTAMP|0\nupdated_at|TIMESTAMP|0\n");
	assert_string_equal(kit_query(kit, "SELECT id, name, mag, typeof(mag), ok, place, none, extra FROM t"),
			    "1|a|5|integer|1|{\"x\":[1,2]}|NULL|NULL\n2|b|4.5|real|0|NULL|NULL|e\n");
	assert_string_equal(kit_query(kit, "SELECT count(*) FROM t WHERE created_at > '2020'"), "2\n");
}

/* One value into one declared type: what typeof() and the value are then, or NULL when it is refused. */
static void values_by_declared_type(void **state)
{
	static const struct {
		const char *type, *json, *stored;
	} rows[] = {
		{ "INTEGER", "1", "integer 1" },
		{ "INTEGER", "5.0", "integer 5" },
		{ "INTEGER", "1e3", "integer 1000" },
		{ "INTEGER", "-9223372036854775808", "integer -9223372036854775808" },
		{ "INTEGER", "9223372036854775808", NULL },
		{ "INTEGER", "1.5", NULL },
		{ "INTEGER", "\"17\"", "integer 17" },
		{ "INTEGER", "\" 17\"", NULL },
		{ "INTEGER", "\"x\"", NULL },
		{ "INTEGER", "true", "integer 1" },
		{ "INTEGER", "[1]", NULL },
		{ "REAL", "1", "real 1.0" },
		{ "REAL", "0.1", "real 0.1" },
		{ "REAL", "9007199254740993", NULL },
		{ "REAL", "0.1234567890123456789", NULL },
		{ "REAL", "0.30000000000000004", "real 0.3" },
		{ "REAL", "1e400", NULL },
		{ "REAL", "\"Infinity\"", "real Inf" },
		{ "REAL", "\"NaN\"", NULL },
		{ "NUMERIC", "9007199254740993", "integer 9007199254740993" },
		{ "DECIMAL(10,2)", "10.50", "real 10.5" },
		{ "DECIMAL(30,10)", "12345678901234567890.5", NULL },
		{ "TEXT", "12345678901234567890.50", "text 12345678901234567890.50" },
		{ "TEXT", "1e400", "text 1e400" },
		{ "TEXT", "true", "text true" },
		{ "TEXT", "{\"a\": [1, 2]}", "text {\"a\":[1,2]}" },
		{ "TEXT", "\"a\\u00e9\\n\"", "text a\xc3\xa9\n" },
		{ "TEXT", "\"\\ud800\"", NULL },
		{ "VARCHAR(3)", "\"longer\"", "text longer" },
		{ "BOOLEAN", "true", "integer 1" },
		{ "BOOLEAN", "0", "integer 0" },
		{ "BOOLEAN", "2", NULL },
		{ "BLOB", "\"AAH/\"", "blob \\x0001FF" },
		{ "BLOB", "\"\\\\x00ff\"", "blob \\x00FF" },
		{ "BLOB", "\"?\"", NULL },
		{ "BLOB", "1", NULL },
		{ "DATE", "\"2024-02-29\"", "text 2024-02-29" },
		{ "DATE", "\"2023-02-29\"", NULL },
		{ "DATE", "\"2024-02-29T10:00:00Z\"", NULL },
		{ "TIMESTAMP", "\"2024-02-29T12:00:00.120+02:00\"", "text 2024-02-29 10:00:00.12" },
		{ "DATETIME", "\"2024-02-29 12:00:00\"", "text 2024-02-29 12:00:00" },
		{ "DATETIME", "\"2024-02-29\"", "text 2024-02-29 00:00:00" },
		{ "DATETIME", "1700000000", "integer 1700000000" },
		{ "DATETIME", "\"yesterday\"", NULL },
		{ "TIMESTAMPTZ", "\"2024-02-29T12:00:00+02:00\"", "text 2024-02-29T10:00:00Z" },
		{ "JSON TEXT", "\"x\"", "text \"x\"" },
		{ "JSON TEXT", "1.10", "text 1.10" },
		{ "", "1", "integer 1" },
		{ "", "\"1\"", "text 1" },
		{ "", "0.1234567890123456789", "text 0.1234567890123456789" },
		{ "INTEGER", "null", "null NULL" },
	};
	struct kit *kit = *state;

	for (size_t i = 0; i < DF_ARRAY_SIZE(rows); i++) {
		char text[512];
		char expected[128];
		struct kit_sink s;

		snprintf(text, sizeof(text), "DROP TABLE IF EXISTS t; CREATE TABLE t (v %s)", rows[i].type);
		kit_sql(kit, text);
		OPEN(kit, &s, "{\"table\":\"t\"}");
		snprintf(text, sizeof(text), "{\"v\":%s}", rows[i].json);
		struct kit_result r = kit_write(kit, &s, text);
		kit_sink_close(&s);
		if (r.code != 0 || r.failed != (rows[i].stored ? 0 : 1))
			fail_msg("%s into %s: %s", rows[i].json, rows[i].type, r.failed ? r.err.text : "taken");
		if (r.failed) {
			assert_int_equal(r.err.code, DF_ERR_INVALID_DATA);
			assert_non_null(strstr(r.err.text, "column \"v\""));
			continue;
		}
		snprintf(expected, sizeof(expected), "%s\n", rows[i].stored);
		const char *stored =
			kit_query(kit, "SELECT typeof(v) || ' ' || CASE typeof(v) WHEN 'blob' THEN '\\x' || "
				       "hex(v) WHEN 'null' THEN 'NULL' ELSE v END FROM t");
		if (strcmp(stored, expected) != 0)
			fail_msg("%s into %s: %s", rows[i].json, rows[i].type, stored);
	}
}

static void hostile_names(void **state)
{
	struct kit *kit = *state;
	struct kit_sink s;

	OPEN(kit, &s, "{\"table\":\"we\\\"ird.t; DROP TABLE x--\xc3\xa9\",\"autoCreateTable\":true}");
	WRITTEN(kit_write(kit, &s, "{\"a\\\"b\":1,\"select\":2,\"x.y\":3,\"\xc3\xa9 \":4,\"');--\":5,\"rowid\":6}"));
	WRITTEN(kit_write(kit, &s, "{\"select\":7,\"a\\\"b\":8}"));
	kit_sink_close(&s);
	assert_string_equal(
		kit_query(kit, "SELECT \"a\"\"b\", \"select\", \"x.y\", \"\xc3\xa9 \", \"');--\", \"rowid\" FROM "
			       "\"we\"\"ird.t; DROP TABLE x--\xc3\xa9\""),
		"1|2|3|4|5|6\n8|7|NULL|NULL|NULL|NULL\n");
}

static void wrapped_bodies(void **state)
{
	struct kit *kit = *state;
	struct kit_sink s;

	OPEN(kit, &s, "{\"table\":\"t\",\"autoCreateTable\":true}");
	WRITTEN(kit_write(kit, &s,
			  "{\"value\":{\"a\":1},\"_metadata\":{\"k\":1}}\n{\"_metadata\":{},\"value\":{\"a\":2}}"));
	kit_sink_close(&s);
	assert_string_equal(kit_query(kit, "SELECT a FROM t"), "1\n2\n");
}

static void unknown_keys(void **state)
{
	struct kit *kit = *state;
	struct kit_sink s;

	kit_sql(kit, "CREATE TABLE t (a, g AS (a + 1))");
	OPEN(kit, &s, "{\"table\":\"t\"}");
	struct kit_result r = kit_write(kit, &s, "{\"a\":1,\"b\":2}\n{\"a\":3}\n{\"a\":1,\"g\":2}");
	assert_int_equal(r.failed, 2);
	assert_int_equal(r.err.code, DF_ERR_INVALID_DATA);
	assert_non_null(strstr(r.err.text, "\"b\""));
	kit_sink_close(&s);

	OPEN(kit, &s, "{\"table\":\"t\",\"unknownFields\":\"ignore\"}");
	r = kit_write(kit, &s, "{\"a\":1,\"b\":2,\"c\":3}");
	assert_int_equal(r.failed, 0);
	assert_int_equal(r.unknown_fields, 2);
	/* The table changes under the sink: its columns are looked at again. */
	kit_sql(kit, "ALTER TABLE t ADD COLUMN b");
	r = kit_write(kit, &s, "{\"a\":1,\"b\":2,\"c\":3}");
	assert_int_equal(r.unknown_fields, 1);
	kit_sink_close(&s);
	assert_string_equal(kit_query(kit, "SELECT * FROM t"), "3|4|NULL\n1|2|NULL\n1|2|2\n");
}

/* ---- conflicts, upserts, deletes ------------------------------------------------------------------------- */

static void conflicts_are_skipped(void **state)
{
	struct kit *kit = *state;
	struct kit_sink s;

	OPEN(kit, &s, "{\"table\":\"t\",\"autoCreateTable\":true}");
	struct kit_result r = kit_write(kit, &s, "{\"id\":1,\"v\":1}\n{\"id\":2,\"v\":1}\n{\"id\":1,\"v\":2}");
	assert_int_equal(r.failed, 0);
	assert_int_equal(r.unchanged, 1);
	kit_sink_close(&s);
	assert_string_equal(kit_query(kit, "SELECT id, v FROM t"), "1|1\n2|1\n");
}

static void upserts(void **state)
{
	const char *rows = "{\"k\":\"a\",\"n\":1,\"v\":\"x\"}\n{\"k\":\"a\",\"n\":2,\"v\":\"y\"}\n{\"k\":\"b\",\"n\":1,"
			   "\"v\":null}";
	struct kit *kit = *state;
	struct kit_sink s;

	OPEN(kit, &s, "{\"table\":\"t\",\"autoCreateTable\":true,\"upsertMode\":true,\"conflictKey\":\"k, n\"}");
	assert_int_equal(kit_write(kit, &s, rows).unchanged, 0);
	struct kit_result r = kit_write(kit, &s, rows);
	assert_int_equal(r.unchanged, 3);
	assert_int_equal(r.failed, 0);
	r = kit_write(kit, &s,
		      "{\"k\":\"a\",\"n\":1,\"v\":\"X\"}\n{\"k\":\"b\",\"n\":1}\n{\"k\":\"b\",\"v\":1}\n{\"k\":null,"
		      "\"n\":1}");
	assert_int_equal(r.failed, 2);
	assert_int_equal(r.index, 2);
	assert_int_equal(r.err.code, DF_ERR_INVALID_DATA);
	assert_int_equal(r.unchanged, 1);
	kit_sink_close(&s);
	assert_string_equal(kit_query(kit, "SELECT k, n, v FROM t"), "a|1|X\na|2|y\nb|1|NULL\n");
}

/* What a collation calls equal is still another text. */
static void upsert_sees_case(void **state)
{
	struct kit *kit = *state;
	struct kit_sink s;

	kit_sql(kit, "CREATE TABLE t (id PRIMARY KEY, v TEXT COLLATE NOCASE)");
	OPEN(kit, &s, "{\"table\":\"t\",\"upsertMode\":true}");
	WRITTEN(kit_write(kit, &s, "{\"id\":1,\"v\":\"a\"}"));
	assert_int_equal(kit_write(kit, &s, "{\"id\":1,\"v\":\"A\"}").unchanged, 0);
	kit_sink_close(&s);
	assert_string_equal(kit_query(kit, "SELECT v FROM t"), "A\n");
}

static void upsert_if_newer(void **state)
{
	struct kit *kit = *state;
	struct kit_sink s;

	kit_sql(kit, "CREATE TABLE t (id INTEGER PRIMARY KEY, ver INT, v); INSERT INTO t VALUES (1, 5, 'old'), (2, "
		     "NULL, 'old')");
	OPEN(kit, &s,
	     "{\"table\":\"t\",\"upsertMode\":true,\"upsertStrategy\":\"ifNewer\",\"upsertVersionColumn\":\"ver\"}");
	struct kit_result r = kit_write(kit, &s,
					"{\"id\":1,\"ver\":5,\"v\":\"same\"}\n{\"id\":1,\"ver\":4,\"v\":\"older\"}\n"
					"{\"id\":2,\"ver\":1,\"v\":\"first\"}\n{\"id\":3,\"v\":\"none\"}");
	assert_int_equal(r.unchanged, 2);
	assert_int_equal(r.failed, 1);
	assert_int_equal(r.index, 3);
	WRITTEN(kit_write(kit, &s, "{\"id\":1,\"ver\":6,\"v\":\"new\"}"));
	kit_sink_close(&s);
	assert_string_equal(kit_query(kit, "SELECT * FROM t"), "1|6|new\n2|1|first\n");
}

static void deletes(void **state)
{
	static const struct kit_message messages[] = {
		{ "{\"id\":1}", "{\"operation\":\"delete\"}" },
		{ "", "{\"operation\":\"delete\",\"id\":2}" },
		{ "{\"id\":9}", "{\"operation\":\"delete\"}" },
		{ "[]", "{\"operation\":\"delete\"}" },
		{ "{\"id\":4,\"v\":\"n\"}", "{\"operation\":\"update\"}" },
	};
	struct kit *kit = *state;
	struct kit_sink s;

	kit_sql(kit,
		"CREATE TABLE t (id INTEGER PRIMARY KEY, v, gone TIMESTAMP); INSERT INTO t(id) VALUES (1), (2), (3)");
	OPEN(kit, &s, "{\"table\":\"t\",\"softDeleteColumn\":\"gone\"}");
	struct kit_result r = kit_write_messages(kit, &s, messages, DF_ARRAY_SIZE(messages));
	assert_int_equal(r.failed, 1);
	assert_int_equal(r.index, 3);
	assert_int_equal(kit_write_messages(kit, &s, messages, 2).unchanged, 2);
	kit_sink_close(&s);
	assert_string_equal(kit_query(kit, "SELECT id, v, gone IS NULL FROM t"),
			    "1|NULL|0\n2|NULL|0\n3|NULL|1\n4|n|1\n");

	OPEN(kit, &s, "{\"table\":\"t\",\"upsertMode\":true}");
	assert_int_equal(kit_write_messages(kit, &s, messages, DF_ARRAY_SIZE(messages)).failed, 1);
	kit_sink_close(&s);
	assert_string_equal(kit_query(kit, "SELECT id FROM t"), "3\n4\n");

	/* Without either, a delete is a row like any other. */
	OPEN(kit, &s, "{\"table\":\"t\"}");
	WRITTEN(kit_write_messages(kit, &s, messages, 1));
	kit_sink_close(&s);
	assert_string_equal(kit_query(kit, "SELECT id FROM t"), "1\n3\n4\n");
}

/* ---- raw mode -------------------------------------------------------------------------------------------- */

static void raw_mode(void **state)
{
	static const struct kit_message messages[] = {
		{ "{\"a\": 1.50}", "{\"topic\":\"x\"}" },
		{ "{\"value\":[1],\"_metadata\":{\"k\":true}}", NULL },
		{ "plain text", NULL },
		{ "\xff\xfe", "{\"o\":1}" },
	};
	struct kit *kit = *state;
	struct kit_sink s;

	OPEN(kit, &s, "{\"table\":\"r\",\"rawMode\":true,\"autoCreateTable\":true}");
	WRITTEN(kit_write_messages(kit, &s, messages, DF_ARRAY_SIZE(messages)));
	kit_sink_close(&s);
	assert_string_equal(kit_query(kit, "SELECT id, data, _metadata FROM r"),
			    "1|{\"a\": 1.50}|{\"topic\":\"x\"}\n2|[1]|{\"k\":true}\n3|plain text|{}\n"
			    "4|//4=|{\"o\":1,\"data_encoding\":\"base64\"}\n");
}

static void raw_mode_flat(void **state)
{
	static const struct kit_message messages[] = {
		{ "{}", "{\"offset\":1,\"partition\":0,\"topic\":\"x\",\"timestamp\":\"2024-01-01T00:00:00.000Z\","
			"\"headers\":{\"h\":\"1\"}}" },
		{ "{}", "{\"offset\":2,\"late\":1}" },
	};
	struct kit *kit = *state;
	struct kit_sink s;

	OPEN(kit, &s,
	     "{\"table\":\"r\",\"rawMode\":true,\"autoCreateTable\":true,\"flattenMetadataColumns\":true,"
	     "\"flattenMetadataColumnsPrefix\":\"m_\"}");
	WRITTEN(kit_write_messages(kit, &s, messages, 1));
	assert_int_equal(kit_write_messages(kit, &s, messages + 1, 1).unknown_fields, 1);
	kit_sink_close(&s);
	assert_string_equal(
		kit_query(kit, "SELECT id, data, m_offset, m_partition, m_topic, m_timestamp, m_headers FROM r"),
		"1|{}|1|0|x|2024-01-01T00:00:00Z|{\"h\":\"1\"}\n2|{}|2|NULL|NULL|NULL|NULL\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(f) cmocka_unit_test_setup_teardown(f, kit_setup, kit_teardown)
		TEST(creates_a_table), TEST(values_by_declared_type),
		TEST(hostile_names),   TEST(wrapped_bodies),
		TEST(unknown_keys),    TEST(conflicts_are_skipped),
		TEST(upserts),	       TEST(upsert_sees_case),
		TEST(upsert_if_newer), TEST(deletes),
		TEST(raw_mode),	       TEST(raw_mode_flat),
	};

	return cmocka_run_group_tests_name("sqlite sink", tests, NULL, NULL);
}

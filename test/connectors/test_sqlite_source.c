/* The SQLite source: what is read, in which order, and where it goes on. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <stdio.h>

#include "base/clock.h"
#include "sqlite_kit.h"

#define SOURCE(kit, s, settings, checkpoint)                               \
	do {                                                               \
		int code_ = kit_source_open(kit, s, settings, checkpoint); \
		if (code_ == 0)                                            \
			code_ = kit_source_read(s);                        \
		if (code_ != 0)                                            \
			fail_msg("%s", (s)->err.text);                     \
	} while (0)

static void assert_rows(struct kit_source *s, const char *expected)
{
	assert_string_equal(df_buf_c(&s->rows), expected);
}

/* ---- rows ------------------------------------------------------------------------------------------------ */

static void values_and_metadata(void **state)
{
	struct kit *kit = *state;
	struct kit_source s;

	kit_sql(kit,
		"CREATE TABLE t (id INTEGER PRIMARY KEY, r REAL, x TEXT, b BLOB, ok BOOLEAN, d DATE, ts TIMESTAMP, tz "
		"TIMESTAMPTZ, j JSON TEXT, n NUMERIC, bad TEXT, created_at TIMESTAMP, updated_at TIMESTAMP);"
		"INSERT INTO t VALUES (1, 1.5, 'a\"b', x'00ff', 1, '2024-02-29', '2024-01-01 10:00:00.50', "
		"'2024-01-01T12:00:00+02:00', '{\"a\": 1.50}', 9007199254740993, CAST(x'41ff' AS TEXT), '2024-01-01 "
		"00:00:00', '2024-01-01 00:00:00');"
		"INSERT INTO t VALUES (2, 9e999, NULL, NULL, 2, 'no date', 'no time', 7, '{', 0.1, '', '2024-01-01 "
		"00:00:00', "
		"'2024-01-02T00:00:00Z')");
	SOURCE(kit, &s, "{\"table\":\"t\"}", NULL);
	assert_rows(
		&s,
		"{\"id\":1,\"r\":1.5,\"x\":\"a\\\"b\",\"b\":\"AP8=\",\"ok\":true,\"d\":\"2024-02-29\",\"ts\":\"2024-01-"
		"01T10:00:00.5Z\",\"tz\":\"2024-01-01T10:00:00Z\",\"j\":{\"a\":1.50},\"n\":9007199254740993,\"bad\":"
		"\"Qf8=\","
		"\"created_at\":\"2024-01-01T00:00:00Z\",\"updated_at\":\"2024-01-01T00:00:00Z\"}\n"
		"{\"id\":2,\"r\":\"Infinity\",\"x\":null,\"b\":null,\"ok\":2,\"d\":\"no date\",\"ts\":\"no "
		"time\",\"tz\":7,\"j\":"
		"\"{\",\"n\":0.1,\"bad\":\"\",\"created_at\":\"2024-01-01T00:00:00Z\",\"updated_at\":\"2024-01-02T00:"
		"00:00Z\"}\n");
	assert_string_equal(df_buf_c(&s.metadata),
			    "{\"table\":\"t\",\"operation\":\"insert\",\"id\":1,\"base64_fields\":[\"bad\"]}\n"
			    "{\"table\":\"t\",\"operation\":\"update\",\"id\":2}\n");
	assert_int_equal(s.idle, 1);
	kit_source_close(&s);
}

/* Every value that goes out comes back the same. */
static void out_and_back(void **state)
{
	static const char row[] =
		"{\"id\":1,\"i\":-5,\"big\":9223372036854775807,\"f\":0.1,\"t\":\"\xc3\xa9\\n\\u0000\",\"e\":\"\","
		"\"y\":true,\"n\":false,\"o\":{\"b\":[1,2.50,null]},\"z\":null}\n";
	struct kit *kit = *state;
	struct kit_sink sink;
	struct kit_source s;

	OPEN(kit, &sink, "{\"table\":\"t\",\"autoCreateTable\":true}");
	WRITTEN(kit_write(kit, &sink, row));
	kit_sink_close(&sink);
	SOURCE(kit, &s, "{\"query\":\"SELECT id, i, big, f, t, e, y, n, o, z FROM t;\"}", NULL);
	assert_rows(&s, row);
	kit_source_close(&s);
}

static void hostile_names(void **state)
{
	struct kit *kit = *state;
	struct kit_source s;

	kit_sql(kit,
		"CREATE TABLE \"we\"\"ird.t; --\" (id INTEGER PRIMARY KEY, \"a\"\"b\", \"x.y\", updated_at DEFAULT 1);"
		"INSERT INTO \"we\"\"ird.t; --\" (id) VALUES (1)");
	SOURCE(kit, &s, "{\"table\":\"we\\\"ird.t; --\"}", NULL);
	assert_rows(&s, "{\"id\":1,\"a\\\"b\":null,\"x.y\":null,\"updated_at\":1}\n");
	kit_source_close(&s);
}

/* ---- order and position ---------------------------------------------------------------------------------- */

#define IDS(s, expected) assert_string_equal(ids(s), expected)

/* The ids that were read, one digit or more each, separated by blanks. */
static const char *ids(struct kit_source *s)
{
	static char out[4096];
	size_t len = 0;
	const char *p = df_buf_c(&s->rows);

	out[0] = '\0';
	while ((p = strstr(p, "\"id\":"))) {
		p += strlen("\"id\":");
		len += (size_t)snprintf(out + len, sizeof(out) - len, "%s%.*s", len ? " " : "", (int)strcspn(p, ",}"),
					p);
	}
	return out;
}

static const char big_groups[] =
	"CREATE TABLE t (id INTEGER, updated_at INTEGER);"
	"INSERT INTO t VALUES (5, 2), (1, 1), (2, 1), (2, 1), (2, 1), (2, 1), (3, 1), (4, 2), (6, 3)";

static void ties_are_not_torn(void **state)
{
	struct kit *kit = *state;

	kit_sql(kit, big_groups);
	for (int n = 0; n < 10; n++) {
		char settings[64];
		struct kit_source s;

		snprintf(settings, sizeof(settings), "{\"table\":\"t\",\"readBatchSize\":%d}", n);
		SOURCE(kit, &s, settings, NULL);
		IDS(&s, "1 2 2 2 2 3 4 5 6");
		kit_source_close(&s);
	}
}

/* Whichever row is the last that was done before a crash: afterwards nothing is missing. */
static void resumes_after_a_crash(void **state)
{
	struct kit *kit = *state;

	kit_sql(kit, big_groups);
	for (size_t done = 0; done <= 9; done++) {
		struct kit_source s;
		char seen[64];

		assert_int_equal(kit_source_open(kit, &s, "{\"table\":\"t\"}", NULL), 0);
		s.done_at_most = done;
		assert_int_equal(kit_source_read(&s), 0);
		snprintf(seen, sizeof(seen), "%.*s", done ? (int)(2 * done - 1) : 0, ids(&s));
		struct df_value *checkpoint = kit_json(kit, kit_checkpoint(&s));
		kit_source_close(&s);

		SOURCE(kit, &s, "{\"table\":\"t\"}", checkpoint);
		/* Rows of a group that was not done whole come again, no others. */
		static const char *const rest[] = { "1 2 2 2 2 3 4 5 6",
						    "2 2 2 2 3 4 5 6",
						    "2 2 2 2 3 4 5 6",
						    "2 2 2 2 3 4 5 6",
						    "2 2 2 2 3 4 5 6",
						    "3 4 5 6",
						    "4 5 6",
						    "5 6",
						    "6",
						    "" };
		IDS(&s, rest[done]);
		kit_source_close(&s);
	}
}

static void goes_on_from_the_checkpoint(void **state)
{
	struct kit *kit = *state;
	struct kit_source s;

	kit_sql(kit, "CREATE TABLE t (id INTEGER PRIMARY KEY, updated_at TEXT);"
		     "INSERT INTO t VALUES (1, '2024-01-01 00:00:00'), (2, '2024-01-01 00:00:00'), (3, NULL)");
	SOURCE(kit, &s, "{\"table\":\"t\"}", NULL);
	IDS(&s, "1 2 3");
	assert_string_equal(
		kit_checkpoint(&s),
		"{\"lastReadChangeValue\":\"2024-01-01 00:00:00\",\"lastReadOrderByValue\":2,"
		"\"lastReadNullOrderByValue\":3,\"source\":{\"table\":\"t\",\"changeTrackingColumn\":\"updated_at\","
		"\"orderByColumn\":\"id\"}}");
	struct df_value *checkpoint = kit_json(kit, kit_checkpoint(&s));
	kit_source_close(&s);

	kit_sql(kit, "UPDATE t SET updated_at = '2024-01-02 00:00:00' WHERE id = 1;"
		     "INSERT INTO t VALUES (5, '2024-01-01 00:00:00'), (6, NULL)");
	SOURCE(kit, &s, "{\"table\":\"t\"}", checkpoint);
	IDS(&s, "5 1 6");
	kit_source_close(&s);

	/* Another table's position is not ours. */
	checkpoint = kit_json(kit, "{\"lastReadOrderByValue\":1,\"source\":{\"table\":\"u\",\"changeTrackingColumn\":"
				   "\"updated_at\",\"orderByColumn\":\"id\"}}");
	assert_int_equal(kit_source_open(kit, &s, "{\"table\":\"t\"}", checkpoint), DF_ERR_CONFIG);
	assert_non_null(strstr(s.err.text, "checkpointReset"));
	kit_source_close(&s);
}

/* Without an order column's order between NULL and values there is a place for each row, and none is lost. */
static void nulls(void **state)
{
	struct kit *kit = *state;
	struct kit_source s;

	kit_sql(kit, "CREATE TABLE t (id INTEGER, updated_at);"
		     "INSERT INTO t VALUES (NULL, 1), (2, 1), (3, 2), (NULL, 2), (NULL, 2), (4, NULL), (NULL, NULL)");
	SOURCE(kit, &s, "{\"table\":\"t\",\"readBatchSize\":1}", NULL);
	IDS(&s, "2 null 3 null null 4 null");
	struct df_value *checkpoint = kit_json(kit, kit_checkpoint(&s));
	kit_source_close(&s);
	SOURCE(kit, &s, "{\"table\":\"t\"}", checkpoint);
	IDS(&s, "null"); /* the one without any place, once a start */
	kit_source_close(&s);
}

static void order_column_only(void **state)
{
	struct kit *kit = *state;
	struct kit_source s;

	kit_sql(kit,
		"CREATE TABLE t (id TEXT COLLATE NOCASE); INSERT INTO t VALUES ('b'), ('A'), ('a'), (NULL), ('C')");
	SOURCE(kit, &s, "{\"table\":\"t\",\"readBatchSize\":1}", NULL);
	IDS(&s, "\"A\" \"a\" \"b\" \"C\" null");
	struct df_value *checkpoint = kit_json(kit, kit_checkpoint(&s));
	kit_source_close(&s);
	kit_sql(kit, "INSERT INTO t VALUES ('d'), ('B')");
	SOURCE(kit, &s, "{\"table\":\"t\"}", checkpoint);
	IDS(&s, "\"d\" null");
	kit_source_close(&s);
}

/* An old checkpoint that knows only K. */
static void an_old_checkpoint(void **state)
{
	struct kit *kit = *state;
	struct kit_source s;

	kit_sql(kit, "CREATE TABLE t (id INTEGER PRIMARY KEY, updated_at); INSERT INTO t VALUES (1, 9), (2, 8), (3, "
		     "5), (4, 7)");
	SOURCE(kit, &s, "{\"table\":\"t\"}", kit_json(kit, "{\"lastReadID\":1,\"other\":true}"));
	/* In the order of id; from then on by (updated_at, id). */
	IDS(&s, "2 3 4 2 1");
	assert_string_equal(
		kit_checkpoint(&s),
		"{\"other\":true,\"lastReadChangeValue\":9,\"lastReadOrderByValue\":1,\"lastReadNullOrderByValue\":4,"
		"\"source\":{\"table\":\"t\",\"changeTrackingColumn\":\"updated_at\",\"orderByColumn\":\"id\"}}");
	kit_source_close(&s);
}

/* A row whose T lies before the position when it is committed. */
static void an_overlap_finds_late_rows(void **state)
{
	struct kit *kit = *state;
	struct kit_source s;

	kit_sql(kit, "CREATE TABLE t (id INTEGER PRIMARY KEY, updated_at TEXT);"
		     "INSERT INTO t VALUES (5, '2024-01-01 00:00:00'), (6, '2024-01-01 00:00:10'), (7, '2024-01-01 "
		     "00:00:10')");
	assert_int_equal(kit_source_open(kit, &s, "{\"table\":\"t\",\"trackingOverlapSeconds\":10}", NULL), 0);
	assert_int_equal(kit_source_read(&s), 0);
	IDS(&s, "5 6 7");
	kit_sql(kit, "INSERT INTO t VALUES (1, '2024-01-01 00:00:05'), (2, '2024-01-01 00:00:10'), (3, '2023-12-31 "
		     "23:59:59'), (4, "
		     "'2024-01-01 00:00:11')");
	assert_int_equal(kit_source_read(&s), 0);
	IDS(&s, "5 6 7 1 2 4");
	assert_non_null(strstr(kit_checkpoint(&s), "\"2024-01-01 00:00:11\",\"lastReadOrderByValue\":4"));
	assert_int_equal(kit_source_read(&s), 0);
	IDS(&s, "5 6 7 1 2 4");
	kit_source_close(&s);
}

/* ---- queries --------------------------------------------------------------------------------------------- */

static void queries(void **state)
{
	struct kit *kit = *state;
	struct kit_source s;

	kit_sql(kit, "CREATE TABLE t (id, c); INSERT INTO t VALUES (1, 3), (2, 1), (3, 2)");
	SOURCE(kit, &s, "{\"query\":\"SELECT * FROM t ORDER BY id DESC\",\"table\":\"label\"}", NULL);
	IDS(&s, "3 2 1");
	assert_string_equal(kit_checkpoint(&s), "{}");
	assert_non_null(strstr(df_buf_c(&s.metadata), "\"table\":\"label\""));
	kit_source_close(&s);

	SOURCE(kit, &s, "{\"query\":\"SELECT * FROM t -- all\",\"changeTrackingColumn\":\"c\"}", NULL);
	IDS(&s, "2 3 1");
	kit_source_close(&s);
}

static void refusals(void **state)
{
	static const struct {
		const char *settings, *part;
	} rows[] = {
		{ "{\"table\":\"none\"}", "table none does not exist in" },
		{ "{\"table\":\"u\"}", "neither the column updated_at nor id" },
		{ "{\"query\":\"SELECT 1 AS a, 2 AS a\"}", "\"a\"" },
		{ "{\"query\":\"DELETE FROM t\"}", "must be a SELECT" },
		{ "{\"query\":\"SELECT * FROM t WHERE id = ?\"}", "parameters" },
		{ "{\"query\":\"SELECT id FROM t\",\"changeTrackingColumn\":\"c\"}", "no column c" },
		{ "{\"table\":\"t\",\"path\":\"/nowhere/t.db\"}", "/nowhere/t.db" },
	};
	struct kit *kit = *state;

	kit_sql(kit, "CREATE TABLE t (id); CREATE TABLE u (a)");
	for (size_t i = 0; i < DF_ARRAY_SIZE(rows); i++) {
		struct kit_source s;

		assert_int_equal(kit_source_open(kit, &s, rows[i].settings, NULL), DF_ERR_CONFIG);
		if (!strstr(s.err.text, rows[i].part))
			fail_msg("%s: %s", rows[i].settings, s.err.text);
		kit_source_close(&s);
	}
}

/* No key of a document can be such a name; no setting can either, so it stands in the database. */
static void a_column_name_that_is_not_utf8(void **state)
{
	struct kit *kit = *state;
	struct kit_source s;

	kit_sql(kit, "CREATE TABLE t (id, \"a\xe9\")");
	assert_int_equal(kit_source_open(kit, &s, "{\"table\":\"t\",\"orderByColumn\":\"id\"}", NULL), 0);
	assert_int_equal(kit_source_read(&s), DF_ERR_CONFIG);
	assert_non_null(strstr(s.err.text, "\"a?\" is not valid UTF-8"));
	kit_source_close(&s);
}

static void creates_its_table(void **state)
{
	struct kit *kit = *state;
	struct kit_source s;

	SOURCE(kit, &s, "{\"table\":\"t\",\"autoCreateTable\":true}", NULL);
	assert_int_equal(s.count, 0);
	kit_source_close(&s);
	assert_string_equal(kit_query(kit, "SELECT name FROM pragma_table_info('t')"), "id\ncreated_at\nupdated_at\n");
}

/* ---- cancelling ------------------------------------------------------------------------------------------ */

static void *close_soon(void *arg)
{
	struct kit_source *s = arg;

	(void)!df_context_sleep(NULL, 500 * DF_NS_PER_MS);
	assert_int_equal(s->source->ops->close(s->source, NULL), 0);
	return NULL;
}

static void close_during_a_long_query(void **state)
{
	struct kit *kit = *state;
	struct kit_source s;
	pthread_t thread;

	kit_sql(kit, "CREATE TABLE t (id)");
	assert_int_equal(
		kit_source_open(kit, &s,
				"{\"query\":\"WITH RECURSIVE c(n) AS (VALUES (1) UNION ALL SELECT n + 1 FROM c) "
				"SELECT n FROM c WHERE n < 0\"}",
				NULL),
		0);
	int64_t start = df_clock_monotonic();
	assert_int_equal(pthread_create(&thread, NULL, close_soon, &s), 0);
	assert_int_equal(kit_source_read(&s), DF_ERR_CANCELED);
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_true(df_clock_monotonic() - start < 10 * DF_NS_PER_S);
	kit_source_close(&s);
}

static void close_between_polls(void **state)
{
	struct kit *kit = *state;
	struct kit_source s;
	struct df_source *endless;
	struct df_connector_env env = { 0 };
	pthread_t thread;

	kit_sql(kit, "CREATE TABLE t (id, updated_at); INSERT INTO t VALUES (1, 1)");
	assert_int_equal(kit_source_open(kit, &s, "{\"table\":\"t\",\"pollInterval\":60}", NULL), 0);
	assert_int_equal(df_connector_sqlite.source_ops->create(&s.settings, &env, &endless, &s.err), 0);
	s.source->ops->free(s.source);
	s.source = endless;
	assert_int_equal(endless->ops->connect(endless, s.ctx, &s.err), 0);
	int64_t start = df_clock_monotonic();
	assert_int_equal(pthread_create(&thread, NULL, close_soon, &s), 0);
	assert_int_equal(kit_source_read(&s), DF_ERR_CANCELED);
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_true(df_clock_monotonic() - start < 10 * DF_NS_PER_S);
	IDS(&s, "1");
	kit_source_close(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(f) cmocka_unit_test_setup_teardown(f, kit_setup, kit_teardown)
		TEST(values_and_metadata),
		TEST(out_and_back),
		TEST(hostile_names),
		TEST(ties_are_not_torn),
		TEST(resumes_after_a_crash),
		TEST(goes_on_from_the_checkpoint),
		TEST(nulls),
		TEST(order_column_only),
		TEST(an_old_checkpoint),
		TEST(an_overlap_finds_late_rows),
		TEST(queries),
		TEST(refusals),
		TEST(a_column_name_that_is_not_utf8),
		TEST(creates_its_table),
		TEST(close_during_a_long_query),
		TEST(close_between_polls),
	};

	return cmocka_run_group_tests_name("sqlite source", tests, NULL, NULL);
}

/* The SQLite sink when things go wrong: rows, files, locks, disks, cancelling. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "sqlite_kit.h"

static void assert_text(const char *text, const char *part)
{
	if (!strstr(text, part))
		fail_msg("\"%s\" is not in: %s", part, text);
}

/* ---- rows ------------------------------------------------------------------------------------------------ */

static void a_poison_row_fails_alone(void **state)
{
	struct kit *kit = *state;
	struct kit_sink s;

	kit_sql(kit, "CREATE TABLE t (id INTEGER PRIMARY KEY, v INT NOT NULL CHECK (v < 100))");
	OPEN(kit, &s, "{\"table\":\"t\"}");
	struct kit_result r = kit_write(kit, &s,
					"{\"id\":1,\"v\":1}\n{\"id\":2,\"v\":null}\n{\"id\":3,\"v\":3}\nnot json\n[1]\n"
					"{\"id\":\"x\",\"v\":1}\n{\"id\":4,\"v\":100}\n{\"id\":5,\"v\":5}");
	assert_int_equal(r.code, 0);
	assert_int_equal(r.failed, 5);
	assert_int_equal(r.index, 1);
	assert_int_equal(r.err.code, DF_ERR_CONSTRAINT);
	assert_text(r.err.text, "NOT NULL");
	kit_sink_close(&s);
	assert_string_equal(kit_query(kit, "SELECT id FROM t"), "1\n3\n5\n");
}

/* A statement that fails while it runs is the row's fault, unless the table is gone. */
static void a_trigger_that_fails(void **state)
{
	struct kit *kit = *state;
	struct kit_sink s;

	kit_sql(kit, "CREATE TABLE t (d TEXT, x AS (json_extract(d, '$.x')) STORED)");
	OPEN(kit, &s, "{\"table\":\"t\"}");
	struct kit_result r = kit_write(kit, &s, "{\"d\":\"{}\"}\n{\"d\":\"{\"}\n{\"d\":{\"x\":1}}");
	assert_int_equal(r.failed, 1);
	assert_int_equal(r.index, 1);
	assert_int_equal(r.err.code, DF_ERR_INVALID_DATA);

	kit_sql(kit, "DROP TABLE t");
	r = kit_write(kit, &s, "{\"d\":\"{}\"}\n{\"d\":1}");
	assert_int_equal(r.code, DF_ERR_CONFIG);
	assert_text(r.err.text, "table t does not exist");
	kit_sink_close(&s);
}

/* ON CONFLICT ROLLBACK takes the whole transaction with it: nothing may count as written. */
static void a_row_that_rolls_back_everything(void **state)
{
	struct kit *kit = *state;
	struct kit_sink s;

	kit_sql(kit, "CREATE TABLE t (v NOT NULL ON CONFLICT ROLLBACK)");
	OPEN(kit, &s, "{\"table\":\"t\"}");
	struct kit_result r = kit_write(kit, &s, "{\"v\":1}\n{\"v\":null}\n{\"v\":2}");
	assert_int_equal(r.code, DF_ERR_CONSTRAINT);
	assert_string_equal(kit_query(kit, "SELECT count(*) FROM t"), "0\n");
	assert_int_equal(kit_write(kit, &s, "{\"v\":1}").code, 0);
	kit_sink_close(&s);
}

static void a_commit_that_fails(void **state)
{
	struct kit *kit = *state;
	struct kit_sink s;

	kit_sql(kit, "CREATE TABLE p (id INTEGER PRIMARY KEY);"
		     "CREATE TABLE t (v REFERENCES p(id) DEFERRABLE INITIALLY DEFERRED)");
	OPEN(kit, &s, "{\"table\":\"t\"}");
	struct kit_result r = kit_write(kit, &s, "{\"v\":null}\n{\"v\":7}");
	assert_int_equal(r.code, DF_ERR_CONSTRAINT);
	assert_string_equal(kit_query(kit, "SELECT count(*) FROM t"), "0\n");
	assert_int_equal(kit_write(kit, &s, "{\"v\":null}").code, 0);
	kit_sink_close(&s);
}

/* Nothing in the first batch is a row: there is nothing to make a table of, and each says why. */
static void no_rows_no_table(void **state)
{
	struct kit *kit = *state;
	struct kit_sink s;

	OPEN(kit, &s, "{\"table\":\"t\",\"autoCreateTable\":true}");
	assert_int_equal(kit_write(kit, &s, "1\nx").failed, 2);
	assert_int_equal(kit_write(kit, &s, "{\"a\":1}\nx").failed, 1);
	kit_sink_close(&s);
	assert_string_equal(kit_query(kit, "SELECT a FROM t"), "1\n");
}

/* ---- the file -------------------------------------------------------------------------------------------- */

static void expect_refusal(struct kit *kit, const char *settings, int code, const char *part)
{
	struct kit_sink s;

	assert_int_equal(kit_sink_open(kit, &s, settings), code);
	assert_text(s.err.text, part);
	kit_sink_close(&s);
}

static void files_that_will_not_do(void **state)
{
	struct kit *kit = *state;
	char settings[256];

	expect_refusal(kit, "{\"table\":\"t\"}", DF_ERR_CONFIG, "does not exist");
	expect_refusal(kit, "{\"table\":\"t\",\"path\":\"/nowhere/x.db\",\"autoCreateTable\":true}", DF_ERR_CONFIG,
		       "/nowhere/x.db");
	expect_refusal(kit, "{\"table\":\"t\",\"path\":\":memory:\",\"autoCreateTable\":true}", DF_ERR_CONFIG,
		       "no file to SQLite");
	expect_refusal(kit, "{\"table\":\"t\",\"path\":\"/dev/null\"}", DF_ERR_CONFIG, "not a regular file");
	snprintf(settings, sizeof(settings), "{\"table\":\"t\",\"path\":\"%s\"}", kit->dir);
	expect_refusal(kit, settings, DF_ERR_CONFIG, "is a directory");

	FILE *f = fopen(kit->path, "w");
	for (int i = 0; i < 200; i++)
		fputs("no database at all\n", f);
	fclose(f);
	expect_refusal(kit, "{\"table\":\"t\"}", DF_ERR_CONFIG, "no SQLite database");
	assert_int_equal(remove(kit->path), 0);

	kit_sql(kit, "CREATE TABLE u (a, b); CREATE TABLE r (data)");
	expect_refusal(kit, "{\"table\":\"t\"}", DF_ERR_CONFIG, "table t does not exist in");
	expect_refusal(kit, "{\"table\":\"u\",\"upsertMode\":true}", DF_ERR_CONFIG, "set conflictKey");
	expect_refusal(kit, "{\"table\":\"u\",\"upsertMode\":true,\"conflictKey\":\"a\"}", DF_ERR_CONFIG,
		       "CREATE UNIQUE INDEX");
	expect_refusal(kit, "{\"table\":\"u\",\"upsertMode\":true,\"conflictKey\":\"zz\"}", DF_ERR_CONFIG,
		       "no column zz");
	expect_refusal(kit, "{\"table\":\"r\",\"rawMode\":true}", DF_ERR_CONFIG, "_metadata");
}

static void a_read_only_database(void **state)
{
	struct kit *kit = *state;

	if (geteuid() == 0 && seteuid(65534) != 0)
		skip();
	seteuid(0);
	kit_sql(kit, "CREATE TABLE t (a)");
	assert_int_equal(chmod(kit->path, 0444), 0);
	assert_int_equal(chmod(kit->dir, 0755), 0);
	bool root = geteuid() == 0;
	if (root)
		assert_int_equal(seteuid(65534), 0);
	expect_refusal(kit, "{\"table\":\"t\"}", DF_ERR_CONFIG, "read-only");
	if (root)
		assert_int_equal(seteuid(0), 0);
}

static void a_full_database(void **state)
{
	struct kit *kit = *state;
	struct kit_sink s;
	struct rlimit limit, small;
	df_cleanup(df_buf_done) struct df_buf big = { 0 };

	OPEN(kit, &s, "{\"table\":\"t\",\"autoCreateTable\":true}");
	WRITTEN(kit_write(kit, &s, "{\"a\":\"x\"}"));
	df_buf_add_c(&big, "{\"a\":\"");
	for (int i = 0; i < 100000; i++)
		df_buf_add_c(&big, "xxxxxxxxxx");
	df_buf_add_c(&big, "\"}");

	/* What a full disk looks like to a process. */
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
	small = (struct rlimit){ 100000, limit.rlim_max };
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	struct kit_result r = kit_write(kit, &s, df_buf_c(&big));
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
	assert_int_equal(r.code, DF_ERR_TRANSIENT);
	assert_text(r.err.text, "disk is full");

	WRITTEN(kit_write(kit, &s, "{\"a\":\"y\"}"));
	kit_sink_close(&s);
	assert_string_equal(kit_query(kit, "SELECT a FROM t"), "x\ny\n");
	assert_string_equal(kit_query(kit, "PRAGMA integrity_check"), "ok\n");
}

/* ---- locks ----------------------------------------------------------------------------------------------- */

struct later {
	struct kit_sink *s;
	int64_t ms;
};

static void *close_later(void *arg)
{
	const struct later *later = arg;

	(void)!df_context_sleep(NULL, later->ms * DF_NS_PER_MS);
	assert_int_equal(later->s->sink->ops->close(later->s->sink, NULL), 0);
	return NULL;
}

static void a_locked_database(void **state)
{
	struct kit *kit = *state;
	struct kit_sink s;
	sqlite3 *other;

	kit_sql(kit, "CREATE TABLE t (a)");
	OPEN(kit, &s, "{\"table\":\"t\"}");
	assert_int_equal(sqlite3_open(kit->path, &other), SQLITE_OK);
	assert_int_equal(sqlite3_exec(other, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
	int64_t start = df_clock_monotonic();
	struct kit_result r = kit_write(kit, &s, "{\"a\":1}");
	assert_int_equal(r.code, DF_ERR_TRANSIENT);
	assert_text(r.err.text, "another process holds a lock");
	assert_true(df_clock_monotonic() - start > 4 * DF_NS_PER_S);

	/* Waiting for a lock ends with close. */
	pthread_t thread;
	struct later later = { &s, 500 };
	start = df_clock_monotonic();
	assert_int_equal(pthread_create(&thread, NULL, close_later, &later), 0);
	r = kit_write(kit, &s, "{\"a\":1}");
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_int_equal(r.code, DF_ERR_CANCELED);
	assert_true(df_clock_monotonic() - start < 4 * DF_NS_PER_S);
	assert_int_equal(s.sink->ops->connect(s.sink, NULL, &s.err), DF_ERR_CLOSED);
	assert_text(s.err.text, "connector is closed");
	sqlite3_close(other);
	kit_sink_close(&s);
}

/* A row that takes for ever: a trigger that counts to a large number. */
static void close_during_a_long_write(void **state)
{
	struct kit *kit = *state;
	struct kit_sink s;
	pthread_t thread;

	kit_sql(kit,
		"CREATE TABLE t (a); CREATE TRIGGER slow BEFORE INSERT ON t BEGIN SELECT RAISE(IGNORE) WHERE 1 = (WITH "
		"RECURSIVE c(n) AS (VALUES (1) UNION ALL SELECT n + 1 FROM c LIMIT 10000000000) SELECT count(*) FROM "
		"c); "
		"END");
	OPEN(kit, &s, "{\"table\":\"t\"}");
	struct later later = { &s, 500 };
	int64_t start = df_clock_monotonic();
	assert_int_equal(pthread_create(&thread, NULL, close_later, &later), 0);
	struct kit_result r = kit_write(kit, &s, "{\"a\":1}");
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_int_equal(r.code, DF_ERR_CANCELED);
	assert_true(df_clock_monotonic() - start < 10 * DF_NS_PER_S);
	assert_int_equal(s.sink->ops->close(s.sink, NULL), 0);
	kit_sink_close(&s);
	assert_string_equal(kit_query(kit, "SELECT count(*) FROM t"), "0\n");
}

/* ---- durability ------------------------------------------------------------------------------------------ */

static void sync_flushes_the_log(void **state)
{
	struct kit *kit = *state;
	struct kit_sink s;

	OPEN(kit, &s, "{\"table\":\"t\",\"autoCreateTable\":true}");
	WRITTEN(kit_write(kit, &s, "{\"a\":1}"));
	assert_int_equal(s.sink->ops->sync(s.sink, NULL, false, &s.err), 0);
	assert_int_equal(s.sink->ops->sync(s.sink, NULL, true, &s.err), 0);
	kit_sink_close(&s);
	assert_string_equal(kit_query(kit, "PRAGMA journal_mode"), "wal\n");

	kit_sql(kit, "PRAGMA journal_mode = delete");
	OPEN(kit, &s, "{\"table\":\"t\",\"journalMode\":\"keep\"}");
	WRITTEN(kit_write(kit, &s, "{\"a\":2}"));
	assert_int_equal(s.sink->ops->sync(s.sink, NULL, true, &s.err), 0);
	kit_sink_close(&s);
	assert_string_equal(kit_query(kit, "SELECT a FROM t; PRAGMA journal_mode"), "1\n2\ndelete\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(f) cmocka_unit_test_setup_teardown(f, kit_setup, kit_teardown)
		TEST(a_poison_row_fails_alone),	 TEST(a_trigger_that_fails), TEST(a_row_that_rolls_back_everything),
		TEST(a_commit_that_fails),	 TEST(no_rows_no_table),     TEST(files_that_will_not_do),
		TEST(a_read_only_database),	 TEST(a_full_database),	     TEST(a_locked_database),
		TEST(close_during_a_long_write), TEST(sync_flushes_the_log),
	};

	return cmocka_run_group_tests_name("sqlite trouble", tests, NULL, NULL);
}

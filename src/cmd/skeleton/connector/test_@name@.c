/*
 * The @title@ connector: what is its own. What every connector must do is in the conformance suite, which runs on
 * flow.yaml: dataflow connector test src/connectors/@name@/flow.yaml.
 */
#include "@dir@store.h"
#include "test/connectors/harness.h"

/* FILL IN: the place of the real store; with a server, see test/services and test/integration. */
static char *directory;

static int make_directory(void **state)
{
	(void)state;
	directory = df_str_dup(df_str_c(harness_directory()));
	return directory ? 0 : -1;
}

static int forget_directory(void **state)
{
	(void)state;
	free(directory);
	return 0;
}

static struct df_@name@ *open_store(void)
{
	struct df_@name@_connection connection = { .path = directory, .collection = (char *)"orders" };
	struct df_error err = DF_ERROR_INIT;
	struct df_@name@ *db = NULL;

	if (df_@name@_open(&connection, NULL, &db, &err) != 0)
		fail_msg("%s", err.text);
	return db;
}

//@if source
/* ---- source ---------------------------------------------------------------------------------------------- */

static void put(const char *key, const char *text)
{
	struct df_@name@_record record = { .key = df_str_c(key), .text = df_str_c(text) };
	struct df_@name@ *db = open_store();

	assert_int_equal(df_@name@_put(db, NULL, &record, 1, NULL), 0);
	df_@name@_close(db);
}

static struct df_source *new_source(struct harness *h)
{
	return harness_source(h, "{'type': '@name@', 'config': {'path': '%s', 'collection': 'orders'}}", directory);
}

static void test_records_become_messages(void **state)
{
	struct harness h;
	struct df_source *s;

	(void)state;
	put("1", "{\"id\":1,\"name\":\"old\"}");
	put("2", "{\"id\":2}");
	put("1", "{\"id\":1,\"name\":\"new\"}");
	harness_init(&h);
	s = new_source(&h);
	harness_read(&h, s);
	assert_int_equal(h.messages, 2);
	assert_string_equal(harness_payload(&h, 0), "{\"id\":2}");
	assert_string_equal(harness_payload(&h, 1), "{\"id\":1,\"name\":\"new\"}");
	assert_true(df_str_equal_c(harness_message(&h, 0)->key, "2"));
	df_source_free(s);
	harness_done(&h);
}

static void test_goes_on_behind_what_was_committed(void **state)
{
	struct harness h;
	struct df_source *s;
	char *checkpoint;

	(void)state;
	put(NULL, "{\"id\":1}");
	put(NULL, "{\"id\":2}");
	harness_init(&h);
	s = new_source(&h);
	harness_read(&h, s);
	checkpoint = harness_commit_some(&h, s, 0, 1);
	df_source_free(s);
	harness_done(&h);

	harness_init(&h);
	s = new_source(&h);
	assert_int_equal(harness_restore(s, checkpoint, NULL), 0);
	harness_read(&h, s);
	assert_int_equal(h.messages, 1);
	assert_string_equal(harness_payload(&h, 0), "{\"id\":2}");
	df_source_free(s);
	harness_done(&h);
	free(checkpoint);
}

static void test_a_foreign_position_is_refused(void **state)
{
	static const char checkpoint[] = "{\"collection\":\"orders\",\"store\":\"0123456789abcdef\",\"number\":1}";
	struct df_error err = DF_ERROR_INIT;
	struct harness h;
	struct df_source *s;

	(void)state;
	put(NULL, "{\"id\":1}");
	harness_init(&h);
	s = new_source(&h);
	assert_int_equal(harness_restore(s, checkpoint, &err), 0);
	assert_int_equal(s->ops->connect(s, NULL, &err), DF_ERR_CONFIG);
	assert_non_null(strstr(err.text, "checkpointReset"));
	df_source_free(s);
	harness_done(&h);
}

//@end
//@if sink
/* ---- sink ------------------------------------------------------------------------------------------------ */

/* All records, one a line; the caller frees. */
static char *records(void)
{
	struct df_@name@ *db = open_store();
	struct df_@name@_record record;
	struct df_buf all = { 0 };
	struct df_arena arena;
	bool more = true;

	df_arena_init(&arena, NULL);
	while (more) {
		assert_int_equal(df_@name@_next(db, NULL, &arena, &record, &more, NULL), 0);
		if (more)
			df_buf_printf(&all, DF_STR_FMT "\n", DF_STR_ARG(record.text));
	}
	df_arena_done(&arena);
	df_@name@_close(db);
	df_buf_c(&all);
	return df_buf_take(&all);
}

static void assert_records(const char *expected)
{
	char *all = records();

	assert_string_equal(all, expected);
	free(all);
}

static struct df_sink *connected_sink(struct harness *h, const char *more)
{
	struct df_error err = DF_ERROR_INIT;
	struct df_sink *s = harness_sink(h, "{'type': '@name@', 'config': {'path': '%s', 'collection': 'orders'%s}}",
					 directory, more);

	if (s->ops->connect(s, NULL, &err) != 0)
		fail_msg("%s", err.text);
	return s;
}

static void test_upsert_replaces_by_key(void **state)
{
	static const char *const first[] = { "{\"id\":1,\"v\":1}", "{\"id\":2,\"v\":1}" };
	static const char *const second[] = { "{\"id\":1,\"v\":2}" };
	struct harness h;
	struct df_sink *s;

	(void)state;
	harness_init(&h);
	s = connected_sink(&h, ", 'upsertMode': true");
	assert_int_equal(harness_write(s, first, 2, NULL, NULL), 0);
	assert_int_equal(harness_write(s, second, 1, NULL, NULL), 0);
	assert_int_equal(harness_write(s, first + 1, 1, NULL, NULL), 0);
	assert_records("{\"id\":1,\"v\":2}\n{\"id\":2,\"v\":1}\n");
	df_sink_free(s);
	harness_done(&h);
}

static void test_what_is_refused_fails_alone(void **state)
{
	static const char *const rows[] = { "{\"id\":1}", "{\"name\":\"no key\"}", "[2]", "three", "{\"id\":4}" };
	char *results[5];
	struct harness h;
	struct df_sink *s;

	(void)state;
	harness_init(&h);
	s = connected_sink(&h, ", 'upsertMode': true");
	assert_int_equal(harness_write(s, rows, 5, results, NULL), 0);
	assert_string_equal(results[0], "");
	assert_non_null(strstr(results[1], "no `id`"));
	assert_non_null(strstr(results[2], "an array"));
	assert_non_null(strstr(results[3], "not JSON"));
	assert_string_equal(results[4], "");
	for (size_t i = 0; i < 5; i++)
		free(results[i]);
	assert_records("{\"id\":1}\n{\"id\":4}\n");
	df_sink_free(s);
	harness_done(&h);
}

static void test_a_token_is_asked_for(void **state)
{
	struct df_error err = DF_ERROR_INIT;
	struct harness h;
	struct df_sink *s;

	(void)state;
	harness_put(harness_path("@name@.token"), "open sesame\n");
	harness_init(&h);
	s = harness_sink(&h, "{'type': '@name@', 'config': {'path': '%s', 'collection': 'x', 'token': 'open'}}",
			 directory);
	assert_int_equal(s->ops->connect(s, NULL, &err), DF_ERR_AUTH);
	assert_null(strstr(err.text, "sesame"));
	df_sink_free(s);
	s = connected_sink(&h, ", 'token': 'open sesame'");
	df_sink_free(s);
	harness_done(&h);
}

//@end
int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, make_directory, forget_directory)
	/* clang-format off */
	const struct CMUnitTest tests[] = {
//@if source
		TEST(test_records_become_messages),
		TEST(test_goes_on_behind_what_was_committed),
		TEST(test_a_foreign_position_is_refused),
//@end
//@if sink
		TEST(test_upsert_replaces_by_key),
		TEST(test_what_is_refused_fails_alone),
		TEST(test_a_token_is_asked_for),
//@end
	};
	/* clang-format on */

	return cmocka_run_group_tests(tests, NULL, NULL);
}

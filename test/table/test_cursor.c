#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"
#include "table/cursor.h"

static struct df_arena arena;

static int setup(void **state)
{
	(void)state;
	df_arena_init(&arena, NULL);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	df_arena_done(&arena);
	return 0;
}

static struct df_value *json(const char *text)
{
	struct df_value *v = NULL;

	if (df_value_parse(df_str_c(text), &arena, &v, NULL) != DF_PARSE_OK)
		fail_msg("not JSON: %s", text);
	return v;
}

#define NONE                    \
	{                       \
		DF_CURSOR_NONE, \
		{               \
			NULL, 0 \
		}               \
	}
#define NUL                     \
	{                       \
		DF_CURSOR_NULL, \
		{               \
			NULL, 0 \
		}               \
	}
#define NUM(x)                           \
	{                                \
		DF_CURSOR_NUMBER,        \
		{                        \
			x, sizeof(x) - 1 \
		}                        \
	}
#define TXT(x)                           \
	{                                \
		DF_CURSOR_TEXT,          \
		{                        \
			x, sizeof(x) - 1 \
		}                        \
	}

static const struct df_cursor_value null = NUL;

static struct df_cursor_value num(const char *digits)
{
	return (struct df_cursor_value){ DF_CURSOR_NUMBER, df_str_c(digits) };
}

static struct df_cursor_value txt(const char *text)
{
	return (struct df_cursor_value){ DF_CURSOR_TEXT, df_str_c(text) };
}

/* ---- SQL ------------------------------------------------------------------------------------------------- */

static void literal(struct df_buf *sql, const struct df_cursor_table *table, unsigned n, bool of_t,
		    const struct df_cursor_value *v)
{
	(void)table, (void)of_t;
	(void)n;
	df_buf_printf(sql, "'" DF_STR_FMT "'", DF_STR_ARG(v->text));
}

static void statements(void **state)
{
	static const struct df_cursor_table full = { .from = DF_STR("f"),
						     .t = DF_STR("t"),
						     .k = DF_STR("k"),
						     .t_nullable = true,
						     .k_nullable = true,
						     .parameter = df_cursor_question,
						     .limit = df_cursor_limit_ties };
	static const struct df_cursor_table strict = { .from = DF_STR("f"),
						       .t = DF_STR("t"),
						       .k = DF_STR("k"),
						       .row_values = true,
						       .parameter = df_cursor_dollar,
						       .limit = df_cursor_fetch_ties };
	static const struct df_cursor_table plain = {
		.from = DF_STR("f"), .t = DF_STR("t"), .k = DF_STR("k"), .parameter = literal, .limit = df_cursor_limit
	};
	static const struct df_cursor_table only_k = { .from = DF_STR("f"),
						       .k = DF_STR("k"),
						       .parameter = df_cursor_question };
	static const struct df_cursor_table only_t = { .from = DF_STR("f"),
						       .t = DF_STR("t"),
						       .parameter = df_cursor_question };
	static const struct {
		const struct df_cursor_table *table;
		struct df_cursor_place place;
		enum df_cursor_part part;
		unsigned limit;
		const char *sql; /* behind SELECT * FROM f WHERE */
		size_t params;
	} rows[] = {
		{ &full, { NONE, NONE, NONE }, DF_CURSOR_ROWS, 0, "t IS NOT NULL ORDER BY t, k NULLS LAST", 0 },
		{ &full,
		  { NUM("1"), NUM("2"), NONE },
		  DF_CURSOR_ROWS,
		  5,
		  "t >= ?1 AND (t > ?1 OR k > ?2 OR k IS NULL) ORDER BY t, k NULLS LAST LIMIT 5 WITH TIES",
		  2 },
		{ &full, { NUM("1"), NUL, NONE }, DF_CURSOR_ROWS, 0, "t > ?1 ORDER BY t, k NULLS LAST", 1 },
		{ &full, { NUM("1"), NONE, NONE }, DF_CURSOR_ROWS, 0, "t >= ?1 ORDER BY t, k NULLS LAST", 1 },
		{ &full, { NONE, NUM("2"), NONE }, DF_CURSOR_ROWS, 0, "k > ?1 ORDER BY k", 1 },
		{ &full,
		  { NUM("1"), NUM("2"), NONE },
		  DF_CURSOR_NULL_T,
		  0,
		  "t IS NULL AND k IS NOT NULL ORDER BY k",
		  0 },
		{ &full,
		  { NUM("1"), NUM("2"), NUM("3") },
		  DF_CURSOR_NULL_T,
		  5,
		  "t IS NULL AND k > ?1 ORDER BY k LIMIT 5 WITH TIES",
		  1 },
		{ &full, { NUM("1"), NUM("2"), NUM("3") }, DF_CURSOR_NULL_K, 5, "t IS NULL AND k IS NULL", 0 },
		{ &strict,
		  { NUM("1"), NUM("2"), NONE },
		  DF_CURSOR_ROWS,
		  7,
		  "(t, k) > ($1, $2) ORDER BY t, k FETCH FIRST 7 ROWS WITH TIES",
		  2 },
		{ &plain,
		  { NUM("1"), TXT("x"), NONE },
		  DF_CURSOR_ROWS,
		  1,
		  "t >= '1' AND (t > '1' OR k > 'x') ORDER BY t, k LIMIT 1",
		  2 },
		{ &only_k, { NONE, NONE, NONE }, DF_CURSOR_ROWS, 3, "k IS NOT NULL ORDER BY k", 0 },
		{ &only_k, { NONE, NUM("2"), NONE }, DF_CURSOR_ROWS, 3, "k > ?1 ORDER BY k", 1 },
		{ &only_k, { NONE, NONE, NONE }, DF_CURSOR_NULL_K, 0, "k IS NULL", 0 },
		{ &only_t, { NUM("1"), NONE, NONE }, DF_CURSOR_ROWS, 0, "t > ?1 ORDER BY t", 1 },
		{ &only_t, { NUM("1"), NONE, NONE }, DF_CURSOR_NULL_K, 0, "t IS NULL", 0 },
	};

	(void)state;
	for (size_t i = 0; i < DF_ARRAY_SIZE(rows); i++) {
		df_cleanup(df_buf_done) struct df_buf sql = { 0 };
		df_cleanup(df_buf_done) struct df_buf expected = { 0 };
		struct df_cursor_params params;

		df_cursor_select(rows[i].table, &rows[i].place, rows[i].part, rows[i].limit, &sql, &params);
		df_buf_printf(&expected, "SELECT * FROM f WHERE %s", rows[i].sql);
		assert_string_equal(df_buf_c(&sql), df_buf_c(&expected));
		assert_int_equal(params.count, rows[i].params);
	}
	assert_true(df_cursor_has(&full, DF_CURSOR_NULL_T) && df_cursor_has(&full, DF_CURSOR_NULL_K));
	assert_false(df_cursor_has(&strict, DF_CURSOR_NULL_T) || df_cursor_has(&strict, DF_CURSOR_NULL_K));
}

static void a_query_becomes_a_table(void **state)
{
	df_cleanup(df_buf_done) struct df_buf sql = { 0 };

	(void)state;
	df_cursor_wrap(&sql, DF_STR("SELECT 1 -- one"));
	assert_string_equal(df_buf_c(&sql), "(SELECT 1 -- one\n) AS dataflow_src");
}

/* ---- moving ---------------------------------------------------------------------------------------------- */

static const struct df_cursor_table table = { .from = DF_STR("f"),
					      .t = DF_STR("t"),
					      .k = DF_STR("k"),
					      .t_nullable = true,
					      .k_nullable = true,
					      .parameter = df_cursor_question };

static void read_row(struct df_cursor *cursor, enum df_cursor_part part, struct df_cursor_value t,
		     struct df_cursor_value k)
{
	assert_int_equal(df_cursor_read(cursor, part, &t, &k), 0);
}

static bool ties(const struct df_cursor *cursor, struct df_cursor_value t, struct df_cursor_value k)
{
	return df_cursor_ties(cursor, &t, &k);
}

static void assert_position(const struct df_cursor *cursor, const char *text)
{
	struct df_str position = df_cursor_position(cursor);

	if (!df_str_equal_c(position, text))
		fail_msg("position is " DF_STR_FMT ", not %s", DF_STR_ARG(position), text);
}

static void moves_by_tie_groups(void **state)
{
	df_cleanup(df_cursor_freep) struct df_cursor *cursor = df_cursor_new(&table);

	(void)state;
	assert_position(cursor, "");
	read_row(cursor, DF_CURSOR_ROWS, num("1"), txt("a\"b"));
	assert_position(cursor, "");
	assert_true(ties(cursor, num("1.0"), txt("A\"b  ")));
	assert_false(ties(cursor, num("1"), txt("c")));
	assert_false(ties(cursor, num("2"), txt("a\"b")));
	assert_false(ties(cursor, num("1"), num("1")));
	assert_false(ties(cursor, num("1"), null));
	assert_int_equal(df_cursor_advance(cursor, false), 0);
	assert_position(cursor, "{\"lastReadChangeValue\":1,\"lastReadOrderByValue\":\"a\\\"b\"}");
	read_row(cursor, DF_CURSOR_ROWS, num("12345678901234567890"), null);
	assert_true(ties(cursor, num("12345678901234567890"), null));
	assert_int_equal(df_cursor_advance(cursor, true), 0);
	assert_position(cursor, "{\"lastReadChangeValue\":12345678901234567890,\"lastReadOrderByValue\":null}");
	read_row(cursor, DF_CURSOR_NULL_T, null, (struct df_cursor_value){ DF_CURSOR_BYTES, DF_STR("\x01") });
	assert_true(ties(cursor, num("5"), (struct df_cursor_value){ DF_CURSOR_BYTES, DF_STR("\x01") }));
	assert_int_equal(df_cursor_advance(cursor, true), 0);
	assert_position(cursor, "{\"lastReadChangeValue\":12345678901234567890,\"lastReadOrderByValue\":null,"
				"\"lastReadNullOrderByValue\":{\"base64\":\"AQ==\"}}");
	read_row(cursor, DF_CURSOR_NULL_K, null, null);
	assert_int_equal(df_cursor_advance(cursor, true), 0);
	assert_int_equal(df_cursor_at(cursor)->null_k.kind, DF_CURSOR_BYTES);
}

/* T becomes known only at the end of a read that began with K alone. */
static void an_old_k_becomes_t_and_k(void **state)
{
	static const struct df_cursor_source source = { .table = "x", .change_column = "t", .order_column = "k" };
	df_cleanup(df_cursor_freep) struct df_cursor *cursor = df_cursor_new(&table);
	bool changed;

	(void)state;
	assert_int_equal(df_cursor_restore(cursor, &source, json("{\"lastReadID\":7}"), &changed, NULL), 0);
	read_row(cursor, DF_CURSOR_ROWS, num("9"), num("8"));
	assert_int_equal(df_cursor_advance(cursor, false), 0);
	assert_position(cursor, "{\"lastReadOrderByValue\":8,\"lastReadNullOrderByValue\":8}");
	read_row(cursor, DF_CURSOR_ROWS, num("5"), num("9"));
	assert_int_equal(df_cursor_advance(cursor, true), 0);
	assert_position(cursor,
			"{\"lastReadChangeValue\":5,\"lastReadOrderByValue\":9,\"lastReadNullOrderByValue\":9}");
	read_row(cursor, DF_CURSOR_ROWS, num("6"), num("1"));
	assert_int_equal(df_cursor_advance(cursor, false), 0);
	assert_position(cursor,
			"{\"lastReadChangeValue\":6,\"lastReadOrderByValue\":1,\"lastReadNullOrderByValue\":9}");
}

/* ---- checkpoint ------------------------------------------------------------------------------------------ */

static const struct df_cursor_source source = {
	.table = "x", .change_column = "t", .order_column = "k", .query = "SELECT 1"
};

static void commits_and_restores(void **state)
{
	df_cleanup(df_cursor_freep) struct df_cursor *cursor = df_cursor_new(&table);
	df_cleanup(df_buf_done) struct df_buf text = { 0 };
	struct df_value *checkpoint = json("{\"mine\":1,\"lastReadID\":3,\"lastReadTime\":\"2020-01-01 00:00:00\"}");
	struct df_cursor_source other = source;
	struct df_error err;
	bool changed;

	(void)state;
	assert_int_equal(df_cursor_commit(&source, DF_STR(""), checkpoint, &arena, NULL), 0);
	assert_non_null(df_object_get_c(checkpoint, "lastReadID"));
	struct df_str position =
		DF_STR("{\"lastReadChangeTime\":\"2024-01-01T00:00:00.5Z\",\"lastReadOrderByValue\":\"k\"}");
	assert_int_equal(df_cursor_commit(&source, position, checkpoint, &arena, NULL), 0);
	df_value_write(checkpoint, &text);
	assert_string_equal(
		df_buf_c(&text),
		"{\"mine\":1,\"lastReadChangeTime\":\"2024-01-01T00:00:00.5Z\",\"lastReadOrderByValue\":\"k\","
		"\"source\":{\"table\":\"x\",\"changeTrackingColumn\":\"t\",\"orderByColumn\":\"k\",\"queryHash\":"
		"\"199e7bca63ea84f2\"}}");

	assert_int_equal(df_cursor_restore(cursor, &source, checkpoint, &changed, NULL), 0);
	assert_false(changed);
	assert_position(cursor, position.ptr);
	other.query = "SELECT 2";
	assert_int_equal(df_cursor_restore(cursor, &other, checkpoint, &changed, NULL), 0);
	assert_true(changed);
	other.order_column = "id";
	assert_int_equal(df_cursor_restore(cursor, &other, checkpoint, &changed, &err), DF_ERR_CONFIG);
	assert_non_null(strstr(err.text, "orderByColumn"));
	assert_non_null(strstr(err.text, "checkpointReset"));
}

static void what_a_checkpoint_may_hold(void **state)
{
	static const struct {
		const char *checkpoint, *position; /* NULL: refused */
	} rows[] = {
		{ "{}", "" },
		{ "{\"lastReadTime\":\"2024-01-01 10:00:00\"}", "{\"lastReadChangeTime\":\"2024-01-01T10:00:00Z\"}" },
		{ "{\"lastReadChangeTime\":\"2024-01-01T10:00:00.123456789+02:00\",\"lastReadTime\":\"x\"}",
		  "{\"lastReadChangeTime\":\"2024-01-01T08:00:00.123456789Z\"}" },
		{ "{\"lastReadOrderByValue\":12345678901234567890,\"lastReadID\":1}",
		  "{\"lastReadOrderByValue\":12345678901234567890}" },
		{ "{\"lastReadChangeValue\":null,\"lastReadOrderByValue\":{\"base64\":\"/w==\"}}",
		  "{\"lastReadChangeValue\":null,\"lastReadOrderByValue\":{\"base64\":\"/w==\"}}" },
		{ "{\"lastReadChangeTime\":\"yesterday\"}", NULL },
		{ "{\"lastReadChangeTime\":5}", NULL },
		{ "{\"lastReadOrderByValue\":true}", NULL },
		{ "{\"lastReadOrderByValue\":{\"base64\":\"?\"}}", NULL },
		{ "[]", NULL },
	};

	(void)state;
	for (size_t i = 0; i < DF_ARRAY_SIZE(rows); i++) {
		df_cleanup(df_cursor_freep) struct df_cursor *cursor = df_cursor_new(&table);
		struct df_error err = DF_ERROR_INIT;
		bool changed;
		int code = df_cursor_restore(cursor, &source, json(rows[i].checkpoint), &changed, &err);

		if (rows[i].position) {
			assert_int_equal(code, 0);
			assert_position(cursor, rows[i].position);
		} else {
			assert_int_equal(code, DF_ERR_CONFIG);
			assert_non_null(strstr(err.text, "checkpointReset"));
		}
	}
}

/* ---- polling --------------------------------------------------------------------------------------------- */

static void polls_at_a_fixed_rate(void **state)
{
	struct df_poll poll = { .interval_ns = 10 };

	(void)state;
	assert_int_equal(df_poll_delay(&poll, 100), 0);
	assert_int_equal(df_poll_delay(&poll, 103), 7);
	assert_int_equal(df_poll_delay(&poll, 110), 10);
	/* A poll of 35: the ticks at 130, 140 and 150 are one, and the next is on the beat again. */
	assert_int_equal(df_poll_delay(&poll, 155), 0);
	assert_int_equal(df_poll_delay(&poll, 156), 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
		TEST(statements),
		TEST(a_query_becomes_a_table),
		TEST(moves_by_tie_groups),
		TEST(an_old_k_becomes_t_and_k),
		TEST(commits_and_restores),
		TEST(what_a_checkpoint_may_hold),
		TEST(polls_at_a_fixed_rate),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* CSV rows: what RFC 4180 says, what is bad, and that a row read in pieces is the row read at once. */
#include "connectors/csv.h"
#include "harness.h"

/* The row as text: fields between |, with !bad behind it. Static storage. */
static const char *show(const char *text, bool ended, size_t *ret_len)
{
	static struct df_buf buf;
	struct df_csv_row row = { 0 };
	struct df_arena arena;

	df_arena_init(&arena, NULL);
	buf.len = 0;
	switch (df_csv_read(df_str_c(text), ',', ended, &row)) {
	case DF_CSV_MORE:
		df_buf_add_c(&buf, "more");
		break;
	case DF_CSV_NO_MEMORY:
		fail();
		break;
	case DF_CSV_ROW:
		for (size_t i = 0; i < row.count; i++) {
			df_buf_add_c(&buf, i ? "|" : "");
			df_buf_add_c(&buf, row.fields[i].quoted ? "'" : "");
			df_buf_add_str(&buf, df_csv_text(&row.fields[i], &arena));
		}
		if (row.bad)
			df_buf_add_char(&buf, '!');
		if (ret_len)
			*ret_len = row.len;
		break;
	}
	df_csv_row_done(&row);
	df_arena_done(&arena);
	return df_buf_c(&buf);
}

static void test_rows(void **state)
{
	static const struct {
		const char *text, *shown;
		size_t len;
	} rows[] = {
		{ "a,b,c\n", "a|b|c", 6 },
		{ "a,b,c\r\nd", "a|b|c", 7 },
		{ "a,,c\n", "a||c", 5 },
		{ ",\n", "|", 2 },
		{ "\n", "", 1 },
		{ "\r\n", "", 2 },
		{ "\"a\",\"b\"\n", "'a|'b", 8 },
		{ "\"a,b\"\n", "'a,b", 6 },
		{ "\"a\nb\",c\n", "'a\nb|c", 8 },
		{ "\"a\"\"b\"\n", "'a\"b", 7 },
		{ "\"\"\"\"\n", "'\"", 5 },
		{ "\"\",x\n", "'|x", 5 },
		{ "5\" pipe,x\n", "5\" pipe|x", 10 },
		{ "a\rb,c\n", "a\rb|c", 6 },
		{ " a , b \n", " a | b ", 8 },
		{ "\"a\"x,b\n", "'a|b!", 7 },
		{ "\"a\"\r\n", "'a", 5 },
	};

	(void)state;
	for (size_t i = 0; i < DF_ARRAY_SIZE(rows); i++) {
		size_t len = 0;

		assert_string_equal(show(rows[i].text, false, &len), rows[i].shown);
		assert_int_equal(len, rows[i].len);
	}
}

static void test_end(void **state)
{
	(void)state;
	assert_string_equal(show("a,b", false, NULL), "more");
	assert_string_equal(show("a,b", true, NULL), "a|b");
	assert_string_equal(show("a,b\r", false, NULL), "more");
	assert_string_equal(show("a,b\r", true, NULL), "a|b");
	assert_string_equal(show("\"a\"", false, NULL), "more");
	assert_string_equal(show("\"a\"", true, NULL), "'a");
	assert_string_equal(show("\"a\"\r", false, NULL), "more");
	assert_string_equal(show("\"a\"\r", true, NULL), "'a");
	assert_string_equal(show("\"a\nb", false, NULL), "more");
	assert_string_equal(show("\"a\nb", true, NULL), "'a\nb!");
	assert_string_equal(show("a,", true, NULL), "a|");
	assert_string_equal(show("\"", true, NULL), "'!");
}

/* Any cut of a text gives the same row when the rest comes, or the same verdict as the whole. */
static void test_pieces(void **state)
{
	static const char text[] = "id,\"a \"\"quoted\"\" one\",\"two\nlines\",,last\r\n";

	(void)state;
	for (size_t n = 1; n + 1 < sizeof(text); n++) {
		struct df_csv_row row = { 0 };

		assert_int_equal(df_csv_read(df_str(text, n), ',', false, &row), DF_CSV_MORE);
		df_csv_row_done(&row);
	}
	assert_string_equal(show(text, false, NULL), "id|'a \"quoted\" one|'two\nlines||last");
}

static void test_too_many_fields(void **state)
{
	struct df_buf buf = { 0 };
	struct df_csv_row row = { 0 };

	(void)state;
	for (size_t i = 0; i < DF_CSV_COLUMNS_MAX + 10; i++)
		df_buf_add_c(&buf, "x,");
	df_buf_add_c(&buf, "\nnext\n");
	assert_int_equal(df_csv_read(df_buf_str(&buf), ',', false, &row), DF_CSV_ROW);
	assert_int_equal(row.count, DF_CSV_COLUMNS_MAX);
	assert_non_null(row.bad);
	assert_int_equal(row.len, buf.len - 5);
	df_csv_row_done(&row);
	df_buf_done(&buf);
}

static void test_write(void **state)
{
	static const struct {
		const char *text, *written;
	} fields[] = {
		{ "plain", "plain" },	{ "", "\"\"" },		{ "a,b", "\"a,b\"" }, { "a\"b", "\"a\"\"b\"" },
		{ "a\nb", "\"a\nb\"" }, { "a\rb", "\"a\rb\"" }, { "\"", "\"\"\"\"" }, { " a ", " a " },
	};

	(void)state;
	for (size_t i = 0; i < DF_ARRAY_SIZE(fields); i++) {
		struct df_buf buf = { 0 };
		struct df_csv_row row = { 0 };
		struct df_arena arena;

		df_arena_init(&arena, NULL);
		df_csv_write(df_str_c(fields[i].text), ',', &buf);
		assert_string_equal(df_buf_c(&buf), fields[i].written);
		/* and back */
		assert_int_equal(df_csv_read(df_buf_str(&buf), ',', true, &row), DF_CSV_ROW);
		assert_int_equal(row.count, 1);
		assert_true(df_str_equal_c(df_csv_text(&row.fields[0], &arena), fields[i].text));
		df_csv_row_done(&row);
		df_arena_done(&arena);
		df_buf_done(&buf);
	}
}

/* ---- through the source ---------------------------------------------------------------------------------- */

static void test_source(void **state)
{
	struct harness h;
	struct df_source *s;

	(void)state;
	harness_init(&h);
	harness_directory();
	harness_put(harness_path("in.csv"), "id,name\n1,apple\n\n\"2\",\"two\nlines\"\n3,\"a \"\"b\"\"\"\n4,\n5,\"\"");
	s = harness_source(&h, "{'type': 'file', 'config': {'path': '%s', 'emptyAsNull': true}}",
			   harness_path("in.csv"));
	harness_read(&h, s);
	assert_int_equal(h.messages, 5);
	assert_string_equal(harness_payload(&h, 0), "{\"id\":\"1\",\"name\":\"apple\"}");
	assert_string_equal(harness_payload(&h, 1), "{\"id\":\"2\",\"name\":\"two\\nlines\"}");
	assert_string_equal(harness_payload(&h, 2), "{\"id\":\"3\",\"name\":\"a \\\"b\\\"\"}");
	assert_string_equal(harness_payload(&h, 3), "{\"id\":\"4\",\"name\":null}");
	assert_string_equal(harness_payload(&h, 4), "{\"id\":\"5\",\"name\":\"\"}");
	df_source_free(s);
	harness_done(&h);
}

static void test_source_bad_rows(void **state)
{
	struct harness h;
	struct df_source *s;
	char expected[256];

	(void)state;
	harness_init(&h);
	harness_directory();
	harness_put(harness_path("in.csv"), "\xef\xbb\xbfid;name\n1;a\n2\n\"3\n\";b;c\n4;\"x\"y\n5;\xff\n6;f\n");
	s = harness_source(&h, "{'type': 'file', 'config': {'path': '%s', 'delimiter': ';'}}", harness_path("in.csv"));
	harness_read(&h, s);
	assert_int_equal(h.messages, 6);
	assert_string_equal(harness_payload(&h, 0), "{\"id\":\"1\",\"name\":\"a\"}");
	snprintf(expected, sizeof(expected), "%s:3: the row has 1 fields, there are 2 columns", harness_path("in.csv"));
	assert_string_equal(harness_failure(&h, 1), expected);
	assert_string_equal(harness_payload(&h, 1), "2"); /* the raw row, for the error sink */
	snprintf(expected, sizeof(expected), "%s:4: the row has 3 fields, there are 2 columns", harness_path("in.csv"));
	assert_string_equal(harness_failure(&h, 2), expected);
	assert_non_null(strstr(harness_failure(&h, 3), ":6: text behind the closing quote"));
	assert_non_null(strstr(harness_failure(&h, 4), ":7: invalid UTF-8 at byte 3"));
	assert_int_equal(harness_message(&h, 4)->failure->code, DF_ERR_INVALID_DATA);
	assert_string_equal(harness_payload(&h, 5), "{\"id\":\"6\",\"name\":\"f\"}");
	df_source_free(s);
	harness_done(&h);
}

static void read_fails(const char *content, const char *config, int code, const char *said)
{
	struct df_error err = DF_ERROR_INIT;
	struct harness h;
	struct df_source *s;

	harness_init(&h);
	harness_directory();
	harness_put(harness_path("in.csv"), content);
	s = harness_source(&h, "{'type': 'file', 'config': {'path': '%s'%s}}", harness_path("in.csv"), config);
	assert_int_equal(harness_read_fails(&h, s, &err), code);
	if (!strstr(err.text, said))
		fail_msg("%s", err.text);
	df_source_free(s);
	harness_done(&h);
}

static void test_source_headers(void **state)
{
	struct harness h;
	struct df_source *s;
	char *said;

	(void)state;
	read_fails("a,a\n1,2\n", "", DF_ERR_CONFIG, "columns 1 and 2 are both called \"a\"");
	read_fails("a,\n1,2\n", "", DF_ERR_CONFIG, "column 2 has no name");
	read_fails("a,b\n1,2\n", ",'columns':['x']", DF_ERR_CONFIG,
		   "the header has 2 columns, spec.source.config.columns names 1");
	read_fails("a,b\n1,\"2\n3,4\n", ",'maxLineBytes':6", DF_ERR_INVALID_DATA, "maybe a quote is not closed");
	said = harness_refused(DF_SOURCE, "{'type': 'file', 'config': {'path': 'x.csv', 'header': false}}");
	assert_string_equal(said, "spec.source.config.header: without a header `columns` must name the columns");
	free(said);
	harness_init(&h);
	harness_directory();
	harness_put(harness_path("in.tsv"), "1\ta\n2\tb\n");
	s = harness_source(&h, "{'type': 'file', 'config': {'path': '%s', 'header': false, 'columns': ['n', 'l']}}",
			   harness_path("in.tsv"));
	harness_read(&h, s);
	assert_int_equal(h.messages, 2);
	assert_string_equal(harness_payload(&h, 1), "{\"n\":\"2\",\"l\":\"b\"}");
	df_source_free(s);
	harness_done(&h);
}

/* The header is read again, and the rows before the position are not. */
static void test_source_resumes(void **state)
{
	struct df_error err = DF_ERROR_INIT;
	struct harness h;
	struct df_source *s;
	char *checkpoint;

	(void)state;
	harness_init(&h);
	harness_directory();
	harness_put(harness_path("in.csv"), "id,name\n1,a\n\"2\",b\n3,c\n4\n");
	s = harness_source(&h, "{'type': 'file', 'config': {'path': '%s'}}", harness_path("in.csv"));
	harness_read(&h, s);
	assert_int_equal(h.messages, 4);
	checkpoint = harness_commit_some(&h, s, 0, 2);
	df_source_free(s);
	harness_done(&h);

	harness_init(&h);
	s = harness_source(&h, "{'type': 'file', 'config': {'path': '%s'}}", harness_path("in.csv"));
	assert_int_equal(harness_restore(s, checkpoint, &err), 0);
	harness_read(&h, s);
	assert_int_equal(h.messages, 2);
	assert_string_equal(harness_payload(&h, 0), "{\"id\":\"3\",\"name\":\"c\"}");
	assert_non_null(strstr(harness_failure(&h, 1), "in.csv:5: the row has 1 fields"));
	df_source_free(s);
	harness_done(&h);
	free(checkpoint);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows),
		cmocka_unit_test(test_end),
		cmocka_unit_test(test_pieces),
		cmocka_unit_test(test_too_many_fields),
		cmocka_unit_test(test_write),
		cmocka_unit_test(test_source),
		cmocka_unit_test(test_source_bad_rows),
		cmocka_unit_test(test_source_headers),
		cmocka_unit_test(test_source_resumes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

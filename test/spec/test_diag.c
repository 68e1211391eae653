/* Diagnostics: what is printed, which line is found, and what is left of them when memory runs out. */
#include "support.h"

#include "spec/diag.h"

static void test_print(void **state)
{
	struct df_diags diags = { 0 };
	struct df_place place = { .file = "flow.yaml", .line = 12, .path = "spec.source" };
	struct df_place no_line = { .file = "flow.yaml", .path = "spec" };
	struct df_place no_path = { .file = "flow.yaml", .line = 3 };
	struct df_place no_file = { .path = "spec" };

	(void)state;
	df_diag_error(&diags, &place, NULL, "one %d", 1);
	df_diag_error(&diags, &place, "config.topic", "two");
	df_diag_warning(&diags, &place, "[3].x", "three");
	df_diag_error(&diags, &no_line, NULL, "four");
	df_diag_error(&diags, &no_path, NULL, "five");
	df_diag_error(&diags, &no_path, "a", "six");
	df_diag_error(&diags, &no_file, "a", "seven");
	df_diag_warning(&diags, NULL, NULL, "eight");
	df_diag_error(&diags, &place, "k\n", "a\tb\x7f");
	assert_int_equal(diags.count, 9);
	assert_int_equal(diags.errors, 7);
	assert_printed(&diags, "flow.yaml:12: spec.source: one 1\n"
			       "flow.yaml:12: spec.source.config.topic: two\n"
			       "flow.yaml:12: spec.source[3].x: warning: three\n"
			       "flow.yaml: spec: four\n"
			       "flow.yaml:3: five\n"
			       "flow.yaml:3: a: six\n"
			       "spec.a: seven\n"
			       "warning: eight\n"
			       "flow.yaml:12: spec.source.k?: a?b?\n");
	df_diags_done(&diags);
	assert_int_equal(diags.count, 0);
	df_diags_done(&diags);
	df_diags_done(NULL);
}

/* The line is that of the deepest node on the way. */
static void test_lines(void **state)
{
	static const struct {
		const char *sub;
		uint32_t line;
	} examples[] = {
		{ NULL, 1 },	   { "a", 2 },	   { "a.b", 3 },    { "a.b.c", 3 },   { "a.x", 2 },
		{ "l", 4 },	   { "l[0]", 5 },  { "l[1]", 6 },   { "l[1].x", 6 },  { "l[1].y.z", 7 },
		{ "l[2]", 4 },	   { "l[x]", 4 },  { "m.q.r", 11 }, { "m.q", 12 },    { "m.dotted.k", 10 },
		{ "m.dotted", 9 }, { "m.dot", 8 }, { "m[0]", 8 },   { "nothing", 1 }, { "[0]", 1 },
	};
	struct df_arena arena;

	(void)state;
	df_arena_init(&arena, NULL);
	struct df_value *root = read_one("# 1\n"
					 "a:\n"
					 "  b: 1\n"
					 "l:\n"
					 "  - 1\n"
					 "  - x: 1\n"
					 "    y: {z: 2}\n"
					 "m:\n"
					 "  dotted: 1\n"
					 "  dotted.k: 2\n"
					 "  q.r: 3\n"
					 "  q: 4\n",
					 &arena);
	for (size_t i = 0; i < DF_ARRAY_SIZE(examples); i++) {
		struct df_diags diags = { 0 };
		struct df_place place = { .file = "f", .line = 1, .path = "p", .value = root };

		df_diag_error(&diags, &place, examples[i].sub, "x");
		assert_int_equal(diags.items[0].line, examples[i].line);
		df_diags_done(&diags);
	}
	df_arena_done(&arena);
}

static void test_first_error(void **state)
{
	struct df_diags diags = { 0 };
	struct df_place place = { .file = "flow.yaml", .line = 2, .path = "spec" };
	struct df_error err = DF_ERROR_INIT;

	(void)state;
	assert_int_equal(df_diags_error(&diags, &err), 0);
	df_diag_warning(&diags, &place, "w", "only a warning");
	assert_int_equal(df_diags_error(&diags, &err), 0);
	df_diag_error(&diags, &place, "a", "first");
	assert_int_equal(df_diags_error(&diags, &err), DF_ERR_CONFIG);
	assert_string_equal(err.text, "flow.yaml:2: spec.a: first");
	df_diag_error(&diags, &place, "b", "second");
	df_diag_error(&diags, &place, "c", "third");
	assert_int_equal(df_diags_error(&diags, &err), DF_ERR_CONFIG);
	assert_string_equal(err.text, "flow.yaml:2: spec.a: first (and 2 more)");
	assert_int_equal(df_diags_error(&diags, NULL), DF_ERR_CONFIG);
	df_diags_done(&diags);
}

/* Many of them: the list grows. */
static void test_growth(void **state)
{
	struct df_diags diags = { 0 };
	struct df_buf buf = { 0 };

	(void)state;
	for (size_t i = 0; i < 1000; i++)
		df_diag_error(&diags, NULL, NULL, "%zu", i);
	assert_int_equal(diags.count, 1000);
	assert_string_equal(diags.items[999].text, "999");
	assert_true(df_diags_full(&diags, false));
	assert_false(df_diags_full(&diags, true));
	/* More errors are counted; warnings have room of their own. */
	for (size_t i = 0; i < 1500; i++) {
		df_diag_error(&diags, NULL, NULL, "%zu", i);
		df_diag_warning(&diags, NULL, NULL, "w%zu", i);
	}
	assert_int_equal(diags.count, 2000);
	assert_int_equal(diags.errors, 2500);
	assert_string_equal(diags.items[1999].text, "w999");
	assert_true(df_diags_full(&diags, true));
	df_diags_print(&diags, &buf);
	assert_non_null(strstr(df_buf_c(&buf), "warning: w999\nand 1500 more errors\n"));
	df_buf_done(&buf);
	df_diags_done(&diags);
}

/* What could not be stored counts as an error. */
static void test_no_memory(void **state)
{
	struct df_diags diags = { .failed = true, .errors = 1 };
	struct df_error err = DF_ERROR_INIT;

	(void)state;
	assert_int_equal(df_diags_error(&diags, &err), DF_ERR_NO_MEMORY);
	assert_printed(&diags, "out of memory: the list of problems is not complete\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_print),  cmocka_unit_test(test_lines),	 cmocka_unit_test(test_first_error),
		cmocka_unit_test(test_growth), cmocka_unit_test(test_no_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

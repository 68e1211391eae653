/* Nodes: building, editing, comparing, the text of scalars. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "value/value.h"

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

static struct df_value *parse(const char *text)
{
	struct df_value *root;

	if (df_value_parse(df_str_c(text), &arena, &root, NULL) != DF_PARSE_OK)
		fail_msg("no JSON: %s", text);
	return root;
}

/* Is the list sound, and the JSON as given? */
static void assert_json(const struct df_value *v, const char *want)
{
	struct df_str json = df_value_to_arena(v, &arena);

	if (!df_str_equal_c(json, want))
		fail_msg(DF_STR_FMT ", not %s", DF_STR_ARG(json), want);
	if (df_value_is_container(v)) {
		const struct df_value *last = NULL;
		size_t n = 0;
		df_for_each (child, v) {
			last = child;
			n++;
		}
		assert_int_equal(n, v->len);
		if (n)
			assert_ptr_equal(last, v->last);
	}
}

/* ---- editing --------------------------------------------------------------------------------------------- */

static void test_object_get(void **state)
{
	struct df_value *v = parse("{\"a\":1,\"\":2,\"a\\u0000b\":3,\"ab\":4}");
	int64_t i;

	(void)state;
	assert_true(df_value_to_int64(df_object_get_c(v, "a"), &i) && i == 1);
	assert_true(df_value_to_int64(df_object_get_c(v, ""), &i) && i == 2);
	assert_true(df_value_to_int64(df_object_get(v, df_str(NULL, 0)), &i) && i == 2);
	assert_true(df_value_to_int64(df_object_get(v, DF_STR("a\0b")), &i) && i == 3);
	assert_true(df_value_to_int64(df_object_get_c(v, "ab"), &i) && i == 4);
	assert_null(df_object_get_c(v, "b"));
	assert_null(df_object_get_c(NULL, "a"));
	assert_null(df_object_get_c(parse("[1]"), "a"));
	assert_null(df_object_get_c(parse("\"a\""), "a"));
}

static void test_object_set(void **state)
{
	struct df_value *v = parse("{\"a\":1,\"b\":2,\"c\":3}");

	(void)state;
	df_object_set(v, DF_STR("b"), parse("[true]"));
	assert_json(v, "{\"a\":1,\"b\":[true],\"c\":3}");
	df_object_set(v, DF_STR("a"), parse("null"));
	assert_json(v, "{\"a\":null,\"b\":[true],\"c\":3}");
	df_object_set(v, DF_STR("c"), parse("{}"));
	assert_json(v, "{\"a\":null,\"b\":[true],\"c\":{}}");
	df_object_set(v, DF_STR("d\n"), df_value_string(&arena, DF_STR("x\"")));
	assert_json(v, "{\"a\":null,\"b\":[true],\"c\":{},\"d\\n\":\"x\\\"\"}");
	df_object_set(v, DF_STR("d\n"), df_value_int64(&arena, 4));
	assert_json(v, "{\"a\":null,\"b\":[true],\"c\":{},\"d\\n\":4}");

	struct df_value *empty = df_value_new(&arena, DF_OBJECT);
	df_object_set(empty, DF_STR(""), parse("1"));
	df_object_set(empty, df_str(NULL, 0), parse("2"));
	assert_json(empty, "{\"\":2}");
	assert_non_null(empty->first->key);
	df_object_set(empty, DF_STR(""), parse("3"));
	df_object_append(empty, DF_STR("x"), parse("4"));
	assert_json(empty, "{\"\":3,\"x\":4}");
}

static void test_rename_remove(void **state)
{
	struct df_value *v = parse("{\"a\":1,\"b\":2,\"c\":3}");
	struct df_value *b = df_object_get_c(v, "b");

	(void)state;
	df_object_rename(b, DF_STR("B \"quoted\""));
	assert_json(v, "{\"a\":1,\"B \\\"quoted\\\"\":2,\"c\":3}");
	assert_ptr_equal(df_container_prev(v, b), v->first);
	assert_null(df_container_prev(v, v->first));
	df_container_remove(v, v->first, b);
	assert_null(b->next);
	assert_json(v, "{\"a\":1,\"c\":3}");
	df_container_remove(v, df_container_prev(v, v->last), v->last);
	assert_json(v, "{\"a\":1}");
	df_object_append(v, DF_STR("d"), parse("4"));
	assert_json(v, "{\"a\":1,\"d\":4}");
	df_container_remove(v, NULL, v->first);
	assert_json(v, "{\"d\":4}");
	df_container_remove(v, NULL, v->first);
	assert_json(v, "{}");
	df_object_append(v, DF_STR("B"), b);
	assert_json(v, "{\"B\":2}");
}

static void test_array(void **state)
{
	struct df_value *v = parse("[]");

	(void)state;
	for (int i = 0; i < 4; i++)
		df_array_append(v, df_value_int64(&arena, i));
	assert_json(v, "[0,1,2,3]");
	assert_ptr_equal(df_array_get(v, 3), v->last);
	assert_null(df_array_get(v, 4));
	assert_null(df_array_get(parse("{\"a\":1}"), 0));
	df_container_remove(v, df_array_get(v, 1), df_array_get(v, 2));
	assert_json(v, "[0,1,3]");

	struct df_value *member = df_object_get_c(parse("{\"a\":[9]}"), "a");
	df_array_append(v, member);
	assert_null(member->key);
	assert_json(v, "[0,1,3,[9]]");
}

static void test_replace_take(void **state)
{
	struct df_value *v = parse("{\"a\":1,\"b\":{\"c\":[2]},\"d\":3}");
	struct df_value *b = df_object_get_c(v, "b");

	(void)state;
	df_value_replace(b, parse("\"text\""));
	assert_json(v, "{\"a\":1,\"b\":\"text\",\"d\":3}");
	df_value_replace(b, parse("[4,5]"));
	assert_json(v, "{\"a\":1,\"b\":[4,5],\"d\":3}");
	df_array_append(b, parse("6"));
	df_value_replace(b, b->last); /* by its own child */
	assert_json(v, "{\"a\":1,\"b\":6,\"d\":3}");
	struct df_value *stamp = df_value_string(&arena, DF_STR("2024-01-01"));
	stamp->logical = DF_LOGICAL_DATE;
	b->line = 7;
	df_value_replace(b, stamp);
	assert_int_equal(b->logical, DF_LOGICAL_DATE);
	assert_int_equal(b->line, 7);

	struct df_value *first = df_container_take(v);
	assert_json(v, "{}");
	size_t n = 0;
	for (struct df_value *child = first; child; child = child->next)
		n++;
	assert_int_equal(n, 3);
	df_object_append(v, DF_STR("z"), parse("0"));
	assert_json(v, "{\"z\":0}");
}

static void test_clone(void **state)
{
	char text[] = "{\"a\":[1,\"x\\n\",{\"b\":null}],\"\\u0063\":\"plain\",\"e\":[],\"t\":true}";
	struct df_value *root;
	struct df_arena other;

	(void)state;
	assert_int_equal(df_value_parse(df_str_c(text), &arena, &root, NULL), DF_PARSE_OK);
	char *json = strndup(df_value_to_arena(root, &arena).ptr, df_value_to_arena(root, &arena).len);
	struct df_value *member = df_object_get_c(root, "a");
	struct df_value *part = df_value_clone(member, &arena);
	assert_null(part->key);
	assert_null(part->next);
	assert_json(part, "[1,\"x\\n\",{\"b\":null}]");
	assert_ptr_not_equal(part->first, member->first);
	assert_ptr_equal(part->first->text, member->first->text);
	df_array_append(part, df_value_int64(&arena, 2));
	assert_int_equal(member->len, 3);

	df_arena_init(&other, NULL);
	df_object_append(root, DF_STR("i"), df_value_int64(&arena, 5));
	df_object_append(root, DF_STR("f"), df_value_float64(&arena, 0.5));
	df_object_append(root, DF_STR("y"), df_value_bytes(&arena, DF_STR("abc")));
	struct df_value *copy = df_value_clone_deep(root, &other);
	memset(text, '#', sizeof(text));
	df_arena_done(&arena);
	df_arena_init(&arena, NULL);
	size_t len = strlen(json);
	json[len - 1] = '\0';
	struct df_buf want = { 0 };
	df_buf_printf(&want, "%s,\"i\":5,\"f\":0.5,\"y\":\"YWJj\"}", json);
	assert_json(copy, df_buf_c(&want));
	df_buf_done(&want);
	free(json);
	df_arena_done(&other);
}

/* ---- equality -------------------------------------------------------------------------------------------- */

static void test_equal(void **state)
{
	static const struct {
		const char *a, *b;
		bool equal;
	} cases[] = {
		{ "null", "null", true },
		{ "true", "true", true },
		{ "true", "false", false },
		{ "null", "false", false },
		{ "1", "1.0", true },
		{ "1.10", "1.1", true },
		{ "100", "1e2", true },
		{ "0", "-0", true },
		{ "0", "0e999", true },
		{ "9007199254740993", "9007199254740992", false },
		{ "1e400", "1e399", false },
		{ "1", "\"1\"", false },
		{ "\"a\"", "\"\\u0061\"", true },
		{ "\"a\\/b\\n\"", "\"a/b\\u000A\"", true },
		{ "\"\\ud83d\\ude00\"", "\"\xF0\x9F\x98\x80\"", true },
		{ "\"\\ud800\"", "\"\\uD800\"", true },
		{ "\"\\ud800\"", "\"\\ud801\"", false },
		{ "\"a\"", "\"a\\u0000\"", false },
		{ "\"\"", "\"\\u0000\"", false },
		{ "\"abc\"", "\"ab\\u0063d\"", false },
		{ "\"\"", "\"\"", true },
		{ "[]", "{}", false },
		{ "[]", "[]", true },
		{ "[1,2]", "[1,2]", true },
		{ "[1,2]", "[2,1]", false },
		{ "[1]", "[1,2]", false },
		{ "{}", "{}", true },
		{ "{\"a\":1,\"b\":2}", "{\"b\":2.0,\"a\":1}", true },
		{ "{\"a\":1,\"b\":2,\"c\":3}", "{\"a\":1,\"c\":3,\"b\":2}", true },
		{ "{\"a\":1,\"b\":2}", "{\"a\":1,\"c\":2}", false },
		{ "{\"a\":1}", "{\"a\":1,\"b\":2}", false },
		{ "{\"a\":1,\"b\":2}", "{\"b\":1,\"a\":2}", false },
		{ "{\"\\u0061\":1}", "{\"a\":1}", true },
		{ "{\"a\":{\"b\":[1,{\"c\":null}]}}", "{\"a\":{\"b\":[1e0,{\"c\":null}]}}", true },
		{ "{\"a\":null}", "{\"b\":null}", false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct df_value *a = parse(cases[i].a);
		struct df_value *b = parse(cases[i].b);
		if (df_value_equal(a, b) != cases[i].equal || df_value_equal(b, a) != cases[i].equal)
			fail_msg("%s and %s", cases[i].a, cases[i].b);
		assert_true(df_value_equal(a, a));
		assert_true(df_value_equal(a, df_value_clone(a, &arena)));
	}
}

static void test_equal_reprs(void **state)
{
	(void)state;
	assert_true(df_value_equal(df_value_int64(&arena, 5), parse("5.0")));
	assert_true(df_value_equal(df_value_float64(&arena, 0.5), parse("5e-1")));
	assert_true(df_value_equal(df_value_float64(&arena, (double)NAN), parse("\"NaN\"")));
	assert_false(df_value_equal(df_value_float64(&arena, (double)NAN), parse("\"Infinity\"")));
	assert_true(df_value_equal(df_value_bytes(&arena, DF_STR("fo")), parse("\"Zm8=\"")));
	assert_true(df_value_equal(df_value_bytes(&arena, DF_STR("foobar")), parse("\"Zm9v\\u0059mFy\"")));
	assert_false(df_value_equal(df_value_bytes(&arena, DF_STR("foobar")), parse("\"Zm9vYmF\"")));
	assert_false(df_value_equal(df_value_bytes(&arena, DF_STR("foobar")), parse("\"Zm9vYmFy=\"")));
}

/* Large objects in another order: by sorting, not by n * n comparisons. */
static void test_equal_large(void **state)
{
	struct df_value *a = df_value_new(&arena, DF_OBJECT);
	struct df_value *b = df_value_new(&arena, DF_OBJECT);
	int n = 100000;

	(void)state;
	for (int i = 0; i < n; i++) {
		char key[16];
		snprintf(key, sizeof(key), "%d", i);
		df_object_append(a, df_arena_dup(&arena, df_str_c(key)), df_value_int64(&arena, i));
		snprintf(key, sizeof(key), "%d", n - 1 - i);
		df_object_append(b, df_arena_dup(&arena, df_str_c(key)), df_value_int64(&arena, n - 1 - i));
	}
	assert_true(df_value_equal(a, b));
	b->last->int64++;
	assert_false(df_value_equal(a, b));
	b->last->int64--;
	df_object_rename(b->first->next, DF_STR("other"));
	assert_false(df_value_equal(a, b));
}

/* ---- text ------------------------------------------------------------------------------------------------ */

static void assert_text(const struct df_value *v, struct df_str want)
{
	struct df_str text = df_value_text(v, &arena);

	assert_non_null(text.ptr);
	if (!df_str_equal(text, want))
		fail_msg(DF_STR_FMT ", not " DF_STR_FMT, DF_STR_ARG(text), DF_STR_ARG(want));
	if (v->kind != DF_STRING)
		return;
	assert_true(df_value_string_equal(v, want));
	struct df_value *copy = df_value_clone(v, &arena);
	assert_int_equal(df_value_unescape(copy, &arena), DF_OK);
	assert_true(copy->repr == DF_REPR_TEXT || copy->repr == DF_REPR_PLAIN);
	assert_true(df_str_equal(df_str(copy->text, copy->len), want));
	assert_true(df_value_equal(v, copy));
}

static void test_sort_keys(void **state)
{
	struct df_value *v =
		parse("{\"b\":[{\"z\":1,\"\u00e9\":2,\"y\":3}],\"a\":{},\"ab\":null,\"\":0,\"c\":1,\"B\":2}");
	struct df_buf buf = { 0 };

	(void)state;
	df_value_sort_keys(v);
	df_value_write(v, &buf);
	assert_string_equal(df_buf_c(&buf),
			    "{\"\":0,\"B\":2,\"a\":{},\"ab\":null,\"b\":[{\"y\":3,\"z\":1,\"\u00e9\":2}],\"c\":1}");
	buf.len = 0;
	df_object_append(v, DF_STR("d"), parse("true")); /* it is still whole */
	df_value_write(v->last, &buf);
	assert_string_equal(df_buf_c(&buf), "true");
	df_buf_done(&buf);
}

static void test_text(void **state)
{
	(void)state;
	assert_text(parse("null"), DF_STR("null"));
	assert_text(parse("true"), DF_STR("true"));
	assert_text(parse("false"), DF_STR("false"));
	assert_text(parse("1.10"), DF_STR("1.10"));
	assert_text(parse("\"\""), DF_STR(""));
	assert_text(parse("\"abc\""), DF_STR("abc"));
	assert_text(parse("\"a\\nb\\u0000\""), DF_STR("a\nb\0"));
	assert_text(parse("\"\\ud83d\\ude00\\ud800\""), DF_STR("\xF0\x9F\x98\x80\xED\xA0\x80"));
	assert_text(parse("\"\\\"\\\\\\/\""), DF_STR("\"\\/"));
	assert_text(parse("[1, {\"a\" : 2}]"), DF_STR("[1,{\"a\":2}]"));
	assert_text(df_value_int64(&arena, -5), DF_STR("-5"));
	assert_text(df_value_float64(&arena, 1e22), DF_STR("1e+22"));
	assert_text(df_value_float64(&arena, -(double)INFINITY), DF_STR("-Infinity"));
	assert_text(df_value_bytes(&arena, DF_STR("\xFF\x00 f")), DF_STR("/wAgZg=="));
	assert_text(df_value_bytes(&arena, DF_STR("")), DF_STR(""));
	assert_text(df_value_string(&arena, df_str(NULL, 0)), DF_STR(""));
	assert_text(df_value_string_copy(&arena, DF_STR("copied")), DF_STR("copied"));
	assert_text(df_value_string_copy(&arena, df_str(NULL, 0)), DF_STR(""));
	assert_text(df_value_new(&arena, DF_STRING), DF_STR(""));
}

static void test_string_equal(void **state)
{
	struct df_value *v = parse("\"a\\u00e9\\n\"");

	(void)state;
	assert_true(df_value_string_equal(v, DF_STR("a\xC3\xA9\n")));
	assert_false(df_value_string_equal(v, DF_STR("a\xC3\xA9")));
	assert_false(df_value_string_equal(v, DF_STR("a\xC3")));
	assert_false(df_value_string_equal(v, DF_STR("a\xC3\xA9\nb")));
	assert_false(df_value_string_equal(v, DF_STR("")));
	assert_false(df_value_string_equal(parse("1"), DF_STR("1")));
	assert_true(df_value_string_equal(parse("\"\""), df_str(NULL, 0)));
}

/* After decoding, text without anything to escape is known as such. */
static void test_unescape_plain(void **state)
{
	struct df_value *v = parse("[\"\\u0061\\/\",\"\\u0061\\n\",\"\\ud800\"]");

	(void)state;
	df_for_each (child, v)
		assert_int_equal(df_value_unescape(child, &arena), DF_OK);
	assert_int_equal(df_array_get(v, 0)->repr, DF_REPR_PLAIN);
	assert_int_equal(df_array_get(v, 1)->repr, DF_REPR_TEXT);
	assert_int_equal(df_array_get(v, 2)->repr, DF_REPR_TEXT);
	assert_json(v, "[\"a/\",\"a\\n\",\"\\ud800\"]");
	v = parse("1");
	assert_int_equal(df_value_unescape(v, &arena), DF_OK);
	assert_int_equal(v->kind, DF_NUMBER);
}

static void test_numbers(void **state)
{
	int64_t i;
	double d;

	(void)state;
	assert_true(df_value_to_int64(parse("5.0"), &i) && i == 5);
	assert_false(df_value_to_int64(parse("5.5"), &i));
	assert_false(df_value_to_int64(parse("\"5\""), &i));
	assert_true(df_value_to_int64(df_value_int64(&arena, INT64_MIN), &i) && i == INT64_MIN);
	assert_true(df_value_to_int64(df_value_float64(&arena, -3.0), &i) && i == -3);
	assert_true(df_value_to_int64(df_value_float64(&arena, -0x1p63), &i) && i == INT64_MIN);
	assert_false(df_value_to_int64(df_value_float64(&arena, 0x1p63), &i));
	assert_false(df_value_to_int64(df_value_float64(&arena, 0.5), &i));
	assert_false(df_value_to_int64(df_value_float64(&arena, (double)NAN), &i));
	assert_true(df_value_to_double(parse("0.1"), &d) && d == 0.1);
	assert_true(df_value_to_double(df_value_int64(&arena, 3), &d) && d == 3);
	assert_true(df_value_to_double(df_value_float64(&arena, 2.5), &d) && d == 2.5);
	assert_false(df_value_to_double(df_value_float64(&arena, (double)INFINITY), &d));
	assert_false(df_value_to_double(parse("1e999"), &d));
	assert_false(df_value_to_double(parse("null"), &d));
	assert_int_equal(df_value_float64(&arena, (double)NAN)->kind, DF_STRING);
	assert_int_equal(df_value_float64(&arena, 1)->logical, DF_LOGICAL_FLOAT64);
	assert_int_equal(df_value_bytes(&arena, DF_STR("x"))->logical, DF_LOGICAL_BYTES);
}

/* ---- memory ---------------------------------------------------------------------------------------------- */

/* In a child with little address space left: everything that allocates says so and nothing crashes. */
static int run_out_of_memory(const char *text)
{
	FILE *f = fopen("/proc/self/statm", "r");
	unsigned long pages = 0;
	struct df_value *root;

	if (!f || fscanf(f, "%lu", &pages) != 1)
		return 77;
	fclose(f);
	struct rlimit limit;
	limit.rlim_cur = limit.rlim_max = pages * (rlim_t)sysconf(_SC_PAGESIZE) + (4 << 20);
	if (setrlimit(RLIMIT_AS, &limit) != 0)
		return 77;
	if (df_value_parse(df_str_c(text), &arena, &root, NULL) != DF_PARSE_NO_MEMORY || root)
		return 1;
	/* Uses up what is left: whole blocks, then the last one. */
	while (df_arena_alloc(&arena, DF_ARENA_BLOCK / 2))
		;
	if (!df_arena_alloc(&arena, (size_t)(arena.end - arena.next)))
		return 7;
	struct df_error err;
	if (df_value_parse_text(DF_STR("[1]"), &arena, &root, &err) != DF_ERR_NO_MEMORY)
		return 2;
	if (df_value_new(&arena, DF_OBJECT) || df_value_string_copy(&arena, DF_STR("x")) || df_value_int64(&arena, 1))
		return 3;
	struct df_value escaped = { .kind = DF_STRING, .repr = DF_REPR_ESCAPED, .text = "\\n", .len = 2 };
	if (df_value_unescape(&escaped, &arena) != DF_ERR_NO_MEMORY || escaped.repr != DF_REPR_ESCAPED)
		return 4;
	if (df_value_text(&escaped, &arena).ptr || df_value_to_arena(&escaped, &arena).ptr)
		return 5;
	if (df_value_clone(&escaped, &arena) || df_value_clone_deep(&escaped, &arena))
		return 6;
	return 0;
}

static void test_no_memory(void **state)
{
	(void)state;
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
	print_message("SKIPPED: a sanitizer cannot run in little memory; the ordinary build runs it\n");
	skip();
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
	print_message("SKIPPED: a sanitizer cannot run in little memory; the ordinary build runs it\n");
	skip();
#endif
#endif
	for (int shape = 0; shape < 2; shape++) {
		struct df_buf buf = { 0 };
		df_buf_add_c(&buf, shape ? "{" : "[");
		for (int i = 0; i < 400000; i++) {
			if (shape)
				df_buf_printf(&buf, "%s\"%d\":0", i ? "," : "", i);
			else
				df_buf_add_c(&buf, i ? ",0" : "0");
		}
		df_buf_add_c(&buf, shape ? "}" : "]");
		const char *text = df_buf_c(&buf);
		pid_t child = fork();
		assert_true(child >= 0);
		if (child == 0)
			_exit(run_out_of_memory(text));
		int status;
		assert_int_equal(waitpid(child, &status, 0), child);
		df_buf_done(&buf);
		assert_true(WIFEXITED(status));
		if (WEXITSTATUS(status) == 77)
			skip();
		assert_int_equal(WEXITSTATUS(status), 0);
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_object_get),	TEST(test_object_set),	 TEST(test_rename_remove), TEST(test_array),
		TEST(test_clone),	TEST(test_replace_take), TEST(test_equal),	   TEST(test_equal_reprs),
		TEST(test_equal_large), TEST(test_text),	 TEST(test_string_equal),  TEST(test_unescape_plain),
		TEST(test_numbers),	TEST(test_no_memory),	 TEST(test_sort_keys),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* The JSON parser. Texts are parsed from heap copies of exactly their size, so that ASan sees any byte read beyond
 * them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "value/value.h"

#define S(literal)                              \
	{                                       \
		"" literal, sizeof(literal) - 1 \
	}

static char *exact_copy(struct df_str text)
{
	char *copy = malloc(text.len ? text.len : 1);

	assert_non_null(copy);
	if (text.len)
		memcpy(copy, text.ptr, text.len);
	if (text.len == 0) {
		free(copy);
		return NULL;
	}
	return copy;
}

/* Parses a copy, checks it too, and compares the verdicts. *ret_json, if given: the written document (malloc). */
static enum df_parse_result run(struct df_str text, struct df_parse_error *err, char **ret_json)
{
	char *copy = exact_copy(text);
	struct df_arena arena;
	struct df_value *root;

	df_arena_init(&arena, NULL);
	enum df_parse_result result = df_value_parse(df_str(copy, text.len), &arena, &root, err);
	assert_int_equal(df_value_check(df_str(copy, text.len)), result);
	if (result == DF_PARSE_OK) {
		struct df_buf buf = { 0 };
		assert_non_null(root);
		assert_null(root->next);
		assert_null(root->key);
		df_value_write(root, &buf);
		assert_false(buf.failed);
		if (ret_json)
			*ret_json = df_buf_take(&buf);
		df_buf_done(&buf);
	} else {
		assert_null(root);
	}
	df_arena_done(&arena);
	free(copy);
	return result;
}

/* ---- what is JSON ---------------------------------------------------------------------------------------- */

/* Accepted, and written as `out`; NULL: as it came. */
static const struct {
	struct df_str in;
	const char *out;
} accepted[] = {
	{ S("0"), NULL },
	{ S("-0"), NULL },
	{ S("7"), NULL },
	{ S("-1"), NULL },
	{ S("10"), NULL },
	{ S("1234567890123456789012345678901234567890"), NULL },
	{ S("0.0"), NULL },
	{ S("-0.10"), NULL },
	{ S("1.10"), NULL },
	{ S("0e0"), NULL },
	{ S("0E+1"), NULL },
	{ S("1e5"), NULL },
	{ S("1E5"), NULL },
	{ S("1e-05"), NULL },
	{ S("1.5e+300"), NULL },
	{ S("1e400"), NULL },
	{ S("123.456e789"), NULL },
	{ S("  1"), "1" },
	{ S("1  "), "1" },
	{ S("\t\r\n 1 \n\r\t"), "1" },
	{ S("true"), NULL },
	{ S("false"), NULL },
	{ S("null"), NULL },
	{ S(" null "), "null" },
	{ S("\"\""), NULL },
	{ S("\"a\""), NULL },
	{ S(" \"a\" "), "\"a\"" },
	{ S("\"exactly 16 bytes\""), NULL },
	{ S("\"exactly 15 byte\""), NULL },
	{ S("\"exactly 17 bytes.\""), NULL },
	{ S("\"a string that is quite a bit longer than one block of the scanner\""), NULL },
	{ S("\"\\\"\""), NULL },
	{ S("\"\\\\\""), NULL },
	{ S("\"\\/\""), "\"/\"" },
	{ S("\"\\b\\f\\n\\r\\t\""), NULL },
	{ S("\"\\u0041\""), "\"A\"" },
	{ S("\"\\u000a\""), "\"\\n\"" },
	{ S("\"\\u0000\""), NULL },
	{ S("\"\\u001F\""), "\"\\u001f\"" },
	{ S("\"\\u0022\\u005C\\u005c\""), "\"\\\"\\\\\\\\\"" },
	{ S("\"\\u007f\""), "\"\x7f\"" },
	{ S("\"\x7f\""), NULL },
	{ S("\"\\u00e9\""), "\"\xC3\xA9\"" },
	{ S("\"\xC3\xA9\""), NULL },
	{ S("\"\\u20AC\""), "\"\xE2\x82\xAC\"" },
	{ S("\"\xE2\x82\xAC\""), NULL },
	{ S("\"\\ud83d\\ude00\""), "\"\xF0\x9F\x98\x80\"" },
	{ S("\"\\uD83D\\uDE00\""), "\"\xF0\x9F\x98\x80\"" },
	{ S("\"\xF0\x9F\x98\x80\""), NULL },
	{ S("\"\xF4\x8F\xBF\xBF\""), NULL },
	{ S("\"\\uDBFF\\uDFFF\""), "\"\xF4\x8F\xBF\xBF\"" },
	{ S("\"\xEF\xBF\xBF\""), NULL },
	{ S("\"\xED\x9F\xBF\""), NULL },
	{ S("\"\xEE\x80\x80\""), NULL },
	{ S("\"\xEF\xBB\xBF\""), NULL }, /* inside a string it is a character */
	{ S("\"\\uD800\""), NULL },	 /* lone surrogates stay as they were written */
	{ S("\"\\ud800\""), NULL },
	{ S("\"\\uDc00\""), NULL },
	{ S("\"\\uD800x\\u0041\""), "\"\\uD800xA\"" },
	{ S("\"\\uD800\\uD800\""), NULL },
	{ S("\"\\uDC00\\uD800\""), NULL },
	{ S("\"\\uD800\\uD83D\\uDE00\""), "\"\\uD800\xF0\x9F\x98\x80\"" },
	{ S("\"\\uD800\\n\""), NULL },
	{ S("\"\\uD800\\\\uDC00\""), NULL }, /* an escaped backslash, not a low half */
	{ S("\"\xE2\x80\xA8\xE2\x80\xA9\""), NULL },
	{ S("\"abc\\u00e9 and \xC3\xA9 mixed, with some more text behind\""),
	  "\"abc\xC3\xA9 and \xC3\xA9 mixed, with some more text behind\"" },
	{ S("[]"), NULL },
	{ S("[ ]"), "[]" },
	{ S("{}"), NULL },
	{ S("{ \n }"), "{}" },
	{ S("[1]"), NULL },
	{ S("[1,2]"), NULL },
	{ S("[ 1 , 2 ]"), "[1,2]" },
	{ S(" [1] "), "[1]" },
	{ S("[null,true,false]"), NULL },
	{ S("[[]]"), NULL },
	{ S("[[],[]]"), NULL },
	{ S("[[1],{},[{\"a\":[]}]]"), NULL },
	{ S("[\"a\",\"\",\"b\"]"), NULL },
	{ S("[0,-0,0.5]"), NULL },
	{ S("[1e1]"), NULL },
	{ S("{\"a\":1}"), NULL },
	{ S("{\"a\" : 1}"), "{\"a\":1}" },
	{ S("{ \"a\":1 , \"b\" :\t2\r\n}"), "{\"a\":1,\"b\":2}" },
	{ S("{\"\":0}"), NULL },
	{ S("{\"a\":{}}"), NULL },
	{ S("{\"a\":{\"b\":[]},\"c\":null}"), NULL },
	{ S("{\"a\":[1,{\"b\":2}],\"c\":\"d\"}"), NULL },
	{ S("{\"\\u0061\":1}"), "{\"a\":1}" },
	{ S("{\"\\n\":1}"), NULL },
	{ S("{\"a\\\"b\":1}"), NULL },
	{ S("{\"\\u0000\":1}"), NULL },
	{ S("{\"\\uD800\":1}"), "{\"\\ud800\":1}" },
	{ S("{\"\xC3\xA9\":1}"), NULL },
	{ S("{\"a long key that does not fit into one block\":1}"), NULL },
	{ S("{\"true\":true,\"false\":false,\"null\":null}"), NULL },
	{ S("{\"a\":-1.5e-3}"), NULL },
	/* the last value wins and stands where the first stood */
	{ S("{\"a\":1,\"b\":2,\"a\":3}"), "{\"a\":3,\"b\":2}" },
	{ S("{\"a\":1,\"a\":2,\"a\":3}"), "{\"a\":3}" },
	{ S("{\"a\":{\"x\":1},\"b\":2,\"a\":[9]}"), "{\"a\":[9],\"b\":2}" },
	{ S("{\"a\":1,\"b\":2,\"a\":{\"a\":4,\"a\":5}}"), "{\"a\":{\"a\":5},\"b\":2}" },
	{ S("{\"a\":1,\"\\u0061\":2}"), "{\"a\":2}" },
	{ S("{\"\\u0061\":1,\"b\":0,\"a\":2}"), "{\"a\":2,\"b\":0}" },
	{ S("{\"\":1,\"\":2}"), "{\"\":2}" },
	{ S("{\"b\":1,\"a\":2,\"b\":3,\"a\":4}"), "{\"b\":3,\"a\":4}" },
	{ S("[{\"a\":1},{\"a\":2}]"), NULL },
};

/* Refused, with the offset of the first byte that cannot be; -1: at the end. */
static const struct {
	struct df_str in;
	int offset;
} refused[] = {
	{ S(""), -1 },
	{ S(" "), -1 },
	{ S("\t\n\r "), -1 },
	{ S("\v"), 0 },
	{ S("\f1"), 0 },
	{ S("1\f"), 1 },
	{ S("\xC2\xA0"), 0 },
	{ S("\xC2\xA0"
	    "1"),
	  0 },
	{ S("1\xC2\xA0"), 1 },
	{ S("\0"), 0 },
	{ S("1\0"), 1 },
	{ S("\xEF\xBB\xBF{}"), 0 },
	{ S("\xEF\xBB\xBF"), 0 },
	{ S("\xFE\xFF\x00\x31"), 0 },
	{ S("{}\0"), 2 },
	/* literals */
	{ S("t"), -1 },
	{ S("tru"), -1 },
	{ S("trux"), 3 },
	{ S("truee"), 4 },
	{ S("TRUE"), 0 },
	{ S("True"), 0 },
	{ S("nul"), -1 },
	{ S("nill"), 1 },
	{ S("fals"), -1 },
	{ S("falsy"), 4 },
	{ S("NaN"), 0 },
	{ S("nan"), 1 },
	{ S("Infinity"), 0 },
	{ S("-Infinity"), 1 },
	{ S("undefined"), 0 },
	{ S("[tru]"), 4 },
	{ S("[t]"), 2 },
	{ S("[nul}"), 4 },
	/* numbers */
	{ S("-"), -1 },
	{ S("+1"), 0 },
	{ S("+"), 0 },
	{ S("--1"), 1 },
	{ S("-a"), 1 },
	{ S("01"), 1 },
	{ S("-01"), 2 },
	{ S("00"), 1 },
	{ S("1."), -1 },
	{ S("1.e5"), 2 },
	{ S(".5"), 0 },
	{ S("-.5"), 1 },
	{ S("1.5.5"), 3 },
	{ S("1e"), -1 },
	{ S("1e+"), -1 },
	{ S("1e-"), -1 },
	{ S("1ee5"), 2 },
	{ S("1e5.5"), 3 },
	{ S("1e+-5"), 3 },
	{ S("0x10"), 1 },
	{ S("1a"), 1 },
	{ S("1 2"), 2 },
	{ S("1,2"), 1 },
	{ S("1_000"), 1 },
	{ S("[1.]"), 3 },
	{ S("[-]"), 2 },
	{ S("[1e]"), 3 },
	{ S("[01]"), 2 },
	{ S("[1.5e+]"), 6 },
	{ S("[.1]"), 1 },
	{ S("\xEF\xBC\x91"), 0 },
	/* strings */
	{ S("\""), -1 },
	{ S("\"a"), -1 },
	{ S("\"a\\"), -1 },
	{ S("\"a\\\""), -1 },
	{ S("\"\\u"), -1 },
	{ S("\"\\u00"), -1 },
	{ S("\"\\u004"), -1 },
	{ S("\"\\u0041"), -1 },
	{ S("\"\\u00g1\""), 5 },
	{ S("\"\\u\""), 3 },
	{ S("\"\\U0041\""), 2 },
	{ S("\"\\x41\""), 2 },
	{ S("\"\\a\""), 2 },
	{ S("\"\\'\""), 2 },
	{ S("\"\\ \""), 2 },
	{ S("\"\\\n\""), 2 },
	{ S("\"\\0\""), 2 },
	{ S("\"\\\xC3\xA9\""), 2 },
	{ S("'a'"), 0 },
	{ S("\"a\nb\""), 2 },
	{ S("\"a\tb\""), 2 },
	{ S("\"\0\""), 1 },
	{ S("\"\x1f\""), 1 },
	{ S("\"a\"b\""), 3 },
	{ S("\"a\" \"b\""), 4 },
	{ S("\"sixteen bytes and then a \x01 control\""), 26 },
	{ S("\"\xC3\xA9 and then a \x01 control\""), 15 },
	/* UTF-8 */
	{ S("\"\x80\""), 1 },
	{ S("\"\xBF\""), 1 },
	{ S("\"a\xC3\""), 2 },
	{ S("\"\xC3(\""), 1 },
	{ S("\"\xC0\x80\""), 1 },
	{ S("\"\xC1\xBF\""), 1 },
	{ S("\"\xE0\x80\x80\""), 1 },
	{ S("\"\xE0\x9F\xBF\""), 1 },
	{ S("\"\xE2\x82\""), 1 },
	{ S("\"\xED\xA0\x80\""), 1 },
	{ S("\"\xED\xBF\xBF\""), 1 },
	{ S("\"\xF0\x80\x80\x80\""), 1 },
	{ S("\"\xF0\x8F\xBF\xBF\""), 1 },
	{ S("\"\xF0\x9F\x98\""), 1 },
	{ S("\"\xF4\x90\x80\x80\""), 1 },
	{ S("\"\xF5\x80\x80\x80\""), 1 },
	{ S("\"\xFF\""), 1 },
	{ S("\"\xFE\""), 1 },
	{ S("\"\\n\xFF\""), 3 },
	{ S("\"\xFF\\n\""), 1 },
	{ S("\"\xC3\xA9\\n and a long tail \xFF\""), 22 },
	{ S("\"\\u00e9\xED\xA0\x80\""), 7 },
	{ S("\"\xFF\x01\""), 1 },
	{ S("\"\xFF\\x\""), 1 },
	{ S("{\"\xFF\":1}"), 2 },
	{ S("{\"\\n\xFF\":1}"), 4 },
	{ S("[\xC3\xA9]"), 1 },
	/* arrays */
	{ S("["), -1 },
	{ S("[ "), -1 },
	{ S("]"), 0 },
	{ S("[]]"), 2 },
	{ S("[1"), -1 },
	{ S("[1,"), -1 },
	{ S("[1,]"), 3 },
	{ S("[,1]"), 1 },
	{ S("[,]"), 1 },
	{ S("[1,,2]"), 3 },
	{ S("[1 2]"), 3 },
	{ S("[1;2]"), 2 },
	{ S("[1}"), 2 },
	{ S("[\"a\":1]"), 4 },
	{ S("[\"a"), -1 },
	{ S("[\"a]"), -1 },
	{ S("[\"a]\n"), 4 },
	{ S("[\"a] "), -1 },
	{ S("[[1]"), -1 },
	{ S("[[1]  "), -1 },
	{ S("[[1}]"), 3 },
	{ S("[1]x"), 3 },
	{ S("[1] x]"), 4 },
	{ S("[1],"), 3 },
	{ S("[1][2]"), 3 },
	{ S("[1]{}"), 3 },
	{ S("[/* no */1]"), 1 },
	{ S("[1]// no"), 3 },
	{ S("[1]\n#]"), 4 },
	{ S("(1)"), 0 },
	/* objects */
	{ S("{"), -1 },
	{ S("{ "), -1 },
	{ S("}"), 0 },
	{ S("{}}"), 2 },
	{ S("{]"), 1 },
	{ S("{\"a\""), -1 },
	{ S("{\"a\":"), -1 },
	{ S("{\"a\":1"), -1 },
	{ S("{\"a\":1,"), -1 },
	{ S("{\"a\":1,}"), 7 },
	{ S("{,\"a\":1}"), 1 },
	{ S("{\"a\":1,,\"b\":2}"), 7 },
	{ S("{\"a\"}"), 4 },
	{ S("{\"a\":}"), 5 },
	{ S("{\"a\"::1}"), 5 },
	{ S("{\"a\" 1}"), 5 },
	{ S("{\"a\",1}"), 4 },
	{ S("{\"a\":1 \"b\":2}"), 7 },
	{ S("{\"a\":1;\"b\":2}"), 6 },
	{ S("{\"a\":1]"), 6 },
	{ S("{a:1}"), 1 },
	{ S("{'a':1}"), 1 },
	{ S("{1:1}"), 1 },
	{ S("{null:1}"), 1 },
	{ S("{[]:1}"), 1 },
	{ S("{\"a\":1}}"), 7 },
	{ S("{\"a\":1}{\"a\":2}"), 7 },
	{ S("{\"a\":1}\n{\"a\":2}"), 8 },
	{ S("{\"a\":1} trailing }"), 8 },
	{ S("{\"a\n\":1}"), 3 },
	{ S("{\"a}"), -1 },
	{ S("{\"a\":\"}"), -1 },
	{ S("{\"a\":{\"b\":1}"), -1 },
	{ S("{\"a\":[1}"), 7 },
	{ S("{\"a\":[1]]"), 8 },
	{ S("{\"a\": tru}"), 9 },
	{ S("{\"a\":-}"), 6 },
	{ S("{\"\\u00zz\":1}"), 6 },
	{ S("{\"a\":1/}"), 6 },
	{ S("*"), 0 },
	{ S("<a/>"), 0 },
	{ S("key: value"), 0 },
};

static void test_accepted(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(accepted) / sizeof(accepted[0]); i++) {
		struct df_parse_error err = { 0 };
		char *json = NULL;
		if (run(accepted[i].in, &err, &json) != DF_PARSE_OK)
			fail_msg("refused: " DF_STR_FMT " at %zu: %s", DF_STR_ARG(accepted[i].in), err.offset,
				 err.what);
		struct df_str want = accepted[i].out ? df_str_c(accepted[i].out) : accepted[i].in;
		if (!df_str_equal_c(want, json))
			fail_msg("%s written as %s", want.ptr, json);
		free(json);
	}
}

static void test_refused(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
		struct df_parse_error err = { 0 };
		struct df_str in = refused[i].in;
		if (run(in, &err, NULL) != DF_PARSE_NOT_JSON)
			fail_msg("accepted: " DF_STR_FMT, DF_STR_ARG(in));
		size_t want = refused[i].offset < 0 ? in.len : (size_t)refused[i].offset;
		if (err.offset != want)
			fail_msg(DF_STR_FMT ": offset %zu (%s), not %zu", DF_STR_ARG(in), err.offset, err.what, want);
		assert_non_null(err.what);
		assert_int_equal(run(in, NULL, NULL), DF_PARSE_NOT_JSON);
	}
}

/* The same in the middle of a larger document, and with blanks behind: the parser takes other ways there. */
static void test_refused_nested(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
		struct df_str in = refused[i].in;
		struct df_buf buf = { 0 };
		/* A broken value may become whole with what follows. */
		if (refused[i].offset < 0 || memchr(in.ptr, ',', in.len) || df_str_starts(in, DF_STR("[1]")) ||
		    df_str_starts(in, DF_STR("{}}")) || df_str_starts(in, DF_STR("[]]")))
			continue;
		df_buf_add_c(&buf, "{\"some key\":[1,2,{\"x\":");
		size_t before = buf.len;
		df_buf_add_str(&buf, in);
		df_buf_add_c(&buf, "}]}  ");
		struct df_parse_error err = { 0 };
		enum df_parse_result result = run(df_buf_str(&buf), &err, NULL);
		if (result != DF_PARSE_NOT_JSON || err.offset < before)
			fail_msg("%s: %d at %zu", df_buf_c(&buf), result, err.offset);
		df_buf_done(&buf);
	}
}

static void test_error_place(void **state)
{
	struct df_parse_error err;

	(void)state;
	assert_int_equal(run(DF_STR("{\n  \"a\": 1,\n  \"b\": tru\n}"), &err, NULL), DF_PARSE_NOT_JSON);
	assert_int_equal(err.offset, 22);
	assert_int_equal(err.line, 3);
	assert_int_equal(err.column, 11);
	assert_int_equal(run(DF_STR("x"), &err, NULL), DF_PARSE_NOT_JSON);
	assert_int_equal(err.line, 1);
	assert_int_equal(err.column, 1);
	assert_int_equal(run(DF_STR("[1,\r\n2,\n"), &err, NULL), DF_PARSE_NOT_JSON);
	assert_int_equal(err.offset, 8);
	assert_int_equal(err.line, 3);
	assert_int_equal(err.column, 1);
	assert_int_equal(run(DF_STR("\xEF\xBB\xBF{}"), &err, NULL), DF_PARSE_NOT_JSON);
	assert_string_equal(err.what, "byte order mark");
	assert_int_equal(run(DF_STR("\"\xC3\x28\""), &err, NULL), DF_PARSE_NOT_JSON);
	assert_string_equal(err.what, "invalid UTF-8");
	assert_int_equal(run(DF_STR("\"abc"), &err, NULL), DF_PARSE_NOT_JSON);
	assert_string_equal(err.what, "unterminated string");
}

static void test_parse_text(void **state)
{
	struct df_arena arena;
	struct df_value *root;
	struct df_error err;

	(void)state;
	df_arena_init(&arena, NULL);
	assert_int_equal(df_value_parse_text(DF_STR("[1,\n 2 3]"), &arena, &root, &err), DF_ERR_INVALID_DATA);
	assert_int_equal(err.code, DF_ERR_INVALID_DATA);
	assert_non_null(strstr(err.text, "line 2, column 4: "));
	assert_int_equal(df_value_parse_text(DF_STR("[1,]"), &arena, &root, NULL), DF_ERR_INVALID_DATA);
	assert_int_equal(df_value_parse_text(DF_STR("[1]"), &arena, &root, &err), DF_OK);
	assert_int_equal(root->len, 1);
	df_arena_done(&arena);
}

static void test_too_large(void **state)
{
	struct df_arena arena;
	struct df_value *root;
	struct df_error err;
	struct df_str text = { "[]", DF_VALUE_SIZE_MAX + 1 }; /* must not be read */

	(void)state;
	df_arena_init(&arena, NULL);
	assert_int_equal(df_value_parse(text, &arena, &root, NULL), DF_PARSE_TOO_LARGE);
	assert_int_equal(df_value_check(text), DF_PARSE_TOO_LARGE);
	assert_int_equal(df_value_parse_text(text, &arena, &root, &err), DF_ERR_INVALID_DATA);
	df_arena_done(&arena);
}

/* ---- nodes ----------------------------------------------------------------------------------------------- */

static void test_nodes(void **state)
{
	struct df_str text =
		DF_STR("{\"a\":1.50,\"b\":[true,false,null],\"c\":\"x\\ty\",\"d\":\"plain\",\"\\u0065\\n\":{}}");
	struct df_arena arena;
	struct df_value *root;

	(void)state;
	df_arena_init(&arena, NULL);
	assert_int_equal(df_value_parse(text, &arena, &root, NULL), DF_PARSE_OK);
	assert_int_equal(root->kind, DF_OBJECT);
	assert_int_equal(root->len, 5);
	assert_int_equal(root->line, 0);
	assert_ptr_equal(root->last, df_object_get_c(root, "e\n"));
	assert_null(root->last->next);
	assert_null(root->last->first);
	assert_int_equal(root->last->len, 0);
	assert_false(root->last->key_plain);

	struct df_value *a = df_object_get_c(root, "a");
	assert_ptr_equal(a, root->first);
	assert_int_equal(a->kind, DF_NUMBER);
	assert_int_equal(a->repr, DF_REPR_TEXT);
	assert_int_equal(a->logical, DF_LOGICAL_NONE);
	assert_true(a->key_plain);
	assert_ptr_equal(a->text, text.ptr + 5); /* a slice of the input */
	assert_int_equal(a->len, 4);

	struct df_value *b = df_object_get_c(root, "b");
	assert_int_equal(b->kind, DF_ARRAY);
	assert_int_equal(b->len, 3);
	assert_int_equal(df_array_get(b, 0)->kind, DF_TRUE);
	assert_int_equal(df_array_get(b, 1)->kind, DF_FALSE);
	assert_int_equal(df_array_get(b, 2)->kind, DF_NULL);
	assert_ptr_equal(df_array_get(b, 2), b->last);
	assert_null(df_array_get(b, 0)->key);

	struct df_value *c = df_object_get_c(root, "c");
	assert_int_equal(c->repr, DF_REPR_ESCAPED);
	assert_int_equal(c->len, 4);
	assert_true(df_value_string_equal(c, DF_STR("x\ty")));
	struct df_value *d = df_object_get_c(root, "d");
	assert_int_equal(d->repr, DF_REPR_PLAIN);
	assert_true(df_str_equal(df_str(d->text, d->len), DF_STR("plain")));
	df_arena_done(&arena);
}

/* ---- depth ----------------------------------------------------------------------------------------------- */

static char *repeat(const char *text, size_t n, const char *middle, const char *closing)
{
	struct df_buf buf = { 0 };

	for (size_t i = 0; i < n; i++)
		df_buf_add_c(&buf, text);
	df_buf_add_c(&buf, middle);
	for (size_t i = 0; i < n && closing; i++)
		df_buf_add_c(&buf, closing);
	return df_buf_take(&buf);
}

static void test_depth(void **state)
{
	static const struct {
		const char *open, *middle, *close;
	} shapes[] = {
		{ "[", "", "]" },
		{ "[", "1", "]" },
		{ "{\"a\":", "1", "}" },
		{ "[1,[", "", "],{}]" }, /* two levels a turn */
		{ "{\"a\":[{\"b\":", "null", "}],\"a\":[2],\"c\":0}" },
	};
	struct df_parse_error err;

	(void)state;
	for (size_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++) {
		size_t levels = i == 3 ? 2 : i == 4 ? 3 : 1;
		char *text = repeat(shapes[i].open, 1000 / levels, shapes[i].middle, shapes[i].close);
		assert_int_equal(run(df_str_c(text), &err, NULL), DF_PARSE_OK);
		free(text);
	}

	char *text = repeat("[", 1001, "", "]");
	assert_int_equal(run(df_str_c(text), &err, NULL), DF_PARSE_TOO_DEEP);
	assert_int_equal(err.offset, 1000);
	free(text);
	text = repeat("{\"a\":", 1001, "1", "}");
	assert_int_equal(run(df_str_c(text), &err, NULL), DF_PARSE_TOO_DEEP);
	assert_int_equal(err.offset, 5000);
	free(text);
	text = repeat("[", 1001, "this is no JSON", NULL);
	assert_int_equal(run(df_str_c(text), &err, NULL), DF_PARSE_TOO_DEEP);
	free(text);
	text = repeat("[", 1000, "", NULL);
	assert_int_equal(run(df_str_c(text), &err, NULL), DF_PARSE_NOT_JSON);
	assert_int_equal(err.offset, 1000);
	free(text);
	text = repeat("[", 100000, "", NULL);
	assert_int_equal(run(df_str_c(text), &err, NULL), DF_PARSE_TOO_DEEP);
	free(text);
}

/* ---- large objects --------------------------------------------------------------------------------------- */

static struct df_value *parse_buf(struct df_buf *buf, struct df_arena *arena)
{
	struct df_value *root;

	assert_false(buf->failed);
	assert_int_equal(df_value_parse(df_buf_str(buf), arena, &root, NULL), DF_PARSE_OK);
	assert_int_equal(df_value_check(df_buf_str(buf)), DF_PARSE_OK);
	return root;
}

static void test_many_keys(void **state)
{
	/* Around the sizes at which the way of looking up changes, and large ones; every key twice. */
	static const size_t sizes[] = { 1, 2, 31, 32, 33, 34, 63, 64, 65, 66, 127, 128, 129, 1000, 100000 };

	(void)state;
	for (size_t s = 0; s < sizeof(sizes) / sizeof(sizes[0]); s++) {
		struct df_buf buf = { 0 };
		struct df_arena arena;
		df_arena_init(&arena, NULL);
		df_buf_add_char(&buf, '{');
		for (size_t i = 0; i < sizes[s]; i++)
			df_buf_printf(&buf, "\"key%zu\":%zu,", i, i);
		for (size_t i = sizes[s]; i-- > 0;)
			df_buf_printf(&buf, "\"\\u006bey%zu\":[%zu],", i, i + 1);
		df_buf_add_c(&buf, "\"last\":{}}");

		struct df_value *root = parse_buf(&buf, &arena);
		assert_int_equal(root->len, sizes[s] + 1);
		size_t i = 0;
		df_for_each (member, root) {
			char key[32];
			if (i == sizes[s])
				break;
			snprintf(key, sizeof(key), "key%zu", i);
			assert_true(df_str_equal_c(df_value_key(member), key));
			assert_int_equal(member->kind, DF_ARRAY);
			int64_t got;
			assert_true(df_value_to_int64(member->first, &got));
			assert_int_equal(got, ++i);
		}
		assert_true(df_str_equal_c(df_value_key(root->last), "last"));
		df_arena_done(&arena);
		df_buf_done(&buf);
	}
}

static void test_identical_keys(void **state)
{
	struct df_buf buf = { 0 };
	struct df_arena arena;

	(void)state;
	df_arena_init(&arena, NULL);
	df_buf_add_char(&buf, '{');
	for (size_t i = 0; i < 100000; i++)
		df_buf_printf(&buf, "\"the same\":%zu,", i);
	df_buf_add_c(&buf, "\"the same\":\"end\"}");
	struct df_value *root = parse_buf(&buf, &arena);
	assert_int_equal(root->len, 1);
	assert_true(df_value_string_equal(root->first, DF_STR("end")));
	df_arena_done(&arena);
	df_buf_done(&buf);
}

/* Large objects within large objects share their tables. */
static void test_nested_large(void **state)
{
	struct df_buf buf = { 0 };
	struct df_arena arena;

	(void)state;
	df_arena_init(&arena, NULL);
	for (int level = 0; level < 40; level++) {
		df_buf_add_char(&buf, '{');
		for (int i = 0; i < 40 + level * 3; i++)
			df_buf_printf(&buf, "\"%d%s\":%d,", i, i % 2 ? "x" : "", i);
		df_buf_add_c(&buf, "\"1x\":\"again\",\"child\":");
	}
	df_buf_add_c(&buf, "null");
	for (int level = 0; level < 40; level++)
		df_buf_add_c(&buf, ",\"2\":\"again\",\"end\":[]}");
	struct df_value *v = parse_buf(&buf, &arena);
	for (int level = 0; level < 40; level++) {
		assert_int_equal(v->len, 40 + level * 3 + 2);
		assert_true(df_value_string_equal(df_object_get_c(v, "1x"), DF_STR("again")));
		assert_true(df_value_string_equal(df_object_get_c(v, "2"), DF_STR("again")));
		assert_ptr_equal(df_object_get_c(v, "end"), v->last);
		v = df_object_get_c(v, "child");
	}
	assert_int_equal(v->kind, DF_NULL);
	df_arena_done(&arena);
	df_buf_done(&buf);
}

/* ---- properties ------------------------------------------------------------------------------------------ */

static uint64_t random_state = 88172645463325252;

static uint32_t random_below(uint32_t n)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return (uint32_t)(random_state >> 20) % n;
}

static void random_string(struct df_buf *buf)
{
	static const char *const parts[] = { "a",
					     "key",
					     "\\n",
					     "\\\"",
					     "\xC3\xA9",
					     "\\u00e9",
					     "\\ud83d\\ude00",
					     "\\/",
					     " ",
					     "0123456789abcdef",
					     "\\uD800",
					     "\xF0\x9F\x98\x80",
					     "\\\\",
					     "\\t",
					     "\xE2\x82\xAC",
					     "\\u0000",
					     "}",
					     "]" };
	uint32_t n = random_below(5);

	df_buf_add_char(buf, '"');
	for (uint32_t i = 0; i < n; i++)
		df_buf_add_c(buf, parts[random_below(sizeof(parts) / sizeof(parts[0]))]);
	df_buf_add_char(buf, '"');
}

static void random_blank(struct df_buf *buf)
{
	if (random_below(8) == 0)
		df_buf_add_char(buf, " \t\n\r"[random_below(4)]);
}

static void random_value(struct df_buf *buf, int depth)
{
	static const char *const numbers[] = { "0",
					       "-0",
					       "12",
					       "-3.50",
					       "1e400",
					       "9007199254740993",
					       "0.1",
					       "1E5",
					       "1e-7",
					       "0.000",
					       "123456789012345678901234567890" };
	uint32_t kind = random_below(depth > 0 ? 7 : 5);
	uint32_t n = random_below(6);

	random_blank(buf);
	switch (kind) {
	case 0:
		df_buf_add_c(buf, "null");
		break;
	case 1:
		df_buf_add_c(buf, random_below(2) ? "true" : "false");
		break;
	case 2:
		df_buf_add_c(buf, numbers[random_below(sizeof(numbers) / sizeof(numbers[0]))]);
		break;
	case 3:
	case 4:
		random_string(buf);
		break;
	case 5:
		df_buf_add_char(buf, '[');
		for (uint32_t i = 0; i < n; i++) {
			if (i)
				df_buf_add_char(buf, ',');
			random_value(buf, depth - 1);
		}
		random_blank(buf);
		df_buf_add_char(buf, ']');
		break;
	default:
		df_buf_add_char(buf, '{');
		for (uint32_t i = 0; i < n; i++) {
			if (i)
				df_buf_add_char(buf, ',');
			random_blank(buf);
			random_string(buf);
			random_blank(buf);
			df_buf_add_char(buf, ':');
			random_value(buf, depth - 1);
		}
		random_blank(buf);
		df_buf_add_char(buf, '}');
	}
	random_blank(buf);
}

/* What was parsed, written and parsed again is equal, and writing is a fixed point. */
static void test_round_trip(void **state)
{
	(void)state;
	for (int round = 0; round < 3000; round++) {
		struct df_buf text = { 0 }, once = { 0 }, twice = { 0 };
		struct df_arena arena;
		df_arena_init(&arena, NULL);
		random_value(&text, 5);
		struct df_value *first = parse_buf(&text, &arena);
		df_value_write(first, &once);
		struct df_value *second = parse_buf(&once, &arena);
		df_value_write(second, &twice);
		assert_true(df_value_equal(first, second));
		assert_true(df_value_equal(second, first));
		assert_true(df_str_equal(df_buf_str(&once), df_buf_str(&twice)));
		assert_true(df_str_equal(df_buf_str(&once), df_value_to_arena(first, &arena)));
		df_buf_done(&text);
		df_buf_done(&once);
		df_buf_done(&twice);
		df_arena_done(&arena);
	}
}

static void test_truncated(void **state)
{
	(void)state;
	for (int round = 0; round < 300; round++) {
		struct df_buf text = { 0 };
		df_buf_add_c(&text, round % 2 ? "[" : "{\"k\":");
		random_value(&text, 4);
		df_buf_add_char(&text, round % 2 ? ']' : '}');
		for (size_t len = 0; len < text.len; len++) {
			struct df_parse_error err;
			assert_int_equal(run(df_str(text.data, len), &err, NULL), DF_PARSE_NOT_JSON);
			assert_true(err.offset <= len);
		}
		df_buf_done(&text);
	}
}

/* One byte changed: any verdict, but the same from both, no crash, and what is accepted survives a round trip. */
static void test_mutated(void **state)
{
	static const char bytes[] = "\"\\{}[]:,0-.eEtfn \n\x01\x80\xC3\xED\xFF\0u";

	(void)state;
	for (int round = 0; round < 200; round++) {
		struct df_buf text = { 0 };
		random_value(&text, 4);
		for (size_t at = 0; at < text.len; at++) {
			char was = text.data[at];
			char *json = NULL;
			text.data[at] = bytes[random_below(sizeof(bytes) - 1)];
			if (run(df_buf_str(&text), NULL, &json) == DF_PARSE_OK)
				assert_int_equal(run(df_str_c(json), NULL, NULL), DF_PARSE_OK);
			free(json);
			text.data[at] = was;
		}
		df_buf_done(&text);
	}
}

/* A failed parse leaves the arena where it was. */
static void test_arena_given_back(void **state)
{
	struct df_arena arena;
	struct df_value *root;

	(void)state;
	df_arena_init(&arena, NULL);
	assert_non_null(df_arena_alloc(&arena, 8));
	char *next = arena.next;
	assert_int_equal(df_value_parse(DF_STR("[1,2,3,{\"a\":[}]"), &arena, &root, NULL), DF_PARSE_NOT_JSON);
	assert_ptr_equal(arena.next, next);
	df_arena_done(&arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_accepted),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_refused_nested),
		cmocka_unit_test(test_error_place),
		cmocka_unit_test(test_parse_text),
		cmocka_unit_test(test_too_large),
		cmocka_unit_test(test_nodes),
		cmocka_unit_test(test_depth),
		cmocka_unit_test(test_many_keys),
		cmocka_unit_test(test_identical_keys),
		cmocka_unit_test(test_nested_large),
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_truncated),
		cmocka_unit_test(test_mutated),
		cmocka_unit_test(test_arena_given_back),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

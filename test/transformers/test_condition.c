/* Conditions: every row and sentence of the transformations reference, section 3. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/clock.h"
#include "transformers/condition.h"

struct row {
	const char *doc;
	const char *condition;
	bool want;
};

static void check(const struct row *rows, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		df_cleanup(df_condition_freep) struct df_condition *condition = NULL;
		struct df_error err = DF_ERROR_INIT;
		struct df_arena arena = { 0 };
		struct df_value *root = NULL;
		struct df_str before;
		struct df_str after;
		bool got = !rows[i].want;

		if (df_condition_compile(df_str_c(rows[i].condition), &condition, &err))
			fail_msg("%s: %s", rows[i].condition, err.text);
		df_arena_init(&arena, NULL);
		if (df_value_parse_text(df_str_c(rows[i].doc), &arena, &root, &err))
			fail_msg("%s: %s", rows[i].doc, err.text);
		before = df_value_to_arena(root, &arena);
		if (df_condition_eval(condition, root, &arena, &got, &err))
			fail_msg("%s on %s: %s", rows[i].condition, rows[i].doc, err.text);
		if (got != rows[i].want)
			fail_msg("%s on %s: got %d", rows[i].condition, rows[i].doc, got);
		after = df_value_to_arena(root, &arena);
		assert_true(df_str_equal(before, after));
		df_arena_done(&arena);
	}
}

#define DOC                                                                                                         \
	"{\"t\":true,\"f\":false,\"n\":null,\"one\":1,\"zero\":0,\"neg\":-0,\"zf\":0.0,\"ze\":0e5,\"tiny\":1e-400," \
	"\"s\":\"abc\",\"e\":\"\",\"fs\":\"false\",\"FS\":\"FALSE\",\"zs\":\"0\",\"five\":\"5.0\",\"o\":{\"a\":1}," \
	"\"oe\":{},\"a\":[1,2],\"ae\":[],\"x y\":7,\"d\":5.0,\"ns\":\"null\",\"ts\":\"true\"}"

static void knows_what_is_truthy(void **state)
{
	static const struct row rows[] = {
		{ DOC, "t", true },	   { DOC, "f", false },	       { DOC, "n", false },
		{ DOC, "missing", false }, { DOC, "one", true },       { DOC, "zero", false },
		{ DOC, "neg", false },	   { DOC, "zf", false },       { DOC, "ze", false },
		{ DOC, "tiny", true },	   { DOC, "s", true },	       { DOC, "e", false },
		{ DOC, "fs", false },	   { DOC, "FS", true },	       { DOC, "zs", true },
		{ DOC, "o", true },	   { DOC, "oe", true },	       { DOC, "a", true },
		{ DOC, "ae", true },	   { DOC, "x y", true },       { DOC, "  x y\t", true },
		{ DOC, "$.t", true },	   { DOC, "$", true },	       { "[]", "$", true },
		{ "null", "$", false },	   { "0", "$", false },	       { "\"\"", "$", false },
		{ "5", "$", true },	   { DOC, "a.#", true },       { DOC, "ae.#", false },
		{ DOC, "a[1]", true },	   { DOC, "a.2", false },      { DOC, "o.@keys", true },
		{ DOC, "a.#(==2)", true }, { DOC, "a.#(==3)", false }, { DOC, "a.#(==3)#", true },
	};

	(void)state;
	check(rows, DF_ARRAY_SIZE(rows));
}

static void compares_for_equality(void **state)
{
	static const struct row rows[] = {
		/* true, false */
		{ DOC, "t == true", true },
		{ DOC, "t == 'true'", true },
		{ DOC, "t == \"true\"", true },
		{ DOC, "t == false", false },
		{ DOC, "t == 1", false },
		{ DOC, "t == TRUE", false },
		{ DOC, "t != true", false },
		{ DOC, "t != x", true },
		{ DOC, "f == false", true },
		{ DOC, "f == 'false'", true },
		{ DOC, "f == 0", false },
		{ DOC, "f == ''", false },
		{ DOC, "f == null", false },
		{ DOC, "f != false", false },
		/* number */
		{ DOC, "d == 5", true },
		{ DOC, "d == '5'", true },
		{ DOC, "d == '5.0'", true },
		{ DOC, "d == 5e0", true },
		{ DOC, "d == 0.5e1", true },
		{ DOC, "d == 05", false },
		{ DOC, "d == +5", false },
		{ DOC, "d != 05", true },
		{ DOC, "d == five", false },
		{ DOC, "d == ' 5'", false },
		{ DOC, "d == ''", false },
		{ DOC, "d != 5", false },
		{ DOC, "d != 6", true },
		{ DOC, "neg == 0", true },
		{ DOC, "tiny == 0", false },
		{ "{\"a\":9007199254740993}", "a == 9007199254740992", false },
		{ "{\"a\":9007199254740993}", "a == 9007199254740993.00", true },
		{ "{\"a\":1e400}", "a == 10e399", true },
		{ "{\"a\":1e400}", "a == 1e401", false },
		/* string */
		{ DOC, "s == 'abc'", true },
		{ DOC, "s == \"abc\"", true },
		{ DOC, "s == abc", true },
		{ DOC, "s == ABC", false },
		{ DOC, "s == 'abc '", false },
		{ DOC, "s != 'abc'", false },
		{ DOC, "s != abd", true },
		{ DOC, "five == 5.0", true },
		{ DOC, "five == '5.0'", true },
		{ DOC, "five == 5", false },
		{ DOC, "five == '5'", false },
		{ DOC, "ts == true", true },
		{ DOC, "fs == 'false'", true },
		{ DOC, "e == ''", true },
		{ DOC, "e == \"\"", true },
		{ DOC, "e != ''", false },
		{ DOC, "ns == null", false },
		{ DOC, "ns != null", true },
		{ DOC, "ns == 'null'", true },
		{ DOC, "ns == \"null\"", true },
		{ "{\"a\":\"\\u00e9\\u0041\"}",
		  "a == '\xc3\xa9"
		  "A'",
		  true },
		{ "{\"a\":\"\\ud83d\\ude00\"}", "a == \xf0\x9f\x98\x80", true },
		/* null */
		{ DOC, "n == null", true },
		{ DOC, "n == 'null'", false },
		{ DOC, "n == \"null\"", false },
		{ DOC, "n == ''", false },
		{ DOC, "n == false", false },
		{ DOC, "n == 0", false },
		{ DOC, "n != null", false },
		{ DOC, "n != 'null'", true },
		{ DOC, "n != x", true },
		/* object, array */
		{ DOC, "o == ''", false },
		{ DOC, "o == null", false },
		{ DOC, "o != x", true },
		{ DOC, "a == '[1,2]'", false },
		{ DOC, "a != '[1,2]'", true },
		{ DOC, "ae == ''", false },
		/* nothing */
		{ DOC, "missing == x", false },
		{ DOC, "missing != x", false },
		{ DOC, "missing == null", false },
		{ DOC, "missing != null", false },
		{ DOC, "missing == ''", false },
		{ DOC, "missing < 5", false },
		{ DOC, "missing >= 5", false },
		{ DOC, "missing =~ ''", false },
		{ DOC, "missing !~ 'x'", false },
		{ DOC, "!(missing == x)", true },
	};

	(void)state;
	check(rows, DF_ARRAY_SIZE(rows));
}

static void compares_by_order(void **state)
{
	static const struct row rows[] = {
		{ DOC, "one < 2", true },
		{ DOC, "one < 1", false },
		{ DOC, "one <= 1.0", true },
		{ DOC, "one > 0.999999999999999999999", true },
		{ DOC, "one > 1", false },
		{ DOC, "one >= 1", true },
		{ DOC, "one >= 1.000000000000000000001", false },
		{ DOC, "one > '0'", true },
		{ DOC, "one > \"0\"", true },
		{ DOC, "one > -5", true },
		{ DOC, "one > 01", false },
		{ DOC, "one <= 01", false },
		{ DOC, "one < abc", false },
		{ DOC, "one >= abc", false },
		{ DOC, "one > ''", false },
		{ DOC, "tiny > 0", true },
		{ "{\"a\":1e400}", "a > 1e399", true },
		{ "{\"a\":1e400}", "a < 1e401", true },
		{ "{\"a\":-1e400}", "a < 0", true },
		{ DOC, "s < 'abd'", true },
		{ DOC, "s < abd", true },
		{ DOC, "s < abc", false },
		{ DOC, "s <= abc", true },
		{ DOC, "s > 'ab'", true },
		{ DOC, "s > B", true },
		{ DOC, "s >= 'abcd'", false },
		{ DOC, "s > 5", false },
		{ DOC, "s < 5", false },
		{ DOC, "s > '5'", true },
		{ DOC, "s > \"5\"", true },
		{ DOC, "s > 05", true },
		{ DOC, "s < null", true },
		{ DOC, "e < a", true },
		{ DOC, "five >= 5", false },
		{ DOC, "five >= '5'", true },
		/* by code points, not UTF-16 units */
		{ "{\"a\":\"\\uffee\"}", "a < '\xf0\x9f\x98\x80'", true },
		{ "{\"a\":\"\\ud83d\\ude00\"}", "a > '\xef\xbf\xae'", true },
		{ "{\"a\":\"z\"}", "a < '\xc3\xa9'", true },
		{ DOC, "t < z", false },
		{ DOC, "t >= true", false },
		{ DOC, "f <= false", false },
		{ DOC, "n < 5", false },
		{ DOC, "n <= null", false },
		{ DOC, "o >= ''", false },
		{ DOC, "a > 0", false },
	};

	(void)state;
	check(rows, DF_ARRAY_SIZE(rows));
}

static void searches_expressions(void **state)
{
	static const struct row rows[] = {
		{ DOC, "s =~ 'b'", true },
		{ DOC, "s =~ \"^a.c$\"", true },
		{ DOC, "s =~ '^b'", false },
		{ DOC, "s !~ '^b'", true },
		{ DOC, "s !~ 'b'", false },
		{ DOC, "s =~ ''", true },
		{ DOC, "e =~ '^$'", true },
		{ DOC, "s =~ '(?i)ABC'", true },
		{ DOC, "five =~ '^\\d\\.\\d$'", true },
		{ DOC, "five =~ \"^\\d[.]\\d$\"", true },
		{ DOC, "zs =~ '\\\\d'", true }, /* the escape \\ is one \, the expression \d */
		{ DOC, "s =~ '\\x61'", true },
		{ "{\"a\":\"it's \\\"q\\\" \\\\\"}", "a =~ 'it\\'s \\\"q\\\" \\\\\\\\$'", true },
		{ "{\"a\":\"\xc3\xa9t\xc3\xa9\"}", "a =~ '^.t.$'", true },
		{ "{\"a\":\"\\u00e9\"}", "a =~ '^\xc3\xa9$'", true },
		{ "{\"a\":\"\\u00e9\"}", "a =~ '^\\x{e9}$'", true },
		{ "{\"a\":\"\xc3\xa9\"}", "a =~ '\\p{Ll}'", true },
		{ "{\"a\":\"x\\ud800y\"}", "a =~ 'y$'", true }, /* a lone surrogate is no error */
		{ "{\"a\":\"x\\ud800y\"}", "a =~ '^x.y$'", false },
		{ "{\"a\":\"l1\\nl2\"}", "a =~ '(?m)^l2$'", true },
		{ "{\"a\":\"a\\u0000b\"}", "a =~ '^a.b$'", true },
		{ DOC, "one =~ '1'", false },
		{ DOC, "one !~ '2'", false },
		{ DOC, "t =~ 'true'", false },
		{ DOC, "t !~ 'x'", false },
		{ DOC, "n =~ 'null'", false },
		{ DOC, "n !~ 'x'", false },
		{ DOC, "o =~ 'a'", false },
		{ DOC, "o !~ 'x'", false },
		{ DOC, "a !~ 'x'", false },
	};

	(void)state;
	check(rows, DF_ARRAY_SIZE(rows));
}

static void combines(void **state)
{
	static const struct row rows[] = {
		{ DOC, "t && one", true },
		{ DOC, "t && f", false },
		{ DOC, "f || t", true },
		{ DOC, "f || n", false },
		{ DOC, "f || f || t", true },
		{ DOC, "t && t && f", false },
		{ DOC, "t || f && f", true }, /* && binds tighter */
		{ DOC, "(t || f) && f", false },
		{ DOC, "f && f || t", true },
		{ DOC, "f && (f || t)", false },
		{ DOC, "!f", true },
		{ DOC, "!t", false },
		{ DOC, "!!t", true },
		{ DOC, "! ! f", false },
		{ DOC, "!f && t", true },
		{ DOC, "!f && f", false }, /* ! reaches over one factor */
		{ DOC, "!t || t", true },
		{ DOC, "!one == 1", false },
		{ DOC, "!one == 2", true },
		{ DOC, "!(f || t)", false },
		{ DOC, "!(f && t)", true },
		{ DOC, "!!(f || t)", true },
		{ DOC, "!(!(t))", true },
		{ DOC, "((t))", true },
		{ DOC, "( t )", true },
		{ DOC, "!missing", true },
		{ DOC, "!missing != x", true },
		{ DOC, "one==1&&s==abc", true },
		{ DOC, "one==1||s==x", true },
		{ DOC, "(one==2||s==abc)&&t", true },
		{ DOC, "one==1&&!(s==x)", true },
		{ DOC, "\t one  ==\n1 \r&&  t ", true },
		{ DOC, "s=='a&&b'||t", true },
		{ DOC, "s=='a)b' || (t)", true },
		{ DOC, "x y == 7 && t", true },
		{ DOC, "x y&&t", true },
		{ DOC, "a.0 == 1 && a[1] == 2 && a.# == 2", true },
		{ DOC, "a.#(==2) == 2 && t", true },
		{ DOC, "a|1 == 2", true },
		{ DOC, "a|#||f", true },
		{ "{\"a\":[{\"k\":\"x && y)\",\"v\":3}]}", "a.#(k==\"x && y)\").v > 2 && a", true },
		{ "{\"a\":[{\"k\":\"x\",\"v\":3}]}", "(a.#(k==x).v >= 3)", true },
		{ "{\"a&b\":1,\"a!b\":2,\"a=b\":3,\"a(b)\":4,\"a'\":5,\"a <\":6}",
		  "a&b == 1 && a!b == 2 && a\\=b == 3 && a\\(b\\) == 4 && a\\' == 5 && a \\< == 6", true },
		{ "{\"$x\":1,\"a $b\":2,\"~x\":0}", "$x == 1 && a \\$b == 2 && !~x", true },
		{ "{\"order\":{\"total\":150,\"status\":\"paid\"}}", "$.order.total > 100 && $.order.status == 'paid'",
		  true },
	};

	(void)state;
	check(rows, DF_ARRAY_SIZE(rows));
}

static void reads_literals(void **state)
{
	static const struct row rows[] = {
		{ "{\"a\":\"it's\"}", "a == \"it's\"", true },
		{ "{\"a\":\"it's\"}", "a == 'it\\'s'", true },
		{ "{\"a\":\"say \\\"x\\\"\"}", "a == 'say \"x\"'", true },
		{ "{\"a\":\"say \\\"x\\\"\"}", "a == \"say \\\"x\\\"\"", true },
		{ "{\"a\":\"b\\\\s\"}", "a == 'b\\s'", true },
		{ "{\"a\":\"b\\\\s\"}", "a == 'b\\\\s'", true },
		{ "{\"a\":\"b\\\\\\\\s\"}", "a == 'b\\\\\\s'", true }, /* \\ then \s */
		{ "{\"a\":\"\\\\n\"}", "a == '\\n'", true },
		{ "{\"a\":\"\\n\"}", "a == '\\n'", false },
		{ "{\"a\":\"\\\\\"}", "a == '\\\\'", true },
		{ "{\"a\":\" x \"}", "a == ' x '", true },
		{ "{\"a\":\"x-y_z.1/2:3,4;%*?#@~^$[]{}+\"}", "a == x-y_z.1/2:3,4;%*?#@~^$[]{}+", true },
		{ "{\"a\":\"\xc3\xa9\"}", "a == \xc3\xa9", true },
		{ "{\"a\":\"$x\"}", "a == $x", true },
		{ "{\"a\":\"$.x\"}", "a == '$.x'", true },
		{ "{\"a\":\"$\"}", "a == \"$\"", true },
		{ "{\"a\":\"a && b || (c)\"}", "a == 'a && b || (c)'", true },
	};

	(void)state;
	check(rows, DF_ARRAY_SIZE(rows));
}

/* ---- errors ---------------------------------------------------------------------------------------------- */

static void refuses(void **state)
{
	static const struct {
		const char *text;
		size_t column;
	} rows[] = {
		/* missing path */
		{ "", 1 },
		{ "  ", 3 },
		{ "== 5", 1 },
		{ "!= 5", 1 },
		{ "a && != 5", 6 },
		{ "< 5", 1 },
		{ "a &&", 5 },
		{ "a && ", 6 },
		{ "&& a", 1 },
		{ "a || || b", 6 },
		{ "a && && b", 6 },
		{ "!", 2 },
		{ "()", 2 },
		{ "(a && )", 7 },
		{ "!)", 2 },
		/* missing literal */
		{ "a ==", 5 },
		{ "a == ", 6 },
		{ "a == && b", 6 },
		{ "a == )", 6 },
		{ "(a == )", 7 },
		{ "a === 5", 5 },
		{ "a <> 5", 4 },
		{ "a < = 5", 5 },
		{ "a == !b", 6 },
		{ "a == (b)", 6 },
		{ "a =~ ", 6 },
		{ "a == \\x", 6 },
		/* unclosed */
		{ "a == 'x", 6 },
		{ "a == \"x", 6 },
		{ "a == 'x\\'", 6 },
		{ "a == 'x\"", 6 },
		{ "a == '", 6 },
		{ "(a", 1 },
		{ "a && ((b)", 6 },
		{ "a.#(b==1", 4 },
		{ "a && b.#(c==\"x) == 1", 13 },
		{ "a)", 2 },
		{ "(a))", 4 },
		/* within a path */
		{ "a = 5", 3 },
		{ "a='x'", 2 },
		{ "a 'x'", 3 },
		{ "a\"b\" == 1", 2 },
		{ "'a' == 1", 1 },
		{ "a(b) == 1", 2 },
		{ "a $.b == 1", 3 },
		{ "t AND $.b == 1", 7 },
		{ "a b $ == 1", 5 },
		/* behind a literal or a parenthesis */
		{ "a == 1 b", 8 },
		{ "a == 1 $.b == 2", 8 },
		{ "a == 1 and b == 2", 8 },
		{ "a == 'x' 'y'", 10 },
		{ "a == 'x'y", 9 },
		{ "a == x'y'", 7 },
		{ "a == 1 & b", 8 },
		{ "a == 1 | b", 8 },
		{ "a == 1 == 2", 8 },
		{ "a == x\\y", 7 },
		{ "a == b(c)", 7 },
		{ "a == 1 !b", 8 },
		{ "(a) b", 5 },
		{ "(a) == 5", 5 },
		{ "(a == 1 b)", 9 },
		/* a literal that looks like a path */
		{ "a == $", 6 },
		{ "a == $.b", 6 },
		{ "a != $.", 6 },
		/* expressions */
		{ "a =~ x", 6 },
		{ "a !~ x", 6 },
		{ "a =~ 5", 6 },
		{ "a =~ '('", 8 },
		{ "a =~ 'x[z'", 10 },
		{ "a =~ '\\\\d\\'*+*'", 14 },
		{ "a !~ '*'", 7 },
		{ "a =~ '\\C'", 9 },
		/* the path itself */
		{ "a..b == 1", 3 },
		{ "x && a..b == 1", 8 },
		{ "x && a[ == 1", 7 },
		{ "x || {a,b}", 6 },
		{ "x || a.!b", 8 },
		{ "x && @join", 6 },
		{ "x && a.@keys:1", 13 },
		{ "x && #(a..b)", 10 },
		{ "x && a.", 8 },
		{ "x && a\\", 7 },
		{ "a|||b", 4 },
		{ "a ==\xff", 5 },
	};

	(void)state;
	for (size_t i = 0; i < DF_ARRAY_SIZE(rows); i++) {
		struct df_condition *condition = NULL;
		struct df_error err = DF_ERROR_INIT;
		size_t column = 0;

		if (df_condition_compile(df_str_c(rows[i].text), &condition, &err) == 0) {
			df_condition_free(condition);
			fail_msg("%s: compiled", rows[i].text);
		}
		assert_null(condition);
		assert_int_equal(err.code, DF_ERR_CONFIG);
		if (sscanf(err.text, "column %zu: ", &column) != 1 || column != rows[i].column)
			fail_msg("%s: got \"%s\", want column %zu", rows[i].text, err.text, rows[i].column);
		assert_int_equal(df_condition_compile(df_str_c(rows[i].text), &condition, NULL), DF_ERR_CONFIG);
	}
}

/* open n times, middle, close n times; the caller frees. */
static char *nest(const char *open, size_t n, const char *middle, const char *close)
{
	struct df_buf buf = { 0 };

	for (size_t i = 0; i < n; i++)
		df_buf_add_c(&buf, open);
	df_buf_add_c(&buf, middle);
	for (size_t i = 0; i < n; i++)
		df_buf_add_c(&buf, close);
	return df_buf_take(&buf);
}

static void bounds_nesting(void **state)
{
	static const struct {
		const char *open;
		size_t n;
		const char *middle;
		const char *close;
		size_t column; /* 0: true on {"a":1} */
	} rows[] = {
		{ "(", 200, "a", ")", 0 },	 { "(", 201, "a", ")", 201 },	  { "(", 100000, "", "", 201 },
		{ "!(", 200, "a", ")", 0 },	 { "!(", 500000, "a", "", 402 },  { "!", 100000, "a", "", 0 },
		{ "a && ", 100000, "a", "", 0 }, { "b || ", 100000, "a", "", 0 }, { "a", 1048577, "", "", 1048577 },
		{ "(b || ", 200, "a", ")", 0 },	 { "#(", 1000, "", "", 2 },
	};

	(void)state;
	for (size_t i = 0; i < DF_ARRAY_SIZE(rows); i++) {
		char *text = nest(rows[i].open, rows[i].n, rows[i].middle, rows[i].close);
		df_cleanup(df_condition_freep) struct df_condition *condition = NULL;
		struct df_error err = DF_ERROR_INIT;
		size_t column = 0;
		int rc;

		assert_non_null(text);
		rc = df_condition_compile(df_str_c(text), &condition, &err);
		free(text);
		if (rows[i].column) {
			assert_int_equal(rc, DF_ERR_CONFIG);
			assert_int_equal(sscanf(err.text, "column %zu: ", &column), 1);
			assert_int_equal(column, rows[i].column);
		} else {
			struct df_arena arena = { 0 };
			struct df_value *root = NULL;
			bool got = false;

			assert_int_equal(rc, 0);
			df_arena_init(&arena, NULL);
			assert_int_equal(df_value_parse_text(DF_STR("{\"a\":1}"), &arena, &root, &err), 0);
			assert_int_equal(df_condition_eval(condition, root, &arena, &got, &err), 0);
			assert_true(got);
			df_arena_done(&arena);
		}
	}
}

/* ---- limits, short circuit, threads ---------------------------------------------------------------------- */

static int eval_text(const char *text, struct df_str json, bool *ret, struct df_error *err)
{
	df_cleanup(df_condition_freep) struct df_condition *condition = NULL;
	struct df_arena arena = { 0 };
	struct df_value *root = NULL;
	int rc;

	assert_int_equal(df_condition_compile(df_str_c(text), &condition, err), 0);
	df_arena_init(&arena, NULL);
	assert_int_equal(df_value_parse_text(json, &arena, &root, err), 0);
	rc = df_condition_eval(condition, root, &arena, ret, err);
	/* once more, with what the first left behind */
	assert_int_equal(df_condition_eval(condition, root, &arena, ret, err), rc);
	df_arena_done(&arena);
	return rc;
}

static void fails_past_the_match_limit(void **state)
{
	struct df_str doc = DF_STR("{\"a\":\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab\",\"t\":true}");
	int64_t start = df_clock_monotonic();
	struct df_error err = DF_ERROR_INIT;
	bool got = false;

	(void)state;
	assert_int_equal(eval_text("a =~ '^(a+)+$'", doc, &got, &err), DF_ERR_INVALID_DATA);
	assert_non_null(strstr(err.text, "column 6"));
	assert_null(strstr(err.text, "aaa")); /* never the payload */
	assert_int_equal(eval_text("!(a !~ '^(a+)+$') || t", doc, &got, &err), DF_ERR_INVALID_DATA);
	assert_true(df_clock_monotonic() - start < 20 * DF_NS_PER_S);
	/* ours, not PCRE2's own, which is ten times as high */
	assert_int_equal(eval_text("a =~ '^(a+)+$'", DF_STR("{\"a\":\"aaaaaaaaaaaaaaaaaaaaab\"}"), &got, &err),
			 DF_ERR_INVALID_DATA);
	assert_int_equal(eval_text("a =~ '^(a+)+$'", DF_STR("{\"a\":\"aaaaaaaaaaaaaaab\"}"), &got, &err), 0);
	assert_false(got);
	/* short circuit: what need not be known is not asked */
	assert_int_equal(eval_text("t || a =~ '^(a+)+$'", doc, &got, &err), 0);
	assert_true(got);
	assert_int_equal(eval_text("!t && a =~ '^(a+)+$'", doc, &got, &err), 0);
	assert_false(got);
	assert_int_equal(eval_text("(t || a =~ '^(a+)+$') && t", doc, &got, &err), 0);
	assert_true(got);
}

static void searches_long_texts(void **state)
{
	char *text = nest("a", 300000, "", "");
	struct df_error err = DF_ERROR_INIT;
	struct df_buf doc = { 0 };
	bool got = false;

	(void)state;
	df_buf_printf(&doc, "{\"a\":\"%sb\"}", text);
	assert_int_equal(eval_text("a =~ '^.*b$'", df_buf_str(&doc), &got, &err), 0);
	assert_true(got);
	assert_int_equal(eval_text("a =~ '^[a-z]+c'", df_buf_str(&doc), &got, &err), 0);
	assert_false(got);
	df_buf_done(&doc);
	free(text);
}

static void *evaluate_often(void *arg)
{
	const struct df_condition *condition = arg;
	struct df_arena arena = { 0 };
	intptr_t wrong = 0;

	df_arena_init(&arena, NULL);
	for (int i = 0; i < 2000; i++) {
		struct df_str doc = i % 2 ? DF_STR("{\"a\":\"x42\",\"n\":7}") : DF_STR("{\"a\":\"x4\",\"n\":7}");
		struct df_error err = DF_ERROR_INIT;
		struct df_value *root = NULL;
		bool got = false;

		if (df_value_parse_text(doc, &arena, &root, &err) ||
		    df_condition_eval(condition, root, &arena, &got, &err) || got != (i % 2 == 1))
			wrong++;
		df_arena_reset(&arena);
	}
	df_arena_done(&arena);
	return (void *)wrong;
}

static void serves_several_threads(void **state)
{
	df_cleanup(df_condition_freep) struct df_condition *condition = NULL;
	struct df_error err = DF_ERROR_INIT;
	pthread_t threads[4];

	(void)state;
	assert_int_equal(df_condition_compile(DF_STR("a =~ '^x\\d{2}$' && n >= 7"), &condition, &err), 0);
	for (size_t i = 0; i < DF_ARRAY_SIZE(threads); i++)
		assert_int_equal(pthread_create(&threads[i], NULL, evaluate_often, condition), 0);
	for (size_t i = 0; i < DF_ARRAY_SIZE(threads); i++) {
		void *wrong = NULL;

		assert_int_equal(pthread_join(threads[i], &wrong), 0);
		assert_null(wrong);
	}
}

/* Numbers and strings that a database source built. */
static void compares_built_values(void **state)
{
	static const struct {
		const char *text;
		bool want;
	} rows[] = {
		{ "i == 42", true },	 { "i == 42.0", true },	    { "i > 41", true },		{ "i", true },
		{ "z", false },		 { "x == 0.5", true },	    { "x < 0.50000001", true }, { "x", true },
		{ "b == 'aGk='", true }, { "b =~ '^aGk=$'", true }, { "nan == NaN", true },
	};
	struct df_arena arena = { 0 };
	struct df_value *root;

	(void)state;
	df_arena_init(&arena, NULL);
	root = df_value_new(&arena, DF_OBJECT);
	df_object_append(root, DF_STR("i"), df_value_int64(&arena, 42));
	df_object_append(root, DF_STR("z"), df_value_int64(&arena, 0));
	df_object_append(root, DF_STR("x"), df_value_float64(&arena, 0.5));
	df_object_append(root, DF_STR("nan"), df_value_float64(&arena, __builtin_nan("")));
	df_object_append(root, DF_STR("b"), df_value_bytes(&arena, DF_STR("hi")));
	for (size_t i = 0; i < DF_ARRAY_SIZE(rows); i++) {
		df_cleanup(df_condition_freep) struct df_condition *condition = NULL;
		struct df_error err = DF_ERROR_INIT;
		bool got = !rows[i].want;

		assert_int_equal(df_condition_compile(df_str_c(rows[i].text), &condition, &err), 0);
		assert_int_equal(df_condition_eval(condition, root, &arena, &got, &err), 0);
		if (got != rows[i].want)
			fail_msg("%s", rows[i].text);
	}
	df_arena_done(&arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(knows_what_is_truthy),
		cmocka_unit_test(compares_for_equality),
		cmocka_unit_test(compares_by_order),
		cmocka_unit_test(searches_expressions),
		cmocka_unit_test(combines),
		cmocka_unit_test(reads_literals),
		cmocka_unit_test(refuses),
		cmocka_unit_test(bounds_nesting),
		cmocka_unit_test(fails_past_the_match_limit),
		cmocka_unit_test(searches_long_texts),
		cmocka_unit_test(serves_several_threads),
		cmocka_unit_test(compares_built_values),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

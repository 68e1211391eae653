/* Paths: every row and sentence of the transformations reference, section 2. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/arena.h"
#include "value/path.h"
#include "value/value.h"

#define NOTHING NULL

static struct df_value *parse(const char *json, struct df_arena *arena)
{
	struct df_error err = DF_ERROR_INIT;
	struct df_value *v = NULL;

	if (df_value_parse_text(df_str_c(json), arena, &v, &err))
		fail_msg("%s: %s", json, err.text);
	return v;
}

static struct df_path *compile(const char *text, enum df_path_use use)
{
	struct df_error err = DF_ERROR_INIT;
	struct df_path *path = NULL;

	if (df_path_compile(df_str_c(text), use, &path, &err))
		fail_msg("%s: %s", text, err.text);
	assert_true(df_str_equal_c(df_path_text(path), text));
	return path;
}

static void expect_json(const char *what, const struct df_value *v, const char *want, struct df_arena *arena)
{
	struct df_str got = v ? df_value_to_arena(v, arena) : DF_STR("(nothing)");

	if (!df_str_equal_c(got, want ? want : "(nothing)"))
		fail_msg("%s: got " DF_STR_FMT ", want %s", what, DF_STR_ARG(got), want ? want : "(nothing)");
}

/* ---- reading --------------------------------------------------------------------------------------------- */

struct reading {
	const char *doc;
	const char *path;
	const char *want;
};

static void check_readings(const struct reading *rows, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		df_cleanup(df_path_freep) struct df_path *path = compile(rows[i].path, DF_PATH_READING);
		struct df_arena arena = { 0 };
		struct df_value *root;
		struct df_value *v = NULL;
		struct df_str after;
		struct df_str before;

		df_arena_init(&arena, NULL);
		root = parse(rows[i].doc, &arena);
		before = df_value_to_arena(root, &arena);
		assert_int_equal(df_path_read(path, root, &arena, &v), 0);
		expect_json(rows[i].path, v, rows[i].want, &arena);
		after = df_value_to_arena(root, &arena);
		assert_true(df_str_equal(before, after)); /* reading changes nothing */
		df_arena_done(&arena);
	}
}

#define NAMES                                                                                                         \
	"{\"a\":{\"b\":1,\"$\":2,\"\":3},\"a.b\":4,\"$oid\":5,\"$\":6,\"x y\":7,\"a*c\":8,\"a?c\":9,\"a|b\":10,"      \
	"\"a[0]\":11,\"#\":12,\"@keys\":13,\"b\\\\s\":14,\"a:b\":15,\"@timestamp\":16,\"n\":null,\"\\u00e9\":17,\"a#" \
	"\":18,"                                                                                                      \
	"\"a!\":19,\"a{\":20,\"!a\":21,\"{a\":22,\"]\":23,\"#abc\":24,\"@joined\":25,\"(a)\":26}"

static void reads_names(void **state)
{
	static const struct reading rows[] = {
		{ NAMES, "a", "{\"b\":1,\"$\":2,\"\":3}" },
		{ NAMES, "a.b", "1" },
		{ NAMES, "a|b", "1" },
		{ NAMES, "$.a.b", "1" },
		{ "{\"a\":1}", "$", "{\"a\":1}" },
		{ "[1]", "$", "[1]" },
		{ "null", "$", "null" },
		{ "5", "$", "5" },
		{ NAMES, "a\\.b", "4" },
		{ NAMES, "$.a\\.b", "4" },
		{ NAMES, "$oid", "5" },
		{ NAMES, "\\$oid", "5" },
		{ NAMES, "$.$oid", "5" },
		{ NAMES, "\\$", "6" },
		{ NAMES, "$.$", "6" },
		{ NAMES, "a.$", "2" },
		{ "{\"$\":{\"a\":1}}", "$|a", "1" },
		{ "{\"$\":{\"a\":1}}", "\\$.a", "1" },
		{ NAMES, "x y", "7" },
		{ NAMES, "a\\*c", "8" },
		{ NAMES, "a\\?c", "9" },
		{ NAMES, "a\\|b", "10" },
		{ NAMES, "a\\[0]", "11" },
		{ NAMES, "a\\[0\\]", "11" },
		{ NAMES, "\\#", "12" },
		{ NAMES, "\\#abc", "24" },
		{ NAMES, "\\@keys", "13" },
		{ NAMES, "@ke\\ys", "13" },
		{ NAMES, "b\\\\s", "14" },
		{ NAMES, "a:b", "15" },
		{ NAMES, "a\\:b", "15" },
		{ NAMES, "@timestamp", "16" },
		{ NAMES, "@joined", "25" },
		{ NAMES, "n", "null" },
		{ NAMES, "n.x", NOTHING },
		{ NAMES, "\xc3\xa9", "17" },
		{ NAMES, "\\\xc3\xa9", "17" },
		{ NAMES, "a#", "18" },
		{ NAMES, "a!", "19" },
		{ NAMES, "a{", "20" },
		{ NAMES, "\\!a", "21" },
		{ NAMES, "\\{a", "22" },
		{ NAMES, "]", "23" },
		{ NAMES, "(a)", "26" },
		{ NAMES, "\\a.\\b", "1" },
		{ NAMES, "A", NOTHING },
		{ NAMES, "a.b.c", NOTHING },
		{ NAMES, "missing", NOTHING },
		{ NAMES, " a", NOTHING },
		{ "[{\"a\":1}]", "a", NOTHING },
		{ "5", "a", NOTHING },
		{ "{\"\\u0061\\u002e\":1}", "a\\.", "1" },
		{ "{\"a\":{\"b\":1.10}}", "a.b", "1.10" },
		{ "{\"a\":1,\"a\":2}", "a", "2" },
	};

	(void)state;
	check_readings(rows, DF_ARRAY_SIZE(rows));
}

static void reads_indices(void **state)
{
	static const struct reading rows[] = {
		{ "{\"a\":[10,[20,21]]}", "a.0", "10" },
		{ "{\"a\":[10,[20,21]]}", "a[0]", "10" },
		{ "{\"a\":[10,[20,21]]}", "a[1][1]", "21" },
		{ "{\"a\":[10,[20,21]]}", "a.1[0]", "20" },
		{ "{\"a\":[10,[20,21]]}", "a|1|0", "20" },
		{ "{\"a\":[10,[20,21]]}", "a[1].1", "21" },
		{ "{\"a\":[10,[20,21]]}", "a.2", NOTHING },
		{ "{\"a\":[10,[20,21]]}", "a[2]", NOTHING },
		{ "{\"a\":[10]}", "a.18446744073709551616", NOTHING },
		{ "{\"a\":[10]}", "a.18446744073709551615", NOTHING },
		{ "{\"a\":[10]}", "a.00", "10" },
		{ "{\"a\":[10]}", "a.\\0", NOTHING },
		{ "{\"a\":[10]}", "a.0x", NOTHING },
		{ "[{\"a\":1}]", "$[0].a", "1" },
		{ "[{\"a\":1}]", "[0].a", "1" },
		{ "[{\"a\":1}]", "0.a", "1" },
		{ "[{\"a\":1}]", "$.0.a", "1" },
		{ "[{\"a\":1}]", "$.[0].a", "1" },
		{ "[[1,2],[3]]", "[0][1]", "2" },
		{ "{\"0\":\"x\",\"00\":\"y\"}", "0", "\"x\"" },
		{ "{\"0\":\"x\",\"00\":\"y\"}", "[0]", "\"x\"" },
		{ "{\"0\":\"x\",\"00\":\"y\"}", "$[00]", "\"y\"" },
		{ "{\"a\":{\"1\":\"x\"}}", "a[1]", "\"x\"" },
		{ "{\"a\":{\"1\":\"x\"}}", "a.\\1", "\"x\"" },
		{ "\"abc\"", "0", NOTHING },
	};

	(void)state;
	check_readings(rows, DF_ARRAY_SIZE(rows));
}

static void reads_wildcards(void **state)
{
	static const struct reading rows[] = {
		{ "{\"abc\":1,\"abd\":2}", "ab*", "1" },
		{ "{\"abc\":1,\"abd\":2}", "*d", "2" },
		{ "{\"abc\":1,\"abd\":2}", "*", "1" },
		{ "{\"abc\":1}", "abc*", "1" },
		{ "{\"abc\":1}", "a*b*c", "1" },
		{ "{\"abc\":1}", "**", "1" },
		{ "{\"abc\":1}", "b*", NOTHING },
		{ "{\"abc\":1}", "ab", NOTHING },
		{ "{\"abc\":1}", "a?c", "1" },
		{ "{\"abc\":1}", "???", "1" },
		{ "{\"abc\":1}", "??", NOTHING },
		{ "{\"abc\":1}", "????", NOTHING },
		{ "{\"abc\":1}", "*???", "1" },
		{ "{\"abc\":1}", "*????", NOTHING },
		{ "{\"\":1}", "*", "1" },
		{ "{\"\":1}", "?", NOTHING },
		{ "{\"\xc3\xa9\":1}", "?", "1" },
		{ "{\"\xc3\xa9\":1}", "??", NOTHING },
		{ "{\"\xc3\xa9\":1}", "*??", NOTHING },
		{ "{\"\xf0\x9f\x98\x80\":1}", "?", "1" },
		{ "{\"\\ud83d\\ude00\":1}", "?", "1" },
		{ "{\"a*b\":1}", "a\\**", "1" },
		{ "{\"axb\":1}", "a\\**", NOTHING },
		{ "{\"a?b\":1,\"a\\\\b\":2}", "?\\?*", "1" },
		{ "{\"a?b\":1,\"a\\\\b\":2}", "*\\\\b", "2" },
		{ "{\"a.b\":1}", "*\\.b", "1" },
		{ "{\"a.b\":1}", "a?b", "1" },
		/* the first member from which the whole rest can be read */
		{ "{\"x\":1,\"y\":{\"b\":2},\"z\":{\"b\":3}}", "*.b", "2" },
		{ "{\"x\":{\"c\":1},\"y\":{\"b\":{\"d\":null}}}", "*.*.d", "null" },
		{ "{\"x\":{\"y\":{\"q\":1}},\"z\":{\"y\":{\"w\":2}}}", "*.y.w", "2" },
		{ "{\"x\":1,\"y\":{\"b\":2}}", "*.@keys", "[\"b\"]" },
		{ "{\"x\":[1],\"y\":{\"b\":2}}", "*.b", "2" },
		/* ... but a | ends its reach */
		{ "{\"x\":1,\"y\":{\"b\":2}}", "*|b", NOTHING },
		{ "{\"x\":{\"y\":1},\"z\":{\"y\":{\"w\":2}}}", "*.y|w", NOTHING },
		{ "{\"x\":{\"c\":1}}", "*|c", "1" },
		/* nothing on an array */
		{ "[1,2]", "*", NOTHING },
		{ "[1,2]", "?", NOTHING },
		{ "{\"a\":[1,2]}", "a.*", NOTHING },
		{ "{\"ab\":[1,2]}", "a*[1]", "2" },
		{ "{\"ab\":[1,2]}", "a*.#", "2" },
	};

	(void)state;
	check_readings(rows, DF_ARRAY_SIZE(rows));
}

static void reads_collections(void **state)
{
#define AB "{\"a\":[{\"b\":[1,2]},{\"c\":0},{\"b\":[3]},5,{\"b\":null}]}"
	static const struct reading rows[] = {
		{ AB, "a.#", "5" },
		{ "[]", "#", "0" },
		{ "[1,[2]]", "#", "2" },
		{ "{\"a\":{\"#\":1}}", "a.#", NOTHING },
		{ "{\"a\":\"x\"}", "a.#", NOTHING },
		{ AB, "a.#.b", "[[1,2],[3],null]" },
		{ AB, "a|#.b", "[[1,2],[3],null]" },
		{ AB, "a[*].b", "[[1,2],[3],null]" },
		{ AB, "a.#.b.0", "[1,3]" },
		{ AB, "a[*].b[0]", "[1,3]" },
		{ AB, "a.#.b|0", "[1,2]" },
		{ AB, "a[*].b|0", "[1,2]" },
		{ AB, "a.#.b.#", "[2,1]" },
		{ AB, "a.#.b|#", "3" },
		{ AB, "a.#.zzz", "[]" },
		{ AB, "a.#|x", NOTHING },
		{ AB, "a.#|0", NOTHING },
		{ AB, "a.#.#", "[]" },
		{ "[[1,2],[3],4]", "#.#", "[2,1]" },
		{ "[[1,2],[3],4]", "#[0]", "[1,3]" },
		{ "[[1,2],[3],4]", "#.0", "[1,3]" },
		{ "[[1,2],[3],4]", "[*][0]", "[1,3]" },
		{ "[[1,2],[3],4]", "$[*][1]", "[2]" },
		{ "[[1,2],[3],4]", "[*]", "[[1,2],[3],4]" },
		{ "[[1,2],[3],4]", "[*]|1", "[3]" },
		{ "[[1,2],[3],4]", "[*][*]", "[[1,2],[3]]" },
		{ "[[1,2],[3],4]", "#[*]", "[[1,2],[3]]" },
		{ "[[[1,2]],[[3]]]", "#.#.#", "[[2],[1]]" },
		{ "[[[1,2]],[[3]]]", "#.#.0", "[[1],[3]]" },
		{ "{\"a\":{\"b\":1}}", "a.#.b", NOTHING },
		{ "{\"a\":{\"b\":1}}", "a[*]", NOTHING },
		{ "{\"a\":{\"b\":1}}", "a[*].b", NOTHING },
		{ "{\"a\":5}", "a[*]", NOTHING },
		{ "[]", "#.a", "[]" },
		{ "[]", "[*].a", "[]" },
		{ "[]", "[*]", "[]" },
		{ "[{\"ab\":1},{\"ac\":2,\"ad\":3}]", "#.a*", "[1,2]" },
		{ "[{\"a\":1.10},{\"a\":1e400}]", "#.a", "[1.10,1e400]" },
		{ "[{\"a\":\"\\u00e9\\n\"}]", "#.a", "[\"\xc3\xa9\\n\"]" },
		{ "{\"k\":{\"v\":1},\"l\":[{\"v\":2}]}", "*.#.v", "[2]" },
	};

	(void)state;
	check_readings(rows, DF_ARRAY_SIZE(rows));
}

static void reads_queries(void **state)
{
#define FRIENDS                                                                         \
	"{\"f\":[{\"first\":\"Dale\",\"age\":44,\"nets\":[\"ig\",\"fb\"],\"ok\":true}," \
	"{\"first\":\"Roger\",\"age\":68.0,\"nets\":[\"fb\"],\"ok\":false},"            \
	"{\"first\":\"Jane\",\"age\":47,\"nets\":[],\"ok\":null}],\"c\":[\"Sara\",\"Alex\",\"Jack\"]}"
	static const struct reading rows[] = {
		{ FRIENDS, "f.#(first==\"Roger\").age", "68.0" },
		{ FRIENDS, "f.#(first=\"Roger\").age", "68.0" },
		{ FRIENDS, "f.#(first==Roger).age", "68.0" },
		{ FRIENDS, "f.#( first == Roger ).age", "68.0" },
		{ FRIENDS, "f.#(first ==  \"Roger\" ).age", "68.0" },
		{ FRIENDS, "f[*].first", "[\"Dale\",\"Roger\",\"Jane\"]" },
		{ FRIENDS, "f.#(first==Nobody)", NOTHING },
		{ FRIENDS, "f.#(first==Nobody)#", "[]" },
		{ FRIENDS, "f.#(first==Nobody)#.age", "[]" },
		{ FRIENDS, "f.#(age>45)#.first", "[\"Roger\",\"Jane\"]" },
		{ FRIENDS, "f.#(age>45)#[0]", "[]" },
		{ FRIENDS, "f.#(age>45)#|0.first", "\"Roger\"" },
		{ FRIENDS, "f.#(age>45)#|#", "2" },
		{ FRIENDS, "f.#(age>45)#.#", "[]" },
		{ FRIENDS, "f.#(age>45)#|first", NOTHING },
		{ FRIENDS, "f.#(age>45)|first", "\"Roger\"" },
		{ FRIENDS, "f.#(age>=47)#.age", "[68.0,47]" },
		{ FRIENDS, "f.#(age<47)#.age", "[44]" },
		{ FRIENDS, "f.#(age<=47)#.age", "[44,47]" },
		{ FRIENDS, "f.#(age==68)#.first", "[\"Roger\"]" },
		{ FRIENDS, "f.#(age==\"6.8e1\")#.first", "[\"Roger\"]" },
		{ FRIENDS, "f.#(age!=68)#.first", "[\"Dale\",\"Jane\"]" },
		{ FRIENDS, "f.#(first%\"*a*\")#.first", "[\"Dale\",\"Jane\"]" },
		{ FRIENDS, "f.#(first%D?le).age", "44" },
		{ FRIENDS, "f.#(first!%\"D*\").age", "68.0" },
		{ FRIENDS, "f.#(age%\"4*\")#", "[]" },
		{ FRIENDS, "f.#(age!%\"4*\")#", "[]" },
		{ FRIENDS, "f.#(ok==true).first", "\"Dale\"" },
		{ FRIENDS, "f.#(ok==\"true\").first", "\"Dale\"" },
		{ FRIENDS, "f.#(ok==false).first", "\"Roger\"" },
		{ FRIENDS, "f.#(ok!=false)#.first", "[\"Dale\"]" },
		{ FRIENDS, "f.#(ok!=true)#.first", "[\"Roger\"]" },
		{ FRIENDS, "f.#(ok>false)#.first", "[]" },
		{ FRIENDS, "f.#(ok==null)#.first", "[]" },
		{ FRIENDS, "f.#(ok!=x)#.first", "[\"Dale\",\"Roger\"]" },
		{ FRIENDS, "f.#(ok)#.first", "[\"Dale\",\"Roger\",\"Jane\"]" },
		{ FRIENDS, "f.#(missing)#.first", "[]" },
		{ FRIENDS, "f.#(nets.#)#.first", "[\"Dale\",\"Roger\",\"Jane\"]" },
		{ FRIENDS, "f.#(nets.#>1)#.first", "[\"Dale\"]" },
		{ FRIENDS, "f.#(nets.0)#.first", "[\"Dale\",\"Roger\"]" },
		{ FRIENDS, "f.#(nets.#(==\"fb\"))#.first", "[\"Dale\",\"Roger\"]" },
		{ FRIENDS, "f.#(nets.#(==fb)#|#==1)#.first", "[\"Dale\",\"Roger\"]" },
		{ FRIENDS, "f.#(nets)#.first", "[\"Dale\",\"Roger\",\"Jane\"]" },
		{ FRIENDS, "f.#(nets!=x)#", "[]" },
		{ FRIENDS, "c.#(!%\"*a*\")", "\"Alex\"" },
		{ FRIENDS, "c.#(%\"*a*\")#", "[\"Sara\",\"Jack\"]" },
		{ FRIENDS, "c.#(>Jack)#", "[\"Sara\"]" },
		{ FRIENDS, "c.#(>=Jack)#", "[\"Sara\",\"Jack\"]" },
		{ FRIENDS, "c.#(<Jack)#", "[\"Alex\"]" },
		{ FRIENDS, "c.#(<=Jack)#", "[\"Alex\",\"Jack\"]" },
		{ FRIENDS, "c.#()", "\"Sara\"" },
		{ FRIENDS, "f.#()", NOTHING },
		{ FRIENDS, "f.#(first==Dale)#.nets", "[[\"ig\",\"fb\"]]" },
		{ FRIENDS, "f.#(first==Dale).nets[1]", "\"fb\"" },
		{ FRIENDS, "f.#(first==Dale).nets.#", "2" },
		{ FRIENDS, "f.#(first==Dale)[0]", NOTHING },
		{ FRIENDS, "c.#(==Sara)[0]", NOTHING },
		{ FRIENDS, "f.#($.first==Dale).age", "44" },
		{ FRIENDS, "c.#(@this==Alex)", "\"Alex\"" },
		{ "[[\"a\",\"b\"],[\"c\"]]", "#(0==c)", "[\"c\"]" },
		{ "[[\"a\",\"b\"],[\"c\"]]", "#([0]==c)", "[\"c\"]" },
		{ "[[\"a\",\"b\"],[\"c\"]]", "#(==c)", NOTHING },
		{ "[[\"a\",\"b\"],[\"c\"]]", "#(#(==c))[0]", "\"c\"" },
		{ "{\"a\":[{\"b\":[\"x\"]},{\"b\":[\"y\"]}]}", "a.#(b.#(==\"x\"))#", "[{\"b\":[\"x\"]}]" },
		{ "[1,1.0,1e0,\"1\",2,true,null,[1],{\"a\":1}]", "#(==1)#", "[1,1.0,1e0,\"1\"]" },
		{ "[1,\"1.0\",2,true,null,[1],{\"a\":1}]", "#(!=1)#", "[\"1.0\",2,true]" },
		{ "[9007199254740993,9007199254740992]", "#(==9007199254740993)#", "[9007199254740993]" },
		{ "[0.1,0.10000000000000000001]", "#(>0.1)#", "[0.10000000000000000001]" },
		{ "[5,\"x\"]", "#(==05)#", "[]" },
		{ "[5,\"x\"]", "#(!=05)#", "[5,\"x\"]" },
		{ "[5,\"x\"]", "#(!=abc)#", "[5,\"x\"]" },
		{ "[5]", "#(<abc)#", "[]" },
		{ "[5]", "#(>=abc)#", "[]" },
		{ "[-5,3,1e2]", "#(<10)#", "[-5,3]" },
		{ "[\"a b\",\"c\"]", "#(== a b )", "\"a b\"" },
		{ "[\" a\"]", "#(== a)", NOTHING },
		{ "[\" a\"]", "#(==\" a\")", "\" a\"" },
		{ "[\"\",\"x\"]", "#(==\"\")#", "[\"\"]" },
		{ "[\"\\u00e9\",\"x\"]", "#(==\"\\u00e9\")#", "[\"\xc3\xa9\"]" },
		{ "[\"\\u00e9\",\"x\"]", "#(==\xc3\xa9)#", "[\"\xc3\xa9\"]" },
		{ "[\"a\\\"b)\",\"x\"]", "#(==\"a\\\"b)\")#", "[\"a\\\"b)\"]" },
		{ "[\"f(x)\"]", "#(==f(x))", "\"f(x)\"" },
		{ "[\"a)\"]", "#(==\"a)\")", "\"a)\"" },
		{ "[\"a*b\",\"axb\"]", "#(%\"a\\\\*b\")#", "[\"a*b\"]" },
		{ "[\"a*b\",\"axb\"]", "#(%a\\*b)#", "[\"a*b\"]" },
		{ "[\"=x\"]", "#(===x)", "\"=x\"" },
		{ "[{\"a=b\":1}]", "#(a\\=b==1)", "{\"a=b\":1}" },
		{ "[{\"a)\":1}]", "#(a\\)==1)", "{\"a)\":1}" },
		{ "[{\"a.b\":1}]", "#(a\\.b==1)", "{\"a.b\":1}" },
		{ "[{\"a \":1}]", "#(a\\ ==1)", "{\"a \":1}" },
		{ "[{\"a b\":1}]", "#(a b == 1)", "{\"a b\":1}" },
		{ "[{\"a(b)\":1}]", "#(a(b)==1)", "{\"a(b)\":1}" },
		{ "[{\"ab\":0,\"ac\":1}]", "#(a*==1)", NOTHING },
		{ "{\"a\":{\"b\":1}}", "a.#(b==1)", NOTHING },
		{ "{\"a\":{\"b\":1}}", "a.#(b==1)#", NOTHING },
		{ "{\"a\":5}", "a.#(==5)", NOTHING },
		{ "{\"x\":[],\"y\":[{\"b\":1}]}", "*.#(b==1).b", "1" },
	};

	(void)state;
	check_readings(rows, DF_ARRAY_SIZE(rows));
}

static void reads_tilde(void **state)
{
#define VALS                                                                                                        \
	"{\"v\":[{\"a\":1,\"b\":\"data\"},{\"a\":2,\"b\":true},{\"a\":3,\"b\":false},{\"a\":4,\"b\":\"0\"},"        \
	"{\"a\":5,\"b\":0},{\"a\":6,\"b\":\"1\"},{\"a\":7,\"b\":1},{\"a\":8,\"b\":\"true\"},{\"a\":9,\"b\":false}," \
	"{\"a\":10,\"b\":null},{\"a\":11}]}"
	static const struct reading rows[] = {
		{ VALS, "v.#(b==~true)#.a", "[2,6,7,8]" },
		{ VALS, "v.#(b=~true)#.a", "[2,6,7,8]" },
		{ VALS, "v.#(b== ~true )#.a", "[2,6,7,8]" },
		{ VALS, "v.#(b!=~true)#.a", "[1,3,4,5,9,10,11]" },
		{ VALS, "v.#(b==~false)#.a", "[3,4,5,9,10,11]" },
		{ VALS, "v.#(b!=~false)#.a", "[1,2,6,7,8]" },
		{ VALS, "v.#(b==~null)#.a", "[10,11]" },
		{ VALS, "v.#(b!=~null)#.a", "[1,2,3,4,5,6,7,8,9]" },
		{ VALS, "v.#(b==~*)#.a", "[1,2,3,4,5,6,7,8,9,10]" },
		{ VALS, "v.#(b!=~*)#.a", "[11]" },
		{ "[\"T\",\"TRUE\",\"True\",\"t\",\"yes\",\"tru\",\"1\",\"1.0\",\"\"]", "#(==~true)#",
		  "[\"T\",\"TRUE\",\"True\",\"t\",\"1\"]" },
		{ "[\"F\",\"FALSE\",\"f\",\"no\",\"0\",\"0.0\",\"\"]", "#(==~false)#",
		  "[\"F\",\"FALSE\",\"f\",\"0\"]" },
		{ "[0,-0,0.0,0e5,1e-400,-1,0.5]", "#(==~true)#", "[1e-400,-1,0.5]" },
		{ "[0,-0,0.0,0e5,1e-400,-1,0.5]", "#(==~false)#", "[0,-0,0.0,0e5]" },
		{ "[{},[],[1]]", "#(@this==~true)#", "[]" },
		{ "[{},[],[1]]", "#(@this==~false)#", "[]" },
		{ "[{},[],[1]]", "#(@this==~null)#", "[]" },
		{ "[{},[],[1]]", "#(@this==~*)#", "[{},[],[1]]" },
		{ "[{},[1],null,1]", "#(==~null)#", "[{},[1],null]" },
		{ "[1,null,{\"a\":null},{\"a\":1}]", "#(a==~null)#", "[1,null,{\"a\":null}]" },
		{ "[\"~true\",true]", "#(==\"~true\")#", "[\"~true\"]" },
		{ "[\"~abc\",true]", "#(==~abc)#", "[\"~abc\"]" },
	};

	(void)state;
	check_readings(rows, DF_ARRAY_SIZE(rows));
}

static void reads_modifiers(void **state)
{
	static const struct reading rows[] = {
		{ "{\"a\":1}", "@this", "{\"a\":1}" },
		{ "{\"a\":1}", "@this.a", "1" },
		{ "{\"a\":1}", "@this|a", "1" },
		{ "{\"a\":1}", "$.@this", "{\"a\":1}" },
		{ "{\"a\":1}", "a.@this.@this", "1" },
		{ "[1,2,3]", "@reverse", "[3,2,1]" },
		{ "[1,2,3]", "@reverse.0", "3" },
		{ "[1,2,3]", "@reverse[0]", "3" },
		{ "[]", "@reverse", "[]" },
		{ "{\"a\":1,\"b\":[1,2]}", "@reverse", "{\"b\":[1,2],\"a\":1}" },
		{ "{\"a\":1,\"b\":[1,2]}", "@reverse.b.@reverse", "[2,1]" },
		{ "{\"a\":1,\"b\":[1,2]}", "@reverse.a", "1" },
		{ "\"x\"", "@reverse", "\"x\"" },
		{ "null", "@reverse", "null" },
		{ "{\"a\":1,\"b\":{\"c\":2}}", "@keys", "[\"a\",\"b\"]" },
		{ "{\"a\":1,\"b\":{\"c\":2}}", "@keys.#", "2" },
		{ "{\"\\u00e9\\n\":1}", "@keys", "[\"\xc3\xa9\\n\"]" },
		{ "{}", "@keys", "[]" },
		{ "{\"a\":1,\"b\":{\"c\":2}}", "@values", "[1,{\"c\":2}]" },
		{ "{\"a\":1,\"b\":{\"c\":2}}", "@values.1.c", "2" },
		{ "[1,2]", "@values", "[1,2]" },
		{ "[1,2]", "@keys", NOTHING },
		{ "5", "@keys", NOTHING },
		{ "\"x\"", "@values", NOTHING },
		{ "null", "@values", NOTHING },
		{ "[1,[2],[3,[4,[5]]],{\"a\":[6]}]", "@flatten", "[1,2,3,[4,[5]],{\"a\":[6]}]" },
		{ "[1,[2],[3,[4,[5]]],{\"a\":[6]}]", "@flatten:{\"deep\":true}", "[1,2,3,4,5,{\"a\":[6]}]" },
		{ "[1,[2],[3,[4]]]", "@flatten:{ \"deep\" : true }.3", "4" },
		{ "[1,[2],[3,[4]]]", "@flatten:{\"deep\":true}|#", "4" },
		{ "[[],[[]]]", "@flatten", "[[]]" },
		{ "[[],[[]]]", "@flatten:{\"deep\":true}", "[]" },
		{ "{\"a\":[[1]]}", "@flatten", "{\"a\":[[1]]}" },
		{ "7", "@flatten", "7" },
		{ "{ \"a\" : [ 1.10, \"x\" ] }", "@tostr", "\"{\\\"a\\\":[1.10,\\\"x\\\"]}\"" },
		{ "\"x\"", "@tostr", "\"\\\"x\\\"\"" },
		{ "null", "@tostr", "\"null\"" },
		{ "{\"a\":\"{\\\"b\\\":[1,2.50]}\"}", "a.@fromstr", "{\"b\":[1,2.50]}" },
		{ "{\"a\":\"{\\\"b\\\":[1,2.50]}\"}", "a.@fromstr.b.1", "2.50" },
		{ "\" 5 \"", "@fromstr", "5" },
		{ "\"{\"", "@fromstr", NOTHING },
		{ "\"\"", "@fromstr", NOTHING },
		{ "\"1 2\"", "@fromstr", NOTHING },
		{ "5", "@fromstr", NOTHING },
		{ "{\"a\":1}", "@fromstr", NOTHING },
		{ "[1,\"a\"]", "@tostr.@fromstr", "[1,\"a\"]" },
		{ "{\"a\":1}", "@valid", "{\"a\":1}" },
		{ "{\"a\":1}", "@ugly", "{\"a\":1}" },
		{ "{\"a\":1}", "@pretty", "{\"a\":1}" },
		{ "{\"a\":1}", "@valid.@ugly.@pretty.a", "1" },
		/* from nothing */
		{ "{\"a\":1}", "b.@this", NOTHING },
		{ "{\"a\":1}", "b.@tostr", NOTHING },
		{ "{\"a\":1}", "b.@reverse", NOTHING },
		{ "{\"a\":1}", "b.@flatten", NOTHING },
		{ "{\"a\":1}", "b.@valid", NOTHING },
		/* within what is collected */
		{ "[{\"a\":1},{\"b\":2},3]", "#.@keys", "[[\"a\"],[\"b\"]]" },
		{ "[{\"a\":1},{\"b\":2},3]", "#.@keys|@reverse", "[[\"b\"],[\"a\"]]" },
		{ "[{\"a\":1},{\"b\":2},3]", "#.@keys|@flatten", "[\"a\",\"b\"]" },
		{ "[{\"a\":[1,2]},{\"a\":[3]}]", "#.a.@reverse", "[[2,1],[3]]" },
		{ "[{\"a\":[1,2]},{\"a\":[3]}]", "#.a|@reverse", "[[3],[1,2]]" },
		{ "[{\"a\":1},{\"b\":2}]", "#(@keys.0==b)", "{\"b\":2}" },
		/* names that are no modifiers */
		{ "{\"@timestamp\":1,\"@this\":2,\"@flat\":3,\"a@keys\":4,\"@\":5,\"@x:y\":6}", "@timestamp", "1" },
		{ "{\"@timestamp\":1,\"@this\":2,\"@flat\":3,\"a@keys\":4,\"@\":5,\"@x:y\":6}", "\\@this", "2" },
		{ "{\"@timestamp\":1,\"@this\":2,\"@flat\":3,\"a@keys\":4,\"@\":5,\"@x:y\":6}", "@flat", "3" },
		{ "{\"@timestamp\":1,\"@this\":2,\"@flat\":3,\"a@keys\":4,\"@\":5,\"@x:y\":6}", "a@keys", "4" },
		{ "{\"@timestamp\":1,\"@this\":2,\"@flat\":3,\"a@keys\":4,\"@\":5,\"@x:y\":6}", "@", "5" },
		{ "{\"@timestamp\":1,\"@this\":2,\"@flat\":3,\"a@keys\":4,\"@\":5,\"@x:y\":6}", "@x:y", "6" },
		{ "{\"@timestamp\":1,\"@this\":2,\"@flat\":3,\"a@keys\":4,\"@\":5,\"@x:y\":6}", "@thi*", "2" },
	};

	(void)state;
	check_readings(rows, DF_ARRAY_SIZE(rows));
}

static void reads_nothing_from_fromstr_too_deep(void **state)
{
	struct df_arena arena = { 0 };
	df_cleanup(df_path_freep) struct df_path *path = compile("@fromstr", DF_PATH_READING);
	struct df_value *v = NULL;
	char *deep = malloc(200001);

	(void)state;
	assert_non_null(deep);
	memset(deep, '[', 200000);
	df_arena_init(&arena, NULL);
	v = df_value_string(&arena, df_str(deep, 200000));
	assert_int_equal(df_path_read(path, v, &arena, &v), 0);
	assert_null(v);
	df_arena_done(&arena);
	free(deep);
}

/* ---- errors ---------------------------------------------------------------------------------------------- */

static void expect_column(const char *what, const struct df_error *err, size_t column)
{
	size_t got = 0;

	assert_int_equal(err->code, DF_ERR_CONFIG);
	if (sscanf(err->text, "column %zu: ", &got) != 1 || got != column)
		fail_msg("%s: got \"%s\", want column %zu", what, err->text, column);
}

struct refusal {
	const char *path;
	size_t column;
};

static void check_refusals(const struct refusal *rows, size_t n, enum df_path_use use)
{
	for (size_t i = 0; i < n; i++) {
		struct df_error err = DF_ERROR_INIT;
		struct df_path *path = NULL;

		if (df_path_compile(df_str_c(rows[i].path), use, &path, &err) == 0) {
			df_path_free(path);
			fail_msg("%s: compiled, want an error in column %zu", rows[i].path, rows[i].column);
		}
		assert_null(path);
		expect_column(rows[i].path, &err, rows[i].column);
		assert_int_equal(df_path_compile(df_str_c(rows[i].path), use, &path, NULL), DF_ERR_CONFIG);
	}
}

static void refuses(void **state)
{
	static const struct refusal rows[] = {
		/* empty steps */
		{ "", 1 },
		{ "a..b", 3 },
		{ ".a", 1 },
		{ "a.", 3 },
		{ "a|", 3 },
		{ "|a", 1 },
		{ "a.|b", 3 },
		{ "a||b", 3 },
		{ "..", 1 },
		{ "..#", 1 },
		{ "..0.a", 1 },
		{ ".", 1 },
		{ "$.", 3 },
		{ "$..a", 3 },
		{ "#.", 3 },
		{ "a[0].", 6 },
		/* brackets */
		{ "a[-1]", 2 },
		{ "a[0", 2 },
		{ "a[", 2 },
		{ "a[]", 2 },
		{ "a.[0]", 3 },
		{ "a|[0]", 3 },
		{ "[*]|[0]", 5 },
		{ "a.[*]", 3 },
		{ "#[x==1]", 2 },
		{ "a[x]", 2 },
		{ "a['x']", 2 },
		{ "a[0 ]", 2 },
		{ "a[1:2]", 2 },
		{ "a[**]", 2 },
		{ "a[*", 2 },
		{ "a[0]b", 5 },
		{ "a[*]b", 5 },
		{ "a[0]#", 5 },
		{ "$[x]", 2 },
		{ "$[", 2 },
		{ "[a,b]", 1 },
		{ "a[0][x]", 5 },
		/* # */
		{ "#abc", 1 },
		{ "a.#abc", 3 },
		{ "##", 1 },
		{ "#*", 1 },
		{ "#)", 1 },
		/* multipaths and literals */
		{ "{a,b}", 1 },
		{ "a.{b,c}", 3 },
		{ "!true", 1 },
		{ "a.!\"x\"", 3 },
		{ "a|!1", 3 },
		{ "a.!", 3 },
		/* \ */
		{ "\\", 1 },
		{ "a\\", 2 },
		{ "a.b\\", 4 },
		{ "a\\\\\\", 4 },
		/* queries */
		{ "#(", 2 },
		{ "#(a", 2 },
		{ "#(a==1", 2 },
		{ "#(a==\"x)", 6 },
		{ "#(a==\"x\\\")", 6 },
		{ "#(a==)", 6 },
		{ "#(a== )", 6 },
		{ "#(==)", 5 },
		{ "#(a!)", 4 },
		{ "#(a!x)", 4 },
		{ "#(!)", 3 },
		{ "#(a==1)b", 8 },
		{ "#(a==1)##", 9 },
		{ "#(a==1)#b", 9 },
		{ "#(a..b==1)", 5 },
		{ "#(.a==1)", 3 },
		{ "#(a.==1)", 5 },
		{ "x.#(b.#(c..d))", 11 },
		{ "#(a==\"\\x\")", 8 },
		{ "#(a==\"x\"y)", 9 },
		{ "#(a==\"x\" y)", 10 },
		{ "#(@join==1)", 3 },
		{ "#(a.{b}==1)", 5 },
		{ "#(a[x]==1)", 4 },
		/* modifiers */
		{ "@join", 1 },
		{ "@group", 1 },
		{ "@dig", 1 },
		{ "a.@join", 3 },
		{ "@join:{\"preserve\":true}", 1 },
		{ "@dig:a", 1 },
		{ "@keys:x", 6 },
		{ "@this:", 6 },
		{ "@pretty:{\"sortKeys\":true}", 8 },
		{ "@flatten:", 10 },
		{ "@flatten:deep", 10 },
		{ "@flatten:{\"deep\":false}", 10 },
		{ "@flatten:{\"deep\":true,\"x\":1}", 10 },
		{ "@flatten:{\"deep\":true}x", 23 },
		/* text */
		{ "a\xff", 2 },
		{ "a.\xc3", 3 },
	};

	(void)state;
	check_refusals(rows, DF_ARRAY_SIZE(rows), DF_PATH_READING);
}

static void refuses_for_locations(void **state)
{
	static const struct refusal rows[] = {
		{ "$", 1 },	  { "@this", 1 },   { "a.@reverse", 3 }, { "a.@flatten:{\"deep\":true}.0", 3 },
		{ "#", 1 },	  { "a.#", 3 },	    { "a.#.#", 5 },	 { "a.#(x==1).#", 11 },
		{ "a.#|x", 4 },	  { "a.#.b|c", 6 }, { "a.*|b", 4 },	 { "a*|b", 3 },
		{ "?.b.c|d", 6 }, { "a[*]|b", 5 },  { "a[*].b|c", 7 },	 { "a.#(x==1)#|b", 11 },
		{ "a.[0]", 3 },	  { "", 1 },
	};
	static const char *const allowed[] = { "a",	      "a|b",	      "a[0]|b",	 "a.*",
					       "a.#.b",	      "a[*]",	      "a[*][*]", "#[*]",
					       "a.#(x==1)|b", "a.#(x==1)#.b", "a|b.*.c", "@timestamp",
					       "\\@this",     "$.a",	      "$[*]",	 "a.#(@this.b==1)#",
					       "a.#(b.#>1).c" };

	(void)state;
	check_refusals(rows, DF_ARRAY_SIZE(rows), DF_PATH_LOCATION);
	for (size_t i = 0; i < DF_ARRAY_SIZE(allowed); i++)
		df_path_free(compile(allowed[i], DF_PATH_LOCATION));
}

static void refuses_for_plain(void **state)
{
	static const struct refusal rows[] = {
		{ "$", 1 },	  { "*", 1 },	    { "a.b*", 3 },   { "a?", 1 },	 { "a.#", 3 },
		{ "a.#.b", 3 },	  { "a[*]", 2 },    { "a[*].b", 2 }, { "a.#(b==1)", 3 }, { "a.#(b==1)#.c", 3 },
		{ "a.@keys", 3 }, { "@this.a", 1 }, { "", 1 },	     { "a..b", 3 },
	};
	static const char *const allowed[] = { "a", "a.b", "a|b", "a[0].b", "0", "a\\*", "\\#", "$.a", "$[0]", "@ts" };

	(void)state;
	check_refusals(rows, DF_ARRAY_SIZE(rows), DF_PATH_PLAIN);
	for (size_t i = 0; i < DF_ARRAY_SIZE(allowed); i++)
		df_path_free(compile(allowed[i], DF_PATH_PLAIN));
}

/* n times `unit`, then `end`; the caller frees. */
static char *repeat(const char *unit, size_t n, const char *end)
{
	size_t len = strlen(unit);
	char *text = malloc(n * len + strlen(end) + 1);

	assert_non_null(text);
	for (size_t i = 0; i < n; i++)
		memcpy(text + i * len, unit, len);
	memcpy(text + n * len, end, strlen(end) + 1);
	return text;
}

static void bounds_what_it_compiles(void **state)
{
	static const struct {
		const char *unit;
		size_t n;
		const char *end;
		size_t column; /* 0: compiles */
	} rows[] = {
		{ "x", 65536, "", 0 },	 { "x", 65537, "", 65537 }, { "a.", 255, "b", 0 },
		{ "a.", 256, "b", 513 }, { "a", 1, "", 0 },	    { "#.", 255, "b", 0 },
		{ "#.", 300, "b", 513 }, { "#(", 300, "", 2 },	    { "#(", 1000000, "", 65537 },
		{ "[0]", 256, "", 0 },	 { "[0]", 257, "", 769 },   { "@tostr.", 300, "a", 1793 },
	};
	char *text;

	(void)state;
	for (size_t i = 0; i < DF_ARRAY_SIZE(rows); i++) {
		df_cleanup(df_path_freep) struct df_path *path = NULL;
		struct df_error err = DF_ERROR_INIT;

		text = repeat(rows[i].unit, rows[i].n, rows[i].end);
		(void)!df_path_compile(df_str_c(text), DF_PATH_READING, &path, &err);
		free(text);
		if (rows[i].column)
			expect_column(rows[i].unit, &err, rows[i].column);
		else
			assert_non_null(path);
	}
	/* queries in queries count too */
	{
		df_cleanup(df_path_freep) struct df_path *path = NULL;
		struct df_error err = DF_ERROR_INIT;
		char *closing = repeat(")", 300, "");

		text = repeat("#(", 300, closing);
		assert_int_equal(df_path_compile(df_str_c(text), DF_PATH_READING, &path, &err), DF_ERR_CONFIG);
		expect_column("#(...)", &err, 2 * 256 + 1);
		free(text);
		free(closing);
	}
}

/* Would be exponential with a naive matcher. */
static void matches_many_stars_quickly(void **state)
{
	char *key = repeat("a", 5000, "");
	char *pattern = repeat("*a", 200, "*b");
	df_cleanup(df_path_freep) struct df_path *path = compile(pattern, DF_PATH_READING);
	struct df_arena arena = { 0 };
	struct df_value *root;
	struct df_value *v = NULL;

	(void)state;
	df_arena_init(&arena, NULL);
	root = df_value_new(&arena, DF_OBJECT);
	df_object_append(root, df_str_c(key), df_value_new(&arena, DF_NULL));
	assert_int_equal(df_path_read(path, root, &arena, &v), 0);
	assert_null(v);
	df_arena_done(&arena);
	free(key);
	free(pattern);
}

static void reads_nested_hashes_in_deep_documents(void **state)
{
	char *text = repeat("#.", 255, "#");
	char *closing = repeat("]", 900, "");
	char *doc = repeat("[", 900, closing);
	df_cleanup(df_path_freep) struct df_path *path = compile(text, DF_PATH_READING);
	struct df_arena arena = { 0 };
	struct df_value *v = NULL;

	(void)state;
	df_arena_init(&arena, NULL);
	assert_int_equal(df_path_read(path, parse(doc, &arena), &arena, &v), 0);
	assert_non_null(v);
	assert_int_equal(v->kind, DF_ARRAY);
	df_arena_done(&arena);
	free(text);
	free(closing);
	free(doc);
}

/* ---- meaning --------------------------------------------------------------------------------------------- */

static void compares_by_meaning(void **state)
{
	static const struct {
		const char *a;
		const char *b;
		bool equal;
		bool starts; /* b begins with a */
	} rows[] = {
		{ "$.x", "x", true, true },
		{ "a[0]", "a.0", true, true },
		{ "$[0]", "0", true, true },
		{ "a|b", "a.b", true, true },
		{ "\\a", "a", true, true },
		{ "a.\\0", "a.0", false, false },
		{ "a", "A", false, false },
		{ "a", "a.b", false, true },
		{ "a.b", "a", false, false },
		{ "a", "ab", false, false },
		{ "a*", "a\\*", false, false },
		{ "a*.b", "a*|b", false, false },
		{ "a*|b|c", "a*|b.c", true, true },
		{ "a.#.b", "a[*].b", false, false },
		{ "a.#(b==1)", "a.#(b=1)", true, true },
		{ "a.#(b==1)", "a.#( b == \"1\" )", true, true },
		{ "a.#(b==1)", "a.#($.b==1)", true, true },
		{ "a.#(b==1)", "a.#(b==2)", false, false },
		{ "a.#(b==1)", "a.#(b!=1)", false, false },
		{ "a.#(b==1)", "a.#(c==1)", false, false },
		{ "a.#(b==1)", "a.#(==1)", false, false },
		{ "a.#(b==~true)", "a.#(b==\"~true\")", false, false },
		{ "a.#(b==1)|c", "a.#(b==1).c", true, true },
		{ "a.#(b==1)#|c", "a.#(b==1)#.c", false, false },
		{ "@keys", "@values", false, false },
		{ "@keys|0", "@keys[0]", true, true },
		{ "$", "a", false, true },
		{ "$", "$", true, true },
	};

	(void)state;
	for (size_t i = 0; i < DF_ARRAY_SIZE(rows); i++) {
		df_cleanup(df_path_freep) struct df_path *a = compile(rows[i].a, DF_PATH_READING);
		df_cleanup(df_path_freep) struct df_path *b = compile(rows[i].b, DF_PATH_READING);

		if (df_path_equal(a, b) != rows[i].equal || df_path_equal(b, a) != rows[i].equal ||
		    df_path_starts(b, a) != rows[i].starts)
			fail_msg("%s and %s", rows[i].a, rows[i].b);
		assert_true(df_path_is_root(a) == (strcmp(rows[i].a, "$") == 0));
	}
}

static void tells_its_steps(void **state)
{
	df_cleanup(df_path_freep) struct df_path *path = compile("$.a\\.b[12]|07.\\7.x", DF_PATH_PLAIN);
	static const struct {
		const char *key;
		size_t index;
	} want[] = { { "a.b", SIZE_MAX }, { "12", 12 }, { "07", 7 }, { "7", SIZE_MAX }, { "x", SIZE_MAX } };

	(void)state;
	assert_int_equal(df_path_steps(path), DF_ARRAY_SIZE(want));
	for (size_t i = 0; i < DF_ARRAY_SIZE(want); i++) {
		size_t index = 0;

		assert_true(df_str_equal_c(df_path_step(path, i, &index), want[i].key));
		assert_int_equal(index, want[i].index);
	}
}

/* ---- locating and removing ------------------------------------------------------------------------------- */

static void locates_and_removes(void **state)
{
	static const struct {
		const char *doc;
		const char *path;
		const char *found; /* the values, as an array */
		const char *rest;  /* the document without them */
	} rows[] = {
		{ "{\"a\":1,\"b\":2}", "a", "[1]", "{\"b\":2}" },
		{ "{\"a\":1,\"b\":2}", "b", "[2]", "{\"a\":1}" },
		{ "{\"a\":1,\"b\":2}", "c", "[]", "{\"a\":1,\"b\":2}" },
		{ "{\"a\":1,\"b\":2}", "*", "[1,2]", "{}" },
		{ "{\"a\":{\"b\":1}}", "a.b", "[1]", "{\"a\":{}}" },
		{ "{\"a\":{\"b\":1}}", "a|b", "[1]", "{\"a\":{}}" },
		{ "{\"a\":5}", "a.b", "[]", "{\"a\":5}" },
		{ "{\"ax\":{\"b\":1},\"c\":{\"b\":2},\"ay\":{\"b\":3,\"d\":4},\"az\":{}}", "a*.b", "[1,3]",
		  "{\"ax\":{},\"c\":{\"b\":2},\"ay\":{\"d\":4},\"az\":{}}" },
		{ "{\"a\":[1,2,3]}", "a[1]", "[2]", "{\"a\":[1,3]}" },
		{ "{\"a\":[1,2,3]}", "a.3", "[]", "{\"a\":[1,2,3]}" },
		{ "{\"a\":[1,2,3]}", "a[*]", "[1,2,3]", "{\"a\":[]}" },
		{ "[{\"a\":1},{\"b\":2},{\"a\":3}]", "#.a", "[1,3]", "[{},{\"b\":2},{}]" },
		{ "[{\"a\":1},{\"b\":2},{\"a\":3}]", "[*].a", "[1,3]", "[{},{\"b\":2},{}]" },
		{ "[{\"a\":1},{\"b\":2},{\"a\":3}]", "$[*]", "[{\"a\":1},{\"b\":2},{\"a\":3}]", "[]" },
		{ "[[1,2],[3],4]", "#.0", "[1,3]", "[[2],[],4]" },
		{ "[[1,2],[3],4]", "#[*]", "[1,2,3]", "[[],[],4]" },
		{ "[[1,2],[3],4]", "[*][*]", "[1,2,3]", "[[],[],4]" },
		{ "[1,5,2,6]", "#(>4)", "[5]", "[1,2,6]" },
		{ "[1,5,2,6]", "#(>4)#", "[5,6]", "[1,2]" },
		{ "[5,6,1,7,8]", "#(>4)#", "[5,6,7,8]", "[1]" },
		{ "[1,5,2,6]", "#(>9)#", "[]", "[1,5,2,6]" },
		{ "[{\"a\":1,\"b\":2},{\"a\":1,\"b\":3}]", "#(a==1).b", "[2]", "[{\"a\":1},{\"a\":1,\"b\":3}]" },
		{ "[{\"a\":1,\"b\":2},{\"a\":1,\"b\":3}]", "#(a==1)#.b", "[2,3]", "[{\"a\":1},{\"a\":1}]" },
		{ "[{\"a\":1,\"c\":2},{\"a\":1,\"b\":3}]", "#(a==1).b", "[]", "[{\"a\":1,\"c\":2},{\"a\":1,\"b\":3}]" },
		{ "{\"x\":{\"y\":{\"z\":1}},\"w\":{\"z\":2}}", "*.*.z", "[1]", "{\"x\":{\"y\":{}},\"w\":{\"z\":2}}" },
		{ "{\"0\":1}", "0", "[1]", "{}" },
		{ "{\"0\":1}", "#.a", "[]", "{\"0\":1}" },
		{ "{\"0\":1}", "[*]", "[]", "{\"0\":1}" },
		{ "[1]", "*", "[]", "[1]" },
		{ "[1]", "a", "[]", "[1]" },
		{ "7", "a", "[]", "7" },
		{ "null", "[*]", "[]", "null" },
		{ "{\"a\":null}", "a", "[null]", "{}" },
	};

	(void)state;
	for (size_t i = 0; i < DF_ARRAY_SIZE(rows); i++) {
		df_cleanup(df_path_freep) struct df_path *path = compile(rows[i].path, DF_PATH_LOCATION);
		struct df_places places = { 0 };
		struct df_arena arena = { 0 };
		struct df_value *found;
		struct df_value *root;

		df_arena_init(&arena, NULL);
		root = parse(rows[i].doc, &arena);
		assert_int_equal(df_path_locate(path, root, &arena, &places), 0);
		found = df_value_new(&arena, DF_ARRAY);
		for (size_t k = 0; k < places.count; k++) {
			const struct df_location *place = &places.items[k];

			assert_ptr_equal(place->prev ? place->prev->next : place->container->first, place->value);
			df_array_append(found, df_value_clone(place->value, &arena));
		}
		expect_json(rows[i].path, found, rows[i].found, &arena);
		df_places_remove(&places);
		expect_json(rows[i].path, root, rows[i].rest, &arena);
		df_arena_done(&arena);
	}
}

/* ---- plain paths: get and set ---------------------------------------------------------------------------- */

static void gets_with_parent(void **state)
{
	df_cleanup(df_path_freep) struct df_path *path = compile("a.b[1]", DF_PATH_PLAIN);
	df_cleanup(df_path_freep) struct df_path *missing = compile("a.c", DF_PATH_PLAIN);
	struct df_value *parent = NULL;
	struct df_arena arena = { 0 };
	struct df_value *root;

	(void)state;
	df_arena_init(&arena, NULL);
	root = parse("{\"a\":{\"b\":[1,2]}}", &arena);
	expect_json("value", df_path_get(path, root, &parent), "2", &arena);
	expect_json("parent", parent, "[1,2]", &arena);
	expect_json("value", df_path_get(path, root, NULL), "2", &arena);
	assert_null(df_path_get(missing, root, &parent));
	assert_null(parent);
	df_arena_done(&arena);
}

static void sets(void **state)
{
	static const struct {
		const char *doc;
		const char *path;
		const char *want; /* NULL: fails */
	} rows[] = {
		{ "{}", "a", "{\"a\":9}" },
		{ "{\"a\":1,\"b\":2}", "a", "{\"a\":9,\"b\":2}" },
		{ "{\"a\":1,\"b\":2}", "c", "{\"a\":1,\"b\":2,\"c\":9}" },
		{ "{\"a\":{\"x\":1},\"b\":2}", "a", "{\"a\":9,\"b\":2}" },
		{ "{\"a\":null}", "a", "{\"a\":9}" },
		{ "{\"a\":{\"b\":1}}", "a.b", "{\"a\":{\"b\":9}}" },
		{ "{\"a\":{\"b\":1}}", "a.c", "{\"a\":{\"b\":1,\"c\":9}}" },
		{ "{}", "a.b.c", "{\"a\":{\"b\":{\"c\":9}}}" },
		{ "{}", "a|b", "{\"a\":{\"b\":9}}" },
		{ "{\"a\":null,\"z\":1}", "a.b.c", "{\"a\":{\"b\":{\"c\":9}},\"z\":1}" },
		{ "{\"a\":{\"b\":null}}", "a.b.c", "{\"a\":{\"b\":{\"c\":9}}}" },
		{ "{}", "a[0]", "{\"a\":[9]}" },
		{ "{}", "a.0", "{\"a\":[9]}" },
		{ "{}", "a.0.b", "{\"a\":[{\"b\":9}]}" },
		{ "{}", "a[0][0].b", "{\"a\":[[{\"b\":9}]]}" },
		{ "{}", "a.\\0", "{\"a\":{\"0\":9}}" },
		{ "{\"a\":null}", "a[0]", "{\"a\":[9]}" },
		{ "{\"a\":[1,2]}", "a[0]", "{\"a\":[9,2]}" },
		{ "{\"a\":[1,2]}", "a.1", "{\"a\":[1,9]}" },
		{ "{\"a\":[1,2]}", "a.2", "{\"a\":[1,2,9]}" },
		{ "{\"a\":[1,2]}", "a.2.b", "{\"a\":[1,2,{\"b\":9}]}" },
		{ "{\"a\":[null]}", "a.0.b", "{\"a\":[{\"b\":9}]}" },
		{ "{\"a\":[null]}", "a.0.0", "{\"a\":[[9]]}" },
		{ "{\"a\":[{\"b\":1}]}", "a.0.b", "{\"a\":[{\"b\":9}]}" },
		{ "{\"0\":1}", "0", "{\"0\":9}" },
		{ "{}", "0", "{\"0\":9}" },
		{ "{}", "$[3]", "{\"3\":9}" },
		{ "{}", "[3].x", "{\"3\":{\"x\":9}}" },
		{ "{\"a\":{}}", "a.5", "{\"a\":{\"5\":9}}" },
		{ "{\"a\":{}}", "a[5][0]", "{\"a\":{\"5\":[9]}}" },
		{ "{}", "a\\.b\\*", "{\"a.b*\":9}" },
		/* fails */
		{ "{\"a\":[1,2]}", "a.3", NULL },
		{ "{\"a\":[1,2]}", "a[18446744073709551616]", NULL },
		{ "{\"a\":[1,2]}", "a[3].b", NULL },
		{ "{\"a\":[1,2]}", "a[2][1]", NULL },
		{ "{}", "a[1]", NULL },
		{ "{}", "a.b[1]", NULL },
		{ "{\"a\":null}", "a.1", NULL },
		{ "{\"a\":[null]}", "a.0.1", NULL },
		{ "{\"a\":[1]}", "a.b", NULL },
		{ "{\"a\":[1]}", "a.\\0", NULL },
		{ "{\"a\":[{}]}", "a.b.c", NULL },
		{ "{\"a\":\"x\"}", "a.b", NULL },
		{ "{\"a\":\"\"}", "a.0", NULL },
		{ "{\"a\":5}", "a.b", NULL },
		{ "{\"a\":true}", "a.b.c", NULL },
		{ "{\"a\":false}", "a.0", NULL },
		{ "{\"a\":{\"b\":1}}", "a.b.c.d", NULL },
		{ "{\"a\":[1]}", "a.0.b", NULL },
	};

	(void)state;
	for (size_t i = 0; i < DF_ARRAY_SIZE(rows); i++) {
		df_cleanup(df_path_freep) struct df_path *path = compile(rows[i].path, DF_PATH_PLAIN);
		struct df_error err = DF_ERROR_INIT;
		struct df_arena arena = { 0 };
		struct df_value *root;
		int rc;

		df_arena_init(&arena, NULL);
		root = parse(rows[i].doc, &arena);
		rc = df_path_can_set(path, root, &err);
		expect_json(rows[i].path, root, rows[i].doc, &arena);
		if (rc != (rows[i].want ? 0 : DF_ERR_INVALID_DATA))
			fail_msg("%s in %s: %d %s", rows[i].path, rows[i].doc, rc, err.text);
		err = DF_ERROR_INIT;
		assert_int_equal(df_path_set(path, root, &arena, df_value_int64(&arena, 9), &err), rc);
		expect_json(rows[i].path, root, rows[i].want ? rows[i].want : rows[i].doc, &arena);
		df_arena_done(&arena);
	}
}

static void tells_why_it_cannot_set(void **state)
{
	static const struct {
		const char *doc;
		const char *path;
		const char *text;
	} rows[] = {
		{ "{\"a\":{\"b\":\"x\"}}", "$.a.b.c",
		  "cannot set $.a.b.c: $.a.b is a string, expected an object or array" },
		{ "{\"a\":[1,2]}", "a[3]", "cannot set a[3]: index 3 is past the end of a, which has 2 elements" },
		{ "{\"a\":[1,2]}", "a|b", "cannot set a|b: a is an array and b is no index" },
		{ "{}", "a.b[1]", "cannot set a.b[1]: index 1 is past the end of a.b, which has 0 elements" },
	};

	(void)state;
	for (size_t i = 0; i < DF_ARRAY_SIZE(rows); i++) {
		df_cleanup(df_path_freep) struct df_path *path = compile(rows[i].path, DF_PATH_PLAIN);
		struct df_error err = DF_ERROR_INIT;
		struct df_arena arena = { 0 };

		df_arena_init(&arena, NULL);
		assert_int_equal(df_path_can_set(path, parse(rows[i].doc, &arena), &err), DF_ERR_INVALID_DATA);
		assert_string_equal(err.text, rows[i].text);
		df_arena_done(&arena);
	}
}

/* ---- select ---------------------------------------------------------------------------------------------- */

static void selects(void **state)
{
#define SEL                                                                                                   \
	"{\"id\":1,\"u\":{\"name\":\"n\",\"nick\":\"k\",\"x\":{\"name\":\"m\"}},\"o\":[{\"id\":7,\"t\":[1]}," \
	"{\"id\":8}],\"v\":{\"name\":\"w\"},\"a.b\":2}"
	static const struct {
		const char *path;
		const char *want; /* key=value;... */
	} rows[] = {
		{ "id", "id=1;" },
		{ "$.id", "id=1;" },
		{ "a\\.b", "a.b=2;" },
		{ "zzz", "" },
		{ "u.name", "name=\"n\";" },
		{ "u.n*", "name=\"n\";nick=\"k\";" },
		{ "*.name", "name=\"n\";name=\"w\";" },
		{ "u.*.name", "name=\"m\";" },
		{ "*.n*", "name=\"n\";nick=\"k\";name=\"w\";" },
		{ "o", "o=[{\"id\":7,\"t\":[1]},{\"id\":8}];" },
		{ "o[0]", "0={\"id\":7,\"t\":[1]};" },
		{ "o.1.id", "id=8;" },
		{ "o.#", "o=2;" },
		{ "o[*]", "o=[{\"id\":7,\"t\":[1]},{\"id\":8}];" },
		{ "o.#.id", "id=[7,8];" },
		{ "o.#.id|0", "0=7;" },
		{ "o.#(id==8)", "o={\"id\":8};" },
		{ "o.#(id==8).id", "id=8;" },
		{ "o.#(id>1)#.id", "id=[7,8];" },
		{ "u.@keys", "u=[\"name\",\"nick\",\"x\"];" },
		{ "@keys.0", "0=\"id\";" },
		{ "u.@this.nam?", "name=\"n\";" },
		{ "*.@keys", "u=[\"name\",\"nick\",\"x\"];v=[\"name\"];" },
		{ "o*.#", "o=2;" },
		{ "o*.#.id", "id=[7,8];" },
		{ "o*[1].id", "id=8;" },
		{ "u|n*", "name=\"n\";nick=\"k\";" },
	};

	(void)state;
	for (size_t i = 0; i < DF_ARRAY_SIZE(rows); i++) {
		df_cleanup(df_path_freep) struct df_path *path = compile(rows[i].path, DF_PATH_READING);
		struct df_error err = DF_ERROR_INIT;
		struct df_selected *items = NULL;
		struct df_arena arena = { 0 };
		struct df_buf got = { 0 };
		size_t count = 0;

		df_arena_init(&arena, NULL);
		assert_int_equal(df_path_check_select(path, &err), 0);
		assert_int_equal(df_path_select(path, parse(SEL, &arena), &arena, &items, &count), 0);
		for (size_t k = 0; k < count; k++) {
			df_buf_add_str(&got, items[k].key);
			df_buf_add_char(&got, '=');
			df_value_write(items[k].value, &got);
			df_buf_add_char(&got, ';');
		}
		assert_string_equal(df_buf_c(&got), rows[i].want);
		df_buf_done(&got);
		df_arena_done(&arena);
	}
}

static void refuses_to_select(void **state)
{
	static const struct refusal rows[] = {
		{ "$", 1 },	   { "#", 1 },	    { "[*]", 1 },	{ "@keys", 1 },	       { "#(a==1)", 1 },
		{ "#(a==1)#", 1 }, { "a.#.b*", 5 }, { "a[*].*", 6 },	{ "a.#(b==1).*", 11 }, { "#(b==1)#.?", 10 },
		{ "a.*|b", 4 },	   { "a*.b|c", 5 }, { "a.#.b|0.*", 9 },
	};

	(void)state;
	for (size_t i = 0; i < DF_ARRAY_SIZE(rows); i++) {
		df_cleanup(df_path_freep) struct df_path *path = compile(rows[i].path, DF_PATH_READING);
		struct df_error err = DF_ERROR_INIT;

		if (df_path_check_select(path, &err) == 0)
			fail_msg("%s can be selected", rows[i].path);
		expect_column(rows[i].path, &err, rows[i].column);
	}
}

/* ---- within conditions ----------------------------------------------------------------------------------- */

static void scans_conditions(void **state)
{
	static const struct {
		const char *text;
		const char *path; /* NULL: error in `column` */
		size_t column;
	} rows[] = {
		{ "a", "a", 0 },
		{ "a == 1", "a", 0 },
		{ "a==1", "a", 0 },
		{ "a!=1", "a", 0 },
		{ "a<1", "a", 0 },
		{ "a <= 1", "a", 0 },
		{ "a>1", "a", 0 },
		{ "a>=1", "a", 0 },
		{ "a=~'x'", "a", 0 },
		{ "a !~ 'x'", "a", 0 },
		{ "a && b", "a", 0 },
		{ "a||b", "a", 0 },
		{ "a) && b", "a", 0 },
		{ "a b \t c  == 1", "a b \t c", 0 },
		{ "a\\ == 1", "a\\ ", 0 },
		{ "a\\ \\  == 1", "a\\ \\ ", 0 },
		{ "a\\\\ == 1", "a\\\\", 0 },
		{ "a|b == 1", "a|b", 0 },
		{ "a\\||b", "a\\||b", 0 },
		{ "a&b == 1", "a&b", 0 },
		{ "a\\&& b == 1", "a\\&& b", 0 },
		{ "a!b == 1", "a!b", 0 },
		{ "a\\=b == 1", "a\\=b", 0 },
		{ "a\\'\\\"\\( == 1", "a\\'\\\"\\(", 0 },
		{ "a\\)b", "a\\)b", 0 },
		{ "a\\<b", "a\\<b", 0 },
		{ "a.#(b==1 && \"c)\").d == 2", "a.#(b==1 && \"c)\").d", 0 },
		{ "#(b='x').c>1", "#(b='x').c", 0 },
		{ "a.#(b.#(=='x'))# == 1", "a.#(b.#(=='x'))#", 0 },
		{ "$.a == 1", "$.a", 0 },
		{ "a.$ == 1", "a.$", 0 },
		{ "a$b", "a$b", 0 },
		{ "a \\$b", "a \\$b", 0 },
		{ "a\\ $b", "a\\ $b", 0 },
		{ "a%b", "a%b", 0 },
		{ "", "", 0 },
		{ "== 1", "", 0 },
		{ "a = 1", NULL, 3 },
		{ "a='x'", NULL, 2 },
		{ "a 'x'", NULL, 3 },
		{ "a \"x\"", NULL, 3 },
		{ "a (b)", NULL, 3 },
		{ "a#(b)", NULL, 3 },
		{ "a $.b == 1", NULL, 3 },
		{ "a AND\t $b", NULL, 8 },
		{ "a.#(b==1", NULL, 4 },
		{ "a.#(b==\"1)", NULL, 8 },
		{ "a\\", NULL, 2 },
		{ "a.@flatten:{\"deep\":true}", NULL, 13 },
	};

	(void)state;
	for (size_t i = 0; i < DF_ARRAY_SIZE(rows); i++) {
		struct df_error err = DF_ERROR_INIT;
		size_t len = SIZE_MAX;
		int rc = df_path_scan(df_str_c(rows[i].text), &len, &err);

		if (!rows[i].path) {
			if (rc == 0)
				fail_msg("%s: no error", rows[i].text);
			expect_column(rows[i].text, &err, rows[i].column);
		} else if (rc || !df_str_equal_c(df_str(rows[i].text, len), rows[i].path)) {
			fail_msg("%s: %s %zu", rows[i].text, err.text, len);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_names),
		cmocka_unit_test(reads_indices),
		cmocka_unit_test(reads_wildcards),
		cmocka_unit_test(reads_collections),
		cmocka_unit_test(reads_queries),
		cmocka_unit_test(reads_tilde),
		cmocka_unit_test(reads_modifiers),
		cmocka_unit_test(reads_nothing_from_fromstr_too_deep),
		cmocka_unit_test(refuses),
		cmocka_unit_test(refuses_for_locations),
		cmocka_unit_test(refuses_for_plain),
		cmocka_unit_test(bounds_what_it_compiles),
		cmocka_unit_test(matches_many_stars_quickly),
		cmocka_unit_test(reads_nested_hashes_in_deep_documents),
		cmocka_unit_test(compares_by_meaning),
		cmocka_unit_test(tells_its_steps),
		cmocka_unit_test(locates_and_removes),
		cmocka_unit_test(gets_with_parent),
		cmocka_unit_test(sets),
		cmocka_unit_test(tells_why_it_cannot_set),
		cmocka_unit_test(selects),
		cmocka_unit_test(refuses_to_select),
		cmocka_unit_test(scans_conditions),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

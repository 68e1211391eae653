/* jq: docs/reference/transformation-jq.md. Built and run when libjq is there. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "transform_test.h"

#define JQ(program) "{type: jq, config: {program: '" program "'}}"
#define JQ_WITH(program, more) "{type: jq, config: {program: '" program "', " more "}}"

static void runs_programs(void **state)
{
	static const struct transform_case cases[] = {
		{ .config = JQ("."), .in = " { \"b\" : 1, \"a\" : [ ] } ", .want = { "{\"b\":1,\"a\":[]}" } },
		{ .config = JQ("{id, n: (.a + 1)}"),
		  .in = "{\"id\":\"x\",\"a\":2}",
		  .want = { "{\"id\":\"x\",\"n\":3}" } },
		{ .config = JQ("def f: . * 2; .a |= f"), .in = "{\"a\":2}", .want = { "{\"a\":4}" } },
		{ .config = JQ("1, 2 | . + 1"), .in = "null", .want = { "2", "3" } },
		{ .config = JQ("-. # a comment"), .in = "1", .want = { "-1" } },
		{ .config = JQ(". as [$a, {b: $c}] | $a + $c"), .in = "[1,{\"b\":2}]", .want = { "3" } },
		{ .config = JQ("reduce .[] as $x (0; . + $x)"), .in = "[1,2,3]", .want = { "6" } },
		{ .config = JQ("label $out | foreach .[] as $x (0; . + $x; if . > 2 then ., break $out else . end)"),
		  .in = "[1,2,3]",
		  .want = { "1", "3" } },
		{ .config = JQ(".[0] as [$a] ?// $a | $a"), .in = "[5]", .want = { "5" } },
		{ .config = JQ("first(.[]), isempty(.[]), [limit(2; .[])]"),
		  .in = "[7,8,9]",
		  .want = { "7", "false", "[7,8]" } },
		{ .config = JQ("test(\"^a+$\"), gsub(\"a\"; \"b\"), ascii_upcase"),
		  .in = "\"aa\"",
		  .want = { "true", "\"bb\"", "\"AA\"" } },
		{ .config = JQ("todate"), .in = "0", .want = { "\"1970-01-01T00:00:00Z\"" } },
		{ .config = JQ("try error(\"x\") catch ., (try error({a: 1}) catch .a), [.[]?], (.a? // 2)"),
		  .in = "1",
		  .want = { "\"x\"", "1", "[]", "2" } },
		{ .config = JQ(".[] | ltrimstr(\"a\"), rtrimstr(\"b\")"),
		  .in = "[\"ab\",1]",
		  .want = { "\"b\"", "\"a\"", "1", "1" } },
		{ .config = JQ("ltrimstr(1, \"a\"), rtrimstr(1)"),
		  .in = "\"ab\"",
		  .want = { "\"ab\"", "\"b\"", "\"ab\"" } },
		/* Every kind of payload, and what JSON can say in a text. */
		{ .config = JQ("type"), .in = "true", .want = { "\"boolean\"" } },
		{ .config = JQ("not"), .in = "true", .want = { "false" } },
		{ .config = JQ("., length"),
		  .in = "\"\\u00e9\\ud83d\\ude00\\n\\u0000\\\"\"",
		  .want = { "\"\u00e9\U0001F600\\n\\u0000\\\"\"", "5" } },
		{ .config = JQ("keys"), .in = "{\"\\u0062\":1,\"a\":2}", .want = { "[\"a\",\"b\"]" } },
		{ .config = JQ("."), .in = "{\"\\\"\\u0000\":{}}", .want = { "{\"\\\"\\u0000\":{}}" } },
		/* Nothing to look at. */
		{ .config = JQ("1"), .in = NULL, .want = { "" } },
		{ .config = JQ("1"), .in = "{\"a\":", .want = { "{\"a\":" } },
	};

	(void)state;
	transform_check(cases, DF_ARRAY_SIZE(cases));
}

/* More keys than are kept, equal hashes included. */
static void keeps_keys_apart(void **state)
{
	struct transform_test t;
	struct df_batch *batch;

	(void)state;
	transform_test_open(&t, JQ("."));
	batch = df_batch_new(t.pool);
	for (int round = 0; round < 3; round++) {
		char in[64];

		for (int i = 0; i < 2000; i++) {
			snprintf(in, sizeof(in), "{\"k%d\":%d,\"k%d\":[{\"id\":0,\"\":1}]}", i, i, i * 7 + 1);
			transform_test_add(batch, in, NULL);
		}
	}
	transform_test_run(&t, batch, 0);
	assert_int_equal(batch->count, 6000);
	for (int k = 0; k < 6000; k++) {
		char want[64];
		struct df_str out;

		snprintf(want, sizeof(want), "{\"k%d\":%d,\"k%d\":[{\"id\":0,\"\":1}]}", k % 2000, k % 2000,
			 k % 2000 * 7 + 1);
		assert_int_equal(df_message_payload(&batch->messages[k], &batch->arena, &out), 0);
		if (!df_str_equal_c(out, want))
			fail_msg("wanted: %s\ngot:    " DF_STR_FMT, want, DF_STR_ARG(out));
	}
	df_batch_free(batch);
	transform_test_close(&t);
}

static void makes_any_number_of_messages(void **state)
{
	static const struct transform_case cases[] = {
		{ .config = JQ(".[]"), .in = "[1,[2],{\"a\":null}]", .want = { "1", "[2]", "{\"a\":null}" } },
		{ .config = JQ("empty"), .in = "1", .drop = true },
		{ .config = JQ(".[]"), .in = "[]", .drop = true },
		{ .config = JQ("select(.a > 1)"), .in = "{\"a\":1}", .drop = true },
		{ .config = JQ("select(.a > 1)"), .in = "{\"a\":2}", .want = { "{\"a\":2}" } },
		{ .config = JQ(".[]"), .in = "[1,2]", .meta = "{\"topic\":\"t\"}", .want = { "1", "2" } },
		{ .config = "[" JQ(".[]") "," JQ("select(. > 1) | ., . * 10") "]",
		  .in = "[1,2,3]",
		  .want = { "2", "20", "3", "30" } },
		/* All of it or nothing. */
		{ .config = JQ("1, 2, error(\"no\")"), .in = "{ \"a\": 1 }", .error = "the program failed: no" },
	};

	(void)state;
	transform_check(cases, DF_ARRAY_SIZE(cases));
}

static void knows_the_metadata(void **state)
{
	static const struct transform_case cases[] = {
		{ .config = JQ(".topic = $metadata.topic"),
		  .in = "{}",
		  .meta = "{\"topic\":\"t\",\"offset\":5}",
		  .want = { "{\"topic\":\"t\"}" } },
		{ .config = JQ("$metadata"), .in = "1", .want = { "{}" } },
		{ .config = JQ("def f: $ metadata.n + 1; f"), .in = "1", .meta = "{\"n\":1}", .want = { "2" } },
		{ .config = JQ("[paths]"), .in = "{\"metadata\":1}", .want = { "[[\"metadata\"]]" } },
		{ .config = JQ("$metadata.a, .a"),
		  .in = "{\"a\":1}",
		  .meta = "{\"a\":9007199254740993}",
		  .error = "`.a` of the metadata is a number that jq would change" },
		/* Not looked at. */
		{ .config = JQ(".a"), .in = "{\"a\":1}", .meta = "{\"a\":9007199254740993}", .want = { "1" } },
	};

	(void)state;
	transform_check(cases, DF_ARRAY_SIZE(cases));
}

static void refuses_numbers_that_jq_changes(void **state)
{
	static const struct transform_case cases[] = {
		{ .config = JQ("."),
		  .in = "9007199254740993",
		  .error = "`.` of the payload is a number that jq would change" },
		{ .config = JQ("1"),
		  .in = "{\"a\":{\"b\":[0,1e400]}}",
		  .error = "`.a.b[1]` of the payload is a number" },
		{ .config = JQ("1"), .in = "[[-1e400]]", .error = "`.[0][0]` of the payload is a number" },
		{ .config = JQ("1"), .in = "1e-400", .error = "allowLossy" },
		{ .config = JQ("1"), .in = "0.1000000000000000055511151231257827", .error = "allowLossy" },
		{ .config = JQ("1"), .in = "123456789012345678", .error = "allowLossy" },
		{ .config = JQ("1"),
		  .in = "1152921504606846976",
		  .error = "allowLossy" }, /* 2^60: shortest is another */
		/* Keys that may be data are not shown. */
		{ .config = JQ("1"), .in = "{\"a@b.c\":1e400}", .error = "`.[?]` of the payload" },
		{ .config = JQ("1"), .in = "{\"a\":{\"4711\":1e400}}", .error = "`.a[?]` of the payload" },
		/* The value counts, not its text. */
		{ .config = JQ("."), .in = "[0.1,1.10,1e2,-0.0,0e999]", .want = { "[0.1,1.1,100,-0,0]" } },
		{ .config = JQ("."), .in = "9007199254740992", .want = { "9007199254740992" } },
		{ .config = JQ("."), .in = "-9007199254740994", .want = { "-9007199254740994" } },
		{ .config = JQ("."), .in = "1.7976931348623157e308", .want = { "1.7976931348623157e+308" } },
		{ .config = JQ("."), .in = "5e-324", .want = { "5e-324" } },
		{ .config = JQ("."), .in = "1000000000000000000000", .want = { "1e+21" } },
		{ .config = JQ("."), .in = "0.30000000000000004", .want = { "0.30000000000000004" } },
		/* Results. */
		{ .config = JQ("nan"), .in = "1", .error = "not finite" },
		{ .config = JQ("[infinite]"), .in = "1", .error = "not finite" },
		{ .config = JQ(".[0] / .[1]"),
		  .in = "[1,0]",
		  .error = "cannot be divided because the divisor is zero" },
		/* On request. */
		{ .config = JQ_WITH(".", "allowLossy: true"),
		  .in = "[9007199254740993,1e400,-1e400]",
		  .want = { "[9007199254740992,1.7976931348623157e+308,-1.7976931348623157e+308]" } },
		{ .config = JQ_WITH("nan", "allowLossy: true"), .in = "1", .want = { "null" } },
		/* Texts. */
		{ .config = JQ("."), .in = "{\"a\":\"\\ud800\"}", .error = "`.a` of the payload is a text with half" },
		{ .config = JQ("."), .in = "{\"\\udc00\":1}", .error = "`.[?]` of the payload is a text with half" },
		{ .config = JQ_WITH(".", "allowLossy: true"), .in = "\"\\ud800\"", .want = { "\"\xef\xbf\xbd\"" } },
	};

	(void)state;
	transform_check(cases, DF_ARRAY_SIZE(cases));
}

static void tells_errors_without_data(void **state)
{
	static const struct transform_case cases[] = {
		{ .config = JQ(".a + 1"), .in = "{\"a\":\"x\"}", .error = "failed: string and number cannot be added" },
		{ .config = JQ(".a.b"), .in = "{\"a\":1}", .error = "failed: cannot index number with string" },
		{ .config = JQ(".a[0]"), .in = "{\"a\":{}}", .error = "failed: cannot index object with number" },
		{ .config = JQ(".a[]"), .in = "{\"a\":\"x\"}", .error = "failed: cannot iterate over string" },
		{ .config = JQ("{(.a): 1}"), .in = "{\"a\":[]}", .error = "failed: cannot use array as object key" },
		{ .config = JQ("keys"), .in = "1", .error = "failed: number has no keys" },
		{ .config = JQ("tonumber"), .in = "\"x\"", .error = "failed: a text is not valid JSON or no number" },
		{ .config = JQ("strptime(\"%Y\")"),
		  .in = "\"x\"",
		  .error = "failed: a date does not match the format" },
		{ .config = JQ("format(.)"), .in = "\"x\"", .error = "failed: a text is not a valid format" },
		{ .config = JQ("test(\"x\"; .)"),
		  .in = "\"y\"",
		  .error = "failed: a text is not a valid modifier string" },
		{ .config = JQ("@csv"), .in = "{}", .error = "failed: object cannot be csv-formatted, only array" },
		{ .config = JQ("error(\"no id\")"), .in = "1", .error = "failed: no id" },
		{ .config = JQ("error({a: .})"), .in = "1", .error = "with a value that is no text (object)" },
		{ .config = JQ("error(null)"), .in = "1", .error = "error(null)" },
		{ .config = JQ("error"), .in = "null", .error = "error(null)" },
		{ .config = JQ("test(\"(\")"), .in = "\"x\"", .error = "not a valid regular expression" },
		{ .config = JQ("test(\"^(a+)+$\")"),
		  .in = "\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab\"",
		  .error = "takes too many steps" },
	};

	(void)state;
	transform_check(cases, DF_ARRAY_SIZE(cases));
}

static int keep_error(void *arg, struct df_message *m, size_t transformer, const struct df_error *err)
{
	(void)m;
	(void)transformer;
	*(struct df_error *)arg = *err;
	return 0;
}

/* Whatever the program makes of the payload, the error does not have it. */
static void never_shows_the_payload(void **state)
{
	static const char *const programs[] = {
		"error(.)",
		"error(.a)",
		".a + 1",
		".a.b",
		".[0]",
		".a[]",
		"{(.): 1}",
		".a | tonumber",
		".a | fromjson",
		".a | strptime(\"%Y\")",
		"getpath([\"a\", .a])",
		"has(1)",
		".a as [$x] | $x",
		"error(\"prefix \" + .a)",
		"error(\"\\(.a)\")",

		".a | test(\"x\"; .)",

		".a |= .b",
		".a[1:] = 1",
		"del(.a.b)",
		"[.a] | implode",
		".a | mktime",
		".a | splits(1)",
		"delpaths(.a)",
		"setpath(.a; 1)",
		"error({a})",
		". - 1",
		"limit(.a; 1) | error",
		"ltrimstr(1) | .[0]",
		"format(.a)",
		"@csv",
		"[[.]] | @csv",
		".[] | @sh \"\\([{a: .}])\"",
		"error(\"string (\" + .a + \") and \" + .a + \" has no keys\")",
		"error(\"Cannot index \" + .a)",
		"error(\"Cannot index number with \" + .a)",
		"error(\"a\\\\n\" + .a)",
	};

	(void)state;
	for (size_t i = 0; i < DF_ARRAY_SIZE(programs); i++) {
		char config[256];
		struct transform_test t;
		struct df_error err = DF_ERROR_INIT;
		const struct df_chain_events events = { .arg = &err, .failed = keep_error };

		snprintf(config, sizeof(config), "{type: jq, config: {program: '%s'}}", programs[i]);
		transform_test_open(&t, config);
		struct df_batch *batch = df_batch_new(t.pool);
		transform_test_add(batch, "{\"a\":\"hush\"}", NULL);
		assert_int_equal(df_chain_run(t.chain, batch, &events, NULL), 0);
		if (err.code != DF_ERR_INVALID_DATA || strstr(err.text, "hu") || strchr(err.text, '\n'))
			fail_msg("%s\n%d: %s", programs[i], err.code, err.text);
		df_batch_free(batch);
		transform_test_close(&t);
	}
}

static void keeps_its_limits(void **state)
{
	static const struct transform_case cases[] = {
		{ .config = JQ_WITH("def f: f; f", "timeout: 20ms"),
		  .in = "1",
		  .error = "longer than timeout (0.02 s)" },
		{ .config = JQ_WITH("last(range(1e12))", "timeout: 20ms"), .in = "1", .error = "longer than timeout" },
		{ .config = JQ_WITH("try last(repeat(1)) catch 2", "timeout: 20ms"),
		  .in = "1",
		  .error = "longer than timeout" },
		{ .config = JQ_WITH("def f: [f]; f", "timeout: 20ms"), .in = "1", .error = "longer than timeout" },
		{ .config = JQ_WITH("gsub(\"\"; \"b\")", "timeout: 20ms"),
		  .in = "\"a\"",
		  .error = "longer than timeout" },
		{ .config = JQ_WITH("range(4)", "maxOutputs: 4"), .in = "1", .want = { "0", "1", "2", "3" } },
		{ .config = JQ_WITH("range(5)", "maxOutputs: 4"),
		  .in = "1",
		  .error = "more than maxOutputs (4) results" },
		{ .config = JQ_WITH("repeat(1)", "maxOutputs: 4"),
		  .in = "1",
		  .error = "more than maxOutputs (4) results" },
		{ .config = JQ_WITH("[range(100)]", "maxOutputBytes: 1024"), .in = "1", .error = "maxOutputBytes" },
		{ .config = JQ_WITH("range(100)", "maxOutputBytes: 1024"), .in = "1", .error = "maxOutputBytes" },
		{ .config = JQ_WITH("{(\"a\" * 1000): 1}", "maxOutputBytes: 1024"),
		  .in = "1",
		  .error = "maxOutputBytes" },
		{ .config = JQ_WITH("\"a\" * 900 | length, 1", "maxOutputBytes: 1024"),
		  .in = "1",
		  .want = { "900", "1" } },
		{ .config = JQ("reduce range(1001) as $i (1; [.])"),
		  .in = "1",
		  .error = "nests deeper than 1000 levels" },
		{ .config = JQ("reduce range(1000) as $i (1; [.]) | flatten"), .in = "1", .want = { "[1]" } },
	};

	(void)state;
	transform_check(cases, DF_ARRAY_SIZE(cases));
}

/* A program that was ended is as good as new for the next message, and a slow one is not ended early. */
static void goes_on_after_the_time_limit(void **state)
{
	struct transform_test t;

	(void)state;
	transform_test_open(&t, JQ_WITH("if . == 0 then last(repeat(1)) else [., 1] end", "timeout: 500ms"));
	for (int round = 0; round < 3; round++) {
		struct df_batch *batch = df_batch_new(t.pool);
		struct df_str out;

		usleep(round == 1 ? 750000 : 0); /* the watch falls asleep, or not */
		transform_test_add(batch, "1", NULL);
		transform_test_add(batch, "0", NULL);
		transform_test_add(batch, "2", NULL);
		transform_test_run(&t, batch, 1);
		assert_int_equal(batch->count, 2);
		assert_int_equal(df_message_payload(&batch->messages[1], &batch->arena, &out), 0);
		assert_true(df_str_equal_c(out, "[2,1]"));
		df_batch_free(batch);
	}
	transform_test_close(&t);
}

/* HOME has a .jq that would change what programs mean (see main). */
static void reads_no_files(void **state)
{
	static const struct transform_case cases[] = {
		{ .config = JQ("map(. + 1)"), .in = "[1]", .want = { "[2]" } },
		{ .config = JQ("$ENV, ($ #\n\nENV)"), .in = "1", .want = { "{}", "{}" } },
		{ .config = JQ("def f: $ENV.HOME; f"), .in = "1", .want = { "null" } },
	};
	static const struct transform_config_case configs[] = {
		{ JQ("stolen"), "spec.transformations[0].config.program: line 1: stolen/0 is not defined" },
		{ JQ("import \"a\" as a; ."), "line 1: modules are not available" },
		{ JQ("import \"a\" as $a; ."), "line 1: modules are not available" },
		{ JQ("include \"a\"; ."), "line 1: modules are not available" },
		{ JQ("\"a\" | modulemeta"), "`modulemeta` is not available" },
		{ JQ("env"), "`env` is not available" },
		{ JQ("def f(g): g; f(env.HOME)"), "`env` is not available" },
		{ JQ("\"\\(env)\""), "`env` is not available" },
		{ JQ("input"), "`input` is not available" },
		{ JQ("[inputs]"), "`inputs` is not available" },
		{ JQ("_input"), "`_input` is not available" },
		{ JQ("debug"), "`debug` is not available" },
		{ JQ("stderr"), "`stderr` is not available" },
		{ JQ("halt"), "`halt` is not available" },
		{ JQ("halt_error"), "`halt_error` is not available" },
		{ JQ("halt_error(1)"), "`halt_error` is not available" },
		{ JQ("input_filename"), "`input_filename` is not available" },
		{ JQ("input_line_number"), "`input_line_number` is not available" },
		{ JQ("get_search_list"), "`get_search_list` is not available" },
		/* Names of fields and own definitions are free. */
		{ JQ(".env, {input: .halt}, .debug.stderr"), NULL },
		{ JQ("def input: 1; input"), NULL },
	};

	(void)state;
	transform_check(cases, DF_ARRAY_SIZE(cases));
	transform_check_config(configs, DF_ARRAY_SIZE(configs));
}

static void refuses_bad_settings(void **state)
{
	static const struct transform_config_case cases[] = {
		{ "{type: jq}", "spec.transformations[0].config: required" },
		{ "{type: jq, config: {program: ' '}}", "spec.transformations[0].config.program: " },
		{ JQ(".["), "spec.transformations[0].config.program: line 1: syntax error, unexpected $end\n" },
		{ "{type: jq, config: {program: \".a\\n| foo\\n\"}}",
		  "spec.transformations[0].config.program: line 2: foo/0 is not defined\n" },
		{ JQ("$x"), "spec.transformations[0].config.program: line 1: $x is not defined" },
		{ JQ("."
		     ") | (."),
		  "spec.transformations[0].config.program: line 1: syntax error" },
		{ "{type: jq, jq: {program: '}'}}", "spec.transformations[0].jq.program: line 1: syntax error" },
		{ JQ_WITH(".", "timeout: 0s"), "spec.transformations[0].config.timeout: " },
		{ JQ_WITH(".", "maxOutputs: 0"), "spec.transformations[0].config.maxOutputs: " },
		{ JQ_WITH(".", "maxOutputBytes: 1"), "spec.transformations[0].config.maxOutputBytes: " },
		{ JQ_WITH(".", "allowLosy: true"), "spec.transformations[0].config.allowLosy: " },
	};

	(void)state;
	transform_check_config(cases, DF_ARRAY_SIZE(cases));
}

static void has_an_example(void **state)
{
	(void)state;
	transform_check_example("jq");
}

/* A HOME with definitions in .jq. */
static int make_home(void **state)
{
	static char dir[] = "/tmp/test_jq_XXXXXX";
	char path[64];

	if (!mkdtemp(dir))
		return -1;
	snprintf(path, sizeof(path), "%s/.jq", dir);
	FILE *f = fopen(path, "w");
	if (!f)
		return -1;
	fputs("def stolen: 1; def map(f): \"stolen\";\n", f);
	fclose(f);
	*state = dir;
	return setenv("HOME", dir, 1);
}

static int remove_home(void **state)
{
	char path[64];

	snprintf(path, sizeof(path), "%s/.jq", (const char *)*state);
	unlink(path);
	return rmdir(*state);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(runs_programs),
		cmocka_unit_test(keeps_keys_apart),
		cmocka_unit_test(makes_any_number_of_messages),
		cmocka_unit_test(knows_the_metadata),
		cmocka_unit_test(refuses_numbers_that_jq_changes),
		cmocka_unit_test(tells_errors_without_data),
		cmocka_unit_test(never_shows_the_payload),
		cmocka_unit_test(keeps_its_limits),
		cmocka_unit_test(goes_on_after_the_time_limit),
		cmocka_unit_test(reads_no_files),
		cmocka_unit_test(refuses_bad_settings),
		cmocka_unit_test(has_an_example),
	};

	return cmocka_run_group_tests(tests, make_home, remove_home);
}

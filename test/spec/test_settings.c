/* Field tables: every type of row parsed, refused, written back and freed. */
#include "support.h"

#include "spec/spec.h"

/* ---- a table with every type ----------------------------------------------------------------------------- */

struct inner {
	char *text;
	int32_t number;
};

static const struct df_field inner_fields[] = {
	DF_FIELD(struct inner, text, "text", DF_REQUIRED),
	DF_FIELD(struct inner, number, "number", 0, .def = "7", .min = 1, .max = 10),
};
static const struct df_table inner_table = DF_TABLE(struct inner, inner_fields);

struct all {
	char *text, *format, *path, *kept, *hidden, *old;
	struct df_secret secret, password, odd;
	bool flag;
	int32_t number, small;
	int64_t big;
	struct df_opt_bool opt_flag;
	struct df_opt_int opt_number;
	struct df_opt_int64 opt_big;
	struct df_duration wait;
	struct df_strings list, words;
	struct df_secret_strings brokers;
	struct df_secret_ref *ca;
	struct df_pairs pairs;
	struct df_object object;
	struct df_objects objects;
	struct df_raw raw, unused;
};

static const char *const formats[] = { "json", "avro", NULL };
static const char *const casts[] = { "string", "int64", NULL };

static const struct df_field all_fields[] = {
	DF_FIELD(struct all, text, "text", DF_NO_BLANK, .def = "abc"),
	DF_FIELD(struct all, format, "format", DF_ANY_CASE, .def = "json", .values = formats),
	DF_FIELD(struct all, path, "path", 0, .check = df_check_identifier),
	DF_FIELD(struct all, kept, "kept", DF_KEEP_EMPTY, .def = "."),
	DF_FIELD(struct all, hidden, "hidden", DF_SENSITIVE, .check = df_check_identifier),
	DF_FIELD(struct all, old, "old", DF_DEPRECATED, .doc = "Use `text`."),
	DF_FIELD(struct all, secret, "secret", 0, .check = df_check_identifier),
	DF_FIELD(struct all, password, "password", DF_SENSITIVE),
	DF_FIELD(struct all, odd, "bearer", 0, .ref = "tokenSecretRef"),
	DF_FIELD(struct all, odd, "bearerOld", 0, .alias_of = "bearer"),
	DF_FIELD(struct all, flag, "flag", 0, .def = "true"),
	DF_FIELD(struct all, number, "number", 0, .def = "5", .min = 1, .max = INT32_MAX),
	DF_FIELD(struct all, small, "small", 0, .min = 1, .max = 64, .def = "1"),
	DF_FIELD(struct all, big, "big", 0),
	DF_FIELD(struct all, opt_flag, "optFlag", 0),
	DF_FIELD(struct all, opt_number, "optNumber", 0, .min = 0, .max = INT32_MAX),
	DF_FIELD(struct all, opt_big, "optBig", 0),
	DF_FIELD(struct all, wait, "wait", 0, .def = "30s", .min = 1, .max = INT64_MAX),
	DF_FIELD(struct all, list, "list", DF_NO_BLANK, .check = df_check_identifier),
	DF_FIELD(struct all, words, "words", 0, .def = "a, b"),
	DF_FIELD(struct all, brokers, "brokers", 0, .check = df_check_host_port),
	DF_FIELD(struct all, ca, "caSecretRef", 0),
	DF_FIELD(struct all, pairs, "pairs", 0, .check = df_check_identifier),
	DF_FIELD(struct all, object, "object", 0, .table = &inner_table),
	DF_FIELD(struct all, objects, "objects", 0, .table = &inner_table),
	DF_FIELD(struct all, raw, "raw", 0),
	DF_FIELD(struct all, unused, "unused", DF_IGNORED, .doc = "The pod has its own."),
};
static const struct df_table all_table = DF_TABLE(struct all, all_fields);

struct needed {
	char *text;
	struct df_secret secret;
	struct df_strings list;
	struct df_secret_strings brokers;
	struct df_pairs pairs;
	struct df_objects objects;
	struct df_object object;
	struct df_secret_ref *ref;
};

static const struct df_field needed_fields[] = {
	DF_FIELD(struct needed, text, "text", DF_REQUIRED, .example = "abc"),
	DF_FIELD(struct needed, secret, "secret", DF_REQUIRED),
	DF_FIELD(struct needed, list, "list", DF_REQUIRED),
	DF_FIELD(struct needed, brokers, "brokers", DF_REQUIRED, .example = "[\"localhost:9092\"]"),
	DF_FIELD(struct needed, pairs, "pairs", DF_REQUIRED, .values = casts),
	DF_FIELD(struct needed, objects, "objects", DF_REQUIRED, .table = &inner_table),
	DF_FIELD(struct needed, object, "object", DF_REQUIRED, .table = &inner_table),
	DF_FIELD(struct needed, ref, "caSecretRef", DF_REQUIRED),
};
static const struct df_table needed_table = DF_TABLE(struct needed, needed_fields);

/* ---- a store of secrets
 * ---------------------------------------------------------------------------------------------- */

static int get_secret(const struct df_secrets *self, const struct df_secret_ref *ref, char **ret, struct df_error *err)
{
	static const char *const values[][2] = {
		{ "id", "token\n" },	{ "two", "x\n\n" },	{ "brokers", " a:1 ,,b:2,\n" },
		{ "bad", "not an id" }, { "badlist", "a:1,b" }, { "commas", " , ," },
		{ "newline", "\n" },
	};

	(void)self;
	for (size_t i = 0; i < DF_ARRAY_SIZE(values); i++) {
		if (strcmp(ref->key, values[i][0]) == 0) {
			*ret = strdup(values[i][1]);
			return *ret ? 0 : df_error_no_memory(err);
		}
	}
	return df_error_set(err, DF_ERR_CONFIG, "Secret \"%s\", key \"%s\": not found", ref->name, ref->key);
}

static const struct df_secrets secrets = { get_secret };

/* Parses `text`, whose first line is line 1, as spec.config; the problems, or the written settings when there is none.
 */
static char *outcome(const struct df_table *table, const char *text, const struct df_secrets *with, bool warn)
{
	struct df_parse_options options = {
		.file = "flow.yaml", .path = "config", .secrets = with, .unknown_keys_warn = warn
	};
	struct df_arena arena;
	struct df_diags diags = { 0 };
	struct df_buf buf = { 0 };
	void *settings = malloc(table->size);

	assert_non_null(settings);
	df_arena_init(&arena, NULL);
	df_settings_parse(table, read_one(text, &arena), &options, settings, &diags);
	df_diags_print(&diags, &buf);
	if (diags.errors == 0)
		df_settings_write(table, settings, &buf);
	df_settings_done(table, settings);
	free(settings);
	df_diags_done(&diags);
	df_arena_done(&arena);
	char *ret = strdup(df_buf_c(&buf));
	df_buf_done(&buf);
	assert_non_null(ret);
	return ret;
}

struct example {
	const char *text;
	const char *want;
};

static void check_all(const struct df_table *table, const struct example *examples, size_t n,
		      const struct df_secrets *with)
{
	for (size_t i = 0; i < n; i++) {
		df_cleanup(df_freep) char *got = outcome(table, examples[i].text, with, false);
		assert_string_equal(got, examples[i].want);
	}
}

/* ---- what is accepted ------------------------------------------------------------------------------------ */

#define BEGIN "{\"text\":\"abc\",\"format\":\"json\",\"kept\":\".\",\"flag\":true,\"number\":5,\"small\":1,\"big\":0,"
#define DEFAULTS BEGIN "\"wait\":\"30s\",\"words\":[\"a\",\"b\"]}"

static void test_accepted(void **state)
{
	static const struct example examples[] = {
		{ "{}", DEFAULTS },
		{ "{text: null, number: ~, list: null, object: null, secretSecretRef: null}", DEFAULTS },
		/* an empty text or list is absent, but where it is a value */
		{ "{text: '', list: [], pairs: {}, objects: [], words: [], secret: ''}", DEFAULTS },
		{ "{text: x, format: AVRO, path: _a1, kept: '', hidden: h, secret: s, password: p, bearer: t}",
		  "{\"text\":\"x\",\"format\":\"avro\",\"path\":\"_a1\",\"kept\":\"\",\"hidden\":\"***\",\"secret\":"
		  "\"s\","
		  "\"password\":\"***\",\"bearer\":\"t\",\"flag\":true,\"number\":5,\"small\":1,\"big\":0,"
		  "\"wait\":\"30s\",\"words\":[\"a\",\"b\"]}" },
		{ "{flag: no, number: 0x10, small: 64, big: -9223372036854775808, optFlag: false, optNumber: 0, "
		  "optBig: 5.0,\n"
		  " wait: 1m30s, words: [c]}",
		  "{\"text\":\"abc\",\"format\":\"json\",\"kept\":\".\",\"flag\":false,\"number\":16,\"small\":64,"
		  "\"big\":-9223372036854775808,\"optFlag\":false,\"optNumber\":0,\"optBig\":5,\"wait\":\"1m30s\","
		  "\"words\":[\"c\"]}" },
		{ "{list: [a, b], brokers: ['h:1'], pairs: {z: 1.10, a: \"q\", n: null, o: {x: [yes]}},\n"
		  " object: {text: t}, objects: [{text: u, number: 3}, {text: v}], raw: {b: 1.0, a: [ ]}}",
		  BEGIN "\"wait\":\"30s\",\"list\":[\"a\",\"b\"],\"words\":[\"a\",\"b\"],\"brokers\":[\"h:1\"],"
			"\"pairs\":{\"z\":1.10,\"a\":\"q\",\"n\":null,\"o\":{\"x\":[true]}},"
			"\"object\":{\"text\":\"t\",\"number\":7},"
			"\"objects\":[{\"text\":\"u\",\"number\":3},{\"text\":\"v\",\"number\":7}],"
			"\"raw\":{\"b\":1.0,\"a\":[]}}" },
		/* references stay references, resolved or not */
		{ "{secretSecretRef: {name: n, key: id}, tokenSecretRef: {name: n, key: two, namespace: other},\n"
		  " brokersSecretRef: {name: n, key: brokers}, caSecretRef: {name: n, key: id}}",
		  "{\"text\":\"abc\",\"format\":\"json\",\"kept\":\".\",\"secretSecretRef\":{\"name\":\"n\",\"key\":"
		  "\"id\"},"
		  "\"tokenSecretRef\":{\"name\":\"n\",\"key\":\"two\",\"namespace\":\"other\"},\"flag\":true,"
		  "\"number\":5,"
		  "\"small\":1,\"big\":0,\"wait\":\"30s\",\"words\":[\"a\",\"b\"],"
		  "\"brokersSecretRef\":{\"name\":\"n\",\"key\":\"brokers\"},"
		  "\"caSecretRef\":{\"name\":\"n\",\"key\":\"id\"}}" },
		/* warnings */
		{ "{old: x}",
		  "flow.yaml:1: config.old: warning: deprecated: Use `text`.\n"
		  "{\"text\":\"abc\",\"format\":\"json\",\"kept\":\".\",\"old\":\"x\",\"flag\":true,\"number\":5,"
		  "\"small\":1,\"big\":0,\"wait\":\"30s\",\"words\":[\"a\",\"b\"]}" },
		{ "text: abc\nunused: {preStop: 5}\n",
		  "flow.yaml:2: config.unused: warning: has no effect: The pod has its own.\n" DEFAULTS },
		{ "bearerOld: t\n",
		  "flow.yaml:1: config.bearerOld: warning: another name of `bearer`; write `bearer`\n"
		  "{\"text\":\"abc\",\"format\":\"json\",\"kept\":\".\",\"bearer\":\"t\",\"flag\":true,\"number\":5,"
		  "\"small\":1,\"big\":0,\"wait\":\"30s\",\"words\":[\"a\",\"b\"]}" },
		{ "secret: s\nsecretSecretRef: {name: n, key: id}\n",
		  "flow.yaml:1: config.secret: warning: has no effect because `secretSecretRef` is set; remove one of "
		  "them\n"
		  "{\"text\":\"abc\",\"format\":\"json\",\"kept\":\".\",\"secretSecretRef\":{\"name\":\"n\",\"key\":"
		  "\"id\"},"
		  "\"flag\":true,\"number\":5,\"small\":1,\"big\":0,\"wait\":\"30s\",\"words\":[\"a\",\"b\"]}" },
	};

	(void)state;
	check_all(&all_table, examples, DF_ARRAY_SIZE(examples), &secrets);
	check_all(&all_table, examples, DF_ARRAY_SIZE(examples), NULL);
}

/* ---- what is refused
 * --------------------------------------------------------------------------------------------------- */

#define AT "flow.yaml:1: config"

static void test_refused(void **state)
{
	static const struct example examples[] = {
		{ "[1]", AT ": expected an object, found a list\n" },
		/* unknown keys, with the nearest of names and twins */
		{ "text: x\ntxet: y\n", "flow.yaml:2: config.txet: unknown field; did you mean \"text\"?\n" },
		{ "brokersSecretref: {name: n, key: k}\n",
		  AT ".brokersSecretref: unknown field; did you mean \"brokersSecretRef\"?\n" },
		{ "caSecretref: 1\n", AT ".caSecretref: unknown field; did you mean \"caSecretRef\"?\n" },
		{ "object: {text: x, q: 1}\n", AT ".object.q: unknown field; known are text, number\n" },
		/* kinds */
		{ "text: 1.10\n", AT ".text: expected a text, found the number 1.10; put it in quotes: \"1.10\"\n" },
		{ "text: 007\n", AT ".text: expected a text, found the number 007; put it in quotes: \"007\"\n" },
		{ "text: yes\n", AT ".text: expected a text, found the bool yes; put it in quotes: \"yes\"\n" },
		{ "text: true\n", AT ".text: expected a text, found the bool true; put it in quotes: \"true\"\n" },
		{ "text: []\n", AT ".text: expected a text, found a list\n" },
		{ "password: 12345\n", AT ".password: expected a text, found a number; put it in quotes\n" },
		{ "hidden: secret word\n", AT ".hidden: the value is not valid here (it is secret and not shown)\n" },
		{ "flag: 'true'\n", AT ".flag: expected true or false, found the text \"true\"; remove the quotes\n" },
		{ "optFlag: 1\n", AT ".optFlag: expected true or false, found the number 1\n" },
		{ "number: '5'\n", AT ".number: expected a whole number, found the text \"5\"; remove the quotes\n" },
		{ "number: five\n", AT ".number: expected a whole number, found the text \"five\"\n" },
		{ "number: 5.5\n", AT ".number: expected a whole number, found the number 5.5\n" },
		{ "big: 1e400\n", AT ".big: expected a whole number, found the number 1e400\n" },
		/* ranges */
		{ "number: 0\n", AT ".number: must be at least 1, found the number 0\n" },
		{ "number: 2147483648\n", AT ".number: must be at most 2147483647, found the number 2147483648\n" },
		{ "optNumber: -1\n", AT ".optNumber: must be at least 0, found the number -1\n" },
		{ "small: 65\n", AT ".small: must be between 1 and 64, found the number 65\n" },
		{ "small: 99999999999999999999\n",
		  AT ".small: must be between 1 and 64, found the number 99999999999999999999\n" },
		{ "big: 9223372036854775808\n",
		  AT ".big: must be at most 9223372036854775807, found the number 9223372036854775808\n" },
		{ "optBig: -9223372036854775809\n",
		  AT ".optBig: must be at least -9223372036854775808, found the number -9223372036854775809\n" },
		/* durations */
		{ "wait: 30\n",
		  AT ".wait: expected a duration such as \"1m30s\", found the number 30; write it with its unit: "
		     "\"30s\"\n" },
		{ "wait: '30'\n",
		  AT ".wait: expected a duration such as \"1m30s\" or \"500ms\", found the text \"30\"\n" },
		{ "wait: 0s\n", AT ".wait: must be longer than 0s, found the text \"0s\"\n" },
		/* texts */
		{ "text: '  '\n", AT ".text: the text must not be blank\n" },
		{ "text: \"a\\0b\"\n", AT ".text: the text contains a NUL character; remove it\n" },
		{ "path: a-b\n",
		  AT ".path: \"a-b\" is not an identifier; use letters, digits and _, and no digit at the "
		     "beginning\n" },
		{ "format: jsn\n",
		  AT ".format: unknown value \"jsn\"; did you mean \"json\"? Possible are: json, avro\n" },
		{ "format: xml\n", AT ".format: unknown value \"xml\"; possible are: json, avro\n" },
		/* lists */
		{ "list: a\n", AT ".list: expected a list of texts, found the text \"a\"; write `[\"a\"]`\n" },
		{ "list:\n  - a\n  - 5\n  - ''\n  - ' '\n  - b-c\n  - null\n",
		  "flow.yaml:3: config.list[1]: expected a text, found the number 5; put it in quotes: \"5\"\n"
		  "flow.yaml:4: config.list[2]: the text must not be empty\n"
		  "flow.yaml:5: config.list[3]: the text must not be blank\n"
		  "flow.yaml:6: config.list[4]: \"b-c\" is not an identifier; use letters, digits and _, and no digit "
		  "at the "
		  "beginning\n"
		  "flow.yaml:7: config.list[5]: expected a text, found null\n" },
		{ "brokers: [a, 'b:0', 'c:1']\n",
		  AT ".brokers[0]: \"a\" has no port; write host:port\n" AT
		     ".brokers[1]: \"b:0\" has no valid port; write a number from 1 to 65535\n" },
		/* maps */
		{ "pairs: [a]\n", AT ".pairs: expected a map, found a list\n" },
		{ "pairs:\n  a: 1\n  b-c: 2\n  '': 3\n",
		  "flow.yaml:3: config.pairs.b-c: \"b-c\" is not an identifier; use letters, digits and _, and no "
		  "digit at the "
		  "beginning\n"
		  "flow.yaml:1: config.pairs.: a key is empty or contains a NUL character\n" },
		/* what nests */
		{ "object: 5\n", AT ".object: expected one object, found the number 5\n" },
		{ "object: [{text: x}]\n", AT ".object: expected one object, found a list\n" },
		{ "object:\n  number: 11\n",
		  "flow.yaml:1: config.object.text: required\n"
		  "flow.yaml:2: config.object.number: must be between 1 and 10, found the number 11\n" },
		{ "objects: {text: x}\n", AT ".objects: expected a list, found an object\n" },
		{ "objects:\n- text: a\n- 5\n- {}\n- text: b\n  number: x\n",
		  "flow.yaml:3: config.objects[1]: expected one object, found the number 5\n"
		  "flow.yaml:4: config.objects[2].text: required\n"
		  "flow.yaml:6: config.objects[3].number: expected a whole number, found the text \"x\"\n" },
		/* an alias and its row */
		{ "bearer: a\nbearerOld: b\n",
		  "flow.yaml:2: config.bearerOld: warning: another name of `bearer`; write `bearer`\n"
		  "flow.yaml:2: config.bearerOld: `bearer` is the same field with another value; remove one of "
		  "them\n" },
	};

	(void)state;
	check_all(&all_table, examples, DF_ARRAY_SIZE(examples), NULL);
}

static void test_required(void **state)
{
	static const struct example examples[] = {
		{ "{}", AT ".text: required, for example `text: abc`\n" AT
			   ".secret: required; set `secret` or `secretSecretRef`\n" AT ".list: required\n" AT
			   ".brokers: required; set `brokers` or `brokersSecretRef`, for example "
			   "`brokers: [\"localhost:9092\"]`\n" AT ".pairs: required\n" AT ".objects: required\n" AT
			   ".object: required\n" AT ".caSecretRef: required\n" },
		{ "text: ''\nsecret: ''\nlist: []\nbrokers: []\npairs: {}\nobjects: []\nobject: {text: a}\n"
		  "caSecretRef: {name: a, key: b}\n",
		  "flow.yaml:1: config.text: the text must not be empty\n"
		  "flow.yaml:2: config.secret: the text must not be empty\n"
		  "flow.yaml:3: config.list: the list must not be empty\n"
		  "flow.yaml:4: config.brokers: the list must not be empty\n"
		  "flow.yaml:5: config.pairs: the map must not be empty\n"
		  "flow.yaml:6: config.objects: the list must not be empty\n" },
		{ "{text: a, secretSecretRef: {name: n, key: id}, list: [a], brokersSecretRef: {name: n, key: id},\n"
		  " pairs: {a: int}, objects: [{text: a}], object: {text: a}, caSecretRef: {name: n, key: id}}\n",
		  "flow.yaml:2: config.pairs.a: unknown value \"int\"; possible are: string, int64\n" },
	};

	(void)state;
	check_all(&needed_table, examples, DF_ARRAY_SIZE(examples), NULL);
}

/* ---- references
 * ---------------------------------------------------------------------------------------------------------- */

static void test_references_refused(void **state)
{
	static const struct example examples[] = {
		{ "secretSecretRef: x\n",
		  AT ".secretSecretRef: expected a reference to a Secret, found the text \"x\"; write "
		     "`{name: SECRET, key: KEY}`\n" },
		{ "secretSecretRef: {nmae: n}\n",
		  AT ".secretSecretRef.nmae: unknown field; did you mean \"name\"?\n" AT
		     ".secretSecretRef.name: required\n" AT ".secretSecretRef.key: required\n" },
		{ "caSecretRef: {name: ../x, key: a/b, namespace: A}\n", AT
		  ".caSecretRef.name: not the name of a Secret; use lower-case letters, digits, \"-\" and \".\"\n" AT
		  ".caSecretRef.key: not a key of a Secret; use letters, digits, \"-\", \"_\" and \".\"\n" AT
		  ".caSecretRef.namespace: not the name of a namespace; use lower-case letters, digits and \"-\"\n" },
		{ "caSecretRef: {name: x, key: ..}\n",
		  AT ".caSecretRef.key: not a key of a Secret; use letters, digits, \"-\", \"_\" and \".\"\n" },
		{ "secretSecretRef: {name: n, key: none}\n",
		  AT ".secretSecretRef: Secret \"n\", key \"none\": not found\n" },
		{ "caSecretRef: {name: n, key: none}\n", AT ".caSecretRef: Secret \"n\", key \"none\": not found\n" },
		{ "secretSecretRef: {name: n, key: newline}\n",
		  AT ".secretSecretRef: Secret \"n\", key \"newline\": the value is empty\n" },
		/* a value from a Secret is never shown */
		{ "secretSecretRef: {name: n, key: bad}\n",
		  AT ".secretSecretRef: the value is not valid here (it is secret and not shown)\n" },
		{ "brokersSecretRef: {name: n, key: badlist}\n",
		  AT ".brokersSecretRef: the value is not valid here (it is secret and not shown)\n" },
		{ "brokersSecretRef: {name: n, key: commas}\n",
		  AT ".brokersSecretRef: Secret \"n\", key \"commas\": the value has no parts between its commas\n" },
	};

	(void)state;
	check_all(&all_table, examples, DF_ARRAY_SIZE(examples), &secrets);
}

static void test_resolved(void **state)
{
	struct df_parse_options options = { .file = "flow.yaml", .path = "config", .secrets = &secrets };
	struct df_arena arena;
	struct df_diags diags = { 0 };
	struct all all;

	(void)state;
	df_arena_init(&arena, NULL);
	df_settings_parse(&all_table,
			  read_one("{secretSecretRef: {name: n, key: id}, tokenSecretRef: {name: n, key: two},\n"
				   " brokersSecretRef: {name: n, key: brokers}, pairs: {a: x, b: 1.10}}",
				   &arena),
			  &options, &all, &diags);
	assert_printed(&diags, "");
	df_arena_done(&arena);
	assert_string_equal(all.secret.value, "token");
	assert_string_equal(all.secret.ref->name, "n");
	assert_string_equal(all.odd.value, "x\n"); /* one newline, not all */
	assert_int_equal(all.brokers.list.count, 2);
	assert_string_equal(all.brokers.list.items[0], "a:1");
	assert_string_equal(all.brokers.list.items[1], "b:2");
	assert_string_equal(all.pairs.items[0].key, "a");
	assert_string_equal(all.pairs.items[0].text, "x");
	assert_int_equal(all.pairs.items[0].kind, DF_STRING);
	assert_int_equal(all.pairs.items[1].kind, DF_NUMBER);
	assert_string_equal(all.pairs.items[1].text, "1.10");
	assert_int_equal(all.pairs.items[1].line, 2);
	assert_true(df_settings_is_set(&all_table, &all, "secret"));
	assert_true(df_settings_is_set(&all_table, &all, "bearerOld"));
	assert_false(df_settings_is_set(&all_table, &all, "text"));
	assert_false(df_settings_is_set(&all_table, &all, "none"));
	df_settings_done(&all_table, &all);
	df_settings_done(&all_table, &all);
	df_settings_done(&all_table, NULL);
}

static void test_unknown_keys_warn(void **state)
{
	df_cleanup(df_freep) char *got = outcome(&all_table, "txet: 1\n", NULL, true);

	(void)state;
	assert_string_equal(got, AT ".txet: warning: unknown field; did you mean \"text\"?\n" DEFAULTS);
}

static void test_defaults(void **state)
{
	struct df_diags diags = { 0 };
	struct df_buf buf = { 0 };
	struct all all;

	(void)state;
	df_settings_defaults(&all_table, &all, &diags);
	df_settings_write(&all_table, &all, &buf);
	assert_string_equal(df_buf_c(&buf), DEFAULTS);
	assert_printed(&diags, "");
	df_buf_done(&buf);
	df_settings_done(&all_table, &all);
}

static void collect(void *arg, const char *path, const struct df_secret_ref *ref)
{
	df_buf_printf(arg, "%s=%s/%s ", path, ref->name, ref->key);
}

static void test_secret_refs(void **state)
{
	struct df_parse_options options = { .path = "config" };
	struct df_arena arena;
	struct df_diags diags = { 0 };
	struct df_buf buf = { 0 };
	struct all all;

	(void)state;
	df_arena_init(&arena, NULL);
	df_settings_parse(&all_table,
			  read_one("{tokenSecretRef: {name: a, key: b}, brokersSecretRef: {name: c, key: d},\n"
				   " caSecretRef: {name: e, key: f}, secret: s}",
				   &arena),
			  &options, &all, &diags);
	assert_printed(&diags, "");
	df_settings_secret_refs(&all_table, &all, collect, &buf);
	assert_string_equal(df_buf_c(&buf), "tokenSecretRef=a/b brokersSecretRef=c/d caSecretRef=e/f ");
	df_buf_done(&buf);
	df_settings_done(&all_table, &all);
	df_arena_done(&arena);
}

static void collect_direct(void *arg, const char *path, const char *twin, const char *value)
{
	df_buf_printf(arg, "%s(%s)=%s ", path, twin ? twin : "none", value);
}

static void test_direct_secrets(void **state)
{
	struct df_parse_options options = { .path = "config" };
	struct df_arena arena;
	struct df_diags diags = { 0 };
	struct df_buf buf = { 0 };
	struct all all;

	(void)state;
	df_arena_init(&arena, NULL);
	df_settings_parse(&all_table,
			  read_one("{hidden: a, tokenSecretRef: {name: a, key: b}, password: c, secret: s}", &arena),
			  &options, &all, &diags);
	assert_printed(&diags, "");
	df_settings_direct_secrets(&all_table, &all, collect_direct, &buf);
	assert_string_equal(df_buf_c(&buf), "hidden(none)=a password(passwordSecretRef)=c ");
	df_buf_done(&buf);
	df_settings_done(&all_table, &all);
	df_arena_done(&arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_accepted),       cmocka_unit_test(test_refused),
		cmocka_unit_test(test_required),       cmocka_unit_test(test_references_refused),
		cmocka_unit_test(test_resolved),       cmocka_unit_test(test_unknown_keys_warn),
		cmocka_unit_test(test_defaults),       cmocka_unit_test(test_secret_refs),
		cmocka_unit_test(test_direct_secrets),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

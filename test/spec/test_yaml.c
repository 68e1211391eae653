/* The YAML and JSON reader: what a text means, which line a node has, what is refused, and the bounds. */
#include "support.h"

#include <fcntl.h>
#include <unistd.h>

struct example {
	const char *text;
	const char *want; /* documents as JSON, one a line; or the diagnostics */
};

/* ---- meaning --------------------------------------------------------------------------------------------- */

static const struct example meanings[] = {
	/* documents */
	{ "", "" },
	{ "# only a comment\n", "" },
	{ "---\n---\n", "" },
	{ "null\n", "" },
	{ "a: 1\n---\n---\nb: 2\n...\n", "{\"a\":1}\n{\"b\":2}\n" },
	{ "--- 5\n--- x\n", "5\n\"x\"\n" },
	{ "\xef\xbb\xbf"
	  "a: 1\n",
	  "{\"a\":1}\n" },
	/* collections */
	{ "b: 1\na: [1, {x: 2}, []]\nc: {}\n", "{\"b\":1,\"a\":[1,{\"x\":2},[]],\"c\":{}}\n" },
	{ "a:\n- 1\n-\n  - 2\n- b: c\n  d: e\n", "{\"a\":[1,[2],{\"b\":\"c\",\"d\":\"e\"}]}\n" },
	/* null and bool, in each spelling */
	{ "[~, null, Null, NULL, ]\n", "[null,null,null,null]\n" },
	{ "a:\nb: ''\n", "{\"a\":null,\"b\":\"\"}\n" },
	{ "[true, True, TRUE, yes, Yes, YES, on, On, ON]\n", "[true,true,true,true,true,true,true,true,true]\n" },
	{ "[false, False, FALSE, no, No, NO, off, Off, OFF]\n",
	  "[false,false,false,false,false,false,false,false,false]\n" },
	{ "[tRUE, yEs, oN, y, n, nULL, nOne]\n", "[\"tRUE\",\"yEs\",\"oN\",\"y\",\"n\",\"nULL\",\"nOne\"]\n" },
	{ "['true', \"no\", '~', !!str null]\n", "[\"true\",\"no\",\"~\",\"null\"]\n" },
	/* numbers keep their digits */
	{ "[1.10, 0.1000, 1e400, -0, 123456789012345678901234567890]\n",
	  "[1.10,0.1000,1e400,-0,123456789012345678901234567890]\n" },
	{ "[+5, 007, -007, .5, -.5, 5., 5.e3, +.5e-1, 00.50]\n", "[5,7,-7,0.5,-0.5,5,5e3,0.5e-1,0.50]\n" },
	{ "[0x1F, 0xffffffffffffffff, 0o17, 0o0]\n", "[31,18446744073709551615,15,0]\n" },
	{ "[0x, 0b1, 0o8, 0xg, 1_000, 1:30, 1.2.3, ., e5, 1e, 1e+, +, '5', 2024-01-01, 127.0.0.1]\n",
	  "[\"0x\",\"0b1\",\"0o8\",\"0xg\",\"1_000\",\"1:30\",\"1.2.3\",\".\",\"e5\",\"1e\",\"1e+\",\"+\",\"5\",\"2024-"
	  "01-01\","
	  "\"127.0.0.1\"]\n" },
	{ "a: !!int '5'\nb: !!float 5\nc: !!bool yes\nd: !!seq []\ne: !!map {}\nf: ! 5\n",
	  "{\"a\":5,\"b\":5,\"c\":true,\"d\":[],\"e\":{},\"f\":\"5\"}\n" },
	/* texts */
	{ "a: |\n  one\n  two\nb: >-\n  one\n  two\nc: \"\\u00e9\\x41\\n\"\nd: it's\n",
	  "{\"a\":\"one\\ntwo\\n\",\"b\":\"one two\",\"c\":\"éA\\n\",\"d\":\"it's\"}\n" },
	{ "a: http://x:1/y#z # comment\n", "{\"a\":\"http://x:1/y#z\"}\n" },
	/* keys are texts as they are written */
	{ "yes: 1\n1.0: 2\n~: 3\n'': 4\n", "{\"yes\":1,\"1.0\":2,\"~\":3,\"\":4}\n" },
	/* anchors */
	{ "a: &x [1, 2]\nb: *x\nc: &x 5\nd: *x\n", "{\"a\":[1,2],\"b\":[1,2],\"c\":5,\"d\":5}\n" },
	{ "a: &k word\nb: {c: *k}\n", "{\"a\":\"word\",\"b\":{\"c\":\"word\"}}\n" },
	/* merge keys: what is written wins, then the earlier of a list */
	{ "base: &b {x: 1, y: 2}\nt:\n  <<: *b\n  y: 3\n", "{\"base\":{\"x\":1,\"y\":2},\"t\":{\"y\":3,\"x\":1}}\n" },
	{ "t:\n  <<: [{x: 1}, {x: 2, y: 2}]\n  z: 3\n", "{\"t\":{\"z\":3,\"x\":1,\"y\":2}}\n" },
	{ "t: {<<: {x: 1}}\nu: {<<: {}}\nv: {<<: []}\n", "{\"t\":{\"x\":1},\"u\":{},\"v\":{}}\n" },
	{ "t: {'<<': 1}\n", "{\"t\":{\"<<\":1}}\n" },
	/* JSON, with tabs, escapes that YAML does not know, and what is only nearly JSON */
	{ "{\n\t\"a\": [1.10, true, null, \"\\ud83d\\ude00\\/\"],\n\t\"\\u0062\": {}\n}\n",
	  "{\"a\":[1.10,true,null,\"😀/\"],\"b\":{}}\n" },
	{ " [1, 2] ", "[1,2]\n" },
	{ "{a: 1, # comment\n \"b\": [2,]}\n", "{\"a\":1,\"b\":[2]}\n" },
	{ "{\"a\":1}\n---\n{\"b\":2}\n", "{\"a\":1}\n{\"b\":2}\n" },
};

static void test_meaning(void **state)
{
	(void)state;
	for (size_t i = 0; i < DF_ARRAY_SIZE(meanings); i++) {
		struct df_arena arena;
		struct df_yaml_documents documents;
		struct df_diags diags = { 0 };
		struct df_buf buf = { 0 };

		df_arena_init(&arena, NULL);
		read_text(meanings[i].text, strlen(meanings[i].text), &arena, &documents, &diags);
		assert_printed(&diags, "");
		for (size_t k = 0; k < documents.count; k++) {
			df_value_write(documents.items[k], &buf);
			df_buf_add_char(&buf, '\n');
		}
		assert_string_equal(df_buf_c(&buf), meanings[i].want);
		df_buf_done(&buf);
		df_diags_done(&diags);
		df_arena_done(&arena);
	}
}

/* ---- lines ----------------------------------------------------------------------------------------------- */

static void write_lines(const struct df_value *v, struct df_buf *buf)
{
	df_buf_printf(buf, "%u", v->line);
	if (!df_value_is_container(v))
		return;
	df_buf_add_char(buf, '(');
	df_for_each (child, v) {
		write_lines(child, buf);
		df_buf_add_char(buf, child->next ? ' ' : ')');
	}
}

static void test_lines(void **state)
{
	static const struct example examples[] = {
		{ "# comment\n\na: 1\nb:\n  - 2\n  -\n    c: |\n      text\n      text\n    d: x\n",
		  "3(3 4(5 7(7 10)))" },
		{ "a:\n\n  5\n", "1(1)" },
		{ "a: 1\r\nb: 2\r\n", "1(1 2)" },
		{ "{\n\t\"a\": 1,\n\n\t\"b\": [\n\t\t1,\n\t\t{\"c\": 2}\n\t]\n}", "1(2 4(5 6(6)))" },
		{ "[1,\n\"a\\nb\",\n3]", "1(1 2 3)" },
		{ "a: &x\n  y: 1\nb: *x\n", "1(1(2) 3(2))" },
	};

	(void)state;
	for (size_t i = 0; i < DF_ARRAY_SIZE(examples); i++) {
		struct df_arena arena;
		struct df_buf buf = { 0 };

		df_arena_init(&arena, NULL);
		write_lines(read_one(examples[i].text, &arena), &buf);
		assert_string_equal(df_buf_c(&buf), examples[i].want);
		df_buf_done(&buf);
		df_arena_done(&arena);
	}
}

/* ---- problems -------------------------------------------------------------------------------------------- */

#define SECOND_COLON                                                                                                   \
	"a second \":\" in one value, or a key that is indented too far; put a value that contains \": \" in quotes, " \
	"and line keys up\n"
#define NOT_UTF8 "not UTF-8; save the file in UTF-8\n"

static const struct example problems[] = {
	/* syntax */
	{ "a:\n\tb: 1\n", "flow.yaml:2: tabs cannot indent YAML; use blanks\n" },
	{ "a:\n  b: 1\n\t c: 1\n", "flow.yaml:3: tabs cannot indent YAML; use blanks\n" },
	{ "a: 1\nb: c: d\n", "flow.yaml:2: " SECOND_COLON },
	{ "a: 1\n  b: 2\n", "flow.yaml:2: " SECOND_COLON },
	{ "a:\n  b: 1\n c: 2\n", "flow.yaml:3: this line fits to no key and no list item above it; check its "
				 "indentation, and quotes before it\n" },
	{ "a: - b\n",
	  "flow.yaml:1: a list item \"- \" cannot begin here; put it on a line of its own below the key\n" },
	{ "a: @b\n", "flow.yaml:1: a value cannot begin with @; put it in quotes\n" },
	{ "é: `b\n", "flow.yaml:1: a value cannot begin with `; put it in quotes\n" },
	{ "x: 1\na: \"b\nc: d\n", "flow.yaml:2: the quote that opened here is not closed\n" },
	{ "a: [1,\n 2\nb: 3\n", "flow.yaml:3: the list that [ opened is not closed; a \",\" or \"]\" is missing\n" },
	{ "{\"a\": 1\n \"b\": 2}\n",
	  "flow.yaml:2: the map that { opened is not closed; a \",\" or \"}\" is missing\n" },
	{ "a: \"\\q\"\n",
	  "flow.yaml:1: unknown escape; in \"double quotes\" a backslash begins an escape: write it twice, or "
	  "use 'single quotes'\n" },
	{ "a: 1\nb: \xff\n", "flow.yaml:2: " NOT_UTF8 },
	{ "a: 1\nb: \xc3\n", "flow.yaml:2: " NOT_UTF8 },
	{ "a: \x01\n", "flow.yaml:1: a control character; save the file as plain text in UTF-8\n" },
	{ "key\nother: 1\n", "flow.yaml:2: " SECOND_COLON },
	/* keys */
	{ "spec:\n  [a]: 1\n", "flow.yaml:2: spec: a key must be one text, not a list or a map\n" },
	{ "? {a: 1}\n: 2\n", "flow.yaml:1: a key must be one text, not a list or a map\n" },
	{ "? \n: 2\n", "flow.yaml:1: a key is missing before the \":\"\n" },
	/* duplicates: every one, with both lines */
	{ "a: 1\nb:\n  c: 1\n  d: 2\n  c: 3\na: 4\n",
	  "flow.yaml:5: b.c: this key stands here twice, first in line 3; remove one of them\n"
	  "flow.yaml:6: a: this key stands here twice, first in line 1; remove one of them\n" },
	{ "l:\n- 1\n- a: 1\n  'a': 2\n",
	  "flow.yaml:4: l[1].a: this key stands here twice, first in line 3; remove one of them\n" },
	{ "{\"a\":1,\n\"x\":{\"\\u0061\":1,\n\"a\":2}}\n",
	  "flow.yaml:3: x.a: this key stands here twice, first in line 2; remove one of them\n" },
	/* anchors, merges, tags */
	{ "a: *x\n", "flow.yaml:1: a: the alias *x has no anchor &x before it in this document\n" },
	{ "a: &x 1\n---\nb: *x\n", "flow.yaml:3: b: the alias *x has no anchor &x before it in this document\n" },
	{ "a: &x\n  b: [1, *x]\n", "flow.yaml:2: a.b[1]: the alias *x stands inside of what it names\n" },
	{ "a: &x k\n*x : 1\n", "flow.yaml:2: an alias cannot be a key; write the key itself\n" },
	{ "a:\n  <<: 5\n",
	  "flow.yaml:2: a.<<: the merge key takes a map, an alias of one, or a list of them: `<<: *defaults`\n" },
	{ "a: {<<: {}, <<: {}}\n", "flow.yaml:1: a.<<: the merge key stands twice; write one: `<<: [*a, *b]`\n" },
	{ "a: !foo x\n", "flow.yaml:1: a: the tag !foo is not supported; remove it\n" },
	{ "a: !!binary x\n", "flow.yaml:1: a: the tag !!binary is not supported; remove it\n" },
	{ "a: !!int x\n", "flow.yaml:1: a: the value does not fit its tag !!int; remove the tag\n" },
	{ "a: !!map [1]\n", "flow.yaml:1: a: the value does not fit its tag !!map; remove the tag\n" },
	/* JSON */
	{ "{\"a\": \"\\ud800\"}", "flow.yaml:1: a: half of a surrogate pair (\\ud800 to \\udfff) is no character\n" },
	/* notes */
	{ "a: .inf\n",
	  "flow.yaml:1: a: warning: there are no infinite numbers in documents, this is read as text; write it in "
	  "quotes\n" },
	{ "- .NaN\n",
	  "flow.yaml:1: [0]: warning: there are no infinite numbers in documents, this is read as text; write it "
	  "in quotes\n" },
	{ "a: 0x10000000000000000\n",
	  "flow.yaml:1: a: warning: the number does not fit in 64 bits and is read as text; write "
	  "it in quotes, or in decimal\n" },
};

static void test_problems(void **state)
{
	(void)state;
	for (size_t i = 0; i < DF_ARRAY_SIZE(problems); i++) {
		struct df_arena arena;
		struct df_yaml_documents documents;
		struct df_diags diags = { 0 };

		df_arena_init(&arena, NULL);
		read_text(problems[i].text, strlen(problems[i].text), &arena, &documents, &diags);
		assert_printed(&diags, problems[i].want);
		df_diags_done(&diags);
		df_arena_done(&arena);
	}
}

/* ---- bounds ---------------------------------------------------------------------------------------------- */

static char *problem_of(struct df_buf *text)
{
	struct df_arena arena;
	struct df_yaml_documents documents;
	struct df_diags diags = { 0 };

	assert_false(text->failed);
	df_arena_init(&arena, NULL);
	read_text(text->data, text->len, &arena, &documents, &diags);
	char *problem = printed(&diags);
	df_diags_done(&diags);
	df_arena_done(&arena);
	df_buf_done(text);
	return problem;
}

static void repeat(struct df_buf *buf, const char *text, size_t n)
{
	for (size_t i = 0; i < n; i++)
		df_buf_add_c(buf, text);
}

/* The last part of the diagnostic: what stands before it is a long path. */
static void assert_bound(struct df_buf *buf, const char *want)
{
	df_cleanup(df_freep) char *problem = problem_of(buf);

	assert_true(strlen(problem) >= strlen(want));
	assert_string_equal(problem + strlen(problem) - strlen(want), want);
}

static void test_bounds(void **state)
{
	static const char deep[] = ": lists and maps nest deeper than 100 levels\n";
	struct df_buf buf = { 0 };

	(void)state;
	repeat(&buf, "[", 100);
	repeat(&buf, "]", 100);
	assert_bound(&buf, "");
	repeat(&buf, "[", 101);
	repeat(&buf, "]", 101);
	assert_bound(&buf, deep);
	repeat(&buf, "- ", 101);
	assert_bound(&buf, deep);

	/* an alias deep inside */
	df_buf_add_c(&buf, "a: &x ");
	repeat(&buf, "[", 60);
	repeat(&buf, "]", 60);
	df_buf_add_c(&buf, "\nb: ");
	repeat(&buf, "[", 60);
	df_buf_add_c(&buf, "*x");
	repeat(&buf, "]", 60);
	assert_bound(&buf, deep);

	/* billion laughs: ten levels of ten */
	df_buf_add_c(&buf, "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n");
	for (int i = 1; i < 10; i++) {
		df_buf_printf(&buf, "a%d: &a%d [", i, i);
		for (int k = 0; k < 10; k++)
			df_buf_printf(&buf, "%s*a%d", k ? "," : "", i - 1);
		df_buf_add_c(&buf, "]\n");
	}
	assert_bound(&buf, ": aliases expand to more than 100000 values\n");

	for (int i = 0; i < 1001; i++)
		df_buf_printf(&buf, "- &a%d x\n", i);
	assert_bound(&buf, ": more than 1000 anchors\n");

	df_buf_add_char(&buf, '[');
	repeat(&buf, "1,", 1000000);
	df_buf_add_c(&buf, "1]");
	assert_bound(&buf, ": the file holds more than 1000000 values\n");

	repeat(&buf, "# 345678901234567890123456789012\n", ((size_t)16 << 20) / 33 + 1);
	assert_bound(&buf, "flow.yaml: the file is larger than 16 MiB\n");
}

/* Duplicates in a large map are found in less than quadratic time. */
static void test_large_map(void **state)
{
	struct df_buf buf = { 0 };

	(void)state;
	for (int i = 0; i < 200000; i++)
		df_buf_printf(&buf, "k%d: %d\n", i, i);
	df_buf_add_c(&buf, "k7: 1\n");
	assert_bound(&buf, "flow.yaml:200001: k7: this key stands here twice, first in line 8; remove one of them\n");
}

/* ---- files ----------------------------------------------------------------------------------------------- */

static void test_load(void **state)
{
	char name[] = "/tmp/df-test-yaml-XXXXXX";
	int fd = mkstemp(name);
	struct df_arena arena;
	struct df_yaml_documents documents;
	struct df_diags diags = { 0 };
	df_cleanup(df_freep) char *want = NULL;

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(write(fd, "a: 1\n", 5), 5);
	df_arena_init(&arena, NULL);
	df_yaml_load(name, &arena, &documents, &diags);
	assert_printed(&diags, "");
	assert_int_equal(documents.count, 1);

	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	int saved = dup(STDIN_FILENO);
	assert_true(saved >= 0 && dup2(fd, STDIN_FILENO) == STDIN_FILENO);
	df_yaml_load("-", &arena, &documents, &diags);
	assert_int_equal(dup2(saved, STDIN_FILENO), STDIN_FILENO);
	assert_printed(&diags, "");
	assert_int_equal(documents.count, 1);
	close(saved);
	close(fd);
	unlink(name);

	df_yaml_load(name, &arena, &documents, &diags);
	assert_true(asprintf(&want,
			     "%s: cannot be opened: No such file or directory\n/tmp: cannot be read: Is a directory\n",
			     name) > 0);
	assert_int_equal(documents.count, 0);
	df_yaml_load("/tmp", &arena, &documents, &diags);
	assert_printed(&diags, want);
	df_diags_done(&diags);
	df_arena_done(&arena);
}

/* ---- --set ----------------------------------------------------------------------------------------------- */

static void test_set(void **state)
{
	static const struct {
		const char *assignment;
		const char *want; /* the document, or the error */
	} examples[] = {
		{ "a.b=5", "{\"a\":{\"b\":5},\"l\":[{\"x\":1}],\"s\":\"t\"}" },
		{ "l[0].x=a: b # c", "{\"a\":{},\"l\":[{\"x\":\"a: b # c\"}],\"s\":\"t\"}" },
		{ "s=", "{\"a\":{},\"l\":[{\"x\":1}],\"s\":null}" },
		{ "s=\"5\"", "{\"a\":{},\"l\":[{\"x\":1}],\"s\":\"5\"}" },
		{ "s=''", "{\"a\":{},\"l\":[{\"x\":1}],\"s\":\"\"}" },
		{ "s=yes", "{\"a\":{},\"l\":[{\"x\":1}],\"s\":true}" },
		{ "s=x=y", "{\"a\":{},\"l\":[{\"x\":1}],\"s\":\"x=y\"}" },
		{ "a.b.c={p: [1, \"q\"]}", "{\"a\":{\"b\":{\"c\":{\"p\":[1,\"q\"]}}},\"l\":[{\"x\":1}],\"s\":\"t\"}" },
		{ "l=[\"a\", b]", "{\"a\":{},\"l\":[\"a\",\"b\"],\"s\":\"t\"}" },
		{ "a.b", "error: \"a.b\" is no assignment; write PATH=VALUE" },
		{ "=1", "error: \"=1\" is no assignment; write PATH=VALUE" },
		{ "a=[1", "error: a: the list that [ opened is not closed; a \",\" or \"]\" is missing" },
	};

	(void)state;
	for (size_t i = 0; i < DF_ARRAY_SIZE(examples); i++) {
		struct df_arena arena;
		struct df_error err = DF_ERROR_INIT;
		struct df_buf buf = { 0 };

		df_arena_init(&arena, NULL);
		struct df_value *root = read_one("a: {}\nl: [{x: 1}]\ns: t\n", &arena);
		int r = df_yaml_set(root, df_str_c(examples[i].assignment), &arena, &err);
		if (r == 0)
			df_value_write(root, &buf);
		else
			df_buf_printf(&buf, "error: %s", err.text);
		assert_string_equal(df_buf_c(&buf), examples[i].want);
		assert_int_equal(r, strncmp(examples[i].want, "error", 5) == 0 ? DF_ERR_CONFIG : 0);
		df_buf_done(&buf);
		df_arena_done(&arena);
	}
}

static void test_set_through_a_text(void **state)
{
	struct df_arena arena;
	struct df_error err = DF_ERROR_INIT;

	(void)state;
	df_arena_init(&arena, NULL);
	struct df_value *root = read_one("s: t\n", &arena);
	assert_int_equal(df_yaml_set(root, DF_STR("s.x=1"), &arena, &err), DF_ERR_CONFIG);
	assert_memory_equal(err.text, "s.x: ", 5);
	assert_int_equal(df_yaml_set(root, DF_STR("a..=1"), &arena, &err), DF_ERR_CONFIG);
	df_arena_done(&arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_meaning),	  cmocka_unit_test(test_lines),
		cmocka_unit_test(test_problems),  cmocka_unit_test(test_bounds),
		cmocka_unit_test(test_large_map), cmocka_unit_test(test_load),
		cmocka_unit_test(test_set),	  cmocka_unit_test(test_set_through_a_text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* The JSON writer. */
#include <math.h>
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

/* Writes in every way there is and compares: into an empty buffer, behind text, into an arena. */
static void assert_written(const struct df_value *v, const char *want, size_t want_len)
{
	struct df_buf buf = { 0 };
	struct df_arena arena;

	df_value_write(v, &buf);
	assert_false(buf.failed);
	if (buf.len != want_len || memcmp(buf.data, want, want_len) != 0)
		fail_msg("%s, not %s", df_buf_c(&buf), want);
	df_value_write(v, &buf);
	assert_int_equal(buf.len, 2 * want_len);
	assert_memory_equal(buf.data + want_len, want, want_len);
	df_buf_done(&buf);

	df_arena_init(&arena, NULL);
	for (int i = 0; i < 3; i++) {
		struct df_str text = df_value_to_arena(v, &arena);
		assert_int_equal(text.len, want_len);
		assert_memory_equal(text.ptr, want, want_len);
		assert_int_equal((uintptr_t)df_arena_alloc(&arena, 1) % DF_ARENA_ALIGN, 0);
	}
	df_arena_done(&arena);
}

#define assert_json(v, literal) assert_written(v, literal, sizeof(literal) - 1)

static void test_scalars(void **state)
{
	struct df_arena a;

	(void)state;
	df_arena_init(&a, NULL);
	assert_json(df_value_new(&a, DF_NULL), "null");
	assert_json(df_value_new(&a, DF_TRUE), "true");
	assert_json(df_value_new(&a, DF_FALSE), "false");
	assert_json(df_value_new(&a, DF_ARRAY), "[]");
	assert_json(df_value_new(&a, DF_OBJECT), "{}");
	assert_json(df_value_number(&a, DF_STR("1.10")), "1.10");
	assert_json(df_value_int64(&a, INT64_MIN), "-9223372036854775808");
	assert_json(df_value_float64(&a, 0.1), "0.1");
	assert_json(df_value_float64(&a, 1e300), "1e+300");
	assert_json(df_value_float64(&a, (double)NAN), "\"NaN\"");
	assert_json(df_value_float64(&a, (double)INFINITY), "\"Infinity\"");
	assert_json(df_value_float64(&a, -(double)INFINITY), "\"-Infinity\"");
	struct df_value *single = df_value_float64(&a, (double)0.1f);
	assert_json(single, "0.10000000149011612");
	single->logical = DF_LOGICAL_FLOAT32;
	assert_json(single, "0.1");
	assert_json(df_value_bytes(&a, DF_STR("")), "\"\"");
	assert_json(df_value_bytes(&a, DF_STR("f")), "\"Zg==\"");
	assert_json(df_value_bytes(&a, DF_STR("fo")), "\"Zm8=\"");
	assert_json(df_value_bytes(&a, DF_STR("foo")), "\"Zm9v\"");
	assert_json(df_value_bytes(&a, DF_STR("\0\xFF\xFE\x10")), "\"AP/+EA==\"");
	assert_json(df_value_string(&a, DF_STR("")), "\"\"");
	assert_json(df_value_string(&a, df_str(NULL, 0)), "\"\"");
	df_arena_done(&a);
}

static const struct {
	struct df_str text;
	struct df_str json;
} strings[] = {
	{ S(""), S("\"\"") },
	{ S("a"), S("\"a\"") },
	{ S("\""), S("\"\\\"\"") },
	{ S("\\"), S("\"\\\\\"") },
	{ S("/"), S("\"/\"") },
	{ S("\b\f\n\r\t"), S("\"\\b\\f\\n\\r\\t\"") },
	{ S("\0\x01\x0b\x1f"), S("\"\\u0000\\u0001\\u000b\\u001f\"") },
	{ S("\x7f"), S("\"\x7f\"") },
	{ S("\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80"), S("\"\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80\"") },
	{ S("\xED\x9F\xBF\xEE\x80\x80"), S("\"\xED\x9F\xBF\xEE\x80\x80\"") },
	{ S("sixteen bytes ok and then a \" quote, and more of it"),
	  S("\"sixteen bytes ok and then a \\\" quote, and more of it\"") },
	{ S("15 bytes, then\x02 16 or more"), S("\"15 bytes, then\\u0002 16 or more\"") },
	/* WTF-8: lone surrogates, and halves that were put side by side */
	{ S("\xED\xA0\x80"), S("\"\\ud800\"") },
	{ S("a\xED\xBF\xBFz"), S("\"a\\udfffz\"") },
	{ S("\xED\xB0\x80\xED\xA0\x80"), S("\"\\udc00\\ud800\"") },
	{ S("\xED\xA0\xBD\xED\xB8\x80"), S("\"\xF0\x9F\x98\x80\"") },
	{ S("\xED\xA0\xBD\xED\xA0\xBD\xED\xB8\x80"), S("\"\\ud83d\xF0\x9F\x98\x80\"") },
	{ S("\xED\xA0\xBDx\xED\xB8\x80"), S("\"\\ud83dx\\ude00\"") },
};

static void test_strings(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(strings) / sizeof(strings[0]); i++) {
		struct df_arena a;
		struct df_buf buf = { 0 };
		df_arena_init(&a, NULL);
		/* A heap copy of exactly the size: no byte may be read behind it. */
		char *copy = malloc(strings[i].text.len ? strings[i].text.len : 1);
		assert_non_null(copy);
		memcpy(copy, strings[i].text.ptr, strings[i].text.len);
		struct df_str text = df_str(copy, strings[i].text.len);
		assert_written(df_value_string(&a, text), strings[i].json.ptr, strings[i].json.len);
		df_json_write_string(text, &buf);
		assert_true(df_str_equal(df_buf_str(&buf), strings[i].json));

		/* As a key. */
		struct df_value *object = df_value_new(&a, DF_OBJECT);
		df_object_append(object, text, df_value_new(&a, DF_NULL));
		struct df_buf want = { 0 };
		df_buf_add_char(&want, '{');
		df_buf_add_str(&want, strings[i].json);
		df_buf_add_c(&want, ":null}");
		assert_written(object, df_buf_c(&want), want.len);
		df_buf_done(&want);
		df_buf_done(&buf);
		df_arena_done(&a);
		free(copy);
	}
}

/* Copies of all lengths around those where the way of copying changes, from sources of exactly that size. */
static void test_lengths(void **state)
{
	(void)state;
	for (size_t len = 0; len < 300; len++) {
		struct df_arena a;
		struct df_value *root;
		struct df_buf text = { 0 };
		df_arena_init(&a, NULL);
		df_buf_add_c(&text, "{\"");
		for (size_t i = 0; i < len; i++)
			df_buf_add_char(&text, (char)('a' + i % 26));
		df_buf_add_c(&text, "\":[\"");
		for (size_t i = 0; i < len; i++)
			df_buf_add_char(&text, (char)('A' + i % 26));
		df_buf_add_c(&text, "\",1");
		for (size_t i = 0; i < len; i++)
			df_buf_add_char(&text, (char)('0' + i % 10));
		df_buf_add_c(&text, "]}");
		char *exact = malloc(text.len);
		assert_non_null(exact);
		memcpy(exact, text.data, text.len);
		assert_int_equal(df_value_parse(df_str(exact, text.len), &a, &root, NULL), DF_PARSE_OK);
		assert_written(root, text.data, text.len);

		char *all_controls = calloc(1, len ? len : 1);
		assert_non_null(all_controls);
		struct df_buf buf = { 0 };
		df_json_write_string(df_str(all_controls, len), &buf);
		assert_int_equal(buf.len, 6 * len + 2);
		df_buf_done(&buf);
		free(all_controls);
		free(exact);
		df_buf_done(&text);
		df_arena_done(&a);
	}
}

/* Deeper than any parsed document, and closing all at once. */
static void test_deep(void **state)
{
	struct df_arena a;
	struct df_buf want = { 0 };

	(void)state;
	df_arena_init(&a, NULL);
	struct df_value *v = df_value_new(&a, DF_ARRAY);
	for (int i = 0; i < 1200; i++) {
		struct df_value *outer = df_value_new(&a, i % 2 ? DF_ARRAY : DF_OBJECT);
		if (i % 2)
			df_array_append(outer, v);
		else
			df_object_append(outer, DF_STR("k"), v);
		v = outer;
	}
	for (int i = 1200; i-- > 0;)
		df_buf_add_c(&want, i % 2 ? "[" : "{\"k\":");
	df_buf_add_c(&want, "[]");
	for (int i = 0; i < 1200; i++)
		df_buf_add_char(&want, i % 2 ? ']' : '}');
	assert_written(v, df_buf_c(&want), want.len);
	df_buf_done(&want);
	df_arena_done(&a);
}

/* A part of a document is written without its siblings and without its key. */
static void test_part(void **state)
{
	struct df_arena a;
	struct df_value *root;

	(void)state;
	df_arena_init(&a, NULL);
	assert_int_equal(df_value_parse(DF_STR("{\"a\":[1,{\"b\":2},3],\"c\":4}"), &a, &root, NULL), DF_PARSE_OK);
	assert_json(df_object_get_c(root, "a"), "[1,{\"b\":2},3]");
	assert_json(df_array_get(df_object_get_c(root, "a"), 1), "{\"b\":2}");
	assert_json(df_array_get(df_object_get_c(root, "a"), 0), "1");
	df_arena_done(&a);
}

static void test_escaped_source(void **state)
{
	struct df_arena a;
	struct df_value *root;

	(void)state;
	df_arena_init(&a, NULL);
	assert_int_equal(
		df_value_parse(DF_STR("[\"\\/\\u002f\\u0009\\uD800\\uD83d\\uDe00\\uDFFF!\"]"), &a, &root, NULL),
		DF_PARSE_OK);
	assert_json(root, "[\"//\\t\\uD800\xF0\x9F\x98\x80\\uDFFF!\"]");
	/* Once decoded, the digits of a lone surrogate are ours. */
	assert_int_equal(df_value_unescape(root->first, &a), 0);
	assert_json(root, "[\"//\\t\\ud800\xF0\x9F\x98\x80\\udfff!\"]");
	df_arena_done(&a);
}

/* ---- edits against a plain writer ------------------------------------------------------------------------ */

/* The writer copies stretches of the payload that no edit touched. This one does not. */
static void write_plainly(const struct df_value *v, struct df_buf *buf)
{
	struct df_arena arena;
	bool first = true;

	df_arena_init(&arena, NULL);
	if (v->kind == DF_STRING) {
		df_json_write_string(df_value_text(v, &arena), buf);
	} else if (!df_value_is_container(v)) {
		df_buf_add_str(buf, df_value_text(v, &arena));
	} else {
		df_buf_add_char(buf, v->kind == DF_OBJECT ? '{' : '[');
		df_for_each (child, v) {
			if (!first)
				df_buf_add_char(buf, ',');
			first = false;
			if (v->kind == DF_OBJECT) {
				df_json_write_string(df_value_key(child), buf);
				df_buf_add_char(buf, ':');
			}
			write_plainly(child, buf);
		}
		df_buf_add_char(buf, v->kind == DF_OBJECT ? '}' : ']');
	}
	df_arena_done(&arena);
}

static uint64_t random_state = 88172645463325252;

static uint32_t random_below(uint32_t n)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return (uint32_t)(random_state >> 20) % n;
}

static void random_value(struct df_buf *buf, int depth, int blanks)
{
	static const char *const scalars[] = {
		"null",	    "true",	    "false", "12",
		"-0.50",    "\"\"",	    "\"a\"", "\"a b c d e f g h i j k l m n o p\"",
		"\"x\\n\"", "\"\xC3\xA9\"", "1e5"
	};
	uint32_t kind = random_below(depth > 0 ? 4 : 2);
	uint32_t n = random_below(6);

	if (blanks && random_below((uint32_t)blanks) == 0)
		df_buf_add_char(buf, ' ');
	if (kind < 2) {
		df_buf_add_c(buf, scalars[random_below(sizeof(scalars) / sizeof(scalars[0]))]);
		return;
	}
	df_buf_add_char(buf, kind == 2 ? '[' : '{');
	for (uint32_t i = 0; i < n; i++) {
		if (i)
			df_buf_add_char(buf, ',');
		if (kind == 3)
			df_buf_printf(buf, "\"%s%u\":", random_below(8) ? "key" : "\\t", i);
		random_value(buf, depth - 1, blanks);
	}
	if (blanks && random_below((uint32_t)blanks) == 0)
		df_buf_add_char(buf, '\n');
	df_buf_add_char(buf, kind == 2 ? ']' : '}');
}

/* Any container of the document. */
static struct df_value *random_container(struct df_value *root)
{
	struct df_value *at = root;

	while (random_below(3) && at->len) {
		struct df_value *child = at->first;
		for (uint32_t i = random_below(at->len); i > 0; i--)
			child = child->next;
		if (!df_value_is_container(child))
			break;
		at = child;
	}
	return at;
}

static void random_edit(struct df_value *root, struct df_arena *a)
{
	struct df_value *container = random_container(root);
	struct df_value *child = container->first;
	bool object = container->kind == DF_OBJECT;

	for (uint32_t i = container->len ? random_below(container->len) : 0; i > 0; i--)
		child = child->next;
	switch (random_below(child ? 11 : 1)) {
	case 0:
		if (object)
			df_object_append(container, DF_STR("new"), df_value_string(a, DF_STR("text")));
		else
			df_array_append(container, df_value_int64(a, 7));
		break;
	case 1:
		df_container_remove(container, df_container_prev(container, child), child);
		break;
	case 2:
		if (object)
			df_object_rename(child, DF_STR("renamed"));
		break;
	case 3: /* its own key, or a part of it: slices of the payload too */
		if (object && child->key_len)
			df_object_rename(child, df_str(child->key, child->key_len - random_below(2)));
		break;
	case 4:
		if (object && child->key_len)
			df_object_rename(child, df_str(child->key + 1, child->key_len - 1));
		break;
	case 5:
		df_value_replace(child, df_value_float64(a, 0.5));
		break;
	case 6: /* text cut in place, at either end */
		if (child->kind == DF_STRING && child->repr == DF_REPR_PLAIN && child->len) {
			child->text += random_below(2);
			child->len--;
		}
		break;
	case 7:
		df_value_replace(child, df_value_new(a, random_below(2) ? DF_NULL : DF_FALSE));
		break;
	case 8: /* a sibling's content */
		df_value_replace(child, df_value_clone(container->first, a));
		break;
	case 9: /* to the end */
		df_container_remove(container, df_container_prev(container, child), child);
		if (object)
			df_object_append(container, df_value_key(child), child);
		else
			df_array_append(container, child);
		break;
	case 10:
		if (df_value_unescape(child, a) != 0)
			fail();
		break;
	}
}

static void test_edits(void **state)
{
	(void)state;
	for (int round = 0; round < 20000; round++) {
		struct df_buf text = { 0 };
		struct df_arena a;
		struct df_value *root;
		df_arena_init(&a, NULL);
		df_buf_add_char(&text, round % 2 ? '[' : '{');
		df_buf_add_c(&text, round % 2 ? "" : "\"k\":");
		random_value(&text, 4, round % 3 ? 0 : 10);
		df_buf_add_char(&text, round % 2 ? ']' : '}');
		char *exact = malloc(text.len);
		assert_non_null(exact);
		memcpy(exact, text.data, text.len);
		assert_int_equal(df_value_parse(df_str(exact, text.len), &a, &root, NULL), DF_PARSE_OK);
		for (uint32_t edits = random_below(6);; edits--) {
			struct df_buf want = { 0 };
			write_plainly(root, &want);
			assert_written(root, df_buf_c(&want), want.len);
			df_buf_done(&want);
			if (edits == 0)
				break;
			random_edit(root, &a);
		}
		free(exact);
		df_buf_done(&text);
		df_arena_done(&a);
	}
}

/* Nodes that lie in the payload as if they were unchanged, and are not. */
static void test_edits_in_payload(void **state)
{
	struct df_arena a;
	struct df_value *root;
	struct df_value *v;

	(void)state;
	df_arena_init(&a, NULL);
	/* Keys that are slices of the source of an escaped key: their backslash is a character. */
	struct df_str text = DF_STR("{\"a\":1,\"b\\n\":2}");
	assert_int_equal(df_value_parse(text, &a, &root, NULL), DF_PARSE_OK);
	df_object_rename(root->last, df_str(text.ptr + 8, 3));
	assert_json(root, "{\"a\":1,\"b\\\\n\":2}");
	text = DF_STR("{\"a\":1,\"c\":{\"b\\n\":2}}");
	assert_int_equal(df_value_parse(text, &a, &root, NULL), DF_PARSE_OK);
	df_object_rename(root->last->first, df_str(text.ptr + 13, 3));
	assert_json(root, "{\"a\":1,\"c\":{\"b\\\\n\":2}}");
	text = DF_STR("{\"z\":0,\"a\":[1,{\"b\\n\":2}]}");
	assert_int_equal(df_value_parse(text, &a, &root, NULL), DF_PARSE_OK);
	df_object_rename(root->last->last->first, df_str(text.ptr + 16, 3));
	assert_json(root, "{\"z\":0,\"a\":[1,{\"b\\\\n\":2}]}");

	/* A key that is the end of the key it stood under. */
	text = DF_STR("{\"xab\":1,\"ab\":2}");
	assert_int_equal(df_value_parse(text, &a, &root, NULL), DF_PARSE_OK);
	v = root->first;
	df_container_remove(root, NULL, v);
	df_object_set(root, df_str(text.ptr + 3, 2), v);
	assert_json(root, "{\"ab\":1}");

	/* A kind that was changed in place; what follows the payload must not be read. */
	char *exact = strndup("{\"a\":1}", 7);
	assert_non_null(exact);
	exact = realloc(exact, 7);
	assert_int_equal(df_value_parse(df_str(exact, 7), &a, &root, NULL), DF_PARSE_OK);
	root->first->kind = DF_NULL;
	assert_json(root, "{\"a\":null}");
	free(exact);
	df_arena_done(&a);
}

/* A buffer that is too small fails, keeps what it had, and stays failed. */
static void test_buffer_full(void **state)
{
	struct df_arena a;
	struct df_value *root;
	struct df_buf buf = { .max = 64 };

	(void)state;
	df_arena_init(&a, NULL);
	assert_int_equal(df_value_parse(DF_STR("[\"0123456789\",\"0123456789\",\"0123456789\",\"0123456789\","
					       "\"0123456789\",\"0123456789\"]"),
					&a, &root, NULL),
			 DF_PARSE_OK);
	df_buf_add_c(&buf, "before");
	df_value_write(root, &buf);
	assert_true(buf.failed);
	assert_int_equal(buf.len, 6);
	df_value_write(root, &buf);
	df_json_write_string(DF_STR("x"), &buf);
	assert_true(buf.failed);
	df_buf_done(&buf);
	df_arena_done(&a);
}

/* Larger than a block of the arena. */
static void test_large(void **state)
{
	struct df_arena a;
	struct df_buf want = { 0 };

	(void)state;
	df_arena_init(&a, NULL);
	struct df_value *array = df_value_new(&a, DF_ARRAY);
	df_buf_add_char(&want, '[');
	for (int i = 0; i < 20000; i++) {
		df_array_append(array, df_value_int64(&a, i));
		df_array_append(array, df_value_string(&a, DF_STR("with \"escapes\"\n")));
		df_buf_printf(&want, "%s%d,\"with \\\"escapes\\\"\\n\"", i ? "," : "", i);
	}
	df_buf_add_char(&want, ']');
	assert_written(array, df_buf_c(&want), want.len);
	df_buf_done(&want);
	df_arena_done(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_scalars), cmocka_unit_test(test_strings),
		cmocka_unit_test(test_lengths), cmocka_unit_test(test_deep),
		cmocka_unit_test(test_part),	cmocka_unit_test(test_escaped_source),
		cmocka_unit_test(test_large),	cmocka_unit_test(test_buffer_full),
		cmocka_unit_test(test_edits),	cmocka_unit_test(test_edits_in_payload),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

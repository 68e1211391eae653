#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>

#include "alloc.h"
#include "message/ledger.h"

static struct df_arena arena;

static int arena_setup(void **state)
{
	(void)state;
	df_arena_init(&arena, NULL);
	return 0;
}

static int arena_teardown(void **state)
{
	(void)state;
	df_arena_done(&arena);
	return 0;
}

static struct df_message message(const char *payload)
{
	return (struct df_message){ .payload = df_str_c(payload) };
}

/* What leaves, by both ways, which must agree. */
static void assert_leaves(const struct df_message *m, const char *expected)
{
	struct df_buf buf = { 0 };
	struct df_str text;

	df_message_write(m, &buf);
	assert_string_equal(df_buf_c(&buf), expected);
	assert_int_equal(df_message_payload(m, &arena, &text), 0);
	assert_true(df_str_equal_c(text, expected));
	df_buf_done(&buf);
}

static void test_parsed_at_most_once(void **state)
{
	struct df_message m = message("{\"a\":1}");
	struct df_value *first, *again;

	(void)state;
	assert_int_equal(df_message_document(&m, &arena, &first, NULL), 0);
	assert_non_null(first);
	assert_int_equal(m.state, DF_PAYLOAD_JSON);
	assert_false(m.changed);
	char *next = arena.next;
	assert_int_equal(df_message_document(&m, &arena, &again, NULL), 0);
	assert_ptr_equal(again, first);
	assert_int_equal(df_message_parse(&m, &arena, &again, NULL), 0);
	assert_ptr_equal(again, first);
	assert_ptr_equal(arena.next, next);

	/* What is no JSON is not looked at again: it would be JSON now. */
	m = message("{\"a\":1");
	assert_int_equal(df_message_document(&m, &arena, &first, NULL), 0);
	assert_null(first);
	assert_int_equal(m.state, DF_PAYLOAD_OTHER);
	m.payload = DF_STR("{}");
	assert_int_equal(df_message_document(&m, &arena, &first, NULL), 0);
	assert_null(first);

	m = message("");
	assert_int_equal(df_message_document(&m, &arena, &first, NULL), 0);
	assert_null(first);
	assert_int_equal(m.state, DF_PAYLOAD_EMPTY);
	assert_leaves(&m, "");
}

static void test_parse_errors(void **state)
{
	static char deep[3000];
	struct df_message m = { .payload = df_str(deep, sizeof(deep)) };
	struct df_value *root;
	struct df_error err;

	(void)state;
	memset(deep, '[', sizeof(deep) / 2);
	memset(deep + sizeof(deep) / 2, ']', sizeof(deep) / 2);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(df_message_document(&m, &arena, &root, &err), DF_ERR_INVALID_DATA);
		assert_null(root);
		assert_non_null(strstr(err.text, "1000"));
	}
	m.payload.len = DF_VALUE_SIZE_MAX + 1; /* rejected before it is read */
	assert_int_equal(df_message_document(&m, &arena, &root, &err), DF_ERR_INVALID_DATA);

	struct df_arena fresh;
	df_arena_init(&fresh, NULL);
	m = message("{\"a\":[1,2,3]}");
	alloc_fail(0);
	int rc = df_message_document(&m, &fresh, &root, &err);
	alloc_fail(SIZE_MAX);
	assert_int_equal(rc, DF_ERR_NO_MEMORY);
	assert_int_equal(df_message_document(&m, &fresh, &root, &err), 0);
	assert_non_null(root);
	df_arena_done(&fresh);
}

static void test_unchanged_byte_for_byte(void **state)
{
	const char *text = " { \"a\" :1.0, \"b\":\"\\u0041\\/\",\t\"a\" : 1e+2 }\r\n";
	struct df_message m = message(text);
	struct df_value *root;

	(void)state;
	assert_leaves(&m, text);
	assert_int_equal(df_message_document(&m, &arena, &root, NULL), 0);
	assert_non_null(root);
	assert_leaves(&m, text);
	struct df_str out;
	assert_int_equal(df_message_payload(&m, &arena, &out), 0);
	assert_ptr_equal(out.ptr, m.payload.ptr);
	m.changed = true;
	assert_leaves(&m, "{\"a\":1e+2,\"b\":\"A/\"}");

	m = message("no \xff JSON \x01");
	assert_int_equal(df_message_document(&m, &arena, &root, NULL), 0);
	assert_null(root);
	assert_leaves(&m, "no \xff JSON \x01");
}

static void test_built_document(void **state)
{
	struct df_value *root = df_value_new(&arena, DF_OBJECT), *got;
	struct df_message m = { 0 };

	(void)state;
	df_object_set(root, DF_STR("n"), df_value_int64(&arena, 7));
	df_message_set_document(&m, root);
	assert_true(m.changed);
	assert_int_equal(m.state, DF_PAYLOAD_JSON);
	assert_int_equal(df_message_document(&m, &arena, &got, NULL), 0);
	assert_ptr_equal(got, root);
	assert_leaves(&m, "{\"n\":7}");
	/* There are no bytes that could be the truth. */
	m.changed = false;
	assert_leaves(&m, "{\"n\":7}");
}

static void test_payload_out_of_memory(void **state)
{
	struct df_message m = { 0 };
	struct df_arena fresh;
	struct df_str text;

	(void)state;
	df_arena_init(&fresh, NULL);
	df_message_set_document(&m, df_value_new(&arena, DF_OBJECT));
	alloc_fail(0);
	int rc = df_message_payload(&m, &fresh, &text);
	alloc_fail(SIZE_MAX);
	assert_int_equal(rc, DF_ERR_NO_MEMORY);
	assert_null(text.ptr);
	df_arena_done(&fresh);
}

static struct df_value *string(const char *text)
{
	return df_value_string(&arena, df_str_c(text));
}

static void assert_meta(const struct df_message *m, const char *expected)
{
	struct df_buf buf = { 0 };

	df_value_write(m->metadata, &buf);
	assert_string_equal(df_buf_c(&buf), expected);
	df_buf_done(&buf);
}

static void test_metadata_is_copied_on_write(void **state)
{
	struct df_message a = message("1");

	(void)state;
	assert_null(df_message_meta(&a, "topic"));
	assert_int_equal(df_message_set_meta(&a, &arena, DF_STR("topic"), string("t")), 0);
	assert_int_equal(df_message_set_meta(&a, &arena, DF_STR("offset"), df_value_int64(&arena, 5)), 0);
	struct df_message b = a, c = a;
	struct df_value *before = a.metadata;
	assert_int_equal(df_message_set_meta(&b, &arena, DF_STR("topic"), string("u")), 0);
	assert_int_equal(df_message_set_meta(&c, &arena, DF_STR("key"), string("k")), 0);
	assert_ptr_equal(a.metadata, before);
	assert_meta(&a, "{\"topic\":\"t\",\"offset\":5}");
	assert_meta(&b, "{\"topic\":\"u\",\"offset\":5}");
	assert_meta(&c, "{\"topic\":\"t\",\"offset\":5,\"key\":\"k\"}");
	assert_true(df_value_string_equal(df_message_meta(&b, "topic"), DF_STR("u")));
	assert_null(df_message_meta(&b, "Topic"));
	assert_null(df_message_meta(&b, "topi"));

	struct df_arena fresh;
	df_arena_init(&fresh, NULL);
	alloc_fail(0);
	int rc = df_message_set_meta(&b, &fresh, DF_STR("x"), string("y"));
	alloc_fail(SIZE_MAX);
	assert_int_equal(rc, DF_ERR_NO_MEMORY);
	assert_meta(&b, "{\"topic\":\"u\",\"offset\":5}");
	df_arena_done(&fresh);
}

static void assert_id(const struct df_message *m, size_t size, const char *expected)
{
	/* A heap buffer of exactly that size, so that a sanitizer sees one byte too many. */
	char *out = malloc(size);

	assert_non_null(out);
	memset(out, 'x', size);
	df_message_id(m, out, size);
	assert_string_equal(out, expected);
	free(out);
}

static void test_id(void **state)
{
	struct df_ledger *ledger = df_ledger_new();
	struct df_message m = message("{}");

	(void)state;
	m.position.number = -12;
	assert_id(&m, 64, "/-12");
	assert_int_equal(df_ledger_partition(ledger, DF_STR("orders/3"), &m.partition, NULL), 0);
	m.position.number = 42;
	assert_id(&m, 64, "orders/3/42");
	assert_id(&m, 12, "orders/3/42");
	assert_id(&m, 11, "orders//42");
	assert_id(&m, 4, "/42");
	assert_id(&m, 3, "/4");
	assert_id(&m, 1, "");
	m.position.number = INT64_MIN;
	assert_id(&m, 64, "orders/3/-9223372036854775808");

	assert_int_equal(df_message_set_meta(&m, &arena, DF_STR("id"), df_value_int64(&arena, 9)), 0);
	assert_id(&m, 64, "9");
	assert_int_equal(df_message_set_meta(&m, &arena, DF_STR("message_id"), df_value_new(&arena, DF_NULL)), 0);
	assert_id(&m, 64, "9");
	assert_int_equal(df_message_set_meta(&m, &arena, DF_STR("message_id"), string("")), 0);
	assert_id(&m, 64, "9");
	assert_int_equal(df_message_set_meta(&m, &arena, DF_STR("message_id"), string("h\xc3\xa9-\xe2\x82\xac")), 0);
	assert_id(&m, 64, "h\xc3\xa9-\xe2\x82\xac");
	assert_id(&m, 8, "h\xc3\xa9-\xe2\x82\xac");
	assert_id(&m, 7, "h\xc3\xa9-");
	assert_id(&m, 5, "h\xc3\xa9-");
	assert_id(&m, 4, "h\xc3\xa9");
	assert_id(&m, 3, "h");
	assert_id(&m, 1, "");
	char untouched = 'x';
	df_message_id(&m, &untouched, 0);
	assert_int_equal(untouched, 'x');

	/* With escapes still in it. */
	struct df_value *root;
	assert_int_equal(df_value_parse_text(DF_STR("{\"message_id\":\"a\\u0062\\\"\"}"), &arena, &root, NULL), 0);
	m.metadata = root;
	assert_id(&m, 64, "ab\"");
	df_ledger_free(ledger);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parsed_at_most_once),
		cmocka_unit_test(test_parse_errors),
		cmocka_unit_test(test_unchanged_byte_for_byte),
		cmocka_unit_test(test_built_document),
		cmocka_unit_test(test_payload_out_of_memory),
		cmocka_unit_test(test_metadata_is_copied_on_write),
		cmocka_unit_test(test_id),
	};

	return cmocka_run_group_tests_name("message", tests, arena_setup, arena_teardown);
}

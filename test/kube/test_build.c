/* Objects from a text with holes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/cleanup.h"
#include "kube/build.h"

static void test_holes(void **state)
{
	df_cleanup(df_arena_done) struct df_arena arena = { 0 };
	struct df_value *inner, *v;
	struct df_str text;

	(void)state;
	assert_int_equal(df_kube_build(&arena, &inner, NULL, "{'q':%s}", "a \"b\"\n'c'"), 0);
	assert_int_equal(df_kube_build(&arena, &v, NULL, "{'s':%S,'n':%d,'yes':%b,'no':%b,'in':%v,'list':[%s,%s]}",
				       df_str("abcd", 2), INT64_MIN, true, false, inner, "x", NULL),
			 0);
	text = df_value_to_arena(v, &arena);
	assert_string_equal(df_arena_dup(&arena, text).ptr,
			    "{\"s\":\"ab\",\"n\":-9223372036854775808,\"yes\":true,\"no\":false,"
			    "\"in\":{\"q\":\"a \\\"b\\\"\\n'c'\"},\"list\":[\"x\",null]}");
}

static void test_nulls_are_left_out(void **state)
{
	df_cleanup(df_arena_done) struct df_arena arena = { 0 };
	struct df_value *v;

	(void)state;
	assert_int_equal(df_kube_build(&arena, &v, NULL, "{'a':%s,'b':{'c':%v,'d':[{'e':%S}]},'f':%s}", NULL, NULL,
				       df_str(NULL, 0), ""),
			 0);
	assert_string_equal(df_arena_dup(&arena, df_value_to_arena(v, &arena)).ptr, "{\"b\":{\"d\":[{}]},\"f\":\"\"}");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_holes),
		cmocka_unit_test(test_nulls_are_left_out),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

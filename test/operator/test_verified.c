/* What is known of objects that are not watched. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "operator/ensure.h"

#define HASH_A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define HASH_B "abaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

static struct df_verified_key key(enum df_manifest_kind kind, const char *name, const char *plural)
{
	return (struct df_verified_key){
		.kind = kind, .namespace = "ns", .name = name, .plural = plural, .object = "df-x-processor"
	};
}

static void test_known(void **state)
{
	struct df_verified *v = df_verified_new();
	struct df_verified_key role = key(DF_KIND_DATAFLOW, "x", "roles"), lease = key(DF_KIND_DATAFLOW, "x", "leases");
	struct df_verified_key cron = key(DF_KIND_DATAFLOWCRON, "x", "roles");

	(void)state;
	assert_false(df_verified_is(v, &role, HASH_A, 0, 100));
	df_verified_note(v, &role, HASH_A, 1000);
	assert_true(df_verified_is(v, &role, HASH_A, 1100, 100));
	assert_false(df_verified_is(v, &role, HASH_A, 1101, 100)); /* long ago */
	assert_false(df_verified_is(v, &role, HASH_B, 1000, 100));
	assert_false(df_verified_is(v, &role, "", 1000, 100));
	assert_false(df_verified_is(v, &lease, HASH_A, 1000, 100));
	assert_false(df_verified_is(v, &cron, HASH_A, 1000, 100));
	/* Another content takes the place of the one before. */
	df_verified_note(v, &role, HASH_B, 1000);
	assert_true(df_verified_is(v, &role, HASH_B, 1000, 100));
	assert_false(df_verified_is(v, &role, HASH_A, 1000, 100));
	/* There is none. */
	df_verified_note(v, &role, "", 1000);
	assert_true(df_verified_is(v, &role, "", 1000, 100));
	assert_false(df_verified_is(v, &role, HASH_B, 1000, 100));
	df_verified_free(v);
}

static void test_forget(void **state)
{
	struct df_verified *v = df_verified_new();
	struct df_verified_key role = key(DF_KIND_DATAFLOW, "x", "roles"), lease = key(DF_KIND_DATAFLOW, "x", "leases");
	struct df_verified_key other = key(DF_KIND_DATAFLOW, "y", "roles");

	(void)state;
	df_verified_note(v, &role, HASH_A, 0);
	df_verified_note(v, &lease, HASH_A, 0);
	df_verified_note(v, &other, HASH_A, 0);
	df_verified_forget(v, DF_KIND_DATAFLOWCRON, "ns", "x");
	df_verified_forget(v, DF_KIND_DATAFLOW, "other", "x");
	assert_true(df_verified_is(v, &role, HASH_A, 0, 0));
	df_verified_forget(v, DF_KIND_DATAFLOW, "ns", "x");
	assert_false(df_verified_is(v, &role, HASH_A, 0, 0));
	assert_false(df_verified_is(v, &lease, HASH_A, 0, 0));
	assert_true(df_verified_is(v, &other, HASH_A, 0, 0));
	df_verified_free(v);
}

static void test_none(void **state)
{
	struct df_verified_key role = key(DF_KIND_DATAFLOW, "x", "roles");

	(void)state;
	df_verified_note(NULL, &role, HASH_A, 0);
	assert_false(df_verified_is(NULL, &role, HASH_A, 0, 0));
	df_verified_forget(NULL, DF_KIND_DATAFLOW, "ns", "x");
	df_verified_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_known),
		cmocka_unit_test(test_forget),
		cmocka_unit_test(test_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* When a copy of a Secret is as it shall be, and when a certificate is old. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "operator/mirrors.h"
#include "operator/self_signed.h"
#include "test/operator/resources.h"

#define MANAGER "dataflow-operator/flow/a"
#define OWNED "'labels':{'dataflow.dataflow.io/owned':'true'}"
#define OWNERS "'ownerReferences':[{'uid':'u-2'},{'uid':'u-1'}]"
#define ENTRY(manager, operation, fields) \
	"{'manager':'" manager "','operation':'" operation "','fieldsV1':{'f:metadata':{},'f:data':{" fields "}}}"
#define OTHER ENTRY("dataflow-operator/flow/b", "Apply", "'.':{},'f:y':{}")
#define MIRROR(metadata, data) "{'metadata':{" metadata "},'data':{" data "}}"
#define MANAGED(entries) ",'managedFields':[" entries "]"
#define ALL OWNED "," OWNERS MANAGED(OTHER "," ENTRY(MANAGER, "Apply", "'.':{},'f:x':{},'f:z':{}"))

static void what_is_current(void **state)
{
	static const struct {
		const char *mirror;
		bool current;
	} rows[] = {
		{ MIRROR(ALL, "'x':'MQ==','y':'Mg==','z':'Mw=='"), true },
		{ MIRROR(ALL, "'z':'Mw==','x':'MQ=='"), true },
		{ MIRROR(ALL, "'x':'MQ==','z':'xx=='"), false }, /* another value */
		{ MIRROR(ALL, "'x':'MQ=='"), false },		 /* a key less */
		/* not ours, or of another owner */
		{ MIRROR(OWNERS MANAGED(ENTRY(MANAGER, "Apply", "'f:x':{},'f:z':{}")), "'x':'MQ==','z':'Mw=='"),
		  false },
		{ MIRROR(OWNED MANAGED(ENTRY(MANAGER, "Apply", "'f:x':{},'f:z':{}")), "'x':'MQ==','z':'Mw=='"), false },
		/* a key that we have applied and do not want; one that we want and another has applied */
		{ MIRROR(OWNED "," OWNERS MANAGED(ENTRY(MANAGER, "Apply", "'f:x':{},'f:w':{},'f:z':{}")),
			 "'x':'MQ==','w':'','z':'Mw=='"),
		  false },
		{ MIRROR(OWNED "," OWNERS MANAGED(ENTRY(MANAGER, "Apply", "'f:x':{}") "," OTHER),
			 "'x':'MQ==','z':'Mw=='"),
		  false },
		{ MIRROR(OWNED "," OWNERS MANAGED(ENTRY(MANAGER, "Apply", "'f:x':{},'f:w':{}")),
			 "'x':'MQ==','z':'Mw=='"),
		  false },
		/* somebody else, and our name in another way */
		{ MIRROR(OWNED "," OWNERS MANAGED(OTHER), "'x':'MQ==','z':'Mw=='"), false },
		{ MIRROR(OWNED "," OWNERS MANAGED(ENTRY(MANAGER, "Update", "'f:x':{},'f:z':{}")),
			 "'x':'MQ==','z':'Mw=='"),
		  false },
		{ "{}", false },
		{ "{'metadata':{'managedFields':7,'ownerReferences':{}},'data':[]}", false },
	};
	const struct df_value *data = json("{'x':'MQ==','z':'Mw=='}");

	(void)state;
	for (size_t i = 0; i < DF_ARRAY_SIZE(rows); i++)
		if (df_mirror_is_current(json(rows[i].mirror), data, "u-1", MANAGER) != rows[i].current)
			fail_msg("row %zu is %scurrent", i, rows[i].current ? "not " : "");
}

static void what_is_missing_of_a_secret(void **state)
{
	const char *keys[] = { "a", "b" };
	struct df_secret_use use = { NULL, "db", keys, 2, "spec.sink.config.passwordSecretRef" };
	struct df_error err;

	(void)state;
	assert_int_equal(df_references_keys(&use, "n", json("{'data':{'a':'MQ==','b':'MQ=='}}"), &err), 0);
	assert_int_equal(df_references_keys(&use, "n", json("{'data':{'a':'MQ==','c':'MQ=='}}"), &err), DF_ERR_CONFIG);
	assert_string_equal(err.text,
			    "the Secret db in namespace n has no key `b` (see spec.sink.config.passwordSecretRef)");
	assert_int_equal(df_references_keys(&use, "n", json("{'data':{'a':'','b':'MQ=='}}"), &err), DF_ERR_CONFIG);
	assert_string_equal(err.text, "the Secret db in namespace n has nothing under the key `a` (see "
				      "spec.sink.config.passwordSecretRef)");
	assert_int_equal(df_references_keys(&use, "n", json("{}"), &err), DF_ERR_CONFIG);
	assert_int_equal(df_references_keys(&use, "n", NULL, &err), DF_ERR_CONFIG);
	assert_non_null(strstr(err.text, "there is no Secret db in namespace n"));
}

static void when_a_certificate_is_old(void **state)
{
	(void)state;
	assert_false(df_certificate_is_old(1000, 4000, 2999));
	assert_true(df_certificate_is_old(1000, 4000, 3000));
	assert_true(df_certificate_is_old(1000, 4000, 5000));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_current),
		cmocka_unit_test(what_is_missing_of_a_secret),
		cmocka_unit_test(when_a_certificate_is_old),
	};

	return cmocka_run_group_tests(tests, NULL, free_arena);
}

/* Taking a checkpoint back: the wish, and the patches of ConfigMap and resource. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "operator/names.h"
#include "operator/reset.h"
#include "test/operator/resources.h"

#define SOURCE "'source':{'type':'generate','config':{'count':3}},"
#define SPEC SOURCE "'sink':{'type':'discard','config':{}}"
#define NOW INT64_C(1767225600) /* 2026-01-01T00:00:00Z */

static struct df_error err;

static void ok(int code)
{
	if (code != 0)
		fail_msg("%s", err.text);
}

/* A resource with that annotation; NULL: none. */
static void flow(const char *annotation, const char *spec, struct df_resource *ret)
{
	struct df_value *o = object(DF_KIND_DATAFLOW, "f", spec);

	if (annotation) {
		struct df_value *annotations = json("{}");

		df_object_set(annotations, DF_STR(DF_ANNOTATION_RESET), df_value_string(&arena, df_str_c(annotation)));
		df_object_set(df_object_get_c(o, "metadata"), DF_STR("annotations"), annotations);
	}
	ok(df_resource_parse(DF_KIND_DATAFLOW, o, &arena, ret, &err));
	assert_int_equal(ret->diags.errors, 0);
}

/* ---- the wish -------------------------------------------------------------------------------------------- */

static void test_wishes(void **state)
{
	static const struct {
		const char *annotation, *spec;
		bool field, is_true;
		const char *token;
	} cases[] = {
		{ NULL, "{" SPEC "}", false, false, NULL },
		{ NULL, "{" SPEC ",'checkpointReset':true}", true, false, NULL },
		{ "true", "{" SPEC "}", false, true, NULL },
		{ "true", "{" SPEC ",'checkpointReset':true}", true, true, NULL },
		{ "false", "{" SPEC "}", false, false, NULL },
		{ "", "{" SPEC "}", false, false, NULL },
		{ "2026-01-01", "{" SPEC "}", false, false, "2026-01-01" },
		{ "2026-01-01", "{" SPEC ",'checkpointReset':true}", true, false, "2026-01-01" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct df_resource r;
		struct df_reset_wish wish;

		flow(cases[i].annotation, cases[i].spec, &r);
		wish = df_reset_wish(&r, &arena);
		assert_int_equal(wish.field, cases[i].field);
		assert_int_equal(wish.annotation, cases[i].is_true);
		assert_int_equal(wish.token.ptr != NULL, cases[i].token != NULL);
		if (cases[i].token)
			assert_true(df_str_equal_c(wish.token, cases[i].token));
		df_resource_done(&r);
	}
}

static void test_pointless(void **state)
{
	const struct df_type *original;
	struct df_resource r;
	struct df_type type;

	(void)state;
	flow(NULL, "{" SPEC "}", &r);
	assert_null(df_reset_pointless(&r, &arena));
	df_resource_done(&r);
	flow(NULL, "{" SPEC "}", &r);
	original = r.spec.flow.source.type;
	type = *r.spec.flow.source.type;
	type.scales_out = true; /* as kafka */
	r.spec.flow.source.type = &type;
	assert_string_equal(df_reset_pointless(&r, &arena),
			    "The server of the source generate holds the position: reset it there");
	r.spec.flow.source.type = original;
	df_resource_done(&r);
	flow(NULL, "{" SOURCE "'sink':{'type':'sqlite','config':{'path':'/x','table':'t','exactlyOnce':true}}}", &r);
	assert_string_equal(df_reset_pointless(&r, &arena),
			    "The sink sqlite holds the position (exactlyOnce): remove it there");
	df_resource_done(&r);
}

/* ---- the ConfigMap --------------------------------------------------------------------------------------- */

#define AT "'dataflow.dataflow.io/checkpoint-reset-applied-at':'2026-01-01T00:00:00Z'"
#define TOKEN ",'dataflow.dataflow.io/checkpoint-reset-token':'t1'"
#define FENCE(n) ",'dataflow.dataflow.io/fence':'" #n "'"
#define META(more) "'metadata':{'resourceVersion':'9','annotations':{" AT more "}}"

static void test_checkpoint(void **state)
{
	static const struct {
		const char *data, *annotations, *token, *patch;
	} cases[] = {
		/* Others' entries stay, ours moves. */
		{ "{'checkpoint.json':'{\\'generate\\':{\\'next\\':7},\\'postgresql\\':{\\'a\\':1}}'}",
		  "{'dataflow.dataflow.io/fence':'3'}", NULL,
		  "{" META(FENCE(4)) ",'data':{'checkpoint.json':'{\\'postgresql\\':{\\'a\\':1}}',"
				     "'checkpoint.previous.json':'{\\'generate\\':{\\'next\\':7}}'}}" },
		{ "{'checkpoint.json':'{\\'generate\\':{\\'next\\':7}}'}", "{}", "t1",
		  "{" META(TOKEN FENCE(1)) ",'data':{'checkpoint.json':'{}',"
					   "'checkpoint.previous.json':'{\\'generate\\':{\\'next\\':7}}'}}" },
		/* After a crash in between: what was kept is not overwritten with nothing. */
		{ "{'checkpoint.json':'{\\'postgresql\\':{}}','checkpoint.previous.json':'{\\'generate\\':{}}'}",
		  "{'dataflow.dataflow.io/fence':'3'}", NULL, "{" META(FENCE(4)) "}" },
		{ "null", "{}", NULL, "{" META(FENCE(1)) "}" },
		/* A damaged one is the reason why it is reset. */
		{ "{'checkpoint.json':'{x'}", "{}", NULL,
		  "{" META(FENCE(1)) ",'data':{'checkpoint.json':'{}','checkpoint.previous.json':'{x'}}" },
		{ "{'checkpoint.json':'[1]'}", "{}", NULL,
		  "{" META(FENCE(1)) ",'data':{'checkpoint.json':'{}','checkpoint.previous.json':'[1]'}}" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct df_value *configmap = json("{'metadata':{'resourceVersion':'9'}}"), *patch;

		df_object_set(configmap, DF_STR("data"), json(cases[i].data));
		df_object_set(df_object_get_c(configmap, "metadata"), DF_STR("annotations"),
			      json(cases[i].annotations));
		ok(df_reset_patch(configmap, "generate", df_str_c(cases[i].token), NOW, &arena, &patch, &err));
		assert_string_equal(text_of(patch), cases[i].patch);
	}
}

/* ---- the resource ---------------------------------------------------------------------------------------- */

#define FIELD "{'op':'test','path':'/spec/checkpointReset','value':true},{'op':'remove','path':'/spec/checkpointReset'}"
#define PATH "/metadata/annotations/dataflow.dataflow.io~1reset-checkpoint"
#define ANNOTATION "{'op':'test','path':'" PATH "','value':'true'},{'op':'remove','path':'" PATH "'}"
#define SEEN                                                                                    \
	"[{'op':'test','path':'/metadata/uid','value':'5f0c9f0e-0000-4000-8000-000000000001'}," \
	"{'op':'test','path':'/metadata/generation','value':3}"

static void test_clear(void **state)
{
	static const struct {
		const char *annotation, *spec, *patch; /* patch NULL: nothing to be cleared */
	} cases[] = {
		{ NULL, "{" SPEC "}", NULL },
		{ "a token", "{" SPEC "}", NULL },
		{ NULL, "{" SPEC ",'checkpointReset':true}", SEEN "," FIELD "]" },
		{ "true", "{" SPEC "}", SEEN "," ANNOTATION "]" },
		{ "true", "{" SPEC ",'checkpointReset':true}", SEEN "," FIELD "," ANNOTATION "]" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct df_resource r;
		struct df_reset_wish wish;
		struct df_value *patch;

		flow(cases[i].annotation, cases[i].spec, &r);
		wish = df_reset_wish(&r, &arena);
		ok(df_reset_clear(&r, &wish, &arena, &patch, &err));
		if (cases[i].patch)
			assert_string_equal(text_of(patch), cases[i].patch);
		else
			assert_null(patch);
		df_resource_done(&r);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(test_wishes, free_arena),
		cmocka_unit_test_teardown(test_pointless, free_arena),
		cmocka_unit_test_teardown(test_checkpoint, free_arena),
		cmocka_unit_test_teardown(test_clear, free_arena),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

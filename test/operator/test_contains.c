/* df_contains: what is a difference, and what is only the server's way of writing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "operator/ensure.h"

static const struct {
	const char *live, *wanted; /* ' stands for " */
	bool contained;
} cases[] = {
	/* objects: by member, more may be there */
	{ "{'a':1,'b':2}", "{'a':1}", true },
	{ "{'b':2}", "{'a':1}", false },
	{ "{'a':2}", "{'a':1}", false },
	{ "{'metadata':{'labels':{'x':'1','theirs':'2'}}}", "{'metadata':{'labels':{'x':'1'}}}", true },
	{ "{'a':'x'}", "{'a':{'b':1}}", false },
	{ "{'a':{}}", "{'a':'x'}", false },
	/* what the server leaves out: empty, but not false or 0, whose default may be another */
	{ "{}", "{'a':''}", true },
	{ "{}", "{'a':[]}", true },
	{ "{}", "{'a':{}}", true },
	{ "{}", "{'a':false}", false },
	{ "{}", "{'a':0}", false },
	{ "{'a':'x'}", "{'a':''}", false },
	{ "{'a':[1]}", "{'a':[]}", false },
	/* lists: whole, in order; elements may have more */
	{ "{'args':['a','b']}", "{'args':['a','b']}", true },
	{ "{'args':['a','b','c']}", "{'args':['a','b']}", false },
	{ "{'args':['b','a']}", "{'args':['a','b']}", false },
	{ "{'args':['a']}", "{'args':['a','b']}", false },
	{ "{'sources':[{'configMap':{'name':'x','optional':false}}]}", "{'sources':[{'configMap':{'name':'x'}}]}",
	  true },
	{ "{'rules':[{'verbs':['get','patch']},{'verbs':['*']}]}", "{'rules':[{'verbs':['get','patch']}]}", false },
	{ "{'subjects':[{'name':'a'},{'name':'b'}]}", "{'subjects':[{'name':'a'}]}", false },
	/* lists with a key: found by it, others may stand beside */
	{ "{'containers':[{'name':'mesh'},{'name':'p','image':'i','x':1}]}",
	  "{'containers':[{'name':'p','image':'i'}]}", true },
	{ "{'containers':[{'name':'p','image':'j'}]}", "{'containers':[{'name':'p','image':'i'}]}", false },
	{ "{'env':[{'name':'B','value':'2'},{'name':'A','value':'1'}]}", "{'env':[{'name':'A','value':'1'}]}", true },
	{ "{'env':[]}", "{'env':[{'name':'A','value':'1'}]}", false },
	{ "{'env':[{'name':'A'}]}", "{'env':[{'name':'A','value':''}]}", true },
	{ "{'volumes':[{'name':'spec','configMap':{'name':'c'}}]}",
	  "{'volumes':[{'name':'spec','projected':{'mode':1}}]}", false },
	{ "{'volumeMounts':[{'name':'a','mountPath':'/x'},{'name':'a','mountPath':'/y'}]}",
	  "{'volumeMounts':[{'name':'a','mountPath':'/y'}]}", true },
	{ "{'ownerReferences':[{'uid':'1','name':'x'},{'uid':'2','name':'x','controller':true}]}",
	  "{'ownerReferences':[{'uid':'2','name':'x','controller':true}]}", true },
	{ "{'ports':[{'containerPort':9090,'protocol':'TCP'}]}", "{'ports':[{'containerPort':9090}]}", true },
	/* numbers by value; int-or-string */
	{ "{'a':1.0}", "{'a':1}", true },
	{ "{'port':9090}", "{'port':'9090'}", true },
	{ "{'port':'9090'}", "{'port':9090}", true },
	{ "{'port':'metrics'}", "{'port':9090}", false },
	{ "{'a':true}", "{'a':'true'}", false },
	/* quantities, where there are some */
	{ "{'limits':{'cpu':'500m'}}", "{'limits':{'cpu':'0.5'}}", true },
	{ "{'limits':{'cpu':'500m'}}", "{'limits':{'cpu':0.5}}", true },
	{ "{'limits':{'cpu':'1'}}", "{'limits':{'cpu':'1000m'}}", true },
	{ "{'limits':{'cpu':'2'}}", "{'limits':{'cpu':2}}", true },
	{ "{'limits':{'cpu':'501m'}}", "{'limits':{'cpu':'0.5'}}", false },
	{ "{'requests':{'memory':'1Gi'}}", "{'requests':{'memory':'1024Mi'}}", true },
	{ "{'requests':{'memory':'1Gi'}}", "{'requests':{'memory':1073741824}}", true },
	{ "{'requests':{'memory':'512Mi'}}", "{'requests':{'memory':'0.5Gi'}}", true },
	{ "{'requests':{'memory':'1G'}}", "{'requests':{'memory':'1e9'}}", true },
	{ "{'requests':{'memory':'1G'}}", "{'requests':{'memory':'1Gi'}}", false },
	{ "{'requests':{'memory':'8Ei'}}", "{'requests':{'memory':'8192Pi'}}", true },
	{ "{'requests':{'x':'100n'}}", "{'requests':{'x':'0.1u'}}", true },
	{ "{'requests':{'x':'1'}}", "{'requests':{'x':'1.0000000001'}}", false }, /* finer than they are kept */
	{ "{'requests':{'x':'-1'}}", "{'requests':{'x':'1'}}", false },
	{ "{'requests':{'x':'1X'}}", "{'requests':{'x':'1.0X'}}", false },
	{ "{'requests':{'x':'99999999999999999999999999999E'}}",
	  "{'requests':{'x':'99999999999999999999999999999.0E'}}", false },
	{ "{'emptyDir':{'sizeLimit':'64Mi'}}", "{'emptyDir':{'sizeLimit':'65536Ki'}}", true },
	{ "{'resourceFieldRef':{'divisor':'1'}}", "{'resourceFieldRef':{'divisor':1}}", true },
	{ "{'annotations':{'version':'1.0'}}", "{'annotations':{'version':'1.00'}}", false },
	{ "{'env':[{'name':'A','value':'1'}]}", "{'env':[{'name':'A','value':'1000m'}]}", false },
};

static struct df_value *parse(const char *text, struct df_arena *arena)
{
	struct df_str copy = df_arena_dup(arena, df_str_c(text));
	struct df_value *v = NULL;

	for (char *c = (char *)copy.ptr; *c; c++)
		if (*c == '\'')
			*c = '"';
	assert_int_equal(df_value_parse(copy, arena, &v, NULL), DF_PARSE_OK);
	return v;
}

static void test_cases(void **state)
{
	struct df_arena arena;

	(void)state;
	for (size_t i = 0; i < DF_ARRAY_SIZE(cases); i++) {
		df_arena_init(&arena, NULL);
		if (df_contains(parse(cases[i].live, &arena), parse(cases[i].wanted, &arena)) != cases[i].contained)
			fail_msg("%s in %s", cases[i].wanted, cases[i].live);
		df_arena_done(&arena);
	}
}

/* Everything contains itself. */
static void test_itself(void **state)
{
	struct df_arena arena;

	(void)state;
	for (size_t i = 0; i < DF_ARRAY_SIZE(cases); i++) {
		df_arena_init(&arena, NULL);
		assert_true(df_contains(parse(cases[i].wanted, &arena), parse(cases[i].wanted, &arena)));
		df_arena_done(&arena);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cases),
		cmocka_unit_test(test_itself),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

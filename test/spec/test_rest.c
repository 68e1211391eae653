/* A table whose last row takes what no other takes: kept as it is, with Secrets at any depth. */
#include "support.h"

#include "spec/generate.h"
#include "spec/secrets.h"
#include "spec/spec.h"

struct open_settings {
	struct df_opt_int size;
	struct df_rest rest;
};

static const struct df_field open_fields[] = {
	DF_FIELD(struct open_settings, size, "size", 0, .min = 0, .max = 100, .doc = "How many."),
	DF_FIELD(struct open_settings, rest, "*", 0, .doc = "Anything else."),
};
static const struct df_table open_table = DF_TABLE(struct open_settings, open_fields);

#define SECRETS "kind: Secret\nmetadata: {name: s}\nstringData: {a: \"top \\\"x\\\"\", b: deep}\n"

struct parsed {
	struct df_arena arena;
	struct df_secret_store *store;
	struct open_settings settings;
	struct df_diags diags;
};

static void parse(struct parsed *p, const char *text, bool resolve)
{
	*p = (struct parsed){ .store = df_secret_store_new(NULL, NULL) };
	struct df_parse_options options = { .file = "flow.yaml", .path = "c" };

	df_arena_init(&p->arena, NULL);
	df_secret_store_add(p->store, read_one(SECRETS, &p->arena), "flow.yaml", &p->diags);
	options.secrets = resolve ? df_secret_store_get(p->store) : NULL;
	df_settings_parse(&open_table, read_one(text, &p->arena), &options, &p->settings, &p->diags);
}

static void done(struct parsed *p)
{
	df_settings_done(&open_table, &p->settings);
	df_diags_done(&p->diags);
	df_secret_store_free(p->store);
	df_arena_done(&p->arena);
}

static void assert_written(const struct parsed *p, const char *shown, const char *resolved)
{
	df_cleanup(df_buf_done) struct df_buf buf = { 0 };

	df_settings_write(&open_table, &p->settings, &buf);
	assert_string_equal(df_buf_c(&buf), shown);
	buf.len = 0;
	df_settings_write_resolved(&open_table, &p->settings, &buf);
	assert_string_equal(df_buf_c(&buf), resolved);
}

static void collect(void *arg, const char *value)
{
	df_buf_printf(arg, "%s;", value);
}

static void collect_ref(void *arg, const char *path, const struct df_secret_ref *ref)
{
	df_buf_printf(arg, "%s=%s/%s;", path, ref->name, ref->key);
}

#define NESTED                                                                                                         \
	"size: 5\n\"*\": star\nurl: http://x\nn: 1.50\nlist: [{pwSecretRef: {name: s, key: b}, k: 1}, [true, null]]\n" \
	"tokenSecretRef: {name: s, key: a}\nauth: {Password: \"p\\\"w\", user: me}\n"

static void test_kept_as_written(void **state)
{
	df_cleanup(df_buf_done) struct df_buf buf = { 0 };
	struct parsed p;

	(void)state;
	parse(&p, NESTED, true);
	assert_printed(&p.diags, "");
	assert_int_equal(p.settings.size.value, 5);
	assert_written(&p,
		       "{\"size\":5,\"*\":\"star\",\"url\":\"http://x\",\"n\":1.50,\"list\":[{\"pwSecretRef\":"
		       "{\"name\":\"s\",\"key\":\"b\"},\"k\":1},[true,null]],\"tokenSecretRef\":{\"name\":\"s\","
		       "\"key\":\"a\"},\"auth\":{\"Password\":\"***\",\"user\":\"me\"}}",
		       "{\"size\":5,\"*\":\"star\",\"url\":\"http://x\",\"n\":1.50,\"list\":[{\"pw\":\"deep\",\"k\":1},"
		       "[true,null]],\"token\":\"top \\\"x\\\"\",\"auth\":{\"Password\":\"p\\\"w\",\"user\":\"me\"}}");
	df_settings_secret_values(&open_table, &p.settings, collect, &buf);
	assert_string_equal(df_buf_c(&buf), "deep;top \"x\";p\"w;");
	buf.len = 0;
	df_settings_secret_refs(&open_table, &p.settings, collect_ref, &buf);
	assert_string_equal(df_buf_c(&buf), "list[0].pwSecretRef=s/b;tokenSecretRef=s/a;");
	done(&p);
}

static void test_unresolved(void **state)
{
	struct parsed p;

	(void)state;
	parse(&p, "aSecretRef: {name: s, key: a}\nb: 1\n", false);
	assert_printed(&p.diags, "");
	assert_written(&p, "{\"aSecretRef\":{\"name\":\"s\",\"key\":\"a\"},\"b\":1}",
		       "{\"aSecretRef\":{\"name\":\"s\",\"key\":\"a\"},\"b\":1}");
	done(&p);
}

static void test_problems(void **state)
{
	struct parsed p;

	(void)state;
	parse(&p, "x: {aSecretRef: {name: s, key: gone}}\nbSecretRef: {name: s}\nc: 1\ncSecretRef: {name: s, key: a}\n",
	      true);
	assert_printed(&p.diags,
		       "flow.yaml:1: c.x.aSecretRef: Secret \"s\", key \"gone\": the Secret has no such key\n"
		       "flow.yaml:2: c.bSecretRef.key: required\n"
		       "flow.yaml:3: c.c: warning: has no effect because `cSecretRef` is set; remove one of them\n");
	done(&p);
	parse(&p, "size: 101\n", true);
	assert_int_equal(p.diags.errors, 1);
	done(&p);
	parse(&p, "{}", true);
	assert_written(&p, "{}", "{}");
	done(&p);
	/* What only looks like a reference is an ordinary member. */
	parse(&p, "mySecretRef: text\nSecretRef: {name: x}\n", true);
	assert_written(&p, "{\"mySecretRef\":\"***\",\"SecretRef\":{\"name\":\"x\"}}",
		       "{\"mySecretRef\":\"text\",\"SecretRef\":{\"name\":\"x\"}}");
	done(&p);
}

static void test_generated(void **state)
{
	df_cleanup(df_buf_done) struct df_buf buf = { 0 };
	struct df_registry registry = { 0 };

	(void)state;
	df_generate_json_schema_object(&open_table, &registry, &buf);
	assert_null(strstr(df_buf_c(&buf), "additionalProperties"));
	assert_null(strstr(df_buf_c(&buf), "\"*\""));
	buf.len = 0;
	df_generate_openapi(&open_table, &registry, 0, &buf);
	assert_non_null(strstr(df_buf_c(&buf), "x-kubernetes-preserve-unknown-fields: true"));
	assert_null(strstr(df_buf_c(&buf), "*:"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_kept_as_written),
		cmocka_unit_test(test_unresolved),
		cmocka_unit_test(test_problems),
		cmocka_unit_test(test_generated),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

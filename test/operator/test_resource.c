/* Names, and what a resource of the cluster says. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>

#include "operator/names.h"
#include "test/operator/resources.h"

#define FLOW DF_KIND_DATAFLOW
#define CRON DF_KIND_DATAFLOWCRON

#define SOURCE "'source':{'type':'generate','config':{'count':3}}"
#define SINK "'sink':{'type':'discard','config':{}}"
#define FILES "'source':{'type':'file','config':{'path':'/in'}}," SINK

/* ---- names ----------------------------------------------------------------------------------------------- */

static void test_object_names(void **state)
{
	static const struct {
		enum df_object_name which;
		const char *flow, *cron;
	} rows[] = {
		{ DF_NAME_SPEC, "df-orders-spec", "dfc-orders-spec" },
		{ DF_NAME_CHECKPOINT, "df-orders-checkpoint", "df-orders-checkpoint" },
		{ DF_NAME_PROCESSOR, "df-orders-processor", "df-orders-processor" },
		{ DF_NAME_WORKLOAD, "df-orders", "dfc-orders" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		assert_string_equal(df_object_name(rows[i].which, FLOW, "orders", &arena), rows[i].flow);
		assert_string_equal(df_object_name(rows[i].which, CRON, "orders", &arena), rows[i].cron);
	}
	assert_string_equal(df_mirror_name("data", "db", &arena), "dataflow-mirror.data.db");
}

/* The digits are `printf %s TEXT | sha1sum`. */
static void test_job_names(void **state)
{
	const char *long_name = "a23456789012345678901234567890123456789012345678";
	char run_id[9];

	(void)state;
	df_run_id("dfc-orders-29012345", run_id);
	assert_string_equal(run_id, "43819276");
	assert_string_equal(df_trigger_job_name("orders", "43819276", 0, &arena), "dfc-orders-43819276-trigger-0");
	/* 63 characters stay, 64 are cut. */
	assert_int_equal(strlen(df_trigger_job_name(long_name + 8, "43819276", 0, &arena)), 63);
	assert_non_null(strstr(df_trigger_job_name(long_name + 8, "43819276", 0, &arena), "-trigger-0"));
	assert_string_equal(df_trigger_job_name(long_name + 7, "43819276", 0, &arena),
			    "dfc-89012345678901234567890123456789012345678-43819276-83aba0a7");
}

/* ---- the spec -------------------------------------------------------------------------------------------- */

static const char *spec_of(enum df_manifest_kind kind, const char *spec, char hash[65])
{
	struct df_resource r;
	const char *text;

	parse_good(kind, "orders", spec, &r);
	text = df_arena_dup(&arena, r.spec_json).ptr;
	if (hash)
		memcpy(hash, r.spec_hash, 65);
	df_resource_done(&r);
	return text;
}

static void test_spec_is_canonical(void **state)
{
	char hash[65];

	(void)state;
	assert_string_equal(spec_of(FLOW,
				    "{" SINK ", 'later' : {'z':'\\u00fc','a':[{'d':1.50, 'c':null}]}," SOURCE
				    ",'replicas':1}",
				    hash),
			    "{\"later\":{\"a\":[{\"c\":null,\"d\":1.50}],\"z\":\"ü\"},"
			    "\"sink\":{\"config\":{},\"type\":\"discard\"},"
			    "\"source\":{\"config\":{\"count\":3},\"type\":\"generate\"}}");
	/* printf %s TEXT | sha256sum */
	assert_string_equal(hash, "f325e8f681a523e1baf38fa44dce4bd05f87cb44558caf5a775d881fae7ff06a");
}

/* What only the operator acts on changes no processor; everything else does. */
static void test_what_changes_the_hash(void **state)
{
	static const struct {
		enum df_manifest_kind kind;
		const char *members;
		bool same;
	} rows[] = {
		{ FLOW, "'replicas':0", true },
		{ FLOW, "'resources':{'limits':{'cpu':'2'}}", true },
		{ FLOW, "'nodeSelector':{'disk':'ssd'}", true },
		{ FLOW, "'affinity':{'nodeAffinity':{}}", true },
		{ FLOW, "'tolerations':[{'operator':'Exists'}]", true },
		{ FLOW, "'imagePullSecrets':[{'name':'pull'}]", true },
		{ FLOW, "'processorImage':'a/b:1'", true },
		{ FLOW, "'processorVersion':'1'", true },
		{ FLOW, "'maintenance':{'suspended':true}", true },
		{ FLOW, "'suspended':true", true },
		{ FLOW, "'checkpointReset':true", true },
		{ FLOW, "'terminationGracePeriodSeconds':7", true },
		{ FLOW, "'lifecycle':{}", true },
		{ FLOW, "'channelBufferSize':7", false },
		{ FLOW, "'checkpointPersistence':false", false },
		{ FLOW, "'onError':'drop'", false },
		{ FLOW, "'memoryLimit':'64Mi'", false },
		{ FLOW, "'transformations':[]", false }, /* as written */
		{ CRON, "'timeZone':'Europe/Berlin'", true },
		{ CRON, "'concurrencyPolicy':'Forbid'", true },
		{ CRON, "'successfulJobsHistoryLimit':7", true },
		{ CRON, "'failedJobsHistoryLimit':7", true },
		{ CRON, "'startingDeadlineSeconds':70", true },
		{ CRON, "'suspend':true", true },
		{ CRON, "'triggers':[{'image':'a/b:1'}]", true },
		{ CRON, "'transformWorkers':2", false },
	};
	char flow[65], cron[65], hash[65];

	(void)state;
	spec_of(FLOW, "{" SOURCE "," SINK "}", flow);
	spec_of(CRON, "{" SOURCE "," SINK ",'schedule':'* * * * *'}", cron);
	assert_string_equal(flow, cron);
	spec_of(FLOW, "{" SINK "," SOURCE "}", hash);
	assert_string_equal(flow, hash);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char spec[512];

		snprintf(spec, sizeof(spec), "{" SOURCE "," SINK "%s,%s}",
			 rows[i].kind == CRON ? ",'schedule':'5 * * * *'" : "", rows[i].members);
		spec_of(rows[i].kind, spec, hash);
		if ((strcmp(hash, flow) == 0) != rows[i].same)
			fail_msg("%s: the hash is %s", rows[i].members, rows[i].same ? "another" : "the same");
	}
}

/* Puts the members of every object into a random order. */
static void shuffle(struct df_value *v, unsigned *seed)
{
	struct df_value *members[16];
	size_t n = 0;

	if (!df_value_is_container(v))
		return;
	df_for_each (child, v)
		shuffle(child, seed);
	if (v->kind != DF_OBJECT)
		return;
	assert_in_range(v->len, 0, 16);
	while (v->first) {
		members[n++] = v->first;
		df_container_remove(v, NULL, v->first);
	}
	while (n) {
		size_t i = (size_t)rand_r(seed) % n;

		df_object_append(v, df_value_key(members[i]), members[i]);
		members[i] = members[--n];
	}
}

static void test_order_does_not_matter(void **state)
{
	struct df_value *o =
		object(FLOW, "orders",
		       "{'transformWorkers':2,'onError':'drop',"
		       "'source':{'type':'postgresql','config':{'table':'t','pollInterval':3,"
		       "'connectionStringSecretRef':{'name':'pg','key':'url','namespace':'other'}}},"
		       "'transformations':[{'type':'insertField','config':{'fields':{'a':'1','b':'2','c':'3'}}},"
		       "{'type':'select','config':{'fields':['b','a']}}],"
		       "'sink':{'type':'discard','config':{}},'retry':{'attempts':1,'initial':'1s','max':'2s'}}");
	char first[65] = "";
	unsigned seed = 7;

	(void)state;
	for (int round = 0; round < 200; round++) {
		struct df_error err = DF_ERROR_INIT;
		struct df_resource r;

		assert_int_equal(df_resource_parse(FLOW, o, &arena, &r, &err), 0);
		assert_int_equal(r.diags.errors, 0);
		if (round == 0)
			memcpy(first, r.spec_hash, sizeof(first));
		assert_string_equal(r.spec_hash, first);
		df_resource_done(&r);
		shuffle(o, &seed);
	}
}

/* ---- metadata and checks --------------------------------------------------------------------------------- */

static void test_metadata(void **state)
{
	struct df_error err = DF_ERROR_INIT;
	struct df_resource r;
	struct df_value *o = object(FLOW, "orders", "{" SOURCE "," SINK ",'replicas':0}");

	(void)state;
	assert_int_equal(df_resource_parse(FLOW, o, &arena, &r, &err), 0);
	assert_string_equal(r.namespace, "team");
	assert_string_equal(r.name, "orders");
	assert_string_equal(r.uid, "5f0c9f0e-0000-4000-8000-000000000001");
	assert_int_equal(r.generation, 3);
	assert_false(r.deleting);
	assert_int_equal(df_resource_replicas(&r), 0);
	df_resource_done(&r);
	df_object_set(at(o, "metadata"), DF_STR("deletionTimestamp"),
		      df_value_string(&arena, DF_STR("2026-01-01T00:00:00Z")));
	assert_int_equal(df_resource_parse(FLOW, o, &arena, &r, &err), 0);
	assert_true(r.deleting);
	df_resource_done(&r);
	df_resource_done(&r);
}

static void test_names_that_are_too_long(void **state)
{
	static const struct {
		enum df_manifest_kind kind;
		size_t len;
		bool good;
	} rows[] = { { FLOW, 63, true }, { FLOW, 64, false }, { CRON, 48, true }, { CRON, 49, false } };
	char name[80] = { 0 };

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct df_resource r;

		memset(name, 'a', sizeof(name));
		name[rows[i].len] = 0;
		parse(rows[i].kind, name,
		      rows[i].kind == CRON ? "{" SOURCE "," SINK ",'schedule':'* * * * *'}" : "{" SOURCE "," SINK "}",
		      &r);
		assert_int_equal(r.diags.errors, !rows[i].good);
		if (!rows[i].good)
			assert_string_equal(r.diags.items[0].path, "metadata.name");
		df_resource_done(&r);
	}
}

static void test_errors(void **state)
{
	static const struct {
		enum df_manifest_kind kind;
		const char *spec, *path;
	} rows[] = {
		{ FLOW, "null", "spec" },
		{ FLOW, "{" SINK "}", "spec.source" },
		{ FLOW, "{" SOURCE "," SINK ",'replicas':2}", "spec.replicas" }, /* df_manifest_check */
		{ CRON, "{" SOURCE "," SINK "}", "spec.schedule" },
		{ FLOW,
		  "{" SOURCE ",'sink':{'type':'sqlite','config':{'path':'/x','table':'t','exactlyOnce':true}},'errors':"
		  "{'type':'file','ackPolicy':'never','config':{'path':'/e'}}}",
		  "spec.sink.config.exactlyOnce" }, /* df_delivery_check */
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct df_resource r;

		parse(rows[i].kind, "orders", rows[i].spec, &r);
		assert_int_equal(r.diags.errors, 1);
		assert_string_equal(r.diags.items[0].path, rows[i].path);
		assert_null(r.spec_json.ptr);
		df_resource_done(&r);
	}
}

/* What is stored may be of a newer version: told, but it runs. */
static void test_unknown_keys_warn(void **state)
{
	struct df_resource r;

	(void)state;
	parse_good(FLOW, "orders", "{" SOURCE "," SINK ",'later':1}", &r);
	assert_true(r.diags.count > 0 && r.diags.items[0].warning);
	df_resource_done(&r);
}

/* ---- references ------------------------------------------------------------------------------------------ */

static void test_secrets(void **state)
{
	struct df_resource r;

	(void)state;
	parse_good(FLOW, "orders",
		   "{'source':{'type':'postgresql','config':{'table':'t',"
		   "'connectionStringSecretRef':{'name':'pg','key':'url'}}},"
		   "'transformations':[{'type':'router','config':{'routes':[{'condition':'a == 1','sink':"
		   "{'type':'postgresql','config':{'table':'t','connectionStringSecretRef':"
		   "{'namespace':'other','name':'pg','key':'url'}}}}]}}],"
		   "'sink':{'type':'postgresql','config':{"
		   "'connectionStringSecretRef':{'namespace':'team','name':'pg','key':'sink'},"
		   "'tableSecretRef':{'name':'aa','key':'z'}}},"
		   "'errors':{'type':'postgresql','config':{'tableSecretRef':{'name':'aa','key':'a'},"
		   "'connectionStringSecretRef':{'name':'pg','key':'url'}}}}",
		   &r);
	assert_int_equal(r.secret_count, 3);
	assert_null(r.secrets[0].namespace);
	assert_string_equal(r.secrets[0].name, "aa");
	assert_int_equal(r.secrets[0].key_count, 2);
	assert_string_equal(r.secrets[0].keys[0], "a");
	assert_string_equal(r.secrets[0].keys[1], "z");
	assert_string_equal(r.secrets[0].path, "spec.sink.config.tableSecretRef");
	assert_null(r.secrets[1].namespace); /* written, but it is the own one */
	assert_string_equal(r.secrets[1].name, "pg");
	assert_int_equal(r.secrets[1].key_count, 2);
	assert_string_equal(r.secrets[1].keys[0], "sink");
	assert_string_equal(r.secrets[1].keys[1], "url");
	assert_string_equal(r.secrets[1].path, "spec.source.config.connectionStringSecretRef");
	assert_string_equal(r.secrets[2].namespace, "other");
	assert_string_equal(r.secrets[2].name, "pg");
	assert_int_equal(r.secrets[2].key_count, 1);
	assert_string_equal(r.secrets[2].path,
			    "spec.transformations[0].config.routes[0].sink.config.connectionStringSecretRef");
	df_resource_done(&r);
}

/* ---- where the position is kept -------------------------------------------------------------------------- */

static void test_position(void **state)
{
	static const struct {
		const char *members;
		bool checkpoint, position;
	} rows[] = {
		{ FILES, true, true },
		{ FILES ",'checkpointPersistence':true", true, true },
		{ FILES ",'checkpointPersistence':false", false, false },
		{ "'source':{'type':'kafka','config':{'brokers':['b:9092'],'topic':'t'}}," SINK, true, false },
		{ "'source':{'type':'postgresql','config':{'connectionString':'x','table':'t'}}," SINK, true, true },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct df_resource r;
		char spec[512];

		snprintf(spec, sizeof(spec), "{%s}", rows[i].members);
		parse_good(FLOW, "orders", spec, &r);
		if (r.checkpoint != rows[i].checkpoint || r.position != rows[i].position)
			fail_msg("%s: checkpoint %d, position %d", rows[i].members, r.checkpoint, r.position);
		df_resource_done(&r);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(test_object_names, free_arena),
		cmocka_unit_test_teardown(test_job_names, free_arena),
		cmocka_unit_test_teardown(test_spec_is_canonical, free_arena),
		cmocka_unit_test_teardown(test_what_changes_the_hash, free_arena),
		cmocka_unit_test_teardown(test_order_does_not_matter, free_arena),
		cmocka_unit_test_teardown(test_metadata, free_arena),
		cmocka_unit_test_teardown(test_names_that_are_too_long, free_arena),
		cmocka_unit_test_teardown(test_errors, free_arena),
		cmocka_unit_test_teardown(test_unknown_keys_warn, free_arena),
		cmocka_unit_test_teardown(test_secrets, free_arena),
		cmocka_unit_test_teardown(test_position, free_arena),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

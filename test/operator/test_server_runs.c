/* The actions of a cron's runs on a real API server: each is made on the very version that was seen, or not at all.
 * KUBECONFIG and KUBECTL of `test/services/kubernetes env`; argv[1]: config/crd. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "kube/build.h"
#include "operator/names.h"
#include "operator/runs.h"
#include "test/operator/resources.h"

#include "test/kube/server.h"

#define OLD "1" /* a version that no Job has any more */

static const char *crds;
static struct df_resource cron;
static struct df_operator_settings settings = { .processor_image = (char[]){ "example.org/dataflow:1" } };

static struct df_value *get(const char *job)
{
	struct df_kube_ref ref = { .resource = &df_kube_jobs, .namespace = namespace, .name = job };
	struct df_value *v;

	ok(df_kube_get(client, NULL, &ref, &arena, &v, &err));
	return v;
}

static const char *text_in(const struct df_value *v, const char *path)
{
	const struct df_value *found = at(v, path);

	return found ? df_arena_dup(&arena, df_value_text(found, &arena)).ptr : NULL;
}

static struct df_value *create(const struct df_kube_resource *kind, const char *ns, struct df_value *object)
{
	struct df_kube_ref ref = { .resource = kind, .namespace = ns };
	struct df_value *v;

	ok(df_kube_create(client, NULL, &ref, object, &arena, &v, &err));
	return v;
}

/* A Job as a CronJob makes it, suspended, and as it is when its controller has seen it: from then on nobody changes it.
 */
static struct df_value *make_job(const char *name)
{
	struct df_value *job;
	int tries = 0;

	ok(df_kube_build(&arena, &job, &err,
			 "{'apiVersion':'batch/v1','kind':'Job','metadata':{'name':%s},'spec':{'suspend':true,"
			 "'template':{'spec':{'restartPolicy':'Never','containers':[{'name':'processor',"
			 "'image':'example.org/x:1'}]}}}}",
			 name));
	create(&df_kube_jobs, namespace, job);
	while (!at(get(name), "status conditions 0")) {
		assert_in_range(++tries, 1, 200);
		usleep(50000);
	}
	return get(name);
}

/* An action on the Job as it was seen. */
static struct df_chain_action on(const struct df_value *job, enum df_chain_verb verb)
{
	return (struct df_chain_action){ .verb = verb,
					 .job = text_in(job, "metadata name"),
					 .uid = text_in(job, "metadata uid"),
					 .version = text_in(job, "metadata resourceVersion"),
					 .run_id = "01234567" };
}

/* True: it was done. False: what was seen is behind. */
static bool act(struct df_chain_action action)
{
	const struct df_objects_of of = { .settings = &settings, .resource = &cron, .arena = &arena };
	const struct df_chain_result chain = { .actions = &action, .action_count = 1 };
	struct df_reconcile r = { .settings = &settings,
				  .client = client,
				  .arena = &arena,
				  .kind = DF_KIND_DATAFLOWCRON,
				  .namespace = namespace,
				  .name = "c" };
	bool behind;

	ok(df_runs_act(&r, &of, &chain, !action.late, &behind, &err)); /* not its turn */
	assert_false(behind);
	ok(df_runs_act(&r, &of, &chain, action.late, &behind, &err));
	return !behind;
}

/* ---------------------------------------------------------------------------------------------------------- */

static void test_patch(void **state)
{
	struct df_chain_action action = on(make_job("patched"), DF_CHAIN_PATCH), old = action;

	(void)state;
	old.version = OLD;
	assert_false(act(old));
	assert_null(at(get("patched"), "metadata labels " DF_LABEL_RUN));
	action.suspend = DF_CHAIN_RELEASE;
	action.mark = "trigger-0";
	assert_true(act(action));
	assert_string_equal(text_in(get("patched"), "metadata labels " DF_LABEL_RUN), "01234567");
	assert_string_equal(text_in(get("patched"), "metadata annotations " DF_ANNOTATION_CHAIN), "trigger-0");
	assert_int_equal(at(get("patched"), "spec suspend")->kind, DF_FALSE);
	assert_false(act(action)); /* it has changed */

	action = on(get("patched"), DF_CHAIN_PATCH);
	action.suspend = DF_CHAIN_SUSPEND;
	action.version = NULL;
	assert_true(act(action));
	assert_string_equal(text_in(get("patched"), "metadata annotations " DF_ANNOTATION_CHAIN), "trigger-0");
	assert_int_equal(at(get("patched"), "spec suspend")->kind, DF_TRUE);
}

static void test_guard(void **state)
{
	struct df_value *other = make_job("other");
	struct df_chain_action action = on(make_job("guarded"), DF_CHAIN_PATCH);

	(void)state;
	action.mark = "done";
	action.guard = "other";
	action.guard_version = OLD;
	assert_false(act(action));
	assert_null(at(get("guarded"), "metadata annotations"));
	action.guard = "nobody";
	assert_false(act(action));
	action.guard = "other";
	action.guard_version = text_in(other, "metadata resourceVersion");
	assert_true(act(action));
}

static void test_gone(void **state)
{
	struct df_chain_action action = on(make_job("gone"), DF_CHAIN_DELETE);

	(void)state;
	assert_true(act(action));
	assert_null(get("gone"));
	assert_true(act(action)); /* it is what was wanted */
	action.verb = DF_CHAIN_PATCH;
	assert_false(act(action));
	action.verb = DF_CHAIN_CREATE;
	action.processor_job = "gone";
	assert_false(act(action));
}

static void test_delete(void **state)
{
	struct df_chain_action action = on(make_job("deleted"), DF_CHAIN_DELETE), old = action, another = action;

	(void)state;
	old.version = OLD;
	assert_false(act(old));
	another.uid = "5f0c9f0e-0000-4000-8000-000000000001";
	another.version = NULL;
	assert_false(act(another));
	assert_null(at(get("deleted"), "metadata deletionTimestamp"));
	action.late = true;
	assert_true(act(action));
}

static void test_create(void **state)
{
	struct df_value *job = make_job("dfc-c-1");
	struct df_chain_action action = on(job, DF_CHAIN_CREATE), old = action;
	const char *name, *uid;
	char id[9];

	(void)state;
	df_run_id("dfc-c-1", id);
	name = df_trigger_job_name("c", id, 0, &arena);
	action.processor_job = old.processor_job = "dfc-c-1";
	action.run_id = old.run_id = id;
	old.version = OLD;
	assert_false(act(old));
	assert_null(get(name));
	assert_true(act(action));
	job = get(name);
	uid = text_in(job, "metadata uid");
	assert_string_equal(text_in(job, "metadata ownerReferences 0 uid"), cron.uid);
	assert_string_equal(text_in(job, "metadata ownerReferences 0 kind"), "DataFlowCron");
	assert_true(act(action)); /* it is there: fine */
	assert_string_equal(text_in(get(name), "metadata uid"), uid);
}

/* Somebody's own Job has the name. */
static void test_conflict(void **state)
{
	struct df_chain_action action = on(make_job("dfc-c-2"), DF_CHAIN_CREATE);
	const struct df_objects_of of = { .settings = &settings, .resource = &cron, .arena = &arena };
	const struct df_chain_result chain = { .actions = &action, .action_count = 1 };
	struct df_reconcile r = {
		.client = client, .arena = &arena, .kind = DF_KIND_DATAFLOWCRON, .namespace = namespace, .name = "c"
	};
	bool behind;
	char id[9];

	(void)state;
	df_run_id("dfc-c-2", id);
	make_job(df_trigger_job_name("c", id, 0, &arena));
	action.processor_job = "dfc-c-2";
	action.run_id = id;
	assert_int_equal(df_runs_act(&r, &of, &chain, false, &behind, &err), DF_ERR_CONFIG);
	assert_non_null(strstr(err.text, "is not of this DataFlowCron"));
}

/* ---------------------------------------------------------------------------------------------------------- */

static int set_up(void **state)
{
	(void)state;
	df_arena_init(&arena, NULL);
	apply_crds(crds);
	open_server("runs", DF_FIELD_MANAGER, false);
	ok(df_resource_parse(DF_KIND_DATAFLOWCRON,
			     create(&df_kube_dataflowcrons, namespace,
				    json("{'apiVersion':'" DF_API_VERSION "','kind':'DataFlowCron','metadata':{"
					 "'name':'c'},'spec':{'schedule':'0 0 1 1 *','source':{'type':'generate',"
					 "'config':{'count':1}},'sink':{'type':'discard','config':{}},"
					 "'triggers':[{'image':'example.org/hook:1'}]}}")),
			     &arena, &cron, &err));
	assert_int_equal(cron.diags.errors, 0);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	close_server();
	df_resource_done(&cron);
	df_arena_done(&arena);
	return 0;
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_patch),  cmocka_unit_test(test_guard),  cmocka_unit_test(test_gone),
		cmocka_unit_test(test_delete), cmocka_unit_test(test_create), cmocka_unit_test(test_conflict),
	};

	(void)resource_namespace;
	crds = argc > 1 ? argv[1] : "config/crd";
	return cmocka_run_group_tests(tests, set_up, tear_down);
}

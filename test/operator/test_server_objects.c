/* The objects on a real API server: it takes them as they are, changes nothing when they come again, and makes their
 * pods where Pod Security "restricted" is enforced. KUBECONFIG of `test/services/kubernetes env`. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <unistd.h>

#include "operator/ensure.h"
#include "operator/names.h"
#include "operator/objects.h"
#include "test/operator/resources.h"

#include "test/kube/server.h"

#define FLOW DF_KIND_DATAFLOW
#define CRON DF_KIND_DATAFLOWCRON
#define WAIT_S 30

#define SINK "'sink':{'type':'discard','config':{}}"
#define FILES "'source':{'type':'file','config':{'path':'/in'}}," SINK
#define RUN "{" FILES ",'schedule':'* * * * *'"

static struct df_operator_settings settings = {
	.processor_image = (char *)"example.org/dataflow:1",
	.processor_log_level = (char *)"info",
	.processor_progress_timeout = (char *)"3600",
};

/* ---- building -------------------------------------------------------------------------------------------- */

typedef int builder(const struct df_objects_of *of, struct df_value **ret, struct df_error *e);

static int deployment(const struct df_objects_of *of, struct df_value **ret, struct df_error *e)
{
	return df_object_deployment(of, 1, ret, e);
}

static int cronjob(const struct df_objects_of *of, struct df_value **ret, struct df_error *e)
{
	return df_object_cronjob(of, true, ret, e);
}

static int trigger(const struct df_objects_of *of, struct df_value **ret, struct df_error *e)
{
	return df_object_trigger_job(of, "dfc-orders-1", 0, ret, e);
}

static struct df_value *built(builder *build, enum df_manifest_kind kind, const char *name, const char *spec)
{
	struct df_resource r;
	struct df_objects_of of = { &settings, &r, &arena };
	struct df_value *v;

	parse_good(kind, name, spec, &r);
	ok(build(&of, &v, &err));
	v = df_value_clone_deep(v, &arena);
	df_resource_done(&r);
	return v;
}

static struct df_value *apply(const struct df_kube_resource *resource, const struct df_value *v)
{
	struct df_kube_ref ref = { .resource = resource, .namespace = namespace };
	struct df_value *live;

	ref.name = df_arena_dup(&arena, df_kube_text(v, &arena, "metadata", "name", NULL)).ptr;
	ok(df_kube_apply(client, NULL, &ref, v, &arena, &live, &err));
	return live;
}

/* ---- as they are ------------------------------------------------------------------------------------------ */

#define EVERYTHING                                                                                                     \
	"'source':{'type':'postgresql','config':{'table':'t','connectionStringSecretRef':{'name':'pg','key':'dsn'}}}," \
	"'sink':{'type':'iceberg','config':{'catalogURI':'http://c','namespace':'n','table':'t',"                      \
	"'s3Endpoint':'http://s3','s3Region':'eu','bearerTokenSecretRef':"                                             \
	"{'name':'cat','namespace':'other','key':'t'}}},"                                                              \
	"'resources':{'requests':{'cpu':0.5,'memory':'0.5Gi'},'limits':{'cpu':1}},'nodeSelector':{'disk':'ssd'},"      \
	"'tolerations':[{'key':'k','operator':'Exists'}],'imagePullSecrets':[{'name':'pull'}],"                        \
	"'affinity':{'podAntiAffinity':{'preferredDuringSchedulingIgnoredDuringExecution':[{'weight':1,"               \
	"'podAffinityTerm':{'topologyKey':'kubernetes.io/hostname'}}]}},"                                              \
	"'processorVersion':'7'"
#define ALL_OF_A_CRON                                                                                                \
	",'schedule':'0 5 * * * *','timeZone':'Europe/Berlin','concurrencyPolicy':'Forbid',"                         \
	"'startingDeadlineSeconds':300,'successfulJobsHistoryLimit':0,'triggers':[{'image':'a/b:1','name':'report'," \
	"'command':['/report'],'args':['-v'],'imagePullPolicy':'Always','resources':{'limits':{'cpu':'1'}},"         \
	"'env':[{'name':'A','value':'b'},{'name':'K','valueFrom':{'secretKeyRef':{'name':'s','key':'k'}}}]}]"

static void test_taken_as_they_are(void **state)
{
	static const struct {
		const struct df_kube_resource *resource;
		builder *build;
		bool flow, cron;
	} rows[] = {
		{ &df_kube_configmaps, df_object_spec_configmap, true, true },
		{ &df_kube_configmaps, df_object_checkpoint_configmap, true, true },
		{ &df_kube_leases, df_object_lease, true, true },
		{ &df_kube_serviceaccounts, df_object_service_account, true, true },
		{ &df_kube_roles, df_object_role, true, true },
		{ &df_kube_rolebindings, df_object_role_binding, true, true },
		{ &df_kube_deployments, deployment, true, false },
		{ &df_kube_cronjobs, cronjob, false, true },
		{ &df_kube_jobs, trigger, false, true },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		for (int kind = FLOW; kind <= CRON; kind++) {
			struct df_value *wanted, *live;

			if (kind == FLOW ? !rows[i].flow : !rows[i].cron)
				continue;
			wanted = built(rows[i].build, (enum df_manifest_kind)kind, kind == FLOW ? "all" : "all-cron",
				       kind == FLOW ? "{" EVERYTHING "}" : "{" EVERYTHING ALL_OF_A_CRON "}");
			live = apply(rows[i].resource, wanted);
			if (!df_contains(live, wanted))
				fail_msg("the server has\n%s\nnot\n%s", text_of(live), text_of(wanted));
		}
}

/* ---- Pod Security ----------------------------------------------------------------------------------------- */

static int take(void *arg, struct df_value *v, struct df_error *e)
{
	struct df_value **found = arg;

	(void)e;
	*found = df_value_clone_deep(v, &arena);
	return 0;
}

/* A pod with that label, waited for; NULL: none was made. */
static struct df_value *pod_of(const char *selector, int seconds)
{
	struct df_kube_ref ref = { .resource = &df_kube_pods, .namespace = namespace };
	struct df_kube_list_options options = { .label_selector = selector };
	struct df_value *found = NULL;

	for (int i = 0; i < seconds * 10 && !found; i++) {
		if (i)
			usleep(100000);
		ok(df_kube_list(client, NULL, &ref, &options, take, &found, NULL, &err));
	}
	return found;
}

static const char *replica_failure(const char *name)
{
	struct df_kube_ref ref = { .resource = &df_kube_deployments, .namespace = namespace, .name = name };
	struct df_value *live, *conditions;

	ok(df_kube_get(client, NULL, &ref, &arena, &live, &err));
	conditions = at(live, "status conditions");
	if (conditions)
		df_for_each (condition, conditions)
			if (df_value_string_equal(df_object_get_c(condition, "type"), DF_STR("ReplicaFailure")))
				return df_arena_dup(&arena, df_kube_text(condition, &arena, "message", NULL)).ptr;
	return NULL;
}

static void test_pods_are_restricted(void **state)
{
	const struct df_value *open = json("{'podSecurityContext':{'runAsNonRoot':null}}");
	const char *why = NULL;
	struct df_value *run;

	(void)state;
	apply(&df_kube_serviceaccounts, built(df_object_service_account, FLOW, "strict", "{" FILES "}"));
	apply(&df_kube_deployments, built(deployment, FLOW, "strict", "{" FILES "}"));
	assert_non_null(pod_of("dataflow.dataflow.io/name=strict", WAIT_S));
	/* A run, as the CronJob's controller would make it. */
	apply(&df_kube_serviceaccounts, built(df_object_service_account, CRON, "strict-cron", RUN "}"));
	run = json("{'apiVersion':'batch/v1','kind':'Job','metadata':{'name':'run'}}");
	df_object_set(
		run, DF_STR("spec"),
		df_value_clone(at(built(cronjob, CRON, "strict-cron", RUN "}"), "spec jobTemplate spec"), &arena));
	apply(&df_kube_jobs, run);
	assert_non_null(pod_of("dataflow.dataflow.io/dataflow-cron=strict-cron", WAIT_S));
	apply(&df_kube_jobs, built(trigger, CRON, "strict-cron", RUN ",'triggers':[{'image':'a/b:1'}]}"));
	assert_non_null(
		pod_of("dataflow.dataflow.io/dataflow-cron=strict-cron,dataflow.dataflow.io/trigger-index=0", WAIT_S));

	/* It is enforced: one setting less, and there is no pod. */
	settings.processor_defaults = open;
	apply(&df_kube_deployments, built(deployment, FLOW, "open", "{" FILES ",'checkpointPersistence':false}"));
	settings.processor_defaults = NULL;
	for (int i = 0; i < WAIT_S * 10 && !why; i++) {
		usleep(100000);
		why = replica_failure("df-open");
	}
	assert_non_null(why);
	assert_non_null(strstr(why, "violates PodSecurity \"restricted"));
	assert_null(pod_of("dataflow.dataflow.io/name=open", 0));
}

/* ---- the longest names -------------------------------------------------------------------------------------- */

static void test_longest_names(void **state)
{
	const char *flow = "a.23456789012345678901234567890123456789012345678901234567890bc";
	const char *cron = "a.2345678901234567890123456789012345678901234567";
	char selector[128];

	(void)state;
	assert_int_equal(strlen(flow), DF_FLOW_NAME_MAX);
	assert_int_equal(strlen(cron), DF_CRON_NAME_MAX);
	apply(&df_kube_serviceaccounts, built(df_object_service_account, FLOW, flow, "{" FILES "}"));
	apply(&df_kube_deployments, built(deployment, FLOW, flow, "{" FILES "}"));
	snprintf(selector, sizeof(selector), DF_LABEL_NAME "=%s", flow);
	assert_non_null(pod_of(selector, WAIT_S));
	apply(&df_kube_cronjobs, built(cronjob, CRON, cron, RUN "}"));
	apply(&df_kube_jobs, built(trigger, CRON, cron, RUN ",'triggers':[{'image':'a/b:1'}]}"));
	snprintf(selector, sizeof(selector), DF_LABEL_CRON "=%s", cron);
	assert_non_null(pod_of(selector, WAIT_S));
}

/* ---- what is left out later -------------------------------------------------------------------------------- */

/* The API server keeps some fields that nobody names any more. */
static void test_changes_arrive(void **state)
{
	struct df_value *live;

	(void)state;
	apply(&df_kube_deployments,
	      built(deployment, FLOW, "changed",
		    "{'source':{'type':'kafka','config':{'brokers':['b:9092'],'topic':'t'}}," SINK
		    ",'nodeSelector':{'disk':'ssd'},'resources':{'limits':{'cpu':'2','memory':'1Gi'}}}"));
	live = apply(&df_kube_deployments,
		     built(deployment, FLOW, "changed",
			   "{" FILES ",'checkpointPersistence':false,'resources':{'limits':{'memory':'2Gi'}}}"));
	assert_string_equal(text_of(at(live, "spec strategy")), "{'type':'Recreate'}");
	assert_string_equal(text_of(at(live, "spec template spec serviceAccountName")), "'default'");
	assert_string_equal(text_of(at(live, "spec template spec automountServiceAccountToken")), "false");
	assert_null(at(live, "spec template spec nodeSelector"));
	assert_string_equal(text_of(at(live, "spec template spec containers processor resources")),
			    "{'limits':{'memory':'2Gi'}}");
}

/* ---------------------------------------------------------------------------------------------------------- */

static int set_up(void **state)
{
	(void)state;
	open_server("objects", DF_FIELD_MANAGER, true);
	resource_namespace = namespace;
	return 0;
}

static int tear_down(void **state)
{
	close_server();
	return free_arena(state);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_taken_as_they_are),
		cmocka_unit_test(test_pods_are_restricted),
		cmocka_unit_test(test_longest_names),
		cmocka_unit_test(test_changes_arrive),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}

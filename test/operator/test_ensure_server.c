/* Objects of a resource on a real API server: KUBECONFIG and KUBECTL of `test/services/kubernetes env`. argv[1]:
 * config/crd. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "operator/ensure.h"
#include "operator/events.h"
#include "operator/internal.h"
#include "operator/names.h"
#include "test/operator/resources.h"

#include "test/kube/server.h"

static const char *crds;
static struct df_kube_config nowhere = { .server = (char[]){ "https://127.0.0.1:1" } };
static struct df_kube_client *dead;
static struct df_kube_cache *configmaps; /* NULL: nothing is watched */
static struct df_operator op;

/* The one of work.c brings the whole operator along. */
int df_watched_get(struct df_reconcile *r, enum df_watched what, const char *ns, const char *name,
		   struct df_value **ret, struct df_error *e)
{
	struct df_kube_ref ref = { .resource = &df_kube_deployments, .namespace = ns, .name = name };

	if (what == DF_WATCH_DEPLOYMENTS)
		return df_kube_get(client, NULL, &ref, r->arena, ret, e);
	assert_int_equal(what, DF_WATCH_CONFIGMAPS);
	return df_kube_cache_get(configmaps, ns, name, r->arena, ret, e);
}

static struct df_kube_client_options options(const struct df_kube_config *of)
{
	return (struct df_kube_client_options){ .config = of, .field_manager = DF_FIELD_MANAGER };
}

/* As json(), with printf. */
static df_printf(1, 2) struct df_value *jsonf(const char *fmt, ...)
{
	char text[4096];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	return json(text);
}

static struct df_kube_ref ref_of(const struct df_kube_resource *kind, const char *name)
{
	return (struct df_kube_ref){ .resource = kind, .namespace = namespace, .name = name };
}

static struct df_value *get(const struct df_kube_resource *kind, const char *name)
{
	struct df_kube_ref ref = ref_of(kind, name);
	struct df_value *v;

	ok(df_kube_get(client, NULL, &ref, &arena, &v, &err));
	return v;
}

static struct df_value *create(const struct df_kube_resource *kind, struct df_value *object)
{
	struct df_kube_ref ref = ref_of(kind, NULL);
	struct df_value *v;

	ok(df_kube_create(client, NULL, &ref, object, &arena, &v, &err));
	return v;
}

/* As somebody else. */
static void merge(const struct df_kube_resource *kind, const char *name, struct df_value *patch)
{
	struct df_kube_ref ref = ref_of(kind, name);
	const char *before = df_kube_client_manager(client, "somebody");

	ok(df_kube_patch(client, NULL, &ref, DF_KUBE_MERGE_PATCH, patch, &arena, NULL, &err));
	df_kube_client_manager(client, before);
}

/* What kubectl does with that object: `create --field-manager=manager`. */
static void kubectl(const char *verb, struct df_value *object)
{
	struct df_str text = df_value_to_arena(object, &arena);
	char command[512];
	FILE *pipe;

	snprintf(command, sizeof(command), "%s -n %s %s -f - >/dev/null", getenv("KUBECTL"), namespace, verb);
	pipe = popen(command, "we");
	assert_non_null(pipe);
	assert_int_equal(fwrite(text.ptr, 1, text.len, pipe), text.len);
	assert_int_equal(pclose(pipe), 0);
}

static const char *text_in(const struct df_value *v, const char *path)
{
	const struct df_value *found = at(v, path);

	return found ? df_arena_dup(&arena, df_value_text(found, &arena)).ptr : NULL;
}

static const char *version_of(const struct df_kube_resource *kind, const char *name)
{
	return text_in(get(kind, name), "metadata resourceVersion");
}

/* ---- resources and what they want ------------------------------------------------------------------------ */

/* A DataFlow or DataFlowCron that is there, so that garbage collection leaves its objects alone. */
static struct df_resource resource(enum df_manifest_kind kind, const char *name)
{
	const char *spec = "'source': {'type': 'generate', 'config': {}}, 'sink': {'type': 'discard', 'config': {}}";
	struct df_value *v;

	if (kind == DF_KIND_DATAFLOW)
		v = create(&df_kube_dataflows,
			   jsonf("{'apiVersion': '" DF_API_VERSION "', 'kind': 'DataFlow', 'metadata': {'name': '%s'}, "
				 "'spec': {%s}}",
				 name, spec));
	else
		v = create(&df_kube_dataflowcrons, jsonf("{'apiVersion': '" DF_API_VERSION
							 "', 'kind': 'DataFlowCron', 'metadata': {'name': '%s'}, "
							 "'spec': {'schedule': '0 0 1 1 *', %s}}",
							 name, spec));
	return (struct df_resource){
		.kind = kind, .object = v, .namespace = namespace, .name = name, .uid = text_in(v, "metadata uid")
	};
}

/* As one of an earlier life: same kind and name, another uid. */
static const char *older_owner(const struct df_resource *r)
{
	static char text[512];

	snprintf(text, sizeof(text),
		 "[{'apiVersion': '" DF_API_VERSION "', 'kind': '%s', 'name': '%s', "
		 "'uid': '11111111-1111-1111-1111-111111111111', 'controller': true, 'blockOwnerDeletion': true}]",
		 r->kind == DF_KIND_DATAFLOW ? "DataFlow" : "DataFlowCron", r->name);
	return text;
}

static const char *owner(const struct df_resource *r)
{
	static char text[512];

	snprintf(text, sizeof(text),
		 "[{'apiVersion': '" DF_API_VERSION "', 'kind': '%s', 'name': '%s', 'uid': '%s', 'controller': true, "
		 "'blockOwnerDeletion': true}]",
		 r->kind == DF_KIND_DATAFLOW ? "DataFlow" : "DataFlowCron", r->name, r->uid);
	return text;
}

static struct df_value *configmap(const char *name, const char *data)
{
	return jsonf("{'apiVersion': 'v1', 'kind': 'ConfigMap', 'metadata': {'name': '%s', 'labels': {'" DF_LABEL_OWNED
		     "': 'true'}}, 'data': {'spec.json': '%s'}}",
		     name, data);
}

static struct df_value *checkpoint(const char *name)
{
	return jsonf("{'apiVersion': 'v1', 'kind': 'ConfigMap', 'metadata': {'name': '%s', 'labels': {'" DF_LABEL_OWNED
		     "': 'true'}}}",
		     name);
}

/* `volume`: what volume "spec" is. */
static struct df_value *deployment(const char *name, const char *owners, const char *image, const char *volume)
{
	return jsonf(
		"{'apiVersion': 'apps/v1', 'kind': 'Deployment', 'metadata': {'name': '%s', 'ownerReferences': %s}, 'spec': "
		"{'replicas': 1, 'selector': {'matchLabels': {'app': '%s'}}, 'template': {'metadata': {'labels': {'app': "
		"'%s'}}, 'spec': {'containers': [{'name': 'processor', 'image': '%s', 'resources': {'limits': {'cpu': "
		"'0.5'}}, 'volumeMounts': [{'name': 'spec', 'mountPath': '/etc/dataflow'}]}], 'volumes': [{'name': 'spec', "
		"%s}]}}}}",
		name, owners, name, name, image, volume);
}

static struct df_value *role(const char *name)
{
	return jsonf(
		"{'apiVersion': 'rbac.authorization.k8s.io/v1', 'kind': 'Role', 'metadata': {'name': '%s'}, 'rules': "
		"[{'apiGroups': [''], 'resources': ['configmaps'], 'verbs': ['get'], 'resourceNames': ['c']}]}",
		name);
}

static struct df_value *job(const char *image)
{
	return jsonf(
		"{'apiVersion': 'batch/v1', 'kind': 'Job', 'metadata': {'name': 'dfc-fixed'}, 'spec': {'template': "
		"{'spec': {'restartPolicy': 'Never', 'containers': [{'name': 'p', 'image': '%s'}]}}}}",
		image);
}

#define PROJECTED "'projected': {'sources': [{'configMap': {'name': 'x'}}]}"

static struct df_recorder *events;

static struct df_reconcile reconcile_of(const struct df_resource *resource, struct df_kube_client *with)
{
	return (struct df_reconcile){ .client = with,
				      .arena = &arena,
				      .events = events,
				      .kind = resource->kind,
				      .namespace = namespace,
				      .name = resource->name };
}

static int try_ensure(const struct df_resource *resource, const struct df_kube_resource *kind, struct df_value *object,
		      enum df_ensured *ret)
{
	struct df_reconcile r = reconcile_of(resource, client);
	struct df_value *live;

	err = DF_ERROR_INIT;
	return df_ensure(&r, resource, kind, object, ret, &live, &err);
}

/* As the queue does it: a conflict with a controller that writes at the same time is tried again. */
static enum df_ensured ensure(const struct df_resource *resource, const struct df_kube_resource *kind,
			      struct df_value *object)
{
	enum df_ensured ret;

	for (int i = 0; i < 20; i++)
		if (try_ensure(resource, kind, object, &ret) == 0 || !df_kube_is(&err, "Conflict"))
			break;
	ok(err.code);
	return ret;
}

static void refuse(const struct df_resource *resource, const struct df_kube_resource *kind, struct df_value *object,
		   const char *reason)
{
	enum df_ensured ret;

	assert_int_not_equal(try_ensure(resource, kind, object, &ret), 0);
	assert_string_equal(err.remote, reason);
}

/* ---- writing --------------------------------------------------------------------------------------------- */

static void test_life(void **state)
{
	struct df_resource r = resource(DF_KIND_DATAFLOW, "life");
	const char *version, *hash;
	struct df_value *live, *again;

	(void)state;
	assert_int_equal(ensure(&r, &df_kube_configmaps, configmap("df-life-spec", "1")), DF_ENSURED_CREATED);
	live = get(&df_kube_configmaps, "df-life-spec");
	assert_string_equal(text_in(live, "metadata ownerReferences 0 uid"), r.uid);
	assert_string_equal(text_in(live, "metadata ownerReferences 0 controller"), "true");
	assert_string_equal(text_in(live, "metadata ownerReferences 0 blockOwnerDeletion"), "false");
	assert_string_equal(text_in(live, "metadata managedFields 0 manager"), DF_FIELD_MANAGER);
	hash = text_in(live, "metadata annotations " DF_ANNOTATION_APPLIED);
	version = text_in(live, "metadata resourceVersion");
	/* Equal: nothing is written. */
	assert_int_equal(ensure(&r, &df_kube_configmaps, configmap("df-life-spec", "1")), DF_ENSURED_SAME);
	assert_string_equal(version_of(&df_kube_configmaps, "df-life-spec"), version);
	/* The object as it came back from the first call, too. */
	again = configmap("df-life-spec", "1");
	assert_int_equal(ensure(&r, &df_kube_configmaps, again), DF_ENSURED_SAME);
	assert_int_equal(ensure(&r, &df_kube_configmaps, again), DF_ENSURED_SAME);
	/* Another content. */
	assert_int_equal(ensure(&r, &df_kube_configmaps, configmap("df-life-spec", "2")), DF_ENSURED_UPDATED);
	live = get(&df_kube_configmaps, "df-life-spec");
	assert_string_equal(text_in(live, "data spec.json"), "2");
	assert_string_not_equal(text_in(live, "metadata annotations " DF_ANNOTATION_APPLIED), hash);
	assert_string_equal(text_in(live, "metadata managedFields 0 operation"), "Apply");
	assert_null(at(live, "metadata managedFields 1"));
	/* What is wanted no more goes. */
	assert_int_equal(
		ensure(&r, &df_kube_configmaps,
		       jsonf("{'apiVersion': 'v1', 'kind': 'ConfigMap', 'metadata': {'name': 'df-life-spec'}}")),
		DF_ENSURED_UPDATED);
	live = get(&df_kube_configmaps, "df-life-spec");
	assert_null(at(live, "data"));
	assert_null(at(live, "metadata labels"));
	assert_int_equal(ensure(&r, &df_kube_configmaps, configmap("df-life-spec", "2")), DF_ENSURED_UPDATED);
	/* Drift is put right, what others added stays. */
	merge(&df_kube_configmaps, "df-life-spec",
	      json("{'metadata': {'labels': {'theirs': 'x', '" DF_LABEL_OWNED
		   "': null}, 'annotations': {'who': 'else'}}, "
		   "'data': {'spec.json': '3', 'more': 'y'}}"));
	assert_int_equal(ensure(&r, &df_kube_configmaps, configmap("df-life-spec", "2")), DF_ENSURED_UPDATED);
	live = get(&df_kube_configmaps, "df-life-spec");
	assert_string_equal(text_in(live, "data spec.json"), "2");
	assert_string_equal(text_in(live, "data more"), "y");
	assert_string_equal(text_in(live, "metadata labels theirs"), "x");
	assert_string_equal(text_in(live, "metadata labels " DF_LABEL_OWNED), "true");
	assert_string_equal(text_in(live, "metadata annotations who"), "else");
	/* Deleted: made anew. */
	struct df_kube_ref ref = ref_of(&df_kube_configmaps, "df-life-spec");

	ok(df_kube_delete(client, NULL, &ref, NULL, NULL, &err));
	assert_int_equal(ensure(&r, &df_kube_configmaps, configmap("df-life-spec", "2")), DF_ENSURED_CREATED);
}

/* The pod template of a Deployment: what kubectl stamps there survives; quantities do not differ for ever. */
static void test_rollout_restart(void **state)
{
	struct df_resource r = resource(DF_KIND_DATAFLOW, "restart");
	struct df_value *live;
	char command[512];

	(void)state;
	assert_int_equal(ensure(&r, &df_kube_deployments, deployment("df-restart", "[]", "i:1", PROJECTED)),
			 DF_ENSURED_CREATED);
	assert_int_equal(ensure(&r, &df_kube_deployments, deployment("df-restart", "[]", "i:1", PROJECTED)),
			 DF_ENSURED_SAME);
	snprintf(command, sizeof(command), "%s -n %s rollout restart deployment df-restart >/dev/null",
		 getenv("KUBECTL"), namespace);
	assert_int_equal(system(command), 0);
	assert_int_equal(ensure(&r, &df_kube_deployments, deployment("df-restart", "[]", "i:1", PROJECTED)),
			 DF_ENSURED_SAME);
	assert_int_equal(ensure(&r, &df_kube_deployments, deployment("df-restart", "[]", "i:2", PROJECTED)),
			 DF_ENSURED_UPDATED);
	live = get(&df_kube_deployments, "df-restart");
	assert_string_equal(text_in(live, "spec template spec containers processor image"), "i:2");
	assert_non_null(text_in(live, "spec template metadata annotations kubectl.kubernetes.io/restartedAt"));
	/* A container that somebody changed. */
	struct df_kube_ref ref = ref_of(&df_kube_deployments, "df-restart");

	ok(df_kube_patch(client, NULL, &ref, DF_KUBE_JSON_PATCH,
			 json("[{'op': 'replace', 'path': '/spec/template/spec/containers/0/image', 'value': 'evil'}]"),
			 &arena, NULL, &err));
	assert_int_equal(ensure(&r, &df_kube_deployments, deployment("df-restart", "[]", "i:2", PROJECTED)),
			 DF_ENSURED_UPDATED);
	assert_string_equal(
		text_in(get(&df_kube_deployments, "df-restart"), "spec template spec containers processor image"),
		"i:2");
}

/* Steady state: with what is watched, and with what was verified, no request is made. The client cannot make any. */
static void test_no_request(void **state)
{
	struct df_resource r = resource(DF_KIND_DATAFLOW, "quiet");
	struct df_kube_cache_options cache = {
		.client = options(&config),
		.what = { .resource = &df_kube_configmaps, .namespace = namespace },
		.filter = { .label_selector = DF_LABEL_OWNED "=true" },
	};
	struct df_reconcile with = reconcile_of(&r, client), without = reconcile_of(&r, dead);
	enum df_ensured ret;
	bool existed;

	(void)state;
	op = (struct df_operator){ .verified = df_verified_new() };
	with.op = without.op = &op;
	assert_int_equal(ensure(&r, &df_kube_configmaps, configmap("df-quiet-spec", "1")), DF_ENSURED_CREATED);
	ok(df_kube_cache_start(&cache, &configmaps, &err));
	ok(df_kube_cache_await(configmaps, NULL, &err));
	ok(df_ensure(&without, &r, &df_kube_configmaps, configmap("df-quiet-spec", "1"), &ret, NULL, &err));
	assert_int_equal(ret, DF_ENSURED_SAME);
	assert_int_not_equal(
		df_ensure(&without, &r, &df_kube_configmaps, configmap("df-quiet-spec", "2"), &ret, NULL, &err), 0);
	/* Not in the cache, and yet there: it is of somebody else, without our label. */
	create(&df_kube_configmaps, json("{'metadata': {'name': 'df-quiet-foreign'}}"));
	assert_int_not_equal(
		df_ensure(&with, &r, &df_kube_configmaps, configmap("df-quiet-foreign", "1"), &ret, NULL, &err), 0);
	assert_string_equal(err.remote, DF_CONFLICT);

	assert_int_not_equal(df_ensure(&without, &r, &df_kube_roles, role("df-quiet-a"), &ret, NULL, &err), 0);
	ok(df_ensure(&with, &r, &df_kube_roles, role("df-quiet-a"), &ret, NULL, &err));
	assert_int_equal(ret, DF_ENSURED_CREATED);
	ok(df_ensure(&without, &r, &df_kube_roles, role("df-quiet-a"), &ret, NULL, &err));
	assert_int_equal(ret, DF_ENSURED_SAME);
	assert_int_not_equal(df_ensure(&without, &r, &df_kube_roles, role("df-quiet-b"), &ret, NULL, &err), 0);
	/* Taken away, and known to be: no request, either. */
	ok(df_ensure_gone(&with, &r, &df_kube_roles, "df-quiet-a", &existed, &err));
	assert_true(existed);
	assert_null(get(&df_kube_roles, "df-quiet-a"));
	ok(df_ensure_gone(&without, &r, &df_kube_roles, "df-quiet-a", &existed, &err));
	assert_false(existed);
	df_verified_forget(op.verified, r.kind, namespace, r.name);
	assert_int_not_equal(df_ensure_gone(&without, &r, &df_kube_roles, "df-quiet-a", &existed, &err), 0);

	df_kube_cache_free(configmaps);
	df_verified_free(op.verified);
	configmaps = NULL;
}

/* ---- whose it is ----------------------------------------------------------------------------------------- */

static void test_conflicts(void **state)
{
	struct df_resource r = resource(DF_KIND_DATAFLOW, "mine"), other = resource(DF_KIND_DATAFLOW, "other");
	struct df_reconcile reconcile = reconcile_of(&r, client);
	const char *version;
	bool existed;

	(void)state;
	/* Another resource controls it, whatever its labels say. */
	create(&df_kube_configmaps,
	       jsonf("{'metadata': {'name': 'df-mine-spec', 'labels': {'" DF_LABEL_OWNED
		     "': 'true'}, 'annotations': {'" DF_ANNOTATION_ADOPT "': 'true'}, 'ownerReferences': %s}}",
		     owner(&other)));
	version = version_of(&df_kube_configmaps, "df-mine-spec");
	refuse(&r, &df_kube_configmaps, configmap("df-mine-spec", "1"), DF_CONFLICT);
	assert_non_null(strstr(err.text, "ConfigMap df-mine-spec belongs to DataFlow other"));
	ok(df_ensure_gone(&reconcile, &r, &df_kube_configmaps, "df-mine-spec", &existed, &err));
	assert_false(existed);
	assert_string_equal(version_of(&df_kube_configmaps, "df-mine-spec"), version);
	/* Nobody's, and not said to be ours. */
	kubectl("create", deployment("df-mine", "[]", "i:1", PROJECTED));
	version = version_of(&df_kube_deployments, "df-mine");
	refuse(&r, &df_kube_deployments, deployment("df-mine", "[]", "i:2", PROJECTED), DF_CONFLICT);
	assert_non_null(strstr(err.text, DF_ANNOTATION_ADOPT "=true"));
	/* The text says how: do that. */
	merge(&df_kube_deployments, "df-mine",
	      json("{'metadata': {'annotations': {'" DF_ANNOTATION_ADOPT "': 'true'}}}"));
	assert_int_equal(ensure(&r, &df_kube_deployments, deployment("df-mine", "[]", "i:2", PROJECTED)),
			 DF_ENSURED_UPDATED);
	assert_string_equal(text_in(get(&df_kube_deployments, "df-mine"), "metadata ownerReferences 0 uid"), r.uid);
	/* Of an older resource: garbage collection takes it, or has to; its Role must not become ours meanwhile. */
	create(&df_kube_serviceaccounts,
	       jsonf("{'metadata': {'name': 'df-mine-processor', 'finalizers': ['test/hold'], 'ownerReferences': %s}}",
		     older_owner(&r)));
	refuse(&r, &df_kube_serviceaccounts,
	       json("{'apiVersion': 'v1', 'kind': 'ServiceAccount', 'metadata': {'name': 'df-mine-processor'}}"),
	       DF_COLLECTING);
	merge(&df_kube_serviceaccounts, "df-mine-processor", json("{'metadata': {'finalizers': null}}"));
}

/* A checkpoint that was restored from a backup, with the owner that it had there: ours at once, and the position stays.
 * Garbage collection may be faster; then it is restored again. */
static void test_restored_checkpoint(void **state)
{
	struct df_resource r = resource(DF_KIND_DATAFLOW, "restored");
	enum df_ensured ret = DF_ENSURED_SAME;
	struct df_value *live;

	(void)state;
	for (int i = 0; i < 20; i++) {
		create(&df_kube_configmaps,
		       jsonf("{'metadata': {'name': 'df-restored-checkpoint', 'finalizers': ['test/hold'], "
			     "'ownerReferences': %s}, 'data': {'checkpoint.json': '{}'}}",
			     older_owner(&r)));
		if (try_ensure(&r, &df_kube_configmaps, checkpoint("df-restored-checkpoint"), &ret) == 0)
			break;
		merge(&df_kube_configmaps, "df-restored-checkpoint", json("{'metadata': {'finalizers': null}}"));
		while (get(&df_kube_configmaps, "df-restored-checkpoint"))
			usleep(10000);
	}
	ok(err.code);
	assert_int_equal(ret, DF_ENSURED_UPDATED);
	live = get(&df_kube_configmaps, "df-restored-checkpoint");
	assert_int_equal(at(live, "metadata ownerReferences")->len, 1);
	assert_string_equal(text_in(live, "metadata ownerReferences 0 uid"), r.uid);
	assert_string_equal(text_in(live, "data checkpoint.json"), "{}");
	assert_int_equal(ensure(&r, &df_kube_configmaps, checkpoint("df-restored-checkpoint")), DF_ENSURED_SAME);
	merge(&df_kube_configmaps, "df-restored-checkpoint", json("{'metadata': {'finalizers': null}}"));
}

/* A DataFlow and a DataFlowCron of one name would share the checkpoint: the second is told. */
static void test_same_name(void **state)
{
	struct df_resource flow = resource(DF_KIND_DATAFLOW, "twin"), cron = resource(DF_KIND_DATAFLOWCRON, "twin");

	(void)state;
	assert_int_equal(ensure(&flow, &df_kube_configmaps, checkpoint("df-twin-checkpoint")), DF_ENSURED_CREATED);
	refuse(&cron, &df_kube_configmaps, checkpoint("df-twin-checkpoint"), DF_CONFLICT);
	assert_non_null(strstr(err.text, "belongs to DataFlow twin"));
	assert_int_equal(ensure(&flow, &df_kube_configmaps, checkpoint("df-twin-checkpoint")), DF_ENSURED_SAME);
}

/* What cannot be changed: the text says what to do. A Job of ours stays as it was made. */
static void test_immutable(void **state)
{
	struct df_resource r = resource(DF_KIND_DATAFLOW, "fixed");
	struct df_value *wanted = deployment("df-fixed", "[]", "i:1", PROJECTED);

	(void)state;
	kubectl("create", deployment("df-fixed", owner(&r), "i:1", PROJECTED));
	df_object_set(at(wanted, "spec selector matchLabels"), DF_STR("more"), df_value_string(&arena, DF_STR("x")));
	df_object_set(at(wanted, "spec template metadata labels"), DF_STR("more"),
		      df_value_string(&arena, DF_STR("x")));
	refuse(&r, &df_kube_deployments, wanted, "Invalid");
	assert_non_null(strstr(err.text, "kubectl -n"));
	assert_non_null(strstr(err.text, "delete deployments df-fixed"));
	assert_int_equal(ensure(&r, &df_kube_jobs, job("i:1")), DF_ENSURED_CREATED);
	assert_int_equal(ensure(&r, &df_kube_jobs, job("i:2")), DF_ENSURED_SAME);
}

/* ---- what the original left ------------------------------------------------------------------------------ */

static void test_managed_fields(void **state)
{
	struct df_resource r = resource(DF_KIND_DATAFLOW, "legacy");
	struct df_value *live;

	(void)state;
	kubectl("create --field-manager=manager",
		deployment("df-legacy", owner(&r), "go:1", "'configMap': {'name': 'df-legacy-spec'}"));
	assert_int_equal(ensure(&r, &df_kube_deployments, deployment("df-legacy", "[]", "i:1", PROJECTED)),
			 DF_ENSURED_UPDATED);
	live = get(&df_kube_deployments, "df-legacy");
	assert_non_null(at(live, "spec template spec volumes spec projected"));
	assert_null(at(live, "spec template spec volumes spec configMap"));
	df_for_each (entry, at(live, "metadata managedFields"))
		assert_string_not_equal(text_in(entry, "manager"), "manager");
	assert_int_equal(ensure(&r, &df_kube_deployments, deployment("df-legacy", "[]", "i:1", PROJECTED)),
			 DF_ENSURED_SAME);
	/* The position was written by a program of that name, too; it must not go. */
	kubectl("create --field-manager=manager",
		jsonf("{'apiVersion': 'v1', 'kind': 'ConfigMap', 'metadata': {'name': 'df-legacy-checkpoint', "
		      "'ownerReferences': %s}, 'data': {'checkpoint.json': '{}'}}",
		      owner(&r)));
	assert_int_equal(ensure(&r, &df_kube_configmaps, checkpoint("df-legacy-checkpoint")), DF_ENSURED_UPDATED);
	assert_string_equal(text_in(get(&df_kube_configmaps, "df-legacy-checkpoint"), "data checkpoint.json"), "{}");
}

static void test_finalizers(void **state)
{
	struct df_resource r = resource(DF_KIND_DATAFLOWCRON, "final");
	struct df_reconcile reconcile = reconcile_of(&r, client);
	struct df_value *live;
	const char *version;

	(void)state;
	merge(&df_kube_dataflowcrons, "final",
	      json("{'metadata': {'finalizers': ['dataflow.dataflow.io/finalizer', 'test/hold', "
		   "'dataflow.dataflow.io/cron-finalizer']}}"));
	/* An object that is behind: nothing is written. */
	assert_int_equal(df_upgrade_finalizers(&reconcile, r.object, &err), 0);
	live = get(&df_kube_dataflowcrons, "final");
	df_object_set(at(live, "metadata"), DF_STR("resourceVersion"), df_value_string(&arena, DF_STR("1")));
	assert_int_not_equal(df_upgrade_finalizers(&reconcile, live, &err), 0);
	assert_string_equal(err.remote, "Conflict");
	ok(df_upgrade_finalizers(&reconcile, get(&df_kube_dataflowcrons, "final"), &err));
	live = get(&df_kube_dataflowcrons, "final");
	assert_string_equal(text_of(at(live, "metadata finalizers")), "['test/hold']");
	version = text_in(live, "metadata resourceVersion");
	ok(df_upgrade_finalizers(&reconcile, live, &err));
	assert_string_equal(version_of(&df_kube_dataflowcrons, "final"), version);
	merge(&df_kube_dataflowcrons, "final", json("{'metadata': {'finalizers': null}}"));
}

static int keep_name(void *arg, struct df_value *object, struct df_error *e)
{
	(void)e;
	*(const char **)arg = text_in(object, "metadata name");
	return 0;
}

static const char *pod_of(const char *app)
{
	struct df_kube_ref all = ref_of(&df_kube_pods, NULL);
	struct df_kube_list_options of = { 0 };
	const char *name = NULL;
	char selector[64];

	snprintf(selector, sizeof(selector), "app=%s", app);
	of.label_selector = selector;
	ok(df_kube_list(client, NULL, &all, &of, keep_name, &name, NULL, &err));
	return name;
}

/* The Deployment of the oldest name goes first, with its pods; only then may ours start. */
static void test_old_names(void **state)
{
	struct df_resource r = resource(DF_KIND_DATAFLOW, "aged"), other = resource(DF_KIND_DATAFLOW, "young");
	struct df_reconcile reconcile = reconcile_of(&r, client), quiet = reconcile_of(&r, dead);
	struct df_reconcile foreign = reconcile_of(&other, client);
	const char *pod = NULL;
	bool waits;

	(void)state;
	op = (struct df_operator){ .verified = df_verified_new() };
	reconcile.op = quiet.op = &op;
	kubectl("create", deployment("dataflow-aged", owner(&r), "go:1", PROJECTED));
	kubectl("create", deployment("dataflow-young", "[]", "go:1", PROJECTED));
	create(&df_kube_configmaps,
	       jsonf("{'metadata': {'name': 'dataflow-aged-spec', 'ownerReferences': %s}}", owner(&r)));
	for (int i = 0; i < 100 && !pod; i++, usleep(100000))
		pod = pod_of("dataflow-aged");
	assert_non_null(pod);
	merge(&df_kube_pods, pod,
	      json("{'metadata': {'finalizers': ['test/hold']}}")); /* a flush that takes its time */
	for (int i = 0; i < 10; i++, usleep(100000)) {
		ok(df_upgrade_old_names(&reconcile, &r, &waits, &err));
		assert_true(waits);
	}
	assert_string_equal(pod_of("dataflow-aged"), pod);
	merge(&df_kube_pods, pod, json("{'metadata': {'finalizers': null}}"));
	for (int i = 0; i < 100 && waits; i++, usleep(100000))
		ok(df_upgrade_old_names(&reconcile, &r, &waits, &err));
	assert_false(waits);
	assert_null(pod_of("dataflow-aged"));
	assert_null(get(&df_kube_deployments, "dataflow-aged"));
	ok(df_upgrade_old_names(&quiet, &r, &waits, &err)); /* known, without a request */
	assert_false(waits);
	/* Ours is there, as we made it: the old one is gone, which another process knows without a request, too. */
	df_verified_forget(op.verified, r.kind, namespace, r.name);
	assert_int_not_equal(df_upgrade_old_names(&quiet, &r, &waits, &err), 0);
	assert_int_equal(ensure(&r, &df_kube_deployments, deployment("df-aged", "[]", "i:1", PROJECTED)),
			 DF_ENSURED_CREATED);
	ok(df_upgrade_old_names(&quiet, &r, &waits, &err));
	/* Not ours: not touched. */
	ok(df_upgrade_old_names(&foreign, &other, &waits, &err));
	assert_false(waits);
	assert_non_null(get(&df_kube_deployments, "dataflow-young"));
	for (int i = 0; i < 100 && get(&df_kube_configmaps, "dataflow-aged-spec"); i++)
		usleep(100000);
	assert_null(get(&df_kube_configmaps, "dataflow-aged-spec"));
	df_verified_free(op.verified);
}

/* ---- Events ---------------------------------------------------------------------------------------------- */

struct seen {
	const char *reason;
	struct df_value *last;
	size_t count;
};

static int see(void *arg, struct df_value *object, struct df_error *e)
{
	struct seen *seen = arg;

	(void)e;
	if (!df_value_string_equal(df_object_get_c(object, "reason"), df_str_c(seen->reason)))
		return 0;
	seen->count++;
	seen->last = df_value_clone_deep(object, &arena);
	return 0;
}

static struct seen seen_of(const char *reason)
{
	struct df_kube_ref all = ref_of(&df_kube_events, NULL);
	struct seen seen = { .reason = reason };

	ok(df_kube_list(client, NULL, &all, NULL, see, &seen, NULL, &err));
	return seen;
}

static void start_events(void)
{
	struct df_recorder_options o = { .client = options(&config), .instance = "test" };

	ok(df_recorder_start(&o, &events, &err));
}

static void stop_events(void)
{
	df_recorder_stop(events);
	events = NULL;
}

static void test_events(void **state)
{
	struct df_resource r = resource(DF_KIND_DATAFLOW, "told");
	struct df_reconcile reconcile;
	struct seen seen;
	char many[1500];

	(void)state;
	memset(many, 'a', sizeof(many));
	memcpy(many + 1023 - strlen("Created ConfigMap "), "\xe2\x82\xac", 4); /* the limit is in the middle of it */
	start_events();
	reconcile = reconcile_of(&r, client);
	df_event(&reconcile, r.object, true, "ConfigMapFailed", "Failed to create or update ConfigMap: %s", "why");
	df_event(&reconcile, r.object, true, "ConfigMapFailed", "Failed to create or update ConfigMap: %s", "why");
	df_event(&reconcile, r.object, false, "ConfigMapCreated", "Created ConfigMap %s", many);
	stop_events();
	seen = seen_of("ConfigMapFailed");
	assert_int_equal(seen.count, 1);
	assert_string_equal(text_in(seen.last, "series count"), "2");
	assert_string_equal(text_in(seen.last, "type"), "Warning");
	assert_string_equal(text_in(seen.last, "note"), "Failed to create or update ConfigMap: why");
	assert_string_equal(text_in(seen.last, "reportingController"), "dataflow-controller");
	assert_string_equal(text_in(seen.last, "reportingInstance"), "test");
	assert_string_equal(text_in(seen.last, "regarding kind"), "DataFlow");
	assert_string_equal(text_in(seen.last, "regarding name"), "told");
	assert_string_equal(text_in(seen.last, "regarding uid"), r.uid);
	seen = seen_of("ConfigMapCreated");
	assert_int_equal(seen.count, 1);
	assert_null(at(seen.last, "series"));
	assert_int_equal(strlen(text_in(seen.last, "note")), 1023);
}

/* A series whose Event is gone there, as the API forgets them after an hour, begins anew. */
static void test_forgotten_event(void **state)
{
	struct df_resource r = resource(DF_KIND_DATAFLOW, "forgotten");
	struct df_reconcile reconcile;
	struct seen seen = { 0 };

	(void)state;
	start_events();
	reconcile = reconcile_of(&r, client);
	df_event(&reconcile, r.object, true, "Forgotten", "x");
	for (int i = 0; i < 100 && !seen.count; i++, usleep(50000))
		seen = seen_of("Forgotten");
	struct df_kube_ref ref = ref_of(&df_kube_events, text_in(seen.last, "metadata name"));

	ok(df_kube_delete(client, NULL, &ref, NULL, NULL, &err));
	df_event(&reconcile, r.object, true, "Forgotten", "x");
	stop_events();
	assert_int_equal(seen_of("Forgotten").count, 1);
}

static void test_ownership_events(void **state)
{
	struct df_resource r = resource(DF_KIND_DATAFLOW, "owner"), cron = resource(DF_KIND_DATAFLOWCRON, "owner");

	(void)state;
	start_events();
	create(&df_kube_configmaps, json("{'metadata': {'name': 'df-owner-checkpoint'}}"));
	assert_int_equal(ensure(&r, &df_kube_configmaps, checkpoint("df-owner-checkpoint")), DF_ENSURED_UPDATED);
	refuse(&cron, &df_kube_configmaps, checkpoint("df-owner-checkpoint"), DF_CONFLICT);
	stop_events();
	struct seen seen = seen_of("Adopted");

	assert_int_equal(seen.count, 1);
	assert_string_equal(text_in(seen.last, "note"), "Adopted ConfigMap df-owner-checkpoint");
	seen = seen_of(DF_CONFLICT);
	assert_int_equal(seen.count, 1);
	assert_string_equal(text_in(seen.last, "regarding kind"), "DataFlowCron");
}

static int lines;

static void count_line(void *arg)
{
	(void)arg;
	lines++;
}

/* The API server is away: nobody waits for Events, stopping takes no longer than it may, and says in few lines what is
 * lost. */
static void test_events_without_a_server(void **state)
{
	struct df_recorder_options o = { .client = options(&nowhere), .instance = "test" };
	struct df_value *object =
		json("{'apiVersion': 'v1', 'kind': 'DataFlow', 'metadata': {'namespace': 'n', 'name': 'x', "
		     "'uid': 'u'}}");
	struct df_reconcile reconcile = { .arena = &arena };
	int64_t began_ns = df_clock_monotonic();

	(void)state;
	ok(df_recorder_start(&o, &reconcile.events, &err));
	for (int i = 0; i < 5000; i++)
		df_event(&reconcile, object, true, "Away", "%d", i);
	assert_true(df_clock_monotonic() - began_ns < 20 * DF_NS_PER_S); /* the tries for one would take 15 s */
	df_log_set_hook(count_line, NULL, NULL);
	began_ns = df_clock_monotonic();
	df_recorder_stop(reconcile.events);
	df_log_set_hook(NULL, NULL, NULL);
	assert_true(df_clock_monotonic() - began_ns < 5 * DF_NS_PER_S);
	assert_in_range(lines, 1, 5);
}

/* ---------------------------------------------------------------------------------------------------------- */

static int set_up(void **state)
{
	struct df_kube_client_options none = options(&nowhere);

	(void)state;
	df_arena_init(&arena, NULL);
	apply_crds(crds);
	open_server("ensure", DF_FIELD_MANAGER, false);
	ok(df_kube_client_new(&none, &dead, &err));
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	close_server();
	df_kube_client_free(dead);
	df_arena_done(&arena);
	return 0;
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_life),
		cmocka_unit_test(test_rollout_restart),
		cmocka_unit_test(test_no_request),
		cmocka_unit_test(test_conflicts),
		cmocka_unit_test(test_restored_checkpoint),
		cmocka_unit_test(test_same_name),
		cmocka_unit_test(test_immutable),
		cmocka_unit_test(test_managed_fields),
		cmocka_unit_test(test_finalizers),
		cmocka_unit_test(test_old_names),
		cmocka_unit_test(test_events),
		cmocka_unit_test(test_forgotten_event),
		cmocka_unit_test(test_ownership_events),
		cmocka_unit_test(test_events_without_a_server),
	};

	if (argc != 2)
		return 2;
	crds = argv[1];
	return cmocka_run_group_tests(tests, set_up, tear_down);
}

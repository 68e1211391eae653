/* The objects of a DataFlow and of a DataFlowCron, row by row of the tables in the Kubernetes reference (sections 1, 2,
 * 3, 7, 13). Paths are words: see at() of resources.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>

#include "connectors/factory.h"
#include "operator/names.h"
#include "operator/objects.h"
#include "test/operator/resources.h"

#define FLOW DF_KIND_DATAFLOW
#define CRON DF_KIND_DATAFLOWCRON

#define SINK "'sink':{'type':'discard','config':{}}"
#define FILES "'source':{'type':'file','config':{'path':'/in'}}," SINK
#define KAFKA "'source':{'type':'kafka','config':{'brokers':['b:9092'],'topic':'t'}}," SINK
#define POD "spec template spec"
#define RUN_POD "spec jobTemplate spec template spec"
#define APPS "'app.kubernetes.io/component':'processor','app.kubernetes.io/managed-by':'dataflow-operator'"

static struct df_operator_settings plain_settings(void)
{
	return (struct df_operator_settings){
		.processor_image = (char *)"registry:5000/team/dataflow:1.2@sha256:ab",
		.processor_log_level = (char *)"info",
		.processor_progress_timeout = (char *)"3600",
	};
}

/* ---- building -------------------------------------------------------------------------------------------- */

enum object { SPEC, CHECKPOINT, LEASE, ACCOUNT, ROLE, BINDING, DEPLOYMENT, CRONJOB, TRIGGER, OBJECTS };

static int build(const struct df_objects_of *of, enum object which, struct df_value **ret, struct df_error *err)
{
	static int (*const builders[])(const struct df_objects_of *of, struct df_value **ret, struct df_error *err) = {
		[SPEC] = df_object_spec_configmap, [CHECKPOINT] = df_object_checkpoint_configmap,
		[LEASE] = df_object_lease,	   [ACCOUNT] = df_object_service_account,
		[ROLE] = df_object_role,	   [BINDING] = df_object_role_binding,
	};

	if (which == DEPLOYMENT)
		return df_object_deployment(of, df_resource_replicas(of->resource), ret, err);
	if (which == CRONJOB)
		return df_object_cronjob(of, of->resource->spec.suspend, ret, err);
	if (which == TRIGGER)
		return df_object_trigger_job(of, "dfc-orders-29012345", 0, ret, err);
	return builders[which](of, ret, err);
}

/* An object of the resource `orders`. */
static struct df_value *built(const struct df_operator_settings *settings, enum df_manifest_kind kind, const char *spec,
			      enum object which)
{
	struct df_error err = DF_ERROR_INIT;
	struct df_resource r;
	struct df_objects_of of = { settings, &r, &arena };
	struct df_value *ret, *whole;

	parse_good(kind, "orders", spec, &r);
	if (build(&of, which, &ret, &err))
		fail_msg("%s", err.text);
	/* It shares nothing with the resource, which ends here. */
	whole = df_value_clone_deep(ret, &arena);
	df_resource_done(&r);
	return whole;
}

struct row {
	const char *members; /* of the spec */
	const char *path;
	const char *expected; /* NULL: there is nothing */
};

static void check_rows(const struct df_operator_settings *settings, enum df_manifest_kind kind, enum object which,
		       const struct row *rows, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		char spec[1024];
		const char *found;

		snprintf(spec, sizeof(spec), "{%s%s}", rows[i].members, kind == CRON ? ",'schedule':'5 * * * *'" : "");
		found = text_of(at(built(settings, kind, spec, which), rows[i].path));
		if (found != rows[i].expected && (!found || !rows[i].expected || strcmp(found, rows[i].expected) != 0))
			fail_msg("%s of {%s}: %s, not %s", rows[i].path, rows[i].members, found ? found : "nothing",
				 rows[i].expected ? rows[i].expected : "nothing");
	}
}

#define CHECK(settings, kind, which, rows) check_rows(settings, kind, which, rows, sizeof(rows) / sizeof((rows)[0]))

/* ---- what each object is ---------------------------------------------------------------------------------- */

#define FLOW_LABELS                                                        \
	"{'app':'dataflow-processor','dataflow.dataflow.io/owned':'true'," \
	"'dataflow.dataflow.io/name':'orders',"                            \
	"'app.kubernetes.io/name':'dataflow-processor','app.kubernetes.io/instance':'orders'," APPS "}"
#define CRON_LABELS                                                                                       \
	"{'app':'dataflow-processor','dataflow.dataflow.io/owned':'true',"                                \
	"'dataflow.dataflow.io/dataflow-cron':'orders','dataflow.dataflow.io/trigger-index':'processor'," \
	"'dataflow.dataflow.io/generated-by':'dataflowcron-controller',"                                  \
	"'app.kubernetes.io/name':'dataflow-processor','app.kubernetes.io/instance':'orders'," APPS "}"

static void test_identity(void **state)
{
	static const struct {
		enum object which;
		const char *version, *kind, *flow, *cron;
	} rows[] = {
		{ SPEC, "'v1'", "'ConfigMap'", "'df-orders-spec'", "'dfc-orders-spec'" },
		{ CHECKPOINT, "'v1'", "'ConfigMap'", "'df-orders-checkpoint'", "'df-orders-checkpoint'" },
		{ LEASE, "'coordination.k8s.io/v1'", "'Lease'", "'df-orders-processor'", "'df-orders-processor'" },
		{ ACCOUNT, "'v1'", "'ServiceAccount'", "'df-orders-processor'", "'df-orders-processor'" },
		{ ROLE, "'rbac.authorization.k8s.io/v1'", "'Role'", "'df-orders-processor'", "'df-orders-processor'" },
		{ BINDING, "'rbac.authorization.k8s.io/v1'", "'RoleBinding'", "'df-orders-processor'",
		  "'df-orders-processor'" },
		{ DEPLOYMENT, "'apps/v1'", "'Deployment'", "'df-orders'", NULL },
		{ CRONJOB, "'batch/v1'", "'CronJob'", NULL, "'dfc-orders'" },
	};
	struct df_operator_settings settings = plain_settings();

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		for (int kind = FLOW; kind <= CRON; kind++) {
			const char *name = kind == FLOW ? rows[i].flow : rows[i].cron;
			struct df_value *v;

			if (!name)
				continue;
			v = built(&settings, (enum df_manifest_kind)kind, "{" FILES ",'schedule':'* * * * *'}",
				  rows[i].which);
			assert_string_equal(text_of(at(v, "apiVersion")), rows[i].version);
			assert_string_equal(text_of(at(v, "kind")), rows[i].kind);
			assert_string_equal(text_of(at(v, "metadata name")), name);
			assert_string_equal(text_of(at(v, "metadata namespace")), "'team'");
			assert_string_equal(text_of(at(v, "metadata labels")),
					    kind == FLOW ? FLOW_LABELS : CRON_LABELS);
		}
}

static void test_config(void **state)
{
	static const struct row spec[] = {
		{ FILES, "data",
		  "{'spec.json':'{\\'sink\\':{\\'config\\':{},\\'type\\':\\'discard\\'},"
		  "\\'source\\':{\\'config\\':{\\'path\\':\\'/in\\'},\\'type\\':\\'file\\'}}'}" },
	};
	static const struct row none[] = { { FILES, "data", NULL }, { FILES, "spec", NULL } };
	struct df_operator_settings settings = plain_settings();

	(void)state;
	CHECK(&settings, FLOW, SPEC, spec);
	CHECK(&settings, CRON, SPEC, spec);
	CHECK(&settings, FLOW, CHECKPOINT, none); /* the processor's, who would be overwritten */
	CHECK(&settings, FLOW, LEASE, none);
}

static void test_access(void **state)
{
	static const struct row account[] = { { FILES, "automountServiceAccountToken", "false" } };
	static const struct row role[] = {
		{ FILES, "rules",
		  "[{'apiGroups':[''],'resources':['configmaps'],'resourceNames':['df-orders-checkpoint'],"
		  "'verbs':['get','patch','update']},{'apiGroups':['coordination.k8s.io'],'resources':['leases'],"
		  "'resourceNames':['df-orders-processor'],'verbs':['get','patch','update']}]" },
	};
	static const struct row binding[] = {
		{ FILES, "roleRef",
		  "{'apiGroup':'rbac.authorization.k8s.io','kind':'Role','name':'df-orders-processor'}" },
		{ FILES, "subjects", "[{'kind':'ServiceAccount','name':'df-orders-processor','namespace':'team'}]" },
	};
	struct df_operator_settings settings = plain_settings();

	(void)state;
	CHECK(&settings, FLOW, ACCOUNT, account);
	CHECK(&settings, CRON, ROLE, role);
	CHECK(&settings, FLOW, ROLE, role);
	CHECK(&settings, FLOW, BINDING, binding);
}

/* ---- Deployment ------------------------------------------------------------------------------------------ */

static void test_deployment(void **state)
{
	static const struct row rows[] = {
		{ FILES, "spec selector",
		  "{'matchLabels':{'app':'dataflow-processor','dataflow.dataflow.io/name':'orders',"
		  "'dataflow.dataflow.io/owned':'true'}}" },
		{ FILES, "spec template metadata labels", FLOW_LABELS },
		{ FILES, "spec replicas", "1" },
		{ FILES ",'replicas':0", "spec replicas", "0" },
		{ KAFKA ",'replicas':3", "spec replicas", "3" },
		{ FILES, "spec strategy", "{'type':'Recreate'}" },
		{ KAFKA, "spec strategy",
		  "{'type':'RollingUpdate','rollingUpdate':{'maxSurge':1,'maxUnavailable':0}}" },
		{ FILES, "spec progressDeadlineSeconds", "1500" },
		{ FILES, "spec revisionHistoryLimit", "2" },
		{ FILES, POD " restartPolicy", "'Always'" },
		/* printf %s '{"sink":{"config":{},"type":"discard"},"source":{"config":{"path":"/in"},"type":"file"}}'
		 * | sha256sum */
		{ FILES, "spec template metadata annotations",
		  "{'dataflow.dataflow.io/spec-hash':'394042309e049f7be233d182e7b492a383b4d8aa55e516023950e1a566b97069'}" },
	};
	struct df_operator_settings settings = plain_settings();

	(void)state;
	CHECK(&settings, FLOW, DEPLOYMENT, rows);
}

/* ---- the pod, as flows and crons have it ------------------------------------------------------------------- */

#define C "containers processor "
#define RESTRICTED                                                                   \
	"{'runAsNonRoot':true,'runAsUser':65532,'runAsGroup':65532,'fsGroup':65532," \
	"'seccompProfile':{'type':'RuntimeDefault'}}"

static const struct row pod_rows[] = {
	{ FILES, C "command", "['/processor']" },
	{ FILES, C "image", "'registry:5000/team/dataflow:1.2@sha256:ab'" },
	{ FILES ",'processorVersion':'2.0'", C "image", "'registry:5000/team/dataflow:2.0'" },
	{ FILES ",'processorImage':'other/image:3'", C "image", "'other/image:3'" },
	{ FILES ",'processorImage':'other/image:3','processorVersion':'2.0'", C "image", "'other/image:3'" },
	{ FILES, C "ports", "[{'name':'metrics','containerPort':9090,'protocol':'TCP'}]" },
	{ FILES, C "readinessProbe", NULL },
	{ FILES, C "livenessProbe",
	  "{'httpGet':{'path':'/livez','port':'metrics'},'periodSeconds':30,'timeoutSeconds':5,'failureThreshold':3}" },
	{ FILES, C "lifecycle", "{'preStop':{'exec':{'command':['/dataflow','sleep','5']}}}" },
	{ FILES, "terminationGracePeriodSeconds", "600" },
	{ FILES ",'terminationGracePeriodSeconds':45", "terminationGracePeriodSeconds", "45" },
	{ FILES, C "resources",
	  "{'requests':{'cpu':'100m','memory':'128Mi'},'limits':{'cpu':'500m','memory':'512Mi'}}" },
	{ FILES ",'resources':{'limits':{'memory':'1Gi'}}", C "resources", "{'limits':{'memory':'1Gi'}}" },
	{ FILES ",'resources':{}", C "resources", "{}" },
	{ FILES, "serviceAccountName", "'df-orders-processor'" },
	{ FILES, "automountServiceAccountToken", "true" },
	{ FILES ",'checkpointPersistence':false", "serviceAccountName", "'default'" },
	{ FILES ",'checkpointPersistence':false", "automountServiceAccountToken", "false" },
	{ KAFKA, "serviceAccountName", "'df-orders-processor'" },
	{ KAFKA, "automountServiceAccountToken", "false" },
	{ FILES, "securityContext", RESTRICTED },
	{ FILES, C "securityContext",
	  "{'allowPrivilegeEscalation':false,'capabilities':{'drop':['ALL']},'readOnlyRootFilesystem':true}" },
	{ FILES, "enableServiceLinks", "false" },
	{ FILES, "priorityClassName", NULL },
	{ FILES, C "volumeMounts",
	  "[{'name':'spec','mountPath':'/etc/dataflow','readOnly':true},{'name':'tmp','mountPath':'/tmp'}]" },
	{ FILES, "volumes tmp", "{'name':'tmp','emptyDir':{'sizeLimit':'64Mi'}}" },
	{ FILES, "nodeSelector", NULL },
	{ FILES ",'nodeSelector':{'disk':'ssd'}", "nodeSelector", "{'disk':'ssd'}" },
	{ FILES ",'affinity':{'podAntiAffinity':{'x':[1]}}", "affinity", "{'podAntiAffinity':{'x':[1]}}" },
	{ FILES ",'tolerations':[{'key':'k','operator':'Exists'}]", "tolerations",
	  "[{'key':'k','operator':'Exists'}]" },
	{ FILES ",'imagePullSecrets':[{'name':'pull'}]", "imagePullSecrets", "[{'name':'pull'}]" },
	{ FILES, "initContainers", NULL },
	/* ---- environment ---- */
	{ FILES, C "env LOG_LEVEL value", "'info'" },
	{ FILES, C "env PROCESSOR_PROGRESS_TIMEOUT_SECONDS value", "'3600'" },
	{ FILES, C "env SENTRY_DSN", NULL },
	{ FILES, C "env AWS_S3_ENDPOINT", NULL },
	{ FILES, C "env AWS_REGION", NULL },
	{ FILES, C "env POD_NAME valueFrom", "{'fieldRef':{'fieldPath':'metadata.name'}}" },
	{ FILES, C "env POD_UID valueFrom", "{'fieldRef':{'fieldPath':'metadata.uid'}}" },
	{ FILES, C "env POD_NAMESPACE valueFrom", "{'fieldRef':{'fieldPath':'metadata.namespace'}}" },
	{ FILES, C "env DATAFLOW_MEMORY_LIMIT_BYTES valueFrom",
	  "{'resourceFieldRef':{'containerName':'processor','resource':'limits.memory'}}" },
	{ FILES, C "env DATAFLOW_SHUTDOWN_GRACE_SECONDS value", "'590'" },
	{ FILES ",'terminationGracePeriodSeconds':45", C "env DATAFLOW_SHUTDOWN_GRACE_SECONDS value", "'35'" },
	{ FILES ",'terminationGracePeriodSeconds':3", C "env DATAFLOW_SHUTDOWN_GRACE_SECONDS value", "'1'" },
};

/* The rows, with their paths below the pod's spec. */
static void check_pods(const struct df_operator_settings *settings, const struct row *rows, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		char path[256];
		struct row row = { rows[i].members, path, rows[i].expected };

		snprintf(path, sizeof(path), POD " %s", rows[i].path);
		check_rows(settings, FLOW, DEPLOYMENT, &row, 1);
		snprintf(path, sizeof(path), RUN_POD " %s", rows[i].path);
		/* A cron has one pod at a time; whatever else is the same. */
		if (!strstr(row.members, "'replicas'"))
			check_rows(settings, CRON, CRONJOB, &row, 1);
	}
}

static void test_pod(void **state)
{
	static const struct row flow[] = {
		{ FILES, POD " " C "args",
		  "['--spec-path=/etc/dataflow/spec.json','--namespace=team','--name=orders']" },
		{ FILES, POD " " C "startupProbe",
		  "{'httpGet':{'path':'/readyz','port':'metrics'},'periodSeconds':10,'timeoutSeconds':5,"
		  "'failureThreshold':120}" },
		{ FILES, POD " volumes spec",
		  "{'name':'spec','projected':{'defaultMode':288,'sources':[{'configMap':{'name':'df-orders-spec',"
		  "'items':[{'key':'spec.json','path':'spec.json'}]}}]}}" },
	};
	static const struct row cron[] = {
		{ FILES, RUN_POD " " C "args",
		  "['--spec-path=/etc/dataflow/spec.json','--namespace=team','--name=orders','--once']" },
		{ FILES, RUN_POD " " C "startupProbe", NULL },
		{ FILES, RUN_POD " restartPolicy", "'Never'" },
		{ FILES, RUN_POD " volumes spec projected sources 0 configMap name", "'dfc-orders-spec'" },
	};
	struct df_operator_settings settings = plain_settings();

	(void)state;
	check_pods(&settings, pod_rows, sizeof(pod_rows) / sizeof(pod_rows[0]));
	CHECK(&settings, FLOW, DEPLOYMENT, flow);
	CHECK(&settings, CRON, CRONJOB, cron);
}

static void test_images(void **state)
{
	static const char *const rows[][2] = {
		{ "dataflow", "'dataflow:2'" },
		{ "dataflow:1", "'dataflow:2'" },
		{ "registry:5000/dataflow", "'registry:5000/dataflow:2'" },
		{ "registry:5000/a/dataflow:1", "'registry:5000/a/dataflow:2'" },
		{ "a/dataflow@sha256:0123", "'a/dataflow:2'" },
	};
	struct df_operator_settings settings = plain_settings();

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct row row = { FILES ",'processorVersion':'2'", POD " " C "image", rows[i][1] };

		settings.processor_image = (char *)rows[i][0];
		check_rows(&settings, FLOW, DEPLOYMENT, &row, 1);
	}
}

#define CATALOG(type, uri, more) \
	"{'type':'" type "','config':{'" uri "':'http://c','namespace':'n','table':'t'" more "}}"
#define S3 ",'s3Endpoint':'http://s3:9000','s3Region':'eu'"

static void test_environment_of_the_operator(void **state)
{
	static const struct row rows[] = {
		{ FILES, C "env LOG_LEVEL value", "'debug'" },
		{ FILES, C "env PROCESSOR_PROGRESS_TIMEOUT_SECONDS value", "'60'" },
		{ FILES, C "env SENTRY_DSN value", "'https://k@sentry/1'" },
		{ FILES, C "env SENTRY_DEBUG value", "'true'" },
		{ FILES, C "env SENTRY_RELEASE", NULL },
	};
	struct df_name_value sentry[] = { { (char *)"SENTRY_DSN", (char *)"https://k@sentry/1" },
					  { (char *)"SENTRY_DEBUG", (char *)"true" } };
	struct df_operator_settings settings = plain_settings();

	(void)state;
	settings.processor_log_level = (char *)"debug";
	settings.processor_progress_timeout = (char *)"60";
	settings.processor_env = sentry;
	settings.processor_env_count = 2;
	check_pods(&settings, rows, sizeof(rows) / sizeof(rows[0]));
}

static void test_object_storage(void **state)
{
#define F "'source':{'type':'file','config':{'path':'/in'}},'sink':"
	static const struct row rows[] = {
		{ F CATALOG("nessie", "baseURL", S3), C "env AWS_S3_ENDPOINT value", "'http://s3:9000'" },
		{ F CATALOG("nessie", "baseURL", S3), C "env AWS_REGION value", "'eu'" },
		{ F CATALOG("iceberg", "catalogURI", S3), C "env AWS_S3_ENDPOINT value", "'http://s3:9000'" },
		{ F CATALOG("iceberg", "catalogURI", ",'s3Region':'eu'"), C "env AWS_S3_ENDPOINT", NULL },
		{ F CATALOG("iceberg", "catalogURI", ",'s3Region':'eu'"), C "env AWS_REGION value", "'eu'" },
		{ FILES ",'errors':" CATALOG("iceberg", "catalogURI", S3), C "env AWS_REGION value", "'eu'" },
		{ F CATALOG("iceberg", "catalogURI",
			    S3 ",'accessKeySecretRef':{'name':'s3','key':'id'},"
			       "'secretAccessKeySecretRef':{'name':'s3','key':'secret'}"),
		  C "env AWS_ACCESS_KEY_ID", NULL }, /* files, as all secrets */
	};
#undef F
	struct df_operator_settings settings = plain_settings();

	(void)state;
	check_pods(&settings, rows, sizeof(rows) / sizeof(rows[0]));
}

static void test_secrets_are_mounted(void **state)
{
	static const char members[] =
		"'source':{'type':'postgresql','config':{'tableSecretRef':{'name':'pg','key':'table'},"
		"'connectionStringSecretRef':{'name':'pg','key':'dsn'}}},'sink':{'type':'postgresql','config':{"
		"'tableSecretRef':{'name':'pg','key':'table'},"
		"'connectionStringSecretRef':{'namespace':'other','name':'pg','key':'dsn'}}}";
	static const struct row rows[] = {
		{ members, "volumes spec projected sources 0 secret", NULL },
		{ members, "volumes spec projected sources 1",
		  "{'secret':{'name':'pg','optional':false,'items':[{'key':'dsn','path':'secrets/pg/dsn'},"
		  "{'key':'table','path':'secrets/pg/table'}]}}" },
		{ members, "volumes spec projected sources 2",
		  "{'secret':{'name':'dataflow-mirror.other.pg','optional':false,"
		  "'items':[{'key':'dsn','path':'secrets/pg@other/dsn'}]}}" },
		{ members, "volumes spec projected sources 3", NULL },
	};
	struct df_operator_settings settings = plain_settings();

	(void)state;
	check_pods(&settings, rows, sizeof(rows) / sizeof(rows[0]));
}

/* Writes what the volume's sources would hold: each item's file below `directory`, with its own path as content. */
static void mount(const struct df_value *sources, const char *directory)
{
	df_for_each (source, sources) {
		struct df_value *items = at(source, "secret items");

		if (!items)
			continue;
		df_for_each (item, items) {
			struct df_str path = df_kube_text(item, &arena, "path", NULL);
			char file[256];
			FILE *f;

			snprintf(file, sizeof(file), "%s/" DF_STR_FMT, directory, DF_STR_ARG(path));
			*strrchr(file, '/') = 0;
			assert_true(mkdir(file, 0700) == 0 || errno == EEXIST);
			snprintf(file, sizeof(file), "%s/" DF_STR_FMT, directory, DF_STR_ARG(path));
			f = fopen(file, "w");
			assert_non_null(f);
			fprintf(f, DF_STR_FMT "\n", DF_STR_ARG(path));
			fclose(f);
		}
	}
}

static void note_value(void *arg, const char *value)
{
	struct df_buf *found = arg;

	df_buf_printf(found, "%s\n", value);
}

/* What the pod mounts is where the processor looks: spec.json parsed as src/cmd/processor.c does it. */
static void test_the_processor_finds_its_secrets(void **state)
{
	static const char spec[] =
		"{'source':{'type':'postgresql','config':{'tableSecretRef':{'name':'pg','key':'table'},"
		"'connectionStringSecretRef':{'name':'pg','key':'dsn','namespace':'team'}}},'sink':{'type':'postgresql',"
		"'config':{'table':'t','connectionStringSecretRef':{'namespace':'other','name':'pg','key':'dsn'}}}}";
	struct df_operator_settings settings = plain_settings();
	struct df_value *sources = at(built(&settings, FLOW, spec, DEPLOYMENT), POD " volumes spec projected sources"),
			*document;
	struct df_str text = df_kube_text(built(&settings, FLOW, spec, SPEC), &arena, "data", "spec.json", NULL);
	char directory[] = "/tmp/test-objects-XXXXXX", command[64], secrets[64];
	struct df_secret_store *store;
	struct df_dataflow_spec flow;
	struct df_diags diags = { 0 };
	struct df_error err = DF_ERROR_INIT;
	struct df_buf found = { 0 };

	(void)state;
	assert_non_null(mkdtemp(directory));
	snprintf(secrets, sizeof(secrets), "%s/secrets", directory);
	assert_int_equal(mkdir(secrets, 0700), 0);
	mount(sources, directory);
	store = df_secret_store_new(secrets, "team");
	assert_int_equal(df_value_parse_text(text, &arena, &document, &err), 0);
	df_settings_parse(&df_dataflow_table, document,
			  &(struct df_parse_options){
				  .path = "spec", .registry = df_registry(), .secrets = df_secret_store_get(store) },
			  &flow, &diags);
	assert_int_equal(diags.errors, 0);
	df_settings_secret_values(flow.source.type->settings, flow.source.settings, note_value, &found);
	df_settings_secret_values(flow.sink.type->settings, flow.sink.settings, note_value, &found);
	assert_string_equal(df_buf_c(&found), "secrets/pg/dsn\nsecrets/pg/table\nsecrets/pg@other/dsn\n");
	df_buf_done(&found);
	df_settings_done(&df_dataflow_table, &flow);
	df_diags_done(&diags);
	df_secret_store_free(store);
	snprintf(command, sizeof(command), "rm -r %s", directory);
	assert_int_equal(system(command), 0);
}

/* A password that is written into the manifest is in the spec's ConfigMap, which the processor needs, and nowhere else.
 */
static void test_canary(void **state)
{
	struct df_operator_settings settings = plain_settings();
	const char *spec = "{'source':{'type':'postgresql','config':{'table':'t','connectionString':"
			   "'postgres://u:canary-7@h/d'}}," SINK ",'schedule':'* * * * *','triggers':[{'image':'i'}]}";

	(void)state;
	for (enum object which = 0; which < OBJECTS; which++) {
		enum df_manifest_kind kind = which == CRONJOB || which == TRIGGER ? CRON : FLOW;
		bool found = strstr(text_of(built(&settings, kind, spec, which)), "canary-7");

		if (found != (which == SPEC))
			fail_msg("object %d: the password is %s", (int)which, found ? "in it" : "not in it");
	}
}

/* ---- what the chart says of pods -------------------------------------------------------------------------- */

static void test_pod_defaults(void **state)
{
	static const struct row rows[] = {
		/* OpenShift gives ids itself. */
		{ FILES, POD " securityContext",
		  "{'runAsNonRoot':true,'seccompProfile':{'type':'RuntimeDefault'},'supplementalGroups':[7]}" },
		{ FILES, POD " " C "securityContext",
		  "{'allowPrivilegeEscalation':false,'capabilities':{'drop':['ALL'],'add':['X']},"
		  "'readOnlyRootFilesystem':false}" },
		{ FILES, POD " priorityClassName", "'high'" },
		{ FILES, "spec template metadata labels team", "'data'" },
		{ FILES, "spec template metadata labels app", "'dataflow-processor'" },
		{ FILES, "metadata labels team", NULL },
		{ FILES, "spec template metadata annotations sidecar", "'no'" },
		{ FILES, "spec selector matchLabels team", NULL },
	};
	struct df_operator_settings settings = plain_settings();
	struct df_value *hash;

	(void)state;
	settings.processor_defaults =
		json("{'podSecurityContext':{'runAsUser':null,'runAsGroup':null,'fsGroup':null,"
		     "'supplementalGroups':[7]},'securityContext':{'readOnlyRootFilesystem':false,"
		     "'capabilities':{'add':['X']}},'priorityClassName':'high','labels':{'team':'data','app':'mine'},"
		     "'annotations':{'sidecar':'no','dataflow.dataflow.io/spec-hash':'x'}}");
	CHECK(&settings, FLOW, DEPLOYMENT, rows);
	hash = at(built(&settings, FLOW, "{" FILES "}", DEPLOYMENT),
		  "spec template metadata annotations dataflow.dataflow.io/spec-hash");
	assert_int_equal(hash->len, 64);
}

/* ---- DataFlowCron ---------------------------------------------------------------------------------------- */

#define TRIGGERS ",'triggers':[{'image':'a/b:1'}]"

static void test_cronjob(void **state)
{
	static const struct row rows[] = {
		{ FILES, "spec schedule", "'5 * * * *'" },
		{ FILES, "spec timeZone", NULL },
		{ FILES ",'timeZone':'Europe/Berlin'", "spec timeZone", "'Europe/Berlin'" },
		{ FILES, "spec startingDeadlineSeconds", NULL },
		{ FILES ",'startingDeadlineSeconds':0", "spec startingDeadlineSeconds", "0" },
		{ FILES ",'startingDeadlineSeconds':300", "spec startingDeadlineSeconds", "300" },
		{ FILES, "spec suspend", "false" },
		{ FILES ",'suspend':true", "spec suspend", "true" },
		{ FILES, "spec concurrencyPolicy", "'Allow'" },
		{ FILES ",'concurrencyPolicy':'Forbid'", "spec concurrencyPolicy", "'Forbid'" },
		{ FILES ",'concurrencyPolicy':'Replace'", "spec concurrencyPolicy", "'Replace'" },
		{ FILES, "spec successfulJobsHistoryLimit", "3" },
		{ FILES ",'successfulJobsHistoryLimit':0", "spec successfulJobsHistoryLimit", "1" },
		{ FILES ",'successfulJobsHistoryLimit':7", "spec successfulJobsHistoryLimit", "7" },
		{ FILES, "spec failedJobsHistoryLimit", "1" },
		{ FILES ",'failedJobsHistoryLimit':0", "spec failedJobsHistoryLimit", "1" },
		{ FILES ",'failedJobsHistoryLimit':5", "spec failedJobsHistoryLimit", "5" },
		{ FILES, "spec jobTemplate metadata labels", CRON_LABELS },
		{ FILES, "spec jobTemplate spec template metadata labels", CRON_LABELS },
		{ FILES, "spec jobTemplate spec backoffLimit", "6" },
		{ FILES, "spec jobTemplate spec ttlSecondsAfterFinished", NULL },
		/* The gate: triggers, and a policy under which chains must not overlap. */
		{ FILES, "spec jobTemplate spec suspend", NULL },
		{ FILES ",'concurrencyPolicy':'Forbid'", "spec jobTemplate spec suspend", NULL },
		{ FILES TRIGGERS, "spec jobTemplate spec suspend", NULL },
		{ FILES TRIGGERS ",'concurrencyPolicy':'Allow'", "spec jobTemplate spec suspend", NULL },
		{ FILES TRIGGERS ",'concurrencyPolicy':'Forbid'", "spec jobTemplate spec suspend", "true" },
		{ FILES TRIGGERS ",'concurrencyPolicy':'Replace'", "spec jobTemplate spec suspend", "true" },
	};
	static const char *const schedules[][2] = {
		{ "0 5 * * * *", "'5 * * * *'" },
		{ " 0  5 *\\t* * 1-5 ", "'5 *\\t* * 1-5'" },
		{ " */15 * * * * ", "'*/15 * * * *'" },
	};
	struct df_operator_settings settings = plain_settings();

	(void)state;
	CHECK(&settings, CRON, CRONJOB, rows);
	for (size_t i = 0; i < sizeof(schedules) / sizeof(schedules[0]); i++) {
		char spec[256];
		struct df_value *found;

		snprintf(spec, sizeof(spec), "{" FILES ",'schedule':'%s'}", schedules[i][0]);
		found = at(built(&settings, CRON, spec, CRONJOB), "spec schedule");
		assert_string_equal(df_arena_dup(&arena, df_value_text(found, &arena)).ptr,
				    df_arena_dup(&arena, df_value_text(json(schedules[i][1]), &arena)).ptr);
	}
}

static void test_trigger_job(void **state)
{
#define FULL                                                                                                   \
	",'triggers':[{'image':'a/b:1','name':'report','command':['/bin/report'],'args':['-v'],"               \
	"'imagePullPolicy':'Always','env':[{'name':'K','valueFrom':{'secretKeyRef':{'name':'s','key':'k'}}}]," \
	"'resources':{'limits':{'cpu':'1'}}}]"
	static const struct row rows[] = {
		{ FILES TRIGGERS, "apiVersion", "'batch/v1'" },
		{ FILES TRIGGERS, "kind", "'Job'" },
		{ FILES TRIGGERS, "metadata name", "'dfc-orders-43819276-trigger-0'" },
		{ FILES TRIGGERS, "metadata namespace", "'team'" },
		{ FILES TRIGGERS, "metadata labels dataflow.dataflow.io/dataflow-cron", "'orders'" },
		{ FILES TRIGGERS, "metadata labels dataflow.dataflow.io/trigger-index", "'0'" },
		{ FILES TRIGGERS, "metadata labels dataflow.dataflow.io/run-id", "'43819276'" },
		{ FILES TRIGGERS, "metadata labels dataflow.dataflow.io/owned", "'true'" },
		{ FILES TRIGGERS, "metadata labels dataflow.dataflow.io/name", NULL },
		{ FILES TRIGGERS, "metadata annotations",
		  "{'dataflow.dataflow.io/processor-job':'dfc-orders-29012345'}" },
		{ FILES TRIGGERS, "spec backoffLimit", "0" },
		{ FILES TRIGGERS, "spec suspend", NULL },
		{ FILES TRIGGERS, "spec template metadata labels",
		  "{'dataflow.dataflow.io/dataflow-cron':'orders','dataflow.dataflow.io/trigger-index':'0',"
		  "'dataflow.dataflow.io/generated-by':'dataflowcron-controller',"
		  "'dataflow.dataflow.io/run-id':'43819276'}" },
		{ FILES TRIGGERS, POD,
		  "{'restartPolicy':'Never','securityContext':" RESTRICTED ",'containers':[{'name':'trigger-0',"
		  "'image':'a/b:1','securityContext':{'allowPrivilegeEscalation':false,"
		  "'capabilities':{'drop':['ALL']}}}]}" },
		{ FILES FULL, POD " containers 0",
		  "{'name':'report','image':'a/b:1','imagePullPolicy':'Always','command':['/bin/report'],"
		  "'args':['-v'],'env':[{'name':'K','valueFrom':{'secretKeyRef':{'name':'s','key':'k'}}}],"
		  "'resources':{'limits':{'cpu':'1'}},'securityContext':{'allowPrivilegeEscalation':false,"
		  "'capabilities':{'drop':['ALL']}}}" },
	};
#undef FULL
	static const struct row root[] = {
		{ FILES TRIGGERS, POD " securityContext", "{'seccompProfile':{'type':'RuntimeDefault'}}" },
		{ FILES TRIGGERS, POD " containers 0 securityContext", "{'allowPrivilegeEscalation':false}" },
	};
	struct df_operator_settings settings = plain_settings();

	(void)state;
	CHECK(&settings, CRON, TRIGGER, rows);
	settings.processor_defaults =
		json("{'podSecurityContext':{'fsGroup':5},'triggers':{'podSecurityContext':{'runAsNonRoot':null,"
		     "'runAsUser':null,'runAsGroup':null,'fsGroup':null},'securityContext':{'capabilities':null}}}");
	CHECK(&settings, CRON, TRIGGER, root);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(test_identity, free_arena),
		cmocka_unit_test_teardown(test_config, free_arena),
		cmocka_unit_test_teardown(test_access, free_arena),
		cmocka_unit_test_teardown(test_deployment, free_arena),
		cmocka_unit_test_teardown(test_pod, free_arena),
		cmocka_unit_test_teardown(test_images, free_arena),
		cmocka_unit_test_teardown(test_environment_of_the_operator, free_arena),
		cmocka_unit_test_teardown(test_object_storage, free_arena),
		cmocka_unit_test_teardown(test_secrets_are_mounted, free_arena),
		cmocka_unit_test_teardown(test_the_processor_finds_its_secrets, free_arena),
		cmocka_unit_test_teardown(test_canary, free_arena),
		cmocka_unit_test_teardown(test_pod_defaults, free_arena),
		cmocka_unit_test_teardown(test_cronjob, free_arena),
		cmocka_unit_test_teardown(test_trigger_job, free_arena),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/*
 * Whole reconciles of a DataFlow and a DataFlowCron: against an API server of this process (test/kube/fake.h), with
 * caches that hold what the test says.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>

#include "operator/internal.h"
#include "operator/names.h"
#include "test/kube/fake.h"
#include "test/operator/resources.h"

#define UID "5f0c9f0e-0000-4000-8000-000000000001" /* of the resource; resources.h */
#define NOW INT64_C(1767225600)			   /* 2026-01-01T00:00:00Z */

static struct df_operator op;
static struct df_operator_settings settings;
static struct df_value *watched[DF_WATCHED]; /* an array of objects; NULL: none */
static struct df_buf events;		     /* "Reason: text\n" ... */
static struct df_reconcile r;
static struct df_error err;

/* ---- what work.c and events.c do otherwise ---------------------------------------------------------------- */

static bool is_named(const struct df_value *object, const char *name)
{
	return df_str_equal_c(df_kube_text(object, &arena, "metadata", "name", NULL), name);
}

int df_watched_get(struct df_reconcile *of, enum df_watched what, const char *namespace, const char *name,
		   struct df_value **ret, struct df_error *e)
{
	(void)namespace;
	(void)e;
	*ret = NULL;
	for (struct df_value *v = watched[what] ? watched[what]->first : NULL; v; v = v->next)
		if (is_named(v, name))
			*ret = df_value_clone_deep(v, of->arena);
	return 0;
}

int df_watched_of(struct df_reconcile *of, enum df_watched what, struct df_value ***ret, size_t *ret_count,
		  struct df_error *e)
{
	size_t n = watched[what] ? watched[what]->len : 0;

	(void)e;
	*ret = df_arena_alloc(of->arena, (n + 1) * sizeof(**ret));
	*ret_count = 0;
	for (struct df_value *v = n ? watched[what]->first : NULL; v; v = v->next)
		(*ret)[(*ret_count)++] = df_value_clone_deep(v, of->arena);
	return 0;
}

void df_reconcile_again(struct df_reconcile *of, int64_t ns)
{
	if (of->again_ns == 0 || ns < of->again_ns)
		of->again_ns = ns;
}

void df_event(struct df_reconcile *of, const struct df_value *object, bool warning, const char *reason, const char *fmt,
	      ...)
{
	char text[1024];
	va_list args;

	(void)of;
	(void)object;
	(void)warning;
	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	df_buf_printf(&events, "%s: %s\n", reason, text);
}

/* ---- a reconcile ----------------------------------------------------------------------------------------- */

static int start(void **state)
{
	(void)state;
	fake_start();
	settings = (struct df_operator_settings){ .processor_image = (char *)"example.org/dataflow:1",
						  .processor_log_level = (char *)"info",
						  .processor_progress_timeout = (char *)"3600",
						  .pending_requeue_ns = 20 * DF_NS_PER_S };
	op = (struct df_operator){ .settings = &settings,
				   .verified = df_verified_new(),
				   .metrics = df_operator_metrics_new() };
	return df_counts_start(&settings, &op.counts, &err);
}

static int stop(void **state)
{
	fake_stop();
	df_counts_stop(op.counts);
	df_verified_free(op.verified);
	df_operator_metrics_free(op.metrics);
	df_buf_done(&events);
	memset(watched, 0, sizeof(watched));
	return free_arena(state);
}

/* ' for ". */
static df_printf(1, 2) struct df_value *jsonf(const char *fmt, ...)
{
	char text[8192];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	return json(text);
}

static void put(enum df_watched what, struct df_value *object)
{
	if (!watched[what])
		watched[what] = json("[]");
	df_array_append(watched[what], object);
}

static const enum df_watched watches[] = {
	[DF_KIND_DATAFLOW] = DF_WATCH_DATAFLOWS, [DF_KIND_DATAFLOWCRON] = DF_WATCH_DATAFLOWCRONS
};

/* The resource `f` of namespace team, of generation 3. */
static void put_resource(enum df_manifest_kind kind, const char *spec)
{
	struct df_value *o = object(kind, "f", spec);

	df_object_set(df_object_get_c(o, "metadata"), DF_STR("resourceVersion"), json("'7'"));
	put(watches[kind], o);
}

static int reconcile(enum df_manifest_kind kind)
{
	df_cleanup(df_arena_done) struct df_arena own = { 0 };
	int code;

	events.len = 0;
	r = (struct df_reconcile){ .op = &op,
				   .settings = &settings,
				   .client = fake_client,
				   .arena = &own,
				   .counts = op.counts,
				   .kind = kind,
				   .namespace = "team",
				   .name = "f",
				   .now = NOW };
	err = DF_ERROR_INIT;
	code = kind == DF_KIND_DATAFLOW ? df_reconcile_flow(&r, &err) : df_reconcile_cron(&r, &err);
	r.arena = NULL;
	return code;
}

static void good(int code)
{
	if (code != 0)
		fail_msg("%s\n%s", err.text, fake_requests());
}

static void assert_asked(const char *request, int times)
{
	if (fake_asked(request) != times)
		fail_msg("not %d times but %d: %s\n%s", times, fake_asked(request), request, fake_requests());
}

static void assert_event(const char *text)
{
	if (!strstr(df_buf_c(&events), text))
		fail_msg("no Event %s among:\n%s", text, df_buf_c(&events));
}

#define API "/apis/dataflow.dataflow.io/v1/namespaces/team/"
#define FLOW API "dataflows/f?"
#define FLOW_STATUS "PATCH " API "dataflows/f/status"
#define CRON_STATUS "PATCH " API "dataflowcrons/f/status"
#define DEPLOYMENT "/apis/apps/v1/namespaces/team/deployments/df-f"
#define CRONJOB "/apis/batch/v1/namespaces/team/cronjobs/dfc-f"
#define LEASE "/apis/coordination.k8s.io/v1/namespaces/team/leases/df-f-processor"
#define CHECKPOINT "/api/v1/namespaces/team/configmaps/df-f-checkpoint"

/* What the last status says. */
static const struct df_value *status(const char *request)
{
	const char *body = fake_body(request);

	if (!body)
		fail_msg("no status was written:\n%s", fake_requests());
	return df_object_get_c(json(body), "status");
}

static const char *status_text(const char *request, const char *path)
{
	const struct df_value *v = at(status(request), path);

	return v ? df_arena_dup(&arena, df_value_text(v, &arena)).ptr : "";
}

static void assert_has(const char *text, const char *part)
{
	if (!strstr(text, part))
		fail_msg("`%s` has no `%s`", text, part);
}

#define GENERATE "'source':{'type':'generate','config':{'count':3}}"
#define DISCARD "'sink':{'type':'discard','config':{}}"
#define OWNER(uid)                                                                                            \
	"'ownerReferences':[{'apiVersion':'dataflow.dataflow.io/v1','kind':'DataFlow','name':'f','uid':'" uid \
	"','controller':true}]"

/* ---- a step that fails ----------------------------------------------------------------------------------- */

static void what_a_step_was_told_to_wait_survives_its_status(void **state)
{
	(void)state;
	put_resource(DF_KIND_DATAFLOW, "{" GENERATE "," DISCARD "}");
	fake_on("PATCH " CHECKPOINT, 429, "Retry-After: 7\r\n", NULL);
	assert_int_equal(reconcile(DF_KIND_DATAFLOW), DF_ERR_TRANSIENT);
	assert_has(status_text(FLOW_STATUS, "message"), "Failed to create checkpoint ConfigMap");
	assert_int_equal(r.retry_after_ns, 7 * DF_NS_PER_S);
	/* So does that of the status itself. */
	fake_forget();
	fake_on(FLOW_STATUS, 503, "Retry-After: 9\r\n", NULL);
	assert_int_equal(reconcile(DF_KIND_DATAFLOW), DF_ERR_TRANSIENT);
	assert_int_equal(r.retry_after_ns, 9 * DF_NS_PER_S);
}

/* What the cluster has once the last status is written. */
static void take_status(enum df_manifest_kind kind, const char *request)
{
	struct df_value *o = watched[watches[kind]]->first, *now = df_object_get_c(o, "status");

	if (!now) {
		now = json("{}");
		df_object_set(o, DF_STR("status"), now);
	}
	df_for_each (member, status(request))
		df_object_set(now, df_value_key(member), df_value_clone_deep(member, &arena));
	fake_forget();
}

#define JOB                                                                                                           \
	"{'metadata':{'name':'dfc-f-1','uid':'j-1','resourceVersion':'5','creationTimestamp':'2025-12-31T23:59:00Z'," \
	"'labels':{'dataflow.dataflow.io/dataflow-cron':'f','dataflow.dataflow.io/trigger-index':'processor',"        \
	"'dataflow.dataflow.io/run-id':'01234567'},'ownerReferences':[{'kind':'CronJob','name':'dfc-f','uid':'w-1',"  \
	"'controller':true}]},'spec':{'suspend':false},'status':{'active':1}}"
#define HOURLY "'schedule':'0 * * * *'"

/* The run under way is what the phase tells, so the phase alone does not say that a step has failed. */
static void what_is_not_wanted_goes_after_a_failed_step(void **state)
{
	(void)state;
	put_resource(DF_KIND_DATAFLOWCRON, "{" GENERATE "," DISCARD "," HOURLY ",'checkpointPersistence':false}");
	put(DF_WATCH_CRONJOBS,
	    json("{'metadata':{'name':'dfc-f','uid':'w-1','labels':{'dataflow.dataflow.io/owned':'true'},"
		 "'ownerReferences':[{'kind':'DataFlowCron','name':'f','uid':'" UID "','controller':true}]}}"));
	put(DF_WATCH_JOBS, json(JOB));
	fake_on("POST /api/v1/namespaces/team/configmaps?", 500, "", NULL);
	assert_int_equal(reconcile(DF_KIND_DATAFLOWCRON), DF_ERR_TRANSIENT);
	assert_string_equal(status_text(CRON_STATUS, "phase"), "Running");
	assert_has(status_text(CRON_STATUS, "message"), "Failed to create ConfigMap");
	assert_asked("GET " LEASE, 0);
	take_status(DF_KIND_DATAFLOWCRON, CRON_STATUS);
	good(reconcile(DF_KIND_DATAFLOWCRON));
	assert_asked("GET " LEASE, 1);
	take_status(DF_KIND_DATAFLOWCRON, CRON_STATUS);
	/* Nothing has changed since, and it is not looked for again. */
	df_verified_forget(op.verified, DF_KIND_DATAFLOWCRON, "team", "f");
	good(reconcile(DF_KIND_DATAFLOWCRON));
	assert_asked("GET " LEASE, 0);
}

#define OLDER                                                                                                      \
	"'metadata':{'name':'%s','labels':{'dataflow.dataflow.io/owned':'true'},'ownerReferences':[{'apiVersion':" \
	"'dataflow.dataflow.io/v1','kind':'DataFlow','name':'f','uid':'older','controller':true}]}"

static void what_is_not_wanted_goes_after_a_wait(void **state)
{
	(void)state;
	put_resource(DF_KIND_DATAFLOW, "{" GENERATE "," DISCARD ",'checkpointPersistence':false}");
	put(DF_WATCH_CONFIGMAPS, jsonf("{" OLDER "}", "df-f-spec"));
	fake_on("GET /api/v1/namespaces/team/configmaps/df-f-spec", 200, "",
		"{'metadata':{'name':'df-f-spec','ownerReferences':[{'apiVersion':'dataflow.dataflow.io/v1',"
		"'kind':'DataFlow','name':'f','uid':'older','controller':true}]}}");
	good(reconcile(DF_KIND_DATAFLOW));
	assert_string_equal(status_text(FLOW_STATUS, "phase"), "Pending");
	assert_asked("GET " LEASE, 0);
	take_status(DF_KIND_DATAFLOW, FLOW_STATUS);
	watched[DF_WATCH_CONFIGMAPS] = NULL;
	good(reconcile(DF_KIND_DATAFLOW));
	assert_asked("GET " LEASE, 1);
}

/* ---- the reset ------------------------------------------------------------------------------------------- */

#define FLAG ",'checkpointReset':true"
#define EXACTLY_ONCE "'sink':{'type':'sqlite','config':{'path':'/x','table':'t','exactlyOnce':true}}"

/* Without a ConfigMap, too, somebody asked, and the wish is taken from the spec. */
static void a_reset_is_told_without_a_checkpoint(void **state)
{
	(void)state;
	put_resource(DF_KIND_DATAFLOW, "{" GENERATE "," EXACTLY_ONCE FLAG ",'checkpointPersistence':false}");
	good(reconcile(DF_KIND_DATAFLOW));
	assert_asked("PATCH " FLOW, 1);
	assert_event("CheckpointResetIgnored: The sink sqlite holds the position");
	watched[DF_WATCH_DATAFLOWS] = NULL;
	fake_forget();
	put_resource(DF_KIND_DATAFLOW, "{" GENERATE "," DISCARD FLAG ",'checkpointPersistence':false}");
	good(reconcile(DF_KIND_DATAFLOW));
	assert_asked("PATCH " FLOW, 1);
	assert_event("CheckpointReset: ");
}

#define LIVE(generation, more) \
	"{'metadata':{'name':'f','namespace':'team','uid':'" UID "','generation':" #generation more "},'spec':{}}"

/* 422 is what the API server says when a `test` of the patch fails, and when it refuses the object. */
static void a_refused_clearing_is_a_failure(void **state)
{
	(void)state;
	put_resource(DF_KIND_DATAFLOW, "{" GENERATE "," DISCARD FLAG "}");
	fake_on("PATCH " FLOW, 422, "", NULL);
	fake_on("GET " API "dataflows/f", 200, "", LIVE(3, ""));
	fake_on("GET " CHECKPOINT, 200, "",
		"{'metadata':{'name':'df-f-checkpoint','resourceVersion':'9'," OWNER(UID) "}}");
	assert_int_equal(reconcile(DF_KIND_DATAFLOW), DF_ERR_CONFIG);
	assert_has(status_text(FLOW_STATUS, "message"), "Failed to reset checkpoint: ");
	assert_has(status_text(FLOW_STATUS, "message"), "refused by the test");
	assert_asked("POST /apis/apps/v1/", 0); /* no pod before the wish is cleared */
	assert_asked("PATCH /apis/apps/v1/", 0);
}

static void a_wish_that_changed_is_looked_at_again(void **state)
{
	(void)state;
	put_resource(DF_KIND_DATAFLOW, "{" GENERATE "," DISCARD FLAG "}");
	fake_on("PATCH " FLOW, 422, "", NULL);
	fake_on("GET " API "dataflows/f", 200, "", LIVE(4, ""));
	good(reconcile(DF_KIND_DATAFLOW));
	assert_int_equal(r.again_ns, 100 * DF_NS_PER_MS);
	/* The annotation alone does not make a generation. */
	watched[DF_WATCH_DATAFLOWS] = NULL;
	put_resource(DF_KIND_DATAFLOW, "{" GENERATE "," DISCARD "}");
	df_object_set(df_object_get_c(watched[DF_WATCH_DATAFLOWS]->first, "metadata"), DF_STR("annotations"),
		      json("{'dataflow.dataflow.io/reset-checkpoint':'true'}"));
	fake_on("GET " API "dataflows/f", 200, "",
		LIVE(3, ",'annotations':{'dataflow.dataflow.io/reset-checkpoint':'t2'}"));
	good(reconcile(DF_KIND_DATAFLOW));
	assert_int_equal(r.again_ns, 100 * DF_NS_PER_MS);
	fake_on("GET " API "dataflows/f", 200, "",
		LIVE(3, ",'annotations':{'dataflow.dataflow.io/reset-checkpoint':'true'}"));
	assert_int_equal(reconcile(DF_KIND_DATAFLOW), DF_ERR_CONFIG);
}

/* ---- references to another namespace ---------------------------------------------------------------------- */

#define MIRROR "/api/v1/namespaces/team/secrets/dataflow-mirror.vault.db.main"
#define REFERENCE                                                                                                 \
	"'sink':{'type':'sqlite','config':{'path':'/d','tableSecretRef':{'name':'db.main','key':'t','namespace':" \
	"'vault'}}}"
#define INVALID "'source':{'type':'generate','config':{'count':3,'rate':-1}}"
#define VOLUMES                                                                                               \
	"'template':{'spec':{'volumes':[{'name':'tmp','emptyDir':{}},{'name':'spec','projected':{'sources':[" \
	"{'configMap':{'name':'df-f-spec'}},{'secret':{'name':'dataflow-mirror.vault.db.main'}}]}}]}}"

static struct df_allowed_reference allowed = { (char *)"team", (char *)"vault", (char *)"db.main" };

/* As it was made when the spec was valid and the reference allowed. */
static void put_deployment(const char *uid)
{
	put(DF_WATCH_DEPLOYMENTS,
	    jsonf("{'metadata':{'name':'df-f','uid':'w-1','labels':{'dataflow.dataflow.io/owned':'true'},"
		  "'ownerReferences':[{'apiVersion':'dataflow.dataflow.io/v1','kind':'DataFlow','name':'f','uid':'%s',"
		  "'controller':true}]},'spec':{'replicas':2," VOLUMES "}}",
		  uid));
}

static void put_cronjob(const char *uid)
{
	put(DF_WATCH_CRONJOBS,
	    jsonf("{'metadata':{'name':'dfc-f','uid':'w-1','labels':{'dataflow.dataflow.io/owned':'true'},"
		  "'ownerReferences':[{'apiVersion':'dataflow.dataflow.io/v1','kind':'DataFlowCron','name':'f','uid':"
		  "'%s','controller':true}]},'spec':{'suspend':false,'jobTemplate':{'spec':{" VOLUMES "}}}}",
		  uid));
}

static void have_mirror(void)
{
	fake_on("GET " MIRROR, 200, "",
		"{'metadata':{'name':'dataflow-mirror.vault.db.main','uid':'m-1','labels':"
		"{'dataflow.dataflow.io/owned':'true'}}}");
}

/* The permission is taken away while the spec is invalid, so that its references cannot be read. */
static void a_permission_ends_while_the_spec_is_invalid(void **state)
{
	(void)state;
	put_resource(DF_KIND_DATAFLOW, "{" INVALID "," REFERENCE "}");
	put_deployment(UID);
	have_mirror();
	settings.allowed = &allowed;
	settings.allowed_count = 1;
	good(reconcile(DF_KIND_DATAFLOW));
	assert_asked("DELETE " MIRROR, 0);
	assert_asked("PATCH " DEPLOYMENT, 0);
	assert_has(fake_body(FLOW_STATUS), "InvalidSpec");
	settings.allowed_count = 0;
	good(reconcile(DF_KIND_DATAFLOW));
	assert_asked("DELETE " MIRROR, 1);
	assert_has(fake_body("PATCH " DEPLOYMENT), "\"replicas\":0");
	assert_string_equal(status_text(FLOW_STATUS, "phase"), "Error");
	assert_has(status_text(FLOW_STATUS, "message"), "Invalid spec: spec.source.config.rate: ");
	assert_has(status_text(FLOW_STATUS, "message"), "the Secret db.main of namespace vault");
	assert_has(fake_body(FLOW_STATUS), "SecretReferenceDenied");
	assert_event("SecretReferenceDenied: Invalid spec");
}

static void a_permission_ends_while_the_spec_of_a_cron_is_invalid(void **state)
{
	(void)state;
	put_resource(DF_KIND_DATAFLOWCRON, "{" INVALID "," REFERENCE "," HOURLY "}");
	put_cronjob(UID);
	put(DF_WATCH_JOBS, json(JOB));
	/* Whether a run is at its end is not known without the triggers. */
	put(DF_WATCH_JOBS,
	    json("{'metadata':{'name':'dfc-f-0','uid':'j-0','resourceVersion':'4','creationTimestamp':"
		 "'2025-12-31T22:59:00Z','labels':{'dataflow.dataflow.io/dataflow-cron':'f',"
		 "'dataflow.dataflow.io/trigger-index':'processor','dataflow.dataflow.io/run-id':'76543210'}},"
		 "'status':{'conditions':[{'type':'Complete','status':'True'}]}}"));
	have_mirror();
	settings.allowed = &allowed;
	settings.allowed_count = 1;
	good(reconcile(DF_KIND_DATAFLOWCRON));
	assert_asked("DELETE " MIRROR, 0);
	assert_asked("PATCH " CRONJOB, 0);
	assert_asked("PATCH /apis/batch/v1/namespaces/team/jobs/dfc-f-1", 0);
	settings.allowed_count = 0;
	good(reconcile(DF_KIND_DATAFLOWCRON));
	assert_asked("DELETE " MIRROR, 1);
	assert_has(fake_body("PATCH " CRONJOB), "\"suspend\":true");
	assert_has(fake_body("PATCH /apis/batch/v1/namespaces/team/jobs/dfc-f-1"), "\"suspend\":true");
	assert_asked("PATCH /apis/batch/v1/namespaces/team/jobs/dfc-f-0", 0);
	assert_has(fake_body(CRON_STATUS), "SecretReferenceDenied");
}

/* It hides nothing, and is tried again with the others' patience. */
static void a_mirror_that_stays_is_tried_again(void **state)
{
	static const char *const specs[] = { "{" GENERATE "," REFERENCE "}", "{" INVALID "," REFERENCE "}" };

	(void)state;
	for (size_t i = 0; i < DF_ARRAY_SIZE(specs); i++) {
		watched[DF_WATCH_DATAFLOWS] = watched[DF_WATCH_DEPLOYMENTS] = NULL;
		fake_forget();
		put_resource(DF_KIND_DATAFLOW, specs[i]);
		put_deployment(UID);
		have_mirror();
		fake_on("DELETE " MIRROR, 503, "Retry-After: 9\r\n", NULL);
		assert_int_equal(reconcile(DF_KIND_DATAFLOW), DF_ERR_TRANSIENT);
		assert_has(err.text, "dataflow-mirror.vault.db.main");
		assert_int_equal(r.retry_after_ns, 9 * DF_NS_PER_S);
		assert_has(fake_body("PATCH " DEPLOYMENT), "\"replicas\":0");
		assert_has(fake_body(FLOW_STATUS), "SecretReferenceDenied");
	}
}

/* The object of that name is another's. */
static void what_belongs_to_another_is_not_stopped(void **state)
{
	(void)state;
	put_resource(DF_KIND_DATAFLOW, "{" GENERATE "," REFERENCE "}");
	put(DF_WATCH_DEPLOYMENTS,
	    json("{'metadata':{'name':'df-f','uid':'w-1','labels':{'dataflow.dataflow.io/owned':'true'},"
		 "'ownerReferences':[{'apiVersion':'example.org/v1','kind':'App','name':'a','uid':'a-1','controller':true}]},"
		 "'spec':{'replicas':2," VOLUMES "}}"));
	good(reconcile(DF_KIND_DATAFLOW));
	assert_has(fake_body(FLOW_STATUS), "SecretReferenceDenied");
	assert_asked("PATCH " DEPLOYMENT, 0);

	/* Nor does it say what an invalid one has used. */
	watched[DF_WATCH_DATAFLOWS] = NULL;
	put_resource(DF_KIND_DATAFLOW, "{" INVALID "," REFERENCE "}");
	fake_forget();
	have_mirror();
	good(reconcile(DF_KIND_DATAFLOW));
	assert_asked("DELETE " MIRROR, 0);
	assert_asked("PATCH " DEPLOYMENT, 0);

	watched[DF_WATCH_DATAFLOWS] = NULL;
	put_resource(DF_KIND_DATAFLOW, "{" GENERATE "," REFERENCE "}");
	put_resource(DF_KIND_DATAFLOWCRON, "{" GENERATE "," REFERENCE "," HOURLY "}");
	put(DF_WATCH_CRONJOBS,
	    json("{'metadata':{'name':'dfc-f','uid':'w-1','labels':{'dataflow.dataflow.io/owned':'true'},"
		 "'ownerReferences':[{'apiVersion':'example.org/v1','kind':'App','name':'a','uid':'a-1','controller':true}]},"
		 "'spec':{'suspend':false}}"));
	good(reconcile(DF_KIND_DATAFLOWCRON));
	assert_has(fake_body(CRON_STATUS), "SecretReferenceDenied");
	assert_asked("PATCH " CRONJOB, 0);
	/* Its own ones are. */
	watched[DF_WATCH_DEPLOYMENTS] = watched[DF_WATCH_CRONJOBS] = NULL;
	put_deployment(UID);
	put_cronjob(UID);
	good(reconcile(DF_KIND_DATAFLOW));
	assert_asked("PATCH " DEPLOYMENT, 1);
	assert_has(fake_body("PATCH " DEPLOYMENT), "\"uid\":\"w-1\""); /* this very one */
	good(reconcile(DF_KIND_DATAFLOWCRON));
	assert_asked("PATCH " CRONJOB, 1);
	assert_has(fake_body("PATCH " CRONJOB), "\"uid\":\"w-1\"");
}

/* ---- a resource that is gone ------------------------------------------------------------------------------ */

static void a_namesake_inherits_no_counts(void **state)
{
	struct df_value *pod =
		json("{'metadata':{'namespace':'team','name':'df-f-1','uid':'p-1','labels':{'" DF_LABEL_NAME "':'f'}},"
		     "'spec':{'containers':[{'name':'processor'}]},'status':{'containerStatuses':[{'name':'processor',"
		     "'restartCount':0,'state':{'terminated':{'exitCode':0,'message':'{\\u0022exit\\u0022:0,"
		     "\\u0022processed\\u0022:12,\\u0022errors\\u0022:0}'}}}]}}");

	(void)state;
	df_counts_pod(op.counts, DF_KUBE_ADDED, pod, &arena);
	put(DF_WATCH_PODS, pod);
	put_resource(DF_KIND_DATAFLOW, "{" GENERATE "," DISCARD "}");
	good(reconcile(DF_KIND_DATAFLOW));
	assert_has(fake_body(FLOW_STATUS), "\"processedCount\":12");

	df_counts_pod(op.counts, DF_KUBE_DELETED, pod, &arena);
	df_counts_pod(op.counts, DF_KUBE_ADDED, pod, &arena); /* counted by nobody yet */
	watched[DF_WATCH_DATAFLOWS] = NULL;
	good(reconcile(DF_KIND_DATAFLOW));
	put_resource(DF_KIND_DATAFLOW, "{" GENERATE "," DISCARD "}");
	good(reconcile(DF_KIND_DATAFLOW));
	assert_null(strstr(fake_body(FLOW_STATUS), "\"processedCount\":12"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(what_a_step_was_told_to_wait_survives_its_status),
		TEST(what_is_not_wanted_goes_after_a_failed_step),
		TEST(what_is_not_wanted_goes_after_a_wait),
		TEST(a_reset_is_told_without_a_checkpoint),
		TEST(a_refused_clearing_is_a_failure),
		TEST(a_wish_that_changed_is_looked_at_again),
		TEST(a_permission_ends_while_the_spec_is_invalid),
		TEST(a_permission_ends_while_the_spec_of_a_cron_is_invalid),
		TEST(a_mirror_that_stays_is_tried_again),
		TEST(what_belongs_to_another_is_not_stopped),
		TEST(a_namesake_inherits_no_counts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

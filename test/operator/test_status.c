/* The status of a DataFlow: every row of the table of phases, conditions, the patch, times. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "operator/names.h"
#include "operator/status_phase.h"
#include "test/operator/resources.h"

#define SPEC "'source':{'type':'generate','config':{'count':3}},'sink':{'type':'discard','config':{}}"
#define NOW INT64_C(1767225600) /* 2026-01-01T00:00:00Z */

static struct df_error err;

static void ok(int code)
{
	if (code != 0)
		fail_msg("%s", err.text);
}

/* ---- phases ---------------------------------------------------------------------------------------------- */

/* A Deployment of n replicas of which r are ready, as its controller has seen it; `more` goes into its status. */
#define DEPLOYMENT(n, r, more)                                                                           \
	"{'metadata':{'generation':2},'spec':{'replicas':" #n ",'template':{'metadata':{'annotations':{" \
	"'dataflow.dataflow.io/spec-hash':'new'}}}},'status':{'observedGeneration':2,'replicas':" #n     \
	",'updatedReplicas':" #n ",'readyReplicas':" #r more "}}"
/* One of n replicas in a rollout: of `all` pods `updated` are of its template. */
#define ROLLOUT(n, all, updated, r, more)                                                                \
	"{'metadata':{'generation':2},'spec':{'replicas':" #n ",'template':{'metadata':{'annotations':{" \
	"'dataflow.dataflow.io/spec-hash':'new'}}}},'status':{'observedGeneration':2,'replicas':" #all   \
	",'updatedReplicas':" #updated ",'readyReplicas':" #r more "}}"
#define NO_PODS ",'conditions':[{'type':'ReplicaFailure','status':'True','message':'exceeded quota'}]"
#define TOO_LATE ",'conditions':[{'type':'Progressing','status':'False','reason':'ProgressDeadlineExceeded'}]"
/* A pod of that spec-hash and ReplicaSet; `more` goes into its metadata, `status` is the rest of its status. */
#define POD(hash, set, more, ready, status)                                                                \
	"{'metadata':{'name':'p-" set "','creationTimestamp':'2026-01-01T00:00:0" more                     \
	",'labels':{'pod-template-hash':'" set "'},'annotations':{'dataflow.dataflow.io/spec-hash':'" hash \
	"'}},'status':{'conditions':[{'type':'PodScheduled','status':'True'},{'type':'Ready',"             \
	"'status':'" ready "'}]" status "}}"
#define OLD POD("old", "one", "1Z'", "True", "")
#define CONTAINER(rest) ",'containerStatuses':[{'name':'processor'," rest "}]"
/* What a mesh puts before it. */
#define BESIDE(proxy, rest) ",'containerStatuses':[{'name':'istio-proxy'," proxy "},{'name':'processor'," rest "}]"
#define PROXY "'ready':true,'restartCount':0,'state':{'running':{}}"
#define NEW(status) POD("new", "two", "2Z'", "False", status)
#define READY POD("new", "two", "2Z'", "True", "")
#define WAITS(reason, message) NEW(CONTAINER("'state':{'waiting':{'reason':'" reason "','message':'" message "'}}"))
#define LAST(words) \
	"'restartCount':3,'state':{'waiting':{'reason':'CrashLoopBackOff'}},'lastState':{'terminated':{" words "}}"
#define WORDS                                                                                             \
	"'exitCode':1,'reason':'Error','message':'{\\\"exit\\\":1,\\\"error_type\\\":\\\"auth_error\\\"," \
	"\\\"message\\\":\\\"the password is wrong\\\",\\\"processed\\\":7}'"
#define RUNS "; the previous version keeps running"

enum fact { NONE, INVALID, REFUSED, FAILED, UNRESOLVED, WAITING, SUSPENDED, WINDOW, BOTH, RESETTING, MOUNT, DELETING };

struct row {
	const char *name;
	int replicas;
	enum fact fact;
	const char *deployment, *pods;
	const char *phase, *message;
	const char *hash; /* of the spec; NULL: the Deployment's */
};

static void set_fact(struct df_flow_facts *f, struct df_resource *r, enum fact fact)
{
	r->deleting = fact == DELETING;
	f->refused = fact == REFUSED;
	f->unresolved = fact == UNRESOLVED;
	f->invalid = fact == INVALID || fact == REFUSED ? "Invalid spec: spec.x: no" : NULL;
	f->failed = fact == FAILED	 ? "Failed to create Deployment: no"
		    : fact == UNRESOLVED ? "Failed to resolve secrets: no"
					 : NULL;
	f->waiting = fact == WAITING ? "Waiting" : NULL;
	f->suspended = fact == SUSPENDED || fact == BOTH;
	f->in_window = fact == WINDOW || fact == BOTH;
	f->resetting = fact == RESETTING;
	f->mount_failure = fact == MOUNT ? "secret \"db\" not found" : NULL;
}

static void look(const struct row *row, struct df_resource *r, struct df_flow_phase *ret)
{
	struct df_value *pods = json(row->pods ? row->pods : "[]");
	struct df_value *list[8];
	struct df_flow_facts f = { .resource = r, .pods = list };

	parse_good(DF_KIND_DATAFLOW, "f", "{" SPEC "}", r);
	r->spec.flow.replicas = row->replicas; /* of a source that scales out */
	snprintf(r->spec_hash, sizeof(r->spec_hash), "%s", row->hash ? row->hash : "new");
	f.deployment = row->deployment ? json(row->deployment) : NULL;
	df_for_each (pod, pods)
		list[f.pod_count++] = pod;
	set_fact(&f, r, row->fact);
	ok(df_flow_phase(&f, &arena, ret, &err));
}

static const struct row rows[] = {
	{ "deleting", 1, DELETING, NULL, NULL, "Stopped", "DataFlow resources are cleaned up" },
	{ "invalid", 1, INVALID, NULL, NULL, "Error", "Invalid spec: spec.x: no" },
	{ "invalid, another runs", 1, INVALID, DEPLOYMENT(1, 1, ""), "[" OLD "]", "Error",
	  "Invalid spec: spec.x: no" RUNS },
	{ "refused", 1, REFUSED, NULL, NULL, "Error", "Invalid spec: spec.x: no" },
	{ "refused, about to stop", 1, REFUSED, DEPLOYMENT(1, 1, ""), "[" OLD "]", "Error",
	  "Invalid spec: spec.x: no" },
	{ "step failed", 1, FAILED, NULL, NULL, "Error", "Failed to create Deployment: no" },
	{ "step failed, another runs", 1, UNRESOLVED, DEPLOYMENT(1, 1, ""), "[" READY "]", "Error",
	  "Failed to resolve secrets: no" RUNS, "newer" },
	{ "step failed, nothing runs", 1, UNRESOLVED, DEPLOYMENT(1, 0, ""), "[" NEW("") "]", "Error",
	  "Failed to resolve secrets: no", "newer" },
	{ "step failed, this one runs", 1, UNRESOLVED, DEPLOYMENT(1, 1, ""), "[" READY "]", "Error",
	  "Failed to resolve secrets: no" },
	{ "step failed in a rollout (kafka)", 1, UNRESOLVED, ROLLOUT(1, 2, 1, 1, ""), "[" OLD "," NEW("") "]", "Error",
	  "Failed to resolve secrets: no" RUNS },
	{ "waiting", 1, WAITING, NULL, NULL, "Pending", "Waiting" },
	{ "suspended", 1, SUSPENDED, DEPLOYMENT(0, 0, ""), NULL, "Stopped", "Processor suspended manually" },
	{ "suspended in a window", 1, BOTH, DEPLOYMENT(0, 0, ""), NULL, "Stopped", "Processor suspended manually" },
	{ "in a window", 1, WINDOW, DEPLOYMENT(0, 0, ""), NULL, "Stopped",
	  "Processor paused for scheduled maintenance window" },
	{ "no replicas", 0, NONE, DEPLOYMENT(0, 0, ""), NULL, "Stopped", "Processor scaled to zero replicas" },
	{ "a pause hides a reset", 0, RESETTING, DEPLOYMENT(0, 0, ""), NULL, "Stopped",
	  "Processor scaled to zero replicas" },
	{ "resetting", 1, RESETTING, DEPLOYMENT(0, 0, ""), NULL, "Pending", "Resetting checkpoint" },
	{ "no Deployment", 1, NONE, NULL, NULL, "Pending", "Deployment not found" },
	{ "not observed", 1, NONE, "{'metadata':{'generation':2},'status':{'observedGeneration':1,'readyReplicas':1}}",
	  NULL, "Pending", "Processor pod is starting" },
	{ "no image", 1, NONE, DEPLOYMENT(1, 0, ""), "[" WAITS("ErrImagePull", "no such image") "]", "Error",
	  "Cannot start processor: ErrImagePull: no such image" },
	{ "no image, without a text", 1, NONE, DEPLOYMENT(1, 0, ""),
	  "[" NEW(CONTAINER("'state':{'waiting':{'reason':'InvalidImageName'}}")) "]", "Error",
	  "Cannot start processor: InvalidImageName" },
	{ "no image, back-off", 1, NONE, DEPLOYMENT(1, 0, ""), "[" WAITS("ImagePullBackOff", "x") "]", "Error",
	  "Cannot start processor: ImagePullBackOff: x" },
	{ "no configuration", 1, NONE, DEPLOYMENT(1, 0, ""), "[" WAITS("CreateContainerConfigError", "x") "]", "Error",
	  "Cannot start processor: CreateContainerConfigError: x" },
	{ "no container", 1, NONE, DEPLOYMENT(1, 0, ""), "[" WAITS("CreateContainerError", "x") "]", "Error",
	  "Cannot start processor: CreateContainerError: x" },
	{ "no image, another runs (kafka)", 1, NONE, DEPLOYMENT(1, 1, ""), "[" OLD "," WAITS("ErrImagePull", "x") "]",
	  "Error", "Cannot start processor: ErrImagePull: x" RUNS },
	{ "the old one has no image (kafka)", 1, NONE, DEPLOYMENT(1, 0, ""),
	  "[" POD("old", "one", "1Z'", "False",
		  CONTAINER("'state':{'waiting':{'reason':'ErrImagePull'}}")) "," NEW("") "]",
	  "Pending", "Processor pod is starting" },
	{ "a leaving one has no image", 1, NONE, DEPLOYMENT(1, 0, ""),
	  "[" POD("new", "one", "1Z','deletionTimestamp':'2026-01-01T00:00:09Z'", "False",
		  CONTAINER("'state':{'waiting':{'reason':'ErrImagePull'}}")) "]",
	  "Pending", "Processor pod is starting" },
	{ "no Secret", 1, MOUNT, DEPLOYMENT(1, 0, ""), "[" WAITS("ContainerCreating", "") "]", "Error",
	  "Failed to resolve secrets: secret \"db\" not found" },
	{ "no Secret, another runs (kafka)", 1, MOUNT, DEPLOYMENT(1, 1, ""),
	  "[" OLD "," WAITS("ContainerCreating", "") "]", "Error",
	  "Failed to resolve secrets: secret \"db\" not found" RUNS },
	{ "ended", 1, NONE, DEPLOYMENT(1, 0, ""), "[" NEW(CONTAINER(LAST(WORDS))) "]", "Error",
	  "Processor failed (auth_error): the password is wrong, restart 3" },
	{ "ended, runs again, not ready yet", 1, NONE, DEPLOYMENT(1, 0, ""),
	  "[" NEW(CONTAINER("'restartCount':1,'state':{'running':{}},'lastState':{'terminated':{" WORDS "}}")) "]",
	  "Error", "Processor failed (auth_error): the password is wrong, restart 1" },
	{ "ended just now", 1, NONE, DEPLOYMENT(1, 0, ""),
	  "[" NEW(CONTAINER("'restartCount':0,'state':{'terminated':{" WORDS "}}")) "]", "Error",
	  "Processor failed (auth_error): the password is wrong, restart 0" },
	{ "killed", 1, NONE, DEPLOYMENT(1, 0, ""), "[" NEW(CONTAINER(LAST("'exitCode':137,'reason':'OOMKilled'"))) "]",
	  "Error", "Processor failed (OOMKilled): exit status 137, restart 3" },
	{ "ended with words that are no JSON", 1, NONE, DEPLOYMENT(1, 0, ""),
	  "[" NEW(CONTAINER(LAST("'exitCode':2,'reason':'Error','message':'exec: not found'"))) "]", "Error",
	  "Processor failed (Error): exec: not found, restart 3" },
	{ "ended well", 1, NONE, DEPLOYMENT(1, 0, ""),
	  "[" NEW(CONTAINER(LAST("'exitCode':0,'reason':'Completed'"))) "]", "Pending", "Processor pod is starting" },
	{ "ended, ready since", 1, NONE, DEPLOYMENT(1, 1, ""),
	  "[" POD("new", "two", "2Z'", "True",
		  CONTAINER("'restartCount':1,'state':{'running':{}},'lastState':{'terminated':{" WORDS "}}")) "]",
	  "Running", "Processor pod is running" },
	{ "ended, another runs (kafka)", 1, NONE, DEPLOYMENT(1, 1, ""), "[" OLD "," NEW(CONTAINER(LAST(WORDS))) "]",
	  "Error", "Processor failed (auth_error): the password is wrong, restart 3" RUNS },
	{ "one of two ended (kafka)", 2, NONE, DEPLOYMENT(2, 1, ""),
	  "[" POD("new", "two", "1Z'", "True", "") "," NEW(CONTAINER(LAST(WORDS))) "]", "Error",
	  "Processor failed (auth_error): the password is wrong, restart 3" },
	{ "no image, beside a proxy", 1, NONE, DEPLOYMENT(1, 0, ""),
	  "[" NEW(BESIDE(PROXY, "'state':{'waiting':{'reason':'ImagePullBackOff','message':'x'}}")) "]", "Error",
	  "Cannot start processor: ImagePullBackOff: x" },
	{ "ended, beside a proxy", 1, NONE, DEPLOYMENT(1, 0, ""), "[" NEW(BESIDE(PROXY, LAST(WORDS))) "]", "Error",
	  "Processor failed (auth_error): the password is wrong, restart 3" },
	{ "the proxy has no image", 1, NONE, DEPLOYMENT(1, 0, ""),
	  "[" NEW(BESIDE("'state':{'waiting':{'reason':'ErrImagePull'}}", "'ready':true,'state':{'running':{}}")) "]",
	  "Pending", "Processor pod is starting" },
	{ "the proxy ended", 1, NONE, DEPLOYMENT(1, 0, ""),
	  "[" NEW(BESIDE(LAST(WORDS), "'ready':true,'state':{'running':{}}")) "]", "Pending",
	  "Processor pod is starting" },
	{ "ended, ready since, the proxy is not", 1, NONE, DEPLOYMENT(1, 0, ""),
	  "[" NEW(BESIDE("'ready':false,'state':{'running':{}}",
			 "'ready':true,'restartCount':1,'state':{'running':{}},'lastState':{'terminated':{" WORDS
			 "}}")) "]",
	  "Pending", "Processor pod is starting" },
	{ "no pods", 1, NONE, DEPLOYMENT(1, 0, NO_PODS), NULL, "Error",
	  "Cannot create processor pods: exceeded quota" },
	{ "no new pods (kafka)", 1, NONE, ROLLOUT(1, 1, 0, 1, NO_PODS), "[" OLD "]", "Error",
	  "Cannot create processor pods: exceeded quota" RUNS },
	{ "no further pods (kafka)", 2, NONE, ROLLOUT(2, 1, 1, 1, NO_PODS), "[" READY "]", "Error",
	  "Cannot create processor pods: exceeded quota" },
	{ "too late", 1, NONE, DEPLOYMENT(1, 0, TOO_LATE), "[" NEW("") "]", "Error", "No replicas available" },
	{ "too late, another runs (kafka)", 1, NONE, ROLLOUT(1, 2, 1, 1, TOO_LATE), "[" OLD "," NEW("") "]", "Error",
	  "No replicas available" RUNS },
	{ "one of two is too late (kafka)", 2, NONE, DEPLOYMENT(2, 1, TOO_LATE), "[" READY "," NEW("") "]", "Error",
	  "No replicas available" },
	{ "not too late", 1, NONE,
	  DEPLOYMENT(1, 0, ",'conditions':[{'type':'Progressing','status':'True','reason':'ReplicaSetUpdated'}]"),
	  "[" NEW("") "]", "Pending", "Processor pod is starting" },
	{ "not scheduled", 1, NONE, DEPLOYMENT(1, 0, ""),
	  "[{'metadata':{'name':'p','annotations':{'dataflow.dataflow.io/spec-hash':'new'}},'status':{'conditions':["
	  "{'type':'PodScheduled','status':'False','message':'0/1 nodes are available'}]}}]",
	  "Pending", "Processor pod cannot be scheduled: 0/1 nodes are available" },
	{ "scheduled, an older word came later", 1, NONE, DEPLOYMENT(1, 1, ""),
	  "[{'metadata':{'name':'p','annotations':{'dataflow.dataflow.io/spec-hash':'new'}},'spec':{'nodeName':'n'},"
	  "'status':{'conditions':[{'type':'PodScheduled','status':'False','message':'no nodes'},"
	  "{'type':'Ready','status':'True'}]}}]",
	  "Running", "Processor pod is running" },
	{ "running", 1, NONE, DEPLOYMENT(1, 1, ""), "[" POD("new", "two", "2Z'", "True", "") "]", "Running",
	  "Processor pod is running" },
	{ "all running (kafka)", 3, NONE, DEPLOYMENT(3, 3, ""), NULL, "Running", "3/3 processor replicas ready" },
	{ "some running (kafka)", 3, NONE, DEPLOYMENT(3, 2, ""), NULL, "Pending", "2/3 processor replicas ready" },
	{ "starting", 1, NONE, DEPLOYMENT(1, 0, ""), "[" NEW("") "]", "Pending", "Processor pod is starting" },
	{ "only the old one is ready (kafka)", 1, NONE,
	  "{'metadata':{'generation':2},'spec':{'replicas':1},'status':{'observedGeneration':2,'replicas':2,"
	  "'updatedReplicas':1,'readyReplicas':1}}",
	  NULL, "Pending", "Processor pod is starting" },
	{ "old ones that are not ready (kafka)", 3, NONE,
	  "{'metadata':{'generation':2},'spec':{'replicas':3},'status':{'observedGeneration':2,'replicas':4,"
	  "'updatedReplicas':1,'readyReplicas':2}}",
	  NULL, "Pending", "0/3 processor replicas ready" },
	{ "the old one is still there (kafka)", 1, NONE,
	  "{'metadata':{'generation':2},'spec':{'replicas':1},'status':{'observedGeneration':2,'replicas':2,"
	  "'updatedReplicas':1,'readyReplicas':2}}",
	  NULL, "Running", "Processor pod is running" },
};

static const struct df_condition *find(const struct df_flow_phase *phase, const char *type)
{
	for (size_t i = 0; i < DF_FLOW_CONDITIONS; i++)
		if (strcmp(phase->conditions[i].type, type) == 0)
			return &phase->conditions[i];
	fail_msg("no condition %s", type);
	return NULL;
}

static void test_phases(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct df_resource r;
		struct df_flow_phase phase;

		look(&rows[i], &r, &phase);
		if (strcmp(phase.phase, rows[i].phase) != 0 || strcmp(phase.message, rows[i].message) != 0)
			fail_msg("%s: %s, %s", rows[i].name, phase.phase, phase.message);
		/* Ready says what the phase says. */
		assert_string_equal(find(&phase, "Ready")->reason, rows[i].phase);
		assert_string_equal(find(&phase, "Ready")->message, rows[i].message);
		assert_int_equal(find(&phase, "Ready")->holds, strcmp(rows[i].phase, "Running") == 0);
		assert_int_equal(phase.processor_failed != NULL, strstr(phase.message, "Processor failed (") != NULL);
		df_resource_done(&r);
	}
}

/* An Event is told once for all restarts. */
static void test_failure_without_count(void **state)
{
	static const struct row row = { .name = "",
					.replicas = 1,
					.deployment = DEPLOYMENT(1, 0, ""),
					.pods = "[" NEW(CONTAINER(LAST(WORDS))) "]" };
	struct df_resource r;
	struct df_flow_phase phase;

	(void)state;
	look(&row, &r, &phase);
	assert_string_equal(phase.processor_failed, "Processor failed (auth_error): the password is wrong");
	df_resource_done(&r);
}

/* Of several pods it is always the newest one that is told about. */
static void test_newest_pod(void **state)
{
	static const struct row row = {
		.name = "kafka",
		.replicas = 2,
		.deployment = DEPLOYMENT(2, 0, ""),
		.pods = "[" POD("new", "a", "1Z'", "False", CONTAINER("'state':{'waiting':{'reason':'ErrImagePull','message':'1'}}")) "," POD(
			"new", "b", "5Z'", "False",
			CONTAINER(
				"'state':{'waiting':{'reason':'ErrImagePull','message':'5'}}")) "," POD("new", "c",
													"2Z'", "False",
													CONTAINER(
														"'state':{'waiting':{'reason':'ErrImagePull','message':'2'}}")) "]",
	};
	struct df_resource r;
	struct df_flow_phase phase;

	(void)state;
	look(&row, &r, &phase);
	assert_string_equal(phase.message, "Cannot start processor: ErrImagePull: 5");
	df_resource_done(&r);
}

/* ---- conditions ------------------------------------------------------------------------------------------ */

static void test_condition_reasons(void **state)
{
	static const struct {
		struct row row;
		const char *type;
		bool holds;
		const char *reason;
	} cases[] = {
		{ { .name = "", .replicas = 1, .fact = INVALID }, "SpecValid", false, "InvalidSpec" },
		{ { .name = "", .replicas = 1, .fact = REFUSED }, "SpecValid", false, "SecretReferenceDenied" },
		{ { .name = "", .replicas = 1, .fact = REFUSED }, "SpecResolved", false, "ResolutionFailed" },
		{ { .name = "", .replicas = 1 }, "SpecValid", true, "Valid" },
		{ { .name = "", .replicas = 1 }, "SpecResolved", true, "Resolved" },
		{ { .name = "", .replicas = 1, .fact = UNRESOLVED }, "SpecResolved", false, "ResolutionFailed" },
		{ { .name = "", .replicas = 1, .fact = FAILED }, "SpecResolved", true, "Resolved" },
		{ { .name = "", .replicas = 1, .fact = MOUNT, .deployment = DEPLOYMENT(1, 0, "") },
		  "SpecResolved",
		  false,
		  "ResolutionFailed" },
		{ { .name = "", .replicas = 1 }, "ProcessorDeploymentReady", false, "DeploymentNotFound" },
		{ { .name = "", .replicas = 1, .deployment = DEPLOYMENT(1, 0, "") },
		  "ProcessorDeploymentReady",
		  false,
		  "DeploymentNotReady" },
		{ { .name = "", .replicas = 1, .deployment = DEPLOYMENT(1, 1, "") },
		  "ProcessorDeploymentReady",
		  true,
		  "DeploymentReady" },
		{ { .name = "", .replicas = 1, .fact = SUSPENDED, .deployment = DEPLOYMENT(0, 0, "") },
		  "ProcessorDeploymentReady",
		  false,
		  "ScaledToZero" },
		{ { .name = "", .replicas = 1, .fact = INVALID, .deployment = DEPLOYMENT(1, 1, "") },
		  "ProcessorDeploymentReady",
		  true,
		  "DeploymentReady" },
		{ { .name = "kafka", .replicas = 3, .deployment = DEPLOYMENT(3, 2, "") },
		  "Degraded",
		  true,
		  "ReplicasMissing" },
		{ { .name = "kafka", .replicas = 3, .deployment = DEPLOYMENT(3, 3, "") },
		  "Degraded",
		  false,
		  "AsExpected" },
		{ { .name = "kafka", .replicas = 3, .deployment = DEPLOYMENT(3, 0, "") },
		  "Degraded",
		  false,
		  "AsExpected" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct df_resource r;
		struct df_flow_phase phase;
		const struct df_condition *c;

		look(&cases[i].row, &r, &phase);
		c = find(&phase, cases[i].type);
		if (c->holds != cases[i].holds || strcmp(c->reason, cases[i].reason) != 0)
			fail_msg("%zu: %s %d %s", i, c->type, c->holds, c->reason);
		df_resource_done(&r);
	}
}

static void test_disconnected(void **state)
{
	struct df_resource r;
	struct df_flow_facts f = { .resource = &r, .disconnected = true, .deployment = json(DEPLOYMENT(1, 1, "")) };
	struct df_flow_phase phase;

	(void)state;
	parse_good(DF_KIND_DATAFLOW, "f", "{" SPEC "}", &r);
	ok(df_flow_phase(&f, &arena, &phase, &err));
	assert_string_equal(phase.phase, "Running");
	assert_string_equal(find(&phase, "Degraded")->reason, "ConnectorDisconnected");
	assert_true(find(&phase, "Degraded")->holds);
	df_resource_done(&r);
}

static void test_transition_times(void **state)
{
	const struct df_condition now[] = { { "Ready", true, "Running", "m" },
					    { "Degraded", false, "AsExpected", "" },
					    { "New", true, "A", "" } };
	struct df_value *object = json(
		"{'status':{'conditions':["
		"{'type':'Ready','status':'True','reason':'Old','message':'o','lastTransitionTime':'2025-01-01T00:00:00Z'},"
		"{'type':'Theirs','status':'Unknown','lastTransitionTime':'2024-01-01T00:00:00Z'},"
		"{'type':'Degraded','status':'True','reason':'X','lastTransitionTime':'2025-01-01T00:00:00Z'}]}}");
	struct df_value *list = df_status_conditions(object, now, 3, 4, NOW, &arena);

	(void)state;
	assert_string_equal(
		text_of(list),
		"[{'type':'Ready','status':'True','reason':'Running','message':'m',"
		"'lastTransitionTime':'2025-01-01T00:00:00Z','observedGeneration':4},"
		"{'type':'Degraded','status':'False','reason':'AsExpected','message':'',"
		"'lastTransitionTime':'2026-01-01T00:00:00Z','observedGeneration':4},"
		"{'type':'New','status':'True','reason':'A','message':'','lastTransitionTime':'2026-01-01T00:00:00Z',"
		"'observedGeneration':4},"
		"{'type':'Theirs','status':'Unknown','lastTransitionTime':'2024-01-01T00:00:00Z'}]");
}

/* ---- the patch ------------------------------------------------------------------------------------------- */

static void test_patch(void **state)
{
	static const struct {
		const char *old, *wanted, *patch; /* patch NULL: none */
	} cases[] = {
		{ "{'phase':'Running','processedCount':3}", "{'phase':'Running'}", NULL },
		{ "{'phase':'Running','processedCount':3}", "{'phase':'Running','processedCount':3}", NULL },
		{ "{}", "{'gone':null}", NULL },
		{ "{'gone':1}", "{'gone':null}", "{'gone':null}" },
		{ "{'phase':'Running','x':1}", "{'phase':'Error','x':1}", "{'phase':'Error'}" },
		{ "{'m':{'a':1,'b':2,'c':3}}", "{'m':{'a':1,'b':5}}", "{'m':{'c':null,'b':5}}" },
		{ "{'m':{'b':2,'a':1}}", "{'m':{'a':1,'b':2}}", NULL },
		{ "{'l':[1,2]}", "{'l':[1]}", "{'l':[1]}" },
		{ "{'m':1}", "{'m':{'a':1}}", "{'m':{'a':1}}" },
		{ "{}", "{'m':{'a':1}}", "{'m':{'a':1}}" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct df_value *object = json("{'metadata':{'resourceVersion':'17'}}"), *patch;

		df_object_set(object, DF_STR("status"), json(cases[i].old));
		ok(df_status_patch(object, json(cases[i].wanted), &arena, &patch, &err));
		if (!cases[i].patch) {
			assert_null(patch);
			continue;
		}
		assert_string_equal(text_of(at(patch, "status")), cases[i].patch);
		assert_string_equal(text_of(at(patch, "metadata")), "{'resourceVersion':'17'}");
	}
}

static void test_patch_of_a_new_one(void **state)
{
	struct df_value *patch;

	(void)state;
	ok(df_status_patch(json("{'metadata':{}}"), json("{'phase':'Pending'}"), &arena, &patch, &err));
	assert_string_equal(text_of(at(patch, "status")), "{'phase':'Pending'}");
}

/* ---- texts ----------------------------------------------------------------------------------------------- */

static void test_invalid(void **state)
{
	struct df_resource r;

	(void)state;
	parse(DF_KIND_DATAFLOW, "f",
	      "{'source':{'type':'generate','config':{'rate':-1}},'sink':{'type':'nope','config':{}}}", &r);
	assert_int_equal(r.diags.errors, 2);
	assert_memory_equal(df_flow_invalid(&r.diags, &arena), "Invalid spec: spec.source.config.rate: ", 39);
	assert_non_null(strstr(df_flow_invalid(&r.diags, &arena), " (and 1 more)"));
	df_resource_done(&r);
}

static void test_guarantee(void **state)
{
	struct df_resource r;
	const char *text;

	(void)state;
	parse_good(DF_KIND_DATAFLOW, "f",
		   "{'source':{'type':'file','config':{'path':'/in'}},'sink':{'type':'file','config':{'path':'/out'}},"
		   "'checkpointPersistence':false}",
		   &r);
	text = df_status_guarantee(&r, &arena);
	assert_memory_equal(text, "at-least-once: source file: its position is not kept", 52);
	df_resource_done(&r);
}

static void test_time(void **state)
{
	(void)state;
	assert_string_equal(text_of(df_status_time(NOW, &arena)), "'2026-01-01T00:00:00Z'");
}

/* ---- maintenance, with the clock stopped ----------------------------------------------------------------- */

#define DAILY ",'maintenance':{'startTime':'2025-12-31T02:00:00+02:00','duration':'1h','repeat':'daily'}"

static void test_maintenance(void **state)
{
	static const struct {
		const char *spec;
		int64_t now;
		bool paused, window;
		const char *status;
		int64_t again_s;
	} cases[] = {
		{ "", NOW, false, false, "null", 0 },
		{ ",'suspended':true", NOW, true, false, "{'inMaintenance':false,'suspended':true}", 0 },
		{ DAILY, NOW - 1, false, false,
		  "{'inMaintenance':false,'nextMaintenanceTime':'2026-01-01T00:00:00Z',"
		  "'lastMaintenanceTime':'2025-12-31T00:00:00Z','suspended':false}",
		  1 },
		{ DAILY, NOW, true, true,
		  "{'inMaintenance':true,'nextMaintenanceTime':'2026-01-02T00:00:00Z',"
		  "'lastMaintenanceTime':'2026-01-01T00:00:00Z','suspended':false}",
		  3600 },
		{ DAILY, NOW + 3599, true, true,
		  "{'inMaintenance':true,'nextMaintenanceTime':'2026-01-02T00:00:00Z',"
		  "'lastMaintenanceTime':'2026-01-01T00:00:00Z','suspended':false}",
		  1 },
		{ DAILY, NOW + 3600, false, false,
		  "{'inMaintenance':false,'nextMaintenanceTime':'2026-01-02T00:00:00Z',"
		  "'lastMaintenanceTime':'2026-01-01T00:00:00Z','suspended':false}",
		  82800 },
		{ DAILY ",'suspended':true", NOW + 3600, true, false,
		  "{'inMaintenance':false,'lastMaintenanceTime':'2026-01-01T00:00:00Z','suspended':true}", 82800 },
		/* A timer of years would not be one. */
		{ ",'maintenance':{'startTime':'2199-01-01T00:00:00Z','duration':'1h'}", NOW, false, false,
		  "{'inMaintenance':false,'nextMaintenanceTime':'2199-01-01T00:00:00Z','suspended':false}", 86400 },
		{ ",'maintenance':{'startTime':'2025-12-31T23:59:00Z','duration':'1h','suspended':true}", NOW, true,
		  true, "{'inMaintenance':true,'lastMaintenanceTime':'2025-12-31T23:59:00Z','suspended':true}", 3540 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct df_reconcile r = { .arena = &arena, .now = cases[i].now };
		struct df_value *status;
		struct df_resource resource;
		bool paused, window;
		char spec[512];

		snprintf(spec, sizeof(spec), "{" SPEC "%s}", cases[i].spec);
		parse_good(DF_KIND_DATAFLOW, "f", spec, &resource);
		ok(df_status_maintenance(&r, &resource, &paused, &window, &status, &err));
		assert_string_equal(text_of(status), cases[i].status);
		assert_int_equal(paused, cases[i].paused);
		assert_int_equal(window, cases[i].window);
		assert_int_equal(r.again_ns, cases[i].again_s * DF_NS_PER_S);
		df_resource_done(&resource);
	}
}

/* ---- quiet ----------------------------------------------------------------------------------------------- */

static void test_quiet(void **state)
{
	struct df_value *pod = json(OLD), *ended = json("{'status':{'phase':'Failed'}}");

	(void)state;
	assert_true(df_flow_quiet(NULL, NULL, 0));
	assert_true(df_flow_quiet(json(DEPLOYMENT(0, 0, "")), NULL, 0));
	assert_true(df_flow_quiet(json(DEPLOYMENT(0, 0, "")), &ended, 1));
	assert_false(df_flow_quiet(NULL, &pod, 1));
	assert_false(df_flow_quiet(json(DEPLOYMENT(0, 0, "")), &pod, 1));
	assert_false(df_flow_quiet(json(DEPLOYMENT(1, 0, "")), NULL, 0));
	/* Its controller has not heard of the zero yet, or has not come to it. */
	assert_false(df_flow_quiet(json("{'metadata':{'generation':3},'spec':{'replicas':0},'status':{"
					"'observedGeneration':2}}"),
				   NULL, 0));
	assert_false(df_flow_quiet(json("{'metadata':{'generation':3},'spec':{'replicas':0},'status':{"
					"'observedGeneration':3,'replicas':1}}"),
				   NULL, 0));
}

#define SANDBOX(is) ",'conditions':[{'type':'PodReadyToStartContainers','status':'" is "'}]"

static void test_creating(void **state)
{
	static const struct {
		const char *status;
		bool creating;
	} cases[] = {
		{ CONTAINER("'state':{'waiting':{'reason':'ContainerCreating'}}"), true },
		{ CONTAINER("'state':{'waiting':{'reason':'PodInitializing'}}"), true },
		{ BESIDE("'state':{'waiting':{'reason':'x'}}", "'state':{'waiting':{'reason':'PodInitializing'}}"),
		  true },
		{ BESIDE("'state':{'waiting':{'reason':'ContainerCreating'}}", "'state':{'running':{}}"), false },
		{ CONTAINER("'state':{'waiting':{'reason':'ErrImagePull'}}"), false },
		/* The sandbox is there, which is made after the volumes are. */
		{ CONTAINER("'state':{'waiting':{'reason':'ContainerCreating'}}") SANDBOX("True"), false },
		{ CONTAINER("'state':{'waiting':{'reason':'ContainerCreating'}}") SANDBOX("False"), true },
		{ CONTAINER("'state':{'running':{}}"), false },
		{ "", false },
	};

	(void)state;
	for (size_t i = 0; i < DF_ARRAY_SIZE(cases); i++) {
		char text[1024];

		snprintf(text, sizeof(text), "{'metadata':{'name':'p'},'status':{'phase':'Pending'%s}}",
			 cases[i].status);
		if (df_pod_creating(json(text)) != cases[i].creating)
			fail_msg("%zu: %s", i, text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(test_phases, free_arena),
		cmocka_unit_test_teardown(test_failure_without_count, free_arena),
		cmocka_unit_test_teardown(test_newest_pod, free_arena),
		cmocka_unit_test_teardown(test_condition_reasons, free_arena),
		cmocka_unit_test_teardown(test_disconnected, free_arena),
		cmocka_unit_test_teardown(test_transition_times, free_arena),
		cmocka_unit_test_teardown(test_patch, free_arena),
		cmocka_unit_test_teardown(test_patch_of_a_new_one, free_arena),
		cmocka_unit_test_teardown(test_invalid, free_arena),
		cmocka_unit_test_teardown(test_guarantee, free_arena),
		cmocka_unit_test_teardown(test_time, free_arena),
		cmocka_unit_test_teardown(test_maintenance, free_arena),
		cmocka_unit_test_teardown(test_quiet, free_arena),
		cmocka_unit_test_teardown(test_creating, free_arena),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

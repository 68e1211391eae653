#include "operator/status_phase.h"

#include <stdlib.h>

#include "operator/names.h"
#include "operator/pod.h"
#include "operator/pod_words.h"
#include "operator/text.h"

struct look {
	const struct df_flow_facts *f;
	struct df_arena *arena;
	bool no_memory;
	int64_t desired, ready;
	const struct df_value **pods; /* of the present template, that are there to stay; the newest first */
	size_t pod_count;
	const struct df_value *culprit; /* the pod that a row is about */
	const char *message;
	const char *processor_failed;
};

static void say(struct look *l, const char *message)
{
	l->message = message;
	l->no_memory = l->no_memory || !message;
}

#define SAY(l, ...) say(l, df_text((l)->arena, __VA_ARGS__))

/* ---- looking at objects ---------------------------------------------------------------------------------- */

static int64_t number_at(const struct df_value *object, const char *group, const char *key)
{
	const struct df_value *v = df_kube_at(object, group, key, NULL);
	int64_t n = 0;

	return v && df_value_to_int64(v, &n) ? n : 0;
}

/* "" when there is none. */
static const char *text_of(struct look *l, const struct df_value *object, const char *key)
{
	const struct df_value *v = object ? df_object_get_c(object, key) : NULL;
	struct df_str text = { "", 0 };

	if (v && v->kind == DF_STRING)
		text = df_arena_dup(l->arena, df_value_text(v, l->arena));
	l->no_memory = l->no_memory || !text.ptr;
	return text.ptr ? text.ptr : "";
}

/* The condition of that type, when it has that status. */
static const struct df_value *condition(const struct df_value *object, const char *type, const char *status)
{
	const struct df_value *list = df_kube_at(object, "status", "conditions", NULL);

	if (!list || list->kind != DF_ARRAY)
		return NULL;
	df_for_each (c, list) {
		const struct df_value *t = df_object_get_c(c, "type"), *s = df_object_get_c(c, "status");

		if (t && s && df_value_string_equal(t, df_str_c(type)) && df_value_string_equal(s, df_str_c(status)))
			return c;
	}
	return NULL;
}

static bool pod_leaves(const struct df_value *pod)
{
	return df_kube_at(pod, "metadata", "deletionTimestamp", NULL) != NULL;
}

static bool pod_ended(const struct df_value *pod)
{
	const struct df_value *phase = df_kube_at(pod, "status", "phase", NULL);

	return phase &&
	       (df_value_string_equal(phase, DF_STR("Succeeded")) || df_value_string_equal(phase, DF_STR("Failed")));
}

static bool pod_ready(const struct df_value *pod)
{
	return condition(pod, "Ready", "True") && !pod_leaves(pod);
}

static const struct df_value *processor_of(const struct df_value *pod)
{
	return df_pod_container(pod, DF_POD_PROCESSOR);
}

/* The processor alone: a proxy beside it may be behind. */
static bool processor_ready(const struct df_value *pod)
{
	const struct df_value *ready = df_kube_at(processor_of(pod), "ready", NULL);

	return pod_ready(pod) || (ready && ready->kind == DF_TRUE);
}

static struct df_str pod_text(struct look *l, const struct df_value *pod, const char *group, const char *key)
{
	return df_kube_text(pod, l->arena, "metadata", group, key, NULL);
}

/* ---- pods ------------------------------------------------------------------------------------------------ */

/* The newest first, so that it is always the same one that is told about. Times of one length compare as texts. */
static int compare_pods(const void *left, const void *right, void *arg)
{
	const struct df_value *a = *(const struct df_value *const *)left, *b = *(const struct df_value *const *)right;
	int order = df_str_compare(df_kube_text(b, arg, "metadata", "creationTimestamp", NULL),
				   df_kube_text(a, arg, "metadata", "creationTimestamp", NULL));

	return order ? order
		     : df_str_compare(df_kube_text(a, arg, "metadata", "name", NULL),
				      df_kube_text(b, arg, "metadata", "name", NULL));
}

/* Of the spec that the Deployment's pods get. */
static struct df_str hash_of(const struct look *l)
{
	return df_kube_text(l->f->deployment, l->arena, "spec", "template", "metadata", "annotations",
			    DF_ANNOTATION_SPEC_HASH, NULL);
}

static void gather_pods(struct look *l)
{
	struct df_str hash = hash_of(l);

	l->pods = df_arena_alloc(l->arena, l->f->pod_count * sizeof(*l->pods));
	if (!l->pods) {
		l->no_memory = true;
		return;
	}
	for (size_t i = 0; i < l->f->pod_count; i++) {
		const struct df_value *pod = l->f->pods[i];

		if (!pod_leaves(pod) && !pod_ended(pod) &&
		    df_str_equal(pod_text(l, pod, "annotations", DF_ANNOTATION_SPEC_HASH), hash))
			l->pods[l->pod_count++] = pod;
	}
	if (l->pod_count)
		qsort_r(l->pods, l->pod_count, sizeof(struct df_value *), compare_pods, l->arena);
}

/* Pods of earlier templates. */
static int64_t count_old(const struct df_value *deployment)
{
	int64_t old = number_at(deployment, "status", "replicas") - number_at(deployment, "status", "updatedReplicas");

	return old > 0 ? old : 0;
}

/* Ready pods of the present template: those of earlier ones go only once these are there. */
static int64_t count_ready(const struct df_value *deployment)
{
	int64_t ready = number_at(deployment, "status", "readyReplicas") - count_old(deployment);

	return ready > 0 ? ready : 0;
}

static bool observed(const struct df_value *deployment)
{
	return number_at(deployment, "status", "observedGeneration") >= number_at(deployment, "metadata", "generation");
}

/* Is what runs behind what is wanted? Of an invalid spec nothing is applied, and what is refused is stopped; else the
 * Deployment did not come to this spec, or its pods did not come to its template. */
static bool is_behind(const struct look *l)
{
	if (l->f->invalid)
		return !l->f->refused;
	return !df_str_equal_c(hash_of(l), l->f->resource->spec_hash) || count_old(l->f->deployment) > 0;
}

/* Does a pod of an earlier version do its work? With a culprit that is one of another template. */
static bool previous_runs(struct look *l)
{
	struct df_str hash = { 0 };

	if (!l->culprit && !is_behind(l))
		return false;
	if (l->culprit)
		hash = pod_text(l, l->culprit, "labels", "pod-template-hash");
	for (size_t i = 0; i < l->f->pod_count; i++)
		if (pod_ready(l->f->pods[i]) &&
		    (!l->culprit || !df_str_equal(pod_text(l, l->f->pods[i], "labels", "pod-template-hash"), hash)))
			return true;
	return false;
}

/* ---- rows ------------------------------------------------------------------------------------------------ */

static bool deleting(struct look *l)
{
	say(l, "DataFlow resources are cleaned up");
	return l->f->resource->deleting;
}

static bool invalid(struct look *l)
{
	if (l->f->invalid)
		say(l, l->f->invalid);
	return l->f->invalid != NULL;
}

static bool step_failed(struct look *l)
{
	if (l->f->failed)
		say(l, l->f->failed);
	return l->f->failed != NULL;
}

static bool waiting(struct look *l)
{
	if (l->f->waiting)
		say(l, l->f->waiting);
	return l->f->waiting != NULL;
}

static bool suspended(struct look *l)
{
	say(l, "Processor suspended manually");
	return l->f->suspended;
}

static bool in_window(struct look *l)
{
	say(l, "Processor paused for scheduled maintenance window");
	return l->f->in_window;
}

static bool no_replicas(struct look *l)
{
	say(l, "Processor scaled to zero replicas");
	return l->desired == 0;
}

static bool resetting(struct look *l)
{
	say(l, "Resetting checkpoint");
	return l->f->resetting;
}

static bool no_deployment(struct look *l)
{
	say(l, "Deployment not found");
	return !l->f->deployment;
}

static bool not_observed(struct look *l)
{
	say(l, "Processor pod is starting");
	return !observed(l->f->deployment);
}

static bool cannot_start(struct look *l)
{
	for (size_t i = 0; i < l->pod_count; i++) {
		const char *text =
			df_container_cannot_start(processor_of(l->pods[i]), "processor", l->arena, &l->no_memory);

		if (text) {
			l->culprit = l->pods[i];
			say(l, text);
			return true;
		}
	}
	return false;
}

static bool cannot_mount(struct look *l)
{
	if (!l->f->mount_failure)
		return false;
	l->culprit = l->pod_count ? l->pods[0] : NULL;
	SAY(l, "Failed to resolve secrets: %s", l->f->mount_failure);
	return true;
}

static bool ended(struct look *l)
{
	for (size_t i = 0; i < l->pod_count; i++) {
		const struct df_value *processor = processor_of(l->pods[i]);
		const char *text;

		if (processor_ready(l->pods[i]))
			continue;
		text = df_container_failure(processor, "processor", l->arena, &l->no_memory);
		if (!text)
			continue;
		l->culprit = l->pods[i];
		l->processor_failed = text;
		SAY(l, "%s, restart %lld", text, (long long)number_at(processor, "restartCount", NULL));
		return true;
	}
	return false;
}

/* The Deployment's controller says why. */
static bool no_pods(struct look *l)
{
	const struct df_value *c = condition(l->f->deployment, "ReplicaFailure", "True");

	if (c)
		SAY(l, "Cannot create processor pods: %s", text_of(l, c, "message"));
	return c != NULL;
}

static bool too_late(struct look *l)
{
	const struct df_value *c = condition(l->f->deployment, "Progressing", "False");

	say(l, "No replicas available");
	return c && strcmp(text_of(l, c, "reason"), "ProgressDeadlineExceeded") == 0;
}

static bool not_scheduled(struct look *l)
{
	for (size_t i = 0; i < l->pod_count; i++) {
		const char *text = df_pod_not_scheduled(l->pods[i], "processor", l->arena, &l->no_memory);

		if (text) {
			say(l, text);
			return true;
		}
	}
	return false;
}

static void say_ready(struct look *l, const char *of_one)
{
	if (l->desired == 1)
		say(l, of_one);
	else
		SAY(l, "%lld/%lld processor replicas ready", (long long)l->ready, (long long)l->desired);
}

static bool runs(struct look *l)
{
	say_ready(l, "Processor pod is running");
	return l->ready >= l->desired;
}

static bool starts(struct look *l)
{
	say_ready(l, "Processor pod is starting");
	return true;
}

#define PENDING "Pending"
#define RUNNING "Running"
#define STOPPED "Stopped"
#define FAILED "Error"

static const struct {
	const char *phase;
	bool (*holds)(struct look *l); /* sets the message */
} rows[] = {
	{ STOPPED, deleting },	    { FAILED, invalid },       { FAILED, step_failed },	 { PENDING, waiting },
	{ STOPPED, suspended },	    { STOPPED, in_window },    { STOPPED, no_replicas }, { PENDING, resetting },
	{ PENDING, no_deployment }, { PENDING, not_observed }, { FAILED, cannot_start }, { FAILED, cannot_mount },
	{ FAILED, ended },	    { FAILED, no_pods },       { FAILED, too_late },	 { PENDING, not_scheduled },
	{ RUNNING, runs },	    { PENDING, starts },
};

/* ---- conditions ------------------------------------------------------------------------------------------ */

static struct df_condition spec_valid(const struct df_flow_facts *f)
{
	const char *reason = !f->invalid ? "Valid" : f->refused ? "SecretReferenceDenied" : "InvalidSpec";

	return (struct df_condition){ "SpecValid", !f->invalid, reason, f->invalid ? f->invalid : "" };
}

static struct df_condition spec_resolved(const struct df_flow_facts *f)
{
	const char *why = f->unresolved ? f->failed : f->refused ? f->invalid : f->mount_failure;

	return (struct df_condition){ "SpecResolved", !why, why ? "ResolutionFailed" : "Resolved", why ? why : "" };
}

static struct df_condition deployment_ready(const struct look *l)
{
	bool holds = l->desired > 0 && l->f->deployment && observed(l->f->deployment) && l->ready >= l->desired;
	const char *reason = holds		 ? "DeploymentReady"
			     : !l->f->deployment ? "DeploymentNotFound"
			     : l->desired == 0	 ? "ScaledToZero"
						 : "DeploymentNotReady";

	return (struct df_condition){ "ProcessorDeploymentReady", holds, reason, "" };
}

/* It works, but not as it should. */
static struct df_condition degraded(struct look *l)
{
	if (l->ready > 0 && l->ready < l->desired) {
		const char *text = df_text(l->arena, "%lld of %lld processor replicas are ready", (long long)l->ready,
					   (long long)l->desired);

		l->no_memory = l->no_memory || !text;
		return (struct df_condition){ "Degraded", true, "ReplicasMissing", text };
	}
	if (l->f->disconnected)
		return (struct df_condition){ "Degraded", true, "ConnectorDisconnected",
					      "A connector of a processor is not connected" };
	return (struct df_condition){ "Degraded", false, "AsExpected", "" };
}

/* ---- all ------------------------------------------------------------------------------------------------- */

/* An invalid spec says nothing: what runs is what the Deployment says. A pause is a wish for none. */
static int64_t desired(const struct df_flow_facts *f)
{
	if (f->suspended || f->in_window)
		return 0;
	return f->invalid ? number_at(f->deployment, "spec", "replicas") : df_resource_replicas(f->resource);
}

int df_flow_phase(const struct df_flow_facts *facts, struct df_arena *arena, struct df_flow_phase *ret,
		  struct df_error *err)
{
	struct look l = { .f = facts, .arena = arena, .desired = desired(facts) };
	size_t row = 0;

	*ret = (struct df_flow_phase){ 0 };
	l.ready = count_ready(facts->deployment);
	gather_pods(&l);
	while (!rows[row].holds(&l))
		row++;
	if (strcmp(rows[row].phase, FAILED) == 0 && previous_runs(&l))
		SAY(&l, "%s; the previous version keeps running", l.message);
	ret->phase = rows[row].phase;
	ret->message = l.message;
	ret->processor_failed = l.processor_failed;
	ret->conditions[0] = (struct df_condition){ "Ready", strcmp(ret->phase, RUNNING) == 0, ret->phase, l.message };
	ret->conditions[1] = spec_valid(facts);
	ret->conditions[2] = degraded(&l);
	ret->conditions[3] = spec_resolved(facts);
	ret->conditions[4] = deployment_ready(&l);
	return l.no_memory ? df_error_no_memory(err) : 0;
}

const char *df_flow_invalid(const struct df_diags *diags, struct df_arena *arena)
{
	struct df_error why = DF_ERROR_INIT;

	return df_diags_error(diags, &why) < 0 ? df_text(arena, "Invalid spec: %s", why.text) : NULL;
}

bool df_flow_quiet(const struct df_value *deployment, struct df_value *const *pods, size_t pod_count)
{
	for (size_t i = 0; i < pod_count; i++)
		if (!pod_ended(pods[i]))
			return false;
	return !deployment || (number_at(deployment, "spec", "replicas") == 0 && observed(deployment) &&
			       number_at(deployment, "status", "replicas") == 0);
}

bool df_pod_creating(const struct df_value *pod)
{
	/* PodInitializing is said instead in a pod with init containers, whose volumes may be missing just so. */
	static const char *const reasons[] = { "ContainerCreating", "PodInitializing" };
	const struct df_value *reason = df_kube_at(processor_of(pod), "state", "waiting", "reason", NULL);

	/* The sandbox is made after the volumes. */
	if (condition(pod, "PodReadyToStartContainers", "True"))
		return false;
	for (size_t i = 0; reason && i < DF_ARRAY_SIZE(reasons); i++)
		if (df_value_string_equal(reason, df_str_c(reasons[i])))
			return !pod_leaves(pod);
	return false;
}

/* One reconcile of a DataFlow: its objects, step by step, and its status (kubernetes reference, section 4). */
#include "connectors/factory.h"
#include "kube/build.h"
#include "operator/internal.h"
#include "operator/mounts.h"
#include "operator/names.h"
#include "operator/references.h"
#include "operator/reset.h"
#include "operator/status_phase.h"
#include "operator/steps.h"
#include "operator/text.h"

#define COLLECTING_NS (5 * DF_NS_PER_S)
#define REFERENCES_NS (30 * DF_NS_PER_S)
#define BEHIND_NS (50 * DF_NS_PER_MS)
#define RESYNC_NS (30 * 60 * DF_NS_PER_S)

struct flow {
	struct df_steps steps;
	struct df_value *deployment; /* as it is; NULL: none */
	struct df_value **pods;
	size_t pod_count;
	struct df_value *maintenance; /* of the status; NULL: it did not come so far */
	struct df_flow_facts facts;
};

/* ---- steps ----------------------------------------------------------------------------------------------- */

static const char *name_of(const struct flow *f, enum df_object_name which)
{
	return df_object_name(which, DF_KIND_DATAFLOW, f->steps.r->name, f->steps.r->arena);
}

static int look_at_maintenance(struct df_steps *s, struct df_error *err)
{
	struct flow *f = DF_CONTAINER_OF(s, struct flow, steps);
	const struct df_value *suspended;
	bool paused, window;
	int code = df_status_maintenance(s->r, &s->resource, &paused, &window, &f->maintenance, err);

	if (code < 0)
		return code;
	suspended = df_object_get_c(f->maintenance, "suspended");
	f->facts.in_window = window;
	f->facts.suspended = suspended && suspended->kind == DF_TRUE;
	return 0;
}

static int reset(struct df_steps *s, struct df_error *err)
{
	struct flow *f = DF_CONTAINER_OF(s, struct flow, steps);
	enum df_reset state = DF_RESET_NONE;
	int code = df_reset_checkpoint(s->r, &s->resource, df_flow_quiet(f->deployment, f->pods, f->pod_count), &state,
				       err);

	f->facts.resetting = state == DF_RESET_WAITING;
	return code;
}

static int ensure_deployment(struct df_steps *s, struct df_error *err)
{
	struct flow *f = DF_CONTAINER_OF(s, struct flow, steps);
	bool paused = f->facts.suspended || f->facts.in_window || f->facts.resetting, waits = false;
	struct df_value *object, *live = NULL;
	int code = df_upgrade_old_names(s->r, &s->resource, &waits, err);

	if (code == 0 && waits) {
		s->waiting = "Waiting until the pods of an earlier version of the operator are gone";
		df_reconcile_again(s->r, COLLECTING_NS);
		return 0;
	}
	if (code == 0)
		code = df_object_deployment(&s->of, paused ? 0 : df_resource_replicas(&s->resource), &object, err);
	if (code == 0)
		code = df_step_ensure(s, &df_kube_deployments, object, "DeploymentCreated", "DeploymentUpdated",
				      "Deployment", &live, err);
	if (live)
		f->deployment = live;
	return code;
}

static const struct df_step step_maintenance = { "maintenance", "InvalidSpec", "find the maintenance window",
						 "find the maintenance window", look_at_maintenance };
static const struct df_step step_reset = { "reset", "CheckpointConfigMapFailed", "reset checkpoint", "reset checkpoint",
					   reset };
static const struct df_step step_deployment = { "deployment", "DeploymentFailed", "create or update Deployment",
						"create Deployment", ensure_deployment };

static int run_steps(struct flow *f, struct df_error *err)
{
	static const struct df_step *const steps[] = { &df_step_references, &df_step_spec,     &df_step_checkpoint,
						       &df_step_access,	    &step_maintenance, &step_reset,
						       &step_deployment };
	int code = df_steps_run(&f->steps, steps, DF_ARRAY_SIZE(steps), err);

	f->facts.failed = f->steps.failed;
	f->facts.unresolved = f->steps.unresolved;
	f->facts.waiting = f->steps.waiting;
	return code;
}

/* ---- status ---------------------------------------------------------------------------------------------- */

/* What is news is also told as an Event. */
static void tell(struct flow *f, const struct df_flow_phase *phase)
{
	struct df_reconcile *r = f->steps.r;
	const struct df_value *object = f->steps.resource.object;

	if (!df_steps_tell(&f->steps, phase->phase, phase->message, f->maintenance))
		return;
	if (phase->processor_failed)
		df_event(r, object, true, "ProcessorFailed", "%s", phase->processor_failed);
	if (f->facts.mount_failure && strcmp(phase->phase, "Error") == 0)
		df_event(r, object, true, "SecretResolutionFailed", "Failed to resolve secrets: %s",
			 f->facts.mount_failure);
}

/* A pod whose volume cannot be made says nothing itself; the kubelet's Events do. */
static int look_at_mounts(struct flow *f, struct df_error *err)
{
	int code = 0;

	if (!f->steps.resource.secret_count || f->facts.failed || f->facts.invalid)
		return 0;
	for (size_t i = 0; code == 0 && !f->facts.mount_failure && i < f->pod_count; i++)
		if (df_pod_creating(f->pods[i]))
			code = df_mounts_look(f->steps.r, f->pods[i], &f->facts.mount_failure, err);
	return code;
}

static void set_timers(struct flow *f, const char *phase)
{
	if (strcmp(phase, "Pending") == 0)
		df_reconcile_again(f->steps.r, f->steps.r->settings->pending_requeue_ns);
	if (f->facts.mount_failure)
		df_reconcile_again(f->steps.r, REFERENCES_NS);
	df_reconcile_again(f->steps.r, RESYNC_NS);
}

static int write_status(struct df_steps *s, bool worked, struct df_error *err)
{
	struct flow *f = DF_CONTAINER_OF(s, struct flow, steps);
	struct df_reconcile *r = s->r;
	struct df_value *status = df_value_new(r->arena, DF_OBJECT);
	struct df_flow_phase phase;
	int code = status ? look_at_mounts(f, err) : df_error_no_memory(err);

	(void)worked;
	r->stage = "status";
	f->facts.resource = &s->resource;
	f->facts.deployment = f->deployment;
	f->facts.pods = f->pods;
	f->facts.pod_count = f->pod_count;
	if (code == 0)
		code = df_counts_status(r->counts, s->resource.object, f->deployment, f->pods, f->pod_count, r->arena,
					status, &f->facts.disconnected, err);
	if (code == 0)
		code = df_flow_phase(&f->facts, r->arena, &phase, err);
	if (code == 0)
		code = df_steps_status(s, phase.phase, phase.message, phase.conditions, DF_FLOW_CONDITIONS,
				       f->maintenance, status, err);
	if (code == 0)
		code = df_status_write(r, s->resource.object, status, err);
	if (code < 0 && df_kube_is(err, "Conflict")) { /* our own last write is not in the cache yet, or somebody's */
		df_reconcile_again(r, BEHIND_NS);
		return 0;
	}
	if (code < 0)
		return code;
	tell(f, &phase);
	set_timers(f, phase.phase);
	df_operator_metrics_phase(r->op->metrics, r->kind, r->namespace, r->name, phase.phase);
	return 0;
}

/* ---- an invalid one -------------------------------------------------------------------------------------- */

/* A reference that is not allowed (any more): nobody reads that Secret on. What belongs to another stays as it is. */
static int scale_down(struct flow *f, struct df_error *err)
{
	struct df_reconcile *r = f->steps.r;
	const struct df_value *replicas = df_kube_at(f->deployment, "spec", "replicas", NULL);
	struct df_kube_ref ref = { .resource = &df_kube_deployments,
				   .namespace = r->namespace,
				   .name = name_of(f, DF_NAME_WORKLOAD) };
	struct df_value *patch;
	int64_t n = 0;
	int code;

	if (!replicas || (df_value_to_int64(replicas, &n) && n == 0) ||
	    !df_ensure_is_ours(r, &f->steps.resource, f->deployment))
		return 0;
	code = df_kube_build(r->arena, &patch, err, "{'metadata':{'uid':%v},'spec':{'replicas':%d}}",
			     df_kube_at(f->deployment, "metadata", "uid", NULL), INT64_C(0));
	return code < 0 ? code
			: df_kube_patch(r->client, r->ctx, &ref, DF_KUBE_MERGE_PATCH, patch, r->arena, &f->deployment,
					err);
}

/* ---- all ------------------------------------------------------------------------------------------------- */

/* No pod can be made: that may be for want of what is not watched (a ServiceAccount), so all of it is looked at again.
 */
static void doubt(struct flow *f)
{
	const struct df_value *conditions = df_kube_at(f->deployment, "status", "conditions", NULL);

	if (!conditions || conditions->kind != DF_ARRAY)
		return;
	df_for_each (c, conditions) {
		const struct df_value *type = df_object_get_c(c, "type");

		if (type && df_value_string_equal(type, DF_STR("ReplicaFailure")))
			df_verified_forget(f->steps.r->op->verified, f->steps.r->kind, f->steps.r->namespace,
					   f->steps.r->name);
	}
}

static int gather(struct df_steps *s, struct df_error *err)
{
	struct flow *f = DF_CONTAINER_OF(s, struct flow, steps);
	const char *name = name_of(f, DF_NAME_WORKLOAD);
	int code = name ? 0 : df_error_no_memory(err);

	if (code == 0)
		code = df_watched_get(s->r, DF_WATCH_DEPLOYMENTS, s->r->namespace, name, &f->deployment, err);
	if (code < 0)
		return code;
	doubt(f);
	return df_watched_of(s->r, DF_WATCH_PODS, &f->pods, &f->pod_count, err);
}

static int work(struct df_steps *s, struct df_error *err)
{
	struct flow *f = DF_CONTAINER_OF(s, struct flow, steps);

	f->facts.invalid = s->invalid;
	f->facts.refused = s->refused;
	if (s->refused)
		return scale_down(f, err);
	return s->invalid ? 0 : run_steps(f, err);
}

int df_reconcile_flow(struct df_reconcile *r, struct df_error *err)
{
	static const struct df_reconciler how = { .watched = DF_WATCH_DATAFLOWS,
						  .workload = &df_kube_deployments,
						  .what = "Deployment",
						  .gather = gather,
						  .work = work,
						  .conclude = write_status };
	struct flow f = { 0 };

	return df_steps_reconcile(&how, r, &f.steps, err);
}

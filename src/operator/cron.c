/* One reconcile of a DataFlowCron: its objects, step by step, its runs, its status (kubernetes reference, sections 4
 * and 7). */
#include "kube/build.h"
#include "operator/internal.h"
#include "operator/names.h"
#include "operator/owner.h"
#include "operator/reset.h"
#include "operator/runs.h"
#include "operator/steps.h"
#include "operator/text.h"

#define PODS_S 5 /* a Job has its pod by then */
#define BEHIND_NS (200 * DF_NS_PER_MS)
#define RESYNC_NS (30 * 60 * DF_NS_PER_S)

struct cron {
	struct df_steps steps;
	struct df_value *cronjob;			/* as it is; NULL: none */
	struct df_value **jobs, **pods, **trigger_pods; /* pods: of processors */
	size_t job_count, pod_count, trigger_pod_count;
	struct df_value *maintenance; /* of the status; NULL: it did not come so far */
	bool paused, in_window, resetting;
	struct df_chain_result chain;
	bool behind; /* the Jobs are not as they were seen: look again */
};

/* ---- steps ----------------------------------------------------------------------------------------------- */

static int look_at_maintenance(struct df_steps *s, struct df_error *err)
{
	struct cron *c = DF_CONTAINER_OF(s, struct cron, steps);

	return df_status_maintenance(s->r, &s->resource, &c->paused, &c->in_window, &c->maintenance, err);
}

static int reset(struct df_steps *s, struct df_error *err)
{
	struct cron *c = DF_CONTAINER_OF(s, struct cron, steps);
	bool quiet = df_chain_quiet(c->jobs, c->job_count, c->pods, c->pod_count);
	enum df_reset state = DF_RESET_NONE;
	int code = df_reset_checkpoint(s->r, &s->resource, quiet, &state, err);

	c->resetting = state == DF_RESET_WAITING;
	return code;
}

static int ensure_cronjob(struct df_steps *s, struct df_error *err)
{
	struct cron *c = DF_CONTAINER_OF(s, struct cron, steps);
	bool suspended = s->resource.spec.suspend || c->paused || c->resetting;
	struct df_value *object, *live = NULL;
	int code = df_object_cronjob(&s->of, suspended, &object, err);

	if (code == 0)
		code = df_step_ensure(s, &df_kube_cronjobs, object, "CronJobCreated", "CronJobUpdated", "CronJob",
				      &live, err);
	if (live)
		c->cronjob = live;
	return code;
}

static int look_at_runs(struct cron *c, bool valid, struct df_error *err)
{
	struct df_chain_input in = {
		.name = c->steps.r->name,
		.spec = valid ? &c->steps.resource.spec : NULL,
		.status = df_object_get_c(c->steps.resource.object, "status"),
		.jobs = c->jobs,
		.job_count = c->job_count,
		.pods = c->pods,
		.pod_count = c->pod_count,
		.trigger_pods = c->trigger_pods,
		.trigger_pod_count = c->trigger_pod_count,
		.paused = c->paused,
		.held = c->resetting,
		.now = c->steps.r->now,
	};

	return df_chain(&in, c->steps.r->arena, &c->chain, err);
}

static int act(struct cron *c, struct df_error *err)
{
	return df_runs_act(c->steps.r, &c->steps.of, &c->chain, false, &c->behind, err);
}

static int act_on_runs(struct df_steps *s, struct df_error *err)
{
	struct cron *c = DF_CONTAINER_OF(s, struct cron, steps);
	int code = look_at_runs(c, true, err);

	return code < 0 ? code : act(c, err);
}

#define FIND "find the maintenance window"
#define RESET "reset checkpoint"
#define JOBS "manage the Jobs of a run"

static const struct df_step step_maintenance = { "maintenance", "InvalidSpec", FIND, FIND, look_at_maintenance };
static const struct df_step step_reset = { "reset", "CheckpointConfigMapFailed", RESET, RESET, reset };
static const struct df_step step_cronjob = { "cronjob", "CronJobFailed", "create or update CronJob", "create CronJob",
					     ensure_cronjob };
static const struct df_step step_runs = { "jobs", "CronJobFailed", JOBS, JOBS, act_on_runs };

static const struct df_step *const steps[] = { &df_step_references, &df_step_spec, &df_step_checkpoint, &df_step_access,
					       &step_maintenance,   &step_reset,   &step_cronjob,	&step_runs };

/* ---- an invalid one -------------------------------------------------------------------------------------- */

/* A reference that is not allowed (any more): nobody reads that Secret on. No further run, and what runs is stopped.
 * What belongs to another stays as it is. */
static int stop(struct cron *c, struct df_error *err)
{
	struct df_reconcile *r = c->steps.r;
	const struct df_value *suspended = df_kube_at(c->cronjob, "spec", "suspend", NULL);
	struct df_kube_ref ref = { .resource = &df_kube_cronjobs,
				   .namespace = r->namespace,
				   .name = df_object_name(DF_NAME_WORKLOAD, c->steps.resource.kind, r->name,
							  r->arena) };
	struct df_value *patch;
	int code = 0;

	c->paused = true;
	if ((!suspended || suspended->kind != DF_TRUE) && df_ensure_is_ours(r, &c->steps.resource, c->cronjob)) {
		code = df_kube_build(r->arena, &patch, err, "{'metadata':{'uid':%v},'spec':{'suspend':true}}",
				     df_kube_at(c->cronjob, "metadata", "uid", NULL));
		if (code == 0)
			code = df_kube_patch(r->client, r->ctx, &ref, DF_KUBE_MERGE_PATCH, patch, r->arena, NULL, err);
	}
	if (code == 0)
		code = look_at_runs(c, !c->steps.resource.diags.errors, err);
	return code < 0 ? code : act(c, err);
}

/* What an invalid one has begun may end, and is told; nothing begins. */
static int work_on_invalid(struct cron *c, struct df_error *err)
{
	int code;

	c->steps.r->stage = "jobs";
	if (c->steps.refused)
		return stop(c, err);
	code = look_at_runs(c, false, err);
	return code < 0 ? code : act(c, err);
}

/* ---- status ---------------------------------------------------------------------------------------------- */

struct shown {
	const char *phase, *message;
	struct df_condition ready;
};

static bool is(const char *a, const char *b)
{
	return strcmp(a, b) == 0;
}

/* Why no run begins by itself; NULL: one does. */
static const char *stopped(const struct cron *c)
{
	const struct df_value *suspended = c->maintenance ? df_kube_at(c->maintenance, "suspended", NULL) : NULL;

	if (suspended && suspended->kind == DF_TRUE)
		return "Processor suspended manually";
	if (c->in_window)
		return "Processor paused for scheduled maintenance window";
	if (c->resetting)
		return "Resetting checkpoint";
	return !c->steps.invalid && c->steps.resource.spec.suspend ? "Schedule suspended" : NULL;
}

/* The runs say the phase; what keeps them from running says why, when none is under way. */
static void make_shown(const struct cron *c, struct shown *ret)
{
	const struct df_chain_status *s = &c->chain.status;
	const char *why = c->steps.invalid ? c->steps.invalid : c->steps.failed, *stop = stopped(c);
	bool under_way = is(s->phase, "Running") || is(s->phase, "RunningTriggers");

	ret->phase = s->phase;
	ret->message = s->message;
	if (c->steps.resource.deleting) {
		ret->phase = "Stopped";
		ret->message = "DataFlowCron resources are cleaned up";
	} else if (why) {
		ret->phase = under_way ? s->phase : "Failed";
		ret->message = why;
	} else if (c->steps.waiting) {
		ret->message = c->steps.waiting;
	} else if (stop && !under_way && !is(s->phase, "Failed")) {
		ret->message = stop;
	}
	ret->ready = (struct df_condition){ "Ready", false,
					    why	   ? "Error"
					    : stop ? "Stopped"
						   : ret->phase,
					    ret->message };
	ret->ready.holds =
		!why && !stop && !c->steps.waiting && !is(ret->phase, "Failed") && !c->steps.resource.deleting;
}

/* A member, or null: it goes. */
static int add(struct df_value *status, const char *key, struct df_value *value, bool given, struct df_arena *arena,
	       struct df_error *err)
{
	return df_status_add(status, key, given ? value : df_value_new(arena, DF_NULL), err);
}

static int add_text(struct df_value *status, const char *key, const char *text, struct df_arena *arena,
		    struct df_error *err)
{
	return add(status, key, df_value_string(arena, df_str_c(text)), text != NULL, arena, err);
}

static int add_time(struct df_value *status, const char *key, int64_t seconds, struct df_arena *arena,
		    struct df_error *err)
{
	return seconds ? df_status_add(status, key, df_status_time(seconds, arena), err) : 0;
}

static int add_run(struct cron *c, struct df_value *status, struct df_error *err)
{
	struct df_arena *arena = c->steps.r->arena;
	const struct df_chain_status *s = &c->chain.status;
	struct df_value *scheduled = c->cronjob ? df_kube_at(c->cronjob, "status", "lastScheduleTime", NULL) : NULL;
	int code = add_text(status, "currentRunID", s->run_id, arena, err);

	if (code == 0)
		code = add_text(status, "activeJobName", s->active_job, arena, err);
	if (code == 0)
		code = add(status, "currentTriggerIndex", df_value_int64(arena, s->trigger_index),
			   s->trigger_index >= 0, arena, err);
	if (code == 0 && scheduled)
		code = df_status_add(status, "lastScheduleTime", df_value_clone(scheduled, arena), err);
	if (code == 0)
		code = add_time(status, "lastSuccessfulTime", s->last_successful, arena, err);
	return code < 0 ? code : add_time(status, "lastFailedTime", s->last_failed, arena, err);
}

static void set_timers(struct cron *c)
{
	if (c->chain.again_at)
		df_reconcile_again(c->steps.r,
				   (c->chain.again_at > c->steps.r->now ? c->chain.again_at - c->steps.r->now : 1) *
					   DF_NS_PER_S);
	df_reconcile_again(c->steps.r, RESYNC_NS);
}

static int put_status(struct cron *c, const struct shown *shown, struct df_error *err)
{
	struct df_value *status = df_value_new(c->steps.r->arena, DF_OBJECT);
	struct df_condition conditions[] = { shown->ready, df_steps_valid(&c->steps) };
	int code = status ? df_steps_status(&c->steps, shown->phase, shown->message, conditions,
					    DF_ARRAY_SIZE(conditions), c->maintenance, status, err)
			  : df_error_no_memory(err);

	if (code == 0)
		code = add_run(c, status, err);
	return code < 0 ? code : df_status_write(c->steps.r, c->steps.resource.object, status, err);
}

/* What has no pod and does not fail would be told as running: a quota or an admission plugin refuses it, and only an
 * Event says so. */
static int look_at_podless(struct cron *c, struct df_error *err)
{
	struct df_reconcile *r = c->steps.r;
	struct df_chain_status *s = &c->chain.status;
	const struct df_value *job =
		s->active_job ? df_chain_podless(c->jobs, c->job_count, s->active_job, r->now) : NULL;
	const char *why;
	int code;

	if (!job)
		return 0;
	if (!df_chain_podless(c->jobs, c->job_count, s->active_job, r->now - PODS_S)) {
		df_reconcile_again(r, PODS_S * DF_NS_PER_S);
		return 0;
	}
	df_reconcile_again(r, r->settings->pending_requeue_ns);
	code = df_events_newest(r, job, "FailedCreate", &why, err);
	if (code < 0 || !why)
		return code;
	s->message = df_text(r->arena, "Job %s cannot create its pod: %s", s->active_job, why);
	return s->message ? 0 : df_error_no_memory(err);
}

/* *ret_behind: it was not written, for the resource is not as it was seen. */
static int write_status(struct cron *c, bool *ret_behind, struct df_error *err)
{
	struct df_reconcile *r = c->steps.r;
	struct shown shown;
	int code = 0;

	/* What has not come so far cannot be told as done. */
	if (c->steps.failed || c->steps.waiting || c->steps.resource.deleting)
		code = look_at_runs(c, false, err);
	*ret_behind = false;
	if (code == 0)
		code = look_at_podless(c, err);
	if (code < 0)
		return code;
	r->stage = "status";
	make_shown(c, &shown);
	code = put_status(c, &shown, err);
	if (code < 0 && df_kube_is(err, "Conflict")) {
		*ret_behind = true;
		return 0;
	}
	if (code < 0)
		return code;
	(void)df_steps_tell(&c->steps, shown.phase, shown.message, c->maintenance);
	if (c->chain.status.vanished)
		df_event(r, c->steps.resource.object, true, "RunFailed", "%s", c->chain.status.message);
	df_operator_metrics_phase(r->op->metrics, r->kind, r->namespace, r->name, shown.phase);
	set_timers(c);
	return 0;
}

/* The status, and then what it was made from may go. */
static int conclude(struct df_steps *s, bool worked, struct df_error *err)
{
	struct cron *c = DF_CONTAINER_OF(s, struct cron, steps);
	bool behind = c->behind;
	int code = 0;

	if (!behind)
		code = write_status(c, &behind, err);
	if (code == 0 && !behind && worked) {
		s->r->stage = "jobs";
		code = df_runs_act(s->r, &s->of, &c->chain, true, &behind, err);
	}
	if (behind)
		df_reconcile_again(s->r, BEHIND_NS);
	return code;
}

/* ---- all ------------------------------------------------------------------------------------------------- */

/* No pod is made for a run: that may be for want of what is not watched (a ServiceAccount), so all of it is looked at
 * again. */
static void doubt(struct cron *c)
{
	if (df_chain_podless(c->jobs, c->job_count, NULL, c->steps.r->now))
		df_reconcile_again(c->steps.r, c->steps.r->settings->pending_requeue_ns);
	if (df_chain_podless(c->jobs, c->job_count, NULL, c->steps.r->now - PODS_S))
		df_verified_forget(c->steps.r->op->verified, c->steps.r->kind, c->steps.r->namespace, c->steps.r->name);
}

static int gather(struct df_steps *s, struct df_error *err)
{
	struct cron *c = DF_CONTAINER_OF(s, struct cron, steps);
	struct df_reconcile *r = s->r;
	const char *name = df_object_name(DF_NAME_WORKLOAD, DF_KIND_DATAFLOWCRON, r->name, r->arena);
	int code = name ? df_watched_get(r, DF_WATCH_CRONJOBS, r->namespace, name, &c->cronjob, err)
			: df_error_no_memory(err);

	if (code == 0)
		code = df_watched_of(r, DF_WATCH_JOBS, &c->jobs, &c->job_count, err);
	if (code < 0)
		return code;
	c->job_count = df_jobs_keep_own(c->jobs, c->job_count, c->cronjob, df_str_c(s->resource.uid), r->arena);
	doubt(c);
	code = df_watched_of(r, DF_WATCH_PODS, &c->pods, &c->pod_count, err);
	return code < 0 ? code : df_watched_of(r, DF_WATCH_TRIGGER_PODS, &c->trigger_pods, &c->trigger_pod_count, err);
}

static int work(struct df_steps *s, struct df_error *err)
{
	struct cron *c = DF_CONTAINER_OF(s, struct cron, steps);

	return s->invalid ? work_on_invalid(c, err) : df_steps_run(s, steps, DF_ARRAY_SIZE(steps), err);
}

int df_reconcile_cron(struct df_reconcile *r, struct df_error *err)
{
	static const struct df_reconciler how = { .watched = DF_WATCH_DATAFLOWCRONS,
						  .workload = &df_kube_cronjobs,
						  .what = "CronJob",
						  .gather = gather,
						  .work = work,
						  .conclude = conclude };
	struct cron c = { 0 };

	return df_steps_reconcile(&how, r, &c.steps, err);
}

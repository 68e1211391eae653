/* One run: a thread that takes a manifest through one life. */
#include <stdlib.h>
#include <string.h>

#include "cmd/trigger.h"
#include "cmd/up.h"

/* A pipeline that ran this long was well: the next failure begins with a short delay again. */
#define WELL_NS (300 * DF_NS_PER_S)

/* A DataFlow, for ever. Connecting has its own backoff inside the processor: what comes here is what ended it. */
static const struct df_retry_policy flow_policy = {
	.first_ns = DF_NS_PER_S,
	.cap_ns = 120 * DF_NS_PER_S,
	.factor = 2,
	.jitter = 0.2,
};

/* Of a DataFlowCron, as a Job's pods are tried again. */
static const struct df_retry_policy cron_policy = {
	.first_ns = 10 * DF_NS_PER_S,
	.cap_ns = 360 * DF_NS_PER_S,
	.factor = 2,
	.jitter = 0.2,
};

static bool is_cron(const struct up_run *run)
{
	return run->manifest->m->kind == DF_KIND_DATAFLOWCRON;
}

bool up_keeps_position(const struct up_manifest *m)
{
	const struct df_dataflow_spec *spec = &m->m->spec.flow;

	return spec->checkpoint_persistence && df_source_position(&spec->source) == DF_POSITION_CHECKPOINT;
}

/* ---- the pipeline ---------------------------------------------------------------------------------------- */

/* The new attempt takes the place of the last one, which could be looked at until now. */
static void show(struct up_run *run, struct df_pipeline *fresh)
{
	struct up_flow *f = run->flow;
	struct df_pipeline old;

	pthread_mutex_lock(&f->up->lock);
	old = run->pipeline;
	run->pipeline = *fresh;
	if (f->shown && f->shown->reaped) {
		f->shown->next = f->retired;
		f->retired = f->shown;
	}
	f->shown = run;
	run->phase = UP_RUNNING;
	run->attempts++;
	pthread_mutex_unlock(&f->up->lock);
	df_pipeline_done(&old);
	up_wake(f->up);
}

static int attempt(struct up_run *run, struct df_error *err)
{
	const struct up *up = run->flow->up;
	struct df_manifest *m = run->manifest->m;
	struct df_flow_options options = {
		.spec = &m->spec.flow,
		.namespace = m->namespace,
		.name = m->name,
		.state_dir = up_keeps_position(run->manifest) ? up->state_dir : NULL,
		.once = is_cron(run),
		.grace_seconds = up->options.grace_seconds,
		.metrics = up->options.metrics,
	};
	struct df_pipeline fresh = { 0 };
	struct df_diags diags = { 0 };
	int r = df_pipeline_open(&fresh, &options, NULL, &diags, err);

	up_tell(&diags);
	df_diags_done(&diags);
	if (!fresh.processor) {
		df_pipeline_done(&fresh);
		return r;
	}
	show(run, &fresh);
	if (r == 0)
		r = df_processor_run(fresh.processor, run->stop, run->kill, err);
	/* A reset is for once, not for each attempt. Runs beside each other have no position. */
	if (options.state_dir && df_processor_ready(fresh.processor))
		m->spec.flow.checkpoint_reset = false;
	pthread_mutex_lock(&run->flow->up->lock);
	df_pipeline_unlock(&run->pipeline);
	pthread_mutex_unlock(&run->flow->up->lock);
	return r;
}

static void note_failure(struct up_run *run, const struct df_error *err)
{
	DF_LOCK_SCOPE(&run->flow->up->lock);
	run->err = *err;
	run->phase = UP_FAILING;
}

/* Again and again until it is through or told to stop: a DataFlow for ever, a cron's run as often as allowed. */
static int run_pipeline(struct up_run *run, struct df_error *err)
{
	struct df_logger logger = up_logger(run->manifest);
	uint64_t tries_left = is_cron(run) ? run->flow->up->options.cron_retries : UINT64_MAX;
	struct df_retry retry;

	df_retry_init(&retry, is_cron(run) ? &cron_policy : &flow_policy,
		      (uint64_t)df_clock_monotonic() ^ (uintptr_t)run);
	for (;;) {
		int64_t begun = df_clock_monotonic(), delay;
		int r;

		*err = DF_ERROR_INIT;
		r = attempt(run, err);
		if (r == 0 || df_context_canceled(run->stop) || tries_left-- == 0)
			return r;
		if (df_clock_monotonic() - begun > WELL_NS)
			df_retry_reset(&retry);
		delay = df_retry_next(&retry);
		note_failure(run, err);
		df_log_error(&logger, DF_LOG_ERROR, err,
			     "the pipeline failed, the position is kept; started again in %.1f s",
			     (double)delay / (double)DF_NS_PER_S);
		up_wake(run->flow->up);
		if (df_context_sleep(run->stop, delay) < 0)
			return 0;
	}
}

/* ---- the triggers ---------------------------------------------------------------------------------------- */

static int run_triggers(struct up_run *run, struct df_error *err)
{
	const struct up_options *o = &run->flow->up->options;
	struct df_manifest *m = run->manifest->m;
	const struct df_objects *triggers = &m->spec.triggers;
	struct df_logger logger = up_logger(run->manifest);

	if (triggers->count == 0)
		return 0;
	if (!o->allow_triggers) {
		df_warn(&logger, "%zu triggers were not run: --allow-triggers would", triggers->count);
		return 0;
	}
	pthread_mutex_lock(&run->flow->up->lock);
	run->phase = UP_TRIGGERS;
	run->triggers_began = true;
	pthread_mutex_unlock(&run->flow->up->lock);
	up_wake(run->flow->up);
	for (size_t i = 0; i < triggers->count; i++) {
		const struct df_trigger *t = (const struct df_trigger *)triggers->items + i;
		char name[80];
		int r;

		if (df_context_canceled(run->stop))
			return df_error_set(err, DF_ERR_CANCELED, "stopped before trigger %s",
					    df_trigger_name(t, i, name));
		df_info(&logger, "trigger %s begins", df_trigger_name(t, i, name));
		r = df_trigger_run(
			&(struct df_trigger_options){
				.trigger = t,
				.index = i,
				.namespace = m->namespace,
				.name = m->name,
				.secrets_dir = o->secrets,
				.scheduled = run->scheduled,
				.logger = &logger,
				.stop = run->stop,
				.kill = run->kill,
				.grace_ns = (int64_t)o->grace_seconds * DF_NS_PER_S,
			},
			err);
		if (r < 0)
			return r;
	}
	return 0;
}

static void *run_main(void *arg)
{
	struct up_run *run = arg;
	struct up *up = run->flow->up;
	struct df_error err = DF_ERROR_INIT;
	int r = run_pipeline(run, &err);

	if (r == 0 && is_cron(run) && !df_context_canceled(run->stop))
		r = run_triggers(run, &err);
	pthread_mutex_lock(&up->lock);
	run->err = r < 0 ? err : DF_ERROR_INIT;
	run->phase = UP_ENDED;
	pthread_mutex_unlock(&up->lock);
	up_wake(up);
	return NULL;
}

/* ---- for the manager ------------------------------------------------------------------------------------- */

struct up_run *up_run_start(struct up_flow *f, int64_t scheduled, struct df_error *err)
{
	struct up_run *run = calloc(1, sizeof(*run));

	if (!run) {
		df_error_no_memory(err);
		return NULL;
	}
	run->flow = f;
	run->manifest = up_manifest_use(f->manifest);
	run->scheduled = scheduled;
	run->started = df_clock_now(NULL) / DF_NS_PER_S;
	run->stop = df_context_new(f->up->stop);
	run->kill = df_context_new(f->up->kill);
	if (!run->stop || !run->kill)
		df_error_set(err, DF_ERR_NO_MEMORY, "out of memory or descriptors");
	else if (pthread_create(&run->thread, NULL, run_main, run))
		df_error_set(err, DF_ERR_NO_MEMORY, "cannot start the flow's thread");
	else
		return run;
	up_run_free(run);
	return NULL;
}

void up_run_stop(struct up_run *run)
{
	if (run->stopped_ns == 0)
		run->stopped_ns = df_clock_monotonic();
	df_context_cancel(run->stop);
}

bool up_run_ended(const struct up_run *run)
{
	DF_LOCK_SCOPE(&run->flow->up->lock);
	return run->phase == UP_ENDED;
}

void up_run_free(struct up_run *run)
{
	df_pipeline_done(&run->pipeline);
	up_manifest_drop(run->manifest);
	df_context_free(run->stop);
	df_context_free(run->kill);
	free(run);
}

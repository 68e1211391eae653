#include "cmd/flow.h"

#include <pthread.h>
#include <stdio.h>

#include "base/log.h"
#include "cmd/health.h"
#include "cmd/preview.h"
#include "cmd/rotation.h"
#include "cmd/signals.h"
#include "kube/config.h"
#include "processor/checkpoint_configmap.h"

/* More is for ever, and less than what nanoseconds can hold. */
#define GRACE_SECONDS_MAX ((uint64_t)10 * 365 * 24 * 3600)
#define LOOK_DEFAULT (10 * DF_NS_PER_S)

/* ---- the pipeline alone ---------------------------------------------------------------------------------- */

static bool keeps_positions(const struct df_flow_options *o)
{
	return o->state_dir && o->spec->checkpoint_persistence && !o->dry_run;
}

static int64_t grace_ns(uint64_t seconds)
{
	return (int64_t)(seconds < GRACE_SECONDS_MAX ? seconds : GRACE_SECONDS_MAX) * DF_NS_PER_S;
}

int df_pipeline_open(struct df_pipeline *p, const struct df_flow_options *o, struct df_preview *preview,
		     struct df_diags *diags, struct df_error *err)
{
	struct df_processor_options options = {
		.spec = o->spec,
		.namespace = o->namespace,
		.name = o->name,
		.once = o->once,
		.limit = o->limit,
		.grace_ns = grace_ns(o->grace_seconds),
		.metrics = o->metrics != NULL,
	};

	/* Half of what the process has is for messages, as the processor does it by itself. */
	if (o->memory_limit && df_flow_memory_limit(o->spec) == 0)
		options.memory_limit = o->memory_limit / 2;
	options.store = p->store;
	if (preview) {
		options.make_sink = df_preview_make_sink;
		options.make_sink_arg = preview;
	}
	if (!p->store && keeps_positions(o)) {
		int r = df_checkpoint_directory_open(o->state_dir, o->namespace, o->name, &p->store, err);

		if (r < 0)
			return r;
		options.store = p->store;
	}
	return df_processor_new(&options, &p->processor, diags, err);
}

void df_pipeline_unlock(struct df_pipeline *p)
{
	df_checkpoint_store_free(p->store);
	p->store = NULL;
}

void df_pipeline_done(struct df_pipeline *p)
{
	df_processor_free(p->processor);
	p->processor = NULL;
	df_pipeline_unlock(p);
}

/* ---- with signals, health and progress ------------------------------------------------------------------- */

/* Zeroed is empty. */
struct flow {
	const struct df_flow_options *options;
	struct df_context *stop, *kill;
	struct df_signals *signals;
	struct df_pipeline pipeline;
	pthread_mutex_t lock; /* guards pipeline.processor against replacement while somebody looks at it */
	struct df_preview preview;
	struct df_health health;
	struct df_kube_config kube;
	struct df_logger logger;
	char holder[512]; /* of the Lease */
	char pod[384];	  /* what the holders of this pod begin with; "": no pod */
	bool fenced;	  /* another processor of this flow has taken over ... */
	struct df_error fenced_why;

	/* The turn that ends when a Secret has changed, and what comes after it. */
	struct df_context *turn;
	struct df_reading *next_reading; /* NULL: nothing has changed */
	struct df_processor *next;
};

static void flow_done(struct flow *f)
{
	df_health_stop(&f->health); /* reads the processor */
	df_processor_free(f->next);
	df_reading_free(f->next_reading);
	df_pipeline_done(&f->pipeline);
	df_signals_stop(f->signals);
	df_context_free(f->turn);
	df_context_free(f->stop);
	df_context_free(f->kill);
	df_kube_config_done(&f->kube);
	pthread_mutex_destroy(&f->lock);
}

/* ---- looking in: of whichever processor there is ----------------------------------------------------------- */

static void flow_metrics(void *arg, struct df_buf *buf)
{
	struct flow *f = arg;
	DF_LOCK_SCOPE(&f->lock);
	const struct df_health_source of = df_health_of(f->pipeline.processor);

	of.metrics(of.arg, buf);
}

static bool flow_ready(void *arg, struct df_buf *why)
{
	struct flow *f = arg;
	DF_LOCK_SCOPE(&f->lock);
	const struct df_health_source of = df_health_of(f->pipeline.processor);

	return of.ready(of.arg, why);
}

static bool flow_alive(void *arg, int64_t timeout_ns, struct df_buf *why)
{
	struct flow *f = arg;
	DF_LOCK_SCOPE(&f->lock);
	const struct df_health_source of = df_health_of(f->pipeline.processor);

	return of.alive(of.arg, timeout_ns, why);
}

/* ---- the ConfigMap --------------------------------------------------------------------------------------- */

/* Another pod may be reading and writing by now: nothing is flushed, nothing saved. */
static void on_fenced(void *arg, const struct df_error *why)
{
	struct flow *f = arg;

	df_log_error(&f->logger, DF_LOG_ERROR, why, "this processor may not go on");
	f->fenced_why = *why;
	f->fenced = true;
	df_context_cancel(f->stop);
	df_context_cancel(f->kill);
}

/* <pod>_<uid>_<start>, so that a container that starts anew in its pod is another holder; and one that knows that the
 * earlier ones are gone, for a pod's container is started when it has ended. */
static void make_holder(struct flow *f)
{
	const char *pod = getenv("POD_NAME"), *uid = getenv("POD_UID");
	char host[128] = "";

	gethostname(host, sizeof(host) - 1);
	if (pod && uid && uid[0])
		snprintf(f->pod, sizeof(f->pod), "%s_%s_", pod, uid);
	snprintf(f->holder, sizeof(f->holder), "%s_%s_%lld", pod ? pod : host, uid ? uid : "",
		 (long long)df_clock_now(NULL));
}

static int open_configmap(struct flow *f, const struct df_flow_options *o, struct df_error *err)
{
	int r;

	if (!o->configmap || !o->spec->checkpoint_persistence ||
	    df_source_position(&o->spec->source) != DF_POSITION_CHECKPOINT)
		return 0;
	r = df_kube_config_load(o->kubeconfig, &f->kube, err);
	if (r < 0)
		return r;
	make_holder(f);
	return df_checkpoint_configmap_open(
		&(struct df_checkpoint_configmap_options){ .config = &f->kube,
							   .namespace = o->namespace,
							   .name = o->name,
							   .holder = f->holder,
							   .ended_holders = f->pod[0] ? f->pod : NULL,
							   .source_type = o->spec->source.type->name,
							   .logger = &f->logger,
							   .on_lost = on_fenced,
							   .arg = f },
		f->stop, &f->pipeline.store, err);
}

static int flow_open(struct flow *f, struct df_diags *diags, struct df_error *err)
{
	const struct df_flow_options *o = f->options;
	int r;

	f->stop = df_context_new(NULL);
	f->kill = df_context_new(NULL);
	if (!f->stop || !f->kill)
		return df_error_no_memory(err);
	r = df_signals_start(&(struct df_signals_options){ f->stop, f->kill }, &f->signals, err);
	if (r < 0)
		return r;
	if (o->dry_run) {
		f->preview = (struct df_preview){ .max = o->dry_run, .enough = f->stop };
		pthread_mutex_init(&f->preview.lock, NULL);
	}
	r = open_configmap(f, o, err);
	if (r == 0)
		r = df_pipeline_open(&f->pipeline, o, o->dry_run ? &f->preview : NULL, diags, err);
	if (r == 0 && o->metrics)
		r = df_health_start(&f->health,
				    (struct df_health_source){ flow_metrics, flow_ready, flow_alive, NULL, f },
				    o->metrics, o->metrics_host, err);
	return r;
}

/* What a second run would otherwise leave a user wondering about. */
static void say_what_is_special(const struct flow *f, const struct df_flow_options *o)
{
	struct df_processor_stats s;

	df_processor_get_stats(f->pipeline.processor, &s);
	if (o->dry_run)
		fprintf(stderr, "%s: dry run, nothing was written and no position was saved\n", o->name);
	else if (s.read == 0 && !s.resumed)
		fprintf(stderr, "%s: the source had nothing to read\n", o->name);
	else if (s.read == 0 && f->pipeline.store)
		fprintf(stderr,
			"%s: nothing new since the position that was saved in %s; --reset-checkpoint reads from the "
			"start\n",
			o->name, o->state_dir);
	else if (s.written > 0 && s.unchanged == s.written)
		fprintf(stderr, "%s: every row stood in the sink already, nothing was changed\n", o->name);
}

/* The first line of progress: what runs. */
static void say_what_runs(const struct df_flow_options *o)
{
	const struct df_dataflow_spec *spec = o->spec;

	if (o->progress == DF_PROGRESS_LIVE || o->progress == DF_PROGRESS_PLAIN)
		fprintf(stderr, "%s: %s -> %zu transformations -> %s\n", o->name, spec->source.type->name,
			spec->transformations.count, o->dry_run ? "dry run" : spec->sink.type->name);
}

/* ---- running --------------------------------------------------------------------------------------------- */

/* On the thread that looks: what comes next is made while the flow still runs, so that a value with which it cannot be
 * made changes nothing. */
static int take_next(void *arg, struct df_reading *reading, struct df_diags *diags, struct df_error *err)
{
	struct flow *f = arg;
	struct df_flow_options options = *f->options;
	struct df_pipeline next = { .store = f->pipeline.store };
	int r;

	options.spec = df_reading_spec(reading);
	df_reading_spec(reading)->checkpoint_reset = false; /* that was for once */
	r = df_pipeline_open(&next, &options, NULL, diags, err);
	if (r < 0) {
		df_processor_free(next.processor);
		return r;
	}
	f->next = next.processor;
	f->next_reading = reading;
	if (f->turn)
		df_context_cancel(f->turn);
	return 0;
}

/* A run with an end, of a source that would begin anew, is not begun again in its middle. */
static bool rotates(const struct flow *f)
{
	const struct df_flow_options *o = f->options;

	return o->mounted && df_mounted_has_secrets(o->mounted) &&
	       (!o->once || f->pipeline.store || df_source_position(&o->spec->source) == DF_POSITION_OWN);
}

static struct df_rotation_options rotation_options(struct flow *f)
{
	const struct df_flow_options *o = f->options;

	return (struct df_rotation_options){ .mounted = o->mounted,
					     .interval_ns = o->look_ns ? o->look_ns : LOOK_DEFAULT,
					     .ctx = f->turn,
					     .logger = &f->logger,
					     .offer = take_next,
					     .arg = f };
}

/* Until the flow has ended, or is to go on with f->next. */
static int run_turn(struct flow *f, struct df_error *err)
{
	struct df_rotation_options options;
	struct df_rotation *rotation = NULL;
	int r = 0;

	f->turn = df_context_new(f->stop);
	if (!f->turn)
		return df_error_no_memory(err);
	options = rotation_options(f);
	if (rotates(f))
		r = df_rotation_start(&options, &rotation, err);
	if (r == 0)
		r = df_processor_run(f->pipeline.processor, f->turn, f->kill, err);
	df_context_cancel(f->turn);
	df_rotation_join(rotation);
	df_context_free(f->turn);
	f->turn = NULL;
	return r;
}

/* The other side takes the old value no more: before that is the end, is there a new one? */
static bool may_go_on(struct flow *f, int r)
{
	const struct df_rotation_options options = rotation_options(f);

	if ((r != 0 && r != DF_ERR_AUTH) || df_context_canceled(f->stop))
		return false;
	return f->next || (r == DF_ERR_AUTH && rotates(f) && df_rotation_look(&options));
}

/* Store, Lease and fence stay with the flow. */
static void begin_next_turn(struct flow *f)
{
	struct df_processor *ended = f->pipeline.processor;

	df_processor_inherit(f->next, ended);
	pthread_mutex_lock(&f->lock);
	f->pipeline.processor = f->next;
	pthread_mutex_unlock(&f->lock);
	df_processor_free(ended);
	df_mounted_renew(f->options->mounted, f->next_reading);
	f->next = NULL;
	f->next_reading = NULL;
	df_info(&f->logger, "the flow goes on with the new value");
}

static int run_turns(struct flow *f, struct df_error *err)
{
	int r = run_turn(f, err);

	while (may_go_on(f, r)) {
		if (r < 0)
			df_log_error(&f->logger, DF_LOG_WARN, err, "the old value is not taken any more");
		*err = DF_ERROR_INIT;
		begin_next_turn(f);
		r = run_turn(f, err);
	}
	return r;
}

static int flow_run(struct flow *f, struct df_error *err)
{
	const struct df_flow_options *o = f->options;
	int64_t started = df_clock_monotonic();
	struct df_progress *progress;
	double seconds;
	int r;

	say_what_runs(o);
	/* Who shows progress has nothing mounted: it is one turn, of one processor. */
	progress = df_progress_start(f->pipeline.processor, o->name, o->progress);
	r = run_turns(f, err);
	seconds = (double)(df_clock_monotonic() - started) / (double)DF_NS_PER_S;
	df_progress_stop(progress);
	if (o->summary)
		df_progress_summary(f->pipeline.processor, o->name, o->progress, seconds, r < 0);
	if (r == 0 && o->summary && o->progress != DF_PROGRESS_JSON)
		say_what_is_special(f, o);
	return r;
}

static void tell_end(const struct flow *f, int exit_code, const struct df_error *err)
{
	struct df_flow_end *end = f->options->end;

	if (!end)
		return;
	*end = (struct df_flow_end){ .exit_code = exit_code };
	if (exit_code != DF_EXIT_OK)
		end->err = f->fenced ? f->fenced_why : *err;
	if (f->pipeline.processor)
		df_processor_get_stats(f->pipeline.processor, &end->stats);
}

int df_flow_run(const struct df_flow_options *options)
{
	struct flow f = { .options = options,
			  .lock = PTHREAD_MUTEX_INITIALIZER,
			  .logger = { options->namespace, options->name, NULL } };
	struct df_diags diags = { 0 };
	struct df_error err = DF_ERROR_INIT;
	int exit_code = DF_EXIT_OK, r;

	r = flow_open(&f, &diags, &err);
	if (df_report_diags(&diags) != DF_EXIT_OK) {
		exit_code = DF_EXIT_USAGE;
		if (df_diags_error(&diags, &err) == 0)
			df_error_no_memory(&err);
	} else if (r == DF_ERR_CANCELED && df_context_canceled(f.stop) && !f.fenced) {
		df_info(&f.logger, "stopped before it began");
	} else if (r < 0) {
		df_log_error(&f.logger, DF_LOG_ERROR, &err, "cannot start");
		exit_code = DF_EXIT_FAILED;
	} else if (flow_run(&f, &err) < 0) {
		df_log_error(&f.logger, DF_LOG_ERROR, &err, "the pipeline stopped, the position is kept");
		exit_code = DF_EXIT_FAILED;
	}
	if (f.fenced)
		exit_code = DF_EXIT_FAILED;
	tell_end(&f, exit_code, &err);
	flow_done(&f);
	df_diags_done(&diags);
	return exit_code;
}

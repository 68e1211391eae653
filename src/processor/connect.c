/* Creating, connecting and reconnecting sources and sinks. */
#include "processor/internal.h"

#define AUTH_ATTEMPTS 5

/*
 * One connect after the other: for ever on retryable errors, five times on authentication, once on the rest. `attempt`
 * does one; what stays the same for source and sink is only here.
 */
static int connect_with_backoff(struct df_processor *p, const struct df_logger *logger,
				struct df_connector_metrics *metrics, struct df_context *ctx,
				int (*attempt)(void *arg, struct df_context *ctx, struct df_error *err), void *arg,
				struct df_error *err)
{
	struct df_retry retry;

	metrics->connected = false;
	df_retry_init(&retry, &df_retry_connect, (uint64_t)df_clock_monotonic());
	for (int tries = 1;; tries++) {
		int r = attempt(arg, ctx, err);
		bool again = df_code_retryable(r) || (r == DF_ERR_AUTH && tries < AUTH_ATTEMPTS);
		int64_t delay;

		if (r < 0 && !df_context_canceled(ctx))
			df_errors_add(&metrics->errors[DF_OP_CONNECT], r, 1);
		metrics->connected = r == 0;
		if (r == 0 || df_context_canceled(ctx) || !again)
			break;
		delay = df_retry_next(&retry);
		df_log_error(logger, DF_LOG_WARN, err, "connecting failed, again in %.1f s",
			     (double)delay / (double)DF_NS_PER_S);
		atomic_store(&p->waiting, "connecting");
		if (df_context_sleep(ctx, delay) < 0)
			break;
	}
	atomic_store(&p->waiting, NULL);
	if (df_context_canceled(ctx))
		return df_error_set(err, DF_ERR_CANCELED, "stopped while connecting");
	return err->code;
}

/* ---- source ---------------------------------------------------------------------------------------------- */

int df_processor_create_source(struct df_processor *p, struct df_error *err)
{
	const struct df_component *c = &p->spec->source;
	struct df_source *fresh = NULL, *old;
	int r = df_source_create(df_str_c(c->type->name), c->settings, &p->source_env, &fresh, err);

	/* One that keeps its own position is told only what a sink holds. */
	if (r == 0 && fresh->ops->restore && (!fresh->ops->keeps_own_position || p->source_checkpoint->len > 0))
		r = fresh->ops->restore(fresh, p->source_checkpoint, err);
	if (r < 0) {
		df_source_free(fresh);
		return r;
	}
	pthread_mutex_lock(&p->source_lock);
	old = p->source;
	p->source = fresh;
	p->source_ops = fresh->ops;
	pthread_mutex_unlock(&p->source_lock);
	df_source_free(old);
	return 0;
}

static int source_attempt(void *arg, struct df_context *ctx, struct df_error *err)
{
	struct df_processor *p = arg;

	*err = DF_ERROR_INIT;
	return p->source_ops->connect(p->source, ctx, err);
}

int df_processor_connect_source(struct df_processor *p, struct df_context *ctx, struct df_error *err)
{
	int r = connect_with_backoff(p, &p->source_logger, &p->metrics.source, ctx, source_attempt, p, err);

	if (r < 0 && r != DF_ERR_CANCELED)
		df_error_prefix(err, "source %s", p->source_type);
	return r;
}

/* ---- sinks ----------------------------------------------------------------------------------------------- */

static int create_sink(struct df_output *o, struct df_sink **ret, struct df_error *err)
{
	const struct df_processor_options *options = &o->p->options;

	if (options->make_sink)
		return options->make_sink(options->make_sink_arg, o->component, &o->env, ret, err);
	return df_sink_create(df_str_c(o->component->type->name), o->component->settings, &o->env, ret, err);
}

/* A new instance each time: one that failed to connect may be half open, and a closed one cannot connect. */
static int sink_attempt(void *arg, struct df_context *ctx, struct df_error *err)
{
	struct df_output *o = arg;
	struct df_sink *fresh = NULL, *old;
	int r;

	*err = DF_ERROR_INIT;
	r = create_sink(o, &fresh, err);
	if (r < 0)
		return r;
	r = fresh->ops->connect(fresh, ctx, err);
	if (r < 0) {
		df_sink_free(fresh);
		return r;
	}
	pthread_mutex_lock(&o->sink_lock);
	old = o->sink;
	o->sink = fresh;
	pthread_mutex_unlock(&o->sink_lock);
	df_sink_free(old);
	return 0;
}

int df_output_connect(struct df_output *o, struct df_context *ctx, struct df_error *err)
{
	int r = connect_with_backoff(o->p, &o->logger, &o->metrics.connector, ctx, sink_attempt, o, err);

	if (r < 0 && r != DF_ERR_CANCELED)
		df_error_prefix(err, "%s %s", o->is_error ? "error sink" : "sink", o->component->type->name);
	return r;
}

int df_output_reconnect(struct df_output *o, struct df_context *ctx, struct df_error *err)
{
	atomic_fetch_add(&o->p->counters.reconnects, 1);
	return df_output_connect(o, ctx, err);
}

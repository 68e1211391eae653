/* Creating, connecting and reconnecting sources and sinks. */
#include "processor/internal.h"

/* Wrong credentials may be right soon (a Secret that is being replaced), but must not lock an account. */
static const struct df_retry_policy auth_policy = {
	.first_ns = DF_NS_PER_S, .cap_ns = 60 * DF_NS_PER_S, .factor = 2, .jitter = 0.2, .max_attempts = 5
};

/* What does one attempt for a source or a sink. */
struct connecting {
	const struct df_logger *logger;
	struct df_connector_metrics *metrics;
	int (*attempt)(void *arg, struct df_context *ctx, struct df_error *err);
	void *arg;
};

/* A server that is away for long is not told about at every attempt. */
static void tell_failure(const struct connecting *c, int tries, int64_t since, int64_t *told,
			 const struct df_error *err)
{
	int64_t now = df_clock_monotonic();

	if (tries > 1 && now - *told < DF_SAY_AGAIN)
		return;
	*told = now;
	if (tries == 1)
		df_log_error(c->logger, DF_LOG_WARN, err, "connecting failed, tried again until it succeeds");
	else
		df_log_error(c->logger, DF_LOG_WARN, err, "still not connected after %.0f s and %d attempts",
			     (double)(now - since) / (double)DF_NS_PER_S, tries);
}

/* One attempt after the other: for ever on retryable errors, five times on authentication, once on the rest. */
static int connect_with_backoff(struct df_processor *p, const struct connecting *c, struct df_context *ctx,
				struct df_error *err)
{
	struct df_retry retry, auth;
	int64_t since = df_clock_monotonic(), told = 0, delay;
	int tries = 1, r;

	c->metrics->connected = false;
	df_retry_init(&retry, &p->connect_policy, (uint64_t)since);
	df_retry_init(&auth, &auth_policy, (uint64_t)since);
	for (;; tries++) {
		r = c->attempt(c->arg, ctx, err);
		delay = r == DF_ERR_AUTH ? df_retry_next(&auth) : df_code_retryable(r) ? df_retry_next(&retry) : -1;
		if (r < 0 && !df_context_canceled(ctx))
			df_errors_add(&c->metrics->errors[DF_OP_CONNECT], r, 1);
		if (r == 0 || df_context_canceled(ctx) || delay < 0)
			break;
		tell_failure(c, tries, since, &told, err);
		df_trouble_add(&c->metrics->trouble, DF_OP_CONNECT, err);
		atomic_store(&p->waiting, "connecting");
		if (df_context_sleep(ctx, delay) < 0)
			break;
	}
	c->metrics->connected = r == 0;
	df_trouble_over(&c->metrics->trouble, DF_OP_CONNECT);
	atomic_store(&p->waiting, NULL);
	if (df_context_canceled(ctx))
		return df_error_set(err, DF_ERR_CANCELED, "stopped while connecting");
	if (r == 0 && tries > 1)
		df_info(c->logger, "connected after %.1f s and %d attempts",
			(double)(df_clock_monotonic() - since) / (double)DF_NS_PER_S, tries);
	return r < 0 ? err->code : 0;
}

/* ---- source ---------------------------------------------------------------------------------------------- */

int df_processor_create_source(struct df_processor *p, struct df_error *err)
{
	const struct df_component *c = &p->spec->source;
	struct df_source *fresh = NULL, *old;
	int r;

	if (p->options.make_source)
		r = p->options.make_source(p->options.make_source_arg, c, &p->source_env, &fresh, err);
	else
		r = df_source_create(df_str_c(c->type->name), c->settings, &p->source_env, &fresh, err);
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
	if (p->source_ops != fresh->ops) /* once: others read it without the lock */
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
	const struct connecting c = { &p->source_logger, &p->metrics.source, source_attempt, p };
	int r = connect_with_backoff(p, &c, ctx, err);

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
	if (r == 0 && o == o->p->outputs && df_transaction_wanted(o, fresh->ops))
		r = df_transaction_ask(o, fresh, ctx, err);
	if (r < 0) {
		df_sink_free(fresh);
		return r;
	}
	df_output_begin_call(o);
	old = o->sink;
	o->sink = fresh;
	o->instance++;
	df_output_end_call(o);
	df_sink_free(old);
	return 0;
}

int df_output_connect(struct df_output *o, struct df_context *ctx, struct df_error *err)
{
	const struct connecting c = { &o->logger, &o->metrics.connector, sink_attempt, o };
	int r = connect_with_backoff(o->p, &c, ctx, err);

	if (r < 0 && r != DF_ERR_CANCELED)
		df_error_prefix(err, "%s %s", o->is_error ? "error sink" : "sink", o->component->type->name);
	return r;
}

/* The old instance goes first: it may hold what the new one needs (the lock of a file). What it wrote is made durable
 * as far as it still can; until there is a new one nothing is committed. */
int df_output_reconnect(struct df_output *o, struct df_context *ctx, struct df_error *err)
{
	struct df_sink *old;

	atomic_fetch_add(&o->p->counters.reconnects, 1);
	df_output_begin_call(o);
	old = o->sink;
	o->sink = NULL;
	df_output_end_call(o);
	if (old && old->ops->sync)
		(void)!old->ops->sync(old, ctx, false, NULL);
	df_sink_free(old);
	return df_output_connect(o, ctx, err);
}

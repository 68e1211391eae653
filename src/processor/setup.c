/* Making a processor from its manifest, and freeing it. */
#include <string.h>
#include <sys/random.h>

#include "processor/delivery.h"
#include "processor/internal.h"

#define ROUTE_LABEL_MAX 200 /* bytes of a condition */

static int new_monotonic_cond(pthread_cond_t *cond)
{
	pthread_condattr_t attr;
	int r = pthread_condattr_init(&attr);

	if (r)
		return r;
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	r = pthread_cond_init(cond, &attr);
	pthread_condattr_destroy(&attr);
	return r;
}

static int new_chains(struct df_processor *p, struct df_diags *diags, struct df_error *err)
{
	p->worker_count = (size_t)p->spec->transform_workers;
	p->workers = calloc(p->worker_count, sizeof(*p->workers));
	if (!p->workers)
		return df_error_no_memory(err);
	for (size_t i = 0; i < p->worker_count; i++) {
		struct df_diags repeated = { 0 };
		int r;

		p->workers[i].p = p;
		/* The second chain says the same as the first. */
		r = df_chain_new(&p->spec->transformations, p->options.clock, &p->workers[i].chain,
				 i == 0 ? diags : &repeated);
		df_diags_done(&repeated);
		if (r < 0)
			return df_error_set(err, r, "the transformations cannot be compiled");
	}
	return 0;
}

/* The reference's label. It also names the output's queue beside `routing` and `output`: a condition that reads like
 * one of these is put in parentheses, and one that was there before gets a number. */
static void set_route(struct df_output *o, struct df_str condition)
{
	static const char *const taken[] = { "default", "error", "routing", "output" };
	size_t same = 1, cut = condition.len < ROUTE_LABEL_MAX ? condition.len : ROUTE_LABEL_MAX, len;

	while (cut < condition.len && cut > 0 && ((unsigned char)condition.ptr[cut] & 0xc0) == 0x80)
		cut--;
	snprintf(o->route, sizeof(o->route), DF_STR_FMT, (int)cut, condition.ptr);
	for (size_t i = 0; i < DF_ARRAY_SIZE(taken); i++)
		if (strcmp(o->route, taken[i]) == 0)
			snprintf(o->route, sizeof(o->route), "(%s)", taken[i]);
	len = strlen(o->route);
	for (const struct df_output *other = o->p->outputs; other < o; other++)
		same += strncmp(other->route, o->route, len) == 0 &&
			(other->route[len] == 0 || strncmp(other->route + len, " #", 2) == 0);
	if (same > 1)
		snprintf(o->route + len, sizeof(o->route) - len, " #%zu", same);
}

static int new_output(struct df_processor *p, struct df_output *o, const struct df_component *component,
		      const char *label, struct df_error *err)
{
	const struct df_connector *connector = df_connector_find(DF_SINK, df_str_c(component->type->name));
	size_t gathered;

	o->p = p;
	o->component = component;
	snprintf(o->label, sizeof(o->label), "%s", label);
	snprintf(o->connector_type, sizeof(o->connector_type), "%s-sink", component->type->name);
	o->logger = (struct df_logger){ p->options.namespace, p->options.name, o->connector_type };
	o->env = p->source_env;
	o->env.logger = &o->logger;
	pthread_mutex_init(&o->sink_lock, NULL);
	if (new_monotonic_cond(&o->sink_free))
		return df_error_no_memory(err);
	pthread_mutex_init(&o->landed_lock, NULL);
	pthread_cond_init(&o->landed, NULL);
	df_output_set_rule(o, connector ? connector->sink_ops : NULL);
	/* While one flush is written the next one gathers, so a sink that is slower than the source gets full ones. */
	gathered =
		(size_t)p->spec->channel_buffer_size > o->together ? (size_t)p->spec->channel_buffer_size : o->together;
	o->channel = df_channel_new(gathered, DF_CHANNEL_BYTES);
	return o->channel ? 0 : df_error_no_memory(err);
}

static int new_outputs(struct df_processor *p, struct df_error *err)
{
	const struct df_route *routes;
	size_t route_count = df_chain_routes(p->workers[0].chain, &routes);
	bool errors = p->spec->errors.type != NULL;
	int r;

	p->outputs = calloc(route_count + 2, sizeof(*p->outputs));
	if (!p->outputs)
		return df_error_no_memory(err);
	p->output_count = 1;
	r = new_output(p, &p->outputs[0], &p->spec->sink, "sink", err);
	snprintf(p->outputs[0].route, sizeof(p->outputs[0].route), "default");
	for (size_t i = 0; i < route_count && r == 0; i++) {
		char label[32];

		snprintf(label, sizeof(label), "route_%zu", i);
		r = new_output(p, &p->outputs[p->output_count++], routes[i].sink, label, err);
		set_route(&p->outputs[p->output_count - 1], routes[i].condition);
	}
	if (r < 0 || !errors)
		return r;
	p->error_output = &p->outputs[p->output_count++];
	p->error_output->is_error = true;
	snprintf(p->error_output->route, sizeof(p->error_output->route), "error");
	p->ack_policy = ((const struct df_errors_extra *)p->spec->errors.extra)->ack_policy;
	return new_output(p, p->error_output, &p->spec->errors, "error_sink", err);
}

static void set_policies(struct df_processor *p)
{
	const struct df_retry_settings *retry = df_flow_retry(p->spec);
	int64_t quick = 100 * DF_NS_PER_MS;

	p->write_policy = (struct df_retry_policy){ .first_ns = retry->initial.ns,
						    .cap_ns = retry->max.ns,
						    .factor = 2,
						    .full_jitter = true,
						    .max_attempts = retry->attempts };
	p->write_total_ns = retry->total.ns;
	p->connect_policy = (struct df_retry_policy){ .first_ns = quick < retry->connect.ns ? quick : retry->connect.ns,
						      .cap_ns = retry->connect.ns,
						      .factor = 2,
						      .jitter = 0.2 };
}

/* A driver of the caller's says at its start what it cannot do. */
static int check_delivery(const struct df_processor *p, struct df_diags *diags, struct df_error *err)
{
	size_t before = diags->errors;

	if (!p->options.make_sink && !p->options.make_source)
		df_delivery_check(p->spec, diags);
	return diags->errors > before ? df_diags_error(diags, err) : 0;
}

/* Half of the memory is for messages; the other is for what drivers, the ledger and the program itself need. */
static void set_limits(struct df_processor *p)
{
	int64_t limit = (int64_t)p->options.memory_limit;

	if (limit == 0)
		limit = df_flow_memory_limit(p->spec);
	if (limit == 0)
		limit = df_memory_limit("") / 2;
	p->memory_limit = limit > 0 ? (size_t)limit : SIZE_MAX;
	p->message_limit = p->spec->max_message_bytes > 0 ? (size_t)p->spec->max_message_bytes : p->memory_limit / 4;
}

static int setup(struct df_processor *p, struct df_diags *diags, struct df_error *err)
{
	const struct df_processor_options *options = &p->options;
	int r;

	pthread_mutex_init(&p->state_lock, NULL);
	pthread_mutex_init(&p->source_lock, NULL);
	pthread_mutex_init(&p->commit_lock, NULL);
	pthread_mutex_init(&p->turn_lock, NULL);
	if (pthread_cond_init(&p->turn, NULL) || new_monotonic_cond(&p->state_changed))
		return df_error_no_memory(err);
	snprintf(p->source_type, sizeof(p->source_type), "%s", p->spec->source.type->name);
	p->logger = (struct df_logger){ options->namespace, options->name, NULL };
	snprintf(p->source_connector_type, sizeof(p->source_connector_type), "%s-source", p->source_type);
	p->source_logger = (struct df_logger){ options->namespace, options->name, p->source_connector_type };
	p->source_env = (struct df_connector_env){ .logger = &p->source_logger,
						   .clock = options->clock,
						   .namespace = options->namespace,
						   .name = options->name,
						   .once = options->once };
	if (getrandom(&p->source_env.run, sizeof(p->source_env.run), 0) < 0)
		p->source_env.run = (uint64_t)df_clock_monotonic() ^ (uint64_t)getpid();
	set_policies(p);
	set_limits(p);
	df_arena_init(&p->checkpoint_arena, NULL);
	df_arena_init(&p->held_arena, NULL);
	p->batches_pool = df_batch_pool_new(DF_CHANNEL_BYTES);
	p->ledger = df_ledger_new();
	p->input = df_channel_new((size_t)p->spec->channel_buffer_size, DF_CHANNEL_BYTES);
	p->read_ctx = df_context_new(NULL);
	p->work_ctx = df_context_new(NULL);
	p->settle_ctx = p->work_ctx ? df_context_new(p->work_ctx) : NULL;
	if (!p->batches_pool || !p->ledger || !p->input || !p->read_ctx || !p->settle_ctx)
		return df_error_no_memory(err);
	r = new_chains(p, diags, err);
	if (r == 0)
		r = new_outputs(p, err);
	if (r == 0)
		r = check_delivery(p, diags, err);
	return r < 0 ? r : df_metrics_init(p, err);
}

int df_processor_new(const struct df_processor_options *options, struct df_processor **ret, struct df_diags *diags,
		     struct df_error *err)
{
	struct df_processor *p = calloc(1, sizeof(*p));
	int r;

	*ret = NULL;
	if (!p)
		return df_error_no_memory(err);
	p->options = *options;
	p->spec = options->spec;
	r = setup(p, diags, err);
	if (r < 0) {
		df_processor_free(p);
		return r;
	}
	*ret = p;
	return 0;
}

static void output_done(struct df_output *o)
{
	if (!o->p)
		return;
	df_sink_free(o->sink);
	df_flights_done(o);
	df_queue_done(&o->queue);
	for (struct df_batch *batch = NULL; o->channel;) {
		df_channel_close(o->channel);
		if (df_channel_receive(o->channel, NULL, 0, &batch, NULL) < 0 || !batch)
			break;
		df_batch_release(batch);
	}
	df_channel_free(o->channel);
	df_buf_done(&o->sizes.scratch);
	pthread_cond_destroy(&o->landed);
	pthread_mutex_destroy(&o->landed_lock);
	pthread_cond_destroy(&o->sink_free);
	pthread_mutex_destroy(&o->sink_lock);
}

void df_processor_free(struct df_processor *p)
{
	if (!p)
		return;
	df_source_free(p->source);
	for (size_t i = 0; p->outputs && i < p->output_count; i++)
		output_done(&p->outputs[i]);
	free(p->outputs);
	for (size_t i = 0; p->workers && i < p->worker_count; i++) {
		df_chain_free(p->workers[i].chain);
		df_buf_done(&p->workers[i].sizes.scratch);
	}
	free(p->workers);
	df_channel_free(p->input);
	df_metrics_done(&p->metrics);
	df_ledger_free(p->ledger);
	df_batch_pool_free(p->batches_pool);
	df_arena_done(&p->checkpoint_arena);
	df_arena_done(&p->held_arena);
	df_transaction_done(&p->transaction);
	df_context_free(p->settle_ctx);
	df_context_free(p->read_ctx);
	df_context_free(p->work_ctx);
	pthread_cond_destroy(&p->turn);
	pthread_cond_destroy(&p->state_changed);
	pthread_mutex_destroy(&p->turn_lock);
	pthread_mutex_destroy(&p->commit_lock);
	pthread_mutex_destroy(&p->source_lock);
	pthread_mutex_destroy(&p->state_lock);
	free(p);
}

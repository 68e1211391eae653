/* `generate`: a source of made-up messages, for demos, tests and measurements. */
#include "connectors/generate/generate.h"

#include "connectors/base.h"

#define DEFAULT_TEMPLATE                                                            \
	"{\"id\": ${counter}, \"customer\": \"user-${random:1000}\", \"product\": " \
	"\"${choice:apple|bread|coffee|tea}\", "                                    \
	"\"quantity\": ${random:1:9}, \"price\": ${float:0.50:99.99}, \"paid\": ${bool}, \"created_at\": \"${now}\"}"

/* Each chunk of text fills one block of the batch's arena. */
#define CHUNK ((size_t)DF_ARENA_BLOCK - 64)
/* Faster rates are made of groups, one every tick. */
#define TICK_NS (10 * DF_NS_PER_MS)

static const struct df_field generate_fields[] = {
	DF_FIELD(struct generate_settings, count, "count", 0, .def = "0", .min = 0, .max = INT64_MAX, .example = "1000",
		 .doc = "How many messages to make before the source ends. 0: it never ends."),
	DF_FIELD(struct generate_settings, rate, "rate", 0, .def = "0", .min = 0, .max = 1000000000, .example = "50",
		 .doc = "Messages per second. 0: as fast as the pipeline takes them."),
	DF_FIELD(struct generate_settings, seed, "seed", 0, .def = "1", .min = INT64_MIN, .max = INT64_MAX,
		 .example = "42",
		 .doc = "Start of the random values: the same seed makes the same messages, `${now}` excepted."),
	DF_FIELD(struct generate_settings, template, "template", DF_NO_BLANK, .def = DEFAULT_TEMPLATE,
		 .check = df_template_check,
		 .example = "'{\"id\": ${counter}, \"level\": \"${choice:info|warn|error}\"}'",
		 .doc = "The JSON text of a message, with placeholders: `${counter}`, `${random:N}`, "
			"`${random:MIN:MAX}`, `${float:MIN:MAX:DIGITS}`, `${string:N}`, `${choice:a|b|c}`, "
			"`${bool}`, `${uuid}`, `${now}`."),
};

static const struct df_table generate_table = DF_TABLE(struct generate_settings, generate_fields);

struct generate_source {
	struct df_base_connector base;
	const struct generate_settings *settings;
	struct df_template *template;
	uint64_t next; /* counter of the next message, from 1 */
};

static struct generate_source *generate_of(struct df_source *s)
{
	return DF_CONTAINER_OF(s, struct generate_source, base.state.source);
}

static const struct df_source_ops generate_ops;

static int generate_create(const void *settings, const struct df_connector_env *env, struct df_source **ret,
			   struct df_error *err)
{
	struct generate_source *g = df_base_source_new(sizeof(*g), &generate_ops, env, err);

	if (!g)
		return DF_ERR_NO_MEMORY;
	g->settings = settings;
	g->next = 1;
	*ret = &g->base.state.source;
	return 0;
}

/* {"counter": n}: n messages are done. */
static int generate_restore(struct df_source *s, const struct df_value *checkpoint, struct df_error *err)
{
	const struct df_value *counter = df_object_get_c(checkpoint, "counter");
	int64_t n;

	if (!counter)
		return 0;
	if (!df_value_to_int64(counter, &n) || n < 0 || n == INT64_MAX)
		return df_error_set(err, DF_ERR_CONFIG,
				    "the checkpoint of the generate source is damaged: `counter` is not a count; set "
				    "spec.checkpointReset to begin again");
	generate_of(s)->next = (uint64_t)n + 1;
	return 0;
}

static int generate_connect(struct df_source *s, struct df_context *ctx, struct df_error *err)
{
	struct generate_source *g = generate_of(s);

	(void)ctx;
	if (!df_base_guard_connect(&g->base, err))
		return DF_ERR_CLOSED;
	DF_UNLOCK_ON_RETURN(&g->base);
	g->base.state.connected = true;
	return g->template ? 0 : df_template_compile(df_str_c(g->settings->template), &g->template, err);
}

/* ---- reading --------------------------------------------------------------------------------------------- */

/* How many messages there are left to make, at most `most`. */
static size_t generate_left(const struct generate_source *g, size_t most)
{
	uint64_t count = (uint64_t)g->settings->count;

	if (count == 0)
		return most;
	uint64_t left = count < g->next ? 0 : count - g->next + 1;
	return left < most ? (size_t)left : most;
}

struct pace {
	int64_t start_ns; /* monotonic */
	uint64_t first;	  /* counter that was due then */
};

/* Waits until messages are due; *ret how many, at most `most`. The first is due at once. What a slow pipeline did not
 * take for more than a second is not made up for. */
static int generate_wait_due(const struct generate_source *g, struct pace *pace, struct df_context *ctx, size_t most,
			     size_t *ret, struct df_error *err)
{
	uint64_t rate = (uint64_t)g->settings->rate;

	*ret = most;
	while (rate > 0) {
		int64_t now = df_clock_monotonic();
		uint64_t due = (uint64_t)((unsigned __int128)(now - pace->start_ns) * rate / DF_NS_PER_S) + 1;
		uint64_t made = g->next - pace->first;
		int64_t wait_ns;

		if (due > made + rate + 1) {
			*pace = (struct pace){ .start_ns = now, .first = g->next };
			continue;
		}
		if (due > made) {
			*ret = due - made < most ? (size_t)(due - made) : most;
			break;
		}
		wait_ns = pace->start_ns + (int64_t)((unsigned __int128)made * DF_NS_PER_S / rate) + 1 - now;
		if (df_context_sleep(ctx, wait_ns > TICK_NS ? wait_ns : TICK_NS) < 0)
			break;
	}
	return df_context_check(ctx, err);
}

static int generate_fill(struct generate_source *g, struct df_batch *batch, size_t count, size_t bytes,
			 struct df_partition *partition, struct df_error *err)
{
	struct df_template_call call = { .seed = (uint64_t)g->settings->seed,
					 .now_ns = df_clock_now(g->base.state.env.clock) };
	size_t max = df_template_max(g->template);
	char *at = NULL, *end = NULL;

	while (batch->count < count && batch->bytes < bytes) {
		if ((size_t)(end - at) < max) {
			size_t size = max > CHUNK ? max : CHUNK;

			at = df_arena_alloc(&batch->arena, size);
			end = at ? at + size : NULL;
		}
		struct df_message *m = at ? df_batch_add(batch) : NULL;
		if (!m)
			return df_error_no_memory(err);
		call.counter = g->next++;
		m->payload = df_str(at, df_template_render(g->template, &call, at));
		m->partition = partition;
		m->position.number = (int64_t)call.counter;
		m->timestamp_ns = call.now_ns;
		batch->bytes += m->payload.len;
		at += m->payload.len;
	}
	return 0;
}

static int generate_emit(struct generate_source *g, struct df_context *ctx, struct df_emitter *out, size_t count,
			 struct df_partition *partition, struct df_error *err)
{
	struct df_batch *batch = df_emitter_batch(out);
	int r;

	if (!batch)
		return df_error_no_memory(err);
	r = generate_fill(g, batch, count, out->batch_bytes, partition, err);
	if (r == 0)
		r = df_emitter_emit(out, ctx, &batch, err);
	df_batch_free(batch);
	return r;
}

static int generate_read(struct df_source *s, struct df_context *caller, struct df_emitter *out, struct df_error *err)
{
	struct generate_source *g = generate_of(s);
	df_cleanup(df_base_call_end) struct df_base_call call = { 0 };
	struct df_partition *partition;
	struct pace pace = { .start_ns = df_clock_monotonic(), .first = g->next };
	size_t left, due;
	int r = df_base_use(&g->base, caller, &call, err);

	if (r == 0)
		r = df_emitter_partition(out, DF_STR("generate"), &partition, err);
	while (r == 0 && (left = generate_left(g, out->batch_messages)) > 0) {
		r = generate_wait_due(g, &pace, call.ctx, left, &due, err);
		if (r == 0)
			r = generate_emit(g, call.ctx, out, due, partition, err);
	}
	return r;
}

static int generate_commit(struct df_source *s, const struct df_commit *commits, size_t count,
			   struct df_value *checkpoint, struct df_arena *arena, struct df_error *err)
{
	struct df_value *counter;

	(void)s;
	if (count == 0)
		return 0;
	counter = df_value_int64(arena, commits[count - 1].position.number);
	if (!counter)
		return df_error_no_memory(err);
	df_object_set(checkpoint, DF_STR("counter"), counter);
	return 0;
}

static int generate_close(struct df_source *s, struct df_error *err)
{
	struct generate_source *g = generate_of(s);

	(void)err;
	if (!df_base_guard_close(&g->base))
		df_base_unlock(&g->base);
	return 0;
}

static void generate_free(struct df_source *s)
{
	if (!s)
		return;
	struct generate_source *g = generate_of(s);
	generate_close(s, NULL);
	df_template_free(g->template);
	df_base_connector_free(&g->base);
}

static const struct df_source_ops generate_ops = {
	.create = generate_create,
	.restore = generate_restore,
	.connect = generate_connect,
	.read = generate_read,
	.commit = generate_commit,
	.describe = generate_commit,
	.close = generate_close,
	.free = generate_free,
};

static const struct df_type generate_type = {
	.name = "generate",
	.title = "Makes up messages from a template",
	.doc = "For demos, tests and measurements. The messages are the same in every run with the same seed; after a "
	       "restart the\n"
	       "source goes on with the next counter.\n\n" DF_TEMPLATE_DOC,
	.settings = &generate_table,
	.settings_optional = true,
	.example = "type: generate\n"
		   "config:\n"
		   "  count: 1000\n"
		   "  rate: 50\n"
		   "  template: '{\"id\": ${counter}, \"level\": \"${choice:info|warn|error}\", \"at\": \"${now}\"}'\n",
};

const struct df_connector df_connector_generate = {
	.source = &generate_type,
	.source_ops = DF_WITH_GENERATE ? &generate_ops : NULL,
};

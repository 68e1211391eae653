#include "kit.h"

void kit_sleep(int64_t ms)
{
	(void)!df_context_sleep(NULL, ms * DF_NS_PER_MS);
}

/* ---- sinks ----------------------------------------------------------------------------------------------- */

struct sink {
	struct df_sink sink;
	struct kit_sink *side;
};

static struct kit_sink *side_of(struct df_sink *s)
{
	return ((struct sink *)s)->side;
}

int64_t kit_id(struct df_message *m, struct df_arena *arena)
{
	struct df_error err;
	struct df_value *root = NULL, *member;
	int64_t id = -1; /* an error record has none */

	if (df_message_document(m, arena, &root, &err) == 0) {
		member = root ? df_object_get_c(root, "id") : NULL;
		if (member)
			df_value_to_int64(member, &id);
	}
	return id;
}

void kit_confirm(struct kit_sink *s, struct df_write *w, size_t i)
{
	if (s->count == s->cap) {
		s->cap = s->cap ? s->cap * 2 : 1024;
		s->ids = realloc(s->ids, s->cap * sizeof(*s->ids));
	}
	s->ids[s->count++] = kit_id(w->messages[i], w->arena);
}

int kit_pend(struct kit_sink *s, struct df_write *w)
{
	assert_true(s->pending_count < KIT_PENDING);
	s->pending[s->pending_count++] = w;
	if (s->pending_count > s->most_pending)
		s->most_pending = s->pending_count;
	return DF_WRITE_PENDING;
}

/* The write may be gone with its last result. Lock: held. */
static void answer(struct kit_sink *s, size_t at, int code)
{
	struct df_write *w = s->pending[at];
	struct df_error why = DF_ERROR_INIT;
	size_t count = w->count;

	memmove(&s->pending[at], &s->pending[at + 1], (--s->pending_count - at) * sizeof(struct df_write *));
	for (size_t i = 0; i < count; i++) {
		if (code) {
			df_error_set(&why, code, "failed later");
			df_write_fail(w, i, &why);
		} else if (s->poison >= 0 && kit_id(w->messages[i], w->arena) == s->poison) {
			df_error_set(&why, DF_ERR_CONSTRAINT, "refused later");
			df_write_fail(w, i, &why);
		} else {
			kit_confirm(s, w, i);
			df_write_done(w, i);
		}
	}
}

void kit_answer(struct kit_sink *s, size_t at, int code)
{
	DF_LOCK_SCOPE(&s->lock);
	answer(s, at, code);
}

size_t kit_pending(struct kit_sink *s)
{
	DF_LOCK_SCOPE(&s->lock);
	return s->pending_count;
}

size_t kit_confirmed(struct kit_sink *s)
{
	DF_LOCK_SCOPE(&s->lock);
	return s->count;
}

bool kit_wait_pending(struct kit_sink *s, size_t n)
{
	for (int i = 0; i < 2500 && kit_pending(s) < n; i++)
		kit_sleep(2);
	return kit_pending(s) >= n;
}

static int sink_connect(struct df_sink *sink, struct df_context *ctx, struct df_error *err)
{
	struct kit_sink *s = side_of(sink);

	(void)ctx;
	DF_LOCK_SCOPE(&s->lock);
	s->connects++;
	return s->connect ? s->connect(s, err) : 0;
}

static int sink_write(struct df_sink *sink, struct df_context *ctx, struct df_write *w, struct df_error *err)
{
	struct kit_sink *s = side_of(sink);

	DF_LOCK_SCOPE(&s->lock);
	s->writes++;
	if (w->count > s->largest)
		s->largest = w->count;
	if (s->write)
		return s->write(s, ctx, w, err);
	for (size_t i = 0; i < w->count; i++)
		kit_confirm(s, w, i);
	return 0;
}

static int sink_sync(struct df_sink *sink, struct df_context *ctx, bool final, struct df_error *err)
{
	struct kit_sink *s = side_of(sink);

	(void)ctx;
	(void)err;
	DF_LOCK_SCOPE(&s->lock);
	s->syncs++;
	return final ? 0 : s->sync_result;
}

static int sink_held(struct df_sink *sink, struct df_context *ctx, struct df_arena *arena, struct df_str *ret,
		     struct df_error *err)
{
	struct kit_sink *s = side_of(sink);

	(void)ctx;
	DF_LOCK_SCOPE(&s->lock);
	*ret = df_str(NULL, 0);
	if (!s->checkpoint)
		return 0;
	*ret = df_arena_dup(arena, df_str_c(s->checkpoint));
	return ret->ptr ? 0 : df_error_no_memory(err);
}

/* No result comes after it. */
static int sink_close(struct df_sink *sink, struct df_error *err)
{
	struct kit_sink *s = side_of(sink);

	(void)err;
	DF_LOCK_SCOPE(&s->lock);
	s->closes++;
	while (s->pending_count)
		answer(s, 0, DF_ERR_CONNECTION);
	return 0;
}

static void sink_free(struct df_sink *sink)
{
	(void)sink_close(sink, NULL);
	free(sink);
}

static const struct df_sink_ops sink_ops = {
	.connect = sink_connect,
	.write = sink_write,
	.sync = sink_sync,
	.held = sink_held,
	.close = sink_close,
	.free = sink_free,
};

static int make_sink(void *arg, const struct df_component *component, const struct df_connector_env *env,
		     struct df_sink **ret, struct df_error *err)
{
	struct kit *k = arg;
	struct sink *s = calloc(1, sizeof(*s));

	(void)env;
	(void)err;
	s->side = strcmp(component->type->name, "discard") == 0 ? &k->main : &k->errors;
	s->sink.ops = &s->side->ops;
	pthread_mutex_lock(&s->side->lock);
	s->side->instances++;
	pthread_mutex_unlock(&s->side->lock);
	*ret = &s->sink;
	return 0;
}

static int compare(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return x < y ? -1 : x > y;
}

void kit_assert_in_order(const struct kit_sink *s, int64_t n, int64_t missing)
{
	int64_t expected = 1;

	for (size_t i = 0; i < s->count; i++, expected++) {
		if (expected == missing)
			expected++;
		assert_int_equal(s->ids[i], expected);
	}
	if (expected == missing)
		expected++;
	assert_int_equal(expected, n + 1);
}

void kit_assert_each_once(const struct kit_sink *s, int64_t n, int64_t missing)
{
	qsort(s->ids, s->count, sizeof(*s->ids), compare);
	kit_assert_in_order(s, n, missing);
}

/* ---- the source ------------------------------------------------------------------------------------------ */

struct source {
	struct df_source source;
	struct kit_source *side;
	struct df_partition *partition;
};

static int source_restore(struct df_source *source, const struct df_value *checkpoint, struct df_error *err)
{
	struct source *s = (struct source *)source;
	const struct df_value *v = df_object_get_c(checkpoint, "id");

	(void)err;
	s->side->position = 0;
	if (v)
		df_value_to_int64(v, &s->side->position);
	return 0;
}

static int source_connect(struct df_source *source, struct df_context *ctx, struct df_error *err)
{
	(void)source;
	(void)ctx;
	(void)err;
	return 0;
}

static void add(struct kit_source *side, struct df_batch *batch, struct df_partition *p, int64_t id)
{
	struct df_message *m = df_batch_add(batch);
	size_t size = 32 + side->pad;
	char *text = df_arena_alloc(&batch->arena, size);
	int n = snprintf(text, size, "{\"id\": %lld", (long long)id);

	memset(text + n, ' ', size - (size_t)n);
	text[size - 1] = '}';
	m->payload = df_str(text, size);
	m->partition = p;
	m->position.number = id;
	if (side->group && id % side->group && id != side->last) {
		m->joined = true;
		m->position.number = id - id % side->group;
	}
	if (id == side->broken) {
		struct df_error *why = df_arena_zalloc(&batch->arena, sizeof(*why));

		df_error_set(why, DF_ERR_INVALID_DATA, "undecodable");
		m->failure = why;
	}
	batch->bytes += size;
}

static int source_read(struct df_source *source, struct df_context *ctx, struct df_emitter *out, struct df_error *err)
{
	struct source *s = (struct source *)source;
	struct kit_source *side = s->side;
	int64_t id = side->position;
	int r = 0;

	if (side->read)
		return side->read(side, ctx, out, err);
	r = df_emitter_partition(out, DF_STR("p"), &s->partition, err);
	while (r == 0 && id < side->last) {
		struct df_batch *batch = df_emitter_batch(out);

		if (!batch)
			return df_error_no_memory(err);
		while (batch->count < side->batch && id < side->last && !(side->cut && id >= side->cut))
			add(side, batch, s->partition, ++id);
		r = df_emitter_emit(out, ctx, &batch, err);
		df_batch_free(batch);
		if (r == 0 && side->cut && id >= side->cut) {
			side->cut = 0;
			return df_error_set(err, DF_ERR_CONNECTION, "the source went away");
		}
	}
	if (r == 0 && !side->once) {
		r = df_context_sleep(ctx, 60 * DF_NS_PER_S);
		r = df_context_check(ctx, err);
	}
	return r;
}

static int source_describe(struct df_source *source, const struct df_commit *commits, size_t count,
			   struct df_value *checkpoint, struct df_arena *arena, struct df_error *err)
{
	if (((struct source *)source)->side->inexact)
		return df_error_set(err, DF_ERR_CONFIG, "these settings have no exact position");
	for (size_t i = 0; i < count; i++) {
		struct df_value *v = df_value_int64(arena, commits[i].position.number);

		if (!v)
			return df_error_no_memory(err);
		df_object_set(checkpoint, DF_STR("id"), v);
	}
	return 0;
}

static int source_commit(struct df_source *source, const struct df_commit *commits, size_t count,
			 struct df_value *checkpoint, struct df_arena *arena, struct df_error *err)
{
	for (size_t i = 0; i < count; i++)
		((struct source *)source)->side->committed = commits[i].position.number;
	return source_describe(source, commits, count, checkpoint, arena, err);
}

static int source_close(struct df_source *source, struct df_error *err)
{
	(void)source;
	(void)err;
	return 0;
}

static void source_free(struct df_source *source)
{
	free(source);
}

static const struct df_source_ops source_ops = {
	.restore = source_restore,
	.connect = source_connect,
	.read = source_read,
	.commit = source_commit,
	.describe = source_describe,
	.close = source_close,
	.free = source_free,
};

static int make_source(void *arg, const struct df_component *component, const struct df_connector_env *env,
		       struct df_source **ret, struct df_error *err)
{
	struct kit *k = arg;
	struct source *s = calloc(1, sizeof(*s));

	(void)component;
	(void)env;
	(void)err;
	s->source.ops = &k->source.ops;
	s->side = &k->source;
	s->side->instances++;
	*ret = &s->source;
	return 0;
}

/* ---- the store ------------------------------------------------------------------------------------------- */

static int store_load(struct df_checkpoint_store *store, struct df_arena *arena, struct df_value **ret,
		      struct df_error *err)
{
	struct kit_store *s = (struct kit_store *)store;
	struct df_str text = df_arena_dup(arena, df_str_c(s->text ? s->text : "{}"));

	return df_value_parse_text(text, arena, ret, err);
}

static int store_save(struct df_checkpoint_store *store, const struct df_value *checkpoint, struct df_error *err)
{
	struct kit_store *s = (struct kit_store *)store;
	struct df_buf buf = { 0 };

	if (s->save_code)
		return df_error_set(err, s->save_code, "the store is full");
	df_value_write(checkpoint, &buf);
	free(s->text);
	s->text = df_buf_take(&buf);
	s->saves++;
	return 0;
}

/* ---- the flow -------------------------------------------------------------------------------------------- */

/* Flushes of ten, however they come. */
static void ten(const void *settings, struct df_batching *ret)
{
	(void)settings;
	*ret = (struct df_batching){ .size = { 10, true } };
}

void kit_flush_ten(struct kit_sink *s)
{
	s->ops.batching = ten;
}

static void side_init(struct kit_sink *s)
{
	s->ops = sink_ops;
	s->poison = -1;
	pthread_mutex_init(&s->lock, NULL);
}

static void side_done(struct kit_sink *s)
{
	free(s->ids);
	free(s->checkpoint);
	pthread_mutex_destroy(&s->lock);
}

struct kit *kit_new(const char *yaml, int64_t messages)
{
	df_cleanup(df_arena_done) struct df_arena arena = { 0 };
	struct kit *k = calloc(1, sizeof(*k));
	struct df_yaml_documents documents;
	struct df_diags diags = { 0 };
	struct df_buf buf = { 0 };

	side_init(&k->main);
	side_init(&k->errors);
	k->source = (struct kit_source){ .ops = source_ops, .last = messages, .batch = 10, .once = true };
	k->store.store = (struct df_checkpoint_store){ store_load, store_save, NULL };
	k->options = (struct df_processor_options){ .spec = &k->spec,
						    .namespace = "ns",
						    .name = "test",
						    .store = &k->store.store,
						    .once = true,
						    .metrics = true,
						    .grace_ns = DF_NS_PER_S,
						    .make_sink = make_sink,
						    .make_sink_arg = k };
	if (messages > 0) {
		k->options.make_source = make_source;
		k->options.make_source_arg = k;
	}
	df_yaml_parse(df_str_c(yaml), "test", &arena, &documents, &diags);
	assert_int_equal(documents.count, 1);
	df_settings_parse(&df_dataflow_table, documents.items[0],
			  &(struct df_parse_options){ .file = "test", .path = "spec", .registry = df_registry() },
			  &k->spec, &diags);
	if (diags.errors) {
		df_diags_print(&diags, &buf);
		fail_msg("%s", df_buf_c(&buf));
	}
	df_diags_done(&diags);
	return k;
}

static int make(struct kit *k)
{
	struct df_diags diags = { 0 };
	int r;

	k->err = DF_ERROR_INIT;
	r = df_processor_new(&k->options, &k->processor, &diags, &k->err);
	assert_int_equal(diags.errors, 0);
	df_diags_done(&diags);
	return r;
}

static int run(struct kit *k)
{
	int r = df_processor_run(k->processor, k->stop, k->kill, &k->err);

	df_processor_get_stats(k->processor, &k->stats);
	k->metrics.len = 0;
	df_processor_metrics(k->processor, &k->metrics);
	df_buf_c(&k->metrics);
	return r;
}

int kit_run(struct kit *k)
{
	int r = make(k);

	if (r == 0)
		r = run(k);
	df_processor_free(DF_TAKE(k->processor));
	return r;
}

static void *run_thread(void *arg)
{
	struct kit *k = arg;

	k->result = run(k);
	atomic_store(&k->ended, true);
	return NULL;
}

void kit_start(struct kit *k)
{
	k->stop = df_context_new(NULL);
	k->kill = df_context_new(NULL);
	atomic_store(&k->ended, false);
	assert_int_equal(make(k), 0);
	assert_int_equal(pthread_create(&k->thread, NULL, run_thread, k), 0);
}

int kit_join(struct kit *k)
{
	pthread_join(k->thread, NULL);
	df_processor_free(DF_TAKE(k->processor));
	df_context_free(DF_TAKE(k->stop));
	df_context_free(DF_TAKE(k->kill));
	return k->result;
}

void kit_answer_all(struct kit *k)
{
	while (!atomic_load(&k->ended)) {
		if (kit_pending(&k->main))
			kit_answer(&k->main, 0, 0);
		else
			kit_sleep(1);
	}
}

void kit_free(struct kit *k)
{
	df_settings_done(&df_dataflow_table, &k->spec);
	side_done(&k->main);
	side_done(&k->errors);
	free(k->store.text);
	df_buf_done(&k->metrics);
	free(k);
}

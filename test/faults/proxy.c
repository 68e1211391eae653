/*
 * The proxies, put in at link time: a source and a sink that ask the rules before and after each call of the real one,
 * the checkpoint store, the chain, the wall clock. A proxy has the ops that the real one has, and no other.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "connectors/factory.h"
#include "processor/checkpoint.h"
#include "test/faults/faults.h"
#include "transformers/chain.h"

#define OUTPUTS_MAX 16
#define TYPES_MAX 16

int __real_df_source_create(struct df_str type, const void *settings, const struct df_connector_env *env,
			    struct df_source **ret, struct df_error *err);
int __wrap_df_source_create(struct df_str type, const void *settings, const struct df_connector_env *env,
			    struct df_source **ret, struct df_error *err);
int __real_df_sink_create(struct df_str type, const void *settings, const struct df_connector_env *env,
			  struct df_sink **ret, struct df_error *err);
int __wrap_df_sink_create(struct df_str type, const void *settings, const struct df_connector_env *env,
			  struct df_sink **ret, struct df_error *err);
int __real_df_chain_run(struct df_chain *chain, struct df_batch *batch, const struct df_chain_events *events,
			struct df_error *err);
int __wrap_df_chain_run(struct df_chain *chain, struct df_batch *batch, const struct df_chain_events *events,
			struct df_error *err);
int __real_df_checkpoint_directory_open(const char *dir, const char *namespace, const char *name,
					struct df_checkpoint_store **ret, struct df_error *err);
int __wrap_df_checkpoint_directory_open(const char *dir, const char *namespace, const char *name,
					struct df_checkpoint_store **ret, struct df_error *err);
int __real_renameat(int old_dir, const char *old_name, int new_dir, const char *new_name);
int __wrap_renameat(int old_dir, const char *old_name, int new_dir, const char *new_name);
int __real_clock_gettime(clockid_t id, struct timespec *ret);
int __wrap_clock_gettime(clockid_t id, struct timespec *ret);

/* ---- source ---------------------------------------------------------------------------------------------- */

struct faults_source {
	struct df_source source;
	struct df_source *inner;
	char type[64];
	struct df_emitter emitter, *out; /* of the read that runs */
	struct df_context *ctx;
};

static struct faults_source *source_of(struct df_source *s)
{
	return DF_CONTAINER_OF(s, struct faults_source, source);
}

static struct faults_source *source_of_emitter(struct df_emitter *e)
{
	return DF_CONTAINER_OF(e, struct faults_source, emitter);
}

static int source_at(const struct faults_source *s, enum faults_point point, struct df_context *ctx,
		     struct df_error *err)
{
	return faults_at(&(struct faults_place){ point, s->type, -1 }, ctx, err);
}

static struct df_batch *emitter_batch(struct df_emitter *e)
{
	return source_of_emitter(e)->out->batch(source_of_emitter(e)->out);
}

/* Messages that cannot be decoded. */
static int spoil(const struct faults_source *s, struct df_batch *batch, struct df_error *err)
{
	struct faults_rule *rule = faults_choose(&(struct faults_place){ FAULTS_READ, s->type, -1 });
	struct df_error why = DF_ERROR_INIT;

	for (size_t i = 0; rule && i < batch->count; i++) {
		struct df_error *failure;

		if (!faults_chosen(rule, &batch->messages[i], &why))
			continue;
		failure = df_arena_alloc(&batch->arena, sizeof(*failure));
		if (!failure)
			return df_error_no_memory(err);
		*failure = why;
		batch->messages[i].failure = failure;
	}
	return source_at(s, FAULTS_READ, s->ctx, err);
}

static int emitter_emit(struct df_emitter *e, struct df_context *ctx, struct df_batch **batch, struct df_error *err)
{
	struct faults_source *s = source_of_emitter(e);
	int r = spoil(s, *batch, err);

	return r < 0 ? r : s->out->emit(s->out, ctx, batch, err);
}

static int emitter_try_emit(struct df_emitter *e, struct df_batch **batch, struct df_error *err)
{
	struct faults_source *s = source_of_emitter(e);
	int r = spoil(s, *batch, err);

	return r < 0 ? r : s->out->try_emit(s->out, batch, err);
}

static int emitter_partition(struct df_emitter *e, struct df_str key, struct df_partition **ret, struct df_error *err)
{
	return source_of_emitter(e)->out->partition(source_of_emitter(e)->out, key, ret, err);
}

static void emitter_idle(struct df_emitter *e)
{
	source_of_emitter(e)->out->idle(source_of_emitter(e)->out);
}

static int emitter_drain(struct df_emitter *e, struct df_partition *p, struct df_context *ctx, struct df_error *err)
{
	return source_of_emitter(e)->out->drain(source_of_emitter(e)->out, p, ctx, err);
}

static void emitter_lag(struct df_emitter *e, struct df_partition *p, int64_t messages)
{
	df_emitter_lag(source_of_emitter(e)->out, p, messages);
}

static void emitter_trouble(struct df_emitter *e, const struct df_error *why)
{
	df_emitter_trouble(source_of_emitter(e)->out, why);
}

static int source_restore(struct df_source *source, const struct df_value *checkpoint, struct df_error *err)
{
	struct df_source *inner = source_of(source)->inner;

	return inner->ops->restore(inner, checkpoint, err);
}

static int source_connect(struct df_source *source, struct df_context *ctx, struct df_error *err)
{
	struct faults_source *s = source_of(source);
	int r = source_at(s, FAULTS_SOURCE_CONNECT, ctx, err);

	return r < 0 ? r : s->inner->ops->connect(s->inner, ctx, err);
}

/* An emitter that gets a member must get it here, too. */
_Static_assert(sizeof(struct df_emitter) == 11 * sizeof(void *), "the proxy's emitter has all members");

static int source_read(struct df_source *source, struct df_context *ctx, struct df_emitter *out, struct df_error *err)
{
	struct faults_source *s = source_of(source);

	s->out = out;
	s->ctx = ctx;
	s->emitter = (struct df_emitter){
		.batch_messages = out->batch_messages,
		.batch_bytes = out->batch_bytes,
		.message_bytes = out->message_bytes,
		.batch = emitter_batch,
		.emit = emitter_emit,
		.try_emit = emitter_try_emit,
		.partition = emitter_partition,
		.idle = emitter_idle,
		.drain = emitter_drain,
		.lag = emitter_lag,
		.trouble = emitter_trouble,
	};
	return s->inner->ops->read(s->inner, ctx, &s->emitter, err);
}

static int source_commit(struct df_source *source, const struct df_commit *commits, size_t count,
			 struct df_value *checkpoint, struct df_arena *arena, struct df_error *err)
{
	struct faults_source *s = source_of(source);
	int r = source_at(s, FAULTS_COMMIT, NULL, err);

	if (r == 0)
		r = s->inner->ops->commit(s->inner, commits, count, checkpoint, arena, err);
	return r < 0 ? r : source_at(s, FAULTS_COMMITTED, NULL, err);
}

static int source_describe(struct df_source *source, const struct df_commit *commits, size_t count,
			   struct df_value *checkpoint, struct df_arena *arena, struct df_error *err)
{
	struct df_source *inner = source_of(source)->inner;

	return inner->ops->describe(inner, commits, count, checkpoint, arena, err);
}

static int source_close(struct df_source *source, struct df_error *err)
{
	struct df_source *inner = source_of(source)->inner;

	return inner->ops->close(inner, err);
}

static void source_free(struct df_source *source)
{
	struct faults_source *s = source_of(source);

	df_source_free(s->inner);
	free(s);
}

#define KEEP(ops, op, proxy)              \
	do {                              \
		if ((ops).op)             \
			(ops).op = proxy; \
	} while (0)

/* The ops of a type are the same for all its instances, as those of the real ones are. */
static const struct df_source_ops *source_ops_of(const struct df_source_ops *inner)
{
	static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	static struct {
		const struct df_source_ops *inner;
		struct df_source_ops ops;
	} made[TYPES_MAX];
	struct df_source_ops *ops;
	size_t i = 0;

	pthread_mutex_lock(&lock);
	while (i < TYPES_MAX - 1 && made[i].inner && made[i].inner != inner)
		i++;
	ops = &made[i].ops;
	if (made[i].inner != inner) {
		made[i].inner = inner;
		*ops = *inner;
		KEEP(*ops, restore, source_restore);
		KEEP(*ops, connect, source_connect);
		KEEP(*ops, read, source_read);
		KEEP(*ops, commit, source_commit);
		KEEP(*ops, describe, source_describe);
		KEEP(*ops, close, source_close);
		KEEP(*ops, free, source_free);
	}
	pthread_mutex_unlock(&lock);
	return ops;
}

int __wrap_df_source_create(struct df_str type, const void *settings, const struct df_connector_env *env,
			    struct df_source **ret, struct df_error *err)
{
	struct faults_source *s;
	struct df_source *inner;
	int r = __real_df_source_create(type, settings, env, &inner, err);

	*ret = NULL;
	if (r < 0)
		return r;
	s = calloc(1, sizeof(*s));
	if (!s) {
		df_source_free(inner);
		return df_error_no_memory(err);
	}
	s->inner = inner;
	snprintf(s->type, sizeof(s->type), DF_STR_FMT, DF_STR_ARG(type));
	s->source.ops = source_ops_of(inner->ops);
	*ret = &s->source;
	return 0;
}

/* ---- sink ------------------------------------------------------------------------------------------------ */

struct faults_sink {
	struct df_sink sink;
	struct df_sink_ops ops;
	struct df_sink *inner;
	char type[64];
	int output;
	/* results that come later */
	pthread_mutex_t lock;
	pthread_cond_t answered;
	size_t unanswered; /* writes */
	bool closed;
};

static struct faults_sink *sink_of(struct df_sink *s)
{
	return DF_CONTAINER_OF(s, struct faults_sink, sink);
}

static int sink_at(const struct faults_sink *s, enum faults_point point, struct df_context *ctx, struct df_error *err)
{
	return faults_at(&(struct faults_place){ point, s->type, s->output }, ctx, err);
}

static int sink_connect(struct df_sink *sink, struct df_context *ctx, struct df_error *err)
{
	struct faults_sink *s = sink_of(sink);
	int r = sink_at(s, FAULTS_SINK_CONNECT, ctx, err);

	return r < 0 ? r : s->inner->ops->connect(s->inner, ctx, err);
}

/* The chosen messages fail, the real sink gets the others; of a transaction nothing is written then. */
static int write_others(const struct faults_sink *s, struct faults_rule *rule, struct df_context *ctx,
			struct df_write *w, struct df_error *err)
{
	struct df_message **others = df_arena_alloc(w->arena, (w->count + 1) * sizeof(struct df_message *));
	size_t *at = df_arena_alloc(w->arena, (w->count + 1) * sizeof(*at)), n = 0;
	struct df_error why = DF_ERROR_INIT;
	struct df_write part;
	int r;

	if (!others || !at)
		return df_error_no_memory(err);
	for (size_t i = 0; i < w->count; i++) {
		if (faults_chosen(rule, w->messages[i], &why)) {
			df_write_fail(w, i, &why);
			continue;
		}
		others[n] = w->messages[i];
		at[n++] = i;
	}
	if (w->checkpoint.ptr && n < w->count)
		return DF_WRITE_UNDONE;
	r = df_write_init(&part, others, n, w->arena, err);
	if (r < 0)
		return r;
	part.token = w->token;
	part.checkpoint = w->checkpoint;
	r = n > 0 ? df_write_run(s->inner, ctx, &part, err) : 0;
	for (size_t i = 0; i < n && r == 0; i++) {
		const struct df_error *result = df_write_result(&part, i);

		if (result)
			df_write_fail(w, at[i], result);
		else
			df_write_done(w, at[i]);
	}
	w->unchanged += part.unchanged;
	w->unknown_fields += part.unknown_fields;
	df_write_destroy(&part);
	return r;
}

/* A write whose results come later. */
struct later {
	struct faults_sink *sink;
	struct df_write *write;
	int64_t ms;
	size_t count;
	struct df_error *errors[]; /* NULL: written */
};

static void *answer_later(void *arg)
{
	struct later *l = arg;
	struct faults_sink *s = l->sink;
	struct timespec pause = { l->ms / 1000, l->ms % 1000 * DF_NS_PER_MS };

	nanosleep(&pause, NULL);
	pthread_mutex_lock(&s->lock);
	for (size_t i = l->count; i-- > 0;) {
		if (!s->closed && l->errors[i])
			df_write_fail(l->write, i, l->errors[i]);
		else if (!s->closed)
			df_write_done(l->write, i);
		free(l->errors[i]);
	}
	s->unanswered--;
	pthread_cond_signal(&s->answered);
	pthread_mutex_unlock(&s->lock);
	free(l);
	return NULL;
}

static int write_later(struct faults_sink *s, int64_t ms, struct df_context *ctx, struct df_write *w,
		       struct df_error *err)
{
	struct later *l = calloc(1, sizeof(*l) + w->count * sizeof(l->errors[0]));
	struct df_write whole;
	pthread_t thread;
	int r = l ? df_write_init(&whole, w->messages, w->count, w->arena, err) : df_error_no_memory(err);

	if (r == 0) {
		whole.token = w->token;
		r = df_write_run(s->inner, ctx, &whole, err);
		for (size_t i = 0; i < w->count && r == 0; i++) {
			const struct df_error *result = df_write_result(&whole, i);

			l->errors[i] = result ? malloc(sizeof(*result)) : NULL;
			if (l->errors[i])
				*l->errors[i] = *result;
		}
		df_write_destroy(&whole);
	}
	if (r < 0) {
		free(l);
		return r;
	}
	l->sink = s;
	l->write = w;
	l->ms = ms;
	l->count = w->count;
	pthread_mutex_lock(&s->lock);
	s->unanswered++;
	pthread_mutex_unlock(&s->lock);
	r = pthread_create(&thread, NULL, answer_later, l);
	if (r)
		return df_error_errno(err, DF_ERR_NO_MEMORY, r, "cannot start a thread");
	pthread_detach(thread);
	return DF_WRITE_PENDING;
}

static int sink_write(struct df_sink *sink, struct df_context *ctx, struct df_write *w, struct df_error *err)
{
	struct faults_sink *s = sink_of(sink);
	const struct faults_place place = { FAULTS_WRITE, s->type, s->output };
	struct faults_rule *rule = faults_choose(&place);
	size_t wrong = faults_count(&place);
	int64_t later = faults_later(&place);
	int r = faults_at(&place, ctx, err), after;

	if (r < 0)
		return r;
	w->unchanged += wrong;
	w->unknown_fields += wrong;
	if (rule)
		r = write_others(s, rule, ctx, w, err);
	else if (later >= 0)
		r = write_later(s, later, ctx, w, err);
	else
		r = s->inner->ops->write(s->inner, ctx, w, err);
	if (r < 0)
		return r;
	after = sink_at(s, FAULTS_WRITTEN, ctx, err);
	return after < 0 ? after : r;
}

static int sink_sync(struct df_sink *sink, struct df_context *ctx, bool final, struct df_error *err)
{
	struct faults_sink *s = sink_of(sink);
	int r = sink_at(s, FAULTS_SYNC, ctx, err), after;

	if (r == 0)
		r = s->inner->ops->sync(s->inner, ctx, final, err);
	if (r < 0)
		return r;
	after = sink_at(s, FAULTS_SYNCED, ctx, err);
	return after < 0 ? after : r;
}

static int sink_held(struct df_sink *sink, struct df_context *ctx, struct df_arena *arena, struct df_str *ret,
		     struct df_error *err)
{
	struct df_sink *inner = sink_of(sink)->inner;

	return inner->ops->held(inner, ctx, arena, ret, err);
}

static int sink_close(struct df_sink *sink, struct df_error *err)
{
	struct faults_sink *s = sink_of(sink);

	pthread_mutex_lock(&s->lock);
	s->closed = true; /* no result comes any more */
	while (s->unanswered > 0)
		pthread_cond_wait(&s->answered, &s->lock);
	pthread_mutex_unlock(&s->lock);
	return s->inner->ops->close(s->inner, err);
}

static void sink_free(struct df_sink *sink)
{
	struct faults_sink *s = sink_of(sink);

	sink_close(sink, NULL);
	df_sink_free(s->inner);
	pthread_cond_destroy(&s->answered);
	pthread_mutex_destroy(&s->lock);
	free(s);
}

/* Outputs are made in their order, and each has an env of its own that also its next instances get. */
static int output_of(const struct df_connector_env *env)
{
	static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	static const struct df_connector_env *seen[OUTPUTS_MAX];
	int i = 0;

	pthread_mutex_lock(&lock);
	while (i < OUTPUTS_MAX - 1 && seen[i] && seen[i] != env)
		i++;
	seen[i] = env;
	pthread_mutex_unlock(&lock);
	return i;
}

int __wrap_df_sink_create(struct df_str type, const void *settings, const struct df_connector_env *env,
			  struct df_sink **ret, struct df_error *err)
{
	struct faults_sink *s;
	struct df_sink *inner;
	int r = __real_df_sink_create(type, settings, env, &inner, err);

	*ret = NULL;
	if (r < 0)
		return r;
	s = calloc(1, sizeof(*s));
	if (!s) {
		df_sink_free(inner);
		return df_error_no_memory(err);
	}
	s->inner = inner;
	s->output = output_of(env);
	snprintf(s->type, sizeof(s->type), DF_STR_FMT, DF_STR_ARG(type));
	s->ops = *inner->ops;
	KEEP(s->ops, connect, sink_connect);
	KEEP(s->ops, write, sink_write);
	KEEP(s->ops, sync, sink_sync);
	KEEP(s->ops, held, sink_held);
	KEEP(s->ops, close, sink_close);
	KEEP(s->ops, free, sink_free);
	if (s->ops.max_in_flight == 0 && faults_any_later(&(struct faults_place){ FAULTS_WRITE, s->type, s->output }))
		s->ops.max_in_flight = 4;
	pthread_mutex_init(&s->lock, NULL);
	pthread_cond_init(&s->answered, NULL);
	s->sink.ops = &s->ops;
	*ret = &s->sink;
	return 0;
}

/* ---- chain ----------------------------------------------------------------------------------------------- */

int __wrap_df_chain_run(struct df_chain *chain, struct df_batch *batch, const struct df_chain_events *events,
			struct df_error *err)
{
	int r = faults_at(&(struct faults_place){ FAULTS_TRANSFORM, NULL, -1 }, NULL, err);

	return r < 0 ? r : __real_df_chain_run(chain, batch, events, err);
}

/* ---- checkpoint ------------------------------------------------------------------------------------------ */

struct faults_store {
	struct df_checkpoint_store store;
	struct df_checkpoint_store *inner;
};

static int store_load(struct df_checkpoint_store *store, struct df_arena *arena, struct df_value **ret,
		      struct df_error *err)
{
	struct df_checkpoint_store *inner = DF_CONTAINER_OF(store, struct faults_store, store)->inner;

	return inner->load(inner, arena, ret, err);
}

static int store_save(struct df_checkpoint_store *store, const struct df_value *checkpoint, struct df_error *err)
{
	struct df_checkpoint_store *inner = DF_CONTAINER_OF(store, struct faults_store, store)->inner;
	int r = faults_at(&(struct faults_place){ FAULTS_SAVE, NULL, -1 }, NULL, err);

	if (r == 0)
		r = inner->save(inner, checkpoint, err);
	return r < 0 ? r : faults_at(&(struct faults_place){ FAULTS_SAVED, NULL, -1 }, NULL, err);
}

static void store_free(struct df_checkpoint_store *store)
{
	struct faults_store *s = DF_CONTAINER_OF(store, struct faults_store, store);

	df_checkpoint_store_free(s->inner);
	free(s);
}

int __wrap_df_checkpoint_directory_open(const char *dir, const char *namespace, const char *name,
					struct df_checkpoint_store **ret, struct df_error *err)
{
	struct df_checkpoint_store *inner;
	struct faults_store *s;
	int r = __real_df_checkpoint_directory_open(dir, namespace, name, &inner, err);

	if (r < 0)
		return r;
	s = calloc(1, sizeof(*s));
	if (!s) {
		df_checkpoint_store_free(inner);
		return df_error_no_memory(err);
	}
	*s = (struct faults_store){ { store_load, store_save, store_free }, inner };
	*ret = &s->store;
	return 0;
}

int __wrap_renameat(int old_dir, const char *old_name, int new_dir, const char *new_name)
{
	if (strcmp(new_name, "checkpoint.json") == 0 &&
	    faults_at(&(struct faults_place){ FAULTS_SAVING, NULL, -1 }, NULL, NULL) < 0)
		return -1;
	return __real_renameat(old_dir, old_name, new_dir, new_name);
}

/* ---- clock ----------------------------------------------------------------------------------------------- */

int __wrap_clock_gettime(clockid_t id, struct timespec *ret)
{
	int r = __real_clock_gettime(id, ret);

	if (id == CLOCK_REALTIME && r == 0)
		ret->tv_sec += (time_t)faults_clock_step();
	return r;
}

/*
 * A program as a sink. `write` says commands, up to as many ahead as the program takes; a thread hears the answers and
 * gives the messages their results.
 *
 * What fails whole can only be taken apart by who waits for the answer. So writes of protocol 1 wait, and for some
 * seconds after such a failure those of protocol 2 do (`careful`).
 */
#include <stdio.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "connectors/factory.h"
#include "connectors/settings.h"
#include "connectors/subprocess/command.h"
#include "connectors/subprocess/sink_internal.h"

#define COMMAND_BYTES ((size_t)8 << 20) /* a write that is longer goes in several commands */
#define VERDICT_NS (2 * DF_NS_PER_S)	/* from a closed pipe to what the other thread knows about it */

static struct program_sink *sink_of(struct df_sink *s)
{
	return DF_CONTAINER_OF(s, struct program_sink, base.state.sink);
}

/* ---- making, connecting ---------------------------------------------------------------------------------- */

static void sink_free(struct df_sink *sink);

static int sink_create(const void *settings, const struct df_connector_env *env, struct df_sink **ret,
		       struct df_error *err)
{
	const struct df_program *program = df_program_of(env);
	const struct df_sink_ops *replaced = program->replaced ? program->replaced->sink_ops : NULL;
	struct program_sink *s;

	if (replaced && replaced->transactional && replaced->transactional(settings))
		return df_error_set(err, DF_ERR_CONFIG,
				    "the program %s, which is the %s sink here, has no exactlyOnce: remove it",
				    program->path, program->type);
	s = df_base_sink_new(sizeof(*s), &program->sink_ops, env, err);
	if (!s)
		return DF_ERR_NO_MEMORY;
	s->settings = settings;
	pthread_mutex_init(&s->saying, NULL);
	pthread_mutex_init(&s->lock, NULL);
	pthread_cond_init(&s->changed, NULL);
	s->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (s->wake < 0) {
		sink_free(&s->base.state.sink);
		return df_error_set(err, DF_ERR_TRANSIENT, "no descriptors are left");
	}
	*ret = &s->base.state.sink;
	return 0;
}

static int sink_connect(struct df_sink *sink, struct df_context *ctx, struct df_error *err)
{
	struct program_sink *s = sink_of(sink);
	df_cleanup(df_base_call_end) struct df_base_call call = { 0 };
	int r = df_base_connect(&s->base, ctx, &call, err);

	if (r < 0 || s->base.state.connected)
		return r;
	r = df_peer_open(&s->peer, call.ctx,
			 &(struct df_peer_opening){
				 .env = &s->base.state.env, .kind = DF_SINK, .settings = s->settings, .wake = s->wake },
			 err);
	if (r == 0) {
		r = pthread_create(&s->hearer, NULL, df_program_sink_hear, s);
		if (r)
			r = df_error_errno(err, DF_ERR_TRANSIENT, r, "cannot start a thread");
	}
	if (r < 0) {
		df_peer_close(&s->peer, false);
		return r;
	}
	s->hearing = true;
	s->base.state.connected = true;
	return 0;
}

/* ---- writing --------------------------------------------------------------------------------------------- */

static void wake_waiter(void *arg)
{
	struct program_sink *s = arg;

	DF_LOCK_SCOPE(&s->lock);
	pthread_cond_broadcast(&s->changed);
}

/* Waits, with the lock held, until at most `parts` commands are under way, and none of w is being settled. The
 * program's error, or the context's. */
static int wait_until(struct program_sink *s, struct df_context *ctx, size_t parts, const struct df_write *w,
		      struct df_error *err)
{
	int r = 0;

	while (r == 0 && (s->part_count > parts || (w && s->settling == w)) && !s->why.code) {
		r = df_context_check(ctx, err);
		if (r == 0)
			pthread_cond_wait(&s->changed, &s->lock);
	}
	if (r == 0 && s->why.code) {
		*err = s->why;
		r = s->why.code;
	}
	return r;
}

/* Room for one more, and the part is in the list: its answer may come as soon as the command is said. */
static int announce(struct program_sink *s, struct df_context *ctx, const struct part *part, struct df_error *err)
{
	size_t most = s->peer.protocol == 1 || part->waited_for ? 1 : s->peer.in_flight;
	struct df_context_callback waiting = { .fn = wake_waiter, .arg = s };
	bool first;
	int r;

	df_context_on_cancel(ctx, &waiting);
	pthread_mutex_lock(&s->lock);
	r = wait_until(s, ctx, most - 1, NULL, err);
	first = s->part_count == 0;
	if (r == 0) {
		s->outcome = DF_ERROR_INIT;
		s->parts[s->part_count++] = *part;
	}
	pthread_mutex_unlock(&s->lock);
	df_context_off_cancel(ctx, &waiting);
	if (r == 0 && first) {
		df_peer_be_patient(&s->peer);
		(void)!eventfd_write(s->wake, 1);
	}
	return r;
}

/* The pipe is closed: the other thread will know why, and that is the better answer. */
static void ask_for_verdict(struct program_sink *s, struct df_error *err)
{
	struct timespec until;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += VERDICT_NS / DF_NS_PER_S;
	DF_LOCK_SCOPE(&s->lock);
	while (!s->why.code && pthread_cond_timedwait(&s->changed, &s->lock, &until) == 0)
		;
	if (s->why.code)
		*err = s->why;
}

static int say(struct program_sink *s, struct df_context *ctx, struct df_error *err)
{
	int r;

	pthread_mutex_lock(&s->saying);
	r = s->peer.broken ? df_error_set(err, DF_ERR_CONNECTION, "program %s is lost", s->peer.program->path)
			   : df_peer_say(&s->peer, ctx, df_buf_str(&s->text), err);
	pthread_mutex_unlock(&s->saying);
	if (r != DF_ERR_CONNECTION)
		return r;
	ask_for_verdict(s, err);
	return err->code;
}

/* Waits for the answer to a part that is waited for. */
static int await(struct program_sink *s, struct df_context *ctx, const struct df_write *w, struct df_error *err)
{
	struct df_context_callback waiting = { .fn = wake_waiter, .arg = s };
	int r;

	df_context_on_cancel(ctx, &waiting);
	pthread_mutex_lock(&s->lock);
	r = wait_until(s, ctx, 0, w, err);
	if (r == 0 && s->outcome.code) {
		*err = s->outcome;
		r = s->outcome.code;
	}
	pthread_mutex_unlock(&s->lock);
	df_context_off_cancel(ctx, &waiting);
	if (df_code_poison(r))
		s->careful_ns = df_clock_monotonic() + DF_CAREFUL_NS;
	return r;
}

/* The write fails as a whole: what of it is under way has no result any more. */
static void abandon(struct program_sink *s, const struct df_write *w)
{
	DF_LOCK_SCOPE(&s->lock);

	for (size_t i = 0; i < s->part_count;) {
		if (s->parts[i].write == w)
			memmove(&s->parts[i], &s->parts[i + 1], (--s->part_count - i) * sizeof(*s->parts));
		else
			i++;
	}
	while (s->settling == w)
		pthread_cond_wait(&s->changed, &s->lock);
}

/* ---- commands -------------------------------------------------------------------------------------------- */

/* What `write` is making. */
struct making {
	struct df_write *write;
	uint32_t *index; /* of all messages; those of the part begin at `first` */
	size_t first, count;
	bool waited_for;
};

static void begin_command(struct program_sink *s)
{
	s->text.len = 0;
	s->batches++;
	if (s->peer.protocol == 1)
		df_buf_add_c(&s->text, "{\"cmd\":\"write\",\"messages\":[");
	else
		df_buf_printf(&s->text, "{\"cmd\":\"write\",\"batch\":%lld,\"messages\":[", (long long)s->batches);
}

static int send_command(struct program_sink *s, struct df_context *ctx, struct making *making, struct df_error *err)
{
	struct part part = { s->batches, making->write, making->index + making->first, making->count,
			     making->waited_for };
	int r;

	df_buf_add_c(&s->text, "]}\n");
	if (s->text.failed) {
		df_buf_done(&s->text);
		return df_error_no_memory(err);
	}
	making->first += making->count;
	making->count = 0;
	r = announce(s, ctx, &part, err);
	if (r == 0)
		r = say(s, ctx, err);
	if (r == 0 && part.waited_for)
		r = await(s, ctx, making->write, err);
	return r;
}

/* Message i becomes a part of the command; or its own result, when it cannot be said. */
static int add_message(struct program_sink *s, struct making *making, size_t i, struct df_error *err)
{
	struct df_write *w = making->write;
	struct df_error why = DF_ERROR_INIT;
	int r;

	if (making->count == 0)
		begin_command(s);
	else
		df_buf_add_char(&s->text, ',');
	r = df_message_to_program(w->messages[i], s->peer.protocol, s->base.state.env.clock, w->arena, &s->text, &why);
	if (r == 0) {
		making->index[making->first + making->count++] = (uint32_t)i;
		return 0;
	}
	if (making->count > 0)
		s->text.len--; /* the comma */
	if (df_code_poison(r)) {
		df_write_fail(w, i, &why);
		return 0;
	}
	*err = why;
	return r;
}

static int write_all(struct program_sink *s, struct df_context *ctx, struct df_write *w, struct df_error *err)
{
	size_t count = w->count; /* behind the last result w is gone */
	struct making making = { .write = w,
				 .index = df_arena_alloc(w->arena, (count + 1) * sizeof(*making.index)),
				 .waited_for = s->peer.protocol == 1 || df_clock_monotonic() < s->careful_ns };
	int r = making.index ? 0 : df_error_no_memory(err);

	for (size_t i = 0; r == 0 && i < count; i++) {
		r = add_message(s, &making, i, err);
		if (r == 0 && making.count > 0 && s->text.len >= COMMAND_BYTES)
			r = send_command(s, ctx, &making, err);
	}
	if (r == 0 && making.count > 0)
		r = send_command(s, ctx, &making, err);
	if (r < 0)
		abandon(s, w);
	return r < 0 ? r : making.waited_for ? 0 : DF_WRITE_PENDING;
}

static int sink_write(struct df_sink *sink, struct df_context *ctx, struct df_write *w, struct df_error *err)
{
	struct program_sink *s = sink_of(sink);
	struct df_error why = DF_ERROR_INIT;
	df_cleanup(df_base_call_end) struct df_base_call call = { 0 };
	int r = df_base_use(&s->base, ctx, &call, err);

	if (r < 0)
		return r;
	r = write_all(s, call.ctx, w, &why);
	if (r < 0 && err)
		*err = why;
	return r;
}

/* ---- closing --------------------------------------------------------------------------------------------- */

static int sink_close(struct df_sink *sink, struct df_error *err)
{
	struct program_sink *s = sink_of(sink);

	(void)err;
	if (df_base_guard_close(&s->base))
		return 0;
	DF_UNLOCK_ON_RETURN(&s->base);
	if (s->hearing) /* its context is cancelled */
		pthread_join(s->hearer, NULL);
	s->hearing = false;
	df_peer_close(&s->peer, s->batches > s->answered);
	return 0;
}

static void sink_free(struct df_sink *sink)
{
	struct program_sink *s = sink_of(sink);

	if (!sink)
		return;
	(void)!sink_close(sink, NULL);
	df_buf_done(&s->text);
	df_closep(&s->wake);
	pthread_cond_destroy(&s->changed);
	pthread_mutex_destroy(&s->lock);
	pthread_mutex_destroy(&s->saying);
	df_base_connector_free(&s->base);
}

/* Every type of its own begins with these settings. */
static void sink_batching(const void *settings, struct df_batching *ret)
{
	const struct df_batch_settings *s = settings;

	*ret = (struct df_batching){
		.size = s->size, .interval_seconds = s->interval_seconds, .default_size = 1, .default_together = 1000
	};
}

const struct df_sink_ops df_program_sink_ops = {
	.create = sink_create,
	.connect = sink_connect,
	.write = sink_write,
	.close = sink_close,
	.free = sink_free,
	.batching = sink_batching,
	.max_in_flight = 8,
};

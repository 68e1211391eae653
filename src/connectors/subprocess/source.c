/* A program as a source: reads are asked for ahead, and what comes is handed on in batches. */
#include <sys/eventfd.h>

#include "connectors/base.h"
#include "connectors/subprocess/errors.h"
#include "connectors/subprocess/peer.h"
#include "connectors/subprocess/positions.h"
#include "connectors/subprocess/scan.h"

#define WAIT_MS 500			     /* how long a read may wait for its first message */
#define PAUSE_FIRST (50 * DF_NS_PER_MS)	     /* after a read that brought nothing at once */
#define PAUSE_LONGEST (1000 * DF_NS_PER_MS)  /* and after many of them */
#define TRAILING_WAIT (100 * DF_NS_PER_MS)   /* for a checkpoint behind `done` */
#define AT_ONCE (WAIT_MS / 2 * DF_NS_PER_MS) /* an empty answer sooner than that did not wait */

struct program_source {
	struct df_base_connector base;
	const void *settings;
	struct df_peer peer;
	struct df_positions positions;
	struct df_buf options; /* what restore found, for `init` */
	int wake;
	_Atomic bool acks;

	/* Of the thread that reads. */
	struct df_emitter *out;
	struct df_batch *batch; /* what is being filled; NULL: nothing yet */
	struct df_message_memo memo;
	struct df_str partition_text; /* of the last message; the partition's own text */
	struct df_partition *partition;
	int64_t number;	 /* messages so far */
	int64_t asked;	 /* reads so far; the number of the last one */
	int64_t done;	 /* those that were answered whole */
	size_t in_read;	 /* messages of the read that is being answered */
	int64_t done_ns; /* when the last one was */
	int64_t pause;	 /* the last pause; 0: none */
	int64_t ask_ns;	 /* no read before that */
	bool refused;	 /* downstream takes nothing any more */
	bool trailing;	 /* the program's checkpoints stand behind `done` */
	bool over;	 /* nothing more will come */
};

static struct program_source *source_of(struct df_source *s)
{
	return DF_CONTAINER_OF(s, struct program_source, base.state.source);
}

static size_t limit_of(const struct program_source *s)
{
	return s->out->batch_messages;
}

/* ---- making, connecting ---------------------------------------------------------------------------------- */

static void source_free(struct df_source *source);

static int source_create(const void *settings, const struct df_connector_env *env, struct df_source **ret,
			 struct df_error *err)
{
	struct program_source *s = df_base_source_new(sizeof(*s), &df_program_source_ops, env, err);

	if (!s)
		return DF_ERR_NO_MEMORY;
	s->settings = settings;
	df_positions_init(&s->positions);
	s->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (s->wake < 0) {
		source_free(&s->base.state.source);
		return df_error_set(err, DF_ERR_TRANSIENT, "no descriptors are left");
	}
	*ret = &s->base.state.source;
	return 0;
}

static int source_restore(struct df_source *source, const struct df_value *checkpoint, struct df_error *err)
{
	struct program_source *s = source_of(source);

	s->options.len = 0;
	return df_positions_resume(checkpoint, &s->options, err);
}

static int source_connect(struct df_source *source, struct df_context *ctx, struct df_error *err)
{
	struct program_source *s = source_of(source);
	df_cleanup(df_base_call_end) struct df_base_call call = { 0 };
	int r = df_base_connect(&s->base, ctx, &call, err);

	if (r < 0 || s->base.state.connected)
		return r;
	if (s->options.failed)
		return df_error_no_memory(err);
	r = df_peer_open(&s->peer, call.ctx,
			 &(struct df_peer_opening){ .env = &s->base.state.env,
						    .kind = DF_SOURCE,
						    .settings = s->settings,
						    .options = df_buf_str(&s->options),
						    .wake = s->wake },
			 err);
	if (r < 0) {
		df_peer_close(&s->peer, false);
		return r;
	}
	s->acks = s->peer.acks;
	s->base.state.connected = true;
	return 0;
}

/* ---- asking ---------------------------------------------------------------------------------------------- */

/* What is committed, and as many reads as may be under way. */
static void ask(struct program_source *s)
{
	struct df_peer *peer = &s->peer;
	unsigned ahead = peer->protocol == 1 ? 1 : peer->in_flight;
	bool due = s->asked > s->done;

	df_positions_tell(&s->positions, &peer->out);
	if (s->over || df_clock_monotonic() < s->ask_ns)
		return;
	while (s->asked - s->done < ahead) {
		s->asked++;
		if (peer->protocol == 1)
			df_buf_printf(&peer->out, "{\"cmd\":\"read\",\"limit\":%zu}\n", limit_of(s));
		else
			df_buf_printf(&peer->out, "{\"cmd\":\"read\",\"batch\":%lld,\"limit\":%zu,\"wait\":%d}\n",
				      (long long)s->asked, limit_of(s), WAIT_MS);
	}
	if (!due)
		df_peer_be_patient(peer);
}

/* ---- batches --------------------------------------------------------------------------------------------- */

static int emit(struct program_source *s, struct df_context *ctx, struct df_error *err)
{
	int r = 0;

	if (s->batch && s->batch->count > 0) {
		r = df_emitter_emit(s->out, ctx, &s->batch, err);
		s->refused = r < 0;
		df_peer_be_patient(&s->peer);
	}
	if (!s->batch)
		s->memo = (struct df_message_memo){ 0 };
	return r;
}

static int begin_batch(struct program_source *s, struct df_error *err)
{
	if (!s->batch)
		s->batch = df_emitter_batch(s->out);
	return s->batch ? 0 : df_error_no_memory(err);
}

/* The partition that a message names; mostly it is the one before. */
static int find_partition(struct program_source *s, struct df_str name, struct df_error *err)
{
	struct df_str text = { 0 };

	if (name.ptr && !df_scan_text(name, &s->batch->arena, &text))
		return df_peer_fault(&s->peer, err, "sent a `partition` that is not text");
	if (s->partition && df_str_equal(text, s->partition_text))
		return 0;
	if (text.len > 0 && memchr(text.ptr, '\0', text.len))
		return df_peer_fault(&s->peer, err, "sent a `partition` with a NUL character");
	int r = df_emitter_partition(s->out, text, &s->partition, err);
	if (r == 0)
		s->partition_text = df_partition_key(s->partition);
	return r;
}

/* One message; its members lie in the batch's arena. */
static int add_message(struct program_source *s, const struct df_members *members, struct df_str partition,
		       struct df_error *err)
{
	struct df_error why = DF_ERROR_INIT;
	int r = find_partition(s, members->partition.ptr ? members->partition : partition, err);
	struct df_message *m = r == 0 ? df_batch_add(s->batch) : NULL;

	if (r < 0)
		return r;
	if (!m)
		return df_error_no_memory(err);
	r = df_message_from_members(members, &s->batch->arena, &s->memo, m, &why);
	if (r < 0) {
		s->batch->count--;
		return r == DF_ERR_CONNECTION ? df_peer_fault(&s->peer, err, "%s", why.text) : df_error_no_memory(err);
	}
	m->partition = s->partition;
	m->position = (struct df_position){ ++s->number, members->position };
	s->batch->bytes += m->payload.len;
	s->in_read++;
	return 0;
}

/* The message that is written with this text, which is copied into the batch: the payload stays in the copy. A batch
 * that is full is emitted. */
static int take_message(struct program_source *s, struct df_context *ctx, struct df_str text, struct df_str partition,
			struct df_error *err)
{
	struct df_members members;
	struct df_str copy;
	int r = begin_batch(s, err);

	if (r < 0)
		return r;
	copy = df_arena_dup(&s->batch->arena, text);
	if (!copy.ptr)
		return df_error_no_memory(err);
	if (!df_members_parse(copy, &members))
		return df_peer_fault(&s->peer, err, "sent a message that is no object");
	r = add_message(s, &members, partition, err);
	if (r == 0 && (s->batch->count >= s->out->batch_messages || s->batch->bytes >= s->out->batch_bytes))
		r = emit(s, ctx, err);
	return r;
}

/* A `messages` line may have more than fits into one batch. */
static int take_message_list(struct program_source *s, struct df_context *ctx, const struct df_members *line,
			     struct df_error *err)
{
	struct df_scan scan;
	struct df_str element;
	int r = 0;

	if (!df_scan_array(&scan, line->messages))
		return df_peer_fault(&s->peer, err, "sent `messages` that are no list");
	while (r == 0 && df_scan_element(&scan, &element))
		r = take_message(s, ctx, element, line->partition, err);
	return r;
}

/* ---- answers --------------------------------------------------------------------------------------------- */

/* Is it the answer to the read that is due? */
static int check_turn(struct program_source *s, const struct df_answer *answer, struct df_error *err)
{
	const char *name = df_answer_name(answer->type);
	int64_t batch;

	if (s->asked == s->done)
		return df_peer_fault(&s->peer, err, "sent `%s` though nothing was asked", name);
	if (s->peer.protocol == 1 || (s->peer.in_flight == 1 && !answer->members.batch.ptr))
		return 0;
	if (!df_scan_int64(answer->members.batch, &batch))
		return df_peer_fault(&s->peer, err, "sent `%s` without the `batch` of its read", name);
	if (batch != s->done + 1)
		return df_peer_fault(&s->peer, err, "answers read %lld while read %lld is due", (long long)batch,
				     (long long)s->done + 1);
	return 0;
}

static int take_messages(struct program_source *s, struct df_context *ctx, const struct df_answer *answer,
			 struct df_str line, struct df_error *err)
{
	int r = check_turn(s, answer, err);

	if (r < 0)
		return r;
	r = answer->type == DF_ANSWER_MESSAGE ? take_message(s, ctx, line, (struct df_str){ 0 }, err)
					      : take_message_list(s, ctx, &answer->members, err);
	if (r == 0 && s->peer.protocol > 1 && s->in_read > limit_of(s))
		return df_peer_fault(&s->peer, err, "sent more than the %zu messages that read %lld asked for",
				     limit_of(s), (long long)s->done + 1);
	return r;
}

static int take_checkpoint(struct program_source *s, const struct df_answer *answer, struct df_error *err)
{
	struct df_str text;
	struct df_arena arena;
	int r = 0;

	if (s->in_read == 0 && s->done > 0)
		s->trailing = true;
	df_arena_init(&arena, NULL);
	if (df_scan_text(answer->members.data, &arena, &text))
		r = df_positions_mark(&s->positions, s->number, text, err);
	else
		r = df_peer_fault(&s->peer, err, "sent a `checkpoint` whose `data` is not text");
	df_arena_done(&arena);
	return r;
}

static int take_lag(struct program_source *s, const struct df_answer *answer, struct df_error *err)
{
	int64_t messages;
	int r = begin_batch(s, err);

	if (r == 0)
		r = find_partition(s, answer->members.partition, err);
	if (r < 0)
		return r;
	if (!df_scan_int64(answer->members.messages, &messages) || messages < -1)
		return df_peer_fault(&s->peer, err, "sent a `lag` whose `messages` is no number");
	df_emitter_lag(s->out, s->partition, messages);
	return 0;
}

/* A program that does not wait for messages shall not be asked all the time. */
static void pause_before_next(struct program_source *s, int64_t now)
{
	bool waited = now - s->done_ns >= AT_ONCE;

	s->pause = waited ? 0 : s->pause == 0 ? PAUSE_FIRST : s->pause * 2;
	if (s->pause > PAUSE_LONGEST)
		s->pause = PAUSE_LONGEST;
	s->ask_ns = now + s->pause;
}

static int hear_trailing(struct program_source *s, struct df_context *ctx, struct df_error *err);

static int take_done(struct program_source *s, struct df_context *ctx, const struct df_answer *answer,
		     struct df_error *err)
{
	int64_t now = df_clock_monotonic();
	bool end = false, empty = s->in_read == 0;
	int r = check_turn(s, answer, err);

	if (r < 0)
		return r;
	if (s->peer.protocol > 1 && answer->members.end.ptr && !df_scan_bool(answer->members.end, &end))
		return df_peer_fault(&s->peer, err, "sent `done` with an `end` that is not true or false");
	s->done++;
	s->in_read = 0;
	if (!empty && s->trailing && s->peer.protocol == 1)
		r = hear_trailing(s, ctx, err);
	if (r == 0)
		r = emit(s, ctx, err);
	s->over = end || (empty && s->base.state.env.once);
	if (empty) {
		df_emitter_idle(s->out);
		pause_before_next(s, now);
	} else {
		s->pause = s->ask_ns = 0;
	}
	s->done_ns = now;
	return r;
}

static int take_error(struct program_source *s, const struct df_answer *answer, struct df_error *err)
{
	return df_program_error(&answer->members, &s->peer.hidden, err);
}

static int take(struct program_source *s, struct df_context *ctx, const struct df_answer *answer, struct df_str line,
		struct df_error *err)
{
	switch (answer->type) {
	case DF_ANSWER_MESSAGE:
	case DF_ANSWER_MESSAGES:
		return take_messages(s, ctx, answer, line, err);
	case DF_ANSWER_DONE:
		return take_done(s, ctx, answer, err);
	case DF_ANSWER_ERROR:
		return take_error(s, answer, err);
	case DF_ANSWER_CHECKPOINT:
		return take_checkpoint(s, answer, err);
	case DF_ANSWER_LAG:
		return take_lag(s, answer, err);
	case DF_ANSWER_IDLE:
		df_emitter_idle(s->out);
		return 0;
	case DF_ANSWER_PONG:
		return 0;
	default:
		return df_peer_fault(&s->peer, err, "sent `%s` while it is read from", df_answer_name(answer->type));
	}
}

/* What a checkpoint behind `done` covers waits for it, so that it is kept with its last message. */
static int hear_trailing(struct program_source *s, struct df_context *ctx, struct df_error *err)
{
	struct df_answer answer;
	struct df_str line;
	int r = df_peer_hear(&s->peer, ctx, df_clock_monotonic() + TRAILING_WAIT, false, &answer, &line, err);

	return r == DF_PEER_ANSWER ? take(s, ctx, &answer, line, err) : r < 0 ? r : 0;
}

/* ---- reading --------------------------------------------------------------------------------------------- */

static int read_all(struct program_source *s, struct df_context *ctx, struct df_error *err)
{
	struct df_answer answer;
	struct df_str line;
	int r = 0;

	while (r >= 0 && !s->over) {
		ask(s);
		bool due = s->asked > s->done;
		r = df_peer_hear(&s->peer, ctx, due ? 0 : s->ask_ns, due, &answer, &line, err);
		if (r == DF_PEER_ANSWER)
			r = take(s, ctx, &answer, line, err);
	}
	return r < 0 ? r : 0;
}

/* What came before a failure is handed on: a program whose server forgets what it has given does not give it again. */
static int source_read(struct df_source *source, struct df_context *ctx, struct df_emitter *out, struct df_error *err)
{
	struct program_source *s = source_of(source);
	df_cleanup(df_base_call_end) struct df_base_call call = { 0 };
	int r = df_base_use(&s->base, ctx, &call, err);

	if (r < 0)
		return r;
	s->out = out;
	s->refused = false;
	r = read_all(s, call.ctx, err);
	if (r < 0 && !s->refused && !df_context_canceled(call.ctx))
		(void)emit(s, call.ctx, NULL);
	df_batch_free(DF_TAKE(s->batch));
	return r;
}

/* ---- positions ------------------------------------------------------------------------------------------- */

static int source_commit(struct df_source *source, const struct df_commit *commits, size_t count,
			 struct df_value *checkpoint, struct df_arena *arena, struct df_error *err)
{
	struct program_source *s = source_of(source);
	int r = df_positions_commit(&s->positions, commits, count, s->acks, checkpoint, arena, err);

	if (s->acks)
		(void)!eventfd_write(s->wake, 1);
	return r;
}

static int source_describe(struct df_source *source, const struct df_commit *commits, size_t count,
			   struct df_value *checkpoint, struct df_arena *arena, struct df_error *err)
{
	const struct program_source *s = source_of(source);

	if (count == 0 && s->peer.program && s->peer.protocol == 1)
		return df_error_set(err, DF_ERR_CONFIG,
				    "program %s speaks protocol 1, which has no position of a message, and exactlyOnce "
				    "needs one: remove exactlyOnce",
				    s->peer.program->path);
	return df_positions_describe(commits, count, checkpoint, arena, err);
}

/* ---- closing --------------------------------------------------------------------------------------------- */

static int source_close(struct df_source *source, struct df_error *err)
{
	struct program_source *s = source_of(source);

	(void)err;
	if (df_base_guard_close(&s->base))
		return 0;
	DF_UNLOCK_ON_RETURN(&s->base);
	if (s->peer.program && !s->peer.broken)
		df_positions_tell(&s->positions, &s->peer.out);
	df_peer_close(&s->peer, s->asked > s->done);
	return 0;
}

static void source_free(struct df_source *source)
{
	struct program_source *s = source_of(source);

	if (!source)
		return;
	(void)!source_close(source, NULL);
	df_positions_done(&s->positions);
	if (s->options.data)
		explicit_bzero(s->options.data, s->options.cap);
	df_buf_done(&s->options);
	df_closep(&s->wake);
	df_base_connector_free(&s->base);
}

const struct df_source_ops df_program_source_ops = {
	.create = source_create,
	.restore = source_restore,
	.connect = source_connect,
	.read = source_read,
	.commit = source_commit,
	.describe = source_describe,
	.close = source_close,
	.free = source_free,
};

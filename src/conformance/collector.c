/* An emitter that keeps what a source emits, and commits it. */
#include <errno.h>
#include <string.h>

#include "conformance/internal.h"

static struct df_collector *collector_of(struct df_emitter *e)
{
	return DF_CONTAINER_OF(e, struct df_collector, emitter);
}

/* ---- the emitter ----------------------------------------------------------------------------------------- */

static struct df_batch *collector_batch(struct df_emitter *e)
{
	return df_batch_new(collector_of(e)->pool);
}

/* The rule of the contract that a batch breaks, or NULL. */
static const char *broken_rule(const struct df_collector *c, const struct df_batch *batch)
{
	size_t bytes = 0;

	if (batch->count > c->emitter.batch_messages)
		return "a batch has more messages than batch_messages allows";
	for (size_t i = 0; i < batch->count; i++) {
		const struct df_message *m = &batch->messages[i];

		if (!m->partition)
			return "a message has no partition";
		bytes += m->payload.len;
	}
	if (batch->bytes < bytes)
		return "batch->bytes is less than the bytes of the payloads";
	if (batch->count > 1 && bytes - batch->messages[batch->count - 1].payload.len > c->emitter.batch_bytes)
		return "a batch has more bytes than batch_bytes allows";
	return NULL;
}

static void collector_wake(void *arg)
{
	struct df_collector *c = arg;

	DF_LOCK_SCOPE(&c->lock);
	pthread_cond_broadcast(&c->changed);
}

/* With the lock held. */
static bool is_full(const struct df_collector *c)
{
	return c->block_after && c->messages >= c->block_after;
}

static void append(struct df_collector *c, struct df_batch *batch)
{
	bool enough;

	pthread_mutex_lock(&c->lock);
	batch->next = NULL;
	if (c->last)
		c->last->next = batch;
	else
		c->first = batch;
	c->last = batch;
	c->batches++;
	c->messages += batch->count;
	enough = c->cancel_after && c->messages >= c->cancel_after;
	pthread_cond_broadcast(&c->changed);
	pthread_mutex_unlock(&c->lock);
	if (enough && c->cancel_ctx)
		df_context_cancel(c->cancel_ctx);
}

/* Opened in the ledger, kept; the caller's no more. */
static int take(struct df_collector *c, struct df_batch **batch, struct df_error *err)
{
	const char *broken = broken_rule(c, *batch);
	int r;

	if (broken) {
		DF_LOCK_SCOPE(&c->lock);
		c->broken = c->broken ? c->broken : broken;
	}
	if ((*batch)->count == 0) {
		df_batch_free(DF_TAKE(*batch));
		return 0;
	}
	r = df_ledger_open(*batch, err);
	if (r == 0)
		append(c, DF_TAKE(*batch));
	return r;
}

static int collector_emit(struct df_emitter *e, struct df_context *ctx, struct df_batch **batch, struct df_error *err)
{
	struct df_collector *c = collector_of(e);
	struct df_context_callback wake = { .fn = collector_wake, .arg = c };
	int r = df_context_check(ctx, err);

	if (r < 0)
		return r;
	if (ctx)
		df_context_on_cancel(ctx, &wake);
	pthread_mutex_lock(&c->lock);
	while (r == 0 && is_full(c)) {
		r = df_context_check(ctx, err);
		if (r == 0)
			pthread_cond_wait(&c->changed, &c->lock);
	}
	pthread_mutex_unlock(&c->lock);
	if (ctx)
		df_context_off_cancel(ctx, &wake);
	return r == 0 ? take(c, batch, err) : r;
}

static int collector_try_emit(struct df_emitter *e, struct df_batch **batch, struct df_error *err)
{
	struct df_collector *c = collector_of(e);
	bool full;

	pthread_mutex_lock(&c->lock);
	full = is_full(c);
	pthread_mutex_unlock(&c->lock);
	return full ? df_error_set(err, DF_ERR_TRANSIENT, "full") : take(c, batch, err);
}

static int collector_partition(struct df_emitter *e, struct df_str key, struct df_partition **ret, struct df_error *err)
{
	return df_ledger_partition(collector_of(e)->ledger, key, ret, err);
}

static void collector_idle(struct df_emitter *e)
{
	struct df_collector *c = collector_of(e);

	DF_LOCK_SCOPE(&c->lock);
	c->idles++;
	pthread_cond_broadcast(&c->changed);
}

static int collector_drain(struct df_emitter *e, struct df_partition *p, struct df_context *ctx, struct df_error *err)
{
	return df_ledger_drain(collector_of(e)->ledger, p, ctx, err);
}

struct df_collector *df_collector_new(struct df_stage *st)
{
	struct df_collector *c = calloc(1, sizeof(*c));
	pthread_condattr_t attr;

	df_rule_check(st, c, "the suite is out of memory");
	*c = (struct df_collector){ .emitter = { .batch_messages = 100,
						 .batch_bytes = 64 * 1024,
						 .message_bytes = 256 << 20,
						 .batch = collector_batch,
						 .emit = collector_emit,
						 .try_emit = collector_try_emit,
						 .partition = collector_partition,
						 .idle = collector_idle,
						 .drain = collector_drain },
				    .pool = df_batch_pool_new(1 << 20),
				    .ledger = df_ledger_new(),
				    .checkpoint = df_value_new(st->arena, DF_OBJECT) };
	df_rule_check(st, c->pool && c->ledger && c->checkpoint, "the suite is out of memory");
	pthread_mutex_init(&c->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&c->changed, &attr);
	pthread_condattr_destroy(&attr);
	return c;
}

void df_collector_free(struct df_collector *c)
{
	while (c && c->first) {
		struct df_batch *batch = c->first;

		c->first = batch->next;
		df_batch_free(batch);
	}
	if (!c)
		return;
	df_ledger_free(c->ledger);
	df_batch_pool_free(c->pool);
	pthread_cond_destroy(&c->changed);
	pthread_mutex_destroy(&c->lock);
	free(c);
}

/* ---- messages -------------------------------------------------------------------------------------------- */

struct df_message *df_collector_message(struct df_collector *c, size_t i)
{
	DF_LOCK_SCOPE(&c->lock);
	for (struct df_batch *b = c->first; b; b = b->next) {
		if (i < b->count)
			return &b->messages[i];
		i -= b->count;
	}
	return NULL;
}

struct df_value *df_collector_row(struct df_stage *st, struct df_collector *c, size_t i)
{
	struct df_message *m = df_collector_message(c, i);
	struct df_error err = DF_ERROR_INIT;
	struct df_value *row = NULL;

	df_rule_check(st, m, "there is no message %zu, only %zu were read", i, c->messages);
	if (m->failure)
		df_rule_fail(st, "message %zu could not be decoded: %s", i, m->failure->text);
	df_rule_ok(st, df_message_document(m, st->arena, &row, &err), &err, "parsing a message");
	df_rule_check(st, row && row->kind == DF_OBJECT, "message %zu is no JSON object: %.*s", i,
		      (int)(m->payload.len < 200 ? m->payload.len : 200), m->payload.ptr ? m->payload.ptr : "");
	return row;
}

int64_t df_row_id(struct df_stage *st, const struct df_value *row)
{
	const struct df_value *id = df_object_get_c(row, "id");
	int64_t n;

	if (!id)
		return -1;
	if (df_value_to_int64(id, &n))
		return n;
	/* A format without numbers (CSV). */
	return id->kind == DF_STRING && df_str_to_int64(df_value_text(id, st->arena), &n) ? n : -1;
}

int64_t df_collector_id(struct df_stage *st, struct df_collector *c, size_t i)
{
	return df_row_id(st, df_collector_row(st, c, i));
}

/* ---- committing ------------------------------------------------------------------------------------------ */

const char *df_collector_commit(struct df_stage *st, struct df_collector *c, struct df_source *s, size_t from, size_t n)
{
	struct df_error err = DF_ERROR_INIT;
	struct df_commit *commits = NULL;
	size_t count = 0;
	struct df_str text;

	for (size_t i = from; i < from + n; i++) {
		struct df_message *m = df_collector_message(c, i);

		df_rule_check(st, m, "only %zu messages were read, and message %zu is to be committed", c->messages, i);
		df_ledger_done_one(m);
	}
	df_rule_ok(st, df_ledger_collect(c->ledger, st->arena, &commits, &count, &err), &err, "the suite's ledger");
	df_stage_doing(st, "committing");
	if (s->ops->commit && count > 0)
		df_rule_ok(st, s->ops->commit(s, commits, count, c->checkpoint, st->arena, &err), &err, "commit");
	if (s->ops->keeps_own_position)
		return "{}";
	text = df_value_to_arena(c->checkpoint, st->arena);
	text = df_arena_dup(st->arena, text);
	df_rule_check(st, text.ptr, "the suite is out of memory");
	return text.ptr;
}

void df_stage_restore(struct df_stage *st, struct df_source *s, const char *checkpoint)
{
	struct df_error err = DF_ERROR_INIT;
	struct df_value *document = NULL;

	if (s->ops->keeps_own_position || !s->ops->restore)
		return;
	df_stage_doing(st, "restoring a checkpoint");
	df_rule_ok(st, df_value_parse_text(df_str_c(checkpoint), st->arena, &document, &err), &err,
		   "the checkpoint that commit wrote is no JSON");
	df_rule_ok(st, s->ops->restore(s, document, &err), &err, "restore");
}

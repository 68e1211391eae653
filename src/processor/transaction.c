/*
 * exactlyOnce: the main sink stores the source's position in the transaction of the rows.
 *
 * A write is made so that reading can go on right behind it: no message is split over two writes, no row is parted from
 * others that share its position (df_message.joined), and everything read before it has ended. Then the position that
 * the ledger will have once the write is done is described by the source and goes into the write. When it is not known
 * whether a write happened, what the sink holds afterwards tells: no two writes store the same text.
 */
#include <string.h>

#include "processor/delivery.h"
#include "processor/internal.h"

#define COMPACT_BYTES ((size_t)64 << 10)
#define MARK "exactlyOnce" /* in the store's checkpoint: the flow has not run without it since */

/* ---- may it be ------------------------------------------------------------------------------------------- */

bool df_transaction_wanted(const struct df_output *o, const struct df_sink_ops *ops)
{
	return ops && ops->transactional && ops->transactional(o->component->settings);
}

/* ---- where to go on -------------------------------------------------------------------------------------- */

int df_transaction_ask(struct df_output *o, struct df_sink *sink, struct df_context *ctx, struct df_error *err)
{
	df_cleanup(df_arena_done) struct df_arena arena = { 0 };
	struct df_transaction *t = &o->p->transaction;
	struct df_str held = { 0 };
	int r = 0;

	if (sink->ops->held)
		r = sink->ops->held(sink, ctx, &arena, &held, err);
	if (r < 0)
		return r;
	t->held.len = 0;
	df_buf_add_str(&t->held, held);
	return t->held.failed ? df_error_no_memory(err) : 0;
}

static int damaged(const struct df_processor *p, const char *why, struct df_error *err)
{
	return df_error_set(err, DF_ERR_CONFIG,
			    "the position that the sink %s holds for this flow %s; restore it from a backup, or set "
			    "spec.checkpointReset to read the source from its beginning",
			    p->spec->sink.type->name, why);
}

/* Takes {"source": TYPE, "positions": {...}, "write": N} apart. */
static int parse_held(struct df_processor *p, struct df_error *err)
{
	struct df_transaction *t = &p->transaction;
	struct df_str text = df_arena_dup(&t->arena, df_buf_str(&t->held));
	struct df_value *root = NULL, *positions, *source, *number;
	int r;

	if (!text.ptr)
		return df_error_no_memory(err);
	r = df_value_parse_text(text, &t->arena, &root, err);
	if (r == DF_ERR_NO_MEMORY)
		return r;
	if (r < 0 || root->kind != DF_OBJECT)
		return damaged(p, "is damaged", err);
	positions = df_object_get_c(root, "positions");
	source = df_object_get_c(root, "source");
	number = df_object_get_c(root, "write");
	if (!positions || positions->kind != DF_OBJECT || !source || !number || !df_value_to_int64(number, &t->number))
		return damaged(p, "is damaged", err);
	if (!df_str_equal_c(df_value_text(source, &t->arena), p->source_type))
		return damaged(p, "belongs to another source", err);
	t->positions = positions;
	return 0;
}

/* The store's checkpoint tells whether the flow ran without exactlyOnce meanwhile; then what the sink holds is old. */
static int check_mark(struct df_processor *p, struct df_error *err)
{
	const struct df_value *mark = df_object_get_c(p->checkpoint, MARK);

	if (p->transaction.held.len == 0 || p->source_checkpoint->len == 0 || mark)
		return 0;
	return df_error_set(err, DF_ERR_CONFIG,
			    "this flow ran without exactlyOnce since the sink %s stored its position, which is old "
			    "now: remove the flow's position there to go on from the checkpoint",
			    p->spec->sink.type->name);
}

static int save_at_once(struct df_processor *p, struct df_error *err)
{
	if (!p->options.store || !df_processor_saves(p))
		return 0;
	return p->options.store->save(p->options.store, p->checkpoint, err);
}

/* Before the sink holds anything, so that nothing is taken for old. */
static int set_mark(struct df_processor *p, struct df_error *err)
{
	struct df_value *mark;

	if (df_object_get_c(p->checkpoint, MARK))
		return 0;
	mark = df_value_new(&p->checkpoint_arena, DF_TRUE);
	if (!mark)
		return df_error_no_memory(err);
	df_object_set(p->checkpoint, DF_STR(MARK), mark);
	return save_at_once(p, err);
}

/* Before anything is written without it. */
static int clear_mark(struct df_processor *p, struct df_error *err)
{
	struct df_value *mark = df_object_get_c(p->checkpoint, MARK);

	if (!mark)
		return 0;
	df_container_remove(p->checkpoint, df_container_prev(p->checkpoint, mark), mark);
	return save_at_once(p, err);
}

/* The positions become the source's member of the checkpoint, from which it is restored. */
static int restore(struct df_processor *p, struct df_error *err)
{
	struct df_value *mine = df_value_clone_deep(p->transaction.positions, &p->checkpoint_arena);

	if (!mine)
		return df_error_no_memory(err);
	df_object_set(p->checkpoint, df_str_c(p->source_type), mine);
	p->source_checkpoint = mine;
	p->resumed = mine->len > 0;
	return df_processor_create_source(p, err);
}

int df_transaction_open(struct df_processor *p, struct df_error *err)
{
	struct df_transaction *t = &p->transaction;
	int r;

	t->on = df_transaction_wanted(&p->outputs[0], p->outputs[0].sink->ops);
	for (size_t i = 1; i < p->output_count; i++)
		if (df_transaction_wanted(&p->outputs[i], p->outputs[i].sink->ops))
			return df_error_set(err, DF_ERR_CONFIG, "exactlyOnce is for spec.sink: remove it from the %s",
					    p->outputs[i].is_error ? "error sink" : "route's sink");
	if (!t->on)
		return clear_mark(p, err);
	r = df_delivery_conflict(p->spec, p->source_ops, p->outputs[0].sink->ops, err);
	if (r == 0 && !p->spec->checkpoint_reset)
		r = check_mark(p, err);
	if (r == 0 && t->held.len > 0 && !p->spec->checkpoint_reset)
		r = parse_held(p, err);
	if (r == 0 && t->positions)
		r = restore(p, err);
	else if (r == 0)
		t->positions = df_value_clone_deep(p->source_checkpoint, &t->arena);
	if (r == 0 && !t->positions)
		r = df_error_no_memory(err);
	if (r == 0)
		r = set_mark(p, err);
	if (r == 0)
		r = p->source_ops->describe(p->source, NULL, 0, t->positions, &t->arena, err);
	return r;
}

void df_transaction_done(struct df_transaction *t)
{
	df_arena_done(&t->arena);
	df_buf_done(&t->held);
}

/* ---- the position of a write ------------------------------------------------------------------------------ */

/* Where others read on from a position that is kept elsewhere, messages of a partition that was lost are theirs: they
 * are taken out. Returns whether there were some. (A file that was truncated has a new partition, but nobody else reads
 * what was in it.) */
static bool take_out_lost(struct df_flight *f, struct df_message **messages)
{
	struct df_attempt *a = &f->attempt;
	size_t n = 0, lost;

	if (!f->output->p->source_ops->keeps_own_position)
		return false;
	for (size_t i = 0; i < a->left; i++)
		if (!messages[i]->partition || !df_partition_forgotten(messages[i]->partition))
			messages[n++] = messages[i];
	lost = a->left - n;
	f->ended += lost;
	df_count_add(&f->output->p->counters.withdrawn, lost);
	a->left = n;
	return lost > 0;
}

static int compact(struct df_transaction *t, struct df_error *err)
{
	struct df_arena fresh = { 0 };
	struct df_value *copy;

	if (t->arena.allocated < COMPACT_BYTES)
		return 0;
	copy = df_value_clone_deep(t->positions, &fresh);
	if (!copy) {
		df_arena_done(&fresh);
		return df_error_no_memory(err);
	}
	df_arena_done(&t->arena);
	t->arena = fresh;
	t->positions = copy;
	return 0;
}

static int describe(struct df_processor *p, const struct df_commit *commits, size_t n, struct df_error *err)
{
	struct df_transaction *t = &p->transaction;
	int r = compact(t, err);

	if (r < 0)
		return r;
	pthread_mutex_lock(&p->source_lock);
	r = p->source_ops->describe(p->source, commits, n, t->positions, &t->arena, err);
	pthread_mutex_unlock(&p->source_lock);
	return r < 0 ? df_error_prefix(err, "source %s, describe", p->source_type) : 0;
}

/* The text that the sink stores. */
static int write_checkpoint(struct df_flight *f, struct df_error *err)
{
	struct df_processor *p = f->output->p;
	df_cleanup(df_buf_done) struct df_buf buf = { 0 };

	df_buf_add_c(&buf, "{\"source\":");
	df_json_write_string(df_str_c(p->source_type), &buf);
	df_buf_printf(&buf, ",\"write\":%lld,\"positions\":", (long long)++p->transaction.number);
	df_value_write(p->transaction.positions, &buf);
	df_buf_add_char(&buf, '}');
	f->checkpoint = buf.failed ? df_str(NULL, 0) : df_arena_dup(&f->arena, df_buf_str(&buf));
	return f->checkpoint.ptr ? 0 : df_error_no_memory(err);
}

int df_transaction_begin(struct df_flight *f, struct df_message **messages, struct df_error *err)
{
	struct df_processor *p = f->output->p;
	struct df_attempt *a = &f->attempt;
	struct df_commit *commits = NULL;
	size_t n = 0;
	int r;

	take_out_lost(f, messages);
	do {
		r = df_ledger_await(p->ledger, messages, a->left, p->settle_ctx, err);
		if (r < 0 || a->left == 0)
			return r;
		r = df_ledger_preview(messages, a->left, &f->arena, &commits, &n, err);
	} while (take_out_lost(f, messages));
	if (r == 0 && a->left == 0)
		return 0;
	if (r == 0)
		r = describe(p, commits, n, err);
	return r < 0 ? r : write_checkpoint(f, err);
}

bool df_transaction_happened(const struct df_flight *f)
{
	const struct df_buf *held = &f->output->p->transaction.held;

	return f->checkpoint.len > 0 && df_str_equal(f->checkpoint, df_str(held->data, held->len));
}

/* ---- where a write may end ------------------------------------------------------------------------------- */

/* Can reading go on between these two neighbours? after NULL: nothing is known of what follows. */
static bool is_end(const struct df_message *m, const struct df_message *after)
{
	return !m->joined && !(after && after->partition == m->partition && after->sequence == m->sequence);
}

/* All that waits has one position, and it is not known yet whether that was all: it may be, when what follows was
 * filtered out. */
static size_t all_or_nothing(const struct df_output *o)
{
	struct df_queue copy = o->queue;
	struct df_message **messages = malloc(copy.count * sizeof(struct df_message *));
	size_t n = copy.count;

	if (!messages)
		return 0;
	df_queue_take(&copy, messages, n);
	if (df_ledger_outlook(messages, n) != DF_OUTLOOK_CLEAR)
		n = 0;
	free(messages);
	return n;
}

size_t df_transaction_cut(const struct df_output *o, size_t n)
{
	const struct df_batch *batch = o->queue.next;
	const struct df_message *before = NULL;
	size_t at = o->queue.at, last = 0, i = 0;

	for (; batch; batch = batch->next, at = 0) {
		for (; at < batch->count; at++, i++) {
			if (before && is_end(before, &batch->messages[at])) {
				last = i;
				if (i >= n)
					return i;
			}
			before = &batch->messages[at];
		}
	}
	if (before && is_end(before, NULL))
		return i;
	return last ? last : all_or_nothing(o);
}

size_t df_transaction_half(struct df_message *const *messages, size_t n)
{
	for (size_t i = n / 2; i < n; i++)
		if (i > 0 && is_end(messages[i - 1], messages[i]))
			return i;
	for (size_t i = n / 2; i > 1; i--)
		if (is_end(messages[i - 2], messages[i - 1]))
			return i - 1;
	return 0;
}

int df_transaction_withdraw(struct df_output *o, struct df_error *err)
{
	size_t n = o->queue.count;
	struct df_message **messages = malloc((n + 1) * sizeof(struct df_message *));

	if (!messages)
		return df_error_no_memory(err);
	df_queue_take(&o->queue, messages, n);
	df_ledger_done(messages, n); /* whose positions stand before them */
	df_count_add(&o->p->counters.withdrawn, n);
	df_queue_end(&o->queue, n);
	free(messages);
	df_processor_progressed(o->p);
	return 0;
}

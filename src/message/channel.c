#include "message/channel.h"

#include <stdlib.h>

#include "message/wait.h"

/*
 * Senders that must wait stand in a line, each with a condition of its own: the first in line is woken when, and only
 * when, its batch fits. So a large batch is not overtaken for ever by small ones, and nobody wakes up in vain.
 * Receivers are all alike and share one condition.
 */
struct df_sender {
	struct df_sender *next;
	const struct df_batch *batch;
	pthread_cond_t wake;
	struct df_channel *ch; /* for the callback */
};

/* Time spent waiting by any number of threads, those included that still wait. */
struct df_wait_time {
	int64_t ended_ns; /* of waits that ended, minus the start of those that did not: see df_wait_time_total */
	int64_t waiting;  /* how many did not */
};

struct df_channel {
	pthread_mutex_t lock;
	pthread_cond_t received; /* what receivers wait on: a batch came, or closed, or cancelled */
	size_t max_messages, max_bytes;
	struct df_batch *first, *last;
	size_t messages, bytes, batches;
	struct df_sender *senders, *last_sender;
	bool closed;
	bool woken; /* whoever would wait must not */
	struct df_wait_time send_wait, receive_wait;
};

static void df_wait_time_start(struct df_wait_time *t)
{
	t->ended_ns -= df_clock_monotonic();
	t->waiting++;
}

static void df_wait_time_end(struct df_wait_time *t)
{
	t->ended_ns += df_clock_monotonic();
	t->waiting--;
}

static int64_t df_wait_time_total(const struct df_wait_time *t)
{
	return t->waiting ? t->ended_ns + t->waiting * df_clock_monotonic() : t->ended_ns;
}

struct df_channel *df_channel_new(size_t max_messages, size_t max_bytes)
{
	struct df_channel *ch = calloc(1, sizeof(*ch));

	if (!ch)
		return NULL;
	pthread_mutex_init(&ch->lock, NULL);
	df_wait_init(&ch->received);
	ch->max_messages = max_messages ? max_messages : 1;
	ch->max_bytes = max_bytes ? max_bytes : 1;
	return ch;
}

void df_channel_free(struct df_channel *ch)
{
	if (!ch)
		return;
	while (ch->first) {
		struct df_batch *batch = ch->first;
		ch->first = batch->next;
		df_batch_free(batch);
	}
	pthread_cond_destroy(&ch->received);
	pthread_mutex_destroy(&ch->lock);
	free(ch);
}

static bool df_within(size_t used, size_t add, size_t max)
{
	return used <= max && add <= max - used;
}

/* The number of batches is bounded too, so that empty ones do not pile up. Lock: held. */
static bool df_channel_fits(const struct df_channel *ch, const struct df_batch *batch)
{
	return ch->batches == 0 ||
	       (ch->batches < ch->max_messages && df_within(ch->messages, batch->count, ch->max_messages) &&
		df_within(ch->bytes, batch->bytes, ch->max_bytes));
}

/* Lock: held. */
static void df_channel_wake_sender(struct df_channel *ch)
{
	if (ch->senders && df_channel_fits(ch, ch->senders->batch))
		pthread_cond_signal(&ch->senders->wake);
}

/* Takes the batch over. Lock: held. */
static void df_channel_push(struct df_channel *ch, struct df_batch **batch)
{
	struct df_batch *b = DF_TAKE(*batch);

	b->next = NULL;
	if (ch->last)
		ch->last->next = b;
	else
		ch->first = b;
	ch->last = b;
	ch->batches++;
	ch->messages += b->count;
	ch->bytes += b->bytes;
	if (ch->receive_wait.waiting)
		pthread_cond_signal(&ch->received);
}

/* NULL when there is none. Lock: held. */
static struct df_batch *df_channel_pop(struct df_channel *ch)
{
	struct df_batch *b = ch->first;

	if (!b)
		return NULL;
	ch->first = b->next;
	if (!ch->first)
		ch->last = NULL;
	b->next = NULL;
	ch->batches--;
	ch->messages -= b->count;
	ch->bytes -= b->bytes;
	df_channel_wake_sender(ch);
	return b;
}

static int df_channel_closed_error(struct df_error *err)
{
	return df_error_set(err, DF_ERR_CLOSED, "channel is closed");
}

int df_channel_try_send(struct df_channel *ch, struct df_batch **batch)
{
	DF_LOCK_SCOPE(&ch->lock);
	if (ch->closed)
		return DF_ERR_CLOSED;
	/* Those in line come first. */
	if (ch->senders || !df_channel_fits(ch, *batch))
		return DF_ERR_TRANSIENT;
	df_channel_push(ch, batch);
	return 0;
}

static void df_sender_canceled(void *arg)
{
	struct df_sender *sender = arg;

	DF_LOCK_SCOPE(&sender->ch->lock);
	pthread_cond_signal(&sender->wake);
}

/* Lock: held. */
static void df_sender_enter(struct df_sender *sender)
{
	struct df_channel *ch = sender->ch;

	if (ch->last_sender)
		ch->last_sender->next = sender;
	else
		ch->senders = sender;
	ch->last_sender = sender;
	df_wait_time_start(&ch->send_wait);
}

/* Lock: held. Whatever made this sender leave, the next one may be the one that fits now. */
static void df_sender_leave(struct df_sender *sender)
{
	struct df_channel *ch = sender->ch;
	struct df_sender **place = &ch->senders;
	struct df_sender *before = NULL;

	while (*place != sender) {
		before = *place;
		place = &before->next;
	}
	*place = sender->next;
	if (ch->last_sender == sender)
		ch->last_sender = before;
	df_wait_time_end(&ch->send_wait);
	df_channel_wake_sender(ch);
}

/* Lock: held. */
static int df_sender_wait(struct df_sender *sender, struct df_context *ctx, struct df_batch **batch,
			  struct df_error *err)
{
	struct df_channel *ch = sender->ch;

	for (;;) {
		int rc = df_context_check(ctx, err);

		if (rc)
			return rc;
		if (ch->closed)
			return df_channel_closed_error(err);
		if (ch->senders == sender && df_channel_fits(ch, *batch)) {
			df_channel_push(ch, batch);
			return 0;
		}
		df_wait(&sender->wake, &ch->lock, ctx, INT64_MAX);
	}
}

int df_channel_send(struct df_channel *ch, struct df_context *ctx, struct df_batch **batch, struct df_error *err)
{
	/* Also when there is room: a source that looks at the context nowhere else must still see the end. */
	int rc = df_context_check(ctx, err);

	if (rc)
		return rc;
	rc = df_channel_try_send(ch, batch);
	if (rc == DF_ERR_CLOSED)
		return df_channel_closed_error(err);
	if (rc != DF_ERR_TRANSIENT)
		return rc;

	struct df_sender sender = { .batch = *batch, .ch = ch };
	struct df_context_callback callback = { .fn = df_sender_canceled, .arg = &sender };
	df_wait_init(&sender.wake);
	/* Registered and removed without the lock, which the callback takes. */
	df_context_on_cancel(ctx, &callback);
	pthread_mutex_lock(&ch->lock);
	df_sender_enter(&sender);
	rc = df_sender_wait(&sender, ctx, batch, err);
	df_sender_leave(&sender);
	pthread_mutex_unlock(&ch->lock);
	df_context_off_cancel(ctx, &callback);
	pthread_cond_destroy(&sender.wake);
	return rc;
}

static void df_receiver_canceled(void *arg)
{
	struct df_channel *ch = arg;

	DF_LOCK_SCOPE(&ch->lock);
	/* All of them: which one waits under this context is not known. */
	pthread_cond_broadcast(&ch->received);
}

/* True when the answer is there: a batch, or NULL when closed and drained. Lock: held. */
static bool df_channel_answer(struct df_channel *ch, struct df_batch **ret)
{
	*ret = df_channel_pop(ch);
	return *ret || ch->closed;
}

/* Lock: held. */
static int df_receiver_wait(struct df_channel *ch, struct df_context *ctx, int64_t until_ns, struct df_batch **ret,
			    struct df_error *err)
{
	while (!df_channel_answer(ch, ret)) {
		int rc = df_context_check(ctx, err);

		if (rc)
			return rc;
		if (ch->woken || (until_ns != INT64_MAX && df_clock_monotonic() >= until_ns)) {
			ch->woken = false;
			return df_error_set(err, DF_ERR_TIMEOUT, "no batch arrived in time");
		}
		df_wait(&ch->received, &ch->lock, ctx, until_ns);
	}
	return 0;
}

int df_channel_receive(struct df_channel *ch, struct df_context *ctx, int64_t until_monotonic_ns, struct df_batch **ret,
		       struct df_error *err)
{
	pthread_mutex_lock(&ch->lock);
	bool answered = df_channel_answer(ch, ret);
	pthread_mutex_unlock(&ch->lock);
	if (answered)
		return 0;

	struct df_context_callback callback = { .fn = df_receiver_canceled, .arg = ch };
	df_context_on_cancel(ctx, &callback);
	pthread_mutex_lock(&ch->lock);
	df_wait_time_start(&ch->receive_wait);
	int rc = df_receiver_wait(ch, ctx, until_monotonic_ns, ret, err);
	df_wait_time_end(&ch->receive_wait);
	pthread_mutex_unlock(&ch->lock);
	df_context_off_cancel(ctx, &callback);
	return rc;
}

void df_channel_wake(struct df_channel *ch)
{
	DF_LOCK_SCOPE(&ch->lock);
	ch->woken = true;
	pthread_cond_broadcast(&ch->received);
}

void df_channel_close(struct df_channel *ch)
{
	DF_LOCK_SCOPE(&ch->lock);
	ch->closed = true;
	pthread_cond_broadcast(&ch->received);
	for (struct df_sender *sender = ch->senders; sender; sender = sender->next)
		pthread_cond_signal(&sender->wake);
}

void df_channel_stats(struct df_channel *ch, struct df_channel_stats *ret)
{
	DF_LOCK_SCOPE(&ch->lock);
	*ret = (struct df_channel_stats){
		.messages = ch->messages,
		.bytes = ch->bytes,
		.batches = ch->batches,
		.send_wait_ns = df_wait_time_total(&ch->send_wait),
		.receive_wait_ns = df_wait_time_total(&ch->receive_wait),
	};
}

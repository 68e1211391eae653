#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/resource.h>

#include "base/clock.h"
#include "base/retry.h"
#include "message/channel.h"

static struct df_batch_pool *pool;

static int pool_setup(void **state)
{
	(void)state;
	pool = df_batch_pool_new(1 << 20);
	return pool ? 0 : -1;
}

static int pool_teardown(void **state)
{
	(void)state;
	/* Asserts that no batch is missing. */
	df_batch_pool_free(pool);
	return 0;
}

static struct df_batch *new_batch(size_t count, size_t bytes)
{
	struct df_batch *batch = df_batch_new(pool);

	assert_non_null(batch);
	for (size_t i = 0; i < count; i++)
		assert_non_null(df_batch_add(batch));
	/* Without memory of its own a batch that got lost would not be missed. */
	assert_non_null(df_arena_alloc(&batch->arena, 8));
	batch->bytes = bytes;
	return batch;
}

/* Sends without blocking; what is refused is freed. */
static int try(struct df_channel *ch, size_t count, size_t bytes)
{
	struct df_batch *batch = new_batch(count, bytes);
	int rc = df_channel_try_send(ch, &batch);

	assert_int_equal(batch == NULL, rc == 0);
	df_batch_free(batch);
	return rc;
}

/* The number of messages of the next batch, which must be there. */
static size_t take(struct df_channel *ch)
{
	struct df_batch *batch;

	assert_int_equal(df_channel_receive(ch, NULL, 0, &batch, NULL), 0);
	assert_non_null(batch);
	size_t count = batch->count;
	df_batch_free(batch);
	return count;
}

static void test_bound_in_messages(void **state)
{
	struct df_channel *ch = df_channel_new(10, 1000);
	struct df_channel_stats stats;

	(void)state;
	assert_int_equal(try(ch, 4, 1), 0);
	assert_int_equal(try(ch, 6, 1), 0);
	assert_int_equal(try(ch, 1, 1), DF_ERR_TRANSIENT);
	df_channel_stats(ch, &stats);
	assert_int_equal(stats.messages, 10);
	assert_int_equal(stats.bytes, 2);
	assert_int_equal(stats.batches, 2);
	assert_int_equal(take(ch), 4);
	assert_int_equal(try(ch, 5, 1), DF_ERR_TRANSIENT);
	assert_int_equal(try(ch, 4, 1), 0);
	assert_int_equal(take(ch), 6);
	assert_int_equal(take(ch), 4);
	df_channel_stats(ch, &stats);
	assert_int_equal(stats.messages, 0);
	assert_int_equal(stats.bytes, 0);
	assert_int_equal(stats.batches, 0);
	df_channel_free(ch);
	df_channel_free(NULL);
}

static void test_bound_in_bytes(void **state)
{
	struct df_channel *ch = df_channel_new(1000, 100);

	(void)state;
	assert_int_equal(try(ch, 1, 60), 0);
	assert_int_equal(try(ch, 2, 41), DF_ERR_TRANSIENT);
	assert_int_equal(try(ch, 2, 40), 0);
	assert_int_equal(take(ch), 1);
	assert_int_equal(try(ch, 3, 61), DF_ERR_TRANSIENT);
	assert_int_equal(try(ch, 3, 60), 0);
	df_channel_free(ch);
}

static void test_oversize_goes_alone(void **state)
{
	struct df_channel *ch = df_channel_new(10, 100);

	(void)state;
	assert_int_equal(try(ch, 1, 1), 0);
	assert_int_equal(try(ch, 11, 1), DF_ERR_TRANSIENT);
	assert_int_equal(try(ch, 2, 101), DF_ERR_TRANSIENT);
	assert_int_equal(take(ch), 1);
	assert_int_equal(try(ch, 11, 1), 0);
	assert_int_equal(try(ch, 0, 0), DF_ERR_TRANSIENT);
	assert_int_equal(take(ch), 11);
	assert_int_equal(try(ch, 2, SIZE_MAX), 0);
	assert_int_equal(try(ch, 1, 1), DF_ERR_TRANSIENT);
	assert_int_equal(take(ch), 2);
	/* Empty batches do not pile up either. */
	for (int i = 0; i < 10; i++)
		assert_int_equal(try(ch, 0, 0), 0);
	assert_int_equal(try(ch, 0, 0), DF_ERR_TRANSIENT);
	df_channel_free(ch);
}

static void test_close_and_drain(void **state)
{
	struct df_channel *ch = df_channel_new(10, 100);
	struct df_batch *batch = new_batch(1, 1);
	struct df_error err;

	(void)state;
	assert_int_equal(try(ch, 1, 1), 0);
	assert_int_equal(try(ch, 2, 1), 0);
	df_channel_close(ch);
	df_channel_close(ch);
	assert_int_equal(try(ch, 1, 1), DF_ERR_CLOSED);
	assert_int_equal(df_channel_send(ch, NULL, &batch, &err), DF_ERR_CLOSED);
	assert_int_equal(err.code, DF_ERR_CLOSED);
	assert_non_null(batch);
	df_batch_free(batch);
	assert_int_equal(take(ch), 1);
	assert_int_equal(take(ch), 2);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(df_channel_receive(ch, NULL, INT64_MAX, &batch, &err), 0);
		assert_null(batch);
	}
	df_channel_free(ch);
}

static void test_canceled_before(void **state)
{
	struct df_channel *ch = df_channel_new(10, 100);
	df_cleanup(df_context_freep) struct df_context *ctx = df_context_new(NULL);
	struct df_batch *batch = new_batch(3, 1);
	struct df_error err;

	(void)state;
	assert_int_equal(df_channel_send(ch, ctx, &batch, &err), 0);
	assert_null(batch);
	df_context_cancel(ctx);
	batch = new_batch(4, 1);
	/* Room or not: a source that only sends must see the end. */
	assert_int_equal(df_channel_send(ch, ctx, &batch, &err), DF_ERR_CANCELED);
	assert_non_null(batch);
	df_batch_free(batch);
	/* What is there is handed out all the same. */
	assert_int_equal(df_channel_receive(ch, ctx, INT64_MAX, &batch, &err), 0);
	assert_int_equal(batch->count, 3);
	df_batch_free(batch);
	assert_int_equal(df_channel_receive(ch, ctx, INT64_MAX, &batch, &err), DF_ERR_CANCELED);
	assert_null(batch);
	df_channel_free(ch);
}

static void test_timeouts(void **state)
{
	struct df_channel *ch = df_channel_new(1, 100);
	df_cleanup(df_context_freep) struct df_context *ctx = df_context_new(NULL);
	struct df_batch *batch;
	struct df_error err;
	int64_t from = df_clock_monotonic();

	(void)state;
	assert_int_equal(df_channel_receive(ch, ctx, 0, &batch, &err), DF_ERR_TIMEOUT);
	assert_int_equal(df_channel_receive(ch, NULL, INT64_MIN, &batch, NULL), DF_ERR_TIMEOUT);
	assert_int_equal(df_channel_receive(ch, ctx, from + 10 * DF_NS_PER_MS, &batch, &err), DF_ERR_TIMEOUT);
	assert_true(df_clock_monotonic() >= from + 10 * DF_NS_PER_MS);
	assert_null(batch);

	from = df_clock_monotonic();
	df_context_deadline(ctx, from + 10 * DF_NS_PER_MS);
	assert_int_equal(df_channel_receive(ch, ctx, INT64_MAX, &batch, &err), DF_ERR_TIMEOUT);
	assert_true(df_clock_monotonic() >= from + 10 * DF_NS_PER_MS);
	df_context_free(DF_TAKE(ctx));

	ctx = df_context_new(NULL);
	assert_int_equal(try(ch, 1, 1), 0);
	from = df_clock_monotonic();
	df_context_deadline(ctx, from + 10 * DF_NS_PER_MS);
	batch = new_batch(1, 1);
	assert_int_equal(df_channel_send(ch, ctx, &batch, &err), DF_ERR_TIMEOUT);
	assert_true(df_clock_monotonic() >= from + 10 * DF_NS_PER_MS);
	assert_non_null(batch);
	df_batch_free(batch);
	df_channel_free(ch);
}

/* ---- one other thread that blocks ------------------------------------------------------------------------ */

struct blocked {
	struct df_channel *ch;
	struct df_context *ctx;
	struct df_batch *batch; /* to send, or received */
	bool send;
	int rc;
	long switches; /* voluntary context switches while blocked */
	pthread_t thread;
};

static void *blocked_thread(void *arg)
{
	struct blocked *b = arg;
	struct rusage before, after;

	getrusage(RUSAGE_THREAD, &before);
	if (b->send)
		b->rc = df_channel_send(b->ch, b->ctx, &b->batch, NULL);
	else
		b->rc = df_channel_receive(b->ch, b->ctx, INT64_MAX, &b->batch, NULL);
	getrusage(RUSAGE_THREAD, &after);
	b->switches = after.ru_nvcsw - before.ru_nvcsw;
	return NULL;
}

static int64_t waited(struct df_channel *ch)
{
	struct df_channel_stats stats;

	df_channel_stats(ch, &stats);
	return stats.send_wait_ns + stats.receive_wait_ns;
}

/* Starts it and returns when it waits. */
static void blocked_start(struct blocked *b)
{
	int64_t before = waited(b->ch);

	/* Grows only while somebody waits. */
	assert_int_equal(waited(b->ch), before);
	assert_int_equal(pthread_create(&b->thread, NULL, blocked_thread, b), 0);
	while (waited(b->ch) <= before)
		assert_int_equal(df_context_sleep(NULL, DF_NS_PER_MS / 10), 0);
}

static void test_send_wakes_receiver(void **state)
{
	struct df_channel *ch = df_channel_new(10, 100);
	struct blocked b = { .ch = ch };

	(void)state;
	blocked_start(&b);
	assert_int_equal(try(ch, 5, 1), 0);
	pthread_join(b.thread, NULL);
	assert_int_equal(b.rc, 0);
	assert_int_equal(b.batch->count, 5);
	df_batch_free(b.batch);
	df_channel_free(ch);
}

static void test_receive_wakes_sender(void **state)
{
	struct df_channel *ch = df_channel_new(10, 100);
	struct blocked b = { .ch = ch, .send = true, .batch = new_batch(9, 1) };

	(void)state;
	assert_int_equal(try(ch, 5, 1), 0);
	assert_int_equal(try(ch, 4, 1), 0);
	blocked_start(&b);
	/* It stands first in line: a small one that would fit does not overtake it. */
	assert_int_equal(try(ch, 1, 1), DF_ERR_TRANSIENT);
	assert_int_equal(take(ch), 5);
	assert_int_equal(try(ch, 1, 1), DF_ERR_TRANSIENT);
	assert_int_equal(take(ch), 4);
	pthread_join(b.thread, NULL);
	assert_int_equal(b.rc, 0);
	assert_null(b.batch);
	assert_int_equal(try(ch, 1, 1), 0);
	assert_int_equal(take(ch), 9);
	df_channel_free(ch);
}

/* A wake ends one wait, the one under way or the next; a batch that is there is handed out all the same. */
static void test_wake(void **state)
{
	(void)state;
	struct df_channel *ch = df_channel_new(10, 1000);
	struct df_batch *batch = NULL;

	df_channel_wake(ch);
	assert_int_equal(df_channel_receive(ch, NULL, INT64_MAX, &batch, NULL), DF_ERR_TIMEOUT);
	df_channel_wake(ch);
	df_channel_wake(ch);
	assert_int_equal(try(ch, 3, 10), 0);
	assert_int_equal(take(ch), 3);
	assert_int_equal(df_channel_receive(ch, NULL, INT64_MAX, &batch, NULL), DF_ERR_TIMEOUT);
	int64_t start = df_clock_monotonic();
	assert_int_equal(df_channel_receive(ch, NULL, start + 5 * DF_NS_PER_MS, &batch, NULL), DF_ERR_TIMEOUT);
	assert_true(df_clock_monotonic() - start >= 5 * DF_NS_PER_MS);
	df_channel_free(ch);
}

static void test_cancel_wakes(void **state)
{
	struct df_channel *ch = df_channel_new(1, 100);
	df_cleanup(df_context_freep) struct df_context *parent = df_context_new(NULL);
	df_cleanup(df_context_freep) struct df_context *ctx = df_context_new(parent);
	df_cleanup(df_context_freep) struct df_context *other = df_context_new(parent);
	struct blocked receiver = { .ch = ch, .ctx = other };
	struct blocked sender = { .ch = ch, .ctx = ctx, .send = true, .batch = new_batch(1, 1) };

	(void)state;
	blocked_start(&receiver);
	df_context_cancel(other);
	pthread_join(receiver.thread, NULL);
	assert_int_equal(receiver.rc, DF_ERR_CANCELED);
	assert_null(receiver.batch);
	assert_int_equal(try(ch, 1, 1), 0);
	blocked_start(&sender);
	df_context_cancel(parent);
	pthread_join(sender.thread, NULL);
	assert_int_equal(sender.rc, DF_ERR_CANCELED);
	assert_non_null(sender.batch);
	df_batch_free(sender.batch);
	/* Nobody stands in line any more. */
	assert_int_equal(take(ch), 1);
	assert_int_equal(try(ch, 1, 1), 0);
	df_channel_free(ch);
}

/* Receivers share a condition: the right one must wake up, whichever it is. */
static void test_cancel_wakes_the_right_receiver(void **state)
{
	(void)state;
	for (size_t which = 0; which < 2; which++) {
		struct df_channel *ch = df_channel_new(1, 100);
		struct df_context *ctx[2] = { df_context_new(NULL), df_context_new(NULL) };
		struct blocked receivers[2] = { { .ch = ch, .ctx = ctx[0] }, { .ch = ch, .ctx = ctx[1] } };

		blocked_start(&receivers[0]);
		assert_int_equal(pthread_create(&receivers[1].thread, NULL, blocked_thread, &receivers[1]), 0);
		assert_int_equal(df_context_sleep(NULL, 5 * DF_NS_PER_MS), 0);
		df_context_cancel(ctx[which]);
		pthread_join(receivers[which].thread, NULL);
		assert_int_equal(receivers[which].rc, DF_ERR_CANCELED);
		assert_int_equal(try(ch, 1, 1), 0);
		pthread_join(receivers[1 - which].thread, NULL);
		assert_int_equal(receivers[1 - which].rc, 0);
		df_batch_free(receivers[1 - which].batch);
		df_context_free(ctx[0]);
		df_context_free(ctx[1]);
		df_channel_free(ch);
	}
}

static void test_cancel_of_first_in_line_lets_next_in(void **state)
{
	struct df_channel *ch = df_channel_new(10, 100);
	df_cleanup(df_context_freep) struct df_context *ctx = df_context_new(NULL);
	struct blocked large = { .ch = ch, .ctx = ctx, .send = true, .batch = new_batch(10, 1) };
	struct blocked small = { .ch = ch, .send = true, .batch = new_batch(1, 1) };
	struct df_channel_stats stats;

	(void)state;
	assert_int_equal(try(ch, 5, 1), 0);
	blocked_start(&large);
	assert_int_equal(pthread_create(&small.thread, NULL, blocked_thread, &small), 0);
	assert_int_equal(df_context_sleep(NULL, 5 * DF_NS_PER_MS), 0);
	df_channel_stats(ch, &stats);
	assert_int_equal(stats.batches, 1);
	df_context_cancel(ctx);
	pthread_join(large.thread, NULL);
	pthread_join(small.thread, NULL);
	assert_int_equal(large.rc, DF_ERR_CANCELED);
	assert_int_equal(small.rc, 0);
	df_batch_free(large.batch);
	df_channel_free(ch);
}

static void test_close_wakes(void **state)
{
	struct df_channel *ch = df_channel_new(1, 100), *empty = df_channel_new(1, 100);
	struct blocked sender = { .ch = ch, .send = true, .batch = new_batch(1, 1) };
	struct blocked receiver = { .ch = empty };

	(void)state;
	assert_int_equal(try(ch, 1, 1), 0);
	blocked_start(&sender);
	blocked_start(&receiver);
	df_channel_close(ch);
	df_channel_close(empty);
	pthread_join(sender.thread, NULL);
	pthread_join(receiver.thread, NULL);
	assert_int_equal(sender.rc, DF_ERR_CLOSED);
	assert_non_null(sender.batch);
	df_batch_free(sender.batch);
	assert_int_equal(receiver.rc, 0);
	assert_null(receiver.batch);
	df_channel_free(ch);
	df_channel_free(empty);
}

static void test_nobody_wakes_up_in_vain(void **state)
{
	struct df_channel *ch = df_channel_new(100, 1000), *empty = df_channel_new(1, 1);
	df_cleanup(df_context_freep) struct df_context *ctx = df_context_new(NULL);
	struct blocked sender = { .ch = ch, .ctx = ctx, .send = true, .batch = new_batch(100, 1) };
	struct blocked receiver = { .ch = empty, .ctx = ctx };

	(void)state;
	for (int i = 0; i < 100; i++)
		assert_int_equal(try(ch, 1, 1), 0);
	/* With a deadline far away, which is no reason to look again and again. */
	df_context_deadline(ctx, df_clock_monotonic() + 3600 * DF_NS_PER_S);
	blocked_start(&sender);
	blocked_start(&receiver);
	/* 99 places become free, which is not enough for it. */
	for (int i = 0; i < 99; i++) {
		assert_int_equal(take(ch), 1);
		assert_int_equal(df_context_sleep(NULL, DF_NS_PER_MS / 2), 0);
	}
	assert_int_equal(take(ch), 1);
	df_channel_close(empty);
	pthread_join(sender.thread, NULL);
	pthread_join(receiver.thread, NULL);
	assert_int_equal(sender.rc, 0);
	assert_int_equal(receiver.rc, 0);
	/* One to sleep, and a few for mutexes that were taken; 99 in vain. */
	assert_in_range(sender.switches, 0, 40);
	assert_in_range(receiver.switches, 0, 40);
	df_channel_free(ch);
	df_channel_free(empty);
}

static void test_wait_time(void **state)
{
	struct df_channel *ch = df_channel_new(1, 100);
	struct df_channel_stats stats;
	struct df_batch *batch;
	int64_t from = df_clock_monotonic();

	(void)state;
	assert_int_equal(df_channel_receive(ch, NULL, from + 300 * DF_NS_PER_MS, &batch, NULL), DF_ERR_TIMEOUT);
	int64_t to = df_clock_monotonic();
	assert_int_equal(try(ch, 1, 1), 0);
	assert_int_equal(take(ch), 1);
	df_channel_stats(ch, &stats);
	assert_int_equal(stats.send_wait_ns, 0);
	assert_in_range(stats.receive_wait_ns, 50 * DF_NS_PER_MS, to - from);
	df_channel_free(ch);
}

/* ---- many threads ---------------------------------------------------------------------------------------- */

#define SENDERS 3
#define RECEIVERS 3
#define BATCHES 2000

struct stress {
	struct df_channel *ch;
	atomic_uchar received[SENDERS][BATCHES];
	atomic_bool stop;
	/* The chaos thread cancels what is here. */
	pthread_mutex_t lock;
	struct df_context *contexts[SENDERS + RECEIVERS];
	atomic_size_t cancels;
};

struct stress_thread {
	struct stress *stress;
	size_t index;
	pthread_t thread;
};

/* A fresh context in place of one that was cancelled. */
static struct df_context *stress_context(struct stress *s, size_t slot)
{
	DF_LOCK_SCOPE(&s->lock);
	if (!s->contexts[slot] || df_context_canceled(s->contexts[slot])) {
		df_context_free(s->contexts[slot]);
		s->contexts[slot] = df_context_new(NULL);
	}
	return s->contexts[slot];
}

static void *stress_sender(void *arg)
{
	struct stress_thread *t = arg;
	struct stress *s = t->stress;
	uint64_t random = 5 + t->index;

	for (size_t i = 0; i < BATCHES; i++) {
		struct df_batch *batch = new_batch(df_random_next(&random) % 8, df_random_next(&random) % 120);
		batch->sequence = t->index * BATCHES + i;
		for (;;) {
			int rc = df_random_next(&random) % 8 == 0
					 ? df_channel_try_send(s->ch, &batch)
					 : df_channel_send(s->ch, stress_context(s, t->index), &batch, NULL);
			if (rc == 0)
				break;
			assert_true(rc == DF_ERR_CANCELED || rc == DF_ERR_TRANSIENT);
			assert_int_equal(batch->sequence, t->index * BATCHES + i);
		}
		assert_null(batch);
	}
	return NULL;
}

static void *stress_receiver(void *arg)
{
	struct stress_thread *t = arg;
	struct stress *s = t->stress;
	uint64_t random = 99 + t->index;
	int64_t last[SENDERS] = { -1, -1, -1 };

	for (;;) {
		struct df_batch *batch;
		struct df_context *ctx = stress_context(s, SENDERS + t->index);
		int64_t until = df_random_next(&random) % 4 == 0 ? df_clock_monotonic() + 20000 : INT64_MAX;
		int rc = df_channel_receive(s->ch, ctx, until, &batch, NULL);
		if (rc) {
			assert_true(rc == DF_ERR_CANCELED || rc == DF_ERR_TIMEOUT);
			assert_null(batch);
			continue;
		}
		if (!batch)
			return NULL;
		size_t sender = batch->sequence / BATCHES, number = batch->sequence % BATCHES;
		assert_int_equal(atomic_fetch_add(&s->received[sender][number], 1), 0);
		/* One sender's batches keep their order. */
		assert_true((int64_t)number > last[sender]);
		last[sender] = (int64_t)number;
		df_batch_free(batch);
	}
}

static void *stress_chaos(void *arg)
{
	struct stress *s = arg;
	uint64_t random = 3;

	while (!atomic_load(&s->stop)) {
		pthread_mutex_lock(&s->lock);
		df_context_cancel(s->contexts[df_random_next(&random) % (SENDERS + RECEIVERS)]);
		pthread_mutex_unlock(&s->lock);
		atomic_fetch_add(&s->cancels, 1);
		assert_int_equal(df_context_sleep(NULL, 50000), 0);
	}
	return NULL;
}

static void test_threads(void **state)
{
	struct stress *s = calloc(1, sizeof(*s));
	struct stress_thread senders[SENDERS], receivers[RECEIVERS];
	pthread_t chaos;

	(void)state;
	assert_non_null(s);
	pthread_mutex_init(&s->lock, NULL);
	s->ch = df_channel_new(10, 200);
	pthread_create(&chaos, NULL, stress_chaos, s);
	for (size_t i = 0; i < RECEIVERS; i++) {
		receivers[i] = (struct stress_thread){ .stress = s, .index = i };
		pthread_create(&receivers[i].thread, NULL, stress_receiver, &receivers[i]);
	}
	for (size_t i = 0; i < SENDERS; i++) {
		senders[i] = (struct stress_thread){ .stress = s, .index = i };
		pthread_create(&senders[i].thread, NULL, stress_sender, &senders[i]);
	}
	for (size_t i = 0; i < SENDERS; i++)
		pthread_join(senders[i].thread, NULL);
	df_channel_close(s->ch);
	for (size_t i = 0; i < RECEIVERS; i++)
		pthread_join(receivers[i].thread, NULL);
	atomic_store(&s->stop, true);
	pthread_join(chaos, NULL);
	for (size_t i = 0; i < SENDERS * BATCHES; i++)
		assert_int_equal(atomic_load(&s->received[i / BATCHES][i % BATCHES]), 1);
	for (size_t i = 0; i < SENDERS + RECEIVERS; i++)
		df_context_free(s->contexts[i]);
	df_channel_free(s->ch);
	pthread_mutex_destroy(&s->lock);
	free(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bound_in_messages),
		cmocka_unit_test(test_bound_in_bytes),
		cmocka_unit_test(test_oversize_goes_alone),
		cmocka_unit_test(test_close_and_drain),
		cmocka_unit_test(test_canceled_before),
		cmocka_unit_test(test_timeouts),
		cmocka_unit_test(test_send_wakes_receiver),
		cmocka_unit_test(test_receive_wakes_sender),
		cmocka_unit_test(test_wake),
		cmocka_unit_test(test_cancel_wakes),
		cmocka_unit_test(test_cancel_wakes_the_right_receiver),
		cmocka_unit_test(test_cancel_of_first_in_line_lets_next_in),
		cmocka_unit_test(test_close_wakes),
		cmocka_unit_test(test_nobody_wakes_up_in_vain),
		cmocka_unit_test(test_wait_time),
		cmocka_unit_test(test_threads),
	};

	return cmocka_run_group_tests_name("channel", tests, pool_setup, pool_teardown);
}

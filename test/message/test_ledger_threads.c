#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/retry.h"
#include "message/channel.h"
#include "message/ledger.h"

static void add(struct df_batch *batch, struct df_partition *p, int64_t number, const char *data)
{
	struct df_message *m = df_batch_add(batch);

	assert_non_null(m);
	m->partition = p;
	m->position = (struct df_position){ .number = number, .data = df_str_c(data) };
}

/* Sources, workers and a collector at once: nothing is lost, committed too early or counted twice. */

#define SOURCES 2
#define WORKERS 3
#define OWN 3 /* partitions a source has for itself, checked number by number */
#define BATCHES 1500
#define PER_BATCH 40
#define NUMBERS (BATCHES * PER_BATCH)

struct stress {
	struct df_ledger *ledger;
	struct df_batch_pool *pool;
	struct df_channel *channel;
	atomic_uchar done[SOURCES][OWN][NUMBERS]; /* set just before the last completion */
	int64_t opened[SOURCES][OWN];
	atomic_size_t opened_shared;
	atomic_bool stop;
	/* the collector's */
	int64_t committed[SOURCES][OWN];
	size_t committed_shared;
};

struct stress_thread {
	struct stress *stress;
	size_t index;
	pthread_t thread;
};

static void stress_fill(struct stress *s, size_t source, struct df_partition **own, struct df_partition *shared,
			struct df_partition *lost, struct df_batch *batch, uint64_t *random)
{
	size_t which = 0;

	for (size_t i = 0; i < PER_BATCH; i++) {
		if (df_random_next(random) % 8 == 0)
			which = df_random_next(random) % (OWN + 2);
		if (which < OWN) {
			int64_t number = s->opened[source][which]++;
			add(batch, own[which], number, NULL);
			struct df_message *m = &batch->messages[batch->count - 1];
			m->index = (uint32_t)(source * OWN + which);
			m->position.data = df_arena_dup(&batch->arena, df_str((char *)&number, sizeof(number)));
		} else {
			static const char data[257];
			add(batch, which == OWN ? shared : lost, 0, NULL);
			struct df_message *m = &batch->messages[batch->count - 1];
			m->index = UINT32_MAX;
			m->position.data = df_str(data, df_random_next(random) % sizeof(data));
			if (which == OWN)
				atomic_fetch_add(&s->opened_shared, 1);
		}
	}
}

static void *stress_source(void *arg)
{
	struct stress_thread *t = arg;
	struct stress *s = t->stress;
	struct df_partition *own[OWN], *shared, *lost;
	uint64_t random = 77 + t->index;
	char name[32];

	for (size_t i = 0; i < OWN; i++) {
		snprintf(name, sizeof(name), "%zu/%zu", t->index, i);
		assert_int_equal(df_ledger_partition(s->ledger, df_str_c(name), &own[i], NULL), 0);
	}
	assert_int_equal(df_ledger_partition(s->ledger, DF_STR("shared"), &shared, NULL), 0);
	for (size_t i = 0; i < BATCHES; i++) {
		struct df_batch *batch = df_batch_new(s->pool);
		snprintf(name, sizeof(name), "lost %zu", t->index);
		assert_int_equal(df_ledger_partition(s->ledger, df_str_c(name), &lost, NULL), 0);
		stress_fill(s, t->index, own, shared, lost, batch, &random);
		assert_int_equal(df_ledger_open(batch, NULL), 0);
		assert_int_equal(df_channel_send(s->channel, NULL, &batch, NULL), 0);
		if (i % 16 == 0)
			df_partition_forget(lost);
		if (i % 64 == 0) /* nobody but the workers completes, so it ends by itself */
			assert_int_equal(df_ledger_drain(s->ledger, own[0], NULL, NULL), 0);
	}
	return NULL;
}

/* Completes two batches in a random order, some messages as several children. */
static void stress_complete(struct stress *s, struct df_batch *batch, uint64_t *random)
{
	struct df_message *order[PER_BATCH * 2];
	size_t n = 0;

	for (size_t i = 0; i < batch->count; i++) {
		struct df_message *m = &batch->messages[i];
		size_t copies = df_random_next(random) % 16 == 0 ? 2 : 1;
		df_ledger_split(m, copies);
		while (copies-- > 0)
			order[n++] = m;
		if (m->index != UINT32_MAX)
			atomic_store_explicit(&s->done[m->index / OWN][m->index % OWN][m->position.number], 1,
					      memory_order_relaxed);
	}
	for (size_t i = n; i > 1; i--) {
		size_t k = df_random_next(random) % i;
		struct df_message *m = order[k];
		order[k] = order[i - 1];
		order[i - 1] = m;
	}
	for (size_t i = 0; i < n;) {
		size_t part = 1 + df_random_next(random) % 16;
		if (part > n - i)
			part = n - i;
		df_ledger_done(order + i, part);
		i += part;
	}
}

static void *stress_worker(void *arg)
{
	struct stress_thread *t = arg;
	struct stress *s = t->stress;
	uint64_t random = 1234 + t->index;
	struct df_batch *held = NULL;

	for (;;) {
		struct df_batch *batch;
		/* Not for ever: what is held back may be what a source drains. */
		int rc = df_channel_receive(s->channel, NULL, df_clock_monotonic() + DF_NS_PER_MS, &batch, NULL);
		if (held) {
			stress_complete(s, held, &random);
			df_batch_free(held);
			held = NULL;
		}
		if (rc == DF_ERR_TIMEOUT)
			continue;
		assert_int_equal(rc, 0);
		if (!batch)
			return NULL;
		if (df_random_next(&random) % 2) {
			held = batch;
			continue;
		}
		stress_complete(s, batch, &random);
		df_batch_free(batch);
	}
}

static void stress_check(struct stress *s, const struct df_commit *c)
{
	unsigned source, which;
	char key[64];

	snprintf(key, sizeof(key), DF_STR_FMT, DF_STR_ARG(c->key));
	if (df_str_equal_c(c->key, "shared"))
		s->committed_shared += c->messages;
	if (sscanf(key, "%u/%u", &source, &which) != 2)
		return;
	int64_t *last = &s->committed[source][which];
	assert_int_equal(*last + (int64_t)c->messages, c->position.number + 1);
	assert_int_equal(c->position.data.len, sizeof(int64_t));
	assert_memory_equal(c->position.data.ptr, &c->position.number, sizeof(int64_t));
	for (; *last <= c->position.number; (*last)++)
		assert_int_equal(atomic_load_explicit(&s->done[source][which][*last], memory_order_relaxed), 1);
}

static void stress_collect(struct stress *s)
{
	struct df_arena arena;
	struct df_commit *commits;
	size_t count;

	df_arena_init(&arena, NULL);
	assert_int_equal(df_ledger_collect(s->ledger, &arena, &commits, &count, NULL), 0);
	for (size_t i = 0; i < count; i++)
		stress_check(s, &commits[i]);
	df_arena_done(&arena);
}

static void *stress_collector(void *arg)
{
	struct stress_thread *t = arg;

	while (!atomic_load(&t->stress->stop))
		stress_collect(t->stress);
	return NULL;
}

static void test_threads(void **state)
{
	struct stress *s = calloc(1, sizeof(*s));
	struct stress_thread sources[SOURCES], workers[WORKERS], collector = { .stress = s };

	(void)state;
	assert_non_null(s);
	s->ledger = df_ledger_new();
	s->pool = df_batch_pool_new(1 << 20);
	s->channel = df_channel_new(4 * PER_BATCH, 1 << 20);
	pthread_create(&collector.thread, NULL, stress_collector, &collector);
	for (size_t i = 0; i < WORKERS; i++) {
		workers[i] = (struct stress_thread){ .stress = s, .index = i };
		pthread_create(&workers[i].thread, NULL, stress_worker, &workers[i]);
	}
	for (size_t i = 0; i < SOURCES; i++) {
		sources[i] = (struct stress_thread){ .stress = s, .index = i };
		pthread_create(&sources[i].thread, NULL, stress_source, &sources[i]);
	}
	for (size_t i = 0; i < SOURCES; i++)
		pthread_join(sources[i].thread, NULL);
	assert_int_equal(df_ledger_drain(s->ledger, NULL, NULL, NULL), 0);
	df_channel_close(s->channel);
	for (size_t i = 0; i < WORKERS; i++)
		pthread_join(workers[i].thread, NULL);
	atomic_store(&s->stop, true);
	pthread_join(collector.thread, NULL);
	stress_collect(s);
	for (size_t i = 0; i < SOURCES * OWN; i++)
		assert_int_equal(s->committed[i / OWN][i % OWN], s->opened[i / OWN][i % OWN]);
	assert_int_equal(s->committed_shared, atomic_load(&s->opened_shared));
	assert_int_equal(df_ledger_open_count(s->ledger), 0);
	df_channel_free(s->channel);
	df_ledger_free(s->ledger);
	df_batch_pool_free(s->pool);
	free(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_threads),
	};

	return cmocka_run_group_tests_name("ledger threads", tests, NULL, NULL);
}

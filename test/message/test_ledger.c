#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "alloc.h"
#include "base/clock.h"
#include "base/retry.h"
#include "message/channel.h"
#include "message/ledger.h"

static uint64_t seed_state;

static size_t below(size_t n)
{
	return (size_t)(df_random_next(&seed_state) % n);
}

/* ---- a naive model ---------------------------------------------------------------------------------------------- */

struct model_position {
	int64_t number;
	size_t pending;
	bool stuck; /* done only at the end */
	size_t len;
	char data[160];
};

/* One generation of one partition. */
struct model_partition {
	struct df_partition *real;
	struct model_position *positions;
	size_t count, cap;
	size_t head;	  /* all below are done */
	size_t collected; /* head at the last collect */
	size_t open;
	bool forgotten;
};

/* A completion that is still to come. */
struct completion {
	struct df_message message;
	struct model_partition *partition;
	size_t position;
};

#define KEYS 5

struct model {
	struct df_ledger *ledger;
	struct df_batch_pool *pool;
	struct model_partition *live[KEYS];
	struct model_partition *all[64];
	size_t all_count;
	struct completion *todo;
	size_t todo_count, todo_cap;
};

static void *more(void *p, size_t *cap, size_t count, size_t size)
{
	if (count < *cap)
		return p;
	*cap = *cap ? *cap * 2 : 64;
	p = realloc(p, *cap * size);
	assert_non_null(p);
	return p;
}

static void model_partition(struct model *m, size_t key)
{
	char name[32];
	struct model_partition *p = calloc(1, sizeof(*p));

	assert_non_null(p);
	snprintf(name, sizeof(name), "topic/%zu", key);
	assert_int_equal(df_ledger_partition(m->ledger, df_str_c(name), &p->real, NULL), 0);
	assert_true(df_str_equal_c(df_partition_key(p->real), name));
	m->live[key] = p;
	m->all[m->all_count++] = p;
}

static size_t model_open_count(const struct model *m)
{
	size_t open = 0;

	for (size_t i = 0; i < KEYS; i++)
		open += m->live[i]->open;
	return open;
}

static size_t random_len(void)
{
	switch (below(8)) {
	case 0:
		return below(160);
	case 1:
	case 2:
		return 1 + below(8);
	default:
		return 0;
	}
}

static void model_add(struct model *m, struct df_batch *batch, size_t key)
{
	struct df_message *message = df_batch_add(batch);
	struct model_partition *p = m->live[key];

	assert_non_null(message);
	if (below(50) == 0)
		return; /* no partition: not tracked */
	p->positions = more(p->positions, &p->cap, p->count, sizeof(*p->positions));
	struct model_position *position = &p->positions[p->count++];
	*position = (struct model_position){ .number = (int64_t)p->count * 10 - 7,
					     .pending = 1,
					     .stuck = key < 2 && below(1000) == 0,
					     .len = random_len() };
	for (size_t i = 0; i < position->len; i++)
		position->data[i] = (char)(p->count + i);
	p->open++;
	message->partition = p->real;
	message->position.number = position->number;
	message->position.data = df_arena_dup(&batch->arena, df_str(position->data, position->len));
	message->index = (uint32_t)key;
}

/* Remembers what is to be completed; sometimes a message became several. */
static void model_opened(struct model *m, const struct df_message *message)
{
	struct model_partition *p = m->live[message->index];
	size_t copies = below(20) == 0 ? 1 + below(5) : 1;

	df_ledger_split(message, copies);
	p->positions[message->sequence].pending = copies;
	for (size_t i = 0; i < copies; i++) {
		m->todo = more(m->todo, &m->todo_cap, m->todo_count, sizeof(*m->todo));
		m->todo[m->todo_count++] =
			(struct completion){ .message = *message, .partition = p, .position = message->sequence };
	}
}

static void model_open(struct model *m)
{
	struct df_batch *batch = df_batch_new(m->pool);
	size_t n = below(300);
	size_t key = below(KEYS);

	assert_non_null(batch);
	for (size_t i = 0; i < n; i++) {
		if (below(30) == 0)
			key = below(KEYS);
		model_add(m, batch, key);
	}
	assert_int_equal(df_ledger_open(batch, NULL), 0);
	for (size_t i = 0; i < n; i++) {
		if (batch->messages[i].partition)
			model_opened(m, &batch->messages[i]);
	}
	df_batch_free(batch);
}

static void model_complete(struct completion *c)
{
	struct model_partition *p = c->partition;

	if (p->forgotten)
		return;
	assert_true(p->positions[c->position].pending > 0);
	if (--p->positions[c->position].pending == 0)
		p->open--;
	while (p->head < p->count && p->positions[p->head].pending == 0)
		p->head++;
}

/* Completes up to `max`, in random order or near the front. */
static void model_done(struct model *m, size_t max, bool stuck_too)
{
	struct df_message batch[64];
	struct df_message *pointers[64];
	size_t n = 0;
	bool random = below(2);

	if (max > 64)
		max = 64;
	for (size_t tries = 0; tries < 2 * max && n < max && m->todo_count > 0; tries++) {
		size_t i = random ? below(m->todo_count) : below(m->todo_count < 100 ? m->todo_count : 100);
		struct completion c = m->todo[i];
		if (!stuck_too && c.partition->positions[c.position].stuck)
			continue;
		m->todo[i] = m->todo[--m->todo_count];
		model_complete(&c);
		batch[n] = c.message;
		pointers[n] = &batch[n];
		n++;
	}
	df_ledger_done(pointers, n);
}

static void model_collect(struct model *m)
{
	struct df_arena arena;
	struct df_commit *commits;
	size_t count;
	size_t expected = 0;

	df_arena_init(&arena, NULL);
	assert_int_equal(df_ledger_collect(m->ledger, &arena, &commits, &count, NULL), 0);
	for (size_t k = 0; k < KEYS; k++) {
		struct model_partition *p = m->live[k];
		if (p->head == p->collected)
			continue;
		struct df_commit *c = commits;
		while (c < commits + count && c->partition != p->real)
			c++;
		assert_true(c < commits + count);
		const struct model_position *last = &p->positions[p->head - 1];
		assert_int_equal(c->position.number, last->number);
		assert_true(df_str_equal(c->position.data, df_str(last->data, last->len)));
		assert_int_equal(c->messages, p->head - p->collected);
		assert_true(df_str_equal(c->key, df_partition_key(p->real)));
		p->collected = p->head;
		expected++;
	}
	assert_int_equal(count, expected);
	df_arena_done(&arena);
}

static void model_forget(struct model *m)
{
	size_t key = below(KEYS);
	struct model_partition *old = m->live[key];

	if (m->all_count == DF_ARRAY_SIZE(m->all))
		return;
	df_partition_forget(old->real);
	old->forgotten = true;
	old->open = 0;
	assert_int_equal(df_ledger_drain(m->ledger, old->real, NULL, NULL), 0);
	model_partition(m, key);
	assert_ptr_not_equal(m->live[key]->real, old->real);
}

static void model_step(struct model *m, struct df_context *canceled)
{
	switch (below(40)) {
	case 0:
		if (below(5) == 0)
			model_forget(m);
		break;
	case 1:
	case 2:
	case 3:
		model_collect(m);
		break;
	case 4: {
		struct model_partition *p = m->live[below(KEYS)];
		int rc = df_ledger_drain(m->ledger, p->real, canceled, NULL);
		assert_int_equal(rc, p->open ? DF_ERR_CANCELED : 0);
		break;
	}
	case 5:
	case 6:
	case 7:
	case 8:
		model_open(m);
		break;
	default:
		model_done(m, 1 + below(64), false);
	}
	assert_int_equal(df_ledger_open_count(m->ledger), model_open_count(m));
}

static void model_run(uint64_t seed)
{
	struct model m = { .ledger = df_ledger_new(), .pool = df_batch_pool_new(1 << 20) };
	df_cleanup(df_context_freep) struct df_context *canceled = df_context_new(NULL);

	print_message("seed %llu\n", (unsigned long long)seed);
	seed_state = seed;
	df_context_cancel(canceled);
	for (size_t i = 0; i < KEYS; i++)
		model_partition(&m, i);
	for (size_t i = 0; i < 1500; i++)
		model_step(&m, canceled);
	while (m.todo_count > 0)
		model_done(&m, 64, true);
	model_collect(&m);
	assert_int_equal(df_ledger_open_count(m.ledger), 0);
	assert_int_equal(df_ledger_drain(m.ledger, NULL, canceled, NULL), 0);
	for (size_t i = 0; i < KEYS; i++)
		assert_int_equal(m.live[i]->head, m.live[i]->count);
	for (size_t i = 0; i < m.all_count; i++) {
		free(m.all[i]->positions);
		free(m.all[i]);
	}
	free(m.todo);
	df_ledger_free(m.ledger);
	df_batch_pool_free(m.pool);
}

static void test_against_model(void **state)
{
	static const uint64_t seeds[] = { 1, 2, 3, 42, 1234567, UINT64_C(0xdeadbeefcafe) };

	(void)state;
	for (size_t i = 0; i < DF_ARRAY_SIZE(seeds); i++)
		model_run(seeds[i]);
	model_run((uint64_t)df_clock_now(NULL) | 1);
}

/* ---- single cases ----------------------------------------------------------------------------------------------- */

struct fixture {
	struct df_ledger *ledger;
	struct df_batch_pool *pool;
	struct df_arena arena;
};

static int fixture_setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	f->ledger = df_ledger_new();
	f->pool = df_batch_pool_new(1 << 20);
	df_arena_init(&f->arena, NULL);
	*state = f;
	return 0;
}

static int fixture_teardown(void **state)
{
	struct fixture *f = *state;

	df_arena_done(&f->arena);
	df_ledger_free(f->ledger);
	df_batch_pool_free(f->pool);
	free(f);
	return 0;
}

static struct df_partition *partition(struct fixture *f, const char *key)
{
	struct df_partition *p = NULL;

	assert_int_equal(df_ledger_partition(f->ledger, df_str_c(key), &p, NULL), 0);
	return p;
}

static void add(struct df_batch *batch, struct df_partition *p, int64_t number, const char *data)
{
	struct df_message *m = df_batch_add(batch);

	assert_non_null(m);
	m->partition = p;
	m->position = (struct df_position){ .number = number, .data = df_str_c(data) };
}

static struct df_batch *opened(struct fixture *f, struct df_partition *p, int64_t first, size_t n)
{
	struct df_batch *batch = df_batch_new(f->pool);

	for (size_t i = 0; i < n; i++)
		add(batch, p, first + (int64_t)i, NULL);
	assert_int_equal(df_ledger_open(batch, NULL), 0);
	return batch;
}

/* The one commit there must be. */
static struct df_commit collect_one(struct fixture *f)
{
	struct df_commit *commits;
	size_t count;

	assert_int_equal(df_ledger_collect(f->ledger, &f->arena, &commits, &count, NULL), 0);
	assert_int_equal(count, 1);
	return commits[0];
}

static void collect_none(struct fixture *f)
{
	struct df_commit *commits;
	size_t count;

	assert_int_equal(df_ledger_collect(f->ledger, &f->arena, &commits, &count, NULL), 0);
	assert_int_equal(count, 0);
	assert_null(commits);
}

static void test_nothing_tracked(void **state)
{
	struct fixture *f = *state;
	struct df_batch *batch = opened(f, NULL, 0, 3);

	df_ledger_split(&batch->messages[0], 4);
	df_ledger_done_one(&batch->messages[0]);
	df_ledger_done_one(&batch->messages[1]);
	assert_int_equal(df_ledger_open_count(f->ledger), 0);
	collect_none(f);
	df_batch_free(batch);
	batch = opened(f, NULL, 0, 0);
	df_batch_free(batch);
}

static void test_split(void **state)
{
	struct fixture *f = *state;
	struct df_batch *batch = opened(f, partition(f, "p"), 7, 2);

	df_ledger_split(&batch->messages[0], 3);
	df_ledger_done_one(&batch->messages[0]);
	df_ledger_done_one(&batch->messages[1]);
	df_ledger_done_one(&batch->messages[0]);
	collect_none(f);
	assert_int_equal(df_ledger_open_count(f->ledger), 1);
	df_ledger_done_one(&batch->messages[0]);
	struct df_commit c = collect_one(f);
	assert_int_equal(c.position.number, 8);
	assert_int_equal(c.messages, 2);
	/* One too many changes nothing. */
	df_ledger_done_one(&batch->messages[0]);
	assert_int_equal(df_ledger_open_count(f->ledger), 0);
	collect_none(f);
	df_batch_free(batch);
}

static void test_forget(void **state)
{
	struct fixture *f = *state;
	struct df_partition *old = partition(f, "p");
	struct df_batch *batch = opened(f, old, 0, 100);

	df_ledger_done_one(&batch->messages[0]); /* to collect, but forgotten before */
	df_partition_forget(old);
	df_partition_forget(old);
	assert_int_equal(df_ledger_open_count(f->ledger), 0);
	struct df_partition *p = partition(f, "p");
	assert_ptr_not_equal(p, old);
	struct df_batch *fresh = opened(f, p, 50, 1);
	for (size_t i = 0; i < batch->count; i++) {
		df_ledger_split(&batch->messages[i], 2);
		df_ledger_done_one(&batch->messages[i]);
	}
	assert_int_equal(df_ledger_open_count(f->ledger), 1);
	collect_none(f);
	/* Opening under the old one is not tracked either. */
	struct df_batch *late = opened(f, old, 100, 3);
	assert_int_equal(df_ledger_open_count(f->ledger), 1);
	df_ledger_done_one(&late->messages[0]);
	df_ledger_done_one(&fresh->messages[0]);
	struct df_commit c = collect_one(f);
	assert_ptr_equal(c.partition, p);
	assert_int_equal(c.position.number, 50);
	df_batch_free(batch);
	df_batch_free(fresh);
	df_batch_free(late);
}

static void test_many_partitions(void **state)
{
	struct fixture *f = *state;
	struct df_partition *partitions[3000];
	char name[32];

	for (size_t i = 0; i < DF_ARRAY_SIZE(partitions); i++) {
		snprintf(name, sizeof(name), "t/%zu", i);
		partitions[i] = partition(f, name);
	}
	for (size_t i = 0; i < DF_ARRAY_SIZE(partitions); i++) {
		snprintf(name, sizeof(name), "t/%zu", i);
		assert_ptr_equal(partition(f, name), partitions[i]);
		assert_true(df_str_equal_c(df_partition_key(partitions[i]), name));
	}
	for (size_t i = 0; i < DF_ARRAY_SIZE(partitions); i += 2)
		df_partition_forget(partitions[i]);
	for (size_t i = 0; i < DF_ARRAY_SIZE(partitions); i++) {
		snprintf(name, sizeof(name), "t/%zu", i);
		assert_int_equal(partition(f, name) == partitions[i], i % 2);
	}
}

/* A position that is never done (ackPolicy never): what completes behind it must cost next to nothing. */
static void test_blocked_head_is_cheap(void **state)
{
	struct fixture *f = *state;
	struct df_partition *p = partition(f, "p");
	struct df_batch *head = opened(f, p, 0, 1);
	const size_t rounds = 2000, n = 200;
	struct df_message *pointers[200];
	size_t before = 0;

	for (size_t round = 0; round < rounds; round++) {
		struct df_batch *batch = opened(f, p, 1 + (int64_t)(round * n), n);
		for (size_t i = 0; i < n; i++)
			pointers[i] = &batch->messages[round % 2 ? i : n - 1 - i];
		df_ledger_done(pointers, n);
		df_batch_free(batch);
		if (round == 10)
			before = alloc_count();
	}
	/* 400000 positions: without merging 6250 chunks; with it the ring of pointers doubles a few times. */
	assert_true(alloc_count() - before < 16);
	collect_none(f);
	df_ledger_done_one(&head->messages[0]);
	struct df_commit c = collect_one(f);
	assert_int_equal(c.position.number, rounds * n);
	assert_int_equal(c.messages, rounds * n + 1);
	df_batch_free(head);
}

static struct df_batch *two_partitions(struct fixture *f, struct df_partition *a, struct df_partition *b)
{
	struct df_batch *batch = df_batch_new(f->pool);

	/* Runs alternate, cross chunks, and carry data. */
	for (int i = 0; i < 200; i++)
		add(batch, i % 20 < 10 ? a : b, i, i % 3 ? "{\"file\":\"a-rather-long-name\"}" : "");
	add(batch, b, 200, "end of b");
	add(batch, a, 201, "end of a");
	return batch;
}

static void test_open_out_of_memory(void **state)
{
	struct fixture *f = *state;
	struct df_partition *a = partition(f, "a"), *b = partition(f, "b");
	struct df_batch *before = opened(f, a, -1, 1);
	struct df_batch *batch = two_partitions(f, a, b);
	struct df_error err;
	size_t failures = 0;

	for (;; failures++) {
		alloc_fail(failures);
		int rc = df_ledger_open(batch, &err);
		alloc_fail(SIZE_MAX);
		if (rc == 0)
			break;
		assert_int_equal(rc, DF_ERR_NO_MEMORY);
		assert_int_equal(err.code, DF_ERR_NO_MEMORY);
		assert_int_equal(df_ledger_open_count(f->ledger), 1);
		/* Nothing of it is there, and what comes next stands where it would have stood. */
		struct df_batch *between = opened(f, b, 1000 + (int64_t)failures, 1);
		df_ledger_done_one(&between->messages[0]);
		assert_int_equal(collect_one(f).position.number, 1000 + (int64_t)failures);
		df_batch_free(between);
	}
	assert_true(failures >= 5);
	df_ledger_done_one(&before->messages[0]);
	assert_int_equal(collect_one(f).position.number, -1);
	assert_int_equal(df_ledger_open_count(f->ledger), batch->count);
	for (size_t i = 0; i < batch->count; i++)
		df_ledger_done_one(&batch->messages[i]);
	struct df_commit *commits;
	size_t count;
	assert_int_equal(df_ledger_collect(f->ledger, &f->arena, &commits, &count, NULL), 0);
	assert_int_equal(count, 2);
	for (size_t i = 0; i < 2; i++) {
		assert_int_equal(commits[i].position.number, commits[i].partition == a ? 201 : 200);
		assert_true(
			df_str_equal_c(commits[i].position.data, commits[i].partition == a ? "end of a" : "end of b"));
		assert_int_equal(commits[i].messages, 101);
	}
	df_batch_free(before);
	df_batch_free(batch);
}

static void test_collect_out_of_memory(void **state)
{
	struct fixture *f = *state;
	struct df_batch *batch = two_partitions(f, partition(f, "a"), partition(f, "b"));
	struct df_commit *commits;
	size_t count;

	assert_int_equal(df_ledger_open(batch, NULL), 0);
	for (size_t i = 0; i < batch->count; i++)
		df_ledger_done_one(&batch->messages[i]);
	alloc_fail(0);
	int rc = df_ledger_collect(f->ledger, &f->arena, &commits, &count, NULL);
	alloc_fail(SIZE_MAX);
	assert_int_equal(rc, DF_ERR_NO_MEMORY);
	assert_int_equal(count, 0);
	assert_int_equal(df_ledger_collect(f->ledger, &f->arena, &commits, &count, NULL), 0);
	assert_int_equal(count, 2);
	assert_int_equal(commits[0].messages + commits[1].messages, batch->count);
	collect_none(f);
	df_batch_free(batch);
}

static void test_new_out_of_memory(void **state)
{
	struct df_ledger *ledger = NULL;
	struct df_partition *p;
	struct df_error err;

	(void)state;
	for (size_t after = 0; !ledger; after++) {
		alloc_fail(after);
		ledger = df_ledger_new();
		alloc_fail(SIZE_MAX);
		assert_true(after < 5);
	}
	alloc_fail(0);
	int rc = df_ledger_partition(ledger, DF_STR("p"), &p, &err);
	alloc_fail(SIZE_MAX);
	assert_int_equal(rc, DF_ERR_NO_MEMORY);
	assert_int_equal(df_ledger_partition(ledger, DF_STR("p"), &p, &err), 0);
	df_ledger_free(ledger);
	df_ledger_free(NULL);
}

/* ---- drain ------------------------------------------------------------------------------------------------------ */

struct drain {
	struct df_ledger *ledger;
	struct df_partition *partition;
	struct df_context *ctx;
	int rc;
	pthread_t thread;
};

static void *drain_thread(void *arg)
{
	struct drain *d = arg;

	d->rc = df_ledger_drain(d->ledger, d->partition, d->ctx, NULL);
	return NULL;
}

static void drain_start(struct drain *d)
{
	assert_int_equal(pthread_create(&d->thread, NULL, drain_thread, d), 0);
	/* Most runs find it asleep; the other order is right too. */
	assert_int_equal(df_context_sleep(NULL, 5 * DF_NS_PER_MS), 0);
}

static void test_drain(void **state)
{
	struct fixture *f = *state;
	struct df_partition *a = partition(f, "a"), *b = partition(f, "b");
	struct df_batch *in_a = opened(f, a, 0, 1), *in_b = opened(f, b, 0, 2);
	df_cleanup(df_context_freep) struct df_context *ctx = df_context_new(NULL);
	struct drain of_a = { f->ledger, a, ctx, 1, 0 }, of_all = { f->ledger, NULL, ctx, 1, 0 };

	drain_start(&of_a);
	drain_start(&of_all);
	df_ledger_done_one(&in_a->messages[0]);
	pthread_join(of_a.thread, NULL);
	assert_int_equal(of_a.rc, 0);
	df_ledger_done_one(&in_b->messages[1]);
	df_ledger_done_one(&in_b->messages[0]);
	pthread_join(of_all.thread, NULL);
	assert_int_equal(of_all.rc, 0);
	df_batch_free(in_a);
	df_batch_free(in_b);
}

static void test_drain_ends_by_forget(void **state)
{
	struct fixture *f = *state;
	struct df_partition *p = partition(f, "a");
	struct df_batch *batch = opened(f, p, 0, 3);
	struct drain one = { f->ledger, p, NULL, 1, 0 }, all = { f->ledger, NULL, NULL, 1, 0 };

	drain_start(&one);
	drain_start(&all);
	df_partition_forget(p);
	pthread_join(one.thread, NULL);
	pthread_join(all.thread, NULL);
	assert_int_equal(one.rc, 0);
	assert_int_equal(all.rc, 0);
	df_batch_free(batch);
}

static void test_drain_ends_by_context(void **state)
{
	struct fixture *f = *state;
	struct df_batch *batch = opened(f, partition(f, "a"), 0, 1);
	df_cleanup(df_context_freep) struct df_context *parent = df_context_new(NULL);
	df_cleanup(df_context_freep) struct df_context *ctx = df_context_new(parent);
	df_cleanup(df_context_freep) struct df_context *late = df_context_new(NULL);
	struct drain d = { f->ledger, NULL, ctx, 1, 0 };
	struct df_error err;

	drain_start(&d);
	df_context_cancel(parent);
	pthread_join(d.thread, NULL);
	assert_int_equal(d.rc, DF_ERR_CANCELED);

	int64_t from = df_clock_monotonic();
	df_context_deadline(late, from + 20 * DF_NS_PER_MS);
	assert_int_equal(df_ledger_drain(f->ledger, NULL, late, &err), DF_ERR_TIMEOUT);
	assert_int_equal(err.code, DF_ERR_TIMEOUT);
	assert_true(df_clock_monotonic() - from >= 20 * DF_NS_PER_MS);
	df_batch_free(batch);
}

/* ---- many threads ----------------------------------------------------------------------------------------------- */

#define SOURCES 2
#define WORKERS 3
#define OWN 3 /* partitions a source has for itself, checked number by number */
#define BATCHES 300
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
			add(batch, which == OWN ? shared : lost, 0, "shared");
			batch->messages[batch->count - 1].index = UINT32_MAX;
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

#define with_fixture(test) cmocka_unit_test_setup_teardown(test, fixture_setup, fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_against_model),
		with_fixture(test_nothing_tracked),
		with_fixture(test_split),
		with_fixture(test_forget),
		with_fixture(test_many_partitions),
		with_fixture(test_blocked_head_is_cheap),
		with_fixture(test_open_out_of_memory),
		with_fixture(test_collect_out_of_memory),
		cmocka_unit_test(test_new_out_of_memory),
		with_fixture(test_drain),
		with_fixture(test_drain_ends_by_forget),
		with_fixture(test_drain_ends_by_context),
		cmocka_unit_test(test_threads),
	};

	return cmocka_run_group_tests_name("ledger", tests, NULL, NULL);
}

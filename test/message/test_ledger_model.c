#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/retry.h"
#include "message/ledger.h"

static uint64_t seed_state;

static size_t below(size_t n)
{
	return (size_t)(df_random_next(&seed_state) % n);
}

/*
 * The ledger against a naive model: random operations, the same answers. The seeds are fixed but for the last, which is
 * printed.
 */

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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_against_model),
	};

	return cmocka_run_group_tests_name("ledger model", tests, NULL, NULL);
}

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "alloc.h"
#include "base/clock.h"
#include "base/retry.h"
#include "message/channel.h"
#include "message/ledger.h"

static void test_add_and_reserve(void **state)
{
	struct df_batch_pool *pool = df_batch_pool_new(1 << 20);
	struct df_batch *batch = df_batch_new(pool);
	static const struct df_message zero;

	(void)state;
	for (uint32_t i = 0; i < 1000; i++) {
		struct df_message *m = df_batch_add(batch);
		assert_memory_equal(m, &zero, sizeof(zero));
		m->index = i;
		assert_int_equal(batch->count, i + 1);
	}
	for (uint32_t i = 0; i < 1000; i++)
		assert_int_equal(batch->messages[i].index, i);
	assert_int_equal(df_batch_reserve(batch, 3000), 0);
	struct df_message *messages = batch->messages;
	while (batch->count < 3000)
		assert_non_null(df_batch_add(batch));
	assert_ptr_equal(batch->messages, messages);
	assert_int_equal(df_batch_reserve(batch, 1), 0);
	assert_int_equal(df_batch_reserve(batch, SIZE_MAX), DF_ERR_NO_MEMORY);
	assert_ptr_equal(batch->messages, messages);
	df_batch_free(batch);
	df_batch_free(NULL);
	df_batch_pool_free(pool);
	df_batch_pool_free(NULL);
}

static void test_recycled_is_as_new(void **state)
{
	struct df_batch_pool *pool = df_batch_pool_new(1 << 20);
	struct df_batch *other = df_batch_new(pool), *batch = df_batch_new(pool);
	static const struct df_message zero;

	(void)state;
	for (int i = 0; i < 20; i++)
		memset(df_batch_add(batch), 0xff, sizeof(zero));
	batch->bytes = 5;
	batch->sequence = 6;
	atomic_store(&batch->open, 7);
	batch->next = batch;
	assert_non_null(df_arena_alloc(&batch->arena, 100));
	struct df_message *messages = batch->messages;
	df_batch_free(other);
	df_batch_free(batch);

	struct df_batch *again = df_batch_new(pool);
	assert_ptr_equal(again, batch);
	assert_int_equal(again->count, 0);
	assert_int_equal(again->bytes, 0);
	assert_int_equal(again->sequence, 0);
	assert_int_equal(atomic_load(&again->open), 0);
	assert_null(again->next);
	assert_int_equal(again->arena.allocated, 0);
	for (int i = 0; i < 20; i++)
		assert_memory_equal(df_batch_add(again), &zero, sizeof(zero));
	assert_ptr_equal(again->messages, messages);
	df_batch_free(again);
	df_batch_pool_free(pool);
}

static void test_giant_is_not_kept(void **state)
{
	struct df_batch_pool *pool = df_batch_pool_new(1 << 20);
	struct df_batch *batch = df_batch_new(pool);

	(void)state;
	assert_int_equal(df_batch_reserve(batch, (1 << 18) / sizeof(struct df_message) + 1), 0);
	df_batch_free(batch);
	batch = df_batch_new(pool);
	assert_int_equal(batch->cap, 0);
	assert_int_equal(df_batch_reserve(batch, 512), 0);
	df_batch_free(batch);
	batch = df_batch_new(pool);
	assert_true(batch->cap >= 512);
	df_batch_free(batch);
	df_batch_pool_free(pool);

	/* Nor are many that are not small. */
	struct df_batch *batches[100];
	size_t kept = 0;
	pool = df_batch_pool_new(1 << 20);
	for (size_t i = 0; i < 100; i++) {
		batches[i] = df_batch_new(pool);
		assert_int_equal(df_batch_reserve(batches[i], 1024), 0);
	}
	for (size_t i = 0; i < 100; i++)
		df_batch_free(batches[i]);
	for (size_t i = 0; i < 100; i++) {
		batches[i] = df_batch_new(pool);
		kept += batches[i]->cap * sizeof(struct df_message);
	}
	assert_in_range(kept, 1, 1 << 20);
	for (size_t i = 0; i < 100; i++)
		df_batch_free(batches[i]);
	df_batch_pool_free(pool);

	/* A pool that keeps nothing works as well. */
	pool = df_batch_pool_new(0);
	batch = df_batch_new(pool);
	assert_non_null(df_batch_add(batch));
	df_batch_free(batch);
	df_batch_pool_free(pool);
}

static void test_used(void **state)
{
	struct df_batch_pool *pool = df_batch_pool_new(1 << 20);
	struct df_batch *a = df_batch_new(pool), *b = df_batch_new(pool);

	(void)state;
	assert_int_equal(df_batch_pool_used(pool), 0);
	assert_non_null(df_arena_alloc(&a->arena, 1));
	assert_non_null(df_arena_alloc(&b->arena, 1));
	assert_int_equal(df_batch_pool_used(pool), 2 * DF_ARENA_BLOCK);
	assert_non_null(df_arena_alloc(&b->arena, 100000));
	assert_in_range(df_batch_pool_used(pool), 2 * DF_ARENA_BLOCK + 100000, 2 * DF_ARENA_BLOCK + 100100);
	assert_int_equal(df_batch_pool_used(pool), a->arena.allocated + b->arena.allocated);
	df_batch_free(b);
	assert_int_equal(df_batch_pool_used(pool), DF_ARENA_BLOCK);
	df_batch_free(a);
	assert_int_equal(df_batch_pool_used(pool), 0);
	df_batch_pool_free(pool);
}

static void test_out_of_memory(void **state)
{
	struct df_batch_pool *pool = NULL;

	(void)state;
	for (size_t after = 0; !pool; after++) {
		alloc_fail(after);
		pool = df_batch_pool_new(1 << 20);
		alloc_fail(SIZE_MAX);
		assert_true(after < 5);
	}
	alloc_fail(0);
	struct df_batch *batch = df_batch_new(pool);
	alloc_fail(SIZE_MAX);
	assert_null(batch);
	batch = df_batch_new(pool);
	size_t count = 0;
	alloc_fail(2);
	while (df_batch_add(batch))
		count++;
	alloc_fail(SIZE_MAX);
	assert_int_equal(batch->count, count);
	assert_true(count > 0);
	assert_non_null(df_batch_add(batch));
	df_batch_free(batch);
	df_batch_pool_free(pool);
}

/* ---- the steady state ------------------------------------------------------------------------------------ */

#define IN_FLIGHT 8
#define PARTITIONS 4

struct pipeline {
	struct df_batch_pool *pool;
	struct df_ledger *ledger;
	struct df_channel *channel;
	struct df_partition *partitions[PARTITIONS];
	struct df_batch *in_flight[IN_FLIGHT]; /* completed in any order */
	struct df_arena arena;
	uint64_t random;
	int64_t number;
	size_t commits;
};

static struct df_batch *pipeline_read(struct pipeline *p)
{
	struct df_batch *batch = df_batch_new(p->pool);

	for (size_t i = 0; i < 200; i++) {
		struct df_message *m = df_batch_add(batch);
		m->payload = df_arena_dup(&batch->arena, DF_STR("{\"id\":12345,\"name\":\"somebody\"}"));
		m->partition = p->partitions[i / 50];
		m->position.number = p->number++;
		m->position.data = df_arena_dup(&batch->arena, DF_STR("{\"lsn\":\"0/16B3748\"}"));
		batch->bytes += m->payload.len;
	}
	return batch;
}

static void pipeline_write(struct df_batch *batch)
{
	struct df_message *pointers[200];

	for (size_t i = 0; i < batch->count; i++)
		pointers[i] = &batch->messages[i];
	df_ledger_done(pointers, batch->count);
	df_batch_free(batch);
}

static void pipeline_round(struct pipeline *p)
{
	struct df_batch *batch = pipeline_read(p);
	struct df_batch **slot = &p->in_flight[df_random_next(&p->random) % IN_FLIGHT];
	struct df_commit *commits;
	size_t count;

	assert_int_equal(df_ledger_open(batch, NULL), 0);
	assert_int_equal(df_channel_send(p->channel, NULL, &batch, NULL), 0);
	assert_int_equal(df_channel_receive(p->channel, NULL, INT64_MAX, &batch, NULL), 0);
	if (*slot)
		pipeline_write(*slot);
	*slot = batch;
	assert_int_equal(df_ledger_collect(p->ledger, &p->arena, &commits, &count, NULL), 0);
	p->commits += count;
	df_arena_reset(&p->arena);
}

static void test_steady_state_allocates_nothing(void **state)
{
	struct pipeline p = { .pool = df_batch_pool_new(4 << 20),
			      .ledger = df_ledger_new(),
			      .channel = df_channel_new(1000, 1 << 20),
			      .random = 11 };

	(void)state;
	df_arena_init(&p.arena, NULL);
	for (size_t i = 0; i < PARTITIONS; i++) {
		char key = (char)('a' + i);
		assert_int_equal(df_ledger_partition(p.ledger, df_str(&key, 1), &p.partitions[i], NULL), 0);
	}
	/* Long enough for the longest time that the random choice leaves a batch alone. */
	for (int i = 0; i < 500; i++)
		pipeline_round(&p);
	size_t before = alloc_count();
	p.random = 11;
	for (int i = 0; i < 500; i++)
		pipeline_round(&p);
	assert_int_equal(alloc_count() - before, 0);
	assert_true(p.commits > 200);
	for (size_t i = 0; i < IN_FLIGHT; i++) {
		if (p.in_flight[i])
			pipeline_write(p.in_flight[i]);
	}
	assert_int_equal(df_ledger_open_count(p.ledger), 0);
	df_arena_done(&p.arena);
	df_channel_free(p.channel);
	df_ledger_free(p.ledger);
	df_batch_pool_free(p.pool);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_add_and_reserve),	  cmocka_unit_test(test_recycled_is_as_new),
		cmocka_unit_test(test_giant_is_not_kept), cmocka_unit_test(test_used),
		cmocka_unit_test(test_out_of_memory),	  cmocka_unit_test(test_steady_state_allocates_nothing),
	};

	return cmocka_run_group_tests_name("batch", tests, NULL, NULL);
}

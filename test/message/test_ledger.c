#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "alloc.h"
#include "base/clock.h"
#include "message/ledger.h"

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

/* Completions that come once too often must not hit anything that is open. */
static void test_too_many_completions(void **state)
{
	struct fixture *f = *state;
	struct df_partition *p = partition(f, "p");
	struct df_batch *batch = opened(f, p, 0, 2000);

	/* Done already, but not below everything: it stays done. */
	df_ledger_done_one(&batch->messages[1]);
	df_ledger_done_one(&batch->messages[1]);
	df_ledger_done_one(&batch->messages[0]);
	assert_int_equal(collect_one(f).position.number, 1);
	/* Below everything: others have taken their places. */
	for (size_t i = 2; i < 1900; i++)
		df_ledger_done_one(&batch->messages[i]);
	struct df_batch *later = opened(f, p, 2000, 500);
	for (size_t i = 0; i < 1900; i++)
		df_ledger_done_one(&batch->messages[i]);
	/* And one that was never opened. */
	struct df_message never = later->messages[0];
	never.sequence += 5000;
	df_ledger_split(&never, 2);
	df_ledger_done_one(&never);
	assert_int_equal(df_ledger_open_count(f->ledger), 600);
	assert_int_equal(collect_one(f).position.number, 1899);
	df_batch_free(batch);
	df_batch_free(later);
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

/* What a failed open had planned is given back: each try goes on where the last one ran out of memory. */
static void test_failed_open_leaves_nothing(void **state)
{
	struct fixture *f = *state;
	struct df_batch *batch = two_partitions(f, partition(f, "a"), partition(f, "b"));
	size_t tries = 0;
	int rc;

	do {
		alloc_fail(1);
		rc = df_ledger_open(batch, NULL);
		alloc_fail(SIZE_MAX);
		assert_true(++tries < 60);
	} while (rc);
	assert_true(tries > 5);
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

/* ---- drain ----------------------------------------------------------------------------------------------- */

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

#define with_fixture(test) cmocka_unit_test_setup_teardown(test, fixture_setup, fixture_teardown)

static void test_lag(void **state)
{
	struct fixture *f = *state;
	struct df_partition *a = partition(f, "a"), *b = partition(f, "b");
	struct df_lag *lags;
	size_t n;

	(void)partition(f, "silent");
	assert_int_equal(df_ledger_lags(f->ledger, &f->arena, &lags, &n, NULL), 0);
	assert_int_equal(n, 0);
	df_partition_set_lag(a, 5);
	df_partition_set_lag(b, 0);
	assert_int_equal(df_ledger_lags(f->ledger, &f->arena, &lags, &n, NULL), 0);
	assert_int_equal(n, 2);
	df_partition_set_lag(a, -7);
	assert_int_equal(df_ledger_lags(f->ledger, &f->arena, &lags, &n, NULL), 0);
	assert_int_equal(n, 1);
	assert_true(df_str_equal_c(lags[0].key, "b"));
	assert_int_equal(lags[0].messages, 0);
	df_partition_forget(b);
	(void)partition(f, "b"); /* the next generation knows nothing yet */
	assert_int_equal(df_ledger_lags(f->ledger, &f->arena, &lags, &n, NULL), 0);
	assert_int_equal(n, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		with_fixture(test_nothing_tracked),
		with_fixture(test_split),
		with_fixture(test_too_many_completions),
		with_fixture(test_forget),
		with_fixture(test_many_partitions),
		with_fixture(test_blocked_head_is_cheap),
		with_fixture(test_open_out_of_memory),
		with_fixture(test_failed_open_leaves_nothing),
		with_fixture(test_collect_out_of_memory),
		cmocka_unit_test(test_new_out_of_memory),
		with_fixture(test_drain),
		with_fixture(test_drain_ends_by_forget),
		with_fixture(test_drain_ends_by_context),
		with_fixture(test_lag),
	};

	return cmocka_run_group_tests_name("ledger", tests, NULL, NULL);
}

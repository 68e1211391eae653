/* Looking ahead: what the ledger says before messages are done is what it says afterwards. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "message/ledger.h"

#define MAX 400

struct fixture {
	struct df_ledger *ledger;
	struct df_batch_pool *pool;
	struct df_arena arena;
	struct df_partition *p;
	struct df_batch *batch;
	struct df_message *m[MAX];
};

/* n messages, numbered from 1; those with a letter other than '.' in `joined` stand before their position. */
static struct fixture *opened(size_t n, const char *joined)
{
	struct fixture *f = calloc(1, sizeof(*f));

	f->ledger = df_ledger_new();
	f->pool = df_batch_pool_new(1 << 20);
	df_arena_init(&f->arena, NULL);
	f->batch = df_batch_new(f->pool);
	assert_int_equal(df_ledger_partition(f->ledger, DF_STR("p"), &f->p, NULL), 0);
	for (size_t i = 0; i < n; i++) {
		struct df_message *m = df_batch_add(f->batch);
		char text[24];

		snprintf(text, sizeof(text), "%.*s", (int)(i % 20), "position data of it all");
		m->partition = f->p;
		m->position = (struct df_position){ (int64_t)i + 1, df_arena_dup(&f->batch->arena, df_str_c(text)) };
		m->joined = joined && joined[i] != '.';
	}
	assert_int_equal(df_ledger_open(f->batch, NULL), 0);
	for (size_t i = 0; i < n; i++)
		f->m[i] = &f->batch->messages[i];
	return f;
}

static void close_all(struct fixture *f)
{
	df_batch_free(f->batch);
	df_arena_done(&f->arena);
	df_ledger_free(f->ledger);
	df_batch_pool_free(f->pool);
	free(f);
}

static int64_t preview(struct fixture *f, size_t from, size_t n)
{
	struct df_commit *commits;
	size_t count;

	assert_int_equal(df_ledger_preview(&f->m[from], n, &f->arena, &commits, &count, NULL), 0);
	assert_int_equal(count, 1);
	return commits[0].position.number;
}

static void in_front_nothing_may_be_open(void **state)
{
	struct fixture *f = opened(10, NULL);
	struct df_commit *commits;
	size_t count;

	(void)state;
	assert_int_equal(df_ledger_outlook(f->m, 4), DF_OUTLOOK_CLEAR);
	assert_int_equal(preview(f, 0, 4), 4);
	assert_int_equal(df_ledger_outlook(&f->m[1], 4), DF_OUTLOOK_BLOCKED);
	assert_int_equal(df_ledger_preview(&f->m[1], 4, &f->arena, &commits, &count, NULL), DF_ERR_TRANSIENT);
	df_ledger_done_one(f->m[0]);
	assert_int_equal(preview(f, 1, 4), 5);
	/* What ended behind them counts, too. */
	df_ledger_done_one(f->m[5]);
	df_ledger_done_one(f->m[6]);
	assert_int_equal(preview(f, 1, 4), 7);
	df_partition_forget(f->p);
	assert_int_equal(df_ledger_outlook(&f->m[1], 4), DF_OUTLOOK_CLEAR);
	assert_int_equal(df_ledger_preview(&f->m[1], 4, &f->arena, &commits, &count, NULL), 0);
	assert_int_equal(count, 0);
	close_all(f);
}

static void all_children_must_be_there(void **state)
{
	struct fixture *f = opened(3, NULL);
	struct df_message *own[] = { f->m[0], f->m[1], f->m[1], f->m[1], f->m[2] };

	(void)state;
	df_ledger_split(f->m[1], 3);
	assert_int_equal(df_ledger_outlook(own, 3), DF_OUTLOOK_BLOCKED);
	assert_int_equal(df_ledger_outlook(own, 4), DF_OUTLOOK_CLEAR);
	df_ledger_done_one(f->m[1]); /* one of them was filtered */
	assert_int_equal(df_ledger_outlook(own, 3), DF_OUTLOOK_CLEAR);
	close_all(f);
}

static void joined_messages_need_the_last_one(void **state)
{
	struct fixture *f = opened(7, "xx.xx.x");

	(void)state;
	assert_int_equal(df_ledger_outlook(f->m, 2), DF_OUTLOOK_JOINED);
	assert_int_equal(df_ledger_outlook(f->m, 3), DF_OUTLOOK_CLEAR);
	assert_int_equal(df_ledger_outlook(f->m, 5), DF_OUTLOOK_JOINED);
	df_ledger_done_one(f->m[2]); /* elsewhere */
	assert_int_equal(preview(f, 0, 2), 3);
	/* A group behind that has begun to end elsewhere does not take the end of ours away. */
	df_ledger_done_one(f->m[3]);
	assert_int_equal(preview(f, 0, 2), 4); /* which stands before it */
	close_all(f);
}

static void *complete_soon(void *arg)
{
	struct fixture *f = arg;

	(void)!df_context_sleep(NULL, 20 * DF_NS_PER_MS);
	df_ledger_done_one(f->m[0]);
	return NULL;
}

static void waiting_ends_with_what_is_in_front(void **state)
{
	struct fixture *f = opened(5, NULL);
	struct df_context *ctx = df_context_new(NULL);
	pthread_t thread;

	(void)state;
	pthread_create(&thread, NULL, complete_soon, f);
	assert_int_equal(df_ledger_await(f->ledger, &f->m[1], 2, NULL, NULL), 0);
	pthread_join(thread, NULL);
	assert_int_equal(preview(f, 1, 2), 3);
	df_context_deadline(ctx, df_clock_monotonic() + 10 * DF_NS_PER_MS);
	assert_int_equal(df_ledger_await(f->ledger, &f->m[3], 1, ctx, NULL), DF_ERR_TIMEOUT);
	df_context_free(ctx);
	close_all(f);
}

/* Some end out of order, then writes go through in order: each preview is what collect gives once the write is done. */
static void a_preview_comes_true(void **state)
{
	unsigned seed = (unsigned)df_clock_monotonic();

	(void)state;
	for (int round = 0; round < 200; round++) {
		struct fixture *f = opened(MAX, NULL);
		bool done[MAX] = { false };

		for (int i = 0; i < MAX / 3; i++) {
			/* Mostly in runs, so that whole chunks end. */
			size_t from = (size_t)rand_r(&seed) % MAX, n = (size_t)rand_r(&seed) % (round % 2 ? 100 : 3);

			for (size_t k = from; k < from + n && k < MAX; k++) {
				if (!done[k])
					df_ledger_done_one(f->m[k]);
				done[k] = true;
			}
		}
		for (size_t at = 0; at < MAX;) {
			struct df_message *own[16];
			struct df_commit *expected, *got;
			size_t n = 0, count, want = 1 + (size_t)rand_r(&seed) % 16;

			for (; at < MAX && n < want; at++)
				if (!done[at])
					own[n++] = f->m[at];
			if (n == 0)
				break;
			if (df_ledger_preview(own, n, &f->arena, &expected, &count, NULL) != 0)
				fail_msg("seed %u", seed);
			df_ledger_done(own, n);
			assert_int_equal(df_ledger_collect(f->ledger, &f->arena, &got, &count, NULL), 0);
			assert_int_equal(count, 1);
			assert_int_equal(got[0].position.number, expected[0].position.number);
			assert_true(df_str_equal(got[0].position.data, expected[0].position.data));
		}
		assert_int_equal(df_ledger_open_count(f->ledger), 0);
		close_all(f);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(in_front_nothing_may_be_open),
		cmocka_unit_test(all_children_must_be_there),
		cmocka_unit_test(joined_messages_need_the_last_one),
		cmocka_unit_test(waiting_ends_with_what_is_in_front),
		cmocka_unit_test(a_preview_comes_true),
	};

	return cmocka_run_group_tests_name("outlook", tests, NULL, NULL);
}

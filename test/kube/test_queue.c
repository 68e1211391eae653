/* The queue of work: one thread a key, what was added meanwhile comes again, failures come back later and later. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "kube/queue.h"

static struct df_error err;

static struct df_kube_queue *make(int64_t first_ns, int64_t cap_ns)
{
	struct df_kube_queue *q = df_kube_queue_new(first_ns, cap_ns);

	assert_non_null(q);
	return q;
}

static void add(struct df_kube_queue *q, const char *key)
{
	assert_int_equal(df_kube_queue_add(q, df_str_c(key), &err), 0);
}

/* The next key within so long, or NULL. */
static char *next_within(struct df_kube_queue *q, int64_t ns)
{
	struct df_context *ctx = df_context_new(NULL);
	char *key = NULL;
	int code;

	df_context_deadline(ctx, df_clock_monotonic() + ns);
	code = df_kube_queue_get(q, ctx, &key, &err);
	df_context_free(ctx);
	return code == 0 ? key : NULL;
}

static void expect(struct df_kube_queue *q, const char *key)
{
	char *got = next_within(q, 5 * DF_NS_PER_S);

	assert_non_null(got);
	assert_string_equal(got, key);
	df_kube_queue_done(q, got);
}

static void test_order_and_once(void **state)
{
	struct df_kube_queue *q = make(1, 1);

	(void)state;
	add(q, "a");
	add(q, "b");
	add(q, "a");
	assert_int_equal(df_kube_queue_length(q), 2);
	expect(q, "a");
	expect(q, "b");
	assert_int_equal(df_kube_queue_length(q), 0);
	df_kube_queue_free(q);
}

static void test_added_while_worked_on(void **state)
{
	struct df_kube_queue *q = make(1, 1);
	char *key;

	(void)state;
	add(q, "a");
	key = next_within(q, DF_NS_PER_S);
	add(q, "a");
	add(q, "a");
	assert_int_equal(df_kube_queue_length(q), 0); /* not to a second thread */
	df_kube_queue_done(q, key);
	assert_int_equal(df_kube_queue_length(q), 1);
	expect(q, "a");
	assert_int_equal(df_kube_queue_length(q), 0);
	df_kube_queue_free(q);
}

static void test_later(void **state)
{
	struct df_kube_queue *q = make(1, 1);
	int64_t began_ns = df_clock_monotonic();

	(void)state;
	/* Not in the order of their times, and one whose time is moved forward. */
	assert_int_equal(df_kube_queue_add_after(q, DF_STR("c"), 900 * DF_NS_PER_MS, &err), 0);
	assert_int_equal(df_kube_queue_add_after(q, DF_STR("a"), 100 * DF_NS_PER_MS, &err), 0);
	assert_int_equal(df_kube_queue_add_after(q, DF_STR("d"), 3600 * DF_NS_PER_S, &err), 0);
	assert_int_equal(df_kube_queue_add_after(q, DF_STR("b"), 3600 * DF_NS_PER_S, &err), 0);
	assert_int_equal(df_kube_queue_add_after(q, DF_STR("b"), 500 * DF_NS_PER_MS, &err), 0);
	assert_int_equal(df_kube_queue_add_after(q, DF_STR("a"), 3600 * DF_NS_PER_S, &err), 0); /* stays */
	assert_int_equal(df_kube_queue_length(q), 0);
	expect(q, "a");
	expect(q, "b");
	expect(q, "c");
	assert_true(df_clock_monotonic() - began_ns >= 900 * DF_NS_PER_MS);
	add(q, "d"); /* at once after all, and only once */
	expect(q, "d");
	assert_int_equal(df_kube_queue_length(q), 0);
	df_kube_queue_free(q);
}

/* Fails the key; it must come back no sooner than ms later. */
static char *fail_and_await(struct df_kube_queue *q, char *key, int64_t at_least_ms, int64_t ms)
{
	int64_t began_ns = df_clock_monotonic();

	/* An echo of the failure waits, too, whenever it comes. */
	assert_int_equal(df_kube_queue_add_mildly(q, df_str_c(key), &err), 0);
	df_kube_queue_retry(q, key, at_least_ms * DF_NS_PER_MS);
	assert_int_equal(df_kube_queue_length(q), 0);
	assert_int_equal(df_kube_queue_add_mildly(q, DF_STR("a"), &err), 0);
	assert_int_equal(df_kube_queue_length(q), 0);
	key = next_within(q, 5 * DF_NS_PER_S);
	assert_non_null(key);
	assert_true(df_clock_monotonic() - began_ns >= ms * DF_NS_PER_MS);
	return key;
}

/* Fails it so often that its wait would be minutes; it is added anew each time, which ends the wait. */
static char *fail_often(struct df_kube_queue *q, char *key)
{
	for (int i = 0; i < 15; i++) {
		df_kube_queue_retry(q, key, 0);
		add(q, key);
		key = next_within(q, 5 * DF_NS_PER_S);
		assert_non_null(key);
	}
	return key;
}

static void test_failures_wait_longer(void **state)
{
	struct df_kube_queue *q = make(20 * DF_NS_PER_MS, 60 * DF_NS_PER_MS);
	char *key;

	(void)state;
	add(q, "a");
	key = next_within(q, DF_NS_PER_S);
	key = fail_and_await(q, key, 0, 20);
	key = fail_and_await(q, key, 0, 40);
	key = fail_and_await(q, key, 0, 60);
	key = fail_often(q, key);
	key = fail_and_await(q, key, 0, 60);
	key = fail_and_await(q, key, 100, 100); /* the server's own time, when it is longer */
	df_kube_queue_done(q, key);
	df_kube_queue_free(q);
	/* It went well: a new failure begins anew. */
	q = make(20 * DF_NS_PER_MS, 3600 * DF_NS_PER_S);
	add(q, "a");
	df_kube_queue_done(q, fail_often(q, next_within(q, DF_NS_PER_S)));
	add(q, "a");
	df_kube_queue_done(q, fail_and_await(q, next_within(q, DF_NS_PER_S), 0, 20));
	df_kube_queue_free(q);
}

/* A change may be the cure: it is not kept waiting, while it is worked on or after. */
static void test_changes_do_not_wait(void **state)
{
	struct df_kube_queue *q = make(3600 * DF_NS_PER_S, 3600 * DF_NS_PER_S);
	char *key;

	(void)state;
	add(q, "a");
	key = next_within(q, DF_NS_PER_S);
	add(q, "a");
	df_kube_queue_retry(q, key, 0);
	assert_int_equal(df_kube_queue_length(q), 1);
	key = next_within(q, DF_NS_PER_S);
	assert_non_null(key);
	df_kube_queue_retry(q, key, 0);
	assert_int_equal(df_kube_queue_length(q), 0);
	add(q, "a");
	assert_int_equal(df_kube_queue_length(q), 1);
	key = next_within(q, DF_NS_PER_S);
	df_kube_queue_done(q, key);
	/* What went well hears of everything. */
	assert_int_equal(df_kube_queue_add_mildly(q, DF_STR("a"), &err), 0);
	key = next_within(q, DF_NS_PER_S);
	assert_non_null(key);
	assert_int_equal(df_kube_queue_add_mildly(q, DF_STR("a"), &err), 0);
	df_kube_queue_done(q, key);
	assert_int_equal(df_kube_queue_length(q), 1);
	expect(q, "a");
	df_kube_queue_free(q);
}

/* The server wants to be left alone: by changes, too, but no longer than it said. */
static void test_the_server_s_time(void **state)
{
	struct df_kube_queue *q = make(3600 * DF_NS_PER_S, 3600 * DF_NS_PER_S);
	int64_t began_ns;
	char *key;

	(void)state;
	for (int i = 0; i < 3; i++) { /* added before, after, and as a timer */
		add(q, "a");
		key = next_within(q, DF_NS_PER_S);
		assert_non_null(key);
		began_ns = df_clock_monotonic();
		if (i == 0)
			add(q, "a");
		df_kube_queue_retry(q, key, 60 * DF_NS_PER_MS);
		if (i == 1)
			add(q, "a");
		if (i == 2)
			assert_int_equal(df_kube_queue_add_after(q, DF_STR("a"), 1, &err), 0);
		assert_int_equal(df_kube_queue_length(q), 0);
		key = next_within(q, 5 * DF_NS_PER_S);
		assert_non_null(key);
		assert_true(df_clock_monotonic() - began_ns >= 60 * DF_NS_PER_MS);
		df_kube_queue_done(q, key);
	}
	df_kube_queue_free(q);
}

static void test_cancel(void **state)
{
	struct df_kube_queue *q = make(1, 1);
	struct df_context *ctx = df_context_new(NULL);
	char *key;

	(void)state;
	df_context_deadline(ctx, df_clock_monotonic() + 20 * DF_NS_PER_MS);
	assert_int_equal(df_kube_queue_get(q, ctx, &key, &err), DF_ERR_TIMEOUT);
	assert_null(key);
	df_context_cancel(ctx);
	assert_int_equal(df_kube_queue_get(q, ctx, &key, &err), DF_ERR_CANCELED);
	assert_null(key);
	df_context_free(ctx);
	df_kube_queue_free(q);
}

/* ---- threads --------------------------------------------------------------------------------------------- */

enum { KEYS = 50, ROUNDS = 200, WORKERS = 4 };

struct shared {
	struct df_kube_queue *q;
	struct df_context *ctx;
	atomic_int inside[KEYS]; /* threads that work on a key now */
	atomic_int worked;
	atomic_bool overlapped;
};

static void *worker(void *arg)
{
	struct shared *s = arg;
	char *key;

	while (df_kube_queue_get(s->q, s->ctx, &key, NULL) == 0) {
		int k = atoi(key);

		if (atomic_fetch_add(&s->inside[k], 1) != 0)
			atomic_store(&s->overlapped, true);
		atomic_fetch_add(&s->worked, 1);
		atomic_fetch_sub(&s->inside[k], 1);
		if (k % 7 == 0 && atomic_load(&s->worked) % 3 == 0)
			df_kube_queue_retry(s->q, key, 0);
		else
			df_kube_queue_done(s->q, key);
	}
	return NULL;
}

static void test_many_threads(void **state)
{
	struct shared s = { .q = make(1000, 1000000), .ctx = df_context_new(NULL) };
	pthread_t threads[WORKERS];

	(void)state;
	for (size_t i = 0; i < WORKERS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, worker, &s), 0);
	for (int round = 0; round < ROUNDS; round++) {
		for (int k = 0; k < KEYS; k++) {
			char key[16];

			snprintf(key, sizeof(key), "%d", k);
			if (k % 2)
				add(s.q, key);
			else
				assert_int_equal(
					df_kube_queue_add_after(s.q, df_str_c(key), (round % 5) * 100000, &err), 0);
		}
	}
	for (int i = 0; df_kube_queue_length(s.q) > 0 && i < 1000; i++)
		assert_int_equal(df_context_sleep(s.ctx, 10 * DF_NS_PER_MS), 0);
	assert_int_equal(df_kube_queue_length(s.q), 0);
	df_context_cancel(s.ctx);
	for (size_t i = 0; i < WORKERS; i++)
		pthread_join(threads[i], NULL);
	assert_false(atomic_load(&s.overlapped));
	assert_true(atomic_load(&s.worked) >= KEYS);
	df_kube_queue_free(s.q);
	df_context_free(s.ctx);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_order_and_once),
		cmocka_unit_test(test_added_while_worked_on),
		cmocka_unit_test(test_later),
		cmocka_unit_test(test_failures_wait_longer),
		cmocka_unit_test(test_changes_do_not_wait),
		cmocka_unit_test(test_the_server_s_time),
		cmocka_unit_test(test_cancel),
		cmocka_unit_test(test_many_threads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

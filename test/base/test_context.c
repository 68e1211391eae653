#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/context.h"

#define MS DF_NS_PER_MS

static bool readable(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	return poll(&p, 1, 0) == 1;
}

static void count(void *arg)
{
	atomic_fetch_add((atomic_int *)arg, 1);
}

static void test_cancel_reaches_children(void **state)
{
	(void)state;
	struct df_error err = DF_ERROR_INIT;
	struct df_context *root = df_context_new(NULL);
	struct df_context *a = df_context_new(root), *b = df_context_new(root), *leaf = df_context_new(a);
	assert_int_equal(df_context_check(leaf, &err), 0);
	df_context_cancel(a);
	df_context_cancel(a);
	assert_true(df_context_canceled(a));
	assert_true(df_context_canceled(leaf));
	assert_true(readable(df_context_fd(leaf)));
	assert_false(df_context_canceled(b));
	assert_false(df_context_canceled(root));
	assert_false(readable(df_context_fd(root)));
	df_context_cancel(root);
	assert_true(df_context_canceled(b));
	assert_int_equal(df_context_check(b, &err), DF_ERR_CANCELED);
	assert_string_equal(err.text, "cancelled");
	struct df_context *late = df_context_new(root);
	assert_true(df_context_canceled(late));
	assert_true(readable(df_context_fd(late)));
	df_context_free(late);
	df_context_free(leaf);
	df_context_free(a);
	df_context_free(b);
	df_context_free(root);
	df_context_free(NULL);
}

static void test_freed_children_are_forgotten(void **state)
{
	(void)state;
	struct df_context *root = df_context_new(NULL);
	struct df_context *c[3];
	for (int i = 0; i < 3; i++)
		c[i] = df_context_new(root);
	df_context_free(c[1]);
	df_context_cancel(root);
	assert_true(df_context_canceled(c[0]));
	assert_true(df_context_canceled(c[2]));
	df_context_free(c[2]);
	df_context_free(c[0]);
	df_context_free(root);
}

static void test_null(void **state)
{
	(void)state;
	assert_false(df_context_canceled(NULL));
	assert_int_equal(df_context_check(NULL, NULL), 0);
	assert_int_equal(df_context_remaining_ms(NULL), -1);
	assert_int_equal(df_context_sleep(NULL, MS), 0);
	df_context_cancel(NULL);
}

static void test_no_descriptors(void **state)
{
	(void)state;
	struct rlimit old, none;
	getrlimit(RLIMIT_NOFILE, &old);
	none = (struct rlimit){ .rlim_cur = 0, .rlim_max = old.rlim_max };
	setrlimit(RLIMIT_NOFILE, &none);
	struct df_context *ctx = df_context_new(NULL);
	setrlimit(RLIMIT_NOFILE, &old);
	assert_null(ctx);
}

static void test_deadline(void **state)
{
	(void)state;
	struct df_error err = DF_ERROR_INIT;
	struct df_context *root = df_context_new(NULL), *before = df_context_new(root);
	assert_int_equal(df_context_remaining_ms(before), -1);
	int64_t now = df_clock_monotonic();
	df_context_deadline(root, now + 10000 * MS);
	struct df_context *after = df_context_new(root);
	assert_in_range(df_context_remaining_ms(before), 9000, 10000);
	assert_in_range(df_context_remaining_ms(after), 9000, 10000);
	df_context_deadline(root, now + 20000 * MS); /* an earlier one stays */
	assert_in_range(df_context_remaining_ms(root), 9000, 10000);
	df_context_deadline(after, now - 1);
	assert_int_equal(df_context_remaining_ms(after), 0);
	assert_true(df_context_canceled(after));
	assert_int_equal(df_context_check(after, &err), DF_ERR_TIMEOUT);
	assert_string_equal(err.text, "deadline exceeded");
	assert_false(readable(df_context_fd(after)));
	assert_false(df_context_canceled(root));
	assert_false(df_context_canceled(before));
	df_context_free(before);
	df_context_free(after);
	df_context_free(root);
}

static void *cancel_soon(void *ctx)
{
	usleep(30000);
	df_context_cancel(ctx);
	return NULL;
}

static void test_sleep(void **state)
{
	(void)state;
	struct df_context *ctx = df_context_new(NULL);
	int64_t start = df_clock_monotonic();
	assert_int_equal(df_context_sleep(ctx, 20 * MS), 0);
	assert_true(df_clock_monotonic() - start >= 20 * MS);
	assert_int_equal(df_context_sleep(ctx, -5), 0);
	df_context_deadline(ctx, df_clock_monotonic() + 20 * MS);
	start = df_clock_monotonic();
	assert_int_equal(df_context_sleep(ctx, 60000 * MS), DF_ERR_TIMEOUT);
	assert_true(df_clock_monotonic() - start < 10000 * MS);
	df_context_free(ctx);

	ctx = df_context_new(NULL);
	struct df_context *child = df_context_new(ctx);
	pthread_t thread;
	pthread_create(&thread, NULL, cancel_soon, ctx);
	assert_int_equal(df_context_sleep(child, INT64_MAX), DF_ERR_CANCELED);
	assert_int_equal(df_context_sleep(child, 0), DF_ERR_CANCELED);
	pthread_join(thread, NULL);
	df_context_free(child);
	df_context_free(ctx);
}

static void test_wait_fd(void **state)
{
	(void)state;
	struct df_context *ctx = df_context_new(NULL);
	int pipes[2];
	assert_int_equal(pipe(pipes), 0);
	assert_int_equal(df_context_wait_fd(ctx, pipes[0], POLLIN, 0), DF_ERR_TIMEOUT);
	assert_int_equal(df_context_wait_fd(ctx, pipes[0], POLLIN, 10), DF_ERR_TIMEOUT);
	assert_int_equal(df_context_wait_fd(ctx, pipes[1], POLLOUT, -1), 0);
	assert_int_equal(write(pipes[1], "x", 1), 1);
	assert_int_equal(df_context_wait_fd(ctx, pipes[0], POLLIN, 0), 0);
	assert_int_equal(df_context_wait_fd(NULL, pipes[0], POLLIN, -1), 0);
	assert_int_equal(df_context_wait_fd(ctx, 987654, POLLIN, -1), DF_ERR_UNKNOWN);
	char c;
	assert_int_equal(read(pipes[0], &c, 1), 1);
	pthread_t thread;
	pthread_create(&thread, NULL, cancel_soon, ctx);
	assert_int_equal(df_context_wait_fd(ctx, pipes[0], POLLIN, -1), DF_ERR_CANCELED);
	pthread_join(thread, NULL);
	df_context_free(ctx);
	ctx = df_context_new(NULL);
	df_context_deadline(ctx, df_clock_monotonic() + 10 * MS);
	assert_int_equal(df_context_wait_fd(ctx, pipes[0], POLLIN, 60000), DF_ERR_TIMEOUT);
	df_context_free(ctx);
	close(pipes[0]);
	close(pipes[1]);
}

static void test_callbacks(void **state)
{
	(void)state;
	struct df_context *root = df_context_new(NULL), *ctx = df_context_new(root);
	atomic_int a = 0, b = 0, c = 0, late = 0;
	struct df_context_callback ca = { .fn = count, .arg = &a }, cb = { .fn = count, .arg = &b };
	struct df_context_callback cc = { .fn = count, .arg = &c }, cl = { .fn = count, .arg = &late };
	df_context_on_cancel(ctx, &ca);
	df_context_on_cancel(ctx, &cb);
	df_context_on_cancel(ctx, &cc);
	df_context_off_cancel(ctx, &cb);
	df_context_off_cancel(ctx, &cb);
	df_context_off_cancel(ctx, &cl); /* never registered */
	df_context_cancel(root);
	df_context_cancel(ctx);
	assert_int_equal(a, 1);
	assert_int_equal(b, 0);
	assert_int_equal(c, 1);
	df_context_on_cancel(ctx, &cl);
	assert_int_equal(late, 1);
	df_context_off_cancel(ctx, &ca);
	df_context_off_cancel(ctx, &cl);
	df_context_free(ctx);
	df_context_free(root);
}

struct self {
	struct df_context *ctx;
	struct df_context_callback cb;
	int calls;
};

static void remove_self(void *arg)
{
	struct self *self = arg;
	df_context_off_cancel(self->ctx, &self->cb); /* must not wait for itself */
	self->calls++;
}

static void test_off_from_the_callback(void **state)
{
	(void)state;
	struct self self = { .ctx = df_context_new(NULL) };
	self.cb = (struct df_context_callback){ .fn = remove_self, .arg = &self };
	df_context_on_cancel(self.ctx, &self.cb);
	df_context_cancel(self.ctx);
	assert_int_equal(self.calls, 1);
	df_context_on_cancel(self.ctx, &self.cb);
	assert_int_equal(self.calls, 2);
	df_context_free(self.ctx);
}

struct slow {
	atomic_int entered, left;
};

static void slow_callback(void *arg)
{
	struct slow *slow = arg;
	atomic_store(&slow->entered, 1);
	usleep(50000);
	atomic_store(&slow->left, 1);
}

static void *cancel_now(void *ctx)
{
	df_context_cancel(ctx);
	return NULL;
}

static void test_off_waits_for_a_running_callback(void **state)
{
	(void)state;
	struct df_context *ctx = df_context_new(NULL);
	struct slow slow = { 0 };
	struct df_context_callback cb = { .fn = slow_callback, .arg = &slow };
	pthread_t thread;
	df_context_on_cancel(ctx, &cb);
	pthread_create(&thread, NULL, cancel_now, ctx);
	while (!atomic_load(&slow.entered))
		usleep(100);
	df_context_off_cancel(ctx, &cb);
	assert_int_equal(atomic_load(&slow.left), 1);
	pthread_join(thread, NULL);
	df_context_free(ctx);
}

/* Children and callbacks come and go while the root is cancelled: for ThreadSanitizer. */
static void *come_and_go(void *root)
{
	intptr_t bad = 0;
	for (int i = 0; i < 300; i++) {
		struct df_context *ctx = df_context_new(root), *leaf = df_context_new(ctx);
		atomic_int calls = 0;
		struct df_context_callback cb = { .fn = count, .arg = &calls };
		df_context_on_cancel(leaf, &cb);
		if (df_context_sleep(leaf, 10000) == DF_ERR_CANCELED && !df_context_canceled(root))
			bad++;
		df_context_off_cancel(leaf, &cb);
		if (calls > 1 || (df_context_canceled(leaf) && i == 299 && calls != 1))
			bad++;
		df_context_free(leaf);
		df_context_free(ctx);
	}
	return (void *)bad;
}

static void test_races(void **state)
{
	(void)state;
	struct df_context *root = df_context_new(NULL);
	pthread_t threads[4];
	for (int i = 0; i < 4; i++)
		pthread_create(&threads[i], NULL, come_and_go, root);
	usleep(5000);
	df_context_deadline(root, df_clock_monotonic() + 60000 * MS);
	df_context_cancel(root);
	for (int i = 0; i < 4; i++) {
		void *bad;
		pthread_join(threads[i], &bad);
		assert_null(bad);
	}
	df_context_free(root);
}

static void test_clocks(void **state)
{
	(void)state;
	struct df_clock fixed = { .fixed = true, .fixed_ns = -5 };
	assert_int_equal(df_clock_now(&fixed), -5);
	fixed.fixed = false;
	assert_true(df_clock_now(&fixed) > INT64_C(1700000000) * DF_NS_PER_S);
	int64_t a = df_clock_monotonic();
	usleep(2000);
	assert_true(df_clock_monotonic() - a >= 2 * MS);
	assert_true(df_memory_resident() > 100 * 1024);
	assert_true(df_memory_peak() >= df_memory_resident() / 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cancel_reaches_children),
		cmocka_unit_test(test_freed_children_are_forgotten),
		cmocka_unit_test(test_null),
		cmocka_unit_test(test_no_descriptors),
		cmocka_unit_test(test_deadline),
		cmocka_unit_test(test_sleep),
		cmocka_unit_test(test_wait_fd),
		cmocka_unit_test(test_callbacks),
		cmocka_unit_test(test_off_from_the_callback),
		cmocka_unit_test(test_off_waits_for_a_running_callback),
		cmocka_unit_test(test_races),
		cmocka_unit_test(test_clocks),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

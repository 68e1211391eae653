/* A write and the results of its messages: at once, later from another thread, and never. */
#include <time.h>

#include "harness.h"

struct scripted {
	struct df_sink sink;
	int (*script)(struct scripted *s, struct df_write *w, struct df_error *err);
	pthread_t thread;
	struct df_write *write;
};

static int scripted_write(struct df_sink *sink, struct df_context *ctx, struct df_write *w, struct df_error *err)
{
	struct scripted *s = DF_CONTAINER_OF(sink, struct scripted, sink);

	(void)ctx;
	return s->script(s, w, err);
}

static const struct df_sink_ops ops = { .write = scripted_write };

#define COUNT 100

struct fixture {
	struct scripted s;
	struct df_message messages[COUNT];
	struct df_message *pointers[COUNT];
	struct df_arena arena;
	struct df_write w;
	struct df_error err;
};

static struct fixture *make(int (*script)(struct scripted *s, struct df_write *w, struct df_error *err))
{
	struct fixture *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	f->s = (struct scripted){ .sink = { &ops }, .script = script };
	for (size_t i = 0; i < COUNT; i++)
		f->pointers[i] = &f->messages[i];
	df_arena_init(&f->arena, NULL);
	assert_int_equal(df_write_init(&f->w, f->pointers, COUNT, &f->arena, &f->err), 0);
	return f;
}

static void destroy(struct fixture *f)
{
	df_write_destroy(&f->w);
	df_arena_done(&f->arena);
	free(f);
}

static void fail_one(struct df_write *w, size_t i, int code)
{
	struct df_error err;

	df_error_set(&err, code, "message %zu", i);
	df_write_fail(w, i, &err);
}

/* ---- at once --------------------------------------------------------------------------------------------- */

static int all_good(struct scripted *s, struct df_write *w, struct df_error *err)
{
	(void)s, (void)w, (void)err;
	return 0;
}

static void count_settled(struct df_write *w, void *arg)
{
	(void)w;
	++*(int *)arg;
}

static void test_all_good(void **state)
{
	struct fixture *f = make(all_good);
	int settled = 0;

	(void)state;
	f->w.on_settled = count_settled;
	f->w.arg = &settled;
	assert_int_equal(df_write_run(&f->s.sink, NULL, &f->w, &f->err), 0);
	for (size_t i = 0; i < COUNT; i++)
		assert_null(df_write_result(&f->w, i));
	assert_int_equal(settled, 1);
	destroy(f);
}

static int some_bad(struct scripted *s, struct df_write *w, struct df_error *err)
{
	(void)s, (void)err;
	for (size_t i = 0; i < w->count; i += 3)
		fail_one(w, i, DF_ERR_INVALID_DATA);
	return 0;
}

static void test_some_bad(void **state)
{
	struct fixture *f = make(some_bad);

	(void)state;
	assert_int_equal(df_write_run(&f->s.sink, NULL, &f->w, &f->err), 0);
	for (size_t i = 0; i < COUNT; i++) {
		const struct df_error *result = df_write_result(&f->w, i);
		char text[32];

		snprintf(text, sizeof(text), "message %zu", i);
		assert_int_equal(result != NULL, i % 3 == 0);
		if (result)
			assert_string_equal(result->text, text);
	}
	destroy(f);
}

static int whole_bad(struct scripted *s, struct df_write *w, struct df_error *err)
{
	(void)s;
	df_write_done(w, 0);
	fail_one(w, 1, DF_ERR_CONSTRAINT);
	return df_error_set(err, DF_ERR_TRANSIENT, "try later");
}

/* What has a result keeps it, the rest failed as the whole did. */
static void test_whole_bad(void **state)
{
	struct fixture *f = make(whole_bad);

	(void)state;
	assert_int_equal(df_write_run(&f->s.sink, NULL, &f->w, &f->err), DF_ERR_TRANSIENT);
	assert_string_equal(f->err.text, "try later");
	assert_null(df_write_result(&f->w, 0));
	assert_int_equal(df_write_result(&f->w, 1)->code, DF_ERR_CONSTRAINT);
	for (size_t i = 2; i < COUNT; i++) {
		assert_int_equal(df_write_result(&f->w, i)->code, DF_ERR_TRANSIENT);
		assert_string_equal(df_write_result(&f->w, i)->text, "try later");
	}
	destroy(f);
}

static int twice(struct scripted *s, struct df_write *w, struct df_error *err)
{
	(void)s, (void)err;
	df_write_done(w, 0);
	fail_one(w, 0, DF_ERR_UNKNOWN);
	df_write_done(w, 0);
	df_write_done(w, COUNT); /* out of range */
	return 0;
}

static void test_first_result_counts(void **state)
{
	struct fixture *f = make(twice);

	(void)state;
	assert_int_equal(df_write_run(&f->s.sink, NULL, &f->w, &f->err), 0);
	assert_null(df_write_result(&f->w, 0));
	destroy(f);
}

static void test_nothing_to_write(void **state)
{
	struct scripted s = { .sink = { &ops }, .script = all_good };
	struct df_error err = DF_ERROR_INIT;
	struct df_arena arena;
	struct df_write w;
	int settled = 0;

	(void)state;
	df_arena_init(&arena, NULL);
	assert_int_equal(df_write_init(&w, NULL, 0, &arena, &err), 0);
	w.on_settled = count_settled;
	w.arg = &settled;
	assert_int_equal(df_write_run(&s.sink, NULL, &w, &err), 0);
	assert_int_equal(settled, 1);
	df_write_destroy(&w);
	df_arena_done(&arena);
}

/* ---- later ----------------------------------------------------------------------------------------------- */

static void *settle(void *arg)
{
	struct scripted *s = arg;
	struct df_write *w = s->write;
	size_t count = w->count;

	nanosleep(&(struct timespec){ .tv_nsec = 2000000 }, NULL);
	/* w may be gone as soon as the last has its result. */
	for (size_t i = count; i-- > 0;) {
		if (i % 10 == 0)
			fail_one(w, i, DF_ERR_INVALID_DATA);
		else
			df_write_done(w, i);
	}
	return NULL;
}

static int pending(struct scripted *s, struct df_write *w, struct df_error *err)
{
	(void)err;
	s->write = w;
	assert_int_equal(pthread_create(&s->thread, NULL, settle, s), 0);
	return DF_WRITE_PENDING;
}

static void test_pending(void **state)
{
	(void)state;
	for (int round = 0; round < 20; round++) {
		struct fixture *f = make(pending);
		pthread_t thread;

		assert_int_equal(df_write_run(&f->s.sink, NULL, &f->w, &f->err), 0);
		thread = f->s.thread;
		for (size_t i = 0; i < COUNT; i++)
			assert_int_equal(df_write_result(&f->w, i) != NULL, i % 10 == 0);
		df_write_destroy(&f->w); /* at once: the last result was given under the lock */
		pthread_join(thread, NULL);
		df_arena_done(&f->arena);
		free(f);
	}
}

static int never(struct scripted *s, struct df_write *w, struct df_error *err)
{
	(void)s, (void)err;
	df_write_done(w, 5);
	return DF_WRITE_PENDING;
}

static void *cancel_soon(void *arg)
{
	nanosleep(&(struct timespec){ .tv_nsec = 5000000 }, NULL);
	df_context_cancel(arg);
	return NULL;
}

static void test_pending_is_cancelled(void **state)
{
	struct fixture *f = make(never);
	struct df_context *ctx = df_context_new(NULL);
	pthread_t thread;

	(void)state;
	assert_int_equal(pthread_create(&thread, NULL, cancel_soon, ctx), 0);
	assert_int_equal(df_write_run(&f->s.sink, ctx, &f->w, &f->err), DF_ERR_CANCELED);
	pthread_join(thread, NULL);
	assert_null(df_write_result(&f->w, 5));
	assert_int_equal(df_write_result(&f->w, 6)->code, DF_ERR_CANCELED);
	/* A late result changes nothing. */
	df_write_done(&f->w, 6);
	assert_int_equal(df_write_result(&f->w, 6)->code, DF_ERR_CANCELED);
	df_context_free(ctx);
	destroy(f);
}

static void test_pending_has_a_deadline(void **state)
{
	struct fixture *f = make(never);
	struct df_context *ctx = df_context_new(NULL);

	(void)state;
	df_context_deadline(ctx, df_clock_monotonic() + 10 * DF_NS_PER_MS);
	assert_int_equal(df_write_run(&f->s.sink, ctx, &f->w, &f->err), DF_ERR_TIMEOUT);
	df_context_free(ctx);
	destroy(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_all_good),
		cmocka_unit_test(test_some_bad),
		cmocka_unit_test(test_whole_bad),
		cmocka_unit_test(test_first_result_counts),
		cmocka_unit_test(test_nothing_to_write),
		cmocka_unit_test(test_pending),
		cmocka_unit_test(test_pending_is_cancelled),
		cmocka_unit_test(test_pending_has_a_deadline),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

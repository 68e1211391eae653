/* Both base connectors: state, close, and that close never waits for a slow connect, a long query or a crowd of
 * readers. */
#include <time.h>

#include "harness.h"

static const struct df_connector_env env = { .namespace = "n", .name = "f" };

/* A connector of either kind, so that each test runs for both. */
struct kind {
	const char *name;
	bool rw;
};

struct connector {
	bool rw;
	struct df_base_connector plain;
	struct df_base_connector_rw shared;
	atomic_int waiting; /* threads that are inside connect or a query */
	int result;
};

static struct df_base_state *state_of(struct connector *c)
{
	return c->rw ? &c->shared.state : &c->plain.state;
}

static bool guard_connect(struct connector *c, struct df_error *err)
{
	return c->rw ? df_base_rw_guard_connect(&c->shared, err) : df_base_guard_connect(&c->plain, err);
}

static bool guard_close(struct connector *c)
{
	return c->rw ? df_base_rw_guard_close(&c->shared) : df_base_guard_close(&c->plain);
}

static void unlock(struct connector *c)
{
	if (c->rw)
		df_base_rw_unlock(&c->shared);
	else
		df_base_unlock(&c->plain);
}

static bool is_closed(struct connector *c)
{
	return c->rw ? df_base_rw_closed(&c->shared) : df_base_closed(&c->plain);
}

static struct connector *make(void **state)
{
	const struct kind *kind = *state;
	struct connector *c = calloc(1, sizeof(*c));
	struct df_error err = DF_ERROR_INIT;

	assert_non_null(c);
	c->rw = kind->rw;
	if (c->rw)
		assert_int_equal(df_base_connector_rw_init(&c->shared, &env, &err), 0);
	else
		assert_int_equal(df_base_connector_init(&c->plain, &env, &err), 0);
	return c;
}

static void destroy(struct connector *c)
{
	if (c->rw)
		df_base_connector_rw_done(&c->shared);
	else
		df_base_connector_done(&c->plain);
	free(c);
}

static void close_now(struct connector *c)
{
	if (!guard_close(c))
		unlock(c);
}

static int64_t ms_since(int64_t start)
{
	return (df_clock_monotonic() - start) / DF_NS_PER_MS;
}

/* ---- state ----------------------------------------------------------------------------------------------- */

static void test_first_state(void **state)
{
	struct connector *c = make(state);

	assert_false(is_closed(c));
	assert_false(state_of(c)->connected);
	assert_string_equal(state_of(c)->env.name, "f");
	assert_non_null(state_of(c)->context);
	assert_false(df_context_canceled(state_of(c)->context));
	destroy(c);
}

static void test_done_accepts_nothing(void **state)
{
	struct df_base_connector plain = { 0 };
	struct df_base_connector_rw shared = { 0 };

	(void)state;
	df_base_connector_done(&plain);
	df_base_connector_done(NULL);
	df_base_connector_rw_done(&shared);
	df_base_connector_rw_done(NULL);
}

static void test_close_twice(void **state)
{
	struct connector *c = make(state);

	assert_false(guard_close(c));
	unlock(c);
	assert_true(is_closed(c));
	assert_true(guard_close(c));
	assert_true(guard_close(c));
	destroy(c);
}

static void test_connect_after_close(void **state)
{
	struct connector *c = make(state);
	struct df_error err = DF_ERROR_INIT;

	close_now(c);
	assert_false(guard_connect(c, &err));
	assert_int_equal(err.code, DF_ERR_CLOSED);
	assert_string_equal(err.text, "connector is closed");
	/* No lock is held: another close gets in. */
	assert_true(guard_close(c));
	destroy(c);
}

static void test_use_needs_connect(void **state)
{
	struct connector *c = make(state);
	struct df_error err = DF_ERROR_INIT;

	if (!c->rw) {
		assert_false(df_base_guard_use(&c->plain, &err));
		assert_non_null(strstr(err.text, "not connected"));
		assert_true(guard_connect(c, &err));
		c->plain.state.connected = true;
		unlock(c);
		assert_true(df_base_guard_use(&c->plain, &err));
		unlock(c);
		close_now(c);
		assert_false(df_base_guard_use(&c->plain, &err));
		assert_non_null(strstr(err.text, "closed"));
	}
	destroy(c);
}

static void test_unlock_on_return(void **state)
{
	struct connector *c = make(state);
	struct df_error err = DF_ERROR_INIT;

	for (int i = 0; i < 2; i++) {
		assert_true(guard_connect(c, &err));
		if (c->rw) {
			DF_UNLOCK_ON_RETURN(&c->shared);
		} else {
			DF_UNLOCK_ON_RETURN(&c->plain);
		}
	}
	destroy(c);
}

/* ---- close does not wait --------------------------------------------------------------------------------- */

/* A cancelled operation needs a moment more before it gives back what it uses. */
static void leave(struct connector *c)
{
	nanosleep(&(struct timespec){ .tv_nsec = 100 * DF_NS_PER_MS }, NULL);
	atomic_fetch_sub(&c->waiting, 1);
}

/* Sleeps under the lock, as a connect to a host that does not answer. */
static void *slow_connect(void *arg)
{
	struct connector *c = arg;
	struct df_base_scope scope;
	struct df_error err = DF_ERROR_INIT;

	if (!guard_connect(c, &err)) {
		c->result = err.code;
		return NULL;
	}
	assert_int_equal(df_base_scope_begin(state_of(c), NULL, &scope, &err), 0);
	atomic_fetch_add(&c->waiting, 1);
	c->result = df_context_sleep(scope.ctx, 30 * DF_NS_PER_S);
	leave(c);
	df_base_scope_end(&scope);
	unlock(c);
	return NULL;
}

/* Uses the connection without the lock: borrowed. */
static void *long_query(void *arg)
{
	struct connector *c = arg;
	struct df_base_scope scope;
	struct df_error err = DF_ERROR_INIT;

	if (!df_base_borrow(state_of(c)))
		return NULL;
	if (df_base_scope_begin(state_of(c), NULL, &scope, &err) == 0) {
		atomic_fetch_add(&c->waiting, 1);
		c->result = df_context_sleep(scope.ctx, 30 * DF_NS_PER_S);
		leave(c);
	}
	df_base_scope_end(&scope);
	df_base_return(state_of(c));
	return NULL;
}

static int call_connect(struct connector *c, struct df_context *ctx, struct df_base_call *call, struct df_error *err)
{
	return c->rw ? df_base_rw_connect(&c->shared, ctx, call, err) : df_base_connect(&c->plain, ctx, call, err);
}

static int call_use(struct connector *c, struct df_context *ctx, struct df_base_call *call, struct df_error *err)
{
	return c->rw ? df_base_rw_use(&c->shared, ctx, call, err) : df_base_use(&c->plain, ctx, call, err);
}

static void *long_call(void *arg)
{
	struct connector *c = arg;
	df_cleanup(df_base_call_end) struct df_base_call call = { 0 };
	struct df_error err = DF_ERROR_INIT;

	assert_int_equal(call_use(c, NULL, &call, &err), 0);
	atomic_fetch_add(&c->waiting, 1);
	c->result = df_context_sleep(call.ctx, 30 * DF_NS_PER_S);
	leave(c);
	return NULL;
}

static void await_inside(struct connector *c)
{
	while (atomic_load(&c->waiting) == 0)
		nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
}

static void close_during(void **state, void *(*what)(void *))
{
	struct connector *c = make(state);
	pthread_t thread;
	int64_t start;

	state_of(c)->connected = what == long_call;
	assert_int_equal(pthread_create(&thread, NULL, what, c), 0);
	await_inside(c);
	start = df_clock_monotonic();
	assert_false(guard_close(c));
	assert_int_equal(atomic_load(&c->waiting), 0); /* the connection can be freed */
	unlock(c);
	assert_true(ms_since(start) < 2000);
	pthread_join(thread, NULL);
	assert_int_equal(c->result, DF_ERR_CANCELED);
	assert_false(df_base_borrow(state_of(c)));
	destroy(c);
}

static void test_close_during_connect(void **state)
{
	close_during(state, slow_connect);
}

static void test_close_during_query(void **state)
{
	close_during(state, long_query);
}

static void test_scope(void **state)
{
	struct connector *c = make(state);
	struct df_context *caller = df_context_new(NULL);
	struct df_base_scope scope;
	struct df_error err = DF_ERROR_INIT;

	/* The caller's cancel reaches it. */
	assert_int_equal(df_base_scope_begin(state_of(c), caller, &scope, &err), 0);
	assert_false(df_context_canceled(scope.ctx));
	df_context_cancel(caller);
	assert_true(df_context_canceled(scope.ctx));
	df_base_scope_end(&scope);
	/* The own one too, and the caller's stays as it is. */
	df_context_free(caller);
	caller = df_context_new(NULL);
	assert_int_equal(df_base_scope_begin(state_of(c), caller, &scope, &err), 0);
	df_context_cancel(state_of(c)->context);
	assert_true(df_context_canceled(scope.ctx));
	assert_false(df_context_canceled(caller));
	df_base_scope_end(&scope);
	/* None after close; ending it does no harm. */
	close_now(c);
	assert_int_equal(df_base_scope_begin(state_of(c), caller, &scope, &err), DF_ERR_CLOSED);
	df_base_scope_end(&scope);
	df_context_free(caller);
	destroy(c);
}

/* ---- calls ----------------------------------------------------------------------------------------------- */

static void test_call_before_connect_and_after_close(void **state)
{
	struct connector *c = make(state);
	struct df_base_call call;
	struct df_error err = DF_ERROR_INIT;

	assert_int_equal(call_use(c, NULL, &call, &err), DF_ERR_CLOSED);
	assert_string_equal(err.text, "connector is not connected");
	df_base_call_end(&call);
	assert_int_equal(call_connect(c, NULL, &call, &err), 0);
	assert_false(state_of(c)->connected);
	state_of(c)->connected = true;
	df_base_call_end(&call);
	assert_int_equal(call_use(c, NULL, &call, &err), 0);
	assert_non_null(call.ctx);
	df_base_call_end(&call);
	assert_null(call.ctx);
	/* Nothing is held: close gets in, and says that it is connected no more. */
	close_now(c);
	assert_false(state_of(c)->connected);
	assert_int_equal(call_use(c, NULL, &call, &err), DF_ERR_CLOSED);
	assert_string_equal(err.text, "connector is closed");
	assert_int_equal(call_connect(c, NULL, &call, &err), DF_ERR_CLOSED);
	assert_string_equal(err.text, "connector is closed");
	assert_true(guard_close(c));
	destroy(c);
}

static void test_close_during_call(void **state)
{
	close_during(state, long_call);
}

/* ---- readers --------------------------------------------------------------------------------------------- */

struct readers {
	struct connector *c;
	atomic_bool stop;
	atomic_uint reads;
};

static void *read_on_and_on(void *arg)
{
	struct readers *r = arg;

	while (!atomic_load(&r->stop)) {
		df_base_rw_rlock(&r->c->shared);
		nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
		atomic_fetch_add(&r->reads, 1);
		df_base_rw_runlock(&r->c->shared);
	}
	return NULL;
}

/* With glibc's default kind of rwlock the readers, who overlap, would keep the writer out for ever. */
static void test_readers_do_not_starve_close(void **state)
{
	struct readers r = { .c = make(state) };
	pthread_t threads[4];
	int64_t start;

	if (!r.c->rw) {
		destroy(r.c);
		return;
	}
	for (size_t i = 0; i < DF_ARRAY_SIZE(threads); i++)
		assert_int_equal(pthread_create(&threads[i], NULL, read_on_and_on, &r), 0);
	while (atomic_load(&r.reads) < 8)
		nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
	start = df_clock_monotonic();
	assert_false(guard_close(r.c));
	unlock(r.c);
	assert_true(ms_since(start) < 2000);
	atomic_store(&r.stop, true);
	for (size_t i = 0; i < DF_ARRAY_SIZE(threads); i++)
		pthread_join(threads[i], NULL);
	destroy(r.c);
}

static void *close_thread(void *arg)
{
	close_now(arg);
	return NULL;
}

static void test_many_close(void **state)
{
	struct connector *c = make(state);
	pthread_t threads[8];

	for (size_t i = 0; i < DF_ARRAY_SIZE(threads); i++)
		assert_int_equal(pthread_create(&threads[i], NULL, close_thread, c), 0);
	for (size_t i = 0; i < DF_ARRAY_SIZE(threads); i++)
		pthread_join(threads[i], NULL);
	assert_true(is_closed(c));
	destroy(c);
}

int main(void)
{
	static struct kind kinds[] = { { "mutex", false }, { "rwlock", true } };
	int failed = 0;

	for (size_t i = 0; i < DF_ARRAY_SIZE(kinds); i++) {
		void *k = &kinds[i];
		const struct CMUnitTest tests[] = {
			cmocka_unit_test_prestate(test_first_state, k),
			cmocka_unit_test_prestate(test_done_accepts_nothing, k),
			cmocka_unit_test_prestate(test_close_twice, k),
			cmocka_unit_test_prestate(test_connect_after_close, k),
			cmocka_unit_test_prestate(test_use_needs_connect, k),
			cmocka_unit_test_prestate(test_unlock_on_return, k),
			cmocka_unit_test_prestate(test_close_during_connect, k),
			cmocka_unit_test_prestate(test_close_during_query, k),
			cmocka_unit_test_prestate(test_scope, k),
			cmocka_unit_test_prestate(test_call_before_connect_and_after_close, k),
			cmocka_unit_test_prestate(test_close_during_call, k),
			cmocka_unit_test_prestate(test_readers_do_not_starve_close, k),
			cmocka_unit_test_prestate(test_many_close, k),
		};

		failed += cmocka_run_group_tests_name(kinds[i].name, tests, NULL, NULL);
	}
	return failed;
}

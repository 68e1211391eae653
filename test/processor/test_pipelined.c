/* Sinks with several writes in flight: results in any order, failures, a lost connection, the end. */
#include "kit.h"

#define FLIGHTS 4

/* Each write of 10 messages waits for its answer. */
static int later(struct kit_sink *s, struct df_context *ctx, struct df_write *w, struct df_error *err)
{
	(void)ctx;
	(void)err;
	return kit_pend(s, w);
}

static struct kit *new_kit(const char *more, int64_t messages)
{
	char yaml[512];
	struct kit *k;

	snprintf(yaml, sizeof(yaml), "%schannelBufferSize: 10\n%s", KIT_FLOW, more);
	k = kit_new(yaml, messages);
	k->main.ops.max_in_flight = FLIGHTS;
	k->main.write = later;
	kit_flush_ten(&k->main);
	return k;
}

static int64_t first_id(const struct kit_sink *s, size_t at)
{
	return kit_id(s->pending[at]->messages[0], s->pending[at]->arena);
}

static void writes_are_pending_together_and_settle_in_any_order(void **state)
{
	struct kit *k = new_kit("", 60);

	(void)state;
	kit_start(k);
	assert_true(kit_wait_pending(&k->main, FLIGHTS));
	kit_sleep(20);
	assert_int_equal(kit_pending(&k->main), FLIGHTS); /* no more than that */
	for (size_t i = 0; i < FLIGHTS; i++)
		assert_int_equal(first_id(&k->main, i), 10 * i + 1);
	kit_answer(&k->main, 2, 0); /* 21..30 */
	kit_answer(&k->main, 2, 0); /* 31..40 */
	assert_true(kit_wait_pending(&k->main, 3));
	assert_int_equal(first_id(&k->main, 2), 41);
	while (kit_confirmed(&k->main) < 60 && kit_wait_pending(&k->main, 1))
		kit_answer(&k->main, kit_pending(&k->main) - 1, 0);
	assert_int_equal(kit_join(k), 0);
	assert_int_equal(k->stats.written, 60);
	assert_int_equal(k->main.most_pending, FLIGHTS);
	assert_int_equal(k->source.committed, 60);
	kit_assert_each_once(&k->main, 60, -1);
	kit_free(k);
}

/* Nothing is written until everything that was pending is back, and then the failed one comes first. */
static void a_failed_write_grounds_the_others(void **state)
{
	struct kit *k = new_kit("retry: {initial: 10ms}\n", 80);

	(void)state;
	kit_start(k);
	assert_true(kit_wait_pending(&k->main, FLIGHTS));
	kit_answer(&k->main, 1, DF_ERR_TRANSIENT); /* 11..20 */
	kit_answer(&k->main, 0, 0);
	kit_sleep(30);
	assert_int_equal(kit_pending(&k->main), 2);
	kit_answer(&k->main, 0, DF_ERR_TRANSIENT); /* 21..30 */
	kit_sleep(30);
	assert_int_equal(kit_pending(&k->main), 1);
	kit_answer(&k->main, 0, 0); /* 31..40 */
	assert_true(kit_wait_pending(&k->main, 1));
	assert_int_equal(first_id(&k->main, 0), 11);
	kit_answer(&k->main, 0, 0);
	assert_true(kit_wait_pending(&k->main, 1));
	assert_int_equal(first_id(&k->main, 0), 21);
	kit_answer(&k->main, 0, 0);
	assert_true(kit_wait_pending(&k->main, FLIGHTS));
	assert_int_equal(first_id(&k->main, 0), 41);
	while (kit_pending(&k->main))
		kit_answer(&k->main, 0, 0);
	assert_int_equal(kit_join(k), 0);
	assert_int_equal(k->stats.retries, 2);
	assert_int_equal(k->stats.written, 80);
	kit_assert_each_once(&k->main, 80, -1);
	kit_free(k);
}

static void poison_of_a_pending_write_goes_to_the_error_sink(void **state)
{
	struct kit *k = new_kit(KIT_ERRORS, 40);

	(void)state;
	k->main.poison = 15;
	kit_start(k);
	assert_true(kit_wait_pending(&k->main, FLIGHTS));
	while (kit_pending(&k->main))
		kit_answer(&k->main, kit_pending(&k->main) - 1, 0);
	assert_int_equal(kit_join(k), 0);
	assert_int_equal(k->stats.written, 39);
	assert_int_equal(k->stats.error_sinked, 1);
	assert_int_equal(k->errors.count, 1);
	assert_int_equal(k->source.committed, 40);
	kit_assert_each_once(&k->main, 40, 15);
	kit_free(k);
}

static void a_lost_connection_is_opened_once_for_all(void **state)
{
	struct kit *k = new_kit("", 40);

	(void)state;
	kit_start(k);
	assert_true(kit_wait_pending(&k->main, FLIGHTS));
	kit_answer(&k->main, 0, 0);
	for (int i = 1; i < FLIGHTS; i++) /* not until none is pending: the first may be written again by then */
		kit_answer(&k->main, 0, DF_ERR_CONNECTION);
	for (int64_t first = 11; first <= 31; first += 10) {
		assert_true(kit_wait_pending(&k->main, 1));
		assert_int_equal(first_id(&k->main, 0), first);
		assert_int_equal(k->main.instances, 2);
		kit_answer(&k->main, 0, 0);
	}
	assert_int_equal(kit_join(k), 0);
	assert_int_equal(k->stats.reconnects, 1);
	kit_assert_in_order(&k->main, 40, -1);
	kit_free(k);
}

/* What was answered counts, what was not is read again; no result touches what is gone. */
static void a_kill_leaves_pending_writes_behind(void **state)
{
	struct kit *k = new_kit("", 80);

	(void)state;
	kit_start(k);
	assert_true(kit_wait_pending(&k->main, FLIGHTS));
	kit_answer(&k->main, 0, 0);
	assert_true(kit_wait_pending(&k->main, FLIGHTS));
	df_context_cancel(k->kill);
	assert_int_equal(kit_join(k), DF_ERR_CANCELED);
	assert_int_equal(k->stats.written, 10);
	assert_int_equal(kit_pending(&k->main), 0);
	kit_free(k);
}

static void a_failure_waits_for_what_is_pending(void **state)
{
	struct kit *k = new_kit("", 80);

	(void)state;
	kit_start(k);
	assert_true(kit_wait_pending(&k->main, FLIGHTS));
	kit_answer(&k->main, 3, DF_ERR_CONFIG);
	kit_sleep(20);
	while (kit_pending(&k->main))
		kit_answer(&k->main, 0, 0);
	assert_int_equal(kit_join(k), DF_ERR_CONFIG);
	assert_int_equal(k->stats.written, 30);
	assert_int_equal(k->source.committed, 30); /* and their position is kept */
	assert_int_equal(k->main.writes, FLIGHTS);
	kit_free(k);
}

static void a_stop_waits_for_what_is_pending(void **state)
{
	struct kit *k = new_kit("", 1000);

	(void)state;
	k->options.grace_ns = 60 * DF_NS_PER_S;
	kit_start(k);
	assert_true(kit_wait_pending(&k->main, FLIGHTS));
	df_context_cancel(k->stop);
	kit_answer_all(k);
	assert_int_equal(kit_join(k), 0);
	assert_int_equal(k->stats.written, k->stats.read);
	assert_true(k->stats.read < 1000);
	kit_assert_in_order(&k->main, (int64_t)k->stats.read, -1);
	kit_free(k);
}

static void one(const void *settings, struct df_batching *ret)
{
	(void)settings;
	*ret = (struct df_batching){ .size = { 1, true } };
}

/* 1 MiB messages: four are the bytes of one flush. */
static void bytes_in_flight_are_bounded(void **state)
{
	struct kit *k = new_kit("", 20);

	(void)state;
	k->main.ops.max_in_flight = 16;
	k->source.batch = 1;
	k->main.ops.batching = one;
	k->source.pad = 1 << 20;
	kit_start(k);
	assert_true(kit_wait_pending(&k->main, 4));
	kit_sleep(50);
	assert_int_equal(kit_pending(&k->main), 4);
	kit_answer_all(k);
	assert_int_equal(kit_join(k), 0);
	kit_assert_in_order(&k->main, 20, -1);
	assert_true(k->main.most_pending <= 5);
	kit_free(k);
}

/* A server that answers on its own, in its own order, and refuses now and then. */
struct server {
	struct kit_sink *side;
	unsigned seed;
	atomic_bool over;
};

static void *serve(void *arg)
{
	struct server *server = arg;

	while (!atomic_load(&server->over)) {
		size_t n = kit_pending(server->side);

		if (n == 0) {
			sched_yield();
			continue;
		}
		int what = rand_r(&server->seed) % 50;
		int code = what == 0 ? DF_ERR_CONNECTION : what == 1 ? DF_ERR_TRANSIENT : 0;
		kit_answer(server->side, (size_t)rand_r(&server->seed) % n, code);
	}
	return NULL;
}

static void many_writes_from_another_thread(void **state)
{
	struct kit *k = new_kit("retry: {attempts: 0, initial: 1ms, max: 2ms, connect: 1ms}\n", 20000);
	struct server server = { .side = &k->main, .seed = 7 };
	pthread_t thread;

	(void)state;
	pthread_create(&thread, NULL, serve, &server);
	assert_int_equal(kit_run(k), 0);
	atomic_store(&server.over, true);
	pthread_join(thread, NULL);
	assert_int_equal(k->stats.written, 20000);
	assert_true(k->stats.retries > 0);
	kit_assert_each_once(&k->main, 20000, -1);
	kit_free(k);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(writes_are_pending_together_and_settle_in_any_order),
		cmocka_unit_test(a_failed_write_grounds_the_others),
		cmocka_unit_test(poison_of_a_pending_write_goes_to_the_error_sink),
		cmocka_unit_test(a_lost_connection_is_opened_once_for_all),
		cmocka_unit_test(a_kill_leaves_pending_writes_behind),
		cmocka_unit_test(a_failure_waits_for_what_is_pending),
		cmocka_unit_test(a_stop_waits_for_what_is_pending),
		cmocka_unit_test(bytes_in_flight_are_bounded),
		cmocka_unit_test(many_writes_from_another_thread),
	};

	df_log_setup(DF_LOG_TEXT, "error");
	return cmocka_run_group_tests(tests, NULL, NULL);
}

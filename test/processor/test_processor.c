/*
 * The processor with a real source (generate) and a sink that follows a script: what the other side does wrong on
 * demand.
 */
#include "kit.h"

#define GENERATE(n) "source: {type: generate, config: {count: " #n ", template: '{\"id\": ${counter}}'}}\n"
#define SINK "sink: {type: discard, config: {}}\n"

static void every_message_arrives_once_in_order(void **state)
{
	struct kit *k = kit_new(GENERATE(1000) SINK, 0);

	(void)state;
	assert_int_equal(kit_run(k), 0);
	kit_assert_in_order(&k->main, 1000, -1);
	assert_int_equal(k->stats.read, 1000);
	assert_int_equal(k->stats.written, 1000);
	assert_int_equal(k->stats.phase, DF_PHASE_DONE);
	assert_int_equal(k->store.saves, 1);
	assert_true(k->main.syncs > 0);
	kit_free(k);
}

static void a_second_run_goes_on_behind_the_position(void **state)
{
	struct kit *k = kit_new(GENERATE(1000) SINK, 0);

	(void)state;
	assert_int_equal(kit_run(k), 0);
	assert_int_equal(kit_run(k), 0);
	assert_int_equal(k->stats.read, 0);
	kit_assert_in_order(&k->main, 1000, -1);
	k->spec.checkpoint_reset = true;
	assert_int_equal(kit_run(k), 0);
	assert_int_equal(k->stats.read, 1000);
	kit_free(k);
}

static void filtered_messages_are_done(void **state)
{
	struct kit *k = kit_new(GENERATE(1000) SINK "transformations:\n"
						    "  - {type: filter, config: {condition: id <= 10}}\n",
				0);

	(void)state;
	assert_int_equal(kit_run(k), 0);
	assert_int_equal(k->stats.filtered, 990);
	assert_int_equal(k->stats.written, 10);
	assert_int_equal(kit_run(k), 0);
	assert_int_equal(k->stats.read, 0); /* the position is at the end, not behind the last written one */
	kit_free(k);
}

static void split_messages_are_done_with_their_last_child(void **state)
{
	struct kit *k = kit_new("source: {type: generate, config: {count: 10, template: '{\"items\": [{\"id\": "
				"1}, {\"id\": 2}, {\"id\": 3}]}'}}\n" SINK
				"transformations:\n  - {type: flatten, config: {field: items}}\n"
				"  - {type: filter, config: {condition: id != 2}}\n",
				0);

	(void)state;
	assert_int_equal(kit_run(k), 0);
	assert_int_equal(k->stats.read, 10);
	assert_int_equal(k->stats.made, 20);
	assert_int_equal(k->stats.written, 20);
	assert_int_equal(k->stats.filtered, 10);
	assert_int_equal(kit_run(k), 0);
	assert_int_equal(k->stats.read, 0);
	kit_free(k);
}

/* The first writes fail as a whole and are worth another try. */
static int transient_first(struct kit_sink *s, struct df_context *ctx, struct df_write *w, struct df_error *err)
{
	(void)ctx;
	if (s->writes <= s->fail_first)
		return df_error_set(err, DF_ERR_TRANSIENT, "try later");
	for (size_t i = 0; i < w->count; i++)
		kit_confirm(s, w, i);
	return 0;
}

static void a_transient_failure_is_tried_again(void **state)
{
	struct kit *k = kit_new(GENERATE(50) SINK, 0);

	(void)state;
	k->main.write = transient_first;
	k->main.fail_first = 1;
	assert_int_equal(kit_run(k), 0);
	kit_assert_in_order(&k->main, 50, -1);
	assert_true(k->stats.retries >= 1);
	assert_int_equal(k->main.instances, 1);
	kit_free(k);
}

static int connection_first(struct kit_sink *s, struct df_context *ctx, struct df_write *w, struct df_error *err)
{
	int r = transient_first(s, ctx, w, err);

	if (r < 0)
		err->code = DF_ERR_CONNECTION;
	return r < 0 ? DF_ERR_CONNECTION : r;
}

static void a_lost_connection_is_opened_again(void **state)
{
	struct kit *k = kit_new(GENERATE(50) SINK, 0);

	(void)state;
	k->main.write = connection_first;
	k->main.fail_first = 2; /* the first is opened again at once, the second after a second */
	assert_int_equal(kit_run(k), 0);
	kit_assert_in_order(&k->main, 50, -1);
	assert_int_equal(k->main.instances, 3);
	assert_int_equal(k->stats.reconnects, 2);
	kit_free(k);
}

/* The store refuses one message and says which. */
static int refuse_one(struct kit_sink *s, struct df_context *ctx, struct df_write *w, struct df_error *err)
{
	struct df_error why = DF_ERROR_INIT;

	(void)ctx;
	(void)err;
	df_error_set(&why, DF_ERR_CONSTRAINT, "duplicate key");
	for (size_t i = 0; i < w->count; i++) {
		if (kit_id(w->messages[i], w->arena) == s->poison)
			df_write_fail(w, i, &why);
		else
			kit_confirm(s, w, i);
	}
	return 0;
}

/* The store refuses the whole write and does not say why. */
static int refuse_all(struct kit_sink *s, struct df_context *ctx, struct df_write *w, struct df_error *err)
{
	(void)ctx;
	for (size_t i = 0; i < w->count; i++)
		if (kit_id(w->messages[i], w->arena) == s->poison)
			return df_error_set(err, DF_ERR_INVALID_DATA, "bad row somewhere");
	for (size_t i = 0; i < w->count; i++)
		kit_confirm(s, w, i);
	return 0;
}

static void poison_goes_to_the_error_sink(void **state)
{
	static int (*const refuse[])(struct kit_sink *, struct df_context *, struct df_write *,
				     struct df_error *) = { refuse_one, refuse_all };
	static const int64_t poison[] = { 1, 500, 1000 };

	(void)state;
	for (size_t r = 0; r < 2; r++) {
		for (size_t i = 0; i < 3; i++) {
			struct kit *k = kit_new(GENERATE(1000) SINK KIT_ERRORS, 0);

			k->main.write = refuse[r];
			k->main.poison = poison[i];
			assert_int_equal(kit_run(k), 0);
			kit_assert_in_order(&k->main, 1000, poison[i]);
			assert_int_equal(k->errors.count, 1);
			assert_int_equal(k->stats.written, 999);
			assert_int_equal(k->stats.error_sinked, 1);
			assert_int_equal(kit_run(k), 0);
			assert_int_equal(k->stats.read, 0);
			kit_free(k);
		}
	}
}

static void poison_without_an_error_sink_stops_with_the_position_kept(void **state)
{
	struct kit *k = kit_new(GENERATE(1000) SINK, 0);

	(void)state;
	k->main.write = refuse_one;
	k->main.poison = 640;
	assert_int_equal(kit_run(k), DF_ERR_CONSTRAINT);
	assert_non_null(strstr(k->err.text, "sink_write"));
	assert_non_null(strstr(k->err.text, "duplicate key"));
	assert_int_equal(k->stats.failed, 1);
	k->main.write = NULL;
	k->main.count = 0;
	assert_int_equal(kit_run(k), 0);
	assert_true(k->main.count >= 360 && k->main.count < 1000);
	assert_true(k->main.ids[0] <= 640 && k->main.ids[0] > 0);
	kit_free(k);
}

static void a_transform_error_is_poison_too(void **state)
{
	struct kit *k = kit_new(GENERATE(300) SINK KIT_ERRORS
				"transformations:\n  - {type: insertField, config: {fields: {id.x: y}}}\n",
				0);

	(void)state;
	assert_int_equal(kit_run(k), 0);
	assert_int_equal(k->stats.error_sinked, 300);
	assert_int_equal(k->stats.written, 0);
	kit_free(k);
}

static void a_failing_error_sink_stops_the_pipeline(void **state)
{
	struct kit *k = kit_new(GENERATE(300) SINK KIT_ERRORS
				"transformations:\n  - {type: insertField, config: {fields: {id.x: y}}}\n",
				0);

	(void)state;
	k->errors.write = refuse_all;
	k->errors.poison = -1; /* a record has no id: refused */
	assert_int_equal(kit_run(k), DF_ERR_INVALID_DATA);
	assert_non_null(strstr(k->err.text, "error sink"));
	assert_int_equal(kit_run(k), DF_ERR_INVALID_DATA);
	assert_int_equal(k->stats.error_sinked, 0);
	kit_free(k);
}

/* Results come later, from another thread. */
struct later {
	struct df_write *write; /* NULL: none was made yet */
	pthread_t thread;
};

static void *answer(void *arg)
{
	struct later *later = arg;

	for (size_t i = later->write->count; i > 0; i--)
		df_write_done(later->write, i - 1);
	return NULL;
}

static int answer_later(struct kit_sink *s, struct df_context *ctx, struct df_write *w, struct df_error *err)
{
	struct later *later = s->arg;

	(void)ctx;
	(void)err;
	for (size_t i = 0; i < w->count; i++)
		kit_confirm(s, w, i);
	if (later->write)
		pthread_join(later->thread, NULL);
	later->write = w;
	pthread_create(&later->thread, NULL, answer, later);
	return DF_WRITE_PENDING;
}

static void results_may_come_later(void **state)
{
	struct kit *k = kit_new(GENERATE(1000) SINK, 0);

	struct later later = { 0 };

	(void)state;
	k->main.write = answer_later;
	k->main.arg = &later;
	assert_int_equal(kit_run(k), 0);
	pthread_join(later.thread, NULL);
	kit_assert_in_order(&k->main, 1000, -1);
	assert_int_equal(k->stats.written, 1000);
	kit_free(k);
}

/* Long enough for several commits while it runs. */
static int write_slowly(struct kit_sink *s, struct df_context *ctx, struct df_write *w, struct df_error *err)
{
	(void)err;
	(void)!df_context_sleep(ctx, 10 * DF_NS_PER_MS);
	for (size_t i = 0; i < w->count; i++)
		kit_confirm(s, w, i);
	return 0;
}

static unsigned saves_with_sync_result(int sync_result)
{
	struct kit *k = kit_new(GENERATE(5000) SINK "checkpointSaveInterval: 1ms\n", 0);
	unsigned saves;

	k->main.write = write_slowly;
	k->main.sync_result = sync_result;
	assert_int_equal(kit_run(k), 0);
	assert_true(k->main.syncs > 2);
	saves = k->store.saves;
	assert_int_equal(kit_run(k), 0);
	assert_int_equal(k->stats.read, 0);
	kit_free(k);
	return saves;
}

static void positions_wait_for_the_sync(void **state)
{
	(void)state;
	assert_true(saves_with_sync_result(0) > 1);
	assert_int_equal(saves_with_sync_result(DF_SYNC_LATER), 1); /* only the final sync made anything durable */
}

/* Who ends a run while its sink writes. */
struct canceller {
	struct df_context *ctx;
	atomic_bool writing;
};

/* Never answers until it is cancelled. */
static int hang(struct kit_sink *s, struct df_context *ctx, struct df_write *w, struct df_error *err)
{
	(void)w;
	atomic_store(&((struct canceller *)s->arg)->writing, true);
	if (df_context_sleep(ctx, 60 * DF_NS_PER_S) == 0)
		return 0;
	return df_context_check(ctx, err);
}

static int confirm(struct kit_sink *s, struct df_context *ctx, struct df_write *w, struct df_error *err)
{
	(void)ctx;
	(void)err;
	atomic_store(&((struct canceller *)s->arg)->writing, true);
	for (size_t i = 0; i < w->count; i++)
		kit_confirm(s, w, i);
	return 0;
}

static void *cancel_when_writing(void *arg)
{
	struct canceller *c = arg;

	while (!atomic_load(&c->writing))
		kit_sleep(1);
	kit_sleep(50);
	df_context_cancel(c->ctx);
	return NULL;
}

static void a_hanging_sink_cannot_hold_a_stop_longer_than_the_grace(void **state)
{
	struct kit *k = kit_new(GENERATE(1000) SINK, 0);
	struct canceller c = { .ctx = df_context_new(NULL) };
	int64_t started = df_clock_monotonic();
	pthread_t thread;

	(void)state;
	k->main.write = hang;
	k->main.arg = &c;
	pthread_create(&thread, NULL, cancel_when_writing, &c);
	k->stop = c.ctx;
	assert_int_equal(kit_run(k), DF_ERR_TIMEOUT);
	assert_true(df_clock_monotonic() - started < 10 * DF_NS_PER_S);
	assert_non_null(strstr(k->err.text, "grace period"));
	pthread_join(thread, NULL);
	df_context_free(c.ctx);
	kit_free(k);
}

static void a_kill_ends_at_once(void **state)
{
	struct kit *k = kit_new(GENERATE(1000) SINK, 0);
	struct canceller c = { .ctx = df_context_new(NULL) };
	int64_t started = df_clock_monotonic();
	pthread_t thread;

	(void)state;
	k->main.write = hang;
	k->main.arg = &c;
	pthread_create(&thread, NULL, cancel_when_writing, &c);
	k->kill = c.ctx;
	assert_int_equal(kit_run(k), DF_ERR_CANCELED);
	assert_true(df_clock_monotonic() - started < 10 * DF_NS_PER_S);
	assert_int_equal(k->store.saves, 0);
	pthread_join(thread, NULL);
	df_context_free(c.ctx);
	kit_free(k);
}

static void a_stop_flushes_what_was_read(void **state)
{
	struct kit *k =
		kit_new("source: {type: generate, config: {rate: 5000, template: '{\"id\": ${counter}}'}}\n" SINK, 0);
	struct canceller c = { .ctx = df_context_new(NULL) };
	pthread_t thread;

	(void)state;
	k->main.write = confirm;
	k->main.arg = &c;
	pthread_create(&thread, NULL, cancel_when_writing, &c);
	k->stop = c.ctx;
	assert_int_equal(kit_run(k), 0);
	assert_true(k->stats.read > 0);
	assert_int_equal(k->stats.read, k->stats.written);
	kit_assert_in_order(&k->main, (int64_t)k->stats.read, -1);
	pthread_join(thread, NULL);
	df_context_free(c.ctx);
	kit_free(k);
}

static void message_granularity_writes_one_by_one(void **state)
{
	struct kit *k = kit_new(GENERATE(100) SINK "ackGranularity: message\n", 0);

	(void)state;
	assert_int_equal(kit_run(k), 0);
	assert_int_equal(k->main.largest, 1);
	assert_int_equal(k->main.writes, 100);
	kit_free(k);
}

static void workers_keep_the_order(void **state)
{
	struct kit *k = kit_new(GENERATE(20000) SINK "transformWorkers: 4\n"
						     "transformations: [{type: snakeCase}]\n",
				0);

	(void)state;
	assert_int_equal(kit_run(k), 0);
	kit_assert_in_order(&k->main, 20000, -1);
	kit_free(k);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_message_arrives_once_in_order),
		cmocka_unit_test(a_second_run_goes_on_behind_the_position),
		cmocka_unit_test(filtered_messages_are_done),
		cmocka_unit_test(split_messages_are_done_with_their_last_child),
		cmocka_unit_test(a_transient_failure_is_tried_again),
		cmocka_unit_test(a_lost_connection_is_opened_again),
		cmocka_unit_test(poison_goes_to_the_error_sink),
		cmocka_unit_test(poison_without_an_error_sink_stops_with_the_position_kept),
		cmocka_unit_test(a_transform_error_is_poison_too),
		cmocka_unit_test(a_failing_error_sink_stops_the_pipeline),
		cmocka_unit_test(results_may_come_later),
		cmocka_unit_test(positions_wait_for_the_sync),
		cmocka_unit_test(a_hanging_sink_cannot_hold_a_stop_longer_than_the_grace),
		cmocka_unit_test(a_kill_ends_at_once),
		cmocka_unit_test(a_stop_flushes_what_was_read),
		cmocka_unit_test(message_granularity_writes_one_by_one),
		cmocka_unit_test(workers_keep_the_order),
	};

	df_log_setup(DF_LOG_TEXT, "error");
	return cmocka_run_group_tests(tests, NULL, NULL);
}

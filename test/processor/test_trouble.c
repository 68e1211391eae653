/* Retries, outages, what is dropped, memory, and when positions are saved. */
#include "kit.h"

static struct kit *new_kit(const char *more, int64_t messages)
{
	char yaml[1024];

	snprintf(yaml, sizeof(yaml), "%s%s", KIT_FLOW, more);
	return kit_new(yaml, messages);
}

/* ---- retries ----------------------------------------------------------------------------------------------- */

static int fail_first(struct kit_sink *s, struct df_context *ctx, struct df_write *w, struct df_error *err)
{
	(void)ctx;
	if (s->writes <= s->fail_first)
		return df_error_set(err, s->fail_code, "not now");
	for (size_t i = 0; i < w->count; i++)
		kit_confirm(s, w, i);
	return 0;
}

static void attempts_have_a_limit(void **state)
{
	struct kit *k = new_kit("retry: {attempts: 3, initial: 1ms, max: 2ms}\n" KIT_ERRORS, 10);

	(void)state;
	k->main.write = fail_first;
	k->main.fail_code = DF_ERR_TRANSIENT;
	k->main.fail_first = 2;
	assert_int_equal(kit_run(k), 0);
	kit_assert_in_order(&k->main, 10, -1);
	kit_free(k);

	k = new_kit("retry: {attempts: 3, initial: 1ms, max: 2ms}\n" KIT_ERRORS, 10);
	k->main.write = fail_first;
	k->main.fail_code = DF_ERR_TRANSIENT;
	k->main.fail_first = 3;
	assert_int_equal(kit_run(k), 0);
	assert_int_equal(k->main.writes, 3);
	assert_int_equal(k->stats.error_sinked, 10);
	kit_free(k);
}

static void retries_have_a_limit_in_time(void **state)
{
	struct kit *k = new_kit("retry: {attempts: 0, initial: 5ms, max: 5ms, total: 500ms}\n", 10);
	int64_t started = df_clock_monotonic(), took;

	(void)state;
	k->main.write = fail_first;
	k->main.fail_code = DF_ERR_TIMEOUT;
	k->main.fail_first = UINT32_MAX;
	assert_int_equal(kit_run(k), DF_ERR_TIMEOUT);
	took = df_clock_monotonic() - started;
	assert_true(took > 400 * DF_NS_PER_MS && took < 10 * DF_NS_PER_S);
	assert_true(k->main.writes > 5);
	kit_free(k);
}

/* A server that is away until a time; a lost connection is no attempt. */
struct outage {
	int64_t length_ns;
	int64_t until_ns;
	int64_t resumed_ns;
	unsigned refused;
};

static int connect_after(struct kit_sink *s, struct df_error *err)
{
	struct outage *outage = s->arg;

	if (outage->until_ns == 0 || df_clock_monotonic() >= outage->until_ns)
		return 0;
	outage->refused++;
	return df_error_set(err, DF_ERR_CONNECTION, "nobody is there");
}

static int lose_once(struct kit_sink *s, struct df_context *ctx, struct df_write *w, struct df_error *err)
{
	struct outage *outage = s->arg;

	(void)ctx;
	if (s->writes == 1) {
		outage->until_ns = df_clock_monotonic() + outage->length_ns;
		return df_error_set(err, DF_ERR_CONNECTION, "gone");
	}
	if (outage->resumed_ns == 0)
		outage->resumed_ns = df_clock_monotonic();
	for (size_t i = 0; i < w->count; i++)
		kit_confirm(s, w, i);
	return 0;
}

/* With one attempt allowed, which the outage does not use up. Returns how often nobody was there. */
static unsigned wait_through(const char *more, int64_t length_ns)
{
	struct kit *k = new_kit(more, 100);
	struct outage outage = { .length_ns = length_ns };
	int64_t late;

	assert_true(strstr(more, "connect") || df_flow_retry(&k->spec)->connect.ns == 800 * DF_NS_PER_MS);
	k->main.arg = &outage;
	k->main.connect = connect_after;
	k->main.write = lose_once;
	assert_int_equal(kit_run(k), 0);
	kit_assert_in_order(&k->main, 100, -1);
	late = outage.resumed_ns - outage.until_ns;
	print_message("went on %lld ms after the server was back, %u attempts\n", (long long)(late / DF_NS_PER_MS),
		      outage.refused);
	assert_true(late >= 0 && late < 3 * DF_NS_PER_S);
	kit_free(k);
	return outage.refused;
}

/* The longest wait between two attempts is `connect`, by default less than a second. */
static void an_outage_is_waited_through_and_left_soon(void **state)
{
	(void)state;
	assert_true(wait_through("retry: {attempts: 1}\n", 1500 * DF_NS_PER_MS) > 2);
	/* Seven, would the waits double for ever. */
	assert_true(wait_through("retry: {attempts: 1, connect: 20ms}\n", 1500 * DF_NS_PER_MS) > 10);
}

/* ---- onError: drop ----------------------------------------------------------------------------------------- */

static int refuse(struct kit_sink *s, struct df_context *ctx, struct df_write *w, struct df_error *err)
{
	struct df_error why = DF_ERROR_INIT;

	(void)ctx;
	(void)err;
	df_error_set(&why, s->fail_code, "refused");
	for (size_t i = 0; i < w->count; i++) {
		if (kit_id(w->messages[i], w->arena) == s->poison)
			df_write_fail(w, i, &why);
		else
			kit_confirm(s, w, i);
	}
	return 0;
}

static void poison_is_dropped_where_the_manifest_says_so(void **state)
{
	struct kit *k = new_kit("onError: drop\n", 100);

	(void)state;
	k->main.write = refuse;
	k->main.fail_code = DF_ERR_CONSTRAINT;
	k->main.poison = 40;
	k->source.broken = 41;
	assert_int_equal(kit_run(k), 0);
	assert_int_equal(k->stats.written, 98);
	assert_int_equal(k->stats.dropped, 2);
	assert_int_equal(k->source.committed, 100);
	assert_non_null(strstr(k->metrics.data, "dataflow_messages_total{namespace=\"ns\",name=\"test\","
						"outcome=\"dropped\"} 2\n"));
	kit_free(k);
}

/* Retries that were used up, and what concerns all messages, stop all the same. */
static void what_is_not_the_messages_fault_is_not_dropped(void **state)
{
	static const int codes[] = { DF_ERR_TRANSIENT, DF_ERR_CONFIG };

	(void)state;
	for (size_t i = 0; i < DF_ARRAY_SIZE(codes); i++) {
		struct kit *k = new_kit("onError: drop\nretry: {attempts: 2, initial: 1ms}\n", 100);

		k->main.write = refuse;
		k->main.fail_code = codes[i];
		k->main.poison = 40;
		assert_int_equal(kit_run(k), codes[i]);
		assert_int_equal(k->stats.dropped, 0);
		kit_free(k);
	}
}

static void an_error_sink_wins_over_drop(void **state)
{
	struct kit *k = new_kit(KIT_ERRORS, 100);

	(void)state;
	free(k->spec.on_error);
	k->spec.on_error = strdup("drop");
	k->source.broken = 41;
	assert_int_equal(kit_run(k), 0);
	assert_int_equal(k->stats.dropped, 0);
	assert_int_equal(k->stats.error_sinked, 1);
	kit_free(k);
}

/* ---- memory ------------------------------------------------------------------------------------------------ */

static int slowly(struct kit_sink *s, struct df_context *ctx, struct df_write *w, struct df_error *err)
{
	struct kit *k = s->arg;
	struct df_processor_stats stats;

	(void)ctx;
	(void)err;
	kit_sleep(1);
	df_processor_get_stats(k->processor, &stats);
	if (stats.in_flight_bytes > s->largest)
		s->largest = stats.in_flight_bytes;
	for (size_t i = 0; i < w->count; i++)
		kit_confirm(s, w, i);
	return 0;
}

static void a_slow_sink_slows_the_source(void **state)
{
	struct kit *k = new_kit("memoryLimit: 1Mi\nchannelBufferSize: 100000\n", 2000);

	(void)state;
	k->source.pad = 4000;
	k->main.write = slowly;
	k->main.arg = k;
	kit_start(k);
	assert_int_equal(kit_join(k), 0);
	kit_assert_in_order(&k->main, 2000, -1);
	/* One batch more than the limit, and what the sink parses. 8 MB went through. */
	print_message("%zu bytes in flight at most\n", k->main.largest);
	assert_true(k->main.largest < 2 << 20);
	assert_non_null(strstr(k->metrics.data, "area=\"limit\"} 1048576\n"));
	kit_free(k);
}

static void thousand(const void *settings, struct df_batching *ret)
{
	(void)settings;
	*ret = (struct df_batching){ .size = { 1000, true } };
}

/* A flush of 1000 rows would need more than there is: what there is goes out. */
static void a_flush_that_does_not_fit_goes_out_earlier(void **state)
{
	struct kit *k = new_kit("memoryLimit: 300Ki\n", 2000);

	(void)state;
	k->source.pad = 1000;
	k->main.ops.batching = thousand;
	assert_int_equal(kit_run(k), 0);
	kit_assert_in_order(&k->main, 2000, -1);
	assert_true(k->main.largest < 1000);
	kit_free(k);
}

static bool always(const void *settings)
{
	(void)settings;
	return true;
}

/* Rows that must go together are admitted, however many they are: the pipeline does not stand still. */
static void rows_that_belong_together_are_let_in(void **state)
{
	struct kit *k = new_kit("memoryLimit: 300Ki\n", 2000);

	(void)state;
	k->source.pad = 1000;
	k->source.group = 1000;
	k->main.ops.transactional = always;
	assert_int_equal(kit_run(k), 0);
	kit_assert_in_order(&k->main, 2000, -1);
	assert_int_equal(k->main.largest, 1000);
	kit_free(k);
}

static void a_message_that_is_too_large_is_poison(void **state)
{
	struct kit *k = new_kit("maxMessageBytes: 1000\n" KIT_ERRORS, 10);

	(void)state;
	k->source.pad = 5000;
	assert_int_equal(kit_run(k), 0);
	assert_int_equal(k->stats.error_sinked, 10);
	assert_int_equal(k->stats.written, 0);
	kit_free(k);

	k = new_kit("memoryLimit: 16Ki\n", 10);
	k->source.pad = 5000;
	assert_int_equal(kit_run(k), DF_ERR_INVALID_DATA);
	assert_non_null(strstr(k->err.text, "maxMessageBytes"));
	kit_free(k);
}

/* ---- when positions are saved ------------------------------------------------------------------------------ */

static int ten_ms(struct kit_sink *s, struct df_context *ctx, struct df_write *w, struct df_error *err)
{
	(void)ctx;
	(void)err;
	kit_sleep(10);
	for (size_t i = 0; i < w->count; i++)
		kit_confirm(s, w, i);
	return 0;
}

static unsigned saves(const char *more, int64_t messages)
{
	struct kit *k = new_kit(more, messages);
	unsigned n;

	k->main.write = ten_ms;
	kit_flush_ten(&k->main);
	assert_int_equal(kit_run(k), 0);
	n = k->store.saves;
	assert_non_null(strstr(k->store.text, "\"id\":"));
	kit_free(k);
	return n;
}

static void positions_are_saved_when_the_manifest_says(void **state)
{
	int64_t began;
	unsigned n;

	(void)state;
	assert_int_equal(saves("", 100), 1);				/* at the end */
	assert_int_equal(saves("checkpointSyncOnAck: true\n", 100), 2); /* and after the first write */
	began = df_clock_monotonic();
	n = saves("checkpointSaveInterval: 30ms\n", 300); /* of 300 ms or more: not after each write, and at the end */
	assert_in_range(n, 3, (df_clock_monotonic() - began) / (30 * DF_NS_PER_MS) + 2);
	assert_true(saves("checkpointSaveInterval: 1ms\ncheckpointSyncOnAck: true\n", 300) >= 5);
}

static void a_store_that_is_full_now_is_asked_again(void **state)
{
	struct kit *k = new_kit("checkpointSaveInterval: 1ms\n", 100);

	(void)state;
	k->main.write = ten_ms;
	k->store.save_code = DF_ERR_TRANSIENT;
	assert_int_equal(kit_run(k), DF_ERR_TRANSIENT); /* nor is there room at the end */
	assert_int_equal(k->stats.written, 100);
	k->store.save_code = 0;
	k->main.count = 0;
	assert_int_equal(kit_run(k), 0); /* the position was kept */
	kit_assert_in_order(&k->main, 100, -1);
	kit_free(k);
}

/* Only differences of the monotonic clock are used for waiting. (test/faults turns it back.) */
static void a_wall_clock_that_stands_still_does_no_harm(void **state)
{
	struct df_clock clock = { .fixed = true, .fixed_ns = 1000 * DF_NS_PER_S };
	struct kit *k = new_kit("checkpointSaveInterval: 1ms\nretry: {initial: 1ms}\n", 200);

	(void)state;
	k->options.clock = &clock;
	k->main.write = ten_ms;
	kit_flush_ten(&k->main);
	assert_int_equal(kit_run(k), 0);
	kit_assert_in_order(&k->main, 200, -1);
	assert_true(k->store.saves > 3);
	kit_free(k);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(attempts_have_a_limit),
		cmocka_unit_test(retries_have_a_limit_in_time),
		cmocka_unit_test(an_outage_is_waited_through_and_left_soon),
		cmocka_unit_test(poison_is_dropped_where_the_manifest_says_so),
		cmocka_unit_test(what_is_not_the_messages_fault_is_not_dropped),
		cmocka_unit_test(an_error_sink_wins_over_drop),
		cmocka_unit_test(a_slow_sink_slows_the_source),
		cmocka_unit_test(a_flush_that_does_not_fit_goes_out_earlier),
		cmocka_unit_test(rows_that_belong_together_are_let_in),
		cmocka_unit_test(a_message_that_is_too_large_is_poison),
		cmocka_unit_test(positions_are_saved_when_the_manifest_says),
		cmocka_unit_test(a_store_that_is_full_now_is_asked_again),
		cmocka_unit_test(a_wall_clock_that_stands_still_does_no_harm),
	};

	df_log_setup(DF_LOG_TEXT, "error");
	return cmocka_run_group_tests(tests, NULL, NULL);
}

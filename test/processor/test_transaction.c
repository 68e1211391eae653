/* Sinks that store the position with the rows: nothing missing, nothing twice, whatever happens to the answer. */
#include "kit.h"

/* What goes wrong with one write. */
enum trouble { NONE, LOST_BEFORE, LOST_AFTER, BUSY };

/* The other side: rows and checkpoint change together. arg: the troubles of the first writes, ended by NONE. */
static int transact(struct kit_sink *s, struct df_context *ctx, struct df_write *w, struct df_error *err)
{
	const enum trouble **troubles = s->arg;
	enum trouble trouble = troubles && *troubles && **troubles != NONE ? *(*troubles)++ : NONE;
	struct df_error why = DF_ERROR_INIT;
	bool refused = false;

	(void)ctx;
	assert_non_null(w->checkpoint.ptr);
	if (trouble == LOST_BEFORE)
		return df_error_set(err, DF_ERR_CONNECTION, "gone before the commit");
	if (trouble == BUSY)
		return df_error_set(err, DF_ERR_TRANSIENT, "busy");
	df_error_set(&why, DF_ERR_CONSTRAINT, "refused");
	for (size_t i = 0; i < w->count; i++) {
		if (s->poison >= 0 && kit_id(w->messages[i], w->arena) == s->poison) {
			df_write_fail(w, i, &why);
			refused = true;
		}
	}
	if (refused)
		return DF_WRITE_UNDONE;
	for (size_t i = 0; i < w->count; i++)
		kit_confirm(s, w, i);
	free(s->checkpoint);
	s->checkpoint = strndup(w->checkpoint.ptr, w->checkpoint.len);
	if (trouble == LOST_AFTER)
		return df_error_set(err, DF_ERR_CONNECTION, "gone after the commit");
	return 0;
}

static bool always(const void *settings)
{
	(void)settings;
	return true;
}

static struct kit *new_kit(const char *more, int64_t messages)
{
	char yaml[1024];
	struct kit *k;

	/* Five refusals in a row, which at random happen, would send the rows to the error sink. */
	snprintf(yaml, sizeof(yaml), "%sretry: {initial: 1ms, connect: 1ms, attempts: 100}\n%s", KIT_FLOW, more);
	k = kit_new(yaml, messages);
	k->main.ops.transactional = always;
	k->main.write = transact;
	kit_flush_ten(&k->main);
	return k;
}

static void what_the_sink_holds_wins_over_the_store(void **state)
{
	struct kit *k = new_kit("", 100);

	(void)state;
	k->options.limit = 35;
	assert_int_equal(kit_run(k), 0);
	kit_assert_in_order(&k->main, 35, -1);
	free(k->store.text);
	k->store.text = strdup("{\"generate\": {\"id\": 7}, \"exactlyOnce\": true}");
	k->options.limit = 0;
	assert_int_equal(kit_run(k), 0);
	assert_int_equal(k->source.position, 35);
	assert_int_equal(k->stats.read, 65);
	kit_assert_in_order(&k->main, 100, -1);
	kit_free(k);
}

static void a_lost_answer_is_no_lost_row_and_no_second_one(void **state)
{
	static const enum trouble plans[][4] = {
		{ LOST_BEFORE, NONE },
		{ LOST_AFTER, NONE },
		{ LOST_AFTER, LOST_AFTER, LOST_BEFORE, NONE },
		{ BUSY, LOST_AFTER, BUSY, NONE },
	};

	(void)state;
	for (size_t i = 0; i < DF_ARRAY_SIZE(plans); i++) {
		struct kit *k = new_kit("", 100);
		const enum trouble *plan = plans[i];

		k->main.arg = &plan;
		assert_int_equal(kit_run(k), 0);
		kit_assert_in_order(&k->main, 100, -1);
		assert_int_equal(k->stats.written, 100);
		assert_int_equal(k->source.committed, 100);
		kit_free(k);
	}
}

static int note_main_count(struct kit_sink *errors, struct df_context *ctx, struct df_write *w, struct df_error *err)
{
	struct kit *k = errors->arg;

	(void)ctx;
	(void)err;
	kit_sleep(20);
	errors->fail_first = (unsigned)kit_confirmed(&k->main);
	for (size_t i = 0; i < w->count; i++)
		kit_confirm(errors, w, i);
	return 0;
}

/* While the error sink has not stored it, no later row is written. */
static void poison_is_settled_before_later_rows(void **state)
{
	(void)state;
	for (int decode = 0; decode < 2; decode++) {
		struct kit *k = new_kit(KIT_ERRORS, 100);

		*(decode ? &k->source.broken : &k->main.poison) = 15;
		k->errors.write = note_main_count;
		k->errors.arg = k;
		assert_int_equal(kit_run(k), 0);
		kit_assert_in_order(&k->main, 100, 15);
		assert_int_equal(k->errors.count, 1);
		/* The rows before it in its write may have gone ahead when it never came to the sink. */
		assert_in_range(k->errors.fail_first, 10, 14);
		assert_int_equal(k->stats.written, 99);
		assert_int_equal(k->stats.error_sinked, 1);
		assert_int_equal(k->source.committed, 100);
		kit_free(k);
	}
}

static int refuse_whole(struct kit_sink *s, struct df_context *ctx, struct df_write *w, struct df_error *err)
{
	for (size_t i = 0; i < w->count; i++)
		if (s->fail_first && kit_id(w->messages[i], w->arena) == s->fail_first)
			return df_error_set(err, DF_ERR_INVALID_DATA, "something is wrong");
	return transact(s, ctx, w, err);
}

static void a_refused_transaction_is_split(void **state)
{
	struct kit *k = new_kit(KIT_ERRORS, 50);

	(void)state;
	k->main.write = refuse_whole;
	k->main.fail_first = 23;
	assert_int_equal(kit_run(k), 0);
	kit_assert_in_order(&k->main, 50, 23);
	assert_int_equal(k->stats.error_sinked, 1);
	kit_free(k);
}

static void poison_without_an_error_sink_keeps_the_position(void **state)
{
	struct kit *k = new_kit("", 50);

	(void)state;
	k->main.poison = 23;
	assert_int_equal(kit_run(k), DF_ERR_CONSTRAINT);
	k->main.poison = -1;
	assert_int_equal(kit_run(k), 0);
	kit_assert_in_order(&k->main, 50, -1);
	kit_free(k);
}

#define ROUTER                                                                                                 \
	"transformations: [{type: router, config: {routes: [{condition: id > 5, sink: {type: stdout, config: " \
	"{}}}]}}]\n"

static void what_would_break_the_promise_is_refused(void **state)
{
	static const struct {
		const char *more, *text;
	} cases[] = {
		{ ROUTER, "router" },
		{ "errors: {type: stdout, ackPolicy: never, config: {}}\n", "ackPolicy" },
		{ "replicas: 2\n", "replicas" },
	};

	(void)state;
	for (size_t i = 0; i < DF_ARRAY_SIZE(cases); i++) {
		struct kit *k = new_kit(cases[i].more, 50);

		assert_int_equal(kit_run(k), DF_ERR_CONFIG);
		assert_non_null(strstr(k->err.text, cases[i].text));
		assert_int_equal(k->main.writes, 0);
		kit_free(k);
	}
}

static void a_source_without_an_exact_position_is_refused(void **state)
{
	struct kit *k = new_kit("", 50);

	(void)state;
	k->source.inexact = true;
	assert_int_equal(kit_run(k), DF_ERR_CONFIG);
	assert_non_null(strstr(k->err.text, "exact position"));
	k->source.ops.describe = NULL;
	assert_int_equal(kit_run(k), DF_ERR_CONFIG);
	assert_non_null(strstr(k->err.text, "exact position"));
	assert_int_equal(k->main.writes, 0);
	kit_free(k);
}

/* A sink that cannot be asked what it holds stores the position where the source looks: so only behind such a one. */
static void a_transaction_without_a_place_for_the_position_is_refused(void **state)
{
	struct kit *k = new_kit("", 50);

	(void)state;
	k->main.ops.held = NULL;
	assert_int_equal(kit_run(k), DF_ERR_CONFIG);
	assert_non_null(strstr(k->err.text, "no other's position can be stored"));
	assert_int_equal(k->main.writes, 0);
	kit_free(k);
}

static void a_damaged_position_is_refused(void **state)
{
	static const char *const texts[] = { "{", "[]", "{}", "{\"source\":\"kafka\",\"write\":1,\"positions\":{}}" };

	(void)state;
	for (size_t i = 0; i < DF_ARRAY_SIZE(texts); i++) {
		struct kit *k = new_kit("", 20);

		k->main.checkpoint = strdup(texts[i]);
		assert_int_equal(kit_run(k), DF_ERR_CONFIG);
		assert_non_null(strstr(k->err.text, "checkpointReset"));
		k->spec.checkpoint_reset = true;
		assert_int_equal(kit_run(k), 0);
		kit_assert_in_order(&k->main, 20, -1);
		kit_free(k);
	}
}

/* A time without exactlyOnce makes what the sink holds old. */
static void an_old_position_is_refused(void **state)
{
	struct kit *k = new_kit("", 40);

	(void)state;
	k->options.limit = 10;
	assert_int_equal(kit_run(k), 0);
	k->main.ops.transactional = NULL;
	k->main.write = NULL;
	assert_int_equal(kit_run(k), 0);
	k->main.ops.transactional = always;
	k->main.write = transact;
	assert_int_equal(kit_run(k), DF_ERR_CONFIG);
	assert_non_null(strstr(k->err.text, "ran without exactlyOnce"));
	kit_assert_in_order(&k->main, 20, -1);
	kit_free(k);
}

/* ---- rows that share a position ---------------------------------------------------------------------------- */

static int at_ends_of_groups(struct kit_sink *s, struct df_context *ctx, struct df_write *w, struct df_error *err)
{
	int64_t last = kit_id(w->messages[w->count - 1], w->arena);

	if (last % 7 && last != 100)
		fail_msg("a write ends behind %lld", (long long)last);
	return transact(s, ctx, w, err);
}

static void rows_of_one_position_are_written_together(void **state)
{
	struct kit *k = new_kit("", 100);

	(void)state;
	k->source.group = 7;
	k->main.write = at_ends_of_groups;
	k->options.limit = 40; /* the last group is torn: left for later */
	assert_int_equal(kit_run(k), 0);
	kit_assert_in_order(&k->main, 35, -1);
	k->options.limit = 0;
	assert_int_equal(kit_run(k), 0);
	kit_assert_in_order(&k->main, 100, -1);
	kit_free(k);
}

/* The last row of a group is filtered out, or goes to the error sink: the others do not wait for more. */
static void a_group_may_end_elsewhere(void **state)
{
	struct kit *k = new_kit("transformations: [{type: filter, config: {condition: id != 14}}]\n", 14);

	(void)state;
	k->source.group = 7;
	assert_int_equal(kit_run(k), 0);
	kit_assert_in_order(&k->main, 13, -1);
	assert_int_equal(k->source.committed, 14);
	kit_free(k);

	k = new_kit(KIT_ERRORS, 14);
	k->source.group = 7;
	k->source.broken = 14;
	k->errors.write = note_main_count;
	k->errors.arg = k;
	assert_int_equal(kit_run(k), 0);
	kit_assert_in_order(&k->main, 13, -1);
	assert_int_equal(k->source.committed, 14);
	kit_free(k);
}

static void a_source_that_is_opened_again_reads_torn_groups_again(void **state)
{
	struct kit *k = new_kit("", 100);

	(void)state;
	k->source.group = 7;
	k->source.cut = 38;
	assert_int_equal(kit_run(k), 0);
	assert_int_equal(k->source.position, 35);
	kit_assert_in_order(&k->main, 100, -1);
	assert_int_equal(k->stats.read, 100);
	assert_int_equal(k->stats.written, 100);
	kit_free(k);
}

static int whole_families(struct kit_sink *s, struct df_context *ctx, struct df_write *w, struct df_error *err)
{
	if (w->count % 3)
		fail_msg("a write of %zu rows parts what came from one message", w->count);
	return transact(s, ctx, w, err);
}

static void no_message_is_split_over_two_writes(void **state)
{
	struct kit *k = new_kit("transformations: [{type: flatten, config: {field: items}}]\n", 0);

	(void)state;
	kit_free(k);
	k = kit_new("source: {type: generate, config: {count: 50, template: '{\"items\": [{\"id\": 1}, {\"id\": 2}, "
		    "{\"id\": 3}]}'}}\nsink: {type: discard, config: {}}\n"
		    "transformations: [{type: flatten, config: {field: items}}]\n",
		    0);
	k->main.ops.transactional = always;
	k->main.write = whole_families;
	kit_flush_ten(&k->main);
	assert_int_equal(kit_run(k), 0);
	assert_int_equal(k->stats.written, 150);
	kit_free(k);
}

/* ---- all at once ------------------------------------------------------------------------------------------- */

static unsigned seed;

static int at_random(struct kit_sink *s, struct df_context *ctx, struct df_write *w, struct df_error *err)
{
	static const enum trouble mix[] = { LOST_BEFORE, LOST_AFTER, BUSY, NONE, NONE, NONE, NONE, NONE };
	const enum trouble plan[] = { mix[rand_r(&seed) % DF_ARRAY_SIZE(mix)], NONE }, *next = plan;

	s->arg = &next;
	int r = transact(s, ctx, w, err);
	s->arg = NULL;
	return r;
}

static void killed_at_random(void **state)
{
	struct kit *k = new_kit(KIT_ERRORS "transformWorkers: 3\ntransformations: [{type: filter, config: {condition: "
					   "id >= 0}}]\n",
				3000);
	int killed = 0;

	(void)state;
	seed = (unsigned)df_clock_monotonic();
	print_message("seed %u\n", seed);
	k->source.group = 4;
	k->main.write = at_random;
	k->main.poison = 777;
	k->spec.checkpoint_save_interval.ns = DF_NS_PER_MS;
	while (killed < 200) {
		kit_start(k);
		kit_sleep(rand_r(&seed) % 12);
		if (rand_r(&seed) % 4 == 0)
			df_context_cancel(k->stop);
		else
			df_context_cancel(k->kill);
		killed++;
		if (kit_join(k) == 0 && k->stats.phase == DF_PHASE_DONE && kit_confirmed(&k->main) == 2999)
			break;
	}
	assert_int_equal(kit_run(k), 0);
	kit_assert_in_order(&k->main, 3000, 777);
	kit_free(k);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_the_sink_holds_wins_over_the_store),
		cmocka_unit_test(a_lost_answer_is_no_lost_row_and_no_second_one),
		cmocka_unit_test(poison_is_settled_before_later_rows),
		cmocka_unit_test(a_refused_transaction_is_split),
		cmocka_unit_test(poison_without_an_error_sink_keeps_the_position),
		cmocka_unit_test(what_would_break_the_promise_is_refused),
		cmocka_unit_test(a_source_without_an_exact_position_is_refused),
		cmocka_unit_test(a_transaction_without_a_place_for_the_position_is_refused),
		cmocka_unit_test(a_damaged_position_is_refused),
		cmocka_unit_test(an_old_position_is_refused),
		cmocka_unit_test(rows_of_one_position_are_written_together),
		cmocka_unit_test(a_group_may_end_elsewhere),
		cmocka_unit_test(a_source_that_is_opened_again_reads_torn_groups_again),
		cmocka_unit_test(no_message_is_split_over_two_writes),
		cmocka_unit_test(killed_at_random),
	};

	df_log_setup(DF_LOG_TEXT, "error");
	return cmocka_run_group_tests(tests, NULL, NULL);
}

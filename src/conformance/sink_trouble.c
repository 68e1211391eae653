/* Rules on a sink that is given bad messages, the same rows again, or too little time. */
#include "conformance/deliver.h"
#include "conformance/reader.h"

#define WRITE_NS (30 * DF_NS_PER_S)
#define MANY 10000
#define POISONED 1000
#define ROWS_CANCELLED 10

/* The rows of the store, while the sink is open: nothing may wait for its close. */
static void dump_synced(struct df_stage *st, struct df_sink *s, struct df_rows_seen *ret)
{
	df_deliver_sync(st, s);
	df_stage_dump(st, ret);
}

/* ---- poison ------------------------------------------------------------------------------------------------ */

struct poison {
	const char *payload;
	const char *what; /* for people */
};

/* What a sink may have to refuse; id is a number in all stores of the suite. */
static const struct poison poisons[] = {
	{ "{\"id\":\"not a number\",\"name\":\"poison\"}", "a text in place of the id" },
	{ "{\"id\":{\"not\":\"a number\"},\"name\":\"poison\"}", "an object in place of the id" },
	{ "not JSON", "a payload that is not JSON" },
	{ "[1,2,3]", "an array in place of an object" },
	{ "{\"id\":99999,\"name\":\"poison\",\"df no such column\":1}", "a key without a column" },
	{ "", "an empty payload" },
	{ NULL, "a row of 4 MiB" },
};

#define LARGE ((size_t)4 << 20)

static const char *payload_of(struct df_stage *st, const struct poison *p)
{
	if (p->payload)
		return p->payload;
	char *name = df_arena_alloc(st->arena, LARGE + 1);

	df_rule_check(st, name, "out of memory");
	memset(name, 'x', LARGE);
	name[LARGE] = '\0';
	return df_rule_text(st, "{\"id\":99999,\"name\":\"%s\"}", name);
}

/* The first that the sink refuses; *ret_payload is it. It needs a table: row 1 is written first. */
static const struct poison *find_poison(struct df_stage *st, struct df_sink *s, const char **ret_payload)
{
	df_deliver_rows(st, s, 1, 1);
	for (size_t i = 0; i < DF_ARRAY_SIZE(poisons); i++) {
		struct df_stage_write w;
		struct df_delivery d;

		*ret_payload = payload_of(st, &poisons[i]);
		df_stage_write_init(st, &w, ret_payload, 1);
		df_deliver(st, s, w.pointers, 1, WRITE_NS, &d);
		if (d.refused == 1)
			return &poisons[i];
		df_rule_check(st, d.written == 1, "%s fails with a code that says nothing about the message: %s",
			      poisons[i].what, df_rule_error(st, &d.results[0]));
	}
	return NULL;
}

/* A sink that confirms what it leaves out would pass for one that takes any message. A tombstone need not be in the
 * store, and of the two rows with one id one may replace the other. */
static void check_taken(struct df_stage *st, struct df_sink *s)
{
	const size_t taken = 1 + DF_ARRAY_SIZE(poisons) - 2;
	struct df_collector *c;

	if (st->options->dump)
		return; /* it prints rows, and these need not be any */
	df_deliver_sync(st, s);
	c = df_reader_rest(st, NULL, taken);
	df_rule_check(st, c->messages >= taken,
		      "%zu messages were confirmed, most of them odd, and %zu are in the store: what is not written "
		      "must be refused",
		      taken, c->messages);
}

/* Its own sink and store, so that what was written while looking is not in the way. */
static struct poison need_poison(struct df_stage *st)
{
	struct df_sink *s = df_stage_connected_sink(st);
	const char *payload;
	const struct poison *found = find_poison(st, s, &payload);

	if (!found)
		check_taken(st, s);
	df_sink_free(s);
	if (!found)
		df_rule_not_applicable(st, "the sink takes any message");
	df_stage_name(st, NULL);
	return (struct poison){ payload, found->what };
}

static void fill_rows(struct df_stage *st, const char **rows, size_t n, int64_t first)
{
	for (size_t i = 0; i < n; i++)
		rows[i] = df_rule_text(st, "{\"id\":%lld,\"name\":\"row %lld\"}", (long long)first + (long long)i,
				       (long long)first + (long long)i);
}

/* Rows first .. first + POISONED - 1 with poison in these places: exactly those fail. */
static void write_poisoned(struct df_stage *st, struct poison poison, const size_t *places, size_t place_count)
{
	struct df_sink *s = df_stage_connected_sink(st);
	const char **rows = df_arena_alloc(st->arena, POISONED * sizeof(*rows));
	bool *bad = df_arena_zalloc(st->arena, POISONED * sizeof(*bad));
	struct df_stage_write w;
	struct df_delivery d;
	struct df_rows_seen seen;

	df_rule_check(st, rows && bad, "out of memory");
	/* The table is there, so that the first row decides nothing about its columns. */
	df_deliver_rows(st, s, 0, 1);
	fill_rows(st, rows, POISONED, 1);
	for (size_t i = 0; i < place_count; i++) {
		rows[places[i]] = poison.payload;
		bad[places[i]] = true;
	}
	df_stage_write_init(st, &w, rows, POISONED);
	df_deliver(st, s, w.pointers, POISONED, WRITE_NS, &d);
	for (size_t i = 0; i < POISONED; i++) {
		const struct df_error *why = &d.results[i];

		df_rule_check(st, !bad[i] || why->code != 0, "message %zu of %d is poison (%s) and was confirmed", i,
			      POISONED, poison.what);
		df_rule_check(st, !bad[i] || df_code_poison(why->code),
			      "message %zu of %d is poison (%s), and its code says nothing about the message: %s", i,
			      POISONED, poison.what, df_rule_error(st, why));
		df_rule_check(st, bad[i] || why->code == 0, "message %zu of %d is well and failed: %s", i, POISONED,
			      df_rule_error(st, why));
	}
	df_deliver_rows(st, s, POISONED + 1, 1);
	dump_synced(st, s, &seen);
	bool *without = df_arena_zalloc(st->arena, POISONED + 2);

	df_rule_check(st, without, "out of memory");
	memcpy(without + 1, bad, POISONED);
	df_rows_check(st, &seen, 0, POISONED + 2, without, false, "a write with poison, and one after it");
	df_rule_note(st, "%s; %s", poison.what, d.splits ? "found by splitting the write" : "named by its own result");
	df_sink_free(s);
}

static void poison_first(struct df_stage *st)
{
	write_poisoned(st, need_poison(st), (const size_t[]){ 0 }, 1);
}

static void poison_middle(struct df_stage *st)
{
	write_poisoned(st, need_poison(st), (const size_t[]){ POISONED / 2 - 1 }, 1);
}

static void poison_last(struct df_stage *st)
{
	write_poisoned(st, need_poison(st), (const size_t[]){ POISONED - 1 }, 1);
}

static void poison_several(struct df_stage *st)
{
	write_poisoned(st, need_poison(st), (const size_t[]){ 0, 1, 7, 500, 998, 999 }, 6);
}

/* Without rows that have no id of the suite's: those of objects without one. */
static void keep_positive(struct df_rows_seen *seen)
{
	size_t kept = 0;

	for (size_t i = 0; i < seen->count; i++) {
		if (seen->ids[i] <= 0)
			continue;
		seen->ids[kept] = seen->ids[i];
		seen->rows[kept++] = seen->rows[i];
	}
	seen->count = kept;
}

/* Whatever a message is, it is written or refused, and those around it are written. */
static void odd_payloads(struct df_stage *st)
{
	static const struct df_str odd[] = {
		DF_STR(""),	DF_STR("not JSON"), DF_STR("[1,2]"),
		DF_STR("5"),	DF_STR("\"text\""), DF_STR("null"),
		DF_STR("{}"),	DF_STR("{"),	    DF_STR("\xff\xfe\x01"),
		DF_STR("a\0b"), DF_STR("{\"\":1}"), DF_STR("{\"id\":null,\"name\":null}"),
		DF_STR("\n"),	DF_STR("a\nb"),	    DF_STR("{\"id\":1e999,\"name\":[]}"),
	};
	struct df_sink *s = df_stage_connected_sink(st);
	size_t refused = 0;
	bool rows_only = true;
	struct df_rows_seen seen;

	df_deliver_rows(st, s, 1, 1);
	for (size_t i = 0; i < DF_ARRAY_SIZE(odd); i++) {
		const char *rows[3] = { NULL, "", NULL };
		struct df_stage_write w;
		struct df_delivery d;

		fill_rows(st, &rows[0], 1, 2 + 2 * (int64_t)i);
		fill_rows(st, &rows[2], 1, 3 + 2 * (int64_t)i);
		df_stage_write_init(st, &w, rows, 3);
		w.pointers[1]->payload = odd[i];
		df_deliver(st, s, w.pointers, 3, WRITE_NS, &d);
		df_rule_check(st, d.results[0].code == 0 && d.results[2].code == 0,
			      "a row beside the message \"" DF_STR_FMT "\" is not written: %s", DF_STR_ARG(odd[i]),
			      df_rule_error(st, d.results[0].code ? &d.results[0] : &d.results[2]));
		df_rule_check(st, d.failed == 0,
			      "the message \"" DF_STR_FMT
			      "\" fails with a code that says nothing about the message: %s",
			      DF_STR_ARG(odd[i]), df_rule_error(st, &d.results[1]));
		refused += d.refused;
		rows_only &= d.refused || (odd[i].len > 0 && odd[i].ptr[0] == '{');
	}
	df_deliver_sync(st, s);
	df_rule_note(st, "%zu of %zu refused", refused, DF_ARRAY_SIZE(odd));
	df_sink_free(s);
	if (!rows_only)
		return; /* what the store has now need not be rows */
	df_stage_dump(st, &seen);
	keep_positive(&seen);
	df_rows_check(st, &seen, 1, 1 + 2 * DF_ARRAY_SIZE(odd), NULL, false, "rows beside odd messages");
}

/* ---- again ------------------------------------------------------------------------------------------------- */

static void retry(struct df_stage *st)
{
	const size_t n = 500;
	struct df_sink *s = df_stage_connected_sink(st);
	struct df_rows_seen seen;

	df_deliver_rows(st, s, 1, n);
	df_deliver_rows(st, s, 1, n);	  /* the same instance, */
	df_deliver_rows(st, s, n / 2, n); /* a part of it with new ones, */
	df_deliver_end(st, s);
	s = df_stage_connected_sink(st); /* a new instance: as after a crash */
	df_deliver_rows(st, s, 1, n);
	dump_synced(st, s, &seen);
	df_rows_check(st, &seen, 1, n + n / 2 - 1, NULL, false, "the same rows written four times");
	df_sink_free(s);
}

static void after_failure(struct df_stage *st)
{
	struct poison poison = need_poison(st);
	struct df_sink *s = df_stage_connected_sink(st);
	struct df_rows_seen seen;

	for (int64_t id = 1; id <= 20; id += 2) {
		struct df_stage_write w;
		struct df_delivery d;

		df_deliver_rows(st, s, id, 2);
		df_stage_write_init(st, &w, &poison.payload, 1);
		df_deliver(st, s, w.pointers, 1, WRITE_NS, &d);
		df_rule_check(st, d.refused == 1, "%s was refused once, and now it is not", poison.what);
	}
	dump_synced(st, s, &seen);
	df_rows_check(st, &seen, 1, 20, NULL, false, "writes between refused ones");
	df_sink_free(s);
}

/* Confirmed and synced, then the process is gone. */
static void write_and_die(struct df_stage *st, void *shared)
{
	struct df_sink *s = df_stage_connected_sink(st);
	struct df_context *ctx = df_context_new(NULL);
	struct df_error err = DF_ERROR_INIT;
	int code = 0;

	(void)shared;
	df_rule_check(st, ctx, "out of memory");
	df_context_deadline(ctx, df_clock_monotonic() + WRITE_NS);
	for (int64_t id = 1; id <= 100; id += 10) {
		const char *rows[10];

		fill_rows(st, rows, 10, id);
		df_deliver_all(st, s, rows, 10);
	}
	if (s->ops->sync)
		code = s->ops->sync(s, ctx, false, &err);
	if (code == DF_SYNC_LATER)
		code = s->ops->sync(s, ctx, true, &err);
	df_rule_ok(st, code, &err, "sync");
	df_stage_die();
}

static void kill_after_sync(struct df_stage *st)
{
	void *shared;
	struct df_rows_seen seen;

	(void)df_stage_in_child(st, write_and_die, 1, WRITE_NS, &shared);
	df_stage_dump(st, &seen);
	df_rows_check(st, &seen, 1, 100, NULL, false, "rows that were confirmed and synced before kill -9");
	/* And the store can be written to. */
	struct df_sink *s = df_stage_connected_sink(st);

	df_deliver_rows(st, s, 101, 10);
	dump_synced(st, s, &seen);
	df_rows_check(st, &seen, 1, 110, NULL, false, "rows written after kill -9");
	df_sink_free(s);
}

/* ---- cancelled --------------------------------------------------------------------------------------------- */

struct canceller {
	struct df_context *ctx;
	int64_t at_ns; /* monotonic: when it cancelled */
};

static void *cancel_soon(void *arg)
{
	const struct timespec a_moment = { .tv_nsec = 2 * DF_NS_PER_MS };
	struct canceller *c = arg;

	nanosleep(&a_moment, NULL);
	c->at_ns = df_clock_monotonic();
	df_context_cancel(c->ctx);
	return NULL;
}

/* A write whose context was cancelled before it began. */
static void cancelled_before(struct df_stage *st)
{
	struct df_sink *s = df_stage_connected_sink(st);
	struct df_context *ctx = df_context_new(NULL);
	bool without[ROWS_CANCELLED + 1] = { false };
	struct df_stage_write w;
	struct df_error err = DF_ERROR_INIT;
	struct df_rows_seen seen;

	df_deliver_rows(st, s, 0, 1); /* the table */
	df_stage_write_rows(st, &w, 1, ROWS_CANCELLED);
	df_rule_check(st, ctx, "out of memory");
	df_context_cancel(ctx);
	int code = df_write_run(s, ctx, &w.w, &err);

	df_rule_check(st, code >= 0 || code == DF_ERR_CANCELED || df_code_retryable(code),
		      "a write whose context is cancelled fails with %s", df_rule_error(st, &err));
	for (size_t i = 0; i < ROWS_CANCELLED; i++)
		without[i + 1] = df_write_result(&w.w, i) != NULL;
	df_sink_free(s);
	df_stage_dump(st, &seen);
	for (size_t i = 0; i < seen.count; i++) {
		if (seen.ids[i] > 0 && seen.ids[i] <= ROWS_CANCELLED)
			without[seen.ids[i]] = false;
	}
	df_rows_check(st, &seen, 0, ROWS_CANCELLED + 1, without, false,
		      "rows that a write confirmed whose context was cancelled before it began");
	df_context_free(ctx);
}

/* A write that is cancelled ends soon, and what it confirmed is there. */
static void cancelled(struct df_stage *st)
{
	struct df_sink *s = df_stage_connected_sink(st);
	struct canceller c = { .ctx = df_context_new(NULL) };
	bool *without = df_arena_zalloc(st->arena, MANY + 1);
	struct df_stage_write w;
	struct df_error err = DF_ERROR_INIT;
	struct df_rows_seen seen;
	pthread_t thread;
	size_t confirmed = 0;

	df_deliver_rows(st, s, 0, 1); /* the table */
	df_stage_write_rows(st, &w, 1, MANY);
	df_rule_check(st, without && c.ctx && pthread_create(&thread, NULL, cancel_soon, &c) == 0, "no thread");
	int code = df_write_run(s, c.ctx, &w.w, &err);
	int64_t ended = df_clock_monotonic();

	pthread_join(thread, NULL);
	df_rule_check(st, code >= 0 || code == DF_ERR_CANCELED || df_code_retryable(code),
		      "a cancelled write fails with %s", df_rule_error(st, &err));
	df_rule_check(st, ended - c.at_ns < 2 * df_soon_ns(st), "a cancelled write went on for %.1f s",
		      (double)(ended - c.at_ns) / (double)DF_NS_PER_S);
	for (size_t i = 0; i < MANY; i++) {
		without[i + 1] = df_write_result(&w.w, i) != NULL;
		confirmed += !without[i + 1];
	}
	df_sink_free(s);
	df_stage_dump(st, &seen);
	/* A row may be there without being confirmed: it is written again, and not lost. */
	for (size_t i = 0; i < seen.count; i++) {
		if (seen.ids[i] > 0 && seen.ids[i] <= MANY)
			without[seen.ids[i]] = false;
	}
	df_rows_check(st, &seen, 0, MANY + 1, without, false, "rows that a cancelled write confirmed");
	df_rule_note(st, "%zu of %d confirmed", confirmed, MANY);
}

/* ---- exactly once ------------------------------------------------------------------------------------------ */

/* A new instance, as after a crash, holds this. */
static void expect_held(struct df_stage *st, const char *expected, const char *when)
{
	struct df_sink *s = df_stage_connected_sink(st);
	struct df_context *ctx = df_context_new(NULL);
	struct df_error err = DF_ERROR_INIT;
	struct df_str held;

	df_rule_check(st, ctx, "out of memory");
	df_context_deadline(ctx, df_clock_monotonic() + WRITE_NS);
	df_rule_ok(st, s->ops->held(s, ctx, st->arena, &held, &err), &err, "held");
	df_context_free(ctx);
	df_rule_check(st, held.ptr && df_str_equal_c(held, expected),
		      "%s the sink holds the position " DF_STR_FMT " instead of %s", when,
		      DF_STR_ARG(held.ptr ? held : DF_STR("of nothing")), expected);
	df_sink_free(s);
}

static void write_with(struct df_stage *st, struct df_sink *s, const char *const *rows, size_t n,
		       const char *checkpoint, int expected)
{
	struct df_stage_write w;
	struct df_error err = DF_ERROR_INIT;

	df_stage_write_init(st, &w, rows, n);
	w.w.checkpoint = df_str_c(checkpoint);
	int code = df_stage_write_run(st, s, &w, WRITE_NS, &err);

	if (code < 0)
		df_rule_ok(st, code, &err, "a write with a position");
	df_rule_check(st, code == expected,
		      expected ? "a write with a message that is refused did not say that it is undone"
			       : "a write with a position said that it is undone");
}

static void held(struct df_stage *st)
{
	static const char *const rows[] = { "{\"id\":1,\"name\":\"row 1\"}", "{\"id\":2,\"name\":\"row 2\"}" };
	const char *mixed[] = { "{\"id\":3,\"name\":\"row 3\"}", NULL };
	struct df_component *component;
	struct df_diags diags = { 0 };
	struct df_rows_seen seen;

	if (!df_stage_parse(st, DF_SINK, NULL, &component, &diags))
		df_rule_fail(st, "the manifest's sink is refused");
	struct df_sink *s = df_stage_connected_sink(st);

	if (!s->ops->transactional || !s->ops->transactional(component->settings))
		df_rule_not_applicable(st, "with these settings the sink does not store the position with the rows");
	df_sink_free(s);
	mixed[1] = need_poison(st).payload;
	s = df_stage_connected_sink(st);
	write_with(st, s, rows, 2, "{\"test\":{\"position\":1}}", 0);
	expect_held(st, "{\"test\":{\"position\":1}}", "after a write");
	write_with(st, s, mixed, 2, "{\"test\":{\"position\":2}}", DF_WRITE_UNDONE);
	expect_held(st, "{\"test\":{\"position\":1}}", "after a write that was undone");
	dump_synced(st, s, &seen);
	df_rows_check(st, &seen, 1, 2, NULL, false, "a write, and one that was undone");
	df_sink_free(s);
}

#define NEEDS (DF_NEEDS_SINK | DF_NEEDS_DUMP | DF_NEEDS_NAME)

const struct df_conformance_rule df_rules_sink_trouble[] = {
	{ "sink.poison-first", "Of 1,000 messages the first is poison: it alone fails, with a code that says so.",
	  NEEDS, 120, poison_first },
	{ "sink.poison-middle", "Of 1,000 messages one in the middle is poison: it alone fails.", NEEDS, 120,
	  poison_middle },
	{ "sink.poison-last", "Of 1,000 messages the last is poison: it alone fails.", NEEDS, 120, poison_last },
	{ "sink.poison-several", "Of 1,000 messages six are poison, some side by side: they alone fail.", NEEDS, 120,
	  poison_several },
	{ "sink.odd-payloads",
	  "Payloads that are no rows are written or refused one by one, and the rows beside them are written.", NEEDS,
	  120, odd_payloads },
	{ "sink.retry", "Rows that are written again, by the same or by a new instance, stand there once.",
	  NEEDS | DF_NEEDS_UPSERT, 120, retry },
	{ "sink.after-failure", "A refused message does not disturb the writes after it.", NEEDS, 120, after_failure },
	{ "sink.kill-after-sync", "Rows that were confirmed and synced are there after kill -9.", NEEDS, 120,
	  kill_after_sync },
	{ "sink.cancelled", "What a cancelled write confirmed is there.", NEEDS, 120, cancelled },
	{ "sink.cancelled-before", "What a write confirmed whose context was cancelled before it began is there.",
	  NEEDS, 120, cancelled_before },
	{ "sink.held", "The position that is stored with the rows is that of the last write that was not undone.",
	  NEEDS, 120, held },
	{ 0 },
};

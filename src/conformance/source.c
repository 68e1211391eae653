/* Rules on what a source emits, and on how read ends. */
#include "conformance/reader.h"

#define ROWS 200
#define COME_NS (30 * DF_NS_PER_S)
#define IDLE_NS (65 * DF_NS_PER_S)
#define QUIET_NS DF_NS_PER_S

static struct df_collector *small_batches(struct df_stage *st)
{
	struct df_collector *c = df_collector_new(st);

	c->emitter.batch_messages = 10;
	return c;
}

/* ---- what is emitted --------------------------------------------------------------------------------------- */

/* The last batch is not full. */
static void all_rows(struct df_stage *st)
{
	const size_t n = ROWS + 17;
	struct df_rows_seen seen;

	df_stage_feed(st, 1, n);
	df_reader_rows(st, df_reader_rest(st, NULL, n), &seen);
	df_rows_check(st, &seen, 1, n, NULL, false, "217 rows read");
}

static void many_rows(struct df_stage *st)
{
	const size_t n = st->quick ? 3000 : 20000;
	struct df_source *s;
	struct df_collector *c = df_collector_new(st);
	bool *seen = df_arena_zalloc(st->arena, n);
	size_t missing = n;

	df_rule_check(st, seen, "out of memory");
	df_stage_feed(st, 1, n);
	s = df_reader_at(st, NULL);
	df_reader_read(st, c, s, n);
	/* One walk: asking for each message by its number would be quadratic. */
	for (struct df_batch *b = c->first; b; b = b->next) {
		for (size_t i = 0; i < b->count; i++) {
			struct df_value *row = NULL;
			int64_t id = -1;

			df_rule_check(st,
				      df_message_document(&b->messages[i], &b->arena, &row, NULL) == 0 && row &&
					      (id = df_row_id(st, row)) >= 1 && id <= (int64_t)n,
				      "a message is none of the rows: %s", df_rule_value(st, row));
			df_rule_check(st, !seen[id - 1], "the row with id %lld was read twice", (long long)id);
			seen[id - 1] = true;
			missing--;
		}
	}
	df_rule_check(st, missing == 0, "of %zu rows %zu were not read", n, missing);
	df_source_free(s);
}

/* Rows were fed in ascending order of their ids. */
static void order(struct df_stage *st)
{
	struct partition {
		const struct df_partition *partition;
		int64_t last;
	} partitions[256];
	size_t count = 0;
	struct df_collector *c;

	df_stage_feed(st, 1, ROWS);
	c = df_reader_rest(st, NULL, ROWS);
	for (size_t i = 0; i < c->messages; i++) {
		const struct df_message *m = df_collector_message(c, i);
		int64_t id = df_collector_id(st, c, i);
		size_t k = 0;

		while (k < count && partitions[k].partition != m->partition)
			k++;
		if (k == count) {
			df_rule_check(st, count < DF_ARRAY_SIZE(partitions), "200 rows came in over 256 partitions");
			partitions[count++] = (struct partition){ m->partition, -1 };
		}
		df_rule_check(st, id > partitions[k].last,
			      "within a partition the row with id %lld came behind that with id %lld", (long long)id,
			      (long long)partitions[k].last);
		partitions[k].last = id;
	}
	df_rule_note(st, "%zu partitions", count);
}

static bool same_keys(const struct df_value *a, const struct df_value *b)
{
	if (!a || !b)
		return !a && !b;
	if (a->len != b->len)
		return false;
	df_for_each (member, a) {
		if (!df_object_get(b, df_value_key(member)))
			return false;
	}
	return true;
}

static bool same_position(const struct df_message *a, const struct df_message *b)
{
	return a->partition == b->partition && a->position.number == b->position.number &&
	       df_str_equal(a->position.data, b->position.data);
}

/* What the processor and the sinks rely on in every message. */
static void messages(struct df_stage *st)
{
	const struct df_message *first, *before = NULL;
	struct df_collector *c;

	df_stage_feed(st, 1, ROWS);
	c = df_reader_rest(st, NULL, ROWS);
	df_rule_check(st, c->messages > 0, "nothing was read");
	first = df_collector_message(c, 0);
	for (size_t i = 0; i < c->messages; i++) {
		const struct df_message *m = df_collector_message(c, i);

		df_rule_check(st, m->partition, "message %zu has no partition", i);
		df_rule_check(st, !m->metadata || m->metadata->kind == DF_OBJECT, "the metadata of message %zu is %s",
			      i, m->metadata ? df_kind_words(m->metadata->kind) : "");
		df_rule_check(st, same_keys(first->metadata, m->metadata),
			      "the metadata of message %zu, %s, has other keys than that of the first, %s", i,
			      df_rule_value(st, m->metadata), df_rule_value(st, first->metadata));
		df_rule_check(st, !before || before->joined || !same_position(before, m),
			      "messages %zu and %zu have one position, and the first is not marked as joined", i - 1,
			      i);
		before = m;
	}
	df_rule_check(st, !before->joined, "the last message is marked as joined to one that does not come");
	for (const struct df_batch *b = c->first; b; b = b->next)
		df_rule_check(st, b->bytes > 0, "a batch of %zu messages says that it has no bytes", b->count);
}

/* The collector looks at each batch. */
static void limits(struct df_stage *st)
{
	struct df_collector *c = df_collector_new(st);
	struct df_rows_seen seen;
	struct df_source *s;

	df_stage_feed(st, 1, ROWS);
	s = df_reader_at(st, NULL);
	c->emitter.batch_messages = 7;
	df_reader_read(st, c, s, ROWS);
	df_reader_rows(st, c, &seen);
	df_rows_check(st, &seen, 1, ROWS, NULL, false, "batches of at most 7 messages");
	df_source_free(s);
	c = df_collector_new(st);
	c->emitter.batch_bytes = 100;
	s = df_reader_at(st, NULL);
	df_reader_read(st, c, s, ROWS);
	df_reader_rows(st, c, &seen);
	df_rows_check(st, &seen, 1, ROWS, NULL, false, "batches of at most 100 bytes");
	for (const struct df_batch *b = c->first; b; b = b->next)
		df_rule_check(st, b->count <= 100, "a batch of at most 100 bytes has %zu rows", b->count);
	df_source_free(s);
}

static void empty(struct df_stage *st)
{
	struct df_source *s;
	struct df_collector *c = df_collector_new(st);
	struct df_context *ctx = df_context_new(NULL);
	struct df_error err = DF_ERROR_INIT;
	struct df_rows_seen seen;
	const char *checkpoint;

	df_stage_feed(st, 1, 0); /* a store that the feed makes is there now */
	s = df_stage_source(st);
	df_rule_check(st, ctx, "out of memory");
	df_context_deadline(ctx, df_clock_monotonic() + COME_NS);
	df_stage_restore(st, s, "{}");
	int code = s->ops->connect(s, ctx, &err);

	if (code == DF_ERR_CONFIG && !st->options->setup) {
		df_source_free(s); /* there is no store to be empty: that may be an error */
		s = NULL;
	} else {
		df_rule_ok(st, code, &err, "connecting to an empty store");
		df_reader_read(st, c, s, 0);
		df_rule_check(st, c->messages == 0, "an empty store gave %zu messages", c->messages);
	}
	checkpoint = s ? df_collector_commit(st, c, s, 0, 0) : "{}";
	df_source_free(s);
	df_stage_feed(st, 1, 5);
	df_reader_rows(st, df_reader_rest(st, checkpoint, 5), &seen);
	df_rows_check(st, &seen, 1, 5, NULL, false, "rows that came to an empty store");
}

static void grows(struct df_stage *st)
{
	struct df_component *component = NULL;
	struct df_diags diags = { 0 };
	struct df_collector *c = df_collector_new(st);
	struct df_error err = DF_ERROR_INIT;
	struct df_rows_seen seen;

	df_stage_feed(st, 1, 50);
	df_rule_check(st, df_stage_parse(st, DF_SOURCE, NULL, &component, &diags), "the source's settings are refused");
	struct df_source *s = df_stage_source_of(st, component, false);

	df_stage_restore(st, s, "{}");
	df_reader_connect(st, s);
	struct df_reading *r = df_reading_start(st, c, s);

	for (size_t have = 50; have <= 200; have += 50) {
		df_rule_check(st, df_reading_await(r, have, COME_NS), "of %zu rows only %zu were read within 30 s",
			      have, c->messages);
		if (c->messages < have)
			break; /* read has ended */
		if (have < 200)
			df_stage_feed(st, (int64_t)have + 1, 50);
	}
	if (c->messages < 200) {
		df_rule_ok(st, df_reading_finish(r, DF_SOON_NS, &err), &err, "read");
		df_reader_rows(st, c, &seen);
		df_rows_check(st, &seen, 1, 50, NULL, false, "rows that were there when read began");
		df_rule_not_applicable(st, "the source ends, it does not wait for more rows");
	}
	(void)df_reading_await(r, 201, 300 * DF_NS_PER_MS);
	int code = df_reading_stop(r, DF_SOON_NS, &err);

	df_rule_check(st, code == DF_ERR_CANCELED, "read, cancelled, returned %s",
		      code == 0 ? "0" : df_rule_error(st, &err));
	df_reader_rows(st, c, &seen);
	df_rows_check(st, &seen, 1, 200, NULL, false, "a store that grew three times while it was read");
	df_source_free(s);
}

static void close_soon(struct df_stage *st, struct df_source *s)
{
	struct df_error err = DF_ERROR_INIT;

	df_rule_ok(st, df_instance_close(st, &(struct df_instance){ .kind = DF_SOURCE, .source = s }, &err), &err,
		   "close of the source");
}

/* ---- how read ends ----------------------------------------------------------------------------------------- */

static void cancel_mid_row(struct df_stage *st)
{
	struct df_collector *c = small_batches(st);
	struct df_error err = DF_ERROR_INIT;
	struct df_source *s;

	df_stage_feed(st, 1, ROWS);
	s = df_reader_at(st, NULL);
	c->cancel_after = 10;
	struct df_reading *r = df_reading_start(st, c, s);

	df_rule_check(st, df_reading_await(r, 10, 2 * COME_NS), "of 200 rows none came within 60 s");
	int code = df_reading_finish(r, DF_SOON_NS, &err);

	df_rule_check(st, code == DF_ERR_CANCELED, "read, cancelled after 10 of 200 rows, returned %s with %zu rows",
		      code == 0 ? "0" : df_rule_error(st, &err), c->messages);
	close_soon(st, s);
	df_source_free(s);
}

/* Reads ROWS rows with an emitter that takes none beyond the 20th; *ret_s is the source. */
static struct df_reading *read_blocked(struct df_stage *st, struct df_collector *c, struct df_source **ret_s)
{
	const struct timespec a_moment = { .tv_nsec = 100 * DF_NS_PER_MS };

	df_stage_feed(st, 1, ROWS);
	*ret_s = df_reader_at(st, NULL);
	c->block_after = 20;
	struct df_reading *r = df_reading_start(st, c, *ret_s);

	df_rule_check(st, df_reading_await(r, 20, 2 * COME_NS), "of 200 rows only %zu came within 60 s", c->messages);
	nanosleep(&a_moment, NULL); /* by now it is within emit */
	return r;
}

static void cancel_blocked(struct df_stage *st)
{
	struct df_collector *c = small_batches(st);
	struct df_error err = DF_ERROR_INIT;
	struct df_source *s;
	struct df_reading *r = read_blocked(st, c, &s);
	int code = df_reading_stop(r, DF_SOON_NS, &err);

	df_rule_check(st, code == DF_ERR_CANCELED, "read, cancelled while downstream was full, returned %s",
		      code == 0 ? "0" : df_rule_error(st, &err));
	close_soon(st, s);
	df_source_free(s);
}

static void cancel_idle(struct df_stage *st)
{
	const struct timespec a_moment = { .tv_nsec = 200 * DF_NS_PER_MS };
	struct df_component *component = NULL;
	struct df_diags diags = { 0 };
	struct df_collector *c = df_collector_new(st);
	struct df_error err = DF_ERROR_INIT;

	df_stage_feed(st, 1, 10);
	df_rule_check(st, df_stage_parse(st, DF_SOURCE, NULL, &component, &diags), "the source's settings are refused");
	struct df_source *s = df_stage_source_of(st, component, false);

	df_stage_restore(st, s, "{}");
	df_reader_connect(st, s);
	struct df_reading *r = df_reading_start(st, c, s);

	df_rule_check(st, df_reading_await(r, 10, 2 * COME_NS), "of 10 rows only %zu came within 60 s", c->messages);
	nanosleep(&a_moment, NULL);
	int code = df_reading_stop(r, DF_SOON_NS, &err);

	if (code == 0)
		df_rule_not_applicable(st, "the source ends, it does not wait for more rows");
	df_rule_check(st, code == DF_ERR_CANCELED, "read, cancelled while there was nothing to read, returned %s",
		      df_rule_error(st, &err));
	df_source_free(s);
}

static void close_blocked(struct df_stage *st)
{
	struct df_collector *c = small_batches(st);
	struct df_error err = DF_ERROR_INIT;
	struct df_source *s;
	struct df_reading *r = read_blocked(st, c, &s);

	close_soon(st, s);
	int code = df_reading_finish(r, DF_SOON_NS, &err);

	df_rule_check(st, code < 0, "read, whose source was closed while downstream was full, returned %d", code);
	df_source_free(s);
}

static void idle(struct df_stage *st)
{
	struct df_component *component = NULL;
	struct df_diags diags = { 0 };
	struct df_collector *c = df_collector_new(st);
	struct df_error err = DF_ERROR_INIT;
	int64_t until = df_clock_monotonic() + (st->quick ? 3 * DF_NS_PER_S : IDLE_NS);

	df_stage_feed(st, 1, 10);
	df_rule_check(st, df_stage_parse(st, DF_SOURCE, NULL, &component, &diags), "the source's settings are refused");
	struct df_source *s = df_stage_source_of(st, component, false);

	df_stage_restore(st, s, "{}");
	df_reader_connect(st, s);
	struct df_reading *r = df_reading_start(st, c, s);
	bool told = false;

	df_rule_check(st, df_reading_await(r, 10, 2 * COME_NS), "of 10 rows only %zu came within 60 s", c->messages);
	while (!told && df_clock_monotonic() < until && !df_reading_await(r, 11, 50 * DF_NS_PER_MS)) {
		pthread_mutex_lock(&c->lock);
		told = c->idles > 0;
		pthread_mutex_unlock(&c->lock);
	}
	int code = df_reading_stop(r, DF_SOON_NS, &err);

	if (code == 0)
		df_rule_not_applicable(st, "the source ends, it does not wait for more rows");
	if (!told && st->quick)
		df_rule_not_applicable(st, "nothing within 3 s; with all the time it has 65 s");
	df_rule_check(st, told, "the source had nothing to read for 65 s and did not say that it is alive");
	df_source_free(s);
}

static int64_t processor_ns(void)
{
	struct timespec used;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
	return used.tv_sec * DF_NS_PER_S + used.tv_nsec;
}

/* Waiting is not asking again and again. */
static void idle_quiet(struct df_stage *st)
{
	struct df_component *component = NULL;
	struct df_diags diags = { 0 };
	struct df_collector *c = df_collector_new(st);
	struct df_error err = DF_ERROR_INIT;

	df_stage_feed(st, 1, 10);
	df_rule_check(st, df_stage_parse(st, DF_SOURCE, NULL, &component, &diags), "the source's settings are refused");
	struct df_source *s = df_stage_source_of(st, component, false);

	df_stage_restore(st, s, "{}");
	df_reader_connect(st, s);
	struct df_reading *r = df_reading_start(st, c, s);

	df_rule_check(st, df_reading_await(r, 10, 2 * COME_NS), "of 10 rows only %zu came within 60 s", c->messages);
	int64_t before = processor_ns();
	bool ended = df_reading_await(r, 11, QUIET_NS);
	int64_t used = processor_ns() - before;
	int code = df_reading_stop(r, DF_SOON_NS, &err);

	if (ended && code == 0)
		df_rule_not_applicable(st, "the source ends, it does not wait for more rows");
	df_rule_check(st, used < QUIET_NS / 10, "waiting for more rows took %.2f s of processor time in %.0f s",
		      (double)used / (double)DF_NS_PER_S, (double)QUIET_NS / (double)DF_NS_PER_S);
	df_rule_note(st, "%.1f ms of processor time in %.0f s", (double)used / (double)DF_NS_PER_MS,
		     (double)QUIET_NS / (double)DF_NS_PER_S);
	df_source_free(s);
}

/* ---- an emitter that fails --------------------------------------------------------------------------------- */

enum failing_call { FAILS_EMIT, FAILS_BATCH, FAILS_PARTITION };

struct failing {
	struct df_emitter emitter;
	struct df_collector *c;
	enum failing_call which;
	unsigned after; /* calls that succeed before */
	unsigned calls; /* behind the one that failed: emits */
	bool failed;
};

/* Does this call fail? */
static bool fails(struct failing *f, enum failing_call which)
{
	if (f->which != which)
		return false;
	if (f->after > 0) {
		f->after--;
		return false;
	}
	f->failed = true;
	return true;
}

static struct failing *failing_of(struct df_emitter *e)
{
	return DF_CONTAINER_OF(e, struct failing, emitter);
}

static struct df_batch *failing_batch(struct df_emitter *e)
{
	struct failing *f = failing_of(e);

	return fails(f, FAILS_BATCH) ? NULL : df_emitter_batch(&f->c->emitter);
}

static int failing_emit(struct df_emitter *e, struct df_context *ctx, struct df_batch **batch, struct df_error *err)
{
	struct failing *f = failing_of(e);

	f->calls += f->failed;
	return fails(f, FAILS_EMIT) ? df_error_set(err, DF_ERR_UNKNOWN, "the suite's emitter fails")
				    : df_emitter_emit(&f->c->emitter, ctx, batch, err);
}

static int failing_try_emit(struct df_emitter *e, struct df_batch **batch, struct df_error *err)
{
	struct failing *f = failing_of(e);

	f->calls += f->failed;
	return fails(f, FAILS_EMIT) ? df_error_set(err, DF_ERR_UNKNOWN, "the suite's emitter fails")
				    : df_emitter_try_emit(&f->c->emitter, batch, err);
}

static int failing_partition(struct df_emitter *e, struct df_str key, struct df_partition **ret, struct df_error *err)
{
	struct failing *f = failing_of(e);

	return fails(f, FAILS_PARTITION) ? df_error_no_memory(err)
					 : df_emitter_partition(&f->c->emitter, key, ret, err);
}

static void failing_idle(struct df_emitter *e)
{
	df_emitter_idle(&failing_of(e)->c->emitter);
}

static int failing_drain(struct df_emitter *e, struct df_partition *p, struct df_context *ctx, struct df_error *err)
{
	return df_emitter_drain(&failing_of(e)->c->emitter, p, ctx, err);
}

static void read_failing(struct df_stage *st, enum failing_call which, unsigned after, int expected, const char *what)
{
	struct df_collector *c = small_batches(st);
	struct failing f = { .c = c, .which = which, .after = after };
	struct df_context *ctx = df_context_new(NULL);
	struct df_error err = DF_ERROR_INIT;
	struct df_source *s;

	df_stage_feed(st, 1, ROWS);
	s = df_reader_at(st, NULL);
	f.emitter = c->emitter;
	f.emitter.batch = failing_batch;
	f.emitter.emit = failing_emit;
	f.emitter.try_emit = failing_try_emit;
	f.emitter.partition = failing_partition;
	f.emitter.idle = failing_idle;
	f.emitter.drain = failing_drain;
	df_rule_check(st, ctx, "out of memory");
	df_context_deadline(ctx, df_clock_monotonic() + COME_NS);
	df_stage_doing(st, "reading with an emitter that fails");
	int code = s->ops->read(s, ctx, &f.emitter, &err);

	df_rule_check(st, code == expected, "%s failed with %s, and read returned %s after %zu rows", what,
		      df_code_name(expected), code == 0 ? "0" : df_rule_error(st, &err), c->messages);
	df_rule_check(st, f.calls == 0, "%s failed, and read went on to emit", what);
	df_context_free(ctx);
	df_source_free(s);
}

static void emit_fails(struct df_stage *st)
{
	read_failing(st, FAILS_EMIT, 1, DF_ERR_UNKNOWN, "emit");
}

static void no_batch(struct df_stage *st)
{
	read_failing(st, FAILS_BATCH, 1, DF_ERR_NO_MEMORY, "batch");
}

static void no_partition(struct df_stage *st)
{
	read_failing(st, FAILS_PARTITION, 0, DF_ERR_NO_MEMORY, "partition");
}

#define NEEDS (DF_NEEDS_SOURCE | DF_NEEDS_FEED | DF_NEEDS_NAME)

const struct df_conformance_rule df_rules_source[] = {
	{ "source.all-rows", "Every row is read once, as it was written.", NEEDS, 120, all_rows },
	{ "source.many-rows", "Of thousands of rows each is read once.", NEEDS, 180, many_rows },
	{ "source.order", "Within a partition rows come in their order.", NEEDS, 120, order },
	{ "source.messages", "Every message has a partition, a position of its own, and metadata as all others have.",
	  NEEDS, 120, messages },
	{ "source.limits", "Batches keep to what the emitter allows.", NEEDS, 180, limits },
	{ "source.empty", "An empty store gives no message and no error, and what comes later is read.", NEEDS, 120,
	  empty },
	{ "source.grows", "Rows that come while the source reads are read, each once.", NEEDS, 180, grows },
	{ "source.cancel-mid-row", "read that is cancelled among the rows ends soon, and says so.", NEEDS, 120,
	  cancel_mid_row },
	{ "source.cancel-blocked", "read that is cancelled while downstream is full ends soon, and says so.", NEEDS,
	  120, cancel_blocked },
	{ "source.cancel-idle", "read that is cancelled while there is nothing to read ends soon, and says so.", NEEDS,
	  120, cancel_idle },
	{ "source.close-blocked", "close while downstream is full returns soon, and read with it.", NEEDS, 120,
	  close_blocked },
	{ "source.idle", "A source with nothing to read says at least every 60 s that it is alive.", NEEDS, 150, idle },
	{ "source.idle-quiet", "A source with nothing to read takes next to no processor time.", NEEDS, 120,
	  idle_quiet },
	{ "source.emit-fails", "An error of emit ends read, and is what read returns.", NEEDS, 120, emit_fails },
	{ "source.no-batch", "Without memory for a batch read ends, and says so.", NEEDS, 120, no_batch },
	{ "source.no-partition", "Without memory for a partition read ends, and says so.", NEEDS, 120, no_partition },
	{ 0 },
};

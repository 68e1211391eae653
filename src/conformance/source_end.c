/* Rules on how read ends: cancelled, closed, with nothing to read, with an emitter that fails. */
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
	int code = df_reading_finish(r, df_soon_ns(st), &err);

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
	int code = df_reading_stop(r, df_soon_ns(st), &err);

	df_rule_check(st, code == DF_ERR_CANCELED, "read, cancelled while downstream was full, returned %s",
		      code == 0 ? "0" : df_rule_error(st, &err));
	close_soon(st, s);
	df_source_free(s);
}

/* A source that goes on at its end, and has read the ten rows that there are. */
static struct df_reading *start_following(struct df_stage *st, struct df_collector *c, struct df_source **ret_source)
{
	struct df_component *component = NULL;
	struct df_diags diags = { 0 };
	struct df_reading *r;

	df_stage_feed(st, 1, 10);
	df_rule_check(st, df_stage_parse(st, DF_SOURCE, NULL, &component, &diags), "the source's settings are refused");
	*ret_source = df_stage_source_of(st, component, false);
	df_stage_restore(st, *ret_source, "{}");
	df_reader_connect(st, *ret_source);
	r = df_reading_start(st, c, *ret_source);
	df_rule_check(st, df_reading_await(r, 10, 2 * COME_NS), "of 10 rows only %zu came within 60 s", c->messages);
	return r;
}

static void cancel_idle(struct df_stage *st)
{
	const struct timespec a_moment = { .tv_nsec = 200 * DF_NS_PER_MS };
	struct df_collector *c = df_collector_new(st);
	struct df_error err = DF_ERROR_INIT;
	struct df_source *s;
	struct df_reading *r = start_following(st, c, &s);

	nanosleep(&a_moment, NULL);
	int code = df_reading_stop(r, df_soon_ns(st), &err);

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
	int code = df_reading_finish(r, df_soon_ns(st), &err);

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
	int code = df_reading_stop(r, df_soon_ns(st), &err);

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
	struct df_collector *c = df_collector_new(st);
	struct df_error err = DF_ERROR_INIT;
	struct df_source *s;
	struct df_reading *r = start_following(st, c, &s);

	int64_t before = processor_ns();
	bool ended = df_reading_await(r, 11, QUIET_NS);
	int64_t used = processor_ns() - before;
	int code = df_reading_stop(r, df_soon_ns(st), &err);

	if (ended && code == 0)
		df_rule_not_applicable(st, "the source ends, it does not wait for more rows");
	df_rule_check(st, used < QUIET_NS / 50, "waiting for more rows took %.2f s of processor time in %.0f s",
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

const struct df_conformance_rule df_rules_source_end[] = {
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

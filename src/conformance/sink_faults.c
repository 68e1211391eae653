/*
 * Rules on a sink whose connection breaks, through the proxy: a message is confirmed only when it is in the store, what
 * is not confirmed fails with a code that asks for another try, and a new instance writes it.
 */
#include "conformance/deliver.h"
#include "conformance/instance.h"
#include "conformance/proxy.h"

#define ROWS 500
#define FIRST 100001 /* ids of one length make writes of one length */
#define WRITE_NS (20 * DF_NS_PER_S)
#define SLACK_NS (5 * DF_NS_PER_S) /* behind the deadline of a write */
#define STALL_NS (2 * DF_NS_PER_S)

/* ---- writes through the proxy ------------------------------------------------------------------------------ */

struct through {
	struct df_stage *st;
	struct df_proxy *proxy;
	uint64_t bytes[2]; /* that a write of ROWS rows sends, and that the server answers */
	int64_t next;	   /* the first id that was not used yet */
	bool doubles;	   /* a row that is written again stands there twice */
};

static bool is_repeatable(struct df_stage *st)
{
	struct df_component *component = NULL;
	struct df_diags diags = { 0 };

	return df_stage_parse(st, DF_SINK, NULL, &component, &diags) && component->type->repeatable &&
	       component->type->repeatable(component->settings);
}

/* Makes the store, and writes through the proxy once to see how much goes through. */
static struct through *begin(struct df_stage *st)
{
	struct through *t = df_arena_zalloc(st->arena, sizeof(*t));
	struct df_sink *s;

	df_rule_check(st, t, "out of memory");
	*t = (struct through){ .st = st, .next = FIRST, .doubles = !is_repeatable(st), .proxy = df_proxy_start(st) };
	s = df_stage_connected_sink(st);
	df_deliver_rows(st, s, t->next++, 1);
	uint64_t sent = df_proxy_bytes(t->proxy, true), answered = df_proxy_bytes(t->proxy, false);

	df_deliver_rows(st, s, t->next, ROWS);
	t->next += ROWS;
	t->bytes[0] = df_proxy_bytes(t->proxy, true) - sent;
	t->bytes[1] = df_proxy_bytes(t->proxy, false) - answered;
	df_deliver_end(st, s);
	if (t->bytes[0] < ROWS)
		df_rule_not_applicable(st, "what is written does not go to {address}: %llu bytes for %d rows",
				       (unsigned long long)t->bytes[0], ROWS);
	return t;
}

/* A connected sink that has written one row of its own, so that what follows is a write like any other. */
static struct df_sink *ready_sink(struct through *t)
{
	struct df_sink *s = df_stage_connected_sink(t->st);

	df_deliver_rows(t->st, s, t->next++, 1);
	return s;
}

static void no_traps(struct through *t)
{
	for (int to_server = 0; to_server < 2; to_server++) {
		df_proxy_cut_after(t->proxy, to_server, UINT64_MAX, false);
		df_proxy_corrupt_after(t->proxy, to_server, UINT64_MAX);
	}
}

static void end_sink(struct through *t, struct df_sink *s)
{
	struct df_instance i = { .kind = DF_SINK, .sink = s };
	struct df_error err = DF_ERROR_INIT;

	(void)df_instance_close(t->st, &i, &err); /* it may say that the connection is gone */
	df_instance_free(&i);
}

/* Those of the ids first .. first + n - 1 that are in the store. */
static bool *look(struct through *t, int64_t first, size_t n)
{
	bool *there = df_arena_zalloc(t->st->arena, n);
	struct df_rows_seen seen;

	df_rule_check(t->st, there, "out of memory");
	df_stage_dump(t->st, &seen);
	for (size_t i = 0; i < seen.count; i++) {
		if (seen.ids[i] >= first && seen.ids[i] < first + (int64_t)n)
			there[seen.ids[i] - first] = true;
	}
	return there;
}

/* What was not confirmed is written by a new instance. */
static void deliver_rest(struct through *t, struct df_message *const *messages, const struct df_delivery *d)
{
	struct df_message **rest = df_arena_alloc(t->st->arena, d->count * sizeof(*rest));
	struct df_sink *s = df_stage_connected_sink(t->st);
	struct df_delivery again;
	size_t n = 0;

	df_rule_check(t->st, rest, "out of memory");
	for (size_t i = 0; i < d->count; i++) {
		if (d->results[i].code != 0)
			rest[n++] = messages[i];
	}
	df_deliver(t->st, s, rest, n, WRITE_NS, &again);
	df_rule_check(t->st, again.written == n, "the next instance cannot write what was not confirmed: %s",
		      df_rule_error(t->st, df_delivery_failure(&again)));
	df_deliver_end(t->st, s);
}

/* How one write went through a fault. */
struct outcome {
	struct df_stage_write w;
	struct df_delivery d;
	int64_t first;
	const char *what;
};

static struct outcome *write_faulty(struct through *t, struct df_sink *s, int64_t ns, const char *what)
{
	struct outcome *o = df_arena_zalloc(t->st->arena, sizeof(*o));

	df_rule_check(t->st, o, "out of memory");
	o->what = what;
	o->first = t->next;
	t->next += ROWS;
	df_stage_write_rows(t->st, &o->w, o->first, ROWS);
	int64_t began = df_clock_monotonic();

	df_deliver(t->st, s, o->w.pointers, ROWS, ns, &o->d);
	int64_t took = df_clock_monotonic() - began;

	df_rule_check(t->st, took < ns + SLACK_NS, "%s, and a write of at most %.0f s took %.1f s", what,
		      (double)ns / (double)DF_NS_PER_S, (double)took / (double)DF_NS_PER_S);
	return o;
}

/* Nothing is confirmed that is not there, and everything else may be tried again. lost: rows that the fault may have
 * changed so that they are other ones. */
static void judge(struct through *t, struct outcome *o, size_t lost)
{
	const bool *there = look(t, o->first, ROWS);
	size_t missing = 0;

	for (size_t i = 0; i < ROWS; i++) {
		const struct df_error *why = &o->d.results[i];

		missing += why->code == 0 && !there[i];
		df_rule_check(t->st, why->code == 0 || !df_code_poison(why->code) || lost > 0,
			      "%s, and message %zu fails as if it was its own fault: %s", o->what, i,
			      df_rule_error(t->st, why));
		df_rule_check(t->st, why->code == 0 || df_code_retryable(why->code) || lost > 0,
			      "%s, and message %zu fails with an error that asks for no other try: %s", o->what, i,
			      df_rule_error(t->st, why));
	}
	df_rule_check(t->st, missing <= lost,
		      "%s; of %d messages %zu were confirmed, and %zu of those are not in the store", o->what, ROWS,
		      o->d.written, missing);
	deliver_rest(t, o->w.pointers, &o->d);
}

/* Everything that was ever written is there. */
static void look_at_all(struct through *t, const char *what)
{
	struct df_rows_seen seen;

	df_stage_dump(t->st, &seen);
	df_rows_check(t->st, &seen, FIRST, (size_t)(t->next - FIRST), NULL, t->doubles, what);
}

/* ---- the connection ends ----------------------------------------------------------------------------------- */

/* 1000: all but the last byte. */
static void cut_at(struct through *t, bool to_server, unsigned thousandths, bool reset)
{
	uint64_t all = t->bytes[to_server ? 0 : 1], bytes = thousandths < 1000 ? all * thousandths / 1000 : all - 1;
	const char *what = df_rule_text(t->st, "the connection was %s after %u/1000 of what %s sends",
					reset ? "reset" : "closed", thousandths, to_server ? "the sink" : "the server");
	struct df_sink *s = ready_sink(t);

	df_proxy_cut_after(t->proxy, to_server, bytes, reset);
	struct outcome *o = write_faulty(t, s, WRITE_NS, what);

	no_traps(t);
	end_sink(t, s);
	judge(t, o, 0);
	df_rule_note(t->st, "at %u/1000: %zu confirmed", thousandths, o->d.written);
}

static void cut_request(struct df_stage *st)
{
	struct through *t = begin(st);

	cut_at(t, true, 0, false);
	cut_at(t, true, 500, false);
	cut_at(t, true, 1000, false);
	look_at_all(t, "writes whose connection was closed");
}

static void reset_request(struct df_stage *st)
{
	struct through *t = begin(st);

	cut_at(t, true, 0, true);
	cut_at(t, true, 500, true);
	cut_at(t, true, 1000, true);
	look_at_all(t, "writes whose connection was reset");
}

/* The server has the rows, and the sink never hears of it. */
static void cut_answer(struct df_stage *st)
{
	struct through *t = begin(st);

	cut_at(t, false, 0, false);
	cut_at(t, false, 500, false);
	look_at_all(t, "writes whose answer was cut");
}

static void reset_answer(struct df_stage *st)
{
	struct through *t = begin(st);

	cut_at(t, false, 0, true);
	cut_at(t, false, 500, true);
	look_at_all(t, "writes whose answer was cut");
}

/* Between two writes: the next one finds a connection that is gone. */
static void cut_between(struct df_stage *st)
{
	struct through *t = begin(st);

	for (int reset = 0; reset < 2; reset++) {
		struct df_sink *s = ready_sink(t);

		df_proxy_cut(t->proxy, reset);
		struct outcome *o = write_faulty(t, s, WRITE_NS, "the connection was cut between two writes");

		end_sink(t, s);
		judge(t, o, 0);
	}
	look_at_all(t, "writes after the connection was cut");
}

static void restart(struct df_stage *st)
{
	struct through *t = begin(st);
	struct df_sink *s = ready_sink(t);

	df_stage_restart(st);
	struct outcome *o = write_faulty(t, s, WRITE_NS, "the server was restarted between two writes");

	end_sink(t, s);
	judge(t, o, 0);
	look_at_all(t, "writes around a restart of the server");
}

/* ---- bytes are wrong --------------------------------------------------------------------------------------- */

/* One bit is another one. One row may be changed by that, and no protocol need notice; no other is. */
static void corrupt(struct df_stage *st, bool to_server)
{
	struct through *t = begin(st);
	static const unsigned places[] = { 10, 500, 900 };

	st->garbled = true;
	for (size_t i = 0; i < DF_ARRAY_SIZE(places); i++) {
		struct df_sink *s = ready_sink(t);

		df_proxy_corrupt_after(t->proxy, to_server, t->bytes[to_server ? 0 : 1] * places[i] / 1000);
		struct outcome *o = write_faulty(t, s, WRITE_NS / 4, "a byte was corrupted");

		no_traps(t);
		end_sink(t, s);
		judge(t, o, 1);
		df_rule_note(st, "at %u/1000: %zu confirmed%s%s", places[i], o->d.written,
			     o->d.written < ROWS ? ", " : "",
			     o->d.written < ROWS ? df_code_name(df_delivery_failure(&o->d)->code) : "");
	}
}

static void corrupt_request(struct df_stage *st)
{
	corrupt(st, true);
}

static void corrupt_answer(struct df_stage *st)
{
	corrupt(st, false);
}

/* ---- the connection is slow, or silent --------------------------------------------------------------------- */

static void delayed(struct df_stage *st)
{
	struct through *t = begin(st);
	struct df_sink *s = ready_sink(t);

	df_proxy_delay(t->proxy, 30 * DF_NS_PER_MS);
	struct outcome *o = write_faulty(t, s, WRITE_NS, "the connection was slow");

	df_rule_check(st, o->d.written == ROWS, "over a slow connection a write fails: %s",
		      df_rule_error(st, df_delivery_failure(&o->d)));
	df_deliver_end(st, s);
	df_proxy_delay(t->proxy, 0);
	look_at_all(t, "a write over a slow connection");
}

static void stalled(struct df_stage *st)
{
	struct through *t = begin(st);
	struct df_sink *s = ready_sink(t);

	df_proxy_stall(t->proxy, true);
	struct outcome *o = write_faulty(t, s, STALL_NS, "the server was silent");

	end_sink(t, s);
	df_proxy_cut(t->proxy, true); /* what is still on its way never comes */
	df_proxy_stall(t->proxy, false);
	df_rule_check(st, o->d.written == 0, "the server was silent, and %zu messages were confirmed", o->d.written);
	judge(t, o, 0);
	look_at_all(t, "writes around a server that was silent");
}

struct writing {
	struct df_sink *s;
	struct df_context *ctx;
	struct df_stage_write *w;
};

static int write_main(void *arg, struct df_error *err)
{
	const struct writing *m = arg;

	return df_write_run(m->s, m->ctx, &m->w->w, err);
}

/* Begins a write to a server that is silent, and waits until it surely waits. */
static struct df_task *write_stalled(struct through *t, struct writing *m)
{
	const struct timespec a_moment = { .tv_nsec = 300 * DF_NS_PER_MS };

	*m = (struct writing){ .s = ready_sink(t),
			       .ctx = df_context_new(NULL),
			       .w = df_arena_zalloc(t->st->arena, sizeof(*m->w)) };
	df_rule_check(t->st, m->ctx && m->w, "out of memory");
	df_stage_write_rows(t->st, m->w, t->next, ROWS);
	df_proxy_stall(t->proxy, true);
	struct df_task *task = df_task_start(t->st, write_main, m);

	nanosleep(&a_moment, NULL);
	return task;
}

/* It has ended, and nothing was confirmed. */
static void expect_none(struct through *t, struct writing *m, int code, const struct df_error *err, const char *what)
{
	for (size_t i = 0; i < ROWS; i++)
		df_rule_check(t->st, df_write_result(&m->w->w, i), "%s, and message %zu was confirmed", what, i);
	df_rule_check(t->st, code >= 0 || code == DF_ERR_CANCELED || code == DF_ERR_CLOSED || df_code_retryable(code),
		      "%s, and the write failed with %s", what, df_rule_error(t->st, err));
}

static void cancel_stalled(struct df_stage *st)
{
	struct through *t = begin(st);
	struct df_error err = DF_ERROR_INIT;
	struct writing m;
	struct df_task *task = write_stalled(t, &m);

	df_context_cancel(m.ctx);
	int code = df_task_end(st, task, df_soon_ns(st), "a write to a silent server, cancelled,", &err);

	expect_none(t, &m, code, &err, "a write to a silent server was cancelled");
	end_sink(t, m.s);
}

static void close_stalled(struct df_stage *st)
{
	struct through *t = begin(st);
	struct df_error err = DF_ERROR_INIT;
	struct writing m;
	struct df_task *task = write_stalled(t, &m);

	(void)df_instance_close(st, &(struct df_instance){ .kind = DF_SINK, .sink = m.s }, &err);
	if (!df_task_wait(task, DF_FORGOTTEN_NS) && m.s->ops->max_in_flight > 1)
		df_context_cancel(m.ctx); /* close may have forgotten what was pending: nobody waits for it then */
	int code = df_task_end(st, task, df_soon_ns(st), "a write to a silent server, whose sink was closed,", &err);

	expect_none(t, &m, code, &err, "the sink was closed during a write to a silent server");
	df_sink_free(m.s);
}

/* ---- back-pressure ----------------------------------------------------------------------------------------- */

#define SLOW_ROWS 128
#define SLOW_NAME 4096
#define SLOW_BYTES ((size_t)SLOW_ROWS * SLOW_NAME)
#define SLOW_FREE ((size_t)8 << 20) /* what libraries and the allocator may keep beside */
#define SLOW_RATE ((uint64_t)16 << 20)

static const char *const *slow_rows(struct df_stage *st)
{
	const char **rows = df_arena_alloc(st->arena, SLOW_ROWS * sizeof(*rows));
	char *name = df_arena_alloc(st->arena, SLOW_NAME + 1);

	df_rule_check(st, rows && name, "out of memory");
	memset(name, 'x', SLOW_NAME);
	name[SLOW_NAME] = '\0';
	for (int i = 0; i < SLOW_ROWS; i++)
		rows[i] = df_rule_text(st, "{\"id\":%d,\"name\":\"%s\"}", 1 + i, name);
	return rows;
}

static void write_slow(struct df_stage *st, struct df_sink *s, const char *const *rows)
{
	struct df_stage_write w;
	struct df_error err = DF_ERROR_INIT;

	df_stage_write_init(st, &w, rows, SLOW_ROWS);
	df_rule_ok(st, df_stage_write_run(st, s, &w, WRITE_NS, &err), &err, "a write to a slow server");
	for (size_t i = 0; i < SLOW_ROWS; i++) {
		const struct df_error *why = df_write_result(&w.w, i);

		df_rule_check(st, !why, "a write to a slow server fails: %s", df_rule_error(st, why));
	}
	df_stage_write_done(&w);
}

/*
 * Writes twice as many bytes as memory may grow by: four times the bytes that the sink declares to have on their way (a
 * document, its text, a statement, a library's copy), and SLOW_FREE. A sink that takes everything without waiting for
 * the server exceeds it.
 */
static void slow(struct df_stage *st)
{
	struct through *t = begin(st);
	struct df_sink *s = ready_sink(t);
	const char *const *rows = slow_rows(st);
	size_t flights = s->ops->max_in_flight > 1 ? (size_t)s->ops->max_in_flight : 1;
	size_t bound = SLOW_FREE + 4 * flights * SLOW_BYTES, most = 0;
	struct df_footprint before, now;

	for (int i = 0; i < 4; i++) /* buffers have their size, libraries are loaded */
		write_slow(st, s, rows);
	df_stage_footprint(&before);
	df_proxy_rate(t->proxy, SLOW_RATE);
	for (size_t written = 0; written < 2 * bound; written += SLOW_BYTES) {
		write_slow(st, s, rows);
		df_stage_footprint(&now);
		if (now.resident_bytes > before.resident_bytes + most)
			most = now.resident_bytes - before.resident_bytes;
	}
	df_proxy_rate(t->proxy, 0);
	df_rule_check(st, most <= bound,
		      "%zu MiB were written to a slow server, and memory grew by %zu KiB; %zu MiB are enough",
		      2 * bound >> 20, most >> 10, bound >> 20);
	df_rule_note(st, "%zu MiB written, memory grew by %zu KiB", 2 * bound >> 20, most >> 10);
	end_sink(t, s);
}

#define NEEDS (DF_NEEDS_SINK | DF_NEEDS_DUMP | DF_NEEDS_NAME | DF_NEEDS_ADDRESS)

const struct df_conformance_rule df_rules_sink_faults[] = {
	{ "sink.cut-request", "A connection that is closed within a write confirms nothing that is not there.", NEEDS,
	  300, cut_request },
	{ "sink.reset-request", "A connection that is reset within a write confirms nothing that is not there.", NEEDS,
	  300, reset_request },
	{ "sink.cut-answer", "Without the server's answer nothing is confirmed that is not there.", NEEDS, 300,
	  cut_answer },
	{ "sink.reset-answer", "A reset instead of the server's answer confirms nothing that is not there.", NEEDS, 300,
	  reset_answer },
	{ "sink.cut-between", "A connection that is lost between two writes costs no message.", NEEDS, 300,
	  cut_between },
	{ "sink.restart", "A restart of the server between two writes costs no message.", NEEDS | DF_NEEDS_RESTART, 300,
	  restart },
	{ "sink.corrupt-request", "A corrupted byte on the way to the server costs no row without a word.", NEEDS, 300,
	  corrupt_request },
	{ "sink.corrupt-answer", "A corrupted byte of the server's answer confirms nothing that is not there.", NEEDS,
	  300, corrupt_answer },
	{ "sink.delayed", "Over a slow connection a write succeeds.", NEEDS, 300, delayed },
	{ "sink.stalled", "A write to a silent server ends with its deadline, and confirms nothing.", NEEDS, 300,
	  stalled },
	{ "sink.cancel-stalled", "A write to a silent server ends soon when it is cancelled.", NEEDS, 300,
	  cancel_stalled },
	{ "sink.close-stalled", "A write to a silent server ends soon when the sink is closed.", NEEDS, 300,
	  close_stalled },
	{ "sink.slow", "While the server is slow, memory stays bounded.", NEEDS, 300, slow },
	{ 0 },
};

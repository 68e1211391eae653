/* close while something is going on: it returns within a second, and so does what it interrupts. */
#include <stdatomic.h>
#include <string.h>

#include "conformance/instance.h"
#include "conformance/proxy.h"

#define SIDE(kind) df_component_kind_name(kind)
#define SETTLE_NS (300 * DF_NS_PER_MS) /* until an operation waits for the other side */
#define ROWS_NS (20 * DF_NS_PER_S)     /* until the first rows came */
#define ROWS_TO_COME 5000

static void pass_time(int64_t ns)
{
	if (df_context_sleep(NULL, ns) < 0)
		return;
}

/* What an operation may say that close interrupted. */
static bool is_interrupted(int code)
{
	return code == DF_ERR_CANCELED || code == DF_ERR_CLOSED;
}

static void check_interrupted(struct df_stage *st, const char *what, int code, const struct df_error *err)
{
	df_rule_check(st, is_interrupted(code),
		      "%s that close interrupted: expected the code DF_ERR_CANCELED or DF_ERR_CLOSED, saw %s%s%s", what,
		      code == 0 ? "success" : df_code_name(code), code ? ": " : "", code ? err->text : "");
}

static void must_close(struct df_stage *st, struct df_instance *i)
{
	struct df_error err = DF_ERROR_INIT;

	df_rule_ok(st, df_instance_close(st, i, &err), &err,
		   i->kind == DF_SOURCE ? "close of the source" : "close of the sink");
}

/* ---- connect --------------------------------------------------------------------------------------------- */

struct connecting {
	struct df_stage *st;
	struct df_instance *i;
	struct df_context *ctx;
};

static int connect_main(void *arg, struct df_error *err)
{
	struct connecting *c = arg;

	return df_instance_connect(c->st, c->i, c->ctx, err);
}

#define RACES 20

/* close comes a little later each time. */
static const char *close_during_connect_side(struct df_stage *st, enum df_component_kind kind)
{
	for (int n = 0; n < RACES; n++) {
		struct df_instance i = df_instance_new(st, kind, true);
		struct connecting connecting = { st, &i, NULL };
		struct df_task *t = df_task_start(st, connect_main, &connecting);
		struct df_error err = DF_ERROR_INIT;
		int r;

		pass_time((int64_t)n * n * 20 * 1000);
		must_close(st, &i);
		r = df_task_end(st, t, df_soon_ns(st), "connect that close interrupted", &err);
		if (r != 0)
			check_interrupted(st, "connect", r, &err);
		r = df_instance_connect(st, &i, NULL, &err);
		df_rule_check(st, r == DF_ERR_CLOSED,
			      "%s: connect after close came during connect: expected DF_ERR_CLOSED, saw %s", SIDE(kind),
			      r == 0 ? "success" : df_code_name(r));
		df_instance_free(&i);
	}
	return NULL;
}

static void close_during_connect(struct df_stage *st)
{
	df_each_side(st, close_during_connect_side);
}

/* A connect that waits for a server which says nothing; NULL: it does not wait for it. */
static struct df_task *start_waiting_connect(struct df_stage *st, struct connecting *c)
{
	struct df_task *t = df_task_start(st, connect_main, c);

	if (!df_task_wait(t, SETTLE_NS))
		return t;
	df_task_end(st, t, df_soon_ns(st), "connect", NULL);
	df_instance_free(c->i);
	return NULL;
}

static const char *const does_not_wait = "connect does not wait for the server";

static const char *close_silent_connect_side(struct df_stage *st, enum df_component_kind kind)
{
	struct df_instance i;
	struct connecting c = { st, &i, NULL };
	struct df_error err = DF_ERROR_INIT;
	struct df_task *t;

	df_stage_address(st, df_silent_address(st));
	i = df_instance_new(st, kind, true);
	t = start_waiting_connect(st, &c);
	if (!t)
		return does_not_wait;
	must_close(st, &i);
	check_interrupted(st, "connect", df_task_end(st, t, df_soon_ns(st), "connect that close interrupted", &err),
			  &err);
	df_instance_free(&i);
	return NULL;
}

static void close_silent_connect(struct df_stage *st)
{
	df_each_side(st, close_silent_connect_side);
}

static const char *cancel_connect_side(struct df_stage *st, enum df_component_kind kind)
{
	struct df_instance i;
	struct connecting c = { st, &i, df_context_new(NULL) };
	struct df_error err = DF_ERROR_INIT;
	struct df_task *t;
	int r;

	df_rule_check(st, c.ctx, "the suite is out of memory");
	df_stage_address(st, df_silent_address(st));
	i = df_instance_new(st, kind, true);
	t = start_waiting_connect(st, &c);
	if (!t)
		return does_not_wait;
	df_context_cancel(c.ctx);
	r = df_task_end(st, t, df_soon_ns(st), "connect whose context was cancelled", &err);
	df_rule_check(st, r == DF_ERR_CANCELED,
		      "%s: connect whose context was cancelled: expected DF_ERR_CANCELED, saw %s%s%s", SIDE(kind),
		      r == 0 ? "success" : df_code_name(r), r ? ": " : "", r ? err.text : "");
	df_instance_free(&i);
	df_context_free(c.ctx);
	return NULL;
}

static void cancel_connect(struct df_stage *st)
{
	df_each_side(st, cancel_connect_side);
}

#define DEADLINE_NS (600 * DF_NS_PER_MS)

static const char *connect_deadline_side(struct df_stage *st, enum df_component_kind kind)
{
	struct df_instance i;
	struct connecting c = { st, &i, df_context_new(NULL) };
	struct df_error err = DF_ERROR_INIT;
	struct df_task *t;
	int r;

	df_rule_check(st, c.ctx, "the suite is out of memory");
	df_stage_address(st, df_silent_address(st));
	i = df_instance_new(st, kind, true);
	df_context_deadline(c.ctx, df_clock_monotonic() + DEADLINE_NS);
	t = start_waiting_connect(st, &c);
	if (!t)
		return does_not_wait;
	r = df_task_end(st, t, DEADLINE_NS + df_soon_ns(st), "connect whose context has a deadline in 0.6 s", &err);
	df_rule_check(st, r == DF_ERR_TIMEOUT || r == DF_ERR_CONNECTION || r == DF_ERR_CANCELED,
		      "%s: connect whose deadline passed: expected DF_ERR_TIMEOUT, saw %s%s%s", SIDE(kind),
		      r == 0 ? "success" : df_code_name(r), r ? ": " : "", r ? err.text : "");
	df_instance_free(&i);
	df_context_free(c.ctx);
	return NULL;
}

static void connect_deadline(struct df_stage *st)
{
	df_each_side(st, connect_deadline_side);
}

/* ---- read ------------------------------------------------------------------------------------------------ */

/* A source that waits for more than there is. */
static struct df_reading *start_waiting_read(struct df_stage *st, struct df_collector *c, struct df_instance *i)
{
	struct df_reading *r = df_reading_start(st, c, i->source);
	struct df_error err = DF_ERROR_INIT;
	int code;

	if (df_can_feed(st) && !df_reading_await(r, c->block_after ? c->block_after : 1, ROWS_NS))
		df_rule_fail(st, "nothing was read within %.0f s", (double)ROWS_NS / (double)DF_NS_PER_S);
	if (!df_reading_await(r, SIZE_MAX, SETTLE_NS))
		return r;
	code = df_reading_finish(r, df_soon_ns(st), &err);
	df_rule_ok(st, code, &err, "read");
	df_rule_not_applicable(st, "the source ends by itself");
}

static void interrupt_read(struct df_stage *st, struct df_reading *r, struct df_instance *i)
{
	struct df_error err = DF_ERROR_INIT;

	must_close(st, i);
	check_interrupted(st, "read", df_reading_finish(r, df_soon_ns(st), &err), &err);
	df_instance_free(i);
}

static void close_during_read(struct df_stage *st)
{
	struct df_collector *c = df_collector_new(st);
	struct df_instance i;

	df_prepare_rows(st);
	i = df_instance_connected(st, DF_SOURCE, false);
	interrupt_read(st, start_waiting_read(st, c, &i), &i);
	df_collector_free(c);
}

/* Downstream is full, and stays so. */
static void close_during_emit(struct df_stage *st)
{
	struct df_collector *c = df_collector_new(st);
	struct df_instance i;

	c->emitter.batch_messages = 1;
	c->block_after = 1;
	df_prepare_rows(st);
	i = df_instance_connected(st, DF_SOURCE, false);
	interrupt_read(st, start_waiting_read(st, c, &i), &i);
	df_rule_check(st, c->messages == 1,
		      "the source emitted %zu messages, although downstream was full after the first and its context "
		      "was cancelled",
		      c->messages);
	df_collector_free(c);
}

/* Rows come one after the other, so that close meets read wherever it is; what read uses must not be gone before it has
 * ended. */
static void close_among_rows(struct df_stage *st)
{
	df_stage_feed(st, 1, ROWS_TO_COME);
	for (int n = 0; n < RACES; n++) {
		struct df_collector *c = df_collector_new(st);
		struct df_instance i = df_instance_connected(st, DF_SOURCE, true);
		struct df_reading *r = df_reading_start(st, c, i.source);
		struct df_error err = DF_ERROR_INIT;
		int code;

		if (!df_reading_await(r, 1, ROWS_NS))
			df_rule_fail(st, "nothing was read within %.0f s", (double)ROWS_NS / (double)DF_NS_PER_S);
		pass_time((int64_t)n * n * 20 * 1000);
		must_close(st, &i);
		code = df_reading_finish(r, df_soon_ns(st), &err);
		if (code != 0)
			check_interrupted(st, "read", code, &err);
		df_instance_free(&i);
		df_collector_free(c);
	}
}

/* ---- write ----------------------------------------------------------------------------------------------- */

#define ROWS_A_WRITE 1000

struct writing {
	struct df_stage *st;
	struct df_sink *sink;
	struct df_context *ctx;
	size_t most;	       /* writes */
	atomic_size_t started; /* writes */
	atomic_bool pending;   /* the sink gave no results yet, and they are waited for */
};

static int write_once(struct writing *w, int64_t first, struct df_error *err)
{
	struct df_stage_write write;
	int r;

	df_stage_write_rows(w->st, &write, first, ROWS_A_WRITE);
	atomic_fetch_add(&w->started, 1);
	r = df_write_start(w->sink, w->ctx, &write.w, err);
	if (r == DF_WRITE_PENDING) {
		atomic_store(&w->pending, true);
		r = df_write_finish(&write.w, w->ctx, err);
		atomic_store(&w->pending, false);
	}
	/* One that failed lives until the rule ends: results may still come. */
	if (r == 0)
		df_stage_write_done(&write);
	return r < 0 ? r : 0;
}

static int write_main(void *arg, struct df_error *err)
{
	struct writing *w = arg;
	int r = 0;

	for (size_t n = 0; r == 0 && n < w->most; n++)
		r = write_once(w, (int64_t)(1 + n * ROWS_A_WRITE), err);
	return r;
}

/* Results that will not come any more are waited for until the context ends. */
static void interrupt_write(struct df_stage *st, struct df_task *t, struct writing *w, struct df_instance *i)
{
	struct df_error err = DF_ERROR_INIT;
	int r;

	must_close(st, i);
	if (!df_task_wait(t, DF_FORGOTTEN_NS) && atomic_load(&w->pending))
		df_context_cancel(w->ctx);
	r = df_task_end(st, t, df_soon_ns(st), "write that close interrupted", &err);
	check_interrupted(st, "write", r, &err);
	df_instance_free(i);
}

static void close_during_write(struct df_stage *st)
{
	for (int n = 0; n < 5; n++) {
		struct df_instance i = df_instance_connected(st, DF_SINK, true);
		struct writing w = { .st = st, .sink = i.sink, .ctx = df_context_new(NULL), .most = SIZE_MAX };
		struct df_task *t;

		df_rule_check(st, w.ctx, "the suite is out of memory");
		t = df_task_start(st, write_main, &w);
		while (atomic_load(&w.started) == 0 && !df_task_wait(t, DF_NS_PER_MS))
			;
		pass_time((int64_t)n * 7 * DF_NS_PER_MS);
		interrupt_write(st, t, &w, &i);
		df_context_free(w.ctx);
	}
}

/* ---- a server that falls silent -------------------------------------------------------------------------- */

static const char *silent_source(struct df_stage *st, struct df_proxy *p)
{
	struct df_instance i = df_instance_connected(st, DF_SOURCE, false);
	struct df_collector *c = df_collector_new(st);
	struct df_reading *r = start_waiting_read(st, c, &i);

	df_proxy_stall(p, true);
	pass_time(SETTLE_NS);
	interrupt_read(st, r, &i);
	df_collector_free(c);
	return NULL;
}

static const char *silent_sink(struct df_stage *st, struct df_proxy *p)
{
	struct df_instance i = df_instance_connected(st, DF_SINK, true);
	struct writing w = { .st = st, .sink = i.sink, .ctx = df_context_new(NULL), .most = 1 };
	struct df_task *t;

	df_rule_check(st, w.ctx, "the suite is out of memory");
	df_rule_ok(st, write_main(&w, NULL), NULL, "a write before the server fell silent");
	df_proxy_stall(p, true);
	w.most = SIZE_MAX;
	t = df_task_start(st, write_main, &w);
	pass_time(SETTLE_NS);
	interrupt_write(st, t, &w, &i);
	df_context_free(w.ctx);
	return NULL;
}

static const char *close_when_silent_side(struct df_stage *st, enum df_component_kind kind)
{
	struct df_proxy *p = df_proxy_start(st);
	const char *why = kind == DF_SOURCE ? silent_source(st, p) : silent_sink(st, p);

	df_proxy_stall(p, false);
	df_stage_address(st, NULL);
	return why;
}

static void close_when_silent(struct df_stage *st)
{
	df_each_side(st, close_when_silent_side);
}

/* ---- rows ------------------------------------------------------------------------------------------------ */

const struct df_conformance_rule df_rules_lifecycle_busy[] = {
	{ "lifecycle.close-during-connect", "close during connect returns within 1 s, and so does connect.", 0, 0,
	  close_during_connect },
	{ "lifecycle.close-during-silent-connect",
	  "close during a connect to a server that never answers returns within 1 s, and so does connect.",
	  DF_NEEDS_ADDRESS, 0, close_silent_connect },
	{ "lifecycle.cancel-connect", "connect returns within 1 s after its context was cancelled.", DF_NEEDS_ADDRESS,
	  0, cancel_connect },
	{ "lifecycle.connect-deadline", "connect returns within 1 s after its context's deadline.", DF_NEEDS_ADDRESS, 0,
	  connect_deadline },
	{ "lifecycle.close-during-read", "close while read waits for more returns within 1 s, and so does read.",
	  DF_NEEDS_SOURCE, 0, close_during_read },
	{ "lifecycle.close-among-rows", "close while rows come returns within 1 s, and so does read.",
	  DF_NEEDS_SOURCE | DF_NEEDS_FEED, 120, close_among_rows },
	{ "lifecycle.close-during-emit", "close while downstream is full returns within 1 s, and so does read.",
	  DF_NEEDS_SOURCE | DF_NEEDS_FEED, 0, close_during_emit },
	{ "lifecycle.close-during-write", "close during write returns within 1 s, and so does write.", DF_NEEDS_SINK, 0,
	  close_during_write },
	{ "lifecycle.close-when-silent",
	  "close returns within 1 s when the server fell silent in the middle of a read or a write, and so do they.",
	  DF_NEEDS_ADDRESS, 0, close_when_silent },
	{ 0 },
};

/*
 * Rules on a source whose connection breaks, through the proxy: read ends with an error that asks for another try, or
 * goes on by itself; never with an end that looks like the last row. The next instance goes on without a loss.
 */
#include "conformance/proxy.h"
#include "conformance/reader.h"

#define NAME_BYTES 500
#define COME_NS (60 * DF_NS_PER_S) /* a group waits for its members */
#define BOUND_NS (40 * DF_NS_PER_S)
#define STALL_NS (2 * DF_NS_PER_S)

/* ---- a read through the proxy ------------------------------------------------------------------------------ */

struct through {
	struct df_stage *st;
	struct df_proxy *proxy;
	size_t rows;
	uint64_t bytes; /* that the server sends for all of them */
	bool endless;
	bool *seen; /* by id - 1: some instance has read it */
};

/* Rows 1 .. n whose names make them NAME_BYTES long. */
static void feed_long_rows(struct df_stage *st, size_t n)
{
	const char **rows = df_arena_alloc(st->arena, n * sizeof(*rows));
	char filling[NAME_BYTES + 1];

	df_rule_check(st, rows, "out of memory");
	memset(filling, 'x', NAME_BYTES);
	filling[NAME_BYTES] = '\0';
	for (size_t i = 0; i < n; i++)
		rows[i] = df_rule_text(st, "{\"id\":%zu,\"name\":\"row %zu %s\"}", i + 1, i + 1, filling);
	df_stage_feed_rows(st, rows, n);
}

/* A row's id; -1: it could not be decoded, or has none. */
static int64_t id_of(struct df_stage *st, const struct df_message *m)
{
	struct df_message copy = *m;
	struct df_value *row = NULL;
	int64_t id;

	if (m->failure || df_message_document(&copy, st->arena, &row, NULL) != 0)
		return -1;
	return df_value_to_int64(df_object_get_c(row, "id"), &id) ? id : -1;
}

/* Returns how many rows are not among those read so far. */
static size_t note_rows(struct through *t, struct df_collector *c)
{
	size_t missing = 0;

	for (const struct df_batch *b = c->first; b; b = b->next) {
		for (size_t i = 0; i < b->count; i++) {
			int64_t id = id_of(t->st, &b->messages[i]);

			if (id >= 1 && id <= (int64_t)t->rows)
				t->seen[id - 1] = true;
		}
	}
	for (size_t i = 0; i < t->rows; i++)
		missing += !t->seen[i];
	return missing;
}

/* Waits until read has ended, or has read all. *ret_hangs: neither, within BOUND_NS. */
static int await_end(struct through *t, struct df_collector *c, struct df_reading *r, bool *ret_hangs,
		     struct df_error *err)
{
	*ret_hangs = !df_reading_await(r, t->rows, BOUND_NS);
	if (!*ret_hangs && c->messages < t->rows)
		return df_reading_finish(r, df_soon_ns(t->st), err);
	if (*ret_hangs || t->endless)
		return df_reading_stop(r, df_soon_ns(t->st), err);
	return df_reading_finish(r, BOUND_NS, err);
}

/* Feeds the rows, and reads them once to see what goes through the proxy. */
static struct through *begin(struct df_stage *st, size_t rows)
{
	struct through *t = df_arena_zalloc(st->arena, sizeof(*t));
	struct df_component *component = NULL;
	struct df_diags diags = { 0 };

	df_rule_check(st, t && df_stage_parse(st, DF_SOURCE, NULL, &component, &diags), "out of memory");
	feed_long_rows(st, rows);
	*t = (struct through){ .st = st, .rows = rows, .endless = component->type->scales_out };
	t->seen = df_arena_zalloc(st->arena, rows);
	df_rule_check(st, t->seen, "out of memory");
	t->proxy = df_proxy_start(st);
	struct df_source *s = df_reader_at(st, NULL);
	struct df_collector *c = df_collector_new(st);
	uint64_t before = df_proxy_bytes(t->proxy, false);

	df_reader_read(st, c, s, rows);
	t->bytes = df_proxy_bytes(t->proxy, false) - before;
	df_rule_check(st, note_rows(t, c) == 0, "not all rows were read through the proxy");
	memset(t->seen, 0, rows);
	df_source_free(s);
	df_collector_free(c);
	if (t->bytes < rows)
		df_rule_not_applicable(st, "what is read does not come from {address}: %llu bytes for %zu rows",
				       (unsigned long long)t->bytes, rows);
	return t;
}

/* What the fault has left goes on without it. */
static void go_on(struct through *t, struct df_source *s, struct df_collector *c, const char *what)
{
	size_t boundary = df_reader_boundary(c, c->messages);
	const char *checkpoint = df_collector_commit(t->st, c, s, 0, boundary);
	size_t left = note_rows(t, c);

	df_instance_end(t->st, &(struct df_instance){ .kind = DF_SOURCE, .source = s });
	df_proxy_cut_after(t->proxy, false, UINT64_MAX, false);
	df_proxy_corrupt_after(t->proxy, false, UINT64_MAX);
	struct df_collector *rest = df_reader_rest(t->st, checkpoint, left);

	df_rule_check(
		t->st, note_rows(t, rest) == 0,
		"%s; %zu rows were read, and the next instance, which goes on from %s, reads %zu: rows are missing",
		what, c->messages, checkpoint, rest->messages);
	df_collector_free(rest);
	df_collector_free(c);
	memset(t->seen, 0, t->rows);
}

/* ---- the connection ends ----------------------------------------------------------------------------------- */

/* read has ended with code: that is an error that asks for another try, or all rows are there. */
static void judge(struct through *t, struct df_collector *c, int code, const struct df_error *err, bool hangs,
		  const char *what)
{
	df_rule_check(t->st, !hangs, "%s, and read had neither failed nor gone on after %.0f s, with %zu of %zu rows",
		      what, (double)BOUND_NS / (double)DF_NS_PER_S, c->messages, t->rows);
	if (code == 0 || (t->endless && code == DF_ERR_CANCELED)) {
		df_rule_check(t->st, note_rows(t, c) == 0, "%s, and read returned as if %zu of %zu rows were all", what,
			      c->messages, t->rows);
		return;
	}
	df_rule_check(t->st, df_code_retryable(code),
		      "%s, and read failed with an error that asks for no other try: %s", what,
		      df_rule_error(t->st, err));
}

/* Cut where so many thousandths of the bytes have come. */
static void cut_at(struct through *t, unsigned thousandths, bool reset)
{
	const char *what = df_rule_text(t->st, "the connection was %s after %u/1000 of what the server sends",
					reset ? "reset" : "closed", thousandths);
	struct df_source *s = df_reader_at(t->st, NULL);
	struct df_collector *c = df_collector_new(t->st);
	struct df_error err = DF_ERROR_INIT;
	bool hangs;

	df_proxy_cut_after(t->proxy, false, t->bytes * thousandths / 1000, reset);
	int code = await_end(t, c, df_reading_start(t->st, c, s), &hangs, &err);

	judge(t, c, code, &err, hangs, what);
	go_on(t, s, c, what);
	df_rule_note(t->st, "at %u/1000: %s", thousandths, code == 0 ? "went on" : df_code_name(code));
}

static const unsigned places[] = { 0, 10, 500, 950 };

static void cut(struct df_stage *st)
{
	struct through *t = begin(st, 2000);

	for (size_t i = 0; i < DF_ARRAY_SIZE(places); i++)
		cut_at(t, places[i], false);
}

static void reset(struct df_stage *st)
{
	struct through *t = begin(st, 2000);

	for (size_t i = 0; i < DF_ARRAY_SIZE(places); i++)
		cut_at(t, places[i], true);
}

/* One bit of what the server sends is another one. A row may be changed by that, and no protocol need notice; but no
 * row may be lost without a word, and read must end. */
static void corrupted(struct df_stage *st)
{
	struct through *t = begin(st, 2000);

	for (size_t i = 1; i < DF_ARRAY_SIZE(places); i++) {
		struct df_source *s = df_reader_at(st, NULL);
		struct df_collector *c = df_collector_new(st);
		struct df_error err = DF_ERROR_INIT;
		bool hangs;

		df_proxy_corrupt_after(t->proxy, false, t->bytes * places[i] / 1000);
		int code = await_end(t, c, df_reading_start(st, c, s), &hangs, &err);

		df_rule_check(st, code != 0 || c->messages + 1 >= t->rows,
			      "a byte from the server was corrupted, and read returned as if %zu of %zu rows were all",
			      c->messages, t->rows);
		df_rule_note(st, "at %u/1000: %s", places[i],
			     hangs	 ? "waited until it was cancelled"
			     : code == 0 ? "not noticed"
					 : df_code_name(code));
		if (code == 0) { /* that row is changed, and counts as read */
			df_source_free(s);
			df_collector_free(c);
			memset(t->seen, 0, t->rows);
		} else {
			go_on(t, s, c, "a byte from the server was corrupted");
		}
	}
}

/* Another connection, or all of them, while read waits for downstream. */
static void restart(struct df_stage *st)
{
	struct through *t = begin(st, 2000);
	struct df_source *s = df_reader_at(st, NULL);
	struct df_collector *c = df_collector_new(st);
	struct df_error err = DF_ERROR_INIT;
	bool hangs;

	c->block_after = 200;
	struct df_reading *r = df_reading_start(st, c, s);

	df_rule_check(st, df_reading_await(r, 200, COME_NS), "of 2000 rows only %zu came within 60 s", c->messages);
	df_stage_restart(st);
	pthread_mutex_lock(&c->lock);
	c->block_after = 0;
	pthread_cond_broadcast(&c->changed);
	pthread_mutex_unlock(&c->lock);
	int code = await_end(t, c, r, &hangs, &err);

	judge(t, c, code, &err, hangs, "the server was restarted");
	go_on(t, s, c, "the server was restarted");
}

/* ---- the connection is slow, or silent --------------------------------------------------------------------- */

static void delayed(struct df_stage *st)
{
	struct through *t = begin(st, 500);
	struct df_collector *c;

	df_proxy_delay(t->proxy, 30 * DF_NS_PER_MS);
	c = df_reader_rest(st, NULL, t->rows);
	df_rule_check(st, note_rows(t, c) == 0, "over a slow connection %zu of %zu rows were read", c->messages,
		      t->rows);
}

/* Reads until downstream is full, lets nothing more through, and lets read go on. */
static struct df_reading *read_stalled(struct through *t, struct df_collector *c, struct df_source **ret_s)
{
	*ret_s = df_reader_at(t->st, NULL);
	c->emitter.batch_messages = 20;
	c->block_after = 20;
	struct df_reading *r = df_reading_start(t->st, c, *ret_s);

	df_rule_check(t->st, df_reading_await(r, 20, COME_NS), "of %zu rows only %zu came within 60 s", t->rows,
		      c->messages);
	df_proxy_stall(t->proxy, true);
	pthread_mutex_lock(&c->lock);
	c->block_after = 0;
	pthread_cond_broadcast(&c->changed);
	pthread_mutex_unlock(&c->lock);
	return r;
}

static void stalled(struct df_stage *st)
{
	struct through *t = begin(st, 8000);
	struct df_collector *c = df_collector_new(st);
	struct df_error err = DF_ERROR_INIT;
	struct df_source *s;
	struct df_reading *r = read_stalled(t, c, &s);
	bool ended = df_reading_await(r, t->rows, STALL_NS);
	int code = df_reading_stop(r, df_soon_ns(st), &err);

	df_rule_check(st, code != 0 || note_rows(t, c) == 0,
		      "the server was silent in mid-read, and read returned as if %zu of %zu rows were all",
		      c->messages, t->rows);
	df_rule_check(st, code == 0 || code == DF_ERR_CANCELED || df_code_retryable(code),
		      "the server was silent, and read failed with an error that asks for no other try: %s",
		      df_rule_error(st, &err));
	df_rule_note(st, ended && code != 0 ? "read gave up"
			 : code		    ? "read waited until it was cancelled"
					    : "all was read");
	df_proxy_stall(t->proxy, false);
	go_on(t, s, c, "the server was silent");
}

static void close_stalled(struct df_stage *st)
{
	struct through *t = begin(st, 8000);
	struct df_collector *c = df_collector_new(st);
	struct df_error err = DF_ERROR_INIT;
	struct df_source *s;
	struct df_reading *r = read_stalled(t, c, &s);

	(void)df_reading_await(r, t->rows, STALL_NS / 4);
	(void)df_instance_close(st, &(struct df_instance){ .kind = DF_SOURCE, .source = s }, &err);
	int code = df_reading_finish(r, df_soon_ns(st), &err);

	df_rule_check(
		st, code != 0 || note_rows(t, c) == 0,
		"the source was closed while the server was silent, and read returned as if %zu of %zu rows were all",
		c->messages, t->rows);
	df_source_free(s);
}

struct committing {
	struct df_stage *st;
	struct df_collector *c;
	struct df_source *s;
	size_t n;
};

static int commit_main(void *arg, struct df_error *err)
{
	const struct committing *m = arg;

	(void)err;
	(void)df_collector_commit(m->st, m->c, m->s, 0, m->n);
	return 0;
}

static void commit_stalled(struct df_stage *st)
{
	struct through *t = begin(st, 500);
	struct df_collector *c = df_collector_new(st);
	struct df_error err = DF_ERROR_INIT;
	struct df_source *s;
	struct df_reading *r = read_stalled(t, c, &s);
	struct committing m = { st, c, s, df_reader_boundary(c, 20) };

	(void)df_task_end(st, df_task_start(st, commit_main, &m), df_soon_ns(st),
			  "commit, while the server was silent,", &err);
	(void)df_reading_stop(r, df_soon_ns(st), &err);
	(void)df_instance_close(st, &(struct df_instance){ .kind = DF_SOURCE, .source = s }, &err);
	df_source_free(s);
}

#define NEEDS (DF_NEEDS_SOURCE | DF_NEEDS_FEED | DF_NEEDS_NAME | DF_NEEDS_ADDRESS)

const struct df_conformance_rule df_rules_source_faults[] = {
	{ "source.cut", "A connection that the other side closes in mid-read is an error, and nothing is lost.", NEEDS,
	  300, cut },
	{ "source.reset", "A connection that is reset in mid-read is an error, and nothing is lost.", NEEDS, 300,
	  reset },
	{ "source.corrupted", "A corrupted byte in mid-read loses no row without a word, and does not crash.", NEEDS,
	  300, corrupted },
	{ "source.restart", "A server that is restarted in mid-read is an error, and nothing is lost.",
	  NEEDS | DF_NEEDS_RESTART, 300, restart },
	{ "source.delayed", "Over a slow connection all rows are read.", NEEDS, 300, delayed },
	{ "source.stalled",
	  "While the server is silent in mid-read, read ends when it is cancelled, and nothing is lost.", NEEDS, 300,
	  stalled },
	{ "source.close-stalled", "While the server is silent in mid-read, close returns soon, and read with it.",
	  NEEDS, 300, close_stalled },
	{ "source.commit-stalled", "commit does not wait for a server that is silent.", NEEDS, 300, commit_stalled },
	{ 0 },
};

/* Rules on what a source emits. */
#include "conformance/reader.h"

#define ROWS 200
#define COME_NS (30 * DF_NS_PER_S)

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
		df_rule_ok(st, df_reading_finish(r, df_soon_ns(st), &err), &err, "read");
		df_reader_rows(st, c, &seen);
		df_rows_check(st, &seen, 1, 50, NULL, false, "rows that were there when read began");
		df_rule_not_applicable(st, "the source ends, it does not wait for more rows");
	}
	(void)df_reading_await(r, 201, 300 * DF_NS_PER_MS);
	int code = df_reading_stop(r, df_soon_ns(st), &err);

	df_rule_check(st, code == DF_ERR_CANCELED, "read, cancelled, returned %s",
		      code == 0 ? "0" : df_rule_error(st, &err));
	df_reader_rows(st, c, &seen);
	df_rows_check(st, &seen, 1, 200, NULL, false, "a store that grew three times while it was read");
	df_source_free(s);
}

/* ---- back-pressure ----------------------------------------------------------------------------------------- */

#define WIDE_NAME 4096
#define WIDE_ROWS ((size_t)32 * 1024)
#define WIDE_FREE ((size_t)64 << 20) /* what a source may read ahead: half of the rows */

static void feed_wide(struct df_stage *st)
{
	const char **rows = df_arena_alloc(st->arena, WIDE_ROWS * sizeof(*rows));
	char name[WIDE_NAME + 1];

	df_rule_check(st, rows, "out of memory");
	memset(name, 'x', WIDE_NAME);
	name[WIDE_NAME] = '\0';
	for (size_t i = 0; i < WIDE_ROWS; i++)
		rows[i] = df_rule_text(st, "{\"id\":%zu,\"name\":\"%s\"}", i + 1, name);
	df_stage_feed_rows(st, rows, WIDE_ROWS);
}

static void backpressure(struct df_stage *st)
{
	const struct timespec a_while = { .tv_sec = 2 };
	struct df_collector *c = small_batches(st);
	struct df_error err = DF_ERROR_INIT;
	struct df_footprint before, now;

	if (st->quick)
		df_rule_not_applicable(st, "it takes a store of 128 MiB, which is too much for --quick");
	feed_wide(st);
	struct df_source *s = df_reader_at(st, NULL);

	c->block_after = 10;
	df_stage_footprint(&before);
	struct df_reading *r = df_reading_start(st, c, s);

	df_rule_check(st, df_reading_await(r, 10, 2 * COME_NS), "of the rows only %zu came within 60 s", c->messages);
	nanosleep(&a_while, NULL);
	df_stage_footprint(&now);
	(void)df_reading_stop(r, df_soon_ns(st), &err);
	size_t grown = now.resident_bytes > before.resident_bytes ? now.resident_bytes - before.resident_bytes : 0;

	df_rule_check(st, grown <= WIDE_FREE,
		      "10 rows were taken, and memory grew by %zu MiB of the 128 MiB that the store has", grown >> 20);
	df_rule_note(st, "128 MiB of rows, memory grew by %zu KiB", grown >> 10);
	df_source_free(s);
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
	{ "source.backpressure", "While downstream is full, memory stays bounded.", NEEDS, 300, backpressure },
	{ 0 },
};

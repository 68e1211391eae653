/* Rules on a sink whose other side is well: what was confirmed is there, once, in order, and what is not says so. */
#include "conformance/deliver.h"

#define WRITE_NS (30 * DF_NS_PER_S)
#define MANY 10000
#define POISONED 1000

/* The rows of the store, while the sink is open: nothing may wait for its close. */
static void dump_synced(struct df_stage *st, struct df_sink *s, struct df_rows_seen *ret)
{
	df_deliver_sync(st, s);
	df_stage_dump(st, ret);
}

/* ---- how many ---------------------------------------------------------------------------------------------- */

static void write_and_look(struct df_stage *st, size_t n)
{
	struct df_sink *s = df_stage_connected_sink(st);
	struct df_rows_seen seen;

	df_deliver_rows(st, s, 1, n);
	dump_synced(st, s, &seen);
	df_rows_check(st, &seen, 1, n, NULL, false, "one write");
	df_sink_free(s);
}

static void one(struct df_stage *st)
{
	write_and_look(st, 1);
}

static void many(struct df_stage *st)
{
	write_and_look(st, MANY);
}

static void empty_write(struct df_stage *st)
{
	struct df_sink *s = df_stage_connected_sink(st);
	struct df_stage_write w;
	struct df_delivery d;
	struct df_rows_seen seen;

	df_deliver_rows(st, s, 1, 3);
	df_stage_write_init(st, &w, NULL, 0);
	df_deliver(st, s, w.pointers, 0, WRITE_NS, &d);
	df_deliver_rows(st, s, 4, 3);
	dump_synced(st, s, &seen);
	df_rows_check(st, &seen, 1, 6, NULL, false, "a write without messages between two others");
	df_sink_free(s);
}

static void many_writes(struct df_stage *st)
{
	const size_t writes = st->quick ? 30 : 100;
	struct df_sink *s = df_stage_connected_sink(st);
	struct df_rows_seen seen;

	/* Sizes 1, 2, 3 ...: what depends on the size of the write before shows. */
	int64_t next = 1;
	for (size_t i = 0; i < writes; i++) {
		size_t n = 1 + i % 7;

		df_deliver_rows(st, s, next, n);
		next += (int64_t)n;
	}
	dump_synced(st, s, &seen);
	df_rows_check(st, &seen, 1, (size_t)(next - 1), NULL, false, "writes of 1 to 7 rows");
	df_sink_free(s);
}

/* ---- what is written --------------------------------------------------------------------------------------- */

/* A transformation has changed the document: the payload is what it was before. */
static void document(struct df_stage *st)
{
	static const char *const stale[] = { "{\"id\":1,\"name\":\"stale\"}", "{\"id\":2,\"name\":\"stale\"}" };
	struct df_sink *s = df_stage_connected_sink(st);
	struct df_stage_write w;
	struct df_delivery d;
	struct df_rows_seen seen;

	df_stage_write_init(st, &w, stale, DF_ARRAY_SIZE(stale));
	for (size_t i = 0; i < w.count; i++) {
		struct df_value *root = NULL;
		struct df_str text = df_str_c(df_rule_text(st, "{\"id\":%zu,\"name\":\"row %zu\"}", i + 1, i + 1));

		df_rule_check(st, df_value_parse(text, st->arena, &root, NULL) == DF_PARSE_OK, "out of memory");
		df_message_set_document(w.pointers[i], root);
	}
	w.pointers[1]->payload = (struct df_str){ 0 }; /* as rows of a database have none */
	df_deliver(st, s, w.pointers, w.count, WRITE_NS, &d);
	df_rule_check(st, d.written == w.count, "messages with a changed document are not written: %s",
		      df_rule_error(st, df_delivery_failure(&d)));
	dump_synced(st, s, &seen);
	df_rows_check(st, &seen, 1, 2, NULL, false, "messages whose document was changed");
	df_sink_free(s);
}

/* Neighbours with other keys, or the same in another order. */
static void key_sets(struct df_stage *st)
{
	static const char *const rows[] = {
		"{\"id\":1,\"name\":\"row 1\"}", "{\"name\":\"row 2\",\"id\":2}", "{\"id\":3}",
		"{\"id\":4,\"name\":null}",	 "{\"id\":5,\"name\":\"row 5\"}",
	};
	struct df_sink *s = df_stage_connected_sink(st);
	struct df_rows_seen seen;

	df_deliver_all(st, s, rows, DF_ARRAY_SIZE(rows));
	dump_synced(st, s, &seen);
	df_rows_check(st, &seen, 1, DF_ARRAY_SIZE(rows), NULL, false, "rows with other keys");
	for (int64_t id = 3; id <= 4; id++) {
		const struct df_value *name = df_object_get_c(df_rows_find(st, &seen, id), "name");

		df_rule_check(st, !name || name->kind == DF_NULL, "%s came back with the name %s", rows[id - 1],
			      df_rule_value(st, name));
	}
	for (int64_t id = 1; id <= 5; id += id == 2 ? 3 : 1) {
		const struct df_value *name = df_object_get_c(df_rows_find(st, &seen, id), "name");

		df_rule_check(st, name && name->kind == DF_STRING, "%s came back with the name %s", rows[id - 1],
			      df_rule_value(st, name));
	}
	df_sink_free(s);
}

/* ---- order ------------------------------------------------------------------------------------------------- */

static const char *version(struct df_stage *st, int id, int v)
{
	return df_rule_text(st, "{\"id\":%d,\"name\":\"version %d\"}", id, v);
}

static void expect_version(struct df_stage *st, const struct df_rows_seen *seen, int id, int v, const char *what)
{
	const struct df_value *row = df_rows_find(st, seen, id);
	const char *expected = df_rule_text(st, "version %d", v);

	df_rule_check(st, row, "%s: the row with id %d is missing", what, id);
	const struct df_value *name = df_object_get_c(row, "name");

	df_rule_check(st, name && name->kind == DF_STRING && df_value_string_equal(name, df_str_c(expected)),
		      "%s: the last one written was %s, the row has %s", what, expected, df_rule_value(st, name));
}

#define VERSIONS 20

/* Key 1 in every place, other keys between. */
static void order_in_batch(struct df_stage *st)
{
	struct df_sink *s = df_stage_connected_sink(st);
	const char *rows[2 * VERSIONS];
	struct df_rows_seen seen;

	for (int v = 0; v < VERSIONS; v++) {
		rows[2 * v] = version(st, 1, v);
		rows[2 * v + 1] = version(st, 2 + v % 3, v);
	}
	df_deliver_all(st, s, rows, DF_ARRAY_SIZE(rows));
	dump_synced(st, s, &seen);
	expect_version(st, &seen, 1, VERSIONS - 1, "20 versions of a row in one write");
	expect_version(st, &seen, 2 + (VERSIONS - 1) % 3, VERSIONS - 1, "the last row of a write");
	df_rule_check(st, seen.count == 4, "4 keys were written, there are %zu rows", seen.count);
	df_sink_free(s);
}

static void order_across(struct df_stage *st)
{
	struct df_sink *s = df_stage_connected_sink(st);
	struct df_rows_seen seen;

	for (int v = 0; v < VERSIONS; v++) {
		const char *rows[] = { version(st, 1, v), version(st, 2, VERSIONS - v) };

		df_deliver_all(st, s, rows, DF_ARRAY_SIZE(rows));
	}
	dump_synced(st, s, &seen);
	expect_version(st, &seen, 1, VERSIONS - 1, "20 versions of a row in 20 writes");
	expect_version(st, &seen, 2, 1, "20 versions of a row in 20 writes");
	df_sink_free(s);
}

/* Is the dump's tail these ids, in this order? */
static bool ends_with(const struct df_rows_seen *seen, const int *ids, size_t n)
{
	bool same = seen->count >= n;

	for (size_t i = 0; same && i < n; i++)
		same = seen->ids[seen->count - n + i] == ids[i];
	return same;
}

#define ARRIVALS 5

/* Writes are told apart by the order of arrival, and, within one, rows by their ids: a store of rows that knows when
 * they came. */
static bool ends_sorted(const struct df_rows_seen *seen, size_t n)
{
	bool sorted = seen->count >= n;

	for (size_t i = 1; sorted && i < n; i++)
		sorted = seen->ids[seen->count - n + i - 1] < seen->ids[seen->count - n + i];
	return sorted;
}

static void order_of_arrival(struct df_stage *st)
{
	static const int first[ARRIVALS] = { 3, 1, 5, 2, 4 }, second[ARRIVALS] = { 13, 11, 15, 12, 14 };
	struct df_sink *s = df_stage_connected_sink(st);
	const char *rows[ARRIVALS];
	struct df_rows_seen seen;

	for (size_t i = 0; i < ARRIVALS; i++) {
		rows[i] = version(st, first[i], 0);
		df_deliver_all(st, s, &rows[i], 1);
	}
	dump_synced(st, s, &seen);
	bool kept = ends_with(&seen, first, ARRIVALS);

	for (size_t i = 0; i < ARRIVALS; i++)
		rows[i] = version(st, second[i], 0);
	df_deliver_all(st, s, rows, ARRIVALS);
	dump_synced(st, s, &seen);
	df_sink_free(s);
	if (!kept || ends_sorted(&seen, ARRIVALS))
		df_rule_not_applicable(st, "the store does not keep the order of arrival");
	df_rule_check(st, ends_with(&seen, second, ARRIVALS),
		      "the store keeps the order of arrival, and the rows of one write are in another one");
}

/* Several writes on their way at once, and the last one wins. */
static void in_flight(struct df_stage *st)
{
	struct df_sink *s = df_stage_connected_sink(st);
	size_t most = s->ops->max_in_flight > 1 ? (size_t)s->ops->max_in_flight : 0;
	struct df_stage_write *writes = df_arena_zalloc(st->arena, (most + 1) * sizeof(*writes));
	struct df_context *ctx = df_context_new(NULL);
	struct df_error err = DF_ERROR_INIT;
	struct df_rows_seen seen;

	if (most == 0)
		df_rule_not_applicable(st, "the sink has one write on its way at a time");
	df_rule_check(st, writes && ctx, "out of memory");
	df_context_deadline(ctx, df_clock_monotonic() + WRITE_NS);
	for (size_t i = 0; i < most; i++) {
		df_stage_write_rows(st, &writes[i], 1 + 10 * (int64_t)i, 10);
		int code = df_write_start(s, ctx, &writes[i].w, &err);

		if (code < 0)
			df_rule_ok(st, code, &err, "a write beside others");
	}
	for (size_t i = 0; i < most; i++) {
		df_rule_ok(st, df_write_finish(&writes[i].w, ctx, &err), &err, "the results of a write beside others");
		for (size_t k = 0; k < 10; k++) {
			const struct df_error *why = df_write_result(&writes[i].w, k);

			df_rule_check(st, !why, "a row beside others is not written: %s", df_rule_error(st, why));
		}
	}
	df_context_free(ctx);
	dump_synced(st, s, &seen);
	df_rows_check(st, &seen, 1, 10 * most, NULL, false, "writes beside each other");
	df_rule_note(st, "%zu writes at once", most);
	df_sink_free(s);
}

#define NEEDS (DF_NEEDS_SINK | DF_NEEDS_DUMP | DF_NEEDS_NAME)

const struct df_conformance_rule df_rules_sink[] = {
	{ "sink.one", "A write of one row is in the store.", NEEDS, 0, one },
	{ "sink.many", "A write of 10,000 rows is in the store, each row once.", NEEDS, 120, many },
	{ "sink.empty", "A write without messages succeeds and changes nothing.", NEEDS, 0, empty_write },
	{ "sink.many-writes", "Writes of different sizes are all in the store.", NEEDS, 120, many_writes },
	{ "sink.document", "A document that was changed is written, not the payload that it came from.", NEEDS, 0,
	  document },
	{ "sink.key-sets", "Rows of one write may have other keys, in another order.", NEEDS, 0, key_sets },
	{ "sink.order-in-batch", "Of several versions of a row in one write the last one stays.",
	  NEEDS | DF_NEEDS_UPSERT, 0, order_in_batch },
	{ "sink.order-across", "Of several versions of a row in several writes the last one stays.",
	  NEEDS | DF_NEEDS_UPSERT, 120, order_across },
	{ "sink.order-of-arrival", "A store that keeps the order of arrival gets the rows of a write in their order.",
	  NEEDS, 0, order_of_arrival },
	{ "sink.in-flight", "As many writes at once as the sink declares are all confirmed and in the store.", NEEDS, 0,
	  in_flight },
	{ 0 },
};

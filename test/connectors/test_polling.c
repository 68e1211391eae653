/* The polling source over a store in memory: limits, tie groups, overlap, rows that come late. What the stores' own
 * SQL does is tested with them. */
#include "harness.h"

#include <stdio.h>
#include <stdlib.h>

#include "connectors/polling.h"

/* A row of the table, which is in the order of (t, k). */
struct row {
	int t, k;
	int since; /* it is there from this poll on */
};

struct store {
	struct df_polling_source polling; /* first: a df_source is a store */
	const struct row *rows;
	size_t count;
	enum df_cursor_part part;
	int polls; /* statements that began a poll */

	size_t order[64]; /* the rows of the statement that runs */
	size_t found, at;
	char t_text[32], k_text[16];

	struct df_buf statements; /* WHERE and what follows, one a line */
};

static struct store *store_of(struct df_polling_source *s)
{
	return (struct store *)s;
}

static void time_text(int t, char out[32])
{
	snprintf(out, 32, "2024-01-01T00:%02d:%02dZ", t / 60, t % 60);
}

static bool follows(const struct row *row, struct df_str sql, const struct df_cursor_params *params)
{
	char t[32];
	int64_t k;
	int order;

	if (params->count == 0)
		return true;
	time_text(row->t, t);
	order = df_str_compare(df_str_c(t), params->values[0]->text);
	if (params->count == 1)
		return memmem(sql.ptr, sql.len, ">=", 2) ? order >= 0 : order > 0;
	assert_true(df_str_to_int64(params->values[1]->text, &k));
	return order > 0 || (order == 0 && row->k > k);
}

/* A store with `LIMIT n`, or n WITH TIES. */
static size_t apply_limit(const struct store *s, struct df_str sql, size_t found)
{
	const char *limit = memmem(sql.ptr, sql.len, "LIMIT ", 6);
	const char *ties = memmem(sql.ptr, sql.len, "FETCH FIRST ", 12);
	size_t n = limit ? (size_t)atoi(limit + 6) : ties ? (size_t)atoi(ties + 12) : found;

	if (n >= found)
		return found;
	while (ties && n < found) {
		const struct row *a = &s->rows[s->order[n - 1]], *b = &s->rows[s->order[n]];
		if (a->t != b->t || a->k != b->k)
			break;
		n++;
	}
	return n;
}

static int fake_open(struct df_polling_source *polling, struct df_context *ctx, struct df_str sql,
		     const struct df_cursor_params *params, struct df_error *err)
{
	struct store *s = store_of(polling);
	const char *where = memmem(sql.ptr, sql.len, "WHERE ", 6);

	(void)ctx, (void)err;
	assert_non_null(where);
	df_buf_add(&s->statements, where + 6, (size_t)(sql.ptr + sql.len - where) - 6);
	df_buf_add_char(&s->statements, '\n');
	s->found = s->at = 0;
	for (size_t i = 0; i < s->count; i++)
		if (s->rows[i].since <= s->polls && follows(&s->rows[i], sql, params))
			s->order[s->found++] = i;
	s->found = apply_limit(s, sql, s->found);
	return 0;
}

static int fake_next(struct df_polling_source *polling, struct df_context *ctx, bool *ret_row, struct df_error *err)
{
	struct store *s = store_of(polling);

	(void)ctx, (void)err;
	*ret_row = s->at < s->found;
	s->at += *ret_row;
	return 0;
}

static const struct row *current(const struct store *s)
{
	return &s->rows[s->order[s->at - 1]];
}

static int fake_key(struct df_polling_source *polling, struct df_polling_key *ret, struct df_error *err)
{
	struct store *s = store_of(polling);

	(void)err;
	time_text(current(s)->t, s->t_text);
	snprintf(s->k_text, sizeof(s->k_text), "%d", current(s)->k);
	ret->t = (struct df_cursor_value){ DF_CURSOR_TIME, df_str_c(s->t_text) };
	ret->k = (struct df_cursor_value){ DF_CURSOR_NUMBER, df_str_c(s->k_text) };
	return 0;
}

static int fake_row(struct df_polling_source *polling, struct df_message *m, struct df_arena *arena, size_t *bytes,
		    struct df_error *err)
{
	const struct row *row = current(store_of(polling));
	char text[64];

	(void)err;
	snprintf(text, sizeof(text), "%d.%d", row->t, row->k);
	m->payload = df_arena_dup(arena, df_str_c(text));
	*bytes += m->payload.len;
	return 0;
}

static void fake_end(struct df_polling_source *polling)
{
	store_of(polling)->found = store_of(polling)->at = 0;
}

static const struct df_polling_ops fake_ops = {
	.open = fake_open, .next = fake_next, .key = fake_key, .row = fake_row, .end = fake_end
};

static int fake_read(struct df_source *source, struct df_context *ctx, struct df_emitter *out, struct df_error *err)
{
	return df_polling_read((struct df_polling_source *)source, ctx, out, err);
}

static int fake_connect(struct df_source *source, struct df_context *ctx, struct df_error *err)
{
	(void)source, (void)ctx, (void)err;
	return 0;
}

static const struct df_source_ops source_ops = {
	.restore = df_polling_restore,
	.connect = fake_connect,
	.read = fake_read,
	.commit = df_polling_commit,
};

/* ---- kit ------------------------------------------------------------------------------------------------- */

struct kit {
	struct harness h;
	struct df_polling_settings settings;
	struct store *store;
};

static void kit_start(struct kit *kit, const struct row *rows, size_t count, int limit, int overlap,
		      void (*how)(struct df_buf *sql, unsigned n))
{
	static char id[] = "id", table[] = "t";

	harness_init(&kit->h);
	kit->settings = (struct df_polling_settings){ .table = { .value = table },
						      .poll_interval = 1,
						      .read_batch_size = limit,
						      .order_by_column = id,
						      .tracking_overlap_seconds = overlap };
	kit->store = df_base_source_new(sizeof(*kit->store), &source_ops, &kit->h.env, NULL);
	assert_non_null(kit->store);
	kit->store->rows = rows;
	kit->store->count = count;
	assert_int_equal(df_polling_init(&kit->store->polling, &fake_ops, &kit->settings, "updated_at", NULL), 0);
	kit->store->polling.table = (struct df_cursor_table){
		.from = DF_STR("t"), .t = DF_STR("T"), .k = DF_STR("K"), .parameter = df_cursor_question, .limit = how
	};
}

static void kit_done(struct kit *kit)
{
	struct df_base_connector *base = &kit->store->polling.base;

	df_polling_done(&kit->store->polling);
	df_buf_done(&kit->store->statements);
	df_base_connector_free(base);
	harness_done(&kit->h);
}

/* Reads to the end; the rows that came, separated by blanks. A poll more is seen by rows with a later `since`. */
static const char *kit_read(struct kit *kit)
{
	static char text[1024];
	size_t before = kit->h.messages, len = 0;

	text[0] = '\0';
	harness_read(&kit->h, &kit->store->polling.base.state.source);
	kit->store->polls++;
	for (size_t i = before; i < kit->h.messages; i++)
		len += (size_t)snprintf(text + len, sizeof(text) - len, "%s%s", len ? " " : "",
					harness_payload(&kit->h, i));
	return text;
}

#define START(kit, rows, limit, overlap, how) kit_start(kit, rows, DF_ARRAY_SIZE(rows), limit, overlap, how)

static const struct row ties[] = { { 1, 1, 0 }, { 1, 2, 0 }, { 1, 2, 0 }, { 1, 2, 0 },
				   { 2, 1, 0 }, { 3, 1, 0 }, { 3, 2, 0 } };
#define TIES "1.1 1.2 1.2 1.2 2.1 3.1 3.2"

/* ---- limits ---------------------------------------------------------------------------------------------- */

static void reader_stops_at_the_end_of_a_group(void **state)
{
	struct kit kit;

	(void)state;
	START(&kit, ties, 2, 0, NULL);
	assert_string_equal(kit_read(&kit), TIES);
	assert_null(strstr(df_buf_c(&kit.store->statements), "LIMIT"));
	kit_done(&kit);
}

static void statement_stops_at_the_end_of_a_group(void **state)
{
	struct kit kit;

	(void)state;
	START(&kit, ties, 2, 0, df_cursor_fetch_ties);
	assert_string_equal(kit_read(&kit), TIES);
	/* 4 rows, 2, 1: fewer than the limit is the end; then a poll that finds nothing. */
	assert_string_equal(df_buf_c(&kit.store->statements),
			    "T IS NOT NULL ORDER BY T, K FETCH FIRST 2 ROWS WITH TIES\n"
			    "T >= ?1 AND (T > ?1 OR K > ?2) ORDER BY T, K FETCH FIRST 2 ROWS WITH TIES\n"
			    "T >= ?1 AND (T > ?1 OR K > ?2) ORDER BY T, K FETCH FIRST 2 ROWS WITH TIES\n"
			    "T >= ?1 AND (T > ?1 OR K > ?2) ORDER BY T, K FETCH FIRST 2 ROWS WITH TIES\n");
	kit_done(&kit);
}

static void group_that_a_limit_cuts_is_read_again(void **state)
{
	struct kit kit;

	(void)state;
	for (int limit = 1; limit <= 8; limit++) {
		START(&kit, ties, limit, 0, df_cursor_limit);
		assert_string_equal(kit_read(&kit), TIES);
		kit_done(&kit);
	}
	/* A limit within the one group that there is doubles until its end is seen. */
	START(&kit, ties, 1, 0, df_cursor_limit);
	assert_string_equal(kit_read(&kit), TIES);
	assert_non_null(strstr(df_buf_c(&kit.store->statements), "LIMIT 1\n"));
	assert_non_null(strstr(df_buf_c(&kit.store->statements), "LIMIT 2\n"));
	assert_non_null(strstr(df_buf_c(&kit.store->statements), "LIMIT 4\n"));
	kit_done(&kit);
}

static void positions_stand_behind_whole_groups(void **state)
{
	void (*const ways[])(struct df_buf *, unsigned) = { NULL, df_cursor_fetch_ties, df_cursor_limit };
	struct kit kit;

	(void)state;
	for (size_t way = 0; way < DF_ARRAY_SIZE(ways); way++) {
		START(&kit, ties, 3, 0, ways[way]);
		kit_read(&kit);
		/* In the middle of (1, 2) it is that of (1, 1). */
		static const char *const expected[] = {
			"00:01Z\",\"lastReadOrderByValue\":1}", "00:01Z\",\"lastReadOrderByValue\":1}",
			"00:01Z\",\"lastReadOrderByValue\":1}", "00:01Z\",\"lastReadOrderByValue\":2}",
			"00:02Z\",\"lastReadOrderByValue\":1}", "00:03Z\",\"lastReadOrderByValue\":1}",
			"00:03Z\",\"lastReadOrderByValue\":2}"
		};
		for (size_t i = 0; i < DF_ARRAY_SIZE(expected); i++)
			assert_true(df_str_ends(harness_message(&kit.h, i)->position.data, df_str_c(expected[i])));
		for (size_t i = 1; i < kit.h.messages; i++)
			assert_int_equal(harness_message(&kit.h, i)->position.number, (int64_t)i + 1);
		kit_done(&kit);
	}
}

/* ---- overlap --------------------------------------------------------------------------------------------- */

static const struct row late[] = { { 5, 1, 0 },	 { 6, 1, 1 },  { 10, 1, 0 }, { 10, 2, 0 }, { 11, 1, 2 },
				   { 12, 1, 0 }, { 12, 2, 1 }, { 20, 1, 1 }, { 21, 1, 0 }, { 21, 2, 2 } };

static void rows_that_come_late_are_lost_without_overlap(void **state)
{
	struct kit kit;

	(void)state;
	START(&kit, late, 0, 0, NULL);
	assert_string_equal(kit_read(&kit), "5.1 10.1 10.2 12.1 21.1");
	assert_string_equal(kit_read(&kit), "");
	assert_string_equal(kit_read(&kit), "21.2");
	kit_done(&kit);
}

static void rows_that_come_late_are_read_with_overlap(void **state)
{
	void (*const ways[])(struct df_buf *, unsigned) = { NULL, df_cursor_fetch_ties, df_cursor_limit };
	struct kit kit;

	(void)state;
	/* Whatever the limit, each row once: also the first one behind a limit, and what lies behind a limit within the
	 * overlap. */
	for (size_t way = 0; way < DF_ARRAY_SIZE(ways); way++)
		for (int limit = 0; limit <= 11; limit++) {
			START(&kit, late, limit, 60, ways[way]);
			assert_string_equal(kit_read(&kit), "5.1 10.1 10.2 12.1 21.1");
			assert_string_equal(kit_read(&kit), "6.1 12.2 20.1");
			assert_string_equal(kit_read(&kit), "11.1 21.2");
			assert_string_equal(kit_read(&kit), "");
			kit_done(&kit);
		}
}

static void overlap_reaches_as_far_as_it_says(void **state)
{
	struct kit kit;

	(void)state;
	START(&kit, late, 0, 10, NULL);
	assert_string_equal(kit_read(&kit), "5.1 10.1 10.2 12.1 21.1");
	assert_string_equal(kit_read(&kit), "12.2 20.1");
	assert_string_equal(kit_read(&kit), "11.1 21.2");
	kit_done(&kit);
}

/* As many rows of one (T, K) as come: those that were emitted are dropped, one that is new is not. */
static void equal_rows_that_come_late(void **state)
{
	static const struct row rows[] = { { 1, 1, 0 }, { 1, 1, 0 }, { 1, 1, 1 }, { 2, 1, 0 } };
	struct kit kit;

	(void)state;
	for (int limit = 0; limit <= 4; limit++) {
		START(&kit, rows, limit, 60, limit % 2 ? NULL : df_cursor_fetch_ties);
		assert_string_equal(kit_read(&kit), "1.1 1.1 2.1");
		assert_string_equal(kit_read(&kit), "1.1");
		assert_string_equal(kit_read(&kit), "");
		kit_done(&kit);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reader_stops_at_the_end_of_a_group),
		cmocka_unit_test(statement_stops_at_the_end_of_a_group),
		cmocka_unit_test(group_that_a_limit_cuts_is_read_again),
		cmocka_unit_test(positions_stand_behind_whole_groups),
		cmocka_unit_test(rows_that_come_late_are_lost_without_overlap),
		cmocka_unit_test(rows_that_come_late_are_read_with_overlap),
		cmocka_unit_test(overlap_reaches_as_far_as_it_says),
		cmocka_unit_test(equal_rows_that_come_late),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

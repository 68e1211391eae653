/* Rows into the store and out of it: the user's commands, or the manifest's sink and source. */
#include <string.h>

#include "conformance/internal.h"

#define COMMAND_NS (120 * DF_NS_PER_S)
#define FIRST_ROW_NS (30 * DF_NS_PER_S) /* a source without an end: so long for the first row */
#define QUIET_NS (3 * DF_NS_PER_S)	/* and when so long none came, it was the last */

static struct df_shell shell_of(const struct df_stage *st, const char *command)
{
	return (struct df_shell){
		.command = command, .name = st->name, .server = st->options->server, .in = -1, .out = -1
	};
}

static void run(struct df_stage *st, const struct df_shell *shell, const char *what)
{
	struct df_error err = DF_ERROR_INIT;

	df_stage_doing(st, "running the %s command", what);
	if (df_shell_run(shell, df_clock_monotonic() + COMMAND_NS, &err) < 0)
		df_rule_fail(st, "the %s command: %s", what, err.text);
}

void df_stage_restart(struct df_stage *st)
{
	struct df_shell shell = shell_of(st, st->options->restart);

	shell.detached = true;
	run(st, &shell, "restart");
}

/* ---- in -------------------------------------------------------------------------------------------------- */

static void feed_command(struct df_stage *st, const char *const *rows, size_t n)
{
	struct df_shell shell = shell_of(st, st->options->feed);
	struct df_buf text = { 0 };

	for (size_t i = 0; i < n; i++) {
		df_buf_add_c(&text, rows[i]);
		df_buf_add_char(&text, '\n');
	}
	shell.in = text.failed ? -1 : df_memory_file(df_buf_str(&text));
	df_buf_done(&text);
	df_rule_check(st, shell.in >= 0, "the suite cannot hold the rows for the feed command");
	run(st, &shell, "feed");
	close(shell.in);
}

static void feed_sink(struct df_stage *st, const char *const *rows, size_t n)
{
	struct df_sink *s = df_stage_connected_sink(st);
	struct df_error err = DF_ERROR_INIT;

	df_stage_write_payloads(st, s, rows, n);
	df_rule_ok(st, s->ops->close(s, &err), &err, "closing the sink");
	df_sink_free(s);
}

/* Whatever stands before the server is for the connector under test. */
void df_stage_feed_rows(struct df_stage *st, const char *const *rows, size_t n)
{
	const char *address = st->address;

	st->address = st->options->server;
	if (st->options->feed)
		feed_command(st, rows, n);
	else
		feed_sink(st, rows, n);
	st->address = address;
}

void df_stage_feed(struct df_stage *st, int64_t first, size_t n)
{
	df_stage_feed_rows(st, df_stage_row_texts(st, first, n), n);
}

/* ---- out ------------------------------------------------------------------------------------------------- */

static void add_row(struct df_stage *st, struct df_rows_seen *seen, struct df_value *row, size_t *cap)
{
	if (seen->count == *cap) {
		size_t more = *cap ? *cap * 2 : 256;

		seen->rows = df_arena_extend(st->arena, seen->rows, *cap * sizeof(row), more * sizeof(row));
		seen->ids = df_arena_extend(st->arena, seen->ids, *cap * sizeof(int64_t), more * sizeof(int64_t));
		df_rule_check(st, seen->rows && seen->ids, "the suite is out of memory");
		*cap = more;
	}
	seen->rows[seen->count] = row;
	seen->ids[seen->count++] = df_row_id(st, row);
}

static void dump_command(struct df_stage *st, struct df_rows_seen *seen)
{
	struct df_shell shell = shell_of(st, st->options->dump);
	struct df_buf buf = { 0 };
	struct df_str rest;
	size_t cap = 0;

	shell.out = df_memory_file((struct df_str){ 0 });
	df_rule_check(st, shell.out >= 0, "the suite cannot hold the rows of the dump command");
	run(st, &shell, "dump");
	df_memory_file_read(shell.out, &buf);
	close(shell.out);
	rest = df_arena_dup(st->arena, df_buf_str(&buf));
	df_buf_done(&buf);
	while (rest.len) {
		const char *end = memchr(rest.ptr, '\n', rest.len);
		struct df_str line = df_str_trim(df_str(rest.ptr, end ? (size_t)(end - rest.ptr) : rest.len));
		struct df_error err = DF_ERROR_INIT;
		struct df_value *row = NULL;

		rest = end ? df_str(end + 1, rest.len - (size_t)(end + 1 - rest.ptr)) : (struct df_str){ 0 };
		if (line.len == 0)
			continue;
		if (df_value_parse_text(line, st->arena, &row, &err) != 0 && st->garbled)
			continue;
		df_rule_ok(st, err.code, &err, "a line of the dump command");
		df_rule_check(st, row->kind == DF_OBJECT, "a line of the dump command is no JSON object");
		add_row(st, seen, row, &cap);
	}
}

/* A source that ends by itself is read to its end, one that scales out to its end or until nothing comes any more. */
static void read_all(struct df_stage *st, struct df_collector *c, struct df_source *s)
{
	struct df_error err = DF_ERROR_INIT;
	struct df_reading *r;
	size_t before = 0;
	int code;

	if (!st->p->subject->type[DF_SOURCE]->scales_out) {
		df_rule_ok(st, df_collector_read(st, c, s, &err), &err, "reading the rows of the store");
		return;
	}
	r = df_reading_start(st, c, s);
	for (int64_t patience = FIRST_ROW_NS; df_reading_await(r, before + 1, patience) && c->messages > before;
	     patience = QUIET_NS)
		before = c->messages;
	code = df_reading_stop(r, 10 * DF_NS_PER_S, &err);
	df_rule_check(st, code == 0 || code == DF_ERR_CANCELED, "reading the rows of the store: %s", err.text);
}

static bool is_row(struct df_stage *st, struct df_message *m)
{
	struct df_value *row = NULL;

	return !m->failure && df_message_document(m, st->arena, &row, NULL) == 0 && row && row->kind == DF_OBJECT;
}

static void dump_source(struct df_stage *st, struct df_rows_seen *seen)
{
	struct df_source *s = df_stage_connected_source(st);
	struct df_collector *c = df_collector_new(st);
	struct df_error err = DF_ERROR_INIT;
	size_t cap = 0;

	read_all(st, c, s);
	for (size_t i = 0; i < c->messages; i++) {
		if (st->garbled && !is_row(st, df_collector_message(c, i)))
			continue;
		struct df_value *row = df_value_clone_deep(df_collector_row(st, c, i), st->arena);

		df_rule_check(st, row, "the suite is out of memory");
		add_row(st, seen, row, &cap);
	}
	df_rule_ok(st, s->ops->close(s, &err), &err, "closing the source");
	df_source_free(s);
	df_collector_free(c);
}

void df_stage_dump(struct df_stage *st, struct df_rows_seen *ret)
{
	const char *address = st->address;

	*ret = (struct df_rows_seen){ 0 };
	st->address = st->options->server;
	if (st->options->dump)
		dump_command(st, ret);
	else
		dump_source(st, ret);
	st->address = address;
}

/* ---- expectations ---------------------------------------------------------------------------------------- */

#define IDS_SHOWN 10

/* " 4, 7, 9 and 3 more" of the ids whose count is wrong in this way. */
static void list_ids(const size_t *times, int64_t first, size_t n, bool missing, struct df_buf *buf)
{
	size_t found = 0;

	for (size_t i = 0; i < n; i++) {
		long long id = (long long)first + (long long)i;

		if (missing ? times[i] > 0 : times[i] < 2)
			continue;
		if (++found <= IDS_SHOWN)
			df_buf_printf(buf, "%s%lld", found > 1 ? ", " : "", id);
	}
	if (found > IDS_SHOWN)
		df_buf_printf(buf, " and %zu more", found - IDS_SHOWN);
}

static size_t count_where(const size_t *times, size_t n, bool missing)
{
	size_t found = 0;

	for (size_t i = 0; i < n; i++)
		found += missing ? times[i] == 0 : times[i] > 1;
	return found;
}

void df_rows_expect(struct df_stage *st, const struct df_rows_seen *seen, int64_t first, size_t n, bool doubles)
{
	size_t *times = calloc(n + 1, sizeof(*times));
	struct df_buf buf = { 0 };
	size_t foreign = 0, missing, doubled;

	df_rule_check(st, times, "the suite is out of memory");
	for (size_t i = 0; i < seen->count; i++) {
		if (seen->ids[i] < first || seen->ids[i] - first >= (int64_t)n)
			foreign++;
		else
			times[seen->ids[i] - first]++;
	}
	missing = count_where(times, n, true);
	doubled = doubles ? 0 : count_where(times, n, false);
	if (missing) {
		df_buf_printf(&buf, "; missing: ");
		list_ids(times, first, n, true, &buf);
	}
	if (doubled) {
		df_buf_printf(&buf, "; more than once: ");
		list_ids(times, first, n, false, &buf);
	}
	if (foreign)
		df_buf_printf(&buf, "; %zu rows that nobody wrote", foreign);
	if (missing || doubled || foreign)
		df_rule_fail(st, "expected the rows with id %lld to %lld%s, saw %zu%s", (long long)first,
			     (long long)first + (long long)n - 1, doubles ? "" : " once each", seen->count,
			     df_buf_c(&buf));
	df_buf_done(&buf);
	free(times);
}

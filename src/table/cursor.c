/* The position of an incremental read, and the SQL that goes on from it. cursor_checkpoint.c keeps it. */
#include "table/cursor.h"

#include "table/cursor_internal.h"

/* ---- SQL ------------------------------------------------------------------------------------------------- */

void df_cursor_question(struct df_buf *sql, const struct df_cursor_table *table, unsigned n, bool of_t,
			const struct df_cursor_value *v)
{
	(void)table, (void)of_t, (void)v;
	df_buf_printf(sql, "?%u", n);
}

void df_cursor_dollar(struct df_buf *sql, const struct df_cursor_table *table, unsigned n, bool of_t,
		      const struct df_cursor_value *v)
{
	(void)table, (void)of_t, (void)v;
	df_buf_printf(sql, "$%u", n);
}

void df_cursor_limit(struct df_buf *sql, unsigned n)
{
	df_buf_printf(sql, " LIMIT %u", n);
}

void df_cursor_limit_ties(struct df_buf *sql, unsigned n)
{
	df_buf_printf(sql, " LIMIT %u WITH TIES", n);
}

void df_cursor_fetch_ties(struct df_buf *sql, unsigned n)
{
	df_buf_printf(sql, " FETCH FIRST %u ROWS WITH TIES", n);
}

void df_cursor_wrap(struct df_buf *sql, struct df_str query)
{
	/* On a line of its own, the bracket is in no comment that ends the query. */
	df_buf_add_char(sql, '(');
	df_buf_add_str(sql, query);
	df_buf_add_c(sql, "\n) AS dataflow_src");
}

static bool is_known(const struct df_cursor_value *v)
{
	return v->kind > DF_CURSOR_NULL;
}

/* Rows are read in the order of K alone: there is no T, or an old checkpoint knows only k. */
static bool by_k_only(const struct df_cursor_table *table, const struct df_cursor_place *place)
{
	return !table->t.len || (table->k.len && !is_known(&place->t) && is_known(&place->k));
}

bool df_cursor_has(const struct df_cursor_table *table, enum df_cursor_part part)
{
	switch (part) {
	case DF_CURSOR_NULL_T:
		return table->t.len && table->t_nullable && table->k.len;
	case DF_CURSOR_NULL_K:
		return (!table->t.len || table->t_nullable) && (!table->k.len || table->k_nullable);
	default:
		return true;
	}
}

struct writer {
	const struct df_cursor_table *table;
	struct df_buf *sql;
	struct df_cursor_params *params;
};

/* Appends the value as the next parameter and returns its number; the same value later is df_cursor parameter n again.
 */
static unsigned add_param(struct writer *w, bool of_t, const struct df_cursor_value *v)
{
	w->params->values[w->params->count] = v;
	w->params->of_t[w->params->count++] = of_t;
	return (unsigned)w->params->count;
}

static void add_text(struct writer *w, unsigned n)
{
	w->table->parameter(w->sql, w->table, n, w->params->of_t[n - 1], w->params->values[n - 1]);
}

/* `<column><op><parameter n>` */
static void compare(struct writer *w, struct df_str column, const char *op, unsigned n)
{
	df_buf_add_str(w->sql, column);
	df_buf_add_c(w->sql, op);
	add_text(w, n);
}

static void is_null(struct writer *w, struct df_str column, const char *before, const char *test)
{
	df_buf_add_c(w->sql, before);
	df_buf_add_str(w->sql, column);
	df_buf_add_c(w->sql, test);
}

static void where_k(struct writer *w, const struct df_cursor_value *k)
{
	if (is_known(k))
		compare(w, w->table->k, " > ", add_param(w, false, k));
	else
		is_null(w, w->table->k, "", " IS NOT NULL");
}

/* After (t, k); k NULL is the end of its t, k NONE is somewhere in it. */
static void where_tk(struct writer *w, const struct df_cursor_place *place)
{
	const struct df_cursor_table *table = w->table;

	if (!is_known(&place->t)) {
		is_null(w, table->t, "", " IS NOT NULL");
		return;
	}
	unsigned t = add_param(w, true, &place->t);
	if (!table->k.len || place->k.kind == DF_CURSOR_NULL) {
		compare(w, table->t, " > ", t);
		return;
	}
	if (place->k.kind == DF_CURSOR_NONE) {
		compare(w, table->t, " >= ", t);
		return;
	}
	unsigned k = add_param(w, false, &place->k);
	if (table->row_values && !table->k_nullable) {
		df_buf_add_char(w->sql, '(');
		df_buf_add_str(w->sql, table->t);
		df_buf_add_c(w->sql, ", ");
		df_buf_add_str(w->sql, table->k);
		df_buf_add_c(w->sql, ") > (");
		add_text(w, t);
		df_buf_add_c(w->sql, ", ");
		add_text(w, k);
		df_buf_add_char(w->sql, ')');
		return;
	}
	compare(w, table->t, " >= ", t);
	df_buf_add_c(w->sql, " AND (");
	compare(w, table->t, " > ", t);
	df_buf_add_c(w->sql, " OR ");
	compare(w, table->k, " > ", k);
	if (table->k_nullable)
		is_null(w, table->k, " OR ", " IS NULL");
	df_buf_add_char(w->sql, ')');
}

void df_cursor_select(const struct df_cursor_table *table, const struct df_cursor_place *place,
		      enum df_cursor_part part, unsigned limit, struct df_buf *sql, struct df_cursor_params *ret)
{
	struct writer w = { .table = table, .sql = sql, .params = ret };
	bool k_only = part != DF_CURSOR_ROWS || by_k_only(table, place);

	ret->count = 0;
	df_buf_add_c(sql, "SELECT ");
	df_buf_add_str(sql, table->columns.len ? table->columns : DF_STR("*"));
	df_buf_add_c(sql, " FROM ");
	df_buf_add_str(sql, table->from);
	df_buf_add_c(sql, " WHERE ");
	if (part != DF_CURSOR_ROWS && table->t.len)
		is_null(&w, table->t, "", table->k.len ? " IS NULL AND " : " IS NULL");
	if (part == DF_CURSOR_NULL_K) {
		if (table->k.len)
			is_null(&w, table->k, "", " IS NULL");
		return;
	}
	if (part == DF_CURSOR_NULL_T)
		where_k(&w, &place->null_k);
	else if (k_only)
		where_k(&w, &place->k);
	else
		where_tk(&w, place);

	/* T is not NULL here, nor is K where it is the only one: only K behind T can be. */
	df_buf_add_c(sql, " ORDER BY ");
	df_buf_add_str(sql, k_only ? table->k : table->t);
	if (!k_only && table->k.len) {
		df_buf_add_c(sql, ", ");
		df_buf_add_str(sql, table->k);
		df_buf_add_c(sql, table->k_nullable ? " NULLS LAST" : "");
	}
	if (limit && table->limit)
		table->limit(sql, limit);
}

/* ---- moving ---------------------------------------------------------------------------------------------- */

struct df_cursor *df_cursor_new(const struct df_cursor_table *table)
{
	struct df_cursor *cursor = calloc(1, sizeof(*cursor));

	if (cursor)
		cursor->table = table;
	return cursor;
}

void df_cursor_free(struct df_cursor *cursor)
{
	if (!cursor)
		return;
	for (size_t i = 0; i < DF_ARRAY_SIZE(cursor->texts); i++)
		df_buf_done(&cursor->texts[i]);
	df_buf_done(&cursor->position);
	free(cursor->seen.rows);
	free(cursor);
}

const struct df_cursor_place *df_cursor_at(const struct df_cursor *cursor)
{
	return &cursor->place;
}

int df_cursor_keep(struct df_cursor *cursor, enum df_cursor_text slot, struct df_cursor_value *to,
		   const struct df_cursor_value *from)
{
	struct df_buf *text = &cursor->texts[slot];

	text->len = 0;
	df_buf_add_str(text, from->text);
	*to = (struct df_cursor_value){ from->kind, df_buf_str(text) };
	return text->failed ? DF_ERR_NO_MEMORY : 0;
}

int df_cursor_read(struct df_cursor *cursor, enum df_cursor_part part, const struct df_cursor_value *t,
		   const struct df_cursor_value *k)
{
	/* The first row tells which order the statement has: the place it was made for has not moved yet. */
	if (!cursor->running) {
		cursor->running = true;
		cursor->k_run = part == DF_CURSOR_ROWS && by_k_only(cursor->table, &cursor->place);
	}
	cursor->part = part;
	int code = df_cursor_keep(cursor, DF_TEXT_ROW_T, &cursor->row_t, t);
	if (code == 0)
		code = df_cursor_keep(cursor, DF_TEXT_ROW_K, &cursor->row_k, k);
	return code == 0 && part == DF_CURSOR_ROWS ? df_cursor_mark(cursor) : code;
}

static char fold(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
}

static bool text_ties(struct df_str a, struct df_str b)
{
	while (a.len && a.ptr[a.len - 1] == ' ')
		a.len--;
	while (b.len && b.ptr[b.len - 1] == ' ')
		b.len--;
	if (a.len != b.len)
		return false;
	for (size_t i = 0; i < a.len; i++)
		if (fold(a.ptr[i]) != fold(b.ptr[i]))
			return false;
	return true;
}

static bool value_ties(const struct df_cursor_value *a, const struct df_cursor_value *b)
{
	if (a->kind != b->kind)
		return false;
	switch (a->kind) {
	case DF_CURSOR_NUMBER:
		return df_number_compare(a->text, b->text) == 0;
	case DF_CURSOR_TEXT:
		return text_ties(a->text, b->text);
	case DF_CURSOR_TIME:
	case DF_CURSOR_BYTES:
		return df_str_equal(a->text, b->text);
	default:
		return true;
	}
}

bool df_cursor_ties(const struct df_cursor *cursor, const struct df_cursor_value *t, const struct df_cursor_value *k)
{
	/* T first: it differs in most rows, and texts of one form are compared at once. */
	if (cursor->part == DF_CURSOR_ROWS && !cursor->k_run && !value_ties(&cursor->row_t, t))
		return false;
	return value_ties(&cursor->row_k, k);
}

/* A read in the order of K that began with an old checkpoint: the T of its rows is in no order, so only the end of the
 * statement, below which every K was read, has a (t, k). */
static int advance_k(struct df_cursor *cursor, bool done)
{
	struct df_cursor_place *place = &cursor->place;
	bool has_t = cursor->table->t.len;
	int code = df_cursor_keep(cursor, DF_TEXT_K, &place->k, &cursor->row_k);

	if (code == 0 && has_t)
		code = df_cursor_keep(cursor, DF_TEXT_NULL_K, &place->null_k, &cursor->row_k);
	if (code == 0 && has_t && done && is_known(&cursor->row_t))
		code = df_cursor_keep(cursor, DF_TEXT_T, &place->t, &cursor->row_t);
	return code;
}

int df_cursor_advance(struct df_cursor *cursor, bool done)
{
	struct df_cursor_place *place = &cursor->place;
	int code = 0;

	if (cursor->part == DF_CURSOR_NULL_T) {
		code = df_cursor_keep(cursor, DF_TEXT_NULL_K, &place->null_k, &cursor->row_k);
	} else if (cursor->part == DF_CURSOR_ROWS && cursor->k_run) {
		code = advance_k(cursor, done);
	} else if (cursor->part == DF_CURSOR_ROWS && !df_cursor_is_late(cursor)) {
		code = df_cursor_keep(cursor, DF_TEXT_T, &place->t, &cursor->row_t);
		if (code == 0)
			code = df_cursor_keep(cursor, DF_TEXT_K, &place->k, &cursor->row_k);
	}
	if (done)
		cursor->running = false;
	return code == 0 ? df_cursor_write_position(cursor) : code;
}

struct df_str df_cursor_position(const struct df_cursor *cursor)
{
	return df_buf_str(&cursor->position);
}

/* ---- polling --------------------------------------------------------------------------------------------- */

int64_t df_poll_delay(struct df_poll *poll, int64_t now_ns)
{
	if (!poll->started) {
		poll->started = true;
		poll->due_ns = now_ns;
		return 0;
	}
	poll->due_ns += poll->interval_ns;
	if (poll->due_ns > now_ns)
		return poll->due_ns - now_ns;
	poll->due_ns += (now_ns - poll->due_ns) / poll->interval_ns * poll->interval_ns;
	return 0;
}

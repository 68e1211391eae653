/*
 * The Trino sink: rows of one column set become INSERT or MERGE statements with typed literals, as many rows each as
 * the server's limit on a query's text allows. Every statement is a transaction of its own, so the messages of one that
 * ended are done whatever happens to the next.
 */
#include "connectors/trino/connection.h"
#include "connectors/trino/fate.h"
#include "connectors/trino/replaced.h"
#include "connectors/trino/statement.h"

/* Rows that wait travel together up to this many when batchSize is absent: planning costs a statement about the same
 * whatever it has (docs/trino.md has the table), and what a row cannot be is found before it is sent. */
#define TOGETHER DF_TRINO_STATEMENT_ROWS

struct sink {
	struct df_base_connector base;
	const struct df_trino_sink_settings *settings;
	struct df_trino_client *client;
	struct df_trino_target target;
	struct df_rows *rows; /* NULL: the table does not exist yet */
	struct df_trino_statement statement;
	bool doubtful;	/* how the statement before ended is not known: look for the next one before it is sent */
	bool forgotten; /* and the server has lost its memory of it */
	bool blind;	/* nobody tells how statements ended */
	bool reloaded;	/* the columns were read again since a statement last went well */
};

extern const struct df_sink_ops df_trino_sink_ops;

static struct sink *sink_of(struct df_sink *s)
{
	return (struct sink *)s;
}

/* ---- life ------------------------------------------------------------------------------------------------ */

static void sink_free(struct df_sink *s);

static int sink_create(const void *settings, const struct df_connector_env *env, struct df_sink **ret,
		       struct df_error *err)
{
	const struct df_trino_sink_settings *config = settings;
	struct sink *s = df_base_sink_new(sizeof(*s), &df_trino_sink_ops, env, err);

	if (!s)
		return DF_ERR_NO_MEMORY;
	s->settings = config;
	int code = df_trino_client_new(&config->connection, env->logger, &s->client, err);
	if (code == 0)
		code = df_trino_target_init(&s->target, config, s->client, env->logger, err);
	if (code != 0) {
		sink_free(&s->base.state.sink);
		return code;
	}
	s->statement = (struct df_trino_statement){ .target = &s->target,
						    .upsert = config->table_sink.upsert_mode,
						    .row_limit = DF_TRINO_STATEMENT_ROWS };
	s->doubtful = true; /* the instance before this one may have left a statement behind */
	*ret = &s->base.state.sink;
	return 0;
}

static int sink_close(struct df_sink *sink, struct df_error *err)
{
	struct sink *s = sink_of(sink);

	(void)err;
	if (!df_base_guard_close(&s->base))
		df_base_unlock(&s->base);
	return 0;
}

static void sink_free(struct df_sink *sink)
{
	struct sink *s = sink_of(sink);

	if (!s)
		return;
	(void)!sink_close(sink, NULL);
	df_rows_free(s->rows);
	df_buf_done(&s->statement.sql);
	df_buf_done(&s->statement.row);
	df_trino_target_done(&s->target);
	df_trino_client_free(s->client);
	df_base_connector_free(&s->base);
}

/* ---- the table ------------------------------------------------------------------------------------------- */

static int load_table(struct sink *s, struct df_context *ctx, struct df_error *err)
{
	const struct df_table_sink_settings *settings = &s->settings->table_sink;
	bool ignore_unknown = strcmp(settings->unknown_fields, "ignore") == 0 || settings->flatten_metadata.columns;

	df_rows_free(DF_TAKE(s->rows));
	int code = df_trino_target_load(&s->target, ctx, err);
	if (code != 0 || s->target.columns.count == 0)
		return code;
	s->rows = df_rows_new(&s->target.columns, ignore_unknown, NULL, NULL);
	return s->rows ? 0 : df_error_no_memory(err);
}

static int sink_connect(struct df_sink *sink, struct df_context *ctx, struct df_error *err)
{
	struct sink *s = sink_of(sink);
	df_cleanup(df_base_call_end) struct df_base_call call = { 0 };
	int code = df_base_connect(&s->base, ctx, &call, err);

	if (code != 0 || s->base.state.connected)
		return code;
	code = load_table(s, call.ctx, err);
	/* Raw mode's table does not depend on the rows, unless metadata is flattened. */
	if (code == 0 && !s->rows && s->target.raw && !s->settings->table_sink.flatten_metadata.columns) {
		code = df_trino_target_create(&s->target, call.ctx, NULL, err);
		if (code == 0)
			code = load_table(s, call.ctx, err);
	}
	s->base.state.connected = code == 0;
	return code;
}

/* Creates the table from all rows of the first write. Rows that are none fail later, by themselves. */
static int create_table(struct sink *s, struct df_context *ctx, const struct df_write *w, struct df_error *err)
{
	df_cleanup(df_inference_done) struct df_inference rows = { 0 };

	for (size_t i = 0; i < w->count; i++) {
		struct df_value *object;
		int code = df_trino_target_row(&s->target, w->messages[i], w->arena, &object, err);

		if (code == 0)
			code = df_inference_add(&rows, object, err);
		if (code != 0 && !df_code_poison(code))
			return code;
	}
	if (rows.count == 0)
		return 0;
	int code = df_trino_target_create(&s->target, ctx, &rows, err);
	return code == 0 ? load_table(s, ctx, err) : code;
}

/* ---- running a statement --------------------------------------------------------------------------------- */

/* What one write works with. */
struct writing {
	struct sink *s;
	struct df_context *ctx;
	struct df_write *w;
	size_t *sent; /* the messages of the statement in the making */
	size_t sent_count;
	bool *removes;			     /* by message: its row goes */
	const struct df_group_row **earlier; /* by message: the row that its row replaces, or NULL */
};

/* FNV-1a, 64 bit (public domain: http://www.isthe.com/chongo/tech/comp/fnv/). */
static uint64_t hash_bytes(uint64_t hash, const void *data, size_t len)
{
	const unsigned char *bytes = data;

	for (size_t i = 0; i < len; i++)
		hash = (hash ^ bytes[i]) * UINT64_C(0x100000001b3);
	return hash;
}

/* The same for the same rows of the same messages, on every retry within a run. */
static uint64_t rows_hash(const struct writing *g)
{
	const struct df_message *first = g->w->messages[g->sent[0]];
	struct df_str sql = df_buf_str(&g->s->statement.sql);
	size_t head = strlen("/*dataflow 0000000000000000-0000000000000000*/ ");
	uint64_t hash = hash_bytes(UINT64_C(0xcbf29ce484222325), sql.ptr + head, sql.len - head);

	hash = hash_bytes(hash, &first->position.number, sizeof(first->position.number));
	hash = hash_bytes(hash, first->position.data.ptr, first->position.data.len);
	return hash_bytes(hash, &first->sequence, sizeof(first->sequence));
}

/* Was this very statement written already, by a try whose answer was lost? */
static int was_written(struct writing *g, const char *comment, bool *ret, struct df_error *err)
{
	struct sink *s = g->s;
	enum df_trino_fate fate;

	*ret = false;
	if (!s->doubtful)
		return 0;
	int code = s->blind ? 0 : df_trino_find_fate(s->client, g->ctx, comment, &fate, err);
	if (code == DF_ERR_AUTH || code == DF_ERR_CONFIG) {
		/* Not for this user, or there is no catalog `system`. */
		df_warn(s->base.state.env.logger,
			"system.runtime.queries cannot be read: a statement whose answer is lost is sent again, and its rows "
			"may stand there twice");
		s->blind = true;
	}
	if (s->blind) {
		if (g->w->again)
			g->w->uncertain += g->sent_count;
		return 0;
	}
	if (code != 0)
		return df_error_prefix(err, "how the last statement ended cannot be found out");
	s->doubtful = false;
	*ret = fate == DF_TRINO_FATE_WRITTEN;
	if (fate == DF_TRINO_FATE_NONE && s->forgotten) {
		g->w->uncertain += g->sent_count;
		df_warn(s->base.state.env.logger,
			"the server lost a statement of %zu rows and does not know how it ended: it is sent again, and its "
			"rows may stand there twice",
			g->sent_count);
	}
	s->forgotten = false;
	return 0;
}

/* After a failure: is it known that nothing was written? The server's own verdict says so; a way to it that is gone
 * does not. */
static void keep_doubts(struct sink *s, const struct df_error *why)
{
	s->forgotten = strcmp(why->remote, DF_TRINO_LOST) == 0;
	s->doubtful = s->forgotten || why->code == DF_ERR_CONNECTION || why->code == DF_ERR_TIMEOUT ||
		      why->code == DF_ERR_CANCELED || !why->remote[0];
}

/* Sends the statement. Its messages are done, or the one message of it is poison, or a code that stops the write. */
static int flush(struct writing *g, struct df_error *err)
{
	struct sink *s = g->s;
	struct df_trino_statement *st = &s->statement;
	struct df_error why = DF_ERROR_INIT;
	char comment[DF_TRINO_COMMENT_MAX];
	bool written = false;

	if (st->rows == 0)
		return 0;
	int code = df_trino_statement_finish(st, &why);
	if (code == 0) {
		df_trino_comment(comment, s->base.state.env.run, rows_hash(g));
		memcpy(st->sql.data, comment, strlen(comment));
		code = was_written(g, comment, &written, &why);
	}
	if (code == 0 && !written) {
		code = df_trino_execute(s->client, g->ctx, df_buf_str(&st->sql), &why);
		if (code != 0)
			keep_doubts(s, &why);
		else
			s->reloaded = false;
	}
	for (size_t i = 0; code == 0 && i < g->sent_count; i++)
		df_write_done(g->w, g->sent[i]);
	if (df_code_poison(code) && g->sent_count == 1) {
		df_write_fail(g->w, g->sent[0], &why);
		code = 0;
	}
	if (code != 0 && err)
		*err = why;
	g->sent_count = 0;
	return code;
}

static void begin(struct writing *g)
{
	char comment[DF_TRINO_COMMENT_MAX];

	df_trino_comment(comment, 0, 0); /* its place; the rows are not known yet */
	df_trino_statement_begin(&g->s->statement, comment);
}

/* ---- rows to statements ---------------------------------------------------------------------------------- */

static bool removes(const struct sink *s, const struct df_message *m)
{
	return s->statement.upsert && !s->target.raw && df_row_operation(m) == DF_OP_DELETE;
}

/* Of a delete only the key counts; a single key may come from metadata `id` (a tombstone has no payload). */
static int key_object(struct sink *s, struct df_message *m, struct df_arena *arena, struct df_value **ret,
		      struct df_error *err)
{
	const struct df_strings *key = &s->target.key;
	struct df_value *object = NULL, *only = df_value_new(arena, DF_OBJECT);

	if (!only)
		return df_error_no_memory(err);
	if (df_row_body(m, arena, &s->target.columns, &object, NULL) != 0)
		object = NULL;
	for (size_t i = 0; i < key->count; i++) {
		struct df_value *v = object ? df_object_get_c(object, key->items[i]) : NULL;

		if (!v && key->count == 1)
			v = df_message_meta(m, "id");
		if (!v || v->kind == DF_NULL)
			return df_error_set(err, DF_ERR_INVALID_DATA,
					    "a delete needs a value for the key column \"%s\"", key->items[i]);
		v = df_value_clone(v, arena);
		if (!v)
			return df_error_no_memory(err);
		df_object_append(only, df_str_c(key->items[i]), v);
	}
	*ret = only;
	return 0;
}

static int map_row(struct sink *s, struct df_message *m, struct df_arena *arena, struct df_group_row *row,
		   struct df_error *err)
{
	const struct df_strings *key = &s->target.key;
	struct df_value *object;
	int code = removes(s, m) ? key_object(s, m, arena, &object, err)
				 : df_trino_target_row(&s->target, m, arena, &object, err);

	if (code == 0)
		code = df_rows_map(s->rows, object, arena, &row->row, err);
	if (code == 0 && row->row.set->count == 0)
		return df_error_set(err, DF_ERR_INVALID_DATA, "the row has no key that is a column of the table");
	if (code != 0 || !s->statement.upsert)
		return code;

	for (size_t i = 0; i < key->count; i++)
		if (df_column_set_find(row->row.set, s->target.key_columns[i]) == DF_NO_COLUMN)
			return df_error_set(err, DF_ERR_INVALID_DATA, "the row has no value for the key column \"%s\"",
					    key->items[i]);
	row->key = df_row_key_hash(&row->row, s->target.key_columns, key->count, arena);
	return 0;
}

/* ---- groups to statements --------------------------------------------------------------------------------- */

/* Adds a row to the statement, which is run first when it is full. *ret_refused: the row does not fit, and why. */
static int add_row(struct writing *g, const struct df_group_row *row, bool *ret_refused, struct df_error *why,
		   struct df_error *err)
{
	struct df_trino_statement *st = &g->s->statement;
	bool delete = g->removes[row->index];
	bool full;
	int code = df_trino_statement_add(st, &row->row, delete, g->w->arena, &full, why);

	if (code == 0 && full) {
		code = flush(g, err);
		if (code != 0)
			return code;
		begin(g);
		code = df_trino_statement_add(st, &row->row, delete, g->w->arena, &full, why);
	}
	*ret_refused = df_code_poison(code);
	if (code != 0 && !*ret_refused && err)
		*err = *why;
	return *ret_refused ? 0 : code;
}

/* A row that is refused leaves the one before it, which it would have replaced. */
static int write_row(struct writing *g, const struct df_group_row *row, struct df_error *err)
{
	bool refused = true;

	while (refused && row) {
		struct df_error why = DF_ERROR_INIT;
		int code = 0;

		if (row->row.set == g->s->statement.set)
			code = add_row(g, row, &refused, &why, err);
		else /* of a delete whose key is refused */
			(void)df_error_set(&why, DF_ERR_INVALID_DATA, "the row's key is refused");
		if (code != 0)
			return code;
		if (refused) {
			df_write_fail(g->w, row->index, &why);
			row = g->earlier[row->index];
		}
	}
	/* It speaks for those that it replaces, too. */
	for (; row; row = g->earlier[row->index])
		g->sent[g->sent_count++] = row->index;
	return 0;
}

static int write_group(struct writing *g, const struct df_group *group, struct df_error *err)
{
	struct sink *s = g->s;
	int code = 0;

	s->statement.set = group->set;
	begin(g);
	for (size_t i = 0; code == 0 && i < group->count; i++)
		code = write_row(g, group->rows[i], err);
	return code == 0 ? flush(g, err) : code;
}

static int write_rows(struct writing *g, struct df_error *err)
{
	struct sink *s = g->s;
	struct df_write *w = g->w;
	struct df_group_row *rows = df_arena_alloc(w->arena, w->count * sizeof(*rows));
	struct df_group *groups;
	size_t count = 0, group_count;

	g->sent = df_arena_alloc(w->arena, w->count * sizeof(*g->sent));
	g->removes = df_arena_zalloc(w->arena, w->count);
	g->earlier = df_arena_zalloc(w->arena, w->count * sizeof(struct df_group_row *));
	if (!rows || !g->sent || !g->removes || !g->earlier)
		return df_error_no_memory(err);
	df_rows_begin(s->rows);
	for (size_t i = 0; i < w->count; i++) {
		struct df_error why = DF_ERROR_INIT;
		int code;

		rows[count] = (struct df_group_row){ .index = i };
		g->removes[i] = removes(s, w->messages[i]);
		code = map_row(s, w->messages[i], w->arena, &rows[count], &why);
		if (code == 0) {
			w->unknown_fields += rows[count++].row.unknown;
		} else if (df_code_poison(code)) {
			df_write_fail(w, i, &why);
		} else {
			*err = why;
			return code;
		}
	}
	int code = 0;

	if (s->statement.upsert)
		code = df_trino_drop_replaced(rows, &count, s->target.key_columns, s->target.key.count, g->removes,
					      g->earlier, w->arena);
	if (code == 0)
		code = df_rows_group(rows, count, s->statement.upsert, w->arena, &groups, &group_count);
	if (code != 0)
		return df_error_no_memory(err);
	for (size_t i = 0; code == 0 && i < group_count; i++)
		code = write_group(g, &groups[i], err);
	return code;
}

/* No table could be made of the batch: none of its messages is a row. */
static int refuse_all(struct writing *g, struct df_error *err)
{
	for (size_t i = 0; i < g->w->count; i++) {
		struct df_error why = DF_ERROR_INIT;
		struct df_value *object;
		int code = removes(g->s, g->w->messages[i])
				   ? 0
				   : df_trino_target_row(&g->s->target, g->w->messages[i], g->w->arena, &object, &why);

		if (code == 0 && !removes(g->s, g->w->messages[i]))
			code = df_error_set(&why, DF_ERR_INVALID_DATA, "no table can be made of this row");
		if (code != 0 && !df_code_poison(code)) {
			*err = why;
			return code;
		}
		if (code != 0)
			df_write_fail(g->w, i, &why);
	}
	return 0;
}

/* Errors that say the table is not what it was: its columns are read again for the next try. */
static bool table_changed(const struct df_error *err)
{
	static const char *const names[] = { "COLUMN_NOT_FOUND", "TYPE_MISMATCH", "MISMATCHED_COLUMN_ALIASES",
					     "TABLE_NOT_FOUND" };

	for (size_t i = 0; i < DF_ARRAY_SIZE(names); i++)
		if (strcmp(err->remote, names[i]) == 0)
			return true;
	return false;
}

/* A worker has no memory for a statement of so many rows: the next ones are smaller. */
static void halve(struct sink *s)
{
	size_t rows = s->statement.rows;

	if (rows < 2)
		return;
	s->statement.row_limit = rows / 2;
	df_warn(s->base.state.env.logger,
		"a worker has no memory for %zu rows at once: statements have at most %zu from now on", rows, rows / 2);
}

static int sink_write(struct df_sink *sink, struct df_context *ctx, struct df_write *w, struct df_error *err)
{
	struct sink *s = sink_of(sink);
	df_cleanup(df_base_call_end) struct df_base_call call = { 0 };
	struct df_error why = DF_ERROR_INIT;
	int code = df_base_use(&s->base, ctx, &call, err);

	if (code != 0)
		return code;
	struct writing g = { .s = s, .ctx = call.ctx, .w = w };
	if (!s->rows)
		code = create_table(s, call.ctx, w, &why);
	if (code == 0)
		code = s->rows ? write_rows(&g, &why) : refuse_all(&g, &why);
	if (code != 0 && strcmp(why.remote, "EXCEEDED_LOCAL_MEMORY_LIMIT") == 0)
		halve(s);
	if (code != 0 && s->rows && !s->reloaded && table_changed(&why)) {
		struct df_error again = DF_ERROR_INIT;
		int reloaded = load_table(s, call.ctx, &again);
		s->reloaded = true;

		/* The statement was refused whole, so it can be made anew from the columns as they are now; or the
		 * table, with autoCreateTable. */
		if (reloaded != 0) {
			code = reloaded;
			why = again;
		} else {
			df_info(s->base.state.env.logger, "the table changed (%s): its columns were read again",
				why.remote);
			code = DF_ERR_TRANSIENT;
			why.code = code;
		}
	}
	if (code != 0 && err)
		*err = why;
	return code;
}

static void sink_batching(const void *settings, struct df_batching *ret)
{
	const struct df_trino_sink_settings *config = settings;

	*ret = df_table_sink_batching(&config->table_sink, 1, TOGETHER);
}

const struct df_sink_ops df_trino_sink_ops = {
	.create = sink_create,
	.connect = sink_connect,
	.write = sink_write,
	.close = sink_close,
	.free = sink_free,
	.batching = sink_batching,
};

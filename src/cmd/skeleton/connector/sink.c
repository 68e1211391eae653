/*
 * The @title@ sink: what a message becomes, and what is said of each. The order of calls stands at the top of the
 * contract (connectors/interface.h).
 */
#include "@dir@store.h"

#define TOGETHER 1000 /* messages that already wait are written together, up to this many */

struct sink {
	struct df_base_connector@_rw@ base; /* first: the base and this struct are one object */
	const struct df_@name@_sink_settings *settings;
	struct df_@name@ *db; /* NULL: not connected */
};

static struct sink *sink_of(struct df_sink *sink)
{
	return DF_CONTAINER_OF(sink, struct sink, base.state.sink);
}

/* ---- create, connect ------------------------------------------------------------------------------------- */

static int sink_create(const void *settings, const struct df_connector_env *env, struct df_sink **ret,
		       struct df_error *err)
{
	struct sink *s = df_base@_rw@_sink_new(sizeof(*s), &df_@name@_sink_ops, env, err);

	if (!s)
		return DF_ERR_NO_MEMORY;
	s->settings = settings;
	*ret = &s->base.state.sink;
	return 0;
}

/* FILL IN: open what write needs; give it back when a later step fails. */
static int sink_connect(struct df_sink *sink, struct df_context *ctx, struct df_error *err)
{
	struct sink *s = sink_of(sink);
	const struct df_@name@_connection *connection = &s->settings->connection;
	df_cleanup(df_base_call_end) struct df_base_call call = { 0 };
	int code = df_base@_rw@_connect(&s->base, ctx, &call, err);

	if (code != 0 || s->base.state.connected)
		return code;
	df_context_deadline(call.ctx, df_clock_monotonic() + connection->connect_timeout * DF_NS_PER_S);
	code = df_@name@_open(connection, call.ctx, &s->db, err);
	if (code != 0)
		return code;
	s->base.state.connected = true;
	df_info(s->base.state.env.logger, "writing to the collection %s of %s", connection->collection,
		connection->path);
	return 0;
}

/* ---- write ----------------------------------------------------------------------------------------------- */

/*
 * FILL IN: what a message becomes. A poison code (DF_ERR_INVALID_DATA, DF_ERR_CONSTRAINT) refuses this message alone;
 * the text says what is wrong with it, and never what is in it.
 */
static int make_record(const struct sink *s, struct df_message *m, struct df_arena *arena, struct df_@name@_record *ret,
		       struct df_error *err)
{
	struct df_value *row = NULL, *key;
	int code = df_message_document(m, arena, &row, err);

	if (code != 0)
		return code;
	if (!row || row->kind != DF_OBJECT)
		return df_error_set(err, DF_ERR_INVALID_DATA, "a record is a JSON object, and this message is %s",
				    row ? df_kind_words(row->kind) : "not JSON");
	*ret = (struct df_@name@_record){ 0 };
	if (df_message_payload(m, arena, &ret->text) != 0)
		return df_error_no_memory(err);
	if (ret->text.len > DF_@NAME@_TEXT_MAX)
		return df_error_set(err, DF_ERR_CONSTRAINT, "a record has at most %zu bytes, and this one has %zu",
				    DF_@NAME@_TEXT_MAX, ret->text.len);
	if (!s->settings->upsert_mode)
		return 0;
	key = df_object_get_c(row, s->settings->conflict_key);
	if (!key || key->kind == DF_NULL)
		return df_error_set(err, DF_ERR_INVALID_DATA, "the message has no `%s`, which is the conflictKey",
				    s->settings->conflict_key);
	ret->key = df_value_to_arena(key, arena);
	return ret->key.ptr ? 0 : df_error_no_memory(err);
}

/* The records of all messages that can be one; the others have their result. *ret_count: how many. */
static int make_records(const struct sink *s, struct df_write *w, struct df_@name@_record *records, size_t *ret_count,
			struct df_error *err)
{
	*ret_count = 0;
	for (size_t i = 0; i < w->count; i++) {
		struct df_error why = DF_ERROR_INIT;
		int code = make_record(s, w->messages[i], w->arena, &records[*ret_count], &why);

		if (code == 0)
			(*ret_count)++;
		else if (df_code_poison(code))
			df_write_fail(w, i, &why);
		else
			return df_error_set(err, code, "%s", why.text);
	}
	return 0;
}

/*
 * FILL IN: one batch. 0 says that the other side has confirmed every message that has no result of its own; a code,
 * that all of those failed. Retryable codes bring them again, so what may have been written is either written in
 * a way that can be repeated (upsertMode), or may be there twice.
 */
static int sink_write(struct df_sink *sink, struct df_context *ctx, struct df_write *w, struct df_error *err)
{
	struct sink *s = sink_of(sink);
	struct df_@name@_record *records;
	size_t count = 0;
//@if rw
	/* Borrowed: no lock is held while it writes, and close waits until it is given back. */
//@end
	df_cleanup(df_base_call_end) struct df_base_call call = { 0 };
	int code = df_base@_rw@_use(&s->base, ctx, &call, err);

	if (code != 0)
		return code;
	records = df_arena_alloc(w->arena, w->count * sizeof(*records));
	if (!records)
		return df_error_no_memory(err);
	code = make_records(s, w, records, &count, err);
	return code == 0 ? df_@name@_put(s->db, call.ctx, records, count, err) : code;
}

/* FILL IN: how many messages a batch should have when the manifest does not say. */
static void sink_batching(const void *settings, struct df_batching *ret)
{
	const struct df_@name@_sink_settings *s = settings;

	*ret = (struct df_batching){ .size = s->batch.size,
				     .interval_seconds = s->batch.interval_seconds,
				     .default_size = 1,
				     .default_together = TOGETHER };
}

/* ---- close, free ----------------------------------------------------------------------------------------- */

/* From any thread, also while the others run. guard_close ends their waiting, waits for them, and then holds the lock.
 */
static int sink_close(struct df_sink *sink, struct df_error *err)
{
	struct sink *s = sink_of(sink);

	(void)err;
	if (df_base@_rw@_guard_close(&s->base))
		return 0; /* it was closed already */
	df_@name@_close(DF_TAKE(s->db));
	df_base@_rw@_unlock(&s->base);
	return 0;
}

static void sink_free(struct df_sink *sink)
{
	if (!sink)
		return;
	(void)sink_close(sink, NULL);
	df_base_connector@_rw@_free(&sink_of(sink)->base);
}

const struct df_sink_ops df_@name@_sink_ops = {
	.create = sink_create,
	.connect = sink_connect,
	.write = sink_write, /* what it wrote is durable, so there is no sync */
	.close = sink_close,
	.free = sink_free,
	.batching = sink_batching,
};

/*
 * The sink: a write is one transaction (MULTI, a command a message, EXEC), sent at once. A transaction keeps the order
 * of a key when the server refuses some of it for the moment: it refuses all of it then, and the processor writes all
 * of it again.
 */
#include "client.h"
#include "settings.h"

struct mydb_sink {
	struct df_base_connector base;
	const struct mydb_sink_settings *settings;
	struct mydb_client *client;
	struct df_raw *raw; /* with rawMode */
};

static struct mydb_sink *sink_of(struct df_sink *s)
{
	return DF_CONTAINER_OF(s, struct mydb_sink, base.state.sink);
}

/* ---- life ------------------------------------------------------------------------------------------------ */

static void sink_free(struct df_sink *sink);

static int sink_create(const void *settings, const struct df_connector_env *env, struct df_sink **ret,
		       struct df_error *err)
{
	struct mydb_sink *s = df_base_sink_new(sizeof(*s), &mydb_sink_ops, env, err);

	if (!s)
		return DF_ERR_NO_MEMORY;
	s->settings = settings;
	if (s->settings->raw_mode)
		s->raw = df_raw_new(DF_RAW_TEXT, false, NULL);
	if (s->settings->raw_mode && !s->raw) {
		sink_free(&s->base.state.sink);
		return df_error_no_memory(err);
	}
	*ret = &s->base.state.sink;
	return 0;
}

static int sink_connect(struct df_sink *sink, struct df_context *ctx, struct df_error *err)
{
	struct mydb_sink *s = sink_of(sink);
	df_cleanup(df_base_call_end) struct df_base_call call = { 0 };
	int code = df_base_connect(&s->base, ctx, &call, err);

	if (code != 0 || s->base.state.connected)
		return code;
	code = mydb_connect(s->settings->connection_string.value, call.ctx, &s->client, err);
	s->base.state.connected = code == 0;
	return code;
}

static int sink_close(struct df_sink *sink, struct df_error *err)
{
	struct mydb_sink *s = sink_of(sink);

	(void)err;
	if (df_base_guard_close(&s->base))
		return 0;
	DF_UNLOCK_ON_RETURN(&s->base);
	mydb_disconnect(DF_TAKE(s->client));
	return 0;
}

static void sink_free(struct df_sink *sink)
{
	if (!sink)
		return;
	struct mydb_sink *s = sink_of(sink);
	sink_close(sink, NULL);
	df_raw_free(s->raw);
	df_base_connector_free(&s->base);
}

/* ---- one message ----------------------------------------------------------------------------------------- */

struct command {
	struct df_str args[MYDB_ARGS_MAX];
	size_t count;
	size_t message; /* in the write */
};

static int add_text(struct command *c, struct df_value *v, struct df_arena *arena, struct df_error *err)
{
	c->args[c->count] = df_value_text(v, arena);
	return c->args[c->count++].ptr ? 0 : df_error_no_memory(err);
}

/* XADD stream * data <payload> [_metadata <metadata>] */
static int make_entry(struct mydb_sink *s, struct df_message *m, struct df_arena *arena, struct command *c,
		      struct df_error *err)
{
	struct df_value *row;
	int code;

	*c = (struct command){ { DF_STR("XADD"), df_str_c(s->settings->stream), DF_STR("*"), DF_STR("data") }, 4 };
	if (!s->raw)
		return df_message_payload(m, arena, &c->args[c->count++]) == 0 ? 0 : df_error_no_memory(err);
	code = df_raw_row(s->raw, m, arena, &row, err);
	if (code == 0)
		code = add_text(c, df_object_get_c(row, "data"), arena, err);
	c->args[c->count++] = DF_STR("_metadata");
	return code == 0 ? add_text(c, df_object_get_c(row, "_metadata"), arena, err) : code;
}

/* HSETNX hash <key> <row>; upsertMode: HSET, or HDEL hash <key> */
static int make_field(struct mydb_sink *s, struct df_message *m, struct df_arena *arena, struct command *c,
		      struct df_error *err)
{
	static const struct df_columns no_columns;
	bool removes = s->settings->upsert_mode && df_row_operation(m) == DF_OP_DELETE;
	struct df_value *row = NULL, *key;
	int code = df_row_body(m, arena, &no_columns, &row, err);

	if (code != 0 && !(removes && df_code_poison(code)))
		return code;
	key = df_object_get_c(row, s->settings->conflict_key);
	if (!key && removes)
		key = df_message_meta(m, "id"); /* a tombstone has no payload */
	if (!key || key->kind == DF_NULL || df_value_is_container(key))
		return df_error_set(err, DF_ERR_INVALID_DATA,
				    "conflictKey \"%s\" is %s in this message; it must be a text or a number",
				    s->settings->conflict_key, key ? df_kind_words(key->kind) : "missing");
	*c = (struct command){ { df_str_c(removes		     ? "HDEL"
					  : s->settings->upsert_mode ? "HSET"
								     : "HSETNX"),
				 df_str_c(s->settings->hash) },
			       2 };
	code = add_text(c, key, arena, err);
	return code == 0 && !removes ? add_text(c, row, arena, err) : code;
}

/* ---- one write ------------------------------------------------------------------------------------------- */

/* A message that no command can be made of is poison: it fails alone, and the others are written. */
static int make_all(struct mydb_sink *s, struct df_write *w, struct command *commands, size_t *ret_count,
		    struct df_error *err)
{
	*ret_count = 0;
	for (size_t i = 0; i < w->count; i++) {
		struct command *c = &commands[*ret_count];
		struct df_error reason = DF_ERROR_INIT;
		int code = s->settings->hash ? make_field(s, w->messages[i], w->arena, c, &reason)
					     : make_entry(s, w->messages[i], w->arena, c, &reason);

		if (df_code_poison(code)) {
			df_write_fail(w, i, &reason);
			continue;
		}
		if (code != 0)
			return df_error_set(err, code, "%s", reason.text);
		c->message = i;
		++*ret_count;
	}
	return 0;
}

static int send_all(struct mydb_sink *s, const struct command *commands, size_t count, struct df_error *err)
{
	int code = mydb_send(s->client, &DF_STR("MULTI"), 1, err);

	for (size_t i = 0; code == 0 && i < count; i++)
		code = mydb_send(s->client, commands[i].args, commands[i].count, err);
	return code == 0 ? mydb_send(s->client, &DF_STR("EXEC"), 1, err) : code;
}

/* What became of one command, from the server's answer to it. Without a result of its own a message is confirmed. */
static void settle(struct mydb_sink *s, struct df_write *w, const struct command *c, const redisReply *answer)
{
	struct df_error reason = DF_ERROR_INIT;

	if (mydb_reply_error(answer, &reason) != 0) {
		df_error_prefix(&reason, "`%s`", s->settings->hash ? s->settings->hash : s->settings->stream);
		df_write_fail(w, c->message, &reason);
	} else if (s->settings->hash && !s->settings->upsert_mode && answer->integer == 0) {
		w->unchanged++; /* HSETNX: the key was there */
	}
}

/* One answer to MULTI, one to each command (it is queued, or refused), and that of EXEC, which holds the results. */
static int receive_all(struct mydb_sink *s, struct df_context *ctx, struct df_write *w, const struct command *commands,
		       size_t count, struct df_error *err)
{
	df_cleanup(mydb_reply_freep) redisReply *results = NULL;
	int code, refused = 0;

	for (size_t i = 0; i < count + 2; i++) {
		if (results)
			freeReplyObject(DF_TAKE(results));
		code = mydb_receive(s->client, ctx, MYDB_SILENCE_MS, &results, err);
		if (code != 0)
			return code;
		if (refused == 0)
			refused = mydb_reply_error(results, err);
	}
	if (refused != 0)
		return refused; /* EXEC did nothing */
	if (!mydb_reply_at(results, count - 1))
		return df_error_set(err, DF_ERR_CONNECTION, "the server answered EXEC with too few results");
	for (size_t i = 0; i < count; i++)
		settle(s, w, &commands[i], results->element[i]);
	return 0;
}

static int sink_write(struct df_sink *sink, struct df_context *ctx, struct df_write *w, struct df_error *err)
{
	struct mydb_sink *s = sink_of(sink);
	df_cleanup(df_base_call_end) struct df_base_call call = { 0 };
	struct command *commands = df_arena_alloc(w->arena, w->count * sizeof(*commands));
	size_t count = 0;
	int code = df_base_use(&s->base, ctx, &call, err);

	if (code == 0 && !commands)
		code = df_error_no_memory(err);
	if (code == 0)
		code = make_all(s, w, commands, &count, err);
	if (code == 0 && count > 0)
		code = send_all(s, commands, count, err);
	if (code == 0 && count > 0)
		code = receive_all(s, call.ctx, w, commands, count, err);
	return code;
}

/* Absent batchSize: what is there is written at once, up to so many rows together. */
static void sink_batching(const void *settings, struct df_batching *ret)
{
	const struct mydb_sink_settings *config = settings;

	*ret = (struct df_batching){ .size = config->batch.size,
				     .interval_seconds = config->batch.interval_seconds,
				     .default_size = 1,
				     .default_together = 1000 };
}

const struct df_sink_ops mydb_sink_ops = {
	.create = sink_create,
	.connect = sink_connect,
	.write = sink_write,
	.close = sink_close,
	.free = sink_free,
	.batching = sink_batching,
};

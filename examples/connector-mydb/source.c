/*
 * The source: the entries of a stream become messages, in order. The server waits for new entries (XREAD BLOCK), which
 * takes as long as it takes: the connection is borrowed meanwhile, no lock is held, and close gets in.
 */
#include <inttypes.h>

#include "client.h"
#include "settings.h"

struct mydb_source {
	struct df_base_connector_rw base;
	const struct mydb_source_settings *settings;
	struct mydb_client *client; /* set by connect, borrowed by read, freed by close once it is returned */
	char last_read_id[64];	    /* under the lock */
};

static struct mydb_source *source_of(struct df_source *s)
{
	return DF_CONTAINER_OF(s, struct mydb_source, base.state.source);
}

/* ---- position -------------------------------------------------------------------------------------------- */

static void set_last_read_id(struct mydb_source *s, struct df_str id)
{
	df_base_rw_lock(&s->base);
	DF_UNLOCK_ON_RETURN(&s->base);
	snprintf(s->last_read_id, sizeof(s->last_read_id), DF_STR_FMT, DF_STR_ARG(id));
}

static int source_restore(struct df_source *source, const struct df_value *checkpoint, struct df_error *err)
{
	struct mydb_source *s = source_of(source);
	const struct df_value *stream = df_object_get_c(checkpoint, "stream");
	const struct df_value *last = df_object_get_c(checkpoint, "lastReadId");
	struct df_str id = last ? df_str(last->text, last->len) : DF_STR("");

	if (!last)
		return 0;
	if (last->kind != DF_STRING || mydb_id_check(id, NULL) != 0)
		return df_error_set(
			err, DF_ERR_CONFIG,
			"the checkpoint is damaged: lastReadId is not an entry's id; set checkpointReset: true "
			"to start over");
	if (!stream || !df_value_string_equal(stream, df_str_c(s->settings->stream)))
		return df_error_set(err, DF_ERR_CONFIG,
				    "the checkpoint is not of the stream `%s`; set checkpointReset: true to start over",
				    s->settings->stream);
	set_last_read_id(s, id);
	return 0;
}

/* A stream is one partition, so the last commit is the newest. Called by another thread than read. */
static int source_commit(struct df_source *source, const struct df_commit *commits, size_t count,
			 struct df_value *checkpoint, struct df_arena *arena, struct df_error *err)
{
	if (count == 0)
		return 0;
	struct df_value *stream = df_value_string_copy(arena, df_str_c(source_of(source)->settings->stream));
	struct df_value *last = df_value_string_copy(arena, commits[count - 1].position.data);
	if (!stream || !last)
		return df_error_no_memory(err);
	df_object_set(checkpoint, DF_STR("stream"), stream);
	df_object_set(checkpoint, DF_STR("lastReadId"), last);
	return 0;
}

/*
 * A stream that was deleted and made anew while the server's clock was set back counts from an earlier id, and nothing
 * would ever come behind our position. Nobody would notice, so it is an error.
 */
static int check_position(struct mydb_source *s, struct df_context *ctx, struct df_error *err)
{
	const struct df_str exists[] = { DF_STR("EXISTS"), df_str_c(s->settings->stream) };
	const struct df_str info[] = { DF_STR("XINFO"), DF_STR("STREAM"), df_str_c(s->settings->stream) };
	df_cleanup(mydb_reply_freep) redisReply *there = NULL, *stream = NULL;
	struct mydb_id ours, newest;
	int code = mydb_command(s->client, ctx, exists, DF_ARRAY_SIZE(exists), MYDB_SILENCE_MS, &there, err);

	if (code == 0 && there->integer > 0)
		code = mydb_command(s->client, ctx, info, DF_ARRAY_SIZE(info), MYDB_SILENCE_MS, &stream, err);
	if (code != 0 || !mydb_id_parse(mydb_reply_member(stream, "last-generated-id"), &newest) ||
	    !mydb_id_parse(df_str_c(s->last_read_id), &ours) || mydb_id_compare(ours, newest) <= 0)
		return code;
	return df_error_set(err, DF_ERR_CONFIG,
			    "the position %s is beyond the end of the stream `%s`, so that was made anew; set "
			    "checkpointReset: true to read it from its beginning",
			    s->last_read_id, s->settings->stream);
}

/* ---- life ------------------------------------------------------------------------------------------------ */

static int source_create(const void *settings, const struct df_connector_env *env, struct df_source **ret,
			 struct df_error *err)
{
	struct mydb_source *s = df_base_rw_source_new(sizeof(*s), &mydb_source_ops, env, err);

	if (!s)
		return DF_ERR_NO_MEMORY;
	s->settings = settings;
	set_last_read_id(s, df_str_c(s->settings->start_id));
	*ret = &s->base.state.source;
	return 0;
}

static int source_connect(struct df_source *source, struct df_context *ctx, struct df_error *err)
{
	struct mydb_source *s = source_of(source);
	df_cleanup(df_base_call_end) struct df_base_call call = { 0 };
	int code = df_base_rw_connect(&s->base, ctx, &call, err);

	if (code != 0 || s->base.state.connected)
		return code;
	code = mydb_connect(s->settings->connection_string.value, call.ctx, &s->client, err);
	if (code == 0 && strcmp(s->last_read_id, s->settings->start_id) != 0)
		code = check_position(s, call.ctx, err);
	if (code == 0)
		s->base.state.connected = true;
	else
		mydb_disconnect(DF_TAKE(s->client));
	return code;
}

static int source_close(struct df_source *source, struct df_error *err)
{
	struct mydb_source *s = source_of(source);

	(void)err;
	if (df_base_rw_guard_close(&s->base))
		return 0;
	DF_UNLOCK_ON_RETURN(&s->base);
	mydb_disconnect(DF_TAKE(s->client));
	return 0;
}

static void source_free(struct df_source *source)
{
	if (!source)
		return;
	source_close(source, NULL);
	df_base_connector_rw_free(&source_of(source)->base);
}

/* ---- one entry ------------------------------------------------------------------------------------------- */

/* Is it an entry as the sink writes it: `data`, and perhaps `_metadata`? What is in them. */
static bool unwrap(const redisReply *fields, struct df_arena *arena, struct df_str *ret_payload,
		   struct df_value **ret_metadata)
{
	struct df_value *metadata = *ret_metadata;

	if ((fields->elements != 2 && fields->elements != 4) ||
	    !df_str_equal_c(mydb_reply_str(fields->element[0]), "data"))
		return false;
	if (fields->elements == 4) {
		struct df_str text = df_arena_dup(arena, mydb_reply_str(fields->element[3]));
		if (!df_str_equal_c(mydb_reply_str(fields->element[2]), "_metadata") ||
		    df_value_parse(text, arena, &metadata, NULL) != DF_PARSE_OK || metadata->kind != DF_OBJECT)
			return false;
	}
	*ret_metadata = metadata;
	*ret_payload = df_arena_dup(arena, mydb_reply_str(fields->element[1]));
	return ret_payload->ptr != NULL;
}

/* Any other entry is an object of its fields. */
static int make_document(const redisReply *fields, struct df_arena *arena, struct df_message *m, struct df_error *err)
{
	struct df_value *document = df_value_new(arena, DF_OBJECT);

	for (size_t i = 0; document && i + 1 < fields->elements; i += 2) {
		struct df_str name = df_arena_dup(arena, mydb_reply_str(fields->element[i]));
		struct df_str text = df_arena_dup(arena, mydb_reply_str(fields->element[i + 1]));
		struct df_value *v =
			df_utf8_valid(text, NULL) ? df_value_string(arena, text) : df_value_bytes(arena, text);
		if (!name.ptr || !text.ptr || !v)
			return df_error_no_memory(err);
		if (!df_utf8_valid(name, NULL))
			return df_error_set(err, DF_ERR_INVALID_DATA, "the name of field %zu is not valid UTF-8",
					    i / 2 + 1);
		df_object_set(document, name, v);
	}
	if (!document)
		return df_error_no_memory(err);
	df_message_set_document(m, document);
	return 0;
}

/* What cannot be decoded goes on as a message with a reason: the error sink gets it, and the position moves past it. */
static int set_failure(struct df_message *m, struct df_arena *arena, const struct df_error *reason,
		       struct df_error *err)
{
	struct df_error *kept = df_arena_alloc(arena, sizeof(*kept));

	if (!kept)
		return df_error_no_memory(err);
	*kept = *reason;
	m->failure = kept;
	return 0;
}

static int add_message(struct mydb_source *s, struct df_partition *partition, struct df_batch *batch,
		       const redisReply *entry, struct df_error *err)
{
	struct df_arena *arena = &batch->arena;
	struct df_str id = df_arena_dup(arena, mydb_reply_str(mydb_reply_at(entry, 0)));
	const redisReply *fields = mydb_reply_at(entry, 1);
	struct df_message *m = df_batch_add(batch);
	struct df_value *metadata = df_value_new(arena, DF_OBJECT);
	struct df_error reason = DF_ERROR_INIT;
	struct mydb_id parts;
	int code = 0;

	if (!m || !metadata)
		return df_error_no_memory(err);
	if (!mydb_id_parse(id, &parts) || !fields)
		return df_error_set(err, DF_ERR_CONNECTION, "the server sent an entry without an id or without fields");
	m->partition = partition;
	m->position = (struct df_position){ .number = parts.ms, .data = id };
	m->timestamp_ns = parts.ms < INT64_MAX / DF_NS_PER_MS ? parts.ms * DF_NS_PER_MS : 0;
	if (!unwrap(fields, arena, &m->payload, &metadata))
		code = make_document(fields, arena, m, &reason);
	if (df_code_poison(code))
		code = set_failure(m, arena, &reason, err);
	for (size_t i = 0; i < fields->elements; i++)
		batch->bytes += fields->element[i]->len;
	struct df_value *stream = df_value_string(arena, df_str_c(s->settings->stream));
	struct df_value *entry_id = df_value_string(arena, id);
	if (code != 0 || !stream || !entry_id)
		return code != 0 ? code : df_error_no_memory(err);
	df_object_set(metadata, DF_STR("stream"), stream);
	df_object_set(metadata, DF_STR("id"), entry_id);
	m->metadata = metadata;
	return 0;
}

/* ---- reading --------------------------------------------------------------------------------------------- */

/* Emits the entries of one answer, in as many batches as the pipeline likes. */
static int emit_entries(struct mydb_source *s, struct df_partition *partition, struct df_context *ctx,
			struct df_emitter *out, const redisReply *entries, struct df_error *err)
{
	int code = 0;

	for (size_t i = 0; code == 0 && i < entries->elements;) {
		struct df_batch *batch = df_emitter_batch(out);

		if (!batch)
			return df_error_no_memory(err);
		while (code == 0 && i < entries->elements && batch->count < out->batch_messages &&
		       batch->bytes < out->batch_bytes)
			code = add_message(s, partition, batch, entries->element[i++], err);
		if (code == 0)
			code = df_emitter_emit(out, ctx, &batch, err);
		if (code == 0)
			set_last_read_id(s, mydb_reply_str(entries->element[i - 1]->element[0]));
		df_batch_free(batch);
	}
	return code;
}

/* Asks once. *ret_empty: there was nothing new. */
static int read_entries(struct mydb_source *s, struct df_partition *partition, struct df_context *ctx,
			struct df_emitter *out, bool *ret_empty, struct df_error *err)
{
	df_cleanup(mydb_reply_freep) redisReply *answer = NULL;
	char id[sizeof(s->last_read_id)], count[16], block[16];
	int block_ms = s->base.state.env.once ? 0 : s->settings->poll_interval * 1000;
	struct df_str args[MYDB_ARGS_MAX] = { DF_STR("XREAD"), DF_STR("COUNT") };
	size_t n = 2;

	df_base_rw_rlock(&s->base);
	memcpy(id, s->last_read_id, sizeof(id));
	df_base_rw_runlock(&s->base);
	snprintf(count, sizeof(count), "%" PRId32, s->settings->read_batch_size);
	snprintf(block, sizeof(block), "%d", block_ms);
	args[n++] = df_str_c(count);
	if (block_ms > 0) {
		args[n++] = DF_STR("BLOCK");
		args[n++] = df_str_c(block);
	}
	args[n++] = DF_STR("STREAMS");
	args[n++] = df_str_c(s->settings->stream);
	args[n++] = df_str_c(id);
	int code = mydb_command(s->client, ctx, args, n, block_ms + MYDB_SILENCE_MS, &answer, err);

	if (code == DF_ERR_CONFIG)
		df_error_prefix(err, "`%s`", s->settings->stream);
	*ret_empty = code == 0 && answer->type == REDIS_REPLY_NIL;
	if (code != 0 || *ret_empty)
		return code;
	const redisReply *entries = mydb_reply_at(mydb_reply_at(answer, 0), 1);
	if (entries)
		return emit_entries(s, partition, ctx, out, entries, err);
	return df_error_set(err, DF_ERR_CONNECTION, "the server answered XREAD with something else than entries");
}

static int source_read(struct df_source *source, struct df_context *caller, struct df_emitter *out,
		       struct df_error *err)
{
	struct mydb_source *s = source_of(source);
	df_cleanup(df_base_call_end) struct df_base_call call = { 0 };
	struct df_partition *partition = NULL;
	bool empty = false;
	int code = df_base_rw_use(&s->base, caller, &call, err);

	if (code == 0)
		code = df_emitter_partition(out, df_str_c(s->settings->stream), &partition, err);
	while (code == 0 && !(empty && s->base.state.env.once)) {
		code = read_entries(s, partition, call.ctx, out, &empty, err);
		if (empty)
			df_emitter_idle(out);
	}
	return code;
}

const struct df_source_ops mydb_source_ops = {
	.create = source_create,
	.restore = source_restore,
	.connect = source_connect,
	.read = source_read,
	.commit = source_commit,
	.describe = source_commit,
	.close = source_close,
	.free = source_free,
};

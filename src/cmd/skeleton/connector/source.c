/*
 * The @title@ source: what a message is made of, and where reading goes on. The order of calls, and which thread makes
 * them, stand at the top of the contract (connectors/interface.h).
 */
#include "@dir@store.h"

struct source {
	struct df_base_connector@_rw@ base; /* first: the base and this struct are one object */
	const struct df_@name@_source_settings *settings;
	struct df_@name@ *db; /* NULL: not connected */

	/* FILL IN: the position, of the last record that was emitted, and what tells it from one of another store. Only
	 * restore, connect and read change it, which never run together: it needs no lock. */
	char store[17]; /* "": not known yet */
	uint64_t position;
};

static struct source *source_of(struct df_source *source)
{
	return DF_CONTAINER_OF(source, struct source, base.state.source);
}

/* ---- positions ------------------------------------------------------------------------------------------- */

#define RESET "set checkpointReset: true to start over"

/* FILL IN: the checkpoint is an object of your own; keys that you do not know belong to others. */
static int source_restore(struct df_source *source, const struct df_value *checkpoint, struct df_error *err)
{
	struct source *s = source_of(source);
	struct df_value *collection = df_object_get_c(checkpoint, "collection");
	struct df_value *store = df_object_get_c(checkpoint, "store");
	struct df_value *number = df_object_get_c(checkpoint, "number");
	int64_t position;

	if (!collection && !store && !number)
		return 0; /* a first run */
	if (!collection || collection->kind != DF_STRING || !store || store->kind != DF_STRING ||
	    store->len != sizeof(s->store) - 1 || !number || !df_value_to_int64(number, &position) || position < 0)
		return df_error_set(err, DF_ERR_CONFIG,
				    "the checkpoint of the @name@ source is damaged: restore it, or " RESET);
	if (!df_value_string_equal(collection, df_str_c(s->settings->connection.collection)))
		return df_error_set(err, DF_ERR_CONFIG,
				    "the checkpoint belongs to another collection than %s: name that one, or " RESET,
				    s->settings->connection.collection);
	memcpy(s->store, store->text, store->len);
	s->position = (uint64_t)position;
	return 0;
}

/* Is the position that was restored one of this store? A store that was emptied must not be read from its beginning, or
 * its end, as if nothing had happened. */
static int go_on(struct source *s, struct df_context *ctx, struct df_error *err)
{
	const char *store = df_@name@_id(s->db);
	bool there = false;
	int code;

	if (s->store[0] && strcmp(s->store, store) != 0)
		return df_error_set(err, DF_ERR_CONFIG,
				    "the collection %s is not the one that was read before: bring that back, or " RESET,
				    s->settings->connection.collection);
	memcpy(s->store, store, sizeof(s->store));
	code = df_@name@_seek(s->db, ctx, s->position, &there, err);
	if (code == 0 && !there)
		return df_error_set(err, DF_ERR_CONFIG, "the collection %s ends before the position %llu: " RESET,
				    s->settings->connection.collection, (unsigned long long)s->position);
	return code;
}

static int set_member(struct df_value *object, struct df_str key, struct df_value *value, struct df_error *err)
{
	if (!value)
		return df_error_no_memory(err);
	df_object_set(object, key, value);
	return 0;
}

/*
 * Everything up to the position is done. It comes from another thread than read, which holds the connection, so nothing
 * is touched here that read changes; a source that must tell its server only records the position and wakes read.
 */
static int source_commit(struct df_source *source, const struct df_commit *commits, size_t count,
			 struct df_value *checkpoint, struct df_arena *arena, struct df_error *err)
{
	struct source *s = source_of(source);
	int code;

	if (count == 0)
		return 0;
	/* There is one partition; a source with several keeps one position for each. */
	code = set_member(checkpoint, DF_STR("collection"),
			  df_value_string_copy(arena, df_str_c(s->settings->connection.collection)), err);
	if (code == 0)
		code = set_member(checkpoint, DF_STR("store"), df_value_string_copy(arena, df_str_c(s->store)), err);
	if (code == 0)
		code = set_member(checkpoint, DF_STR("number"),
				  df_value_int64(arena, commits[count - 1].position.number), err);
	return code;
}

/* ---- create, connect ------------------------------------------------------------------------------------- */

static int source_create(const void *settings, const struct df_connector_env *env, struct df_source **ret,
			 struct df_error *err)
{
	struct source *s = df_base@_rw@_source_new(sizeof(*s), &df_@name@_source_ops, env, err);

	if (!s)
		return DF_ERR_NO_MEMORY;
	s->settings = settings;
	*ret = &s->base.state.source;
	return 0;
}

/* FILL IN: open what read needs; give it back when a later step fails. */
static int source_connect(struct df_source *source, struct df_context *ctx, struct df_error *err)
{
	struct source *s = source_of(source);
	const struct df_@name@_connection *connection = &s->settings->connection;
	df_cleanup(df_base_call_end) struct df_base_call call = { 0 };
	int code = df_base@_rw@_connect(&s->base, ctx, &call, err);

	if (code != 0 || s->base.state.connected)
		return code;
	df_context_deadline(call.ctx, df_clock_monotonic() + connection->connect_timeout * DF_NS_PER_S);
	code = df_@name@_open(connection, call.ctx, &s->db, err);
	if (code == 0)
		code = go_on(s, call.ctx, err);
	if (code != 0) {
		df_@name@_close(DF_TAKE(s->db));
		return code;
	}
	s->base.state.connected = true;
	df_info(s->base.state.env.logger, "reading the collection %s of %s behind number %llu", connection->collection,
		connection->path, (unsigned long long)s->position);
	return 0;
}

/* ---- read ------------------------------------------------------------------------------------------------ */

/* FILL IN: what a message carries. Everything it points to lives in the batch's arena. */
static int add_message(struct df_batch *batch, const struct df_@name@_record *record, struct df_partition *partition,
		       struct df_value *metadata, struct df_error *err)
{
	struct df_message *m = df_batch_add(batch);

	if (!m)
		return df_error_no_memory(err);
	m->payload = record->text;
	m->key = record->key;
	m->metadata = metadata; /* shared by all messages of the batch */
	m->partition = partition;
	m->position.number = (int64_t)record->number;
	batch->bytes += record->text.len;
	return 0;
}

/* Records until the batch is full or there are no more. */
static int fill(struct source *s, struct df_context *ctx, const struct df_emitter *out, struct df_partition *partition,
		struct df_batch *batch, struct df_error *err)
{
	struct df_value *metadata = df_value_new(&batch->arena, DF_OBJECT);
	struct df_@name@_record record;
	bool more = true;
	int code = metadata ? 0 : df_error_no_memory(err);

	if (code == 0)
		code = set_member(metadata, DF_STR("collection"),
				  df_value_string(&batch->arena, df_str_c(s->settings->connection.collection)), err);
	while (code == 0 && batch->count < out->batch_messages && batch->bytes < out->batch_bytes) {
		code = df_@name@_next(s->db, ctx, &batch->arena, &record, &more, err);
		if (code != 0 || !more)
			break;
		code = add_message(batch, &record, partition, metadata, err);
	}
	return code;
}

/* One batch. *ret_count: messages that were emitted; 0: there is nothing new. */
static int read_batch(struct source *s, struct df_context *ctx, struct df_emitter *out, struct df_partition *partition,
		      size_t *ret_count, struct df_error *err)
{
	struct df_batch *batch = df_emitter_batch(out);
	uint64_t last;
	int code;

	*ret_count = 0;
	if (!batch)
		return df_error_no_memory(err);
	code = fill(s, ctx, out, partition, batch, err);
	if (code == 0 && batch->count > 0) {
		last = (uint64_t)batch->messages[batch->count - 1].position.number;
		*ret_count = batch->count;
		code = df_emitter_emit(out, ctx, &batch, err); /* waits while the pipeline is full */
		if (code == 0)
			s->position = last;
	}
	df_batch_free(batch); /* NULL when it was emitted */
	return code;
}

/* FILL IN: waiting for more. Every wait is on call.ctx, which ends with the caller's context and with close. */
static int source_read(struct df_source *source, struct df_context *ctx, struct df_emitter *out, struct df_error *err)
{
	struct source *s = source_of(source);
	struct df_partition *partition = NULL;
	size_t count = 0;
	bool there;
//@if rw
	/* Borrowed: no lock is held while it reads, and close waits until it is given back. */
//@end
	df_cleanup(df_base_call_end) struct df_base_call call = { 0 };
	int code = df_base@_rw@_use(&s->base, ctx, &call, err);

	if (code == 0)
		code = df_emitter_partition(out, df_str_c(s->settings->connection.collection), &partition, err);
	if (code == 0) /* a batch that an earlier read could not hand over is read again */
		code = df_@name@_seek(s->db, call.ctx, s->position, &there, err);
	while (code == 0) {
		code = read_batch(s, call.ctx, out, partition, &count, err);
		if (code != 0 || count > 0)
			continue;
		df_emitter_idle(out);
		if (s->base.state.env.once)
			return 0;
		if (df_context_sleep(call.ctx, s->settings->poll_interval * DF_NS_PER_S) != 0)
			code = df_context_check(call.ctx, err);
	}
	return code;
}

/* ---- close, free ----------------------------------------------------------------------------------------- */

/* From any thread, also while the others run. guard_close ends their waiting, waits for them, and then holds the lock.
 */
static int source_close(struct df_source *source, struct df_error *err)
{
	struct source *s = source_of(source);

	(void)err;
	if (df_base@_rw@_guard_close(&s->base))
		return 0; /* it was closed already */
	df_@name@_close(DF_TAKE(s->db));
	df_base@_rw@_unlock(&s->base);
	return 0;
}

static void source_free(struct df_source *source)
{
	if (!source)
		return;
	(void)source_close(source, NULL);
	df_base_connector@_rw@_free(&source_of(source)->base);
}

const struct df_source_ops df_@name@_source_ops = {
	.create = source_create,
	.restore = source_restore,
	.connect = source_connect,
	.read = source_read,
	.commit = source_commit,
	.describe = source_commit, /* a commit records nothing here */
	.close = source_close,
	.free = source_free,
};

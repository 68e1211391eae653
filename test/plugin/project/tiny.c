/* `tiny`: a source that counts and a sink that appends lines to a file. As it would stand in the tree: its includes are
 * those of the floors. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>

#include "connectors/base.h"
#include "connectors/writer.h"

/* ---- source ---------------------------------------------------------------------------------------------- */

struct tiny_count {
	int64_t count;
	struct df_secret token;
};

static const struct df_field tiny_count_fields[] = {
	DF_FIELD(struct tiny_count, count, "count", DF_REQUIRED, .min = 1, .max = INT32_MAX, .example = "3",
		 .doc = "How many messages there are."),
	DF_FIELD(struct tiny_count, token, "token", DF_SENSITIVE, .example = "secret", .doc = "Goes nowhere."),
};
static const struct df_table tiny_count_table = DF_TABLE(struct tiny_count, tiny_count_fields);

struct tiny_source {
	struct df_base_connector base;
	const struct tiny_count *settings;
	int64_t next; /* from 1 */
};

static struct tiny_source *tiny_source_of(struct df_source *s)
{
	return DF_CONTAINER_OF(s, struct tiny_source, base.state.source);
}

static const struct df_source_ops tiny_source_ops;

static int tiny_source_create(const void *settings, const struct df_connector_env *env, struct df_source **ret,
			      struct df_error *err)
{
	struct tiny_source *t = df_base_source_new(sizeof(*t), &tiny_source_ops, env, err);

	if (!t)
		return DF_ERR_NO_MEMORY;
	t->settings = settings;
	t->next = 1;
	*ret = &t->base.state.source;
	return 0;
}

static int tiny_source_restore(struct df_source *s, const struct df_value *checkpoint, struct df_error *err)
{
	const struct df_value *done = df_object_get_c(checkpoint, "done");
	int64_t n = 0;

	if (done && !df_value_to_int64(done, &n))
		return df_error_set(err, DF_ERR_CONFIG, "the checkpoint of tiny is damaged; set spec.checkpointReset");
	tiny_source_of(s)->next = n + 1;
	return 0;
}

static int tiny_source_connect(struct df_source *s, struct df_context *ctx, struct df_error *err)
{
	struct tiny_source *t = tiny_source_of(s);
	df_cleanup(df_base_call_end) struct df_base_call call = { 0 };
	int r = df_base_connect(&t->base, ctx, &call, err);

	if (r == 0)
		t->base.state.connected = true;
	return r;
}

static int tiny_source_read(struct df_source *s, struct df_context *ctx, struct df_emitter *out, struct df_error *err)
{
	struct tiny_source *t = tiny_source_of(s);
	df_cleanup(df_base_call_end) struct df_base_call call = { 0 };
	struct df_partition *partition;
	int r = df_base_use(&t->base, ctx, &call, err);

	if (r == 0)
		r = df_emitter_partition(out, DF_STR("tiny"), &partition, err);
	while (r == 0 && t->next <= t->settings->count) {
		struct df_batch *batch = df_emitter_batch(out);
		struct df_message *m = batch ? df_batch_add(batch) : NULL;
		char text[48];
		int len = snprintf(text, sizeof(text), "{\"id\": %" PRId64 "}", t->next);

		if (m) {
			m->payload = df_arena_dup(&batch->arena, df_str(text, (size_t)len));
			m->partition = partition;
			m->position.number = t->next++;
			batch->bytes = m->payload.len;
		}
		r = m && m->payload.ptr ? df_emitter_emit(out, call.ctx, &batch, err) : df_error_no_memory(err);
		df_batch_free(batch);
	}
	return r;
}

static int tiny_source_commit(struct df_source *s, const struct df_commit *commits, size_t count,
			      struct df_value *checkpoint, struct df_arena *arena, struct df_error *err)
{
	struct df_value *done = count ? df_value_int64(arena, commits[count - 1].position.number) : NULL;

	(void)s;
	if (count && !done)
		return df_error_no_memory(err);
	if (done)
		df_object_set(checkpoint, DF_STR("done"), done);
	return 0;
}

static int tiny_source_close(struct df_source *s, struct df_error *err)
{
	struct tiny_source *t = tiny_source_of(s);

	(void)err;
	if (!df_base_guard_close(&t->base))
		df_base_unlock(&t->base);
	return 0;
}

static void tiny_source_free(struct df_source *s)
{
	if (!s)
		return;
	tiny_source_close(s, NULL);
	df_base_connector_free(&tiny_source_of(s)->base);
}

static const struct df_source_ops tiny_source_ops = {
	.create = tiny_source_create,
	.restore = tiny_source_restore,
	.connect = tiny_source_connect,
	.read = tiny_source_read,
	.commit = tiny_source_commit,
	.close = tiny_source_close,
	.free = tiny_source_free,
};

/* ---- sink ------------------------------------------------------------------------------------------------ */

struct tiny_append {
	struct df_secret path;
};

static const struct df_field tiny_append_fields[] = {
	DF_FIELD(struct tiny_append, path, "path", DF_REQUIRED, .example = "out.jsonl", .doc = "The file."),
};
static const struct df_table tiny_append_table = DF_TABLE(struct tiny_append, tiny_append_fields);

struct tiny_sink {
	struct df_base_connector base;
	const struct tiny_append *settings;
	struct df_writer *writer;
};

static struct tiny_sink *tiny_sink_of(struct df_sink *s)
{
	return DF_CONTAINER_OF(s, struct tiny_sink, base.state.sink);
}

static const struct df_sink_ops tiny_sink_ops;

static int tiny_sink_create(const void *settings, const struct df_connector_env *env, struct df_sink **ret,
			    struct df_error *err)
{
	struct tiny_sink *t = df_base_sink_new(sizeof(*t), &tiny_sink_ops, env, err);

	if (!t)
		return DF_ERR_NO_MEMORY;
	t->settings = settings;
	*ret = &t->base.state.sink;
	return 0;
}

static int tiny_sink_connect(struct df_sink *s, struct df_context *ctx, struct df_error *err)
{
	struct tiny_sink *t = tiny_sink_of(s);
	df_cleanup(df_base_call_end) struct df_base_call call = { 0 };
	int fd, r = df_base_connect(&t->base, ctx, &call, err);

	if (r < 0 || t->base.state.connected)
		return r;
	fd = open(t->settings->path.value, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
	if (fd < 0)
		return df_error_errno(err, DF_ERR_CONFIG, errno, "cannot open %s", t->settings->path.value);
	r = df_writer_new(fd, true, t->settings->path.value, DF_COMPRESSION_NONE, &t->writer, err);
	t->base.state.connected = r == 0;
	return r;
}

static int tiny_sink_write(struct df_sink *s, struct df_context *ctx, struct df_write *w, struct df_error *err)
{
	struct tiny_sink *t = tiny_sink_of(s);
	df_cleanup(df_base_call_end) struct df_base_call call = { 0 };
	int r = df_base_use(&t->base, ctx, &call, err);

	for (size_t i = 0; i < w->count && r == 0; i++) {
		struct df_error one = DF_ERROR_INIT;

		if (df_writer_add_line(df_writer_buf(t->writer), w->messages[i], w->arena, &one) < 0)
			df_write_fail(w, i, &one);
		r = df_writer_spill(t->writer, call.ctx, err);
	}
	return r == 0 ? df_writer_end(t->writer, call.ctx, err) : r;
}

static int tiny_sink_close(struct df_sink *s, struct df_error *err)
{
	struct tiny_sink *t = tiny_sink_of(s);

	(void)err;
	if (df_base_guard_close(&t->base))
		return 0;
	df_writer_free(DF_TAKE(t->writer));
	df_base_unlock(&t->base);
	return 0;
}

static void tiny_sink_free(struct df_sink *s)
{
	if (!s)
		return;
	tiny_sink_close(s, NULL);
	df_base_connector_free(&tiny_sink_of(s)->base);
}

static const struct df_sink_ops tiny_sink_ops = {
	.create = tiny_sink_create,
	.connect = tiny_sink_connect,
	.write = tiny_sink_write,
	.close = tiny_sink_close,
	.free = tiny_sink_free,
};

/* ---- descriptor ------------------------------------------------------------------------------------------ */

static const struct df_type tiny_source_type = {
	.name = "tiny",
	.title = "Counts",
	.doc = "Of the tests.",
	.settings = &tiny_count_table,
	.example = "type: tiny\nconfig: {count: 3}\n",
};

static const struct df_type tiny_sink_type = {
	.name = "tiny",
	.title = "Appends lines",
	.doc = "Of the tests.",
	.settings = &tiny_append_table,
	.example = "type: tiny\nconfig: {path: out.jsonl}\n",
};

const struct df_connector df_connector_tiny = {
	.source = &tiny_source_type,
	.sink = &tiny_sink_type,
	.source_ops = &tiny_source_ops,
	.sink_ops = &tiny_sink_ops,
};

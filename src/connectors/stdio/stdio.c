/* `stdin` and `stdout`: the records and writers of the file connector on the descriptors that the process was started
 * with. */
#include <errno.h>
#include <fcntl.h>

#include "connectors/base.h"
#include "connectors/records.h"
#include "connectors/writer.h"

/* ---- stdin ----------------------------------------------------------------------------------------------- */

struct stdin_settings {
	struct df_records_settings records;
};

static const struct df_field stdin_fields[] = {
	DF_RECORDS_FIELDS(struct stdin_settings, records, "jsonl"),
};

static void check_stdin(const void *settings, const struct df_place *place, struct df_diags *diags)
{
	const struct df_records_settings *s = &((const struct stdin_settings *)settings)->records;

	if (s->format && df_format_of(s->format) == DF_FORMAT_CSV && !s->header && s->columns.count == 0)
		df_diag_error(diags, place, "header", "without a header `columns` must name the columns");
}

static const struct df_rule stdin_rules[] = {
	{ DF_RULE_CHECK, .fn = check_stdin },
};

static const struct df_table stdin_table = DF_TABLE_RULES(struct stdin_settings, stdin_fields, stdin_rules);

struct stdin_source {
	struct df_base_connector base;
	const struct stdin_settings *settings;
	struct df_bytes *bytes;
	struct df_records *records;
};

static struct stdin_source *stdin_of(struct df_source *s)
{
	return DF_CONTAINER_OF(s, struct stdin_source, base.state.source);
}

static const struct df_source_ops stdin_ops;

static int stdin_create(const void *settings, const struct df_connector_env *env, struct df_source **ret,
			struct df_error *err)
{
	struct stdin_source *s = df_base_source_new(sizeof(*s), &stdin_ops, env, err);

	if (!s)
		return DF_ERR_NO_MEMORY;
	s->settings = settings;
	*ret = &s->base.state.source;
	return 0;
}

static int stdin_connect(struct df_source *source, struct df_context *ctx, struct df_error *err)
{
	struct stdin_source *s = stdin_of(source);
	const struct df_records_settings *settings = &s->settings->records;
	struct df_records_options options = {
		.settings = settings,
		.format = settings->format ? df_format_of(settings->format) : DF_FORMAT_JSONL,
		.delimiter = settings->delimiter ? *settings->delimiter : ',',
		.name = "stdin",
		.limit_path = "spec.source.config.",
	};
	int r;

	(void)ctx;
	if (!df_base_guard_connect(&s->base, err))
		return DF_ERR_CLOSED;
	DF_UNLOCK_ON_RETURN(&s->base);
	if (s->base.state.connected)
		return 0;
	if (fcntl(STDIN_FILENO, F_GETFD) < 0)
		return df_error_set(err, DF_ERR_CONFIG,
				    "the standard input is closed: give the process one, with < FILE or |");
	r = df_bytes_new(STDIN_FILENO, "stdin", df_compression_of(settings->compression), &s->bytes, err);
	if (r == 0)
		r = df_records_new(s->bytes, &options, &s->records, err);
	if (r < 0) {
		df_bytes_free(DF_TAKE(s->bytes));
		return r;
	}
	s->base.state.connected = true;
	return 0;
}

/* What was read is handed out before the next wait, and before a failure. */
static int stdin_read_all(struct stdin_source *s, struct df_context *ctx, struct df_emitter *out,
			  struct df_batch **batch, struct df_error *err)
{
	struct df_partition *partition = NULL;
	struct df_error why = DF_ERROR_INIT;
	int r = df_emitter_partition(out, DF_STR("stdin"), &partition, err);

	while (r == 0) {
		int filled = df_records_fill(s->records, ctx, out, partition, true, batch, &why);

		r = df_records_emit(s->records, ctx, out, batch, err);
		if (filled < 0) {
			if (err && (r == 0 || r == DF_ERR_CANCELED))
				*err = why;
			return filled;
		}
		if (filled == DF_RECORDS_END)
			break;
	}
	return r;
}

static int stdin_read(struct df_source *source, struct df_context *caller, struct df_emitter *out, struct df_error *err)
{
	struct stdin_source *s = stdin_of(source);
	struct df_batch *batch = NULL;
	df_cleanup(df_base_call_end) struct df_base_call call = { 0 };
	int r = df_base_use(&s->base, caller, &call, err);

	if (r == 0)
		r = stdin_read_all(s, call.ctx, out, &batch, err);
	df_batch_free(batch);
	return r;
}

static int stdin_close(struct df_source *source, struct df_error *err)
{
	struct stdin_source *s = stdin_of(source);

	(void)err;
	if (df_base_guard_close(&s->base))
		return 0;
	DF_UNLOCK_ON_RETURN(&s->base);
	df_records_free(DF_TAKE(s->records));
	df_bytes_free(DF_TAKE(s->bytes));
	return 0;
}

static void stdin_free(struct df_source *source)
{
	if (!source)
		return;
	stdin_close(source, NULL);
	df_base_connector_free(&stdin_of(source)->base);
}

static const struct df_source_ops stdin_ops = {
	.create = stdin_create,
	.connect = stdin_connect,
	.read = stdin_read,
	.close = stdin_close,
	.free = stdin_free,
};

static const char *stdin_loses(const void *settings)
{
	(void)settings;
	return "it cannot be read twice: what was read and not yet written is gone after a crash";
}

static const struct df_type stdin_type = {
	.name = "stdin",
	.title = "Reads the standard input",
	.doc = "Reads JSON Lines, one JSON document, or CSV, until the input ends. It keeps no position: a pipe cannot "
	       "be read twice.",
	.settings = &stdin_table,
	.settings_optional = true,
	.example = "type: stdin\n",
	.loses = stdin_loses,
};

/* ---- stdout ---------------------------------------------------------------------------------------------- */

struct stdout_settings {
	char none; /* C has no empty struct */
};

static const struct df_table stdout_table = { .size = sizeof(struct stdout_settings) };

struct stdout_sink {
	struct df_base_connector base;
	struct df_writer *writer;
};

static struct stdout_sink *stdout_of(struct df_sink *s)
{
	return DF_CONTAINER_OF(s, struct stdout_sink, base.state.sink);
}

static const struct df_sink_ops stdout_ops;

static int stdout_create(const void *settings, const struct df_connector_env *env, struct df_sink **ret,
			 struct df_error *err)
{
	struct stdout_sink *s = df_base_sink_new(sizeof(*s), &stdout_ops, env, err);

	(void)settings;
	if (!s)
		return DF_ERR_NO_MEMORY;
	*ret = &s->base.state.sink;
	return 0;
}

static int stdout_connect(struct df_sink *sink, struct df_context *ctx, struct df_error *err)
{
	struct stdout_sink *s = stdout_of(sink);
	int r = 0;

	(void)ctx;
	if (!df_base_guard_connect(&s->base, err))
		return DF_ERR_CLOSED;
	DF_UNLOCK_ON_RETURN(&s->base);
	if (fcntl(STDOUT_FILENO, F_GETFD) < 0)
		return df_error_set(err, DF_ERR_CONFIG,
				    "the standard output is closed: give the process one, with > FILE or |");
	if (!s->writer)
		r = df_writer_new(STDOUT_FILENO, false, "the standard output", DF_COMPRESSION_NONE, &s->writer, err);
	s->base.state.connected = r == 0;
	return r;
}

static int stdout_step(struct stdout_sink *s, struct df_context *ctx, struct df_write *w, struct df_error *err)
{
	struct df_buf *buf = df_writer_buf(s->writer);
	int r = 0;

	for (size_t i = 0; r == 0 && i < w->count; i++) {
		struct df_error why = DF_ERROR_INIT;

		r = df_writer_add_line(buf, w->messages[i], w->arena, &why);
		if (df_code_poison(r)) {
			df_write_fail(w, i, &why);
			r = 0;
		}
		if (r < 0 && err)
			*err = why;
		if (r == 0)
			r = df_writer_spill(s->writer, ctx, err);
	}
	if (r < 0)
		df_writer_undo(s->writer);
	return r < 0 ? r : df_writer_end(s->writer, ctx, err);
}

static int stdout_write(struct df_sink *sink, struct df_context *caller, struct df_write *w, struct df_error *err)
{
	struct stdout_sink *s = stdout_of(sink);
	struct df_base_scope scope;
	int r;

	if (!df_base_guard_use(&s->base, err))
		return DF_ERR_CLOSED;
	DF_UNLOCK_ON_RETURN(&s->base);
	if (!df_writer_waits(s->writer))
		return stdout_step(s, caller, w, err);
	r = df_base_scope_begin(&s->base.state, caller, &scope, err);
	if (r == 0)
		r = stdout_step(s, scope.ctx, w, err);
	df_base_scope_end(&scope);
	return r;
}

static int stdout_sync(struct df_sink *sink, struct df_context *ctx, bool final, struct df_error *err)
{
	struct stdout_sink *s = stdout_of(sink);

	(void)ctx, (void) final;
	if (!df_base_guard_use(&s->base, err))
		return DF_ERR_CLOSED;
	DF_UNLOCK_ON_RETURN(&s->base);
	return df_writer_sync(s->writer, err);
}

static int stdout_close(struct df_sink *sink, struct df_error *err)
{
	struct stdout_sink *s = stdout_of(sink);

	(void)err;
	if (df_base_guard_close(&s->base))
		return 0;
	DF_UNLOCK_ON_RETURN(&s->base);
	df_writer_free(DF_TAKE(s->writer));
	return 0;
}

static void stdout_free(struct df_sink *sink)
{
	if (!sink)
		return;
	stdout_close(sink, NULL);
	df_base_connector_free(&stdout_of(sink)->base);
}

static void stdout_batching(const void *settings, struct df_batching *ret)
{
	(void)settings;
	*ret = (struct df_batching){ .default_size = 1, .default_together = 2048 };
}

static const struct df_sink_ops stdout_ops = {
	.create = stdout_create,
	.connect = stdout_connect,
	.write = stdout_write,
	.sync = stdout_sync,
	.close = stdout_close,
	.free = stdout_free,
	.batching = stdout_batching,
};

static const struct df_type stdout_type = {
	.name = "stdout",
	.title = "Writes the standard output as JSON Lines",
	.doc = "Each message is a line. When nobody reads the output any more the pipeline ends with an error instead "
	       "of trying again for ever. It has no settings.",
	.settings = &stdout_table,
	.settings_optional = true,
	.example = "type: stdout\n",
};

const struct df_connector df_connector_stdio = {
	.source = &stdin_type,
	.sink = &stdout_type,
	.source_ops = DF_WITH_STDIO ? &stdin_ops : NULL,
	.sink_ops = DF_WITH_STDIO ? &stdout_ops : NULL,
};

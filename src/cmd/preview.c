#include "cmd/preview.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

struct preview_sink {
	struct df_sink sink;
	struct df_preview *preview;
};

static int preview_connect(struct df_sink *s, struct df_context *ctx, struct df_error *err)
{
	(void)s;
	(void)ctx;
	(void)err;
	return 0;
}

static int preview_write(struct df_sink *s, struct df_context *ctx, struct df_write *w, struct df_error *err)
{
	struct df_preview *preview = ((struct preview_sink *)s)->preview;
	struct df_buf buf = { 0 };
	int r = 0;

	(void)ctx;
	DF_LOCK_SCOPE(&preview->lock);
	for (size_t i = 0; i < w->count && preview->shown < preview->max; i++, preview->shown++) {
		df_message_write(w->messages[i], &buf);
		df_buf_add_char(&buf, '\n');
	}
	if (buf.failed)
		r = df_error_no_memory(err);
	else if (fwrite(buf.data, 1, buf.len, stdout) != buf.len || fflush(stdout) != 0)
		r = df_error_errno(err, DF_ERR_UNKNOWN, errno, "cannot write to standard output");
	df_buf_done(&buf);
	if (preview->shown >= preview->max)
		df_context_cancel(preview->enough);
	return r;
}

static int preview_close(struct df_sink *s, struct df_error *err)
{
	(void)s;
	(void)err;
	return 0;
}

static void preview_free(struct df_sink *s)
{
	free(s);
}

static const struct df_sink_ops preview_ops = {
	.connect = preview_connect,
	.write = preview_write,
	.close = preview_close,
	.free = preview_free,
};

int df_preview_make_sink(void *preview, const struct df_component *component, const struct df_connector_env *env,
			 struct df_sink **ret, struct df_error *err)
{
	struct preview_sink *s = calloc(1, sizeof(*s));

	(void)component;
	(void)env;
	if (!s)
		return df_error_no_memory(err);
	s->sink.ops = &preview_ops;
	s->preview = preview;
	*ret = &s->sink;
	return 0;
}

/* `discard`: a sink that confirms everything and keeps nothing. The smallest connector there can be. */
#include <inttypes.h>

#include "connectors/base.h"

struct discard_settings {
	char none; /* C has no empty struct */
};

static const struct df_table discard_table = { .size = sizeof(struct discard_settings) };

struct discard_sink {
	struct df_base_connector base;
	uint64_t messages;
};

static struct discard_sink *discard_of(struct df_sink *s)
{
	return DF_CONTAINER_OF(s, struct discard_sink, base.state.sink);
}

static const struct df_sink_ops discard_ops;

static int discard_create(const void *settings, const struct df_connector_env *env, struct df_sink **ret,
			  struct df_error *err)
{
	struct discard_sink *d = df_base_sink_new(sizeof(*d), &discard_ops, env, err);

	(void)settings;
	if (!d)
		return DF_ERR_NO_MEMORY;
	*ret = &d->base.state.sink;
	return 0;
}

static int discard_connect(struct df_sink *s, struct df_context *ctx, struct df_error *err)
{
	struct discard_sink *d = discard_of(s);

	(void)ctx;
	if (!df_base_guard_connect(&d->base, err))
		return DF_ERR_CLOSED;
	DF_UNLOCK_ON_RETURN(&d->base);
	d->base.state.connected = true;
	return 0;
}

static int discard_write(struct df_sink *s, struct df_context *ctx, struct df_write *w, struct df_error *err)
{
	struct discard_sink *d = discard_of(s);

	(void)ctx;
	if (!df_base_guard_use(&d->base, err))
		return DF_ERR_CLOSED;
	DF_UNLOCK_ON_RETURN(&d->base);
	d->messages += w->count;
	return 0;
}

static int discard_close(struct df_sink *s, struct df_error *err)
{
	struct discard_sink *d = discard_of(s);

	(void)err;
	if (df_base_guard_close(&d->base))
		return 0;
	DF_UNLOCK_ON_RETURN(&d->base);
	df_debug(d->base.state.env.logger, "discarded %" PRIu64 " messages", d->messages);
	return 0;
}

static void discard_free(struct df_sink *s)
{
	if (!s)
		return;
	discard_close(s, NULL);
	df_base_connector_free(&discard_of(s)->base);
}

static const struct df_sink_ops discard_ops = {
	.create = discard_create,
	.connect = discard_connect,
	.write = discard_write,
	.close = discard_close,
	.free = discard_free,
};

static const char *discard_loses(const void *settings)
{
	(void)settings;
	return "it keeps nothing, on purpose";
}

static const struct df_type discard_type = {
	.name = "discard",
	.title = "Confirms every message and keeps none",
	.doc = "For trying out a source or a chain of transformations, and for measuring them: the counts of the run "
	       "are all there is to see. It has no settings.",
	.settings = &discard_table,
	.settings_optional = true,
	.example = "type: discard\n",
	.loses = discard_loses,
};

const struct df_connector df_connector_discard = {
	.sink = &discard_type,
	.sink_ops = DF_WITH_DISCARD ? &discard_ops : NULL,
};

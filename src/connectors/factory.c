#include "connectors/factory.h"

#include <pthread.h>

#include "transformers/factory.h"

#define DF_CONNECTOR(name) extern const struct df_connector df_connector_##name;
#include "connectors/list.h"
#undef DF_CONNECTOR

enum {
#define DF_CONNECTOR(name) DF_LISTED_##name,
#include "connectors/list.h"
#undef DF_CONNECTOR
	DF_LISTED,
	DF_CONNECTORS_MAX = DF_LISTED + 64,
};

/* The list, and behind it what was added; or in its place (df_connectors_add). Written before there are threads. */
static const struct df_connector *df_connectors[DF_CONNECTORS_MAX] = {
#define DF_CONNECTOR(name) &df_connector_##name,
#include "connectors/list.h"
#undef DF_CONNECTOR
};
static size_t df_connector_count = DF_LISTED;

/* ---- types ----------------------------------------------------------------------------------------------- */

/* Derived from the list on first use, never changed afterwards. */
static struct {
	pthread_once_t once;
	const struct df_type *sources[DF_CONNECTORS_MAX];
	const struct df_type *sinks[DF_CONNECTORS_MAX];
	struct df_registry registry;
} df_types = { .once = PTHREAD_ONCE_INIT };

static void df_types_fill(void)
{
	struct df_registry *registry = &df_types.registry;

	for (size_t i = 0; i < df_connector_count; i++) {
		if (df_connectors[i]->source)
			df_types.sources[registry->count[DF_SOURCE]++] = df_connectors[i]->source;
		if (df_connectors[i]->sink)
			df_types.sinks[registry->count[DF_SINK]++] = df_connectors[i]->sink;
	}
	registry->types[DF_SOURCE] = df_types.sources;
	registry->types[DF_SINK] = df_types.sinks;
	registry->types[DF_TRANSFORMATION] = df_transformer_types(&registry->count[DF_TRANSFORMATION]);
}

const struct df_registry *df_registry(void)
{
	pthread_once(&df_types.once, df_types_fill);
	return &df_types.registry;
}

const struct df_type *const *df_source_types(size_t *ret_count)
{
	*ret_count = df_registry()->count[DF_SOURCE];
	return df_types.sources;
}

const struct df_type *const *df_sink_types(size_t *ret_count)
{
	*ret_count = df_registry()->count[DF_SINK];
	return df_types.sinks;
}

/* ---- descriptors ----------------------------------------------------------------------------------------- */

static const struct df_type *df_connector_type(const struct df_connector *c, enum df_component_kind kind)
{
	return kind == DF_SOURCE ? c->source : c->sink;
}

static bool df_connector_has_driver(const struct df_connector *c, enum df_component_kind kind)
{
	return kind == DF_SOURCE ? c->source_ops != NULL : c->sink_ops != NULL;
}

const struct df_connector *df_connector_find(enum df_component_kind kind, struct df_str type)
{
	for (size_t i = 0; i < df_connector_count; i++) {
		const struct df_type *t = df_connector_type(df_connectors[i], kind);

		if (t && df_str_equal_c(type, t->name))
			return df_connectors[i];
	}
	return NULL;
}

/* The place of a connector that has this name as either kind; NULL: none. */
static const struct df_connector **df_connector_place(const struct df_type *type)
{
	for (size_t i = 0; type && i < df_connector_count; i++) {
		const struct df_connector *c = df_connectors[i];

		if ((c->source && strcmp(c->source->name, type->name) == 0) ||
		    (c->sink && strcmp(c->sink->name, type->name) == 0))
			return &df_connectors[i];
	}
	return NULL;
}

int df_connectors_add(const struct df_connector *connector, bool instead, struct df_error *err)
{
	const struct df_type *type = connector->source ? connector->source : connector->sink;
	const struct df_connector **place = df_connector_place(connector->source);

	if (!place)
		place = df_connector_place(connector->sink);
	if (place && instead) {
		*place = connector;
		return 0;
	}
	if (place)
		return df_error_set(err, DF_ERR_CONFIG, "there is a connector `%s` already", type->name);
	if (df_connector_count == DF_CONNECTORS_MAX)
		return df_error_set(err, DF_ERR_CONFIG,
				    "there are too many connectors (at most %d beside those of "
				    "the program)",
				    DF_CONNECTORS_MAX - DF_LISTED);
	df_connectors[df_connector_count++] = connector;
	return 0;
}

bool df_connector_built(enum df_component_kind kind, const struct df_type *type)
{
	const struct df_connector *c = df_connector_find(kind, df_str_c(type->name));

	return c && df_connector_has_driver(c, kind);
}

enum df_source_position df_source_position(const struct df_component *source)
{
	const struct df_type *type = source->type;
	const struct df_connector *c = df_connector_find(DF_SOURCE, df_str_c(type->name));
	const struct df_source_ops *ops = c ? c->source_ops : NULL;

	if (ops ? ops->keeps_own_position : type->scales_out)
		return DF_POSITION_OWN;
	if (type->keeps_position ? !type->keeps_position(source->settings) : !ops || !ops->restore)
		return DF_POSITION_NONE;
	return DF_POSITION_CHECKPOINT;
}

/* ---- instances ------------------------------------------------------------------------------------------- */

static int df_connector_unknown(enum df_component_kind kind, struct df_str type, struct df_error *err)
{
	const char *nearest = df_registry_nearest(df_registry(), kind, type);

	return df_error_set(err, DF_ERR_CONFIG, "unknown %s type: " DF_STR_FMT "%s%s%s", df_component_kind_name(kind),
			    DF_STR_ARG(type), nearest ? " (did you mean `" : "", nearest ? nearest : "",
			    nearest ? "`?)" : "");
}

/* The descriptor of a type that can be made. */
static int df_connector_ready(enum df_component_kind kind, struct df_str type, const void *settings,
			      const struct df_connector **ret, struct df_error *err)
{
	const struct df_connector *c = df_connector_find(kind, type);
	const char *what = df_component_kind_name(kind);

	if (!c)
		return df_connector_unknown(kind, type, err);
	if (!settings)
		return df_error_set(err, DF_ERR_CONFIG, DF_STR_FMT " %s configuration is required", DF_STR_ARG(type),
				    what);
	if (!df_connector_has_driver(c, kind))
		return df_error_set(err, DF_ERR_CONFIG, "this build has no " DF_STR_FMT " %s (%s)", DF_STR_ARG(type),
				    what,
				    df_connector_type(c, kind)->later
					    ? "its driver is not written yet"
					    : "its library was missing or its option disabled when it was built: see "
					      "meson_options.txt, then build again");
	*ret = c;
	return 0;
}

int df_source_create(struct df_str type, const void *settings, const struct df_connector_env *env,
		     struct df_source **ret, struct df_error *err)
{
	const struct df_connector *c = NULL;
	int r = df_connector_ready(DF_SOURCE, type, settings, &c, err);

	*ret = NULL;
	if (r < 0)
		return r;
	struct df_connector_env told = *env;
	told.connector = c->original ? c->original : c;
	r = c->source_ops->create(settings, &told, ret, err);
	if (r == 0 && c->original)
		(*ret)->ops = c->source_ops; /* the plugin's are shorter than this program reads */
	return r;
}

int df_sink_create(struct df_str type, const void *settings, const struct df_connector_env *env, struct df_sink **ret,
		   struct df_error *err)
{
	const struct df_connector *c = NULL;
	int r = df_connector_ready(DF_SINK, type, settings, &c, err);

	*ret = NULL;
	if (r < 0)
		return r;
	struct df_connector_env told = *env;
	told.connector = c->original ? c->original : c;
	r = c->sink_ops->create(settings, &told, ret, err);
	if (r == 0 && c->original)
		(*ret)->ops = c->sink_ops;
	return r;
}

void df_source_free(struct df_source *s)
{
	if (s)
		s->ops->free(s);
}

void df_sink_free(struct df_sink *s)
{
	if (s)
		s->ops->free(s);
}

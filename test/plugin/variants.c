/* Plugins that are wrong in one place each, around the connector of project/tiny.c; test_plugin.py compiles them. */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <dataflow/connector.h>

extern const struct df_connector df_connector_tiny;

#ifdef ABI
#undef DF_PLUGIN_ABI
#define DF_PLUGIN_ABI ABI
#endif

/* CHANGED BY: a struct that has another size there. */
#ifdef CHANGED
#undef DF_PLUGIN_SIZE_
#define DF_PLUGIN_SIZE_(name) (uint32_t)((int)sizeof(struct name) + (__builtin_strcmp(#name, CHANGED) == 0 ? (BY) : 0)),
#endif

static struct df_source_ops source_ops;
static struct df_sink_ops sink_ops;
static struct df_type type;

static const struct df_connector variant = {
	.source = &type,
	.sink = &type,
	.source_ops = &source_ops,
	.sink_ops = &sink_ops,
};

/* What an instance is told must be this plugin's descriptor, whatever the loader did with it. */
static int sink_create(const void *settings, const struct df_connector_env *env, struct df_sink **ret,
		       struct df_error *err)
{
	int r;

	if (env->connector != &variant)
		return df_error_set(err, DF_ERR_CONFIG, "env.connector is not the plugin's descriptor");
	r = df_connector_tiny.sink_ops->create(settings, env, ret, err);
	if (r == 0)
		(*ret)->ops = &sink_ops; /* which have rubbish behind their end, when they are short */
	return r;
}

/* Runs when the object is loaded: a refused one must not get here. */
__attribute__((constructor)) static void loaded(void)
{
	if (getenv("VARIANT_RUNS"))
		mkdir(getenv("VARIANT_RUNS"), 0700);
	source_ops = *df_connector_tiny.source_ops;
	sink_ops = *df_connector_tiny.sink_ops;
	sink_ops.create = sink_create;
	type = *df_connector_tiny.sink;
	type.name = "variant";
#ifdef TYPE
	type.name = TYPE;
#endif
#ifdef UNTOLD
	memset(&sink_ops.UNTOLD, 0x5a, sizeof(sink_ops) - offsetof(struct df_sink_ops, UNTOLD));
#endif
#ifdef WITHOUT
	source_ops.WITHOUT = NULL;
#endif
#ifdef UNDEFINED
	extern void df_not_there(void);
	df_not_there();
#endif
}

DF_PLUGIN("variant", "1", &variant);

/* `connectors` and `transformations`: what this program knows, from the registry. */
#include <stdio.h>
#include <string.h>

#include "cmd/common.h"
#include "connectors/factory.h"
#include "connectors/plugin_load.h"
#include "spec/generate.h"

static const struct df_type *find(enum df_component_kind kind, const char *name)
{
	return df_registry_find(df_registry(), kind, df_str_c(name));
}

static const char *state_of(enum df_component_kind kind, const struct df_type *type)
{
	if (!type)
		return "-";
	if (df_connector_built(kind, type))
		return "yes";
	return type->later ? "later" : "no driver";
}

/* Which came from where, of those that are not the program's own. */
static void list_plugins(struct df_buf *buf)
{
	size_t n;
	const struct df_plugin_info *plugins = df_plugins(&n);

	if (n > 0)
		df_buf_printf(buf, "\n%-27s %s\n", "PLUGIN", "FROM");
	for (size_t i = 0; i < n; i++)
		df_buf_printf(buf, "%-16s %-10s %s\n", plugins[i].name, plugins[i].version, plugins[i].file);
}

/* Every name once: sources in their order, then sinks that are no source. */
static void list_connectors(struct df_buf *buf)
{
	const struct df_registry *registry = df_registry();

	df_buf_printf(buf, "%-16s %-10s %-10s %s\n", "TYPE", "SOURCE", "SINK", "WHAT");
	for (int kind = DF_SOURCE; kind <= DF_SINK; kind++) {
		for (size_t i = 0; i < registry->count[kind]; i++) {
			const struct df_type *type = registry->types[kind][i];
			const struct df_type *source = find(DF_SOURCE, type->name), *sink = find(DF_SINK, type->name);

			if (kind == DF_SINK && source)
				continue;
			df_buf_printf(buf, "%-16s %-10s %-10s %s\n", type->name, state_of(DF_SOURCE, source),
				      state_of(DF_SINK, sink), type->title);
		}
	}
	list_plugins(buf);
	df_buf_add_c(buf, "\n'dataflow connectors TYPE' shows the settings with an example.\n");
}

static int unknown(const struct df_command *command, const char *what, const char *name, const char *near)
{
	if (near)
		return df_usage_error(command, "unknown %s '%s'; did you mean '%s'?", what, name, near);
	return df_usage_error(command, "unknown %s '%s'", what, name);
}

static int connectors_run(const struct df_command *command, void *options, int operands, char **operand)
{
	struct df_buf buf = { 0 };
	const struct df_type *source, *sink;

	(void)options;
	if (operands == 0) {
		list_connectors(&buf);
		return df_print(&buf);
	}
	source = find(DF_SOURCE, operand[0]);
	sink = find(DF_SINK, operand[0]);
	if (!source && !sink) {
		const char *near = df_registry_nearest(df_registry(), DF_SOURCE, df_str_c(operand[0]));

		if (!near)
			near = df_registry_nearest(df_registry(), DF_SINK, df_str_c(operand[0]));
		return unknown(command, "connector", operand[0], near);
	}
	if (df_plugin_file_of(source ? source : sink))
		df_buf_printf(&buf, "Loaded from %s.\n\n", df_plugin_file_of(source ? source : sink));
	if (source)
		df_generate_type_help(DF_SOURCE, source, &buf);
	if (source && sink)
		df_buf_add_char(&buf, '\n');
	if (sink)
		df_generate_type_help(DF_SINK, sink, &buf);
	return df_print(&buf);
}

static int transformations_run(const struct df_command *command, void *options, int operands, char **operand)
{
	const struct df_registry *registry = df_registry();
	struct df_buf buf = { 0 };
	const struct df_type *type;

	(void)options;
	if (operands == 0) {
		for (size_t i = 0; i < registry->count[DF_TRANSFORMATION]; i++)
			df_buf_printf(&buf, "%-18s %s\n", registry->types[DF_TRANSFORMATION][i]->name,
				      registry->types[DF_TRANSFORMATION][i]->title);
		df_buf_add_c(&buf, "\n'dataflow transformations TYPE' shows the settings with an example.\n");
		return df_print(&buf);
	}
	type = find(DF_TRANSFORMATION, operand[0]);
	if (!type)
		return unknown(command, "transformation", operand[0],
			       df_registry_nearest(registry, DF_TRANSFORMATION, df_str_c(operand[0])));
	df_generate_type_help(DF_TRANSFORMATION, type, &buf);
	return df_print(&buf);
}

const struct df_command df_command_connectors = {
	.name = "connectors",
	.operands = "[TYPE]",
	.max_operands = 1,
	.summary = "list the connectors, or show one's settings",
	.doc = "Lists the connector types and whether this build has their drivers, and the plugins that were loaded, with "
	       "their files.\nWith TYPE: every setting, with an example.",
	.examples = "  dataflow connectors\n  dataflow connectors sqlite\n",
	.run = connectors_run,
};

const struct df_command df_command_transformations = {
	.name = "transformations",
	.operands = "[TYPE]",
	.max_operands = 1,
	.summary = "list the transformations, or show one's settings",
	.doc = "Lists the transformation types. With TYPE: every setting, with an example.",
	.examples = "  dataflow transformations\n  dataflow transformations filter\n",
	.no_connectors = true,
	.run = transformations_run,
};

/* `generate`: the files that are derived from the tables. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "cmd/common.h"
#include "cmd/plugins.h"
#include "connectors/factory.h"
#include "spec/generate.h"

/* Takes the buffer. */
static int write_file(const char *dir, const char *name, struct df_buf *buf)
{
	struct df_buf path = { 0 };
	FILE *f;
	bool ok;

	df_buf_printf(&path, "%s/%s", dir, name);
	f = buf->failed || path.failed ? NULL : fopen(df_buf_c(&path), "w");
	ok = f && fwrite(buf->data, 1, buf->len, f) == buf->len;
	if (f && fclose(f) != 0)
		ok = false;
	if (!ok)
		fprintf(stderr, "dataflow: cannot write %s: %s\n", df_buf_c(&path), strerror(errno));
	df_buf_done(&path);
	df_buf_done(buf);
	return ok ? DF_EXIT_OK : DF_EXIT_FAILED;
}

static int generate_crd(const char *dir)
{
	struct df_buf buf = { 0 };
	int r;

	df_generate_crd(DF_KIND_DATAFLOW, df_registry(), &buf);
	r = write_file(dir, "dataflow.dataflow.io_dataflows.yaml", &buf);
	if (r != DF_EXIT_OK)
		return r;
	df_generate_crd(DF_KIND_DATAFLOWCRON, df_registry(), &buf);
	return write_file(dir, "dataflow.dataflow.io_dataflowcrons.yaml", &buf);
}

static int generate_schema(const char *dir)
{
	struct df_buf buf = { 0 };

	df_generate_manifest_schema(df_registry(), &buf);
	return write_file(dir, "dataflow.schema.json", &buf);
}

static int type_page(const char *dir, const char *prefix, const struct df_type *type, struct df_buf *page)
{
	struct df_buf name = { 0 };
	int r;

	df_buf_printf(&name, "%s-%s.md", prefix, type->name);
	r = write_file(dir, df_buf_c(&name), page);
	df_buf_done(&name);
	return r;
}

static int connector_page(const char *dir, const struct df_type *source, const struct df_type *sink)
{
	struct df_buf page = { 0 };

	df_generate_type_docs(source, sink, &page);
	return type_page(dir, "connector", source ? source : sink, &page);
}

static int transformation_page(const char *dir, const struct df_type *type)
{
	struct df_buf page = { 0 };

	df_generate_transformation_docs(type, &page);
	return type_page(dir, "transformation", type, &page);
}

/* docs/reference/cli.md: the help texts as they are printed. */
static int cli_page(const char *dir)
{
	struct df_buf buf = { 0 };
	size_t n;
	const struct df_command *const *commands = df_commands(&n);

	df_buf_add_c(&buf, "# Command line\n\nWritten by `dataflow generate docs`.\n\n```\n");
	df_main_help(&buf);
	df_buf_add_c(&buf, "```\n");
	for (size_t i = 0; i < n; i++) {
		df_buf_printf(&buf, "\n## dataflow %s\n\n```\n", commands[i]->name);
		df_command_help(commands[i], &buf);
		df_buf_add_c(&buf, "```\n");
	}
	return write_file(dir, "cli.md", &buf);
}

static int generate_docs(const char *dir)
{
	const struct df_registry *registry = df_registry();
	struct df_buf buf = { 0 };
	int r;

	df_generate_manifest_docs(registry, &buf);
	r = write_file(dir, "manifest.md", &buf);
	if (r == DF_EXIT_OK)
		r = cli_page(dir);
	for (int kind = DF_SOURCE; kind <= DF_SINK; kind++) {
		for (size_t i = 0; i < registry->count[kind] && r == DF_EXIT_OK; i++) {
			const struct df_type *type = registry->types[kind][i];
			struct df_str name = df_str_c(type->name);

			if (kind == DF_SINK && df_registry_find(registry, DF_SOURCE, name))
				continue;
			r = kind == DF_SOURCE ? connector_page(dir, type, df_registry_find(registry, DF_SINK, name))
					      : connector_page(dir, NULL, type);
		}
	}
	for (size_t i = 0; i < registry->count[DF_TRANSFORMATION] && r == DF_EXIT_OK; i++)
		r = transformation_page(dir, registry->types[DF_TRANSFORMATION][i]);
	return r;
}

static const struct {
	const char *name;
	int (*run)(const char *dir);
} targets[] = { { "crd", generate_crd }, { "docs", generate_docs }, { "schema", generate_schema } };

struct generate_options {
	bool with_loaded;
};

static const struct df_option generate_option_rows[] = {
	DF_OPTION(struct generate_options, with_loaded, "with-loaded", 0,
		  .doc = "also the connectors of --connector-dir and $DATAFLOW_CONNECTOR_DIR"),
};

static int generate_run(const struct df_command *command, void *options, int operands, char **operand)
{
	const struct generate_options *o = options;
	int r = o->with_loaded ? df_load_connectors(command) : DF_EXIT_OK;

	(void)operands;
	for (size_t i = 0; i < DF_ARRAY_SIZE(targets) && r == DF_EXIT_OK; i++) {
		if (strcmp(targets[i].name, operand[0]) != 0)
			continue;
		if (mkdir(operand[1], 0777) < 0 && errno != EEXIST) {
			fprintf(stderr, "dataflow: cannot create %s: %s\n", operand[1], strerror(errno));
			return DF_EXIT_FAILED;
		}
		return targets[i].run(operand[1]);
	}
	return r != DF_EXIT_OK
		       ? r
		       : df_usage_error(command, "unknown target '%s'; crd, docs and schema are known", operand[0]);
}

const struct df_command df_command_generate = {
	.name = "generate",
	.operands = "crd|docs|schema DIR",
	.min_operands = 2,
	.max_operands = 2,
	.summary = "write CRDs, reference pages or the editors' JSON Schema",
	.doc = "Writes what is derived from the settings tables into DIR: the CustomResourceDefinitions, the reference "
	       "pages, or\n"
	       "the JSON Schema for editors. The output is the same whichever drivers were built, and without\n"
	       "--with-loaded it has only the connectors of the program itself.",
	.examples = "  dataflow generate crd config/crd\n  dataflow generate schema docs/reference\n"
		    "  dataflow generate schema --with-loaded --connector-dir /opt/connectors schemas\n",
	.options = generate_option_rows,
	.option_count = DF_ARRAY_SIZE(generate_option_rows),
	.size = sizeof(struct generate_options),
	.no_connectors = true, /* unless it is told to */
	.run = generate_run,
};

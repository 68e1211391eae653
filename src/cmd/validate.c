#include <stdio.h>

#include "cmd/common.h"
#include "connectors/factory.h"
#include "processor/delivery.h"
#include "transformers/chain.h"

struct validate_options {
	bool quiet;
	const char *secrets;
	struct df_option_list set;
};

static const struct df_option validate_option_rows[] = {
	DF_OPTION(struct validate_options, quiet, "quiet", 'q', .doc = "say nothing about files that are valid"),
	DF_OPTION(struct validate_options, secrets, "secrets", 0, .argument = "DIR",
		  .doc = "resolve Secret references from DIR/<secret>/<key> too; without it they are only checked for "
			 "form"),
	DF_OPTION(struct validate_options, set, "set", 's', .argument = "PATH=VALUE",
		  .doc = "change one place of the manifest before it is checked; repeatable"),
};

static int validate_file(const char *file, const struct validate_options *o)
{
	struct df_manifests manifests = { 0 };
	struct df_diags diags = { 0 };
	int r;

	df_manifests_load(file,
			  &(struct df_manifest_options){ .registry = df_registry(),
							 .secrets_dir = o->secrets,
							 .sets = o->set.items,
							 .set_count = o->set.count,
							 .resolve_secrets = o->secrets != NULL },
			  &manifests, &diags);
	for (size_t i = 0; i < manifests.count; i++) {
		df_chain_check(&manifests.items[i].spec.flow.transformations, &diags);
		if (!diags.errors)
			df_delivery_check(&manifests.items[i].spec.flow, &diags);
	}
	r = df_report_diags(&diags);
	for (size_t i = 0; r == DF_EXIT_OK && !o->quiet && i < manifests.count; i++) {
		const struct df_manifest *m = &manifests.items[i];
		const struct df_dataflow_spec *flow = &m->spec.flow;

		printf("%s: %s %s is valid: %s -> %zu transformations -> %s\n", file,
		       m->kind == DF_KIND_DATAFLOWCRON ? "DataFlowCron" : "DataFlow", m->name, flow->source.type->name,
		       flow->transformations.count, flow->sink.type->name);
	}
	df_manifests_done(&manifests);
	df_diags_done(&diags);
	return r;
}

static int validate_run(const struct df_command *command, void *options, int operands, char **operand)
{
	struct df_buf nothing = { 0 };
	int r = DF_EXIT_OK;

	(void)command;
	for (int i = 0; i < operands; i++)
		if (validate_file(operand[i], options) != DF_EXIT_OK)
			r = DF_EXIT_USAGE;
	return df_print(&nothing) != DF_EXIT_OK ? DF_EXIT_FAILED : r;
}

const struct df_command df_command_validate = {
	.name = "validate",
	.operands = "FILE...",
	.min_operands = 1,
	.max_operands = -1,
	.summary = "check manifests without running them",
	.doc = "Checks every DataFlow and DataFlowCron in the files: structure, settings, paths, conditions, "
	       "cross-field rules.\n"
	       "All errors of all files are reported at once, each with file, line and path. Nothing is connected.",
	.examples = "  dataflow validate examples/earthquakes/flow.yaml\n"
		    "  dataflow validate --quiet examples/*/flow.yaml\n",
	.options = validate_option_rows,
	.option_count = sizeof(validate_option_rows) / sizeof(validate_option_rows[0]),
	.size = sizeof(struct validate_options),
	.run = validate_run,
};

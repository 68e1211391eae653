#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "cmd/flow.h"

struct run_options {
	bool once, dry_run, reset_checkpoint;
	uint64_t limit, grace;
	struct df_option_list set;
	const char *state_dir, *secrets, *name, *progress, *log_format, *metrics;
};

#define DRY_RUN_RESULTS 10

static const char *const progress_choices[] = { "auto", "plain", "json", "none", NULL };

static const struct df_option run_option_rows[] = {
	DF_OPTION(struct run_options, once, "once", 0,
		  .doc = "stop when the source is exhausted (always so for DataFlowCron)"),
	DF_OPTION(struct run_options, dry_run, "dry-run", 0,
		  .doc = "do all but write: show the first 10 results and stop"),
	DF_OPTION(struct run_options, limit, "limit", 'n', .argument = "N",
		  .doc = "stop after N messages were read; with --dry-run: show N results"),
	DF_OPTION(struct run_options, set, "set", 's', .argument = "PATH=VALUE",
		  .doc = "change one place of the manifest (spec.sink.config.path=/tmp/x.db); repeatable"),
	DF_OPTION(struct run_options, name, "name", 0, .argument = "NAME",
		  .doc = "which flow of a file that has several"),
	DF_OPTION(struct run_options, secrets, "secrets", 0, .argument = "DIR",
		  .doc = "Secrets as files: DIR/<secret>/<key>"),
	DF_OPTION(struct run_options, state_dir, "state-dir", 0, .argument = "DIR",
		  .doc = "where positions are kept (default: $DATAFLOW_STATE_DIR or ~/.local/state/dataflow)"),
	DF_OPTION(struct run_options, reset_checkpoint, "reset-checkpoint", 0,
		  .doc = "forget the saved position and read from the start"),
	DF_OPTION(struct run_options, grace, "grace", 0, .argument = "SECONDS",
		  .doc = "how long the flush after SIGTERM or SIGINT may take (default 30)"),
	DF_OPTION(struct run_options, progress, "progress", 0, .choices = progress_choices,
		  .doc = "auto: a live view on a terminal (counts, and for what it waits), else only the summary"),
	DF_OPTION(
		struct run_options, metrics, "metrics", 0, .argument = "[HOST:]PORT",
		.doc = "serve /metrics, /readyz, /livez and /healthz while it runs (host: 127.0.0.1; port 0: any, see "
		       "the log)"),
	DF_OPTION(struct run_options, log_format, "log-format", 0, .choices = df_log_choices,
		  .doc = "auto: text on a terminal, else JSON lines (level: LOG_LEVEL)"),
};

static int run_manifest(struct df_manifest *manifest, const struct run_options *o)
{
	char *state_dir = o->state_dir ? strdup(o->state_dir) : df_default_state_dir();
	int r;

	if (o->reset_checkpoint)
		manifest->spec.flow.checkpoint_reset = true;
	r = df_flow_run(&(struct df_flow_options){
		.spec = &manifest->spec.flow,
		.namespace = manifest->namespace,
		.name = manifest->name,
		.state_dir = state_dir,
		.once = o->once || manifest->kind == DF_KIND_DATAFLOWCRON,
		.limit = o->dry_run ? 0 : o->limit,
		.dry_run = !o->dry_run ? 0
			   : o->limit  ? o->limit
				       : DRY_RUN_RESULTS,
		.grace_seconds = o->grace,
		.metrics = o->metrics,
		.metrics_host = "127.0.0.1",
		.progress = df_progress_mode(o->progress),
		.summary = !o->progress || strcmp(o->progress, "none") != 0,
	});
	free(state_dir);
	return r;
}

static int run_run(const struct df_command *command, void *options, int operands, char **operand)
{
	const struct run_options *o = options;
	struct df_manifests manifests = { 0 };
	struct df_diags diags = { 0 };
	struct df_manifest *manifest;
	int r;

	(void)operands;
	df_log_setup(df_log_format_of(o->log_format), getenv("LOG_LEVEL"));
	df_manifests_load(operand[0],
			  &(struct df_manifest_options){ .registry = df_registry(),
							 .secrets_dir = o->secrets,
							 .sets = o->set.items,
							 .set_count = o->set.count,
							 .set_name = o->name,
							 .resolve_secrets = true },
			  &manifests, &diags);
	r = df_report_diags(&diags);
	manifest = r == DF_EXIT_OK ? df_pick_manifest(command, &manifests, o->name) : NULL;
	if (r == DF_EXIT_OK)
		r = manifest ? run_manifest(manifest, o) : DF_EXIT_USAGE;
	df_manifests_done(&manifests);
	df_diags_done(&diags);
	return r;
}

const struct df_command df_command_run = {
	.name = "run",
	.operands = "FILE",
	.min_operands = 1,
	.max_operands = 1,
	.summary = "run the pipeline of a manifest",
	.doc = "Runs the DataFlow or DataFlowCron in FILE (YAML or JSON, - for standard input) until its source is\n"
	       "exhausted or it is stopped. SIGINT and SIGTERM flush what is in flight, save the position and end with "
	       "0;\n"
	       "a second one stops at once.",
	.examples = "  dataflow run examples/earthquakes/flow.yaml\n"
		    "  dataflow run --dry-run examples/earthquakes/flow.yaml\n"
		    "  dataflow run --set spec.sink.config.path=/tmp/quakes.db examples/earthquakes/flow.yaml\n",
	.options = run_option_rows,
	.option_count = sizeof(run_option_rows) / sizeof(run_option_rows[0]),
	.size = sizeof(struct run_options),
	.run = run_run,
};

/* What a pod runs: one spec, its Secrets as files. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "cmd/flow.h"

#define METRICS_DEFAULT ":9090"

struct processor_options {
	const char *spec_path, *namespace, *name, *secrets, *state_dir, *kubeconfig, *metrics;
	bool once, configmap;
	uint64_t grace;
};

static const struct df_option processor_option_rows[] = {
	DF_OPTION(struct processor_options, spec_path, "spec-path", 0, .argument = "FILE",
		  .doc = "the flow's spec as JSON (default /etc/dataflow/spec.json)"),
	DF_OPTION(struct processor_options, namespace, "namespace", 0, .argument = "NS", .doc = "the flow's namespace"),
	DF_OPTION(struct processor_options, name, "name", 0, .argument = "NAME", .doc = "the flow's name"),
	DF_OPTION(struct processor_options, secrets, "secrets", 0, .argument = "DIR",
		  .doc = "Secrets as files: DIR/<secret>/<key> (default /etc/dataflow/secrets)"),
	DF_OPTION(struct processor_options, state_dir, "state-dir", 0, .argument = "DIR",
		  .doc = "keep positions in this directory"),
	DF_OPTION(struct processor_options, configmap, "checkpoint-configmap", 0,
		  .doc = "keep positions in the ConfigMap df-<name>-checkpoint, while holding the Lease "
			 "df-<name>-processor (default in a pod that has a token, without --state-dir)"),
	DF_OPTION(struct processor_options, kubeconfig, "kubeconfig", 0, .argument = "FILE",
		  .doc = "how to reach the API server for that (default: as a pod does, else as kubectl does)"),
	DF_OPTION(struct processor_options, once, "once", 0, .doc = "end when the source is exhausted"),
	DF_OPTION(
		struct processor_options, grace, "grace", 0, .argument = "SECONDS",
		.doc = "how long the flush after SIGTERM may take (default $DATAFLOW_SHUTDOWN_GRACE_SECONDS, else 30)"),
	DF_OPTION(struct processor_options, metrics, "metrics", 0, .argument = "[HOST:]PORT",
		  .doc = "where /metrics, /readyz, /livez and /healthz are served, or none (default :9090, all "
			 "addresses)"),
};

static uint64_t grace_seconds(const struct processor_options *o)
{
	const char *env = getenv("DATAFLOW_SHUTDOWN_GRACE_SECONDS");
	int64_t seconds;

	if (o->grace == 0 && env && df_str_to_int64(df_str_c(env), &seconds) && seconds > 0)
		return (uint64_t)seconds;
	return o->grace;
}

static const char *metrics_address(const struct processor_options *o)
{
	if (!o->metrics)
		return METRICS_DEFAULT;
	return strcmp(o->metrics, "none") == 0 ? NULL : o->metrics;
}

/* The spec alone, without kind and metadata: those are --namespace and --name. */
static void load_spec(const struct processor_options *o, struct df_secret_store *store, struct df_dataflow_spec *spec,
		      struct df_diags *diags)
{
	df_cleanup(df_arena_done) struct df_arena arena = { 0 };
	struct df_yaml_documents documents = { 0 };
	struct df_place place = { .file = o->spec_path };

	df_yaml_load(o->spec_path, &arena, &documents, diags);
	if (diags->errors)
		return;
	if (documents.count != 1) {
		df_diag_error(diags, &place, NULL, "one spec is expected, the file has %zu documents", documents.count);
		return;
	}
	size_t errors = diags->errors;
	df_settings_parse(&df_dataflow_table, documents.items[0],
			  &(struct df_parse_options){ .file = o->spec_path,
						      .path = "spec",
						      .registry = df_registry(),
						      .secrets = df_secret_store_get(store),
						      .unknown_keys_warn = true },
			  spec, diags);
	place.path = "spec";
	place.value = documents.items[0];
	if (diags->errors == errors)
		df_manifest_check(DF_KIND_DATAFLOW, (const struct df_dataflowcron_spec *)spec, &place, diags);
}

/* In a pod whose token is mounted, which the operator does only where a position is kept. */
static bool uses_configmap(const struct processor_options *o)
{
	return o->configmap || (!o->state_dir && getenv("KUBERNETES_SERVICE_HOST") &&
				access("/var/run/secrets/kubernetes.io/serviceaccount/token", R_OK) == 0);
}

/* They become directories' names below --state-dir. */
static bool is_name(const char *text)
{
	return text[0] != '.' && !strchr(text, '/');
}

static int processor_run(const struct df_command *command, void *options, int operands, char **operand)
{
	struct processor_options *o = options;
	struct df_dataflow_spec spec = { 0 };
	struct df_diags diags = { 0 };
	struct df_secret_store *store;
	int r;

	(void)operands;
	(void)operand;
	if (!o->namespace || !o->name)
		return df_usage_error(command, "--namespace and --name are required");
	if (!is_name(o->namespace) || !is_name(o->name))
		return df_usage_error(command,
				      "--namespace and --name are names of Kubernetes: no / and no . in front");
	if (o->configmap && o->state_dir)
		return df_usage_error(command, "--checkpoint-configmap and --state-dir exclude each other");
	if (!o->spec_path)
		o->spec_path = "/etc/dataflow/spec.json";
	store = df_secret_store_new(o->secrets ? o->secrets : "/etc/dataflow/secrets", o->namespace);
	if (store)
		load_spec(o, store, &spec, &diags);
	else
		diags.failed = true;
	r = df_report_diags(&diags);
	if (r == DF_EXIT_OK)
		r = df_flow_run(&(struct df_flow_options){
			.spec = &spec,
			.namespace = o->namespace,
			.name = o->name,
			.state_dir = o->state_dir,
			.configmap = uses_configmap(o),
			.kubeconfig = o->kubeconfig,
			.once = o->once,
			.grace_seconds = grace_seconds(o),
			.metrics = metrics_address(o),
			.progress = DF_PROGRESS_NONE,
		});
	df_settings_done(&df_dataflow_table, &spec);
	df_secret_store_free(store);
	df_diags_done(&diags);
	return r;
}

const struct df_command df_command_processor = {
	.name = "processor",
	.operands = "",
	.summary = "run one spec as a pod does",
	.doc = "Runs the spec in --spec-path: what the operator's pods call. Logs are JSON lines on stderr.\n"
	       "/livez fails when nothing moved for $PROCESSOR_PROGRESS_TIMEOUT_SECONDS (default 3600, 0: never).",
	.examples =
		"  dataflow processor --spec-path spec.json --namespace default --name orders --secrets ./secrets\n",
	.options = processor_option_rows,
	.option_count = sizeof(processor_option_rows) / sizeof(processor_option_rows[0]),
	.size = sizeof(struct processor_options),
	.run = processor_run,
};

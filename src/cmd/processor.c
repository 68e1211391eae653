/* What a pod runs: one spec, its Secrets as files. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "cmd/flow.h"

#define METRICS_DEFAULT ":9090"
#define SPEC_DEFAULT "/etc/dataflow/spec.json"
#define SECRETS_DEFAULT "/etc/dataflow/secrets"
#define LOOK_MAX ((uint64_t)24 * 3600) /* seconds */

struct processor_options {
	const char *spec_path, *namespace, *name, *secrets, *state_dir, *kubeconfig, *metrics, *last_words;
	bool once, configmap;
	uint64_t grace, look;
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
	DF_OPTION(struct processor_options, look, "secrets-interval", 0, .argument = "SECONDS",
		  .doc = "how often it is looked whether a Secret has changed (default 10)"),
	DF_OPTION(struct processor_options, last_words, "termination-log", 0, .argument = "FILE",
		  .doc = "where it is left how the run ended, if that file is there (default /dev/termination-log)"),
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

/* Of the container, when the pod tells; 0: it does not. */
static size_t memory_limit(void)
{
	const char *env = getenv("DATAFLOW_MEMORY_LIMIT_BYTES");
	int64_t bytes;

	return env && df_str_to_int64(df_str_c(env), &bytes) && bytes > 0 ? (size_t)bytes : 0;
}

/* The manifest is refused: nothing was started. */
static int refuse(const struct df_diags *diags, struct df_flow_end *end)
{
	end->exit_code = df_report_diags(diags);
	if (df_diags_error(diags, &end->err) == 0)
		df_error_no_memory(&end->err);
	return end->exit_code;
}

static int run(const struct processor_options *o, struct df_flow_end *end)
{
	struct df_diags diags = { 0 };
	struct df_mounted *mounted =
		df_mounted_open(&(struct df_mounted_options){ o->spec_path ? o->spec_path : SPEC_DEFAULT, o->namespace,
							      o->secrets ? o->secrets : SECRETS_DEFAULT },
				&diags);
	int r;

	if (!mounted) {
		r = refuse(&diags, end);
	} else {
		df_report_diags(&diags);
		r = df_flow_run(&(struct df_flow_options){
			.spec = df_mounted_spec(mounted),
			.namespace = o->namespace,
			.name = o->name,
			.state_dir = o->state_dir,
			.configmap = uses_configmap(o),
			.kubeconfig = o->kubeconfig,
			.once = o->once,
			.grace_seconds = grace_seconds(o),
			.metrics = metrics_address(o),
			.progress = DF_PROGRESS_NONE,
			.memory_limit = memory_limit(),
			.mounted = mounted,
			.look_ns = (int64_t)(o->look < LOOK_MAX ? o->look : LOOK_MAX) * DF_NS_PER_S,
			.end = end,
		});
	}
	df_mounted_free(mounted);
	df_diags_done(&diags);
	return r;
}

static int processor_run(const struct df_command *command, void *options, int operands, char **operand)
{
	const struct processor_options *o = options;
	struct df_flow_end end = { 0 };
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
	df_note_sentry();
	r = run(o, &end);
	df_last_words_leave(&end, o->last_words);
	return r;
}

const struct df_command df_command_processor = {
	.name = "processor",
	.operands = "",
	.summary = "run one spec as a pod does",
	.doc = "Runs the spec in --spec-path: what the operator's pods call. Logs are JSON lines on stderr.\n"
	       "When a Secret that is used gets another value, the flow is flushed and goes on with that one.\n"
	       "/livez fails when nothing moved for $PROCESSOR_PROGRESS_TIMEOUT_SECONDS (default 3600, 0: never).",
	.examples =
		"  dataflow processor --spec-path spec.json --namespace default --name orders --secrets ./secrets\n",
	.options = processor_option_rows,
	.option_count = sizeof(processor_option_rows) / sizeof(processor_option_rows[0]),
	.size = sizeof(struct processor_options),
	.run = processor_run,
};

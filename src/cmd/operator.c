/* The operator, as the chart's Deployment runs it; or on a laptop, with a kubeconfig. */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "cmd/common.h"
#include "cmd/signals.h"
#include "operator/operator.h"

struct operator_options {
	const char *metrics, *health, *webhook, *kubeconfig, *log_file, *level;
	const char *zap_devel, *zap_encoder, *zap_stacktrace, *zap_time;
};

#define ZAP(member, option)                                                                            \
	DF_OPTION(struct operator_options, member, option, 0, .argument = "VALUE", .optional = "true", \
		  .doc = "accepted, without effect")

static const struct df_option operator_option_rows[] = {
	DF_OPTION(struct operator_options, metrics, "metrics-bind-address", 0, .argument = "[HOST:]PORT",
		  .doc = "where /metrics is served, or 0: nowhere (default :9090)"),
	DF_OPTION(struct operator_options, health, "health-probe-bind-address", 0, .argument = "[HOST:]PORT",
		  .doc = "where /healthz and /readyz are served, or 0: nowhere (default :9091)"),
	DF_OPTION(struct operator_options, webhook, "webhook-bind-address", 0, .argument = "[HOST:]PORT",
		  .doc = "where the admission webhook is served when there is one (default :9443)"),
	DF_OPTION(struct operator_options, kubeconfig, "kubeconfig", 0, .argument = "FILE",
		  .doc = "how to reach the API server (default: $KUBECONFIG, a pod's own, ~/.kube/config)"),
	DF_OPTION(struct operator_options, log_file, "log-file", 0, .argument = "FILE",
		  .doc = "append the log to this file instead of stderr"),
	DF_OPTION(struct operator_options, level, "zap-log-level", 0, .argument = "LEVEL",
		  .doc = "debug, info, warn or error (default $LOG_LEVEL)"),
	ZAP(zap_devel, "zap-devel"),
	ZAP(zap_encoder, "zap-encoder"),
	ZAP(zap_stacktrace, "zap-stacktrace-level"),
	ZAP(zap_time, "zap-time-encoding"),
};

static const char *address(const char *given, const char *otherwise)
{
	if (!given)
		return otherwise;
	return strcmp(given, "0") == 0 ? NULL : given;
}

static int open_log(const struct df_command *command, const struct operator_options *o)
{
	if (o->log_file) {
		int fd = open(o->log_file, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0640);

		if (fd < 0)
			return df_usage_error(command, "--log-file: cannot open %s: %m", o->log_file);
		dup2(fd, STDERR_FILENO);
		close(fd);
	}
	df_log_setup(DF_LOG_AUTO, o->level ? o->level : getenv("LOG_LEVEL"));
	if (o->zap_devel || o->zap_encoder || o->zap_stacktrace || o->zap_time)
		df_warn(NULL, "--zap-devel, --zap-encoder, --zap-stacktrace-level and --zap-time-encoding have no "
			      "effect: lines are JSON, times RFC 3339");
	return DF_EXIT_OK;
}

static int run(struct df_operator_settings *settings, struct df_error *err)
{
	struct df_context *stop = df_context_new(NULL), *kill = df_context_new(NULL);
	struct df_signals *signals = NULL;
	int r = stop && kill
			? df_signals_start(&(struct df_signals_options){ .stop = stop, .kill = kill }, &signals, err)
			: df_error_no_memory(err);

	if (r == 0)
		r = df_operator_run(settings, stop, err);
	df_signals_stop(signals);
	df_context_free(stop);
	df_context_free(kill);
	return r;
}

static int operator_run(const struct df_command *command, void *options, int operands, char **operand)
{
	const struct operator_options *o = options;
	struct df_operator_settings settings = { .metrics_address = address(o->metrics, ":9090"),
						 .health_address = address(o->health, ":9091"),
						 .webhook_address = o->webhook ? o->webhook : ":9443",
						 .kubeconfig = o->kubeconfig };
	struct df_error err = DF_ERROR_INIT;
	int r = open_log(command, o);

	(void)operands;
	(void)operand;
	if (r != DF_EXIT_OK)
		return r;
	df_note_sentry();
	r = df_operator_settings_load(&settings, &err);
	if (r == 0)
		r = run(&settings, &err);
	df_operator_settings_done(&settings);
	if (r == 0)
		return DF_EXIT_OK;
	df_log_error(NULL, DF_LOG_ERROR, &err, "the operator ends");
	return r == DF_ERR_CONFIG ? DF_EXIT_USAGE : DF_EXIT_FAILED;
}

const struct df_command df_command_operator = {
	.name = "operator",
	.operands = "",
	.summary = "run the Kubernetes operator",
	.doc = "Turns DataFlow and DataFlowCron resources into running processors (docs/kubernetes.md). Of several, one\n"
	       "leads: it holds the Lease dataflow-operator.dataflow.io in $OPERATOR_NAMESPACE; the others wait. SIGTERM\n"
	       "ends what is under way and gives the Lease back. Further settings are read from the environment;\n"
	       "charts/dataflow sets them.",
	.examples = "  dataflow operator --kubeconfig ~/.kube/config --metrics-bind-address 127.0.0.1:9090\n"
		    "  WATCH_NAMESPACES=team-a,team-b dataflow operator --webhook-bind-address 127.0.0.1:9443\n",
	.options = operator_option_rows,
	.option_count = sizeof(operator_option_rows) / sizeof(operator_option_rows[0]),
	.size = sizeof(struct operator_options),
	.run = operator_run,
};

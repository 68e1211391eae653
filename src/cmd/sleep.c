/* The preStop hook of a pod whose image has no shell. */
#include <math.h>
#include <stdlib.h>

#include "base/clock.h"
#include "cmd/cli.h"
#include "cmd/signals.h"

#define SECONDS_MAX (366.0 * 24 * 3600)

static bool to_seconds(const char *text, double *ret)
{
	char *end;

	*ret = strtod(text, &end);
	return end != text && *end == '\0' && isfinite(*ret) && *ret >= 0;
}

static int sleep_run(const struct df_command *command, void *options, int operands, char **operand)
{
	df_cleanup(df_context_freep) struct df_context *stop = df_context_new(NULL);
	struct df_signals *signals = NULL;
	struct df_error err = DF_ERROR_INIT;
	double seconds;

	(void)options;
	(void)operands;
	if (!to_seconds(operand[0], &seconds))
		return df_usage_error(command, "'%s' is not a number of seconds from 0", operand[0]);
	if (!stop || df_signals_start(&(struct df_signals_options){ .stop = stop, .quiet = true }, &signals, &err) < 0)
		return DF_EXIT_FAILED;
	if (df_context_sleep(stop, (int64_t)(fmin(seconds, SECONDS_MAX) * (double)DF_NS_PER_S)) < 0)
		df_context_cancel(stop); /* told to end: that is as good as the time being over */
	df_signals_stop(signals);
	return DF_EXIT_OK;
}

const struct df_command df_command_sleep = {
	.name = "sleep",
	.operands = "SECONDS",
	.min_operands = 1,
	.max_operands = 1,
	.summary = "wait, then end",
	.doc = "Waits so many seconds (0.5 is fine) and ends with 0; with 0 at once on SIGTERM or SIGINT. It is the preStop\n"
	       "hook of the operator's pods, whose image has no other program.",
	.examples = "  dataflow sleep 5\n",
	.no_connectors = true,
	.run = sleep_run,
};

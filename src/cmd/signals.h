/* SIGINT and SIGTERM: the first asks the pipelines to stop and flush, the second ends them at once. */
#ifndef DF_CMD_SIGNALS_H
#define DF_CMD_SIGNALS_H

#include "base/context.h"

struct df_signals;

struct df_signals_options {
	struct df_context *stop, *kill; /* kill NULL: only the first counts */
	/* On SIGHUP, on the thread of the signals; NULL: the signal does what it always does. */
	void (*hangup)(void *arg);
	void *arg;
	bool quiet; /* stopping is not told */
};

/* Blocks the signals in this thread and those it starts later, and waits for them in a thread of its own. */
int df_signals_start(const struct df_signals_options *options, struct df_signals **ret,
		     struct df_error *err) df_must_check;
void df_signals_stop(struct df_signals *s); /* accepts NULL; leaves the signals blocked */

#endif

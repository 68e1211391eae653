/* SIGINT and SIGTERM: the first asks the pipeline to stop and flush, the second ends it at once. */
#ifndef DF_CMD_SIGNALS_H
#define DF_CMD_SIGNALS_H

#include "base/context.h"

struct df_signals;

/* Blocks both signals in this thread and those it starts later, and waits for them in a thread of its own. */
int df_signals_start(struct df_context *stop, struct df_context *kill, struct df_signals **ret,
		     struct df_error *err) df_must_check;
void df_signals_stop(struct df_signals *s); /* accepts NULL; leaves the signals blocked */

#endif

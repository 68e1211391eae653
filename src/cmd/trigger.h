/* A trigger of a DataFlowCron as a local command: docs/up.md says what of the container there is here. */
#ifndef DF_CMD_TRIGGER_H
#define DF_CMD_TRIGGER_H

#include "api/v1/dataflow.h"
#include "base/context.h"
#include "base/log.h"

struct df_trigger_options {
	const struct df_trigger *trigger;
	size_t index;
	const char *namespace, *name; /* the cron's */
	const char *secrets_dir;      /* for valueFrom.secretKeyRef; may be NULL */
	int64_t scheduled;	      /* seconds since 1970 */
	const struct df_logger *logger;
	struct df_context *stop, *kill; /* SIGTERM to the command; SIGKILL */
	int64_t grace_ns;		/* between the two after stop */
};

/* "report", or "trigger-0" where the manifest gives no name; out has 80 bytes. */
const char *df_trigger_name(const struct df_trigger *trigger, size_t index, char *out);

/* What cannot run here, as a text about the field: a trigger without `command`, a value from a ConfigMap. */
void df_trigger_check(const struct df_trigger *trigger, const struct df_place *place, struct df_diags *diags);

/* Runs the command and waits for its end. 0: it ended with 0. DF_ERR_UNKNOWN: with another status, by a signal, or it
 * could not be started; DF_ERR_CANCELED: stopped. */
int df_trigger_run(const struct df_trigger_options *options, struct df_error *err) df_must_check;

#endif

/* Taking a checkpoint back to the beginning: `checkpointReset: true`, or the annotation (kubernetes reference, section
 * 6). */
#ifndef DF_OPERATOR_RESET_H
#define DF_OPERATOR_RESET_H

#include "operator/resource.h"

enum df_reset {
	DF_RESET_NONE,	  /* nothing was asked for, or it is done */
	DF_RESET_WAITING, /* pods must go first: no pod may be started meanwhile */
};

/* quiet: no processor of the resource is running any more. When it is not, a wish gives DF_RESET_WAITING. When it is:
 * takes the entry out, stamps, clears the wish (in this order, so that a crash in between only repeats), gives
 * DF_RESET_NONE. Kafka sources: cleared, Event CheckpointResetIgnored. */
int df_reset_checkpoint(struct df_reconcile *r, const struct df_resource *resource, bool quiet, enum df_reset *ret,
			struct df_error *err) df_must_check;

#endif

/* `transform --explain`: what each transformation makes of a message, as text for a person. */
#ifndef DF_CMD_EXPLAIN_H
#define DF_CMD_EXPLAIN_H

#include "transformers/chain.h"

struct df_explain;

/* Writes to standard output, with colours when that is a terminal that may have them. chain outlives it. NULL: no
 * memory. */
struct df_explain *df_explain_new(struct df_chain *chain);
void df_explain_free(struct df_explain *e); /* accepts NULL */

/*
 * df_chain_run for a batch of one message, with every step printed. Of events only dropped and failed are called;
 * failed must return 0. What df_chain_run returns, or a code when standard output cannot be written.
 */
int df_explain_run(struct df_explain *e, struct df_batch *batch, const struct df_chain_events *events,
		   struct df_error *err) df_must_check;

#endif

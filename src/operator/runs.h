/* What df_chain has found to be done, done on the cluster. */
#ifndef DF_OPERATOR_RUNS_H
#define DF_OPERATOR_RUNS_H

#include "operator/chain.h"
#include "operator/objects.h"

/*
 * The actions that are late, or those that are not, in their order, each with its Event. *ret_behind: one was refused
 * because the Jobs are not as they were seen; nothing more was done, look again.
 */
int df_runs_act(struct df_reconcile *r, const struct df_objects_of *of, const struct df_chain_result *chain, bool late,
		bool *ret_behind, struct df_error *err) df_must_check;

#endif

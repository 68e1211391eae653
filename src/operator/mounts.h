/* Why the secrets of a pod cannot be mounted: it says nothing itself, but the kubelet does in Events about it. */
#ifndef DF_OPERATOR_MOUNTS_H
#define DF_OPERATOR_MOUNTS_H

#include "base/time.h"
#include "operator/reconcile.h"

/* What the Events heard so far come to, in any order; zeroed but for the arena. */
struct df_mounts {
	struct df_arena *arena;
	bool further;		      /* its containers were come to, which is after the volumes */
	struct df_instant further_at; /* the latest time */
	struct df_instant failed_at;
	const char *failure; /* the newest of our secrets, as the kubelet says it; NULL: none */
};

/* One more; mounts: struct df_mounts. DF_ERR_NO_MEMORY. */
int df_mounts_hear(void *mounts, struct df_value *event, struct df_error *err) df_must_check;
/* NULL: they can be mounted, for all that is known. */
const char *df_mounts_failure(const struct df_mounts *mounts);

/* Of the pod's Events, which takes one request. *ret: df_mounts_failure, in r->arena. */
int df_mounts_look(struct df_reconcile *r, const struct df_value *pod, const char **ret,
		   struct df_error *err) df_must_check;

#endif

/*
 * The runs of a DataFlowCron (kubernetes reference, section 7): from its Jobs, what is to be done now, and what its
 * status says. Pure: no cluster, no clock.
 *
 * A run is a processor Job and the trigger Jobs after it, one after another. All state is in these Jobs: what they are
 * and how they ended, the label D/run-id (the run has begun; a Job that waits behind a gate has none), and the
 * annotation D/chain. So an operator may stop between any two actions; the next one sees what is left to do. Each
 * action on a Job is made on that very version of it, so a view that lags behind does no harm: it is refused, and what
 * is to be done is found anew.
 */
#ifndef DF_OPERATOR_CHAIN_H
#define DF_OPERATOR_CHAIN_H

#include "api/v1/dataflow.h"

struct df_chain_input {
	const char *name;			 /* the DataFlowCron */
	const struct df_dataflowcron_spec *spec; /* NULL: it is invalid; then nothing is begun */
	const struct df_value *status;		 /* of the resource, as it was written last; may be NULL */
	struct df_value *const *jobs;		 /* its Jobs, in any order */
	size_t job_count;
	struct df_value *const *pods; /* of its processors */
	size_t pod_count;
	struct df_value *const *trigger_pods;
	size_t trigger_pod_count;
	bool paused; /* by a window or by hand: processors are suspended, no trigger is begun */
	bool held;   /* a checkpoint reset waits: no processor is begun */
	int64_t now; /* seconds since 1970 */
};

enum df_chain_verb {
	DF_CHAIN_PATCH,	 /* a Job: its run id, and what of `suspend` and `mark` is set */
	DF_CHAIN_CREATE, /* a trigger Job, unless `job` is not of that version any more */
	DF_CHAIN_DELETE,
};

enum df_chain_suspend { DF_CHAIN_AS_IT_IS, DF_CHAIN_SUSPEND, DF_CHAIN_RELEASE };

struct df_chain_action {
	enum df_chain_verb verb;
	bool late;			 /* to be done when the status was written, which was made from what goes now */
	const char *job, *uid, *version; /* version NULL: whatever it is */
	/* Another Job that must be of that version too, for the action follows from both; NULL: none. */
	const char *guard, *guard_version;
	const char *run_id;
	/* PATCH */
	enum df_chain_suspend suspend;
	const char *mark; /* D/chain; NULL: as it is */
	/* CREATE: trigger `index` of the run of that processor Job */
	const char *processor_job;
	unsigned index;
	/* DELETE: it stays, being deleted, until its pods are gone */
	bool with_pods;
	/* An Event to be told when it was done; reason NULL: none */
	bool warning;
	const char *reason, *note;
};

struct df_chain_status {
	const char *phase, *message;
	const char *run_id, *active_job;      /* NULL: none */
	int64_t trigger_index;		      /* -1: none */
	int64_t last_successful, last_failed; /* seconds since 1970; 0: never */
	bool vanished; /* the run that it spoke of was deleted: an Event RunFailed with the message */
};

struct df_chain_result {
	struct df_chain_action *actions; /* in this order */
	size_t action_count;
	struct df_chain_status status; /* as it is when they are done */
	int64_t again_at;	       /* look again then, seconds since 1970; 0: when something changes */
};

/* Everything in the result is in the arena, or the input's. DF_ERR_NO_MEMORY. */
int df_chain(const struct df_chain_input *in, struct df_arena *arena, struct df_chain_result *ret,
	     struct df_error *err) df_must_check;

/* No processor of these Jobs and pods is at work: one that waits behind a gate or is suspended is not, once its pods
 * are gone. */
bool df_chain_quiet(struct df_value *const *jobs, size_t job_count, struct df_value *const *pods, size_t pod_count);

/* A Job that may run, was made no later than `before` (seconds since 1970), and has no pod: the one of that name, or
 * any of a processor (name NULL). NULL: there is none. */
const struct df_value *df_chain_podless(struct df_value *const *jobs, size_t job_count, const char *name,
					int64_t before);

#endif

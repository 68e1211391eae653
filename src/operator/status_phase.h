/*
 * Which phase a DataFlow is in, and why (kubernetes reference, section 5): a pure function of what is known of it. The
 * rows of that section are a table of functions; the first that holds wins.
 */
#ifndef DF_OPERATOR_STATUS_PHASE_H
#define DF_OPERATOR_STATUS_PHASE_H

#include "operator/status.h"

/* What a reconcile has found out. */
struct df_flow_facts {
	const struct df_resource *resource;
	const struct df_value *deployment; /* as it is; NULL: none */
	struct df_value *const *pods;
	size_t pod_count;
	const char *invalid;	   /* "Invalid spec: ..."; NULL: it is valid */
	bool refused;		   /* a reference is, which is why `invalid` is set */
	const char *failed;	   /* the step that failed: "Failed to create Deployment: ..." */
	bool unresolved;	   /* it was the step of the references */
	const char *waiting;	   /* for what must be gone before anything starts; NULL: nothing */
	bool suspended, in_window; /* maintenance */
	bool resetting;		   /* a reset waits for pods */
	const char *mount_failure; /* why the volume of a pod cannot be made; NULL: it can */
	bool disconnected;	   /* a connector of a pod is not connected */
};

#define DF_FLOW_CONDITIONS 5

struct df_flow_phase {
	const char *phase, *message;
	const char *processor_failed; /* a pod ended with this error, which is why it is Error; NULL: not so */
	struct df_condition conditions[DF_FLOW_CONDITIONS];
};

/* Texts are in the arena, constant, or of the facts. DF_ERR_NO_MEMORY. */
int df_flow_phase(const struct df_flow_facts *facts, struct df_arena *arena, struct df_flow_phase *ret,
		  struct df_error *err) df_must_check;

/* "Invalid spec: <path>: <text> (and N more)" in the arena; NULL: out of memory. diags: with an error. */
const char *df_flow_invalid(const struct df_diags *diags, struct df_arena *arena);

/* No processor of it runs, and none is about to start: Deployment (NULL: none) and pods as known. */
bool df_flow_quiet(const struct df_value *deployment, struct df_value *const *pods, size_t pod_count);

/* Its container is not made yet: a volume cannot be mounted, or (as far as it says) an image is fetched. */
bool df_pod_creating(const struct df_value *pod);

#endif

/* The steps of a reconcile (kubernetes reference, section 4): how they are run and how a failure is told, and those
 * that a DataFlow and a DataFlowCron share. */
#ifndef DF_OPERATOR_STEPS_H
#define DF_OPERATOR_STEPS_H

#include "operator/objects.h"
#include "operator/status.h"

struct df_steps {
	struct df_reconcile *r;
	struct df_resource resource;
	struct df_objects_of of;

	/* How it went. */
	const char *invalid; /* "Invalid spec: ..."; NULL: it is valid */
	bool refused;	     /* a reference is, which is why `invalid` is set */
	const char *failed;  /* "Failed to create ConfigMap: ..."; NULL: nothing did */
	bool unresolved;     /* it was the step of the references */
	const char *waiting; /* for what must be gone before anything starts; NULL: nothing */
	int undone;	     /* the code of what is tried again, but hides nothing: a mirror that could not go; or 0 */
	struct df_error undone_why;
};

struct df_step {
	const char *stage;  /* of the metric */
	const char *reason; /* of the Event, and "Failed to <what>" there and in the status */
	const char *event, *message;
	int (*run)(struct df_steps *s, struct df_error *err);
};

/* Secrets, spec ConfigMap, checkpoint ConfigMap, and what a processor may do. */
extern const struct df_step df_step_references, df_step_spec, df_step_checkpoint, df_step_access;

/* One after another until one fails or waits. Returns what the reconcile returns: 0 also when a failure has set its own
 * time. A failure that is not for people (df_step_shown) is not in `failed`. */
int df_steps_run(struct df_steps *s, const struct df_step *const *steps, size_t n, struct df_error *err) df_must_check;

/* What differs between the kinds. Each function returns as the reconcile does. */
struct df_reconciler {
	enum df_watched watched;
	const struct df_kube_resource *workload;
	const char *what; /* "Deployment" */
	/* What the caches have of the resource. */
	int (*gather)(struct df_steps *s, struct df_error *err);
	/* Its steps, or what is to be done about an invalid one. */
	int (*work)(struct df_steps *s, struct df_error *err);
	/* The status, also of one that is being deleted. worked: all steps are done. */
	int (*conclude)(struct df_steps *s, bool worked, struct df_error *err);
};

/* One reconcile, from the caches to the status: a resource that is gone is forgotten, the spec is checked (`invalid`,
 * `refused`; mirrors of refused references go), and of one that is being deleted, as somebody's finalizer lets us see
 * (without one garbage collection does the same), the workload and the spec's ConfigMap go. s: zeroed, but for what
 * surrounds it. */
int df_steps_reconcile(const struct df_reconciler *how, struct df_reconcile *r, struct df_steps *s,
		       struct df_error *err) df_must_check;

/* Adds to `status` what both kinds have in the same way: message, observedGeneration, conditions, deliveryGuarantee,
 * and maintenanceStatus unless it is NULL. */
int df_steps_status(const struct df_steps *s, const char *phase, const char *message,
		    const struct df_condition *conditions, size_t n, struct df_value *maintenance,
		    struct df_value *status, struct df_error *err) df_must_check;
/* Adds a member; value NULL: DF_ERR_NO_MEMORY. */
int df_status_add(struct df_value *status, const char *key, struct df_value *value, struct df_error *err) df_must_check;
/* Events of what the new status says and the old one did not: windows (maintenance as above), an invalid spec. True:
 * the message is another one. */
bool df_steps_tell(struct df_steps *s, const char *phase, const char *message, const struct df_value *maintenance);
/* SpecValid of the conditions. */
struct df_condition df_steps_valid(const struct df_steps *s);

/* Is it for people, or a matter of this process: a conflict with a cache that was behind, the end of the Lease? */
bool df_step_shown(const struct df_reconcile *r, int code, const struct df_error *err);

/* What df_ensure did becomes an Event: "Created ConfigMap df-f-spec". Reasons NULL: nobody needs to know. */
int df_step_ensure(struct df_steps *s, const struct df_kube_resource *kind, struct df_value *object,
		   const char *created, const char *updated, const char *what, struct df_value **ret_live,
		   struct df_error *err) df_must_check;

#endif

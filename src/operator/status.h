/* The status of a resource (kubernetes reference, section 5): what both kinds share. */
#ifndef DF_OPERATOR_STATUS_H
#define DF_OPERATOR_STATUS_H

#include "operator/resource.h"

/* One condition of the new status. lastTransitionTime is the old one while its status stays. */
struct df_condition {
	const char *type;
	bool holds;
	const char *reason;  /* CamelCase */
	const char *message; /* "" is fine */
};

/* An array for status.conditions: the ones given, and of the old status those of other types. NULL: out of memory. */
struct df_value *df_status_conditions(const struct df_value *object, const struct df_condition *conditions, size_t n,
				      int64_t generation, int64_t now, struct df_arena *arena);

/* Does that condition of its status hold? */
bool df_status_holds(const struct df_value *object, const char *type);

/* That patch, for the status subresource: it names the version of `object`, so that a writer that was behind is refused
 * ("Conflict"). *ret NULL: nothing differs. Pure. */
int df_status_patch(const struct df_value *object, const struct df_value *wanted, struct df_arena *arena,
		    struct df_value **ret, struct df_error *err) df_must_check;
/*
 * One merge patch of what differs between object.status and `wanted` (an object; a null member removes); none when
 * nothing does. An error is told as Event StatusUpdateFailed. 0 when the resource is gone.
 */
int df_status_write(struct df_reconcile *r, const struct df_value *object, const struct df_value *wanted,
		    struct df_error *err) df_must_check;

/* "at-least-once: ..." for deliveryGuarantee; in the arena. NULL: out of memory. */
const char *df_status_guarantee(const struct df_resource *resource, struct df_arena *arena);
/* RFC 3339 to the second, in the arena. */
struct df_value *df_status_time(int64_t unix_seconds, struct df_arena *arena);

/* maintenanceStatus, null when the spec has no maintenance; asks r to come back at the next edge. *ret_paused: by hand
 * or by a window; *ret_window: a window is open. */
int df_status_maintenance(struct df_reconcile *r, const struct df_resource *resource, bool *ret_paused,
			  bool *ret_window, struct df_value **ret_status, struct df_error *err) df_must_check;

#endif

/*
 * The objects that a resource shall have, as they are applied: complete but for the owner and the applied-hash, which
 * df_ensure adds (kubernetes reference, sections 1, 2, 3, 7, 13). Pure functions of the resource and the settings.
 * Everything is in the arena; DF_ERR_NO_MEMORY is the only error.
 */
#ifndef DF_OPERATOR_OBJECTS_H
#define DF_OPERATOR_OBJECTS_H

#include "operator/resource.h"

struct df_objects_of {
	const struct df_operator_settings *settings;
	const struct df_resource *resource;
	struct df_arena *arena;
};

int df_object_spec_configmap(const struct df_objects_of *of, struct df_value **ret, struct df_error *err) df_must_check;
/* Without data, which is the processor's. */
int df_object_checkpoint_configmap(const struct df_objects_of *of, struct df_value **ret,
				   struct df_error *err) df_must_check;
/* The Lease of the processors: without a holder. */
int df_object_lease(const struct df_objects_of *of, struct df_value **ret, struct df_error *err) df_must_check;
int df_object_service_account(const struct df_objects_of *of, struct df_value **ret,
			      struct df_error *err) df_must_check;
int df_object_role(const struct df_objects_of *of, struct df_value **ret, struct df_error *err) df_must_check;
int df_object_role_binding(const struct df_objects_of *of, struct df_value **ret, struct df_error *err) df_must_check;
/* replicas: 0 while it is paused. */
int df_object_deployment(const struct df_objects_of *of, int64_t replicas, struct df_value **ret,
			 struct df_error *err) df_must_check;

/* suspended: by `suspend`, a window, or a reset that waits. */
int df_object_cronjob(const struct df_objects_of *of, bool suspended, struct df_value **ret,
		      struct df_error *err) df_must_check;
/* The Job of trigger `index` of the run of that processor Job. */
int df_object_trigger_job(const struct df_objects_of *of, const char *processor_job, unsigned index,
			  struct df_value **ret, struct df_error *err) df_must_check;

#endif

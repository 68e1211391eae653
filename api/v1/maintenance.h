/* Maintenance windows: the manifest reference, section 3, and the Kubernetes reference, section 6. */
#ifndef DF_API_V1_MAINTENANCE_H
#define DF_API_V1_MAINTENANCE_H

#include "api/v1/dataflow.h"

/* How a flow stands at an instant; seconds since 1970. */
struct df_maintenance_state {
	bool suspended;	     /* by hand */
	bool in_window;	     /* a window is open */
	int64_t last_start;  /* of the window that is open, or of the last one; INT64_MIN: none yet */
	int64_t next_start;  /* of the next one; INT64_MAX: none */
	int64_t next_change; /* when in_window may change; INT64_MAX: never */
};

/* DF_ERR_CONFIG when the time zone cannot be loaded any more. */
int df_maintenance_at(const struct df_dataflow_spec *spec, int64_t now, struct df_maintenance_state *ret,
		      struct df_error *err) df_must_check;

#endif

/* What the operator counts about itself: what metrics.c counts and metrics_write.c writes. */
#ifndef DF_OPERATOR_METRICS_INTERNAL_H
#define DF_OPERATOR_METRICS_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>

#include "operator/counts.h"

#define DF_FLOW_KINDS (DF_KIND_DATAFLOWCRON + 1)
#define DF_RECONCILE_BUCKETS 14
#define DF_RECONCILE_STAGES 32

enum df_flow_phase { DF_FLOW_PENDING, DF_FLOW_RUNNING, DF_FLOW_ERROR, DF_FLOW_STOPPED, DF_FLOW_PHASES };
extern const char *const df_flow_phases[DF_FLOW_PHASES];
extern const double df_reconcile_bounds[DF_RECONCILE_BUCKETS - 1]; /* seconds; the last bucket has none */

/* A DataFlow and a DataFlowCron may have the same name: they are one series. */
struct df_flow_status {
	char *namespace, *name;
	enum df_flow_phase phases[DF_FLOW_KINDS]; /* by kind; DF_FLOW_PHASES: there is none */
};

struct df_reconcile_times {
	uint64_t buckets[DF_RECONCILE_BUCKETS]; /* not cumulative */
	int64_t sum_ns;
};

struct df_operator_metrics {
	_Atomic bool leads;
	_Atomic int64_t under_way;
	pthread_mutex_t lock;		    /* of what follows */
	struct df_reconcile_times times[2]; /* failed, succeeded */
	struct {
		const char *name; /* constant */
		uint64_t count;
	} stages[DF_RECONCILE_STAGES];
	size_t stage_count;
	struct df_flow_status *flows; /* sorted by namespace and name */
	size_t flow_count, flow_cap;
};

#endif

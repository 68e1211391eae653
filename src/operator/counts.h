/*
 * What the processors of the cluster say: the leader scrapes each running pod, for the counts of the status (every 30
 * s) and for /metrics (when it is asked). Thread-safe.
 */
#ifndef DF_OPERATOR_COUNTS_H
#define DF_OPERATOR_COUNTS_H

#include "operator/resource.h"

/* Of one process of one pod, as it said last. */
struct df_process_counts {
	char pod_uid[64];
	int32_t restarts;
	int64_t processed;	/* dataflow_messages_total with outcome written, filtered, dropped */
	int64_t errors;		/* error_sinked, and stops caused by a message */
	int64_t last_processed; /* seconds since 1970; 0: none */
	bool disconnected;	/* a connector of it is not connected */
};

/* Starts the thread that scrapes every settings->counts_interval_ns with jitter (0: no thread); each pod is known by a
 * call of df_counts_pod. */
int df_counts_start(const struct df_operator_settings *settings, struct df_counts **ret,
		    struct df_error *err) df_must_check;
/* Nothing more is scraped, and what is being asked ends; the rest still works. Accepts NULL. */
void df_counts_cancel(struct df_counts *counts);
/* Nobody may use it any more, df_operator_metrics_write neither. Accepts NULL. */
void df_counts_stop(struct df_counts *counts);

/* A processor pod was added, changed, or is gone (from the cache of pods): running ones are scraped. */
void df_counts_pod(struct df_counts *counts, enum df_kube_event event, struct df_value *pod, struct df_arena *arena);
/* The resource is gone: its pods, which may stay for a while, count for none of that name that comes. */
void df_counts_gone(struct df_counts *counts, enum df_manifest_kind kind, const char *namespace, const char *name);
/* Called from the scraping thread when the counts of a resource's pods have changed. Set once, before the first pod. */
void df_counts_on_change(struct df_counts *counts,
			 void (*fn)(void *arg, enum df_manifest_kind kind, const char *namespace, const char *name),
			 void *arg);

/*
 * The status fields of a DataFlow from its pods: processedCount, errorCount, lastProcessedTime, processors, added to
 * `status` (an object). The totals of object.status grow by what processors[] does not contain yet; the termination
 * message of an ended process gives its last numbers. Pods of a namesake that was deleted do not count. deployment: as
 * it is; NULL: none. Pure but for the scraped numbers.
 */
int df_counts_status(struct df_counts *counts, const struct df_value *object, const struct df_value *deployment,
		     struct df_value *const *pods, size_t pod_count, struct df_arena *arena, struct df_value *status,
		     bool *ret_disconnected, struct df_error *err) df_must_check;

/* ---- metrics.c: /metrics of the operator ----------------------------------------------------------------- */

/* What the operator counts about itself; atomics, shared. */
struct df_operator_metrics;
struct df_operator_metrics *df_operator_metrics_new(void);
void df_operator_metrics_free(struct df_operator_metrics *m);
/* A reconcile began and ended; stage: where it failed, NULL: it went well. */
void df_operator_metrics_begin(struct df_operator_metrics *m);
void df_operator_metrics_end(struct df_operator_metrics *m, int64_t ns, const char *stage);
void df_operator_metrics_leader(struct df_operator_metrics *m, bool leads);
/* dataflow_status of a resource: the phase in its status; NULL: it is gone. */
void df_operator_metrics_phase(struct df_operator_metrics *m, enum df_manifest_kind kind, const char *namespace,
			       const char *name, const char *phase);

/* The text for a scrape with `timeout_ns` left: the operator's own and, when counts is not NULL (the leader), those of
 * all running pods, merged. query: "namespace=...&name=..." or empty. */
void df_operator_metrics_write(struct df_operator_metrics *m, struct df_counts *counts, struct df_str query,
			       int64_t timeout_ns, struct df_buf *buf);

#endif

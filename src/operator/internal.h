/* What the files of the operator share. */
#ifndef DF_OPERATOR_INTERNAL_H
#define DF_OPERATOR_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>

#include "kube/lease.h"
#include "kube/queue.h"
#include "operator/counts.h"
#include "operator/ensure.h"
#include "operator/events.h"
#include "operator/operator.h"
#include "operator/reconcile.h"
#include "operator/webhook.h"

struct df_operator {
	const struct df_operator_settings *settings;
	struct df_kube_config config;
	struct df_kube_limiter *limiter;
	struct df_kube_client_options client; /* for every client that is made */
	struct df_kube_cache **caches;	      /* [DF_WATCHED][namespaces], or NULL before it leads */
	size_t namespace_count;		      /* at least 1 */
	struct df_kube_queue *queue;	      /* "flow/<namespace>/<name>", "cron/<namespace>/<name>" */
	struct df_recorder *events;
	struct df_counts *counts;
	struct df_verified *verified;
	struct df_operator_metrics *metrics;
	struct df_webhook *webhook;
	struct df_kube_lease *lease;
	struct df_context *work; /* cancelled when the Lease is lost, or at the end */
	_Atomic bool answered;	 /* the API server answered: /readyz */
	_Atomic bool leads;
	_Atomic bool lost;
};

/* ---- work.c: keys, caches to queue, workers -------------------------------------------------------------- */

int df_operator_watch(struct df_operator *op, struct df_error *err) df_must_check; /* starts and awaits the caches */
void df_operator_unwatch(struct df_operator *op);
/* Takes keys until op->work ends. The body of a worker thread; arg: struct df_operator. */
void *df_operator_worker(void *arg);

#endif

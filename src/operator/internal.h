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
	const char *namespace; /* where the Lease is; borrowed */
	char *identity;	       /* as which it is held */
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
	struct df_context *take; /* cancelled when no further key shall be taken */
	struct df_context *work; /* cancelled when what is under way shall end, too */
	_Atomic bool answered;	 /* the API server answered: /readyz */
	_Atomic bool leads;
};

/* ---- work.c: keys, caches to queue, workers -------------------------------------------------------------- */

/* Starts the caches and awaits them, or `stop`. */
int df_operator_watch(struct df_operator *op, struct df_context *stop, struct df_error *err) df_must_check;
void df_operator_unwatch(struct df_operator *op);
/* Puts a resource into the queue. */
void df_operator_add(struct df_operator *op, enum df_manifest_kind kind, const char *namespace, const char *name);
/* Takes keys until op->take ends. The body of a worker thread; arg: struct df_operator. */
void *df_operator_worker(void *arg);

#endif

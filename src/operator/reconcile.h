/*
 * What every part of a reconcile gets: who it is about, how to reach the API, where memory comes from; and the caches
 * that it reads. A struct df_reconcile belongs to one worker for one key.
 */
#ifndef DF_OPERATOR_RECONCILE_H
#define DF_OPERATOR_RECONCILE_H

#include "api/v1/dataflow.h"
#include "base/clock.h"
#include "base/log.h"
#include "kube/cache.h"
#include "kube/client.h"
#include "operator/settings.h"

#define DF_FIELD_MANAGER "dataflow-operator"

/* What is watched. */
enum df_watched {
	DF_WATCH_DATAFLOWS,
	DF_WATCH_DATAFLOWCRONS,
	DF_WATCH_DEPLOYMENTS,
	DF_WATCH_CRONJOBS,
	DF_WATCH_JOBS,
	DF_WATCH_CONFIGMAPS,
	DF_WATCH_PODS, /* of processors */
	DF_WATCH_TRIGGER_PODS,
	DF_WATCHED
};

struct df_operator; /* what the files of this floor share: internal.h */
struct df_recorder; /* events.h */
struct df_counts;   /* counts.h */

struct df_reconcile {
	struct df_operator *op; /* NULL in unit tests that need no cluster */
	const struct df_operator_settings *settings;
	struct df_kube_client *client;
	struct df_context *ctx; /* ends after RECONCILE_TIMEOUT_SECONDS, and when the Lease is lost */
	struct df_arena *arena; /* for all that lives as long as this reconcile */
	struct df_recorder *events;
	struct df_counts *counts;
	enum df_manifest_kind kind;
	const char *namespace, *name;
	char id[9]; /* reconcile_id of the logs */
	struct df_logger logger;
	int64_t now; /* seconds since 1970 */

	/* What the reconcile answers. */
	int64_t again_ns;	/* come back in so long at the latest; 0: when something changes */
	int64_t retry_after_ns; /* so long the API server wants to be left alone; 0: it has not said */
	const char *stage;	/* the step that is under way or failed: "configmap", "deployment" ...; constant */
};

/* The earliest wish counts. */
void df_reconcile_again(struct df_reconcile *r, int64_t ns);

/* A copy of a watched object in r->arena; *ret NULL: there is none. */
int df_watched_get(struct df_reconcile *r, enum df_watched what, const char *namespace, const char *name,
		   struct df_value **ret, struct df_error *err) df_must_check;
/* Each watched object (pods, Jobs) that carries the label D/name or D/dataflow-cron of r's resource, copied to
 * r->arena, in no order. */
int df_watched_of(struct df_reconcile *r, enum df_watched what, struct df_value ***ret, size_t *ret_count,
		  struct df_error *err) df_must_check;

/* The two reconcilers: flow.c and cron.c. 0, or a code: tried again later, with the back-off of the queue. The resource
 * may be gone. */
int df_reconcile_flow(struct df_reconcile *r, struct df_error *err) df_must_check;
int df_reconcile_cron(struct df_reconcile *r, struct df_error *err) df_must_check;

#endif

/*
 * Events of a resource (kubernetes reference, section 9): events.k8s.io/v1, the same reason and text within 10 min
 * raise the count of a series, at most 25 at once and then one per 5 min and object. Sent by a thread of its own, so
 * that no reconcile waits for them; one that cannot be sent is logged and dropped. Thread-safe.
 */
#ifndef DF_OPERATOR_EVENTS_H
#define DF_OPERATOR_EVENTS_H

#include "operator/reconcile.h"

struct df_recorder_options {
	struct df_kube_client_options client;
	const char *instance; /* reportingInstance: the pod's name */
};
int df_recorder_start(const struct df_recorder_options *options, struct df_recorder **ret,
		      struct df_error *err) df_must_check;
/* Sends what waits, for at most 2 s, stops the thread. Accepts NULL. */
void df_recorder_stop(struct df_recorder *recorder);

/* Of the resource `object` (apiVersion, kind, metadata): a text is cut at 1 KiB. recorder NULL: nothing. */
void df_event(struct df_reconcile *r, const struct df_value *object, bool warning, const char *reason, const char *fmt,
	      ...) df_printf(5, 6);

/* events_newest.c: each Event about a namespaced object, of that reason (NULL: of any). One request. */
int df_events_each(struct df_reconcile *r, const struct df_value *object, const char *reason,
		   int (*on_event)(void *arg, struct df_value *event, struct df_error *err), void *arg,
		   struct df_error *err) df_must_check;
/* When it was seen last, RFC 3339, in the arena or the Event; len 0: unknown. */
struct df_str df_event_time(const struct df_value *event, struct df_arena *arena);
/* events_newest.c: the text of the newest Event of that reason about a namespaced object, in r->arena; *ret NULL: there
 * is none. One request. */
int df_events_newest(struct df_reconcile *r, const struct df_value *object, const char *reason, const char **ret,
		     struct df_error *err) df_must_check;

#endif

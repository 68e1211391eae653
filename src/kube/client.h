/*
 * Requests to the Kubernetes API: what the operator and a processor in a pod ask, and no more. JSON in and out as
 * documents. Blocking, cancelled through a context.
 *
 * A client belongs to one thread at a time; threads have a client each and may share a limiter. The config is borrowed.
 *
 * Errors: `remote` is the API's reason ("NotFound", "AlreadyExists", "Conflict", "Invalid", "Expired", "Forbidden"
 * ...), the text is the server's message. 401 and 403: DF_ERR_AUTH. 409, 429, 5xx: DF_ERR_TRANSIENT. 410 ("Expired", a
 * list or a watch is to begin anew): DF_ERR_TRANSIENT. 400 and 422: DF_ERR_CONFIG. 404 and what else there is:
 * DF_ERR_UNKNOWN. No answer: as df_http_request. No token is ever in a text.
 */
#ifndef DF_KUBE_CLIENT_H
#define DF_KUBE_CLIENT_H

#include "base/context.h"
#include "kube/config.h"
#include "value/value.h"

/* A kind, as its URL names it. */
struct df_kube_resource {
	const char *group; /* "": the core group */
	const char *version;
	const char *plural;
	const char *kind;
	bool cluster; /* not namespaced */
};

extern const struct df_kube_resource df_kube_dataflows, df_kube_dataflowcrons, df_kube_configmaps, df_kube_secrets,
	df_kube_pods, df_kube_serviceaccounts, df_kube_deployments, df_kube_jobs, df_kube_cronjobs, df_kube_roles,
	df_kube_rolebindings, df_kube_leases, df_kube_events, df_kube_namespaces, df_kube_crds, df_kube_webhooks,
	df_kube_token_reviews, df_kube_access_reviews, df_kube_self_access_reviews;

/* How many requests a second: a bucket of `burst` that fills with `rate`. Shared by clients; thread-safe. */
struct df_kube_limiter;
struct df_kube_limiter *df_kube_limiter_new(double rate, double burst); /* NULL: out of memory */
void df_kube_limiter_free(struct df_kube_limiter *limiter);		/* accepts NULL */

struct df_kube_client;

struct df_kube_client_options {
	const struct df_kube_config *config;
	struct df_kube_limiter *limiter; /* NULL: none */
	const char *field_manager;	 /* of apply and patch: "dataflow-operator" */
	int64_t timeout_ns;		 /* of one request, not of a watch; 0: 30 s */
	/* Asked right before anything but a GET is sent: false, and it is not (DF_ERR_CLOSED). For who may have lost a
	 * Lease without knowing it yet. NULL: always. */
	bool (*may_write)(void *arg);
	void *arg;
};
int df_kube_client_new(const struct df_kube_client_options *options, struct df_kube_client **ret,
		       struct df_error *err) df_must_check;
void df_kube_client_free(struct df_kube_client *client); /* accepts NULL */
/* As whom it creates, applies and patches from now on; borrowed. Returns as whom it did until now. */
const char *df_kube_client_manager(struct df_kube_client *client, const char *field_manager);
DF_DEFINE_CLEANUP(struct df_kube_client *, df_kube_client_free)

/* What one object is called. namespace NULL: of a cluster resource, or (list, watch) all namespaces. */
struct df_kube_ref {
	const struct df_kube_resource *resource;
	const char *namespace, *name;
	const char *subresource; /* "status", "scale", "log"; NULL: the object itself */
};

/* Of the last answer, when it said when to come again (429, 503); -1: it did not. */
int64_t df_kube_retry_after_ns(const struct df_kube_client *client);
/* Was the last error this reason? */
bool df_kube_is(const struct df_error *err, const char *reason);

/* *ret_object NULL and 0: there is none. Everything returned is in the arena. */
int df_kube_get(struct df_kube_client *client, struct df_context *ctx, const struct df_kube_ref *ref,
		struct df_arena *arena, struct df_value **ret_object, struct df_error *err) df_must_check;
/* The following give the object as it is now; ret_object may be NULL. */
int df_kube_create(struct df_kube_client *client, struct df_context *ctx, const struct df_kube_ref *ref,
		   const struct df_value *object, struct df_arena *arena, struct df_value **ret_object,
		   struct df_error *err) df_must_check;
/* Replaces it whole; metadata.resourceVersion of the object must be the current one. */
int df_kube_update(struct df_kube_client *client, struct df_context *ctx, const struct df_kube_ref *ref,
		   const struct df_value *object, struct df_arena *arena, struct df_value **ret_object,
		   struct df_error *err) df_must_check;
/* Server-side apply: the fields of the object become ours (forced), those we had and left out go. Creates it. */
int df_kube_apply(struct df_kube_client *client, struct df_context *ctx, const struct df_kube_ref *ref,
		  const struct df_value *object, struct df_arena *arena, struct df_value **ret_object,
		  struct df_error *err) df_must_check;

enum df_kube_patch { DF_KUBE_MERGE_PATCH, DF_KUBE_JSON_PATCH, DF_KUBE_STRATEGIC_PATCH };
int df_kube_patch(struct df_kube_client *client, struct df_context *ctx, const struct df_kube_ref *ref,
		  enum df_kube_patch kind, const struct df_value *patch, struct df_arena *arena,
		  struct df_value **ret_object, struct df_error *err) df_must_check;

struct df_kube_delete_options {
	const char *uid;	 /* only when it is that object; NULL: whatever is there */
	const char *version;	 /* only when it is as of that resourceVersion, else "Conflict"; NULL: as it is */
	const char *propagation; /* "Background", "Foreground", "Orphan"; NULL: the server's default */
	int64_t grace_seconds;	 /* -1: the object's own */
};
/* *ret_existed, which may be NULL: false: there was none. */
int df_kube_delete(struct df_kube_client *client, struct df_context *ctx, const struct df_kube_ref *ref,
		   const struct df_kube_delete_options *options, bool *ret_existed, struct df_error *err) df_must_check;

/* ---- many ------------------------------------------------------------------------------------------------ */

struct df_kube_list_options {
	const char *label_selector, *field_selector; /* NULL: all */
	size_t page;				     /* objects a page; 0: 500 */
};
/*
 * Every object, page by page (one page is held at a time): on_object gets each in an arena of the page; a code of its
 * own ends the list. *ret_version, when not NULL: the list's resourceVersion (heap), from which to watch.
 */
int df_kube_list(struct df_kube_client *client, struct df_context *ctx, const struct df_kube_ref *ref,
		 const struct df_kube_list_options *options,
		 int (*on_object)(void *arg, struct df_value *object, struct df_error *err), void *arg,
		 char **ret_version, struct df_error *err) df_must_check;

enum df_kube_event {
	DF_KUBE_ADDED,
	DF_KUBE_MODIFIED,
	DF_KUBE_DELETED,
	DF_KUBE_BOOKMARK,
	DF_KUBE_TOUCHED, /* of caches (cache.h): modified, but not in what counts */
};
/*
 * Watches from a resourceVersion until the server ends the watch (0, after some minutes: go on from the version of the
 * last event), ctx ends, or an error; "Expired": list anew. on_event as on_object. Bookmarks are asked for.
 */
int df_kube_watch(struct df_kube_client *client, struct df_context *ctx, const struct df_kube_ref *ref,
		  const struct df_kube_list_options *options, const char *version,
		  int (*on_event)(void *arg, enum df_kube_event event, struct df_value *object, struct df_error *err),
		  void *arg, struct df_error *err) df_must_check;

/* A pod's log as it is written, until the container ends, or ctx. query: "container=processor&follow=true", encoded. */
int df_kube_logs(struct df_kube_client *client, struct df_context *ctx, const char *namespace, const char *pod,
		 const char *query, int (*on_piece)(void *arg, struct df_str piece, struct df_error *err), void *arg,
		 struct df_error *err) df_must_check;

/* ---- looking into objects -------------------------------------------------------------------------------- */

/* The member at a path of keys ("metadata", "labels", "app", NULL); NULL when any is missing. */
struct df_value *df_kube_at(const struct df_value *object, ...) __attribute__((sentinel));
/* The text there (arena or document); ptr NULL when it is no string. */
struct df_str df_kube_text(const struct df_value *object, struct df_arena *arena, ...) __attribute__((sentinel));
/* The time there, in whole seconds since 1970; 0 when it is none. */
int64_t df_kube_time(const struct df_value *object, struct df_arena *arena, ...) __attribute__((sentinel));
/* Have two objects the same members, but for that one, which either may have? False when one is no object. */
bool df_kube_same_but(const struct df_value *a, const struct df_value *b, const char *key);

#endif

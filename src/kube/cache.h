/*
 * A local copy of all objects of one kind: listed once, then watched, by a thread of its own. What is kept of an object
 * is its compact JSON, after `trim` took out what nobody asks for, packed (kube/pack.h).
 *
 * A watch that ends, a server that restarts, a version that expired (410): the thread goes on with backoff, and lists
 * anew where it must; what vanished meanwhile is then told as deleted. Thread-safe.
 */
#ifndef DF_KUBE_CACHE_H
#define DF_KUBE_CACHE_H

#include "base/log.h"
#include "kube/client.h"

struct df_kube_cache;

struct df_kube_cache_options {
	struct df_kube_client_options client;
	struct df_kube_ref what; /* resource and namespace (NULL: all) */
	struct df_kube_list_options filter;
	const struct df_logger *logger;
	/* Removes what need not be kept from an object, in place. metadata.managedFields is always removed. NULL: keep
	 * the rest. */
	void (*trim)(struct df_value *object, struct df_arena *arena);
	/* By what else objects are found: a text in the arena, or NULL: by nothing. NULL: no index. */
	const char *(*index)(struct df_value *object, struct df_arena *arena);
	/* Is that all the same to who reads it? Then the change is told as DF_KUBE_TOUCHED. NULL: every change counts.
	 */
	bool (*same)(const struct df_value *before, const struct df_value *now);
	/* An object was added, changed or deleted (`object` as it was last; trimmed). On the cache's thread: be quick.
	 */
	void (*on_change)(void *arg, enum df_kube_event event, struct df_value *object, struct df_arena *arena);
	void *arg;
};

/* Starts the thread. All that options point to is borrowed until free. */
int df_kube_cache_start(const struct df_kube_cache_options *options, struct df_kube_cache **ret,
			struct df_error *err) df_must_check;
void df_kube_cache_free(struct df_kube_cache *cache); /* stops it; accepts NULL */

/* Waits until the first list is in. 0 or the context's code. */
int df_kube_cache_await(struct df_kube_cache *cache, struct df_context *ctx, struct df_error *err) df_must_check;
/* When the last answer of the server came (monotonic ns); 0: none yet. For readiness. */
int64_t df_kube_cache_seen_ns(struct df_kube_cache *cache);

/* A copy of the object in the arena; *ret NULL: there is none. DF_ERR_NO_MEMORY. */
int df_kube_cache_get(struct df_kube_cache *cache, const char *namespace, const char *name, struct df_arena *arena,
		      struct df_value **ret, struct df_error *err) df_must_check;
/* Each object of the namespace (NULL: all), parsed into an arena that lives for the call only. A code ends it. The
 * cache is locked meanwhile: be quick. */
int df_kube_cache_each(struct df_kube_cache *cache, const char *namespace,
		       int (*fn)(void *arg, struct df_value *object, struct df_error *err), void *arg,
		       struct df_error *err) df_must_check;
/* Each object of the namespace with that index; otherwise as df_kube_cache_each. */
int df_kube_cache_each_of(struct df_kube_cache *cache, const char *namespace, const char *index,
			  int (*fn)(void *arg, struct df_value *object, struct df_error *err), void *arg,
			  struct df_error *err) df_must_check;
size_t df_kube_cache_count(struct df_kube_cache *cache);
size_t df_kube_cache_bytes(struct df_kube_cache *cache); /* of what is kept, packed */

#endif

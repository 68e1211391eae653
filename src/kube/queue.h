/*
 * A queue of work by key, as controllers use it: a key is in it once, is worked on by one thread at a time, and comes
 * again when it was added meanwhile; a key that failed comes back later and later. Thread-safe.
 */
#ifndef DF_KUBE_QUEUE_H
#define DF_KUBE_QUEUE_H

#include "base/context.h"
#include "base/str.h"

struct df_kube_queue;

/* A key that fails waits first_ns, then twice as long each time, up to cap_ns. NULL: out of memory. */
struct df_kube_queue *df_kube_queue_new(int64_t first_ns, int64_t cap_ns);
void df_kube_queue_free(struct df_kube_queue *q); /* accepts NULL; nobody may use it any more */

/* DF_ERR_NO_MEMORY. Adding what is there already is nothing; what is being worked on comes again afterwards, also when
 * that fails; what has failed comes at once. */
int df_kube_queue_add(struct df_kube_queue *q, struct df_str key, struct df_error *err) df_must_check;
/* The same for what is no reason to try sooner what fails: an echo of what was written about a failure. */
int df_kube_queue_add_mildly(struct df_kube_queue *q, struct df_str key, struct df_error *err) df_must_check;
/* In so long at the latest; an earlier time that is set already stays. */
int df_kube_queue_add_after(struct df_kube_queue *q, struct df_str key, int64_t ns, struct df_error *err) df_must_check;

/* Waits for a key; *ret_key is the caller's until it is given back with one of the three below. 0 or the context's
 * code. */
int df_kube_queue_get(struct df_kube_queue *q, struct df_context *ctx, char **ret_key,
		      struct df_error *err) df_must_check;
void df_kube_queue_done(struct df_kube_queue *q, char *key); /* it went well: forgets the failures */
/* It failed: comes back later, and whatever is added not within at_least_ns. */
void df_kube_queue_retry(struct df_kube_queue *q, char *key, int64_t at_least_ns);

size_t df_kube_queue_length(struct df_kube_queue *q); /* keys that wait for a thread, without those for later */

#endif

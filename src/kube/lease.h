/*
 * A Lease: one holder at a time among processes that cannot see each other. For leader election, and to fence the
 * processors of one flow.
 *
 * As client-go's leader election: a holder renews every `retry`; one who waits takes the Lease over when its record has
 * not changed for `duration` on the waiter's own monotonic clock, so that clocks need not agree. A holder that could
 * not renew for `deadline` has lost it, and must not write again.
 */
#ifndef DF_KUBE_LEASE_H
#define DF_KUBE_LEASE_H

#include "base/log.h"
#include "kube/client.h"

struct df_kube_lease;

struct df_kube_lease_options {
	struct df_kube_client_options client;
	const char *namespace, *name;
	const char *identity; /* unique for each start of a process */
	/* A holder whose identity begins so has ended for certain, and is not waited for; NULL: nobody's. */
	const char *ended_prefix;
	int64_t duration_ns, deadline_ns, retry_ns;
	bool create; /* make it when it is missing; else that is waited for */
	const struct df_logger *logger;
	/* Held no more, on the lease's thread: stop at once. Not called by release. */
	void (*on_lost)(void *arg, const struct df_error *why);
	void *arg;
};

/* Waits until it is held, then renews it in a thread of its own. 0 or the context's code; DF_ERR_AUTH. */
int df_kube_lease_acquire(const struct df_kube_lease_options *options, struct df_context *ctx,
			  struct df_kube_lease **ret, struct df_error *err) df_must_check;
/* Held, as far as this process can know now: renewed within the deadline. */
bool df_kube_lease_held(struct df_kube_lease *lease);
/* Gives it up so that the next one need not wait, stops the thread, frees. Accepts NULL. */
void df_kube_lease_release(struct df_kube_lease *lease);

#endif

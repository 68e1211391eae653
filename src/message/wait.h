/* What the channel and the ledger share: waiting on a condition that a context can end. Private to src/message. */
#ifndef DF_MESSAGE_WAIT_H
#define DF_MESSAGE_WAIT_H

#include <pthread.h>
#include <time.h>

#include "base/clock.h"
#include "base/context.h"

/* A condition variable whose deadlines are monotonic. */
static inline void df_wait_init(pthread_cond_t *cond)
{
	pthread_condattr_t attr;

	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(cond, &attr);
	pthread_condattr_destroy(&attr);
}

/*
 * Sleeps until the condition is signalled, the context's deadline or until_ns (monotonic; INT64_MAX: none) has passed.
 * Spurious returns happen. A cancel must signal the condition (df_context_on_cancel). The mutex is held.
 */
static inline void df_wait(pthread_cond_t *cond, pthread_mutex_t *mutex, const struct df_context *ctx, int64_t until_ns)
{
	int ms = df_context_remaining_ms(ctx);

	if (ms >= 0) {
		int64_t end = df_clock_monotonic() + ms * DF_NS_PER_MS;

		if (end < until_ns)
			until_ns = end;
	}
	if (until_ns == INT64_MAX) {
		pthread_cond_wait(cond, mutex);
		return;
	}
	if (until_ns < 0)
		until_ns = 0;
	struct timespec at = { .tv_sec = (time_t)(until_ns / DF_NS_PER_S), .tv_nsec = (long)(until_ns % DF_NS_PER_S) };
	pthread_cond_timedwait(cond, mutex, &at);
}

#endif

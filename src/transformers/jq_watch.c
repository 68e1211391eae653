#include "transformers/jq_internal.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

/* What `deadline` holds beside a time. */
enum { IDLE = 0, FIRED = -1 };

struct df_jq_watch {
	int64_t timeout_ns;
	void (*fire)(void *arg);
	void *arg;
	_Atomic int64_t deadline; /* of df_clock_monotonic, or IDLE or FIRED */
	atomic_bool asleep;	  /* the thread waits for a signal, not for a time */
	pthread_mutex_t lock;	  /* held by the thread but while it waits, so also while it fires */
	pthread_cond_t wake;
	bool stop; /* under lock */
	pthread_t thread;
};

static void wait_until(struct df_jq_watch *w, int64_t ns)
{
	struct timespec until = { .tv_sec = (time_t)(ns / DF_NS_PER_S), .tv_nsec = (long)(ns % DF_NS_PER_S) };

	pthread_cond_timedwait(&w->wake, &w->lock, &until);
}

/* `asleep` is set before the deadline is looked at again, and read after it was set: one of both sees the other. */
static void sleep_until_armed(struct df_jq_watch *w)
{
	atomic_store(&w->asleep, true);
	while (!w->stop && atomic_load(&w->deadline) <= 0)
		pthread_cond_wait(&w->wake, &w->lock);
	atomic_store(&w->asleep, false);
}

static void *watch_main(void *arg)
{
	struct df_jq_watch *w = arg;

	pthread_mutex_lock(&w->lock);
	while (!w->stop) {
		int64_t deadline = atomic_load(&w->deadline);

		if (deadline <= 0)
			sleep_until_armed(w);
		else if (df_clock_monotonic() < deadline)
			wait_until(w, deadline);
		else if (atomic_compare_exchange_strong(&w->deadline, &deadline, FIRED))
			w->fire(w->arg);
	}
	pthread_mutex_unlock(&w->lock);
	return NULL;
}

static void init_locks(struct df_jq_watch *w)
{
	pthread_condattr_t attr;

	pthread_mutex_init(&w->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&w->wake, &attr);
	pthread_condattr_destroy(&attr);
}

static void done_locks(struct df_jq_watch *w)
{
	pthread_cond_destroy(&w->wake);
	pthread_mutex_destroy(&w->lock);
}

int df_jq_watch_new(int64_t timeout_ns, void (*fire)(void *arg), void *arg, struct df_jq_watch **ret)
{
	struct df_jq_watch *w = calloc(1, sizeof(*w));

	*ret = NULL;
	if (!w)
		return DF_ERR_NO_MEMORY;
	w->timeout_ns = timeout_ns;
	w->fire = fire;
	w->arg = arg;
	init_locks(w);
	if (pthread_create(&w->thread, NULL, watch_main, w) != 0) {
		done_locks(w);
		free(w);
		return DF_ERR_NO_MEMORY;
	}
	*ret = w;
	return 0;
}

static void wake(struct df_jq_watch *w, bool stop)
{
	pthread_mutex_lock(&w->lock);
	w->stop = stop;
	pthread_cond_signal(&w->wake);
	pthread_mutex_unlock(&w->lock);
}

void df_jq_watch_free(struct df_jq_watch *w)
{
	if (!w)
		return;
	wake(w, true);
	pthread_join(w->thread, NULL);
	done_locks(w);
	free(w);
}

void df_jq_watch_arm(struct df_jq_watch *w)
{
	atomic_store(&w->deadline, df_clock_monotonic() + w->timeout_ns);
	if (atomic_load(&w->asleep))
		wake(w, false);
}

bool df_jq_watch_disarm(struct df_jq_watch *w)
{
	if (atomic_exchange(&w->deadline, IDLE) != FIRED)
		return false;
	/* Wait for the end of `fire`. */
	pthread_mutex_lock(&w->lock);
	pthread_mutex_unlock(&w->lock);
	return true;
}

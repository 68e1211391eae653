/* Whose turn it is to call a sink. The committer comes rarely and goes first: a busy output would never let it in. */
#include <errno.h>

#include "processor/internal.h"

/* How often the committer looks up from a sink that is busy. */
#define LOOK_INTERVAL (100 * DF_NS_PER_MS)

void df_output_begin_call(struct df_output *o)
{
	DF_LOCK_SCOPE(&o->sink_lock);
	while (o->sink_busy || o->sync_waits)
		pthread_cond_wait(&o->sink_free, &o->sink_lock);
	o->sink_busy = true;
}

void df_output_end_call(struct df_output *o)
{
	DF_LOCK_SCOPE(&o->sink_lock);
	o->sink_busy = false;
	pthread_cond_broadcast(&o->sink_free);
}

bool df_output_begin_sync(struct df_output *o, bool final)
{
	bool given_up = false;

	DF_LOCK_SCOPE(&o->sink_lock);
	o->sync_waits = true;
	while (o->sink_busy && !given_up) {
		int64_t until = df_clock_monotonic() + LOOK_INTERVAL;
		struct timespec at = { until / DF_NS_PER_S, until % DF_NS_PER_S };

		given_up = pthread_cond_timedwait(&o->sink_free, &o->sink_lock, &at) == ETIMEDOUT && !final &&
			   df_context_canceled(o->p->read_ctx);
	}
	o->sync_waits = false;
	if (o->sink_busy) {
		pthread_cond_broadcast(&o->sink_free);
		return false;
	}
	o->sink_busy = true;
	return true;
}

#include <stdlib.h>

#include "base/clock.h"
#include "kube/client_internal.h"

struct df_kube_limiter {
	pthread_mutex_t lock;
	double rate, burst;
	double tokens; /* may be negative: turns that were given out ahead */
	int64_t at_ns; /* when tokens was right */
};

struct df_kube_limiter *df_kube_limiter_new(double rate, double burst)
{
	struct df_kube_limiter *l = malloc(sizeof(*l));

	if (!l)
		return NULL;
	*l = (struct df_kube_limiter){ .rate = rate, .burst = burst, .tokens = burst, .at_ns = df_clock_monotonic() };
	pthread_mutex_init(&l->lock, NULL);
	return l;
}

void df_kube_limiter_free(struct df_kube_limiter *limiter)
{
	if (!limiter)
		return;
	pthread_mutex_destroy(&limiter->lock);
	free(limiter);
}

/* Turns are given out in order: who comes when there is none takes the next one, and sleeps until it is due. */
int df_kube_limiter_take(struct df_kube_limiter *limiter, struct df_context *ctx, struct df_error *err)
{
	int64_t wait_ns = 0;

	if (!limiter)
		return df_context_check(ctx, err);
	{
		DF_LOCK_SCOPE(&limiter->lock);
		int64_t now = df_clock_monotonic();

		limiter->tokens += (double)(now - limiter->at_ns) / (double)DF_NS_PER_S * limiter->rate;
		if (limiter->tokens > limiter->burst)
			limiter->tokens = limiter->burst;
		limiter->at_ns = now;
		limiter->tokens -= 1;
		if (limiter->tokens < 0)
			wait_ns = (int64_t)(-limiter->tokens / limiter->rate * (double)DF_NS_PER_S);
	}
	if (wait_ns > 0 && df_context_sleep(ctx, wait_ns) != 0)
		return df_context_check(ctx, err);
	return df_context_check(ctx, err);
}

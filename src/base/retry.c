#include "base/retry.h"

#include <limits.h>

#include "base/clock.h"

/* Marsaglia's xorshift64 with Vigna's multiplier (arXiv:1402.6246). */
uint64_t df_random_next(uint64_t *state)
{
	uint64_t x = *state;

	x ^= x >> 12;
	x ^= x << 25;
	x ^= x >> 27;
	*state = x;
	return x * UINT64_C(0x2545f4914f6cdd1d);
}

/* The finaliser of splitmix64: seeds that are near each other (0, 1, 2, a clock) start far apart. */
static uint64_t df_random_seed(uint64_t seed)
{
	seed += UINT64_C(0x9e3779b97f4a7c15);
	seed = (seed ^ seed >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	seed = (seed ^ seed >> 27) * UINT64_C(0x94d049bb133111eb);
	seed ^= seed >> 31;
	return seed ? seed : 1;
}

void df_retry_init(struct df_retry *retry, const struct df_retry_policy *policy, uint64_t seed)
{
	*retry = (struct df_retry){ .policy = policy, .random = df_random_seed(seed) };
}

void df_retry_reset(struct df_retry *retry)
{
	retry->attempt = 0;
}

int64_t df_retry_next(struct df_retry *retry)
{
	const struct df_retry_policy *policy = retry->policy;
	double cap = (double)policy->cap_ns;
	double delay = (double)policy->first_ns;

	if (policy->max_attempts > 0 && retry->attempt >= policy->max_attempts - 1)
		return -1;
	if (policy->factor > 1) {
		for (int i = 0; i < retry->attempt && delay < cap; i++)
			delay *= policy->factor;
	}
	if (delay > cap)
		delay = cap;
	double unit = (double)(df_random_next(&retry->random) >> 11) * 0x1p-53; /* [0, 1) */
	delay *= policy->full_jitter ? unit : 1 + policy->jitter * (2 * unit - 1);
	if (retry->attempt < INT_MAX)
		retry->attempt++;
	return delay >= cap ? policy->cap_ns : (int64_t)delay;
}

/* Exponential backoff with jitter. Pure arithmetic: sleeping is df_context_sleep's. */
#ifndef DF_BASE_RETRY_H
#define DF_BASE_RETRY_H

#include <stdbool.h>
#include <stdint.h>

#pragma GCC visibility push(default) /* an installed header: src/dataflow/meson.build */

struct df_retry_policy {
	int64_t first_ns;
	int64_t cap_ns;
	double factor;	  /* >= 1 */
	double jitter;	  /* 0..1: the delay is drawn from [d * (1 - jitter), d * (1 + jitter)], then capped */
	bool full_jitter; /* the delay is drawn from [0, d] instead */
	int max_attempts; /* 0: for ever */
};

struct df_retry {
	const struct df_retry_policy *policy;
	int attempt; /* delays given so far */
	uint64_t random;
};

void df_retry_init(struct df_retry *retry, const struct df_retry_policy *policy, uint64_t seed);
void df_retry_reset(struct df_retry *retry);
/* The next delay in ns, or -1 when the attempts are used up (max_attempts tries give max_attempts - 1 delays). */
int64_t df_retry_next(struct df_retry *retry);

/* xorshift64*; *state must not be 0. */
uint64_t df_random_next(uint64_t *state);

#pragma GCC visibility pop

#endif

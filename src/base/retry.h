/* Exponential backoff with jitter. Pure arithmetic: sleeping is df_context_sleep's. */
#ifndef DF_BASE_RETRY_H
#define DF_BASE_RETRY_H

#include <stdint.h>

struct df_retry_policy {
	int64_t first_ns;
	int64_t cap_ns;
	double factor;	  /* >= 1 */
	double jitter;	  /* 0..1: the delay is drawn from [d * (1 - jitter), d * (1 + jitter)], then capped */
	int max_attempts; /* 0: for ever */
};

struct df_retry {
	const struct df_retry_policy *policy;
	int attempt; /* delays given so far */
	uint64_t random;
};

/* The two policies of the connectors reference, section 4. */
extern const struct df_retry_policy df_retry_write;   /* 5 attempts, 2 s doubling to 60 s, 20 % jitter */
extern const struct df_retry_policy df_retry_connect; /* for ever, 1 s doubling to 2 min, 20 % jitter */

void df_retry_init(struct df_retry *retry, const struct df_retry_policy *policy, uint64_t seed);
void df_retry_reset(struct df_retry *retry);
/* The next delay in ns, or -1 when the attempts are used up (max_attempts tries give max_attempts - 1 delays). */
int64_t df_retry_next(struct df_retry *retry);

/* xorshift64*; *state must not be 0. */
uint64_t df_random_next(uint64_t *state);

#endif

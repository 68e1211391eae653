/*
 * What an operation of a connector pays for its base before it does anything: the guard calls of both bases, beside the
 * bare lock that is in them.
 *
 *   bench-guard NAME THREADS N     N calls by each thread on one connector; prints the ns of one
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "connectors/base.h"

static struct df_base_connector mutex_base;
static struct df_base_connector_rw rw_base;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_rwlock_t rwlock = PTHREAD_RWLOCK_INITIALIZER;
static pthread_barrier_t start;

static bool bare_mutex(struct df_context *ctx)
{
	(void)ctx;
	pthread_mutex_lock(&mutex);
	pthread_mutex_unlock(&mutex);
	return true;
}

static bool closed(struct df_context *ctx)
{
	(void)ctx;
	return !df_base_closed(&mutex_base);
}

static bool guard_use(struct df_context *ctx)
{
	(void)ctx;
	if (!df_base_guard_use(&mutex_base, NULL))
		return false;
	df_base_unlock(&mutex_base);
	return true;
}

static bool use(struct df_context *ctx)
{
	df_cleanup(df_base_call_end) struct df_base_call call = { 0 };

	return df_base_use(&mutex_base, ctx, &call, NULL) == 0;
}

static bool bare_rwlock(struct df_context *ctx)
{
	(void)ctx;
	pthread_rwlock_rdlock(&rwlock);
	pthread_rwlock_unlock(&rwlock);
	return true;
}

static bool rw_rlock(struct df_context *ctx)
{
	(void)ctx;
	df_base_rw_rlock(&rw_base);
	df_base_rw_runlock(&rw_base);
	return true;
}

static bool rw_use(struct df_context *ctx)
{
	df_cleanup(df_base_call_end) struct df_base_call call = { 0 };

	return df_base_rw_use(&rw_base, ctx, &call, NULL) == 0;
}

static const struct {
	const char *name;
	bool (*call)(struct df_context *ctx); /* false: it failed */
} calls[] = {
	{ "mutex", bare_mutex },   { "closed", closed },     { "guard_use", guard_use }, { "use", use },
	{ "rwlock", bare_rwlock }, { "rw_rlock", rw_rlock }, { "rw_use", rw_use },
};

struct work {
	size_t call, n;
	pthread_t thread;
	bool ok;
};

static void *work(void *arg)
{
	struct work *w = arg;
	struct df_context *ctx = df_context_new(NULL); /* each caller's own, as a reader and an output have theirs */
	bool ok = ctx != NULL;

	pthread_barrier_wait(&start);
	for (size_t i = 0; i < w->n; i++)
		ok = calls[w->call].call(ctx) && ok;
	df_context_free(ctx);
	w->ok = ok;
	return NULL;
}

static size_t find(const char *name)
{
	size_t i = 0;

	while (i < DF_ARRAY_SIZE(calls) && strcmp(calls[i].name, name) != 0)
		i++;
	return i;
}

int main(int argc, char **argv)
{
	const struct df_connector_env env = { 0 };
	size_t call = argc == 4 ? find(argv[1]) : DF_ARRAY_SIZE(calls), threads = argc == 4 ? (size_t)atoi(argv[2]) : 0;
	struct work works[8];
	int64_t started;

	if (call == DF_ARRAY_SIZE(calls) || threads < 1 || threads > 8)
		return 2;
	if (df_base_connector_init(&mutex_base, &env, NULL) < 0 || df_base_connector_rw_init(&rw_base, &env, NULL) < 0)
		return 1;
	mutex_base.state.connected = rw_base.state.connected = true;
	pthread_barrier_init(&start, NULL, (unsigned)threads + 1);
	for (size_t i = 0; i < threads; i++) {
		works[i] = (struct work){ .call = call, .n = strtoull(argv[3], NULL, 10) };
		if (pthread_create(&works[i].thread, NULL, work, &works[i]))
			return 1;
	}
	pthread_barrier_wait(&start);
	started = df_clock_monotonic();
	for (size_t i = 0; i < threads; i++) {
		pthread_join(works[i].thread, NULL);
		if (!works[i].ok)
			return 1;
	}
	printf("%.2f\n", (double)(df_clock_monotonic() - started) / (double)works[0].n);
	df_base_connector_done(&mutex_base);
	df_base_connector_rw_done(&rw_base);
	return 0;
}

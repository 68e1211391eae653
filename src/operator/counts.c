/* The thread that asks every DataFlow's pods for their counts, each half minute. */
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/exposition.h"
#include "base/log.h"
#include "base/retry.h"
#include "operator/counts_internal.h"

#define AT_ONCE 32
#define TIMEOUT_NS (5 * DF_NS_PER_S)
/* The first look comes sooner: a new leader knows nothing. */
#define FIRST_DIVISOR 10

/* ---- reading a processor's text -------------------------------------------------------------------------- */

struct reading {
	struct df_process_counts counts;
	bool said;
};

static void read_outcome(struct reading *r, const struct df_sample *s)
{
	bool error = df_str_equal_c(df_sample_label(s, "outcome"), "error_sinked");
	int64_t *to = error ? &r->counts.errors : &r->counts.processed, n;

	if (!df_str_to_int64(s->value, &n) || n < 0 || n > DF_COUNT_MAX - *to)
		return;
	r->said = true;
	*to += n;
}

static void read_time(struct reading *r, const struct df_sample *s)
{
	double seconds;

	if (df_number_to_double(s->value, &seconds) && seconds > 0 && seconds < 1e12)
		r->counts.last_processed = (int64_t)seconds;
}

static void read_connection(struct reading *r, const struct df_sample *s)
{
	if (df_str_equal_c(s->value, "0"))
		r->counts.disconnected = true;
}

/* False: it does not say. */
static bool read_counts(struct df_str text, struct df_process_counts *ret)
{
	static const struct {
		struct df_str name;
		void (*take)(struct reading *r, const struct df_sample *s);
	} families[] = {
		{ { "dataflow_messages_total{", 24 }, read_outcome },
		{ { "dataflow_last_processed_timestamp_seconds{", 42 }, read_time },
		{ { "dataflow_connector_connection_status{", 37 }, read_connection },
	};
	struct reading r = { 0 };
	struct df_sample sample;
	struct df_str line;

	while (df_exposition_line(&text, &line))
		for (size_t i = 0; i < DF_ARRAY_SIZE(families); i++)
			if (df_str_starts(line, families[i].name) && df_sample_parse(line, &sample))
				families[i].take(&r, &sample);
	*ret = r.counts;
	return r.said;
}

/* ---- one round ------------------------------------------------------------------------------------------- */

static struct df_known_pod *pod_of(struct df_counts *counts, const struct df_target *target)
{
	return df_counts_find(counts, df_str_c(target->namespace), df_str_c(target->name), df_str_c(target->uid));
}

/*
 * Nothing counts backwards in a process: fewer than before come from the next one, of which the cache does not know
 * yet.
 */
static void store(struct df_counts *counts, const struct df_target *target, const struct df_process_counts *said)
{
	struct df_known_process *process;
	struct df_known_pod *pod;

	DF_LOCK_SCOPE(&counts->lock);
	pod = pod_of(counts, target);
	if (!pod || pod->restarts != target->restarts || pod->gone_ns || pod->disowned)
		return;
	process = df_counts_process_made(pod, target->restarts);
	if (process->final || said->processed < process->processed || said->errors < process->errors)
		return;
	pod->changed = pod->changed || process->processed != said->processed || process->errors != said->errors ||
		       pod->disconnected != said->disconnected;
	*process = (struct df_known_process){ target->restarts, false, said->processed, said->errors,
					      said->last_processed };
	pod->disconnected = said->disconnected;
}

void df_counts_take(struct df_counts *counts, const struct df_target *target, struct df_str text)
{
	struct df_process_counts said;

	if (read_counts(text, &said))
		store(counts, target, &said);
}

static void on_text(void *arg, const struct df_target *target, struct df_str text, const struct df_error *err)
{
	const struct df_logger logger = { target->namespace, target->name, NULL };

	if (err)
		df_debug(&logger, "pod %s does not say its counts: %s", target->pod, err->text);
	else
		df_counts_take(arg, target, text);
}

/* Keeps the targets whose counts are wanted: a cron has none. */
static size_t keep_flows(struct df_target *targets, size_t n)
{
	size_t kept = 0;

	for (size_t i = 0; i < n; i++)
		if (targets[i].kind == DF_KIND_DATAFLOW)
			targets[kept++] = targets[i];
	return kept;
}

/* Was the target's pod changed since the last call? */
static bool take_change(struct df_counts *counts, const struct df_target *target)
{
	struct df_known_pod *pod;
	bool changed;

	DF_LOCK_SCOPE(&counts->lock);
	pod = pod_of(counts, target);
	changed = pod && pod->changed && counts->changed;
	if (changed)
		pod->changed = false;
	return changed;
}

void df_counts_round(struct df_counts *counts)
{
	const struct df_scrape_options options = {
		.at_once = AT_ONCE, .timeout_ns = TIMEOUT_NS, .on_text = on_text, .arg = counts
	};
	df_cleanup(df_arena_done) struct df_arena arena = { 0 };
	const struct df_str all = { 0 };
	struct df_target *targets;
	size_t n;

	targets = df_counts_targets(counts, all, all, &arena, &n);
	if (!targets) {
		df_warn(NULL, "out of memory: counts are left for the next time");
		return;
	}
	n = keep_flows(targets, n);
	df_scrape(targets, n, &options, counts->ctx);
	/* A resource is told once for all of its pods: the queue has each key once. */
	for (size_t i = 0; i < n; i++)
		if (take_change(counts, &targets[i]))
			counts->changed(counts->changed_arg, targets[i].kind, targets[i].namespace, targets[i].name);
}

/* ---- life ------------------------------------------------------------------------------------------------ */

static void *run(void *arg)
{
	struct df_counts *counts = arg;
	uint64_t random = (uint64_t)df_clock_monotonic() | 1;
	int64_t wait = counts->interval_ns / FIRST_DIVISOR;

	while (df_context_sleep(counts->ctx, wait) == 0) {
		df_counts_round(counts);
		pthread_mutex_lock(&counts->lock);
		df_counts_sweep(counts);
		pthread_mutex_unlock(&counts->lock);
		/* Between 0.9 and 1.1 of the interval: operators and scrapers must not beat in time. */
		wait = counts->interval_ns * 9 / 10 +
		       (int64_t)(df_random_next(&random) % ((uint64_t)counts->interval_ns / 5 + 1));
	}
	return NULL;
}

int df_counts_start(const struct df_operator_settings *settings, struct df_counts **ret, struct df_error *err)
{
	struct df_counts *counts = calloc(1, sizeof(*counts));

	*ret = NULL;
	if (!counts)
		return df_error_no_memory(err);
	pthread_mutex_init(&counts->lock, NULL);
	counts->interval_ns = settings->counts_interval_ns;
	counts->ctx = df_context_new(NULL);
	if (counts->ctx && counts->interval_ns > 0)
		counts->started = pthread_create(&counts->thread, NULL, run, counts) == 0;
	if (!counts->ctx || (counts->interval_ns > 0 && !counts->started)) {
		df_counts_stop(counts);
		return df_error_set(err, DF_ERR_NO_MEMORY, "no thread to scrape processors with");
	}
	*ret = counts;
	return 0;
}

void df_counts_cancel(struct df_counts *counts)
{
	if (!counts)
		return;
	if (counts->ctx)
		df_context_cancel(counts->ctx);
	if (counts->started)
		pthread_join(counts->thread, NULL);
	counts->started = false;
}

void df_counts_stop(struct df_counts *counts)
{
	if (!counts)
		return;
	df_counts_cancel(counts);
	df_counts_free_pods(counts);
	df_context_free(counts->ctx);
	pthread_mutex_destroy(&counts->lock);
	free(counts);
}

void df_counts_on_change(struct df_counts *counts,
			 void (*fn)(void *arg, enum df_manifest_kind kind, const char *namespace, const char *name),
			 void *arg)
{
	DF_LOCK_SCOPE(&counts->lock);
	counts->changed = fn;
	counts->changed_arg = arg;
}

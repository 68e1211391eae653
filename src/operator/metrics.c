/* What the operator counts about itself. */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "operator/metrics_internal.h"

const char *const df_flow_phases[DF_FLOW_PHASES] = { "Pending", "Running", "Error", "Stopped" };

/* What a DataFlowCron says besides. */
static const struct {
	const char *word;
	enum df_flow_phase phase;
} cron_words[] = { { "RunningTriggers", DF_FLOW_RUNNING },
		   { "Failed", DF_FLOW_ERROR },
		   { "Completed", DF_FLOW_PENDING } };

const double df_reconcile_bounds[DF_RECONCILE_BUCKETS - 1] = { 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1,
							       0.25,  0.5,    1,     5,	   30,	  180 };

struct df_operator_metrics *df_operator_metrics_new(void)
{
	struct df_operator_metrics *m = calloc(1, sizeof(*m));

	if (m)
		pthread_mutex_init(&m->lock, NULL);
	return m;
}

void df_operator_metrics_free(struct df_operator_metrics *m)
{
	if (!m)
		return;
	for (size_t i = 0; i < m->flow_count; i++) {
		free(m->flows[i].namespace);
		free(m->flows[i].name);
	}
	free(m->flows);
	pthread_mutex_destroy(&m->lock);
	free(m);
}

/* ---- reconciles ------------------------------------------------------------------------------------------ */

void df_operator_metrics_begin(struct df_operator_metrics *m)
{
	m->under_way++;
}

static void count_stage(struct df_operator_metrics *m, const char *stage)
{
	size_t i = 0;

	while (i < m->stage_count && strcmp(m->stages[i].name, stage) != 0)
		i++;
	if (i == DF_RECONCILE_STAGES)
		return;
	if (i == m->stage_count)
		m->stages[m->stage_count++].name = stage;
	m->stages[i].count++;
}

void df_operator_metrics_end(struct df_operator_metrics *m, int64_t ns, const char *stage)
{
	struct df_reconcile_times *times = &m->times[stage == NULL];
	size_t bucket = 0;

	m->under_way--;
	while (bucket < DF_RECONCILE_BUCKETS - 1 && (double)ns / (double)DF_NS_PER_S > df_reconcile_bounds[bucket])
		bucket++;
	DF_LOCK_SCOPE(&m->lock);
	times->buckets[bucket]++;
	times->sum_ns += ns;
	if (stage)
		count_stage(m, stage);
}

void df_operator_metrics_leader(struct df_operator_metrics *m, bool leads)
{
	m->leads = leads;
}

/* ---- flows ----------------------------------------------------------------------------------------------- */

/* Where it is, or would be. */
static size_t place_of(const struct df_operator_metrics *m, const char *namespace, const char *name, bool *ret_there)
{
	size_t low = 0, high = m->flow_count;

	*ret_there = false;
	while (low < high && !*ret_there) {
		size_t middle = low + (high - low) / 2;
		int order = strcmp(m->flows[middle].namespace, namespace);

		if (order == 0)
			order = strcmp(m->flows[middle].name, name);
		*ret_there = order == 0;
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return *ret_there ? high : low;
}

static void remove_flow(struct df_operator_metrics *m, size_t i)
{
	free(m->flows[i].namespace);
	free(m->flows[i].name);
	memmove(&m->flows[i], &m->flows[i + 1], (--m->flow_count - i) * sizeof(m->flows[0]));
}

/* False: no memory; the next reconcile tries again. */
static bool insert_flow(struct df_operator_metrics *m, size_t i, const char *namespace, const char *name)
{
	struct df_flow_status new = { strdup(namespace), strdup(name), { DF_FLOW_PHASES, DF_FLOW_PHASES } };

	if (m->flow_count == m->flow_cap) {
		size_t cap = m->flow_cap ? 2 * m->flow_cap : 64;
		struct df_flow_status *flows = reallocarray(m->flows, cap, sizeof(*flows));

		if (flows) {
			m->flows = flows;
			m->flow_cap = cap;
		}
	}
	if (m->flow_count == m->flow_cap || !new.namespace || !new.name) {
		free(new.namespace);
		free(new.name);
		return false;
	}
	memmove(&m->flows[i + 1], &m->flows[i], (m->flow_count++ - i) * sizeof(m->flows[0]));
	m->flows[i] = new;
	return true;
}

static enum df_flow_phase phase_of(const char *word)
{
	enum df_flow_phase phase = DF_FLOW_PENDING;

	for (size_t i = 0; i < DF_ARRAY_SIZE(cron_words); i++)
		if (strcmp(word, cron_words[i].word) == 0)
			return cron_words[i].phase;
	while (phase < DF_FLOW_PHASES && strcmp(word, df_flow_phases[phase]) != 0)
		phase++;
	return phase;
}

static bool is_gone(const struct df_flow_status *flow)
{
	for (size_t kind = 0; kind < DF_FLOW_KINDS; kind++)
		if (flow->phases[kind] != DF_FLOW_PHASES)
			return false;
	return true;
}

void df_operator_metrics_phase(struct df_operator_metrics *m, enum df_manifest_kind kind, const char *namespace,
			       const char *name, const char *phase)
{
	bool there;
	size_t i;

	DF_LOCK_SCOPE(&m->lock);
	i = place_of(m, namespace, name, &there);
	if (!there && (!phase || !insert_flow(m, i, namespace, name)))
		return;
	m->flows[i].phases[kind] = phase ? phase_of(phase) : DF_FLOW_PHASES;
	if (is_gone(&m->flows[i]))
		remove_flow(m, i);
}

#include "processor/view.h"

#include <stdio.h>
#include <string.h>

#include "processor/internal.h"

#define QUIET (2 * DF_NS_PER_S) /* what takes longer is told about */

/* ---- troubles -------------------------------------------------------------------------------------------- */

void df_trouble_add(struct df_trouble *t, enum df_operation doing, const struct df_error *why)
{
	DF_LOCK_SCOPE(&t->lock);
	if (t->since_ns == 0) {
		t->since_ns = df_clock_monotonic();
		t->began = doing;
		t->attempts = 0;
	}
	t->attempts++;
	t->doing = doing;
	t->code = why->code;
	snprintf(t->reason, sizeof(t->reason), "%.*s", (int)sizeof(t->reason) - 1, why->text);
}

void df_trouble_over(struct df_trouble *t, enum df_operation well)
{
	if (atomic_load_explicit(&t->since_ns, memory_order_relaxed) == 0)
		return;
	DF_LOCK_SCOPE(&t->lock);
	if (t->began == well || well != DF_OP_CONNECT)
		t->since_ns = 0;
}

/* ---- the view -------------------------------------------------------------------------------------------- */

static void add_wait(struct df_view *view, const struct df_connector_metrics *m, const char *connector,
		     const char *type)
{
	static const char *const operations[DF_OPS] = { "connect", "read", "write", "commit", "close" };
	/* The lock is all that changes. */
	struct df_trouble *t = (struct df_trouble *)&m->trouble;
	struct df_view_wait *wait = &view->waits[view->wait_count];

	for (size_t op = 0; op < DF_OPS; op++)
		view->connector_errors += df_errors_total(&m->errors[op]);
	DF_LOCK_SCOPE(&t->lock);
	if (t->since_ns == 0 || view->wait_count == DF_VIEW_WAITS)
		return;
	*wait = (struct df_view_wait){ .connector = connector,
				       .type = type,
				       .doing = operations[t->doing],
				       .attempts = t->attempts,
				       .for_ns = df_clock_monotonic() - t->since_ns };
	memcpy(wait->reason, t->reason, sizeof(wait->reason));
	view->wait_count++;
}

static int64_t lag_of(const struct df_processor *p)
{
	df_cleanup(df_arena_done) struct df_arena arena = { 0 };
	struct df_lag *lags;
	size_t n;
	int64_t total = 0;

	if (df_ledger_lags(p->ledger, &arena, &lags, &n, NULL) < 0 || n == 0)
		return -1;
	for (size_t i = 0; i < n; i++)
		total += lags[i].messages;
	return total;
}

/* Nothing has failed, but this is what everything waits for: a write that is not answered, or a batch that fills. */
static void add_quiet_wait(struct df_view *view, const struct df_output *o)
{
	int64_t writing = atomic_load_explicit(&o->metrics.writing_ns, memory_order_relaxed);
	int64_t moved = atomic_load_explicit(&o->p->metrics.progress_ns, memory_order_relaxed);
	int64_t now = df_clock_monotonic(), since = writing ? writing : moved;
	uint64_t n = df_count_get(&o->metrics.waiting);
	struct df_view_wait *wait = &view->waits[view->wait_count];

	if (now - since < QUIET || view->wait_count == DF_VIEW_WAITS || (!writing && n == 0))
		return;
	*wait = (struct df_view_wait){ .connector = o->label,
				       .type = o->component->type->name,
				       .doing = writing ? "write" : "batch",
				       .reason = "it does not answer",
				       .for_ns = now - since };
	if (!writing)
		snprintf(wait->reason, sizeof(wait->reason), "%llu of %zu messages are there", (unsigned long long)n,
			 o->wait_for);
	view->wait_count++;
}

void df_processor_view(const struct df_processor *p, struct df_view *ret)
{
	struct df_channel_stats s;
	size_t waits;

	*ret = (struct df_view){ .lag = lag_of(p) };
	df_channel_stats(p->input, &s);
	ret->routing = s.messages;
	add_wait(ret, &p->metrics.source, "source", p->source_type);
	for (size_t i = 0; i < p->output_count; i++) {
		const struct df_output *o = &p->outputs[i];

		df_channel_stats(o->channel, &s);
		ret->output += s.messages + df_count_get(&o->metrics.waiting);
		waits = ret->wait_count;
		add_wait(ret, &o->metrics.connector, o->label, o->component->type->name);
		if (ret->wait_count == waits)
			add_quiet_wait(ret, o);
	}
}

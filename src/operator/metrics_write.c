/* /metrics of the operator: its own families, and of the leader those of all processors that run. */
#include <stdlib.h>

#include "base/arena.h"
#include "base/exposition.h"
#include "base/log.h"
#include "net/url.h"
#include "operator/counts_internal.h"
#include "operator/metrics_internal.h"

#define AT_ONCE 64
#define EACH_NS (4 * DF_NS_PER_S)
#define ALL_NS (8 * DF_NS_PER_S)
/* Of the merged text, that of some thousand processors: what would go above is left out. */
#define TEXT_MAX ((size_t)64 << 20)
/* Texts larger than their share get no more than this together, so that a few huge ones leave nobody else out. */
#define LARGE_MAX (TEXT_MAX / 4 * 3)

/* ---- what is asked for ----------------------------------------------------------------------------------- */

struct filter {
	char *namespace, *name; /* NULL: any */
};

/* The value of `key` in a query; NULL: it is not there (or no memory, which a scrape survives: it gets more). */
static char *parameter(struct df_str query, const char *key)
{
	while (query.len) {
		const char *end = memchr(query.ptr, '&', query.len);
		struct df_str pair = df_str(query.ptr, end ? (size_t)(end - query.ptr) : query.len);
		const char *equals = pair.len ? memchr(pair.ptr, '=', pair.len) : NULL;

		query = df_str(pair.ptr + pair.len, query.len - pair.len);
		if (query.len)
			query = df_str(query.ptr + 1, query.len - 1);
		if (equals && df_str_equal_c(df_str(pair.ptr, (size_t)(equals - pair.ptr)), key))
			return df_url_decode(df_str(equals + 1, pair.len - (size_t)(equals + 1 - pair.ptr)), true);
	}
	return NULL;
}

static bool matches(const char *wanted, const char *is)
{
	return !wanted || !wanted[0] || strcmp(wanted, is) == 0;
}

/* ---- the operator's own ---------------------------------------------------------------------------------- */

static void family(struct df_buf *buf, const char *name, const char *type, const char *help)
{
	df_buf_printf(buf, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void write_process(const struct df_operator_metrics *m, struct df_buf *buf)
{
	family(buf, "dataflow_build_info", "gauge", "1; the version is a label.");
	df_buf_add_c(buf, "dataflow_build_info{version=\"" DF_VERSION "\"} 1\n");
	family(buf, "dataflow_operator_leader", "gauge", "1 for the replica that leads, 0 for the others.");
	df_buf_printf(buf, "dataflow_operator_leader %d\n", m->leads);
	family(buf, "dataflow_controller_reconcile_inflight", "gauge", "Resources that are being reconciled.");
	df_buf_printf(buf, "dataflow_controller_reconcile_inflight %lld\n", (long long)m->under_way);
}

#define TIMES "dataflow_controller_reconcile_duration_seconds"

static void write_times(const struct df_reconcile_times *times, const char *result, struct df_buf *buf)
{
	unsigned long long below = 0;

	for (size_t i = 0; i < DF_RECONCILE_BUCKETS; i++) {
		below += times->buckets[i];
		df_buf_printf(buf, TIMES "_bucket{result=\"%s\",le=\"", result);
		if (i < DF_RECONCILE_BUCKETS - 1)
			df_buf_printf(buf, "%g\"} %llu\n", df_reconcile_bounds[i], below);
		else
			df_buf_printf(buf, "+Inf\"} %llu\n", below);
	}
	df_buf_printf(buf, TIMES "_sum{result=\"%s\"} %lld.%09lld\n" TIMES "_count{result=\"%s\"} %llu\n", result,
		      (long long)(times->sum_ns / DF_NS_PER_S), (long long)(times->sum_ns % DF_NS_PER_S), result,
		      below);
}

static void write_reconciles(const struct df_operator_metrics *m, struct df_buf *buf)
{
	family(buf, TIMES, "histogram", "Time of one reconcile.");
	write_times(&m->times[false], "error", buf);
	write_times(&m->times[true], "success", buf);
	family(buf, "dataflow_controller_reconcile_errors_total", "counter", "Reconciles that failed, by the step.");
	for (size_t i = 0; i < m->stage_count; i++)
		df_buf_printf(buf, "dataflow_controller_reconcile_errors_total{stage=\"%s\"} %llu\n", m->stages[i].name,
			      (unsigned long long)m->stages[i].count);
}

/* Of two, the one in trouble counts, else the DataFlow. */
static enum df_flow_phase phase_to_tell(const struct df_flow_status *f)
{
	enum df_flow_phase found = DF_FLOW_PHASES;

	for (size_t kind = 0; kind < DF_FLOW_KINDS; kind++)
		if (f->phases[kind] == DF_FLOW_ERROR || found == DF_FLOW_PHASES)
			found = f->phases[kind];
	return found;
}

static void write_flows(const struct df_operator_metrics *m, const struct filter *filter, struct df_buf *buf)
{
	family(buf, "dataflow_status", "gauge", "1 for the current phase, 0 for the others.");
	for (size_t i = 0; i < m->flow_count; i++) {
		const struct df_flow_status *f = &m->flows[i];

		if (!matches(filter->namespace, f->namespace) || !matches(filter->name, f->name))
			continue;
		for (size_t phase = 0; phase < DF_FLOW_PHASES; phase++)
			df_buf_printf(buf, "dataflow_status{namespace=\"%s\",name=\"%s\",phase=\"%s\"} %d\n",
				      f->namespace, f->name, df_flow_phases[phase], phase_to_tell(f) == phase);
	}
}

static void write_own(struct df_operator_metrics *m, const struct filter *filter, struct df_buf *buf)
{
	write_process(m, buf);
	DF_LOCK_SCOPE(&m->lock);
	write_reconciles(m, buf);
	write_flows(m, filter, buf);
}

/* ---- the processors' ------------------------------------------------------------------------------------- */

struct merging {
	struct df_families *all;
	const struct df_target *targets;
	bool *up;     /* of each target */
	size_t share; /* bytes of a text for which there is room in any case, labels and all */
};

static void on_text(void *arg, const struct df_target *target, struct df_str text, const struct df_error *why)
{
	const struct df_logger logger = { target->namespace, target->name, NULL };
	struct merging *m = arg;
	const struct df_families_from from = {
		.max_bytes = text.len <= m->share ? TEXT_MAX : LARGE_MAX,
		.prefix = DF_STR("dataflow_"),
		.label = "pod",
		.label_value = df_str_c(target->pod),
		.must = { { "namespace", df_str_c(target->namespace) }, { "name", df_str_c(target->name) } },
	};
	struct df_error err = DF_ERROR_INIT;

	if (!why && df_families_add(m->all, text, &from, &err) < 0)
		why = &err;
	m->up[target - m->targets] = !why;
	if (why)
		df_debug(&logger, "pod %s is left out of /metrics: %s", target->pod, why->text);
}

#define UP "dataflow_processor_scrape_up"

static void write_up(const struct df_target *targets, size_t n, const bool *up, struct df_buf *buf)
{
	family(buf, UP, "gauge", "1 when the processor's metrics are part of this text, 0 when it did not answer.");
	for (size_t i = 0; i < n; i++)
		df_buf_printf(buf, UP "{namespace=\"%s\",name=\"%s\",pod=\"%s\"} %d\n", targets[i].namespace,
			      targets[i].name, targets[i].pod, up[i]);
}

/* Asks every pod that the filter wants, and merges what they say. False: no memory for that. */
static bool merge(struct df_counts *counts, const struct filter *filter, int64_t timeout_ns, struct df_families *all,
		  struct df_buf *own)
{
	df_cleanup(df_context_freep) struct df_context *ctx = df_context_new(counts->ctx);
	df_cleanup(df_arena_done) struct df_arena arena = { 0 };
	size_t n = 0;
	struct df_target *targets =
		df_counts_targets(counts, df_str_c(filter->namespace), df_str_c(filter->name), &arena, &n);
	struct merging m = { .all = all,
			     .targets = targets,
			     .up = df_arena_zalloc(&arena, n + 1),
			     .share = (TEXT_MAX - LARGE_MAX) / 2 / (n + 1) };

	if (!ctx || !targets || !m.up)
		return false;
	df_context_deadline(ctx, df_clock_monotonic() + (timeout_ns < ALL_NS ? timeout_ns : ALL_NS));
	df_scrape(
		targets, n,
		&(struct df_scrape_options){ .at_once = AT_ONCE, .timeout_ns = EACH_NS, .on_text = on_text, .arg = &m },
		ctx);
	write_up(targets, n, m.up, own);
	return true;
}

/* ---- all ------------------------------------------------------------------------------------------------- */

void df_operator_metrics_write(struct df_operator_metrics *m, struct df_counts *counts, struct df_str query,
			       int64_t timeout_ns, struct df_buf *buf)
{
	struct filter filter = { parameter(query, "namespace"), parameter(query, "name") };
	df_cleanup(df_families_freep) struct df_families *all = df_families_new();
	df_cleanup(df_buf_done) struct df_buf own = { 0 };
	const struct df_families_from anything = { 0 };
	bool well = all;

	write_own(m, &filter, &own);
	/* First, so that a family which both have says what the operator says of it. */
	well = well && df_families_add(all, df_buf_str(&own), &anything, NULL) == 0;
	own.len = 0;
	well = well && (!counts || merge(counts, &filter, timeout_ns, all, &own));
	well = well && df_families_add(all, df_buf_str(&own), &anything, NULL) == 0 && !own.failed;
	if (well)
		df_families_write(all, buf);
	buf->failed = buf->failed || !well;
	free(filter.namespace);
	free(filter.name);
}

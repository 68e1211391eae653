/* What is left behind by instances that are gone: threads, descriptors, bytes. */
#include "conformance/instance.h"

#define SIDE(kind) df_component_kind_name(kind)
#define WARM_UP 5 /* cycles after which libraries have what they keep */
#define LEVEL_ROUNDS 2
#define ROUNDS_MAX 40
#define SMALLEST 16 /* bytes that a leak in each cycle has at least */
#define GONE_NS (3 * DF_NS_PER_S)

typedef void cycle_fn(struct df_stage *st, enum df_component_kind kind);

/* Threads that were told to end may take a moment. */
static void settled_footprint(const struct df_footprint *before, struct df_footprint *ret)
{
	int64_t until = df_clock_monotonic() + GONE_NS;

	for (;;) {
		df_stage_footprint(ret);
		if (ret->threads <= before->threads && ret->descriptors <= before->descriptors)
			return;
		if (df_clock_monotonic() > until || df_context_sleep(NULL, 10 * DF_NS_PER_MS) < 0)
			return;
	}
}

static void run_cycles(struct df_stage *st, enum df_component_kind kind, cycle_fn *cycle, size_t n)
{
	for (size_t i = 0; i < n; i++)
		cycle(st, kind);
}

/*
 * Libraries and malloc itself keep what was needed once (a thread's cache of freed blocks counts as allocated), so that
 * the heap grows for a while. What a cycle loses, it loses in every round: two rounds that do not reach a new height
 * acquit.
 */
static void check_heap(struct df_stage *st, enum df_component_kind kind, cycle_fn *cycle, size_t cycles)
{
	struct df_footprint first, now;
	size_t highest, level = 0, rounds = 0;

	df_stage_footprint(&first);
	if (first.heap_bytes == 0) {
		df_rule_note(st, "%s: bytes are not counted, malloc is not the C library's own", SIDE(kind));
		return;
	}
	for (highest = first.heap_bytes; level < LEVEL_ROUNDS && rounds < ROUNDS_MAX; rounds++) {
		run_cycles(st, kind, cycle, cycles);
		settled_footprint(&first, &now);
		if (now.heap_bytes < highest + cycles * SMALLEST)
			level++;
		if (now.heap_bytes > highest)
			highest = now.heap_bytes;
	}
	df_rule_check(st, level == LEVEL_ROUNDS, "%s: after %zu cycles %zu bytes more are allocated, %zu a cycle",
		      SIDE(kind), rounds * cycles, highest - first.heap_bytes,
		      (highest - first.heap_bytes) / (rounds * cycles));
}

static void check_nothing_left(struct df_stage *st, enum df_component_kind kind, cycle_fn *cycle)
{
	size_t cycles = st->quick ? 5 : 10;
	struct df_footprint before, after;

	run_cycles(st, kind, cycle, WARM_UP);
	df_stage_footprint(&before);
	run_cycles(st, kind, cycle, cycles);
	settled_footprint(&before, &after);
	df_rule_check(st, after.descriptors <= before.descriptors, "%s: after %zu cycles %zu descriptors more are open",
		      SIDE(kind), cycles, after.descriptors - before.descriptors);
	df_rule_check(st, after.threads <= before.threads, "%s: after %zu cycles %zu threads more are there",
		      SIDE(kind), cycles, after.threads - before.threads);
	check_heap(st, kind, cycle, cycles);
}

/* ---- cycles ---------------------------------------------------------------------------------------------- */

static void whole_life(struct df_stage *st, enum df_component_kind kind)
{
	struct df_instance i = df_instance_connected(st, kind, true);
	struct df_error err = DF_ERROR_INIT;

	df_rule_ok(st, df_instance_use(st, &i, &err), &err, kind == DF_SOURCE ? "read" : "write");
	df_instance_end(st, &i);
}

static void without_close(struct df_stage *st, enum df_component_kind kind)
{
	struct df_instance i = df_instance_connected(st, kind, true);
	struct df_error err = DF_ERROR_INIT;

	df_rule_ok(st, df_instance_use(st, &i, &err), &err, kind == DF_SOURCE ? "read" : "write");
	df_stage_doing(st, "freeing the %s without close", SIDE(kind));
	df_instance_free(&i);
}

static void never_connected(struct df_stage *st, enum df_component_kind kind)
{
	struct df_instance i = df_instance_new(st, kind, true);

	df_stage_doing(st, "freeing a %s that was never connected", SIDE(kind));
	df_instance_free(&i);
}

/* connect within a context that is over: it may fail at any place, or succeed. */
static void canceled_connect(struct df_stage *st, enum df_component_kind kind)
{
	struct df_instance i = df_instance_new(st, kind, true);
	struct df_context *ctx = df_context_new(NULL);
	struct df_error err = DF_ERROR_INIT;

	df_rule_check(st, ctx, "the suite is out of memory");
	df_context_cancel(ctx);
	if (df_instance_connect(st, &i, ctx, &err) == 0)
		df_stage_doing(st, "freeing a %s that connected although its context was cancelled", SIDE(kind));
	df_instance_free(&i);
	df_context_free(ctx);
}

/* Where nobody listens. */
static void refused_connect(struct df_stage *st, enum df_component_kind kind)
{
	struct df_instance i = df_instance_new(st, kind, true);
	struct df_context *ctx = df_context_new(NULL);
	struct df_error err = DF_ERROR_INIT;

	df_rule_check(st, ctx, "the suite is out of memory");
	df_context_deadline(ctx, df_clock_monotonic() + DF_NS_PER_S);
	if (df_instance_connect(st, &i, ctx, &err) < 0)
		df_stage_doing(st, "freeing a %s that could not connect", SIDE(kind));
	df_instance_free(&i);
	df_context_free(ctx);
}

/* ---- rules ----------------------------------------------------------------------------------------------- */

static const char *nothing_left_side(struct df_stage *st, enum df_component_kind kind)
{
	check_nothing_left(st, kind, whole_life);
	return NULL;
}

static void nothing_left(struct df_stage *st)
{
	df_each_side(st, nothing_left_side);
}

static const char *free_without_close_side(struct df_stage *st, enum df_component_kind kind)
{
	struct df_instance i = df_instance_new(st, kind, true);

	if (kind == DF_SOURCE)
		i.source->ops->free(NULL);
	else
		i.sink->ops->free(NULL);
	df_instance_free(&i);
	check_nothing_left(st, kind, without_close);
	return NULL;
}

static void free_without_close(struct df_stage *st)
{
	df_each_side(st, free_without_close_side);
}

static const char *free_half_made_side(struct df_stage *st, enum df_component_kind kind)
{
	check_nothing_left(st, kind, never_connected);
	check_nothing_left(st, kind, canceled_connect);
	return NULL;
}

static void free_half_made(struct df_stage *st)
{
	df_each_side(st, free_half_made_side);
}

static const char *free_refused_side(struct df_stage *st, enum df_component_kind kind)
{
	df_stage_address(st, df_closed_address(st));
	check_nothing_left(st, kind, refused_connect);
	df_stage_address(st, NULL);
	return NULL;
}

static void free_refused(struct df_stage *st)
{
	df_each_side(st, free_refused_side);
}

const struct df_conformance_rule df_rules_lifecycle_left[] = {
	{ "lifecycle.nothing-left", "Instances that worked and were closed leave no thread, descriptor or byte behind.",
	  0, 120, nothing_left },
	{ "lifecycle.free-without-close", "free closes first, leaves nothing behind, and accepts NULL.", 0, 120,
	  free_without_close },
	{ "lifecycle.free-half-made",
	  "Instances that never connected, or whose connect was cancelled, leave nothing behind.", 0, 120,
	  free_half_made },
	{ "lifecycle.free-refused", "Instances whose server refused the connection leave nothing behind.",
	  DF_NEEDS_ADDRESS, 240, free_refused },
	{ 0 },
};

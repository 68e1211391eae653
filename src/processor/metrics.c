#include "processor/metrics.h"

#include "base/clock.h"
#include "processor/internal.h"

/* ---- errors ---------------------------------------------------------------------------------------------- */

static const int codes[DF_ERROR_TYPES] = { DF_ERR_CONNECTION,	DF_ERR_TIMEOUT,	  DF_ERR_AUTH,	   DF_ERR_CONSTRAINT,
					   DF_ERR_INVALID_DATA, DF_ERR_TRANSIENT, DF_ERR_CANCELED, DF_ERR_UNKNOWN };

void df_errors_add(struct df_error_counts *c, int code, uint64_t n)
{
	size_t type = 0;

	if (code == DF_ERR_DENIED)
		code = DF_ERR_AUTH;
	/* The codes that have no name of their own are reported as the last, `unknown`. */
	while (type + 1 < DF_ERROR_TYPES && codes[type] != code)
		type++;
	df_count_add(&c->by_type[type], n);
}

const char *df_errors_type(size_t type)
{
	return df_code_name(codes[type]);
}

uint64_t df_errors_total(const struct df_error_counts *c)
{
	uint64_t total = 0;

	for (size_t i = 0; i < DF_ERROR_TYPES; i++)
		total += df_count_get(&c->by_type[i]);
	return total;
}

/* ---- histograms ------------------------------------------------------------------------------------------ */

const struct df_histogram_shape df_shape_processing = { DF_NS_PER_MS, 10, { 0 } };
const struct df_histogram_shape df_shape_short = { DF_NS_PER_MS / 10, 12, { 0 } };
const struct df_histogram_shape df_shape_stage = { DF_NS_PER_MS / 10, 14, { 0 } };
const struct df_histogram_shape df_shape_size = { 64, 16, { 0 } };
const struct df_histogram_shape df_shape_end_to_end = { DF_NS_PER_MS,
							12,
							{ 10 * DF_NS_PER_S, 60 * DF_NS_PER_S, 600 * DF_NS_PER_S } };

size_t df_histogram_bounds(const struct df_histogram_shape *shape)
{
	size_t n = shape->doublings;

	for (size_t i = 0; i < sizeof(shape->more) / sizeof(shape->more[0]); i++)
		n += shape->more[i] != 0;
	return n;
}

uint64_t df_histogram_bound(const struct df_histogram_shape *shape, size_t i)
{
	return i < shape->doublings ? shape->start << i : shape->more[i - shape->doublings];
}

/* The first bound that is not below the value; one more than there are when all are. */
static size_t bucket_of(const struct df_histogram_shape *shape, uint64_t value)
{
	size_t i = 0, bounds;

	if (value <= shape->start)
		return 0;
	/* start << i is the first that is not below the value. */
	i = 64 - (size_t)__builtin_clzll((value - 1) / shape->start);
	if (i < shape->doublings)
		return i;
	bounds = df_histogram_bounds(shape);
	for (i = shape->doublings; i < bounds && value > df_histogram_bound(shape, i);)
		i++;
	return i;
}

void df_histogram_class(const struct df_histogram_shape *shape, uint64_t value, uint64_t *ret_low, uint64_t *ret_span)
{
	size_t i = bucket_of(shape, value);
	uint64_t high = i == df_histogram_bounds(shape) ? UINT64_MAX : df_histogram_bound(shape, i);

	*ret_low = i == 0 ? 0 : df_histogram_bound(shape, i - 1) + 1;
	*ret_span = high - *ret_low;
}

void df_histogram_add_class(struct df_histogram *h, const struct df_histogram_shape *shape, uint64_t value, uint64_t n)
{
	if (n > 0)
		df_count_add(&h->buckets[bucket_of(shape, value)], n);
}

void df_histogram_add(struct df_histogram *h, const struct df_histogram_shape *shape, int64_t value, uint64_t n)
{
	uint64_t v = value > 0 ? (uint64_t)value : 0;

	df_count_add(&h->buckets[bucket_of(shape, v)], n);
	df_count_add(&h->sum, v * n);
}

bool df_size_sample_begin(struct df_size_sample *s, size_t n)
{
	s->measured = s->left == 0;
	if (s->measured)
		s->left = DF_SIZE_EVERY;
	s->left -= n < s->left ? n : s->left;
	return s->measured;
}

void df_size_sample_add(struct df_size_sample *s, struct df_histogram *h, const struct df_message *m)
{
	if (!s->measured)
		return;
	s->last = m->payload.len;
	if (m->changed || m->payload.len == 0) {
		s->scratch.len = 0;
		df_message_write(m, &s->scratch);
		s->last = s->scratch.len;
	}
	df_histogram_add(h, &df_shape_size, (int64_t)s->last, 1);
}

/* ---- rates ----------------------------------------------------------------------------------------------- */

#define SLOTS (sizeof(((struct df_recent *)0)->slots) / sizeof(((struct df_recent *)0)->slots[0]))

void df_recent_add(struct df_recent *r, int64_t now_ns, uint64_t n)
{
	int64_t second = now_ns / DF_NS_PER_S;
	size_t i = (size_t)second % SLOTS;

	if (atomic_load_explicit(&r->slots[i].second, memory_order_relaxed) != second) {
		atomic_store_explicit(&r->slots[i].n, 0, memory_order_relaxed);
		atomic_store_explicit(&r->slots[i].second, second, memory_order_release);
	}
	df_count_add(&r->slots[i].n, n);
}

uint64_t df_recent_get(const struct df_recent *r, int64_t now_ns)
{
	int64_t now = now_ns / DF_NS_PER_S;
	uint64_t total = 0;

	for (size_t i = 0; i < SLOTS; i++) {
		int64_t second = r->slots[i].second;

		if (second <= now && second > now - DF_RECENT_SECONDS)
			total += df_count_get(&r->slots[i].n);
	}
	return total;
}

/* ---- health ---------------------------------------------------------------------------------------------- */

void df_processor_moved(struct df_processor *p)
{
	atomic_store_explicit(&p->metrics.progress_ns, df_clock_monotonic(), memory_order_relaxed);
}

uint64_t df_processor_active(const struct df_processor *p)
{
	const struct df_counters *c = &p->counters;
	/* What ended first, so that a message that ends in between is not missing. */
	uint64_t ended = c->filtered + c->dropped + c->failed + c->withdrawn, begun;

	for (size_t i = 0; i < p->output_count; i++)
		ended += p->outputs[i].metrics.written;
	begun = c->read + c->made;
	return begun > ended ? begun - ended : 0;
}

bool df_processor_ready(const struct df_processor *p)
{
	return p->metrics.ready;
}

bool df_processor_alive(const struct df_processor *p, int64_t timeout_ns)
{
	if (!p->metrics.ready)
		return p->options.once;
	return timeout_ns == 0 || df_clock_monotonic() - p->metrics.progress_ns < timeout_ns;
}

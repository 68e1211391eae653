/*
 * What the processor counts, beside the counts of its summary (struct df_counters): the histograms and labelled
 * counters of the errors and metrics reference, section 3. Relaxed atomics, added once a batch, a flush or a failure;
 * no locks. Shared by the processor's files; the text is made in metrics_text.c.
 */
#ifndef DF_PROCESSOR_METRICS_H
#define DF_PROCESSOR_METRICS_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef atomic_uint_fast64_t df_count;

static inline void df_count_add(df_count *c, uint64_t n)
{
	atomic_fetch_add_explicit(c, n, memory_order_relaxed);
}

static inline uint64_t df_count_get(const df_count *c)
{
	return *c;
}

/* ---- errors by type -------------------------------------------------------------------------------------- */

#define DF_ERROR_TYPES 8

struct df_error_counts {
	df_count by_type[DF_ERROR_TYPES];
};

void df_errors_add(struct df_error_counts *c, int code, uint64_t n);
/* The name of by_type[type]. */
const char *df_errors_type(size_t type);
uint64_t df_errors_total(const struct df_error_counts *c);

/* ---- histograms ------------------------------------------------------------------------------------------ */

/* Upper bounds start, 2 start, 4 start ..., then a few more of their own. In ns or bytes. */
struct df_histogram_shape {
	uint64_t start;
	size_t doublings; /* how many bounds that is */
	uint64_t more[3]; /* ascending; 0: none */
};

#define DF_HISTOGRAM_BUCKETS 18 /* of the largest shape, with the one for what is above every bound */

struct df_histogram {
	df_count buckets[DF_HISTOGRAM_BUCKETS]; /* each by itself; added up when they are read */
	df_count sum;
};

/* H1 to H5 of the reference. */
extern const struct df_histogram_shape df_shape_processing, df_shape_short, df_shape_stage, df_shape_size,
	df_shape_end_to_end;

size_t df_histogram_bounds(const struct df_histogram_shape *shape);
uint64_t df_histogram_bound(const struct df_histogram_shape *shape, size_t i);
/* The class of a value: *ret_low and the *ret_span values behind it are in one bucket. */
void df_histogram_class(const struct df_histogram_shape *shape, uint64_t value, uint64_t *ret_low, uint64_t *ret_span);
/* n values of the class of `value`; what they sum up to is the caller's to add. */
void df_histogram_add_class(struct df_histogram *h, const struct df_histogram_shape *shape, uint64_t value, uint64_t n);
/* n values that are alike. A negative value (a clock) counts as 0. */
void df_histogram_add(struct df_histogram *h, const struct df_histogram_shape *shape, int64_t value, uint64_t n);

/* ---- what is counted ------------------------------------------------------------------------------------- */

enum df_operation { DF_OP_CONNECT, DF_OP_READ, DF_OP_WRITE, DF_OP_COMMIT, DF_OP_CLOSE, DF_OPS };
enum df_outcome { DF_OUTCOME_SUCCESS, DF_OUTCOME_ERROR, DF_OUTCOME_CANCELED, DF_OUTCOMES };

/* What a connector waits for: attempts that fail one after the other. Zeroed: nothing. */
struct df_trouble {
	pthread_mutex_t lock;
	_Atomic int64_t since_ns; /* monotonic, of the first; 0: none */
	enum df_operation began;  /* what failed first */
	enum df_operation doing;  /* and last */
	unsigned attempts;
	int code;
	char reason[200];
};

struct df_error;
void df_trouble_add(struct df_trouble *t, enum df_operation doing, const struct df_error *why);
/* This went well. A connection alone is not enough when what failed first was a write. */
void df_trouble_over(struct df_trouble *t, enum df_operation well);

/* Of a source or a sink. */
struct df_connector_metrics {
	struct df_error_counts errors[DF_OPS]; /* failed attempts */
	atomic_bool connected;
	struct df_trouble trouble;
};

/* Confirmed messages a second, of the last seconds. One thread adds. */
#define DF_RECENT_SECONDS 10
struct df_recent {
	struct {
		_Atomic int64_t second;
		df_count n;
	} slots[16];
};

void df_recent_add(struct df_recent *r, int64_t now_ns, uint64_t n);
/* In the DF_RECENT_SECONDS before now, the current second counting as far as it went. */
uint64_t df_recent_get(const struct df_recent *r, int64_t now_ns);

struct df_output_metrics {
	struct df_connector_metrics connector;
	df_count written, unchanged, unknown_fields, parts, uncertain;
	struct df_error_counts retries;
	struct df_error_counts failed;	/* messages, of each attempt */
	df_count attempts[DF_OUTCOMES]; /* messages, of each attempt */
	df_count writes[DF_OUTCOMES];	/* messages, what became of them in the end */
	df_count waiting;		/* messages out of the channel, not in a flush */
	_Atomic int64_t writing_ns;	/* monotonic, when the newest write began that has no answer; 0: none */
	struct df_recent recent;
	struct df_histogram queue_wait;
};

struct df_transformer_metrics {
	struct df_error_counts errors;
	struct df_histogram duration, stage, latency, input, output;
};

struct df_metrics {
	struct df_connector_metrics source;
	struct df_error_counts read_errors, decode_errors;
	df_count transforms[DF_OUTCOMES];
	df_count checkpoint_save_errors;
	struct df_histogram read, transformation, write, sink_write,
		error_sink_write; /* stages, one a batch or flush */
	struct df_histogram processing, end_to_end, queue_wait, to_write;
	struct df_histogram input, output; /* bytes */
	struct df_transformer_metrics *transformers;
	size_t transformer_count;
	char *labels; /* namespace and name, as they stand in every sample */

	int64_t batch_asked_ns;	     /* the reader's: when the source asked for the batch that it fills */
	_Atomic int64_t started_ns;  /* monotonic, when the threads started */
	_Atomic int64_t progress_ns; /* monotonic: a confirmed flush, an idle source */
	_Atomic int64_t
		behind_ns; /* monotonic: since when the committed position stands with something open behind it */
	_Atomic int64_t last_processed; /* wall: the newest confirmed flush; 0: none */
	df_count received;		/* the largest that was reported as taken from the source */
	atomic_bool ready;
	atomic_bool failed; /* there is a failure, also one that waits for what was read before it */
};

#endif

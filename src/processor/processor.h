/*
 * The running pipeline. One reader thread, one or more transform workers, one thread per output (main sink, each route,
 * error sink); the caller's thread commits. Everything that is the same for all connectors is here and only here:
 * batching, retry, reconnect, splitting a failed batch down to the poison message, the error sink, the ledger, counts.
 */
#ifndef DF_PROCESSOR_PROCESSOR_H
#define DF_PROCESSOR_PROCESSOR_H

#include "api/v1/dataflow.h"
#include "connectors/factory.h"
#include "processor/checkpoint.h"
#include "transformers/chain.h"

struct df_processor;

struct df_processor_options {
	const struct df_dataflow_spec *spec; /* secrets resolved; outlives the processor */
	const char *namespace, *name;
	const struct df_clock *clock;	   /* NULL: the system's */
	struct df_checkpoint_store *store; /* borrowed; NULL: positions are not kept */
	bool once;			   /* stop when the source is exhausted */
	uint64_t limit;			   /* stop after so many messages were read; 0: no limit */
	bool metrics;			   /* fill the histograms of df_processor_metrics, too */
	size_t memory_limit; /* for messages in flight; 0: as the manifest says, or half of what the process may use */
	int64_t grace_ns;    /* how long the flush after a stop may take; 0: 30 s */
	/* Replaces the factory for sinks (--dry-run); NULL: the factory. */
	int (*make_sink)(void *arg, const struct df_component *component, const struct df_connector_env *env,
			 struct df_sink **ret, struct df_error *err);
	void *make_sink_arg;
	/* Likewise for the source (tests). */
	int (*make_source)(void *arg, const struct df_component *component, const struct df_connector_env *env,
			   struct df_source **ret, struct df_error *err);
	void *make_source_arg;
};

enum df_phase { DF_PHASE_CONNECTING, DF_PHASE_RUNNING, DF_PHASE_STOPPING, DF_PHASE_DONE };

/* A snapshot. Every message ends in exactly one of written, filtered, error_sinked, dropped; while it is under way it
 * is in none. read + made - (sum of those) messages are open or failed. */
struct df_processor_stats {
	enum df_phase phase;
	uint64_t read;	       /* messages taken from the source */
	uint64_t read_bytes;   /* payload bytes of those */
	uint64_t made;	       /* more messages than were read, by flatten and the like */
	uint64_t written;      /* confirmed by main sink or routes */
	uint64_t unchanged;    /* of those: rows that stood there already */
	uint64_t filtered;     /* dropped on purpose by a transformation */
	uint64_t error_sinked; /* stored in the error sink */
	uint64_t dropped;      /* poison that the manifest says to drop */
	uint64_t failed;       /* poison that stopped the pipeline */
	uint64_t retries;      /* writes tried again */
	uint64_t reconnects;
	uint64_t unknown_fields;
	uint64_t checkpoint_saves;
	int64_t last_processed; /* ns since 1970, of the newest confirmed flush; 0: none */
	size_t in_flight_bytes; /* batch memory out of the pool */
	const char *waiting;	/* why nothing moves: a static text, or NULL */
	bool resumed;		/* the source went on from a saved position */
};

/* Compiles and creates everything, opens nothing. Problems of the manifest go to diags (then DF_ERR_CONFIG). */
int df_processor_new(const struct df_processor_options *options, struct df_processor **ret, struct df_diags *diags,
		     struct df_error *err) df_must_check;
void df_processor_free(struct df_processor *p);
DF_DEFINE_CLEANUP(struct df_processor *, df_processor_free)

/*
 * Connects, runs, flushes, commits, saves, closes. Returns when the source is exhausted (0), when `stop` was cancelled
 * and everything in flight was flushed (0), or on a failure (its code; the position is kept). Cancelling `kill` ends at
 * once without a flush (DF_ERR_CANCELED). Both may be NULL. Once a processor.
 */
int df_processor_run(struct df_processor *p, struct df_context *stop, struct df_context *kill,
		     struct df_error *err) df_must_check;

/*
 * p goes on for a processor of the same manifest that has run and is through: its counts are added to p's, so that none
 * goes back, and p is ready when that one was. Before df_processor_run, and before anyone looks at p.
 */
void df_processor_inherit(struct df_processor *p, const struct df_processor *ended);

/* Thread-safe, any time. */
void df_processor_get_stats(const struct df_processor *p, struct df_processor_stats *ret);

/* All metrics of the errors and metrics reference, section 3, as Prometheus text (version 0.0.4). Thread-safe, any time
 * before df_processor_free. */
void df_processor_metrics(const struct df_processor *p, struct df_buf *buf);

/* Source and sinks were connected and reading began; from then on true. Thread-safe. */
bool df_processor_ready(const struct df_processor *p);
/* Is ready, and the last progress (a confirmed flush, a source that looked and found nothing new) is younger than
 * timeout_ns (0: always). With options.once, what is not ready yet is alive. Thread-safe. */
bool df_processor_alive(const struct df_processor *p, int64_t timeout_ns);

/* The chain's per-transformer counts, summed over the workers. Thread-safe, any time. */
size_t df_processor_transformers(const struct df_processor *p);
void df_processor_transformer_stats(const struct df_processor *p, size_t i, const char **ret_type,
				    struct df_transformer_stats *ret);

#endif

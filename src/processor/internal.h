/* What the processor's files share. Nothing outside src/processor includes this. */
#ifndef DF_PROCESSOR_INTERNAL_H
#define DF_PROCESSOR_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/retry.h"
#include "connectors/factory.h"
#include "message/channel.h"
#include "message/ledger.h"
#include "processor/metrics.h"
#include "processor/processor.h"
#include "transformers/chain.h"

#define DF_CHANNEL_BYTES ((size_t)1 << 20) /* payload bytes a channel holds, beside its message limit */
#define DF_BATCH_BYTES ((size_t)64 << 10)  /* payload bytes a source puts into one batch */
#define DF_BATCH_MESSAGES_MAX 512	   /* messages a source puts into one batch, whatever channelBufferSize says */
#define DF_FLUSH_MESSAGES_MAX 10000	   /* the cap of the batch table for batchSize 0 */
#define DF_FLUSH_BYTES ((size_t)4 << 20)   /* byte budget of one flush */
#define DF_ROUTE_MARK "routed_condition"   /* metadata of the router's, for transformations only */
#define DF_BLOCKED_WARNING (60 * DF_NS_PER_S) /* how often ackPolicy's effect is told */
#define DF_GRACE_DEFAULT (30 * DF_NS_PER_S)
#define DF_COMMIT_INTERVAL DF_NS_PER_S /* sources that keep no checkpoint of ours */

/* Sizes of messages behind the reader: a document that was changed must be written to know its size, so one message is
 * measured, and not again before DF_SIZE_EVERY others have passed. */
#define DF_SIZE_EVERY 64
struct df_size_sample {
	size_t left;   /* messages that pass unmeasured; 0 at the start */
	bool measured; /* this batch or flush is */
	size_t last;   /* bytes */
	struct df_buf scratch;
};

/* Begins a batch or flush of n messages; true when one of it is to be measured. */
bool df_size_sample_begin(struct df_size_sample *s, size_t n);
/* Counts m's size when this batch is measured. */
void df_size_sample_add(struct df_size_sample *s, struct df_histogram *h, const struct df_message *m);

/* Where messages end: a sink with its queue, its batching and its thread. */
struct df_output {
	struct df_processor *p;
	const struct df_component *component;
	char label[16];		 /* "sink", "route_0", "error_sink": connector_name */
	char route[224];	 /* "default", the route's condition cut to 200 bytes, "error"; no two are the same */
	char connector_type[64]; /* "<type>-sink" */
	struct df_logger logger;
	struct df_connector_env env;
	struct df_channel *channel;

	pthread_mutex_t sink_lock; /* held around every call on the sink but close: write by the thread, sync by the
				      committer */
	struct df_sink *sink;	   /* replaced by reconnects under the lock */

	/* the flush rule, from the settings */
	size_t wait_for;     /* rows a flush waits for */
	size_t together;     /* rows a flush has at most */
	int64_t interval_ns; /* after the first waiting row; 0: no timer */

	/* owned by the thread */
	struct df_batch *first, *last; /* batches with messages that wait, oldest first */
	size_t cursor;		       /* messages of `first` that are already in flight or done */
	size_t waiting, waiting_bytes;
	struct df_message **flush; /* the messages of one flush */
	struct df_message **done;  /* those of them that are done */
	size_t flush_cap;
	size_t flushing;       /* messages of the flush under way */
	struct df_arena arena; /* of one flush */
	int64_t warned_ns;     /* when it was last told that the position is held back; 0: never */

	pthread_t thread;
	bool started;
	bool is_error;

	struct df_output_metrics metrics;
	struct df_size_sample sizes;
};

struct df_worker {
	struct df_processor *p;
	struct df_chain *chain;
	pthread_t thread;
	bool started;
	/* of the batch under way */
	size_t poisoned;   /* messages that a transformer refused */
	int64_t passed_ns; /* when the last transformer was through */
	struct df_size_sample sizes;
};

/* Counters: relaxed atomics, added per batch or flush. What outputs count is in df_output_metrics. */
struct df_counters {
	df_count read, read_bytes, made, filtered, dropped, failed, reconnects, checkpoint_saves;
};

struct df_processor {
	struct df_processor_options options;
	const struct df_dataflow_spec *spec;
	struct df_logger logger;

	/* source */
	char source_type[64];
	char source_connector_type[72]; /* "<type>-source" */
	struct df_logger source_logger;
	struct df_connector_env source_env;
	pthread_mutex_t source_lock; /* guards `source` against replacement while commit uses it */
	struct df_source *source;
	const struct df_source_ops *source_ops;
	struct df_emitter emitter;
	pthread_t reader;
	bool reader_started;
	uint64_t emitted; /* the reader's: messages so far, for the limit */
	uint64_t batches; /* the reader's: sequence of the next batch */

	struct df_batch_pool *batches_pool;
	struct df_ledger *ledger;
	struct df_channel *input; /* reader -> workers */

	struct df_worker *workers;
	size_t worker_count;
	pthread_mutex_t turn_lock; /* workers hand over in batch order */
	pthread_cond_t turn;
	uint64_t next_turn;

	struct df_output *outputs; /* 0 main, 1.. routes, last: error sink when there is one */
	size_t output_count;
	struct df_output *error_output; /* NULL: none */
	const char *ack_policy;		/* of the error sink */

	struct df_context *read_ctx; /* ends reading: stop, limit, failure */
	struct df_context *work_ctx; /* ends everything: kill, failure, grace used up */

	/* committing */
	pthread_mutex_t state_lock;
	pthread_cond_t state_changed;
	uint64_t progress;			 /* flushes and drops so far */
	uint64_t committed;			 /* of those, when the last commit began */
	size_t workers_running, outputs_running; /* threads that have not ended; outputs without the error sink's */
	bool error_output_running;
	struct df_error failure; /* the first one; code 0: none */
	atomic_bool failed;	 /* failure is set */

	/* the committer's, that is the caller's of df_processor_run; the reader's while it opens the source again */
	pthread_mutex_t commit_lock;
	struct df_arena checkpoint_arena;
	struct df_value *checkpoint;	    /* the whole object */
	struct df_value *source_checkpoint; /* this source type's member of it; NULL: the source keeps none */
	struct df_arena held_arena;	    /* commits that wait for a sink's sync */
	struct df_commit *held;
	size_t held_count;
	bool unsaved;
	atomic_bool resumed; /* there was a position to go on from */

	struct df_counters counters;
	struct df_metrics metrics;
	atomic_int phase;
	_Atomic(const char *) waiting;
};

/* ---- processor.c ----------------------------------------------------------------------------------------- */

/* Remembers the first failure and stops reading; what is in flight is still flushed where it can be. Any thread. */
void df_processor_fail(struct df_processor *p, const struct df_error *err);
/* Last words of a worker's and an output's thread: the last one closes what the next stage reads from. */
void df_processor_worker_ended(struct df_processor *p);
void df_processor_output_ended(struct df_output *o);
/* Something was done: wakes the committer. */
void df_processor_progressed(struct df_processor *p);

/* ---- metrics.c ------------------------------------------------------------------------------------------- */

/* For liveness: something was confirmed, or the source looked and found nothing new. */
void df_processor_moved(struct df_processor *p);
/* How many messages are read (or made) and have not ended. */
uint64_t df_processor_active(const struct df_processor *p);

/* ---- metrics_text.c -------------------------------------------------------------------------------------- */

int df_metrics_init(struct df_processor *p, struct df_error *err) df_must_check;
void df_metrics_done(struct df_metrics *m);

/* ---- connect.c ------------------------------------------------------------------------------------------- */

/* Connects with backoff: for ever on retryable errors, five times on auth errors, once on others. */
int df_processor_connect_source(struct df_processor *p, struct df_context *ctx, struct df_error *err) df_must_check;
int df_output_connect(struct df_output *o, struct df_context *ctx, struct df_error *err) df_must_check;
/* Close, new instance, connect. */
int df_output_reconnect(struct df_output *o, struct df_context *ctx, struct df_error *err) df_must_check;
int df_processor_create_source(struct df_processor *p, struct df_error *err) df_must_check;

/* ---- reader.c, worker.c, output.c: thread functions and what starts them --------------------------------- */

int df_reader_start(struct df_processor *p, struct df_error *err) df_must_check;
int df_worker_start(struct df_worker *w, struct df_error *err) df_must_check;
int df_output_start(struct df_output *o, struct df_error *err) df_must_check;

/* A batch of which the caller is the only user: df_batch_release gives it (and its parent's last user the parent) back.
 */
void df_batch_release(struct df_batch *batch);

/* ---- poison.c -------------------------------------------------------------------------------------------- */

/*
 * What happens to a poison message, for all stages: a record to the error sink (which then answers for the message), or
 * the pipeline stops. `original_sink` is the type of the sink that refused it. 0: taken care of; a code: the pipeline
 * stops.
 */
struct df_poison {
	const char *stage; /* "decode", "transformer_2", "sink_write" */
	const char *original_sink;
	int attempts;
};
int df_processor_poison(struct df_processor *p, struct df_message *m, const struct df_poison *poison,
			const struct df_error *err) df_must_check;

/* ---- commit.c -------------------------------------------------------------------------------------------- */

/* Does the source's position belong in the checkpoint store? Once there is a source. */
bool df_processor_saves(const struct df_processor *p);
int df_processor_load_checkpoint(struct df_processor *p, struct df_error *err) df_must_check;
/* Collects, syncs the sinks, tells the source, saves when it is time (or final). */
int df_processor_commit(struct df_processor *p, bool final, struct df_error *err) df_must_check;

#endif

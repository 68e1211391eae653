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
#define DF_GROWN_MESSAGES_MAX 100000	   /* where flushes that a sink asked to grow stop */
#define DF_FLUSH_BYTES ((size_t)4 << 20)   /* byte budget of one flush, unless the sink asks for another */
#define DF_ROUTE_MARK "routed_condition"   /* metadata of the router's, for transformations only */
#define DF_BLOCKED_WARNING (60 * DF_NS_PER_S) /* how often ackPolicy's effect is told */
#define DF_GRACE_DEFAULT (30 * DF_NS_PER_S)
#define DF_COMMIT_INTERVAL DF_NS_PER_S /* sources that keep no checkpoint of ours */

#define DF_SAY_AGAIN (10 * DF_NS_PER_S) /* how often a trouble that lasts is told */

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

/* Messages that wait for a sink or are on their way to it, in the batches they came in. One thread's. */
struct df_queue {
	struct df_batch *first, *last; /* batches with messages that have not ended, oldest first */
	size_t ended;		       /* messages of `first` that have */
	struct df_batch *next;	       /* the batch of the first message that waits, and its index; NULL: none waits */
	size_t at;
	size_t count, bytes; /* messages that wait; bytes of the batches from `next` on */
	size_t away_bytes;   /* and of those before it */
};

/* One flush: some messages of the queue and what became of them. */
struct df_flight {
	struct df_output *output;
	struct df_flight *next;	      /* in the order of messages; or the next free one */
	struct df_message **messages; /* [0..count) as they were in the queue; those that remain move to the front */
	struct df_message **done;     /* for the results of one attempt */
	size_t cap, count;
	size_t ended;		/* written or given up */
	struct df_batch *batch; /* of the first message, and its index */
	size_t at;
	struct df_arena arena; /* results, parsed documents */
	struct df_write write; /* the attempt under way; at the end: one whose results never came */
	struct df_attempt {
		size_t left; /* messages[0..left) are to be written again */
		bool split;  /* in two halves */
		bool again;  /* at once: nothing was written, because of others that are taken out */
		int number;
		int code;	   /* what write said */
		unsigned instance; /* of the sink */
		uint64_t token;
		size_t token_count; /* of how many messages it is */
		int64_t started_ns;
		struct df_error last; /* why they remain */
	} attempt;
	int64_t started_ns;
	struct df_str checkpoint; /* of a transaction: what its newest attempt stores */
	bool pending;		  /* the attempt's results come later ... */
	atomic_bool landed;	  /* ... or are there */
	atomic_bool launching;	  /* the output's thread is at it, and will look at `landed` by itself */
};

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

	/* Calls on the sink but close take turns: write by the thread, sync by the committer, who goes first. */
	pthread_mutex_t sink_lock; /* guards the three below */
	pthread_cond_t sink_free;
	bool sink_busy, sync_waits;
	struct df_sink *sink; /* replaced by reconnects, in a turn */

	unsigned instance; /* how many there were */

	/* the flush rule, from the settings */
	size_t wait_for;     /* rows a flush waits for */
	size_t together;     /* rows a flush has at most */
	size_t flush_bytes;  /* payload bytes after which a flush goes out in any case */
	int64_t interval_ns; /* after the first waiting row; 0: no timer */
	size_t max_flights;

	/* owned by the thread */
	struct df_queue queue;
	struct df_flight *flights, *free_flights; /* oldest first */
	size_t pending_count;
	bool grounded;	   /* something waits to be written again: nothing new before it */
	uint64_t tokens;   /* random state of df_write.token */
	atomic_bool stuck; /* what waits cannot go out before more comes */
	bool barrier;	   /* all that was read before the source is opened again is in the queue */
	int64_t warned_ns; /* when it was last told that the position is held back; 0: never */

	pthread_mutex_t landed_lock;
	pthread_cond_t landed; /* a pending flight has its results */

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
	df_count withdrawn; /* taken back unwritten, to be read again */
};

/* Of a main sink that stores the position with the rows (transaction.c). */
struct df_transaction {
	bool on;
	struct df_value *positions; /* what the last describe left */
	struct df_arena arena;	    /* its memory */
	int64_t number;		    /* of the last write; it makes every stored checkpoint another one */
	struct df_buf held;	    /* what the sink held when it was connected last; empty: nothing */
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

	/* from spec.retry */
	struct df_retry_policy write_policy, connect_policy;
	int64_t write_total_ns; /* 0: no limit */

	size_t memory_limit, message_limit; /* bytes: of batches in flight, of one payload */
	atomic_bool pressed;		    /* the reader waits for memory: what waits for more must go out */
	_Atomic int64_t dropped_told_ns;    /* when onError: drop was last told about */
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
	atomic_size_t errors_open;	/* records on their way to it */
	struct df_transaction transaction;

	struct df_context *read_ctx;   /* ends reading: stop, limit, failure */
	struct df_context *work_ctx;   /* ends everything: kill, failure, grace used up */
	struct df_context *settle_ctx; /* ends waiting for other outputs: work_ctx, or one of them has failed */

	/* committing */
	pthread_mutex_t state_lock;
	pthread_cond_t state_changed;
	uint64_t progress;			 /* flushes and drops so far */
	uint64_t commit_asked, commit_served;	 /* commits that somebody waits for, counted */
	uint64_t committed;			 /* of those, when the last commit began */
	int64_t moved_ns;			 /* monotonic: when the first since then came */
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
/* The batch table of the manifest reference, section 7. ops may be NULL: as for a sink that does not batch. */
void df_output_set_rule(struct df_output *o, const struct df_sink_ops *ops);
/* The sink asked for larger flushes: twice as many rows from now on, as far as the timer lets them wait. */
void df_output_grow(struct df_output *o);
int df_output_start(struct df_output *o, struct df_error *err) df_must_check;

/* ---- turn.c ---------------------------------------------------------------------------------------------- */

/* The turn of the output's own thread on its sink. */
void df_output_begin_call(struct df_output *o);
void df_output_end_call(struct df_output *o);
/* The committer's, ended by the same. A write that hangs keeps the turn for as long as it hangs: false once the
 * pipeline stops, for the committer is the one that ends the grace period. final: nobody writes any more. */
bool df_output_begin_sync(struct df_output *o, bool final) df_must_check;

/* ---- queue.c --------------------------------------------------------------------------------------------- */

void df_queue_add(struct df_queue *q, struct df_batch *batch);
/* Moves the first n waiting messages out; they stay in their batches until df_queue_end. */
void df_queue_take(struct df_queue *q, struct df_message **messages, size_t n);
/* The n oldest messages have ended: gives back the batches that are through. */
void df_queue_end(struct df_queue *q, size_t n);
/* At the end, whatever is in it. */
void df_queue_done(struct df_queue *q);
/* The oldest message that waits; there is one. */
static inline const struct df_message *df_queue_oldest(const struct df_queue *q)
{
	return &q->next->messages[q->at];
}

/* ---- flight.c -------------------------------------------------------------------------------------------- */

/* Writes the next n waiting messages. Results may come later: df_flights_land looks at them. DF_ERR_NO_MEMORY. */
int df_flight_start(struct df_output *o, size_t n, struct df_error *err) df_must_check;
/* What came back is settled. Once nothing is pending, what failed is tried again until it has ended. 0, or the code
 * that stops the pipeline. */
int df_flights_land(struct df_output *o, struct df_error *err) df_must_check;
/* Waits until a pending flight is back. DF_ERR_CANCELED. */
int df_flights_wait(struct df_output *o, struct df_error *err) df_must_check;
/* The output has failed: what is under way is waited for, and what was written counts. */
void df_flights_abandon(struct df_output *o);
/* After the sink was freed. */
void df_flights_done(struct df_output *o);

/* ---- attempt.c ------------------------------------------------------------------------------------------- */

/* Writes messages[0..left). attempt.code is what write said: 0 or a code, and the results are there, or pending.
 * DF_ERR_NO_MEMORY, or DF_ERR_CANCELED; then nothing was written. */
int df_attempt_launch(struct df_flight *f, struct df_message **messages, struct df_error *err) df_must_check;
/*
 * The results of the attempt are there. On return messages[0..left) are those that remain, in order: to be tried again,
 * or, with `split`, to be written in two halves. 0, or the code that stops the pipeline, with err.
 */
int df_attempt_settle(struct df_flight *f, struct df_message **messages, struct df_error *err) df_must_check;
/* What was written of an attempt whose other messages nobody will write again. */
void df_attempt_count_written(struct df_flight *f);
/* messages[0..left) remain from an attempt: until each has ended. */
int df_flight_deliver(struct df_flight *f, struct df_message **messages, struct df_error *err) df_must_check;

/* ---- measure.c: what an output's histograms and counters get ---------------------------------------------- */

/* The messages of a flight have waited until now. */
void df_measure_wait(struct df_flight *f, int64_t now);
/* f->done[0..n) were confirmed. */
void df_measure_written(struct df_flight *f, size_t n);
/* One call of the sink's write: n messages, of which so many were written. took_ns: -1 when it was not measured. */
void df_measure_attempt(struct df_output *o, size_t n, size_t written, const struct df_error *why, int64_t took_ns);

/* A batch of which the caller is the only user: df_batch_release gives it (and its parent's last user the parent) back.
 */
void df_batch_release(struct df_batch *batch);

/* ---- transaction.c: a sink that stores the position with the rows (exactlyOnce) ----------------------------- */

/* Does the output's sink, with these ops, store the position? */
bool df_transaction_wanted(const struct df_output *o, const struct df_sink_ops *ops);
/* After the sinks are connected: goes on from what the main sink holds, when it is such a sink. */
int df_transaction_open(struct df_processor *p, struct df_error *err) df_must_check;
/* A new instance is connected: what does it hold? */
int df_transaction_ask(struct df_output *o, struct df_sink *sink, struct df_context *ctx,
		       struct df_error *err) df_must_check;
/* Before a write of messages[0..left): waits until everything in front of them has ended, and makes f->checkpoint.
 * Messages of partitions that were lost meanwhile are taken out. */
int df_transaction_begin(struct df_flight *f, struct df_message **messages, struct df_error *err) df_must_check;
/* The connection is back: had the write happened? */
bool df_transaction_happened(const struct df_flight *f);
/* Where a write of about n waiting messages may end, so that reading can go on right behind; 0: nowhere yet. */
size_t df_transaction_cut(const struct df_output *o, size_t n);
/* A place to split n messages at; 0: none. */
size_t df_transaction_half(struct df_message *const *messages, size_t n);
/* What waits is taken back: the source will read it again. */
int df_transaction_withdraw(struct df_output *o, struct df_error *err) df_must_check;
void df_transaction_done(struct df_transaction *t);

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

/*
 * The connector contract. Blocking code, cancelled through a context; the processor does everything else: threads,
 * batching, retry, reconnect, the error sink, the ledger, metrics.
 *
 * A connector is one folder with a settings struct and field table (always built), a driver (built when its library is
 * there), a descriptor, one row in src/connectors/list.h and one build option.
 *
 * Order of calls. Source: create, restore?, connect, read, commit*, close, free. Sink: create, connect, write*, sync*,
 * close, free. `close` may come at any time and from any thread, also while connect, read or write is running, and
 * twice; it returns soon, because it cancels the connector's own context first. After close, connect fails with
 * "connector is closed" (DF_ERR_CLOSED): to reconnect, the processor makes a new instance. `commit` comes from another
 * thread than `read`. All others come from one thread at a time.
 */
#ifndef DF_CONNECTORS_INTERFACE_H
#define DF_CONNECTORS_INTERFACE_H

#include "base/clock.h"
#include "base/context.h"
#include "base/log.h"
#include "message/ledger.h"
#include "message/message.h"
#include "spec/spec.h"

#pragma GCC visibility push(default) /* an installed header: src/dataflow/meson.build */

struct df_connector;

/* What an instance is told when it is made. All borrowed, valid until free. */
struct df_connector_env {
	const struct df_connector *connector; /* the descriptor that it is made from; set by df_source_create and
						 df_sink_create */
	const struct df_logger *logger;
	const struct df_clock *clock;
	const char *namespace, *name; /* the flow's */
	bool once;		      /* batch use: read returns when the source is exhausted */
	bool resumed; /* sinks: the source goes on behind a saved position, so what was written before is not written
			 again */
	uint64_t run; /* a random number, the same for all instances of one run of the pipeline */
};

/* ---- sources --------------------------------------------------------------------------------------------- */

/* First member of every source and sink; src/connectors/base.h embeds it in both base connectors. */
struct df_source {
	const struct df_source_ops *ops;
};

/*
 * Where read puts what it read; the processor's. Fill a batch: payload, document or failure, metadata, partition and
 * position of every message, batch->bytes; then emit it. Everything in a batch lives in the batch's arena.
 */
struct df_emitter {
	size_t batch_messages; /* how many messages a batch should have at most */
	size_t batch_bytes;    /* and how many payload bytes; one message may exceed it */
	size_t message_bytes;  /* the payload of one message; longer ones become poison when they are emitted, and a
				  source that can tell earlier need not read them whole */

	struct df_batch *(*batch)(struct df_emitter *e);
	int (*emit)(struct df_emitter *e, struct df_context *ctx, struct df_batch **batch, struct df_error *err);
	int (*try_emit)(struct df_emitter *e, struct df_batch **batch, struct df_error *err);
	int (*partition)(struct df_emitter *e, struct df_str key, struct df_partition **ret, struct df_error *err);
	void (*idle)(struct df_emitter *e);
	int (*drain)(struct df_emitter *e, struct df_partition *p, struct df_context *ctx, struct df_error *err);
	void (*lag)(struct df_emitter *e, struct df_partition *p, int64_t messages); /* NULL: nobody asks */
	void (*trouble)(struct df_emitter *e, const struct df_error *why);	     /* NULL: nobody asks */
};

/* A new, empty batch; NULL when out of memory. Free it (df_batch_free) when it is not emitted. */
static inline struct df_batch *df_emitter_batch(struct df_emitter *e)
{
	return e->batch(e);
}

/* Hands the batch over and blocks while downstream is full. *batch becomes NULL on success; an empty batch is freed. */
static inline int df_emitter_emit(struct df_emitter *e, struct df_context *ctx, struct df_batch **batch,
				  struct df_error *err)
{
	return e->emit(e, ctx, batch, err);
}

/* The same without blocking: DF_ERR_TRANSIENT when downstream is full, the caller keeps the batch. */
static inline int df_emitter_try_emit(struct df_emitter *e, struct df_batch **batch, struct df_error *err)
{
	return e->try_emit(e, batch, err);
}

/* The live partition of this key; keep the pointer. Forget it with df_partition_forget. */
static inline int df_emitter_partition(struct df_emitter *e, struct df_str key, struct df_partition **ret,
				       struct df_error *err)
{
	return e->partition(e, key, ret, err);
}

/* Alive, nothing new: a finished empty poll, an assigned idle consumer (at least every 60 s). */
static inline void df_emitter_idle(struct df_emitter *e)
{
	e->idle(e);
}

/* Waits until nothing of the partition is open (a revoke) and `commit` was told so, within ctx. */
static inline int df_emitter_drain(struct df_emitter *e, struct df_partition *p, struct df_context *ctx,
				   struct df_error *err)
{
	return e->drain(e, p, ctx, err);
}

/* How many messages of the partition the other side holds that were not read yet: the metric
 * dataflow_source_lag_messages. -1: not known any more. Cheap; once a second is often enough. */
static inline void df_emitter_lag(struct df_emitter *e, struct df_partition *p, int64_t messages)
{
	if (e->lag)
		e->lag(e, p, messages);
}

/* Trouble that the source outlives by itself, without returning from read: the other side is away, a partition was
 * lost. Counted as a failed attempt to read; when it is of the connection (connection, timeout, auth) the source counts
 * as not connected until the next batch, idle report, or NULL: it is over. The caller logs it. The reading thread. */
static inline void df_emitter_trouble(struct df_emitter *e, const struct df_error *why)
{
	if (e->trouble)
		e->trouble(e, why);
}

struct df_source_ops {
	/* settings outlives the instance. Opens nothing. */
	int (*create)(const void *settings, const struct df_connector_env *env, struct df_source **ret,
		      struct df_error *err);

	/* Before connect: where to go on. checkpoint is this source type's object in the checkpoint (borrowed for the
	 * call), {} when there is none; it may hold keys of others. DF_ERR_CONFIG, naming checkpointReset, when it is
	 * damaged or belongs to another source. NULL: keeps no checkpoint. */
	int (*restore)(struct df_source *s, const struct df_value *checkpoint, struct df_error *err);
	/* The position is kept where the source looks itself (a consumer group): no checkpoint of it is saved, and
	 * restore is called only with what a transactional sink holds, or once held. */
	bool keeps_own_position;

	int (*connect)(struct df_source *s, struct df_context *ctx, struct df_error *err);

	/* Emits until the source is exhausted (0; only with env.once or a source that ends by nature), cancelled
	 * (DF_ERR_CANCELED), or failed. Never swallows an error. After DF_ERR_CONNECTION and other retryable errors the
	 * processor closes this instance, makes a new one, restores the last committed checkpoint, and reads again. */
	int (*read)(struct df_source *s, struct df_context *ctx, struct df_emitter *out, struct df_error *err);

	/*
	 * Everything up to these positions is done and durable. Records it and wakes read if need be; never blocks on
	 * the network. A source that keeps a checkpoint writes it into `checkpoint`, an object of its own type that the
	 * processor persists (keys it does not know stay); text goes into `arena`. NULL: nothing to do.
	 */
	int (*commit)(struct df_source *s, const struct df_commit *commits, size_t count, struct df_value *checkpoint,
		      struct df_arena *arena, struct df_error *err);

	/*
	 * What the checkpoint would say once everything up to these positions is done: as commit, but nothing is
	 * recorded, and a source that keeps its position elsewhere (a consumer group) writes here what restore needs.
	 * `checkpoint` is what the previous describe (or restore) left, so partitions that are not named stay. Any
	 * thread. For sinks that store the position with the rows (exactlyOnce). NULL: such a sink is refused behind
	 * this source.
	 *
	 * It is also called with count 0, before the first read: DF_ERR_CONFIG, with the fix, when these settings give
	 * no exact position (a query without one, an overlap that is read again).
	 */
	int (*describe)(struct df_source *s, const struct df_commit *commits, size_t count, struct df_value *checkpoint,
			struct df_arena *arena, struct df_error *err);

	int (*close)(struct df_source *s, struct df_error *err);
	void (*free)(struct df_source *s); /* closes first when needed; accepts NULL */
};

/* ---- sinks ----------------------------------------------------------------------------------------------- */

struct df_sink {
	const struct df_sink_ops *ops;
};

/*
 * One write: the messages of one flush, in order, and what became of each. Made by the processor. The messages belong
 * to several batches; documents are parsed into `arena`, which lives until all results are in.
 */
struct df_write {
	struct df_message *const *messages;
	size_t count;
	struct df_arena *arena;
	uint64_t token;	       /* the same for the same messages on every retry: a deduplication token */
	bool again;	       /* a try before this one failed, or nobody knows how it ended */
	size_t unchanged;      /* to be counted by the sink: rows that stood there already (skipped conflicts, identical
				  upserts) */
	size_t unknown_fields; /* likewise: keys that were ignored because the table has no such column */
	size_t parts;	       /* likewise: files that the other side made of this write (ClickHouse's parts) */
	size_t uncertain; /* likewise: rows that were sent again although they may stand there already, because nobody
			     can tell how the try before ended */
	bool larger;	  /* set by a sink whose other side has too many small writes: later flushes grow */
	struct df_str checkpoint; /* for a transactional sink: what its transaction stores beside the rows, JSON that no
				     two writes of a flow share. For all others ptr NULL */

	/* Private: use the functions below. */
	pthread_mutex_t lock;
	pthread_cond_t all_settled;
	uint32_t *results; /* of each message: open, written, or which failure */
	struct df_write_failure *failures;
	size_t failure_count, failure_cap;
	size_t settled;
	struct df_error whole; /* why those without a result of their own failed; code 0: they did not */
	void (*on_settled)(struct df_write *w, void *arg); /* once, when every message has a result */
	void *arg;
};

struct df_write_failure {
	size_t index;
	struct df_error error;
};

/* Message i is confirmed by the other side / failed with err (code: poison or retryable). Once a message; any thread.
 */
void df_write_done(struct df_write *w, size_t i);
void df_write_fail(struct df_write *w, size_t i, const struct df_error *err);

enum {
	DF_WRITE_PENDING = 1, /* write: results come later through df_write_done and df_write_fail */
	DF_WRITE_UNDONE = 2, /* write of a transactional sink: messages were refused (df_write_fail), and so nothing was
				written; the others come again without them */
	DF_SYNC_LATER = 1,   /* sync: not yet possible (a file that is renamed when it is complete) */
};

/* How many rows a flush has and how long they may wait: the manifest reference, section 7, "Batch semantics". */
struct df_batching {
	struct df_opt_int size;	  /* batchSize as written */
	int32_t interval_seconds; /* batchFlushIntervalSeconds */
	int32_t default_size;	  /* when size is absent: what the type waits for */
	int32_t default_together; /* when size is absent: rows that already wait travel together up to this many */
	size_t flush_bytes;	  /* payload bytes after which a flush goes out in any case; 0: 4 MiB */
};

struct df_sink_ops {
	int (*create)(const void *settings, const struct df_connector_env *env, struct df_sink **ret,
		      struct df_error *err);
	int (*connect)(struct df_sink *s, struct df_context *ctx, struct df_error *err);

	/*
	 * 0: every message without a result of its own was confirmed by the other side. DF_WRITE_PENDING: see above. A
	 * negative code: every message without a result of its own failed with err; the processor retries, splits and
	 * routes. Messages are written in order. No write is begun while one that failed waits to be tried again.
	 */
	int (*write)(struct df_sink *s, struct df_context *ctx, struct df_write *w, struct df_error *err);

	/* Before positions are committed, and at the end (final): makes durable what was written. 0 or DF_SYNC_LATER
	 * (never when final) or a code. NULL: write alone is enough. */
	int (*sync)(struct df_sink *s, struct df_context *ctx, bool final, struct df_error *err);

	int (*close)(struct df_sink *s, struct df_error *err);
	void (*free)(struct df_sink *s);

	/* From the settings. NULL: write what is there at once. */
	void (*batching)(const void *settings, struct df_batching *ret);
	/*
	 * Pending writes at once, for sinks that answer DF_WRITE_PENDING; 0 is 1. Results may come in any order of
	 * messages and writes. The sink sees to it that of two messages with one key the later one is not written when
	 * the earlier one failed with a retryable code (or fails them both): failed writes are tried again, in order,
	 * when nothing is pending any more. `close` gives every pending message a result, or forgets it: no result
	 * comes after close returned.
	 */
	int max_in_flight;

	/*
	 * Sinks that can store the position in the transaction of the rows (exactlyOnce): do they, with these settings?
	 * NULL: never. Then:
	 *
	 * - Every write has `checkpoint`. The transaction stores it, byte for byte, under the flow ("<env.namespace>/
	 *   <env.name>"), in place of the one before: a row of a table `dataflow_positions (flow text primary key,
	 *   checkpoint text)`, a record of a compacted topic.
	 * - One write is under way at a time, also after a reconnect, and it ends where the source can go on.
	 * - A write is all or nothing. When messages are refused: df_write_fail for each, roll back, DF_WRITE_UNDONE.
	 *   When the whole is refused and nobody knows why: roll back and return the code; the processor splits.
	 * - When it is not known whether the commit happened (the connection broke), write returns DF_ERR_CONNECTION.
	 *   The processor makes a new instance and asks `held`: equal to the write's checkpoint, it happened.
	 * - Another process with the same flow must not slip in: replace the stored checkpoint only while it is the one
	 *   that this instance held or stored last, else DF_ERR_CONFIG that says so (or fence by the store's own
	 * means).
	 */
	bool (*transactional)(const void *settings);
	/* Of a transactional sink, after connect: the checkpoint that is stored for this flow, in the arena, as it was
	 * given; ptr NULL: none. It wins over the one of the checkpoint store. Errors as of connect. NULL: the
	 * transaction stores it where the source itself looks for it (keeps_own_position). */
	int (*held)(struct df_sink *s, struct df_context *ctx, struct df_arena *arena, struct df_str *ret,
		    struct df_error *err);
};

/* ---- descriptors ----------------------------------------------------------------------------------------- */

/* One a connector, `df_connector_<row of list.h>`. The types are always there; ops are NULL when the driver was not
 * built. */
struct df_connector {
	const struct df_type *source; /* NULL: cannot be a source */
	const struct df_type *sink;
	const struct df_source_ops *source_ops;
	const struct df_sink_ops *sink_ops;
	/* Set by the loader of plugins, for one that was compiled when these structs were shorter: what this is a copy
	 * of. */
	const struct df_connector *original;
};

#pragma GCC visibility pop

#endif

/*
 * A flow whose both ends are played by the test: a source with numbered messages, and sinks that follow a script and
 * remember what they confirmed. What is remembered outlives the instances, as a server does.
 */
#ifndef DF_TEST_PROCESSOR_KIT_H
#define DF_TEST_PROCESSOR_KIT_H

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "processor/processor.h"

#define KIT_PENDING 32

/* The other side of a sink. */
struct kit_sink {
	struct df_sink_ops ops; /* what a test changes: max_in_flight, transactional, sync ... */
	/* One write: 0, a code, or DF_WRITE_PENDING; NULL: confirms all. Under the lock. */
	int (*write)(struct kit_sink *s, struct df_context *ctx, struct df_write *w, struct df_error *err);
	int (*connect)(struct kit_sink *s, struct df_error *err); /* NULL: succeeds */
	int sync_result;					  /* of all but the final one */
	void *arg;

	pthread_mutex_t lock;
	unsigned writes, instances, connects, syncs, closes;
	size_t largest; /* messages of the largest write */
	int64_t *ids;	/* confirmed, in order */
	size_t count, cap;
	char *checkpoint; /* of a transactional sink; NULL: none */

	/* Writes that wait for their results; answered by kit_answer. */
	struct df_write *pending[KIT_PENDING];
	size_t pending_count, most_pending;
	int64_t poison;	     /* an id that is refused; -1: none */
	unsigned fail_first; /* writes that fail first, for scripts */
	int fail_code;
};

/* The other side of the source: ids from `next` to `last`, in batches. */
struct kit_source {
	struct df_source_ops ops;
	/* Emits one batch, or ends (0), or fails. NULL: all from the position on, `batch` at a time. */
	int (*read)(struct kit_source *s, struct df_context *ctx, struct df_emitter *out, struct df_error *err);
	void *arg;
	int64_t last;
	size_t batch;	   /* messages of one */
	size_t pad;	   /* payload bytes of a message, about */
	int64_t committed; /* what commit was told last */
	int64_t position;  /* where the newest instance began */
	unsigned instances;
	bool once;	/* read returns at the end, else it waits for the stop */
	int64_t group;	/* so many neighbours have one position; 0: each its own */
	int64_t broken; /* this id cannot be decoded; 0: none */
	int64_t cut;	/* behind this id, once, the connection is lost; 0: never */
	bool inexact;	/* describe refuses */
};

struct kit_store {
	struct df_checkpoint_store store;
	char *text;
	unsigned saves;
	int save_code; /* what save fails with; 0: nothing */
};

struct kit {
	struct kit_source source; /* used when source.last > 0, else the manifest's */
	struct kit_sink main, errors;
	struct kit_store store;
	struct df_dataflow_spec spec;
	struct df_processor_options options;
	struct df_processor *processor;
	struct df_processor_stats stats; /* of the last run */
	struct df_buf metrics;
	struct df_error err;
	/* kit_start */
	pthread_t thread;
	struct df_context *stop, *kill;
	atomic_bool ended;
	int result;
};

#define KIT_FLOW "source: {type: generate, config: {count: 1, template: '{}'}}\nsink: {type: discard, config: {}}\n"
#define KIT_ERRORS "errors: {type: stdout, config: {}}\n"

/* The main sink is `discard`, the error sink any other type. */
struct kit *kit_new(const char *yaml, int64_t messages);
void kit_free(struct kit *k);
int kit_run(struct kit *k);

/* Flushes of ten messages, no more and no less. */
void kit_flush_ten(struct kit_sink *s);

/* In a thread of its own, until kit_join. */
void kit_start(struct kit *k);
int kit_join(struct kit *k);
/* Confirms what is pending, the oldest first, until the run has ended. */
void kit_answer_all(struct kit *k);

/* For scripts: confirms message i; its id. The lock is held. */
void kit_confirm(struct kit_sink *s, struct df_write *w, size_t i);
int64_t kit_id(struct df_message *m, struct df_arena *arena);
/* Keeps the write for later. */
int kit_pend(struct kit_sink *s, struct df_write *w);
/* Gives pending write `at` its results: confirmed but for `poison` (DF_ERR_CONSTRAINT), or all failed with code. */
void kit_answer(struct kit_sink *s, size_t at, int code);
/* How many are pending now, and how many messages were confirmed; while the flow runs. */
size_t kit_pending(struct kit_sink *s);
size_t kit_confirmed(struct kit_sink *s);
/* Waits until so many are pending, or more; false after 5 s. */
bool kit_wait_pending(struct kit_sink *s, size_t n);

/* 1 .. n in order, each once, but for `missing`. */
void kit_assert_in_order(const struct kit_sink *s, int64_t n, int64_t missing);
/* The same in any order. */
void kit_assert_each_once(const struct kit_sink *s, int64_t n, int64_t missing);

void kit_sleep(int64_t ms);

#endif

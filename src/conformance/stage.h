/*
 * Where a rule plays: instances of the manifest's source and sink with the placeholders filled in, an emitter that
 * collects what a source emits and knows what was committed, writes with their results, rows in and out of the store.
 *
 * One thread, the rule's, unless a function says otherwise. Everything is freed with the rule's process; functions that
 * fail for reasons of the suite itself (no memory, a command that fails) end the rule with a failure that says so.
 */
#ifndef DF_CONFORMANCE_STAGE_H
#define DF_CONFORMANCE_STAGE_H

#include "conformance/rule.h"
#include "value/value.h"

struct df_stage {
	const struct df_conformance_options *options;
	const struct df_conformance_rule *rule;
	const char *name;	/* what `{name}` becomes now */
	const char *address;	/* what `{address}` becomes now */
	struct df_arena *arena; /* lives as long as the rule */
	bool quick;
	bool garbled;	 /* the rule's own: bytes of rows were changed, so df_stage_dump leaves out what is no row */
	size_t tried;	 /* the rule's own: what it counts */
	const void *arg; /* the rule's own: for what it calls */
	/* private: stage.c */
	struct df_stage_private *p;
};

/* What the rule does now, for its failure when it hangs or crashes; functions of the stage say it themselves. */
void df_stage_doing(struct df_stage *st, const char *fmt, ...) df_printf(2, 3);

/* ---- names ----------------------------------------------------------------------------------------------- */

/* From now on `{name}` is this text (copied), and the setup command has run for it; cleanup runs at the end. NULL: a
 * fresh one, "df_" and letters and digits. */
void df_stage_name(struct df_stage *st, const char *name);
/* From now on `{address}` is this. NULL: options.server. */
void df_stage_address(struct df_stage *st, const char *address);

/* ---- instances ------------------------------------------------------------------------------------------- */

/* The settings of source or sink as a document that may be changed (placeholders filled in); arena memory. */
struct df_value *df_stage_config(struct df_stage *st, enum df_component_kind kind);
/* Parses such a document (NULL: as the manifest says). diags is filled when it is refused. Returns whether it was
 * accepted; *ret then lives until the rule ends. */
bool df_stage_parse(struct df_stage *st, enum df_component_kind kind, const struct df_value *config,
		    struct df_component **ret, struct df_diags *diags);

/* The manifest's settings, parsed; a rule that they are refused in fails. */
const struct df_component *df_stage_as_written(struct df_stage *st, enum df_component_kind kind);

/* Instances with env.once, a logger whose lines are kept (df_stage_log), and the manifest's settings; a rule that the
 * settings are refused in fails. Free them as any. */
struct df_source *df_stage_source(struct df_stage *st);
struct df_sink *df_stage_sink(struct df_stage *st);
struct df_source *df_stage_source_of(struct df_stage *st, const struct df_component *component, bool once);
struct df_sink *df_stage_sink_of(struct df_stage *st, const struct df_component *component);
/* Made and connected; fails the rule when connect does. Connect has 30 s. */
struct df_source *df_stage_connected_source(struct df_stage *st);
struct df_sink *df_stage_connected_sink(struct df_stage *st);

/* Everything that was logged so far in this process, by anybody. */
struct df_str df_stage_log(struct df_stage *st);

/* ---- what a source emits --------------------------------------------------------------------------------- */

/* Collects batches. Thread-safe: a rule may read in a thread of its own. */
struct df_collector {
	struct df_emitter emitter; /* 100 messages, 64 KiB a batch; may be changed before read */
	pthread_mutex_t lock;
	pthread_cond_t changed;
	struct df_batch *first, *last;
	size_t batches, messages, idles;
	size_t block_after;  /* emit blocks, until cancelled, at so many messages; 0: never */
	size_t cancel_after; /* cancel_ctx is cancelled at so many messages; 0: never */
	struct df_context *cancel_ctx;
	const char *broken; /* a rule of the emitter's contract that the source broke; NULL: none */
	struct df_ledger *ledger;
	struct df_batch_pool *pool;
	struct df_value *checkpoint; /* what commit wrote so far; the stage's arena */
};

struct df_collector *df_collector_new(struct df_stage *st);
void df_collector_free(struct df_collector *c); /* the source must be free */

/* Reads until the source ends; what read returned. Fails the rule when the emitter's contract was broken. */
int df_collector_read(struct df_stage *st, struct df_collector *c, struct df_source *s, struct df_error *err);

/* read in a thread of its own. */
struct df_reading;
struct df_reading *df_reading_start(struct df_stage *st, struct df_collector *c, struct df_source *s);
/* Waits (at most so long) until so many messages were collected, or read returned; false: neither happened. */
bool df_reading_await(struct df_reading *r, size_t messages, int64_t ns);
/* Cancels, waits at most so long for read to return, and gives what it returned; fails the rule when it does not. */
int df_reading_stop(struct df_reading *r, int64_t ns, struct df_error *err);
/* As stop, without cancelling. */
int df_reading_finish(struct df_reading *r, int64_t ns, struct df_error *err);

/* Message i of all, in the order of emission. */
struct df_message *df_collector_message(struct df_collector *c, size_t i);
/* Its row (an object); the `id` of a row, also one that is a text (-1: it has none). */
struct df_value *df_collector_row(struct df_stage *st, struct df_collector *c, size_t i);
int64_t df_row_id(struct df_stage *st, const struct df_value *row);
int64_t df_collector_id(struct df_stage *st, struct df_collector *c, size_t i);

/* Messages [from, from + n) are done: positions are collected and given to the source's commit. Returns the checkpoint
 * document as JSON (arena; "{}" for a source that keeps its own position) for df_stage_restore. Fails the rule when
 * commit does. */
const char *df_collector_commit(struct df_stage *st, struct df_collector *c, struct df_source *s, size_t from,
				size_t n);
/* For a source that was created and not connected yet. Nothing when it keeps its own position. */
void df_stage_restore(struct df_stage *st, struct df_source *s, const char *checkpoint);

/* ---- rows into and out of the store ---------------------------------------------------------------------- */

/* Rows {"id": first .. first + n - 1, "name": "row <id>"}: through options.feed, else the manifest's sink. */
void df_stage_feed(struct df_stage *st, int64_t first, size_t n);
/* The same with texts of whole rows (JSON objects). */
void df_stage_feed_rows(struct df_stage *st, const char *const *rows, size_t n);

struct df_rows_seen {
	struct df_value **rows; /* objects, as they came; arena */
	int64_t *ids;		/* -1: none */
	size_t count;
};
/* All rows of the store: through options.dump, else the manifest's source read from its beginning. */
void df_stage_dump(struct df_stage *st, struct df_rows_seen *ret);
/* Fails the rule unless the ids are exactly first .. first + n - 1, each once (in any order); says which are missing
 * or doubled. doubles: each at least once. */
void df_rows_expect(struct df_stage *st, const struct df_rows_seen *seen, int64_t first, size_t n, bool doubles);
/* The restart command; needs DF_NEEDS_RESTART. */
void df_stage_restart(struct df_stage *st);

/* ---- writes ---------------------------------------------------------------------------------------------- */

/* Messages with these payloads, and one write of them. */
struct df_stage_write {
	struct df_write w;
	struct df_message *messages;
	struct df_message **pointers;
	size_t count;
};
void df_stage_write_init(struct df_stage *st, struct df_stage_write *w, const char *const *payloads, size_t n);
/* n rows {"id": first + i, "name": "row <id>"}. */
void df_stage_write_rows(struct df_stage *st, struct df_stage_write *w, int64_t first, size_t n);
void df_stage_write_done(struct df_stage_write *w);
/* df_write_run within so long. */
int df_stage_write_run(struct df_stage *st, struct df_sink *s, struct df_stage_write *w, int64_t ns,
		       struct df_error *err);
/* Written and confirmed, and synced (final); fails the rule otherwise. */
void df_stage_write_all(struct df_stage *st, struct df_sink *s, int64_t first, size_t n);

/* ---- processes and figures ------------------------------------------------------------------------------- */

/* Runs fn in a child of the rule, which is killed with SIGKILL when it calls df_stage_die. Returns 0 when fn returned,
 * SIGKILL when it died so; fails the rule on anything else (a crash, or so long over). What fn wrote to *shared (bytes,
 * shared memory of the given size, zeroed) is seen by the caller. */
int df_stage_in_child(struct df_stage *st, void (*fn)(struct df_stage *st, void *shared), size_t size, int64_t ns,
		      void **ret_shared);
_Noreturn void df_stage_die(void);

struct df_footprint {
	size_t threads, descriptors;
	size_t heap_bytes;     /* in use, of malloc */
	size_t resident_bytes; /* VmRSS */
};
void df_stage_footprint(struct df_footprint *ret);

#endif

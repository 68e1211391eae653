/*
 * The fault kit: `dataflow-faults` is the program with rules between it and its connectors. Wrapped when it is linked
 * (test/faults/meson.build), so that nothing of it is in the product: whatever df_source_create and df_sink_create make
 * is put behind a proxy, and so are the chain, the checkpoint store and the wall clock. Any manifest runs; the real
 * connectors do the work between two faults.
 *
 * DATAFLOW_FAULTS=FILE, a JSON list of rules. A rule applies where its `at` is reached, and does what `do` says:
 *
 *   {"at": "write", "type": "sqlite", "from": 3, "times": 2, "do": "fail", "error": "connection_error"}
 *
 *   at       source_connect, read (a batch is emitted), commit, committed, transform, sink_connect, write, written (the
 *            sink has confirmed), sync, synced, save, saving (written, not yet renamed), saved, clock
 *   type     of the connector; absent: any
 *   output   0 the main sink, 1.. routes and the error sink in their order; absent: any
 *   from     which time it applies first, from 1 (default 1); times: how often (default 1; 0: from then on)
 *   while    a path: only while that file exists; then `times` is 0 unless written
 *   do       fail   the call fails with `error` (a name of the errors reference), `text` and `code`
 *            poison only the messages chosen by `ids` (values of the member `id`) or `every` (each n-th) fail, the
 *                   others are written; at read they become undecodable
 *            delay  for `ms`
 *            hang   until it is cancelled
 *            deaf   for `ms`, whatever is cancelled
 *            crash  kill -9 of itself
 *            later  write answers at once that results come later: `ms` later, from another thread, the last message's
 *                   first. Up to four writes are then under way
 *            count  the sink says that it left `n` rows unchanged and ignored `n` fields, more than there were
 *            step   at clock: `seconds` are added to the wall clock `ms` after the start
 *
 * DATAFLOW_CRASH_AT=POINT:N is the rule {"at": POINT, "from": N, "do": "crash"}.
 */
#ifndef DF_TEST_FAULTS_H
#define DF_TEST_FAULTS_H

#include "connectors/interface.h"

/* Where a rule may apply. */
enum faults_point {
	FAULTS_SOURCE_CONNECT,
	FAULTS_READ,
	FAULTS_COMMIT,
	FAULTS_COMMITTED,
	FAULTS_TRANSFORM,
	FAULTS_SINK_CONNECT,
	FAULTS_WRITE,
	FAULTS_WRITTEN,
	FAULTS_SYNC,
	FAULTS_SYNCED,
	FAULTS_SAVE,
	FAULTS_SAVING,
	FAULTS_SAVED,
	FAULTS_CLOCK,
};

struct faults_place {
	enum faults_point point;
	const char *type; /* of the connector; NULL: none */
	int output;	  /* of a sink; -1: no sink */
};

/* Does what the rules say about a whole call: 0, or the code that the call fails with. ctx: what a hang listens to, may
 * be NULL. */
int faults_at(const struct faults_place *place, struct df_context *ctx, struct df_error *err) df_must_check;

/* A rule about single messages that applies to this call; NULL: none. */
struct faults_rule;
struct faults_rule *faults_choose(const struct faults_place *place);
/* Does it mean this message? *err is what it fails with. */
bool faults_chosen(struct faults_rule *rule, const struct df_message *m, struct df_error *err);
/* How many ms later the results of this write come; -1: now. */
int64_t faults_later(const struct faults_place *place);
/* Is there a rule that makes results come later? */
bool faults_any_later(const struct faults_place *place);
/* The sink's wrong count of this call, or 0. */
size_t faults_count(const struct faults_place *place);
/* What is added to the wall clock now, in seconds. */
int64_t faults_clock_step(void);

#endif

/*
 * Ledger: knows for every partition which positions are open, and the highest position below which everything is done.
 * Only that one may be committed. No source or sink counts acknowledgements itself.
 *
 * A position is open from df_ledger_open until its message and every child of it is done: written, dropped on purpose,
 * or stored in the error sink. Completion comes in any order and from any thread. Memory: 16 bytes plus the position's
 * data a message between the committed position and the newest one, but where 64 and more neighbours are all done only
 * 8 bytes per 64 messages, so that a position that is never done costs little; nothing is allocated in the steady
 * state.
 *
 * All functions are thread-safe. Locks: one mutex a partition, one for the list of partitions, one that makes opens
 * take turns; none is held while calling out.
 */
#ifndef DF_MESSAGE_LEDGER_H
#define DF_MESSAGE_LEDGER_H

#include "base/context.h"
#include "message/message.h"

#pragma GCC visibility push(default) /* an installed header: src/dataflow/meson.build */

struct df_ledger;

struct df_ledger *df_ledger_new(void); /* NULL when out of memory */
/* Frees all partitions; no message may refer to one any more, and no call may be under way. Accepts NULL. */
void df_ledger_free(struct df_ledger *ledger);

/*
 * The live partition of this key, created when there is none. The pointer is valid until df_ledger_free; after
 * df_partition_forget the key gets a new partition (a new generation), and the old one ignores whatever opens or
 * completes.
 */
int df_ledger_partition(struct df_ledger *ledger, struct df_str key, struct df_partition **ret,
			struct df_error *err) df_must_check;
struct df_str df_partition_key(const struct df_partition *p);

/* Opens the position of every message of a batch, in order, and sets message.sequence. Positions are copied. A message
 * without a partition is not tracked: all functions below skip it. On DF_ERR_NO_MEMORY nothing was opened. */
int df_ledger_open(struct df_batch *batch, struct df_error *err) df_must_check;

/* The message became n messages (n >= 1): n completions are now needed in all. Call it before any of them is done. */
void df_ledger_split(const struct df_message *m, size_t n);

/* These messages are done. One lock per run of messages of the same partition. */
void df_ledger_done(struct df_message *const *messages, size_t count);
static inline void df_ledger_done_one(struct df_message *m)
{
	df_ledger_done(&m, 1);
}

struct df_commit {
	struct df_partition *partition;
	struct df_str key;	     /* the partition's, borrowed from it */
	struct df_position position; /* of the last message below which everything is done; data in the arena given */
	uint64_t messages;	     /* how many positions the partition advanced by since the last collect */
};

/* The partitions whose committed position moved since the last collect. *ret is in the arena. Meant for one thread. */
int df_ledger_collect(struct df_ledger *ledger, struct df_arena *arena, struct df_commit **ret, size_t *ret_count,
		      struct df_error *err) df_must_check;

/* ---- looking ahead: for a sink that stores the position with the messages -------------------------------------- */

enum df_outlook {
	DF_OUTLOOK_CLEAR,   /* once these messages are done, reading can go on right behind them */
	DF_OUTLOOK_BLOCKED, /* something in front of them, or a sibling of theirs, is open elsewhere */
	DF_OUTLOOK_JOINED,  /* more messages belong to the position of the last one */
};

/* What will be once these messages, and nothing else, are done. They are open, and in the order of reading. Those of
 * partitions that are forgotten do not count. */
enum df_outlook df_ledger_outlook(struct df_message *const *messages, size_t count);

/* Waits until the outlook is not blocked. 0, DF_ERR_CANCELED, DF_ERR_TIMEOUT. */
int df_ledger_await(struct df_ledger *ledger, struct df_message *const *messages, size_t count, struct df_context *ctx,
		    struct df_error *err) df_must_check;

/* What a collect would give for their partitions then, and nothing changes. *ret is in the arena. DF_ERR_TRANSIENT: the
 * outlook is not clear. */
int df_ledger_preview(struct df_message *const *messages, size_t count, struct df_arena *arena, struct df_commit **ret,
		      size_t *ret_count, struct df_error *err) df_must_check;

/* How far the source is behind, as it says; -1: not known, as at first. Kept for df_ledger_lags. */
void df_partition_set_lag(struct df_partition *p, int64_t messages);

struct df_lag {
	struct df_str key; /* the partition's, borrowed from it */
	int64_t messages;
};
/* The partitions whose lag is known and that are not forgotten. *ret is in the arena. */
int df_ledger_lags(struct df_ledger *ledger, struct df_arena *arena, struct df_lag **ret, size_t *ret_count,
		   struct df_error *err) df_must_check;

/* Positions opened and not done, over all partitions that are not forgotten. */
size_t df_ledger_open_count(struct df_ledger *ledger);

/* Waits until nothing of the partition is open; with p NULL: of any partition. 0, DF_ERR_CANCELED, DF_ERR_TIMEOUT. */
int df_ledger_drain(struct df_ledger *ledger, struct df_partition *p, struct df_context *ctx,
		    struct df_error *err) df_must_check;

bool df_partition_forgotten(const struct df_partition *p);

/* The partition is no longer ours: it is never collected again and completions are ignored. */
void df_partition_forget(struct df_partition *p);

#pragma GCC visibility pop

#endif

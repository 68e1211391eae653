/*
 * How far a program's source has got: what its checkpoint says, what it is told at the next start, and what it is told
 * in between. Partitions with a position each (protocol 2), or one text that covers all messages before it
 * (`checkpoint`).
 *
 * In the checkpoint: {"positions": {"<partition>": <position>, ...}, "checkpoint": "<text>"}, each when there is one.
 * Thread-safe: the reader marks, the committer commits.
 */
#ifndef DF_CONNECTORS_SUBPROCESS_POSITIONS_H
#define DF_CONNECTORS_SUBPROCESS_POSITIONS_H

#include <pthread.h>

#include "message/ledger.h"

struct df_positions {
	pthread_mutex_t lock;
	struct df_position_mark *marks; /* texts that wait for the messages before them, oldest first */
	size_t mark_count, mark_cap;
	struct df_position_ack *acks; /* committed and not yet told */
	size_t ack_count, ack_cap;
};

void df_positions_init(struct df_positions *p);
void df_positions_done(struct df_positions *p);

/* Appends members of `init.options`, each with a comma before it. DF_ERR_CONFIG: the checkpoint is not ours. */
int df_positions_resume(const struct df_value *checkpoint, struct df_buf *options, struct df_error *err) df_must_check;

/* Once the messages up to this number are done, text is where to go on. DF_ERR_NO_MEMORY. */
int df_positions_mark(struct df_positions *p, int64_t number, struct df_str text, struct df_error *err) df_must_check;

/* Writes what these commits mean into the checkpoint. acks: and remembers it for df_positions_tell. */
int df_positions_commit(struct df_positions *p, const struct df_commit *commits, size_t count, bool acks,
			struct df_value *checkpoint, struct df_arena *arena, struct df_error *err) df_must_check;

/* The same without effect on p. DF_ERR_CONFIG: a message had no position. */
int df_positions_describe(const struct df_commit *commits, size_t count, struct df_value *checkpoint,
			  struct df_arena *arena, struct df_error *err) df_must_check;

/* Appends the command `ack`, when there is something to tell. */
void df_positions_tell(struct df_positions *p, struct df_buf *out);

#endif

/* One partition of a ledger: its positions and how far they are done. Private to src/message. */
#ifndef DF_MESSAGE_PARTITION_H
#define DF_MESSAGE_PARTITION_H

#include <pthread.h>

#include "message/ledger.h"

#define DF_CHUNK 64 /* slots; see partition.c */

struct df_slot {
	int64_t number;
	uint32_t pending;    /* completions still needed; 0: done */
	uint32_t len : 31;   /* of the position's data, which stand in slot order in the chunk's */
	uint32_t joined : 1; /* see struct df_message */
};

_Static_assert(sizeof(struct df_slot) == 16, "the header promises 16 bytes a message");

struct df_chunk {
	struct df_chunk *next; /* the list it is in */
	uint32_t used;	       /* slots opened */
	uint32_t open;	       /* of these, not done */
	size_t data_len;
	size_t data_planned; /* what data_len will be once an open that is under way has filled it */
	size_t data_cap;
	char *data;
	struct df_slot slots[DF_CHUNK];
};

struct df_partition {
	struct df_ledger *ledger;
	struct df_partition *next;	 /* all of the ledger; guarded by its lock */
	struct df_partition *next_equal; /* same bucket; guarded likewise */
	struct df_partition *next_dirty; /* belongs to whoever turned `dirty` on, then to the list */
	uint64_t hash;
	pthread_mutex_t lock;	/* guards what is below */
	atomic_bool forgotten;	/* read without the lock by drain */
	atomic_size_t open;	/* likewise */
	_Atomic int64_t lag;	/* messages; -1: not known. No lock */
	uint64_t head, tail;	/* sequences */
	uint64_t planned;	/* what tail will be; changed under ledger->opening only */
	uint64_t end;		/* number of the chunk behind the last one; the first is head / DF_CHUNK */
	struct df_chunk **ring; /* chunk n is at n & (ring_cap - 1); NULL: merged into the next */
	size_t ring_cap;	/* a power of two, or 0 */
	size_t head_data;	/* offset of head's data in its chunk */
	int64_t number;		/* the committed position */
	char *data;		/* and its data; room for the longest one is made when it is opened */
	size_t data_len, data_cap;
	uint64_t advanced; /* positions since the last collect */
	bool dirty;	   /* in the ledger's list of those, or about to be */
	size_t key_len;
	char key[];
};

/* All below: the partition's lock is held. Chunks that are no longer needed are put on *retired. */

/* Makes room for one more position, so that df_partition_fill cannot fail. Under ledger->opening. */
int df_partition_plan(struct df_partition *p, size_t len) df_must_check;
/* Takes back what was planned and not filled in. */
void df_partition_unplan(struct df_partition *p, struct df_chunk **retired);
/* Opens a planned position; returns its sequence. */
uint64_t df_partition_fill(struct df_partition *p, const struct df_message *m);

/* The slot of an open position and its chunk; NULL for one that is done already, or never was there. */
struct df_slot *df_partition_slot(const struct df_partition *p, uint64_t sequence, struct df_chunk **ret);
/* One completion; true when the position is done by it. One too many is ignored: it cannot make anything skip. */
bool df_partition_complete(struct df_partition *p, uint64_t sequence, struct df_chunk **retired);
/* Moves head over everything that is done. True when the caller must list the partition for collect. */
bool df_partition_advance(struct df_partition *p, struct df_chunk **retired);

/* Drops everything that a partition holds but itself. */
void df_partition_empty(struct df_partition *p, struct df_chunk **retired);

/* An empty chunk, NULL when out of memory. Takes ledger->lock. In ledger.c. */
struct df_chunk *df_chunk_get(struct df_ledger *ledger);

#endif

/*
 * Messages and batches. A batch is what travels: messages that share one arena. It belongs to one thread at a time and
 * is handed over whole (src/message/channel.h), so that nothing in it needs a lock.
 */
#ifndef DF_MESSAGE_MESSAGE_H
#define DF_MESSAGE_MESSAGE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/str.h"
#include "value/value.h"

#pragma GCC visibility push(default) /* an installed header: src/dataflow/meson.build */

struct df_partition; /* src/message/ledger.h */
struct df_batch_pool;

enum df_payload_state {
	DF_PAYLOAD_UNKNOWN, /* not looked at yet */
	DF_PAYLOAD_EMPTY,   /* zero bytes: a tombstone */
	DF_PAYLOAD_JSON,    /* `document` is set */
	DF_PAYLOAD_OTHER,   /* not JSON: passes through untouched */
};

/* A transport header as it was (Kafka): bytes, duplicates and order kept. value.ptr NULL: no value. */
struct df_header {
	struct df_str name;
	struct df_str value;
};

/* Where a message stands in its partition. Opaque to everybody but the source that made it. */
struct df_position {
	int64_t number;	    /* offset, line start, row counter ... */
	struct df_str data; /* anything more, e.g. a JSON object; may be empty; copied by the ledger */
};

struct df_message {
	struct df_str payload;	   /* as received; in the batch's arena. The truth while document is NULL or !changed */
	struct df_value *document; /* parsed on first need, or built by the source (then payload is empty) */
	struct df_value *metadata; /* object, or NULL for {}. Shared with siblings: replace it, do not edit it */
	struct df_partition *partition; /* set by the source before emit; see ledger.h */
	uint64_t sequence;		/* the ledger's; set when the batch is opened */
	struct df_position position;	/* set by the source before emit */
	struct df_str key;		/* record key bytes; ptr NULL: none */
	struct df_header *headers;	/* in the arena */
	uint32_t header_count;
	uint16_t route;			/* 0 the main sink, else 1 + index of the route (router) */
	uint8_t state;			/* enum df_payload_state */
	bool changed;			/* document differs from payload, or there is no payload */
	bool joined;			/* set by the source: its position stands before it (one of several rows with
					   one position, not the last): reading cannot go on right behind it */
	int64_t timestamp_ns;		/* event time, ns since 1970; 0 unknown */
	int64_t read_ns;		/* df_clock_monotonic when the source emitted it */
	const struct df_error *failure; /* the source could not decode it: poison at stage `decode`; in the arena */
	uint32_t index;			/* `transform`: the input line it came from; else unused */
};

/*
 * The document, parsed at most once. *ret is NULL when the payload is empty or not JSON (that is not an error).
 * DF_ERR_INVALID_DATA when it nests too deep or is too large to tell; DF_ERR_NO_MEMORY.
 */
int df_message_parse(struct df_message *m, struct df_arena *arena, struct df_value **ret,
		     struct df_error *err) df_must_check;

/* Fast path of df_message_parse. */
static inline int df_message_document(struct df_message *m, struct df_arena *arena, struct df_value **ret,
				      struct df_error *err)
{
	if (m->document) {
		*ret = m->document;
		return 0;
	}
	return df_message_parse(m, arena, ret, err);
}

/* Makes root the document; it differs from the payload. */
static inline void df_message_set_document(struct df_message *m, struct df_value *root)
{
	m->document = root;
	m->state = DF_PAYLOAD_JSON;
	m->changed = true;
}

/* Appends the payload as it leaves: the received bytes when nothing changed, else the compact document. */
void df_message_write(const struct df_message *m, struct df_buf *buf);
/* The same in the arena; ptr NULL with len 0 for an empty payload; DF_ERR_NO_MEMORY. */
int df_message_payload(const struct df_message *m, struct df_arena *arena, struct df_str *ret) df_must_check;

/* The metadata value of exactly this key, or NULL. */
struct df_value *df_message_meta(const struct df_message *m, const char *key);
/* Sets one key in a copy of the metadata, so that siblings keep theirs. key is referenced. */
int df_message_set_meta(struct df_message *m, struct df_arena *arena, struct df_str key,
			struct df_value *value) df_must_check;
/* Takes one key out, in place: messages that share the metadata lose it too. */
void df_message_drop_meta(struct df_message *m, const char *key);

/* What logs call the message: metadata `message_id`, else `id`, else "<partition key>/<position number>". Cut to fit.
 */
void df_message_id(const struct df_message *m, char *out, size_t out_size);

/* ---- batches --------------------------------------------------------------------------------------------- */

struct df_batch {
	struct df_batch *next; /* the list it is in */
	struct df_arena arena; /* everything its messages point to */
	struct df_message *messages;
	size_t count;
	size_t cap;
	size_t bytes;		 /* payload bytes, for limits; kept by who fills the batch */
	uint64_t sequence;	 /* order of emission, for parallel transform workers */
	int64_t queued_ns;	 /* the processor's: monotonic, when it was handed to the next stage */
	atomic_size_t open;	 /* the processor's: users of this batch; see src/processor/internal.h */
	bool barrier;		 /* the processor's: empty, and all that was read before it went before it */
	struct df_batch *parent; /* the processor's: the batch whose arena this one's messages point into, or NULL */
	struct df_batch_pool *pool;
};

/* Pools keep up to keep_bytes of arena blocks and some batches. Thread-safe. NULL when out of memory. */
struct df_batch_pool *df_batch_pool_new(size_t keep_bytes);
void df_batch_pool_free(struct df_batch_pool *pool); /* all batches must be back */
/* Where its batches' arenas get their blocks, for others that are to be counted with them. */
struct df_arena_pool *df_batch_pool_arenas(struct df_batch_pool *pool);
/* Bytes of arena blocks that are in batches (and those others) now. */
size_t df_batch_pool_used(const struct df_batch_pool *pool);

struct df_batch *df_batch_new(struct df_batch_pool *pool); /* NULL when out of memory */
void df_batch_free(struct df_batch *batch);		   /* back to its pool; accepts NULL */

/* Room for one more message, zeroed; NULL when out of memory. Moves earlier messages of this batch. */
struct df_message *df_batch_add(struct df_batch *batch);
/* Makes room for n messages in all. */
int df_batch_reserve(struct df_batch *batch, size_t n) df_must_check;

#pragma GCC visibility pop

#endif

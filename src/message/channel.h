/*
 * Channel: a bounded queue of batches between two stages. Bounded in messages and in bytes; a batch that is larger than
 * either bound is admitted alone, so that nothing waits for ever. Hand-over is one lock per batch, never per message.
 * Any number of senders and receivers. Nobody wakes up while nothing happens.
 */
#ifndef DF_MESSAGE_CHANNEL_H
#define DF_MESSAGE_CHANNEL_H

#include "base/context.h"
#include "message/message.h"

struct df_channel;

/* Limits are at least 1. NULL when out of memory. */
struct df_channel *df_channel_new(size_t max_messages, size_t max_bytes);
/* Frees the batches that are still in it. Nobody may be using it. Accepts NULL. */
void df_channel_free(struct df_channel *ch);

/* Blocks while full. On success the channel owns *batch (set to NULL); on failure the caller keeps it.
 * DF_ERR_CANCELED, DF_ERR_TIMEOUT (the context's deadline), DF_ERR_CLOSED. */
int df_channel_send(struct df_channel *ch, struct df_context *ctx, struct df_batch **batch,
		    struct df_error *err) df_must_check;

/* Never blocks: 0, DF_ERR_TRANSIENT when full, DF_ERR_CLOSED. */
int df_channel_try_send(struct df_channel *ch, struct df_batch **batch) df_must_check;

/* Blocks while empty, at most until a monotonic time (INT64_MAX: no limit). *ret NULL with 0: closed and drained.
 * DF_ERR_CANCELED, DF_ERR_TIMEOUT. A batch that is there is handed out even when ctx is cancelled. */
int df_channel_receive(struct df_channel *ch, struct df_context *ctx, int64_t until_monotonic_ns, struct df_batch **ret,
		       struct df_error *err) df_must_check;

/* A receiver that waits, or else the next one that would, returns at once with DF_ERR_TIMEOUT: there is something else
 * to look at. For channels with one receiver. */
void df_channel_wake(struct df_channel *ch);

/* No more sends; receivers drain what is left. Idempotent. */
void df_channel_close(struct df_channel *ch);

struct df_channel_stats {
	size_t messages, bytes, batches;
	int64_t send_wait_ns, receive_wait_ns; /* total time spent blocked: which side is slow */
};
void df_channel_stats(struct df_channel *ch, struct df_channel_stats *ret);

#endif

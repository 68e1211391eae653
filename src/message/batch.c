#include <pthread.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "message/message.h"

#define DF_BATCH_KEEP 64	/* idle batches a pool keeps */
#define DF_BATCH_FIRST 16	/* messages in a new array */
#define DF_BATCH_MAX (1U << 28) /* messages in one batch */

/*
 * Batches are recycled with their message arrays. The idle arrays together take at most keep_bytes, one of them at most
 * a quarter of that, so that one giant batch does not stay resident.
 */
struct df_batch_pool {
	pthread_mutex_t lock;
	struct df_batch *idle;
	size_t idle_count;
	size_t idle_bytes; /* in the message arrays of idle batches */
	size_t keep_bytes;
	struct df_arena_pool *arenas;
};

struct df_batch_pool *df_batch_pool_new(size_t keep_bytes)
{
	struct df_batch_pool *pool = calloc(1, sizeof(*pool));

	if (!pool)
		return NULL;
	pool->arenas = df_arena_pool_new(keep_bytes);
	if (!pool->arenas) {
		free(pool);
		return NULL;
	}
	pthread_mutex_init(&pool->lock, NULL);
	pool->keep_bytes = keep_bytes;
	return pool;
}

void df_batch_pool_free(struct df_batch_pool *pool)
{
	if (!pool)
		return;
	while (pool->idle) {
		struct df_batch *batch = pool->idle;
		pool->idle = batch->next;
		free(batch->messages);
		free(batch);
	}
	df_arena_pool_free(pool->arenas);
	pthread_mutex_destroy(&pool->lock);
	free(pool);
}

struct df_arena_pool *df_batch_pool_arenas(struct df_batch_pool *pool)
{
	return pool->arenas;
}

size_t df_batch_pool_used(const struct df_batch_pool *pool)
{
	return df_arena_pool_used(pool->arenas);
}

static size_t df_batch_array_bytes(const struct df_batch *batch)
{
	return batch->cap * sizeof(*batch->messages);
}

static struct df_batch *df_batch_pool_get(struct df_batch_pool *pool)
{
	DF_LOCK_SCOPE(&pool->lock);
	struct df_batch *batch = pool->idle;

	if (batch) {
		pool->idle = batch->next;
		pool->idle_count--;
		pool->idle_bytes -= df_batch_array_bytes(batch);
	}
	return batch;
}

/* False when the pool has enough of them. */
static bool df_batch_pool_put(struct df_batch_pool *pool, struct df_batch *batch)
{
	size_t size = df_batch_array_bytes(batch);

	DF_LOCK_SCOPE(&pool->lock);
	if (pool->idle_count >= DF_BATCH_KEEP || size > pool->keep_bytes - pool->idle_bytes)
		return false;
	batch->next = pool->idle;
	pool->idle = batch;
	pool->idle_count++;
	pool->idle_bytes += size;
	return true;
}

struct df_batch *df_batch_new(struct df_batch_pool *pool)
{
	struct df_batch *batch = df_batch_pool_get(pool);

	if (!batch) {
		batch = calloc(1, sizeof(*batch));
		if (!batch)
			return NULL;
		batch->pool = pool;
	}
	batch->next = NULL;
	batch->count = 0;
	batch->bytes = 0;
	batch->sequence = 0;
	batch->barrier = false;
	atomic_init(&batch->open, 0);
	df_arena_init(&batch->arena, pool->arenas);
	return batch;
}

void df_batch_free(struct df_batch *batch)
{
	if (!batch)
		return;
	df_arena_done(&batch->arena);
	if (df_batch_array_bytes(batch) > batch->pool->keep_bytes / 4) {
		free(batch->messages);
		batch->messages = NULL;
		batch->cap = 0;
	}
	if (df_batch_pool_put(batch->pool, batch))
		return;
	free(batch->messages);
	free(batch);
}

static int df_batch_grow(struct df_batch *batch, size_t n)
{
	size_t cap = batch->cap ? batch->cap : DF_BATCH_FIRST;

	if (n > DF_BATCH_MAX)
		return DF_ERR_NO_MEMORY;
	while (cap < n)
		cap *= 2;
	struct df_message *messages = realloc(batch->messages, cap * sizeof(*messages));
	if (!messages)
		return DF_ERR_NO_MEMORY;
	batch->messages = messages;
	batch->cap = cap;
	return 0;
}

int df_batch_reserve(struct df_batch *batch, size_t n)
{
	return n <= batch->cap ? 0 : df_batch_grow(batch, n);
}

struct df_message *df_batch_add(struct df_batch *batch)
{
	if (batch->count == batch->cap && df_batch_grow(batch, batch->count + 1) != 0)
		return NULL;
	struct df_message *m = &batch->messages[batch->count++];
	/* In halves, a few stores each: the whole would become a string instruction, which starts slowly. */
	memset(m, 0, offsetof(struct df_message, key));
	memset(&m->key, 0, sizeof(*m) - offsetof(struct df_message, key));
	return m;
}

#include "base/arena.h"

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "base/cleanup.h"

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define DF_ASAN 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(DF_ASAN)
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(p, n) ((void)(p), (void)(n))
#define ASAN_UNPOISON_MEMORY_REGION(p, n) ((void)(p), (void)(n))
#endif

struct df_arena_block {
	struct df_arena_block *next;
	size_t size; /* with this header */
};

_Static_assert(sizeof(struct df_arena_block) % DF_ARENA_ALIGN == 0, "payload must be aligned");

#define DF_ARENA_PAYLOAD (DF_ARENA_BLOCK - sizeof(struct df_arena_block))

struct df_arena_pool {
	pthread_mutex_t lock;
	struct df_arena_block *idle;
	size_t idle_bytes;
	size_t keep_bytes;
	size_t out;		 /* usual-sized blocks with arenas */
	atomic_size_t out_bytes; /* of all blocks with arenas */
};

static char *df_arena_payload(struct df_arena_block *block)
{
	return (char *)(block + 1);
}

struct df_arena_pool *df_arena_pool_new(size_t keep_bytes)
{
	struct df_arena_pool *pool = calloc(1, sizeof(*pool));

	if (!pool)
		return NULL;
	pthread_mutex_init(&pool->lock, NULL);
	pool->keep_bytes = keep_bytes;
	return pool;
}

void df_arena_pool_free(struct df_arena_pool *pool)
{
	if (!pool)
		return;
	assert(pool->out == 0 && "an arena outlives its pool");
	while (pool->idle) {
		struct df_arena_block *block = pool->idle;
		pool->idle = block->next;
		free(block);
	}
	pthread_mutex_destroy(&pool->lock);
	free(pool);
}

size_t df_arena_pool_used(const struct df_arena_pool *pool)
{
	return atomic_load_explicit(&pool->out_bytes, memory_order_relaxed);
}

static struct df_arena_block *df_arena_pool_get(struct df_arena_pool *pool)
{
	DF_LOCK_SCOPE(&pool->lock);
	struct df_arena_block *block = pool->idle;

	pool->out++;
	if (block) {
		pool->idle = block->next;
		pool->idle_bytes -= block->size;
		ASAN_UNPOISON_MEMORY_REGION(df_arena_payload(block), DF_ARENA_PAYLOAD);
	}
	return block;
}

/* Gives `count` blocks back; those that the pool does not keep are freed after the lock is released. */
static void df_arena_pool_put(struct df_arena_pool *pool, struct df_arena_block *blocks, size_t count)
{
	struct df_arena_block *rest = NULL;

	pthread_mutex_lock(&pool->lock);
	pool->out -= count;
	while (blocks) {
		struct df_arena_block *block = blocks;
		blocks = block->next;
		if (block->size == DF_ARENA_BLOCK && pool->idle_bytes + block->size <= pool->keep_bytes) {
			block->next = pool->idle;
			pool->idle = block;
			pool->idle_bytes += block->size;
			/* Finds users of a message that is gone. */
			ASAN_POISON_MEMORY_REGION(df_arena_payload(block), DF_ARENA_PAYLOAD);
		} else {
			block->next = rest;
			rest = block;
		}
	}
	pthread_mutex_unlock(&pool->lock);
	while (rest) {
		struct df_arena_block *block = rest;
		rest = block->next;
		free(block);
	}
}

static void df_arena_pool_forget(struct df_arena_pool *pool)
{
	DF_LOCK_SCOPE(&pool->lock);
	pool->out--;
}

static struct df_arena_block *df_arena_block_new(struct df_arena_pool *pool, size_t size)
{
	struct df_arena_block *block = NULL;

	if (pool && size == DF_ARENA_BLOCK) {
		block = df_arena_pool_get(pool);
		if (block)
			return block;
	}
	block = malloc(size);
	if (block)
		block->size = size;
	else if (pool && size == DF_ARENA_BLOCK)
		df_arena_pool_forget(pool);
	return block;
}

/* Counts a block that goes to an arena. pool may be NULL. */
static void df_arena_count(struct df_arena_pool *pool, size_t bytes)
{
	if (pool)
		atomic_fetch_add_explicit(&pool->out_bytes, bytes, memory_order_relaxed);
}

/* Releases all blocks of a list. Oversize blocks are counted by the pool and never kept. */
static void df_arena_blocks_free(struct df_arena_pool *pool, struct df_arena_block *blocks)
{
	struct df_arena_block *usual = NULL;
	size_t count = 0;
	size_t bytes = 0;

	while (blocks) {
		struct df_arena_block *block = blocks;
		blocks = block->next;
		bytes += block->size;
		if (pool && block->size == DF_ARENA_BLOCK) {
			block->next = usual;
			usual = block;
			count++;
		} else {
			free(block);
		}
	}
	if (pool && bytes)
		atomic_fetch_sub_explicit(&pool->out_bytes, bytes, memory_order_relaxed);
	if (usual)
		df_arena_pool_put(pool, usual, count);
}

void df_arena_init(struct df_arena *arena, struct df_arena_pool *pool)
{
	*arena = (struct df_arena){ .pool = pool };
}

void df_arena_done(struct df_arena *arena)
{
	if (!arena)
		return;
	df_arena_blocks_free(arena->pool, arena->blocks);
	df_arena_init(arena, arena->pool);
}

void df_arena_reset(struct df_arena *arena)
{
	/* The current block, when there is one, is the newest: oversize blocks go behind it. */
	struct df_arena_block *keep = arena->next ? arena->blocks : NULL;

	if (!keep) {
		df_arena_done(arena);
		return;
	}
	df_arena_blocks_free(arena->pool, keep->next);
	keep->next = NULL;
	arena->next = df_arena_payload(keep);
	arena->allocated = keep->size;
}

/* A block of its own, behind the current one, whose free space stays in use. */
static void *df_arena_oversize(struct df_arena *arena, size_t size)
{
	size_t whole;

	if (__builtin_add_overflow(size, sizeof(struct df_arena_block), &whole))
		return NULL;
	struct df_arena_block *block = df_arena_block_new(NULL, whole);
	if (!block)
		return NULL;
	struct df_arena_block **place = arena->blocks ? &arena->blocks->next : &arena->blocks;
	block->next = *place;
	*place = block;
	arena->allocated += whole;
	df_arena_count(arena->pool, whole);
	return df_arena_payload(block);
}

void *df_arena_grow(struct df_arena *arena, size_t size)
{
	if (size > SIZE_MAX - (DF_ARENA_ALIGN - 1))
		return NULL;
	size = (size + (DF_ARENA_ALIGN - 1)) & ~(size_t)(DF_ARENA_ALIGN - 1);
	if (size == 0 && arena->next)
		return arena->next;
	if (size > DF_ARENA_PAYLOAD)
		return df_arena_oversize(arena, size);
	struct df_arena_block *block = df_arena_block_new(arena->pool, DF_ARENA_BLOCK);
	if (!block)
		return NULL;
	block->next = arena->blocks;
	arena->blocks = block;
	arena->allocated += block->size;
	df_arena_count(arena->pool, block->size);
	arena->next = df_arena_payload(block) + size;
	arena->end = (char *)block + block->size;
	return df_arena_payload(block);
}

void *df_arena_zalloc(struct df_arena *arena, size_t size)
{
	void *p = df_arena_alloc(arena, size);

	return p ? memset(p, 0, size) : NULL;
}

struct df_str df_arena_dup(struct df_arena *arena, struct df_str s)
{
	char *copy = s.len < SIZE_MAX ? df_arena_alloc(arena, s.len + 1) : NULL;

	if (!copy)
		return df_str(NULL, 0);
	if (s.len)
		memcpy(copy, s.ptr, s.len);
	copy[s.len] = '\0';
	return df_str(copy, s.len);
}

void *df_arena_extend(struct df_arena *arena, void *old, size_t old_size, size_t new_size)
{
	size_t old_rounded = (old_size + (DF_ARENA_ALIGN - 1)) & ~(size_t)(DF_ARENA_ALIGN - 1);

	if (old && new_size <= old_rounded)
		return old;
	if (old && (char *)old + old_rounded == arena->next && new_size <= (size_t)(arena->end - (char *)old)) {
		/* end is aligned, so that what fits also fits rounded up */
		arena->next = (char *)old + ((new_size + (DF_ARENA_ALIGN - 1)) & ~(size_t)(DF_ARENA_ALIGN - 1));
		return old;
	}
	void *p = df_arena_alloc(arena, new_size);
	if (p && old && old_size)
		memcpy(p, old, old_size);
	return p;
}

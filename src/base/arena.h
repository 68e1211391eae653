/*
 * Arena: many small allocations, one release. The hot path allocates only from arenas.
 *
 * Blocks are taken from a pool and go back to it, so that a running pipeline allocates nothing from the heap in the
 * steady state. An arena belongs to one thread at a time; a pool is shared (its own lock) and counts what is out.
 */
#ifndef DF_BASE_ARENA_H
#define DF_BASE_ARENA_H

#include <stddef.h>
#include <stdint.h>

#include "base/str.h"

#pragma GCC visibility push(default) /* an installed header: src/dataflow/meson.build */

#define DF_ARENA_ALIGN 8
#define DF_ARENA_BLOCK (16 * 1024) /* usual block size in bytes; larger requests get a block of their own */

struct df_arena_block;
struct df_arena_pool;

struct df_arena {
	char *next; /* first free byte of the current block */
	char *end;
	struct df_arena_block *blocks; /* newest first */
	struct df_arena_pool *pool;    /* may be NULL: blocks come from malloc */
	size_t allocated;	       /* bytes in blocks, for byte budgets */
};

/* A pool keeps up to keep_bytes of idle usual-sized blocks. NULL when out of memory. Thread-safe. */
struct df_arena_pool *df_arena_pool_new(size_t keep_bytes);
/* All arenas of the pool must be done. NULL is accepted. */
void df_arena_pool_free(struct df_arena_pool *pool);
/* Bytes of blocks that arenas of the pool hold now, larger ones included. Thread-safe. */
size_t df_arena_pool_used(const struct df_arena_pool *pool);

/* pool may be NULL. Allocates nothing yet. */
void df_arena_init(struct df_arena *arena, struct df_arena_pool *pool);
/* Gives every block back; the arena can be used again. Accepts a zeroed arena. */
void df_arena_done(struct df_arena *arena);
/* As done, but keeps one usual-sized block for the next use. */
void df_arena_reset(struct df_arena *arena);

/* Slow path of df_arena_alloc. NULL when out of memory. */
void *df_arena_grow(struct df_arena *arena, size_t size);

/* size bytes aligned to 8, not zeroed; NULL when out of memory. size 0 gives a valid pointer. */
static inline void *df_arena_alloc(struct df_arena *arena, size_t size)
{
	size_t rounded = (size + (DF_ARENA_ALIGN - 1)) & ~(size_t)(DF_ARENA_ALIGN - 1);

	/* One comparison: 0 (also from an overflow) wraps and takes the slow path. */
	if (__builtin_expect(rounded - 1 < (size_t)(arena->end - arena->next), 1)) {
		void *p = arena->next;
		arena->next += rounded;
		return p;
	}
	return df_arena_grow(arena, size);
}

void *df_arena_zalloc(struct df_arena *arena, size_t size);

/* A copy of s in the arena, with a NUL behind it (not counted); ptr NULL when out of memory. */
struct df_str df_arena_dup(struct df_arena *arena, struct df_str s);

/* Enlarges the newest allocation in place when there is room, else allocates and copies. NULL when out of memory. */
void *df_arena_extend(struct df_arena *arena, void *old, size_t old_size, size_t new_size);

#pragma GCC visibility pop

#endif

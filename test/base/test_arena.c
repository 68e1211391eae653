#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <string.h>

#include "base/arena.h"
#include "base/cleanup.h"

/* A request that no machine fulfils must give NULL under a sanitizer too. */
const char *__asan_default_options(void);
const char *__tsan_default_options(void);

const char *__asan_default_options(void)
{
	return "allocator_may_return_null=1";
}

const char *__tsan_default_options(void)
{
	return "allocator_may_return_null=1";
}

static void test_alloc(void **state)
{
	(void)state;
	struct df_arena arena;
	df_arena_init(&arena, NULL);
	assert_int_equal(arena.allocated, 0);
	assert_non_null(df_arena_alloc(&arena, 0));
	char *before = NULL;
	for (size_t size = 1; size < 200; size++) {
		char *p = df_arena_alloc(&arena, size);
		assert_non_null(p);
		assert_int_equal((uintptr_t)p % DF_ARENA_ALIGN, 0);
		memset(p, (int)size, size);
		if (before)
			assert_int_equal(before[size - 2], (char)(size - 1)); /* the neighbour is whole */
		before = p;
	}
	assert_int_equal(arena.allocated % DF_ARENA_BLOCK, 0);
	char *zeros = df_arena_zalloc(&arena, 64);
	for (size_t i = 0; i < 64; i++)
		assert_int_equal(zeros[i], 0);
	df_arena_done(&arena);
	assert_int_equal(arena.allocated, 0);
	assert_non_null(df_arena_alloc(&arena, 8)); /* it can be used again */
	df_arena_done(&arena);
	struct df_arena zeroed = { 0 };
	df_arena_done(&zeroed);
	df_arena_done(NULL);
}

static void test_every_byte_of_a_block(void **state)
{
	(void)state;
	struct df_arena arena;
	df_arena_init(&arena, NULL);
	df_arena_alloc(&arena, 8);
	size_t left = (size_t)(arena.end - arena.next);
	assert_true(left > DF_ARENA_BLOCK - 64);
	char *p = df_arena_alloc(&arena, left);
	memset(p, 1, left);
	assert_int_equal(arena.allocated, DF_ARENA_BLOCK);
	df_arena_alloc(&arena, 1);
	assert_int_equal(arena.allocated, 2 * DF_ARENA_BLOCK);
	df_arena_done(&arena);
	df_arena_alloc(&arena, left + 8); /* fills a usual block; one more is oversize */
	assert_non_null(arena.next);
	assert_ptr_equal(arena.next, arena.end);
	assert_int_equal(arena.allocated, DF_ARENA_BLOCK);
	df_arena_done(&arena);
	df_arena_alloc(&arena, left + 9);
	assert_true(arena.allocated > DF_ARENA_BLOCK);
	df_arena_done(&arena);
}

static void test_oversize(void **state)
{
	(void)state;
	struct df_arena arena;
	df_arena_init(&arena, NULL);
	char *first = df_arena_alloc(&arena, 100000); /* with no current block yet */
	memset(first, 1, 100000);
	char *a = df_arena_alloc(&arena, 8);
	char *big = df_arena_alloc(&arena, DF_ARENA_BLOCK);
	memset(big, 2, DF_ARENA_BLOCK);
	char *b = df_arena_alloc(&arena, 8);
	assert_ptr_equal(b, a + 8); /* the current block stays in use */
	assert_true(arena.allocated >= 100000 + 2 * DF_ARENA_BLOCK);
	df_arena_reset(&arena);
	assert_int_equal(arena.allocated, DF_ARENA_BLOCK);
	assert_ptr_equal(df_arena_alloc(&arena, 8), a);
	df_arena_done(&arena);
	df_arena_alloc(&arena, 100000);
	df_arena_reset(&arena); /* no usual block to keep */
	assert_int_equal(arena.allocated, 0);
	df_arena_done(&arena);
}

static void test_impossible_sizes(void **state)
{
	(void)state;
	struct df_arena arena;
	df_arena_init(&arena, NULL);
	static const size_t sizes[] = { SIZE_MAX, SIZE_MAX - 6, SIZE_MAX - 7, SIZE_MAX - 16, SIZE_MAX / 2 };
	for (int round = 0; round < 2; round++) {
		for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
			assert_null(df_arena_alloc(&arena, sizes[i]));
			assert_null(df_arena_zalloc(&arena, sizes[i]));
		}
		assert_null(df_arena_dup(&arena, df_str("", SIZE_MAX)).ptr);
		assert_non_null(df_arena_alloc(&arena, 8)); /* the second round has a current block */
	}
	df_arena_done(&arena);
}

static void test_dup_and_extend(void **state)
{
	(void)state;
	struct df_arena arena;
	df_arena_init(&arena, NULL);
	struct df_str copy = df_arena_dup(&arena, DF_STR("hello"));
	assert_int_equal(copy.len, 5);
	assert_string_equal(copy.ptr, "hello");
	assert_string_equal(df_arena_dup(&arena, df_str(NULL, 0)).ptr, "");

	char *p = df_arena_extend(&arena, NULL, 0, 10);
	memcpy(p, "0123456789", 10);
	assert_ptr_equal(df_arena_extend(&arena, p, 10, 16), p); /* inside the rounding */
	assert_ptr_equal(df_arena_extend(&arena, p, 16, 500), p);
	char *next = df_arena_alloc(&arena, 8);
	assert_ptr_equal(next, p + 504);
	char *moved = df_arena_extend(&arena, p, 500, 600); /* no longer the newest */
	assert_ptr_not_equal(moved, p);
	assert_memory_equal(moved, "0123456789", 10);
	assert_ptr_equal(df_arena_extend(&arena, moved, 600, 20), moved);
	char *large = df_arena_extend(&arena, moved, 600, DF_ARENA_BLOCK);
	memset(large + 600, 0, DF_ARENA_BLOCK - 600);
	assert_memory_equal(large, "0123456789", 10);
	assert_null(df_arena_extend(&arena, large, DF_ARENA_BLOCK, SIZE_MAX));
	df_arena_done(&arena);
}

static void test_pool_keeps_blocks(void **state)
{
	(void)state;
	struct df_arena_pool *pool = df_arena_pool_new(2 * DF_ARENA_BLOCK);
	struct df_arena arena;
	df_arena_init(&arena, pool);
	char *a = df_arena_alloc(&arena, 8);
	df_arena_done(&arena);
	df_cleanup(df_freep) void *thief = malloc(DF_ARENA_BLOCK); /* would get the block if the heap had it */
	assert_non_null(thief);
	assert_ptr_equal(df_arena_alloc(&arena, 8), a);
	for (int i = 0; i < 4; i++)
		assert_non_null(df_arena_alloc(&arena, DF_ARENA_BLOCK / 2));
	df_arena_alloc(&arena, 100000);
	assert_true(arena.allocated > 100000);
	assert_int_equal(df_arena_pool_used(pool), arena.allocated);
	df_arena_reset(&arena);
	assert_int_equal(df_arena_pool_used(pool), DF_ARENA_BLOCK);
	df_arena_done(&arena);
	assert_int_equal(df_arena_pool_used(pool), 0);
	df_arena_pool_free(pool);
	df_arena_pool_free(NULL);
}

static void *churn(void *pool)
{
	struct df_arena arena;
	df_arena_init(&arena, pool);
	for (int i = 0; i < 300; i++) {
		for (size_t k = 0; k < 20; k++) {
			size_t size = (size_t)i * 37 % 3000 + k;
			char *p = df_arena_alloc(&arena, size);
			if (!p)
				return NULL;
			memset(p, i, size);
		}
		if (i % 7 == 0)
			df_arena_alloc(&arena, 40000);
		if (i % 2)
			df_arena_reset(&arena);
		else
			df_arena_done(&arena);
	}
	df_arena_done(&arena);
	return pool;
}

static void test_pool_is_shared(void **state)
{
	(void)state;
	struct df_arena_pool *pool = df_arena_pool_new(4 * DF_ARENA_BLOCK);
	pthread_t threads[4];
	for (int i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, churn, pool), 0);
	for (int i = 0; i < 4; i++) {
		void *result;
		pthread_join(threads[i], &result);
		assert_ptr_equal(result, pool);
	}
	df_arena_pool_free(pool);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_alloc),	       cmocka_unit_test(test_every_byte_of_a_block),
		cmocka_unit_test(test_oversize),       cmocka_unit_test(test_impossible_sizes),
		cmocka_unit_test(test_dup_and_extend), cmocka_unit_test(test_pool_keeps_blocks),
		cmocka_unit_test(test_pool_is_shared),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

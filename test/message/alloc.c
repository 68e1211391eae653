#include "alloc.h"

#include <stdatomic.h>
#include <stdint.h>

void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t size);

static atomic_size_t count;
static atomic_size_t fail_from = SIZE_MAX;

size_t alloc_count(void)
{
	return atomic_load(&count);
}

void alloc_fail(size_t after)
{
	atomic_store(&fail_from, after == SIZE_MAX ? SIZE_MAX : atomic_load(&count) + after);
}

static bool alloc_allowed(void)
{
	return atomic_fetch_add(&count, 1) < atomic_load(&fail_from);
}

void *__wrap_malloc(size_t size)
{
	return alloc_allowed() ? __real_malloc(size) : NULL;
}

void *__wrap_calloc(size_t n, size_t size)
{
	return alloc_allowed() ? __real_calloc(n, size) : NULL;
}

void *__wrap_realloc(void *p, size_t size)
{
	return alloc_allowed() ? __real_realloc(p, size) : NULL;
}

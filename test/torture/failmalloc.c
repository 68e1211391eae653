/*
 * Makes one allocation fail: the DATAFLOW_FAIL_AT-th (from 1) of those that our own code asks for. Linked into
 * dataflow-torture with --wrap, beside AddressSanitizer, which then finds what the failure path forgot or used twice.
 * Without DATAFLOW_FAIL_AT nothing fails; with DATAFLOW_COUNT_FILE the number of allocations is written there at exit.
 */
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *old, size_t size);
char *__real_strdup(const char *text);
char *__real_strndup(const char *text, size_t max);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *old, size_t size);
char *__wrap_strdup(const char *text);
char *__wrap_strndup(const char *text, size_t max);

static atomic_long allocations;
static long fail_at;

static bool fails(void)
{
	return atomic_fetch_add(&allocations, 1) + 1 == fail_at;
}

void *__wrap_malloc(size_t size)
{
	return fails() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t n, size_t size)
{
	return fails() ? NULL : __real_calloc(n, size);
}

void *__wrap_realloc(void *old, size_t size)
{
	return fails() ? NULL : __real_realloc(old, size);
}

char *__wrap_strdup(const char *text)
{
	return fails() ? NULL : __real_strdup(text);
}

char *__wrap_strndup(const char *text, size_t max)
{
	return fails() ? NULL : __real_strndup(text, max);
}

__attribute__((constructor)) static void begin(void)
{
	const char *text = getenv("DATAFLOW_FAIL_AT");

	fail_at = text ? atol(text) : 0;
}

__attribute__((destructor)) static void end(void)
{
	const char *path = getenv("DATAFLOW_COUNT_FILE");
	FILE *f = path ? fopen(path, "w") : NULL;

	if (!f)
		return;
	fprintf(f, "%ld\n", atomic_load(&allocations));
	fclose(f);
}

/* Counts and fails the allocations of the code under test; the executable is linked with -Wl,--wrap (meson.build). */
#ifndef TEST_MESSAGE_ALLOC_H
#define TEST_MESSAGE_ALLOC_H

#include <stdbool.h>
#include <stddef.h>

/* malloc, calloc and realloc calls of all threads so far. */
size_t alloc_count(void);
/* The allocation after `after` more ones, and all that follow, fail; (size_t)-1: none. */
void alloc_fail(size_t after);

#endif

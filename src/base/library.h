/*
 * Shared libraries that are loaded when they are first needed. A library that only some flows use, with all the
 * libraries that it brings along, would cost every process its memory and milliseconds at each start.
 *
 * The module that uses one lists its functions once:
 *
 *   #define DF_FOO_FUNCTIONS(F) F(foo_open) F(foo_close)
 *   struct df_foo { DF_FOO_FUNCTIONS(DF_LIBRARY_MEMBER) };
 *   extern struct df_foo df_foo;
 *   #define foo_open df_foo.foo_open              and so on, so that calls read as they always do
 *
 * and in one file, without those defines:
 *
 *   struct df_foo df_foo;
 *   DF_LIBRARY_DEFINE(foo, "libfoo.so.1", "Debian: package libfoo1", DF_FOO_FUNCTIONS)
 *
 * which makes `int df_foo_load(struct df_error *err)`: loads it once; thread-safe. DF_ERR_CONFIG: it is not there.
 */
#ifndef DF_BASE_LIBRARY_H
#define DF_BASE_LIBRARY_H

#include <pthread.h>

#include "base/error.h"

#pragma GCC visibility push(default) /* an installed header: src/dataflow/meson.build */

/* All static. */
struct df_library {
	const char *file;
	const char *hint;	    /* where it comes from */
	const char *const *symbols; /* NULL ends the list */
	void **functions;	    /* in the order of symbols */
	pthread_once_t *once;
	void (*load)(void);
	struct df_error *failure; /* code 0: loaded */
};

/* What `load` does. */
void df_library_open(const struct df_library *library);
int df_library_load(const struct df_library *library, struct df_error *err) df_must_check;

#define DF_LIBRARY_MEMBER(name) __typeof__(&name) name;
#define DF_LIBRARY_SYMBOL(name) #name,

#define DF_LIBRARY_DEFINE(id, file_name, where_from, FUNCTIONS)                                                  \
	static const char *const id##_symbols[] = { FUNCTIONS(DF_LIBRARY_SYMBOL) NULL };                         \
	_Static_assert(sizeof(df_##id) == sizeof(id##_symbols) - sizeof(char *), "one member a function");       \
	static pthread_once_t id##_once = PTHREAD_ONCE_INIT;                                                     \
	static struct df_error id##_failure;                                                                     \
	static void id##_load(void);                                                                             \
	static const struct df_library id##_library = { file_name,  where_from, id##_symbols, (void **)&df_##id, \
							&id##_once, id##_load,	&id##_failure };                 \
	static void id##_load(void)                                                                              \
	{                                                                                                        \
		df_library_open(&id##_library);                                                                  \
	}                                                                                                        \
	int df_##id##_load(struct df_error *err)                                                                 \
	{                                                                                                        \
		return df_library_load(&id##_library, err);                                                      \
	}

#pragma GCC visibility pop

#endif

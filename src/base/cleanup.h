/* Scope-bound cleanup, as systemd does it: a local marked df_cleanup(fn) is released when it goes out of scope. */
#ifndef DF_BASE_CLEANUP_H
#define DF_BASE_CLEANUP_H

#include <pthread.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#pragma GCC visibility push(default) /* an installed header: src/dataflow/meson.build */

/* fn takes a pointer to the variable. For a `T *` with `void T_free(T *)` define the adapter with DF_DEFINE_CLEANUP. */
#define df_cleanup(fn) __attribute__((cleanup(fn)))

/* DF_DEFINE_CLEANUP(struct df_yaml *, df_yaml_free) defines df_yaml_freep for df_cleanup(). */
#define DF_DEFINE_CLEANUP(type, fn)       \
	static inline void fn##p(type *p) \
	{                                 \
		if (*p)                   \
			fn(*p);           \
	}

/* Hands a cleaned-up pointer over: yields its value and leaves NULL behind. */
#define DF_TAKE(p)                             \
	__extension__({                        \
		__typeof__(p) df_taken_ = (p); \
		(p) = NULL;                    \
		df_taken_;                     \
	})

/* The same for a descriptor; leaves -1 behind. */
#define DF_TAKE_FD(fd)                \
	__extension__({               \
		int df_taken_ = (fd); \
		(fd) = -1;            \
		df_taken_;            \
	})

static inline void df_freep(void *p)
{
	free(*(void **)p);
}

static inline void df_fclosep(FILE **f)
{
	if (*f)
		fclose(*f);
}

static inline void df_closep(int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

static inline void df_mutex_unlockp(pthread_mutex_t **m)
{
	if (*m)
		pthread_mutex_unlock(*m);
}

#define DF_CONCAT_(a, b) a##b
#define DF_CONCAT(a, b) DF_CONCAT_(a, b)

/* Locks now and unlocks when the enclosing scope ends. */
#define DF_LOCK_SCOPE(mutex)                                                                     \
	df_cleanup(df_mutex_unlockp) pthread_mutex_t *DF_CONCAT(df_locked_, __LINE__) = (mutex); \
	pthread_mutex_lock(DF_CONCAT(df_locked_, __LINE__))

#define DF_ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

#define DF_CONTAINER_OF(ptr, type, member) ((type *)((char *)(ptr)-offsetof(type, member)))

#pragma GCC visibility pop

#endif

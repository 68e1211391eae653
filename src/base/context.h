/*
 * Contexts: cancellation that reaches every blocking place. A context has a parent; cancelling a parent cancels its
 * children. Thread-safe. A blocking place waits on df_context_fd beside its own descriptor, or registers a callback
 * (sqlite3_interrupt, PQcancel), or sleeps with df_context_sleep.
 */
#ifndef DF_BASE_CONTEXT_H
#define DF_BASE_CONTEXT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/error.h"

#pragma GCC visibility push(default) /* an installed header: src/dataflow/meson.build */

struct df_context;

/* parent may be NULL and must outlive the child. NULL when out of memory or descriptors. */
struct df_context *df_context_new(struct df_context *parent);
/* Accepts NULL. All callbacks must be removed and all children freed before. */
void df_context_free(struct df_context *ctx);

/* Idempotent. Runs the callbacks on the calling thread. */
void df_context_cancel(struct df_context *ctx);
/* Cancels at a monotonic time (df_clock_monotonic); an earlier deadline stays. Observed by canceled, wait and sleep;
 * the descriptor is not signalled by a deadline, use df_context_remaining_ms as the poll timeout. */
void df_context_deadline(struct df_context *ctx, int64_t monotonic_ns);

/* One atomic load when there is no deadline. NULL is never cancelled. */
bool df_context_canceled(const struct df_context *ctx);
/* 0, or DF_ERR_CANCELED ("cancelled") / DF_ERR_TIMEOUT ("deadline exceeded") with the text set. */
int df_context_check(const struct df_context *ctx, struct df_error *err) df_must_check;

/* Readable (POLLIN) once cancelled; stays readable; never read it. Valid as long as the context. */
int df_context_fd(const struct df_context *ctx);

/* Milliseconds until the deadline, 0 when passed, -1 when there is none: a poll(2) timeout. */
int df_context_remaining_ms(const struct df_context *ctx);

/* Sleeps on poll(2), no wake-ups in between. 0 when the time passed, DF_ERR_CANCELED or DF_ERR_TIMEOUT otherwise. */
int df_context_sleep(struct df_context *ctx, int64_t ns) df_must_check;

/* Waits until fd has one of `events` (poll flags). 0 ready; DF_ERR_CANCELED, DF_ERR_TIMEOUT (context's deadline, or
 * timeout_ms >= 0 passed) or DF_ERR_UNKNOWN. */
int df_context_wait_fd(struct df_context *ctx, int fd, short events, int timeout_ms) df_must_check;

/* Storage is the caller's. */
struct df_context_callback {
	void (*fn)(void *arg);
	void *arg;
	struct df_context_callback *next; /* private */
	bool active;			  /* private */
};

/* Calls fn once on cancel, or at once when already cancelled. fn must not block and must not touch ctx. */
void df_context_on_cancel(struct df_context *ctx, struct df_context_callback *cb);
/* After it returned, fn does not run and will not run. Accepts a callback that is not registered. */
void df_context_off_cancel(struct df_context *ctx, struct df_context_callback *cb);

DF_DEFINE_CLEANUP(struct df_context *, df_context_free)

#pragma GCC visibility pop

#endif

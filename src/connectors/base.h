/*
 * Base connectors: the state and the locks that every connector shares. One of them is the first member of every
 * connector's own struct. Both hold a cancellation context of the connector's own, so that close never waits for a slow
 * connect or a long query: guard_close cancels first and takes the lock afterwards.
 *
 *   df_base_connector     a mutex: one operation at a time. Take it when the connection allows only one user.
 *   df_base_connector_rw  a writer-preferring rwlock: many readers, and close gets in (glibc's default starves
 * writers).
 *
 * A connection that is used without the lock is *borrowed*: df_base_borrow / df_base_return count its users, and
 * guard_close waits for the (cancelled) borrowers, so that the connection can be freed.
 *
 * What a connector writes is one `struct df_base_call` an operation: it holds what the operation needs (the lock or the
 * borrowed connection, the context to wait on) and gives it back when the function returns.
 */
#ifndef DF_CONNECTORS_BASE_H
#define DF_CONNECTORS_BASE_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/cleanup.h"
#include "connectors/interface.h"

#pragma GCC visibility push(default) /* an installed header: src/dataflow/meson.build */

struct df_base_state {
	union {
		struct df_source source;
		struct df_sink sink;
	};
	struct df_connector_env env; /* logger set before connect */
	struct df_context *context;  /* the connector's own; cancelled by close. Child of nothing */
	atomic_bool closed;
	bool connected; /* the connector's to set under the lock; guard_close clears it */
	pthread_mutex_t borrow_lock;
	pthread_cond_t borrow_returned;
	unsigned borrowed;
};

struct df_base_connector {
	struct df_base_state state;
	pthread_mutex_t mutex;
};

struct df_base_connector_rw {
	struct df_base_state state;
	pthread_rwlock_t rwlock;
};

/* DF_ERR_NO_MEMORY. done accepts a zeroed or half-initialised base; nobody may use the connector any more. */
int df_base_connector_init(struct df_base_connector *base, const struct df_connector_env *env,
			   struct df_error *err) df_must_check;
void df_base_connector_done(struct df_base_connector *base);

/*
 * What a connector's `create` begins with: a zeroed struct of `size` bytes whose first member is a struct
 * df_base_connector, initialised, with its ops. NULL with DF_ERR_NO_MEMORY. Its `free` ends with
 * df_base_connector_free.
 */
void *df_base_source_new(size_t size, const struct df_source_ops *ops, const struct df_connector_env *env,
			 struct df_error *err) df_must_check;
void *df_base_sink_new(size_t size, const struct df_sink_ops *ops, const struct df_connector_env *env,
		       struct df_error *err) df_must_check;
/* df_base_connector_done and free. Accepts NULL. */
void df_base_connector_free(struct df_base_connector *base);

int df_base_connector_rw_init(struct df_base_connector_rw *base, const struct df_connector_env *env,
			      struct df_error *err) df_must_check;
void df_base_connector_rw_done(struct df_base_connector_rw *base);
/* The same for a struct whose first member is a struct df_base_connector_rw. */
void *df_base_rw_source_new(size_t size, const struct df_source_ops *ops, const struct df_connector_env *env,
			    struct df_error *err) df_must_check;
void *df_base_rw_sink_new(size_t size, const struct df_sink_ops *ops, const struct df_connector_env *env,
			  struct df_error *err) df_must_check;
void df_base_connector_rw_free(struct df_base_connector_rw *base);

/*
 * guard_connect: true, and the caller holds the lock; or false, the connector is closed, no lock is held, and err says
 *   "connector is closed" (DF_ERR_CLOSED).
 * guard_use: true, and the caller holds the lock of a connector that is connected; or false, no lock is held, and err
 *   says "connector is closed" or "connector is not connected" (DF_ERR_CLOSED).
 * guard_close: true: already closed, nothing to do, no lock is held. false: closed is now set, the own context is
 *   cancelled, nobody borrows the connection any more, and the caller holds the lock.
 */
bool df_base_guard_connect(struct df_base_connector *base, struct df_error *err) df_must_check;
bool df_base_guard_use(struct df_base_connector *base, struct df_error *err) df_must_check;
bool df_base_guard_close(struct df_base_connector *base) df_must_check;
void df_base_lock(struct df_base_connector *base);
void df_base_unlock(struct df_base_connector *base);
bool df_base_closed(const struct df_base_connector *base); /* no lock needed */

bool df_base_rw_guard_connect(struct df_base_connector_rw *base, struct df_error *err) df_must_check;
bool df_base_rw_guard_close(struct df_base_connector_rw *base) df_must_check;
void df_base_rw_lock(struct df_base_connector_rw *base);
void df_base_rw_unlock(struct df_base_connector_rw *base);
void df_base_rw_rlock(struct df_base_connector_rw *base);
void df_base_rw_runlock(struct df_base_connector_rw *base);
bool df_base_rw_closed(const struct df_base_connector_rw *base);

/* C's `defer Unlock()`: the lock that is held is released when the enclosing scope ends. Takes either kind of base. */
#define DF_UNLOCK_ON_RETURN(base)                                                                                \
	__attribute__((cleanup(df_unlock_cleanup_), unused)) struct df_unlock_ DF_CONCAT(df_unlock_, __LINE__) = \
		_Generic((base), struct df_base_connector *                                                      \
			 : (struct df_unlock_){ (base), false }, struct df_base_connector_rw *                   \
			 : (struct df_unlock_){ (base), true })

struct df_unlock_ {
	void *base;
	bool rw;
};
static inline void df_unlock_cleanup_(struct df_unlock_ *u)
{
	if (u->rw)
		df_base_rw_unlock(u->base);
	else
		df_base_unlock(u->base);
}

/* The caller's context and the connector's own as one: cancelled when either is, with the caller's deadline. Storage is
 * the caller's and must not move; end accepts a scope whose begin failed. DF_ERR_NO_MEMORY, DF_ERR_CLOSED. */
struct df_base_scope {
	struct df_context *ctx; /* what to wait on */
	struct df_context *own;
	struct df_context_callback from_own;
};
int df_base_scope_begin(struct df_base_state *state, struct df_context *caller, struct df_base_scope *ret,
			struct df_error *err) df_must_check;
void df_base_scope_end(struct df_base_scope *scope);

/* Borrowing: false when closed. Every true needs a return. */
bool df_base_borrow(struct df_base_state *state) df_must_check;
void df_base_return(struct df_base_state *state);
/*
 * One operation, as a local of the connector's function:
 *
 *	df_cleanup(df_base_call_end) struct df_base_call call = { 0 };
 *	int code = df_base_use(&c->base, ctx, &call, err);
 *
 *	if (code != 0)
 *		return code;
 *	... wait on call.ctx only: it ends with the caller's context and with close ...
 *
 * df_base_connect: for connect. The lock is held. Nothing is to be done when state.connected is set already; the
 *   connector sets it when it has succeeded.
 * df_base_use: for read, write, sync. The lock is held, the connector is connected.
 * df_base_rw_connect: as df_base_connect, with the write lock.
 * df_base_rw_use: the connector is connected, its connection is borrowed, and no lock is held; guard_close waits for
 *   the return.
 *
 * DF_ERR_CLOSED, DF_ERR_NO_MEMORY; nothing is held then. The storage must not move. end accepts a zeroed call.
 */
struct df_base_call {
	struct df_context *ctx; /* what to wait on */
	struct df_base_scope scope;
	struct df_base_connector *locked;
	struct df_base_connector_rw *rw_locked;
	struct df_base_state *borrowed;
};
int df_base_connect(struct df_base_connector *base, struct df_context *ctx, struct df_base_call *call,
		    struct df_error *err) df_must_check;
int df_base_use(struct df_base_connector *base, struct df_context *ctx, struct df_base_call *call,
		struct df_error *err) df_must_check;
int df_base_rw_connect(struct df_base_connector_rw *base, struct df_context *ctx, struct df_base_call *call,
		       struct df_error *err) df_must_check;
int df_base_rw_use(struct df_base_connector_rw *base, struct df_context *ctx, struct df_base_call *call,
		   struct df_error *err) df_must_check;
void df_base_call_end(struct df_base_call *call);

#pragma GCC visibility pop

#endif

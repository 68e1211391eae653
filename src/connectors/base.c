#include "connectors/base.h"

#include <stdlib.h>

/* ---- what both kinds share ------------------------------------------------------------------------------- */

static int df_base_state_init(struct df_base_state *state, const struct df_connector_env *env, struct df_error *err)
{
	*state = (struct df_base_state){ .env = *env, .context = df_context_new(NULL) };
	atomic_init(&state->closed, false);
	if (!state->context)
		return df_error_no_memory(err);
	pthread_mutex_init(&state->borrow_lock, NULL);
	pthread_cond_init(&state->borrow_returned, NULL);
	return 0;
}

/* The context tells whether init got this far. */
static void df_base_state_done(struct df_base_state *state)
{
	pthread_cond_destroy(&state->borrow_returned);
	pthread_mutex_destroy(&state->borrow_lock);
	df_context_free(DF_TAKE(state->context));
}

static bool df_base_state_closed(const struct df_base_state *state)
{
	return atomic_load(&state->closed);
}

static int df_base_closed_error(struct df_error *err)
{
	return df_error_set(err, DF_ERR_CLOSED, "connector is closed");
}

static int df_base_not_connected_error(struct df_error *err)
{
	return df_error_set(err, DF_ERR_CLOSED, "connector is not connected");
}

static void df_base_wait_returned(struct df_base_state *state)
{
	DF_LOCK_SCOPE(&state->borrow_lock);
	while (state->borrowed > 0)
		pthread_cond_wait(&state->borrow_returned, &state->borrow_lock);
}

/* ---- mutex ----------------------------------------------------------------------------------------------- */

int df_base_connector_init(struct df_base_connector *base, const struct df_connector_env *env, struct df_error *err)
{
	int r = df_base_state_init(&base->state, env, err);

	if (r == 0)
		pthread_mutex_init(&base->mutex, NULL);
	return r;
}

void df_base_connector_done(struct df_base_connector *base)
{
	if (!base || !base->state.context)
		return;
	pthread_mutex_destroy(&base->mutex);
	df_base_state_done(&base->state);
}

void df_base_connector_free(struct df_base_connector *base)
{
	df_base_connector_done(base);
	free(base);
}

static void *df_base_connector_new(size_t size, const struct df_connector_env *env, struct df_error *err)
{
	struct df_base_connector *base = calloc(1, size);

	if (!base) {
		df_error_no_memory(err);
		return NULL;
	}
	if (df_base_connector_init(base, env, err) == 0)
		return base;
	free(base);
	return NULL;
}

void *df_base_source_new(size_t size, const struct df_source_ops *ops, const struct df_connector_env *env,
			 struct df_error *err)
{
	struct df_base_connector *base = df_base_connector_new(size, env, err);

	if (base)
		base->state.source.ops = ops;
	return base;
}

void *df_base_sink_new(size_t size, const struct df_sink_ops *ops, const struct df_connector_env *env,
		       struct df_error *err)
{
	struct df_base_connector *base = df_base_connector_new(size, env, err);

	if (base)
		base->state.sink.ops = ops;
	return base;
}

void df_base_lock(struct df_base_connector *base)
{
	pthread_mutex_lock(&base->mutex);
}

void df_base_unlock(struct df_base_connector *base)
{
	pthread_mutex_unlock(&base->mutex);
}

bool df_base_closed(const struct df_base_connector *base)
{
	return df_base_state_closed(&base->state);
}

bool df_base_guard_connect(struct df_base_connector *base, struct df_error *err)
{
	df_base_lock(base);
	if (!df_base_closed(base))
		return true;
	df_base_unlock(base);
	df_base_closed_error(err);
	return false;
}

bool df_base_guard_use(struct df_base_connector *base, struct df_error *err)
{
	if (!df_base_guard_connect(base, err))
		return false;
	if (base->state.connected)
		return true;
	df_base_unlock(base);
	df_base_not_connected_error(err);
	return false;
}

bool df_base_guard_close(struct df_base_connector *base)
{
	df_context_cancel(base->state.context);
	df_base_lock(base);
	base->state.connected = false;
	if (atomic_exchange(&base->state.closed, true)) {
		df_base_unlock(base);
		return true;
	}
	/* Without the lock: a borrower may need it on its way out. From here on there is no new one. */
	df_base_unlock(base);
	df_base_wait_returned(&base->state);
	df_base_lock(base);
	return false;
}

/* ---- rwlock ---------------------------------------------------------------------------------------------- */

int df_base_connector_rw_init(struct df_base_connector_rw *base, const struct df_connector_env *env,
			      struct df_error *err)
{
	pthread_rwlockattr_t attr;
	int r = df_base_state_init(&base->state, env, err);

	if (r < 0)
		return r;
	pthread_rwlockattr_init(&attr);
	pthread_rwlockattr_setkind_np(&attr, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
	pthread_rwlock_init(&base->rwlock, &attr);
	pthread_rwlockattr_destroy(&attr);
	return 0;
}

void df_base_connector_rw_done(struct df_base_connector_rw *base)
{
	if (!base || !base->state.context)
		return;
	pthread_rwlock_destroy(&base->rwlock);
	df_base_state_done(&base->state);
}

void df_base_connector_rw_free(struct df_base_connector_rw *base)
{
	df_base_connector_rw_done(base);
	free(base);
}

static void *df_base_connector_rw_new(size_t size, const struct df_connector_env *env, struct df_error *err)
{
	struct df_base_connector_rw *base = calloc(1, size);

	if (!base) {
		df_error_no_memory(err);
		return NULL;
	}
	if (df_base_connector_rw_init(base, env, err) == 0)
		return base;
	free(base);
	return NULL;
}

void *df_base_rw_source_new(size_t size, const struct df_source_ops *ops, const struct df_connector_env *env,
			    struct df_error *err)
{
	struct df_base_connector_rw *base = df_base_connector_rw_new(size, env, err);

	if (base)
		base->state.source.ops = ops;
	return base;
}

void *df_base_rw_sink_new(size_t size, const struct df_sink_ops *ops, const struct df_connector_env *env,
			  struct df_error *err)
{
	struct df_base_connector_rw *base = df_base_connector_rw_new(size, env, err);

	if (base)
		base->state.sink.ops = ops;
	return base;
}

void df_base_rw_lock(struct df_base_connector_rw *base)
{
	pthread_rwlock_wrlock(&base->rwlock);
}

void df_base_rw_unlock(struct df_base_connector_rw *base)
{
	pthread_rwlock_unlock(&base->rwlock);
}

void df_base_rw_rlock(struct df_base_connector_rw *base)
{
	pthread_rwlock_rdlock(&base->rwlock);
}

void df_base_rw_runlock(struct df_base_connector_rw *base)
{
	pthread_rwlock_unlock(&base->rwlock);
}

bool df_base_rw_closed(const struct df_base_connector_rw *base)
{
	return df_base_state_closed(&base->state);
}

bool df_base_rw_guard_connect(struct df_base_connector_rw *base, struct df_error *err)
{
	df_base_rw_lock(base);
	if (!df_base_rw_closed(base))
		return true;
	df_base_rw_unlock(base);
	df_base_closed_error(err);
	return false;
}

bool df_base_rw_guard_close(struct df_base_connector_rw *base)
{
	df_context_cancel(base->state.context);
	df_base_rw_lock(base);
	base->state.connected = false;
	if (atomic_exchange(&base->state.closed, true)) {
		df_base_rw_unlock(base);
		return true;
	}
	df_base_rw_unlock(base); /* as above */
	df_base_wait_returned(&base->state);
	df_base_rw_lock(base);
	return false;
}

/* ---- scope ----------------------------------------------------------------------------------------------- */

static void df_base_scope_cancel(void *ctx)
{
	df_context_cancel(ctx);
}

/* A child of the caller's, so that its deadline counts too; the own one reaches it through a callback. */
int df_base_scope_begin(struct df_base_state *state, struct df_context *caller, struct df_base_scope *ret,
			struct df_error *err)
{
	*ret = (struct df_base_scope){ 0 };
	if (df_base_state_closed(state))
		return df_base_closed_error(err);
	struct df_context *ctx = df_context_new(caller);
	if (!ctx)
		return df_error_no_memory(err);
	ret->ctx = ctx;
	ret->own = state->context;
	ret->from_own = (struct df_context_callback){ .fn = df_base_scope_cancel, .arg = ctx };
	df_context_on_cancel(ret->own, &ret->from_own);
	return 0;
}

void df_base_scope_end(struct df_base_scope *scope)
{
	if (!scope->ctx)
		return;
	df_context_off_cancel(scope->own, &scope->from_own);
	df_context_free(DF_TAKE(scope->ctx));
}

/* ---- borrowing ------------------------------------------------------------------------------------------- */

bool df_base_borrow(struct df_base_state *state)
{
	DF_LOCK_SCOPE(&state->borrow_lock);
	if (df_base_state_closed(state))
		return false;
	state->borrowed++;
	return true;
}

void df_base_return(struct df_base_state *state)
{
	DF_LOCK_SCOPE(&state->borrow_lock);
	if (--state->borrowed == 0)
		pthread_cond_broadcast(&state->borrow_returned);
}

/* ---- calls ----------------------------------------------------------------------------------------------- */

/* The context of a call that holds what it needs; gives that back when there is none. */
static int df_base_call_begin(struct df_base_call *call, struct df_base_state *state, struct df_context *ctx,
			      struct df_error *err)
{
	int code = df_base_scope_begin(state, ctx, &call->scope, err);

	if (code != 0)
		df_base_call_end(call);
	call->ctx = call->scope.ctx;
	return code;
}

int df_base_connect(struct df_base_connector *base, struct df_context *ctx, struct df_base_call *call,
		    struct df_error *err)
{
	*call = (struct df_base_call){ 0 };
	if (!df_base_guard_connect(base, err))
		return DF_ERR_CLOSED;
	call->locked = base;
	return df_base_call_begin(call, &base->state, ctx, err);
}

int df_base_use(struct df_base_connector *base, struct df_context *ctx, struct df_base_call *call, struct df_error *err)
{
	*call = (struct df_base_call){ 0 };
	if (!df_base_guard_use(base, err))
		return DF_ERR_CLOSED;
	call->locked = base;
	return df_base_call_begin(call, &base->state, ctx, err);
}

int df_base_rw_connect(struct df_base_connector_rw *base, struct df_context *ctx, struct df_base_call *call,
		       struct df_error *err)
{
	*call = (struct df_base_call){ 0 };
	if (!df_base_rw_guard_connect(base, err))
		return DF_ERR_CLOSED;
	call->rw_locked = base;
	return df_base_call_begin(call, &base->state, ctx, err);
}

/* Borrowed under the read lock: between the check and the borrowing close cannot free the connection. */
int df_base_rw_use(struct df_base_connector_rw *base, struct df_context *ctx, struct df_base_call *call,
		   struct df_error *err)
{
	bool connected, borrowed;

	*call = (struct df_base_call){ 0 };
	df_base_rw_rlock(base);
	connected = base->state.connected;
	borrowed = connected && df_base_borrow(&base->state);
	df_base_rw_runlock(base);
	if (!borrowed)
		return df_base_rw_closed(base) ? df_base_closed_error(err) : df_base_not_connected_error(err);
	call->borrowed = &base->state;
	return df_base_call_begin(call, &base->state, ctx, err);
}

void df_base_call_end(struct df_base_call *call)
{
	df_base_scope_end(&call->scope);
	call->ctx = NULL;
	if (call->borrowed)
		df_base_return(DF_TAKE(call->borrowed));
	if (call->locked)
		df_base_unlock(DF_TAKE(call->locked));
	if (call->rw_locked)
		df_base_rw_unlock(DF_TAKE(call->rw_locked));
}

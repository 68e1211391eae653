#include "base/context.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdatomic.h>
#include <stddef.h>
#include <sys/eventfd.h>
#include <time.h>

#include "base/clock.h"

/* One call of a callback that is under way; lives on the stack of the thread that makes it. */
struct df_context_call {
	const struct df_context_callback *cb;
	pthread_t thread;
	struct df_context_call *next;
};

enum { DF_CONTEXT_CANCELED = 1, DF_CONTEXT_HAS_DEADLINE = 2 };

struct df_context {
	atomic_uint state;
	_Atomic int64_t deadline_ns; /* monotonic; means something with DF_CONTEXT_HAS_DEADLINE; never moves later */
	int fd;			     /* eventfd, readable once cancelled */
	struct df_context *parent;
	/* Guards what is below, and every change of what is above. A parent's is taken before its child's. */
	pthread_mutex_t lock;
	pthread_cond_t called; /* a call ended */
	struct df_context *children;
	struct df_context *next, **link; /* in the parent's list, guarded by the parent's lock */
	struct df_context_callback *callbacks;
	struct df_context_call *calls;
};

static void df_context_mark(struct df_context *ctx)
{
	uint64_t one = 1;
	ssize_t n;

	atomic_fetch_or(&ctx->state, DF_CONTEXT_CANCELED);
	do {
		n = write(ctx->fd, &one, sizeof(one));
	} while (n < 0 && errno == EINTR);
}

static void df_context_set_deadline(struct df_context *ctx, int64_t monotonic_ns)
{
	atomic_store(&ctx->deadline_ns, monotonic_ns);
	atomic_fetch_or(&ctx->state, DF_CONTEXT_HAS_DEADLINE);
}

struct df_context *df_context_new(struct df_context *parent)
{
	struct df_context *ctx = calloc(1, sizeof(*ctx));

	if (!ctx)
		return NULL;
	ctx->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (ctx->fd < 0) {
		free(ctx);
		return NULL;
	}
	pthread_mutex_init(&ctx->lock, NULL);
	pthread_cond_init(&ctx->called, NULL);
	if (!parent)
		return ctx;
	ctx->parent = parent;
	DF_LOCK_SCOPE(&parent->lock);
	unsigned int state = atomic_load(&parent->state);
	if (state & DF_CONTEXT_HAS_DEADLINE)
		df_context_set_deadline(ctx, atomic_load(&parent->deadline_ns));
	if (state & DF_CONTEXT_CANCELED)
		df_context_mark(ctx);
	ctx->next = parent->children;
	ctx->link = &parent->children;
	if (ctx->next)
		ctx->next->link = &ctx->next;
	parent->children = ctx;
	return ctx;
}

void df_context_free(struct df_context *ctx)
{
	if (!ctx)
		return;
	if (ctx->parent) {
		/* Waits for a cancel of the parent that is working on this child. */
		DF_LOCK_SCOPE(&ctx->parent->lock);
		*ctx->link = ctx->next;
		if (ctx->next)
			ctx->next->link = ctx->link;
	}
	pthread_cond_destroy(&ctx->called);
	pthread_mutex_destroy(&ctx->lock);
	close(ctx->fd);
	free(ctx);
}

/* Takes the callback out of the list; false when it is not there. Under the lock. */
static bool df_context_unlink(struct df_context *ctx, struct df_context_callback *cb)
{
	struct df_context_callback **place = &ctx->callbacks;

	while (*place && *place != cb)
		place = &(*place)->next;
	if (!*place)
		return false;
	*place = cb->next;
	cb->next = NULL;
	cb->active = false;
	return true;
}

/* Calls fn without the lock, which is held before and after. cb may be gone when fn returns. */
static void df_context_call(struct df_context *ctx, struct df_context_callback *cb)
{
	struct df_context_call call = { .cb = cb, .thread = pthread_self(), .next = ctx->calls };
	struct df_context_call **place = &ctx->calls;

	ctx->calls = &call;
	pthread_mutex_unlock(&ctx->lock);
	cb->fn(cb->arg);
	pthread_mutex_lock(&ctx->lock);
	while (*place != &call)
		place = &(*place)->next;
	*place = call.next;
	pthread_cond_broadcast(&ctx->called);
}

void df_context_cancel(struct df_context *ctx)
{
	if (!ctx || atomic_load(&ctx->state) & DF_CONTEXT_CANCELED)
		return;
	DF_LOCK_SCOPE(&ctx->lock);
	if (atomic_load(&ctx->state) & DF_CONTEXT_CANCELED)
		return;
	df_context_mark(ctx);
	while (ctx->callbacks) {
		struct df_context_callback *cb = ctx->callbacks;
		df_context_unlink(ctx, cb);
		df_context_call(ctx, cb);
	}
	for (struct df_context *child = ctx->children; child; child = child->next)
		df_context_cancel(child);
}

void df_context_deadline(struct df_context *ctx, int64_t monotonic_ns)
{
	if (!ctx)
		return;
	DF_LOCK_SCOPE(&ctx->lock);
	if (atomic_load(&ctx->state) & DF_CONTEXT_HAS_DEADLINE && atomic_load(&ctx->deadline_ns) <= monotonic_ns)
		return;
	df_context_set_deadline(ctx, monotonic_ns);
	for (struct df_context *child = ctx->children; child; child = child->next)
		df_context_deadline(child, monotonic_ns);
}

/* 0, DF_ERR_CANCELED or DF_ERR_TIMEOUT. */
static int df_context_state(const struct df_context *ctx)
{
	unsigned int state = ctx ? atomic_load_explicit(&ctx->state, memory_order_acquire) : 0;

	if (__builtin_expect(state == 0, 1))
		return 0;
	if (state & DF_CONTEXT_CANCELED)
		return DF_ERR_CANCELED;
	return df_clock_monotonic() >= atomic_load(&ctx->deadline_ns) ? DF_ERR_TIMEOUT : 0;
}

bool df_context_canceled(const struct df_context *ctx)
{
	return df_context_state(ctx) != 0;
}

int df_context_check(const struct df_context *ctx, struct df_error *err)
{
	int code = df_context_state(ctx);

	if (code == 0)
		return 0;
	return df_error_set(err, code, code == DF_ERR_CANCELED ? "cancelled" : "deadline exceeded");
}

int df_context_fd(const struct df_context *ctx)
{
	return ctx ? ctx->fd : -1;
}

/* Nanoseconds until the deadline, not below 0; INT64_MAX when there is none. */
static int64_t df_context_remaining_ns(const struct df_context *ctx)
{
	if (!ctx || !(atomic_load(&ctx->state) & DF_CONTEXT_HAS_DEADLINE))
		return INT64_MAX;
	int64_t deadline = atomic_load(&ctx->deadline_ns);
	int64_t now = df_clock_monotonic();
	return deadline > now ? deadline - now : 0;
}

int df_context_remaining_ms(const struct df_context *ctx)
{
	int64_t ns = df_context_remaining_ns(ctx);

	if (ns == INT64_MAX)
		return -1;
	/* Rounded up: a poll that wakes just before the deadline would be repeated with 0 until it comes. */
	int64_t ms = ns / DF_NS_PER_MS + (ns % DF_NS_PER_MS != 0);
	return ms > INT_MAX ? INT_MAX : (int)ms;
}

/* Polls until ready, cancelled, or ns passed or the deadline came, whichever is first. 1 ready, 0 ns passed. */
static int df_context_poll(const struct df_context *ctx, int fd, short events, int64_t ns)
{
	int64_t until;
	int code;

	if (ns < 0)
		ns = 0;
	if (__builtin_add_overflow(df_clock_monotonic(), ns, &until))
		until = INT64_MAX;
	while ((code = df_context_state(ctx)) == 0) {
		struct pollfd fds[2] = { { .fd = df_context_fd(ctx), .events = POLLIN },
					 { .fd = fd, .events = events } };
		int64_t left = until - df_clock_monotonic();
		int64_t deadline = df_context_remaining_ns(ctx);
		if (left < 0)
			left = 0;
		int64_t wait = deadline < left ? deadline : left;
		struct timespec t = { .tv_sec = (time_t)(wait / DF_NS_PER_S), .tv_nsec = (long)(wait % DF_NS_PER_S) };
		int n = ppoll(fds, 2, &t, NULL);
		if (n < 0 && errno != EINTR)
			return DF_ERR_UNKNOWN;
		if (n > 0 && fds[0].revents)
			continue;
		if (n > 0)
			return fds[1].revents & POLLNVAL ? DF_ERR_UNKNOWN : 1;
		if (left == 0)
			return 0;
	}
	return code;
}

int df_context_sleep(struct df_context *ctx, int64_t ns)
{
	return df_context_poll(ctx, -1, 0, ns);
}

int df_context_wait_fd(struct df_context *ctx, int fd, short events, int timeout_ms)
{
	int code = df_context_poll(ctx, fd, events, timeout_ms < 0 ? INT64_MAX : timeout_ms * DF_NS_PER_MS);

	return code == 1 ? 0 : code == 0 ? DF_ERR_TIMEOUT : code;
}

void df_context_on_cancel(struct df_context *ctx, struct df_context_callback *cb)
{
	if (!ctx)
		return;
	DF_LOCK_SCOPE(&ctx->lock);
	if (atomic_load(&ctx->state) & DF_CONTEXT_CANCELED) {
		cb->active = false;
		df_context_call(ctx, cb);
		return;
	}
	cb->active = true;
	cb->next = ctx->callbacks;
	ctx->callbacks = cb;
}

/* Is another thread inside cb? Under the lock. */
static bool df_context_calling(const struct df_context *ctx, const struct df_context_callback *cb)
{
	for (const struct df_context_call *call = ctx->calls; call; call = call->next) {
		if (call->cb == cb && !pthread_equal(call->thread, pthread_self()))
			return true;
	}
	return false;
}

void df_context_off_cancel(struct df_context *ctx, struct df_context_callback *cb)
{
	if (!ctx)
		return;
	DF_LOCK_SCOPE(&ctx->lock);
	if (df_context_unlink(ctx, cb))
		return;
	while (df_context_calling(ctx, cb))
		pthread_cond_wait(&ctx->called, &ctx->lock);
}

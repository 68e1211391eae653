/* read: on the rule's thread, and in a thread of its own. */
#include <errno.h>
#include <time.h>

#include "conformance/internal.h"

static void check_contract(struct df_stage *st, const struct df_collector *c)
{
	if (c->broken)
		df_rule_fail(st, "read: %s", c->broken);
}

int df_collector_read(struct df_stage *st, struct df_collector *c, struct df_source *s, struct df_error *err)
{
	df_cleanup(df_context_freep) struct df_context *own = df_context_new(NULL);
	int r;

	df_rule_check(st, own, "the suite is out of memory");
	df_stage_doing(st, "reading");
	r = s->ops->read(s, c->cancel_ctx ? c->cancel_ctx : own, &c->emitter, err);
	check_contract(st, c);
	return r;
}

struct df_reading {
	struct df_stage *st;
	struct df_collector *c;
	struct df_source *s;
	struct df_context *ctx;
	pthread_t thread;
	bool ended; /* under the collector's lock */
	int result;
	struct df_error err;
};

static void *reading_main(void *arg)
{
	struct df_reading *r = arg;
	int result = r->s->ops->read(r->s, r->ctx, &r->c->emitter, &r->err);

	DF_LOCK_SCOPE(&r->c->lock);
	r->result = result;
	r->ended = true;
	pthread_cond_broadcast(&r->c->changed);
	return NULL;
}

struct df_reading *df_reading_start(struct df_stage *st, struct df_collector *c, struct df_source *s)
{
	struct df_reading *r = calloc(1, sizeof(*r));

	df_rule_check(st, r, "the suite is out of memory");
	*r = (struct df_reading){ .st = st, .c = c, .s = s, .ctx = df_context_new(NULL) };
	df_rule_check(st, r->ctx, "the suite is out of memory");
	if (!c->cancel_ctx)
		c->cancel_ctx = r->ctx;
	df_stage_doing(st, "reading in a thread");
	df_rule_check(st, pthread_create(&r->thread, NULL, reading_main, r) == 0, "the suite cannot start a thread");
	return r;
}

/* With the collector's lock held: waits for a change. False: the time is over. */
static bool wait_changed(struct df_collector *c, int64_t until_ns)
{
	struct timespec until = { .tv_sec = until_ns / DF_NS_PER_S, .tv_nsec = until_ns % DF_NS_PER_S };

	return pthread_cond_timedwait(&c->changed, &c->lock, &until) != ETIMEDOUT;
}

bool df_reading_await(struct df_reading *r, size_t messages, int64_t ns)
{
	int64_t until = df_clock_monotonic() + ns;

	DF_LOCK_SCOPE(&r->c->lock);
	while (!r->ended && r->c->messages < messages)
		if (!wait_changed(r->c, until))
			break;
	return r->ended || r->c->messages >= messages;
}

static int finish(struct df_reading *r, int64_t ns, const char *after, struct df_error *err)
{
	struct df_stage *st = r->st;
	int64_t until = df_clock_monotonic() + ns;
	int result;

	pthread_mutex_lock(&r->c->lock);
	while (!r->ended)
		if (!wait_changed(r->c, until))
			break;
	if (!r->ended)
		df_rule_fail(st, "read did not return within %.1f s%s", (double)ns / (double)DF_NS_PER_S, after);
	pthread_mutex_unlock(&r->c->lock);
	pthread_join(r->thread, NULL);
	if (r->c->cancel_ctx == r->ctx)
		r->c->cancel_ctx = NULL;
	df_context_free(r->ctx);
	result = r->result;
	if (err)
		*err = r->err;
	check_contract(st, r->c);
	free(r);
	return result;
}

int df_reading_stop(struct df_reading *r, int64_t ns, struct df_error *err)
{
	df_context_cancel(r->ctx);
	return finish(r, ns, " after its context was cancelled", err);
}

int df_reading_finish(struct df_reading *r, int64_t ns, struct df_error *err)
{
	return finish(r, ns, "", err);
}

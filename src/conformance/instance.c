#include "conformance/instance.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "conformance/internal.h"

#define CONNECT_NS (30 * DF_NS_PER_S)
#define SOON_NS (1 * DF_NS_PER_S)
#define ROWS 3 /* in the store before a rule that wants some */

/* ---- either kind ----------------------------------------------------------------------------------------- */

struct df_instance df_instance_of(struct df_stage *st, const struct df_component *component, bool once)
{
	struct df_instance i = { .kind = component->kind };

	if (i.kind == DF_SOURCE)
		i.source = df_stage_source_of(st, component, once);
	else
		i.sink = df_stage_sink_of(st, component);
	return i;
}

struct df_instance df_instance_new(struct df_stage *st, enum df_component_kind kind, bool once)
{
	return df_instance_of(st, df_stage_as_written(st, kind), once);
}

int64_t df_soon_ns(const struct df_stage *st)
{
	return st->options->soon_ns > 0 ? st->options->soon_ns : SOON_NS;
}

int df_instance_connect(struct df_stage *st, struct df_instance *i, struct df_context *ctx, struct df_error *err)
{
	df_cleanup(df_context_freep) struct df_context *own = df_context_new(NULL);

	df_rule_check(st, own, "the suite is out of memory");
	df_context_deadline(own, df_clock_monotonic() + CONNECT_NS);
	df_stage_doing(st, "connecting the %s", df_component_kind_name(i->kind));
	if (i->kind == DF_SOURCE)
		return i->source->ops->connect(i->source, ctx ? ctx : own, err);
	return i->sink->ops->connect(i->sink, ctx ? ctx : own, err);
}

struct close_call {
	struct df_instance *i;
};

static int close_main(void *arg, struct df_error *err)
{
	struct df_instance *i = ((struct close_call *)arg)->i;

	return i->kind == DF_SOURCE ? i->source->ops->close(i->source, err) : i->sink->ops->close(i->sink, err);
}

int df_instance_close(struct df_stage *st, struct df_instance *i, struct df_error *err)
{
	struct close_call call = { i };

	df_stage_doing(st, "closing the %s", df_component_kind_name(i->kind));
	return df_task_end(st, df_task_start(st, close_main, &call), df_soon_ns(st),
			   i->kind == DF_SOURCE ? "close of the source" : "close of the sink", err);
}

void df_instance_free(struct df_instance *i)
{
	df_source_free(DF_TAKE(i->source));
	df_sink_free(DF_TAKE(i->sink));
}

struct df_instance df_instance_connected(struct df_stage *st, enum df_component_kind kind, bool once)
{
	struct df_instance i = df_instance_new(st, kind, once);
	struct df_error err = DF_ERROR_INIT;

	df_rule_ok(st, df_instance_connect(st, &i, NULL, &err), &err,
		   kind == DF_SOURCE ? "connecting the source" : "connecting the sink");
	return i;
}

void df_instance_end(struct df_stage *st, struct df_instance *i)
{
	struct df_error err = DF_ERROR_INIT;

	df_rule_ok(st, df_instance_close(st, i, &err), &err,
		   i->kind == DF_SOURCE ? "closing the source" : "closing the sink");
	df_instance_free(i);
}

/* ---- using it -------------------------------------------------------------------------------------------- */

static int use_source(struct df_stage *st, struct df_source *s, struct df_error *err)
{
	struct df_collector *c = df_collector_new(st);
	int r;

	c->cancel_after = 1000; /* one that generates without an end */
	c->cancel_ctx = df_context_new(NULL);
	df_rule_check(st, c->cancel_ctx, "the suite is out of memory");
	r = df_collector_read(st, c, s, err);
	if (r == DF_ERR_CANCELED && c->messages >= c->cancel_after)
		r = 0;
	df_context_free(c->cancel_ctx);
	df_collector_free(c);
	return r;
}

static int use_sink(struct df_stage *st, struct df_sink *s, struct df_error *err)
{
	static const char *const rows[] = { "{\"id\":1,\"name\":\"row 1\"}" };
	struct df_stage_write w;
	int r;

	df_stage_write_init(st, &w, rows, 1);
	r = df_stage_write_run(st, s, &w, CONNECT_NS, err);
	if (r == 0 && df_write_result(&w.w, 0)) {
		*err = *df_write_result(&w.w, 0);
		r = err->code;
	}
	df_stage_write_done(&w);
	return r < 0 || !s->ops->sync ? r : s->ops->sync(s, NULL, true, err);
}

int df_instance_try(struct df_stage *st, struct df_instance *i, struct df_error *err)
{
	struct df_stage own = *st; /* several threads may try */
	struct df_arena arena;
	int r;

	df_arena_init(&arena, NULL);
	own.arena = &arena;
	r = i->kind == DF_SOURCE ? use_source(&own, i->source, err) : use_sink(&own, i->sink, err);
	df_arena_done(&arena);
	return r;
}

int df_instance_use(struct df_stage *st, struct df_instance *i, struct df_error *err)
{
	if (i->kind == DF_SOURCE && st->p->subject->type[DF_SOURCE]->scales_out)
		return 0;
	return df_instance_try(st, i, err);
}

/* ---- both sides ------------------------------------------------------------------------------------------ */

bool df_has_side(struct df_stage *st, enum df_component_kind kind)
{
	return st->p->subject->type[kind] != NULL;
}

bool df_can_feed(struct df_stage *st)
{
	return !df_subject_lacks(st->p->subject, DF_NEEDS_SOURCE | DF_NEEDS_NAME | DF_NEEDS_FEED);
}

void df_prepare_rows(struct df_stage *st)
{
	if (df_can_feed(st))
		df_stage_feed(st, 1, ROWS);
}

void df_each_side(struct df_stage *st, const char *(*fn)(struct df_stage *st, enum df_component_kind kind))
{
	const char *why[DF_SIDES] = { NULL };
	size_t sides = 0, tried = 0;

	df_prepare_rows(st);
	for (int kind = DF_SOURCE; kind < DF_SIDES; kind++) {
		if (!df_has_side(st, (enum df_component_kind)kind))
			continue;
		why[kind] = fn(st, (enum df_component_kind)kind);
		sides++;
		tried += !why[kind];
	}
	for (int kind = DF_SOURCE; kind < DF_SIDES; kind++)
		if (why[kind] && (tried > 0 || sides > 1))
			df_rule_note(st, "%s: %s", df_component_kind_name((enum df_component_kind)kind), why[kind]);
	if (tried == 0)
		df_rule_not_applicable(st, "%s",
				       sides > 1	? st->p->testimony->note
				       : why[DF_SOURCE] ? why[DF_SOURCE]
							: why[DF_SINK]);
}

/* ---- tasks ----------------------------------------------------------------------------------------------- */

struct df_task {
	int (*fn)(void *arg, struct df_error *err);
	void *arg;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	bool ended;
	int result;
	struct df_error err;
};

static void *task_main(void *arg)
{
	struct df_task *t = arg;
	int result = t->fn(t->arg, &t->err);

	DF_LOCK_SCOPE(&t->lock);
	t->result = result;
	t->ended = true;
	pthread_cond_broadcast(&t->changed);
	return NULL;
}

struct df_task *df_task_start(struct df_stage *st, int (*fn)(void *arg, struct df_error *err), void *arg)
{
	struct df_task *t = calloc(1, sizeof(*t));
	pthread_condattr_t attr;

	df_rule_check(st, t, "the suite is out of memory");
	*t = (struct df_task){ .fn = fn, .arg = arg };
	pthread_mutex_init(&t->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&t->changed, &attr);
	pthread_condattr_destroy(&attr);
	df_rule_check(st, pthread_create(&t->thread, NULL, task_main, t) == 0, "the suite cannot start a thread");
	return t;
}

bool df_task_wait(struct df_task *t, int64_t ns)
{
	int64_t until_ns = df_clock_monotonic() + ns;
	struct timespec until = { .tv_sec = until_ns / DF_NS_PER_S, .tv_nsec = until_ns % DF_NS_PER_S };

	DF_LOCK_SCOPE(&t->lock);
	while (!t->ended && pthread_cond_timedwait(&t->changed, &t->lock, &until) == 0)
		;
	return t->ended;
}

int df_task_end(struct df_stage *st, struct df_task *t, int64_t ns, const char *what, struct df_error *err)
{
	int result;

	if (!df_task_wait(t, ns))
		df_rule_fail(st, "%s did not return within %.1f s", what, (double)ns / (double)DF_NS_PER_S);
	pthread_join(t->thread, NULL);
	result = t->result;
	if (err)
		*err = t->err;
	pthread_cond_destroy(&t->changed);
	pthread_mutex_destroy(&t->lock);
	free(t);
	return result;
}

/* ---- servers that do not serve --------------------------------------------------------------------------- */

/* The kernel completes connections to a socket that listens; nobody ever reads from them. */
static const char *local_address(struct df_stage *st, bool listening)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(at);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	char text[32];
	struct df_str kept;

	if (fd < 0 || bind(fd, (struct sockaddr *)&at, len) < 0 || (listening && listen(fd, 128) < 0) ||
	    getsockname(fd, (struct sockaddr *)&at, &len) < 0)
		df_rule_fail(st, "the suite cannot have a socket: %s", strerror(errno));
	/* A port that is bound and does not listen stays closed: it is nobody else's. */
	snprintf(text, sizeof(text), "127.0.0.1:%u", ntohs(at.sin_port));
	kept = df_arena_dup(st->arena, df_str_c(text));
	df_rule_check(st, kept.ptr, "the suite is out of memory");
	return kept.ptr;
}

const char *df_silent_address(struct df_stage *st)
{
	return local_address(st, true);
}

const char *df_closed_address(struct df_stage *st)
{
	return local_address(st, false);
}

/* create, connect, close, free: what must hold of both sides, whatever they connect to. */
#include <string.h>

#include "conformance/instance.h"

#define SIDE(kind) df_component_kind_name(kind)

static void must_be_closed(struct df_stage *st, enum df_component_kind kind, const char *what, int code,
			   const struct df_error *err)
{
	if (code != DF_ERR_CLOSED || strcmp(err->text, "connector is closed") != 0)
		df_rule_fail(st, "%s: %s: expected the code DF_ERR_CLOSED with `connector is closed`, saw %s%s%s",
			     SIDE(kind), what, code == 0 ? "success" : df_code_name(code), code ? ": " : "",
			     code ? err->text : "");
}

static void must_succeed(struct df_stage *st, enum df_component_kind kind, const char *what, int code,
			 const struct df_error *err)
{
	if (code != 0)
		df_rule_fail(st, "%s: %s: %s: %s", SIDE(kind), what, df_code_name(code), err->text);
}

/* ---- close ----------------------------------------------------------------------------------------------- */

static const char *close_twice_side(struct df_stage *st, enum df_component_kind kind)
{
	struct df_instance i = df_instance_connected(st, kind, true);
	struct df_error err = DF_ERROR_INIT;

	must_succeed(st, kind, "the first close", df_instance_close(st, &i, &err), &err);
	must_succeed(st, kind, "the second close", df_instance_close(st, &i, &err), &err);
	df_instance_free(&i);
	return NULL;
}

static void close_twice(struct df_stage *st)
{
	df_each_side(st, close_twice_side);
}

#define CLOSERS 4
#define CLOSE_ROUNDS 5 /* one may miss a race */

struct closer {
	struct df_stage *st;
	struct df_instance *i;
	pthread_barrier_t all_there;
};

static int close_main(void *arg, struct df_error *err)
{
	struct closer *c = arg;

	pthread_barrier_wait(&c->all_there);
	return df_instance_close(c->st, c->i, err);
}

static void close_together_once(struct df_stage *st, enum df_component_kind kind)
{
	struct df_instance i = df_instance_connected(st, kind, true);
	struct closer closer = { .st = st, .i = &i };
	struct df_task *tasks[CLOSERS];

	pthread_barrier_init(&closer.all_there, NULL, CLOSERS);
	for (size_t n = 0; n < CLOSERS; n++)
		tasks[n] = df_task_start(st, close_main, &closer);
	for (size_t n = 0; n < CLOSERS; n++) {
		struct df_error err = DF_ERROR_INIT;
		int r = df_task_end(st, tasks[n], 2 * df_soon_ns(st), "one of four closes at once", &err);

		must_succeed(st, kind, "one of four closes at once", r, &err);
	}
	pthread_barrier_destroy(&closer.all_there);
	df_instance_free(&i);
}

static const char *close_together_side(struct df_stage *st, enum df_component_kind kind)
{
	for (int round = 0; round < CLOSE_ROUNDS; round++)
		close_together_once(st, kind);
	return NULL;
}

static void close_together(struct df_stage *st)
{
	df_each_side(st, close_together_side);
}

static const char *connect_after_close_side(struct df_stage *st, enum df_component_kind kind)
{
	struct df_instance i = df_instance_connected(st, kind, true);
	struct df_error err = DF_ERROR_INIT;

	must_succeed(st, kind, "close", df_instance_close(st, &i, &err), &err);
	must_be_closed(st, kind, "connect after close", df_instance_connect(st, &i, NULL, &err), &err);
	df_instance_free(&i);
	return NULL;
}

static void connect_after_close(struct df_stage *st)
{
	df_each_side(st, connect_after_close_side);
}

static const char *close_before_connect_side(struct df_stage *st, enum df_component_kind kind)
{
	struct df_instance i = df_instance_new(st, kind, true);
	struct df_error err = DF_ERROR_INIT;

	must_succeed(st, kind, "close before connect", df_instance_close(st, &i, &err), &err);
	must_be_closed(st, kind, "connect after that", df_instance_connect(st, &i, NULL, &err), &err);
	df_instance_free(&i);
	return NULL;
}

static void close_before_connect(struct df_stage *st)
{
	df_each_side(st, close_before_connect_side);
}

/* ---- use at the wrong time ------------------------------------------------------------------------------- */

/* read or write when it is not allowed: the code, and nothing else happened. */
static void use_refused(struct df_stage *st, struct df_instance *i, const char *when, const char *text)
{
	struct df_error err = DF_ERROR_INIT;
	int r = df_instance_try(st, i, &err);
	const char *what = i->kind == DF_SOURCE ? "read" : "write";

	df_rule_check(st, r == DF_ERR_CLOSED && strstr(err.text, text),
		      "%s %s: expected the code DF_ERR_CLOSED with `%s`, saw %s%s%s", what, when, text,
		      r == 0 ? "success" : df_code_name(r), r ? ": " : "", r ? err.text : "");
}

static const char *use_before_connect_side(struct df_stage *st, enum df_component_kind kind)
{
	struct df_instance i = df_instance_new(st, kind, true);

	use_refused(st, &i, "before connect", "connector is not connected");
	df_instance_free(&i);
	return NULL;
}

static void use_before_connect(struct df_stage *st)
{
	df_each_side(st, use_before_connect_side);
}

static const char *use_after_close_side(struct df_stage *st, enum df_component_kind kind)
{
	struct df_instance i = df_instance_connected(st, kind, true);
	struct df_error err = DF_ERROR_INIT;

	must_succeed(st, kind, "close", df_instance_close(st, &i, &err), &err);
	use_refused(st, &i, "after close", "connector is closed");
	df_instance_free(&i);
	return NULL;
}

static void use_after_close(struct df_stage *st)
{
	df_each_side(st, use_after_close_side);
}

static const char *connect_twice_side(struct df_stage *st, enum df_component_kind kind)
{
	struct df_instance i = df_instance_connected(st, kind, true);
	struct df_footprint before, after;
	struct df_error err = DF_ERROR_INIT;

	df_stage_footprint(&before);
	must_succeed(st, kind, "the second connect", df_instance_connect(st, &i, NULL, &err), &err);
	df_stage_footprint(&after);
	df_rule_check(st, after.descriptors <= before.descriptors && after.threads <= before.threads,
		      "%s: a second connect opened something: %zu descriptors and %zu threads, before it %zu and %zu",
		      SIDE(kind), after.descriptors, after.threads, before.descriptors, before.threads);
	must_succeed(st, kind, "using it then", df_instance_use(st, &i, &err), &err);
	df_instance_end(st, &i);
	return NULL;
}

static void connect_twice(struct df_stage *st)
{
	df_each_side(st, connect_twice_side);
}

/* ---- several instances ----------------------------------------------------------------------------------- */

#define REOPENS 20

static const char *reopen_side(struct df_stage *st, enum df_component_kind kind)
{
	struct df_error err = DF_ERROR_INIT;

	for (size_t n = 0; n < REOPENS; n++) {
		struct df_instance i = df_instance_connected(st, kind, true);

		must_succeed(st, kind, "using a new instance", df_instance_use(st, &i, &err), &err);
		df_instance_end(st, &i);
	}
	return NULL;
}

static void reopen(struct df_stage *st)
{
	df_each_side(st, reopen_side);
}

/* A store that only one may write to refuses the second, and takes it when the first is gone. */
static const char *second_refused(struct df_stage *st, struct df_instance *one, struct df_instance *other,
				  const struct df_error *why)
{
	struct df_instance next;
	struct df_str text;

	df_rule_check(st, why->text[0], "%s: a second instance is refused without a text", SIDE(one->kind));
	df_instance_free(other);
	df_instance_end(st, one);
	next = df_instance_connected(st, one->kind, true);
	df_instance_end(st, &next);
	text = df_arena_dup(st->arena, df_str_c(why->text));
	return text.ptr ? text.ptr : "a second instance is refused";
}

static const char *two_instances_side(struct df_stage *st, enum df_component_kind kind)
{
	struct df_instance one = df_instance_connected(st, kind, true);
	struct df_instance other = df_instance_new(st, kind, true);
	struct df_error err = DF_ERROR_INIT;

	if (df_instance_connect(st, &other, NULL, &err) < 0)
		return second_refused(st, &one, &other, &err);
	df_instance_end(st, &one);
	must_succeed(st, kind, "using an instance after another one was closed and freed",
		     df_instance_use(st, &other, &err), &err);
	df_instance_end(st, &other);
	return NULL;
}

static void two_instances(struct df_stage *st)
{
	df_each_side(st, two_instances_side);
}

/* ---- rows ------------------------------------------------------------------------------------------------ */

const struct df_conformance_rule df_rules_lifecycle[] = {
	{ "lifecycle.close-twice", "A second close does nothing and succeeds.", 0, 0, close_twice },
	{ "lifecycle.close-together", "Closes from four threads at once all succeed, each within 1 s.", 0, 0,
	  close_together },
	{ "lifecycle.close-before-connect", "close of an instance that never connected succeeds and closes it.", 0, 0,
	  close_before_connect },
	{ "lifecycle.connect-after-close", "connect after close fails with `connector is closed` (DF_ERR_CLOSED).", 0,
	  0, connect_after_close },
	{ "lifecycle.connect-twice", "A second connect succeeds, opens nothing, and leaves the connection usable.", 0,
	  0, connect_twice },
	{ "lifecycle.use-before-connect",
	  "read or write before connect fails with `connector is not connected` (DF_ERR_CLOSED).", 0, 0,
	  use_before_connect },
	{ "lifecycle.use-after-close", "read or write after close fails with `connector is closed` (DF_ERR_CLOSED).", 0,
	  0, use_after_close },
	{ "lifecycle.reopen", "Twenty instances one after the other connect, work and close.", 0, 0, reopen },
	{ "lifecycle.two-instances",
	  "An instance works on when another one is closed and freed, or is refused while that one is open.", 0, 0,
	  two_instances },
	{ 0 },
};

#include "conformance/reader.h"

#include "conformance/internal.h"

#define CONNECT_NS (30 * DF_NS_PER_S)
#define END_NS (30 * DF_NS_PER_S)
#define GROUP_NS (60 * DF_NS_PER_S) /* a group waits for a member that was killed */
#define QUIET_NS (2 * DF_NS_PER_S)  /* a source without an end has given all when nothing came for so long */
#define COMMAND_NS (60 * DF_NS_PER_S)

void df_reader_connect(struct df_stage *st, struct df_source *s)
{
	struct df_context *ctx = df_context_new(NULL);
	struct df_error err = DF_ERROR_INIT;

	df_rule_check(st, ctx, "out of memory");
	df_context_deadline(ctx, df_clock_monotonic() + CONNECT_NS);
	df_stage_doing(st, "connecting the source");
	df_rule_ok(st, s->ops->connect(s, ctx, &err), &err, "connecting the source");
	df_context_free(ctx);
}

struct df_source *df_reader_at(struct df_stage *st, const char *checkpoint)
{
	struct df_source *s = df_stage_source(st);

	df_stage_restore(st, s, checkpoint ? checkpoint : "{}");
	df_reader_connect(st, s);
	return s;
}

static const struct df_component *component_of(struct df_stage *st)
{
	struct df_component *component = NULL;
	struct df_diags diags = { 0 };

	df_rule_check(st, df_stage_parse(st, DF_SOURCE, NULL, &component, &diags), "the source's settings are refused");
	return component;
}

void df_reader_need_position(struct df_stage *st)
{
	const struct df_component *component = component_of(st);
	struct df_source *s = df_stage_source(st);
	const struct df_source_ops *ops = s->ops;
	bool (*keeps)(const void *settings) = component->type->keeps_position;

	df_source_free(s);
	if (ops->keeps_own_position)
		return;
	if (!ops->restore)
		df_rule_not_applicable(st, "the source keeps no position");
	if (keeps && !keeps(component->settings))
		df_rule_not_applicable(st, "the source keeps no position with these settings");
}

void df_reader_read(struct df_stage *st, struct df_collector *c, struct df_source *s, size_t n)
{
	bool endless = component_of(st)->type->scales_out;
	struct df_reading *r = df_reading_start(st, c, s);
	struct df_error err = DF_ERROR_INIT;

	df_rule_check(st, df_reading_await(r, n, endless ? GROUP_NS : END_NS),
		      "%zu messages were to come, and only %zu have", n, c->messages);
	if (!endless) {
		df_rule_ok(st, df_reading_finish(r, END_NS, &err), &err, "read");
		return;
	}
	(void)df_reading_await(r, c->messages + 1, QUIET_NS);
	int code = df_reading_stop(r, END_NS, &err);

	if (code != DF_ERR_CANCELED)
		df_rule_ok(st, code, &err, "read");
}

struct df_collector *df_reader_rest(struct df_stage *st, const char *checkpoint, size_t n)
{
	struct df_source *s = df_reader_at(st, checkpoint);
	struct df_collector *c = df_collector_new(st);
	struct df_error err = DF_ERROR_INIT;

	df_reader_read(st, c, s, n);
	df_rule_ok(st, s->ops->close(s, &err), &err, "close of the source");
	df_source_free(s);
	return c;
}

void df_reader_rows(struct df_stage *st, struct df_collector *c, struct df_rows_seen *ret)
{
	ret->count = c->messages;
	ret->rows = df_arena_alloc(st->arena, (ret->count + 1) * sizeof(struct df_value *));
	ret->ids = df_arena_alloc(st->arena, (ret->count + 1) * sizeof(*ret->ids));
	df_rule_check(st, ret->rows && ret->ids, "out of memory");
	for (size_t i = 0; i < ret->count; i++) {
		ret->rows[i] = df_collector_row(st, c, i);
		ret->ids[i] = df_collector_id(st, c, i);
	}
}

size_t df_reader_boundary(struct df_collector *c, size_t most)
{
	while (most > 0 && df_collector_message(c, most - 1)->joined)
		most--;
	return most;
}

/* ---- all rows, and what is done of them ------------------------------------------------------------------------ */

struct df_collector *df_reader_all(struct df_stage *st, struct df_source **ret_s)
{
	struct df_collector *c = df_collector_new(st);

	df_reader_need_position(st);
	df_stage_feed(st, 1, DF_READER_ROWS);
	*ret_s = df_reader_at(st, NULL);
	c->emitter.batch_messages = 10;
	df_reader_read(st, c, *ret_s, DF_READER_ROWS);
	df_rule_check(st, c->messages == DF_READER_ROWS, "of %d rows %zu were read", DF_READER_ROWS, c->messages);
	return c;
}

const char *df_reader_commit(struct df_stage *st, struct df_collector *c, struct df_source *s, size_t from, size_t n)
{
	const char *checkpoint = df_collector_commit(st, c, s, from, n);

	df_rule_check(st, n == 0 || s->ops->keeps_own_position || strcmp(checkpoint, "{}") != 0,
		      "%zu rows were committed, and the checkpoint is empty", n);
	return checkpoint;
}

bool *df_reader_ids(struct df_stage *st, struct df_collector *c, size_t from, size_t n)
{
	bool *there = df_arena_zalloc(st->arena, DF_READER_ROWS);

	df_rule_check(st, there, "out of memory");
	for (size_t i = from; i < from + n; i++) {
		int64_t id = df_collector_id(st, c, i);

		df_rule_check(st, id >= 1 && id <= DF_READER_ROWS, "a message is none of the rows: %s",
			      df_rule_value(st, df_collector_row(st, c, i)));
		there[id - 1] = true;
	}
	return there;
}

void df_reader_renew(struct df_stage *st)
{
	struct df_shell shell = {
		.command = st->options->cleanup, .name = st->name, .server = st->options->server, .in = -1, .out = -1
	};
	struct df_error err = DF_ERROR_INIT;

	df_stage_doing(st, "running the cleanup command");
	df_rule_ok(st, df_shell_run(&shell, df_clock_monotonic() + COMMAND_NS, &err), &err, "the cleanup command");
	df_stage_name(st, st->name);
}

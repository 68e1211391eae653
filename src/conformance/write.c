/* Writes of a rule. */
#include <string.h>

#include "conformance/internal.h"

#define WRITE_NS (60 * DF_NS_PER_S)
#define ROWS_A_WRITE 1000

static void *allocate(struct df_stage *st, size_t size)
{
	void *p = df_arena_zalloc(st->arena, size);

	if (!p)
		df_rule_fail(st, "the suite is out of memory");
	return p;
}

void df_stage_write_init(struct df_stage *st, struct df_stage_write *w, const char *const *payloads, size_t n)
{
	struct df_error err = DF_ERROR_INIT;
	struct df_arena *arena = allocate(st, sizeof(*arena));

	*w = (struct df_stage_write){ .count = n };
	w->messages = calloc(n + 1, sizeof(*w->messages));
	w->pointers = calloc(n + 1, sizeof(struct df_message *));
	df_rule_check(st, w->messages && w->pointers, "the suite is out of memory");
	for (size_t i = 0; i < n; i++) {
		w->messages[i].payload = df_str_c(payloads[i]);
		w->pointers[i] = &w->messages[i];
	}
	df_arena_init(arena, NULL);
	df_rule_ok(st, df_write_init(&w->w, w->pointers, n, arena, &err), &err, "the suite's write");
	w->w.token = st->p->run + ++st->p->writes;
}

const char *const *df_stage_row_texts(struct df_stage *st, int64_t first, size_t n)
{
	const char **texts = allocate(st, (n + 1) * sizeof(*texts));
	char text[96];

	for (size_t i = 0; i < n; i++) {
		long long id = (long long)first + (long long)i;

		snprintf(text, sizeof(text), "{\"id\":%lld,\"name\":\"row %lld\"}", id, id);
		texts[i] = df_arena_dup(st->arena, df_str_c(text)).ptr;
		df_rule_check(st, texts[i], "the suite is out of memory");
	}
	return texts;
}

void df_stage_write_rows(struct df_stage *st, struct df_stage_write *w, int64_t first, size_t n)
{
	df_stage_write_init(st, w, df_stage_row_texts(st, first, n), n);
}

void df_stage_write_done(struct df_stage_write *w)
{
	struct df_arena *arena = w->w.arena;

	df_write_destroy(&w->w);
	if (arena)
		df_arena_done(arena);
	free(w->messages);
	free(w->pointers);
	*w = (struct df_stage_write){ 0 };
}

/* What a transactional sink stores beside the rows: no two writes share it. */
static void give_checkpoint(struct df_stage *st, const struct df_sink *s, struct df_stage_write *w)
{
	struct df_component *component = NULL;
	struct df_diags diags = { 0 };
	char text[64];

	if (w->w.checkpoint.ptr || !s->ops->transactional)
		return;
	if (df_stage_parse(st, DF_SINK, NULL, &component, &diags) && s->ops->transactional(component->settings)) {
		snprintf(text, sizeof(text), "{\"write\":%llu}", (unsigned long long)w->w.token);
		w->w.checkpoint = df_arena_dup(st->arena, df_str_c(text));
	}
	df_diags_done(&diags);
}

int df_stage_write_run(struct df_stage *st, struct df_sink *s, struct df_stage_write *w, int64_t ns,
		       struct df_error *err)
{
	df_cleanup(df_context_freep) struct df_context *ctx = df_context_new(NULL);

	df_rule_check(st, ctx, "the suite is out of memory");
	give_checkpoint(st, s, w);
	df_context_deadline(ctx, df_clock_monotonic() + ns);
	df_stage_doing(st, "writing %zu rows", w->count);
	return df_write_run(s, ctx, &w->w, err);
}

static void check_written(struct df_stage *st, const struct df_stage_write *w)
{
	for (size_t i = 0; i < w->count; i++) {
		const struct df_error *result = df_write_result(&w->w, i);

		if (result)
			df_rule_fail(st, "writing %zu rows: message %zu: %s: %s", w->count, i,
				     df_code_name(result->code), result->text);
	}
}

static void sync_sink(struct df_stage *st, struct df_sink *s)
{
	df_cleanup(df_context_freep) struct df_context *ctx = df_context_new(NULL);
	struct df_error err = DF_ERROR_INIT;
	int r;

	if (!s->ops->sync)
		return;
	df_rule_check(st, ctx, "the suite is out of memory");
	df_context_deadline(ctx, df_clock_monotonic() + WRITE_NS);
	df_stage_doing(st, "making durable what was written");
	r = s->ops->sync(s, ctx, true, &err);
	df_rule_check(st, r != DF_SYNC_LATER, "the last sync answered `later`");
	df_rule_ok(st, r, &err, "sync");
}

void df_stage_write_payloads(struct df_stage *st, struct df_sink *s, const char *const *payloads, size_t n)
{
	for (size_t at = 0; at < n; at += ROWS_A_WRITE) {
		size_t count = n - at < ROWS_A_WRITE ? n - at : ROWS_A_WRITE;
		struct df_error err = DF_ERROR_INIT;
		struct df_stage_write w;

		df_stage_write_init(st, &w, payloads + at, count);
		df_rule_ok(st, df_stage_write_run(st, s, &w, WRITE_NS, &err), &err, "writing rows");
		check_written(st, &w);
		df_stage_write_done(&w);
	}
	sync_sink(st, s);
}

void df_stage_write_all(struct df_stage *st, struct df_sink *s, int64_t first, size_t n)
{
	df_stage_write_payloads(st, s, df_stage_row_texts(st, first, n), n);
}

#include "conformance/deliver.h"

#include <stdarg.h>

#define SYNC_NS (30 * DF_NS_PER_S)
#define WRITE_NS (30 * DF_NS_PER_S)
#define VALUE_SHOWN 120

/* ---- texts ------------------------------------------------------------------------------------------------- */

char *df_rule_text(struct df_stage *st, const char *fmt, ...)
{
	va_list args;
	char *text = NULL;

	va_start(args, fmt);
	int len = vasprintf(&text, fmt, args);
	va_end(args);
	struct df_str kept = len < 0 ? (struct df_str){ 0 } : df_arena_dup(st->arena, df_str(text, (size_t)len));

	free(text);
	df_rule_check(st, kept.ptr, "out of memory");
	return (char *)kept.ptr;
}

const char *df_rule_error(struct df_stage *st, const struct df_error *err)
{
	return df_rule_text(st, "%s: %s", df_code_name(err->code), err->text);
}

const char *df_rule_value(struct df_stage *st, const struct df_value *value)
{
	struct df_str text = value ? df_value_to_arena(value, st->arena) : DF_STR("nothing");
	size_t shown = text.len < VALUE_SHOWN ? text.len : VALUE_SHOWN;

	while (shown < text.len && shown > 0 && ((unsigned char)text.ptr[shown] & 0xc0) == 0x80)
		shown--;
	if (shown == text.len)
		return df_rule_text(st, DF_STR_FMT, DF_STR_ARG(text));
	return df_rule_text(st, "%.*s... (%zu bytes)", (int)shown, text.ptr, text.len);
}

/* ---- delivering -------------------------------------------------------------------------------------------- */

struct delivering {
	struct df_stage *st;
	struct df_sink *sink;
	int64_t ns;
	bool transactional;
	struct df_delivery *d;
};

static void settle(struct delivering *dv, size_t i, const struct df_error *result)
{
	struct df_delivery *d = dv->d;

	if (result)
		d->results[i] = *result;
	if (!result)
		d->written++;
	else if (df_code_poison(result->code))
		d->refused++;
	else
		d->failed++;
}

/* A write lives until the sink is closed, so it stays with the rule. */
static struct df_write *new_write(struct delivering *dv, struct df_message *const *messages, size_t n)
{
	struct df_arena *arena = df_arena_zalloc(dv->st->arena, sizeof(*arena));
	struct df_write *w = df_arena_zalloc(dv->st->arena, sizeof(*w));
	struct df_error err = DF_ERROR_INIT;

	df_rule_check(dv->st, arena && w, "out of memory");
	df_rule_ok(dv->st, df_write_init(w, messages, n, arena, &err), &err, "a write is made");
	w->token = (uint64_t)df_clock_monotonic(); /* no two writes of the rule share it */
	if (dv->transactional)
		w->checkpoint =
			df_str_c(df_rule_text(dv->st, "{\"test\":{\"write\":%llu}}", (unsigned long long)w->token));
	return w;
}

static void deliver_some(struct delivering *dv, struct df_message *const *messages, const size_t *at, size_t n);

/* Those that a transactional sink did not refuse, again. */
static void deliver_undone(struct delivering *dv, struct df_write *w, struct df_message *const *messages,
			   const size_t *at, size_t n)
{
	struct df_message **again = df_arena_alloc(dv->st->arena, n * sizeof(*again));
	size_t *again_at = df_arena_alloc(dv->st->arena, n * sizeof(*again_at));
	size_t count = 0;

	df_rule_check(dv->st, again && again_at, "out of memory");
	for (size_t i = 0; i < n; i++) {
		if (df_write_result(w, i)) {
			settle(dv, at[i], df_write_result(w, i));
			continue;
		}
		again[count] = messages[i];
		again_at[count++] = at[i];
	}
	df_rule_check(dv->st, count < n, "write said that it was undone, and refused no message");
	if (count > 0)
		deliver_some(dv, again, again_at, count);
}

/* at: what the messages' numbers are in the delivery. */
static void deliver_some(struct delivering *dv, struct df_message *const *messages, const size_t *at, size_t n)
{
	struct df_write *w = new_write(dv, messages, n);
	struct df_context *ctx = df_context_new(NULL);
	struct df_error err = DF_ERROR_INIT;

	df_rule_check(dv->st, ctx, "out of memory");
	df_context_deadline(ctx, df_clock_monotonic() + dv->ns);
	df_stage_doing(dv->st, "writing %zu messages", n);
	int code = df_write_run(dv->sink, ctx, w, &err);

	df_context_free(ctx);
	if (code == DF_WRITE_UNDONE) {
		df_rule_check(dv->st, dv->transactional,
			      "write said that it was undone, and the sink is not transactional");
		deliver_undone(dv, w, messages, at, n);
		return;
	}
	if (code < 0 && df_code_poison(code) && n > 1) {
		size_t half = n / 2;

		dv->d->splits++;
		deliver_some(dv, messages, at, half);
		deliver_some(dv, messages + half, at + half, n - half);
		return;
	}
	for (size_t i = 0; i < n; i++)
		settle(dv, at[i], df_write_result(w, i));
}

static bool is_transactional(struct df_stage *st, const struct df_sink *s)
{
	struct df_component *component;
	struct df_diags diags = { 0 };

	return s->ops->transactional && df_stage_parse(st, DF_SINK, NULL, &component, &diags) &&
	       s->ops->transactional(component->settings);
}

void df_deliver(struct df_stage *st, struct df_sink *s, struct df_message *const *messages, size_t n, int64_t ns,
		struct df_delivery *ret)
{
	struct delivering dv = { .st = st, .sink = s, .ns = ns, .transactional = is_transactional(st, s), .d = ret };
	size_t *at = df_arena_alloc(st->arena, n * sizeof(*at));

	*ret = (struct df_delivery){ .results = df_arena_zalloc(st->arena, n * sizeof(*ret->results)), .count = n };
	df_rule_check(st, at && ret->results, "out of memory");
	for (size_t i = 0; i < n; i++)
		at[i] = i;
	deliver_some(&dv, messages, at, n);
}

const struct df_error *df_delivery_failure(const struct df_delivery *d)
{
	for (size_t i = 0; i < d->count; i++) {
		if (d->results[i].code != 0)
			return &d->results[i];
	}
	return NULL;
}

static void deliver_write(struct df_stage *st, struct df_sink *s, struct df_stage_write *w)
{
	struct df_delivery d;

	df_deliver(st, s, w->pointers, w->count, WRITE_NS, &d);
	for (size_t i = 0; i < w->count; i++)
		df_rule_check(st, d.results[i].code == 0, "message %zu of %zu, " DF_STR_FMT ", is not written: %s", i,
			      w->count, DF_STR_ARG(w->pointers[i]->payload), df_rule_error(st, &d.results[i]));
}

void df_deliver_all(struct df_stage *st, struct df_sink *s, const char *const *payloads, size_t n)
{
	struct df_stage_write w;

	df_stage_write_init(st, &w, payloads, n);
	deliver_write(st, s, &w);
}

void df_deliver_rows(struct df_stage *st, struct df_sink *s, int64_t first, size_t n)
{
	struct df_stage_write w;

	df_stage_write_rows(st, &w, first, n);
	deliver_write(st, s, &w);
}

void df_deliver_sync(struct df_stage *st, struct df_sink *s)
{
	struct df_context *ctx = df_context_new(NULL);
	struct df_error err = DF_ERROR_INIT;

	df_rule_check(st, ctx, "out of memory");
	df_stage_doing(st, "making durable what was written");
	df_context_deadline(ctx, df_clock_monotonic() + SYNC_NS);
	int code = s->ops->sync ? s->ops->sync(s, ctx, true, &err) : 0;

	df_context_free(ctx);
	df_rule_check(st, code != DF_SYNC_LATER, "the final sync said later");
	df_rule_ok(st, code, &err, "the final sync");
}

void df_deliver_end(struct df_stage *st, struct df_sink *s)
{
	struct df_error err = DF_ERROR_INIT;

	df_deliver_sync(st, s);
	df_rule_ok(st, s->ops->close(s, &err), &err, "close of the sink");
	df_sink_free(s);
}

/* ---- rows -------------------------------------------------------------------------------------------------- */

struct df_value *df_rows_find(struct df_stage *st, const struct df_rows_seen *seen, int64_t id)
{
	struct df_value *found = NULL;

	for (size_t i = 0; i < seen->count; i++) {
		if (seen->ids[i] != id)
			continue;
		df_rule_check(st, !found, "the row with id %lld stands there more than once", (long long)id);
		found = seen->rows[i];
	}
	return found;
}

static void check_name(struct df_stage *st, const struct df_value *row, int64_t id, const char *what)
{
	const struct df_value *name = df_object_get_c(row, "name");
	char expected[32];

	(void)snprintf(expected, sizeof(expected), "row %lld", (long long)id);
	if (name && name->kind == DF_STRING && !df_value_string_equal(name, df_str_c(expected)))
		df_rule_fail(st, "%s: the row with id %lld has the name %s instead of \"%s\"", what, (long long)id,
			     df_rule_value(st, name), expected);
}

void df_rows_check(struct df_stage *st, const struct df_rows_seen *seen, int64_t first, size_t n, const bool *without,
		   bool doubles, const char *what)
{
	unsigned *times = df_arena_zalloc(st->arena, (n + 1) * sizeof(*times));
	size_t missing = 0;
	int64_t first_missing = 0;

	df_rule_check(st, times, "out of memory");
	for (size_t i = 0; i < seen->count; i++) {
		int64_t at = seen->ids[i] - first;

		if (at < 0 || at >= (int64_t)n || (without && without[at]))
			df_rule_fail(st, "%s: there is a row that was not written: %s", what,
				     df_rule_value(st, seen->rows[i]));
		df_rule_check(st, ++times[at] == 1 || doubles, "%s: the row with id %lld is there twice", what,
			      (long long)seen->ids[i]);
		check_name(st, seen->rows[i], seen->ids[i], what);
	}
	for (size_t i = 0; i < n; i++) {
		if (times[i] > 0 || (without && without[i]))
			continue;
		if (missing++ == 0)
			first_missing = first + (int64_t)i;
	}
	df_rule_check(st, missing == 0, "%s: of %zu rows %zu are missing, the first has id %lld", what, n, missing,
		      (long long)first_missing);
}

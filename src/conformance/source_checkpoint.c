/* Rules on checkpoints that are not what the source wrote: damaged, another store's, or of rows that are gone. */
#include "conformance/reader.h"

#define ROWS DF_READER_ROWS
#define COME_NS (60 * DF_NS_PER_S)

/* A warning about the checkpoint among what was said behind `from`. */
static bool has_warned(struct df_stage *st, size_t from)
{
	struct df_str log = df_stage_log(st);

	for (size_t end; from < log.len; from = end + 1) {
		const char *newline = memchr(log.ptr + from, '\n', log.len - from);

		end = newline ? (size_t)(newline - log.ptr) : log.len;
		if (memmem(log.ptr + from, end - from, "WARN", 4) &&
		    memmem(log.ptr + from, end - from, "checkpoint", 10))
			return true;
	}
	return false;
}

/*
 * Refused by name, or nothing that was open is missing. *ret_refused: which. A checkpoint that is another store's may
 * be gone on from with a warning: a query whose text has changed.
 */
static void expect_refused_or_whole(struct df_stage *st, const char *checkpoint, const bool *done, int64_t first,
				    bool *ret_refused, const char *what)
{
	struct df_source *s = df_stage_source(st);
	struct df_collector *c = df_collector_new(st);
	struct df_context *ctx = df_context_new(NULL);
	struct df_value *document = NULL;
	struct df_error err = DF_ERROR_INIT;
	struct df_rows_seen seen;
	size_t said = df_stage_log(st).len;

	df_rule_check(st, ctx && df_value_parse(df_str_c(checkpoint), st->arena, &document, NULL) == DF_PARSE_OK,
		      "out of memory");
	df_context_deadline(ctx, df_clock_monotonic() + COME_NS);
	df_stage_doing(st, "going on from %s: %s", what, checkpoint);
	int code = s->ops->restore(s, document, &err);

	if (code == 0)
		code = s->ops->connect(s, ctx, &err);
	if (code == 0)
		code = s->ops->read(s, ctx, &c->emitter, &err);
	df_context_free(ctx);
	df_source_free(s);
	*ret_refused = code != 0;
	if (code != 0) {
		df_rule_check(st, code == DF_ERR_CONFIG,
			      "%s (%s) is answered with %s; it should be a config error that names "
			      "checkpointReset",
			      what, checkpoint, df_rule_error(st, &err));
		df_rule_check(st, strstr(err.text, "checkpointReset"),
			      "%s (%s) is refused, and the error does not name checkpointReset: %s", what, checkpoint,
			      err.text);
		return;
	}
	df_reader_rows(st, c, &seen);
	bool *there = df_arena_zalloc(st->arena, ROWS);

	df_rule_check(st, there, "out of memory");
	for (size_t i = 0; i < seen.count; i++) {
		if (seen.ids[i] >= first && seen.ids[i] < first + ROWS)
			there[seen.ids[i] - first] = true;
	}
	bool warned = !done && has_warned(st, said);

	for (size_t i = 0; i < ROWS; i++)
		df_rule_check(st, there[i] || warned || (done && done[i]),
			      "%s (%s) is taken without a word, and rows are missing: the first has id %lld", what,
			      checkpoint, (long long)first + (long long)i);
	df_collector_free(c);
}

/* Scalar number n of a document, in its order; NULL: there are fewer. */
static struct df_value *scalar_at(struct df_value *v, size_t *n)
{
	struct df_value *found = NULL;

	if (!df_value_is_container(v))
		return (*n)-- == 0 ? v : NULL;
	df_for_each (child, v) {
		if (!found)
			found = scalar_at(child, n);
	}
	return found;
}

static struct df_value *parse(struct df_stage *st, const char *text)
{
	struct df_value *v = NULL;

	df_rule_check(st, df_value_parse(df_str_c(text), st->arena, &v, NULL) == DF_PARSE_OK,
		      "the checkpoint that commit wrote is no JSON: %s", text);
	return v;
}

static const char *text_of(struct df_stage *st, const struct df_value *v)
{
	return df_rule_text(st, DF_STR_FMT, DF_STR_ARG(df_value_to_arena(v, st->arena)));
}

/* What one scalar of a checkpoint may have become: a value of another kind. A value of its own kind is a position as
 * good as any. */
static const char *const damages[] = { "{\"damaged\":true}", "[]", "true" };

/* A checkpoint of half the rows. */
static const char *half_checkpoint(struct df_stage *st, const bool **ret_done)
{
	struct df_source *s;
	struct df_collector *c = df_reader_all(st, &s);
	const char *checkpoint;

	if (s->ops->keeps_own_position)
		df_rule_not_applicable(st, "the source keeps its position itself");
	checkpoint = df_reader_commit(st, c, s, 0, ROWS / 2);
	*ret_done = df_reader_ids(st, c, 0, ROWS / 2);
	df_source_free(s);
	return checkpoint;
}

static void checkpoint_damaged(struct df_stage *st)
{
	const bool *done;
	const char *checkpoint = half_checkpoint(st, &done);
	size_t tried = 0, refusals = 0;
	bool refused;

	for (size_t i = 0;; i++) {
		for (size_t d = 0; d < DF_ARRAY_SIZE(damages); d++) {
			struct df_value *document = parse(st, checkpoint);
			size_t n = i;
			struct df_value *scalar = scalar_at(document, &n);

			if (!scalar && i > 0) {
				df_rule_note(st, "%zu of %zu refused, %zu went on without a loss", refusals, tried,
					     tried - refusals);
				return;
			}
			df_rule_check(st, scalar, "a checkpoint without a value: %s", checkpoint);
			df_value_replace(scalar, parse(st, damages[d]));
			expect_refused_or_whole(st, text_of(st, document), done, 1, &refused, "a damaged checkpoint");
			tried++;
			refusals += refused;
		}
	}
}

/* Nothing of it can be read: there is no position to go on from, and no silent start from the beginning either. */
static void checkpoint_garbage(struct df_stage *st)
{
	const bool *done;
	struct df_value *document = parse(st, half_checkpoint(st, &done));
	struct df_value *scalar;
	size_t i = 0, n = 0;
	bool refused;

	while ((scalar = scalar_at(document, &n)) != NULL) {
		df_value_replace(scalar, parse(st, "{}")); /* an empty object has no scalar: the next one moves up */
		n = 0;
		i++;
	}
	df_rule_check(st, i > 0, "a checkpoint without a value");
	expect_refused_or_whole(st, text_of(st, document), done, 1, &refused, "a checkpoint of garbage");
	df_rule_check(st, refused, "a checkpoint of garbage (%s) is taken without a word", text_of(st, document));
}

static void checkpoint_foreign(struct df_stage *st)
{
	const bool *done;
	const char *checkpoint = half_checkpoint(st, &done);
	bool refused;

	df_stage_name(st, NULL);
	df_stage_feed(st, 1, ROWS);
	expect_refused_or_whole(st, checkpoint, NULL, 1, &refused, "the checkpoint of another store");
	df_rule_note(st, refused ? "refused" : "went on, without a loss or with a warning");
}

/* The store was emptied and filled anew while the pipeline was away. */
static void position_gone(struct df_stage *st)
{
	const bool *done;
	const char *checkpoint = half_checkpoint(st, &done);
	bool refused;

	if (!st->options->cleanup)
		df_rule_not_applicable(st, "no --cleanup, which empties the store");
	df_reader_renew(st);
	df_stage_feed(st, 10 * ROWS, ROWS);
	expect_refused_or_whole(st, checkpoint, NULL, 10 * ROWS, &refused, "a position in a store that was made anew");
	df_rule_note(st, refused ? "refused" : "all rows were read");
}

#define NEEDS (DF_NEEDS_SOURCE | DF_NEEDS_FEED | DF_NEEDS_NAME)

const struct df_conformance_rule df_rules_source_checkpoint[] = {
	{ "source.checkpoint-damaged",
	  "A checkpoint with a damaged value is refused by an error that names checkpointReset, or nothing is lost.",
	  NEEDS, 180, checkpoint_damaged },
	{ "source.checkpoint-garbage", "A checkpoint that has nothing readable is refused by name.", NEEDS, 180,
	  checkpoint_garbage },
	{ "source.checkpoint-foreign", "The checkpoint of another store is refused by name, or nothing is lost.", NEEDS,
	  180, checkpoint_foreign },
	{ "source.position-gone",
	  "A position in a store that was emptied and filled anew is refused by name, or nothing is lost.", NEEDS, 180,
	  position_gone },
	{ 0 },
};

/*
 * Rules on positions: where a new instance goes on. Read everything, declare a part of it done, and look what the next
 * one reads. Only what was told to be done may be behind the position: that is what at least once means.
 */
#include <signal.h>
#include <stdio.h>

#include "conformance/reader.h"

#define ROWS DF_READER_ROWS
#define COME_NS (60 * DF_NS_PER_S)
#define CHECKPOINT_MAX (256 * 1024)

/*
 * A new instance goes on: every row that is not done is there. exactly: and none that is done.
 */
static void expect_rest(struct df_stage *st, const char *checkpoint, const bool *done, bool exactly, const char *what)
{
	size_t left = 0, again = 0;

	for (size_t i = 0; i < ROWS; i++)
		left += !done[i];
	struct df_collector *c = df_reader_rest(st, checkpoint, left);
	const bool *there = df_reader_ids(st, c, 0, c->messages);

	for (size_t i = 0; i < ROWS; i++) {
		df_rule_check(
			st, done[i] || there[i],
			"%s, the row with id %zu was not done, and the next instance does not read it (it reads %zu, "
			"from %s)",
			what, i + 1, c->messages, checkpoint);
		again += done[i] && there[i];
	}
	df_rule_check(st, !exactly || again == 0,
		      "%s, %zu rows that were done are read again, though reading could go on right behind them (from "
		      "%s)",
		      what, again, checkpoint);
	df_collector_free(c);
}

/* ---- a part was done --------------------------------------------------------------------------------------- */

static void resume_none(struct df_stage *st)
{
	struct df_source *s;
	struct df_collector *c = df_reader_all(st, &s);
	const char *checkpoint = df_reader_commit(st, c, s, 0, 0);

	df_source_free(s);
	expect_rest(st, checkpoint, df_reader_ids(st, c, 0, 0), true, "nothing was done");
}

static void resume_half(struct df_stage *st)
{
	struct df_source *s;
	struct df_collector *c = df_reader_all(st, &s);
	const char *checkpoint = df_reader_commit(st, c, s, 0, ROWS / 2);

	df_source_free(s);
	expect_rest(st, checkpoint, df_reader_ids(st, c, 0, ROWS / 2), false, "half was done");
}

static void resume_all(struct df_stage *st)
{
	struct df_source *s;
	struct df_collector *c = df_reader_all(st, &s);
	const char *checkpoint = df_reader_commit(st, c, s, 0, ROWS);
	struct df_rows_seen seen;

	df_source_free(s);
	expect_rest(st, checkpoint, df_reader_ids(st, c, 0, ROWS), true, "all was done");
	/* And what comes later is read. */
	df_stage_feed(st, ROWS + 1, 5);
	df_reader_rows(st, df_reader_rest(st, checkpoint, 5), &seen);
	df_rows_check(st, &seen, ROWS + 1, 5, NULL, false, "rows that came after all was done");
}

/* One instance after the other, each a few rows further. */
static void resume_steps(struct df_stage *st)
{
	static const size_t steps[] = { 1, 9, 10, 30, 49 };
	struct df_source *s;
	struct df_collector *c = df_reader_all(st, &s);
	bool *done = df_reader_ids(st, c, 0, 0);
	size_t at = 0;

	for (size_t i = 0; i < DF_ARRAY_SIZE(steps); i++) {
		size_t n = df_reader_boundary(c, at + steps[i]);

		if (n <= at)
			continue;
		const char *checkpoint = df_reader_commit(st, c, s, at, n - at);
		const bool *more = df_reader_ids(st, c, at, n - at);

		for (size_t k = 0; k < ROWS; k++)
			done[k] |= more[k];
		at = n;
		if (!s->ops->keeps_own_position) /* a group's other member would take its partitions */
			expect_rest(st, checkpoint, done, true, df_rule_text(st, "%zu of 100 were done", at));
	}
	df_source_free(s);
	df_rule_check(st, at > 0, "no row has a position that reading can go on behind");
}

/* Done out of order: the position stays below the first that is open. */
static void resume_gap(struct df_stage *st)
{
	struct df_source *s;
	struct df_collector *c = df_reader_all(st, &s);
	const char *checkpoint;

	(void)df_reader_commit(st, c, s, 0, 10);
	checkpoint = df_reader_commit(st, c, s, 11, ROWS - 11); /* all but the row at 10 */
	df_source_free(s);
	struct df_collector *rest = df_reader_rest(st, checkpoint, 1);
	const bool *there = df_reader_ids(st, rest, 0, rest->messages);
	int64_t open = df_collector_id(st, c, 10);

	df_rule_check(st, there[open - 1],
		      "the row with id %lld is not done, rows behind it are, and it is not read again",
		      (long long)open);
}

/* ---- what commit does -------------------------------------------------------------------------------------- */

static void commit_keeps_keys(struct df_stage *st)
{
	struct df_source *s;
	struct df_collector *c = df_reader_all(st, &s);
	struct df_value *theirs = df_value_string(st->arena, DF_STR("theirs"));

	if (s->ops->keeps_own_position)
		df_rule_not_applicable(st, "the source keeps its position itself");
	df_rule_check(st, theirs, "out of memory");
	df_object_set(c->checkpoint, DF_STR("aKeyOfAnotherVersion"), theirs);
	const char *checkpoint = df_reader_commit(st, c, s, 0, ROWS / 2);

	df_rule_check(st, strstr(checkpoint, "\"aKeyOfAnotherVersion\":\"theirs\""),
		      "a key that the source does not know is gone from the checkpoint: %s", checkpoint);
	df_source_free(s);
	expect_rest(st, checkpoint, df_reader_ids(st, c, 0, ROWS / 2), false,
		    "half was done, and the checkpoint has a key that the source does not know");
}

struct committing {
	struct df_stage *st;
	struct df_collector *c;
	struct df_source *s;
	size_t n;
};

static int commit_some(void *arg, struct df_error *err)
{
	struct committing *m = arg;

	(void)err;
	(void)df_collector_commit(m->st, m->c, m->s, 0, m->n);
	return 0;
}

/* commit comes from another thread than read. */
static void commit_beside_read(struct df_stage *st)
{
	struct df_collector *c = df_collector_new(st);
	struct df_error err = DF_ERROR_INIT;
	struct df_source *s;

	df_reader_need_position(st);
	df_stage_feed(st, 1, ROWS);
	s = df_reader_at(st, NULL);
	c->emitter.batch_messages = 10;
	c->block_after = 20;
	struct df_reading *r = df_reading_start(st, c, s);

	df_rule_check(st, df_reading_await(r, 20, COME_NS), "of 100 rows only %zu came within 60 s", c->messages);
	struct df_task *task = df_task_start(st, commit_some, &(struct committing){ st, c, s, 20 });

	(void)df_task_end(st, task, df_soon_ns(st), "commit, while read waits for downstream,", &err);
	pthread_mutex_lock(&c->lock);
	c->block_after = 0;
	pthread_cond_broadcast(&c->changed);
	pthread_mutex_unlock(&c->lock);
	df_rule_check(st, df_reading_await(r, ROWS, COME_NS), "after a commit only %zu of 100 rows came", c->messages);
	(void)df_reading_stop(r, df_soon_ns(st), &err);
	df_source_free(s);
}

/* Everything up to here, as a sink that stores the position with the rows asks it. */
static void describe(struct df_stage *st)
{
	struct df_source *s;
	struct df_collector *c = df_reader_all(st, &s);
	struct df_value *described = df_value_new(st->arena, DF_OBJECT);
	struct df_message *messages[ROWS];
	struct df_commit *commits = NULL;
	struct df_error err = DF_ERROR_INIT;
	size_t count = 0, half = df_reader_boundary(c, ROWS / 2);

	df_rule_check(st, described, "out of memory");
	if (!s->ops->describe)
		df_rule_not_applicable(st, "the source does not describe positions: no exactlyOnce behind it");
	int code = s->ops->describe(s, NULL, 0, described, st->arena, &err);

	if (code == DF_ERR_CONFIG)
		df_rule_not_applicable(st, "with these settings there is no exact position: %s", err.text);
	df_rule_ok(st, code, &err, "describe without positions");
	if (half == 0)
		df_rule_not_applicable(st, "no row has a position that reading can go on behind");
	for (size_t i = 0; i < ROWS; i++)
		messages[i] = df_collector_message(c, i);
	df_rule_ok(st, df_ledger_preview(messages, half, st->arena, &commits, &count, &err), &err,
		   "the suite's ledger");
	df_rule_ok(st, s->ops->describe(s, commits, count, described, st->arena, &err), &err, "describe");
	const char *text = df_rule_text(st, DF_STR_FMT, DF_STR_ARG(df_value_to_arena(described, st->arena)));
	/* It recorded nothing: a commit of less says less. */
	size_t less = df_reader_boundary(c, 10);
	const char *checkpoint = df_reader_commit(st, c, s, 0, less);
	bool own = s->ops->keeps_own_position;

	df_source_free(s);
	if (!own) {
		expect_rest(st, text, df_reader_ids(st, c, 0, half), true, "half was described");
		expect_rest(st, checkpoint, df_reader_ids(st, c, 0, less), true,
			    "half was described and 10 rows were committed");
	}
}

/* ---- kill -9 ----------------------------------------------------------------------------------------------- */

/* What the killed process leaves behind. */
struct left {
	bool done[ROWS];
	char checkpoint[CHECKPOINT_MAX];
};

/* Reads, commits a number of rows, and dies. */
static void read_and_die(struct df_stage *st, struct left *left, size_t block_after, size_t committed, size_t done)
{
	struct df_collector *c = df_collector_new(st);
	struct df_source *s = df_reader_at(st, NULL);

	c->emitter.batch_messages = 10;
	c->block_after = block_after;
	struct df_reading *r = df_reading_start(st, c, s);
	size_t n = block_after ? block_after : ROWS;

	df_rule_check(st, df_reading_await(r, n, COME_NS) && c->messages >= n, "of %zu rows only %zu came", n,
		      c->messages);
	if (committed > 0) {
		memcpy(left->done, df_reader_ids(st, c, 0, committed), sizeof(left->done));
		(void)snprintf(left->checkpoint, CHECKPOINT_MAX, "%s", df_reader_commit(st, c, s, 0, committed));
	}
	for (size_t i = committed; i < done; i++) /* done, and nobody was told */
		df_ledger_done_one(df_collector_message(c, i));
	df_stage_die();
}

static void die_reading(struct df_stage *st, void *shared)
{
	read_and_die(st, shared, 50, 0, 0);
}

static void die_before_commit(struct df_stage *st, void *shared)
{
	read_and_die(st, shared, 0, 20, ROWS);
}

static void die_after_commit(struct df_stage *st, void *shared)
{
	read_and_die(st, shared, 0, 60, 60);
}

static void kill_and_go_on(struct df_stage *st, void (*fn)(struct df_stage *st, void *shared), const char *what)
{
	void *shared;

	df_reader_need_position(st);
	df_stage_feed(st, 1, ROWS);
	df_rule_check(st, df_stage_in_child(st, fn, sizeof(struct left), 2 * COME_NS, &shared) == SIGKILL,
		      "the reading process was not killed");
	const struct left *left = shared;

	expect_rest(st, left->checkpoint[0] ? left->checkpoint : "{}", left->done, false, what);
}

static void kill_reading(struct df_stage *st)
{
	kill_and_go_on(st, die_reading, "after kill -9 while reading");
}

static void kill_before_commit(struct df_stage *st)
{
	kill_and_go_on(st, die_before_commit, "after kill -9 before a commit");
}

static void kill_after_commit(struct df_stage *st)
{
	kill_and_go_on(st, die_after_commit, "after kill -9 after a commit");
}

#define NEEDS (DF_NEEDS_SOURCE | DF_NEEDS_FEED | DF_NEEDS_NAME)

const struct df_conformance_rule df_rules_source_resume[] = {
	{ "source.resume-none", "When nothing was done, the next instance reads everything.", NEEDS, 180, resume_none },
	{ "source.resume-half", "When half was done, the next instance reads the other half.", NEEDS, 180,
	  resume_half },
	{ "source.resume-all", "When all was done, the next instance reads nothing but what came later.", NEEDS, 180,
	  resume_all },
	{ "source.resume-steps", "Behind every position that a row has of its own reading goes on exactly there.",
	  NEEDS, 180, resume_steps },
	{ "source.resume-gap", "A row that is not done keeps the position below it, whatever was done behind it.",
	  NEEDS, 180, resume_gap },
	{ "source.commit-keeps-keys", "Keys of the checkpoint that the source does not know stay.", NEEDS, 180,
	  commit_keeps_keys },
	{ "source.commit-beside-read", "commit does not wait for read.", NEEDS, 180, commit_beside_read },
	{ "source.describe", "describe says where reading would go on, and records nothing.", NEEDS, 180, describe },
	{ "source.kill-reading", "After kill -9 while reading nothing is missing.", NEEDS, 240, kill_reading },
	{ "source.kill-before-commit", "After kill -9 before a commit nothing is missing.", NEEDS, 240,
	  kill_before_commit },
	{ "source.kill-after-commit", "After kill -9 right after a commit nothing is missing.", NEEDS, 240,
	  kill_after_commit },
	{ 0 },
};

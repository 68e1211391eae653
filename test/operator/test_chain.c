/* df_chain: every row of the Kubernetes reference, section 7, "seen | action | phase and fields". The model test, with
 * operators that end between any two actions, is test_chain_model.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "chain_kit.h"
#include "kube/build.h"
#include "operator/names.h"
#include "value/value.h"

#define NOW 1000
#define JOBS_MAX 16

/*
 * One row. jobs: one a line, `NAME[/INDEX] WORD...`; NAME/INDEX is that trigger Job of the run of NAME. Words: begun
 * (it has its run id), suspended, deleting, by-hand, complete@T, failed@T, created@T, scheduled@T, mark=TEXT. A trigger
 * Job is always begun. Times are seconds since 1970; created is the line's number unless it is said.
 */
struct row {
	const char *what;
	const char *policy; /* NULL: Allow */
	size_t triggers;
	bool paused, held, invalid, suspend;
	int deadline, successful, failed; /* 0: absent; -1: 0 */
	const char *status;		  /* the old one, ' for " */
	const char *pods, *trigger_pods;  /* one pod */
	const char *jobs;
	const char *actions; /* one a line: see render */
	const char *shown;   /* phase run-of active-job index successful failed: message */
	int64_t again;
};

/* ---- the jobs of a row ----------------------------------------------------------------------------------- */

static bool number(const char *word, const char *key, int64_t *ret)
{
	size_t n = strlen(key);

	if (strncmp(word, key, n) != 0)
		return false;
	*ret = atoll(word + n);
	return true;
}

static void read_word(struct kit_job *job, const char *word)
{
	if (strcmp(word, "begun") == 0)
		df_run_id(job->name, job->run);
	else if (strcmp(word, "suspended") == 0)
		job->suspended = true;
	else if (strcmp(word, "deleting") == 0)
		job->deleting = true;
	else if (strcmp(word, "by-hand") == 0)
		job->by_hand = true;
	else if (number(word, "complete@", &job->ended))
		job->state = KIT_COMPLETE;
	else if (number(word, "failed@", &job->ended))
		job->state = KIT_FAILED;
	else if (strncmp(word, "mark=", 5) == 0)
		snprintf(job->mark, sizeof(job->mark), "%s", word + 5);
	else if (!number(word, "created@", &job->created) && !number(word, "scheduled@", &job->scheduled))
		fail_msg("what is %s?", word);
}

static void read_name(struct kit_job *job, const char *word)
{
	const char *slash = strchr(word, '/');

	job->index = slash ? atoi(slash + 1) : -1;
	snprintf(job->name, sizeof(job->name), "%s", word);
	if (!slash)
		return;
	snprintf(job->processor, sizeof(job->processor), "%.*s", (int)(slash - word), word);
	df_run_id(job->processor, job->run);
}

static size_t read_jobs(const char *text, struct df_value **ret, struct df_arena *arena)
{
	char copy[1024], *line, *lines = copy;
	size_t n = 0;

	snprintf(copy, sizeof(copy), "%s", text);
	while ((line = strsep(&lines, "\n")) != NULL) {
		struct kit_job job = { .created = (int64_t)n + 1, .version = (int64_t)n + 7 };
		char *word = strsep(&line, " ");

		if (!*word)
			continue;
		read_name(&job, word);
		while ((word = strsep(&line, " ")) != NULL)
			read_word(&job, word);
		assert_in_range(n, 0, JOBS_MAX - 1);
		ret[n++] = kit_object(&job, arena);
	}
	return n;
}

/* ---- what came of it ------------------------------------------------------------------------------------- */

static const char *run_name(const char *id, const char *jobs)
{
	static char name[40];
	char found[9];

	for (const char *p = jobs; p && *p; p = strchr(p, '\n') ? strchr(p, '\n') + 1 : "") {
		snprintf(name, sizeof(name), "%.*s", (int)strcspn(p, "/ \n"), p);
		df_run_id(name, found);
		if (strcmp(found, id) == 0)
			return name;
	}
	snprintf(name, sizeof(name), "%s", id);
	return name;
}

/* patch JOB [suspend|release] [mark] [late] [if JOB] [Event]; create INDEX of JOB if JOB [Event]; delete JOB
 * [with-pods] [late] [if-same] [Event]. */
static void render(const struct df_chain_action *a, const struct row *row, struct df_buf *buf)
{
	static const char *const suspends[] = {
		[DF_CHAIN_AS_IT_IS] = "", [DF_CHAIN_SUSPEND] = " suspend", [DF_CHAIN_RELEASE] = " release"
	};

	switch (a->verb) {
	case DF_CHAIN_PATCH:
		df_buf_printf(buf, "patch %s%s%s%s%s%s%s", a->job, suspends[a->suspend], a->mark ? " " : "",
			      a->mark ? a->mark : "", a->late ? " late" : "", a->guard ? " if " : "",
			      a->guard ? a->guard : "");
		assert_non_null(a->version);
		break;
	case DF_CHAIN_CREATE:
		df_buf_printf(buf, "create %u of %s if %s%s%s", a->index, a->processor_job, a->job, a->guard ? " " : "",
			      a->guard ? a->guard : "");
		assert_non_null(a->version);
		break;
	case DF_CHAIN_DELETE:
		df_buf_printf(buf, "delete %s%s%s%s", a->job, a->with_pods ? " with-pods" : "", a->late ? " late" : "",
			      a->version ? " if-same" : "");
		break;
	}
	if (a->processor_job)
		assert_string_equal(run_name(a->run_id, row->jobs), a->processor_job);
	assert_string_equal(a->uid, a->job);
	if (a->reason)
		df_buf_printf(buf, " %s%s", a->warning ? "!" : "", a->reason);
	df_buf_add_char(buf, '\n');
}

static void render_status(const struct df_chain_status *s, const struct row *row, struct df_buf *buf)
{
	df_buf_printf(buf, "%s %s ", s->phase, s->run_id ? run_name(s->run_id, row->jobs) : "-");
	df_buf_printf(buf, "%s %lld %lld %lld%s: %s", s->active_job ? s->active_job : "-", (long long)s->trigger_index,
		      (long long)s->last_successful, (long long)s->last_failed, s->vanished ? " vanished" : "",
		      s->message);
}

/* Run ids in texts by the name of their Job, so that rows can be read. */
static void name_runs(struct df_buf *buf, const struct row *row)
{
	char *text = df_buf_take(buf), *at = text;
	char id[9];

	for (; *at; at++) {
		snprintf(id, sizeof(id), "%.8s", at);
		if (strlen(id) == 8 && strspn(id, "0123456789abcdef") == 8 &&
		    strcmp(run_name(id, row->jobs), id) != 0) {
			df_buf_add_c(buf, run_name(id, row->jobs));
			at += 7;
		} else {
			df_buf_add_char(buf, *at);
		}
	}
	free(text);
}

static struct df_value *parse(const char *text, struct df_arena *arena)
{
	struct df_value *value = NULL;

	if (text)
		assert_int_equal(df_kube_build(arena, &value, NULL, text), 0);
	return value;
}

static struct df_opt_int limit(int n)
{
	return (struct df_opt_int){ .set = n != 0, .value = n < 0 ? 0 : n };
}

static void check(const struct row *row)
{
	char policy[16];
	char report[] = "report";
	struct df_trigger triggers[4] = { { 0 }, { .name = report } };
	struct df_value *jobs[JOBS_MAX];
	df_cleanup(df_arena_done) struct df_arena arena = { 0 };
	df_cleanup(df_buf_done) struct df_buf actions = { 0 }, shown = { 0 };
	struct df_error err = DF_ERROR_INIT;
	struct df_chain_result result;
	struct df_value *pod = parse(row->pods, &arena), *trigger_pod = parse(row->trigger_pods, &arena);
	struct df_dataflowcron_spec spec = {
		.concurrency_policy = policy,
		.suspend = row->suspend,
		.successful_jobs_history_limit = limit(row->successful),
		.failed_jobs_history_limit = limit(row->failed),
		.starting_deadline_seconds = { .set = row->deadline != 0, .value = row->deadline },
		.triggers = { triggers, row->triggers },
	};
	struct df_chain_input in = {
		.name = "x",
		.spec = row->invalid ? NULL : &spec,
		.status = parse(row->status, &arena),
		.jobs = jobs,
		.pods = &pod,
		.pod_count = pod ? 1 : 0,
		.trigger_pods = &trigger_pod,
		.trigger_pod_count = trigger_pod ? 1 : 0,
		.paused = row->paused,
		.held = row->held,
		.now = NOW,
	};

	snprintf(policy, sizeof(policy), "%s", row->policy ? row->policy : "Allow");
	in.job_count = read_jobs(row->jobs, jobs, &arena);
	assert_int_equal(df_chain(&in, &arena, &result, &err), 0);
	for (size_t i = 0; i < result.action_count; i++)
		render(&result.actions[i], row, &actions);
	render_status(&result.status, row, &shown);
	name_runs(&shown, row);
	if (strcmp(df_buf_c(&actions), row->actions) != 0 || strcmp(df_buf_c(&shown), row->shown) != 0)
		fail_msg("%s:\n%s%s\nbut expected:\n%s%s", row->what, df_buf_c(&actions), df_buf_c(&shown),
			 row->actions, row->shown);
	assert_int_equal(result.again_at, row->again);
}

/* ---- rows ------------------------------------------------------------------------------------------------ */

#define TRIGGER_JOB(index) "dfc-x-p-trigger-" index /* the run id is named */

static const struct row plain_rows[] = {
	{ .what = "nothing yet", .jobs = "", .actions = "", .shown = "Pending - - -1 0 0: No run yet" },
	{ .what = "processor Job active",
	  .jobs = "p",
	  .actions = "patch p RunStarted\n",
	  .shown = "Running p p -1 0 0: Job p is running" },
	{ .what = "and labelled", .jobs = "p begun", .actions = "", .shown = "Running p p -1 0 0: Job p is running" },
	{ .what = "complete, no triggers",
	  .jobs = "p begun complete@50",
	  .actions = "patch p done RunCompleted\n",
	  .shown = "Completed p - -1 50 0: Run p completed" },
	{ .what = "complete and never seen before",
	  .jobs = "p complete@50",
	  .actions = "patch p done RunCompleted\n",
	  .shown = "Completed p - -1 50 0: Run p completed" },
	{ .what = "settled once",
	  .jobs = "p begun complete@50 mark=done",
	  .actions = "",
	  .shown = "Completed p - -1 50 0: Run p completed" },
	{ .what = "failed",
	  .triggers = 2,
	  .jobs = "p begun failed@60",
	  .actions = "patch p failed !RunFailed\n",
	  .shown = "Failed p p -1 0 60: Job p failed: BackoffLimitExceeded" },
	{ .what = "failed, settled",
	  .triggers = 2,
	  .jobs = "p begun failed@60 mark=failed",
	  .actions = "",
	  .shown = "Failed p p -1 0 60: Job p failed: BackoffLimitExceeded" },
	{ .what = "a failure of the past is no failure now",
	  .jobs = "p begun failed@60 mark=failed\nq begun complete@70",
	  .actions = "patch q done RunCompleted\n",
	  .shown = "Completed q - -1 70 60: Run q completed" },
	{ .what = "other Jobs are no runs",
	  .jobs = "p begun mark=what",
	  .actions = "",
	  .shown = "Running p p -1 0 0: Job p is running" },
	{ .what = "being deleted",
	  .jobs = "p begun deleting",
	  .actions = "",
	  .shown = "Running p p -1 0 0: Job p is running" },
};

static const struct row trigger_rows[] = {
	{ .what = "complete, triggers",
	  .triggers = 3,
	  .jobs = "p begun complete@50",
	  .actions = "create 0 of p if p TriggerStarted\npatch p trigger-0\n",
	  .shown = "RunningTriggers p " TRIGGER_JOB("0") " 0 0 0: Trigger 0 is running" },
	{ .what = "created, the operator ended before the mark",
	  .triggers = 3,
	  .jobs = "p begun complete@50\np/0",
	  .actions = "patch p trigger-0\n",
	  .shown = "RunningTriggers p p/0 0 0 0: Trigger 0 is running" },
	{ .what = "marked",
	  .triggers = 3,
	  .jobs = "p begun complete@50 mark=trigger-0\np/0",
	  .actions = "",
	  .shown = "RunningTriggers p p/0 0 0 0: Trigger 0 is running" },
	{ .what = "trigger 0 complete",
	  .triggers = 3,
	  .jobs = "p begun complete@50 mark=trigger-0\np/0 complete@60",
	  .actions = "create 1 of p if p p/0 TriggerStarted\npatch p trigger-1\n",
	  .shown = "RunningTriggers p " TRIGGER_JOB("1") " 1 0 0: Trigger 1 (report) is running" },
	{ .what = "the last one complete",
	  .triggers = 2,
	  .jobs = "p begun complete@50 mark=trigger-1\np/0 complete@60\np/1 complete@70",
	  .actions = "patch p/1 done if p\npatch p/0 done if p\npatch p done RunCompleted\n",
	  .shown = "Completed p - -1 70 0: Run p completed" },
	{ .what = "the operator ended while it settled",
	  .triggers = 2,
	  .jobs = "p begun complete@50 mark=trigger-1\np/0 complete@60 mark=done\np/1 complete@70",
	  .actions = "patch p/1 done if p\npatch p done RunCompleted\n",
	  .shown = "Completed p - -1 70 0: Run p completed" },
	{ .what = "settled; a trigger that the spec got later is not for it",
	  .triggers = 3,
	  .jobs = "p begun complete@50 mark=done\np/0 complete@60 mark=done",
	  .actions = "",
	  .shown = "Completed p - -1 60 0: Run p completed" },
	{ .what = "fewer triggers than there were",
	  .triggers = 1,
	  .jobs = "p begun complete@50 mark=trigger-1\np/0 complete@60\np/1 complete@70",
	  .actions = "patch p/1 done if p\npatch p/0 done if p\npatch p done RunCompleted\n",
	  .shown = "Completed p - -1 70 0: Run p completed" },
	{ .what = "trigger 1 failed",
	  .triggers = 3,
	  .jobs = "p begun complete@50 mark=trigger-1\np/0 complete@60\np/1 failed@70",
	  .actions = "patch p/1 failed if p\npatch p/0 failed if p\npatch p failed !TriggerFailed\n",
	  .shown = "Failed p p/1 1 0 70: Trigger 1 (report) failed: Job p/1: BackoffLimitExceeded" },
	{ .what = "trigger 1 failed, settled: the third never starts",
	  .triggers = 3,
	  .jobs = "p begun complete@50 mark=failed\np/0 complete@60 mark=failed\np/1 failed@70 mark=failed",
	  .actions = "",
	  .shown = "Failed p p/1 1 0 70: Trigger 1 (report) failed: Job p/1: BackoffLimitExceeded" },
	{ .what = "that Job gone",
	  .triggers = 3,
	  .jobs = "p begun complete@50 mark=trigger-1\np/0 complete@60",
	  .actions = "patch p/0 failed late if p\npatch p failed late !TriggerFailed\n",
	  .shown = "Failed p " TRIGGER_JOB("1") " 1 0 1000: Trigger 1 (report) failed: trigger Job " TRIGGER_JOB(
		  "1") " was deleted" },
	{ .what = "told, but not marked: it keeps its time",
	  .triggers = 3,
	  .status = "{'phase':'Failed','currentRunID':'516b9783','lastFailedTime':'1970-01-01T00:01:10Z'}",
	  .jobs = "p begun complete@50 mark=trigger-1\np/0 complete@60",
	  .actions = "patch p/0 failed late if p\npatch p failed late !TriggerFailed\n",
	  .shown = "Failed p " TRIGGER_JOB("1") " 1 0 70: Trigger 1 (report) failed: trigger Job " TRIGGER_JOB(
		  "1") " was deleted" },
	{ .what = "which is told as it was",
	  .triggers = 3,
	  .status =
		  "{'phase':'Failed','currentRunID':'516b9783','currentTriggerIndex':1,'activeJobName':'t','message':'why',"
		  "'lastFailedTime':'1970-01-01T00:01:10Z','lastSuccessfulTime':'1970-01-01T00:01:10Z'}",
	  .jobs = "p begun complete@50 mark=failed\np/0 complete@60 mark=failed",
	  .actions = "",
	  .shown = "Failed p t 1 70 70: why" },
	{ .what = "or, when the operator ended before it was told, without its number",
	  .triggers = 3,
	  .status = "{'phase':'RunningTriggers','currentRunID':'516b9783','currentTriggerIndex':1,'activeJobName':'t'}",
	  .jobs = "p begun complete@50 mark=failed",
	  .actions = "",
	  .shown = "Failed p - -1 0 0: Run p failed: a trigger Job was deleted" },
	{ .what = "an earlier one gone",
	  .triggers = 3,
	  .jobs = "p begun complete@50 mark=trigger-1\np/1 complete@60",
	  .actions = "create 2 of p if p p/1 TriggerStarted\npatch p trigger-2\n",
	  .shown = "RunningTriggers p " TRIGGER_JOB("2") " 2 0 0: Trigger 2 is running" },
};

static const struct row pruned_rows[] = {
	{ .what = "pruned in mid-chain",
	  .triggers = 3,
	  .jobs = "p/0 complete@60\np/1",
	  .actions = "patch p/0 trigger-1\n",
	  .shown = "RunningTriggers p p/1 1 0 0: Trigger 1 (report) is running" },
	{ .what = "goes on from the highest",
	  .triggers = 3,
	  .jobs = "p/0 complete@60 mark=trigger-1\np/1 complete@70",
	  .actions = "create 2 of p if p/1 p/1 TriggerStarted\npatch p/1 trigger-2\n",
	  .shown = "RunningTriggers p " TRIGGER_JOB("2") " 2 0 0: Trigger 2 is running" },
	{ .what = "the one it was at was deleted",
	  .triggers = 3,
	  .jobs = "p/0 complete@60 mark=trigger-1",
	  .actions = "patch p/0 failed late !TriggerFailed\n",
	  .shown = "Failed p " TRIGGER_JOB("1") " 1 0 1000: Trigger 1 (report) failed: trigger Job " TRIGGER_JOB(
		  "1") " was deleted" },
	{ .what = "ends",
	  .triggers = 2,
	  .jobs = "p/0 complete@60 mark=trigger-1\np/1 complete@70",
	  .actions = "patch p/1 done\npatch p/0 done RunCompleted\n",
	  .shown = "Completed p - -1 70 0: Run p completed" },
	{ .what = "its trigger Jobs go when the status has its end",
	  .triggers = 2,
	  .jobs = "p/0 complete@60 mark=done\np/1 complete@70 mark=done",
	  .actions = "delete p/0 late if-same\ndelete p/1 late if-same\n",
	  .shown = "Completed p - -1 70 0: Run p completed" },
	{ .what = "failed and pruned is not gone on with",
	  .triggers = 3,
	  .jobs = "p/0 complete@60 mark=failed",
	  .actions = "delete p/0 late if-same\n",
	  .shown = "Failed p - -1 0 0: Run p failed: a trigger Job was deleted" },
	{ .what = "what was told of it stays",
	  .triggers = 3,
	  .jobs = "p/0 complete@60 mark=failed",
	  .status =
		  "{'phase':'Failed','currentRunID':'516b9783','currentTriggerIndex':1,'activeJobName':'t','message':'why',"
		  "'lastFailedTime':'1970-01-01T00:01:10Z'}",
	  .actions = "delete p/0 late if-same\n",
	  .shown = "Failed p t 1 0 70: why" },
	{ .what = "no history of successes",
	  .successful = -1,
	  .jobs = "p begun complete@50 mark=done\nq begun failed@60 mark=failed",
	  .actions = "delete p late if-same\n",
	  .shown = "Failed q q -1 50 60: Job q failed: BackoffLimitExceeded" },
	{ .what = "no history of failures",
	  .failed = -1,
	  .jobs = "p begun complete@50 mark=done\nq begun failed@60 mark=failed",
	  .actions = "delete q late if-same\n",
	  .shown = "Failed q q -1 50 60: Job q failed: BackoffLimitExceeded" },
	{ .what = "not before it is settled",
	  .successful = -1,
	  .jobs = "p begun complete@50",
	  .actions = "patch p done RunCompleted\n",
	  .shown = "Completed p - -1 50 0: Run p completed" },
};

static const struct row many_rows[] = {
	{ .what = "each chain on its own",
	  .triggers = 2,
	  .jobs = "p begun complete@50 mark=trigger-0\np/0 complete@55\nq begun complete@60",
	  .actions =
		  "create 1 of p if p p/0 TriggerStarted\npatch p trigger-1\ncreate 0 of q if q TriggerStarted\npatch q trigger-0\n",
	  .shown = "RunningTriggers q dfc-x-q-trigger-0 0 0 0: Trigger 0 is running" },
	{ .what = "an older one's end moves only its time",
	  .triggers = 1,
	  .jobs = "p begun complete@50 mark=trigger-0\np/0 failed@55\nq begun",
	  .actions = "patch p/0 failed if p\npatch p failed !TriggerFailed\n",
	  .shown = "Running q q -1 0 55: Job q is running" },
	{ .what = "the newest, whatever it is called",
	  .jobs = "x-10 created@5 begun\nx-9 created@6 begun",
	  .actions = "",
	  .shown = "Running x-9 x-9 -1 0 0: Job x-9 is running" },
	{ .what = "made in one second: by the number",
	  .jobs = "x-9 created@5 complete@50 begun\nx-10 created@5 begun",
	  .actions = "patch x-9 done RunCompleted\n",
	  .shown = "Running x-10 x-10 -1 50 0: Job x-10 is running" },
};

static const struct row gate_rows[] = {
	{ .what = "the gate is open",
	  .policy = "Forbid",
	  .triggers = 1,
	  .jobs = "p suspended",
	  .actions = "patch p release RunStarted\n",
	  .shown = "Running p p -1 0 0: Job p is running" },
	{ .what = "the schedule is suspended",
	  .policy = "Forbid",
	  .triggers = 1,
	  .suspend = true,
	  .jobs = "p suspended",
	  .actions = "",
	  .shown = "Pending - - -1 0 0: No run yet" },
	{ .what = "which keeps nobody from a run by hand",
	  .policy = "Forbid",
	  .triggers = 1,
	  .suspend = true,
	  .jobs = "p suspended\nq suspended by-hand",
	  .actions = "patch q release RunStarted\n",
	  .shown = "Running q q -1 0 0: Job q is running" },
	{ .what = "Replace: the schedule is suspended, nothing is replaced",
	  .policy = "Replace",
	  .triggers = 1,
	  .suspend = true,
	  .jobs = "p begun by-hand\nq suspended",
	  .actions = "",
	  .shown = "Running p p -1 0 0: Job p is running" },
	{ .what = "Forbid: it waits for the chain",
	  .policy = "Forbid",
	  .triggers = 1,
	  .jobs = "p begun complete@50 mark=trigger-0\np/0\nq suspended",
	  .actions = "",
	  .shown = "RunningTriggers p p/0 0 0 0: Trigger 0 is running" },
	{ .what = "Forbid: it waits for the processor",
	  .policy = "Forbid",
	  .triggers = 1,
	  .jobs = "p begun\nq suspended",
	  .actions = "",
	  .shown = "Running p p -1 0 0: Job p is running" },
	{ .what = "Forbid: the chain ends",
	  .policy = "Forbid",
	  .triggers = 1,
	  .jobs = "p begun complete@50 mark=trigger-0\np/0 complete@60\nq suspended",
	  .actions = "patch p/0 done if p\npatch p done RunCompleted\n",
	  .shown = "Completed p - -1 60 0: Run p completed" },
	{ .what = "Forbid: the chain has ended",
	  .policy = "Forbid",
	  .triggers = 1,
	  .jobs = "p begun complete@50 mark=done\np/0 complete@60 mark=done\nq suspended",
	  .actions = "patch q release RunStarted\n",
	  .shown = "Running q q -1 60 0: Job q is running" },
	{ .what = "Forbid: the oldest first",
	  .policy = "Forbid",
	  .triggers = 1,
	  .jobs = "p suspended\nq suspended",
	  .actions = "patch p release RunStarted\n",
	  .shown = "Running p p -1 0 0: Job p is running" },
	{ .what = "Forbid: behind a run that was never gated",
	  .policy = "Forbid",
	  .triggers = 1,
	  .jobs = "p\nq suspended",
	  .actions = "patch p RunStarted\n",
	  .shown = "Running p p -1 0 0: Job p is running" },
	{ .what = "Allow has no gate",
	  .triggers = 1,
	  .jobs = "p begun\nq suspended\nr suspended",
	  .actions = "patch q release RunStarted\npatch r release RunStarted\n",
	  .shown = "Running r r -1 0 0: Job r is running" },
	{ .what = "within the deadline",
	  .policy = "Forbid",
	  .triggers = 1,
	  .deadline = 60,
	  .jobs = "p begun complete@50 mark=trigger-0\np/0\nq suspended scheduled@950",
	  .actions = "",
	  .shown = "RunningTriggers p p/0 0 0 0: Trigger 0 is running",
	  .again = 1011 },
	{ .what = "past the deadline",
	  .policy = "Forbid",
	  .triggers = 1,
	  .deadline = 40,
	  .jobs = "p begun complete@50 mark=trigger-0\np/0\nq suspended scheduled@950",
	  .actions = "delete q if-same !RunSkipped\n",
	  .shown = "RunningTriggers p p/0 0 0 0: Trigger 0 is running" },
	{ .what = "past the deadline, though it could begin",
	  .policy = "Forbid",
	  .triggers = 1,
	  .deadline = 40,
	  .jobs = "q suspended scheduled@950",
	  .actions = "delete q if-same !RunSkipped\n",
	  .shown = "Pending - - -1 0 0: No run yet" },
	{ .what = "a deadline shorter than Kubernetes' own step",
	  .policy = "Forbid",
	  .triggers = 1,
	  .deadline = 1,
	  .jobs = "q suspended scheduled@995",
	  .actions = "patch q release RunStarted\n",
	  .shown = "Running q q -1 0 0: Job q is running",
	  .again = 1006 },
	{ .what = "Replace: during triggers",
	  .policy = "Replace",
	  .triggers = 2,
	  .jobs = "p begun complete@50 mark=trigger-0\np/0\nq suspended",
	  .actions = "patch p/0 replaced if p\npatch p replaced RunReplaced\ndelete p/0 with-pods\n",
	  .shown = "Running q q -1 0 0: Job q waits until the run that it replaces has ended" },
	{ .what = "Replace: the operator ended after the mark",
	  .policy = "Replace",
	  .triggers = 2,
	  .jobs = "p begun complete@50 mark=replaced\np/0 mark=replaced\nq suspended",
	  .actions = "delete p/0 with-pods\n",
	  .shown = "Running q q -1 0 0: Job q waits until the run that it replaces has ended" },
	{ .what = "Replace: until its pods are gone",
	  .policy = "Replace",
	  .triggers = 2,
	  .jobs = "p begun complete@50 mark=replaced\np/0 mark=replaced deleting\nq suspended",
	  .actions = "",
	  .shown = "Running q q -1 0 0: Job q waits until the run that it replaces has ended" },
	{ .what = "Replace: then it begins",
	  .policy = "Replace",
	  .triggers = 2,
	  .jobs = "p begun complete@50 mark=replaced\nq suspended",
	  .actions = "patch q release RunStarted\n",
	  .shown = "Running q q -1 0 0: Job q is running" },
	{ .what = "Replace: between two triggers",
	  .policy = "Replace",
	  .triggers = 2,
	  .jobs = "p begun complete@50 mark=trigger-0\np/0 complete@60\nq suspended",
	  .actions = "patch p/0 replaced if p\npatch p replaced RunReplaced\n",
	  .shown = "Running q q -1 0 0: Job q waits until the run that it replaces has ended" },
	{ .what = "Replace: a run that has just ended is not replaced",
	  .policy = "Replace",
	  .triggers = 1,
	  .jobs = "p begun complete@50 mark=trigger-0\np/0 complete@60\nq suspended",
	  .actions = "patch p/0 done if p\npatch p done RunCompleted\n",
	  .shown = "Completed p - -1 60 0: Run p completed" },
	{ .what = "Replace: a processor at work, of a run by hand",
	  .policy = "Replace",
	  .triggers = 1,
	  .jobs = "p begun\nq suspended",
	  .actions = "patch p replaced RunReplaced\ndelete p with-pods\n",
	  .shown = "Running q q -1 0 0: Job q waits until the run that it replaces has ended" },
	{ .what = "Replace: the newest of those that wait",
	  .policy = "Replace",
	  .triggers = 1,
	  .jobs = "p suspended\nq suspended",
	  .actions = "delete p if-same RunReplaced\npatch q release RunStarted\n",
	  .shown = "Running q q -1 0 0: Job q is running" },
	{ .what = "Replace: a pruned run",
	  .policy = "Replace",
	  .triggers = 2,
	  .jobs = "q suspended created@1\np/0 created@2",
	  .actions = "patch p/0 replaced RunReplaced\ndelete p/0 with-pods\n",
	  .shown = "Running q q -1 0 0: Job q waits until the run that it replaces has ended" },
	{ .what = "Replace: which stays behind as the newer one runs",
	  .policy = "Replace",
	  .triggers = 2,
	  .jobs = "q begun created@1\np/0 created@2 complete@3 mark=replaced",
	  .actions = "delete p/0 late if-same\n",
	  .shown = "Running q q -1 0 0: Job q is running" },
};

static const struct row pause_rows[] = {
	{ .what = "a processor at work is suspended",
	  .paused = true,
	  .jobs = "p begun",
	  .actions = "patch p suspend\n",
	  .shown = "Running p p -1 0 0: Job p is suspended" },
	{ .what = "one that has just begun too",
	  .paused = true,
	  .jobs = "p",
	  .actions = "patch p suspend RunStarted\n",
	  .shown = "Running p p -1 0 0: Job p is suspended" },
	{ .what = "and stays so",
	  .paused = true,
	  .jobs = "p begun suspended",
	  .actions = "",
	  .shown = "Running p p -1 0 0: Job p is suspended" },
	{ .what = "and goes on",
	  .jobs = "p begun suspended",
	  .actions = "patch p release\n",
	  .shown = "Running p p -1 0 0: Job p is running" },
	{ .what = "not while a reset waits",
	  .held = true,
	  .jobs = "p begun suspended",
	  .actions = "",
	  .shown = "Running p p -1 0 0: Job p is running" },
	{ .what = "a trigger at work finishes",
	  .paused = true,
	  .triggers = 2,
	  .jobs = "p begun complete@50 mark=trigger-0\np/0",
	  .actions = "",
	  .shown = "RunningTriggers p p/0 0 0 0: Trigger 0 is running" },
	{ .what = "the next one waits",
	  .paused = true,
	  .triggers = 2,
	  .jobs = "p begun complete@50 mark=trigger-0\np/0 complete@60",
	  .actions = "",
	  .shown = "RunningTriggers p - 1 0 0: Trigger 1 (report) waits for the end of the pause" },
	{ .what = "a run may end",
	  .paused = true,
	  .triggers = 1,
	  .jobs = "p begun complete@50 mark=trigger-0\np/0 complete@60",
	  .actions = "patch p/0 done if p\npatch p done RunCompleted\n",
	  .shown = "Completed p - -1 60 0: Run p completed" },
	{ .what = "the gate is shut",
	  .paused = true,
	  .policy = "Forbid",
	  .triggers = 1,
	  .jobs = "p suspended",
	  .actions = "",
	  .shown = "Pending - - -1 0 0: No run yet" },
	{ .what = "and while a reset waits",
	  .held = true,
	  .policy = "Forbid",
	  .triggers = 1,
	  .jobs = "p suspended",
	  .actions = "",
	  .shown = "Pending - - -1 0 0: No run yet" },
	{ .what = "a reset keeps no trigger waiting",
	  .held = true,
	  .triggers = 1,
	  .jobs = "p begun complete@50",
	  .actions = "create 0 of p if p TriggerStarted\npatch p trigger-0\n",
	  .shown = "RunningTriggers p " TRIGGER_JOB("0") " 0 0 0: Trigger 0 is running" },
	{ .what = "invalid: nothing begins, nothing is taken for done",
	  .invalid = true,
	  .jobs = "p begun complete@50\nq\nr suspended",
	  .actions = "patch q RunStarted\n",
	  .shown = "Running q q -1 0 0: Job q is running" },
	{ .what = "invalid: no trigger is made up",
	  .invalid = true,
	  .jobs = "p begun complete@50",
	  .actions = "",
	  .shown = "Running p p -1 0 0: Job p is complete" },
	{ .what = "invalid: a failure is one",
	  .invalid = true,
	  .jobs = "p begun failed@50",
	  .actions = "patch p failed !RunFailed\n",
	  .shown = "Failed p p -1 0 50: Job p failed: BackoffLimitExceeded" },
};

#define PROXY "{'name':'istio-proxy','state':{'running':{}}}" /* what a mesh puts before it */
#define OLD(phase, id, job, more) "{'phase':'" phase "','currentRunID':'" id "','activeJobName':'" job "'" more "}"
#define TIMES(s, f) ",'lastSuccessfulTime':" s ",'lastFailedTime':" f
#define AT(n) "'1970-01-01T00:" n "Z'"

static const struct row status_rows[] = {
	{ .what = "times stay",
	  .status = "{'phase':'Completed'" TIMES(AT("02:00"), AT("01:00")) "}",
	  .jobs = "p begun complete@50 mark=done",
	  .actions = "",
	  .shown = "Completed p - -1 120 60: Run p completed" },
	{ .what = "the processor Job was deleted",
	  .status = OLD("Running", "0badcafe", "gone", ""),
	  .jobs = "",
	  .actions = "",
	  .shown = "Failed 0badcafe gone -1 0 1000 vanished: Job gone was deleted" },
	{ .what = "which is told once",
	  .status = OLD("Failed", "0badcafe", "gone", ",'message':'Job gone was deleted'" TIMES("null", AT("16:40"))),
	  .jobs = "",
	  .actions = "",
	  .shown = "Failed 0badcafe gone -1 0 1000: Job gone was deleted" },
	{ .what = "though an older one is left",
	  .status = OLD("Running", "0badcafe", "gone", TIMES(AT("00:50"), "null")),
	  .jobs = "p begun complete@50 mark=done",
	  .actions = "",
	  .shown = "Failed 0badcafe gone -1 50 1000 vanished: Job gone was deleted" },
	{ .what = "and stays told",
	  .status = OLD("Failed", "0badcafe", "gone",
			",'message':'Job gone was deleted'" TIMES(AT("00:50"), AT("16:40"))),
	  .jobs = "p begun complete@50 mark=done",
	  .actions = "",
	  .shown = "Failed 0badcafe gone -1 50 1000: Job gone was deleted" },
	{ .what = "a newer run counts",
	  .status = OLD("Failed", "0badcafe", "gone",
			",'message':'Job gone was deleted'" TIMES(AT("00:50"), AT("16:40"))),
	  .jobs = "p begun",
	  .actions = "",
	  .shown = "Running p p -1 50 1000: Job p is running" },
	{ .what = "one that ended while nobody looked",
	  .status = OLD("Completed", "0badcafe", "", TIMES(AT("00:50"), "null")),
	  .jobs = "p begun complete@55 mark=done",
	  .actions = "",
	  .shown = "Completed p - -1 55 0: Run p completed" },
	{ .what = "Kubernetes replaced it",
	  .policy = "Replace",
	  .status = OLD("Running", "0badcafe", "gone", ""),
	  .jobs = "",
	  .actions = "",
	  .shown = "Pending - - -1 0 0: No run yet" },
	{ .what = "no history is left of a success",
	  .status = OLD("Completed", "0badcafe", "", ",'message':'paused'" TIMES(AT("00:50"), "null")),
	  .jobs = "",
	  .actions = "",
	  .shown = "Completed 0badcafe - -1 50 0: Run 0badcafe completed" },
	{ .what = "of a failure",
	  .status = OLD("Failed", "0badcafe", "t",
			",'message':'why','currentTriggerIndex':2" TIMES(AT("00:50"), AT("01:00"))),
	  .jobs = "",
	  .actions = "",
	  .shown = "Failed 0badcafe t 2 50 60: why" },
	{ .what = "a step that failed is no run that failed",
	  .status = OLD("Failed", "0badcafe", "",
			",'message':'Failed to create','conditions':[{'type':'Ready','reason':'Error'}]" TIMES(
				AT("00:50"), "null")),
	  .jobs = "",
	  .actions = "",
	  .shown = "Completed 0badcafe - -1 50 0: Run 0badcafe completed" },
	{ .what = "last words",
	  .jobs = "p begun failed@60",
	  .pods = "{'metadata':{'labels':{'batch.kubernetes.io/job-name':'p'}},'status':{'containerStatuses':[{'name':'processor','state':{'terminated':{'exitCode':1,"
		  "'message':'{\\u0022error_type\\u0022:\\u0022auth_error\\u0022,\\u0022message\\u0022:\\u0022no password\\u0022}'}}}]}}",
	  .actions = "patch p failed !RunFailed\n",
	  .shown =
		  "Failed p p -1 0 60: Processor failed (auth_error): no password; Job p failed: BackoffLimitExceeded" },
	{ .what = "it does not start",
	  .jobs = "p begun",
	  .pods = "{'metadata':{'labels':{'job-name':'p'}},'status':{'containerStatuses':[{'name':'processor','state':{'waiting':{"
		  "'reason':'ErrImagePull','message':'no such image'}}}]}}",
	  .actions = "",
	  .shown = "Running p p -1 0 0: Cannot start processor: ErrImagePull: no such image" },
	{ .what = "it does not start, beside a proxy",
	  .jobs = "p begun",
	  .pods = "{'metadata':{'labels':{'job-name':'p'}},'status':{'containerStatuses':[" PROXY
		  ",{'name':'processor','state':{'waiting':{'reason':'ErrImagePull','message':'no such image'}}}]}}",
	  .actions = "",
	  .shown = "Running p p -1 0 0: Cannot start processor: ErrImagePull: no such image" },
	{ .what = "last words, beside a proxy",
	  .jobs = "p begun failed@60",
	  .pods = "{'metadata':{'labels':{'job-name':'p'}},'status':{'containerStatuses':[" PROXY
		  ",{'name':'processor','state':{'terminated':{'exitCode':3,'reason':'Error'}}}]}}",
	  .actions = "patch p failed !RunFailed\n",
	  .shown = "Failed p p -1 0 60: Processor failed (Error): exit status 3; Job p failed: BackoffLimitExceeded" },
	{ .what = "another Job's pod",
	  .jobs = "p begun",
	  .pods = "{'metadata':{'labels':{'job-name':'q'}},'status':{'containerStatuses':[{'name':'processor','state':{'waiting':{"
		  "'reason':'ErrImagePull','message':'no such image'}}}]}}",
	  .actions = "",
	  .shown = "Running p p -1 0 0: Job p is running" },
	{ .what = "it failed, and its Job makes another pod soon",
	  .jobs = "p begun",
	  .pods = "{'metadata':{'labels':{'job-name':'p'}},'status':{'containerStatuses':[{'name':'processor','state':{'terminated':{"
		  "'exitCode':3,'reason':'Error'}}}]}}",
	  .actions = "",
	  .shown = "Running p p -1 0 0: Processor failed (Error): exit status 3; Job p may try again" },
	{ .what = "no room",
	  .jobs = "p begun",
	  .pods = "{'metadata':{'labels':{'job-name':'p'}},'status':{'conditions':[{'type':'PodScheduled','status':'False',"
		  "'message':'no nodes'}]}}",
	  .actions = "",
	  .shown = "Running p p -1 0 0: Processor pod cannot be scheduled: no nodes" },
};

#define POD(job, status) "{'metadata':{'labels':{'batch.kubernetes.io/job-name':'" job "'}},'status':" status "}"
#define STATE(state) "{'containerStatuses':[{'state':{" state "}}]}"
#define NO_IMAGE STATE("'waiting':{'reason':'ErrImagePull','message':'no such image'}")
#define NO_NODE "{'conditions':[{'type':'PodScheduled','status':'False','message':'no nodes'}]}"
#define ENDED(message) STATE("'terminated':{'exitCode':3,'reason':'Error','message':'" message "'}")
#define AT_TRIGGER_1 "p begun complete@50 mark=trigger-1\np/0 complete@60\np/1"
#define FAILED_AT_TRIGGER_1 "p begun complete@50 mark=failed\np/0 complete@60 mark=failed\np/1 failed@70 mark=failed"

static const struct row trigger_pod_rows[] = {
	{ .what = "a trigger does not start",
	  .triggers = 2,
	  .trigger_pods = POD("p/1", NO_IMAGE),
	  .jobs = AT_TRIGGER_1,
	  .actions = "",
	  .shown = "RunningTriggers p p/1 1 0 0: Cannot start trigger 1 (report): ErrImagePull: no such image" },
	{ .what = "which has no name, in a pause",
	  .triggers = 1,
	  .paused = true,
	  .trigger_pods = POD("p/0", NO_IMAGE),
	  .jobs = "p begun complete@50 mark=trigger-0\np/0",
	  .actions = "",
	  .shown = "RunningTriggers p p/0 0 0 0: Cannot start trigger 0: ErrImagePull: no such image" },
	{ .what = "it does not start, beside a proxy",
	  .triggers = 2,
	  .trigger_pods = POD("p/1", "{'containerStatuses':[" PROXY ",{'name':'report','state':{'waiting':{"
				     "'reason':'ErrImagePull','message':'no such image'}}}]}"),
	  .jobs = AT_TRIGGER_1,
	  .actions = "",
	  .shown = "RunningTriggers p p/1 1 0 0: Cannot start trigger 1 (report): ErrImagePull: no such image" },
	{ .what = "which has no name, beside a proxy",
	  .triggers = 1,
	  .trigger_pods = POD("p/0", "{'containerStatuses':[" PROXY ",{'name':'trigger-0','state':{'waiting':{"
				     "'reason':'ErrImagePull','message':'no such image'}}}]}"),
	  .jobs = "p begun complete@50 mark=trigger-0\np/0",
	  .actions = "",
	  .shown = "RunningTriggers p p/0 0 0 0: Cannot start trigger 0: ErrImagePull: no such image" },
	{ .what = "which had another name when it was made",
	  .triggers = 2,
	  .trigger_pods = POD("p/1", "{'containerStatuses':[{'name':'earlier','state':{'waiting':{"
				     "'reason':'ErrImagePull','message':'no such image'}}}]}"),
	  .jobs = AT_TRIGGER_1,
	  .actions = "",
	  .shown = "RunningTriggers p p/1 1 0 0: Cannot start trigger 1 (report): ErrImagePull: no such image" },
	{ .what = "another name, and a proxy: it is not known which is which",
	  .triggers = 2,
	  .trigger_pods = POD("p/1", "{'containerStatuses':[{'name':'istio-proxy','state':{'waiting':{"
				     "'reason':'ErrImagePull'}}},{'name':'earlier','state':{'running':{}}}]}"),
	  .jobs = AT_TRIGGER_1,
	  .actions = "",
	  .shown = "RunningTriggers p p/1 1 0 0: Trigger 1 (report) is running" },
	{ .what = "there is no room for it",
	  .triggers = 2,
	  .trigger_pods = POD("p/1", NO_NODE),
	  .jobs = AT_TRIGGER_1,
	  .actions = "",
	  .shown = "RunningTriggers p p/1 1 0 0: Trigger 1 (report) pod cannot be scheduled: no nodes" },
	{ .what = "it runs",
	  .triggers = 2,
	  .trigger_pods = POD("p/1", STATE("'running':{}")),
	  .jobs = AT_TRIGGER_1,
	  .actions = "",
	  .shown = "RunningTriggers p p/1 1 0 0: Trigger 1 (report) is running" },
	{ .what = "the one before it",
	  .triggers = 2,
	  .trigger_pods = POD("p/0", NO_IMAGE),
	  .jobs = AT_TRIGGER_1,
	  .actions = "",
	  .shown = "RunningTriggers p p/1 1 0 0: Trigger 1 (report) is running" },
	{ .what = "the next one is made",
	  .triggers = 2,
	  .trigger_pods = POD("p/0", NO_IMAGE),
	  .jobs = "p begun complete@50 mark=trigger-0\np/0 complete@60",
	  .actions = "create 1 of p if p p/0 TriggerStarted\npatch p trigger-1\n",
	  .shown = "RunningTriggers p " TRIGGER_JOB("1") " 1 0 0: Trigger 1 (report) is running" },
	{ .what = "what it wrote last",
	  .triggers = 2,
	  .trigger_pods = POD("p/1", ENDED("\\nno such report\\n")),
	  .jobs = FAILED_AT_TRIGGER_1,
	  .actions = "",
	  .shown = "Failed p p/1 1 0 70: Trigger 1 (report) failed (Error): no such report; Job p/1 failed: "
		   "BackoffLimitExceeded" },
	{ .what = "in the form of a processor's last words",
	  .triggers = 2,
	  .trigger_pods = POD("p/1", ENDED("{\\u0022error_type\\u0022:\\u0022auth_error\\u0022,"
					   "\\u0022message\\u0022:\\u0022no password\\u0022}")),
	  .jobs = FAILED_AT_TRIGGER_1,
	  .actions = "",
	  .shown = "Failed p p/1 1 0 70: Trigger 1 (report) failed (auth_error): no password; Job p/1 failed: "
		   "BackoffLimitExceeded" },
	{ .what = "it wrote nothing but the end of a line",
	  .triggers = 2,
	  .trigger_pods = POD("p/1", ENDED("\\n")),
	  .jobs = FAILED_AT_TRIGGER_1,
	  .actions = "",
	  .shown = "Failed p p/1 1 0 70: Trigger 1 (report) failed (Error): exit status 3; Job p/1 failed: "
		   "BackoffLimitExceeded" },
	{ .what = "its end is told",
	  .triggers = 1,
	  .trigger_pods = POD("p/0", ENDED("42")),
	  .jobs = "p/0 failed@70",
	  .actions = "patch p/0 failed !TriggerFailed\n",
	  .shown = "Failed p p/0 0 0 70: Trigger 0 failed (Error): 42; Job p/0 failed: BackoffLimitExceeded" },
};

#define TEST(name)                                                      \
	static void test_##name(void **state)                           \
	{                                                               \
		(void)state;                                            \
		for (size_t i = 0; i < DF_ARRAY_SIZE(name##_rows); i++) \
			check(&name##_rows[i]);                         \
	}
TEST(plain)
TEST(trigger)
TEST(pruned)
TEST(many)
TEST(gate)
TEST(pause)
TEST(status)
TEST(trigger_pod)

/* ---- quiet ----------------------------------------------------------------------------------------------- */

static void test_quiet(void **state)
{
	static const struct {
		const char *jobs, *pod;
		bool quiet;
	} rows[] = {
		{ "", NULL, true },
		{ "p begun", NULL, false },
		{ "p", NULL, false },
		{ "p suspended", NULL, true },
		{ "p begun suspended", NULL, true },
		{ "p begun suspended", "{'status':{'phase':'Running'}}", false },
		{ "p begun complete@5\np/0", NULL, true },
		{ "p begun failed@5", "{'status':{'phase':'Failed'}}", true },
		{ "p begun complete@5", "{'status':{'phase':'Succeeded'}}", true },
		{ "p begun complete@5", "{'status':{}}", false },
	};

	(void)state;
	for (size_t i = 0; i < DF_ARRAY_SIZE(rows); i++) {
		df_cleanup(df_arena_done) struct df_arena arena = { 0 };
		struct df_value *jobs[JOBS_MAX], *pod = parse(rows[i].pod, &arena);
		size_t n = read_jobs(rows[i].jobs, jobs, &arena);

		if (df_chain_quiet(jobs, n, &pod, pod ? 1 : 0) != rows[i].quiet)
			fail_msg("%s", rows[i].jobs);
	}
}

static void test_podless(void **state)
{
	static const struct {
		const char *jobs, *name;
		bool podless;
	} rows[] = {
		{ "", NULL, false },
		{ "p begun created@10", NULL, true },
		{ "p begun created@11", NULL, false },
		{ "p suspended created@10", NULL, false },
		{ "p begun created@10 complete@20", NULL, false },
		{ "p/0 created@10", NULL, false },
		{ "p begun created@10", "p", true },
		{ "p begun created@10", "q", false },
		{ "p/0 created@10", "p/0", true },
	};

	(void)state;
	for (size_t i = 0; i < DF_ARRAY_SIZE(rows); i++) {
		df_cleanup(df_arena_done) struct df_arena arena = { 0 };
		struct df_value *jobs[JOBS_MAX];
		size_t n = read_jobs(rows[i].jobs, jobs, &arena);

		if (!!df_chain_podless(jobs, n, rows[i].name, 10) != rows[i].podless)
			fail_msg("%s", rows[i].jobs);
		if (n)
			df_object_set(df_object_get_c(jobs[0], "status"), DF_STR("active"), df_value_int64(&arena, 1));
		assert_null(df_chain_podless(jobs, n, rows[i].name, 10));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_plain),	    cmocka_unit_test(test_trigger), cmocka_unit_test(test_pruned),
		cmocka_unit_test(test_many),	    cmocka_unit_test(test_gate),    cmocka_unit_test(test_pause),
		cmocka_unit_test(test_status),	    cmocka_unit_test(test_quiet),   cmocka_unit_test(test_podless),
		cmocka_unit_test(test_trigger_pod),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/*
 * df_chain against a model of a cluster: ticks, Jobs that complete and fail, people who delete Jobs, history that is
 * pruned, pauses, specs that change; an operator that ends between any two actions and whose view lags behind. No
 * trigger runs twice, none is lost, they run in order, a run is settled once, gated runs never overlap.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/time.h"
#include "chain_kit.h"
#include "kube/build.h"
#include "operator/names.h"

#define SEEDS 300
#define STEPS 160
#define JOBS_MAX 140
#define RUNS_MAX 24
#define TRIGGERS_MAX 4
#define VIEWS 8

/* What truly happened to a run, whatever became of its Jobs. */
struct truth {
	char processor[80], id[9];
	bool processor_complete, processor_failed, trigger_failed, deleted, began;
	int created[TRIGGERS_MAX];
	bool complete[TRIGGERS_MAX];
	int64_t end; /* of the last Job that completed */
	char settled[24];
	int ends_told, starts_told;
};

struct world {
	uint64_t random;
	int64_t now, version;
	struct kit_job jobs[JOBS_MAX];
	size_t job_count;
	struct truth runs[RUNS_MAX];
	size_t run_count;
	/* Views of the past, the newest first; the operator never looks back. */
	struct kit_job views[VIEWS][JOBS_MAX];
	size_t view_counts[VIEWS];
	int64_t view_versions[VIEWS];
	int64_t seen;

	const char *policy;
	size_t triggers;
	bool paused, gate, people, edits;
	int history;
	struct df_arena status_arena;
	struct df_value *status;
};

/* So that nothing that the model can do is never done. */
static struct {
	size_t crashes, stale, refused, replaced, skipped, deleted, pruned, done, failed, late, paused;
} seen;

static uint64_t roll(struct world *w, uint64_t n)
{
	w->random = w->random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (w->random >> 33) % n;
}

/* ---- the store ------------------------------------------------------------------------------------------- */

static struct kit_job *job_of(struct world *w, const char *name)
{
	for (size_t i = 0; i < w->job_count; i++)
		if (w->jobs[i].there && strcmp(w->jobs[i].name, name) == 0)
			return &w->jobs[i];
	return NULL;
}

static struct truth *truth_of(struct world *w, const char *processor)
{
	for (size_t i = 0; i < w->run_count; i++)
		if (strcmp(w->runs[i].processor, processor) == 0)
			return &w->runs[i];
	fail_msg("no run of %s", processor);
	return NULL;
}

static struct truth *truth_of_job(struct world *w, const struct kit_job *job)
{
	return truth_of(w, job->index < 0 ? job->name : job->processor);
}

static struct truth *truth_of_id(struct world *w, const char *id)
{
	for (size_t i = 0; i < w->run_count; i++)
		if (strcmp(w->runs[i].id, id) == 0)
			return &w->runs[i];
	fail_msg("no run %s", id);
	return NULL;
}

static bool unfinished(const struct kit_job *job)
{
	return job->there && job->state == KIT_ACTIVE;
}

/* Gated runs never overlap: of two of them one is not at work. */
static void check_overlap(struct world *w)
{
	const struct truth *at_work = NULL;

	for (size_t i = 0; i < w->job_count && w->gate; i++) {
		const struct truth *run;

		if (!unfinished(&w->jobs[i]) || w->jobs[i].suspended)
			continue;
		run = truth_of_job(w, &w->jobs[i]);
		assert_true(!at_work || at_work == run);
		at_work = run;
	}
}

/* Something was written. */
static void changed(struct world *w, struct kit_job *job)
{
	job->version = ++w->version;
	memmove(&w->views[1], &w->views[0], sizeof(w->views) - sizeof(w->views[0]));
	memmove(&w->view_counts[1], &w->view_counts[0], sizeof(w->view_counts) - sizeof(w->view_counts[0]));
	memmove(&w->view_versions[1], &w->view_versions[0], sizeof(w->view_versions) - sizeof(w->view_versions[0]));
	memcpy(w->views[0], w->jobs, sizeof(w->jobs));
	w->view_counts[0] = w->job_count;
	w->view_versions[0] = w->version;
	check_overlap(w);
}

static struct kit_job *add_job(struct world *w)
{
	assert_in_range(w->job_count, 0, JOBS_MAX - 1);
	w->jobs[w->job_count] = (struct kit_job){ .there = true, .index = -1, .created = w->now };
	return &w->jobs[w->job_count++];
}

static void drop_job(struct world *w, struct kit_job *job)
{
	job->there = false;
	changed(w, job);
}

/* ---- what happens by itself ------------------------------------------------------------------------------ */

static void add_run(struct world *w, const char *prefix)
{
	struct truth *run = &w->runs[w->run_count];
	struct kit_job *job;

	if (w->run_count == RUNS_MAX || w->job_count > JOBS_MAX - TRIGGERS_MAX - 2)
		return;
	w->run_count++;
	w->now++; /* each in a second of its own */
	job = add_job(w);
	snprintf(job->name, sizeof(job->name), "%s-%lld", prefix, (long long)w->now);
	snprintf(run->processor, sizeof(run->processor), "%s", job->name);
	df_run_id(run->processor, run->id);
	job->suspended = w->gate;
	job->scheduled = w->now;
	changed(w, job);
}

static bool scheduled(const struct kit_job *job)
{
	return job->index < 0 && !strstr(job->name, "manual");
}

/* As the CronJob controller does. */
static void tick(struct world *w)
{
	for (size_t i = 0; i < w->job_count; i++) {
		struct kit_job *job = &w->jobs[i];

		if (!unfinished(job) || !scheduled(job) || job->deleting)
			continue;
		if (strcmp(w->policy, "Forbid") == 0)
			return;
		if (strcmp(w->policy, "Replace") == 0) {
			truth_of_job(w, job)->deleted = true;
			drop_job(w, job);
		}
	}
	add_run(w, "dfc-x");
}

static void by_hand(struct world *w)
{
	add_run(w, "dfc-x-manual");
}

static void end_job(struct world *w, struct kit_job *job, enum kit_state state)
{
	struct truth *run = truth_of_job(w, job);

	job->state = state;
	job->ended = w->now;
	if (state == KIT_COMPLETE)
		run->end = w->now;
	if (job->index < 0) {
		run->processor_complete = state == KIT_COMPLETE;
		run->processor_failed = state == KIT_FAILED;
	} else {
		run->complete[job->index] = state == KIT_COMPLETE;
		run->trigger_failed |= state == KIT_FAILED;
	}
	changed(w, job);
}

static struct kit_job *any_job(struct world *w)
{
	return w->job_count ? &w->jobs[roll(w, w->job_count)] : NULL;
}

static void progress(struct world *w)
{
	for (size_t i = 0; i < w->job_count; i++) {
		struct kit_job *job = &w->jobs[i];

		if (!job->there || roll(w, 3) == 0)
			continue;
		if (job->deleting)
			drop_job(w, job);
		else if (unfinished(job) && !job->suspended)
			end_job(w, job, roll(w, 8) == 0 ? KIT_FAILED : KIT_COMPLETE);
	}
}

/* Does a Job that is there tell that this trigger was begun? */
static bool remembered(struct world *w, const struct truth *run, int index)
{
	char mark[24];

	for (size_t i = 0; i < w->job_count; i++)
		for (int n = index; n < TRIGGERS_MAX; n++) {
			const struct kit_job *job = &w->jobs[i];

			snprintf(mark, sizeof(mark), "trigger-%d", n);
			if (job->there && truth_of_job(w, job) == run &&
			    (job->index == n || strcmp(job->mark, mark) == 0))
				return true;
		}
	return false;
}

/* A trigger Job that was deleted when nothing told of it yet, or not any more (its processor Job was pruned before the
 * operator looked): nobody can know of it. */
static void forget(struct world *w, struct truth *run)
{
	for (int i = 0; i < TRIGGERS_MAX; i++)
		if (!remembered(w, run, i))
			run->created[i] = 0;
}

static void person_deletes(struct world *w)
{
	struct kit_job *job = any_job(w);

	if (!w->people || !job || !job->there)
		return;
	truth_of_job(w, job)->deleted = true;
	seen.deleted++;
	drop_job(w, job);
	forget(w, truth_of_job(w, job));
}

static bool has_trigger(struct world *w, const struct kit_job *processor)
{
	for (size_t i = 0; i < w->job_count; i++)
		if (w->jobs[i].there && strcmp(w->jobs[i].processor, processor->name) == 0)
			return true;
	return false;
}

/* As the CronJob controller does: the oldest finished ones go. */
static void prune(struct world *w)
{
	int left = w->history ? w->history : 1;

	for (size_t i = w->job_count; i-- > 0;) {
		struct kit_job *job = &w->jobs[i];

		if (!job->there || job->index >= 0 || job->state == KIT_ACTIVE || left-- > 0)
			continue;
		seen.pruned++;
		/* Before any trigger was made: nothing is left that could tell of the run. */
		truth_of_job(w, job)->deleted |= !has_trigger(w, job);
		drop_job(w, job);
		forget(w, truth_of_job(w, job));
	}
}

static void pause_or_not(struct world *w)
{
	w->paused = !w->paused && roll(w, 2);
	seen.paused += w->paused;
}

static void edit(struct world *w)
{
	if (w->edits)
		w->triggers = roll(w, TRIGGERS_MAX + 1);
}

/* ---- the operator ---------------------------------------------------------------------------------------- */

static void told(struct world *w, const struct df_chain_action *a)
{
	struct truth *run = truth_of_id(w, a->run_id);

	if (!a->reason)
		return;
	if (strcmp(a->reason, "RunStarted") == 0)
		assert_int_equal(++run->starts_told, 1);
	else if (strcmp(a->reason, "TriggerStarted") != 0)
		assert_int_equal(++run->ends_told, 1);
	seen.replaced += strcmp(a->reason, "RunReplaced") == 0;
	seen.skipped += strcmp(a->reason, "RunSkipped") == 0;
}

static void do_patch(struct world *w, const struct df_chain_action *a, struct kit_job *job)
{
	struct truth *run = truth_of_job(w, job);

	assert_string_equal(run->id, a->run_id);
	snprintf(job->run, sizeof(job->run), "%s", a->run_id);
	if (a->suspend != DF_CHAIN_AS_IT_IS)
		job->suspended = a->suspend == DF_CHAIN_SUSPEND;
	if (a->mark) {
		bool settles = strncmp(a->mark, "trigger-", 8) != 0;

		/* Never back, and never another end; but when what told of its end was deleted before all did. */
		if (settles)
			assert_true(!*run->settled || run->deleted || strcmp(run->settled, a->mark) == 0);
		else
			assert_true(!*job->mark || strncmp(job->mark, "trigger-", 8) == 0);
		snprintf(job->mark, sizeof(job->mark), "%s", a->mark);
		if (settles)
			snprintf(run->settled, sizeof(run->settled), "%s", a->mark);
	}
	changed(w, job);
}

static bool is_same(struct world *w, const char *name, const char *version)
{
	const struct kit_job *job = job_of(w, name);

	return job && (!version || job->version == atoll(version));
}

static void do_create(struct world *w, const struct df_chain_action *a)
{
	struct truth *run = truth_of(w, a->processor_job);
	const char *name = df_trigger_job_name("x", a->run_id, a->index, &w->status_arena);
	struct kit_job *job;

	if (job_of(w, name))
		return; /* AlreadyExists */
	assert_string_equal(run->settled, "");
	assert_in_range(a->index, 0, TRIGGERS_MAX - 1);
	assert_int_equal(++run->created[a->index], 1);
	assert_true(a->index ? run->complete[a->index - 1] : run->processor_complete);
	job = add_job(w);
	snprintf(job->name, sizeof(job->name), "%s", name);
	snprintf(job->processor, sizeof(job->processor), "%s", a->processor_job);
	snprintf(job->run, sizeof(job->run), "%s", a->run_id);
	job->index = (int)a->index;
	changed(w, job);
}

static void do_delete(struct world *w, const struct df_chain_action *a, struct kit_job *job)
{
	struct truth *run = truth_of_job(w, job);

	if (a->late) {
		assert_string_not_equal(run->settled, "");
		seen.late++;
	} else {
		/* What was replaced; what waited in vain. */
		assert_true(strcmp(run->settled, "replaced") == 0 || !*job->run);
		run->deleted = true;
	}
	if (a->with_pods) {
		job->deleting = true;
		changed(w, job);
	} else {
		drop_job(w, job);
	}
}

/* False: refused, for the view is not up to date; or the operator ended. */
static bool do_action(struct world *w, const struct df_chain_action *a, bool may_crash)
{
	struct kit_job *job = job_of(w, a->job);

	if (may_crash && roll(w, 6) == 0) {
		seen.crashes++;
		return false;
	}
	if (!is_same(w, a->job, a->version) || (a->guard && !is_same(w, a->guard, a->guard_version))) {
		seen.refused++;
		return false;
	}
	switch (a->verb) {
	case DF_CHAIN_PATCH:
		do_patch(w, a, job);
		break;
	case DF_CHAIN_CREATE:
		do_create(w, a);
		break;
	case DF_CHAIN_DELETE:
		do_delete(w, a, job);
		break;
	}
	told(w, a);
	return true;
}

static struct df_value *time_value(int64_t seconds, struct df_arena *arena)
{
	struct df_instant t = { .seconds = seconds };
	char text[DF_RFC3339_MAX];

	return seconds ? df_value_string_copy(arena, df_str(text, df_rfc3339_format(t, 0, DF_FRACTION_NONE, text)))
		       : NULL;
}

static void write_status(struct world *w, const struct df_chain_status *s)
{
	struct df_arena arena = { 0 };
	struct df_value *status, *index = s->trigger_index < 0 ? NULL : df_value_int64(&arena, s->trigger_index);

	assert_int_equal(df_kube_build(&arena, &status, NULL,
				       "{'phase':%s,'message':%s,'currentRunID':%s,'activeJobName':%s,"
				       "'currentTriggerIndex':%v,'lastSuccessfulTime':%v,'lastFailedTime':%v}",
				       s->phase, s->message, s->run_id, s->active_job, index,
				       time_value(s->last_successful, &arena), time_value(s->last_failed, &arena)),
			 0);
	df_arena_done(&w->status_arena);
	w->status_arena = arena;
	w->status = status;
}

/* A view that is no older than the last one. */
static size_t choose_view(struct world *w, bool lag)
{
	size_t n = 0;

	while (lag && n + 1 < VIEWS && w->view_versions[n + 1] >= w->seen && w->view_versions[n + 1] && roll(w, 2))
		n++;
	w->seen = w->view_versions[n];
	seen.stale += n > 0;
	return n;
}

/* False: one was not done. */
static bool do_actions(struct world *w, const struct df_chain_result *result, bool late, bool may_crash)
{
	for (size_t i = 0; i < result->action_count; i++)
		if (result->actions[i].late == late && !do_action(w, &result->actions[i], may_crash))
			return false;
	return true;
}

/* One reconcile; how many actions there were. */
static size_t reconcile(struct world *w, bool crash)
{
	df_cleanup(df_arena_done) struct df_arena arena = { 0 };
	size_t view = choose_view(w, crash);
	struct df_value *objects[JOBS_MAX];
	char policy[16];
	struct df_trigger triggers[TRIGGERS_MAX] = { 0 };
	struct df_opt_int limit = { .set = true, .value = w->history };
	struct df_dataflowcron_spec spec = {
		.concurrency_policy = policy,
		.successful_jobs_history_limit = limit,
		.failed_jobs_history_limit = limit,
		.starting_deadline_seconds = { .set = w->people, .value = 40 },
		.triggers = { triggers, w->triggers },
	};
	struct df_chain_input in = { .name = "x", .spec = &spec, .jobs = objects, .paused = w->paused, .now = w->now };
	struct df_chain_result result;

	snprintf(policy, sizeof(policy), "%s", w->policy);
	for (size_t i = 0; i < w->view_counts[view]; i++)
		if (w->views[view][i].there)
			objects[in.job_count++] = kit_object(&w->views[view][i], &arena);
	in.status = w->status ? df_value_clone_deep(w->status, &arena) : NULL;
	assert_int_equal(df_chain(&in, &arena, &result, NULL), 0);
	if (do_actions(w, &result, false, crash) && !(crash && roll(w, 6) == 0)) {
		write_status(w, &result.status);
		(void)do_actions(w, &result, true, crash);
	}
	return result.action_count;
}

/* ---- the end --------------------------------------------------------------------------------------------- */

/* Everything that is at work completes, and the operator has all the time it needs. */
static void settle_all(struct world *w)
{
	w->paused = false;
	for (int i = 0; i < 400; i++) {
		bool any = false;

		for (size_t k = 0; k < w->job_count; k++) {
			struct kit_job *job = &w->jobs[k];

			if (!job->there || !(job->deleting || (unfinished(job) && !job->suspended)))
				continue;
			any = true;
			if (job->deleting)
				drop_job(w, job);
			else
				end_job(w, job, KIT_COMPLETE);
		}
		w->now++;
		if (reconcile(w, false) == 0 && !any)
			return;
	}
	fail_msg("it never comes to rest");
}

static void check_job(struct world *w, const struct kit_job *job)
{
	if (!job->there)
		return;
	assert_int_not_equal(job->state, KIT_ACTIVE);
	assert_string_equal(job->mark, truth_of_job(w, job)->settled);
	assert_string_not_equal(job->mark, "");
	if (job->index >= 0) /* they go with their processor Job */
		assert_non_null(job_of(w, job->processor));
	else
		assert_true(w->history > 0);
}

static void check_run(struct world *w, const struct truth *run)
{
	bool all = run->processor_complete;

	for (size_t i = 0; i < w->triggers && !w->edits; i++)
		all &= run->complete[i];
	seen.done += strcmp(run->settled, "done") == 0;
	seen.failed += strcmp(run->settled, "failed") == 0;
	if (run->deleted)
		return;
	/* Nobody has deleted anything of it: it ended as its Jobs did. */
	if (strcmp(run->settled, "done") == 0)
		assert_true(w->edits || (all && !run->trigger_failed && !run->processor_failed));
	else if (strcmp(run->settled, "failed") == 0)
		assert_true(run->trigger_failed || run->processor_failed);
	else
		assert_string_equal(run->settled, "replaced");
}

static int64_t status_time(const struct world *w, const char *key)
{
	const struct df_value *v = df_object_get_c(w->status, key);
	struct df_arena arena = { 0 };
	struct df_instant t;

	return v && df_rfc3339_parse(df_value_text(v, &arena), &t) ? t.seconds : 0;
}

static void check_status(struct world *w)
{
	static const char *const phases[] = { "Pending", "Completed", "Failed" };
	const struct df_value *phase = df_object_get_c(w->status, "phase");
	int64_t success = 0;
	bool ended = false;

	for (size_t i = 0; i < DF_ARRAY_SIZE(phases); i++)
		ended |= df_value_string_equal(phase, df_str_c(phases[i]));
	assert_true(ended);
	for (size_t i = 0; i < w->run_count; i++)
		if (strcmp(w->runs[i].settled, "done") == 0 && w->runs[i].end > success)
			success = w->runs[i].end;
	if (!w->people && w->history > 1)
		assert_int_equal(status_time(w, "lastSuccessfulTime"), success);
}

static void check_end(struct world *w)
{
	struct df_str before = df_value_to_arena(w->status, &w->status_arena), after;
	char copy[1024];

	for (size_t i = 0; i < w->job_count; i++)
		check_job(w, &w->jobs[i]);
	for (size_t i = 0; i < w->run_count; i++)
		check_run(w, &w->runs[i]);
	check_status(w);
	snprintf(copy, sizeof(copy), DF_STR_FMT, DF_STR_ARG(before));
	w->now += 100;
	assert_int_equal(reconcile(w, false), 0);
	after = df_value_to_arena(w->status, &w->status_arena);
	assert_int_equal(strlen(copy), after.len);
	assert_memory_equal(copy, after.ptr, after.len);
}

/* ---- the model ------------------------------------------------------------------------------------------- */

static void (*const events[])(struct world *w) = { tick,     tick,	     by_hand, progress, progress,
						   progress, person_deletes, prune,   edit,	pause_or_not };

static void play(uint64_t seed)
{
	static const char *const policies[] = { "Allow", "Forbid", "Replace" };
	static struct world w;

	w = (struct world){ .random = seed * 7919 + 1, .now = 1000, .policy = policies[seed % 3] };
	w.triggers = roll(&w, TRIGGERS_MAX);
	w.gate = strcmp(w.policy, "Allow") != 0 && w.triggers > 0;
	w.people = roll(&w, 2);
	w.edits = roll(&w, 4) == 0;
	w.history = (int)roll(&w, 4);
	for (int i = 0; i < STEPS; i++) {
		w.now += (int64_t)roll(&w, 5);
		if (roll(&w, 2))
			events[roll(&w, DF_ARRAY_SIZE(events))](&w);
		else
			reconcile(&w, true);
	}
	settle_all(&w);
	check_end(&w);
	df_arena_done(&w.status_arena);
}

static void test_model(void **state)
{
	const char *one = getenv("SEED");

	(void)state;
	for (uint64_t seed = one ? strtoull(one, NULL, 10) : 0; seed < SEEDS || one; seed++) {
		if (getenv("DEBUG"))
			print_message("SEED=%llu\n", (unsigned long long)seed);
		play(seed);
		if (one)
			return;
	}
	/* The model has done all that it can do. */
	assert_true(seen.crashes > 100 && seen.stale > 100 && seen.refused > 100 && seen.replaced > 30);
	assert_true(seen.skipped > 10 && seen.deleted > 100 && seen.pruned > 100 && seen.done > 300);
	assert_true(seen.failed > 100 && seen.late > 100 && seen.paused > 100);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_model) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}

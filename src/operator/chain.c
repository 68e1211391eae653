#include "operator/chain.h"

#include <inttypes.h>
#include <string.h>

#include "base/cleanup.h"
#include "operator/chain_internal.h"
#include "operator/names.h"

/* Kubernetes looks every 10 s whether a CronJob is due: a shorter deadline would skip what nothing keeps from running.
 */
#define DEADLINE_MIN 10

/* ---- what follows from the Jobs -------------------------------------------------------------------------- */

static struct chain_job *trigger_at(const struct chain_run *run, int64_t index)
{
	for (size_t i = 0; i < run->trigger_count; i++)
		if (run->triggers[i]->index == index)
			return run->triggers[i];
	return NULL;
}

static int64_t max(int64_t a, int64_t b)
{
	return a > b ? a : b;
}

static void gather(struct chain_run *run, const struct chain_job *job)
{
	if (job->mark != CHAIN_OPEN)
		run->recorded = job->mark;
	run->position = max(run->position, max(job->index, job->marked));
}

/* How the run stands when the trigger it is at has ended, or there is none yet. */
static void go_on(struct chain *c, struct chain_run *run)
{
	if (!c->in->spec)
		return;
	if (run->position + 1 < (int64_t)c->in->spec->triggers.count)
		run->next = run->position + 1;
	else
		run->outcome = CHAIN_DONE;
}

static void evaluate(struct chain *c, struct chain_run *run)
{
	run->position = run->next = -1;
	if (run->processor)
		gather(run, run->processor);
	for (size_t i = 0; i < run->trigger_count; i++)
		gather(run, run->triggers[i]);
	run->at = trigger_at(run, run->position);
	run->outcome = run->recorded;
	run->gated = run->processor && !chain_begun(run->processor);
	if (run->outcome != CHAIN_OPEN)
		return;
	if (run->processor && run->processor->failed)
		run->outcome = CHAIN_FAILED;
	else if (chain_unfinished(run->processor))
		return;
	else if (run->position >= 0 && (!run->at || run->at->failed))
		run->outcome = CHAIN_FAILED;
	else if (run->position < 0 || run->at->complete)
		go_on(c, run);
}

/* ---- who may begin --------------------------------------------------------------------------------------- */

bool chain_run_unfinished(const struct chain_run *run)
{
	bool any = chain_unfinished(run->processor);

	for (size_t i = 0; i < run->trigger_count; i++)
		any |= chain_unfinished(run->triggers[i]);
	return any;
}

/* It keeps another one from beginning: until its end can be seen in its Jobs, for whoever sees that sees all of them.
 */
static bool occupies(const struct chain_run *run)
{
	return !run->gated && (run->recorded == CHAIN_OPEN || chain_run_unfinished(run));
}

static int64_t deadline_of(const struct chain *c, const struct chain_run *run)
{
	int64_t seconds = max(c->in->spec->starting_deadline_seconds.value, DEADLINE_MIN), deadline;

	return __builtin_add_overflow(run->processor->scheduled, seconds, &deadline) ? INT64_MAX - 1 : deadline;
}

static void skip_late_ones(struct chain *c)
{
	if (!c->in->spec->starting_deadline_seconds.set)
		return;
	for (size_t i = 0; i < c->run_count; i++) {
		struct chain_run *run = &c->runs[i];
		int64_t deadline;

		if (!run->gated)
			continue;
		deadline = deadline_of(c, run);
		run->skip = c->in->now > deadline;
		if (!run->skip && (!c->result->again_at || c->result->again_at > deadline))
			c->result->again_at = deadline + 1;
	}
}

/* And may begin: what the schedule made does not while that is suspended. */
static bool waits(const struct chain *c, const struct chain_run *run)
{
	return run->gated && !run->skip && !run->processor->deleting &&
	       (!c->in->spec->suspend || run->processor->by_hand);
}

static void release_all(struct chain *c)
{
	for (size_t i = 0; i < c->run_count; i++)
		c->runs[i].release = waits(c, &c->runs[i]);
}

static void release_one(struct chain *c)
{
	for (size_t i = 0; i < c->run_count; i++)
		if (occupies(&c->runs[i]))
			return;
	for (size_t i = 0; i < c->run_count; i++)
		if (waits(c, &c->runs[i])) {
			c->runs[i].release = true;
			return;
		}
}

/* The newest one runs; what is older is replaced. */
static void release_newest(struct chain *c)
{
	struct chain_run *newest = NULL;

	for (size_t i = 0; i < c->run_count; i++)
		/* The processor Job of a pruned run was there before any other. */
		if (waits(c, &c->runs[i]) || (occupies(&c->runs[i]) && (c->runs[i].processor || !newest)))
			newest = &c->runs[i];
	if (!newest)
		return;
	for (size_t i = 0; i < c->run_count; i++) {
		struct chain_run *run = &c->runs[i];

		if (run == newest)
			continue;
		run->drop = waits(c, run);
		if (newest->gated && occupies(run) && run->outcome == CHAIN_OPEN)
			run->outcome = CHAIN_REPLACED;
	}
	newest->release = newest->gated;
	for (size_t i = 0; i < c->run_count; i++)
		newest->release &= &c->runs[i] == newest || !occupies(&c->runs[i]);
}

static const struct {
	const char *name;
	void (*release)(struct chain *c);
} policies[] = { { "Allow", release_all }, { "Forbid", release_one }, { "Replace", release_newest } };

static void open_gate(struct chain *c)
{
	const char *policy = c->in->spec->concurrency_policy ? c->in->spec->concurrency_policy : "Allow";

	skip_late_ones(c);
	for (size_t i = 0; i < DF_ARRAY_SIZE(policies) && !c->in->paused && !c->in->held; i++)
		if (strcmp(policy, policies[i].name) == 0)
			policies[i].release(c);
}

/* ---- actions --------------------------------------------------------------------------------------------- */

/* What an action cannot be without; a spare one when out of memory. */
static struct df_chain_action *add(struct chain *c, enum df_chain_verb verb, const struct chain_run *run,
				   const struct chain_job *job)
{
	static _Thread_local struct df_chain_action spare;
	struct df_chain_result *result = c->result;
	struct df_chain_action *actions = result->actions, *action = &spare;

	if (result->action_count == c->action_cap) {
		size_t cap = c->action_cap ? 2 * c->action_cap : 8;

		actions = df_arena_extend(c->arena, actions, c->action_cap * sizeof(*actions), cap * sizeof(*actions));
		c->no_memory |= !actions;
		if (actions) {
			result->actions = actions;
			c->action_cap = cap;
		}
	}
	if (actions)
		action = &result->actions[result->action_count++];
	*action = (struct df_chain_action){
		.verb = verb,
		.job = job->name,
		.uid = job->uid,
		.version = job->version,
		.run_id = run->id,
	};
	return action;
}

static void guard(struct df_chain_action *action, const struct chain_job *job)
{
	action->guard = job ? job->name : NULL;
	action->guard_version = job ? job->version : NULL;
}

static void tell(struct df_chain_action *action, bool warning, const char *reason, const char *note)
{
	action->warning = warning;
	action->reason = reason;
	action->note = note;
}

/* ---- the end of a run ------------------------------------------------------------------------------------ */

const struct chain_job *chain_failed_job(const struct chain_run *run)
{
	if (run->processor && run->processor->failed)
		return run->processor;
	return run->at && run->at->failed ? run->at : NULL;
}

static const char *words_of_failure(struct chain *c, const struct chain_run *run)
{
	const struct chain_job *job = chain_failed_job(run);
	const char *trigger = chain_trigger_words(c, run->position), *last = job ? chain_last_words(c, job) : NULL;

	if (last || (job && job == run->processor))
		return chain_text(c, "%s%sJob %s failed: %s", last ? last : "", last ? "; " : "", job->name, job->why);
	if (job)
		return chain_text(c, "Trigger %s failed: Job %s: %s", trigger, job->name, job->why);
	if (run->position < 0 || run->at)
		return chain_text(c, "Run %s failed: a trigger Job was deleted", run->id);
	return chain_text(c, "Trigger %s failed: trigger Job %s was deleted", trigger,
			  df_trigger_job_name(c->in->name, run->id, (unsigned)run->position, c->arena));
}

static void words_of_end(struct chain *c, struct chain_run *run)
{
	if (run->outcome == CHAIN_DONE)
		run->text = chain_text(c, "Run %s completed", run->id);
	else if (run->outcome == CHAIN_REPLACED)
		run->text = chain_text(c, "Run %s was replaced by a newer one", run->id);
	else
		run->text = words_of_failure(c, run);
}

static const char *event_of_end(const struct chain_run *run)
{
	if (run->outcome == CHAIN_DONE)
		return "RunCompleted";
	if (run->outcome == CHAIN_REPLACED)
		return "RunReplaced";
	return run->processor && run->processor->failed ? "RunFailed" : "TriggerFailed";
}

/*
 * The Jobs of a run in the order in which it is settled. The last trigger Job first, for the next trigger is made after
 * that very version of it; the processor Job last, so that what has its mark is all there is to do.
 */
static struct chain_job *member(const struct chain_run *run, size_t i)
{
	if (i < run->trigger_count)
		return run->triggers[run->trigger_count - 1 - i];
	return i == run->trigger_count ? run->processor : NULL;
}

/*
 * Every Job gets the mark: whichever of them is deleted first, none is taken for a run that goes on. With a
 * trigger Job that was deleted it takes the place of the last that told which one that was: the status tells it before.
 */
static bool settle(struct chain *c, struct chain_run *run)
{
	bool late = run->outcome == CHAIN_FAILED && !chain_failed_job(run);
	struct df_chain_action *action = NULL;

	for (size_t i = 0; member(run, i); i++) {
		const struct chain_job *job = member(run, i);

		if (job->mark != CHAIN_OPEN)
			continue;
		action = add(c, DF_CHAIN_PATCH, run, job);
		action->mark = chain_marks[run->outcome];
		action->late = late;
		if (job != run->processor)
			guard(action, run->processor);
	}
	if (action && (run->processor ? run->processor->mark : run->recorded) == CHAIN_OPEN)
		tell(action, run->outcome == CHAIN_FAILED, event_of_end(run), run->text);
	return action != NULL;
}

/* What is still at work of a run that was replaced. It stays, being deleted, until its pods are gone, and so keeps the
 * next one waiting. */
static void end_replaced(struct chain *c, struct chain_run *run)
{
	for (size_t i = 0; member(run, i); i++) {
		const struct chain_job *job = member(run, i);
		struct df_chain_action *action;

		if (!chain_unfinished(job) || job->deleting)
			continue;
		action = add(c, DF_CHAIN_DELETE, run, job);
		action->with_pods = true;
		action->version = NULL; /* it has just been marked */
	}
}

static bool kept(const struct chain *c, const struct chain_run *run)
{
	const struct df_opt_int *limit;

	if (!c->in->spec)
		return true;
	limit = run->outcome == CHAIN_FAILED ? &c->in->spec->failed_jobs_history_limit
					     : &c->in->spec->successful_jobs_history_limit;
	return !limit->set || limit->value > 0;
}

/* Trigger Jobs go when their processor Job is gone, and this one at once when no history is wanted. */
static void prune(struct chain *c, struct chain_run *run)
{
	if (run->processor && !run->processor->deleting && !kept(c, run))
		add(c, DF_CHAIN_DELETE, run, run->processor)->late = true;
	for (size_t i = 0; !run->processor && i < run->trigger_count; i++)
		if (!run->triggers[i]->deleting)
			add(c, DF_CHAIN_DELETE, run, run->triggers[i])->late = true;
}

static void act_on_ended(struct chain *c, struct chain_run *run)
{
	bool settling = settle(c, run);

	if (run->outcome == CHAIN_REPLACED)
		end_replaced(c, run);
	if (!settling && !chain_run_unfinished(run))
		prune(c, run);
}

/* ---- a run under way ------------------------------------------------------------------------------------- */

static void act_on_gated(struct chain *c, struct chain_run *run)
{
	const struct chain_job *job = run->processor;
	struct df_chain_action *action;

	if (job->deleting || !(run->release || run->skip || run->drop))
		return;
	if (run->release) {
		action = add(c, DF_CHAIN_PATCH, run, job);
		action->suspend = DF_CHAIN_RELEASE;
		tell(action, false, "RunStarted", chain_text(c, "Started run %s: Job %s", run->id, job->name));
		return;
	}
	action = add(c, DF_CHAIN_DELETE, run, job);
	if (run->skip)
		tell(action, true, "RunSkipped",
		     chain_text(c, "Skipped run %s: Job %s could not begin within startingDeadlineSeconds", run->id,
				job->name));
	else
		tell(action, false, "RunReplaced",
		     chain_text(c, "Run %s was replaced by a newer one before it began", run->id));
}

static enum df_chain_suspend wanted_suspend(const struct chain *c, const struct chain_job *job)
{
	if (c->in->paused)
		return job->suspended ? DF_CHAIN_AS_IT_IS : DF_CHAIN_SUSPEND;
	if (!c->in->spec)
		return DF_CHAIN_AS_IT_IS;
	return job->suspended && !c->in->held ? DF_CHAIN_RELEASE : DF_CHAIN_AS_IT_IS;
}

static void act_on_processor(struct chain *c, struct chain_run *run)
{
	const struct chain_job *job = run->processor;
	enum df_chain_suspend suspend = wanted_suspend(c, job);
	struct df_chain_action *action;

	if (job->deleting || (job->run_label && suspend == DF_CHAIN_AS_IT_IS))
		return;
	action = add(c, DF_CHAIN_PATCH, run, job);
	action->suspend = suspend;
	if (!job->run_label)
		tell(action, false, "RunStarted", chain_text(c, "Started run %s: Job %s", run->id, job->name));
}

/* Who remembers that trigger `index` was begun: the processor Job, else the trigger Job before it; NULL: nobody. */
static struct chain_job *memory_of(const struct chain_run *run, int64_t index)
{
	struct chain_job *found = run->processor;

	for (size_t i = 0; !run->processor && i < run->trigger_count; i++)
		if (run->triggers[i]->index < index)
			found = run->triggers[i];
	return found;
}

static void remember(struct chain *c, struct chain_run *run, int64_t index)
{
	const struct chain_job *memory = memory_of(run, index);

	if (memory && memory->marked < index)
		add(c, DF_CHAIN_PATCH, run, memory)->mark = chain_text(c, "trigger-%" PRId64, index);
}

/* First made, then remembered: what is remembered and is not there was deleted by someone. */
static void act_on_triggers(struct chain *c, struct chain_run *run)
{
	struct df_chain_action *action;
	const char *job;

	if (run->next < 0 || c->in->paused) {
		if (run->position >= 0)
			remember(c, run, run->position);
		return;
	}
	job = df_trigger_job_name(c->in->name, run->id, (unsigned)run->next, c->arena);
	action = add(c, DF_CHAIN_CREATE, run, memory_of(run, run->next));
	action->processor_job = run->processor_name;
	action->index = (unsigned)run->next;
	guard(action, run->at);
	tell(action, false, "TriggerStarted",
	     chain_text(c, "Started trigger %s of run %s: Job %s", chain_trigger_words(c, run->next), run->id,
			job ? job : ""));
	remember(c, run, run->next);
}

static void act(struct chain *c, struct chain_run *run)
{
	if (run->outcome != CHAIN_OPEN) {
		words_of_end(c, run);
		act_on_ended(c, run);
	} else if (run->gated) {
		act_on_gated(c, run);
	} else if (chain_unfinished(run->processor)) {
		act_on_processor(c, run);
	} else {
		act_on_triggers(c, run);
	}
}

int df_chain(const struct df_chain_input *in, struct df_arena *arena, struct df_chain_result *ret, struct df_error *err)
{
	struct chain c = { .in = in, .arena = arena, .result = ret };

	*ret = (struct df_chain_result){ 0 };
	chain_read(&c);
	for (size_t i = 0; i < c.run_count && !c.no_memory; i++)
		evaluate(&c, &c.runs[i]);
	if (in->spec && !c.no_memory)
		open_gate(&c);
	/* The old ones first: what ends makes room for what waits. */
	for (size_t i = 0; i < c.run_count && !c.no_memory; i++)
		act(&c, &c.runs[i]);
	if (!c.no_memory)
		chain_status(&c);
	return c.no_memory ? df_error_no_memory(err) : 0;
}

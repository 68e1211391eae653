/* The status of a DataFlowCron: the newest run is shown, an older one's end moves only its time. */
#include <string.h>

#include "base/time.h"
#include "kube/client.h"
#include "operator/chain_internal.h"
#include "operator/names.h"

#define PENDING "Pending"
#define RUNNING "Running"
#define RUNNING_TRIGGERS "RunningTriggers"
#define COMPLETED "Completed"
#define FAILED "Failed"

/* ---- what was written last ------------------------------------------------------------------------------- */

/* "" when there is none. */
static const char *old_text(struct chain *c, const char *key)
{
	const struct df_value *v = df_object_get_c(c->in->status, key);

	return v && v->kind == DF_STRING ? chain_text(c, DF_STR_FMT, DF_STR_ARG(df_value_text(v, c->arena))) : "";
}

static int64_t old_time(struct chain *c, const char *key)
{
	struct df_instant t;

	return df_rfc3339_parse(df_str_c(old_text(c, key)), &t) ? t.seconds : 0;
}

static int64_t max(int64_t a, int64_t b)
{
	return a > b ? a : b;
}

/* ---- times ----------------------------------------------------------------------------------------------- */

/* When the run ended, by the Job it ended with; 0: that one is gone. */
static int64_t end_of(const struct chain_run *run)
{
	const struct chain_job *failed = chain_failed_job(run);

	if (failed || run->outcome == CHAIN_FAILED)
		return failed ? failed->ended : 0;
	if (run->processor && run->position < 0)
		return run->processor->ended;
	return run->at ? run->at->ended : 0;
}

/* A trigger Job that was deleted has no time: it is when this was seen first. */
static bool seen_before(struct chain *c, const struct chain_run *run)
{
	return run->recorded != CHAIN_OPEN ||
	       (strcmp(old_text(c, "phase"), FAILED) == 0 && strcmp(old_text(c, "currentRunID"), run->id) == 0);
}

static void add_times(struct chain *c, const struct chain_run *run)
{
	struct df_chain_status *s = &c->result->status;
	int64_t end = end_of(run);

	if (run->outcome == CHAIN_DONE)
		s->last_successful = max(s->last_successful, end);
	if (run->outcome == CHAIN_FAILED)
		s->last_failed = max(s->last_failed, end || seen_before(c, run) ? end : c->in->now);
}

/* ---- the run that is shown ------------------------------------------------------------------------------- */

static void show_processor(struct chain *c, const struct chain_run *run, struct df_chain_status *s)
{
	const struct chain_job *job = run->processor;
	const char *trouble = chain_trouble(c, job);

	s->phase = RUNNING;
	s->active_job = job->name;
	if (run->gated && !run->release)
		s->message = chain_text(c, "Job %s waits until the run that it replaces has ended", job->name);
	else if (c->in->paused)
		s->message = chain_text(c, "Job %s is suspended", job->name);
	else if (trouble)
		s->message = trouble;
	else
		s->message = chain_text(c, "Job %s is running", job->name);
}

static void show_complete(struct chain *c, const struct chain_run *run, struct df_chain_status *s)
{
	s->phase = RUNNING;
	s->active_job = run->processor_name;
	s->message = chain_text(c, "Job %s is complete", run->processor_name);
}

static void show_trigger(struct chain *c, const struct chain_run *run, struct df_chain_status *s)
{
	int64_t index = run->next >= 0 ? run->next : max(run->position, 0);
	const struct chain_job *job = run->next < 0 ? run->at : NULL; /* NULL: it is being made */
	const char *words = chain_trigger_words(c, index), *trouble;

	s->phase = RUNNING_TRIGGERS;
	s->trigger_index = index;
	if (run->next >= 0 && c->in->paused) {
		s->message = chain_text(c, "Trigger %s waits for the end of the pause", words);
		return;
	}
	trouble = job ? chain_trouble(c, job) : NULL;
	s->active_job = job ? job->name : df_trigger_job_name(c->in->name, run->id, (unsigned)index, c->arena);
	s->message = trouble ? trouble : chain_text(c, "Trigger %s is running", words);
}

static void show_failure(struct chain *c, const struct chain_run *run, struct df_chain_status *s)
{
	const struct chain_job *job = chain_failed_job(run);

	s->phase = FAILED;
	if (job) {
		s->active_job = job->name;
		s->trigger_index = job->index;
	} else if (run->position >= 0 && !run->at) {
		s->trigger_index = run->position;
		s->active_job = df_trigger_job_name(c->in->name, run->id, (unsigned)run->position, c->arena);
	}
}

static void show(struct chain *c, const struct chain_run *run)
{
	struct df_chain_status *s = &c->result->status;

	s->run_id = run->id;
	s->message = run->text;
	if (run->outcome == CHAIN_DONE)
		s->phase = COMPLETED;
	else if (run->outcome == CHAIN_FAILED)
		show_failure(c, run, s);
	else if (chain_unfinished(run->processor))
		show_processor(c, run, s);
	else if (run->next < 0 && run->position < 0) /* nobody knows the triggers: the spec is invalid */
		show_complete(c, run, s);
	else
		show_trigger(c, run, s);
}

/* ---- which one that is ----------------------------------------------------------------------------------- */

/* The newest that has begun and was not replaced; what replaces one as soon as that has ended. */
static const struct chain_run *newest(const struct chain *c)
{
	const struct chain_run *begun = NULL, *waiting = NULL;
	bool ending = false;

	for (size_t i = 0; i < c->run_count; i++) {
		const struct chain_run *run = &c->runs[i];

		if (run->outcome == CHAIN_REPLACED)
			ending |= run->recorded == CHAIN_OPEN || chain_run_unfinished(run);
		else if (!run->gated || run->release)
			begun = run;
		else if (!run->skip && !run->drop)
			waiting = run;
	}
	return ending && waiting ? waiting : begun;
}

static bool is_there(const struct chain *c, const char *id)
{
	for (size_t i = 0; i < c->run_count; i++)
		if (strcmp(c->runs[i].id, id) == 0)
			return true;
	return false;
}

/* A run of the history that the status has spoken of already: what is written now is about a later one. */
static bool history(struct chain *c, const struct chain_run *run)
{
	return run->outcome != CHAIN_OPEN &&
	       end_of(run) <= max(old_time(c, "lastSuccessfulTime"), old_time(c, "lastFailedTime"));
}

/* The Job that the status speaks of was deleted in mid-run: by a person, for Kubernetes deletes none but to replace it.
 */
static void show_vanished(struct chain *c)
{
	struct df_chain_status *s = &c->result->status;
	const char *job = old_text(c, "activeJobName");

	s->phase = FAILED;
	s->active_job = *job ? job : NULL;
	s->message = chain_text(c, "Job %s was deleted", job);
	s->last_failed = c->in->now;
	s->vanished = true;
}

/* Does the old message speak of a run, and not of a step that failed? */
static bool speaks_of_run(struct chain *c)
{
	const struct df_value *list = df_object_get_c(c->in->status, "conditions");

	if (strcmp(old_text(c, "phase"), FAILED) != 0)
		return false;
	if (list && list->kind == DF_ARRAY)
		df_for_each (entry, list) {
			const struct df_value *type = df_object_get_c(entry, "type"),
					      *reason = df_object_get_c(entry, "reason");

			if (type && reason && df_value_string_equal(type, DF_STR("Ready")))
				return df_value_string_equal(reason, DF_STR(FAILED));
		}
	return true;
}

static void show_ended(struct chain *c)
{
	struct df_chain_status *s = &c->result->status;
	const struct df_value *index = df_object_get_c(c->in->status, "currentTriggerIndex");
	const char *job = old_text(c, "activeJobName");

	if (!speaks_of_run(c) && s->last_failed <= s->last_successful) {
		s->phase = s->last_successful ? COMPLETED : PENDING;
		s->message = s->last_successful ? chain_text(c, "Run %s completed", s->run_id) : s->message;
		return;
	}
	if (index && !df_value_to_int64(index, &s->trigger_index))
		s->trigger_index = -1;
	s->phase = FAILED;
	s->active_job = *job ? job : NULL;
	s->message = speaks_of_run(c) ? old_text(c, "message") : chain_text(c, "Run %s failed", s->run_id);
}

static bool was_under_way(struct chain *c)
{
	const char *phase = old_text(c, "phase");

	return strcmp(phase, RUNNING) == 0 || strcmp(phase, RUNNING_TRIGGERS) == 0;
}

/* Ended, and the status says so and why, which its Jobs do not tell any more: pruned, or a trigger Job was deleted. */
static bool told(struct chain *c, const struct chain_run *run, const char *old)
{
	return run->recorded != CHAIN_OPEN && strcmp(run->id, old) == 0 && !was_under_way(c) &&
	       (!run->processor || (run->outcome == CHAIN_FAILED && !chain_failed_job(run)));
}

static bool replaces(const struct chain *c)
{
	const char *policy = c->in->spec ? c->in->spec->concurrency_policy : NULL;

	return policy && strcmp(policy, "Replace") == 0;
}

void chain_status(struct chain *c)
{
	const struct chain_run *run = newest(c);
	struct df_chain_status *s = &c->result->status;
	const char *old = old_text(c, "currentRunID");

	*s = (struct df_chain_status){
		.phase = PENDING,
		.message = "No run yet",
		.trigger_index = -1,
		.last_successful = old_time(c, "lastSuccessfulTime"),
		.last_failed = old_time(c, "lastFailedTime"),
	};
	for (size_t i = 0; i < c->run_count; i++)
		add_times(c, &c->runs[i]);
	if (run && told(c, run, old)) {
		s->run_id = old;
		show_ended(c);
	} else if (*old && !is_there(c, old) && (!run || history(c, run)) && !(was_under_way(c) && replaces(c))) {
		s->run_id = old;
		if (was_under_way(c))
			show_vanished(c);
		else
			show_ended(c);
	} else if (run) {
		show(c, run);
	}
}

/* The Jobs of a DataFlowCron, read, and put together as runs. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/time.h"
#include "kube/client.h"
#include "operator/chain_internal.h"
#include "operator/names.h"

const char *const chain_marks[CHAIN_OUTCOMES] = {
	[CHAIN_OPEN] = NULL, [CHAIN_DONE] = "done", [CHAIN_FAILED] = "failed", [CHAIN_REPLACED] = "replaced"
};

#define MARK_TRIGGER "trigger-"
#define SCHEDULED_ANNOTATION "batch.kubernetes.io/cronjob-scheduled-timestamp"
#define INSTANTIATE_ANNOTATION "cronjob.kubernetes.io/instantiate" /* of `kubectl create job --from=cronjob/...` */

const char *chain_text(struct chain *c, const char *fmt, ...)
{
	df_cleanup(df_freep) char *text = NULL;
	struct df_str copy = { 0 };
	va_list args;

	va_start(args, fmt);
	if (vasprintf(&text, fmt, args) < 0)
		text = NULL;
	va_end(args);
	if (text)
		copy = df_arena_dup(c->arena, df_str_c(text));
	c->no_memory |= !copy.ptr;
	return copy.ptr ? copy.ptr : "";
}

/* ---- members --------------------------------------------------------------------------------------------- */

/* NULL: there is none. */
static const char *text_of(struct chain *c, const struct df_value *v)
{
	struct df_str text = v && v->kind == DF_STRING ? df_value_text(v, c->arena) : df_str(NULL, 0);

	if (!text.ptr)
		return NULL;
	text = df_arena_dup(c->arena, text);
	c->no_memory |= !text.ptr;
	return text.ptr;
}

static int64_t time_of(struct chain *c, const struct df_value *v)
{
	struct df_instant t;

	return v && v->kind == DF_STRING && df_rfc3339_parse(df_value_text(v, c->arena), &t) ? t.seconds : 0;
}

static const struct df_value *meta(const struct df_value *object, const char *group, const char *key)
{
	return df_kube_at(object, "metadata", group, key, NULL);
}

/* The condition of a Job that holds; NULL: it does not. */
static const struct df_value *condition(const struct df_value *object, const char *type)
{
	const struct df_value *list = df_kube_at(object, "status", "conditions", NULL);

	if (!list || list->kind != DF_ARRAY)
		return NULL;
	df_for_each (entry, list) {
		const struct df_value *name = df_object_get_c(entry, "type"),
				      *status = df_object_get_c(entry, "status");

		if (name && status && df_value_string_equal(name, df_str_c(type)) &&
		    df_value_string_equal(status, DF_STR("True")))
			return entry;
	}
	return NULL;
}

static bool is_true(const struct df_value *v)
{
	return v && v->kind == DF_TRUE;
}

static void read_end(struct chain *c, struct chain_job *job)
{
	const struct df_value *complete = condition(job->object, "Complete"),
			      *failed = condition(job->object, "Failed"), *which = complete ? complete : failed;
	const char *reason, *message;

	job->complete = complete != NULL;
	job->failed = failed && !complete;
	if (!which)
		return;
	job->ended = time_of(c, df_kube_at(job->object, "status", "completionTime", NULL));
	if (job->ended == 0)
		job->ended = time_of(c, df_object_get_c(which, "lastTransitionTime"));
	if (!job->failed)
		return;
	reason = text_of(c, df_object_get_c(failed, "reason"));
	message = text_of(c, df_object_get_c(failed, "message"));
	job->why = chain_text(c, "%s%s%s", reason ? reason : "it failed", message && *message ? ": " : "",
			      message ? message : "");
}

static void read_mark(struct chain_job *job, const char *mark)
{
	int64_t index;

	job->marked = -1;
	if (!mark)
		return;
	for (size_t i = 0; i < CHAIN_OUTCOMES; i++)
		if (chain_marks[i] && strcmp(mark, chain_marks[i]) == 0)
			job->mark = (enum chain_outcome)i;
	if (strncmp(mark, MARK_TRIGGER, sizeof(MARK_TRIGGER) - 1) == 0 &&
	    df_str_to_int64(df_str_c(mark + sizeof(MARK_TRIGGER) - 1), &index) && index >= 0)
		job->marked = index;
}

/* False: a Job that is in no run. */
static bool read_job(struct chain *c, const struct df_value *object, struct chain_job *job)
{
	const char *which = text_of(c, meta(object, "labels", DF_LABEL_TRIGGER));

	*job = (struct chain_job){
		.object = object,
		.name = text_of(c, df_kube_at(object, "metadata", "name", NULL)),
		.uid = text_of(c, df_kube_at(object, "metadata", "uid", NULL)),
		.version = text_of(c, df_kube_at(object, "metadata", "resourceVersion", NULL)),
		.run_label = text_of(c, meta(object, "labels", DF_LABEL_RUN)),
		.processor_name = text_of(c, meta(object, "annotations", DF_ANNOTATION_PROCESSOR_JOB)),
		.index = -1,
		.suspended = is_true(df_kube_at(object, "spec", "suspend", NULL)),
		.deleting = df_kube_at(object, "metadata", "deletionTimestamp", NULL) != NULL,
		.created = time_of(c, df_kube_at(object, "metadata", "creationTimestamp", NULL)),
		.by_hand = meta(object, "annotations", INSTANTIATE_ANNOTATION) != NULL,
		.scheduled = time_of(c, meta(object, "annotations", SCHEDULED_ANNOTATION)),
	};
	if (!which || !job->name)
		return false;
	if (job->scheduled == 0)
		job->scheduled = job->created;
	read_end(c, job);
	read_mark(job, text_of(c, meta(object, "annotations", DF_ANNOTATION_CHAIN)));
	return strcmp(which, "processor") == 0 ||
	       (df_str_to_int64(df_str_c(which), &job->index) && job->index >= 0 && job->index < INT32_MAX);
}

bool chain_begun(const struct chain_job *processor)
{
	return processor->run_label || !processor->suspended || !chain_unfinished(processor);
}

/* ---- runs ------------------------------------------------------------------------------------------------ */

static void run_id_of(const struct chain_job *job, char ret[static 9])
{
	if (job->index < 0)
		df_run_id(job->name, ret);
	else if (job->processor_name)
		df_run_id(job->processor_name, ret);
	else
		snprintf(ret, 9, "%s", job->run_label ? job->run_label : "");
}

static struct chain_run *run_of(struct chain *c, const struct chain_job *job)
{
	char id[9];

	run_id_of(job, id);
	for (size_t i = 0; i < c->run_count; i++)
		if (strcmp(c->runs[i].id, id) == 0)
			return &c->runs[i];
	memcpy(c->runs[c->run_count].id, id, sizeof(id));
	return &c->runs[c->run_count++];
}

static void add_trigger(struct chain_run *run, struct chain_job *job)
{
	size_t at = run->trigger_count++;

	for (; at > 0 && run->triggers[at - 1]->index > job->index; at--)
		run->triggers[at] = run->triggers[at - 1];
	run->triggers[at] = job;
}

static int by_age(const void *a, const void *b)
{
	const struct chain_run *x = a, *y = b;
	size_t lx, ly;

	if (x->created != y->created)
		return x->created < y->created ? -1 : 1;
	/* Made in one second: by the minutes or seconds in the name. */
	lx = strlen(x->processor_name);
	ly = strlen(y->processor_name);
	return lx != ly ? (lx < ly ? -1 : 1) : strcmp(x->processor_name, y->processor_name);
}

static void join(struct chain *c, struct chain_job *job)
{
	struct chain_run *run = run_of(c, job);

	if (job->index < 0)
		run->processor = job;
	else
		add_trigger(run, job);
}

/* A pruned run is as old as its first trigger. */
static void complete(struct chain_run *run)
{
	const struct chain_job *first = run->processor ? run->processor : run->triggers[0];

	run->created = first->created;
	run->processor_name = run->processor ? first->name : (first->processor_name ? first->processor_name : "");
}

void chain_read(struct chain *c)
{
	size_t n = c->in->job_count;
	struct chain_job **triggers;

	c->jobs = df_arena_zalloc(c->arena, (n + 1) * sizeof(*c->jobs));
	c->runs = df_arena_zalloc(c->arena, (n + 1) * sizeof(*c->runs));
	c->no_memory = !c->jobs || !c->runs;
	for (size_t i = 0; i < n && !c->no_memory; i++)
		if (read_job(c, c->in->jobs[i], &c->jobs[c->job_count]))
			c->job_count++;
	for (size_t i = 0; i < c->job_count && !c->no_memory; i++) {
		struct chain_run *run = run_of(c, &c->jobs[i]);

		if (!run->triggers) {
			triggers = df_arena_zalloc(c->arena, c->job_count * sizeof(struct chain_job *));
			c->no_memory |= !triggers;
			run->triggers = triggers;
		}
		if (run->triggers)
			join(c, &c->jobs[i]);
	}
	if (c->no_memory)
		return;
	for (size_t i = 0; i < c->run_count; i++)
		complete(&c->runs[i]);
	qsort(c->runs, c->run_count, sizeof(*c->runs), by_age);
}

/* ---- without runs ---------------------------------------------------------------------------------------- */

static bool is_processor(const struct df_value *job)
{
	const struct df_value *which = meta(job, "labels", DF_LABEL_TRIGGER);

	return which && df_value_string_equal(which, DF_STR("processor"));
}

static bool has_pods(const struct df_value *job)
{
	const struct df_value *active = df_kube_at(job, "status", "active", NULL);
	int64_t n = 0;

	return active && df_value_to_int64(active, &n) && n > 0;
}

static bool may_run(const struct df_value *job)
{
	return !is_true(df_kube_at(job, "spec", "suspend", NULL)) && !condition(job, "Complete") &&
	       !condition(job, "Failed");
}

static bool over(const struct df_value *pod)
{
	const struct df_value *phase = df_kube_at(pod, "status", "phase", NULL);

	return phase &&
	       (df_value_string_equal(phase, DF_STR("Succeeded")) || df_value_string_equal(phase, DF_STR("Failed")));
}

bool df_chain_quiet(struct df_value *const *jobs, size_t job_count, struct df_value *const *pods, size_t pod_count)
{
	for (size_t i = 0; i < job_count; i++)
		if (is_processor(jobs[i]) && (has_pods(jobs[i]) || may_run(jobs[i])))
			return false;
	for (size_t i = 0; i < pod_count; i++)
		if (!over(pods[i]))
			return false;
	return true;
}

/* Times and names of objects need no unescaping, so nothing is allocated. */
static bool is_meant(const struct df_value *job, const char *name)
{
	const struct df_value *v = df_kube_at(job, "metadata", "name", NULL);

	return name ? v && df_value_string_equal(v, df_str_c(name)) : is_processor(job);
}

static bool made_before(const struct df_value *job, int64_t seconds)
{
	const struct df_value *created = df_kube_at(job, "metadata", "creationTimestamp", NULL);
	struct df_arena none = { 0 };
	struct df_instant t;

	return created && df_rfc3339_parse(df_value_text(created, &none), &t) && t.seconds <= seconds;
}

const struct df_value *df_chain_podless(struct df_value *const *jobs, size_t job_count, const char *name,
					int64_t before)
{
	for (size_t i = 0; i < job_count; i++)
		if (is_meant(jobs[i], name) && may_run(jobs[i]) && !has_pods(jobs[i]) && made_before(jobs[i], before))
			return jobs[i];
	return NULL;
}

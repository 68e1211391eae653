/* A DataFlowCron's CronJob and trigger Jobs (kubernetes reference, section 7). */
#include <stdio.h>

#include "kube/build.h"
#include "operator/objects_internal.h"
#include "operator/text.h"

#define SUCCESSFUL_JOBS 3
#define FAILED_JOBS 1

/* ---- CronJob --------------------------------------------------------------------------------------------- */

/* Five fields: a sixth, which is in front, is the second 0 (it was checked). */
static struct df_str five_fields(const char *schedule)
{
	struct df_str text = df_str_trim(df_str_c(schedule)), rest = text;
	size_t fields = 0, first = 0;

	while (rest.len) {
		size_t n = 0;

		while (n < rest.len && !strchr(" \t\r\n", rest.ptr[n]))
			n++;
		first = fields++ ? first : n;
		rest = df_str_trim(df_str(rest.ptr + n, rest.len - n));
	}
	return fields < 6 ? text : df_str_trim(df_str(text.ptr + first, text.len - first));
}

/* With a limit of 0 Kubernetes could delete a Job before the operator has seen how it ended. */
static int64_t history(const struct df_opt_int *given, int64_t fallback)
{
	if (!given->set)
		return fallback;
	return given->value ? given->value : 1;
}

/* Where chains must not overlap a run begins when the operator lets it: Kubernetes knows nothing of triggers. */
static bool gated(const struct df_dataflowcron_spec *spec)
{
	return spec->triggers.count && strcmp(spec->concurrency_policy, "Allow") != 0;
}

static int job_template(const struct df_objects_of *of, struct df_value **ret, struct df_error *err)
{
	struct df_value *labels, *pod, *suspend = NULL;
	int code = df_objects_labels(of, &labels, err);

	if (code == 0 && gated(&of->resource->spec))
		code = df_kube_build(of->arena, &suspend, err, "true");
	if (code == 0)
		code = df_objects_pod_template(of, &pod, err);
	if (code < 0)
		return code;
	return df_kube_build(of->arena, ret, err,
			     "{'metadata':{'labels':%v},'spec':{'backoffLimit':6,'suspend':%v,'template':%v}}", labels,
			     suspend, pod);
}

int df_object_cronjob(const struct df_objects_of *of, bool suspended, struct df_value **ret, struct df_error *err)
{
	const struct df_dataflowcron_spec *spec = &of->resource->spec;
	const struct df_opt_int64 *deadline = &spec->starting_deadline_seconds;
	struct df_value *metadata, *jobs, *seconds = NULL;
	int code = df_objects_metadata(of, DF_NAME_WORKLOAD, &metadata, err);

	if (code == 0 && deadline->set)
		code = df_kube_build(of->arena, &seconds, err, "%d", deadline->value);
	if (code == 0)
		code = job_template(of, &jobs, err);
	if (code < 0)
		return code;
	return df_kube_build(of->arena, ret, err,
			     "{'apiVersion':'batch/v1','kind':'CronJob','metadata':%v,'spec':{'schedule':%S,"
			     "'timeZone':%s,'suspend':%b,'concurrencyPolicy':%s,'startingDeadlineSeconds':%v,"
			     "'successfulJobsHistoryLimit':%d,'failedJobsHistoryLimit':%d,'jobTemplate':%v}}",
			     metadata, five_fields(spec->schedule), spec->time_zone, suspended,
			     spec->concurrency_policy, seconds,
			     history(&spec->successful_jobs_history_limit, SUCCESSFUL_JOBS),
			     history(&spec->failed_jobs_history_limit, FAILED_JOBS), jobs);
}

/* ---- trigger Jobs ---------------------------------------------------------------------------------------- */

static int texts(const struct df_objects_of *of, const struct df_strings *list, struct df_value **ret,
		 struct df_error *err)
{
	*ret = list->count ? df_value_new(of->arena, DF_ARRAY) : NULL;
	if (list->count && !*ret)
		return df_error_no_memory(err);
	for (size_t i = 0; i < list->count; i++) {
		struct df_value *item = df_value_string(of->arena, df_str_c(list->items[i]));

		if (!item)
			return df_error_no_memory(err);
		df_array_append(*ret, item);
	}
	return 0;
}

struct trigger {
	const struct df_trigger *spec;
	const char *index; /* as text */
	const char *run_id;
	const char *processor_job;
};

/*
 * Its filesystem may be written to, as the image is the user's. Otherwise it is as locked up as a processor, so that a
 * namespace that enforces Pod Security "restricted" takes it; the chart may say otherwise (processor.triggers).
 */
static int trigger_container(const struct df_objects_of *of, const struct trigger *t, struct df_value **ret,
			     struct df_error *err)
{
	struct df_value *command, *args, *env, *resources, *security;
	const char *name =
		t->spec->name && t->spec->name[0] ? t->spec->name : df_text(of->arena, "trigger-%s", t->index);
	int code = name ? texts(of, &t->spec->command, &command, err) : df_error_no_memory(err);

	if (code == 0)
		code = texts(of, &t->spec->args, &args, err);
	if (code == 0)
		code = df_objects_raw(of, &t->spec->env, &env, err);
	if (code == 0)
		code = df_objects_raw(of, &t->spec->resources, &resources, err);
	if (code == 0)
		code = df_objects_security(of, "triggers", "securityContext",
					   "{'allowPrivilegeEscalation':false,'capabilities':{'drop':['ALL']}}",
					   &security, err);
	if (code < 0)
		return code;
	return df_kube_build(of->arena, ret, err,
			     "{'name':%s,'image':%s,'imagePullPolicy':%s,'command':%v,'args':%v,'env':%v,"
			     "'resources':%v,'securityContext':%v}",
			     name, t->spec->image, t->spec->image_pull_policy, command, args, env, resources, security);
}

/* No `app`: what watches processors does not see it. */
static int trigger_pod(const struct df_objects_of *of, const struct trigger *t, struct df_value **ret,
		       struct df_error *err)
{
	struct df_value *container, *security;
	int code = trigger_container(of, t, &container, err);

	if (code == 0)
		code = df_objects_security(of, "triggers", "podSecurityContext", DF_OBJECT_POD_SECURITY, &security,
					   err);
	if (code < 0)
		return code;
	return df_kube_build(of->arena, ret, err,
			     "{'metadata':{'labels':{'" DF_LABEL_CRON "':%s,'" DF_LABEL_TRIGGER "':%s,"
			     "'" DF_LABEL_GENERATED "':'" DF_OBJECT_GENERATED_BY "','" DF_LABEL_RUN "':%s}},"
			     "'spec':{'restartPolicy':'Never','securityContext':%v,'containers':[%v]}}",
			     of->resource->name, t->index, t->run_id, security, container);
}

/* The labels of the cron's objects, with the index and the run. */
static int trigger_labels(const struct df_objects_of *of, const struct trigger *t, struct df_value **ret,
			  struct df_error *err)
{
	int code = df_objects_labels(of, ret, err);
	struct df_value *index, *run;

	if (code < 0)
		return code;
	index = df_value_string(of->arena, df_str_c(t->index));
	run = df_value_string(of->arena, df_str_c(t->run_id));
	if (!index || !run)
		return df_error_no_memory(err);
	df_object_set(*ret, DF_STR(DF_LABEL_TRIGGER), index);
	df_object_set(*ret, DF_STR(DF_LABEL_RUN), run);
	return 0;
}

static int trigger_job(const struct df_objects_of *of, const struct trigger *t, const char *name, struct df_value **ret,
		       struct df_error *err)
{
	struct df_value *labels, *pod;
	int code = trigger_labels(of, t, &labels, err);

	if (code == 0)
		code = trigger_pod(of, t, &pod, err);
	if (code < 0)
		return code;
	return df_kube_build(of->arena, ret, err,
			     "{'apiVersion':'batch/v1','kind':'Job','metadata':{'name':%s,'namespace':%s,'labels':%v,"
			     "'annotations':{'" DF_ANNOTATION_PROCESSOR_JOB "':%s}},"
			     "'spec':{'backoffLimit':0,'template':%v}}",
			     name, of->resource->namespace, labels, t->processor_job, pod);
}

int df_object_trigger_job(const struct df_objects_of *of, const char *processor_job, unsigned index,
			  struct df_value **ret, struct df_error *err)
{
	const struct df_trigger *triggers = of->resource->spec.triggers.items;
	struct trigger t = { .spec = &triggers[index], .processor_job = processor_job };
	const char *name;
	char run_id[9];

	df_run_id(processor_job, run_id);
	t.run_id = df_text(of->arena, "%s", run_id);
	t.index = df_text(of->arena, "%u", index);
	name = df_trigger_job_name(of->resource->name, run_id, index, of->arena);
	if (!t.run_id || !t.index || !name)
		return df_error_no_memory(err);
	return trigger_job(of, &t, name, ret, err);
}

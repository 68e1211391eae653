/* What the pods of a Job say: why it failed, why it does not start. */
#include <inttypes.h>

#include "kube/client.h"
#include "operator/chain_internal.h"
#include "operator/pod.h"
#include "operator/pod_words.h"

/* NULL: it has none, or is not there any more. */
static const char *trigger_name(const struct chain *c, int64_t index)
{
	const struct df_dataflowcron_spec *spec = c->in->spec;
	const struct df_trigger *triggers = spec ? spec->triggers.items : NULL;
	const char *name = NULL;

	if (spec && index >= 0 && index < (int64_t)spec->triggers.count)
		name = triggers[index].name;
	return name && *name ? name : NULL;
}

const char *chain_trigger_words(struct chain *c, int64_t index)
{
	const char *name = trigger_name(c, index);

	return name ? chain_text(c, "%" PRId64 " (%s)", index, name) : chain_text(c, "%" PRId64, index);
}

static bool is_of(const struct df_value *pod, const char *job)
{
	static const char *const labels[] = { "batch.kubernetes.io/job-name", "job-name" };

	for (size_t i = 0; i < DF_ARRAY_SIZE(labels); i++) {
		const struct df_value *v = df_kube_at(pod, "metadata", "labels", labels[i], NULL);

		if (v && v->kind == DF_STRING)
			return df_value_string_equal(v, df_str_c(job));
	}
	return false;
}

/* The newest pod of the Job; NULL: none. */
static const struct df_value *newest_of(struct chain *c, const struct chain_job *job)
{
	struct df_value *const *pods = job->index < 0 ? c->in->pods : c->in->trigger_pods;
	size_t count = job->index < 0 ? c->in->pod_count : c->in->trigger_pod_count;
	const struct df_value *newest = NULL;
	struct df_str at = { 0 };

	for (size_t i = 0; i < count; i++) {
		const struct df_value *pod = pods[i];
		struct df_str created = df_kube_text(pod, c->arena, "metadata", "creationTimestamp", NULL);

		if (is_of(pod, job->name) && (!newest || df_str_compare(created, at) > 0)) {
			newest = pod;
			at = created;
		}
	}
	return newest;
}

static const char *who(struct chain *c, const struct chain_job *job)
{
	return job->index < 0 ? "processor" : chain_text(c, "trigger %s", chain_trigger_words(c, job->index));
}

/* What the pod says of it. A trigger's container has its name, which may have changed since; then it is the only one.
 */
static const struct df_value *container_of(struct chain *c, const struct chain_job *job, const struct df_value *pod)
{
	const struct df_value *all = df_kube_at(pod, "status", "containerStatuses", NULL), *one = NULL;
	const char *name = trigger_name(c, job->index);

	if (job->index < 0)
		return df_pod_container(pod, DF_POD_PROCESSOR);
	one = df_pod_container(pod, name ? name : chain_text(c, "trigger-%" PRId64, job->index));
	return one || !all || all->kind != DF_ARRAY || all->len != 1 ? one : all->first;
}

const char *chain_last_words(struct chain *c, const struct chain_job *job)
{
	const struct df_value *pod = newest_of(c, job);

	return pod ? df_container_failure(container_of(c, job, pod), who(c, job), c->arena, &c->no_memory) : NULL;
}

/* A processor's Job makes another pod, after a while and some times. */
static const char *retry_words(struct chain *c, const struct chain_job *job)
{
	const char *why = job->index < 0 ? chain_last_words(c, job) : NULL;

	return why ? chain_text(c, "%s; Job %s may try again", why, job->name) : NULL;
}

const char *chain_trouble(struct chain *c, const struct chain_job *job)
{
	const struct df_value *pod = newest_of(c, job);
	const char *text =
		pod ? df_container_cannot_start(container_of(c, job, pod), who(c, job), c->arena, &c->no_memory) : NULL;

	if (pod && !text)
		text = df_pod_not_scheduled(pod, who(c, job), c->arena, &c->no_memory);
	return pod && !text ? retry_words(c, job) : text;
}

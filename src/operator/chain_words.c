/* What the pods of a processor Job say: why it failed, why it does not start. */
#include <inttypes.h>
#include <string.h>

#include "kube/client.h"
#include "operator/chain_internal.h"
#include "operator/names.h"

const char *chain_trigger_words(struct chain *c, int64_t index)
{
	const struct df_dataflowcron_spec *spec = c->in->spec;
	const struct df_trigger *triggers = spec ? spec->triggers.items : NULL;
	const char *name = NULL;

	if (spec && index >= 0 && index < (int64_t)spec->triggers.count)
		name = triggers[index].name;
	return name && *name ? chain_text(c, "%" PRId64 " (%s)", index, name) : chain_text(c, "%" PRId64, index);
}

/* "" when there is none. */
static const char *text_of(struct chain *c, const struct df_value *object, const char *key)
{
	const struct df_value *v = object ? df_object_get_c(object, key) : NULL;

	return v && v->kind == DF_STRING ? chain_text(c, DF_STR_FMT, DF_STR_ARG(df_value_text(v, c->arena))) : "";
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
static const struct df_value *newest_of(struct chain *c, const char *job)
{
	const struct df_value *newest = NULL;
	struct df_str at = { 0 };

	for (size_t i = 0; i < c->in->pod_count; i++) {
		const struct df_value *pod = c->in->pods[i];
		struct df_str created = df_kube_text(pod, c->arena, "metadata", "creationTimestamp", NULL);

		if (is_of(pod, job) && (!newest || df_str_compare(created, at) > 0)) {
			newest = pod;
			at = created;
		}
	}
	return newest;
}

static const struct df_value *state_of(const struct df_value *pod, const char *which)
{
	const struct df_value *list = df_kube_at(pod, "status", "containerStatuses", NULL);

	return list && list->kind == DF_ARRAY ? df_kube_at(list->first, "state", which, NULL) : NULL;
}

const char *chain_last_words(struct chain *c, const char *job)
{
	const struct df_value *ended = state_of(newest_of(c, job), "terminated");
	const struct df_value *message = ended ? df_object_get_c(ended, "message") : NULL;
	struct df_value *words;
	const char *type, *text;

	if (!message || message->kind != DF_STRING ||
	    df_value_parse(df_value_text(message, c->arena), c->arena, &words, NULL) != DF_PARSE_OK)
		return NULL;
	type = text_of(c, words, "error_type");
	text = text_of(c, words, "message");
	return *type && *text ? chain_text(c, "Processor failed (%s): %s", type, text) : NULL;
}

/* Reasons for which a container waits that are no passing ones. */
static const char *const troubles[] = { "ErrImagePull",	     "ImagePullBackOff",     "InvalidImageName",
					"ErrImageNeverPull", "CreateContainerError", "CreateContainerConfigError",
					"RunContainerError" };

static const struct df_value *unscheduled(const struct df_value *pod)
{
	const struct df_value *list = df_kube_at(pod, "status", "conditions", NULL);

	if (!list || list->kind != DF_ARRAY)
		return NULL;
	df_for_each (entry, list) {
		const struct df_value *type = df_object_get_c(entry, "type"),
				      *status = df_object_get_c(entry, "status");

		if (type && status && df_value_string_equal(type, DF_STR("PodScheduled")) &&
		    df_value_string_equal(status, DF_STR("False")))
			return entry;
	}
	return NULL;
}

const char *chain_trouble(struct chain *c, const char *job)
{
	const struct df_value *pod = newest_of(c, job), *waiting = state_of(pod, "waiting"), *condition;
	const char *reason = text_of(c, waiting, "reason"), *message = text_of(c, waiting, "message");

	for (size_t i = 0; i < DF_ARRAY_SIZE(troubles); i++)
		if (strcmp(reason, troubles[i]) == 0)
			return chain_text(c, "Cannot start processor: %s%s%s", reason, *message ? ": " : "", message);
	condition = pod ? unscheduled(pod) : NULL;
	return condition ? chain_text(c, "Processor pod cannot be scheduled: %s", text_of(c, condition, "message"))
			 : NULL;
}

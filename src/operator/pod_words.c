#include "operator/pod_words.h"

#include <ctype.h>
#include <string.h>

#include "base/cleanup.h"
#include "kube/client.h"
#include "operator/text.h"

/* At the beginning of a sentence. */
#define WHO "%c%s"
#define WHO_ARG(who) toupper((unsigned char)(who)[0]), (who) + 1

/* "" when there is none. */
static const char *text_of(const struct df_value *object, const char *key, struct df_arena *arena, bool *no_memory)
{
	const struct df_value *v = object ? df_object_get_c(object, key) : NULL;
	struct df_str text = { "", 0 };

	if (v && v->kind == DF_STRING)
		text = df_arena_dup(arena, df_value_text(v, arena));
	*no_memory = *no_memory || !text.ptr;
	return text.ptr ? text.ptr : "";
}

static const char *say(const char *text, bool *no_memory)
{
	*no_memory = *no_memory || !text;
	return text;
}

const char *df_container_cannot_start(const struct df_value *container, const char *who, struct df_arena *arena,
				      bool *no_memory)
{
	static const char *const reasons[] = { "ErrImagePull",	       "ImagePullBackOff",
					       "InvalidImageName",     "ErrImageNeverPull",
					       "CreateContainerError", "CreateContainerConfigError",
					       "RunContainerError" };
	const struct df_value *state = df_kube_at(container, "state", "waiting", NULL);
	const char *reason = text_of(state, "reason", arena, no_memory),
		   *text = text_of(state, "message", arena, no_memory);

	for (size_t i = 0; i < DF_ARRAY_SIZE(reasons); i++)
		if (strcmp(reason, reasons[i]) == 0)
			return say(df_text(arena, "Cannot start %s: %s%s%s", who, reason, *text ? ": " : "", text),
				   no_memory);
	return NULL;
}

/* Its node says more than the condition, which the scheduler writes later than it decides. */
const char *df_pod_not_scheduled(const struct df_value *pod, const char *who, struct df_arena *arena, bool *no_memory)
{
	const struct df_value *list = df_kube_at(pod, "status", "conditions", NULL);

	if (!list || list->kind != DF_ARRAY || df_kube_at(pod, "spec", "nodeName", NULL))
		return NULL;
	df_for_each (c, list) {
		const struct df_value *type = df_object_get_c(c, "type"), *status = df_object_get_c(c, "status");

		if (type && status && df_value_string_equal(type, DF_STR("PodScheduled")) &&
		    df_value_string_equal(status, DF_STR("False")))
			return say(df_text(arena, WHO " pod cannot be scheduled: %s", WHO_ARG(who),
					   text_of(c, "message", arena, no_memory)),
				   no_memory);
	}
	return NULL;
}

/* How the container ended last, when that was with an error. */
static const struct df_value *failure_of(const struct df_value *container)
{
	static const char *const states[] = { "state", "lastState" };

	for (size_t i = 0; i < DF_ARRAY_SIZE(states); i++) {
		const struct df_value *t = df_kube_at(container, states[i], "terminated", NULL);
		const struct df_value *code = df_object_get_c(t, "exitCode");
		int64_t n;

		if (t)
			return code && df_value_to_int64(code, &n) && n != 0 ? t : NULL;
	}
	return NULL;
}

/* What the process wrote that are no last words of a processor, else its exit status. */
static const char *end_of(const struct df_value *ended, struct df_arena *arena, bool *no_memory)
{
	struct df_str message = df_str_trim(df_str_c(text_of(ended, "message", arena, no_memory)));
	int64_t code = 0;

	(void)df_value_to_int64(df_object_get_c(ended, "exitCode"), &code);
	return message.len ? df_arena_dup(arena, message).ptr : df_text(arena, "exit status %lld", (long long)code);
}

const char *df_container_failure(const struct df_value *container, const char *who, struct df_arena *arena,
				 bool *no_memory)
{
	const struct df_value *ended = failure_of(container), *message = df_object_get_c(ended, "message");
	struct df_value *words = NULL;
	const char *type = "", *text = "";

	if (!ended)
		return NULL;
	if (message && message->kind == DF_STRING &&
	    df_value_parse(df_value_text(message, arena), arena, &words, NULL) == DF_PARSE_OK) {
		type = text_of(words, "error_type", arena, no_memory);
		text = text_of(words, "message", arena, no_memory);
	}
	if (!*type || !*text) {
		type = text_of(ended, "reason", arena, no_memory);
		text = end_of(ended, arena, no_memory);
	}
	return say(text ? df_text(arena, WHO " failed (%s): %s", WHO_ARG(who), *type ? type : "unknown", text) : NULL,
		   no_memory);
}

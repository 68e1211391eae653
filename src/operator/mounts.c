#include "operator/mounts.h"

#include <string.h>

#include "operator/events.h"
#include "operator/text.h"

#define FAILED_MOUNT "FailedMount"

/* What a kubelet does after it has mounted all volumes. */
static const char *const further[] = { "Pulling", "Pulled", "Created", "Started", "FailedCreatePodSandBox" };

/* Our volume, and a Secret or a key that is not there or may not be read. Other volumes have failures of their own, and
 * the ConfigMap or the kubelet's caches may be late: that passes. */
static bool is_of_secret(const char *note)
{
	static const char *const names[] = { "secret \"", "secrets \"", "non-existent secret key" };

	if (!strstr(note, "volume \"spec\""))
		return false;
	for (size_t i = 0; i < DF_ARRAY_SIZE(names); i++)
		if (strstr(note, names[i]))
			return true;
	return false;
}

static bool is_after(struct df_instant a, struct df_instant b)
{
	return a.seconds != b.seconds ? a.seconds > b.seconds : a.nanoseconds > b.nanoseconds;
}

static void hear_further(struct df_mounts *m, struct df_str reason, struct df_instant time)
{
	for (size_t i = 0; i < DF_ARRAY_SIZE(further); i++)
		if (df_str_equal_c(reason, further[i]) && (!m->further || is_after(time, m->further_at))) {
			m->further = true;
			m->further_at = time;
		}
}

int df_mounts_hear(void *mounts, struct df_value *event, struct df_error *err)
{
	struct df_mounts *m = mounts;
	struct df_str reason = df_kube_text(event, m->arena, "reason", NULL),
		      note = df_kube_text(event, m->arena, "note", NULL);
	struct df_instant time = { 0 };

	(void)df_rfc3339_parse(df_event_time(event, m->arena), &time);
	if (!df_str_equal_c(reason, FAILED_MOUNT)) {
		hear_further(m, reason, time);
		return 0;
	}
	if (!note.len || (m->failure && !is_after(time, m->failed_at)))
		return 0;
	note = df_arena_dup(m->arena, note); /* with a NUL */
	if (!note.ptr)
		return df_error_no_memory(err);
	if (is_of_secret(note.ptr)) {
		m->failure = note.ptr;
		m->failed_at = time;
	}
	return 0;
}

/* Times are to the second, mostly; within one second mounting came first. */
const char *df_mounts_failure(const struct df_mounts *m)
{
	return m->further && !is_after(m->failed_at, m->further_at) ? NULL : m->failure;
}

int df_mounts_look(struct df_reconcile *r, const struct df_value *pod, const char **ret, struct df_error *err)
{
	struct df_mounts mounts = { .arena = r->arena };
	int code = df_events_each(r, pod, NULL, df_mounts_hear, &mounts, err);

	*ret = code == 0 ? df_mounts_failure(&mounts) : NULL;
	return code;
}

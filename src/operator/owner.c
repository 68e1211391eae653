#include "operator/owner.h"

enum owned { BY_NOBODY, BY_US, BY_ANOTHER };

/* By an object of that kind. */
static enum owned owned_by(const struct df_value *object, const char *kind, struct df_str uid)
{
	const struct df_value *owners = df_kube_at(object, "metadata", "ownerReferences", NULL);
	enum owned found = BY_NOBODY;

	if (!owners || owners->kind != DF_ARRAY)
		return found;
	df_for_each (owner, owners) {
		const struct df_value *k = df_object_get_c(owner, "kind"), *u = df_object_get_c(owner, "uid");

		if (!k || !u || !df_value_string_equal(k, df_str_c(kind)))
			continue;
		if (df_value_string_equal(u, uid))
			return BY_US;
		found = BY_ANOTHER;
	}
	return found;
}

bool df_owned_by_another(const struct df_value *object, const char *kind, struct df_str uid)
{
	return owned_by(object, kind, uid) == BY_ANOTHER;
}

bool df_job_is_of(const struct df_value *job, const struct df_value *cronjob, struct df_str uid, struct df_arena *arena)
{
	enum owned by_cron = owned_by(job, "DataFlowCron", uid), by_cronjob;

	if (by_cron != BY_NOBODY)
		return by_cron == BY_US;
	by_cronjob = owned_by(job, "CronJob", df_kube_text(cronjob, arena, "metadata", "uid", NULL));
	if (by_cronjob == BY_US) /* a namesake's is there until it is collected */
		return !df_owned_by_another(cronjob, "DataFlowCron", uid);
	return by_cronjob == BY_NOBODY;
}

size_t df_jobs_keep_own(struct df_value **jobs, size_t count, const struct df_value *cronjob, struct df_str uid,
			struct df_arena *arena)
{
	size_t kept = 0;

	for (size_t i = 0; i < count; i++)
		if (df_job_is_of(jobs[i], cronjob, uid, arena))
			jobs[kept++] = jobs[i];
	return kept;
}

/* Whose a Job is: its labels tell the name of a DataFlowCron only, which may have had a namesake. */
#ifndef DF_OPERATOR_JOB_OWNER_H
#define DF_OPERATOR_JOB_OWNER_H

#include "kube/client.h"

/* Of the DataFlowCron of that uid, or of its CronJob (as it is; NULL: none). One that neither a DataFlowCron nor a
 * CronJob owns, as after a deletion that left it, is whose name it carries. */
bool df_job_is_of(const struct df_value *job, const struct df_value *cronjob, struct df_str uid,
		  struct df_arena *arena);

/* Keeps those in the array; returns how many they are. */
size_t df_jobs_keep_own(struct df_value **jobs, size_t count, const struct df_value *cronjob, struct df_str uid,
			struct df_arena *arena);

#endif

/* Whose an object is: its labels tell a name only, and a resource may have had a namesake. */
#ifndef DF_OPERATOR_OWNER_H
#define DF_OPERATOR_OWNER_H

#include "kube/client.h"

/* Has it owners of that kind (one at least), and is none of them that of that uid? */
bool df_owned_by_another(const struct df_value *object, const char *kind, struct df_str uid);

/* A Job of the DataFlowCron of that uid, or of its CronJob (as it is; NULL: none). One that neither a DataFlowCron nor
 * a CronJob owns, as after a deletion that left it, is whose name it carries. */
bool df_job_is_of(const struct df_value *job, const struct df_value *cronjob, struct df_str uid,
		  struct df_arena *arena);

/* Keeps those in the array; returns how many they are. */
size_t df_jobs_keep_own(struct df_value **jobs, size_t count, const struct df_value *cronjob, struct df_str uid,
			struct df_arena *arena);

#endif

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "base/time.h"
#include "chain_kit.h"
#include "kube/build.h"
#include "operator/names.h"

static const char *text(int64_t seconds, struct df_arena *arena)
{
	struct df_instant t = { .seconds = seconds };
	char out[DF_RFC3339_MAX];

	if (seconds == 0)
		return NULL;
	return df_arena_dup(arena, df_str(out, df_rfc3339_format(t, 0, DF_FRACTION_NONE, out))).ptr;
}

static const char *or_null(const char *s)
{
	return *s ? s : NULL;
}

static struct df_value *conditions(const struct kit_job *job, struct df_arena *arena)
{
	static const char *const types[] = { NULL, "Complete", "Failed" };
	struct df_value *list;

	if (job->state == KIT_ACTIVE)
		return NULL;
	assert_int_equal(df_kube_build(arena, &list, NULL,
				       "[{'type':'SuccessCriteriaMet','status':'False'},{'type':%s,'status':'True',"
				       "'lastTransitionTime':%s,'reason':%s}]",
				       types[job->state], text(job->ended, arena),
				       job->state == KIT_FAILED ? "BackoffLimitExceeded" : "CompletionsReached"),
			 0);
	return list;
}

struct df_value *kit_object(const struct kit_job *job, struct df_arena *arena)
{
	char index[16], version[24];
	struct df_value *object;

	snprintf(index, sizeof(index), job->index < 0 ? "processor" : "%d", job->index);
	snprintf(version, sizeof(version), "%lld", (long long)job->version);
	assert_int_equal(df_kube_build(arena, &object, NULL,
				       "{'metadata':{'name':%s,'uid':%s,'resourceVersion':%s,'creationTimestamp':%s,"
				       "'deletionTimestamp':%s,'labels':{'" DF_LABEL_CRON "':'x','" DF_LABEL_TRIGGER
				       "':%s,"
				       "'" DF_LABEL_RUN "':%s},'annotations':{'" DF_ANNOTATION_CHAIN "':%s,"
				       "'" DF_ANNOTATION_PROCESSOR_JOB "':%s,"
				       "'batch.kubernetes.io/cronjob-scheduled-timestamp':%s,"
				       "'cronjob.kubernetes.io/instantiate':%s}},"
				       "'spec':{'suspend':%b},'status':{'conditions':%v,'completionTime':%s}}",
				       job->name, job->name, version, text(job->created, arena),
				       job->deleting ? text(job->created + 1, arena) : NULL, index, or_null(job->run),
				       or_null(job->mark), or_null(job->processor), text(job->scheduled, arena),
				       job->by_hand ? "manual" : NULL, (int)job->suspended, conditions(job, arena),
				       job->state == KIT_COMPLETE ? text(job->ended, arena) : NULL),
			 0);
	return object;
}

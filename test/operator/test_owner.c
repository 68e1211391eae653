/* Whose an object is, when resources of one name come and go. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "operator/owner.h"
#include "test/operator/resources.h"

#define OBJECT(name, owners) "{'metadata':{'name':'" name "','uid':'uid-of-" name "'" owners "}}"
#define BY(kind, uid) ",'ownerReferences':[{'kind':'" kind "','uid':'" uid "','controller':true}]"
#define OURS OBJECT("cronjob", BY("DataFlowCron", "us"))

static const struct {
	const char *what, *job, *cronjob; /* NULL: there is none */
	bool ours;
} rows[] = {
	{ "a run's", BY("CronJob", "uid-of-cronjob"), OURS, true },
	{ "a trigger's", BY("DataFlowCron", "us"), OURS, true },
	{ "a trigger's, the CronJob is gone", BY("DataFlowCron", "us"), NULL, true },
	{ "a namesake's run's", BY("CronJob", "before"), OURS, false },
	{ "a namesake's trigger's", BY("DataFlowCron", "before"), OURS, false },
	{ "a run's, the CronJob is gone: so are its Jobs soon", BY("CronJob", "before"), NULL, false },
	{ "a namesake's, whose CronJob is still there", BY("CronJob", "uid-of-cronjob"),
	  OBJECT("cronjob", BY("DataFlowCron", "before")), false },
	{ "a run's, of a CronJob that is taken over", BY("CronJob", "uid-of-cronjob"), OBJECT("cronjob", ""), true },
	{ "nobody's", "", OURS, true },
	{ "of something else", BY("Job", "x"), OURS, true },
	{ "another one's, too",
	  ",'ownerReferences':[{'kind':'DataFlowCron','uid':'before'},{'kind':'DataFlowCron','uid':'us'}]", OURS,
	  true },
};

static struct df_value *job(size_t i)
{
	char text[512];

	snprintf(text, sizeof(text), OBJECT("job", "%s"), rows[i].job);
	return json(text);
}

static void test_owners(void **state)
{
	(void)state;
	for (size_t i = 0; i < DF_ARRAY_SIZE(rows); i++) {
		struct df_value *cronjob = rows[i].cronjob ? json(rows[i].cronjob) : NULL;

		if (df_job_is_of(job(i), cronjob, DF_STR("us"), &arena) != rows[i].ours)
			fail_msg("%s", rows[i].what);
	}
}

static void test_keep(void **state)
{
	struct df_value *jobs[] = { job(3), job(0), job(4), job(1) }, *first = jobs[1], *second = jobs[3];

	(void)state;
	assert_int_equal(df_jobs_keep_own(jobs, DF_ARRAY_SIZE(jobs), json(OURS), DF_STR("us"), &arena), 2);
	assert_ptr_equal(jobs[0], first);
	assert_ptr_equal(jobs[1], second);
	assert_int_equal(df_jobs_keep_own(NULL, 0, NULL, DF_STR("us"), &arena), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(test_owners, free_arena),
		cmocka_unit_test_teardown(test_keep, free_arena),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

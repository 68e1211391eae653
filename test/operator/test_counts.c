/* Counts: from what processes said to the totals of a status, over restarts of everything. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "kube/build.h"
#include "operator/counts_internal.h"
#include "operator/names.h"
#include "test/operator/resources.h"

#define PODS 4

/* The cluster: a DataFlow with its status, and pods. */
static struct {
	struct df_counts *counts;
	struct df_value *object, *deployment;
	struct df_value *pods[PODS];
	size_t n;
	int minute; /* in which pods are made */
	bool disconnected;
} c;

static struct df_value *flow(const char *uid, int minute)
{
	char text[256];

	snprintf(text, sizeof(text),
		 "{'metadata':{'namespace':'ns','name':'flow','uid':'%s','creationTimestamp':'2026-01-01T00:%02d:00Z'},"
		 "'status':{}}",
		 uid, minute);
	return json(text);
}

static void start_operator(void)
{
	struct df_operator_settings settings = { 0 }; /* no interval: no thread */
	struct df_error err = DF_ERROR_INIT;

	if (df_counts_start(&settings, &c.counts, &err) < 0)
		fail_msg("%s", err.text);
	for (size_t i = 0; i < c.n; i++)
		df_counts_pod(c.counts, DF_KUBE_ADDED, c.pods[i], &arena);
}

/* Everything that was in memory only is gone. */
static void restart_operator(void)
{
	df_counts_stop(c.counts);
	start_operator();
}

static int set_up(void **state)
{
	(void)state;
	df_arena_init(&arena, NULL);
	memset(&c, 0, sizeof(c));
	c.minute = 1;
	c.object = flow("one", c.minute);
	start_operator();
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	df_counts_stop(c.counts);
	df_arena_done(&arena);
	return 0;
}

/* ---- pods ------------------------------------------------------------------------------------------------ */

#define RUNNING "'state':{'running':{}}"
#define ENDED(where, words) "'" where "':{'terminated':{'exitCode':1,'message':'" words "'}}"
/* As a termination message stands in JSON. */
#define WORDS(processed, errors)                                                                          \
	"{\\'exit\\':1,\\'error_type\\':\\'unknown\\',\\'processed\\':" processed ",\\'errors\\':" errors \
	",\\'lastProcessedTime\\':\\'2026-01-02T03:04:05Z\\'}"

static struct df_value *pod(const char *uid, int restarts, const char *states)
{
	char text[2048];

	snprintf(
		text, sizeof(text),
		"{'metadata':{'namespace':'ns','name':'pod-%s','uid':'%s','creationTimestamp':'2026-01-01T00:%02d:00Z',"
		"'labels':{'" DF_LABEL_NAME "':'flow'}},"
		"'spec':{'containers':[{'name':'processor','ports':[{'name':'metrics','containerPort':9090}]}]},"
		"'status':{'phase':'Running','podIP':'10.0.0.1','containerStatuses':[{'name':'processor',"
		"'restartCount':%d%s%s}]}}",
		uid, uid, c.minute, restarts, *states ? "," : "", states);
	return json(text);
}

/* The cache says so. */
static void see(size_t i, struct df_value *object)
{
	df_counts_pod(c.counts, i < c.n ? DF_KUBE_MODIFIED : DF_KUBE_ADDED, object, &arena);
	c.pods[i] = object;
	c.n = i < c.n ? c.n : i + 1;
}

static void lose(size_t i)
{
	df_counts_pod(c.counts, DF_KUBE_DELETED, c.pods[i], &arena);
	memmove(&c.pods[i], &c.pods[i + 1], (--c.n - i) * sizeof(c.pods[0]));
}

static const char *metrics(int processed, int errors)
{
	static char text[1024];

	snprintf(text, sizeof(text),
		 "dataflow_messages_total{namespace=\"ns\",name=\"flow\",outcome=\"written\"} %d\n"
		 "dataflow_messages_total{namespace=\"ns\",name=\"flow\",outcome=\"filtered\"} 1\n"
		 "dataflow_messages_total{namespace=\"ns\",name=\"flow\",outcome=\"error_sinked\"} %d\n"
		 "dataflow_messages_total{namespace=\"ns\",name=\"flow\",outcome=\"dropped\"} 2\n",
		 processed - 3, errors);
	return text;
}

/* A process is asked, and says so. */
static void scrape(const char *uid, int restarts, int processed, int errors)
{
	struct df_target target = { .kind = DF_KIND_DATAFLOW,
				    .namespace = "ns",
				    .name = "flow",
				    .pod = "pod",
				    .uid = uid,
				    .restarts = restarts };

	df_counts_take(c.counts, &target, df_str_c(metrics(processed, errors)));
}

/* ---- the status ------------------------------------------------------------------------------------------ */

/* What a reconcile makes of it, not yet written. */
static struct df_value *reconciled(void)
{
	struct df_value *status = df_value_new(&arena, DF_OBJECT);
	struct df_error err = DF_ERROR_INIT;

	if (df_counts_status(c.counts, c.object, c.deployment, c.pods, c.n, &arena, status, &c.disconnected, &err) < 0)
		fail_msg("%s", err.text);
	return status;
}

static void write_status(struct df_value *status)
{
	df_object_set(c.object, DF_STR("status"), df_value_clone_deep(status, &arena));
}

static void reconcile(void)
{
	write_status(reconciled());
}

#define assert_counts(processed, errors)                                                         \
	do {                                                                                     \
		assert_string_equal(text_of(at(c.object, "status processedCount")), #processed); \
		assert_string_equal(text_of(at(c.object, "status errorCount")), #errors);        \
	} while (0)

#define assert_processors(text) assert_string_equal(text_of(at(c.object, "status processors")), text)

/* ---- tests ----------------------------------------------------------------------------------------------- */

static void test_nothing_yet(void **state)
{
	(void)state;
	reconcile();
	assert_counts(0, 0);
	assert_processors("null");
	assert_null(at(c.object, "status lastProcessedTime"));
	see(0, pod("a", 0, "'state':{'waiting':{'reason':'ContainerCreating'}}"));
	reconcile();
	assert_counts(0, 0);
	assert_processors("null");
}

static void test_only_differences_are_added(void **state)
{
	(void)state;
	see(0, pod("a", 0, RUNNING));
	see(1, pod("b", 0, RUNNING));
	reconcile();
	scrape("a", 0, 10, 1);
	scrape("b", 0, 100, 0);
	reconcile();
	assert_counts(110, 1);
	assert_processors("[{'podUID':'a','restartCount':0,'processed':10,'errors':1},"
			  "{'podUID':'b','restartCount':0,'processed':100,'errors':0}]");
	reconcile();
	assert_counts(110, 1);
	scrape("a", 0, 15, 1);
	reconcile();
	assert_counts(115, 1);
	write_status(json("{'processedCount':115,'errorCount':1}")); /* by hand: taken as it is, once */
	reconcile();
	assert_counts(230, 2);
}

static void test_a_write_that_failed_is_made_again(void **state)
{
	struct df_value *once, *twice;

	(void)state;
	see(0, pod("a", 0, RUNNING));
	scrape("a", 0, 10, 0);
	once = reconciled();
	twice = reconciled();
	assert_string_equal(text_of(once), text_of(twice));
	write_status(twice);
	assert_counts(10, 0);
	lose(0);
	(void)reconciled(); /* drops the process; it is not written */
	reconcile();
	assert_counts(10, 0);
	assert_processors("null");
}

static void test_an_operator_restart_loses_and_repeats_nothing(void **state)
{
	(void)state;
	see(0, pod("a", 0, RUNNING));
	scrape("a", 0, 10, 2);
	reconcile();
	restart_operator();
	reconcile(); /* nothing is known of the process yet: what the totals contain of it stays */
	assert_counts(10, 2);
	assert_processors("[{'podUID':'a','restartCount':0,'processed':10,'errors':2}]");
	scrape("a", 0, 25, 2);
	reconcile();
	assert_counts(25, 2);
	/* Scraped, and not written before the next restart. */
	scrape("a", 0, 30, 2);
	restart_operator();
	scrape("a", 0, 31, 2);
	reconcile();
	assert_counts(31, 2);
}

static void test_a_restart_is_another_process(void **state)
{
	(void)state;
	see(0, pod("a", 0, RUNNING));
	scrape("a", 0, 10, 0);
	reconcile();
	/* Its last words are more than was scraped. */
	see(0, pod("a", 0, ENDED("state", WORDS("17", "1"))));
	reconcile();
	assert_counts(17, 1);
	assert_string_equal(text_of(at(c.object, "status lastProcessedTime")), "'2026-01-02T03:04:05Z'");
	see(0, pod("a", 0, "'state':{'waiting':{'reason':'CrashLoopBackOff'}}," ENDED("lastState", WORDS("17", "1"))));
	reconcile();
	assert_counts(17, 1);
	see(0, pod("a", 1, RUNNING "," ENDED("lastState", WORDS("17", "1"))));
	reconcile();
	assert_counts(17, 1);
	scrape("a", 1, 5, 0);
	reconcile();
	assert_counts(22, 1);
	assert_processors("[{'podUID':'a','restartCount':0,'processed':17,'errors':1},"
			  "{'podUID':'a','restartCount':1,'processed':5,'errors':0}]");
	restart_operator(); /* the last words are still there to be read, and are not added again */
	reconcile();
	scrape("a", 1, 6, 0);
	reconcile();
	assert_counts(23, 1);
	see(0, pod("a", 2, RUNNING "," ENDED("lastState", WORDS("8", "0"))));
	reconcile();
	assert_counts(25, 1);
	assert_processors("[{'podUID':'a','restartCount':1,'processed':8,'errors':0}]");
	/* It waits again: what ended last is the one that would have been running. */
	see(0, pod("a", 2, "'state':{'waiting':{'reason':'CrashLoopBackOff'}}," ENDED("lastState", WORDS("9", "0"))));
	reconcile();
	assert_counts(34, 1);
	assert_processors("[{'podUID':'a','restartCount':1,'processed':8,'errors':0},"
			  "{'podUID':'a','restartCount':2,'processed':9,'errors':0}]");
}

/* What pods say is enough for their last words. */
static void test_pods_that_only_the_caller_knows(void **state)
{
	(void)state;
	c.pods[0] = pod("a", 1, RUNNING "," ENDED("lastState", WORDS("10", "2")));
	c.n = 1;
	reconcile();
	reconcile();
	reconcile();
	assert_counts(10, 2);
	assert_processors("[{'podUID':'a','restartCount':0,'processed':10,'errors':2}]");
}

/* Each process of a crash loop is counted, also when nobody reconciled in between. */
static void test_restarts_faster_than_reconciles(void **state)
{
	(void)state;
	see(0, pod("a", 0, RUNNING));
	see(0, pod("a", 1, RUNNING "," ENDED("lastState", WORDS("10", "0"))));
	see(0, pod("a", 2, RUNNING "," ENDED("lastState", WORDS("20", "1"))));
	see(0, pod("a", 3, RUNNING "," ENDED("lastState", WORDS("30", "0"))));
	reconcile();
	assert_counts(60, 1);
	reconcile();
	assert_counts(60, 1);
	assert_processors("[{'podUID':'a','restartCount':2,'processed':30,'errors':0}]");
}

static void test_a_killed_process_keeps_what_was_scraped(void **state)
{
	(void)state;
	see(0, pod("a", 0, RUNNING));
	scrape("a", 0, 10, 0);
	scrape("a", 0, 1, 0); /* that is the next one */
	see(0, pod("a", 1, RUNNING ",'lastState':{'terminated':{'exitCode':137}}"));
	scrape("a", 0, 99, 0); /* and that, too */
	reconcile();
	assert_counts(10, 0);
	scrape("a", 1, 4, 0);
	reconcile();
	assert_counts(14, 0);
	restart_operator();
	reconcile();
	assert_counts(14, 0);
	assert_processors("[{'podUID':'a','restartCount':0,'processed':10,'errors':0},"
			  "{'podUID':'a','restartCount':1,'processed':4,'errors':0}]");
}

static void test_a_pod_that_is_gone(void **state)
{
	(void)state;
	see(0, pod("a", 0, RUNNING));
	scrape("a", 0, 10, 0);
	reconcile();
	scrape("a", 0, 12, 0);
	/* The last that was seen of it had its last words. */
	see(0, pod("a", 0, ENDED("state", WORDS("20", "0"))));
	lose(0);
	see(0, pod("b", 0, RUNNING));
	scrape("b", 0, 5, 0);
	reconcile();
	assert_counts(25, 0);
	assert_processors("[{'podUID':'a','restartCount':0,'processed':20,'errors':0},"
			  "{'podUID':'b','restartCount':0,'processed':5,'errors':0}]");
	reconcile(); /* its numbers are in: it goes */
	assert_counts(25, 0);
	assert_processors("[{'podUID':'b','restartCount':0,'processed':5,'errors':0}]");
	assert_int_equal(c.counts->pod_count, 2);
	df_counts_sweep(c.counts);
	assert_int_equal(c.counts->pod_count, 1);
}

static void test_a_pod_that_is_lost_without_a_word(void **state)
{
	(void)state;
	see(0, pod("a", 0, RUNNING));
	scrape("a", 0, 10, 0);
	reconcile();
	scrape("a", 0, 12, 0);
	lose(0);
	reconcile();
	assert_counts(12, 0);
	/* Or while no operator was there to see it. */
	see(0, pod("b", 0, RUNNING));
	scrape("b", 0, 5, 0);
	reconcile();
	c.n = 0;
	restart_operator();
	reconcile();
	assert_counts(17, 0);
	assert_processors("null");
}

/* The cache of pods may know of a pod before the caller's list does, and the other way round. */
static void test_a_pod_that_is_missing_from_the_list(void **state)
{
	(void)state;
	see(0, pod("a", 0, RUNNING));
	scrape("a", 0, 10, 0);
	reconcile();
	c.n = 0;
	reconcile();
	assert_processors("[{'podUID':'a','restartCount':0,'processed':10,'errors':0}]");
	c.n = 1;
	scrape("a", 0, 11, 0);
	reconcile();
	assert_counts(11, 0);
	restart_operator();
	c.n = 0;
	reconcile();
	c.n = 1;
	scrape("a", 0, 11, 0);
	reconcile();
	assert_counts(11, 0);
}

/* Until the cache knows of the restart, the next process answers for the one before. */
static void test_a_scrape_that_meets_the_next_process(void **state)
{
	(void)state;
	see(0, pod("a", 0, RUNNING));
	scrape("a", 0, 10, 3);
	reconcile();
	scrape("a", 0, 4, 0); /* fewer: ignored */
	reconcile();
	assert_counts(10, 3);
	restart_operator();
	scrape("a", 0, 5, 0); /* also of an operator that knows the status only */
	reconcile();
	assert_counts(10, 3);
	restart_operator();
	scrape("a", 0, 50, 3); /* more: taken, and put right by the last words */
	reconcile();
	assert_counts(50, 3);
	see(0, pod("a", 1, RUNNING "," ENDED("lastState", WORDS("12", "3"))));
	scrape("a", 1, 60, 0);
	reconcile();
	assert_counts(72, 3);
	scrape("a", 0, 99, 9); /* an answer that was under way meanwhile */
	reconcile();
	assert_counts(72, 3);
}

static void test_words_that_are_none(void **state)
{
	static const char *const words[] = { "", "killed", "{", "[1]", "{}", "{\\'processed\\':\\'x\\'}", "null" };

	(void)state;
	for (size_t i = 0; i < DF_ARRAY_SIZE(words); i++) {
		char states[256];

		snprintf(states, sizeof(states), RUNNING ",'lastState':{'terminated':{'message':'%s'}}", words[i]);
		see(0, pod("a", (int)i + 1, states));
	}
	reconcile();
	assert_counts(0, 0);
}

/* A processor's image may be anybody's. */
static void test_numbers_beyond_all_bounds(void **state)
{
	struct df_target target = { .namespace = "ns", .name = "flow", .uid = "a" };

	(void)state;
	see(0, pod("a", 0, RUNNING));
	df_counts_take(c.counts, &target,
		       DF_STR("dataflow_messages_total{outcome=\"written\"} 9223372036854775807\n"
			      "dataflow_messages_total{outcome=\"dropped\"} 2305843009213693951\n"
			      "dataflow_messages_total{outcome=\"filtered\"} -1\n"
			      "dataflow_messages_total{outcome=\"filtered\"} 18446744073709551615\n"
			      "dataflow_messages_total{outcome=\"error_sinked\"} 3\n"));
	reconcile();
	assert_counts(2305843009213693951, 3);
	see(0, pod("a", 1, RUNNING "," ENDED("lastState", WORDS("9223372036854775807", "-5"))));
	reconcile();
	see(0, pod("a", 2, RUNNING "," ENDED("lastState", WORDS("9223372036854775807", "99999999999999999999"))));
	reconcile();
	assert_counts(9223372036854775807, 0);
}

static void test_last_processed_time_never_goes_back(void **state)
{
	(void)state;
	write_status(json("{'lastProcessedTime':'2030-01-01T00:00:00Z'}"));
	see(0, pod("a", 0, ENDED("state", WORDS("1", "0"))));
	reconcile();
	assert_string_equal(text_of(at(c.object, "status lastProcessedTime")), "'2030-01-01T00:00:00Z'");
	write_status(json("{'lastProcessedTime':'2001-01-01T00:00:00Z'}"));
	reconcile();
	assert_string_equal(text_of(at(c.object, "status lastProcessedTime")), "'2026-01-02T03:04:05Z'");
}

static void test_a_connector_that_is_not_connected(void **state)
{
	struct df_target target = { .namespace = "ns", .name = "flow", .uid = "a" };
	char text[1200];

	(void)state;
	see(0, pod("a", 0, RUNNING));
	snprintf(text, sizeof(text), "%sdataflow_connector_connection_status{connector_name=\"sink\"} 0\n",
		 metrics(5, 0));
	df_counts_take(c.counts, &target, df_str_c(text));
	reconcile();
	assert_true(c.disconnected);
	scrape("a", 0, 5, 0);
	reconcile();
	assert_false(c.disconnected);
	df_counts_take(c.counts, &target, df_str_c(text));
	see(0, pod("a", 0, ENDED("state", WORDS("5", "0"))));
	reconcile();
	assert_false(c.disconnected);
}

/* ---- a DataFlow of the same name as one that was deleted ------------------------------------------------- */

/* Deleted and made anew; the pods of the first are still there. */
static void recreate(int minute)
{
	c.object = flow("two", minute);
	c.minute = minute;
}

static void assert_nothing_inherited(void)
{
	assert_counts(0, 0);
	assert_processors("null");
	assert_null(at(c.object, "status lastProcessedTime"));
}

static void test_a_namesake_counts_for_itself(void **state)
{
	(void)state;
	for (int restarted = 0; restarted < 2; restarted++) {
		c.n = 0;
		c.minute = 1;
		c.object = flow("one", c.minute);
		restart_operator();
		see(0, pod("a", 1, RUNNING "," ENDED("lastState", WORDS("10", "2"))));
		scrape("a", 1, 7, 0);
		reconcile();
		assert_counts(17, 2);
		recreate(5);
		if (restarted) /* it never knew whose they were */
			restart_operator();
		scrape("a", 1, 8, 0);
		reconcile();
		assert_nothing_inherited();
		scrape("a", 1, 9, 0);
		see(1, pod("b", 0, RUNNING));
		scrape("b", 0, 5, 1);
		reconcile();
		assert_counts(5, 1);
		c.minute = 1;
		see(0, pod("a", 1, ENDED("state", WORDS("20", "0"))));
		reconcile();
		lose(0);
		reconcile();
		assert_counts(5, 1);
		assert_processors("[{'podUID':'b','restartCount':0,'processed':5,'errors':1}]");
		df_counts_sweep(c.counts);
		assert_int_equal(c.counts->pod_count, 1); /* nothing waits for anybody */
	}
}

/* Times are to the second; a uid is another one. */
static void test_a_namesake_made_at_once(void **state)
{
	(void)state;
	see(0, pod("a", 0, RUNNING));
	scrape("a", 0, 10, 0);
	reconcile();
	recreate(c.minute);
	see(0, pod("a", 0, ENDED("state", WORDS("20", "0"))));
	reconcile();
	assert_nothing_inherited();
	/* Also of a pod that is gone. */
	see(1, pod("b", 0, RUNNING));
	scrape("b", 0, 10, 0);
	reconcile();
	assert_counts(10, 0);
	scrape("b", 0, 11, 0);
	lose(1);
	c.object = flow("three", c.minute);
	reconcile();
	assert_nothing_inherited();
}

static void test_of_a_flow_that_is_gone_nothing_is_kept(void **state)
{
	(void)state;
	see(0, pod("a", 0, RUNNING));
	see(1, pod("b", 0, RUNNING));
	scrape("a", 0, 10, 0);
	scrape("b", 0, 10, 0);
	lose(0); /* before it was counted */
	df_counts_gone(c.counts, DF_KIND_DATAFLOW, "ns", "other");
	df_counts_gone(c.counts, DF_KIND_DATAFLOWCRON, "ns", "flow");
	assert_int_equal(c.counts->pod_count, 2);
	df_counts_gone(c.counts, DF_KIND_DATAFLOW, "ns", "flow");
	assert_int_equal(c.counts->pod_count, 1); /* it may still be asked for its metrics */
	scrape("b", 0, 11, 0);
	recreate(c.minute);
	reconcile();
	assert_nothing_inherited();
	see(0, pod("b", 0, ENDED("state", WORDS("12", "0"))));
	lose(0);
	reconcile();
	assert_nothing_inherited();
	assert_int_equal(c.counts->pod_count, 0);
}

/* A Deployment that it takes over (a backup, say, of which it is the last to come) comes with pods, which are its. */
static void test_pods_that_came_with_the_deployment(void **state)
{
	static const struct {
		const char *owners;
		int made, pod;
		const char *processed;
	} rows[] = {
		{ "", 1, 2, "10" }, /* not yet taken */
		{ "{'kind':'DataFlow','uid':'two'}", 1, 2, "10" },
		{ "{'kind':'DataFlow','uid':'one'}", 1, 2, "0" }, /* a namesake's, which goes */
		{ "{'kind':'DataFlow','uid':'two'}", 3, 2, "0" }, /* it had none so early */
		{ "{'kind':'DataFlow','uid':'two'}", 9, 2, "0" },
		{ "{'kind':'DataFlow','uid':'two'}", 9, 6, "10" }, /* of one that somebody deleted since */
	};

	(void)state;
	for (size_t i = 0; i < DF_ARRAY_SIZE(rows); i++) {
		char text[256];

		snprintf(text, sizeof(text),
			 "{'metadata':{'creationTimestamp':'2026-01-01T00:%02d:00Z','ownerReferences':[%s]}}",
			 rows[i].made, rows[i].owners);
		recreate(5);
		c.deployment = json(text);
		c.minute = rows[i].pod;
		c.n = 0;
		restart_operator();
		see(0, pod("a", 0, RUNNING));
		scrape("a", 0, 10, 0);
		reconcile();
		if (strcmp(text_of(at(c.object, "status processedCount")), rows[i].processed) != 0)
			fail_msg("%zu: %s", i, text_of(c.object));
	}
}

/* The list of pods may be ahead of what is known. */
static void test_a_namesakes_pod_that_only_the_caller_knows(void **state)
{
	(void)state;
	c.pods[0] = pod("a", 1, RUNNING "," ENDED("lastState", WORDS("10", "2")));
	c.n = 1;
	recreate(5);
	reconcile();
	assert_nothing_inherited();
}

/* Another API server may have set its time. */
static void test_a_pod_made_a_second_before_its_flow(void **state)
{
	struct df_value *early;

	(void)state;
	recreate(5);
	early = pod("a", 0, RUNNING);
	df_object_set(at(early, "metadata"), DF_STR("creationTimestamp"),
		      df_value_string(&arena, DF_STR("2026-01-01T00:04:59Z")));
	see(0, early);
	scrape("a", 0, 10, 0);
	reconcile();
	assert_counts(10, 0);
}

static void test_other_pods_do_not_count(void **state)
{
	static const char *const others[] = {
		/* of a cron, of its trigger, of another flow, of another namespace, of nobody */
		"{'metadata':{'namespace':'ns','name':'p','uid':'u1','labels':{'" DF_LABEL_CRON "':'flow'}},",
		"{'metadata':{'namespace':'ns','name':'p','uid':'u2','labels':{'" DF_LABEL_CRON
		"':'flow','" DF_LABEL_TRIGGER "':'0'}},",
		"{'metadata':{'namespace':'ns','name':'p','uid':'u3','labels':{'" DF_LABEL_NAME "':'flow-2'}},",
		"{'metadata':{'namespace':'other','name':'p','uid':'u4','labels':{'" DF_LABEL_NAME "':'flow'}},",
		"{'metadata':{'namespace':'ns','name':'p','uid':'u5'},",
	};
	const char *rest =
		"'spec':{'containers':[{'name':'processor','ports':[{'name':'metrics','containerPort':9090}]}]},"
		"'status':{'phase':'Running','podIP':'10.0.0.1','containerStatuses':[{'name':'processor',"
		"'restartCount':0,'state':{'running':{}},'lastState':{}}]}}";
	char text[2048];

	(void)state;
	for (size_t i = 0; i < DF_ARRAY_SIZE(others); i++) {
		snprintf(text, sizeof(text), "%s%s", others[i], rest);
		df_counts_pod(c.counts, DF_KUBE_ADDED, json(text), &arena);
	}
	assert_int_equal(c.counts->pod_count, 3); /* not the trigger's, not nobody's */
	reconcile();
	assert_counts(0, 0);
	assert_processors("null");
}

static void test_where_a_pod_can_be_asked(void **state)
{
	static const struct {
		const char *status, *port, *url;
	} rows[] = {
		{ "'phase':'Running','podIP':'10.0.0.1'", "9090", "http://10.0.0.1:9090/metrics" },
		{ "'phase':'Running','podIP':'fd00::1'", "81", "http://[fd00::1]:81/metrics" },
		{ "'phase':'Running'", "9090", NULL },
		{ "'phase':'Pending','podIP':'10.0.0.1'", "9090", NULL },
		{ "'phase':'Running','podIP':'10.0.0.1/x?'", "9090", NULL },
		{ "'phase':'Running','podIP':'localhost'", "9090", NULL },
		{ "'phase':'Running','podIP':'10.0.0.1'", "0", NULL },
		{ "'phase':'Running','podIP':'10.0.0.1'", "70000", NULL },
		{ "'phase':'Running','podIP':'10.0.0.1'", "'x'", NULL },
	};
	struct df_pod read;
	char text[1024];

	(void)state;
	for (size_t i = 0; i < DF_ARRAY_SIZE(rows); i++) {
		snprintf(text, sizeof(text),
			 "{'metadata':{'namespace':'ns','name':'p','uid':'u','labels':{'" DF_LABEL_CRON
			 "':'c','" DF_LABEL_TRIGGER
			 "':'processor'}},'spec':{'containers':[{'name':'sidecar'},{'name':'processor','ports':"
			 "[{'name':'x','containerPort':1},{'name':'metrics','containerPort':%s}]}]},'status':{%s,"
			 "'containerStatuses':[{'name':'processor','state':{'running':{}}}]}}",
			 rows[i].port, rows[i].status);
		assert_true(df_pod_read(json(text), &arena, &read));
		assert_int_equal(read.kind, DF_KIND_DATAFLOWCRON);
		if (rows[i].url)
			assert_string_equal(read.url, rows[i].url);
		else
			assert_null(read.url);
	}
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_nothing_yet),
		TEST(test_only_differences_are_added),
		TEST(test_a_write_that_failed_is_made_again),
		TEST(test_an_operator_restart_loses_and_repeats_nothing),
		TEST(test_a_restart_is_another_process),
		TEST(test_pods_that_only_the_caller_knows),
		TEST(test_restarts_faster_than_reconciles),
		TEST(test_a_killed_process_keeps_what_was_scraped),
		TEST(test_a_pod_that_is_gone),
		TEST(test_a_pod_that_is_lost_without_a_word),
		TEST(test_a_pod_that_is_missing_from_the_list),
		TEST(test_a_scrape_that_meets_the_next_process),
		TEST(test_words_that_are_none),
		TEST(test_numbers_beyond_all_bounds),
		TEST(test_last_processed_time_never_goes_back),
		TEST(test_a_connector_that_is_not_connected),
		TEST(test_a_namesake_counts_for_itself),
		TEST(test_a_namesake_made_at_once),
		TEST(test_of_a_flow_that_is_gone_nothing_is_kept),
		TEST(test_pods_that_came_with_the_deployment),
		TEST(test_a_namesakes_pod_that_only_the_caller_knows),
		TEST(test_a_pod_made_a_second_before_its_flow),
		TEST(test_other_pods_do_not_count),
		TEST(test_where_a_pod_can_be_asked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

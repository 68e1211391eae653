/* /metrics of the operator, and the thread that counts, with real servers in place of pods, of which some misbehave. */
#include <netinet/in.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/exposition.h"
#include "operator/counts_internal.h"
#include "operator/names.h"
#include "test/operator/resources.h"

#define S DF_NS_PER_S
#define MS DF_NS_PER_MS

/* ---- pods ------------------------------------------------------------------------------------------------ */

enum behaviour { GOOD, SLOW, HANGS, HUGE, CUT, UNAVAILABLE, GARBAGE, REFUSES, LARGE, BEHAVIOURS };
static const char *const names[BEHAVIOURS] = { "good",	      "slow",	 "hangs",   "huge", "cut",
					       "unavailable", "garbage", "refuses", "large" };

/* What a processor of that flow says. */
#define SAYS(flow)                                                                                               \
	"# HELP dataflow_messages_total Messages that ended, each exactly once.\n"                               \
	"# TYPE dataflow_messages_total counter\n"                                                               \
	"dataflow_messages_total{namespace=\"ns\",name=\"" flow "\",outcome=\"written\"} 18446744073709551615\n" \
	"dataflow_messages_total{namespace=\"ns\",name=\"" flow "\",outcome=\"error_sinked\"} 7\n"               \
	"# HELP dataflow_task_success_rate Written.\n# TYPE dataflow_task_success_rate gauge\n"                  \
	"dataflow_task_success_rate{namespace=\"ns\",name=\"" flow "\"} 0.5\n"                                   \
	"# HELP dataflow_status Of the processor.\n# TYPE dataflow_status gauge\n"                               \
	"dataflow_status{namespace=\"ns\",name=\"" flow "\",phase=\"Running\"} 1\n"                              \
	"# HELP dataflow_processing_duration_seconds h\n# TYPE dataflow_processing_duration_seconds histogram\n" \
	"dataflow_processing_duration_seconds_bucket{namespace=\"ns\",name=\"" flow "\",le=\"+Inf\"} 3\n"        \
	"dataflow_processing_duration_seconds_sum{namespace=\"ns\",name=\"" flow "\"} 0.1\n"                     \
	"dataflow_processing_duration_seconds_count{namespace=\"ns\",name=\"" flow "\"} 3\n"                     \
	"# HELP process_cpu x\n# TYPE process_cpu gauge\nprocess_cpu 1\n"                                        \
	"dataflow_task_success_rate{namespace=\"ns\",name=\"somebody-else\"} 1\n"

static struct {
	int fd[BEHAVIOURS];
	int port[BEHAVIOURS];
	pthread_t thread[BEHAVIOURS];
	_Atomic int asked;
} servers;

static char huge[5 << 20];
static const char *says[BEHAVIOURS] = {
	[GOOD] = SAYS("good"), [SLOW] = SAYS("slow"),	     [HUGE] = huge,
	[CUT] = SAYS("good"),  [UNAVAILABLE] = SAYS("good"), [GARBAGE] = "<html>dataflow_x 1\n\xff\xfe dataflow_y{\n",
};

static void make_texts(void)
{
	struct df_buf buf = { 0 };

	memset(huge, 'x', sizeof(huge) - 1);
	for (int i = 0; buf.len < (4 << 20) - 200; i++)
		df_buf_printf(&buf, "dataflow_task_queue_size{namespace=\"ns\",name=\"large\",queue_type=\"%d\"} 1\n",
			      i);
	says[LARGE] = df_buf_take(&buf); /* as much as is taken of one pod, all of it good */
}

static void answer(int fd, enum behaviour as)
{
	char request[1024], head[128];
	int n;

	if (as == HANGS) { /* until the other side gives up */
		while (recv(fd, request, sizeof(request), 0) > 0)
			;
		return;
	}
	if (recv(fd, request, sizeof(request), 0) <= 0)
		return;
	servers.asked++;
	if (as == SLOW)
		usleep(100000);
	n = snprintf(head, sizeof(head), "HTTP/1.1 %s\r\nContent-Length: %zu\r\n\r\n",
		     as == UNAVAILABLE ? "503 Service Unavailable" : "200 OK", strlen(says[as]) + (as == CUT));
	if (send(fd, head, (size_t)n, MSG_NOSIGNAL) == n)
		(void)!send(fd, says[as], strlen(says[as]), MSG_NOSIGNAL);
}

struct connection {
	int fd;
	enum behaviour as;
};

static void *serve_one(void *arg)
{
	struct connection *c = arg;

	answer(c->fd, c->as);
	shutdown(c->fd, SHUT_RDWR);
	close(c->fd);
	free(c);
	return NULL;
}

static void *serve(void *arg)
{
	enum behaviour as = (enum behaviour)(intptr_t)arg;
	pthread_attr_t attr;
	pthread_t thread;
	int fd;

	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	while ((fd = accept(servers.fd[as], NULL, NULL)) >= 0) {
		struct connection *c = malloc(sizeof(*c));

		*c = (struct connection){ fd, as };
		if (pthread_create(&thread, &attr, serve_one, c) != 0)
			serve_one(c);
	}
	pthread_attr_destroy(&attr);
	return NULL;
}

static int start_servers(void **state)
{
	(void)state;
	make_texts();
	for (size_t i = 0; i < BEHAVIOURS; i++) {
		struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
		socklen_t len = sizeof(address);

		servers.fd[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
		if (bind(servers.fd[i], (struct sockaddr *)&address, len) != 0 ||
		    getsockname(servers.fd[i], (struct sockaddr *)&address, &len) != 0)
			return -1;
		servers.port[i] = ntohs(address.sin_port);
		if (i == REFUSES) /* bound, so that nobody else gets it, and nobody listens */
			continue;
		if (listen(servers.fd[i], 512) != 0 ||
		    pthread_create(&servers.thread[i], NULL, serve, (void *)(intptr_t)i) != 0)
			return -1;
	}
	return 0;
}

static int stop_servers(void **state)
{
	(void)state;
	for (size_t i = 0; i < BEHAVIOURS; i++) {
		shutdown(servers.fd[i], SHUT_RDWR);
		if (i != REFUSES)
			pthread_join(servers.thread[i], NULL);
		close(servers.fd[i]);
	}
	usleep(100000); /* those that answer, to their end */
	return 0;
}

/* ---- the operator ---------------------------------------------------------------------------------------- */

static struct df_operator_metrics *m;
static struct df_counts *counts;
static char *text;

static void start_counts(int64_t interval_ns)
{
	struct df_operator_settings settings = { .counts_interval_ns = interval_ns };
	struct df_error err = DF_ERROR_INIT;

	if (df_counts_start(&settings, &counts, &err) < 0)
		fail_msg("%s", err.text);
}

static int set_up(void **state)
{
	(void)state;
	df_arena_init(&arena, NULL);
	m = df_operator_metrics_new();
	start_counts(0);
	return m ? 0 : -1;
}

static int tear_down(void **state)
{
	(void)state;
	df_counts_stop(counts);
	df_operator_metrics_free(m);
	df_arena_done(&arena);
	free(text);
	text = NULL;
	return 0;
}

/* A pod of the flow (or cron) that is called as it behaves. */
static struct df_value *pod(enum df_manifest_kind kind, enum behaviour as, int i)
{
	char object[1024];

	snprintf(
		object, sizeof(object),
		"{'metadata':{'namespace':'ns','name':'%s-%d','uid':'%s-%d','labels':{'%s':'%s'}},'spec':{'containers':"
		"[{'name':'processor','ports':[{'name':'metrics','containerPort':%d}]}]},'status':{'phase':'Running',"
		"'podIP':'127.0.0.1','containerStatuses':[{'name':'processor','state':{'running':{}}}]}}",
		names[as], i, names[as], i, kind == DF_KIND_DATAFLOW ? DF_LABEL_NAME : DF_LABEL_CRON, names[as],
		servers.port[as]);
	return json(object);
}

static void run_pods(enum behaviour as, int n)
{
	for (int i = 0; i < n; i++)
		df_counts_pod(counts, DF_KUBE_ADDED, pod(DF_KIND_DATAFLOW, as, i), &arena);
}

/* Returns how long it took; `text` is what was written, every line of it good. */
static int64_t write_metrics(struct df_counts *of, const char *query, int64_t timeout_ns)
{
	int64_t began = df_clock_monotonic(), took;
	struct df_buf buf = { 0 };
	struct df_sample sample;
	struct df_str rest, line;

	df_operator_metrics_write(m, of, df_str_c(query), timeout_ns, &buf);
	took = df_clock_monotonic() - began;
	assert_false(buf.failed);
	free(text);
	text = df_buf_take(&buf);
	rest = df_str_c(text);
	while (df_exposition_line(&rest, &line))
		if (line.ptr[0] != '#' && !df_sample_parse(line, &sample))
			fail_msg("not a sample: " DF_STR_FMT, DF_STR_ARG(line));
	assert_int_equal(rest.len, 0);
	return took;
}

static size_t count(const char *what)
{
	size_t n = 0;

	for (const char *at = text; (at = strstr(at, what)); at++)
		n++;
	return n;
}

#define assert_has(what)                                                  \
	do {                                                              \
		if (!strstr(text, what))                                  \
			fail_msg("there is no `%s` in:\n%s", what, text); \
	} while (0)

/* ---- its own --------------------------------------------------------------------------------------------- */

static void test_what_it_counts_itself(void **state)
{
	(void)state;
	df_operator_metrics_begin(m);
	df_operator_metrics_begin(m);
	df_operator_metrics_begin(m);
	df_operator_metrics_end(m, 20 * MS, NULL);
	df_operator_metrics_end(m, 200 * S, "deployment");
	df_operator_metrics_leader(m, true);
	df_operator_metrics_phase(m, DF_KIND_DATAFLOW, "ns", "b", "Running");
	df_operator_metrics_phase(m, DF_KIND_DATAFLOW, "ns", "a", "Pending");
	df_operator_metrics_phase(m, DF_KIND_DATAFLOW, "n", "c", "Error");
	df_operator_metrics_phase(m, DF_KIND_DATAFLOW, "ns", "a", "Stopped");
	df_operator_metrics_phase(m, DF_KIND_DATAFLOW, "ns", "gone", "Running");
	df_operator_metrics_phase(m, DF_KIND_DATAFLOW, "ns", "gone", NULL);
	df_operator_metrics_phase(m, DF_KIND_DATAFLOW, "ns", "never", NULL);
	write_metrics(NULL, "", 8 * S);
	assert_has("\ndataflow_build_info{version=\"" DF_VERSION "\"} 1\n");
	assert_has("\ndataflow_operator_leader 1\n");
	assert_has("\ndataflow_controller_reconcile_inflight 1\n");
	assert_has("_bucket{result=\"success\",le=\"0.01\"} 0\n");
	assert_has("_bucket{result=\"success\",le=\"0.025\"} 1\n");
	assert_has("_bucket{result=\"success\",le=\"+Inf\"} 1\n");
	assert_has("_sum{result=\"success\"} 0.020000000\n");
	assert_has("_bucket{result=\"error\",le=\"180\"} 0\n");
	assert_has("_bucket{result=\"error\",le=\"+Inf\"} 1\n");
	assert_has("_count{result=\"error\"} 1\n");
	assert_has("\ndataflow_controller_reconcile_errors_total{stage=\"deployment\"} 1\n");
	assert_has("\ndataflow_status{namespace=\"ns\",name=\"a\",phase=\"Stopped\"} 1\n");
	assert_has("\ndataflow_status{namespace=\"ns\",name=\"a\",phase=\"Pending\"} 0\n");
	assert_has("\ndataflow_status{namespace=\"n\",name=\"c\",phase=\"Error\"} 1\n");
	assert_int_equal(count("\ndataflow_status{"), 12);
	assert_int_equal(count("gone"), 0);
}

/* What a cron says is told in the four words of a flow, and the flow of the same name beside it. */
static void test_crons(void **state)
{
	static const struct {
		const char *flow, *cron, *told; /* NULL: there is none */
	} rows[] = {
		{ NULL, "Pending", "Pending" },		{ NULL, "Running", "Running" },
		{ NULL, "RunningTriggers", "Running" }, { NULL, "Failed", "Error" },
		{ NULL, "Completed", "Pending" },	{ "Stopped", "Running", "Stopped" },
		{ "Running", "Failed", "Error" },	{ "Error", "Completed", "Error" },
		{ "Running", NULL, "Running" },		{ NULL, NULL, NULL },
	};

	(void)state;
	for (size_t i = 0; i < DF_ARRAY_SIZE(rows); i++) {
		char want[128];

		df_operator_metrics_phase(m, DF_KIND_DATAFLOWCRON, "ns", "x", rows[i].cron);
		df_operator_metrics_phase(m, DF_KIND_DATAFLOW, "ns", "x", rows[i].flow);
		write_metrics(NULL, "", 8 * S);
		snprintf(want, sizeof(want), "\ndataflow_status{namespace=\"ns\",name=\"x\",phase=\"%s\"} 1\n",
			 rows[i].told ? rows[i].told : "");
		assert_int_equal(count(want), rows[i].told ? 1 : 0);
		assert_int_equal(count("\ndataflow_status{"), rows[i].told ? 4 : 0);
	}
}

/* Many of them, in any order: the table is sorted. */
static void test_many_flows(void **state)
{
	char name[32];

	(void)state;
	for (int i = 0; i < 500; i++) {
		snprintf(name, sizeof(name), "flow-%d", i * 7919 % 500);
		df_operator_metrics_phase(m, DF_KIND_DATAFLOW, i % 2 ? "a" : "b", name, "Running");
	}
	for (int i = 0; i < 500; i += 5) {
		snprintf(name, sizeof(name), "flow-%d", i * 7919 % 500);
		df_operator_metrics_phase(m, DF_KIND_DATAFLOW, i % 2 ? "a" : "b", name, NULL);
	}
	write_metrics(NULL, "", 8 * S);
	assert_int_equal(count("phase=\"Running\"} 1\n"), 400);
	write_metrics(NULL, "namespace=a&name=flow-1", 8 * S);
	assert_int_equal(count("phase=\"Running\"} 1\n") + count("phase=\"Running\"} 0\n"), 1);
}

/* ---- processors ------------------------------------------------------------------------------------------ */

static void test_families_are_merged(void **state)
{
	(void)state;
	run_pods(GOOD, 2);
	df_counts_pod(counts, DF_KUBE_ADDED, pod(DF_KIND_DATAFLOWCRON, SLOW, 0), &arena);
	df_operator_metrics_phase(m, DF_KIND_DATAFLOW, "ns", "good", "Running");
	write_metrics(counts, "", 8 * S);
	/* No sum, no digit lost, the pod beside it. */
	for (int i = 0; i < 2; i++) {
		char line[256];

		snprintf(
			line, sizeof(line),
			"\ndataflow_messages_total{pod=\"good-%d\",namespace=\"ns\",name=\"good\",outcome=\"written\"} "
			"18446744073709551615\n",
			i);
		assert_has(line);
		snprintf(line, sizeof(line),
			 "\ndataflow_processor_scrape_up{namespace=\"ns\",name=\"good\",pod=\"good-%d\"} 1\n", i);
		assert_has(line);
	}
	assert_has("{pod=\"slow-0\",namespace=\"ns\",name=\"slow\",outcome=\"written\"}"); /* a cron's run, too */
	assert_has("\ndataflow_status{namespace=\"ns\",name=\"good\",phase=\"Running\"} 1\n");
	assert_has("\ndataflow_status{pod=\"good-0\",namespace=\"ns\",name=\"good\",phase=\"Running\"} 1\n");
	assert_int_equal(count("# HELP dataflow_status "), 1);
	assert_int_equal(count("# TYPE dataflow_status "), 1);
	assert_int_equal(count("# TYPE dataflow_messages_total "), 1);
	assert_int_equal(count("# TYPE dataflow_processing_duration_seconds "), 1);
	assert_int_equal(count("process_cpu"), 0);
	assert_int_equal(count("somebody-else"), 0);
}

static void test_filters(void **state)
{
	static const struct {
		const char *query;
		size_t good, slow;
	} rows[] = {
		{ "", 2, 1 },
		{ "namespace=ns", 2, 1 },
		{ "namespace=", 2, 1 },
		{ "namespace=n", 0, 0 },
		{ "namespace=%6es&name=sl%6Fw", 0, 1 },
		{ "x&name=good&=&y=z", 2, 0 },
		{ "name=goo", 0, 0 },
		{ "namespace=other&name=good", 0, 0 },
	};

	(void)state;
	run_pods(GOOD, 2);
	run_pods(SLOW, 1);
	for (size_t i = 0; i < DF_ARRAY_SIZE(rows); i++) {
		int before = servers.asked;

		write_metrics(counts, rows[i].query, 8 * S);
		assert_int_equal(count("\ndataflow_task_success_rate{pod=\"good-"), rows[i].good);
		assert_int_equal(count("\ndataflow_task_success_rate{pod=\"slow-"), rows[i].slow);
		assert_int_equal(count("\ndataflow_processor_scrape_up{"), rows[i].good + rows[i].slow);
		assert_int_equal(servers.asked - before, rows[i].good + rows[i].slow); /* nobody else was bothered */
		assert_has("dataflow_operator_leader");
	}
}

/* A hundred good ones, and of each kind that is not: four seconds, and only those are left out. */
static void test_those_that_misbehave_cost_only_themselves(void **state)
{
	char line[256];

	(void)state;
	run_pods(GOOD, 100);
	run_pods(SLOW, 20);
	for (int as = HANGS; as < LARGE; as++)
		run_pods((enum behaviour)as, 4);
	assert_true(write_metrics(counts, "", 8 * S) < 8 * S);
	assert_int_equal(count("\ndataflow_task_success_rate{pod=\"good-"), 100);
	assert_int_equal(count("\ndataflow_task_success_rate{pod=\"slow-"), 20);
	assert_int_equal(count("\ndataflow_task_success_rate{"), 120);
	assert_int_equal(count("\ndataflow_processor_scrape_up{"), 144);
	for (int as = GOOD; as < LARGE; as++) {
		bool up = as <= SLOW || as == GARBAGE; /* it answers; nothing of it is good */

		snprintf(line, sizeof(line), "name=\"%s\",pod=\"%s-0\"} %d\n", names[as], names[as], up);
		assert_has(line);
	}
}

/* Texts that would fill all there is for them. A sanitizer reads ten times slower, and nobody waits longer for that. */
#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
enum { LARGE_PODS = 2, LARGE_WRITTEN = 2 };
#else
enum { LARGE_PODS = 20, LARGE_WRITTEN = 15 };
#endif

static void test_large_ones_leave_nobody_else_out(void **state)
{
	(void)state;
	run_pods(LARGE, LARGE_PODS);
	run_pods(GOOD, 100);
	write_metrics(counts, "", 8 * S);
	assert_int_equal(count("\ndataflow_task_success_rate{pod=\"good-"), 100);
	assert_true(count("\ndataflow_processor_scrape_up{namespace=\"ns\",name=\"large\"") == LARGE_PODS);
	assert_in_range(count("queue_type=\"0\"}"), 1, LARGE_WRITTEN);
	assert_in_range(strlen(text), 4 << 20, 64 << 20);
}

static void test_the_scraper_does_not_wait_longer_than_it_says(void **state)
{
	(void)state;
	run_pods(HANGS, 200);
	run_pods(GOOD, 1);
	assert_true(write_metrics(counts, "", 700 * MS) < 7 * S);
	assert_int_equal(count("\ndataflow_processor_scrape_up{namespace=\"ns\",name=\"hangs\""), 200);
	assert_has("dataflow_operator_leader");
}

static void *cancel_soon(void *arg)
{
	(void)arg;
	usleep(200000);
	df_counts_cancel(counts);
	return NULL;
}

static void test_the_end_ends_a_scrape(void **state)
{
	pthread_t thread;

	(void)state;
	run_pods(HANGS, 200); /* 8 s, were they waited for */
	pthread_create(&thread, NULL, cancel_soon, NULL);
	assert_true(write_metrics(counts, "", 8 * S) < 7 * S);
	pthread_join(thread, NULL);
}

/* ---- the thread that counts ------------------------------------------------------------------------------ */

static _Atomic int told;

static void on_change(void *arg, enum df_manifest_kind kind, const char *namespace, const char *name)
{
	assert_ptr_equal(arg, &told);
	assert_int_equal(kind, DF_KIND_DATAFLOW);
	assert_string_equal(namespace, "ns");
	assert_true(strcmp(name, "good") == 0 || strcmp(name, "slow") == 0);
	told++;
}

static int64_t processed_of(const char *flow, struct df_value **pods, size_t n)
{
	struct df_value *object, *status = df_value_new(&arena, DF_OBJECT);
	struct df_error err = DF_ERROR_INIT;
	bool disconnected;
	int64_t ret = -1;
	char object_text[128];

	snprintf(object_text, sizeof(object_text), "{'metadata':{'namespace':'ns','name':'%s'}}", flow);
	object = json(object_text);
	assert_int_equal(df_counts_status(counts, object, NULL, pods, n, &arena, status, &disconnected, &err), 0);
	df_value_to_int64(df_object_get_c(status, "errorCount"), &ret);
	return ret;
}

static void test_the_thread_asks_and_tells(void **state)
{
	struct df_value *pods[3];
	int after;

	(void)state;
	df_counts_stop(counts);
	start_counts(300 * MS);
	df_counts_on_change(counts, on_change, &told);
	run_pods(HANGS, 2);
	run_pods(REFUSES, 2);
	for (int i = 0; i < 3; i++) {
		pods[i] = pod(DF_KIND_DATAFLOW, SLOW, i);
		df_counts_pod(counts, DF_KUBE_ADDED, pods[i], &arena);
	}
	df_counts_pod(counts, DF_KUBE_ADDED, pod(DF_KIND_DATAFLOWCRON, GOOD, 0), &arena);
	/* The first round waits for those that hang, 5 s, and tells then. */
	for (int i = 0; i < 200 && told < 3; i++)
		usleep(100000);
	assert_int_equal(told, 3);
	assert_int_equal(processed_of("slow", pods, 3), 21);
	/* Nothing moves: nobody is told. */
	after = servers.asked;
	for (int i = 0; i < 200 && servers.asked < after + 3; i++)
		usleep(100000);
	assert_int_equal(told, 3);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_what_it_counts_itself),
		TEST(test_crons),
		TEST(test_many_flows),
		TEST(test_families_are_merged),
		TEST(test_filters),
		TEST(test_those_that_misbehave_cost_only_themselves),
		TEST(test_large_ones_leave_nobody_else_out),
		TEST(test_the_scraper_does_not_wait_longer_than_it_says),
		TEST(test_the_end_ends_a_scrape),
		TEST(test_the_thread_asks_and_tells),
	};

	return cmocka_run_group_tests(tests, start_servers, stop_servers);
}

/* When a worker comes back to a resource: after what its reconcile answered, and what happened meanwhile. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>

#include "operator/internal.h"
#include "test/kube/fake.h"

enum { CALLS = 8 };

static struct df_operator op;
static struct df_operator_settings settings = { .reconcile_timeout_ns = 10 * DF_NS_PER_S };

/* What the reconciles answer, one after another, and when they were called. */
static struct {
	int code;
	const char *remote;
	int64_t again_ns, retry_after_ns;
	bool added; /* meanwhile, as by a change */
} script[CALLS];
static int64_t called_ns[CALLS];
static atomic_int calls;

int df_reconcile_flow(struct df_reconcile *r, struct df_error *err)
{
	int i = atomic_load(&calls);

	assert_string_equal(r->namespace, "team");
	assert_string_equal(r->name, "f");
	if (i == CALLS)
		return 0;
	called_ns[i] = df_clock_monotonic();
	if (script[i].added)
		df_operator_add(r->op, DF_KIND_DATAFLOW, "team", "f");
	r->again_ns = script[i].again_ns;
	r->retry_after_ns = script[i].retry_after_ns;
	atomic_fetch_add(&calls, 1);
	if (script[i].code == 0)
		return 0;
	df_error_set(err, script[i].code, "as the test says");
	if (script[i].remote)
		df_error_remote(err, script[i].remote);
	return script[i].code;
}

int df_reconcile_cron(struct df_reconcile *r, struct df_error *err)
{
	return df_reconcile_flow(r, err);
}

static pthread_t thread;

static void begin(int64_t first_ns, int64_t cap_ns)
{
	fake_start();
	atomic_store(&calls, 0);
	op = (struct df_operator){ .settings = &settings,
				   .client = fake_options,
				   .queue = df_kube_queue_new(first_ns, cap_ns),
				   .metrics = df_operator_metrics_new(),
				   .take = df_context_new(NULL),
				   .work = df_context_new(NULL) };
	assert_int_equal(pthread_create(&thread, NULL, df_operator_worker, &op), 0);
}

static void pause_ms(int ms)
{
	assert_int_equal(df_context_sleep(op.take, ms * DF_NS_PER_MS), 0);
}

/* Within 10 s. */
static void await_calls(int n)
{
	for (int i = 0; i < 1000 && atomic_load(&calls) < n; i++)
		pause_ms(10);
	assert_true(atomic_load(&calls) >= n);
}

static void end(void)
{
	df_context_cancel(op.take);
	pthread_join(thread, NULL);
	df_operator_unwatch(&op);
	df_kube_queue_free(op.queue);
	df_operator_metrics_free(op.metrics);
	df_context_free(op.take);
	df_context_free(op.work);
	fake_stop();
}

/* Lets a worker come n times; returns the pause in ms before the last of them. */
static int64_t pause_before(int n, int64_t first_ns)
{
	begin(first_ns, first_ns * 4);
	df_operator_add(&op, DF_KIND_DATAFLOW, "team", "f");
	await_calls(n);
	end();
	return (called_ns[n - 1] - called_ns[n - 2]) / DF_NS_PER_MS;
}

static void clear(void)
{
	memset(script, 0, sizeof(script));
}

static void failures_wait_longer(void **state)
{
	(void)state;
	clear();
	script[0].code = script[1].code = DF_ERR_UNKNOWN;
	assert_true(pause_before(2, 100 * DF_NS_PER_MS) >= 100);
	assert_true(pause_before(3, 100 * DF_NS_PER_MS) >= 200);
}

static void what_the_server_wants_counts(void **state)
{
	(void)state;
	clear();
	script[0].code = DF_ERR_TRANSIENT;
	script[0].retry_after_ns = 600 * DF_NS_PER_MS;
	assert_true(pause_before(2, 100 * DF_NS_PER_MS) >= 600);
}

static void a_change_meanwhile_does_not_wait(void **state)
{
	(void)state;
	clear();
	script[0].code = DF_ERR_UNKNOWN;
	script[0].added = true;
	(void)pause_before(2, 3600 * DF_NS_PER_S);
	/* Unless the server wants to be left alone. */
	script[0].retry_after_ns = 500 * DF_NS_PER_MS;
	assert_true(pause_before(2, 3600 * DF_NS_PER_S) >= 500);
}

#define LIST(item) "{'metadata':{'resourceVersion':'5'},'items':[" item "]}"
#define EVENT(object) "{'type':'MODIFIED','object':" object "}\n"
#define FLOW(version, generation, more) \
	"{'metadata':{'name':'f','namespace':'team','resourceVersion':'" #version "','generation':" #generation "},\
'spec':{'a':" #generation "}" more "}"
#define CHECKPOINT(version)                                                                                        \
	"{'metadata':{'name':'df-f-checkpoint','namespace':'team','resourceVersion':'" #version "','labels':{"     \
	"'dataflow.dataflow.io/name':'f'},'annotations':{'dataflow.dataflow.io/fence':'" #version "',"             \
	"'dataflow.dataflow.io/checkpoint-reset-applied-at':'" #version "'}},'data':{'checkpoint.json':'" #version \
	"'}}"
#define FLOWS "GET /apis/dataflow.dataflow.io/v1/dataflows?"
#define CONFIGMAPS "GET /api/v1/configmaps?"

static void await_watches(const char *request)
{
	int before = fake_asked(request);

	for (int i = 0; i < 2000 && fake_asked(request) == before; i++)
		pause_ms(10);
}

/* What a failing reconcile has written itself, time and again, would have it tried time and again. */
static void an_echo_is_no_change(void **state)
{
	(void)state;
	clear();
	for (int i = 0; i < CALLS; i++)
		script[i].code = DF_ERR_UNKNOWN;
	begin(3600 * DF_NS_PER_S, 3600 * DF_NS_PER_S);
	fake_on("GET /", 200, "", LIST(""));
	fake_on(FLOWS, 200, "", LIST(FLOW(5, 1, "")));
	fake_on(CONFIGMAPS, 200, "", LIST(CHECKPOINT(5)));
	assert_int_equal(df_operator_watch(&op, op.take, NULL), 0);
	await_calls(1);
	pause_ms(50);
	int before = atomic_load(&calls);

	fake_on(FLOWS "watch", 200, "", EVENT(FLOW(6, 1, ",'status':{'phase':'Error'}")));
	fake_on(CONFIGMAPS "watch", 200, "", EVENT(CHECKPOINT(6)));
	await_watches(FLOWS "watch");
	await_watches(CONFIGMAPS "watch");
	pause_ms(100);
	assert_int_equal(atomic_load(&calls), before);
	fake_on(FLOWS "watch", 200, "", EVENT(FLOW(7, 2, ",'status':{'phase':'Error'}")));
	await_calls(before + 1);
	end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(failures_wait_longer),
		cmocka_unit_test(what_the_server_wants_counts),
		cmocka_unit_test(a_change_meanwhile_does_not_wait),
		cmocka_unit_test(an_echo_is_no_change),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

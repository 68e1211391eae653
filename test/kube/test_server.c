/* The client, the cache and the Lease on a real API server: KUBECONFIG and KUBERNETES_APISERVER_PID_FILE of
 * `test/services/kubernetes env`. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "kube/cache.h"
#include "kube/lease.h"
#include "test/kube/server.h"

#define PATIENCE_NS (60 * DF_NS_PER_S)

static struct df_arena arena;

static const struct df_kube_client_options *options(void)
{
	static struct df_kube_client_options o;

	o = (struct df_kube_client_options){ .config = &config, .field_manager = "dataflow-test" };
	return &o;
}

static struct df_kube_ref configmap(const char *name)
{
	return (struct df_kube_ref){ .resource = &df_kube_configmaps, .namespace = namespace, .name = name };
}

/* printf-like JSON in which ' stands for ". */
static df_printf(1, 2) struct df_value *json(const char *fmt, ...)
{
	struct df_value *value;
	char text[2048];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	for (char *c = text; *c; c++)
		if (*c == '\'')
			*c = '"';
	ok(df_value_parse_text(df_arena_dup(&arena, df_str_c(text)), &arena, &value, &err));
	return value;
}

static struct df_value *configmap_object(const char *name, const char *value)
{
	return json("{'apiVersion': 'v1', 'kind': 'ConfigMap', 'metadata': {'name': '%s', 'labels': {'test': 'yes'}}, "
		    "'data': {'k': '%s'}}",
		    name, value);
}

static struct df_str data_of(const struct df_value *object, const char *key)
{
	return df_kube_text(object, &arena, "data", key, NULL);
}

static struct df_value *get(const char *name)
{
	struct df_kube_ref ref = configmap(name);
	struct df_value *object;

	ok(df_kube_get(client, NULL, &ref, &arena, &object, &err));
	return object;
}

static void create(const char *name, const char *value)
{
	struct df_kube_ref ref = configmap(name);

	ok(df_kube_create(client, NULL, &ref, configmap_object(name, value), &arena, NULL, &err));
}

static void apply(const char *name, struct df_value *object)
{
	struct df_kube_ref ref = configmap(name);

	ok(df_kube_apply(client, NULL, &ref, object, &arena, NULL, &err));
}

static bool delete (const char *name)
{
	struct df_kube_ref ref = configmap(name);
	bool existed;

	ok(df_kube_delete(client, NULL, &ref, NULL, &existed, &err));
	return existed;
}

/* ---- one object ------------------------------------------------------------------------------------------ */

static void test_life_of_an_object(void **state)
{
	struct df_kube_ref ref = configmap("life");
	struct df_value *object, *old;

	(void)state;
	assert_null(get("life"));
	ok(df_kube_create(client, NULL, &ref, configmap_object("life", "1"), &arena, &object, &err));
	assert_true(df_kube_text(object, &arena, "metadata", "uid", NULL).len > 0);
	assert_int_equal(df_kube_create(client, NULL, &ref, configmap_object("life", "1"), &arena, NULL, &err),
			 DF_ERR_TRANSIENT);
	assert_true(df_kube_is(&err, "AlreadyExists"));
	old = get("life");
	ok(df_kube_patch(client, NULL, &ref, DF_KUBE_MERGE_PATCH, json("{'data': {'k': null, 'm': '2'}}"), &arena,
			 &object, &err));
	assert_null(data_of(object, "k").ptr);
	assert_true(df_str_equal_c(data_of(object, "m"), "2"));
	/* Somebody who has not seen the patch cannot replace it. */
	assert_int_equal(df_kube_update(client, NULL, &ref, old, &arena, NULL, &err), DF_ERR_TRANSIENT);
	assert_true(df_kube_is(&err, "Conflict"));
	ok(df_kube_update(client, NULL, &ref, get("life"), &arena, NULL, &err));
	ok(df_kube_patch(client, NULL, &ref, DF_KUBE_JSON_PATCH,
			 json("[{'op': 'test', 'path': '/data/m', 'value': '2'}, {'op': 'remove', 'path': '/data/m'}]"),
			 &arena, NULL, &err));
	assert_int_equal(df_kube_patch(client, NULL, &ref, DF_KUBE_JSON_PATCH,
				       json("[{'op': 'test', 'path': '/data/m', 'value': '2'}]"), &arena, NULL, &err),
			 DF_ERR_CONFIG);
	assert_true(df_kube_is(&err, "Invalid"));
	assert_null(strstr(err.text, "Bearer"));
	/* Of another uid: it stays. */
	assert_int_equal(df_kube_delete(client, NULL, &ref,
					&(struct df_kube_delete_options){ .uid = "00000000-0000-0000-0000-000000000000",
									  .grace_seconds = -1 },
					NULL, &err),
			 DF_ERR_TRANSIENT);
	assert_true(delete ("life"));
	assert_false(delete ("life"));
}

/* What we applied and leave out goes; what others wrote stays. */
static void test_apply(void **state)
{
	struct df_kube_ref ref = configmap("applied");
	struct df_value *object;

	(void)state;
	apply("applied",
	      json("{'apiVersion': 'v1', 'kind': 'ConfigMap', 'metadata': {'name': 'applied'}, 'data': {'a': '1', 'b': '1'}}"));
	ok(df_kube_patch(client, NULL, &ref, DF_KUBE_MERGE_PATCH,
			 json("{'metadata': {'annotations': {'who': 'else'}}}"), &arena, NULL, &err));
	apply("applied",
	      json("{'apiVersion': 'v1', 'kind': 'ConfigMap', 'metadata': {'name': 'applied'}, 'data': {'b': '2'}}"));
	object = get("applied");
	assert_null(data_of(object, "a").ptr);
	assert_true(df_str_equal_c(data_of(object, "b"), "2"));
	assert_true(df_str_equal_c(df_kube_text(object, &arena, "metadata", "annotations", "who", NULL), "else"));
	delete ("applied");
}

static void test_refusals(void **state)
{
	struct df_kube_ref ref = configmap("x");

	(void)state;
	assert_int_equal(
		df_kube_create(client, NULL, &ref,
			       json("{'apiVersion': 'v1', 'kind': 'ConfigMap', 'metadata': {'name': 'Not A Name'}}"),
			       &arena, NULL, &err),
		DF_ERR_CONFIG);
	assert_true(df_kube_is(&err, "Invalid"));
	assert_non_null(strstr(err.text, "metadata.name"));
	assert_int_equal(df_kube_patch(client, NULL, &ref, DF_KUBE_MERGE_PATCH, json("{}"), &arena, NULL, &err),
			 DF_ERR_UNKNOWN);
	assert_true(df_kube_is(&err, "NotFound"));
}

/* ---- tokens ---------------------------------------------------------------------------------------------- */

/* A service account's token from a file, without rights; the file is replaced by nonsense, then by a good one. */
static void test_token_file(void **state)
{
	struct df_kube_ref account = { .resource = &df_kube_serviceaccounts,
				       .namespace = namespace,
				       .name = "default" };
	char path[] = "/tmp/df_kube_token_XXXXXX";
	struct df_kube_config as_pod = { .server = config.server, .ca = config.ca, .token_file = path };
	struct df_kube_client *pod = NULL;
	struct df_kube_ref ref = configmap("x");
	struct df_value *object = NULL;
	int fd = mkstemp(path);

	(void)state;
	assert_true(fd >= 0);
	for (int i = 0; i < 100 && !object; i++) { /* the controller makes the account */
		ok(df_kube_get(client, NULL, &account, &arena, &object, &err));
		usleep(100000);
	}
	account.subresource = "token";
	ok(df_kube_create(client, NULL, &account,
			  json("{'apiVersion': 'authentication.k8s.io/v1', 'kind': 'TokenRequest', 'spec': "
			       "{'expirationSeconds': 600}}"),
			  &arena, &object, &err));
	struct df_str token = df_kube_text(object, &arena, "status", "token", NULL);
	assert_true(token.len > 0);
	ok(df_kube_client_new(&(struct df_kube_client_options){ .config = &as_pod }, &pod, &err));
	assert_int_equal(df_kube_get(pod, NULL, &ref, &arena, &object, &err), DF_ERR_AUTH);
	assert_non_null(strstr(err.text, "is empty"));
	assert_int_equal(write(fd, token.ptr, token.len), token.len);
	assert_int_equal(df_kube_get(pod, NULL, &ref, &arena, &object, &err), DF_ERR_AUTH);
	assert_true(df_kube_is(&err, "Forbidden"));
	assert_null(memmem(err.text, strlen(err.text), token.ptr, 20));
	assert_int_equal(ftruncate(fd, 10), 0);
	assert_int_equal(df_kube_get(pod, NULL, &ref, &arena, &object, &err), DF_ERR_AUTH);
	assert_true(df_kube_is(&err, "Unauthorized"));
	df_kube_client_free(pod);
	close(fd);
	unlink(path);
}

/* ---- many ------------------------------------------------------------------------------------------------ */

struct seen {
	size_t count;
	size_t stop_at;
};

static int count_object(void *arg, struct df_value *object, struct df_error *e)
{
	struct seen *seen = arg;

	assert_true(df_kube_text(object, &arena, "metadata", "name", NULL).len > 0);
	if (++seen->count == seen->stop_at)
		return df_error_set(e, DF_ERR_UNKNOWN, "enough");
	return 0;
}

static void test_pages(void **state)
{
	struct df_kube_ref all = configmap(NULL);
	struct df_kube_list_options page = { .label_selector = "test=yes", .page = 10 };
	struct seen seen = { 0 };
	char name[24], *version;

	(void)state;
	for (int i = 0; i < 25; i++) {
		snprintf(name, sizeof(name), "page-%d", i);
		create(name, "x");
	}
	ok(df_kube_list(client, NULL, &all, &page, count_object, &seen, &version, &err));
	assert_int_equal(seen.count, 25); /* without kube-root-ca.crt, which has no label */
	assert_true(strlen(version) > 0);
	free(version);
	seen = (struct seen){ .stop_at = 12 };
	assert_int_equal(df_kube_list(client, NULL, &all, &page, count_object, &seen, &version, &err), DF_ERR_UNKNOWN);
	assert_string_equal(err.text, "enough");
	assert_null(version);
	for (int i = 0; i < 25; i++) {
		snprintf(name, sizeof(name), "page-%d", i);
		delete (name);
	}
}

static int watch_event(void *arg, enum df_kube_event event, struct df_value *object, struct df_error *e)
{
	struct seen *seen = arg;

	(void)object;
	if (event != DF_KUBE_BOOKMARK && ++seen->count == seen->stop_at)
		return df_error_set(e, DF_ERR_UNKNOWN, "enough");
	return 0;
}

static void test_watch(void **state)
{
	struct df_kube_ref all = configmap(NULL);
	struct seen none = { 0 }, three = { .stop_at = 3 };
	struct df_context *ctx = df_context_new(NULL);
	char *version;

	(void)state;
	ok(df_kube_list(client, NULL, &all, NULL, count_object, &none, &version, &err));
	create("watched", "1");
	apply("watched", configmap_object("watched", "2"));
	delete ("watched");
	assert_int_equal(df_kube_watch(client, NULL, &all, NULL, version, watch_event, &three, &err), DF_ERR_UNKNOWN);
	assert_non_null(strstr(err.text, "enough"));
	/* Nothing happens: the context ends it. */
	three = (struct seen){ 0 };
	df_context_deadline(ctx, df_clock_monotonic() + 300 * DF_NS_PER_MS);
	assert_int_equal(df_kube_watch(client, ctx, &all, NULL, version, watch_event, &three, &err), DF_ERR_TIMEOUT);
	free(version);
	df_context_free(ctx);
}

static void test_limiter(void **state)
{
	struct df_kube_client_options limited = *options();
	struct df_kube_client *c;
	struct df_kube_ref ref = configmap("x");
	struct df_value *object;
	int64_t began_ns;

	(void)state;
	limited.limiter = df_kube_limiter_new(50, 5);
	ok(df_kube_client_new(&limited, &c, &err));
	began_ns = df_clock_monotonic();
	for (int i = 0; i < 25; i++)
		ok(df_kube_get(c, NULL, &ref, &arena, &object, &err));
	/* 5 at once, 20 more at 50 a second. */
	assert_true(df_clock_monotonic() - began_ns >= 390 * DF_NS_PER_MS);
	df_kube_client_free(c);
	df_kube_limiter_free(limited.limiter);
}

/* ---- cache ----------------------------------------------------------------------------------------------- */

struct changes {
	atomic_int added, modified, deleted;
};

static void on_change(void *arg, enum df_kube_event event, struct df_value *object, struct df_arena *a)
{
	struct changes *c = arg;

	assert_null(df_kube_at(object, "metadata", "managedFields", NULL));
	assert_true(df_kube_text(object, a, "metadata", "name", NULL).len > 0);
	atomic_fetch_add(event == DF_KUBE_ADDED	     ? &c->added
			 : event == DF_KUBE_MODIFIED ? &c->modified
						     : &c->deleted,
			 1);
}

static void await_count(atomic_int *count, int wanted)
{
	for (int i = 0; atomic_load(count) < wanted; i++) {
		if (i == 600)
			fail_msg("%d of %d within 60 s", atomic_load(count), wanted);
		usleep(100000);
	}
	assert_int_equal(atomic_load(count), wanted);
}

static void run_service(const char *verb)
{
	char command[512];

	snprintf(command, sizeof(command), "%s %s 2>/dev/null", getenv("KUBERNETES_SERVICE_SCRIPT"), verb);
	assert_int_equal(system(command), 0);
}

static pid_t api_server(void)
{
	FILE *file = fopen(getenv("KUBERNETES_APISERVER_PID_FILE"), "re");
	int pid = 0;

	assert_non_null(file);
	assert_int_equal(fscanf(file, "%d", &pid), 1);
	fclose(file);
	return pid;
}

static void test_cache_through_a_restart(void **state)
{
	struct changes changes = { 0 };
	struct df_kube_cache *cache;
	struct df_kube_ref all = configmap(NULL);
	struct df_value *object;
	struct df_context *ctx = df_context_new(NULL);
	struct seen none = { 0 };

	(void)state;
	create("stays", "1");
	ok(df_kube_cache_start(&(struct df_kube_cache_options){ .client = *options(),
								.what = configmap(NULL),
								.filter = { .label_selector = "test=yes" },
								.on_change = on_change,
								.arg = &changes },
			       &cache, &err));
	df_context_deadline(ctx, df_clock_monotonic() + 30 * DF_NS_PER_S);
	ok(df_kube_cache_await(cache, ctx, &err));
	assert_int_equal(df_kube_cache_count(cache), 1);
	await_count(&changes.added, 1);
	create("comes", "1");
	await_count(&changes.added, 2);
	apply("comes", configmap_object("comes", "2"));
	await_count(&changes.modified, 1);
	ok(df_kube_cache_get(cache, namespace, "comes", &arena, &object, &err));
	assert_true(df_str_equal_c(data_of(object, "k"), "2"));
	ok(df_kube_cache_get(cache, "other", "comes", &arena, &object, &err));
	assert_null(object);
	/* The server dies, and comes back; what happens then is seen. */
	assert_int_equal(kill(api_server(), SIGKILL), 0);
	run_service("start");
	delete ("comes");
	await_count(&changes.deleted, 1);
	apply("stays", configmap_object("stays", "3"));
	await_count(&changes.modified, 2);
	assert_int_equal(atomic_load(&changes.added), 2); /* nothing is told twice */
	assert_int_equal(df_kube_cache_count(cache), 1);
	df_kube_cache_free(cache);
	/* A version from before its life; in the first life of a server there is none. */
	df_context_free(ctx);
	ctx = df_context_new(NULL);
	df_context_deadline(ctx, df_clock_monotonic() + PATIENCE_NS);
	assert_int_equal(df_kube_watch(client, ctx, &all, NULL, "1", watch_event, &none, &err), DF_ERR_TRANSIENT);
	assert_true(df_kube_is(&err, "Expired"));
	delete ("stays");
	df_context_free(ctx);
}

/* ---- Lease ----------------------------------------------------------------------------------------------- */

static void lost(void *arg, const struct df_error *why)
{
	(void)why;
	atomic_store((atomic_bool *)arg, true);
}

#define DURATION_NS (6 * DF_NS_PER_S)

static int take(const char *identity, int64_t within_ns, atomic_bool *ret_lost, struct df_kube_lease **ret)
{
	/* The server of a busy machine may be silent for some of the deadline. */
	struct df_kube_lease_options o = { .client = *options(),
					   .namespace = namespace,
					   .name = "one",
					   .identity = identity,
					   .duration_ns = DURATION_NS,
					   .deadline_ns = 5 * DF_NS_PER_S,
					   .retry_ns = 200 * DF_NS_PER_MS,
					   .create = true,
					   .on_lost = lost,
					   .arg = ret_lost };
	struct df_context *ctx = df_context_new(NULL);
	int code;

	df_context_deadline(ctx, df_clock_monotonic() + within_ns);
	code = df_kube_lease_acquire(&o, ctx, ret, &err);
	df_context_free(ctx);
	return code;
}

static void test_lease(void **state)
{
	struct df_kube_ref ref = { .resource = &df_kube_leases, .namespace = namespace, .name = "one" };
	struct df_kube_lease *a, *b;
	atomic_bool a_lost = false, b_lost = false;
	int64_t began_ns;

	(void)state;
	ok(take("a", PATIENCE_NS, &a_lost, &a));
	assert_true(df_kube_lease_held(a));
	/* Held and renewed: nobody else gets it, however long it waits. */
	assert_int_equal(take("b", DURATION_NS + 2 * DF_NS_PER_S, &b_lost, &b), DF_ERR_TIMEOUT);
	assert_true(df_kube_lease_held(a));
	/* Given up: at once. */
	df_kube_lease_release(a);
	began_ns = df_clock_monotonic();
	ok(take("b", PATIENCE_NS, &b_lost, &b));
	assert_true(df_clock_monotonic() - began_ns < DURATION_NS);
	/* Taken away: the holder hears of it. */
	ok(df_kube_patch(client, NULL, &ref, DF_KUBE_MERGE_PATCH, json("{'spec': {'holderIdentity': 'z'}}"), &arena,
			 NULL, &err));
	for (int i = 0; i < 600 && !atomic_load(&b_lost); i++)
		usleep(100000);
	assert_true(atomic_load(&b_lost));
	assert_false(df_kube_lease_held(b));
	df_kube_lease_release(b);
	/* z is silent: taken over, but not before its time. */
	began_ns = df_clock_monotonic();
	ok(take("a", PATIENCE_NS, &a_lost, &a));
	assert_true(df_clock_monotonic() - began_ns >= DURATION_NS);
	assert_false(atomic_load(&a_lost));
	df_kube_lease_release(a);
}

/* A server that is away longer than the deadline: the holder must know, without it, that it holds no more. */
static void test_lease_without_a_server(void **state)
{
	struct df_kube_lease *a;
	atomic_bool a_lost = false;

	(void)state;
	ok(take("a", PATIENCE_NS, &a_lost, &a));
	assert_int_equal(kill(api_server(), SIGSTOP), 0); /* the worst kind: it does not even refuse */
	for (int i = 0; i < 300 && !atomic_load(&a_lost); i++)
		usleep(100000);
	bool held = df_kube_lease_held(a);
	kill(api_server(), SIGCONT);
	assert_true(atomic_load(&a_lost));
	assert_false(held);
	df_kube_lease_release(a);
}

/* ---------------------------------------------------------------------------------------------------------- */

static int set_up(void **state)
{
	(void)state;
	df_arena_init(&arena, NULL);
	open_server("kube", options()->field_manager, false);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	close_server();
	df_arena_done(&arena);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_life_of_an_object),
		cmocka_unit_test(test_apply),
		cmocka_unit_test(test_refusals),
		cmocka_unit_test(test_token_file),
		cmocka_unit_test(test_pages),
		cmocka_unit_test(test_watch),
		cmocka_unit_test(test_limiter),
		cmocka_unit_test(test_cache_through_a_restart),
		cmocka_unit_test(test_lease),
		cmocka_unit_test(test_lease_without_a_server),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}

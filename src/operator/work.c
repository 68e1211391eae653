/* What the leader works on: caches that put keys into the queue, and the workers that take them out. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/arena.h"
#include "kube/build.h"
#include "operator/internal.h"
#include "operator/names.h"

/* ---- keys ------------------------------------------------------------------------------------------------ */

static const char *const key_kinds[] = { [DF_KIND_DATAFLOW] = "flow", [DF_KIND_DATAFLOWCRON] = "cron" };

/* mildly: what fails is not tried sooner for that. */
static void add_key(struct df_operator *op, enum df_manifest_kind kind, struct df_str namespace, struct df_str name,
		    bool mildly)
{
	int (*add)(struct df_kube_queue *, struct df_str, struct df_error *) =
		mildly ? df_kube_queue_add_mildly : df_kube_queue_add;
	struct df_error err = DF_ERROR_INIT;
	struct df_buf key = { 0 };

	df_buf_printf(&key, "%s/" DF_STR_FMT "/" DF_STR_FMT, key_kinds[kind], DF_STR_ARG(namespace), DF_STR_ARG(name));
	if (key.failed ? df_error_no_memory(&err) : add(op->queue, df_buf_str(&key), &err))
		df_log_error(NULL, DF_LOG_ERROR, &err, "a change of " DF_STR_FMT "/" DF_STR_FMT " is missed",
			     DF_STR_ARG(namespace), DF_STR_ARG(name));
	df_buf_done(&key);
}

void df_operator_add(struct df_operator *op, enum df_manifest_kind kind, const char *namespace, const char *name)
{
	add_key(op, kind, df_str_c(namespace), df_str_c(name), false);
}

/* Splits a key, in place. */
static void split_key(char *key, enum df_manifest_kind *ret_kind, const char **ret_namespace, const char **ret_name)
{
	char *namespace = strchr(key, '/') + 1, *slash = strchr(namespace, '/');

	*slash = '\0';
	*ret_kind = key[0] == key_kinds[DF_KIND_DATAFLOWCRON][0] ? DF_KIND_DATAFLOWCRON : DF_KIND_DATAFLOW;
	*ret_namespace = namespace;
	*ret_name = slash + 1;
}

/* ---- whose it is ----------------------------------------------------------------------------------------- */

/* The labels tell: of a DataFlow or of a DataFlowCron. False: of none. */
static bool owner_of(struct df_value *object, struct df_arena *arena, enum df_manifest_kind *ret_kind,
		     struct df_str *ret_name)
{
	static const char *const labels[] = {
		[DF_KIND_DATAFLOW] = DF_LABEL_NAME, [DF_KIND_DATAFLOWCRON] = DF_LABEL_CRON
	};

	for (size_t i = 0; i < DF_ARRAY_SIZE(labels); i++) {
		*ret_kind = (enum df_manifest_kind)i;
		*ret_name = df_kube_text(object, arena, "metadata", "labels", labels[i], NULL);
		if (ret_name->len)
			return true;
	}
	return false;
}

static const char *index_of(enum df_manifest_kind kind, struct df_str name, struct df_arena *arena)
{
	struct df_buf buf = { 0 };
	const char *text;

	df_buf_printf(&buf, "%s/" DF_STR_FMT, key_kinds[kind], DF_STR_ARG(name));
	text = buf.failed ? NULL : df_arena_dup(arena, df_buf_str(&buf)).ptr;
	df_buf_done(&buf);
	return text;
}

static const char *index_object(struct df_value *object, struct df_arena *arena)
{
	enum df_manifest_kind kind;
	struct df_str name;

	return owner_of(object, arena, &kind, &name) ? index_of(kind, name, arena) : NULL;
}

/* ---- what is kept ---------------------------------------------------------------------------------------- */

static void remove_member(struct df_value *object, const char *key)
{
	struct df_value *child = object && object->kind == DF_OBJECT ? df_object_get_c(object, key) : NULL;

	if (child)
		df_container_remove(object, df_container_prev(object, child), child);
}

/* A checkpoint is the processor's: it may be large, and it changes with every save and every new holder, which is no
 * news; nor is a reset, which is our own. */
static void trim_configmap(struct df_value *object, struct df_arena *arena)
{
	struct df_str name = df_kube_text(object, arena, "metadata", "name", NULL);
	struct df_value *metadata = df_kube_at(object, "metadata", NULL);

	if (!df_str_ends(name, DF_STR("-checkpoint")))
		return;
	remove_member(object, "data");
	remove_member(metadata, "resourceVersion");
	remove_member(df_object_get_c(metadata, "annotations"), DF_ANNOTATION_FENCE);
	remove_member(df_object_get_c(metadata, "annotations"), DF_ANNOTATION_RESET_AT);
}

/* What of a Job tells about a run; its pods are as its maker said. */
static void trim_job(struct df_value *object, struct df_arena *arena)
{
	struct df_value *spec = df_kube_at(object, "spec", NULL);

	(void)arena;
	remove_member(spec, "template");
	remove_member(spec, "selector");
}

/* Of a pod's spec: where it runs, and its ports. */
static void trim_pod(struct df_value *object, struct df_arena *arena)
{
	static const char *const container[] = { "command",	 "args",	 "env",
						 "resources",	 "volumeMounts", "livenessProbe",
						 "startupProbe", "lifecycle",	 "securityContext" };
	struct df_value *spec = df_kube_at(object, "spec", NULL), *containers = df_object_get_c(spec, "containers");

	(void)arena;
	remove_member(spec, "volumes");
	remove_member(spec, "tolerations");
	remove_member(spec, "affinity");
	remove_member(spec, "securityContext");
	if (containers && containers->kind == DF_ARRAY)
		df_for_each (c, containers)
			for (size_t i = 0; i < DF_ARRAY_SIZE(container); i++)
				remove_member(c, container[i]);
}

/* ---- changes --------------------------------------------------------------------------------------------- */

/* Only the status is another one, which is our own word: another spec is another generation. */
static bool same_but_status(const struct df_value *before, const struct df_value *now)
{
	return df_kube_same_but(df_object_get_c(before, "metadata"), df_object_get_c(now, "metadata"),
				"resourceVersion");
}

static void flow_changed(void *arg, enum df_kube_event event, struct df_value *object, struct df_arena *arena)
{
	add_key(arg, DF_KIND_DATAFLOW, df_kube_text(object, arena, "metadata", "namespace", NULL),
		df_kube_text(object, arena, "metadata", "name", NULL), event == DF_KUBE_TOUCHED);
}

static void cron_changed(void *arg, enum df_kube_event event, struct df_value *object, struct df_arena *arena)
{
	add_key(arg, DF_KIND_DATAFLOWCRON, df_kube_text(object, arena, "metadata", "namespace", NULL),
		df_kube_text(object, arena, "metadata", "name", NULL), event == DF_KUBE_TOUCHED);
}

static void owned_changed(void *arg, enum df_kube_event event, struct df_value *object, struct df_arena *arena)
{
	enum df_manifest_kind kind;
	struct df_str name;

	(void)event;
	if (owner_of(object, arena, &kind, &name))
		add_key(arg, kind, df_kube_text(object, arena, "metadata", "namespace", NULL), name, false);
}

static void pod_changed(void *arg, enum df_kube_event event, struct df_value *object, struct df_arena *arena)
{
	struct df_operator *op = arg;

	df_counts_pod(op->counts, event, object, arena);
	owned_changed(arg, event, object, arena);
}

/* ---- caches ---------------------------------------------------------------------------------------------- */

/* Objects a page of a list: what is held of it at once is many times what stays. */
#define PAGE 100
#define OWNED DF_LABEL_OWNED "=true"
/* "!=" alone would take what has no such label, too. */
#define OF_TRIGGER DF_LABEL_CRON "," DF_LABEL_TRIGGER "," DF_LABEL_TRIGGER "!=processor"

static const struct {
	const struct df_kube_resource *resource;
	const char *selector;
	void (*trim)(struct df_value *object, struct df_arena *arena);
	const char *(*index)(struct df_value *object, struct df_arena *arena);
	void (*changed)(void *arg, enum df_kube_event event, struct df_value *object, struct df_arena *arena);
	bool (*same)(const struct df_value *before, const struct df_value *now);
} watched[DF_WATCHED] = {
	[DF_WATCH_DATAFLOWS] = { &df_kube_dataflows, NULL, NULL, NULL, flow_changed, same_but_status },
	[DF_WATCH_DATAFLOWCRONS] = { &df_kube_dataflowcrons, NULL, NULL, NULL, cron_changed, same_but_status },
	[DF_WATCH_DEPLOYMENTS] = { &df_kube_deployments, OWNED, NULL, NULL, owned_changed, NULL },
	[DF_WATCH_CRONJOBS] = { &df_kube_cronjobs, OWNED, NULL, NULL, owned_changed, NULL },
	[DF_WATCH_JOBS] = { &df_kube_jobs, DF_LABEL_CRON, trim_job, index_object, owned_changed, NULL },
	[DF_WATCH_CONFIGMAPS] = { &df_kube_configmaps, OWNED, trim_configmap, NULL, owned_changed, NULL },
	[DF_WATCH_PODS] = { &df_kube_pods, "app=dataflow-processor", trim_pod, index_object, pod_changed, NULL },
	[DF_WATCH_TRIGGER_PODS] = { &df_kube_pods, OF_TRIGGER, trim_pod, index_object, owned_changed, NULL },
};

static struct df_kube_cache **slot(struct df_operator *op, enum df_watched what, size_t namespace)
{
	return &op->caches[(size_t)what * op->namespace_count + namespace];
}

static const char *watched_namespace(const struct df_operator *op, size_t i)
{
	return op->settings->watch_namespace_count ? op->settings->watch_namespaces[i] : NULL;
}

static int start_caches(struct df_operator *op, struct df_error *err)
{
	for (size_t what = 0; what < DF_WATCHED; what++)
		for (size_t i = 0; i < op->namespace_count; i++) {
			struct df_kube_cache_options options = {
				.client = op->client,
				.what = { .resource = watched[what].resource, .namespace = watched_namespace(op, i) },
				.filter = { .label_selector = watched[what].selector, .page = PAGE },
				.trim = watched[what].trim,
				.index = watched[what].index,
				.same = watched[what].same,
				.on_change = watched[what].changed,
				.arg = op,
			};
			int code = df_kube_cache_start(&options, slot(op, (enum df_watched)what, i), err);

			if (code < 0)
				return code;
		}
	return 0;
}

int df_operator_watch(struct df_operator *op, struct df_context *stop, struct df_error *err)
{
	int code;

	op->namespace_count = op->settings->watch_namespace_count ? op->settings->watch_namespace_count : 1;
	op->caches = calloc(DF_WATCHED * op->namespace_count, sizeof(struct df_kube_cache *));
	if (!op->caches)
		return df_error_no_memory(err);
	code = start_caches(op, err);
	/* All of them before the first key is taken: what is not there yet would be made anew. */
	for (size_t i = 0; code == 0 && i < DF_WATCHED * op->namespace_count; i++)
		code = df_kube_cache_await(op->caches[i], stop, err);
	return code;
}

void df_operator_unwatch(struct df_operator *op)
{
	for (size_t i = 0; op->caches && i < DF_WATCHED * op->namespace_count; i++)
		df_kube_cache_free(op->caches[i]);
	free(op->caches);
	op->caches = NULL;
}

/* NULL: this namespace is not watched. */
static struct df_kube_cache *cache_of(struct df_operator *op, enum df_watched what, const char *namespace)
{
	for (size_t i = 0; i < op->namespace_count; i++) {
		const char *name = watched_namespace(op, i);

		if (!name || strcmp(name, namespace) == 0)
			return *slot(op, what, i);
	}
	return NULL;
}

int df_watched_get(struct df_reconcile *r, enum df_watched what, const char *namespace, const char *name,
		   struct df_value **ret, struct df_error *err)
{
	struct df_kube_cache *cache = cache_of(r->op, what, namespace);

	*ret = NULL;
	return cache ? df_kube_cache_get(cache, namespace, name, r->arena, ret, err) : 0;
}

/* ---- objects of a resource ------------------------------------------------------------------------------- */

struct gathered {
	struct df_reconcile *r;
	struct df_value **items;
	size_t count, cap;
};

static int gather(void *arg, struct df_value *object, struct df_error *err)
{
	struct gathered *g = arg;

	if (g->count == g->cap) {
		size_t cap = g->cap ? 2 * g->cap : 8;
		struct df_value **items = df_arena_extend(g->r->arena, g->items, g->cap * sizeof(struct df_value *),
							  cap * sizeof(struct df_value *));

		if (!items)
			return df_error_no_memory(err);
		g->items = items;
		g->cap = cap;
	}
	g->items[g->count] = df_value_clone_deep(object, g->r->arena);
	if (!g->items[g->count])
		return df_error_no_memory(err);
	g->count++;
	return 0;
}

int df_watched_of(struct df_reconcile *r, enum df_watched what, struct df_value ***ret, size_t *ret_count,
		  struct df_error *err)
{
	struct df_kube_cache *cache = cache_of(r->op, what, r->namespace);
	const char *index = index_of(r->kind, df_str_c(r->name), r->arena);
	struct gathered g = { .r = r };
	int code = index ? 0 : df_error_no_memory(err);

	if (code == 0 && cache)
		code = df_kube_cache_each_of(cache, r->namespace, index, gather, &g, err);
	*ret = g.items;
	*ret_count = g.count;
	return code;
}

/* ---- workers --------------------------------------------------------------------------------------------- */

void df_reconcile_again(struct df_reconcile *r, int64_t ns)
{
	if (r->again_ns == 0 || ns < r->again_ns)
		r->again_ns = ns;
}

static void new_id(char id[static 9])
{
	uint32_t random = 0;

	if (getrandom(&random, sizeof(random), GRND_NONBLOCK) != sizeof(random))
		random = (uint32_t)df_clock_monotonic();
	snprintf(id, 9, "%08x", random);
}

static void tell_failure(const struct df_reconcile *r, const struct df_error *err)
{
	/* A conflict is no trouble: the next look is a fresh one. */
	df_log(&r->logger, df_kube_is(err, "Conflict") ? DF_LOG_DEBUG : DF_LOG_WARN,
	       DF_LOG_FIELDS(DF_LOG_C("reconcile_id", r->id), DF_LOG_C("stage", r->stage ? r->stage : ""),
			     DF_LOG_C("error_type", df_code_name(err->code)), DF_LOG_C("code", err->remote)),
	       "reconcile failed: %s", err->text);
}

/* One reconcile of the key's resource. again_ns: when it wants to be called again. */
static int reconcile(struct df_operator *op, struct df_reconcile *r, struct df_error *err)
{
	static int (*const reconcilers[])(struct df_reconcile *, struct df_error *) = {
		[DF_KIND_DATAFLOW] = df_reconcile_flow, [DF_KIND_DATAFLOWCRON] = df_reconcile_cron
	};
	struct df_context *ctx = df_context_new(op->work);
	int64_t began = df_clock_monotonic();
	int code;

	if (!ctx)
		return df_error_no_memory(err);
	df_context_deadline(ctx, began + op->settings->reconcile_timeout_ns);
	r->ctx = ctx;
	r->now = df_clock_now(NULL) / DF_NS_PER_S;
	df_operator_metrics_begin(op->metrics);
	code = reconcilers[r->kind](r, err);
	df_operator_metrics_end(op->metrics, df_clock_monotonic() - began,
				code < 0 ? (r->stage ? r->stage : "unknown") : NULL);
	df_context_free(ctx);
	return code;
}

/* What is tried again soon, and no later each time: the cache was behind; the API server is away, which says nothing
 * about this resource, and when it is back nobody shall wait for minutes. What a try costs until then is a connection.
 */
static int64_t soon_ns(int code, const struct df_error *why)
{
	if (code < 0 && df_kube_is(why, "Conflict"))
		return 50 * DF_NS_PER_MS;
	return code == DF_ERR_CONNECTION ? 2 * DF_NS_PER_S : 0;
}

/* Gives the key back: done, or when it is tried again. */
static void give_back(struct df_operator *op, const struct df_reconcile *r, char *key, int code,
		      const struct df_error *why)
{
	struct df_error err = DF_ERROR_INIT;
	int64_t soon = soon_ns(code, why), again_ns = soon ? soon : r->again_ns;
	char *copy = strdup(key);

	if (code < 0 && !soon) {
		df_kube_queue_retry(op->queue, key, r->retry_after_ns);
		again_ns = 0;
	} else {
		df_kube_queue_done(op->queue, key);
	}
	if (again_ns > 0 && (!copy || df_kube_queue_add_after(op->queue, df_str_c(copy), again_ns, &err) < 0))
		df_log(NULL, DF_LOG_ERROR, NULL, "out of memory: a timer is lost until the next change");
	free(copy);
}

static void work_on(struct df_operator *op, struct df_kube_client *client, char *key)
{
	df_cleanup(df_arena_done) struct df_arena arena = { 0 };
	struct df_error err = DF_ERROR_INIT;
	struct df_reconcile r = {
		.op = op,
		.settings = op->settings,
		.client = client,
		.arena = &arena,
		.events = op->events,
		.counts = op->counts,
	};
	char *copy = strdup(key);
	int code = copy ? 0 : df_error_no_memory(&err);

	if (code == 0) {
		split_key(copy, &r.kind, &r.namespace, &r.name);
		r.logger = (struct df_logger){ r.namespace, r.name, NULL };
		new_id(r.id);
		code = reconcile(op, &r, &err);
		if (code < 0 && !df_context_canceled(op->work))
			tell_failure(&r, &err);
	}
	give_back(op, &r, key, code, &err);
	free(copy);
}

void *df_operator_worker(void *arg)
{
	struct df_operator *op = arg;
	struct df_kube_client *client = NULL;
	struct df_error err = DF_ERROR_INIT;
	char *key;

	if (df_kube_client_new(&op->client, &client, &err) < 0) {
		df_log_error(NULL, DF_LOG_ERROR, &err, "a worker cannot start");
		return NULL;
	}
	while (df_kube_queue_get(op->queue, op->take, &key, &err) == 0)
		work_on(op, client, key);
	df_kube_client_free(client);
	return NULL;
}

#include "operator/pod.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include "operator/names.h"
#include "operator/text.h"

#define PORT "metrics"

/* The element of an array of objects with that name; NULL: there is none. */
static struct df_value *named(const struct df_value *array, const char *name)
{
	if (!array || array->kind != DF_ARRAY)
		return NULL;
	df_for_each (item, array) {
		const struct df_value *is = df_object_get_c(item, "name");

		if (is && df_value_string_equal(is, df_str_c(name)))
			return item;
	}
	return NULL;
}

static int64_t number(const struct df_value *object, const char *key)
{
	const struct df_value *v = df_object_get_c(object, key);
	int64_t n;

	return v && df_value_to_int64(v, &n) && n > 0 ? n : 0;
}

const struct df_value *df_pod_container(const struct df_value *pod, const char *name)
{
	return named(df_kube_at(pod, "status", "containerStatuses", NULL), name);
}

/* ---- whose it is ----------------------------------------------------------------------------------------- */

/* A trigger's pod has the labels of its cron, too, but another index. */
static bool read_owner(const struct df_value *object, struct df_arena *arena, struct df_pod *ret)
{
	const struct df_value *labels = df_kube_at(object, "metadata", "labels", NULL);
	struct df_str trigger = df_kube_text(labels, arena, DF_LABEL_TRIGGER, NULL);

	ret->kind = DF_KIND_DATAFLOW;
	ret->resource = df_kube_text(labels, arena, DF_LABEL_NAME, NULL);
	if (ret->resource.len == 0) {
		ret->kind = DF_KIND_DATAFLOWCRON;
		ret->resource = df_kube_text(labels, arena, DF_LABEL_CRON, NULL);
		if (trigger.len && !df_str_equal_c(trigger, "processor"))
			return false;
	}
	ret->namespace = df_kube_text(object, arena, "metadata", "namespace", NULL);
	ret->name = df_kube_text(object, arena, "metadata", "name", NULL);
	ret->uid = df_kube_text(object, arena, "metadata", "uid", NULL);
	ret->created = df_kube_time(object, arena, "metadata", "creationTimestamp", NULL);
	return ret->resource.len && ret->namespace.len && ret->name.len && ret->uid.len;
}

/* ---- where it can be asked ------------------------------------------------------------------------------- */

/* An address, and nothing else that could stand in a URL. */
static const char *url_of(struct df_str ip, int64_t port, struct df_arena *arena)
{
	struct in6_addr any;
	const char *text = df_arena_dup(arena, ip).ptr;

	if (!text)
		return NULL;
	if (inet_pton(AF_INET, text, &any) == 1)
		return df_text(arena, "http://%s:%d/metrics", text, (int)port);
	if (inet_pton(AF_INET6, text, &any) == 1)
		return df_text(arena, "http://[%s]:%d/metrics", text, (int)port);
	return NULL;
}

static void read_url(const struct df_value *object, struct df_arena *arena, struct df_pod *ret)
{
	const struct df_value *container = named(df_kube_at(object, "spec", "containers", NULL), DF_POD_PROCESSOR);
	struct df_str ip = df_kube_text(object, arena, "status", "podIP", NULL);
	int64_t port = number(named(df_object_get_c(container, "ports"), PORT), "containerPort");

	if (ret->runs && ip.len && port > 0 && port <= UINT16_MAX)
		ret->url = url_of(ip, port, arena);
}

/* ---- its processes --------------------------------------------------------------------------------------- */

/* The termination message (kubernetes reference, section 2: last words). */
static void read_words(struct df_str text, struct df_arena *arena, struct df_pod_end *end)
{
	struct df_value *words;

	if (df_value_parse(text, arena, &words, NULL) != DF_PARSE_OK || words->kind != DF_OBJECT ||
	    !df_object_get_c(words, "processed"))
		return;
	end->counted = true;
	end->processed = number(words, "processed");
	end->errors = number(words, "errors");
	end->last_processed = df_kube_time(words, arena, "lastProcessedTime", NULL);
}

static void add_end(const struct df_value *terminated, int32_t restarts, struct df_arena *arena, struct df_pod *ret)
{
	struct df_pod_end *end = &ret->ended[ret->ended_count];

	if (!terminated || terminated->kind != DF_OBJECT || restarts < 0)
		return;
	*end = (struct df_pod_end){ .restarts = restarts };
	read_words(df_kube_text(terminated, arena, "message", NULL), arena, end);
	ret->ended_count++;
}

/*
 * restartCount counts containers that were made after the first. While one waits to be made anew, the latest is the one
 * that ended last; once it runs or has ended itself, lastState is the one before it.
 */
static void read_processes(const struct df_value *object, struct df_arena *arena, struct df_pod *ret)
{
	const struct df_value *status = df_pod_container(object, DF_POD_PROCESSOR);
	const struct df_value *last = df_kube_at(status, "lastState", "terminated", NULL);
	const struct df_value *now = df_kube_at(status, "state", "terminated", NULL);
	bool waits = df_kube_at(status, "state", "waiting", NULL);

	ret->restarts = (int32_t)number(status, "restartCount");
	ret->runs = df_kube_at(status, "state", "running", NULL) &&
		    df_str_equal_c(df_kube_text(object, arena, "status", "phase", NULL), "Running");
	add_end(now, ret->restarts, arena, ret);
	add_end(last, waits ? ret->restarts : ret->restarts - 1, arena, ret);
}

bool df_pod_read(const struct df_value *object, struct df_arena *arena, struct df_pod *ret)
{
	*ret = (struct df_pod){ 0 };
	if (!read_owner(object, arena, ret))
		return false;
	read_processes(object, arena, ret);
	read_url(object, arena, ret);
	return true;
}

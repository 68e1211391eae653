/* Events: put into a queue by whoever reconciles, sent by one thread. */
#include "operator/events.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/retry.h"
#include "base/time.h"
#include "kube/build.h"
#include "operator/event_series.h"
#include "operator/names.h"
#include "operator/text.h"

#define CONTROLLER "dataflow-controller"
#define QUEUE_MAX 4096 /* 3 MB at most, while the API server is away */
#define NOTE_MAX 1024  /* the API's limit */
#define STOP_NS (2 * DF_NS_PER_S)

static const struct df_retry_policy retries = {
	.first_ns = DF_NS_PER_S, .cap_ns = 10 * DF_NS_PER_S, .factor = 2, .jitter = 0.2, .max_attempts = 5
};

struct event {
	struct event *next;
	int64_t at_ns; /* since 1970 */
	char *json;    /* as it is created, without name and time */
};

struct df_recorder {
	struct df_kube_client *client;
	struct df_context *ctx; /* cancelled when the time to send what is left is up */
	char *instance;
	struct df_event_series *series;
	struct df_arena arena; /* of the one that is being sent */
	pthread_t thread;

	pthread_mutex_t lock;
	pthread_cond_t changed; /* monotonic */
	struct event *first, **end;
	size_t count;
	bool stopping, stopped;
	uint64_t lost; /* since the last line about it */
};

static void event_free(struct event *event)
{
	free(event->json);
	free(event);
}

/* ---- sending --------------------------------------------------------------------------------------------- */

/* One on its way; all in the recorder's arena. */
struct sending {
	struct df_recorder *r;
	int64_t at_ns;
	struct df_value *object;
	const char *namespace, *name; /* of what it is about */
	struct df_str uid, what;      /* what: type, reason and text: what makes it the same again */
};

static const char *text_at(const struct sending *s, const char *key, const char *key2)
{
	return df_arena_dup(&s->r->arena, df_kube_text(s->object, &s->r->arena, key, key2, NULL)).ptr;
}

static int open_event(struct df_recorder *r, const struct event *event, struct sending *ret, struct df_error *err)
{
	struct sending s = { .r = r, .at_ns = event->at_ns };
	struct df_buf what = { 0 };
	int code = df_value_parse_text(df_str_c(event->json), &r->arena, &s.object, err);

	if (code != 0)
		return code;
	s.namespace = text_at(&s, "regarding", "namespace");
	s.name = text_at(&s, "regarding", "name");
	s.uid = df_kube_text(s.object, &r->arena, "regarding", "uid", NULL);
	df_buf_printf(&what, "%s/%s/%s", text_at(&s, "type", NULL), text_at(&s, "reason", NULL),
		      text_at(&s, "note", NULL));
	s.what = what.failed ? df_str(NULL, 0) : df_arena_dup(&r->arena, df_buf_str(&what));
	df_buf_done(&what);
	*ret = s;
	return s.namespace && s.name && s.uid.ptr && s.what.ptr ? 0 : df_error_no_memory(err);
}

/* Microseconds, always six digits: the API takes no other form. */
static void format_time(int64_t ns, char out[static DF_RFC3339_MAX])
{
	struct df_instant t = { ns / DF_NS_PER_S, (int32_t)(ns % DF_NS_PER_S) };

	out[df_rfc3339_format(t, 0, DF_FRACTION_6, out)] = '\0';
}

static int create(const struct sending *s, const struct df_kube_ref *ref, struct df_error *err)
{
	struct df_arena *arena = &s->r->arena;
	struct df_value *metadata, *at;
	char time[DF_RFC3339_MAX];
	int code = df_kube_build(arena, &metadata, err, "{'name':%s,'namespace':%s}", ref->name, ref->namespace);

	if (code != 0)
		return code;
	format_time(s->at_ns, time);
	at = df_value_string_copy(arena, df_str_c(time));
	if (!at)
		return df_error_no_memory(err);
	df_object_set(s->object, DF_STR("metadata"), metadata);
	df_object_set(s->object, DF_STR("eventTime"), at);
	return df_kube_create(s->r->client, s->r->ctx, ref, s->object, arena, NULL, err);
}

static int raise_count(const struct sending *s, const struct df_kube_ref *ref, int64_t count, struct df_error *err)
{
	struct df_arena *arena = &s->r->arena;
	char time[DF_RFC3339_MAX];
	struct df_value *patch;
	int code;

	format_time(s->at_ns, time);
	code = df_kube_build(arena, &patch, err, "{'series':{'count':%d,'lastObservedTime':%s}}", count, time);
	if (code != 0)
		return code;
	return df_kube_patch(s->r->client, s->r->ctx, ref, DF_KUBE_MERGE_PATCH, patch, arena, NULL, err);
}

static const char *name_of(const struct sending *s, int64_t stamp)
{
	char suffix[24];
	int n = snprintf(suffix, sizeof(suffix), ".%llx", (unsigned long long)stamp);

	return df_text(&s->r->arena, "%.*s%s", DF_OBJECT_NAME_MAX - n, s->name, suffix);
}

/* Tries again while that may help. An Event that is there already, for an answer was lost, is sent. */
static int deliver(const struct sending *s, int64_t stamp, int64_t count, struct df_error *err)
{
	struct df_kube_ref ref = { .resource = &df_kube_events, .namespace = s->namespace, .name = name_of(s, stamp) };
	struct df_retry retry;

	if (!ref.name)
		return df_error_no_memory(err);
	df_retry_init(&retry, &retries, (uint64_t)stamp | 1);
	for (;;) {
		int code = count > 1 ? raise_count(s, &ref, count, err) : create(s, &ref, err);
		int64_t wait_ns;

		if (code == 0 || df_kube_is(err, "AlreadyExists"))
			return 0;
		wait_ns = df_code_retryable(code) ? df_retry_next(&retry) : -1;
		if (wait_ns < 0 || df_context_sleep(s->r->ctx, wait_ns) < 0)
			return code;
	}
}

static int send_event(struct df_recorder *r, const struct event *event, struct df_error *err)
{
	struct sending s;
	int64_t stamp = 0, count = 0;
	int code = open_event(r, event, &s, err);

	if (code != 0)
		return code;
	if (df_event_series_add(r->series, s.uid, s.what, s.at_ns, &stamp, &count) == DF_EVENT_DROP)
		return 0;
	code = deliver(&s, stamp, count, err);
	/* A series is older than the API keeps Events: it begins anew. */
	if (count > 1 && df_kube_is(err, "NotFound"))
		code = deliver(&s, stamp, count = 1, err);
	if (code != 0)
		df_event_series_forget(r->series, s.uid, s.what);
	return code;
}

/* ---- the thread ------------------------------------------------------------------------------------------ */

/* NULL: it is to stop, and nothing is left, or no time to send it. */
static struct event *next_event(struct df_recorder *r, uint64_t *ret_lost)
{
	struct event *event;

	DF_LOCK_SCOPE(&r->lock);
	while (!r->first && !r->stopping)
		pthread_cond_wait(&r->changed, &r->lock);
	event = df_context_canceled(r->ctx) ? NULL : r->first;
	if (event) {
		r->first = event->next;
		if (!r->first)
			r->end = &r->first;
		r->count--;
	}
	*ret_lost = r->lost;
	r->lost = 0;
	return event;
}

/* Of a namespace that goes, nobody reads Events any more. */
static bool is_news(const struct df_error *err)
{
	return !(df_kube_is(err, "Forbidden") && strstr(err->text, "being terminated")) && !df_kube_is(err, "NotFound");
}

static void *send_all(void *arg)
{
	struct df_recorder *r = arg;
	struct event *event;
	uint64_t lost;

	while ((event = next_event(r, &lost))) {
		struct df_error err = DF_ERROR_INIT;

		if (lost)
			df_warn(NULL, "%llu Events were dropped: the API server is too slow or away",
				(unsigned long long)lost);
		if (send_event(r, event, &err) < 0 && is_news(&err))
			df_log_error(NULL, DF_LOG_WARN, &err, "an Event is lost: %s", event->json);
		event_free(event);
		df_arena_reset(&r->arena);
	}
	DF_LOCK_SCOPE(&r->lock);
	r->stopped = true;
	pthread_cond_broadcast(&r->changed);
	return NULL;
}

/* ---- putting in ------------------------------------------------------------------------------------------ */

/* At most NOTE_MAX bytes, cut between characters. */
static struct df_str cut(struct df_str text)
{
	if (text.len <= NOTE_MAX)
		return text;
	text.len = NOTE_MAX;
	while (text.len > 0 && ((unsigned char)text.ptr[text.len] & 0xc0) == 0x80)
		text.len--;
	return text;
}

static struct event *event_new(const struct df_reconcile *r, const struct df_value *object, bool warning,
			       const char *reason, struct df_str note)
{
	const struct df_value *metadata = df_object_get_c(object, "metadata");
	struct df_buf json = { 0 };
	struct event *event = calloc(1, sizeof(*event));
	struct df_value *v;

	if (event &&
	    df_kube_build(r->arena, &v, NULL,
			  "{'apiVersion':'events.k8s.io/v1','kind':'Event','type':%s,'reason':%s,'action':'Reconcile',"
			  "'reportingController':%s,'reportingInstance':%s,'note':%S,'regarding':{'apiVersion':%v,"
			  "'kind':%v,'namespace':%v,'name':%v,'uid':%v,'resourceVersion':%v}}",
			  warning ? "Warning" : "Normal", reason, CONTROLLER, r->events->instance, note,
			  df_object_get_c(object, "apiVersion"), df_object_get_c(object, "kind"),
			  df_object_get_c(metadata, "namespace"), df_object_get_c(metadata, "name"),
			  df_object_get_c(metadata, "uid"), df_object_get_c(metadata, "resourceVersion")) == 0) {
		df_value_write(v, &json);
		event->at_ns = df_clock_now(NULL);
		event->json = df_buf_take(&json);
	}
	if (event && !event->json) {
		free(event);
		return NULL;
	}
	return event;
}

static void put(struct df_recorder *r, struct event *event)
{
	DF_LOCK_SCOPE(&r->lock);
	if (!event || r->count == QUEUE_MAX || r->stopping) {
		r->lost++;
		if (event)
			event_free(event);
		return;
	}
	*r->end = event;
	r->end = &event->next;
	r->count++;
	pthread_cond_signal(&r->changed);
}

void df_event(struct df_reconcile *r, const struct df_value *object, bool warning, const char *reason, const char *fmt,
	      ...)
{
	df_cleanup(df_freep) char *text = NULL;
	va_list args;
	int n;

	if (!r->events)
		return;
	va_start(args, fmt);
	n = vasprintf(&text, fmt, args);
	va_end(args);
	if (n < 0)
		text = NULL;
	put(r->events, text ? event_new(r, object, warning, reason, cut(df_str(text, (size_t)n))) : NULL);
}

/* ---- life ------------------------------------------------------------------------------------------------ */

static void recorder_free(struct df_recorder *r)
{
	if (r->count)
		df_warn(NULL, "%zu Events are lost: there is no time left to write them", r->count);
	for (struct event *event = r->first, *next; event; event = next) {
		next = event->next;
		event_free(event);
	}
	df_kube_client_free(r->client);
	df_context_free(r->ctx);
	df_event_series_free(r->series);
	df_arena_done(&r->arena);
	free(r->instance);
	pthread_cond_destroy(&r->changed);
	pthread_mutex_destroy(&r->lock);
	free(r);
}
DF_DEFINE_CLEANUP(struct df_recorder *, recorder_free)

int df_recorder_start(const struct df_recorder_options *options, struct df_recorder **ret, struct df_error *err)
{
	df_cleanup(recorder_freep) struct df_recorder *r = calloc(1, sizeof(*r));
	pthread_condattr_t attr;
	int code;

	*ret = NULL;
	if (!r)
		return df_error_no_memory(err);
	r->end = &r->first;
	pthread_mutex_init(&r->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&r->changed, &attr);
	pthread_condattr_destroy(&attr);
	r->ctx = df_context_new(NULL);
	r->series = df_event_series_new();
	r->instance = df_str_dup(df_str_c(options->instance && *options->instance ? options->instance : CONTROLLER));
	if (!r->ctx || !r->series || !r->instance)
		return df_error_no_memory(err);
	code = df_kube_client_new(&options->client, &r->client, err);
	if (code != 0)
		return code;
	code = pthread_create(&r->thread, NULL, send_all, r);
	if (code != 0)
		return df_error_errno(err, DF_ERR_NO_MEMORY, code, "a thread for Events");
	*ret = DF_TAKE(r);
	return 0;
}

static void await_stop(struct df_recorder *r)
{
	struct timespec until;
	int64_t end_ns = df_clock_monotonic() + STOP_NS;

	until = (struct timespec){ .tv_sec = end_ns / DF_NS_PER_S, .tv_nsec = end_ns % DF_NS_PER_S };
	DF_LOCK_SCOPE(&r->lock);
	r->stopping = true;
	pthread_cond_broadcast(&r->changed);
	while (!r->stopped && pthread_cond_timedwait(&r->changed, &r->lock, &until) == 0)
		;
}

void df_recorder_stop(struct df_recorder *recorder)
{
	if (!recorder)
		return;
	await_stop(recorder);
	df_context_cancel(recorder->ctx);
	pthread_join(recorder->thread, NULL);
	recorder_free(recorder);
}

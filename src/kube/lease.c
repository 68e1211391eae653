#include "kube/lease.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/time.h"

struct df_kube_lease {
	struct df_kube_lease_options options;
	struct df_kube_ref ref;
	struct df_kube_client *client;
	struct df_context *ctx; /* ends the thread */
	pthread_t thread;
	bool running;

	pthread_mutex_t lock;
	int64_t renewed_ns; /* when the last renewal was begun that went well */
	bool lost;
};

/* What a look at the Lease showed. */
struct look {
	struct df_value *object; /* NULL: there is none */
	struct df_str holder, version;
};

/* ---- one look, one write --------------------------------------------------------------------------------- */

static int look(struct df_kube_lease *l, struct df_context *ctx, struct df_arena *arena, struct look *ret,
		struct df_error *err)
{
	int code = df_kube_get(l->client, ctx, &l->ref, arena, &ret->object, err);

	if (code == 0 && ret->object) {
		ret->holder = df_kube_text(ret->object, arena, "spec", "holderIdentity", NULL);
		ret->version = df_kube_text(ret->object, arena, "metadata", "resourceVersion", NULL);
	}
	return code;
}

static struct df_value *put(struct df_value *object, const char *key, struct df_value *value)
{
	if (object && value)
		df_object_set(object, df_str_c(key), value);
	return object && value ? object : NULL;
}

static struct df_value *text(struct df_arena *arena, const char *s)
{
	return df_value_string_copy(arena, df_str_c(s));
}

/* MicroTime: RFC 3339 with six digits. */
static struct df_value *now(struct df_arena *arena)
{
	struct timespec ts;
	struct tm tm;
	char out[64];

	clock_gettime(CLOCK_REALTIME, &ts);
	gmtime_r(&ts.tv_sec, &tm);
	snprintf(out, sizeof(out), "%04d-%02d-%02dT%02d:%02d:%02d.%06ldZ", tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday,
		 tm.tm_hour, tm.tm_min, tm.tm_sec, ts.tv_nsec / 1000);
	return text(arena, out);
}

/* The Lease with us as its holder, or (identity "") with none; everything else of it stays. */
static struct df_value *with_holder(struct df_kube_lease *l, const struct look *seen, const char *identity,
				    struct df_arena *arena)
{
	struct df_value *object = seen->object, *spec = df_object_get_c(object, "spec"), *metadata;
	bool takes_over = !df_str_equal_c(seen->holder, identity);
	int64_t transitions = 0;

	if (!object) {
		object = df_value_new(arena, DF_OBJECT);
		metadata = df_value_new(arena, DF_OBJECT);
		if (!put(metadata, "name", text(arena, l->options.name)) ||
		    !put(object, "apiVersion", text(arena, "coordination.k8s.io/v1")) ||
		    !put(object, "kind", text(arena, "Lease")) || !put(object, "metadata", metadata))
			return NULL;
	}
	if (!spec) {
		spec = df_value_new(arena, DF_OBJECT);
		if (!put(object, "spec", spec))
			return NULL;
	}
	if (!put(spec, "holderIdentity", text(arena, identity)) || !put(spec, "renewTime", now(arena)) ||
	    !put(spec, "leaseDurationSeconds",
		 df_value_int64(arena, *identity ? l->options.duration_ns / DF_NS_PER_S : 1)))
		return NULL;
	if (takes_over && *identity) {
		const struct df_value *before = df_object_get_c(spec, "leaseTransitions");

		if (before && df_value_to_int64(before, &transitions))
			transitions++;
		if (!put(spec, "acquireTime", now(arena)) ||
		    !put(spec, "leaseTransitions", df_value_int64(arena, transitions)))
			return NULL;
	}
	return object;
}

/* Writes what was seen with another holder; DF_ERR_TRANSIENT, "Conflict": somebody else wrote first. */
static int hold(struct df_kube_lease *l, struct df_context *ctx, const struct look *seen, const char *identity,
		struct df_arena *arena, struct df_error *err)
{
	bool exists = seen->object != NULL;
	struct df_value *object = with_holder(l, seen, identity, arena);

	if (!object)
		return df_error_no_memory(err);
	return exists ? df_kube_update(l->client, ctx, &l->ref, object, arena, NULL, err)
		      : df_kube_create(l->client, ctx, &l->ref, object, arena, NULL, err);
}

/* ---- acquiring ------------------------------------------------------------------------------------------- */

/* What a waiter remembers: since when the record has been as it is. */
struct watching {
	char version[64];
	int64_t since_ns;
};

/* Nobody writes under that name any more. */
static bool has_ended(const struct df_kube_lease *l, struct df_str holder)
{
	struct df_str prefix = df_str_c(l->options.ended_prefix);

	return holder.len == 0 || df_str_equal_c(holder, l->options.identity) ||
	       (prefix.len > 0 && holder.len > prefix.len && memcmp(holder.ptr, prefix.ptr, prefix.len) == 0);
}

/* Takes the Lease when it is free or its holder has been silent for `duration`. *ret_held. */
static int try_once(struct df_kube_lease *l, struct df_context *ctx, struct watching *w, bool *ret_held,
		    struct df_error *err)
{
	struct look seen = { 0 };
	struct df_arena arena;
	int64_t began_ns = df_clock_monotonic();
	bool waits = false;
	int code;

	df_arena_init(&arena, NULL);
	code = look(l, ctx, &arena, &seen, err);
	if (code == 0 && !seen.object) {
		waits = !l->options.create;
	} else if (code == 0) {
		if (!df_str_equal_c(seen.version, w->version)) {
			snprintf(w->version, sizeof(w->version), DF_STR_FMT, DF_STR_ARG(seen.version));
			w->since_ns = began_ns;
		}
		waits = !has_ended(l, seen.holder) && began_ns - w->since_ns < l->options.duration_ns;
	}
	if (code == 0 && !waits)
		code = hold(l, ctx, &seen, l->options.identity, &arena, err);
	*ret_held = code == 0 && !waits;
	if (*ret_held) {
		DF_LOCK_SCOPE(&l->lock);
		l->renewed_ns = began_ns;
	}
	df_arena_done(&arena);
	return code;
}

static int acquire(struct df_kube_lease *l, struct df_context *ctx, struct df_error *err)
{
	struct watching w = { 0 };
	struct df_error last = DF_ERROR_INIT;

	for (;;) {
		struct df_error why = DF_ERROR_INIT;
		bool held = false;
		int code = try_once(l, ctx, &w, &held, &why);

		if (held)
			return 0;
		if (df_context_canceled(ctx))
			return df_context_check(ctx, err);
		/* Once a reason: a server that is down is not told every two seconds. */
		if (code != 0 && !df_kube_is(&why, "Conflict") && !df_kube_is(&why, "AlreadyExists") &&
		    strcmp(why.text, last.text) != 0) {
			df_log_error(l->options.logger, DF_LOG_WARN, &why, "waiting for the Lease %s/%s",
				     l->options.namespace, l->options.name);
			last = why;
		}
		if (df_context_sleep(ctx, l->options.retry_ns) != 0)
			return df_context_check(ctx, err);
	}
}

/* ---- renewing -------------------------------------------------------------------------------------------- */

static int renew(struct df_kube_lease *l, struct df_context *ctx, struct df_error *err)
{
	struct look seen = { 0 };
	struct df_arena arena;
	int64_t began_ns = df_clock_monotonic();
	int code;

	df_arena_init(&arena, NULL);
	code = look(l, ctx, &arena, &seen, err);
	if (code == 0 && !df_str_equal_c(seen.holder, l->options.identity))
		code = df_error_set(err, DF_ERR_CLOSED, "the Lease %s/%s has another holder", l->options.namespace,
				    l->options.name);
	if (code == 0)
		code = hold(l, ctx, &seen, l->options.identity, &arena, err);
	if (code == 0) {
		DF_LOCK_SCOPE(&l->lock);
		l->renewed_ns = began_ns;
	}
	df_arena_done(&arena);
	return code;
}

static int64_t renewed_ns(struct df_kube_lease *l)
{
	DF_LOCK_SCOPE(&l->lock);
	return l->renewed_ns;
}

static void lose(struct df_kube_lease *l, const struct df_error *why)
{
	{
		DF_LOCK_SCOPE(&l->lock);
		l->lost = true;
	}
	if (l->options.on_lost)
		l->options.on_lost(l->options.arg, why);
}

/* Each try may last until the deadline, no longer: a server that does not answer must not hide that it is over. */
static int renew_in_time(struct df_kube_lease *l, struct df_error *err)
{
	struct df_context *ctx = df_context_new(l->ctx);
	int code;

	if (!ctx)
		return df_error_no_memory(err);
	df_context_deadline(ctx, renewed_ns(l) + l->options.deadline_ns);
	code = renew(l, ctx, err);
	df_context_free(ctx);
	return code;
}

static void *run(void *arg)
{
	struct df_kube_lease *l = arg;

	while (df_context_sleep(l->ctx, l->options.retry_ns) == 0) {
		struct df_error err = DF_ERROR_INIT;
		int code = renew_in_time(l, &err);

		if (df_context_canceled(l->ctx))
			break;
		if (code == DF_ERR_CLOSED ||
		    (code != 0 && df_clock_monotonic() - renewed_ns(l) >= l->options.deadline_ns)) {
			lose(l, &err);
			break;
		}
		if (code != 0 && !df_kube_is(&err, "Conflict"))
			df_log_error(l->options.logger, DF_LOG_WARN, &err, "renewing the Lease %s/%s",
				     l->options.namespace, l->options.name);
	}
	return NULL;
}

/* ---- life ------------------------------------------------------------------------------------------------ */

static void lease_free(struct df_kube_lease *l)
{
	df_kube_client_free(l->client);
	df_context_free(l->ctx);
	pthread_mutex_destroy(&l->lock);
	free(l);
}

int df_kube_lease_acquire(const struct df_kube_lease_options *options, struct df_context *ctx,
			  struct df_kube_lease **ret, struct df_error *err)
{
	struct df_kube_lease *l = calloc(1, sizeof(*l));
	int code;

	*ret = NULL;
	if (!l)
		return df_error_no_memory(err);
	l->options = *options;
	l->ref = (struct df_kube_ref){ .resource = &df_kube_leases,
				       .namespace = options->namespace,
				       .name = options->name };
	pthread_mutex_init(&l->lock, NULL);
	l->ctx = df_context_new(NULL);
	code = l->ctx ? df_kube_client_new(&options->client, &l->client, err) : df_error_no_memory(err);
	if (code == 0)
		code = acquire(l, ctx, err);
	if (code == 0) {
		l->running = pthread_create(&l->thread, NULL, run, l) == 0;
		if (!l->running)
			code = df_error_set(err, DF_ERR_NO_MEMORY, "no thread for a Lease");
	}
	if (code != 0) {
		lease_free(l);
		return code;
	}
	*ret = l;
	return 0;
}

bool df_kube_lease_held(struct df_kube_lease *lease)
{
	DF_LOCK_SCOPE(&lease->lock);
	return !lease->lost && df_clock_monotonic() - lease->renewed_ns < lease->options.deadline_ns;
}

/* Only what is ours is given up, and within two seconds: whoever waits would find out by itself. */
static void give_up(struct df_kube_lease *l)
{
	struct df_context *ctx = df_context_new(NULL);
	struct look seen = { 0 };
	struct df_arena arena;

	if (!ctx)
		return;
	df_context_deadline(ctx, df_clock_monotonic() + 2 * DF_NS_PER_S);
	df_arena_init(&arena, NULL);
	if (look(l, ctx, &arena, &seen, NULL) == 0 && seen.object && df_str_equal_c(seen.holder, l->options.identity))
		(void)!hold(l, ctx, &seen, "", &arena, NULL);
	df_arena_done(&arena);
	df_context_free(ctx);
}

void df_kube_lease_release(struct df_kube_lease *lease)
{
	if (!lease)
		return;
	df_context_cancel(lease->ctx);
	if (lease->running)
		pthread_join(lease->thread, NULL);
	if (df_kube_lease_held(lease))
		give_up(lease);
	lease_free(lease);
}

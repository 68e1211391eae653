#include "operator/references.h"

#include <pthread.h>
#include <stdlib.h>

#include "operator/mirrors.h"

/* So long a namespace counts as one whose Secrets we may not read, once we were told so. */
#define DENIED_NS (300 * DF_NS_PER_S)

/* ---- Secrets of the own namespace ------------------------------------------------------------------------ */

/* Namespaces in which we may not read Secrets, of which there are as many as the cluster has. */
static struct {
	pthread_mutex_t lock;
	struct denied {
		char *namespace;
		int64_t until_ns; /* monotonic */
	} * items;
	size_t count;
} denied = { .lock = PTHREAD_MUTEX_INITIALIZER };

static struct denied *find_denied(const char *namespace)
{
	for (size_t i = 0; i < denied.count; i++)
		if (strcmp(denied.items[i].namespace, namespace) == 0)
			return &denied.items[i];
	return NULL;
}

static bool is_denied(const char *namespace)
{
	DF_LOCK_SCOPE(&denied.lock);
	const struct denied *d = find_denied(namespace);

	return d && d->until_ns > df_clock_monotonic();
}

/* Forgetting it (no memory) costs no more than another request. */
static void remember_denied(const char *namespace)
{
	DF_LOCK_SCOPE(&denied.lock);
	struct denied *d = find_denied(namespace), *items;

	if (!d) {
		char *copy = strdup(namespace);

		items = copy ? reallocarray(denied.items, denied.count + 1, sizeof(*items)) : NULL;
		if (!items) {
			free(copy);
			return;
		}
		denied.items = items;
		d = &items[denied.count++];
		d->namespace = copy;
	}
	d->until_ns = df_clock_monotonic() + DENIED_NS;
}

int df_references_keys(const struct df_secret_use *use, const char *namespace, const struct df_value *secret,
		       struct df_error *err)
{
	const struct df_value *data = df_object_get_c(secret, "data");

	if (!secret)
		return df_error_set(err, DF_ERR_CONFIG, "there is no Secret %s in namespace %s (%s names it)",
				    use->name, namespace, use->path);
	for (size_t i = 0; i < use->key_count; i++) {
		const struct df_value *value = df_object_get_c(data, use->keys[i]);

		if (!value || df_value_string_equal(value, DF_STR("")))
			return df_error_set(err, DF_ERR_CONFIG, "the Secret %s in namespace %s has %s `%s` (see %s)",
					    use->name, namespace, value ? "nothing under the key" : "no key",
					    use->keys[i], use->path);
	}
	return 0;
}

/* Only where we may look; else the kubelet finds out. */
static int check_own(struct df_reconcile *r, const struct df_secret_use *use, struct df_error *err)
{
	const struct df_kube_ref ref = { &df_kube_secrets, r->namespace, use->name, NULL };
	struct df_error why = DF_ERROR_INIT;
	struct df_value *secret;
	int code;

	if (is_denied(r->namespace))
		return 0;
	code = df_kube_get(r->client, r->ctx, &ref, r->arena, &secret, &why);
	if (code < 0 && df_kube_is(&why, "Forbidden")) {
		remember_denied(r->namespace);
		return 0;
	}
	if (code < 0) {
		if (err)
			*err = why;
		return code;
	}
	return df_references_keys(use, r->namespace, secret, err);
}

/* ---- all ------------------------------------------------------------------------------------------------- */

int df_references_ensure(struct df_reconcile *r, const struct df_resource *resource, struct df_error *err)
{
	int code = df_mirrors_revoke(r, resource, err);

	for (size_t i = 0; code == 0 && i < resource->secret_count; i++)
		if (!resource->secrets[i].namespace)
			code = check_own(r, &resource->secrets[i], err);
	return code < 0 ? code : df_mirrors_ensure(r, resource, err);
}

/* ---- why a pod waits for its volume ---------------------------------------------------------------------- */

struct newest {
	struct df_arena *arena;
	struct df_str time, note; /* ptr NULL: none yet */
};

/* The kubelet writes the older API, whose time has a field of its own. */
static struct df_str time_of(const struct df_value *event, struct df_arena *arena)
{
	struct df_str time = df_kube_text(event, arena, "series", "lastObservedTime", NULL);

	if (!time.ptr)
		time = df_kube_text(event, arena, "deprecatedLastTimestamp", NULL);
	if (!time.ptr)
		time = df_kube_text(event, arena, "eventTime", NULL);
	return time.ptr ? time : df_kube_text(event, arena, "metadata", "creationTimestamp", NULL);
}

static int on_event(void *arg, struct df_value *event, struct df_error *err)
{
	struct newest *n = arg;
	struct df_str time = time_of(event, n->arena), note = df_kube_text(event, n->arena, "note", NULL);

	if (!note.ptr || (n->note.ptr && df_str_compare(time, n->time) < 0))
		return 0;
	n->time = df_arena_dup(n->arena, time);
	n->note = df_arena_dup(n->arena, note);
	return n->note.ptr && (n->time.ptr || !time.len) ? 0 : df_error_no_memory(err);
}

int df_references_failed_mount(struct df_reconcile *r, const struct df_value *pod, const char **ret,
			       struct df_error *err)
{
	const struct df_kube_ref ref = { &df_kube_events, r->namespace, NULL, NULL };
	struct df_str uid = df_kube_text(pod, r->arena, "metadata", "uid", NULL);
	struct df_kube_list_options options = { 0 };
	struct newest newest = { .arena = r->arena };
	int code;

	*ret = NULL;
	options.field_selector = df_text(r->arena, "reason=FailedMount,regarding.uid=" DF_STR_FMT, DF_STR_ARG(uid));
	if (!options.field_selector)
		return df_error_no_memory(err);
	code = df_kube_list(r->client, r->ctx, &ref, &options, on_event, &newest, NULL, err);
	if (code == 0)
		*ret = newest.note.ptr; /* a copy in the arena, with a NUL */
	return code;
}

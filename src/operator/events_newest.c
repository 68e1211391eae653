/* What Kubernetes tells in Events about an object that says nothing itself. */
#include "operator/events.h"
#include "operator/text.h"

struct newest {
	struct df_arena *arena;
	struct df_str time, note; /* ptr NULL: none yet */
};

/* The kubelet and the controllers write the older API, whose time has a field of its own. */
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

int df_events_newest(struct df_reconcile *r, const struct df_value *object, const char *reason, const char **ret,
		     struct df_error *err)
{
	const struct df_kube_ref ref = { &df_kube_events, r->namespace, NULL, NULL };
	struct df_str uid = df_kube_text(object, r->arena, "metadata", "uid", NULL);
	struct df_kube_list_options options = { 0 };
	struct newest newest = { .arena = r->arena };
	int code;

	*ret = NULL;
	options.field_selector = df_text(r->arena, "reason=%s,regarding.uid=" DF_STR_FMT, reason, DF_STR_ARG(uid));
	if (!options.field_selector)
		return df_error_no_memory(err);
	code = df_kube_list(r->client, r->ctx, &ref, &options, on_event, &newest, NULL, err);
	if (code == 0)
		*ret = newest.note.ptr; /* a copy in the arena, with a NUL */
	return code;
}

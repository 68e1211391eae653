/* What Kubernetes tells in Events about an object that says nothing itself. */
#include "operator/events.h"
#include "operator/text.h"

struct newest {
	struct df_arena *arena;
	struct df_str time, note; /* ptr NULL: none yet */
};

/* The kubelet and the controllers write the older API, whose time has a field of its own. */
struct df_str df_event_time(const struct df_value *event, struct df_arena *arena)
{
	struct df_str time = df_kube_text(event, arena, "series", "lastObservedTime", NULL);

	if (!time.ptr)
		time = df_kube_text(event, arena, "deprecatedLastTimestamp", NULL);
	if (!time.ptr)
		time = df_kube_text(event, arena, "eventTime", NULL);
	return time.ptr ? time : df_kube_text(event, arena, "metadata", "creationTimestamp", NULL);
}

static int keep_newest(void *arg, struct df_value *event, struct df_error *err)
{
	struct newest *n = arg;
	struct df_str time = df_event_time(event, n->arena), note = df_kube_text(event, n->arena, "note", NULL);

	if (!note.ptr || (n->note.ptr && df_str_compare(time, n->time) < 0))
		return 0;
	n->time = df_arena_dup(n->arena, time);
	n->note = df_arena_dup(n->arena, note);
	return n->note.ptr && (n->time.ptr || !time.len) ? 0 : df_error_no_memory(err);
}

int df_events_each(struct df_reconcile *r, const struct df_value *object, const char *reason,
		   int (*on_event)(void *arg, struct df_value *event, struct df_error *err), void *arg,
		   struct df_error *err)
{
	const struct df_kube_ref ref = { &df_kube_events, r->namespace, NULL, NULL };
	struct df_str uid = df_kube_text(object, r->arena, "metadata", "uid", NULL);
	struct df_kube_list_options options = { 0 };

	options.field_selector = df_text(r->arena, "regarding.uid=" DF_STR_FMT "%s%s", DF_STR_ARG(uid),
					 reason ? ",reason=" : "", reason ? reason : "");
	return options.field_selector ? df_kube_list(r->client, r->ctx, &ref, &options, on_event, arg, NULL, err)
				      : df_error_no_memory(err);
}

int df_events_newest(struct df_reconcile *r, const struct df_value *object, const char *reason, const char **ret,
		     struct df_error *err)
{
	struct newest newest = { .arena = r->arena };
	int code = df_events_each(r, object, reason, keep_newest, &newest, err);

	*ret = code == 0 ? newest.note.ptr : NULL; /* a copy in the arena, with a NUL */
	return code;
}

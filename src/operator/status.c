#include "operator/status.h"

#include "api/v1/maintenance.h"
#include "base/time.h"
#include "kube/build.h"
#include "operator/events.h"
#include "operator/text.h"
#include "processor/delivery.h"

/* ---- texts ----------------------------------------------------------------------------------------------- */

struct df_value *df_status_time(int64_t unix_seconds, struct df_arena *arena)
{
	char text[DF_RFC3339_MAX];
	size_t len = df_rfc3339_format((struct df_instant){ .seconds = unix_seconds }, 0, DF_FRACTION_NONE, text);

	return df_value_string_copy(arena, df_str(text, len));
}

/* The level, and what holds it down; where nothing does, what it means. */
static void write_guarantee(const struct df_delivery *d, struct df_buf *buf)
{
	const char *between = ": ";

	df_buf_add_c(buf, df_delivery_name(d->level));
	for (size_t i = 0; i < d->count; i++) {
		const struct df_delivery_reason *r = &d->reasons[i];

		if (!r->weakens)
			continue;
		df_buf_printf(buf, "%s%s%s%s: %s", between, r->place, r->type ? " " : "", r->type ? r->type : "",
			      r->text);
		between = "; ";
	}
	if (between[0] == ':')
		df_buf_printf(buf, ": %s", df_delivery_meaning(d->level));
}

const char *df_status_guarantee(const struct df_resource *resource, struct df_arena *arena)
{
	df_cleanup(df_buf_done) struct df_buf buf = { 0 };
	struct df_delivery *delivery = df_arena_alloc(arena, sizeof(*delivery));

	if (!delivery || df_delivery_explain(&resource->spec.flow, arena, delivery, NULL) < 0)
		return NULL;
	write_guarantee(delivery, &buf);
	return buf.failed ? NULL : df_arena_dup(arena, df_buf_str(&buf)).ptr;
}

/* ---- conditions ------------------------------------------------------------------------------------------ */

static const struct df_value *conditions_of(const struct df_value *object)
{
	const struct df_value *list = df_kube_at(object, "status", "conditions", NULL);

	return list && list->kind == DF_ARRAY ? list : NULL;
}

static bool is_of(const struct df_value *condition, const char *type)
{
	const struct df_value *t = df_object_get_c(condition, "type");

	return t && df_value_string_equal(t, df_str_c(type));
}

static const struct df_value *find_condition(const struct df_value *list, const char *type)
{
	if (list)
		df_for_each (c, list)
			if (is_of(c, type))
				return c;
	return NULL;
}

static struct df_value *make_condition(const struct df_condition *c, const struct df_value *old, int64_t generation,
				       int64_t now, struct df_arena *arena)
{
	const char *status = c->holds ? "True" : "False";
	const struct df_value *was = df_object_get_c(old, "status"), *since = NULL;
	struct df_value *ret;

	if (was && df_value_string_equal(was, df_str_c(status)))
		since = df_object_get_c(old, "lastTransitionTime");
	if (!since && !(since = df_status_time(now, arena)))
		return NULL;
	return df_kube_build(arena, &ret, NULL,
			     "{'type':%s,'status':%s,'reason':%s,'message':%s,'lastTransitionTime':%v,"
			     "'observedGeneration':%d}",
			     c->type, status, c->reason, c->message, since, generation) < 0
		       ? NULL
		       : ret;
}

static bool is_listed(const struct df_value *condition, const struct df_condition *conditions, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (is_of(condition, conditions[i].type))
			return true;
	return false;
}

struct df_value *df_status_conditions(const struct df_value *object, const struct df_condition *conditions, size_t n,
				      int64_t generation, int64_t now, struct df_arena *arena)
{
	const struct df_value *old = conditions_of(object);
	struct df_value *ret = df_value_new(arena, DF_ARRAY), *copy;

	for (size_t i = 0; ret && i < n; i++) {
		copy = make_condition(&conditions[i], find_condition(old, conditions[i].type), generation, now, arena);
		if (!copy)
			return NULL;
		df_array_append(ret, copy);
	}
	if (!ret || !old)
		return ret;
	df_for_each (c, old) {
		if (is_listed(c, conditions, n))
			continue;
		copy = df_value_clone(c, arena);
		if (!copy)
			return NULL;
		df_array_append(ret, copy);
	}
	return ret;
}

bool df_status_holds(const struct df_value *object, const char *type)
{
	const struct df_value *c = find_condition(conditions_of(object), type), *status = df_object_get_c(c, "status");

	return status && df_value_string_equal(status, DF_STR("True"));
}

/* ---- writing --------------------------------------------------------------------------------------------- */

static int put(struct df_value *patch, struct df_str key, struct df_value *value, struct df_error *err)
{
	if (!value)
		return df_error_no_memory(err);
	df_object_append(patch, key, value);
	return 0;
}

/* The merge patch that turns `old` into `wanted`; of members that are not in `wanted`: whole: they go, else they stay.
 * patch: an empty object. */
static int make_patch(const struct df_value *old, const struct df_value *wanted, bool whole, struct df_arena *arena,
		      struct df_value *patch, struct df_error *err)
{
	int code = 0;

	if (whole)
		df_for_each (was, old)
			if (code == 0 && !df_object_get(wanted, df_value_key(was)))
				code = put(patch, df_value_key(was), df_value_new(arena, DF_NULL), err);
	df_for_each (now, wanted) {
		const struct df_value *was = df_object_get(old, df_value_key(now));
		struct df_value *piece;

		if (code < 0)
			break;
		if (was ? df_value_equal(was, now) : now->kind == DF_NULL)
			continue;
		if (was && was->kind == DF_OBJECT && now->kind == DF_OBJECT) {
			piece = df_value_new(arena, DF_OBJECT);
			if (piece)
				code = make_patch(was, now, true, arena, piece, err);
		} else {
			piece = df_value_clone(now, arena);
		}
		if (code == 0)
			code = put(patch, df_value_key(now), piece, err);
	}
	return code;
}

/* {"metadata": {"resourceVersion"}, "status"}, with the version that it was computed from: a later one knows more.
 * (Not by df_kube_build, which leaves nulls out.) */
static int wrap_patch(const struct df_value *object, struct df_value *status, struct df_arena *arena,
		      struct df_value **ret, struct df_error *err)
{
	struct df_value *metadata = df_value_new(arena, DF_OBJECT), *patch = df_value_new(arena, DF_OBJECT);
	const struct df_value *version = df_kube_at(object, "metadata", "resourceVersion", NULL);
	int code = metadata && patch ? 0 : df_error_no_memory(err);

	if (code == 0 && version)
		code = put(metadata, DF_STR("resourceVersion"), df_value_clone(version, arena), err);
	if (code == 0)
		code = put(patch, DF_STR("metadata"), metadata, err);
	if (code == 0)
		code = put(patch, DF_STR("status"), status, err);
	*ret = patch;
	return code;
}

int df_status_patch(const struct df_value *object, const struct df_value *wanted, struct df_arena *arena,
		    struct df_value **ret, struct df_error *err)
{
	const struct df_value *old = df_object_get_c(object, "status");
	struct df_value *status = df_value_new(arena, DF_OBJECT), *none = df_value_new(arena, DF_OBJECT);
	int code = status && none ? 0 : df_error_no_memory(err);

	*ret = NULL;
	if (code == 0)
		code = make_patch(old && old->kind == DF_OBJECT ? old : none, wanted, false, arena, status, err);
	return code < 0 || !status->first ? code : wrap_patch(object, status, arena, ret, err);
}

static const struct df_kube_resource *const kinds[] = {
	[DF_KIND_DATAFLOW] = &df_kube_dataflows, [DF_KIND_DATAFLOWCRON] = &df_kube_dataflowcrons
};

int df_status_write(struct df_reconcile *r, const struct df_value *object, const struct df_value *wanted,
		    struct df_error *err)
{
	struct df_kube_ref ref = {
		.resource = kinds[r->kind], .namespace = r->namespace, .name = r->name, .subresource = "status"
	};
	struct df_value *patch = NULL;
	struct df_error why = DF_ERROR_INIT;
	int code = df_status_patch(object, wanted, r->arena, &patch, &why);

	if (code == 0 && patch)
		code = df_kube_patch(r->client, r->ctx, &ref, DF_KUBE_MERGE_PATCH, patch, r->arena, NULL, &why);
	if (code == 0 || df_kube_is(&why, "NotFound")) /* it is gone meanwhile */
		return 0;
	if (code != DF_ERR_CANCELED && !df_kube_is(&why, "Conflict"))
		df_event(r, object, true, "StatusUpdateFailed", "Unable to update %s status: %s", kinds[r->kind]->kind,
			 why.text);
	if (err)
		*err = why;
	return code;
}

/* ---- maintenance ----------------------------------------------------------------------------------------- */

#define EDGE_MAX 86400 /* of a timer; it looks again then */

static int maintenance_times(const struct df_maintenance_state *state, struct df_arena *arena, struct df_value **ret,
			     struct df_error *err)
{
	struct df_value *next = NULL, *last = NULL;
	bool has_next = !state->suspended && state->next_start != INT64_MAX, has_last = state->last_start != INT64_MIN;

	if ((has_next && !(next = df_status_time(state->next_start, arena))) ||
	    (has_last && !(last = df_status_time(state->last_start, arena))))
		return df_error_no_memory(err);
	return df_kube_build(arena, ret, err,
			     "{'inMaintenance':%b,'nextMaintenanceTime':%v,'lastMaintenanceTime':%v,'suspended':%b}",
			     (int)state->in_window, next, last, (int)state->suspended);
}

int df_status_maintenance(struct df_reconcile *r, const struct df_resource *resource, bool *ret_paused,
			  bool *ret_window, struct df_value **ret_status, struct df_error *err)
{
	const struct df_dataflow_spec *spec = &resource->spec.flow;
	struct df_maintenance_state state;
	int code = df_maintenance_at(spec, r->now, &state, err);

	*ret_status = NULL;
	*ret_paused = *ret_window = false;
	if (code < 0)
		return code;
	*ret_window = state.in_window;
	*ret_paused = state.suspended || state.in_window;
	if (state.next_change != INT64_MAX) {
		int64_t seconds = state.next_change - r->now;

		df_reconcile_again(r, (seconds < EDGE_MAX ? seconds : EDGE_MAX) * DF_NS_PER_S);
	}
	if (!spec->maintenance.settings && !state.suspended) {
		*ret_status = df_value_new(r->arena, DF_NULL);
		return *ret_status ? 0 : df_error_no_memory(err);
	}
	return maintenance_times(&state, r->arena, ret_status, err);
}

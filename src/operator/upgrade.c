/* What the original operator left: finalizers, objects of older names, and fields that are still its own. Patches name
 * the resourceVersion that they were made from: who is late gets a conflict. */
#include "base/cleanup.h"
#include "kube/build.h"
#include "operator/ensure.h"
#include "operator/internal.h"
#include "operator/names.h"
#include "operator/text.h"

/* ---- finalizers ------------------------------------------------------------------------------------------ */

static bool is_one_of(const struct df_value *v, const char *const *texts, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (v && df_value_string_equal(v, df_str_c(texts[i])))
			return true;
	return false;
}

/* The list without them; *ret_list NULL: none is in it. */
static int without_finalizers(struct df_reconcile *r, const struct df_value *finalizers, struct df_value **ret_list,
			      struct df_error *err)
{
	static const char *const originals[] = { DF_API_GROUP "/finalizer", DF_API_GROUP "/cron-finalizer" };
	struct df_value *left = df_value_new(r->arena, DF_ARRAY);

	*ret_list = NULL;
	if (!left)
		return df_error_no_memory(err);
	df_for_each (finalizer, finalizers) {
		struct df_value *copy;

		if (is_one_of(finalizer, originals, DF_ARRAY_SIZE(originals)))
			continue;
		copy = df_value_clone(finalizer, r->arena);
		if (!copy)
			return df_error_no_memory(err);
		df_array_append(left, copy);
	}
	if (left->len != finalizers->len)
		*ret_list = left;
	return 0;
}

int df_upgrade_finalizers(struct df_reconcile *r, struct df_value *object, struct df_error *err)
{
	const struct df_value *finalizers = df_kube_at(object, "metadata", "finalizers", NULL);
	struct df_kube_ref ref = {
		.resource = r->kind == DF_KIND_DATAFLOW ? &df_kube_dataflows : &df_kube_dataflowcrons,
		.namespace = r->namespace,
		.name = r->name,
	};
	struct df_error why = DF_ERROR_INIT;
	struct df_value *left, *patch;
	int code;

	if (!finalizers || finalizers->kind != DF_ARRAY)
		return 0;
	code = without_finalizers(r, finalizers, &left, &why);
	if (code == 0 && left)
		code = df_kube_build(r->arena, &patch, &why,
				     "[{'op':'replace','path':'/metadata/resourceVersion','value':%v},"
				     "{'op':'replace','path':'/metadata/finalizers','value':%v}]",
				     df_kube_at(object, "metadata", "resourceVersion", NULL), left);
	if (code == 0 && left)
		code = df_kube_patch(r->client, r->ctx, &ref, DF_KUBE_JSON_PATCH, patch, r->arena, NULL, &why);
	if (df_kube_is(&why, "NotFound"))
		return 0; /* another one took the last off */
	if (df_kube_is(&why, "Invalid")) {
		/* A spec that the schema of today refuses; that is told elsewhere, and is no reason to stop here. */
		df_log_error(&r->logger, DF_LOG_WARN, &why, "the finalizers of an earlier operator stay");
		return 0;
	}
	if (code != 0 && err)
		*err = why;
	return code;
}

/* ---- old names ------------------------------------------------------------------------------------------- */

static bool is_ours(const struct df_value *object, const struct df_resource *resource)
{
	const struct df_value *owners = df_kube_at(object, "metadata", "ownerReferences", NULL);

	if (!owners || owners->kind != DF_ARRAY)
		return false;
	df_for_each (owner, owners) {
		const struct df_value *uid = df_object_get_c(owner, "uid");

		if (uid && df_value_string_equal(uid, df_str_c(resource->uid)))
			return true;
	}
	return false;
}

/* Deletes it when it is ours; there: it was, or still is. In the foreground: it stays until its pods are gone. */
static int delete_old(struct df_reconcile *r, const struct df_resource *resource, const struct df_kube_resource *kind,
		      const char *name, bool *ret_there, struct df_error *err)
{
	struct df_kube_ref ref = { .resource = kind, .namespace = resource->namespace, .name = name };
	struct df_kube_delete_options options = { .propagation = "Foreground", .grace_seconds = -1 };
	struct df_value *live;
	int code = name ? df_kube_get(r->client, r->ctx, &ref, r->arena, &live, err) : df_error_no_memory(err);

	*ret_there = false;
	if (code != 0 || !live || !is_ours(live, resource))
		return code;
	*ret_there = true;
	if (df_kube_at(live, "metadata", "deletionTimestamp", NULL))
		return 0;
	options.uid = df_arena_dup(r->arena, df_kube_text(live, r->arena, "metadata", "uid", NULL)).ptr;
	return options.uid ? df_kube_delete(r->client, r->ctx, &ref, &options, NULL, err) : df_error_no_memory(err);
}

/* A Deployment that we applied says that the old one is gone: it was not applied before. */
static int was_applied(struct df_reconcile *r, const struct df_resource *resource, bool *ret, struct df_error *err)
{
	const char *name = df_object_name(DF_NAME_WORKLOAD, resource->kind, resource->name, r->arena);
	struct df_value *live = NULL;
	int code = name ? 0 : df_error_no_memory(err);

	if (code == 0 && r->op)
		code = df_watched_get(r, DF_WATCH_DEPLOYMENTS, resource->namespace, name, &live, err);
	*ret = df_kube_at(live, "metadata", "annotations", DF_ANNOTATION_APPLIED, NULL) != NULL;
	return code;
}

/* Nobody makes such objects any more: looking once a process is enough. */
int df_upgrade_old_names(struct df_reconcile *r, const struct df_resource *resource, bool *ret_waits,
			 struct df_error *err)
{
	struct df_verified *verified = r->op ? r->op->verified : NULL;
	const struct df_verified_key key = { .kind = resource->kind,
					     .namespace = resource->namespace,
					     .name = resource->name,
					     .plural = "",
					     .object = "old names" };
	bool applied, configmap;
	int code;

	*ret_waits = false;
	if (resource->kind != DF_KIND_DATAFLOW || df_verified_is(verified, &key, "", 0, INT64_MAX))
		return 0;
	code = was_applied(r, resource, &applied, err);
	if (code == 0 && !applied)
		code = delete_old(r, resource, &df_kube_deployments, df_text(r->arena, "dataflow-%s", resource->name),
				  ret_waits, err);
	if (code == 0 && !applied && !*ret_waits)
		code = delete_old(r, resource, &df_kube_configmaps,
				  df_text(r->arena, "dataflow-%s-spec", resource->name), &configmap, err);
	if (code == 0 && !*ret_waits)
		df_verified_note(verified, &key, "", 0);
	return code;
}

/* ---- fields of others ------------------------------------------------------------------------------------- */

/* To the object itself, in the version that we apply. */
static bool is_of_object(const struct df_value *entry, const char *version)
{
	const struct df_value *written = df_object_get_c(entry, "apiVersion");

	return written && df_value_string_equal(written, df_str_c(version)) && df_object_get_c(entry, "fieldsV1") &&
	       !df_object_get_c(entry, "subresource");
}

static bool is_by(const struct df_value *entry, const char *const *managers, size_t n, const char *operation)
{
	return is_one_of(df_object_get_c(entry, "manager"), managers, n) &&
	       is_one_of(df_object_get_c(entry, "operation"), &operation, 1);
}

/* Adds the fields of `more` to a set, a tree of objects. DF_ERR_NO_MEMORY. */
static int add_fields(struct df_value *set, const struct df_value *more, struct df_arena *arena, struct df_error *err)
{
	df_for_each (field, more) {
		struct df_value *there = df_object_get(set, df_value_key(field)), *copy;
		int code = there ? add_fields(there, field, arena, err) : 0;

		if (code != 0)
			return code;
		if (there)
			continue;
		copy = df_value_clone(field, arena);
		if (!copy)
			return df_error_no_memory(err);
		df_object_append(set, df_value_key(field), copy);
	}
	return 0;
}

enum from { FROM_US, FROM_THE_ORIGINAL, FROM_ANYBODY };
enum taken { LEFT, WITHOUT_METADATA, WHOLE };

/* What we created, and the original's entry, become ours whole. What is adopted does, too, but for its labels and
 * annotations, which may mean something to others. */
static enum taken how_taken(const struct df_value *entry, const char *version, enum from from, bool *ret_ours)
{
	static const char *const updaters[] = { DF_FIELD_MANAGER, "manager", "main" };

	*ret_ours = false;
	if (!is_of_object(entry, version))
		return LEFT;
	*ret_ours = is_by(entry, updaters, 1, "Apply");
	if (*ret_ours || is_by(entry, updaters, from == FROM_US ? 1 : DF_ARRAY_SIZE(updaters), "Update"))
		return WHOLE;
	return from == FROM_ANYBODY ? WITHOUT_METADATA : LEFT;
}

#define METADATA "f:metadata"

/* Moves its fields to `fields`; what remains of the entry goes to `left`. */
static int take_entry(const struct df_value *from, enum taken how, struct df_value *fields, struct df_value *left,
		      struct df_arena *arena, struct df_error *err)
{
	struct df_value *entry = df_value_clone(from, arena), *set, *metadata;
	int code = 0;

	if (!entry)
		return df_error_no_memory(err);
	set = df_object_get_c(entry, "fieldsV1");
	metadata = how == WITHOUT_METADATA ? df_object_get_c(set, METADATA) : NULL;
	if (metadata)
		df_container_remove(set, df_container_prev(set, metadata), metadata);
	if (how != LEFT)
		code = add_fields(fields, set, arena, err);
	if (metadata) {
		df_container_take(set);
		df_object_append(set, DF_STR(METADATA), metadata);
	}
	if (metadata || how == LEFT)
		df_array_append(left, entry);
	return code;
}

/* The entries of others, and one that has what was taken and we have; *ret NULL: nothing was taken. */
static int take_fields(struct df_reconcile *r, const struct df_value *entries, const char *version, enum from from,
		       struct df_value **ret, struct df_error *err)
{
	struct df_value *left = df_value_new(r->arena, DF_ARRAY), *fields = df_value_new(r->arena, DF_OBJECT), *entry;
	bool any = false, ours;
	int code = left && fields ? 0 : df_error_no_memory(err);

	*ret = NULL;
	for (const struct df_value *e = entries->first; code == 0 && e; e = e->next) {
		enum taken how = how_taken(e, version, from, &ours);

		any = any || (how != LEFT && !ours);
		code = take_entry(e, how, fields, left, r->arena, err);
	}
	if (code != 0 || !any)
		return code;
	code = df_kube_build(r->arena, &entry, err,
			     "{'manager':%s,'operation':'Apply','apiVersion':%s,'fieldsType':'FieldsV1','fieldsV1':%v}",
			     DF_FIELD_MANAGER, version, fields);
	if (code != 0)
		return code;
	df_array_append(left, entry);
	*ret = left;
	return 0;
}

int df_upgrade_managed_fields(struct df_reconcile *r, const struct df_kube_resource *kind, struct df_value *live,
			      bool adopted, struct df_error *err)
{
	const struct df_value *entries = df_kube_at(live, "metadata", "managedFields", NULL);
	const char *version = df_text(r->arena, "%s%s%s", kind->group, *kind->group ? "/" : "", kind->version);
	const char *name = df_arena_dup(r->arena, df_kube_text(live, r->arena, "metadata", "name", NULL)).ptr;
	struct df_kube_ref ref = { .resource = kind, .namespace = r->namespace, .name = name };
	bool applied = df_kube_at(live, "metadata", "annotations", DF_ANNOTATION_APPLIED, NULL) != NULL;
	enum from from = adopted ? FROM_ANYBODY : applied ? FROM_US : FROM_THE_ORIGINAL;
	struct df_value *ours, *patch;
	int code;

	if (!version || !name)
		return df_error_no_memory(err);
	if (!entries || entries->kind != DF_ARRAY)
		return 0;
	code = take_fields(r, entries, version, from, &ours, err);
	if (code != 0 || !ours)
		return code;
	code = df_kube_build(r->arena, &patch, err,
			     "[{'op':'replace','path':'/metadata/resourceVersion','value':%v},"
			     "{'op':'replace','path':'/metadata/managedFields','value':%v}]",
			     df_kube_at(live, "metadata", "resourceVersion", NULL), ours);
	if (code != 0)
		return code;
	return df_kube_patch(r->client, r->ctx, &ref, DF_KUBE_JSON_PATCH, patch, r->arena, NULL, err);
}

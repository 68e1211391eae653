#include "operator/ensure.h"

#include <string.h>

#include "base/digest.h"
#include "kube/build.h"
#include "operator/events.h"
#include "operator/internal.h"
#include "operator/names.h"
#include "operator/text.h"

#define VERIFIED_NS (30 * 60 * DF_NS_PER_S)

/* One object on its way. */
struct ensure {
	struct df_reconcile *r;
	const struct df_resource *resource;
	const struct df_kube_resource *kind;
	const char *name;
	struct df_kube_ref ref;
	bool checkpoint; /* it is the checkpoint ConfigMap */
	struct df_value *object;
	char hash[DF_SHA256_HEX];
	struct df_value *live; /* NULL: there is none */
};

static const char *const kinds[] = { [DF_KIND_DATAFLOW] = "DataFlow", [DF_KIND_DATAFLOWCRON] = "DataFlowCron" };

static int start(struct df_reconcile *r, const struct df_resource *resource, const struct df_kube_resource *kind,
		 const char *name, struct ensure *ret, struct df_error *err)
{
	const char *checkpoint = df_object_name(DF_NAME_CHECKPOINT, resource->kind, resource->name, r->arena);

	if (!checkpoint || !name)
		return df_error_no_memory(err);
	*ret = (struct ensure){
		.r = r,
		.resource = resource,
		.kind = kind,
		.name = name,
		.ref = { .resource = kind, .namespace = resource->namespace, .name = name },
		.checkpoint = kind == &df_kube_configmaps && strcmp(name, checkpoint) == 0,
	};
	return 0;
}

/* ---- what is there --------------------------------------------------------------------------------------- */

static const struct {
	const struct df_kube_resource *kind;
	enum df_watched what;
} watched[] = {
	{ &df_kube_deployments, DF_WATCH_DEPLOYMENTS },
	{ &df_kube_cronjobs, DF_WATCH_CRONJOBS },
	{ &df_kube_jobs, DF_WATCH_JOBS },
	{ &df_kube_configmaps, DF_WATCH_CONFIGMAPS },
};

static int get_fresh(struct ensure *e, struct df_error *err)
{
	return df_kube_get(e->r->client, e->r->ctx, &e->ref, e->r->arena, &e->live, err);
}

static bool is_watched(const struct ensure *e, enum df_watched *ret)
{
	for (size_t i = 0; e->r->op && i < DF_ARRAY_SIZE(watched); i++)
		if (watched[i].kind == e->kind) {
			*ret = watched[i].what;
			return true;
		}
	return false;
}

/* Items of a list do not say what they are, unlike objects that come alone. */
static int complete_type(struct ensure *e, struct df_error *err)
{
	const struct df_kube_resource *kind = e->kind;
	struct df_value *type;
	int code = df_kube_build(e->r->arena, &type, err, "{'apiVersion':%s,'kind':%s}",
				 df_text(e->r->arena, "%s%s%s", kind->group, *kind->group ? "/" : "", kind->version),
				 kind->kind);

	for (struct df_value *member = code == 0 ? df_container_take(type) : NULL, *next; member; member = next) {
		next = member->next;
		member->next = NULL;
		df_object_set(e->live, df_value_key(member), member);
	}
	return code;
}

/* What the cache has; nothing when this kind is not watched. */
static int get_cached(struct ensure *e, struct df_error *err)
{
	enum df_watched what;
	int code;

	if (!is_watched(e, &what))
		return 0;
	code = df_watched_get(e->r, what, e->resource->namespace, e->name, &e->live, err);
	return code == 0 && e->live ? complete_type(e, err) : code;
}

static int get(struct ensure *e, struct df_error *err)
{
	enum df_watched what;

	return is_watched(e, &what) ? get_cached(e, err) : get_fresh(e, err);
}

/* Is it better to create it than to ask first? Of what is not watched, only a resource that was never reconciled says
 * so. A checkpoint is applied from the first: df_upgrade_managed_fields is nothing for it. */
static bool is_missing(const struct ensure *e)
{
	enum df_watched what;

	if (e->live || e->checkpoint)
		return false;
	return is_watched(e, &what) || !df_object_get_c(e->resource->object, "status");
}

static struct df_verified *memo(const struct ensure *e, struct df_verified_key *ret)
{
	enum df_watched what;

	*ret = (struct df_verified_key){ .kind = e->resource->kind,
					 .namespace = e->resource->namespace,
					 .name = e->resource->name,
					 .plural = e->kind->plural,
					 .object = e->name };
	return e->r->op && !is_watched(e, &what) ? e->r->op->verified : NULL;
}

static bool verified(const struct ensure *e, const char *hash)
{
	struct df_verified_key key;
	struct df_verified *v = memo(e, &key);

	return df_verified_is(v, &key, hash, df_clock_monotonic(), VERIFIED_NS);
}

static void note(const struct ensure *e, const char *hash)
{
	struct df_verified_key key;
	struct df_verified *v = memo(e, &key);

	df_verified_note(v, &key, hash, df_clock_monotonic());
}

/* ---- whose it is ----------------------------------------------------------------------------------------- */

static bool member_is(const struct df_value *object, const char *key, const char *text)
{
	const struct df_value *v = object ? df_object_get_c(object, key) : NULL;

	return v && df_value_string_equal(v, df_str_c(text));
}

static const struct df_value *controller_of(const struct df_value *object)
{
	const struct df_value *owners = df_kube_at(object, "metadata", "ownerReferences", NULL);

	if (!owners || owners->kind != DF_ARRAY)
		return NULL;
	df_for_each (owner, owners) {
		const struct df_value *controller = df_object_get_c(owner, "controller");

		if (controller && controller->kind == DF_TRUE)
			return owner;
	}
	return NULL;
}

/* Of our kind and name, whatever its uid. */
static bool names_us(const struct ensure *e, const struct df_value *owner)
{
	const struct df_value *version = df_object_get_c(owner, "apiVersion");
	struct df_str text = version ? df_value_text(version, e->r->arena) : DF_STR("");

	return df_str_starts(text, DF_STR(DF_API_GROUP "/")) && member_is(owner, "kind", kinds[e->resource->kind]) &&
	       member_is(owner, "name", e->resource->name);
}

enum whose { OURS, TAKEN, OLDER, FOREIGN };

static enum whose whose(const struct ensure *e)
{
	const struct df_value *controller = controller_of(e->live);
	const struct df_value *labels = df_kube_at(e->live, "metadata", "labels", NULL);
	const struct df_value *annotations = df_kube_at(e->live, "metadata", "annotations", NULL);

	if (controller && member_is(controller, "uid", e->resource->uid))
		return OURS;
	if (controller && names_us(e, controller))
		return e->checkpoint ? TAKEN : OLDER;
	if (controller)
		return FOREIGN;
	return e->checkpoint || member_is(labels, DF_LABEL_OWNED, "true") ||
			       member_is(annotations, DF_ANNOTATION_ADOPT, "true")
		       ? TAKEN
		       : FOREIGN;
}

bool df_ensure_is_ours(struct df_reconcile *r, const struct df_resource *resource, struct df_value *live)
{
	const struct ensure e = { .r = r, .resource = resource, .live = live };
	enum whose is = live ? whose(&e) : FOREIGN;

	return is == OURS || is == TAKEN;
}

static int conflict(const struct ensure *e, struct df_error *err)
{
	const struct df_value *controller = controller_of(e->live);
	struct df_str kind = df_kube_text(controller, e->r->arena, "kind", NULL);
	struct df_str name = df_kube_text(controller, e->r->arena, "name", NULL);

	if (controller)
		df_error_set(err, DF_ERR_CONFIG,
			     "%s %s belongs to " DF_STR_FMT " " DF_STR_FMT
			     " and is left alone; rename one of the two, or delete it",
			     e->kind->kind, e->name, DF_STR_ARG(kind), DF_STR_ARG(name));
	else
		df_error_set(err, DF_ERR_CONFIG,
			     "%s %s exists and is not this %s's; delete it, or let it be taken: kubectl -n %s annotate "
			     "%s %s " DF_ANNOTATION_ADOPT "=true",
			     e->kind->kind, e->name, kinds[e->resource->kind], e->resource->namespace, e->kind->plural,
			     e->name);
	df_error_remote(err, DF_CONFLICT);
	df_event(e->r, e->resource->object, true, DF_CONFLICT, "%s", err->text);
	return DF_ERR_CONFIG;
}

static int collecting(const struct ensure *e, const char *why, struct df_error *err)
{
	df_error_set(err, DF_ERR_TRANSIENT, "%s %s %s; waiting until it is gone", e->kind->kind, e->name, why);
	df_error_remote(err, DF_COLLECTING);
	return DF_ERR_TRANSIENT;
}

/* Takes away the references to resources that were called as ours is now: apply merges owners by uid, so they would
 * stay beside ours, and a second controller is not allowed. */
static int drop_older_owners(struct ensure *e, struct df_error *err)
{
	struct df_value *owners = df_kube_at(e->live, "metadata", "ownerReferences", NULL), *left, *patch;
	int code;

	if (!owners || owners->kind != DF_ARRAY)
		return 0;
	left = df_value_new(e->r->arena, DF_ARRAY);
	if (!left)
		return df_error_no_memory(err);
	df_for_each (owner, owners) {
		struct df_value *copy;

		if (names_us(e, owner) && !member_is(owner, "uid", e->resource->uid))
			continue;
		copy = df_value_clone(owner, e->r->arena);
		if (!copy)
			return df_error_no_memory(err);
		df_array_append(left, copy);
	}
	if (left->len == owners->len)
		return 0;
	code = df_kube_build(e->r->arena, &patch, err,
			     "[{'op':'replace','path':'/metadata/resourceVersion','value':%v},"
			     "{'op':'replace','path':'/metadata/ownerReferences','value':%v}]",
			     df_kube_at(e->live, "metadata", "resourceVersion", NULL), left);
	if (code != 0)
		return code;
	return df_kube_patch(e->r->client, e->r->ctx, &e->ref, DF_KUBE_JSON_PATCH, patch, e->r->arena, &e->live, err);
}

/* 0: it may be written. */
static int check_owner(struct ensure *e, bool *ret_taken, struct df_error *err)
{
	enum whose is = whose(e);

	*ret_taken = is == TAKEN;
	if (is == FOREIGN)
		return conflict(e, err);
	if (is == OLDER)
		return collecting(e, "belongs to a deleted resource of this name", err);
	if (df_kube_at(e->live, "metadata", "deletionTimestamp", NULL))
		return collecting(e, "is being deleted", err);
	return 0;
}

/* ---- what it shall be ------------------------------------------------------------------------------------ */

/* The member object of that key, made when it is missing. NULL: out of memory. */
static struct df_value *object_in(struct df_value *object, const char *key, struct df_arena *arena)
{
	struct df_value *v = df_object_get_c(object, key);

	if (v)
		return v;
	v = df_value_new(arena, DF_OBJECT);
	if (v)
		df_object_set(object, df_str_c(key), v);
	return v;
}

static int add_owner(struct ensure *e, struct df_value *metadata, struct df_error *err)
{
	struct df_value *owners;
	int code = df_kube_build(e->r->arena, &owners, err,
				 "[{'apiVersion':%s,'kind':%s,'name':%s,'uid':%s,'controller':true,"
				 "'blockOwnerDeletion':false}]",
				 DF_API_VERSION, kinds[e->resource->kind], e->resource->name, e->resource->uid);

	if (code == 0)
		df_object_set(metadata, DF_STR("ownerReferences"), owners);
	return code;
}

static int hash_object(struct ensure *e, struct df_error *err)
{
	struct df_buf buf = { 0 };

	df_value_sort_keys(e->object);
	df_value_write(e->object, &buf);
	if (!buf.failed)
		df_sha256_hex(df_buf_str(&buf), e->hash);
	df_buf_done(&buf);
	return buf.failed ? df_error_no_memory(err) : 0;
}

/* The owner, and the hash of all that is applied but itself. Done to it once before, or not: the same comes out. */
static int complete(struct ensure *e, struct df_error *err)
{
	struct df_arena *arena = e->r->arena;
	struct df_value *metadata = object_in(e->object, "metadata", arena), *annotations, *stamp;
	int code;

	annotations = metadata ? object_in(metadata, "annotations", arena) : NULL;
	if (!annotations)
		return df_error_no_memory(err);
	stamp = df_object_get_c(annotations, DF_ANNOTATION_APPLIED);
	if (stamp)
		df_container_remove(annotations, df_container_prev(annotations, stamp), stamp);
	code = add_owner(e, metadata, err);
	if (code == 0)
		code = hash_object(e, err);
	if (code != 0)
		return code;
	stamp = df_value_string_copy(arena, df_str_c(e->hash));
	if (!stamp)
		return df_error_no_memory(err);
	df_object_set(annotations, DF_STR(DF_ANNOTATION_APPLIED), stamp);
	return 0;
}

/* ---- writing --------------------------------------------------------------------------------------------- */

/* The hash is among what is wanted. Without it, what is wanted no more would stay. */
static bool is_as_wanted(const struct ensure *e)
{
	return e->kind == &df_kube_jobs || df_contains(e->live, e->object);
}

/* "field is immutable" may be far behind, after a whole pod template. */
static int explain(const struct ensure *e, struct df_error *err)
{
	if (df_kube_is(err, "Invalid") && e->live &&
	    (strstr(err->text, "immutable") || strstr(err->text, "cannot change roleRef") ||
	     strstr(err->text, "spec.selector: Invalid value"))) {
		df_error_prefix(err,
				"%s %s was made differently and cannot be changed into what it shall be; it is made "
				"anew after: kubectl -n %s delete %s %s",
				e->kind->kind, e->name, e->resource->namespace, e->kind->plural, e->name);
		df_error_remote(err, "Invalid");
	}
	return err->code;
}

/* *ret false and 0: somebody was faster. */
static int create(struct ensure *e, bool *ret, struct df_error *err)
{
	struct df_error why = DF_ERROR_INIT;
	int code = df_kube_create(e->r->client, e->r->ctx, &e->ref, e->object, e->r->arena, &e->live, &why);

	*ret = code == 0;
	if (code == 0)
		note(e, e->hash);
	if (code == 0 || df_kube_is(&why, "AlreadyExists"))
		return 0;
	if (err)
		*err = why;
	return code;
}

static int apply(struct ensure *e, bool taken, struct df_error *err)
{
	struct df_error why = DF_ERROR_INIT;
	int code = 0;

	if (taken)
		code = drop_older_owners(e, err);
	/* Of the checkpoint nothing must become ours that we do not apply: it would be taken away, position included.
	 */
	if (code == 0 && e->live && !e->checkpoint)
		code = df_upgrade_managed_fields(e->r, e->kind, e->live, taken, err);
	if (code != 0)
		return code;
	code = df_kube_apply(e->r->client, e->r->ctx, &e->ref, e->object, e->r->arena, &e->live, &why);
	if (code != 0) {
		code = explain(e, &why);
		if (err)
			*err = why;
		return code;
	}
	note(e, e->hash);
	if (taken)
		df_event(e->r, e->resource->object, false, "Adopted", "Adopted %s %s", e->kind->kind, e->name);
	return 0;
}

/* live is from a cache, which may be behind, so that what is written is decided on what the API says now. */
static int update(struct ensure *e, enum df_ensured *ret, struct df_error *err)
{
	bool taken = false, existed;
	int code = 0;

	if (!(e->live && whose(e) == OURS && is_as_wanted(e)))
		code = get_fresh(e, err);
	if (code == 0 && e->live)
		code = check_owner(e, &taken, err);
	if (code != 0)
		return code;
	existed = e->live != NULL;
	if (existed && !taken && is_as_wanted(e)) {
		note(e, e->hash);
		*ret = DF_ENSURED_SAME;
		return 0;
	}
	*ret = existed ? DF_ENSURED_UPDATED : DF_ENSURED_CREATED;
	return apply(e, taken, err);
}

static int ensure(struct ensure *e, enum df_ensured *ret, struct df_error *err)
{
	bool created = false;
	int code = get_cached(e, err);

	if (code == 0 && is_missing(e))
		code = create(e, &created, err);
	if (code == 0 && created)
		*ret = DF_ENSURED_CREATED;
	return code != 0 || created ? code : update(e, ret, err);
}

int df_ensure(struct df_reconcile *r, const struct df_resource *resource, const struct df_kube_resource *kind,
	      struct df_value *object, enum df_ensured *ret, struct df_value **ret_live, struct df_error *err)
{
	struct df_str name = df_kube_text(object, r->arena, "metadata", "name", NULL);
	struct df_error why = DF_ERROR_INIT;
	struct ensure e;
	int code;

	*ret = DF_ENSURED_SAME;
	if (ret_live)
		*ret_live = NULL;
	code = start(r, resource, kind, name.ptr ? df_arena_dup(r->arena, name).ptr : NULL, &e, &why);
	e.object = object;
	if (code == 0)
		code = complete(&e, &why);
	if (code == 0 && !verified(&e, e.hash))
		code = ensure(&e, ret, &why);
	if (code == 0 && ret_live)
		*ret_live = e.live;
	if (code != 0 && err)
		*err = why;
	return code;
}

/* ---- taking away ----------------------------------------------------------------------------------------- */

int df_ensure_gone(struct df_reconcile *r, const struct df_resource *resource, const struct df_kube_resource *kind,
		   const char *name, bool *ret_existed, struct df_error *err)
{
	struct df_kube_delete_options options = { .propagation = "Background", .grace_seconds = -1 };
	struct ensure e;
	int code;

	if (ret_existed)
		*ret_existed = false;
	code = start(r, resource, kind, name, &e, err);
	if (code != 0 || verified(&e, ""))
		return code;
	code = get(&e, err);
	if (code == 0 && e.live && whose(&e) == OURS) {
		options.uid = df_arena_dup(r->arena, df_kube_text(e.live, r->arena, "metadata", "uid", NULL)).ptr;
		code = options.uid ? df_kube_delete(r->client, r->ctx, &e.ref, &options, ret_existed, err)
				   : df_error_no_memory(err);
	}
	if (code == 0)
		note(&e, "");
	return code;
}

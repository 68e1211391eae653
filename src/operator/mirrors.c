/*
 * A mirror belongs to all flows of its namespace that use the Secret. Each of them applies what it uses (its keys, and
 * itself as an owner) as a field manager of its own, so that the API server keeps the union, and takes away what the
 * last of them gives up.
 */
#include "operator/mirrors.h"

#include "kube/build.h"
#include "operator/ensure.h"
#include "operator/names.h"

#define AGAIN_NS (300 * DF_NS_PER_S)
#define MANAGER_FLOW DF_FIELD_MANAGER "/flow/"
#define MANAGER_CRON DF_FIELD_MANAGER "/cron/"
#define CHART_VALUE "chart value `crossNamespaceSecrets`"

struct mirror {
	struct df_reconcile *r;
	const struct df_resource *resource;
	const char *name;
	const char *manager; /* this resource's */
	const char *denied;  /* what is mounted and not allowed; NULL: nothing */
};

static struct df_kube_ref ref_of(const struct mirror *m)
{
	return (struct df_kube_ref){ &df_kube_secrets, m->r->namespace, m->name, NULL };
}

static const char *manager_of(enum df_manifest_kind kind, const char *name, struct df_arena *arena)
{
	return df_text(arena, "%s%s", kind == DF_KIND_DATAFLOWCRON ? MANAGER_CRON : MANAGER_FLOW, name);
}

/* Made by an operator? One that a person made is left alone. */
static bool is_ours(const struct df_value *mirror)
{
	const struct df_value *owned = df_kube_at(mirror, "metadata", "labels", DF_LABEL_OWNED, NULL);

	return owned && df_value_string_equal(owned, DF_STR("true"));
}

/* ---- who uses it ----------------------------------------------------------------------------------------- */

/* What a manager applied to it; NULL: nothing. */
static const struct df_value *fields_of(const struct df_value *mirror, const char *manager)
{
	const struct df_value *entries = df_kube_at(mirror, "metadata", "managedFields", NULL);

	if (!entries || entries->kind != DF_ARRAY)
		return NULL;
	df_for_each (entry, entries) {
		const struct df_value *name = df_object_get_c(entry, "manager");
		const struct df_value *how = df_object_get_c(entry, "operation");

		if (name && how && df_value_string_equal(name, df_str_c(manager)) &&
		    df_value_string_equal(how, DF_STR("Apply")))
			return df_object_get_c(entry, "fieldsV1");
	}
	return NULL;
}

static bool has_owner(const struct df_value *mirror, const char *uid)
{
	const struct df_value *owners = df_kube_at(mirror, "metadata", "ownerReferences", NULL);

	if (!owners || owners->kind != DF_ARRAY)
		return false;
	df_for_each (owner, owners) {
		const struct df_value *its = df_object_get_c(owner, "uid");

		if (its && df_value_string_equal(its, df_str_c(uid)))
			return true;
	}
	return false;
}

bool df_mirror_is_current(const struct df_value *mirror, const struct df_value *data, const char *uid,
			  const char *manager)
{
	const struct df_value *live = df_object_get_c(mirror, "data");
	const struct df_value *managed = df_object_get_c(fields_of(mirror, manager), "f:data");
	size_t keys = 0;

	if (!managed || !is_ours(mirror) || !has_owner(mirror, uid))
		return false;
	df_for_each (field, managed)
		keys += df_str_starts(df_value_key(field), DF_STR("f:"));
	df_for_each (wanted, data) {
		const struct df_value *has = df_object_get(live, df_value_key(wanted));
		bool found = false;

		df_for_each (field, managed) {
			struct df_str key = df_value_key(field);

			found = found || (df_str_starts(key, DF_STR("f:")) &&
					  df_str_equal(df_str(key.ptr + 2, key.len - 2), df_value_key(wanted)));
		}
		if (!found || !has || !df_value_equal(has, wanted))
			return false;
	}
	return keys == data->len;
}

/* ---- writing --------------------------------------------------------------------------------------------- */

static int apply(const struct mirror *m, const char *manager, const struct df_value *object, struct df_value **ret_live,
		 struct df_error *err)
{
	const char *before = df_kube_client_manager(m->r->client, manager);
	const struct df_kube_ref ref = ref_of(m);
	int code = df_kube_apply(m->r->client, m->r->ctx, &ref, object, m->r->arena, ret_live, err);

	df_kube_client_manager(m->r->client, before);
	return code;
}

static int apply_keys(const struct mirror *m, const struct df_value *data, struct df_error *err)
{
	const struct df_resource *resource = m->resource;
	struct df_value *object;
	int code = df_kube_build(m->r->arena, &object, err,
				 "{'apiVersion':'v1','kind':'Secret','type':'Opaque','metadata':{'name':%s,"
				 "'namespace':%s,'labels':{'" DF_LABEL_OWNED "':'true',"
				 "'app.kubernetes.io/name':'dataflow-processor',"
				 "'app.kubernetes.io/managed-by':'" DF_FIELD_MANAGER "'},"
				 "'ownerReferences':[{'apiVersion':'" DF_API_VERSION "','kind':%s,'name':%s,'uid':%s,"
				 "'blockOwnerDeletion':false}]},'data':%v}",
				 m->name, m->r->namespace,
				 resource->kind == DF_KIND_DATAFLOWCRON ? "DataFlowCron" : "DataFlow", resource->name,
				 resource->uid, data);

	return code < 0 ? code : apply(m, m->manager, object, NULL, err);
}

/* The manager has no fields any more; a mirror that nobody uses goes. */
static int release(const struct mirror *m, const char *manager, struct df_error *err)
{
	const struct df_kube_ref ref = ref_of(m);
	struct df_value *object, *live;
	int code = df_kube_build(m->r->arena, &object, err,
				 "{'apiVersion':'v1','kind':'Secret','metadata':{'name':%s,'namespace':%s}}", m->name,
				 m->r->namespace);
	struct df_kube_delete_options options = { .grace_seconds = -1 };

	if (code == 0)
		code = apply(m, manager, object, &live, err);
	if (code < 0)
		return code;
	options.uid = df_arena_dup(m->r->arena, df_kube_text(live, m->r->arena, "metadata", "uid", NULL)).ptr;
	if (!options.uid)
		return df_error_no_memory(err);
	if (df_object_get_c(live, "data"))
		return 0;
	return df_kube_delete(m->r->client, m->r->ctx, &ref, &options, NULL, err);
}

/* Flows that were deleted leave their keys behind when others still use the mirror: garbage collection only takes them
 * out of its owners. */
static int release_gone(const struct mirror *m, const struct df_value *mirror, struct df_error *err)
{
	static const struct {
		struct df_str prefix;
		enum df_watched what;
	} kinds[] = { { DF_STR(MANAGER_FLOW), DF_WATCH_DATAFLOWS }, { DF_STR(MANAGER_CRON), DF_WATCH_DATAFLOWCRONS } };
	const struct df_value *entries = df_kube_at(mirror, "metadata", "managedFields", NULL);
	int code = 0;

	if (!entries || entries->kind != DF_ARRAY)
		return 0;
	df_for_each (entry, entries) {
		struct df_str manager = df_kube_text(entry, m->r->arena, "manager", NULL);

		for (size_t i = 0; i < DF_ARRAY_SIZE(kinds); i++) {
			struct df_str name;
			struct df_value *user;

			if (!df_str_starts(manager, kinds[i].prefix) || df_str_equal_c(manager, m->manager))
				continue;
			manager = df_arena_dup(m->r->arena, manager);
			if (!manager.ptr)
				return df_error_no_memory(err);
			name = df_str(manager.ptr + kinds[i].prefix.len, manager.len - kinds[i].prefix.len);
			code = df_watched_get(m->r, kinds[i].what, m->r->namespace, name.ptr, &user, err);
			if (code == 0 && !user)
				code = release(m, manager.ptr, err);
			if (code < 0)
				return code;
		}
	}
	return 0;
}

/* ---- one reference --------------------------------------------------------------------------------------- */

/* The used keys of the Secret, in base64 as they come. */
static int read_source(const struct mirror *m, const struct df_secret_use *use, struct df_value **ret,
		       struct df_error *err)
{
	const struct df_kube_ref ref = { &df_kube_secrets, use->namespace, use->name, NULL };
	struct df_arena *arena = m->r->arena;
	struct df_value *secret;
	int code = df_kube_get(m->r->client, m->r->ctx, &ref, arena, &secret, err);

	if (code < 0 && df_kube_is(err, "Forbidden"))
		return df_error_set(err, DF_ERR_AUTH,
				    "the operator may not read the Secret %s in namespace %s: " CHART_VALUE
				    " makes the Role for that",
				    use->name, use->namespace);
	if (code == 0)
		code = df_references_keys(use, use->namespace, secret, err);
	if (code < 0)
		return code;
	*ret = df_value_new(arena, DF_OBJECT);
	for (size_t i = 0; *ret && i < use->key_count; i++) {
		struct df_value *copy = df_value_clone(df_kube_at(secret, "data", use->keys[i], NULL), arena);

		if (!copy)
			return df_error_no_memory(err);
		df_object_append(*ret, df_str_c(use->keys[i]), copy);
	}
	return *ret ? 0 : df_error_no_memory(err);
}

static int ensure(const struct mirror *m, const struct df_secret_use *use, struct df_error *err)
{
	const struct df_kube_ref ref = ref_of(m);
	struct df_value *data = NULL, *mirror = NULL;
	int code = read_source(m, use, &data, err);

	if (code == 0)
		code = df_kube_get(m->r->client, m->r->ctx, &ref, m->r->arena, &mirror, err);
	if (code == 0 && mirror && !is_ours(mirror))
		return df_error_set(err, DF_ERR_CONFIG,
				    "the Secret %s in namespace %s is where the operator copies %s/%s to, but it did "
				    "not make it: delete it",
				    m->name, m->r->namespace, use->namespace, use->name);
	if (code == 0 && mirror)
		code = release_gone(m, mirror, err);
	if (code == 0 && !(mirror && df_mirror_is_current(mirror, data, m->resource->uid, m->manager)))
		code = apply_keys(m, data, err);
	if (code < 0 && df_kube_is(err, "Forbidden"))
		return df_error_set(err, DF_ERR_AUTH,
				    "the operator may not write the Secret %s in namespace %s: " CHART_VALUE
				    " makes the Role for that",
				    m->name, m->r->namespace);
	return code;
}

/* ---- those that are used no more ------------------------------------------------------------------------- */

/* Where we may no longer delete it, a person must: the chart took the Role away with the permission. */
static int told(const struct mirror *m, int code, struct df_error *err)
{
	if (code < 0 && df_kube_is(err, "Forbidden")) {
		df_warn(&m->r->logger,
			"the operator may no longer touch the Secret %s, which is of no more use: delete it", m->name);
		return 0;
	}
	return code;
}

/* Nobody of this namespace may use it any more. */
static int drop(const struct mirror *m, struct df_error *err)
{
	const struct df_kube_ref ref = ref_of(m);
	struct df_value *mirror;
	int code = df_kube_get(m->r->client, m->r->ctx, &ref, m->r->arena, &mirror, err);

	if (code == 0 && mirror && is_ours(mirror))
		code = df_kube_delete(m->r->client, m->r->ctx, &ref, NULL, NULL, err);
	return told(m, code, err);
}

static int give_up(const struct mirror *m, struct df_error *err)
{
	const struct df_kube_ref ref = ref_of(m);
	struct df_value *mirror;
	int code = df_kube_get(m->r->client, m->r->ctx, &ref, m->r->arena, &mirror, err);

	if (code == 0 && mirror && fields_of(mirror, m->manager))
		code = release(m, m->manager, err);
	return told(m, code, err);
}

static bool uses(const struct df_resource *resource, struct df_str mirror, struct df_arena *arena)
{
	for (size_t i = 0; i < resource->secret_count; i++) {
		const struct df_secret_use *use = &resource->secrets[i];

		if (use->namespace && df_str_equal_c(mirror, df_mirror_name(use->namespace, use->name, arena)))
			return true;
	}
	return false;
}

/* The workload as it is: what it mounts is what was used before. */
static int get_workload(const struct mirror *m, struct df_value **ret, struct df_error *err)
{
	struct df_reconcile *r = m->r;
	bool cron = m->resource->kind == DF_KIND_DATAFLOWCRON;
	const char *name = df_object_name(DF_NAME_WORKLOAD, m->resource->kind, m->resource->name, r->arena);

	return name ? df_watched_get(r, cron ? DF_WATCH_CRONJOBS : DF_WATCH_DEPLOYMENTS, r->namespace, name, ret, err)
		    : df_error_no_memory(err);
}

/* Calls fn for each mirror that the pods of the workload (NULL: there is none) mount; m->name is its name. */
static int each_mounted(struct mirror *m, const struct df_value *workload,
			int (*fn)(struct mirror *m, struct df_error *err), struct df_error *err)
{
	struct df_arena *arena = m->r->arena;
	bool cron = m->resource->kind == DF_KIND_DATAFLOWCRON;
	const struct df_value *pod =
		cron ? df_kube_at(workload, "spec", "jobTemplate", "spec", "template", "spec", NULL)
		     : df_kube_at(workload, "spec", "template", "spec", NULL);
	const struct df_value *volumes = df_object_get_c(pod, "volumes");

	if (!volumes || volumes->kind != DF_ARRAY)
		return 0;
	df_for_each (volume, volumes) {
		const struct df_value *sources = df_kube_at(volume, "projected", "sources", NULL);

		for (const struct df_value *s = sources && sources->kind == DF_ARRAY ? sources->first : NULL; s;
		     s = s->next) {
			struct df_str secret = df_kube_text(s, arena, "secret", "name", NULL);
			int code;

			if (!df_str_starts(secret, DF_STR(DF_MIRROR_PREFIX)))
				continue;
			m->name = df_arena_dup(arena, secret).ptr;
			code = m->name ? fn(m, err) : df_error_no_memory(err);
			if (code < 0)
				return code;
		}
	}
	return 0;
}

static int give_up_unused(struct mirror *m, struct df_error *err)
{
	return uses(m->resource, df_str_c(m->name), m->r->arena) ? 0 : give_up(m, err);
}

/* The workload is changed after this step. */
static int give_up_old(struct mirror *m, struct df_error *err)
{
	struct df_value *workload;
	int code = get_workload(m, &workload, err);

	return code < 0 ? code : each_mounted(m, workload, give_up_unused, err);
}

static int drop_denied(struct mirror *m, struct df_error *err)
{
	struct df_str namespace, secret, its = df_str_c(m->r->namespace);

	if (!df_mirror_parse(m->name, &namespace, &secret) ||
	    df_operator_allows(m->r->settings, its, namespace, secret))
		return 0;
	if (!m->denied)
		m->denied = df_text(m->r->arena,
				    "the Secret " DF_STR_FMT " of namespace " DF_STR_FMT
				    ", which is not allowed any more (" CHART_VALUE ")",
				    DF_STR_ARG(secret), DF_STR_ARG(namespace));
	return m->denied ? drop(m, err) : df_error_no_memory(err);
}

/* ---- all ------------------------------------------------------------------------------------------------- */

static int one(struct mirror *m, const struct df_secret_use *use, bool allowed, struct df_error *err)
{
	struct df_reconcile *r = m->r;

	if (df_operator_allows(r->settings, df_str_c(r->namespace), df_str_c(use->namespace), df_str_c(use->name)) !=
	    allowed)
		return 0;
	m->name = df_mirror_name(use->namespace, use->name, r->arena);
	if (!m->name)
		return df_error_no_memory(err);
	if (!allowed)
		return drop(m, err);
	df_reconcile_again(r, AGAIN_NS);
	return ensure(m, use, err);
}

/* Those of the references that are allowed, or those that are not. */
static int each(struct mirror *m, bool allowed, struct df_error *err)
{
	int code = m->manager ? 0 : df_error_no_memory(err);

	for (size_t i = 0; code == 0 && i < m->resource->secret_count; i++)
		if (m->resource->secrets[i].namespace)
			code = one(m, &m->resource->secrets[i], allowed, err);
	return code;
}

static struct mirror mirror_of(struct df_reconcile *r, const struct df_resource *resource)
{
	return (struct mirror){ .r = r,
				.resource = resource,
				.manager = manager_of(resource->kind, resource->name, r->arena) };
}

int df_mirrors_ensure(struct df_reconcile *r, const struct df_resource *resource, struct df_error *err)
{
	struct mirror m = mirror_of(r, resource);
	struct df_error why = DF_ERROR_INIT; /* err may be NULL, and reasons are looked at */
	int code = each(&m, true, &why);

	if (code == 0)
		code = give_up_old(&m, &why);
	if (code < 0 && err)
		*err = why;
	return code;
}

int df_mirrors_revoke(struct df_reconcile *r, const struct df_resource *resource, struct df_error *err)
{
	struct mirror m = mirror_of(r, resource);
	struct df_error why = DF_ERROR_INIT;
	int code = each(&m, false, &why);

	if (code < 0 && err)
		*err = why;
	return code;
}

int df_mirrors_revoke_mounted(struct df_reconcile *r, const struct df_resource *resource, const char **ret_denied,
			      struct df_error *err)
{
	struct mirror m = mirror_of(r, resource);
	struct df_error why = DF_ERROR_INIT;
	struct df_value *workload;
	int code = get_workload(&m, &workload, &why);

	if (code == 0 && df_ensure_is_ours(r, resource, workload))
		code = each_mounted(&m, workload, drop_denied, &why);
	*ret_denied = m.denied;
	if (code < 0 && err)
		*err = why;
	return code;
}

#include "operator/runs.h"

#include "kube/build.h"
#include "operator/ensure.h"
#include "operator/events.h"
#include "operator/names.h"

struct runs {
	struct df_reconcile *r;
	const struct df_objects_of *of;
	bool behind; /* a Job is not as it was seen */
};

static struct df_kube_ref job_ref(const struct runs *c, const char *name)
{
	return (struct df_kube_ref){ .resource = &df_kube_jobs, .namespace = c->r->namespace, .name = name };
}

/* A Job that is gone or another one by now is seen so soon. */
static int unless_behind(struct runs *c, int code, const struct df_error *why)
{
	if (code == 0 || !(df_kube_is(why, "Conflict") || df_kube_is(why, "NotFound")))
		return code;
	c->behind = true;
	return 0;
}

/* ---- patch ----------------------------------------------------------------------------------------------- */

static int patch(struct runs *c, const struct df_chain_action *a, struct df_error *err)
{
	struct df_kube_ref ref = job_ref(c, a->job);
	struct df_value *body, *suspend = NULL;
	int code = 0;

	if (a->suspend != DF_CHAIN_AS_IT_IS)
		code = df_kube_build(c->r->arena, &suspend, err, "%b", a->suspend == DF_CHAIN_SUSPEND);
	if (code == 0)
		code = df_kube_build(c->r->arena, &body, err,
				     "{'metadata':{'uid':%s,'resourceVersion':%s,'labels':{'" DF_LABEL_RUN "':%s},"
				     "'annotations':{'" DF_ANNOTATION_CHAIN "':%s}},'spec':{'suspend':%v}}",
				     a->uid, a->version, a->run_id, a->mark, suspend);
	return code < 0 ? code
			: df_kube_patch(c->r->client, c->r->ctx, &ref, DF_KUBE_MERGE_PATCH, body, c->r->arena, NULL,
					err);
}

/* ---- create ---------------------------------------------------------------------------------------------- */

static bool text_is(const struct df_value *v, const char *text)
{
	return v && v->kind == DF_STRING && df_value_string_equal(v, df_str_c(text));
}

/* Still of that version? Asked of the server: a create has no condition of its own. */
static int check(struct runs *c, const char *job, const char *version, struct df_error *err)
{
	struct df_kube_ref ref = job_ref(c, job);
	struct df_value *live = NULL;
	int code = job ? df_kube_get(c->r->client, c->r->ctx, &ref, c->r->arena, &live, err) : 0;

	if (code == 0 && job && !text_is(df_kube_at(live, "metadata", "resourceVersion", NULL), version))
		c->behind = true;
	return code;
}

/* A trigger Job belongs to the DataFlowCron: it outlives neither that nor, by what df_chain says, its processor Job. */
static int own(struct runs *c, struct df_value *job, struct df_error *err)
{
	struct df_value *owners, *metadata = df_object_get_c(job, "metadata");
	int code = df_kube_build(c->r->arena, &owners, err,
				 "[{'apiVersion':'" DF_API_VERSION "','kind':'DataFlowCron','name':%s,'uid':%s,"
				 "'controller':true,'blockOwnerDeletion':false}]",
				 c->r->name, c->of->resource->uid);

	if (code == 0)
		df_object_set(metadata, DF_STR("ownerReferences"), owners);
	return code;
}

/* A Job of that name is there. Ours: made before the operator ended, or not in the cache yet. */
static int check_existing(struct runs *c, const struct df_chain_action *a, const struct df_kube_ref *ref,
			  struct df_error *err)
{
	struct df_value *live;
	int code = df_kube_get(c->r->client, c->r->ctx, ref, c->r->arena, &live, err);

	if (code < 0 || !live)
		return code;
	if (text_is(df_kube_at(live, "metadata", "labels", DF_LABEL_CRON, NULL), c->r->name) &&
	    text_is(df_kube_at(live, "metadata", "labels", DF_LABEL_RUN, NULL), a->run_id))
		return 0;
	code = df_error_set(err, DF_ERR_CONFIG, "Job %s exists and is not of this DataFlowCron: delete or rename it",
			    ref->name);
	df_error_remote(err, DF_CONFLICT);
	df_event(c->r, c->of->resource->object, true, DF_CONFLICT, "%s", err->text);
	return code;
}

static int make(struct runs *c, const struct df_chain_action *a, struct df_error *err)
{
	const char *name = df_trigger_job_name(c->r->name, a->run_id, a->index, c->r->arena);
	struct df_kube_ref ref = job_ref(c, name);
	struct df_error why = DF_ERROR_INIT;
	struct df_value *job;
	int code =
		name ? df_object_trigger_job(c->of, a->processor_job, a->index, &job, &why) : df_error_no_memory(&why);

	if (code == 0)
		code = own(c, job, &why);
	if (code == 0)
		code = df_kube_create(c->r->client, c->r->ctx, &ref, job, c->r->arena, NULL, &why);
	if (code < 0 && df_kube_is(&why, "AlreadyExists"))
		return check_existing(c, a, &ref, err);
	if (code < 0) {
		*err = why;
		df_error_prefix(err, "trigger Job %s", name ? name : "");
	}
	return code;
}

static int create(struct runs *c, const struct df_chain_action *a, struct df_error *err)
{
	int code = check(c, a->job, a->version, err);

	return code < 0 || c->behind ? code : make(c, a, err);
}

/* ---- delete ---------------------------------------------------------------------------------------------- */

static int drop(struct runs *c, const struct df_chain_action *a, struct df_error *err)
{
	struct df_kube_ref ref = job_ref(c, a->job);
	struct df_kube_delete_options options = { .uid = a->uid,
						  .version = a->version,
						  .propagation = a->with_pods ? "Foreground" : "Background",
						  .grace_seconds = -1 };

	return df_kube_delete(c->r->client, c->r->ctx, &ref, &options, NULL, err);
}

/* ---- all ------------------------------------------------------------------------------------------------- */

static int act(struct runs *c, const struct df_chain_action *a, struct df_error *err)
{
	static int (*const verbs[])(struct runs *, const struct df_chain_action *, struct df_error *) = {
		[DF_CHAIN_PATCH] = patch, [DF_CHAIN_CREATE] = create, [DF_CHAIN_DELETE] = drop
	};
	struct df_error why = DF_ERROR_INIT;
	int code = check(c, a->guard, a->guard_version, &why);

	if (code == 0 && !c->behind)
		code = unless_behind(c, verbs[a->verb](c, a, &why), &why);
	if (code < 0) {
		*err = why;
		return code;
	}
	if (!c->behind && a->reason)
		df_event(c->r, c->of->resource->object, a->warning, a->reason, "%s", a->note);
	return 0;
}

int df_runs_act(struct df_reconcile *r, const struct df_objects_of *of, const struct df_chain_result *chain, bool late,
		bool *ret_behind, struct df_error *err)
{
	struct runs c = { .r = r, .of = of };
	int code = 0;

	for (size_t i = 0; code == 0 && !c.behind && i < chain->action_count; i++)
		if (chain->actions[i].late == late)
			code = act(&c, &chain->actions[i], err);
	*ret_behind = c.behind;
	return code;
}

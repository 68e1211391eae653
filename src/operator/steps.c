#include "operator/steps.h"

#include "operator/ensure.h"
#include "operator/events.h"
#include "operator/internal.h"
#include "operator/mirrors.h"
#include "operator/names.h"
#include "operator/references.h"
#include "operator/status_phase.h"
#include "operator/text.h"

#define CONFLICT_NS (60 * DF_NS_PER_S)
#define COLLECTING_NS (5 * DF_NS_PER_S)
#define REFERENCES_NS (30 * DF_NS_PER_S)

/* ---- objects --------------------------------------------------------------------------------------------- */

int df_step_ensure(struct df_steps *s, const struct df_kube_resource *kind, struct df_value *object,
		   const char *created, const char *updated, const char *what, struct df_value **ret_live,
		   struct df_error *err)
{
	enum df_ensured ensured = DF_ENSURED_SAME;
	struct df_str name = df_kube_text(object, s->r->arena, "metadata", "name", NULL);
	int code = df_ensure(s->r, &s->resource, kind, object, &ensured, ret_live, err);

	if (code < 0)
		return code;
	if (ensured == DF_ENSURED_CREATED && created)
		df_event(s->r, s->resource.object, false, created, "Created %s " DF_STR_FMT, what, DF_STR_ARG(name));
	if (ensured == DF_ENSURED_UPDATED && updated)
		df_event(s->r, s->resource.object, false, updated, "Updated %s " DF_STR_FMT, what, DF_STR_ARG(name));
	return 0;
}

static int ensure_references(struct df_steps *s, struct df_error *err)
{
	return df_references_ensure(s->r, &s->resource, err);
}

static int ensure_spec(struct df_steps *s, struct df_error *err)
{
	struct df_value *object;
	int code = df_object_spec_configmap(&s->of, &object, err);

	return code < 0 ? code
			: df_step_ensure(s, &df_kube_configmaps, object, "ConfigMapCreated", "ConfigMapUpdated",
					 "ConfigMap", NULL, err);
}

static int ensure_checkpoint(struct df_steps *s, struct df_error *err)
{
	struct df_value *object;
	int code;

	if (!s->resource.checkpoint)
		return 0; /* what an earlier spec had stays: it is the position */
	code = df_object_checkpoint_configmap(&s->of, &object, err);
	return code < 0 ? code
			: df_step_ensure(s, &df_kube_configmaps, object, "CheckpointConfigMapCreated", NULL,
					 "checkpoint ConfigMap", NULL, err);
}

/* Was the spec changed since the last status, or was it not ready then, perhaps for a step that failed or waited? Only
 * then can there be objects that are not wanted any more; looking for them each time would cost a request each. */
static bool is_news(const struct df_steps *s)
{
	const struct df_value *object = s->resource.object,
			      *seen = df_kube_at(object, "status", "observedGeneration", NULL);
	int64_t generation;

	return !seen || !df_value_to_int64(seen, &generation) || generation != s->resource.generation ||
	       !df_status_holds(object, "Ready");
}

/* What a processor may do, and the Lease: those of a checkpoint, and what only a position needs. In the order in which
 * they are made. */
static const struct access {
	const struct df_kube_resource *kind;
	int (*make)(const struct df_objects_of *of, struct df_value **ret, struct df_error *err);
	bool position;
} accesses[] = {
	{ &df_kube_leases, df_object_lease, true },
	{ &df_kube_serviceaccounts, df_object_service_account, false },
	{ &df_kube_roles, df_object_role, false },
	{ &df_kube_rolebindings, df_object_role_binding, false },
};

static int ensure_access(struct df_steps *s, struct df_error *err)
{
	struct df_reconcile *r = s->r;
	const char *name = df_object_name(DF_NAME_PROCESSOR, s->resource.kind, r->name, r->arena);
	int code = name ? 0 : df_error_no_memory(err);

	for (size_t i = 0; code == 0 && i < DF_ARRAY_SIZE(accesses); i++) {
		const struct access *a = &accesses[i];
		bool wanted = a->position ? s->resource.position : s->resource.checkpoint;
		struct df_value *object;

		if (wanted)
			code = a->make(&s->of, &object, err);
		if (code == 0 && wanted)
			code = df_ensure(r, &s->resource, a->kind, object, &(enum df_ensured){ 0 }, NULL, err);
		else if (code == 0 && is_news(s))
			code = df_ensure_gone(r, &s->resource, a->kind, name, NULL, err);
	}
	return code;
}

const struct df_step df_step_references = { "references", "SecretResolutionFailed", "resolve secrets",
					    "resolve secrets", ensure_references };
const struct df_step df_step_spec = { "configmap", "ConfigMapFailed", "create or update ConfigMap", "create ConfigMap",
				      ensure_spec };
const struct df_step df_step_checkpoint = { "checkpoint", "CheckpointConfigMapFailed", "create checkpoint ConfigMap",
					    "create checkpoint ConfigMap", ensure_checkpoint };
const struct df_step df_step_access = { "rbac", "ProcessorRBACFailed", "create processor RBAC", "create processor RBAC",
					ensure_access };

/* ---- running --------------------------------------------------------------------------------------------- */

bool df_step_shown(const struct df_reconcile *r, int code, const struct df_error *err)
{
	return code != DF_ERR_CANCELED && code != DF_ERR_NO_MEMORY && !df_kube_is(err, "Conflict") &&
	       !df_context_canceled(r->ctx);
}

/* It stands in the status and in an Event. */
static int show_failure(struct df_steps *s, const struct df_step *step, int code, struct df_error *err)
{
	if (df_kube_is(err, DF_COLLECTING)) {
		s->waiting = "Waiting until the objects of an earlier resource of this name are gone";
		df_reconcile_again(s->r, COLLECTING_NS);
		return 0;
	}
	s->unresolved = step == &df_step_references;
	s->failed = df_text(s->r->arena, "Failed to %s: %s", step->message, err->text);
	if (!s->failed)
		return df_error_no_memory(err);
	if (df_kube_is(err, DF_CONFLICT)) { /* df_ensure has told it */
		df_reconcile_again(s->r, CONFLICT_NS);
		return 0;
	}
	df_event(s->r, s->resource.object, true, step->reason, "Failed to %s: %s", step->event, err->text);
	if (!s->unresolved || df_code_retryable(code))
		return code;
	df_reconcile_again(s->r, REFERENCES_NS);
	return 0;
}

int df_steps_run(struct df_steps *s, const struct df_step *const *steps, size_t n, struct df_error *err)
{
	for (size_t i = 0; i < n && !s->waiting; i++) {
		int code;

		s->r->stage = steps[i]->stage;
		code = steps[i]->run(s, err);
		if (code < 0)
			return df_step_shown(s->r, code, err) ? show_failure(s, steps[i], code, err) : code;
	}
	return 0;
}

/* ---- the spec -------------------------------------------------------------------------------------------- */

/* So long the API server wants to be left alone. What is asked about a failure would make that forgotten. */
static void keep_retry_after(struct df_reconcile *r)
{
	int64_t ns = df_kube_retry_after_ns(r->client);

	if (ns > r->retry_after_ns)
		r->retry_after_ns = ns;
}

/* What stands in the way of that must not hide why it is done. */
static void undone(struct df_steps *s, int code, const struct df_error *why)
{
	if (code == 0)
		return;
	keep_retry_after(s->r);
	if (!df_code_retryable(code)) {
		df_log_error(&s->r->logger, DF_LOG_WARN, why, "a reference is refused; looking after the mirrors");
		df_reconcile_again(s->r, REFERENCES_NS);
		return;
	}
	s->undone = code;
	s->undone_why = *why;
}

static int check_references(struct df_steps *s, struct df_error *err)
{
	df_cleanup(df_diags_done) struct df_diags refused = { 0 };
	struct df_error why = DF_ERROR_INIT;

	df_references_check(s->r->settings, &s->resource, &refused);
	s->refused = refused.errors > 0;
	if (!s->refused)
		return 0;
	s->invalid = df_flow_invalid(&refused, s->r->arena);
	undone(s, df_references_ensure(s->r, &s->resource, &why), &why);
	return s->invalid ? 0 : df_error_no_memory(err);
}

/* The references of an invalid spec cannot be read; what its pods mount is what they were. */
static int check_invalid(struct df_steps *s, struct df_error *err)
{
	struct df_error why = DF_ERROR_INIT;
	const char *denied = NULL;

	s->invalid = df_flow_invalid(&s->resource.diags, s->r->arena);
	undone(s, df_mirrors_revoke_mounted(s->r, &s->resource, &denied, &why), &why);
	s->refused = denied != NULL;
	if (s->invalid && s->refused)
		s->invalid =
			df_text(s->r->arena, "%s; and the processor is stopped, for it reads %s", s->invalid, denied);
	return s->invalid ? 0 : df_error_no_memory(err);
}

/* Sets `invalid` and `refused`. */
static int check(struct df_steps *s, struct df_error *err)
{
	s->r->stage = "validate";
	return s->resource.diags.errors ? check_invalid(s, err) : check_references(s, err);
}

/* ---- the end --------------------------------------------------------------------------------------------- */

static int delete_objects(const struct df_reconciler *how, struct df_steps *s, struct df_error *err)
{
	const struct {
		const struct df_kube_resource *kind;
		enum df_object_name name;
	} objects[] = { { how->workload, DF_NAME_WORKLOAD }, { &df_kube_configmaps, DF_NAME_SPEC } };
	struct df_reconcile *r = s->r;
	bool any = false;
	int code = 0;

	r->stage = "cleanup";
	for (size_t i = 0; code == 0 && i < DF_ARRAY_SIZE(objects); i++) {
		const char *name = df_object_name(objects[i].name, s->resource.kind, r->name, r->arena);
		bool existed = false;

		code = name ? df_ensure_gone(r, &s->resource, objects[i].kind, name, &existed, err)
			    : df_error_no_memory(err);
		any = any || existed;
	}
	if (code < 0 && df_step_shown(r, code, err))
		df_event(r, s->resource.object, true, "CleanupFailed", "Failed to cleanup resources: %s", err->text);
	if (code == 0 && any)
		df_event(r, s->resource.object, false, "ResourcesDeleted", "Deleted %s and ConfigMap", how->what);
	return code;
}

/* ---- status ---------------------------------------------------------------------------------------------- */

struct df_condition df_steps_valid(const struct df_steps *s)
{
	const char *reason = !s->invalid ? "Valid" : s->refused ? "SecretReferenceDenied" : "InvalidSpec";

	return (struct df_condition){ "SpecValid", !s->invalid, reason, s->invalid ? s->invalid : "" };
}

int df_status_add(struct df_value *status, const char *key, struct df_value *value, struct df_error *err)
{
	if (!value)
		return df_error_no_memory(err);
	df_object_set(status, df_str_c(key), value);
	return 0;
}

int df_steps_status(const struct df_steps *s, const char *phase, const char *message,
		    const struct df_condition *conditions, size_t n, struct df_value *maintenance,
		    struct df_value *status, struct df_error *err)
{
	struct df_arena *arena = s->r->arena;
	const struct df_resource *resource = &s->resource;
	const char *guarantee;
	int code = df_status_add(status, "phase", df_value_string(arena, df_str_c(phase)), err);

	if (code == 0)
		code = df_status_add(status, "message", df_value_string(arena, df_str_c(message)), err);
	if (code == 0)
		code = df_status_add(status, "observedGeneration", df_value_int64(arena, resource->generation), err);
	if (code == 0)
		code = df_status_add(
			status, "conditions",
			df_status_conditions(resource->object, conditions, n, resource->generation, s->r->now, arena),
			err);
	if (code == 0 && !resource->diags.errors) {
		guarantee = df_status_guarantee(resource, arena);
		code = df_status_add(status, "deliveryGuarantee",
				     guarantee ? df_value_string(arena, df_str_c(guarantee)) : NULL, err);
	}
	if (code == 0 && maintenance)
		code = df_status_add(status, "maintenanceStatus", maintenance, err);
	return code;
}

static bool in_window(const struct df_value *maintenance)
{
	const struct df_value *v = maintenance ? df_kube_at(maintenance, "inMaintenance", NULL) : NULL;

	return v && v->kind == DF_TRUE;
}

bool df_steps_tell(struct df_steps *s, const char *phase, const char *message, const struct df_value *maintenance)
{
	const struct df_value *object = s->resource.object, *old = df_kube_at(object, "status", "message", NULL);
	bool was = in_window(df_kube_at(object, "status", "maintenanceStatus", NULL)), is = in_window(maintenance);

	if (maintenance && is && !was)
		df_event(s->r, object, false, "MaintenanceStarted",
			 "The maintenance window begins: the processor stops");
	if (maintenance && !is && was)
		df_event(s->r, object, false, "MaintenanceEnded", "The maintenance window is over");
	if (old && df_value_string_equal(old, df_str_c(message)))
		return false;
	df_info(&s->r->logger, "%s: %s", phase, message);
	if (s->invalid)
		df_event(s->r, object, true, s->refused ? "SecretReferenceDenied" : "InvalidSpec", "%s", s->invalid);
	return true;
}

/* ---- all of it ------------------------------------------------------------------------------------------- */

static int clean_up(const struct df_reconciler *how, struct df_steps *s, struct df_error *err)
{
	int code = delete_objects(how, s, err);

	if (code == 0)
		code = how->conclude(s, false, err);
	return code < 0 ? code : df_upgrade_finalizers(s->r, s->resource.object, err);
}

/* A failure that is for people stands in the status. What failed first is what the reconcile is about. */
static int work(const struct df_reconciler *how, struct df_steps *s, struct df_error *err)
{
	struct df_error why = DF_ERROR_INIT;
	int code = how->work(s, err), status;
	const char *stage = s->r->stage;

	if (code < 0)
		keep_retry_after(s->r);
	if (code < 0 && !df_step_shown(s->r, code, err))
		return code;
	status = how->conclude(s, code == 0 && !s->failed && !s->waiting, code < 0 ? &why : err);
	if (code < 0)
		s->r->stage = stage;
	if (code == 0 && status == 0 && s->undone) {
		s->r->stage = df_step_references.stage;
		*err = s->undone_why;
		return s->undone;
	}
	return code < 0 ? code : status;
}

static int reconcile(const struct df_reconciler *how, struct df_steps *s, struct df_error *err)
{
	int code = how->gather(s, err);

	if (code < 0)
		return code;
	if (s->resource.deleting)
		return clean_up(how, s, err);
	s->r->stage = "finalizers";
	code = df_upgrade_finalizers(s->r, s->resource.object, err);
	if (code == 0)
		code = check(s, err);
	return code < 0 ? code : work(how, s, err);
}

int df_steps_reconcile(const struct df_reconciler *how, struct df_reconcile *r, struct df_steps *s,
		       struct df_error *err)
{
	struct df_value *object;
	int code;

	r->stage = "get";
	code = df_watched_get(r, how->watched, r->namespace, r->name, &object, err);
	if (code < 0)
		return code;
	if (!object) {
		df_verified_forget(r->op->verified, r->kind, r->namespace, r->name);
		df_operator_metrics_phase(r->op->metrics, r->kind, r->namespace, r->name, NULL);
		df_counts_gone(r->counts, r->kind, r->namespace, r->name);
		return 0;
	}
	code = df_resource_parse(r->kind, object, r->arena, &s->resource, err);
	s->r = r;
	s->of = (struct df_objects_of){ r->settings, &s->resource, r->arena };
	if (code == 0)
		code = reconcile(how, s, err);
	if (code < 0)
		keep_retry_after(r);
	df_resource_done(&s->resource);
	return code;
}

/*
 * What the API server asks before it stores a resource: an AdmissionReview (admission.k8s.io/v1) to its answer. The
 * checks are those of `dataflow validate`, and what this operator allows.
 */
#include <strings.h>

#include "base/arena.h"
#include "kube/build.h"
#include "operator/names.h"
#include "operator/references.h"
#include "operator/text.h"
#include "operator/webhook.h"

#define RESET_KEY "checkpointReset"
#define REVIEW_VERSION "admission.k8s.io/v1"
/* A person reads the answer, so that what is more than this only says how much it is. */
#define ERRORS_MAX 100
#define WARNINGS_MAX 30
#define TEXT_MAX 1024
/* What the API server puts behind a generateName. */
#define GENERATED_LENGTH 5

static const char *const kinds[] = { [DF_KIND_DATAFLOW] = "DataFlow", [DF_KIND_DATAFLOWCRON] = "DataFlowCron" };

struct review {
	const struct df_operator_settings *settings;
	enum df_manifest_kind kind;
	struct df_arena *arena;
	struct df_value *request, *object;
	struct df_str uid;
};

/* ---- the question ---------------------------------------------------------------------------------------- */

static bool is_text(const struct df_value *object, const char *key, const char *text)
{
	const struct df_value *v = df_object_get_c(object, key);

	return v && df_value_string_equal(v, df_str_c(text));
}

static int read_request(struct review *r, struct df_str text, struct df_error *err)
{
	struct df_value *review;
	int code = df_value_parse_text(text, r->arena, &review, err);

	if (code < 0) {
		df_error_prefix(err, "the review");
		return code;
	}
	if (!is_text(review, "apiVersion", REVIEW_VERSION) || !is_text(review, "kind", "AdmissionReview"))
		return df_error_set(err, DF_ERR_INVALID_DATA, "not an AdmissionReview of " REVIEW_VERSION);
	r->request = df_object_get_c(review, "request");
	r->uid = df_kube_text(r->request, r->arena, "uid", NULL);
	if (!r->uid.len)
		return df_error_set(err, DF_ERR_INVALID_DATA, "the review has no request with a uid");
	r->object = df_object_get_c(r->request, "object");
	if (r->object && r->object->kind != DF_OBJECT)
		r->object = NULL;
	return 0;
}

/* Does the new spec differ from the old one by nothing but that it asks for no reset any more (the CRD's default puts
 * `false` there)? That is the operator's own doing, and a flow that is refused today must come out of a reset, too. */
static bool only_ends_reset(const struct df_value *old, const struct df_value *spec)
{
	const struct df_value *is = df_object_get_c(spec, RESET_KEY);

	return df_kube_same_but(old, spec, RESET_KEY) && (!is || is->kind == DF_FALSE);
}

/* What is not looked at: deletions, the status, an object that is going, and one whose spec stays, however wrong it is.
 * Else what was valid once could not even lose a finalizer. */
static bool passes(const struct review *r)
{
	const struct df_value *spec = df_object_get_c(r->object, "spec");
	const struct df_value *old = df_kube_at(r->request, "oldObject", "spec", NULL);
	const struct df_value *deleted = df_kube_at(r->object, "metadata", "deletionTimestamp", NULL);
	const struct df_value *sub = df_object_get_c(r->request, "subResource");
	bool update = is_text(r->request, "operation", "UPDATE");

	if (!update && !is_text(r->request, "operation", "CREATE"))
		return true;
	if (sub && sub->kind == DF_STRING && sub->len)
		return true;
	return update && ((deleted && deleted->kind != DF_NULL) || (spec && old && df_value_equal(spec, old)) ||
			  only_ends_reset(old, spec));
}

/* ---- the checks ------------------------------------------------------------------------------------------ */

/* The API server has set it; a resource of no namespace would make every reference one to another. */
static void fill_in_namespace(const struct review *r)
{
	struct df_value *metadata = df_object_get_c(r->object, "metadata");
	struct df_str namespace = df_kube_text(r->request, r->arena, "namespace", NULL);
	struct df_value *value;

	if (!metadata || metadata->kind != DF_OBJECT || df_object_get_c(metadata, "namespace") || !namespace.ptr)
		return;
	value = df_value_string(r->arena, namespace);
	if (value)
		df_object_append(metadata, DF_STR("namespace"), value);
}

static void check_generated_name(const struct review *r, struct df_resource *resource)
{
	struct df_str prefix = df_kube_text(r->object, r->arena, "metadata", "generateName", NULL);
	size_t max = r->kind == DF_KIND_DATAFLOWCRON ? DF_CRON_NAME_MAX : DF_FLOW_NAME_MAX;
	struct df_place place = { .path = "metadata" };

	if (!resource->name[0] && prefix.len + GENERATED_LENGTH > max)
		df_diag_error(&resource->diags, &place, "generateName",
			      "has %zu characters; the most is %zu, so that the names made of it fit", prefix.len,
			      max - GENERATED_LENGTH);
}

static bool url_has_password(const char *value)
{
	const char *scheme = strstr(value, "://"), *at = scheme ? strchr(scheme, '@') : NULL;
	const char *colon = at ? memchr(scheme + 3, ':', (size_t)(at - scheme - 3)) : NULL;

	return colon && colon + 1 < at;
}

/* A connection string with a password, a key as PEM (else it is a path), any other text that is not to be shown. */
static bool is_credential(const char *path, const char *value)
{
	const char *dot = strrchr(path, '.'), *name = dot ? dot + 1 : path;

	if (strcmp(name, "connectionString") == 0)
		return url_has_password(value) || strcasestr(value, "password=");
	if (strcmp(name, "keyFile") == 0)
		return strstr(value, "-----BEGIN");
	return value[0];
}

static void warn_of_credential(void *arg, const char *path, const char *twin, const char *value)
{
	struct df_place place = { .path = path };

	if (!is_credential(path, value))
		return;
	if (twin)
		df_diag_warning(arg, &place, NULL,
				"is a credential that everyone who may read this resource sees; put it into a Secret "
				"and set `%s`",
				twin);
	else
		df_diag_warning(arg, &place, NULL,
				"holds a credential that everyone who may read this resource sees; use a Secret");
}

/* *ret_denied: nothing is wrong but that references are not allowed. */
static void check(const struct review *r, struct df_resource *resource, bool *ret_denied)
{
	size_t errors;

	check_generated_name(r, resource);
	errors = resource->diags.errors;
	if (errors == 0) {
		df_references_check(r->settings, resource, &resource->diags);
		df_settings_direct_secrets(df_resource_table(r->kind), &resource->spec, warn_of_credential,
					   &resource->diags);
	}
	*ret_denied = errors == 0 && resource->diags.errors > 0;
}

/* ---- the answer ------------------------------------------------------------------------------------------ */

/* Without half a character at its end. */
static struct df_str cut(const char *text)
{
	struct df_str line = df_str_c(text);

	if (line.len > TEXT_MAX)
		for (line.len = TEXT_MAX; line.len > 0 && (line.ptr[line.len] & 0xc0) == 0x80;)
			line.len--;
	return line;
}

/* "path: text" */
static struct df_value *line_of(const struct df_diag *diag, struct df_arena *arena)
{
	bool placed = diag->path && diag->path[0];
	const char *text = df_text(arena, "%s%s%s", placed ? diag->path : "", placed ? ": " : "", diag->text);

	return text ? df_value_string(arena, cut(text)) : NULL;
}

static bool add_line(struct df_value *lines, struct df_value *line)
{
	if (line)
		df_array_append(lines, line);
	return line;
}

/* One line of each error or warning, up to max, then how many more there are. *ret NULL: there is none. */
static int lines_of(const struct df_diags *diags, bool warnings, size_t max, struct df_arena *arena,
		    struct df_value **ret, struct df_error *err)
{
	struct df_value *lines = df_value_new(arena, DF_ARRAY);
	size_t all = 0;
	bool fine = lines;

	for (size_t i = 0; fine && i < diags->count; i++) {
		if (diags->items[i].warning != warnings)
			continue;
		if (all++ < max)
			fine = add_line(lines, line_of(&diags->items[i], arena));
	}
	if (!warnings)
		all = diags->errors; /* also those that are not kept */
	if (fine && all > max) {
		const char *more = df_text(arena, "and %zu more", all - max);

		fine = more && add_line(lines, df_value_string(arena, df_str_c(more)));
	}
	*ret = all ? lines : NULL;
	return fine ? 0 : df_error_no_memory(err);
}

static struct df_str join(const struct df_value *lines, struct df_arena *arena)
{
	struct df_buf buf = { 0 };
	struct df_str text;

	df_for_each (line, lines) {
		df_buf_add_c(&buf, buf.len ? "; " : "");
		df_buf_add_str(&buf, df_value_text(line, arena));
	}
	text = buf.failed ? df_str(NULL, 0) : df_arena_dup(arena, df_buf_str(&buf));
	df_buf_done(&buf);
	return text;
}

/* For clients that show fields one by one: kubectl prints a line for each. */
static int causes_of(const struct df_diags *diags, bool denied, struct df_arena *arena, struct df_value **ret,
		     struct df_error *err)
{
	*ret = df_value_new(arena, DF_ARRAY);
	for (size_t i = 0; *ret && i < diags->count && (*ret)->len < ERRORS_MAX; i++) {
		const struct df_diag *diag = &diags->items[i];
		struct df_value *cause;
		int code;

		if (diag->warning)
			continue;
		code = df_kube_build(arena, &cause, err, "{'reason':%s,'field':%s,'message':%S}",
				     denied ? "FieldValueForbidden" : "FieldValueInvalid", diag->path, cut(diag->text));
		if (code < 0)
			return code;
		df_array_append(*ret, cause);
	}
	return *ret ? 0 : df_error_no_memory(err);
}

static int refusal(const struct review *r, const struct df_resource *resource, bool denied, struct df_value **ret,
		   struct df_error *err)
{
	struct df_value *lines, *causes;
	struct df_str message;
	int code = lines_of(&resource->diags, false, ERRORS_MAX, r->arena, &lines, err);

	if (code == 0)
		code = causes_of(&resource->diags, denied, r->arena, &causes, err);
	if (code < 0)
		return code;
	message = join(lines, r->arena);
	if (!message.ptr)
		return df_error_no_memory(err);
	return df_kube_build(r->arena, ret, err,
			     "{'status':'Failure','code':%d,'reason':%s,'message':%S,'details':{'group':'" DF_API_GROUP
			     "','kind':%s,'name':%s,'causes':%v}}",
			     (int64_t)(denied ? 403 : 422), denied ? "Forbidden" : "Invalid", message, kinds[r->kind],
			     resource->name, causes);
}

static int answer(const struct review *r, const struct df_value *status, const struct df_value *warnings,
		  struct df_buf *ret, struct df_error *err)
{
	struct df_value *review;
	int code = df_kube_build(r->arena, &review, err,
				 "{'apiVersion':'" REVIEW_VERSION "','kind':'AdmissionReview',"
				 "'response':{'uid':%S,'allowed':%b,'status':%v,'warnings':%v}}",
				 r->uid, status == NULL, status, warnings);

	if (code < 0)
		return code;
	df_value_write(review, ret);
	return ret->failed ? df_error_no_memory(err) : 0;
}

static int judge(const struct review *r, struct df_resource *resource, struct df_buf *ret, struct df_error *err)
{
	struct df_value *status = NULL, *warnings;
	bool denied;
	int code;

	check(r, resource, &denied);
	if (resource->diags.failed)
		return df_error_no_memory(err);
	code = lines_of(&resource->diags, true, WARNINGS_MAX, r->arena, &warnings, err);
	if (code == 0 && resource->diags.errors > 0)
		code = refusal(r, resource, denied, &status, err);
	return code < 0 ? code : answer(r, status, warnings, ret, err);
}

static int review(struct review *r, struct df_str text, struct df_buf *ret, struct df_error *err)
{
	struct df_resource resource;
	int code = read_request(r, text, err);

	if (code < 0)
		return code;
	if (passes(r))
		return answer(r, NULL, NULL, ret, err);
	if (!r->object)
		return df_error_set(err, DF_ERR_INVALID_DATA, "the review has no object");
	if (!is_text(r->object, "kind", kinds[r->kind]))
		return df_error_set(err, DF_ERR_INVALID_DATA, "the object is no %s", kinds[r->kind]);
	fill_in_namespace(r);
	code = df_resource_parse_new(r->kind, r->object, r->arena, &resource, err);
	if (code == 0)
		code = judge(r, &resource, ret, err);
	df_resource_done(&resource);
	return code;
}

int df_review(const struct df_operator_settings *settings, enum df_manifest_kind kind, struct df_str request,
	      struct df_buf *ret, struct df_error *err)
{
	df_cleanup(df_arena_done) struct df_arena arena = { 0 };

	return review(&(struct review){ .settings = settings, .kind = kind, .arena = &arena }, request, ret, err);
}

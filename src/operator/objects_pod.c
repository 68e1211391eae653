/* The processor's pod, and the Deployment around it (kubernetes reference, sections 2 and 3). */
#include <stdio.h>

#include "kube/build.h"
#include "operator/objects_internal.h"
#include "operator/text.h"

#define GRACE_REST 10 /* seconds of the grace that are not the flush's: the preStop hook, and a margin */

/* ---- what the chart says of pods ------------------------------------------------------------------------- */

/* A member of the chart value `processor`, or of one of its groups; NULL when it is not said. */
static const struct df_value *said(const struct df_objects_of *of, const char *group, const char *key)
{
	const struct df_value *all = of->settings->processor_defaults;
	const struct df_value *value = df_object_get_c(group ? df_object_get_c(all, group) : all, key);

	return value && value->kind == DF_OBJECT ? value : NULL;
}

/* As RFC 7396, `patch` laid over `target`. A null member stays for now: df_kube_build leaves it out. False: out of
 * memory. */
static bool overlay(struct df_value *target, const struct df_value *patch, struct df_arena *arena)
{
	df_for_each (member, patch) {
		struct df_value *old = df_object_get(target, df_value_key(member)), *copy;

		if (old && old->kind == DF_OBJECT && member->kind == DF_OBJECT) {
			if (!overlay(old, member, arena))
				return false;
			continue;
		}
		copy = df_value_clone(member, arena);
		if (!copy)
			return false;
		df_object_set(target, df_value_key(member), copy);
	}
	return true;
}

int df_objects_security(const struct df_objects_of *of, const char *group, const char *key, const char *defaults,
			struct df_value **ret, struct df_error *err)
{
	const struct df_value *patch = said(of, group, key);
	int code = df_kube_build(of->arena, ret, err, defaults);

	if (code == 0 && patch && !overlay(*ret, patch, of->arena))
		return df_error_no_memory(err);
	return code;
}

/* Labels or annotations: the chart's, over which ours win. */
static int decorated(const struct df_objects_of *of, const char *key, const struct df_value *ours,
		     struct df_value **ret, struct df_error *err)
{
	const struct df_value *theirs = said(of, NULL, key);

	*ret = df_value_new(of->arena, DF_OBJECT);
	if (!*ret || (theirs && !overlay(*ret, theirs, of->arena)) || !overlay(*ret, ours, of->arena))
		return df_error_no_memory(err);
	return 0;
}

/* ---- image ----------------------------------------------------------------------------------------------- */

/* The repository of an image: without tag and digest. A colon before the last slash is a port. */
static struct df_str repository(const char *image)
{
	struct df_str name = df_str(image, strcspn(image, "@"));
	const char *slash = memrchr(name.ptr, '/', name.len);
	const char *base = slash ? slash : name.ptr;
	const char *colon = memchr(base, ':', name.len - (size_t)(base - name.ptr));

	return colon ? df_str(name.ptr, (size_t)(colon - name.ptr)) : name;
}

/* NULL: out of memory. */
static const char *image(const struct df_objects_of *of)
{
	const struct df_dataflow_spec *flow = &of->resource->spec.flow;
	struct df_str name = repository(of->settings->processor_image);

	if (flow->processor_image && flow->processor_image[0])
		return flow->processor_image;
	if (!flow->processor_version || !flow->processor_version[0])
		return of->settings->processor_image;
	return df_text(of->arena, DF_STR_FMT ":%s", DF_STR_ARG(name), flow->processor_version);
}

/* ---- environment ----------------------------------------------------------------------------------------- */

struct env {
	const struct df_objects_of *of;
	struct df_value *list;
	struct df_error *err;
	int code;
};

/* from: a `valueFrom` as it is written, or NULL. */
static void env_add(struct env *env, const char *name, const char *value, const char *from)
{
	struct df_value *source = NULL, *item;

	if (env->code == 0 && from)
		env->code = df_kube_build(env->of->arena, &source, env->err, from);
	if (env->code == 0)
		env->code = df_kube_build(env->of->arena, &item, env->err, "{'name':%s,'value':%s,'valueFrom':%v}",
					  name, value, source);
	if (env->code == 0)
		df_array_append(env->list, item);
}

static void env_number(struct env *env, const char *name, int64_t value)
{
	char digits[DF_NUMBER_MAX + 1];

	digits[df_number_from_int64(value, digits)] = 0;
	env_add(env, name, digits, NULL);
}

/* Where a sink's data files are, under the names that S3 clients look for; of the first sink that says so. */
struct storage {
	const char *endpoint, *region;
};

static const char *text_setting(const struct df_component *sink, const char *name)
{
	const struct df_table *table = sink->type->settings;

	for (size_t i = 0; table && sink->settings && i < table->field_count; i++) {
		const struct df_field *f = &table->fields[i];

		if (f->type == DF_TYPE_STRING && strcmp(f->name, name) == 0)
			return *(char *const *)((const char *)sink->settings + f->offset);
	}
	return NULL;
}

static void find_storage(void *arg, const struct df_component *sink, enum df_sink_role role)
{
	struct storage *s = arg;

	(void)role;
	s->endpoint = s->endpoint ? s->endpoint : text_setting(sink, "s3Endpoint");
	s->region = s->region ? s->region : text_setting(sink, "s3Region");
}

static int64_t flush_seconds(int64_t grace)
{
	return grace > GRACE_REST ? grace - GRACE_REST : 1;
}

static int environment(const struct df_objects_of *of, struct df_value **ret, struct df_error *err)
{
	const struct df_operator_settings *settings = of->settings;
	const struct df_dataflow_spec *flow = &of->resource->spec.flow;
	struct env env = { of, df_value_new(of->arena, DF_ARRAY), err, 0 };
	struct storage storage = { 0 };

	*ret = env.list;
	if (!env.list)
		return df_error_no_memory(err);
	env_add(&env, "LOG_LEVEL", settings->processor_log_level, NULL);
	env_add(&env, "PROCESSOR_PROGRESS_TIMEOUT_SECONDS", settings->processor_progress_timeout, NULL);
	for (size_t i = 0; i < settings->processor_env_count; i++)
		env_add(&env, settings->processor_env[i].name, settings->processor_env[i].value, NULL);
	df_flow_each_sink(flow, find_storage, &storage);
	if (storage.endpoint)
		env_add(&env, "AWS_S3_ENDPOINT", storage.endpoint, NULL);
	if (storage.region)
		env_add(&env, "AWS_REGION", storage.region, NULL);
	env_add(&env, "POD_NAME", NULL, "{'fieldRef':{'fieldPath':'metadata.name'}}");
	env_add(&env, "POD_UID", NULL, "{'fieldRef':{'fieldPath':'metadata.uid'}}");
	env_add(&env, "POD_NAMESPACE", NULL, "{'fieldRef':{'fieldPath':'metadata.namespace'}}");
	env_add(&env, "DATAFLOW_MEMORY_LIMIT_BYTES", NULL,
		"{'resourceFieldRef':{'containerName':'" DF_OBJECT_PROCESSOR "','resource':'limits.memory'}}");
	env_number(&env, "DATAFLOW_SHUTDOWN_GRACE_SECONDS", flush_seconds(flow->termination_grace_period_seconds));
	return env.code;
}

/* ---- volumes --------------------------------------------------------------------------------------------- */

/* The keys of one Secret, as files where src/spec/secrets.h finds them. */
static int secret_items(const struct df_objects_of *of, const struct df_secret_use *use, struct df_value **ret,
			struct df_error *err)
{
	*ret = df_value_new(of->arena, DF_ARRAY);
	if (!*ret)
		return df_error_no_memory(err);
	for (size_t i = 0; i < use->key_count; i++) {
		const char *path = df_text(of->arena, "secrets/%s%s%s/%s", use->name, use->namespace ? "@" : "",
					   use->namespace ? use->namespace : "", use->keys[i]);
		struct df_value *item;
		int code = path ? df_kube_build(of->arena, &item, err, "{'key':%s,'path':%s}", use->keys[i], path)
				: df_error_no_memory(err);

		if (code < 0)
			return code;
		df_array_append(*ret, item);
	}
	return 0;
}

/* A Secret of another namespace comes from its mirror. */
static int secret_source(const struct df_objects_of *of, const struct df_secret_use *use, struct df_value **ret,
			 struct df_error *err)
{
	const char *name = use->namespace ? df_mirror_name(use->namespace, use->name, of->arena) : use->name;
	struct df_value *items;
	int code;

	if (!name)
		return df_error_no_memory(err);
	code = secret_items(of, use, &items, err);
	if (code < 0)
		return code;
	return df_kube_build(of->arena, ret, err, "{'secret':{'name':%s,'optional':false,'items':%v}}", name, items);
}

/* One projected volume for the spec and all secrets, so that they change in one step. */
static int volumes(const struct df_objects_of *of, struct df_value **ret, struct df_error *err)
{
	const char *spec = df_objects_name(of, DF_NAME_SPEC);
	struct df_value *sources, *source;
	int code;

	if (!spec)
		return df_error_no_memory(err);
	code = df_kube_build(of->arena, &sources, err,
			     "[{'configMap':{'name':%s,'items':[{'key':'spec.json','path':'spec.json'}]}}]", spec);
	for (size_t i = 0; code == 0 && i < of->resource->secret_count; i++) {
		code = secret_source(of, &of->resource->secrets[i], &source, err);
		if (code == 0)
			df_array_append(sources, source);
	}
	if (code < 0)
		return code;
	return df_kube_build(of->arena, ret, err,
			     "[{'name':'spec','projected':{'defaultMode':%d,'sources':%v}},"
			     "{'name':'tmp','emptyDir':{'sizeLimit':'64Mi'}}]",
			     (int64_t)0440, sources);
}

/* ---- container ------------------------------------------------------------------------------------------- */

static const char default_resources[] = "{'requests':{'cpu':'100m','memory':'128Mi'},"
					"'limits':{'cpu':'500m','memory':'512Mi'}}";

static int resources(const struct df_objects_of *of, struct df_value **ret, struct df_error *err)
{
	int code = df_objects_raw(of, &of->resource->spec.flow.resources, ret, err);

	return code < 0 || *ret ? code : df_kube_build(of->arena, ret, err, default_resources);
}

static int arguments(const struct df_objects_of *of, struct df_value **ret, struct df_error *err)
{
	const char *namespace = df_text(of->arena, "--namespace=%s", of->resource->namespace);
	const char *name = df_text(of->arena, "--name=%s", of->resource->name);
	bool cron = of->resource->kind == DF_KIND_DATAFLOWCRON;

	if (!namespace || !name)
		return df_error_no_memory(err);
	return df_kube_build(of->arena, ret, err,
			     cron ? "['--spec-path=/etc/dataflow/spec.json',%s,%s,'--once']"
				  : "['--spec-path=/etc/dataflow/spec.json',%s,%s]",
			     namespace, name);
}

/* A processor of a DataFlow may take 20 minutes until it has its first connection. A run has as long as it needs: only
 * that it does not move any more ends it. */
static int startup_probe(const struct df_objects_of *of, struct df_value **ret, struct df_error *err)
{
	*ret = NULL;
	if (of->resource->kind == DF_KIND_DATAFLOWCRON)
		return 0;
	return df_kube_build(of->arena, ret, err,
			     "{'httpGet':{'path':'/readyz','port':'metrics'},'periodSeconds':10,'timeoutSeconds':5,"
			     "'failureThreshold':120}");
}

struct parts {
	struct df_value *args, *env, *resources, *startup, *security;
};

static int container(const struct df_objects_of *of, struct df_value **ret, struct df_error *err)
{
	const char *name = image(of);
	struct parts p;
	int code = name ? arguments(of, &p.args, err) : df_error_no_memory(err);

	if (code == 0)
		code = environment(of, &p.env, err);
	if (code == 0)
		code = resources(of, &p.resources, err);
	if (code == 0)
		code = startup_probe(of, &p.startup, err);
	if (code == 0)
		code = df_objects_security(of, NULL, "securityContext",
					   "{'allowPrivilegeEscalation':false,'capabilities':{'drop':['ALL']},"
					   "'readOnlyRootFilesystem':true}",
					   &p.security, err);
	if (code < 0)
		return code;
	return df_kube_build(
		of->arena, ret, err,
		"{'name':'" DF_OBJECT_PROCESSOR "','image':%s,'command':['/processor'],'args':%v,'env':%v,"
		"'ports':[{'name':'metrics','containerPort':9090,'protocol':'TCP'}],'resources':%v,"
		"'startupProbe':%v,'livenessProbe':{'httpGet':{'path':'/livez','port':'metrics'},'periodSeconds':30,"
		"'timeoutSeconds':5,'failureThreshold':3},"
		"'lifecycle':{'preStop':{'exec':{'command':['/dataflow','sleep','5']}}},'securityContext':%v,"
		"'volumeMounts':[{'name':'spec','mountPath':'/etc/dataflow','readOnly':true},"
		"{'name':'tmp','mountPath':'/tmp'}]}",
		name, p.args, p.env, p.resources, p.startup, p.security);
}

/* ---- pod ------------------------------------------------------------------------------------------------- */

/* What the spec gives the pod as it is. */
struct placement {
	struct df_value *node_selector, *affinity, *tolerations, *pull_secrets;
};

static int placement(const struct df_objects_of *of, struct placement *ret, struct df_error *err)
{
	const struct df_dataflow_spec *flow = &of->resource->spec.flow;
	int code = df_objects_raw(of, &flow->node_selector, &ret->node_selector, err);

	if (code == 0)
		code = df_objects_raw(of, &flow->affinity, &ret->affinity, err);
	if (code == 0)
		code = df_objects_raw(of, &flow->tolerations, &ret->tolerations, err);
	return code < 0 ? code : df_objects_raw(of, &flow->image_pull_secrets, &ret->pull_secrets, err);
}

/* The class as the chart has it; NULL: none. */
static struct df_value *priority(const struct df_objects_of *of)
{
	struct df_value *name = df_object_get_c(of->settings->processor_defaults, "priorityClassName");

	return name && name->kind == DF_STRING && !df_value_string_equal(name, DF_STR("")) ? name : NULL;
}

/*
 * The service account stands there in any case: left out, the API server would keep the one that was there before. Its
 * token is mounted only where there is something to save with it.
 */
static int pod_spec(const struct df_objects_of *of, struct df_value **ret, struct df_error *err)
{
	const struct df_resource *r = of->resource;
	const char *account = r->checkpoint ? df_objects_name(of, DF_NAME_PROCESSOR) : "default";
	struct df_value *security, *processor, *volume_list;
	struct placement place;
	int code = account ? placement(of, &place, err) : df_error_no_memory(err);

	if (code == 0)
		code = df_objects_security(of, NULL, "podSecurityContext", DF_OBJECT_POD_SECURITY, &security, err);
	if (code == 0)
		code = container(of, &processor, err);
	if (code == 0)
		code = volumes(of, &volume_list, err);
	if (code < 0)
		return code;
	return df_kube_build(of->arena, ret, err,
			     "{'serviceAccountName':%s,'automountServiceAccountToken':%b,'enableServiceLinks':false,"
			     "'restartPolicy':%s,'terminationGracePeriodSeconds':%d,'priorityClassName':%v,"
			     "'securityContext':%v,'nodeSelector':%v,'affinity':%v,'tolerations':%v,"
			     "'imagePullSecrets':%v,'containers':[%v],'volumes':%v}",
			     account, r->position, r->kind == DF_KIND_DATAFLOWCRON ? "Never" : "Always",
			     r->spec.flow.termination_grace_period_seconds, priority(of), security, place.node_selector,
			     place.affinity, place.tolerations, place.pull_secrets, processor, volume_list);
}

int df_objects_pod_template(const struct df_objects_of *of, struct df_value **ret, struct df_error *err)
{
	struct df_value *labels, *annotations, *spec;
	int code = df_objects_labels(of, &labels, err);

	if (code == 0)
		code = decorated(of, "labels", labels, &labels, err);
	if (code == 0)
		code = df_kube_build(of->arena, &annotations, err, "{'" DF_ANNOTATION_SPEC_HASH "':%s}",
				     of->resource->spec_hash);
	if (code == 0)
		code = decorated(of, "annotations", annotations, &annotations, err);
	if (code == 0)
		code = pod_spec(of, &spec, err);
	if (code < 0)
		return code;
	return df_kube_build(of->arena, ret, err, "{'metadata':{'labels':%v,'annotations':%v},'spec':%v}", labels,
			     annotations, spec);
}

/* ---- Deployment ------------------------------------------------------------------------------------------ */

/* Sources whose readers share the work can overlap; of any other there must never be two at once. */
static const char *strategy(const struct df_resource *r)
{
	return r->spec.flow.source.type->scales_out
		       ? "{'type':'RollingUpdate','rollingUpdate':{'maxSurge':1,'maxUnavailable':0}}"
		       : "{'type':'Recreate'}";
}

int df_object_deployment(const struct df_objects_of *of, int64_t replicas, struct df_value **ret, struct df_error *err)
{
	struct df_value *metadata, *how, *template;
	int code = df_objects_metadata(of, DF_NAME_WORKLOAD, &metadata, err);

	if (code == 0)
		code = df_kube_build(of->arena, &how, err, strategy(of->resource));
	if (code == 0)
		code = df_objects_pod_template(of, &template, err);
	if (code < 0)
		return code;
	return df_kube_build(of->arena, ret, err,
			     "{'apiVersion':'apps/v1','kind':'Deployment','metadata':%v,'spec':{'replicas':%d,"
			     "'progressDeadlineSeconds':1500,'revisionHistoryLimit':2,'strategy':%v,"
			     "'selector':{'matchLabels':{'app':'" DF_OBJECT_APP "','" DF_LABEL_NAME "':%s,"
			     "'" DF_LABEL_OWNED "':'true'}},'template':%v}}",
			     metadata, replicas, how, of->resource->name, template);
}

/* ConfigMaps and the Lease, and what all objects have in common. */
#include "kube/build.h"
#include "operator/objects_internal.h"

const char *df_objects_name(const struct df_objects_of *of, enum df_object_name which)
{
	return df_object_name(which, of->resource->kind, of->resource->name, of->arena);
}

/*
 * A cron's objects never carry D/name: the Deployment of a DataFlow with the same name selects by it. The
 * app.kubernetes.io ones are for people, and in no selector.
 */
int df_objects_labels(const struct df_objects_of *of, struct df_value **ret, struct df_error *err)
{
	const char *name = of->resource->name;
	bool cron = of->resource->kind == DF_KIND_DATAFLOWCRON;

	return df_kube_build(of->arena, ret, err,
			     "{'app':'" DF_OBJECT_APP "','" DF_LABEL_OWNED "':'true','" DF_LABEL_NAME "':%s,"
			     "'" DF_LABEL_CRON "':%s,'" DF_LABEL_TRIGGER "':%s,'" DF_LABEL_GENERATED "':%s,"
			     "'app.kubernetes.io/name':'" DF_OBJECT_APP "','app.kubernetes.io/instance':%s,"
			     "'app.kubernetes.io/component':'" DF_OBJECT_PROCESSOR "',"
			     "'app.kubernetes.io/managed-by':'dataflow-operator'}",
			     cron ? NULL : name, cron ? name : NULL, cron ? DF_OBJECT_PROCESSOR : NULL,
			     cron ? DF_OBJECT_GENERATED_BY : NULL, name);
}

int df_objects_metadata(const struct df_objects_of *of, enum df_object_name which, struct df_value **ret,
			struct df_error *err)
{
	const char *name = df_objects_name(of, which);
	struct df_value *labels;
	int code;

	if (!name)
		return df_error_no_memory(err);
	code = df_objects_labels(of, &labels, err);
	if (code < 0)
		return code;
	return df_kube_build(of->arena, ret, err, "{'name':%s,'namespace':%s,'labels':%v}", name,
			     of->resource->namespace, labels);
}

int df_objects_raw(const struct df_objects_of *of, const struct df_raw *raw, struct df_value **ret,
		   struct df_error *err)
{
	*ret = NULL;
	if (!raw->json)
		return 0;
	if (df_value_parse(df_str(raw->json, raw->len), of->arena, ret, NULL) != DF_PARSE_OK)
		return df_error_no_memory(err); /* it has been parsed before: it is JSON */
	if ((*ret)->kind == DF_NULL)
		*ret = NULL;
	return 0;
}

/* An object that is its metadata, and maybe data. */
static int plain(const struct df_objects_of *of, const char *api_version, const char *kind, enum df_object_name which,
		 struct df_value *data, struct df_value **ret, struct df_error *err)
{
	struct df_value *metadata;
	int code = df_objects_metadata(of, which, &metadata, err);

	if (code < 0)
		return code;
	return df_kube_build(of->arena, ret, err, "{'apiVersion':%s,'kind':%s,'metadata':%v,'data':%v}", api_version,
			     kind, metadata, data);
}

int df_object_spec_configmap(const struct df_objects_of *of, struct df_value **ret, struct df_error *err)
{
	struct df_value *data;
	int code = df_kube_build(of->arena, &data, err, "{'spec.json':%S}", of->resource->spec_json);

	return code < 0 ? code : plain(of, "v1", "ConfigMap", DF_NAME_SPEC, data, ret, err);
}

int df_object_checkpoint_configmap(const struct df_objects_of *of, struct df_value **ret, struct df_error *err)
{
	return plain(of, "v1", "ConfigMap", DF_NAME_CHECKPOINT, NULL, ret, err);
}

int df_object_lease(const struct df_objects_of *of, struct df_value **ret, struct df_error *err)
{
	return plain(of, "coordination.k8s.io/v1", "Lease", DF_NAME_PROCESSOR, NULL, ret, err);
}

/* Who the processors are, and what they may: their own checkpoint and Lease, and nothing else. */
#include "kube/build.h"
#include "operator/objects_internal.h"

int df_object_service_account(const struct df_objects_of *of, struct df_value **ret, struct df_error *err)
{
	struct df_value *metadata;
	int code = df_objects_metadata(of, DF_NAME_PROCESSOR, &metadata, err);

	if (code < 0)
		return code;
	/* A pod that needs the token asks for it itself. */
	return df_kube_build(of->arena, ret, err,
			     "{'apiVersion':'v1','kind':'ServiceAccount','metadata':%v,"
			     "'automountServiceAccountToken':false}",
			     metadata);
}

int df_object_role(const struct df_objects_of *of, struct df_value **ret, struct df_error *err)
{
	const char *checkpoint = df_objects_name(of, DF_NAME_CHECKPOINT);
	const char *lease = df_objects_name(of, DF_NAME_PROCESSOR);
	struct df_value *metadata;
	int code = df_objects_metadata(of, DF_NAME_PROCESSOR, &metadata, err);

	if (code < 0)
		return code;
	if (!checkpoint || !lease)
		return df_error_no_memory(err);
	return df_kube_build(
		of->arena, ret, err,
		"{'apiVersion':'rbac.authorization.k8s.io/v1','kind':'Role','metadata':%v,'rules':["
		"{'apiGroups':[''],'resources':['configmaps'],'resourceNames':[%s],'verbs':['get','patch','update']},"
		"{'apiGroups':['coordination.k8s.io'],'resources':['leases'],'resourceNames':[%s],"
		"'verbs':['get','patch','update']}]}",
		metadata, checkpoint, lease);
}

int df_object_role_binding(const struct df_objects_of *of, struct df_value **ret, struct df_error *err)
{
	const char *name = df_objects_name(of, DF_NAME_PROCESSOR);
	struct df_value *metadata;
	int code = df_objects_metadata(of, DF_NAME_PROCESSOR, &metadata, err);

	if (code < 0)
		return code;
	if (!name)
		return df_error_no_memory(err);
	return df_kube_build(of->arena, ret, err,
			     "{'apiVersion':'rbac.authorization.k8s.io/v1','kind':'RoleBinding','metadata':%v,"
			     "'roleRef':{'apiGroup':'rbac.authorization.k8s.io','kind':'Role','name':%s},"
			     "'subjects':[{'kind':'ServiceAccount','name':%s,'namespace':%s}]}",
			     metadata, name, name, of->resource->namespace);
}

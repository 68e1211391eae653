#include "kube/client.h"

#define RESOURCE(variable, group_, version_, plural_, kind_, ...)                                           \
	const struct df_kube_resource df_kube_##variable = {                                                \
		.group = (group_), .version = (version_), .plural = (plural_), .kind = (kind_), __VA_ARGS__ \
	}

RESOURCE(dataflows, "dataflow.dataflow.io", "v1", "dataflows", "DataFlow");
RESOURCE(dataflowcrons, "dataflow.dataflow.io", "v1", "dataflowcrons", "DataFlowCron");
RESOURCE(configmaps, "", "v1", "configmaps", "ConfigMap");
RESOURCE(secrets, "", "v1", "secrets", "Secret");
RESOURCE(pods, "", "v1", "pods", "Pod");
RESOURCE(serviceaccounts, "", "v1", "serviceaccounts", "ServiceAccount");
RESOURCE(namespaces, "", "v1", "namespaces", "Namespace", .cluster = true);
RESOURCE(deployments, "apps", "v1", "deployments", "Deployment");
RESOURCE(jobs, "batch", "v1", "jobs", "Job");
RESOURCE(cronjobs, "batch", "v1", "cronjobs", "CronJob");
RESOURCE(roles, "rbac.authorization.k8s.io", "v1", "roles", "Role");
RESOURCE(rolebindings, "rbac.authorization.k8s.io", "v1", "rolebindings", "RoleBinding");
RESOURCE(leases, "coordination.k8s.io", "v1", "leases", "Lease");
RESOURCE(events, "events.k8s.io", "v1", "events", "Event");
RESOURCE(crds, "apiextensions.k8s.io", "v1", "customresourcedefinitions", "CustomResourceDefinition", .cluster = true);
RESOURCE(webhooks, "admissionregistration.k8s.io", "v1", "validatingwebhookconfigurations",
	 "ValidatingWebhookConfiguration", .cluster = true);
RESOURCE(token_reviews, "authentication.k8s.io", "v1", "tokenreviews", "TokenReview", .cluster = true);
RESOURCE(access_reviews, "authorization.k8s.io", "v1", "subjectaccessreviews", "SubjectAccessReview", .cluster = true);
RESOURCE(self_access_reviews, "authorization.k8s.io", "v1", "selfsubjectaccessreviews", "SelfSubjectAccessReview",
	 .cluster = true);

{{/* What the operator may do where flows are: in the whole cluster, or in each of watchNamespaces. No wildcard, no Secrets, no writes on
     pods; of RBAC only what it hands on, which RBAC holds it to by itself. */}}
{{- define "dataflow.rules" -}}
- apiGroups: [dataflow.dataflow.io]
  resources: [dataflows, dataflowcrons]
  verbs: [get, list, watch, patch] # patch: clear checkpointReset, drop finalizers of old
- apiGroups: [dataflow.dataflow.io]
  resources: [dataflows/status, dataflowcrons/status]
  verbs: [patch]
- apiGroups: [""]
  resources: [configmaps]
  verbs: [get, list, watch, create, patch, update, delete] # update: only what one holds can be granted to processors
- apiGroups: [apps]
  resources: [deployments]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [batch]
  resources: [cronjobs, jobs]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [""]
  resources: [serviceaccounts]
  verbs: [get, create, patch, delete]
- apiGroups: [rbac.authorization.k8s.io]
  resources: [roles, rolebindings]
  verbs: [get, create, patch, delete]
- apiGroups: [coordination.k8s.io]
  resources: [leases]
  verbs: [get, create, patch, update, delete]
- apiGroups: [""]
  resources: [pods]
  verbs: [get, list, watch]
- apiGroups: ["", events.k8s.io]
  resources: [events]
  verbs: [create, patch, list] # list: why a volume could not be mounted, why a Job has no pod
{{- end -}}

{{/* A Role and its binding to the operator. Takes {root, namespace, name, rules (text)}. */}}
{{- define "dataflow.role" -}}
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata:
  name: {{ .name }}
  namespace: {{ .namespace }}
  labels:
    {{- include "dataflow.labels" .root | nindent 4 }}
rules:
  {{- .rules | nindent 2 }}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata:
  name: {{ .name }}
  namespace: {{ .namespace }}
  labels:
    {{- include "dataflow.labels" .root | nindent 4 }}
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: Role
  name: {{ .name }}
subjects:
  {{- include "dataflow.subjects" .root | nindent 2 }}
{{- end -}}

{{/* Verbs on Secrets, by name where names are given. Takes {verbs, names}. */}}
{{- define "dataflow.secretRule" -}}
- apiGroups: [""]
  resources: [secrets]
  verbs: [{{ join ", " .verbs }}]
  {{- with .names }}
  resourceNames:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end -}}

{{- define "dataflow.leaseRule" -}}
- apiGroups: [coordination.k8s.io]
  resources: [leases]
  verbs: [create]
- apiGroups: [coordination.k8s.io]
  resources: [leases]
  resourceNames: [dataflow-operator.dataflow.io]
  verbs: [get, patch, update]
{{- end -}}

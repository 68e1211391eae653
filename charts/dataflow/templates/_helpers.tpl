{{/* A value, or a section, that is null is taken out by Helm and has its default here; so have those that a release of the other chart does not
     have (`helm upgrade --reuse-values` brings no defaults). Sections are read as (.Values.x).y, which is nil instead of an error. */}}

{{/* What is on by default: "true" unless it is set to false. */}}
{{- define "dataflow.on" -}}
{{- if ne (toString .) "false" }}true{{ end -}}
{{- end -}}

{{- define "dataflow.metrics" -}}
{{- include "dataflow.on" (.Values.metrics).enabled -}}
{{- end -}}

{{- define "dataflow.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{- define "dataflow.fullname" -}}
{{- $name := include "dataflow.name" . -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 63 | trimSuffix "-" -}}
{{- else if contains $name .Release.Name -}}
{{- .Release.Name | trunc 63 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 63 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{/* What the Deployment and the Service select by: immutable. */}}
{{- define "dataflow.selector" -}}
app.kubernetes.io/name: {{ include "dataflow.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "dataflow.labels" -}}
{{ include "dataflow.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{- end -}}

{{- define "dataflow.serviceAccount" -}}
{{- (.Values.serviceAccount).name | default (ternary (include "dataflow.fullname" .) "default" (eq "true" (include "dataflow.on" (.Values.serviceAccount).create))) -}}
{{- end -}}

{{- define "dataflow.image" -}}
{{- printf "%s:%s" ((.Values.image).repository | default "dataflow") ((.Values.image).tag | default .Chart.AppVersion) -}}
{{- end -}}

{{/* A whole number: those of a values file are floats, which print as 1e+06. Takes [value, default]. */}}
{{- define "dataflow.number" -}}
{{- $value := first . -}}
{{- if kindIs "float64" $value }}{{ int64 $value }}{{ else if kindIs "invalid" $value }}{{ last . }}{{ else }}{{ $value | toString | default (last . | toString) }}{{ end -}}
{{- end -}}

{{/* A binding's subject. */}}
{{- define "dataflow.subjects" -}}
- kind: ServiceAccount
  name: {{ include "dataflow.serviceAccount" . }}
  namespace: {{ .Release.Namespace }}
{{- end -}}

{{/* ---- webhook ---- */}}

{{- define "dataflow.webhook.certDir" -}}
{{- (.Values.webhook).certDir | default "/etc/dataflow/webhook" -}}
{{- end -}}

{{- define "dataflow.webhook.secret" -}}
{{- (.Values.webhook).secretName | default (printf "%s-webhook-cert" (include "dataflow.fullname" .)) -}}
{{- end -}}

{{/* On one line, as an API server wants it; `base64` and --set-file bring several. */}}
{{- define "dataflow.webhook.caBundle" -}}
{{- regexReplaceAll "\\s" ((.Values.webhook).caBundle | default "") "" -}}
{{- end -}}

{{/* Every source of the certificate that is given, the one that is used first: each of the others would be overwritten by those before it. */}}
{{- define "dataflow.webhook.given" -}}
{{- $w := .Values.webhook | default dict -}}
{{- $given := list -}}
{{- if $w.selfSigned }}{{ $given = append $given "selfSigned" }}{{ end -}}
{{- if ($w.certManager).enabled }}{{ $given = append $given "certManager" }}{{ end -}}
{{- if include "dataflow.webhook.caBundle" . }}{{ $given = append $given "caBundle" }}{{ end -}}
{{- join ", " $given -}}
{{- end -}}

{{/* Where the certificate comes from: selfSigned, certManager, caBundle or, without a ValidatingWebhookConfiguration, files. Empty: no
     webhook. */}}
{{- define "dataflow.webhook.from" -}}
{{- $w := .Values.webhook | default dict -}}
{{- if $w.enabled -}}
{{- $given := include "dataflow.webhook.given" . -}}
{{- if $given }}{{ splitList ", " $given | first }}{{ else if or $w.secretName $w.certDir }}files{{ end -}}
{{- end -}}
{{- end -}}

{{/* ---- Secrets of other namespaces ---- */}}

{{/* ALLOWED_SECRET_REFERENCES: <flow namespace>=<namespace>/<secret>,... */}}
{{- define "dataflow.allowedReferences" -}}
{{- $allowed := list -}}
{{- range .Values.crossNamespaceSecrets -}}
{{- $from := .from -}}
{{- range $to := .to -}}
{{- range $from.names -}}
{{- $allowed = append $allowed (printf "%s=%s/%s" $to $from.namespace .) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- join "," ($allowed | uniq) -}}
{{- end -}}

{{/* Which Secrets the operator may read, and which it keeps, as JSON: {read: {<namespace>: [names]}, mirrors: {<namespace>: [names]}} */}}
{{- define "dataflow.secretGrants" -}}
{{- $read := dict -}}
{{- $mirrors := dict -}}
{{- range .Values.crossNamespaceSecrets -}}
{{- $from := .from -}}
{{- $_ := set $read $from.namespace (concat (get $read $from.namespace | default list) $from.names | uniq) -}}
{{- range $to := .to -}}
{{- $names := get $mirrors $to | default list -}}
{{- range $from.names -}}
{{- $names = append $names (printf "dataflow-mirror.%s.%s" $from.namespace .) -}}
{{- end -}}
{{- $_ := set $mirrors $to ($names | uniq) -}}
{{- end -}}
{{- end -}}
{{- dict "read" $read "mirrors" $mirrors | toJson -}}
{{- end -}}

{{/* ---- security contexts ---- */}}

{{- define "dataflow.podSecurityContext" -}}
{{- $pod := .Values.podSecurityContext | default dict -}}
{{- with (.Values.securityContext).fsGroup }}{{ $pod = merge (dict "fsGroup" .) $pod }}{{ end -}}
{{- toYaml $pod -}}
{{- end -}}

{{- define "dataflow.securityContext" -}}
{{- toYaml (omit (.Values.securityContext | default dict) "fsGroup") -}}
{{- end -}}

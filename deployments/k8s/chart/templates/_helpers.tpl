{{- define "ces.labels" -}}
app.kubernetes.io/name: ces
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/part-of: ces
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end -}}

{{- define "ces.image" -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- end -}}

{{/* The entry of ces.clusters, as data. */}}
{{- define "ces.args" -}}
{{- $spec := dict "serviceAccountName" .Values.serviceAccounts.worker -}}
{{- if .Values.image.pullSecrets -}}
{{- $secrets := list -}}
{{- range .Values.image.pullSecrets }}{{ $secrets = append $secrets (dict "name" .) }}{{ end -}}
{{- $_ := set $spec "imagePullSecrets" $secrets -}}
{{- end -}}
{{- $pod := mustMergeOverwrite (dict "spec" $spec) (deepCopy (.Values.cluster.pod | default dict)) -}}
{{- $args := dict "image" (include "ces.image" .) "namespace" .Release.Namespace -}}
{{- $_ := set $args "image_pull_policy" .Values.image.pullPolicy -}}
{{- $_ := set $args "secret" .Values.objectStore.secretName -}}
{{- $_ := set $args "env" .Values.objectStore.environment -}}
{{- $_ := set $args "pod" $pod -}}
{{ mustMerge $args (omit .Values.cluster "pod") | toYaml }}
{{- end -}}

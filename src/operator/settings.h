/* How the operator runs: its flags, and the environment that the chart sets (kubernetes reference, section 11; errors
 * and metrics reference, section 6). */
#ifndef DF_OPERATOR_SETTINGS_H
#define DF_OPERATOR_SETTINGS_H

#include "base/cleanup.h"
#include "base/error.h"
#include "value/value.h"

/* A Secret that flows of another namespace may use: ALLOWED_SECRET_REFERENCES=<flow ns>=<ns>/<secret>,... */
struct df_allowed_reference {
	char *flow_namespace, *namespace, *secret;
};

struct df_name_value {
	char *name, *value;
};

struct df_operator_settings {
	/* flags; borrowed */
	const char *metrics_address; /* "[HOST:]PORT"; NULL: off */
	const char *health_address;
	const char *webhook_address; /* ":9443" */
	const char *kubeconfig;	     /* NULL: as df_kube_config_load */

	/* environment; owned */
	char *namespace;       /* OPERATOR_NAMESPACE; NULL: the configuration's */
	char *processor_image; /* PROCESSOR_IMAGE; NULL: the operator's own, which operator.c finds out */
	char *processor_log_level;
	char *processor_progress_timeout;
	struct df_name_value *processor_env; /* SENTRY_*, when the DSN is set */
	size_t processor_env_count;
	char **watch_namespaces; /* none: all */
	size_t watch_namespace_count;
	struct df_allowed_reference *allowed;
	size_t allowed_count;
	struct df_arena arena;
	const struct df_value *processor_defaults; /* PROCESSOR_POD_DEFAULTS: chart value `processor`; NULL: none */
	char *webhook_cert_dir;			   /* NULL: no webhook */
	char *webhook_configuration; /* WEBHOOK_CONFIGURATION_NAME (ours): whose caBundle the operator fills */
	char *webhook_secret;	     /* WEBHOOK_SELF_SIGNED_SECRET (ours): makes its certificate, kept there */
	char *webhook_service;	     /* WEBHOOK_SERVICE_NAME (ours): the certificate's names */
	int64_t reconcile_timeout_ns, pending_requeue_ns;
	int64_t counts_interval_ns; /* COUNTS_INTERVAL_SECONDS (ours): how often processors are asked for their counts
				     */
	int64_t lease_duration_ns, lease_deadline_ns, lease_retry_ns;
	unsigned workers;
};

/* Reads the environment. DF_ERR_CONFIG names the variable. flags are left alone. */
int df_operator_settings_load(struct df_operator_settings *ret, struct df_error *err) df_must_check;
void df_operator_settings_done(struct df_operator_settings *settings); /* accepts a zeroed one */

/* May flows of flow_namespace use that Secret of another namespace? */
bool df_operator_allows(const struct df_operator_settings *settings, struct df_str flow_namespace,
			struct df_str namespace, struct df_str secret);

#endif

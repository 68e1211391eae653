/* Shared by the files of this folder only. */
#ifndef DF_API_V1_INTERNAL_H
#define DF_API_V1_INTERNAL_H

#include "api/v1/dataflow.h"

/* The same tables with source and sink optional, for files that only hold transformations. */
extern const struct df_table df_dataflow_parts_table;
extern const struct df_table df_dataflowcron_parts_table;

/* ---- checks of single fields (check.c) ------------------------------------------------------------------- */

int df_check_dns_label(struct df_str text, struct df_error *err);     /* RFC 1123 label, up to 63 */
int df_check_dns_subdomain(struct df_str text, struct df_error *err); /* RFC 1123 subdomain, up to 253 */
int df_check_timezone(struct df_str text, struct df_error *err);      /* an IANA name that loads */
int df_check_rfc3339(struct df_str text, struct df_error *err);
int df_check_schedule(struct df_str text, struct df_error *err); /* 5 cron fields, or 6 with a leading 0 */

/* Rules. settings: struct df_maintenance, df_dataflow_spec, df_dataflowcron_spec, df_trigger. */
void df_check_maintenance(const void *settings, const struct df_place *place, struct df_diags *diags);
void df_check_flow(const void *settings, const struct df_place *place, struct df_diags *diags);
void df_check_cron(const void *settings, const struct df_place *place, struct df_diags *diags);
void df_check_trigger(const void *settings, const struct df_place *place, struct df_diags *diags);

/* Kubernetes objects that are kept as JSON (core.c): ResourceRequirements, and those copied to the pod. */
void df_check_resources(const struct df_raw *raw, const char *name, const struct df_place *place,
			struct df_diags *diags);
/* Bytes: a number, or a quantity. */
void df_check_bytes(const struct df_raw *raw, const char *name, const struct df_place *place, struct df_diags *diags);
void df_check_object(const struct df_raw *raw, const char *name, const struct df_place *place, struct df_diags *diags);
void df_check_string_map(const struct df_raw *raw, const char *name, const struct df_place *place,
			 struct df_diags *diags);
/* Each value of a container's environment is a text. */
void df_check_env_values(const struct df_raw *raw, const char *name, const struct df_place *place,
			 struct df_diags *diags);
void df_check_object_list(const struct df_raw *raw, const char *name, bool named, const struct df_place *place,
			  struct df_diags *diags);

#endif

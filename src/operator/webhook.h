/* Admission: the same tables and rules as `dataflow validate`, over HTTPS (kubernetes reference, section 10). */
#ifndef DF_OPERATOR_WEBHOOK_H
#define DF_OPERATOR_WEBHOOK_H

#include "api/v1/dataflow.h"
#include "kube/client.h"
#include "operator/settings.h"

struct df_webhook;

/* Serves until it is stopped; the certificate is read anew within 10 s of a change. With webhook_secret it makes its
 * own CA and certificate, keeps them in that Secret, and fills the caBundle of webhook_configuration. client: borrowed.
 */
int df_webhook_start(const struct df_operator_settings *settings, const struct df_kube_client_options *client,
		     struct df_webhook **ret, struct df_error *err) df_must_check;
void df_webhook_stop(struct df_webhook *webhook); /* accepts NULL */
/* The certificate is loaded. */
bool df_webhook_ready(struct df_webhook *webhook);

/* An AdmissionReview to its answer (JSON). Pure. DF_ERR_INVALID_DATA: it is no review. */
int df_review(const struct df_operator_settings *settings, enum df_manifest_kind kind, struct df_str request,
	      struct df_buf *ret, struct df_error *err) df_must_check;

#endif

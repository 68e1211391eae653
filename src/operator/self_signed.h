/* A certificate that the operator makes for its webhook: kept in a Secret that all replicas share, and trusted by the
 * API server through the caBundle of the ValidatingWebhookConfiguration. */
#ifndef DF_OPERATOR_SELF_SIGNED_H
#define DF_OPERATOR_SELF_SIGNED_H

#include "kube/client.h"
#include "operator/settings.h"

struct df_self_signed {
	const struct df_operator_settings *settings; /* webhook_secret, _service, _configuration */
	const char *namespace;			     /* of Secret and Service */
	struct df_kube_client *client;
	struct df_context *ctx;
};

/* In the arena of the call. */
struct df_identity {
	struct df_str ca, chain, key; /* PEM */
	bool trusted;		      /* the configuration has the CA; else `untrusted` says why */
	struct df_error untrusted;
};

/* The certificate in the Secret, made (again) when there is none, when it ends soon, or is for another name; and the
 * CA put into the configuration where it is missing. Of replicas that do it at once the first writer wins. */
int df_self_signed_look(const struct df_self_signed *s, int64_t now, struct df_arena *arena, struct df_identity *ret,
			struct df_error *err) df_must_check;

/* Puts the CA (PEM) into each webhook of the configuration that does not have exactly that one. */
int df_webhook_trust(struct df_kube_client *client, struct df_context *ctx, const char *configuration, struct df_str ca,
		     struct df_arena *arena, struct df_error *err) df_must_check;

/* At two thirds of its life. */
bool df_certificate_is_old(int64_t from, int64_t until, int64_t now);

#endif

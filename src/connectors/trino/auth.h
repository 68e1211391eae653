/*
 * Who asks: no one, a user with a password, a fixed token, or a token that an OpenID server issues and that is renewed
 * before it ends. One thread at a time.
 */
#ifndef DF_CONNECTORS_TRINO_AUTH_H
#define DF_CONNECTORS_TRINO_AUTH_H

#include "base/log.h"
#include "connectors/trino/settings.h"
#include "net/http_client.h"

struct df_trino_auth;

/* All borrowed; tls NULL: the system's CAs. DF_ERR_NO_MEMORY. */
int df_trino_auth_new(const struct df_trino_connection *settings, const struct df_tls *tls,
		      const struct df_logger *logger, struct df_trino_auth **ret, struct df_error *err) df_must_check;
void df_trino_auth_free(struct df_trino_auth *auth); /* accepts NULL */

/* Puts the credentials into a request; asks for a token first when there is none or it ends soon. The texts are good
 * until the next call. DF_ERR_AUTH: the token server refuses; DF_ERR_CONNECTION, DF_ERR_TIMEOUT, DF_ERR_TRANSIENT. */
int df_trino_auth_apply(struct df_trino_auth *auth, struct df_context *ctx, struct df_http_request *request,
			struct df_error *err) df_must_check;

/* The server refused the token (401). True: it was thrown away and the next apply asks for another one. */
bool df_trino_auth_renew(struct df_trino_auth *auth);

#endif

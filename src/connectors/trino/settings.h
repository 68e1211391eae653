/* Settings of the trino connector: the manifest reference, section 7. */
#ifndef DF_CONNECTORS_TRINO_SETTINGS_H
#define DF_CONNECTORS_TRINO_SETTINGS_H

#include "connectors/settings.h"

#define DF_TRINO_QUERY_TIMEOUT_SECONDS 600 /* also for a queryTimeoutSeconds of 0 or less */

/* Either token, or a Keycloak realm with a user, a client secret, or both. */
struct df_trino_keycloak_settings {
	struct df_secret token;
	struct df_secret server_url, realm, client_id;
	struct df_secret username, password;
	struct df_secret client_secret;
};

/* The form of the FAQ: a client-credentials grant at token_url. */
struct df_trino_auth_settings {
	char *type; /* oauth2 */
	char *token_url, *client_id;
	struct df_secret client_secret;
};

/* What source and sink share. */
struct df_trino_connection {
	struct df_secret server_url, catalog, schema;
	char *user;
	struct df_secret password; /* with `user`: basic authentication */
	struct df_object tls;	   /* struct df_tls_settings */
	struct df_strings client_tags;
	int32_t query_timeout_seconds; /* as written */
	bool compression;	       /* of pages */
	struct df_object keycloak;     /* struct df_trino_keycloak_settings */
	struct df_object auth;	       /* struct df_trino_auth_settings */
};

struct df_trino_source_settings {
	struct df_trino_connection connection;
	struct df_polling_settings polling;
	bool ignored_raw_mode;
};

struct df_trino_sink_settings {
	struct df_trino_connection connection;
	struct df_table_sink_settings table_sink;
	bool supports_merge;
};

#endif

/* Settings of the iceberg connector: the manifest reference, section 9. */
#ifndef DF_CONNECTORS_ICEBERG_SETTINGS_H
#define DF_CONNECTORS_ICEBERG_SETTINGS_H

#include "connectors/catalog_settings.h"

struct df_iceberg_connection {
	struct df_secret catalog_uri;
	char *prefix;
	struct df_secret oauth2_client_id, oauth2_client_secret, oauth2_server_uri;
	char *oauth2_scope;
};

struct df_iceberg_source_settings {
	struct df_iceberg_connection connection;
	struct df_catalog_settings catalog;
	struct df_catalog_source_settings source;
};

struct df_iceberg_sink_settings {
	struct df_iceberg_connection connection;
	struct df_catalog_settings catalog;
	struct df_catalog_sink_settings sink;
};

#endif

/* Settings of the nessie connector: the manifest reference, section 9. */
#ifndef DF_CONNECTORS_NESSIE_SETTINGS_H
#define DF_CONNECTORS_NESSIE_SETTINGS_H

#include "connectors/catalog_settings.h"

struct df_nessie_connection {
	struct df_secret base_url;
	char *branch;
};

struct df_nessie_source_settings {
	struct df_nessie_connection connection;
	struct df_catalog_settings catalog;
	struct df_catalog_source_settings source;
};

struct df_nessie_sink_settings {
	struct df_nessie_connection connection;
	struct df_catalog_settings catalog;
	struct df_catalog_sink_settings sink;
};

#endif

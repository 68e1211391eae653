/* What makes a plugin of the connector. In the tree it is a row of src/connectors/list.h instead. */
#include "settings.h"

DF_PLUGIN("mydb", "1.0.0", &df_connector_mydb);

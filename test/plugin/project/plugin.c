#include <dataflow/connector.h>

extern const struct df_connector df_connector_tiny;

DF_PLUGIN("tiny", VERSION, &df_connector_tiny);

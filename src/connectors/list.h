/*
 * The only list of connectors: one row each, in the order of the documentation. The build reads it, too: a row is the
 * folder, the build option and the descriptor's name (df_connector_<row>). No include guard.
 */
DF_CONNECTOR(kafka)
DF_CONNECTOR(postgresql)
DF_CONNECTOR(postgresql_cdc)
DF_CONNECTOR(clickhouse)
DF_CONNECTOR(trino)
DF_CONNECTOR(nessie)
DF_CONNECTOR(iceberg)
DF_CONNECTOR(sqlite)
DF_CONNECTOR(file)
DF_CONNECTOR(stdio)
DF_CONNECTOR(generate)
DF_CONNECTOR(discard)

/* What source and sink do alike: opening the session, running within the connector's life, looking at the catalog. */
#ifndef DF_CONNECTORS_TRINO_CONNECTION_H
#define DF_CONNECTORS_TRINO_CONNECTION_H

#include "connectors/base.h"
#include "connectors/trino/client.h"

/* Appends "catalog"."schema"."table" of the settings, quoted. */
void df_trino_quote_table(struct df_buf *sql, const struct df_trino_connection *settings, const char *table);

/* Appends ` FROM "catalog".information_schema.columns WHERE ...` of that table; Trino keeps names in lower case. */
void df_trino_from_columns(struct df_buf *sql, const struct df_trino_connection *settings, const char *table);

/* Text of a string value, in the arena; empty for anything else. */
struct df_str df_trino_text(struct df_value *v, struct df_arena *arena);

#endif

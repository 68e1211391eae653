/*
 * The spooled protocol (https://trino.io/docs/current/develop/client-protocol.html): a page's rows come in segments,
 * inside the answer or at addresses of their own, as JSON that may be compressed.
 */
#ifndef DF_CONNECTORS_TRINO_SPOOL_H
#define DF_CONNECTORS_TRINO_SPOOL_H

#include "connectors/trino/client.h"
#include "net/http_client.h"

#define DF_TRINO_ENCODINGS "json+zstd,json+lz4,json" /* the best first; the server takes one, or none */

/* Takes the segments of an answer's `data` object. */
int df_trino_spool_open(struct df_trino_query *query, const struct df_value *data, struct df_error *err) df_must_check;
/* Makes the rows of the next segment the query's page; frees the spool behind the last one. */
int df_trino_spool_next(struct df_trino_query *query, struct df_error *err) df_must_check;
/* Accepts a query without one. */
void df_trino_spool_close(struct df_trino_query *query);

/* A GET without our credentials: segments are stored elsewhere and their addresses carry their own. In client.c. */
int df_trino_fetch(struct df_trino_client *client, struct df_context *ctx, const char *url,
		   const struct df_http_header *headers, size_t header_count, struct df_http_response *ret,
		   struct df_error *err) df_must_check;

#endif

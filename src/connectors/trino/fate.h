/*
 * How a statement ended whose answer never came. Every INSERT and MERGE begins with a comment that no other statement
 * has; Trino keeps its latest queries in system.runtime.queries, where it is found again.
 */
#ifndef DF_CONNECTORS_TRINO_FATE_H
#define DF_CONNECTORS_TRINO_FATE_H

#include "connectors/trino/client.h"

#define DF_TRINO_COMMENT_MAX 64

/* The comment for a statement: run is the pipeline's, the rest tells its rows apart. */
void df_trino_comment(char out[DF_TRINO_COMMENT_MAX], uint64_t run, uint64_t rows);

enum df_trino_fate {
	DF_TRINO_FATE_NONE, /* the server does not know such a statement: it never came, or was forgotten (a restart) */
	DF_TRINO_FATE_WRITTEN,
	DF_TRINO_FATE_FAILED,
};

/* Looks for the statement, and waits while it still runs. Errors as of any query. */
int df_trino_find_fate(struct df_trino_client *client, struct df_context *ctx, const char *comment,
		       enum df_trino_fate *ret, struct df_error *err) df_must_check;

#endif

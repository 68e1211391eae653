/*
 * The state of a session that the server changes by headers of its answers and expects in the next requests: session
 * properties, path, role, prepared statements, transaction.
 */
#ifndef DF_CONNECTORS_TRINO_SESSION_H
#define DF_CONNECTORS_TRINO_SESSION_H

#include "net/http_client.h"

struct df_trino_session_entry {
	struct df_trino_session_entry *next;
	const char *header; /* of the request, static */
	char *name;	    /* of `name=value` headers; "" for those with one value */
	char *line;	    /* the header's value as it is sent */
};

/* Zero-initialised is valid: the server's defaults. */
struct df_trino_session {
	struct df_trino_session_entry *first;
	bool failed; /* out of memory: the state is not what the server thinks */
};

/* A header of an answer; others than those of the session are ignored. */
void df_trino_session_header(struct df_trino_session *session, struct df_str name, struct df_str value);
/* Adds the session's headers behind headers[*count], at most cap in all. */
void df_trino_session_headers(const struct df_trino_session *session, struct df_http_header *headers, size_t *count,
			      size_t cap);
void df_trino_session_done(struct df_trino_session *session);

#endif

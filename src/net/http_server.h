/*
 * A small HTTP server for what a process says about itself (metrics, health) and is asked about (admission). GET and
 * HEAD, POST when wanted, a thread of its own that sleeps while nobody asks, few connections, short timeouts. A thin
 * layer over libmicrohttpd.
 */
#ifndef DF_NET_HTTP_SERVER_H
#define DF_NET_HTTP_SERVER_H

#include "base/cleanup.h"
#include "base/error.h"
#include "base/str.h"

struct df_http_server;

/* What the handler is asked; everything is borrowed for the call. */
struct df_http_incoming {
	struct df_str path;   /* without the query, decoded */
	struct df_str accept; /* the header of that name; ptr NULL: none */
	struct df_str query;  /* what stands behind `?`, as it came; empty: nothing */
	struct df_str method; /* GET, HEAD; POST when there is a max_body */
	struct df_str body;
	void *connection; /* for df_http_incoming_header; NULL: no headers */
};

/* A header of the request, by its name in any case; ptr NULL: it has none. */
struct df_str df_http_incoming_header(const struct df_http_incoming *request, const char *name);

/* Zeroed by the server; an answer that the handler leaves alone is 404. */
struct df_http_answer {
	unsigned status;
	const char *content_type; /* static storage; NULL: plain text */
	struct df_buf body;
};

struct df_http_options {
	const char *address; /* "[HOST:]PORT": a name, an IPv4 address or [IPv6]; port 0 lets the system choose */
	const char *host;    /* when the address has none; NULL: all addresses */
	/* On the server's thread, one request at a time (with `threads` so many at once); keep it short. */
	void (*handle)(void *arg, const struct df_http_incoming *request, struct df_http_answer *answer);
	void *arg;
	/* POST is taken too, with so many bytes (413 beyond), and a connection is for one request; 0: GET and HEAD only
	 */
	size_t max_body;
	unsigned threads; /* that answer; 0: one */
	bool tls; /* HTTPS, TLS 1.2 or newer: nobody gets through before df_http_server_identity. One at a time */
};

/* Listens and answers from when it returns. DF_ERR_CONFIG: the address is none, or is in use, or may not be used. */
int df_http_server_start(const struct df_http_options *options, struct df_http_server **ret,
			 struct df_error *err) df_must_check;
/* The certificate chain and its key (PEM) of an HTTPS server, for connections from now on; others go on. DF_ERR_CONFIG:
 * they are none, or do not belong together; then nothing changes. */
int df_http_server_identity(struct df_http_server *server, struct df_str chain, struct df_str key,
			    struct df_error *err) df_must_check;
/* Waits for the answer under way. Accepts NULL. */
void df_http_server_stop(struct df_http_server *server);
DF_DEFINE_CLEANUP(struct df_http_server *, df_http_server_stop)

/* How much an Accept header wants exactly this type (ranges with a star do not count), in thousandths; 0: not, or not
 * said. */
int df_http_accepts(struct df_str accept, const char *type);

/* Where it listens, as a URL's authority: "127.0.0.1:9090", "[::1]:9090". */
const char *df_http_server_address(const struct df_http_server *server);

#endif

/*
 * An HTTP client for what connectors and the operator ask of others: schema registries, token endpoints, ClickHouse,
 * Trino, the Kubernetes API. Blocking, cancelled through a context at any point; a thin layer over libcurl, HTTP/1.1.
 *
 * A client keeps its connections open between requests and belongs to one thread at a time. Redirects are not followed
 * and credentials go only where the request says. No header value, user, password, query or body ever reaches an error
 * text. Proxies are those of the environment (https_proxy, no_proxy ...), as curl reads it.
 *
 * A kept connection that turns out to be dead before a byte of the answer came is replaced once and the request sent
 * again, unless it has a body and its method is not idempotent (POST, PATCH), or its body is streamed.
 */
#ifndef DF_NET_HTTP_CLIENT_H
#define DF_NET_HTTP_CLIENT_H

#include "base/cleanup.h"
#include "base/context.h"
#include "base/error.h"
#include "base/str.h"
#include "net/tls.h"

#pragma GCC visibility push(default) /* an installed header: src/dataflow/meson.build */

struct df_http_client;

struct df_http_client_options {
	const struct df_tls *tls;   /* borrowed for the client's life; NULL: https verified with the system's CAs */
	int64_t connect_timeout_ns; /* name, TCP and TLS; 0: 30 s */
	const char *user_agent;	    /* borrowed; NULL: dataflow/<version> */
};

struct df_http_header {
	const char *name;
	const char *value; /* NULL: this header is left out, even where HTTP or the client would add it */
};

struct df_http_request {
	const char *method; /* NULL: GET without a body, POST with one */
	const char *url;    /* http or https */
	const struct df_http_header *headers;
	size_t header_count;
	struct df_str body; /* ptr NULL: none */
	/* A body that is made while it is sent (Transfer-Encoding: chunked): fills up to cap bytes; *ret_len 0 ends it.
	 * A code aborts the request with err. NULL: `body`. */
	int (*read_body)(void *arg, char *data, size_t cap, size_t *ret_len, struct df_error *err);
	const char *username, *password; /* basic authentication; NULL: none */
	const char *bearer;		 /* token; NULL: none */
	int64_t timeout_ns;		 /* of the whole request; 0: only the context's deadline */
	int64_t idle_timeout_ns;	 /* without a byte in either direction once connected; 0: none */
	bool decompress;		 /* ask for gzip, deflate and what else libcurl knows, and undo it */
	/* Pieces of the answer's body as they come, on the calling thread, for any status; the response's status and
	 * retry_after_ns are set before. A code aborts with err. NULL: the body is collected in the response. */
	int (*on_body)(void *arg, struct df_str piece, struct df_error *err);
	/* Each header of the answer, value trimmed (compare names without case). NULL: not asked for. */
	void (*on_header)(void *arg, struct df_str name, struct df_str value);
	void *arg;
	size_t max_body; /* bytes of a collected body, decompressed; 0: 16 MiB. More: DF_ERR_INVALID_DATA */
};

struct df_http_response {
	int status;		/* 200..599, whatever it is: judging it is the caller's business; 0: none came */
	struct df_buf body;	/* also of an answer that broke off, as far as it came */
	int64_t retry_after_ns; /* from Retry-After, seconds or a date; -1: none */
	bool sent;		/* on an error: the request may have reached the server */
};
void df_http_response_done(struct df_http_response *response);

int df_http_client_new(const struct df_http_client_options *options, struct df_http_client **ret,
		       struct df_error *err) df_must_check;
void df_http_client_free(struct df_http_client *client); /* accepts NULL */
DF_DEFINE_CLEANUP(struct df_http_client *, df_http_client_free)

/*
 * Runs one request. 0: there is an answer. Else DF_ERR_CONNECTION (refused, DNS, cut), DF_ERR_TIMEOUT, DF_ERR_AUTH (the
 * server's certificate, or ours), DF_ERR_CANCELED, DF_ERR_CONFIG (the URL, a header), DF_ERR_NO_MEMORY, or what a
 * callback returned. The response is initialised in any case and must be given to df_http_response_done.
 */
int df_http_request(struct df_http_client *client, struct df_context *ctx, const struct df_http_request *request,
		    struct df_http_response *ret, struct df_error *err) df_must_check;

#pragma GCC visibility pop

#endif

/* What the files of the client share. */
#ifndef DF_KUBE_CLIENT_INTERNAL_H
#define DF_KUBE_CLIENT_INTERNAL_H

#include "kube/client.h"
#include "net/http_client.h"

struct df_kube_client {
	struct df_kube_client_options options;
	struct df_tls tls;
	struct df_http_client *http;
	char *token; /* what token_file held */
	int64_t token_mtime_ns;
	int64_t retry_after_ns;
};

/* One request and its answer. */
struct df_kube_exchange {
	const char *method;
	const struct df_kube_ref *ref;
	const char *query;	  /* encoded, without the ?; NULL: none */
	const char *content_type; /* of the body; NULL: application/json */
	const struct df_value *body;
	/* Pieces of a good answer as they come; the body is then not collected. */
	int (*on_body)(void *arg, struct df_str piece, struct df_error *err);
	void *arg;
	int64_t timeout_ns, idle_timeout_ns;
	struct df_http_response response;
};

/* 0: a 2xx answer, in exchange.response unless on_body had it; else a code with the API's reason as `remote`. done in
 * any case. */
int df_kube_exchange(struct df_kube_client *client, struct df_context *ctx, struct df_kube_exchange *exchange,
		     struct df_error *err) df_must_check;
void df_kube_exchange_done(struct df_kube_exchange *exchange);

/* The error of a Status object, or of an answer that is none. http: its status; a Status in a watch has its own. */
int df_kube_status_error(int http, struct df_str body, const struct df_kube_ref *ref, struct df_error *err);

/* Waits for the limiter's turn. */
int df_kube_limiter_take(struct df_kube_limiter *limiter, struct df_context *ctx, struct df_error *err) df_must_check;

/* Parses an answer into the arena, text included. */
int df_kube_parse(struct df_str text, struct df_arena *arena, struct df_value **ret,
		  struct df_error *err) df_must_check;

#endif

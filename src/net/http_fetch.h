/*
 * Many small GETs at once, on the calling thread: asking hundreds of pods for a page each, of which any may be slow,
 * huge, gone, or hostile. No redirect, no proxy, no credentials; a connection serves one request.
 */
#ifndef DF_NET_HTTP_FETCH_H
#define DF_NET_HTTP_FETCH_H

#include "base/context.h"
#include "base/str.h"

struct df_http_fetch_options {
	size_t at_once;	    /* connections */
	int64_t timeout_ns; /* of each, from connecting to the last byte */
	size_t max_body;    /* bytes of one */
	/* And of all that are under way. What goes above fails, but for bodies within their share of it (at_once of
	 * these): a few huge ones cost nobody else anything. */
	size_t max_bodies;
	const char *accept; /* the header; NULL: any type */
	/* An answer, whatever its status, or (err not NULL) that there is none. The body is borrowed for the call. */
	void (*on_end)(void *arg, size_t i, int status, struct df_str body, const struct df_error *err);
	void *arg;
};

/* Calls on_end exactly once for each of the n URLs, in the order in which they end; those that did not end before ctx
 * did fail with its code. */
void df_http_fetch_many(const char *const *urls, size_t n, const struct df_http_fetch_options *options,
			struct df_context *ctx);

#endif

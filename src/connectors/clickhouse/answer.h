/*
 * The answer of an HTTP request as an input: the client pushes pieces on a thread of its own, the reader takes them.
 * At most DF_CH_ANSWER_AHEAD bytes wait. And what the answer says when it is an error, also in its middle.
 */
#ifndef DF_CONNECTORS_CLICKHOUSE_ANSWER_H
#define DF_CONNECTORS_CLICKHOUSE_ANSWER_H

#include <pthread.h>

#include "base/context.h"
#include "connectors/clickhouse/input.h"
#include "net/http_client.h"

#define DF_CH_ANSWER_AHEAD ((size_t)2 << 20)
#define DF_CH_ANSWER_TAIL ((size_t)64 << 10) /* kept to find an exception in */

struct df_ch_answer {
	struct df_ch_input in; /* first */
	struct df_http_client *client;
	struct df_http_request request;
	struct df_context *ctx; /* of the request; a child of the caller's */
	pthread_t thread;
	bool running;
	const char *peer;

	pthread_mutex_t lock;
	pthread_cond_t moved;
	struct df_buf waiting, taken; /* bytes that came; bytes that are being read */
	bool ended;		      /* the request is over: */
	int code;
	struct df_error error;
	bool given_up; /* the reader wants no more */

	struct df_buf tail;
	int status, exception_code; /* of the headers; 0: none */
};

/* Sends a request and returns. The request's texts must live until df_ch_answer_end. DF_ERR_NO_MEMORY. */
int df_ch_answer_begin(struct df_ch_answer *a, struct df_context *ctx, struct df_http_client *client,
		       const struct df_http_request *request, const char *peer, struct df_error *err) df_must_check;

/* Is there a byte more? Waits for it. False at the clean end, or with err. */
int df_ch_answer_more(struct df_ch_answer *a, bool *ret_more, struct df_error *err) df_must_check;

/* Reading the answer failed with err, or its status is an error: takes the rest, and makes err what the server said, if
 * it said something. Returns the code. */
int df_ch_answer_reason(struct df_ch_answer *a, struct df_error *err);

/* Waits for the thread; a request under way is cancelled. */
void df_ch_answer_end(struct df_ch_answer *a);

/* err of an answer by its status, exception code (0: none) and body. Returns the code. */
int df_ch_http_error(const char *peer, int status, int exception_code, struct df_str body, struct df_error *err);

#endif

#include "connectors/clickhouse/answer.h"

#include <errno.h>
#include <stdlib.h>
#include <strings.h>

#include "base/cleanup.h"
#include "connectors/clickhouse/errors.h"

/* ---- errors ---------------------------------------------------------------------------------------------- */

/* "Code: 60. DB::Exception: ..." and the older "Code: 60, e.displayText() = DB::Exception: ...", wherever it stands: a
 * failing stream has it behind its data. The last one counts. */
static int find_exception(struct df_str body, struct df_str *ret_message)
{
	int found = 0;

	for (const char *at = body.ptr; at; at++) {
		size_t left = body.len - (size_t)(at - body.ptr);
		at = left ? memmem(at, left, "Code: ", strlen("Code: ")) : NULL;
		if (!at)
			break;
		struct df_str rest = df_str(at, body.len - (size_t)(at - body.ptr));
		int number = 0;
		for (size_t i = strlen("Code: "); i < rest.len && i < 12 && (unsigned)(rest.ptr[i] - '0') < 10; i++)
			number = number * 10 + (rest.ptr[i] - '0');
		size_t head = rest.len < 100 ? rest.len : 100;
		if (number && memmem(rest.ptr, head, "Exception", strlen("Exception"))) {
			found = number;
			*ret_message = rest;
		}
	}
	return found;
}

static int class_of_status(int status)
{
	switch (status) {
	case 401:
	case 403:
		return DF_ERR_AUTH;
	case 404:
		return DF_ERR_CONFIG;
	case 408:
	case 504:
		return DF_ERR_TIMEOUT;
	case 429:
	case 500:
	case 502:
	case 503:
		return DF_ERR_TRANSIENT;
	default:
		return DF_ERR_UNKNOWN;
	}
}

int df_ch_http_error(const char *peer, int status, int exception_code, struct df_str body, struct df_error *err)
{
	struct df_str message = body;
	int number = find_exception(body, &message);

	if (exception_code)
		number = exception_code;
	if (number)
		return df_ch_server_error(peer, number, message, err);
	return df_error_set(err, class_of_status(status), "%s: HTTP status %d%s", peer, status,
			    status == 404 ? "; is http_path right?" : "");
}

/* ---- the request's thread -------------------------------------------------------------------------------- */

static void keep_tail(struct df_ch_answer *a, struct df_str piece)
{
	if (piece.len >= DF_CH_ANSWER_TAIL) {
		piece = df_str(piece.ptr + piece.len - DF_CH_ANSWER_TAIL, DF_CH_ANSWER_TAIL);
		a->tail.len = 0;
	}
	/* Moved seldom: the buffer holds up to twice the tail. */
	if (a->tail.len + piece.len > 2 * DF_CH_ANSWER_TAIL) {
		size_t keep = DF_CH_ANSWER_TAIL - piece.len < a->tail.len ? DF_CH_ANSWER_TAIL - piece.len : a->tail.len;
		memmove(a->tail.data, a->tail.data + a->tail.len - keep, keep);
		a->tail.len = keep;
	}
	df_buf_add_str(&a->tail, piece);
}

static int on_body(void *arg, struct df_str piece, struct df_error *err)
{
	struct df_ch_answer *a = arg;
	int code = 0;

	pthread_mutex_lock(&a->lock);
	keep_tail(a, piece);
	while (!a->given_up && a->waiting.len >= DF_CH_ANSWER_AHEAD)
		pthread_cond_wait(&a->moved, &a->lock);
	if (!a->given_up) {
		df_buf_add_str(&a->waiting, piece);
		code = a->waiting.failed ? df_error_no_memory(err) : 0;
	}
	pthread_cond_broadcast(&a->moved);
	pthread_mutex_unlock(&a->lock);
	return code;
}

static void on_header(void *arg, struct df_str name, struct df_str value)
{
	struct df_ch_answer *a = arg;
	static const char header[] = "X-ClickHouse-Exception-Code";
	int64_t number;

	if (name.len == strlen(header) && strncasecmp(name.ptr, header, name.len) == 0 &&
	    df_str_to_int64(value, &number))
		a->exception_code = (int)number;
}

static void *run_request(void *arg)
{
	struct df_ch_answer *a = arg;
	struct df_http_response response;
	struct df_error error = DF_ERROR_INIT;
	int code = df_http_request(a->client, a->ctx, &a->request, &response, &error);

	pthread_mutex_lock(&a->lock);
	a->status = response.status;
	a->code = code;
	a->error = error;
	a->ended = true;
	pthread_cond_broadcast(&a->moved);
	pthread_mutex_unlock(&a->lock);
	df_http_response_done(&response);
	return NULL;
}

/* ---- the reader ------------------------------------------------------------------------------------------ */

static int more(struct df_ch_input *in, struct df_error *err)
{
	struct df_ch_answer *a = DF_CONTAINER_OF(in, struct df_ch_answer, in);
	bool any;
	int code = df_ch_answer_more(a, &any, err);

	if (code == 0 && !any)
		return df_error_set(err, DF_ERR_CONNECTION, "%s: the answer ends in the middle", a->peer);
	return code;
}

int df_ch_answer_begin(struct df_ch_answer *a, struct df_context *ctx, struct df_http_client *client,
		       const struct df_http_request *request, const char *peer, struct df_error *err)
{
	*a = (struct df_ch_answer){
		.in = { .more = more }, .client = client, .request = *request, .peer = peer, .waiting.max = SIZE_MAX / 2
	};
	a->request.on_body = on_body;
	a->request.on_header = on_header;
	a->request.arg = a;
	pthread_mutex_init(&a->lock, NULL);
	pthread_cond_init(&a->moved, NULL);
	a->ctx = df_context_new(ctx);
	a->running = a->ctx && pthread_create(&a->thread, NULL, run_request, a) == 0;
	if (!a->running) {
		df_ch_answer_end(a);
		return df_error_no_memory(err);
	}
	return 0;
}

int df_ch_answer_more(struct df_ch_answer *a, bool *ret_more, struct df_error *err)
{
	int code = 0;

	*ret_more = true;
	if (a->in.pos < a->in.end)
		return 0;
	pthread_mutex_lock(&a->lock);
	while (a->waiting.len == 0 && !a->ended)
		pthread_cond_wait(&a->moved, &a->lock);
	struct df_buf empty = a->taken;
	a->taken = a->waiting;
	empty.len = 0;
	empty.max = a->waiting.max;
	a->waiting = empty;
	*ret_more = a->taken.len > 0;
	/* Whatever came before it is read first. */
	if (!*ret_more && a->code != 0) {
		code = a->code;
		if (err)
			*err = a->error;
	}
	pthread_cond_broadcast(&a->moved);
	pthread_mutex_unlock(&a->lock);
	a->in.pos = (const uint8_t *)a->taken.data;
	a->in.end = *ret_more ? a->in.pos + a->taken.len : a->in.pos;
	return code;
}

int df_ch_answer_reason(struct df_ch_answer *a, struct df_error *err)
{
	struct df_str message;
	int number;

	pthread_mutex_lock(&a->lock);
	a->given_up = true; /* the rest only passes through the tail */
	pthread_cond_broadcast(&a->moved);
	while (!a->ended)
		pthread_cond_wait(&a->moved, &a->lock);
	pthread_mutex_unlock(&a->lock);
	if (a->status && (a->status < 200 || a->status > 299))
		return df_ch_http_error(a->peer, a->status, a->exception_code, df_buf_str(&a->tail), err);
	number = find_exception(df_buf_str(&a->tail), &message);
	if (number)
		return df_ch_server_error(a->peer, number, message, err);
	if (a->code != 0 && err)
		*err = a->error;
	return err && err->code ? err->code : a->code ? a->code : DF_ERR_CONNECTION;
}

void df_ch_answer_end(struct df_ch_answer *a)
{
	if (!a->peer)
		return;
	if (a->running) {
		pthread_mutex_lock(&a->lock);
		bool ended = a->ended;
		a->given_up = true;
		pthread_cond_broadcast(&a->moved);
		pthread_mutex_unlock(&a->lock);
		if (!ended)
			df_context_cancel(a->ctx);
		pthread_join(a->thread, NULL);
	}
	df_context_free(a->ctx);
	pthread_mutex_destroy(&a->lock);
	pthread_cond_destroy(&a->moved);
	df_buf_done(&a->waiting);
	df_buf_done(&a->taken);
	df_buf_done(&a->tail);
	*a = (struct df_ch_answer){ 0 };
}

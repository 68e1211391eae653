#include "connectors/trino/client.h"

#include <stdio.h>

#include "base/clock.h"
#include "base/retry.h"
#include "connectors/trino/auth.h"
#include "connectors/trino/session.h"
#include "connectors/trino/spool.h"
#include "net/url.h"

#define SOURCE_NAME "dataflow-operator"
#define HEADERS_MAX 64
#define TELL_TIMEOUT (2 * DF_NS_PER_S)
#define CANCEL_TIMEOUT (500 * DF_NS_PER_MS) /* whoever closes or cancels waits for it */
#define SILENCE_MAX (10 * DF_NS_PER_S)	    /* the server answers within a second, if only with the next URI */
#define PAGE_MAX ((size_t)256 << 20)
#define BUSY_GIVE_UP (60 * DF_NS_PER_S) /* 502, 503, 504, lost connections: then it is the processor's to wait */

/* 502, 503, 504 and lost connections: the client protocol asks for 50 to 100 ms at first. */
static const struct df_retry_policy busy_policy = {
	.first_ns = 75 * DF_NS_PER_MS, .cap_ns = 5 * DF_NS_PER_S, .factor = 2, .jitter = 0.33
};

struct df_trino_client {
	const struct df_trino_connection *settings;
	const struct df_logger *logger;
	struct df_tls tls;
	struct df_http_client *http;
	struct df_trino_auth *auth;
	struct df_trino_session session;
	struct df_url origin; /* of serverURL */
	char *statement_url;
	char *tags;
	char run_time[48]; /* of X-Trino-Session */
	int64_t timeout_ns;
	bool answered; /* somebody is there */
};

/* ---- life ------------------------------------------------------------------------------------------------ */

static int set_texts(struct df_trino_client *c, struct df_error *err)
{
	struct df_str url = df_str_c(c->settings->server_url.value);
	struct df_buf statement = { 0 }, tags = { 0 };

	while (df_str_ends(url, DF_STR("/")))
		url.len--;
	if (!df_url_split(url, &c->origin))
		return df_error_set(err, DF_ERR_CONFIG, "serverURL is not an absolute http or https URL");
	if (c->settings->password.value && !df_str_equal_c(c->origin.scheme, "https"))
		return df_error_set(err, DF_ERR_CONFIG, "password is sent over https only, and serverURL is not https");
	df_buf_add_str(&statement, url);
	df_buf_add_c(&statement, "/v1/statement");
	for (size_t i = 0; i < c->settings->client_tags.count; i++) {
		df_buf_add_c(&tags, i ? "," : "");
		df_buf_add_c(&tags, c->settings->client_tags.items[i]);
	}
	c->statement_url = df_buf_take(&statement);
	c->tags = tags.len ? df_buf_take(&tags) : NULL;
	return c->statement_url && !tags.failed ? 0 : df_error_no_memory(err);
}

int df_trino_client_new(const struct df_trino_connection *settings, const struct df_logger *logger,
			struct df_trino_client **ret, struct df_error *err)
{
	struct df_trino_client *c = calloc(1, sizeof(*c));
	const struct df_tls_settings *tls = settings->tls.settings;
	int32_t seconds =
		settings->query_timeout_seconds > 0 ? settings->query_timeout_seconds : DF_TRINO_QUERY_TIMEOUT_SECONDS;

	if (!c)
		return df_error_no_memory(err);
	c->settings = settings;
	c->logger = logger;
	if (tls)
		c->tls = (struct df_tls){ .ca = tls->ca.value,
					  .cert = tls->cert.value,
					  .key = tls->key.value,
					  .insecure_skip_verify = tls->insecure_skip_verify };
	c->timeout_ns = seconds * DF_NS_PER_S;
	(void)snprintf(c->run_time, sizeof(c->run_time), "query_max_run_time=%ds", (int)seconds);
	const struct df_http_client_options options = { .tls = tls ? &c->tls : NULL };
	int code = set_texts(c, err);
	if (code == 0)
		code = df_http_client_new(&options, &c->http, err);
	if (code == 0)
		code = df_trino_auth_new(settings, tls ? &c->tls : NULL, logger, &c->auth, err);
	if (code != 0) {
		df_trino_client_free(c);
		return code;
	}
	*ret = c;
	return 0;
}

void df_trino_client_free(struct df_trino_client *c)
{
	if (!c)
		return;
	df_trino_session_done(&c->session);
	df_trino_auth_free(c->auth);
	df_http_client_free(c->http);
	free(c->statement_url);
	free(c->tags);
	free(c);
}

/* ---- one request ----------------------------------------------------------------------------------------- */

static size_t write_headers(const struct df_trino_client *c, struct df_http_header *headers)
{
	const struct df_trino_connection *s = c->settings;
	const struct df_http_header fixed[] = {
		{ "X-Trino-User", s->user },
		{ "X-Trino-Source", SOURCE_NAME },
		{ "X-Trino-Catalog", s->catalog.value },
		{ "X-Trino-Schema", s->schema.value },
		{ "X-Trino-Time-Zone", "UTC" },
		{ "X-Trino-Client-Info", "dataflow/" DF_VERSION },
		{ "X-Trino-Client-Capabilities", "PARAMETRIC_DATETIME" }, /* without it times are cut to milliseconds */
		{ "X-Trino-Query-Data-Encoding", DF_TRINO_ENCODINGS },
		{ "X-Trino-Session", c->run_time },
		{ "Content-Type", "text/plain; charset=utf-8" },
	};
	size_t count = DF_ARRAY_SIZE(fixed);

	memcpy(headers, fixed, sizeof(fixed));
	if (c->tags)
		headers[count++] = (struct df_http_header){ "X-Trino-Client-Tags", c->tags };
	df_trino_session_headers(&c->session, headers, &count, HEADERS_MAX);
	return count;
}

static void on_header(void *arg, struct df_str name, struct df_str value)
{
	struct df_trino_client *c = arg;

	df_trino_session_header(&c->session, name, value);
}

/* Does the status say "ask again"? *ret_wait_ns: after that time; -1: by the backoff. */
static bool is_busy(const struct df_http_response *r, int64_t *ret_wait_ns)
{
	*ret_wait_ns = -1;
	if (r->status == 429) {
		*ret_wait_ns = r->retry_after_ns;
		return true;
	}
	return r->status == 502 || r->status == 503 || r->status == 504;
}

static int refuse_status(const struct df_http_response *r, struct df_error *err)
{
	char remote[16];

	(void)snprintf(remote, sizeof(remote), "HTTP %d", r->status);
	int code = r->status == 401 || r->status == 403	  ? DF_ERR_AUTH
		   : r->status == 429 || r->status >= 500 ? DF_ERR_TRANSIENT
							  : DF_ERR_CONFIG;
	(void)df_error_set(err, code, "the server answered with HTTP status %d%s", r->status,
			   r->status == 401   ? "; check the user, password or token"
			   : r->status == 403 ? "; the user may not do that"
			   : r->status == 404 ? "; is serverURL a Trino coordinator?"
					      : "");
	df_error_remote(err, remote);
	return code;
}

struct ask {
	const char *method;
	const char *url;
	struct df_str body;
	bool repeatable; /* asking twice does no harm: also when the answer was lost */
};

/*
 * One request with credentials, asked again while the server is busy or the connection fails; the token is renewed
 * once. 0: an answer of status 200 or 204, or any other that is the caller's to judge (404 and 410 of a query's URI).
 */
static int ask(struct df_trino_client *c, struct df_context *ctx, const struct ask *a, struct df_http_response *ret,
	       struct df_error *err)
{
	struct df_http_header headers[HEADERS_MAX];
	struct df_retry retry;
	int64_t give_up = df_clock_monotonic() + BUSY_GIVE_UP;
	bool renewed = false;

	df_retry_init(&retry, &busy_policy, (uint64_t)give_up);
	for (;;) {
		struct df_http_request request = { .method = a->method,
						   .url = a->url,
						   .headers = headers,
						   .body = a->body,
						   .idle_timeout_ns = SILENCE_MAX,
						   .decompress = c->settings->compression,
						   .on_header = on_header,
						   .arg = c,
						   .max_body = PAGE_MAX };
		int64_t wait_ns = -1;
		int code = df_trino_auth_apply(c->auth, ctx, &request, err);

		if (code != 0)
			return code;
		request.header_count = write_headers(c, headers);
		code = df_http_request(c->http, ctx, &request, ret, err);
		bool lost = code == DF_ERR_CONNECTION || (code == DF_ERR_TIMEOUT && df_context_check(ctx, NULL) == 0);
		/* A server that never answered is not lost: connecting is the processor's to try again. */
		if (code != 0 && (!lost || !a->repeatable || !c->answered))
			return code;
		c->answered = true;
		if (code == 0 && ret->status == 401 && !renewed && df_trino_auth_renew(c->auth)) {
			renewed = true;
			df_http_response_done(ret);
			continue;
		}
		if (code == 0 && !is_busy(ret, &wait_ns))
			return 0;
		if (df_clock_monotonic() >= give_up)
			return code != 0 ? code : refuse_status(ret, err);
		df_http_response_done(ret);
		*ret = (struct df_http_response){ 0 };
		if (df_context_sleep(ctx, wait_ns >= 0 ? wait_ns : df_retry_next(&retry)) != 0)
			return df_context_check(ctx, err);
	}
}

int df_trino_fetch(struct df_trino_client *c, struct df_context *ctx, const char *url,
		   const struct df_http_header *headers, size_t header_count, struct df_http_response *ret,
		   struct df_error *err)
{
	const struct df_http_request request = { .url = url,
						 .headers = headers,
						 .header_count = header_count,
						 .idle_timeout_ns = SILENCE_MAX,
						 .max_body = PAGE_MAX };
	int code = df_http_request(c->http, ctx, &request, ret, err);

	return code == 0 && ret->status / 100 != 2 ? refuse_status(ret, err) : code;
}

/* ---- answers --------------------------------------------------------------------------------------------- */

/* The next URI, at serverURL's origin whatever the server (or a proxy before it) calls itself: credentials go nowhere
 * else. */
static int set_next(struct df_trino_query *q, const struct df_value *answer, struct df_error *err)
{
	const struct df_trino_client *c = q->client;
	struct df_value *v = df_object_get_c(answer, "nextUri");
	struct df_str text = v && v->kind == DF_STRING ? df_value_text(v, &q->arena) : df_str(NULL, 0);
	struct df_buf url = { 0 };
	struct df_url parts;

	free(q->next);
	q->next = NULL;
	if (!text.ptr)
		return 0;
	if (!df_url_split(text, &parts))
		return df_error_set(err, DF_ERR_UNKNOWN, "the server sent a nextUri that is no absolute URL");
	if (df_url_same_origin(&parts, &c->origin)) {
		q->next = df_str_dup(text);
	} else {
		df_buf_printf(&url, DF_STR_FMT "://" DF_STR_FMT DF_STR_FMT, DF_STR_ARG(c->origin.scheme),
			      DF_STR_ARG(c->origin.authority), DF_STR_ARG(parts.rest));
		q->next = df_buf_take(&url);
	}
	return q->next ? 0 : df_error_no_memory(err);
}

static int set_columns(struct df_trino_query *q, const struct df_value *columns, struct df_error *err)
{
	size_t n = 0;

	if (q->columns || !columns || columns->kind != DF_ARRAY)
		return 0;
	q->columns = df_arena_zalloc(&q->life, (columns->len + 1) * sizeof(*q->columns));
	if (!q->columns)
		return df_error_no_memory(err);
	df_for_each (item, columns) {
		struct df_value *name = df_object_get_c(item, "name");
		struct df_trino_column *column = &q->columns[n++];
		int code = df_trino_type_from_signature(df_object_get_c(item, "typeSignature"), &q->life, &column->type,
							err);
		if (code != 0)
			return code;
		column->name = name && name->kind == DF_STRING ? df_arena_dup(&q->life, df_value_text(name, &q->arena))
							       : df_str(NULL, 0);
		if (!column->name.ptr)
			return df_error_set(err, DF_ERR_UNKNOWN, "the server sent a column without a name");
	}
	q->column_count = n;
	return 0;
}

/* An answer without a next one is the last: of a query that ended well, as it has no error. */
static int check_state(struct df_trino_query *q, const struct df_value *answer, struct df_error *err)
{
	struct df_value *v = df_object_get_c(df_object_get_c(answer, "stats"), "state");

	if (q->next || !v || v->kind != DF_STRING || df_str_equal_c(df_value_text(v, &q->arena), "FINISHED"))
		return 0;
	return df_error_set(err, DF_ERR_TRANSIENT,
			    "the server's last answer names no error, but its state is not FINISHED");
}

/* Rows, in the answer or in segments beside it. */
static int set_rows(struct df_trino_query *q, struct df_value *data, struct df_error *err)
{
	if (!data || data->kind == DF_NULL)
		return 0;
	if (data->kind == DF_ARRAY) {
		q->row = data->len ? data->first : NULL;
		return 0;
	}
	return df_trino_spool_open(q, data, err);
}

/* Takes an answer apart. Its body becomes the query's page. */
static int take_answer(struct df_trino_query *q, struct df_http_response *response, struct df_error *err)
{
	struct df_value *answer;
	enum df_parse_result result;

	q->body = response->body;
	response->body = (struct df_buf){ 0 };
	result = df_value_parse(df_buf_str(&q->body), &q->arena, &answer, NULL);
	if (result == DF_PARSE_NO_MEMORY)
		return df_error_no_memory(err);
	if (result != DF_PARSE_OK || answer->kind != DF_OBJECT)
		return df_error_set(err, DF_ERR_UNKNOWN, "the server's answer is not the JSON of Trino's protocol");

	struct df_value *error = df_object_get_c(answer, "error");
	struct df_value *id = df_object_get_c(answer, "id");
	struct df_value *count = df_object_get_c(answer, "updateCount");
	if (!q->id && id && id->kind == DF_STRING)
		q->id = df_str_dup(df_value_text(id, &q->arena));
	if (count)
		(void)df_value_to_int64(count, &q->updated);
	if (error) {
		free(DF_TAKE(q->next));
		return df_trino_error(error, &q->arena, err);
	}
	int code = set_next(q, answer, err);
	if (code == 0)
		code = check_state(q, answer, err);
	if (code == 0)
		code = set_columns(q, df_object_get_c(answer, "columns"), err);
	if (code == 0)
		code = set_rows(q, df_object_get_c(answer, "data"), err);
	q->finished = code == 0 && !q->next;
	return code;
}

/* ---- queries --------------------------------------------------------------------------------------------- */

/* Names the query in an error, for the server's own log; and the setting that gives it more time. */
static int with_id(const struct df_trino_query *q, int code, struct df_error *err)
{
	if (code == DF_ERR_TIMEOUT && q->client->timeout_ns <= df_clock_monotonic() - q->started_ns)
		(void)df_error_prefix(err, "queryTimeoutSeconds is over (waiting for a full sink counts)");
	if (code != 0 && code != DF_ERR_CANCELED && q->id)
		(void)df_error_prefix(err, "query %s", q->id);
	return code;
}

void df_trino_drop_page(struct df_trino_query *q)
{
	df_buf_done(&q->body);
	df_arena_reset(&q->arena);
}

/* Asks for the next answer. */
static int advance(struct df_trino_query *q, struct df_error *err)
{
	df_cleanup(df_http_response_done) struct df_http_response response = { 0 };
	const struct ask a = { .method = "GET", .url = q->next, .repeatable = true };
	int code;

	df_trino_drop_page(q);
	code = ask(q->client, q->ctx, &a, &response, err);
	if (code == 0 && (response.status == 404 || response.status == 410)) {
		free(DF_TAKE(q->next));
		code = df_error_set(
			err, DF_ERR_TRANSIENT,
			"the server no longer knows the query (HTTP status %d): it was restarted, or another "
			"coordinator answers",
			response.status);
		df_error_remote(err, DF_TRINO_LOST);
	} else if (code == 0 && response.status != 200) {
		code = refuse_status(&response, err);
	} else if (code == 0) {
		free(q->current);
		q->current = df_str_dup(df_str_c(q->next));
		code = take_answer(q, &response, err);
	}
	return with_id(q, code, err);
}

int df_trino_query_start(struct df_trino_client *client, struct df_context *ctx, struct df_str sql,
			 struct df_trino_query *q, struct df_error *err)
{
	df_cleanup(df_http_response_done) struct df_http_response response = { 0 };
	const struct ask a = { .method = "POST", .url = client->statement_url, .body = sql, .repeatable = true };

	*q = (struct df_trino_query){ .client = client,
				      .ctx = df_context_new(ctx),
				      .started_ns = df_clock_monotonic() };
	if (!q->ctx)
		return df_error_no_memory(err);
	df_context_deadline(q->ctx, q->started_ns + client->timeout_ns);
	int code = ask(client, q->ctx, &a, &response, err);
	if (code == 0 && response.status != 200)
		code = refuse_status(&response, err);
	if (code == 0)
		code = take_answer(q, &response, err);
	if (code == 0 && client->session.failed)
		code = df_error_no_memory(err);
	code = with_id(q, code, err);
	while (code == 0 && !q->columns && q->next)
		code = advance(q, err);
	return code;
}

int df_trino_query_row(struct df_trino_query *q, struct df_value **ret, struct df_error *err)
{
	int code = 0;

	while (code == 0 && !q->row && (q->spool || q->next))
		code = q->spool ? with_id(q, df_trino_spool_next(q, err), err) : advance(q, err);
	if (code != 0)
		return code;
	*ret = q->row;
	if (!q->row)
		return 0;
	if (q->row->kind != DF_ARRAY || q->row->len != q->column_count)
		return with_id(q,
			       df_error_set(err, DF_ERR_UNKNOWN,
					    "the server sent a row that does not have the result's columns"),
			       err);
	q->row = q->row->next;
	return 0;
}

int df_trino_query_finish(struct df_trino_query *q, struct df_error *err)
{
	struct df_value *row;
	int code;

	do
		code = df_trino_query_row(q, &row, err);
	while (code == 0 && row);
	return code;
}

/* A request whose answer nobody needs. */
static void tell(struct df_trino_query *q, struct df_context *ctx, const char *method, const char *url)
{
	df_cleanup(df_http_response_done) struct df_http_response response = { 0 };
	struct df_http_header headers[HEADERS_MAX];
	struct df_http_request request = {
		.method = method, .url = url, .headers = headers, .timeout_ns = TELL_TIMEOUT
	};

	if (df_trino_auth_apply(q->client->auth, ctx, &request, NULL) != 0)
		return;
	request.header_count = write_headers(q->client, headers);
	(void)!df_http_request(q->client->http, ctx, &request, &response, NULL);
}

/* HEAD of the page that is there: the server answers it from what it keeps and notes the time. Of the next one it would
 * make the page. */
void df_trino_query_keep(struct df_trino_query *q)
{
	if (q->next && q->current)
		tell(q, q->ctx, "HEAD", q->current);
}

/* Ends a query that nobody waits for any more. The caller's context may be the reason, so it gets one of its own. */
static void cancel(struct df_trino_query *q)
{
	df_cleanup(df_context_freep) struct df_context *ctx = df_context_new(NULL);

	if (!ctx)
		return;
	df_context_deadline(ctx, df_clock_monotonic() + CANCEL_TIMEOUT);
	tell(q, ctx, "DELETE", q->next);
}

void df_trino_query_done(struct df_trino_query *q)
{
	if (q->next)
		cancel(q);
	df_trino_spool_close(q);
	df_buf_done(&q->body);
	df_arena_done(&q->arena);
	df_arena_done(&q->life);
	df_context_free(q->ctx);
	free(q->id);
	free(q->next);
	free(q->current);
	*q = (struct df_trino_query){ 0 };
}

int df_trino_execute(struct df_trino_client *client, struct df_context *ctx, struct df_str sql, struct df_error *err)
{
	df_cleanup(df_trino_query_done) struct df_trino_query q = { 0 };
	int code = df_trino_query_start(client, ctx, sql, &q, err);

	return code == 0 ? df_trino_query_finish(&q, err) : code;
}

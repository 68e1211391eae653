/* The HTTP client against a server that also misbehaves (http_peer.py). */
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "net/http_client.h"
#include "test/net/http_peer.h"

/* ---- asking ---------------------------------------------------------------------------------------------- */

#define S DF_NS_PER_S
#define MS DF_NS_PER_MS

struct asked {
	int code;
	struct df_http_response response;
	struct df_error err;
	int64_t took;
};

static struct df_http_client *client_of(const struct df_tls *tls, int64_t connect_timeout)
{
	struct df_http_client *client = NULL;
	struct df_error err = DF_ERROR_INIT;

	if (df_http_client_new(&(struct df_http_client_options){ tls, connect_timeout, NULL }, &client, &err) < 0)
		fail_msg("%s", err.text);
	return client;
}

static const char *url_of(const char *base, const char *path)
{
	static char url[512];

	snprintf(url, sizeof(url), "%s%s", base, path);
	return url;
}

static struct asked ask_with(struct df_http_client *client, struct df_context *ctx, struct df_http_request request)
{
	struct asked a = { 0 };
	int64_t start = df_clock_monotonic();

	a.code = df_http_request(client, ctx, &request, &a.response, &a.err);
	a.took = df_clock_monotonic() - start;
	assert_int_equal(a.code, a.err.code);
	return a;
}

/* One request by a client of its own; the caller gives the response back. */
static struct asked ask(const struct df_tls *tls, struct df_http_request request)
{
	df_cleanup(df_http_client_freep) struct df_http_client *client = client_of(tls, 0);

	return ask_with(client, NULL, request);
}

#define GET(base, path) ((struct df_http_request){ .url = url_of(base, path) })

static void assert_body(struct asked *a, int status, const char *body)
{
	if (a->code < 0)
		fail_msg("%s", a->err.text);
	assert_int_equal(a->response.status, status);
	assert_string_equal(df_buf_c(&a->response.body), body);
	df_http_response_done(&a->response);
}

static void assert_has(struct asked *a, const char *piece)
{
	if (a->code < 0)
		fail_msg("%s", a->err.text);
	if (!strstr(df_buf_c(&a->response.body), piece))
		fail_msg("no `%s` in:\n%s", piece, df_buf_c(&a->response.body));
}

static void assert_error(struct asked *a, int code, const char *piece)
{
	if (a->code != code || !strstr(a->err.text, piece))
		fail_msg("%d (%s), wanted %d with `%s`", a->code, a->err.text, code, piece);
	df_http_response_done(&a->response);
}

/* ---- what is sent ---------------------------------------------------------------------------------------- */

static void test_get(void **state)
{
	static const struct df_http_header headers[] = {
		{ "X-One", "1" }, { "X-Empty", "" }, { "Accept", NULL }, { "Content-Type", "text/x" }
	};
	struct df_http_request request = GET(peer.plain, "/echo?a=b");
	struct asked a;

	(void)state;
	request.headers = headers;
	request.header_count = DF_ARRAY_SIZE(headers);
	a = ask(NULL, request);
	assert_has(&a, "GET /echo?a=b HTTP/1.1\n");
	assert_has(&a, "\nX-One: 1\n");
	assert_has(&a, "\nX-Empty:\n");
	assert_has(&a, "\nContent-Type: text/x\n");
	assert_has(&a, "\nUser-Agent: dataflow/");
	assert_null(strstr(df_buf_c(&a.response.body), "Accept"));
	assert_null(strstr(df_buf_c(&a.response.body), "Authorization"));
	df_http_response_done(&a.response);
}

static void test_methods(void **state)
{
	static const struct {
		const char *method, *body, *line, *more;
	} rows[] = {
		{ NULL, "abc", "POST /echo ", "Content-Length: 3\n" },
		{ NULL, "", "POST /echo ", "Content-Length: 0\n" },
		{ "POST", NULL, "POST /echo ", "Content-Length: 0\n" },
		{ "PUT", "abc", "PUT /echo ", "\n\nabc" },
		{ "PATCH", "abc", "PATCH /echo ", "\n\nabc" },
		{ "DELETE", NULL, "DELETE /echo ", "" },
		{ "DELETE", "abc", "DELETE /echo ", "\n\nabc" },
	};

	(void)state;
	for (size_t i = 0; i < DF_ARRAY_SIZE(rows); i++) {
		struct df_http_request request = GET(peer.plain, "/echo");
		struct asked a;

		request.method = rows[i].method;
		request.body = df_str_c(rows[i].body);
		a = ask(NULL, request);
		assert_has(&a, rows[i].line);
		assert_has(&a, rows[i].more);
		assert_null(strstr(df_buf_c(&a.response.body), "Expect"));
		assert_null(strstr(df_buf_c(&a.response.body), "Content-Type"));
		df_http_response_done(&a.response);
	}
	struct df_http_request head = GET(peer.plain, "/empty");
	head.method = "HEAD";
	struct asked a = ask(NULL, head);
	assert_body(&a, 200, "");
}

static void test_credentials(void **state)
{
	struct df_http_request request = GET(peer.plain, "/echo");
	struct asked a;

	(void)state;
	request.username = "us:er";
	request.password = "secret";
	a = ask(NULL, request);
	assert_has(&a, "\nAuthorization: Basic dXM6ZXI6c2VjcmV0\n");
	df_http_response_done(&a.response);
	request.username = request.password = NULL;
	request.bearer = "tok.en";
	a = ask(NULL, request);
	assert_has(&a, "\nAuthorization: Bearer tok.en\n");
	df_http_response_done(&a.response);
}

/* Nothing that a caller puts into a header can become another header, and no secret shows in the refusal. */
static void test_injection(void **state)
{
	static const struct df_http_header evil = { "X-A", "1\r\nX-B: secret" };
	struct df_http_request request = GET(peer.plain, "/echo?token=secret");
	struct asked a;

	(void)state;
	request.bearer = "secret\nX-B: 1";
	a = ask(NULL, request);
	assert_error(&a, DF_ERR_CONFIG, "the header `Authorization`");
	assert_null(strstr(a.err.text, "secret"));
	request.bearer = NULL;
	request.headers = &evil;
	request.header_count = 1;
	a = ask(NULL, request);
	assert_error(&a, DF_ERR_CONFIG, "the header `X-A`");
	assert_null(strstr(a.err.text, "secret"));
	request.header_count = 0;
	request.method = "GET /other";
	a = ask(NULL, request);
	assert_error(&a, DF_ERR_CONFIG, "method");
}

struct upload {
	size_t left, piece;
	int fail_at; /* pieces until a failure; 0: none */
};

static int next_piece(void *arg, char *data, size_t cap, size_t *ret_len, struct df_error *err)
{
	struct upload *u = arg;
	size_t n = u->left < u->piece ? u->left : u->piece;

	if (u->fail_at && --u->fail_at == 0)
		return df_error_set(err, DF_ERR_INVALID_DATA, "row 7 is ill");
	n = n < cap ? n : cap;
	memset(data, 'u', n);
	u->left -= n;
	*ret_len = n;
	return 0;
}

static void test_upload(void **state)
{
	struct upload upload = { 5000000, 10007, 0 };
	struct df_http_request request = GET(peer.plain, "/length");
	struct asked a;

	(void)state;
	request.read_body = next_piece;
	request.arg = &upload;
	a = ask(NULL, request);
	assert_body(&a, 200, "5000000");
	upload = (struct upload){ 5000000, 10007, 50 };
	a = ask(NULL, request);
	assert_true(a.response.sent);
	assert_error(&a, DF_ERR_INVALID_DATA, "row 7 is ill");
}

static void test_large_body(void **state)
{
	struct df_http_request request = GET(peer.tls, "/length");
	struct df_tls tls = { .ca = peer.ca };
	char *text = calloc(1, 3000000);
	struct asked a;

	(void)state;
	request.body = df_str(text, 3000000);
	a = ask(&tls, request);
	assert_body(&a, 200, "3000000");
	free(text);
}

/* ---- what comes back ------------------------------------------------------------------------------------- */

static void test_status(void **state)
{
	struct asked a = ask(NULL, GET(peer.plain, "/status?503"));

	(void)state;
	assert_int_equal(a.response.retry_after_ns, -1);
	assert_body(&a, 503, "why");
	a = ask(NULL, GET(peer.plain, "/status?404"));
	assert_body(&a, 404, "why");
	a = ask(NULL, GET(peer.plain, "/redirect"));
	assert_body(&a, 302, "");
}

static void test_retry_after(void **state)
{
	char path[128], date[64];
	time_t in_a_minute = time(NULL) + 60;
	struct tm tm;
	struct asked a;

	(void)state;
	a = ask(NULL, GET(peer.plain, "/status?429&7"));
	assert_int_equal(a.response.retry_after_ns, 7 * S);
	assert_body(&a, 429, "why");
	strftime(date, sizeof(date), "%a,+%d+%b+%Y+%H:%M:%S+GMT", gmtime_r(&in_a_minute, &tm));
	snprintf(path, sizeof(path), "/status?503&%s", date);
	a = ask(NULL, GET(peer.plain, path));
	assert_in_range(a.response.retry_after_ns, 50 * S, 60 * S);
	df_http_response_done(&a.response);
	a = ask(NULL, GET(peer.plain, "/status?503&Fri,+31+Dec+1999+23:59:59+GMT"));
	assert_int_equal(a.response.retry_after_ns, 0);
	df_http_response_done(&a.response);
	a = ask(NULL, GET(peer.plain, "/status?503&soon"));
	assert_int_equal(a.response.retry_after_ns, -1);
	df_http_response_done(&a.response);
	a = ask(NULL, GET(peer.plain, "/status?503&99999999999999999999"));
	df_http_response_done(&a.response);
}

struct stream {
	struct df_buf text;
	int pieces, fail_at;
	struct df_context *cancel;
};

static int take_piece(void *arg, struct df_str piece, struct df_error *err)
{
	struct stream *s = arg;

	if (++s->pieces == s->fail_at)
		return df_error_set(err, DF_ERR_CONSTRAINT, "no more, thank you");
	df_buf_add_str(&s->text, piece);
	df_context_cancel(s->cancel);
	return 0;
}

static void take_header(void *arg, struct df_str name, struct df_str value)
{
	struct stream *s = arg;

	df_buf_printf(&s->text, "<" DF_STR_FMT "=" DF_STR_FMT ">", DF_STR_ARG(name), DF_STR_ARG(value));
}

static void test_stream(void **state)
{
	struct stream s = { 0 };
	struct df_http_request request = GET(peer.plain, "/chunks");
	struct asked a;

	(void)state;
	request.on_body = take_piece;
	request.arg = &s;
	a = ask(NULL, request);
	assert_body(&a, 200, "");
	assert_string_equal(df_buf_c(&s.text), "0..1..2..");
	s.pieces = 0;
	s.fail_at = 2;
	a = ask(NULL, request);
	assert_error(&a, DF_ERR_CONSTRAINT, "no more");
	df_buf_done(&s.text);
}

/* 1xx answers are no answers. */
static void test_headers(void **state)
{
	struct stream s = { 0 };
	struct df_http_request request = GET(peer.plain, "/early");
	struct asked a;

	(void)state;
	request.on_header = take_header;
	request.arg = &s;
	a = ask(NULL, request);
	assert_int_equal(a.response.retry_after_ns, -1);
	assert_body(&a, 200, "late");
	assert_string_equal(df_buf_c(&s.text), "<Content-Length=4><X-Real=2>");
	df_buf_done(&s.text);
}

static void test_limit(void **state)
{
	struct df_http_request request = GET(peer.plain, "/big?100000");
	struct asked a;

	(void)state;
	request.max_body = 100000;
	a = ask(NULL, request);
	assert_int_equal(a.code, 0);
	assert_int_equal(strlen(df_buf_c(&a.response.body)), 100000);
	df_http_response_done(&a.response);
	request.max_body = 99999;
	a = ask(NULL, request);
	assert_error(&a, DF_ERR_INVALID_DATA, "larger than 99999 bytes");
	/* Some kilobytes on the wire. */
	request = GET(peer.plain, "/gzip?20000000");
	request.decompress = true;
	a = ask(NULL, request);
	assert_error(&a, DF_ERR_INVALID_DATA, "larger than 16777216 bytes");
}

static void test_gzip(void **state)
{
	struct df_http_request request = GET(peer.plain, "/gzip?5000");
	struct asked a;

	(void)state;
	a = ask(NULL, request);
	assert_in_range(a.response.body.len, 10, 200);
	df_http_response_done(&a.response);
	request.decompress = true;
	a = ask(NULL, request);
	assert_int_equal(a.response.body.len, 5000);
	df_http_response_done(&a.response);
}

/* ---- connections ----------------------------------------------------------------------------------------- */

static void test_reuse(void **state)
{
	df_cleanup(df_http_client_freep) struct df_http_client *client = client_of(NULL, 0);
	struct asked a = ask_with(client, NULL, GET(peer.plain, "/connections"));
	char *first = df_buf_take(&a.response.body);

	(void)state;
	for (int i = 0; i < 5; i++) {
		a = ask_with(client, NULL, GET(peer.plain, "/connections"));
		assert_body(&a, 200, first);
	}
	free(first);
}

/* The server closes a kept connection just when the next request comes. */
static void test_dead_reuse(void **state)
{
	df_cleanup(df_http_client_freep) struct df_http_client *client = client_of(NULL, 0);
	struct df_http_request post = GET(peer.plain, "/length");
	struct asked a = ask_with(client, NULL, GET(peer.plain, "/last"));

	(void)state;
	assert_body(&a, 200, "last");
	a = ask_with(client, NULL, GET(peer.plain, "/empty"));
	assert_body(&a, 200, "");
	/* An idempotent one is sent again with its body from the start ... */
	a = ask_with(client, NULL, GET(peer.plain, "/last"));
	assert_body(&a, 200, "last");
	post = GET(peer.plain, "/length");
	post.method = "PUT";
	post.body = DF_STR("once more");
	a = ask_with(client, NULL, post);
	assert_body(&a, 200, "9");
	/* ... any other is not: nobody knows what became of it. */
	a = ask_with(client, NULL, GET(peer.plain, "/last"));
	assert_body(&a, 200, "last");
	post = GET(peer.plain, "/length");
	post.body = DF_STR("only once");
	a = ask_with(client, NULL, post);
	assert_true(a.response.sent);
	assert_error(&a, DF_ERR_CONNECTION, "");
	a = ask_with(client, NULL, GET(peer.plain, "/empty"));
	assert_body(&a, 200, "");
}

static void test_no_server(void **state)
{
	struct asked a = ask(NULL, GET("http://user:secret@127.0.0.1:1", "/a/b?password=secret"));

	(void)state;
	assert_false(a.response.sent);
	assert_string_equal(a.err.remote, "ECONNREFUSED");
	assert_error(&a, DF_ERR_CONNECTION, "GET http://127.0.0.1:1/a/b: ");
	assert_null(strstr(a.err.text, "secret"));
	a = ask(NULL, GET("http://no-such-host.invalid", "/"));
	assert_error(&a, DF_ERR_CONNECTION, "no-such-host.invalid");
	a = ask(NULL, GET("ftp://localhost", "/"));
	assert_error(&a, DF_ERR_CONFIG, "rotocol");
	a = ask(NULL, GET("file:///etc/passwd", ""));
	assert_error(&a, DF_ERR_CONFIG, "rotocol");
	a = ask(NULL, GET("http://[secret", ""));
	assert_error(&a, DF_ERR_CONFIG, "a URL that is none");
	assert_null(strstr(a.err.text, "secret"));
}

static void test_broken_answers(void **state)
{
	static const char *const paths[] = { "/cut", "/cut-chunk", "/cut-headers", "/nothing", "/garbage" };
	struct df_tls tls = { .ca = peer.ca };

	(void)state;
	for (size_t i = 0; i < 2 * DF_ARRAY_SIZE(paths); i++) {
		struct asked a = ask(&tls, GET(i % 2 ? peer.tls : peer.plain, paths[i / 2]));

		assert_true(a.response.sent);
		if (i / 2 < 2)
			assert_string_equal(df_buf_c(&a.response.body), "half");
		assert_error(&a, DF_ERR_CONNECTION, paths[i / 2]);
	}
}

/* The peer goes away while a body is on its way to it: an error, not a signal. */
static void test_cut_upload(void **state)
{
	struct df_tls tls = { .ca = peer.ca };
	struct upload upload;

	(void)state;
	signal(SIGPIPE, SIG_DFL);
	for (int i = 0; i < 2; i++) {
		df_cleanup(df_http_client_freep) struct df_http_client *client = client_of(&tls, 0);
		struct asked a = ask_with(client, NULL, GET(i ? peer.tls : peer.plain, "/last"));
		struct df_http_request request = GET(i ? peer.tls : peer.plain, "/length");

		assert_body(&a, 200, "last");
		upload = (struct upload){ 50000000, 16384, 0 };
		request.read_body = next_piece;
		request.arg = &upload;
		a = ask_with(client, NULL, request);
		assert_error(&a, DF_ERR_CONNECTION, "");
	}
}

/* ---- timeouts and cancelling ----------------------------------------------------------------------------- */

static void test_timeouts(void **state)
{
	df_cleanup(df_http_client_freep) struct df_http_client *hasty = client_of(NULL, 150 * MS);
	struct df_http_request request;
	struct asked a;

	(void)state;
	a = ask_with(hasty, NULL, GET(peer.full, "/"));
	assert_false(a.response.sent);
	assert_in_range(a.took, 100 * MS, 10 * S);
	assert_error(&a, DF_ERR_TIMEOUT, "");
	a = ask_with(hasty, NULL, GET(peer.mute_tls, "/"));
	assert_false(a.response.sent);
	assert_error(&a, DF_ERR_TIMEOUT, "");

	request = GET(peer.plain, "/slow?300");
	request.timeout_ns = 1500 * MS;
	a = ask(NULL, request);
	assert_int_equal(a.response.status, 200);
	assert_in_range(a.response.body.len, 2, 9);
	assert_in_range(a.took, 1490 * MS, 10 * S);
	assert_error(&a, DF_ERR_TIMEOUT, "no complete answer within 1.5s");

	/* Bytes that come keep it alive ... */
	request = GET(peer.plain, "/slow?300");
	request.idle_timeout_ns = 1500 * MS;
	a = ask(NULL, request);
	assert_body(&a, 200, "0123456789");
	/* ... and silence does not, neither before the answer nor in it. */
	request = GET(peer.plain, "/silent");
	request.idle_timeout_ns = 150 * MS;
	a = ask(NULL, request);
	assert_true(a.response.sent);
	assert_error(&a, DF_ERR_TIMEOUT, "nothing was sent or received for 150ms");
	request = GET(peer.plain, "/stall");
	request.idle_timeout_ns = 150 * MS;
	a = ask(NULL, request);
	assert_error(&a, DF_ERR_TIMEOUT, "nothing was sent or received");
}

struct canceller {
	struct df_http_client *client; /* for questions of its own */
	struct df_context *ctx;
	bool arrives; /* the request does, and is awaited */
	int before;
	int64_t canceled;
};

/* How many requests the server has kept without an answer. */
static int arrived(struct df_http_client *client)
{
	char url[128];
	struct df_http_request request = { .url = url };
	struct df_http_response response = { 0 };
	struct df_error err = DF_ERROR_INIT;
	int n = -1;

	snprintf(url, sizeof(url), "%s/arrived", peer.plain);
	if (df_http_request(client, NULL, &request, &response, &err) == 0)
		n = atoi(df_buf_c(&response.body));
	df_http_response_done(&response);
	return n;
}

static void *cancel_later(void *arg)
{
	struct canceller *c = arg;

	for (int i = 0; i < 2000 && c->arrives && arrived(c->client) == c->before; i++)
		usleep(10000);
	usleep(300000); /* libcurl wakes by itself after 200 ms */
	c->canceled = df_clock_monotonic();
	df_context_cancel(c->ctx);
	return NULL;
}

/* `took` is counted from the cancel. */
static struct asked ask_canceled(struct df_http_client *client, struct df_http_request request, bool arrives)
{
	df_cleanup(df_http_client_freep) struct df_http_client *other = client_of(NULL, 0);
	struct canceller c = { .client = other, .ctx = df_context_new(NULL), .arrives = arrives };
	struct asked a;
	pthread_t thread;

	c.before = arrived(other);
	pthread_create(&thread, NULL, cancel_later, &c);
	a = ask_with(client, c.ctx, request);
	a.took = df_clock_monotonic();
	pthread_join(thread, NULL);
	a.took -= c.canceled;
	df_context_free(c.ctx);
	return a;
}

/* In every phase a cancel ends the request at once, and the client is good for the next one. */
static void test_cancel(void **state)
{
	struct df_tls tls = { .ca = peer.ca };
	struct upload upload = { 50000000, 16384, 0 };
	struct df_http_request unread = { .read_body = next_piece, .arg = &upload };
	const struct {
		const char *phase, *base, *path;
		bool sent;
	} rows[] = {
		{ "TCP", peer.full, "/", false },
		{ "TLS", peer.mute_tls, "/", false },
		{ "answer", peer.plain, "/silent", true },
		{ "answer, TLS", peer.tls, "/silent", true },
		{ "body", peer.plain, "/stall", true },
		{ "upload", peer.plain, "/unread", true },
		{ "upload, TLS", peer.tls, "/unread", true },
	};

	(void)state;
	for (size_t i = 0; i < DF_ARRAY_SIZE(rows); i++) {
		df_cleanup(df_http_client_freep) struct df_http_client *client = client_of(&tls, 0);
		struct df_http_request request = GET(rows[i].base, rows[i].path);
		struct asked a;

		if (strcmp(rows[i].path, "/unread") == 0) {
			unread.url = request.url;
			request = unread;
		}
		a = ask_canceled(client, request, rows[i].sent);
		if (a.took < 0 || a.took > 10 * S || a.response.sent != rows[i].sent)
			fail_msg("%s: %lld ms, sent %d", rows[i].phase, (long long)(a.took / MS), a.response.sent);
		assert_error(&a, DF_ERR_CANCELED, "cancelled");
		a = ask_with(client, NULL, GET(peer.plain, "/empty"));
		assert_body(&a, 200, "");
	}
}

static void test_context(void **state)
{
	df_cleanup(df_http_client_freep) struct df_http_client *client = client_of(NULL, 0);
	df_cleanup(df_context_freep) struct df_context *ctx = df_context_new(NULL), *gone = df_context_new(NULL);
	df_cleanup(df_context_freep) struct df_context *late = df_context_new(NULL);
	struct stream s = { .cancel = ctx };
	struct df_http_request request = GET(peer.plain, "/chunks");
	struct asked a;

	(void)state;
	/* From inside a callback. */
	request.on_body = take_piece;
	request.arg = &s;
	a = ask_with(client, ctx, request);
	assert_error(&a, DF_ERR_CANCELED, "cancelled");
	df_buf_done(&s.text);
	/* Before it began: nothing is sent. */
	df_context_cancel(gone);
	a = ask_with(client, gone, GET(peer.plain, "/empty"));
	assert_false(a.response.sent);
	assert_error(&a, DF_ERR_CANCELED, "cancelled");
	df_context_deadline(late, df_clock_monotonic() + 100 * MS);
	a = ask_with(client, late, GET(peer.plain, "/silent"));
	assert_in_range(a.took, 90 * MS, 10 * S);
	assert_error(&a, DF_ERR_TIMEOUT, "deadline");
}

/* ---- TLS ------------------------------------------------------------------------------------------------- */

static char *text_of(const char *path)
{
	struct df_buf text = { 0 };
	FILE *f = fopen(path, "r");
	char piece[4096];
	size_t n;

	while ((n = fread(piece, 1, sizeof(piece), f)) > 0)
		df_buf_add(&text, piece, n);
	fclose(f);
	return df_buf_take(&text);
}

static void assert_auth(struct asked a)
{
	assert_error(&a, DF_ERR_AUTH, "GET https://localhost:");
	assert_null(strstr(a.err.text, "BEGIN"));
}

static void test_ca(void **state)
{
	df_cleanup(df_freep) char *text = text_of(peer.ca);
	df_cleanup(df_freep) char *other = text_of(peer.other_ca);
	struct asked a;
	const struct df_tls good[] = { { .ca = peer.ca },
				       { .ca = text },
				       { .insecure_skip_verify = true },
				       { .ca = text, .insecure_skip_verify = true } };
	const struct df_tls bad[] = { { .ca = NULL },
				      { .ca = peer.other_ca },
				      { .ca = other },
				      { .ca = other, .insecure_skip_verify = true },
				      { .ca = "/no/such/file" },
				      { .ca = "-----BEGIN CERTIFICATE-----\nsecret\n" } };

	(void)state;
	for (size_t i = 0; i < DF_ARRAY_SIZE(good); i++) {
		a = ask(&good[i], GET(peer.tls, "/empty"));
		assert_body(&a, 200, "");
	}
	assert_auth(ask(NULL, GET(peer.tls, "/empty")));
	for (size_t i = 0; i < DF_ARRAY_SIZE(bad); i++) {
		a = ask(&bad[i], GET(peer.tls, "/empty"));
		assert_false(a.response.sent);
		assert_auth(a);
	}
}

static void test_host_name(void **state)
{
	df_cleanup(df_freep) char *base = strdup(peer.tls);
	struct df_tls tls = { .ca = peer.ca };
	struct asked a;

	(void)state;
	/* The certificate is for localhost. */
	a = ask(&tls, GET("https://127.0.0.1", strrchr(base, ':')));
	assert_error(&a, DF_ERR_AUTH, "127.0.0.1");
	/* Plain HTTP at a TLS port and the other way round. */
	a = ask(&tls, GET("http://127.0.0.1", strrchr(base, ':')));
	assert_error(&a, DF_ERR_CONNECTION, "");
	a = ask(&tls, GET("https://127.0.0.1", strrchr(peer.plain, ':')));
	assert_error(&a, DF_ERR_CONNECTION, "");
}

static void test_client_certificate(void **state)
{
	df_cleanup(df_freep) char *cert = text_of(peer.cert);
	df_cleanup(df_freep) char *key = text_of(peer.key);
	df_cleanup(df_freep) char *both = NULL;
	struct df_tls paths = { .ca = peer.ca, .cert = peer.cert, .key = peer.key };
	struct df_tls texts = { .ca = peer.ca, .cert = cert, .key = key };
	struct df_tls one = { .ca = peer.ca };
	struct df_tls none = { .ca = peer.ca };
	struct df_tls foreign = { .ca = peer.ca, .cert = peer.other_ca, .key = peer.key };
	struct df_tls broken = { .ca = peer.ca, .cert = cert, .key = "secret" };
	struct asked a;

	(void)state;
	assert_true(asprintf(&both, "%s%s", cert, key) > 0);
	one.cert = both;
	a = ask(&paths, GET(peer.mtls, "/empty"));
	assert_body(&a, 200, "");
	a = ask(&texts, GET(peer.mtls, "/empty"));
	assert_body(&a, 200, "");
	a = ask(&one, GET(peer.mtls, "/empty"));
	assert_body(&a, 200, "");
	assert_auth(ask(&none, GET(peer.mtls, "/empty")));
	assert_auth(ask(&foreign, GET(peer.mtls, "/empty")));
	a = ask(&broken, GET(peer.mtls, "/empty"));
	assert_null(strstr(a.err.text, "secret"));
	assert_auth(a);
}

static void test_proxy(void **state)
{
	struct asked a;

	(void)state;
	setenv("http_proxy", peer.plain, 1);
	a = ask(NULL, GET("http://elsewhere.invalid", "/x"));
	unsetenv("http_proxy");
	assert_body(&a, 404, "no such path");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_get),
		cmocka_unit_test(test_methods),
		cmocka_unit_test(test_credentials),
		cmocka_unit_test(test_injection),
		cmocka_unit_test(test_upload),
		cmocka_unit_test(test_large_body),
		cmocka_unit_test(test_status),
		cmocka_unit_test(test_retry_after),
		cmocka_unit_test(test_stream),
		cmocka_unit_test(test_headers),
		cmocka_unit_test(test_limit),
		cmocka_unit_test(test_gzip),
		cmocka_unit_test(test_reuse),
		cmocka_unit_test(test_dead_reuse),
		cmocka_unit_test(test_no_server),
		cmocka_unit_test(test_broken_answers),
		cmocka_unit_test(test_cut_upload),
		cmocka_unit_test(test_timeouts),
		cmocka_unit_test(test_cancel),
		cmocka_unit_test(test_context),
		cmocka_unit_test(test_ca),
		cmocka_unit_test(test_host_name),
		cmocka_unit_test(test_client_certificate),
		cmocka_unit_test(test_proxy),
	};

	return cmocka_run_group_tests(tests, start_peer, stop_peer);
}

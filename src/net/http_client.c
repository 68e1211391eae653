#include "net/http_client.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "base/clock.h"
#include "base/time.h"
#include "net/curl_internal.h"
#include "net/http_client_internal.h"

#define CONNECT_TIMEOUT_NS (30 * DF_NS_PER_S)
#define BODY_MAX ((size_t)16 << 20)

struct df_http_client {
	const struct df_curl *curl;
	CURLM *multi; /* holds the kept connections */
	CURL *easy;   /* the one request that runs, or none */
	const struct df_tls *tls;
	int64_t connect_timeout_ns;
	const char *user_agent;
};

/* One request under way. */
struct call {
	struct df_http_client *client;
	const struct df_http_request *request;
	struct df_http_response *response;
	struct df_error *err;
	const char *method;
	struct curl_slist *headers;
	CURLcode setup;	  /* of the first option that was refused */
	int code;	  /* what a callback wants the request to end with; err is set */
	int line_status;  /* of the latest status line, also a 1xx */
	bool headers_end; /* the blank line behind them came */
	size_t body_sent; /* of request->body */
	size_t max_body;
	bool idle_running; /* connected, so the idle timeout counts */
	int64_t active_ns; /* when the last byte moved */
	int64_t deadline_ns;
	char text[CURL_ERROR_SIZE];
};

void df_http_response_done(struct df_http_response *response)
{
	df_buf_done(&response->body);
}

static void touch(struct call *c)
{
	c->active_ns = df_clock_monotonic();
}

/* ---- what libcurl calls ---------------------------------------------------------------------------------- */

/* Connected, the request goes out next. */
static int on_connected(void *arg, char *remote_ip, char *local_ip, int remote_port, int local_port)
{
	struct call *c = arg;

	(void)remote_ip;
	(void)local_ip;
	(void)remote_port;
	(void)local_port;
	c->response->sent = true;
	c->idle_running = true;
	touch(c);
	return CURL_PREREQFUNC_OK;
}

static size_t on_read(char *data, size_t size, size_t count, void *arg)
{
	struct call *c = arg;
	const struct df_http_request *r = c->request;
	size_t len = 0, cap = size * count;

	touch(c);
	if (r->read_body) {
		c->code = r->read_body(r->arg, data, cap, &len, c->err);
		touch(c);
		return c->code < 0 ? CURL_READFUNC_ABORT : len;
	}
	len = r->body.len - c->body_sent;
	if (len > cap)
		len = cap;
	memcpy(data, r->body.ptr + c->body_sent, len);
	c->body_sent += len;
	return len;
}

/* May a request be sent a second time when nobody knows what became of the first (RFC 9110, section 9.2.2)? */
static bool idempotent(const char *method)
{
	return strcmp(method, "POST") != 0 && strcmp(method, "PATCH") != 0;
}

static int on_seek(void *arg, curl_off_t offset, int origin)
{
	struct call *c = arg;

	if (c->request->read_body || !idempotent(c->method) || origin != SEEK_SET)
		return CURL_SEEKFUNC_FAIL;
	c->body_sent = (size_t)offset;
	return CURL_SEEKFUNC_OK;
}

static size_t on_write(char *data, size_t size, size_t count, void *arg)
{
	struct call *c = arg;
	const struct df_http_request *r = c->request;
	struct df_buf *body = &c->response->body;
	size_t len = size * count;

	touch(c);
	if (r->on_body) {
		c->code = r->on_body(r->arg, df_str(data, len), c->err);
		touch(c);
		return c->code < 0 ? CURL_WRITEFUNC_ERROR : len;
	}
	if (len > c->max_body - body->len) {
		c->code = df_error_set(c->err, DF_ERR_INVALID_DATA, "the answer is larger than %zu bytes", c->max_body);
		return CURL_WRITEFUNC_ERROR;
	}
	df_buf_add(body, data, len);
	if (body->failed) {
		c->code = df_error_no_memory(c->err);
		return CURL_WRITEFUNC_ERROR;
	}
	return len;
}

int64_t df_http_retry_after(const struct df_curl *curl, struct df_str value, int64_t now_ns)
{
	char date[64];
	int64_t seconds;

	if (df_str_to_int64(value, &seconds))
		return seconds < 0 ? -1 : seconds < INT32_MAX ? seconds * DF_NS_PER_S : INT32_MAX * DF_NS_PER_S;
	if (value.len >= sizeof(date))
		return -1;
	memcpy(date, value.ptr, value.len);
	date[value.len] = 0;
	seconds = curl->getdate(date, NULL);
	if (seconds < 0 || seconds > INT64_MAX / DF_NS_PER_S)
		return -1;
	return seconds * DF_NS_PER_S > now_ns ? seconds * DF_NS_PER_S - now_ns : 0;
}

/* A status line, or a header, or the line that ends them. 1xx answers and those of a proxy's CONNECT are no answers. */
static size_t on_header(char *data, size_t size, size_t count, void *arg)
{
	struct call *c = arg;
	struct df_str line = df_str_trim(df_str(data, size * count)), name;
	const char *colon;

	touch(c);
	if (df_str_starts(line, DF_STR("HTTP/"))) {
		const char *blank = memchr(line.ptr, ' ', line.len);

		c->line_status = blank ? atoi(blank) : 0; /* libcurl has checked it */
		c->headers_end = false;
		if (c->line_status >= 200)
			c->response->status = c->line_status;
		return size * count;
	}
	c->headers_end = line.len == 0;
	colon = memchr(line.ptr, ':', line.len);
	if (c->line_status < 200 || !colon)
		return size * count;
	name = df_str(line.ptr, (size_t)(colon - line.ptr));
	line = df_str_trim(df_str(colon + 1, line.len - name.len - 1));
	if (name.len == strlen("Retry-After") && strncasecmp(name.ptr, "Retry-After", name.len) == 0)
		c->response->retry_after_ns = df_http_retry_after(c->client->curl, line, df_clock_now(NULL));
	if (c->request->on_header)
		c->request->on_header(c->request->arg, name, line);
	return size * count;
}

/* ---- options --------------------------------------------------------------------------------------------- */

/* libcurl takes its options as long, pointer or curl_off_t through an ellipsis; these say which. */
static void set_long(struct call *c, CURLoption option, long value)
{
	if (c->setup == CURLE_OK)
		c->setup = c->client->curl->easy_setopt(c->client->easy, option, value);
}

static void set_size(struct call *c, CURLoption option, curl_off_t value)
{
	if (c->setup == CURLE_OK)
		c->setup = c->client->curl->easy_setopt(c->client->easy, option, value);
}

static void set_pointer(struct call *c, CURLoption option, const void *value)
{
	if (c->setup == CURLE_OK)
		c->setup = c->client->curl->easy_setopt(c->client->easy, option, value);
}

#define set_function(c, option, fn)                                                                 \
	do {                                                                                        \
		if ((c)->setup == CURLE_OK)                                                         \
			(c)->setup = (c)->client->curl->easy_setopt((c)->client->easy, option, fn); \
	} while (0)

static void set_pem(struct call *c, const char *text, CURLoption blob_option, CURLoption path_option)
{
	struct curl_blob blob = { .data = (void *)text, .len = strlen(text), .flags = CURL_BLOB_NOCOPY };

	if (df_tls_is_pem(text))
		set_pointer(c, blob_option, &blob);
	else
		set_pointer(c, path_option, text);
}

static void set_tls(struct call *c, const struct df_tls *tls)
{
	if (!tls)
		return;
	if (tls->ca) {
		set_pem(c, tls->ca, CURLOPT_CAINFO_BLOB, CURLOPT_CAINFO);
		set_pointer(c, CURLOPT_CAPATH, NULL); /* else the system's CAs would be trusted beside it */
	} else if (tls->insecure_skip_verify) {
		set_long(c, CURLOPT_SSL_VERIFYPEER, 0);
		set_long(c, CURLOPT_SSL_VERIFYHOST, 0);
	}
	if (tls->cert) {
		set_pem(c, tls->cert, CURLOPT_SSLCERT_BLOB, CURLOPT_SSLCERT);
		set_pem(c, tls->key ? tls->key : tls->cert, CURLOPT_SSLKEY_BLOB, CURLOPT_SSLKEY);
	}
}

static int add_header(struct call *c, const char *name, const char *value)
{
	df_cleanup(df_buf_done) struct df_buf line = { 0 };
	struct curl_slist *more;

	if (!*name || strpbrk(name, "\r\n:") || (value && strpbrk(value, "\r\n")))
		return df_error_set(c->err, DF_ERR_CONFIG,
				    "the header `%.60s` has a line break in it, or a name that is none",
				    strpbrk(name, "\r\n") ? "?" : name);
	/* libcurl's forms of "leave it out" and of an empty value. */
	if (!value)
		df_buf_printf(&line, "%s:", name);
	else if (!*value)
		df_buf_printf(&line, "%s;", name);
	else
		df_buf_printf(&line, "%s: %s", name, value);
	more = line.failed ? NULL : c->client->curl->slist_append(c->headers, df_buf_c(&line));
	if (!more)
		return df_error_no_memory(c->err);
	c->headers = more;
	return 0;
}

static int set_headers(struct call *c)
{
	const struct df_http_request *r = c->request;
	df_cleanup(df_buf_done) struct df_buf bearer = { 0 };
	/* No waiting for "100 Continue", no type that nobody named. */
	int code = add_header(c, "Expect", NULL);

	if (code == 0)
		code = add_header(c, "Content-Type", NULL);
	if (code == 0 && r->read_body)
		code = add_header(c, "Transfer-Encoding", "chunked");
	if (code == 0 && r->bearer) {
		df_buf_printf(&bearer, "Bearer %s", r->bearer);
		code = add_header(c, "Authorization", df_buf_c(&bearer));
	}
	for (size_t i = 0; code == 0 && i < r->header_count; i++)
		code = add_header(c, r->headers[i].name, r->headers[i].value);
	set_pointer(c, CURLOPT_HTTPHEADER, c->headers);
	return code;
}

static int set_method(struct call *c)
{
	const struct df_http_request *r = c->request;
	bool body = r->body.ptr || r->read_body;

	c->method = r->method ? r->method : body ? "POST" : "GET";
	if (strspn(c->method, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") != strlen(c->method))
		return df_error_set(c->err, DF_ERR_CONFIG, "the request's method is none");
	if (body || strcmp(c->method, "POST") == 0) {
		set_long(c, CURLOPT_POST, 1);
		set_size(c, CURLOPT_POSTFIELDSIZE_LARGE, r->read_body ? -1 : (curl_off_t)r->body.len);
	} else if (strcmp(c->method, "HEAD") == 0) {
		set_long(c, CURLOPT_NOBODY, 1);
	}
	set_pointer(c, CURLOPT_CUSTOMREQUEST, c->method);
	return 0;
}

static void set_callbacks(struct call *c)
{
	set_function(c, CURLOPT_PREREQFUNCTION, on_connected);
	set_pointer(c, CURLOPT_PREREQDATA, c);
	set_function(c, CURLOPT_READFUNCTION, on_read);
	set_pointer(c, CURLOPT_READDATA, c);
	set_function(c, CURLOPT_SEEKFUNCTION, on_seek);
	set_pointer(c, CURLOPT_SEEKDATA, c);
	set_function(c, CURLOPT_WRITEFUNCTION, on_write);
	set_pointer(c, CURLOPT_WRITEDATA, c);
	set_function(c, CURLOPT_HEADERFUNCTION, on_header);
	set_pointer(c, CURLOPT_HEADERDATA, c);
	set_pointer(c, CURLOPT_ERRORBUFFER, c->text);
}

static int set_up(struct call *c)
{
	const struct df_http_request *r = c->request;
	struct df_http_client *client = c->client;
	int code;

	client->curl->easy_reset(client->easy);
	set_callbacks(c);
	set_pointer(c, CURLOPT_PROTOCOLS_STR, "http,https");
	set_pointer(c, CURLOPT_URL, r->url);
	set_long(c, CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_1_1);
	set_long(c, CURLOPT_NOSIGNAL, 1);
	set_long(c, CURLOPT_QUICK_EXIT, 1); /* a cancel does not wait for the thread that resolves a name */
	set_long(c, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1);
	set_long(c, CURLOPT_CONNECTTIMEOUT_MS, (long)(client->connect_timeout_ns / DF_NS_PER_MS));
	set_pointer(c, CURLOPT_USERAGENT, client->user_agent);
	if (r->decompress)
		set_pointer(c, CURLOPT_ACCEPT_ENCODING, "");
	if (r->username || r->password) {
		set_long(c, CURLOPT_HTTPAUTH, (long)CURLAUTH_BASIC);
		set_pointer(c, CURLOPT_USERNAME, r->username ? r->username : "");
		set_pointer(c, CURLOPT_PASSWORD, r->password ? r->password : "");
	}
	set_tls(c, client->tls);
	code = set_method(c);
	if (code == 0)
		code = set_headers(c);
	if (code == 0 && c->setup != CURLE_OK)
		code = df_error_set(c->err, df_http_code(c->setup), "%s", client->curl->easy_strerror(c->setup));
	return code;
}

/* ---- running --------------------------------------------------------------------------------------------- */

/* Milliseconds that may be waited, rounded up, or a code when there are none left. */
static int time_left(struct call *c, struct df_context *ctx)
{
	int64_t now = df_clock_monotonic(), left = INT64_MAX, idle = c->request->idle_timeout_ns;
	int context = df_context_remaining_ms(ctx);
	char text[32];
	int code = df_context_check(ctx, c->err);

	if (code < 0)
		return code;
	if (c->deadline_ns) {
		left = c->deadline_ns - now;
		if (left <= 0) {
			df_duration_format(c->request->timeout_ns, text);
			return df_error_set(c->err, DF_ERR_TIMEOUT, "no complete answer within %s", text);
		}
	}
	if (idle && c->idle_running) {
		if (now - c->active_ns >= idle) {
			df_duration_format(idle, text);
			return df_error_set(c->err, DF_ERR_TIMEOUT, "nothing was sent or received for %s", text);
		}
		if (c->active_ns + idle - now < left)
			left = c->active_ns + idle - now;
	}
	left = left / DF_NS_PER_MS + 1;
	if (left > 1000 * 1000)
		left = 1000 * 1000;
	return context >= 0 && context < left ? context : (int)left;
}

/* What libcurl says of the transfer that ended. */
static int finish(struct call *c)
{
	const struct df_curl *curl = c->client->curl;
	CURLcode result = CURLE_RECV_ERROR;
	long os_error = 0;
	CURLMsg *message;
	int left, code;

	while ((message = curl->multi_info_read(c->client->multi, &left)))
		if (message->msg == CURLMSG_DONE)
			result = message->data.result;
	if (c->code < 0)
		return c->code;
	/* libcurl takes a connection that ends within the headers for the end of an answer without a body. */
	if (result == CURLE_OK && !c->headers_end)
		return df_error_set(c->err, DF_ERR_CONNECTION, "the connection ended within the headers of the answer");
	if (result == CURLE_OK)
		return 0;
	code = df_http_code_of_text(result, c->text, c->response->sent);
	df_error_set(c->err, code, "%s", c->text[0] ? c->text : curl->easy_strerror(result));
	curl->easy_getinfo(c->client->easy, CURLINFO_OS_ERRNO, &os_error);
	if (os_error && c->err)
		df_error_remote(c->err, strerrorname_np((int)os_error));
	return code;
}

static int run(struct call *c, struct df_context *ctx)
{
	const struct df_curl *curl = c->client->curl;
	struct curl_waitfd cancel = { .fd = df_context_fd(ctx), .events = CURL_WAIT_POLLIN };
	CURLMcode failed = curl->multi_add_handle(c->client->multi, c->client->easy);
	int code = 0, running = 1;

	while (failed == CURLM_OK) {
		code = time_left(c, ctx);
		if (code < 0)
			break;
		failed = curl->multi_perform(c->client->multi, &running);
		if (failed != CURLM_OK || !running)
			break;
		code = time_left(c, ctx);
		if (code < 0)
			break;
		failed = curl->multi_poll(c->client->multi, &cancel, ctx ? 1 : 0, code, NULL);
	}
	if (failed != CURLM_OK)
		code = df_error_set(c->err, failed == CURLM_OUT_OF_MEMORY ? DF_ERR_NO_MEMORY : DF_ERR_UNKNOWN,
				    "libcurl: %s", curl->multi_strerror(failed));
	else if (!running)
		code = finish(c);
	curl->multi_remove_handle(c->client->multi, c->client->easy); /* closes a connection in mid-request */
	return code;
}

int df_http_request(struct df_http_client *client, struct df_context *ctx, const struct df_http_request *request,
		    struct df_http_response *ret, struct df_error *err)
{
	struct call c = { .client = client, .request = request, .response = ret, .err = err, .method = "request" };
	int code;

	c.max_body = request->max_body ? request->max_body : BODY_MAX;
	*ret = (struct df_http_response){ .retry_after_ns = -1, .body.max = c.max_body + 1 }; /* and a NUL */
	if (request->timeout_ns)
		c.deadline_ns = df_clock_monotonic() + request->timeout_ns;
	code = set_up(&c);
	if (code == 0)
		code = run(&c, ctx);
	client->curl->slist_free_all(c.headers);
	if (code < 0)
		df_http_error_prefix(client->curl, c.method, request->url, err);
	return code;
}

/* ---- clients --------------------------------------------------------------------------------------------- */

void df_http_client_free(struct df_http_client *client)
{
	if (!client)
		return;
	if (client->easy)
		client->curl->easy_cleanup(client->easy);
	if (client->multi)
		client->curl->multi_cleanup(client->multi);
	free(client);
}

int df_http_client_new(const struct df_http_client_options *options, struct df_http_client **ret, struct df_error *err)
{
	df_cleanup(df_http_client_freep) struct df_http_client *client = calloc(1, sizeof(*client));
	int code;

	*ret = NULL;
	if (!client)
		return df_error_no_memory(err);
	code = df_curl_load(&client->curl, err);
	if (code < 0)
		return code;
	client->tls = options->tls;
	client->connect_timeout_ns = options->connect_timeout_ns ? options->connect_timeout_ns : CONNECT_TIMEOUT_NS;
	client->user_agent = options->user_agent ? options->user_agent : "dataflow/" DF_VERSION;
	client->easy = client->curl->easy_init();
	client->multi = client->curl->multi_init();
	if (!client->easy || !client->multi)
		return df_error_no_memory(err);
	*ret = DF_TAKE(client);
	return 0;
}

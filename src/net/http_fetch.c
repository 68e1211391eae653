#include "net/http_fetch.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "net/http_client_internal.h"

#define POLL_MS 1000

struct many {
	const struct df_curl *curl;
	const struct df_http_fetch_options *options;
	const char *const *urls;
	CURLM *multi;
	struct curl_slist *headers;
	size_t bytes; /* of the bodies under way */
};

/* One at a time of the URLs. */
struct fetch {
	struct many *all;
	CURL *easy;
	size_t i;
	bool busy;
	bool headers_end;
	struct df_buf body;
	struct df_error err;
	char text[CURL_ERROR_SIZE];
};

/* ---- what libcurl calls ---------------------------------------------------------------------------------- */

/* The answer is given up; what there is of it makes room at once. */
static size_t refuse(struct fetch *f)
{
	f->all->bytes -= f->body.len;
	df_buf_done(&f->body);
	return CURL_WRITEFUNC_ERROR;
}

static size_t on_body(char *data, size_t size, size_t count, void *arg)
{
	struct fetch *f = arg;
	const struct df_http_fetch_options *o = f->all->options;
	size_t len = size * count;

	if (len > o->max_body - f->body.len) {
		df_error_set(&f->err, DF_ERR_INVALID_DATA, "the answer is larger than %zu bytes", o->max_body);
		return refuse(f);
	}
	if (f->all->bytes + len > o->max_bodies && f->body.len + len > o->max_bodies / o->at_once) {
		df_error_set(&f->err, DF_ERR_NO_MEMORY, "the answers under way are more than %zu bytes together",
			     o->max_bodies);
		return refuse(f);
	}
	df_buf_add(&f->body, data, len);
	if (f->body.failed) {
		df_error_no_memory(&f->err);
		return refuse(f);
	}
	f->all->bytes += len;
	return len;
}

static size_t on_header(char *data, size_t size, size_t count, void *arg)
{
	struct fetch *f = arg;

	f->headers_end = df_str_trim(df_str(data, size * count)).len == 0;
	return size * count;
}

/* ---- one ------------------------------------------------------------------------------------------------- */

static void tell(struct many *all, size_t i, int status, struct df_str body, struct df_error *err)
{
	if (err && all->curl)
		df_http_error_prefix(all->curl, "GET", all->urls[i], err);
	all->options->on_end(all->options->arg, i, status, body, err);
}

static void end(struct fetch *f, CURLcode result)
{
	const struct df_curl *curl = f->all->curl;
	struct df_buf body = f->body;
	long status = 0;

	curl->multi_remove_handle(f->all->multi, f->easy);
	curl->easy_getinfo(f->easy, CURLINFO_RESPONSE_CODE, &status);
	f->busy = false;
	f->all->bytes -= body.len;
	f->body = (struct df_buf){ 0 };
	/* libcurl takes a connection that ends within the headers for the end of an answer without a body. */
	if (result == CURLE_OK && !f->headers_end)
		df_error_set(&f->err, DF_ERR_CONNECTION, "the connection ended within the headers of the answer");
	else if (result != CURLE_OK && !f->err.code)
		df_error_set(&f->err, df_http_code(result), "%s", f->text[0] ? f->text : curl->easy_strerror(result));
	tell(f->all, f->i, (int)status, df_buf_str(&body), f->err.code ? &f->err : NULL);
	df_buf_done(&body);
}

static CURLcode set_up(struct fetch *f)
{
	const struct df_curl *curl = f->all->curl;
	const struct {
		CURLoption option;
		long value;
	} numbers[] = {
		{ CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_1_1 },
		{ CURLOPT_NOSIGNAL, 1 },
		{ CURLOPT_FORBID_REUSE, 1 },
		{ CURLOPT_TIMEOUT_MS, (long)(f->all->options->timeout_ns / DF_NS_PER_MS) },
	};
	const struct {
		CURLoption option;
		const void *value;
	} pointers[] = {
		{ CURLOPT_URL, f->all->urls[f->i] },
		{ CURLOPT_PROTOCOLS_STR, "http" },
		{ CURLOPT_PROXY, "" }, /* not those of the environment either */
		{ CURLOPT_USERAGENT, "dataflow/" DF_VERSION },
		{ CURLOPT_HTTPHEADER, f->all->headers },
		{ CURLOPT_WRITEDATA, f },
		{ CURLOPT_HEADERDATA, f },
		{ CURLOPT_PRIVATE, f },
		{ CURLOPT_ERRORBUFFER, f->text },
	};
	CURLcode result = CURLE_OK;

	curl->easy_reset(f->easy);
	for (size_t k = 0; result == CURLE_OK && k < DF_ARRAY_SIZE(numbers); k++)
		result = curl->easy_setopt(f->easy, numbers[k].option, numbers[k].value);
	for (size_t k = 0; result == CURLE_OK && k < DF_ARRAY_SIZE(pointers); k++)
		result = curl->easy_setopt(f->easy, pointers[k].option, pointers[k].value);
	if (result == CURLE_OK)
		result = curl->easy_setopt(f->easy, CURLOPT_WRITEFUNCTION, on_body);
	return result == CURLE_OK ? curl->easy_setopt(f->easy, CURLOPT_HEADERFUNCTION, on_header) : result;
}

/* False: it has ended already. */
static bool begin(struct fetch *f, size_t i)
{
	CURLcode result;

	f->i = i;
	f->headers_end = false;
	f->err = DF_ERROR_INIT;
	f->text[0] = 0;
	if (!f->easy)
		f->easy = f->all->curl->easy_init();
	result = f->easy ? set_up(f) : CURLE_OUT_OF_MEMORY;
	if (result == CURLE_OK && f->all->curl->multi_add_handle(f->all->multi, f->easy) == CURLM_OK) {
		f->busy = true;
		return true;
	}
	df_error_set(&f->err, result == CURLE_OK ? DF_ERR_NO_MEMORY : df_http_code(result), "%s",
		     f->all->curl->easy_strerror(result == CURLE_OK ? CURLE_OUT_OF_MEMORY : result));
	tell(f->all, i, 0, df_str(NULL, 0), &f->err);
	return false;
}

/* ---- all ------------------------------------------------------------------------------------------------- */

/* Ends those that have an answer; returns how many. */
static size_t collect(struct many *all)
{
	CURLMsg *message;
	size_t n = 0;
	int left;

	while ((message = all->curl->multi_info_read(all->multi, &left))) {
		struct fetch *f = NULL;
		CURLcode result = message->data.result;

		if (message->msg != CURLMSG_DONE)
			continue;
		all->curl->easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &f);
		end(f, result); /* the message is gone with it */
		n++;
	}
	return n;
}

/* The slots, of which each has one URL at a time. */
struct pool {
	struct many *all;
	struct fetch *slots;
	size_t slot_count, busy;
	size_t next, n; /* the first URL that was not begun; all */
};

static void refill(struct pool *p)
{
	for (size_t k = 0; k < p->slot_count; k++)
		while (!p->slots[k].busy && p->next < p->n)
			p->busy += begin(&p->slots[k], p->next++);
}

static CURLMcode wait_for_more(struct many *all, struct df_context *ctx)
{
	struct curl_waitfd cancel = { .fd = ctx ? df_context_fd(ctx) : -1, .events = CURL_WAIT_POLLIN };
	int ms = df_context_remaining_ms(ctx);

	return all->curl->multi_poll(all->multi, &cancel, ctx ? 1 : 0, ms >= 0 && ms < POLL_MS ? ms : POLL_MS, NULL);
}

/* Until every URL has ended (0), or the reason why the rest will not. */
static int run(struct pool *p, struct df_context *ctx, struct df_error *err)
{
	const struct df_curl *curl = p->all->curl;
	CURLMcode failed;
	int running;

	for (;;) {
		refill(p);
		if (p->busy == 0)
			return 0;
		failed = curl->multi_perform(p->all->multi, &running);
		if (failed == CURLM_OK)
			p->busy -= collect(p->all);
		if (df_context_check(ctx, err) < 0)
			return err->code;
		if (failed == CURLM_OK && p->busy && (p->busy == p->slot_count || p->next == p->n))
			failed = wait_for_more(p->all, ctx);
		if (failed != CURLM_OK)
			return df_error_set(err, DF_ERR_UNKNOWN, "libcurl: %s", curl->multi_strerror(failed));
	}
}

/* The rest fails with why. */
static void give_up(struct pool *p, const struct df_error *why)
{
	for (size_t k = 0; k < p->slot_count; k++)
		if (p->slots[k].busy) {
			p->slots[k].err = *why;
			end(&p->slots[k], CURLE_ABORTED_BY_CALLBACK);
		}
	for (; p->next < p->n; p->next++) {
		struct df_error err = *why;

		tell(p->all, p->next, 0, df_str(NULL, 0), &err);
	}
}

static int set_up_all(struct many *all, struct pool *p, struct df_error *err)
{
	struct curl_slist *headers;
	char accept[160];
	int code = df_curl_load(&all->curl, err);

	if (code < 0)
		return code;
	p->slots = calloc(p->slot_count, sizeof(*p->slots));
	all->multi = all->curl->multi_init();
	snprintf(accept, sizeof(accept), "Accept: %s", all->options->accept ? all->options->accept : "*/*");
	headers = all->curl->slist_append(NULL, accept);
	all->headers = headers;
	if (!p->slots || !all->multi || !headers)
		return df_error_no_memory(err);
	for (size_t k = 0; k < p->slot_count; k++)
		p->slots[k].all = all;
	return 0;
}

void df_http_fetch_many(const char *const *urls, size_t n, const struct df_http_fetch_options *options,
			struct df_context *ctx)
{
	struct many all = { .options = options, .urls = urls };
	struct pool pool = { .all = &all, .n = n, .slot_count = n < options->at_once ? n : options->at_once };
	struct df_error err = DF_ERROR_INIT;

	if (n == 0)
		return;
	if (set_up_all(&all, &pool, &err) < 0 || run(&pool, ctx, &err) < 0)
		give_up(&pool, &err);
	for (size_t k = 0; pool.slots && k < pool.slot_count; k++)
		if (pool.slots[k].easy)
			all.curl->easy_cleanup(pool.slots[k].easy);
	free(pool.slots);
	if (all.multi)
		all.curl->multi_cleanup(all.multi);
	if (all.headers)
		all.curl->slist_free_all(all.headers);
}

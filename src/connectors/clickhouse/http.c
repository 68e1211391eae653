/* HTTP as a transport: a POST a statement, Native blocks without a revision in both directions. */
#include <stdio.h>

#include "connectors/clickhouse/answer.h"
#include "connectors/clickhouse/client.h"
#include "connectors/clickhouse/compress.h"
#include "connectors/clickhouse/errors.h"
#include "net/url.h"

struct http {
	struct df_ch_client *client;
	struct df_http_client *curl;
	struct df_tls tls;
	char peer[80];
	struct df_buf base; /* scheme://host:port/path */
	struct df_buf url, sql;
	struct df_http_header headers[3]; /* who we are */
	struct df_buf body;		  /* of an INSERT: its blocks */
	struct df_ch_packer packer;
	struct df_ch_answer answer;
	struct df_ch_frames frames; /* of a compressed answer */
	bool reading;
};

static struct http *http_of(struct df_ch_client *c)
{
	return c->state;
}

static bool packed(const struct df_ch_client *c)
{
	return c->dsn->codec == DF_CH_CODEC_LZ4 || c->dsn->codec == DF_CH_CODEC_ZSTD;
}

/* Of answers. */
static bool packed_answer(const struct df_ch_client *c)
{
	return packed(c) && !c->plain_answers;
}

static void end_answer(struct http *h)
{
	df_ch_answer_end(&h->answer);
	h->reading = false;
}

static void http_close(struct df_ch_client *c)
{
	struct http *h = DF_TAKE(c->state);

	c->open = false;
	if (!h)
		return;
	end_answer(h);
	df_http_client_free(h->curl);
	df_ch_packer_done(&h->packer);
	df_ch_frames_done(&h->frames);
	df_buf_done(&h->base);
	df_buf_done(&h->url);
	df_buf_done(&h->sql);
	df_buf_done(&h->body);
	free(h);
}

/* ---- requests -------------------------------------------------------------------------------------------- */

static void add_parameter(struct df_buf *url, const char *name, struct df_str value)
{
	df_buf_add_char(url, '&');
	df_url_encode(url, df_str_c(name));
	df_buf_add_char(url, '=');
	df_url_encode(url, value);
}

/* The URL of a statement: what it is sent with. */
static void write_url(struct http *h, const struct df_ch_statement *s)
{
	const struct df_ch_client *c = h->client;
	char id[DF_CH_QUERY_ID];

	df_ch_query_id(h->client, id);
	h->url.len = 0;
	df_buf_add_str(&h->url, df_buf_str(&h->base));
	df_buf_add_c(&h->url, "?query_id=");
	df_buf_add_c(&h->url, id);
	add_parameter(&h->url, "database", df_str_c(c->dsn->database));
	for (size_t i = 0; i < c->setting_count; i++)
		add_parameter(&h->url, c->settings[i].name, df_str_c(c->settings[i].value));
	for (size_t i = 0; i < s->setting_count; i++)
		add_parameter(&h->url, s->settings[i].name, df_str_c(s->settings[i].value));
}

static struct df_http_request request_of(const struct http *h)
{
	return (struct df_http_request){
		.method = "POST",
		.url = h->url.data,
		.headers = h->headers,
		.header_count = DF_ARRAY_SIZE(h->headers),
		.idle_timeout_ns = h->client->dsn->read_timeout_ns,
	};
}

static int http_open(struct df_ch_client *c, const struct df_ch_host *host, struct df_error *err)
{
	const struct df_ch_dsn *dsn = c->dsn;
	bool v6 = strchr(host->name, ':') != NULL;
	struct http *h = calloc(1, sizeof(*h));

	if (!h)
		return df_error_no_memory(err);
	h->client = c;
	h->body.max = SIZE_MAX / 2;
	h->packer.codec = dsn->codec;
	h->packer.level = dsn->codec_level;
	h->headers[0] = (struct df_http_header){ "X-ClickHouse-User", dsn->user };
	h->headers[1] = (struct df_http_header){ "X-ClickHouse-Key", dsn->password };
	h->headers[2] = (struct df_http_header){ "Content-Type", "application/octet-stream" };
	h->tls.insecure_skip_verify = dsn->skip_verify;
	snprintf(h->peer, sizeof(h->peer), "%s:%u", host->name, host->port);
	df_buf_printf(&h->base, "%s://%s%s%s:%u%s", dsn->tls ? "https" : "http", v6 ? "[" : "", host->name,
		      v6 ? "]" : "", host->port, dsn->http_path);
	c->state = h;
	c->revision = 0;
	c->version = 0;
	int code = h->base.failed ? df_error_no_memory(err)
				  : df_http_client_new(&(struct df_http_client_options){ .tls = &h->tls,
											 .connect_timeout_ns =
												 dsn->dial_timeout_ns,
											 .user_agent = c->product },
						       &h->curl, err);
	if (code != 0)
		http_close(c);
	return code;
}

/* ---- queries --------------------------------------------------------------------------------------------- */

static int http_query(struct df_ch_client *c, const struct df_ch_statement *s, struct df_error *err)
{
	struct http *h = http_of(c);

	end_answer(h);
	write_url(h, s);
	bool content = c->dsn->codec == DF_CH_CODEC_CONTENT && !c->plain_answers;

	if (packed_answer(c))
		df_buf_add_c(&h->url, "&compress=1");
	if (content)
		df_buf_add_c(&h->url, "&enable_http_compression=1");
	h->sql.len = 0;
	df_buf_add_str(&h->sql, s->sql);
	df_buf_add_c(&h->sql, "\nFORMAT Native");
	(void)df_buf_c(&h->url);
	if (h->url.failed || h->sql.failed)
		return df_error_no_memory(err);
	struct df_http_request request = request_of(h);
	request.body = df_buf_str(&h->sql);
	request.decompress = content;
	df_ch_frames_done(&h->frames);
	df_ch_frames_init(&h->frames, &h->answer.in);
	int code = df_ch_answer_begin(&h->answer, c->ctx, h->curl, &request, h->peer, err);
	h->reading = code == 0;
	return code;
}

static int http_next(struct df_ch_client *c, bool *ret_more, struct df_error *err)
{
	struct http *h = http_of(c);
	struct df_error why = DF_ERROR_INIT;
	bool in_frame = h->frames.in.pos < h->frames.in.end;

	*ret_more = false;
	if (!h->reading)
		return 0;
	int code = in_frame ? 0 : df_ch_answer_more(&h->answer, ret_more, &why);
	*ret_more |= in_frame;
	if (code == 0 && *ret_more)
		code = df_ch_block_read(&c->block, packed_answer(c) ? &h->frames.in : &h->answer.in, 0, &why);
	else if (code == 0 && (h->answer.status < 200 || h->answer.status > 299))
		code = DF_ERR_UNKNOWN;
	/* What is no block, or ends too early, may say why; that is at the end of the answer. */
	if (code == DF_ERR_CONNECTION || code == DF_ERR_UNKNOWN)
		code = df_ch_answer_reason(&h->answer, &why);
	if (code != 0) {
		*ret_more = false;
		if (err)
			*err = why;
	}
	if (!*ret_more)
		end_answer(h);
	return code;
}

static void http_cancel(struct df_ch_client *c)
{
	end_answer(http_of(c));
}

/* ---- inserts --------------------------------------------------------------------------------------------- */

static int http_insert(struct df_ch_client *c, const struct df_ch_statement *s, struct df_error *err)
{
	struct http *h = http_of(c);

	end_answer(h);
	write_url(h, s);
	add_parameter(&h->url, "query", s->sql);
	if (packed(c))
		df_buf_add_c(&h->url, "&decompress=1");
	(void)df_buf_c(&h->url);
	h->body.len = 0;
	return h->url.failed ? df_error_no_memory(err) : 0;
}

static int put_bytes(void *arg, struct df_str bytes, struct df_error *err)
{
	struct http *h = arg;

	if (packed(h->client))
		df_ch_pack(&h->packer, bytes, false, &h->body);
	else
		df_buf_add_str(&h->body, bytes);
	return h->body.failed ? df_error_no_memory(err) : 0;
}

static int http_send(struct df_ch_client *c, struct df_ch_encoder *rows, struct df_error *err)
{
	struct http *h = http_of(c);
	const struct df_ch_sink to = { put_bytes, h };
	int code = df_ch_encoder_write(rows, 0, &to, err);

	if (code == 0 && packed(c))
		df_ch_pack(&h->packer, df_str(NULL, 0), true, &h->body);
	return code == 0 && h->body.failed ? df_error_no_memory(err) : code;
}

static int http_finish(struct df_ch_client *c, struct df_error *err)
{
	struct http *h = http_of(c);
	struct df_http_request request = request_of(h);
	struct df_http_response response;

	request.body = df_buf_str(&h->body);
	int code = df_http_request(h->curl, c->ctx, &request, &response, err);
	if (code == 0 && (response.status < 200 || response.status > 299 || response.body.len))
		code = df_ch_http_error(h->peer, response.status, 0, df_buf_str(&response.body), err);
	df_http_response_done(&response);
	h->body.len = 0;
	return code;
}

const struct df_ch_transport df_ch_http_transport = {
	.open = http_open,
	.close = http_close,
	.query = http_query,
	.next = http_next,
	.cancel = http_cancel,
	.insert = http_insert,
	.send = http_send,
	.finish = http_finish,
};

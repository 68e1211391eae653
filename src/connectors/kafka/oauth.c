/*
 * SASL OAUTHBEARER: a token by client credentials (RFC 6749, 4.4) whenever librdkafka asks for one, which it does on
 * its background thread before the old one ends. The client authenticates by HTTP basic, as section 2.3.1 wants servers
 * to support it.
 */
#include <stdlib.h>

#include "connectors/kafka/connection.h"
#include "net/http_client.h"
#include "net/url.h"

#define TOKEN_TIMEOUT (30 * DF_NS_PER_S)
#define LIFETIME_DEFAULT 300 /* seconds, when the server does not say */

struct df_kafka_oauth {
	const struct df_sasl_settings *sasl;
	struct df_context *context;
	struct df_http_client *http;
};

static int ask(struct df_kafka_oauth *oauth, struct df_http_response *answer, struct df_error *err)
{
	static const struct df_http_header headers[] = { { "Content-Type", "application/x-www-form-urlencoded" },
							 { "Accept", "application/json" } };
	df_cleanup(df_buf_done) struct df_buf form = { 0 };
	struct df_http_request request = {
		.method = "POST",
		.url = oauth->sasl->token_endpoint,
		.headers = headers,
		.header_count = DF_ARRAY_SIZE(headers),
		.username = oauth->sasl->username.value,
		.password = oauth->sasl->password.value,
		.timeout_ns = TOKEN_TIMEOUT,
		.max_body = 256 * 1024,
	};
	int r;

	df_buf_add_c(&form, "grant_type=client_credentials");
	if (oauth->sasl->scope) {
		df_buf_add_c(&form, "&scope=");
		df_url_encode(&form, df_str_c(oauth->sasl->scope));
	}
	request.body = df_buf_str(&form);
	r = df_http_request(oauth->http, oauth->context, &request, answer, err);
	if (r == 0 && answer->status != 200)
		r = df_error_set(err, answer->status >= 500 ? DF_ERR_CONNECTION : DF_ERR_AUTH,
				 "the token endpoint answered with status %d", answer->status);
	return r;
}

static int set_token(rd_kafka_t *rk, const struct df_kafka_oauth *oauth, const struct df_http_response *answer,
		     struct df_error *err)
{
	df_cleanup(df_arena_done) struct df_arena arena = { 0 };
	struct df_value *root = NULL, *token;
	int64_t seconds = LIFETIME_DEFAULT;
	struct df_str text;
	char why[256];

	if (df_value_parse_text(df_buf_str(&answer->body), &arena, &root, NULL) < 0)
		root = NULL;
	token = df_object_get_c(root, "access_token");
	if (!token || token->kind != DF_STRING)
		return df_error_set(err, DF_ERR_AUTH, "the token endpoint's answer has no `access_token`");
	text = df_value_text(token, &arena);
	text = df_arena_dup(&arena, text);
	if (!text.ptr)
		return df_error_no_memory(err);
	if (df_object_get_c(root, "expires_in"))
		(void)df_value_to_int64(df_object_get_c(root, "expires_in"), &seconds);
	if (rd_kafka_oauthbearer_set_token(rk, text.ptr, df_clock_now(NULL) / DF_NS_PER_MS + seconds * 1000,
					   oauth->sasl->username.value, NULL, 0, why, sizeof(why)))
		return df_error_set(err, DF_ERR_AUTH, "librdkafka refuses the token: %s", why);
	return 0;
}

static void refresh(rd_kafka_t *rk, const char *config, void *opaque)
{
	struct df_kafka_oauth *oauth = ((struct df_kafka_client *)opaque)->oauth;
	struct df_http_response answer = { 0 };
	struct df_error err = DF_ERROR_INIT;
	int r = ask(oauth, &answer, &err);

	(void)config;
	if (r == 0)
		r = set_token(rk, oauth, &answer, &err);
	df_http_response_done(&answer);
	if (r < 0)
		rd_kafka_oauthbearer_set_token_failure(rk, err.text);
}

int df_kafka_oauth_new(const struct df_sasl_settings *sasl, struct df_kafka_client *client, rd_kafka_conf_t *conf,
		       struct df_error *err)
{
	static const struct df_http_client_options options = { 0 };
	struct df_kafka_oauth *oauth = calloc(1, sizeof(*oauth));
	int r;

	if (!oauth)
		return df_error_no_memory(err);
	client->oauth = oauth;
	oauth->sasl = sasl;
	oauth->context = df_context_new(NULL);
	if (!oauth->context)
		return df_error_no_memory(err);
	r = df_http_client_new(&options, &oauth->http, err);
	if (r < 0)
		return r;
	rd_kafka_conf_enable_sasl_queue(conf, 1);
	rd_kafka_conf_set_oauthbearer_token_refresh_cb(conf, refresh);
	return 0;
}

void df_kafka_oauth_cancel(struct df_kafka_oauth *oauth)
{
	if (oauth)
		df_context_cancel(oauth->context);
}

void df_kafka_oauth_free(struct df_kafka_oauth *oauth)
{
	if (!oauth)
		return;
	df_http_client_free(oauth->http);
	df_context_free(oauth->context);
	free(oauth);
}

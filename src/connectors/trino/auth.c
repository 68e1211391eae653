#include "connectors/trino/auth.h"

#include "base/clock.h"
#include "net/url.h"
#include "value/value.h"

#define TOKEN_TIMEOUT (30 * DF_NS_PER_S)
#define RENEW_AT 0.8		   /* of a token's life */
#define EXPIRY_WARNING (24 * 3600) /* seconds before a fixed token ends */

struct df_trino_auth {
	const struct df_trino_connection *settings;
	const struct df_trino_keycloak_settings *keycloak; /* NULL: none */
	const struct df_tls *tls;
	const struct df_logger *logger;
	struct df_http_client *client; /* of the token server; NULL until the first token */
	char *url;		       /* of the token endpoint; NULL: tokens are not asked for */
	char *token, *refresh;	       /* NULL: none */
	int64_t renew_ns;	       /* df_clock_monotonic */
	int64_t warn_ns;	       /* the same: a fixed token will end soon; 0: nothing to say */
};

/* ---- fixed tokens ---------------------------------------------------------------------------------------- */

/* The `exp` of a JWT (RFC 7519), or 0. The token is not verified: that is the server's business. */
static int64_t token_expiry(struct df_str token)
{
	df_cleanup(df_arena_done) struct df_arena arena = { 0 };
	df_cleanup(df_buf_done) struct df_buf base64 = { 0 }, json = { 0 };
	struct df_value *claims;
	int64_t expiry = 0;
	const char *begin = memchr(token.ptr, '.', token.len);
	const char *end = begin ? memchr(begin + 1, '.', token.len - (size_t)(begin + 1 - token.ptr)) : NULL;

	if (!end)
		return 0;
	for (const char *p = begin + 1; p < end; p++)
		df_buf_add_char(&base64, *p == '-' ? '+' : *p == '_' ? '/' : *p);
	while (!base64.failed && base64.len % 4)
		df_buf_add_char(&base64, '=');
	if (base64.failed || !df_buf_add_base64_decoded(&json, df_buf_str(&base64)) ||
	    df_value_parse(df_buf_str(&json), &arena, &claims, NULL) != DF_PARSE_OK)
		return 0;
	const struct df_value *exp = df_object_get_c(claims, "exp");
	return exp && df_value_to_int64(exp, &expiry) ? expiry : 0;
}

/* Seconds that a fixed token has left; INT32_MAX: it does not say. */
static int64_t seconds_left(const struct df_trino_auth *auth)
{
	int64_t expiry = token_expiry(df_str_c(auth->token));

	if (expiry <= 0 || expiry > INT32_MAX * INT64_C(4))
		return INT32_MAX;
	return expiry - df_clock_now(NULL) / DF_NS_PER_S;
}

/* Once, a day before a fixed token ends. */
static void warn_of_expiry(struct df_trino_auth *auth)
{
	if (auth->warn_ns == 0 || df_clock_monotonic() < auth->warn_ns)
		return;
	int64_t left = seconds_left(auth);

	auth->warn_ns = 0;
	if (left <= 0)
		df_warn(auth->logger, "keycloak.token has expired; a fixed token is never renewed");
	else
		df_warn(auth->logger, "keycloak.token expires in %lld minutes; a fixed token is never renewed",
			(long long)(left / 60));
}

/* ---- life ------------------------------------------------------------------------------------------------ */

/* {serverURL}/realms/{realm}/protocol/openid-connect/token */
static char *keycloak_url(const struct df_trino_keycloak_settings *k)
{
	struct df_buf url = { 0 };
	struct df_str base = df_str_c(k->server_url.value);

	while (df_str_ends(base, DF_STR("/")))
		base.len--;
	df_buf_add_str(&url, base);
	df_buf_add_c(&url, "/realms/");
	df_url_encode(&url, df_str_c(k->realm.value));
	df_buf_add_c(&url, "/protocol/openid-connect/token");
	return df_buf_take(&url);
}

int df_trino_auth_new(const struct df_trino_connection *settings, const struct df_tls *tls,
		      const struct df_logger *logger, struct df_trino_auth **ret, struct df_error *err)
{
	struct df_trino_auth *auth = calloc(1, sizeof(*auth));
	const struct df_trino_auth_settings *old = settings->auth.settings;

	if (!auth)
		return df_error_no_memory(err);
	auth->settings = settings;
	auth->tls = tls;
	auth->logger = logger;
	auth->keycloak = settings->keycloak.settings;
	bool fixed = auth->keycloak && auth->keycloak->token.value;
	if (fixed)
		auth->token = df_str_dup(df_str_c(auth->keycloak->token.value));
	else if (auth->keycloak)
		auth->url = keycloak_url(auth->keycloak);
	else if (old)
		auth->url = df_str_dup(df_str_c(old->token_url));
	if ((fixed && !auth->token) || ((auth->keycloak || old) && !fixed && !auth->url)) {
		df_trino_auth_free(auth);
		return df_error_no_memory(err);
	}
	int64_t left = fixed ? seconds_left(auth) : INT32_MAX;
	if (left < INT32_MAX)
		auth->warn_ns =
			df_clock_monotonic() + (left > EXPIRY_WARNING ? left - EXPIRY_WARNING : 0) * DF_NS_PER_S;
	warn_of_expiry(auth);
	*ret = auth;
	return 0;
}

void df_trino_auth_free(struct df_trino_auth *auth)
{
	if (!auth)
		return;
	df_http_client_free(auth->client);
	free(auth->url);
	free(auth->token);
	free(auth->refresh);
	free(auth);
}

/* ---- asking for a token ---------------------------------------------------------------------------------- */

static void add_field(struct df_buf *form, const char *name, const char *value)
{
	if (!value)
		return;
	if (form->len)
		df_buf_add_char(form, '&');
	df_buf_add_c(form, name);
	df_buf_add_char(form, '=');
	df_url_encode(form, df_str_c(value));
}

/* The form of a grant: by refresh token, by password, or by the client's own credentials. */
static void write_grant(const struct df_trino_auth *auth, bool by_refresh, struct df_buf *form)
{
	const struct df_trino_keycloak_settings *k = auth->keycloak;
	const struct df_trino_auth_settings *old = auth->settings->auth.settings;
	bool password = k && k->username.value;

	add_field(form, "grant_type", by_refresh ? "refresh_token" : password ? "password" : "client_credentials");
	add_field(form, "client_id", k ? k->client_id.value : old->client_id);
	add_field(form, "client_secret", k ? k->client_secret.value : old->client_secret.value);
	if (by_refresh) {
		add_field(form, "refresh_token", auth->refresh);
	} else if (password) {
		add_field(form, "username", k->username.value);
		add_field(form, "password", k->password.value);
	}
}

static char *member_text(const struct df_value *object, const char *key, struct df_arena *arena)
{
	struct df_value *v = df_object_get_c(object, key);
	struct df_str text = v && v->kind == DF_STRING ? df_value_text(v, arena) : df_str(NULL, 0);

	return text.ptr ? df_str_dup(text) : NULL;
}

static int take_token(struct df_trino_auth *auth, struct df_str body, struct df_error *err)
{
	df_cleanup(df_arena_done) struct df_arena arena = { 0 };
	struct df_value *answer;
	int64_t lifetime = 60;

	if (df_value_parse(body, &arena, &answer, NULL) != DF_PARSE_OK)
		return df_error_set(err, DF_ERR_AUTH, "%s did not answer with JSON", auth->url);
	const struct df_value *expires = df_object_get_c(answer, "expires_in");
	if (expires)
		(void)df_value_to_int64(expires, &lifetime);
	free(auth->token);
	free(auth->refresh);
	auth->token = member_text(answer, "access_token", &arena);
	auth->refresh = member_text(answer, "refresh_token", &arena);
	auth->renew_ns = df_clock_monotonic() + (int64_t)((double)(lifetime > 0 ? lifetime : 0) * RENEW_AT * 1e9);
	return auth->token ? 0 : df_error_set(err, DF_ERR_AUTH, "%s gave no access_token", auth->url);
}

/* One request of the token endpoint. OAuth 2.0 (RFC 6749): an error is a JSON object with `error`. */
static int ask(struct df_trino_auth *auth, struct df_context *ctx, bool by_refresh, struct df_error *err)
{
	df_cleanup(df_buf_done) struct df_buf form = { 0 };
	df_cleanup(df_http_response_done) struct df_http_response response = { 0 };
	df_cleanup(df_arena_done) struct df_arena arena = { 0 };
	static const struct df_http_header headers[] = { { "Content-Type", "application/x-www-form-urlencoded" } };
	struct df_value *answer;

	write_grant(auth, by_refresh, &form);
	if (form.failed)
		return df_error_no_memory(err);
	const struct df_http_request request = { .url = auth->url,
						 .headers = headers,
						 .header_count = 1,
						 .body = df_buf_str(&form),
						 .timeout_ns = TOKEN_TIMEOUT,
						 .max_body = 1 << 20 };
	int code = df_http_request(auth->client, ctx, &request, &response, err);
	if (code != 0)
		return df_error_prefix(err, "the token of %s", auth->url);
	if (response.status == 200)
		return take_token(auth, df_buf_str(&response.body), err);
	if (response.status == 429 || response.status >= 500)
		return df_error_set(err, DF_ERR_TRANSIENT, "%s answered with HTTP status %d", auth->url,
				    response.status);
	struct df_str why = { 0 };
	if (df_value_parse(df_buf_str(&response.body), &arena, &answer, NULL) == DF_PARSE_OK) {
		struct df_value *name = df_object_get_c(answer, "error");
		if (name && name->kind == DF_STRING)
			why = df_value_text(name, &arena);
	}
	return df_error_set(err, DF_ERR_AUTH,
			    "%s refuses a token (HTTP status %d%s" DF_STR_FMT "); check the credentials", auth->url,
			    response.status, why.len ? ", " : "", DF_STR_ARG(why));
}

static int renew(struct df_trino_auth *auth, struct df_context *ctx, struct df_error *err)
{
	int code;

	if (!auth->client) {
		const struct df_http_client_options options = { .tls = auth->tls };
		code = df_http_client_new(&options, &auth->client, err);
		if (code != 0)
			return code;
	}
	if (auth->refresh && ask(auth, ctx, true, NULL) == 0)
		return 0;
	return ask(auth, ctx, false, err);
}

int df_trino_auth_apply(struct df_trino_auth *auth, struct df_context *ctx, struct df_http_request *request,
			struct df_error *err)
{
	if (auth->settings->password.value) {
		request->username = auth->settings->user;
		request->password = auth->settings->password.value;
		return 0;
	}
	if (auth->url && (!auth->token || df_clock_monotonic() >= auth->renew_ns)) {
		int code = renew(auth, ctx, err);
		if (code != 0)
			return code;
	}
	warn_of_expiry(auth);
	request->bearer = auth->token;
	return 0;
}

bool df_trino_auth_renew(struct df_trino_auth *auth)
{
	if (!auth->url)
		return false;
	free(DF_TAKE(auth->token));
	free(DF_TAKE(auth->refresh));
	return true;
}

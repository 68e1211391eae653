#include "connectors/clickhouse/dsn.h"

#include <strings.h>

#include "base/clock.h"
#include "base/time.h"
#include "net/url.h"

#define HOSTS_MAX 100

/* ---- text ------------------------------------------------------------------------------------------------ */

static int replace(char **to, char *text, struct df_error *err)
{
	if (!text)
		return df_error_no_memory(err);
	free(*to);
	*to = text;
	return 0;
}

/* Cuts `s` at the first `c`: the part before is returned, *s becomes what follows (ptr NULL: there was no c). */
static struct df_str cut(struct df_str *s, char c)
{
	const char *at = s->len ? memchr(s->ptr, c, s->len) : NULL;
	struct df_str before = *s;

	if (!at) {
		*s = df_str(NULL, 0);
		return before;
	}
	before.len = (size_t)(at - s->ptr);
	*s = df_str(at + 1, s->len - before.len - 1);
	return before;
}

/* ---- parameters ------------------------------------------------------------------------------------------ */

static bool parse_bool(struct df_str v, bool *ret)
{
	static const char *const yes[] = { "true", "1", "t", "yes", "on", "" };
	static const char *const no[] = { "false", "0", "f", "no", "off" };

	for (size_t i = 0; i < DF_ARRAY_SIZE(yes); i++)
		if (v.len == strlen(yes[i]) && strncasecmp(v.ptr, yes[i], v.len) == 0) {
			*ret = true;
			return true;
		}
	for (size_t i = 0; i < DF_ARRAY_SIZE(no); i++)
		if (v.len == strlen(no[i]) && strncasecmp(v.ptr, no[i], v.len) == 0) {
			*ret = false;
			return true;
		}
	return false;
}

static int bad(struct df_error *err, const char *name, const char *expected)
{
	return df_error_set(err, DF_ERR_CONFIG, "parameter %s: expected %s", name, expected);
}

static int set_bool(bool *to, const char *name, struct df_str v, struct df_error *err)
{
	return parse_bool(v, to) ? 0 : bad(err, name, "true or false");
}

static int set_duration(int64_t *to, const char *name, struct df_str v, struct df_error *err)
{
	int64_t seconds;

	if (df_str_to_int64(v, &seconds) && seconds >= 0 && seconds <= INT32_MAX)
		*to = seconds * DF_NS_PER_S; /* a bare number of seconds, as older clients took it */
	else if (!df_duration_parse(v, to) || *to < 0)
		return bad(err, name, "a duration such as 30s or 5m");
	return 0;
}

static int set_codec(struct df_ch_dsn *dsn, const char *name, struct df_str v, struct df_error *err)
{
	static const struct {
		const char *name;
		enum df_ch_codec codec;
	} codecs[] = {
		{ "lz4", DF_CH_CODEC_LZ4 },	 { "zstd", DF_CH_CODEC_ZSTD },	     { "none", DF_CH_CODEC_NONE },
		{ "gzip", DF_CH_CODEC_CONTENT }, { "deflate", DF_CH_CODEC_CONTENT }, { "br", DF_CH_CODEC_CONTENT },
	};
	bool on;

	for (size_t i = 0; i < DF_ARRAY_SIZE(codecs); i++)
		if (df_str_equal_c(v, codecs[i].name)) {
			dsn->codec = codecs[i].codec;
			return 0;
		}
	if (!parse_bool(v, &on))
		return bad(err, name, "lz4, zstd, none, true, false, or (HTTP) gzip, deflate, br");
	dsn->codec = on ? DF_CH_CODEC_LZ4 : DF_CH_CODEC_NONE;
	return 0;
}

static int set_strategy(struct df_ch_dsn *dsn, const char *name, struct df_str v, struct df_error *err)
{
	static const char *const names[] = { "in_order", "round_robin", "random" };

	for (size_t i = 0; i < DF_ARRAY_SIZE(names); i++)
		if (df_str_equal_c(v, names[i])) {
			dsn->strategy = (enum df_ch_open_strategy)i;
			return 0;
		}
	return bad(err, name, "in_order, round_robin or random");
}

static int add_setting(struct df_ch_dsn *dsn, const char *name, const char *value, struct df_error *err)
{
	struct df_ch_pair *pairs = reallocarray(dsn->settings, dsn->setting_count + 1, sizeof(*pairs));

	if (!pairs)
		return df_error_no_memory(err);
	dsn->settings = pairs;
	pairs[dsn->setting_count] = (struct df_ch_pair){ strdup(name), strdup(value) };
	if (!pairs[dsn->setting_count].name || !pairs[dsn->setting_count].value) {
		free(pairs[dsn->setting_count].name);
		free(pairs[dsn->setting_count].value);
		return df_error_no_memory(err);
	}
	dsn->setting_count++;
	return 0;
}

/* Of the Go client, without a meaning here. */
static const char *const ignored[] = { "debug", "block_buffer_size", "max_open_conns", "max_idle_conns",
				       "max_compression_buffer" };

static int set_parameter(struct df_ch_dsn *dsn, const char *name, const char *value, struct df_error *err)
{
	struct df_str n = df_str_c(name);
	struct df_str v = df_str_c(value);
	int64_t level;
	const struct {
		const char *name;
		char **to;
	} texts[] = { { "username", &dsn->user },	{ "user", &dsn->user },
		      { "password", &dsn->password },	{ "database", &dsn->database },
		      { "http_path", &dsn->http_path }, { "client_info_product", &dsn->client_product } };

	for (size_t i = 0; i < DF_ARRAY_SIZE(texts); i++)
		if (df_str_equal_c(n, texts[i].name))
			return replace(texts[i].to, strdup(value), err);
	for (size_t i = 0; i < DF_ARRAY_SIZE(ignored); i++)
		if (df_str_equal_c(n, ignored[i]))
			return 0;
	if (df_str_equal_c(n, "secure"))
		return set_bool(&dsn->tls, name, v, err);
	if (df_str_equal_c(n, "skip_verify"))
		return set_bool(&dsn->skip_verify, name, v, err);
	if (df_str_equal_c(n, "dial_timeout"))
		return set_duration(&dsn->dial_timeout_ns, name, v, err);
	if (df_str_equal_c(n, "read_timeout"))
		return set_duration(&dsn->read_timeout_ns, name, v, err);
	if (df_str_equal_c(n, "conn_max_lifetime"))
		return set_duration(&dsn->max_lifetime_ns, name, v, err);
	if (df_str_equal_c(n, "compress"))
		return set_codec(dsn, name, v, err);
	if (df_str_equal_c(n, "connection_open_strategy"))
		return set_strategy(dsn, name, v, err);
	if (df_str_equal_c(n, "compress_level")) {
		if (!df_str_to_int64(v, &level) || level < -100 || level > 22)
			return bad(err, name, "a number up to 22");
		dsn->codec_level = (int)level;
		return 0;
	}
	return add_setting(dsn, name, value, err);
}

static int parse_parameters(struct df_ch_dsn *dsn, struct df_str query, struct df_error *err)
{
	while (query.ptr) {
		struct df_str value = cut(&query, '&');
		struct df_str name = cut(&value, '=');
		df_cleanup(df_freep) char *n = NULL;
		df_cleanup(df_freep) char *v = NULL;

		if (name.len == 0)
			continue;
		n = df_url_decode(name, true);
		v = df_url_decode(value, true);
		if (!n || !v)
			return df_error_set(err, DF_ERR_CONFIG, "a parameter contains a NUL byte");
		int code = set_parameter(dsn, n, v, err);
		if (code != 0)
			return code;
	}
	return 0;
}

/* ---- hosts ----------------------------------------------------------------------------------------------- */

/* `host`, `host:port`, `[v6]:port`; port 0: the default. */
static int add_host(struct df_ch_dsn *dsn, struct df_str text, struct df_error *err)
{
	struct df_str name = text;
	struct df_str port = df_str(NULL, 0);
	int64_t number = 0;

	if (text.len && text.ptr[0] == '[') {
		struct df_str rest = df_str(text.ptr + 1, text.len - 1);
		name = cut(&rest, ']');
		if (!rest.ptr)
			return df_error_set(err, DF_ERR_CONFIG, "a host begins with [ but has no ]");
		if (rest.len && rest.ptr[0] == ':')
			port = df_str(rest.ptr + 1, rest.len - 1);
	} else {
		port = text;
		name = cut(&port, ':');
	}
	if (name.len == 0)
		return df_error_set(err, DF_ERR_CONFIG,
				    "a host is empty; expected clickhouse://user@host:9000/database");
	if (port.len && (!df_str_to_int64(port, &number) || number < 1 || number > 65535))
		return df_error_set(err, DF_ERR_CONFIG,
				    "the port of host " DF_STR_FMT " is not a number from 1 to 65535",
				    DF_STR_ARG(name));
	struct df_ch_host *hosts = reallocarray(dsn->hosts, dsn->host_count + 1, sizeof(*hosts));
	if (!hosts)
		return df_error_no_memory(err);
	dsn->hosts = hosts;
	hosts[dsn->host_count].port = (uint16_t)number;
	hosts[dsn->host_count].name = df_url_decode(name, false);
	if (!hosts[dsn->host_count].name)
		return df_error_no_memory(err);
	dsn->host_count++;
	return 0;
}

static int parse_authority(struct df_ch_dsn *dsn, struct df_str authority, struct df_error *err)
{
	const char *at = authority.len ? memrchr(authority.ptr, '@', authority.len) : NULL;
	int code = 0;

	/* The last @ ends the password, which may contain one. */
	if (at) {
		struct df_str password = df_str(authority.ptr, (size_t)(at - authority.ptr));
		struct df_str user = cut(&password, ':');
		authority = df_str(at + 1, authority.len - (size_t)(at - authority.ptr) - 1);
		if (user.len)
			code = replace(&dsn->user, df_url_decode(user, false), err);
		if (code == 0 && password.ptr)
			code = replace(&dsn->password, df_url_decode(password, false), err);
	}
	while (code == 0 && authority.ptr) {
		struct df_str host = df_str_trim(cut(&authority, ','));
		if (dsn->host_count >= HOSTS_MAX)
			return df_error_set(err, DF_ERR_CONFIG, "more than %d hosts", HOSTS_MAX);
		code = add_host(dsn, host, err);
	}
	return code;
}

/* ---- the whole ------------------------------------------------------------------------------------------- */

static const struct {
	const char *scheme;
	bool http, tls;
} schemes[] = { { "clickhouse", false, false },
		{ "tcp", false, false },
		{ "native", false, false },
		{ "http", true, false },
		{ "https", true, true } };

static int parse(struct df_str text, struct df_ch_dsn *dsn, struct df_error *err)
{
	struct df_str rest = df_str_trim(text);
	size_t i = 0;

	while (i < DF_ARRAY_SIZE(schemes) &&
	       !(rest.len > strlen(schemes[i].scheme) + 3 &&
		 strncasecmp(rest.ptr, schemes[i].scheme, strlen(schemes[i].scheme)) == 0 &&
		 memcmp(rest.ptr + strlen(schemes[i].scheme), "://", 3) == 0))
		i++;
	if (i == DF_ARRAY_SIZE(schemes))
		return df_error_set(
			err, DF_ERR_CONFIG,
			"expected clickhouse://, tcp://, native://, http:// or https:// and a host, such as "
			"clickhouse://user@host:9000/database");
	dsn->http = schemes[i].http;
	dsn->tls = schemes[i].tls;
	rest = df_str(rest.ptr + strlen(schemes[i].scheme) + 3, rest.len - strlen(schemes[i].scheme) - 3);

	struct df_str query = rest;
	struct df_str path = cut(&query, '?');
	struct df_str authority = cut(&path, '/');
	int code = parse_authority(dsn, authority, err);
	if (code == 0 && path.len)
		code = replace(&dsn->database, df_url_decode(path, false), err);
	if (code == 0)
		code = parse_parameters(dsn, query, err);
	return code;
}

static int apply_defaults(struct df_ch_dsn *dsn, struct df_error *err)
{
	const struct {
		char **to;
		const char *text;
	} texts[] = { { &dsn->user, "default" },
		      { &dsn->password, "" },
		      { &dsn->database, "default" },
		      { &dsn->http_path, "/" } };
	uint16_t port = dsn->http ? (dsn->tls ? 8443 : 8123) : (dsn->tls ? 9440 : 9000);

	for (size_t i = 0; i < DF_ARRAY_SIZE(texts); i++)
		if ((!*texts[i].to || !**texts[i].to) && replace(texts[i].to, strdup(texts[i].text), err) != 0)
			return DF_ERR_NO_MEMORY;
	for (size_t i = 0; i < dsn->host_count; i++)
		if (dsn->hosts[i].port == 0)
			dsn->hosts[i].port = port;
	if (dsn->http_path[0] != '/') {
		char *path = malloc(strlen(dsn->http_path) + 2);
		if (!path)
			return df_error_no_memory(err);
		path[0] = '/';
		memcpy(path + 1, dsn->http_path, strlen(dsn->http_path) + 1);
		return replace(&dsn->http_path, path, err);
	}
	if (!dsn->http && dsn->codec == DF_CH_CODEC_CONTENT)
		return df_error_set(err, DF_ERR_CONFIG,
				    "parameter compress: gzip, deflate and br are for http://; use lz4 or zstd");
	return 0;
}

int df_ch_dsn_parse(struct df_str text, struct df_ch_dsn *ret, struct df_error *err)
{
	*ret = (struct df_ch_dsn){ .dial_timeout_ns = 30 * DF_NS_PER_S,
				   .read_timeout_ns = 300 * DF_NS_PER_S,
				   .max_lifetime_ns = 3600 * DF_NS_PER_S };
	int code = parse(text, ret, err);

	if (code == 0)
		code = apply_defaults(ret, err);
	if (code != 0) {
		if (code == DF_ERR_CONFIG)
			df_error_prefix(err, "connectionString");
		df_ch_dsn_done(ret);
	}
	return code;
}

void df_ch_dsn_done(struct df_ch_dsn *dsn)
{
	for (size_t i = 0; i < dsn->host_count; i++)
		free(dsn->hosts[i].name);
	for (size_t i = 0; i < dsn->setting_count; i++) {
		free(dsn->settings[i].name);
		free(dsn->settings[i].value);
	}
	free(dsn->hosts);
	free(dsn->settings);
	free(dsn->user);
	free(dsn->password);
	free(dsn->database);
	free(dsn->http_path);
	free(dsn->client_product);
	*dsn = (struct df_ch_dsn){ 0 };
}

int df_ch_dsn_check(struct df_str text, struct df_error *err)
{
	struct df_ch_dsn dsn;
	int code = df_ch_dsn_parse(text, &dsn, err);

	if (code == 0)
		df_ch_dsn_done(&dsn);
	return code;
}

#include "connectors/postgresql/conninfo.h"

#include <stdlib.h>

#include "base/cleanup.h"

/* ---- the list -------------------------------------------------------------------------------------------- */

void df_pg_params_done(struct df_pg_params *params)
{
	for (size_t i = 0; i < params->count; i++) {
		free(params->keys[i]);
		if (params->values[i])
			explicit_bzero(params->values[i], strlen(params->values[i]));
		free(params->values[i]);
	}
	*params = (struct df_pg_params){ 0 };
}

static size_t find(const struct df_pg_params *params, const char *key)
{
	size_t i = 0;

	while (i < params->count && strcmp(params->keys[i], key) != 0)
		i++;
	return i;
}

const char *df_pg_params_get(const struct df_pg_params *params, const char *key)
{
	size_t i = find(params, key);

	return i < params->count ? params->values[i] : NULL;
}

int df_pg_params_set(struct df_pg_params *params, const char *key, struct df_str value)
{
	size_t i = find(params, key);
	char *copy = df_str_dup(value);

	if (!copy || i == DF_PG_PARAMS_MAX) {
		free(copy);
		return DF_ERR_NO_MEMORY;
	}
	if (i == params->count) {
		params->keys[i] = strdup(key);
		if (!params->keys[i]) {
			free(copy);
			return DF_ERR_NO_MEMORY;
		}
		params->count++;
	}
	free(params->values[i]);
	params->values[i] = copy;
	return 0;
}

int df_pg_params_default(struct df_pg_params *params, const char *key, const char *value)
{
	return df_pg_params_get(params, key) ? 0 : df_pg_params_set(params, key, df_str_c(value));
}

/* The server splits `options` at blanks; a backslash keeps one in a value. */
int df_pg_params_setting(struct df_pg_params *params, const char *key, struct df_str value)
{
	const char *before = df_pg_params_get(params, "options");
	df_cleanup(df_buf_done) struct df_buf text = { 0 };

	if (before) {
		df_buf_add_c(&text, before);
		df_buf_add_char(&text, ' ');
	}
	df_buf_add_c(&text, "-c ");
	const struct df_str parts[] = { df_str_c(key), DF_STR("="), value };
	for (size_t p = 0; p < DF_ARRAY_SIZE(parts); p++)
		for (size_t i = 0; i < parts[p].len; i++) {
			char c = parts[p].ptr[i];

			if (c == '\\' || c == ' ' || (c >= '\t' && c <= '\r'))
				df_buf_add_char(&text, '\\');
			df_buf_add_char(&text, c);
		}
	return text.failed ? DF_ERR_NO_MEMORY : df_pg_params_set(params, "options", df_buf_str(&text));
}

/* ---- pieces ---------------------------------------------------------------------------------------------- */

/* What a text is being taken apart into. */
struct parsing {
	struct df_pg_params *params;
	const struct df_pg_known *known;
	struct df_buf *ignored;
	struct df_error *err;
};

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Appends the text with %XX decoded; false, and *out is of no use, when one is no such thing or a NUL. */
static bool decode(struct df_str text, struct df_buf *out)
{
	for (size_t i = 0; i < text.len; i++) {
		char c = text.ptr[i];

		if (c == '%') {
			if (i + 2 >= text.len)
				return false;
			int high = hex_digit(text.ptr[i + 1]), low = hex_digit(text.ptr[i + 2]);
			if (high < 0 || low < 0 || high + low == 0)
				return false;
			c = (char)(high * 16 + low);
			i += 2;
		}
		df_buf_add_char(out, c);
	}
	return true;
}

static int bad_string(struct parsing *p, const char *what)
{
	return df_error_set(
		p->err, DF_ERR_CONFIG,
		"connectionString: %s; write postgres://USER:PASSWORD@HOST:PORT/DATABASE?sslmode=verify-full, "
		"or host=HOST port=PORT dbname=DATABASE user=USER password='PASSWORD'",
		what);
}

/* What pools of Go programs read from the same text. */
static bool is_for_go(const char *key)
{
	static const char *const keys[] = { "default_query_exec_mode", "statement_cache_capacity",
					    "description_cache_capacity", "prefer_simple_protocol" };

	for (size_t i = 0; i < DF_ARRAY_SIZE(keys); i++)
		if (strcmp(key, keys[i]) == 0)
			return true;
	return strncmp(key, "pool_", strlen("pool_")) == 0;
}

/* A name that may stand in `-c name=value`: letters, digits, `_`, `.`. */
static bool is_setting(const char *key)
{
	return *key && strspn(key, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.") == strlen(key);
}

/* One parameter: libpq's, Go's, or a run-time setting. */
static int add_param(struct parsing *p, const char *key, struct df_str value)
{
	int code = 0;

	if (memchr(value.len ? value.ptr : "", 0, value.len))
		return bad_string(p, "a value has a NUL in it");
	if (strcmp(key, "ssl") == 0 && df_str_equal(value, DF_STR("true"))) /* as JDBC has it, and libpq in a URL */
		code = df_pg_params_set(p->params, "sslmode", DF_STR("require"));
	else if (p->known->has(p->known, key))
		code = df_pg_params_set(p->params, key, value);
	else if (is_for_go(key))
		df_buf_printf(p->ignored, "%s%s", p->ignored->len ? ", " : "", key);
	else if (is_setting(key))
		code = df_pg_params_setting(p->params, key, value);
	else
		return bad_string(p, "a parameter's name is no name");
	return code == 0 ? 0 : df_error_no_memory(p->err);
}

/* ---- URLs ------------------------------------------------------------------------------------------------ */

static struct df_str until(struct df_str *text, char end, bool *ret_found)
{
	const char *at = text->len ? memchr(text->ptr, end, text->len) : NULL;
	struct df_str part = *text;

	*ret_found = at;
	if (at)
		part.len = (size_t)(at - text->ptr);
	text->ptr += part.len + (at ? 1 : 0);
	text->len -= part.len + (at ? 1 : 0);
	return part;
}

/* Sets a parameter to a part of the URL; an empty one is left out. */
static int add_decoded(struct parsing *p, const char *key, struct df_str part)
{
	df_cleanup(df_buf_done) struct df_buf text = { 0 };

	if (part.len == 0)
		return 0;
	if (!decode(part, &text))
		return bad_string(p, "a `%` in the URL is not followed by two hexadecimal digits");
	return text.failed ? df_error_no_memory(p->err) : add_param(p, key, df_buf_str(&text));
}

static int parse_query(struct parsing *p, struct df_str query)
{
	bool found;

	while (query.len) {
		df_cleanup(df_buf_done) struct df_buf key = { 0 };
		df_cleanup(df_buf_done) struct df_buf value = { 0 };
		struct df_str pair = until(&query, '&', &found);
		struct df_str name = until(&pair, '=', &found);

		if (name.len == 0 && !found)
			continue;
		if (!found)
			return bad_string(p, "a parameter of the URL has no `=`");
		if (!decode(name, &key) || !decode(pair, &value))
			return bad_string(p, "a `%` in the URL is not followed by two hexadecimal digits");
		const char *name_text = df_buf_c(&key);
		if (key.failed || value.failed)
			return df_error_no_memory(p->err);
		int code = add_param(p, name_text, df_buf_str(&value));
		if (code != 0)
			return code;
	}
	return 0;
}

/* `host`, `host:port`, `[v6]:port`, lists of them. */
static int parse_hosts(struct parsing *p, struct df_str text)
{
	df_cleanup(df_buf_done) struct df_buf hosts = { 0 };
	df_cleanup(df_buf_done) struct df_buf ports = { 0 };
	bool more = text.len > 0, any_port = false, found;

	for (size_t n = 0; more; n++) {
		struct df_str one = until(&text, ',', &more);
		struct df_str host = one;

		if (one.len && one.ptr[0] == '[') {
			one = df_str(one.ptr + 1, one.len - 1);
			host = until(&one, ']', &found);
			if (!found || (one.len && one.ptr[0] != ':'))
				return bad_string(p, "an IPv6 address needs its `]`");
			if (one.len)
				one = df_str(one.ptr + 1, one.len - 1);
		} else {
			host = until(&one, ':', &found);
		}
		if (n) {
			df_buf_add_char(&hosts, ',');
			df_buf_add_char(&ports, ',');
		}
		for (size_t i = 0; i < one.len; i++)
			if (one.ptr[i] < '0' || one.ptr[i] > '9')
				return bad_string(p, "a port is no number");
		any_port = any_port || one.len;
		df_buf_add_str(&hosts, host);
		df_buf_add_str(&ports, one);
	}
	int code = add_decoded(p, "host", df_buf_str(&hosts));
	if (code == 0 && any_port)
		code = add_decoded(p, "port", df_buf_str(&ports));
	return hosts.failed || ports.failed ? df_error_no_memory(p->err) : code;
}

/* `user:password`. A password that is no proper part of a URL is taken as it stands. */
static int parse_user(struct parsing *p, struct df_str text, bool literal)
{
	df_cleanup(df_buf_done) struct df_buf user = { 0 };
	df_cleanup(df_buf_done) struct df_buf password = { 0 };
	bool has_password;
	struct df_str name = until(&text, ':', &has_password);

	if (literal || !decode(name, &user)) {
		user.len = 0;
		df_buf_add_str(&user, name);
	}
	if (literal || !decode(text, &password)) {
		password.len = 0;
		df_buf_add_str(&password, text);
	}
	if (user.failed || password.failed)
		return df_error_no_memory(p->err);
	int code = user.len ? add_param(p, "user", df_buf_str(&user)) : 0;
	if (code == 0 && has_password)
		code = add_param(p, "password", df_buf_str(&password));
	if (password.data)
		explicit_bzero(password.data, password.cap);
	return code;
}

static const char *last_at(struct df_str text)
{
	return text.len ? memrchr(text.ptr, '@', text.len) : NULL;
}

/* What stands behind `//`. A proper one has at most one `@`, before any `/`; else it belongs to a password. */
static int parse_url(struct parsing *p, struct df_str text)
{
	bool has_query, has_path;
	struct df_str query = text;
	struct df_str rest = until(&query, '?', &has_query);
	const char *at = last_at(rest);
	int code = 0;

	if (at) {
		struct df_str user = df_str(rest.ptr, (size_t)(at - rest.ptr));
		bool proper = !last_at(user) && !memchr(user.len ? user.ptr : "", '/', user.len);

		code = parse_user(p, user, !proper);
		rest = df_str(at + 1, rest.len - user.len - 1);
	}
	struct df_str hosts = until(&rest, '/', &has_path);
	if (code == 0)
		code = parse_hosts(p, hosts);
	if (code == 0 && has_path)
		code = add_decoded(p, "dbname", rest);
	return code == 0 && has_query ? parse_query(p, query) : code;
}

/* ---- key=value ------------------------------------------------------------------------------------------- */

static bool is_blank(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

static struct df_str skip_blanks(struct df_str text)
{
	while (text.len && is_blank(text.ptr[0]))
		text = df_str(text.ptr + 1, text.len - 1);
	return text;
}

/* A value: quoted, or up to a blank; a backslash takes the next character as it is. False: no closing quote. */
static bool take_value(struct df_str *text, struct df_buf *out)
{
	bool quoted = text->len && text->ptr[0] == '\'';
	size_t i = quoted ? 1 : 0;

	for (; i < text->len; i++) {
		char c = text->ptr[i];

		if (quoted ? c == '\'' : is_blank(c))
			break;
		if (c == '\\' && i + 1 < text->len)
			c = text->ptr[++i];
		df_buf_add_char(out, c);
	}
	if (quoted && i == text->len)
		return false;
	i += quoted;
	*text = df_str(text->ptr + i, text->len - i);
	return true;
}

static int parse_pairs(struct parsing *p, struct df_str text)
{
	for (text = skip_blanks(text); text.len; text = skip_blanks(text)) {
		df_cleanup(df_buf_done) struct df_buf key = { 0 };
		df_cleanup(df_buf_done) struct df_buf value = { 0 };
		bool found;
		struct df_str name = df_str_trim(until(&text, '=', &found));

		for (size_t i = 0; i < name.len; i++)
			found = found && !is_blank(name.ptr[i]);
		if (!found)
			return bad_string(p,
					  "there is something that is no key=value (a value with blanks needs quotes)");
		df_buf_add_str(&key, name);
		text = skip_blanks(text);
		if (!take_value(&text, &value))
			return bad_string(p, "a quote is not closed");
		const char *key_text = df_buf_c(&key);
		if (key.failed || value.failed)
			return df_error_no_memory(p->err);
		int code = add_param(p, key_text, df_buf_str(&value));
		if (value.data)
			explicit_bzero(value.data, value.cap);
		if (code != 0)
			return code;
	}
	return 0;
}

/* `scheme://`, which is the beginning of no key. */
static bool is_other_url(struct df_str text)
{
	size_t i = 0;

	while (i < text.len && ((text.ptr[i] | 0x20) >= 'a' && (text.ptr[i] | 0x20) <= 'z'))
		i++;
	return df_str_starts(df_str(text.ptr + i, text.len - i), DF_STR("://"));
}

int df_pg_params_parse(struct df_str text, const struct df_pg_known *known, struct df_pg_params *ret,
		       struct df_buf *ignored, struct df_error *err)
{
	static const struct df_str schemes[] = { { "postgres://", 11 }, { "postgresql://", 13 } };
	struct parsing p = { .params = ret, .known = known, .ignored = ignored, .err = err };
	int code = 1;

	*ret = (struct df_pg_params){ 0 };
	text = df_str_trim(text);
	for (size_t i = 0; i < DF_ARRAY_SIZE(schemes); i++)
		if (df_str_starts(text, schemes[i]))
			code = parse_url(&p, df_str(text.ptr + schemes[i].len, text.len - schemes[i].len));
	if (code == 1)
		code = is_other_url(text) ? bad_string(&p, "the URL's scheme must be postgres or postgresql")
					  : parse_pairs(&p, text);
	if (code != 0)
		df_pg_params_done(ret);
	return code;
}

/* Checks that many tables share. A reason quotes what was found, so that a caller that must not show it drops the
 * reason. */
#include "spec/field.h"
#include "value/path.h"

#define SHOWN 80 /* bytes of a text in a reason */

static int shown(struct df_str text)
{
	return (int)(text.len < SHOWN ? text.len : SHOWN);
}

static bool is_letter(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool is_identifier(struct df_str text)
{
	if (text.len == 0 || !is_letter(text.ptr[0]))
		return false;
	for (size_t i = 1; i < text.len; i++) {
		if (!is_letter(text.ptr[i]) && !is_digit(text.ptr[i]))
			return false;
	}
	return true;
}

int df_check_identifier(struct df_str text, struct df_error *err)
{
	if (is_identifier(text))
		return 0;
	return df_error_set(err, DF_ERR_CONFIG,
			    "\"%.*s\" is not an identifier; use letters, digits and _, and no digit at the beginning",
			    shown(text), text.ptr ? text.ptr : "");
}

int df_check_identifier_list(struct df_str text, struct df_error *err)
{
	for (;;) {
		const char *comma = text.len ? memchr(text.ptr, ',', text.len) : NULL;
		struct df_str part = df_str_trim(df_str(text.ptr, comma ? (size_t)(comma - text.ptr) : text.len));
		if (part.len == 0)
			return df_error_set(err, DF_ERR_CONFIG,
					    "an identifier is missing; write one, or several with commas between");
		int r = df_check_identifier(part, err);
		if (r < 0)
			return r;
		if (!comma)
			return 0;
		text = df_str(comma + 1, text.len - (size_t)(comma + 1 - text.ptr));
	}
}

/* 1..65535 in decimal. */
static bool is_port(struct df_str text)
{
	int64_t port;

	return text.len > 0 && text.len <= 5 && is_digit(text.ptr[0]) && df_str_to_int64(text, &port) && port >= 1 &&
	       port <= 65535;
}

/* A name or an IPv4 address without blanks and delimiters, or an IPv6 address in brackets. */
static bool is_host(struct df_str text)
{
	bool bracketed = text.len > 2 && text.ptr[0] == '[' && text.ptr[text.len - 1] == ']';

	if (bracketed)
		text = df_str(text.ptr + 1, text.len - 2);
	if (text.len == 0 || text.len > 255)
		return false;
	for (size_t i = 0; i < text.len; i++) {
		char c = text.ptr[i];
		bool hex = is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
		if (bracketed ? !hex && c != ':' && c != '.' && c != '%'
			      : !is_letter(c) && !is_digit(c) && c != '.' && c != '-' && (signed char)c >= 0)
			return false;
	}
	return true;
}

/* Splits at the last colon that is not within brackets; *ret_port.ptr is NULL when there is none. */
static struct df_str split_port(struct df_str text, struct df_str *ret_port)
{
	size_t i = text.len;

	*ret_port = df_str(NULL, 0);
	while (i > 0 && text.ptr[i - 1] != ':' && text.ptr[i - 1] != ']')
		i--;
	if (i == 0 || text.ptr[i - 1] != ':')
		return text;
	*ret_port = df_str(text.ptr + i, text.len - i);
	return df_str(text.ptr, i - 1);
}

int df_check_host_port(struct df_str text, struct df_error *err)
{
	struct df_str port;
	struct df_str host = split_port(text, &port);

	if (!port.ptr)
		return df_error_set(err, DF_ERR_CONFIG, "\"%.*s\" has no port; write host:port", shown(text),
				    text.ptr ? text.ptr : "");
	if (!is_host(host))
		return df_error_set(err, DF_ERR_CONFIG, "\"%.*s\" has no valid host; write host:port", shown(text),
				    text.ptr);
	if (!is_port(port))
		return df_error_set(err, DF_ERR_CONFIG, "\"%.*s\" has no valid port; write a number from 1 to 65535",
				    shown(text), text.ptr);
	return 0;
}

/* The part between "//" and the next of "/?#", without "user:password@". */
static struct df_str url_authority(struct df_str text, size_t scheme)
{
	struct df_str rest = df_str(text.ptr + scheme, text.len - scheme);
	size_t len = 0;
	size_t start = 0;

	while (len < rest.len && !strchr("/?#", rest.ptr[len])) {
		if (rest.ptr[len++] == '@')
			start = len;
	}
	return df_str(rest.ptr + start, len - start);
}

int df_check_http_url(struct df_str text, struct df_error *err)
{
	size_t scheme = df_str_starts(text, DF_STR("http://")) ? 7 : df_str_starts(text, DF_STR("https://")) ? 8 : 0;

	/* The text may hold credentials: it is not shown. */
	if (scheme == 0)
		return df_error_set(err, DF_ERR_CONFIG, "is not an URL that begins with http:// or https://");
	for (size_t i = 0; i < text.len; i++) {
		if ((unsigned char)text.ptr[i] <= ' ' || text.ptr[i] == 0x7f)
			return df_error_set(err, DF_ERR_CONFIG, "the URL contains a blank; write it as %%20");
	}
	struct df_str port;
	struct df_str host = split_port(url_authority(text, scheme), &port);
	if (!is_host(host))
		return df_error_set(err, DF_ERR_CONFIG, "the URL has no valid host; write http://host:port/path");
	if (port.ptr && !is_port(port))
		return df_error_set(err, DF_ERR_CONFIG, "the URL's port is not a number from 1 to 65535");
	return 0;
}

static int check_path(struct df_str text, enum df_path_use use, struct df_error *err)
{
	df_cleanup(df_path_freep) struct df_path *path = NULL;

	int r = df_path_compile(text, use, &path, err);
	if (r == DF_ERR_CONFIG)
		df_error_prefix(err, "not a valid path");
	return r;
}

int df_check_path_reading(struct df_str text, struct df_error *err)
{
	return check_path(text, DF_PATH_READING, err);
}

int df_check_path_location(struct df_str text, struct df_error *err)
{
	return check_path(text, DF_PATH_LOCATION, err);
}

int df_check_path_plain(struct df_str text, struct df_error *err)
{
	return check_path(text, DF_PATH_PLAIN, err);
}

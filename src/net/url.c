#include "net/url.h"

#include <ctype.h>
#include <stdlib.h>
#include <strings.h>

void df_url_encode(struct df_buf *out, struct df_str text)
{
	for (size_t i = 0; i < text.len; i++) {
		unsigned char c = (unsigned char)text.ptr[i];
		bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
			     c == '.' || c == '_' || c == '~';

		if (plain)
			df_buf_add_char(out, (char)c);
		else
			df_buf_printf(out, "%%%02X", c);
	}
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

char *df_url_decode(struct df_str text, bool plus)
{
	char *out = malloc(text.len + 1);
	size_t n = 0;

	if (!out)
		return NULL;
	for (size_t i = 0; i < text.len; i++) {
		char c = text.ptr[i];

		if (c == '%' && i + 2 < text.len && hex_digit(text.ptr[i + 1]) >= 0 &&
		    hex_digit(text.ptr[i + 2]) >= 0) {
			c = (char)(hex_digit(text.ptr[i + 1]) << 4 | hex_digit(text.ptr[i + 2]));
			i += 2;
		} else if (c == '+' && plus) {
			c = ' ';
		}
		out[n++] = c;
	}
	out[n] = '\0';
	if (memchr(out, '\0', n)) {
		free(out);
		return NULL;
	}
	return out;
}

bool df_url_split(struct df_str url, struct df_url *ret)
{
	size_t scheme = 0, end;

	while (scheme < url.len && (isalnum((unsigned char)url.ptr[scheme]) || strchr("+-.", url.ptr[scheme])))
		scheme++;
	if (scheme == 0 || !df_str_starts(df_str(url.ptr + scheme, url.len - scheme), DF_STR("://")))
		return false;
	ret->scheme = df_str(url.ptr, scheme);
	url.ptr += scheme + 3;
	url.len -= scheme + 3;
	for (end = 0; end < url.len && !strchr("/?#", url.ptr[end]); end++)
		;
	size_t user = 0; /* behind the last @ of the authority */
	for (size_t i = 0; i < end; i++)
		if (url.ptr[i] == '@')
			user = i + 1;
	ret->user = user ? df_str(url.ptr, user - 1) : df_str(NULL, 0);
	ret->authority = df_str(url.ptr + user, end - user);
	ret->rest = df_str(url.ptr + end, url.len - end);
	return ret->authority.len > 0;
}

static bool equal_any_case(struct df_str a, struct df_str b)
{
	return a.len == b.len && (a.len == 0 || strncasecmp(a.ptr, b.ptr, a.len) == 0);
}

/* The authority without the port that its scheme has anyway. */
static struct df_str without_default_port(const struct df_url *url)
{
	struct df_str port = equal_any_case(url->scheme, DF_STR("https")) ? DF_STR(":443") : DF_STR(":80");
	struct df_str host = url->authority;

	if (df_str_ends(host, port))
		host.len -= port.len;
	return host;
}

bool df_url_same_origin(const struct df_url *a, const struct df_url *b)
{
	return equal_any_case(a->scheme, b->scheme) && equal_any_case(without_default_port(a), without_default_port(b));
}

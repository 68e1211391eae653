/* Content negotiation: RFC 9110, sections 12.4.2 and 12.5.1. */
#include <stdlib.h>
#include <strings.h>

#include "net/http_server.h"

/* What stands before the separator, trimmed; *rest becomes what is behind it. */
static struct df_str next_part(struct df_str *rest, char separator)
{
	const char *at = rest->len ? memchr(rest->ptr, separator, rest->len) : NULL;
	size_t len = at ? (size_t)(at - rest->ptr) : rest->len;
	struct df_str part = df_str(rest->ptr, len);

	*rest = at ? df_str(at + 1, rest->len - len - 1) : df_str(NULL, 0);
	return df_str_trim(part);
}

static bool equal_any_case(struct df_str a, const char *b)
{
	return a.len == strlen(b) && strncasecmp(a.ptr, b, a.len) == 0;
}

/* In thousandths; a range without one has 1. */
static int quality_of(struct df_str parameters)
{
	while (parameters.len > 0) {
		struct df_str value = next_part(&parameters, ';'), name = next_part(&value, '=');
		char text[8] = { 0 };

		if (!equal_any_case(name, "q"))
			continue;
		memcpy(text, value.ptr, value.len < sizeof(text) ? value.len : sizeof(text) - 1);
		return (int)(strtod(text, NULL) * 1000 + 0.5);
	}
	return 1000;
}

int df_http_accepts(struct df_str accept, const char *type)
{
	int best = 0;

	while (accept.len > 0) {
		struct df_str range = next_part(&accept, ','), name = next_part(&range, ';');
		int quality = quality_of(range);

		if (equal_any_case(name, type) && quality > best)
			best = quality;
	}
	return best;
}

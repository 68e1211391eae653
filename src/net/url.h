/* URLs, as far as clients need them: what to put into one, and where one leads. RFC 3986. */
#ifndef DF_NET_URL_H
#define DF_NET_URL_H

#include <stdbool.h>

#include "base/str.h"

#pragma GCC visibility push(default) /* an installed header: src/dataflow/meson.build */

/* Appends text with everything percent-encoded but letters, digits and -._~; fit for a path segment, a query, a form.
 */
void df_url_encode(struct df_buf *out, struct df_str text);

/* A heap copy with %XX undone, and a NUL behind it; `plus`: a + is a blank. NULL: out of memory, or a NUL byte. */
char *df_url_decode(struct df_str text, bool plus);

/* The parts of an absolute URL, slices of it. authority is host and port as written, without user information. */
struct df_url {
	struct df_str scheme, authority;
	struct df_str user; /* what stands before the last @: user[:password], encoded; ptr NULL: there is no @ */
	struct df_str rest; /* path, query, fragment; empty or beginning with one of / ? # */
};
/* False: not absolute. */
bool df_url_split(struct df_str url, struct df_url *ret);

/* Do both have one scheme, host and port? The default ports of http and https count as written. */
bool df_url_same_origin(const struct df_url *a, const struct df_url *b);

#pragma GCC visibility pop

#endif

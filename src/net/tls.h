/* TLS settings of a client, as every protocol here takes them. */
#ifndef DF_NET_TLS_H
#define DF_NET_TLS_H

#include <stdbool.h>

#include "base/str.h"

#pragma GCC visibility push(default) /* an installed header: src/dataflow/meson.build */

/* Each text is PEM or the path of a PEM file; NULL: none. Borrowed. */
struct df_tls {
	const char *ca; /* NULL: the system's */
	const char *cert, *key;
	bool insecure_skip_verify; /* without effect beside a ca */
};

/* The rule of the manifest reference: text that begins with -----BEGIN is PEM, else it is the path of a file that
 * exists, else PEM. */
bool df_tls_is_pem(const char *text);

#pragma GCC visibility pop

#endif

/* Certificates of servers: looking at one, and making one together with a CA of its own. A thin layer over GnuTLS,
 * which the HTTP server brings along. */
#ifndef DF_NET_CERTIFICATE_H
#define DF_NET_CERTIFICATE_H

#include "base/error.h"
#include "base/str.h"

struct df_certificate_facts {
	int64_t from, until; /* seconds since 1970: when it is valid */
	bool names;	     /* it is for the host that was asked about */
};

/* Of the first certificate of a chain (PEM) and its private key. DF_ERR_CONFIG: one of them is none, or they do not
 * belong together. host: NULL: any. */
int df_certificate_look(struct df_str chain, struct df_str key, const char *host, struct df_certificate_facts *ret,
			struct df_error *err) df_must_check;

/* PEM, NUL-terminated, on the heap. */
struct df_certificate {
	char *ca;	  /* signs this one certificate: nobody keeps its key */
	char *cert, *key; /* ECDSA on P-256 */
};

/* For a TLS server of these host names and IPv4 addresses, valid for that time. */
int df_certificate_make(const char *const *names, size_t count, int64_t from, int64_t until, struct df_certificate *ret,
			struct df_error *err) df_must_check;
void df_certificate_done(struct df_certificate *c); /* wipes the key; accepts a zeroed one */

#endif

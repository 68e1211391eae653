/* What the HTTP server asks of its TLS part (http_server_tls.c). */
#ifndef DF_NET_HTTP_SERVER_INTERNAL_H
#define DF_NET_HTTP_SERVER_INTERNAL_H

#include "net/http_server.h"

/* TLS 1.2 and 1.3 with their common ciphers; TLS of that age has no compression. */
#define DF_HTTPS_PRIORITIES "SECURE128:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2"

/* Takes the process's one identity. DF_ERR_CONFIG: another server has it, or there is no library. */
int df_https_begin(struct df_error *err) df_must_check;
void df_https_end(void);
/* For handshakes from now on. */
int df_https_identity(struct df_str chain, struct df_str key, struct df_error *err) df_must_check;
/* A gnutls_certificate_retrieve_function3. */
extern void *const df_https_on_handshake;

#endif

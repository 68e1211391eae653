/* What the HTTP client's files share. */
#ifndef DF_NET_HTTP_CLIENT_INTERNAL_H
#define DF_NET_HTTP_CLIENT_INTERNAL_H

#include "base/str.h"
#include "net/curl_internal.h"

/* Which of our codes a result of libcurl is; and with libcurl's text beside it, where the peer's TLS alert stands that
 * no result tells. sent: the request was on its way. */
int df_http_code(CURLcode result);
int df_http_code_of_text(CURLcode result, const char *text, bool sent);

/* Puts "METHOD scheme://host:port/path: " before err's text: the URL without user, password, query. err may be NULL. */
void df_http_error_prefix(const struct df_curl *curl, const char *method, const char *url, struct df_error *err);

/* Retry-After's value as nanoseconds from now; -1 when it is neither seconds nor a date. */
int64_t df_http_retry_after(const struct df_curl *curl, struct df_str value, int64_t now_ns);

#endif

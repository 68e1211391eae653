/* Errors of the HTTP client: which code, which text. */
#include <stdlib.h>

#include "base/cleanup.h"
#include "net/http_client_internal.h"

static const struct {
	CURLcode result;
	int code;
} codes[] = {
	{ CURLE_UNSUPPORTED_PROTOCOL, DF_ERR_CONFIG },
	{ CURLE_URL_MALFORMAT, DF_ERR_CONFIG },
	{ CURLE_OUT_OF_MEMORY, DF_ERR_NO_MEMORY },
	{ CURLE_OPERATION_TIMEDOUT, DF_ERR_TIMEOUT },
	{ CURLE_PEER_FAILED_VERIFICATION, DF_ERR_AUTH },
	{ CURLE_SSL_CACERT_BADFILE, DF_ERR_AUTH },
	{ CURLE_SSL_CERTPROBLEM, DF_ERR_AUTH },
	{ CURLE_SSL_ISSUER_ERROR, DF_ERR_AUTH },
	{ CURLE_SSL_INVALIDCERTSTATUS, DF_ERR_AUTH },
	{ CURLE_LOGIN_DENIED, DF_ERR_AUTH },
	{ CURLE_COULDNT_RESOLVE_PROXY, DF_ERR_CONNECTION },
	{ CURLE_COULDNT_RESOLVE_HOST, DF_ERR_CONNECTION },
	{ CURLE_COULDNT_CONNECT, DF_ERR_CONNECTION },
	{ CURLE_PROXY, DF_ERR_CONNECTION },
	{ CURLE_SSL_CONNECT_ERROR, DF_ERR_CONNECTION },
	{ CURLE_WEIRD_SERVER_REPLY, DF_ERR_CONNECTION },
	{ CURLE_PARTIAL_FILE, DF_ERR_CONNECTION },
	{ CURLE_GOT_NOTHING, DF_ERR_CONNECTION },
	{ CURLE_SEND_ERROR, DF_ERR_CONNECTION },
	{ CURLE_RECV_ERROR, DF_ERR_CONNECTION },
	{ CURLE_SEND_FAIL_REWIND, DF_ERR_CONNECTION },
	{ CURLE_BAD_CONTENT_ENCODING, DF_ERR_CONNECTION },
};

int df_http_code(CURLcode result)
{
	for (size_t i = 0; i < DF_ARRAY_SIZE(codes); i++)
		if (codes[i].result == result)
			return codes[i].code;
	return DF_ERR_UNKNOWN;
}

/* TLS alerts by which a peer says that it does not accept our certificate (RFC 8446, section 6). */
static bool alert_of_identity(long alert)
{
	return (alert >= 41 && alert <= 46) || alert == 48 || alert == 49 || alert == 115 || alert == 116;
}

/*
 * The peer's refusal of our certificate comes as an alert, with TLS 1.3 on the first read, which libcurl reports as one
 * more failed handshake or read. What tells them apart is OpenSSL's error number in the text, "error:0A00045C:SSL ...":
 * library 0A and in the low 23 bits the reason, which is 1000 and the alert.
 */
int df_http_code_of_text(CURLcode result, const char *text, bool sent)
{
	const char *number = strstr(text, "error:0A");
	long reason = number ? strtol(number + strlen("error:0A"), NULL, 16) & 0x7fffff : 0;

	if (sent && result == CURLE_UNSUPPORTED_PROTOCOL) /* what answered does not speak HTTP/1 */
		return DF_ERR_CONNECTION;
	return reason >= 1000 && alert_of_identity(reason - 1000) ? DF_ERR_AUTH : df_http_code(result);
}

void df_http_error_prefix(const struct df_curl *curl, const char *method, const char *url, struct df_error *err)
{
	static const CURLUPart parts[] = { CURLUPART_SCHEME, CURLUPART_HOST, CURLUPART_PORT, CURLUPART_PATH };
	char *text[DF_ARRAY_SIZE(parts)] = { 0 };
	CURLU *parsed = curl->url();

	if (parsed && curl->url_set(parsed, CURLUPART_URL, url, CURLU_NON_SUPPORT_SCHEME) == CURLUE_OK) {
		for (size_t i = 0; i < DF_ARRAY_SIZE(parts); i++)
			(void)curl->url_get(parsed, parts[i], &text[i], 0);
		df_error_prefix(err, "%s %s://%s%s%s%s", method, text[0] ? text[0] : "", text[1] ? text[1] : "",
				text[2] ? ":" : "", text[2] ? text[2] : "", text[3] ? text[3] : "");
	} else {
		df_error_prefix(err, "%s to a URL that is none (http://HOST[:PORT]/...)", method);
	}
	for (size_t i = 0; i < DF_ARRAY_SIZE(parts); i++)
		curl->free(text[i]);
	curl->url_cleanup(parsed);
}

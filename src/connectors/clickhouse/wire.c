#include "connectors/clickhouse/wire.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>

#include "base/clock.h"

#define BUFFER_SIZE ((size_t)256 << 10)

/* ---- waiting --------------------------------------------------------------------------------------------- */

/* What went wrong with a wait, as an error that names the server. */
static int wait_failed(struct df_ch_wire *w, int code, const char *what, struct df_error *err)
{
	if (df_context_canceled(w->ctx))
		return df_context_check(w->ctx, err);
	if (code == DF_ERR_TIMEOUT)
		return df_error_set(err, DF_ERR_TIMEOUT, "%s: no %s within %lld s", w->peer, what,
				    (long long)(w->read_timeout_ns / DF_NS_PER_S));
	return df_error_set(err, DF_ERR_CONNECTION, "%s: waiting for the server failed", w->peer);
}

static int wait_for(struct df_ch_wire *w, short events, struct df_error *err)
{
	int ms = (int)(w->read_timeout_ns / DF_NS_PER_MS < INT32_MAX ? w->read_timeout_ns / DF_NS_PER_MS : INT32_MAX);
	int code = df_context_wait_fd(w->ctx, w->fd, events, ms ? ms : -1);

	return code == 0 ? 0 : wait_failed(w, code, events & POLLOUT ? "progress in sending" : "answer", err);
}

/* ---- TLS ------------------------------------------------------------------------------------------------- */

static int tls_error(struct df_ch_wire *w, int code, struct df_error *err)
{
	char text[200] = "connection closed";
	unsigned long e = ERR_get_error();

	if (w->ssl && SSL_get_verify_result(w->ssl) != X509_V_OK)
		return df_error_set(
			err, DF_ERR_AUTH,
			"%s: the server's certificate was refused: %s; skip_verify=true turns the check off", w->peer,
			X509_verify_cert_error_string(SSL_get_verify_result(w->ssl)));
	if (e)
		ERR_error_string_n(e, text, sizeof(text));
	ERR_clear_error();
	return df_error_set(err, code, "%s: TLS: %s", w->peer, text);
}

/* What SSL_read, SSL_write or SSL_connect wants next: 0 after waiting, or why not. */
static int tls_wait(struct df_ch_wire *w, int result, struct df_error *err)
{
	switch (SSL_get_error(w->ssl, result)) {
	case SSL_ERROR_WANT_READ:
		return wait_for(w, POLLIN, err);
	case SSL_ERROR_WANT_WRITE:
		return wait_for(w, POLLOUT, err);
	default:
		return tls_error(w, DF_ERR_CONNECTION, err);
	}
}

static int tls_open(struct df_ch_wire *w, const struct df_ch_dsn *dsn, const char *host, struct df_error *err)
{
	unsigned char address[16];
	bool is_address = inet_pton(AF_INET, host, address) == 1 || inet_pton(AF_INET6, host, address) == 1;
	int result;

	ERR_clear_error();
	w->tls = SSL_CTX_new(TLS_client_method());
	if (!w->tls)
		return df_error_no_memory(err);
	SSL_CTX_set_min_proto_version(w->tls, TLS1_2_VERSION);
	SSL_CTX_set_mode(w->tls, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	SSL_CTX_set_default_verify_paths(w->tls); /* also SSL_CERT_FILE and SSL_CERT_DIR */
	SSL_CTX_set_verify(w->tls, dsn->skip_verify ? SSL_VERIFY_NONE : SSL_VERIFY_PEER, NULL);
	w->ssl = SSL_new(w->tls);
	if (!w->ssl || SSL_set_fd(w->ssl, w->fd) != 1)
		return df_error_no_memory(err);
	if (is_address)
		X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(w->ssl), host);
	else if (SSL_set_tlsext_host_name(w->ssl, host) != 1 || SSL_set1_host(w->ssl, host) != 1)
		return tls_error(w, DF_ERR_CONFIG, err);
	while ((result = SSL_connect(w->ssl)) != 1) {
		int code = tls_wait(w, result, err);
		if (code != 0)
			return code;
	}
	return 0;
}

/* ---- opening --------------------------------------------------------------------------------------------- */

/* Connects to one address. */
static int connect_address(struct df_ch_wire *w, const struct addrinfo *a, struct df_error *err)
{
	int one = 1;
	int failure = 0;
	socklen_t len = sizeof(failure);

	w->fd = socket(a->ai_family, a->ai_socktype | SOCK_NONBLOCK | SOCK_CLOEXEC, a->ai_protocol);
	if (w->fd < 0)
		return df_error_errno(err, DF_ERR_CONNECTION, errno, "%s", w->peer);
	setsockopt(w->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	setsockopt(w->fd, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof(one));
	if (connect(w->fd, a->ai_addr, a->ai_addrlen) == 0)
		return 0;
	if (errno != EINPROGRESS)
		return df_error_errno(err, DF_ERR_CONNECTION, errno, "%s", w->peer);
	int code = wait_for(w, POLLOUT, err);
	if (code != 0)
		return code;
	getsockopt(w->fd, SOL_SOCKET, SO_ERROR, &failure, &len);
	return failure ? df_error_errno(err, DF_ERR_CONNECTION, failure, "%s", w->peer) : 0;
}

static int connect_host(struct df_ch_wire *w, const struct df_ch_host *host, struct df_error *err)
{
	const struct addrinfo hints = { .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM };
	struct addrinfo *list = NULL;
	char port[8];
	int code = DF_ERR_CONNECTION;

	snprintf(port, sizeof(port), "%u", host->port);
	int failure = getaddrinfo(host->name, port, &hints, &list);
	if (failure != 0)
		return df_error_set(err, DF_ERR_CONNECTION, "%s: the host name does not resolve: %s", w->peer,
				    gai_strerror(failure));
	for (const struct addrinfo *a = list; a && code != 0; a = a->ai_next) {
		if (w->fd >= 0)
			close(DF_TAKE_FD(w->fd));
		code = connect_address(w, a, err);
		if (code == DF_ERR_CANCELED)
			break;
	}
	freeaddrinfo(list);
	return code;
}

static int more(struct df_ch_input *in, struct df_error *err);

int df_ch_wire_open(struct df_ch_wire *w, struct df_context *ctx, const struct df_ch_dsn *dsn,
		    const struct df_ch_host *host, struct df_error *err)
{
	*w = (struct df_ch_wire){ .in = { .more = more }, .fd = -1, .ctx = ctx };
	snprintf(w->peer, sizeof(w->peer), "%s:%u", host->name, host->port);
	w->read_timeout_ns = dsn->dial_timeout_ns;
	w->buffer = malloc(BUFFER_SIZE);
	int code = w->buffer ? connect_host(w, host, err) : df_error_no_memory(err);
	if (code == 0 && dsn->tls)
		code = tls_open(w, dsn, host->name, err);
	if (code != 0)
		df_ch_wire_close(w);
	w->read_timeout_ns = dsn->read_timeout_ns;
	return code;
}

void df_ch_wire_close(struct df_ch_wire *w)
{
	SSL_free(DF_TAKE(w->ssl));
	SSL_CTX_free(DF_TAKE(w->tls));
	if (w->fd >= 0)
		close(DF_TAKE_FD(w->fd));
	free(DF_TAKE(w->buffer));
	w->in.pos = w->in.end = NULL;
}

/* ---- reading --------------------------------------------------------------------------------------------- */

static int lost(struct df_ch_wire *w, int errnum, struct df_error *err)
{
	if (errnum)
		return df_error_errno(err, DF_ERR_CONNECTION, errnum, "%s: the connection broke", w->peer);
	return df_error_set(err, DF_ERR_CONNECTION, "%s: the server closed the connection", w->peer);
}

/* One read into the buffer. *ret_len 0: it would block. */
static int read_once(struct df_ch_wire *w, size_t *ret_len, struct df_error *err)
{
	*ret_len = 0;
	if (w->ssl) {
		size_t n = 0;
		ERR_clear_error();
		int result = SSL_read_ex(w->ssl, w->buffer, BUFFER_SIZE, &n);
		*ret_len = n;
		if (result == 1)
			return 0;
		if (SSL_get_error(w->ssl, result) == SSL_ERROR_ZERO_RETURN)
			return lost(w, 0, err);
		return tls_wait(w, result, err);
	}
	ssize_t n = recv(w->fd, w->buffer, BUFFER_SIZE, 0);
	if (n == 0)
		return lost(w, 0, err);
	if (n < 0 && errno != EAGAIN && errno != EINTR)
		return lost(w, errno, err);
	*ret_len = n > 0 ? (size_t)n : 0;
	return n > 0 ? 0 : wait_for(w, POLLIN, err);
}

static int more(struct df_ch_input *in, struct df_error *err)
{
	struct df_ch_wire *w = DF_CONTAINER_OF(in, struct df_ch_wire, in);
	size_t n = 0;

	if (w->fd < 0)
		return df_error_set(err, DF_ERR_CONNECTION, "%s: not connected", w->peer);
	while (n == 0) {
		int code = df_context_check(w->ctx, err);
		if (code == 0)
			code = read_once(w, &n, err);
		if (code != 0)
			return code;
	}
	in->pos = w->buffer;
	in->end = w->buffer + n;
	return 0;
}

bool df_ch_wire_readable(struct df_ch_wire *w)
{
	struct pollfd fd = { .fd = w->fd, .events = POLLIN };

	return w->in.pos < w->in.end || (w->ssl && SSL_pending(w->ssl) > 0) || poll(&fd, 1, 0) > 0;
}

/* ---- writing --------------------------------------------------------------------------------------------- */

/* The socket is full. If the server is telling why, that is read first. */
static int wait_writable(struct df_ch_wire *w, struct df_error *err)
{
	struct pollfd now = { .fd = w->fd, .events = POLLIN | POLLOUT };

	if (!w->on_readable)
		return wait_for(w, POLLOUT, err);
	int code = wait_for(w, POLLIN | POLLOUT, err);
	if (code == 0 && poll(&now, 1, 0) > 0 && now.revents & POLLIN && !(now.revents & POLLOUT))
		code = w->on_readable(w->arg, err);
	return code;
}

/* The peer is gone; what it said last is the better reason. */
static int write_failed(struct df_ch_wire *w, int errnum, struct df_error *err)
{
	struct df_error last = DF_ERROR_INIT;

	if (w->on_readable && df_ch_wire_readable(w)) {
		int code = w->on_readable(w->arg, &last);
		if (code != 0 && code != DF_ERR_CONNECTION) {
			if (err)
				*err = last;
			return code;
		}
	}
	return lost(w, errnum, err);
}

int df_ch_wire_write(struct df_ch_wire *w, struct df_str bytes, struct df_error *err)
{
	int code = w->fd < 0 ? df_error_set(err, DF_ERR_CONNECTION, "%s: not connected", w->peer) : 0;

	while (code == 0 && bytes.len) {
		size_t n = 0;
		if (w->ssl) {
			ERR_clear_error();
			int result = SSL_write_ex(w->ssl, bytes.ptr, bytes.len, &n);
			if (result != 1) {
				int want = SSL_get_error(w->ssl, result);
				code = want == SSL_ERROR_WANT_WRITE ? wait_writable(w, err) : tls_wait(w, result, err);
			}
		} else {
			ssize_t sent = send(w->fd, bytes.ptr, bytes.len, MSG_NOSIGNAL);
			if (sent >= 0)
				n = (size_t)sent;
			else if (errno == EAGAIN)
				code = wait_writable(w, err);
			else if (errno != EINTR)
				code = write_failed(w, errno, err);
		}
		bytes = df_str(bytes.ptr + n, bytes.len - n);
		if (code == 0)
			code = df_context_check(w->ctx, err);
	}
	return code;
}

#include "net/http_server.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

#include <microhttpd.h>

#include "base/library.h"
#include "net/http_server_internal.h"

/* It brings GnuTLS along, 2.4 MiB that a process without this server does not need. */
#define FUNCTIONS(F)                       \
	F(MHD_add_response_header)         \
	F(MHD_create_response_from_buffer) \
	F(MHD_destroy_response)            \
	F(MHD_is_feature_supported)        \
	F(MHD_lookup_connection_value)     \
	F(MHD_queue_response)              \
	F(MHD_start_daemon)                \
	F(MHD_stop_daemon)
static struct {
	FUNCTIONS(DF_LIBRARY_MEMBER)
} df_microhttpd;
int df_microhttpd_load(struct df_error *err) df_must_check;
DF_LIBRARY_DEFINE(microhttpd, "libmicrohttpd.so.12", "the HTTP server needs it; Debian: package libmicrohttpd12",
		  FUNCTIONS)
#define MHD_add_response_header df_microhttpd.MHD_add_response_header
#define MHD_create_response_from_buffer df_microhttpd.MHD_create_response_from_buffer
#define MHD_destroy_response df_microhttpd.MHD_destroy_response
#define MHD_is_feature_supported df_microhttpd.MHD_is_feature_supported
#define MHD_lookup_connection_value df_microhttpd.MHD_lookup_connection_value
#define MHD_queue_response df_microhttpd.MHD_queue_response
#define MHD_start_daemon df_microhttpd.MHD_start_daemon
#define MHD_stop_daemon df_microhttpd.MHD_stop_daemon

#define CONNECTIONS_MAX 32U
#define UPLOADS_MAX 128U		   /* likewise, of a server that takes bodies: who asks is not only a scraper */
#define CONNECTION_SECONDS 10U		   /* without a byte */
#define CONNECTION_BYTES ((size_t)8 << 10) /* request line, headers, and what is being sent */
#define UPLOAD_BYTES ((size_t)32 << 10)	   /* likewise, and pieces of bodies */
#define BODIES_MAX 8			   /* of the largest size at once, beyond: 503 */
#define BACKLOG 64
#define CONTENT_TOO_LARGE 413U /* libmicrohttpd changed its name for it */

struct df_http_server {
	struct MHD_Daemon *daemon;
	void (*handle)(void *arg, const struct df_http_incoming *request, struct df_http_answer *answer);
	void *arg;
	size_t max_body;
	_Atomic size_t held; /* bytes of all bodies */
	bool tls;
	char address[NI_MAXHOST + 16];
};

/* ---- answering ------------------------------------------------------------------------------------------- */

static enum MHD_Result send_answer(const struct df_http_server *server, struct MHD_Connection *connection,
				   struct df_http_answer *answer)
{
	struct MHD_Response *response;
	enum MHD_Result queued;
	size_t len;
	char *text;

	if (answer->body.failed) {
		df_buf_done(&answer->body);
		answer->status = MHD_HTTP_INTERNAL_SERVER_ERROR;
	}
	len = answer->body.len;
	text = df_buf_take(&answer->body);
	if (!text)
		return MHD_NO;
	response = MHD_create_response_from_buffer(len, text, MHD_RESPMEM_MUST_FREE);
	if (!response) {
		free(text);
		return MHD_NO;
	}
	MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE,
				answer->content_type ? answer->content_type : "text/plain; charset=utf-8");
	/* Who sends bodies does not send them again when an idle connection ends under them: there is none. */
	if (server->max_body)
		MHD_add_response_header(response, MHD_HTTP_HEADER_CONNECTION, "close");
	if (answer->status == MHD_HTTP_METHOD_NOT_ALLOWED)
		MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW,
					server->max_body ? "GET, HEAD, POST" : "GET, HEAD");
	queued = MHD_queue_response(connection, answer->status, response);
	MHD_destroy_response(response);
	return queued;
}

static enum MHD_Result refuse(const struct df_http_server *server, struct MHD_Connection *connection, unsigned status,
			      const char *text)
{
	struct df_http_answer answer = { .status = status };

	df_buf_add_c(&answer.body, text);
	return send_answer(server, connection, &answer);
}

struct df_str df_http_incoming_header(const struct df_http_incoming *request, const char *name)
{
	return request->connection ? df_str_c(MHD_lookup_connection_value(request->connection, MHD_HEADER_KIND, name))
				   : df_str(NULL, 0);
}

/* ---- one request ----------------------------------------------------------------------------------------- */

/* Lives from its first line until its answer is sent. */
struct request {
	char *query; /* NULL: none */
	struct df_buf body;
	size_t received; /* of the body, what was dropped too */
	bool begun, busy;
};

/* libmicrohttpd hands out the query only here, with the line of the request. */
static void *on_line(void *arg, const char *uri, struct MHD_Connection *connection)
{
	struct request *request = calloc(1, sizeof(*request));
	const char *mark = strchr(uri, '?');

	(void)arg;
	(void)connection;
	if (request && mark)
		request->query = strdup(mark + 1);
	if (request && mark && !request->query) {
		free(request);
		request = NULL;
	}
	return request;
}

static void on_completed(void *arg, struct MHD_Connection *connection, void **state,
			 enum MHD_RequestTerminationCode how)
{
	struct df_http_server *server = arg;
	struct request *request = *state;

	(void)connection;
	(void)how;
	if (!request)
		return;
	atomic_fetch_sub(&server->held, request->body.len);
	df_buf_done(&request->body);
	free(request->query);
	free(request);
	*state = NULL;
}

/* A piece of the body. What cannot be kept is dropped, to be answered when all is read; but not without end. */
static enum MHD_Result on_piece(struct df_http_server *server, struct request *request, const char *piece, size_t len)
{
	request->received += len;
	if (request->received > BODIES_MAX * server->max_body)
		return MHD_NO;
	if (request->received > server->max_body || request->busy)
		return MHD_YES;
	if (atomic_fetch_add(&server->held, len) + len > BODIES_MAX * server->max_body) {
		atomic_fetch_sub(&server->held, len);
		request->busy = true;
		return MHD_YES;
	}
	df_buf_add(&request->body, piece, len);
	if (request->body.failed) {
		atomic_fetch_sub(&server->held, len);
		return MHD_NO;
	}
	return MHD_YES;
}

static enum MHD_Result on_end(struct df_http_server *server, struct MHD_Connection *connection, const char *url,
			      const char *method, struct request *request)
{
	struct df_http_answer answer = { 0 };
	struct df_http_incoming incoming = { .path = df_str_c(url),
					     .query = df_str_c(request->query ? request->query : ""),
					     .method = df_str_c(method),
					     .body = df_buf_str(&request->body),
					     .connection = connection };

	if (request->busy)
		return refuse(server, connection, MHD_HTTP_SERVICE_UNAVAILABLE, "too many requests at once\n");
	if (request->received > server->max_body)
		return refuse(server, connection, CONTENT_TOO_LARGE, "the body is too large\n");
	incoming.accept = df_http_incoming_header(&incoming, MHD_HTTP_HEADER_ACCEPT);
	server->handle(server->arg, &incoming, &answer);
	if (answer.status == 0) {
		answer.status = MHD_HTTP_NOT_FOUND;
		df_buf_add_c(&answer.body, "not found\n");
	}
	return send_answer(server, connection, &answer);
}

/* Called at the headers, then for each piece of a body, then at its end: that is when to answer. */
static enum MHD_Result on_request(void *arg, struct MHD_Connection *connection, const char *url, const char *method,
				  const char *version, const char *upload, size_t *upload_size, void **state)
{
	struct df_http_server *server = arg;
	struct request *request = *state;
	bool post = strcmp(method, "POST") == 0 && server->max_body;
	enum MHD_Result kept;

	(void)version;
	if (!request)
		return MHD_NO; /* out of memory */
	if (!request->begun) {
		request->begun = true;
		return MHD_YES;
	}
	if (*upload_size > 0) {
		kept = post ? on_piece(server, request, upload, *upload_size) : MHD_YES;
		*upload_size = 0;
		return kept;
	}
	if (!post && strcmp(method, "GET") != 0 && strcmp(method, "HEAD") != 0)
		return refuse(server, connection, MHD_HTTP_METHOD_NOT_ALLOWED,
			      server->max_body ? "only GET, HEAD and POST\n" : "only GET and HEAD\n");
	return on_end(server, connection, url, method, request);
}

/* ---- listening ------------------------------------------------------------------------------------------- */

struct address {
	char host[NI_MAXHOST]; /* "": all addresses */
	char port[8];
};

/* "PORT", ":PORT", "HOST:PORT", "[IPv6]:PORT". */
static int parse_address(const struct df_http_options *o, struct address *ret, struct df_error *err)
{
	const char *colon = strrchr(o->address, ':');
	struct df_str host = df_str(o->address, colon ? (size_t)(colon - o->address) : 0);
	struct df_str port = df_str_c(colon ? colon + 1 : o->address);
	bool brackets = host.len > 2 && host.ptr[0] == '[' && host.ptr[host.len - 1] == ']';
	int64_t number;

	if (brackets)
		host = df_str(host.ptr + 1, host.len - 2);
	else if (host.len == 0)
		host = df_str_c(o->host);
	if (!df_str_to_int64(port, &number) || number < 0 || number > 65535 || host.len >= sizeof(ret->host) ||
	    (!brackets && host.len && (memchr(host.ptr, ':', host.len) || host.ptr[0] == '[')))
		return df_error_set(err, DF_ERR_CONFIG,
				    "`%s` is not an address to listen on: PORT, HOST:PORT or [IPV6]:PORT, with a port "
				    "from 0 (any free one) to 65535",
				    o->address);
	snprintf(ret->host, sizeof(ret->host), DF_STR_FMT, DF_STR_ARG(host));
	snprintf(ret->port, sizeof(ret->port), "%d", (int)number);
	return 0;
}

/* The listening socket, or -1 with errno. */
static int listen_on(const struct addrinfo *a)
{
	df_cleanup(df_closep) int fd = socket(a->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	const int on = 1, off = 0;

	if (fd < 0)
		return -1;
	/* A restart must not wait for the connections of the last run; two that listen still exclude each other. */
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (a->ai_family == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off));
	if (bind(fd, a->ai_addr, a->ai_addrlen) < 0 || listen(fd, BACKLOG) < 0)
		return -1;
	return DF_TAKE_FD(fd);
}

static int open_socket(const struct df_http_options *o, int *ret, struct df_error *err)
{
	struct addrinfo hints = { .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE };
	struct addrinfo *found = NULL;
	struct address address;
	int fd = -1, why = 0;
	int r = parse_address(o, &address, err);

	if (r < 0)
		return r;
	r = getaddrinfo(address.host[0] ? address.host : NULL, address.port, &hints, &found);
	if (r)
		return df_error_set(err, DF_ERR_CONFIG, "cannot listen on %s: %s", o->address, gai_strerror(r));
	/* All addresses: an IPv6 socket takes IPv4 too; where there is no IPv6, the IPv4 entry is what is left. */
	for (int family = AF_INET6; fd < 0 && family; family = family == AF_INET6 ? AF_INET : 0)
		for (const struct addrinfo *a = found; a && fd < 0; a = a->ai_next) {
			if (a->ai_family != family)
				continue;
			fd = listen_on(a);
			if (fd < 0 && why != EADDRINUSE)
				why = errno;
		}
	freeaddrinfo(found);
	if (fd < 0)
		return df_error_errno(err, DF_ERR_CONFIG, why, "cannot listen on %s%s", o->address,
				      why == EADDRINUSE ? " (another process does; choose another port, 0 is any)"
							: "");
	*ret = fd;
	return 0;
}

/* The address that the system made of ours. */
static void remember_address(struct df_http_server *server, int fd)
{
	struct sockaddr_storage bound = { 0 };
	socklen_t len = sizeof(bound);
	char host[NI_MAXHOST] = "?", port[NI_MAXSERV] = "?";

	if (getsockname(fd, (struct sockaddr *)&bound, &len) == 0)
		getnameinfo((struct sockaddr *)&bound, len, host, sizeof(host), port, sizeof(port),
			    NI_NUMERICHOST | NI_NUMERICSERV);
	snprintf(server->address, sizeof(server->address), bound.ss_family == AF_INET6 ? "[%s]:%.6s" : "%s:%.6s", host,
		 port);
}

/* The options that not every server has. */
static void add_options(const struct df_http_options *options, struct MHD_OptionItem *items)
{
	if (options->threads > 1) /* a pool of one is none */
		*items++ = (struct MHD_OptionItem){ MHD_OPTION_THREAD_POOL_SIZE, (intptr_t)options->threads, NULL };
	if (options->tls) {
		*items++ = (struct MHD_OptionItem){ MHD_OPTION_HTTPS_PRIORITIES, 0, (void *)DF_HTTPS_PRIORITIES };
		*items++ = (struct MHD_OptionItem){ MHD_OPTION_HTTPS_CERT_CALLBACK2, 0, df_https_on_handshake };
	}
	*items = (struct MHD_OptionItem){ MHD_OPTION_END, 0, NULL };
}

static struct MHD_Daemon *start_daemon(struct df_http_server *server, const struct df_http_options *options, int fd)
{
	unsigned flags = MHD_USE_EPOLL_INTERNAL_THREAD | MHD_USE_ITC | (options->tls ? MHD_USE_TLS : 0U);
	struct MHD_OptionItem more[4];

	add_options(options, more);
	return MHD_start_daemon(flags, 0, NULL, NULL, on_request, server, MHD_OPTION_LISTEN_SOCKET, fd,
				MHD_OPTION_CONNECTION_LIMIT, options->max_body ? UPLOADS_MAX : CONNECTIONS_MAX,
				MHD_OPTION_CONNECTION_TIMEOUT, CONNECTION_SECONDS, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
				options->max_body ? UPLOAD_BYTES : CONNECTION_BYTES, MHD_OPTION_URI_LOG_CALLBACK,
				on_line, server, MHD_OPTION_NOTIFY_COMPLETED, on_completed, server, MHD_OPTION_ARRAY,
				more, MHD_OPTION_END);
}

static int begin_tls(struct df_http_server *server, struct df_error *err)
{
	int code;

	if (MHD_is_feature_supported(MHD_FEATURE_HTTPS_CERT_CALLBACK2) != MHD_YES)
		return df_error_set(err, DF_ERR_CONFIG, "this system's libmicrohttpd was built without TLS");
	code = df_https_begin(err);
	server->tls = code == 0;
	return code;
}

int df_http_server_start(const struct df_http_options *options, struct df_http_server **ret, struct df_error *err)
{
	df_cleanup(df_http_server_stopp) struct df_http_server *server = calloc(1, sizeof(*server));
	df_cleanup(df_closep) int fd = -1;
	int r;

	*ret = NULL;
	if (!server)
		return df_error_no_memory(err);
	r = df_microhttpd_load(err);
	if (r == 0)
		r = open_socket(options, &fd, err);
	if (r == 0 && options->tls)
		r = begin_tls(server, err);
	if (r < 0)
		return r;
	server->handle = options->handle;
	server->arg = options->arg;
	server->max_body = options->max_body;
	remember_address(server, fd);
	server->daemon = start_daemon(server, options, fd);
	if (!server->daemon)
		return df_error_set(err, DF_ERR_NO_MEMORY, "cannot start the HTTP server's thread");
	DF_TAKE_FD(fd); /* the daemon closes it */
	*ret = DF_TAKE(server);
	return 0;
}

void df_http_server_stop(struct df_http_server *server)
{
	if (!server)
		return;
	if (server->daemon)
		MHD_stop_daemon(server->daemon);
	if (server->tls)
		df_https_end();
	free(server);
}

int df_http_server_identity(struct df_http_server *server, struct df_str chain, struct df_str key, struct df_error *err)
{
	if (!server->tls)
		return df_error_set(err, DF_ERR_CONFIG, "this server has no TLS");
	return df_https_identity(chain, key, err);
}

const char *df_http_server_address(const struct df_http_server *server)
{
	return server->address;
}

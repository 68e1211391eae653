/*
 * The rule's side of the proxy. It talks to the process over a socket pair, a command and its answer at a time: when a
 * function returns, what it says has happened.
 */
#include "conformance/proxy.h"

#include <errno.h>
#include <netdb.h>
#include <unistd.h>

#include <netinet/in.h>

#include "conformance/proxy_internal.h"

struct df_proxy {
	struct df_stage *st;
	int control;
};

static void resolve(struct df_stage *st, const char *server, struct df_proxy_ends *ends)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM }, *found = NULL;
	const char *colon = server ? strrchr(server, ':') : NULL;
	bool brackets = colon && server[0] == '[' && colon[-1] == ']';
	char host[256];

	df_rule_check(st, colon, "the option server must be HOST:PORT");
	(void)snprintf(host, sizeof(host), "%.*s", (int)(colon - server) - (brackets ? 2 : 0), server + brackets);
	int code = getaddrinfo(host, colon + 1, &hints, &found);
	df_rule_check(st, code == 0 && found, "the server %s is not found: %s", server, gai_strerror(code));
	memcpy(&ends->upstream, found->ai_addr, found->ai_addrlen);
	ends->upstream_len = found->ai_addrlen;
	freeaddrinfo(found);
}

static int open_listener(struct df_stage *st, char address[32])
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(at);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	df_rule_check(st, fd >= 0, "no socket for the proxy: %s", strerror(errno));
	df_proxy_prepare_socket(fd); /* before accept: accepted ones inherit it */
	df_rule_check(st,
		      bind(fd, (struct sockaddr *)&at, len) == 0 && listen(fd, 64) == 0 &&
			      getsockname(fd, (struct sockaddr *)&at, &len) == 0,
		      "the proxy cannot listen: %s", strerror(errno));
	(void)snprintf(address, 32, "127.0.0.1:%u", ntohs(at.sin_port));
	return fd;
}

struct df_proxy *df_proxy_start(struct df_stage *st)
{
	struct df_proxy *p = df_arena_zalloc(st->arena, sizeof(*p));
	struct df_proxy_ends ends = { 0 };
	pid_t parent = getpid();
	int sockets[2];
	char address[32];

	df_rule_check(st, p, "out of memory");
	resolve(st, st->options->server, &ends);
	ends.listener = open_listener(st, address);
	df_rule_check(st, socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets) == 0,
		      "no socket pair for the proxy: %s", strerror(errno));
	ends.control = sockets[1];
	pid_t child = fork();
	df_rule_check(st, child >= 0, "the proxy cannot be started: %s", strerror(errno));
	if (child == 0)
		df_proxy_process(&ends, parent);
	close(ends.listener);
	close(sockets[1]);
	*p = (struct df_proxy){ .st = st, .control = sockets[0] };
	df_stage_address(st, address);
	return p;
}

static uint64_t tell(struct df_proxy *p, struct df_proxy_command command)
{
	uint64_t answer = 0;

	df_rule_check(p->st,
		      send(p->control, &command, sizeof(command), MSG_NOSIGNAL) == (ssize_t)sizeof(command) &&
			      recv(p->control, &answer, sizeof(answer), 0) == (ssize_t)sizeof(answer),
		      "the suite's proxy has ended");
	return answer;
}

void df_proxy_delay(struct df_proxy *p, int64_t ns)
{
	tell(p, (struct df_proxy_command){ .op = DF_PROXY_DELAY, .number = (uint64_t)ns });
}

void df_proxy_stall(struct df_proxy *p, bool stalled)
{
	tell(p, (struct df_proxy_command){ .op = DF_PROXY_STALL, .flag = stalled });
}

void df_proxy_refuse(struct df_proxy *p, bool refuse)
{
	tell(p, (struct df_proxy_command){ .op = DF_PROXY_REFUSE, .flag = refuse });
}

void df_proxy_cut(struct df_proxy *p, bool reset)
{
	tell(p, (struct df_proxy_command){ .op = DF_PROXY_CUT, .flag = reset });
}

void df_proxy_cut_after(struct df_proxy *p, bool to_server, uint64_t bytes, bool reset)
{
	tell(p, (struct df_proxy_command){
			.op = DF_PROXY_CUT_AFTER, .to_server = to_server, .number = bytes, .flag = reset });
}

void df_proxy_corrupt_after(struct df_proxy *p, bool to_server, uint64_t bytes)
{
	tell(p, (struct df_proxy_command){ .op = DF_PROXY_CORRUPT_AFTER, .to_server = to_server, .number = bytes });
}

void df_proxy_rate(struct df_proxy *p, uint64_t bytes_per_second)
{
	tell(p, (struct df_proxy_command){ .op = DF_PROXY_RATE, .number = bytes_per_second });
}

uint64_t df_proxy_connections(struct df_proxy *p)
{
	return tell(p, (struct df_proxy_command){ .op = DF_PROXY_CONNECTIONS });
}

uint64_t df_proxy_bytes(struct df_proxy *p, bool to_server)
{
	return tell(p, (struct df_proxy_command){ .op = DF_PROXY_BYTES, .to_server = to_server });
}

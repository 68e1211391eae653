/* What the rule's side of the proxy and its process share. Private to src/conformance/proxy*.c. */
#ifndef DF_CONFORMANCE_PROXY_INTERNAL_H
#define DF_CONFORMANCE_PROXY_INTERNAL_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>

enum df_proxy_op {
	DF_PROXY_DELAY,
	DF_PROXY_STALL,
	DF_PROXY_REFUSE,
	DF_PROXY_CUT,
	DF_PROXY_CUT_AFTER,
	DF_PROXY_CORRUPT_AFTER,
	DF_PROXY_RATE,
	DF_PROXY_CONNECTIONS,
	DF_PROXY_BYTES,
};

struct df_proxy_command {
	enum df_proxy_op op;
	bool to_server;
	bool flag; /* stalled, refuse, reset */
	uint64_t number;
};

/* What the process needs: where it listens, its end of the socket pair, where it forwards to. */
struct df_proxy_ends {
	int listener, control;
	struct sockaddr_storage upstream;
	socklen_t upstream_len;
};

/* In the child of a fork; parent is the rule. Allocates nothing, because the rule may have threads by then. */
_Noreturn void df_proxy_process(const struct df_proxy_ends *ends, pid_t parent);

/* Small, because the system would hide megabytes of back-pressure. */
void df_proxy_prepare_socket(int fd);

#endif

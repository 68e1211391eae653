/*
 * systemd's notification protocol (sd_notify(3)): datagrams to $NOTIFY_SOCKET, without libsystemd. Does nothing where
 * no service manager listens.
 */
#ifndef DF_CMD_NOTIFY_H
#define DF_CMD_NOTIFY_H

#include <stdint.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/error.h"

struct df_notify {
	int fd; /* -1: nobody listens */
	struct sockaddr_un address;
	socklen_t address_len;
	int64_t watchdog_ns; /* how often the service manager wants to hear WATCHDOG=1; 0: never */
};

/* Reads and removes $NOTIFY_SOCKET, $WATCHDOG_USEC and $WATCHDOG_PID, so that children do not speak for this process.
 */
void df_notify_open(struct df_notify *n);
void df_notify_close(struct df_notify *n);

/* Assignments, one a line: "READY=1\nSTATUS=...". Never blocks; what cannot be sent is lost. */
void df_notify_send(const struct df_notify *n, const char *fmt, ...) df_printf(2, 3);

#endif

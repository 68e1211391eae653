/*
 * One TCP connection, with TLS or without: buffered reading, writing, and an end to every wait by the context of the
 * call, the connector's own context (close), or a timeout.
 */
#ifndef DF_CONNECTORS_CLICKHOUSE_WIRE_H
#define DF_CONNECTORS_CLICKHOUSE_WIRE_H

#include <openssl/ssl.h>

#include "base/context.h"
#include "connectors/clickhouse/dsn.h"
#include "connectors/clickhouse/input.h"

struct df_ch_wire {
	struct df_ch_input in; /* first: `more` finds the wire around it */
	int fd;		       /* -1: closed */
	SSL_CTX *tls;
	SSL *ssl;
	struct df_context *ctx; /* of the call that is running; set by the caller */
	int64_t read_timeout_ns;
	char peer[80]; /* host:port, for errors */
	uint8_t *buffer;
	/* While a write waits and the server has something to say: reads it, so that neither waits for the other. */
	int (*on_readable)(void *arg, struct df_error *err);
	void *arg;
};

/* Zero-initialised but for fd = -1 is closed. Connects to one host within the dial timeout. DF_ERR_CONNECTION, TIMEOUT,
 * AUTH (certificates), CANCELED, NO_MEMORY. */
int df_ch_wire_open(struct df_ch_wire *wire, struct df_context *ctx, const struct df_ch_dsn *dsn,
		    const struct df_ch_host *host, struct df_error *err) df_must_check;
void df_ch_wire_close(struct df_ch_wire *wire);

/* Sends everything. */
int df_ch_wire_write(struct df_ch_wire *wire, struct df_str bytes, struct df_error *err) df_must_check;

/* Is there something to read, without waiting? */
bool df_ch_wire_readable(struct df_ch_wire *wire);

#endif

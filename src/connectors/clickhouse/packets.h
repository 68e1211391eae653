/*
 * Packets of the native protocol (ClickHouse's Protocol.h, ProtocolDefines.h, TCPHandler.cpp): what each holds at which
 * revision. Written into a buffer and read from an input, so that they need no server.
 */
#ifndef DF_CONNECTORS_CLICKHOUSE_PACKETS_H
#define DF_CONNECTORS_CLICKHOUSE_PACKETS_H

#include "connectors/clickhouse/block.h"
#include "connectors/clickhouse/client.h"

/*
 * The newest revision whose packets are known here. A server talks the older of its own and this one: 54412 with a
 * server of 2018. Later ones add sparse columns (54465), chunked packets (54470) and more that this client has no use
 * for.
 */
#define DF_CH_REVISION 54464

enum df_ch_client_packet { DF_CH_CLIENT_HELLO, DF_CH_CLIENT_QUERY, DF_CH_CLIENT_DATA, DF_CH_CLIENT_CANCEL };

enum df_ch_server_packet {
	DF_CH_SERVER_HELLO,
	DF_CH_SERVER_DATA,
	DF_CH_SERVER_EXCEPTION,
	DF_CH_SERVER_PROGRESS,
	DF_CH_SERVER_PONG,
	DF_CH_SERVER_END_OF_STREAM,
	DF_CH_SERVER_PROFILE_INFO,
	DF_CH_SERVER_TOTALS,
	DF_CH_SERVER_EXTREMES,
	DF_CH_SERVER_TABLES_STATUS,
	DF_CH_SERVER_LOG,
	DF_CH_SERVER_TABLE_COLUMNS,
	DF_CH_SERVER_PART_UUIDS,
	DF_CH_SERVER_READ_TASK,
	DF_CH_SERVER_PROFILE_EVENTS,
	DF_CH_SERVER_TIMEZONE_UPDATE = 17,
};

struct df_ch_server_hello {
	uint64_t revision; /* agreed */
	unsigned version;  /* major * 1000 + minor */
};

void df_ch_add_hello(struct df_buf *to, const struct df_ch_dsn *dsn, const char *product);
/* What follows the server's hello. */
void df_ch_add_addendum(struct df_buf *to, uint64_t revision);

/* Reads the answer to a hello; an exception becomes err (peer names the server in it). */
int df_ch_read_hello(struct df_ch_input *in, const char *peer, struct df_ch_server_hello *ret,
		     struct df_error *err) df_must_check;

struct df_ch_query_packet {
	const char *id, *product;
	struct df_str sql;
	uint64_t revision;
	bool compressed;
	const struct df_ch_setting *settings[2]; /* of the connection, of the statement; not sent before 54429 */
	size_t setting_count[2];
};
void df_ch_add_query(struct df_buf *to, const struct df_ch_query_packet *q);
/* The head of a Data packet; a block follows, compressed or not. */
void df_ch_add_data(struct df_buf *to);
void df_ch_add_cancel(struct df_buf *to);

/* The bodies of packets. An exception becomes err; the others are passed over. */
int df_ch_read_exception(struct df_ch_input *in, const char *peer, struct df_error *err);
int df_ch_read_progress(struct df_ch_input *in, uint64_t revision, struct df_error *err) df_must_check;
int df_ch_read_profile(struct df_ch_input *in, struct df_error *err) df_must_check;

#endif

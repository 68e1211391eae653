/*
 * The connection string (connectors reference, section 7): scheme://[user[:password]@]host[:port][,host...][/database]
 * [?name=value&...]. The names are those of the Go client; what it does not know is a setting of the server.
 */
#ifndef DF_CONNECTORS_CLICKHOUSE_DSN_H
#define DF_CONNECTORS_CLICKHOUSE_DSN_H

#include "base/cleanup.h"
#include "base/error.h"
#include "base/str.h"

enum df_ch_codec {
	DF_CH_CODEC_NONE,
	DF_CH_CODEC_LZ4,
	DF_CH_CODEC_ZSTD,
	DF_CH_CODEC_CONTENT, /* HTTP: Content-Encoding of the answer (gzip, deflate, br) */
};

enum df_ch_open_strategy { DF_CH_IN_ORDER, DF_CH_ROUND_ROBIN, DF_CH_RANDOM };

struct df_ch_host {
	char *name; /* without the brackets of an IPv6 address */
	uint16_t port;
};

struct df_ch_pair {
	char *name, *value;
};

/* Heap texts. Zero-initialised is valid and empty. */
struct df_ch_dsn {
	bool http; /* else the native protocol */
	bool tls, skip_verify;
	struct df_ch_host *hosts; /* at least one */
	size_t host_count;
	char *user, *password, *database;
	char *http_path;      /* begins with / */
	char *client_product; /* client_info_product, or NULL */
	int64_t dial_timeout_ns, read_timeout_ns, max_lifetime_ns;
	enum df_ch_codec codec;
	int codec_level; /* of zstd; 0: its default */
	enum df_ch_open_strategy strategy;
	struct df_ch_pair *settings; /* of the server, as written */
	size_t setting_count;
};

/* DF_ERR_CONFIG names the part that is wrong, never its value; DF_ERR_NO_MEMORY. */
int df_ch_dsn_parse(struct df_str text, struct df_ch_dsn *ret, struct df_error *err) df_must_check;
void df_ch_dsn_done(struct df_ch_dsn *dsn);

/* A field's check: whatever the string says is understood. */
int df_ch_dsn_check(struct df_str text, struct df_error *err);

#endif

/*
 * A ClickHouse server, over either transport: queries that give blocks, and inserts that take them. Both transports
 * carry the same Native blocks; packets.c (native protocol) and http.c are the two.
 *
 * One operation at a time. A client that lost its connection, or gave up a query, opens another at the next operation;
 * so every operation can give DF_ERR_CONNECTION. Errors of the server: errors.h.
 */
#ifndef DF_CONNECTORS_CLICKHOUSE_CLIENT_H
#define DF_CONNECTORS_CLICKHOUSE_CLIENT_H

#include "base/context.h"
#include "base/log.h"
#include "connectors/clickhouse/block.h"
#include "connectors/clickhouse/dsn.h"
#include "connectors/clickhouse/encode.h"

struct df_ch_client;

/* From this revision on a query carries settings as texts. */
#define DF_CH_REVISION_SETTINGS 54429

/* A setting sent with one statement. */
struct df_ch_setting {
	const char *name, *value;
};

struct df_ch_statement {
	struct df_str sql; /* an INSERT with FORMAT Native, a query without a format */
	const struct df_ch_setting *settings;
	size_t setting_count;
};

/* What the server counted. */
struct df_ch_stats {
	uint64_t parts; /* of an INSERT: parts that were made; only newer servers tell */
	bool parts_known;
};

/* What a transport does. `host` is the one to talk to. */
struct df_ch_transport {
	int (*open)(struct df_ch_client *c, const struct df_ch_host *host, struct df_error *err);
	void (*close)(struct df_ch_client *c);
	int (*query)(struct df_ch_client *c, const struct df_ch_statement *s, struct df_error *err);
	/* Into c->block. *ret_more false: the result has ended well. */
	int (*next)(struct df_ch_client *c, bool *ret_more, struct df_error *err);
	/* Gives up the query under way. */
	void (*cancel)(struct df_ch_client *c);
	int (*insert)(struct df_ch_client *c, const struct df_ch_statement *s, struct df_error *err);
	int (*send)(struct df_ch_client *c, struct df_ch_encoder *rows, struct df_error *err);
	int (*finish)(struct df_ch_client *c, struct df_error *err);
};
extern const struct df_ch_transport df_ch_native_transport;
extern const struct df_ch_transport df_ch_http_transport;

struct df_ch_client {
	const struct df_ch_transport *transport;
	const struct df_ch_dsn *dsn;
	const struct df_logger *logger;
	struct df_context *ctx; /* of the operation that is running */
	const char *product;	/* what the server's logs call us */
	bool open;
	size_t host; /* the one that was opened last */
	int64_t opened_ns;
	uint64_t random;
	struct df_ch_block block; /* what `next` read */
	struct df_ch_stats stats; /* of the last statement */
	/* Found after opening: */
	uint64_t revision;		/* of the native protocol, agreed; 0: HTTP */
	unsigned version;		/* of the server: 18 * 1000 + 16 */
	bool read_only;			/* the user may change no settings */
	bool use_token;			/* the server knows insert_deduplication_token, and we may set it */
	bool plain_answers;		/* HTTP: do not ask for compression */
	struct df_ch_setting *settings; /* of the connection string, that the server knows; borrowed texts */
	size_t setting_count;
	void *state; /* the transport's */
};

/* Everything is borrowed. */
void df_ch_client_init(struct df_ch_client *c, const struct df_ch_dsn *dsn, const struct df_logger *logger);
void df_ch_client_done(struct df_ch_client *c);

/* Opens a connection to one of the hosts when there is none (or it is too old), and looks at what the server can. */
int df_ch_ensure(struct df_ch_client *c, struct df_context *ctx, struct df_error *err) df_must_check;

/* Starts a query; its blocks are then asked for. ctx is used until it has ended. */
int df_ch_query(struct df_ch_client *c, struct df_context *ctx, const struct df_ch_statement *s,
		struct df_error *err) df_must_check;
/* The next block with rows (or, first, one that only names the columns), in c->block until the next call. */
int df_ch_next(struct df_ch_client *c, bool *ret_more, struct df_error *err) df_must_check;
void df_ch_cancel(struct df_ch_client *c);

/* Runs a statement and drops what it gives. */
int df_ch_exec(struct df_ch_client *c, struct df_context *ctx, struct df_str sql, struct df_error *err) df_must_check;

/* INSERT INTO ... (columns): begin, any number of blocks, finish. After an error the insert is over. */
int df_ch_insert(struct df_ch_client *c, struct df_context *ctx, const struct df_ch_statement *s,
		 struct df_error *err) df_must_check;
int df_ch_send(struct df_ch_client *c, struct df_ch_encoder *rows, struct df_error *err) df_must_check;
int df_ch_finish(struct df_ch_client *c, struct df_error *err) df_must_check;

/* A text as a literal in SQL. */
void df_ch_quote(struct df_buf *sql, struct df_str text);

/* A random query_id. */
#define DF_CH_QUERY_ID 33
void df_ch_query_id(struct df_ch_client *c, char out[DF_CH_QUERY_ID]);

#endif

/* The native protocol as a transport. */
#include <poll.h>

#include "base/clock.h"
#include "connectors/clickhouse/compress.h"
#include "connectors/clickhouse/errors.h"
#include "connectors/clickhouse/packets.h"
#include "connectors/clickhouse/wire.h"

#define OUT_FLUSH ((size_t)64 << 10)
#define CANCEL_NS (3 * DF_NS_PER_S) /* how long a cancelled query may take to say so */

enum phase {
	IDLE,
	READING,   /* blocks of a query come until EndOfStream */
	INSERTING, /* blocks of ours go until the empty one */
};

struct native {
	struct df_ch_client *client;
	struct df_ch_wire wire;
	struct df_ch_frames frames; /* compressed blocks that come */
	struct df_ch_packer packer; /* and go */
	struct df_buf out;
	enum phase phase;
	bool ended;		  /* EndOfStream was read while something was sent */
	struct df_ch_block aside; /* logs, profile events, totals */
};

static struct native *native_of(struct df_ch_client *c)
{
	return c->state;
}

static bool compressed(const struct df_ch_client *c)
{
	return c->dsn->codec != DF_CH_CODEC_NONE;
}

static void native_close(struct df_ch_client *c)
{
	struct native *n = DF_TAKE(c->state);

	c->open = false;
	if (!n)
		return;
	df_ch_wire_close(&n->wire);
	df_ch_frames_done(&n->frames);
	df_ch_packer_done(&n->packer);
	df_buf_done(&n->out);
	df_ch_block_done(&n->aside);
	free(n);
}

/* ---- sending --------------------------------------------------------------------------------------------- */

static int flush(struct native *n, struct df_error *err)
{
	n->wire.ctx = n->client->ctx;
	int code = n->out.failed ? df_error_no_memory(err) : df_ch_wire_write(&n->wire, df_buf_str(&n->out), err);
	n->out.len = 0;
	return code;
}

/* A piece of a block. */
static int put_block_bytes(void *arg, struct df_str bytes, struct df_error *err)
{
	struct native *n = arg;

	if (compressed(n->client)) {
		df_ch_pack(&n->packer, bytes, false, &n->out);
		return n->out.len >= OUT_FLUSH || n->out.failed ? flush(n, err) : 0;
	}
	if (bytes.len < OUT_FLUSH) {
		df_buf_add_str(&n->out, bytes);
		return n->out.len >= OUT_FLUSH ? flush(n, err) : 0;
	}
	int code = flush(n, err);
	return code == 0 ? df_ch_wire_write(&n->wire, bytes, err) : code;
}

static void add_empty_block(struct native *n)
{
	df_cleanup(df_buf_done) struct df_buf block = { 0 };

	df_ch_add_data(&n->out);
	if (!compressed(n->client)) {
		df_ch_empty_block(n->client->revision, &n->out);
		return;
	}
	df_ch_empty_block(n->client->revision, &block);
	df_ch_pack(&n->packer, df_buf_str(&block), true, &n->out);
}

/* The query, and the empty block that says that no external tables follow. */
static int send_query(struct native *n, const struct df_ch_statement *s, struct df_error *err)
{
	struct df_ch_client *c = n->client;
	char id[DF_CH_QUERY_ID];

	df_ch_query_id(c, id);
	n->out.len = 0;
	n->ended = false;
	df_ch_add_query(&n->out, &(struct df_ch_query_packet){
					 .id = id,
					 .product = c->product,
					 .sql = s->sql,
					 .revision = c->revision,
					 .compressed = compressed(c),
					 .settings = { c->settings, s->settings },
					 .setting_count = { c->setting_count, s->setting_count },
				 });
	add_empty_block(n);
	return flush(n, err);
}

/* ---- receiving ------------------------------------------------------------------------------------------- */

static int read_block(struct native *n, struct df_ch_block *block, bool may_be_compressed, struct df_error *err)
{
	struct df_ch_input *in = &n->wire.in;
	int code = df_ch_skip_string(in, err); /* table name */

	if (code != 0)
		return code;
	if (may_be_compressed && compressed(n->client))
		in = &n->frames.in;
	return df_ch_block_read(block, in, n->client->revision, err);
}

/* Each level-0 part of an INSERT is one block that MergeTree wrote: the counter of that name, one row a thread. */
static void count_parts(struct native *n)
{
	const struct df_ch_block *b = &n->aside;
	size_t name = df_ch_block_find(b, DF_STR("name"));
	size_t value = df_ch_block_find(b, DF_STR("value"));

	if (name == SIZE_MAX || value == SIZE_MAX || b->fields[name].type->kind != DF_CH_STRING ||
	    b->fields[value].type->size != 8)
		return;
	n->client->stats.parts_known = true;
	for (size_t i = 0; i < b->rows; i++) {
		if (!df_str_equal(df_ch_string(&b->fields[name].column, i), DF_STR("MergeTreeDataWriterBlocks")))
			continue;
		int64_t more;
		memcpy(&more, df_ch_fixed(&b->fields[value].column, i), sizeof(more));
		n->client->stats.parts += (uint64_t)more;
	}
}

/* The body of a packet that is no data of ours. An exception is err, and ends what was under way. */
static int read_other(struct native *n, uint64_t type, struct df_error *err)
{
	uint64_t revision = n->client->revision;
	struct df_ch_input *in = &n->wire.in;
	int code;

	switch (type) {
	case DF_CH_SERVER_EXCEPTION:
		code = df_ch_read_exception(in, n->wire.peer, err);
		n->phase = IDLE;
		return code;
	case DF_CH_SERVER_PROGRESS:
		return df_ch_read_progress(in, revision, err);
	case DF_CH_SERVER_PROFILE_INFO:
		return df_ch_read_profile(in, err);
	case DF_CH_SERVER_TOTALS:
	case DF_CH_SERVER_EXTREMES:
		return read_block(n, &n->aside, true, err);
	case DF_CH_SERVER_LOG:
		return read_block(n, &n->aside, false, err);
	case DF_CH_SERVER_PROFILE_EVENTS:
		code = read_block(n, &n->aside, false, err);
		if (code == 0)
			count_parts(n);
		return code;
	case DF_CH_SERVER_TABLE_COLUMNS:
		code = df_ch_skip_string(in, err);
		return code == 0 ? df_ch_skip_string(in, err) : code;
	case DF_CH_SERVER_TIMEZONE_UPDATE:
		return df_ch_skip_string(in, err);
	case DF_CH_SERVER_PONG:
		return 0;
	default:
		return df_error_set(err, DF_ERR_CONNECTION, "%s: a packet of type %llu is not expected here",
				    n->wire.peer, (unsigned long long)type);
	}
}

/* Reads packets up to the next data (*ret_data) or the end. */
static int read_until_data(struct native *n, struct df_ch_block *to, bool *ret_data, struct df_error *err)
{
	uint64_t type;

	*ret_data = false;
	n->wire.ctx = n->client->ctx;
	for (;;) {
		int code = df_ch_read_varint(&n->wire.in, &type, err);
		if (code != 0)
			return code;
		if (type == DF_CH_SERVER_END_OF_STREAM) {
			n->phase = IDLE;
			return 0;
		}
		if (type == DF_CH_SERVER_DATA) {
			*ret_data = true;
			return read_block(n, to, true, err);
		}
		code = read_other(n, type, err);
		if (code != 0)
			return code;
	}
}

/* The server says something while we send: usually why it will not take more. */
static int read_while_sending(void *arg, struct df_error *err)
{
	struct native *n = arg;
	uint64_t type;
	int code = df_ch_read_varint(&n->wire.in, &type, err);

	if (code == 0 && type == DF_CH_SERVER_END_OF_STREAM) {
		n->ended = true;
		return df_error_set(err, DF_ERR_CONNECTION, "%s: the server ended the insert early", n->wire.peer);
	}
	return code == 0 ? read_other(n, type, err) : code;
}

/* ---- the transport --------------------------------------------------------------------------------------- */

static int native_open(struct df_ch_client *c, const struct df_ch_host *host, struct df_error *err)
{
	struct native *n = calloc(1, sizeof(*n));
	struct df_ch_server_hello hello = { 0 };

	if (!n)
		return df_error_no_memory(err);
	n->client = c;
	n->wire.fd = -1;
	n->packer.codec = c->dsn->codec;
	n->packer.level = c->dsn->codec_level;
	n->out.max = SIZE_MAX / 2;
	c->state = n;
	int code = df_ch_wire_open(&n->wire, c->ctx, c->dsn, host, err);
	if (code == 0) {
		df_ch_frames_init(&n->frames, &n->wire.in);
		df_ch_add_hello(&n->out, c->dsn, c->product);
		n->wire.read_timeout_ns = c->dsn->dial_timeout_ns;
		code = flush(n, err);
	}
	if (code == 0)
		code = df_ch_read_hello(&n->wire.in, n->wire.peer, &hello, err);
	if (code == 0) {
		c->revision = hello.revision;
		c->version = hello.version;
		df_ch_add_addendum(&n->out, hello.revision);
		n->wire.read_timeout_ns = c->dsn->read_timeout_ns;
		n->wire.on_readable = read_while_sending;
		n->wire.arg = n;
		code = flush(n, err);
	}
	if (code != 0)
		native_close(c);
	return code;
}

static int native_query(struct df_ch_client *c, const struct df_ch_statement *s, struct df_error *err)
{
	struct native *n = native_of(c);
	int code = send_query(n, s, err);

	n->phase = code == 0 ? READING : IDLE;
	return code;
}

static int native_next(struct df_ch_client *c, bool *ret_more, struct df_error *err)
{
	struct native *n = native_of(c);

	*ret_more = false;
	if (n->phase != READING)
		return 0;
	do {
		int code = read_until_data(n, &c->block, ret_more, err);
		if (code != 0)
			return code;
	} while (*ret_more && c->block.rows == 0 && c->block.count == 0); /* ends the data, not the packets */
	return 0;
}

/* Says so, and waits a little for the end: the connection can then be used again. Else it is closed. */
static void native_cancel(struct df_ch_client *c)
{
	struct native *n = native_of(c);
	struct df_context *short_wait;
	int code = 0;

	if (n->phase == IDLE)
		return;
	short_wait = n->phase == READING ? df_context_new(NULL) : NULL;
	if (short_wait && !df_context_canceled(c->ctx)) {
		bool data = true;
		c->ctx = short_wait;
		df_context_deadline(short_wait, df_clock_monotonic() + CANCEL_NS);
		n->out.len = 0;
		df_ch_add_cancel(&n->out);
		code = flush(n, NULL);
		while (code == 0 && n->phase == READING)
			code = read_until_data(n, &c->block, &data, NULL);
	} else if (n->phase == READING && n->wire.fd >= 0) {
		/* Somebody waits for us to stop: one try, and the closed connection says the same. */
		n->out.len = 0;
		df_ch_add_cancel(&n->out);
		c->ctx = NULL;
		struct pollfd fd = { .fd = n->wire.fd, .events = POLLOUT };
		if (poll(&fd, 1, 0) > 0)
			(void)!flush(n, NULL);
	}
	c->ctx = NULL;
	df_context_free(short_wait);
	if (n->phase != IDLE)
		native_close(c);
}

static int native_insert(struct df_ch_client *c, const struct df_ch_statement *s, struct df_error *err)
{
	struct native *n = native_of(c);
	bool data;
	int code = send_query(n, s, err);

	if (code == 0)
		code = read_until_data(n, &c->block, &data, err); /* the table's columns, without rows */
	if (code == 0 && !data)
		return df_error_set(err, DF_ERR_CONNECTION, "%s: the server did not ask for rows", n->wire.peer);
	n->phase = code == 0 ? INSERTING : n->phase;
	return code;
}

/* An insert that failed half-way leaves rows of ours on the line: the connection is of no use any more. */
static int insert_failed(struct df_ch_client *c, int code)
{
	if (code != 0)
		native_close(c);
	return code;
}

static int native_send(struct df_ch_client *c, struct df_ch_encoder *rows, struct df_error *err)
{
	struct native *n = native_of(c);
	const struct df_ch_sink to = { put_block_bytes, n };
	int code = 0;

	n->wire.ctx = c->ctx;
	while (code == 0 && n->phase == INSERTING && df_ch_wire_readable(&n->wire))
		code = read_while_sending(n, err);
	if (code == 0) {
		df_ch_add_data(&n->out);
		code = df_ch_encoder_write(rows, c->revision, &to, err);
	}
	if (code == 0 && compressed(c))
		df_ch_pack(&n->packer, df_str(NULL, 0), true, &n->out);
	if (code == 0)
		code = flush(n, err);
	return insert_failed(c, code);
}

static int native_finish(struct df_ch_client *c, struct df_error *err)
{
	struct native *n = native_of(c);
	bool data = false;

	n->wire.ctx = c->ctx;
	add_empty_block(n);
	int code = flush(n, err);
	if (code != 0)
		return insert_failed(c, code);
	n->phase = READING;
	while (code == 0 && n->phase == READING)
		code = read_until_data(n, &n->aside, &data, err);
	return code;
}

const struct df_ch_transport df_ch_native_transport = {
	.open = native_open,
	.close = native_close,
	.query = native_query,
	.next = native_next,
	.cancel = native_cancel,
	.insert = native_insert,
	.send = native_send,
	.finish = native_finish,
};

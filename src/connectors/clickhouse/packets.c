#include "connectors/clickhouse/packets.h"

#include <unistd.h>

#include "base/cleanup.h"
#include "connectors/clickhouse/errors.h"

/* Revisions that add something to a packet. */
enum {
	WITH_TOTAL_ROWS = 51554,
	WITH_CLIENT_INFO = 54032,
	WITH_TIMEZONE = 54058,
	WITH_QUOTA_KEY = 54060,
	WITH_DISPLAY_NAME = 54372,
	WITH_PATCH = 54401,
	WITH_WRITE_INFO = 54420,
	WITH_INTERSERVER_SECRET = 54441,
	WITH_TELEMETRY = 54442,
	WITH_DISTRIBUTED_DEPTH = 54448,
	WITH_START_TIME = 54449,
	WITH_PARALLEL_REPLICAS = 54453,
	WITH_ADDENDUM = 54458,
	WITH_PARAMETERS = 54459,
	WITH_QUERY_TIME = 54460,
	WITH_PASSWORD_RULES = 54461,
	WITH_NONCE = 54462,
	WITH_TOTAL_BYTES = 54463,
};

#define VERSION_MAJOR 24 /* what we say of ourselves; the revision decides */
#define VERSION_MINOR 1
#define RULES_MAX 1000

/* ---- hello ----------------------------------------------------------------------------------------------- */

void df_ch_add_hello(struct df_buf *to, const struct df_ch_dsn *dsn, const char *product)
{
	df_ch_add_varint(to, DF_CH_CLIENT_HELLO);
	df_ch_add_c(to, product);
	df_ch_add_varint(to, VERSION_MAJOR);
	df_ch_add_varint(to, VERSION_MINOR);
	df_ch_add_varint(to, DF_CH_REVISION);
	df_ch_add_c(to, dsn->database);
	df_ch_add_c(to, dsn->user);
	df_ch_add_c(to, dsn->password);
}

void df_ch_add_addendum(struct df_buf *to, uint64_t revision)
{
	if (revision >= WITH_ADDENDUM)
		df_ch_add_c(to, ""); /* quota key */
}

/* Password rules, which only matter to who changes a password. */
static int skip_rules(struct df_ch_input *in, struct df_error *err)
{
	uint64_t count;
	int code = df_ch_read_varint(in, &count, err);

	if (code == 0 && count > RULES_MAX)
		return df_error_set(err, DF_ERR_CONNECTION, "the server's hello is damaged");
	for (uint64_t i = 0; i < 2 * count && code == 0; i++)
		code = df_ch_skip_string(in, err);
	return code;
}

/* What follows the versions. */
static int skip_hello_rest(struct df_ch_input *in, uint64_t revision, struct df_error *err)
{
	uint64_t patch;
	int code = 0;

	if (revision >= WITH_TIMEZONE)
		code = df_ch_skip_string(in, err);
	if (code == 0 && revision >= WITH_DISPLAY_NAME)
		code = df_ch_skip_string(in, err);
	if (code == 0 && revision >= WITH_PATCH)
		code = df_ch_read_varint(in, &patch, err);
	if (code == 0 && revision >= WITH_PASSWORD_RULES)
		code = skip_rules(in, err);
	if (code == 0 && revision >= WITH_NONCE)
		code = df_ch_skip(in, 8, err);
	return code;
}

int df_ch_read_hello(struct df_ch_input *in, const char *peer, struct df_ch_server_hello *ret, struct df_error *err)
{
	uint64_t type, major = 0, minor = 0, revision = 0;
	int code = df_ch_read_varint(in, &type, err);

	if (code == 0 && type == DF_CH_SERVER_EXCEPTION)
		return df_ch_read_exception(in, peer, err);
	if (code == 0 && type != DF_CH_SERVER_HELLO)
		return df_error_set(
			err, DF_ERR_CONFIG,
			"%s does not speak ClickHouse's native protocol; is it the HTTP port (8123)? then use "
			"http://",
			peer);
	if (code == 0)
		code = df_ch_skip_string(in, err); /* its name */
	if (code == 0)
		code = df_ch_read_varint(in, &major, err);
	if (code == 0)
		code = df_ch_read_varint(in, &minor, err);
	if (code == 0)
		code = df_ch_read_varint(in, &revision, err);
	if (code != 0)
		return code;
	ret->version = (unsigned)(major % 1000000 * 1000 + minor % 1000);
	ret->revision = revision < DF_CH_REVISION ? revision : DF_CH_REVISION;
	return skip_hello_rest(in, ret->revision, err);
}

/* ---- query ----------------------------------------------------------------------------------------------- */

static void add_client_info(struct df_buf *to, const struct df_ch_query_packet *q)
{
	char host[256] = "";
	int64_t start = 0;

	(void)!gethostname(host, sizeof(host) - 1);
	df_buf_add_char(to, 1); /* initial query */
	df_ch_add_c(to, "");	/* initial user, set by the server */
	df_ch_add_c(to, "");	/* initial query id */
	df_ch_add_c(to, "0.0.0.0:0");
	if (q->revision >= WITH_START_TIME)
		df_buf_add(to, &start, sizeof(start));
	df_buf_add_char(to, 1); /* interface: TCP */
	df_ch_add_c(to, "");	/* user of the operating system: nobody's business */
	df_ch_add_c(to, host);
	df_ch_add_c(to, q->product);
	df_ch_add_varint(to, VERSION_MAJOR);
	df_ch_add_varint(to, VERSION_MINOR);
	df_ch_add_varint(to, DF_CH_REVISION);
	if (q->revision >= WITH_QUOTA_KEY)
		df_ch_add_c(to, "");
	if (q->revision >= WITH_DISTRIBUTED_DEPTH)
		df_ch_add_varint(to, 0);
	if (q->revision >= WITH_PATCH)
		df_ch_add_varint(to, 0);
	if (q->revision >= WITH_TELEMETRY)
		df_buf_add_char(to, 0);
	if (q->revision >= WITH_PARALLEL_REPLICAS)
		df_buf_add(to, "\0\0\0", 3);
}

/* Unknown settings are passed over by servers of these revisions, unless they are marked important. */
static void add_settings(struct df_buf *to, const struct df_ch_query_packet *q)
{
	for (size_t k = 0; k < DF_ARRAY_SIZE(q->settings) && q->revision >= DF_CH_REVISION_SETTINGS; k++) {
		for (size_t i = 0; i < q->setting_count[k]; i++) {
			df_ch_add_c(to, q->settings[k][i].name);
			df_ch_add_varint(to, 0);
			df_ch_add_c(to, q->settings[k][i].value);
		}
	}
	df_ch_add_c(to, "");
}

void df_ch_add_query(struct df_buf *to, const struct df_ch_query_packet *q)
{
	df_ch_add_varint(to, DF_CH_CLIENT_QUERY);
	df_ch_add_c(to, q->id);
	if (q->revision >= WITH_CLIENT_INFO)
		add_client_info(to, q);
	add_settings(to, q);
	if (q->revision >= WITH_INTERSERVER_SECRET)
		df_ch_add_c(to, "");
	df_ch_add_varint(to, 2); /* stage: complete */
	df_ch_add_varint(to, q->compressed);
	df_ch_add_string(to, q->sql);
	if (q->revision >= WITH_PARAMETERS)
		df_ch_add_c(to, "");
}

void df_ch_add_data(struct df_buf *to)
{
	df_ch_add_varint(to, DF_CH_CLIENT_DATA);
	df_ch_add_c(to, ""); /* name of an external table: none */
}

void df_ch_add_cancel(struct df_buf *to)
{
	df_ch_add_varint(to, DF_CH_CLIENT_CANCEL);
}

/* ---- what the server says -------------------------------------------------------------------------------- */

/* Nested exceptions follow; the outermost says it all. */
int df_ch_read_exception(struct df_ch_input *in, const char *peer, struct df_error *err)
{
	df_cleanup(df_buf_done) struct df_buf name = { 0 };
	df_cleanup(df_buf_done) struct df_buf message = { 0 };
	int32_t outermost = 0;
	uint8_t nested = 1;

	for (unsigned depth = 0; nested && depth < 100; depth++) {
		df_cleanup(df_buf_done) struct df_buf text = { 0 };
		int32_t number = 0;
		int code = df_ch_read(in, &number, sizeof(number), err);
		if (code == 0)
			code = df_ch_read_string(in, &name, err);
		if (code == 0)
			code = df_ch_read_string(in, depth ? &text : &message, err);
		if (code == 0)
			code = df_ch_skip_string(in, err); /* stack trace */
		if (code == 0)
			code = df_ch_read_byte(in, &nested, err);
		if (code != 0)
			return code;
		if (depth == 0)
			outermost = number;
	}
	return df_ch_server_error(peer, outermost, df_buf_str(&message), err);
}

static int skip_varints(struct df_ch_input *in, int count, struct df_error *err)
{
	uint64_t ignored;
	int code = 0;

	for (int i = 0; i < count && code == 0; i++)
		code = df_ch_read_varint(in, &ignored, err);
	return code;
}

int df_ch_read_progress(struct df_ch_input *in, uint64_t revision, struct df_error *err)
{
	int count = 2; /* rows, bytes */

	count += revision >= WITH_TOTAL_ROWS;
	count += revision >= WITH_TOTAL_BYTES;
	count += revision >= WITH_WRITE_INFO ? 2 : 0;
	count += revision >= WITH_QUERY_TIME;
	return skip_varints(in, count, err);
}

int df_ch_read_profile(struct df_ch_input *in, struct df_error *err)
{
	int code = skip_varints(in, 3, err); /* rows, blocks, bytes */

	if (code == 0)
		code = df_ch_skip(in, 1, err); /* applied_limit */
	if (code == 0)
		code = skip_varints(in, 1, err); /* rows_before_limit */
	return code == 0 ? df_ch_skip(in, 1, err) : code;
}

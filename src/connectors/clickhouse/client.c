#include "connectors/clickhouse/client.h"

#include <stdio.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/retry.h"
#include "connectors/clickhouse/errors.h"

void df_ch_client_init(struct df_ch_client *c, const struct df_ch_dsn *dsn, const struct df_logger *logger)
{
	*c = (struct df_ch_client){
		.transport = dsn->http ? &df_ch_http_transport : &df_ch_native_transport,
		.dsn = dsn,
		.logger = logger,
		.product = dsn->client_product ? dsn->client_product : "dataflow",
		.random = ((uint64_t)df_clock_monotonic() ^ (uint64_t)getpid() << 40 ^ (uint64_t)(uintptr_t)c) | 1,
	};
	(void)df_random_next(&c->random);
}

static void close_connection(struct df_ch_client *c)
{
	if (c->open)
		c->transport->close(c);
	c->open = false;
}

void df_ch_client_done(struct df_ch_client *c)
{
	if (!c->transport)
		return;
	close_connection(c);
	df_ch_block_done(&c->block);
	free(DF_TAKE(c->settings));
}

void df_ch_quote(struct df_buf *sql, struct df_str text)
{
	df_buf_add_char(sql, '\'');
	for (size_t i = 0; i < text.len; i++) {
		if (text.ptr[i] == '\'' || text.ptr[i] == '\\')
			df_buf_add_char(sql, '\\');
		if (text.ptr[i] == '\0')
			df_buf_add_c(sql, "\\0");
		else
			df_buf_add_char(sql, text.ptr[i]);
	}
	df_buf_add_char(sql, '\'');
}

void df_ch_query_id(struct df_ch_client *c, char out[DF_CH_QUERY_ID])
{
	uint64_t a = df_random_next(&c->random);
	uint64_t b = df_random_next(&c->random);

	snprintf(out, DF_CH_QUERY_ID, "%016llx%016llx", (unsigned long long)a, (unsigned long long)b);
}

/* ---- opening --------------------------------------------------------------------------------------------- */

/* Settings of ours that only newer servers know. */
static const char token_setting[] = "insert_deduplication_token";

static void write_probe(const struct df_ch_dsn *dsn, struct df_buf *sql)
{
	df_buf_add_c(sql, "SELECT name, value FROM system.settings WHERE name IN ('readonly', ");
	df_ch_quote(sql, df_str_c(token_setting));
	for (size_t i = 0; i < dsn->setting_count; i++) {
		df_buf_add_c(sql, ", ");
		df_ch_quote(sql, df_str_c(dsn->settings[i].name));
	}
	df_buf_add_c(sql, ") UNION ALL SELECT 'version()', version()");
}

/* "26.7.3.1" as 26007. */
static unsigned parse_version(struct df_str text)
{
	unsigned parts[2] = { 0 };
	size_t part = 0;

	for (size_t i = 0; i < text.len && part < 2; i++) {
		unsigned digit = (unsigned)(text.ptr[i] - '0');
		if (digit > 9)
			part++;
		else if (parts[part] < 1000000)
			parts[part] = parts[part] * 10 + digit;
	}
	return parts[0] * 1000 + parts[1];
}

static void note_setting(struct df_ch_client *c, struct df_str name, struct df_str value)
{
	if (df_str_equal(name, DF_STR("readonly")))
		c->read_only = df_str_equal(value, DF_STR("1"));
	if (df_str_equal(name, DF_STR("version()")))
		c->version = parse_version(value);
	if (df_str_equal_c(name, token_setting))
		c->use_token = true;
	for (size_t i = 0; i < c->dsn->setting_count; i++)
		if (df_str_equal_c(name, c->dsn->settings[i].name) && c->setting_count < c->dsn->setting_count)
			c->settings[c->setting_count++] =
				(struct df_ch_setting){ c->dsn->settings[i].name, c->dsn->settings[i].value };
}

/* Which settings does this server know? Others are not sent: an old server refuses the whole statement. */
static int probe(struct df_ch_client *c, struct df_error *err)
{
	df_cleanup(df_buf_done) struct df_buf sql = { 0 };
	bool more = true;

	c->read_only = c->use_token = false;
	c->setting_count = 0;
	free(DF_TAKE(c->settings));
	c->settings = calloc(c->dsn->setting_count + 1, sizeof(*c->settings));
	write_probe(c->dsn, &sql);
	if (!c->settings || sql.failed)
		return df_error_no_memory(err);
	int code = c->transport->query(c, &(struct df_ch_statement){ .sql = df_buf_str(&sql) }, err);
	while (code == 0) {
		code = c->transport->next(c, &more, err);
		if (code != 0 || !more)
			break;
		if (c->block.count != 2 || c->block.fields[0].type->kind != DF_CH_STRING ||
		    c->block.fields[1].type->kind != DF_CH_STRING)
			return df_error_set(err, DF_ERR_UNKNOWN, "system.settings is not as expected");
		for (size_t i = 0; i < c->block.rows; i++)
			note_setting(c, df_ch_string(&c->block.fields[0].column, i),
				     df_ch_string(&c->block.fields[1].column, i));
	}
	c->use_token = c->use_token && !c->read_only;
	return code;
}

/* Older servers take settings of a query in a form that depends on each one's type: there they are the session's. */
static int set_for_session(struct df_ch_client *c, struct df_error *err)
{
	df_cleanup(df_buf_done) struct df_buf sql = { 0 };
	bool more = true;
	double number;

	if (c->revision == 0 || c->revision >= DF_CH_REVISION_SETTINGS || c->setting_count == 0)
		return 0;
	for (size_t i = 0; i < c->setting_count; i++) {
		struct df_str value = df_str_c(c->settings[i].value);
		df_buf_add_c(&sql, i ? ", " : "SET ");
		df_buf_add_c(&sql, c->settings[i].name);
		df_buf_add_c(&sql, " = ");
		if (df_number_valid(value) && df_number_to_double(value, &number))
			df_buf_add_str(&sql, value);
		else
			df_ch_quote(&sql, value);
	}
	if (sql.failed)
		return df_error_no_memory(err);
	int code = c->transport->query(c, &(struct df_ch_statement){ .sql = df_buf_str(&sql) }, err);
	while (code == 0 && more)
		code = c->transport->next(c, &more, err);
	return code;
}

static void warn_unknown(const struct df_ch_client *c)
{
	for (size_t i = 0; i < c->dsn->setting_count; i++) {
		size_t k = 0;
		while (k < c->setting_count && c->settings[k].name != c->dsn->settings[i].name)
			k++;
		if (k == c->setting_count)
			df_warn(c->logger, "this ClickHouse server has no setting %s: it is not sent",
				c->dsn->settings[i].name);
	}
}

static int open_host(struct df_ch_client *c, size_t host, struct df_error *err)
{
	int code = c->transport->open(c, &c->dsn->hosts[host], err);

	if (code != 0)
		return code;
	c->open = true;
	c->host = host;
	c->opened_ns = df_clock_monotonic();
	c->version = c->transport == &df_ch_http_transport ? 0 : c->version;
	code = probe(c, err);
	/* Debian's 18.16 loses the last frame of a compressed answer over HTTP, which here is all of it. */
	if (code == 0 && c->version == 0 && c->dsn->codec != DF_CH_CODEC_NONE) {
		c->plain_answers = true;
		code = probe(c, err);
		df_warn(c->logger,
			"this ClickHouse server cuts compressed answers off: they are asked for uncompressed");
	}
	if (code == 0 && c->version == 0)
		code = df_error_set(err, DF_ERR_CONNECTION, "the server's answers are empty");
	if (code == 0)
		code = set_for_session(c, err);
	if (code != 0)
		close_connection(c);
	else
		warn_unknown(c);
	return code;
}

static size_t first_host(struct df_ch_client *c)
{
	switch (c->dsn->strategy) {
	case DF_CH_ROUND_ROBIN:
		return c->opened_ns ? (c->host + 1) % c->dsn->host_count : 0;
	case DF_CH_RANDOM:
		return (size_t)(df_random_next(&c->random) % c->dsn->host_count);
	default:
		return 0;
	}
}

int df_ch_ensure(struct df_ch_client *c, struct df_context *ctx, struct df_error *err)
{
	int64_t lifetime = c->dsn->max_lifetime_ns;
	int code = DF_ERR_CONNECTION;

	c->ctx = ctx;
	if (c->open && (!lifetime || df_clock_monotonic() - c->opened_ns < lifetime))
		return 0;
	close_connection(c);
	c->plain_answers = false;
	size_t first = first_host(c);
	for (size_t i = 0; i < c->dsn->host_count; i++) {
		code = open_host(c, (first + i) % c->dsn->host_count, err);
		if (code != DF_ERR_CONNECTION && code != DF_ERR_TIMEOUT)
			break;
	}
	return code;
}

/* ---- statements ------------------------------------------------------------------------------------------ */

/* An error of the server leaves the connection as it was; every other one ends it. */
static int failed(struct df_ch_client *c, int code, const struct df_error *err)
{
	if (code != 0 && c->open && df_ch_error_code(err) == 0)
		close_connection(c);
	return code;
}

int df_ch_query(struct df_ch_client *c, struct df_context *ctx, const struct df_ch_statement *s, struct df_error *err)
{
	int code = df_ch_ensure(c, ctx, err);

	c->stats = (struct df_ch_stats){ 0 };
	return code == 0 ? failed(c, c->transport->query(c, s, err), err) : code;
}

int df_ch_next(struct df_ch_client *c, bool *ret_more, struct df_error *err)
{
	*ret_more = false;
	if (!c->open)
		return df_error_set(err, DF_ERR_CONNECTION, "the connection was lost");
	return failed(c, c->transport->next(c, ret_more, err), err);
}

void df_ch_cancel(struct df_ch_client *c)
{
	if (c->open)
		c->transport->cancel(c);
}

int df_ch_exec(struct df_ch_client *c, struct df_context *ctx, struct df_str sql, struct df_error *err)
{
	bool more = true;
	int code = df_ch_query(c, ctx, &(struct df_ch_statement){ .sql = sql }, err);

	while (code == 0 && more)
		code = df_ch_next(c, &more, err);
	return code;
}

int df_ch_insert(struct df_ch_client *c, struct df_context *ctx, const struct df_ch_statement *s, struct df_error *err)
{
	int code = df_ch_ensure(c, ctx, err);

	c->stats = (struct df_ch_stats){ 0 };
	return code == 0 ? failed(c, c->transport->insert(c, s, err), err) : code;
}

int df_ch_send(struct df_ch_client *c, struct df_ch_encoder *rows, struct df_error *err)
{
	return failed(c, c->transport->send(c, rows, err), err);
}

int df_ch_finish(struct df_ch_client *c, struct df_error *err)
{
	return failed(c, c->transport->finish(c, err), err);
}

#include "connectors/postgresql/connection.h"

#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "base/clock.h"
#include "connectors/postgresql/conninfo.h"

/* ---- parameters ------------------------------------------------------------------------------------------ */

struct libpq_known {
	struct df_pg_known known;
	PQconninfoOption *options;
};

static bool known_to_libpq(const struct df_pg_known *known, const char *key)
{
	const struct libpq_known *libpq = (const struct libpq_known *)known;

	for (const PQconninfoOption *o = libpq->options; o->keyword; o++)
		if (strcmp(o->keyword, key) == 0)
			return true;
	return false;
}

/* What the values' texts, and our own, rely on; later ones win over those of the connection string. */
static const struct {
	const char *name, *value;
} session[] = {
	{ "timezone", "UTC" },	    { "datestyle", "ISO,YMD" },	   { "intervalstyle", "iso_8601" },
	{ "bytea_output", "hex" },  { "extra_float_digits", "1" }, { "standard_conforming_strings", "on" },
	{ "xmloption", "content" },
};

/* Unless the connection string says otherwise. A peer that is gone is found in about a minute. */
static const struct {
	const char *key, *value;
} defaults[] = {
	{ "keepalives", "1" },	     { "keepalives_idle", "30" },     { "keepalives_interval", "10" },
	{ "keepalives_count", "3" }, { "tcp_user_timeout", "60000" },
};

static int set_params(struct df_pg_params *params, const struct df_pg_options *options)
{
	df_cleanup(df_buf_done) struct df_buf name = { 0 };
	int code = df_pg_params_set(params, "client_encoding", DF_STR("UTF8"));

	df_buf_printf(&name, "dataflow/%s/%s", options->env->namespace ? options->env->namespace : "",
		      options->env->name ? options->env->name : "");
	const char *name_text = df_buf_c(&name);
	if (code == 0)
		code = name.failed ? DF_ERR_NO_MEMORY : df_pg_params_default(params, "application_name", name_text);
	for (size_t i = 0; code == 0 && i < DF_ARRAY_SIZE(defaults); i++)
		code = df_pg_params_default(params, defaults[i].key, defaults[i].value);
	for (size_t i = 0; code == 0 && i < DF_ARRAY_SIZE(session); i++)
		code = df_pg_params_setting(params, session[i].name, df_str_c(session[i].value));
	if (code == 0 && options->read_only)
		code = df_pg_params_setting(params, "default_transaction_read_only", DF_STR("on"));
	return code;
}

static int make_params(const struct df_pg_options *options, struct df_pg_params *ret, struct df_error *err)
{
	struct libpq_known libpq = { { known_to_libpq }, PQconninfoParse("", NULL) };
	df_cleanup(df_buf_done) struct df_buf ignored = { 0 };

	if (!libpq.options)
		return df_error_no_memory(err);
	int code = df_pg_params_parse(df_str_c(options->connection_string), &libpq.known, ret, &ignored, err);
	PQconninfoFree(libpq.options);
	if (code != 0)
		return code;
	if (ignored.len)
		df_warn(options->env->logger, "connectionString: %s mean something to Go programs only and are ignored",
			df_buf_c(&ignored));
	return set_params(ret, options) == 0 ? 0 : df_error_no_memory(err);
}

/* ---- connecting ------------------------------------------------------------------------------------------ */

/* Part i of a comma-separated list; the whole when it has no commas. */
static struct df_str list_part(const char *list, size_t i)
{
	struct df_str rest = df_str_c(list);

	for (;;) {
		const char *comma = rest.len ? memchr(rest.ptr, ',', rest.len) : NULL;
		struct df_str part = comma ? df_str(rest.ptr, (size_t)(comma - rest.ptr)) : rest;

		if (i-- == 0)
			return part;
		rest = comma ? df_str(comma + 1, rest.len - part.len - 1) : DF_STR("");
	}
}

static size_t list_count(const char *list)
{
	size_t n = 1;

	for (; list && *list; list++)
		n += *list == ',';
	return n;
}

static void on_notice(void *arg, const PGresult *result)
{
	const struct df_pg *pg = arg;
	const char *text = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);

	df_debug(pg->logger, "%s: %s", pg->server ? pg->server : "PostgreSQL", text ? text : "a notice without text");
}

/* Until the connection stands, or err says why not. */
static int poll_connection(struct df_pg *pg, struct df_context *ctx, struct df_error *err)
{
	PostgresPollingStatusType status = PGRES_POLLING_WRITING;

	while (PQstatus(pg->conn) != CONNECTION_BAD) {
		short events = status == PGRES_POLLING_READING ? POLLIN : POLLOUT;

		if (df_context_wait_fd(ctx, PQsocket(pg->conn), events, -1) != 0) {
			int code = df_context_check(ctx, err);
			return code != 0 ? code : df_error_set(err, DF_ERR_UNKNOWN, "%s: poll failed", pg->server);
		}
		status = PQconnectPoll(pg->conn);
		if (status == PGRES_POLLING_OK)
			return 0;
		if (status == PGRES_POLLING_FAILED)
			break;
	}
	return df_pg_connection_error(pg, err);
}

static int set_server(struct df_pg *pg, const char *host, const char *port)
{
	df_cleanup(df_buf_done) struct df_buf text = { 0 };

	df_buf_printf(&text, "PostgreSQL at %s:%s", host && *host ? host : "localhost", port && *port ? port : "5432");
	free(pg->server);
	pg->server = df_buf_take(&text);
	return pg->server ? 0 : DF_ERR_NO_MEMORY;
}

/* One host, within its time. libpq's own connect_timeout does not reach this way of connecting. */
static int connect_host(struct df_pg *pg, const struct df_pg_params *params, int32_t seconds, struct df_context *ctx,
			struct df_error *err)
{
	df_cleanup(df_context_freep) struct df_context *limited = df_context_new(ctx);

	if (!limited)
		return df_error_no_memory(err);
	df_context_deadline(limited, df_clock_monotonic() + seconds * DF_NS_PER_S);
	pg->conn = PQconnectStartParams((const char *const *)params->keys, (const char *const *)params->values, 0);
	if (!pg->conn)
		return df_error_no_memory(err);
	/* The only way to the SQLSTATE of a refused connection. */
	PQsetErrorVerbosity(pg->conn, PQERRORS_VERBOSE);
	PQsetNoticeReceiver(pg->conn, on_notice, pg);
	int code = set_server(pg, PQhost(pg->conn), PQport(pg->conn)) != 0 ? df_error_no_memory(err)
									   : poll_connection(pg, limited, err);
	if (code == 0 && PQsetnonblocking(pg->conn, 1) != 0)
		code = df_error_no_memory(err);
	if (code == DF_ERR_TIMEOUT && df_context_check(ctx, NULL) == 0)
		df_error_set(err, code, "%s: no connection within %d s (connectionTimeout)", pg->server, (int)seconds);
	PQsetErrorVerbosity(pg->conn, PQERRORS_DEFAULT);
	if (code != 0)
		df_pg_close(pg);
	return code;
}

/* Hosts one by one, so that each gets its time and a dead one does not hide the others. */
static int connect_hosts(struct df_pg *pg, struct df_pg_params *params, int32_t seconds, struct df_context *ctx,
			 struct df_error *err)
{
	df_cleanup(df_freep) char *hosts = NULL;
	df_cleanup(df_freep) char *ports = NULL;
	size_t count = 1;
	int code = 0;

	if (df_pg_params_get(params, "host") && !df_pg_params_get(params, "hostaddr")) {
		const char *port = df_pg_params_get(params, "port");

		hosts = strdup(df_pg_params_get(params, "host"));
		ports = strdup(port ? port : "");
		if (!hosts || !ports)
			return df_error_no_memory(err);
		count = list_count(hosts);
		if (list_count(ports) > 1 && list_count(ports) != count)
			return df_error_set(err, DF_ERR_CONFIG, "connectionString: %zu ports for %zu hosts",
					    list_count(ports), count);
	}
	for (size_t i = 0; i < count; i++) {
		if (hosts && df_pg_params_set(params, "host", list_part(hosts, i)) != 0)
			return df_error_no_memory(err);
		if (ports && df_pg_params_set(params, "port", list_part(ports, list_count(ports) > 1 ? i : 0)) != 0)
			return df_error_no_memory(err);
		code = connect_host(pg, params, seconds, ctx, err);
		if (code == 0 || df_context_canceled(ctx))
			return code;
		if (i + 1 < count)
			df_log_error(pg->logger, DF_LOG_DEBUG, err, "trying the next host");
	}
	if (count > 1)
		df_error_prefix(err, "none of %zu hosts will do; the last one", count);
	return code;
}

int df_pg_connect(struct df_pg *pg, const struct df_pg_options *options, struct df_context *ctx, struct df_error *err)
{
	df_cleanup(df_pg_params_done) struct df_pg_params params = { 0 };
	const char *attrs;

	int code = df_libpq_load(err);
	if (code != 0)
		return code;
	df_pg_close(pg);
	pg->logger = options->env->logger;
	code = make_params(options, &params, err);
	if (code != 0)
		return code;
	attrs = df_pg_params_get(&params, "target_session_attrs");
	if (!attrs || strcmp(attrs, "prefer-standby") != 0)
		return connect_hosts(pg, &params, options->timeout_seconds, ctx, err);
	/* Over all hosts, and not within each. */
	df_cleanup(df_pg_params_done) struct df_pg_params any = { 0 };
	code = make_params(options, &any, err);
	if (code != 0 || df_pg_params_set(&params, "target_session_attrs", DF_STR("standby")) != 0 ||
	    df_pg_params_set(&any, "target_session_attrs", DF_STR("any")) != 0)
		return code != 0 ? code : df_error_no_memory(err);
	code = connect_hosts(pg, &params, options->timeout_seconds, ctx, err);
	return code == 0 || df_context_canceled(ctx) ? code
						     : connect_hosts(pg, &any, options->timeout_seconds, ctx, err);
}

void df_pg_close(struct df_pg *pg)
{
	if (pg->conn) /* without one, libpq may not be loaded */
		PQfinish(DF_TAKE(pg->conn));
	free(DF_TAKE(pg->server));
	pg->broken = false;
}

/* ---- cancelling ------------------------------------------------------------------------------------------ */

/* How long the server is waited for to take a cancel request: close is to return within a second, also when the server
 * is silent. */
#define CANCEL_MS 500

/* PQcancel opens a connection of its own and blocks, in the worst case for minutes: it has a thread of its own, and who
 * asked waits a little. The last of the two frees. */
struct cancel_request {
	PGcancel *cancel;
	pthread_mutex_t lock;
	pthread_cond_t sent;
	bool is_sent;
	atomic_int users;
};

static void request_release(struct cancel_request *request)
{
	if (atomic_fetch_sub(&request->users, 1) > 1)
		return;
	PQfreeCancel(request->cancel);
	pthread_cond_destroy(&request->sent);
	pthread_mutex_destroy(&request->lock);
	free(request);
}

static void *send_cancel(void *arg)
{
	struct cancel_request *request = arg;
	char text[256];

	/* A request that failed changes nothing: the connection is given up in any case. */
	(void)!PQcancel(request->cancel, text, sizeof(text));
	pthread_mutex_lock(&request->lock);
	request->is_sent = true;
	pthread_cond_signal(&request->sent);
	pthread_mutex_unlock(&request->lock);
	request_release(request);
	return NULL;
}

static struct cancel_request *request_new(struct df_pg *pg)
{
	struct cancel_request *request = calloc(1, sizeof(*request));
	pthread_condattr_t attr;

	if (!request)
		return NULL;
	request->cancel = PQgetCancel(pg->conn);
	if (!request->cancel) {
		free(request);
		return NULL;
	}
	pthread_mutex_init(&request->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&request->sent, &attr);
	pthread_condattr_destroy(&attr);
	atomic_init(&request->users, 1);
	return request;
}

void df_pg_cancel(struct df_pg *pg)
{
	struct cancel_request *request = pg->conn ? request_new(pg) : NULL;
	int64_t end = df_clock_monotonic() + CANCEL_MS * DF_NS_PER_MS;
	struct timespec until = { .tv_sec = end / DF_NS_PER_S, .tv_nsec = end % DF_NS_PER_S };
	pthread_t thread;

	if (!request)
		return;
	atomic_fetch_add(&request->users, 1);
	if (pthread_create(&thread, NULL, send_cancel, request) != 0) {
		request_release(request);
		request_release(request);
		return;
	}
	pthread_detach(thread);
	pthread_mutex_lock(&request->lock);
	while (!request->is_sent && pthread_cond_timedwait(&request->sent, &request->lock, &until) == 0)
		;
	pthread_mutex_unlock(&request->lock);
	request_release(request);
}

void df_pg_give_up(struct df_pg *pg)
{
	df_pg_cancel(pg);
	pg->broken = true;
}

/* ---- waiting --------------------------------------------------------------------------------------------- */

/* Waits for the socket. When the context ends the wait, nobody will read the rest of what the server was asked for. */
static int wait_socket(struct df_pg *pg, struct df_context *ctx, short events, struct df_error *err)
{
	int code = df_context_wait_fd(ctx, PQsocket(pg->conn), events, -1);

	if (code == 0)
		return 0;
	df_pg_give_up(pg);
	code = df_context_check(ctx, err);
	return code != 0 ? code : df_error_set(err, DF_ERR_UNKNOWN, "%s: poll failed", pg->server);
}

static int usable(const struct df_pg *pg, struct df_error *err)
{
	if (!pg->conn || pg->broken)
		return df_error_set(err, DF_ERR_CONNECTION, "%s: the connection was given up",
				    pg->server ? pg->server : "PostgreSQL");
	return 0;
}

int df_pg_receive(struct df_pg *pg, struct df_context *ctx, struct df_error *err)
{
	int code = wait_socket(pg, ctx, POLLIN, err);

	if (code == 0 && !PQconsumeInput(pg->conn))
		code = df_pg_connection_error(pg, err);
	return code;
}

int df_pg_flush(struct df_pg *pg, struct df_context *ctx, struct df_error *err)
{
	int code = usable(pg, err);

	while (code == 0) {
		int left = PQflush(pg->conn);

		if (left == 0)
			return 0;
		if (left < 0)
			return df_pg_connection_error(pg, err);
		/* The server may be waiting for us to read before it reads on. */
		code = wait_socket(pg, ctx, POLLIN | POLLOUT, err);
		if (code == 0 && !PQconsumeInput(pg->conn))
			code = df_pg_connection_error(pg, err);
	}
	return code;
}

/* ---- statements ------------------------------------------------------------------------------------------ */

int df_pg_result(struct df_pg *pg, struct df_context *ctx, PGresult **ret, struct df_error *err)
{
	int code = df_pg_flush(pg, ctx, err);

	*ret = NULL;
	while (code == 0 && PQisBusy(pg->conn))
		code = df_pg_receive(pg, ctx, err);
	if (code != 0)
		return code;
	PGresult *result = PQgetResult(pg->conn);
	ExecStatusType status = PQresultStatus(result); /* FATAL_ERROR when there is none */
	if (result && (status == PGRES_FATAL_ERROR || status == PGRES_BAD_RESPONSE || status == PGRES_NONFATAL_ERROR)) {
		code = df_pg_result_error(pg, result, err);
		PQclear(result);
		return code;
	}
	*ret = result;
	return 0;
}

/* Reads a COPY to its end, or ends the one that the server is waiting for. */
static int end_copy(struct df_pg *pg, struct df_context *ctx, ExecStatusType status, struct df_error *err)
{
	int code = 0;

	if (status == PGRES_COPY_IN) {
		int sent;

		while ((sent = PQputCopyEnd(pg->conn, "given up")) == 0 && code == 0)
			code = df_pg_flush(pg, ctx, err);
		return sent < 0 ? df_pg_connection_error(pg, err) : code;
	}
	while (code == 0) {
		char *row = NULL;
		int size = PQgetCopyData(pg->conn, &row, 1);

		PQfreemem(row);
		if (size < 0)
			return 0;
		if (size == 0)
			code = df_pg_receive(pg, ctx, err);
	}
	return code;
}

int df_pg_drain(struct df_pg *pg, struct df_context *ctx, struct df_error *err)
{
	int first = 0;

	for (;;) {
		df_cleanup(PQclearp) PGresult *result = NULL;
		int code = df_pg_result(pg, ctx, &result, first ? NULL : err);
		ExecStatusType status = PQresultStatus(result);

		if (code == 0 && (status == PGRES_COPY_IN || status == PGRES_COPY_OUT))
			code = end_copy(pg, ctx, status, first ? NULL : err);
		first = first ? first : code;
		if (pg->broken || PQstatus(pg->conn) == CONNECTION_BAD || (!result && code == 0))
			return first;
	}
}

int df_pg_send(struct df_pg *pg, const char *sql, struct df_error *err)
{
	int code = usable(pg, err);

	return code != 0 || PQsendQuery(pg->conn, sql) ? code : df_pg_connection_error(pg, err);
}

int df_pg_exec(struct df_pg *pg, struct df_context *ctx, const char *sql, struct df_error *err)
{
	int code = df_pg_send(pg, sql, err);

	return code == 0 ? df_pg_drain(pg, ctx, err) : code;
}

int df_pg_exec_buf(struct df_pg *pg, struct df_context *ctx, struct df_buf *sql, struct df_error *err)
{
	const char *text = df_buf_c(sql);

	return sql->failed ? df_error_no_memory(err) : df_pg_exec(pg, ctx, text, err);
}

int df_pg_query(struct df_pg *pg, struct df_context *ctx, const char *sql, const char *const *params, int count,
		PGresult **ret, struct df_error *err)
{
	int code = usable(pg, err);

	*ret = NULL;
	if (code != 0)
		return code;
	if (!PQsendQueryParams(pg->conn, sql, count, NULL, params, NULL, NULL, 0))
		return df_pg_connection_error(pg, err);
	code = df_pg_result(pg, ctx, ret, err);
	int rest = df_pg_drain(pg, ctx, code ? NULL : err);
	if (code == 0 && rest != 0)
		PQclear(DF_TAKE(*ret));
	return code ? code : rest;
}

#include "client.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>

/* A server that is well answers a log-in at once. */
#define LOG_IN_SILENCE_MS 5000

struct mydb_client {
	redisContext *redis;
	char *where; /* "host:port", for errors */
	int sent;    /* nothing is queued */
	bool broken;
};

/* ---- address --------------------------------------------------------------------------------------------- */

struct address {
	char *host, *user, *password, *database; /* NULL: not given */
	int64_t port;
};

static void address_done(struct address *a)
{
	free(a->host);
	free(a->user);
	free(a->password);
	free(a->database);
}

/* The part of s before its last c; *s becomes what follows, ptr NULL when there is no c. */
static struct df_str cut(struct df_str *s, char c)
{
	const char *at = s->len ? memrchr(s->ptr, c, s->len) : NULL;
	struct df_str before = df_str(s->ptr, at ? (size_t)(at - s->ptr) : s->len);

	*s = at ? df_str(at + 1, s->len - before.len - 1) : df_str(NULL, 0);
	return before;
}

static int address_parse(struct df_str text, struct address *ret, struct df_error *err)
{
	struct df_url url;
	int64_t number = 0;

	*ret = (struct address){ .port = 6379 };
	if (!df_url_split(text, &url) || !df_str_equal_c(url.scheme, "redis"))
		return df_error_set(err, DF_ERR_CONFIG,
				    "connectionString: expected redis://[user[:password]@]host[:port][/database]");
	struct df_str port = url.authority, password = url.user, database = url.rest;
	struct df_str host = cut(&port, ':'), user = cut(&password, ':');
	if (port.ptr && (!df_str_to_int64(port, &ret->port) || ret->port < 1 || ret->port > 65535))
		return df_error_set(err, DF_ERR_CONFIG, "connectionString: the port is not a number from 1 to 65535");
	if (database.len)
		database = df_str(database.ptr + 1, database.len - 1);
	if (database.len && (!df_str_to_int64(database, &number) || number < 0))
		return df_error_set(err, DF_ERR_CONFIG, "connectionString: the database is not a number");
	ret->host = df_url_decode(host, false);
	ret->user = user.len ? df_url_decode(user, false) : NULL;
	ret->password = password.ptr ? df_url_decode(password, false) : NULL;
	ret->database = database.len ? df_str_dup(database) : NULL;
	return ret->host ? 0 : df_error_no_memory(err);
}

int mydb_address_check(struct df_str text, struct df_error *err)
{
	df_cleanup(address_done) struct address address;

	return address_parse(text, &address, err);
}

/* ---- entry ids ------------------------------------------------------------------------------------------- */

bool mydb_id_parse(struct df_str text, struct mydb_id *ret)
{
	struct df_str number = text, ms = cut(&number, '-');

	*ret = (struct mydb_id){ 0 };
	return df_str_to_int64(ms, &ret->ms) && (!number.ptr || df_str_to_int64(number, &ret->number));
}

int mydb_id_compare(struct mydb_id a, struct mydb_id b)
{
	if (a.ms != b.ms)
		return a.ms < b.ms ? -1 : 1;
	return a.number < b.number ? -1 : a.number > b.number;
}

int mydb_id_check(struct df_str text, struct df_error *err)
{
	struct mydb_id id;

	return mydb_id_parse(text, &id)
		       ? 0
		       : df_error_set(err, DF_ERR_CONFIG, "must be an entry's id, such as 1700000000000-0");
}

/* ---- answers --------------------------------------------------------------------------------------------- */

/* What the first word of an error means (src/server.c of Redis, createSharedObjects). */
struct meaning {
	const char *word;
	int code;
	const char *fix;
};
static const struct meaning meanings[] = {
	{ "NOAUTH", DF_ERR_AUTH, "connectionString needs a user and a password" },
	{ "WRONGPASS", DF_ERR_AUTH, "check the user and password of connectionString" },
	{ "NOPERM", DF_ERR_AUTH, "the user's ACL does not allow it" },
	{ "OOM", DF_ERR_TRANSIENT, "the server is at its maxmemory" },
	{ "LOADING", DF_ERR_TRANSIENT, "the server is starting" },
	{ "BUSY", DF_ERR_TRANSIENT, "a script keeps the server busy" },
	{ "TRYAGAIN", DF_ERR_TRANSIENT, "the cluster is being resharded" },
	{ "CLUSTERDOWN", DF_ERR_TRANSIENT, "the cluster has lost a part" },
	{ "MASTERDOWN", DF_ERR_TRANSIENT, "the replica has lost its master" },
	{ "NOREPLICAS", DF_ERR_TRANSIENT, "too few replicas are up" },
	{ "MISCONF", DF_ERR_TRANSIENT, "the server cannot write to its disk" },
	{ "EXECABORT", DF_ERR_TRANSIENT, "nothing of the transaction was done" },
	{ "READONLY", DF_ERR_CONNECTION, "the server has become a replica" },
	{ "WRONGTYPE", DF_ERR_CONFIG, "the name is taken by a value of another type" },
	{ "MOVED", DF_ERR_CONFIG, "name the node of the cluster that holds the key" },
	{ "ERR", DF_ERR_CONFIG, "is the server a Redis of version 5 or later?" },
};

int mydb_reply_error(const redisReply *reply, struct df_error *err)
{
	const char *fix = "the server's log may say more";
	int code = DF_ERR_UNKNOWN;
	char word[DF_ERROR_REMOTE_MAX];

	if (reply->type != REDIS_REPLY_ERROR)
		return 0;
	/* Some servers repeat a command that they do not know; its arguments are nobody's business. */
	const char *echo = strstr(reply->str, ", with args");
	size_t len = echo ? (size_t)(echo - reply->str) : strlen(reply->str);
	snprintf(word, sizeof(word), "%.*s", (int)strcspn(reply->str, " "), reply->str);
	for (size_t i = 0; i < DF_ARRAY_SIZE(meanings); i++) {
		if (strcmp(word, meanings[i].word) == 0) {
			code = meanings[i].code;
			fix = meanings[i].fix;
		}
	}
	df_error_set(err, code, "the server says: %.*s; %s", (int)len, reply->str, fix);
	df_error_remote(err, word);
	return code;
}

struct df_str mydb_reply_member(const redisReply *reply, const char *name)
{
	for (size_t i = 0; mydb_reply_at(reply, i + 1); i += 2) {
		if (df_str_equal_c(mydb_reply_str(reply->element[i]), name))
			return mydb_reply_str(reply->element[i + 1]);
	}
	return DF_STR("");
}

/* ---- commands -------------------------------------------------------------------------------------------- */

static int lost(const struct mydb_client *c, struct df_error *err)
{
	int code = c->redis->err == REDIS_ERR_OOM ? DF_ERR_NO_MEMORY : DF_ERR_CONNECTION;

	return df_error_set(err, code, "no connection to %s: %s", c->where,
			    c->redis->err ? c->redis->errstr : "an operation on it was given up");
}

int mydb_send(struct mydb_client *c, const struct df_str *args, size_t count, struct df_error *err)
{
	const char *texts[MYDB_ARGS_MAX];
	size_t lengths[MYDB_ARGS_MAX];

	for (size_t i = 0; i < count; i++) {
		texts[i] = args[i].ptr ? args[i].ptr : "";
		lengths[i] = args[i].len;
	}
	c->sent = 0;
	if (redisAppendCommandArgv(c->redis, (int)count, texts, lengths) == REDIS_OK)
		return 0;
	c->broken = true;
	return df_error_no_memory(err);
}

int mydb_receive(struct mydb_client *c, struct df_context *ctx, int silence_ms, redisReply **ret, struct df_error *err)
{
	void *reply = NULL;

	*ret = NULL;
	if (c->broken)
		return lost(c, err);
	c->broken = true; /* until the answer is there */
	while (redisGetReplyFromReader(c->redis, &reply) == REDIS_OK && !reply) {
		if (!c->sent && redisBufferWrite(c->redis, &c->sent) != REDIS_OK)
			return lost(c, err);
		int code = df_context_wait_fd(ctx, c->redis->fd, c->sent ? POLLIN : POLLIN | POLLOUT, silence_ms);
		int ended = df_context_check(ctx, err);
		if (ended != 0)
			return ended;
		if (code != 0)
			return df_error_set(err, code, "%s has not answered for %d s", c->where, silence_ms / 1000);
		if (redisBufferRead(c->redis) != REDIS_OK)
			return lost(c, err);
	}
	if (!reply)
		return lost(c, err);
	c->broken = false;
	*ret = reply;
	return 0;
}

int mydb_command(struct mydb_client *c, struct df_context *ctx, const struct df_str *args, size_t count, int silence_ms,
		 redisReply **ret, struct df_error *err)
{
	df_cleanup(mydb_reply_freep) redisReply *reply = NULL;
	int code = mydb_send(c, args, count, err);

	if (code == 0)
		code = mydb_receive(c, ctx, silence_ms, &reply, err);
	if (code == 0)
		code = mydb_reply_error(reply, err);
	*ret = code == 0 ? DF_TAKE(reply) : NULL;
	return code;
}

/* ---- life ------------------------------------------------------------------------------------------------ */

static int send_words(struct mydb_client *c, const char *a, const char *b, const char *third, struct df_error *err)
{
	const struct df_str args[] = { df_str_c(a), df_str_c(b), df_str_c(third) };

	return mydb_send(c, args, third ? 3 : b ? 2 : 1, err);
}

/* Everything goes out at once; the first error counts. */
static int log_in(struct mydb_client *c, const struct address *a, struct df_context *ctx, struct df_error *err)
{
	int answers = 1, code = 0;

	if (a->password && ++answers)
		code = a->user ? send_words(c, "AUTH", a->user, a->password, err)
			       : send_words(c, "AUTH", a->password, NULL, err);
	if (code == 0 && a->database && ++answers)
		code = send_words(c, "SELECT", a->database, NULL, err);
	if (code == 0)
		code = send_words(c, "PING", NULL, NULL, err);
	while (code == 0 && answers-- > 0) {
		df_cleanup(mydb_reply_freep) redisReply *reply = NULL;
		code = mydb_receive(c, ctx, LOG_IN_SILENCE_MS, &reply, err);
		if (code == 0)
			code = mydb_reply_error(reply, err);
	}
	return code;
}

static int client_new(const struct address *a, struct mydb_client **ret, struct df_error *err)
{
	struct mydb_client *c = *ret = calloc(1, sizeof(*c));

	if (!c)
		return df_error_no_memory(err);
	if (asprintf(&c->where, "%s:%d", a->host, (int)a->port) < 0) {
		c->where = NULL;
		return df_error_no_memory(err);
	}
	c->redis = redisConnectNonBlock(a->host, (int)a->port);
	if (!c->redis)
		return df_error_no_memory(err);
	if (c->redis->err)
		return lost(c, err);
	return fcntl(c->redis->fd, F_SETFD, FD_CLOEXEC) == 0 ? 0 : df_error_errno(err, DF_ERR_UNKNOWN, errno, "fcntl");
}

int mydb_connect(const char *connection_string, struct df_context *ctx, struct mydb_client **ret, struct df_error *err)
{
	df_cleanup(address_done) struct address address;
	df_cleanup(mydb_disconnectp) struct mydb_client *c = NULL;
	int code = address_parse(df_str_c(connection_string), &address, err);

	if (code == 0)
		code = client_new(&address, &c, err);
	if (code == 0)
		code = log_in(c, &address, ctx, err);
	if (code == 0)
		*ret = DF_TAKE(c);
	return code;
}

void mydb_disconnect(struct mydb_client *c)
{
	if (!c)
		return;
	if (c->redis)
		redisFree(c->redis);
	free(c->where);
	free(c);
}

/*
 * One connection to a server that speaks the Redis protocol (redis.io/docs, "Redis serialization protocol"). hiredis
 * speaks it; the waiting is ours, so that every wait ends when the context does.
 *
 * A connection belongs to one thread at a time. Errors of the functions: DF_ERR_CONNECTION, DF_ERR_TIMEOUT, the
 * context's, DF_ERR_NO_MEMORY. After any of them the answers no longer fit the commands, and the connection refuses
 * every further use.
 */
#ifndef MYDB_CLIENT_H
#define MYDB_CLIENT_H

#include <dataflow/connector.h>
#include <hiredis.h>

struct mydb_client;

/* The id of an entry: the milliseconds when it was added, and a number among those of the same millisecond. */
struct mydb_id {
	int64_t ms, number;
};
bool mydb_id_parse(struct df_str text, struct mydb_id *ret); /* "1700000000000-0", "1700000000000" */
int mydb_id_compare(struct mydb_id a, struct mydb_id b);     /* <0, 0, >0 */

/* Checks of settings. */
int mydb_id_check(struct df_str text, struct df_error *err);
int mydb_address_check(struct df_str text, struct df_error *err);

/* Connects, logs in, selects the database and proves that commands are answered. Also errors as of mydb_reply_error. */
int mydb_connect(const char *connection_string, struct df_context *ctx, struct mydb_client **ret,
		 struct df_error *err) df_must_check;
void mydb_disconnect(struct mydb_client *c); /* accepts NULL */
DF_DEFINE_CLEANUP(struct mydb_client *, mydb_disconnect)

/* Queues a command of at most MYDB_ARGS_MAX texts. Nothing is sent before the next receive. */
#define MYDB_ARGS_MAX 8
int mydb_send(struct mydb_client *c, const struct df_str *args, size_t count, struct df_error *err) df_must_check;
/* Sends what is queued and waits for the next answer, which may be an error of the server. silence_ms: so long nothing
 * may come. The caller frees it (freeReplyObject). */
#define MYDB_SILENCE_MS 10000
int mydb_receive(struct mydb_client *c, struct df_context *ctx, int silence_ms, redisReply **ret,
		 struct df_error *err) df_must_check;

/* 0, or the code of an answer that is an error; err->remote is its first word. */
int mydb_reply_error(const redisReply *reply, struct df_error *err) df_must_check;
/* Send, receive, and an answer that is an error is one. */
int mydb_command(struct mydb_client *c, struct df_context *ctx, const struct df_str *args, size_t count, int silence_ms,
		 redisReply **ret, struct df_error *err) df_must_check;

static inline void mydb_reply_freep(redisReply **reply)
{
	if (*reply)
		freeReplyObject(*reply);
}

/* Element i of an answer; NULL when it has none, so that calls can be nested. */
static inline const redisReply *mydb_reply_at(const redisReply *reply, size_t i)
{
	return reply && reply->type == REDIS_REPLY_ARRAY && i < reply->elements ? reply->element[i] : NULL;
}

/* The text of an answer; "" when it is none, or NULL. */
static inline struct df_str mydb_reply_str(const redisReply *reply)
{
	return reply && reply->type == REDIS_REPLY_STRING ? df_str(reply->str, reply->len) : DF_STR("");
}

/* What stands behind `name` in an answer of names and values; "" when it is not there, or no text. */
struct df_str mydb_reply_member(const redisReply *reply, const char *name);

#endif

/* The worked example without a server: its life, its settings, its codes. test/integration/mydb has the rest. */
#include <arpa/inet.h>
#include <sys/socket.h>

#include "client.h"
#include "harness.h"
#include "settings.h"

/* Nobody listens there. */
#define SOURCE "{'type': 'mydb', 'config': {'connectionString': 'redis://127.0.0.1:1', 'stream': 's'}}"
#define SINK "{'type': 'mydb', 'config': {'connectionString': 'redis://127.0.0.1:1', 'stream': 's'}}"

static void test_new_source_is_not_connected(void **state)
{
	struct harness *h = *state;
	struct df_source *s = harness_source(h, SOURCE);
	struct df_error err;

	assert_int_equal(s->ops->read(s, NULL, &h->emitter, &err), DF_ERR_CLOSED);
	assert_string_equal(err.text, "connector is not connected");
	df_source_free(s);
}

static void test_close_when_closed(void **state)
{
	struct df_source *s = harness_source(*state, SOURCE);
	struct df_error err = DF_ERROR_INIT;

	assert_int_equal(s->ops->close(s, &err), 0);
	assert_int_equal(s->ops->close(s, &err), 0);
	df_source_free(s);
}

static void test_connect_when_closed(void **state)
{
	struct df_sink *s = harness_sink(*state, SINK);
	struct df_error err;

	assert_int_equal(s->ops->close(s, &err), 0);
	assert_int_equal(s->ops->connect(s, NULL, &err), DF_ERR_CLOSED);
	assert_string_equal(err.text, "connector is closed");
	df_sink_free(s);
}

static void test_nobody_listens(void **state)
{
	struct df_source *s = harness_source(*state, SOURCE);
	struct df_error err;

	assert_int_equal(s->ops->connect(s, NULL, &err), DF_ERR_CONNECTION);
	assert_string_equal(err.text, "no connection to 127.0.0.1:1: Connection refused");
	assert_int_equal(s->ops->connect(s, NULL, &err), DF_ERR_CONNECTION); /* and again */
	df_source_free(s);
}

static void *close_soon(void *source)
{
	struct df_source *s = source;

	(void)!df_context_sleep(NULL, 500 * DF_NS_PER_MS);
	return (void *)(intptr_t)s->ops->close(s, NULL);
}

/* A socket that listens on a port of the system's choice. */
static int listener(int *ret_port)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } };
	socklen_t len = sizeof(at);

	assert_int_equal(bind(fd, (struct sockaddr *)&at, len) | listen(fd, 1), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &len), 0);
	*ret_port = ntohs(at.sin_port);
	return fd;
}

/* A server that takes connections and says nothing. */
static void test_close_ends_a_connect(void **state)
{
	int port;
	df_cleanup(df_closep) __attribute__((unused)) int fd = listener(&port);
	struct df_error err;
	pthread_t thread;
	void *closed;

	struct df_source *s = harness_source(
		*state, "{'type': 'mydb', 'config': {'connectionString': 'redis://127.0.0.1:%d', 'stream': 's'}}",
		port);
	int64_t start = df_clock_monotonic();
	pthread_create(&thread, NULL, close_soon, s);
	assert_int_equal(s->ops->connect(s, NULL, &err), DF_ERR_CANCELED);
	pthread_join(thread, &closed);
	assert_null(closed);
	assert_true(df_clock_monotonic() - start < 4 * DF_NS_PER_S);
	df_source_free(s);
}

/* Answers the first command at once and the second one late. */
static void *answer_late(void *listening)
{
	df_cleanup(df_closep) int fd = accept(*(int *)listening, NULL, NULL);
	char in[256];

	if (read(fd, in, sizeof(in)) <= 0 || write(fd, "+PONG\r\n", 7) != 7 || read(fd, in, sizeof(in)) <= 0)
		return NULL;
	(void)!df_context_sleep(NULL, 100 * DF_NS_PER_MS);
	(void)!write(fd, "+LATE\r\n", 7);
	(void)!read(fd, in, sizeof(in)); /* until the client is gone */
	return NULL;
}

/* The answer that nobody waited for any more is not that of the next command. */
static void test_given_up_answer(void **state)
{
	const struct df_str ping = DF_STR("PING");
	df_cleanup(mydb_disconnectp) struct mydb_client *c = NULL;
	struct df_error err = DF_ERROR_INIT;
	redisReply *reply;
	char address[64];
	pthread_t thread;
	int port;
	df_cleanup(df_closep) __attribute__((unused)) int fd = listener(&port);

	(void)state;
	snprintf(address, sizeof(address), "redis://127.0.0.1:%d", port);
	pthread_create(&thread, NULL, answer_late, &fd);
	assert_int_equal(mydb_connect(address, NULL, &c, &err), 0);
	assert_int_equal(mydb_command(c, NULL, &ping, 1, 20, &reply, &err), DF_ERR_TIMEOUT);
	(void)!df_context_sleep(NULL, 200 * DF_NS_PER_MS);
	assert_int_equal(mydb_command(c, NULL, &ping, 1, 20, &reply, &err), DF_ERR_CONNECTION);
	assert_null(reply);
	mydb_disconnect(DF_TAKE(c));
	pthread_join(thread, NULL);
}

static void test_refused_settings(void **state)
{
	static const struct {
		enum df_component_kind kind;
		const char *config, *says;
	} cases[] = {
		{ DF_SOURCE, "'stream': 's'", "connectionString" },
		{ DF_SOURCE, "'connectionString': 'redis://h'", "stream" },
		{ DF_SOURCE, "'connectionString': 'http://u:hush@h', 'stream': 's'", "secret and not shown" },
		{ DF_SOURCE, "'connectionString': 'redis://u:hush@h:http', 'stream': 's'", "secret and not shown" },
		{ DF_SOURCE, "'connectionString': 'redis://u:hush@h/x', 'stream': 's'", "secret and not shown" },
		{ DF_SOURCE, "'connectionString': 'redis://h', 'stream': 's', 'startId': 'now'", "an entry's id" },
		{ DF_SINK, "'connectionString': 'redis://h'", "stream" },
		{ DF_SINK, "'connectionString': 'redis://h', 'stream': 's', 'hash': 'h', 'conflictKey': 'id'", "hash" },
		{ DF_SINK, "'connectionString': 'redis://h', 'hash': 'h'", "conflictKey" },
		{ DF_SINK, "'connectionString': 'redis://h', 'stream': 's', 'upsertMode': true", "hash" },
		{ DF_SINK, "'connectionString': 'redis://h', 'hash': 'h', 'conflictKey': 'id', 'rawMode': true",
		  "stream" },
	};

	(void)state;
	for (size_t i = 0; i < DF_ARRAY_SIZE(cases); i++) {
		df_cleanup(df_freep) char *text =
			harness_refused(cases[i].kind, "{'type': 'mydb', 'config': {%s}}", cases[i].config);
		if (!strstr(text, cases[i].says) || strstr(text, "hush"))
			fail_msg("%s: %s", cases[i].config, text);
	}
}

static void test_restore(void **state)
{
	static const struct {
		const char *checkpoint, *says;
	} cases[] = {
		{ "{}", NULL },
		{ "{\"stream\":\"s\",\"lastReadId\":\"5-1\"}", NULL },
		{ "{\"stream\":\"other\",\"lastReadId\":\"5-1\"}", "not of the stream `s`; set checkpointReset" },
		{ "{\"stream\":\"s\",\"lastReadId\":\"x\"}", "damaged" },
		{ "{\"stream\":\"s\",\"lastReadId\":5}", "damaged" },
	};

	for (size_t i = 0; i < DF_ARRAY_SIZE(cases); i++) {
		struct df_source *s = harness_source(*state, SOURCE);
		struct df_error err = DF_ERROR_INIT;
		int code = harness_restore(s, cases[i].checkpoint, &err);

		assert_int_equal(code, cases[i].says ? DF_ERR_CONFIG : 0);
		if (cases[i].says && !strstr(err.text, cases[i].says))
			fail_msg("%s: %s", cases[i].checkpoint, err.text);
		df_source_free(s);
	}
}

static void test_codes_of_answers(void **state)
{
	static const struct {
		const char *text;
		int code;
	} cases[] = {
		{ "WRONGPASS invalid username-password pair or user is disabled.", DF_ERR_AUTH },
		{ "OOM command not allowed when used memory > 'maxmemory'.", DF_ERR_TRANSIENT },
		{ "WRONGTYPE Operation against a key holding the wrong kind of value", DF_ERR_CONFIG },
		{ "OOMEN a word that only begins like one of ours", DF_ERR_UNKNOWN },
		{ "", DF_ERR_UNKNOWN },
	};
	struct df_error err;

	(void)state;
	for (size_t i = 0; i < DF_ARRAY_SIZE(cases); i++) {
		redisReply reply = { .type = REDIS_REPLY_ERROR,
				     .str = (char *)cases[i].text,
				     .len = strlen(cases[i].text) };
		assert_int_equal(mydb_reply_error(&reply, &err), cases[i].code);
	}
	char echo[] = "ERR unknown command 'HELO', with args beginning with: 'hush'";
	redisReply reply = { .type = REDIS_REPLY_ERROR, .str = echo, .len = strlen(echo) };
	assert_int_equal(mydb_reply_error(&reply, &err), DF_ERR_CONFIG);
	assert_null(strstr(err.text, "hush"));
	assert_string_equal(err.remote, "ERR");
	reply.type = REDIS_REPLY_STRING;
	assert_int_equal(mydb_reply_error(&reply, &err), 0);
}

static int set_up(void **state)
{
	static struct harness h;

	harness_init(&h);
	*state = &h;
	return 0;
}

static int tear_down(void **state)
{
	harness_done(*state);
	return 0;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_new_source_is_not_connected),
		TEST(test_close_when_closed),
		TEST(test_connect_when_closed),
		TEST(test_nobody_listens),
		TEST(test_close_ends_a_connect),
		TEST(test_given_up_answer),
		TEST(test_refused_settings),
		TEST(test_restore),
		TEST(test_codes_of_answers),
	};

	if (df_connectors_add(&df_connector_mydb, false, NULL) != 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}

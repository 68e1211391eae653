/* The suite's proxy misbehaves exactly as it is told: a fault that comes a byte early would be a fault of the suite. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <netinet/in.h>

#include "base/clock.h"
#include "conformance/proxy_internal.h"

#define WAIT_MS 5000
#define SHORT_MS 100

/* A client and a server, and the proxy between them. */
struct line {
	int client, server; /* the ends of the connection */
	int upstream;	    /* where the server listens */
	int control;
	pid_t process;
	struct sockaddr_in address; /* the proxy's */
};

static int listener(struct sockaddr_in *ret)
{
	socklen_t len = sizeof(*ret);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	*ret = (struct sockaddr_in){ .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	assert_int_equal(bind(fd, (struct sockaddr *)ret, len), 0);
	assert_int_equal(listen(fd, 16), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)ret, &len), 0);
	return fd;
}

static uint64_t tell(struct line *l, struct df_proxy_command command)
{
	uint64_t answer = 0;

	assert_int_equal(send(l->control, &command, sizeof(command), 0), sizeof(command));
	assert_int_equal(recv(l->control, &answer, sizeof(answer), 0), sizeof(answer));
	return answer;
}

static bool readable(int fd, int ms)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	return poll(&p, 1, ms) == 1;
}

static int dial(const struct line *l)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	assert_int_equal(connect(fd, (const struct sockaddr *)&l->address, sizeof(l->address)), 0);
	return fd;
}

static void redial(struct line *l)
{
	if (l->client >= 0)
		close(l->client);
	if (l->server >= 0)
		close(l->server);
	l->client = dial(l);
	assert_true(readable(l->upstream, WAIT_MS));
	l->server = accept(l->upstream, NULL, NULL);
	assert_true(l->server >= 0);
}

static int setup(void **state)
{
	static struct line line;
	struct sockaddr_in upstream;
	struct df_proxy_ends ends = { 0 };
	int sockets[2];
	pid_t parent = getpid();

	line = (struct line){ .client = -1, .server = -1 };
	line.upstream = listener(&upstream);
	ends.listener = listener(&line.address);
	memcpy(&ends.upstream, &upstream, sizeof(upstream));
	ends.upstream_len = sizeof(upstream);
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, sockets), 0);
	ends.control = sockets[1];
	line.control = sockets[0];
	line.process = fork();
	assert_true(line.process >= 0);
	if (line.process == 0)
		df_proxy_process(&ends, parent);
	close(ends.listener);
	close(sockets[1]);
	*state = &line;
	redial(&line);
	return 0;
}

/* It ends when the rule does: when the socket pair is closed. */
static int teardown(void **state)
{
	struct line *l = *state;
	int status;

	close(l->control);
	close(l->client);
	close(l->server);
	close(l->upstream);
	assert_int_equal(waitpid(l->process, &status, 0), l->process);
	assert_int_equal(status, 0);
	return 0;
}

/* Exactly this comes, and then the end: 0 none (for SHORT_MS), 1 FIN, 2 reset. */
static void expect(int fd, const char *text, int end)
{
	char buf[256];
	size_t got = 0, len = strlen(text);
	ssize_t n;

	while (got < len) {
		assert_true(readable(fd, WAIT_MS));
		n = recv(fd, buf + got, len - got, 0);
		assert_true(n > 0);
		got += (size_t)n;
	}
	assert_memory_equal(buf, text, len);
	if (end == 0) {
		assert_false(readable(fd, SHORT_MS));
		return;
	}
	assert_true(readable(fd, WAIT_MS));
	n = recv(fd, buf, sizeof(buf), 0);
	assert_true(end == 1 ? n == 0 : n < 0 && errno == ECONNRESET);
}

static void say(int fd, const char *text)
{
	assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), (ssize_t)strlen(text));
}

/* ---- tests ------------------------------------------------------------------------------------------------- */

static void test_forwards(void **state)
{
	struct line *l = *state;

	say(l->client, "question");
	expect(l->server, "question", 0);
	say(l->server, "answer");
	expect(l->client, "answer", 0);
	assert_int_equal(tell(l, (struct df_proxy_command){ .op = DF_PROXY_BYTES, .to_server = true }), 8);
	assert_int_equal(tell(l, (struct df_proxy_command){ .op = DF_PROXY_BYTES }), 6);
	assert_int_equal(tell(l, (struct df_proxy_command){ .op = DF_PROXY_CONNECTIONS }), 1);
	/* Half a close is passed on, and the other half stays open. */
	shutdown(l->client, SHUT_WR);
	expect(l->server, "", 1);
	say(l->server, "late");
	expect(l->client, "late", 0);
}

static void test_cuts_at_the_byte(void **state)
{
	struct line *l = *state;

	for (int reset = 0; reset < 2; reset++) {
		tell(l, (struct df_proxy_command){
				.op = DF_PROXY_CUT_AFTER, .to_server = true, .number = 5, .flag = reset });
		say(l->client, "abc");
		expect(l->server, "abc", 0);
		say(l->client, "defg");
		expect(l->server, "de", 1 + reset);
		expect(l->client, "", 1 + reset);
		redial(l);
	}
	/* Nothing of an answer; and the trap is gone after it. */
	tell(l, (struct df_proxy_command){ .op = DF_PROXY_CUT_AFTER });
	say(l->client, "question");
	expect(l->server, "question", 0);
	say(l->server, "answer");
	expect(l->client, "", 1);
	redial(l);
	say(l->server, "answer");
	expect(l->client, "answer", 0);
}

/* What the server answers within a moment of the cut arrives. A busy machine may be too slow for it once. */
static void test_answer_before_the_cut(void **state)
{
	struct line *l = *state;
	char buf[16];
	ssize_t n = 0;

	for (int i = 0; i < 20 && n <= 0; i++) {
		redial(l);
		tell(l, (struct df_proxy_command){ .op = DF_PROXY_CUT_AFTER, .to_server = true, .number = 3 });
		say(l->client, "abcd");
		assert_true(readable(l->server, WAIT_MS));
		say(l->server, "answer");
		assert_true(readable(l->client, WAIT_MS));
		n = recv(l->client, buf, sizeof(buf), 0);
	}
	assert_int_equal(n, 6);
	expect(l->client, "", 1);
}

static void test_cuts_now(void **state)
{
	struct line *l = *state;

	for (int reset = 0; reset < 2; reset++) {
		say(l->client, "x");
		expect(l->server, "x", 0);
		tell(l, (struct df_proxy_command){ .op = DF_PROXY_CUT, .flag = reset });
		expect(l->client, "", 1 + reset);
		expect(l->server, "", 1 + reset);
		redial(l);
	}
}

static void test_corrupts_the_byte(void **state)
{
	struct line *l = *state;

	tell(l, (struct df_proxy_command){ .op = DF_PROXY_CORRUPT_AFTER, .number = 4 });
	say(l->server, "abc");
	expect(l->client, "abc", 0);
	say(l->server, "defg");
	expect(l->client, "d%fg", 0); /* e is 0x65, % 0x25 */
	say(l->server, "efgh");
	expect(l->client, "efgh", 0);
}

static void test_stalls(void **state)
{
	struct line *l = *state;

	tell(l, (struct df_proxy_command){ .op = DF_PROXY_STALL, .flag = true });
	say(l->client, "question");
	expect(l->server, "", 0);
	int other = dial(l); /* it is still accepted */
	say(other, "x");
	tell(l, (struct df_proxy_command){ .op = DF_PROXY_STALL });
	expect(l->server, "question", 0);
	close(other);
}

static void test_refuses(void **state)
{
	struct line *l = *state;

	tell(l, (struct df_proxy_command){ .op = DF_PROXY_REFUSE, .flag = true });
	int other = dial(l);

	expect(other, "", 2);
	close(other);
	say(l->client, "x"); /* what was there stays */
	expect(l->server, "x", 0);
	tell(l, (struct df_proxy_command){ .op = DF_PROXY_REFUSE });
	redial(l);
	assert_int_equal(tell(l, (struct df_proxy_command){ .op = DF_PROXY_CONNECTIONS }), 3);
}

static void test_delays(void **state)
{
	struct line *l = *state;
	int64_t began = df_clock_monotonic();

	tell(l, (struct df_proxy_command){ .op = DF_PROXY_DELAY, .number = 60 * DF_NS_PER_MS });
	say(l->client, "question");
	expect(l->server, "question", 0);
	assert_true(df_clock_monotonic() - began >= 60 * DF_NS_PER_MS);
}

/* 200 KB at 400 KB a second; what buffers hold does not hide it. */
static void test_limits_the_rate(void **state)
{
	static char bytes[200 * 1000], buf[200 * 1000];
	struct line *l = *state;
	int64_t began = df_clock_monotonic();
	size_t sent = 0, got = 0;

	tell(l, (struct df_proxy_command){ .op = DF_PROXY_RATE, .number = 400 * 1000 });
	while (got < sizeof(bytes)) {
		ssize_t n = sent < sizeof(bytes)
				    ? send(l->client, bytes + sent, sizeof(bytes) - sent, MSG_DONTWAIT | MSG_NOSIGNAL)
				    : 0;

		sent += n > 0 ? (size_t)n : 0;
		if (readable(l->server, 10)) {
			n = recv(l->server, buf, sizeof(buf), 0);
			assert_true(n > 0);
			got += (size_t)n;
		}
	}
	double seconds = (double)(df_clock_monotonic() - began) / (double)DF_NS_PER_S;

	assert_true(seconds > 0.4);
	assert_true(seconds < 5); /* on a machine with much else to do */
}

/* A server that is not there is one that closes at once. */
static void test_no_server(void **state)
{
	struct line *l = *state;

	shutdown(l->upstream, SHUT_RDWR);
	int other = dial(l);

	expect(other, "", 2);
	close(other);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_forwards, setup, teardown),
		cmocka_unit_test_setup_teardown(test_cuts_at_the_byte, setup, teardown),
		cmocka_unit_test_setup_teardown(test_answer_before_the_cut, setup, teardown),
		cmocka_unit_test_setup_teardown(test_cuts_now, setup, teardown),
		cmocka_unit_test_setup_teardown(test_corrupts_the_byte, setup, teardown),
		cmocka_unit_test_setup_teardown(test_stalls, setup, teardown),
		cmocka_unit_test_setup_teardown(test_refuses, setup, teardown),
		cmocka_unit_test_setup_teardown(test_delays, setup, teardown),
		cmocka_unit_test_setup_teardown(test_limits_the_rate, setup, teardown),
		cmocka_unit_test_setup_teardown(test_no_server, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

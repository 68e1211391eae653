/* The HTTP server, asked by a client that knows nothing but sockets. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "net/http_server.h"

static void handle(void *arg, const struct df_http_incoming *request, struct df_http_answer *answer)
{
	atomic_uint *calls = arg;

	++*calls;
	if (df_str_equal_c(request->path, "/big")) {
		answer->status = 200;
		for (int i = 0; i < 200000; i++)
			df_buf_printf(&answer->body, "line %d\n", i);
	} else if (df_str_equal_c(request->path, "/ill")) {
		answer->status = 503;
		answer->content_type = "text/ill";
		df_buf_add_c(&answer->body, "not well");
	} else if (df_str_equal_c(request->path, "/empty")) {
		answer->status = 200;
	} else if (df_str_equal_c(request->path, "/failed")) {
		answer->status = 200;
		df_buf_add_c(&answer->body, "half of it");
		answer->body.failed = true;
	} else if (df_str_equal_c(request->path, "/echo")) {
		struct df_str header = df_http_incoming_header(request, "x-asked");

		answer->status = 200;
		df_buf_printf(&answer->body, DF_STR_FMT " " DF_STR_FMT " " DF_STR_FMT " [" DF_STR_FMT "]",
			      DF_STR_ARG(request->method), DF_STR_ARG(request->query), header.ptr ? (int)header.len : 4,
			      header.ptr ? header.ptr : "none", DF_STR_ARG(request->body));
	}
}

static struct df_http_server *start(const char *address, atomic_uint *calls)
{
	struct df_http_server *server = NULL;
	struct df_error err = DF_ERROR_INIT;

	if (df_http_server_start(&(struct df_http_options){ address, "127.0.0.1", handle, calls }, &server, &err) < 0)
		fail_msg("%s", err.text);
	return server;
}

static int dial(const struct df_http_server *server)
{
	const char *address = df_http_server_address(server);
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	in.sin_port = htons((uint16_t)atoi(strrchr(address, ':') + 1));
	assert_int_equal(connect(fd, (struct sockaddr *)&in, sizeof(in)), 0);
	return fd;
}

/* Everything that comes back for one request. The caller frees. */
static char *ask(const struct df_http_server *server, const char *request)
{
	struct df_buf buf = { 0 };
	int fd = dial(server);
	char piece[65536];
	ssize_t n;

	assert_int_equal(write(fd, request, strlen(request)), strlen(request));
	while ((n = read(fd, piece, sizeof(piece))) > 0)
		df_buf_add(&buf, piece, (size_t)n);
	close(fd);
	return df_buf_take(&buf);
}

#define GET(path) "GET " path " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"

static void assert_answer(const struct df_http_server *server, const char *request, const char *status, const char *end)
{
	char *text = ask(server, request);

	assert_non_null(text);
	if (!strstr(text, status) || strlen(text) < strlen(end) || strcmp(text + strlen(text) - strlen(end), end) != 0)
		fail_msg("%s\ngave\n%s\nnot %s ... %s", request, text, status, end);
	free(text);
}

static void answers_of_the_handler_arrive(void **state)
{
	atomic_uint calls = 0;
	struct df_http_server *server = start("0", &calls);
	char *text;

	(void)state;
	assert_memory_equal(df_http_server_address(server), "127.0.0.1:", 10);
	assert_answer(server, GET("/ill"), "HTTP/1.1 503 ", "\r\n\r\nnot well");
	assert_answer(server, GET("/ill?a=b"), "Content-Type: text/ill\r\n", "not well");
	assert_answer(server, GET("/big"), "HTTP/1.1 200 ", "line 199999\n");
	assert_answer(server, GET("/empty"), "HTTP/1.1 200 ", "\r\n\r\n");
	assert_answer(server, GET("/nothing"), "HTTP/1.1 404 ", "not found\n");
	text = ask(server, GET("/failed"));
	assert_non_null(strstr(text, "HTTP/1.1 500 "));
	assert_null(strstr(text, "half"));
	free(text);
	assert_int_equal(calls, 6);
	df_http_server_stop(server);
}

static void other_methods_are_refused(void **state)
{
	atomic_uint calls = 0;
	struct df_http_server *server = start("127.0.0.1:0", &calls);

	(void)state;
	assert_answer(server, "POST /ill HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nConnection: close\r\n\r\nbody",
		      "HTTP/1.1 405 ", "only GET and HEAD\n");
	assert_answer(server, "DELETE /ill HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", "Allow: GET, HEAD\r\n",
		      "HEAD\n");
	assert_int_equal(calls, 0);
	assert_answer(server, "HEAD /ill HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", "HTTP/1.1 503 ",
		      "\r\n\r\n");
	assert_int_equal(calls, 1);
	df_http_server_stop(server);
}

static void query_and_headers_are_handed_on(void **state)
{
	atomic_uint calls = 0;
	struct df_http_server *server = start("0", &calls);

	(void)state;
	assert_answer(server, GET("/echo"), "HTTP/1.1 200 ", "\r\n\r\nGET  none []");
	assert_answer(server, GET("/echo?name=a%20b&x"), "HTTP/1.1 200 ", "\r\n\r\nGET name=a%20b&x none []");
	assert_answer(server, "GET /echo? HTTP/1.1\r\nHost: x\r\nX-Asked: 8.5\r\nConnection: close\r\n\r\n",
		      "HTTP/1.1 200 ", "\r\n\r\nGET  8.5 []");
	df_http_server_stop(server);
}

#define BODY_MAX 100000
#define POST(size) "POST /echo HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: " size "\r\n\r\n"

static struct df_http_server *start_for_bodies(atomic_uint *calls)
{
	struct df_http_server *server = NULL;
	struct df_error err = DF_ERROR_INIT;

	if (df_http_server_start(&(struct df_http_options){ .address = "127.0.0.1:0",
							    .handle = handle,
							    .arg = calls,
							    .max_body = BODY_MAX,
							    .threads = 3 },
				 &server, &err) < 0)
		fail_msg("%s", err.text);
	return server;
}

/* head and size bytes of `x`. The caller frees. */
static char *with_body(const char *head, size_t size)
{
	struct df_buf buf = { 0 };

	df_buf_add_c(&buf, head);
	memset(df_buf_reserve(&buf, size), 'x', size);
	buf.len += size;
	return df_buf_take(&buf);
}

static void bodies_are_taken_up_to_a_limit(void **state)
{
	atomic_uint calls = 0;
	struct df_http_server *server = start_for_bodies(&calls);
	char *request;

	(void)state;
	assert_answer(server, POST("5") "hello", "HTTP/1.1 200 ", "\r\n\r\nPOST  none [hello]");
	assert_answer(server, POST("0"), "HTTP/1.1 200 ", "\r\n\r\nPOST  none []");
	/* A connection is for one request. */
	assert_answer(server, "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nhi", "Connection: close\r\n",
		      "\r\n\r\nPOST  none [hi]");
	assert_answer(server,
		      "POST /echo?q HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
		      "3\r\nabc\r\n4\r\ndefg\r\n0\r\n\r\n",
		      "HTTP/1.1 200 ", "\r\n\r\nPOST q none [abcdefg]");
	assert_answer(server, "PUT /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nConnection: close\r\n\r\nx",
		      "HTTP/1.1 405 ", "only GET, HEAD and POST\n");
	assert_answer(server, GET("/echo"), "HTTP/1.1 200 ", "GET  none []");
	assert_int_equal(calls, 5);
	request = with_body(POST("100000"), BODY_MAX);
	assert_answer(server, request, "HTTP/1.1 200 ", "xxxx]");
	free(request);
	assert_int_equal(calls, 6);
	request = with_body(POST("100001"), BODY_MAX + 1);
	assert_answer(server, request, "HTTP/1.1 413 ", "the body is too large\n");
	free(request);
	assert_int_equal(calls, 6); /* it was not asked */
	df_http_server_stop(server);
}

static bool has_status(const struct df_http_server *server, const char *request, const char *status)
{
	char *answer = ask(server, request);
	bool has = answer && strstr(answer, status);

	free(answer);
	return has;
}

/* Bodies that wait for their end share what may be held; when that is used up others are told to come later, and it is
 * given back with the connections. */
static void bodies_together_have_a_limit_too(void **state)
{
	char *half = with_body(POST("100000"), BODY_MAX - 1), *whole = with_body(POST("100000"), BODY_MAX);
	struct df_http_server *server = NULL;
	atomic_uint calls = 0;
	bool busy = false;
	int fds[8];

	(void)state;
	/* One who asks before they have been read takes the room of one of them, which then waits no more: anew. */
	for (useconds_t pause = 10000; pause < 2000000 && !busy; pause *= 2) {
		df_http_server_stop(server);
		server = start_for_bodies(&calls);
		for (size_t i = 0; i < 8; i++) {
			fds[i] = dial(server);
			assert_int_equal(write(fds[i], half, strlen(half)), strlen(half));
		}
		usleep(pause);
		busy = has_status(server, whole, "HTTP/1.1 503 ");
		for (size_t i = 0; i < 8; i++)
			close(fds[i]);
	}
	assert_true(busy);
	for (int i = 0; i < 300 && busy; i++) {
		busy = !has_status(server, whole, "HTTP/1.1 200 ");
		usleep(10000);
	}
	assert_false(busy);
	free(half);
	free(whole);
	df_http_server_stop(server);
}

static void a_request_that_never_ends_does_not_stop_others(void **state)
{
	atomic_uint calls = 0;
	struct df_http_server *server = start("0", &calls);
	int slow = dial(server);

	(void)state;
	assert_int_equal(write(slow, "GET /ill HT", 11), 11);
	assert_answer(server, GET("/ill"), "HTTP/1.1 503 ", "not well");
	df_http_server_stop(server); /* nor does it keep the server from stopping */
	close(slow);
}

static void a_port_in_use_is_told(void **state)
{
	atomic_uint calls = 0;
	struct df_http_server *server = start("0", &calls), *second;
	struct df_error err = DF_ERROR_INIT;

	(void)state;
	assert_int_equal(
		df_http_server_start(&(struct df_http_options){ df_http_server_address(server), NULL, handle, &calls },
				     &second, &err),
		DF_ERR_CONFIG);
	assert_null(second);
	assert_non_null(strstr(err.text, df_http_server_address(server)));
	assert_non_null(strstr(err.text, "another process does"));
	df_http_server_stop(server);
}

static void addresses(void **state)
{
	static const char *const bad[] = {
		"",	 ":",	    "x", "127.0.0.1", "127.0.0.1:", "127.0.0.1:65536", "::1:80", "127.0.0.1:-1",
		"[]:80", "host:80x"
	};
	struct df_http_server *server;
	struct df_error err;
	atomic_uint calls = 0;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		err = DF_ERROR_INIT;
		assert_int_equal(
			df_http_server_start(&(struct df_http_options){ bad[i], NULL, handle, &calls }, &server, &err),
			DF_ERR_CONFIG);
		if (!strstr(err.text, "is not an address to listen on"))
			fail_msg("`%s`: %s", bad[i], err.text);
	}
	/* All addresses, so also the loopback. */
	assert_int_equal(df_http_server_start(&(struct df_http_options){ ":0", NULL, handle, &calls }, &server, &err),
			 0);
	assert_answer(server, GET("/ill"), "HTTP/1.1 503 ", "not well");
	df_http_server_stop(server);
	server = start("localhost:0", &calls);
	df_http_server_stop(server);
	df_http_server_stop(NULL);
}

static void test_accept(void **state)
{
	static const char open[] = "application/openmetrics-text";
	struct df_str prometheus = DF_STR("application/openmetrics-text;version=1.0.0;q=0.5,"
					  "application/openmetrics-text;version=0.0.1;q=0.4, "
					  "Text/Plain;version=0.0.4; Q=0.3,*/*;q=0.2");

	(void)state;
	assert_int_equal(df_http_accepts(prometheus, open), 500);
	assert_int_equal(df_http_accepts(prometheus, "text/plain"), 300);
	assert_int_equal(df_http_accepts(prometheus, "text/html"), 0);
	assert_int_equal(df_http_accepts(DF_STR("*/*"), open), 0);
	assert_int_equal(df_http_accepts(df_str(NULL, 0), open), 0);
	assert_int_equal(df_http_accepts(DF_STR(",;,;q=,a/b"), "a/b"), 1000);
	assert_int_equal(df_http_accepts(DF_STR("a/b;q=0"), "a/b"), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(answers_of_the_handler_arrive),
		cmocka_unit_test(other_methods_are_refused),
		cmocka_unit_test(query_and_headers_are_handed_on),
		cmocka_unit_test(bodies_are_taken_up_to_a_limit),
		cmocka_unit_test(bodies_together_have_a_limit_too),
		cmocka_unit_test(a_request_that_never_ends_does_not_stop_others),
		cmocka_unit_test(a_port_in_use_is_told),
		cmocka_unit_test(test_accept),
		cmocka_unit_test(addresses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

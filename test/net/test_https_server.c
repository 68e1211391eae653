/* The HTTPS server: TLS versions, certificates that change while others ask. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "net/certificate.h"
#include "net/http_client.h"
#include "net/http_server.h"

#define YEAR (365 * 24 * 3600)

static const char *const names[] = { "hook.space.svc", "localhost", "127.0.0.1" };

static void handle(void *arg, const struct df_http_incoming *request, struct df_http_answer *answer)
{
	(void)arg;
	answer->status = 200;
	df_buf_printf(&answer->body, DF_STR_FMT " %zu", DF_STR_ARG(request->method), request->body.len);
}

static struct df_http_server *start(void)
{
	struct df_http_server *server = NULL;
	struct df_error err = DF_ERROR_INIT;

	if (df_http_server_start(&(struct df_http_options){ .address = "127.0.0.1:0",
							    .handle = handle,
							    .max_body = 3 << 20,
							    .threads = 3,
							    .tls = true },
				 &server, &err) < 0)
		fail_msg("%s", err.text);
	return server;
}

static void make(struct df_certificate *ret)
{
	struct df_error err = DF_ERROR_INIT;

	if (df_certificate_make(names, 3, time(NULL) - 60, time(NULL) + YEAR, ret, &err) < 0)
		fail_msg("%s", err.text);
}

static void identify(struct df_http_server *server, const struct df_certificate *c)
{
	struct df_error err = DF_ERROR_INIT;

	if (df_http_server_identity(server, df_str_c(c->cert), df_str_c(c->key), &err) < 0)
		fail_msg("%s", err.text);
}

/* One request on a connection of its own, of somebody who trusts `ca`. 0 or the client's code. */
static int post(const struct df_http_server *server, const char *ca, size_t size, struct df_error *err)
{
	struct df_tls tls = { .ca = ca };
	df_cleanup(df_http_client_freep) struct df_http_client *client = NULL;
	struct df_http_response response;
	struct df_buf body = { 0 };
	char url[128], want[64];
	int code;

	snprintf(url, sizeof(url), "https://%s/", df_http_server_address(server));
	memset(df_buf_reserve(&body, size), 'x', size);
	body.len = size;
	code = df_http_client_new(&(struct df_http_client_options){ .tls = &tls }, &client, err);
	if (code == 0) {
		code = df_http_request(client, NULL,
				       &(struct df_http_request){
					       .url = url, .body = df_buf_str(&body), .timeout_ns = 20 * DF_NS_PER_S },
				       &response, err);
		snprintf(want, sizeof(want), "POST %zu", size);
		if (code == 0 && (response.status != 200 || strcmp(df_buf_c(&response.body), want) != 0))
			code = df_error_set(err, DF_ERR_UNKNOWN, "%d %s", response.status, df_buf_c(&response.body));
		df_http_response_done(&response);
	}
	df_buf_done(&body);
	return code;
}

static void made_certificates_are_good(void **state)
{
	struct df_http_server *server = start();
	struct df_certificate one, two;
	struct df_error err = DF_ERROR_INIT;

	(void)state;
	make(&one);
	make(&two);
	assert_int_not_equal(post(server, one.ca, 1, &err), 0); /* none yet */
	identify(server, &one);
	if (post(server, one.ca, 1 << 20, &err) < 0)
		fail_msg("%s", err.text);
	assert_int_equal(post(server, two.ca, 1, &err), DF_ERR_AUTH);
	identify(server, &two);
	assert_int_equal(post(server, one.ca, 1, &err), DF_ERR_AUTH);
	if (post(server, two.ca, 1, &err) < 0)
		fail_msg("%s", err.text);
	df_certificate_done(&one);
	df_certificate_done(&two);
	df_http_server_stop(server);
}

static void what_is_no_pair_changes_nothing(void **state)
{
	struct df_http_server *server = start();
	struct df_certificate one, two;
	struct df_error err = DF_ERROR_INIT;

	(void)state;
	make(&one);
	make(&two);
	identify(server, &one);
	assert_int_equal(df_http_server_identity(server, df_str_c(two.cert), df_str_c(one.key), &err), DF_ERR_CONFIG);
	assert_non_null(strstr(err.text, "do not belong together"));
	assert_int_equal(df_http_server_identity(server, df_str_c("x"), df_str_c(one.key), &err), DF_ERR_CONFIG);
	assert_int_equal(df_http_server_identity(server, df_str_c(two.cert), df_str_c(""), &err), DF_ERR_CONFIG);
	assert_null(strstr(err.text, "BEGIN"));
	if (post(server, one.ca, 1, &err) < 0)
		fail_msg("%s", err.text);
	df_certificate_done(&one);
	df_certificate_done(&two);
	df_http_server_stop(server);
}

static void facts_of_a_certificate(void **state)
{
	struct df_certificate_facts facts;
	struct df_certificate one;
	struct df_error err;

	(void)state;
	assert_int_equal(df_certificate_make(names, 3, 1000000000, 1000003600, &one, &err), 0);
	assert_int_equal(df_certificate_look(df_str_c(one.cert), df_str_c(one.key), "hook.space.svc", &facts, &err), 0);
	assert_int_equal(facts.from, 1000000000);
	assert_int_equal(facts.until, 1000003600);
	assert_true(facts.names);
	assert_int_equal(df_certificate_look(df_str_c(one.cert), df_str_c(one.key), "127.0.0.1", &facts, &err), 0);
	assert_true(facts.names);
	assert_int_equal(df_certificate_look(df_str_c(one.cert), df_str_c(one.key), "other.space.svc", &facts, &err),
			 0);
	assert_false(facts.names);
	df_certificate_done(&one);
}

/* ---- versions -------------------------------------------------------------------------------------------- */

static int dial(const struct df_http_server *server)
{
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct timeval limit = { .tv_sec = 10 };
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	in.sin_port = htons((uint16_t)atoi(strrchr(df_http_server_address(server), ':') + 1));
	assert_int_equal(connect(fd, (struct sockaddr *)&in, sizeof(in)), 0);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	return fd;
}

/* A ClientHello (RFC 5246, 7.4.1.2) of this version with ECDHE-ECDSA suites of it and of 1.2, and curve P-256. Returns
 * the type of the first record that comes back (22: handshake), 0: the connection was closed. */
static int hello(const struct df_http_server *server, unsigned char version)
{
	unsigned char text[] = {
		22,	  3,	   1,	 0,    0,	   /* record: handshake, length below */
		1,	  0,	   0,	 0,		   /* ClientHello, length below */
		3,	  version,			   /* client_version */
		[43] = 0,				   /* 32 random bytes before it; no session */
		0,	  4,	   0xc0, 0x09, 0xc0, 0x2b, /* ECDHE_ECDSA with AES_128_CBC_SHA, AES_128_GCM_SHA256 */
		1,	  0,				   /* no compression */
		0,	  22,				   /* extensions */
		0,	  10,	   0,	 4,    0,    2,	   0, 23, /* groups: secp256r1 */
		0,	  11,	   0,	 2,    1,    0,		  /* points: uncompressed */
		0,	  13,	   0,	 4,    0,    2,	   4, 3,  /* signatures: ecdsa_secp256r1_sha256 */
	};
	unsigned char type = 0;
	int fd = dial(server);
	ssize_t n;

	text[4] = sizeof(text) - 5;
	text[8] = sizeof(text) - 9;
	assert_int_equal(write(fd, text, sizeof(text)), sizeof(text));
	n = read(fd, &type, 1);
	assert_true(n >= 0);
	close(fd);
	return type;
}

static void old_versions_are_refused(void **state)
{
	struct df_http_server *server = start();
	struct df_certificate one;

	(void)state;
	make(&one);
	identify(server, &one);
	assert_int_equal(hello(server, 3), 22); /* TLS 1.2 */
	for (unsigned char version = 0; version < 3; version++)
		assert_int_not_equal(hello(server, version), 22);
	df_certificate_done(&one);
	df_http_server_stop(server);
}

/* A client that connects and says nothing keeps nobody. */
static void others_do_not_wait_for_the_slow(void **state)
{
	struct df_http_server *server = start();
	struct df_certificate one;
	struct df_error err = DF_ERROR_INIT;
	int fds[20];

	(void)state;
	make(&one);
	identify(server, &one);
	for (size_t i = 0; i < 20; i++)
		fds[i] = dial(server);
	if (post(server, one.ca, 1, &err) < 0)
		fail_msg("%s", err.text);
	for (size_t i = 0; i < 20; i++)
		close(fds[i]);
	df_certificate_done(&one);
	df_http_server_stop(server);
}

/* ---- changing it under load ------------------------------------------------------------------------------ */

struct load {
	const struct df_http_server *server;
	const char *ca; /* both */
	_Atomic bool stop;
	atomic_uint asked, failed;
	struct df_error why;
	pthread_mutex_t lock;
};

static void *ask(void *arg)
{
	struct load *load = arg;
	struct df_error err = DF_ERROR_INIT;

	while (!load->stop) {
		if (post(load->server, load->ca, 1000, &err) < 0) {
			load->failed++;
			pthread_mutex_lock(&load->lock);
			load->why = err;
			pthread_mutex_unlock(&load->lock);
		}
		load->asked++;
	}
	return NULL;
}

static void no_request_fails_while_it_changes(void **state)
{
	struct df_http_server *server = start();
	struct load load = { .server = server, .lock = PTHREAD_MUTEX_INITIALIZER };
	struct df_certificate certificates[2];
	struct df_buf both = { 0 };
	pthread_t threads[3];

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		make(&certificates[i]);
		df_buf_add_c(&both, certificates[i].ca);
	}
	identify(server, &certificates[0]);
	load.ca = df_buf_c(&both);
	for (size_t i = 0; i < 3; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, ask, &load), 0);
	for (int i = 0; i < 100 || load.asked < 20; i++) {
		identify(server, &certificates[i % 2]);
		usleep(2000);
	}
	load.stop = true;
	for (size_t i = 0; i < 3; i++)
		pthread_join(threads[i], NULL);
	if (load.failed)
		fail_msg("%u of %u: %s", load.failed, load.asked, load.why.text);
	df_certificate_done(&certificates[0]);
	df_certificate_done(&certificates[1]);
	df_buf_done(&both);
	df_http_server_stop(server);
}

static void there_is_one_at_a_time(void **state)
{
	struct df_http_server *server = start(), *second;
	struct df_error err = DF_ERROR_INIT;

	(void)state;
	assert_int_equal(
		df_http_server_start(&(struct df_http_options){ "127.0.0.1:0", NULL, handle, NULL, .tls = true },
				     &second, &err),
		DF_ERR_CONFIG);
	df_http_server_stop(server);
	server = start();
	df_http_server_stop(server);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(made_certificates_are_good),	   cmocka_unit_test(what_is_no_pair_changes_nothing),
		cmocka_unit_test(facts_of_a_certificate),	   cmocka_unit_test(old_versions_are_refused),
		cmocka_unit_test(others_do_not_wait_for_the_slow), cmocka_unit_test(no_request_fails_while_it_changes),
		cmocka_unit_test(there_is_one_at_a_time),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

#include "test/kube/fake.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"

enum { RULES = 32, REQUESTS = 256 };

struct df_kube_client *fake_client;
struct df_kube_client_options fake_options;

static struct df_kube_config config;
static char url[64];
static int listener;
static pthread_t thread;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static struct rule {
	const char *request, *headers, *body;
	int status;
} rules[RULES];
static struct request {
	char *line, *body;
} requests[REQUESTS];
static size_t rule_count, request_count;
static struct df_buf all;

static void must(bool fine, const char *what)
{
	if (fine)
		return;
	perror(what);
	abort();
}

/* ---- a request ------------------------------------------------------------------------------------------- */

static size_t content_length(const char *head)
{
	const char *at = strcasestr(head, "\r\nContent-Length:");

	return at ? strtoul(at + strlen("\r\nContent-Length:"), NULL, 10) : 0;
}

/* Head and body; "" when the connection ends before. */
static struct df_buf receive(int fd)
{
	struct df_buf got = { 0 };
	char piece[4096], *end;
	ssize_t n;

	for (;;) {
		end = got.len ? strstr(df_buf_c(&got), "\r\n\r\n") : NULL;
		if (end && got.len >= (size_t)(end - df_buf_c(&got)) + 4 + content_length(df_buf_c(&got)))
			return got;
		n = recv(fd, piece, sizeof(piece), 0);
		if (n <= 0) {
			got.len = 0;
			return got;
		}
		df_buf_add(&got, piece, (size_t)n);
	}
}

static bool begins(const char *line, const char *with)
{
	return strncmp(line, with, strlen(with)) == 0;
}

static void remember(const char *line, const char *body)
{
	must(request_count < REQUESTS, "too many requests");
	requests[request_count++] = (struct request){ strdup(line), strdup(body) };
}

/* ---- the answer ------------------------------------------------------------------------------------------ */

static const char *reason_of(int status)
{
	static const struct {
		int status;
		const char *reason;
	} reasons[] = { { 403, "Forbidden" },	      { 404, "NotFound" },	  { 409, "Conflict" },
			{ 422, "Invalid" },	      { 429, "TooManyRequests" }, { 500, "InternalError" },
			{ 503, "ServiceUnavailable" } };

	for (size_t i = 0; i < DF_ARRAY_SIZE(reasons); i++)
		if (reasons[i].status == status)
			return reasons[i].reason;
	return "";
}

static void add_status(struct df_buf *body, int status)
{
	df_buf_printf(body, "{\"kind\":\"Status\",\"message\":\"refused by the test\",\"reason\":\"%s\",\"code\":%d}",
		      reason_of(status), status);
}

static void answer(int fd, const char *line, const char *body)
{
	df_cleanup(df_buf_done) struct df_buf head = { 0 }, content = { 0 };
	const struct rule *rule = NULL;
	int status;

	for (size_t i = 0; i < rule_count; i++)
		if (begins(line, rules[i].request))
			rule = &rules[i];
	status = rule ? rule->status : begins(line, "GET ") ? 404 : 200;
	if (rule && rule->body) {
		df_buf_add_c(&content, rule->body);
		for (size_t i = 0; i < content.len; i++)
			if (content.data[i] == '\'')
				content.data[i] = '"';
	} else if (status >= 300) {
		add_status(&content, status);
	} else {
		df_buf_add_c(&content, *body == '{' ? body : "{}");
	}
	df_buf_printf(
		&head,
		"HTTP/1.1 %d x\r\nContent-Type: application/json\r\nConnection: close\r\n%sContent-Length: %zu\r\n\r\n",
		status, rule ? rule->headers : "", content.len);
	df_buf_add_str(&head, df_buf_str(&content));
	for (size_t sent = 0; sent < head.len;) {
		ssize_t n = send(fd, head.data + sent, head.len - sent, MSG_NOSIGNAL);

		if (n <= 0)
			return;
		sent += (size_t)n;
	}
}

static void serve(int fd)
{
	df_cleanup(df_buf_done) struct df_buf got = receive(fd);
	char *text, *body, *end;

	if (!got.len)
		return;
	text = (char *)df_buf_c(&got);
	body = strstr(text, "\r\n\r\n") + 4;
	end = strstr(text, " HTTP/1.1\r\n");
	must(end != NULL, "no HTTP/1.1");
	*end = 0;
	DF_LOCK_SCOPE(&lock);
	remember(text, body);
	answer(fd, text, body);
}

static void *run(void *arg)
{
	int fd;

	(void)arg;
	while ((fd = accept(listener, NULL, NULL)) >= 0) {
		serve(fd);
		close(fd);
	}
	return NULL;
}

/* ---- for tests ------------------------------------------------------------------------------------------- */

void fake_start(void)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(at);
	struct df_error err = DF_ERROR_INIT;

	listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	must(listener >= 0 && bind(listener, (struct sockaddr *)&at, len) == 0 && listen(listener, 16) == 0 &&
		     getsockname(listener, (struct sockaddr *)&at, &len) == 0,
	     "listening");
	snprintf(url, sizeof(url), "http://127.0.0.1:%d", ntohs(at.sin_port));
	setenv("no_proxy", "127.0.0.1", 1);
	config = (struct df_kube_config){ .server = url };
	fake_options = (struct df_kube_client_options){ .config = &config, .field_manager = "dataflow-operator" };
	must(df_kube_client_new(&fake_options, &fake_client, &err) == 0, err.text);
	must(pthread_create(&thread, NULL, run, NULL) == 0, "a thread");
}

void fake_stop(void)
{
	shutdown(listener, SHUT_RDWR);
	pthread_join(thread, NULL);
	close(listener);
	df_kube_client_free(fake_client);
	fake_client = NULL;
	fake_forget();
	df_buf_done(&all);
}

void fake_on(const char *request, int status, const char *headers, const char *body)
{
	DF_LOCK_SCOPE(&lock);
	must(rule_count < RULES, "too many rules");
	rules[rule_count++] = (struct rule){ request, headers, body, status };
}

int fake_asked(const char *request)
{
	DF_LOCK_SCOPE(&lock);
	int n = 0;

	for (size_t i = 0; i < request_count; i++)
		n += begins(requests[i].line, request);
	return n;
}

const char *fake_body(const char *request)
{
	DF_LOCK_SCOPE(&lock);
	const char *body = NULL;

	for (size_t i = 0; i < request_count; i++)
		if (begins(requests[i].line, request))
			body = requests[i].body;
	return body;
}

const char *fake_requests(void)
{
	DF_LOCK_SCOPE(&lock);
	all.len = 0;
	for (size_t i = 0; i < request_count; i++)
		df_buf_printf(&all, "%s %s\n", requests[i].line, requests[i].body);
	return df_buf_c(&all);
}

void fake_forget(void)
{
	DF_LOCK_SCOPE(&lock);
	for (size_t i = 0; i < request_count; i++) {
		free(requests[i].line);
		free(requests[i].body);
	}
	request_count = rule_count = 0;
}

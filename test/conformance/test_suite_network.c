/* The rules about networks, on a source that talks to a server of the test's, well or in ways that they must see. */
#include "suite_harness.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>

/* ---- a server: it greets with one byte, and then says nothing ---------------------------------------------- */

static char server[32];

static void serve(int fd)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (;;) {
		int peer = accept(fd, NULL, NULL);

		if (peer >= 0 && write(peer, "+", 1) != 1)
			close(peer);
	}
}

static int start_server(void **state)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(at);
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	static pid_t pid;

	assert_true(fd >= 0 && bind(fd, (struct sockaddr *)&at, len) == 0 && listen(fd, 64) == 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &len), 0);
	snprintf(server, sizeof(server), "127.0.0.1:%u", ntohs(at.sin_port));
	pid = fork();
	if (pid == 0)
		serve(fd);
	close(fd);
	*state = &pid;
	return pid > 0 ? 0 : -1;
}

static int stop_server(void **state)
{
	return kill(*(pid_t *)*state, SIGKILL);
}

/* ---- a source: it connects, waits for the greeting, and then for rows --------------------------------------- */

struct caller_settings {
	char *address;
	char *mode;
};

static const struct df_field caller_fields[] = {
	DF_FIELD(struct caller_settings, address, "address", DF_REQUIRED, .doc = "HOST:PORT."),
	DF_FIELD(struct caller_settings, mode, "mode", 0, .def = "good", .doc = "What it does wrong."),
};
static const struct df_table caller_table = DF_TABLE(struct caller_settings, caller_fields);

struct caller {
	struct df_base_connector_rw base;
	const struct caller_settings *settings;
	int fd;
};

static struct caller *caller_of(struct df_source *s)
{
	return DF_CONTAINER_OF(s, struct caller, base.state.source);
}

static bool does(const struct caller *c, const char *mode)
{
	return strcmp(c->settings->mode, mode) == 0;
}

static const struct df_source_ops caller_ops;

static int caller_create(const void *settings, const struct df_connector_env *env, struct df_source **ret,
			 struct df_error *err)
{
	struct caller *c = df_base_rw_source_new(sizeof(*c), &caller_ops, env, err);

	if (!c)
		return DF_ERR_NO_MEMORY;
	c->settings = settings;
	c->fd = -1;
	*ret = &c->base.state.source;
	return 0;
}

/* Connecting to this machine never waits. */
static int call(const struct caller *c, int *ret, struct df_error *err)
{
	const char *colon = strchr(c->settings->address, ':');
	struct sockaddr_in to = { .sin_family = AF_INET,
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
				  .sin_port = htons((uint16_t)strtoul(colon + 1, NULL, 10)) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof(to)) < 0) {
		int errnum = errno;

		if (fd >= 0 && !does(c, "refused-leaks"))
			close(fd);
		return df_error_errno(err, does(c, "refused-is-config") ? DF_ERR_CONFIG : DF_ERR_CONNECTION, errnum,
				      "cannot connect to %s", c->settings->address);
	}
	*ret = fd;
	return 0;
}

static int greet(const struct caller *c, struct df_context *ctx, int fd, struct df_error *err)
{
	bool deaf = does(c, "deaf");
	int r = df_context_wait_fd(deaf ? NULL : ctx, fd, POLLIN, does(c, "patient") ? -1 : 3000);
	char byte;

	if (r == DF_ERR_CANCELED || (r == DF_ERR_TIMEOUT && df_context_canceled(ctx)))
		return deaf ? 0 : df_context_check(ctx, err);
	if (r < 0)
		return df_error_set(err, does(c, "timeout-is-unknown") ? DF_ERR_UNKNOWN : DF_ERR_TIMEOUT,
				    "%s says nothing", c->settings->address);
	if (read(fd, &byte, 1) == 1)
		return 0;
	return df_error_set(err, DF_ERR_CONNECTION, "%s hung up", c->settings->address);
}

static int caller_connect(struct df_source *s, struct df_context *ctx, struct df_error *err)
{
	df_cleanup(df_base_call_end) struct df_base_call use = { 0 };
	df_cleanup(df_closep) int fd = -1;
	struct caller *c = caller_of(s);
	int r = df_base_rw_connect(&c->base, ctx, &use, err);

	if (r < 0 || c->base.state.connected)
		return r;
	r = call(c, &fd, err);
	if (r == 0)
		r = greet(c, does(c, "own-context-unused") ? ctx : use.ctx, fd, err);
	if (r < 0)
		return r;
	c->fd = DF_TAKE_FD(fd);
	c->base.state.connected = true;
	return 0;
}

static int caller_read(struct df_source *s, struct df_context *ctx, struct df_emitter *out, struct df_error *err)
{
	df_cleanup(df_base_call_end) struct df_base_call use = { 0 };
	struct caller *c = caller_of(s);
	int r = df_base_rw_use(&c->base, ctx, &use, err);

	(void)out;
	if (r < 0 || c->base.state.env.once)
		return r;
	r = df_context_wait_fd(does(c, "reads-deaf") ? ctx : use.ctx, c->fd, POLLIN, -1);
	return r == 0 ? df_error_set(err, DF_ERR_CONNECTION, "%s hung up", c->settings->address)
		      : df_context_check(use.ctx, err);
}

static int caller_close(struct df_source *s, struct df_error *err)
{
	struct caller *c = caller_of(s);

	(void)err;
	if (df_base_rw_guard_close(&c->base))
		return 0;
	DF_UNLOCK_ON_RETURN(&c->base);
	df_closep(&c->fd);
	c->fd = -1;
	return 0;
}

static void caller_free(struct df_source *s)
{
	if (s && caller_close(s, NULL) == 0)
		df_base_connector_rw_free(&caller_of(s)->base);
}

static const struct df_source_ops caller_ops = { .create = caller_create,
						 .connect = caller_connect,
						 .read = caller_read,
						 .close = caller_close,
						 .free = caller_free };
static const struct df_type caller_type = { .name = "caller", .title = "Calls", .settings = &caller_table };
static const struct df_connector caller = { .source = &caller_type, .source_ops = &caller_ops };

/* ---- tests ----------------------------------------------------------------------------------------------- */

static char *verdict(const char *mode, const char *rule, const struct suite_limits *limits)
{
	char source[128];

	snprintf(source, sizeof(source), "{type: caller, config: {address: \"{address}\", mode: %s}}", mode);
	return suite_verdict(source, server, rule, limits);
}

static void must_pass(const char *rule)
{
	char *seen = verdict("good", rule, &suite_patient);

	if (seen)
		fail_msg("%s", seen);
	assert_true(suite_passed() > 0);
}

static void must_fail(const char *mode, const char *rule, const char *said)
{
	char *seen = verdict(mode, rule, &suite_usual);

	if (!seen || !strstr(seen, said))
		fail_msg("%s: the rule %s saw \"%s\", not \"%s\"", mode, rule, seen ? seen : "(it passed)", said);
	free(seen);
}

static void test_good(void **state)
{
	(void)state;
	must_pass("settings.closed-port");
	must_pass("settings.silent-server");
	must_pass("lifecycle.close-when-silent");
	must_pass("lifecycle");
	/* All but those that need rows or a sink. */
	assert_true(suite_passed() >= 19);
}

static void test_connect_that_hears_nothing(void **state)
{
	(void)state;
	must_fail("deaf", "lifecycle.close-during-silent-connect", "close of the source did not return within 1.0 s");
	must_fail("deaf", "lifecycle.cancel-connect",
		  "connect whose context was cancelled did not return within 1.0 s");
	must_fail("deaf", "lifecycle.connect-deadline", "did not return within 1.6 s");
	must_fail("own-context-unused", "lifecycle.close-during-silent-connect", "did not return within 1.0 s");
}

static void test_read_that_hears_nothing(void **state)
{
	(void)state;
	must_fail("reads-deaf", "lifecycle.close-when-silent", "close of the source did not return within 1.0 s");
	must_fail("reads-deaf", "lifecycle.close-during-read", "close of the source did not return within 1.0 s");
}

static void test_wrong_codes(void **state)
{
	(void)state;
	must_fail("refused-is-config", "settings.closed-port",
		  "expected connection_error, saw unknown: cannot connect");
	must_fail("timeout-is-unknown", "settings.silent-server", "expected timeout or connection_error, saw unknown");
}

static void test_left(void **state)
{
	(void)state;
	must_fail("refused-leaks", "lifecycle.free-refused", "descriptors more are open");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good),
		cmocka_unit_test(test_connect_that_hears_nothing),
		cmocka_unit_test(test_read_that_hears_nothing),
		cmocka_unit_test(test_wrong_codes),
		cmocka_unit_test(test_left),
	};

	if (suite_add(&caller) < 0)
		return 1;
	return suite_end(cmocka_run_group_tests(tests, start_server, stop_server));
}

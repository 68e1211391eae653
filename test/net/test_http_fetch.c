/* Many GETs at once against a server that also misbehaves (http_peer.py). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/clock.h"
#include "net/http_fetch.h"
#include "test/net/http_peer.h"

#define S DF_NS_PER_S
#define MS DF_NS_PER_MS
#define MAX 400

/* What came of each URL. */
static struct {
	char url[MAX][128];
	const char *urls[MAX];
	size_t n;
	int ended[MAX], status[MAX], code[MAX];
	size_t len[MAX];
	char text[MAX][256];
	char body[MAX][256];
} all;

static void on_end(void *arg, size_t i, int status, struct df_str body, const struct df_error *err)
{
	assert_ptr_equal(arg, &all);
	assert_true(i < all.n);
	all.ended[i]++;
	all.status[i] = status;
	all.code[i] = err ? err->code : 0;
	all.len[i] = body.len;
	snprintf(all.text[i], sizeof(all.text[i]), "%.200s", err ? err->text : "");
	snprintf(all.body[i], sizeof(all.body[i]), DF_STR_FMT, DF_STR_ARG(body));
}

static const struct df_http_fetch_options usual = {
	.at_once = 64, .timeout_ns = 10 * S, .max_body = 1 << 20, .max_bodies = 8 << 20, .on_end = on_end, .arg = &all
};

static int forget(void **state)
{
	(void)state;
	memset(&all, 0, sizeof(all));
	return 0;
}

static void add(const char *base, const char *path)
{
	snprintf(all.url[all.n], sizeof(all.url[0]), "%s%s", base, path);
	all.urls[all.n] = all.url[all.n];
	all.n++;
}

/* Returns how long it took. */
static int64_t fetch(const struct df_http_fetch_options *options, struct df_context *ctx)
{
	int64_t began = df_clock_monotonic();

	df_http_fetch_many(all.urls, all.n, options, ctx);
	for (size_t i = 0; i < all.n; i++)
		assert_int_equal(all.ended[i], 1);
	return df_clock_monotonic() - began;
}

static void test_three_hundred(void **state)
{
	(void)state;
	for (int i = 0; i < 300; i++)
		add(peer.plain, i % 3 ? "/big?20000" : "/echo");
	fetch(&usual, NULL);
	for (size_t i = 0; i < all.n; i++) {
		assert_int_equal(all.status[i], 200);
		assert_int_equal(all.code[i], 0);
		if (i % 3)
			assert_int_equal(all.len[i], 20000);
		else
			assert_non_null(strstr(all.body[i], "GET /echo HTTP/1.1"));
	}
}

static void test_each_ends_in_its_own_way(void **state)
{
	enum { STATUS, REDIRECT, HUGE, CUT, CUT_HEADERS, NOTHING, GARBAGE, SLOW, REFUSED, NONE, SECURE, GOOD };
	struct df_http_fetch_options o = usual;

	(void)state;
	add(peer.plain, "/status?503");
	add(peer.plain, "/redirect");
	add(peer.plain, "/big?2000000");
	add(peer.plain, "/cut");
	add(peer.plain, "/cut-headers");
	add(peer.plain, "/nothing");
	add(peer.plain, "/garbage");
	add(peer.plain, "/slow");
	add("http://127.0.0.1:1", "/");
	add("http://[not an address", "/");
	add(peer.tls, "/echo");
	add(peer.plain, "/echo");
	o.accept = "text/plain;version=0.0.4";
	fetch(&o, NULL);
	assert_int_equal(all.status[STATUS], 503);
	assert_int_equal(all.code[STATUS], 0);
	assert_int_equal(all.status[REDIRECT], 302); /* and nobody went there */
	assert_int_equal(all.code[HUGE], DF_ERR_INVALID_DATA);
	assert_non_null(strstr(all.text[HUGE], "larger than 1048576 bytes"));
	assert_int_equal(all.code[CUT], DF_ERR_CONNECTION);
	assert_int_equal(all.code[CUT_HEADERS], DF_ERR_CONNECTION);
	assert_int_equal(all.code[NOTHING], DF_ERR_CONNECTION);
	assert_true(all.code[GARBAGE] < 0);
	assert_string_equal(all.body[SLOW], "0123456789");
	assert_int_equal(all.code[REFUSED], DF_ERR_CONNECTION);
	assert_non_null(strstr(all.text[REFUSED], "GET http://127.0.0.1:1/: "));
	assert_int_equal(all.code[NONE], DF_ERR_CONFIG);
	assert_int_equal(all.code[SECURE], DF_ERR_CONFIG); /* http only */
	assert_int_equal(all.code[GOOD], 0);
	assert_non_null(strstr(all.body[GOOD], "Accept: text/plain;version=0.0.4"));
}

/* Those that hang cost their own time only, and all of them at once. */
static void test_hanging_ones_time_out_together(void **state)
{
	struct df_http_fetch_options o = usual;

	(void)state;
	for (int i = 0; i < 30; i++) {
		add(peer.plain, i % 2 ? "/silent" : "/stall");
		add(i % 3 ? peer.mute : peer.full, "/");
		add(peer.plain, "/echo");
	}
	o.at_once = 90;
	o.timeout_ns = 5 * S;
	assert_true(fetch(&o, NULL) < 40 * S); /* one after another it would be 300 s */
	for (size_t i = 0; i < all.n; i++)
		assert_int_equal(all.code[i], i % 3 == 2 ? 0 : DF_ERR_TIMEOUT);
}

static void test_more_than_may_be_at_once(void **state)
{
	struct df_http_fetch_options o = usual;

	(void)state;
	for (int i = 0; i < 7; i++)
		add(peer.plain, "/slow"); /* half a second each */
	o.at_once = 2;
	assert_true(fetch(&o, NULL) >= 4 * 450 * MS);
	for (size_t i = 0; i < all.n; i++)
		assert_int_equal(all.code[i], 0);
}

static void test_bodies_under_way_have_a_limit(void **state)
{
	struct df_http_fetch_options o = usual;

	(void)state;
	add(peer.plain, "/big?600000");
	o.max_bodies = 500000;
	fetch(&o, NULL);
	assert_int_equal(all.code[0], DF_ERR_NO_MEMORY);
	/* What has ended does not count any more. */
	forget(NULL);
	for (int i = 0; i < 20; i++)
		add(peer.plain, "/big?300000");
	o.at_once = 1;
	fetch(&o, NULL);
	for (size_t i = 0; i < all.n; i++)
		assert_int_equal(all.code[i], 0);
}

static void test_huge_bodies_cost_nobody_else_anything(void **state)
{
	struct df_http_fetch_options o = usual;

	(void)state;
	for (int i = 0; i < 64; i++)
		add(peer.plain, i % 2 ? "/big?900000" : "/big?20000");
	o.at_once = 16;
	o.max_bodies = 16 * 20000;
	fetch(&o, NULL);
	for (size_t i = 0; i < all.n; i++)
		assert_int_equal(all.code[i], i % 2 ? DF_ERR_NO_MEMORY : 0);
}

static void test_a_deadline_ends_all(void **state)
{
	struct df_context *ctx = df_context_new(NULL);
	struct df_http_fetch_options o = usual;

	(void)state;
	for (int i = 0; i < 200; i++)
		add(peer.plain, i == 0 ? "/echo" : "/silent");
	df_context_deadline(ctx, df_clock_monotonic() + 3 * S);
	assert_true(fetch(&o, ctx) < 30 * S); /* four rounds of 10 s without it */
	assert_int_equal(all.code[0], 0);
	for (size_t i = 1; i < all.n; i++)
		assert_int_equal(all.code[i], DF_ERR_TIMEOUT);
	df_context_free(ctx);
}

static void test_a_canceled_context_begins_nothing_more(void **state)
{
	struct df_context *ctx = df_context_new(NULL);

	(void)state;
	for (int i = 0; i < 100; i++)
		add(peer.plain, "/silent");
	df_context_cancel(ctx);
	assert_true(fetch(&usual, ctx) < 5 * S);
	for (size_t i = 0; i < all.n; i++)
		assert_int_equal(all.code[i], DF_ERR_CANCELED);
	df_context_free(ctx);
}

static void test_the_environment_has_no_say(void **state)
{
	(void)state;
	setenv("http_proxy", "http://127.0.0.1:1", 1);
	setenv("ALL_PROXY", "http://127.0.0.1:1", 1);
	add(peer.plain, "/echo");
	fetch(&usual, NULL);
	unsetenv("http_proxy");
	unsetenv("ALL_PROXY");
	assert_int_equal(all.code[0], 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_three_hundred, forget),
		cmocka_unit_test_setup(test_each_ends_in_its_own_way, forget),
		cmocka_unit_test_setup(test_hanging_ones_time_out_together, forget),
		cmocka_unit_test_setup(test_more_than_may_be_at_once, forget),
		cmocka_unit_test_setup(test_bodies_under_way_have_a_limit, forget),
		cmocka_unit_test_setup(test_huge_bodies_cost_nobody_else_anything, forget),
		cmocka_unit_test_setup(test_a_deadline_ends_all, forget),
		cmocka_unit_test_setup(test_a_canceled_context_begins_nothing_more, forget),
		cmocka_unit_test_setup(test_the_environment_has_no_say, forget),
	};

	return cmocka_run_group_tests(tests, start_peer, stop_peer);
}

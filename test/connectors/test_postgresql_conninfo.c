/* Connection strings as parameters. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "connectors/postgresql/conninfo.h"

static bool knows(const struct df_pg_known *known, const char *key)
{
	static const char *const keys[] = { "host",   "port",	 "user",    "password",
					    "dbname", "sslmode", "options", "service" };

	(void)known;
	for (size_t i = 0; i < DF_ARRAY_SIZE(keys); i++)
		if (strcmp(key, keys[i]) == 0)
			return true;
	return false;
}

/* The parameters as `key=value|...`, with what is ignored behind `!`; or "bad". */
static const char *parse(const char *text)
{
	static const struct df_pg_known known = { knows };
	static char out[1024];
	df_cleanup(df_pg_params_done) struct df_pg_params params = { 0 };
	df_cleanup(df_buf_done) struct df_buf ignored = { 0 };
	struct df_error err = DF_ERROR_INIT;
	size_t len = 0;

	if (df_pg_params_parse(df_str_c(text), &known, &params, &ignored, &err) != 0) {
		assert_int_equal(err.code, DF_ERR_CONFIG);
		assert_null(strstr(err.text, "secret"));
		assert_int_equal(params.count, 0);
		return "bad";
	}
	out[0] = '\0';
	for (size_t i = 0; i < params.count; i++)
		len += (size_t)snprintf(out + len, sizeof(out) - len, "%s%s=%s", i ? "|" : "", params.keys[i],
					params.values[i]);
	if (ignored.len)
		snprintf(out + len, sizeof(out) - len, "!%s", df_buf_c(&ignored));
	return out;
}

static void forms(void **state)
{
	static const char *const samples[][2] = {
		{ "postgres://u:p@h:1/d", "user=u|password=p|host=h|port=1|dbname=d" },
		{ "postgresql://u@h/d?sslmode=require", "user=u|host=h|dbname=d|sslmode=require" },
		{ "postgres://u:p@h1:1,h2,[::1]:3/d", "user=u|password=p|host=h1,h2,::1|port=1,,3|dbname=d" },
		{ "postgres://", "" },
		{ "postgres:///d", "dbname=d" },
		{ "postgres://%2Fvar%2Frun/d", "host=/var/run|dbname=d" },
		{ "postgres://h/d?user=u&password=p%26q&", "host=h|dbname=d|user=u|password=p&q" },
		{ "postgres://h/d?ssl=true", "host=h|dbname=d|sslmode=require" },
		/* passwords as they are typed: decoded only where the URL is one */
		{ "postgres://u:p%40ss@h/d", "user=u|password=p@ss|host=h|dbname=d" },
		{ "postgres://u:p@ss@h/d", "user=u|password=p@ss|host=h|dbname=d" },
		{ "postgres://u:p/w:x@h/d", "user=u|password=p/w:x|host=h|dbname=d" },
		{ "postgres://u:50%off@h/d", "user=u|password=50%off|host=h|dbname=d" },
		{ "postgres://u:a%40b@c@h/d", "user=u|password=a%40b@c|host=h|dbname=d" },
		{ "postgres://u:@h/d", "user=u|password=|host=h|dbname=d" },
		/* what libpq does not know */
		{ "postgres://h/d?pool_max_conns=5&statement_cache_capacity=0&search_path=a b",
		  "host=h|dbname=d|options=-c search_path=a\\ b!pool_max_conns, statement_cache_capacity" },
		{ "postgres://h/d?options=-c%20a%3Db&work_mem=1\\MB",
		  "host=h|dbname=d|options=-c a=b -c work_mem=1\\\\MB" },
		{ "host=h lock_timeout=5s", "host=h|options=-c lock_timeout=5s" },
		/* pairs */
		{ " host = h  password='a b\\'c\\\\' user=u\\ v ", "host=h|password=a b'c\\|user=u v" },
		{ "service=mine", "service=mine" },
		{ "host='' port=1", "host=|port=1" },
		{ "host=a host=b", "host=b" },
	};
	static const char *const bad[] = { "mysql://u:secret@h/d",
					   "host",
					   "host=h secret",
					   "password='secret",
					   "postgres://u:secret@h:port/d",
					   "postgres://h/d?secret",
					   "postgres://h/%zz?password=secret",
					   "postgres://[::1/d",
					   "postgres://[::1]x/d",
					   "postgres://h/d?a=%00secret",
					   "postgres://h/d?a;b=secret" };

	(void)state;
	for (size_t i = 0; i < DF_ARRAY_SIZE(samples); i++)
		assert_string_equal(parse(samples[i][0]), samples[i][1]);
	for (size_t i = 0; i < DF_ARRAY_SIZE(bad); i++)
		if (strcmp(parse(bad[i]), "bad") != 0)
			fail_msg("%s: %s", bad[i], parse(bad[i]));
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(forms) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}

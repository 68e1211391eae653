#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "base/time.h"

static char captured[1 << 20];
static int saved_stderr = -1, capture_fd = -1;

/* stderr goes to a file; a seekable file also shows that lines are whole. */
static void capture_begin(void)
{
	char path[] = "/tmp/df-test-log-XXXXXX";
	capture_fd = mkstemp(path);
	assert_true(capture_fd >= 0);
	unlink(path);
	fcntl(capture_fd, F_SETFL, O_APPEND);
	saved_stderr = dup(STDERR_FILENO);
	dup2(capture_fd, STDERR_FILENO);
}

static const char *capture_end(void)
{
	dup2(saved_stderr, STDERR_FILENO);
	close(saved_stderr);
	ssize_t n = pread(capture_fd, captured, sizeof(captured) - 1, 0);
	captured[n < 0 ? 0 : n] = '\0';
	close(capture_fd);
	return captured;
}

/* Cuts the time off and checks it. */
static const char *after_time(const char *line)
{
	struct df_instant t;
	assert_memory_equal(line, "{\"time\":\"", 9);
	assert_true(df_rfc3339_parse(df_str(line + 9, 24), &t));
	assert_int_equal(line[9 + 19], '.');
	assert_int_equal(line[9 + 23], 'Z');
	return line + 9 + 24;
}

static void test_json_line(void **state)
{
	(void)state;
	const struct df_logger logger = { .namespace = "ns", .name = "flow", .connector_type = "kafka-source" };
	capture_begin();
	df_log_setup(DF_LOG_JSON, "INFO");
	df_log(&logger, DF_LOG_WARN, DF_LOG_FIELDS(DF_LOG_NUM("n", INT64_MIN), DF_LOG_C("s", "v")), "hello %d", 5);
	assert_string_equal(after_time(capture_end()),
			    "\",\"level\":\"warn\",\"msg\":\"hello 5\",\"dataflow_namespace\":\"ns\",\"dataflow_name\":"
			    "\"flow\",\"connector_type\":\"kafka-source\",\"n\":-9223372036854775808,\"s\":\"v\"}\n");
	capture_begin();
	const struct df_logger partial = { .name = "flow" };
	df_info(&partial, "x");
	assert_string_equal(after_time(capture_end()),
			    "\",\"level\":\"info\",\"msg\":\"x\",\"dataflow_name\":\"flow\"}\n");
}

static void test_json_escapes(void **state)
{
	(void)state;
	capture_begin();
	df_log_setup(DF_LOG_JSON, NULL);
	df_log(NULL, DF_LOG_INFO,
	       DF_LOG_FIELDS(DF_LOG_STR("k\"", DF_STR("\0\x1f\x7f")), DF_LOG_C("bad", "\xff\xed\xa0\x80\xe2\x82")),
	       "%s", "q\" b\\ n\n t\t r\r \xc3\xa9 \xf0\x9f\x98\x80 \xc2\x9b");
	assert_string_equal(
		after_time(capture_end()),
		"\",\"level\":\"info\",\"msg\":\"q\\\" b\\\\ n\\n t\\t r\\r \xc3\xa9 \xf0\x9f\x98\x80 \\u009b\","
		"\"k\\\"\":\"\\u0000\\u001f\\u007f\","
		"\"bad\":\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"}\n");
}

static void test_levels(void **state)
{
	(void)state;
	capture_begin();
	df_log_setup(DF_LOG_JSON, "Error");
	df_warn(NULL, "no");
	df_debug(NULL, "no");
	df_log(NULL, DF_LOG_ERROR, NULL, "yes");
	const char *text = capture_end();
	assert_null(strstr(text, "no"));
	assert_non_null(strstr(text, "yes"));
	assert_false(df_log_enabled(DF_LOG_WARN));
	assert_true(df_log_enabled(DF_LOG_ERROR));

	capture_begin();
	df_log_setup(DF_LOG_JSON, "debug");
	df_debug(NULL, "deep");
	assert_non_null(strstr(capture_end(), "deep"));

	capture_begin();
	df_log_setup(DF_LOG_JSON, "loud");
	text = capture_end();
	assert_non_null(strstr(text, "\"level\":\"warn\""));
	assert_non_null(strstr(text, "loud"));
	assert_ptr_equal(strchr(text, '\n'), text + strlen(text) - 1); /* one warning */
	assert_true(df_log_enabled(DF_LOG_INFO));
	assert_false(df_log_enabled(DF_LOG_DEBUG));
}

static void test_auto_is_json_without_a_terminal(void **state)
{
	(void)state;
	capture_begin();
	df_log_setup(DF_LOG_AUTO, NULL);
	df_info(NULL, "x");
	assert_int_equal(capture_end()[0], '{');
}

static void test_text(void **state)
{
	(void)state;
	const struct df_logger logger = { .name = "flow" };
	capture_begin();
	df_log_setup(DF_LOG_TEXT, NULL);
	df_log(&logger, DF_LOG_WARN,
	       DF_LOG_FIELDS(DF_LOG_C("a", "word"), DF_LOG_C("b", "two words"), DF_LOG_C("c", "x=\"y\""),
			     DF_LOG_C("d", ""), DF_LOG_C("q", "a\"b"), DF_LOG_NUM("e", -3)),
	       "say \"hi\"\x1b[2J");
	const char *line = capture_end();
	int h, m, s;
	assert_int_equal(sscanf(line, "%2d:%2d:%2d ", &h, &m, &s), 3);
	assert_string_equal(line + 9, "WARN say \"hi\"\\u001b[2J dataflow_name=flow a=word b=\"two words\" "
				      "c=\"x=\\\"y\\\"\" d=\"\" q=\"a\\\"b\" e=-3\n");
}

/* What df_log writes to a terminal with this NO_COLOR. */
static void on_terminal(const char *no_color, char *out, size_t size)
{
	df_cleanup(df_closep) int terminal = posix_openpt(O_RDWR | O_NOCTTY);
	if (terminal < 0) {
		print_message("SKIPPED: no pseudo terminal can be had (is /dev/pts mounted?)\n");
		skip();
	}
	assert_true(grantpt(terminal) == 0 && unlockpt(terminal) == 0);
	df_cleanup(df_closep) int slave = open(ptsname(terminal), O_RDWR | O_NOCTTY);
	assert_true(slave >= 0);
	setenv("TERM", "xterm", 1);
	if (no_color)
		setenv("NO_COLOR", no_color, 1);
	else
		unsetenv("NO_COLOR");
	df_cleanup(df_closep) int old = dup(STDERR_FILENO);
	dup2(slave, STDERR_FILENO);
	df_log_setup(DF_LOG_AUTO, NULL);
	df_warn(NULL, "hi");
	dup2(old, STDERR_FILENO);
	unsetenv("NO_COLOR");
	size_t len = 0;
	do { /* what was written in one piece may be read in several */
		ssize_t n = read(terminal, out + len, size - 1 - len);
		assert_true(n > 0);
		len += (size_t)n;
	} while (out[len - 1] != '\n');
	out[len] = '\0';
}

static void test_terminal(void **state)
{
	(void)state;
	char line[256];
	on_terminal(NULL, line, sizeof(line));
	assert_string_equal(line + 8, " \x1b[33mWARN\x1b[0m hi\r\n");
	on_terminal("", line, sizeof(line)); /* set but empty: as unset */
	assert_string_equal(line + 8, " \x1b[33mWARN\x1b[0m hi\r\n");
	on_terminal("1", line, sizeof(line));
	assert_string_equal(line + 8, " WARN hi\r\n");
}

static void test_long_lines_stay_whole(void **state)
{
	(void)state;
	char text[20000];
	for (size_t shift = 0; shift < 4; shift++) {
		memset(text, 'x', shift);
		for (size_t i = shift; i + 4 < sizeof(text); i += 3)
			memcpy(text + i, "\xe2\x82\xac", 4);
		capture_begin();
		df_log_setup(DF_LOG_JSON, NULL);
		df_log(NULL, DF_LOG_INFO,
		       DF_LOG_FIELDS(DF_LOG_C("big", text), DF_LOG_C("more", "lost"), DF_LOG_NUM("n", 1)), "%s", text);
		const char *line = capture_end();
		size_t len = strlen(line);
		assert_in_range(len, 7000, 8192);
		assert_true(df_utf8_valid(df_str(line, len), NULL));
		assert_string_equal(line + len - 3, "\"}\n");
		assert_null(strstr(line, "\xef\xbf\xbd")); /* cut at code points */
		assert_non_null(strstr(line, "...\",\"big\":\"\xe2\x82\xac") ? line
									     : strstr(line, "...\",\"big\":\"x"));
	}
	memset(text, '\x01', sizeof(text) - 1); /* six bytes each */
	text[sizeof(text) - 1] = '\0';
	capture_begin();
	df_log(NULL, DF_LOG_INFO, DF_LOG_FIELDS(DF_LOG_C("big", text)), "%s", text);
	const char *line = capture_end();
	assert_string_equal(line + strlen(line) - 6, "\xe2\x80\xa6\"}\n");
}

static void test_error_fields(void **state)
{
	(void)state;
	struct df_error err = DF_ERROR_INIT;
	df_error_set(&err, DF_ERR_CONSTRAINT, "duplicate key");
	capture_begin();
	df_log_setup(DF_LOG_JSON, NULL);
	df_log_error(NULL, DF_LOG_ERROR, &err, "write %s", "t");
	df_error_remote(&err, "23505");
	df_log_error(NULL, DF_LOG_ERROR, &err, "write %s", "t");
	df_log_error(NULL, DF_LOG_ERROR, NULL, "write %s", "t");
	const char *line = capture_end();
	const char *second = strchr(line, '\n') + 1;
	const char *third = strchr(second, '\n') + 1;
	captured[second - captured - 1] = '\0';
	captured[third - captured - 1] = '\0';
	assert_string_equal(after_time(line), "\",\"level\":\"error\",\"msg\":\"write t: duplicate key\","
					      "\"error_type\":\"constraint_violation\"}");
	assert_string_equal(after_time(second), "\",\"level\":\"error\",\"msg\":\"write t: duplicate key\","
						"\"error_type\":\"constraint_violation\",\"code\":\"23505\"}");
	assert_string_equal(after_time(third), "\",\"level\":\"error\",\"msg\":\"write t\"}\n");
}

static void hook_before(void *arg)
{
	assert_int_equal(write(STDERR_FILENO, "<", 1), 1);
	++*(int *)arg;
}

static void hook_after(void *arg)
{
	assert_int_equal(write(STDERR_FILENO, ">", 1), 1);
	++*(int *)arg;
}

static void test_hook(void **state)
{
	(void)state;
	int calls = 0;
	capture_begin();
	df_log_setup(DF_LOG_TEXT, NULL);
	df_log_set_hook(hook_before, hook_after, &calls);
	df_info(NULL, "x");
	df_log_set_hook(NULL, NULL, NULL);
	df_info(NULL, "y");
	const char *text = capture_end();
	assert_int_equal(calls, 2);
	assert_int_equal(text[0], '<');
	assert_memory_equal(strchr(text, '\n'), "\n>", 2);
	assert_non_null(strstr(text, "INFO y\n"));
}

static atomic_int inside, collisions;

static void enter(void *arg)
{
	(void)arg;
	if (atomic_fetch_add(&inside, 1) != 0)
		atomic_fetch_add(&collisions, 1);
	usleep(10);
}

static void leave(void *arg)
{
	(void)arg;
	atomic_fetch_sub(&inside, 1);
}

static void *chatter(void *arg)
{
	for (int i = 0; i < 200; i++)
		df_log(NULL, DF_LOG_INFO, DF_LOG_FIELDS(DF_LOG_NUM("i", i)), "thread %s", (const char *)arg);
	return NULL;
}

static void test_threads(void **state)
{
	(void)state;
	pthread_t threads[4];
	capture_begin();
	df_log_setup(DF_LOG_JSON, NULL);
	df_log_set_hook(enter, leave, NULL);
	for (int i = 0; i < 4; i++)
		pthread_create(&threads[i], NULL, chatter, (void *)(uintptr_t) "abc");
	for (int i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	df_log_set_hook(NULL, NULL, NULL);
	int lines = 0;
	for (const char *line = capture_end(); *line; line = strchr(line, '\n') + 1, lines++)
		assert_true(df_str_starts(df_str_c(after_time(line)),
					  DF_STR("\",\"level\":\"info\",\"msg\":\"thread abc\",\"i\":")));
	assert_int_equal(lines, 800);
	assert_int_equal(collisions, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_json_line),
		cmocka_unit_test(test_json_escapes),
		cmocka_unit_test(test_levels),
		cmocka_unit_test(test_auto_is_json_without_a_terminal),
		cmocka_unit_test(test_text),
		cmocka_unit_test(test_terminal),
		cmocka_unit_test(test_long_lines_stay_whole),
		cmocka_unit_test(test_error_fields),
		cmocka_unit_test(test_hook),
		cmocka_unit_test(test_threads),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* stdin and stdout, on pipes that take their place for a while. */
#include <fcntl.h>
#include <signal.h>

#include "harness.h"

/* Puts fd in the place of descriptor `number`; returns what was there. */
static int swap(int number, int fd)
{
	int old = dup(number);

	fflush(stdout);
	if (fd >= 0) {
		assert_int_equal(dup2(fd, number), number);
		close(fd);
	} else {
		close(number);
	}
	return old;
}

static void swap_back(int number, int old)
{
	assert_int_equal(dup2(old, number), number);
	close(old);
}

static void write_text(int fd, const char *text)
{
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
}

/* ---- stdin ----------------------------------------------------------------------------------------------- */

static void test_stdin(void **state)
{
	struct harness h;
	struct df_source *s;
	int pipe_fds[2], old;

	(void)state;
	harness_init(&h);
	assert_int_equal(pipe(pipe_fds), 0);
	write_text(pipe_fds[1], "{\"a\": 1}\n\ntext\nlast");
	close(pipe_fds[1]);
	old = swap(0, pipe_fds[0]);
	s = harness_source(&h, "{'type': 'stdin'}");
	assert_null(s->ops->restore);
	assert_null(s->ops->commit);
	harness_read(&h, s);
	swap_back(0, old);
	assert_int_equal(h.messages, 3);
	assert_string_equal(harness_payload(&h, 0), "{\"a\": 1}");
	assert_string_equal(harness_payload(&h, 2), "last");
	df_source_free(s);
	harness_done(&h);
}

/* Lines go on as soon as they are there, and a wait can be ended. */
static void test_stdin_waits(void **state)
{
	struct harness_reader r;
	struct harness h;
	struct df_source *s;
	int pipe_fds[2], old;

	(void)state;
	harness_init(&h);
	h.env.once = false;
	assert_int_equal(pipe(pipe_fds), 0);
	old = swap(0, pipe_fds[0]);
	s = harness_source(&h, "{'type': 'stdin'}");
	harness_start(&r, &h, s);
	write_text(pipe_fds[1], "1\n2");
	harness_await(&h, 1);
	write_text(pipe_fds[1], "3\n");
	harness_await(&h, 2);
	assert_int_equal(harness_stop(&r), DF_ERR_CANCELED);
	swap_back(0, old);
	close(pipe_fds[1]);
	assert_string_equal(harness_payload(&h, 1), "23");
	df_source_free(s);
	harness_done(&h);
}

static void test_stdin_csv(void **state)
{
	struct harness h;
	struct df_source *s;
	int pipe_fds[2], old;

	(void)state;
	harness_init(&h);
	assert_int_equal(pipe(pipe_fds), 0);
	write_text(pipe_fds[1], "a;b\n1;2\n3\n");
	close(pipe_fds[1]);
	old = swap(0, pipe_fds[0]);
	s = harness_source(&h, "{'type': 'stdin', 'config': {'format': 'csv', 'delimiter': ';'}}");
	harness_read(&h, s);
	swap_back(0, old);
	assert_int_equal(h.messages, 2);
	assert_string_equal(harness_payload(&h, 0), "{\"a\":\"1\",\"b\":\"2\"}");
	assert_string_equal(harness_failure(&h, 1), "stdin:3: the row has 1 fields, there are 2 columns");
	df_source_free(s);
	harness_done(&h);
}

static void test_stdin_closed(void **state)
{
	struct df_error err = DF_ERROR_INIT;
	struct harness h;
	struct df_source *s;
	int old, r;

	(void)state;
	harness_init(&h);
	s = harness_source(&h, "{'type': 'stdin'}");
	old = swap(0, -1);
	r = s->ops->connect(s, NULL, &err);
	swap_back(0, old);
	assert_int_equal(r, DF_ERR_CONFIG);
	assert_non_null(strstr(err.text, "standard input is closed"));
	df_source_free(s);
	harness_done(&h);
}

/* ---- stdout ---------------------------------------------------------------------------------------------- */

static void test_stdout(void **state)
{
	static const char *const payloads[] = { "{\"a\": 1}", "", "text" };
	struct df_error err = DF_ERROR_INIT;
	struct harness h;
	struct df_sink *s;
	char got[64] = "";
	char *results[3];
	int pipe_fds[2], old, connected, written, synced;

	(void)state;
	harness_init(&h);
	s = harness_sink(&h, "{'type': 'stdout'}");
	assert_int_equal(pipe(pipe_fds), 0);
	old = swap(1, pipe_fds[1]);
	connected = s->ops->connect(s, NULL, &err);
	written = harness_write(s, payloads, 3, results, &err);
	synced = s->ops->sync(s, NULL, true, &err);
	swap_back(1, old);
	assert_int_equal(connected, 0);
	assert_int_equal(written, 0);
	assert_int_equal(synced, 0);
	assert_int_equal(read(pipe_fds[0], got, sizeof(got)), 14);
	assert_string_equal(got, "{\"a\": 1}\ntext\n");
	assert_string_equal(results[0], "");
	assert_non_null(strstr(results[1], "empty"));
	for (size_t i = 0; i < 3; i++)
		free(results[i]);
	close(pipe_fds[0]);
	df_sink_free(s);
	harness_done(&h);
}

static void test_stdout_nobody_reads(void **state)
{
	static const char *const payloads[] = { "1" };
	struct df_error err = DF_ERROR_INIT;
	struct harness h;
	struct df_sink *s;
	int pipe_fds[2], old, written;

	(void)state;
	signal(SIGPIPE, SIG_IGN);
	harness_init(&h);
	s = harness_sink(&h, "{'type': 'stdout'}");
	assert_int_equal(pipe(pipe_fds), 0);
	close(pipe_fds[0]);
	old = swap(1, pipe_fds[1]);
	written = s->ops->connect(s, NULL, &err);
	if (written == 0)
		written = harness_write(s, payloads, 1, NULL, &err);
	swap_back(1, old);
	assert_int_equal(written, DF_ERR_UNKNOWN); /* ends the pipeline; not retried for ever */
	assert_non_null(strstr(err.text, "nobody reads it any more"));
	df_sink_free(s);
	s = harness_sink(&h, "{'type': 'stdout'}");
	old = swap(1, -1);
	written = s->ops->connect(s, NULL, &err);
	swap_back(1, old);
	assert_int_equal(written, DF_ERR_CONFIG);
	assert_non_null(strstr(err.text, "standard output is closed"));
	df_sink_free(s);
	harness_done(&h);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_stdin),	  cmocka_unit_test(test_stdin_waits),
		cmocka_unit_test(test_stdin_csv), cmocka_unit_test(test_stdin_closed),
		cmocka_unit_test(test_stdout),	  cmocka_unit_test(test_stdout_nobody_reads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

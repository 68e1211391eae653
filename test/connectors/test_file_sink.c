/* The file sink: lines and rows, what a failing disk and a killed run do to them, atomic files, rotation, compression.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "connectors/bytes.h"
#include "harness.h"

static struct df_sink *make(struct harness *h, const char *name, const char *config)
{
	return harness_sink(h, "{'type': 'file', 'config': {'path': '%s'%s}}", harness_path(name), config);
}

static struct df_sink *open_sink(struct harness *h, const char *name, const char *config)
{
	struct df_error err = DF_ERROR_INIT;
	struct df_sink *s = make(h, name, config);

	if (s->ops->connect(s, NULL, &err) < 0)
		fail_msg("%s", err.text);
	return s;
}

static void write_all(struct df_sink *s, const char *const *payloads)
{
	struct df_error err = DF_ERROR_INIT;
	size_t n = 0;

	while (payloads[n])
		n++;
	if (harness_write(s, payloads, n, NULL, &err) < 0)
		fail_msg("%s", err.text);
}

#define PAYLOADS(...) ((const char *const[]){ __VA_ARGS__, NULL })

static void finish(struct df_sink *s)
{
	struct df_error err = DF_ERROR_INIT;

	if (s->ops->sync(s, NULL, true, &err) < 0)
		fail_msg("%s", err.text);
	assert_int_equal(s->ops->close(s, &err), 0);
	df_sink_free(s);
}

static void assert_file(const char *name, const char *content)
{
	char *now = harness_get(harness_path(name));

	assert_non_null(now);
	assert_string_equal(now, content);
	free(now);
}

static void assert_says(const char *text, const char *part)
{
	if (!strstr(text, part))
		fail_msg("\"%s\" does not say \"%s\"", text, part);
}

/* One message must be refused; nothing of it may be left. */
static void assert_refused(struct df_sink *s, const char *payload, const char *said)
{
	const char *payloads[] = { payload };
	struct df_error err = DF_ERROR_INIT;
	char *result;

	assert_int_equal(harness_write(s, payloads, 1, &result, &err), 0);
	assert_says(result, said);
	free(result);
}

static int setup(void **state)
{
	struct harness *h = calloc(1, sizeof(*h));

	assert_non_null(h);
	harness_init(h);
	harness_directory();
	*state = h;
	return 0;
}

static int teardown(void **state)
{
	harness_done(*state);
	free(*state);
	return 0;
}

/* ---- jsonl ----------------------------------------------------------------------------------------------- */

static void test_lines(void **state)
{
	struct df_sink *s = open_sink(*state, "out", "");

	write_all(s, PAYLOADS("{\"a\": 1.00}", "not json", "{\"a\":\n [1,\n 2]}"));
	assert_file("out", "{\"a\": 1.00}\nnot json\n{\"a\":[1,2]}\n");
	assert_refused(s, "", "the payload is empty");
	assert_refused(s, " \t", "the payload is empty");
	assert_refused(s, "no\njson", "holds a newline");
	write_all(s, PAYLOADS("5"));
	finish(s);
	assert_file("out", "{\"a\": 1.00}\nnot json\n{\"a\":[1,2]}\n5\n");
}

static void test_bad_among_good(void **state)
{
	static const char *const payloads[] = { "1", "", "2", "x\ny", "3" };
	struct df_sink *s = open_sink(*state, "out", "");
	struct df_error err = DF_ERROR_INIT;
	char *results[5];

	assert_int_equal(harness_write(s, payloads, 5, results, &err), 0);
	for (size_t i = 0; i < 5; i++) {
		assert_int_equal(results[i][0] != '\0', i == 1 || i == 3);
		free(results[i]);
	}
	finish(s);
	assert_file("out", "1\n2\n3\n");
}

static void test_appends(void **state)
{
	struct df_sink *s;

	harness_put(harness_path("out"), "0\n");
	s = open_sink(*state, "out", "");
	write_all(s, PAYLOADS("1"));
	finish(s);
	s = open_sink(*state, "out", "");
	write_all(s, PAYLOADS("2"));
	finish(s);
	assert_file("out", "0\n1\n2\n");
}

/* More than any buffer. */
static void test_large(void **state)
{
	struct df_sink *s = open_sink(*state, "out", "");
	struct df_buf expected = { 0 };
	const char *payloads[200];
	char *line = malloc(50001);
	char *content;

	assert_non_null(line);
	memset(line, 'x', 50000);
	line[50000] = '\0';
	for (size_t i = 0; i < DF_ARRAY_SIZE(payloads); i++) {
		payloads[i] = line;
		df_buf_add_c(&expected, line);
		df_buf_add_char(&expected, '\n');
	}
	assert_int_equal(harness_write(s, payloads, DF_ARRAY_SIZE(payloads), NULL, NULL), 0);
	finish(s);
	content = harness_get(harness_path("out"));
	assert_string_equal(content, df_buf_c(&expected));
	free(content);
	free(line);
	df_buf_done(&expected);
}

/* ---- what a killed run left ------------------------------------------------------------------------------ */

static void repaired(struct harness *h, const char *before, const char *after)
{
	struct df_sink *s;

	harness_put(harness_path("out"), before);
	s = open_sink(h, "out", "");
	write_all(s, PAYLOADS("9"));
	finish(s);
	assert_file("out", after);
}

static void test_torn_line(void **state)
{
	repaired(*state, "1\n{\"a\": 1, \"b\": \"x", "1\n9\n");
	repaired(*state, "{\"a\": 1", "9\n");
	repaired(*state, "1\n{\"a\": 1}", "1\n{\"a\": 1}\n9\n");
	repaired(*state, "1\n12", "1\n9\n"); /* of 123? */
	repaired(*state, "1\n", "1\n9\n");
}

static void test_torn_row(void **state)
{
	struct df_sink *s;

	harness_put(harness_path("out.csv"), "a,b\n1,\"x\ny\"\n2,\"torn\nvalue");
	s = open_sink(*state, "out.csv", "");
	write_all(s, PAYLOADS("{\"a\":3,\"b\":\"z\"}"));
	finish(s);
	assert_file("out.csv", "a,b\n1,\"x\ny\"\n3,z\n");
}

/* What a file decompresses to; heap. */
static char *unpack(const char *name)
{
	const char *path = harness_path(name);
	int fd = open(path, O_RDONLY);
	struct df_error err = DF_ERROR_INIT;
	struct df_bytes *bytes = NULL;
	struct df_buf buf = { 0 };
	size_t n = 1;

	assert_true(fd >= 0);
	assert_int_equal(df_bytes_new(fd, path, DF_COMPRESSION_AUTO, &bytes, &err), 0);
	while (n > 0) {
		char *room = df_buf_reserve(&buf, 4096);

		if (df_bytes_read(bytes, NULL, room, 4096, &n, &err) < 0)
			fail_msg("%s", err.text);
		buf.len += n;
	}
	df_bytes_free(bytes);
	close(fd);
	return df_buf_take(&buf);
}

static void compressed(struct harness *h, const char *name)
{
	struct df_sink *s = open_sink(h, name, "");
	struct df_error err = DF_ERROR_INIT;
	struct stat st;
	char *content;

	write_all(s, PAYLOADS("1", "2"));
	write_all(s, PAYLOADS("3"));
	assert_refused(s, "", "the payload is empty");
	/* Readable after each write. */
	content = unpack(name);
	assert_string_equal(content, "1\n2\n3\n");
	free(content);
	finish(s);
	/* A torn end is cut off. */
	assert_int_equal(stat(harness_path(name), &st), 0);
	assert_int_equal(truncate(harness_path(name), st.st_size - 5), 0);
	s = open_sink(h, name, "");
	write_all(s, PAYLOADS("4"));
	finish(s);
	content = unpack(name);
	assert_string_equal(content, "1\n2\n4\n");
	free(content);
	/* Something else is left alone. */
	harness_put(harness_path(name), "text\n");
	s = make(h, name, "");
	assert_int_equal(s->ops->connect(s, NULL, &err), DF_ERR_CONFIG);
	assert_says(err.text, "holds something else");
	df_sink_free(s);
	assert_file(name, "text\n");
}

static void test_gzip(void **state)
{
	compressed(*state, "out.jsonl.gz");
}

static void test_zstd(void **state)
{
#ifdef DF_WITH_ZSTD
	compressed(*state, "out.jsonl.zst");
#else
	(void)state;
	skip();
#endif
}

/* ---- csv ------------------------------------------------------------------------------------------------- */

static void test_csv(void **state)
{
	struct df_sink *s = open_sink(*state, "out.csv", "");

	write_all(s, PAYLOADS("{\"id\": 10.50, \"name\": \"a,\\\"b\\\"\", \"tags\": [1, {\"x\": null}]}",
			      "{\"name\": \"\", \"id\": null}", "{\"id\": true}"));
	assert_refused(s, "{\"id\": 1, \"extra\": 2}", "the key \"extra\" is no column");
	assert_refused(s, "[1]", "not a JSON object");
	assert_refused(s, "", "not a JSON object");
	finish(s);
	assert_file("out.csv", "id,name,tags\n10.50,\"a,\"\"b\"\"\",\"[1,{\"\"x\"\":null}]\"\n,\"\",\ntrue,,\n");
	/* The columns are those of the file; no second header. */
	s = open_sink(*state, "out.csv", "");
	write_all(s, PAYLOADS("{\"tags\": \"t\", \"id\": 2}"));
	finish(s);
	assert_file("out.csv", "id,name,tags\n10.50,\"a,\"\"b\"\"\",\"[1,{\"\"x\"\":null}]\"\n,\"\",\ntrue,,\n2,,t\n");
}

static void test_csv_columns(void **state)
{
	struct df_error err = DF_ERROR_INIT;
	struct df_sink *s = open_sink(*state, "out.tsv", ",'columns':['b','a']");

	write_all(s, PAYLOADS("{\"a\": \"x\\ty\", \"b\": 2}"));
	finish(s);
	assert_file("out.tsv", "b\ta\n2\t\"x\ty\"\n");
	s = make(*state, "out.tsv", ",'columns':['a','b']");
	assert_int_equal(s->ops->connect(s, NULL, &err), DF_ERR_CONFIG);
	assert_says(err.text, "has other columns in its header");
	df_sink_free(s);
	s = open_sink(*state, "plain.csv", ",'header':false,'columns':['a']");
	write_all(s, PAYLOADS("{\"a\": 1}", "{\"a\": null}", "{}"));
	finish(s);
	assert_file("plain.csv", "1\n\"\"\n\"\"\n");
}

/* A first message that is refused must not leave its columns or header behind. */
static void test_csv_first_refused(void **state)
{
	struct df_sink *s = open_sink(*state, "out.csv", "");

	assert_refused(s, "not json", "not a JSON object");
	assert_refused(s, "{\"a\": 1, \"\": 2}", "a key is empty");
	assert_refused(s, "{\"a\\u0000b\": 1}", "a key has a NUL character");
	assert_refused(s, "{\"\\ud800\": 1}", "half a surrogate pair");
	assert_refused(s, "{\"c\": \"x\\ud800\"}", "key \"c\": the string contains half a surrogate pair");
	write_all(s, PAYLOADS("{\"a\": 1}"));
	finish(s);
	assert_file("out.csv", "a\n1\n");
	s = open_sink(*state, "given.csv", ",'columns':['a']");
	assert_refused(s, "{\"b\": 1}", "the key \"b\" is no column");
	write_all(s, PAYLOADS("{\"a\": 1}"));
	finish(s);
	assert_file("given.csv", "a\n1\n");
}

/* ---- atomic ---------------------------------------------------------------------------------------------- */

static size_t count_files(void)
{
	char command[128];
	FILE *p;
	size_t n = 0;

	snprintf(command, sizeof(command), "ls -A %s", harness_path(""));
	p = popen(command, "r");
	assert_non_null(p);
	for (int c; (c = fgetc(p)) != EOF;)
		n += c == '\n';
	pclose(p);
	return n;
}

static void test_atomic(void **state)
{
	struct df_error err = DF_ERROR_INIT;
	struct df_sink *s;

	harness_put(harness_path("out"), "old\n");
	s = open_sink(*state, "out", ",'mode':'atomic'");
	write_all(s, PAYLOADS("1"));
	assert_int_equal(s->ops->sync(s, NULL, false, &err), DF_SYNC_LATER);
	assert_file("out", "old\n");
	write_all(s, PAYLOADS("2"));
	finish(s);
	assert_file("out", "1\n2\n");
	assert_int_equal(count_files(), 1);
	/* Without the final sync nothing is left of it. */
	s = open_sink(*state, "out", ",'mode':'atomic'");
	write_all(s, PAYLOADS("3"));
	df_sink_free(s);
	assert_file("out", "1\n2\n");
	assert_int_equal(count_files(), 1);
	/* Nothing written is a complete file too. */
	s = open_sink(*state, "out", ",'mode':'atomic'");
	finish(s);
	assert_file("out", "");
}

/* ---- rotation -------------------------------------------------------------------------------------------- */

static void test_rotation(void **state)
{
	struct df_sink *s = open_sink(*state, "out.jsonl", ",'rotateBytes':4");

	write_all(s, PAYLOADS("1"));
	write_all(s, PAYLOADS("2"));
	write_all(s, PAYLOADS("3"));
	write_all(s, PAYLOADS("4444", "5555"));
	write_all(s, PAYLOADS("6"));
	finish(s);
	assert_file("out-000001.jsonl", "1\n2\n");
	assert_file("out-000002.jsonl", "3\n4444\n5555\n");
	assert_file("out-000003.jsonl", "6\n");
	/* Goes on with the last. */
	s = open_sink(*state, "out.jsonl", ",'rotateBytes':4");
	write_all(s, PAYLOADS("7"));
	write_all(s, PAYLOADS("8"));
	finish(s);
	assert_file("out-000003.jsonl", "6\n7\n");
	assert_file("out-000004.jsonl", "8\n");
}

static void test_rotation_csv(void **state)
{
	struct df_sink *s = open_sink(*state, "x.y.csv", ",'rotateBytes':1");

	write_all(s, PAYLOADS("{\"a\": 1}"));
	write_all(s, PAYLOADS("{\"a\": 2}"));
	finish(s);
	assert_file("x.y-000001.csv", "a\n1\n");
	assert_file("x.y-000002.csv", "a\n2\n");
}

static void test_refused_settings(void **state)
{
	char *said;

	(void)state;
	said = harness_refused(DF_SINK,
			       "{'type': 'file', 'config': {'path': 'x', 'mode': 'atomic', 'rotateBytes': 5}}");
	assert_says(said, "rotateBytes");
	free(said);
	said = harness_refused(DF_SINK, "{'type': 'file', 'config': {'path': 'x', 'format': 'json'}}");
	assert_says(said, "spec.sink.config.format");
	free(said);
}

/* ---- failures -------------------------------------------------------------------------------------------- */

static void connect_fails(struct harness *h, const char *name, const char *said)
{
	struct df_error err = DF_ERROR_INIT;
	struct df_sink *s = make(h, name, "");

	assert_int_equal(s->ops->connect(s, NULL, &err), DF_ERR_CONFIG);
	assert_says(err.text, said);
	df_sink_free(s);
}

static void test_wrong_paths(void **state)
{
	connect_fails(*state, "nowhere/out", "its directory must exist");
	connect_fails(*state, "", "is a directory: name a file in it");
	if (geteuid() != 0) {
		assert_int_equal(chmod(harness_path(""), 0500), 0);
		connect_fails(*state, "out", "must be allowed to");
		assert_int_equal(chmod(harness_path(""), 0700), 0);
	}
}

static void test_two_sinks_one_file(void **state)
{
	struct df_sink *first = open_sink(*state, "out", "");
	struct harness other;

	harness_init(&other);
	connect_fails(&other, "out", "is being written by another sink");
	harness_done(&other);
	finish(first);
	/* Free again. */
	finish(open_sink(*state, "out", ""));
}

static void limit_files(rlim_t bytes)
{
	struct rlimit limit = { bytes, RLIM_INFINITY };

	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

/* A write that does not fit is taken back whole, and its retry neither doubles nor tears. */
static void disk_full(struct harness *h, const char *name)
{
	static const char *const payloads[] = { "aaaaaaaaa", "bbbbbbbbb", "ccccccccc" };
	struct df_error err = DF_ERROR_INIT;
	struct df_sink *s;
	struct stat before, after;
	char *content;

	signal(SIGXFSZ, SIG_IGN);
	s = open_sink(h, name, "");
	write_all(s, PAYLOADS("000000000"));
	assert_int_equal(stat(harness_path(name), &before), 0);
	limit_files((rlim_t)before.st_size + 15);
	assert_int_equal(harness_write(s, payloads, 3, NULL, &err), DF_ERR_UNKNOWN);
	limit_files(RLIM_INFINITY);
	assert_says(err.text, harness_path(name));
	assert_says(err.text, "size limit");
	assert_int_equal(stat(harness_path(name), &after), 0);
	assert_int_equal(after.st_size, before.st_size);
	assert_int_equal(harness_write(s, payloads, 3, NULL, &err), 0);
	finish(s);
	content = unpack(name);
	assert_string_equal(content, "000000000\naaaaaaaaa\nbbbbbbbbb\nccccccccc\n");
	free(content);
}

static void test_size_limit(void **state)
{
	disk_full(*state, "out");
	disk_full(*state, "out.gz");
}

/* The header is taken back with the rows. */
static void test_size_limit_csv(void **state)
{
	static const char *const payloads[] = { "{\"a\": 1}", "{\"a\": 2}" };
	struct df_error err = DF_ERROR_INIT;
	struct df_sink *s;

	signal(SIGXFSZ, SIG_IGN);
	s = open_sink(*state, "out.csv", "");
	limit_files(3);
	assert_int_equal(harness_write(s, payloads, 2, NULL, &err), DF_ERR_UNKNOWN);
	limit_files(RLIM_INFINITY);
	assert_file("out.csv", "");
	assert_int_equal(harness_write(s, payloads, 2, NULL, &err), 0);
	finish(s);
	assert_file("out.csv", "a\n1\n2\n");
}

static void test_full_device(void **state)
{
	static const char *const payloads[] = { "1" };
	struct df_error err = DF_ERROR_INIT;
	struct df_sink *s;

	if (access("/dev/full", W_OK) < 0)
		skip();
	s = harness_sink(*state, "{'type': 'file', 'config': {'path': '/dev/full'}}");
	assert_int_equal(s->ops->connect(s, NULL, &err), 0);
	assert_int_equal(harness_write(s, payloads, 1, NULL, &err), DF_ERR_TRANSIENT);
	assert_says(err.text, "/dev/full");
	assert_string_equal(err.remote, "ENOSPC");
	df_sink_free(s);
}

/* ---- pipes ----------------------------------------------------------------------------------------------- */

static void test_pipe(void **state)
{
	static const char *const payloads[] = { "1" };
	struct df_error err = DF_ERROR_INIT;
	struct df_sink *s;
	char got[8] = "";
	int fd;

	signal(SIGPIPE, SIG_IGN);
	assert_int_equal(mkfifo(harness_path("pipe"), 0600), 0);
	s = make(*state, "pipe", "");
	assert_int_equal(s->ops->connect(s, NULL, &err), DF_ERR_CONNECTION);
	assert_says(err.text, "nobody reads the pipe");
	fd = open(harness_path("pipe"), O_RDONLY | O_NONBLOCK);
	assert_int_equal(s->ops->connect(s, NULL, &err), 0);
	write_all(s, PAYLOADS("123"));
	assert_int_equal(read(fd, got, sizeof(got)), 4);
	assert_memory_equal(got, "123\n", 4);
	close(fd);
	assert_int_equal(harness_write(s, payloads, 1, NULL, &err), DF_ERR_UNKNOWN);
	assert_says(err.text, "nobody reads it any more");
	df_sink_free(s);
}

struct blocked {
	struct df_sink *s;
	int result;
};

static void *write_much(void *arg)
{
	struct blocked *b = arg;
	struct df_error err = DF_ERROR_INIT;
	char *line = malloc(200001);
	const char *payloads[] = { line };

	memset(line, 'x', 200000);
	line[200000] = '\0';
	b->result = harness_write(b->s, payloads, 1, NULL, &err);
	free(line);
	return NULL;
}

/* A reader that does not read does not keep close waiting. */
static void test_close_while_pipe_is_full(void **state)
{
	struct df_error err = DF_ERROR_INIT;
	struct blocked b;
	pthread_t thread;
	int fd;

	assert_int_equal(mkfifo(harness_path("pipe"), 0600), 0);
	fd = open(harness_path("pipe"), O_RDONLY | O_NONBLOCK);
	b.s = open_sink(*state, "pipe", "");
	assert_int_equal(pthread_create(&thread, NULL, write_much, &b), 0);
	usleep(20000);
	assert_int_equal(b.s->ops->close(b.s, &err), 0);
	pthread_join(thread, NULL);
	assert_true(b.result == DF_ERR_CANCELED || b.result == DF_ERR_CLOSED);
	df_sink_free(b.s);
	close(fd);
}

/* ---- the contract ---------------------------------------------------------------------------------------- */

static void test_close(void **state)
{
	static const char *const payloads[] = { "1" };
	struct df_error err = DF_ERROR_INIT;
	struct df_sink *s = open_sink(*state, "out", "");

	assert_int_equal(s->ops->close(s, &err), 0);
	assert_int_equal(s->ops->close(s, &err), 0);
	assert_int_equal(s->ops->connect(s, NULL, &err), DF_ERR_CLOSED);
	assert_says(err.text, "connector is closed");
	assert_int_equal(harness_write(s, payloads, 1, NULL, &err), DF_ERR_CLOSED);
	assert_int_equal(s->ops->sync(s, NULL, false, &err), DF_ERR_CLOSED);
	df_sink_free(s);
}

static void test_batching(void **state)
{
	struct harness *h = *state;
	struct df_batching b;
	struct df_sink *s = make(h, "out", "");

	s->ops->batching(h->component.settings, &b);
	assert_int_equal(b.default_size, 1);
	df_sink_free(s);
	s = make(h, "out.gz", "");
	s->ops->batching(h->component.settings, &b);
	assert_true(b.default_size > 1000 && b.interval_seconds > 0);
	df_sink_free(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		TEST(test_lines),
		TEST(test_bad_among_good),
		TEST(test_appends),
		TEST(test_large),
		TEST(test_torn_line),
		TEST(test_torn_row),
		TEST(test_gzip),
		TEST(test_zstd),
		TEST(test_csv),
		TEST(test_csv_columns),
		TEST(test_csv_first_refused),
		TEST(test_atomic),
		TEST(test_rotation),
		TEST(test_rotation_csv),
		TEST(test_refused_settings),
		TEST(test_wrong_paths),
		TEST(test_two_sinks_one_file),
		TEST(test_size_limit),
		TEST(test_size_limit_csv),
		TEST(test_full_device),
		TEST(test_pipe),
		TEST(test_close_while_pipe_is_full),
		TEST(test_close),
		TEST(test_batching),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

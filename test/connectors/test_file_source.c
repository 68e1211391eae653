/* The file source: lines, positions, patterns, compression, following, and every error a person may meet. */
#include <sys/stat.h>
#include <zlib.h>
#ifdef DF_WITH_ZSTD
#include <zstd.h>
#endif

#include "harness.h"

#define CONFIG "{'type': 'file', 'config': {'path': '%s'}}"

static struct df_source *make(struct harness *h, const char *path)
{
	return harness_source(h, CONFIG, path);
}

static void setup(struct harness *h)
{
	harness_init(h);
	harness_directory();
}

static void done(struct harness *h, struct df_source *s)
{
	df_source_free(s);
	harness_done(h);
}

static void assert_says(const char *text, const char *part)
{
	if (!strstr(text, part))
		fail_msg("\"%s\" does not say \"%s\"", text, part);
}

static void assert_payloads(struct harness *h, const char *const *payloads)
{
	size_t n = 0;

	for (; payloads[n]; n++) {
		assert_true(n < h->messages);
		assert_string_equal(harness_payload(h, n), payloads[n]);
	}
	assert_int_equal(h->messages, n);
}

#define PAYLOADS(...) ((const char *const[]){ __VA_ARGS__, NULL })

/* ---- lines ----------------------------------------------------------------------------------------------- */

static void test_lines(void **state)
{
	struct harness h;
	struct df_source *s;

	(void)state;
	setup(&h);
	harness_put(harness_path("in"), "{\"a\": 1}\n\n  \nnot json\r\n\"x\"\n[1, 2]");
	s = make(&h, harness_path("in"));
	harness_read(&h, s);
	assert_payloads(&h, PAYLOADS("{\"a\": 1}", "not json", "\"x\"", "[1, 2]"));
	assert_int_equal(harness_message(&h, 0)->position.number, 9);
	assert_int_equal(harness_message(&h, 1)->position.number, 23);
	assert_int_equal(harness_message(&h, 3)->position.number, 33);
	assert_null(harness_message(&h, 0)->metadata);
	done(&h, s);
}

static void test_byte_order_mark(void **state)
{
	struct harness h;
	struct df_source *s;

	(void)state;
	setup(&h);
	harness_put(harness_path("in"), "\xef\xbb\xbf{\"a\":1}\n{\"a\":2}\n");
	s = make(&h, harness_path("in"));
	harness_read(&h, s);
	assert_payloads(&h, PAYLOADS("{\"a\":1}", "{\"a\":2}"));
	done(&h, s);
}

static void test_empty_file(void **state)
{
	struct harness h;
	struct df_source *s;

	(void)state;
	setup(&h);
	harness_put(harness_path("in"), "");
	s = make(&h, harness_path("in"));
	harness_read(&h, s);
	assert_int_equal(h.messages, 0);
	done(&h, s);
}

/* Lines of many lengths, some longer than any chunk and batch, come out as they went in. */
static void test_many_lines(void **state)
{
	struct df_buf in = { 0 }, out = { 0 };
	struct harness h;
	struct df_source *s;

	(void)state;
	setup(&h);
	for (size_t i = 0; i < 3000; i++) {
		size_t len = i % 500 == 499 ? 100000 + i : i % 97 + 1;

		df_buf_printf(&in, "%zu:", i);
		for (size_t k = 0; k < len; k++)
			df_buf_add_char(&in, (char)('a' + (i + k) % 26));
		df_buf_add_char(&in, '\n');
	}
	harness_put_bytes(harness_path("in"), in.data, in.len);
	s = make(&h, harness_path("in"));
	harness_read(&h, s);
	assert_int_equal(h.messages, 3000);
	for (struct df_batch *b = h.first; b; b = b->next) {
		for (size_t i = 0; i < b->count; i++) {
			df_buf_add_str(&out, b->messages[i].payload);
			df_buf_add_char(&out, '\n');
			assert_int_equal(b->messages[i].position.number, out.len);
		}
	}
	assert_int_equal(in.len, out.len);
	assert_memory_equal(in.data, out.data, in.len);
	df_buf_done(&in);
	df_buf_done(&out);
	done(&h, s);
}

static void test_invalid_utf8(void **state)
{
	struct df_buf in = { 0 };
	struct harness h;
	struct df_source *s;
	char expected[256];

	(void)state;
	setup(&h);
	for (size_t i = 1; i <= 70010; i++)
		df_buf_add_c(&in, i == 70000 ? "{\"a\": \"\xc3\x28\"}\n" : "{\"a\": 1}\n");
	harness_put_bytes(harness_path("in"), in.data, in.len);
	s = make(&h, harness_path("in"));
	harness_read(&h, s);
	assert_int_equal(h.messages, 70010);
	snprintf(expected, sizeof(expected), "%s:70000: invalid UTF-8 at byte 8 of the line (0xc3)",
		 harness_path("in"));
	assert_string_equal(harness_failure(&h, 69999), expected);
	assert_int_equal(harness_message(&h, 69999)->failure->code, DF_ERR_INVALID_DATA);
	assert_int_equal(harness_message(&h, 69999)->payload.len, 11);
	assert_string_equal(harness_failure(&h, 69998), "");
	assert_string_equal(harness_failure(&h, 70000), "");
	df_buf_done(&in);
	done(&h, s);
}

static void test_too_long_line(void **state)
{
	struct df_error err = DF_ERROR_INIT;
	struct harness h;
	struct df_source *s;

	(void)state;
	setup(&h);
	harness_put(harness_path("in"), "1\n2\n12345678901\n3\n");
	s = harness_source(&h, "{'type': 'file', 'config': {'path': '%s', 'maxLineBytes': 10}}", harness_path("in"));
	assert_int_equal(harness_read_fails(&h, s, &err), DF_ERR_INVALID_DATA);
	assert_says(err.text, "in:3: the line is longer than 10 bytes: raise spec.source.config.maxLineBytes");
	assert_payloads(&h, PAYLOADS("1", "2"));
	done(&h, s);

	/* Not held in memory first: 40 MiB without a newline, of which 1 MiB may be read. */
	setup(&h);
	char *big = malloc(40 << 20);
	assert_non_null(big);
	memset(big, 'x', 40 << 20);
	harness_put_bytes(harness_path("in"), big, 40 << 20);
	free(big);
	s = harness_source(&h, "{'type': 'file', 'config': {'path': '%s', 'maxLineBytes': 1048576}}",
			   harness_path("in"));
	assert_int_equal(harness_read_fails(&h, s, &err), DF_ERR_INVALID_DATA);
	assert_says(err.text, "in:1: the line is longer than 1048576 bytes");
	done(&h, s);
}

static void test_exact_limit(void **state)
{
	struct harness h;
	struct df_source *s;

	(void)state;
	setup(&h);
	harness_put(harness_path("in"), "1234567890\r\n1234567890");
	s = harness_source(&h, "{'type': 'file', 'config': {'path': '%s', 'maxLineBytes': 10}}", harness_path("in"));
	harness_read(&h, s);
	assert_int_equal(h.messages, 2);
	done(&h, s);
}

static void test_metadata(void **state)
{
	struct harness h;
	struct df_source *s;
	struct df_buf buf = { 0 };
	char expected[256];

	(void)state;
	setup(&h);
	harness_put(harness_path("in"), "1\n\n2\n");
	s = harness_source(&h, "{'type': 'file', 'config': {'path': '%s', 'metadata': true}}", harness_path("in"));
	harness_read(&h, s);
	df_value_write(harness_message(&h, 1)->metadata, &buf);
	snprintf(expected, sizeof(expected), "{\"file\":\"%s\",\"line\":3}", harness_path("in"));
	assert_string_equal(df_buf_c(&buf), expected);
	df_buf_done(&buf);
	done(&h, s);
}

/* ---- json ------------------------------------------------------------------------------------------------ */

static void test_json(void **state)
{
	struct df_buf in = { 0 };
	struct harness h;
	struct df_source *s;

	(void)state;
	setup(&h);
	df_buf_add_c(&in, "{\"features\": [\n");
	for (size_t i = 0; i < 20000; i++)
		df_buf_printf(&in, "%s{\"id\": %zu}\n", i ? "," : "", i);
	df_buf_add_c(&in, "]}\n");
	harness_put_bytes(harness_path("in.geojson"), in.data, in.len);
	s = make(&h, harness_path("in.geojson"));
	harness_read(&h, s);
	assert_int_equal(h.messages, 1);
	assert_non_null(harness_message(&h, 0)->document);
	assert_false(harness_message(&h, 0)->changed);
	assert_int_equal(df_object_get_c(harness_message(&h, 0)->document, "features")->len, 20000);
	assert_int_equal(harness_message(&h, 0)->payload.len, in.len - 1);
	assert_int_equal(harness_message(&h, 0)->position.number, in.len);
	df_buf_done(&in);
	done(&h, s);
}

static void test_bad_json(void **state)
{
	struct df_error err = DF_ERROR_INIT;
	struct harness h;
	struct df_source *s;

	(void)state;
	setup(&h);
	harness_put(harness_path("in.json"), "{\"a\": 1}\n{\"a\": 2}\n");
	s = make(&h, harness_path("in.json"));
	harness_read(&h, s);
	assert_int_equal(h.messages, 1);
	assert_says(harness_failure(&h, 0), "not one JSON document: line 2, column 1");
	assert_says(harness_failure(&h, 0), "format: jsonl");
	done(&h, s);

	setup(&h);
	harness_put(harness_path("in.json"), "[1, 2, 3, 4]");
	s = harness_source(&h, "{'type': 'file', 'config': {'path': '%s', 'maxDocumentBytes': 5}}",
			   harness_path("in.json"));
	assert_int_equal(harness_read_fails(&h, s, &err), DF_ERR_INVALID_DATA);
	assert_says(err.text, "the document is larger than 5 bytes: raise spec.source.config.maxDocumentBytes");
	done(&h, s);
}

/* ---- which files ----------------------------------------------------------------------------------------- */

static void connect_fails(const char *path, const char *said)
{
	struct df_error err = DF_ERROR_INIT;
	struct harness h;
	struct df_source *s;

	harness_init(&h);
	s = make(&h, path);
	assert_int_equal(s->ops->connect(s, NULL, &err), DF_ERR_CONFIG);
	assert_says(err.text, path);
	assert_says(err.text, said);
	done(&h, s);
}

static void test_wrong_paths(void **state)
{
	(void)state;
	harness_directory();
	connect_fails(harness_path("missing"), "No such file");
	connect_fails(harness_path(""), "is a directory: name a file in it");
	connect_fails(harness_path("*.nothing"), "no file matches");
	assert_int_equal(mkfifo(harness_path("pipe"), 0600), 0);
	connect_fails(harness_path("pipe"), "is not a regular file");
	if (geteuid() != 0) {
		harness_put(harness_path("secret"), "1\n");
		assert_int_equal(chmod(harness_path("secret"), 0), 0);
		connect_fails(harness_path("secret"), "must be allowed to");
	}
}

static void test_pattern(void **state)
{
	struct harness h;
	struct df_source *s;

	(void)state;
	setup(&h);
	harness_put(harness_path("b.jsonl"), "3\n4");
	harness_put(harness_path("a.jsonl"), "1\n2");
	harness_put(harness_path("c.txt"), "no\n");
	assert_int_equal(mkdir(harness_path("d.jsonl"), 0700), 0);
	s = make(&h, harness_path("*.jsonl"));
	harness_read(&h, s);
	assert_payloads(&h, PAYLOADS("1", "2", "3", "4"));
	/* All of them small: one batch. */
	assert_int_equal(h.batches, 1);
	assert_ptr_not_equal(harness_message(&h, 0)->partition, harness_message(&h, 2)->partition);
	done(&h, s);

	/* A name that only looks like a pattern. */
	setup(&h);
	harness_put(harness_path("x[1].jsonl"), "1\n");
	s = make(&h, harness_path("x[1].jsonl"));
	harness_read(&h, s);
	assert_int_equal(h.messages, 1);
	done(&h, s);
}

static void test_refused_settings(void **state)
{
	char *said;

	(void)state;
	said = harness_refused(DF_SOURCE, "{'type': 'file', 'config': {}}");
	assert_says(said, "spec.source.config.path");
	free(said);
	said = harness_refused(DF_SOURCE, "{'type': 'file', 'config': {'path': 'x', 'from': 'end'}}");
	assert_says(said, "follow: true");
	free(said);
	said = harness_refused(DF_SOURCE, "{'type': 'file', 'config': {'path': 'x.json', 'follow': true}}");
	assert_says(said, "follow needs jsonl or csv");
	free(said);
	said = harness_refused(DF_SOURCE, "{'type': 'file', 'config': {'path': 'x', 'delimiter': '::'}}");
	assert_says(said, "one ASCII character");
	free(said);
}

/* ---- positions ------------------------------------------------------------------------------------------- */

static struct df_source *resume(struct harness *h, const char *config, const char *path, const char *checkpoint)
{
	struct df_error err = DF_ERROR_INIT;
	struct df_source *s;

	harness_init(h);
	s = harness_source(h, "{'type': 'file', 'config': {'path': '%s'%s}}", path, config);
	if (harness_restore(s, checkpoint, &err) < 0)
		fail_msg("%s", err.text);
	return s;
}

/* Reads everything, then makes the first n messages done. */
static char *read_and_commit(const char *path, size_t n)
{
	struct harness h;
	struct df_source *s;
	char *checkpoint;

	harness_init(&h);
	s = make(&h, path);
	harness_read(&h, s);
	checkpoint = harness_commit_some(&h, s, 0, n);
	done(&h, s);
	return checkpoint;
}

static void test_resume(void **state)
{
	struct harness h;
	struct df_source *s;
	char *checkpoint;

	(void)state;
	harness_directory();
	harness_put(harness_path("in"), "1\n2\n3\n4\n");
	checkpoint = read_and_commit(harness_path("in"), 2);
	assert_says(checkpoint, "\"offset\":4");
	s = resume(&h, "", harness_path("in"), checkpoint);
	harness_read(&h, s);
	assert_payloads(&h, PAYLOADS("3", "4"));
	free(checkpoint);
	/* All done: nothing is read again, and what is appended is. */
	checkpoint = harness_commit(&h, s);
	done(&h, s);
	s = resume(&h, "", harness_path("in"), checkpoint);
	harness_read(&h, s);
	assert_int_equal(h.messages, 0);
	done(&h, s);
	harness_append(harness_path("in"), "5\n");
	s = resume(&h, ",'metadata':true", harness_path("in"), checkpoint);
	harness_read(&h, s);
	assert_payloads(&h, PAYLOADS("5"));
	/* The line number is that of the file. */
	assert_true(df_object_get_c(harness_message(&h, 0)->metadata, "line")->int64 == 5);
	done(&h, s);
	free(checkpoint);
}

static void test_resume_out_of_order(void **state)
{
	struct harness h;
	struct df_source *s;
	char *checkpoint;

	(void)state;
	setup(&h);
	harness_put(harness_path("in"), "1\n2\n3\n4\n");
	s = make(&h, harness_path("in"));
	harness_read(&h, s);
	free(harness_commit_some(&h, s, 3, 1));
	checkpoint = harness_commit_some(&h, s, 0, 1);
	assert_says(checkpoint, "\"offset\":2");
	free(checkpoint);
	checkpoint = harness_commit_some(&h, s, 1, 2);
	assert_says(checkpoint, "\"offset\":8");
	free(checkpoint);
	done(&h, s);
}

static void test_resume_many(void **state)
{
	struct harness h;
	struct df_source *s;
	char *checkpoint;

	(void)state;
	harness_directory();
	harness_put(harness_path("a"), "1\n2\n");
	harness_put(harness_path("b"), "3\n4\n");
	checkpoint = read_and_commit(harness_path("?"), 3);
	harness_put(harness_path("c"), "5\n");
	s = resume(&h, "", harness_path("?"), checkpoint);
	harness_read(&h, s);
	assert_payloads(&h, PAYLOADS("4", "5"));
	free(checkpoint);
	/* What is gone leaves the checkpoint. */
	assert_int_equal(unlink(harness_path("a")), 0);
	checkpoint = harness_commit(&h, s);
	assert_says(checkpoint, "/a\"");
	done(&h, s);
	s = resume(&h, "", harness_path("?"), checkpoint);
	harness_read(&h, s);
	free(checkpoint);
	checkpoint = harness_commit(&h, s);
	assert_null(strstr(checkpoint, "/a\""));
	assert_says(checkpoint, "/b\"");
	free(checkpoint);
	done(&h, s);
}

static void test_replaced(void **state)
{
	struct harness h;
	struct df_source *s;
	char *checkpoint;

	(void)state;
	harness_directory();
	harness_put(harness_path("in"), "1\n2\n3\n");
	checkpoint = read_and_commit(harness_path("in"), 3);
	/* Truncated and written anew in place: shorter. */
	harness_put(harness_path("in"), "1\n");
	s = resume(&h, "", harness_path("in"), checkpoint);
	harness_read(&h, s);
	assert_payloads(&h, PAYLOADS("1"));
	done(&h, s);
	/* As long as before, but other bytes. */
	harness_put(harness_path("in"), "7\n8\n9\n");
	s = resume(&h, "", harness_path("in"), checkpoint);
	harness_read(&h, s);
	assert_payloads(&h, PAYLOADS("7", "8", "9"));
	done(&h, s);
	/* Another file under the same name. */
	harness_put(harness_path("new"), "1\n2\n3\n4\n");
	assert_int_equal(rename(harness_path("new"), harness_path("in")), 0);
	s = resume(&h, "", harness_path("in"), checkpoint);
	harness_read(&h, s);
	assert_payloads(&h, PAYLOADS("1", "2", "3", "4"));
	done(&h, s);
	free(checkpoint);
}

/* Found at connect, another file when it is opened: the other one is read, not skipped. */
static void test_replaced_before_read(void **state)
{
	struct df_error err = DF_ERROR_INIT;
	struct harness h;
	struct df_source *s;

	(void)state;
	setup(&h);
	harness_put(harness_path("in"), "1\n");
	s = make(&h, harness_path("in"));
	assert_int_equal(s->ops->connect(s, NULL, &err), 0);
	harness_put(harness_path("new"), "2\n");
	assert_int_equal(rename(harness_path("new"), harness_path("in")), 0);
	assert_int_equal(s->ops->read(s, NULL, &h.emitter, &err), 0);
	assert_payloads(&h, PAYLOADS("2"));
	done(&h, s);
	/* Gone is an error. */
	setup(&h);
	harness_put(harness_path("in"), "1\n");
	s = make(&h, harness_path("in"));
	assert_int_equal(s->ops->connect(s, NULL, &err), 0);
	assert_int_equal(unlink(harness_path("in")), 0);
	assert_int_equal(s->ops->read(s, NULL, &h.emitter, &err), DF_ERR_CONFIG);
	done(&h, s);
}

/* Rotated while nobody read: the rest of the old file comes first. */
static void test_renamed_while_away(void **state)
{
	struct harness h;
	struct df_source *s;
	char *checkpoint;

	(void)state;
	harness_directory();
	harness_put(harness_path("log"), "1\n2\n3\n");
	checkpoint = read_and_commit(harness_path("log"), 1);
	assert_int_equal(rename(harness_path("log"), harness_path("log.1")), 0);
	harness_put(harness_path("log"), "4\n");
	s = resume(&h, "", harness_path("log"), checkpoint);
	harness_read(&h, s);
	assert_payloads(&h, PAYLOADS("2", "3", "4"));
	done(&h, s);
	free(checkpoint);
}

/* Found by a pattern, or where a rotation put it: neither metadata nor a checkpoint could be read back. */
static void test_a_path_that_is_not_utf8(void **state)
{
	struct df_error err = DF_ERROR_INIT;
	struct harness h;
	struct df_source *s;
	char *checkpoint;

	(void)state;
	harness_directory();
	harness_put(harness_path("latin\xe9.txt"), "1\n");
	harness_init(&h);
	s = make(&h, harness_path("latin*"));
	assert_int_equal(s->ops->connect(s, NULL, &err), DF_ERR_CONFIG);
	assert_says(err.text, "latin?.txt is not valid UTF-8");
	done(&h, s);

	harness_put(harness_path("log"), "1\n2\n");
	checkpoint = read_and_commit(harness_path("log"), 1);
	assert_int_equal(rename(harness_path("log"), harness_path("log.\xe9")), 0);
	harness_put(harness_path("log"), "3\n");
	s = resume(&h, "", harness_path("log"), checkpoint);
	assert_int_equal(s->ops->connect(s, NULL, &err), DF_ERR_CONFIG);
	assert_says(err.text, "log.? is not valid UTF-8");
	done(&h, s);
	free(checkpoint);
}

static void test_damaged_checkpoint(void **state)
{
	static const char *const checkpoints[] = {
		"{\"files\": []}",
		"{\"files\": {\"x\": {}}}",
		"{\"files\": {\"x\": {\"path\":\"x\",\"device\":1,\"inode\":1,\"fingerprint\":\"0:0\",\"offset\":-1}}}",
		"{\"files\": {\"x\": {\"path\":\"x\",\"device\":1,\"inode\":1,\"fingerprint\":\"?\",\"offset\":1}}}",
		"{\"files\": {\"x\": 1}}",
	};
	struct harness h;
	struct df_source *s;

	(void)state;
	setup(&h);
	for (size_t i = 0; i < DF_ARRAY_SIZE(checkpoints); i++) {
		struct df_error err = DF_ERROR_INIT;

		s = make(&h, "x");
		assert_int_equal(harness_restore(s, checkpoints[i], &err), DF_ERR_CONFIG);
		assert_says(err.text, "checkpointReset");
		df_source_free(s);
	}
	s = make(&h, "x");
	assert_int_equal(harness_restore(s, "{\"other\": 1}", NULL), 0);
	done(&h, s);
}

/* ---- compression ----------------------------------------------------------------------------------------- */

static void gzip_to(const char *path, const char *mode, const char *content)
{
	gzFile f = gzopen(path, mode);

	assert_non_null(f);
	assert_int_equal(gzwrite(f, content, (unsigned)strlen(content)), (int)strlen(content));
	assert_int_equal(gzclose(f), Z_OK);
}

static void test_gzip(void **state)
{
	struct harness h;
	struct df_source *s;
	char *checkpoint;

	(void)state;
	setup(&h);
	gzip_to(harness_path("in.jsonl.gz"), "w", "1\n2\n3");
	gzip_to(harness_path("in.jsonl.gz"), "a", "4\n5\n6\n");
	s = make(&h, harness_path("in.jsonl.gz"));
	harness_read(&h, s);
	assert_payloads(&h, PAYLOADS("1", "2", "34", "5", "6"));
	assert_int_equal(harness_message(&h, 2)->position.number, 7);
	checkpoint = harness_commit_some(&h, s, 0, 3);
	done(&h, s);
	s = resume(&h, ",'metadata':true", harness_path("in.jsonl.gz"), checkpoint);
	harness_read(&h, s);
	assert_payloads(&h, PAYLOADS("5", "6"));
	assert_true(df_object_get_c(harness_message(&h, 0)->metadata, "line")->int64 == 4);
	free(checkpoint);
	/* Finished, and known to be so without reading it again. */
	checkpoint = harness_commit(&h, s);
	assert_says(checkpoint, "\"size\":");
	done(&h, s);
	s = resume(&h, "", harness_path("in.jsonl.gz"), checkpoint);
	harness_read(&h, s);
	assert_int_equal(h.messages, 0);
	assert_int_equal(df_ledger_open_count(h.ledger), 0);
	done(&h, s);
	free(checkpoint);
}

static void test_damaged_gzip(void **state)
{
	struct df_error err = DF_ERROR_INIT;
	struct df_buf in = { 0 };
	struct harness h;
	struct df_source *s;
	struct stat st;
	size_t whole;
	uint64_t random = 1;

	(void)state;
	setup(&h);
	for (size_t i = 0; i < 20000; i++)
		df_buf_printf(&in, "{\"id\": %zu, \"r\": %llu}\n", i,
			      (unsigned long long)(random = random * 6364136223846793005u + 1));
	df_buf_add_char(&in, '\0');
	gzip_to(harness_path("in.gz"), "w", in.data);
	assert_int_equal(stat(harness_path("in.gz"), &st), 0);
	assert_int_equal(truncate(harness_path("in.gz"), st.st_size / 2), 0);
	s = make(&h, harness_path("in.gz"));
	assert_int_equal(harness_read_fails(&h, s, &err), DF_ERR_INVALID_DATA);
	assert_says(err.text, "in.gz: truncated gzip data");
	assert_true(h.messages > 5000 && h.messages < 15000);
	/* What was delivered is whole. */
	whole = 0;
	for (struct df_batch *b = h.first; b; b = b->next) {
		for (size_t i = 0; i < b->count; i++) {
			struct df_str p = b->messages[i].payload;

			assert_memory_equal(p.ptr, in.data + whole, p.len);
			whole += p.len + 1;
		}
	}
	done(&h, s);

	setup(&h);
	harness_put(harness_path("in.gz"), "\x1f\x8b\x08 this is no gzip");
	s = make(&h, harness_path("in.gz"));
	assert_int_equal(harness_read_fails(&h, s, &err), DF_ERR_INVALID_DATA);
	assert_says(err.text, "in.gz: damaged gzip data");
	done(&h, s);

	setup(&h);
	harness_put(harness_path("in"), "plain\n");
	s = harness_source(&h, "{'type': 'file', 'config': {'path': '%s', 'compression': 'gzip'}}", harness_path("in"));
	assert_int_equal(harness_read_fails(&h, s, &err), DF_ERR_INVALID_DATA);
	assert_says(err.text, "damaged gzip data");
	done(&h, s);
	df_buf_done(&in);
}

#ifdef DF_WITH_ZSTD
static void test_zstd(void **state)
{
	struct df_error err = DF_ERROR_INIT;
	struct harness h;
	struct df_source *s;
	char packed[512];
	size_t first, second;

	(void)state;
	setup(&h);
	first = ZSTD_compress(packed, sizeof(packed), "1\n2\n", 4, 3);
	second = ZSTD_compress(packed + first, sizeof(packed) - first, "3\n", 2, 3);
	harness_put_bytes(harness_path("in.zst"), packed, first + second);
	s = make(&h, harness_path("in.zst"));
	harness_read(&h, s);
	assert_payloads(&h, PAYLOADS("1", "2", "3"));
	done(&h, s);

	setup(&h);
	harness_put_bytes(harness_path("in.zst"), packed, first + second - 3);
	s = make(&h, harness_path("in.zst"));
	assert_int_equal(harness_read_fails(&h, s, &err), DF_ERR_INVALID_DATA);
	assert_says(err.text, "in.zst: truncated zstd data");
	assert_true(h.messages >= 2);
	done(&h, s);
}
#endif

/* ---- following ------------------------------------------------------------------------------------------- */

static struct df_source *follow(struct harness *h, const char *config)
{
	harness_init(h);
	h->env.once = false;
	return harness_source(h, "{'type': 'file', 'config': {'path': '%s', 'follow': true%s}}", harness_path("log"),
			      config);
}

static void await_idle(struct harness *h, size_t idles)
{
	pthread_mutex_lock(&h->lock);
	while (h->idles < idles)
		pthread_cond_wait(&h->changed, &h->lock);
	pthread_mutex_unlock(&h->lock);
}

static void test_follow(void **state)
{
	struct harness_reader r;
	struct harness h;
	struct df_source *s;

	(void)state;
	harness_directory();
	harness_put(harness_path("log"), "1\n2\npart");
	s = follow(&h, "");
	harness_start(&r, &h, s);
	harness_await(&h, 2);
	harness_append(harness_path("log"), "ial\n");
	harness_await(&h, 3);
	harness_append(harness_path("log"), "4\n");
	harness_await(&h, 4);
	assert_int_equal(harness_stop(&r), DF_ERR_CANCELED);
	assert_payloads(&h, PAYLOADS("1", "2", "partial", "4"));
	done(&h, s);
}

static void test_follow_rotation(void **state)
{
	struct harness_reader r;
	struct harness h;
	struct df_source *s;
	char *checkpoint;
	FILE *old;

	(void)state;
	harness_directory();
	harness_put(harness_path("log"), "1\n");
	s = follow(&h, "");
	harness_start(&r, &h, s);
	harness_await(&h, 1);
	/* Renamed, and still written by who has it open. */
	old = fopen(harness_path("log"), "a");
	assert_non_null(old);
	assert_int_equal(rename(harness_path("log"), harness_path("log.1")), 0);
	harness_put(harness_path("log"), "3\n");
	harness_await(&h, 2);
	fputs("2\n", old);
	fclose(old);
	harness_await(&h, 3);
	assert_payloads(&h, PAYLOADS("1", "3", "2"));
	checkpoint = harness_commit(&h, s);
	assert_int_equal(harness_stop(&r), DF_ERR_CANCELED);
	done(&h, s);
	/* Both are known. */
	s = resume(&h, "", harness_path("log"), checkpoint);
	harness_read(&h, s);
	assert_int_equal(h.messages, 0);
	done(&h, s);
	free(checkpoint);
}

static void test_follow_truncation(void **state)
{
	struct harness_reader r;
	struct harness h;
	struct df_source *s;
	char *checkpoint;

	(void)state;
	harness_directory();
	harness_put(harness_path("log"), "one\ntwo\n");
	s = follow(&h, "");
	harness_start(&r, &h, s);
	harness_await(&h, 2);
	await_idle(&h, 1);
	assert_int_equal(truncate(harness_path("log"), 0), 0);
	harness_append(harness_path("log"), "3\n");
	harness_await(&h, 3);
	assert_payloads(&h, PAYLOADS("one", "two", "3"));
	/* What is done of the old content does not count for the new one. */
	checkpoint = harness_commit_some(&h, s, 0, 2);
	assert_string_equal(checkpoint, "{\"files\":{}}");
	free(checkpoint);
	checkpoint = harness_commit(&h, s);
	assert_says(checkpoint, "\"offset\":2");
	free(checkpoint);
	assert_int_equal(harness_stop(&r), DF_ERR_CANCELED);
	done(&h, s);
}

static void test_follow_waits_for_the_file(void **state)
{
	struct df_error err = DF_ERROR_INIT;
	struct harness_reader r;
	struct harness h;
	struct df_source *s;

	(void)state;
	harness_directory();
	s = follow(&h, ",'from':'end'");
	harness_start(&r, &h, s);
	await_idle(&h, 1);
	/* Files that come later begin at their start. */
	harness_put(harness_path("log"), "1\n");
	harness_await(&h, 1);
	assert_int_equal(harness_stop(&r), DF_ERR_CANCELED);
	done(&h, s);
	/* But a directory that is not there is an error. */
	harness_init(&h);
	h.env.once = false;
	s = harness_source(&h, "{'type': 'file', 'config': {'path': '%s/log', 'follow': true}}",
			   harness_path("nowhere"));
	assert_int_equal(s->ops->connect(s, NULL, &err), DF_ERR_CONFIG);
	done(&h, s);
}

static void test_follow_from_end(void **state)
{
	struct harness_reader r;
	struct harness h;
	struct df_source *s;

	(void)state;
	harness_directory();
	harness_put(harness_path("log"), "1\n2\n");
	s = follow(&h, ",'from':'end'");
	harness_start(&r, &h, s);
	await_idle(&h, 1);
	harness_append(harness_path("log"), "3\n");
	harness_await(&h, 1);
	assert_int_equal(harness_stop(&r), DF_ERR_CANCELED);
	assert_payloads(&h, PAYLOADS("3"));
	done(&h, s);
}

static void test_follow_compressed(void **state)
{
	struct df_error err = DF_ERROR_INIT;
	struct harness h;
	struct df_source *s;

	(void)state;
	harness_directory();
	gzip_to(harness_path("log"), "w", "1\n");
	s = follow(&h, "");
	assert_int_equal(harness_read_fails(&h, s, &err), DF_ERR_CONFIG);
	assert_says(err.text, "is compressed, which cannot be followed");
	done(&h, s);
}

/* ---- the contract ---------------------------------------------------------------------------------------- */

static void test_close_while_waiting(void **state)
{
	struct df_error err = DF_ERROR_INIT;
	struct harness_reader r;
	struct harness h;
	struct df_source *s;

	(void)state;
	harness_directory();
	harness_put(harness_path("log"), "1\n");
	s = follow(&h, "");
	harness_start(&r, &h, s);
	await_idle(&h, 1);
	assert_int_equal(s->ops->close(s, &err), 0);
	assert_int_equal(s->ops->close(s, &err), 0);
	pthread_join(r.thread, NULL);
	assert_int_equal(r.result, DF_ERR_CANCELED);
	df_context_free(r.ctx);
	assert_int_equal(s->ops->connect(s, NULL, &err), DF_ERR_CLOSED);
	assert_says(err.text, "connector is closed");
	assert_int_equal(s->ops->read(s, NULL, &h.emitter, &err), DF_ERR_CLOSED);
	done(&h, s);
}

static void test_close_while_downstream_is_full(void **state)
{
	struct df_error err = DF_ERROR_INIT;
	struct harness_reader r;
	struct harness h;
	struct df_source *s;

	(void)state;
	setup(&h);
	h.emitter.batch_messages = 1;
	h.refuse_after = 1;
	harness_put(harness_path("in"), "1\n2\n3\n");
	s = make(&h, harness_path("in"));
	harness_start(&r, &h, s);
	harness_await(&h, 1);
	assert_int_equal(s->ops->close(s, &err), 0);
	pthread_join(r.thread, NULL);
	assert_int_equal(r.result, DF_ERR_CANCELED);
	df_context_free(r.ctx);
	done(&h, s);
}

static void test_commit_while_reading(void **state)
{
	struct harness_reader r;
	struct harness h;
	struct df_source *s;

	(void)state;
	harness_directory();
	harness_put(harness_path("log"), "0\n");
	s = follow(&h, "");
	harness_start(&r, &h, s);
	for (size_t i = 1; i < 50; i++) {
		harness_await(&h, i);
		pthread_mutex_lock(&h.lock);
		struct df_message *m = &h.last->messages[h.last->count - 1];
		pthread_mutex_unlock(&h.lock);
		df_ledger_done_one(m);
		free(harness_commit_some(&h, s, 0, 0));
		if (i % 10 == 0) {
			char to[32];

			snprintf(to, sizeof(to), "log.%zu", i);
			assert_int_equal(rename(harness_path("log"), harness_path(to)), 0);
		}
		harness_append(harness_path("log"), "x\n");
	}
	assert_int_equal(harness_stop(&r), DF_ERR_CANCELED);
	done(&h, s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lines),
		cmocka_unit_test(test_byte_order_mark),
		cmocka_unit_test(test_empty_file),
		cmocka_unit_test(test_many_lines),
		cmocka_unit_test(test_invalid_utf8),
		cmocka_unit_test(test_too_long_line),
		cmocka_unit_test(test_exact_limit),
		cmocka_unit_test(test_metadata),
		cmocka_unit_test(test_json),
		cmocka_unit_test(test_bad_json),
		cmocka_unit_test(test_wrong_paths),
		cmocka_unit_test(test_pattern),
		cmocka_unit_test(test_refused_settings),
		cmocka_unit_test(test_resume),
		cmocka_unit_test(test_resume_out_of_order),
		cmocka_unit_test(test_resume_many),
		cmocka_unit_test(test_replaced),
		cmocka_unit_test(test_replaced_before_read),
		cmocka_unit_test(test_renamed_while_away),
		cmocka_unit_test(test_a_path_that_is_not_utf8),
		cmocka_unit_test(test_damaged_checkpoint),
		cmocka_unit_test(test_gzip),
		cmocka_unit_test(test_damaged_gzip),
#ifdef DF_WITH_ZSTD
		cmocka_unit_test(test_zstd),
#endif
		cmocka_unit_test(test_follow),
		cmocka_unit_test(test_follow_rotation),
		cmocka_unit_test(test_follow_truncation),
		cmocka_unit_test(test_follow_waits_for_the_file),
		cmocka_unit_test(test_follow_from_end),
		cmocka_unit_test(test_follow_compressed),
		cmocka_unit_test(test_close_while_waiting),
		cmocka_unit_test(test_close_while_downstream_is_full),
		cmocka_unit_test(test_commit_while_reading),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

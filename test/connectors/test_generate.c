/* The generate source: placeholders, determinism, pace, position. */
#include "connectors/generate/generate.h"
#include "harness.h"

#define COUNT_CONFIG "{'type': 'generate', 'config': {'count': %d, 'template': '%s'}}"

/* The first messages of a template, with a newline behind each; heap. */
static char *first(int count, const char *template, const char *more)
{
	struct df_buf buf = { 0 };
	struct harness h;
	struct df_source *s;

	harness_init(&h);
	h.env.clock = &(struct df_clock){ .fixed = true, .fixed_ns = INT64_C(1700000000123456789) };
	s = harness_source(&h, "{'type': 'generate', 'config': {'count': %d%s, 'template': '%s'}}", count, more,
			   template);
	harness_read(&h, s);
	assert_int_equal(h.messages, count);
	for (int i = 0; i < count; i++) {
		assert_int_equal(df_value_check(harness_message(&h, (size_t)i)->payload), DF_PARSE_OK);
		df_buf_add_str(&buf, harness_message(&h, (size_t)i)->payload);
		df_buf_add_char(&buf, '\n');
	}
	df_source_free(s);
	harness_done(&h);
	return df_buf_take(&buf);
}

static void assert_first(int count, const char *template, const char *expected)
{
	char *text = first(count, template, "");

	assert_string_equal(text, expected);
	free(text);
}

static void test_placeholders(void **state)
{
	(void)state;
	assert_first(3, "${counter}", "1\n2\n3\n");
	assert_first(2, "[${counter:100}]", "[100]\n[101]\n");
	assert_first(2, "${counter:-1}", "-1\n0\n");
	assert_first(1, "${random:1}", "0\n");
	assert_first(1, "${random:5:5}", "5\n");
	assert_first(1, "${float:-0.5:-0.5}", "-0.50\n");
	assert_first(1, "${float:3:3:0}", "3\n");
	assert_first(1, "${float:1.25:1.25:9}", "1.250000000\n");
	assert_first(1, "\\\"${choice:only}\\\"", "\"only\"\n");
	assert_first(1, "\\\"${now}\\\"", "\"2023-11-14T22:13:20.123Z\"\n");
	assert_first(1, "[${now:unix}, ${now:unix_ms}]", "[1700000000, 1700000000123]\n");
	assert_first(1, "\\\"$${counter} ${counter}$\\\"", "\"${counter} 1$\"\n");
}

static void test_random_values(void **state)
{
	char *text = first(
		2000,
		"[${random:-3:3},${float:0:1:1},${bool},\\\"${choice:a|b|c}\\\",\\\"${string:7}\\\",\\\"${uuid}\\\"]",
		"");
	int seen[7] = { 0 }, trues = 0, choices[3] = { 0 };

	(void)state;
	for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n")) {
		int n, tenths;
		char truth[8], choice, string[16], uuid[40];

		assert_int_equal(sscanf(line, "[%d,%*d.%d,%7[a-z],\"%c\",\"%15[a-z0-9]\",\"%39[0-9a-f-]\"]", &n,
					&tenths, truth, &choice, string, uuid),
				 6);
		assert_true(n >= -3 && n <= 3);
		seen[n + 3]++;
		trues += truth[0] == 't';
		choices[choice - 'a']++;
		assert_int_equal(strlen(string), 7);
		assert_int_equal(strlen(uuid), 36);
		assert_int_equal(uuid[14], '4');
		assert_non_null(strchr("89ab", uuid[19]));
	}
	for (int i = 0; i < 7; i++)
		assert_true(seen[i] > 200 && seen[i] < 400);
	assert_true(trues > 900 && trues < 1100);
	for (int i = 0; i < 3; i++)
		assert_true(choices[i] > 550 && choices[i] < 800);
	free(text);
}

static void test_seed(void **state)
{
	char *a = first(50, "${random:1000000000}", ",'seed':7");
	char *b = first(50, "${random:1000000000}", ",'seed':7");
	char *c = first(50, "${random:1000000000}", ",'seed':8");

	(void)state;
	assert_string_equal(a, b);
	assert_string_not_equal(a, c);
	free(a);
	free(b);
	free(c);
}

static void test_bad_templates(void **state)
{
	static const char *const templates[][2] = {
		{ "${conter}", "unknown placeholder ${conter} (did you mean ${counter}?)" },
		{ "${counter", "is not closed with }" },
		{ "${random}", "write it as ${random:N}" },
		{ "${random:0}", "write it as" },
		{ "${random:5:4}", "write it as" },
		{ "${float:1}", "write it as" },
		{ "${float:0:1:10}", "0 to 9 digits" },
		{ "${float:0.123:1}", "write it as" },
		{ "${string:0}", "write it as" },
		{ "${choice}", "write it as ${choice:a|b|c}" },
		{ "${uuid:4}", "write it as ${uuid}" },
		{ "${now:utc}", "write it as" },
		{ "{${counter}}", "the template does not make JSON: its first message would be {1}" },
		{ "${string:5}", "does not make JSON" },
	};

	(void)state;
	for (size_t i = 0; i < DF_ARRAY_SIZE(templates); i++) {
		char *said = harness_refused(DF_SOURCE, COUNT_CONFIG, 1, templates[i][0]);

		if (!strstr(said, templates[i][1]))
			fail_msg("%s: %s", templates[i][0], said);
		assert_memory_equal(said, "spec.source.config.template: ", 29);
		free(said);
	}
}

static void test_default(void **state)
{
	struct harness h;
	struct df_source *s;

	(void)state;
	harness_init(&h);
	s = harness_source(&h, "{'type': 'generate', 'config': {'count': 250}}");
	harness_read(&h, s);
	assert_int_equal(h.messages, 250);
	assert_int_equal(h.batches, 3);
	for (size_t i = 0; i < 250; i++) {
		assert_int_equal(df_value_check(harness_message(&h, i)->payload), DF_PARSE_OK);
		assert_int_equal(harness_message(&h, i)->position.number, i + 1);
		assert_true(harness_message(&h, i)->timestamp_ns > 0);
	}
	df_source_free(s);
	harness_done(&h);
}

static void test_resume(void **state)
{
	struct df_error err = DF_ERROR_INIT;
	struct harness h;
	struct df_source *s;
	char *checkpoint;

	(void)state;
	harness_init(&h);
	s = harness_source(&h, COUNT_CONFIG, 10, "${counter}");
	harness_read(&h, s);
	checkpoint = harness_commit_some(&h, s, 0, 4);
	assert_string_equal(checkpoint, "{\"counter\":4}");
	df_source_free(s);
	harness_done(&h);

	harness_init(&h);
	s = harness_source(&h, COUNT_CONFIG, 10, "${counter}");
	assert_int_equal(harness_restore(s, checkpoint, &err), 0);
	harness_read(&h, s);
	assert_int_equal(h.messages, 6);
	assert_string_equal(harness_payload(&h, 0), "5");
	df_source_free(s);
	s = harness_source(&h, COUNT_CONFIG, 10, "${counter}");
	assert_int_equal(harness_restore(s, "{\"counter\": \"x\"}", &err), DF_ERR_CONFIG);
	assert_non_null(strstr(err.text, "checkpointReset"));
	df_source_free(s);
	harness_done(&h);
	free(checkpoint);
}

static void test_rate(void **state)
{
	int64_t start = df_clock_monotonic(), ms;
	struct harness h;
	struct df_source *s;

	(void)state;
	harness_init(&h);
	s = harness_source(&h, "{'type': 'generate', 'config': {'count': 101, 'rate': 500}}");
	harness_read(&h, s);
	ms = (df_clock_monotonic() - start) / DF_NS_PER_MS;
	assert_int_equal(h.messages, 101);
	assert_true(ms >= 195 && ms < 10000);
	df_source_free(s);
	harness_done(&h);
}

static void test_endless_is_closed(void **state)
{
	struct df_error err = DF_ERROR_INIT;
	struct harness_reader r;
	struct harness h;
	struct df_source *s;

	(void)state;
	/* While it sleeps, and while downstream is full. */
	for (int rate = 0; rate < 2; rate++) {
		harness_init(&h);
		h.refuse_after = 100;
		s = harness_source(&h, "{'type': 'generate', 'config': {'rate': %d}}", rate);
		harness_start(&r, &h, s);
		harness_await(&h, 1);
		assert_int_equal(s->ops->close(s, &err), 0);
		pthread_join(r.thread, NULL);
		assert_int_equal(r.result, DF_ERR_CANCELED);
		df_context_free(r.ctx);
		df_source_free(s);
		harness_done(&h);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_placeholders), cmocka_unit_test(test_random_values),
		cmocka_unit_test(test_seed),	     cmocka_unit_test(test_bad_templates),
		cmocka_unit_test(test_default),	     cmocka_unit_test(test_resume),
		cmocka_unit_test(test_rate),	     cmocka_unit_test(test_endless_is_closed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

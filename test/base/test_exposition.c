/* Prometheus' text: which lines are samples, and what becomes of several texts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/exposition.h"

static bool is_sample(const char *line)
{
	struct df_sample sample;

	return df_sample_parse(df_str_c(line), &sample);
}

static void test_lines(void **state)
{
	static const char *const good[] = {
		"a 1",
		"a{} 1",
		"a{}1",
		"a:b_c{x=\"\"} +1.5e-3",
		"a{x=\"1\",} 0",
		"a{x=\"}\",y=\"a \\\"quoted\\\" \\\\ \\n one\"}\t12",
		"a{x=\"\xc3\xa9\"} NaN",
		"a -Inf",
		"a +Inf",
		"a .5",
		"a 5.",
		"a 1 1700000000000",
		"a 1 -5",
		"a_bucket{le=\"1\"} 3 # {trace_id=\"x\"} 0.5",
		"a 3 17 # {} 1",
	};
	static const char *const bad[] = {
		"",
		"a",
		"a ",
		"1a 1",
		"{x=\"1\"} 1",
		"a{x=\"1\" 1",
		"a{x=\"1} 1",
		"a{x=1} 1",
		"a{x=\"1\"y=\"2\"} 1",
		"a{,} 1",
		"a{x:y=\"1\"} 1",
		"a{x=\"\\t\"} 1",
		"a{x=\"\\",
		"a{x=\"1\",x=\"2\"} 1", /* Prometheus refuses the whole text for it */
		"a{x=\"\xff\"} 1",
		"a{x=\"1\"} 1e999",
		"a 12x",
		"a 1 2 3",
		"a 1 x",
		"a .",
		"a e5",
		"a 1e",
		"a +",
		"a 0x10",
		"a 1\r",
		"a 11111111111111111111111111111111111111111111111111111",
	};

	(void)state;
	for (size_t i = 0; i < DF_ARRAY_SIZE(good); i++)
		if (!is_sample(good[i]))
			fail_msg("refused: %s", good[i]);
	for (size_t i = 0; i < DF_ARRAY_SIZE(bad); i++)
		if (is_sample(bad[i]))
			fail_msg("taken: %s", bad[i]);
}

static void test_labels(void **state)
{
	struct df_sample s;

	(void)state;
	assert_true(df_sample_parse(DF_STR("m{a=\"1\",bc=\"x\\\"y\",d=\"\"} 7 12"), &s));
	assert_true(df_str_equal(s.name, DF_STR("m")));
	assert_true(df_str_equal(s.value, DF_STR("7")));
	assert_true(df_str_equal(df_sample_label(&s, "bc"), DF_STR("x\\\"y")));
	assert_non_null(df_sample_label(&s, "d").ptr);
	assert_int_equal(df_sample_label(&s, "d").len, 0);
	assert_null(df_sample_label(&s, "b").ptr);
	assert_true(df_sample_parse(DF_STR("m 1"), &s));
	assert_null(df_sample_label(&s, "a").ptr);
}

/* ---- merging --------------------------------------------------------------------------------------------- */

static struct df_families *all;
static char *written;

static int set_up(void **state)
{
	(void)state;
	all = df_families_new();
	return all ? 0 : -1;
}

static int tear_down(void **state)
{
	(void)state;
	df_families_free(all);
	free(written);
	written = NULL;
	return 0;
}

static struct df_families_from of_pod(const char *pod)
{
	return (struct df_families_from){ 1 << 20, DF_STR("dataflow_"), "pod", df_str_c(pod), { { 0 } } };
}

static void add(const struct df_families_from *from, const char *text)
{
	struct df_error err = DF_ERROR_INIT;

	if (df_families_add(all, df_str_c(text), from, &err) < 0)
		fail_msg("%s", err.text);
}

static const char *result(void)
{
	struct df_buf buf = { 0 };

	df_families_write(all, &buf);
	free(written);
	written = df_buf_take(&buf);
	return written;
}

static void test_a_family_stands_once(void **state)
{
	struct df_families_from p = of_pod("p-1"), q = of_pod("q\"\\\n");

	(void)state;
	add(&p, "# HELP dataflow_a_total One.\n# TYPE dataflow_a_total counter\ndataflow_a_total{x=\"1\"} 1\n"
		"# HELP dataflow_h Two.\n# TYPE dataflow_h histogram\ndataflow_h_bucket{le=\"+Inf\"} 2\n"
		"dataflow_h_sum 0.5\ndataflow_h_count{} 2 1700000000000\n");
	add(&q, "# HELP dataflow_h Other words.\n# TYPE dataflow_h histogram\ndataflow_h_bucket{le=\"+Inf\"} 9\n"
		"dataflow_h_sum 3\ndataflow_h_count 9\n"
		"# HELP dataflow_a_total One.\n# TYPE dataflow_a_total counter\ndataflow_a_total{x=\"1\"} 4\n"
		"# HELP go_gc Not ours.\n# TYPE go_gc gauge\ngo_gc 1\n");
	assert_string_equal(result(), "# HELP dataflow_a_total One.\n# TYPE dataflow_a_total counter\n"
				      "dataflow_a_total{pod=\"p-1\",x=\"1\"} 1\n"
				      "dataflow_a_total{pod=\"q\\\"\\\\\\n\",x=\"1\"} 4\n"
				      "# HELP dataflow_h Two.\n# TYPE dataflow_h histogram\n"
				      "dataflow_h_bucket{pod=\"p-1\",le=\"+Inf\"} 2\n"
				      "dataflow_h_sum{pod=\"p-1\"} 0.5\n"
				      "dataflow_h_count{pod=\"p-1\"} 2\n"
				      "dataflow_h_bucket{pod=\"q\\\"\\\\\\n\",le=\"+Inf\"} 9\n"
				      "dataflow_h_sum{pod=\"q\\\"\\\\\\n\"} 3\n"
				      "dataflow_h_count{pod=\"q\\\"\\\\\\n\"} 9\n");
	assert_int_equal(df_families_left_out(all), 0);
}

static void test_without_a_label(void **state)
{
	struct df_families_from anything = { 0 };

	(void)state;
	add(&anything, "# HELP b x\n# TYPE b gauge\nb 1\nb{a=\"1\",} 2\n");
	add(&anything, "# HELP b x\n# TYPE b gauge\nb 3\n");
	assert_string_equal(result(), "# HELP b x\n# TYPE b gauge\nb 1\nb{a=\"1\"} 2\nb 3\n");
	assert_string_equal(result(), ""); /* empty now, and good for another round */
	add(&anything, "b 3\n");
	assert_string_equal(result(), "b 3\n");
}

static void test_a_process_speaks_for_itself(void **state)
{
	struct df_families_from from = of_pod("p");

	(void)state;
	from.must[0].name = "namespace";
	from.must[0].value = DF_STR("n");
	from.must[1].name = "name";
	from.must[1].value = DF_STR("f");
	add(&from, "dataflow_a{namespace=\"n\",name=\"f\"} 1\n"
		   "dataflow_a{namespace=\"n\",name=\"other\"} 2\n"
		   "dataflow_a{namespace=\"n\"} 3\n"
		   "dataflow_a 4\n"
		   "dataflow_a{namespace=\"n\",name=\"f\",pod=\"q\"} 5\n");
	assert_string_equal(result(), "dataflow_a{pod=\"p\",namespace=\"n\",name=\"f\"} 1\n");
	assert_int_equal(df_families_left_out(all), 4);
}

static void test_garbage_is_left_out(void **state)
{
	struct df_families_from p = of_pod("p");

	(void)state;
	add(&p, "\n# EOF\n#\n# HELP\n# HELP \n# TYPE \n# HELP dataflow_\xff x\n# HELP dataflow_b bad \xff\n"
		"# HELP dataflow_z bad \\\"\n# HELP dataflow_z bad \\"
		"\n# HELP dataflow_z good \\\\ \\n\n"
		"# TYPE dataflow_c nonsense\n# a comment\ndataflow_c 1\n# TYPE dataflow_c counter\ndataflow_c 2\n"
		"dataflow_d{x=\"1\",x=\"2\"} 3\ndataflow_d 1e999\n<html>dataflow_d 5</html>\n"
		"# TYPE dataflow_e gauge\ndataflow_e_sum 6\ndataflow_z 7\ndataflow_cut 1");
	assert_string_equal(result(), "# HELP dataflow_z good \\\\ \\n\ndataflow_z{pod=\"p\"} 7\n"
				      "# TYPE dataflow_c counter\ndataflow_c{pod=\"p\"} 1\ndataflow_c{pod=\"p\"} 2\n"
				      "# TYPE dataflow_e gauge\n"
				      "dataflow_e_sum{pod=\"p\"} 6\n");
	assert_int_equal(df_families_left_out(all), 3);
}

static void test_made_up_names_end(void **state)
{
	struct df_families_from p = of_pod("p");
	struct df_buf text = { 0 };

	(void)state;
	for (int i = 0; i < 5000; i++)
		df_buf_printf(&text, "dataflow_%d 1\n", i);
	add(&p, df_buf_c(&text));
	assert_true(df_families_left_out(all) >= 3000);
	add(&p, "dataflow_0 2\n"); /* what is there goes on */
	assert_non_null(strstr(result(), "dataflow_0{pod=\"p\"} 1\ndataflow_0{pod=\"p\"} 2\n"));
	df_buf_done(&text);
}

static void test_all_of_a_text_or_nothing(void **state)
{
	struct df_families_from p = of_pod("p");
	struct df_error err = DF_ERROR_INIT;
	struct df_buf text = { 0 };

	(void)state;
	for (int i = 0; i < 100000; i++)
		df_buf_printf(&text, "dataflow_a 12345\n");
	add(&p, "dataflow_a 1\n");
	assert_int_equal(df_families_add(all, df_buf_str(&text), &p, &err), DF_ERR_NO_MEMORY);
	assert_string_equal(err.text, "the texts are more than 1 MiB together");
	add(&p, "dataflow_a 2\n");
	assert_string_equal(result(), "dataflow_a{pod=\"p\"} 1\ndataflow_a{pod=\"p\"} 2\n");
	df_buf_done(&text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lines),
		cmocka_unit_test(test_labels),
		cmocka_unit_test_setup_teardown(test_a_family_stands_once, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_without_a_label, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_a_process_speaks_for_itself, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_garbage_is_left_out, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_made_up_names_end, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_all_of_a_text_or_nothing, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

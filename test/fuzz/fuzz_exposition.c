/* Two processors' texts, the second behind a line "----": merged, the result is good line by line, each family stands
 * once, and merging the result again loses nothing and comes to rest. */
#include <stdlib.h>

#include "base/exposition.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct df_families_from of_pod = {
	.max_bytes = 1 << 20,
	.prefix = { "dataflow_", 9 },
	.label = "pod",
	.label_value = { "p\"\n", 3 },
	.must = { { "namespace", { "n", 1 } } },
};

static void check_sample(struct df_str line)
{
	struct df_sample s;

	if (!df_sample_parse(line, &s) || !df_str_starts(s.name, of_pod.prefix))
		abort();
	if (!df_str_equal_c(df_sample_label(&s, "pod"), "p\\\"\\n") ||
	    !df_str_equal_c(df_sample_label(&s, "namespace"), "n"))
		abort();
}

static void check(struct df_str text)
{
	struct df_str line, rest = text, last = { 0 };

	while (df_exposition_line(&rest, &line)) {
		if (!df_utf8_valid(line, NULL))
			abort();
		if (!df_str_starts(line, DF_STR("# ")))
			check_sample(line);
		else if (!df_str_starts(line, DF_STR("# HELP dataflow_")) &&
			 !df_str_starts(line, DF_STR("# TYPE dataflow_")))
			abort();
		else if (df_str_equal(line, last))
			abort();
		last = line;
	}
	if (rest.len)
		abort();
}

static void merge_again(struct df_str text, struct df_buf *ret)
{
	const struct df_families_from anything = { 0 };
	struct df_families *all = df_families_new();

	if (df_families_add(all, text, &anything, NULL) < 0 || df_families_left_out(all) > 0)
		abort();
	df_families_write(all, ret);
	if (ret->len != text.len)
		abort();
	df_families_free(all);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct df_families *all = df_families_new();
	struct df_str text = df_str((const char *)data, size);
	const char *border = size ? memmem(data, size, "\n----\n", 6) : NULL;
	size_t first = border ? (size_t)(border - text.ptr) + 1 : size;
	size_t second = border ? first + 5 : size;
	struct df_buf merged = { 0 }, again = { 0 }, third = { 0 };
	struct df_error err = DF_ERROR_INIT;

	(void)df_families_add(all, df_str(text.ptr, first), &of_pod, &err);
	(void)df_families_add(all, df_str(text.ptr + second, size - second), &of_pod, &err);
	df_families_write(all, &merged);
	check(df_buf_str(&merged));
	/* Lines may move to a family of which the head came later; then nothing moves any more. */
	merge_again(df_buf_str(&merged), &again);
	check(df_buf_str(&again));
	merge_again(df_buf_str(&again), &third);
	if (!df_str_equal(df_buf_str(&again), df_buf_str(&third)))
		abort();
	df_buf_done(&merged);
	df_buf_done(&again);
	df_buf_done(&third);
	df_families_free(all);
	return 0;
}

/* Texts kept small. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>

#include "kube/pack.h"

/* Like an object of a cluster: much that all have, little of its own. */
static char *text_of(unsigned i)
{
	struct df_buf buf = { 0 };

	df_buf_printf(&buf, "{\"metadata\":{\"name\":\"df-flow-%u\",\"uid\":\"%08x-0000\"},\"spec\":[", i,
		      i * 2654435761U);
	for (unsigned k = 0; k < 100; k++)
		df_buf_printf(&buf, "{\"a setting that all have\":%u},", k * k);
	df_buf_add_c(&buf, "null]}");
	return df_buf_take(&buf);
}

static void check(struct df_kube_packer *p, struct df_str text, uint32_t *ret_len)
{
	struct df_kube_packed packed, again;
	char *out = malloc(text.len + 1);

	assert_int_equal(df_kube_pack(p, text, &packed, NULL), 0);
	assert_int_equal(packed.text_len, text.len);
	assert_int_equal(df_kube_unpack(p, &packed, out, NULL), 0);
	assert_memory_equal(out, text.ptr, text.len);
	assert_int_equal(df_kube_pack(p, text, &again, NULL), 0);
	assert_int_equal(again.len, packed.len);
	assert_memory_equal(again.data, packed.data, packed.len);
	*ret_len = packed.len;
	free(out);
	free(packed.data);
	free(again.data);
}

static void test_small(void **state)
{
	struct df_kube_packer *p = df_kube_packer_new();
	size_t total = 0, packed = 0;

	(void)state;
	for (unsigned i = 0; i < 1000; i++) {
		char *text = text_of(i);
		uint32_t len;

		check(p, df_str_c(text), &len);
		total += strlen(text);
		packed += len;
		free(text);
	}
	assert_true(packed < total / 30);
	df_kube_packer_free(p);
}

/* Nothing to begin with, more than the window, what nothing resembles. */
static void test_odd(void **state)
{
	const size_t sizes[] = { 0, 1, 100, 5000, 40000, 300000 };

	(void)state;
	for (size_t first = 0; first < 6; first++) {
		struct df_kube_packer *p = df_kube_packer_new();

		for (size_t i = 0; i < 6; i++) {
			size_t len = sizes[(first + i) % 6];
			char *text = malloc(len + 1);
			uint32_t x = (uint32_t)i + 1, packed;

			for (size_t k = 0; k < len; k++) {
				x = x * 1664525 + 1013904223;
				text[k] = (char)(x >> 24);
			}
			check(p, df_str(text, len), &packed);
			free(text);
		}
		df_kube_packer_free(p);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_small),
		cmocka_unit_test(test_odd),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

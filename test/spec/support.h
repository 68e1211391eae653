/* What the tests of this floor share. The file is always called flow.yaml. */
#ifndef TEST_SPEC_SUPPORT_H
#define TEST_SPEC_SUPPORT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "spec/yaml.h"

/* The printed diagnostics; the caller frees. */
static inline char *printed(const struct df_diags *diags)
{
	struct df_buf buf = { 0 };

	df_diags_print(diags, &buf);
	char *text = strdup(df_buf_c(&buf));
	df_buf_done(&buf);
	assert_non_null(text);
	return text;
}

static inline void assert_printed(const struct df_diags *diags, const char *want)
{
	df_cleanup(df_freep) char *text = printed(diags);

	assert_string_equal(text, want);
}

/* Reads a heap copy of exactly the text's size, so that ASan sees a byte read beyond it, or kept from it. */
static inline void read_text(const char *text, size_t len, struct df_arena *arena, struct df_yaml_documents *ret,
			     struct df_diags *diags)
{
	char *copy = malloc(len ? len : 1);

	assert_non_null(copy);
	memcpy(copy, text, len);
	df_yaml_parse(df_str(copy, len), "flow.yaml", arena, ret, diags);
	free(copy);
}

/* The only document of a text that has no problem. */
static inline struct df_value *read_one(const char *text, struct df_arena *arena)
{
	struct df_yaml_documents documents;
	struct df_diags diags = { 0 };

	read_text(text, strlen(text), arena, &documents, &diags);
	assert_printed(&diags, "");
	assert_int_equal(documents.count, 1);
	df_diags_done(&diags);
	return documents.items[0];
}

#endif

/*
 * Any bytes through the JSON reader and writer: reading and checking agree; what was read is written as JSON that reads
 * back to the same value, and writing that again gives the same bytes. The input is copied to the end of an exact heap
 * block, so that reading one byte too far is seen.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "value/value.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(int condition)
{
	if (!condition)
		abort();
}

static void check_document(const struct df_value *v)
{
	struct df_arena arena = { 0 };
	struct df_str once = df_value_to_arena(v, &arena), twice;
	struct df_value *again = NULL;

	must(once.ptr != NULL);
	must(df_value_parse(once, &arena, &again, NULL) == DF_PARSE_OK);
	must(df_value_equal(v, again));
	twice = df_value_to_arena(again, &arena);
	must(df_str_equal(once, twice));
	must(df_value_equal(df_value_clone_deep(v, &arena), v));
	df_arena_done(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct df_arena arena = { 0 };
	struct df_parse_error err;
	struct df_value *v = NULL;
	char *copy = malloc(size ? size : 1);
	enum df_parse_result read;

	if (size)
		memcpy(copy, data, size);
	read = df_value_parse(df_str(copy, size), &arena, &v, &err);
	must(read == df_value_check(df_str(copy, size)));
	if (read == DF_PARSE_OK)
		check_document(v);
	else
		must(err.offset <= size && err.what != NULL && err.line >= 1 && err.column >= 1);
	df_arena_done(&arena);
	free(copy);
	return 0;
}

/* A condition in the first line, a JSON document behind it: compiled, evaluated, and nothing in the document changed.
 */
#include <stdlib.h>

#include "transformers/condition.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	df_cleanup(df_condition_freep) struct df_condition *condition = NULL;
	const char *text = (const char *)data;
	const char *line = size ? memchr(text, '\n', size) : NULL;
	size_t len = line ? (size_t)(line - text) : size;
	size_t behind = line ? len + 1 : size;
	struct df_error err = DF_ERROR_INIT;
	struct df_arena arena;
	struct df_value *root = NULL;

	if (df_condition_compile(df_str(text, len), &condition, &err) < 0) {
		/* A reason that says where. */
		if (err.code == DF_ERR_CONFIG && strncmp(err.text, "column ", 7) != 0)
			abort();
		return 0;
	}
	df_arena_init(&arena, NULL);
	if (df_value_parse(df_str(text + behind, size - behind), &arena, &root, NULL) == DF_PARSE_OK) {
		struct df_str before = df_value_to_arena(root, &arena);
		bool first = false;
		bool second = false;
		int r = df_condition_eval(condition, root, &arena, &first, &err);

		if (df_condition_eval(condition, root, &arena, &second, &err) != r || first != second)
			abort();
		if (!df_str_equal(before, df_value_to_arena(root, &arena)))
			abort();
	}
	df_arena_done(&arena);
	return 0;
}

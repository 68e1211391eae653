#include "transformers/settings.h"

#include <stdio.h>
#include <stdlib.h>

int df_tell(struct df_diags *diags, const struct df_place *place, const char *sub, const struct df_error *err)
{
	if (err->code != DF_ERR_NO_MEMORY)
		df_diag_error(diags, place, sub, "%s", err->text);
	return err->code;
}

int df_check_condition(struct df_str text, struct df_error *err)
{
	df_cleanup(df_condition_freep) struct df_condition *condition = NULL;

	return df_condition_compile(text, &condition, err);
}

int df_compile_condition(const char *text, const struct df_place *place, const char *sub, struct df_condition **ret,
			 struct df_diags *diags)
{
	struct df_error err = DF_ERROR_INIT;

	return df_condition_compile(df_str_c(text), ret, &err) ? df_tell(diags, place, sub, &err) : 0;
}

int df_compile_path(const char *text, enum df_path_use use, const struct df_place *place, const char *sub,
		    struct df_path **ret, struct df_diags *diags)
{
	struct df_error err = DF_ERROR_INIT;

	return df_path_compile(df_str_c(text), use, ret, &err) ? df_tell(diags, place, sub, &err) : 0;
}

int df_compile_paths(const struct df_strings *list, enum df_path_use use, const struct df_place *place, const char *sub,
		     struct df_paths *ret, struct df_diags *diags)
{
	int result = 0;

	*ret = (struct df_paths){ .items = calloc(list->count + 1, sizeof(*ret->items)) };
	if (!ret->items)
		return DF_ERR_NO_MEMORY;
	for (size_t i = 0; i < list->count; i++) {
		char where[64];

		snprintf(where, sizeof(where), "%s[%zu]", sub, i);
		int r = df_compile_path(list->items[i], use, place, where, &ret->items[i], diags);
		if (r == DF_ERR_NO_MEMORY)
			return r;
		if (r < 0)
			result = r;
		ret->count++;
	}
	return result;
}

void df_paths_done(struct df_paths *paths)
{
	for (size_t i = 0; i < paths->count; i++)
		df_path_free(paths->items[i]);
	free(paths->items);
	*paths = (struct df_paths){ 0 };
}

/* What the settings of several transformers share: checks for their tables, and compiling what the tables checked. */
#ifndef DF_TRANSFORMERS_SETTINGS_H
#define DF_TRANSFORMERS_SETTINGS_H

#include "base/cleanup.h"
#include "spec/spec.h"
#include "transformers/condition.h"
#include "value/path.h"

/* For field tables. */
int df_check_condition(struct df_str text, struct df_error *err);

/* Compiles; a problem is told at place.sub. DF_ERR_CONFIG (told), DF_ERR_NO_MEMORY. */
int df_compile_condition(const char *text, const struct df_place *place, const char *sub, struct df_condition **ret,
			 struct df_diags *diags) df_must_check;
int df_compile_path(const char *text, enum df_path_use use, const struct df_place *place, const char *sub,
		    struct df_path **ret, struct df_diags *diags) df_must_check;

/* A list of paths. */
struct df_paths {
	struct df_path **items;
	size_t count;
};
/* All of list, problems at place.sub[i]. The result must be given to df_paths_done in any case. */
int df_compile_paths(const struct df_strings *list, enum df_path_use use, const struct df_place *place, const char *sub,
		     struct df_paths *ret, struct df_diags *diags) df_must_check;
void df_paths_done(struct df_paths *paths);

/* Tells err at place.sub; returns its code. DF_ERR_NO_MEMORY is not told. */
int df_tell(struct df_diags *diags, const struct df_place *place, const char *sub, const struct df_error *err);

/* As DF_DEFINE_CLEANUP for a transformer's own struct, whose free function takes the base. */
#define DF_DEFINE_TRANSFORMER_CLEANUP(type, fn) \
	static inline void fn##p(type *p)       \
	{                                       \
		if (*p)                         \
			fn(&(*p)->base);        \
	}

#endif

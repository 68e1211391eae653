/* What snakeCase and camelCase share: new names for all keys of an object or a document. */
#ifndef DF_TRANSFORMERS_RENAME_KEYS_H
#define DF_TRANSFORMERS_RENAME_KEYS_H

#include "transformers/interface.h"

struct df_key_style {
	/* Writes the new name of a key, at most twice as long; returns its length. */
	size_t (*convert)(struct df_str key, char *out);
	/* Fast: true only if the key is its own new name. */
	bool (*is_done)(const char *key, size_t len);
};

struct df_key_renamer;

/* NULL when out of memory. */
struct df_key_renamer *df_key_renamer_new(const struct df_key_style *style);
void df_key_renamer_free(struct df_key_renamer *renamer);

/*
 * Renames the keys of the root, which is an object, or with `deep` those of every object in it, also in arrays. New
 * names are in the arena or in the renamer's cache. DF_ERR_INVALID_DATA when two keys of one object become the same:
 * nothing is changed then.
 */
int df_key_renamer_apply(struct df_key_renamer *renamer, struct df_value *root, bool deep, struct df_arena *arena,
			 bool *ret_changed, struct df_error *err) df_must_check;

#endif

/* The transformer types of this program, from src/transformers/list.h. */
#ifndef DF_TRANSFORMERS_FACTORY_H
#define DF_TRANSFORMERS_FACTORY_H

#include "transformers/interface.h"

/* All types in the order of the list; *ret_count of them. Static. */
const struct df_type *const *df_transformer_types(size_t *ret_count);

/* Compiles one. `unknown transformation type: X` when component->type is NULL. Problems go to diags. */
int df_transformer_create(const struct df_component *component, struct df_transformer **ret,
			  struct df_diags *diags) df_must_check;
void df_transformer_free(struct df_transformer *t);

#endif

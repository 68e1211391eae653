#include "transformers/factory.h"

#define DF_TRANSFORMER(name) extern const struct df_transformer_type df_transformer_##name;
#include "transformers/list.h"
#undef DF_TRANSFORMER

static const struct df_type *const df_types[] = {
#define DF_TRANSFORMER(name) &df_transformer_##name.type,
#include "transformers/list.h"
#undef DF_TRANSFORMER
};

const struct df_type *const *df_transformer_types(size_t *ret_count)
{
	*ret_count = DF_ARRAY_SIZE(df_types);
	return df_types;
}

int df_transformer_create(const struct df_component *component, struct df_transformer **ret, struct df_diags *diags)
{
	struct df_place place = { .line = component->line, .path = component->path };

	*ret = NULL;
	if (!component->type) {
		df_diag_error(diags, &place, "type", "unknown transformation type");
		return DF_ERR_CONFIG;
	}
	const struct df_transformer_type *type =
		DF_CONTAINER_OF(component->type, const struct df_transformer_type, type);
	place.path = component->settings_path;
	int r = type->create(component->settings, &place, ret, diags);
	if (r == 0)
		(*ret)->type = type;
	return r;
}

void df_transformer_free(struct df_transformer *t)
{
	if (t)
		t->type->free(t);
}

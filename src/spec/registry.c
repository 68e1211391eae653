#include "spec/field.h"

const char *df_component_kind_name(enum df_component_kind kind)
{
	switch (kind) {
	case DF_SOURCE:
		return "source";
	case DF_SINK:
		return "sink";
	case DF_TRANSFORMATION:
		return "transformation";
	case DF_COMPONENT_KINDS:
		break;
	}
	return "component";
}

const struct df_type *df_registry_find(const struct df_registry *registry, enum df_component_kind kind,
				       struct df_str name)
{
	if (!registry || (unsigned)kind >= DF_COMPONENT_KINDS)
		return NULL;
	for (size_t i = 0; i < registry->count[kind]; i++) {
		if (df_str_equal_c(name, registry->types[kind][i]->name))
			return registry->types[kind][i];
	}
	return NULL;
}

const char *df_registry_nearest(const struct df_registry *registry, enum df_component_kind kind, struct df_str name)
{
	const char *names[256];
	size_t n = 0;

	if (!registry || (unsigned)kind >= DF_COMPONENT_KINDS)
		return NULL;
	for (size_t i = 0; i < registry->count[kind] && n < sizeof(names) / sizeof(names[0]); i++)
		names[n++] = registry->types[kind][i]->name;
	return df_nearest(name, names, n);
}

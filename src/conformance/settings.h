/* What rules about settings share: every field of a side's table, in its place. */
#ifndef DF_CONFORMANCE_SETTINGS_H
#define DF_CONFORMANCE_SETTINGS_H

#include "conformance/instance.h"

struct df_spot {
	const struct df_table *table;
	const struct df_field *field;
	const char *parent; /* "tls": the object that it stands in, dots between; "" for the settings themselves */
};

typedef void df_spot_fn(struct df_stage *st, enum df_component_kind kind, const struct df_spot *spot);

/* Every row of the side's table, and of the tables of nested objects that the manifest has. */
void df_each_spot(struct df_stage *st, enum df_component_kind kind, df_spot_fn *fn);
/* The same, for df_each_side: NULL, or `none` when fn tried nothing (st->tried). */
const char *df_try_each_spot(struct df_stage *st, enum df_component_kind kind, df_spot_fn *fn, const char *none);

/* The object of a copy of the settings that the spot's key stands in. */
struct df_value *df_spot_object(const struct df_spot *spot, struct df_value *config);
/* The name of a secret's reference. */
const char *df_spot_twin(const struct df_field *field, char *out, size_t size);
/* Takes a member out; nothing when it is not there. */
void df_object_take(struct df_value *object, const char *key);

#endif

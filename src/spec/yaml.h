/*
 * YAML and JSON configuration files to documents, with a line in every node. Scalars are resolved by YAML 1.2's core
 * schema, and `yes` `no` `on` `off` as booleans as Kubernetes does; quoted scalars are strings. Anchors and aliases are
 * expanded up to a bound; merge keys (`<<`) are honoured; duplicate keys, tags other than the core ones, and files over
 * 16 MiB are errors. JSON is YAML: the same reader takes both.
 */
#ifndef DF_SPEC_YAML_H
#define DF_SPEC_YAML_H

#include "spec/diag.h"
#include "value/value.h"

struct df_yaml_documents {
	struct df_value **items; /* in the arena; a document that is empty is left out */
	size_t count;
};

/* Problems go to diags with file and line. file is only a name for them. Everything returned is in the arena. */
void df_yaml_parse(struct df_str text, const char *file, struct df_arena *arena, struct df_yaml_documents *ret,
		   struct df_diags *diags);

/* Reads a whole file, "-" for standard input. */
void df_yaml_load(const char *file, struct df_arena *arena, struct df_yaml_documents *ret, struct df_diags *diags);

/* Sets PATH=VALUE (`spec.source.config.path=/tmp/x`, `spec.transformations[0].config.field=a`) in a document; VALUE is
 * read as a YAML scalar or flow collection. DF_ERR_CONFIG. */
int df_yaml_set(struct df_value *root, struct df_str assignment, struct df_arena *arena,
		struct df_error *err) df_must_check;

#endif

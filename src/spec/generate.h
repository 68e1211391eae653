/* What is derived from tables: OpenAPI schema, JSON Schema, reference pages. Byte-identical whichever drivers exist. */
#ifndef DF_SPEC_GENERATE_H
#define DF_SPEC_GENERATE_H

#include "base/str.h"
#include "spec/field.h"

/* Appends the name of a SECRET(_STRINGS) row's twin: "passwordSecretRef". */
void df_generate_twin_name(const struct df_field *field, struct df_buf *buf);

/* The structural OpenAPI v3 schema of a table as YAML, indented by `indent` spaces. Component objects and their
 * `config` get x-kubernetes-preserve-unknown-fields: true. */
void df_generate_openapi(const struct df_table *table, const struct df_registry *registry, int indent,
			 struct df_buf *buf);

/* JSON Schema (draft 2020-12) of a table as JSON, with one branch per component type in both manifest forms. */
void df_generate_json_schema(const struct df_table *table, const struct df_registry *registry, struct df_buf *buf);

/* The parts of a larger schema, compact: a table's schema, whose components refer to "#/$defs/...", and the members of
 * that $defs; and a layout for people (two blanks a level) of compact JSON. */
void df_generate_json_schema_object(const struct df_table *table, const struct df_registry *registry,
				    struct df_buf *buf);
void df_generate_json_schema_defs(const struct df_registry *registry, struct df_buf *buf);
void df_generate_json_indent(struct df_str compact, struct df_buf *buf);

/* A Markdown table of the fields (name, type, default, description) and the rules below it, nested tables after it. */
void df_generate_field_docs(const struct df_table *table, int heading_level, struct df_buf *buf);

/* The whole reference page of one connector: title, doc, example, settings. source or sink may be NULL. */
void df_generate_type_docs(const struct df_type *source, const struct df_type *sink, struct df_buf *buf);
/* The same of one transformation. */
void df_generate_transformation_docs(const struct df_type *type, struct df_buf *buf);

/* Terminal form for `dataflow connectors TYPE`. */
void df_generate_type_help(enum df_component_kind kind, const struct df_type *type, struct df_buf *buf);

#endif

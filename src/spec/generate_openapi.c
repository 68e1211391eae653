/* The structural OpenAPI v3 schema of a table as YAML, for CustomResourceDefinitions. Structural: every value has a
 * type or preserves unknown fields; no $ref, no additionalProperties: false. */
#include <inttypes.h>

#include "base/cleanup.h"
#include "spec/generate.h"
#include "spec/spec_internal.h"

#define PRESERVE "x-kubernetes-preserve-unknown-fields: true"

static void line(struct df_buf *buf, int indent, const char *text)
{
	for (int i = 0; i < indent; i++)
		df_buf_add_char(buf, ' ');
	df_buf_add_c(buf, text);
	df_buf_add_char(buf, '\n');
}

/* "key: "text"" with the text as a JSON string, which is YAML too. */
static void quoted(struct df_buf *buf, int indent, const char *key, const char *text)
{
	for (int i = 0; i < indent; i++)
		df_buf_add_char(buf, ' ');
	df_buf_printf(buf, "%s: ", key);
	df_json_write_string(df_str_c(text), buf);
	df_buf_add_char(buf, '\n');
}

static void number(struct df_buf *buf, int indent, const char *key, int64_t n)
{
	df_cleanup(df_buf_done) struct df_buf text = { 0 };

	df_buf_printf(&text, "%s: %" PRId64, key, n);
	line(buf, indent, df_buf_c(&text));
}

static void description(const struct df_field *f, int indent, struct df_buf *buf)
{
	df_cleanup(df_buf_done) struct df_buf text = { 0 };

	if (f->flags & DF_IGNORED)
		df_buf_add_c(&text, "Ignored. ");
	else if (f->alias_of)
		df_buf_printf(&text, "Deprecated, use %s. ", f->alias_of);
	else if (f->flags & DF_DEPRECATED)
		df_buf_add_c(&text, "Deprecated. ");
	df_buf_add_c(&text, f->doc ? f->doc : f->name);
	if (f->def_doc)
		df_buf_printf(&text, " Default: %s.", f->def_doc);
	quoted(buf, indent, "description", df_buf_c(&text));
}

static void text_default(const struct df_field *f, int indent, struct df_buf *buf)
{
	if (f->def && !(f->flags & DF_CRD_NO_DEFAULT) && *f->def)
		quoted(buf, indent, "default", f->def);
}

static void plain_default(const struct df_field *f, int indent, struct df_buf *buf)
{
	df_cleanup(df_buf_done) struct df_buf text = { 0 };

	if (!f->def || (f->flags & DF_CRD_NO_DEFAULT))
		return;
	df_buf_printf(&text, "default: %s", f->def);
	line(buf, indent, df_buf_c(&text));
}

static void enum_value(struct df_buf *buf, int indent, const char *value)
{
	df_buf_printf(buf, "%*s- ", indent, "");
	df_json_write_string(df_str_c(value), buf);
	df_buf_add_char(buf, '\n');
}

static void string_schema(const struct df_field *f, int indent, struct df_buf *buf)
{
	line(buf, indent, "type: string");
	if (!f->values || (f->flags & DF_ANY_CASE))
		return;
	line(buf, indent, "enum:");
	for (const char *const *v = f->values; *v; v++)
		enum_value(buf, indent, *v);
	if (!(f->flags & DF_REQUIRED))
		enum_value(buf, indent, ""); /* the same as absent */
}

static void int_schema(const struct df_field *f, int indent, struct df_buf *buf)
{
	bool small = f->type == DF_TYPE_INT || f->type == DF_TYPE_OPT_INT;

	line(buf, indent, "type: integer");
	line(buf, indent, small ? "format: int32" : "format: int64");
	if (f->min == 0 && f->max == 0)
		return;
	if (f->min > (small ? INT32_MIN : INT64_MIN))
		number(buf, indent, "minimum", f->min);
	if (f->max < (small ? INT32_MAX : INT64_MAX))
		number(buf, indent, "maximum", f->max);
}

static void add_types(const struct df_registry *registry, enum df_component_kind kind, struct df_buf *text)
{
	for (size_t i = 0; registry && i < registry->count[kind]; i++)
		df_buf_printf(text, "%s%s", i ? ", " : "", registry->types[kind][i]->name);
}

static void properties(const struct df_table *table, const struct df_registry *registry, int indent,
		       struct df_buf *buf);

static void component_schema(const struct df_field *f, const struct df_registry *registry, int indent,
			     struct df_buf *buf)
{
	df_cleanup(df_buf_done) struct df_buf types = { 0 };

	df_buf_add_c(&types, "One of ");
	add_types(registry, f->component, &types);
	df_buf_add_c(&types, ".");
	line(buf, indent, "type: object");
	line(buf, indent, PRESERVE);
	line(buf, indent, "required:");
	line(buf, indent, "- type");
	line(buf, indent, "properties:");
	line(buf, indent + 2, "type:");
	quoted(buf, indent + 4, "description", df_buf_c(&types));
	line(buf, indent + 4, "type: string");
	line(buf, indent + 2, "config:");
	quoted(buf, indent + 4, "description", "The settings of the type.");
	line(buf, indent + 4, "type: object");
	line(buf, indent + 4, PRESERVE);
	if (f->table)
		properties(f->table, registry, indent + 2, buf);
}

static void raw_schema(const struct df_field *f, int indent, struct df_buf *buf)
{
	if (f->json == DF_ARRAY) {
		line(buf, indent, "type: array");
		line(buf, indent, "items:");
		line(buf, indent + 2, "type: object");
		line(buf, indent + 2, PRESERVE);
		return;
	}
	if (f->json == DF_OBJECT)
		line(buf, indent, "type: object");
	line(buf, indent, PRESERVE);
}

static void field_schema(const struct df_field *f, const struct df_registry *registry, int indent, struct df_buf *buf)
{
	switch (f->type) {
	case DF_TYPE_STRING:
	case DF_TYPE_SECRET:
		string_schema(f, indent, buf);
		text_default(f, indent, buf);
		break;
	case DF_TYPE_DURATION:
		line(buf, indent, "type: string");
		text_default(f, indent, buf);
		break;
	case DF_TYPE_BOOL:
	case DF_TYPE_OPT_BOOL:
		line(buf, indent, "type: boolean");
		plain_default(f, indent, buf);
		break;
	case DF_TYPE_INT:
	case DF_TYPE_INT64:
	case DF_TYPE_OPT_INT:
	case DF_TYPE_OPT_INT64:
		int_schema(f, indent, buf);
		plain_default(f, indent, buf);
		break;
	case DF_TYPE_STRINGS:
	case DF_TYPE_SECRET_STRINGS:
		line(buf, indent, "type: array");
		line(buf, indent, "items:");
		string_schema(f, indent + 2, buf);
		break;
	case DF_TYPE_SECRET_REF:
		df_generate_openapi(&df_secret_ref_table, registry, indent, buf);
		break;
	case DF_TYPE_PAIRS:
		line(buf, indent, "type: object");
		line(buf, indent, PRESERVE);
		break;
	case DF_TYPE_OBJECT:
		df_generate_openapi(f->table, registry, indent, buf);
		break;
	case DF_TYPE_OBJECTS:
		line(buf, indent, "type: array");
		line(buf, indent, "items:");
		df_generate_openapi(f->table, registry, indent + 2, buf);
		break;
	case DF_TYPE_RAW:
		raw_schema(f, indent, buf);
		break;
	case DF_TYPE_COMPONENT:
		component_schema(f, registry, indent, buf);
		break;
	case DF_TYPE_COMPONENTS:
		line(buf, indent, "type: array");
		line(buf, indent, "items:");
		component_schema(f, registry, indent + 2, buf);
		break;
	case DF_TYPE_REST:
		break;
	}
}

static void property(const char *name, int indent, struct df_buf *buf)
{
	df_cleanup(df_buf_done) struct df_buf text = { 0 };

	df_buf_printf(&text, "%s:", name);
	line(buf, indent, df_buf_c(&text));
}

static void twin(const struct df_field *f, const struct df_registry *registry, int indent, struct df_buf *buf)
{
	df_cleanup(df_buf_done) struct df_buf text = { 0 };

	if (f->type != DF_TYPE_SECRET && f->type != DF_TYPE_SECRET_STRINGS)
		return;
	df_generate_twin_name(f, &text);
	property(df_buf_c(&text), indent, buf);
	text.len = 0;
	df_buf_printf(&text, "The Secret that holds %s; wins over it.", f->name);
	quoted(buf, indent + 2, "description", df_buf_c(&text));
	df_generate_openapi(&df_secret_ref_table, registry, indent + 2, buf);
}

static void properties(const struct df_table *table, const struct df_registry *registry, int indent, struct df_buf *buf)
{
	for (size_t i = 0; i < table->field_count; i++) {
		const struct df_field *f = &table->fields[i];

		if (f->type == DF_TYPE_REST)
			continue;
		property(f->name, indent, buf);
		description(f, indent + 2, buf);
		field_schema(f, registry, indent + 2, buf);
		twin(f, registry, indent, buf);
	}
}

/* Absent and given by the twin cannot be told apart here: such fields are not required by the schema. */
static bool required(const struct df_field *f)
{
	return (f->flags & DF_REQUIRED) && !f->alias_of && f->type != DF_TYPE_SECRET &&
	       f->type != DF_TYPE_SECRET_STRINGS;
}

void df_generate_openapi(const struct df_table *table, const struct df_registry *registry, int indent,
			 struct df_buf *buf)
{
	bool any = false;

	line(buf, indent, "type: object");
	if (df_table_rest(table))
		line(buf, indent, PRESERVE);
	for (size_t i = 0; i < table->field_count; i++) {
		df_cleanup(df_buf_done) struct df_buf text = { 0 };

		if (!required(&table->fields[i]))
			continue;
		if (!any)
			line(buf, indent, "required:");
		any = true;
		df_buf_printf(&text, "- %s", table->fields[i].name);
		line(buf, indent, df_buf_c(&text));
	}
	if (table->field_count == 0)
		return;
	line(buf, indent, "properties:");
	properties(table, registry, indent + 2, buf);
}

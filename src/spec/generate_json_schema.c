/*
 * JSON Schema (draft 2020-12, https://json-schema.org/draft/2020-12) for editors. It keeps to keywords that draft 7 has
 * too
 * ($defs apart), because that is what most editors' YAML plugins understand.
 *
 * $defs: one schema per kind ("source"), which chooses by `type`, and one per type ("source.kafka") for its settings.
 */
#include <inttypes.h>

#include "base/cleanup.h"
#include "spec/generate.h"
#include "spec/spec_internal.h"

/* Go durations; both code points of micro. */
#define DURATION_PATTERN "^[+-]?(0|(([0-9]+(\\.[0-9]*)?|\\.[0-9]+)(ns|us|\u00b5s|\u03bcs|ms|s|m|h))+)$"

/* ---- compact JSON, with commas where they belong --------------------------------------------------------- */

static void comma(struct df_buf *buf)
{
	if (buf->len > 0 && !strchr("{[:,", buf->data[buf->len - 1]))
		df_buf_add_char(buf, ',');
}

static void key(struct df_buf *buf, const char *name)
{
	comma(buf);
	df_json_write_string(df_str_c(name), buf);
	df_buf_add_char(buf, ':');
}

static void text(struct df_buf *buf, const char *value)
{
	comma(buf);
	df_json_write_string(df_str_c(value), buf);
}

static void member(struct df_buf *buf, const char *name, const char *value)
{
	key(buf, name);
	text(buf, value);
}

/* A comma if need be, then JSON as it is. */
static void raw(struct df_buf *buf, const char *json)
{
	comma(buf);
	df_buf_add_c(buf, json);
}

/* A key and the beginning of its container. */
static void begin(struct df_buf *buf, const char *name, char bracket)
{
	key(buf, name);
	df_buf_add_char(buf, bracket);
}

static void close_with(struct df_buf *buf, char bracket)
{
	df_buf_add_char(buf, bracket);
}

static void ref(struct df_buf *buf, const char *kind, const char *type)
{
	df_cleanup(df_buf_done) struct df_buf name = { 0 };

	df_buf_printf(&name, "#/$defs/%s%s%s", kind, type ? "." : "", type ? type : "");
	member(buf, "$ref", df_buf_c(&name));
}

/* ---- fields ---------------------------------------------------------------------------------------------- */

static void object_members(const struct df_table *table, const struct df_registry *registry, struct df_buf *buf);

static void string_members(const struct df_field *f, struct df_buf *buf)
{
	member(buf, "type", "string");
	if (!f->values)
		return;
	/* Any case: the editor shall know the words without refusing the others. */
	begin(buf, f->flags & DF_ANY_CASE ? "examples" : "enum", '[');
	for (const char *const *v = f->values; *v; v++)
		text(buf, *v);
	close_with(buf, ']');
}

static void int_members(const struct df_field *f, struct df_buf *buf)
{
	bool small = f->type == DF_TYPE_INT || f->type == DF_TYPE_OPT_INT;
	bool bound = f->min != 0 || f->max != 0;

	member(buf, "type", "integer");
	key(buf, "minimum");
	df_buf_printf(buf, "%" PRId64, bound ? f->min : small ? INT32_MIN : INT64_MIN);
	key(buf, "maximum");
	df_buf_printf(buf, "%" PRId64, bound ? f->max : small ? INT32_MAX : INT64_MAX);
}

static void component_members(enum df_component_kind kind, const struct df_table *extra,
			      const struct df_registry *registry, struct df_buf *buf);

static void items_of(const struct df_table *table, const struct df_registry *registry, struct df_buf *buf)
{
	member(buf, "type", "array");
	begin(buf, "items", '{');
	object_members(table, registry, buf);
	close_with(buf, '}');
}

static void raw_members(const struct df_field *f, struct df_buf *buf)
{
	if (f->json == DF_OBJECT)
		member(buf, "type", "object");
	else if (f->json == DF_ARRAY)
		member(buf, "type", "array");
}

static void type_members(const struct df_field *f, const struct df_registry *registry, struct df_buf *buf)
{
	switch (f->type) {
	case DF_TYPE_STRING:
	case DF_TYPE_SECRET:
		string_members(f, buf);
		break;
	case DF_TYPE_DURATION:
		member(buf, "type", "string");
		member(buf, "pattern", DURATION_PATTERN);
		break;
	case DF_TYPE_BOOL:
	case DF_TYPE_OPT_BOOL:
		member(buf, "type", "boolean");
		break;
	case DF_TYPE_INT:
	case DF_TYPE_INT64:
	case DF_TYPE_OPT_INT:
	case DF_TYPE_OPT_INT64:
		int_members(f, buf);
		break;
	case DF_TYPE_STRINGS:
	case DF_TYPE_SECRET_STRINGS:
		member(buf, "type", "array");
		begin(buf, "items", '{');
		string_members(f, buf);
		close_with(buf, '}');
		if (f->type == DF_TYPE_STRINGS && (f->flags & DF_REQUIRED))
			raw(buf, "\"minItems\":1");
		break;
	case DF_TYPE_SECRET_REF:
		object_members(&df_secret_ref_table, registry, buf);
		break;
	case DF_TYPE_PAIRS:
		member(buf, "type", "object");
		if (f->flags & DF_REQUIRED)
			raw(buf, "\"minProperties\":1");
		break;
	case DF_TYPE_OBJECT:
		object_members(f->table, registry, buf);
		break;
	case DF_TYPE_OBJECTS:
		items_of(f->table, registry, buf);
		if (f->flags & DF_REQUIRED)
			raw(buf, "\"minItems\":1");
		break;
	case DF_TYPE_RAW:
		raw_members(f, buf);
		break;
	case DF_TYPE_COMPONENT:
		if (f->table)
			component_members(f->component, f->table, registry, buf);
		else
			ref(buf, df_component_kind_name(f->component), NULL);
		break;
	case DF_TYPE_COMPONENTS:
		member(buf, "type", "array");
		begin(buf, "items", '{');
		ref(buf, df_component_kind_name(f->component), NULL);
		close_with(buf, '}');
		break;
	case DF_TYPE_REST: /* additionalProperties */
		break;
	}
}

static void default_member(const struct df_field *f, struct df_buf *buf)
{
	switch (f->type) {
	case DF_TYPE_STRING:
	case DF_TYPE_SECRET:
	case DF_TYPE_DURATION:
		member(buf, "default", f->def);
		break;
	case DF_TYPE_BOOL:
	case DF_TYPE_INT:
	case DF_TYPE_INT64:
	case DF_TYPE_OPT_BOOL:
	case DF_TYPE_OPT_INT:
	case DF_TYPE_OPT_INT64:
		key(buf, "default");
		df_buf_add_c(buf, f->def);
		break;
	default:
		break;
	}
}

static void field_property(const struct df_field *f, const struct df_registry *registry, struct df_buf *buf)
{
	df_cleanup(df_buf_done) struct df_buf name = { 0 };

	begin(buf, f->name, '{');
	if (f->doc)
		member(buf, "description", f->doc);
	if (f->alias_of || (f->flags & (DF_DEPRECATED | DF_IGNORED)))
		raw(buf, "\"deprecated\":true");
	type_members(f, registry, buf);
	if (f->def)
		default_member(f, buf);
	close_with(buf, '}');

	if (f->type != DF_TYPE_SECRET && f->type != DF_TYPE_SECRET_STRINGS)
		return;
	df_generate_twin_name(f, &name);
	begin(buf, df_buf_c(&name), '{');
	name.len = 0;
	df_buf_printf(&name, "The Secret that holds `%s`; wins over it.", f->name);
	member(buf, "description", df_buf_c(&name));
	object_members(&df_secret_ref_table, registry, buf);
	close_with(buf, '}');
}

/* ---- what must be there ---------------------------------------------------------------------------------- */

/* {"required":["name"]},{"required":["nameSecretRef"]}, and the same for names that are read into the field. */
static void alternatives(const struct df_table *table, const char *name, struct df_buf *buf)
{
	for (size_t i = 0; i < table->field_count; i++) {
		const struct df_field *f = &table->fields[i];
		df_cleanup(df_buf_done) struct df_buf twin = { 0 };

		if (strcmp(f->name, name) != 0 && (!f->alias_of || strcmp(f->alias_of, name) != 0))
			continue;
		comma(buf);
		df_buf_add_c(buf, "{\"required\":[");
		text(buf, f->name);
		df_buf_add_c(buf, "]}");
		if (f->type != DF_TYPE_SECRET && f->type != DF_TYPE_SECRET_STRINGS)
			continue;
		df_generate_twin_name(f, &twin);
		df_buf_add_c(buf, ",{\"required\":[");
		text(buf, df_buf_c(&twin));
		df_buf_add_c(buf, "]}");
	}
}

static void any_of(const struct df_table *table, const char *const *names, size_t count, bool *open_list,
		   struct df_buf *buf)
{
	if (!*open_list)
		begin(buf, "allOf", '[');
	*open_list = true;
	comma(buf);
	df_buf_add_c(buf, "{\"anyOf\":[");
	for (size_t i = 0; i < count && names[i]; i++)
		alternatives(table, names[i], buf);
	df_buf_add_c(buf, "]}");
}

static bool plainly_required(const struct df_table *table, const struct df_field *f)
{
	if (!(f->flags & DF_REQUIRED) || f->alias_of || f->type == DF_TYPE_SECRET || f->type == DF_TYPE_SECRET_STRINGS)
		return false;
	for (size_t i = 0; i < table->field_count; i++)
		if (table->fields[i].alias_of && strcmp(table->fields[i].alias_of, f->name) == 0)
			return false;
	return true;
}

static void requirements(const struct df_table *table, struct df_buf *buf)
{
	bool open_list = false;

	for (size_t i = 0; i < table->field_count; i++) {
		if (!plainly_required(table, &table->fields[i]))
			continue;
		if (!open_list)
			begin(buf, "required", '[');
		open_list = true;
		text(buf, table->fields[i].name);
	}
	if (open_list)
		close_with(buf, ']');

	open_list = false;
	for (size_t i = 0; i < table->field_count; i++) {
		const struct df_field *f = &table->fields[i];

		if ((f->flags & DF_REQUIRED) && !f->alias_of && !plainly_required(table, f))
			any_of(table, &f->name, 1, &open_list, buf);
	}
	for (size_t i = 0; i < table->rule_count; i++)
		if (table->rules[i].kind == DF_RULE_ONE_OF && !table->rules[i].warning)
			any_of(table, table->rules[i].fields, DF_RULE_FIELDS, &open_list, buf);
	if (open_list)
		close_with(buf, ']');
}

static void object_members(const struct df_table *table, const struct df_registry *registry, struct df_buf *buf)
{
	member(buf, "type", "object");
	begin(buf, "properties", '{');
	for (size_t i = 0; i < table->field_count; i++)
		if (table->fields[i].type != DF_TYPE_REST)
			field_property(&table->fields[i], registry, buf);
	close_with(buf, '}');
	requirements(table, buf);
	if (!df_table_rest(table))
		raw(buf, "\"additionalProperties\":false");
}

/* ---- components ------------------------------------------------------------------------------------------ */

/* One type's branch: its settings under `config` or under its own name, exactly one of them (at most one when the type
 * needs none). */
static void type_branch(enum df_component_kind kind, const struct df_type *type, struct df_buf *buf)
{
	const char *kind_name = df_component_kind_name(kind);

	comma(buf);
	df_buf_add_c(buf, "{\"if\":{\"required\":[\"type\"],\"properties\":{\"type\":{");
	member(buf, "const", type->name);
	df_buf_add_c(buf, "}}},\"then\":{\"properties\":{\"config\":{");
	ref(buf, kind_name, type->name);
	close_with(buf, '}');
	begin(buf, type->name, '{');
	ref(buf, kind_name, type->name);
	df_buf_add_c(buf, "}}");
	if (type->settings_optional || !type->settings) {
		df_buf_add_c(buf, ",\"not\":{\"required\":[\"config\"");
		text(buf, type->name);
		df_buf_add_c(buf, "]}");
	} else {
		df_buf_add_c(buf, ",\"oneOf\":[{\"required\":[\"config\"]},{\"required\":[");
		text(buf, type->name);
		df_buf_add_c(buf, "]}]");
	}
	df_buf_add_c(buf, "}}");
}

static void component_members(enum df_component_kind kind, const struct df_table *extra,
			      const struct df_registry *registry, struct df_buf *buf)
{
	const struct df_type *const *types = registry->types[kind];

	member(buf, "type", "object");
	df_buf_add_c(buf, ",\"properties\":{\"type\":{\"description\":\"Which one.\",\"enum\":[");
	for (size_t i = 0; i < registry->count[kind]; i++)
		text(buf, types[i]->name);
	df_buf_add_c(buf, "]},\"config\":{\"description\":\"The settings of the type.\",\"type\":\"object\"}");
	/* Keys of the older form; those of another type are ignored with a warning. */
	for (size_t i = 0; i < registry->count[kind]; i++) {
		key(buf, types[i]->name);
		df_buf_add_c(buf, "{\"deprecated\":true}");
	}
	for (size_t i = 0; extra && i < extra->field_count; i++)
		field_property(&extra->fields[i], registry, buf);
	df_buf_add_c(buf, "},\"required\":[\"type\"],\"additionalProperties\":false,\"allOf\":[");
	for (size_t i = 0; i < registry->count[kind]; i++)
		type_branch(kind, types[i], buf);
	close_with(buf, ']');
}

/* ---- entry points ---------------------------------------------------------------------------------------- */

void df_generate_json_schema_object(const struct df_table *table, const struct df_registry *registry,
				    struct df_buf *buf)
{
	df_buf_add_char(buf, '{');
	object_members(table, registry, buf);
	df_buf_add_char(buf, '}');
}

void df_generate_json_schema_defs(const struct df_registry *registry, struct df_buf *buf)
{
	static const struct df_table none = { 0 };

	for (int k = 0; k < DF_COMPONENT_KINDS; k++) {
		enum df_component_kind kind = (enum df_component_kind)k;

		begin(buf, df_component_kind_name(kind), '{');
		component_members(kind, NULL, registry, buf);
		close_with(buf, '}');
		for (size_t i = 0; i < registry->count[kind]; i++) {
			const struct df_type *type = registry->types[kind][i];
			df_cleanup(df_buf_done) struct df_buf name = { 0 };

			df_buf_printf(&name, "%s.%s", df_component_kind_name(kind), type->name);
			begin(buf, df_buf_c(&name), '{');
			if (type->title)
				member(buf, "title", type->title);
			object_members(type->settings ? type->settings : &none, registry, buf);
			close_with(buf, '}');
		}
	}
}

void df_generate_json_schema(const struct df_table *table, const struct df_registry *registry, struct df_buf *buf)
{
	df_cleanup(df_buf_done) struct df_buf compact = { 0 };

	df_buf_add_c(&compact, "{\"$schema\":\"https://json-schema.org/draft/2020-12/schema\"");
	object_members(table, registry, &compact);
	df_buf_add_c(&compact, ",\"$defs\":{");
	df_generate_json_schema_defs(registry, &compact);
	df_buf_add_c(&compact, "}}");
	df_generate_json_indent(df_buf_str(&compact), buf);
	buf->failed |= compact.failed;
}

static void newline(struct df_buf *buf, int depth)
{
	df_buf_add_char(buf, '\n');
	for (int i = 0; i < depth; i++)
		df_buf_add_c(buf, "  ");
}

void df_generate_json_indent(struct df_str compact, struct df_buf *buf)
{
	int depth = 0;

	for (size_t i = 0; i < compact.len; i++) {
		char c = compact.ptr[i];

		if (c == '"') {
			size_t end = i + 1;

			while (end < compact.len && compact.ptr[end] != '"')
				end += compact.ptr[end] == '\\' ? 2 : 1;
			df_buf_add(buf, compact.ptr + i, end + 1 - i);
			i = end;
		} else if ((c == '{' || c == '[') && i + 1 < compact.len && compact.ptr[i + 1] == c + 2) {
			df_buf_add(buf, compact.ptr + i++,
				   2); /* empty; in ASCII the closing one is the opening one + 2 */
		} else if (c == '{' || c == '[') {
			df_buf_add_char(buf, c);
			newline(buf, ++depth);
		} else if (c == '}' || c == ']') {
			newline(buf, --depth);
			df_buf_add_char(buf, c);
		} else {
			df_buf_add_char(buf, c);
			if (c == ',')
				newline(buf, depth);
			else if (c == ':')
				df_buf_add_char(buf, ' ');
		}
	}
	df_buf_add_char(buf, '\n');
}

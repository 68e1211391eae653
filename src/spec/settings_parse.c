/* An object into a settings struct: its keys are sorted into the table's rows, then row by row is read, then the rules
 * run. */
#include "spec/spec.h"

#include <stdlib.h>

#include "spec/spec_internal.h"

#define KNOWN_MAX 12 /* names listed when nothing is near an unknown one */

const char *df_parser_text(struct df_parser *p, const char *fmt, ...)
{
	char *text = NULL;
	va_list args;

	va_start(args, fmt);
	int len = vasprintf(&text, fmt, args);
	va_end(args);
	struct df_str copy = len < 0 ? df_str(NULL, 0) : df_arena_dup(&p->arena, df_str(text, (size_t)len));
	if (len >= 0)
		free(text);
	if (copy.ptr)
		return copy.ptr;
	df_diags_no_memory(p->diags);
	return "";
}

const char *df_field_twin(struct df_parser *p, const struct df_field *field, const char *name)
{
	if (field->type != DF_TYPE_SECRET && field->type != DF_TYPE_SECRET_STRINGS)
		return NULL;
	if (field->ref && strcmp(name, field->name) == 0)
		return field->ref;
	return df_parser_text(p, "%sSecretRef", name);
}

static const struct df_field *find_row(const struct df_table *table, struct df_str name)
{
	for (size_t i = 0; i < table->field_count; i++) {
		if (df_str_equal_c(name, table->fields[i].name) && table->fields[i].type != DF_TYPE_REST)
			return &table->fields[i];
	}
	return NULL;
}

const struct df_field *df_table_rest(const struct df_table *table)
{
	for (size_t i = 0; i < table->field_count; i++)
		if (table->fields[i].type == DF_TYPE_REST)
			return &table->fields[i];
	return NULL;
}

const struct df_field *df_table_find(const struct df_table *table, struct df_str name)
{
	const struct df_field *field = find_row(table, name);

	return field && field->alias_of ? find_row(table, df_str_c(field->alias_of)) : field;
}

/* ---- keys into slots ------------------------------------------------------------------------------------- */

/* The row that `key` belongs to, directly or as its twin. */
static const struct df_field *match(struct df_parser *p, const struct df_table *table, struct df_str key,
				    bool *ret_twin)
{
	const struct df_field *field = find_row(table, key);

	*ret_twin = false;
	if (field)
		return field;
	for (size_t i = 0; i < table->field_count; i++) {
		const struct df_field *f = &table->fields[i];
		const char *twin;

		if (!f->ref && !df_str_starts(key, df_str_c(f->name)))
			continue;
		twin = df_field_twin(p, f, f->name);
		if (twin && df_str_equal_c(key, twin)) {
			*ret_twin = true;
			return &table->fields[i];
		}
	}
	return NULL;
}

static void tell_unknown(struct df_parser *p, const struct df_place *place, const char *key, const char *text)
{
	if (p->options->unknown_keys_warn)
		df_diag_warning(p->diags, place, key, "%s", text);
	else
		df_diag_error(p->diags, place, key, "%s", text);
}

static void report_unknown(struct df_parser *p, const struct df_table *table, const struct df_place *place,
			   const char *key)
{
	size_t n = 0;
	const char *known = "", **names, *near, *text;

	if (df_diags_full(p->diags, p->options->unknown_keys_warn)) {
		tell_unknown(p, place, key, "unknown field");
		return;
	}
	names = df_arena_alloc(&p->arena, (table->field_count * 2 + 1) * sizeof(*names));
	if (!names) {
		df_diags_no_memory(p->diags);
		return;
	}
	for (size_t i = 0; i < table->field_count; i++) {
		const struct df_field *field = &table->fields[i];
		const char *twin = df_field_twin(p, field, field->name);
		names[n++] = field->name;
		if (twin)
			names[n++] = twin;
		if (df_field_stored(field) && i < KNOWN_MAX)
			known = df_parser_text(p, "%s%s%s", known, *known ? ", " : "", field->name);
	}
	near = df_nearest(df_str_c(key), names, n);
	text = near	? df_parser_text(p, "unknown field; did you mean \"%s\"?", near)
	       : *known ? df_parser_text(p, "unknown field; known are %s%s", known,
					 table->field_count > KNOWN_MAX ? ", ..." : "")
			: "unknown field; there are none here";
	tell_unknown(p, place, key, text);
}

/* What is said once for a row that is there. */
static void warn_about(struct df_parser *p, const struct df_place *place, const struct df_field *row, const char *key)
{
	const char *doc = row->doc ? row->doc : "";

	if (row->flags & DF_IGNORED)
		df_diag_warning(p->diags, place, key, "has no effect%s%s", *doc ? ": " : "", doc);
	else if (row->alias_of)
		df_diag_warning(p->diags, place, key, "another name of `%s`; write `%s`", row->alias_of, row->alias_of);
	else if (row->flags & DF_DEPRECATED)
		df_diag_warning(p->diags, place, key, "deprecated%s%s", *doc ? ": " : "", doc);
}

/* One more member for the row that takes what no other takes. Its children stay shared: they are only read. */
static void add_rest(struct df_parser *p, struct df_slot *slot, const struct df_value *member)
{
	struct df_value *all = slot->value ? (struct df_value *)slot->value : df_value_new(&p->arena, DF_OBJECT);
	struct df_value *copy = df_arena_alloc(&p->arena, sizeof(*copy));

	if (!all || !copy) {
		df_diags_no_memory(p->diags);
		return;
	}
	*copy = *member;
	df_object_append(all, df_value_key(member), copy);
	slot->value = all;
	slot->name = slot->field->name;
}

/* Puts one member where it belongs. slots: one a row. */
static void sort_member(struct df_parser *p, const struct df_table *table, struct df_slot *slots,
			const struct df_value *member, const struct df_place *place)
{
	bool twin;
	const struct df_field *row = match(p, table, df_value_key(member), &twin);
	const char *key = df_parser_text(p, DF_STR_FMT, DF_STR_ARG(df_value_key(member)));

	if (!row) {
		row = df_table_rest(table);
		if (row)
			add_rest(p, &slots[row - table->fields], member);
		else
			report_unknown(p, table, place, key);
		return;
	}
	if (member->kind == DF_NULL)
		return;
	warn_about(p, place, row, key);
	if (row->flags & DF_IGNORED)
		return;
	const struct df_field *target = df_table_find(table, df_str_c(row->name));
	if (!target)
		return;
	struct df_slot *slot = &slots[target - table->fields];
	const struct df_value **value = twin ? &slot->ref : &slot->value;
	const char **name = twin ? &slot->ref_name : &slot->name;
	if (*value && !df_value_equal(*value, member)) {
		df_diag_error(p->diags, place, key, "`%s` is the same field with another value; remove one of them",
			      *name);
		slot->bad = true;
		return;
	}
	*value = member;
	*name = key;
}

/* ---- what is said about values --------------------------------------------------------------------------- */

const char *df_parser_quote(struct df_parser *p, struct df_str text)
{
	df_cleanup(df_buf_done) struct df_buf buf = { 0 };
	size_t len = !text.ptr ? 0 : text.len < 60 ? text.len : 60;

	while (len < text.len && len > 0 && (text.ptr[len] & 0xc0) == 0x80)
		len--;
	df_json_write_string(df_str(text.ptr, len), &buf);
	if (len < text.len)
		df_buf_add_c(&buf, "...");
	if (!buf.failed)
		return df_parser_text(p, "%s", df_buf_c(&buf));
	df_diags_no_memory(p->diags);
	return "";
}

const char *df_parser_describe(struct df_parser *p, const struct df_field *field, const struct df_value *value)
{
	bool shown = !(field->flags & DF_SENSITIVE);
	struct df_str text;

	switch (value->kind) {
	case DF_NULL:
		return "null";
	case DF_TRUE:
	case DF_FALSE:
		return shown ? df_parser_text(p, "the bool " DF_STR_FMT, DF_STR_ARG(df_yaml_written(value))) : "a bool";
	case DF_NUMBER:
		return shown ? df_parser_text(p, "the number %.60s",
					      df_parser_text(p, DF_STR_FMT, DF_STR_ARG(df_yaml_written(value))))
			     : "a number";
	case DF_STRING:
		text = df_value_text(value, &p->arena);
		if (!text.ptr && value->len)
			df_diags_no_memory(p->diags);
		return shown ? df_parser_text(p, "the text %s", df_parser_quote(p, text)) : "a text";
	case DF_ARRAY:
		return "a list";
	default:
		return "an object";
	}
}

void df_report_kind(struct df_parser *p, const struct df_place *place, const char *sub, const struct df_field *field,
		    const char *expected, const struct df_value *value, const char *fix)
{
	df_diag_error(p->diags, place, sub, "expected %s, found %s%s", expected, df_parser_describe(p, field, value),
		      fix);
}

void df_report_missing(struct df_parser *p, const struct df_place *place, const struct df_field *field)
{
	const char *twin = df_field_twin(p, field, field->name);
	const char *example =
		field->example ? df_parser_text(p, ", for example `%s: %s`", field->name, field->example) : "";

	if (twin)
		df_diag_error(p->diags, place, field->name, "required; set `%s` or `%s`%s", field->name, twin, example);
	else
		df_diag_error(p->diags, place, field->name, "required%s", example);
}

void df_report_empty(struct df_parser *p, const struct df_place *place, const char *sub, const char *what)
{
	df_diag_error(p->diags, place, sub, "the %s must not be empty", what);
}

/* ---- what nests ------------------------------------------------------------------------------------------ */

static struct df_place place_below(struct df_parser *p, const struct df_place *place, const char *sub,
				   const struct df_value *value)
{
	const char *dot = place->path && *place->path && *sub != '[' ? "." : "";

	return (struct df_place){ .file = place->file,
				  .line = value->line ? value->line : place->line,
				  .path = df_parser_text(p, "%s%s%s", place->path ? place->path : "", dot, sub),
				  .value = value };
}

static void parse_one(struct df_parser *p, const struct df_place *place, const struct df_slot *slot, const char *sub,
		      const struct df_value *value, void *settings)
{
	struct df_place below = place_below(p, place, sub, value);

	if (value->kind != DF_OBJECT)
		df_report_kind(p, place, sub, slot->field, "one object", value, "");
	else
		df_parse_object(p, slot->field->table, value, &below, settings);
}

static void parse_object(struct df_parser *p, const struct df_place *place, const struct df_slot *slot,
			 struct df_object *ret)
{
	size_t size = slot->field->table->size;

	ret->settings = calloc(1, size ? size : 1);
	if (!ret->settings)
		df_diags_no_memory(p->diags);
	else
		parse_one(p, place, slot, slot->name, slot->value, ret->settings);
}

/* Is the value a list with elements? Reports what is wrong; an empty one that need not be there is absent. */
static bool is_filled_list(struct df_parser *p, const struct df_place *place, const struct df_slot *slot)
{
	if (slot->value->kind != DF_ARRAY) {
		df_report_kind(p, place, slot->name, slot->field, "a list", slot->value, "");
		return false;
	}
	if (slot->value->len == 0 && slot->field->flags & DF_REQUIRED)
		df_report_empty(p, place, slot->name, "list");
	return slot->value->len > 0;
}

static void parse_objects(struct df_parser *p, const struct df_place *place, const struct df_slot *slot,
			  struct df_objects *ret)
{
	size_t size = slot->field->table->size;

	if (!is_filled_list(p, place, slot))
		return;
	ret->items = calloc(slot->value->len, size ? size : 1);
	if (!ret->items) {
		df_diags_no_memory(p->diags);
		return;
	}
	df_for_each (child, slot->value) {
		const char *sub = df_parser_text(p, "%s[%zu]", slot->name, ret->count);
		parse_one(p, place, slot, sub, child, (char *)ret->items + size * ret->count++);
	}
}

static void parse_components(struct df_parser *p, const struct df_place *place, const struct df_slot *slot,
			     struct df_components *ret)
{
	if (!is_filled_list(p, place, slot))
		return;
	ret->items = calloc(slot->value->len, sizeof(*ret->items));
	if (!ret->items) {
		df_diags_no_memory(p->diags);
		return;
	}
	df_for_each (child, slot->value) {
		struct df_place below =
			place_below(p, place, df_parser_text(p, "%s[%zu]", slot->name, ret->count), child);
		df_parse_component(p, slot->field->component, child, slot->field->table, &below,
				   &ret->items[ret->count++]);
	}
}

static void parse_raw(struct df_parser *p, const struct df_slot *slot, struct df_raw *ret)
{
	struct df_buf buf = { 0 };

	free(ret->json); /* the default */
	df_value_write(slot->value, &buf);
	ret->len = buf.len;
	ret->json = df_buf_take(&buf);
	if (!ret->json) {
		ret->len = 0;
		df_diags_no_memory(p->diags);
	}
}

/* ---- a row ----------------------------------------------------------------------------------------------- */

static void parse_row(struct df_parser *p, const struct df_place *place, const struct df_slot *slot, void *member)
{
	if (slot->field->type == DF_TYPE_SECRET || slot->field->type == DF_TYPE_SECRET_STRINGS) {
		df_parse_texts(p, place, slot, member);
		return;
	}
	if (!slot->value)
		return;
	switch (slot->field->type) {
	case DF_TYPE_BOOL:
	case DF_TYPE_OPT_BOOL:
	case DF_TYPE_INT:
	case DF_TYPE_INT64:
	case DF_TYPE_OPT_INT:
	case DF_TYPE_OPT_INT64:
	case DF_TYPE_DURATION:
		df_parse_number(p, place, slot, member);
		break;
	case DF_TYPE_OBJECT:
		parse_object(p, place, slot, member);
		break;
	case DF_TYPE_OBJECTS:
		parse_objects(p, place, slot, member);
		break;
	case DF_TYPE_RAW:
		parse_raw(p, slot, member);
		break;
	case DF_TYPE_REST:
		df_parse_rest(p, place, slot, member);
		break;
	case DF_TYPE_COMPONENT: {
		struct df_place below = place_below(p, place, slot->name, slot->value);
		df_parse_component(p, slot->field->component, slot->value, slot->field->table, &below, member);
		break;
	}
	case DF_TYPE_COMPONENTS:
		parse_components(p, place, slot, member);
		break;
	default:
		df_parse_texts(p, place, slot, member);
	}
}

static void parse_slot(struct df_parser *p, const struct df_place *place, struct df_slot *slot, void *settings)
{
	size_t errors = p->diags->errors;

	if (slot->bad)
		return;
	df_field_default(slot->field, settings, p->diags);
	if (slot->value || slot->ref)
		parse_row(p, place, slot, (char *)settings + slot->field->offset);
	else if (slot->field->flags & DF_REQUIRED)
		df_report_missing(p, place, slot->field);
	slot->bad = p->diags->errors != errors;
}

void df_parse_object(struct df_parser *p, const struct df_table *table, const struct df_value *object,
		     const struct df_place *place, void *settings)
{
	size_t errors = p->diags->errors;
	struct df_slot *slots = df_arena_zalloc(&p->arena, (table->field_count + 1) * sizeof(*slots));

	if (!slots) {
		df_diags_no_memory(p->diags);
		return;
	}
	for (size_t i = 0; i < table->field_count; i++)
		slots[i].field = &table->fields[i];
	df_for_each (member, object)
		sort_member(p, table, slots, member, place);
	for (size_t i = 0; i < table->field_count; i++) {
		if (df_field_stored(&table->fields[i]))
			parse_slot(p, place, &slots[i], settings);
	}
	df_rules_run(p, table, slots, settings, place, p->diags->errors == errors);
}

void df_settings_parse(const struct df_table *table, const struct df_value *object,
		       const struct df_parse_options *options, void *ret_settings, struct df_diags *diags)
{
	static const struct df_field none = { .name = "" };
	struct df_parser p = { .options = options, .diags = diags };
	struct df_place place = { .file = options->file, .line = object->line, .path = options->path, .value = object };

	memset(ret_settings, 0, table->size);
	df_arena_init(&p.arena, NULL);
	if (object->kind == DF_OBJECT)
		df_parse_object(&p, table, object, &place, ret_settings);
	else
		df_report_kind(&p, &place, NULL, &none, "an object", object, "");
	df_arena_done(&p.arena);
}

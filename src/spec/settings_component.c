/* Connectors and transformations: `type` with `config`, or with the older key named like the type (manifest reference,
 * 2). */
#include <stdlib.h>

#include "spec/spec_internal.h"

struct component {
	struct df_parser *p;
	enum df_component_kind kind;
	const struct df_place *place;
	const struct df_table *extra;
	const struct df_value *type, *config, *older; /* members; NULL when absent or null */
};

static const struct df_registry *registry_of(const struct component *c)
{
	return c->p->options->registry;
}

/* Is it the name of a type of this sort? Connector keys are known on both sides. */
static bool is_type_name(const struct component *c, struct df_str name)
{
	if (c->kind == DF_TRANSFORMATION)
		return df_registry_find(registry_of(c), c->kind, name);
	return df_registry_find(registry_of(c), DF_SOURCE, name) || df_registry_find(registry_of(c), DF_SINK, name);
}

static const char *list_types(const struct component *c)
{
	const struct df_registry *r = registry_of(c);
	const char *list = "";

	for (size_t i = 0; r && i < r->count[c->kind]; i++)
		list = df_parser_text(c->p, "%s%s%s", list, i ? ", " : "", r->types[c->kind][i]->name);
	return list;
}

/* ---- type ------------------------------------------------------------------------------------------------ */

static void report_no_type(const struct component *c, const struct df_value *object)
{
	const char *hint = "";

	df_for_each (member, object) {
		if (member->kind == DF_OBJECT && df_registry_find(registry_of(c), c->kind, df_value_key(member)))
			hint = df_parser_text(c->p, "; add `type: " DF_STR_FMT "`", DF_STR_ARG(df_value_key(member)));
	}
	df_diag_error(c->p->diags, c->place, "type", "required%s; the %s types are: %s", hint,
		      df_component_kind_name(c->kind), list_types(c));
}

static const struct df_type *find_type(const struct component *c, const struct df_value *object)
{
	static const struct df_field type_field = { .name = "type" };

	if (!c->type || (c->type->kind == DF_STRING && c->type->len == 0)) {
		report_no_type(c, object);
		return NULL;
	}
	if (c->type->kind != DF_STRING) {
		df_report_kind(c->p, c->place, "type", &type_field, "the name of a type", c->type, "");
		return NULL;
	}
	struct df_str name = df_value_text(c->type, &c->p->arena);
	const struct df_type *type = df_registry_find(registry_of(c), c->kind, name);
	if (type)
		return type;
	const char *near = df_registry_nearest(registry_of(c), c->kind, name);
	const char *hint = near ? df_parser_text(c->p, "; did you mean \"%s\"?", near) : ";";
	df_diag_error(c->p->diags, c->place, "type", "unknown %s type %s%s %s %s types are: %s",
		      df_component_kind_name(c->kind), df_parser_quote(c->p, name), hint, near ? "The" : "the",
		      df_component_kind_name(c->kind), list_types(c));
	return NULL;
}

/* ---- keys ------------------------------------------------------------------------------------------------ */

static bool is_extra(const struct component *c, struct df_str key)
{
	return c->extra && df_table_find(c->extra, key);
}

static void report_unknown(const struct component *c, const struct df_type *type, const char *key)
{
	const char *names[64] = { "type", "config", type ? type->name : NULL };
	size_t n = 3;
	const char *hint = "";

	for (size_t i = 0; c->extra && i < c->extra->field_count && n < DF_ARRAY_SIZE(names); i++)
		names[n++] = c->extra->fields[i].name;
	const char *near = df_nearest(df_str_c(key), names, n);
	if (type && type->settings && df_table_find(type->settings, df_str_c(key)))
		hint = df_parser_text(c->p, "; it belongs into `config`");
	else if (near)
		hint = df_parser_text(c->p, "; did you mean \"%s\"?", near);
	else
		hint = "; known are type, config";
	if (c->p->options->unknown_keys_warn)
		df_diag_warning(c->p->diags, c->place, key, "unknown field%s", hint);
	else
		df_diag_error(c->p->diags, c->place, key, "unknown field%s", hint);
}

/* Finds `type` and `config`. */
static void sort_keys(struct component *c, const struct df_value *object)
{
	df_for_each (member, object) {
		if (member->kind == DF_NULL)
			continue;
		if (df_str_equal(df_value_key(member), DF_STR("type")))
			c->type = member;
		else if (df_str_equal(df_value_key(member), DF_STR("config")))
			c->config = member;
	}
}

static void check_keys(struct component *c, const struct df_value *object, const struct df_type *type)
{
	df_for_each (member, object) {
		struct df_str key = df_value_key(member);
		if (member == c->type || member == c->config || df_str_equal(key, DF_STR("type")) ||
		    df_str_equal(key, DF_STR("config")) || is_extra(c, key))
			continue;
		const char *name = df_parser_text(c->p, DF_STR_FMT, DF_STR_ARG(key));
		if (!is_type_name(c, key)) {
			report_unknown(c, type, name);
		} else if (member->kind == DF_NULL || !type) {
			continue;
		} else if (df_str_equal_c(key, type->name)) {
			c->older = member;
		} else {
			df_diag_warning(c->p->diags, c->place, name,
					"has no effect because the type is \"%s\"; remove it, or correct `type`",
					type->name);
		}
	}
}

/* ---- settings -------------------------------------------------------------------------------------------- */

static const struct df_table no_settings = { .size = 1 };

static const struct df_table *settings_table(const struct df_type *type)
{
	return type->settings ? type->settings : &no_settings;
}

static const char *below(const struct component *c, const char *key)
{
	return df_parser_text(c->p, "%s%s%s", c->place->path ? c->place->path : "",
			      c->place->path && *c->place->path ? "." : "", key);
}

static void parse_settings(const struct component *c, struct df_component *ret)
{
	static const struct df_value nothing = { .kind = DF_OBJECT };
	static const struct df_field settings_field = { .name = "config" };
	const struct df_value *value = c->config ? c->config : c->older;
	const char *key = c->older && !c->config ? ret->type->name : "config";
	struct df_place place = *c->place;

	if (c->config && c->older) {
		df_diag_error(c->p->diags, c->place, ret->type->name,
			      "`config` is set as well; keep one of them, best `config`");
		return;
	}
	if (!value && !ret->type->settings_optional) {
		df_diag_error(c->p->diags, c->place, "config", "required: the settings of the %s type \"%s\"",
			      df_component_kind_name(c->kind), ret->type->name);
		return;
	}
	if (value && value->kind != DF_OBJECT) {
		df_report_kind(c->p, c->place, key, &settings_field, "an object", value, "");
		return;
	}
	place.path = below(c, key);
	place.value = value;
	if (value && value->line)
		place.line = value->line;
	df_parse_object(c->p, settings_table(ret->type), value ? value : &nothing, &place, ret->settings);
}

/* The extra table sees only its own keys. */
static void parse_extra(const struct component *c, const struct df_value *object, struct df_component *ret)
{
	struct df_value *own = df_value_new(&c->p->arena, DF_OBJECT);

	ret->extra = calloc(1, c->extra->size ? c->extra->size : 1);
	ret->extra_table = c->extra;
	if (!own || !ret->extra) {
		df_diags_no_memory(c->p->diags);
		return;
	}
	df_for_each (member, object) {
		if (!is_extra(c, df_value_key(member)))
			continue;
		struct df_value *copy = df_arena_alloc(&c->p->arena, sizeof(*copy));
		if (!copy) {
			df_diags_no_memory(c->p->diags);
			return;
		}
		*copy = *member; /* its children stay shared: they are only read */
		df_object_append(own, df_value_key(member), copy);
	}
	own->line = object->line;
	struct df_place place = *c->place;
	place.value = own;
	df_parse_object(c->p, c->extra, own, &place, ret->extra);
}

static bool start(const struct component *c, struct df_component *ret)
{
	const char *key = c->older && !c->config ? ret->type->name : "config";

	ret->path = df_str_dup(df_str_c(c->place->path));
	ret->settings_path = df_str_dup(df_str_c(below(c, key)));
	ret->settings = calloc(1, settings_table(ret->type)->size);
	if (ret->path && ret->settings_path && ret->settings)
		return true;
	df_component_done(ret);
	df_diags_no_memory(c->p->diags);
	return false;
}

void df_parse_component(struct df_parser *p, enum df_component_kind kind, const struct df_value *value,
			const struct df_table *extra, const struct df_place *place, struct df_component *ret)
{
	static const struct df_field component_field = { .name = "" };
	struct component c = { .p = p, .kind = kind, .place = place, .extra = extra };

	*ret = (struct df_component){ .kind = kind, .line = value->line };
	if (value->kind != DF_OBJECT) {
		df_report_kind(p, place, NULL, &component_field, "an object with `type` and `config`", value, "");
		return;
	}
	sort_keys(&c, value);
	const struct df_type *type = find_type(&c, value);
	check_keys(&c, value, type);
	if (!type)
		return;
	ret->type = type;
	if (!start(&c, ret))
		return;
	parse_settings(&c, ret);
	if (extra)
		parse_extra(&c, value, ret);
}

void df_component_done(struct df_component *component)
{
	if (!component)
		return;
	if (component->settings)
		df_settings_done(settings_table(component->type), component->settings);
	if (component->extra)
		df_settings_done(component->extra_table, component->extra);
	free(component->settings);
	free(component->extra);
	free(component->path);
	free(component->settings_path);
	*component = (struct df_component){ .kind = component->kind };
}

void df_component_parse(enum df_component_kind kind, const struct df_value *object, const struct df_table *extra,
			const struct df_parse_options *options, struct df_component *ret, struct df_diags *diags)
{
	struct df_parser p = { .options = options, .diags = diags };
	struct df_place place = { .file = options->file, .line = object->line, .path = options->path, .value = object };

	df_arena_init(&p.arena, NULL);
	df_parse_component(&p, kind, object, extra, &place, ret);
	df_arena_done(&p.arena);
}

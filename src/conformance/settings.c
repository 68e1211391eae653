/* Settings that are missing, unknown, of the wrong kind or out of range: each is refused, with its path. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "conformance/settings.h"

#define PATH_MAX_LEN 512

/* ---- places ---------------------------------------------------------------------------------------------- */

struct df_value *df_spot_object(const struct df_spot *spot, struct df_value *config)
{
	struct df_str rest = df_str_c(spot->parent);

	while (rest.len && config) {
		const char *dot = memchr(rest.ptr, '.', rest.len);
		struct df_str key = df_str(rest.ptr, dot ? (size_t)(dot - rest.ptr) : rest.len);

		config = df_object_get(config, key);
		rest = dot ? df_str(dot + 1, rest.len - key.len - 1) : (struct df_str){ 0 };
	}
	return config;
}

/* "spec.source.config.tls.caFile" of a key beside the spot's. */
static void spot_path(enum df_component_kind kind, const struct df_spot *spot, const char *key, char out[PATH_MAX_LEN])
{
	snprintf(out, PATH_MAX_LEN, "spec.%s.config.%s%s%s", df_component_kind_name(kind), spot->parent,
		 spot->parent[0] ? "." : "", key);
}

static void visit(struct df_stage *st, enum df_component_kind kind, const struct df_table *table,
		  const struct df_value *object, const char *parent, df_spot_fn *fn)
{
	for (size_t i = 0; table && i < table->field_count; i++) {
		const struct df_field *field = &table->fields[i];
		const struct df_value *member = df_object_get_c(object, field->name);
		struct df_spot spot = { table, field, parent };
		char path[PATH_MAX_LEN];

		fn(st, kind, &spot);
		if (field->type != DF_TYPE_OBJECT || !member || member->kind != DF_OBJECT)
			continue;
		snprintf(path, sizeof(path), "%s%s%s", parent, parent[0] ? "." : "", field->name);
		visit(st, kind, field->table, member, path, fn);
	}
}

void df_each_spot(struct df_stage *st, enum df_component_kind kind, df_spot_fn *fn)
{
	visit(st, kind, df_stage_as_written(st, kind)->type->settings, df_stage_config(st, kind), "", fn);
}

const char *df_try_each_spot(struct df_stage *st, enum df_component_kind kind, df_spot_fn *fn, const char *none)
{
	size_t before = st->tried;

	df_each_spot(st, kind, fn);
	return st->tried > before ? NULL : none;
}

const char *df_spot_twin(const struct df_field *field, char *out, size_t size)
{
	if (field->ref)
		return field->ref;
	snprintf(out, size, "%sSecretRef", field->name);
	return out;
}

void df_object_take(struct df_value *object, const char *key)
{
	struct df_value *member = df_object_get_c(object, key);

	if (member)
		df_container_remove(object, df_container_prev(object, member), member);
}

/* ---- what is refused ------------------------------------------------------------------------------------- */

static const char *one_line(struct df_stage *st, const struct df_value *v)
{
	struct df_str text = df_value_to_arena(v, st->arena);

	text = df_arena_dup(st->arena, df_str(text.ptr, text.len < 120 ? text.len : 120));
	return text.ptr ? text.ptr : "";
}

/* Settings that must be refused with this path; the diagnostic. what: "without `path`". */
static const struct df_diag *refused(struct df_stage *st, enum df_component_kind kind, const struct df_value *config,
				     const char *path, const char *what)
{
	struct df_component *component = NULL;
	struct df_diags *diags = df_arena_zalloc(st->arena, sizeof(*diags));
	size_t len = strlen(path);

	df_rule_check(st, diags, "the suite is out of memory");
	df_stage_doing(st, "parsing settings %s", what);
	if (df_stage_parse(st, kind, config, &component, diags))
		df_rule_fail(st, "%s: settings %s are accepted", df_component_kind_name(kind), what);
	for (size_t i = 0; i < diags->count; i++) {
		const struct df_diag *d = &diags->items[i];

		if (!d->warning && d->path && strncmp(d->path, path, len) == 0 &&
		    (d->path[len] == '\0' || d->path[len] == '.' || d->path[len] == '['))
			return d;
	}
	df_rule_fail(st, "%s: settings %s are refused, but no error has the path %s; the first is %s: %s",
		     df_component_kind_name(kind), what, path,
		     diags->count && diags->items[0].path ? diags->items[0].path : "(none)",
		     diags->count ? diags->items[0].text : "(none)");
}

/* A row that holds a setting of its own. */
static bool is_setting(const struct df_field *field)
{
	return !field->alias_of && !(field->flags & (DF_IGNORED | DF_DEPRECATED)) && field->type != DF_TYPE_REST;
}

/* ---- missing --------------------------------------------------------------------------------------------- */

static void try_required(struct df_stage *st, enum df_component_kind kind, const struct df_spot *spot)
{
	const char *name = spot->field->name;
	char path[PATH_MAX_LEN], twin[PATH_MAX_LEN], what[PATH_MAX_LEN];
	struct df_value *config, *object;

	if (!(spot->field->flags & DF_REQUIRED) || spot->field->alias_of)
		return;
	spot_path(kind, spot, name, path);
	config = df_stage_config(st, kind);
	object = df_spot_object(spot, config);
	df_object_take(object, name);
	df_object_take(object, df_spot_twin(spot->field, twin, sizeof(twin)));
	for (size_t i = 0; i < spot->table->field_count; i++)
		if (spot->table->fields[i].alias_of && strcmp(spot->table->fields[i].alias_of, name) == 0)
			df_object_take(object, spot->table->fields[i].name);
	snprintf(what, sizeof(what), "without `%s`", name);
	refused(st, kind, config, path, what);
	df_object_set(object, df_str_c(name), df_value_new(st->arena, DF_NULL));
	snprintf(what, sizeof(what), "with `%s: null`", name);
	refused(st, kind, config, path, what);
	st->tried++;
}

static const char *required_side(struct df_stage *st, enum df_component_kind kind)
{
	return df_try_each_spot(st, kind, try_required, "no setting is required");
}

static void required(struct df_stage *st)
{
	df_each_side(st, required_side);
	df_rule_note(st, "%zu settings", st->tried);
}

/* Without one of the settings that the manifest has: refused, or an instance that can live. */
struct without {
	enum df_component_kind kind;
	const char *key;
};

static void live_without(struct df_stage *st, void *shared)
{
	const struct without *w = st->arg;
	struct df_value *config = df_stage_config(st, w->kind);
	struct df_component *component = NULL;
	struct df_diags diags = { 0 };
	struct df_error err = DF_ERROR_INIT;
	struct df_context *ctx = df_context_new(NULL);
	struct df_instance i;

	(void)shared;
	df_object_take(config, w->key);
	if (!ctx || !df_stage_parse(st, w->kind, config, &component, &diags))
		return;
	df_stage_doing(st, "connecting the %s without `%s`", df_component_kind_name(w->kind), w->key);
	i = df_instance_of(st, component, true);
	df_context_deadline(ctx, df_clock_monotonic() + 5 * DF_NS_PER_S);
	if (df_instance_connect(st, &i, ctx, &err) < 0 && !err.text[0])
		df_rule_fail(st, "%s: connect without `%s` fails with an error that has no text",
			     df_component_kind_name(w->kind), w->key);
	df_instance_end(st, &i);
}

static const char *left_out_side(struct df_stage *st, enum df_component_kind kind)
{
	struct df_value *config = df_stage_config(st, kind);

	df_for_each (member, config) {
		struct without w = { kind, df_arena_dup(st->arena, df_value_key(member)).ptr };

		st->arg = &w;
		df_stage_in_child(st, live_without, 0, 30 * DF_NS_PER_S, NULL);
		st->tried++;
	}
	return config->len ? NULL : "the manifest has no settings";
}

static void each_left_out(struct df_stage *st)
{
	df_each_side(st, left_out_side);
	df_rule_note(st, "%zu settings", st->tried);
}

/* ---- unknown --------------------------------------------------------------------------------------------- */

static bool takes_anything(const struct df_table *table)
{
	for (size_t i = 0; i < table->field_count; i++)
		if (table->fields[i].type == DF_TYPE_REST)
			return true;
	return false;
}

static void try_unknown(struct df_stage *st, enum df_component_kind kind, const struct df_spot *spot)
{
	const char *name = spot->field->name;
	struct df_value *config = df_stage_config(st, kind);
	const struct df_diag *d;
	char wrong[128], path[PATH_MAX_LEN], what[PATH_MAX_LEN];

	if (!is_setting(spot->field) || takes_anything(spot->table))
		return;
	snprintf(wrong, sizeof(wrong), "%sx", name);
	df_object_set(df_spot_object(spot, config), df_str_c(wrong), df_value_string(st->arena, df_str_c("x")));
	spot_path(kind, spot, wrong, path);
	snprintf(what, sizeof(what), "with an unknown `%s`", wrong);
	d = refused(st, kind, config, path, what);
	df_rule_check(st, strlen(name) < 4 || (strstr(d->text, "did you mean") && strstr(d->text, name)),
		      "%s: the error of an unknown `%s` does not ask whether `%s` was meant: %s",
		      df_component_kind_name(kind), wrong, name, d->text);
	st->tried++;
}

static const char *unknown_side(struct df_stage *st, enum df_component_kind kind)
{
	return df_try_each_spot(st, kind, try_unknown, "it has no settings, or takes any");
}

static void unknown(struct df_stage *st)
{
	df_each_side(st, unknown_side);
	df_rule_note(st, "%zu settings", st->tried);
}

/* ---- kinds and ranges ------------------------------------------------------------------------------------ */

/* JSON that a field of this type cannot hold; NULL: it can hold anything. */
static const char *wrong_kind(const struct df_field *field)
{
	switch (field->type) {
	case DF_TYPE_STRING:
	case DF_TYPE_SECRET:
	case DF_TYPE_DURATION:
		return "{\"a\":[1]}";
	case DF_TYPE_STRINGS:
	case DF_TYPE_SECRET_STRINGS:
		return "[{\"a\":1}]";
	case DF_TYPE_BOOL:
	case DF_TYPE_OPT_BOOL:
		return "\"neither\"";
	case DF_TYPE_INT:
	case DF_TYPE_INT64:
	case DF_TYPE_OPT_INT:
	case DF_TYPE_OPT_INT64:
		return "\"many\"";
	case DF_TYPE_PAIRS:
	case DF_TYPE_OBJECT:
	case DF_TYPE_OBJECTS:
	case DF_TYPE_SECRET_REF:
		return "\"text\"";
	case DF_TYPE_RAW:
		return field->json ? "\"text\"" : NULL;
	default:
		return NULL;
	}
}

/* The settings with this JSON in the field's place are refused. */
static void try_json(struct df_stage *st, enum df_component_kind kind, const struct df_spot *spot, const char *json)
{
	struct df_value *config = df_stage_config(st, kind), *value = NULL;
	struct df_error err = DF_ERROR_INIT;
	char path[PATH_MAX_LEN], what[PATH_MAX_LEN], twin[PATH_MAX_LEN];

	df_rule_ok(st, df_value_parse_text(df_arena_dup(st->arena, df_str_c(json)), st->arena, &value, &err), &err,
		   "the suite's own JSON");
	df_object_take(df_spot_object(spot, config), df_spot_twin(spot->field, twin, sizeof(twin)));
	df_object_set(df_spot_object(spot, config), df_str_c(spot->field->name), value);
	spot_path(kind, spot, spot->field->name, path);
	snprintf(what, sizeof(what), "with `%s: %s`", spot->field->name, one_line(st, value));
	refused(st, kind, config, path, what);
	st->tried++;
}

static void try_kind(struct df_stage *st, enum df_component_kind kind, const struct df_spot *spot)
{
	const char *json = is_setting(spot->field) ? wrong_kind(spot->field) : NULL;

	if (json)
		try_json(st, kind, spot, json);
}

static const char *kinds_side(struct df_stage *st, enum df_component_kind kind)
{
	return df_try_each_spot(st, kind, try_kind, "it has no settings of a certain kind");
}

static void kinds(struct df_stage *st)
{
	df_each_side(st, kinds_side);
	df_rule_note(st, "%zu settings", st->tried);
}

static bool is_number(const struct df_field *field)
{
	return field->type == DF_TYPE_INT || field->type == DF_TYPE_INT64 || field->type == DF_TYPE_OPT_INT ||
	       field->type == DF_TYPE_OPT_INT64;
}

static void try_range(struct df_stage *st, enum df_component_kind kind, const struct df_spot *spot)
{
	const struct df_field *field = spot->field;
	char text[32];

	if (!is_setting(field))
		return;
	if (field->values)
		try_json(st, kind, spot, "\"no such value\"");
	if (!is_number(field) || (field->min == 0 && field->max == 0))
		return;
	if (field->min > INT64_MIN) {
		snprintf(text, sizeof(text), "%lld", (long long)field->min - 1);
		try_json(st, kind, spot, text);
	}
	if (field->max > field->min) {
		snprintf(text, sizeof(text), "%llu", (unsigned long long)field->max + 1);
		try_json(st, kind, spot, text);
	}
}

static const char *ranges_side(struct df_stage *st, enum df_component_kind kind)
{
	return df_try_each_spot(st, kind, try_range, "no setting has a range or a list of values");
}

static void ranges(struct df_stage *st)
{
	df_each_side(st, ranges_side);
	df_rule_note(st, "%zu values", st->tried);
}

/* ---- rows ------------------------------------------------------------------------------------------------ */

const struct df_conformance_rule df_rules_settings[] = {
	{ "settings.required", "Without a required setting, or with null, the error names its path.", 0, 0, required },
	{ "settings.left-out",
	  "Without any one of the manifest's settings the instance is refused, fails with a text, or works.", 0, 300,
	  each_left_out },
	{ "settings.unknown", "An unknown setting is refused with its path and the nearest name.", 0, 0, unknown },
	{ "settings.kinds", "A setting of the wrong kind is refused with its path.", 0, 0, kinds },
	{ "settings.ranges", "A number out of its range, or a value that is not of the list, is refused with its path.",
	  0, 0, ranges },
	{ 0 },
};

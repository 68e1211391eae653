/* The secrets of settings: references, and what is written directly. */
#include <stdio.h>

#include "spec/spec_internal.h"

const struct df_secret_ref *df_ref_of(const struct df_field *field, const void *member)
{
	switch (field->type) {
	case DF_TYPE_SECRET:
		return ((const struct df_secret *)member)->ref;
	case DF_TYPE_SECRET_STRINGS:
		return ((const struct df_secret_strings *)member)->ref;
	case DF_TYPE_SECRET_REF:
		return *(struct df_secret_ref *const *)member;
	default:
		return NULL;
	}
}

/* ---- references, and what stands where one could ---------------------------------------------------------- */

struct visit {
	void (*ref)(void *arg, const char *path, const struct df_secret_ref *ref);
	void (*direct)(void *arg, const char *path, const char *twin, const char *value);
	void *arg; /* of the one that is set */
	struct df_buf path;
};

static void visit_settings(struct visit *v, const struct df_table *table, const void *settings);

/* Puts one more step behind the path; returns what was there before. */
static size_t push(struct visit *v, const char *name, const char *suffix)
{
	size_t len = v->path.len;

	if (len)
		df_buf_add_char(&v->path, '.');
	df_buf_add_c(&v->path, name);
	df_buf_add_c(&v->path, suffix);
	return len;
}

static void visit_ref(struct visit *v, const struct df_field *field, const struct df_secret_ref *ref)
{
	if (!v->ref)
		return;
	bool own = field->type == DF_TYPE_SECRET_REF;
	size_t len = push(v, !own && field->ref ? field->ref : field->name, own || field->ref ? "" : "SecretRef");

	v->ref(v->arg, df_buf_c(&v->path), ref);
	v->path.len = len;
}

static void visit_direct(struct visit *v, const struct df_field *field, const void *member)
{
	bool text = field->type == DF_TYPE_STRING || field->type == DF_TYPE_SECRET; /* the value is the first member */
	const char *value = text && field->flags & DF_SENSITIVE ? *(char *const *)member : NULL;
	char twin[128];

	if (!v->direct || !value)
		return;
	size_t len = push(v, field->name, "");

	snprintf(twin, sizeof(twin), "%sSecretRef", field->name);
	v->direct(v->arg, df_buf_c(&v->path),
		  field->ref			  ? field->ref
		  : field->type == DF_TYPE_SECRET ? twin
						  : NULL,
		  value);
	v->path.len = len;
}

/* A component knows its own path. */
static void visit_component(struct visit *v, const struct df_component *component)
{
	struct visit inner = { .ref = v->ref, .direct = v->direct, .arg = v->arg };

	if (component->type && component->type->settings && component->settings) {
		df_buf_add_c(&inner.path, component->settings_path);
		visit_settings(&inner, component->type->settings, component->settings);
	}
	inner.path.len = 0;
	if (component->extra) {
		df_buf_add_c(&inner.path, component->path);
		visit_settings(&inner, component->extra_table, component->extra);
	}
	df_buf_done(&inner.path);
}

static void visit_objects(struct visit *v, const struct df_field *field, const struct df_objects *objects)
{
	char index[32];

	for (size_t i = 0; i < objects->count; i++) {
		snprintf(index, sizeof(index), "[%zu]", i);
		size_t len = push(v, field->name, index);
		visit_settings(v, field->table, (const char *)objects->items + field->table->size * i);
		v->path.len = len;
	}
}

static void visit_rest(struct visit *v, const struct df_rest *rest)
{
	for (size_t i = 0; i < rest->secret_count; i++) {
		const struct df_rest_secret *secret = &rest->secrets[i];

		if (!secret->ref && v->direct && secret->value)
			v->direct(v->arg, df_buf_c(&v->path), NULL, secret->value);
		if (!secret->ref || !v->ref)
			continue;
		size_t len = push(v, secret->path, "");
		v->ref(v->arg, df_buf_c(&v->path), secret->ref);
		v->path.len = len;
	}
}

static void visit_member(struct visit *v, const struct df_field *field, const void *member)
{
	const struct df_secret_ref *ref = df_ref_of(field, member);
	const struct df_components *components = member;

	if (ref) {
		visit_ref(v, field, ref);
	} else if (field->type == DF_TYPE_OBJECT) {
		size_t len = push(v, field->name, "");
		visit_settings(v, field->table, ((const struct df_object *)member)->settings);
		v->path.len = len;
	} else if (field->type == DF_TYPE_OBJECTS) {
		visit_objects(v, field, member);
	} else if (field->type == DF_TYPE_REST) {
		visit_rest(v, member);
	} else if (field->type == DF_TYPE_COMPONENT) {
		visit_component(v, member);
	} else if (field->type == DF_TYPE_COMPONENTS) {
		for (size_t i = 0; i < components->count; i++)
			visit_component(v, &components->items[i]);
	} else {
		visit_direct(v, field, member);
	}
}

static void visit_settings(struct visit *v, const struct df_table *table, const void *settings)
{
	for (size_t i = 0; settings && i < table->field_count; i++) {
		if (df_field_stored(&table->fields[i]))
			visit_member(v, &table->fields[i], (const char *)settings + table->fields[i].offset);
	}
}

void df_settings_secret_refs(const struct df_table *table, const void *settings,
			     void (*fn)(void *arg, const char *path, const struct df_secret_ref *ref), void *arg)
{
	struct visit v = { .ref = fn, .arg = arg };

	visit_settings(&v, table, settings);
	df_buf_done(&v.path);
}

void df_settings_direct_secrets(const struct df_table *table, const void *settings,
				void (*fn)(void *arg, const char *path, const char *twin, const char *value), void *arg)
{
	struct visit v = { .direct = fn, .arg = arg };

	visit_settings(&v, table, settings);
	df_buf_done(&v.path);
}

/* ---- secret values --------------------------------------------------------------------------------------- */

struct reveal {
	void (*fn)(void *arg, const char *value);
	void *arg;
};

static void reveal_text(const struct reveal *r, const char *value)
{
	if (value)
		r->fn(r->arg, value);
}

static void reveal_list(const struct reveal *r, const struct df_strings *list)
{
	for (size_t i = 0; i < list->count; i++)
		reveal_text(r, list->items[i]);
}

static void reveal_settings(const struct reveal *r, const struct df_table *table, const void *settings);

static void reveal_objects(const struct reveal *r, const struct df_table *table, const struct df_objects *objects)
{
	for (size_t i = 0; i < objects->count; i++)
		reveal_settings(r, table, (const char *)objects->items + table->size * i);
}

static void reveal_member(const struct reveal *r, const struct df_field *field, const void *member)
{
	bool secret = field->flags & DF_SENSITIVE || df_ref_of(field, member);

	if (field->type == DF_TYPE_OBJECT) {
		reveal_settings(r, field->table, ((const struct df_object *)member)->settings);
	} else if (field->type == DF_TYPE_OBJECTS) {
		reveal_objects(r, field->table, member);
	} else if (field->type == DF_TYPE_REST) {
		for (size_t i = 0; i < ((const struct df_rest *)member)->secret_count; i++)
			reveal_text(r, ((const struct df_rest *)member)->secrets[i].value);
	} else if (!secret) {
		return;
	} else if (field->type == DF_TYPE_STRING) {
		reveal_text(r, *(char *const *)member);
	} else if (field->type == DF_TYPE_SECRET) {
		reveal_text(r, ((const struct df_secret *)member)->value);
	} else if (field->type == DF_TYPE_STRINGS || field->type == DF_TYPE_SECRET_STRINGS) {
		reveal_list(r, member); /* the list is the first member */
	} else if (field->type == DF_TYPE_PAIRS) {
		for (size_t i = 0; i < ((const struct df_pairs *)member)->count; i++)
			reveal_text(r, ((const struct df_pairs *)member)->items[i].text);
	}
}

static void reveal_settings(const struct reveal *r, const struct df_table *table, const void *settings)
{
	for (size_t i = 0; settings && i < table->field_count; i++)
		if (df_field_stored(&table->fields[i]))
			reveal_member(r, &table->fields[i], (const char *)settings + table->fields[i].offset);
}

void df_settings_secret_values(const struct df_table *table, const void *settings,
			       void (*fn)(void *arg, const char *value), void *arg)
{
	reveal_settings(&(struct reveal){ fn, arg }, table, settings);
}

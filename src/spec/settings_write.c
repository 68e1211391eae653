/* Settings as canonical JSON without secrets. */
#include <stdio.h>

#include "base/time.h"
#include "spec/spec_internal.h"

#define REDACTED "\"***\""

/* ---- writing --------------------------------------------------------------------------------------------- */

/* SHOWN: secrets as their reference, or hidden. RESOLVED: with their values. */
enum mode { SHOWN, RESOLVED };

static void write_settings(const struct df_table *table, const void *settings, enum mode mode, struct df_buf *buf);

static void write_key(const char *key, struct df_buf *buf)
{
	if (buf->len && buf->data[buf->len - 1] != '{')
		df_buf_add_char(buf, ',');
	df_json_write_string(df_str_c(key), buf);
	df_buf_add_char(buf, ':');
}

static void write_text(const char *text, struct df_buf *buf)
{
	df_json_write_string(df_str_c(text ? text : ""), buf);
}

static void write_ref(const struct df_field *field, const struct df_secret_ref *ref, struct df_buf *buf)
{
	char twin[128];

	snprintf(twin, sizeof(twin), "%sSecretRef", field->name);
	write_key(field->type == DF_TYPE_SECRET_REF ? field->name : field->ref ? field->ref : twin, buf);
	df_settings_write(&df_secret_ref_table, ref, buf);
}

static void write_strings(const struct df_strings *list, struct df_buf *buf)
{
	df_buf_add_char(buf, '[');
	for (size_t i = 0; i < list->count; i++) {
		if (i)
			df_buf_add_char(buf, ',');
		write_text(list->items[i], buf);
	}
	df_buf_add_char(buf, ']');
}

static void write_pairs(const struct df_pairs *pairs, bool hidden, struct df_buf *buf)
{
	df_buf_add_char(buf, '{');
	for (size_t i = 0; i < pairs->count; i++) {
		const struct df_pair *pair = &pairs->items[i];
		write_key(pair->key ? pair->key : "", buf);
		if (hidden)
			df_buf_add_c(buf, REDACTED);
		else if (pair->kind == DF_STRING || !pair->text)
			write_text(pair->text, buf);
		else
			df_buf_add_c(buf, pair->text);
	}
	df_buf_add_char(buf, '}');
}

static void write_component(const struct df_component *component, enum mode mode, struct df_buf *buf)
{
	df_buf_add_char(buf, '{');
	write_key("type", buf);
	write_text(component->type->name, buf);
	if (component->extra) {
		/* The extra keys stand beside `type`: their object without its opening brace. */
		struct df_buf extra = { 0 };
		write_settings(component->extra_table, component->extra, mode, &extra);
		if (extra.failed)
			buf->failed = true;
		else if (extra.len > 2)
			df_buf_printf(buf, ",%.*s", (int)(extra.len - 2), extra.data + 1);
		df_buf_done(&extra);
	}
	write_key("config", buf);
	if (component->type->settings && component->settings)
		write_settings(component->type->settings, component->settings, mode, buf);
	else
		df_buf_add_c(buf, "{}");
	df_buf_add_char(buf, '}');
}

static void write_objects(const struct df_table *table, const struct df_objects *objects, enum mode mode,
			  struct df_buf *buf)
{
	df_buf_add_char(buf, '[');
	for (size_t i = 0; i < objects->count; i++) {
		if (i)
			df_buf_add_char(buf, ',');
		write_settings(table, (const char *)objects->items + table->size * i, mode, buf);
	}
	df_buf_add_char(buf, ']');
}

static void write_components(const struct df_components *components, enum mode mode, struct df_buf *buf)
{
	bool first = true;

	df_buf_add_char(buf, '[');
	for (size_t i = 0; i < components->count; i++) {
		if (!components->items[i].type)
			continue;
		if (!first)
			df_buf_add_char(buf, ',');
		first = false;
		write_component(&components->items[i], mode, buf);
	}
	df_buf_add_char(buf, ']');
}

static void write_duration(int64_t ns, struct df_buf *buf)
{
	char text[32];

	df_json_write_string(df_str(text, df_duration_format(ns, text)), buf);
}

bool df_member_is_present(const struct df_field *field, const void *member)
{
	switch (field->type) {
	case DF_TYPE_STRING:
	case DF_TYPE_SECRET_REF:
		return *(void *const *)member;
	case DF_TYPE_SECRET:
		return ((const struct df_secret *)member)->value || ((const struct df_secret *)member)->ref;
	case DF_TYPE_SECRET_STRINGS:
		return ((const struct df_secret_strings *)member)->list.count ||
		       ((const struct df_secret_strings *)member)->ref;
	case DF_TYPE_OPT_BOOL:
		return ((const struct df_opt_bool *)member)->set;
	case DF_TYPE_OPT_INT:
		return ((const struct df_opt_int *)member)->set;
	case DF_TYPE_OPT_INT64:
		return ((const struct df_opt_int64 *)member)->set;
	case DF_TYPE_DURATION:
		return ((const struct df_duration *)member)->set;
	case DF_TYPE_STRINGS:
		return ((const struct df_strings *)member)->count;
	case DF_TYPE_PAIRS:
		return ((const struct df_pairs *)member)->count;
	case DF_TYPE_OBJECT:
		return ((const struct df_object *)member)->settings;
	case DF_TYPE_OBJECTS:
		return ((const struct df_objects *)member)->count;
	case DF_TYPE_RAW:
		return ((const struct df_raw *)member)->json;
	case DF_TYPE_COMPONENT:
		return ((const struct df_component *)member)->type;
	case DF_TYPE_COMPONENTS:
		return ((const struct df_components *)member)->count;
	case DF_TYPE_REST:
		return ((const struct df_rest *)member)->written;
	default:
		return true;
	}
}

static void write_scalar(const struct df_field *field, const void *member, struct df_buf *buf)
{
	switch (field->type) {
	case DF_TYPE_STRING:
		write_text(*(char *const *)member, buf);
		break;
	case DF_TYPE_SECRET:
		write_text(((const struct df_secret *)member)->value, buf);
		break;
	case DF_TYPE_BOOL:
		df_buf_add_c(buf, *(const bool *)member ? "true" : "false");
		break;
	case DF_TYPE_OPT_BOOL:
		df_buf_add_c(buf, ((const struct df_opt_bool *)member)->value ? "true" : "false");
		break;
	case DF_TYPE_INT:
		df_buf_printf(buf, "%d", *(const int32_t *)member);
		break;
	case DF_TYPE_OPT_INT:
		df_buf_printf(buf, "%d", ((const struct df_opt_int *)member)->value);
		break;
	case DF_TYPE_INT64:
		df_buf_printf(buf, "%lld", (long long)*(const int64_t *)member);
		break;
	case DF_TYPE_OPT_INT64:
		df_buf_printf(buf, "%lld", (long long)((const struct df_opt_int64 *)member)->value);
		break;
	default:
		write_duration(((const struct df_duration *)member)->ns, buf);
	}
}

static void write_member(const struct df_field *field, const void *member, enum mode mode, struct df_buf *buf)
{
	bool hidden = mode == SHOWN && field->flags & DF_SENSITIVE;

	if (field->type == DF_TYPE_PAIRS) {
		write_pairs(member, hidden, buf);
		return;
	}
	if (hidden) {
		df_buf_add_c(buf, REDACTED);
		return;
	}
	switch (field->type) {
	case DF_TYPE_STRINGS:
	case DF_TYPE_SECRET_STRINGS: /* the list is the first member */
		write_strings(member, buf);
		break;
	case DF_TYPE_OBJECT:
		write_settings(field->table, ((const struct df_object *)member)->settings, mode, buf);
		break;
	case DF_TYPE_OBJECTS:
		write_objects(field->table, member, mode, buf);
		break;
	case DF_TYPE_RAW:
		df_buf_add(buf, ((const struct df_raw *)member)->json, ((const struct df_raw *)member)->len);
		break;
	case DF_TYPE_COMPONENT:
		write_component(member, mode, buf);
		break;
	case DF_TYPE_COMPONENTS:
		write_components(member, mode, buf);
		break;
	default:
		write_scalar(field, member, buf);
	}
}

/* The members stand beside those of the other rows. */
static void write_rest(const struct df_rest *rest, enum mode mode, struct df_buf *buf)
{
	if (buf->len && buf->data[buf->len - 1] != '{')
		df_buf_add_char(buf, ',');
	df_buf_add_c(buf, mode == RESOLVED && rest->resolved ? rest->resolved : rest->written);
}

/* Was the value of a reference found? A bare reference has none. */
static bool is_resolved(const struct df_field *field, const void *member)
{
	return field->type == DF_TYPE_SECRET	       ? ((const struct df_secret *)member)->value != NULL
	       : field->type == DF_TYPE_SECRET_STRINGS ? ((const struct df_secret_strings *)member)->list.count > 0
						       : false;
}

static void write_row(const struct df_field *field, const void *member, enum mode mode, struct df_buf *buf)
{
	const struct df_secret_ref *ref = df_ref_of(field, member);

	if (field->type == DF_TYPE_REST) {
		write_rest(member, mode, buf);
	} else if (ref && !(mode == RESOLVED && is_resolved(field, member))) {
		write_ref(field, ref, buf);
	} else {
		write_key(field->name, buf);
		write_member(field, member, mode, buf);
	}
}

static void write_settings(const struct df_table *table, const void *settings, enum mode mode, struct df_buf *buf)
{
	df_buf_add_char(buf, '{');
	for (size_t i = 0; settings && i < table->field_count; i++) {
		const struct df_field *field = &table->fields[i];
		const void *member = (const char *)settings + field->offset;

		if (df_field_stored(field) && df_member_is_present(field, member))
			write_row(field, member, mode, buf);
	}
	df_buf_add_char(buf, '}');
}

void df_settings_write(const struct df_table *table, const void *settings, struct df_buf *buf)
{
	write_settings(table, settings, SHOWN, buf);
}

void df_settings_write_resolved(const struct df_table *table, const void *settings, struct df_buf *buf)
{
	write_settings(table, settings, RESOLVED, buf);
}

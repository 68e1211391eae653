/* Defaults of rows, and freeing. */
#include <stdlib.h>

#include "base/time.h"
#include "spec/spec_internal.h"

static const struct df_field secret_ref_fields[] = {
	DF_FIELD(struct df_secret_ref, name, "name", DF_REQUIRED, .doc = "The Secret."),
	DF_FIELD(struct df_secret_ref, key, "key", DF_REQUIRED, .doc = "The key in it."),
	DF_FIELD(struct df_secret_ref, namespace, "namespace", 0, .doc = "The Secret's namespace; the manifest's own."),
};
const struct df_table df_secret_ref_table = DF_TABLE(struct df_secret_ref, secret_ref_fields);

/* ---- defaults -------------------------------------------------------------------------------------------- */

bool df_strings_split(struct df_str text, struct df_strings *ret)
{
	while (text.len > 0) {
		const char *comma = memchr(text.ptr, ',', text.len);
		size_t len = comma ? (size_t)(comma - text.ptr) : text.len;
		struct df_str part = df_str_trim(df_str(text.ptr, len));
		len += comma != NULL;
		text = df_str(text.ptr + len, text.len - len);
		if (part.len == 0)
			continue;
		char **items = reallocarray(ret->items, ret->count + 1, sizeof(*items));
		if (!items)
			return false;
		ret->items = items;
		if (!(ret->items[ret->count] = df_str_dup(part)))
			return false;
		ret->count++;
	}
	return true;
}

static void bad_default(const struct df_field *field, struct df_diags *diags)
{
	df_diag_error(diags, NULL, NULL, "the table's default \"%s\" of `%s` does not fit its type", field->def,
		      field->name);
}

static void default_text(const struct df_field *field, char **ret, struct df_diags *diags)
{
	*ret = df_str_dup(df_str_c(field->def));
	if (!*ret)
		df_diags_no_memory(diags);
}

static void default_number(const struct df_field *field, void *member, struct df_diags *diags)
{
	int64_t number;

	if (!df_str_to_int64(df_str_c(field->def), &number)) {
		bad_default(field, diags);
		return;
	}
	switch (field->type) {
	case DF_TYPE_INT:
		*(int32_t *)member = (int32_t)number;
		break;
	case DF_TYPE_OPT_INT:
		*(struct df_opt_int *)member = (struct df_opt_int){ (int32_t)number, true };
		break;
	case DF_TYPE_OPT_INT64:
		*(struct df_opt_int64 *)member = (struct df_opt_int64){ number, true };
		break;
	default:
		*(int64_t *)member = number;
	}
}

static void default_raw(const struct df_field *field, struct df_raw *raw, struct df_diags *diags)
{
	default_text(field, &raw->json, diags);
	raw->len = raw->json ? strlen(raw->json) : 0;
}

static void default_other(const struct df_field *field, void *member, struct df_diags *diags)
{
	bool value = strcmp(field->def, "true") == 0;
	struct df_duration *duration = member;

	switch (field->type) {
	case DF_TYPE_BOOL:
		*(bool *)member = value;
		break;
	case DF_TYPE_OPT_BOOL:
		*(struct df_opt_bool *)member = (struct df_opt_bool){ value, true };
		break;
	case DF_TYPE_DURATION:
		duration->set = df_duration_parse(df_str_c(field->def), &duration->ns);
		if (!duration->set)
			bad_default(field, diags);
		break;
	default: /* objects and maps have no default */
		break;
	}
}

void df_field_default(const struct df_field *field, void *settings, struct df_diags *diags)
{
	void *member = (char *)settings + field->offset;

	if (field->type == DF_TYPE_COMPONENT)
		((struct df_component *)member)->kind = field->component;
	if (!field->def)
		return;
	switch (field->type) {
	case DF_TYPE_STRING:
		default_text(field, member, diags);
		break;
	case DF_TYPE_SECRET:
		default_text(field, &((struct df_secret *)member)->value, diags);
		break;
	case DF_TYPE_STRINGS:
	case DF_TYPE_SECRET_STRINGS: /* the list is the first member */
		if (!df_strings_split(df_str_c(field->def), member))
			df_diags_no_memory(diags);
		break;
	case DF_TYPE_INT:
	case DF_TYPE_INT64:
	case DF_TYPE_OPT_INT:
	case DF_TYPE_OPT_INT64:
		default_number(field, member, diags);
		break;
	case DF_TYPE_RAW:
		default_raw(field, member, diags);
		break;
	default:
		default_other(field, member, diags);
	}
}

void df_settings_defaults(const struct df_table *table, void *settings, struct df_diags *diags)
{
	memset(settings, 0, table->size);
	for (size_t i = 0; i < table->field_count; i++) {
		if (df_field_stored(&table->fields[i]))
			df_field_default(&table->fields[i], settings, diags);
	}
}

/* ---- freeing --------------------------------------------------------------------------------------------- */

static void done_strings(struct df_strings *list)
{
	for (size_t i = 0; i < list->count; i++)
		df_wipe(list->items[i]);
	free(list->items);
}

static void done_pairs(struct df_pairs *pairs)
{
	for (size_t i = 0; i < pairs->count; i++) {
		free(pairs->items[i].key);
		df_wipe(pairs->items[i].text);
	}
	free(pairs->items);
}

static void free_ref(struct df_secret_ref *ref)
{
	df_settings_done(&df_secret_ref_table, ref);
	free(ref);
}

static void done_objects(const struct df_table *table, struct df_objects *objects)
{
	for (size_t i = 0; i < objects->count; i++)
		df_settings_done(table, (char *)objects->items + table->size * i);
	free(objects->items);
}

static void done_components(struct df_components *components)
{
	for (size_t i = 0; i < components->count; i++)
		df_component_done(&components->items[i]);
	free(components->items);
}

/* Frees what a member holds; the caller zeroes the struct afterwards. */
static void done_member(const struct df_field *field, void *member)
{
	switch (field->type) {
	case DF_TYPE_STRING:
		df_wipe(*(char **)member);
		break;
	case DF_TYPE_SECRET:
		df_wipe(((struct df_secret *)member)->value);
		free_ref(((struct df_secret *)member)->ref);
		break;
	case DF_TYPE_STRINGS:
		done_strings(member);
		break;
	case DF_TYPE_SECRET_STRINGS:
		done_strings(&((struct df_secret_strings *)member)->list);
		free_ref(((struct df_secret_strings *)member)->ref);
		break;
	case DF_TYPE_SECRET_REF:
		free_ref(*(struct df_secret_ref **)member);
		break;
	case DF_TYPE_PAIRS:
		done_pairs(member);
		break;
	case DF_TYPE_OBJECT:
		df_settings_done(field->table, ((struct df_object *)member)->settings);
		free(((struct df_object *)member)->settings);
		break;
	case DF_TYPE_OBJECTS:
		done_objects(field->table, member);
		break;
	case DF_TYPE_RAW:
		df_wipe(((struct df_raw *)member)->json);
		break;
	case DF_TYPE_REST:
		df_rest_done(member);
		break;
	case DF_TYPE_COMPONENT:
		df_component_done(member);
		break;
	case DF_TYPE_COMPONENTS:
		done_components(member);
		break;
	default:
		break;
	}
}

void df_settings_done(const struct df_table *table, void *settings)
{
	if (!settings)
		return;
	for (size_t i = 0; i < table->field_count; i++) {
		if (df_field_stored(&table->fields[i]))
			done_member(&table->fields[i], (char *)settings + table->fields[i].offset);
	}
	memset(settings, 0, table->size);
}

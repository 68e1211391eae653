/* Rows that hold text: directly, from a Secret, in lists and in maps. */
#include <stdlib.h>

#include "spec/spec_internal.h"

/* Where a text stands, and how it may be talked about. */
struct text_place {
	const struct df_place *place;
	const struct df_field *field;
	const char *sub;
	bool hidden; /* it came from a Secret, or is sensitive: never shown */
};

/* ---- one text -------------------------------------------------------------------------------------------- */

/* A string's content. False (told) when it is another kind or cannot be a C string. */
static bool take_text(struct df_parser *p, const struct text_place *at, const struct df_value *value,
		      struct df_str *ret)
{
	bool scalar = value->kind == DF_NUMBER || value->kind == DF_TRUE || value->kind == DF_FALSE;

	if (value->kind != DF_STRING) {
		const char *fix = !scalar      ? ""
				  : at->hidden ? "; put it in quotes"
					       : df_parser_text(p, "; put it in quotes: \"" DF_STR_FMT "\"",
								DF_STR_ARG(df_yaml_written(value)));
		df_report_kind(p, at->place, at->sub, at->field, "a text", value, fix);
		return false;
	}
	*ret = df_value_text(value, &p->arena);
	if (value->len == 0)
		return true;
	if (!ret->ptr) {
		df_diags_no_memory(p->diags);
		return false;
	}
	if (memchr(ret->ptr, '\0', ret->len)) {
		df_diag_error(p->diags, at->place, at->sub, "the text contains a NUL character; remove it");
		return false;
	}
	if (!df_utf8_valid(*ret, NULL)) {
		df_diag_error(p->diags, at->place, at->sub, "the text is not valid Unicode");
		return false;
	}
	return true;
}

static bool equal_any_case(struct df_str a, const char *b)
{
	return a.len == strlen(b) && strncasecmp(a.ptr ? a.ptr : "", b, a.len) == 0;
}

static void report_enum(struct df_parser *p, const struct text_place *at, struct df_str text)
{
	const char *const *values = at->field->values;
	const char *list = "";
	size_t n = 0;

	for (; values[n]; n++)
		list = df_parser_text(p, "%s%s%s", list, n ? ", " : "", *values[n] ? values[n] : "\"\"");
	const char *near = df_nearest(text, values, n);
	if (at->hidden)
		df_diag_error(p->diags, at->place, at->sub, "the value is not one of: %s", list);
	else if (near)
		df_diag_error(p->diags, at->place, at->sub, "unknown value %s; did you mean \"%s\"? Possible are: %s",
			      df_parser_quote(p, text), near, list);
	else
		df_diag_error(p->diags, at->place, at->sub, "unknown value %s; possible are: %s",
			      df_parser_quote(p, text), list);
}

/* Enum values become the table's spelling. */
static bool check_enum(struct df_parser *p, const struct text_place *at, struct df_str *text)
{
	for (const char *const *value = at->field->values; *value; value++) {
		if (df_str_equal_c(*text, *value) ||
		    (at->field->flags & DF_ANY_CASE && equal_any_case(*text, *value))) {
			*text = df_str_c(*value);
			return true;
		}
	}
	report_enum(p, at, *text);
	return false;
}

static bool run_check(struct df_parser *p, const struct text_place *at, struct df_str text)
{
	struct df_error err = DF_ERROR_INIT;
	int r = at->field->check ? at->field->check(text, &err) : 0;

	if (r == 0)
		return true;
	if (r == DF_ERR_NO_MEMORY)
		df_diags_no_memory(p->diags);
	else if (at->hidden) /* the reason may quote the text */
		df_diag_error(p->diags, at->place, at->sub, "the value is not valid here (it is secret and not shown)");
	else
		df_diag_error(p->diags, at->place, at->sub, "%s", err.text);
	return false;
}

/* What the row asks of each text. */
static bool check_text(struct df_parser *p, const struct text_place *at, struct df_str *text)
{
	if (at->field->flags & DF_NO_BLANK && df_str_trim(*text).len == 0) {
		df_diag_error(p->diags, at->place, at->sub, "the text must not be blank");
		return false;
	}
	if (at->field->values && !check_enum(p, at, text))
		return false;
	return run_check(p, at, *text);
}

/* Replaces *ret (a default, wiped). */
static void store(struct df_parser *p, char **ret, struct df_str text)
{
	df_wipe(*ret);
	*ret = df_str_dup(text);
	if (!*ret)
		df_diags_no_memory(p->diags);
}

static void parse_string(struct df_parser *p, const struct df_place *place, const struct df_slot *slot, char **ret)
{
	struct text_place at = { place, slot->field, slot->name, slot->field->flags & DF_SENSITIVE };
	struct df_str text;

	if (!take_text(p, &at, slot->value, &text))
		return;
	if (text.len == 0 && !(slot->field->flags & DF_KEEP_EMPTY)) {
		if (slot->field->flags & DF_REQUIRED)
			df_report_empty(p, place, slot->name, "text");
		return; /* absent: the default stays */
	}
	if (check_text(p, &at, &text))
		store(p, ret, text);
}

/* ---- references ------------------------------------------------------------------------------------------ */

/* Names and keys become parts of file names: what Kubernetes allows in them, and nothing else. */
static bool is_secret_name(const char *text)
{
	size_t len = strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789-.");

	return len > 0 && len <= 253 && text[len] == '\0' && text[0] != '.' && text[0] != '-';
}

static bool is_secret_key(const char *text)
{
	size_t len = strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._");

	return len > 0 && len <= 253 && text[len] == '\0' && strcmp(text, ".") != 0 && strncmp(text, "..", 2) != 0;
}

static bool check_ref(struct df_parser *p, const struct df_place *place, const struct df_secret_ref *ref)
{
	size_t errors = p->diags->errors;

	if (ref->name && !is_secret_name(ref->name))
		df_diag_error(p->diags, place, "name",
			      "not the name of a Secret; use lower-case letters, digits, \"-\" and \".\"");
	if (ref->key && !is_secret_key(ref->key))
		df_diag_error(p->diags, place, "key",
			      "not a key of a Secret; use letters, digits, \"-\", \"_\" and \".\"");
	if (ref->namespace && (!is_secret_name(ref->namespace) || strchr(ref->namespace, '.')))
		df_diag_error(p->diags, place, "namespace",
			      "not the name of a namespace; use lower-case letters, digits and \"-\"");
	return p->diags->errors == errors;
}

bool df_parse_ref(struct df_parser *p, const struct df_place *place, const struct df_field *field, const char *name,
		  const struct df_value *value, struct df_secret_ref **ret)
{
	size_t errors = p->diags->errors;
	const char *dot = place->path && *place->path ? "." : "";
	struct df_place below = { .file = place->file,
				  .line = value->line ? value->line : place->line,
				  .value = value };

	if (value->kind != DF_OBJECT) {
		df_report_kind(p, place, name, field, "a reference to a Secret", value,
			       "; write `{name: SECRET, key: KEY}`");
		return false;
	}
	*ret = calloc(1, sizeof(**ret));
	if (!*ret) {
		df_diags_no_memory(p->diags);
		return false;
	}
	below.path = df_parser_text(p, "%s%s%s", place->path ? place->path : "", dot, name);
	df_parse_object(p, &df_secret_ref_table, value, &below, *ret);
	return p->diags->errors == errors && check_ref(p, &below, *ret);
}

char *df_resolve_ref(struct df_parser *p, const struct df_place *place, const char *name,
		     const struct df_secret_ref *ref)
{
	const struct df_secrets *secrets = p->options->secrets;
	struct df_error err = DF_ERROR_INIT;
	char *text = NULL;

	if (!secrets)
		return NULL;
	int r = secrets->get(secrets, ref, &text, &err);
	if (r == DF_ERR_NO_MEMORY) {
		df_diags_no_memory(p->diags);
		return NULL;
	}
	if (r < 0) {
		df_diag_error(p->diags, place, name, "%s", err.text);
		return NULL;
	}
	if (!text)
		return NULL;
	size_t len = strlen(text);
	if (len && text[len - 1] == '\n')
		text[--len] = '\0';
	if (len && text[len - 1] == '\r')
		text[--len] = '\0';
	if (len > 0)
		return text;
	df_diag_error(p->diags, place, name, "Secret \"%s\", key \"%s\": the value is empty", ref->name, ref->key);
	free(text);
	return NULL;
}

static void warn_both(struct df_parser *p, const struct df_place *place, const struct df_slot *slot)
{
	if (slot->value)
		df_diag_warning(p->diags, place, slot->name, "has no effect because `%s` is set; remove one of them",
				slot->ref_name);
}

static void parse_secret(struct df_parser *p, const struct df_place *place, const struct df_slot *slot,
			 struct df_secret *ret)
{
	struct text_place at = { place, slot->field, slot->ref_name, true };

	if (!slot->ref) {
		parse_string(p, place, slot, &ret->value);
		return;
	}
	warn_both(p, place, slot);
	df_wipe(ret->value); /* the default */
	ret->value = NULL;
	if (!df_parse_ref(p, place, slot->field, slot->ref_name, slot->ref, &ret->ref))
		return;
	df_cleanup(df_wipep) char *value = df_resolve_ref(p, place, slot->ref_name, ret->ref);
	struct df_str text = df_str_c(value);
	if (value && check_text(p, &at, &text))
		store(p, &ret->value, text);
}

/* Nobody reads the value here, but it must be there. */
static void parse_bare_ref(struct df_parser *p, const struct df_place *place, const struct df_slot *slot,
			   struct df_secret_ref **ret)
{
	if (df_parse_ref(p, place, slot->field, slot->name, slot->value, ret))
		df_wipe(df_resolve_ref(p, place, slot->name, *ret));
}

/* ---- lists ----------------------------------------------------------------------------------------------- */

static void empty_list(struct df_strings *list)
{
	for (size_t i = 0; i < list->count; i++)
		df_wipe(list->items[i]);
	free(list->items);
	*list = (struct df_strings){ 0 };
}

static void parse_element(struct df_parser *p, const struct text_place *at, const struct df_value *value, char **ret)
{
	struct df_str text;

	if (!take_text(p, at, value, &text))
		return;
	if (text.len == 0)
		df_report_empty(p, at->place, at->sub, "text");
	else if (check_text(p, at, &text))
		store(p, ret, text);
}

static void parse_strings(struct df_parser *p, const struct df_place *place, const struct df_slot *slot,
			  struct df_strings *ret)
{
	const struct df_value *value = slot->value;
	struct text_place at = { place, slot->field, slot->name, slot->field->flags & DF_SENSITIVE };

	if (value->kind != DF_ARRAY) {
		bool shown = value->kind == DF_STRING && !at.hidden;
		df_report_kind(
			p, place, slot->name, slot->field, "a list of texts", value,
			shown ? df_parser_text(p, "; write `[%s]`", df_parser_quote(p, df_value_text(value, &p->arena)))
			      : "");
		return;
	}
	if (value->len == 0) {
		if (slot->field->flags & DF_REQUIRED)
			df_report_empty(p, place, slot->name, "list");
		return;
	}
	empty_list(ret);
	ret->items = calloc(value->len, sizeof(*ret->items));
	if (!ret->items) {
		df_diags_no_memory(p->diags);
		return;
	}
	df_for_each (child, value) {
		at.sub = df_parser_text(p, "%s[%zu]", slot->name, ret->count);
		parse_element(p, &at, child, &ret->items[ret->count++]);
	}
}

static void parse_secret_strings(struct df_parser *p, const struct df_place *place, const struct df_slot *slot,
				 struct df_secret_strings *ret)
{
	struct text_place at = { place, slot->field, slot->ref_name, true };

	if (!slot->ref) {
		parse_strings(p, place, slot, &ret->list);
		return;
	}
	warn_both(p, place, slot);
	empty_list(&ret->list);
	if (!df_parse_ref(p, place, slot->field, slot->ref_name, slot->ref, &ret->ref))
		return;
	df_cleanup(df_wipep) char *value = df_resolve_ref(p, place, slot->ref_name, ret->ref);
	if (!value)
		return;
	if (!df_strings_split(df_str_c(value), &ret->list))
		df_diags_no_memory(p->diags);
	else if (ret->list.count == 0)
		df_diag_error(p->diags, place, slot->ref_name,
			      "Secret \"%s\", key \"%s\": the value has no parts between its commas", ret->ref->name,
			      ret->ref->key);
	for (size_t i = 0; i < ret->list.count; i++) {
		struct df_str text = df_str_c(ret->list.items[i]);
		if (!check_text(p, &at, &text))
			return;
		if (slot->field->values) /* the table's spelling has the same length */
			memcpy(ret->list.items[i], text.ptr, text.len);
	}
}

/* ---- maps ------------------------------------------------------------------------------------------------ */

static bool pair_text(struct df_parser *p, const struct text_place *at, const struct df_value *value, char **ret)
{
	struct df_buf buf = { 0 };
	struct df_str text;

	if (value->kind == DF_STRING) {
		if (!take_text(p, at, value, &text))
			return false;
		if (at->field->values && !check_enum(p, at, &text))
			return false;
		*ret = df_str_dup(text);
	} else {
		df_value_write(value, &buf);
		*ret = df_buf_take(&buf);
	}
	if (!*ret)
		df_diags_no_memory(p->diags);
	return *ret;
}

static void parse_pair(struct df_parser *p, const struct df_place *place, const struct df_slot *slot,
		       const struct df_value *child, struct df_pair *ret)
{
	struct df_str key = df_value_key(child);
	struct text_place at = { place, slot->field, NULL, slot->field->flags & DF_SENSITIVE };
	struct text_place key_at;

	at.sub = df_parser_text(p, "%s." DF_STR_FMT, slot->name, DF_STR_ARG(key));
	key_at = at;
	key_at.hidden = false;
	ret->kind = child->kind;
	ret->line = child->line;
	if (key.len == 0 || memchr(key.ptr, '\0', key.len) || !df_utf8_valid(key, NULL)) {
		df_diag_error(p->diags, place, at.sub, "a key is empty or contains a NUL character");
		return;
	}
	if (slot->field->flags & DF_NO_BLANK && df_str_trim(key).len == 0) {
		df_diag_error(p->diags, place, slot->name, "a key must not be blank");
		return;
	}
	if (run_check(p, &key_at, key) && pair_text(p, &at, child, &ret->text))
		store(p, &ret->key, key);
}

static void parse_pairs(struct df_parser *p, const struct df_place *place, const struct df_slot *slot,
			struct df_pairs *ret)
{
	const struct df_value *value = slot->value;

	if (value->kind != DF_OBJECT) {
		df_report_kind(p, place, slot->name, slot->field, "a map", value, "");
		return;
	}
	if (value->len == 0) {
		if (slot->field->flags & DF_REQUIRED)
			df_report_empty(p, place, slot->name, "map");
		return;
	}
	ret->items = calloc(value->len, sizeof(*ret->items));
	if (!ret->items) {
		df_diags_no_memory(p->diags);
		return;
	}
	df_for_each (child, value)
		parse_pair(p, place, slot, child, &ret->items[ret->count++]);
}

void df_parse_texts(struct df_parser *p, const struct df_place *place, const struct df_slot *slot, void *member)
{
	switch (slot->field->type) {
	case DF_TYPE_STRING:
		parse_string(p, place, slot, member);
		break;
	case DF_TYPE_SECRET:
		parse_secret(p, place, slot, member);
		break;
	case DF_TYPE_STRINGS:
		parse_strings(p, place, slot, member);
		break;
	case DF_TYPE_SECRET_STRINGS:
		parse_secret_strings(p, place, slot, member);
		break;
	case DF_TYPE_SECRET_REF:
		parse_bare_ref(p, place, slot, member);
		break;
	case DF_TYPE_PAIRS:
		parse_pairs(p, place, slot, member);
		break;
	default:
		break;
	}
}

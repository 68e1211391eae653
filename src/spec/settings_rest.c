/* The row that takes what no other takes: members as they are, with the Secrets that they refer to. */
#include <ctype.h>
#include <stdlib.h>

#include "spec/spec_internal.h"

#define TWIN DF_STR("SecretRef")

struct rest {
	struct df_parser *p;
	const struct df_place *place;
	const struct df_field *field;
	struct df_rest *ret;
	struct df_buf written, resolved;
	bool unresolved; /* a reference has no value */
};

/* ---- secrets --------------------------------------------------------------------------------------------- */

static void free_ref(struct df_secret_ref *ref)
{
	df_settings_done(&df_secret_ref_table, ref);
	free(ref);
}

/* Takes ref and value over. False: out of memory (told). */
static bool add_secret(struct rest *r, const char *path, struct df_secret_ref *ref, char *value)
{
	struct df_rest *ret = r->ret;
	struct df_rest_secret *secrets = reallocarray(ret->secrets, ret->secret_count + 1, sizeof(*secrets));
	char *copy = path ? df_str_dup(df_str_c(path)) : NULL;

	if (secrets)
		ret->secrets = secrets;
	if (secrets && (copy || !path)) {
		secrets[ret->secret_count++] = (struct df_rest_secret){ copy, ref, value };
		return true;
	}
	free(copy);
	free_ref(ref);
	df_wipe(value);
	df_diags_no_memory(r->p->diags);
	return false;
}

/* Names under which people write secrets. */
static bool name_tells(struct df_str key)
{
	static const char *const words[] = { "password",    "passwd",	 "secret",     "token",
					     "apikey",	    "api_key",	 "credential", "privatekey",
					     "private_key", "accesskey", "access_key" };
	char lower[64];
	size_t len = key.len < sizeof(lower) ? key.len : sizeof(lower);

	for (size_t i = 0; i < len; i++)
		lower[i] = (char)tolower((unsigned char)key.ptr[i]);
	for (size_t i = 0; i < DF_ARRAY_SIZE(words); i++)
		if (memmem(lower, len, words[i], strlen(words[i])))
			return true;
	return false;
}

/* `<name>SecretRef: {name: ...}`; anything else of that name is an ordinary member. */
static bool is_reference(const struct df_value *member)
{
	struct df_str key = df_value_key(member);

	return member->kind == DF_OBJECT && key.len > TWIN.len && df_str_ends(key, TWIN) &&
	       df_object_get_c(member, "name");
}

static bool has_twin(struct rest *r, const struct df_value *object, struct df_str key)
{
	const char *twin = df_parser_text(r->p, DF_STR_FMT "SecretRef", DF_STR_ARG(key));
	const struct df_value *member = df_object_get_c(object, twin);

	return member && is_reference(member);
}

/* ---- members --------------------------------------------------------------------------------------------- */

static void add_value(struct rest *r, const struct df_value *value, const char *path);

static void separate(struct df_buf *buf)
{
	if (buf->len && !strchr("{[:", buf->data[buf->len - 1]))
		df_buf_add_char(buf, ',');
}

static void add_key(struct df_buf *buf, struct df_str key)
{
	separate(buf);
	df_json_write_string(key, buf);
	df_buf_add_char(buf, ':');
}

static void add_reference(struct rest *r, const struct df_value *member, const char *path)
{
	struct df_str key = df_value_key(member);
	struct df_secret_ref *ref = NULL;
	char *value = NULL;

	add_key(&r->written, key);
	df_value_write(member, &r->written);
	if (df_parse_ref(r->p, r->place, r->field, path, member, &ref))
		value = df_resolve_ref(r->p, r->place, path, ref);
	if (value) {
		add_key(&r->resolved, df_str(key.ptr, key.len - TWIN.len));
		df_json_write_string(df_str_c(value), &r->resolved);
	} else {
		r->unresolved = true;
	}
	if (ref)
		(void)add_secret(r, path, ref, value);
}

static void add_direct(struct rest *r, const struct df_value *member)
{
	struct df_str text = df_value_text(member, &r->p->arena);

	if (text.len)
		(void)add_secret(r, NULL, NULL, df_str_dup(text));
	add_key(&r->written, df_value_key(member));
	df_buf_add_c(&r->written, "\"***\"");
	add_key(&r->resolved, df_value_key(member));
	df_value_write(member, &r->resolved);
}

static void add_members(struct rest *r, const struct df_value *object, const char *path)
{
	df_for_each (member, object) {
		struct df_str key = df_value_key(member);
		const char *below = df_parser_text(r->p, "%s%s" DF_STR_FMT, path, *path ? "." : "", DF_STR_ARG(key));

		if (is_reference(member)) {
			add_reference(r, member, below);
		} else if (has_twin(r, object, key)) {
			df_diag_warning(r->p->diags, r->place, below,
					"has no effect because `%sSecretRef` is set; "
					"remove one of them",
					below);
		} else if (member->kind == DF_STRING && name_tells(key)) {
			add_direct(r, member);
		} else {
			add_key(&r->written, key);
			add_key(&r->resolved, key);
			add_value(r, member, below);
		}
	}
}

static void add_both(struct rest *r, char c)
{
	df_buf_add_char(&r->written, c);
	df_buf_add_char(&r->resolved, c);
}

static void add_value(struct rest *r, const struct df_value *value, const char *path)
{
	size_t i = 0;

	if (value->kind == DF_OBJECT) {
		add_both(r, '{');
		add_members(r, value, path);
		add_both(r, '}');
	} else if (value->kind == DF_ARRAY) {
		add_both(r, '[');
		df_for_each (child, value) {
			separate(&r->written);
			separate(&r->resolved);
			add_value(r, child, df_parser_text(r->p, "%s[%zu]", path, i++));
		}
		add_both(r, ']');
	} else {
		df_value_write(value, &r->written);
		df_value_write(value, &r->resolved);
	}
}

void df_parse_rest(struct df_parser *p, const struct df_place *place, const struct df_slot *slot, struct df_rest *ret)
{
	struct rest r = { .p = p, .place = place, .field = slot->field, .ret = ret };

	add_members(&r, slot->value, "");
	ret->written = df_buf_take(&r.written);
	ret->resolved = df_buf_take(&r.resolved);
	if (!ret->written || !ret->resolved)
		df_diags_no_memory(p->diags);
	if (r.unresolved) {
		df_wipe(ret->resolved);
		ret->resolved = NULL;
	}
}

void df_rest_done(struct df_rest *rest)
{
	for (size_t i = 0; i < rest->secret_count; i++) {
		free(rest->secrets[i].path);
		free_ref(rest->secrets[i].ref);
		df_wipe(rest->secrets[i].value);
	}
	free(rest->secrets);
	free(rest->written);
	df_wipe(rest->resolved);
}

#include "transformers/jq_internal.h"

#include <float.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>

/* Every decimal of so many significant digits comes back from a double as it was (DBL_DIG), if its exponent is small.
 */
#define EXACT_DIGITS 15
#define EXACT_INTEGER ((int64_t)1 << DBL_MANT_DIG)
/* libjq's sizes are ints, and it doubles them. */
#define TEXT_MAX ((size_t)INT_MAX / 4)
/* Bytes of a key that an error shows. */
#define KEY_SHOWN 40
/* Bytes of a key that is kept for later messages, and how many slots it is looked for in. */
#define KEY_KEPT 64
#define KEY_PROBES 4

/* ---- a document for jq ------------------------------------------------------------------------------------------- */

struct reader {
	struct df_arena *arena;
	struct df_jq_keys *keys;
	bool allow_lossy;
	struct df_error *err;
	size_t depth;
	const struct df_value *at[DF_VALUE_DEPTH_MAX + 1]; /* the children on the way to the current value */
};

static bool shows(struct df_str key)
{
	for (size_t i = 0; i < key.len; i++) {
		char c = key.ptr[i];
		bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';

		if (!letter && (i == 0 || ((c < '0' || c > '9') && c != '-')))
			return false;
	}
	return key.len > 0 && key.len <= KEY_SHOWN;
}

static size_t index_of(const struct df_value *array, const struct df_value *child)
{
	size_t i = 0;

	for (const struct df_value *v = array->first; v && v != child; v = v->next)
		i++;
	return i;
}

/* The place of the current value as jq writes it. Keys that do not look like names may be data: `?` stands for them. */
static void write_place(const struct reader *r, const struct df_value *root, struct df_buf *buf)
{
	const struct df_value *parent = root;

	if (r->depth == 0)
		df_buf_add_char(buf, '.');
	for (size_t i = 0; i < r->depth; i++) {
		const struct df_value *child = r->at[i];
		struct df_str key = df_value_key(child);

		if (parent->kind == DF_ARRAY)
			df_buf_printf(buf, "%s[%zu]", i == 0 ? "." : "", index_of(parent, child));
		else if (shows(key))
			df_buf_printf(buf, "." DF_STR_FMT, DF_STR_ARG(key));
		else
			df_buf_add_c(buf, i == 0 ? ".[?]" : "[?]");
		parent = child;
	}
}

/* A number as a double. False: jq would write another number. */
static bool number_of(struct df_value *v, struct df_arena *arena, double *ret, int *ret_code)
{
	char written[DF_NUMBER_MAX];

	if (v->repr == DF_REPR_FLOAT64) {
		*ret = v->float64;
		return true;
	}
	if (v->repr == DF_REPR_INT64 && v->int64 <= EXACT_INTEGER && v->int64 >= -EXACT_INTEGER) {
		*ret = (double)v->int64;
		return true;
	}
	struct df_str text = df_value_text(v, arena);
	if (!text.ptr) {
		*ret_code = DF_ERR_NO_MEMORY;
		return true;
	}
	if (!df_number_to_double(text, ret)) {
		*ret = text.ptr[0] == '-' ? -INFINITY : INFINITY;
		return false;
	}
	if (text.len <= EXACT_DIGITS && !memchr(text.ptr, 'e', text.len) && !memchr(text.ptr, 'E', text.len))
		return true;
	return df_number_compare(text, df_str(written, df_number_from_double(*ret, written))) == 0;
}

static int lossy(struct reader *r, const char *what)
{
	r->err->code = DF_ERR_INVALID_DATA; /* the place is added where the root is known */
	snprintf(r->err->text, sizeof(r->err->text), "%s", what);
	return DF_ERR_INVALID_DATA;
}

static int read_text(struct reader *r, struct df_str text, jv *ret)
{
	if (text.len > TEXT_MAX)
		return lossy(r, "is too large a text for jq");
	if (!r->allow_lossy && !df_utf8_valid(text, NULL))
		return lossy(r, "is a text with half a surrogate pair, which jq would replace; `allowLossy: true` "
				"accepts that");
	*ret = jv_string_sized(text.ptr ? text.ptr : "", (int)text.len);
	return 0;
}

void df_jq_keys_done(struct df_jq_keys *keys)
{
	for (size_t i = 0; i < DF_JQ_KEYS; i++)
		jv_free(keys->slots[i]);
}

static bool is_key(jv slot, struct df_str key)
{
	return jv_get_kind(slot) == JV_KIND_STRING && (size_t)jv_string_length_bytes(jv_copy(slot)) == key.len &&
	       memcmp(jv_string_value(slot), key.ptr, key.len) == 0;
}

/* The slot of a key, or where it is to be put: at its hash (FNV-1a) or soon after. */
static jv *key_slot(struct df_jq_keys *keys, struct df_str key)
{
	uint32_t hash = 2166136261U;

	for (size_t i = 0; i < key.len; i++)
		hash = (hash ^ (uint8_t)key.ptr[i]) * 16777619U;
	hash ^= hash >> 16;
	for (uint32_t i = 0; i < KEY_PROBES; i++) {
		jv *slot = &keys->slots[(hash + i) % DF_JQ_KEYS];

		if (!jv_is_valid(*slot) || is_key(*slot, key))
			return slot;
	}
	return &keys->slots[hash % DF_JQ_KEYS];
}

static int read_key(struct reader *r, struct df_str key, jv *ret)
{
	if (key.len == 0 || key.len > KEY_KEPT)
		return read_text(r, key, ret);
	jv *slot = key_slot(r->keys, key);
	/* References that libjq forgot must not overflow its counter, an int. */
	if (!is_key(*slot, key) || jv_get_refcnt(*slot) > INT_MAX / 2) {
		int code = read_text(r, key, ret);

		if (code < 0)
			return code;
		jv_free(*slot);
		*slot = *ret;
	}
	*ret = jv_copy(*slot);
	return 0;
}

static int read_scalar(struct reader *r, struct df_value *v, jv *ret)
{
	double number = 0;
	int code = 0;

	if (v->kind == DF_STRING) {
		struct df_str text = df_value_text(v, r->arena);

		return text.ptr || text.len == 0 ? read_text(r, text, ret) : DF_ERR_NO_MEMORY;
	}
	if (v->kind != DF_NUMBER) {
		*ret = v->kind == DF_NULL ? jv_null() : jv_bool(v->kind == DF_TRUE);
		return 0;
	}
	if (!number_of(v, r->arena, &number, &code) && !r->allow_lossy)
		return lossy(r, "is a number that jq would change, which computes in doubles; `allowLossy: true` "
				"accepts that");
	*ret = jv_number(number);
	return code;
}

static int read_value(struct reader *r, struct df_value *v, jv *ret);

static int read_child(struct reader *r, struct df_value *child, jv *container)
{
	jv key = jv_null();
	jv value = jv_null();

	r->at[r->depth++] = child;
	int code = child->key ? read_key(r, df_value_key(child), &key) : 0;
	if (code == 0)
		code = read_value(r, child, &value);
	if (code < 0) {
		jv_free(key);
		return code;
	}
	r->depth--;
	*container = child->key ? jv_object_set(*container, key, value) : jv_array_append(*container, value);
	return 0;
}

static int read_value(struct reader *r, struct df_value *v, jv *ret)
{
	if (!df_value_is_container(v))
		return read_scalar(r, v, ret);
	if (r->depth >= DF_VALUE_DEPTH_MAX || v->len > INT_MAX / 64)
		return lossy(r, "is too deep or too large for jq");
	*ret = v->kind == DF_OBJECT ? jv_object() : jv_array_sized((int)v->len);
	df_for_each (child, v) {
		int code = read_child(r, child, ret);

		if (code < 0) {
			jv_free(*ret);
			*ret = jv_null();
			return code;
		}
	}
	return 0;
}

int df_jq_from_value(struct df_value *v, bool allow_lossy, const char *what, struct df_jq_keys *keys,
		     struct df_arena *arena, jv *ret, struct df_error *err)
{
	struct df_error why = DF_ERROR_INIT;
	struct reader r = { .arena = arena, .keys = keys, .allow_lossy = allow_lossy, .err = &why };

	*ret = jv_null();
	int code = read_value(&r, v, ret);
	if (code == DF_ERR_NO_MEMORY)
		return df_error_no_memory(err);
	if (code < 0) {
		df_cleanup(df_buf_done) struct df_buf place = { 0 };

		write_place(&r, v, &place);
		df_error_set(err, code, "`%s` of %s %s", df_buf_c(&place), what, why.text);
	}
	return code;
}

/* ---- what jq made ------------------------------------------------------------------------------------------------ */

struct writer {
	struct df_arena *arena;
	bool allow_lossy;
	int64_t budget;
	size_t depth;
	struct df_error *err;
};

static int spend(struct writer *w, size_t bytes)
{
	w->budget -= (int64_t)bytes;
	return w->budget >= 0 ? 0
			      : df_error_set(w->err, DF_ERR_INVALID_DATA,
					     "the results take more memory than maxOutputBytes allows");
}

/* Consumes text, as libjq's own functions. */
static int write_text(struct writer *w, jv text, struct df_str *ret)
{
	int len = jv_string_length_bytes(jv_copy(text));
	int r = spend(w, (size_t)len);

	if (r == 0) {
		*ret = df_arena_dup(w->arena, df_str(jv_string_value(text), (size_t)len));
		if (!ret->ptr)
			r = df_error_no_memory(w->err);
	}
	jv_free(text);
	return r;
}

static int write_number(struct writer *w, double number, struct df_value **ret)
{
	char digits[DF_NUMBER_MAX];

	if (!isfinite(number) && !w->allow_lossy)
		return df_error_set(w->err, DF_ERR_INVALID_DATA,
				    "a result has a number that is not finite; jq would write another one: "
				    "`allowLossy: true` accepts that");
	if (isnan(number)) {
		*ret = df_value_new(w->arena, DF_NULL);
		return 0;
	}
	if (isinf(number))
		number = number < 0 ? -DBL_MAX : DBL_MAX;
	struct df_str text = df_arena_dup(w->arena, df_str(digits, df_number_from_double(number, digits)));
	*ret = text.ptr ? df_value_number(w->arena, text) : NULL;
	return 0;
}

static int write_value(struct writer *w, jv v, struct df_value **ret);

static int write_array(struct writer *w, jv v, struct df_value *array)
{
	int n = jv_array_length(jv_copy(v));

	for (int i = 0; i < n; i++) {
		struct df_value *element = NULL;
		int r = write_value(w, jv_array_get(jv_copy(v), i), &element);

		if (r < 0)
			return r;
		df_array_append(array, element);
	}
	return 0;
}

static int write_object(struct writer *w, jv v, struct df_value *object)
{
	for (int i = jv_object_iter(v); jv_object_iter_valid(v, i); i = jv_object_iter_next(v, i)) {
		struct df_value *member = NULL;
		struct df_str key = { 0 };
		int r = write_text(w, jv_object_iter_key(v, i), &key);

		if (r == 0)
			r = write_value(w, jv_object_iter_value(v, i), &member);
		if (r < 0)
			return r;
		df_object_append(object, key, member);
	}
	return 0;
}

static int write_container(struct writer *w, jv v, struct df_value **ret)
{
	bool object = jv_get_kind(v) == JV_KIND_OBJECT;
	int r;

	if (++w->depth > DF_VALUE_DEPTH_MAX)
		return df_error_set(w->err, DF_ERR_INVALID_DATA, "a result nests deeper than %d levels",
				    DF_VALUE_DEPTH_MAX);
	*ret = df_value_new(w->arena, object ? DF_OBJECT : DF_ARRAY);
	if (!*ret)
		return df_error_no_memory(w->err);
	r = object ? write_object(w, v, *ret) : write_array(w, v, *ret);
	w->depth--;
	return r;
}

static int write_scalar(struct writer *w, jv v, struct df_value **ret)
{
	struct df_str text = { 0 };
	int r = 0;

	switch (jv_get_kind(v)) {
	case JV_KIND_STRING:
		r = write_text(w, jv_copy(v), &text);
		if (r == 0)
			*ret = df_value_string(w->arena, text);
		break;
	case JV_KIND_NUMBER:
		r = write_number(w, jv_number_value(v), ret);
		break;
	case JV_KIND_FALSE:
		*ret = df_value_new(w->arena, DF_FALSE);
		break;
	case JV_KIND_TRUE:
		*ret = df_value_new(w->arena, DF_TRUE);
		break;
	default:
		*ret = df_value_new(w->arena, DF_NULL);
		break;
	}
	return r == 0 && !*ret ? df_error_no_memory(w->err) : r;
}

/* Consumes v. */
static int write_value(struct writer *w, jv v, struct df_value **ret)
{
	jv_kind kind = jv_get_kind(v);
	int r = spend(w, sizeof(**ret));

	if (r == 0)
		r = kind == JV_KIND_ARRAY || kind == JV_KIND_OBJECT ? write_container(w, v, ret)
								    : write_scalar(w, v, ret);
	jv_free(v);
	return r;
}

int df_jq_to_value(jv v, bool allow_lossy, struct df_arena *arena, int64_t *budget, struct df_value **ret,
		   struct df_error *err)
{
	struct writer w = { .arena = arena, .allow_lossy = allow_lossy, .budget = *budget, .err = err };

	*ret = NULL;
	int r = write_value(&w, v, ret);
	*budget = w.budget;
	return r;
}

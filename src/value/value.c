/* Nodes: building, editing, comparing, and the text of scalars. json_read.c and json_write.c read and write JSON. */
#include "value/value.h"

#include <math.h>
#include <stdlib.h>

#include "value/value_internal.h"

_Static_assert(sizeof(struct df_value) == 48 || sizeof(void *) != 8, "four nodes in three cache lines");

#define EQUAL_SCAN 32 /* members in different order that equality looks up one by one; it sorts more */

/* ---- scalars: text --------------------------------------------------------------------------------------- */

size_t df_float64_text(const struct df_value *v, char *out)
{
	if (!isfinite(v->float64)) {
		const char *text = isnan(v->float64) ? "NaN" : v->float64 > 0 ? "Infinity" : "-Infinity";
		size_t len = strlen(text);
		memcpy(out, text, len);
		return len;
	}
	if (v->logical == DF_LOGICAL_FLOAT32 && (double)(float)v->float64 == v->float64)
		return df_number_from_float((float)v->float64, out);
	return df_number_from_double(v->float64, out);
}

/* The JSON text of a number node; a computed one goes to `local`. */
static struct df_str number_text(const struct df_value *v, char local[DF_NUMBER_MAX])
{
	switch (v->repr) {
	case DF_REPR_INT64:
		return df_str(local, df_number_from_int64(v->int64, local));
	case DF_REPR_FLOAT64:
		return df_str(local, df_float64_text(v, local));
	default:
		return df_str(v->text, v->len);
	}
}

/* A string's decoded content, piece by piece, so that comparing allocates nothing. */
struct pieces {
	const struct df_value *v;
	size_t at; /* how much of v->text is used up */
	char local[DF_NUMBER_MAX];
};

static void base64_group(const char *bytes, size_t n, char out[4])
{
	static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	const uint8_t *from = (const uint8_t *)bytes;
	uint32_t group = (uint32_t)from[0] << 16 | (n > 1 ? (uint32_t)from[1] << 8 : 0) | (n > 2 ? from[2] : 0u);

	out[0] = alphabet[group >> 18];
	out[1] = alphabet[group >> 12 & 63];
	out[2] = n > 1 ? alphabet[group >> 6 & 63] : '=';
	out[3] = n > 2 ? alphabet[group & 63] : '=';
}

/* The next piece, never empty; empty at the end. It is good until the next call. */
static struct df_str piece_next(struct pieces *s)
{
	const struct df_value *v = s->v;

	if (v->repr == DF_REPR_FLOAT64) {
		if (s->at)
			return df_str(NULL, 0);
		s->at = 1;
		return df_str(s->local, df_float64_text(v, s->local));
	}

	const char *p = v->text + s->at;
	size_t left = v->len - s->at;
	if (left == 0)
		return df_str(NULL, 0);
	if (v->repr == DF_REPR_BYTES) {
		size_t n = left < 3 ? left : 3;
		s->at += n;
		base64_group(p, n, s->local);
		return df_str(s->local, 4);
	}
	if (v->repr != DF_REPR_ESCAPED) {
		s->at = v->len;
		return df_str(p, left);
	}
	if (*p == '\\') {
		struct df_escape e = df_escape_read(p, left);
		s->at += e.taken;
		return df_str(s->local, df_utf8_encode(e.code_point, s->local));
	}
	const char *stop = memchr(p, '\\', left);
	size_t run = stop ? (size_t)(stop - p) : left;
	s->at += run;
	return df_str(p, run);
}

static bool strings_equal(const struct df_value *a, const struct df_value *b)
{
	struct pieces x = { .v = a };
	struct pieces y = { .v = b };
	struct df_str p = piece_next(&x);
	struct df_str q = piece_next(&y);

	while (p.len && q.len) {
		size_t n = p.len < q.len ? p.len : q.len;
		if (memcmp(p.ptr, q.ptr, n) != 0)
			return false;
		p = p.len > n ? df_str(p.ptr + n, p.len - n) : piece_next(&x);
		q = q.len > n ? df_str(q.ptr + n, q.len - n) : piece_next(&y);
	}
	return !p.len && !q.len;
}

bool df_value_string_equal(const struct df_value *v, struct df_str text)
{
	if (v->kind != DF_STRING)
		return false;
	if (v->repr == DF_REPR_PLAIN || v->repr == DF_REPR_TEXT)
		return df_str_equal(df_str(v->text, v->len), text);

	struct pieces s = { .v = v };
	for (struct df_str p = piece_next(&s); p.len; p = piece_next(&s)) {
		if (!df_str_starts(text, p))
			return false;
		text.ptr += p.len;
		text.len -= p.len;
	}
	return text.len == 0;
}

struct df_str df_value_text(const struct df_value *v, struct df_arena *arena)
{
	char local[DF_NUMBER_MAX];
	struct df_str text;
	char *out;
	bool plain;

	switch (v->kind) {
	case DF_NULL:
		return DF_STR("null");
	case DF_FALSE:
		return DF_STR("false");
	case DF_TRUE:
		return DF_STR("true");
	case DF_NUMBER:
		text = number_text(v, local);
		return text.ptr == local ? df_arena_dup(arena, text) : text;
	case DF_STRING:
		break;
	default:
		return df_value_to_arena(v, arena);
	}

	switch (v->repr) {
	case DF_REPR_ESCAPED:
		out = df_arena_alloc(arena, v->len);
		return df_str(out, out ? df_escape_decode(df_str(v->text, v->len), out, &plain) : 0);
	case DF_REPR_FLOAT64:
		return df_arena_dup(arena, df_str(local, df_float64_text(v, local)));
	case DF_REPR_BYTES:
		out = df_arena_alloc(arena, ((size_t)v->len + 2) / 3 * 4);
		if (!out)
			return df_str(NULL, 0);
		for (size_t at = 0, to = 0; at < v->len; at += 3, to += 4)
			base64_group(v->text + at, v->len - at < 3 ? v->len - at : 3, out + to);
		return df_str(out, ((size_t)v->len + 2) / 3 * 4);
	default:
		/* The empty slice must not look like a failure. */
		return df_str(v->text ? v->text : "", v->len);
	}
}

int df_value_unescape(struct df_value *v, struct df_arena *arena)
{
	if (v->kind != DF_STRING || v->repr == DF_REPR_TEXT || v->repr == DF_REPR_PLAIN)
		return DF_OK;

	bool plain = true; /* base64 and the names of doubles are */
	struct df_str text;
	if (v->repr == DF_REPR_ESCAPED) {
		char *out = df_arena_alloc(arena, v->len);
		text = df_str(out, out ? df_escape_decode(df_str(v->text, v->len), out, &plain) : 0);
	} else {
		text = df_value_text(v, arena);
	}
	if (!text.ptr || text.len > UINT32_MAX)
		return DF_ERR_NO_MEMORY;
	v->text = text.ptr;
	v->len = (uint32_t)text.len;
	v->repr = plain ? DF_REPR_PLAIN : DF_REPR_TEXT;
	return DF_OK;
}

/* ---- scalars: numbers ------------------------------------------------------------------------------------ */

bool df_value_to_int64(const struct df_value *v, int64_t *ret)
{
	if (v->kind != DF_NUMBER)
		return false;
	switch (v->repr) {
	case DF_REPR_INT64:
		*ret = v->int64;
		return true;
	case DF_REPR_FLOAT64:
		if (!(v->float64 >= -0x1p63 && v->float64 < 0x1p63) || v->float64 != trunc(v->float64))
			return false;
		*ret = (int64_t)v->float64;
		return true;
	default:
		return df_number_to_int64(df_str(v->text, v->len), ret);
	}
}

bool df_value_to_double(const struct df_value *v, double *ret)
{
	if (v->kind != DF_NUMBER)
		return false;
	switch (v->repr) {
	case DF_REPR_INT64:
		*ret = (double)v->int64;
		return true;
	case DF_REPR_FLOAT64:
		*ret = v->float64;
		return true;
	default:
		return df_number_to_double(df_str(v->text, v->len), ret);
	}
}

/* ---- building -------------------------------------------------------------------------------------------- */

static struct df_value *node_new(struct df_arena *arena, enum df_kind kind, enum df_logical logical, enum df_repr repr)
{
	struct df_value *v = df_arena_alloc(arena, sizeof(*v));

	if (v)
		*v = (struct df_value){ .kind = (uint8_t)kind, .logical = (uint8_t)logical, .repr = (uint8_t)repr };
	return v;
}

static struct df_value *node_text(struct df_arena *arena, enum df_kind kind, enum df_logical logical, enum df_repr repr,
				  struct df_str text)
{
	if (text.len > UINT32_MAX)
		return NULL;
	struct df_value *v = node_new(arena, kind, logical, repr);
	if (v) {
		v->text = text.len ? text.ptr : "";
		v->len = (uint32_t)text.len;
	}
	return v;
}

struct df_value *df_value_new(struct df_arena *arena, enum df_kind kind)
{
	switch (kind) {
	case DF_NULL:
		return node_text(arena, kind, DF_LOGICAL_NONE, DF_REPR_TEXT, DF_STR("null"));
	case DF_FALSE:
		return node_text(arena, kind, DF_LOGICAL_NONE, DF_REPR_TEXT, DF_STR("false"));
	case DF_TRUE:
		return node_text(arena, kind, DF_LOGICAL_NONE, DF_REPR_TEXT, DF_STR("true"));
	case DF_NUMBER:
		return node_text(arena, kind, DF_LOGICAL_NONE, DF_REPR_TEXT, DF_STR("0"));
	case DF_STRING:
		return node_text(arena, kind, DF_LOGICAL_NONE, DF_REPR_PLAIN, DF_STR(""));
	default:
		return node_new(arena, kind, DF_LOGICAL_NONE, DF_REPR_TEXT);
	}
}

struct df_value *df_value_number(struct df_arena *arena, struct df_str digits)
{
	return node_text(arena, DF_NUMBER, DF_LOGICAL_NONE, DF_REPR_TEXT, digits);
}

struct df_value *df_value_int64(struct df_arena *arena, int64_t i)
{
	struct df_value *v = node_new(arena, DF_NUMBER, DF_LOGICAL_INT64, DF_REPR_INT64);

	if (v)
		v->int64 = i;
	return v;
}

struct df_value *df_value_float64(struct df_arena *arena, double d)
{
	struct df_value *v = node_new(arena, isfinite(d) ? DF_NUMBER : DF_STRING, DF_LOGICAL_FLOAT64, DF_REPR_FLOAT64);

	if (v)
		v->float64 = d;
	return v;
}

struct df_value *df_value_string(struct df_arena *arena, struct df_str text)
{
	return node_text(arena, DF_STRING, DF_LOGICAL_NONE, DF_REPR_TEXT, text);
}

struct df_value *df_value_string_copy(struct df_arena *arena, struct df_str text)
{
	struct df_str copy = df_arena_dup(arena, text);

	return copy.ptr ? df_value_string(arena, copy) : NULL;
}

struct df_value *df_value_bytes(struct df_arena *arena, struct df_str bytes)
{
	return node_text(arena, DF_STRING, DF_LOGICAL_BYTES, DF_REPR_BYTES, bytes);
}

/* Does v->text point to characters? */
static bool has_text(const struct df_value *v)
{
	return !df_value_is_container(v) && v->repr != DF_REPR_INT64 && v->repr != DF_REPR_FLOAT64;
}

/* Recursive as deep as the document. The copy has the key, not the sibling. */
static struct df_value *clone(const struct df_value *v, struct df_arena *arena, bool text_too)
{
	struct df_value *copy = df_arena_alloc(arena, sizeof(*copy));

	if (!copy)
		return NULL;
	*copy = *v;
	copy->next = NULL;
	if (text_too && v->key) {
		copy->key = df_arena_dup(arena, df_value_key(v)).ptr;
		if (!copy->key)
			return NULL;
	}
	if (text_too && has_text(v)) {
		copy->text = df_arena_dup(arena, df_str(v->text, v->len)).ptr;
		if (!copy->text)
			return NULL;
	}
	if (!df_value_is_container(v))
		return copy;

	struct df_value **link = &copy->first;
	copy->last = NULL;
	df_for_each (child, v) {
		struct df_value *child_copy = clone(child, arena, text_too);
		if (!child_copy)
			return NULL;
		*link = child_copy;
		link = &child_copy->next;
		copy->last = child_copy;
	}
	return copy;
}

static struct df_value *clone_root(const struct df_value *v, struct df_arena *arena, bool text_too)
{
	struct df_value root = *v;

	root.key = NULL;
	root.key_len = 0;
	root.key_plain = false;
	return clone(&root, arena, text_too);
}

struct df_value *df_value_clone(const struct df_value *v, struct df_arena *arena)
{
	return clone_root(v, arena, false);
}

struct df_value *df_value_clone_deep(const struct df_value *v, struct df_arena *arena)
{
	return clone_root(v, arena, true);
}

/* ---- equality -------------------------------------------------------------------------------------------- */

static int key_order(const void *a, const void *b)
{
	const struct df_value *const *x = a;
	const struct df_value *const *y = b;

	return df_str_compare(df_value_key(*x), df_value_key(*y));
}

/* Members from a and b on, n of each, with the same keys in any order: by sorting. -1: out of memory. */
static int members_equal_sorted(const struct df_value *a, const struct df_value *b, size_t n)
{
	const struct df_value **sorted = reallocarray(NULL, n, 2 * sizeof(struct df_value *));
	if (!sorted)
		return -1;

	for (size_t i = 0; i < n; i++, a = a->next, b = b->next) {
		sorted[i] = a;
		sorted[n + i] = b;
	}
	qsort(sorted, n, sizeof(struct df_value *), key_order);
	qsort(sorted + n, n, sizeof(struct df_value *), key_order);

	int equal = 1;
	for (size_t i = 0; i < n && equal; i++)
		equal = df_str_equal(df_value_key(sorted[i]), df_value_key(sorted[n + i])) &&
			df_value_equal(sorted[i], sorted[n + i]);
	free(sorted);
	return equal;
}

static const struct df_value *member_find(const struct df_value *member, struct df_str key)
{
	while (member && !df_str_equal(df_value_key(member), key))
		member = member->next;
	return member;
}

static bool objects_equal(const struct df_value *a, const struct df_value *b)
{
	const struct df_value *x = a->first;
	const struct df_value *y = b->first;
	size_t left = a->len;

	/* Mostly the order is the same; keys are unique, so that members that stand side by side need not be looked at
	 * again. */
	for (; x && y && df_str_equal(df_value_key(x), df_value_key(y)); x = x->next, y = y->next, left--) {
		if (!df_value_equal(x, y))
			return false;
	}
	if (left > EQUAL_SCAN) {
		int equal = members_equal_sorted(x, y, left);
		if (equal >= 0)
			return equal;
	}
	for (; x; x = x->next) {
		const struct df_value *member = member_find(y, df_value_key(x));
		if (!member || !df_value_equal(x, member))
			return false;
	}
	return true;
}

/* Recursive as deep as the shallower document. */
bool df_value_equal(const struct df_value *a, const struct df_value *b)
{
	char local_a[DF_NUMBER_MAX];
	char local_b[DF_NUMBER_MAX];

	if (a->kind != b->kind)
		return false;
	switch (a->kind) {
	case DF_NUMBER:
		return df_number_compare(number_text(a, local_a), number_text(b, local_b)) == 0;
	case DF_STRING:
		return strings_equal(a, b);
	case DF_ARRAY:
		if (a->len != b->len)
			return false;
		for (a = a->first, b = b->first; a && b; a = a->next, b = b->next) {
			if (!df_value_equal(a, b))
				return false;
		}
		return true;
	case DF_OBJECT:
		return a->len == b->len && objects_equal(a, b);
	default:
		return true;
	}
}

/* ---- objects --------------------------------------------------------------------------------------------- */

struct df_value *df_object_get(const struct df_value *object, struct df_str key)
{
	if (!object || object->kind != DF_OBJECT)
		return NULL;
	df_for_each (member, object) {
		if (df_str_equal(df_value_key(member), key))
			return member;
	}
	return NULL;
}

struct df_value *df_object_get_c(const struct df_value *object, const char *key)
{
	return df_object_get(object, df_str_c(key));
}

static void append(struct df_value *container, struct df_value *value)
{
	value->next = NULL;
	if (container->first)
		container->last->next = value;
	else
		container->first = value;
	container->last = value;
	container->len++;
}

/* Whether the key needs escapes is not looked at here: the writer finds out, once. */
static void set_key(struct df_value *member, struct df_str key)
{
	member->key = key.len ? key.ptr : "";
	member->key_len = (uint32_t)key.len;
	member->key_plain = key.len == 0;
}

void df_object_set(struct df_value *object, struct df_str key, struct df_value *value)
{
	struct df_value *prev = NULL;

	set_key(value, key);
	df_for_each (member, object) {
		if (member->key_len == key.len && memcmp(member->key, value->key, key.len) == 0) {
			value->key_plain = member->key_plain;
			value->next = member->next;
			if (prev)
				prev->next = value;
			else
				object->first = value;
			if (object->last == member)
				object->last = value;
			member->next = NULL;
			return;
		}
		prev = member;
	}
	append(object, value);
}

void df_object_append(struct df_value *object, struct df_str key, struct df_value *value)
{
	set_key(value, key);
	append(object, value);
}

void df_object_rename(struct df_value *member, struct df_str key)
{
	set_key(member, key);
}

/* ---- containers ------------------------------------------------------------------------------------------ */

void df_array_append(struct df_value *array, struct df_value *value)
{
	value->key = NULL;
	value->key_len = 0;
	value->key_plain = false;
	append(array, value);
}

struct df_value *df_array_get(const struct df_value *array, size_t i)
{
	if (array->kind != DF_ARRAY || i >= array->len)
		return NULL;
	struct df_value *element = array->first;
	while (i--)
		element = element->next;
	return element;
}

void df_container_remove(struct df_value *container, struct df_value *prev, struct df_value *child)
{
	if (prev)
		prev->next = child->next;
	else
		container->first = child->next;
	if (container->last == child)
		container->last = prev;
	child->next = NULL;
	container->len--;
}

struct df_value *df_container_prev(const struct df_value *container, const struct df_value *child)
{
	struct df_value *prev = NULL;

	for (struct df_value *v = container->first; v && v != child; v = v->next)
		prev = v;
	return prev;
}

void df_value_replace(struct df_value *at, const struct df_value *from)
{
	struct df_value v = *from;

	v.next = at->next;
	v.key = at->key;
	v.key_len = at->key_len;
	v.key_plain = at->key_plain;
	v.line = at->line;
	*at = v;
}

struct df_value *df_container_take(struct df_value *container)
{
	struct df_value *first = container->first;

	container->first = NULL;
	container->last = NULL;
	container->len = 0;
	return first;
}

/* ---- words ----------------------------------------------------------------------------------------------- */

const char *df_kind_words(enum df_kind kind)
{
	switch (kind) {
	case DF_NULL:
		return "null";
	case DF_FALSE:
	case DF_TRUE:
		return "a bool";
	case DF_NUMBER:
		return "a number";
	case DF_STRING:
		return "a string";
	case DF_ARRAY:
		return "an array";
	case DF_OBJECT:
		return "an object";
	}
	return "nothing";
}

/*
 * Paths: reading values, finding places. Recursion goes one level per step that branches, and a path has at most
 * DF_PATH_STEPS_MAX of them. What is collected (`#.x`, modifiers) is made of copies of single nodes that share their
 * insides with the document: nothing is copied deeply to be looked at.
 */
#include "value/path_internal.h"

struct reader {
	struct df_arena *arena;
	bool failed; /* out of memory */
};

/* ---- patterns -------------------------------------------------------------------------------------------- */

/* Bytes of the code point at s[i]. */
static size_t code_point_len(struct df_str s, size_t i)
{
	size_t n = 1;

	while (i + n < s.len && ((unsigned char)s.ptr[i + n] & 0xC0) == 0x80)
		n++;
	return n;
}

bool df_path_glob(struct df_str text, struct df_str pattern)
{
	size_t t = 0;
	size_t p = 0;
	size_t star = SIZE_MAX; /* where the pattern goes on behind the last star */
	size_t star_text = 0;	/* what the star has eaten ends here */

	while (t < text.len) {
		if (p < pattern.len && pattern.ptr[p] == '*') {
			star = ++p;
			star_text = t;
			continue;
		}
		if (p < pattern.len && pattern.ptr[p] == '?') {
			p++;
			t += code_point_len(text, t);
			continue;
		}
		if (p < pattern.len) {
			/* A lone \ at the end of a query's value stands for itself. */
			size_t literal = pattern.ptr[p] == '\\' && p + 1 < pattern.len ? p + 1 : p;

			if (pattern.ptr[literal] == text.ptr[t]) {
				p = literal + 1;
				t++;
				continue;
			}
		}
		if (star == SIZE_MAX)
			return false;
		star_text += code_point_len(text, star_text);
		t = star_text;
		p = star;
	}
	while (p < pattern.len && pattern.ptr[p] == '*')
		p++;
	return p == pattern.len;
}

/* ---- nodes of our own ------------------------------------------------------------------------------------ */

/* A node that holds what v holds and is in no container; NULL (and failed) when out of memory. */
static struct df_value *shallow(struct reader *r, const struct df_value *v)
{
	struct df_value *copy = df_arena_alloc(r->arena, sizeof(*copy));

	if (!copy) {
		r->failed = true;
		return NULL;
	}
	*copy = *v;
	copy->next = NULL;
	copy->key = NULL;
	copy->key_len = 0;
	return copy;
}

static struct df_value *made(struct reader *r, struct df_value *v)
{
	if (!v)
		r->failed = true;
	return v;
}

static void collect(struct reader *r, struct df_value *array, const struct df_value *v)
{
	struct df_value *copy = shallow(r, v);

	if (copy)
		df_array_append(array, copy);
}

/* ---- modifiers ------------------------------------------------------------------------------------------- */

static struct df_value *reverse(struct reader *r, struct df_value *v)
{
	struct df_value *out;
	struct df_value *first = NULL;

	if (!df_value_is_container(v))
		return v;
	out = shallow(r, v);
	if (!out)
		return NULL;
	df_for_each (child, v) {
		struct df_value *copy = shallow(r, child);

		if (!copy)
			return NULL;
		copy->key = child->key;
		copy->key_len = child->key_len;
		copy->next = first;
		if (!first)
			out->last = copy;
		first = copy;
	}
	out->first = first;
	return out;
}

static struct df_value *keys_or_values(struct reader *r, struct df_value *v, bool keys)
{
	struct df_value *out;

	if (v->kind == DF_ARRAY && !keys)
		return v;
	if (v->kind != DF_OBJECT)
		return NULL;
	out = made(r, df_value_new(r->arena, DF_ARRAY));
	if (!out)
		return NULL;
	df_for_each (child, v) {
		struct df_value *item;

		item = keys ? made(r, df_value_string(r->arena, df_value_key(child))) : shallow(r, child);
		if (!item)
			return NULL;
		df_array_append(out, item);
	}
	return out;
}

/* Depth is the document's: at most DF_VALUE_DEPTH_MAX. */
static void flatten_into(struct reader *r, struct df_value *out, const struct df_value *array, bool deep)
{
	df_for_each (child, array) {
		if (r->failed)
			return;
		if (child->kind == DF_ARRAY && deep) {
			flatten_into(r, out, child, true);
		} else if (child->kind == DF_ARRAY) {
			df_for_each (inner, child)
				collect(r, out, inner);
		} else {
			collect(r, out, child);
		}
	}
}

static struct df_value *flatten(struct reader *r, struct df_value *v, bool deep)
{
	struct df_value *out;

	if (v->kind != DF_ARRAY)
		return v;
	out = made(r, df_value_new(r->arena, DF_ARRAY));
	if (out)
		flatten_into(r, out, v, deep);
	return out;
}

static struct df_value *to_string(struct reader *r, struct df_value *v)
{
	struct df_str text = df_value_to_arena(v, r->arena);

	if (!text.ptr || text.len > DF_VALUE_SIZE_MAX) {
		r->failed = true;
		return NULL;
	}
	return made(r, df_value_string(r->arena, text));
}

/* What is too deep or too large to be parsed is not JSON here: the modifier reads nothing. */
static struct df_value *from_string(struct reader *r, struct df_value *v)
{
	struct df_value *out = NULL;
	enum df_parse_result result;
	struct df_str text;

	if (v->kind != DF_STRING)
		return NULL;
	text = df_value_text(v, r->arena);
	if (!text.ptr) {
		r->failed = true;
		return NULL;
	}
	result = df_value_parse(text, r->arena, &out, NULL);
	if (result == DF_PARSE_NO_MEMORY)
		r->failed = true;
	return result == DF_PARSE_OK ? out : NULL;
}

static struct df_value *modify(struct reader *r, enum df_modifier modifier, struct df_value *v)
{
	switch (modifier) {
	case DF_MODIFIER_SAME:
		return v;
	case DF_MODIFIER_REVERSE:
		return reverse(r, v);
	case DF_MODIFIER_KEYS:
	case DF_MODIFIER_VALUES:
		return keys_or_values(r, v, modifier == DF_MODIFIER_KEYS);
	case DF_MODIFIER_FLATTEN:
	case DF_MODIFIER_FLATTEN_DEEP:
		return flatten(r, v, modifier == DF_MODIFIER_FLATTEN_DEEP);
	case DF_MODIFIER_TOSTR:
		return to_string(r, v);
	case DF_MODIFIER_FROMSTR:
		return from_string(r, v);
	}
	return NULL;
}

/* ---- queries --------------------------------------------------------------------------------------------- */

/* Is the text one of three words, in any case? */
static bool is_word(struct df_str text, const char *digit, const char *letter, const char *word)
{
	const char *const words[] = { digit, letter, word };

	for (size_t i = 0; i < 3; i++)
		if (text.len == strlen(words[i]) && strncasecmp(text.ptr, words[i], text.len) == 0)
			return true;
	return false;
}

static bool tilde_match(struct reader *r, enum df_query_tilde tilde, const struct df_value *v)
{
	struct df_str text = { 0 };
	bool want = tilde == DF_TILDE_TRUE;

	if (tilde == DF_TILDE_ANY)
		return v != NULL;
	if (tilde == DF_TILDE_NULL || !v || v->kind == DF_NULL)
		return !want && (!v || v->kind == DF_NULL);
	if (v->kind == DF_TRUE || v->kind == DF_FALSE)
		return (v->kind == DF_TRUE) == want;
	if (v->kind != DF_NUMBER && v->kind != DF_STRING)
		return false;
	text = df_value_text(v, r->arena);
	if (!text.ptr) {
		r->failed = true;
		return false;
	}
	if (v->kind == DF_NUMBER)
		return df_number_is_zero(text) != want;
	return want ? is_word(text, "1", "t", "true") : is_word(text, "0", "f", "false");
}

static bool order_match(enum df_query_op op, int order)
{
	switch (op) {
	case DF_QUERY_EQ:
		return order == 0;
	case DF_QUERY_NE:
		return order != 0;
	case DF_QUERY_LT:
		return order < 0;
	case DF_QUERY_LE:
		return order <= 0;
	case DF_QUERY_GT:
		return order > 0;
	case DF_QUERY_GE:
		return order >= 0;
	default:
		return false;
	}
}

/* A number or a string against the query's value. */
static bool text_match(struct reader *r, const struct df_query *query, const struct df_value *v)
{
	struct df_str value = df_str(query->value, query->value_len);
	struct df_str text;

	if (v->kind == DF_NUMBER && !query->is_number)
		return query->op == DF_QUERY_NE;
	if (v->kind == DF_STRING && (query->op == DF_QUERY_EQ || query->op == DF_QUERY_NE))
		return df_value_string_equal(v, value) == (query->op == DF_QUERY_EQ);
	text = df_value_text(v, r->arena);
	if (!text.ptr) {
		r->failed = true;
		return false;
	}
	if (v->kind == DF_NUMBER)
		return order_match(query->op, df_number_compare(text, value));
	if (query->op == DF_QUERY_LIKE || query->op == DF_QUERY_NOT_LIKE)
		return df_path_glob(text, value) == (query->op == DF_QUERY_LIKE);
	return order_match(query->op, df_str_compare(text, value));
}

static struct df_value *read_steps(struct reader *r, const struct df_step *step, const struct df_step *end,
				   struct df_value *v);

static bool query_match(struct reader *r, const struct df_query *query, struct df_value *element)
{
	struct df_value *v = element;

	/* As gjson: an object or array as the element itself counts as nothing read, which `~false` and `~null` match.
	 * A path that reads nothing from a scalar counts the same (gjson skips such an element; the reference does
	 * not). */
	if (query->path)
		v = read_steps(r, query->path->steps, query->path->steps + query->path->count, element);
	else if (df_value_is_container(element))
		v = NULL;
	if (r->failed)
		return false;
	if (query->tilde)
		return tilde_match(r, query->tilde, v) == (query->op == DF_QUERY_EQ);
	if (!v)
		return false;
	if (query->op == DF_QUERY_EXISTS)
		return true;
	switch (v->kind) {
	case DF_TRUE:
	case DF_FALSE:
		/* As gjson, != is true for a value that is neither true nor false. */
		if (query->op != DF_QUERY_EQ && query->op != DF_QUERY_NE)
			return false;
		return df_str_equal_c(df_str(query->value, query->value_len), v->kind == DF_TRUE ? "true" : "false") ==
		       (query->op == DF_QUERY_EQ);
	case DF_NUMBER:
	case DF_STRING:
		return text_match(r, query, v);
	default:
		return false;
	}
}

int df_query_match(const struct df_query *query, struct df_value *element, struct df_arena *arena, bool *ret)
{
	struct reader r = { .arena = arena };

	*ret = query_match(&r, query, element);
	return r.failed ? DF_ERR_NO_MEMORY : 0;
}

/* ---- reading --------------------------------------------------------------------------------------------- */

/* What a KEY step finds. */
static struct df_value *child_at(const struct df_step *step, const struct df_value *v)
{
	if (v->kind == DF_OBJECT)
		return df_object_get(v, step->key);
	if (v->kind == DF_ARRAY && step->index < v->len)
		return df_array_get(v, step->index);
	return NULL;
}

/* EACH, ALL with a rest, MATCHING: what steps[1..] read from the elements. */
static struct df_value *read_each(struct reader *r, const struct df_step *step, const struct df_step *end,
				  struct df_value *array)
{
	struct df_value *out = made(r, df_value_new(r->arena, DF_ARRAY));

	if (!out)
		return NULL;
	df_for_each (child, array) {
		struct df_value *v;

		if (step->query && !query_match(r, step->query, child))
			continue;
		v = read_steps(r, step + 1, end, child);
		if (v)
			collect(r, out, v);
		if (r->failed)
			return NULL;
	}
	return out;
}

/* The first member that matches and from which the rest can be read. */
static struct df_value *read_wild(struct reader *r, const struct df_step *step, const struct df_step *end,
				  struct df_value *object)
{
	df_for_each (child, object) {
		struct df_value *v;

		if (!df_path_glob(df_value_key(child), step->key))
			continue;
		v = read_steps(r, step + 1, end, child);
		if (v || r->failed)
			return v;
	}
	return NULL;
}

static struct df_value *find_first(struct reader *r, const struct df_query *query, struct df_value *array)
{
	df_for_each (child, array)
		if (query_match(r, query, child))
			return child;
	return NULL;
}

/* One value from v through steps without a `|` that ends a reach. */
static struct df_value *read_segment(struct reader *r, const struct df_step *step, const struct df_step *end,
				     struct df_value *v)
{
	for (; step < end && v && !r->failed; step++) {
		switch (step->kind) {
		case DF_STEP_KEY:
			v = child_at(step, v);
			break;
		case DF_STEP_WILD:
			return v->kind == DF_OBJECT ? read_wild(r, step, end, v) : NULL;
		case DF_STEP_LENGTH:
			return v->kind == DF_ARRAY ? made(r, df_value_int64(r->arena, v->len)) : NULL;
		case DF_STEP_ALL:
			if (v->kind == DF_ARRAY && step + 1 == end)
				return v;
			return v->kind == DF_ARRAY ? read_each(r, step, end, v) : NULL;
		case DF_STEP_EACH:
		case DF_STEP_MATCHING:
			return v->kind == DF_ARRAY ? read_each(r, step, end, v) : NULL;
		case DF_STEP_FIRST:
			v = v->kind == DF_ARRAY ? find_first(r, step->query, v) : NULL;
			break;
		default:
			v = modify(r, step->modifier, v);
			break;
		}
	}
	return r->failed ? NULL : v;
}

/* One value from v through all steps: what stands before a `|` that ends a reach is read to one value first. */
static struct df_value *read_steps(struct reader *r, const struct df_step *step, const struct df_step *end,
				   struct df_value *v)
{
	while (step < end && v) {
		const struct df_step *stop = step + 1;

		while (stop < end && !stop->piped)
			stop++;
		v = read_segment(r, step, stop, v);
		step = stop;
	}
	return v;
}

int df_path_read(const struct df_path *path, struct df_value *root, struct df_arena *arena, struct df_value **ret)
{
	struct reader r = { .arena = arena };

	*ret = read_steps(&r, path->steps, path->steps + path->count, root);
	return r.failed ? DF_ERR_NO_MEMORY : 0;
}

struct df_value *df_path_get(const struct df_path *path, struct df_value *root, struct df_value **parent)
{
	struct df_value *v = root;
	struct df_value *container = NULL;

	for (size_t i = 0; i < path->count && v; i++) {
		container = v;
		v = child_at(&path->steps[i], v);
	}
	if (parent)
		*parent = v ? container : NULL;
	return v;
}

/* ---- places ---------------------------------------------------------------------------------------------- */

struct finder {
	struct reader reader;
	const struct df_step *end;
	struct df_location *items;
	size_t count;
	size_t cap;
};

static void add_place(struct finder *f, struct df_value *container, struct df_value *prev, struct df_value *value)
{
	if (f->count == f->cap) {
		size_t cap = f->cap ? f->cap * 2 : 4;
		struct df_location *items =
			df_arena_extend(f->reader.arena, f->items, f->cap * sizeof(*items), cap * sizeof(*items));

		if (!items) {
			f->reader.failed = true;
			return;
		}
		f->items = items;
		f->cap = cap;
	}
	f->items[f->count++] = (struct df_location){ container, prev, value };
}

/* Does the step lead from the container to this child? */
static bool leads_to(struct finder *f, const struct df_step *step, const struct df_value *container,
		     struct df_value *child, size_t index)
{
	switch (step->kind) {
	case DF_STEP_KEY:
		return container->kind == DF_ARRAY ? index == step->index
						   : df_str_equal(df_value_key(child), step->key);
	case DF_STEP_WILD:
		return container->kind == DF_OBJECT && df_path_glob(df_value_key(child), step->key);
	case DF_STEP_EACH:
	case DF_STEP_ALL:
		return container->kind == DF_ARRAY;
	case DF_STEP_FIRST:
	case DF_STEP_MATCHING:
		return container->kind == DF_ARRAY && query_match(&f->reader, step->query, child);
	default:
		return false;
	}
}

static void locate(struct finder *f, const struct df_step *step, struct df_value *container)
{
	bool single = step->kind == DF_STEP_KEY || step->kind == DF_STEP_FIRST;
	struct df_value *prev = NULL;
	size_t index = 0;

	if (!df_value_is_container(container))
		return;
	df_for_each (child, container) {
		if (leads_to(f, step, container, child, index)) {
			if (step + 1 == f->end)
				add_place(f, container, prev, child);
			else
				locate(f, step + 1, child);
			if (single)
				return;
		}
		if (f->reader.failed)
			return;
		prev = child;
		index++;
	}
}

int df_path_locate(const struct df_path *path, struct df_value *root, struct df_arena *arena, struct df_places *ret)
{
	struct finder f = { .reader = { .arena = arena }, .end = path->steps + path->count };

	*ret = (struct df_places){ 0 };
	if (root && path->count > 0)
		locate(&f, path->steps, root);
	if (f.reader.failed)
		return DF_ERR_NO_MEMORY;
	*ret = (struct df_places){ f.items, f.count };
	return 0;
}

/* ---- select ---------------------------------------------------------------------------------------------- */

struct selector {
	struct reader reader;
	const struct df_path *path;
	const struct df_step *end;
	const struct df_step *rest; /* behind the last wildcard */
	const struct df_step *name; /* the last step that is a name or index, when it is not a wildcard */
	struct df_selected *items;
	size_t count;
	size_t cap;
};

static void add_selected(struct selector *s, struct df_str key, struct df_value *value)
{
	if (s->count == s->cap) {
		size_t cap = s->cap ? s->cap * 2 : 1;
		struct df_selected *items =
			df_arena_extend(s->reader.arena, s->items, s->cap * sizeof(*items), cap * sizeof(*items));

		if (!items) {
			s->reader.failed = true;
			return;
		}
		s->items = items;
		s->cap = cap;
	}
	s->items[s->count++] = (struct df_selected){ s->name ? s->name->key : key, value };
}

/* Every match of the wildcards; before the last of them stand only names, indices, modifiers and wildcards. */
static void select_from(struct selector *s, const struct df_step *step, struct df_value *v, struct df_str key)
{
	for (; step < s->rest && v && !s->reader.failed; step++) {
		if (step->kind == DF_STEP_MODIFIER) {
			v = modify(&s->reader, step->modifier, v);
		} else if (step->kind == DF_STEP_KEY) {
			v = child_at(step, v);
		} else {
			if (v->kind != DF_OBJECT)
				return;
			df_for_each (child, v) {
				if (df_path_glob(df_value_key(child), step->key))
					select_from(s, step + 1, child, df_value_key(child));
				if (s->reader.failed)
					return;
			}
			return;
		}
	}
	if (v && !s->reader.failed)
		v = read_steps(&s->reader, step, s->end, v);
	if (v && !s->reader.failed)
		add_selected(s, key, v);
}

int df_path_select(const struct df_path *path, struct df_value *root, struct df_arena *arena, struct df_selected **ret,
		   size_t *ret_count)
{
	struct selector s = {
		.reader = { .arena = arena },
		.path = path,
		.end = path->steps + path->count,
		.rest = path->steps,
	};

	for (const struct df_step *step = path->steps; step < s.end; step++) {
		if (step->kind == DF_STEP_WILD) {
			s.rest = step + 1;
			s.name = NULL;
		} else if (step->kind == DF_STEP_KEY) {
			s.name = step;
		}
	}
	select_from(&s, path->steps, root, df_str(NULL, 0));
	*ret = s.items;
	*ret_count = s.count;
	return s.reader.failed ? DF_ERR_NO_MEMORY : 0;
}

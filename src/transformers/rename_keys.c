/*
 * Keys repeat from message to message, and so do objects: what a key becomes is remembered, and the new names of whole
 * objects. Objects that are known are renamed at once, which can be taken back; others are looked at first and renamed
 * at the end, so that nothing has happened when two keys of one object become the same.
 */
#include "transformers/rename_keys.h"

#include <stdlib.h>

#include "transformers/keys.h"

#define CACHE_SLOTS 512		     /* a power of two */
#define CACHE_MAX (CACHE_SLOTS / 2)  /* keys that are remembered; further ones are converted each time */
#define CACHE_KEY_MAX ((uint32_t)64) /* bytes of one */
/* No name is longer than twice its key (df_key_style). */
#define DF_KEY_NAME_MAX(len) ((size_t)(len)*2)
#define SMALL 64		  /* members that are compared one by one where a filter finds two alike */
#define SHAPES 32		  /* sorts of objects that are remembered */
#define SHAPE_KEYS ((uint32_t)64) /* members of one */
#define LOCAL 128		  /* renames that need no memory */

struct entry {
	const char *key;  /* NULL: free. Owned; the new name is in the same block */
	const char *name; /* NULL: the key is its own name */
	uint32_t len;
	uint32_t name_len;
};

struct shape_key {
	const char *key, *name; /* name NULL: the key is its own */
	uint32_t len, name_len;
};

/* Objects with the same keys in the same order, whose new names are known to be different. */
struct shape {
	struct shape *next; /* of the object that followed last time */
	uint32_t count;
	uint32_t changed;	 /* of them */
	struct shape_key keys[]; /* the keys' text is behind them, the names' in the cache */
};

struct df_key_renamer {
	const struct df_key_style *style;
	struct shape *first; /* of the first object last time */
	struct shape *shapes[SHAPES];
	size_t shape_count;
	size_t used;
	struct entry cache[CACHE_SLOTS];
};

struct df_key_renamer *df_key_renamer_new(const struct df_key_style *style)
{
	struct df_key_renamer *renamer = calloc(1, sizeof(*renamer));

	if (renamer)
		renamer->style = style;
	return renamer;
}

void df_key_renamer_free(struct df_key_renamer *renamer)
{
	if (!renamer)
		return;
	for (size_t i = 0; i < CACHE_SLOTS; i++)
		free((char *)renamer->cache[i].key);
	for (size_t i = 0; i < renamer->shape_count; i++)
		free(renamer->shapes[i]);
	free(renamer);
}

/* ---- one key --------------------------------------------------------------------------------------------- */

static inline size_t hash(const char *key, uint32_t len)
{
	uint64_t a = 0;
	uint64_t b = 0;

	if (len >= 8) {
		memcpy(&a, key, 8);
		memcpy(&b, key + len - 8, 8);
	} else if (len >= 4) {
		memcpy(&a, key, 4);
		memcpy(&b, key + len - 4, 4);
	} else if (len) {
		a = (uint8_t)key[0];
		b = (uint64_t)(uint8_t)key[len >> 1] << 8 | (uint8_t)key[len - 1];
	}
	return (size_t)(((a ^ (b << 3 | b >> 61)) + len) * UINT64_C(0x9E3779B97F4A7C15) >> 55);
}
_Static_assert(CACHE_SLOTS == 1 << (64 - 55), "the hash is as wide as the cache");

/* A name that is not remembered: in the arena. *ret.ptr is NULL when the key is its own name. */
static int convert(const struct df_key_renamer *renamer, struct df_str key, struct df_arena *arena, struct df_str *ret)
{
	char *name = df_arena_alloc(arena, DF_KEY_NAME_MAX(key.len));

	if (!name)
		return DF_ERR_NO_MEMORY;
	*ret = df_str(name, renamer->style->convert(key, name));
	if (ret->len > UINT32_MAX)
		return DF_ERR_NO_MEMORY;
	if (df_str_equal(*ret, key))
		*ret = df_str(NULL, 0);
	return 0;
}

/* Remembers the key in this free slot. */
static int remember(struct df_key_renamer *renamer, struct entry *entry, struct df_str key)
{
	char *block = malloc(key.len + DF_KEY_NAME_MAX(key.len) + 1);

	if (!block)
		return DF_ERR_NO_MEMORY;
	memcpy(block, key.ptr, key.len);
	struct df_str name = df_str(block + key.len, renamer->style->convert(key, block + key.len));
	*entry = (struct entry){
		.key = block,
		.len = (uint32_t)key.len,
		.name = df_str_equal(name, key) ? NULL : name.ptr,
		.name_len = (uint32_t)name.len,
	};
	renamer->used++;
	return 0;
}

/* What the key becomes; ptr NULL: itself. *ret_remembered: the name lives as long as the renamer. */
static int look_up(struct df_key_renamer *renamer, const char *key, uint32_t len, struct df_arena *arena,
		   struct df_str *ret, bool *ret_remembered)
{
	size_t i = hash(key, len);

	*ret_remembered = true;
	for (; renamer->cache[i].key; i = (i + 1) & (CACHE_SLOTS - 1)) {
		const struct entry *entry = &renamer->cache[i];
		if (entry->len == len && df_key_same(entry->key, key, len)) {
			*ret = df_str(entry->name, entry->name_len);
			return 0;
		}
	}
	if (len > CACHE_KEY_MAX || renamer->used == CACHE_MAX) {
		*ret_remembered = false;
		return convert(renamer, df_str(key, len), arena, ret);
	}
	int r = remember(renamer, &renamer->cache[i], df_str(key, len));
	if (r == 0)
		*ret = df_str(renamer->cache[i].name, renamer->cache[i].name_len);
	return r;
}

/* ---- one object ------------------------------------------------------------------------------------------ */

struct rename {
	struct df_value *member;
	const char *name;
	uint32_t len;
};

/* An object that got its new names already. */
struct renamed {
	struct renamed *before;
	struct df_value *object;
	const struct shape *shape;
};

struct walk {
	struct df_key_renamer *renamer;
	struct df_arena *arena;
	bool deep;
	struct shape **expected; /* where the shape of the next object is told, or to be put */
	struct renamed *renamed; /* the last one */
	struct rename *renames;	 /* still to be done, in the order of the members of each object */
	size_t count, cap;
	struct rename local[LOCAL];
	struct df_error *err;
};

static __attribute__((noinline)) int grow(struct walk *w)
{
	size_t cap = w->cap * 2;
	struct rename *renames = df_arena_alloc(w->arena, cap * sizeof(*renames));

	if (!renames)
		return df_error_no_memory(w->err);
	memcpy(renames, w->renames, w->count * sizeof(*renames));
	w->renames = renames;
	w->cap = cap;
	return 0;
}

static int fails(struct walk *w)
{
	return df_error_set(w->err, DF_ERR_INVALID_DATA,
			    "two keys of one object become the same name; rename or remove one of them before");
}

/* The name that a member will have. *at is the rename that comes next. */
static inline struct df_str name_of(const struct walk *w, const struct df_value *member, size_t *at)
{
	if (*at < w->count && w->renames[*at].member == member) {
		const struct rename *rename = &w->renames[(*at)++];
		return df_str(rename->name, rename->len);
	}
	return df_value_key(member);
}

/* Is `name` the name of a member before `end`? */
static __attribute__((noinline)) bool is_taken(const struct walk *w, const struct df_value *object, size_t from,
					       const struct df_value *end, struct df_str name)
{
	for (const struct df_value *member = object->first; member != end; member = member->next) {
		if (df_str_equal(name_of(w, member, &from), name))
			return true;
	}
	return false;
}

static int check_large(struct walk *w, const struct df_value *object, size_t from)
{
	struct df_key_map names;

	if (df_key_map_init(&names, w->arena, object->len) < 0)
		return df_error_no_memory(w->err);
	df_for_each (member, object) {
		struct df_str name = name_of(w, member, &from);
		if (!df_key_map_add(&names, name, member))
			return fails(w);
	}
	return 0;
}

/* Do the new names of an object differ? Its renames begin at `from`. */
static int check_names(struct walk *w, const struct df_value *object, size_t from)
{
	uint64_t seen[4] = { 0 };
	size_t at = from;

	if (object->len > SMALL)
		return check_large(w, object, from);
	df_for_each (member, object) {
		struct df_str name = name_of(w, member, &at);
		size_t bit = hash(name.ptr, (uint32_t)name.len);
		uint64_t *word = &seen[bit >> 6 & 3];
		uint64_t mask = (uint64_t)1 << (bit & 63);

		if (*word & mask && is_taken(w, object, from, member, name))
			return fails(w);
		*word |= mask;
	}
	return 0;
}

/* Looks every key up. *ret_remembered: all new names live as long as the renamer. */
static int walk_keys(struct walk *w, const struct df_value *object, bool *ret_remembered)
{
	bool (*is_done)(const char *key, size_t len) = w->renamer->style->is_done;
	size_t from = w->count;

	*ret_remembered = true;
	df_for_each (member, object) {
		struct df_str name;
		bool remembered;

		if (is_done(member->key, member->key_len))
			continue;
		if (look_up(w->renamer, member->key, member->key_len, w->arena, &name, &remembered) < 0)
			return df_error_no_memory(w->err);
		*ret_remembered = *ret_remembered && remembered;
		if (!name.ptr)
			continue;
		if (w->count == w->cap && grow(w) < 0)
			return DF_ERR_NO_MEMORY;
		w->renames[w->count++] = (struct rename){ member, name.ptr, (uint32_t)name.len };
	}
	return w->count > from && object->len > 1 ? check_names(w, object, from) : 0;
}

/* Remembers the object, whose renames begin at `from`. Nothing is lost when it cannot. */
static struct shape *remember_shape(struct walk *w, const struct df_value *object, size_t from)
{
	struct df_key_renamer *renamer = w->renamer;
	size_t bytes = 0;

	if (object->len > SHAPE_KEYS || renamer->shape_count == SHAPES)
		return NULL;
	df_for_each (member, object) {
		if (member->key_len > CACHE_KEY_MAX)
			return NULL;
		bytes += member->key_len;
	}
	struct shape *shape = malloc(sizeof(*shape) + object->len * sizeof(shape->keys[0]) + bytes);
	if (!shape)
		return NULL;
	*shape = (struct shape){ .count = object->len, .changed = (uint32_t)(w->count - from) };

	struct shape_key *key = shape->keys;
	char *text = (char *)(shape->keys + object->len);
	df_for_each (member, object) {
		bool changed = from < w->count && w->renames[from].member == member;

		*key = (struct shape_key){ .key = text, .len = member->key_len };
		if (changed) {
			key->name = w->renames[from].name;
			key->name_len = w->renames[from++].len;
		}
		if (member->key_len)
			memcpy(text, member->key, member->key_len);
		text += member->key_len;
		key++;
	}
	renamer->shapes[renamer->shape_count++] = shape;
	return shape;
}

/* Gives the members before `end` the names back that they had. */
static __attribute__((noinline)) void take_back(struct df_value *object, const struct df_value *end,
						const struct shape *shape)
{
	const struct shape_key *key = shape->keys;

	for (struct df_value *member = object->first; member != end; member = member->next, key++) {
		member->key = key->key;
		member->key_len = key->len;
	}
}

/* Is it an object of this shape? Then it is renamed at once. A name has the key's letters in another case: it needs
 * escapes if and only if the key does. */
static inline bool rename_shape(struct df_value *object, const struct shape *shape)
{
	const struct shape_key *key = shape->keys;
	struct df_value *member = object->first;

	if (shape->count != object->len)
		return false;
	for (; member; member = member->next, key++) {
		if (member->key_len != key->len || !df_key_same(member->key, key->key, key->len))
			break;
		if (key->name) {
			member->key = key->name;
			member->key_len = key->name_len;
		}
	}
	if (!member)
		return true;
	take_back(object, member, shape);
	return false;
}

/* The object is not what was expected: another shape (*ret_done), or a new one. *ret NULL: none. */
static __attribute__((noinline)) int find_shape(struct walk *w, struct df_value *object, struct shape **ret,
						bool *ret_done)
{
	struct df_key_renamer *renamer = w->renamer;
	size_t from = w->count;
	bool remembered;

	for (size_t i = 0; i < renamer->shape_count; i++) {
		*ret = renamer->shapes[i];
		*ret_done = rename_shape(object, *ret);
		if (*ret_done)
			return 0;
	}
	*ret = NULL;
	int r = walk_keys(w, object, &remembered);
	if (r == 0 && remembered)
		*ret = remember_shape(w, object, from);
	return r;
}

/* Remembers that the object was renamed. */
static int add_renamed(struct walk *w, struct df_value *object, const struct shape *shape)
{
	struct renamed *renamed;

	if (shape->changed == 0)
		return 0;
	renamed = df_arena_alloc(w->arena, sizeof(*renamed));
	if (!renamed) {
		take_back(object, NULL, shape);
		return df_error_no_memory(w->err);
	}
	*renamed = (struct renamed){ w->renamed, object, shape };
	w->renamed = renamed;
	return 0;
}

static int walk_object(struct walk *w, struct df_value *object)
{
	struct shape *shape = *w->expected;
	bool done = shape && rename_shape(object, shape);

	if (!done) {
		int r = find_shape(w, object, &shape, &done);
		if (r < 0)
			return r;
	}
	if (shape) {
		*w->expected = shape;
		w->expected = &shape->next;
	}
	return done ? add_renamed(w, object, shape) : 0;
}

/* Recursive as deep as the document. */
static int walk(struct walk *w, struct df_value *container)
{
	int r = container->kind == DF_OBJECT ? walk_object(w, container) : 0;

	if (!w->deep)
		return r;
	for (struct df_value *child = container->first; child && r == 0; child = child->next) {
		if (df_value_is_container(child))
			r = walk(w, child);
	}
	return r;
}

int df_key_renamer_apply(struct df_key_renamer *renamer, struct df_value *root, bool deep, struct df_arena *arena,
			 bool *ret_changed, struct df_error *err)
{
	struct walk w;

	w.renamer = renamer;
	w.arena = arena;
	w.deep = deep;
	w.expected = &renamer->first;
	w.renamed = NULL;
	w.renames = w.local;
	w.count = 0;
	w.cap = LOCAL;
	w.err = err;
	int r = walk(&w, root);
	if (r < 0) {
		for (; w.renamed; w.renamed = w.renamed->before)
			take_back(w.renamed->object, NULL, w.renamed->shape);
		return r;
	}
	for (size_t i = 0; i < w.count; i++) {
		struct df_value *member = w.renames[i].member;
		member->key = w.renames[i].name;
		member->key_len = w.renames[i].len;
	}
	*ret_changed = w.count > 0 || w.renamed;
	return 0;
}

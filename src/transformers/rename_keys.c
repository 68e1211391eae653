/*
 * Keys repeat from message to message: what a key becomes is remembered. A document is looked at first and changed
 * afterwards, so that nothing has happened when two keys of one object become the same.
 */
#include "transformers/rename_keys.h"

#include <stdlib.h>

#include "transformers/keys.h"

#define CACHE_SLOTS 512		     /* a power of two */
#define CACHE_MAX (CACHE_SLOTS / 2)  /* keys that are remembered; further ones are converted each time */
#define CACHE_KEY_MAX ((uint32_t)64) /* bytes of one */
/* No name is longer than twice its key (df_key_style). */
#define DF_KEY_NAME_MAX(len) ((size_t)(len)*2)
#define SMALL 64 /* members that are compared one by one where a filter finds two alike */
#define LOCAL 32 /* renames that need no memory */

struct entry {
	const char *key;  /* NULL: free. Owned; the new name is in the same block */
	const char *name; /* NULL: the key is its own name */
	uint32_t len;
	uint32_t name_len;
};

struct df_key_renamer {
	const struct df_key_style *style;
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
	free(renamer);
}

/* ---- one key -------------------------------------------------------------------------------------------------------
 */

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

/* What the key becomes. */
static int look_up(struct df_key_renamer *renamer, const char *key, uint32_t len, struct df_arena *arena,
		   struct df_str *ret)
{
	size_t i = hash(key, len);

	for (; renamer->cache[i].key; i = (i + 1) & (CACHE_SLOTS - 1)) {
		const struct entry *entry = &renamer->cache[i];
		if (entry->len == len && df_key_same(entry->key, key, len)) {
			*ret = df_str(entry->name, entry->name_len);
			return 0;
		}
	}
	if (len > CACHE_KEY_MAX || renamer->used == CACHE_MAX)
		return convert(renamer, df_str(key, len), arena, ret);
	int r = remember(renamer, &renamer->cache[i], df_str(key, len));
	if (r == 0)
		*ret = df_str(renamer->cache[i].name, renamer->cache[i].name_len);
	return r;
}

/* ---- one object ----------------------------------------------------------------------------------------------------
 */

struct rename {
	struct df_value *member;
	const char *name;
	uint32_t len;
};

struct walk {
	struct df_key_renamer *renamer;
	struct df_arena *arena;
	bool deep;
	struct rename *renames; /* in the order of the members of each object */
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

static int walk_object(struct walk *w, const struct df_value *object)
{
	bool (*is_done)(const char *key, size_t len) = w->renamer->style->is_done;
	size_t from = w->count;

	df_for_each (member, object) {
		struct df_str name;

		if (is_done(member->key, member->key_len))
			continue;
		if (look_up(w->renamer, member->key, member->key_len, w->arena, &name) < 0)
			return df_error_no_memory(w->err);
		if (!name.ptr)
			continue;
		if (w->count == w->cap && grow(w) < 0)
			return DF_ERR_NO_MEMORY;
		w->renames[w->count++] = (struct rename){ member, name.ptr, (uint32_t)name.len };
	}
	return w->count > from && object->len > 1 ? check_names(w, object, from) : 0;
}

/* Recursive as deep as the document. */
static int walk(struct walk *w, const struct df_value *container)
{
	int r = container->kind == DF_OBJECT ? walk_object(w, container) : 0;

	if (!w->deep)
		return r;
	for (const struct df_value *child = container->first; child && r == 0; child = child->next) {
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
	w.renames = w.local;
	w.count = 0;
	w.cap = LOCAL;
	w.err = err;
	int r = walk(&w, root);
	if (r < 0)
		return r;
	for (size_t i = 0; i < w.count; i++) {
		struct df_value *member = w.renames[i].member;
		/* A name has the key's letters in another case: it needs escapes if and only if the key does. */
		member->key = w.renames[i].name;
		member->key_len = w.renames[i].len;
	}
	*ret_changed = w.count > 0;
	return 0;
}

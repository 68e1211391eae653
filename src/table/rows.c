#include "table/rows.h"

#include <stdlib.h>

#define SHAPES_MAX 256 /* then all are forgotten: documents without a common shape gain nothing from them */
#define BUCKETS 64     /* a power of two */

/* A key of a shape, and where its value goes. */
struct member {
	const char *seen; /* the key's address in the document looked at before; NULL: none that still lives */
	const char *key;  /* in the shape's own memory */
	uint32_t len;
	uint32_t slot; /* in the set; NO_SLOT: the value is left out */
};

#define NO_SLOT UINT32_MAX

struct shape {
	struct shape *next; /* of its bucket */
	uint64_t hash;
	struct df_column_set *set;
	size_t unknown;
	size_t count;
	struct member members[]; /* the keys' bytes follow */
};

struct df_rows {
	const struct df_columns *columns;
	bool ignore_unknown;
	void (*release)(void *arg, void *user);
	void *arg;
	struct shape *last; /* the one that fitted before */
	struct shape *buckets[BUCKETS];
	size_t shape_count;
	struct df_column_set *sets;
	struct df_value **values; /* for df_rows_map without an arena: one a column */
	struct member *scratch;	  /* for a shape in the making */
	size_t scratch_cap;
};

/* FNV-1a, 64 bit. */
#define HASH_START UINT64_C(14695981039346656037)

static uint64_t hash_bytes(uint64_t hash, const void *data, size_t len)
{
	const unsigned char *p = data;

	for (size_t i = 0; i < len; i++)
		hash = (hash ^ p[i]) * UINT64_C(1099511628211);
	return hash;
}

/* ---- life ------------------------------------------------------------------------------------------------ */

struct df_rows *df_rows_new(const struct df_columns *columns, bool ignore_unknown,
			    void (*release)(void *arg, void *user), void *arg)
{
	struct df_rows *rows = calloc(1, sizeof(*rows));

	if (!rows)
		return NULL;
	*rows = (struct df_rows){
		.columns = columns, .ignore_unknown = ignore_unknown, .release = release, .arg = arg
	};
	rows->values = calloc(columns->count + 1, sizeof(struct df_value *));
	if (!rows->values) {
		free(rows);
		return NULL;
	}
	return rows;
}

void df_rows_forget(struct df_rows *rows)
{
	for (size_t i = 0; i < BUCKETS; i++) {
		while (rows->buckets[i]) {
			struct shape *shape = rows->buckets[i];
			rows->buckets[i] = shape->next;
			free(shape);
		}
	}
	while (rows->sets) {
		struct df_column_set *set = rows->sets;
		rows->sets = set->next;
		if (set->user && rows->release)
			rows->release(rows->arg, set->user);
		free(set);
	}
	rows->last = NULL;
	rows->shape_count = 0;
}

void df_rows_free(struct df_rows *rows)
{
	if (!rows)
		return;
	df_rows_forget(rows);
	free(rows->values);
	free(rows->scratch);
	free(rows);
}

void df_rows_begin(struct df_rows *rows)
{
	if (rows->shape_count >= SHAPES_MAX)
		df_rows_forget(rows);
	for (size_t i = 0; i < BUCKETS; i++)
		for (struct shape *s = rows->buckets[i]; s; s = s->next)
			for (size_t k = 0; k < s->count; k++)
				s->members[k].seen = NULL;
}

/* ---- column sets ----------------------------------------------------------------------------------------- */

size_t df_column_set_find(const struct df_column_set *set, size_t column)
{
	for (size_t i = 0; i < set->count; i++)
		if (set->columns[i] == column)
			return i;
	return DF_NO_COLUMN;
}

/* The set of the columns for which `filled` is not NULL; made when it is new. NULL: out of memory. */
static struct df_column_set *set_of(struct df_rows *rows, struct df_value *const *filled)
{
	uint64_t hash = HASH_START;
	size_t count = 0;

	for (uint32_t i = 0; i < rows->columns->count; i++) {
		if (filled[i]) {
			hash = hash_bytes(hash, &i, sizeof(i));
			count++;
		}
	}
	for (struct df_column_set *set = rows->sets; set; set = set->next) {
		bool same = set->hash == hash && set->count == count;
		for (size_t i = 0; i < count && same; i++)
			same = filled[set->columns[i]] != NULL;
		if (same)
			return set;
	}

	struct df_column_set *set = calloc(1, sizeof(*set) + count * sizeof(set->columns[0]));
	if (!set)
		return NULL;
	set->hash = hash;
	for (uint32_t i = 0; i < rows->columns->count; i++)
		if (filled[i])
			set->columns[set->count++] = i;
	set->next = rows->sets;
	rows->sets = set;
	return set;
}

/* ---- shapes ---------------------------------------------------------------------------------------------- */

/* Do the keys stand as the shape says? Values go to their slots on the way. */
static bool shape_take(struct shape *shape, const struct df_value *object, struct df_value **values)
{
	struct member *m = shape->members;

	if (object->len != shape->count)
		return false;
	df_for_each (child, object) {
		if (child->key_len != m->len)
			return false;
		if (child->key != m->seen) {
			if (memcmp(child->key, m->key, m->len) != 0)
				return false;
			m->seen = child->key;
		}
		if (m->slot != NO_SLOT)
			values[m->slot] = child;
		m++;
	}
	return true;
}

static uint64_t hash_keys(const struct df_value *object)
{
	uint64_t hash = HASH_START;

	df_for_each (child, object)
		hash = hash_bytes(hash_bytes(hash, child->key, child->key_len), "", 1);
	return hash;
}

/* Finds the columns of an object's keys: rows->scratch[i].slot becomes the column's index. Adds to *unknown the keys
 * without one, to *bytes the length of all keys. */
static int find_columns(struct df_rows *rows, const struct df_value *object, size_t *unknown, size_t *bytes,
			struct df_error *err)
{
	const struct df_columns *columns = rows->columns;
	size_t i = 0;

	if (object->len > rows->scratch_cap) {
		struct member *scratch = reallocarray(rows->scratch, object->len, sizeof(*scratch));
		if (!scratch) {
			df_error_no_memory(err);
			return DF_ERR_NO_MEMORY;
		}
		rows->scratch = scratch;
		rows->scratch_cap = object->len;
	}
	memset(rows->values, 0, columns->count * sizeof(struct df_value *));
	df_for_each (child, object) {
		size_t column = df_columns_find(columns, df_value_key(child));

		rows->scratch[i] = (struct member){ .key = child->key, .len = child->key_len, .slot = NO_SLOT };
		*bytes += child->key_len;
		if (column != DF_NO_COLUMN && columns->items[column].read_only)
			return df_error_set(
				err, DF_ERR_INVALID_DATA,
				"column \"%s\" is computed by the database and cannot be written; leave the key out "
				"with the `remove` transformation",
				columns->items[column].name);
		if (column != DF_NO_COLUMN) {
			for (size_t k = 0; k < i && rows->values[column]; k++)
				if (rows->scratch[k].slot == column)
					rows->scratch[k].slot = NO_SLOT;
			rows->values[column] = child;
			rows->scratch[i].slot = (uint32_t)column;
		} else if (rows->ignore_unknown) {
			++*unknown;
		} else {
			return df_error_set(err, DF_ERR_INVALID_DATA,
					    "the table has no column for the key \"" DF_STR_FMT
					    "\"; add it, remove the key, or set unknownFields: ignore",
					    DF_STR_ARG(df_value_key(child)));
		}
		i++;
	}
	return 0;
}

static int shape_new(struct df_rows *rows, const struct df_value *object, uint64_t hash, struct shape **ret,
		     struct df_error *err)
{
	size_t unknown = 0;
	size_t bytes = 0;
	int code = find_columns(rows, object, &unknown, &bytes, err);
	if (code != 0)
		return code;

	struct df_column_set *set = set_of(rows, rows->values);
	struct shape *shape = malloc(sizeof(*shape) + object->len * sizeof(shape->members[0]) + bytes);
	if (!set || !shape) {
		free(shape);
		df_error_no_memory(err);
		return DF_ERR_NO_MEMORY;
	}
	*shape = (struct shape){ .hash = hash, .set = set, .unknown = unknown, .count = object->len };

	char *text = (char *)(shape->members + shape->count);
	for (size_t i = 0; i < shape->count; i++) {
		struct member *m = &shape->members[i];
		*m = rows->scratch[i];
		if (m->len)
			memcpy(text, m->key, m->len);
		m->key = text;
		text += m->len;
		if (m->slot != NO_SLOT)
			m->slot = (uint32_t)df_column_set_find(set, m->slot);
	}
	shape->next = rows->buckets[hash % BUCKETS];
	rows->buckets[hash % BUCKETS] = shape;
	rows->shape_count++;
	*ret = shape;
	return 0;
}

int df_rows_map(struct df_rows *rows, const struct df_value *object, struct df_arena *arena, struct df_row *ret,
		struct df_error *err)
{
	struct shape *shape = rows->last;
	struct df_value **values = rows->values;

	if (arena) {
		values = df_arena_alloc(arena, rows->columns->count * sizeof(struct df_value *));
		if (!values)
			return df_error_no_memory(err);
	}
	if (!shape || !shape_take(shape, object, values)) {
		uint64_t hash = hash_keys(object);

		for (shape = rows->buckets[hash % BUCKETS]; shape; shape = shape->next)
			if (shape->hash == hash && shape_take(shape, object, values))
				break;
		if (!shape) {
			int code = shape_new(rows, object, hash, &shape, err);
			if (code != 0)
				return code;
			if (!shape_take(shape, object, values))
				return df_error_set(err, DF_ERR_UNKNOWN, "a row does not have the shape made of it");
		}
		rows->last = shape;
	}
	*ret = (struct df_row){ .set = shape->set, .values = values, .unknown = shape->unknown };
	return 0;
}

/* ---- bodies ---------------------------------------------------------------------------------------------- */

bool df_row_unwrap(const struct df_value *document, struct df_value **ret_value, struct df_value **ret_metadata)
{
	struct df_value *value = NULL;
	struct df_value *metadata = NULL;

	if (document->kind != DF_OBJECT || document->len == 0 || document->len > 2)
		return false;
	df_for_each (child, document) {
		if (df_str_equal(df_value_key(child), DF_STR("value")))
			value = child;
		else if (df_str_equal(df_value_key(child), DF_STR("_metadata")) && child->kind == DF_OBJECT)
			metadata = child;
		else
			return false;
	}
	*ret_value = value;
	*ret_metadata = metadata;
	return value != NULL;
}

int df_row_body(struct df_message *m, struct df_arena *arena, const struct df_columns *columns, struct df_value **ret,
		struct df_error *err)
{
	struct df_value *document = NULL;
	struct df_value *value, *metadata;

	int code = df_message_document(m, arena, &document, err);
	if (code != 0)
		return code;
	if (!document || document->kind != DF_OBJECT)
		return df_error_set(
			err, DF_ERR_INVALID_DATA,
			"the payload is %s, but a row is made of a JSON object; use rawMode to store it as it is",
			document		       ? df_kind_words(document->kind)
			: m->state == DF_PAYLOAD_EMPTY ? "empty"
						       : "not JSON");
	if (df_row_unwrap(document, &value, &metadata) && metadata && value->kind == DF_OBJECT &&
	    df_columns_find(columns, DF_STR("value")) == DF_NO_COLUMN)
		document = value;
	*ret = document;
	return 0;
}

enum df_operation df_row_operation(const struct df_message *m)
{
	const struct df_value *v = df_message_meta(m, "operation");

	if (!v)
		return DF_OP_INSERT;
	if (df_value_string_equal(v, DF_STR("delete")))
		return DF_OP_DELETE;
	return df_value_string_equal(v, DF_STR("update")) ? DF_OP_UPDATE : DF_OP_INSERT;
}

/* ---- grouping -------------------------------------------------------------------------------------------- */

uint64_t df_row_key_hash(const struct df_row *row, const size_t *key_columns, size_t count, struct df_arena *arena)
{
	uint64_t hash = HASH_START;

	for (size_t i = 0; i < count; i++) {
		size_t slot = df_column_set_find(row->set, key_columns[i]);
		const struct df_value *v = slot == DF_NO_COLUMN ? NULL : row->values[slot];
		int64_t whole;

		if (!v || v->kind == DF_NULL)
			return 0;
		if (df_value_to_int64(v, &whole)) {
			char digits[DF_NUMBER_MAX];
			hash = hash_bytes(hash, digits, df_number_from_int64(whole, digits));
		} else {
			struct df_str text = df_value_text(v, arena);
			hash = hash_bytes(hash, text.ptr, text.len);
		}
		hash = hash_bytes(hash, "", 1);
	}
	return hash ? hash : 1;
}

/* What is known of a key while grouping: the last group that holds it. */
struct key_place {
	uint64_t key;
	size_t group; /* plus 1 */
};

static struct key_place *key_find(struct key_place *table, size_t mask, uint64_t key)
{
	size_t i = (size_t)(key ^ key >> 29) & mask;

	while (table[i].group && table[i].key != key)
		i = (i + 1) & mask;
	return &table[i];
}

/* The newest group of the set, or SIZE_MAX. */
static size_t newest_group(const struct df_group *groups, size_t count, const struct df_column_set *set)
{
	while (count > 0)
		if (groups[--count].set == set)
			return count;
	return SIZE_MAX;
}

int df_rows_group(struct df_group_row *rows, size_t count, bool unique_keys, struct df_arena *arena,
		  struct df_group **ret, size_t *ret_count)
{
	size_t mask = 15;
	size_t group_count = 0;

	*ret = NULL;
	*ret_count = 0;
	if (count == 0)
		return 0;
	while (mask < count * 2)
		mask = mask * 2 + 1;
	struct key_place *keys = df_arena_zalloc(arena, (mask + 1) * sizeof(*keys));
	size_t *group_of = df_arena_alloc(arena, count * sizeof(*group_of));
	struct df_group *groups = df_arena_alloc(arena, count * sizeof(*groups));
	struct df_group_row **order = df_arena_alloc(arena, count * sizeof(struct df_group_row *));
	if (!keys || !group_of || !groups || !order)
		return DF_ERR_NO_MEMORY;

	/* A row may join the newest group of its set unless its key already is in that group's successors. */
	for (size_t i = 0; i < count; i++) {
		struct key_place *place = rows[i].key ? key_find(keys, mask, rows[i].key) : NULL;
		size_t group = newest_group(groups, group_count, rows[i].row.set);
		size_t lowest = place && place->group ? place->group - (unique_keys ? 0 : 1) : 0;

		if (group == SIZE_MAX || group < lowest) {
			group = group_count++;
			groups[group] = (struct df_group){ .set = rows[i].row.set };
		}
		groups[group].count++;
		group_of[i] = group;
		if (place)
			*place = (struct key_place){ rows[i].key, group + 1 };
	}

	for (size_t g = 0, at = 0; g < group_count; g++) {
		groups[g].rows = order + at;
		at += groups[g].count;
		groups[g].count = 0;
	}
	for (size_t i = 0; i < count; i++) {
		struct df_group *group = &groups[group_of[i]];
		group->rows[group->count++] = &rows[i];
	}
	*ret = groups;
	*ret_count = group_count;
	return 0;
}

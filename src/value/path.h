/*
 * Paths: the dialect of the transformations reference, section 2, compiled once when the configuration is read.
 *
 * A compiled path is immutable and may be used by several threads. Reading and locating allocate only in the arena
 * given.
 */
#ifndef DF_VALUE_PATH_H
#define DF_VALUE_PATH_H

#include <stdbool.h>
#include <stddef.h>

#include "base/arena.h"
#include "base/cleanup.h"
#include "base/error.h"
#include "base/str.h"
#include "value/value.h"

#pragma GCC visibility push(default) /* an installed header: src/dataflow/meson.build */

/* What a path may be used for; the compiler refuses what that use does not allow. */
enum df_path_use {
	DF_PATH_READING,  /* one value: filter, router, extractField, select */
	DF_PATH_LOCATION, /* every place that matches: mask, remove, cast, timezone, include, exclude */
	DF_PATH_PLAIN,	  /* keys and indices only, at least one: fieldName, insertField, renames, flatten */
};

struct df_path;

/* text is copied. DF_ERR_CONFIG: "column N: what" with N 1-based in bytes. */
int df_path_compile(struct df_str text, enum df_path_use use, struct df_path **ret, struct df_error *err) df_must_check;
void df_path_free(struct df_path *path);
DF_DEFINE_CLEANUP(struct df_path *, df_path_free)

/* The text as written; borrowed. */
struct df_str df_path_text(const struct df_path *path);
/* Is it `$`? */
bool df_path_is_root(const struct df_path *path);
/* Equal in meaning (`$.x` and `x`, `a[0]` and `a.0`)? Is `prefix` a proper or improper beginning of `path`? */
bool df_path_equal(const struct df_path *a, const struct df_path *b);
bool df_path_starts(const struct df_path *path, const struct df_path *prefix);

/* Reads one value. *ret is NULL when the path reads nothing. What is read may be a node of the document (not to be
 * linked elsewhere without a clone) or a new one (`#`, modifiers, collected arrays) whose insides may be the document's
 * (clone it too, unless it replaces the whole document). DF_ERR_NO_MEMORY only. */
int df_path_read(const struct df_path *path, struct df_value *root, struct df_arena *arena,
		 struct df_value **ret) df_must_check;

/* A place in a document: a child, its container, and the sibling before it. */
struct df_location {
	struct df_value *container;
	struct df_value *prev; /* NULL: first child. Stale once an earlier sibling was removed */
	struct df_value *value;
};

struct df_places {
	struct df_location *items; /* in document order; in the arena */
	size_t count;
};

/* All places that a LOCATION (or PLAIN) path matches, found before any is changed. None: count 0. */
int df_path_locate(const struct df_path *path, struct df_value *root, struct df_arena *arena,
		   struct df_places *ret) df_must_check;

/* Removes all places of one list from the document; elements close up, emptied parents stay. */
void df_places_remove(const struct df_places *places);

/*
 * Setting a PLAIN path in an object root, as the reference says: missing or null parents are created (an array when the
 * next step is an index). df_path_can_set changes nothing and tells whether df_path_set would succeed:
 * DF_ERR_INVALID_DATA names the step and what was found. `value` must be in no container.
 */
int df_path_can_set(const struct df_path *path, const struct df_value *root, struct df_error *err) df_must_check;
int df_path_set(const struct df_path *path, struct df_value *root, struct df_arena *arena, struct df_value *value,
		struct df_error *err) df_must_check;

/* The steps of a PLAIN path: count, and step i as an unescaped key; *ret_index is the array index, or SIZE_MAX when the
 * step cannot be one. */
size_t df_path_steps(const struct df_path *path);
struct df_str df_path_step(const struct df_path *path, size_t i, size_t *ret_index);
/* The value at a PLAIN path, or NULL. With `parent`, *parent is its container. */
struct df_value *df_path_get(const struct df_path *path, struct df_value *root, struct df_value **parent);

/*
 * For `select`: every value the path reads with the key it gets, in document order. A wildcard as the last naming step
 * gives each match under its own key; otherwise there is at most one, under the last step that is a name or index. The
 * compiler's part (a path without any such step, a wildcard behind `#` ...) is df_path_check_select.
 */
struct df_selected {
	struct df_str key;
	struct df_value *value;
};
int df_path_check_select(const struct df_path *path, struct df_error *err) df_must_check;
int df_path_select(const struct df_path *path, struct df_value *root, struct df_arena *arena, struct df_selected **ret,
		   size_t *ret_count) df_must_check;

/* ---- for the condition compiler -------------------------------------------------------------------------- */

/* Length in bytes of the path that begins at text.ptr[0] within a condition: up to an operator, `&&`, `||`, `)` or the
 * end, respecting `\` escapes and `#( )`; trailing blanks are not part of it. DF_ERR_CONFIG for what a condition's path
 * may not contain (reference, section 3). */
int df_path_scan(struct df_str text, size_t *ret_len, struct df_error *err) df_must_check;

#pragma GCC visibility pop

#endif

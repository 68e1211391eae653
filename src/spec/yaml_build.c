/* The tree builder: nodes with lines, anchors, merge keys, duplicate keys, and the bounds against hostile files. */
#include <stdlib.h>

#include "spec/spec_internal.h"

/* ---- problems -------------------------------------------------------------------------------------------- */

/* The path of the top container, and of the node to come with `next`. */
static void write_path(const struct df_yaml_builder *b, bool next, struct df_buf *buf)
{
	for (size_t i = 0; i < b->depth; i++) {
		const struct df_yaml_frame *f = &b->frames[i];
		const struct df_value *child = i + 1 < b->depth ? b->frames[i + 1].container : NULL;
		if (!child && !next)
			break;
		if (f->container->kind == DF_ARRAY) {
			df_buf_printf(buf, "[%u]", child ? f->container->len - 1 : f->container->len);
			continue;
		}
		struct df_str key = child ? df_value_key(child) : f->have_key ? f->key : df_str(NULL, 0);
		if (key.len && buf->len)
			df_buf_add_char(buf, '.');
		df_buf_add_str(buf, key);
	}
}

bool df_build_no_memory(struct df_yaml_builder *b)
{
	df_diags_no_memory(b->diags);
	return false;
}

static void report(struct df_yaml_builder *b, bool warning, uint32_t line, const char *sub, const char *fmt,
		   va_list args) df_printf(5, 0);
static void report(struct df_yaml_builder *b, bool warning, uint32_t line, const char *sub, const char *fmt,
		   va_list args)
{
	struct df_buf path = { 0 };
	char *text = NULL;

	write_path(b, !sub, &path);
	struct df_place place = { .file = b->file, .line = line, .path = df_buf_c(&path) };
	if (path.failed || vasprintf(&text, fmt, args) < 0)
		df_diags_no_memory(b->diags);
	else if (warning)
		df_diag_warning(b->diags, &place, sub, "%s", text);
	else
		df_diag_error(b->diags, &place, sub, "%s", text);
	free(text);
	df_buf_done(&path);
}

bool df_build_error(struct df_yaml_builder *b, uint32_t line, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	report(b, false, line, NULL, fmt, args);
	va_end(args);
	return false;
}

void df_build_warning(struct df_yaml_builder *b, uint32_t line, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	report(b, true, line, NULL, fmt, args);
	va_end(args);
}

/* At a member of the top container. */
static void member_error(struct df_yaml_builder *b, const struct df_value *member, const char *fmt, ...)
	df_printf(3, 4);
static void member_error(struct df_yaml_builder *b, const struct df_value *member, const char *fmt, ...)
{
	va_list args;
	df_cleanup(df_freep) char *key = df_str_dup(df_value_key(member));

	if (!key) {
		df_diags_no_memory(b->diags);
		return;
	}
	va_start(args, fmt);
	report(b, false, member->line, key, fmt, args);
	va_end(args);
}

/* ---- adding ---------------------------------------------------------------------------------------------- */

static struct df_yaml_frame *top(const struct df_yaml_builder *b)
{
	return b->depth ? (struct df_yaml_frame *)&b->frames[b->depth - 1] : NULL;
}

bool df_build_wants_key(const struct df_yaml_builder *b)
{
	const struct df_yaml_frame *f = top(b);

	return f && f->container->kind == DF_OBJECT && !f->have_key;
}

bool df_build_key(struct df_yaml_builder *b, struct df_str key, uint32_t line, bool merge)
{
	struct df_yaml_frame *f = top(b);

	f->key = key;
	f->key_line = line;
	f->have_key = true;
	f->key_merge = merge;
	return true;
}

bool df_build_add(struct df_yaml_builder *b, struct df_value *node, uint32_t line)
{
	struct df_yaml_frame *f = top(b);

	if (!node)
		return df_build_no_memory(b);
	if (++b->nodes > DF_YAML_NODES_MAX)
		return df_build_error(b, line, "the file holds more than %d values", DF_YAML_NODES_MAX);
	node->line = line;
	if (!f) {
		b->root = node;
		return true;
	}
	if (f->container->kind == DF_ARRAY) {
		df_array_append(f->container, node);
		return true;
	}
	/* A member is where its key is: that is the line a person looks for. */
	node->line = f->key_line;
	if (f->key_merge && f->merge)
		return df_build_error(b, f->key_line, "the merge key stands twice; write one: `<<: [*a, *b]`");
	df_object_append(f->container, f->key, node);
	if (f->key_merge)
		f->merge = node;
	f->have_key = false;
	return true;
}

bool df_build_open(struct df_yaml_builder *b, enum df_kind kind, struct df_str anchor, uint32_t line)
{
	if (df_build_wants_key(b))
		return df_build_error(b, line, "a key must be one text, not a list or a map");
	if (b->depth == DF_YAML_DEPTH_MAX)
		return df_build_error(b, line, "lists and maps nest deeper than %d levels", DF_YAML_DEPTH_MAX);
	struct df_value *node = df_value_new(b->arena, kind);
	if (!df_build_add(b, node, line) || !df_build_anchor(b, anchor, node, line))
		return false;
	b->frames[b->depth++] = (struct df_yaml_frame){ .container = node };
	return true;
}

/* ---- anchors and aliases
 * --------------------------------------------------------------------------------------------- */

bool df_build_anchor(struct df_yaml_builder *b, struct df_str name, struct df_value *node, uint32_t line)
{
	if (!name.ptr)
		return true;
	if (!b->anchors) {
		b->anchors = df_arena_alloc(b->arena, DF_YAML_ANCHORS_MAX * sizeof(*b->anchors));
		if (!b->anchors)
			return df_build_no_memory(b);
	}
	if (b->anchor_count == DF_YAML_ANCHORS_MAX)
		return df_build_error(b, line, "more than %d anchors", DF_YAML_ANCHORS_MAX);
	struct df_str copy = df_arena_dup(b->arena, name);
	if (!copy.ptr)
		return df_build_no_memory(b);
	b->anchors[b->anchor_count++] = (struct df_yaml_anchor){ copy, node };
	return true;
}

/* Counts nodes and levels below v. The recursion is bounded: a tree was built within DF_YAML_DEPTH_MAX. */
static size_t measure(const struct df_value *v, size_t level, size_t *deepest)
{
	size_t nodes = 1;

	if (!df_value_is_container(v))
		return nodes;
	if (level > *deepest)
		*deepest = level;
	df_for_each (child, v)
		nodes += measure(child, level + 1, deepest);
	return nodes;
}

static bool is_open(const struct df_yaml_builder *b, const struct df_value *node)
{
	for (size_t i = 0; i < b->depth; i++) {
		if (b->frames[i].container == node)
			return true;
	}
	return false;
}

bool df_build_alias(struct df_yaml_builder *b, struct df_str name, uint32_t line)
{
	const struct df_value *node = NULL;
	size_t deepest = 0;

	if (df_build_wants_key(b))
		return df_build_error(b, line, "an alias cannot be a key; write the key itself");
	for (size_t i = b->anchor_count; i-- > 0 && !node;) {
		if (df_str_equal(b->anchors[i].name, name))
			node = b->anchors[i].node;
	}
	if (!node)
		return df_build_error(b, line, "the alias *%.*s has no anchor &%.*s before it in this document",
				      DF_STR_ARG(name), DF_STR_ARG(name));
	if (is_open(b, node))
		return df_build_error(b, line, "the alias *%.*s stands inside of what it names", DF_STR_ARG(name));
	b->alias_nodes += measure(node, 1, &deepest);
	if (b->alias_nodes > DF_YAML_ALIAS_NODES_MAX)
		return df_build_error(b, line, "aliases expand to more than %d values", DF_YAML_ALIAS_NODES_MAX);
	if (b->depth + deepest > DF_YAML_DEPTH_MAX)
		return df_build_error(b, line, "lists and maps nest deeper than %d levels", DF_YAML_DEPTH_MAX);
	return df_build_add(b, df_value_clone(node, b->arena), line);
}

/* ---- the end of a map: duplicates and merges ------------------------------------------------------------- */

struct member {
	struct df_value *node;
	uint32_t order;
	bool merged;
	bool drop;
};

/* By key; the one that wins first: written before merged, then in order. */
static int by_key(const void *a, const void *b)
{
	const struct member *x = a, *y = b;
	int order = df_str_compare(df_value_key(x->node), df_value_key(y->node));

	if (order != 0)
		return order;
	if (x->merged != y->merged)
		return x->merged ? 1 : -1;
	return x->order < y->order ? -1 : 1;
}

static int by_order(const void *a, const void *b)
{
	const struct member *x = a, *y = b;

	return x->order < y->order ? -1 : 1;
}

static bool check_merge(struct df_yaml_builder *b, const struct df_value *merge)
{
	bool good = merge->kind == DF_OBJECT || merge->kind == DF_ARRAY;

	if (merge->kind == DF_ARRAY) {
		df_for_each (child, merge)
			good &= child->kind == DF_OBJECT;
	}
	if (good)
		return true;
	member_error(b, merge, "the merge key takes a map, an alias of one, or a list of them: `<<: *defaults`");
	return false;
}

static size_t merged_count(const struct df_value *merge)
{
	size_t n = 0;

	if (!merge)
		return 0;
	if (merge->kind == DF_OBJECT)
		return merge->len;
	df_for_each (child, merge)
		n += child->len;
	return n;
}

static size_t gather(struct df_value *object, bool merged, struct member *members, size_t n)
{
	df_for_each (child, object) {
		members[n] = (struct member){ .node = child, .order = (uint32_t)n, .merged = merged };
		n++;
	}
	return n;
}

static bool drop_duplicates(struct df_yaml_builder *b, struct member *members, size_t n)
{
	bool good = true;

	for (size_t i = 1; i < n; i++) {
		struct member *first = &members[i - 1], *second = &members[i];
		if (!df_str_equal(df_value_key(first->node), df_value_key(second->node)))
			continue;
		second->drop = true;
		if (second->merged)
			continue;
		member_error(b, second->node, "this key stands here twice, first in line %u; remove one of them",
			     (unsigned)first->node->line);
		good = false;
	}
	return good;
}

static void rebuild(struct df_value *object, struct member *members, size_t n)
{
	qsort(members, n, sizeof(*members), by_order);
	df_container_take(object);
	for (size_t i = 0; i < n; i++) {
		if (!members[i].drop)
			df_object_append(object, df_value_key(members[i].node), members[i].node);
	}
}

static bool finish_object(struct df_yaml_builder *b, const struct df_yaml_frame *f)
{
	struct df_value *object = f->container;
	size_t n = 0;

	if (f->merge) {
		if (!check_merge(b, f->merge))
			return true; /* told; the reader goes on for further problems */
		df_container_remove(object, df_container_prev(object, f->merge), f->merge);
	}
	size_t max = object->len + merged_count(f->merge);
	if (max < 2 && !f->merge)
		return true;
	df_cleanup(df_freep) struct member *members = calloc(max ? max : 1, sizeof(*members));
	if (!members)
		return df_build_no_memory(b);
	n = gather(object, false, members, n);
	if (f->merge && f->merge->kind == DF_OBJECT)
		n = gather(f->merge, true, members, n);
	else if (f->merge)
		df_for_each (source, f->merge)
			n = gather(source, true, members, n);
	qsort(members, n, sizeof(*members), by_key);
	if (drop_duplicates(b, members, n) && f->merge)
		rebuild(object, members, n);
	return true;
}

bool df_build_close(struct df_yaml_builder *b)
{
	struct df_yaml_frame *f = top(b);

	if (f->container->kind == DF_OBJECT && !finish_object(b, f))
		return false;
	b->depth--;
	return true;
}

bool df_build_document(struct df_yaml_builder *b)
{
	struct df_value *root = b->root;
	struct df_yaml_documents *ret = b->ret;

	b->root = NULL;
	b->anchor_count = 0;
	if (!root || root->kind == DF_NULL)
		return true;
	if (ret->count == b->document_cap) {
		size_t cap = b->document_cap ? b->document_cap * 2 : 8;
		struct df_value **items =
			df_arena_extend(b->arena, ret->items, b->document_cap * sizeof(void *), cap * sizeof(void *));
		if (!items)
			return df_build_no_memory(b);
		ret->items = items;
		b->document_cap = cap;
	}
	ret->items[ret->count++] = root;
	return true;
}

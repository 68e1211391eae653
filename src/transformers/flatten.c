/* flatten: one message for each element of an array. */
#include <stdlib.h>

#include "transformers/interface.h"
#include "transformers/keys.h"
#include "transformers/settings.h"

/* Where both have more members than this, the root's are found through a table. */
#define SCAN_MAX 16

struct flatten_settings {
	char *field;
};

/* The path without `[*]` at its end, which says nothing new. */
static struct df_str without_star(struct df_str text)
{
	if (df_str_ends(text, DF_STR("[*]")))
		text.len -= 3;
	return text;
}

static int compile_field(struct df_str text, struct df_path **ret, struct df_error *err)
{
	struct df_str path = without_star(text);

	*ret = NULL;
	return df_str_equal_c(path, "$") ? 0 : df_path_compile(path, DF_PATH_PLAIN, ret, err);
}

static int check_field(struct df_str text, struct df_error *err)
{
	df_cleanup(df_path_freep) struct df_path *path = NULL;
	int r = compile_field(text, &path, err);

	if (r == DF_ERR_CONFIG)
		df_error_prefix(err, "not a valid path");
	return r;
}

static const struct df_field flatten_fields[] = {
	DF_FIELD(struct flatten_settings, field, "field", DF_REQUIRED, .check = check_field,
		 .doc = "Path of the array; `[*]` at its end is ignored. `$` is the whole payload, when that is an "
			"array.",
		 .example = "items"),
};

static const struct df_table flatten_table = DF_TABLE(struct flatten_settings, flatten_fields);

struct flatten {
	struct df_transformer base;
	struct df_path *path; /* NULL: the root */
};

static void flatten_free(struct df_transformer *t)
{
	struct flatten *flatten = (struct flatten *)t;

	if (!flatten)
		return;
	df_path_free(flatten->path);
	free(flatten);
}

static int flatten_create(const void *settings, const struct df_place *place, struct df_transformer **ret,
			  struct df_diags *diags)
{
	const struct flatten_settings *s = settings;
	struct df_error err = DF_ERROR_INIT;
	struct flatten *flatten = calloc(1, sizeof(*flatten));

	if (!flatten)
		return DF_ERR_NO_MEMORY;
	if (compile_field(df_str_c(s->field), &flatten->path, &err) < 0) {
		free(flatten);
		return df_tell(diags, place, "field", &err);
	}
	*ret = &flatten->base;
	return 0;
}

/* ---- what there is to flatten ---------------------------------------------------------------------------- */

struct target {
	struct df_value *place; /* what is taken away, or replaced by an element */
	struct df_value *container;
	struct df_value *array; /* the elements' */
};

/* An array; or Avro's wrapper, an object whose member `array` is one: all of it when that is its only member. */
static bool find_target(const struct flatten *flatten, struct df_value *root, struct target *ret)
{
	struct df_value *at = df_path_get(flatten->path, root, &ret->container);

	if (!at)
		return false;
	ret->place = at;
	ret->array = at;
	if (at->kind == DF_ARRAY)
		return true;
	struct df_value *inner = df_object_get(at, DF_STR("array"));
	if (!inner || inner->kind != DF_ARRAY)
		return false;
	ret->array = inner;
	if (at->len > 1) {
		ret->place = inner;
		ret->container = at;
	}
	return true;
}

/* ---- one output ------------------------------------------------------------------------------------------ */

/* A copy of the document without the place, and where the place is in it. */
struct base {
	struct df_value *root;
	struct df_value *container;
	struct df_value *prev; /* the sibling before the place; NULL: none */
};

struct copier {
	struct df_arena *arena;
	const struct df_value *place;
	struct base base;
};

/* Recursive as deep as the document. Text is shared. */
static struct df_value *copy_node(struct copier *c, const struct df_value *v)
{
	struct df_value *copy = df_arena_alloc(c->arena, sizeof(*copy));

	if (!copy)
		return NULL;
	*copy = *v;
	copy->next = NULL;
	if (!df_value_is_container(v))
		return copy;

	struct df_value **link = &copy->first;
	struct df_value *last = NULL;
	df_for_each (child, v) {
		if (child == c->place) {
			c->base.container = copy;
			c->base.prev = last;
			copy->len--;
			continue;
		}
		last = copy_node(c, child);
		if (!last)
			return NULL;
		*link = last;
		link = &last->next;
	}
	*link = NULL;
	copy->last = last;
	return copy;
}

static int copy_base(const struct df_value *root, const struct target *target, struct df_arena *arena, struct base *ret)
{
	struct copier c = { .arena = arena, .place = target->place };

	c.base.root = copy_node(&c, root);
	*ret = c.base;
	return c.base.root ? 0 : DF_ERR_NO_MEMORY;
}

/* The element takes the place. */
static void put_at_place(const struct base *base, const struct df_value *place, struct df_value *element)
{
	element->key = place->key;
	element->key_len = place->key_len;
	element->key_plain = place->key_plain;
	if (base->prev) {
		element->next = base->prev->next;
		base->prev->next = element;
	} else {
		element->next = base->container->first;
		base->container->first = element;
	}
	if (!element->next)
		base->container->last = element;
	base->container->len++;
}

/* The member of the first n of the root that has this key, or NULL. */
static struct df_value *find_member(const struct df_value *root, size_t n, const struct df_value *like)
{
	for (struct df_value *member = root->first; n > 0; member = member->next, n--) {
		if (member->key_len == like->key_len && df_key_same(member->key, like->key, like->key_len))
			return member;
	}
	return NULL;
}

/* Sets the element's members in the root. Their keys are different, so only the root's own members are looked through:
 * map, which has room for them, is used where that would take long. */
static void merge(struct df_value *root, struct df_value *element, struct df_key_map *map)
{
	size_t n = root->len;
	bool large = n > SCAN_MAX && element->len > SCAN_MAX;
	struct df_value *next;

	if (large) {
		df_key_map_clear(map);
		df_for_each (member, root)
			df_key_map_add(map, df_value_key(member), member);
	}
	for (struct df_value *member = df_container_take(element); member; member = next) {
		struct df_value *old =
			large ? df_key_map_find(map, df_value_key(member))->member : find_member(root, n, member);
		bool plain = member->key_plain;

		next = member->next;
		if (old) {
			df_value_replace(old, member);
		} else {
			df_object_append(root, df_value_key(member), member);
			member->key_plain = plain;
		}
	}
}

/* ---- outputs --------------------------------------------------------------------------------------------- */

/* Everything that needs memory comes first; then the elements are moved, which cannot fail. */
static int split(const struct target *target, const struct df_value *root, const struct df_transform *call,
		 const struct df_message *m, struct df_error *err)
{
	size_t n = target->array->len;
	size_t first = call->out->count;
	struct base *bases = df_arena_alloc(call->arena, n * sizeof(*bases));
	struct df_key_map map = { 0 };
	bool large = false;
	size_t i = 0;

	if (!bases || df_batch_reserve(call->out, first + n) != 0)
		return df_error_no_memory(err);
	df_for_each (element, target->array)
		large = large || (element->kind == DF_OBJECT && element->len > SCAN_MAX);
	if (large && root->len > SCAN_MAX && df_key_map_init(&map, call->arena, root->len) < 0)
		return df_error_no_memory(err);
	for (i = 0; i < n; i++) {
		struct df_message *out = df_transform_output(call, m);

		if (!out || copy_base(root, target, call->arena, &bases[i]) < 0)
			return df_error_no_memory(err);
		df_message_set_document(out, bases[i].root);
	}

	struct df_value *next;
	i = 0;
	for (struct df_value *element = df_container_take(target->array); element; element = next) {
		const struct base *base = &bases[i++];

		next = element->next;
		if (element->kind == DF_OBJECT)
			merge(base->root, element, &map);
		else
			put_at_place(base, target->place, element);
	}
	return DF_SPLIT;
}

/* Every element of the root is a document of its own. */
static int split_root(struct df_value *root, const struct df_transform *call, const struct df_message *m,
		      struct df_error *err)
{
	size_t first = call->out->count;

	if (df_batch_reserve(call->out, first + root->len) != 0)
		return df_error_no_memory(err);
	for (size_t i = 0; i < root->len; i++) {
		if (!df_transform_output(call, m))
			return df_error_no_memory(err);
	}

	struct df_value *next;
	size_t i = first;
	for (struct df_value *element = df_container_take(root); element; element = next) {
		next = element->next;
		element->next = NULL;
		df_message_set_document(&call->out->messages[i++], element);
	}
	return DF_SPLIT;
}

static int flatten_apply(struct df_transformer *t, const struct df_transform *call, struct df_message *m,
			 struct df_error *err)
{
	const struct flatten *flatten = (const struct flatten *)t;
	struct df_value *root = NULL;
	struct target target = { 0 };
	int r = df_message_document(m, call->arena, &root, err);

	if (r < 0 || !root)
		return r;
	if (!flatten->path)
		return root->kind == DF_ARRAY && root->len > 0 ? split_root(root, call, m, err) : DF_KEEP;
	if (root->kind != DF_OBJECT || !find_target(flatten, root, &target))
		return DF_KEEP;
	if (target.array->len > 0)
		return split(&target, root, call, m, err);
	df_container_remove(target.container, df_container_prev(target.container, target.place), target.place);
	m->changed = true;
	return DF_KEEP;
}

static const struct df_example flatten_examples[] = {
	{
		.title = "One message for each item",
		.doc = "The other fields go with each of them. An order without items gives one message.",
		.config = "type: flatten\n"
			  "config:\n"
			  "  field: items\n",
		.in = "{\"order\": 7, \"items\": [{\"sku\": \"A\", \"qty\": 1}, {\"sku\": \"B\", \"qty\": 2}]}\n"
		      "{\"order\": 8, \"items\": []}\n"
		      "{\"order\": 9}\n",
		.out = "{\"order\":7,\"sku\":\"A\",\"qty\":1}\n"
		       "{\"order\":7,\"sku\":\"B\",\"qty\":2}\n"
		       "{\"order\":8}\n"
		       "{\"order\": 9}\n",
	},
	{
		.title = "Elements that are no objects",
		.doc = "They take the place of the array, at any depth.",
		.config = "type: flatten\n"
			  "config:\n"
			  "  field: order.tags\n",
		.in = "{\"order\": {\"id\": 7, \"tags\": [\"new\", \"gift\"]}, \"total\": 9.90}\n",
		.out = "{\"order\":{\"id\":7,\"tags\":\"new\"},\"total\":9.90}\n"
		       "{\"order\":{\"id\":7,\"tags\":\"gift\"},\"total\":9.90}\n",
	},
	{
		.title = "The fields of the element win",
		.doc = "Both the order and its items have an `id`. Without the first step the order's would be "
		       "overwritten.",
		.config = "- type: replaceField\n"
			  "  config:\n"
			  "    renames: [\"id:order_id\"]\n"
			  "- type: flatten\n"
			  "  config:\n"
			  "    field: items\n",
		.in = "{\"id\": 7, \"items\": [{\"id\": \"A\"}, {\"id\": \"B\"}]}\n",
		.out = "{\"order_id\":7,\"id\":\"A\"}\n"
		       "{\"order_id\":7,\"id\":\"B\"}\n",
	},
	{
		.title = "Arrays of Avro, arrays at the root",
		.doc = "An object with a member `array` counts as that array. `$` takes the payload itself apart.",
		.config = "- type: flatten\n"
			  "  config:\n"
			  "    field: $\n"
			  "- type: flatten\n"
			  "  config:\n"
			  "    field: items\n",
		.in = "[{\"order\": 7, \"items\": {\"array\": [{\"sku\": \"A\"}, {\"sku\": \"B\"}]}}, {\"order\": "
		      "8}]\n",
		.out = "{\"order\":7,\"sku\":\"A\"}\n"
		       "{\"order\":7,\"sku\":\"B\"}\n"
		       "{\"order\":8}\n",
	},
	{
		.title = "One bad element",
		.doc = "Its siblings go on. The error sink gets the element as it entered the failing step.",
		.config = "- type: flatten\n"
			  "  config:\n"
			  "    field: items\n"
			  "- type: cast\n"
			  "  config:\n"
			  "    spec: {qty: int64}\n",
		.in = "{\"order\": 7, \"items\": [{\"qty\": \"1\"}, {\"qty\": \"two\"}, {\"qty\": \"3\"}]}\n",
		.out = "{\"order\":7,\"qty\":1}\n"
		       "{\"order\":7,\"qty\":3}\n",
		.errors = "{\"index\":0,\"transformer\":\"cast\",\"transformer_index\":1,\"error\":\"cannot cast qty "
			  "to int64: found a string that is not a number\"}\n",
	},
};

const struct df_transformer_type df_transformer_flatten = {
	.type = {
		.name = "flatten",
		.title = "Make one message of each element of an array",
		.doc = "Each element of the array gives one message, in order. An object is merged into a copy of the payload "
		       "without the array: a key that exists there is overwritten where it stands. Any other element takes "
		       "the place of the array. An empty array gives one message without it.\n\n"
		       "An object with a member `array`, as Avro's JSON wraps arrays, counts as that array. What is no array, "
		       "or is not there, passes unchanged.\n\n"
		       "The original is done only when all its messages are done; when one fails, its siblings go on.",
		.settings = &flatten_table,
		.examples = flatten_examples,
		.example_count = DF_ARRAY_SIZE(flatten_examples),
	},
	.create = flatten_create,
	.apply = flatten_apply,
	.free = flatten_free,
};

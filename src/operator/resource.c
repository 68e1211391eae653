#include "operator/resource.h"

#include <stdlib.h>

#include "base/digest.h"
#include "connectors/factory.h"
#include "kube/client.h"
#include "operator/names.h"
#include "processor/delivery.h"
#include "transformers/chain.h"

const struct df_table *df_resource_table(enum df_manifest_kind kind)
{
	return kind == DF_KIND_DATAFLOWCRON ? &df_dataflowcron_table : &df_dataflow_table;
}

/* ---- metadata -------------------------------------------------------------------------------------------- */

/* metadata.<key> as a C string; "" when it is no text, NULL: out of memory. */
static const char *metadata(const struct df_value *object, const char *key, struct df_arena *arena)
{
	struct df_str text = df_kube_text(object, arena, "metadata", key, NULL);

	return df_arena_dup(arena, text.ptr ? text : DF_STR("")).ptr;
}

static int read_metadata(struct df_resource *r, struct df_arena *arena, struct df_error *err)
{
	const struct df_value *generation = df_kube_at(r->object, "metadata", "generation", NULL);

	r->namespace = metadata(r->object, "namespace", arena);
	r->name = metadata(r->object, "name", arena);
	r->uid = metadata(r->object, "uid", arena);
	if (!r->namespace || !r->name || !r->uid)
		return df_error_no_memory(err);
	if (generation)
		df_value_to_int64(generation, &r->generation);
	r->deleting = df_kube_text(r->object, arena, "metadata", "deletionTimestamp", NULL).ptr != NULL;
	return 0;
}

/* The names made of it must fit. */
static void check_name(struct df_resource *r)
{
	struct df_place place = { .path = "metadata" };
	size_t max = r->kind == DF_KIND_DATAFLOWCRON ? DF_CRON_NAME_MAX : DF_FLOW_NAME_MAX, len = strlen(r->name);

	if (len > max)
		df_diag_error(&r->diags, &place, "name",
			      "has %zu characters; the most is %zu, so that the names made of it fit", len, max);
}

/* ---- the spec -------------------------------------------------------------------------------------------- */

static void check_spec(struct df_resource *r, const struct df_value *spec, bool stored)
{
	struct df_place top = { .value = r->object }, place = { .path = "spec", .value = spec };
	struct df_parse_options options = { .path = "spec", .registry = df_registry(), .unknown_keys_warn = stored };
	size_t errors = r->diags.errors;

	if (!spec || spec->kind != DF_OBJECT) {
		df_diag_error(&r->diags, &top, "spec", "expected an object with source and sink");
		return;
	}
	df_settings_parse(df_resource_table(r->kind), spec, &options, &r->spec, &r->diags);
	if (r->diags.errors == errors)
		df_manifest_check(r->kind, &r->spec, &place, &r->diags);
	if (r->diags.errors == errors)
		df_chain_check(&r->spec.flow.transformations, &r->diags);
	if (r->diags.errors == errors)
		df_delivery_check(&r->spec.flow, &r->diags);
}

/* Is the member for the operator alone? */
static bool operators_own(const struct df_table *table, struct df_str name)
{
	for (size_t i = 0; i < table->field_count; i++)
		if (df_str_equal_c(name, table->fields[i].name))
			return table->fields[i].flags & DF_OPERATOR_ONLY;
	return false;
}

/* As written, but canonical: what a person reorders, and what only the operator acts on, restarts no pod. */
static int write_spec(struct df_resource *r, const struct df_value *spec, struct df_arena *arena, struct df_error *err)
{
	struct df_value *copy = df_value_clone(spec, arena), *prev = NULL, *next;

	if (!copy)
		return df_error_no_memory(err);
	for (struct df_value *member = copy->first; member; member = next) {
		next = member->next;
		if (operators_own(df_resource_table(r->kind), df_value_key(member)))
			df_container_remove(copy, prev, member);
		else
			prev = member;
	}
	df_value_sort_keys(copy);
	r->spec_json = df_value_to_arena(copy, arena);
	if (!r->spec_json.ptr)
		return df_error_no_memory(err);
	df_sha256_hex(r->spec_json, r->spec_hash);
	return 0;
}

/* ---- references ------------------------------------------------------------------------------------------ */

/* One reference, in the order of the spec. */
struct reference {
	const char *namespace, *name, *key, *path;
	size_t order;
};

struct collecting {
	const struct df_resource *resource;
	struct df_arena *arena;
	struct reference *items;
	size_t count, cap;
	bool failed;
};

static void collect(void *arg, const char *path, const struct df_secret_ref *ref)
{
	struct collecting *c = arg;
	bool other = ref->namespace && ref->namespace[0] && strcmp(ref->namespace, c->resource->namespace) != 0;
	struct df_str copy = df_arena_dup(c->arena, df_str_c(path));

	if (c->count == c->cap) {
		size_t cap = c->cap ? 2 * c->cap : 8;
		struct reference *items = reallocarray(c->items, cap, sizeof(*items));

		if (items) {
			c->items = items;
			c->cap = cap;
		}
	}
	if (c->count == c->cap || !copy.ptr) {
		c->failed = true;
		return;
	}
	c->items[c->count] = (struct reference){
		.namespace = other ? ref->namespace : NULL,
		.name = ref->name,
		.key = ref->key,
		.path = copy.ptr,
		.order = c->count,
	};
	c->count++;
}

/* NULL first. */
static int compare_texts(const char *a, const char *b)
{
	if (!a || !b)
		return (a != NULL) - (b != NULL);
	return strcmp(a, b);
}

static int compare_secrets(const struct reference *a, const struct reference *b)
{
	int order = compare_texts(a->namespace, b->namespace);

	return order ? order : strcmp(a->name, b->name);
}

static int compare_references(const void *left, const void *right)
{
	const struct reference *a = left, *b = right;
	int order = compare_secrets(a, b);

	return order ? order : strcmp(a->key, b->key);
}

/* The run of references to one Secret that begins at items: its keys, each once. Returns how many references it is. */
static size_t one_secret(const struct reference *items, size_t count, const char **keys, struct df_secret_use *ret)
{
	size_t n = 0, first = items[0].order;

	*ret = (struct df_secret_use){ items[0].namespace, items[0].name, keys, 0, items[0].path };
	while (n < count && compare_secrets(&items[0], &items[n]) == 0) {
		if (ret->key_count == 0 || strcmp(keys[ret->key_count - 1], items[n].key) != 0)
			keys[ret->key_count++] = items[n].key;
		if (items[n].order < first) {
			first = items[n].order;
			ret->path = items[n].path;
		}
		n++;
	}
	return n;
}

static int read_references(struct df_resource *r, struct df_arena *arena, struct df_error *err)
{
	struct collecting c = { .resource = r, .arena = arena };
	const char **keys;

	df_settings_secret_refs(df_resource_table(r->kind), &r->spec, collect, &c);
	/* At most as many as there are references. */
	keys = df_arena_alloc(arena, c.count * sizeof(*keys));
	r->secrets = df_arena_alloc(arena, c.count * sizeof(*r->secrets));
	if (c.failed || !keys || !r->secrets) {
		free(c.items);
		return df_error_no_memory(err);
	}
	if (c.count)
		qsort(c.items, c.count, sizeof(*c.items), compare_references);
	for (size_t i = 0; i < c.count;) {
		struct df_secret_use *use = &r->secrets[r->secret_count++];

		i += one_secret(c.items + i, c.count - i, keys, use);
		keys += use->key_count;
	}
	free(c.items);
	return 0;
}

/* ---- all ------------------------------------------------------------------------------------------------- */

static int parse(enum df_manifest_kind kind, struct df_value *object, bool stored, struct df_arena *arena,
		 struct df_resource *ret, struct df_error *err)
{
	const struct df_value *spec = df_object_get_c(object, "spec");
	int code;

	*ret = (struct df_resource){ .kind = kind, .object = object };
	code = read_metadata(ret, arena, err);
	if (code < 0)
		return code;
	check_name(ret);
	check_spec(ret, spec, stored);
	if (ret->diags.failed)
		return df_error_no_memory(err);
	if (ret->diags.errors)
		return 0;
	ret->checkpoint = ret->spec.flow.checkpoint_persistence;
	ret->position = ret->checkpoint && df_source_position(&ret->spec.flow.source) == DF_POSITION_CHECKPOINT;
	code = write_spec(ret, spec, arena, err);
	return code < 0 ? code : read_references(ret, arena, err);
}

int df_resource_parse(enum df_manifest_kind kind, struct df_value *object, struct df_arena *arena,
		      struct df_resource *ret, struct df_error *err)
{
	return parse(kind, object, true, arena, ret, err);
}

int df_resource_parse_new(enum df_manifest_kind kind, struct df_value *object, struct df_arena *arena,
			  struct df_resource *ret, struct df_error *err)
{
	return parse(kind, object, false, arena, ret, err);
}

void df_resource_done(struct df_resource *resource)
{
	df_settings_done(df_resource_table(resource->kind), &resource->spec);
	df_diags_done(&resource->diags);
	*resource = (struct df_resource){ 0 };
}

int64_t df_resource_replicas(const struct df_resource *resource)
{
	return resource->spec.flow.replicas;
}

/* Schemas from JSON: the specification's sections "Schema Declaration" and "Logical Types". */
#include "avro/schema.h"

#include <stdlib.h>

#include "avro/decimal.h"
#include "avro/names_internal.h"
#include "base/arena.h"

#define DEPTH_MAX 500 /* of types in types; a name that stands for a type does not count */
#define FIXED_MAX ((size_t)1 << 30)
#define PRECISION_MAX DF_AVRO_SCALE_MAX

struct df_avro_schema {
	struct df_arena arena;
	const struct df_avro_node *root;
};

struct parser {
	struct df_arena *arena;
	struct df_avro_names types; /* full name -> struct df_avro_node */
	struct df_avro_node *primitives[DF_AVRO_STRING + 1];
	unsigned depth;
	enum { NOWHERE, IN_FIELD, IN_RECORD } located; /* what the error says of where */
	struct df_error *err;
};

static const struct {
	const char *name;
	enum df_avro_type type;
} type_names[] = {
	{ "null", DF_AVRO_NULL },    { "boolean", DF_AVRO_BOOLEAN }, { "int", DF_AVRO_INT },
	{ "long", DF_AVRO_LONG },    { "float", DF_AVRO_FLOAT },     { "double", DF_AVRO_DOUBLE },
	{ "bytes", DF_AVRO_BYTES },  { "string", DF_AVRO_STRING },   { "record", DF_AVRO_RECORD },
	{ "error", DF_AVRO_RECORD }, { "enum", DF_AVRO_ENUM },	     { "array", DF_AVRO_ARRAY },
	{ "map", DF_AVRO_MAP },	     { "fixed", DF_AVRO_FIXED },
};

static const struct {
	const char *name;
	enum df_avro_logical logical;
	enum df_avro_type on, or_on;
	size_t size; /* of a fixed; 0: any */
} logical_names[] = {
	{ "decimal", DF_AVRO_DECIMAL, DF_AVRO_BYTES, DF_AVRO_FIXED, 0 },
	{ "uuid", DF_AVRO_UUID, DF_AVRO_STRING, DF_AVRO_FIXED, 16 },
	{ "date", DF_AVRO_DATE, DF_AVRO_INT, DF_AVRO_INT, 0 },
	{ "time-millis", DF_AVRO_TIME_MILLIS, DF_AVRO_INT, DF_AVRO_INT, 0 },
	{ "time-micros", DF_AVRO_TIME_MICROS, DF_AVRO_LONG, DF_AVRO_LONG, 0 },
	{ "timestamp-millis", DF_AVRO_TIMESTAMP_MILLIS, DF_AVRO_LONG, DF_AVRO_LONG, 0 },
	{ "timestamp-micros", DF_AVRO_TIMESTAMP_MICROS, DF_AVRO_LONG, DF_AVRO_LONG, 0 },
	{ "timestamp-nanos", DF_AVRO_TIMESTAMP_NANOS, DF_AVRO_LONG, DF_AVRO_LONG, 0 },
	{ "local-timestamp-millis", DF_AVRO_LOCAL_MILLIS, DF_AVRO_LONG, DF_AVRO_LONG, 0 },
	{ "local-timestamp-micros", DF_AVRO_LOCAL_MICROS, DF_AVRO_LONG, DF_AVRO_LONG, 0 },
	{ "local-timestamp-nanos", DF_AVRO_LOCAL_NANOS, DF_AVRO_LONG, DF_AVRO_LONG, 0 },
	{ "duration", DF_AVRO_DURATION, DF_AVRO_FIXED, DF_AVRO_FIXED, 12 },
};

static int parse_node(struct parser *p, const struct df_value *v, struct df_str space, const struct df_avro_node **ret);

/* ---- names ----------------------------------------------------------------------------------------------- */

struct df_str df_avro_short_name(struct df_str full_name)
{
	const char *dot = memrchr(full_name.ptr, '.', full_name.len);

	return dot ? df_str(dot + 1, full_name.len - (size_t)(dot + 1 - full_name.ptr)) : full_name;
}

static struct df_str namespace_of(struct df_str full_name)
{
	size_t short_len = df_avro_short_name(full_name).len;

	return df_str(full_name.ptr, full_name.len > short_len ? full_name.len - short_len - 1 : 0);
}

/* The full name of `name` in the namespace `space`. ptr NULL: out of memory. */
static struct df_str full_name(struct parser *p, struct df_str name, struct df_str space)
{
	char *text;

	if (memchr(name.ptr, '.', name.len)) /* ".name" is of no namespace */
		return name.ptr[0] == '.' ? df_str(name.ptr + 1, name.len - 1) : name;
	if (space.len == 0)
		return name;
	text = df_arena_alloc(p->arena, space.len + 1 + name.len);
	if (!text)
		return df_str(NULL, 0);
	memcpy(text, space.ptr, space.len);
	text[space.len] = '.';
	memcpy(text + space.len + 1, name.ptr, name.len);
	return df_str(text, space.len + 1 + name.len);
}

bool df_avro_union_is_wide(const struct df_avro_node *node)
{
	size_t beside_null = 0;

	for (size_t i = 0; i < node->count; i++)
		beside_null += node->branches[i]->type != DF_AVRO_NULL;
	return beside_null > 1;
}

/* ---- attributes ------------------------------------------------------------------------------------------ */

/* A member that is a text, or the empty slice with ptr NULL. */
static int get_text(struct parser *p, const struct df_value *v, const char *key, struct df_str *ret)
{
	struct df_value *member = df_object_get_c(v, key);

	*ret = df_str(NULL, 0);
	if (!member || member->kind != DF_STRING)
		return 0;
	*ret = df_value_text(member, p->arena);
	return ret->ptr ? 0 : df_error_no_memory(p->err);
}

static bool get_uint(const struct df_value *v, const char *key, uint64_t max, uint64_t *ret)
{
	struct df_value *member = df_object_get_c(v, key);
	int64_t number;

	if (!member || !df_value_to_int64(member, &number) || number < 0 || (uint64_t)number > max)
		return false;
	*ret = (uint64_t)number;
	return true;
}

/* The texts of an array; a full name of each when `space` is given. Absent: none. */
static int get_texts(struct parser *p, const struct df_value *v, const char *key, const struct df_str *space,
		     struct df_str **ret, size_t *ret_count)
{
	struct df_value *list = df_object_get_c(v, key);
	size_t n = 0;

	*ret = NULL;
	*ret_count = 0;
	if (!list)
		return 0;
	if (list->kind != DF_ARRAY)
		return df_error_set(p->err, DF_ERR_CONFIG, "`%s` must be a list of texts", key);
	*ret = df_arena_alloc(p->arena, (list->len + (size_t)1) * sizeof(**ret));
	if (!*ret)
		return df_error_no_memory(p->err);
	df_for_each (item, list) {
		struct df_str text = item->kind == DF_STRING ? df_value_text(item, p->arena) : DF_STR("");

		if (text.ptr && text.len == 0)
			return df_error_set(p->err, DF_ERR_CONFIG, "`%s` must be a list of texts, none empty", key);
		if (text.ptr && space)
			text = full_name(p, text, *space);
		if (!text.ptr)
			return df_error_no_memory(p->err);
		(*ret)[n++] = text;
	}
	*ret_count = n;
	return 0;
}

static bool digits_fit(const struct df_avro_node *node)
{
	/* A fixed of n bytes holds floor(log10(2^(8n-1) - 1)) digits; log10(2) = 0.30103. */
	return node->type != DF_AVRO_FIXED ||
	       (double)node->precision <= ((double)node->size * 8 - 1) * 0.301029995663981195;
}

static int set_logical(struct parser *p, const struct df_value *v, struct df_avro_node *node)
{
	struct df_str name;
	uint64_t precision, scale = 0;
	int code = get_text(p, v, "logicalType", &name);

	if (code < 0 || !name.ptr)
		return code;
	for (size_t i = 0; i < DF_ARRAY_SIZE(logical_names); i++) {
		if (!df_str_equal_c(name, logical_names[i].name) ||
		    (node->type != logical_names[i].on && node->type != logical_names[i].or_on) ||
		    (node->type == DF_AVRO_FIXED && logical_names[i].size && node->size != logical_names[i].size))
			continue;
		if (logical_names[i].logical == DF_AVRO_DECIMAL) {
			if (!get_uint(v, "precision", PRECISION_MAX, &precision) || precision == 0 ||
			    (df_object_get_c(v, "scale") && !get_uint(v, "scale", precision, &scale)))
				return 0;
			node->precision = (uint32_t)precision;
			node->scale = (uint32_t)scale;
			if (!digits_fit(node))
				return 0;
		}
		node->logical = logical_names[i].logical;
	}
	return 0;
}

/* ---- types ----------------------------------------------------------------------------------------------- */

static int new_node(struct parser *p, enum df_avro_type type, struct df_avro_node **ret)
{
	*ret = df_arena_zalloc(p->arena, sizeof(**ret));
	if (!*ret)
		return df_error_no_memory(p->err);
	(*ret)->type = type;
	for (size_t i = 0; i < DF_ARRAY_SIZE(type_names); i++)
		if (type_names[i].type == type) {
			(*ret)->name = df_str_c(type_names[i].name);
			break;
		}
	return 0;
}

/* The name of a record, enum or fixed, and the namespace that is in force inside it. */
static int set_name(struct parser *p, const struct df_value *v, struct df_avro_node *node, struct df_str *space)
{
	struct df_str name, own_space;
	int code = get_text(p, v, "name", &name);

	if (code == 0)
		code = get_text(p, v, "namespace", &own_space);
	if (code < 0)
		return code;
	if (name.len == 0)
		return df_error_set(p->err, DF_ERR_CONFIG, "a type of kind `" DF_STR_FMT "` needs a `name`",
				    DF_STR_ARG(node->name));
	node->name = full_name(p, name, own_space.ptr ? own_space : *space);
	if (!node->name.ptr)
		return df_error_no_memory(p->err);
	*space = namespace_of(node->name);
	code = get_texts(p, v, "aliases", space, &node->aliases, &node->alias_count);
	if (code < 0)
		return code;
	for (size_t i = 0; i < DF_ARRAY_SIZE(type_names); i++)
		if (type_names[i].type <= DF_AVRO_STRING && df_str_equal_c(node->name, type_names[i].name))
			return df_error_set(p->err, DF_ERR_CONFIG, "`%s` is a primitive type and cannot be a name",
					    type_names[i].name);
	code = df_avro_names_add(&p->types, p->arena, node->name, node);
	if (code < 0)
		return df_error_no_memory(p->err);
	return code ? 0
		    : df_error_set(p->err, DF_ERR_CONFIG, "the type `" DF_STR_FMT "` is defined twice",
				   DF_STR_ARG(node->name));
}

static int parse_field(struct parser *p, const struct df_value *v, struct df_str space, struct df_avro_field *ret)
{
	struct df_value *type = df_object_get_c(v, "type");
	int code;

	if (v->kind != DF_OBJECT)
		return df_error_set(p->err, DF_ERR_CONFIG, "a field must be an object, not %s",
				    df_kind_words((enum df_kind)v->kind));
	code = get_text(p, v, "name", &ret->name);
	if (code < 0)
		return code;
	if (ret->name.len == 0)
		return df_error_set(p->err, DF_ERR_CONFIG, "a field needs a `name`");
	ret->def = df_object_get_c(v, "default");
	code = get_texts(p, v, "aliases", NULL, &ret->aliases, &ret->alias_count);
	if (code == 0)
		code = type ? parse_node(p, type, space, &ret->node)
			    : df_error_set(p->err, DF_ERR_CONFIG, "it has no `type`");
	if (code < 0 && p->located == NOWHERE) {
		p->located = IN_FIELD;
		df_error_prefix(p->err, "field `" DF_STR_FMT "`", DF_STR_ARG(ret->name));
	}
	return code;
}

static int parse_record(struct parser *p, const struct df_value *v, struct df_str space, struct df_avro_node *node)
{
	struct df_value *fields = df_object_get_c(v, "fields");
	struct df_avro_names seen = { 0 };
	int code = 0;

	if (!fields || fields->kind != DF_ARRAY)
		return df_error_set(p->err, DF_ERR_CONFIG, "the record `" DF_STR_FMT "` needs a list `fields`",
				    DF_STR_ARG(node->name));
	node->fields = df_arena_zalloc(p->arena, (fields->len + (size_t)1) * sizeof(*node->fields));
	if (!node->fields)
		return df_error_no_memory(p->err);
	df_for_each (item, fields) {
		struct df_avro_field *field = &node->fields[node->count];

		code = parse_field(p, item, space, field);
		if (code == 0) {
			code = df_avro_names_add(&seen, p->arena, field->name, field);
			if (code < 0)
				return df_error_no_memory(p->err);
			code = code ? 0
				    : df_error_set(p->err, DF_ERR_CONFIG, "the field `" DF_STR_FMT "` stands twice",
						   DF_STR_ARG(field->name));
		}
		if (code < 0)
			break;
		node->count++;
	}
	if (code < 0 && p->located != IN_RECORD) {
		p->located = IN_RECORD;
		df_error_prefix(p->err, "record `" DF_STR_FMT "`", DF_STR_ARG(node->name));
	}
	return code;
}

static int parse_enum(struct parser *p, const struct df_value *v, struct df_avro_node *node)
{
	struct df_str def;
	int code = get_texts(p, v, "symbols", NULL, &node->symbols, &node->count);

	if (code == 0)
		code = get_text(p, v, "default", &def);
	if (code < 0)
		return code;
	if (node->count == 0)
		return df_error_set(p->err, DF_ERR_CONFIG, "the enum `" DF_STR_FMT "` needs a list `symbols`",
				    DF_STR_ARG(node->name));
	for (size_t i = 0; i < node->count && def.ptr; i++)
		if (df_str_equal(node->symbols[i], def))
			node->symbol_default = &node->symbols[i];
	return 0;
}

static int parse_fixed(struct parser *p, const struct df_value *v, struct df_avro_node *node)
{
	uint64_t size;

	if (!get_uint(v, "size", FIXED_MAX, &size))
		return df_error_set(p->err, DF_ERR_CONFIG, "the fixed `" DF_STR_FMT "` needs a `size` in bytes",
				    DF_STR_ARG(node->name));
	node->size = (size_t)size;
	return 0;
}

static int parse_element(struct parser *p, const struct df_value *v, const char *key, struct df_str space,
			 struct df_avro_node *node)
{
	struct df_value *element = df_object_get_c(v, key);

	if (!element)
		return df_error_set(p->err, DF_ERR_CONFIG, "a type of kind `" DF_STR_FMT "` needs `%s`",
				    DF_STR_ARG(node->name), key);
	return parse_node(p, element, space, &node->element);
}

static int parse_union(struct parser *p, const struct df_value *v, struct df_str space, const struct df_avro_node **ret)
{
	struct df_avro_names seen = { 0 };
	struct df_avro_node *node;
	int code = new_node(p, DF_AVRO_UNION, &node);

	if (code < 0)
		return code;
	node->name = DF_STR("union");
	node->branches = df_arena_alloc(p->arena, (v->len + (size_t)1) * sizeof(struct df_avro_node *));
	if (!node->branches)
		return df_error_no_memory(p->err);
	if (v->len == 0)
		return df_error_set(p->err, DF_ERR_CONFIG, "a union needs a branch");
	df_for_each (item, v) {
		const struct df_avro_node **branch = &node->branches[node->count++];

		code = parse_node(p, item, space, branch);
		if (code < 0)
			return code;
		if ((*branch)->type == DF_AVRO_UNION)
			return df_error_set(p->err, DF_ERR_CONFIG, "a union stands directly in a union");
		code = df_avro_names_add(&seen, p->arena, (*branch)->name, node);
		if (code < 0)
			return df_error_no_memory(p->err);
		if (code == 0)
			return df_error_set(p->err, DF_ERR_CONFIG, "a union has two branches `" DF_STR_FMT "`",
					    DF_STR_ARG((*branch)->name));
	}
	*ret = node;
	return 0;
}

/* A primitive type, or one that has a name already. */
static int parse_name(struct parser *p, struct df_str name, struct df_str space, const struct df_avro_node **ret)
{
	struct df_str full;
	struct df_avro_entry *e;

	for (size_t i = 0; i < DF_ARRAY_SIZE(type_names) && type_names[i].type <= DF_AVRO_STRING; i++) {
		struct df_avro_node **primitive = &p->primitives[type_names[i].type];

		if (!df_str_equal_c(name, type_names[i].name))
			continue;
		if (!*primitive && new_node(p, type_names[i].type, primitive) < 0)
			return DF_ERR_NO_MEMORY;
		*ret = *primitive;
		return 0;
	}
	full = full_name(p, name, space);
	if (!full.ptr)
		return df_error_no_memory(p->err);
	e = df_avro_names_find(&p->types, full);
	if (!e || !e->name.ptr) /* names of a namespace and of none live together in the wild */
		e = df_avro_names_find(&p->types, name);
	if (!e || !e->name.ptr)
		return df_error_set(p->err, DF_ERR_CONFIG, "unknown type `" DF_STR_FMT "`", DF_STR_ARG(full));
	*ret = e->value;
	return 0;
}

static int parse_object(struct parser *p, const struct df_value *v, struct df_str space,
			const struct df_avro_node **ret)
{
	struct df_value *type = df_object_get_c(v, "type");
	struct df_avro_node *node;
	struct df_str name;
	size_t i = 0;
	int code;

	if (!type)
		return df_error_set(p->err, DF_ERR_CONFIG, "a schema that is an object needs a `type`");
	if (type->kind != DF_STRING)
		return parse_node(p, type, space, ret);
	name = df_value_text(type, p->arena);
	if (!name.ptr)
		return df_error_no_memory(p->err);
	while (i < DF_ARRAY_SIZE(type_names) && !df_str_equal_c(name, type_names[i].name))
		i++;
	if (i == DF_ARRAY_SIZE(type_names))
		return parse_name(p, name, space, ret);
	code = new_node(p, type_names[i].type, &node);
	if (code == 0 && (node->type == DF_AVRO_RECORD || node->type == DF_AVRO_ENUM || node->type == DF_AVRO_FIXED))
		code = set_name(p, v, node, &space);
	if (code < 0)
		return code;
	if (node->type == DF_AVRO_RECORD)
		code = parse_record(p, v, space, node);
	else if (node->type == DF_AVRO_ENUM)
		code = parse_enum(p, v, node);
	else if (node->type == DF_AVRO_FIXED)
		code = parse_fixed(p, v, node);
	else if (node->type == DF_AVRO_ARRAY)
		code = parse_element(p, v, "items", space, node);
	else if (node->type == DF_AVRO_MAP)
		code = parse_element(p, v, "values", space, node);
	*ret = node;
	return code < 0 ? code : set_logical(p, v, node);
}

static int parse_node(struct parser *p, const struct df_value *v, struct df_str space, const struct df_avro_node **ret)
{
	struct df_str name;
	int code;

	if (++p->depth > DEPTH_MAX)
		return df_error_set(p->err, DF_ERR_CONFIG, "types are nested more than %d deep", DEPTH_MAX);
	switch (v->kind) {
	case DF_STRING:
		name = df_value_text(v, p->arena);
		code = name.ptr ? parse_name(p, name, space, ret) : df_error_no_memory(p->err);
		break;
	case DF_OBJECT:
		code = parse_object(p, v, space, ret);
		break;
	case DF_ARRAY:
		code = parse_union(p, v, space, ret);
		break;
	default:
		code = df_error_set(p->err, DF_ERR_CONFIG, "a schema must be a name, an object or a list, not %s",
				    df_kind_words((enum df_kind)v->kind));
	}
	p->depth--;
	return code;
}

/* ---- schemas --------------------------------------------------------------------------------------------- */

static int parse_text(struct parser *p, struct df_str text, const struct df_avro_node **ret)
{
	struct df_value *document;
	struct df_str copy = df_arena_dup(p->arena, text);
	int code;

	if (!copy.ptr)
		return df_error_no_memory(p->err);
	code = df_value_parse_text(copy, p->arena, &document, p->err);
	if (code == DF_ERR_INVALID_DATA) {
		df_error_prefix(p->err, "not JSON");
		if (p->err)
			p->err->code = DF_ERR_CONFIG;
		return DF_ERR_CONFIG;
	}
	if (code < 0)
		return code;
	p->depth = 0;
	p->located = NOWHERE;
	return parse_node(p, document, df_str(NULL, 0), ret);
}

int df_avro_schema_parse(const struct df_str *texts, size_t count, struct df_avro_schema **ret, struct df_error *err)
{
	df_cleanup(df_avro_schema_freep) struct df_avro_schema *schema = calloc(1, sizeof(*schema));
	struct parser p = { .err = err };
	int code = 0;

	*ret = NULL;
	if (!schema)
		return df_error_no_memory(err);
	df_arena_init(&schema->arena, NULL);
	p.arena = &schema->arena;
	for (size_t i = 0; i < count && code == 0; i++)
		code = parse_text(&p, texts[i], &schema->root);
	if (code < 0) {
		df_error_prefix(err, "Avro schema");
		return code;
	}
	*ret = DF_TAKE(schema);
	return 0;
}

void df_avro_schema_free(struct df_avro_schema *schema)
{
	if (!schema)
		return;
	df_arena_done(&schema->arena);
	free(schema);
}

const struct df_avro_node *df_avro_schema_root(const struct df_avro_schema *schema)
{
	return schema->root;
}

#include "avro/encode.h"

#include "avro/binary.h"
#include "avro/encode_internal.h"
#include "avro/plan_internal.h"

static int encode(struct df_avro_out *o, const struct df_avro_node *node, const struct df_value *v);

/* ---- records --------------------------------------------------------------------------------------------- */

/* Where null is in a type; false: nowhere. *ret_branch -1: it is no union. */
static bool find_null(const struct df_avro_node *node, int64_t *ret_branch)
{
	*ret_branch = -1;
	for (size_t i = 0; node->type == DF_AVRO_UNION && i < node->count; i++)
		if (node->branches[i]->type == DF_AVRO_NULL) {
			*ret_branch = (int64_t)i;
			return true;
		}
	return node->type == DF_AVRO_NULL;
}

static int encode_missing(struct df_avro_out *o, const struct df_avro_field *field)
{
	int64_t branch;
	int code;

	if (field->def) {
		code = df_avro_default_encode(field->node, field->def, o->buf, o->err);
		if (code == DF_ERR_CONFIG && o->err)
			o->err->code = DF_ERR_INVALID_DATA;
		return code == DF_ERR_CONFIG ? DF_ERR_INVALID_DATA : code;
	}
	if (!find_null(field->node, &branch))
		return df_error_set(o->err, DF_ERR_INVALID_DATA, "it is missing, has no default and cannot be null");
	if (branch >= 0)
		df_avro_put_long(o->buf, branch);
	return 0;
}

/* The member that no field takes. */
static int unknown_member(struct df_avro_out *o, const struct df_avro_node *node, const struct df_value *v)
{
	df_for_each (member, v) {
		size_t i = 0;

		while (i < node->count && !df_str_equal(node->fields[i].name, df_value_key(member)))
			i++;
		if (i == node->count) {
			df_avro_place_key(&o->place, df_value_key(member), 0);
			return df_error_set(o->err, DF_ERR_INVALID_DATA,
					    "the schema's `" DF_STR_FMT "` has no such field", DF_STR_ARG(node->name));
		}
	}
	return df_avro_misfit(o, node, v, ": a member stands twice");
}

static int encode_record(struct df_avro_out *o, const struct df_avro_node *node, const struct df_value *v)
{
	const struct df_value *next = v->first; /* mostly members stand in the schema's order */
	size_t found = 0;
	int code = 0;

	if (v->kind != DF_OBJECT)
		return df_avro_misfit(o, node, v, "");
	for (size_t i = 0; i < node->count && code == 0; i++) {
		const struct df_avro_field *field = &node->fields[i];
		const struct df_value *member = next;

		if (!member || !df_str_equal(df_value_key(member), field->name))
			member = df_object_get(v, field->name);
		if (member) {
			found++;
			next = member->next;
			code = encode(o, field->node, member);
		} else {
			code = encode_missing(o, field);
		}
		if (code < 0)
			return df_avro_place_key(&o->place, field->name, code);
	}
	return code == 0 && found < v->len ? unknown_member(o, node, v) : code;
}

/* ---- arrays and maps ------------------------------------------------------------------------------------- */

static int encode_items(struct df_avro_out *o, const struct df_avro_node *node, const struct df_value *v)
{
	bool map = node->type == DF_AVRO_MAP;
	size_t index = 0;

	if (v->kind != (map ? DF_OBJECT : DF_ARRAY))
		return df_avro_misfit(o, node, v, "");
	if (v->len)
		df_avro_put_long(o->buf, v->len);
	df_for_each (child, v) {
		int code;

		if (map && !df_utf8_valid(df_value_key(child), NULL))
			return df_avro_misfit(o, node, v, ": a key is not valid Unicode");
		if (map)
			df_avro_put_bytes(o->buf, df_value_key(child));
		code = encode(o, node->element, child);
		if (code < 0)
			return df_avro_place_index(&o->place, index, code);
		index++;
	}
	df_avro_put_long(o->buf, 0);
	return 0;
}

/* ---- unions ---------------------------------------------------------------------------------------------- */

/* Which logical type of a document a type gives back; LOGICAL_NONE: it has none of its own. */
static enum df_logical logical_of(const struct df_avro_node *node)
{
	switch (node->logical) {
	case DF_AVRO_PLAIN:
		break;
	case DF_AVRO_DECIMAL:
		return DF_LOGICAL_DECIMAL;
	case DF_AVRO_UUID:
		return DF_LOGICAL_UUID;
	case DF_AVRO_DATE:
		return DF_LOGICAL_DATE;
	case DF_AVRO_TIME_MILLIS:
	case DF_AVRO_TIME_MICROS:
		return DF_LOGICAL_TIME;
	case DF_AVRO_DURATION:
		return DF_LOGICAL_INTERVAL;
	default:
		return node->logical >= DF_AVRO_LOCAL_MILLIS ? DF_LOGICAL_TIMESTAMP : DF_LOGICAL_TIMESTAMPTZ;
	}
	switch (node->type) {
	case DF_AVRO_FLOAT:
		return DF_LOGICAL_FLOAT32;
	case DF_AVRO_DOUBLE:
		return DF_LOGICAL_FLOAT64;
	case DF_AVRO_BYTES:
	case DF_AVRO_FIXED:
		return DF_LOGICAL_BYTES;
	default:
		return DF_LOGICAL_NONE;
	}
}

/* Has the record every member of the object, and the object every field that cannot be left out? */
static bool record_fits(const struct df_avro_node *node, const struct df_value *v)
{
	size_t found = 0;
	int64_t branch;

	for (size_t i = 0; i < node->count; i++) {
		if (df_object_get(v, node->fields[i].name))
			found++;
		else if (!node->fields[i].def && !find_null(node->fields[i].node, &branch))
			return false;
	}
	return found == v->len;
}

/* How well a branch suits a number: whole numbers are whole, others rather keep their digits than be quick. */
static int liking_number(const struct df_avro_node *b, const struct df_value *v)
{
	int64_t whole;

	if (b->logical == DF_AVRO_DECIMAL)
		return 3;
	if (b->logical)
		return 0;
	switch (b->type) {
	case DF_AVRO_INT:
	case DF_AVRO_LONG:
		return df_value_to_int64(v, &whole) ? 4 : 0;
	case DF_AVRO_DOUBLE:
		return 2;
	case DF_AVRO_FLOAT:
		return 1;
	default:
		return 0;
	}
}

/* How well a branch suits the value by what both are, before it is tried; 0: not at all. */
static int liking(const struct df_avro_node *b, const struct df_value *v)
{
	switch (v->kind) {
	case DF_NULL:
		return b->type == DF_AVRO_NULL;
	case DF_FALSE:
	case DF_TRUE:
		return b->type == DF_AVRO_BOOLEAN;
	case DF_ARRAY:
		return b->type == DF_AVRO_ARRAY;
	case DF_OBJECT:
		return b->type == DF_AVRO_MAP ? 1 : b->type == DF_AVRO_RECORD && record_fits(b, v) ? 2 : 0;
	default:
		break;
	}
	if (b->type == DF_AVRO_NULL || b->type == DF_AVRO_BOOLEAN || b->type == DF_AVRO_ARRAY || df_avro_is_object(b))
		return 0;
	if (v->logical != DF_LOGICAL_NONE && logical_of(b) == (enum df_logical)v->logical)
		return 5;
	if (v->kind == DF_NUMBER)
		return liking_number(b, v);
	return b->logical ? 2 : b->type == DF_AVRO_STRING || b->type == DF_AVRO_ENUM ? 3 : 1;
}

/* Would the scalar fit? What it wrote is taken back. */
static bool try_scalar(struct df_avro_out *o, const struct df_avro_node *node, const struct df_value *v)
{
	struct df_error *err = o->err;
	size_t len = o->buf->len;
	int code;

	o->err = NULL;
	code = df_avro_encode_scalar(o, node, v);
	o->err = err;
	o->buf->len = len;
	return code == 0;
}

/* The branch that a wide union's object names: {"<name>": value}. -1: it does not. */
static int64_t named_branch(const struct df_avro_node *node, const struct df_value *v)
{
	if (v->kind != DF_OBJECT || v->len != 1 || !df_avro_union_is_wide(node))
		return -1;
	for (size_t i = 0; i < node->count; i++)
		if (df_avro_is_object(node->branches[i]) && v->first->kind == DF_OBJECT &&
		    df_str_equal(node->branches[i]->name, df_value_key(v->first)))
			return (int64_t)i;
	return -1;
}

static int64_t best_branch(struct df_avro_out *o, const struct df_avro_node *node, const struct df_value *v)
{
	int best_liking = 0;
	int64_t best = -1, beside_null = -1;

	for (size_t i = 0; i < node->count; i++) {
		const struct df_avro_node *b = node->branches[i];
		int like = liking(b, v);

		if (b->type != DF_AVRO_NULL)
			beside_null = (int64_t)i;
		if (like > best_liking && (df_value_is_container(v) || try_scalar(o, b, v))) {
			best_liking = like;
			best = (int64_t)i;
		}
	}
	/* Nothing fits: the only one there is says why. */
	return best < 0 && v->kind != DF_NULL && !df_avro_union_is_wide(node) ? beside_null : best;
}

static int encode_union(struct df_avro_out *o, const struct df_avro_node *node, const struct df_value *v)
{
	int64_t branch = named_branch(node, v);

	if (branch >= 0)
		v = v->first;
	else
		branch = best_branch(o, node, v);
	if (branch < 0)
		return df_avro_misfit(o, node, v, ": none of its branches");
	df_avro_put_long(o->buf, branch);
	return encode(o, node->branches[branch], v);
}

/* ---- all ------------------------------------------------------------------------------------------------- */

static int encode(struct df_avro_out *o, const struct df_avro_node *node, const struct df_value *v)
{
	int code;

	if (++o->depth > 2 * DF_VALUE_DEPTH_MAX) /* a union beside each container */
		return df_error_set(o->err, DF_ERR_INVALID_DATA, "values are nested too deep");
	if (node->type == DF_AVRO_UNION)
		code = encode_union(o, node, v);
	else if (node->type == DF_AVRO_RECORD)
		code = encode_record(o, node, v);
	else if (node->type == DF_AVRO_ARRAY || node->type == DF_AVRO_MAP)
		code = encode_items(o, node, v);
	else
		code = df_avro_encode_scalar(o, node, v);
	o->depth--;
	return code;
}

int df_avro_encode(const struct df_avro_schema *schema, const struct df_value *document, struct df_arena *arena,
		   struct df_buf *buf, struct df_error *err)
{
	struct df_avro_out o = { .buf = buf, .arena = arena, .err = err };
	size_t len = buf->len;
	struct df_str place;
	int code = encode(&o, df_avro_schema_root(schema), document);

	if (code == 0 && buf->failed)
		code = df_error_no_memory(err);
	if (code < 0)
		buf->len = len;
	if (code == DF_ERR_INVALID_DATA) {
		place = df_avro_place_str(&o.place);
		df_error_prefix(err, "Avro%s" DF_STR_FMT "%s", place.len ? ": field `" : "", DF_STR_ARG(place),
				place.len ? "`" : "");
	}
	return code;
}

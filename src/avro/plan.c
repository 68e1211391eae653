/* Plans: the reader's schema resolved against the writer's. */
#include "avro/plan_internal.h"

#include <stdlib.h>

#define DEPTH_MAX 1000
#define MIN_BYTES_MAX (1U << 20) /* where adding up stops */
#define DEFAULT_MAX ((size_t)1 << 20)

/* Named types resolve to one plan each, however often they are named; recursion ends there. */
struct known {
	const struct df_avro_node *writer, *reader;
	struct df_avro_op *op;
};

struct planner {
	struct df_arena *arena;
	struct known *known; /* open addressing by the pair of pointers */
	size_t known_count, known_cap;
	unsigned depth;
	struct df_error *err;
};

static int resolve(struct planner *p, const struct df_avro_node *w, const struct df_avro_node *r,
		   struct df_avro_op **ret);

/* ---- known pairs ----------------------------------------------------------------------------------------- */

static struct known *known_find(struct known *table, size_t cap, const struct df_avro_node *w,
				const struct df_avro_node *r)
{
	size_t i = (((uintptr_t)w >> 4) * 31 + ((uintptr_t)r >> 4)) * UINT64_C(0x9E3779B97F4A7C15) >> 20;

	for (i &= cap - 1; table[i].writer && (table[i].writer != w || table[i].reader != r);)
		i = (i + 1) & (cap - 1);
	return &table[i];
}

static int known_add(struct planner *p, const struct df_avro_node *w, const struct df_avro_node *r,
		     struct df_avro_op *op)
{
	if (2 * (p->known_count + 1) > p->known_cap) {
		size_t cap = p->known_cap ? 2 * p->known_cap : 32;
		struct known *table = calloc(cap, sizeof(*table));

		if (!table)
			return df_error_no_memory(p->err);
		for (size_t i = 0; i < p->known_cap; i++)
			if (p->known[i].writer)
				*known_find(table, cap, p->known[i].writer, p->known[i].reader) = p->known[i];
		free(p->known);
		p->known = table;
		p->known_cap = cap;
	}
	*known_find(p->known, p->known_cap, w, r) = (struct known){ w, r, op };
	p->known_count++;
	return 0;
}

/* ---- what fits what -------------------------------------------------------------------------------------- */

static bool is_named(const struct df_avro_node *n)
{
	return n->type == DF_AVRO_RECORD || n->type == DF_AVRO_ENUM || n->type == DF_AVRO_FIXED;
}

static bool names_match(const struct df_avro_node *w, const struct df_avro_node *r)
{
	if (df_str_equal(df_avro_short_name(w->name), df_avro_short_name(r->name)))
		return true;
	for (size_t i = 0; i < r->alias_count; i++)
		if (df_str_equal(r->aliases[i], w->name) || df_str_equal(r->aliases[i], df_avro_short_name(w->name)))
			return true;
	return false;
}

/* A decimal is no other one: the same bytes would be another number. */
static bool decimals_match(const struct df_avro_node *w, const struct df_avro_node *r)
{
	return w->logical != DF_AVRO_DECIMAL || r->logical != DF_AVRO_DECIMAL ||
	       (w->scale == r->scale && w->precision <= r->precision);
}

/* Can a value of w be one of r, as far as the outermost type tells? Neither is a union. */
static bool matches(const struct df_avro_node *w, const struct df_avro_node *r)
{
	if (w == r)
		return true;
	if (w->type == r->type)
		return decimals_match(w, r) && (!is_named(w) || names_match(w, r)) &&
		       (w->type != DF_AVRO_FIXED || w->size == r->size);
	switch (r->type) {
	case DF_AVRO_LONG:
		return w->type == DF_AVRO_INT;
	case DF_AVRO_FLOAT:
		return w->type == DF_AVRO_INT || w->type == DF_AVRO_LONG;
	case DF_AVRO_DOUBLE:
		return w->type == DF_AVRO_INT || w->type == DF_AVRO_LONG || w->type == DF_AVRO_FLOAT;
	case DF_AVRO_BYTES:
		return w->type == DF_AVRO_STRING;
	case DF_AVRO_STRING:
		return w->type == DF_AVRO_BYTES;
	default:
		return false;
	}
}

/* Which branch of the reader's union takes a value of w; NULL: none. The same type before one it can become. */
static const struct df_avro_node *choose(const struct df_avro_node *w, const struct df_avro_node *r)
{
	const struct df_avro_node *found = NULL;

	for (size_t i = 0; i < r->count; i++) {
		const struct df_avro_node *b = r->branches[i];

		if (!matches(w, b))
			continue;
		if (b->type == w->type && df_str_equal(b->name, w->name))
			return b;
		if (!found || (b->type == w->type && found->type != w->type))
			found = b;
	}
	return found;
}

/* ---- leaves ---------------------------------------------------------------------------------------------- */

static const struct {
	uint8_t code;
	uint8_t logical;
	uint32_t min_bytes;
} plain_ops[] = {
	[DF_AVRO_NULL] = { OP_NULL, DF_LOGICAL_NONE, 0 },      [DF_AVRO_BOOLEAN] = { OP_BOOLEAN, DF_LOGICAL_NONE, 1 },
	[DF_AVRO_INT] = { OP_INT, DF_LOGICAL_INT32, 1 },       [DF_AVRO_LONG] = { OP_LONG, DF_LOGICAL_INT64, 1 },
	[DF_AVRO_FLOAT] = { OP_FLOAT, DF_LOGICAL_FLOAT32, 4 }, [DF_AVRO_DOUBLE] = { OP_DOUBLE, DF_LOGICAL_FLOAT64, 8 },
	[DF_AVRO_BYTES] = { OP_BYTES, DF_LOGICAL_BYTES, 1 },   [DF_AVRO_STRING] = { OP_STRING, DF_LOGICAL_TEXT, 1 },
	[DF_AVRO_FIXED] = { OP_FIXED, DF_LOGICAL_BYTES, 0 },
};

static const struct {
	uint8_t code;
	uint8_t logical;
	int64_t unit; /* in a second */
} logical_ops[] = {
	[DF_AVRO_DECIMAL] = { OP_DECIMAL, DF_LOGICAL_DECIMAL, 0 },
	[DF_AVRO_UUID] = { OP_UUID, DF_LOGICAL_UUID, 0 },
	[DF_AVRO_DATE] = { OP_DATE, DF_LOGICAL_DATE, 0 },
	[DF_AVRO_TIME_MILLIS] = { OP_TIME, DF_LOGICAL_TIME, 1000 },
	[DF_AVRO_TIME_MICROS] = { OP_TIME, DF_LOGICAL_TIME, 1000000 },
	[DF_AVRO_TIMESTAMP_MILLIS] = { OP_TIMESTAMP, DF_LOGICAL_TIMESTAMPTZ, 1000 },
	[DF_AVRO_TIMESTAMP_MICROS] = { OP_TIMESTAMP, DF_LOGICAL_TIMESTAMPTZ, 1000000 },
	[DF_AVRO_TIMESTAMP_NANOS] = { OP_TIMESTAMP, DF_LOGICAL_TIMESTAMPTZ, 1000000000 },
	[DF_AVRO_LOCAL_MILLIS] = { OP_TIMESTAMP, DF_LOGICAL_TIMESTAMP, 1000 },
	[DF_AVRO_LOCAL_MICROS] = { OP_TIMESTAMP, DF_LOGICAL_TIMESTAMP, 1000000 },
	[DF_AVRO_LOCAL_NANOS] = { OP_TIMESTAMP, DF_LOGICAL_TIMESTAMP, 1000000000 },
	[DF_AVRO_DURATION] = { OP_DURATION, DF_LOGICAL_INTERVAL, 0 },
};

static int new_op(struct planner *p, uint8_t code, uint8_t logical, struct df_avro_op **ret)
{
	*ret = df_arena_zalloc(p->arena, sizeof(**ret));
	if (!*ret)
		return df_error_no_memory(p->err);
	(*ret)->code = code;
	(*ret)->logical = logical;
	return 0;
}

static int new_error(struct planner *p, const struct df_avro_node *w, const struct df_avro_node *r, const char *why,
		     struct df_avro_op **ret)
{
	struct df_error text = DF_ERROR_INIT;
	int code = new_op(p, OP_ERROR, 0, ret);

	if (code < 0)
		return code;
	df_error_set(&text, DF_ERR_INVALID_DATA,
		     "`" DF_STR_FMT "` of the writer's schema cannot be read as `" DF_STR_FMT "`%s",
		     DF_STR_ARG(w->name), DF_STR_ARG(r->name), why);
	(*ret)->why = df_arena_dup(p->arena, df_str_c(text.text));
	return (*ret)->why.ptr ? 0 : df_error_no_memory(p->err);
}

/* Neither a container nor an enum nor a union; they match. */
static int resolve_leaf(struct planner *p, const struct df_avro_node *w, const struct df_avro_node *r,
			struct df_avro_op **ret)
{
	/* The value read is a text with all its digits, whatever the unit: the writer's unit counts when both have one.
	 */
	enum df_avro_logical logical = r->logical;
	bool both_fixed = w->type == DF_AVRO_FIXED;
	struct df_avro_op *op;
	int code = new_op(p, plain_ops[r->type].code, plain_ops[r->type].logical, ret);

	if (code < 0)
		return code;
	op = *ret;
	op->min_bytes = plain_ops[w->type].min_bytes;
	op->size = w->size;
	if (both_fixed)
		op->min_bytes = w->size < MIN_BYTES_MAX ? (uint32_t)w->size : MIN_BYTES_MAX;
	if (logical) {
		op->code = logical_ops[logical].code;
		op->logical = logical_ops[logical].logical;
		op->unit = logical_ops[logical].unit;
		op->scale = r->scale;
		if (w->logical && logical_ops[w->logical].code == op->code)
			op->unit = logical_ops[w->logical].unit;
		if (both_fixed && logical == DF_AVRO_DECIMAL)
			op->code = OP_DECIMAL_FIXED;
		if (both_fixed && logical == DF_AVRO_UUID)
			op->code = OP_UUID_FIXED;
	} else if (r->type != w->type && (r->type == DF_AVRO_FLOAT || r->type == DF_AVRO_DOUBLE)) {
		op->code = w->type == DF_AVRO_FLOAT ? OP_FLOAT : OP_LONG_AS_FLOAT;
	}
	return 0;
}

static int resolve_enum(struct planner *p, const struct df_avro_node *w, const struct df_avro_node *r,
			struct df_avro_op *op)
{
	struct df_str *symbols = df_arena_alloc(p->arena, (w->count + 1) * sizeof(*symbols));

	if (!symbols)
		return df_error_no_memory(p->err);
	op->min_bytes = 1;
	op->count = (uint32_t)w->count;
	op->symbols = symbols;
	for (size_t i = 0; i < w->count; i++) {
		symbols[i] = r->symbol_default ? *r->symbol_default : df_str(NULL, 0);
		if (i < r->count && df_str_equal(r->symbols[i], w->symbols[i])) {
			symbols[i] = w->symbols[i];
			continue;
		}
		for (size_t k = 0; k < r->count; k++)
			if (df_str_equal(r->symbols[k], w->symbols[i]))
				symbols[i] = w->symbols[i];
	}
	return 0;
}

/* ---- records --------------------------------------------------------------------------------------------- */

/* The reader's field that takes the writer's; DF_AVRO_SLOT_NONE: none. Mostly it is the one at the same place. */
static uint32_t slot_of(const struct df_avro_node *r, const struct df_avro_field *field, size_t guess)
{
	if (guess < r->count && df_str_equal(r->fields[guess].name, field->name))
		return (uint32_t)guess;
	for (size_t i = 0; i < r->count; i++)
		if (df_str_equal(r->fields[i].name, field->name))
			return (uint32_t)i;
	for (size_t i = 0; i < r->count; i++)
		for (size_t a = 0; a < r->fields[i].alias_count; a++)
			if (df_str_equal(r->fields[i].aliases[a], field->name))
				return (uint32_t)i;
	return DF_AVRO_SLOT_NONE;
}

static bool key_is_plain(struct df_str key)
{
	for (size_t i = 0; i < key.len; i++)
		if ((uint8_t)key.ptr[i] < 0x20 || key.ptr[i] == '"' || key.ptr[i] == '\\')
			return false;
	return true;
}

static int make_members(struct planner *p, const struct df_avro_node *r, struct df_avro_op *op)
{
	size_t at = 0;

	for (size_t i = 0; i < r->count; i++)
		op->record.keys_len += r->fields[i].name.len;
	op->record.member_count = (uint32_t)r->count;
	op->record.members = df_arena_zalloc(p->arena, (r->count + 1) * sizeof(*op->record.members));
	op->record.keys = df_arena_alloc(p->arena, op->record.keys_len + 1);
	if (!op->record.members || !op->record.keys)
		return df_error_no_memory(p->err);
	for (size_t i = 0; i < r->count; i++) {
		struct df_value *member = &op->record.members[i];

		memcpy(op->record.keys + at, r->fields[i].name.ptr, r->fields[i].name.len);
		at += r->fields[i].name.len;
		member->key_len = (uint32_t)r->fields[i].name.len;
		member->key_plain = key_is_plain(r->fields[i].name);
	}
	return 0;
}

/* A field that only the reader has. */
static int add_default(struct planner *p, const struct df_avro_node *r, size_t slot, struct df_avro_op *op)
{
	df_cleanup(df_buf_done) struct df_buf bytes = { .max = DEFAULT_MAX };
	struct df_avro_default *d = &op->record.defaults[op->record.default_count++];
	int code = df_avro_default_encode(r->fields[slot].node, r->fields[slot].def, &bytes, p->err);

	if (code < 0) {
		df_error_prefix(p->err, "reader schema: field `" DF_STR_FMT "` of `" DF_STR_FMT "`",
				DF_STR_ARG(r->fields[slot].name), DF_STR_ARG(r->name));
		return code;
	}
	d->slot = (uint32_t)slot;
	d->bytes = df_arena_dup(p->arena, df_buf_str(&bytes));
	if (!d->bytes.ptr)
		return df_error_no_memory(p->err);
	return resolve(p, r->fields[slot].node, r->fields[slot].node, &d->op);
}

static int resolve_record(struct planner *p, const struct df_avro_node *w, const struct df_avro_node *r,
			  struct df_avro_op *op)
{
	df_cleanup(df_freep) bool *taken = calloc(r->count + 1, sizeof(*taken));
	uint64_t min_bytes = 0;
	int code;

	op->count = (uint32_t)w->count;
	op->record.steps = df_arena_zalloc(p->arena, (w->count + 1) * sizeof(*op->record.steps));
	op->record.defaults = df_arena_zalloc(p->arena, (r->count + 1) * sizeof(*op->record.defaults));
	if (!taken || !op->record.steps || !op->record.defaults)
		return df_error_no_memory(p->err);
	code = make_members(p, r, op);
	for (size_t i = 0; i < w->count && code == 0; i++) {
		struct df_avro_step *step = &op->record.steps[i];

		step->slot = w == r ? (uint32_t)i : slot_of(r, &w->fields[i], i);
		if (step->slot != DF_AVRO_SLOT_NONE && taken[step->slot])
			step->slot = DF_AVRO_SLOT_NONE; /* two of the writer's by name and alias: the first */
		if (step->slot != DF_AVRO_SLOT_NONE)
			taken[step->slot] = true;
		code = resolve(p, w->fields[i].node,
			       step->slot == DF_AVRO_SLOT_NONE ? w->fields[i].node : r->fields[step->slot].node,
			       &step->op);
		if (code == 0)
			min_bytes += step->op->min_bytes;
	}
	op->min_bytes = min_bytes < MIN_BYTES_MAX ? (uint32_t)min_bytes : MIN_BYTES_MAX;
	for (size_t i = 0; i < r->count && code == 0; i++) {
		if (taken[i])
			continue;
		if (r->fields[i].def) {
			code = add_default(p, r, i, op);
			continue;
		}
		/* Found out too late for another kind of op; what was planned stays unused. */
		df_cleanup(df_buf_done) struct df_buf why = { 0 };
		struct df_avro_op *error;
		df_buf_printf(&why, ": its field `" DF_STR_FMT "` has no default and the writer does not have it",
			      DF_STR_ARG(r->fields[i].name));
		code = new_error(p, w, r, df_buf_c(&why), &error);
		if (code == 0)
			*op = *error;
		break;
	}
	return code;
}

static int resolve_named(struct planner *p, const struct df_avro_node *w, const struct df_avro_node *r,
			 struct df_avro_op **ret)
{
	struct known *known = p->known_cap ? known_find(p->known, p->known_cap, w, r) : NULL;
	int code;

	if (known && known->writer) {
		*ret = known->op;
		return 0;
	}
	if (w->type == DF_AVRO_FIXED) {
		code = resolve_leaf(p, w, r, ret);
		return code < 0 ? code : known_add(p, w, r, *ret);
	}
	code = new_op(p, w->type == DF_AVRO_ENUM ? OP_ENUM : OP_RECORD,
		      w->type == DF_AVRO_ENUM ? DF_LOGICAL_TEXT : DF_LOGICAL_NONE, ret);
	if (code == 0)
		code = known_add(p, w, r, *ret);
	if (code < 0)
		return code;
	return w->type == DF_AVRO_ENUM ? resolve_enum(p, w, r, *ret) : resolve_record(p, w, r, *ret);
}

/* ---- unions ---------------------------------------------------------------------------------------------- */

/* A value of w in one branch of the reader's union. */
static int resolve_into_union(struct planner *p, const struct df_avro_node *w, const struct df_avro_node *r,
			      const struct df_avro_node *branch, struct df_avro_op **ret)
{
	struct df_avro_op *inner;
	int code;

	if (!branch)
		return new_error(p, w, r, ": the union has no such branch", ret);
	code = resolve(p, w, branch, &inner);
	if (code < 0)
		return code;
	if (!df_avro_is_object(branch) || !df_avro_union_is_wide(r) || inner->code == OP_ERROR) {
		*ret = inner;
		return 0;
	}
	code = new_op(p, OP_WRAP, DF_LOGICAL_NONE, ret);
	if (code < 0)
		return code;
	(*ret)->min_bytes = inner->min_bytes;
	(*ret)->wrap.inner = inner;
	(*ret)->wrap.name = branch->name;
	return 0;
}

static int resolve_union(struct planner *p, const struct df_avro_node *w, const struct df_avro_node *r,
			 struct df_avro_op **ret)
{
	uint32_t least = MIN_BYTES_MAX;
	struct df_avro_op *op;
	int code = new_op(p, OP_UNION, DF_LOGICAL_NONE, &op);

	if (code < 0)
		return code;
	op->count = (uint32_t)w->count;
	op->branches = df_arena_alloc(p->arena, (w->count + 1) * sizeof(struct df_avro_op *));
	if (!op->branches)
		return df_error_no_memory(p->err);
	for (size_t i = 0; i < w->count && code == 0; i++) {
		const struct df_avro_node *b = w->branches[i];

		code = r->type != DF_AVRO_UNION
			       ? resolve(p, b, r, &op->branches[i])
			       : resolve_into_union(p, b, r, w == r ? b : choose(b, r), &op->branches[i]);
		if (code == 0 && op->branches[i]->min_bytes < least)
			least = op->branches[i]->min_bytes;
	}
	op->min_bytes = 1 + least;
	*ret = op;
	return code;
}

static int resolve_any(struct planner *p, const struct df_avro_node *w, const struct df_avro_node *r,
		       struct df_avro_op **ret)
{
	int code;

	if (w->type == DF_AVRO_UNION)
		return resolve_union(p, w, r, ret);
	if (r->type == DF_AVRO_UNION)
		return resolve_into_union(p, w, r, choose(w, r), ret);
	if (!matches(w, r))
		return new_error(p, w, r, "", ret);
	if (is_named(w))
		return resolve_named(p, w, r, ret);
	if (w->type != DF_AVRO_ARRAY && w->type != DF_AVRO_MAP)
		return resolve_leaf(p, w, r, ret);
	code = new_op(p, w->type == DF_AVRO_ARRAY ? OP_ARRAY : OP_MAP, DF_LOGICAL_NONE, ret);
	if (code < 0)
		return code;
	(*ret)->min_bytes = 1;
	return resolve(p, w->element, r->element, &(*ret)->element);
}

static int resolve(struct planner *p, const struct df_avro_node *w, const struct df_avro_node *r,
		   struct df_avro_op **ret)
{
	int code;

	if (++p->depth > DEPTH_MAX)
		return df_error_set(p->err, DF_ERR_CONFIG, "the schema's types nest more than %d deep", DEPTH_MAX);
	code = resolve_any(p, w, r, ret);
	p->depth--;
	return code;
}

int df_avro_plan(const struct df_avro_node *writer, const struct df_avro_node *reader, struct df_arena *arena,
		 struct df_avro_op **ret, struct df_error *err)
{
	struct planner p = { .arena = arena, .err = err };
	int code = resolve(&p, writer, reader ? reader : writer, ret);

	free(p.known);
	if (code == 0 && (*ret)->code == OP_ERROR)
		return df_error_set(err, DF_ERR_CONFIG, DF_STR_FMT, DF_STR_ARG((*ret)->why));
	return code;
}

#include "avro/decode.h"

#include <math.h>
#include <stdlib.h>

#include "avro/decode_read_internal.h"
#include "avro/plan_internal.h"

/* Types without bytes (null, an empty record) let a few bytes promise any number of values: how many more values than
 * bytes a message may have. */
#define VALUES_FREE 100000

struct df_avro_decoder {
	struct df_arena arena;
	struct df_avro_op *root;
};

static int decode(struct df_avro_in *in, struct df_avro_op *op, struct df_value *out);

/* ---- scalars --------------------------------------------------------------------------------------------- */

/* Nothing that JSON must escape, nothing beyond ASCII: eight bytes a step. */
static bool is_plain(const char *p, size_t len)
{
	const uint64_t ones = UINT64_C(0x0101010101010101), highs = ones << 7;
	uint64_t bad = 0;

	for (; len >= 8; p += 8, len -= 8) {
		uint64_t word, quote, slash;

		memcpy(&word, p, 8);
		quote = word ^ ones * '"';
		slash = word ^ ones * '\\';
		bad |= word | ((word - ones * 0x20) & ~word) | ((quote - ones) & ~quote) | ((slash - ones) & ~slash);
	}
	bad &= highs;
	for (; len; p++, len--)
		bad |= (uint8_t)*p < 0x20 || (uint8_t)*p >= 0x80 || *p == '"' || *p == '\\';
	return bad == 0;
}

int df_avro_out_text(struct df_avro_in *in, struct df_value *out, struct df_str text, enum df_logical logical)
{
	if (unlikely(text.len > UINT32_MAX))
		return df_avro_invalid(in, "a text is longer than 4 GiB");
	out->kind = DF_STRING;
	out->logical = (uint8_t)logical;
	out->text = text.ptr;
	out->len = (uint32_t)text.len;
	if (likely(is_plain(text.ptr, text.len))) {
		out->repr = DF_REPR_PLAIN;
	} else if (df_utf8_valid(text, NULL)) {
		out->repr = DF_REPR_TEXT;
	} else {
		out->repr = DF_REPR_BYTES; /* as any source does with text that is none */
		out->logical = DF_LOGICAL_BYTES;
	}
	return 0;
}

static int decode_string(struct df_avro_in *in, const struct df_avro_op *op, struct df_value *out)
{
	struct df_str text;
	int code = read_bytes(in, &text);

	return code < 0 ? code : df_avro_out_text(in, out, text, (enum df_logical)op->logical);
}

static int decode_binary(struct df_avro_in *in, const struct df_avro_op *op, struct df_value *out)
{
	struct df_str bytes;
	int code = op->code == OP_FIXED ? read_fixed(in, op->size, &bytes) : read_bytes(in, &bytes);

	if (code < 0)
		return code;
	if (bytes.len > UINT32_MAX)
		return df_avro_invalid(in, "bytes are longer than 4 GiB");
	out->kind = DF_STRING;
	out->repr = DF_REPR_BYTES;
	out->logical = DF_LOGICAL_BYTES;
	out->text = bytes.ptr;
	out->len = (uint32_t)bytes.len;
	return 0;
}

static int decode_real(struct df_avro_in *in, const struct df_avro_op *op, struct df_value *out)
{
	int code = df_avro_read_real(in, op, &out->float64);

	out->kind = isfinite(out->float64) ? DF_NUMBER : DF_STRING;
	out->repr = DF_REPR_FLOAT64;
	out->logical = op->logical;
	out->len = 0;
	return code;
}

static inline int decode_integer(struct df_avro_in *in, const struct df_avro_op *op, struct df_value *out)
{
	out->kind = DF_NUMBER;
	out->repr = DF_REPR_INT64;
	out->logical = op->logical;
	out->len = 0;
	return op->logical == DF_LOGICAL_INT32 ? read_int(in, &out->int64) : read_long(in, &out->int64);
}

static int decode_boolean(struct df_avro_in *in, struct df_value *out)
{
	if (in->p == in->end || *in->p > 1)
		return df_avro_invalid(in, "a boolean is neither 0 nor 1");
	out->kind = *in->p ? DF_TRUE : DF_FALSE;
	out->text = *in->p ? "true" : "false";
	out->len = *in->p ? 4 : 5;
	out->repr = DF_REPR_TEXT;
	out->logical = DF_LOGICAL_NONE;
	in->p++;
	return 0;
}

static void out_null(struct df_value *out)
{
	out->kind = DF_NULL;
	out->text = "null";
	out->len = 4;
	out->repr = DF_REPR_TEXT;
	out->logical = DF_LOGICAL_NONE;
}

static int decode_enum(struct df_avro_in *in, const struct df_avro_op *op, struct df_value *out)
{
	struct df_str label;
	int64_t index;
	int code = read_long(in, &index);

	if (code < 0)
		return code;
	if (index < 0 || index >= op->count)
		return df_avro_invalid(in, "an enum has no such symbol");
	if (!op->symbols[index].ptr)
		return df_avro_invalid(in, "an enum's symbol is unknown to the reader's schema, which has no default");
	label = df_arena_dup(in->arena, op->symbols[index]);
	return label.ptr ? df_avro_out_text(in, out, label, DF_LOGICAL_TEXT) : df_error_no_memory(in->err);
}

/* ---- containers ------------------------------------------------------------------------------------------ */

static void out_container(struct df_value *out, enum df_kind kind, struct df_value *first, struct df_value *last,
			  uint32_t len)
{
	out->kind = (uint8_t)kind;
	out->repr = DF_REPR_TEXT;
	out->logical = DF_LOGICAL_NONE;
	out->first = first;
	out->last = last;
	out->len = len;
}

/* The keys of the record in this batch's arena; one copy for all its documents. */
static bool bring_keys(struct df_avro_in *in, struct df_avro_op *op)
{
	const char *key = df_arena_dup(in->arena, df_str(op->record.keys, op->record.keys_len)).ptr;

	if (!key)
		return false;
	for (uint32_t i = 0; i < op->record.member_count; i++) {
		op->record.members[i].key = key;
		key += op->record.members[i].key_len;
	}
	op->batch = in->batch;
	return true;
}

/* Members that the writer does not have. Their bytes are copied, because texts point into them. */
static int decode_defaults(struct df_avro_in *in, const struct df_avro_op *op, struct df_value *members)
{
	int code = 0;

	for (uint32_t i = 0; i < op->record.default_count && code == 0; i++) {
		const struct df_avro_default *d = &op->record.defaults[i];
		const uint8_t *p = in->p, *end = in->end;
		struct df_str bytes = df_arena_dup(in->arena, d->bytes);

		if (!bytes.ptr)
			return df_error_no_memory(in->err);
		in->p = (const uint8_t *)bytes.ptr;
		in->end = in->p + bytes.len;
		code = decode(in, d->op, &members[d->slot]);
		in->p = p;
		in->end = end;
		if (code < 0)
			return df_avro_place_key(&in->place, df_value_key(&members[d->slot]), code);
	}
	return code;
}

static int decode_record(struct df_avro_in *in, struct df_avro_op *op, struct df_value *out)
{
	uint32_t count = op->record.member_count;
	struct df_value *members = df_arena_alloc(in->arena, count * sizeof(*members));
	int code = df_avro_enter(in, count + 1U);

	if (unlikely(code < 0))
		return code;
	if (unlikely(!members || (op->batch != in->batch && !bring_keys(in, op))))
		return df_error_no_memory(in->err);
	memcpy(members, op->record.members, count * sizeof(*members));
	for (uint32_t i = 0; i + 1 < count; i++)
		members[i].next = &members[i + 1];
	for (uint32_t i = 0; i < op->count; i++) {
		const struct df_avro_step *step = &op->record.steps[i];

		if (likely(step->slot != DF_AVRO_SLOT_NONE)) {
			code = decode(in, step->op, &members[step->slot]);
			if (unlikely(code < 0))
				return df_avro_place_key(&in->place, df_value_key(&members[step->slot]), code);
		} else {
			code = df_avro_skip(in, step->op);
			if (unlikely(code < 0))
				return code;
		}
	}
	if (op->record.default_count)
		code = decode_defaults(in, op, members);
	out_container(out, DF_OBJECT, count ? members : NULL, count ? &members[count - 1] : NULL, count);
	in->depth--;
	return code;
}

static int decode_key(struct df_avro_in *in, struct df_value *item)
{
	struct df_str key;
	int code = read_bytes(in, &key);

	if (code < 0)
		return code;
	item->key_plain = is_plain(key.ptr, key.len);
	if (!item->key_plain && !df_utf8_valid(key, NULL))
		return df_avro_invalid(in, "a map's key is not UTF-8");
	if (key.len > UINT32_MAX)
		return df_avro_invalid(in, "a map's key is longer than 4 GiB");
	item->key = key.ptr;
	item->key_len = (uint32_t)key.len;
	return 0;
}

/* Arrays, and maps, whose items have a key before them. */
static int decode_items(struct df_avro_in *in, const struct df_avro_op *op, struct df_value *out)
{
	bool map = op->code == OP_MAP;
	struct df_value *first = NULL, **link = &first, *last = NULL;
	uint64_t total = 0;
	int64_t n, bytes;
	int code = df_avro_enter(in, 1);

	while (code == 0 && (code = df_avro_read_block(in, op->element, map, &n, &bytes)) == 0 && n > 0) {
		struct df_value *items;

		if ((uint64_t)n > in->values_left || total + (uint64_t)n > UINT32_MAX)
			return df_avro_invalid(in, "a few bytes stand for too many values");
		in->values_left -= (uint64_t)n;
		items = df_arena_alloc(in->arena, (size_t)n * sizeof(*items));
		if (!items)
			return df_error_no_memory(in->err);
		for (int64_t i = 0; i < n; i++, total++) {
			items[i] = (struct df_value){ 0 };
			code = map ? decode_key(in, &items[i]) : 0;
			if (code == 0)
				code = decode(in, op->element, &items[i]);
			if (unlikely(code < 0))
				return df_avro_place_index(&in->place, total, code);
			*link = last = &items[i];
			link = &items[i].next;
		}
	}
	out_container(out, map ? DF_OBJECT : DF_ARRAY, first, last, (uint32_t)total);
	in->depth--;
	return code;
}

static int decode_wrap(struct df_avro_in *in, struct df_avro_op *op, struct df_value *out)
{
	struct df_value *member = df_arena_zalloc(in->arena, sizeof(*member));
	int code = df_avro_enter(in, 1);

	if (code < 0)
		return code;
	if (op->batch != in->batch) {
		op->wrap.key = df_arena_dup(in->arena, op->wrap.name).ptr;
		op->batch = op->wrap.key ? in->batch : 0;
	}
	if (!member || !op->wrap.key)
		return df_error_no_memory(in->err);
	member->key = op->wrap.key;
	member->key_len = (uint32_t)op->wrap.name.len;
	code = decode(in, op->wrap.inner, member);
	out_container(out, DF_OBJECT, member, member, 1);
	in->depth--;
	return code;
}

static int decode(struct df_avro_in *in, struct df_avro_op *op, struct df_value *out)
{
	int code;

	if (op->code == OP_UNION) { /* no union stands directly in a union */
		code = read_branch(in, op, &op);
		if (unlikely(code < 0))
			return code;
	}
	switch (op->code) {
	case OP_NULL:
		out_null(out);
		return 0;
	case OP_BOOLEAN:
		return decode_boolean(in, out);
	case OP_INT:
	case OP_LONG:
		return decode_integer(in, op, out);
	case OP_LONG_AS_FLOAT:
	case OP_FLOAT:
	case OP_DOUBLE:
		return decode_real(in, op, out);
	case OP_STRING:
		return decode_string(in, op, out);
	case OP_BYTES:
	case OP_FIXED:
		return decode_binary(in, op, out);
	case OP_ENUM:
		return decode_enum(in, op, out);
	case OP_ARRAY:
	case OP_MAP:
		return decode_items(in, op, out);
	case OP_RECORD:
		return decode_record(in, op, out);
	case OP_WRAP:
		return decode_wrap(in, op, out);
	case OP_ERROR:
		return df_error_set(in->err, DF_ERR_INVALID_DATA, DF_STR_FMT, DF_STR_ARG(op->why));
	case OP_DECIMAL:
	case OP_UUID: {
		struct df_str bytes;

		code = read_bytes(in, &bytes);
		return code < 0 ? code : df_avro_out_logical(in, op, out, bytes, 0);
	}
	case OP_DECIMAL_FIXED:
	case OP_UUID_FIXED:
	case OP_DURATION: {
		struct df_str bytes;

		code = read_fixed(in, op->size, &bytes);
		return code < 0 ? code : df_avro_out_logical(in, op, out, bytes, 0);
	}
	default: {
		int64_t number;

		code = op->code == OP_DATE ? read_int(in, &number) : read_long(in, &number);
		return code < 0 ? code : df_avro_out_logical(in, op, out, df_str(NULL, 0), number);
	}
	}
}

/* ---- decoders -------------------------------------------------------------------------------------------- */

void df_avro_decoder_free(struct df_avro_decoder *decoder)
{
	if (!decoder)
		return;
	df_arena_done(&decoder->arena);
	free(decoder);
}

int df_avro_decoder_new(const struct df_avro_schema *writer, const struct df_avro_schema *reader,
			struct df_avro_decoder **ret, struct df_error *err)
{
	df_cleanup(df_avro_decoder_freep) struct df_avro_decoder *decoder = calloc(1, sizeof(*decoder));
	int code;

	*ret = NULL;
	if (!decoder)
		return df_error_no_memory(err);
	df_arena_init(&decoder->arena, NULL);
	code = df_avro_plan(df_avro_schema_root(writer), reader ? df_avro_schema_root(reader) : NULL, &decoder->arena,
			    &decoder->root, err);
	if (code < 0)
		return code;
	*ret = DF_TAKE(decoder);
	return 0;
}

int df_avro_decode(struct df_avro_decoder *decoder, const struct df_avro_batch *batch, struct df_str bytes,
		   struct df_value **ret, struct df_error *err)
{
	struct df_avro_in in = {
		.start = (const uint8_t *)bytes.ptr,
		.p = (const uint8_t *)bytes.ptr,
		.end = (const uint8_t *)bytes.ptr + bytes.len,
		.arena = batch->arena,
		.batch = batch->number,
		.values_left = bytes.len + VALUES_FREE,
		.err = err,
	};
	struct df_value *root = df_arena_zalloc(batch->arena, sizeof(*root));
	struct df_str place;
	int code;

	if (!root)
		return df_error_no_memory(err);
	code = decode(&in, decoder->root, root);
	if (code == 0 && in.p != in.end)
		code = df_error_set(err, DF_ERR_INVALID_DATA, "%zu bytes are left over", (size_t)(in.end - in.p));
	if (code == DF_ERR_INVALID_DATA) {
		place = df_avro_place_str(&in.place);
		df_error_prefix(err, "Avro: byte %zu%s" DF_STR_FMT "%s", (size_t)(in.p - in.start),
				place.len ? ", field `" : "", DF_STR_ARG(place), place.len ? "`" : "");
	}
	*ret = root;
	return code;
}

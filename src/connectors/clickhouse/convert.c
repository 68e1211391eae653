/* One value into a column, exactly or not at all: connectors reference, sections 4 and 7. */
#include <arpa/inet.h>
#include <math.h>

#include "base/cleanup.h"
#include "connectors/clickhouse/convert_time.h"
#include "connectors/clickhouse/encode.h"
#include "connectors/clickhouse/input.h"
#include "connectors/clickhouse/wide.h"
#include "table/convert.h"

static int refuse(struct df_error *err, const char *what)
{
	return df_error_set(err, DF_ERR_INVALID_DATA, "%s", what);
}

static int wrong_kind(struct df_error *err, const struct df_value *v)
{
	return df_error_set(err, DF_ERR_INVALID_DATA, "%s does not fit", df_convert_kind(v));
}

static int put_bytes(struct df_ch_out *out, const void *bytes, size_t len, struct df_error *err)
{
	uint8_t *room = df_ch_stream_room(&out->stream, len);

	if (!room)
		return df_error_no_memory(err);
	if (len)
		memcpy(room, bytes, len);
	out->stream.len += len;
	return 0;
}

/* The lower `size` bytes, 1 to 8, of n. All eight are stored, because that is one instruction. */
static inline int put_word(struct df_ch_out *out, int64_t n, size_t size, struct df_error *err)
{
	uint8_t *room = df_ch_stream_room(&out->stream, sizeof(n));

	if (!room)
		return df_error_no_memory(err);
	memcpy(room, &n, sizeof(n));
	out->stream.len += size;
	return 0;
}

/* ---- numbers --------------------------------------------------------------------------------------------- */

/* The digits of a number, or of a string that is one; ptr NULL: neither. */
static struct df_str digits_of(const struct df_value *v, struct df_arena *arena)
{
	if (v->kind == DF_TRUE || v->kind == DF_FALSE)
		return v->kind == DF_TRUE ? DF_STR("1") : DF_STR("0");
	if (v->kind != DF_NUMBER && (v->kind != DF_STRING || v->repr == DF_REPR_BYTES))
		return df_str(NULL, 0);
	struct df_str text = df_value_text(v, arena);
	return text.ptr && (v->kind == DF_NUMBER || df_number_valid(text)) ? text : df_str(NULL, 0);
}

static int put_digits(struct df_ch_out *out, const struct df_value *v, struct df_arena *arena, struct df_error *err)
{
	const struct df_ch_type *t = out->type;
	struct df_str digits = digits_of(v, arena);
	uint8_t bytes[DF_CH_WIDE_MAX];

	if (!digits.ptr)
		return wrong_kind(err, v);
	switch (df_ch_wide_parse(digits, t->scale, t->precision, t->size, t->kind != DF_CH_UINT, bytes)) {
	case DF_CH_WIDE_FRACTION:
		return refuse(err, t->scale ? "the number has more fraction digits than the column"
					    : "the number has a fraction");
	case DF_CH_WIDE_RANGE:
		return refuse(err, "the number is out of range");
	default:
		return put_bytes(out, bytes, t->size, err);
	}
}

static int put_int(struct df_ch_out *out, struct df_value *v, struct df_arena *arena, struct df_error *err)
{
	const struct df_ch_type *t = out->type;
	int64_t n;

	if (t->size <= 8 && df_convert_plain_int64(v, &n)) {
		unsigned unused = (unsigned)(64 - 8 * t->size);
		int64_t narrow = t->kind == DF_CH_INT ? (int64_t)((uint64_t)n << unused) >> unused
						      : (int64_t)((uint64_t)n << unused >> unused);
		if (narrow != n || (t->kind == DF_CH_UINT && n < 0))
			return refuse(err, "the number is out of range");
		return put_word(out, n, t->size, err);
	}
	return put_digits(out, v, arena, err);
}

static int put_bool(struct df_ch_out *out, struct df_value *v, struct df_arena *arena, struct df_error *err)
{
	bool yes = false;
	int code = df_convert_bool(v, arena, &yes, err);

	return code == 0 ? put_bytes(out, &yes, 1, err) : code;
}

/* A float32 is exact when its shortest text is the same number. */
static int put_float32(struct df_ch_out *out, const struct df_value *v, double d, struct df_arena *arena,
		       struct df_error *err)
{
	float f = (float)d;
	char shortest[DF_NUMBER_MAX];
	uint32_t bits;

	if (isfinite(d) && (double)f != d) {
		if (!isfinite(f))
			return refuse(err, "the number is out of range");
		struct df_str digits = digits_of(v, arena);
		if (!digits.ptr || df_number_compare(df_str(shortest, df_number_from_float(f, shortest)), digits) != 0)
			return refuse(err, "the number has more digits than the column holds");
	}
	memcpy(&bits, &f, sizeof(bits));
	if (out->type->size == 4)
		return put_bytes(out, &bits, 4, err);
	if (bits & 0xffff && !isnan(f))
		return refuse(err, "the number has more digits than the column holds");
	bits >>= 16;
	return put_bytes(out, &bits, 2, err);
}

static int put_float(struct df_ch_out *out, struct df_value *v, struct df_arena *arena, struct df_error *err)
{
	double d = 0;
	int code = df_convert_double(v, arena, &d, err);

	if (code != 0)
		return code;
	return out->type->size == 8 ? put_bytes(out, &d, 8, err) : put_float32(out, v, d, arena, err);
}

/* The usual decimal, digits and a point, of up to 18 digits once it has the column's scale: without wide arithmetic. */
static bool plain_decimal(const struct df_ch_type *t, const struct df_value *v, int64_t *ret)
{
	const unsigned most = 18;
	bool negative = v->len && v->text[0] == '-';
	unsigned digits = 0;
	unsigned fraction = 0;
	bool point = false;
	int64_t n = 0;

	if (v->kind != DF_NUMBER || v->repr != DF_REPR_TEXT || v->len > most)
		return false;
	for (uint32_t i = negative; i < v->len; i++) {
		unsigned digit = (unsigned)(v->text[i] - '0');
		if (digit <= 9) {
			n = n * 10 + digit;
			digits += n > 0;
			fraction += point;
		} else if (v->text[i] == '.') {
			point = true;
		} else {
			return false;
		}
	}
	if (fraction > t->scale || digits + t->scale - fraction > (t->precision < most ? t->precision : most))
		return false; /* or zeros, or an error: the general way tells */
	for (; fraction < t->scale; fraction++)
		n *= 10;
	*ret = negative ? -n : n;
	return true;
}

static int put_decimal(struct df_ch_out *out, struct df_value *v, struct df_arena *arena, struct df_error *err)
{
	int64_t wide[DF_CH_WIDE_MAX / sizeof(int64_t)];

	if (!plain_decimal(out->type, v, &wide[0]))
		return put_digits(out, v, arena, err);
	if (out->type->size <= sizeof(wide[0]))
		return put_word(out, wide[0], out->type->size, err);
	wide[1] = wide[2] = wide[3] = wide[0] < 0 ? -1 : 0;
	return put_bytes(out, wide, out->type->size, err);
}

/* ---- text ------------------------------------------------------------------------------------------------ */

/* A string's content, bytes as they are, everything else as JSON text. */
static int text_of(struct df_value *v, struct df_arena *arena, struct df_str *ret, struct df_error *err)
{
	if (v->kind == DF_STRING && v->repr == DF_REPR_BYTES) {
		*ret = df_str(v->text, v->len);
		return 0;
	}
	return df_convert_text(v, arena, ret, err);
}

static int put_text(struct df_ch_out *out, struct df_str text, struct df_error *err)
{
	uint8_t *room = df_ch_stream_room(&out->stream, text.len + DF_CH_VARINT_MAX);

	if (!room)
		return df_error_no_memory(err);
	size_t head = df_ch_put_varint(room, text.len);
	if (text.len)
		memcpy(room + head, text.ptr, text.len);
	out->stream.len += head + text.len;
	return 0;
}

static int put_string(struct df_ch_out *out, struct df_value *v, struct df_arena *arena, struct df_error *err)
{
	struct df_str text = { 0 };
	int code = text_of(v, arena, &text, err);

	return code == 0 ? put_text(out, text, err) : code;
}

static int put_fixed_string(struct df_ch_out *out, struct df_value *v, struct df_arena *arena, struct df_error *err)
{
	uint32_t size = out->type->size;
	struct df_str text = { 0 };
	int code = text_of(v, arena, &text, err);

	if (code != 0)
		return code;
	if (text.len > size)
		return df_error_set(err, DF_ERR_INVALID_DATA, "the text has %zu bytes, more than %u", text.len, size);
	uint8_t *room = df_ch_stream_room(&out->stream, size);
	if (!room)
		return df_error_no_memory(err);
	memset(room, 0, size);
	if (text.len)
		memcpy(room, text.ptr, text.len);
	out->stream.len += size;
	return 0;
}

/* A text that is JSON already when its logical type says so, else the value as JSON. */
static int put_json(struct df_ch_out *out, struct df_value *v, struct df_arena *arena, struct df_error *err)
{
	if (v->kind == DF_STRING && v->logical == DF_LOGICAL_JSON)
		return put_string(out, v, arena, err);
	if (v->kind != DF_OBJECT)
		return refuse(err, "only an object fits");
	struct df_str text = df_value_to_arena(v, arena);
	return text.ptr ? put_text(out, text, err) : df_error_no_memory(err);
}

/* ---- texts with a meaning -------------------------------------------------------------------------------- */

static int need_text(const struct df_value *v, struct df_arena *arena, struct df_str *ret, struct df_error *err)
{
	if (v->kind != DF_STRING || v->repr == DF_REPR_BYTES)
		return wrong_kind(err, v);
	*ret = df_value_text(v, arena);
	return ret->ptr ? 0 : df_error_no_memory(err);
}

static int put_enum(struct df_ch_out *out, struct df_value *v, struct df_arena *arena, struct df_error *err)
{
	const struct df_ch_type *t = out->type;
	int64_t n = 0;
	bool is_number = df_convert_plain_int64(v, &n);
	struct df_str text = df_str(NULL, 0);
	int code = is_number ? 0 : need_text(v, arena, &text, err);

	if (code != 0)
		return code;
	for (size_t i = 0; i < t->count; i++)
		if (is_number ? t->labels[i].value == n : df_str_equal(t->labels[i].name, text))
			return put_bytes(out, &t->labels[i].value, t->size, err);
	return refuse(err, "the value is none of the enum's");
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* 32 hexadecimal digits, with hyphens where they belong or without any. Two 64 bit numbers, the upper half first. */
static int put_uuid(struct df_ch_out *out, struct df_value *v, struct df_arena *arena, struct df_error *err)
{
	struct df_str text = { 0 };
	uint8_t bytes[16] = { 0 };
	size_t digits = 0;
	int code = need_text(v, arena, &text, err);

	if (code != 0)
		return code;
	for (size_t i = 0; i < text.len; i++) {
		bool hyphen = text.len == 36 && (i == 8 || i == 13 || i == 18 || i == 23);
		int digit = hex_digit(text.ptr[i]);

		if (hyphen ? text.ptr[i] != '-' : digit < 0 || digits >= 32)
			return refuse(err, "the string is no UUID");
		if (hyphen)
			continue;
		size_t byte = digits++ / 2;
		size_t at = byte < 8 ? 7 - byte : 23 - byte;
		bytes[at] = (uint8_t)(bytes[at] << 4 | digit);
	}
	return digits == 32 ? put_bytes(out, bytes, sizeof(bytes), err) : refuse(err, "the string is no UUID");
}

static int put_address(struct df_ch_out *out, struct df_value *v, struct df_arena *arena, struct df_error *err)
{
	char text[INET6_ADDRSTRLEN];
	uint8_t v4[4];
	uint8_t v6[16] = { [10] = 0xff, [11] = 0xff }; /* an IPv4 address within IPv6 */
	struct df_str s = { 0 };
	int code = need_text(v, arena, &s, err);

	if (code != 0)
		return code;
	if (s.len >= sizeof(text))
		return refuse(err, "the string is no address");
	memcpy(text, s.ptr, s.len);
	text[s.len] = '\0';
	bool is_v4 = inet_pton(AF_INET, text, v4) == 1;
	if (out->type->kind == DF_CH_IPV4) {
		const uint8_t reversed[4] = { v4[3], v4[2], v4[1], v4[0] };
		return is_v4 ? put_bytes(out, reversed, 4, err) : refuse(err, "the string is no IPv4 address");
	}
	if (is_v4)
		memcpy(v6 + 12, v4, 4);
	else if (inet_pton(AF_INET6, text, v6) != 1)
		return refuse(err, "the string is no IPv6 address");
	return put_bytes(out, v6, 16, err);
}

static int put_time_type(struct df_ch_out *out, struct df_value *v, struct df_arena *arena, struct df_error *err)
{
	int64_t n = 0;
	int code = df_ch_convert_time(out->type, v, arena, &n, err);

	return code == 0 ? put_word(out, n, out->type->size, err) : code;
}

/* ---- containers ------------------------------------------------------------------------------------------ */

/* The offset where the next element of an array stands. */
static uint64_t elements_of(const struct df_ch_stream *offsets)
{
	uint64_t n = 0;

	if (offsets->len)
		memcpy(&n, offsets->data + offsets->len - sizeof(n), sizeof(n));
	return n;
}

static int put_array(struct df_ch_out *out, struct df_value *v, struct df_arena *arena, struct df_error *err)
{
	uint64_t end = elements_of(&out->stream) + v->len;

	if (v->kind != DF_ARRAY)
		return wrong_kind(err, v);
	df_for_each (element, v) {
		int code = df_ch_put(&out->children[0], element, arena, err);
		if (code != 0)
			return code;
	}
	return put_bytes(out, &end, sizeof(end), err);
}

static int put_map(struct df_ch_out *out, struct df_value *v, struct df_arena *arena, struct df_error *err)
{
	struct df_ch_out *pair = &out->children[0];
	uint64_t end = elements_of(&out->stream) + v->len;

	if (v->kind != DF_OBJECT)
		return wrong_kind(err, v);
	df_for_each (member, v) {
		struct df_value key = {
			.text = member->key, .len = member->key_len, .kind = DF_STRING, .repr = DF_REPR_TEXT
		};
		int code = df_ch_put(&pair->children[0], &key, arena, err);
		if (code == 0)
			code = df_ch_put(&pair->children[1], member, arena, err);
		if (code != 0)
			return code;
	}
	return put_bytes(out, &end, sizeof(end), err);
}

static int put_named_tuple(struct df_ch_out *out, struct df_value *v, struct df_arena *arena, struct df_error *err)
{
	struct df_value missing = { .kind = DF_NULL };
	size_t found = 0;

	for (size_t i = 0; i < out->child_count; i++) {
		struct df_value *member = df_object_get(v, out->type->names[i]);
		int code = df_ch_put(&out->children[i], member ? member : &missing, arena, err);
		if (code != 0)
			return df_error_prefix(err, "element \"" DF_STR_FMT "\"", DF_STR_ARG(out->type->names[i]));
		found += member != NULL;
	}
	return found == v->len ? 0 : refuse(err, "the object has a key that the tuple has not");
}

static int put_tuple(struct df_ch_out *out, struct df_value *v, struct df_arena *arena, struct df_error *err)
{
	struct df_ch_out *child = out->children;
	uint8_t nothing = 0;

	if (v->kind == DF_OBJECT && out->type->names)
		return put_named_tuple(out, v, arena, err);
	if (v->kind != DF_ARRAY)
		return wrong_kind(err, v);
	if (v->len != out->child_count)
		return df_error_set(err, DF_ERR_INVALID_DATA, "the array has %u elements, the tuple %zu", v->len,
				    out->child_count);
	df_for_each (element, v) {
		int code = df_ch_put(child++, element, arena, err);
		if (code != 0)
			return code;
	}
	return out->child_count ? 0 : put_bytes(out, &nothing, 1, err);
}

/* Is it the type that one would expect of the value? */
static bool is_natural(const struct df_ch_type *t, const struct df_value *v)
{
	int64_t n;

	switch (v->kind) {
	case DF_NUMBER:
		/* A whole number may be too large for an Int64. */
		return t->kind == DF_CH_INT || t->kind == DF_CH_UINT ||
		       (!df_value_to_int64(v, &n) && (t->kind == DF_CH_FLOAT || t->kind == DF_CH_DECIMAL));
	case DF_STRING:
		return v->logical == DF_LOGICAL_NONE || v->logical == DF_LOGICAL_TEXT || v->logical == DF_LOGICAL_BYTES
			       ? t->kind == DF_CH_STRING
			       : t->kind != DF_CH_STRING;
	case DF_ARRAY:
		return t->kind == DF_CH_ARRAY;
	case DF_OBJECT:
		return t->kind == DF_CH_MAP || t->kind == DF_CH_TUPLE || t->kind == DF_CH_JSON;
	default:
		return t->kind == DF_CH_BOOL;
	}
}

/* The first type that the value fits, those that one would expect before the others. */
static int put_variant(struct df_ch_out *out, struct df_value *v, struct df_arena *arena, struct df_error *err)
{
	for (int natural = 1; natural >= 0; natural--) {
		for (size_t i = 0; i < out->child_count; i++) {
			struct df_ch_out *child = &out->children[i];
			uint8_t which = (uint8_t)i;

			if (is_natural(child->type, v) != natural)
				continue;
			size_t *saved = df_ch_out_save(child, arena);
			if (!saved)
				return df_error_no_memory(err);
			int code = df_ch_put(child, v, arena, NULL);
			if (code == 0)
				return put_bytes(out, &which, 1, err);
			df_ch_out_restore(child, saved);
			if (code != DF_ERR_INVALID_DATA)
				return df_error_no_memory(err);
		}
	}
	return wrong_kind(err, v);
}

static int put_low_cardinality(struct df_ch_out *out, struct df_value *v, struct df_arena *arena, struct df_error *err)
{
	size_t start = out->children[0].stream.len;
	uint32_t index = 0;
	int code = df_ch_put(&out->children[0], v, arena, err);

	if (code != 0) {
		out->children[0].stream.len = start;
		return code;
	}
	code = df_ch_dictionary_add(out, start, &index, err);
	return code == 0 ? put_bytes(out, &index, sizeof(index), err) : code;
}

static int put_nullable(struct df_ch_out *out, struct df_value *v, struct df_arena *arena, struct df_error *err)
{
	uint8_t not_null = 0;
	int code = put_bytes(out, &not_null, 1, err);

	return code == 0 ? df_ch_put(&out->children[0], v, arena, err) : code;
}

/* ---- the whole ------------------------------------------------------------------------------------------- */

static int put_never(struct df_ch_out *out, struct df_value *v, struct df_arena *arena, struct df_error *err)
{
	(void)out;
	(void)arena;
	return wrong_kind(err, v);
}

static int (*const puts_by_kind[])(struct df_ch_out *, struct df_value *, struct df_arena *, struct df_error *) = {
	[DF_CH_INT] = put_int,
	[DF_CH_UINT] = put_int,
	[DF_CH_BOOL] = put_bool,
	[DF_CH_FLOAT] = put_float,
	[DF_CH_DECIMAL] = put_decimal,
	[DF_CH_DATE] = put_time_type,
	[DF_CH_DATETIME] = put_time_type,
	[DF_CH_DATETIME64] = put_time_type,
	[DF_CH_TIME] = put_time_type,
	[DF_CH_ENUM] = put_enum,
	[DF_CH_UUID] = put_uuid,
	[DF_CH_IPV4] = put_address,
	[DF_CH_IPV6] = put_address,
	[DF_CH_FIXED_STRING] = put_fixed_string,
	[DF_CH_NOTHING] = put_never,
	[DF_CH_STRING] = put_string,
	[DF_CH_ARRAY] = put_array,
	[DF_CH_TUPLE] = put_tuple,
	[DF_CH_MAP] = put_map,
	[DF_CH_NULLABLE] = put_nullable,
	[DF_CH_LOW_CARDINALITY] = put_low_cardinality,
	[DF_CH_VARIANT] = put_variant,
	[DF_CH_JSON] = put_json,
	[DF_CH_OPAQUE] = put_never,
};

/* NULL: 1 in the map and any value; entry 0 of a dictionary; no type of a variant. */
static int put_null(struct df_ch_out *out, struct df_error *err)
{
	const struct df_ch_type *t = out->type;
	uint32_t entry = 0;
	uint8_t null = 1;
	int code;

	switch (t->kind) {
	case DF_CH_NULLABLE:
		code = put_bytes(out, &null, 1, err);
		return code == 0 ? df_ch_put_default(&out->children[0], err) : code;
	case DF_CH_LOW_CARDINALITY:
		if (t->children[0]->kind == DF_CH_NULLABLE)
			return put_bytes(out, &entry, sizeof(entry), err);
		break;
	case DF_CH_VARIANT:
		null = 255;
		return put_bytes(out, &null, 1, err);
	default:
		break;
	}
	return refuse(err, "null does not fit a type that is not Nullable");
}

int df_ch_put(struct df_ch_out *out, struct df_value *v, struct df_arena *arena, struct df_error *err)
{
	if (v->kind == DF_NULL)
		return put_null(out, err);
	return puts_by_kind[out->type->kind](out, v, arena, err);
}

int df_ch_put_default(struct df_ch_out *out, struct df_error *err)
{
	const struct df_ch_type *t = out->type;
	struct df_value empty = { .kind = DF_STRING, .text = "" };
	uint64_t end;
	uint8_t *room;
	int code = 0;

	switch (t->kind) {
	case DF_CH_STRING:
		return put_text(out, df_str("", 0), err);
	case DF_CH_JSON:
		return put_text(out, DF_STR("{}"), err);
	case DF_CH_ARRAY:
	case DF_CH_MAP:
		end = elements_of(&out->stream);
		return put_bytes(out, &end, sizeof(end), err);
	case DF_CH_TUPLE:
		for (size_t i = 0; i < out->child_count && code == 0; i++)
			code = df_ch_put_default(&out->children[i], err);
		return code == 0 && !out->child_count ? put_bytes(out, "", 1, err) : code;
	case DF_CH_NULLABLE:
	case DF_CH_VARIANT:
		return put_null(out, err);
	case DF_CH_LOW_CARDINALITY:
		return t->children[0]->kind == DF_CH_NULLABLE ? put_null(out, err)
							      : put_low_cardinality(out, &empty, NULL, err);
	case DF_CH_ENUM:
		/* The server reads what stands behind a NULL too. */
		return t->count ? put_bytes(out, &t->labels[0].value, t->size, err) : refuse(err, "an empty enum");
	default:
		room = df_ch_stream_room(&out->stream, t->size);
		if (!room)
			return df_error_no_memory(err);
		memset(room, 0, t->size);
		out->stream.len += t->size;
		return 0;
	}
}

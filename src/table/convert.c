#include "table/convert.h"

#include <math.h>

const char *df_convert_kind(const struct df_value *v)
{
	return v->kind == DF_STRING && v->repr == DF_REPR_BYTES ? "bytes" : df_kind_words(v->kind);
}

static int refuse(struct df_error *err, const struct df_value *v, const char *wanted)
{
	return df_error_set(err, DF_ERR_INVALID_DATA, "%s does not fit %s", df_convert_kind(v), wanted);
}

/* The digits of a number or of a string that is one; ptr NULL: neither, or out of memory. */
static struct df_str digits_of(const struct df_value *v, struct df_arena *arena)
{
	if (v->kind != DF_NUMBER && (v->kind != DF_STRING || v->repr == DF_REPR_BYTES))
		return df_str(NULL, 0);
	struct df_str text = df_value_text(v, arena);
	return v->kind == DF_NUMBER || df_number_valid(text) ? text : df_str(NULL, 0);
}

/* The usual number, digits alone, without the general decimal arithmetic. */
static bool plain_int64(const struct df_value *v, int64_t *ret)
{
	bool negative = v->len && v->text[0] == '-';
	uint32_t i = negative;
	int64_t n = 0;

	if (v->len > 18 || i == v->len || (v->text[i] == '0' && i + 1 < v->len))
		return false;
	for (; i < v->len; i++) {
		unsigned digit = (unsigned)(v->text[i] - '0');
		if (digit > 9)
			return false;
		n = n * 10 + digit;
	}
	*ret = negative ? -n : n;
	return true;
}

bool df_convert_plain_int64(const struct df_value *v, int64_t *ret)
{
	if (v->kind != DF_NUMBER)
		return false;
	if (v->repr == DF_REPR_INT64) {
		*ret = v->int64;
		return true;
	}
	return v->repr == DF_REPR_TEXT && plain_int64(v, ret);
}

int df_convert_int64(const struct df_value *v, struct df_arena *arena, int64_t *ret, struct df_error *err)
{
	if (v->kind == DF_TRUE || v->kind == DF_FALSE) {
		*ret = v->kind == DF_TRUE;
		return 0;
	}
	if (df_convert_plain_int64(v, ret) || df_value_to_int64(v, ret))
		return 0;
	if (v->kind == DF_STRING && (v->repr == DF_REPR_PLAIN || v->repr == DF_REPR_TEXT) && plain_int64(v, ret))
		return 0;
	struct df_str text = digits_of(v, arena);
	if (!text.ptr)
		return refuse(err, v, "a column of integers");
	if (df_number_to_int64(text, ret))
		return 0;
	return df_error_set(err, DF_ERR_INVALID_DATA, "the number has a fraction or is outside the 64 bit integers");
}

/* Decimals of up to 15 digits are always the shortest text of their double (IEEE 754, DBL_DIG). */
static bool double_is_exact(struct df_str text, double d)
{
	char shortest[DF_NUMBER_MAX];

	if (text.len <= 15 && !memchr(text.ptr, 'e', text.len) && !memchr(text.ptr, 'E', text.len))
		return true;
	return df_number_compare(df_str(shortest, df_number_from_double(d, shortest)), text) == 0;
}

int df_convert_double(const struct df_value *v, struct df_arena *arena, double *ret, struct df_error *err)
{
	if (v->repr == DF_REPR_FLOAT64 && (v->kind == DF_NUMBER || v->kind == DF_STRING)) {
		*ret = v->float64;
		return 0;
	}
	if (v->kind == DF_TRUE || v->kind == DF_FALSE) {
		*ret = v->kind == DF_TRUE;
		return 0;
	}
	if (v->kind == DF_STRING) {
		if (df_value_string_equal(v, DF_STR("NaN"))) {
			*ret = NAN;
			return 0;
		}
		bool negative = df_value_string_equal(v, DF_STR("-Infinity"));
		if (negative || df_value_string_equal(v, DF_STR("Infinity"))) {
			*ret = negative ? -INFINITY : INFINITY;
			return 0;
		}
	}
	struct df_str text = digits_of(v, arena);
	if (!text.ptr)
		return refuse(err, v, "a column of numbers");
	if (!df_number_to_double(text, ret) || !double_is_exact(text, *ret))
		return df_error_set(err, DF_ERR_INVALID_DATA,
				    "the number has more digits than a double holds; use a text column to keep them");
	return 0;
}

int df_convert_bool(const struct df_value *v, struct df_arena *arena, bool *ret, struct df_error *err)
{
	int64_t number;

	if (v->kind == DF_TRUE || v->kind == DF_FALSE || df_value_string_equal(v, DF_STR("true")) ||
	    df_value_string_equal(v, DF_STR("false"))) {
		*ret = v->kind == DF_TRUE || (v->kind == DF_STRING && df_value_string_equal(v, DF_STR("true")));
		return 0;
	}
	if (df_convert_int64(v, arena, &number, NULL) != 0 || (number != 0 && number != 1))
		return refuse(err, v, "a column of booleans (true, false, 0, 1)");
	*ret = number == 1;
	return 0;
}

int df_convert_text(struct df_value *v, struct df_arena *arena, struct df_str *ret, struct df_error *err)
{
	if (v->kind != DF_STRING) {
		*ret = df_value_text(v, arena);
		return ret->ptr ? 0 : df_error_no_memory(err);
	}
	bool escaped = v->repr == DF_REPR_ESCAPED;
	if (df_value_unescape(v, arena) != 0)
		return df_error_no_memory(err);
	*ret = df_str(v->text, v->len);
	/* Only an escape can say what UTF-8 cannot. */
	if (escaped && !df_utf8_valid(*ret, NULL))
		return df_error_set(
			err, DF_ERR_INVALID_DATA,
			"the string contains half a surrogate pair (\\ud800 ... \\udfff), which no text can hold");
	return 0;
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool hex_decode(struct df_str hex, char *out)
{
	for (size_t i = 0; i + 1 < hex.len; i += 2) {
		int high = hex_digit(hex.ptr[i]);
		int low = hex_digit(hex.ptr[i + 1]);
		if (high < 0 || low < 0)
			return false;
		out[i / 2] = (char)(high << 4 | low);
	}
	return hex.len % 2 == 0;
}

int df_convert_bytes(const struct df_value *v, struct df_arena *arena, struct df_str *ret, struct df_error *err)
{
	if (v->kind != DF_STRING)
		return refuse(err, v, "a column of bytes");
	if (v->repr == DF_REPR_BYTES) {
		*ret = df_str(v->text, v->len);
		return 0;
	}
	struct df_str text = df_value_text(v, arena);
	if (!text.ptr)
		return df_error_no_memory(err);
	if (df_str_starts(text, DF_STR("\\x"))) {
		struct df_str hex = df_str(text.ptr + 2, text.len - 2);
		char *out = df_arena_alloc(arena, hex.len / 2);
		if (!out)
			return df_error_no_memory(err);
		if (!hex_decode(hex, out))
			return df_error_set(err, DF_ERR_INVALID_DATA, "the string after \\x is not hexadecimal");
		*ret = df_str(out, hex.len / 2);
		return 0;
	}

	df_cleanup(df_buf_done) struct df_buf bytes = { 0 };
	if (!df_buf_add_base64_decoded(&bytes, text))
		return bytes.failed ? df_error_no_memory(err)
				    : df_error_set(err, DF_ERR_INVALID_DATA,
						   "the string is neither base64 (padded) nor \\x and hexadecimal");
	*ret = df_arena_dup(arena, df_buf_str(&bytes));
	return ret->ptr ? 0 : df_error_no_memory(err);
}

int df_convert_timestamp(const struct df_value *v, struct df_arena *arena, struct df_civil *ret, struct df_error *err)
{
	bool has_offset;
	int32_t offset = 0;

	if (v->kind != DF_STRING || v->repr == DF_REPR_BYTES)
		return refuse(err, v, "a column of timestamps");
	struct df_str text = df_value_text(v, arena);
	if (!text.ptr)
		return df_error_no_memory(err);
	char midnight[] = "2006-01-02T00:00:00";
	if (text.len == strlen("2006-01-02")) {
		memcpy(midnight, text.ptr, text.len);
		text = df_str_c(midnight);
	}
	if (!df_time_parse(text, ret, &has_offset, &offset))
		return df_error_set(err, DF_ERR_INVALID_DATA,
				    "the string is not a time; expected 2006-01-02T15:04:05Z or 2006-01-02 15:04:05");
	if (offset != 0) {
		struct df_instant t = df_civil_to_unix(ret);
		t.seconds -= offset;
		*ret = df_civil_from_unix(t, 0);
	}
	return 0;
}

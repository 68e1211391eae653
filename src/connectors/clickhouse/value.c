/* Values of a block as nodes of a document: connectors reference, sections 1 and 7. */
#include <arpa/inet.h>
#include <math.h>
#include <stdio.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/time.h"
#include "connectors/clickhouse/block.h"
#include "connectors/clickhouse/wide.h"

/* ---- scalars --------------------------------------------------------------------------------------------- */

static int64_t load_signed(const uint8_t *p, size_t size)
{
	uint64_t n = 0;

	memcpy(&n, p, size);
	unsigned unused = (unsigned)(64 - 8 * size);
	return (int64_t)(n << unused) >> unused;
}

static uint64_t load_unsigned(const uint8_t *p, size_t size)
{
	uint64_t n = 0;

	memcpy(&n, p, size);
	return n;
}

/* A copied text with a logical type. */
static struct df_value *text_value(struct df_arena *arena, const char *text, size_t len, enum df_logical logical)
{
	struct df_value *v = df_value_string_copy(arena, df_str(text, len));

	if (v) {
		v->logical = logical;
		v->repr = DF_REPR_PLAIN; /* made of digits and signs */
	}
	return v;
}

static struct df_value *number_value(struct df_arena *arena, const char *text, size_t len, enum df_logical logical)
{
	struct df_str copy = df_arena_dup(arena, df_str(text, len));
	struct df_value *v = copy.ptr ? df_value_number(arena, copy) : NULL;

	if (v)
		v->logical = logical;
	return v;
}

static struct df_value *int_value(const struct df_ch_type *t, const uint8_t *p, struct df_arena *arena)
{
	char text[DF_CH_WIDE_TEXT];
	struct df_value *v;

	if (t->size > 8 || (t->kind == DF_CH_UINT && t->size == 8 && p[7] & 0x80)) {
		size_t len = df_ch_wide_text(p, t->size, t->kind == DF_CH_INT, 0, text);
		return number_value(arena, text, len, DF_LOGICAL_NONE);
	}
	v = df_value_int64(arena, t->kind == DF_CH_INT ? load_signed(p, t->size) : (int64_t)load_unsigned(p, t->size));
	if (v && (t->size < 4 || (t->size == 4 && t->kind == DF_CH_INT)))
		v->logical = DF_LOGICAL_INT32;
	return v;
}

static struct df_value *float_value(const struct df_ch_type *t, const uint8_t *p, struct df_arena *arena)
{
	double d;
	float f;

	if (t->size == 8) {
		memcpy(&d, p, sizeof(d));
		return df_value_float64(arena, d);
	}
	/* BFloat16 is the upper half of a float. */
	uint32_t bits = t->size == 2 ? (uint32_t)load_unsigned(p, 2) << 16 : (uint32_t)load_unsigned(p, 4);
	memcpy(&f, &bits, sizeof(f));
	struct df_value *v = df_value_float64(arena, f);
	if (v)
		v->logical = DF_LOGICAL_FLOAT32;
	return v;
}

static void two_digits(char *out, int n)
{
	out[0] = (char)('0' + n / 10);
	out[1] = (char)('0' + n % 10);
}

/* The year, month and day of a day since 1970 (Howard Hinnant, "chrono-compatible low-level date algorithms"). */
static void civil_from_days(int64_t days, int *ret_year, int *ret_month, int *ret_day)
{
	uint64_t z = (uint64_t)(days + 719468); /* since 0000-03-01; all our types begin later */
	uint64_t era = z / 146097;
	unsigned doe = (unsigned)(z % 146097);
	unsigned yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
	unsigned doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
	unsigned mp = (5 * doy + 2) / 153;

	*ret_day = (int)(doy - (153 * mp + 2) / 5 + 1);
	*ret_month = (int)(mp < 10 ? mp + 3 : mp - 9);
	*ret_year = (int)(yoe + era * 400 + (*ret_month <= 2));
}

static struct df_value *date_value(const struct df_ch_type *t, const uint8_t *p, struct df_arena *arena)
{
	int64_t days = t->size == 2 ? (int64_t)load_unsigned(p, 2) : load_signed(p, 4);
	char text[10];
	int year, month, day;

	civil_from_days(days < -719162 ? -719162 : days > 2932896 ? 2932896 : days, &year, &month, &day);
	two_digits(text, year / 100);
	two_digits(text + 2, year % 100);
	two_digits(text + 5, month);
	two_digits(text + 8, day);
	text[4] = text[7] = '-';
	return text_value(arena, text, sizeof(text), DF_LOGICAL_DATE);
}

static const int64_t powers[] = { 1, 10, 100, 1000, 10000, 100000, 1000000, 10000000, 100000000, 1000000000 };

/* RFC 3339 in UTC, the fraction without trailing zeros. What is outside the years 1 to 9999 no column type holds but a
 * DateTime64 that was not checked: the general way. */
static struct df_value *instant_value(struct df_instant t, struct df_arena *arena)
{
	const int64_t year_1 = -62135596800, year_10000 = 253402300800;
	char text[DF_RFC3339_MAX];
	int year, month, day;
	size_t len = 19;

	if (t.seconds < year_1 || t.seconds >= year_10000)
		return text_value(arena, text, df_rfc3339_format(t, 0, DF_FRACTION_SHORT, text),
				  DF_LOGICAL_TIMESTAMPTZ);
	int64_t days = (t.seconds - year_1) / 86400 + year_1 / 86400;
	int second = (int)(t.seconds - days * 86400);
	civil_from_days(days, &year, &month, &day);
	memcpy(text, "0000-00-00T00:00:00", len);
	two_digits(text, year / 100);
	two_digits(text + 2, year % 100);
	two_digits(text + 5, month);
	two_digits(text + 8, day);
	two_digits(text + 11, second / 3600);
	two_digits(text + 14, second / 60 % 60);
	two_digits(text + 17, second % 60);
	if (t.nanoseconds) {
		int rest = t.nanoseconds;
		text[len] = '.';
		for (size_t i = 9; i > 0; i--, rest /= 10)
			text[len + i] = (char)('0' + rest % 10);
		len += 10;
		while (text[len - 1] == '0')
			len--;
	}
	text[len++] = 'Z';
	return text_value(arena, text, len, DF_LOGICAL_TIMESTAMPTZ);
}

static struct df_value *ticks_value(const struct df_ch_type *t, const uint8_t *p, struct df_arena *arena)
{
	int64_t ticks = load_signed(p, 8);
	int64_t second = powers[t->scale];
	int64_t rest = ticks % second;
	struct df_instant at = { .seconds = ticks / second };

	if (rest < 0) {
		rest += second;
		at.seconds--;
	}
	at.nanoseconds = (int32_t)(rest * powers[9 - t->scale]);
	return instant_value(at, arena);
}

/* Time goes from -999:59:59 to 999:59:59; what is no time of day is a text. */
static struct df_value *time_value(const struct df_ch_type *t, const uint8_t *p, struct df_arena *arena)
{
	int64_t ticks = load_signed(p, t->size);
	int64_t second = powers[t->scale];
	uint64_t size = ticks < 0 ? -(uint64_t)ticks : (uint64_t)ticks;
	uint64_t seconds = size / (uint64_t)second;
	char text[64];
	bool of_day = ticks >= 0 && seconds < 86400;
	int len = snprintf(text, sizeof(text), "%s%02llu:%02llu:%02llu", ticks < 0 ? "-" : "",
			   (unsigned long long)(seconds / 3600), (unsigned long long)(seconds / 60 % 60),
			   (unsigned long long)(seconds % 60));

	if (size % (uint64_t)second) {
		len += snprintf(text + len, sizeof(text) - (size_t)len, ".%0*llu", t->scale,
				(unsigned long long)(size % (uint64_t)second));
		while (text[len - 1] == '0')
			len--;
	}
	return text_value(arena, text, (size_t)len, of_day ? DF_LOGICAL_TIME : DF_LOGICAL_TEXT);
}

static struct df_value *string_value(struct df_str s, struct df_arena *arena, bool *not_utf8)
{
	struct df_str copy = df_arena_dup(arena, s);
	struct df_value *v;

	if (!copy.ptr)
		return NULL;
	if (!df_utf8_valid(copy, NULL)) {
		*not_utf8 = true;
		return df_value_bytes(arena, copy);
	}
	v = df_value_string(arena, copy);
	if (v)
		v->logical = DF_LOGICAL_TEXT;
	return v;
}

/* A label is bytes to the server, as a String is. */
static struct df_value *enum_value(const struct df_ch_type *t, const uint8_t *p, struct df_arena *arena, bool *not_utf8)
{
	int64_t n = load_signed(p, t->size);

	for (size_t i = 0; i < t->count; i++)
		if (t->labels[i].value == n)
			return string_value(t->labels[i].name, arena, not_utf8);
	return df_value_int64(arena, n); /* the server holds a value that its type no longer names */
}

/* Two 64 bit numbers, the upper half first. */
static struct df_value *uuid_value(const uint8_t *p, struct df_arena *arena)
{
	static const char hex[] = "0123456789abcdef";
	char text[36];
	char *out = text;

	for (int i = 0; i < 16; i++) {
		uint8_t byte = p[i < 8 ? 7 - i : 23 - i];
		if (i == 4 || i == 6 || i == 8 || i == 10)
			*out++ = '-';
		*out++ = hex[byte >> 4];
		*out++ = hex[byte & 15];
	}
	return text_value(arena, text, sizeof(text), DF_LOGICAL_UUID);
}

static struct df_value *address_value(const struct df_ch_type *t, const uint8_t *p, struct df_arena *arena)
{
	char text[INET6_ADDRSTRLEN];
	const uint8_t v4[4] = { p[3], p[2], p[1], p[0] };
	const char *done = t->kind == DF_CH_IPV4 ? inet_ntop(AF_INET, v4, text, sizeof(text))
						 : inet_ntop(AF_INET6, p, text, sizeof(text));

	return done ? text_value(arena, text, strlen(text), DF_LOGICAL_TEXT) : NULL;
}

static struct df_value *fixed_string_value(const struct df_ch_type *t, const uint8_t *p, struct df_arena *arena,
					   bool *not_utf8)
{
	struct df_str s = df_str((const char *)p, t->size);

	while (s.len && s.ptr[s.len - 1] == '\0')
		s.len--;
	return string_value(s, arena, not_utf8);
}

static struct df_value *decimal_value(const struct df_ch_type *t, const uint8_t *p, struct df_arena *arena)
{
	char text[DF_CH_WIDE_TEXT];

	return number_value(arena, text, df_ch_wide_text(p, t->size, true, t->scale, text), DF_LOGICAL_DECIMAL);
}

/* A value of fixed size; NULL: out of memory. */
static struct df_value *fixed_value(const struct df_ch_type *t, const uint8_t *p, struct df_arena *arena,
				    bool *not_utf8)
{
	switch (t->kind) {
	case DF_CH_INT:
	case DF_CH_UINT:
		return int_value(t, p, arena);
	case DF_CH_BOOL:
		return df_value_new(arena, *p ? DF_TRUE : DF_FALSE);
	case DF_CH_FLOAT:
		return float_value(t, p, arena);
	case DF_CH_DECIMAL:
		return decimal_value(t, p, arena);
	case DF_CH_DATE:
		return date_value(t, p, arena);
	case DF_CH_DATETIME:
		return instant_value((struct df_instant){ .seconds = (int64_t)load_unsigned(p, 4) }, arena);
	case DF_CH_DATETIME64:
		return ticks_value(t, p, arena);
	case DF_CH_TIME:
		return time_value(t, p, arena);
	case DF_CH_ENUM:
		return enum_value(t, p, arena, not_utf8);
	case DF_CH_UUID:
		return uuid_value(p, arena);
	case DF_CH_IPV4:
	case DF_CH_IPV6:
		return address_value(t, p, arena);
	case DF_CH_FIXED_STRING:
		return fixed_string_value(t, p, arena, not_utf8);
	default:
		return df_value_new(arena, DF_NULL); /* Nothing */
	}
}

/* ---- containers ------------------------------------------------------------------------------------------ */

static int array_value(const struct df_ch_column *c, size_t row, struct df_arena *arena, struct df_value *array,
		       bool *not_utf8, struct df_error *err)
{
	uint64_t end = df_ch_end(c, row);

	for (uint64_t i = row ? df_ch_end(c, row - 1) : 0; i < end; i++) {
		struct df_value *v;
		int code = df_ch_value(&c->children[0], (size_t)i, arena, &v, not_utf8, err);
		if (code != 0)
			return code;
		df_array_append(array, v);
	}
	return 0;
}

/* An object by field names; without names an array. */
static int tuple_value(const struct df_ch_column *c, size_t row, struct df_arena *arena, struct df_value *tuple,
		       bool *not_utf8, struct df_error *err)
{
	for (size_t i = 0; i < c->child_count; i++) {
		struct df_value *v;
		int code = df_ch_value(&c->children[i], row, arena, &v, not_utf8, err);
		if (code != 0)
			return code;
		if (!c->type->names) {
			df_array_append(tuple, v);
			continue;
		}
		struct df_str key = df_arena_dup(arena, c->type->names[i]);
		if (!key.ptr)
			return df_error_no_memory(err);
		df_object_append(tuple, key, v);
	}
	return 0;
}

static int compare_keys(const void *a, const void *b)
{
	return df_str_compare(df_value_key(*(struct df_value *const *)a), df_value_key(*(struct df_value *const *)b));
}

static int check_keys(const struct df_value *map, struct df_arena *arena, struct df_error *err)
{
	size_t n = 0;

	if (map->len < 2)
		return 0;
	const struct df_value **sorted = df_arena_alloc(arena, map->len * sizeof(*sorted));
	if (!sorted)
		return df_error_no_memory(err);
	df_for_each (member, map)
		sorted[n++] = member;
	qsort(sorted, n, sizeof(*sorted), compare_keys);
	for (size_t i = 1; i < n; i++)
		if (compare_keys(&sorted[i - 1], &sorted[i]) == 0)
			return df_error_set(err, DF_ERR_INVALID_DATA,
					    "a map has one key twice, which no object can hold; select mapKeys() and "
					    "mapValues() instead");
	return 0;
}

/* Keys as text. */
static int map_value(const struct df_ch_column *c, size_t row, struct df_arena *arena, struct df_value *map,
		     bool *not_utf8, struct df_error *err)
{
	const struct df_ch_column *keys = &c->children[0].children[0];
	const struct df_ch_column *values = &c->children[0].children[1];
	uint64_t end = df_ch_end(c, row);

	for (uint64_t i = row ? df_ch_end(c, row - 1) : 0; i < end; i++) {
		struct df_value *k, *v;
		int code = df_ch_value(keys, (size_t)i, arena, &k, not_utf8, err);
		if (code == 0)
			code = df_ch_value(values, (size_t)i, arena, &v, not_utf8, err);
		if (code != 0)
			return code;
		struct df_str key = df_value_text(k, arena);
		if (!key.ptr)
			return df_error_no_memory(err);
		df_object_append(map, key, v);
	}
	return check_keys(map, arena, err);
}

/* ---- the whole ------------------------------------------------------------------------------------------- */

int df_ch_value(const struct df_ch_column *c, size_t row, struct df_arena *arena, struct df_value **ret, bool *not_utf8,
		struct df_error *err)
{
	const struct df_ch_type *t;
	int code = 0;

	if (!df_ch_resolve(&c, &row)) {
		*ret = df_value_new(arena, DF_NULL);
		return *ret ? 0 : df_error_no_memory(err);
	}
	t = c->type;
	switch (t->kind) {
	case DF_CH_STRING:
		*ret = string_value(df_ch_string(c, row), arena, not_utf8);
		break;
	case DF_CH_ARRAY:
		*ret = df_value_new(arena, DF_ARRAY);
		code = *ret ? array_value(c, row, arena, *ret, not_utf8, err) : 0;
		break;
	case DF_CH_TUPLE:
		*ret = df_value_new(arena, t->names ? DF_OBJECT : DF_ARRAY);
		code = *ret ? tuple_value(c, row, arena, *ret, not_utf8, err) : 0;
		break;
	case DF_CH_MAP:
		*ret = df_value_new(arena, DF_OBJECT);
		code = *ret ? map_value(c, row, arena, *ret, not_utf8, err) : 0;
		break;
	case DF_CH_VARIANT: {
		uint8_t which = (uint8_t)c->data.data[row];
		if (which != 255)
			return df_ch_value(&c->children[which], (size_t)df_ch_end(c, row), arena, ret, not_utf8, err);
		*ret = df_value_new(arena, DF_NULL);
		break;
	}
	default:
		*ret = fixed_value(t, df_ch_fixed(c, row), arena, not_utf8);
		break;
	}
	return *ret ? code : df_error_no_memory(err);
}

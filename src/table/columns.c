#include "table/columns.h"

#include <stdlib.h>
#include <strings.h>

#include "base/time.h"
#include "table/identifier.h"

/* ---- the columns of a table ------------------------------------------------------------------------------ */

struct df_column *df_columns_add(struct df_columns *columns, struct df_str name, struct df_str type)
{
	struct df_column *items = reallocarray(columns->items, columns->count + 1, sizeof(*items));

	if (!items)
		return NULL;
	columns->items = items;
	struct df_column *column = &items[columns->count];
	*column = (struct df_column){ .name = df_str_dup(name), .type = df_str_dup(type) };
	if (!column->name || !column->type) {
		free(column->name);
		free(column->type);
		return NULL;
	}
	columns->count++;
	return column;
}

static bool same_name(const struct df_columns *columns, struct df_str a, const char *b)
{
	if (!columns->any_case)
		return df_str_equal_c(a, b);
	return a.len == strlen(b) && strncasecmp(a.ptr, b, a.len) == 0;
}

size_t df_columns_find(const struct df_columns *columns, struct df_str name)
{
	for (size_t i = 0; i < columns->count; i++)
		if (same_name(columns, name, columns->items[i].name))
			return i;
	return DF_NO_COLUMN;
}

void df_columns_done(struct df_columns *columns)
{
	if (!columns)
		return;
	for (size_t i = 0; i < columns->count; i++) {
		free(columns->items[i].name);
		free(columns->items[i].type);
	}
	free(DF_TAKE(columns->items));
	columns->count = 0;
}

/* ---- inference: classes ---------------------------------------------------------------------------------- */

static enum df_class class_of(const struct df_value *v)
{
	static const enum df_class of_logical[] = {
		[DF_LOGICAL_INT32] = DF_CLASS_INT32,	     [DF_LOGICAL_INT64] = DF_CLASS_INT64,
		[DF_LOGICAL_DECIMAL] = DF_CLASS_DECIMAL,     [DF_LOGICAL_FLOAT32] = DF_CLASS_FLOAT32,
		[DF_LOGICAL_FLOAT64] = DF_CLASS_FLOAT64,     [DF_LOGICAL_TEXT] = DF_CLASS_TEXT,
		[DF_LOGICAL_BYTES] = DF_CLASS_BYTES,	     [DF_LOGICAL_DATE] = DF_CLASS_DATE,
		[DF_LOGICAL_TIME] = DF_CLASS_TIME,	     [DF_LOGICAL_TIMETZ] = DF_CLASS_TIMETZ,
		[DF_LOGICAL_TIMESTAMP] = DF_CLASS_TIMESTAMP, [DF_LOGICAL_TIMESTAMPTZ] = DF_CLASS_TIMESTAMPTZ,
		[DF_LOGICAL_INTERVAL] = DF_CLASS_INTERVAL,   [DF_LOGICAL_UUID] = DF_CLASS_UUID,
		[DF_LOGICAL_JSON] = DF_CLASS_JSON,
	};

	if (v->kind == DF_NULL)
		return DF_CLASS_NULL;
	if (v->logical != DF_LOGICAL_NONE && v->logical < DF_ARRAY_SIZE(of_logical))
		return of_logical[v->logical];
	switch (v->kind) {
	case DF_FALSE:
	case DF_TRUE:
		return DF_CLASS_BOOL;
	case DF_NUMBER:
		return DF_CLASS_NUMBER;
	case DF_STRING:
		return DF_CLASS_TEXT;
	default:
		return DF_CLASS_JSON;
	}
}

static bool is_number(enum df_class c)
{
	return c >= DF_CLASS_INT32 && c <= DF_CLASS_NUMBER;
}

static bool is_moment(enum df_class c)
{
	return c == DF_CLASS_DATE || c == DF_CLASS_TIMESTAMP || c == DF_CLASS_TIMESTAMPTZ;
}

/* The narrowest class that holds both. The enumeration's order is the order of widening within a family. */
static enum df_class widen(enum df_class a, enum df_class b)
{
	enum df_class low = a < b ? a : b;
	enum df_class high = a < b ? b : a;

	if (low == high || low == DF_CLASS_NULL)
		return high;
	if (high == DF_CLASS_JSON)
		return high;
	if (is_number(low) && is_number(high)) {
		if (low == DF_CLASS_INT32 && (high == DF_CLASS_FLOAT32 || high == DF_CLASS_FLOAT64))
			return DF_CLASS_FLOAT64;
		/* A double does not hold every int64 or decimal: together with floats they are just numbers. */
		bool exact = high <= DF_CLASS_DECIMAL;
		bool floats = low >= DF_CLASS_FLOAT32 && high <= DF_CLASS_FLOAT64;
		return exact || floats ? high : DF_CLASS_NUMBER;
	}
	if (is_moment(low) && is_moment(high))
		return high;
	if (low == DF_CLASS_TIME && high == DF_CLASS_TIMETZ)
		return high;
	return DF_CLASS_TEXT;
}

/* ---- inference: digits ----------------------------------------------------------------------------------- */

struct digits {
	uint32_t integer, fraction;
};

/* Digits of the plain decimal form, leading zeros and trailing zeros of the fraction not counted. */
static struct digits count_digits(struct df_str text)
{
	size_t i = 0, digits = 0, point = 0;
	size_t first = SIZE_MAX, last = 0; /* of the digits that are not zero */
	bool seen_point = false;
	int64_t exponent = 0;

	for (; i < text.len && text.ptr[i] != 'e' && text.ptr[i] != 'E'; i++) {
		char c = text.ptr[i];
		if (c == '.') {
			seen_point = true;
			point = digits;
		} else if (c != '-') {
			if (c != '0') {
				first = first == SIZE_MAX ? digits : first;
				last = digits;
			}
			digits++;
		}
	}
	if (first == SIZE_MAX)
		return (struct digits){ 1, 0 };
	if (i < text.len) {
		struct df_str e = df_str(text.ptr + i + 1, text.len - i - 1);
		if (e.len && e.ptr[0] == '+')
			e = df_str(e.ptr + 1, e.len - 1);
		if (!df_str_to_int64(e, &exponent) || exponent > INT32_MAX || exponent < INT32_MIN)
			exponent = text.ptr[i + 1] == '-' ? INT32_MIN : INT32_MAX;
	}
	int64_t dot = (int64_t)(seen_point ? point : digits) + exponent;
	int64_t integer = dot - (int64_t)first;
	int64_t fraction = (int64_t)last + 1 - dot;
	return (struct digits){ integer > 0 ? (uint32_t)integer : 1, fraction > 0 ? (uint32_t)fraction : 0 };
}

/* Fraction digits with the zeros at the end, which a database writes up to its column's scale. */
static uint32_t written_scale(struct df_str text, uint32_t fraction)
{
	const char *point = memchr(text.ptr, '.', text.len);

	if (!point || memchr(text.ptr, 'e', text.len) || memchr(text.ptr, 'E', text.len))
		return fraction;
	return (uint32_t)(text.len - (size_t)(point - text.ptr) - 1);
}

static void look_at_number(struct df_inferred *column, const struct df_value *v)
{
	char local[DF_NUMBER_MAX];
	char shortest[DF_NUMBER_MAX];
	struct df_str text;
	int64_t whole;
	double d;

	if (v->repr == DF_REPR_INT64)
		text = df_str(local, df_number_from_int64(v->int64, local));
	else if (v->repr == DF_REPR_FLOAT64)
		text = df_str(local, df_number_from_double(v->float64, local));
	else
		text = df_str(v->text, v->len);

	struct digits digits = count_digits(text);
	if (digits.integer > column->integer_digits)
		column->integer_digits = digits.integer;
	if (digits.fraction > column->fraction_digits)
		column->fraction_digits = digits.fraction;
	uint32_t scale = written_scale(text, digits.fraction);
	if (scale > column->scale)
		column->scale = scale;
	column->negative |= text.ptr[0] == '-';
	column->whole &= digits.fraction == 0;
	bool int64 = df_number_to_int64(text, &whole);
	bool float64 = v->repr == DF_REPR_FLOAT64 ||
		       (df_number_to_double(text, &d) &&
			df_number_compare(df_str(shortest, df_number_from_double(d, shortest)), text) == 0);
	column->int64 &= int64;
	column->float64 &= float64;
	column->exact &= int64 || float64;
}

static void look_at_string(struct df_inferred *column, const struct df_value *v, bool first)
{
	struct df_instant t;
	struct df_str text = df_str(v->text, v->len); /* an escape or base64 is in no time, so that any form will do */
	bool time = v->repr != DF_REPR_FLOAT64 && v->repr != DF_REPR_BYTES && df_rfc3339_parse(text, &t);

	column->rfc3339 = time && (first || column->rfc3339);
	if (!time)
		return;
	const char *dot = memchr(text.ptr, '.', text.len);
	uint32_t n = 0;
	if (dot)
		for (const char *p = dot + 1; p < text.ptr + text.len && *p >= '0' && *p <= '9'; p++)
			n++;
	if (n > column->second_digits)
		column->second_digits = n;
}

/* ---- inference: rows ------------------------------------------------------------------------------------- */

/* Where the key is; the place after the previous key's is tried first, because rows mostly look alike. */
static struct df_inferred *find_or_add(struct df_inference *in, size_t hint, struct df_str key, struct df_error *err)
{
	if (hint < in->count && df_str_equal(in->items[hint].name, key))
		return &in->items[hint];
	struct df_inferred *found = (struct df_inferred *)df_inference_find(in, key);
	if (found)
		return found;

	if (df_name_check(key, "a key that would be a column's name", err) != 0)
		return NULL;
	if (in->count >= DF_INFERENCE_MAX) {
		df_error_set(
			err, DF_ERR_INVALID_DATA,
			"rows have more than %d different keys; keep what is needed with the `select` transformation",
			DF_INFERENCE_MAX);
		return NULL;
	}
	if (in->count == in->cap) {
		size_t cap = in->cap ? in->cap * 2 : 16;
		struct df_inferred *items = reallocarray(in->items, cap, sizeof(*items));
		if (!items) {
			df_error_no_memory(err);
			return NULL;
		}
		in->items = items;
		in->cap = cap;
	}
	struct df_inferred *column = &in->items[in->count++];
	*column = (struct df_inferred){ .name = key, .whole = true, .int64 = true, .float64 = true, .exact = true };
	return column;
}

/* A column for each key, or for none: a row that cannot be one leaves nothing behind. */
static int add_columns(struct df_inference *in, const struct df_value *row, struct df_error *err)
{
	size_t before = in->count, hint = 0;

	df_for_each (member, row) {
		struct df_inferred *column = find_or_add(in, hint, df_value_key(member), err);
		if (!column) {
			in->count = before;
			return err->code;
		}
		hint = (size_t)(column - in->items) + 1;
	}
	return 0;
}

int df_inference_add(struct df_inference *in, const struct df_value *row, struct df_error *err)
{
	struct df_error local = DF_ERROR_INIT;
	size_t hint = 0;

	if (add_columns(in, row, &local) != 0) {
		if (err)
			*err = local;
		return local.code;
	}
	df_for_each (member, row) {
		struct df_inferred *column = find_or_add(in, hint, df_value_key(member), &local); /* there is one now */
		hint = (size_t)(column - in->items) + 1;

		bool first = column->rows == column->nulls;
		column->rows++;
		column->nulls += member->kind == DF_NULL;
		column->class = widen(column->class, class_of(member));
		if (member->kind == DF_STRING)
			look_at_string(column, member, first);
		else if (member->kind != DF_NULL)
			column->rfc3339 = false;
		if (member->kind == DF_NUMBER)
			look_at_number(column, member);
	}
	in->rows++;
	return 0;
}

const struct df_inferred *df_inference_find(const struct df_inference *in, struct df_str name)
{
	for (size_t i = 0; i < in->count; i++)
		if (df_str_equal(in->items[i].name, name))
			return &in->items[i];
	return NULL;
}

static int by_name(const void *a, const void *b)
{
	return df_str_compare(((const struct df_inferred *)a)->name, ((const struct df_inferred *)b)->name);
}

void df_inference_sort(struct df_inference *in)
{
	if (in->count)
		qsort(in->items, in->count, sizeof(*in->items), by_name);
}

bool df_inferred_always(const struct df_inference *in, const struct df_inferred *column)
{
	return column->rows == in->rows && column->nulls == 0;
}

void df_inference_done(struct df_inference *in)
{
	if (!in)
		return;
	free(DF_TAKE(in->items));
	in->count = in->cap = 0;
}

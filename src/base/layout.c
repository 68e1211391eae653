/* Go's time layouts for writing (package time, format.go: nextStdChunk, AppendFormat), in UTC only. */
#include "base/time.h"

#include <stdio.h>

#define DF_LAYOUT_MAX 1024

enum df_layout_kind {
	DF_LAYOUT_LITERAL,
	DF_LAYOUT_YEAR,
	DF_LAYOUT_YEAR2,
	DF_LAYOUT_MONTH_NAME,
	DF_LAYOUT_MONTH_SHORT,
	DF_LAYOUT_MONTH2,
	DF_LAYOUT_MONTH,
	DF_LAYOUT_DAY2,
	DF_LAYOUT_DAY_BLANK,
	DF_LAYOUT_DAY,
	DF_LAYOUT_WEEKDAY_NAME,
	DF_LAYOUT_WEEKDAY_SHORT,
	DF_LAYOUT_YEARDAY3,
	DF_LAYOUT_YEARDAY_BLANK,
	DF_LAYOUT_HOUR24,
	DF_LAYOUT_HOUR12_2,
	DF_LAYOUT_HOUR12,
	DF_LAYOUT_PM,
	DF_LAYOUT_PM_LOWER,
	DF_LAYOUT_MINUTE2,
	DF_LAYOUT_MINUTE,
	DF_LAYOUT_SECOND2,
	DF_LAYOUT_SECOND,
	DF_LAYOUT_FRACTION_ZEROS,
	DF_LAYOUT_FRACTION_NINES,
	DF_LAYOUT_UNIX, /* text: digits behind the seconds */
};

struct df_layout_op {
	enum df_layout_kind kind;
	int digits;	    /* fraction: 1..9; DF_LAYOUT_UNIX: 0, 3, 6, 9 */
	struct df_str text; /* literal; fraction: its separator. In df_layout.text or static */
};

struct df_layout {
	char *text;
	size_t n;
	struct df_layout_op ops[];
};

/* A longer token stands before one that begins it. In UTC every zone token is a constant. */
static const struct df_layout_token {
	const char *token;
	enum df_layout_kind kind;
	const char *literal;
	bool no_lower; /* not a token when a..z follows */
} df_layout_tokens[] = {
	{ "2006", DF_LAYOUT_YEAR },
	{ "06", DF_LAYOUT_YEAR2 },
	{ "January", DF_LAYOUT_MONTH_NAME },
	{ "Jan", DF_LAYOUT_MONTH_SHORT, .no_lower = true },
	{ "01", DF_LAYOUT_MONTH2 },
	{ "15", DF_LAYOUT_HOUR24 },
	{ "1", DF_LAYOUT_MONTH },
	{ "002", DF_LAYOUT_YEARDAY3 },
	{ "__2", DF_LAYOUT_YEARDAY_BLANK },
	{ "02", DF_LAYOUT_DAY2 },
	{ "_2006", DF_LAYOUT_YEAR, .literal = "_" },
	{ "_2", DF_LAYOUT_DAY_BLANK },
	{ "2", DF_LAYOUT_DAY },
	{ "Monday", DF_LAYOUT_WEEKDAY_NAME },
	{ "Mon", DF_LAYOUT_WEEKDAY_SHORT, .no_lower = true },
	{ "03", DF_LAYOUT_HOUR12_2 },
	{ "3", DF_LAYOUT_HOUR12 },
	{ "PM", DF_LAYOUT_PM },
	{ "pm", DF_LAYOUT_PM_LOWER },
	{ "04", DF_LAYOUT_MINUTE2 },
	{ "4", DF_LAYOUT_MINUTE },
	{ "05", DF_LAYOUT_SECOND2 },
	{ "5", DF_LAYOUT_SECOND },
	{ "MST", DF_LAYOUT_LITERAL, "UTC" },
	{ "Z07:00:00", DF_LAYOUT_LITERAL, "Z" },
	{ "Z070000", DF_LAYOUT_LITERAL, "Z" },
	{ "Z07:00", DF_LAYOUT_LITERAL, "Z" },
	{ "Z0700", DF_LAYOUT_LITERAL, "Z" },
	{ "Z07", DF_LAYOUT_LITERAL, "Z" },
	{ "-07:00:00", DF_LAYOUT_LITERAL, "+00:00:00" },
	{ "-070000", DF_LAYOUT_LITERAL, "+000000" },
	{ "-07:00", DF_LAYOUT_LITERAL, "+00:00" },
	{ "-0700", DF_LAYOUT_LITERAL, "+0000" },
	{ "-07", DF_LAYOUT_LITERAL, "+00" },
};

static const struct {
	const char *name;
	const char *layout; /* NULL: a count since 1970 with so many digits behind the seconds */
	int digits;
} df_layout_names[] = {
	{ "RFC3339", "2006-01-02T15:04:05Z07:00" },
	{ "RFC3339Nano", "2006-01-02T15:04:05.999999999Z07:00" },
	{ "RFC1123", "Mon, 02 Jan 2006 15:04:05 MST" },
	{ "RFC1123Z", "Mon, 02 Jan 2006 15:04:05 -0700" },
	{ "RFC822", "02 Jan 06 15:04 MST" },
	{ "RFC822Z", "02 Jan 06 15:04 -0700" },
	{ "RFC850", "Monday, 02-Jan-06 15:04:05 MST" },
	{ "ANSIC", "Mon Jan _2 15:04:05 2006" },
	{ "UnixDate", "Mon Jan _2 15:04:05 MST 2006" },
	{ "RubyDate", "Mon Jan 02 15:04:05 -0700 2006" },
	{ "Stamp", "Jan _2 15:04:05" },
	{ "StampMilli", "Jan _2 15:04:05.000" },
	{ "StampMicro", "Jan _2 15:04:05.000000" },
	{ "StampNano", "Jan _2 15:04:05.000000000" },
	{ "DateTime", "2006-01-02 15:04:05" },
	{ "DateOnly", "2006-01-02" },
	{ "TimeOnly", "15:04:05" },
	{ "Kitchen", "3:04PM" },
	{ "Layout", "01/02 03:04:05PM '06 -0700" },
	{ "Unix", NULL, 0 },
	{ "UnixMilli", NULL, 3 },
	{ "UnixMicro", NULL, 6 },
	{ "UnixNano", NULL, 9 },
};

static bool df_layout_is_digit(struct df_str s, size_t at)
{
	return at < s.len && s.ptr[at] >= '0' && s.ptr[at] <= '9';
}

/* A fraction at the front of s: its length and op, or 0. More than nine digits are nine, as in Go. */
static size_t df_layout_fraction(struct df_str s, struct df_layout_op *ret)
{
	size_t n = 1;

	if (s.len < 2 || (s.ptr[0] != '.' && s.ptr[0] != ',') || (s.ptr[1] != '0' && s.ptr[1] != '9'))
		return 0;
	while (n < s.len && s.ptr[n] == s.ptr[1])
		n++;
	if (df_layout_is_digit(s, n))
		return 0;
	*ret = (struct df_layout_op){
		.kind = s.ptr[1] == '0' ? DF_LAYOUT_FRACTION_ZEROS : DF_LAYOUT_FRACTION_NINES,
		.digits = n - 1 > 9 ? 9 : (int)(n - 1),
		.text = df_str(s.ptr, 1),
	};
	return n;
}

static const struct df_layout_token *df_layout_token(struct df_str s)
{
	for (size_t i = 0; i < DF_ARRAY_SIZE(df_layout_tokens); i++) {
		const struct df_layout_token *token = &df_layout_tokens[i];
		size_t n = strlen(token->token);
		if (!df_str_starts(s, df_str(token->token, n)))
			continue;
		if (!token->no_lower || n == s.len || s.ptr[n] < 'a' || s.ptr[n] > 'z')
			return token;
	}
	return NULL;
}

/* Adds a literal, joined with one that ends where this one begins. */
static void df_layout_add_literal(struct df_layout *layout, struct df_str text)
{
	struct df_layout_op *last = layout->n ? &layout->ops[layout->n - 1] : NULL;

	if (last && last->kind == DF_LAYOUT_LITERAL && last->text.ptr + last->text.len == text.ptr)
		last->text.len += text.len;
	else
		layout->ops[layout->n++] = (struct df_layout_op){ .kind = DF_LAYOUT_LITERAL, .text = text };
}

/* False when there was no token. Every byte of the text gives at most one op. */
static bool df_layout_split(struct df_layout *layout, struct df_str s)
{
	bool any = false;

	while (s.len > 0) {
		struct df_layout_op fraction;
		size_t n = df_layout_fraction(s, &fraction);
		const struct df_layout_token *token = n ? NULL : df_layout_token(s);

		any = any || n || token;
		if (n) {
			layout->ops[layout->n++] = fraction;
		} else if (!token) {
			n = 1;
			df_layout_add_literal(layout, df_str(s.ptr, 1));
		} else {
			n = strlen(token->token);
			if (token->literal)
				df_layout_add_literal(layout, df_str_c(token->literal));
			if (token->kind != DF_LAYOUT_LITERAL)
				layout->ops[layout->n++] = (struct df_layout_op){ .kind = token->kind };
		}
		s = df_str(s.ptr + n, s.len - n);
	}
	return any;
}

/* The layout that a name stands for, or the text itself; false for a count since 1970. */
static bool df_layout_resolve(struct df_str *text, int *ret_digits)
{
	for (size_t i = 0; i < DF_ARRAY_SIZE(df_layout_names); i++) {
		if (!df_str_equal_c(*text, df_layout_names[i].name))
			continue;
		*ret_digits = df_layout_names[i].digits;
		*text = df_str_c(df_layout_names[i].layout);
		return df_layout_names[i].layout;
	}
	return true;
}

static int df_layout_unknown(struct df_str text, struct df_error *err)
{
	const char *names[DF_ARRAY_SIZE(df_layout_names)];

	for (size_t i = 0; i < DF_ARRAY_SIZE(names); i++)
		names[i] = df_layout_names[i].name;
	const char *near = df_nearest(text, names, DF_ARRAY_SIZE(names));
	if (near)
		return df_error_set(err, DF_ERR_CONFIG, "\"" DF_STR_FMT "\" is no time layout; did you mean %s?",
				    DF_STR_ARG(text), near);
	return df_error_set(err, DF_ERR_CONFIG,
			    "\"" DF_STR_FMT "\" is no time layout: use a name such as RFC3339, or a Go layout such as "
			    "2006-01-02 15:04:05",
			    DF_STR_ARG(text));
}

int df_layout_compile(struct df_str text, struct df_layout **ret, struct df_error *err)
{
	struct df_str source = text;
	int digits = 0;
	bool counts = !df_layout_resolve(&source, &digits);

	if (source.len > DF_LAYOUT_MAX)
		return df_error_set(err, DF_ERR_CONFIG, "a time layout has at most %d bytes, this one has %zu",
				    DF_LAYOUT_MAX, source.len);
	df_cleanup(df_layout_freep) struct df_layout *layout =
		calloc(1, sizeof(*layout) + (source.len + 1) * sizeof(layout->ops[0]));
	if (!layout)
		return df_error_no_memory(err);
	if (counts) {
		layout->ops[layout->n++] = (struct df_layout_op){ .kind = DF_LAYOUT_UNIX, .digits = digits };
		*ret = DF_TAKE(layout);
		return 0;
	}
	layout->text = df_str_dup(source);
	if (!layout->text)
		return df_error_no_memory(err);
	if (!df_layout_split(layout, df_str(layout->text, source.len)))
		return df_layout_unknown(text, err);
	*ret = DF_TAKE(layout);
	return 0;
}

void df_layout_free(struct df_layout *layout)
{
	if (!layout)
		return;
	free(layout->text);
	free(layout);
}

/* At least `width` characters, filled with zeros or blanks at the left. */
static void df_layout_number(struct df_buf *buf, int64_t value, int width, char fill)
{
	char digits[24];
	uint64_t rest = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
	int n = 0;

	do {
		digits[sizeof(digits) - (size_t)++n] = (char)('0' + rest % 10);
		rest /= 10;
	} while (rest > 0);
	if (value < 0)
		df_buf_add_char(buf, '-');
	for (; width > n; width--)
		df_buf_add_char(buf, fill);
	df_buf_add(buf, digits + sizeof(digits) - (size_t)n, (size_t)n);
}

static void df_layout_put_fraction(const struct df_layout_op *op, int nanosecond, struct df_buf *buf)
{
	char text[10];
	int n = op->digits;

	if (op->kind == DF_LAYOUT_FRACTION_NINES && nanosecond == 0)
		return;
	text[0] = op->text.ptr[0];
	for (int i = 9, rest = nanosecond; i > 0; i--, rest /= 10)
		text[i] = (char)('0' + rest % 10);
	while (op->kind == DF_LAYOUT_FRACTION_NINES && n > 0 && text[n] == '0')
		n--;
	if (n > 0)
		df_buf_add(buf, text, (size_t)n + 1);
}

/* Years 1..9999 in nanoseconds are more than 64 bits hold. */
static void df_layout_unix(struct df_instant t, int digits, struct df_buf *buf)
{
	int scale = digits == 0 ? 1 : digits == 3 ? 1000 : digits == 6 ? 1000000 : 1000000000;
	__int128 count = (__int128)t.seconds * scale + t.nanoseconds / (1000000000 / scale);
	int64_t billions = (int64_t)(count / 1000000000);
	int64_t rest = (int64_t)(count % 1000000000);

	if (billions == 0) {
		df_layout_number(buf, rest, 1, '0');
		return;
	}
	df_layout_number(buf, billions, 1, '0');
	df_layout_number(buf, rest < 0 ? -rest : rest, 9, '0');
}

static int df_layout_hour12(const struct df_civil *c)
{
	return c->hour % 12 ? c->hour % 12 : 12;
}

static void df_layout_put(const struct df_layout_op *op, const struct df_civil *c, struct df_instant t,
			  struct df_buf *buf)
{
	static const char *const months[] = { "January", "February", "March",	  "April",   "May",	 "June",
					      "July",	 "August",   "September", "October", "November", "December" };
	static const char *const days[] = {
		"Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"
	};

	switch (op->kind) {
	case DF_LAYOUT_LITERAL:
		df_buf_add_str(buf, op->text);
		break;
	case DF_LAYOUT_YEAR:
		df_layout_number(buf, c->year, 4, '0');
		break;
	case DF_LAYOUT_YEAR2:
		df_layout_number(buf, (c->year < 0 ? -c->year : c->year) % 100, 2, '0');
		break;
	case DF_LAYOUT_MONTH_NAME:
		df_buf_add_c(buf, months[c->month - 1]);
		break;
	case DF_LAYOUT_MONTH_SHORT:
		df_buf_add(buf, months[c->month - 1], 3);
		break;
	case DF_LAYOUT_MONTH2:
		df_layout_number(buf, c->month, 2, '0');
		break;
	case DF_LAYOUT_MONTH:
		df_layout_number(buf, c->month, 1, '0');
		break;
	case DF_LAYOUT_DAY2:
		df_layout_number(buf, c->day, 2, '0');
		break;
	case DF_LAYOUT_DAY_BLANK:
		df_layout_number(buf, c->day, 2, ' ');
		break;
	case DF_LAYOUT_DAY:
		df_layout_number(buf, c->day, 1, '0');
		break;
	case DF_LAYOUT_WEEKDAY_NAME:
		df_buf_add_c(buf, days[c->weekday]);
		break;
	case DF_LAYOUT_WEEKDAY_SHORT:
		df_buf_add(buf, days[c->weekday], 3);
		break;
	case DF_LAYOUT_YEARDAY3:
		df_layout_number(buf, c->yearday, 3, '0');
		break;
	case DF_LAYOUT_YEARDAY_BLANK:
		df_layout_number(buf, c->yearday, 3, ' ');
		break;
	case DF_LAYOUT_HOUR24:
		df_layout_number(buf, c->hour, 2, '0');
		break;
	case DF_LAYOUT_HOUR12_2:
		df_layout_number(buf, df_layout_hour12(c), 2, '0');
		break;
	case DF_LAYOUT_HOUR12:
		df_layout_number(buf, df_layout_hour12(c), 1, '0');
		break;
	case DF_LAYOUT_PM:
		df_buf_add_c(buf, c->hour >= 12 ? "PM" : "AM");
		break;
	case DF_LAYOUT_PM_LOWER:
		df_buf_add_c(buf, c->hour >= 12 ? "pm" : "am");
		break;
	case DF_LAYOUT_MINUTE2:
		df_layout_number(buf, c->minute, 2, '0');
		break;
	case DF_LAYOUT_MINUTE:
		df_layout_number(buf, c->minute, 1, '0');
		break;
	case DF_LAYOUT_SECOND2:
		df_layout_number(buf, c->second, 2, '0');
		break;
	case DF_LAYOUT_SECOND:
		df_layout_number(buf, c->second, 1, '0');
		break;
	case DF_LAYOUT_FRACTION_ZEROS:
	case DF_LAYOUT_FRACTION_NINES:
		df_layout_put_fraction(op, c->nanosecond, buf);
		break;
	case DF_LAYOUT_UNIX:
		df_layout_unix(t, op->digits, buf);
		break;
	}
}

void df_layout_format(const struct df_layout *layout, struct df_instant t, struct df_buf *buf)
{
	struct df_civil civil = df_civil_from_unix(t, 0);

	for (size_t i = 0; i < layout->n; i++)
		df_layout_put(&layout->ops[i], &civil, t, buf);
}

/* Reading: one line at a time, as strictly as Prometheus' own parser. */
#include "base/exposition_internal.h"

#include <string.h>

#define VALUE_MAX 50 /* bytes of a number; with EXPONENT_MAX it stays within what a double holds */
#define EXPONENT_MAX 250

enum { LETTER = 1, DIGIT = 2, COLON = 4 };

/* clang-format off */
static const unsigned char classes[256] = {
	['A' ... 'Z'] = LETTER, ['a' ... 'z'] = LETTER, ['_'] = LETTER, ['0' ... '9'] = DIGIT, [':'] = COLON,
};
/* clang-format on */

/* How many bytes from p are a name whose letters are of `first`, then of `first` or digits. */
static size_t name_len(const char *p, const char *end, unsigned first)
{
	const char *at = p;

	if (at == end || !(classes[(unsigned char)*at] & first))
		return 0;
	while (at < end && classes[(unsigned char)*at] & (first | DIGIT))
		at++;
	return (size_t)(at - p);
}

static const char *skip_blanks(const char *p, const char *end)
{
	while (p < end && (*p == ' ' || *p == '\t'))
		p++;
	return p;
}

bool df_exposition_line(struct df_str *text, struct df_str *ret)
{
	const char *end = text->len ? memchr(text->ptr, '\n', text->len) : NULL;

	if (!end)
		return false;
	*ret = df_str(text->ptr, (size_t)(end - text->ptr));
	*text = df_str(end + 1, text->len - ret->len - 1);
	return true;
}

/* ---- labels ---------------------------------------------------------------------------------------------- */

/* Behind the closing quote of the value that begins at p; NULL: it does not end, or an escape is none. */
static const char *value_end(const char *p, const char *end)
{
	for (; p < end; p++) {
		if (*p == '"')
			return p + 1;
		if (*p == '\\' && (++p == end || (*p != '\\' && *p != '"' && *p != 'n')))
			return NULL;
	}
	return NULL;
}

/* One `name="value"` at p; returns what is behind it, or NULL. */
static const char *label_at(const char *p, const char *end, struct df_label *ret)
{
	size_t len = name_len(p, end, LETTER);
	const char *value = p + len + 2, *behind;

	if (len == 0 || end - p < (ptrdiff_t)len + 2 || p[len] != '=' || p[len + 1] != '"')
		return NULL;
	behind = value_end(value, end);
	if (!behind)
		return NULL;
	ret->name = df_str(p, len);
	ret->value = df_str(value, (size_t)(behind - 1 - value));
	return behind;
}

static bool seen(const struct df_label *labels, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (df_str_equal(labels[i].name, labels[n].name))
			return true;
	return false;
}

/* The labels from p, behind the opening brace; returns what is behind the closing one, or NULL. */
static const char *parse_labels(const char *p, const char *end, struct df_str *ret, struct df_labels *labels)
{
	const char *begin = p, *last = p;

	for (; p < end && *p != '}'; labels->count++) {
		if (labels->count == DF_ARRAY_SIZE(labels->items))
			return NULL;
		p = label_at(p, end, &labels->items[labels->count]);
		if (!p || seen(labels->items, labels->count))
			return NULL;
		last = p;
		if (p < end && *p == ',')
			p++;
		else if (p == end || *p != '}')
			return NULL;
	}
	*ret = df_str(begin, (size_t)(last - begin));
	return p < end && df_utf8_valid(*ret, NULL) ? p + 1 : NULL;
}

struct df_str df_sample_label(const struct df_sample *sample, const char *name)
{
	const char *p = sample->labels.ptr, *end = p + sample->labels.len;
	struct df_label label;

	while (p && p < end) {
		p = label_at(p, end, &label);
		if (p && df_str_equal_c(label.name, name))
			return label.value;
		if (p && p < end)
			p++; /* the comma */
	}
	return df_str(NULL, 0);
}

/* ---- numbers --------------------------------------------------------------------------------------------- */

static const char *skip_digits(const char *p, const char *end)
{
	while (p < end && classes[(unsigned char)*p] & DIGIT)
		p++;
	return p;
}

/* "e+12" at p: what is behind it, or NULL: it is none, or too large. */
static const char *skip_exponent(const char *p, const char *end)
{
	int n = 0;

	p++;
	if (p < end && (*p == '+' || *p == '-'))
		p++;
	if (p == end || skip_digits(p, end) == p)
		return NULL;
	for (; p < end && classes[(unsigned char)*p] & DIGIT; p++)
		n = n > EXPONENT_MAX ? n : n * 10 + (*p - '0');
	return n > EXPONENT_MAX ? NULL : p;
}

/* What is a number to Go's ParseFloat, in decimal, and in range; the rest of what that takes nobody writes. */
static bool is_value(struct df_str text)
{
	const char *p = text.ptr, *end = p + text.len, *digits, *point;

	if (text.len > VALUE_MAX)
		return false;
	if (df_str_equal_c(text, "NaN"))
		return true;
	if (p < end && (*p == '+' || *p == '-'))
		p++;
	if (df_str_equal_c(df_str(p, (size_t)(end - p)), "Inf"))
		return true;
	digits = p;
	p = point = skip_digits(p, end);
	if (p < end && *p == '.')
		p = skip_digits(p + 1, end);
	if (p - digits - (p > point) < 1) /* no digit at all */
		return false;
	if (p < end && (*p == 'e' || *p == 'E'))
		p = skip_exponent(p, end);
	return p == end;
}

/* What may follow a value: a timestamp, an exemplar (OpenMetrics), or nothing. */
static bool is_rest(const char *p, const char *end)
{
	p = skip_blanks(p, end);
	if (p < end && *p == '-')
		p++;
	p = skip_blanks(skip_digits(p, end), end);
	return p == end || *p == '#';
}

/* ---- a line ---------------------------------------------------------------------------------------------- */

bool df_exposition_is_name(struct df_str text)
{
	return text.len && name_len(text.ptr, text.ptr + text.len, LETTER | COLON) == text.len;
}

bool df_sample_parse(struct df_str line, struct df_sample *ret)
{
	struct df_labels labels;

	return df_sample_parse_labels(line, ret, &labels);
}

bool df_sample_parse_labels(struct df_str line, struct df_sample *ret, struct df_labels *labels)
{
	const char *p = line.ptr, *end = p + line.len, *value;

	labels->count = 0;
	ret->labels = df_str(NULL, 0);
	ret->name = df_str(p, name_len(p, end, LETTER | COLON));
	if (ret->name.len == 0)
		return false;
	p += ret->name.len;
	if (p < end && *p == '{') {
		p = parse_labels(p + 1, end, &ret->labels, labels);
		if (!p)
			return false;
	}
	value = skip_blanks(p, end);
	if (value == p && ret->labels.ptr == NULL)
		return false;
	p = value;
	while (p < end && *p != ' ' && *p != '\t')
		p++;
	ret->value = df_str(value, (size_t)(p - value));
	return is_value(ret->value) && is_rest(p, end);
}

void df_exposition_escape(struct df_buf *buf, struct df_str text)
{
	for (size_t i = 0; i < text.len; i++) {
		if (text.ptr[i] == '\n')
			df_buf_add_c(buf, "\\n");
		else if (text.ptr[i] == '\\' || text.ptr[i] == '"')
			df_buf_add(buf, (const char[]){ '\\', text.ptr[i] }, 2);
		else
			df_buf_add_char(buf, text.ptr[i]);
	}
}

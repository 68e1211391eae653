#include "json.h"

#include <stdlib.h>
#include <string.h>

static const char *skip_blanks(const char *p, const char *end)
{
	while (p < end && (*p == ' ' || *p == '\t' || *p == '\r' || *p == '\n'))
		p++;
	return p;
}

/* Behind the string that begins at p. */
static const char *skip_string(const char *p, const char *end)
{
	for (p++; p < end && *p != '"'; p++)
		if (*p == '\\')
			p++;
	return p < end ? p + 1 : end;
}

/* Behind the value that begins at p. */
static const char *skip_value(const char *p, const char *end)
{
	size_t depth = 0;

	do {
		if (*p == '"') {
			p = skip_string(p, end);
		} else if (depth == 0 && *p != '{' && *p != '[') {
			while (p < end && !strchr(",}] \t\r\n", *p)) /* a number, true, false, null */
				p++;
		} else {
			depth += *p == '{' || *p == '[';
			depth -= *p == '}' || *p == ']';
			p++;
		}
	} while (p < end && depth > 0);
	return p;
}

/* One step through an object or array: the next value, and with `name` the member's name before it. */
static bool step(struct json *rest, struct json *name, struct json *value)
{
	const char *end = rest->at + rest->len, *p = rest->at;

	if (!p || p == end)
		return false;
	p = skip_blanks(p + 1, end); /* the bracket or the comma */
	if (p >= end || *p == '}' || *p == ']')
		return false;
	if (name) {
		name->at = p;
		p = skip_string(p, end);
		name->len = (size_t)(p - name->at);
		p = skip_blanks(skip_blanks(p, end) + 1, end);
	}
	if (p >= end)
		return false;
	value->at = p;
	p = skip_value(p, end);
	value->len = (size_t)(p - value->at);
	p = skip_blanks(p, end);
	*rest = (struct json){ p, (size_t)(end - p) };
	return true;
}

struct json json_member(struct json object, const char *name)
{
	struct json key, value;

	if (!json_is_object(object))
		return (struct json){ NULL, 0 };
	while (step(&object, &key, &value))
		if (json_equals(key, name))
			return value;
	return (struct json){ NULL, 0 };
}

bool json_next(struct json *rest, struct json *ret)
{
	return step(rest, NULL, ret);
}

bool json_equals(struct json value, const char *text)
{
	size_t n = strlen(text);

	return value.len == n + 2 && value.at[0] == '"' && memcmp(value.at + 1, text, n) == 0;
}

bool json_true(struct json value)
{
	return value.len == 4 && memcmp(value.at, "true", 4) == 0;
}

long long json_number(struct json value, long long otherwise)
{
	char digits[32];

	if (value.len == 0 || value.len >= sizeof(digits) || !strchr("-0123456789", value.at[0]))
		return otherwise;
	memcpy(digits, value.at, value.len);
	digits[value.len] = '\0';
	return strtoll(digits, NULL, 10);
}

/* ---- strings --------------------------------------------------------------------------------------------- */

static unsigned hex4(const char *p)
{
	char digits[5] = { p[0], p[1], p[2], p[3], 0 };

	return (unsigned)strtoul(digits, NULL, 16);
}

static char *add_utf8(char *out, unsigned c)
{
	if (c < 0x80) {
		*out++ = (char)c;
	} else if (c < 0x800) {
		*out++ = (char)(0xc0 | c >> 6);
		*out++ = (char)(0x80 | (c & 0x3f));
	} else if (c < 0x10000) {
		*out++ = (char)(0xe0 | c >> 12);
		*out++ = (char)(0x80 | (c >> 6 & 0x3f));
		*out++ = (char)(0x80 | (c & 0x3f));
	} else {
		*out++ = (char)(0xf0 | c >> 18);
		*out++ = (char)(0x80 | (c >> 12 & 0x3f));
		*out++ = (char)(0x80 | (c >> 6 & 0x3f));
		*out++ = (char)(0x80 | (c & 0x3f));
	}
	return out;
}

/* The escape behind the backslash at *p. */
static char *add_escape(char *out, const char **p, const char *end)
{
	static const char letters[] = "bfnrt", meant[] = "\b\f\n\r\t";
	const char *letter = strchr(letters, *++*p);
	unsigned c;

	if (**p != 'u' || end - *p < 5) {
		*out++ = letter ? meant[letter - letters] : **p;
		++*p;
		return out;
	}
	c = hex4(*p + 1);
	*p += 5;
	if (c >= 0xd800 && c < 0xdc00 && end - *p >= 6 && (*p)[0] == '\\' && (*p)[1] == 'u') {
		c = 0x10000 + ((c - 0xd800) << 10) + ((hex4(*p + 2) - 0xdc00) & 0x3ff);
		*p += 6;
	}
	return add_utf8(out, c);
}

char *json_text(struct json value, size_t *ret_len)
{
	const char *p, *end;
	char *text, *out;

	if (value.len < 2 || value.at[0] != '"')
		return NULL;
	p = value.at + 1;
	end = value.at + value.len - 1;
	text = out = malloc(value.len); /* never longer than what it is written with */
	while (text && p < end) {
		if (*p == '\\')
			out = add_escape(out, &p, end);
		else
			*out++ = *p++;
	}
	if (text)
		*out = '\0';
	if (ret_len)
		*ret_len = text ? (size_t)(out - text) : 0;
	return text;
}

#include "connectors/subprocess/scan.h"

#include "value/value.h"

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static void skip_blanks(struct df_scan *scan)
{
	while (scan->at < scan->end && is_blank(*scan->at))
		scan->at++;
}

/* Behind the closing quote of a string; at stands on the opening one. */
static const char *after_string(const char *at, const char *end)
{
	for (at++; at < end && *at != '"'; at++)
		if (*at == '\\')
			at++;
	return at < end ? at + 1 : end;
}

static const char *after_container(const char *at, const char *end)
{
	size_t depth = 0;

	while (at < end) {
		switch (*at) {
		case '"':
			at = after_string(at, end);
			continue;
		case '{':
		case '[':
			depth++;
			break;
		case '}':
		case ']':
			if (--depth == 0)
				return at + 1;
			break;
		default:
			break;
		}
		at++;
	}
	return end;
}

static const char *after_value(const char *at, const char *end)
{
	if (at == end)
		return end;
	if (*at == '"')
		return after_string(at, end);
	if (*at == '{' || *at == '[')
		return after_container(at, end);
	while (at < end && *at != ',' && *at != '}' && *at != ']' && !is_blank(*at))
		at++;
	return at;
}

static bool begin(struct df_scan *scan, struct df_str text, char bracket)
{
	if (!text.ptr)
		return false;
	*scan = (struct df_scan){ .at = text.ptr, .end = text.ptr + text.len, .first = true };
	skip_blanks(scan);
	if (scan->at == scan->end || *scan->at != bracket)
		return false;
	scan->at++;
	return true;
}

bool df_scan_object(struct df_scan *scan, struct df_str text)
{
	return begin(scan, text, '{');
}

bool df_scan_array(struct df_scan *scan, struct df_str text)
{
	return begin(scan, text, '[');
}

/* To the first byte of the next member or element. */
static bool step(struct df_scan *scan)
{
	skip_blanks(scan);
	if (!scan->first && scan->at < scan->end && *scan->at == ',') {
		scan->at++;
		skip_blanks(scan);
	}
	scan->first = false;
	return scan->at < scan->end && *scan->at != '}' && *scan->at != ']';
}

bool df_scan_element(struct df_scan *scan, struct df_str *ret_value)
{
	if (!step(scan))
		return false;
	const char *from = scan->at;
	scan->at = after_value(from, scan->end);
	*ret_value = df_str(from, (size_t)(scan->at - from));
	return scan->at > from;
}

bool df_scan_member(struct df_scan *scan, struct df_str *ret_key, struct df_str *ret_value)
{
	if (!step(scan) || *scan->at != '"')
		return false;
	const char *key = scan->at + 1;
	scan->at = after_string(scan->at, scan->end);
	*ret_key = df_str(key, (size_t)(scan->at - key) - 1);
	skip_blanks(scan);
	if (scan->at == scan->end || *scan->at != ':')
		return false;
	scan->at++;
	skip_blanks(scan);
	const char *from = scan->at;
	scan->at = after_value(from, scan->end);
	*ret_value = df_str(from, (size_t)(scan->at - from));
	return scan->at > from;
}

bool df_scan_text(struct df_str value, struct df_arena *arena, struct df_str *ret)
{
	struct df_value *node;

	*ret = df_str(NULL, 0);
	if (value.len < 2 || value.ptr[0] != '"')
		return false;
	*ret = df_str(value.ptr + 1, value.len - 2);
	if (!memchr(ret->ptr, '\\', ret->len))
		return true;
	if (df_value_parse(value, arena, &node, NULL) == DF_PARSE_OK && df_value_unescape(node, arena) == 0) {
		*ret = df_str(node->text, node->len);
		return true;
	}
	*ret = df_str(NULL, 1);
	return false;
}

bool df_scan_int64(struct df_str value, int64_t *ret)
{
	return df_number_valid(value) && df_number_to_int64(value, ret);
}

bool df_scan_bool(struct df_str value, bool *ret)
{
	*ret = df_str_equal(value, DF_STR("true"));
	return *ret || df_str_equal(value, DF_STR("false"));
}

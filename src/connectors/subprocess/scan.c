#include "connectors/subprocess/scan.h"

#ifdef __SSE2__
#include <emmintrin.h>
#endif

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

/* A walk to the end of a container that has been entered. */
struct walk {
	const char *at, *end;
	size_t depth; /* containers that are open; 0: at stands behind it */
	bool in_string;
};

/* Byte by byte, over at least n bytes (an escape is never torn) or to the end of the container. */
static void walk_bytes(struct walk *w, size_t n)
{
	const char *stop = n < (size_t)(w->end - w->at) ? w->at + n : w->end;

	while (w->depth > 0 && w->at < stop) {
		char c = *w->at++;

		if (w->in_string) {
			w->in_string = c != '"';
			if (c == '\\' && w->at < w->end)
				w->at++;
		} else if (c == '"') {
			w->in_string = true;
		} else if (c == '{' || c == '[') {
			w->depth++;
		} else if (c == '}' || c == ']') {
			w->depth--;
		}
	}
}

#define BLOCK 64

#ifdef __SSE2__

/* One bit a byte that is equal to a or b. */
static uint64_t equal_bits(const __m128i v[4], char a, char b)
{
	uint64_t bits = 0;

	for (int i = 3; i >= 0; i--) {
		__m128i same =
			_mm_or_si128(_mm_cmpeq_epi8(v[i], _mm_set1_epi8(a)), _mm_cmpeq_epi8(v[i], _mm_set1_epi8(b)));

		bits = bits << 16 | (uint16_t)_mm_movemask_epi8(same);
	}
	return bits;
}

/* From each bit to the next one, that one left out: what stands between quotes. */
static uint64_t between(uint64_t quotes)
{
	for (int shift = 1; shift < BLOCK; shift *= 2)
		quotes ^= quotes << shift;
	return quotes;
}

/*
 * 64 bytes at once, as simdjson does it (Langdale, Lemire: Parsing Gigabytes of JSON per Second, 2019): quotes give the
 * bytes in strings, and of the brackets outside only their number counts, unless the container may end here. False:
 * there are escapes.
 */
static bool walk_block(struct walk *w)
{
	__m128i v[4];

	for (int i = 0; i < 4; i++)
		v[i] = _mm_loadu_si128((const __m128i *)(const void *)(w->at + 16 * i));
	if (equal_bits(v, '\\', '\\'))
		return false;
	uint64_t inside = between(equal_bits(v, '"', '"')) ^ (w->in_string ? ~UINT64_C(0) : 0);
	uint64_t open = equal_bits(v, '{', '[') & ~inside, close = equal_bits(v, '}', ']') & ~inside;
	size_t closes = (size_t)__builtin_popcountll(close);
	if (closes < w->depth) {
		w->depth += (size_t)__builtin_popcountll(open) - closes;
	} else {
		for (uint64_t both = open | close; both; both &= both - 1) {
			int i = __builtin_ctzll(both);

			if (open >> i & 1) {
				w->depth++;
			} else if (--w->depth == 0) {
				w->at += i + 1;
				return true;
			}
		}
	}
	w->in_string = inside >> (BLOCK - 1);
	w->at += BLOCK;
	return true;
}
#else
static bool walk_block(struct walk *w)
{
	(void)w;
	return false;
}
#endif

static const char *after_container(const char *at, const char *end)
{
	struct walk w = { .at = at + 1, .end = end, .depth = 1 };

	while (w.depth > 0 && w.at < w.end)
		if (w.end - w.at < BLOCK || !walk_block(&w))
			walk_bytes(&w, BLOCK);
	return w.at;
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
	return value.len > 0 && df_number_valid(value) && df_number_to_int64(value, ret);
}

bool df_scan_bool(struct df_str value, bool *ret)
{
	*ret = df_str_equal(value, DF_STR("true"));
	return *ret || df_str_equal(value, DF_STR("false"));
}

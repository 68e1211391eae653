#include "base/str.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

int df_str_compare(struct df_str a, struct df_str b)
{
	size_t n = a.len < b.len ? a.len : b.len;
	int order = n ? memcmp(a.ptr, b.ptr, n) : 0;

	if (order != 0)
		return order;
	return (a.len > b.len) - (a.len < b.len);
}

static bool df_is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

struct df_str df_str_trim(struct df_str s)
{
	while (s.len > 0 && df_is_blank(s.ptr[0])) {
		s.ptr++;
		s.len--;
	}
	while (s.len > 0 && df_is_blank(s.ptr[s.len - 1]))
		s.len--;
	return s;
}

char *df_str_dup(struct df_str s)
{
	char *copy = s.len < SIZE_MAX ? malloc(s.len + 1) : NULL;

	if (!copy)
		return NULL;
	if (s.len)
		memcpy(copy, s.ptr, s.len);
	copy[s.len] = '\0';
	return copy;
}

/* The first byte in [p, end) that is not ASCII, or end. */
static const unsigned char *df_ascii_skip(const unsigned char *p, const unsigned char *end)
{
#ifdef __SSE2__
	for (; end - p >= 16; p += 16) {
		int mask = _mm_movemask_epi8(_mm_loadu_si128((const __m128i *)(const void *)p));
		if (mask)
			return p + __builtin_ctz((unsigned int)mask);
	}
#endif
	for (; end - p >= 8; p += 8) {
		uint64_t word;
		memcpy(&word, p, sizeof(word));
		if (word & UINT64_C(0x8080808080808080))
			break;
	}
	while (p < end && *p < 0x80)
		p++;
	return p;
}

static bool df_is_continuation(unsigned char c)
{
	return (c & 0xc0) == 0x80;
}

/* The length of the well-formed sequence at p, which is no ASCII; 0 when it is none (Unicode 15, table 3-7). */
static size_t df_utf8_sequence(const unsigned char *p, size_t left)
{
	unsigned char c = p[0];

	if (c < 0xc2 || c > 0xf4)
		return 0;
	if (c < 0xe0)
		return left >= 2 && df_is_continuation(p[1]) ? 2 : 0;
	if (left < 3 || !df_is_continuation(p[1]) || !df_is_continuation(p[2]))
		return 0;
	if (c < 0xf0)
		return (c == 0xe0 && p[1] < 0xa0) || (c == 0xed && p[1] > 0x9f) ? 0 : 3;
	if (left < 4 || !df_is_continuation(p[3]))
		return 0;
	return (c == 0xf0 && p[1] < 0x90) || (c == 0xf4 && p[1] > 0x8f) ? 0 : 4;
}

bool df_utf8_valid(struct df_str s, size_t *ret_bad)
{
	const unsigned char *start = (const unsigned char *)s.ptr;
	const unsigned char *p = start;

	if (s.len == 0)
		return true;
	const unsigned char *end = start + s.len;
	while ((p = df_ascii_skip(p, end)) < end) {
		do {
			size_t n = df_utf8_sequence(p, (size_t)(end - p));
			if (n == 0) {
				if (ret_bad)
					*ret_bad = (size_t)(p - start);
				return false;
			}
			p += n;
		} while (p < end && *p >= 0x80);
	}
	return true;
}

size_t df_utf8_decode(struct df_str s, uint32_t *ret_code_point)
{
	const unsigned char *p = (const unsigned char *)s.ptr;

	if (s.len == 0)
		return 0;
	uint32_t c = p[0];
	size_t n = c < 0x80 ? 1 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;
	if (n == 1) {
		*ret_code_point = c;
		return 1;
	}
	if (c < 0xc2 || c > 0xf4 || n > s.len)
		goto malformed;
	c &= 0xffu >> (n + 1);
	for (size_t i = 1; i < n; i++) {
		if (!df_is_continuation(p[i]))
			goto malformed;
		c = c << 6 | (p[i] & 0x3f);
	}
	*ret_code_point = c;
	return n;
malformed: /* a mistake of the caller; keep it from reading too far or standing still */
	*ret_code_point = 0xfffd;
	return 1;
}

size_t df_utf8_encode(uint32_t code_point, char out[4])
{
	if (code_point > 0x10ffff)
		code_point = 0xfffd;
	if (code_point < 0x80) {
		out[0] = (char)code_point;
		return 1;
	}
	if (code_point < 0x800) {
		out[0] = (char)(0xc0 | code_point >> 6);
		out[1] = (char)(0x80 | (code_point & 0x3f));
		return 2;
	}
	if (code_point < 0x10000) {
		out[0] = (char)(0xe0 | code_point >> 12);
		out[1] = (char)(0x80 | (code_point >> 6 & 0x3f));
		out[2] = (char)(0x80 | (code_point & 0x3f));
		return 3;
	}
	out[0] = (char)(0xf0 | code_point >> 18);
	out[1] = (char)(0x80 | (code_point >> 12 & 0x3f));
	out[2] = (char)(0x80 | (code_point >> 6 & 0x3f));
	out[3] = (char)(0x80 | (code_point & 0x3f));
	return 4;
}

bool df_str_to_int64(struct df_str s, int64_t *ret)
{
	bool negative = s.len > 0 && s.ptr[0] == '-';
	int64_t value = 0; /* counted downwards: the negative range is the larger one */

	if (s.len == (size_t)negative)
		return false;
	for (size_t i = negative; i < s.len; i++) {
		if (s.ptr[i] < '0' || s.ptr[i] > '9')
			return false;
		if (__builtin_mul_overflow(value, 10, &value) || __builtin_sub_overflow(value, s.ptr[i] - '0', &value))
			return false;
	}
	if (!negative && value == INT64_MIN)
		return false;
	*ret = negative ? value : -value;
	return true;
}

#define DF_NEAREST_MAX 64 /* longer words get no suggestion */

static char df_lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c + ('a' - 'A')) : c;
}

static unsigned int df_min(unsigned int a, unsigned int b)
{
	return a < b ? a : b;
}

/* Damerau-Levenshtein distance (optimal string alignment: a swap of neighbours counts one), both at most
 * DF_NEAREST_MAX bytes, case ignored. */
static unsigned int df_edit_distance(struct df_str a, struct df_str b)
{
	unsigned int rows[3][DF_NEAREST_MAX + 1];
	unsigned int *before = rows[0], *last = rows[1], *row = rows[2];

	for (unsigned int j = 0; j <= b.len; j++)
		last[j] = j;
	for (size_t i = 1; i <= a.len; i++) {
		row[0] = (unsigned int)i;
		for (size_t j = 1; j <= b.len; j++) {
			char x = df_lower(a.ptr[i - 1]), y = df_lower(b.ptr[j - 1]);
			row[j] = df_min(df_min(last[j], row[j - 1]) + 1, last[j - 1] + (x != y));
			if (i > 1 && j > 1 && x == df_lower(b.ptr[j - 2]) && y == df_lower(a.ptr[i - 2]))
				row[j] = df_min(row[j], before[j - 2] + 1);
		}
		unsigned int *spare = before;
		before = last;
		last = row;
		row = spare;
	}
	return last[b.len];
}

const char *df_nearest(struct df_str word, const char *const *candidates, size_t n)
{
	const char *best = NULL;
	unsigned int best_distance = UINT_MAX;

	if (word.len == 0 || word.len > DF_NEAREST_MAX)
		return NULL;
	for (size_t i = 0; i < n; i++) {
		struct df_str candidate = df_str_c(candidates[i]);
		if (candidate.len == 0 || candidate.len > DF_NEAREST_MAX)
			continue;
		unsigned int distance = df_edit_distance(word, candidate);
		size_t letters = word.len > candidate.len ? word.len : candidate.len;
		if (distance < best_distance && distance * 3 <= letters) {
			best = candidates[i];
			best_distance = distance;
		}
	}
	return best;
}

void df_buf_done(struct df_buf *buf)
{
	if (!buf)
		return;
	free(buf->data);
	*buf = (struct df_buf){ .max = buf->max };
}

#define DF_BUF_FIRST 64

static size_t df_buf_max(const struct df_buf *buf)
{
	return buf->max ? buf->max : DF_BUF_MAX_DEFAULT;
}

/* Room for n bytes behind len; len + n at most limit. */
static bool df_buf_grow(struct df_buf *buf, size_t n, size_t limit)
{
	if (buf->failed || n > limit || buf->len > limit - n)
		goto fail;
	size_t need = buf->len + n;
	if (need <= buf->cap && buf->data)
		return true;
	size_t cap = buf->cap > limit / 2 ? limit : buf->cap * 2;
	if (cap < need)
		cap = need;
	if (cap < DF_BUF_FIRST)
		cap = DF_BUF_FIRST;
	char *data = realloc(buf->data, cap);
	if (!data)
		goto fail;
	buf->data = data;
	buf->cap = cap;
	return true;
fail:
	buf->failed = true;
	return false;
}

char *df_buf_reserve(struct df_buf *buf, size_t n)
{
	return df_buf_grow(buf, n, df_buf_max(buf)) ? buf->data + buf->len : NULL;
}

void df_buf_add(struct df_buf *buf, const void *data, size_t len)
{
	char *room = len ? df_buf_reserve(buf, len) : NULL;

	if (!room)
		return;
	memcpy(room, data, len);
	buf->len += len;
}

void df_buf_add_char(struct df_buf *buf, char c)
{
	char *room = df_buf_reserve(buf, 1);

	if (!room)
		return;
	*room = c;
	buf->len++;
}

void df_buf_add_c(struct df_buf *buf, const char *text)
{
	df_buf_add_str(buf, df_str_c(text));
}

static df_printf(3, 0) int df_buf_try_printf(struct df_buf *buf, size_t room, const char *fmt, va_list args)
{
	va_list copy;

	va_copy(copy, args);
	int n = vsnprintf(room ? buf->data + buf->len : NULL, room, fmt, copy);
	va_end(copy);
	return n;
}

void df_buf_printf(struct df_buf *buf, const char *fmt, ...)
{
	size_t max = df_buf_max(buf);
	va_list args;

	if (buf->failed)
		return;
	va_start(args, fmt);
	size_t room = buf->data ? buf->cap - buf->len : 0;
	int n = df_buf_try_printf(buf, room, fmt, args);
	/* vsnprintf writes a NUL behind the text, which may stand one byte past the maximum. */
	if (n < 0 || buf->len > max || (size_t)n > max - buf->len) {
		buf->failed = true;
	} else if ((size_t)n < room) {
		buf->len += (size_t)n;
	} else if (df_buf_grow(buf, (size_t)n + 1, max + 1)) {
		df_buf_try_printf(buf, (size_t)n + 1, fmt, args);
		buf->len += (size_t)n;
	}
	va_end(args);
}

const char *df_buf_c(struct df_buf *buf)
{
	if (buf->failed || buf->len == 0 || !df_buf_grow(buf, 1, df_buf_max(buf) + 1))
		return "";
	buf->data[buf->len] = '\0';
	return buf->data;
}

char *df_buf_take(struct df_buf *buf)
{
	char *data = NULL;

	if (df_buf_grow(buf, 1, df_buf_max(buf) + 1)) {
		data = buf->data;
		data[buf->len] = '\0';
		buf->data = NULL;
	}
	df_buf_done(buf);
	return data;
}

/* RFC 4648, section 4. */
static const char df_base64_alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void df_buf_add_base64(struct df_buf *buf, struct df_str data)
{
	const unsigned char *p = (const unsigned char *)data.ptr;
	size_t left = data.len;

	if (left == 0)
		return;
	if (left / 3 >= SIZE_MAX / 4 - 1) {
		buf->failed = true;
		return;
	}
	char *out = df_buf_reserve(buf, (left + 2) / 3 * 4);
	if (!out)
		return;
	buf->len += (left + 2) / 3 * 4;
	for (; left > 0; out += 4) {
		unsigned int n = left < 3 ? (unsigned int)left : 3;
		uint32_t bits = (uint32_t)p[0] << 16 | (n > 1 ? (uint32_t)p[1] << 8 : 0) | (n > 2 ? p[2] : 0);
		out[0] = df_base64_alphabet[bits >> 18];
		out[1] = df_base64_alphabet[bits >> 12 & 63];
		out[2] = n > 1 ? df_base64_alphabet[bits >> 6 & 63] : '=';
		out[3] = n > 2 ? df_base64_alphabet[bits & 63] : '=';
		p += n;
		left -= n;
	}
}

static int df_base64_value(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	return c == '+' ? 62 : c == '/' ? 63 : -1;
}

bool df_buf_add_base64_decoded(struct df_buf *buf, struct df_str text)
{
	if (text.len % 4 != 0)
		return false;
	if (text.len == 0)
		return true;
	size_t padding = text.ptr[text.len - 1] != '=' ? 0 : text.ptr[text.len - 2] != '=' ? 1 : 2;
	size_t size = text.len / 4 * 3 - padding;
	/* Checked before anything is written or failed: buf stays as it is when the text is no base64. */
	for (size_t i = 0; i < text.len - padding; i++) {
		if (df_base64_value(text.ptr[i]) < 0)
			return false;
	}
	int last = df_base64_value(text.ptr[text.len - padding - 1]);
	if ((padding == 1 && last & 3) || (padding == 2 && last & 15))
		return false; /* bits that no encoder writes: two texts would mean the same bytes */
	char *out = df_buf_reserve(buf, size);
	if (!out)
		return true;
	buf->len += size;
	for (size_t i = 0; i < text.len; i += 4) {
		uint32_t bits = 0;
		for (size_t k = 0; k < 4; k++)
			bits = bits << 6 | (text.ptr[i + k] == '=' ? 0 : (uint32_t)df_base64_value(text.ptr[i + k]));
		for (size_t k = 0; k < 3 && size > 0; k++, size--)
			*out++ = (char)(bits >> (16 - 8 * k) & 0xff);
	}
	return true;
}

/* The JSON parser's strings: those with escapes or with more than ASCII, which the loop does not scan itself. */
#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#include "value/json_read_internal.h"

#define STOP DF_JSON_STOP
#define BLANK DF_JSON_BLANK
#define DIGIT DF_JSON_DIGIT
#define HEX DF_JSON_HEX
#define ESCAPE DF_JSON_ESCAPE
#define NUMBER DF_JSON_NUMBER

/* clang-format off */
const uint8_t df_json_classes[256] = {
	[0x00 ... 0x08] = STOP, ['\t'] = STOP | BLANK, ['\n'] = STOP | BLANK, [0x0B ... 0x0C] = STOP,
	['\r'] = STOP | BLANK, [0x0E ... 0x1F] = STOP,
	[' '] = BLANK, ['"'] = STOP | ESCAPE, ['\\'] = STOP | ESCAPE, ['/'] = ESCAPE,
	['0' ... '9'] = DIGIT | HEX, ['.'] = NUMBER,
	['A' ... 'D'] = HEX, ['E'] = HEX | NUMBER, ['F'] = HEX,
	['a'] = HEX, ['b'] = HEX | ESCAPE, ['c' ... 'd'] = HEX, ['e'] = HEX | NUMBER, ['f'] = HEX | ESCAPE,
	['n'] = ESCAPE, ['r'] = ESCAPE, ['t'] = ESCAPE,
};
/* clang-format on */

/* The first byte in [p, end) of class STOP, or end. Bytes from 0x80 up before it make *ret_wide true. */
static const char *scan_any(const char *p, const char *end, bool *ret_wide)
{
#if defined(__SSE2__)
	while (end - p >= 16) {
		__m128i block = _mm_loadu_si128((const __m128i *)(const void *)p);
		__m128i control = _mm_cmpeq_epi8(_mm_min_epu8(block, _mm_set1_epi8(0x1F)), block);
		__m128i stop = _mm_or_si128(control, _mm_or_si128(_mm_cmpeq_epi8(block, _mm_set1_epi8('"')),
								  _mm_cmpeq_epi8(block, _mm_set1_epi8('\\'))));
		unsigned mask = (unsigned)_mm_movemask_epi8(stop);
		unsigned wide = (unsigned)_mm_movemask_epi8(block);
		if (mask) {
			unsigned at = (unsigned)__builtin_ctz(mask);
			*ret_wide |= (wide & ((1u << at) - 1)) != 0;
			return p + at;
		}
		*ret_wide |= wide != 0;
		p += 16;
	}
#endif
	for (; p < end && !df_json_is(*p, DF_JSON_STOP); p++)
		*ret_wide |= (signed char)*p < 0;
	return p;
}

/* The end of the escape at p, or NULL with `bad` set. */
static const char *scan_escape(struct df_json_parser *ps, const char *p)
{
	if (++p == ps->end)
		goto end;
	if (df_json_is(*p, DF_JSON_ESCAPE))
		return p + 1;
	if (*p != 'u')
		goto bad;
	p++;
	for (const char *stop = p + 4; p < stop; p++) {
		if (p == ps->end)
			goto end;
		if (!df_json_is(*p, DF_JSON_HEX))
			goto bad;
	}
	return p;
end:
	ps->bad = p;
	ps->what = "unterminated string";
	return NULL;
bad:
	ps->bad = p;
	ps->what = "invalid escape in a string";
	return NULL;
}

const char *df_json_scan_string(struct df_json_parser *ps, const char *start, const char *p, bool *ret_escaped)
{
	const char *after = NULL;
	bool wide = false;

	*ret_escaped = false;
	for (;;) {
		p = scan_any(p, ps->end, &wide);
		if (p == ps->end) {
			ps->bad = p;
			ps->what = "unterminated string";
			break;
		}
		if (*p == '"') {
			after = p;
			break;
		}
		if (*p != '\\') {
			ps->bad = p;
			ps->what = "control character in a string";
			break;
		}
		*ret_escaped = true;
		const char *next = scan_escape(ps, p);
		if (!next)
			break;
		p = next;
	}

	size_t bad;
	if (unlikely(wide) && !df_utf8_valid(df_str(start, (size_t)(p - start)), &bad)) {
		ps->bad = start + bad;
		ps->what = "invalid UTF-8";
		return NULL;
	}
	return after;
}

size_t df_escape_decode(struct df_str src, char *dst, bool *ret_plain)
{
	const char *p = src.ptr;
	const char *end = p + src.len;
	char *out = dst;
	bool plain = true;

	while (p < end) {
		if (*p != '\\') {
			*out++ = *p++;
			continue;
		}
		struct df_escape e = df_escape_read(p, (size_t)(end - p));
		plain &= e.code_point >= 0x20 && e.code_point != '"' && e.code_point != '\\' &&
			 !df_is_surrogate(e.code_point);
		out += df_utf8_encode(e.code_point, out);
		p += e.taken;
	}
	*ret_plain = plain;
	return (size_t)(out - dst);
}

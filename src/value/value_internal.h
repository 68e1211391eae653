/* What the files of the document share: escapes of JSON strings (RFC 8259, section 7), text of doubles. */
#ifndef DF_VALUE_VALUE_INTERNAL_H
#define DF_VALUE_VALUE_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "value/value.h"

#define likely(x) __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)

struct df_escape {
	uint32_t code_point; /* a lone surrogate when the source has one */
	uint32_t taken;	     /* bytes of the source: 2, 6 or, for a surrogate pair, 12 */
};

static inline bool df_is_surrogate(uint32_t code_point)
{
	return (code_point & 0xFFFFF800) == 0xD800;
}

static inline int df_hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')
		return (c | 0x20) - 'a' + 10;
	return -1;
}

/* Four hexadecimal digits that are known to be there. */
static inline uint32_t df_hex4(const char *p)
{
	return (uint32_t)df_hex_digit(p[0]) << 12 | (uint32_t)df_hex_digit(p[1]) << 8 |
	       (uint32_t)df_hex_digit(p[2]) << 4 | (uint32_t)df_hex_digit(p[3]);
}

/* Reads the escape at p (p[0] is the backslash) of a string that the parser accepted; `left` bytes are in the string.
 */
static inline struct df_escape df_escape_read(const char *p, size_t left)
{
	switch (p[1]) {
	case 'b':
		return (struct df_escape){ '\b', 2 };
	case 'f':
		return (struct df_escape){ '\f', 2 };
	case 'n':
		return (struct df_escape){ '\n', 2 };
	case 'r':
		return (struct df_escape){ '\r', 2 };
	case 't':
		return (struct df_escape){ '\t', 2 };
	case 'u':
		break;
	default:
		return (struct df_escape){ (uint8_t)p[1], 2 };
	}

	uint32_t high = df_hex4(p + 2);
	if ((high & 0xFFFFFC00) == 0xD800 && left >= 12 && p[6] == '\\' && p[7] == 'u') {
		uint32_t low = df_hex4(p + 8);
		if ((low & 0xFFFFFC00) == 0xDC00)
			return (struct df_escape){ 0x10000 + ((high & 0x3FF) << 10 | (low & 0x3FF)), 12 };
	}
	return (struct df_escape){ high, 6 };
}

/* Decodes the source between the quotes into dst, which has room for src.len bytes; returns the decoded length.
 * *ret_plain: the result can be written without any escape. */
size_t df_escape_decode(struct df_str src, char *dst, bool *ret_plain);

/* The text (without quotes) of a node of repr FLOAT64, finite or not; returns its length; out has DF_NUMBER_MAX bytes.
 * The logical type FLOAT32 gives the shortest text that reads back to the same float. */
size_t df_float64_text(const struct df_value *v, char *out);

#endif

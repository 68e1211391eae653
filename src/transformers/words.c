#include "transformers/words.h"

#include <stddef.h>

#include "base/cleanup.h"

/* Code points first, first + step ... last, and what leads from each to its other case. */
struct df_unicode_range {
	uint32_t first;
	uint32_t last : 24;
	uint32_t step : 8;
	int32_t delta;
};

#include "transformers/unicode_table.h"

enum letter { LETTER_OTHER, LETTER_UPPER, LETTER_LOWER, LETTER_DIGIT };

static const struct df_unicode_range *find(const struct df_unicode_range *ranges, size_t n, uint32_t c)
{
	size_t low = 0;

	/* The last range that begins at c or before it is in [low, low + n). */
	while (n > 1) {
		size_t half = n / 2;

		if (ranges[low + half].first <= c)
			low += half;
		n -= half;
	}
	const struct df_unicode_range *range = &ranges[low];
	return c >= range->first && c <= range->last && (c - range->first) % range->step == 0 ? range : NULL;
}

#define FIND(ranges, c) find((ranges), DF_ARRAY_SIZE(ranges), (c))

/* *ret_lower: for an upper-case letter its lower case. */
static enum letter classify(uint32_t c, uint32_t *ret_lower)
{
	*ret_lower = c;
	if (c < 0x80) {
		if (c >= 'A' && c <= 'Z') {
			*ret_lower = c | 0x20;
			return LETTER_UPPER;
		}
		return c >= 'a' && c <= 'z' ? LETTER_LOWER : c >= '0' && c <= '9' ? LETTER_DIGIT : LETTER_OTHER;
	}
	const struct df_unicode_range *upper = FIND(df_unicode_upper, c);
	if (upper) {
		*ret_lower = (uint32_t)((int32_t)c + upper->delta);
		return LETTER_UPPER;
	}
	return FIND(df_unicode_lower, c) ? LETTER_LOWER : FIND(df_unicode_digit, c) ? LETTER_DIGIT : LETTER_OTHER;
}

static uint32_t to_upper(uint32_t c)
{
	if (c < 0x80)
		return c >= 'a' && c <= 'z' ? c & ~0x20u : c;
	const struct df_unicode_range *range = FIND(df_unicode_to_upper, c);
	return range ? (uint32_t)((int32_t)c + range->delta) : c;
}

/* The code point at `at`, and where the next one is. */
static uint32_t decode(struct df_str word, size_t at, size_t *ret_next)
{
	uint32_t c = (uint8_t)word.ptr[at];

	*ret_next = at + 1;
	if (c >= 0x80)
		*ret_next = at + df_utf8_decode(df_str(word.ptr + at, word.len - at), &c);
	return c;
}

size_t df_word_snake(struct df_str word, char *out)
{
	enum letter before = LETTER_OTHER;
	size_t len = 0;
	size_t next;

	for (size_t at = 0; at < word.len; at = next) {
		uint32_t lower;
		uint32_t unused;
		size_t behind;
		enum letter letter = classify(decode(word, at, &next), &lower);
		bool breaks = before == LETTER_LOWER || before == LETTER_DIGIT;

		if (letter == LETTER_UPPER && before == LETTER_UPPER && next < word.len)
			breaks = classify(decode(word, next, &behind), &unused) == LETTER_LOWER;
		if (letter == LETTER_UPPER && breaks)
			out[len++] = '_';
		if (letter == LETTER_UPPER) {
			len += df_utf8_encode(lower, out + len);
		} else {
			memcpy(out + len, word.ptr + at, next - at);
			len += next - at;
		}
		before = letter;
	}
	return len;
}

size_t df_word_camel(struct df_str word, char *out)
{
	bool begins = true;
	size_t len = 0;
	size_t next;

	for (size_t at = 0; at < word.len; at = next) {
		uint32_t c = decode(word, at, &next);

		if (c == '_') {
			begins = true;
			continue;
		}
		uint32_t upper = begins ? to_upper(c) : c;
		if (upper != c) {
			len += df_utf8_encode(upper, out + len);
		} else {
			memcpy(out + len, word.ptr + at, next - at);
			len += next - at;
		}
		begins = false;
	}
	if (len > 0 || word.len == 0)
		return len;
	memcpy(out, word.ptr, word.len);
	return word.len;
}

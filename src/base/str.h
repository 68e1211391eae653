/* Slices, and a growable buffer with a maximum. Lengths travel with pointers; a slice is never NUL-terminated. */
#ifndef DF_BASE_STR_H
#define DF_BASE_STR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/error.h"

#pragma GCC visibility push(default) /* an installed header: src/dataflow/meson.build */

struct df_arena;

/* A borrowed run of bytes. ptr may be NULL when len is 0. */
struct df_str {
	const char *ptr;
	size_t len;
};

#define DF_STR(literal) ((struct df_str){ "" literal, sizeof(literal) - 1 })
#define DF_STR_FMT "%.*s"
#define DF_STR_ARG(s) (int)(s).len, (s).ptr

static inline struct df_str df_str(const char *ptr, size_t len)
{
	return (struct df_str){ ptr, len };
}

/* NULL gives the empty slice. */
static inline struct df_str df_str_c(const char *text)
{
	return (struct df_str){ text, text ? strlen(text) : 0 };
}

static inline bool df_str_equal(struct df_str a, struct df_str b)
{
	return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

static inline bool df_str_equal_c(struct df_str a, const char *b)
{
	return df_str_equal(a, df_str_c(b));
}

static inline bool df_str_starts(struct df_str s, struct df_str prefix)
{
	return s.len >= prefix.len && (prefix.len == 0 || memcmp(s.ptr, prefix.ptr, prefix.len) == 0);
}

static inline bool df_str_ends(struct df_str s, struct df_str suffix)
{
	return s.len >= suffix.len &&
	       (suffix.len == 0 || memcmp(s.ptr + s.len - suffix.len, suffix.ptr, suffix.len) == 0);
}

/* <0, 0, >0 by bytes, which for UTF-8 is by code points. */
int df_str_compare(struct df_str a, struct df_str b);

/* Without ASCII blanks (space, tab, CR, LF) at both ends. */
struct df_str df_str_trim(struct df_str s);

/* A heap copy with a NUL behind it; NULL when out of memory. The caller frees. */
char *df_str_dup(struct df_str s);

/* Is it well-formed UTF-8 (no surrogates, nothing above U+10FFFF, no overlong forms)? On false *ret_bad, if given, is
 * the offset of the first byte that is not part of a valid sequence. Runs of ASCII are checked eight bytes a step. */
bool df_utf8_valid(struct df_str s, size_t *ret_bad);

/* Decodes one code point at s.ptr[0] of valid UTF-8 (or WTF-8); returns its length in bytes, 0 at the end of s. */
size_t df_utf8_decode(struct df_str s, uint32_t *ret_code_point);

/* Writes the UTF-8 form of a code point (also of a surrogate: WTF-8); returns 1..4. */
size_t df_utf8_encode(uint32_t code_point, char out[4]);

/* Parses a whole slice as a decimal integer (optional '-', digits). False on anything else or overflow. */
bool df_str_to_int64(struct df_str s, int64_t *ret);

/* The candidate nearest to `word` by edit distance, for "did you mean"; NULL when none is near enough (more than a
 * third of the letters differ). Case is ignored. candidates: n C strings, NULL entries are skipped. */
const char *df_nearest(struct df_str word, const char *const *candidates, size_t n);

/*
 * A growable byte buffer. Zero-initialised is valid and empty; `max` 0 means DF_BUF_MAX_DEFAULT. The first failure
 * (out of memory, over the maximum) is remembered in `failed`, later appends do nothing, and one check at the end is
 * enough: `if (buf.failed) return df_error_no_memory(err)`. data is not NUL-terminated; see df_buf_c.
 */
struct df_buf {
	char *data;
	size_t len;
	size_t cap;
	size_t max;
	bool failed;
};

#define DF_BUF_MAX_DEFAULT ((size_t)1 << 30)

void df_buf_done(struct df_buf *buf);

/* Room for n more bytes behind len, without changing len; NULL when it failed. */
char *df_buf_reserve(struct df_buf *buf, size_t n);

void df_buf_add(struct df_buf *buf, const void *data, size_t len);
void df_buf_add_char(struct df_buf *buf, char c);
void df_buf_add_c(struct df_buf *buf, const char *text);
void df_buf_printf(struct df_buf *buf, const char *fmt, ...) df_printf(2, 3);

static inline void df_buf_add_str(struct df_buf *buf, struct df_str s)
{
	df_buf_add(buf, s.ptr, s.len);
}

static inline struct df_str df_buf_str(const struct df_buf *buf)
{
	return (struct df_str){ buf->data, buf->len };
}

/* NUL-terminates (the NUL is not counted in len) and returns the data; "" when the buffer failed or is empty. */
const char *df_buf_c(struct df_buf *buf);

/* Hands the data over as a NUL-terminated heap string and resets the buffer; NULL when it failed. */
char *df_buf_take(struct df_buf *buf);

/* Appends `data` in standard base64 with padding. */
void df_buf_add_base64(struct df_buf *buf, struct df_str data);

/* Decodes strict standard base64 (padding required, no blanks) into buf; false and buf unchanged when it is not. */
bool df_buf_add_base64_decoded(struct df_buf *buf, struct df_str text);

#pragma GCC visibility pop

#endif

/*
 * The JSON writer: compact, by code points, fewest escapes. Bytes go through a cursor over room that is reserved ahead,
 * in a df_buf or in an arena, so that the inner loops check the room once a node.
 */
#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#include "value/value_internal.h"

#define STACK 64	 /* open containers a call of write_tree holds; deeper ones are written by a further call */
#define ESCAPE_MAX 6	 /* \u00xx */
#define ARENA_FIRST 1024 /* bytes asked of an arena whose block has less left */
#define SLACK 16	 /* room for the punctuation around a node, and for a literal */

struct writer {
	char *start;
	char *end;
	struct df_buf *buf; /* one of the two */
	struct df_arena *arena;
	bool failed;
};

/* Room for n bytes at p; returns where p is now. NULL: out of memory, remembered in `failed`. */
static __attribute__((noinline)) char *make_room(struct writer *w, char *p, size_t n)
{
	size_t used = (size_t)(p - w->start);

	if (w->failed)
		return NULL;
	if (w->buf) {
		/* What was written so far counts, so that it survives when the buffer moves. */
		size_t len = w->buf->len;
		w->buf->len += used;
		char *room = df_buf_reserve(w->buf, n);
		w->buf->len = len;
		if (!room) {
			w->failed = true;
			return NULL;
		}
		w->start = w->buf->data + len;
		w->end = w->buf->data + w->buf->cap;
		return w->start + used;
	}

	size_t cap = (size_t)(w->end - w->start);
	size_t more = n > cap ? n : cap;
	char *moved = df_arena_extend(w->arena, w->start, cap, cap + more);
	if (!moved) {
		w->failed = true;
		return NULL;
	}
	w->start = moved;
	w->end = moved + cap + more;
	return moved + used;
}

static inline __attribute__((always_inline)) char *room(struct writer *w, char *p, size_t n)
{
	if (likely((size_t)(w->end - p) >= n))
		return p;
	return make_room(w, p, n);
}

/* memcpy for text that is mostly short: overlapping words instead of a call. */
static inline __attribute__((always_inline)) char *copy(char *p, const char *from, size_t len)
{
	if (likely(len - 8 <= 8)) {
		memcpy(p, from, 8);
		memcpy(p + len - 8, from + len - 8, 8);
	} else if (len > 32) {
		memcpy(p, from, len);
	} else if (len > 16) {
		memcpy(p, from, 16);
		memcpy(p + len - 16, from + len - 16, 16);
	} else if (len >= 4) {
		memcpy(p, from, 4);
		memcpy(p + len - 4, from + len - 4, 4);
	} else if (len) {
		p[0] = from[0];
		p[len >> 1] = from[len >> 1];
		p[len - 1] = from[len - 1];
	}
	return p + len;
}

/* ---- strings --------------------------------------------------------------------------------------------- */

/* How many bytes from p can be written as they are. A surrogate in WTF-8 begins with 0xED. */
static size_t plain_run(const char *p, const char *end)
{
	const char *start = p;

#if defined(__SSE2__)
	while (end - p >= 16) {
		__m128i block = _mm_loadu_si128((const __m128i *)(const void *)p);
		__m128i stop =
			_mm_or_si128(_mm_or_si128(_mm_cmpeq_epi8(_mm_min_epu8(block, _mm_set1_epi8(0x1F)), block),
						  _mm_cmpeq_epi8(block, _mm_set1_epi8((char)0xED))),
				     _mm_or_si128(_mm_cmpeq_epi8(block, _mm_set1_epi8('"')),
						  _mm_cmpeq_epi8(block, _mm_set1_epi8('\\'))));
		unsigned mask = (unsigned)_mm_movemask_epi8(stop);
		if (mask)
			return (size_t)(p - start) + (unsigned)__builtin_ctz(mask);
		p += 16;
	}
#endif
	while (p < end && (uint8_t)*p >= 0x20 && *p != '"' && *p != '\\' && (uint8_t)*p != 0xED)
		p++;
	return (size_t)(p - start);
}

static char *put_escape(char *p, uint32_t code_unit)
{
	static const char hex[] = "0123456789abcdef";

	p[0] = '\\';
	p[1] = 'u';
	p[2] = hex[code_unit >> 12 & 15];
	p[3] = hex[code_unit >> 8 & 15];
	p[4] = hex[code_unit >> 4 & 15];
	p[5] = hex[code_unit & 15];
	return p + 6;
}

/* A code point that is a quote, a backslash or a control. */
static char *put_special(char *p, uint32_t c)
{
	static const char letter[0x20] = { ['\b'] = 'b', ['\f'] = 'f', ['\n'] = 'n', ['\r'] = 'r', ['\t'] = 't' };

	if (c < 0x20 && !letter[c])
		return put_escape(p, c);
	p[0] = '\\';
	p[1] = c < 0x20 ? letter[c] : (char)c;
	return p + 2;
}

/* The surrogate whose WTF-8 form is at p, or 0. */
static uint32_t surrogate_at(const char *p, const char *end)
{
	if (end - p < 3 || (uint8_t)p[0] != 0xED || (uint8_t)p[1] < 0xA0 || (uint8_t)p[1] > 0xBF)
		return 0;
	return 0xD000 | ((uint32_t)(uint8_t)p[1] & 0x3F) << 6 | ((uint32_t)(uint8_t)p[2] & 0x3F);
}

/* Decoded text between quotes. */
static __attribute__((noinline)) char *put_text(struct writer *w, char *p, struct df_str text)
{
	const char *from = text.ptr;
	const char *end = from + text.len;

	p = room(w, p, text.len + ESCAPE_MAX + SLACK);
	if (!p)
		return NULL;
	*p++ = '"';
	for (;;) {
		size_t run = plain_run(from, end);
		p = copy(p, from, run);
		from += run;
		if (from == end)
			break;

		uint32_t high = surrogate_at(from, end);
		uint32_t low = high >= 0xD800 && high < 0xDC00 ? surrogate_at(from + 3, end) : 0;
		if (low >= 0xDC00) {
			/* Halves that were put side by side: readers of the text would see one code point anyway. */
			p += df_utf8_encode(0x10000 + ((high & 0x3FF) << 10 | (low & 0x3FF)), p);
			from += 6;
		} else if (high) {
			p = put_escape(p, high);
			from += 3;
		} else if ((uint8_t)*from == 0xED) {
			*p++ = *from++;
		} else {
			p = put_special(p, (uint8_t)*from++);
		}
		p = room(w, p, (size_t)(end - from) + ESCAPE_MAX + SLACK);
		if (!p)
			return NULL;
	}
	*p++ = '"';
	return p;
}

/* The source of a string with escapes, in canonical form; never longer than the source. */
static __attribute__((noinline)) char *put_escaped(struct writer *w, char *p, struct df_str text)
{
	const char *from = text.ptr;
	const char *end = from + text.len;

	p = room(w, p, text.len + ESCAPE_MAX + SLACK);
	if (!p)
		return NULL;
	*p++ = '"';
	while (from < end) {
		const char *stop = memchr(from, '\\', (size_t)(end - from));
		size_t run = (size_t)((stop ? stop : end) - from);
		p = copy(p, from, run);
		from += run;
		if (from == end)
			break;

		struct df_escape e = df_escape_read(from, (size_t)(end - from));
		if (e.code_point < 0x20 || e.code_point == '"' || e.code_point == '\\')
			p = put_special(p, e.code_point);
		else if (df_is_surrogate(e.code_point))
			p = copy(p, from, e.taken);
		else
			p += df_utf8_encode(e.code_point, p);
		from += e.taken;
	}
	*p++ = '"';
	return p;
}

/* Standard base64 with padding, between quotes. */
static __attribute__((noinline)) char *put_base64(struct writer *w, char *p, struct df_str bytes)
{
	static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	const uint8_t *from = (const uint8_t *)bytes.ptr;
	size_t left = bytes.len;

	p = room(w, p, (left / 3 + 1) * 4 + SLACK);
	if (!p)
		return NULL;
	*p++ = '"';
	for (; left; p += 4) {
		size_t n = left < 3 ? left : 3;
		uint32_t group =
			(uint32_t)from[0] << 16 | (n > 1 ? (uint32_t)from[1] << 8 : 0) | (n > 2 ? from[2] : 0u);
		p[0] = alphabet[group >> 18];
		p[1] = alphabet[group >> 12 & 63];
		p[2] = n > 1 ? alphabet[group >> 6 & 63] : '=';
		p[3] = n > 2 ? alphabet[group & 63] : '=';
		from += n;
		left -= n;
	}
	*p++ = '"';
	return p;
}

/* ---- trees ----------------------------------------------------------------------------------------------- */

static __attribute__((noinline)) char *put_other(struct writer *w, char *p, const struct df_value *v)
{
	switch (v->repr) {
	case DF_REPR_ESCAPED:
		return put_escaped(w, p, df_str(v->text, v->len));
	case DF_REPR_BYTES:
		return put_base64(w, p, df_str(v->text, v->len));
	case DF_REPR_INT64:
		p = room(w, p, DF_NUMBER_MAX + SLACK);
		return p ? p + df_number_from_int64(v->int64, p) : NULL;
	case DF_REPR_FLOAT64:
		p = room(w, p, DF_NUMBER_MAX + SLACK);
		if (!p)
			return NULL;
		if (v->kind == DF_NUMBER)
			return p + df_float64_text(v, p);
		*p++ = '"';
		p += df_float64_text(v, p);
		*p++ = '"';
		return p;
	default:
		return put_text(w, p, df_str(v->text, v->len));
	}
}

static const char literals[][8] = { [DF_NULL] = "null", [DF_FALSE] = "false", [DF_TRUE] = "true" };

static inline size_t literal_len(const struct df_value *v)
{
	return v->kind == DF_FALSE ? 5 : 4;
}

/*
 * Runs. Most nodes of most documents leave as they came: they stand side by side in the payload exactly as they would
 * be written. Such a stretch of the payload is copied in one piece. Nothing about it is remembered, all is found anew
 * from where key and text point to: only pointers are compared until one slice begins just where the one before ends,
 * apart from the two or three bytes of punctuation in between; then those are compared. So an edit of any kind merely
 * ends a run. Besides the slices and what is between two of them, one byte is read in front of a key and one behind a
 * string or a last child; they are there, because what has `":` between a key and its value is JSON text that the
 * parser took.
 */

/* Where the scalar v ends in the source, if there, at `at`, its text begins, with `before` in front of it; else NULL.
 */
static inline __attribute__((always_inline)) const char *source_end(const struct df_value *v, const char *at,
								    const char *before, size_t before_len)
{
	if (v->kind == DF_STRING) {
		if (v->text != at + 1 || v->repr != DF_REPR_PLAIN || memcmp(at - before_len, before, before_len) != 0 ||
		    at[0] != '"' || v->text[v->len] != '"')
			return NULL;
		return v->text + v->len + 1;
	}
	if (v->kind >= DF_ARRAY || v->text != at || v->repr != DF_REPR_TEXT ||
	    memcmp(at - before_len, before, before_len) != 0)
		return NULL;
	if (v->kind != DF_NUMBER && (v->len != literal_len(v) || memcmp(at, literals[v->kind], 4) != 0 ||
				     (v->kind == DF_FALSE && at[4] != 'e')))
		return NULL;
	return at + v->len;
}

/* Room at p for n bytes; `end` follows the writer's. */
#define ROOM(n)                                          \
	do {                                             \
		if (unlikely((size_t)(end - p) < (n))) { \
			p = make_room(w, p, (n));        \
			if (!p)                          \
				return NULL;             \
			end = w->end;                    \
		}                                        \
	} while (0)

/* Writes the scalar v, for whose text there is room, or enters the container v. */
#define VALUE()                                                                       \
	do {                                                                          \
		if (v->kind == DF_STRING && likely(v->repr == DF_REPR_PLAIN)) {       \
			*p++ = '"';                                                   \
			p = copy(p, v->text, v->len);                                 \
			*p++ = '"';                                                   \
		} else if (v->kind == DF_NUMBER && likely(v->repr == DF_REPR_TEXT)) { \
			p = copy(p, v->text, v->len);                                 \
		} else if (v->kind >= DF_ARRAY) {                                     \
			goto open;                                                    \
		} else if (v->kind <= DF_TRUE) {                                      \
			memcpy(p, literals[v->kind], 8);                              \
			p += literal_len(v);                                          \
		} else {                                                              \
			p = put_other(w, p, v);                                       \
			if (unlikely(!p))                                             \
				return NULL;                                          \
			end = w->end;                                                 \
		}                                                                     \
	} while (0)

/* Ends the run that is under way: writes it. */
#define FLUSH()                                           \
	do {                                              \
		size_t run_len = (size_t)(run_end - run); \
		ROOM(run_len + SLACK);                    \
		p = copy(p, run, run_len);                \
	} while (0)

/*
 * Writes v at p; returns the end, NULL when out of memory. Behind every node there is room for a comma or a bracket.
 * Recursive once every STACK levels. One loop for members and one for elements, both without a run and within one, so
 * that none asks where it is.
 */
static char *write_tree(struct writer *w, char *p, const struct df_value *v)
{
	const struct df_value *open[STACK];
	size_t depth = 0;
	char *end = w->end;
	const char *run = NULL;	    /* in labels that begin with run_: the beginning of the run that is under way */
	const char *run_end = NULL; /* and its end so far */
	size_t run_depth = 0;	    /* containers that were open when it began */
	const char *next;
	const char *key;
	size_t key_len;

	ROOM(v->len + (size_t)SLACK);
	VALUE();
	return p;

open:
	if (unlikely(depth == STACK)) {
		p = write_tree(w, p, v);
		if (!p)
			return NULL;
		end = w->end;
		goto after_nested;
	}
	ROOM(SLACK);
	*p++ = v->kind == DF_OBJECT ? '{' : '[';
	open[depth++] = v;
	if (!v->first)
		goto close;
	if (v->kind == DF_ARRAY) {
		v = v->first;
		goto element;
	}
	v = v->first;

member: /* the bracket or comma before it is written */
	if (unlikely(!v->key_plain)) {
		p = put_text(w, p, df_str(v->key, v->key_len));
		if (unlikely(!p))
			return NULL;
		*p++ = ':';
		end = w->end;
		ROOM(v->len + (size_t)SLACK);
		VALUE();
		goto after_member;
	}
	next = source_end(v, v->key + v->key_len + 2, "\":", 2);
	if (likely(next && v->key[-1] == '"')) {
		run = v->key - 1;
		run_end = next;
		run_depth = depth;
		goto run_after_member;
	}
plain_member:
	key = v->key;
	key_len = v->key_len;
	ROOM(key_len + v->len + SLACK);
	*p++ = '"';
	p = copy(p, key, key_len);
	*p++ = '"';
	*p++ = ':';
	VALUE();

after_member:
	v = v->next;
	if (unlikely(!v))
		goto close;
	*p++ = ',';
	goto member;

run_after_member:
	v = v->next;
	if (unlikely(!v))
		goto run_close;
	if (likely(v->key == run_end + 2 && v->key_plain && memcmp(run_end, ",\"", 2) == 0))
		goto run_member;
	FLUSH();
	*p++ = ',';
	goto member;

run_member: /* the run goes on to its key; also through its value? */
	next = source_end(v, v->key + v->key_len + 2, "\":", 2);
	if (likely(next)) {
		run_end = next;
		goto run_after_member;
	}
	if (v->kind >= DF_ARRAY && v->first && depth < STACK) {
		const struct df_value *first = v->first;
		next = v->key + v->key_len;
		if (v->kind == DF_ARRAY) {
			next = source_end(first, next + 3, "\":[", 3);
			if (next) {
				open[depth++] = v;
				v = first;
				run_end = next;
				goto run_after_element;
			}
		} else if (first->key == next + 4 && first->key_plain && memcmp(next, "\":{\"", 4) == 0) {
			open[depth++] = v;
			v = first;
			run_end = next + 3;
			goto run_member;
		}
	}
	FLUSH();
	if (v != open[depth - 1]->first)
		*p++ = ',';
	goto plain_member;

element: /* the bracket or comma before it is written */
	ROOM(v->len + (size_t)SLACK);
	VALUE();

after_element:
	v = v->next;
	if (unlikely(!v))
		goto close;
	*p++ = ',';
	goto element;

run_after_element:
	v = v->next;
	if (unlikely(!v))
		goto run_close;
	next = source_end(v, run_end + 1, ",", 1);
	if (likely(next)) {
		run_end = next;
		goto run_after_element;
	}
	if (v->kind == DF_OBJECT && v->first && v->first->key == run_end + 3 && v->first->key_plain && depth < STACK &&
	    memcmp(run_end, ",{\"", 3) == 0) {
		open[depth++] = v;
		v = v->first;
		run_end += 2;
		goto run_member;
	}
	FLUSH();
	*p++ = ',';
	goto element;

run_close: /* the run goes on through the bracket, when it is there */
	if (likely(*run_end == (open[depth - 1]->kind == DF_OBJECT ? '}' : ']'))) {
		run_end++;
		v = open[--depth];
		/* The last one in its container: what the run began in may have been the root of its source, and then
		 * nothing need stand behind it. */
		if (unlikely(depth < run_depth && (depth == 0 || !v->next))) {
			FLUSH();
			if (depth == 0)
				return p;
			goto after_nested;
		}
		if (open[depth - 1]->kind == DF_OBJECT)
			goto run_after_member;
		goto run_after_element;
	}
	FLUSH();

close:
	v = open[--depth];
	*p++ = v->kind == DF_OBJECT ? '}' : ']';
	ROOM(SLACK);
	if (depth == 0)
		return p;
after_nested:
	if (open[depth - 1]->kind == DF_OBJECT)
		goto after_member;
	goto after_element;
}

/* A writer over the room behind buf->len; NULL in *ret_p when there is none. */
static struct writer writer_over_buf(struct df_buf *buf, char **ret_p)
{
	*ret_p = df_buf_reserve(buf, SLACK);
	if (!*ret_p)
		return (struct writer){ .failed = true };
	return (struct writer){ .start = *ret_p, .end = buf->data + buf->cap, .buf = buf };
}

void df_value_write(const struct df_value *v, struct df_buf *buf)
{
	char *p;
	struct writer w = writer_over_buf(buf, &p);

	if (p)
		p = write_tree(&w, p, v);
	if (p)
		buf->len += (size_t)(p - w.start);
}

void df_json_write_string(struct df_str text, struct df_buf *buf)
{
	char *p;
	struct writer w = writer_over_buf(buf, &p);

	if (p)
		p = put_text(&w, p, text);
	if (p)
		buf->len += (size_t)(p - w.start);
}

struct df_str df_value_to_arena(const struct df_value *v, struct df_arena *arena)
{
	/* Takes what the block has left, writes, and gives the rest back. */
	size_t cap = (size_t)(arena->end - arena->next) & ~(size_t)(DF_ARENA_ALIGN - 1);
	if (cap < ARENA_FIRST / 2)
		cap = ARENA_FIRST;

	char *p = df_arena_alloc(arena, cap);
	if (!p)
		return df_str(NULL, 0);
	struct writer w = { .start = p, .end = p + cap, .arena = arena };
	p = write_tree(&w, p, v);
	if (!p)
		return df_str(NULL, 0);
	size_t len = (size_t)(p - w.start);
	if (arena->next == w.end)
		arena->next = w.start + ((len + (DF_ARENA_ALIGN - 1)) & ~(size_t)(DF_ARENA_ALIGN - 1));
	return df_str(w.start, len);
}

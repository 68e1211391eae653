/*
 * The JSON parser: RFC 8259, strict. One loop without recursion; open containers are on an explicit stack.
 *
 * The loop is compiled three times from one inline function, so that the verdicts cannot differ:
 *
 * - tree: a document that ends in a bracket. That last byte stops every scan outside of strings, so that the loop needs
 *   no bounds checks there;
 * - strict: any document, with bounds checks: scalar roots, and everything that is broken at its end;
 * - check: as strict, builds nothing.
 *
 * Strings that are not plain ASCII are in json_string.c, keys that stand twice in json_keys.c.
 */
#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#include "value/json_read_internal.h"

#define FRAMES_INLINE 32 /* containers open at once before the stack moves from the C stack to the arena */

/* ---- scans ----------------------------------------------------------------------------------------------- */

#if defined(__SSE2__)
/* One bit for each of 16 bytes that is a quote, a backslash, a control or not ASCII. */
static inline __attribute__((always_inline)) unsigned stops_of(const char *p)
{
	__m128i block = _mm_loadu_si128((const __m128i *)(const void *)p);
	/*
	 * Exclusive or with 2 makes the quote, 0x22, a blank, and moves no control and nothing from 0x80 up out of its
	 * range. All three are then below 0x21 as signed bytes, so that the difference is negative, and only signs are
	 * collected.
	 */
	__m128i low = _mm_subs_epi8(_mm_xor_si128(block, _mm_set1_epi8(0x02)), _mm_set1_epi8(0x21));

	return (unsigned)_mm_movemask_epi8(_mm_or_si128(low, _mm_cmpeq_epi8(block, _mm_set1_epi8('\\'))));
}
#endif

/* The first byte in [p, end) that is a quote, a backslash, a control or not ASCII; NULL when there is none. What is
 * from `begin` on can be read. */
static __attribute__((noinline)) const char *scan_ascii(const char *p, const char *begin, const char *end)
{
#if defined(__SSE2__)
	for (; end - p >= 16; p += 16) {
		unsigned mask = stops_of(p);
		if (mask)
			return p + (unsigned)__builtin_ctz(mask);
	}
	if (end - begin >= 16) {
		unsigned mask = stops_of(end - 16) >> (16 - (end - p));
		return mask ? p + (unsigned)__builtin_ctz(mask) : NULL;
	}
#endif
	(void)begin;
	while (p < end && !df_json_is(*p, DF_JSON_STOP) && (signed char)*p >= 0)
		p++;
	return p < end ? p : NULL;
}

/* Behind the digits at p. Up to `wide` 16 bytes can be read. */
static inline __attribute__((always_inline)) const char *skip_digits(const char *p, const char *end, const char *wide)
{
#if defined(__SSE2__)
	if (likely((uintptr_t)p <= (uintptr_t)wide)) {
		__m128i block = _mm_loadu_si128((const __m128i *)(const void *)p);
		/* Turned so that '9' is the largest signed byte. */
		block = _mm_add_epi8(block, _mm_set1_epi8(0x7F - '9'));
		unsigned other = ~(unsigned)_mm_movemask_epi8(_mm_cmpgt_epi8(block, _mm_set1_epi8(0x7F - 10)));
		p += __builtin_ctz(other);
		if (likely(!(other >> 16 << 16 == other)))
			return p;
	}
#endif
	(void)wide;
	while (p < end && df_json_is(*p, DF_JSON_DIGIT))
		p++;
	return p;
}

static __attribute__((noinline)) const char *skip_blanks(const char *p, const char *end)
{
	while (p < end && df_json_is(*p, DF_JSON_BLANK))
		p++;
	return p;
}

/* ---- the loop -------------------------------------------------------------------------------------------- */

/* Why no value begins at p. */
static __attribute__((noinline)) void refuse_value(struct df_json_parser *ps, const char *p)
{
	const char *literal = *p == 't' ? "true" : *p == 'f' ? "false" : *p == 'n' ? "null" : "";

	ps->what = *literal ? "invalid literal" : "unexpected character";
	while (p < ps->end && *literal && *p == *literal) {
		p++;
		literal++;
	}
	ps->bad = p;
}

static __attribute__((noinline)) bool frames_grow(struct df_json_parser *ps)
{
	struct df_json_frame *frames = df_arena_alloc(ps->arena, DF_VALUE_DEPTH_MAX * sizeof(*frames));

	if (!frames)
		return false;
	memcpy(frames, ps->frames, ps->frames_max * sizeof(*frames));
	ps->frames = frames;
	ps->frames_max = DF_VALUE_DEPTH_MAX;
	return true;
}

/* ptr NULL: out of memory. */
static __attribute__((noinline)) struct df_str decode_key(struct df_json_parser *ps, struct df_str source,
							  bool *ret_plain)
{
	char *text = df_arena_alloc(ps->arena, source.len);

	return df_str(text, text ? df_escape_decode(source, text, ret_plain) : 0);
}

#define FAIL(at, text)                    \
	do {                              \
		ps->bad = (at);           \
		ps->what = (text);        \
		return DF_PARSE_NOT_JSON; \
	} while (0)

/* Goes on at a byte that is there. */
#define NEED()                                     \
	do {                                       \
		if (strict && unlikely(p == end))  \
			FAIL(p, "unexpected end"); \
	} while (0)

/* To the next byte that is not blank. */
#define SKIP_BLANKS()                    \
	do {                             \
		p = skip_blanks(p, end); \
		NEED();                  \
	} while (0)

/* From the digit expected at p to behind the last digit. */
#define DIGITS()                                              \
	do {                                                  \
		NEED();                                       \
		if (unlikely(!df_json_is(*p, DF_JSON_DIGIT))) \
			FAIL(p, "invalid number");            \
		p = skip_digits(p + 1, end, wide);            \
	} while (0)

#define HERE(c) ((!strict || p < end) && *p == (c))

/* A node from the room that the arena has; the arena itself is brought up to date only where somebody else uses it. */
#define NODE()                                                           \
	do {                                                             \
		if (likely((uintptr_t)room < room_limit)) {              \
			node = (struct df_value *)(void *)room;          \
			room += sizeof(*node);                           \
		} else {                                                 \
			ps->arena->next = room;                          \
			node = df_arena_alloc(ps->arena, sizeof(*node)); \
			if (!node)                                       \
				return DF_PARSE_NO_MEMORY;               \
			room = ps->arena->next;                          \
			room_limit = limit_of(ps->arena);                \
		}                                                        \
	} while (0)

/* The room for nodes ends here: there is none more at this address or behind it. */
static inline uintptr_t limit_of(const struct df_arena *arena)
{
	size_t left = (size_t)(arena->end - arena->next);

	return (uintptr_t)arena->next + (left < sizeof(struct df_value) ? 0 : left - sizeof(struct df_value) + 1);
}

/* kind, logical type, repr, key_plain and line of a new node in one store. */
static inline __attribute__((always_inline)) void set_string(struct df_value *node, bool key_plain)
{
	const struct df_value fresh = { .kind = DF_STRING, .repr = DF_REPR_PLAIN, .key_plain = key_plain };

	_Static_assert(offsetof(struct df_value, line) == offsetof(struct df_value, kind) + 4, "copied together");
	memcpy((char *)node + offsetof(struct df_value, kind), (const char *)&fresh + offsetof(struct df_value, kind),
	       8);
}

static inline __attribute__((always_inline)) void set_scalar(struct df_value *node, const char *text, size_t len,
							     enum df_kind kind, enum df_repr repr)
{
	node->text = text;
	node->len = (uint32_t)len;
	node->kind = (uint8_t)kind;
	node->repr = (uint8_t)repr;
}

#if defined(__SSE2__)
#define STOPS(from) (likely((uintptr_t)start + (from) <= (uintptr_t)wide) ? stops_of(start + (from)) : 0)
#else
#define STOPS(from) 0u
#endif

/* From `start`, behind the opening quote, p to the first byte that is not plain text: mostly the closing quote. Most
 * strings end within two blocks of 16 bytes. */
#define SCAN_STRING()                                             \
	do {                                                      \
		unsigned stops = STOPS(0);                        \
		p = start;                                        \
		if (unlikely(!stops) && (stops = STOPS(16)))      \
			p += 16;                                  \
		if (likely(stops)) {                              \
			p += (unsigned)__builtin_ctz(stops);      \
		} else {                                          \
			p = scan_ascii(p, ps->begin, end);        \
			if (unlikely(!p))                         \
				FAIL(end, "unterminated string"); \
		}                                                 \
	} while (0)

/* From behind a key to behind the colon. */
#define COLON()                                                      \
	do {                                                         \
		NEED();                                              \
		if (unlikely(*p != ':')) {                           \
			SKIP_BLANKS();                               \
			if (*p != ':')                               \
				FAIL(p, "expected ':' after a key"); \
		}                                                    \
		p++;                                                 \
	} while (0)

/* The node of the member: a new one at the end, or the one that has the key already; then its value is parsed. */
#define MEMBER(member_key, member_key_len, plain)                                                      \
	do {                                                                                           \
		uint64_t bit = (uint64_t)1 << df_json_bloom_bit(member_key, member_key_len);           \
		if (unlikely(bloom & bit)) {                                                           \
			struct df_value *old;                                                          \
			struct df_value *fresh;                                                        \
			ps->arena->next = room;                                                        \
			frame->link = link;                                                            \
			if (!df_json_find_member(ps, frame, member_key, member_key_len, &old, &fresh)) \
				return DF_PARSE_NO_MEMORY;                                             \
			room = ps->arena->next;                                                        \
			room_limit = limit_of(ps->arena);                                              \
			if (frame->table)                                                              \
				bloom = ~(uint64_t)0;                                                  \
			if (old) { /* the last value stands where the first stood */                   \
				node = old;                                                            \
				node->kind = DF_STRING;                                                \
				node->repr = DF_REPR_PLAIN;                                            \
				goto member_value;                                                     \
			}                                                                              \
			node = fresh;                                                                  \
		} else {                                                                               \
			bloom |= bit;                                                                  \
			NODE();                                                                        \
		}                                                                                      \
		*link = node;                                                                          \
		link = &node->next;                                                                    \
		frame->count++;                                                                        \
		node->key = (member_key);                                                              \
		node->key_len = (uint32_t)(member_key_len);                                            \
		set_string(node, plain);                                                               \
	} while (0)

/* The value at p, after blanks; node is its node, with next and key, and otherwise as for a plain string. Goes on
 * behind a scalar; a container is entered. */
#define VALUE(again)                                                                                   \
	do {                                                                                           \
again:                                                                                                 \
		NEED();                                                                                \
		if (*p == '"') {                                                                       \
			start = p + 1;                                                                 \
			SCAN_STRING();                                                                 \
			if (unlikely(*p != '"')) {                                                     \
				bool escaped;                                                          \
				p = df_json_scan_string(ps, start, p, &escaped);                       \
				if (!p)                                                                \
					return DF_PARSE_NOT_JSON;                                      \
				if (build && escaped)                                                  \
					node->repr = DF_REPR_ESCAPED;                                  \
			}                                                                              \
			if (build) {                                                                   \
				node->text = start;                                                    \
				node->len = (uint32_t)(p - start);                                     \
			}                                                                              \
			p++;                                                                           \
		} else if ((uint8_t)(*p - '0') < 10 || *p == '-') {                                    \
			start = p;                                                                     \
			if (*p == '-') {                                                               \
				p++;                                                                   \
				NEED();                                                                \
				if (unlikely(!df_json_is(*p, DF_JSON_DIGIT)))                          \
					FAIL(p, "invalid number");                                     \
			}                                                                              \
			p++;                                                                           \
			if (likely(p[-1] != '0'))                                                      \
				p = skip_digits(p, end, wide);                                         \
			else if ((!strict || p < end) && df_json_is(*p, DF_JSON_DIGIT))                \
				FAIL(p, "leading zero in a number");                                   \
			if ((!strict || p < end) && df_json_is(*p, DF_JSON_NUMBER)) {                  \
				if (*p == '.') {                                                       \
					p++;                                                           \
					DIGITS();                                                      \
				}                                                                      \
				if (HERE('e') || HERE('E')) {                                          \
					p++;                                                           \
					if (HERE('+') || HERE('-'))                                    \
						p++;                                                   \
					DIGITS();                                                      \
				}                                                                      \
			}                                                                              \
			if (build)                                                                     \
				set_scalar(node, start, (size_t)(p - start), DF_NUMBER, DF_REPR_TEXT); \
		} else if (*p == '{' || *p == '[') {                                                   \
			p++;                                                                           \
			goto open;                                                                     \
		} else if (end - p >= 4 && memcmp(p, "true", 4) == 0) {                                \
			if (build)                                                                     \
				set_scalar(node, p, 4, DF_TRUE, DF_REPR_TEXT);                         \
			p += 4;                                                                        \
		} else if (end - p >= 4 && memcmp(p, "null", 4) == 0) {                                \
			if (build)                                                                     \
				set_scalar(node, p, 4, DF_NULL, DF_REPR_TEXT);                         \
			p += 4;                                                                        \
		} else if (end - p >= 5 && memcmp(p, "false", 5) == 0) {                               \
			if (build)                                                                     \
				set_scalar(node, p, 5, DF_FALSE, DF_REPR_TEXT);                        \
			p += 5;                                                                        \
		} else if (df_json_is(*p, DF_JSON_BLANK)) {                                            \
			SKIP_BLANKS();                                                                 \
			goto again;                                                                    \
		} else {                                                                               \
			refuse_value(ps, p);                                                           \
			return DF_PARSE_NOT_JSON;                                                      \
		}                                                                                      \
	} while (0)

static inline __attribute__((always_inline)) enum df_parse_result parse(struct df_json_parser *ps, const bool build,
									const bool strict)
{
	const char *p = ps->begin;
	const char *const end = ps->end;
	const char *const wide = end - ps->begin >= 16 ? end - 16 : NULL; /* up to here 16 bytes can be read */
	size_t depth = 0;
	bool in_object = false;
	uint64_t objects[DF_VALUE_DEPTH_MAX / 64 + 1] = { 0 }; /* check: one bit an open container */
	struct df_json_frame *frame = ps->frames;	       /* build: the innermost open container, and of it: */
	struct df_value **link = NULL;			       /* where the next child goes */
	uint64_t bloom = 0;				       /* one bit a key; ~0 once there is a table */
	struct df_value *node = NULL;
	char *room = build ? ps->arena->next : NULL;
	uintptr_t room_limit = build ? limit_of(ps->arena) : 0;
	const char *start;
	size_t len;

	if (build) {
		NODE();
		*node = (struct df_value){ 0 };
		set_string(node, false);
		ps->root = node;
	}

	VALUE(root_value);
	goto done;

open: /* p is behind a bracket, and node is its node */
	if (unlikely(depth == DF_VALUE_DEPTH_MAX)) {
		ps->bad = p - 1;
		ps->what = "nested deeper than 1000 levels";
		return DF_PARSE_TOO_DEEP;
	}
	in_object = p[-1] == '{';
	if (build) {
		if (depth > 0) {
			frame->link = link;
			frame->bloom = bloom;
		}
		if (unlikely(depth == ps->frames_max)) {
			ps->arena->next = room;
			if (!frames_grow(ps))
				return DF_PARSE_NO_MEMORY;
			room = ps->arena->next;
			room_limit = limit_of(ps->arena);
		}
		frame = &ps->frames[depth];
		frame->container = node;
		frame->table = NULL;
		frame->count = 0;
		link = &node->first;
		bloom = 0;
		node->kind = in_object ? DF_OBJECT : DF_ARRAY;
		node->repr = DF_REPR_TEXT;
	} else {
		uint64_t bit = (uint64_t)1 << (depth % 64);
		objects[depth / 64] = in_object ? objects[depth / 64] | bit : objects[depth / 64] & ~bit;
	}
	depth++;
	NEED();
	if (unlikely((uint8_t)*p <= ' '))
		SKIP_BLANKS();
	if (in_object) {
		if (*p != '}')
			goto member;
		goto close;
	}
	if (*p == ']')
		goto close;

element:
	if (build) {
		NODE();
		*link = node;
		link = &node->next;
		frame->count++;
		node->key = NULL;
		node->key_len = 0;
		set_string(node, false);
	}
	VALUE(element_value);

after_element:
	NEED();
	if (*p == ',') {
		p++;
		goto element;
	}
	if (*p == ']')
		goto close;
	SKIP_BLANKS();
	if (*p == ',') {
		p++;
		goto element;
	}
	if (*p == ']')
		goto close;
	FAIL(p, "expected ',' or ']' after an element");

member:
	NEED();
	if (unlikely(*p != '"')) {
		SKIP_BLANKS();
		if (*p != '"')
			FAIL(p, "expected a key in double quotes");
	}
key: /* p is at its opening quote */
	start = p + 1;
	SCAN_STRING();
	if (!strict && likely(memcmp(p, "\":", 2) == 0)) {
		len = (size_t)(p - start);
		p += 2;
	} else {
		if (unlikely(*p != '"')) {
			bool escaped;
			p = df_json_scan_string(ps, start, p, &escaped);
			if (!p)
				return DF_PARSE_NOT_JSON;
			if (build && escaped)
				goto escaped_key;
		}
		len = (size_t)(p - start);
		p++;
		COLON();
	}
	if (build)
		MEMBER(start, len, true);

	VALUE(member_value);

after_member:
	NEED();
	if (likely(*p == ',')) {
		p++;
		if (!strict && likely(*p == '"')) /* in a tree a comma is not the last byte */
			goto key;
		goto member;
	}
	if (*p == '}')
		goto close;
	SKIP_BLANKS();
	if (*p == ',') {
		p++;
		goto member;
	}
	if (*p == '}')
		goto close;
	FAIL(p, "expected ',' or '}' after a member");

escaped_key:
	if (build) {
		bool plain;
		ps->arena->next = room;
		struct df_str key = decode_key(ps, df_str(start, (size_t)(p - start)), &plain);
		if (!key.ptr)
			return DF_PARSE_NO_MEMORY;
		room = ps->arena->next;
		room_limit = limit_of(ps->arena);
		p++;
		COLON();
		MEMBER(key.ptr, key.len, plain);
	}
	goto member_value;

close:
	p++;
	depth--;
	if (build) {
		struct df_value *container = frame->container;
		*link = NULL;
		container->len = frame->count;
		/* `next` is the first field of a node, so the last child is where its `next` is. */
		container->last = frame->count ? (struct df_value *)(void *)link : NULL;
		if (unlikely(frame->table))
			df_json_release_table(ps, frame->table);
	}
	if (depth == 0)
		goto done;
	if (unlikely(p == end))
		FAIL(p, "unexpected end");
	if (build) {
		frame--;
		link = frame->link;
		bloom = frame->bloom;
		in_object = frame->container->kind == DF_OBJECT;
	} else {
		in_object = objects[(depth - 1) / 64] >> ((depth - 1) % 64) & 1;
	}
	if (in_object)
		goto after_member;
	goto after_element;

done:
	p = skip_blanks(p, end);
	if (unlikely(p != end))
		FAIL(p, "more text after the value");
	if (build)
		ps->arena->next = room;
	return DF_PARSE_OK;
}

static __attribute__((noinline)) enum df_parse_result parse_tree(struct df_json_parser *ps)
{
	return parse(ps, true, false);
}

static __attribute__((noinline)) enum df_parse_result parse_strict(struct df_json_parser *ps)
{
	return parse(ps, true, true);
}

static void locate(struct df_str text, const struct df_json_parser *ps, struct df_parse_error *err)
{
	err->offset = (size_t)(ps->bad - text.ptr);
	err->what = ps->what;
	err->line = 1;
	err->column = 1;
	for (size_t i = 0; i < err->offset; i++) {
		err->column++;
		if (text.ptr[i] == '\n') {
			err->line++;
			err->column = 1;
		}
	}
}

enum df_parse_result df_value_parse(struct df_str text, struct df_arena *arena, struct df_value **ret,
				    struct df_parse_error *err)
{
	struct df_json_frame frames[FRAMES_INLINE];
	struct df_json_parser ps = {
		.arena = arena,
		.frames = frames,
		.frames_max = FRAMES_INLINE,
	};
	enum df_parse_result result;

	*ret = NULL;
	if (unlikely(text.len > DF_VALUE_SIZE_MAX)) {
		if (err)
			*err = (struct df_parse_error){ DF_VALUE_SIZE_MAX, 1, 1, "larger than 4 GiB" };
		return DF_PARSE_TOO_LARGE;
	}
	if (unlikely(text.len == 0))
		text.ptr = "";

	char *arena_next = arena->next;
	struct df_arena_block *arena_blocks = arena->blocks;
	const char *end = text.ptr + text.len;
	const char *last = end;
	while (last > text.ptr && df_json_is(last[-1], DF_JSON_BLANK))
		last--;
	ps.begin = text.ptr;
	if (last > text.ptr && (last[-1] == '}' || last[-1] == ']') && (*text.ptr == '{' || *text.ptr == '[')) {
		ps.end = last;
		result = parse_tree(&ps);
		if (unlikely(result == DF_PARSE_NOT_JSON && ps.bad == last)) {
			/* It breaks off. In a string the blanks behind it matter for the place of the error. */
			ps.end = end;
			result = parse_strict(&ps);
		}
	} else {
		ps.end = end;
		result = parse_strict(&ps);
	}
	if (likely(result == DF_PARSE_OK)) {
		*ret = ps.root;
		return result;
	}

	if (arena->blocks == arena_blocks)
		arena->next = arena_next;
	if (result == DF_PARSE_NO_MEMORY) {
		ps.bad = text.ptr;
		ps.what = "out of memory";
	} else if (ps.bad == text.ptr && text.len >= 3 && memcmp(text.ptr, "\xEF\xBB\xBF", 3) == 0) {
		ps.what = "byte order mark";
	}
	if (err)
		locate(text, &ps, err);
	return result;
}

int df_value_parse_text(struct df_str text, struct df_arena *arena, struct df_value **ret, struct df_error *err)
{
	struct df_parse_error at;
	enum df_parse_result result = df_value_parse(text, arena, ret, &at);

	switch (result) {
	case DF_PARSE_OK:
		return DF_OK;
	case DF_PARSE_NO_MEMORY:
		return df_error_no_memory(err);
	case DF_PARSE_TOO_LARGE:
		return df_error_set(err, DF_ERR_INVALID_DATA, "JSON text of %zu bytes is larger than 4 GiB", text.len);
	default:
		return df_error_set(err, DF_ERR_INVALID_DATA, "line %zu, column %zu: %s", at.line, at.column, at.what);
	}
}

enum df_parse_result df_value_check(struct df_str text)
{
	if (text.len > DF_VALUE_SIZE_MAX)
		return DF_PARSE_TOO_LARGE;
	if (text.len == 0)
		return DF_PARSE_NOT_JSON;

	struct df_json_parser ps = { .begin = text.ptr, .end = text.ptr + text.len };
	return parse(&ps, false, true);
}

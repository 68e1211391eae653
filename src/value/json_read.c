/*
 * The JSON parser: RFC 8259, strict. One loop without recursion; open containers are on an explicit stack.
 *
 * The loop is compiled three times from one inline function, so that the verdicts cannot differ:
 *   tree    a document that ends in a bracket. That last byte stops every scan outside of strings, so that the loop
 * needs no bounds checks there; strict  any document, with bounds checks: scalar roots, and everything that is broken
 * at its end; check   as strict, builds nothing.
 */
#include <stdlib.h>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#include "value/value_internal.h"

#define likely(x) __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)

#define FRAMES_INLINE 32 /* containers open at once before the stack moves from the C stack to the arena */
#define TABLE_MEMBERS 32 /* members of an object before duplicate keys are looked up in a hash table */
#define TABLE_SLOTS_MIN 128

/* The keys of one large object. Linear probing, at most half full. */
struct key_table {
	struct key_table *next_free;
	size_t mask; /* slots - 1 */
	struct df_value *slot[];
};

/* Tables that are not in use, by the logarithm of their size: objects of one document share them. */
struct key_tables {
	struct key_table *unused[8 * sizeof(size_t)];
};

struct frame {
	struct df_value *container;
	struct df_value **link; /* where the next child goes */
	uint64_t bloom;		/* one bit a key; ~0 once `table` is in use */
	struct key_table *table;
	uint32_t count;
};

struct parser {
	const char *begin;
	const char *end;
	struct df_arena *arena;
	struct df_value *root;
	struct frame *frames;
	size_t frames_max;
	struct key_tables *tables;
	const char *bad; /* the first byte that cannot be */
	const char *what;
};

enum { CLASS_BLANK = 1, CLASS_DIGIT = 2, CLASS_STOP = 4, CLASS_HEX = 8, CLASS_ESCAPE = 16 };

/* clang-format off */
static const uint8_t class_of[256] = {
	[0x00 ... 0x08] = CLASS_STOP, ['\t'] = CLASS_STOP | CLASS_BLANK, ['\n'] = CLASS_STOP | CLASS_BLANK,
	[0x0B ... 0x0C] = CLASS_STOP, ['\r'] = CLASS_STOP | CLASS_BLANK, [0x0E ... 0x1F] = CLASS_STOP,
	[' '] = CLASS_BLANK, ['"'] = CLASS_STOP | CLASS_ESCAPE, ['\\'] = CLASS_STOP | CLASS_ESCAPE, ['/'] = CLASS_ESCAPE,
	['0' ... '9'] = CLASS_DIGIT | CLASS_HEX,
	['A' ... 'F'] = CLASS_HEX, ['a'] = CLASS_HEX, ['c' ... 'e'] = CLASS_HEX, ['b'] = CLASS_HEX | CLASS_ESCAPE,
	['f'] = CLASS_HEX | CLASS_ESCAPE, ['n'] = CLASS_ESCAPE, ['r'] = CLASS_ESCAPE, ['t'] = CLASS_ESCAPE,
};
/* clang-format on */

static inline bool is_class(char c, unsigned class)
{
	return class_of[(uint8_t)c] & class;
}

/* ---- strings ------------------------------------------------------------------------------------------------- */

/* The first byte in [p, end) that is a quote, a backslash, a control or not ASCII; end when there is none. */
static __attribute__((noinline)) const char *scan_ascii_tail(const char *p, const char *end)
{
	while (p < end && !is_class(*p, CLASS_STOP) && (signed char)*p >= 0)
		p++;
	return p;
}

static inline __attribute__((always_inline)) const char *scan_ascii(const char *p, const char *begin, const char *end)
{
#if defined(__SSE2__)
	while (likely(end - p >= 16)) {
		__m128i block = _mm_loadu_si128((const __m128i *)(const void *)p);
		/* Signed: below 0x20 are the controls and everything from 0x80 up. */
		__m128i stop = _mm_or_si128(_mm_cmplt_epi8(block, _mm_set1_epi8(0x20)),
					    _mm_or_si128(_mm_cmpeq_epi8(block, _mm_set1_epi8('"')),
							 _mm_cmpeq_epi8(block, _mm_set1_epi8('\\'))));
		unsigned mask = (unsigned)_mm_movemask_epi8(stop);
		if (likely(mask))
			return p + __builtin_ctz(mask);
		p += 16;
	}
#endif
	(void)begin;
	return scan_ascii_tail(p, end);
}

/* As scan_ascii, but bytes from 0x80 up are passed over and make *ret_wide true. */
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
	for (; p < end && !is_class(*p, CLASS_STOP); p++)
		*ret_wide |= (signed char)*p < 0;
	return p;
}

/* The end of the escape at p, or NULL with `bad` set. */
static const char *scan_escape(struct parser *ps, const char *p)
{
	if (++p == ps->end)
		goto end;
	if (is_class(*p, CLASS_ESCAPE))
		return p + 1;
	if (*p != 'u')
		goto bad;
	p++;
	for (const char *stop = p + 4; p < stop; p++) {
		if (p == ps->end)
			goto end;
		if (!is_class(*p, CLASS_HEX))
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

/* The rest of a string that is not plain ASCII: from p, a stop of scan_ascii, to the closing quote. NULL: broken. */
static __attribute__((noinline)) const char *scan_string(struct parser *ps, const char *start, const char *p,
							 bool *ret_escaped)
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

/* ---- duplicate keys -------------------------------------------------------------------------------------------- */

static inline unsigned bloom_bit(const char *key, size_t len)
{
	/* For an empty key both bytes are the quotes around it. */
	return (unsigned)((uint8_t)key[0] * 5 + (uint8_t)key[(ptrdiff_t)len - 1] * 3 + len * 11) & 63;
}

static inline uint64_t mix(uint64_t a, uint64_t b)
{
	unsigned __int128 product = (unsigned __int128)a * b;

	return (uint64_t)product ^ (uint64_t)(product >> 64);
}

/* In the manner of wyhash. Seeded with an address, so that a sender cannot choose keys that collide. */
static uint64_t hash_key(const char *key, size_t len, uint64_t seed)
{
	uint64_t hash = seed ^ mix(len ^ 0xa0761d6478bd642f, seed ^ 0xe7037ed1a0b428db);
	uint64_t word;

	for (; len >= 8; key += 8, len -= 8) {
		memcpy(&word, key, 8);
		hash = mix(hash ^ word, 0x8ebc6af09c88c6e3 ^ seed);
	}
	word = 0;
	memcpy(&word, key, len);
	return mix(hash ^ word, 0x589965cc75374cc3 ^ seed);
}

static struct df_value **table_find(struct key_table *table, const char *key, size_t len, uint64_t seed)
{
	size_t i = hash_key(key, len, seed) & table->mask;

	for (;; i = (i + 1) & table->mask) {
		struct df_value *member = table->slot[i];
		if (!member || (member->key_len == len && memcmp(member->key, key, len) == 0))
			return &table->slot[i];
	}
}

static void table_release(struct parser *ps, struct key_table *table)
{
	struct key_table **head = &ps->tables->unused[__builtin_ctzll(table->mask + 1)];

	table->next_free = *head;
	*head = table;
}

static struct key_table *table_take(struct parser *ps, size_t slots)
{
	if (!ps->tables) {
		ps->tables = df_arena_zalloc(ps->arena, sizeof(*ps->tables));
		if (!ps->tables)
			return NULL;
	}

	struct key_table **head = &ps->tables->unused[__builtin_ctzll(slots)];
	struct key_table *table = *head;
	if (table)
		*head = table->next_free;
	else
		table = df_arena_alloc(ps->arena, sizeof(*table) + slots * sizeof(table->slot[0]));
	if (!table)
		return NULL;
	table->mask = slots - 1;
	memset(table->slot, 0, slots * sizeof(table->slot[0]));
	return table;
}

/* Makes room in the table for one member more than the container has. False: out of memory. */
static bool table_fit(struct parser *ps, struct frame *frame)
{
	size_t slots = frame->table ? frame->table->mask + 1 : TABLE_SLOTS_MIN;
	if (frame->table && (frame->count + 1) * (size_t)2 <= slots)
		return true;
	while ((frame->count + 1) * (size_t)2 > slots)
		slots *= 2;

	struct key_table *table = table_take(ps, slots);
	if (!table)
		return false;
	*frame->link = NULL;
	df_for_each (member, frame->container)
		*table_find(table, member->key, member->key_len, (uintptr_t)ps) = member;
	if (frame->table)
		table_release(ps, frame->table);
	frame->table = table;
	return true;
}

/*
 * The bloom filter says that the object of `frame` may have the key: looks. Sets *ret_member to the member or, when the
 * key is new, to NULL; in a large object a new key gets a node at once, *ret_new, which goes into its table. False: out
 * of memory.
 */
static __attribute__((noinline)) bool find_member(struct parser *ps, struct frame *frame, const char *key, size_t len,
						  struct df_value **ret_member, struct df_value **ret_new)
{
	*ret_member = NULL;
	*ret_new = NULL;
	if (frame->count < TABLE_MEMBERS) {
		struct df_value *member = frame->container->first;
		for (uint32_t i = 0; i < frame->count; i++, member = member->next) {
			if (member->key_len == len && memcmp(member->key, key, len) == 0) {
				*ret_member = member;
				return true;
			}
		}
		return true;
	}

	if (!table_fit(ps, frame))
		return false;
	frame->bloom = ~(uint64_t)0;
	struct df_value **slot = table_find(frame->table, key, len, (uintptr_t)ps);
	if (*slot) {
		*ret_member = *slot;
		return true;
	}
	struct df_value *member = df_arena_alloc(ps->arena, sizeof(*member));
	if (!member)
		return false;
	member->key = key; /* the others are filled in by the loop, before the table is looked at again */
	member->key_len = (uint32_t)len;
	*slot = member;
	*ret_new = member;
	return true;
}

/* ---- the loop ------------------------------------------------------------------------------------------------- */

static __attribute__((noinline)) const char *skip_blanks(const char *p, const char *end)
{
	while (p < end && is_class(*p, CLASS_BLANK))
		p++;
	return p;
}

/* The first byte at which the literal is broken. */
static const char *literal_break(const char *p, const char *end, const char *literal)
{
	while (p < end && *literal && *p == *literal) {
		p++;
		literal++;
	}
	return p;
}

static __attribute__((noinline)) bool frames_grow(struct parser *ps)
{
	struct frame *frames = df_arena_alloc(ps->arena, DF_VALUE_DEPTH_MAX * sizeof(*frames));

	if (!frames)
		return false;
	memcpy(frames, ps->frames, ps->frames_max * sizeof(*frames));
	ps->frames = frames;
	ps->frames_max = DF_VALUE_DEPTH_MAX;
	return true;
}

static __attribute__((noinline)) bool decode_key(struct parser *ps, const char **key, size_t *key_len, bool *ret_plain)
{
	char *text = df_arena_alloc(ps->arena, *key_len);

	if (!text)
		return false;
	*key_len = df_escape_decode(df_str(*key, *key_len), text, ret_plain);
	*key = text;
	return true;
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

#define SKIP_BLANKS()                               \
	do {                                        \
		NEED();                             \
		if (unlikely((uint8_t)*p <= ' ')) { \
			p = skip_blanks(p, end);    \
			NEED();                     \
		}                                   \
	} while (0)

/* From the digit expected at p to behind the last digit. */
#define DIGITS()                                                           \
	do {                                                               \
		NEED();                                                    \
		if (unlikely(!is_class(*p, CLASS_DIGIT)))                  \
			FAIL(p, "invalid number");                         \
		do                                                         \
			p++;                                               \
		while ((!strict || p < end) && is_class(*p, CLASS_DIGIT)); \
	} while (0)

#define AT(c) ((!strict || p < end) && *p == (c))

static inline __attribute__((always_inline)) enum df_parse_result parse(struct parser *ps, const bool build,
									const bool strict)
{
	const char *p = ps->begin;
	const char *const end = ps->end;
	size_t depth = 0;
	bool in_object = false;
	uint64_t objects[DF_VALUE_DEPTH_MAX / 64 + 1] = { 0 }; /* check: one bit an open container */
	struct frame *frame = ps->frames;		       /* build: the innermost open container */
	struct df_value *node = NULL;
	const char *start;
	size_t len;
	bool escaped;

	SKIP_BLANKS();
	if (build) {
		node = df_arena_alloc(ps->arena, sizeof(*node));
		if (!node)
			return DF_PARSE_NO_MEMORY;
		*node = (struct df_value){ 0 };
		ps->root = node;
	}

value: /* p is at its first byte; build: node is its node, with next and key set */
	switch (*p) {
	case '"':
		start = p + 1;
		p = scan_ascii(start, ps->begin, end);
		escaped = false;
		if (unlikely(p == end || *p != '"')) {
			p = scan_string(ps, start, p, &escaped);
			if (!p)
				return DF_PARSE_NOT_JSON;
		}
		if (build) {
			node->text = start;
			node->len = (uint32_t)(p - start);
			node->kind = DF_STRING;
			node->logical = DF_LOGICAL_NONE;
			node->repr = escaped ? DF_REPR_ESCAPED : DF_REPR_PLAIN;
		}
		p++;
		break;
	case '-':
	case '0' ... '9':
		start = p;
		if (*p == '-')
			p++;
		if (AT('0')) {
			p++;
			if ((!strict || p < end) && is_class(*p, CLASS_DIGIT))
				FAIL(p, "leading zero in a number");
		} else {
			DIGITS();
		}
		if (AT('.')) {
			p++;
			DIGITS();
		}
		if (AT('e') || AT('E')) {
			p++;
			if (AT('+') || AT('-'))
				p++;
			DIGITS();
		}
		if (build) {
			node->text = start;
			node->len = (uint32_t)(p - start);
			node->kind = DF_NUMBER;
			node->logical = DF_LOGICAL_NONE;
			node->repr = DF_REPR_TEXT;
		}
		break;
	case 't':
		if (unlikely(end - p < 4 || memcmp(p, "true", 4) != 0))
			FAIL(literal_break(p, end, "true"), "invalid literal");
		if (build) {
			node->text = p;
			node->len = 4;
			node->kind = DF_TRUE;
			node->logical = DF_LOGICAL_NONE;
			node->repr = DF_REPR_TEXT;
		}
		p += 4;
		break;
	case 'n':
		if (unlikely(end - p < 4 || memcmp(p, "null", 4) != 0))
			FAIL(literal_break(p, end, "null"), "invalid literal");
		if (build) {
			node->text = p;
			node->len = 4;
			node->kind = DF_NULL;
			node->logical = DF_LOGICAL_NONE;
			node->repr = DF_REPR_TEXT;
		}
		p += 4;
		break;
	case 'f':
		if (unlikely(end - p < 5 || memcmp(p, "false", 5) != 0))
			FAIL(literal_break(p, end, "false"), "invalid literal");
		if (build) {
			node->text = p;
			node->len = 5;
			node->kind = DF_FALSE;
			node->logical = DF_LOGICAL_NONE;
			node->repr = DF_REPR_TEXT;
		}
		p += 5;
		break;
	case '{':
	case '[':
		if (unlikely(depth == DF_VALUE_DEPTH_MAX)) {
			ps->bad = p;
			ps->what = "nested deeper than 1000 levels";
			return DF_PARSE_TOO_DEEP;
		}
		in_object = *p == '{';
		p++;
		if (build) {
			if (unlikely(depth == ps->frames_max) && !frames_grow(ps))
				return DF_PARSE_NO_MEMORY;
			frame = &ps->frames[depth];
			frame->container = node;
			frame->link = &node->first;
			frame->bloom = 0;
			frame->table = NULL;
			frame->count = 0;
			node->kind = in_object ? DF_OBJECT : DF_ARRAY;
			node->logical = DF_LOGICAL_NONE;
			node->repr = DF_REPR_TEXT;
		} else {
			uint64_t bit = (uint64_t)1 << (depth % 64);
			objects[depth / 64] = in_object ? objects[depth / 64] | bit : objects[depth / 64] & ~bit;
		}
		depth++;
		SKIP_BLANKS();
		if (in_object) {
			if (*p == '}')
				goto close;
			goto member;
		}
		if (*p == ']')
			goto close;
		goto element;
	default:
		FAIL(p, "unexpected character");
	}

after_value:
	if (strict && depth == 0)
		goto done;
	SKIP_BLANKS();
	if (in_object) {
		if (likely(*p == ',')) {
			p++;
			SKIP_BLANKS();
			goto member;
		}
		if (unlikely(*p != '}'))
			FAIL(p, "expected ',' or '}' after a member");
	} else {
		if (likely(*p == ',')) {
			p++;
			SKIP_BLANKS();
			goto element;
		}
		if (unlikely(*p != ']'))
			FAIL(p, "expected ',' or ']' after an element");
	}

close:
	p++;
	depth--;
	if (build) {
		struct df_value *container = frame->container;
		*frame->link = NULL;
		container->len = frame->count;
		/* `next` is the first field of a node, so the last child is where its `next` is. */
		container->last = frame->count ? (struct df_value *)(void *)frame->link : NULL;
		if (unlikely(frame->table))
			table_release(ps, frame->table);
	}
	if (depth == 0)
		goto done;
	if (unlikely(p == end))
		FAIL(p, "unexpected end");
	if (build) {
		frame--;
		in_object = frame->container->kind == DF_OBJECT;
	} else {
		in_object = objects[(depth - 1) / 64] >> ((depth - 1) % 64) & 1;
	}
	goto after_value;

element:
	if (build) {
		node = df_arena_alloc(ps->arena, sizeof(*node));
		if (unlikely(!node))
			return DF_PARSE_NO_MEMORY;
		*frame->link = node;
		frame->link = &node->next;
		frame->count++;
		node->key = NULL;
		node->key_len = 0;
		node->key_plain = false;
		node->line = 0;
	}
	goto value;

member:
	if (unlikely(*p != '"'))
		FAIL(p, "expected a key in double quotes");
	start = p + 1;
	p = scan_ascii(start, ps->begin, end);
	escaped = false;
	if (unlikely(p == end || *p != '"')) {
		p = scan_string(ps, start, p, &escaped);
		if (!p)
			return DF_PARSE_NOT_JSON;
	}
	len = (size_t)(p - start);
	p++;
	SKIP_BLANKS();
	if (unlikely(*p != ':'))
		FAIL(p, "expected ':' after a key");
	p++;
	SKIP_BLANKS();
	if (build) {
		bool key_plain = true;
		if (unlikely(escaped) && !decode_key(ps, &start, &len, &key_plain))
			return DF_PARSE_NO_MEMORY;
		unsigned bit = bloom_bit(start, len);
		node = NULL;
		if (unlikely(frame->bloom >> bit & 1)) {
			struct df_value *old;
			if (!find_member(ps, frame, start, len, &old, &node))
				return DF_PARSE_NO_MEMORY;
			if (old) {
				node = old; /* the last value stands where the first stood */
				goto value;
			}
		}
		frame->bloom |= (uint64_t)1 << bit;
		if (likely(!node)) {
			node = df_arena_alloc(ps->arena, sizeof(*node));
			if (unlikely(!node))
				return DF_PARSE_NO_MEMORY;
		}
		*frame->link = node;
		frame->link = &node->next;
		frame->count++;
		node->key = start;
		node->key_len = (uint32_t)len;
		node->key_plain = key_plain;
		node->line = 0;
	}
	goto value;

done:
	p = skip_blanks(p, end);
	if (unlikely(p != end))
		FAIL(p, "more text after the value");
	return DF_PARSE_OK;
}

static __attribute__((noinline)) enum df_parse_result parse_tree(struct parser *ps)
{
	return parse(ps, true, false);
}

static __attribute__((noinline)) enum df_parse_result parse_strict(struct parser *ps)
{
	return parse(ps, true, true);
}

static void locate(struct df_str text, const struct parser *ps, struct df_parse_error *err)
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
	struct frame frames[FRAMES_INLINE];
	struct parser ps = {
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
	while (last > text.ptr && is_class(last[-1], CLASS_BLANK))
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

	struct parser ps = { .begin = text.ptr, .end = text.ptr + text.len };
	return parse(&ps, false, true);
}

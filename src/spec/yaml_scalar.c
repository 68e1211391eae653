/* Plain scalars: the core schema of YAML 1.2 (section 10.3.2), and yes/no/on/off as the YAML 1.1 readers of Kubernetes.
 */
#include "spec/spec_internal.h"

#define NUMBER_DIGITS_MAX 4096 /* longer ones are text */

struct word {
	const char *text; /* lower case; also accepted as Text and TEXT */
	enum df_kind kind;
};

static const struct word words[] = {
	{ "null", DF_NULL },   { "true", DF_TRUE }, { "yes", DF_TRUE },	 { "on", DF_TRUE },
	{ "false", DF_FALSE }, { "no", DF_FALSE },  { "off", DF_FALSE },
};

static char lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c + ('a' - 'A')) : c;
}

static bool is_upper(char c)
{
	return c >= 'A' && c <= 'Z';
}

/* Is text the word in one of its three spellings: word, Word, WORD? */
static bool is_word(struct df_str text, const char *word)
{
	if (text.len != strlen(word))
		return false;
	for (size_t i = 0; i < text.len; i++) {
		if (lower(text.ptr[i]) != word[i])
			return false;
		/* From the second letter on all are of one case, and an upper one follows only an upper first. */
		if (i > 0 && is_upper(text.ptr[i]) != is_upper(text.ptr[text.len - 1]))
			return false;
	}
	return is_upper(text.ptr[0]) || !is_upper(text.ptr[text.len - 1]);
}

static struct df_value *marked(struct df_value *v, struct df_str written, struct df_arena *arena)
{
	if (!v)
		return NULL;
	v->logical = DF_LOGICAL_TEXT;
	if (v->kind != DF_NUMBER) {
		v->text = written.ptr;
		v->len = (uint32_t)written.len;
		return v;
	}
	v->last = df_value_string(arena, written);
	return v->last ? v : NULL;
}

struct df_str df_yaml_written(const struct df_value *v)
{
	switch (v->kind) {
	case DF_NULL:
		return DF_STR("null");
	case DF_TRUE:
	case DF_FALSE:
		if (v->logical == DF_LOGICAL_TEXT)
			return df_str(v->text, v->len);
		return v->kind == DF_TRUE ? DF_STR("true") : DF_STR("false");
	case DF_NUMBER:
		if (v->logical == DF_LOGICAL_TEXT)
			return df_str(v->last->text, v->last->len);
		break;
	default:
		break;
	}
	return df_str(v->text, v->len);
}

static bool all_of(struct df_str text, const char *accept)
{
	for (size_t i = 0; i < text.len; i++) {
		if (!text.ptr[i] || !strchr(accept, text.ptr[i]))
			return false;
	}
	return text.len > 0;
}

static size_t digits(struct df_str text, size_t at)
{
	while (at < text.len && text.ptr[at] >= '0' && text.ptr[at] <= '9')
		at++;
	return at;
}

/* `0x1F` and `0o17` in decimal; *ret_too_large when it does not fit in 64 bits. */
static struct df_value *radix_number(struct df_str text, struct df_arena *arena, bool *ret_too_large)
{
	unsigned base = text.ptr[1] == 'x' ? 16 : 8;
	uint64_t value = 0;
	char decimal[24];

	for (size_t i = 2; i < text.len; i++) {
		char c = lower(text.ptr[i]);
		unsigned digit = (unsigned)(c <= '9' ? c - '0' : c - 'a' + 10);
		if (__builtin_mul_overflow(value, base, &value) || __builtin_add_overflow(value, digit, &value)) {
			*ret_too_large = true;
			return NULL;
		}
	}
	int len = snprintf(decimal, sizeof(decimal), "%llu", (unsigned long long)value);
	struct df_str copy = df_arena_dup(arena, df_str(decimal, (size_t)len));
	return copy.ptr ? df_value_number(arena, copy) : NULL;
}

static bool is_radix(struct df_str text)
{
	struct df_str rest = df_str(text.ptr + 2, text.len - 2);

	if (text.len < 3 || text.ptr[0] != '0')
		return false;
	return text.ptr[1] == 'x' ? all_of(rest, "0123456789abcdefABCDEF")
				  : text.ptr[1] == 'o' && all_of(rest, "01234567");
}

/* [-+]? ( \. [0-9]+ | [0-9]+ ( \. [0-9]* )? ) ( [eE] [-+]? [0-9]+ )? */
static bool is_decimal(struct df_str text)
{
	size_t at = text.len && (text.ptr[0] == '-' || text.ptr[0] == '+');
	size_t end = digits(text, at);
	size_t count = end - at;

	if (end < text.len && text.ptr[end] == '.') {
		at = end + 1;
		end = digits(text, at);
		count += end - at;
	}
	if (count == 0 || text.len > NUMBER_DIGITS_MAX)
		return false;
	if (end == text.len)
		return true;
	if (lower(text.ptr[end]) != 'e')
		return false;
	at = end + 1;
	at += at < text.len && (text.ptr[at] == '-' || text.ptr[at] == '+');
	return at < text.len && digits(text, at) == text.len;
}

/* `+5`, `007`, `.5`, `5.` as JSON numbers. text is a decimal. */
static struct df_str to_json(struct df_str text, struct df_arena *arena)
{
	char *out = df_arena_alloc(arena, text.len + 2);
	size_t at = 0;
	size_t n = 0;

	if (!out)
		return df_str(NULL, 0);
	if (text.ptr[0] == '-' || text.ptr[0] == '+')
		at = 1;
	if (text.ptr[0] == '-')
		out[n++] = '-';
	size_t end = digits(text, at);
	while (at + 1 < end && text.ptr[at] == '0')
		at++;
	if (at == end)
		out[n++] = '0';
	memcpy(out + n, text.ptr + at, end - at);
	n += end - at;
	if (end < text.len && text.ptr[end] == '.') {
		at = end;
		end = digits(text, at + 1);
		if (end > at + 1) {
			memcpy(out + n, text.ptr + at, end - at);
			n += end - at;
		}
	}
	memcpy(out + n, text.ptr + end, text.len - end);
	return df_str(out, n + (text.len - end));
}

static struct df_value *decimal_number(struct df_str text, struct df_arena *arena)
{
	if (df_number_valid(text))
		return df_value_number(arena, text);
	struct df_str json = to_json(text, arena);
	return json.ptr ? marked(df_value_number(arena, json), text, arena) : NULL;
}

/* .inf, -.Inf, .NaN ... */
static bool is_not_finite(struct df_str text)
{
	bool sign = text.len > 0 && (text.ptr[0] == '-' || text.ptr[0] == '+');
	struct df_str rest = df_str(text.ptr + sign, text.len - sign);

	if (rest.len != 4 || rest.ptr[0] != '.')
		return false;
	rest = df_str(rest.ptr + 1, 3);
	return is_word(rest, "inf") || (!sign && (is_word(rest, "nan") || df_str_equal(rest, DF_STR("NaN"))));
}

struct df_value *df_yaml_plain(struct df_str text, struct df_arena *arena, const char **ret_note)
{
	bool too_large = false;

	if (text.len == 0 || df_str_equal(text, DF_STR("~")))
		return df_value_new(arena, DF_NULL);
	for (size_t i = 0; i < DF_ARRAY_SIZE(words); i++) {
		if (!is_word(text, words[i].text))
			continue;
		struct df_value *v = df_value_new(arena, words[i].kind);
		bool json = df_str_equal_c(text, "true") || df_str_equal_c(text, "false");
		return json || words[i].kind == DF_NULL ? v : marked(v, text, arena);
	}
	if (is_decimal(text))
		return decimal_number(text, arena);
	if (is_radix(text)) {
		struct df_value *v = radix_number(text, arena, &too_large);
		if (!too_large)
			return marked(v, text, arena);
		*ret_note = "the number does not fit in 64 bits and is read as text; write it in quotes, or in decimal";
	} else if (is_not_finite(text)) {
		*ret_note = "there are no infinite numbers in documents, this is read as text; write it in quotes";
	}
	return df_value_string(arena, text);
}

#include "cmd/skeleton.h"

#include <stdlib.h>

#include <zlib.h>

#define DEPTH 8 /* of sections in sections */

char *df_skeleton_unpack(void)
{
	char *texts = malloc(df_skeleton_len);
	uLongf len = df_skeleton_len;

	if (texts && uncompress((Bytef *)texts, &len, df_skeleton_packed, df_skeleton_packed_len) == Z_OK)
		return texts;
	free(texts);
	return NULL;
}

/* ---- placeholders ---------------------------------------------------------------------------------------- */

static bool is_placeholder_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

/* The placeholder that begins at the @ of s; its length with both @, 0: it is none. */
static size_t placeholder_length(struct df_str s)
{
	size_t n = 1;

	while (n < s.len && is_placeholder_char(s.ptr[n]))
		n++;
	return n > 1 && n < s.len && s.ptr[n] == '@' ? n + 1 : 0;
}

static const char *placeholder_text(const struct df_skeleton_facts *facts, struct df_str name)
{
	for (const struct df_placeholder *p = facts->placeholders; p->name; p++)
		if (df_str_equal_c(name, p->name))
			return p->text;
	return NULL;
}

static int fill_line(struct df_str line, const struct df_skeleton_facts *facts, struct df_buf *ret,
		     struct df_error *err)
{
	while (line.len > 0) {
		const char *at = memchr(line.ptr, '@', line.len);
		size_t before = at ? (size_t)(at - line.ptr) : line.len;
		struct df_str rest = df_str(line.ptr + before, line.len - before);
		size_t n = at ? placeholder_length(rest) : 0;
		const char *text = n ? placeholder_text(facts, df_str(rest.ptr + 1, n - 2)) : NULL;

		if (n && !text)
			return df_error_set(err, DF_ERR_INVALID_DATA, "unknown placeholder %.*s", (int)n, rest.ptr);
		df_buf_add(ret, line.ptr, before);
		if (text)
			df_buf_add_c(ret, text);
		else if (at)
			df_buf_add_char(ret, *rest.ptr);
		n = n ? n : at != NULL;
		line = df_str(rest.ptr + n, rest.len - n);
	}
	return 0;
}

/* ---- sections -------------------------------------------------------------------------------------------- */

struct sections {
	const struct df_skeleton_facts *facts;
	struct {
		bool holds, otherwise;
	} open[DEPTH];
	size_t depth;
};

static bool written(const struct sections *s)
{
	for (size_t i = 0; i < s->depth; i++)
		if (!s->open[i].holds)
			return false;
	return true;
}

bool df_skeleton_holds(const struct df_skeleton_facts *facts, struct df_str word, bool *ret_known)
{
	for (size_t i = 0; facts->words[i]; i++) {
		if (!df_str_equal_c(word, facts->words[i]))
			continue;
		*ret_known = true;
		return facts->holds[i];
	}
	*ret_known = false;
	return false;
}

static int instruct(struct sections *s, struct df_str instruction, struct df_error *err)
{
	const struct df_str begin = DF_STR("if ");
	bool known;

	if (df_str_starts(instruction, begin) && s->depth < DEPTH) {
		struct df_str word = df_str(instruction.ptr + begin.len, instruction.len - begin.len);

		s->open[s->depth].otherwise = false;
		s->open[s->depth++].holds = df_skeleton_holds(s->facts, word, &known);
		return known ? 0 : df_error_set(err, DF_ERR_INVALID_DATA, "unknown word " DF_STR_FMT, DF_STR_ARG(word));
	}
	if (s->depth > 0 && df_str_equal_c(instruction, "else") && !s->open[s->depth - 1].otherwise) {
		s->open[s->depth - 1].otherwise = true;
		s->open[s->depth - 1].holds = !s->open[s->depth - 1].holds;
		return 0;
	}
	if (s->depth > 0 && df_str_equal_c(instruction, "end")) {
		s->depth--;
		return 0;
	}
	return df_error_set(err, DF_ERR_INVALID_DATA, "//@" DF_STR_FMT " does not belong here",
			    DF_STR_ARG(instruction));
}

/* One line, with its end. */
static int take_line(struct sections *s, struct df_str line, struct df_buf *ret, struct df_error *err)
{
	const struct df_str mark = DF_STR("//@");
	struct df_str trimmed = df_str_trim(line);

	if (df_str_starts(trimmed, mark))
		return instruct(s, df_str(trimmed.ptr + mark.len, trimmed.len - mark.len), err);
	return written(s) ? fill_line(line, s->facts, ret, err) : 0;
}

int df_skeleton_fill(struct df_str text, const struct df_skeleton_facts *facts, struct df_buf *ret,
		     struct df_error *err)
{
	struct sections sections = { .facts = facts };
	int line = 0, code = 0;

	while (text.len > 0 && code == 0) {
		const char *end = memchr(text.ptr, '\n', text.len);
		size_t n = end ? (size_t)(end - text.ptr) + 1 : text.len;

		line++;
		code = take_line(&sections, df_str(text.ptr, n), ret, err);
		text = df_str(text.ptr + n, text.len - n);
	}
	if (code == 0 && sections.depth > 0)
		code = df_error_set(err, DF_ERR_INVALID_DATA, "//@end is missing");
	if (code == 0)
		return ret->failed ? df_error_no_memory(err) : 0;
	return df_error_prefix(err, "line %d", line);
}

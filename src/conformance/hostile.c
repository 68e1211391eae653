#include "conformance/hostile.h"

#define NAME_SHOWN 24 /* bytes of a long name that an error must show */

/* %C: the name of a store of the rule's own, which must stay as it is. */
static const char *const quotes[] = {
	"a'b", "a\"b", "'a'", "\"a\"", "a`b",  "`a`", "[a]",   "a]b",	 "a[b",	 "a''b",  "a\"\"b", "a\"\"\"", "'",
	"\"",  "`",    "''",  "\"\"",  "a\\b", "a\\", "a\\'b", "a\\\"b", "E'a'", "$$a$$", "q'[a]'", NULL,
};

static const char *const separators[] = {
	"a.b", ".a",  "a.",  "a..b", "a b", " a",  "a ",  "a\tb", "a\nb", "a\r\nb", "a,b",
	"a;b", ";",   "a:b", "a|b",  "a&b", "a=b", "a#b", "a@b",  "a!b",  "a~b",    "a^b",
	"a*b", "a+b", "a-b", "-a",   "(a)", "a)b", "<a>", "a?b",  NULL,
};

static const char *const comments[] = { "a--b", "--", "a -- b", "a/*b*/c", "/*a", "a//b", "#a", NULL };

static const char *const paths[] = { "a/b", "a/b/c", "..", ".", "/", "a/", "a/../%C", "%C/../a", "a\\c", NULL };

static const char *const injections[] = {
	"x'; DROP TABLE %C; --",
	"x\"; DROP TABLE %C; --",
	"x\"; DROP TABLE \"%C\"; --",
	"x`; DROP TABLE `%C`; --",
	"x); DELETE FROM %C; --",
	"x\") VALUES (1); DELETE FROM \"%C\"; --",
	"' OR '1'='1",
	"%C\" --",
	"%C--",
	"%C;",
	"$(echo x)",
	"`echo x`",
	"${HOME}",
	"$1",
	":a",
	NULL,
};

static const char *const formats[] = {
	"%s",  "%n",	  "%d%d%d", "100%", "%%",  "%s%s%s%n", "{}", "{0}", "{{a}}",
	"\\n", "\\u0041", "\\x41",  "%41",  "%00", "&amp;",    "~a", NULL,
};

static const char *const keywords[] = {
	"select",  "TABLE",   "order", "group", "user",	  "from",      "null", "true",
	"default", "primary", "index", "where", "values", "timestamp", "key",  NULL,
};

/* Names that stores have for columns of their own; keys only. */
static const char *const hidden[] = { "rowid", "_rowid_", "oid", "ctid", "xmin", "_timestamp", "_offset", NULL };

static const char *const unicode[] = {
	"\xc3\xa4",
	"\xc3\xb1",
	"n\xcc\x83",
	"\xe6\x97\xa5\xe6\x9c\xac\xe8\xaa\x9e",
	"\xf0\x9f\x98\x80",
	"a\xe2\x80\x8b"
	"b",
	"\xe2\x80\xae"
	"a",
	"\xc2\xa0",
	"\xef\xac\x80",
	"\xce\xa9",
	"\xef\xbb\xbf"
	"a",
	NULL,
};

static const char *const starts[] = { "1abc", "123", "0", "-1", "1e5", "0x1", "_", "__a", "$a", "a$", "1.5", NULL };

/* Of names of one letter, in bytes. */
static const size_t lengths[] = { 1, 2, 31, 62, 63, 64, 65, 100, 127, 128, 200 };
#define LONG_NAMES (2 * DF_ARRAY_SIZE(lengths))
#define LENGTH_MAX 200

static const struct {
	const char *group;
	const char *const *names;
} groups[] = {
	{ "quotes", quotes },	{ "separators", separators }, { "comments", comments }, { "injections", injections },
	{ "formats", formats }, { "keywords", keywords },     { "hidden", hidden },	{ "unicode", unicode },
	{ "starts", starts },	{ "paths", paths },
};

static const char *expand(struct df_stage *st, const char *name, const char *canary)
{
	const char *at = strstr(name, "%C");

	if (!at)
		return name;
	return expand(st, df_rule_text(st, "%.*s%s%s", (int)(at - name), name, canary, at + 2), canary);
}

/* Two of each length, which differ in the last character only. */
static const char **long_names(struct df_stage *st, size_t *ret_count)
{
	const char **names = df_arena_alloc(st->arena, LONG_NAMES * sizeof(*names));
	char text[LENGTH_MAX];

	df_rule_check(st, names, "out of memory");
	memset(text, 'n', sizeof(text));
	for (size_t i = 0; i < LONG_NAMES; i++)
		names[i] = df_rule_text(st, "%.*s%c", (int)lengths[i / 2] - 1, text, i % 2 ? 'y' : 'x');
	*ret_count = LONG_NAMES;
	return names;
}

const char **df_hostile_names(struct df_stage *st, const char *group, const char *canary, size_t *ret_count)
{
	const char *const *list = NULL;
	size_t n = 0;

	for (size_t i = 0; i < DF_ARRAY_SIZE(groups); i++) {
		if (strcmp(groups[i].group, group) == 0)
			list = groups[i].names;
	}
	if (!list)
		return long_names(st, ret_count);
	while (list[n])
		n++;
	const char **names = df_arena_alloc(st->arena, n * sizeof(*names));

	df_rule_check(st, names, "out of memory");
	for (size_t i = 0; i < n; i++)
		names[i] = expand(st, list[i], canary);
	*ret_count = n;
	return names;
}

/* ---- what an error must show ------------------------------------------------------------------------------- */

static bool contains(struct df_str text, struct df_str part)
{
	return part.len == 0 || (text.len > 0 && memmem(text.ptr, text.len, part.ptr, part.len) != NULL);
}

/* Errors are one line: a control character is a blank there. */
static void add_without_quotes(struct df_buf *buf, struct df_str text)
{
	for (size_t i = 0; i < text.len; i++) {
		if (!strchr("\"`\\", text.ptr[i]))
			df_buf_add_char(buf, (unsigned char)text.ptr[i] < 0x20 ? ' ' : text.ptr[i]);
	}
}

bool df_hostile_named(const char *text, const char *name)
{
	struct df_str shown = df_str_c(name);
	struct df_buf json = { 0 }, bare_text = { 0 }, bare_name = { 0 };

	if (shown.len > 2 * NAME_SHOWN)
		shown.len = NAME_SHOWN;
	df_json_write_string(shown, &json);
	add_without_quotes(&bare_text, df_str_c(text));
	add_without_quotes(&bare_name, shown);
	bool found = contains(df_str_c(text), shown) || contains(df_str_c(text), df_str(json.data + 1, json.len - 2)) ||
		     (bare_name.len > 0 && contains(df_buf_str(&bare_text), df_buf_str(&bare_name)));

	df_buf_done(&json);
	df_buf_done(&bare_text);
	df_buf_done(&bare_name);
	return found;
}

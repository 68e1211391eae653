/*
 * Paths: text to steps. The dialect is the transformations reference, section 2; where that is silent, gjson
 * (github.com/tidwall/gjson, SYNTAX.md and gjson.go) decides, and the place says so.
 */
#include <stdlib.h>

#include "value/path_internal.h"

struct compiler {
	struct df_path *path;
	struct df_str text; /* what is compiled: all of the path's text */
	size_t pos;
	size_t base; /* bytes before `text` in what the user wrote (for a query's path) */
	enum df_path_use use;
	size_t *steps_total; /* of the outermost path with all its queries */
	bool reach;	     /* a wildcard, `#`, `[*]` or `#(q)#` stands in the part since the last `|` */
	bool piped;	     /* the next step stands behind a `|` that ended a reach */
	struct df_error *err;
};

/* ---- small helpers --------------------------------------------------------------------------------------- */

#define bad(c, at, ...) bad_at((c)->err, (c)->base + (at), __VA_ARGS__)

static int df_printf(3, 4) bad_at(struct df_error *err, size_t offset, const char *fmt, ...)
{
	struct df_error what;
	va_list args;

	va_start(args, fmt);
	df_error_setv(&what, DF_ERR_CONFIG, fmt, args);
	va_end(args);
	return df_error_set(err, DF_ERR_CONFIG, "column %zu: %s", offset + 1, what.text);
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* The length without the blanks at the end; one that is escaped stays. */
static size_t trimmed_len(struct df_str s)
{
	size_t end = s.len;
	size_t slashes = 0;

	while (end > 0 && is_blank(s.ptr[end - 1]))
		end--;
	while (slashes < end && s.ptr[end - 1 - slashes] == '\\')
		slashes++;
	return slashes % 2 == 1 && end < s.len ? end + 1 : end;
}

static struct df_str trim_path(struct df_str s)
{
	s.len = trimmed_len(s);
	while (s.len > 0 && is_blank(s.ptr[0])) {
		s.ptr++;
		s.len--;
	}
	return s;
}

/* Is there an end of a step at pos: the end, a separator, or a bracket? */
static bool at_step_end(const struct compiler *c)
{
	char ch;

	if (c->pos >= c->text.len)
		return true;
	ch = c->text.ptr[c->pos];
	return ch == '.' || ch == '|' || ch == '[';
}

static struct df_step *add_step(struct compiler *c, enum df_step_kind kind, size_t at)
{
	struct df_path *path = c->path;
	struct df_step *step;

	if (path->count == path->cap) {
		size_t cap = path->cap * 2;
		struct df_step *steps = realloc(path->steps, cap * sizeof(*steps));

		if (!steps) {
			df_error_no_memory(c->err);
			return NULL;
		}
		path->steps = steps;
		path->cap = cap;
	}
	step = &path->steps[path->count++];
	*step = (struct df_step){ .kind = (uint8_t)kind, .index = SIZE_MAX, .column = at + 1, .piped = c->piped };
	c->piped = false;
	return step;
}

/* Refuses what the use does not allow. */
static int check_use(struct compiler *c, enum df_step_kind kind, size_t at)
{
	if (*c->steps_total >= DF_PATH_STEPS_MAX)
		return bad(c, at, "more than %d steps", DF_PATH_STEPS_MAX);
	(*c->steps_total)++;
	if (c->use == DF_PATH_PLAIN && kind != DF_STEP_KEY)
		return bad(c, at, "only keys and indices are allowed here%s",
			   kind == DF_STEP_WILD	      ? "; write \\* and \\? for the characters themselves"
			   : kind == DF_STEP_MODIFIER ? "; write \\@ for a key that begins with @"
						      : "");
	if (c->use == DF_PATH_LOCATION && kind == DF_STEP_MODIFIER)
		return bad(c, at, "a modifier names no place in the document; write \\@ for a key that begins with @");
	/* With a `|` behind it the `|` is what is wrong, see separator(). */
	if (c->use == DF_PATH_LOCATION && kind == DF_STEP_LENGTH && c->pos >= c->text.len)
		return bad(c, at, "the length of an array is no place in the document; write [*] for all elements");
	return 0;
}

/* The index that a run of digits is; one too large for any array is past every end. */
static size_t to_index(struct df_str digits)
{
	size_t n = 0;

	for (size_t i = 0; i < digits.len; i++) {
		size_t d = (size_t)(digits.ptr[i] - '0');

		if (n > (SIZE_MAX - 1 - d) / 10)
			return SIZE_MAX - 1;
		n = n * 10 + d;
	}
	return n;
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* ---- steps ----------------------------------------------------------------------------------------------- */

static int parse_name(struct compiler *c)
{
	size_t start = c->pos;
	char *out = c->path->keys + c->path->keys_len;
	size_t len = 0;
	bool wild = false;
	bool digits = true; /* digits without an escape among them: `\0` is the name 0 and never an index */
	bool meant = false; /* an escaped * ? or \ is in it */
	struct df_step *step;
	int rc;

	for (; !at_step_end(c); c->pos++) {
		char ch = c->text.ptr[c->pos];

		if (ch == '\\') {
			if (++c->pos == c->text.len)
				return bad(c, c->pos - 1, "a lone \\ at the end; write \\\\ for the character itself");
			ch = c->text.ptr[c->pos];
			digits = false;
			/* Kept with its \ until it is known whether this is a pattern. */
			if (ch == '*' || ch == '?' || ch == '\\') {
				out[len++] = '\\';
				meant = true;
			}
		} else if (ch == '*' || ch == '?') {
			wild = true;
		}
		if (!is_digit(ch))
			digits = false;
		out[len++] = ch;
	}
	if (!wild && meant) {
		size_t to = 0;

		for (size_t from = 0; from < len; from++) {
			if (out[from] == '\\')
				from++;
			out[to++] = out[from];
		}
		len = to;
	}
	rc = check_use(c, wild ? DF_STEP_WILD : DF_STEP_KEY, start);
	if (rc)
		return rc;
	step = add_step(c, wild ? DF_STEP_WILD : DF_STEP_KEY, start);
	if (!step)
		return DF_ERR_NO_MEMORY;
	step->key = df_str(out, len);
	c->path->keys_len += len;
	if (digits)
		step->index = to_index(step->key);
	c->reach = c->reach || wild;
	return 0;
}

/* `[digits]` or `[*]`; pos is at the `[`. */
static int parse_bracket(struct compiler *c)
{
	const char *text = c->text.ptr;
	size_t open = c->pos;
	size_t i = open + 1;
	struct df_step *step;
	bool all;
	int rc;

	all = i < c->text.len && text[i] == '*';
	if (all)
		i++;
	else
		while (i < c->text.len && is_digit(text[i]))
			i++;
	if (i == open + 1 || i >= c->text.len || text[i] != ']')
		return bad(c, open, "[ opens neither an index nor [*]; write \\[ for the character itself");
	c->pos = i + 1;
	rc = check_use(c, all ? DF_STEP_ALL : DF_STEP_KEY, open);
	if (rc)
		return rc;
	step = add_step(c, all ? DF_STEP_ALL : DF_STEP_KEY, open);
	if (!step)
		return DF_ERR_NO_MEMORY;
	if (all) {
		c->reach = true;
	} else {
		char *out = c->path->keys + c->path->keys_len;

		step->key = df_str(out, i - open - 1);
		memcpy(out, text + open + 1, step->key.len);
		c->path->keys_len += step->key.len;
		step->index = to_index(step->key);
	}
	if (!at_step_end(c))
		return bad(c, c->pos, "expected . or | behind ]");
	return 0;
}

/*
 * The query whose first byte is text[pos] (behind `#(`), as gjson's parseQuery: the first ! = < > or % outside of inner
 * parentheses begins the operator; `\` hides the next character; parentheses are balanced; what stands in "" is
 * skipped. *ret_op is its offset, or SIZE_MAX; *ret_end is that of the closing parenthesis. On error *ret_bad is the
 * byte to blame and the text what is wrong with it; NULL when all is well.
 */
static const char *query_extent(struct df_str text, size_t pos, size_t *ret_op, size_t *ret_end, size_t *ret_bad)
{
	size_t depth = 1;
	size_t i = pos;

	*ret_op = SIZE_MAX;
	*ret_bad = pos - 1;
	for (; i < text.len; i++) {
		switch (text.ptr[i]) {
		case '!':
		case '=':
		case '<':
		case '>':
		case '%':
			if (depth == 1 && *ret_op == SIZE_MAX)
				*ret_op = i;
			break;
		case '\\':
			i++;
			break;
		case '(':
			depth++;
			break;
		case ')':
			if (--depth == 0) {
				*ret_end = i;
				return NULL;
			}
			break;
		case '"':
			*ret_bad = i;
			for (i++; i < text.len && text.ptr[i] != '"'; i++)
				if (text.ptr[i] == '\\')
					i++;
			if (i >= text.len)
				return "the quote is never closed";
			*ret_bad = pos - 1;
			break;
		default:
			break;
		}
	}
	return "the query is never closed";
}

/* The operator at text[at]; its length, 0 when it is none. */
static size_t query_op(struct df_str text, size_t at, uint8_t *ret)
{
	char next = at + 1 < text.len ? text.ptr[at + 1] : 0;

	switch (text.ptr[at]) {
	case '=':
		*ret = DF_QUERY_EQ;
		return next == '=' ? 2 : 1;
	case '!':
		*ret = next == '=' ? DF_QUERY_NE : DF_QUERY_NOT_LIKE;
		return next == '=' || next == '%' ? 2 : 0;
	case '<':
		*ret = next == '=' ? DF_QUERY_LE : DF_QUERY_LT;
		return next == '=' ? 2 : 1;
	case '>':
		*ret = next == '=' ? DF_QUERY_GE : DF_QUERY_GT;
		return next == '=' ? 2 : 1;
	default:
		*ret = DF_QUERY_LIKE;
		return 1;
	}
}

static void set_tilde(struct df_query *query)
{
	struct df_str value = df_str(query->value, query->value_len);

	if (query->op != DF_QUERY_EQ && query->op != DF_QUERY_NE)
		return;
	if (df_str_equal_c(value, "~true"))
		query->tilde = DF_TILDE_TRUE;
	else if (df_str_equal_c(value, "~false"))
		query->tilde = DF_TILDE_FALSE;
	else if (df_str_equal_c(value, "~null"))
		query->tilde = DF_TILDE_NULL;
	else if (df_str_equal_c(value, "~*"))
		query->tilde = DF_TILDE_ANY;
}

/* The value of a query: text[from..to), `"..."` or bare. Any other `~word`, and a quoted "~true", is text like any
 * other (gjson never matches the first and tests the kind for the second; the reference knows only the four words). */
static int parse_query_value(struct compiler *c, struct df_query *query, size_t from, size_t to)
{
	struct df_str raw = df_str_trim(df_str(c->text.ptr + from, to - from));
	size_t at = raw.len ? (size_t)(raw.ptr - c->text.ptr) : from;
	bool quoted = raw.len > 0 && raw.ptr[0] == '"';

	if (raw.len == 0)
		return bad(c, at, "the query's operator has no value; write \"\" for the empty text");
	if (quoted) {
		struct df_arena arena = { 0 };
		struct df_parse_error where = { 0 };
		struct df_value *v = NULL;
		enum df_parse_result result;
		struct df_str text = { 0 };
		size_t close = 1;

		while (close < raw.len && raw.ptr[close] != '"')
			close += raw.ptr[close] == '\\' ? 2 : 1;
		for (close++; close < raw.len && is_blank(raw.ptr[close]); close++)
			;
		if (close < raw.len)
			return bad(c, at + close, "only ) may stand behind the query's value");
		df_arena_init(&arena, NULL);
		result = df_value_parse(raw, &arena, &v, &where);
		if (result == DF_PARSE_OK) {
			text = df_value_text(v, &arena);
			query->value = text.ptr ? df_str_dup(text) : NULL;
			query->value_len = text.len;
		}
		df_arena_done(&arena);
		if (result != DF_PARSE_OK && result != DF_PARSE_NO_MEMORY)
			return bad(c, at + where.offset, "the query's value is no JSON string: %s", where.what);
	} else {
		query->value = df_str_dup(raw);
		query->value_len = raw.len;
	}
	if (!query->value)
		return df_error_no_memory(c->err);
	query->is_number = df_number_valid(df_str(query->value, query->value_len));
	if (!quoted)
		set_tilde(query);
	return 0;
}

static int compile(struct df_str text, size_t base, enum df_path_use use, size_t *steps_total, struct df_path **ret,
		   struct df_error *err);

/* `(query)` or `(query)#`; pos is at the `(`. */
static int parse_query(struct compiler *c, size_t start)
{
	size_t first = c->pos + 1;
	size_t op;
	size_t end;
	size_t wrong;
	const char *what = query_extent(c->text, first, &op, &end, &wrong);
	enum df_step_kind kind;
	struct df_step *step;
	struct df_str path;
	int rc;

	if (what)
		return bad(c, wrong, "%s", what);
	kind = end + 1 < c->text.len && c->text.ptr[end + 1] == '#' ? DF_STEP_MATCHING : DF_STEP_FIRST;
	c->pos = end + (kind == DF_STEP_MATCHING ? 2 : 1);
	rc = check_use(c, kind, start);
	if (rc)
		return rc;
	step = add_step(c, kind, start);
	if (!step)
		return DF_ERR_NO_MEMORY;
	step->query = calloc(1, sizeof(*step->query));
	if (!step->query)
		return df_error_no_memory(c->err);
	path = trim_path(df_str(c->text.ptr + first, (op == SIZE_MAX ? end : op) - first));
	if (path.len > 0) {
		rc = compile(path, c->base + (size_t)(path.ptr - c->text.ptr), DF_PATH_READING, c->steps_total,
			     &step->query->path, c->err);
		if (rc)
			return rc;
	}
	if (op != SIZE_MAX) {
		size_t len = query_op(c->text, op, &step->query->op);

		if (len == 0)
			return bad(c, op, "expected != or !%% in the query; write \\! for the character itself");
		rc = parse_query_value(c, step->query, op + len, end);
		if (rc)
			return rc;
	}
	if (!at_step_end(c))
		return bad(c, c->pos, "expected . or | behind the query");
	c->reach = c->reach || kind == DF_STEP_MATCHING;
	return 0;
}

static int parse_hash(struct compiler *c)
{
	size_t start = c->pos++;
	enum df_step_kind kind;
	int rc;

	if (c->pos < c->text.len && c->text.ptr[c->pos] == '(')
		return parse_query(c, start);
	if (!at_step_end(c))
		return bad(c, start, "expected . or | or ( behind #; write \\# for a key that begins with #");
	kind = c->pos == c->text.len || c->text.ptr[c->pos] == '|' ? DF_STEP_LENGTH : DF_STEP_EACH;
	rc = check_use(c, kind, start);
	if (rc)
		return rc;
	c->reach = true;
	return add_step(c, kind, start) ? 0 : DF_ERR_NO_MEMORY;
}

static const struct {
	const char *name;
	int modifier; /* -1: known to gjson, not supported */
} modifiers[] = {
	{ "this", DF_MODIFIER_SAME },
	{ "valid", DF_MODIFIER_SAME },
	{ "ugly", DF_MODIFIER_SAME },
	{ "pretty", DF_MODIFIER_SAME },
	{ "reverse", DF_MODIFIER_REVERSE },
	{ "keys", DF_MODIFIER_KEYS },
	{ "values", DF_MODIFIER_VALUES },
	{ "flatten", DF_MODIFIER_FLATTEN },
	{ "tostr", DF_MODIFIER_TOSTR },
	{ "fromstr", DF_MODIFIER_FROMSTR },
	{ "join", -1 },
	{ "group", -1 },
	{ "dig", -1 },
};

/* Length of `{"deep":true}` at s, blanks between its tokens allowed; 0 when it is something else. */
static size_t deep_argument(struct df_str s)
{
	static const char *const tokens[] = { "{", "\"deep\"", ":", "true", "}" };
	size_t pos = 0;

	for (size_t i = 0; i < DF_ARRAY_SIZE(tokens); i++) {
		struct df_str token = df_str_c(tokens[i]);

		while (i > 0 && pos < s.len && is_blank(s.ptr[pos]))
			pos++;
		if (!df_str_starts(df_str(s.ptr + pos, s.len - pos), token))
			return 0;
		pos += token.len;
	}
	return pos;
}

/* At an `@`: a modifier (*ret_is true), or a name that only looks like one. The raw text is compared, as in gjson, so
 * that an escape anywhere in it makes it a key. */
static int parse_modifier(struct compiler *c, bool *ret_is)
{
	const char *text = c->text.ptr;
	size_t start = c->pos;
	size_t end = start + 1;
	size_t i = 0;
	struct df_step *step;
	struct df_str name;
	int rc;

	while (end < c->text.len && text[end] != '.' && text[end] != '|' && text[end] != ':' && text[end] != '[')
		end++;
	name = df_str(text + start + 1, end - start - 1);
	while (i < DF_ARRAY_SIZE(modifiers) && !df_str_equal_c(name, modifiers[i].name))
		i++;
	*ret_is = i < DF_ARRAY_SIZE(modifiers);
	if (!*ret_is)
		return 0;
	if (modifiers[i].modifier < 0)
		return bad(c, start, "@%s is not supported; write \\@%s for the key", modifiers[i].name,
			   modifiers[i].name);
	c->pos = end;
	rc = check_use(c, DF_STEP_MODIFIER, start);
	if (rc)
		return rc;
	step = add_step(c, DF_STEP_MODIFIER, start);
	if (!step)
		return DF_ERR_NO_MEMORY;
	step->modifier = (uint8_t)modifiers[i].modifier;
	if (end < c->text.len && text[end] == ':') {
		size_t len = deep_argument(df_str(text + end + 1, c->text.len - end - 1));

		if (step->modifier != DF_MODIFIER_FLATTEN)
			return bad(c, end, "@%s takes no argument", modifiers[i].name);
		if (len == 0)
			return bad(c, end + 1, "the only argument of @flatten is {\"deep\":true}");
		step->modifier = DF_MODIFIER_FLATTEN_DEEP;
		c->pos = end + 1 + len;
		if (!at_step_end(c))
			return bad(c, c->pos, "expected . or | behind the argument");
	}
	return 0;
}

/* One step, and the brackets behind it. */
static int parse_step(struct compiler *c)
{
	bool is_modifier = false;
	int rc = 0;

	switch (c->pos < c->text.len ? c->text.ptr[c->pos] : '.') {
	case '.':
	case '|':
		return bad(c, c->pos, "empty step");
	case '[':
		if (c->path->count > 0)
			return bad(c, c->pos, "[ behind . or |; write a[0], or \\[ for the character itself");
		break;
	case '#':
		rc = parse_hash(c);
		break;
	case '{':
		return bad(c, c->pos, "a multipath { } is not supported; write \\{ for the character itself");
	case '!':
		return bad(c, c->pos, "a literal ! is not supported; write \\! for the character itself");
	case '@':
		rc = parse_modifier(c, &is_modifier);
		if (rc || is_modifier)
			break;
		rc = parse_name(c);
		break;
	default:
		rc = parse_name(c);
		break;
	}
	while (!rc && c->pos < c->text.len && c->text.ptr[c->pos] == '[')
		rc = parse_bracket(c);
	return rc;
}

/* pos is at `.` or `|`. A `|` with nothing in reach before it is a `.`. */
static int separator(struct compiler *c)
{
	if (c->text.ptr[c->pos] == '|' && c->reach) {
		if (c->use == DF_PATH_LOCATION)
			return bad(c, c->pos, "| behind a wildcard, #, [*] or #( )# names no places; write .");
		c->piped = true;
		c->reach = false;
	}
	c->pos++;
	return 0;
}

static int compile_steps(struct compiler *c)
{
	if (df_str_equal_c(c->text, "$")) {
		if (c->use != DF_PATH_READING)
			return bad(c, 0, "the root $ cannot be used here");
		return 0;
	}
	if (df_str_starts(c->text, DF_STR("$.")))
		c->pos = 2;
	else if (df_str_starts(c->text, DF_STR("$[")))
		c->pos = 1;
	for (;;) {
		int rc = parse_step(c);

		if (rc)
			return rc;
		if (c->pos == c->text.len)
			return 0;
		rc = separator(c);
		if (rc)
			return rc;
	}
}

static int compile(struct df_str text, size_t base, enum df_path_use use, size_t *steps_total, struct df_path **ret,
		   struct df_error *err)
{
	df_cleanup(df_path_freep) struct df_path *path = calloc(1, sizeof(*path));
	struct compiler c = { .path = path, .base = base, .use = use, .steps_total = steps_total, .err = err };
	int rc;

	if (!path)
		return df_error_no_memory(err);
	path->text = df_str_dup(text);
	path->len = text.len;
	path->keys = malloc(text.len + 1);
	path->cap = 4;
	path->steps = malloc(path->cap * sizeof(*path->steps)); /* never NULL, also for the root */
	if (!path->text || !path->keys || !path->steps)
		return df_error_no_memory(err);
	c.text = df_str(path->text, path->len);
	rc = compile_steps(&c);
	if (rc)
		return rc;
	*ret = DF_TAKE(path);
	return 0;
}

int df_path_compile(struct df_str text, enum df_path_use use, struct df_path **ret, struct df_error *err)
{
	size_t steps_total = 0;
	size_t wrong = 0;

	*ret = NULL;
	if (text.len == 0)
		return bad_at(err, 0, "empty path");
	if (text.len > DF_PATH_TEXT_MAX)
		return bad_at(err, DF_PATH_TEXT_MAX, "the path is longer than %zu bytes", DF_PATH_TEXT_MAX);
	if (!df_utf8_valid(text, &wrong))
		return bad_at(err, wrong, "invalid UTF-8");
	return compile(text, 0, use, &steps_total, ret, err);
}

void df_path_free(struct df_path *path)
{
	if (!path)
		return;
	for (size_t i = 0; i < path->count; i++) {
		struct df_query *query = path->steps[i].query;

		if (query) {
			df_path_free(query->path);
			free(query->value);
			free(query);
		}
	}
	free(path->steps);
	free(path->keys);
	free(path->text);
	free(path);
}

/* ---- looking at a compiled path -------------------------------------------------------------------------- */

struct df_str df_path_text(const struct df_path *path)
{
	return df_str(path->text, path->len);
}

bool df_path_is_root(const struct df_path *path)
{
	return path->count == 0;
}

static bool query_equal(const struct df_query *a, const struct df_query *b)
{
	if (a->op != b->op || a->tilde != b->tilde)
		return false;
	if (!df_str_equal(df_str(a->value, a->value_len), df_str(b->value, b->value_len)))
		return false;
	return a->path && b->path ? df_path_equal(a->path, b->path) : a->path == b->path;
}

static bool step_equal(const struct df_step *a, const struct df_step *b)
{
	if (a->kind != b->kind || a->piped != b->piped || a->modifier != b->modifier || a->index != b->index)
		return false;
	return df_str_equal(a->key, b->key) && (!a->query || query_equal(a->query, b->query));
}

bool df_path_starts(const struct df_path *path, const struct df_path *prefix)
{
	if (prefix->count > path->count)
		return false;
	for (size_t i = 0; i < prefix->count; i++)
		if (!step_equal(&path->steps[i], &prefix->steps[i]))
			return false;
	return true;
}

bool df_path_equal(const struct df_path *a, const struct df_path *b)
{
	return a->count == b->count && df_path_starts(a, b);
}

size_t df_path_steps(const struct df_path *path)
{
	return path->count;
}

struct df_str df_path_step(const struct df_path *path, size_t i, size_t *ret_index)
{
	if (ret_index)
		*ret_index = path->steps[i].index;
	return path->steps[i].key;
}

int df_path_check_select(const struct df_path *path, struct df_error *err)
{
	bool wild = false;
	bool collects = false; /* `#`, `[*]` or a query stands before */
	bool named = false;

	for (size_t i = 0; i < path->count; i++) {
		const struct df_step *step = &path->steps[i];

		if (wild && step->piped)
			return bad_at(err, step->column - 2, "a wildcard before this | cannot be selected; write .");
		if (step->kind == DF_STEP_WILD && collects)
			return bad_at(err, step->column - 1, "a wildcard behind #, [*] or a query cannot be selected");
		wild = wild || step->kind == DF_STEP_WILD;
		named = named || step->kind == DF_STEP_WILD || step->kind == DF_STEP_KEY;
		collects = collects || (step->kind >= DF_STEP_LENGTH && step->kind <= DF_STEP_MATCHING);
	}
	if (!named)
		return bad_at(err, 0, "the path has no name or index that could be the key of the result");
	return 0;
}

/* ---- a path within a condition --------------------------------------------------------------------------- */

/* Does an operator, `&&`, `||` or `)` begin at text[i]? */
static bool ends_path(struct df_str text, size_t i)
{
	char next = i + 1 < text.len ? text.ptr[i + 1] : 0;

	switch (text.ptr[i]) {
	case '<':
	case '>':
	case ')':
		return true;
	case '=':
	case '!':
		return next == '=' || next == '~';
	case '&':
		return next == '&';
	case '|':
		return next == '|';
	default:
		return false;
	}
}

int df_path_scan(struct df_str text, size_t *ret_len, struct df_error *err)
{
	bool step_begins = true;
	bool blank = false; /* an unescaped blank stands before */
	size_t i = 0;

	while (i < text.len && !ends_path(text, i)) {
		char ch = text.ptr[i];
		size_t op;
		size_t wrong;
		const char *what;

		if (ch == '\\' && i + 1 == text.len)
			return bad_at(err, i, "a lone \\ at the end; write \\\\ for the character itself");
		if (ch == '=' || ch == '\'' || ch == '"' || ch == '(')
			return bad_at(err, i, "unexpected %c in a path%s; write \\%c for the character itself", ch,
				      ch == '=' ? " (equal is ==)" : "", ch);
		if (ch == '$' && blank)
			return bad_at(err, i,
				      "unexpected $ behind a space: an operator, && or || is missing; write \\$ for "
				      "the character itself");
		if (ch == '#' && step_begins && i + 1 < text.len && text.ptr[i + 1] == '(') {
			what = query_extent(text, i + 2, &op, &i, &wrong);
			if (what)
				return bad_at(err, wrong, "%s", what);
		}
		blank = is_blank(ch);
		step_begins = ch == '.' || ch == '|';
		i += ch == '\\' ? 2 : 1;
	}
	*ret_len = trimmed_len(df_str(text.ptr, i));
	return 0;
}

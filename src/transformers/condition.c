/*
 * Conditions: a parser by recursive descent (nesting bounded) into a small tree, and its evaluation. The grammar and
 * the truth tables are the transformations reference, section 3.
 */
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include "transformers/condition.h"
#include "transformers/keys.h"
#include "value/path.h"

#define TEXT_MAX ((size_t)1024 * 1024) /* bytes of one condition */
#define INTEGER_DIGITS 18
#define DEPTH_MAX 200 /* parentheses open at once: bounds the recursion */

/* Per start position; PCRE2's own default of 10,000,000 costs a tenth of a second a position. */
#define REGEX_MATCH_LIMIT 1000000
#define REGEX_DEPTH_LIMIT 250000
#define REGEX_HEAP_LIMIT_KIB (32 * 1024)

enum op { OP_NONE, OP_EQ, OP_NE, OP_LT, OP_LE, OP_GT, OP_GE, OP_FOUND, OP_NOT_FOUND };

struct regex {
	pcre2_code *code;
	pcre2_match_context *limits;
	/* Match data that nobody uses now, so that a match allocates nothing as a rule; a thread takes it and puts it
	 * back. */
	_Atomic(pcre2_match_data *) spare;
};

struct literal {
	char *text;
	size_t len;
	size_t column;
	bool quoted;
	bool is_number;	 /* its text is a JSON number */
	bool is_integer; /* and one of up to INTEGER_DIGITS digits and no more, which is `integer` */
	int64_t integer;
	bool is_null; /* the bare null */
	bool is_true;
	bool is_false;
};

enum node_kind { NODE_TEST, NODE_AND, NODE_OR };

struct node {
	enum node_kind kind;
	bool negate;
	struct node *next;  /* the next of the same list */
	struct node *first; /* AND, OR: two or more */
	struct node *all;   /* all nodes of the condition, for freeing */
	/* TEST: */
	enum op op;
	struct df_path *path;
	struct df_path *plain; /* owns `key` */
	struct df_str key;     /* the path is this one name; ptr NULL: it is another path */
	struct literal literal;
	struct regex *regex; /* FOUND, NOT_FOUND */
};

struct df_condition {
	struct node *root;
	struct node *all;
};

/* ---- freeing --------------------------------------------------------------------------------------------- */

static void regex_free(struct regex *regex)
{
	if (!regex)
		return;
	pcre2_match_data_free(atomic_load(&regex->spare));
	pcre2_match_context_free(regex->limits);
	pcre2_code_free(regex->code);
	free(regex);
}

void df_condition_free(struct df_condition *condition)
{
	struct node *next;

	if (!condition)
		return;
	for (struct node *node = condition->all; node; node = next) {
		next = node->all;
		df_path_free(node->path);
		df_path_free(node->plain);
		regex_free(node->regex);
		free(node->literal.text);
		free(node);
	}
	free(condition);
}

/* ---- compiling ------------------------------------------------------------------------------------------- */

struct parser {
	struct df_condition *condition;
	struct df_str text;
	size_t pos;
	unsigned depth; /* parentheses open */
	struct df_error *err;
};

#define bad(p, at, fmt, ...) df_error_set((p)->err, DF_ERR_CONFIG, "column %zu: " fmt, (at) + 1, ##__VA_ARGS__)

static bool is_blank(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

static void skip_blanks(struct parser *p)
{
	while (p->pos < p->text.len && is_blank(p->text.ptr[p->pos]))
		p->pos++;
}

/* The byte `ahead` of the position, 0 behind the end. */
static char peek(const struct parser *p, size_t ahead)
{
	return p->pos + ahead < p->text.len ? p->text.ptr[p->pos + ahead] : 0;
}

static struct node *new_node(struct parser *p, enum node_kind kind)
{
	struct node *node = calloc(1, sizeof(*node));

	if (!node) {
		df_error_no_memory(p->err);
		return NULL;
	}
	node->kind = kind;
	node->all = p->condition->all;
	p->condition->all = node;
	return node;
}

/* Makes "column N: what" of a path that begins `offset` bytes into the condition a column of the condition. */
static int shift_column(struct df_error *err, size_t offset)
{
	struct df_error inner;
	size_t column = 0;
	int end = 0;

	if (!err || err->code != DF_ERR_CONFIG)
		return err ? err->code : DF_ERR_UNKNOWN;
	inner = *err;
	if (sscanf(inner.text, "column %zu: %n", &column, &end) != 1 || end == 0)
		return err->code;
	return df_error_set(err, DF_ERR_CONFIG, "column %zu: %s", column + offset, inner.text + end);
}

/* The operator at the position; *ret_len its length, 0 with OP_NONE. */
static enum op operator_at(const struct parser *p, size_t *ret_len)
{
	static const struct {
		char text[3];
		enum op op;
	} operators[] = {
		{ "==", OP_EQ },    { "!=", OP_NE },	    { "<=", OP_LE }, { ">=", OP_GE },
		{ "=~", OP_FOUND }, { "!~", OP_NOT_FOUND }, { "<", OP_LT },  { ">", OP_GT },
	};

	for (size_t i = 0; i < DF_ARRAY_SIZE(operators); i++) {
		size_t len = strlen(operators[i].text);

		if (peek(p, 0) == operators[i].text[0] && (len == 1 || peek(p, 1) == operators[i].text[1])) {
			*ret_len = len;
			return operators[i].op;
		}
	}
	*ret_len = 0;
	return OP_NONE;
}

/* Is text[i] a \ that escapes the next character in quotes? Every other \ stands for itself. */
static bool is_escape(struct df_str text, size_t i)
{
	char next = i + 1 < text.len ? text.ptr[i + 1] : 0;

	return text.ptr[i] == '\\' && (next == '\\' || next == '\'' || next == '"');
}

static int parse_quoted(struct parser *p, struct literal *ret)
{
	size_t open = p->pos;
	size_t i = open + 1;
	char quote = p->text.ptr[open];

	ret->quoted = true;
	ret->text = malloc(p->text.len - open);
	if (!ret->text)
		return df_error_no_memory(p->err);
	for (; i < p->text.len && p->text.ptr[i] != quote; i++) {
		if (is_escape(p->text, i))
			i++;
		ret->text[ret->len++] = p->text.ptr[i];
	}
	if (i >= p->text.len)
		return bad(p, open, "the quote is never closed");
	p->pos = i + 1;
	return 0;
}

static bool is_bare(char c)
{
	return !is_blank(c) && !strchr("'\"\\=!<>&|()", c);
}

static int parse_bare(struct parser *p, struct literal *ret)
{
	size_t start = p->pos;
	struct df_str text;

	while (p->pos < p->text.len && (p->text.ptr[p->pos] == 0 || is_bare(p->text.ptr[p->pos])))
		p->pos++;
	text = df_str(p->text.ptr + start, p->pos - start);
	if (text.len == 0)
		return bad(p, start, "missing literal behind the operator; write '' for the empty text");
	if (df_str_equal_c(text, "$") || df_str_starts(text, DF_STR("$.")))
		return bad(p, start,
			   "a path cannot be compared with a path; quote the literal to compare with this text");
	ret->text = df_str_dup(text);
	ret->len = text.len;
	return ret->text ? 0 : df_error_no_memory(p->err);
}

static int parse_literal(struct parser *p, struct literal *ret)
{
	size_t start = p->pos;
	bool quoted = peek(p, 0) == '\'' || peek(p, 0) == '"';
	struct df_str text;
	int rc = quoted ? parse_quoted(p, ret) : parse_bare(p, ret);

	if (rc)
		return rc;
	text = df_str(ret->text, ret->len);
	ret->column = start + 1;
	ret->is_number = df_number_valid(text);
	ret->is_integer = ret->is_number && ret->len <= INTEGER_DIGITS && df_str_to_int64(text, &ret->integer);
	ret->is_null = !quoted && df_str_equal_c(text, "null");
	ret->is_true = df_str_equal_c(text, "true");
	ret->is_false = df_str_equal_c(text, "false");
	return 0;
}

/* Where in the condition byte `offset` of a quoted literal stands. */
static size_t source_offset(const struct parser *p, const struct literal *literal, size_t offset)
{
	size_t i = literal->column;

	for (; offset > 0; offset--)
		i += is_escape(p->text, i) ? 2 : 1;
	return i;
}

static int compile_regex(struct parser *p, const struct literal *literal, struct regex **ret)
{
	PCRE2_SIZE offset = 0;
	PCRE2_UCHAR what[160] = { 0 };
	struct regex *regex;
	int code = 0;

	if (!literal->quoted)
		return bad(p, literal->column - 1, "a regular expression must be quoted");
	regex = calloc(1, sizeof(*regex));
	if (!regex)
		return df_error_no_memory(p->err);
	*ret = regex;
	/* INVALID_UTF: a lone surrogate of a JSON string matches nothing, and is no error. */
	regex->code =
		pcre2_compile((PCRE2_SPTR)literal->text, literal->len,
			      PCRE2_UTF | PCRE2_MATCH_INVALID_UTF | PCRE2_NEVER_BACKSLASH_C, &code, &offset, NULL);
	if (!regex->code && code != PCRE2_ERROR_HEAP_FAILED) {
		pcre2_get_error_message(code, what, DF_ARRAY_SIZE(what));
		return bad(p, source_offset(p, literal, offset < literal->len ? offset : literal->len),
			   "bad regular expression: %s", (const char *)what);
	}
	regex->limits = pcre2_match_context_create(NULL);
	if (!regex->code || !regex->limits)
		return df_error_no_memory(p->err);
	pcre2_set_match_limit(regex->limits, REGEX_MATCH_LIMIT);
	pcre2_set_depth_limit(regex->limits, REGEX_DEPTH_LIMIT);
	pcre2_set_heap_limit(regex->limits, REGEX_HEAP_LIMIT_KIB);
	return 0;
}

static int parse_test(struct parser *p, struct node **ret)
{
	size_t start = p->pos;
	struct df_str rest = df_str(p->text.ptr + start, p->text.len - start);
	struct df_error local = DF_ERROR_INIT;
	struct node *node;
	size_t len = 0;
	int rc;

	/* `!=` in the place of a path is an operator without one, and no negation. */
	if (peek(p, 0) == '!' && peek(p, 1) == '=')
		return bad(p, start, "missing path before the operator");
	rc = df_path_scan(rest, &len, &local);
	if (!rc && len == 0)
		return bad(p, start, "missing path");
	node = new_node(p, NODE_TEST);
	if (!node)
		return DF_ERR_NO_MEMORY;
	if (!rc)
		rc = df_path_compile(df_str(rest.ptr, len), DF_PATH_READING, &node->path, &local);
	if (!rc && df_path_single_key(df_str(rest.ptr, len), &node->plain, &node->key) < 0)
		rc = df_error_no_memory(&local);
	if (rc) {
		shift_column(&local, start);
		if (p->err)
			*p->err = local;
		return rc;
	}
	p->pos += len;
	skip_blanks(p);
	node->op = operator_at(p, &len);
	*ret = node;
	if (node->op == OP_NONE)
		return 0;
	p->pos += len;
	skip_blanks(p);
	rc = parse_literal(p, &node->literal);
	if (!rc && (node->op == OP_FOUND || node->op == OP_NOT_FOUND))
		rc = compile_regex(p, &node->literal, &node->regex);
	return rc;
}

static int parse_list(struct parser *p, enum node_kind kind, struct node **ret);

static int parse_parentheses(struct parser *p, struct node **ret)
{
	size_t open = p->pos++;
	int rc;

	if (p->depth == DEPTH_MAX)
		return bad(p, open, "more than %d parentheses in each other", DEPTH_MAX);
	p->depth++;
	rc = parse_list(p, NODE_OR, ret);
	p->depth--;
	if (rc)
		return rc;
	if (p->pos >= p->text.len)
		return bad(p, open, "the parenthesis is never closed");
	if (p->text.ptr[p->pos] != ')')
		return bad(p, p->pos, "expected &&, || or )");
	p->pos++;
	return 0;
}

static int parse_factor(struct parser *p, struct node **ret)
{
	bool negate = false;
	int rc;

	for (skip_blanks(p); peek(p, 0) == '!' && peek(p, 1) != '='; skip_blanks(p)) {
		negate = !negate;
		p->pos++;
	}
	rc = peek(p, 0) == '(' ? parse_parentheses(p, ret) : parse_test(p, ret);
	if (rc)
		return rc;
	(*ret)->negate ^= negate;
	skip_blanks(p);
	return 0;
}

/* One or more conjunctions (NODE_OR) or factors (NODE_AND); a list of one is its only member. */
static int parse_list(struct parser *p, enum node_kind kind, struct node **ret)
{
	char separator = kind == NODE_OR ? '|' : '&';
	struct node **link = NULL;
	struct node *list = NULL;

	for (;;) {
		struct node *item = NULL;
		int rc = kind == NODE_OR ? parse_list(p, NODE_AND, &item) : parse_factor(p, &item);
		bool more;

		if (rc)
			return rc;
		more = peek(p, 0) == separator && peek(p, 1) == separator;
		if (!list && !more) {
			*ret = item;
			return 0;
		}
		if (!list) {
			list = new_node(p, kind);
			if (!list)
				return DF_ERR_NO_MEMORY;
			link = &list->first;
		}
		*link = item;
		link = &item->next;
		if (!more)
			break;
		p->pos += 2;
	}
	*ret = list;
	return 0;
}

int df_condition_compile(struct df_str text, struct df_condition **ret, struct df_error *err)
{
	df_cleanup(df_condition_freep) struct df_condition *condition = calloc(1, sizeof(*condition));
	struct parser p = { .condition = condition, .text = text, .err = err };
	size_t wrong = 0;
	int rc;

	*ret = NULL;
	if (!condition)
		return df_error_no_memory(err);
	if (text.len > TEXT_MAX)
		return bad(&p, TEXT_MAX, "the condition is longer than %zu bytes", TEXT_MAX);
	if (!df_utf8_valid(text, &wrong))
		return bad(&p, wrong, "invalid UTF-8");
	rc = parse_list(&p, NODE_OR, &condition->root);
	if (rc)
		return rc;
	if (p.pos < text.len)
		return bad(&p, p.pos, "%s", text.ptr[p.pos] == ')' ? "unexpected )" : "expected && or ||");
	*ret = DF_TAKE(condition);
	return 0;
}

/* ---- evaluating ------------------------------------------------------------------------------------------ */

struct evaluation {
	struct df_value *root;
	struct df_arena *arena;
	struct df_error *err;
};

/* A number's digits: in the document, in buf, or in the arena. ptr NULL when out of memory. */
static struct df_str digits(const struct df_value *v, struct df_arena *arena, char buf[DF_NUMBER_MAX])
{
	if (v->repr == DF_REPR_TEXT)
		return df_str(v->text, v->len);
	if (v->repr == DF_REPR_INT64)
		return df_str(buf, df_number_from_int64(v->int64, buf));
	return df_value_text(v, arena);
}

static int truthy(struct evaluation *e, const struct df_value *v, bool *ret)
{
	char buf[DF_NUMBER_MAX];
	struct df_str text;

	switch (v->kind) {
	case DF_NULL:
	case DF_FALSE:
		*ret = false;
		return 0;
	case DF_NUMBER:
		text = digits(v, e->arena, buf);
		if (!text.ptr)
			return df_error_no_memory(e->err);
		*ret = !df_number_is_zero(text);
		return 0;
	case DF_STRING:
		*ret = !df_value_string_equal(v, DF_STR("")) && !df_value_string_equal(v, DF_STR("false"));
		return 0;
	default:
		*ret = true;
		return 0;
	}
}

/*
 * Compares the digits of a JSON number with an integer where that is easy: up to INTEGER_DIGITS digits before the
 * point, no exponent, and not the same number before the point with a fraction behind it.
 */
static bool order_quickly(struct df_str text, int64_t integer, int *ret_order)
{
	bool negative = text.ptr[0] == '-';
	size_t i = negative;
	int64_t n = 0;

	for (; i < text.len && text.ptr[i] >= '0' && text.ptr[i] <= '9'; i++) {
		if (i >= INTEGER_DIGITS)
			return false;
		n = n * 10 + (text.ptr[i] - '0');
	}
	bool whole = i == text.len;
	if (!whole && text.ptr[i++] != '.')
		return false;
	for (; i < text.len; i++) {
		if (text.ptr[i] < '0' || text.ptr[i] > '9')
			return false;
	}
	if (negative)
		n = -n;
	if (n == integer && !whole)
		return false;
	*ret_order = n < integer ? -1 : n > integer;
	return true;
}

/* Compares a number or a string; *ret_order is meaningful when *ret is true. */
static int order(struct evaluation *e, const struct df_value *v, const struct literal *literal, bool *ret,
		 int *ret_order)
{
	char buf[DF_NUMBER_MAX];
	struct df_str text;

	*ret = false;
	if (v->kind == DF_NUMBER && literal->is_number) {
		text = digits(v, e->arena, buf);
		if (!text.ptr)
			return df_error_no_memory(e->err);
		if (!literal->is_integer || !order_quickly(text, literal->integer, ret_order))
			*ret_order = df_number_compare(text, df_str(literal->text, literal->len));
		*ret = true;
	} else if (v->kind == DF_STRING && (literal->quoted || !literal->is_number)) {
		text = df_value_text(v, e->arena);
		if (!text.ptr)
			return df_error_no_memory(e->err);
		/* The bytes of UTF-8 are in the order of the code points. */
		*ret_order = df_str_compare(text, df_str(literal->text, literal->len));
		*ret = true;
	}
	return 0;
}

static int equal(struct evaluation *e, const struct df_value *v, const struct literal *literal, bool *ret)
{
	int how = 0;
	int rc;

	switch (v->kind) {
	case DF_NULL:
		*ret = literal->is_null;
		return 0;
	case DF_FALSE:
		*ret = literal->is_false;
		return 0;
	case DF_TRUE:
		*ret = literal->is_true;
		return 0;
	case DF_NUMBER:
		rc = order(e, v, literal, ret, &how);
		*ret = *ret && how == 0;
		return rc;
	case DF_STRING:
		if (v->repr == DF_REPR_PLAIN) /* most are, and are short */
			*ret = v->len == literal->len && df_key_same(v->text, literal->text, v->len);
		else
			*ret = df_value_string_equal(v, df_str(literal->text, literal->len));
		*ret &= !literal->is_null;
		return 0;
	default:
		*ret = false;
		return 0;
	}
}

static int find(struct evaluation *e, const struct node *test, const struct df_value *v, bool *ret)
{
	struct df_str text = df_value_text(v, e->arena);
	struct regex *regex = test->regex;
	pcre2_match_data *data;
	int rc;

	if (!text.ptr)
		return df_error_no_memory(e->err);
	data = atomic_exchange(&regex->spare, NULL);
	if (!data)
		data = pcre2_match_data_create(1, NULL);
	if (!data)
		return df_error_no_memory(e->err);
	rc = pcre2_match(regex->code, (PCRE2_SPTR)text.ptr, text.len, 0, 0, data, regex->limits);
	/* After an error the data may hold a lot of memory. */
	if (rc >= 0 || rc == PCRE2_ERROR_NOMATCH)
		data = atomic_exchange(&regex->spare, data);
	pcre2_match_data_free(data);
	*ret = rc >= 0;
	if (rc >= 0 || rc == PCRE2_ERROR_NOMATCH)
		return 0;
	if (rc == PCRE2_ERROR_NOMEMORY)
		return df_error_no_memory(e->err);
	return df_error_set(
		e->err, DF_ERR_INVALID_DATA,
		"the regular expression in column %zu of the condition hit its limit on a text of %zu bytes (PCRE2 "
		"error %d); make it simpler",
		test->literal.column, text.len, rc);
}

static int test_value(struct evaluation *e, const struct node *test, const struct df_value *v, bool *ret)
{
	int how = 0;
	int rc;

	switch (test->op) {
	case OP_NONE:
		return truthy(e, v, ret);
	case OP_EQ:
	case OP_NE:
		rc = equal(e, v, &test->literal, ret);
		*ret ^= test->op == OP_NE;
		return rc;
	case OP_FOUND:
	case OP_NOT_FOUND:
		if (v->kind != DF_STRING)
			return 0;
		rc = find(e, test, v, ret);
		*ret ^= test->op == OP_NOT_FOUND;
		return rc;
	default:
		break;
	}
	rc = order(e, v, &test->literal, ret, &how);
	if (rc || !*ret)
		return rc;
	*ret = test->op == OP_LT ? how < 0 : test->op == OP_LE ? how <= 0 : test->op == OP_GT ? how > 0 : how >= 0;
	return 0;
}

static int evaluate(struct evaluation *e, const struct node *node, bool *ret)
{
	struct df_value *v = NULL;
	int rc = 0;

	*ret = false;
	if (node->kind == NODE_TEST) {
		if (node->key.ptr && e->root->kind == DF_OBJECT)
			v = df_object_find(e->root, node->key.ptr, node->key.len);
		else
			rc = df_path_read(node->path, e->root, e->arena, &v);
		if (rc)
			return df_error_no_memory(e->err);
		if (v)
			rc = test_value(e, node, v, ret);
	} else {
		/* AND ends at the first that is false, OR at the first that is true. */
		for (const struct node *item = node->first; item; item = item->next) {
			rc = evaluate(e, item, ret);
			if (rc || *ret == (node->kind == NODE_OR))
				break;
		}
	}
	*ret ^= node->negate;
	return rc;
}

int df_condition_eval(const struct df_condition *condition, struct df_value *root, struct df_arena *arena, bool *ret,
		      struct df_error *err)
{
	struct evaluation e = { .root = root, .arena = arena, .err = err };

	return evaluate(&e, condition->root, ret);
}

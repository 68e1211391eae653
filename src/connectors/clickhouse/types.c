#include "connectors/clickhouse/types.h"

#include "base/cleanup.h"

/* ---- names ----------------------------------------------------------------------------------------------- */

/* Types without parameters. */
static const struct {
	const char *name;
	enum df_ch_kind kind;
	uint8_t size;
} simple[] = {
	{ "Int8", DF_CH_INT, 1 },
	{ "Int16", DF_CH_INT, 2 },
	{ "Int32", DF_CH_INT, 4 },
	{ "Int64", DF_CH_INT, 8 },
	{ "Int128", DF_CH_INT, 16 },
	{ "Int256", DF_CH_INT, 32 },
	{ "UInt8", DF_CH_UINT, 1 },
	{ "UInt16", DF_CH_UINT, 2 },
	{ "UInt32", DF_CH_UINT, 4 },
	{ "UInt64", DF_CH_UINT, 8 },
	{ "UInt128", DF_CH_UINT, 16 },
	{ "UInt256", DF_CH_UINT, 32 },
	{ "Float32", DF_CH_FLOAT, 4 },
	{ "Float64", DF_CH_FLOAT, 8 },
	{ "BFloat16", DF_CH_FLOAT, 2 },
	{ "Bool", DF_CH_BOOL, 1 },
	{ "String", DF_CH_STRING, 0 },
	{ "UUID", DF_CH_UUID, 16 },
	{ "Date", DF_CH_DATE, 2 },
	{ "Date32", DF_CH_DATE, 4 },
	{ "DateTime", DF_CH_DATETIME, 4 },
	{ "Time", DF_CH_TIME, 4 },
	{ "IPv4", DF_CH_IPV4, 4 },
	{ "IPv6", DF_CH_IPV6, 16 },
	{ "Nothing", DF_CH_NOTHING, 1 },
	{ "JSON", DF_CH_JSON, 0 },
	{ "IntervalNanosecond", DF_CH_INT, 8 },
	{ "IntervalMicrosecond", DF_CH_INT, 8 },
	{ "IntervalMillisecond", DF_CH_INT, 8 },
	{ "IntervalSecond", DF_CH_INT, 8 },
	{ "IntervalMinute", DF_CH_INT, 8 },
	{ "IntervalHour", DF_CH_INT, 8 },
	{ "IntervalDay", DF_CH_INT, 8 },
	{ "IntervalWeek", DF_CH_INT, 8 },
	{ "IntervalMonth", DF_CH_INT, 8 },
	{ "IntervalQuarter", DF_CH_INT, 8 },
	{ "IntervalYear", DF_CH_INT, 8 },
};

/* Names that stand for other types. */
static const struct {
	const char *name, *meaning;
} aliases[] = {
	{ "Point", "Tuple(Float64, Float64)" },	    { "Ring", "Array(Point)" },	  { "LineString", "Array(Point)" },
	{ "MultiLineString", "Array(LineString)" }, { "Polygon", "Array(Ring)" }, { "MultiPolygon", "Array(Polygon)" },
};

struct parser {
	const char *at, *end;
	struct df_arena *arena;
	struct df_error *err;
	unsigned depth;
};

static int parse_type(struct parser *p, struct df_ch_type **ret);

static int malformed(struct parser *p)
{
	return df_error_set(p->err, DF_ERR_UNKNOWN, "a type name of the server cannot be read");
}

static void skip_blanks(struct parser *p)
{
	while (p->at < p->end && *p->at == ' ')
		p->at++;
}

static bool take(struct parser *p, char c)
{
	skip_blanks(p);
	if (p->at == p->end || *p->at != c)
		return false;
	p->at++;
	return true;
}

static int expect(struct parser *p, char c)
{
	return take(p, c) ? 0 : malformed(p);
}

static bool is_word(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

static struct df_str take_word(struct parser *p)
{
	skip_blanks(p);
	const char *start = p->at;

	while (p->at < p->end && is_word(*p->at))
		p->at++;
	return df_str(start, (size_t)(p->at - start));
}

/* A text in quotes, with backslash escapes; also doubled quotes. */
static int take_quoted(struct parser *p, char quote, struct df_str *ret)
{
	static const char escapes[][2] = { { 'n', '\n' }, { 't', '\t' }, { 'r', '\r' }, { '0', '\0' },
					   { 'b', '\b' }, { 'f', '\f' }, { 'a', '\a' }, { 'v', '\v' } };
	char *out = df_arena_alloc(p->arena, (size_t)(p->end - p->at));
	size_t n = 0;

	if (!out)
		return df_error_no_memory(p->err);
	if (!take(p, quote))
		return malformed(p);
	while (p->at < p->end) {
		char c = *p->at++;
		if (c == quote) {
			if (p->at == p->end || *p->at != quote) {
				*ret = df_str(out, n);
				return 0;
			}
			p->at++;
		} else if (c == '\\' && p->at < p->end) {
			c = *p->at++;
			for (size_t i = 0; i < DF_ARRAY_SIZE(escapes); i++)
				if (escapes[i][0] == c) {
					c = escapes[i][1];
					break;
				}
		}
		out[n++] = c;
	}
	return malformed(p);
}

static int take_number(struct parser *p, int64_t min, int64_t max, int64_t *ret)
{
	skip_blanks(p);
	const char *start = p->at;

	while (p->at < p->end && (*p->at == '-' || (*p->at >= '0' && *p->at <= '9')))
		p->at++;
	if (!df_str_to_int64(df_str(start, (size_t)(p->at - start)), ret) || *ret < min || *ret > max)
		return malformed(p);
	return 0;
}

/* Up to the bracket that closes the one that was opened before. */
static int skip_arguments(struct parser *p)
{
	for (unsigned open = 1; open;) {
		struct df_str ignored;
		int code = 0;

		if (p->at == p->end)
			return malformed(p);
		if (*p->at == '\'' || *p->at == '`' || *p->at == '"') {
			code = take_quoted(p, *p->at, &ignored);
		} else {
			open += *p->at == '(';
			open -= *p->at == ')';
			p->at++;
		}
		if (code != 0)
			return code;
	}
	return 0;
}

/* ---- parameters: each function begins behind the opening bracket and ends behind the closing one ---------- */

static int add_child(struct parser *p, struct df_ch_type *t, struct df_ch_type *child, struct df_str name)
{
	size_t size = sizeof(struct df_ch_type *);
	bool grow = (t->count & (t->count - 1)) == 0; /* at 0, 1, 2, 4, 8 ... */
	size_t cap = t->count ? t->count * 2 : 1;

	if (grow) {
		struct df_ch_type **children = df_arena_alloc(p->arena, cap * size);
		struct df_str *names = df_arena_alloc(p->arena, cap * sizeof(*names));
		if (!children || !names)
			return df_error_no_memory(p->err);
		if (t->count) {
			memcpy(children, t->children, t->count * size);
			memcpy(names, t->names, t->count * sizeof(*names));
		}
		t->children = children;
		t->names = names;
	}
	t->children[t->count] = child;
	t->names[t->count++] = name;
	return 0;
}

static int parse_one(struct parser *p, struct df_ch_type *t)
{
	struct df_ch_type *child;
	int code = parse_type(p, &child);

	if (code == 0)
		code = add_child(p, t, child, df_str(NULL, 0));
	return code == 0 ? expect(p, ')') : code;
}

static int parse_array(struct parser *p, struct df_ch_type *t)
{
	t->kind = DF_CH_ARRAY;
	return parse_one(p, t);
}

static int parse_nullable(struct parser *p, struct df_ch_type *t)
{
	t->kind = DF_CH_NULLABLE;
	return parse_one(p, t);
}

static int parse_low_cardinality(struct parser *p, struct df_ch_type *t)
{
	t->kind = DF_CH_LOW_CARDINALITY;
	return parse_one(p, t);
}

/* An element is a type, or a name and a type: then a word or a quoted name is followed by neither `(`, `,` nor `)`. */
static int parse_element(struct parser *p, struct df_str *ret_name, struct df_ch_type **ret)
{
	const char *start;

	skip_blanks(p);
	*ret_name = df_str(NULL, 0);
	start = p->at;
	if (p->at < p->end && (*p->at == '`' || *p->at == '"')) {
		int code = take_quoted(p, *p->at, ret_name);
		return code == 0 ? parse_type(p, ret) : code;
	}
	struct df_str word = take_word(p);
	if (word.len && p->at < p->end && *p->at == ' ')
		*ret_name = word;
	else
		p->at = start;
	return parse_type(p, ret);
}

/* The names count when all of them are there and can be keys of an object. */
static int parse_tuple(struct parser *p, struct df_ch_type *t)
{
	bool named = true;

	t->kind = DF_CH_TUPLE;
	while (!take(p, ')')) {
		struct df_ch_type *child;
		struct df_str name;
		int code = t->count ? expect(p, ',') : 0;
		if (code == 0)
			code = parse_element(p, &name, &child);
		if (code == 0)
			code = add_child(p, t, child, name);
		if (code != 0)
			return code;
		named &= name.ptr && df_utf8_valid(name, NULL);
	}
	if (!named)
		t->names = NULL;
	return 0;
}

static struct df_ch_type *new_type(struct parser *p, enum df_ch_kind kind)
{
	struct df_ch_type *t = df_arena_zalloc(p->arena, sizeof(*t));

	if (t)
		t->kind = kind;
	else
		df_error_no_memory(p->err);
	return t;
}

/* Nested(a A, b B) is Array(Tuple(a A, b B)), and Map(K, V) is Array(Tuple(K, V)) in blocks. */
static int parse_nested(struct parser *p, struct df_ch_type *t)
{
	struct df_ch_type *tuple = new_type(p, DF_CH_TUPLE);
	int code = tuple ? parse_tuple(p, tuple) : DF_ERR_NO_MEMORY;

	t->kind = DF_CH_ARRAY;
	return code == 0 ? add_child(p, t, tuple, df_str(NULL, 0)) : code;
}

static int parse_map(struct parser *p, struct df_ch_type *t)
{
	int code = parse_nested(p, t);

	t->kind = DF_CH_MAP;
	return code == 0 && t->children[0]->count != 2 ? malformed(p) : code;
}

/* The server orders the types of a variant by name; that is the order they are printed in. */
static int parse_variant(struct parser *p, struct df_ch_type *t)
{
	int code = parse_tuple(p, t);

	t->kind = DF_CH_VARIANT;
	return code == 0 && t->count > 254 ? malformed(p) : code;
}

static int parse_fixed_string(struct parser *p, struct df_ch_type *t)
{
	int64_t size;
	int code = take_number(p, 1, (int64_t)DF_BUF_MAX_DEFAULT, &size);

	t->kind = DF_CH_FIXED_STRING;
	t->size = code == 0 ? (uint32_t)size : 0;
	return code == 0 ? expect(p, ')') : code;
}

static int parse_decimal(struct parser *p, struct df_ch_type *t)
{
	int64_t precision, scale = 0;
	int code = take_number(p, 1, 76, &precision);

	t->kind = DF_CH_DECIMAL;
	if (code == 0 && take(p, ','))
		code = take_number(p, 0, precision, &scale);
	if (code != 0)
		return code;
	t->precision = (uint8_t)precision;
	t->scale = (uint8_t)scale;
	t->size = precision <= 9 ? 4 : precision <= 18 ? 8 : precision <= 38 ? 16 : 32;
	return expect(p, ')');
}

/* DateTime('zone'), DateTime64(p[, 'zone']), Time64(p): a zone only says how the server prints. */
static int parse_zone(struct parser *p, struct df_ch_type *t)
{
	t->kind = DF_CH_DATETIME;
	t->size = 4;
	return skip_arguments(p);
}

static int parse_ticks(struct parser *p, struct df_ch_type *t)
{
	int64_t scale;
	int code = take_number(p, 0, 9, &scale);

	t->size = 8;
	t->scale = code == 0 ? (uint8_t)scale : 0;
	return code == 0 ? skip_arguments(p) : code;
}

static int parse_datetime64(struct parser *p, struct df_ch_type *t)
{
	t->kind = DF_CH_DATETIME64;
	return parse_ticks(p, t);
}

static int parse_time64(struct parser *p, struct df_ch_type *t)
{
	t->kind = DF_CH_TIME;
	return parse_ticks(p, t);
}

static int parse_enum(struct parser *p, struct df_ch_type *t, uint32_t size)
{
	size_t cap = 0;

	t->kind = DF_CH_ENUM;
	t->size = size;
	while (!take(p, ')')) {
		struct df_str name;
		int64_t value;
		int code = t->count ? expect(p, ',') : 0;

		skip_blanks(p);
		if (code == 0)
			code = take_quoted(p, '\'', &name);
		if (code == 0)
			code = expect(p, '=');
		if (code == 0)
			code = take_number(p, INT16_MIN, INT16_MAX, &value);
		if (code != 0)
			return code;
		if (t->count == cap) {
			size_t next = cap ? cap * 2 : 8;
			t->labels = df_arena_extend(p->arena, t->labels, cap * sizeof(*t->labels),
						    next * sizeof(*t->labels));
			cap = next;
			if (!t->labels)
				return df_error_no_memory(p->err);
		}
		t->labels[t->count++] = (struct df_ch_label){ name, (int16_t)value };
	}
	return 0;
}

static int parse_enum8(struct parser *p, struct df_ch_type *t)
{
	return parse_enum(p, t, 1);
}

static int parse_enum16(struct parser *p, struct df_ch_type *t)
{
	return parse_enum(p, t, 2);
}

static int parse_json(struct parser *p, struct df_ch_type *t)
{
	t->kind = DF_CH_JSON;
	return skip_arguments(p);
}

/* SimpleAggregateFunction(f, T): stored and sent as T. f may have parameters of its own. */
static int parse_simple_aggregate(struct parser *p, struct df_ch_type *t)
{
	struct df_ch_type *inner;
	struct df_str name = t->name;

	take_word(p);
	int code = take(p, '(') ? skip_arguments(p) : 0;
	if (code == 0)
		code = expect(p, ',');
	if (code == 0)
		code = parse_type(p, &inner);
	if (code != 0)
		return code;
	*t = *inner;
	t->name = name;
	return expect(p, ')');
}

static int parse_opaque(struct parser *p, struct df_ch_type *t)
{
	t->kind = DF_CH_OPAQUE;
	return skip_arguments(p);
}

static const struct {
	const char *name;
	int (*parse)(struct parser *p, struct df_ch_type *t);
} with_parameters[] = {
	{ "Array", parse_array },
	{ "Tuple", parse_tuple },
	{ "Map", parse_map },
	{ "Nested", parse_nested },
	{ "Nullable", parse_nullable },
	{ "LowCardinality", parse_low_cardinality },
	{ "Variant", parse_variant },
	{ "FixedString", parse_fixed_string },
	{ "Decimal", parse_decimal },
	{ "DateTime", parse_zone },
	{ "DateTime64", parse_datetime64 },
	{ "Time64", parse_time64 },
	{ "Enum8", parse_enum8 },
	{ "Enum16", parse_enum16 },
	{ "JSON", parse_json },
	{ "Object", parse_json },
	{ "SimpleAggregateFunction", parse_simple_aggregate },
};

/* ---- the whole ------------------------------------------------------------------------------------------- */

static void set_simple(struct df_ch_type *t, struct df_str word)
{
	t->kind = DF_CH_OPAQUE;
	for (size_t i = 0; i < DF_ARRAY_SIZE(simple); i++)
		if (df_str_equal_c(word, simple[i].name)) {
			t->kind = simple[i].kind;
			t->size = simple[i].size;
			return;
		}
}

static int parse_alias(struct parser *p, const char *meaning, struct df_str name, struct df_ch_type **ret)
{
	struct parser inner = *p;

	inner.at = meaning;
	inner.end = meaning + strlen(meaning);
	int code = parse_type(&inner, ret);
	if (code == 0)
		(*ret)->name = name;
	return code;
}

static int parse_type(struct parser *p, struct df_ch_type **ret)
{
	skip_blanks(p);
	const char *start = p->at;
	struct df_str word = take_word(p);
	int code = 0;

	if (word.len == 0 || ++p->depth > DF_CH_TYPE_DEPTH_MAX)
		return malformed(p);
	for (size_t i = 0; i < DF_ARRAY_SIZE(aliases); i++)
		if (df_str_equal_c(word, aliases[i].name)) {
			code = parse_alias(p, aliases[i].meaning, word, ret);
			p->depth--;
			return code;
		}
	struct df_ch_type *t = new_type(p, DF_CH_OPAQUE);
	if (!t)
		return DF_ERR_NO_MEMORY;
	t->name = word;
	if (p->at < p->end && *p->at == '(') {
		int (*parse)(struct parser *, struct df_ch_type *) = parse_opaque;
		p->at++;
		for (size_t i = 0; i < DF_ARRAY_SIZE(with_parameters); i++)
			if (df_str_equal_c(word, with_parameters[i].name))
				parse = with_parameters[i].parse;
		code = parse(p, t);
	} else {
		set_simple(t, word);
	}
	t->name = df_str(start, (size_t)(p->at - start));
	p->depth--;
	*ret = t;
	return code;
}

/* DESCRIBE breaks long types into indented lines; in blocks they stand on one. */
static struct df_str on_one_line(struct df_str text, struct df_arena *arena)
{
	struct df_str copy = df_arena_dup(arena, text);
	char *out = (char *)copy.ptr;
	char quote = '\0';
	size_t n = 0;

	for (size_t i = 0; out && i < text.len; i++) {
		char c = text.ptr[i];
		if (quote) {
			if (c == '\\' && i + 1 < text.len) {
				out[n++] = c;
				c = text.ptr[++i];
			} else if (c == quote) {
				quote = '\0';
			}
		} else if (c == '\n') {
			while (i + 1 < text.len && text.ptr[i + 1] == ' ')
				i++;
			if (n == 0 || out[n - 1] != ',')
				continue;
			c = ' ';
		} else if (c == '\'' || c == '`' || c == '"') {
			quote = c;
		}
		out[n++] = c;
	}
	copy.len = out ? n : 0;
	return copy;
}

int df_ch_type_parse(struct df_str text, struct df_arena *arena, struct df_ch_type **ret, struct df_error *err)
{
	struct df_str copy = on_one_line(text, arena);
	struct parser p = { .at = copy.ptr, .end = copy.ptr + copy.len, .arena = arena, .err = err };

	if (!copy.ptr)
		return df_error_no_memory(err);
	int code = parse_type(&p, ret);
	skip_blanks(&p);
	return code == 0 && p.at != p.end ? malformed(&p) : code;
}

const struct df_ch_type *df_ch_type_unreadable(const struct df_ch_type *type)
{
	if (type->kind == DF_CH_JSON || type->kind == DF_CH_OPAQUE)
		return type;
	for (size_t i = 0; type->children && i < type->count; i++) {
		const struct df_ch_type *inner = df_ch_type_unreadable(type->children[i]);
		if (inner)
			return inner;
	}
	return NULL;
}

const struct df_ch_type *df_ch_type_inner(const struct df_ch_type *type, bool *ret_nullable)
{
	bool nullable = type->kind == DF_CH_VARIANT;

	while (type->kind == DF_CH_NULLABLE || type->kind == DF_CH_LOW_CARDINALITY) {
		nullable |= type->kind == DF_CH_NULLABLE;
		type = type->children[0];
	}
	if (ret_nullable)
		*ret_nullable = nullable;
	return type;
}

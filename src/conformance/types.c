/*
 * Rules on values: each is written in a row between two others and read back. It comes back exactly, or with the same
 * characters as another kind (a number in a text column), or the row is refused by name and its neighbours are written.
 * A value that comes back changed, a row that is gone, or a failure that says nothing about the row fails the rule.
 */
#include "base/time.h"
#include "conformance/deliver.h"

#define WRITE_NS (30 * DF_NS_PER_S)
#define TEXT_BYTES ((size_t)1 << 20)
#define DEEP 100

/* ---- the values -------------------------------------------------------------------------------------------- */

/* (rule, what it is, JSON): a payload of JSON text. */
#define PLAIN_VALUES(V)                                                                                          \
	V("int64-max", "The largest int64", "9223372036854775807")                                               \
	V("int64-min", "The smallest int64", "-9223372036854775808")                                             \
	V("two-to-63", "2^63, one more than an int64 holds", "9223372036854775808")                              \
	V("uint64-max", "2^64-1", "18446744073709551615")                                                        \
	V("two-to-53", "2^53+1, which no double holds", "9007199254740993")                                      \
	V("digits-38", "An integer of 38 digits", "99999999999999999999999999999999999999")                      \
	V("decimal-38", "A number of 38 digits", "12345678901234567890123456789.012345678")                      \
	V("one-e400", "1e400, beyond every double", "1e400")                                                     \
	V("one-e-minus-400", "1e-400, below every double", "1e-400")                                             \
	V("double-max", "The largest double", "1.7976931348623157e308")                                          \
	V("double-min", "The smallest double", "5e-324")                                                         \
	V("tenth", "0.1", "0.1")                                                                                 \
	V("double-digits", "A double of 17 digits", "0.30000000000000004")                                       \
	V("negative-zero", "-0.0", "-0.0")                                                                       \
	V("zero", "0", "0")                                                                                      \
	V("true", "true", "true")                                                                                \
	V("false", "false", "false")                                                                             \
	V("text", "A text", "\"a text\"")                                                                        \
	V("text-blanks", "A text with blanks around it", "\"  a  \"")                                            \
	V("text-controls", "A text with newline, tab, quotes and a backslash", "\"a\\nb\\r\\tc\\\"d'e\\\\f`g\"") \
	V("text-digits", "A text of digits with zeros before them", "\"007\"")                                   \
	V("text-exponent", "A text that looks like a number with an exponent", "\"1e5\"")                        \
	V("text-true", "The text true", "\"true\"")                                                              \
	V("text-null", "The text NULL", "\"NULL\"")                                                              \
	V("text-nan", "The text NaN", "\"NaN\"")                                                                 \
	V("text-nul", "A text with a NUL byte", "\"a\\u0000b\"")                                                 \
	V("text-nul-only", "A text of a NUL byte", "\"\\u0000\"")                                                \
	V("text-control-1", "A text with control characters", "\"\\u0001\\u001f\\u007f\"")                       \
	V("utf8-2", "A text of 2-byte UTF-8", "\"\\u00e4\\u00f6\\u00fc\"")                                       \
	V("utf8-4", "A text of 4-byte UTF-8", "\"\xf0\x9f\x98\x80 \xf0\x9d\x84\x9e\"")                           \
	V("utf8-escaped", "4-byte UTF-8 as a pair of escapes", "\"\\ud83d\\ude00\"")                             \
	V("utf8-last", "The last code point", "\"\xf4\x8f\xbf\xbf\"")                                            \
	V("utf8-decomposed", "A letter and a combining mark", "\"n\xcc\x83\"")                                   \
	V("lone-surrogate", "Half of a surrogate pair", "\"a\\ud800b\"")                                         \
	V("object", "An object", "{\"b\":1,\"a\":[true,null,\"x\"],\"c\":{\"d\":1.50}}")                         \
	V("empty-object", "An empty object", "{}")                                                               \
	V("array", "An array", "[1,\"two\",null,[3.0],{\"four\":4}]")                                            \
	V("empty-array", "An empty array", "[]")                                                                 \
	V("object-digits", "A number of 20 digits in an object", "{\"n\":12345678901234567890}")                 \
	V("text-timestamp-1969", "The text of a time before 1970", "\"1969-07-20T20:17:40.123456789Z\"")         \
	V("text-timestamp-0001", "The text of the first year", "\"0001-01-01T00:00:00Z\"")                       \
	V("text-timestamp-9999", "The text of the last year", "\"9999-12-31T23:59:59.999999999Z\"")              \
	V("text-timestamp-offset", "The text of a time with an offset", "\"2024-02-29T12:00:00+05:30\"")         \
	V("text-date", "The text of a date", "\"2024-02-29\"")                                                   \
	V("text-uuid", "The text of an upper-case UUID", "\"123E4567-E89B-12D3-A456-426614174000\"")

/* (rule, what it is, JSON, logical type): a document, as a source of rows builds it. */
#define LOGICAL_VALUES(V)                                                                                   \
	V("int32", "An int32", "-2147483648", INT32)                                                        \
	V("int64", "An int64", "9223372036854775807", INT64)                                                \
	V("decimal", "A decimal with a scale", "10.50", DECIMAL)                                            \
	V("decimal-digits", "A decimal of 38 digits", "-12345678901234567890123456789.012345678", DECIMAL)  \
	V("float64", "A float64", "0.30000000000000004", FLOAT64)                                           \
	V("nan", "A float64 that is not a number", "\"NaN\"", FLOAT64)                                      \
	V("infinity", "An infinite float64", "\"Infinity\"", FLOAT64)                                       \
	V("negative-infinity", "A negative infinite float64", "\"-Infinity\"", FLOAT64)                     \
	V("float64-negative-zero", "A float64 of -0", "-0.0", FLOAT64)                                      \
	V("logical-text", "A text with its type", "\"007\"", TEXT)                                          \
	V("date-1969", "A date before 1970", "\"1969-07-20\"", DATE)                                        \
	V("date-0001", "A date in the first year", "\"0001-01-01\"", DATE)                                  \
	V("date-9999", "A date in the last year", "\"9999-12-31\"", DATE)                                   \
	V("time", "A time of day", "\"23:59:59.999999999\"", TIME)                                          \
	V("timestamp", "A wall clock with nanoseconds", "\"2024-02-29T23:59:59.123456789Z\"", TIMESTAMP)    \
	V("timestamp-1969", "A wall clock before 1970", "\"1969-12-31T23:59:59.5Z\"", TIMESTAMP)            \
	V("timestamptz", "A time with nanoseconds", "\"2024-02-29T23:59:59.123456789Z\"", TIMESTAMPTZ)      \
	V("timestamptz-1969", "A time before 1970", "\"1969-07-20T20:17:40Z\"", TIMESTAMPTZ)                \
	V("timestamptz-0001", "A time in the first year", "\"0001-01-01T00:00:00Z\"", TIMESTAMPTZ)          \
	V("timestamptz-9999", "A time in the last year", "\"9999-12-31T23:59:59.999999999Z\"", TIMESTAMPTZ) \
	V("uuid", "A UUID", "\"123e4567-e89b-12d3-a456-426614174000\"", UUID)                               \
	V("json", "A JSON document", "{\"b\":1.50,\"a\":[null]}", JSON)

/* (rule, what it is, function). */
#define BUILT_VALUES(V)                                  \
	V("text-1-mib", "A text of 1 MiB", build_text)   \
	V("deep", "A value nested 100 deep", build_deep) \
	V("bytes", "All 256 bytes", build_bytes)         \
	V("bytes-utf8", "Bytes that are text", build_bytes_text)

static struct df_value *build_text(struct df_stage *st)
{
	char *text = df_arena_alloc(st->arena, TEXT_BYTES);

	/* A period that is no power of two: a block that is lost or doubled shows. */
	for (size_t i = 0; text && i < TEXT_BYTES; i++)
		text[i] = (char)('a' + i % 23);
	return text ? df_value_string(st->arena, df_str(text, TEXT_BYTES)) : NULL;
}

static struct df_value *build_deep(struct df_stage *st)
{
	struct df_value *v = df_value_int64(st->arena, 1);

	for (int i = 0; v && i < DEEP; i++) {
		struct df_value *outer = df_value_new(st->arena, i % 2 ? DF_OBJECT : DF_ARRAY);

		if (outer && i % 2)
			df_object_set(outer, DF_STR("k"), v);
		else if (outer)
			df_array_append(outer, v);
		v = outer;
	}
	return v;
}

static struct df_value *build_bytes(struct df_stage *st)
{
	char *bytes = df_arena_alloc(st->arena, 256);

	for (int i = 0; bytes && i < 256; i++)
		bytes[i] = (char)i;
	return bytes ? df_value_bytes(st->arena, df_str(bytes, 256)) : NULL;
}

static struct df_value *build_bytes_text(struct df_stage *st)
{
	return df_value_bytes(st->arena, DF_STR("plain text"));
}

struct type_case {
	const char *rule;
	const char *json;
	enum df_logical logical;
	struct df_value *(*build)(struct df_stage *st);
};

#define PLAIN_CASE(name, doc, text) { .rule = "types." name, .json = (text) },
#define LOGICAL_CASE(name, doc, text, type) { .rule = "types." name, .json = (text), .logical = DF_LOGICAL_##type },
#define BUILT_CASE(name, doc, fn) { .rule = "types." name, .build = (fn) },

static const struct type_case cases[] = { PLAIN_VALUES(PLAIN_CASE) LOGICAL_VALUES(LOGICAL_CASE)
						  BUILT_VALUES(BUILT_CASE) };

static const struct type_case *case_of(const struct df_stage *st)
{
	size_t i = 0;

	while (i + 1 < DF_ARRAY_SIZE(cases) && strcmp(cases[i].rule, st->rule->name) != 0)
		i++;
	return &cases[i];
}

static struct df_value *parse(struct df_stage *st, struct df_str json)
{
	struct df_value *v = NULL;

	df_rule_check(st, df_value_parse(json, st->arena, &v, NULL) == DF_PARSE_OK, "a value of the suite is no JSON");
	return v;
}

/* The value, made anew: it becomes a part of a row. */
static struct df_value *value_of(struct df_stage *st, const struct type_case *c)
{
	struct df_value *v = c->build ? c->build(st) : parse(st, df_str_c(c->json));
	double d;

	df_rule_check(st, v, "out of memory");
	if (c->logical == DF_LOGICAL_FLOAT64) { /* as sources make them */
		if (v->kind == DF_NUMBER && df_value_to_double(v, &d))
			return df_value_float64(st->arena, d);
		d = c->json[1] == 'N' ? __builtin_nan("") : c->json[1] == '-' ? -__builtin_inf() : __builtin_inf();
		return df_value_float64(st->arena, d);
	}
	if (c->logical != DF_LOGICAL_NONE)
		v->logical = (uint8_t)c->logical;
	return v;
}

/* ---- comparing --------------------------------------------------------------------------------------------- */

/* As a reader of JSON sees it. */
static struct df_value *as_json(struct df_stage *st, const struct df_value *v)
{
	struct df_str text = df_value_to_arena(v, st->arena);

	df_rule_check(st, text.ptr, "out of memory");
	return parse(st, text);
}

/* A number as text, a document as text, or the other way round. */
static bool same_text(struct df_stage *st, const struct df_value *a, const struct df_value *b)
{
	struct df_str a_text = df_value_text(a, st->arena), b_text = df_value_text(b, st->arena);
	struct df_value *parsed;

	if (a->kind == DF_NULL || b->kind == DF_NULL)
		return false;
	if (df_str_equal(a_text, b_text))
		return true;
	if (b->kind != DF_STRING || a->kind == DF_STRING)
		return false;
	return df_value_parse(b_text, st->arena, &parsed, NULL) == DF_PARSE_OK && df_value_equal(a, parsed);
}

/* "...59.123456Z" of "...59.123456789Z": the column has fewer digits of a second. */
static bool is_cut(struct df_str written, struct df_str read)
{
	struct df_str w = written, r = read;

	if (df_str_ends(w, DF_STR("Z")) && df_str_ends(r, DF_STR("Z")))
		w.len--, r.len--;
	return r.len < w.len && r.len >= 8 && df_str_starts(w, r) && memchr(w.ptr, '.', w.len) &&
	       (w.ptr[r.len] == '.' || memchr(r.ptr, '.', r.len));
}

static bool is_time(enum df_logical logical)
{
	return logical == DF_LOGICAL_TIME || logical == DF_LOGICAL_TIMESTAMP || logical == DF_LOGICAL_TIMESTAMPTZ;
}

static bool same_instant(struct df_str a, struct df_str b)
{
	struct df_instant x, y;

	return df_rfc3339_parse(a, &x) && df_rfc3339_parse(b, &y) && x.seconds == y.seconds &&
	       x.nanoseconds == y.nanoseconds;
}

/* How what was read is the value that was written; NULL: it is not. w and r are JSON. */
static const char *likeness(struct df_stage *st, const struct df_value *w, const struct df_value *r,
			    enum df_logical logical)
{
	struct df_str wrote = df_value_text(w, st->arena), read = df_value_text(r, st->arena);

	if (df_value_equal(w, r))
		return w->kind != DF_NUMBER || df_str_equal(wrote, read)
			       ? "exact"
			       : df_rule_text(st, "exact, written as %s", df_rule_value(st, r));
	if (same_text(st, w, r))
		return df_rule_text(st, "as text: %s came back as %s", df_kind_words(w->kind), df_kind_words(r->kind));
	if (w->kind != DF_STRING || r->kind != DF_STRING)
		return NULL;
	if (same_instant(wrote, read))
		return df_rule_text(st, "the same time: %s", df_rule_value(st, r));
	return is_time(logical) && is_cut(wrote, read)
		       ? df_rule_text(st, "cut to the column's precision: %s", df_rule_value(st, r))
		       : NULL;
}

/* Fails the rule unless they are the same; says how they are. */
static const char *compare(struct df_stage *st, const struct df_value *written, const struct df_value *read,
			   enum df_logical logical)
{
	const struct df_value *w = as_json(st, written), *r = read ? as_json(st, read) : NULL;
	const char *how = r ? likeness(st, w, r, logical) : NULL;

	/* A store that knows no bytes but texts gives those that are one back as such. */
	if (!how && r && written->repr == DF_REPR_BYTES && r->kind == DF_STRING &&
	    df_str_equal(df_value_text(r, st->arena), df_str(written->text, written->len)))
		how = "as text: the same bytes, not in base64";
	if (how)
		return how;
	df_rule_fail(st, "changed: wrote %s, read %s", df_rule_value(st, w), df_rule_value(st, r));
}

/* ---- out and back ------------------------------------------------------------------------------------------ */

/* Row 2 is the value, under this key. */
static void write_between(struct df_stage *st, const char *key, struct df_value *value, bool document,
			  struct df_delivery *d)
{
	static const char *const frame[] = { "{\"id\":1,\"name\":\"row 1\"}", "{\"id\":2,\"name\":\"row 2\"}",
					     "{\"id\":3,\"name\":\"row 3\"}" };
	struct df_sink *s = df_stage_connected_sink(st);
	struct df_value *row = parse(st, df_str_c(frame[1]));
	struct df_stage_write w;

	df_object_set(row, df_str_c(key), value);
	df_stage_write_init(st, &w, frame, DF_ARRAY_SIZE(frame));
	if (document)
		df_message_set_document(w.pointers[1], row);
	else
		w.pointers[1]->payload = df_value_to_arena(row, st->arena);
	df_deliver(st, s, w.pointers, w.count, WRITE_NS, d);
	for (size_t i = 0; i < w.count; i += 2)
		df_rule_check(st, d->results[i].code == 0, "a row beside it is not written: %s",
			      df_rule_error(st, &d->results[i]));
	df_rule_check(st, d->failed == 0, "the row fails with a code that says nothing about the row: %s",
		      df_rule_error(st, &d->results[1]));
	df_deliver_end(st, s);
}

/* What became of it: as compare says, or NULL: refused, with the neighbours in the store. */
static const char *out_and_back(struct df_stage *st, const char *key, const struct type_case *c,
				struct df_error *refused)
{
	struct df_value *value = value_of(st, c), *original = value_of(st, c);
	bool document = c->logical != DF_LOGICAL_NONE || value->repr == DF_REPR_BYTES;
	struct df_rows_seen seen;
	struct df_delivery d;

	write_between(st, key, value, document, &d);
	df_stage_dump(st, &seen);
	for (int64_t id = 1; id <= 3; id += 2)
		df_rule_check(st, df_rows_find(st, &seen, id), "the row with id %lld, beside it, is gone",
			      (long long)id);
	const struct df_value *row = df_rows_find(st, &seen, 2);

	if (d.results[1].code != 0) {
		df_rule_check(st, !row, "the row was refused (%s) and is in the store: %s",
			      df_rule_error(st, &d.results[1]), df_rule_value(st, row));
		*refused = d.results[1];
		return NULL;
	}
	df_rule_check(st, row, "the row was confirmed and is gone");
	return compare(st, original, df_object_get_c(row, key), c->logical);
}

static void value(struct df_stage *st)
{
	const struct type_case *c = case_of(st);
	struct df_error refused = DF_ERROR_INIT;
	const char *how = out_and_back(st, "value", c, &refused);

	if (how) {
		df_rule_note(st, "%s", how);
		return;
	}
	df_rule_note(st, "refused: %s", df_rule_error(st, &refused));
	if (c->logical != DF_LOGICAL_NONE || (c->json && c->json[0] != '"') || !value_of(st, c) ||
	    value_of(st, c)->kind != DF_STRING)
		return;
	/* A text finds a column of texts in every store of the suite. */
	df_stage_name(st, NULL);
	how = out_and_back(st, "name", c, &refused);
	if (how)
		df_rule_note(st, "as a name: %s", how);
	else
		df_rule_note(st, "as a name refused: %s", df_rule_error(st, &refused));
}

/* An empty text, null and no key are told apart as far as rows can: a row has no missing columns. */
static void empty_null_missing(struct df_stage *st)
{
	static const char *const rows[] = { "{\"id\":1,\"name\":\"row 1\"}", "{\"id\":2,\"name\":\"\"}",
					    "{\"id\":3,\"name\":null}", "{\"id\":4}" };
	struct df_sink *s = df_stage_connected_sink(st);
	struct df_rows_seen seen;
	const struct df_value *name;

	df_deliver_all(st, s, rows, DF_ARRAY_SIZE(rows));
	df_deliver_end(st, s);
	df_stage_dump(st, &seen);
	for (size_t i = 0; i < DF_ARRAY_SIZE(rows); i++)
		df_rule_check(st, df_rows_find(st, &seen, (int64_t)i + 1), "the row %s is gone", rows[i]);
	name = df_object_get_c(df_rows_find(st, &seen, 2), "name");
	df_rule_check(st, name && name->kind == DF_STRING && df_value_string_equal(name, DF_STR("")),
		      "the empty text came back as %s", df_rule_value(st, name));
	for (int64_t id = 3; id <= 4; id++) {
		name = df_object_get_c(df_rows_find(st, &seen, id), "name");
		df_rule_check(st, !name || name->kind == DF_NULL, "%s came back with the name %s", rows[id - 1],
			      df_rule_value(st, name));
	}
}

#define NEEDS (DF_NEEDS_SINK | DF_NEEDS_DUMP | DF_NEEDS_NAME)
#define DOC(what) what " comes back as it was, or is refused by name."
#define PLAIN_RULE(name, doc, text) { "types." name, DOC(doc), NEEDS, 0, value },
#define LOGICAL_RULE(name, doc, text, type) { "types." name, DOC(doc), NEEDS, 0, value },
#define BUILT_RULE(name, doc, fn) { "types." name, DOC(doc), NEEDS, 0, value },

const struct df_conformance_rule df_rules_types[] = {
	PLAIN_VALUES(PLAIN_RULE) LOGICAL_VALUES(LOGICAL_RULE) BUILT_VALUES(BUILT_RULE){
		"types.empty-null-missing", "An empty text is not null, and null is not an empty text.", NEEDS, 0,
		empty_null_missing },
	{ 0 },
};

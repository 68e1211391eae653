/*
 * Rules on names that are hostile to SQL, to formats and to people: as the name of what is written to (`{name}`) and as
 * keys of rows. Each works, written and read back under that very name and nothing else touched, or is refused by an
 * error that names it.
 */
#include "conformance/deliver.h"
#include "conformance/hostile.h"

#define WRITE_NS (30 * DF_NS_PER_S)
#define CANARY_ROWS 3

/* ---- refusals ---------------------------------------------------------------------------------------------- */

static void check_refusal(struct df_stage *st, const char *name, const struct df_error *err, const char *what)
{
	df_rule_check(st, !df_code_retryable(err->code), "the %s %s fails with an error that asks for another try: %s",
		      what, name, df_rule_error(st, err));
	df_rule_check(st, df_hostile_named(err->text, name), "the %s %s is refused, and the error does not name it: %s",
		      what, name, df_rule_error(st, err));
}

/* ---- names of stores --------------------------------------------------------------------------------------- */

/* Writes one row to the store of the present name; an error that refuses the name is *err, without a code when it was
 * the settings that are refused: such an error names the setting. */
static bool write_row(struct df_stage *st, int64_t id, struct df_error *err)
{
	struct df_component *component = NULL;
	struct df_diags diags = { 0 };
	struct df_stage_write w;
	struct df_delivery d;

	if (!df_stage_parse(st, DF_SINK, NULL, &component, &diags))
		return false;
	struct df_sink *s = df_stage_sink_of(st, component);
	struct df_context *ctx = df_context_new(NULL);

	df_rule_check(st, ctx, "out of memory");
	df_context_deadline(ctx, df_clock_monotonic() + WRITE_NS);
	int code = s->ops->connect(s, ctx, err);

	df_context_free(ctx);
	if (code != 0) {
		df_sink_free(s);
		return false;
	}
	df_stage_write_rows(st, &w, id, 1);
	df_deliver(st, s, w.pointers, 1, WRITE_NS, &d);
	if (d.written == 1)
		df_deliver_end(st, s);
	else
		df_sink_free(s);
	*err = d.results[0];
	return d.written == 1;
}

/* Names are the same in every run, and nobody need have dropped what an earlier one has left: the ids of a run are its
 * own. */
static int64_t new_ids(void)
{
	return df_clock_now(NULL) / DF_NS_PER_MS % 1000000000 * 1000;
}

/* Of the ids base .. base + n - 1 the store of the present name has exactly base + i, once. */
static void read_row(struct df_stage *st, const char *name, int64_t base, size_t n, size_t i)
{
	struct df_rows_seen seen;

	df_stage_doing(st, "reading back what was written to the name %s", name);
	df_stage_dump(st, &seen);
	df_rule_check(st, df_rows_find(st, &seen, base + (int64_t)i),
		      "a row was written to the name %s, and it is not there", name);
	for (size_t k = 0; k < seen.count; k++) {
		int64_t at = seen.ids[k] - base;

		df_rule_check(st, at < 0 || at >= (int64_t)n || at == (int64_t)i,
			      "the name %s has a row that was written to another one: %s", name,
			      df_rule_value(st, seen.rows[k]));
	}
}

struct tally {
	size_t worked, refused;
};

/* All names are written to before the first is read: what lands in another one's store is found. */
static struct tally try_names(struct df_stage *st, const char **names, size_t n)
{
	bool *works = df_arena_zalloc(st->arena, n);
	int64_t base = new_ids();
	struct tally tally = { 0 };

	df_rule_check(st, works, "out of memory");
	for (size_t i = 0; i < n; i++) {
		struct df_error err = DF_ERROR_INIT;

		df_stage_name(st, names[i]);
		df_stage_doing(st, "writing to the name %s", names[i]);
		works[i] = write_row(st, base + (int64_t)i, &err);
		if (!works[i] && err.code != 0)
			check_refusal(st, names[i], &err, "name");
		names[i] = st->name;
		tally.worked += works[i];
		tally.refused += !works[i];
	}
	for (size_t i = 0; i < n; i++) {
		if (!works[i])
			continue;
		st->name = names[i]; /* it has been set up */
		read_row(st, names[i], base, n, i);
	}
	return tally;
}

static const char *make_canary(struct df_stage *st)
{
	struct df_sink *s = df_stage_connected_sink(st);

	df_deliver_rows(st, s, 1, CANARY_ROWS);
	df_deliver_end(st, s);
	return st->name;
}

static void check_canary(struct df_stage *st, const char *canary)
{
	struct df_rows_seen seen;

	st->name = canary;
	df_stage_doing(st, "looking at the store %s, which nobody has written to", canary);
	df_stage_dump(st, &seen);
	df_rows_check(st, &seen, 1, CANARY_ROWS, NULL, false, "another store, after writes to hostile names");
}

/* "quotes" of "identifiers.name-quotes". */
static const char *group_of(const struct df_stage *st)
{
	return strchr(st->rule->name, '-') + 1;
}

static void names(struct df_stage *st)
{
	if (st->options->setup)
		df_rule_not_applicable(st,
				       "the setup command makes the stores: names are tried when the sink makes them");
	const char *canary = make_canary(st);
	size_t n;
	const char **hostile = df_hostile_names(st, group_of(st), canary, &n);
	struct tally tally = try_names(st, hostile, n);

	check_canary(st, canary);
	df_rule_note(st, "%zu worked, %zu were refused by name", tally.worked, tally.refused);
}

/* ---- keys of rows ------------------------------------------------------------------------------------------ */

/* {"id": id, "name": "row <id>", key: "value <id>"} */
static const char *key_row(struct df_stage *st, int64_t id, const char *key)
{
	struct df_buf json = { 0 };

	df_json_write_string(df_str_c(key), &json);
	const char *row = df_rule_text(st, "{\"id\":%lld,\"name\":\"row %lld\"," DF_STR_FMT ":\"value %lld\"}",
				       (long long)id, (long long)id, DF_STR_ARG(df_buf_str(&json)), (long long)id);

	df_buf_done(&json);
	return row;
}

/* The member of that name; in a store that keeps names in lower case the one of the folded name. That it does not mix
 * up names that differ in case only is a rule of its own. */
static const struct df_value *find_key(struct df_stage *st, const struct df_value *row, const char *key)
{
	const struct df_value *v = df_object_get_c(row, key);
	char *folded = v ? NULL : df_arena_alloc(st->arena, strlen(key) + 1);

	if (folded)
		memcpy(folded, key, strlen(key) + 1);
	for (char *p = folded; p && *p; p++)
		if (*p >= 'A' && *p <= 'Z')
			*p = (char)(*p - 'A' + 'a');
	return folded ? df_object_get_c(row, folded) : v;
}

static void check_key(struct df_stage *st, const struct df_value *row, const char *key, int64_t id)
{
	const char *expected = df_rule_text(st, "value %lld", (long long)id);

	df_rule_check(st, row, "the row with the key %s was confirmed and is gone", key);
	const struct df_value *v = find_key(st, row, key);

	df_rule_check(st, v && v->kind == DF_STRING && df_value_string_equal(v, df_str_c(expected)),
		      "the key %s was written with \"%s\", and came back as %s in %s", key, expected,
		      df_rule_value(st, v), df_rule_value(st, row));
}

/* A store of its own, so that no other key decides what it may have. True: it works. */
static bool try_key(struct df_stage *st, const char *key, int64_t id)
{
	const char *row = key_row(st, id, key);
	struct df_stage_write w;
	struct df_delivery d;
	struct df_rows_seen seen;

	df_stage_name(st, NULL);
	df_stage_doing(st, "writing a row with the key %s", key);
	struct df_sink *s = df_stage_connected_sink(st);

	df_stage_write_init(st, &w, &row, 1);
	df_deliver(st, s, w.pointers, 1, WRITE_NS, &d);
	if (d.written == 0) {
		check_refusal(st, key, &d.results[0], "key");
		df_sink_free(s);
		return false;
	}
	df_deliver_end(st, s);
	df_stage_dump(st, &seen);
	check_key(st, df_rows_find(st, &seen, id), key, id);
	return true;
}

/* All keys together first, because that is cheap; those that fail there, one by one. */
static void try_keys(struct df_stage *st, const char **keys, size_t n)
{
	const char **rows = df_arena_alloc(st->arena, n * sizeof(*rows));
	struct df_stage_write w;
	struct df_delivery d;
	struct df_rows_seen seen;
	struct tally tally = { 0 };

	df_rule_check(st, rows, "out of memory");
	for (size_t i = 0; i < n; i++)
		rows[i] = key_row(st, 1 + (int64_t)i, keys[i]);
	struct df_sink *s = df_stage_connected_sink(st);

	df_stage_write_init(st, &w, rows, n);
	df_deliver(st, s, w.pointers, n, WRITE_NS, &d);
	df_deliver_end(st, s);
	if (d.written > 0)
		df_stage_dump(st, &seen);
	for (size_t i = 0; i < n; i++) {
		int64_t id = 1 + (int64_t)i;
		bool works = d.results[i].code == 0 || try_key(st, keys[i], id);

		if (d.results[i].code == 0)
			check_key(st, df_rows_find(st, &seen, id), keys[i], id);
		tally.worked += works;
		tally.refused += !works;
	}
	df_rule_note(st, "%zu worked, %zu were refused by name", tally.worked, tally.refused);
}

static void keys(struct df_stage *st)
{
	const char *canary = make_canary(st);
	size_t n;
	const char **hostile = df_hostile_names(st, group_of(st), canary, &n);

	df_stage_name(st, NULL);
	try_keys(st, hostile, n);
	check_canary(st, canary);
}

/* Two keys that differ in case, in one row. */
static void key_case(struct df_stage *st)
{
	const char *row = "{\"id\":1,\"name\":\"row 1\",\"Abc\":\"upper\",\"abc\":\"lower\"}";
	struct df_sink *s = df_stage_connected_sink(st);
	struct df_stage_write w;
	struct df_delivery d;
	struct df_rows_seen seen;

	df_stage_write_init(st, &w, &row, 1);
	df_deliver(st, s, w.pointers, 1, WRITE_NS, &d);
	if (d.written == 0) {
		df_rule_check(st,
			      df_hostile_named(d.results[0].text, "Abc") || df_hostile_named(d.results[0].text, "abc"),
			      "a row with the keys Abc and abc is refused, and the error does not name them: %s",
			      df_rule_error(st, &d.results[0]));
		df_rule_note(st, "refused: %s", df_rule_error(st, &d.results[0]));
		return;
	}
	df_deliver_end(st, s);
	df_stage_dump(st, &seen);
	const struct df_value *found = df_rows_find(st, &seen, 1);
	const struct df_value *upper = df_object_get_c(found, "Abc"), *lower = df_object_get_c(found, "abc");

	df_rule_check(st,
		      upper && lower && df_value_string_equal(upper, DF_STR("upper")) &&
			      df_value_string_equal(lower, DF_STR("lower")),
		      "the row %s came back as %s", row, df_rule_value(st, found));
}

/* The empty key, and one with a NUL byte. */
static void key_odd(struct df_stage *st)
{
	static const char *const rows[] = { "{\"id\":1,\"name\":\"row 1\",\"\":\"value\"}",
					    "{\"id\":2,\"name\":\"row 2\",\"a\\u0000b\":\"value\"}" };
	static const struct df_str keys[] = { DF_STR(""), DF_STR("a\0b") };
	struct df_rows_seen seen;
	size_t refused = 0;

	for (size_t i = 0; i < DF_ARRAY_SIZE(rows); i++) {
		struct df_stage_write w;
		struct df_delivery d;

		df_stage_name(st, NULL);
		struct df_sink *s = df_stage_connected_sink(st);

		df_stage_write_init(st, &w, &rows[i], 1);
		df_deliver(st, s, w.pointers, 1, WRITE_NS, &d);
		if (d.written == 0) {
			df_rule_check(st, !df_code_retryable(d.results[0].code),
				      "%s fails with an error that asks for another try: %s", rows[i],
				      df_rule_error(st, &d.results[0]));
			df_sink_free(s);
			refused++;
			continue;
		}
		df_deliver_end(st, s);
		df_stage_dump(st, &seen);
		const struct df_value *row = df_rows_find(st, &seen, (int64_t)i + 1);
		const struct df_value *v = df_object_get(row, keys[i]);

		df_rule_check(st, v && v->kind == DF_STRING && df_value_string_equal(v, DF_STR("value")),
			      "%s came back as %s", rows[i], df_rule_value(st, row));
	}
	df_rule_note(st, "%zu of 2 refused", refused);
}

#define NEEDS (DF_NEEDS_SINK | DF_NEEDS_DUMP | DF_NEEDS_NAME)
#define NAME_RULE(what, doc, fn)                                                                        \
	{                                                                                               \
		"identifiers.name-" what, "Names " doc " work, or are refused by name.", NEEDS, 180, fn \
	}
#define KEY_RULE(what, doc, fn)                                                                       \
	{                                                                                             \
		"identifiers.key-" what, "Keys " doc " work, or are refused by name.", NEEDS, 180, fn \
	}

const struct df_conformance_rule df_rules_identifiers[] = {
	NAME_RULE("quotes", "with quotes and backslashes", names),
	NAME_RULE("separators", "with dots, blanks, semicolons and other separators", names),
	NAME_RULE("comments", "with the signs of comments", names),
	NAME_RULE("paths", "that are paths of files", names),
	NAME_RULE("injections", "that are SQL or shell", names),
	NAME_RULE("formats", "with the signs of formats and escapes", names),
	NAME_RULE("keywords", "that are words of SQL", names),
	NAME_RULE("unicode", "of other alphabets, and with invisible characters", names),
	NAME_RULE("starts", "that begin with digits and signs", names),
	NAME_RULE("long", "of 1 to 200 characters, in pairs that differ in the last one,", names),
	KEY_RULE("quotes", "with quotes and backslashes", keys),
	KEY_RULE("separators", "with dots, blanks, semicolons and other separators", keys),
	KEY_RULE("comments", "with the signs of comments", keys),
	KEY_RULE("injections", "that are SQL or shell", keys),
	KEY_RULE("formats", "with the signs of formats and escapes", keys),
	KEY_RULE("keywords", "that are words of SQL", keys),
	KEY_RULE("hidden", "that stores have for columns of their own", keys),
	KEY_RULE("unicode", "of other alphabets, and with invisible characters", keys),
	KEY_RULE("starts", "that begin with digits and signs", keys),
	KEY_RULE("long", "of 1 to 200 characters, in pairs that differ in the last one,", keys),
	KEY_RULE("case", "that differ in case only", key_case),
	KEY_RULE("odd", "that are empty or have a NUL byte", key_odd),
	{ 0 },
};

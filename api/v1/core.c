/* Kubernetes objects inside a manifest that are kept as JSON and given to the pod. */
#include <stdlib.h>
#include <string.h>

#include "api/v1/internal.h"
#include "base/cleanup.h"

/* The document of a RAW field, or NULL when it is absent. It has been parsed before: it is JSON. */
static struct df_value *raw_value(const struct df_raw *raw, struct df_arena *arena)
{
	struct df_value *v = NULL;

	if (!raw->json || df_value_parse(df_str(raw->json, raw->len), arena, &v, NULL) != DF_PARSE_OK)
		return NULL;
	return v->kind == DF_NULL ? NULL : v;
}

/* "name.key" or "name[i]" in the arena. */
static const char *sub_path(struct df_arena *arena, const char *format, const char *name, const char *key, size_t i)
{
	df_cleanup(df_buf_done) struct df_buf buf = { 0 };
	struct df_str copy;

	df_buf_add_c(&buf, name);
	if (*format == '[')
		df_buf_printf(&buf, "[%zu]", i);
	if (key)
		df_buf_printf(&buf, ".%s", key);
	copy = df_arena_dup(arena, df_buf_str(&buf));
	return copy.ptr ? copy.ptr : name;
}

/* The key of a member as a C string in the arena. */
static const char *key_text(const struct df_value *member, struct df_arena *arena)
{
	struct df_str copy = df_arena_dup(arena, df_value_key(member));

	return copy.ptr ? copy.ptr : "";
}

/* ---- quantities ------------------------------------------------------------------------------------------ */

static size_t digits(struct df_str s, size_t i)
{
	while (i < s.len && s.ptr[i] >= '0' && s.ptr[i] <= '9')
		i++;
	return i;
}

/* Kubernetes' resource.Quantity: sign, decimal number, and a suffix (n u m k M G T P E, Ki .. Ei) or a decimal
 * exponent. */
static bool quantity_valid(struct df_str s)
{
	static const char *const suffixes[] = { "",  "n", "u",	"m",  "k",  "M",  "G",	"T",
						"P", "E", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei" };
	size_t i = s.len && (s.ptr[0] == '+' || s.ptr[0] == '-'), begin = i, whole;

	whole = i = digits(s, i);
	if (i < s.len && s.ptr[i] == '.') {
		i = digits(s, i + 1);
		if (i == begin + 1)
			return false;
	} else if (whole == begin) {
		return false;
	}
	s = df_str(s.ptr + i, s.len - i);
	for (size_t n = 0; n < DF_ARRAY_SIZE(suffixes); n++)
		if (df_str_equal_c(s, suffixes[n]))
			return true;
	if (s.len < 2 || (s.ptr[0] != 'e' && s.ptr[0] != 'E'))
		return false;
	i = s.ptr[1] == '+' || s.ptr[1] == '-' ? 2 : 1;
	return i < s.len && digits(s, i) == s.len;
}

/* How many bytes a quantity is, rounded down; -1: it is none, or out of range. */
static int64_t quantity_bytes(struct df_str s)
{
	static const struct {
		const char *suffix;
		double factor;
	} units[] = { { "m", 1e-3 },	{ "u", 1e-6 },	  { "n", 1e-9 },    { "k", 1e3 },     { "M", 1e6 },
		      { "G", 1e9 },	{ "T", 1e12 },	  { "P", 1e15 },    { "E", 1e18 },    { "Ki", 0x1p10 },
		      { "Mi", 0x1p20 }, { "Gi", 0x1p30 }, { "Ti", 0x1p40 }, { "Pi", 0x1p50 }, { "Ei", 0x1p60 } };
	char text[64];
	char *end;
	double value;

	if (!quantity_valid(s) || s.len >= sizeof(text))
		return -1;
	memcpy(text, s.ptr, s.len);
	text[s.len] = 0;
	value = strtod(text, &end);
	for (size_t i = 0; i < DF_ARRAY_SIZE(units); i++)
		if (strcmp(end, units[i].suffix) == 0)
			value *= units[i].factor;
	return value >= 0 && value < 0x1p62 ? (int64_t)value : -1;
}

static int64_t raw_bytes(const struct df_raw *raw, struct df_str *ret_text, struct df_arena *arena)
{
	struct df_value *v = raw_value(raw, arena);

	*ret_text = v ? df_value_text(v, arena) : df_str(NULL, 0);
	if (!v)
		return 0;
	return v->kind == DF_STRING || v->kind == DF_NUMBER ? quantity_bytes(*ret_text) : -1;
}

void df_check_bytes(const struct df_raw *raw, const char *name, const struct df_place *place, struct df_diags *diags)
{
	df_cleanup(df_arena_done) struct df_arena arena = { 0 };
	struct df_str text;
	int64_t bytes = raw_bytes(raw, &text, &arena);

	if (raw->json && bytes < 1 && raw_value(raw, &arena))
		df_diag_error(diags, place, name,
			      "`" DF_STR_FMT "` is no number of bytes, such as 268435456, 256Mi or 1.5Gi",
			      DF_STR_ARG(text));
}

int64_t df_flow_memory_limit(const struct df_dataflow_spec *spec)
{
	df_cleanup(df_arena_done) struct df_arena arena = { 0 };
	struct df_str text;

	return raw_bytes(&spec->memory_limit, &text, &arena);
}

static void check_quantities(struct df_value *map, struct df_arena *arena, const char *path,
			     const struct df_place *place, struct df_diags *diags)
{
	if (map->kind == DF_NULL)
		return;
	if (map->kind != DF_OBJECT) {
		df_diag_error(diags, place, path,
			      "expected an object of quantities, such as {cpu: 500m, memory: 512Mi}");
		return;
	}
	df_for_each (q, map) {
		const char *sub = sub_path(arena, ".", path, key_text(q, arena), 0);
		struct df_str text = df_value_text(q, arena);

		if (q->kind == DF_NULL)
			continue;
		if ((q->kind != DF_STRING && q->kind != DF_NUMBER) || !quantity_valid(text))
			df_diag_error(diags, place, sub,
				      "`" DF_STR_FMT "` is no quantity, such as 500m, 2, 512Mi or 1.5Gi",
				      DF_STR_ARG(text));
		else if (text.len && text.ptr[0] == '-')
			df_diag_error(diags, place, sub, "must not be negative");
	}
}

void df_check_resources(const struct df_raw *raw, const char *name, const struct df_place *place,
			struct df_diags *diags)
{
	static const char *const known[] = { "requests", "limits", "claims" };
	struct df_arena arena;
	struct df_value *v;

	df_arena_init(&arena, NULL);
	v = raw_value(raw, &arena);
	if (v && v->kind != DF_OBJECT)
		df_diag_error(diags, place, name, "expected an object with `requests` and `limits`");
	else if (v)
		df_for_each (m, v) {
			const char *sub = sub_path(&arena, ".", name, key_text(m, &arena), 0);
			const char *near = df_nearest(df_value_key(m), known, DF_ARRAY_SIZE(known));

			if (df_str_equal_c(df_value_key(m), "requests") || df_str_equal_c(df_value_key(m), "limits"))
				check_quantities(m, &arena, sub, place, diags);
			else if (!df_str_equal_c(df_value_key(m), "claims"))
				df_diag_error(diags, place, sub, "unknown field%s%s%s", near ? "; did you mean \"" : "",
					      near ? near : ": known are requests, limits and claims",
					      near ? "\"?" : "");
		}
	df_arena_done(&arena);
}

void df_check_object(const struct df_raw *raw, const char *name, const struct df_place *place, struct df_diags *diags)
{
	struct df_arena arena;
	struct df_value *v;

	df_arena_init(&arena, NULL);
	v = raw_value(raw, &arena);
	if (v && v->kind != DF_OBJECT)
		df_diag_error(diags, place, name, "expected an object");
	df_arena_done(&arena);
}

/* ---- maps and lists -------------------------------------------------------------------------------------- */

void df_check_string_map(const struct df_raw *raw, const char *name, const struct df_place *place,
			 struct df_diags *diags)
{
	struct df_arena arena;
	struct df_value *v;

	df_arena_init(&arena, NULL);
	v = raw_value(raw, &arena);
	if (v && v->kind != DF_OBJECT)
		df_diag_error(diags, place, name, "expected an object of texts");
	else if (v)
		df_for_each (m, v) {
			if (m->kind == DF_STRING)
				continue;
			df_diag_error(diags, place, sub_path(&arena, ".", name, key_text(m, &arena), 0),
				      "expected a text%s",
				      df_value_is_container(m) || m->kind == DF_NULL ? "" : "; write it in quotes");
		}
	df_arena_done(&arena);
}

void df_check_env_values(const struct df_raw *raw, const char *name, const struct df_place *place,
			 struct df_diags *diags)
{
	struct df_arena arena;
	struct df_value *v;
	size_t i = 0;

	df_arena_init(&arena, NULL);
	v = raw_value(raw, &arena);
	if (v && v->kind == DF_ARRAY)
		df_for_each (item, v) {
			const struct df_value *value = df_object_get_c(item, "value");

			if (value && value->kind != DF_STRING && value->kind != DF_NULL)
				df_diag_error(diags, place, sub_path(&arena, "[", name, "value", i),
					      "expected a text%s",
					      df_value_is_container(value) ? "" : "; write it in quotes");
			i++;
		}
	df_arena_done(&arena);
}

void df_check_object_list(const struct df_raw *raw, const char *name, bool named, const struct df_place *place,
			  struct df_diags *diags)
{
	struct df_arena arena;
	struct df_value *v;
	size_t i = 0;

	df_arena_init(&arena, NULL);
	v = raw_value(raw, &arena);
	if (v && v->kind != DF_ARRAY)
		df_diag_error(diags, place, name, "expected a list of objects");
	else if (v)
		df_for_each (item, v) {
			const struct df_value *item_name = df_object_get_c(item, "name");

			if (item->kind != DF_OBJECT)
				df_diag_error(diags, place, sub_path(&arena, "[", name, NULL, i),
					      "expected an object%s", named ? " with `name`" : "");
			else if (named && (!item_name || item_name->kind != DF_STRING || item_name->len == 0))
				df_diag_error(diags, place, sub_path(&arena, "[", name, "name", i),
					      "is required: a text");
			i++;
		}
	df_arena_done(&arena);
}

/* timezone: times in another zone and in one form. */
#include <stdlib.h>

#include "base/time.h"
#include "transformers/interface.h"
#include "transformers/settings.h"
#include "transformers/texts.h"

#define SECONDS_MIN INT64_C(-62135596800) /* 0001-01-01T00:00:00Z */
#define SECONDS_MAX INT64_C(253402300799) /* 9999-12-31T23:59:59Z */

struct timezone_settings {
	char *timezone;
	char *source_timezone;
	struct df_strings fields;
	char *format;
};

static int check_zone(struct df_str text, struct df_error *err)
{
	df_cleanup(df_zone_freep) struct df_zone *zone = NULL;

	return df_zone_load(text, &zone, err);
}

static const char *const formats[] = { "RFC3339Nano", "RFC3339", "UnixMilli", NULL };

static const struct df_field timezone_fields[] = {
	DF_FIELD(struct timezone_settings, timezone, "timezone", DF_REQUIRED, .check = check_zone,
		 .doc = "The zone of the result: a name of the IANA database, or an offset `±HH:MM`.",
		 .example = "Europe/Berlin"),
	DF_FIELD(struct timezone_settings, source_timezone, "sourceTimezone", 0, .def = "UTC", .check = check_zone,
		 .doc = "The zone of texts without an offset.", .example = "America/New_York"),
	DF_FIELD(struct timezone_settings, fields, "fields", DF_REQUIRED, .check = df_check_path_location,
		 .doc = "Paths of the times. Missing places and nulls are skipped.",
		 .example = "[created_at, \"items.#.at\"]"),
	DF_FIELD(struct timezone_settings, format, "format", 0, .def = "RFC3339Nano", .values = formats,
		 .doc = "`RFC3339Nano` keeps fractions, `RFC3339` cuts them, `UnixMilli` is a number of milliseconds "
			"since 1970.",
		 .example = "RFC3339"),
};

static const struct df_table timezone_table = DF_TABLE(struct timezone_settings, timezone_fields);

struct timezone_transformer {
	struct df_transformer base;
	struct df_zone *zone, *source;
	struct df_paths paths;
	bool milli;
	enum df_fraction fraction;
};

static void timezone_free(struct df_transformer *t)
{
	struct timezone_transformer *tz = (struct timezone_transformer *)t;

	if (!tz)
		return;
	df_zone_free(tz->zone);
	df_zone_free(tz->source);
	df_paths_done(&tz->paths);
	free(tz);
}

DF_DEFINE_TRANSFORMER_CLEANUP(struct timezone_transformer *, timezone_free)

static int load(const char *name, const struct df_place *place, const char *sub, struct df_zone **ret,
		struct df_diags *diags)
{
	struct df_error err = DF_ERROR_INIT;

	return df_zone_load(df_str_c(name), ret, &err) ? df_tell(diags, place, sub, &err) : 0;
}

static int timezone_create(const void *settings, const struct df_place *place, struct df_transformer **ret,
			   struct df_diags *diags)
{
	const struct timezone_settings *s = settings;
	df_cleanup(timezone_freep) struct timezone_transformer *tz = calloc(1, sizeof(*tz));

	if (!tz)
		return DF_ERR_NO_MEMORY;
	int r = load(s->timezone, place, "timezone", &tz->zone, diags);
	if (r == 0)
		r = load(s->source_timezone, place, "sourceTimezone", &tz->source, diags);
	if (r == 0)
		r = df_compile_paths(&s->fields, DF_PATH_LOCATION, place, "fields", &tz->paths, diags);
	if (r < 0)
		return r;
	tz->milli = strcmp(s->format, "UnixMilli") == 0;
	tz->fraction = strcmp(s->format, "RFC3339") == 0 ? DF_FRACTION_NONE : DF_FRACTION_SHORT;
	*ret = &DF_TAKE(tz)->base;
	return 0;
}

/* ---- reading
 * ---------------------------------------------------------------------------------------------------------- */

/* A decimal: digits * 10^exponent, exactly. The last digit is not 0. */
struct decimal {
	bool negative;
	unsigned __int128 digits;
	int64_t count; /* of digits; 0: the number is zero */
	int64_t exponent;
};

#define DIGITS_MAX 36

/* text: a JSON number. False: more digits than any time has. */
static bool to_decimal(struct df_str text, struct decimal *ret)
{
	struct decimal d = { 0 };
	int64_t zeros = 0; /* read and not yet part of digits */
	bool fraction = false;
	size_t i = 0;

	d.negative = text.ptr[0] == '-';
	for (i = d.negative; i < text.len && text.ptr[i] != 'e' && text.ptr[i] != 'E'; i++) {
		if (text.ptr[i] == '.') {
			fraction = true;
			continue;
		}
		d.exponent -= fraction;
		if (text.ptr[i] == '0') {
			zeros += d.count > 0;
			continue;
		}
		d.count += zeros + 1;
		if (d.count > DIGITS_MAX)
			return false;
		for (; zeros >= 0; zeros--)
			d.digits *= 10;
		d.digits += (unsigned)(text.ptr[i] - '0');
		zeros = 0;
	}
	d.exponent += zeros;
	if (i < text.len) {
		bool negative = text.ptr[i + 1] == '-';
		int64_t exponent = 0;

		for (i += 1 + (negative || text.ptr[i + 1] == '+'); i < text.len; i++) {
			if (exponent < INT64_MAX / 100)
				exponent = exponent * 10 + (text.ptr[i] - '0');
		}
		d.exponent += negative ? -exponent : exponent;
	}
	*ret = d;
	return true;
}

/* Milliseconds from 10^12 on, else seconds. NULL, or what is wrong. */
static const char *number_to_instant(struct df_str text, struct df_instant *ret)
{
	struct decimal d;

	if (!to_decimal(text, &d))
		return "a number with more digits than a time has";
	*ret = (struct df_instant){ 0 };
	if (d.count == 0)
		return NULL;
	int64_t power = d.exponent + (d.count + d.exponent > 12 ? 6 : 9);
	if (power < 0)
		return "a number that is finer than a nanosecond";
	if (d.count + power > 21)
		return "a number outside of the years 1 to 9999";
	for (; power > 0; power--)
		d.digits *= 10;

	__int128 ns = d.negative ? -(__int128)d.digits : (__int128)d.digits;
	__int128 seconds = ns / DF_NS_PER_S - (ns % DF_NS_PER_S < 0);
	*ret = (struct df_instant){ (int64_t)seconds, (int32_t)(ns - seconds * DF_NS_PER_S) };
	return NULL;
}

/* 0 with *ret_what NULL: an instant. Else what was found instead of one. */
static int text_to_instant(const struct timezone_transformer *tz, struct df_str text, struct df_arena *arena,
			   struct df_instant *ret, const char **ret_what)
{
	struct df_civil civil;
	struct df_str number;
	bool has_offset;
	int32_t offset;

	if (df_time_parse(text, &civil, &has_offset, &offset)) {
		*ret_what = civil.year < 1 ? "a string with a year outside of 1 to 9999" : NULL;
		*ret = has_offset ? df_civil_to_unix(&civil) : df_zone_to_unix(tz->source, &civil);
		if (has_offset)
			ret->seconds -= offset;
		return 0;
	}
	if (df_numeric_text(text, arena, &number) < 0)
		return DF_ERR_NO_MEMORY;
	*ret_what = number.ptr ? number_to_instant(number, ret) : "a string that is neither date and time nor a number";
	return 0;
}

static int to_instant(const struct timezone_transformer *tz, const struct df_value *v, struct df_arena *arena,
		      struct df_instant *ret, const char **ret_what)
{
	if (v->kind != DF_STRING && v->kind != DF_NUMBER) {
		*ret_what = df_kind_words(v->kind);
		return 0;
	}
	struct df_str text = df_value_text(v, arena);
	if (!text.ptr)
		return DF_ERR_NO_MEMORY;
	if (v->kind == DF_NUMBER)
		*ret_what = number_to_instant(text, ret);
	else if (text_to_instant(tz, text, arena, ret, ret_what) < 0)
		return DF_ERR_NO_MEMORY;
	if (!*ret_what && (ret->seconds < SECONDS_MIN || ret->seconds > SECONDS_MAX))
		*ret_what = "a time outside of the years 1 to 9999";
	return 0;
}

/* ---- writing
 * ---------------------------------------------------------------------------------------------------------- */

static const char *write_text(const struct timezone_transformer *tz, struct df_instant t, char *out, size_t *ret_len)
{
	int32_t offset = df_zone_offset(tz->zone, t.seconds);

	if (offset % 60 != 0)
		return "a time for which the zone's offset has seconds";
	if (t.seconds + offset < SECONDS_MIN || t.seconds + offset > SECONDS_MAX)
		return "a time outside of the years 1 to 9999 in the zone";
	*ret_len = df_rfc3339_format(t, offset, tz->fraction, out);
	return NULL;
}

/* *ret: what v becomes; NULL when it is that already. */
static int convert(const struct timezone_transformer *tz, const struct df_value *v, struct df_arena *arena,
		   struct df_value **ret, const char **ret_what)
{
	char out[DF_RFC3339_MAX];
	struct df_instant t = { 0 };
	size_t len = 0;

	*ret = NULL;
	*ret_what = NULL;
	if (v->kind == DF_NULL)
		return 0;
	if (to_instant(tz, v, arena, &t, ret_what) < 0)
		return DF_ERR_NO_MEMORY;
	if (*ret_what)
		return 0;
	if (tz->milli)
		len = df_number_from_int64(t.seconds * 1000 + t.nanoseconds / DF_NS_PER_MS, out);
	else
		*ret_what = write_text(tz, t, out, &len);
	if (*ret_what)
		return 0;

	struct df_str text = df_str(out, len);
	if (tz->milli ? v->kind == DF_NUMBER && df_str_equal(df_value_text(v, arena), text)
		      : df_value_string_equal(v, text))
		return 0;
	text = df_arena_dup(arena, text);
	*ret = tz->milli ? df_value_number(arena, text) : df_value_string(arena, text);
	return text.ptr && *ret ? 0 : DF_ERR_NO_MEMORY;
}

/* ---- applying
 * --------------------------------------------------------------------------------------------------------- */

struct change {
	struct df_value *at, *to;
	struct change *next;
};

/* What one path changes, in front of *changes. */
static int look(const struct timezone_transformer *tz, const struct df_path *path, struct df_value *root,
		struct df_arena *arena, struct change **changes, struct df_error *err)
{
	struct df_places places;

	if (df_path_locate(path, root, arena, &places) < 0)
		return df_error_no_memory(err);
	for (size_t i = 0; i < places.count; i++) {
		struct df_value *to;
		const char *what;

		if (convert(tz, places.items[i].value, arena, &to, &what) < 0)
			return df_error_no_memory(err);
		if (what)
			return df_error_set(err, DF_ERR_INVALID_DATA,
					    DF_STR_FMT ": found %s; expected a time such as 2024-01-15T09:50:00Z, or a "
						       "number of seconds or milliseconds since 1970",
					    DF_STR_ARG(df_path_text(path)), what);
		if (!to)
			continue;
		struct change *change = df_arena_alloc(arena, sizeof(*change));
		if (!change)
			return df_error_no_memory(err);
		*change = (struct change){ places.items[i].value, to, *changes };
		*changes = change;
	}
	return 0;
}

static int timezone_apply(struct df_transformer *t, const struct df_transform *call, struct df_message *m,
			  struct df_error *err)
{
	const struct timezone_transformer *tz = (const struct timezone_transformer *)t;
	struct change *changes = NULL;
	struct df_value *root = NULL;
	int r = df_message_document(m, call->arena, &root, err);

	if (r < 0 || !root)
		return r;
	for (size_t i = 0; i < tz->paths.count && r == 0; i++)
		r = look(tz, tz->paths.items[i], root, call->arena, &changes, err);
	if (r < 0)
		return r;
	/* All paths look at the document as it came: a place that two of them name changes once. */
	for (; changes; changes = changes->next) {
		df_value_replace(changes->at, changes->to);
		m->changed = true;
	}
	return 0;
}

static const struct df_example timezone_examples[] = {
	{
		.title = "From UTC to a zone",
		.doc = "Summer time counts. Nulls and missing fields are skipped.",
		.config = "type: timezone\n"
			  "config:\n"
			  "  timezone: Europe/Berlin\n"
			  "  fields: [created_at]\n"
			  "  format: RFC3339\n",
		.in = "{\"id\": 1, \"created_at\": \"2024-01-15T09:50:00Z\"}\n"
		      "{\"id\": 2, \"created_at\": \"2024-07-15T09:50:00.25+00:00\"}\n"
		      "{\"id\": 3, \"created_at\": null}\n",
		.out = "{\"id\":1,\"created_at\":\"2024-01-15T10:50:00+01:00\"}\n"
		       "{\"id\":2,\"created_at\":\"2024-07-15T11:50:00+02:00\"}\n"
		       "{\"id\": 3, \"created_at\": null}\n",
	},
	{
		.title = "Local times of a database",
		.doc = "Texts without an offset are in `sourceTimezone`. 02:30 was skipped by the clocks on 31 March, "
		       "and came twice on 27 October: then it is the first.",
		.config = "type: timezone\n"
			  "config:\n"
			  "  timezone: UTC\n"
			  "  sourceTimezone: Europe/Berlin\n"
			  "  fields: [\"*_at\"]\n",
		.in = "{\"created_at\": \"2024-01-15 10:50:00\", \"updated_at\": \"2024-01-15 10:50:00.125\"}\n"
		      "{\"created_at\": \"2024-03-31 02:30:00\", \"updated_at\": \"2024-10-27 02:30:00\"}\n",
		.out = "{\"created_at\":\"2024-01-15T09:50:00Z\",\"updated_at\":\"2024-01-15T09:50:00.125Z\"}\n"
		       "{\"created_at\":\"2024-03-31T01:30:00Z\",\"updated_at\":\"2024-10-27T00:30:00Z\"}\n",
	},
	{
		.title = "Unix times",
		.doc = "A number, or a text of one, is seconds, from 10¹² on milliseconds. `UnixMilli` writes a "
		       "number.",
		.config = "- type: timezone\n"
			  "  config:\n"
			  "    timezone: \"+05:30\"\n"
			  "    fields: [seconds, millis, text]\n"
			  "- type: timezone\n"
			  "  config:\n"
			  "    timezone: UTC\n"
			  "    fields: [at]\n"
			  "    format: UnixMilli\n",
		.in = "{\"seconds\": 1705312200, \"millis\": 1705312200125, \"text\": \"1705312200.5\"}\n"
		      "{\"at\": \"2024-01-15T09:50:00.125Z\"}\n",
		.out = "{\"seconds\":\"2024-01-15T15:20:00+05:30\",\"millis\":\"2024-01-15T15:20:00.125+05:30\","
		       "\"text\":\"2024-01-15T15:20:00.5+05:30\"}\n"
		       "{\"at\":1705312200125}\n",
	},
	{
		.title = "What is no time",
		.doc = "The message fails. A date alone could be midnight anywhere.",
		.config = "type: timezone\n"
			  "config:\n"
			  "  timezone: Europe/Berlin\n"
			  "  fields: [at]\n",
		.in = "{\"id\": 1, \"at\": \"2024-01-15\"}\n"
		      "{\"id\": 2, \"at\": \"2024-01-15T09:50:00\"}\n"
		      "{\"id\": 3, \"at\": true}\n",
		.out = "{\"id\":2,\"at\":\"2024-01-15T10:50:00+01:00\"}\n",
		.errors = "{\"index\":0,\"transformer\":\"timezone\",\"transformer_index\":0,\"error\":\"at: found a "
			  "string that is neither date and time nor a number; expected a time such as "
			  "2024-01-15T09:50:00Z, or a number of seconds or milliseconds since 1970\"}\n"
			  "{\"index\":2,\"transformer\":\"timezone\",\"transformer_index\":0,\"error\":\"at: found a "
			  "bool; expected a time such as 2024-01-15T09:50:00Z, or a number of seconds or milliseconds "
			  "since 1970\"}\n",
	},
};

const struct df_transformer_type df_transformer_timezone = {
	.type = {
		.name = "timezone",
		.title = "Write times in another zone",
		.doc = "Reads texts such as `2024-01-15T09:50:00Z` or `2024-01-15 09:50:00.5`, and numbers: milliseconds since "
		       "1970 from 10¹² on, else seconds. A text without an offset is in `sourceTimezone`: a time skipped by a "
		       "clock change takes the offset before it, one that occurs twice is the first.\n\n"
		       "What is no time makes the message fail, and so does a time finer than a nanosecond or outside of the "
		       "years 1 to 9999. Nulls and missing places are skipped.",
		.settings = &timezone_table,
		.examples = timezone_examples,
		.example_count = DF_ARRAY_SIZE(timezone_examples),
	},
	.create = timezone_create,
	.apply = timezone_apply,
	.free = timezone_free,
};

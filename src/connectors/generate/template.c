/*
 * A template is compiled into a list of parts, each literal text or one placeholder. A message's random values come
 * from a generator that is seeded with (seed, counter), so that message n is the same whenever it is made again.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/time.h"
#include "connectors/generate/generate.h"
#include "value/value.h"

enum part_kind {
	PART_TEXT,
	PART_COUNTER,
	PART_RANDOM,
	PART_FLOAT,
	PART_STRING,
	PART_CHOICE,
	PART_BOOL,
	PART_UUID,
	PART_NOW,
	PART_NOW_UNIX,
	PART_NOW_UNIX_MS,
};

#define INT_WIDTH_MAX 20 /* -9223372036854775808 */
#define STRING_MAX 65536
#define DIGITS_MAX 9
#define FLOAT_SCALED_MAX ((int64_t)1 << 62)

struct part {
	enum part_kind kind;
	struct df_str text; /* TEXT; CHOICE: all of them, with the bars between */
	int64_t min;	    /* COUNTER: start. FLOAT: scaled by 10^digits */
	uint64_t span;	    /* RANDOM, FLOAT: how many values there are, 0 for 2^64; STRING: length; CHOICE: how many */
	unsigned digits;    /* FLOAT */
	size_t max;	    /* bytes */
};

struct df_template {
	struct part *parts;
	size_t count, cap;
	size_t max;
};

/* ---- compiling ------------------------------------------------------------------------------------------- */

void df_template_free(struct df_template *t)
{
	if (!t)
		return;
	free(t->parts);
	free(t);
}

DF_DEFINE_CLEANUP(struct df_template *, df_template_free)

static int template_add(struct df_template *t, const struct part *part, struct df_error *err)
{
	if (t->count == t->cap) {
		size_t cap = t->cap ? t->cap * 2 : 16;
		struct part *parts = realloc(t->parts, cap * sizeof(*parts));

		if (!parts)
			return df_error_no_memory(err);
		t->parts = parts;
		t->cap = cap;
	}
	t->parts[t->count++] = *part;
	t->max += part->max;
	return 0;
}

static int template_add_text(struct df_template *t, struct df_str text, struct df_error *err)
{
	return text.len ? template_add(t, &(struct part){ .kind = PART_TEXT, .text = text, .max = text.len }, err) : 0;
}

/* Cuts s at the first `separator`: returns what is before it, *s becomes what is behind it, ptr NULL when there was
 * none. */
static struct df_str cut(struct df_str *s, char separator)
{
	const char *at = s->len ? memchr(s->ptr, separator, s->len) : NULL;
	struct df_str head = *s;

	if (!at) {
		*s = df_str(NULL, 0);
		return head;
	}
	head.len = (size_t)(at - s->ptr);
	*s = df_str(at + 1, s->len - head.len - 1);
	return head;
}

/* Each of these reads what stands behind the placeholder's colon (ptr NULL: there is no colon). False: not understood.
 */

static bool no_arguments(struct df_str args, struct part *part, enum part_kind kind, size_t max)
{
	part->kind = kind;
	part->max = max;
	return !args.ptr;
}

static bool parse_counter(struct df_str args, struct part *part)
{
	part->kind = PART_COUNTER;
	part->min = 1;
	part->max = INT_WIDTH_MAX;
	return !args.ptr || df_str_to_int64(args, &part->min);
}

static bool parse_random(struct df_str args, struct part *part)
{
	struct df_str first = cut(&args, ':');
	int64_t max;

	part->kind = PART_RANDOM;
	part->max = INT_WIDTH_MAX;
	if (args.ptr) {
		if (!df_str_to_int64(first, &part->min) || !df_str_to_int64(args, &max) || max < part->min)
			return false;
		part->span = (uint64_t)max - (uint64_t)part->min + 1;
		return true;
	}
	if (!df_str_to_int64(first, &max) || max < 1)
		return false;
	part->span = (uint64_t)max;
	return true;
}

/* "12.5" as 1250 with two digits; false when it does not fit or has more digits. */
static bool parse_scaled(struct df_str text, unsigned digits, int64_t *ret)
{
	char digits_only[32];
	struct df_str whole = cut(&text, '.');
	int n = snprintf(digits_only, sizeof(digits_only), DF_STR_FMT DF_STR_FMT, DF_STR_ARG(whole), DF_STR_ARG(text));

	if (text.len > digits || n < 0 || (size_t)n + digits - text.len >= sizeof(digits_only))
		return false;
	for (size_t i = text.len; i < digits; i++)
		digits_only[n++] = '0';
	return df_str_to_int64(df_str(digits_only, (size_t)n), ret) && *ret > -FLOAT_SCALED_MAX &&
	       *ret < FLOAT_SCALED_MAX;
}

static bool parse_float(struct df_str args, struct part *part)
{
	struct df_str min = cut(&args, ':');
	struct df_str max = cut(&args, ':');
	int64_t digits = 2, last;

	if (args.ptr && (!df_str_to_int64(args, &digits) || digits < 0 || digits > DIGITS_MAX))
		return false;
	part->kind = PART_FLOAT;
	part->digits = (unsigned)digits;
	part->max = INT_WIDTH_MAX + 2;
	if (!parse_scaled(min, part->digits, &part->min) || !parse_scaled(max, part->digits, &last) || last < part->min)
		return false;
	part->span = (uint64_t)(last - part->min) + 1;
	return true;
}

static bool parse_string(struct df_str args, struct part *part)
{
	int64_t n;

	if (!df_str_to_int64(args, &n) || n < 1 || n > STRING_MAX)
		return false;
	part->kind = PART_STRING;
	part->span = part->max = (size_t)n;
	return true;
}

static bool parse_choice(struct df_str args, struct part *part)
{
	part->kind = PART_CHOICE;
	part->text = args;
	while (args.ptr) {
		struct df_str choice = cut(&args, '|');

		part->span++;
		if (choice.len > part->max)
			part->max = choice.len;
	}
	return part->span > 0;
}

static bool parse_now(struct df_str args, struct part *part)
{
	if (!args.ptr)
		return no_arguments(args, part, PART_NOW, DF_RFC3339_MAX);
	part->kind = df_str_equal_c(args, "unix") ? PART_NOW_UNIX : PART_NOW_UNIX_MS;
	part->max = INT_WIDTH_MAX;
	return part->kind == PART_NOW_UNIX || df_str_equal_c(args, "unix_ms");
}

static bool parse_bool(struct df_str args, struct part *part)
{
	return no_arguments(args, part, PART_BOOL, 5);
}

static bool parse_uuid(struct df_str args, struct part *part)
{
	return no_arguments(args, part, PART_UUID, 36);
}

static const struct placeholder {
	const char *name;
	bool (*parse)(struct df_str args, struct part *part);
	const char *forms;
} placeholders[] = {
	{ "counter", parse_counter, "${counter} or ${counter:START}" },
	{ "random", parse_random, "${random:N} with N >= 1, or ${random:MIN:MAX}" },
	{ "float", parse_float, "${float:MIN:MAX} or ${float:MIN:MAX:DIGITS} with 0 to 9 digits" },
	{ "string", parse_string, "${string:N} with N from 1 to 65536" },
	{ "choice", parse_choice, "${choice:a|b|c}" },
	{ "bool", parse_bool, "${bool}" },
	{ "uuid", parse_uuid, "${uuid}" },
	{ "now", parse_now, "${now}, ${now:unix} or ${now:unix_ms}" },
};

static int unknown_placeholder(struct df_str name, struct df_error *err)
{
	const char *names[DF_ARRAY_SIZE(placeholders)];
	const char *nearest;

	for (size_t i = 0; i < DF_ARRAY_SIZE(placeholders); i++)
		names[i] = placeholders[i].name;
	nearest = df_nearest(name, names, DF_ARRAY_SIZE(names));
	return df_error_set(err, DF_ERR_CONFIG,
			    "unknown placeholder ${" DF_STR_FMT "}%s%s%s; write $${ for a literal ${", DF_STR_ARG(name),
			    nearest ? " (did you mean ${" : "", nearest ? nearest : "", nearest ? "}?)" : "");
}

/* body: what stands between the braces. */
static int parse_placeholder(struct df_str body, struct part *ret, struct df_error *err)
{
	struct df_str args = body;
	struct df_str name = cut(&args, ':');

	*ret = (struct part){ 0 };
	for (size_t i = 0; i < DF_ARRAY_SIZE(placeholders); i++) {
		if (!df_str_equal_c(name, placeholders[i].name))
			continue;
		if (placeholders[i].parse(args, ret))
			return 0;
		return df_error_set(err, DF_ERR_CONFIG, "placeholder ${" DF_STR_FMT "}: write it as %s",
				    DF_STR_ARG(body), placeholders[i].forms);
	}
	return unknown_placeholder(name, err);
}

/* The first "${" in text; ptr NULL when there is none. */
static const char *find_opening(struct df_str text)
{
	return text.len ? memmem(text.ptr, text.len, "${", 2) : NULL;
}

static int template_parse(struct df_template *t, struct df_str text, struct df_error *err)
{
	const char *end = text.ptr + text.len;
	const char *open;
	int r = 0;

	while (r == 0 && (open = find_opening(text)) != NULL) {
		bool escaped = open > text.ptr && open[-1] == '$';
		const char *close = memchr(open, '}', (size_t)(end - open));
		struct part part;

		r = template_add_text(t, df_str(text.ptr, (size_t)(open - text.ptr) - escaped), err);
		if (r == 0 && escaped) {
			r = template_add_text(t, df_str(open, 2), err);
			text = df_str(open + 2, (size_t)(end - open) - 2);
			continue;
		}
		if (r == 0 && !close)
			r = df_error_set(err, DF_ERR_CONFIG,
					 "a placeholder ${ is not closed with }; write $${ for a literal ${");
		if (r == 0)
			r = parse_placeholder(df_str(open + 2, (size_t)(close - open) - 2), &part, err);
		if (r == 0)
			r = template_add(t, &part, err);
		if (r == 0)
			text = df_str(close + 1, (size_t)(end - close) - 1);
	}
	return r < 0 ? r : template_add_text(t, text, err);
}

size_t df_template_max(const struct df_template *t)
{
	return t->max + DF_NUMBER_MAX; /* the number writers use their whole buffer */
}

/* What it makes must be JSON; one sample tells. */
static int template_try(const struct df_template *t, struct df_error *err)
{
	df_cleanup(df_freep) char *sample = malloc(df_template_max(t));
	struct df_template_call call = { .counter = 1, .seed = 1 };

	if (!sample)
		return df_error_no_memory(err);
	struct df_str text = df_str(sample, df_template_render(t, &call, sample));
	if (df_value_check(text) == DF_PARSE_OK)
		return 0;
	return df_error_set(err, DF_ERR_CONFIG, "the template does not make JSON: its first message would be %.*s%s",
			    (int)(text.len < 200 ? text.len : 200), text.ptr, text.len < 200 ? "" : "...");
}

int df_template_compile(struct df_str text, struct df_template **ret, struct df_error *err)
{
	df_cleanup(df_template_freep) struct df_template *t = calloc(1, sizeof(*t));
	int r;

	*ret = NULL;
	if (!t)
		return df_error_no_memory(err);
	r = template_parse(t, text, err);
	if (r == 0)
		r = template_try(t, err);
	if (r == 0)
		*ret = DF_TAKE(t);
	return r;
}

int df_template_check(struct df_str text, struct df_error *err)
{
	df_cleanup(df_template_freep) struct df_template *t = NULL;

	return df_template_compile(text, &t, err);
}

/* ---- rendering ------------------------------------------------------------------------------------------- */

/* splitmix64, Steele, Lea and Flood: every state is a good one, so that it can start at any counter. */
static uint64_t next_random(uint64_t *state)
{
	uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

/* 0 .. span - 1 by multiplication (Lemire); span 0 is 2^64. */
static uint64_t random_below(uint64_t *state, uint64_t span)
{
	uint64_t r = next_random(state);

	return span ? (uint64_t)((unsigned __int128)r * span >> 64) : r;
}

static char *put(char *out, struct df_str text)
{
	memcpy(out, text.ptr, text.len);
	return out + text.len;
}

static char *put_int(char *out, int64_t i)
{
	return out + df_number_from_int64(i, out);
}

static char *put_float(char *out, int64_t scaled, unsigned digits)
{
	uint64_t size = scaled < 0 ? -(uint64_t)scaled : (uint64_t)scaled;
	uint64_t power = 1;

	for (unsigned i = 0; i < digits; i++)
		power *= 10;
	if (scaled < 0)
		*out++ = '-';
	out = put_int(out, (int64_t)(size / power));
	if (digits == 0)
		return out;
	*out = '.';
	for (unsigned i = digits; i > 0; i--, size /= 10)
		out[i] = (char)('0' + size % 10);
	return out + 1 + digits;
}

static char *put_string(char *out, size_t len, uint64_t *state)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyz012345";
	uint64_t bits = 0;

	_Static_assert(sizeof(letters) == 33, "five bits choose one");
	for (size_t i = 0; i < len; i++, bits >>= 5) {
		if (i % 12 == 0)
			bits = next_random(state);
		*out++ = letters[bits & 31];
	}
	return out;
}

static char *put_choice(char *out, struct df_str choices, uint64_t which)
{
	struct df_str choice = cut(&choices, '|');

	while (which-- > 0)
		choice = cut(&choices, '|');
	return put(out, choice);
}

/* RFC 9562, version 4. */
static char *put_uuid(char *out, uint64_t *state)
{
	static const char hex[] = "0123456789abcdef";
	uint64_t high = (next_random(state) & ~UINT64_C(0xf000)) | UINT64_C(0x4000);
	uint64_t low = (next_random(state) & (UINT64_MAX >> 2)) | UINT64_C(1) << 63;

	for (int i = 0; i < 32; i++) {
		uint64_t half = i < 16 ? high : low;

		if (i == 8 || i == 12 || i == 16 || i == 20)
			*out++ = '-';
		*out++ = hex[half >> (60 - 4 * (i % 16)) & 15];
	}
	return out;
}

static char *put_now(char *out, int64_t ns)
{
	int64_t seconds = ns / DF_NS_PER_S - (ns % DF_NS_PER_S < 0);
	struct df_instant t = { .seconds = seconds, .nanoseconds = (int32_t)(ns - seconds * DF_NS_PER_S) };

	return out + df_rfc3339_format(t, 0, DF_FRACTION_3, out);
}

static char *put_part(char *out, const struct part *part, const struct df_template_call *call, uint64_t *state)
{
	switch (part->kind) {
	case PART_TEXT:
		return put(out, part->text);
	case PART_COUNTER:
		return put_int(out, (int64_t)((uint64_t)part->min + call->counter - 1));
	case PART_RANDOM:
		return put_int(out, (int64_t)((uint64_t)part->min + random_below(state, part->span)));
	case PART_FLOAT:
		return put_float(out, part->min + (int64_t)random_below(state, part->span), part->digits);
	case PART_STRING:
		return put_string(out, part->span, state);
	case PART_CHOICE:
		return put_choice(out, part->text, random_below(state, part->span));
	case PART_BOOL:
		return put(out, next_random(state) >> 63 ? DF_STR("true") : DF_STR("false"));
	case PART_UUID:
		return put_uuid(out, state);
	case PART_NOW:
		return put_now(out, call->now_ns);
	case PART_NOW_UNIX:
		return put_int(out, call->now_ns / DF_NS_PER_S);
	case PART_NOW_UNIX_MS:
		return put_int(out, call->now_ns / DF_NS_PER_MS);
	}
	return out;
}

size_t df_template_render(const struct df_template *t, const struct df_template_call *call, char *out)
{
	uint64_t state = call->seed * UINT64_C(0xd1342543de82ef95) + call->counter * UINT64_C(0xaef17502108ef2d9);
	char *at = out;

	for (size_t i = 0; i < t->count; i++)
		at = put_part(at, &t->parts[i], call, &state);
	return (size_t)(at - out);
}

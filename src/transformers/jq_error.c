#include "transformers/jq_internal.h"

#include <stdio.h>

/*
 * The messages of jq 1.6 (src/builtin.c, src/jv_aux.c, src/execute.c). Most quote values: `string ("Ada") and number
 * (1) cannot be added`, `Cannot index number with "ssn"`. A message is therefore never passed on; it is recognised, and
 * what is told is made of the kinds in it and of the texts below.
 */

static const char *const kinds[] = { "null", "boolean", "number", "string", "array", "object" };

/* Behind `KIND (VALUE) ` or `KIND (VALUE) and KIND (VALUE) `. */
static const char *const value_endings[] = {
	"cannot be added",
	"cannot be subtracted",
	"cannot be multiplied",
	"cannot be divided",
	"cannot be divided because the divisor is zero",
	"cannot be divided (remainder)",
	"cannot be divided (remainder) because the divisor is zero",
	"cannot be negated",
	"cannot have their containment checked",
	"cannot be parsed as a number",
	"cannot be sorted, as it is not an array",
	"cannot be sorted, as they are not both arrays",
	"cannot be grouped, as it is not an array",
	"cannot be grouped, as they are not both arrays",
	"cannot be matched, as it is not a string",
	"cannot be iterated over",
	"cannot be csv-formatted, only array",
	"cannot be tsv-formatted, only array",
	"can not be escaped for shell",
	"can't be imploded, unicode codepoint needs to be numeric",
	"has no length",
	"has no keys",
	"have wrong length",
	"is not a string",
	"is not valid base64 data",
	"is not valid in a csv row",
	"number required",
	"only strings can be parsed",
	"only strings have UTF-8 byte length",
	"trailing base64 byte found",
};

/* Behind a text that is not in parentheses. */
static const char *const text_endings[] = { "is not a valid format", "is not a valid modifier string" };

/* Messages that begin so, and what is told of them. {kind}: the kind that stands behind the beginning; {with}: and the
 * one behind the next "with". */
static const struct {
	const char *begin, *told;
} beginnings[] = {
	{ "Cannot index ", "cannot index {kind} with {with}" },
	{ "Cannot iterate over ", "cannot iterate over {kind}" },
	{ "Cannot use ", "cannot use {kind} as object key" },
	{ "Cannot check whether ", "cannot check whether {kind} has such a key" },
	{ "Cannot update field at ", "cannot update a field of that kind" },
	{ "Cannot delete ", "cannot delete fields or elements of that kind" },
	{ "Cannot determine", "cannot determine subarray indices" },
	{ "Invalid path expression", "invalid path expression" },
	{ "Path must be specified as", "a path must be an array" },
	{ "Paths must be specified as", "paths must be an array" },
	{ "Range bounds must be numeric", "range bounds must be numeric" },
	{ "Start and end indices", "start and end of a slice must be numbers" },
	{ "A slice of an array can only be assigned", "a slice can only be assigned an array" },
	{ "Object keys must be strings", "object keys must be strings" },
	{ "Out of bounds negative array index", "out of bounds negative array index" },
	{ "Array index too large", "array index too large" },
	{ "Array too large", "array too large" },
	{ "String too long", "string too long" },
	{ "Repeat string result too long", "string too long" },
	{ "Regex failure: retry-limit", "the regular expression takes too many steps on this text" },
	{ "Regex failure", "not a valid regular expression" },
	{ "Invalid numeric literal", "a text is not valid JSON or no number" },
	{ "Exceeds depth limit", "a text or value nests too deep" },
	{ "Unfinished ", "a text is not valid JSON" },
	{ "Expected ", "a text is not valid JSON" },
	{ "Objects must consist of", "a text is not valid JSON" },
	{ "Invalid escape", "a text is not valid JSON" },
	{ "date \"", "a date does not match the format" },
	{ "strptime/1", "strptime: wrong input" },
	{ "strftime/1", "strftime: wrong input" },
	{ "strflocaltime/1", "strflocaltime: wrong input" },
	{ "mktime requires", "mktime: wrong input" },
	{ "invalid gmtime", "gmtime: cannot be represented" },
	{ "error converting number of seconds", "gmtime: cannot be represented" },
	{ "implode input must be", "implode: the input must be an array" },
	{ "explode input must be", "explode: the input must be a string" },
	{ "split input and separator", "split: input and separator must be strings" },
	{ "startswith() requires", "startswith: the inputs must be strings" },
	{ "endswith() requires", "endswith: the inputs must be strings" },
	{ "flatten depth must not be negative", "flatten: the depth must not be negative" },
	{ "Cannot unescape", "a text is not valid JSON" },
	{ "null (null) not a string", "error(null) was raised" },
};

static const char *kind_at(const char *text)
{
	for (size_t i = 0; i < DF_ARRAY_SIZE(kinds); i++) {
		if (strncmp(text, kinds[i], strlen(kinds[i])) == 0)
			return kinds[i];
	}
	return NULL;
}

static bool ends_with(const char *text, const char *end)
{
	size_t n = strlen(text);
	size_t k = strlen(end);

	return n > k + 1 && text[n - k - 1] == ' ' && strcmp(text + n - k, end) == 0;
}

/* `KIND (VALUE) ENDING`, `KIND (VALUE) and KIND (VALUE) ENDING`. */
static bool tell_values(const char *text, char *out, size_t out_size)
{
	const char *first = kind_at(text);
	const char *second = NULL;
	const char *and;

	if (!first || strncmp(text + strlen(first), " (", 2) != 0)
		return false;
	for (and = strstr(text, ") and "); and&&!second; and = strstr(and+1, ") and "))
		second = kind_at(and+strlen(") and "));
	for (size_t i = 0; i < DF_ARRAY_SIZE(value_endings); i++) {
		if (ends_with(text, value_endings[i])) {
			snprintf(out, out_size, "%s%s%s %s", first, second ? " and " : "", second ? second : "",
				 value_endings[i]);
			return true;
		}
	}
	return false;
}

static bool tell_ending(const char *text, char *out, size_t out_size)
{
	for (size_t i = 0; i < DF_ARRAY_SIZE(text_endings); i++) {
		if (ends_with(text, text_endings[i])) {
			snprintf(out, out_size, "a text %s", text_endings[i]);
			return true;
		}
	}
	return false;
}

/* Kinds stand by their name, keys in quotes. */
static const char *operand_at(const char *text)
{
	const char *kind = *text == '"' ? "string" : kind_at(text);

	return kind ? kind : "a value";
}

static bool tell_beginning(const char *text, char *out, size_t out_size)
{
	size_t i = 0;

	while (i < DF_ARRAY_SIZE(beginnings) && strncmp(text, beginnings[i].begin, strlen(beginnings[i].begin)) != 0)
		i++;
	if (i == DF_ARRAY_SIZE(beginnings))
		return false;
	const char *kind = operand_at(text + strlen(beginnings[i].begin));
	const char *with = strstr(text, " with ");
	size_t n = 0;
	for (const char *p = beginnings[i].told; *p && n + 16 < out_size;) {
		const char *word = NULL;

		if (strncmp(p, "{kind}", 6) == 0)
			word = kind;
		else if (strncmp(p, "{with}", 6) == 0)
			word = with ? operand_at(with + 6) : "a value";
		if (word) {
			n += (size_t)snprintf(out + n, out_size - n, "%s", word);
			p += 6;
		} else {
			out[n++] = *p++;
		}
	}
	out[n] = '\0';
	return true;
}

/* What stands in the program is no payload. */
static bool is_literal(const char *text, const char *program)
{
	size_t len = strlen(text);

	if (len == 0 || strpbrk(text, "\"\\\n\r"))
		return false;
	for (const char *p = strstr(program, text); p; p = strstr(p + 1, text)) {
		if (p > program && p[-1] == '"' && p[len] == '"')
			return true;
	}
	return false;
}

const char *df_jq_failure(jv message, const char *program, char *out, size_t out_size)
{
	if (jv_get_kind(message) != JV_KIND_STRING) {
		snprintf(out, out_size, "it raised an error with a value that is no text (%s)",
			 jv_kind_name(jv_get_kind(message)));
		return out;
	}
	const char *text = jv_string_value(message);
	if (is_literal(text, program)) {
		snprintf(out, out_size, "%s", text);
		return out;
	}
	if (!tell_values(text, out, out_size) && !tell_beginning(text, out, out_size) &&
	    !tell_ending(text, out, out_size))
		snprintf(out, out_size,
			 "it raised an error whose text is not shown, because it may contain data of the message");
	return out;
}

/* ---- compiling --------------------------------------------------------------------------------------------------- */

/* The end of the part of text that is for people: before the place, and before a hint that is for shells. */
static size_t reason_length(const char *text, const char *place)
{
	size_t len = place ? (size_t)(place - text) : strcspn(text, "\n");
	const char *hint = strstr(text, " (Unix shell quoting issues?)");

	return hint && (size_t)(hint - text) < len ? (size_t)(hint - text) : len;
}

static const char *blocked(const char *reason, char *out, size_t out_size)
{
	const char *name = reason + strlen(DF_JQ_BLOCKED);

	snprintf(out, out_size,
		 "`%.*s` is not available in a pipeline: a program sees the message and `$metadata`, no environment, "
		 "files, inputs or streams, and cannot halt",
		 (int)strcspn(name, "/ "), name);
	return out;
}

const char *df_jq_compile_failure(jv message, char *out, size_t out_size)
{
	const char *text = jv_get_kind(message) == JV_KIND_STRING ? jv_string_value(message) : "unknown error";
	const char *place = strstr(text, " at <top-level>, line ");
	int line = 1;
	bool error = strncmp(text, "jq: error: ", 11) == 0;

	out[0] = '\0';
	/* "jq: 2 compile errors" */
	if (!error && strstr(text, " compile error"))
		return out;
	if (error)
		text += 11;
	if (strncmp(text, DF_JQ_BLOCKED, strlen(DF_JQ_BLOCKED)) == 0)
		return blocked(text, out, out_size);
	if (place)
		sscanf(place, " at <top-level>, line %d", &line);
	int len = (int)reason_length(text, place);
	if (strncmp(text, "syntax error, unexpected i", 26) == 0 &&
	    (strncmp(text + 25, "import", 6) == 0 || strncmp(text + 25, "include", 7) == 0))
		snprintf(out, out_size,
			 "line %d: modules are not available in a pipeline: write definitions into the program", line);
	else
		snprintf(out, out_size, "line %d: %.*s", line, len, text);
	return out;
}

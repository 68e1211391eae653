/*
 * Reads the JSON of a line where it stands, without copying it: a value is the run of bytes that it is written with, so
 * that a payload keeps its digits and its order. What the pipeline sends is valid.
 */
#ifndef JSON_H
#define JSON_H

#include <stdbool.h>
#include <stddef.h>

struct json {
	const char *at; /* NULL: there is no such value */
	size_t len;
};

/* The value of an object's member. */
struct json json_member(struct json object, const char *name);

/* Elements of an array: `struct json rest = array, e; while (json_next(&rest, &e)) ...` */
bool json_next(struct json *rest, struct json *ret);

/* A string as text with a NUL behind it; the caller frees. NULL: it is no string. *ret_len, if given, without the NUL. */
char *json_text(struct json value, size_t *ret_len);

bool json_equals(struct json value, const char *text); /* is it this string? For texts without escapes */
bool json_true(struct json value);
long long json_number(struct json value, long long otherwise);
static inline bool json_is_object(struct json value)
{
	return value.len > 0 && value.at[0] == '{';
}

#endif

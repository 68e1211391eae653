/* Civil time, RFC 3339, Go durations, and IANA time zones. No locale, no TZ variable, no global state. */
#ifndef DF_BASE_TIME_H
#define DF_BASE_TIME_H

#include <stdbool.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/str.h"

#pragma GCC visibility push(default) /* an installed header: src/dataflow/meson.build */

/* Proleptic Gregorian. year may be outside 1..9999. */
struct df_civil {
	int64_t year;
	int month, day;		  /* 1..12, 1..31 */
	int hour, minute, second; /* 0..23, 0..59, 0..59 */
	int nanosecond;		  /* 0..999999999 */
	int weekday;		  /* 0 Sunday; set by df_civil_from_unix, ignored on input */
	int yearday;		  /* 1..366; likewise */
};

/* An instant: seconds since 1970 and 0..999999999 ns after them. Holds years 1..9999, which int64 ns does not. */
struct df_instant {
	int64_t seconds;
	int32_t nanoseconds;
};

struct df_civil df_civil_from_unix(struct df_instant t, int32_t offset_seconds);
/* The civil time read as UTC. */
struct df_instant df_civil_to_unix(const struct df_civil *civil);
/* Month lengths, leap years, ranges of all parts (second <= 59). */
bool df_civil_valid(const struct df_civil *civil);

/* Parses `YYYY-MM-DD`, then `T`, `t` or one space, `HH:MM:SS`, optional `.` and 1..9 digits, optional `Z`, `z` or
 * `±HH:MM`; the whole slice. *ret_has_offset tells whether there was one, *ret_offset is in seconds. */
bool df_time_parse(struct df_str text, struct df_civil *ret, bool *ret_has_offset, int32_t *ret_offset);

/* As df_time_parse but an offset is required: an instant. */
bool df_rfc3339_parse(struct df_str text, struct df_instant *ret);

enum df_fraction {
	DF_FRACTION_NONE /* cut */,
	DF_FRACTION_SHORT /* no trailing zeros */,
	DF_FRACTION_3,
	DF_FRACTION_6,
	DF_FRACTION_9
};

#define DF_RFC3339_MAX 64
/* Writes RFC 3339 at the given offset (0 is written Z); returns the length. out has DF_RFC3339_MAX bytes. */
size_t df_rfc3339_format(struct df_instant t, int32_t offset_seconds, enum df_fraction fraction, char *out);

/* Go durations (`1h30m`, `1.5s`, bare `0`): nanoseconds. On false ret is not set. */
bool df_duration_parse(struct df_str text, int64_t *ret_ns);
/* The shortest Go form (`1m30s`, `500ms`, `0s`); returns the length; out has 32 bytes. */
size_t df_duration_format(int64_t ns, char *out);

/*
 * Go time layouts (transformations reference, section 7), compiled once. Names (`RFC3339`, `Unix` ...) are accepted.
 * The zone is always UTC.
 */
struct df_layout;
/* DF_ERR_CONFIG when the text has no token and is no name. */
int df_layout_compile(struct df_str text, struct df_layout **ret, struct df_error *err) df_must_check;
void df_layout_free(struct df_layout *layout);
/* Appends to buf. */
void df_layout_format(const struct df_layout *layout, struct df_instant t, struct df_buf *buf);

/*
 * Time zones: a name of the system's IANA database ($TZDIR or /usr/share/zoneinfo; TZif per RFC 8536, version 1 to 4,
 * with the footer's POSIX rule for later years), or `±HH:MM` up to 23:59, or `UTC`.
 */
struct df_zone;
/* DF_ERR_CONFIG: unknown name (no `..`, no leading `/`, exact case), unreadable file. */
int df_zone_load(struct df_str name, struct df_zone **ret, struct df_error *err) df_must_check;
void df_zone_free(struct df_zone *zone);
/* Offset from UTC in seconds in force at that instant. */
int32_t df_zone_offset(const struct df_zone *zone, int64_t unix_seconds);
/* The first instant after it from which another offset may be in force; INT64_MAX when none follows. */
int64_t df_zone_change_after(const struct df_zone *zone, int64_t unix_seconds);
/* A wall clock reading to an instant: one skipped by a clock change takes the offset before it, one that occurs twice
 * the first. */
struct df_instant df_zone_to_unix(const struct df_zone *zone, const struct df_civil *wall);

DF_DEFINE_CLEANUP(struct df_layout *, df_layout_free)
DF_DEFINE_CLEANUP(struct df_zone *, df_zone_free)

#pragma GCC visibility pop

#endif

/* IANA time zones from TZif files (RFC 8536, and RFC 9636 for version 4), with the POSIX TZ rule of their footer. */
#include "base/time.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#define DF_ZONE_FILE_MAX (1024 * 1024)
#define DF_ZONE_NAME_MAX 128
#define DF_ZONE_HEADER 44
/* The bounds of RFC 8536, 3.2, for a sane offset: less than 25 hours behind, 26 ahead. */
#define DF_ZONE_OFFSET_MIN (-89999)
#define DF_ZONE_OFFSET_MAX 93599
/* Rules are evaluated within these seconds only (a thousand million years): nothing overflows. */
#define DF_ZONE_RULE_LIMIT (INT64_C(1) << 55)

enum df_zone_day { DF_ZONE_JULIAN /* Jn: 1..365, no 29 February */, DF_ZONE_YEARDAY /* n: 0..365 */, DF_ZONE_WEEKDAY };

/* When a rule changes the clock, in the time that is in force before. */
struct df_zone_change {
	enum df_zone_day kind;
	int day;	 /* Jn and n; the weekday (0 Sunday) of Mm.w.d */
	int month, week; /* Mm.w.d */
	int32_t seconds; /* after local midnight, may be negative or beyond a day */
};

struct df_zone_rule {
	bool present;
	bool has_dst;
	int32_t offset[2];	     /* standard, daylight */
	struct df_zone_change to[2]; /* to standard, to daylight */
};

struct df_zone {
	size_t n_times;
	int64_t *times; /* strictly ascending: from times[i] on, offsets[i] holds */
	int32_t *offsets;
	int32_t first;		  /* before times[0] */
	struct df_zone_rule rule; /* after the last time, when present */
};

/* --- the footer: POSIX.1-2017, 8.3, TZ, with the extensions of RFC 8536, 3.3.1 --- */

static bool df_zone_eat(struct df_str *s, char c)
{
	if (s->len == 0 || s->ptr[0] != c)
		return false;
	*s = df_str(s->ptr + 1, s->len - 1);
	return true;
}

static bool df_zone_int(struct df_str *s, int min, int max, int *ret)
{
	int value = 0;
	size_t n = 0;

	for (; n < s->len && n < 4 && s->ptr[n] >= '0' && s->ptr[n] <= '9'; n++)
		value = value * 10 + (s->ptr[n] - '0');
	if (n == 0 || value < min || value > max)
		return false;
	*s = df_str(s->ptr + n, s->len - n);
	*ret = value;
	return true;
}

static bool df_zone_is_name_char(char c, bool quoted)
{
	if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'))
		return true;
	return quoted && ((c >= '0' && c <= '9') || c == '+' || c == '-');
}

/* `CET` or `<+03>`; the name itself is of no use here. */
static bool df_zone_skip_name(struct df_str *s)
{
	bool quoted = df_zone_eat(s, '<');
	size_t n = 0;

	while (n < s->len && df_zone_is_name_char(s->ptr[n], quoted))
		n++;
	*s = df_str(s->ptr + n, s->len - n);
	return n >= 3 && (!quoted || df_zone_eat(s, '>'));
}

/* [+-]h[h[h]][:mm[:ss]] in seconds. */
static bool df_zone_hms(struct df_str *s, int max_hours, int32_t *ret)
{
	int hours, minutes = 0, seconds = 0;
	bool negative = df_zone_eat(s, '-');

	if (!negative)
		df_zone_eat(s, '+');
	if (!df_zone_int(s, 0, max_hours, &hours))
		return false;
	if (df_zone_eat(s, ':')) {
		if (!df_zone_int(s, 0, 59, &minutes))
			return false;
		if (df_zone_eat(s, ':') && !df_zone_int(s, 0, 59, &seconds))
			return false;
	}
	*ret = (negative ? -1 : 1) * (hours * 3600 + minutes * 60 + seconds);
	return true;
}

/* `,M3.2.0/2`, `,J60`, `,0/-1`. */
static bool df_zone_change(struct df_str *s, struct df_zone_change *ret)
{
	ret->seconds = 2 * 3600;
	if (!df_zone_eat(s, ','))
		return false;
	if (df_zone_eat(s, 'M')) {
		ret->kind = DF_ZONE_WEEKDAY;
		if (!df_zone_int(s, 1, 12, &ret->month) || !df_zone_eat(s, '.') || !df_zone_int(s, 1, 5, &ret->week) ||
		    !df_zone_eat(s, '.') || !df_zone_int(s, 0, 6, &ret->day))
			return false;
	} else if (df_zone_eat(s, 'J')) {
		ret->kind = DF_ZONE_JULIAN;
		if (!df_zone_int(s, 1, 365, &ret->day))
			return false;
	} else {
		ret->kind = DF_ZONE_YEARDAY;
		if (!df_zone_int(s, 0, 365, &ret->day))
			return false;
	}
	return !df_zone_eat(s, '/') || df_zone_hms(s, 167, &ret->seconds);
}

/* The empty text is "no rule". */
static bool df_zone_rule_parse(struct df_str s, struct df_zone_rule *rule)
{
	if (s.len == 0)
		return true;
	rule->present = true;
	if (!df_zone_skip_name(&s) || !df_zone_hms(&s, 24, &rule->offset[0]))
		return false;
	rule->offset[0] = -rule->offset[0]; /* POSIX counts west of Greenwich */
	if (s.len == 0)
		return true;
	rule->has_dst = true;
	if (!df_zone_skip_name(&s))
		return false;
	rule->offset[1] = rule->offset[0] + 3600;
	if (s.len > 0 && s.ptr[0] != ',') {
		if (!df_zone_hms(&s, 24, &rule->offset[1]))
			return false;
		rule->offset[1] = -rule->offset[1];
	}
	return df_zone_change(&s, &rule->to[1]) && df_zone_change(&s, &rule->to[0]) && s.len == 0;
}

/* Local midnight of a rule's day in a year, as seconds since 1970 read as UTC. */
static int64_t df_zone_midnight(const struct df_zone_change *change, int64_t year)
{
	struct df_civil civil = { .year = year, .month = 1, .day = 1 };
	int64_t days;

	if (change->kind != DF_ZONE_WEEKDAY) {
		bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
		days = change->kind == DF_ZONE_YEARDAY ? change->day : change->day - 1 + (leap && change->day >= 60);
		return df_civil_to_unix(&civil).seconds + days * 86400;
	}
	civil.month = change->month;
	struct df_instant first = df_civil_to_unix(&civil);
	int weekday = df_civil_from_unix(first, 0).weekday;
	days = (change->day - weekday + 7) % 7 + (change->week - 1) * 7;
	civil.day = (int)days + 1;
	if (change->week == 5 && !df_civil_valid(&civil))
		days -= 7; /* "5" is the last one */
	return first.seconds + days * 86400;
}

struct df_zone_moment {
	int64_t time;
	int32_t offset; /* from then on */
};

#define DF_ZONE_MOMENTS 6

/* The changes by rule of the year at t, of the one before and of the one after, in order of time: a change may lie a
 * week outside of its year. Of two at the same time the later year's wins (daylight time the whole year round). */
static void df_zone_moments(const struct df_zone_rule *rule, int64_t t, struct df_zone_moment out[DF_ZONE_MOMENTS])
{
	int64_t year = df_civil_from_unix((struct df_instant){ .seconds = t }, 0).year - 1;
	size_t n = 0;

	for (int64_t last = year + 2; year <= last; year++) {
		for (int dst = 0; dst < 2; dst++) {
			int64_t local = df_zone_midnight(&rule->to[dst], year) + rule->to[dst].seconds;
			struct df_zone_moment moment = { local - rule->offset[!dst], rule->offset[dst] };
			size_t i = n++;
			for (; i > 0 && out[i - 1].time > moment.time; i--)
				out[i] = out[i - 1];
			out[i] = moment;
		}
	}
}

static int64_t df_zone_clamp(int64_t t)
{
	return t > DF_ZONE_RULE_LIMIT ? DF_ZONE_RULE_LIMIT : t < -DF_ZONE_RULE_LIMIT ? -DF_ZONE_RULE_LIMIT : t;
}

static int32_t df_zone_rule_offset(const struct df_zone_rule *rule, int64_t t)
{
	struct df_zone_moment moments[DF_ZONE_MOMENTS];
	size_t i = DF_ZONE_MOMENTS;

	if (!rule->has_dst)
		return rule->offset[0];
	t = df_zone_clamp(t);
	df_zone_moments(rule, t, moments);
	while (i > 1 && moments[i - 1].time > t)
		i--;
	return moments[i - 1].offset;
}

/* --- the file --- */

static int64_t df_zone_be(const unsigned char *p, size_t n)
{
	uint64_t value = 0;

	for (size_t i = 0; i < n; i++)
		value = value << 8 | p[i];
	return n == 4 ? (int32_t)(uint32_t)value : (int64_t)value;
}

struct df_zone_block {
	uint32_t n_isut, n_isstd, n_leap, n_times, n_types, n_chars;
	size_t time_size; /* 4 or 8 */
};

/* Reads a header (RFC 8536, 3.1) and checks that its data block is there; *ret_size is that block's length. */
static bool df_zone_header(struct df_str file, size_t time_size, struct df_zone_block *b, size_t *ret_size)
{
	const unsigned char *p = (const unsigned char *)file.ptr;
	uint32_t *counts[] = { &b->n_isut, &b->n_isstd, &b->n_leap, &b->n_times, &b->n_types, &b->n_chars };

	if (file.len < DF_ZONE_HEADER || memcmp(p, "TZif", 4) != 0)
		return false;
	for (size_t i = 0; i < DF_ARRAY_SIZE(counts); i++) {
		*counts[i] = (uint32_t)df_zone_be(p + 20 + 4 * i, 4);
		if (*counts[i] > DF_ZONE_FILE_MAX)
			return false;
	}
	b->time_size = time_size;
	*ret_size = b->n_times * (time_size + 1) + (size_t)b->n_types * 6 + b->n_chars + b->n_leap * (time_size + 4) +
		    b->n_isstd + b->n_isut;
	return *ret_size <= file.len - DF_ZONE_HEADER;
}

static bool df_zone_type(const unsigned char *types, const struct df_zone_block *b, size_t i, int32_t *ret_offset)
{
	if (i >= b->n_types)
		return false;
	*ret_offset = (int32_t)df_zone_be(types + 6 * i, 4);
	return *ret_offset >= DF_ZONE_OFFSET_MIN && *ret_offset <= DF_ZONE_OFFSET_MAX;
}

/* Fills the tables from a data block (RFC 8536, 3.2). */
static int df_zone_tables(struct df_zone *zone, const unsigned char *p, const struct df_zone_block *b)
{
	const unsigned char *indices = p + b->n_times * b->time_size;
	const unsigned char *types = indices + b->n_times;

	/* Times of the "right/" files count leap seconds. */
	if (b->n_leap != 0 || !df_zone_type(types, b, 0, &zone->first))
		return DF_ERR_CONFIG;
	zone->times = calloc(b->n_times + (size_t)1, sizeof(zone->times[0]));
	zone->offsets = calloc(b->n_times + (size_t)1, sizeof(zone->offsets[0]));
	if (!zone->times || !zone->offsets)
		return DF_ERR_NO_MEMORY;
	for (size_t i = 0; i < b->n_times; i++) {
		zone->times[i] = df_zone_be(p + i * b->time_size, b->time_size);
		if (i > 0 && zone->times[i] <= zone->times[i - 1])
			return DF_ERR_CONFIG;
		if (!df_zone_type(types, b, indices[i], &zone->offsets[i]))
			return DF_ERR_CONFIG;
	}
	zone->n_times = b->n_times;
	return 0;
}

static int df_zone_parse(struct df_zone *zone, struct df_str file)
{
	struct df_zone_block b;
	size_t size;

	if (!df_zone_header(file, 4, &b, &size))
		return DF_ERR_CONFIG;
	if (file.ptr[4] == '\0') /* version 1 */
		return df_zone_tables(zone, (const unsigned char *)file.ptr + DF_ZONE_HEADER, &b);
	file = df_str(file.ptr + DF_ZONE_HEADER + size, file.len - DF_ZONE_HEADER - size);
	if (!df_zone_header(file, 8, &b, &size))
		return DF_ERR_CONFIG;
	int code = df_zone_tables(zone, (const unsigned char *)file.ptr + DF_ZONE_HEADER, &b);
	if (code < 0)
		return code;
	struct df_str footer = df_str(file.ptr + DF_ZONE_HEADER + size, file.len - DF_ZONE_HEADER - size);
	if (!df_zone_eat(&footer, '\n'))
		return DF_ERR_CONFIG;
	const char *end = memchr(footer.ptr, '\n', footer.len);
	if (!end || !df_zone_rule_parse(df_str(footer.ptr, (size_t)(end - footer.ptr)), &zone->rule))
		return DF_ERR_CONFIG;
	return 0;
}

/* The whole file; 0, -1 with errno (EFBIG: too large). */
static int df_zone_read(const char *path, struct df_buf *buf)
{
	df_cleanup(df_closep) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return -1;
	if (!S_ISREG(st.st_mode)) {
		errno = S_ISDIR(st.st_mode) ? ENOENT : EINVAL;
		return -1;
	}
	for (;;) {
		char *room = buf->len > DF_ZONE_FILE_MAX ? NULL : df_buf_reserve(buf, 4096);
		if (!room) {
			errno = buf->failed ? ENOMEM : EFBIG;
			return -1;
		}
		ssize_t n = read(fd, room, 4096);
		if (n == 0)
			return 0;
		if (n < 0 && errno != EINTR)
			return -1;
		if (n > 0)
			buf->len += (size_t)n;
	}
}

/* Does the name stay inside the database? Letters, digits and `_+-.` in parts that begin with no dot. */
static bool df_zone_name_valid(struct df_str name)
{
	bool start = true; /* of a part */

	if (name.len == 0 || name.len > DF_ZONE_NAME_MAX)
		return false;
	for (size_t i = 0; i < name.len; i++) {
		char c = name.ptr[i];
		bool slash = c == '/';
		bool part = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
			    c == '+' || c == '-' || (c == '.' && !start);
		if (!part && (!slash || start))
			return false;
		start = slash;
	}
	return !start;
}

/* `±HH:MM` up to 23:59. */
static bool df_zone_fixed(struct df_str name, int32_t *ret_offset)
{
	const char *p = name.ptr;

	if (name.len != 6 || (p[0] != '+' && p[0] != '-') || p[3] != ':')
		return false;
	for (size_t i = 1; i < 6; i++) {
		if (i != 3 && (p[i] < '0' || p[i] > '9'))
			return false;
	}
	int hours = (p[1] - '0') * 10 + (p[2] - '0');
	int minutes = (p[4] - '0') * 10 + (p[5] - '0');
	if (hours > 23 || minutes > 59)
		return false;
	*ret_offset = (p[0] == '-' ? -1 : 1) * (hours * 3600 + minutes * 60);
	return true;
}

static int df_zone_unknown(struct df_str name, struct df_error *err)
{
	if (name.len > DF_ZONE_NAME_MAX)
		name.len = DF_ZONE_NAME_MAX;
	return df_error_set(err, DF_ERR_CONFIG,
			    "unknown time zone \"" DF_STR_FMT
			    "\": use an IANA name such as Europe/Berlin (case counts), or an offset such as +03:00",
			    DF_STR_ARG(name));
}

static int df_zone_open(struct df_zone *zone, struct df_str name, struct df_error *err)
{
	const char *folder = getenv("TZDIR");
	df_cleanup(df_buf_done) struct df_buf file = { 0 };
	df_cleanup(df_buf_done) struct df_buf path = { 0 };

	if (!folder || !*folder)
		folder = "/usr/share/zoneinfo";
	df_buf_printf(&path, "%s/" DF_STR_FMT, folder, DF_STR_ARG(name));
	const char *path_c = df_buf_c(&path);
	if (path.failed)
		return df_error_no_memory(err);
	if (df_zone_read(path_c, &file) < 0) {
		int errnum = errno;
		if (errnum == ENOMEM)
			return df_error_no_memory(err);
		if (errnum != ENOENT && errnum != ENOTDIR)
			return df_error_errno(err, DF_ERR_CONFIG, errnum, "time zone file %s", path_c);
		if (access(folder, F_OK) == 0)
			return df_zone_unknown(name, err);
		return df_error_errno(err, DF_ERR_CONFIG, errno,
				      "no time zone database at %s (install tzdata, or set TZDIR)", folder);
	}
	int code = df_zone_parse(zone, df_buf_str(&file));
	if (code == DF_ERR_NO_MEMORY)
		return df_error_no_memory(err);
	if (code < 0)
		return df_error_set(err, code, "%s is no usable time zone file (TZif without leap seconds)", path_c);
	return 0;
}

int df_zone_load(struct df_str name, struct df_zone **ret, struct df_error *err)
{
	df_cleanup(df_zone_freep) struct df_zone *zone = calloc(1, sizeof(*zone));

	if (!zone)
		return df_error_no_memory(err);
	if (!df_str_equal_c(name, "UTC") && !df_zone_fixed(name, &zone->first)) {
		if (!df_zone_name_valid(name))
			return df_zone_unknown(name, err);
		int code = df_zone_open(zone, name, err);
		if (code < 0)
			return code;
	}
	*ret = DF_TAKE(zone);
	return 0;
}

void df_zone_free(struct df_zone *zone)
{
	if (!zone)
		return;
	free(zone->times);
	free(zone->offsets);
	free(zone);
}

/* How many table times are at or before t. */
static size_t df_zone_find(const struct df_zone *zone, int64_t t)
{
	size_t low = 0, high = zone->n_times;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (zone->times[middle] <= t)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

int32_t df_zone_offset(const struct df_zone *zone, int64_t unix_seconds)
{
	size_t n = df_zone_find(zone, unix_seconds);

	if (n == zone->n_times && zone->rule.present)
		return df_zone_rule_offset(&zone->rule, unix_seconds);
	return n == 0 ? zone->first : zone->offsets[n - 1];
}

int64_t df_zone_change_after(const struct df_zone *zone, int64_t unix_seconds)
{
	struct df_zone_moment moments[DF_ZONE_MOMENTS];
	int64_t t = unix_seconds;
	size_t n = df_zone_find(zone, t);

	if (n < zone->n_times)
		return zone->times[n];
	if (!zone->rule.present || !zone->rule.has_dst || t >= DF_ZONE_RULE_LIMIT || t <= -DF_ZONE_RULE_LIMIT)
		return INT64_MAX;
	df_zone_moments(&zone->rule, t, moments);
	for (size_t i = 0; i < DF_ZONE_MOMENTS; i++) {
		if (moments[i].time > t)
			return moments[i].time;
	}
	return INT64_MAX;
}

struct df_instant df_zone_to_unix(const struct df_zone *zone, const struct df_civil *wall)
{
	struct df_instant t = df_civil_to_unix(wall);
	int64_t local = t.seconds;
	/* The instant is at most one offset away: walk the stretches of one offset that can hold it, the first first.
	 */
	int64_t start = local - DF_ZONE_OFFSET_MAX - 1;
	int64_t limit = local - DF_ZONE_OFFSET_MIN + 1;
	bool skipped = false;

	for (;;) {
		int32_t offset = df_zone_offset(zone, start);
		int64_t next = df_zone_change_after(zone, start);
		if (local - offset >= start && local - offset < next) {
			t.seconds = local - offset;
			return t;
		}
		if (next > limit)
			break;
		if (!skipped && local - offset >= next && local - df_zone_offset(zone, next) < next) {
			skipped = true;
			t.seconds = local - offset;
		}
		start = next;
	}
	if (!skipped) /* not reached with a sound table */
		t.seconds = local - df_zone_offset(zone, local);
	return t;
}

#include "operator/event_series.h"

#include <stdlib.h>

#include "base/cleanup.h"
#include "base/digest.h"

/* Tables of rows that a digest chooses; in a row the newest stay. */
#define ROWS 1024
#define SERIES_WAYS 8
#define OBJECT_WAYS 4
#define DIGEST 16 /* hex digits: 64 bits */

struct series {
	char digest[DIGEST];
	int64_t stamp; /* when it began, made unique; 0: free */
	int64_t last_ns;
	int64_t count;
};

/* A bucket that fills with time is one number: when it will be full again. */
struct object {
	char digest[DIGEST];
	int64_t full_ns;
};

struct df_event_series {
	struct series series[ROWS][SERIES_WAYS];
	struct object objects[ROWS][OBJECT_WAYS];
	int64_t last_stamp;
};

struct df_event_series *df_event_series_new(void)
{
	return calloc(1, sizeof(struct df_event_series));
}

void df_event_series_free(struct df_event_series *s)
{
	free(s);
}

/* Its row; digest: of both texts. */
static size_t digest_of(struct df_str object, struct df_str what, char ret[static DIGEST])
{
	struct df_buf buf = { 0 };
	char hex[DF_SHA1_HEX];

	df_buf_add_str(&buf, object);
	df_buf_add_char(&buf, '\0');
	df_buf_add_str(&buf, what);
	df_sha1_hex(df_buf_str(&buf), hex); /* without memory all are one series: better than none */
	df_buf_done(&buf);
	memcpy(ret, hex, DIGEST);
	return strtoul((const char[]){ hex[DIGEST], hex[DIGEST + 1], hex[DIGEST + 2], '\0' }, NULL, 16) % ROWS;
}

/* The series, or the place for it: a free one, or that of the one that was quiet the longest. */
static struct series *series_of(struct df_event_series *s, struct df_str object, struct df_str what)
{
	char digest[DIGEST];
	struct series *row = s->series[digest_of(object, what, digest)], *oldest = row;

	for (size_t i = 0; i < SERIES_WAYS; i++) {
		if (row[i].stamp && memcmp(row[i].digest, digest, DIGEST) == 0)
			return &row[i];
		if (row[i].last_ns < oldest->last_ns)
			oldest = &row[i];
	}
	*oldest = (struct series){ 0 };
	memcpy(oldest->digest, digest, DIGEST);
	return oldest;
}

static struct object *object_of(struct df_event_series *s, struct df_str object)
{
	char digest[DIGEST];
	struct object *row = s->objects[digest_of(object, DF_STR(""), digest)], *fullest = row;

	for (size_t i = 0; i < OBJECT_WAYS; i++) {
		if (row[i].full_ns && memcmp(row[i].digest, digest, DIGEST) == 0)
			return &row[i];
		if (row[i].full_ns < fullest->full_ns)
			fullest = &row[i];
	}
	*fullest = (struct object){ 0 };
	memcpy(fullest->digest, digest, DIGEST);
	return fullest;
}

/* Is there a token? Each one taken moves the time at which all are back. */
static bool take(struct object *object, int64_t now_ns)
{
	int64_t full_ns = object->full_ns > now_ns ? object->full_ns : now_ns;

	if (full_ns - now_ns > (DF_EVENT_BURST - 1) * DF_EVENT_REFILL_NS)
		return false;
	object->full_ns = full_ns + DF_EVENT_REFILL_NS;
	return true;
}

enum df_event_verdict df_event_series_add(struct df_event_series *s, struct df_str object, struct df_str what,
					  int64_t now_ns, int64_t *ret_stamp, int64_t *ret_count)
{
	struct series *series = series_of(s, object, what);
	bool goes_on = series->stamp && now_ns - series->last_ns <= DF_EVENT_WINDOW_NS;

	if (goes_on) {
		series->count++;
		series->last_ns = now_ns;
	}
	if (!take(object_of(s, object), now_ns))
		return DF_EVENT_DROP;
	if (!goes_on) {
		s->last_stamp = now_ns > s->last_stamp ? now_ns : s->last_stamp + 1;
		series->stamp = s->last_stamp;
		series->last_ns = now_ns;
		series->count = 1;
	}
	*ret_stamp = series->stamp;
	*ret_count = series->count;
	return goes_on ? DF_EVENT_RAISE : DF_EVENT_CREATE;
}

void df_event_series_forget(struct df_event_series *s, struct df_str object, struct df_str what)
{
	*series_of(s, object, what) = (struct series){ 0 };
}

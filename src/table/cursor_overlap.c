/* trackingOverlapSeconds: what was read before a position is read again for a while, and what was seen there is
 * dropped. */
#include <stdio.h>

#include "base/time.h"
#include "table/cursor_internal.h"

/* ---- times as texts -------------------------------------------------------------------------------------- */

/* The moment of a T; false when it is none. */
static bool moment(const struct df_cursor_value *t, int64_t *ret_seconds)
{
	struct df_civil civil;
	bool has_offset;
	int32_t offset = 0;

	if ((t->kind != DF_CURSOR_TIME && t->kind != DF_CURSOR_TEXT) ||
	    !df_time_parse(t->text, &civil, &has_offset, &offset))
		return false;
	*ret_seconds = df_civil_to_unix(&civil).seconds - offset;
	return true;
}

bool df_cursor_before(const struct df_cursor *cursor, struct df_cursor_place *ret, char text[DF_CURSOR_BEFORE_MAX])
{
	static const char form[] = "2006-01-02T15:04:05";
	const struct df_cursor_value *t = &cursor->place.t;
	int64_t seconds;
	struct df_civil civil;
	bool has_offset;
	int32_t offset;

	if (!cursor->overlap_seconds || !moment(t, &seconds) || t->text.len >= DF_CURSOR_BEFORE_MAX ||
	    !df_time_parse(t->text, &civil, &has_offset, &offset))
		return false;
	/* The wall clock is moved and the rest of the text stays, so that it compares with the others as before. */
	struct df_instant wall = df_civil_to_unix(&civil);
	wall.seconds -= cursor->overlap_seconds;
	civil = df_civil_from_unix(wall, 0);
	if (civil.year < 1)
		return false;
	char separator = t->text.ptr[strlen("2006-01-02")];
	struct df_str rest = df_str(t->text.ptr + strlen(form), t->text.len - strlen(form));
	snprintf(text, DF_CURSOR_BEFORE_MAX, "%04d-%02d-%02d%c%02d:%02d:%02d" DF_STR_FMT, (int)civil.year, civil.month,
		 civil.day, separator, civil.hour, civil.minute, civil.second, DF_STR_ARG(rest));
	*ret = cursor->place;
	ret->t.text = df_str(text, t->text.len);
	ret->k = (struct df_cursor_value){ .kind = DF_CURSOR_NONE };
	return true;
}

/* ---- what was seen --------------------------------------------------------------------------------------- */

/* Two hashes, so that a collision, which would lose a row, is out of question (128 bits). FNV-1a and a variant. */
static void hash_value(const struct df_cursor_value *v, uint64_t hash[2])
{
	unsigned char kind = (unsigned char)v->kind;

	hash[0] = (hash[0] ^ kind) * UINT64_C(1099511628211);
	hash[1] = (hash[1] + kind) * UINT64_C(0x9E3779B97F4A7C15);
	for (size_t i = 0; i < v->text.len; i++) {
		unsigned char c = (unsigned char)v->text.ptr[i];
		hash[0] = (hash[0] ^ c) * UINT64_C(1099511628211);
		hash[1] = ((hash[1] ^ hash[1] >> 29) + c) * UINT64_C(0x9E3779B97F4A7C15);
	}
}

/* The entry of these hashes, or the free one where it belongs. */
static struct df_seen_row *find(struct df_seen_row *rows, size_t cap, const uint64_t hash[2])
{
	size_t i = (size_t)(hash[0] ^ hash[0] >> 32) & (cap - 1);

	while (rows[i].count && (rows[i].hash[0] != hash[0] || rows[i].hash[1] != hash[1]))
		i = (i + 1) & (cap - 1);
	return &rows[i];
}

/* Makes room: forgets what no poll will read again, and grows when that is not enough. */
static int make_room(struct df_cursor *cursor)
{
	struct df_seen *seen = &cursor->seen;
	int64_t oldest = INT64_MIN;
	size_t cap = 256;
	size_t kept = 0;
	int64_t seconds;

	if (moment(&cursor->place.t, &seconds))
		oldest = seconds - cursor->overlap_seconds;
	for (size_t i = 0; i < seen->cap; i++)
		kept += seen->rows[i].count && seen->rows[i].seconds >= oldest;
	while (cap < kept * 4)
		cap *= 2;
	struct df_seen_row *rows = calloc(cap, sizeof(*rows));
	if (!rows)
		return DF_ERR_NO_MEMORY;
	for (size_t i = 0; i < seen->cap; i++)
		if (seen->rows[i].count && seen->rows[i].seconds >= oldest)
			*find(rows, cap, seen->rows[i].hash) = seen->rows[i];
	free(seen->rows);
	*seen = (struct df_seen){ .rows = rows, .cap = cap, .count = kept, .run = seen->run };
	return 0;
}

void df_cursor_set_overlap(struct df_cursor *cursor, int64_t seconds)
{
	cursor->overlap_seconds = seconds;
}

void df_cursor_begin(struct df_cursor *cursor)
{
	cursor->seen.run++;
}

/* The row's entry, its hashes and its moment. False: T is no moment, or nobody asks. */
static bool look_up(const struct df_cursor *cursor, const struct df_cursor_value *t, const struct df_cursor_value *k,
		    struct df_seen_row *ret)
{
	*ret = (struct df_seen_row){ .hash = { UINT64_C(14695981039346656037), 1 } };
	if (!cursor->overlap_seconds || !moment(t, &ret->seconds))
		return false;
	hash_value(t, ret->hash);
	hash_value(k, ret->hash);
	return true;
}

/* Rows may share (T, K): as many as were emitted are dropped. */
bool df_cursor_seen(struct df_cursor *cursor, const struct df_cursor_value *t, const struct df_cursor_value *k)
{
	struct df_seen *seen = &cursor->seen;
	struct df_seen_row asked;

	if (!seen->cap || !look_up(cursor, t, k, &asked))
		return false;
	struct df_seen_row *row = find(seen->rows, seen->cap, asked.hash);
	if (row->run != seen->run) {
		row->run = seen->run;
		row->met = 0;
	}
	return row->count && ++row->met <= row->count;
}

int df_cursor_mark(struct df_cursor *cursor)
{
	struct df_seen *seen = &cursor->seen;
	struct df_seen_row asked;

	if (!look_up(cursor, &cursor->row_t, &cursor->row_k, &asked))
		return 0;
	if (seen->count * 2 >= seen->cap && make_room(cursor) != 0)
		return DF_ERR_NO_MEMORY;
	struct df_seen_row *row = find(seen->rows, seen->cap, asked.hash);
	if (!row->count) {
		asked.run = seen->run;
		asked.met = 1;
		*row = asked;
		seen->count++;
	}
	row->count++;
	return 0;
}

bool df_cursor_is_late(const struct df_cursor *cursor)
{
	int64_t row, place;

	return cursor->overlap_seconds && moment(&cursor->row_t, &row) && moment(&cursor->place.t, &place) &&
	       row < place;
}

#include "api/v1/maintenance.h"

#include "base/clock.h"
#include "base/time.h"

struct windows {
	const struct df_maintenance *m;
	const struct df_zone *zone;
	struct df_civil first; /* the wall clock in the zone when the first one begins */
};

static bool repeats(const struct windows *w, const char *how)
{
	return df_str_equal_c(df_str_c(w->m->repeat), how);
}

/* When the n-th window begins: the same wall clock time, across clock changes. */
static int64_t start_of(const struct windows *w, int64_t n)
{
	struct df_civil c = w->first;
	struct df_instant t;

	if (repeats(w, "monthly")) {
		c.year += (c.month - 1 + n) / 12;
		c.month = (int)((c.month - 1 + n) % 12) + 1;
		while (!df_civil_valid(&c))
			c.day--; /* the last day of a shorter month */
		return df_zone_to_unix(w->zone, &c).seconds;
	}
	t = df_civil_to_unix(&c);
	t.seconds += n * 86400 * (repeats(w, "weekly") ? 7 : 1);
	c = df_civil_from_unix(t, 0);
	return df_zone_to_unix(w->zone, &c).seconds;
}

/* The number of the last window that begins at or before now, which the first does. */
static int64_t last_at(const struct windows *w, int64_t now)
{
	int64_t n = 0;

	if (repeats(w, ""))
		return 0;
	if (repeats(w, "monthly")) {
		struct df_civil c =
			df_civil_from_unix((struct df_instant){ .seconds = now }, df_zone_offset(w->zone, now));

		n = (c.year - w->first.year) * 12 + c.month - w->first.month - 1;
	} else {
		n = (now - start_of(w, 0)) / (repeats(w, "weekly") ? 7 * 86400 : 86400) - 1;
	}
	/* One less than it can be; then forward. */
	n = n < 0 ? 0 : n;
	while (start_of(w, n + 1) <= now)
		n++;
	return n;
}

static int64_t ceil_seconds(int64_t ns)
{
	return ns / DF_NS_PER_S + (ns % DF_NS_PER_S > 0);
}

static void look(const struct windows *w, int64_t now, struct df_maintenance_state *ret)
{
	int64_t first = start_of(w, 0), n, end;

	if (now < first) {
		ret->next_start = ret->next_change = first;
		return;
	}
	n = last_at(w, now);
	ret->last_start = start_of(w, n);
	if (!repeats(w, ""))
		ret->next_start = start_of(w, n + 1);
	end = ret->last_start + ceil_seconds(w->m->duration.ns);
	ret->in_window = now < end;
	ret->next_change = ret->in_window ? end : ret->next_start;
}

int df_maintenance_at(const struct df_dataflow_spec *spec, int64_t now, struct df_maintenance_state *ret,
		      struct df_error *err)
{
	const struct df_maintenance *m = spec->maintenance.settings;
	df_cleanup(df_zone_freep) struct df_zone *zone = NULL;
	struct df_instant start;
	int r;

	*ret = (struct df_maintenance_state){
		.suspended =
			(m && m->suspended.set && m->suspended.value) || (spec->suspended.set && spec->suspended.value),
		.last_start = INT64_MIN,
		.next_start = INT64_MAX,
		.next_change = INT64_MAX,
	};
	if (!m || !m->start_time || !m->duration.set || !df_rfc3339_parse(df_str_c(m->start_time), &start))
		return 0;
	r = df_zone_load(df_str_c(m->timezone), &zone, err);
	if (r < 0)
		return r;
	look(&(struct windows){ m, zone, df_civil_from_unix(start, df_zone_offset(zone, start.seconds)) }, now, ret);
	return 0;
}

/*
 * Cron schedules as Kubernetes' CronJob reads them (github.com/robfig/cron v3, standard parser): when they fire, in a
 * time zone. Pure arithmetic: no clock, no threads, no allocation.
 */
#ifndef DF_BASE_CRON_H
#define DF_BASE_CRON_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/str.h"
#include "base/time.h"

/* Bit n stands for the value n of the field. */
struct df_cron {
	uint64_t minutes;
	uint32_t hours, days, months, weekdays;
	bool any_day, any_weekday; /* the field has a `*` or `?` without a step: the other field alone decides */
};

/*
 * Five fields (minute, hour, day of month, month, day of week), or six with the seconds in front, which must be 0; or
 * @yearly, @annually, @monthly, @weekly, @daily, @midnight, @hourly. A field is a list of `*`, `?`, n, a-b, each with
 * an optional /step (n/step runs to the end); months and weekdays also as the first three letters of their English
 * names. Sunday is 0. DF_ERR_CONFIG names the field.
 */
int df_cron_parse(struct df_str text, struct df_cron *ret, struct df_error *err) df_must_check;

#define DF_CRON_NEVER INT64_MAX

/*
 * The first instant after `after` (both in seconds since 1970) whose wall clock in the zone reads a time of the
 * schedule. So a time that a clock change skips does not fire, and one that occurs twice fires twice, as in Kubernetes.
 * Of day of month and day of week both must match, unless neither is `*`: then one is enough. DF_CRON_NEVER when there
 * is none within nine years (30 February).
 */
int64_t df_cron_next(const struct df_cron *cron, const struct df_zone *zone, int64_t after);

/* True for days that no year has. */
bool df_cron_never(const struct df_cron *cron);

/* How many times lie after `after` and not after `now`, and the last of them in *ret_last (not set when 0). */
uint64_t df_cron_missed(const struct df_cron *cron, const struct df_zone *zone, int64_t after, int64_t now,
			int64_t *ret_last);

#endif

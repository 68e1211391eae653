/* Clocks. Everything that reads wall time takes a `struct df_clock`, so that tests and `--now` can fix it. */
#ifndef DF_BASE_CLOCK_H
#define DF_BASE_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

#pragma GCC visibility push(default) /* an installed header: src/dataflow/meson.build */

#define DF_NS_PER_S INT64_C(1000000000)
#define DF_NS_PER_MS INT64_C(1000000)

struct df_clock {
	bool fixed;
	int64_t fixed_ns; /* nanoseconds since 1970-01-01T00:00:00Z */
};

/* Wall time in ns since 1970; clock NULL reads the system's. Range 1677..2262. */
int64_t df_clock_now(const struct df_clock *clock);

/* Monotonic time in ns; only differences mean something. */
int64_t df_clock_monotonic(void);

/* Resident memory now and at its peak in bytes (0 when unknown). */
int64_t df_memory_resident(void);
int64_t df_memory_peak(void);
/* What the process may use: the smallest of its cgroups' limits (versions 1 and 2) and the machine's memory; 0 when
 * unknown. root: where /proc and /sys are, "" but in tests. */
int64_t df_memory_limit(const char *root);

#pragma GCC visibility pop

#endif

#include "base/clock.h"

#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"

static int64_t df_clock_read(clockid_t id)
{
	struct timespec t;

	if (clock_gettime(id, &t) != 0)
		return 0;
	return (int64_t)t.tv_sec * DF_NS_PER_S + t.tv_nsec;
}

int64_t df_clock_now(const struct df_clock *clock)
{
	return clock && clock->fixed ? clock->fixed_ns : df_clock_read(CLOCK_REALTIME);
}

int64_t df_clock_monotonic(void)
{
	return df_clock_read(CLOCK_MONOTONIC);
}

/* proc(5), /proc/[pid]/statm: total and resident size in pages. */
int64_t df_memory_resident(void)
{
	df_cleanup(df_closep) int fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
	char text[128];

	if (fd < 0)
		return 0;
	ssize_t n = read(fd, text, sizeof(text) - 1);
	if (n <= 0)
		return 0;
	text[n] = '\0';
	char *rest = text;
	strtoll(text, &rest, 10);
	return (int64_t)strtoll(rest, NULL, 10) * sysconf(_SC_PAGESIZE);
}

/* VmHWM, which begins with this program: ru_maxrss begins with what the parent was when it forked. */
int64_t df_memory_peak(void)
{
	FILE *f = fopen("/proc/self/status", "re");
	char line[128];
	long long kib = 0;

	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "VmHWM: %lld kB", &kib) == 1)
			break;
	if (f)
		fclose(f);
	return (int64_t)kib * 1024;
}

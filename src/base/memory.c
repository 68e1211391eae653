/* How much memory the process may use: cgroups(7), Documentation/admin-guide/cgroup-v1/memory.rst and cgroup-v2.rst of
 * the Linux kernel. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"

#define PATH_ROOM 4400

static void close_file(FILE **file)
{
	if (*file)
		fclose(*file);
}

/* The number in a file; 0: none there, or "max". Version 1 writes a number near 2^63 for no limit. */
static int64_t read_limit(const char *path)
{
	df_cleanup(close_file) FILE *file = fopen(path, "re");
	int64_t bytes = 0;

	if (!file || fscanf(file, "%" SCNd64, &bytes) != 1 || bytes >= INT64_MAX / 2)
		return 0;
	return bytes;
}

static int64_t smaller(int64_t a, int64_t b)
{
	return b > 0 && (a == 0 || b < a) ? b : a;
}

/* The limits of a group and of those it is in. In a container the path may be one of the host that is not there. */
static int64_t limit_of_group(const char *root, const char *mount, const char *group, const char *name)
{
	char place[PATH_ROOM], path[PATH_ROOM + 64];
	int64_t limit = 0;

	if (snprintf(place, sizeof(place), "%s%s%s", root, mount, group) >= (int)sizeof(place))
		return 0;
	for (size_t least = strlen(root) + strlen(mount);;) {
		char *slash;

		snprintf(path, sizeof(path), "%s/%s", place, name);
		limit = smaller(limit, read_limit(path));
		slash = strrchr(place, '/');
		if (!slash || (size_t)(slash - place) < least)
			return limit;
		*slash = 0;
	}
}

static bool has_memory(const char *controllers)
{
	const char *at = strstr(controllers, "memory");

	return at && (at == controllers || at[-1] == ',') && (at[6] == 0 || at[6] == ',');
}

/* Lines of /proc/self/cgroup are ID:CONTROLLERS:PATH; ID 0 without controllers is version 2. */
static int64_t limit_of_groups(const char *root)
{
	char line[PATH_ROOM];
	int64_t limit = 0;

	snprintf(line, sizeof(line), "%s/proc/self/cgroup", root);
	df_cleanup(close_file) FILE *file = fopen(line, "re");
	while (file && fgets(line, sizeof(line), file)) {
		char *controllers = strchr(line, ':'), *group = controllers ? strchr(controllers + 1, ':') : NULL;

		if (!group)
			continue;
		*group++ = 0;
		group[strcspn(group, "\n")] = 0;
		if (strcmp(group, "/") == 0)
			*group = 0;
		if (controllers[1] == 0)
			limit = smaller(limit, limit_of_group(root, "/sys/fs/cgroup", group, "memory.max"));
		else if (has_memory(controllers + 1))
			limit = smaller(limit,
					limit_of_group(root, "/sys/fs/cgroup/memory", group, "memory.limit_in_bytes"));
	}
	return limit;
}

int64_t df_memory_limit(const char *root)
{
	int64_t pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE);

	return smaller(limit_of_groups(root), pages > 0 && page > 0 ? pages * page : 0);
}

/* The limits of cgroups, read from a tree that the test writes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"

static char root[] = "/tmp/dataflow-memory-XXXXXX";

static void put(const char *path, const char *text)
{
	char full[512];
	FILE *f;

	snprintf(full, sizeof(full), "%s%s", root, path);
	for (char *p = full + strlen(root) + 1; (p = strchr(p, '/')); p++) {
		*p = 0;
		mkdir(full, 0700);
		*p = '/';
	}
	f = fopen(full, "we");
	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

static int remove_all(void **state)
{
	char command[128];

	(void)state;
	snprintf(command, sizeof(command), "rm -rf %s/*", root);
	return system(command);
}

static int make_root(void **state)
{
	(void)state;
	return mkdtemp(root) ? 0 : -1;
}

static int remove_root(void **state)
{
	(void)remove_all(state);
	return rmdir(root);
}

static void without_cgroups_it_is_the_machines(void **state)
{
	(void)state;
	assert_int_equal(df_memory_limit(root), (int64_t)sysconf(_SC_PHYS_PAGES) * sysconf(_SC_PAGESIZE));
}

static void version_2_with_parents(void **state)
{
	(void)state;
	put("/proc/self/cgroup", "0::/pods/one/box\n");
	put("/sys/fs/cgroup/pods/one/box/memory.max", "max\n");
	put("/sys/fs/cgroup/pods/one/memory.max", "67108864\n");
	put("/sys/fs/cgroup/pods/memory.max", "134217728\n");
	assert_int_equal(df_memory_limit(root), 67108864);
}

static void version_2_in_its_own_namespace(void **state)
{
	(void)state;
	put("/proc/self/cgroup", "0::/\n");
	put("/sys/fs/cgroup/memory.max", "33554432\n");
	assert_int_equal(df_memory_limit(root), 33554432);
}

static void version_1_whose_path_is_the_hosts(void **state)
{
	(void)state;
	put("/proc/self/cgroup", "5:cpu,cpuacct:/docker/abc\n4:memory:/docker/abc\n3:memoryless:/x\n");
	put("/sys/fs/cgroup/memory/memory.limit_in_bytes", "50331648\n");
	assert_int_equal(df_memory_limit(root), 50331648);
}

static void version_1_without_a_limit(void **state)
{
	(void)state;
	put("/proc/self/cgroup", "4:memory:/\n");
	put("/sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n");
	without_cgroups_it_is_the_machines(state);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(without_cgroups_it_is_the_machines, remove_all),
		cmocka_unit_test_teardown(version_2_with_parents, remove_all),
		cmocka_unit_test_teardown(version_2_in_its_own_namespace, remove_all),
		cmocka_unit_test_teardown(version_1_whose_path_is_the_hosts, remove_all),
		cmocka_unit_test_teardown(version_1_without_a_limit, remove_all),
	};

	return cmocka_run_group_tests(tests, make_root, remove_root);
}

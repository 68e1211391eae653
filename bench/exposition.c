/*
 * Merges one processor's metrics as those of many pods, as the operator's /metrics does.
 *
 *   bench-exposition FILE PODS [--print]     FILE: of default/bench; prints how many samples and bytes there were, or
 * the text
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/exposition.h"

static struct df_str read_file(const char *path)
{
	static char data[4 << 20];
	FILE *file = fopen(path, "r");

	if (!file) {
		perror(path);
		exit(1);
	}
	return df_str(data, fread(data, 1, sizeof(data), file));
}

static size_t count_samples(struct df_str text)
{
	struct df_str line;
	size_t n = 0;

	while (df_exposition_line(&text, &line))
		n += line.len && line.ptr[0] != '#';
	return n;
}

int main(int argc, char **argv)
{
	struct df_families *all = df_families_new();
	struct df_buf merged = { 0 };
	struct df_str text = read_file(argv[1]);
	int pods = atoi(argv[2]);

	for (int i = 0; i < pods; i++) {
		char name[32];
		const struct df_families_from from = {
			.prefix = DF_STR("dataflow_"),
			.label = "pod",
			.label_value = df_str(name, (size_t)snprintf(name, sizeof(name), "df-flow-7c9f5d6b8-%05d", i)),
			.must = { { "namespace", DF_STR("default") }, { "name", DF_STR("bench") } },
		};

		if (df_families_add(all, text, &from, NULL) < 0)
			return 1;
	}
	if (df_families_left_out(all))
		return 2;
	df_families_write(all, &merged);
	if (merged.failed)
		return 1;
	if (argc > 3)
		fwrite(merged.data, 1, merged.len, stdout);
	else
		printf("%zu %zu\n", count_samples(text) * (size_t)pods, merged.len);
	df_buf_done(&merged);
	df_families_free(all);
	return 0;
}

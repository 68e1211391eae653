#include "cmd/plugins.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "connectors/plugin_load.h"
#include "connectors/subprocess/subprocess.h"

#define DIRS_MAX 64
#define OPTION "--connector-dir"
#define VARIABLE "DATAFLOW_CONNECTOR_DIR"

const struct df_option df_connector_dir_option = {
	.name = "connector-dir",
	.type = DF_OPTION_LIST,
	.argument = "DIR",
	.doc = "load connectors from DIR/*.so; may be repeated",
};

/* Borrowed from argv. */
static const char *dirs[DIRS_MAX];
static size_t dir_count;

static int take_dir(const char *dir)
{
	if (!dir || !dir[0]) {
		fputs("dataflow: " OPTION " needs a value (DIR)\n", stderr);
		return -1;
	}
	if (dir_count == DIRS_MAX) {
		fprintf(stderr, "dataflow: " OPTION " can be given %d times\n", DIRS_MAX);
		return -1;
	}
	dirs[dir_count++] = dir;
	return 0;
}

int df_take_connector_dirs(int argc, char **argv)
{
	int kept = 0, i = 0;

	for (; i < argc && strcmp(argv[i], "--") != 0; i++) {
		if (strcmp(argv[i], OPTION) == 0) {
			if (take_dir(i + 1 < argc ? argv[++i] : NULL) < 0)
				return -1;
		} else if (strncmp(argv[i], OPTION "=", sizeof(OPTION)) == 0) {
			if (take_dir(argv[i] + sizeof(OPTION)) < 0)
				return -1;
		} else {
			argv[kept++] = argv[i];
		}
	}
	while (i < argc)
		argv[kept++] = argv[i++];
	argv[kept] = NULL;
	return kept;
}

/* Those of the variable, between colons; empty ones do not count. */
static int load_listed(const char *list, struct df_error *err)
{
	int r = 0;

	for (size_t len; r == 0 && list && *list; list += len + (list[len] == ':')) {
		len = strcspn(list, ":");
		char *dir = len > 0 ? df_str_dup(df_str(list, len)) : NULL;

		if (dir)
			r = df_plugin_load_directory(dir, err);
		else if (len > 0)
			r = df_error_no_memory(err);
		free(dir);
	}
	return r;
}

int df_load_connectors(const struct df_command *command)
{
	struct df_error err = DF_ERROR_INIT;
	const char *from = OPTION;
	int r = 0;

	for (size_t i = 0; i < dir_count && r == 0; i++)
		r = df_plugin_load_directory(dirs[i], &err);
	if (r == 0) {
		from = VARIABLE;
		r = load_listed(getenv(VARIABLE), &err);
	}
	if (r < 0)
		return df_usage_error(command, "%s: %s", from, err.text);
	r = df_subprocess_load(&err);
	return r < 0 ? df_usage_error(command, "%s", err.text) : DF_EXIT_OK;
}

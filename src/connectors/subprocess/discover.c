/* Finding programs and adding them to the registry. */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "connectors/factory.h"
#include "connectors/subprocess/describe.h"
#include "connectors/subprocess/subprocess.h"

#define PREFIX "dataflow-connector-"
#define STANDARD_DIR "/usr/local/lib/dataflow/connectors"
#define WORKING_DIR "./connectors"
#define PROGRAMS_MAX 64
#define TYPE_BYTES 48

/* ---- may it be run? -------------------------------------------------------------------------------------- */

static bool is_foreign(const struct stat *st)
{
	return st->st_uid != 0 && st->st_uid != geteuid();
}

int df_program_check_file(const char *path, struct df_error *err)
{
	const char *slash = strrchr(path, '/');
	df_cleanup(df_freep) char *dir = slash ? strndup(path, slash == path ? 1 : (size_t)(slash - path)) : NULL;
	struct stat st, in;

	if (!dir)
		return df_error_set(err, DF_ERR_CONFIG, "program %s: the path is not absolute", path);
	if (stat(path, &st) < 0 || stat(dir, &in) < 0)
		return df_error_errno(err, DF_ERR_CONFIG, errno, "program %s", path);
	if (!S_ISREG(st.st_mode) || access(path, X_OK) < 0)
		return df_error_set(err, DF_ERR_CONFIG, "program %s is no file that can be executed: chmod +x it",
				    path);
	if (is_foreign(&st) || is_foreign(&in))
		return df_error_set(err, DF_ERR_CONFIG,
				    "program %s, or its directory, belongs to another user: chown it to root or to the "
				    "user of dataflow",
				    path);
	if (st.st_mode & S_IWOTH || (in.st_mode & S_IWOTH && !(in.st_mode & S_ISVTX)))
		return df_error_set(err, DF_ERR_CONFIG,
				    "program %s, or its directory, can be written by everybody: chmod o-w it", path);
	return 0;
}

/* ---- what was found -------------------------------------------------------------------------------------- */

/* For ever: the registry borrows them. */
static struct df_program *programs[PROGRAMS_MAX];
static size_t program_count;

static bool is_type(struct df_str name)
{
	if (name.len == 0 || name.len > TYPE_BYTES || !islower((unsigned char)name.ptr[0]))
		return false;
	for (size_t i = 0; i < name.len; i++)
		if (!islower((unsigned char)name.ptr[i]) && !isdigit((unsigned char)name.ptr[i]) &&
		    name.ptr[i] != '-' && name.ptr[i] != '_')
			return false;
	return true;
}

static bool is_found(struct df_str type)
{
	for (size_t i = 0; i < program_count; i++)
		if (df_str_equal_c(type, programs[i]->type))
			return true;
	return false;
}

/* Remembers it; what it is comes later. */
static int remember(const char *path, struct df_str type, const struct df_program_limits *limits, struct df_error *err)
{
	struct df_program *program;

	if (program_count == PROGRAMS_MAX)
		return df_error_set(err, DF_ERR_CONFIG, "there are more than %d connector programs", PROGRAMS_MAX);
	program = calloc(1, sizeof(*program));
	if (!program)
		return df_error_no_memory(err);
	program->limits = *limits;
	program->path = df_str_dup(df_str_c(path));
	program->type = df_str_dup(type);
	if (program->path && program->type) {
		programs[program_count++] = program;
		return 0;
	}
	free(program->path);
	free((char *)program->type);
	free(program);
	return df_error_no_memory(err);
}

/* One file of a directory. */
static int consider(const char *dir, const char *name, const struct df_program_limits *limits, struct df_error *err)
{
	struct df_str type = df_str_c(name + strlen(PREFIX));
	df_cleanup(df_buf_done) struct df_buf path = { 0 };
	struct df_error why = DF_ERROR_INIT;

	if (!is_type(type) || is_found(type))
		return 0;
	df_buf_printf(&path, "%s/%s", dir, name);
	if (df_program_check_file(df_buf_c(&path), &why) < 0) {
		df_warn(NULL, "%s; it is not used", why.text);
		return 0;
	}
	return remember(df_buf_c(&path), type, limits, err);
}

static int only_programs(const struct dirent *entry)
{
	return strncmp(entry->d_name, PREFIX, strlen(PREFIX)) == 0;
}

static int search_directory(const char *dir, const struct df_program_limits *limits, struct df_error *err)
{
	struct dirent **entries;
	int n = scandir(dir, &entries, only_programs, alphasort), r = 0;

	for (int i = 0; i < n; i++) {
		if (r == 0)
			r = consider(dir, entries[i]->d_name, limits, err);
		free(entries[i]);
	}
	if (n >= 0)
		free(entries);
	return r;
}

/* ---- where to look --------------------------------------------------------------------------------------- */

/* A colon list. strict: a relative directory is an error, else it is passed over. */
static int search_list(const char *list, bool strict, const struct df_program_limits *limits, struct df_error *err)
{
	int r = 0;

	for (size_t len; r == 0 && list && *list; list += len + (list[len] == ':')) {
		len = strcspn(list, ":");
		df_cleanup(df_freep) char *dir = df_str_dup(df_str(list, len));

		if (!dir)
			return df_error_no_memory(err);
		if (*dir == '/')
			r = search_directory(dir, limits, err);
		else if (*dir && strict)
			r = df_error_set(
				err, DF_ERR_CONFIG,
				"DATAFLOW_CONNECTOR_PATH: `%s` is not absolute; the working directory is searched "
				"with DATAFLOW_CONNECTOR_SEARCH=cwd",
				dir);
	}
	return r;
}

static int search_working_directory(const struct df_program_limits *limits, struct df_error *err)
{
	df_cleanup(df_freep) char *dir = realpath(WORKING_DIR, NULL);

	return dir ? search_directory(dir, limits, err) : 0;
}

/* cwd, path: what the variable allows beside the listed directories. */
static int search_further(const char *where, const struct df_program_limits *limits, struct df_error *err)
{
	int r = 0;

	for (size_t len; r == 0 && where && *where; where += len + (where[len] == ',')) {
		len = strcspn(where, ",");
		struct df_str word = df_str_trim(df_str(where, len));

		if (df_str_equal(word, DF_STR("cwd")))
			r = search_working_directory(limits, err);
		else if (df_str_equal(word, DF_STR("path")))
			r = search_list(getenv("PATH"), false, limits, err);
		else if (word.len > 0)
			r = df_error_set(err, DF_ERR_CONFIG,
					 "DATAFLOW_CONNECTOR_SEARCH: unknown place `" DF_STR_FMT
					 "`; known are cwd and path",
					 DF_STR_ARG(word));
	}
	return r;
}

static bool is_enabled(void)
{
	const char *use = getenv("DATAFLOW_USE_SUBPROCESS_CONNECTORS");

	return use && (strcmp(use, "1") == 0 || strcasecmp(use, "true") == 0);
}

/* ---- adding ---------------------------------------------------------------------------------------------- */

/* The descriptor that it takes the place of; NULL: none. */
static const struct df_connector *built_in(const struct df_program *program)
{
	const struct df_connector *found = df_connector_find(DF_SOURCE, df_str_c(program->type));

	return found ? found : df_connector_find(DF_SINK, df_str_c(program->type));
}

static bool is_its(const struct df_type *type, const struct df_program *program)
{
	return type && strcmp(type->name, program->type) == 0;
}

static int add(struct df_program *program, const struct df_roles *roles, struct df_error *err)
{
	const struct df_connector *replaced = built_in(program);
	struct df_connector *c = &program->connector;

	program->sink_ops = df_program_sink_ops;
	if (!replaced) {
		*c = (struct df_connector){
			.source = roles->source ? &program->source : NULL,
			.sink = roles->sink ? &program->sink : NULL,
			.source_ops = roles->source ? &df_program_source_ops : NULL,
			.sink_ops = roles->sink ? &program->sink_ops : NULL,
		};
		return df_connectors_add(c, false, err);
	}
	program->replaced = replaced;
	*c = *replaced;
	program->sink_ops.batching = replaced->sink_ops ? replaced->sink_ops->batching : NULL;
	if (roles->source && is_its(replaced->source, program))
		c->source_ops = &df_program_source_ops;
	if (roles->sink && is_its(replaced->sink, program))
		c->sink_ops = &program->sink_ops;
	return df_connectors_add(c, true, err);
}

struct asking {
	struct df_program *program;
	struct df_roles roles;
	struct df_error err;
	pthread_t thread;
	bool running;
};

static void *ask(void *arg)
{
	struct asking *asking = arg;

	(void)!df_program_describe(asking->program, &asking->roles, &asking->err);
	return NULL;
}

/* All at once, so that several that hang take no longer than one. */
static int add_all(size_t from, struct df_error *err)
{
	size_t count = program_count - from;
	df_cleanup(df_freep) struct asking *all = calloc(count + 1, sizeof(*all));
	int r = all ? 0 : df_error_no_memory(err);

	for (size_t i = 0; r == 0 && i < count; i++) {
		all[i].program = programs[from + i];
		all[i].running = pthread_create(&all[i].thread, NULL, ask, &all[i]) == 0;
		if (!all[i].running)
			(void)ask(&all[i]);
	}
	for (size_t i = 0; all && i < count; i++) {
		if (all[i].running)
			pthread_join(all[i].thread, NULL);
		if (r == 0 && all[i].err.code) {
			*err = all[i].err;
			r = err->code;
		}
		if (r == 0)
			r = add(all[i].program, &all[i].roles, err);
	}
	return r;
}

int df_subprocess_load(struct df_error *err)
{
	struct df_program_limits limits;
	size_t from = program_count;
	int r;

	if (!is_enabled())
		return 0;
	r = df_program_limits_read(&limits, err);
	if (r == 0)
		r = search_list(getenv("DATAFLOW_CONNECTOR_PATH"), true, &limits, err);
	if (r == 0)
		r = search_directory(STANDARD_DIR, &limits, err);
	if (r == 0)
		r = search_further(getenv("DATAFLOW_CONNECTOR_SEARCH"), &limits, err);
	return r == 0 && program_count > from ? add_all(from, err) : r;
}

int df_subprocess_add(const char *path, const char *type, struct df_error *err)
{
	df_cleanup(df_freep) char *absolute = realpath(path, NULL);
	const char *name = strrchr(path, '/') ? strrchr(path, '/') + 1 : path;
	struct df_program_limits limits;
	size_t from = program_count;
	int r;

	if (!type && strncmp(name, PREFIX, strlen(PREFIX)) == 0)
		type = name + strlen(PREFIX);
	if (!type || !is_type(df_str_c(type)))
		return df_error_set(err, DF_ERR_CONFIG, "program %s: its name is not " PREFIX "<type>", path);
	if (!absolute)
		return df_error_errno(err, DF_ERR_CONFIG, errno, "program %s", path);
	r = df_program_check_file(absolute, err);
	if (r == 0)
		r = df_program_limits_read(&limits, err);
	if (r == 0)
		r = remember(absolute, df_str_c(type), &limits, err);
	return r < 0 ? r : add_all(from, err);
}

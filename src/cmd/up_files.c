/*
 * The directory of manifests. Every change of it is noticed by inotify; when it has been quiet for a moment, what
 * changed is loaded and compared with what runs. A file that is not valid changes nothing.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>

#include "base/digest.h"
#include "cmd/up.h"
#include "connectors/factory.h"
#include "transformers/chain.h"

/* A file is read when its writer has closed it, not at each piece; a rename is one event. */
#define EVENTS                                                                                                  \
	(IN_CLOSE_WRITE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE | IN_CREATE | IN_DELETE_SELF | IN_MOVE_SELF | \
	 IN_ONLYDIR)
#define QUIET_NS (200 * DF_NS_PER_MS)
#define QUIET_MAX_NS (2 * DF_NS_PER_S) /* of a directory that never rests */
#define WATCH_AGAIN_NS (5 * DF_NS_PER_S)
#define FILE_MAX ((size_t)64 << 20)

struct up_file {
	char *name;    /* in the directory */
	uint64_t hash; /* of what was read; 0: read it again */
	bool seen, invalid;
	struct up_file *next;
};

struct up_files {
	int fd, watch;		   /* -1: none */
	int64_t first_ns, last_ns; /* monotonic, of the changes that were not looked at; 0: none */
	int64_t watch_again_ns;
	struct up_file *all; /* sorted by name */
};

/* ---- noticing -------------------------------------------------------------------------------------------- */

static void watch(struct up *up, bool again)
{
	struct up_files *files = up->files;

	files->watch = files->fd < 0 ? -1 : inotify_add_watch(files->fd, up->options.dir, EVENTS);
	if (files->watch >= 0) {
		files->watch_again_ns = 0;
		return;
	}
	if (!again)
		df_warn(NULL, "cannot watch %s (%s): changes are noticed when it can be watched again, or at SIGHUP",
			up->options.dir, strerror(errno));
	files->watch_again_ns = df_clock_monotonic() + WATCH_AGAIN_NS;
}

/* True when something happened. */
static bool read_events(struct up *up)
{
	struct up_files *files = up->files;
	_Alignas(struct inotify_event) char buf[4096];
	bool any = false;
	ssize_t n;

	while (files->fd >= 0 && (n = read(files->fd, buf, sizeof(buf))) > 0) {
		any = true;
		for (char *p = buf; p < buf + n;) {
			const struct inotify_event *e = (const struct inotify_event *)(void *)p;

			if (e->mask & IN_MOVE_SELF)
				inotify_rm_watch(files->fd, e->wd);
			if (e->mask & IN_IGNORED) {
				errno = ENOENT;
				watch(up, false);
			}
			p += sizeof(*e) + e->len;
		}
	}
	return any;
}

int up_files_fd(const struct up *up)
{
	return up->files->fd;
}

/* ---- the list of files ----------------------------------------------------------------------------------- */

static bool is_manifest_name(const char *name)
{
	static const char *const endings[] = { ".yaml", ".yml", ".json" };
	struct df_str s = df_str_c(name);

	for (size_t i = 0; name[0] != '.' && i < DF_ARRAY_SIZE(endings); i++)
		if (df_str_ends(s, df_str_c(endings[i])))
			return true;
	return false;
}

static struct up_file *find_or_add(struct up_files *files, const char *name)
{
	struct up_file **at = &files->all, *file;

	while (*at && strcmp((*at)->name, name) < 0)
		at = &(*at)->next;
	if (*at && strcmp((*at)->name, name) == 0)
		return *at;
	file = calloc(1, sizeof(*file));
	if (file)
		file->name = df_str_dup(df_str_c(name));
	if (!file || !file->name) {
		free(file);
		return NULL;
	}
	file->next = *at;
	*at = file;
	return file;
}

/* Of the content, never 0; 0 when it cannot be read. */
static uint64_t hash_file(const char *path)
{
	df_cleanup(df_closep) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	uint64_t hash = DF_FNV1A;
	struct stat st;
	char buf[16384];
	size_t total = 0;
	ssize_t n;

	if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		return 0;
	while ((n = read(fd, buf, sizeof(buf))) > 0 && (total += (size_t)n) <= FILE_MAX)
		hash = df_fnv1a(hash, df_str(buf, (size_t)n));
	return n < 0 ? 0 : hash ? hash : 1;
}

static char *path_of(const struct up *up, const char *name)
{
	struct df_buf buf = { 0 };

	df_buf_printf(&buf, "%s/%s", up->options.dir, name);
	return df_buf_take(&buf);
}

static void file_free(struct up_file *file)
{
	free(file->name);
	free(file);
}

/* Marks what is there. False when the directory cannot be read: then nothing is known about it. */
static bool list(struct up *up)
{
	DIR *dir = opendir(up->options.dir);
	struct dirent *entry;
	bool complete = true;

	if (!dir)
		return false;
	for (struct up_file *file = up->files->all; file; file = file->next)
		file->seen = false;
	while ((entry = readdir(dir)) != NULL) {
		struct up_file *file;

		if (!is_manifest_name(entry->d_name))
			continue;
		file = find_or_add(up->files, entry->d_name);
		if (file)
			file->seen = true;
		complete = complete && file;
	}
	closedir(dir);
	return complete;
}

/* ---- comparing with what runs ---------------------------------------------------------------------------- */

static void keep_flows_of(struct up *up, const struct up_file *file)
{
	for (struct up_flow *f = up->flows; f; f = f->next)
		if (!f->removed && strcmp(f->file, file->name) == 0)
			f->keep = true;
}

static void move_to(struct up_flow *f, const char *file)
{
	char *copy = df_str_dup(df_str_c(file)), *old;

	if (!copy)
		return;
	pthread_mutex_lock(&f->up->lock);
	old = f->file;
	f->file = copy;
	pthread_mutex_unlock(&f->up->lock);
	free(old);
}

/* Takes the manifest. */
static void apply(struct up *up, struct up_file *file, struct up_manifest *m)
{
	struct df_logger logger = up_logger(m);
	struct up_flow *f = up_flow_find(up, m);
	struct df_error err = DF_ERROR_INIT;
	uint32_t line = m->m->line;

	if (f && f->keep) {
		df_log(&logger, DF_LOG_ERROR, NULL,
		       "%s/%s:%u: a flow of this name is declared in %s/%s, too; this one is left out", up->options.dir,
		       file->name, (unsigned)line, up->options.dir, f->file);
		file->hash = 0; /* the other one may go */
		file->invalid = true;
		up_manifest_drop(m);
		return;
	}
	if (f && f->manifest->m->kind == m->m->kind) {
		f->keep = true;
		if (strcmp(f->file, file->name) != 0)
			move_to(f, file->name);
		if (f->manifest->m->fingerprint == m->m->fingerprint) {
			up_manifest_drop(m);
			return;
		}
		df_info(&logger, "%s has changed", file->name);
		up_flow_replace(f, m);
		return;
	}
	df_info(&logger, "added from %s", file->name);
	if (up_flow_add(up, file->name, m, &err) < 0)
		df_log_error(NULL, DF_LOG_ERROR, &err, "%s", file->name);
}

void up_tell(const struct df_diags *diags)
{
	for (size_t i = 0; i < diags->count; i++) {
		struct df_diags one = { .items = &diags->items[i], .count = 1 };
		struct df_buf line = { 0 };

		df_diags_print(&one, &line);
		df_log(NULL, diags->items[i].warning ? DF_LOG_WARN : DF_LOG_ERROR, NULL, DF_STR_FMT,
		       DF_STR_ARG(df_str_trim(df_buf_str(&line))));
		df_buf_done(&line);
	}
	if (diags->failed)
		df_log(NULL, DF_LOG_ERROR, NULL, "out of memory");
}

struct loaded {
	struct up_file *file;
	struct up_manifest **items;
	size_t count;
	struct loaded *next;
};

/* All manifests of a file, or none of them. */
static bool prepare(struct up *up, struct df_manifests *manifests, struct loaded *l, struct df_diags *diags)
{
	for (size_t i = 0; i < manifests->count; i++)
		df_chain_check(&manifests->items[i].spec.flow.transformations, diags);
	l->items = calloc(manifests->count + 1, sizeof(struct up_manifest *));
	diags->failed = diags->failed || !l->items;
	for (size_t i = 0; diags->errors == 0 && !diags->failed && i < manifests->count; i++) {
		l->items[l->count] = up_manifest_new(up, &manifests->items[i], diags);
		l->count += l->items[l->count] != NULL;
	}
	return diags->errors == 0 && !diags->failed;
}

static void loaded_free(struct loaded *l)
{
	free(l->items);
	free(l);
}

/* NULL: the file is not valid, which was told. */
static struct loaded *load(struct up *up, struct up_file *file)
{
	df_cleanup(df_freep) char *path = path_of(up, file->name);
	struct loaded *l = calloc(1, sizeof(*l));
	struct df_manifests manifests = { 0 };
	struct df_diags diags = { 0 };
	bool good = false;

	if (path && l) {
		df_manifests_load(path,
				  &(struct df_manifest_options){ .registry = df_registry(),
								 .secrets_dir = up->options.secrets,
								 .resolve_secrets = true },
				  &manifests, &diags);
		good = diags.errors == 0 && !diags.failed && prepare(up, &manifests, l, &diags);
		up_tell(&diags);
	}
	df_manifests_done(&manifests);
	df_diags_done(&diags);
	file->invalid = !good;
	if (good) {
		l->file = file;
		return l;
	}
	for (size_t i = 0; l && i < l->count; i++)
		up_manifest_drop(l->items[i]);
	if (l)
		loaded_free(l);
	df_log(NULL, DF_LOG_ERROR, NULL, "%s is not valid: its flows stay as they are", path ? path : file->name);
	return NULL;
}

/* Files that are as they were keep their flows; of the others only what can be used is loaded. */
static struct loaded *load_changed(struct up *up, bool all)
{
	struct loaded *first = NULL, **end = &first;

	for (struct up_file **at = &up->files->all; *at;) {
		struct up_file *file = *at;
		df_cleanup(df_freep) char *path = path_of(up, file->name);
		uint64_t hash = file->seen && path ? hash_file(path) : 0;

		if (!file->seen) {
			*at = file->next;
			file_free(file);
			continue;
		}
		at = &file->next;
		if (!all && hash && hash == file->hash) {
			keep_flows_of(up, file);
			continue;
		}
		file->hash = hash;
		*end = load(up, file);
		if (*end)
			end = &(*end)->next;
		else
			keep_flows_of(up, file);
	}
	return first;
}

static void scan(struct up *up, bool all)
{
	struct loaded *loaded;

	if (!list(up)) {
		df_warn(NULL, "%s cannot be read (%s): its flows stay as they are", up->options.dir, strerror(errno));
		return;
	}
	for (struct up_flow *f = up->flows; f; f = f->next)
		f->keep = false;
	loaded = load_changed(up, all);
	while (loaded) {
		struct loaded *l = loaded;

		loaded = l->next;
		for (size_t i = 0; i < l->count; i++)
			apply(up, l->file, l->items[i]);
		loaded_free(l);
	}
	for (struct up_flow *f = up->flows; f; f = f->next) {
		struct df_logger logger = up_logger(f->manifest);

		if (f->keep || f->removed)
			continue;
		df_info(&logger, "removed, as %s says", f->file);
		pthread_mutex_lock(&up->lock);
		f->removed = true;
		pthread_mutex_unlock(&up->lock);
	}
}

/* ---- for the manager ------------------------------------------------------------------------------------- */

int up_files_open(struct up *up, struct df_error *err)
{
	struct stat st;
	DIR *dir;

	if (stat(up->options.dir, &st) < 0)
		return df_error_errno(err, DF_ERR_CONFIG, errno, "cannot read the directory %s", up->options.dir);
	if (!S_ISDIR(st.st_mode))
		return df_error_set(err, DF_ERR_CONFIG, "%s is no directory: `dataflow run` takes a file",
				    up->options.dir);
	dir = opendir(up->options.dir);
	if (!dir)
		return df_error_errno(err, DF_ERR_CONFIG, errno, "cannot read the directory %s", up->options.dir);
	closedir(dir);
	up->files = calloc(1, sizeof(*up->files));
	if (!up->files)
		return df_error_no_memory(err);
	up->files->fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	watch(up, false);
	return 0;
}

void up_files_close(struct up *up)
{
	if (!up->files)
		return;
	if (up->files->fd >= 0)
		close(up->files->fd);
	while (up->files->all) {
		struct up_file *file = up->files->all;

		up->files->all = file->next;
		file_free(file);
	}
	free(up->files);
	up->files = NULL;
}

void up_files_step(struct up *up, bool now)
{
	struct up_files *files = up->files;
	int64_t time = df_clock_monotonic(), due;

	if (read_events(up)) {
		files->last_ns = time;
		files->first_ns = files->first_ns ? files->first_ns : time;
	}
	if (files->watch_again_ns && files->watch_again_ns <= time) {
		watch(up, true);
		if (files->watch >= 0)
			files->last_ns = files->first_ns = time;
	}
	if (files->watch_again_ns)
		up_at_monotonic(up, files->watch_again_ns);
	due = files->last_ns + QUIET_NS;
	if (due > files->first_ns + QUIET_MAX_NS)
		due = files->first_ns + QUIET_MAX_NS;
	if (now || (files->first_ns && due <= time)) {
		files->first_ns = files->last_ns = 0;
		scan(up, now);
	} else if (files->first_ns) {
		up_at_monotonic(up, due);
	}
}

void up_files_counts(const struct up *up, size_t *ret_files, size_t *ret_invalid)
{
	*ret_files = *ret_invalid = 0;
	for (const struct up_file *file = up->files->all; file; file = file->next) {
		++*ret_files;
		*ret_invalid += file->invalid;
	}
}

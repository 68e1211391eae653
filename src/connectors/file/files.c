#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/digest.h"
#include "connectors/file/file.h"

void df_files_init(struct file_list *list)
{
	*list = (struct file_list){ 0 };
	pthread_mutex_init(&list->lock, NULL);
}

static void file_free(struct file *f)
{
	if (!f)
		return;
	df_records_free(f->records);
	df_bytes_free(f->bytes);
	if (f->fd >= 0)
		close(f->fd);
	free(f->path);
	free(f->key);
	free(f);
}

void df_files_done(struct file_list *list)
{
	while (list->first) {
		struct file *f = list->first;

		list->first = f->next;
		file_free(f);
	}
	pthread_mutex_destroy(&list->lock);
}

static struct file *file_new(struct df_str path, struct df_str key)
{
	struct file *f = calloc(1, sizeof(*f));

	if (!f)
		return NULL;
	f->fd = f->watch = -1;
	f->end_size = -1;
	f->path = df_str_dup(path);
	f->key = df_str_dup(key);
	if (f->path && f->key)
		return f;
	file_free(f);
	return NULL;
}

static void list_append(struct file_list *list, struct file *f)
{
	struct file **place = &list->first;

	DF_LOCK_SCOPE(&list->lock);
	while (*place)
		place = &(*place)->next;
	*place = f;
}

/* Takes *place out of the list and frees it. */
static void list_drop(struct file_list *list, struct file **place)
{
	struct file *f = *place;

	pthread_mutex_lock(&list->lock);
	*place = f->next;
	pthread_mutex_unlock(&list->lock);
	file_free(f);
}

/* ---- prints ---------------------------------------------------------------------------------------------- */

/* Of the first len bytes. */
static struct file_print print_of(int fd, size_t len)
{
	char head[FILE_PRINT_MAX];
	ssize_t n = pread(fd, head, len, 0);
	struct df_str read = df_str(head, n > 0 ? (size_t)n : 0);

	return (struct file_print){ .hash = df_fnv1a(DF_FNV1A, read), .len = (uint32_t)read.len };
}

struct file_print df_file_print(int fd)
{
	return print_of(fd, FILE_PRINT_MAX);
}

static bool print_matches(const char *path, const struct file_print *print)
{
	df_cleanup(df_closep) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct file_print now;

	if (fd < 0)
		return false;
	now = print_of(fd, print->len);
	return now.len == print->len && now.hash == print->hash;
}

/* ---- checkpoint ------------------------------------------------------------------------------------------ */

static int damaged(const char *what, struct df_error *err)
{
	return df_error_set(
		err, DF_ERR_CONFIG,
		"the checkpoint of the file source is damaged (%s): set spec.checkpointReset to read from the "
		"beginning",
		what);
}

static bool get_count(const struct df_value *object, const char *key, int64_t *ret)
{
	const struct df_value *v = df_object_get_c(object, key);

	return v && df_value_to_int64(v, ret) && *ret >= 0;
}

/* "256:0123456789abcdef" */
static bool parse_print(struct df_str text, struct file_print *ret)
{
	char copy[32];
	int end = 0;

	if (text.len == 0 || text.len >= sizeof(copy))
		return false;
	memcpy(copy, text.ptr, text.len);
	copy[text.len] = '\0';
	return sscanf(copy, "%" SCNu32 ":%" SCNx64 "%n", &ret->len, &ret->hash, &end) == 2 && (size_t)end == text.len &&
	       ret->len <= FILE_PRINT_MAX;
}

static int restore_one(struct file_list *list, const struct df_value *entry, struct df_arena *arena,
		       struct df_error *err)
{
	const struct df_value *path = df_object_get_c(entry, "path");
	const struct df_value *print = df_object_get_c(entry, "fingerprint");
	int64_t device, inode, offset, size;
	struct file *f;

	if (!path || path->kind != DF_STRING || !print || print->kind != DF_STRING ||
	    !get_count(entry, "inode", &inode) || !get_count(entry, "offset", &offset) ||
	    !get_count(entry, "device", &device))
		return damaged("a file without path, inode, device, fingerprint or offset", err);
	f = file_new(df_value_text(path, arena), df_value_key(entry));
	if (!f)
		return df_error_no_memory(err);
	f->device = (uint64_t)device;
	f->inode = (uint64_t)inode;
	f->offset = f->committed = f->described = offset;
	f->remembered = true;
	if (get_count(entry, "size", &size))
		f->end_size = size;
	if (!parse_print(df_value_text(print, arena), &f->print)) {
		file_free(f);
		return damaged("a fingerprint that is none", err);
	}
	list_append(list, f);
	return 0;
}

int df_files_restore(struct file_list *list, const struct df_value *checkpoint, struct df_error *err)
{
	const struct df_value *files = df_object_get_c(checkpoint, "files");
	struct df_arena arena;
	int r = 0;

	if (!files)
		return 0;
	if (files->kind != DF_OBJECT)
		return damaged("`files` is not an object", err);
	df_arena_init(&arena, NULL);
	df_for_each (entry, files) {
		if (r == 0)
			r = restore_one(list, entry, &arena, err);
	}
	df_arena_done(&arena);
	return r;
}

/* Appends a member; false when out of memory. Takes what the df_value makers return. */
static bool put(struct df_value *object, struct df_str key, struct df_value *value)
{
	if (value)
		df_object_append(object, key, value);
	return value != NULL;
}

static struct df_value *save_one(const struct file *f, int64_t position, struct df_arena *arena)
{
	struct df_value *entry = df_value_new(arena, DF_OBJECT);
	char print[32];
	int n = snprintf(print, sizeof(print), "%" PRIu32 ":%016" PRIx64, f->print.len, f->print.hash);
	bool ok = entry && put(entry, DF_STR("path"), df_value_string_copy(arena, df_str_c(f->path))) &&
		  put(entry, DF_STR("device"), df_value_int64(arena, (int64_t)f->device)) &&
		  put(entry, DF_STR("inode"), df_value_int64(arena, (int64_t)f->inode)) &&
		  put(entry, DF_STR("fingerprint"), df_value_string_copy(arena, df_str(print, (size_t)n))) &&
		  put(entry, DF_STR("offset"), df_value_int64(arena, position));

	if (ok && f->end_size >= 0 && position == f->offset)
		ok = put(entry, DF_STR("size"), df_value_int64(arena, f->end_size));
	return ok ? entry : NULL;
}

int df_files_save(struct file_list *list, bool ahead, struct df_value *checkpoint, struct df_arena *arena,
		  struct df_error *err)
{
	struct df_value *files = df_value_new(arena, DF_OBJECT);

	if (!files)
		return df_error_no_memory(err);
	DF_LOCK_SCOPE(&list->lock);
	for (const struct file *f = list->first; f; f = f->next) {
		struct df_value *entry;
		int64_t position = ahead ? f->described : f->committed;
		struct df_str key;

		if (position == 0)
			continue; /* it would begin at its start anyway */
		entry = save_one(f, position, arena);
		key = df_arena_dup(arena, df_str_c(f->key));
		if (!entry || !key.ptr)
			return df_error_no_memory(err);
		df_object_append(files, key, entry);
	}
	df_object_set(checkpoint, DF_STR("files"), files);
	return 0;
}

void df_files_commit(struct file_list *list, bool ahead, const struct df_commit *commits, size_t count)
{
	DF_LOCK_SCOPE(&list->lock);
	for (size_t i = 0; i < count; i++) {
		for (struct file *f = list->first; f; f = f->next) {
			if (f->partition && f->partition == commits[i].partition)
				*(ahead ? &f->described : &f->committed) = commits[i].position.number;
		}
	}
}

/* ---- scanning -------------------------------------------------------------------------------------------- */

static bool is_pattern(const char *path)
{
	return strpbrk(path, "*?[") != NULL;
}

/* The one that this is, by inode. A remembered one must also begin with the same bytes, and be on the same device or
 * path (device numbers change when a volume is mounted again). */
static struct file *find_file(struct file_list *list, const char *path, const struct stat *st, bool *ret_replaced)
{
	for (struct file *f = list->first; f; f = f->next) {
		bool device = f->device == (uint64_t)st->st_dev;

		if (f->inode != (uint64_t)st->st_ino || !(device || (f->remembered && strcmp(f->path, path) == 0)))
			continue;
		if (!f->remembered)
			return f;
		if (print_matches(path, &f->print))
			return f;
		*ret_replaced = true;
	}
	return NULL;
}

static int found_again(struct file_list *list, struct file *f, const char *path, const struct stat *st,
		       struct df_error *err)
{
	char *copy = df_str_dup(df_str_c(path));

	if (!copy)
		return df_error_no_memory(err);
	DF_LOCK_SCOPE(&list->lock);
	free(f->path);
	f->path = copy;
	f->device = (uint64_t)st->st_dev;
	f->remembered = false;
	f->present = true;
	return 0;
}

static int check_readable(const char *path, struct df_error *err)
{
	if (faccessat(AT_FDCWD, path, R_OK, AT_EACCESS) == 0)
		return 0;
	return df_error_errno(err, DF_ERR_CONFIG, errno, "cannot read %s, the user %u must be allowed to", path,
			      (unsigned)geteuid());
}

static int add_file(struct file_list *list, const struct file_scan *scan, const char *path, const struct stat *st,
		    struct df_error *err)
{
	df_cleanup(df_freep) char *key = NULL;
	struct file *f;
	int r = check_readable(path, err);

	if (r < 0)
		return r;
	if (asprintf(&key, "%s#%" PRIu64, path, (uint64_t)st->st_ino) < 0) {
		key = NULL;
		return df_error_no_memory(err);
	}
	f = file_new(df_str_c(path), df_str_c(key));
	if (!f)
		return df_error_no_memory(err);
	f->device = (uint64_t)st->st_dev;
	f->inode = (uint64_t)st->st_ino;
	f->offset = f->committed = f->described = scan->at_end ? st->st_size : 0;
	f->present = true;
	list_append(list, f);
	return 0;
}

/* May the file still come? Only where its directory is. */
static bool has_directory(const char *path)
{
	const char *slash = strrchr(path, '/');
	df_cleanup(df_freep) char *directory = slash ? df_str_dup(df_str(path, (size_t)(slash - path) + 1)) : NULL;

	return !slash || (directory && access(directory, F_OK) == 0);
}

/* Of a file that was found, not named in a setting: positions and metadata hold it as a text. */
static int check_path(const char *path, struct df_error *err)
{
	if (df_utf8_valid(df_str_c(path), NULL))
		return 0;
	return df_error_set(err, DF_ERR_CONFIG,
			    "the path %s is not valid UTF-8, which no position can keep: rename the file, or move it "
			    "out of what `path` matches",
			    path);
}

/* One path that the pattern names. */
static int scan_path(struct file_list *list, const struct file_scan *scan, const char *path, bool from_pattern,
		     struct df_error *err)
{
	bool replaced = false;
	struct file *f;
	struct stat st;

	if (stat(path, &st) < 0) {
		if (errno == ENOENT && (from_pattern || (scan->may_be_missing && has_directory(path))))
			return 0;
		return df_error_errno(err, DF_ERR_CONFIG, errno, "cannot open the file %s, check `path`", path);
	}
	if (S_ISDIR(st.st_mode) && from_pattern)
		return 0;
	if (S_ISDIR(st.st_mode))
		return df_error_set(err, DF_ERR_CONFIG, "%s is a directory: name a file in it, or all with %s/*", path,
				    path);
	if (!S_ISREG(st.st_mode))
		return df_error_set(err, DF_ERR_CONFIG, "%s is not a regular file: pipes are read by the stdin source",
				    path);
	int r = check_path(path, err);
	if (r < 0)
		return r;
	f = find_file(list, path, &st, &replaced);
	if (f)
		return found_again(list, f, path, &st, err);
	if (replaced)
		df_warn(scan->logger, "%s was written anew (its first bytes differ): reading it from the start", path);
	return add_file(list, scan, path, &st, err);
}

static int scan_pattern(struct file_list *list, const struct file_scan *scan, struct df_error *err)
{
	glob_t found = { 0 };
	int status = glob(scan->pattern, 0, NULL, &found);
	int r = 0;

	if (status == GLOB_NOSPACE)
		r = df_error_no_memory(err);
	else if (status == GLOB_ABORTED)
		r = df_error_errno(err, DF_ERR_CONFIG, errno, "cannot look for %s", scan->pattern);
	else if (status == GLOB_NOMATCH && !scan->may_be_missing)
		r = df_error_set(err, DF_ERR_CONFIG, "no file matches %s: check `path`", scan->pattern);
	for (size_t i = 0; r == 0 && i < found.gl_pathc; i++)
		r = scan_path(list, scan, found.gl_pathv[i], true, err);
	globfree(&found);
	return r;
}

/* ---- files that are not where they were ------------------------------------------------------------------ */

/* Does this directory entry hold what is left of a remembered file? */
static bool is_renamed(const struct file *f, const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISREG(st.st_mode) && (uint64_t)st.st_ino == f->inode &&
	       st.st_size > f->offset && print_matches(path, &f->print);
}

/* A heap path, or NULL. */
static char *find_renamed(const struct file *f)
{
	const char *slash = strrchr(f->path, '/');
	struct df_str directory = slash ? df_str(f->path, (size_t)(slash - f->path) + 1) : DF_STR("./");
	df_cleanup(df_freep) char *name = df_str_dup(directory);
	DIR *d = name ? opendir(name) : NULL;
	char *found = NULL;

	for (struct dirent *e; d && !found && (e = readdir(d)) != NULL;) {
		df_cleanup(df_freep) char *path = NULL;

		if ((uint64_t)e->d_ino != f->inode)
			continue;
		if (asprintf(&path, "%s%s", slash ? name : "", e->d_name) < 0)
			path = NULL;
		if (path && is_renamed(f, path))
			found = DF_TAKE(path);
	}
	if (d)
		closedir(d);
	return found;
}

/* Remembered ones that the pattern does not lead to: rotated while we were away, or gone. */
static int settle_remembered(struct file_list *list, const struct file_scan *scan, struct df_error *err)
{
	for (struct file **place = &list->first; *place;) {
		struct file *f = *place;
		char *path;

		if (!f->remembered) {
			place = &f->next;
			continue;
		}
		path = find_renamed(f);
		if (!path) {
			list_drop(list, place);
			continue;
		}
		int r = check_path(path, err);
		if (r < 0) {
			free(path);
			return r;
		}
		df_info(scan->logger, "%s is now %s: reading the rest of it", f->path, path);
		pthread_mutex_lock(&list->lock);
		free(f->path);
		f->path = path;
		f->remembered = false;
		pthread_mutex_unlock(&list->lock);
		f->gone_ns = df_clock_monotonic();
		place = &f->next;
	}
	return 0;
}

int df_files_scan(struct file_list *list, const struct file_scan *scan, struct df_error *err)
{
	bool pattern = is_pattern(scan->pattern) && access(scan->pattern, F_OK) < 0;
	int r;

	for (struct file *f = list->first; f; f = f->next)
		f->present = false;
	r = pattern ? scan_pattern(list, scan, err) : scan_path(list, scan, scan->pattern, false, err);
	if (r < 0)
		return r;
	r = settle_remembered(list, scan, err);
	if (r < 0)
		return r;
	for (struct file *f = list->first; f; f = f->next) {
		if (f->present)
			f->gone_ns = 0;
		else if (f->gone_ns == 0)
			f->gone_ns = df_clock_monotonic();
	}
	return 0;
}

/* Under the lock. */
static bool is_over(const struct file *f)
{
	return f->gone_ns && f->fd < 0 && f->end_size >= 0 && f->committed >= f->offset;
}

void df_files_prune(struct file_list *list)
{
	DF_LOCK_SCOPE(&list->lock);
	for (struct file **place = &list->first; *place;) {
		struct file *f = *place;

		if (is_over(f)) {
			*place = f->next;
			file_free(f);
		} else {
			place = &f->next;
		}
	}
}

/* The `file` sink: turns messages into lines or rows; writer.c puts them into the file in whole steps. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "connectors/file/file.h"
#include "connectors/writer.h"

struct file_sink {
	struct df_base_connector base;
	const struct file_sink_settings *settings;
	enum df_format format;
	enum df_compression compression;
	bool atomic;

	char *path;		  /* of the file that is open, as people know it */
	char *temporary;	  /* atomic: what it is called until it is complete; NULL when it is */
	long part;		  /* rotateBytes: number of the file */
	struct df_writer *writer; /* NULL: rotated, the next write opens the next file */
	struct file_rows rows;	  /* csv */
};

static struct file_sink *sink_of(struct df_sink *s)
{
	return DF_CONTAINER_OF(s, struct file_sink, base.state.sink);
}

static const struct df_logger *logger_of(const struct file_sink *s)
{
	return s->base.state.env.logger;
}

static enum df_compression compression_of(const struct file_sink_settings *settings)
{
	enum df_compression c = df_compression_of(settings->compression);

	return c == DF_COMPRESSION_AUTO ? df_compression_by_name(df_str_c(settings->path), NULL) : c;
}

static enum df_format format_of(const struct file_sink_settings *settings)
{
	if (settings->format)
		return df_format_of(settings->format);
	return df_format_by_name(df_str_c(settings->path)) == DF_FORMAT_CSV ? DF_FORMAT_CSV : DF_FORMAT_JSONL;
}

static int file_create(const void *settings, const struct df_connector_env *env, struct df_sink **ret,
		       struct df_error *err)
{
	struct file_sink *s = df_base_sink_new(sizeof(*s), &df_file_sink_ops, env, err);

	if (!s)
		return DF_ERR_NO_MEMORY;
	s->settings = settings;
	s->format = format_of(s->settings);
	s->compression = compression_of(s->settings);
	s->atomic = strcmp(s->settings->mode, "atomic") == 0;
	s->rows.delimiter = df_file_delimiter(s->settings->delimiter, s->settings->path);
	*ret = &s->base.state.sink;
	return 0;
}

/* ---- names of files -------------------------------------------------------------------------------------- */

/* Where the number of a rotated file goes: before .jsonl, .csv, ..., .gz and .zst included. */
static size_t stem_length(const char *path)
{
	const char *slash = strrchr(path, '/');
	struct df_str stem;
	const char *dot;

	df_compression_by_name(df_str_c(path), &stem);
	dot = memrchr(stem.ptr, '.', stem.len);
	return dot && (!slash || dot > slash + 1) ? (size_t)(dot - path) : stem.len;
}

/* The highest number that a file of this name has; 0: none. */
static long last_part(const char *path)
{
	const char *slash = strrchr(path, '/');
	size_t base = slash ? (size_t)(slash - path) + 1 : 0;
	struct df_str stem = df_str(path + base, stem_length(path) - base);
	struct df_str end = df_str_c(path + base + stem.len);
	df_cleanup(df_freep) char *directory = base ? df_str_dup(df_str(path, base)) : df_str_dup(DF_STR("."));
	DIR *d = directory ? opendir(directory) : NULL;
	long last = 0;

	for (struct dirent *e; d && (e = readdir(d)) != NULL;) {
		struct df_str name = df_str_c(e->d_name);
		int64_t n;

		if (!df_str_starts(name, stem) || !df_str_ends(name, end) || name.len < stem.len + end.len + 2 ||
		    name.ptr[stem.len] != '-')
			continue;
		name = df_str(name.ptr + stem.len + 1, name.len - stem.len - end.len - 1);
		if (df_str_to_int64(name, &n) && n > last && n < INT32_MAX)
			last = (long)n;
	}
	if (d)
		closedir(d);
	return last;
}

static int name_file(struct file_sink *s, struct df_error *err)
{
	const char *path = s->settings->path;
	int stem = (int)stem_length(path);
	const char *slash = strrchr(path, '/');
	int base = slash ? (int)(slash - path) + 1 : 0;
	int n;

	free(DF_TAKE(s->path));
	free(DF_TAKE(s->temporary));
	if (s->settings->rotate_bytes)
		n = asprintf(&s->path, "%.*s-%06ld%s", stem, path, s->part, path + stem);
	else
		n = asprintf(&s->path, "%s", path);
	if (n < 0)
		s->path = NULL;
	if (n >= 0 && s->atomic && asprintf(&s->temporary, "%.*s.%s.part", base, path, path + base) < 0)
		s->temporary = NULL;
	s->rows.path = s->path;
	return s->path && (!s->atomic || s->temporary) ? 0 : df_error_no_memory(err);
}

/* ---- opening --------------------------------------------------------------------------------------------- */

static int open_error(const char *path, int errnum, struct df_error *err)
{
	switch (errnum) {
	case ENOENT:
	case ENOTDIR:
		return df_error_errno(err, DF_ERR_CONFIG, errnum, "cannot write %s, its directory must exist", path);
	case EISDIR:
		return df_error_set(err, DF_ERR_CONFIG, "%s is a directory: name a file in it", path);
	case EACCES:
	case EPERM:
	case EROFS:
		return df_error_errno(err, DF_ERR_CONFIG, errnum, "cannot write %s, the user %u must be allowed to",
				      path, (unsigned)geteuid());
	case ENXIO:
		return df_error_set(err, DF_ERR_CONNECTION, "nobody reads the pipe %s", path);
	case ENOSPC:
	case EDQUOT:
		return df_error_errno(err, DF_ERR_TRANSIENT, errnum, "cannot write %s, make room on its file system",
				      path);
	default:
		return df_error_errno(err, DF_ERR_CONFIG, errnum, "cannot write %s", path);
	}
}

static int lock_file(int fd, const char *path, struct df_error *err)
{
	if (flock(fd, LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK)
		return 0; /* some file systems have no locks */
	return df_error_set(err, DF_ERR_CONFIG, "%s is being written by another sink: give each its own file", path);
}

/* A pipe or device is written as it is; -1 with errno. */
static int open_fd(const struct file_sink *s, const char *path, bool *ret_regular)
{
	struct stat st;
	bool there = stat(path, &st) == 0;

	*ret_regular = !there || S_ISREG(st.st_mode) || s->atomic;
	if (*ret_regular)
		return open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
	return open(path, O_WRONLY | O_CLOEXEC | O_NONBLOCK);
}

/* Mode atomic, behind a saved position: the whole new file is the old one and what comes. */
static int copy_old(const struct file_sink *s, int fd, struct df_error *err)
{
	df_cleanup(df_closep) int old = open(s->path, O_RDONLY | O_CLOEXEC);
	char block[16384];
	ssize_t n, put = 0;

	if (old < 0)
		return errno == ENOENT ? 0 : open_error(s->path, errno, err);
	while (put >= 0 && (n = read(old, block, sizeof(block))) > 0)
		for (ssize_t at = 0; at < n && put >= 0; at += put)
			put = write(fd, block + at, (size_t)(n - at));
	return n < 0 || put < 0 ? df_error_errno(err, errno == ENOSPC ? DF_ERR_TRANSIENT : DF_ERR_UNKNOWN, errno,
						 "cannot copy %s beside itself", s->path)
				: 0;
}

/* What a killed run left in the temporary file was never committed. */
static int begin_temporary(const struct file_sink *s, int fd, const char *path, struct df_error *err)
{
	if (ftruncate(fd, 0) < 0)
		return df_error_errno(err, DF_ERR_UNKNOWN, errno, "cannot empty %s", path);
	return s->base.state.env.resumed ? copy_old(s, fd, err) : 0;
}

static int prepare_file(struct file_sink *s, int fd, const char *path, struct df_error *err)
{
	struct stat st;
	int r = lock_file(fd, s->path, err);

	if (r == 0 && s->atomic)
		r = begin_temporary(s, fd, path, err);
	if (r == 0)
		r = df_file_repair(fd, path, s->format, s->compression, logger_of(s), err);
	if (r == 0 && fstat(fd, &st) < 0)
		r = df_error_errno(err, DF_ERR_UNKNOWN, errno, "cannot read %s", path);
	if (r < 0)
		return r;
	s->rows.header_due = s->format == DF_FORMAT_CSV && s->settings->header && st.st_size == 0;
	if (s->format != DF_FORMAT_CSV || !s->settings->header || st.st_size == 0)
		return 0;
	if (lseek(fd, 0, SEEK_SET) < 0)
		return df_error_errno(err, DF_ERR_UNKNOWN, errno, "cannot read %s", path);
	return df_file_rows_from_file(&s->rows, fd, s->compression, err);
}

static int open_file(struct file_sink *s, struct df_error *err)
{
	const char *path;
	bool regular;
	int fd, r = name_file(s, err);

	if (r < 0)
		return r;
	path = s->temporary ? s->temporary : s->path;
	fd = open_fd(s, path, &regular);
	if (fd < 0)
		return open_error(path, errno, err);
	if (!regular && (s->atomic || s->settings->rotate_bytes))
		r = df_error_set(err, DF_ERR_CONFIG, "%s is not a regular file: it cannot be rotated", path);
	if (r == 0 && regular)
		r = prepare_file(s, fd, path, err);
	else if (r == 0)
		s->rows.header_due = s->format == DF_FORMAT_CSV && s->settings->header;
	if (r < 0) {
		close(fd);
		return r;
	}
	return df_writer_new(fd, true, s->path, s->compression, &s->writer, err);
}

static int check_target(const struct file_sink *s, struct df_error *err)
{
	struct stat st;

	if (stat(s->settings->path, &st) == 0 && S_ISDIR(st.st_mode))
		return open_error(s->settings->path, EISDIR, err);
	return df_compression_supported(s->compression, err);
}

static int file_connect(struct df_sink *sink, struct df_context *ctx, struct df_error *err)
{
	struct file_sink *s = sink_of(sink);
	int r;

	(void)ctx;
	if (!df_base_guard_connect(&s->base, err))
		return DF_ERR_CLOSED;
	DF_UNLOCK_ON_RETURN(&s->base);
	if (s->base.state.connected)
		return 0;
	r = check_target(s, err);
	if (r == 0)
		r = df_file_rows_given(&s->rows, &s->settings->columns, err);
	if (s->settings->rotate_bytes) {
		s->part = last_part(s->settings->path);
		s->part += s->part == 0;
	}
	if (r == 0)
		r = open_file(s, err);
	if (r < 0) {
		df_file_rows_forget(&s->rows);
		return r;
	}
	s->base.state.connected = true;
	return 0;
}

/* ---- rotation -------------------------------------------------------------------------------------------- */

static int finish_part(struct file_sink *s, struct df_error *err)
{
	int r = df_writer_sync(s->writer, err);

	if (r < 0)
		return r;
	df_writer_free(DF_TAKE(s->writer));
	s->part++;
	return 0;
}

/* A file that has its size ends, and the next write begins another. */
static int ensure_file(struct file_sink *s, struct df_error *err)
{
	int64_t limit = s->settings->rotate_bytes;
	int r = 0;

	while (r == 0 && s->writer && limit && df_writer_size(s->writer) >= limit)
		r = finish_part(s, err);
	return r < 0 || s->writer ? r : open_file(s, err);
}

/* ---- write ----------------------------------------------------------------------------------------------- */

/* One message into the buffer. A message that cannot be a record leaves no trace but its failure. */
static int add_message(struct file_sink *s, struct df_write *w, size_t i, struct df_error *err)
{
	struct df_buf *buf = df_writer_buf(s->writer);
	struct df_error why = DF_ERROR_INIT;
	bool header_due = s->rows.header_due;
	size_t mark = buf->len;
	int r = s->format == DF_FORMAT_CSV ? df_file_rows_add(&s->rows, buf, w->messages[i], w->arena, &why)
					   : df_writer_add_line(buf, w->messages[i], w->arena, &why);

	if (r == 0)
		return 0;
	buf->len = mark;
	s->rows.header_due = header_due;
	if (!df_code_poison(r)) {
		if (err)
			*err = why;
		return r;
	}
	df_write_fail(w, i, &why);
	return 0;
}

static int write_step(struct file_sink *s, struct df_context *ctx, struct df_write *w, struct df_error *err)
{
	bool header_due = s->rows.header_due;
	int r = 0;

	for (size_t i = 0; r == 0 && i < w->count; i++) {
		r = add_message(s, w, i, err);
		if (r < 0)
			df_writer_undo(s->writer);
		else
			r = df_writer_spill(s->writer, ctx, err);
	}
	if (r == 0)
		r = df_writer_end(s->writer, ctx, err);
	if (r < 0)
		s->rows.header_due = header_due;
	return r;
}

static int file_write(struct df_sink *sink, struct df_context *caller, struct df_write *w, struct df_error *err)
{
	struct file_sink *s = sink_of(sink);
	struct df_base_scope scope;
	int r;

	if (!df_base_guard_use(&s->base, err))
		return DF_ERR_CLOSED;
	DF_UNLOCK_ON_RETURN(&s->base);
	r = ensure_file(s, err);
	if (r < 0)
		return r;
	if (!df_writer_waits(s->writer))
		return write_step(s, caller, w, err);
	r = df_base_scope_begin(&s->base.state, caller, &scope, err);
	if (r == 0)
		r = write_step(s, scope.ctx, w, err);
	df_base_scope_end(&scope);
	return r;
}

/* ---- sync ------------------------------------------------------------------------------------------------ */

static int sync_directory(const char *path, struct df_error *err)
{
	const char *slash = strrchr(path, '/');
	df_cleanup(df_freep) char *name =
		slash ? df_str_dup(df_str(path, (size_t)(slash - path) + 1)) : df_str_dup(DF_STR("."));
	df_cleanup(df_closep) int fd = name ? open(name, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;

	if (!name)
		return df_error_no_memory(err);
	/* Some file systems cannot sync a directory. */
	if (fd < 0 || (fsync(fd) < 0 && errno != EINVAL))
		return df_error_errno(err, DF_ERR_UNKNOWN, errno, "cannot sync the directory of %s", path);
	return 0;
}

/* The complete file takes its name. */
static int publish(struct file_sink *s, struct df_error *err)
{
	if (rename(s->temporary, s->path) < 0)
		return df_error_errno(err, DF_ERR_UNKNOWN, errno, "cannot rename %s to %s", s->temporary, s->path);
	free(DF_TAKE(s->temporary));
	return sync_directory(s->path, err);
}

static int file_sync(struct df_sink *sink, struct df_context *ctx, bool final, struct df_error *err)
{
	struct file_sink *s = sink_of(sink);
	int r;

	(void)ctx;
	if (!df_base_guard_use(&s->base, err))
		return DF_ERR_CLOSED;
	DF_UNLOCK_ON_RETURN(&s->base);
	if (s->temporary && !final)
		return DF_SYNC_LATER;
	r = s->writer ? df_writer_sync(s->writer, err) : 0;
	if (r == 0 && s->writer && df_writer_deleted(s->writer))
		r = df_error_set(
			err, DF_ERR_UNKNOWN,
			"%s was deleted while it was written: what it held is gone, what was written since the last "
			"saved position comes again",
			s->temporary ? s->temporary : s->path);
	if (r < 0)
		return r;
	return s->temporary ? publish(s, err) : 0;
}

/* ---- close, free ----------------------------------------------------------------------------------------- */

static int file_close(struct df_sink *sink, struct df_error *err)
{
	struct file_sink *s = sink_of(sink);

	(void)err;
	if (df_base_guard_close(&s->base))
		return 0;
	DF_UNLOCK_ON_RETURN(&s->base);
	if (s->temporary && s->writer)
		unlink(s->temporary);
	df_writer_free(DF_TAKE(s->writer));
	return 0;
}

static void file_free(struct df_sink *sink)
{
	struct file_sink *s;

	if (!sink)
		return;
	s = sink_of(sink);
	file_close(sink, NULL);
	df_file_rows_forget(&s->rows);
	free(s->path);
	free(s->temporary);
	df_base_connector_free(&s->base);
}

/* Lines go out at once, those that wait together. Compressed output needs groups: a member or frame per write. */
static void file_batching(const void *settings, struct df_batching *ret)
{
	if (compression_of(settings) == DF_COMPRESSION_NONE)
		*ret = (struct df_batching){ .default_size = 1, .default_together = 2048 };
	else
		*ret = (struct df_batching){ .interval_seconds = 5, .default_size = 5000, .default_together = 5000 };
}

const struct df_sink_ops df_file_sink_ops = {
	.create = file_create,
	.connect = file_connect,
	.write = file_write,
	.sync = file_sync,
	.close = file_close,
	.free = file_free,
	.batching = file_batching,
};

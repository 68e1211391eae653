/* The `file` sink: turns messages into lines or rows; writer.c puts them into the file in whole steps. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "connectors/csv.h"
#include "connectors/file/file.h"
#include "connectors/writer.h"

struct file_sink {
	struct df_base_connector base;
	const struct file_sink_settings *settings;
	enum df_format format;
	enum df_compression compression;
	bool atomic;
	char delimiter;

	char *path;		  /* of the file that is open, as people know it */
	char *temporary;	  /* atomic: what it is called until it is complete; NULL when it is */
	long part;		  /* rotateBytes: number of the file */
	struct df_writer *writer; /* NULL: rotated, the next write opens the next file */
	bool header_due;	  /* csv: this file has no header yet */

	char **columns; /* csv; NULL: taken from the first message */
	size_t column_count;
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
	struct file_sink *s = calloc(1, sizeof(*s));
	int r;

	if (!s)
		return df_error_no_memory(err);
	r = df_base_connector_init(&s->base, env, err);
	if (r < 0) {
		free(s);
		return r;
	}
	s->base.state.sink.ops = &df_file_sink_ops;
	s->settings = settings;
	s->format = format_of(s->settings);
	s->compression = compression_of(s->settings);
	s->atomic = strcmp(s->settings->mode, "atomic") == 0;
	s->delimiter = df_file_delimiter(s->settings->delimiter, s->settings->path);
	*ret = &s->base.state.sink;
	return 0;
}

/* ---- columns ---- */

static void forget_columns(struct file_sink *s)
{
	for (size_t i = 0; i < s->column_count; i++)
		free(s->columns[i]);
	free(DF_TAKE(s->columns));
	s->column_count = 0;
}

static int add_column(struct file_sink *s, struct df_str name, struct df_error *err)
{
	char **columns = realloc(s->columns, (s->column_count + 1) * sizeof(*columns));
	char *copy = df_str_dup(name);

	if (columns)
		s->columns = columns;
	if (!columns || !copy) {
		free(copy);
		return df_error_no_memory(err);
	}
	s->columns[s->column_count++] = copy;
	return 0;
}

static int columns_from_settings(struct file_sink *s, struct df_error *err)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < s->settings->columns.count; i++)
		r = add_column(s, df_str_c(s->settings->columns.items[i]), err);
	return r;
}

static int columns_from_row(struct file_sink *s, const struct df_csv_row *row, struct df_error *err)
{
	struct df_arena arena;
	int r = 0;

	df_arena_init(&arena, NULL);
	for (size_t i = 0; r == 0 && i < row->count; i++) {
		struct df_str name = df_csv_text(&row->fields[i], &arena);

		r = name.ptr ? add_column(s, name, err) : df_error_no_memory(err);
	}
	df_arena_done(&arena);
	return r;
}

/* The columns must be those of the file that is appended to. */
static int check_columns(const struct file_sink *s, const struct df_csv_row *row, struct df_error *err)
{
	bool same = row->count == s->column_count && !row->bad;

	for (size_t i = 0; same && i < row->count; i++)
		same = df_str_equal_c(row->fields[i].text, s->columns[i]);
	return same ? 0
		    : df_error_set(
			      err, DF_ERR_CONFIG,
			      "%s has other columns in its header than `columns` says: change the setting, or move the "
			      "file away",
			      s->path);
}

/* Reads the header of the file that is appended to. */
static int columns_from_file(struct file_sink *s, int fd, struct df_error *err)
{
	df_cleanup(df_bytes_freep) struct df_bytes *bytes = NULL;
	df_cleanup(df_buf_done) struct df_buf head = { .max = 1 << 20 };
	df_cleanup(df_csv_row_done) struct df_csv_row row = { 0 };
	enum df_csv_result result = DF_CSV_MORE;
	int r = df_bytes_new(fd, s->path, s->compression, &bytes, err);

	while (r == 0 && result == DF_CSV_MORE) {
		char *room = df_buf_reserve(&head, 4096);
		size_t n;

		if (!room && head.len + 4096 > head.max)
			return df_error_set(err, DF_ERR_CONFIG, "%s: the header is longer than 1 MiB, is it CSV?",
					    s->path);
		if (!room)
			return df_error_no_memory(err);
		r = df_bytes_read(bytes, NULL, room, 4096, &n, err);
		if (r < 0 || (n == 0 && head.len == 0))
			return r;
		head.len += n;
		result = df_csv_read(df_buf_str(&head), s->delimiter, n == 0, &row);
	}
	if (r == 0 && result == DF_CSV_NO_MEMORY)
		r = df_error_no_memory(err);
	if (r < 0)
		return r;
	return s->columns ? check_columns(s, &row, err) : columns_from_row(s, &row, err);
}

/* ---- names of files ---- */

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
	return s->path && (!s->atomic || s->temporary) ? 0 : df_error_no_memory(err);
}

/* ---- opening ---- */

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

static int prepare_file(struct file_sink *s, int fd, const char *path, struct df_error *err)
{
	struct stat st;
	int r = lock_file(fd, s->path, err);

	if (r == 0 && s->atomic && ftruncate(fd, 0) < 0)
		r = df_error_errno(err, DF_ERR_UNKNOWN, errno, "cannot empty %s", path);
	if (r == 0)
		r = df_file_repair(fd, path, s->format, s->compression, logger_of(s), err);
	if (r == 0 && fstat(fd, &st) < 0)
		r = df_error_errno(err, DF_ERR_UNKNOWN, errno, "cannot read %s", path);
	if (r < 0)
		return r;
	s->header_due = s->format == DF_FORMAT_CSV && s->settings->header && st.st_size == 0;
	if (s->format != DF_FORMAT_CSV || !s->settings->header || st.st_size == 0)
		return 0;
	if (lseek(fd, 0, SEEK_SET) < 0)
		return df_error_errno(err, DF_ERR_UNKNOWN, errno, "cannot read %s", path);
	return columns_from_file(s, fd, err);
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
		s->header_due = s->format == DF_FORMAT_CSV && s->settings->header;
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
		r = columns_from_settings(s, err);
	if (s->settings->rotate_bytes) {
		s->part = last_part(s->settings->path);
		s->part += s->part == 0;
	}
	if (r == 0)
		r = open_file(s, err);
	if (r < 0) {
		forget_columns(s);
		return r;
	}
	s->base.state.connected = true;
	return 0;
}

/* ---- rotation ---- */

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

/* ---- rows ---- */

static int columns_from_message(struct file_sink *s, const struct df_value *object, struct df_error *err)
{
	int r = 0;

	df_for_each (member, object) {
		if (r == 0)
			r = add_column(s, df_value_key(member), err);
	}
	if (r < 0)
		forget_columns(s);
	return r;
}

static void add_header(struct file_sink *s, struct df_buf *buf)
{
	for (size_t i = 0; i < s->column_count; i++) {
		if (i > 0)
			df_buf_add_char(buf, s->delimiter);
		df_csv_write(df_str_c(s->columns[i]), s->delimiter, buf);
	}
	df_buf_add_char(buf, '\n');
	s->header_due = false;
}

/* A row of one column without a value would be a blank line, which is no row: it is written as "". */
static void add_field(const struct file_sink *s, const struct df_value *value, struct df_arena *arena,
		      struct df_buf *buf)
{
	struct df_str text;

	if (!value || value->kind == DF_NULL) {
		if (s->column_count == 1)
			df_csv_write(df_str(NULL, 0), s->delimiter, buf);
		return;
	}
	text = df_value_text(value, arena);
	if (!text.ptr && text.len == 0 && value->kind != DF_STRING)
		buf->failed = true;
	df_csv_write(text, s->delimiter, buf);
}

static int unknown_key(const struct file_sink *s, const struct df_value *object, struct df_error *err)
{
	df_for_each (member, object) {
		bool known = false;

		for (size_t i = 0; !known && i < s->column_count; i++)
			known = df_str_equal_c(df_value_key(member), s->columns[i]);
		if (!known)
			return df_error_set(err, DF_ERR_INVALID_DATA,
					    "the key \"" DF_STR_FMT
					    "\" is no column of %s: name it in `columns`, or remove it "
					    "with the select transformation",
					    DF_STR_ARG(df_value_key(member)), s->path);
	}
	return df_error_set(err, DF_ERR_INVALID_DATA, "a key stands twice");
}

static int add_row(struct file_sink *s, struct df_buf *buf, struct df_message *m, struct df_arena *arena,
		   struct df_error *err)
{
	struct df_value *object = NULL, *next;
	uint32_t found = 0;
	int r = df_message_document(m, arena, &object, err);

	if (r < 0)
		return r;
	if (!object || object->kind != DF_OBJECT)
		return df_error_set(err, DF_ERR_INVALID_DATA,
				    "the payload is not a JSON object, so that it cannot be a CSV row");
	if (s->column_count == 0)
		r = columns_from_message(s, object, err);
	if (r < 0)
		return r;
	if (s->header_due)
		add_header(s, buf);
	next = object->len ? object->first : NULL;
	for (size_t i = 0; i < s->column_count; i++) {
		/* Keys mostly come in the order of the columns. */
		struct df_value *value = next && df_str_equal_c(df_value_key(next), s->columns[i])
						 ? next
						 : df_object_get_c(object, s->columns[i]);

		next = value ? value->next : next;
		found += value != NULL;
		if (i > 0)
			df_buf_add_char(buf, s->delimiter);
		add_field(s, value, arena, buf);
	}
	df_buf_add_char(buf, '\n');
	return found == object->len ? 0 : unknown_key(s, object, err);
}

/* ---- write ---- */

/* One message into the buffer. A message that cannot be a record leaves no trace but its failure. */
static int add_message(struct file_sink *s, struct df_write *w, size_t i, struct df_error *err)
{
	struct df_buf *buf = df_writer_buf(s->writer);
	struct df_error why = DF_ERROR_INIT;
	bool header_due = s->header_due;
	size_t mark = buf->len;
	int r = s->format == DF_FORMAT_CSV ? add_row(s, buf, w->messages[i], w->arena, &why)
					   : df_writer_add_line(buf, w->messages[i], w->arena, &why);

	if (r == 0)
		return 0;
	buf->len = mark;
	s->header_due = header_due;
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
	bool header_due = s->header_due;
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
		s->header_due = header_due;
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

/* ---- sync ---- */

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
	if (r < 0)
		return r;
	return s->temporary ? publish(s, err) : 0;
}

/* ---- close, free ---- */

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
	s->base.state.connected = false;
	return 0;
}

static void file_free(struct df_sink *sink)
{
	struct file_sink *s;

	if (!sink)
		return;
	s = sink_of(sink);
	file_close(sink, NULL);
	forget_columns(s);
	free(s->path);
	free(s->temporary);
	df_base_connector_done(&s->base);
	free(s);
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

/* The `file` source: files.c knows which files there are, records.c cuts them into messages, this reads one after the
 * other. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sys/stat.h>

#include "connectors/file/file.h"

/* A file that was renamed or deleted may still be written by a program that has it open; after this long without
 * anything new it is closed. */
#define LINGER_NS (30 * DF_NS_PER_S)
/* Followed files that stay open at most; more are opened anew for each look. */
#define OPEN_MAX 512

struct file_source {
	struct df_base_connector base;
	const struct file_source_settings *settings;
	struct file_list files;
	struct file_watch *watch; /* NULL unless it follows and waits */
	size_t open_count;
};

/* What one read works on. */
struct reading {
	struct file_source *s;
	struct df_context *ctx;
	struct df_emitter *out;
	struct df_batch *batch; /* NULL or being filled */
	bool missed;		/* a file that was there was another one, or gone, when it was opened */
};

static struct file_source *file_of(struct df_source *s)
{
	return DF_CONTAINER_OF(s, struct file_source, base.state.source);
}

static const struct df_logger *logger_of(const struct file_source *s)
{
	return s->base.state.env.logger;
}

/* Does it wait for more at the end of the files? */
static bool waits(const struct file_source *s)
{
	return s->settings->follow && !s->base.state.env.once;
}

/* ---- create, restore, connect ---------------------------------------------------------------------------- */

static int file_create(const void *settings, const struct df_connector_env *env, struct df_source **ret,
		       struct df_error *err)
{
	struct file_source *s = df_base_source_new(sizeof(*s), &df_file_source_ops, env, err);

	if (!s)
		return DF_ERR_NO_MEMORY;
	s->settings = settings;
	df_files_init(&s->files);
	*ret = &s->base.state.source;
	return 0;
}

static int file_restore(struct df_source *source, const struct df_value *checkpoint, struct df_error *err)
{
	return df_files_restore(&file_of(source)->files, checkpoint, err);
}

static int scan(struct file_source *s, bool first, struct df_error *err)
{
	struct file_scan how = { .pattern = s->settings->path,
				 .may_be_missing = s->settings->follow,
				 .at_end = first && strcmp(s->settings->from, "end") == 0,
				 .logger = logger_of(s) };

	return df_files_scan(&s->files, &how, err);
}

static int file_connect(struct df_source *source, struct df_context *ctx, struct df_error *err)
{
	struct file_source *s = file_of(source);
	int r = 0;

	if (!df_base_guard_connect(&s->base, err))
		return DF_ERR_CLOSED;
	DF_UNLOCK_ON_RETURN(&s->base);
	r = df_context_check(ctx, err);
	/* Watched before looked at, so that nothing falls between. */
	if (r == 0 && waits(s) && !s->watch)
		r = df_file_watch_new(s->settings->path, logger_of(s), &s->watch, err);
	if (r == 0)
		r = scan(s, true, err);
	if (r < 0)
		return r;
	if (!s->files.first)
		df_info(logger_of(s), "no file is at %s yet, waiting for it", s->settings->path);
	s->base.state.connected = true;
	return 0;
}

/* ---- one file -------------------------------------------------------------------------------------------- */

static void close_file(struct file_source *s, struct file *f)
{
	if (f->fd < 0)
		return;
	if (s->watch)
		df_file_watch_remove(s->watch, f->watch);
	f->watch = -1;
	df_records_free(DF_TAKE(f->records));
	df_bytes_free(DF_TAKE(f->bytes));
	close(DF_TAKE_FD(f->fd));
	s->open_count--;
}

static int make_records(struct file_source *s, struct file *f, struct df_error *err)
{
	const struct df_records_settings *settings = &s->settings->records;
	struct df_records_options options = {
		.settings = settings,
		.format = settings->format ? df_format_of(settings->format) : df_format_by_name(df_str_c(f->path)),
		.delimiter = df_file_delimiter(settings->delimiter, f->path),
		.name = f->path,
		.limit_path = "spec.source.config.",
		.metadata = s->settings->metadata,
	};
	int r = df_records_new(f->bytes, &options, &f->records, err);

	if (r == 0)
		df_records_start(f->records, f->offset);
	return r;
}

/* The file was truncated or written anew: what is in flight of it counts no more. */
static int start_over(struct reading *r, struct file *f, struct df_error *err)
{
	struct df_partition *fresh = NULL;
	int code = 0;

	df_warn(logger_of(r->s),
		"%s became shorter than what was read of it (%" PRId64 " bytes): reading it from the start", f->path,
		f->offset);
	if (f->partition) {
		df_partition_forget(f->partition);
		code = df_emitter_partition(r->out, df_str_c(f->key), &fresh, err);
	}
	pthread_mutex_lock(&r->s->files.lock);
	f->partition = fresh;
	f->offset = f->committed = f->described = 0;
	f->end_size = -1;
	pthread_mutex_unlock(&r->s->files.lock);
	return code;
}

/* What can only be known when the file is open. */
static int open_checks(struct reading *r, struct file *f, const struct stat *st, struct df_error *err)
{
	struct file_source *s = r->s;
	int code = df_bytes_new(f->fd, f->path, df_compression_of(s->settings->records.compression), &f->bytes, err);

	if (code == 0)
		code = df_bytes_detect(f->bytes, r->ctx, err);
	if (code == 0 && s->settings->follow && !df_bytes_seekable(f->bytes))
		code = df_error_set(err, DF_ERR_CONFIG,
				    "%s is compressed, which cannot be followed: set `follow: false`", f->path);
	if (code == 0 && df_bytes_seekable(f->bytes) && st->st_size < f->offset)
		code = start_over(r, f, err);
	if (code == 0 && !f->partition) {
		struct df_partition *p = NULL;

		code = df_emitter_partition(r->out, df_str_c(f->key), &p, err);
		pthread_mutex_lock(&s->files.lock);
		f->partition = p;
		pthread_mutex_unlock(&s->files.lock);
	}
	return code < 0 ? code : make_records(s, f, err);
}

static void update_print(struct file_source *s, struct file *f)
{
	if (f->print.len == FILE_PRINT_MAX)
		return;
	struct file_print print = df_file_print(f->fd);
	DF_LOCK_SCOPE(&s->files.lock);
	f->print = print;
}

/* 1: it is open. 0: it went away since it was found, which the next scan settles. */
static int open_file(struct reading *r, struct file *f, struct df_error *err)
{
	struct file_source *s = r->s;
	struct stat st;
	int fd, code;

	if (f->fd >= 0)
		return 1;
	fd = open(f->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0 && errno == ENOENT)
		return 0;
	if (fd < 0)
		return df_error_errno(err, DF_ERR_CONFIG, errno, "cannot open the file %s", f->path);
	if (fstat(fd, &st) < 0 || (uint64_t)st.st_ino != f->inode) {
		close(fd);
		return 0;
	}
	f->fd = fd;
	s->open_count++;
	code = open_checks(r, f, &st, err);
	if (code < 0) {
		close_file(s, f);
		return code;
	}
	if (s->watch)
		f->watch = df_file_watch_add(s->watch, fd);
	return 1;
}

/* Its end was reached: now, or for good. */
static int end_file(struct reading *r, struct file *f, bool finished, struct df_error *err)
{
	struct stat st;
	bool keep = waits(r->s) && !finished && r->s->open_count <= OPEN_MAX;
	int code = keep ? df_records_park(f->records, err) : 0;

	if (code == 0 && fstat(f->fd, &st) == 0 && (finished || !waits(r->s))) {
		DF_LOCK_SCOPE(&r->s->files.lock);
		f->end_size = st.st_size;
	}
	if (code == 0 && !keep)
		close_file(r->s, f);
	return code;
}

/* Reads an open file to its end. `final`: its last line needs no newline. */
static int drain_file(struct reading *r, struct file *f, bool final, struct df_error *err)
{
	struct df_error why = DF_ERROR_INIT;
	int code;

	update_print(r->s, f);
	do {
		code = df_records_fill(f->records, r->ctx, r->out, f->partition, final, &r->batch, err);
		pthread_mutex_lock(&r->s->files.lock);
		f->offset = df_records_offset(f->records);
		pthread_mutex_unlock(&r->s->files.lock);
		if (code == DF_RECORDS_FULL) {
			int emitted = df_records_emit(f->records, r->ctx, r->out, &r->batch, err);

			if (emitted < 0)
				return emitted;
		}
	} while (code == DF_RECORDS_FULL);
	if (code == 0)
		return 0;
	/* What came before the failure is delivered. */
	int emitted = df_records_emit(NULL, r->ctx, r->out, &r->batch, &why);
	if (emitted < 0 && emitted != DF_ERR_CANCELED)
		*err = why;
	return emitted < 0 && emitted != DF_ERR_CANCELED ? emitted : code;
}

/* Was it read to its end, and is that still its end? */
static bool is_done(const struct file *f)
{
	struct stat st;

	return f->fd < 0 && f->end_size >= 0 &&
	       (stat(f->path, &st) < 0 || (uint64_t)st.st_ino != f->inode || st.st_size == f->end_size);
}

static int read_file(struct reading *r, struct file *f, struct df_error *err)
{
	struct file_source *s = r->s;
	struct stat st;
	int64_t before;
	bool lingered, finished;
	int code;

	if (is_done(f))
		return 0;
	code = open_file(r, f, err);
	r->missed |= code == 0 && f->present;
	if (code <= 0)
		return code;
	if (df_bytes_seekable(f->bytes) && fstat(f->fd, &st) == 0 && st.st_size < f->offset) {
		code = start_over(r, f, err);
		close_file(s, f);
		return code < 0 ? code : read_file(r, f, err);
	}
	before = f->offset;
	code = drain_file(r, f, !waits(s), err);
	if (code < 0)
		return code;
	lingered = f->gone_ns && f->offset == before && df_clock_monotonic() - f->gone_ns > LINGER_NS;
	finished = !waits(s) || lingered;
	if (lingered)
		code = drain_file(r, f, true, err);
	return code < 0 ? code : end_file(r, f, finished, err);
}

/* ---- all files ------------------------------------------------------------------------------------------- */

static int read_all(struct reading *r, struct df_error *err)
{
	int code = 0;

	for (struct file *f = r->s->files.first; code == 0 && f; f = f->next)
		code = read_file(r, f, err);
	if (code < 0)
		return code;
	/* No window refers to the batch here: every file is closed or parked. */
	return df_records_emit(NULL, r->ctx, r->out, &r->batch, err);
}

/* A file that was replaced while we looked is found again, or its absence is an error. */
static int read_again(struct reading *r, struct df_error *err)
{
	int code = 0;

	for (int tries = 0; code == 0 && r->missed && tries < 10; tries++) {
		r->missed = false;
		code = scan(r->s, false, err);
		if (code == 0)
			code = read_all(r, err);
	}
	return code;
}

static int read_files(struct reading *r, struct df_error *err)
{
	struct file_source *s = r->s;
	int code = read_all(r, err);

	if (!waits(s))
		return code < 0 ? code : read_again(r, err);
	while (code == 0) {
		df_files_prune(&s->files);
		df_emitter_idle(r->out);
		code = df_file_watch_wait(s->watch, r->ctx, err);
		if (code == 1)
			code = scan(s, false, err);
		if (code == 0)
			code = read_all(r, err);
	}
	return code;
}

static int file_read(struct df_source *source, struct df_context *caller, struct df_emitter *out, struct df_error *err)
{
	struct file_source *s = file_of(source);
	struct reading r = { .s = s, .out = out };
	df_cleanup(df_base_call_end) struct df_base_call call = { 0 };
	int code = df_base_use(&s->base, caller, &call, err);

	if (code != 0)
		return code;
	r.ctx = call.ctx;
	code = read_files(&r, err);
	df_batch_free(r.batch);
	return code;
}

/* ---- commit, close, free --------------------------------------------------------------------------------- */

static int file_commit(struct df_source *source, const struct df_commit *commits, size_t count,
		       struct df_value *checkpoint, struct df_arena *arena, struct df_error *err)
{
	struct file_source *s = file_of(source);

	df_files_commit(&s->files, false, commits, count);
	return df_files_save(&s->files, false, checkpoint, arena, err);
}

static int file_describe(struct df_source *source, const struct df_commit *commits, size_t count,
			 struct df_value *checkpoint, struct df_arena *arena, struct df_error *err)
{
	struct file_source *s = file_of(source);

	df_files_commit(&s->files, true, commits, count);
	return df_files_save(&s->files, true, checkpoint, arena, err);
}

static int file_close(struct df_source *source, struct df_error *err)
{
	struct file_source *s = file_of(source);

	(void)err;
	if (df_base_guard_close(&s->base))
		return 0;
	DF_UNLOCK_ON_RETURN(&s->base);
	for (struct file *f = s->files.first; f; f = f->next)
		close_file(s, f);
	df_file_watch_free(DF_TAKE(s->watch));
	return 0;
}

static void file_free(struct df_source *source)
{
	struct file_source *s;

	if (!source)
		return;
	s = file_of(source);
	file_close(source, NULL);
	df_files_done(&s->files);
	df_base_connector_free(&s->base);
}

const struct df_source_ops df_file_source_ops = {
	.create = file_create,
	.restore = file_restore,
	.connect = file_connect,
	.read = file_read,
	.commit = file_commit,
	.describe = file_describe,
	.close = file_close,
	.free = file_free,
};

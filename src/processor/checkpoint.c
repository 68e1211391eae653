#include "processor/checkpoint.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#define CHECKPOINT_MAX ((size_t)16 << 20)

struct directory_store {
	struct df_checkpoint_store store;
	int dir_fd;
	int lock_fd;
	char *path; /* of the checkpoint, for messages */
};

char *df_checkpoint_directory_path(const char *dir, const char *namespace, const char *name)
{
	struct df_buf buf = { 0 };

	df_buf_printf(&buf, "%s/%s/%s/checkpoint.json", dir, namespace, name);
	return df_buf_take(&buf);
}

static int read_all(int fd, struct df_buf *buf)
{
	buf->max = CHECKPOINT_MAX;
	for (;;) {
		char *room = df_buf_reserve(buf, 16384);
		ssize_t n;

		if (!room)
			return ENOMEM;
		n = read(fd, room, 16384);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno;
		if (n == 0)
			return 0;
		buf->len += (size_t)n;
	}
}

static void buf_donep(struct df_buf *buf)
{
	df_buf_done(buf);
}

static int damaged(struct directory_store *d, const char *what, struct df_error *err)
{
	return df_error_set(err, DF_ERR_CONFIG,
			    "checkpoint %s is damaged (%s); to read the source from its beginning remove the file, "
			    "else restore it from a backup",
			    d->path, what);
}

static int directory_load(struct df_checkpoint_store *store, struct df_arena *arena, struct df_value **ret,
			  struct df_error *err)
{
	struct directory_store *d = DF_CONTAINER_OF(store, struct directory_store, store);
	df_cleanup(df_closep) int fd = openat(d->dir_fd, "checkpoint.json", O_RDONLY | O_CLOEXEC);
	df_cleanup(buf_donep) struct df_buf buf = { 0 };
	struct df_str text;
	struct df_error why = DF_ERROR_INIT;
	int r;

	if (fd < 0 && errno == ENOENT) {
		*ret = df_value_new(arena, DF_OBJECT);
		return *ret ? 0 : df_error_no_memory(err);
	}
	if (fd < 0)
		return df_error_errno(err, DF_ERR_CONFIG, errno, "cannot open checkpoint %s", d->path);
	r = read_all(fd, &buf);
	if (r)
		return df_error_errno(err, DF_ERR_CONFIG, r, "cannot read checkpoint %s", d->path);
	text = df_arena_dup(arena, df_buf_str(&buf));
	if (!text.ptr)
		return df_error_no_memory(err);
	r = df_value_parse_text(text, arena, ret, &why);
	if (r == DF_ERR_NO_MEMORY)
		return df_error_no_memory(err);
	if (r)
		return damaged(d, why.text, err);
	if ((*ret)->kind != DF_OBJECT)
		return damaged(d, "not a JSON object", err);
	return 0;
}

static int write_all(int fd, struct df_str data)
{
	while (data.len > 0) {
		ssize_t n = write(fd, data.ptr, data.len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno;
		data.ptr += n;
		data.len -= (size_t)n;
	}
	return 0;
}

/* Temporary file, fsync, rename, fsync of the directory: the order that survives a power loss at any point. */
static int directory_save(struct df_checkpoint_store *store, const struct df_value *checkpoint, struct df_error *err)
{
	struct directory_store *d = DF_CONTAINER_OF(store, struct directory_store, store);
	df_cleanup(buf_donep) struct df_buf buf = { 0 };
	df_cleanup(df_closep) int fd = -1;
	int e;

	df_value_write(checkpoint, &buf);
	df_buf_add_char(&buf, '\n');
	if (buf.failed)
		return df_error_no_memory(err);
	fd = openat(d->dir_fd, "checkpoint.json.new", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	e = fd < 0 ? errno : write_all(fd, df_buf_str(&buf));
	if (!e && fsync(fd) < 0)
		e = errno;
	if (!e && renameat(d->dir_fd, "checkpoint.json.new", d->dir_fd, "checkpoint.json") < 0)
		e = errno;
	if (!e && fsync(d->dir_fd) < 0)
		e = errno;
	if (e) {
		unlinkat(d->dir_fd, "checkpoint.json.new", 0);
		return df_error_errno(err, e == ENOSPC || e == EDQUOT ? DF_ERR_TRANSIENT : DF_ERR_UNKNOWN, e,
				      "cannot save checkpoint %s (the previous one is kept)", d->path);
	}
	return 0;
}

static void directory_free(struct df_checkpoint_store *store)
{
	struct directory_store *d = DF_CONTAINER_OF(store, struct directory_store, store);

	df_closep(&d->lock_fd);
	df_closep(&d->dir_fd);
	free(d->path);
	free(d);
}

/* mkdir -p with mode 0700; path is modified while it runs and restored. */
static int make_directories(char *path, struct df_error *err)
{
	for (char *p = path + 1;; p++) {
		char c = *p;

		if (c != '/' && c != '\0')
			continue;
		*p = '\0';
		if (mkdir(path, 0700) < 0 && errno != EEXIST)
			return df_error_errno(err, DF_ERR_CONFIG, errno,
					      "cannot create state directory %s (choose another with --state-dir)",
					      path);
		*p = c;
		if (c == '\0')
			return 0;
	}
}

static int directory_lock(struct directory_store *d, const char *dir, const char *name, struct df_error *err)
{
	d->lock_fd = openat(d->dir_fd, "lock", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (d->lock_fd < 0)
		return df_error_errno(err, DF_ERR_CONFIG, errno, "cannot create %s/lock", dir);
	if (flock(d->lock_fd, LOCK_EX | LOCK_NB) < 0)
		return df_error_set(err, DF_ERR_CONFIG,
				    "flow %s is already running with this state directory (%s is locked); stop the "
				    "other process or choose another --state-dir",
				    name, dir);
	return 0;
}

int df_checkpoint_directory_open(const char *dir, const char *namespace, const char *name,
				 struct df_checkpoint_store **ret, struct df_error *err)
{
	df_cleanup(df_freep) char *path = df_checkpoint_directory_path(dir, namespace, name);
	struct directory_store *d = calloc(1, sizeof(*d));
	char *slash = path ? strrchr(path, '/') : NULL;
	int r;

	if (!path || !d) {
		free(d);
		return df_error_no_memory(err);
	}
	*d = (struct directory_store){
		.store = { directory_load, directory_save, directory_free },
		.dir_fd = -1,
		.lock_fd = -1,
	};
	*slash = '\0';
	r = make_directories(path, err);
	if (r == 0) {
		d->dir_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (d->dir_fd < 0)
			r = df_error_errno(err, DF_ERR_CONFIG, errno, "cannot open state directory %s", path);
	}
	if (r == 0)
		r = directory_lock(d, path, name, err);
	*slash = '/';
	if (r < 0) {
		directory_free(&d->store);
		return r;
	}
	d->path = DF_TAKE(path);
	*ret = &d->store;
	return 0;
}

void df_checkpoint_store_free(struct df_checkpoint_store *store)
{
	if (store)
		store->free(store);
}

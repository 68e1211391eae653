/*
 * inotify on two kinds of things: every file that is followed, for growth (through /proc/self/fd, so that it is the
 * open file and not whatever has its name by now), and every directory that the path leads through, for names that come
 * and go.
 */
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/inotify.h>

#include "connectors/file/file.h"

#define DIRECTORY_EVENTS (IN_CREATE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE)
#define FILE_EVENTS (IN_MODIFY | IN_ATTRIB)
#define POLL_NS DF_NS_PER_S

struct file_watch {
	int fd; /* -1: no inotify, poll */
	const char *pattern;
	const struct df_logger *logger;
};

static void watch_directory(struct file_watch *watch, const char *path)
{
	if (inotify_add_watch(watch->fd, path, DIRECTORY_EVENTS | IN_ONLYDIR) >= 0 || errno == ENOENT ||
	    errno == ENOTDIR)
		return;
	df_warn(watch->logger, "cannot watch the directory %s (%s): new files in it are not noticed", path,
		strerror(errno));
}

/* Every directory of the pattern from the first with a wildcard in a name below it; again after each change, since
 * adding a watch twice is harmless. */
static void watch_directories(struct file_watch *watch)
{
	const char *wild = strpbrk(watch->pattern, "*?[");
	const char *slash = watch->pattern;
	const char *first = strchr(watch->pattern, '/');

	/* Of a relative path the current directory is the first. */
	if (!first || (wild && wild < first))
		watch_directory(watch, ".");
	for (const char *next; (next = strchr(slash, '/')) != NULL; slash = next + 1) {
		const char *below = strchr(next + 1, '/');
		glob_t found = { 0 };
		struct df_str prefix = df_str(watch->pattern, (size_t)(next - watch->pattern) + 1);

		if (below && (!wild || wild > below))
			continue; /* the name below it is fixed: its own directory tells */
		df_cleanup(df_freep) char *directory = df_str_dup(prefix);
		if (directory && glob(directory, GLOB_NOSORT, NULL, &found) == 0) {
			for (size_t i = 0; i < found.gl_pathc; i++)
				watch_directory(watch, found.gl_pathv[i]);
		}
		globfree(&found);
	}
}

int df_file_watch_new(const char *pattern, const struct df_logger *logger, struct file_watch **ret,
		      struct df_error *err)
{
	struct file_watch *watch = calloc(1, sizeof(*watch));

	*ret = NULL;
	if (!watch)
		return df_error_no_memory(err);
	watch->pattern = pattern;
	watch->logger = logger;
	watch->fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	if (watch->fd < 0)
		df_warn(logger, "no inotify (%s): looking for changes every second", strerror(errno));
	else
		watch_directories(watch);
	*ret = watch;
	return 0;
}

void df_file_watch_free(struct file_watch *watch)
{
	if (!watch)
		return;
	if (watch->fd >= 0)
		close(watch->fd);
	free(watch);
}

int df_file_watch_add(struct file_watch *watch, int fd)
{
	char path[64];

	if (watch->fd < 0)
		return -1;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	int id = inotify_add_watch(watch->fd, path, FILE_EVENTS);
	if (id < 0) {
		df_warn(watch->logger, "cannot watch a file (%s): looking for changes every second", strerror(errno));
		close(DF_TAKE_FD(watch->fd));
	}
	return id;
}

void df_file_watch_remove(struct file_watch *watch, int id)
{
	if (watch->fd >= 0 && id >= 0)
		inotify_rm_watch(watch->fd, id);
}

/* Takes all events that wait; true when names changed. */
static bool drain_events(struct file_watch *watch)
{
	_Alignas(struct inotify_event) char buffer[4096];
	bool names = false;
	ssize_t n;

	while ((n = read(watch->fd, buffer, sizeof(buffer))) > 0) {
		const struct inotify_event *e;

		for (char *at = buffer; at < buffer + n; at += sizeof(*e) + e->len) {
			e = (const struct inotify_event *)at;
			names |= (e->mask & (DIRECTORY_EVENTS | IN_ATTRIB | IN_Q_OVERFLOW)) != 0;
		}
	}
	return names;
}

int df_file_watch_wait(struct file_watch *watch, struct df_context *ctx, struct df_error *err)
{
	int r;

	if (watch->fd < 0) {
		r = df_context_sleep(ctx, POLL_NS);
		return r < 0 ? df_context_check(ctx, err) : 1;
	}
	r = df_context_wait_fd(ctx, watch->fd, POLLIN, -1);
	if (r < 0)
		return df_context_canceled(ctx) ? df_context_check(ctx, err)
						: df_error_set(err, r, "cannot wait for changes of %s", watch->pattern);
	if (!drain_events(watch))
		return 0;
	watch_directories(watch);
	return 1;
}

/* What the parts of the `file` connector share. Private to src/connectors/file. */
#ifndef DF_CONNECTORS_FILE_H
#define DF_CONNECTORS_FILE_H

#include <pthread.h>

#include "connectors/base.h"
#include "connectors/records.h"

/* ---- settings.c ------------------------------------------------------------------------------------------ */

struct file_source_settings {
	char *path;
	struct df_records_settings records;
	char *from; /* "start" or "end" */
	bool follow;
	bool metadata;
};

struct file_sink_settings {
	char *path;
	char *format;	      /* NULL: by name */
	char *compression;    /* "auto": by name */
	char *mode;	      /* "append" or "atomic" */
	int64_t rotate_bytes; /* 0: never */
	char *delimiter;      /* NULL: by name */
	bool header;
	struct df_strings columns;
};

extern const struct df_source_ops df_file_source_ops; /* source.c */
extern const struct df_sink_ops df_file_sink_ops;     /* sink.c */

/* The delimiter of a setting, or what the name says. */
char df_file_delimiter(const char *setting, const char *path);

/* ---- files.c: which files there are, and how far each was read ------------------------------------------- */

/* The first bytes of a file, so that a reused inode or a file written anew is noticed. */
struct file_print {
	uint64_t hash; /* FNV-1a */
	uint32_t len;  /* bytes it was made of, at most FILE_PRINT_MAX */
};

#define FILE_PRINT_MAX 256

struct file {
	struct file *next;
	char *path; /* where it is opened */
	char *key;  /* its partition's key and its name in the checkpoint: path#inode as first seen */
	uint64_t device, inode;
	struct file_print print;
	int64_t offset;	   /* where reading goes on, in the uncompressed stream */
	int64_t committed; /* everything before it is done */
	int64_t described; /* or will be, with a write that holds the position itself */
	int64_t end_size;  /* size of the file when its end was reached; -1: not yet */
	bool remembered;   /* from the checkpoint, and not found yet */
	bool present;	   /* its path still leads to it */
	int64_t gone_ns;   /* monotonic: since when it is not present */

	/* While open; the reader's. */
	int fd;	   /* -1: closed */
	int watch; /* -1: none */
	struct df_bytes *bytes;
	struct df_records *records;
	struct df_partition *partition; /* NULL: never opened */
};

/* In the order in which they are read. Lock: the reader changes the list and what commit reads (key, path, print,
 * committed, end_size, partition) under it, commit takes it too. */
struct file_list {
	pthread_mutex_t lock;
	struct file *first;
};

void df_files_init(struct file_list *list);
void df_files_done(struct file_list *list);

/* {"files": {key: {path, device, inode, fingerprint, offset, size?}}}. DF_ERR_CONFIG, naming checkpointReset. */
int df_files_restore(struct file_list *list, const struct df_value *checkpoint, struct df_error *err) df_must_check;
/* As committed; or, with `ahead`, as described. */
int df_files_save(struct file_list *list, bool ahead, struct df_value *checkpoint, struct df_arena *arena,
		  struct df_error *err) df_must_check;
/* Takes the positions of the commits over. */
void df_files_commit(struct file_list *list, bool ahead, const struct df_commit *commits, size_t count);

struct file_scan {
	const char *pattern;
	bool may_be_missing; /* nothing there is no error: it may still come */
	bool at_end;	     /* files that were never seen begin at their end */
	const struct df_logger *logger;
};

/*
 * Looks which files there are now: new ones are appended, those that are gone are marked. A remembered one is found by
 * its inode and first bytes, also when it was renamed within its directory; what is not found any more is dropped.
 * DF_ERR_CONFIG: nothing there, a directory, no permission.
 */
int df_files_scan(struct file_list *list, const struct file_scan *scan, struct df_error *err) df_must_check;
/* Drops files that are gone, closed and wholly committed. */
void df_files_prune(struct file_list *list);

/* The print of an open file; as much as there is. */
struct file_print df_file_print(int fd);

/* ---- watch.c: sleeping until something changes ----------------------------------------------------------- */

struct file_watch;

/* Without inotify (no instances left) it looks every second. DF_ERR_NO_MEMORY. */
int df_file_watch_new(const char *pattern, const struct df_logger *logger, struct file_watch **ret,
		      struct df_error *err) df_must_check;
void df_file_watch_free(struct file_watch *watch);
/* Also watches this open file; -1 when it cannot. */
int df_file_watch_add(struct file_watch *watch, int fd);
void df_file_watch_remove(struct file_watch *watch, int id);

/* Sleeps until a file grew (0) or files came, went or were renamed (1). */
int df_file_watch_wait(struct file_watch *watch, struct df_context *ctx, struct df_error *err) df_must_check;

/* ---- rows.c: CSV for the sink ---------------------------------------------------------------------------- */

struct file_rows {
	char **columns; /* NULL: they come from the first message */
	size_t count;
	char delimiter;
	bool header_due;  /* the header stands before the next row */
	const char *path; /* for errors; the sink's */
};

/* The columns of the settings, if any. */
int df_file_rows_given(struct file_rows *rows, const struct df_strings *columns, struct df_error *err) df_must_check;
/* Those of the file that is appended to; fd stands at its beginning. DF_ERR_CONFIG when they are not the given ones. */
int df_file_rows_from_file(struct file_rows *rows, int fd, enum df_compression compression,
			   struct df_error *err) df_must_check;
void df_file_rows_forget(struct file_rows *rows);

/* Appends the message, after the header when that is due. DF_ERR_INVALID_DATA: it is no object, or has a key that is no
 * column; then the caller takes back what was appended, and header_due. Out of memory: buf->failed, or a code. */
int df_file_rows_add(struct file_rows *rows, struct df_buf *buf, struct df_message *m, struct df_arena *arena,
		     struct df_error *err) df_must_check;

/* ---- tail.c: what an earlier run left -------------------------------------------------------------------- */

/*
 * Makes a file ready to be appended to: a torn end is cut off, an end that only lacks its newline gets it. Tells the
 * log. fd is open for reading and writing.
 */
int df_file_repair(int fd, const char *path, enum df_format format, enum df_compression compression,
		   const struct df_logger *logger, struct df_error *err) df_must_check;

DF_DEFINE_CLEANUP(struct file_watch *, df_file_watch_free)

#endif
